//! M12: keys never collide, and no user gets the token of another.

use std::fmt::{Debug, Display};

use crate::support::setup::{Setup, manager};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tokenkeeper::{
    AccessToken, Error, ErrorKind, FetchContext, ManualClock, MemoryStorage, ProviderIdentity,
    Scopes, Secret, StorageKey, TokenManager, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_testkit::{ScriptedProvider, Step};

/// A password grant: the service knows alice and bob, and their passwords.
#[derive(Debug)]
struct Login {
    identity: ProviderIdentity,
    user: &'static str,
    password: Secret,
}

impl Login {
    fn new(user: &'static str, password: &str) -> Self {
        let identity = ProviderIdentity::new("svc")
            .with("token_url", "https://auth.example.org/token")
            .with("client_id", "one-client")
            .with("grant", "password")
            .with("subject", user);
        Self { identity, user, password: password.into() }
    }
}

#[async_trait]
impl TokenProvider for Login {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let sent_at = cx.ready_to_send()?;
        if self.password.expose_secret() != format!("password-of-{}", self.user) {
            return Err(Error::new(ErrorKind::CredentialsRejected, "wrong password"));
        }
        let token = AccessToken::new(format!("token-of-{}", self.user), "Bearer")?;
        Ok(TokenSet::new(token, sent_at).with_lifetime(std::time::Duration::from_secs(900)))
    }
}

fn login(user: &'static str, password: &str, storage: &MemoryStorage) -> TokenManager {
    TokenManager::builder(Login::new(user, password)).storage(storage.clone()).build().unwrap()
}

#[tokio::test]
async fn two_users_of_one_client_never_share_a_token() {
    let storage = MemoryStorage::new();
    let alice = login("alice", "password-of-alice", &storage);
    let bob = login("bob", "password-of-bob", &storage);

    let (first, second) = (alice.token().await.unwrap(), bob.token().await.unwrap());

    assert_ne!(alice.key(), bob.key());
    assert_eq!(first.authorization(), "Bearer token-of-alice");
    assert_eq!(second.authorization(), "Bearer token-of-bob");
}

#[tokio::test]
async fn a_wrong_password_never_gets_another_users_token() {
    let storage = MemoryStorage::new();
    login("alice", "password-of-alice", &storage).token().await.unwrap();
    let bob = login("bob", "WRONG", &storage);

    let error = bob.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(bob.peek().is_none());
}

#[tokio::test]
async fn login_proves_the_password_although_a_good_token_is_stored_and_in_memory() {
    let storage = MemoryStorage::new();
    login("alice", "password-of-alice", &storage).token().await.unwrap();
    let forger = login("alice", "WRONG", &storage);
    forger.token().await.unwrap(); // the storage is trusted: only login() proves a password

    let error = forger.login().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
}

#[tokio::test]
async fn login_is_an_exchange_every_time_and_never_a_refresh() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    for fetches in 2..=4 {
        manager.login().await.unwrap();
        assert_eq!((provider.fetches(), provider.refreshes()), (fetches, 0));
    }
}

#[tokio::test]
async fn a_login_that_fails_leaves_the_tokens_of_before() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    let before = manager.token().await.unwrap();
    provider.on_fetch(Step::refuse_credentials());

    manager.login().await.unwrap_err();

    assert_eq!(manager.token().await.unwrap().authorization(), before.authorization());
}

#[test]
fn golden_fingerprints_are_what_they_were_at_the_first_release() {
    let bare = ProviderIdentity::new("svc");
    let password = ProviderIdentity::new("mangadex")
        .with(
            "token_url",
            "https://auth.mangadex.org/realms/mangadex/protocol/openid-connect/token",
        )
        .with("client_id", "personal-client-1")
        .with("grant", "password")
        .with("subject", "alice");
    let every_field = ProviderIdentity::new("billing")
        .with("token_url", "https://auth.example.org/token")
        .with("client_id", "reports")
        .with("grant", "client_credentials")
        .with("scopes", "read write")
        .with("audience", "https://api.example.org")
        .with("resource", "https://a.example.org")
        .with("resource", "https://b.example.org")
        .with("tenant", "Zürich");

    // Worked out by a program in another language.
    let expected = [
        (bare, "1f5bcb892d36ec974cbeb1011a6c60da1727c745eee4e2aa6751c82eeb10290e"),
        (password, "adde0893420dcd516d5c4956fe29ce34b0af80624290951f0171a3b510fff9a4"),
        (every_field, "d2fc6a4ca6db520aac1cf13e3741c9b93992353f3a95d40472cdf0bf8c81bc27"),
    ];
    for (identity, fingerprint) in expected {
        assert_eq!(identity.fingerprint(), fingerprint);
        assert_eq!(identity.storage_key().as_str(), format!("v1-{fingerprint}"));
    }
}

#[test]
fn the_order_of_scopes_does_not_matter() {
    let of = |scopes: &str| {
        let scopes = Scopes::parse(scopes).unwrap();
        ProviderIdentity::new("svc").with("scopes", &scopes.to_string()).fingerprint()
    };

    assert_eq!(of("write read admin"), of("admin  read write read"));
    assert_ne!(of("read"), of("read write"));
    assert_ne!(of("Read"), of("read"));
}

#[test]
fn a_new_password_does_not_change_the_key() {
    let storage = MemoryStorage::new();

    let (old, new) = (login("alice", "old", &storage), login("alice", "new", &storage));

    assert_eq!(old.key(), new.key());
}

/// Fails to compile if `$type` implements `$trait`: the call would then be ambiguous.
macro_rules! assert_not_impl {
    ($type:ty: $($trait:tt)+) => {{
        trait Probe<A> { fn probe() {} }
        impl<T: ?Sized> Probe<()> for T {}
        struct Implements;
        impl<T: ?Sized + $($trait)+> Probe<Implements> for T {}
        <$type as Probe<_>>::probe();
    }};
}

#[test]
fn a_secret_gets_into_a_key_only_through_expose_secret() {
    assert_not_impl!(Secret: Display);
    assert_not_impl!(Secret: AsRef<str>);
    assert_not_impl!(Secret: std::borrow::Borrow<str>);
    assert_not_impl!(Secret: std::ops::Deref);
    assert_not_impl!(Secret: Into<String>);
    assert_not_impl!(Secret: PartialEq);
    assert_not_impl!(Secret: serde::Serialize);
    assert_not_impl!(AccessToken: Display);
    assert_not_impl!(AccessToken: serde::Serialize);
    assert_not_impl!(TokenSet: serde::Serialize);
    let _: &dyn Debug = &Secret::from("x");
}

#[tokio::test]
async fn a_key_of_ones_own_is_used_as_it_is() {
    let (clock, storage) = (ManualClock::new(), MemoryStorage::new());
    let provider = ScriptedProvider::new("svc");
    let key = StorageKey::new("tenant-7:svc").unwrap();
    let build = || {
        TokenManager::builder(provider.clone())
            .storage(storage.clone())
            .clock(clock.clone())
            .key(key.clone())
            .build()
            .unwrap()
    };

    build().token().await.unwrap();
    let token = build().token().await.unwrap();
    manager(&provider, storage.clone(), &clock).token().await.unwrap();

    assert_eq!(token.authorization(), "Bearer access-1");
    assert_eq!(provider.calls(), 2, "the default key is another one");
    assert_eq!(build().key(), &key);
}

/// Few letters and short texts, so that borders between fields are what differs.
fn identity() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
    ("[ab]{0,3}", prop::collection::vec(("[ab]{0,3}", "[ab]{0,3}"), 0..4))
}

fn build((service, fields): &(String, Vec<(String, String)>)) -> ProviderIdentity {
    let identity = ProviderIdentity::new(service);
    fields.iter().fold(identity, |identity, (name, value)| identity.with(name, value))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        rng_seed: RngSeed::Fixed(12),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn two_identities_have_one_key_only_if_they_are_the_same(a in identity(), b in identity()) {
        let meaning = |(service, fields): &(String, Vec<(String, String)>)| {
            let mut fields: Vec<_> =
                fields.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
            fields.sort();
            fields.dedup();
            (service.clone(), fields)
        };

        let same_key = build(&a).storage_key() == build(&b).storage_key();

        prop_assert_eq!(same_key, meaning(&a) == meaning(&b));
    }

    #[test]
    fn moving_the_border_between_name_and_value_changes_the_key(
        text in "[a-c]{2,8}", left in 1..7_usize, right in 1..7_usize,
    ) {
        let split = |at: usize| {
            let (name, value) = text.split_at(at.min(text.len() - 1));
            (ProviderIdentity::new("svc").with(name, value).fingerprint(), name.len())
        };

        let ((a, left), (b, right)) = (split(left), split(right));

        prop_assert_eq!(a == b, left == right);
    }

    #[test]
    fn a_storage_key_has_harmless_characters_or_is_refused(text in "\\PC{0,12}|[A-Za-z0-9._:@-]{0,210}") {
        let is_harmless = (1..=200).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b))
            && text.as_bytes()[0].is_ascii_alphanumeric();

        match StorageKey::new(&text) {
            Ok(key) => prop_assert!(is_harmless && key.as_str() == text && key.to_string() == text),
            Err(error) => prop_assert!(!is_harmless && error.kind() == ErrorKind::Config),
        }
    }

    #[test]
    fn a_derived_key_is_always_a_valid_one(a in identity()) {
        let key = build(&a).storage_key();

        prop_assert_eq!(StorageKey::new(key.as_str()).unwrap(), key);
    }
}
