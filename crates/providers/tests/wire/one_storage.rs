//! Providers that differ in what is asked for, and their managers on one storage.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use tokenkeeper::{MemoryStorage, TokenManager, TokenProvider};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsBuilder, ClientCredentialsProvider, PasswordProvider,
};

use crate::support::{Playback, TOKEN_URL};

/// A transport whose answer is a token of this name.
fn issuing(token: &str) -> Playback {
    Playback::of(&[&format!(r#"{{"access_token":"{token}","expires_in":900}}"#)])
}

fn manager(provider: impl TokenProvider, storage: &MemoryStorage) -> TokenManager {
    TokenManager::builder(provider).storage(storage.clone()).build().unwrap()
}

fn machine(
    differing: impl Fn(ClientCredentialsBuilder) -> ClientCredentialsBuilder,
    token_url: &str,
    token: &str,
    storage: &MemoryStorage,
) -> TokenManager {
    let builder = ClientCredentialsProvider::builder("svc", token_url)
        .client("id", ClientAuth::basic("secret"))
        .scopes(["read"])
        .transport(issuing(token));
    manager(differing(builder).build().unwrap(), storage)
}

fn user(name: &str, token: &str, storage: &MemoryStorage) -> TokenManager {
    let builder = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("secret"))
        .user(name, "one password for all")
        .scopes(["read"])
        .transport(issuing(token));
    manager(builder.build().unwrap(), storage)
}

#[tokio::test]
async fn managers_of_one_service_share_a_token_only_if_they_ask_for_the_same() {
    let storage = MemoryStorage::new();
    let own = || ClientAuth::basic("secret");
    let managers = [
        machine(|b| b, TOKEN_URL, "plain", &storage),
        machine(|b| b, "https://auth.example.org/other", "other url", &storage),
        machine(|b| b.client("other", own()), TOKEN_URL, "other client", &storage),
        machine(|b| b.scopes(["read", "write"]), TOKEN_URL, "more scopes", &storage),
        machine(|b| b.scopes(Vec::<String>::new()), TOKEN_URL, "no scopes", &storage),
        machine(|b| b.audience("urn:a"), TOKEN_URL, "audience", &storage),
        machine(|b| b.resource("urn:a"), TOKEN_URL, "resource", &storage),
        machine(|b| b.resource("urn:b"), TOKEN_URL, "other resource", &storage),
        machine(|b| b.extra_parameter("account", "7"), TOKEN_URL, "parameter", &storage),
        machine(|b| b.grant_type("account"), TOKEN_URL, "other grant", &storage),
        machine(|b| b.tenant("t"), TOKEN_URL, "tenant", &storage),
        user("alice", "alice", &storage),
        user("bob", "bob", &storage),
    ];

    let mut seen = Vec::new();
    for manager in &managers {
        seen.push(manager.token().await.unwrap().secret().expose_secret().to_owned());
    }
    let again = machine(|b| b.client("id", ClientAuth::post("rotated")), TOKEN_URL, "-", &storage);

    let asked_for = [
        "plain",
        "other url",
        "other client",
        "more scopes",
        "no scopes",
        "audience",
        "resource",
        "other resource",
        "parameter",
        "other grant",
        "tenant",
        "alice",
        "bob",
    ];
    assert_eq!(seen, asked_for);
    assert_eq!(again.token().await.unwrap().authorization(), "Bearer plain");
}
