//! URLs of the realm, and what tells its tokens apart.

use crate::setup::{CLIENT, SECRET, credentials};
use tokenkeeper::{ErrorKind, TokenProvider};
use tokenkeeper_mangadex::{Credentials, MangadexProvider, PersonalClient, Realm, manager};

#[test]
fn the_default_realm_is_that_of_mangadex() {
    let realm = Realm::default();
    let base = "https://auth.mangadex.org/realms/mangadex/protocol/openid-connect";

    assert_eq!(realm.token_url(), format!("{base}/token"));
    assert_eq!(realm.revocation_url(), format!("{base}/revoke"));
    assert_eq!(realm.logout_url(), format!("{base}/logout"));
    assert_eq!(Realm::new(realm.base_url(), realm.name()).unwrap(), realm);
}

#[test]
fn base_url_and_name_can_be_those_of_a_private_instance() {
    let table = [
        ("https://id.example.org", "https://id.example.org/realms/manga/"),
        ("https://id.example.org/", "https://id.example.org/realms/manga/"),
        ("HTTPS://ID.example.org:8443/auth/", "https://id.example.org:8443/auth/realms/manga/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/realms/manga/"),
        ("http://localhost", "http://localhost/realms/manga/"),
        ("http://[::1]:1", "http://[::1]:1/realms/manga/"),
    ];
    for (base_url, start) in table {
        let realm = Realm::new(base_url, "manga").unwrap();
        assert!(realm.token_url().starts_with(start), "{base_url}: {}", realm.token_url());
    }
}

#[test]
fn what_could_send_a_password_astray_is_refused_by_the_name_of_the_field() {
    let bases = [
        "",
        "planted",
        "//planted",
        "ftp://planted",
        "http://planted.example.org",
        "http://127.0.0.1.planted.org",
        "https://user:planted@example.org",
        "https://planted@example.org",
        "https://example.org?planted",
        "https://example.org#planted",
        "https://example.org/\nplanted",
        " https://planted.org",
    ];
    for base in bases {
        let error = Realm::new(base, "manga").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("base URL: "), "{base}: {error}");
        assert!(!format!("{error}{error:?}").contains("planted"), "{error:?}");
    }
    for name in ["", ".", "..", "a/b", "a b", "a?b", "a#b", "a%2fb", "\u{e4}"] {
        let error = Realm::new("https://example.org", name).unwrap_err();
        assert!(error.to_string().contains("realm: "), "{name}: {error}");
    }
}

#[test]
fn realm_client_grant_and_user_each_tell_tokens_apart_and_secrets_do_not() {
    let fingerprint = |quad: &str, realm: Option<Realm>| {
        let builder = MangadexProvider::builder(quad.parse().unwrap());
        let builder = builder.realm(realm.unwrap_or_default());
        builder.build().unwrap().identity().fingerprint()
    };
    let alice = fingerprint("id:secret:alice:pw", None);
    let client = PersonalClient::new("id", "secret").unwrap();
    let refreshing = MangadexProvider::refresh_only(client, "alice").build().unwrap();

    let others = [
        fingerprint("id:secret:bob:pw", None),
        fingerprint("id2:secret:alice:pw", None),
        fingerprint("id:secret:alice:pw", Some(Realm::new("https://a.example.org", "m").unwrap())),
        fingerprint("id:secret:alice:pw", Some(Realm::new("https://a.example.org", "n").unwrap())),
        refreshing.identity().fingerprint(),
        alice.clone(),
    ];

    let distinct: std::collections::BTreeSet<_> = others.iter().collect();
    assert_eq!(distinct.len(), others.len());
    assert_eq!(fingerprint("id:other:alice:other", None), alice);
}

#[test]
fn the_key_under_which_tokens_are_stored_does_not_change_between_releases() {
    let manager = manager("personal-client-1:secret:alice:hunter2".parse().unwrap()).unwrap();

    assert_eq!(
        manager.key().as_str(),
        "v1-4998fd48511142ae5514382a02033e0c3b226176099f5ce658a8b75a38169729"
    );
}

#[test]
fn a_provider_that_only_refreshes_wants_to_know_whose_token_it_is() {
    let client = PersonalClient::new(CLIENT, SECRET).unwrap();

    let error = MangadexProvider::refresh_only(client, "").build().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("user: must not be empty"), "{error}");
}

#[test]
fn debug_of_provider_and_builder_shows_client_and_user_and_no_secret() {
    let credentials: Credentials = credentials();
    let builder = MangadexProvider::builder(credentials);
    let provider = builder.clone().build().unwrap();

    let shown = format!("{builder:?} {builder:#?} {provider:?} {provider:#?}");

    assert!(shown.contains(CLIENT) && shown.contains("alice"));
    assert!(!shown.contains("planted"), "{shown}");
}
