//! Values that are refused when a provider is built, and what tells providers apart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use tokenkeeper::{Error, ErrorKind, TokenProvider};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsBuilder, ClientCredentialsProvider, PasswordProvider,
    RefreshTokenProvider,
};

use crate::support::{Playback, TOKEN_URL, printed};

fn builder() -> ClientCredentialsBuilder {
    builder_at("svc", TOKEN_URL)
}

fn builder_at(service_name: &str, url: &str) -> ClientCredentialsBuilder {
    ClientCredentialsProvider::builder(service_name, url)
        .client("id", ClientAuth::basic("secret"))
        .transport(Playback::default())
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Error>, field: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains(&format!("{field}: ")), "{error}");
    assert!(!printed(&error).contains("planted"), "{error:?}");
}

#[test]
fn a_wrong_value_is_refused_with_the_name_of_its_field_and_without_the_value() {
    let control = "planted\n";
    assert_refused(builder_at("", TOKEN_URL).build(), "service name");
    assert_refused(builder_at("svc", "").build(), "token URL");
    assert_refused(builder_at("svc", "planted").build(), "token URL");
    assert_refused(builder_at("svc", "http://planted.example.org/").build(), "token URL");
    assert_refused(builder_at("svc", "https://x/#planted").build(), "token URL");
    assert_refused(builder_at("svc", "https://u:planted@x/").build(), "token URL");
    assert_refused(builder().client("", ClientAuth::none()).build(), "client id");
    assert_refused(builder().client(control, ClientAuth::none()).build(), "client id");
    for text in ["", control] {
        for auth in [ClientAuth::basic(text), ClientAuth::basic_raw(text), ClientAuth::post(text)] {
            assert_refused(builder().client("id", auth).build(), "client secret");
        }
    }
    let colon = builder().client("planted:id", ClientAuth::basic_raw("s"));
    assert_refused(colon.build(), "client id");
    assert_refused(builder().scopes(["planted\""]).build(), "scopes");
    assert_refused(builder().scopes(["two words"]).build(), "scopes");
    assert_refused(builder().audience("").build(), "audience");
    assert_refused(builder().tenant(control).build(), "tenant");
    for resource in ["", "planted", "/planted", "https://x/#planted", "https://x/ planted"] {
        assert_refused(builder().resource(resource).build(), "resource");
    }
    for lifetime in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        assert_refused(builder().default_lifetime(lifetime).build(), "default lifetime");
    }
    assert_refused(builder().revocation_url("http://planted/").build(), "revocation URL");
    assert_refused(builder().revocation_auth(ClientAuth::post("")).build(), "client secret");
    let missing = ClientCredentialsProvider::builder("svc", TOKEN_URL).build();
    assert_refused(missing, "client");
}

#[test]
fn parameters_of_the_protocol_cannot_be_overridden() {
    for name in [
        "grant_type",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "username",
        "password",
        "refresh_token",
        "scope",
        "code",
        "redirect_uri",
        "code_verifier",
        "resource",
        "audience",
    ] {
        let error = builder().extra_parameter(name, "planted").build().unwrap_err();
        assert!(error.to_string().contains("use the setter"), "{name}: {error}");
        assert_refused(Err::<(), _>(error), "extra parameter");
    }
    assert_refused(builder().extra_parameter("", "planted").build(), "extra parameter");
    assert_refused(builder().extra_parameter("a", "planted\n").build(), "extra parameter");
    let twice = builder().extra_parameter("a", "1").extra_parameter("a", "planted");
    assert_refused(twice.build(), "extra parameter");
    assert!(builder().extra_parameter("a", "1").extra_parameter("b", "1").build().is_ok());
}

#[test]
fn a_grant_of_the_services_own_is_one_word_and_not_that_of_another_provider() {
    for name in ["", "planted\n", "planted word", "planted\u{a0}word"] {
        assert_refused(builder().grant_type(name).build(), "grant type");
    }
    for name in [
        "authorization_code",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ] {
        let error = builder().grant_type(name).build().unwrap_err();
        assert_eq!(error.service_name(), Some("svc"));
        assert_refused(Err::<(), _>(error), "grant type");
    }
    assert!(builder().grant_type("account_credentials").build().is_ok());
}

#[test]
fn a_password_provider_needs_a_user_and_a_password() {
    let builder = || {
        PasswordProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .transport(Playback::default())
    };

    assert_refused(builder().build(), "user");
    assert_refused(builder().user("", "planted").build(), "username");
    assert_refused(builder().user("planted\u{7f}", "p").build(), "username");
    assert_refused(builder().user("alice", "").build(), "password");
    assert_refused(builder().user("alice", "planted\n").build(), "password");
    assert!(builder().user("alice", "päss: word%").build().is_ok());
}

#[test]
fn clear_text_needs_the_danger_to_be_accepted() {
    assert!(builder_at("svc", "http://auth.example.org/").danger_allow_http().build().is_ok());
    assert!(builder_at("svc", "http://127.0.0.1:1/").build().is_ok());
}

#[cfg(not(feature = "reqwest"))]
#[test]
fn without_the_bundled_transport_one_must_be_given() {
    let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .build();
    assert_refused(provider, "transport");
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let builder = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::post("planted-secret"))
        .user("alice", "planted-password")
        .revocation_auth(ClientAuth::basic("planted-other"))
        .transport(Playback::default());
    let shown = format!("{builder:?} {builder:#?}");
    let provider = builder.build().unwrap();

    let shown = format!("{shown} {provider:?} {provider:#?}");

    assert!(!shown.contains("planted"), "{shown}");
    assert!(shown.contains("svc"));
}

#[test]
fn golden_identities_do_not_change_between_releases() {
    let machine = ClientCredentialsProvider::builder("svc", "HTTPS://Auth.Example.org:443/token")
        .client("id", ClientAuth::basic("secret"))
        .scopes(["b", "a"])
        .audience("aud")
        .resource("urn:r2")
        .resource("urn:r1")
        .tenant("t")
        .transport(Playback::default())
        .build()
        .unwrap();
    let user = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", "hunter2")
        .transport(Playback::default())
        .build()
        .unwrap();

    let by_hand = tokenkeeper::ProviderIdentity::new("svc")
        .with("token_url", TOKEN_URL)
        .with("client_id", "id")
        .with("grant", "client_credentials")
        .with("scope", "a b")
        .with("audience", "aud")
        .with("resource", "urn:r1")
        .with("resource", "urn:r2")
        .with("tenant", "t");
    assert_eq!(machine.identity(), &by_hand);
    assert_eq!(machine.identity().fingerprint(), GOLDEN_MACHINE);
    assert_eq!(user.identity().fingerprint(), GOLDEN_USER);
}

const GOLDEN_MACHINE: &str = "6fb1645e91df6849cc48611835dafd7ea6bd59089fc4405dffeb4353b4b15859";
const GOLDEN_USER: &str = "ec6535903cf5f1668342b466a0270f69006556b5e1839b64f6130e9f6631fc5a";

#[test]
fn everything_that_changes_whose_token_it_is_changes_the_identity_and_secrets_do_not() {
    let of = |builder: ClientCredentialsBuilder| builder.build().unwrap().identity().fingerprint();
    let all = [
        of(builder()),
        of(builder_at("other", TOKEN_URL)),
        of(builder_at("svc", "https://auth.example.org/token/")),
        of(builder_at("svc", "https://auth.example.org:8443/token")),
        of(builder().client("other", ClientAuth::basic("secret"))),
        of(builder().scopes(["a"])),
        of(builder().scopes(["a", "b"])),
        of(builder().scopes(["A"])),
        of(builder().audience("a")),
        of(builder().resource("urn:a")),
        of(builder().resource("urn:a").resource("urn:b")),
        of(builder().extra_parameter("a", "b")),
        of(builder().grant_type("account_credentials")),
        of(builder().tenant("a")),
    ];
    let mut distinct = all.to_vec();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), all.len());

    assert_eq!(of(builder()), of(builder().client("id", ClientAuth::post("rotated"))));
    assert_eq!(of(builder()), of(builder().grant_type("client_credentials")));
    assert_eq!(of(builder().scopes(["a", "b"])), of(builder().scopes(["b", "a"])));
    assert_eq!(of(builder()), of(builder_at("svc", "https://AUTH.example.org:443/token")));
}

#[test]
fn two_users_of_one_client_never_share_an_identity() {
    let password = |name: &str| {
        let provider = PasswordProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .user(name, "same")
            .transport(Playback::default())
            .build()
            .unwrap();
        provider.identity().fingerprint()
    };
    let elsewhere = |name: &str| {
        let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .subject(name)
            .transport(Playback::default())
            .build()
            .unwrap();
        provider.identity().fingerprint()
    };

    assert_ne!(password("alice"), password("bob"));
    assert_ne!(elsewhere("alice"), elsewhere("bob"));
    assert_ne!(password("alice"), elsewhere("alice"));
}
