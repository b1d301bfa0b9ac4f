//! What a server says of itself (RFC 8414).

#![cfg(feature = "discovery")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};
use tokenkeeper::{ErrorKind, ManualClock, TokenProvider, TokenSet};
use tokenkeeper_providers::{
    AuthorizationServer, ClientAuth, ClientCredentialsProvider, Discovery, PasswordProvider,
    RefreshTokenProvider,
};

use crate::support::{Counting, Playback, fetch};

const ISSUER: &str = "https://as.example.org";

fn document(issuer: &str) -> String {
    json!({ "issuer": issuer, "token_endpoint": "https://as.example.org/token" }).to_string()
}

fn server(members: Value) -> AuthorizationServer {
    let mut document = json!({ "issuer": ISSUER });
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    AuthorizationServer::from_json(ISSUER, document.to_string().as_bytes()).unwrap()
}

fn discovery(playback: &Playback, clock: &ManualClock) -> Discovery {
    Discovery::new().with_transport(playback.clone()).with_clock(clock.clone())
}

fn words<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.collect()
}

// What is asked for (§3).

#[tokio::test]
async fn the_well_known_path_goes_between_host_and_path() {
    let table = [
        ("https://as.example.org", "/.well-known/oauth-authorization-server"),
        ("https://as.example.org/", "/.well-known/oauth-authorization-server"),
        ("https://as.example.org/a/b", "/.well-known/oauth-authorization-server/a/b"),
        ("https://as.example.org/a/", "/.well-known/oauth-authorization-server/a"),
    ];
    for (issuer, path) in table {
        let playback = Playback::default().and(200, document(issuer));

        discovery(&playback, &ManualClock::new()).server(issuer).await.unwrap();

        let request = playback.request(0);
        assert_eq!(request.uri(), &*format!("{ISSUER}{path}"), "{issuer}");
        assert_eq!(request.method(), "GET");
        assert_eq!(request.headers()["accept"], "application/json");
        assert_eq!(playback.authorization(0), None);
    }
}

#[tokio::test]
async fn who_gives_the_url_of_a_document_is_told_to_give_the_issuer_and_nothing_is_sent() {
    let playback = Playback::default();
    let discovery = discovery(&playback, &ManualClock::new());
    for issuer in [
        "https://as.example.org/realms/main/.well-known/openid-configuration",
        "https://as.example.org/.well-known/oauth-authorization-server/realms/main",
    ] {
        let error = discovery.server(issuer).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("without `/.well-known/"), "{error}");
    }
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn an_issuer_is_an_https_url_without_query_and_fragment_or_nothing_is_sent() {
    let playback = Playback::default();
    let discovery = discovery(&playback, &ManualClock::new());
    for issuer in [
        "",
        "as.example.org",
        "http://as.example.org",
        "ftp://as.example.org",
        "https://as.example.org?planted",
        "https://as.example.org#planted",
        "https://planted@as.example.org",
    ] {
        let error = discovery.server(issuer).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config, "{issuer}");
        assert!(!error.to_string().contains("planted"), "{error}");
    }
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = [("location", "https://evil.example.net/doc")];
    let playback = Playback::default().and_with(302, &elsewhere, "").and_with(302, &elsewhere, "");

    let error = discovery(&playback, &ManualClock::new()).server(ISSUER).await.unwrap_err();

    assert!(error.to_string().contains("redirect"), "{error}");
    assert_eq!(playback.request(1).uri().host(), Some("as.example.org"));
}

// Whose document it is (§3.3).

#[tokio::test]
async fn a_document_of_another_issuer_is_not_used_however_alike() {
    for other in [
        "https://as.example.org/",
        "https://AS.example.org",
        "https://as.example.org:443",
        "https://evil.example.net",
    ] {
        let playback = Playback::default().and(200, document(other)).and(404, "");

        let error = discovery(&playback, &ManualClock::new()).server(ISSUER).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config, "{other}");
        assert!(error.to_string().contains(&format!("it names `{other}`")), "{error}");
    }
}

#[test]
fn an_issuer_that_is_not_plain_is_not_repeated() {
    for other in ["https://x?planted", "planted\nline", "planted ü"] {
        let error = AuthorizationServer::from_json(ISSUER, document(other).as_bytes()).unwrap_err();

        assert!(!error.to_string().contains("planted"), "{error}");
    }
}

#[test]
fn a_document_that_names_no_issuer_is_not_used() {
    for body in ["", "null", "[]", "{}", r#"{"issuer":7}"#, r#"{"issuer":""}"#, "issuer=x&error=y"]
    {
        let error = AuthorizationServer::from_json(ISSUER, body.as_bytes()).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
    }
}

// What is in it (§2).

#[test]
fn a_server_that_is_known_by_https_has_no_endpoint_in_clear_text_on_this_machine() {
    let document = |issuer: &str| {
        json!({
            "issuer": issuer,
            "token_endpoint": "http://127.0.0.1:8080/token",
            "jwks_uri": "http://localhost/jwks",
            "mtls_endpoint_aliases": { "token_endpoint": "http://[::1]/token" },
        })
        .to_string()
    };
    let read = |issuer: &str| AuthorizationServer::from_json(issuer, document(issuer).as_bytes());

    let server = read("https://auth.example.org").unwrap();
    assert_eq!((server.token_url(), server.jwks_url()), (None, None));
    assert_eq!(server.with_mtls_aliases().token_url(), None);

    let server = read("http://127.0.0.1:8080").unwrap();
    assert_eq!(server.token_url(), Some("http://127.0.0.1:8080/token"));
}

#[test]
fn absent_members_have_their_defaults() {
    let server = server(json!({}));

    assert_eq!(words(server.grant_types()), ["authorization_code", "implicit"]);
    assert_eq!(words(server.token_auth_methods()), ["client_secret_basic"]);
    assert_eq!(words(server.revocation_auth_methods()), ["client_secret_basic"]);
    assert_eq!(words(server.scopes()), [""; 0]);
    assert_eq!(words(server.dpop_algorithms()), [""; 0]);
    assert!(server.code_challenge_methods().is_none());
    assert!(!server.requires_pushed_authorization_requests());
    assert!(!server.sends_iss_parameter());
    assert_eq!(server.token_url(), None);
    assert_eq!(server.issuer(), Some(ISSUER));
}

#[test]
fn every_member_that_a_client_needs_is_read_and_the_others_are_kept() {
    let server = server(json!({
        "authorization_endpoint": "https://as/authorize",
        "token_endpoint": "https://as/token",
        "revocation_endpoint": "https://as/revoke",
        "introspection_endpoint": "https://as/introspect",
        "userinfo_endpoint": "https://as/userinfo",
        "device_authorization_endpoint": "https://as/device",
        "pushed_authorization_request_endpoint": "https://as/par",
        "jwks_uri": "https://as/jwks",
        "require_pushed_authorization_requests": true,
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": ["openid", "read"],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "service_documentation": "https://as/help",
    }));

    assert_eq!(server.authorization_url(), Some("https://as/authorize"));
    assert_eq!(server.token_url(), Some("https://as/token"));
    assert_eq!(server.revocation_url(), Some("https://as/revoke"));
    assert_eq!(server.introspection_url(), Some("https://as/introspect"));
    assert_eq!(server.user_info_url(), Some("https://as/userinfo"));
    assert_eq!(server.device_authorization_url(), Some("https://as/device"));
    assert_eq!(server.pushed_authorization_request_url(), Some("https://as/par"));
    assert_eq!(server.jwks_url(), Some("https://as/jwks"));
    assert!(server.requires_pushed_authorization_requests());
    assert!(server.sends_iss_parameter());
    assert_eq!(words(server.scopes()), ["openid", "read"]);
    assert_eq!(words(server.grant_types()), ["client_credentials"]);
    assert_eq!(words(server.token_auth_methods()), ["private_key_jwt"]);
    assert_eq!(words(server.revocation_auth_methods()), ["none"]);
    assert_eq!(words(server.introspection_auth_methods()), ["client_secret_post"]);
    assert_eq!(words(server.code_challenge_methods().unwrap()), ["plain", "S256"]);
    assert_eq!(words(server.dpop_algorithms()), ["ES256"]);
    assert_eq!(server.extra("service_documentation"), Some(&json!("https://as/help")));
    assert_eq!(server.extra("token_endpoint"), None);
}

#[test]
fn an_odd_member_counts_as_absent_and_spoils_nothing() {
    for odd in [
        json!("http://as.example.org/revoke"),
        json!("/revoke"),
        json!("https://user:planted@as.example.org/revoke"),
        json!("https://as.example.org/revoke#x"),
        json!(7),
        json!(null),
        json!(["https://as.example.org/revoke"]),
    ] {
        let server = server(json!({
            "token_endpoint": "https://as/token",
            "revocation_endpoint": odd,
            "scopes_supported": "read",
            "token_endpoint_auth_methods_supported": [7],
            "require_pushed_authorization_requests": "yes",
            "mtls_endpoint_aliases": [],
        }));

        assert_eq!(server.revocation_url(), None, "{odd}");
        assert_eq!(server.token_url(), Some("https://as/token"));
        assert_eq!(words(server.scopes()), [""; 0]);
        assert_eq!(words(server.token_auth_methods()), ["client_secret_basic"]);
        assert!(!server.requires_pushed_authorization_requests());
    }
}

#[tokio::test]
async fn a_grant_is_not_refused_because_the_document_does_not_list_it() {
    let server = server(json!({
        "token_endpoint": "https://as/token",
        "grant_types_supported": ["authorization_code"],
    }));
    let playback = Playback::default().and(200, crate::support::OK).and(200, crate::support::OK);
    let machine = ClientCredentialsProvider::of_server("svc", &server).unwrap();
    let person = RefreshTokenProvider::of_server("svc", &server).unwrap();
    let machine = machine.client("id", ClientAuth::none()).transport(playback.clone());
    let person = person.client("id", ClientAuth::none()).transport(playback.clone());

    fetch(&machine.build().unwrap()).await.unwrap();
    let tokens = TokenSet::from_refresh_token("rt");
    crate::support::refresh(&person.build().unwrap(), &tokens).await.unwrap();

    assert_eq!(playback.count(), 2);
}

#[test]
fn a_client_with_a_secret_authenticates_as_announced_basic_before_post() {
    let table = [
        (json!({}), "client_secret_basic"),
        (json!(["client_secret_post", "client_secret_basic"]), "client_secret_basic"),
        (json!(["private_key_jwt", "client_secret_post"]), "client_secret_post"),
        (json!([]), "client_secret_basic"),
    ];
    for (methods, chosen) in table {
        let server = server(json!({ "token_endpoint_auth_methods_supported": methods }));
        let auth = server.client_auth("hunter2").unwrap();
        assert_eq!(format!("{auth:?}"), format!("ClientAuth({chosen})"));
    }
}

#[test]
fn revocation_and_introspection_have_methods_of_their_own() {
    let server = server(json!({
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_post"],
    }));

    assert!(format!("{:?}", server.revocation_auth("x").unwrap()).contains("post"));
    assert!(format!("{:?}", server.introspection_auth("x").unwrap()).contains("post"));
    assert!(format!("{:?}", server.client_auth("x").unwrap()).contains("basic"));
}

#[test]
fn a_server_that_takes_no_secret_gets_an_error_that_says_what_it_takes() {
    let methods = json!(["private_key_jwt", "planted_by_a_stranger", "tls_client_auth"]);
    let some = server(json!({ "token_endpoint_auth_methods_supported": methods }));
    let none = server(json!({ "token_endpoint_auth_methods_supported": ["planted"] }));

    let some = some.client_auth("hunter2").unwrap_err();
    let none = none.client_auth("hunter2").unwrap_err();

    assert_eq!(some.kind(), ErrorKind::Unsupported);
    assert!(some.to_string().contains("only private_key_jwt, tls_client_auth;"), "{some}");
    assert_eq!(none.kind(), ErrorKind::Unsupported);
    assert!(!format!("{some}{none}").contains("planted"));
}

#[test]
fn a_key_in_a_url_is_not_shown() {
    let server = server(json!({
        "token_endpoint": "https://as/token?key=planted",
        "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.as/token?key=planted" },
        "made_up": "planted",
    }));

    let shown = format!("{server:?} {server:#?}");

    assert!(shown.contains(ISSUER) && !shown.contains("planted"), "{shown}");
}

// Builders that start from it.

#[tokio::test]
async fn a_provider_takes_its_urls_and_its_audience_from_the_document() {
    let server = server(json!({
        "token_endpoint": "https://as/token",
        "revocation_endpoint": "https://as/revoke",
    }));
    let playback = Playback::default().and(200, crate::support::OK).and(200, "");
    let provider = PasswordProvider::of_server("svc", &server)
        .unwrap()
        .client("id", ClientAuth::assertion(Counting::default()))
        .user("alice", "hunter2")
        .transport(playback.clone())
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();
    provider.revoke(&tokens).await.unwrap();

    assert_eq!(playback.request(0).uri(), "https://as/token");
    assert_eq!(playback.request(1).uri(), "https://as/revoke");
    assert!(playback.body(0).contains("jwt-0-for-https%3A%2F%2Fas.example.org"));
}

#[test]
fn a_server_without_a_token_endpoint_that_can_be_used_is_refused_by_the_builder() {
    let server = server(json!({ "token_endpoint": "http://as.example.org/token" }));

    let error = ClientCredentialsProvider::of_server("svc", &server).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("svc: the server names no token endpoint"), "{error}");
}

#[tokio::test]
async fn clear_text_that_was_allowed_for_the_issuer_is_allowed_for_its_builders() {
    let issuer = "http://as.test";
    let body = json!({ "issuer": issuer, "token_endpoint": "http://as.test/token" }).to_string();
    let playback = Playback::default().and(200, body);
    let discovery = discovery(&playback, &ManualClock::new()).danger_allow_http();

    let server = discovery.server(issuer).await.unwrap();

    let builder = ClientCredentialsProvider::of_server("svc", &server).unwrap();
    builder.client("id", ClientAuth::none()).transport(playback).build().unwrap();
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn one_call_makes_a_provider_of_the_name_of_a_server() {
    let mock = httpmock::MockServer::start_async().await;
    let issuer = mock.base_url();
    let metadata = mock
        .mock_async(|when, then| {
            when.method(httpmock::Method::GET).path("/.well-known/oauth-authorization-server");
            then.status(200).json_body(json!({
                "issuer": issuer,
                "token_endpoint": format!("{issuer}/as/token"),
            }));
        })
        .await;
    let token = mock
        .mock_async(|when, then| {
            when.method(httpmock::Method::POST).path("/as/token");
            then.status(200).body(crate::support::OK);
        })
        .await;

    for _ in 0..2 {
        let builder = ClientCredentialsProvider::discover("svc", &issuer).await.unwrap();
        let provider = builder.client("id", ClientAuth::basic("hunter2")).build().unwrap();
        fetch(&provider).await.unwrap();
    }

    metadata.assert_async().await; // once
    token.assert_calls_async(2).await;
}

#[cfg(feature = "authorization-code")]
mod logins {
    use tokenkeeper::Error;
    use tokenkeeper_providers::{AuthorizationCodeLogin, AuthorizationCodeLoginBuilder};

    use super::*;

    fn builder(members: Value) -> Result<AuthorizationCodeLoginBuilder, Error> {
        let mut all = json!({
            "authorization_endpoint": "https://as/authorize",
            "token_endpoint": "https://as/token",
        });
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        AuthorizationCodeLogin::of_server("svc", &server(all))
    }

    fn login(members: Value, playback: &Playback) -> Result<AuthorizationCodeLogin, Error> {
        let builder = builder(members)?.client("web", ClientAuth::none());
        builder.redirect_uri("https://app/callback").transport(playback.clone()).build()
    }

    #[tokio::test]
    async fn a_login_takes_its_urls_from_the_document_and_pushes_where_that_is_announced() {
        let pushed = r#"{"request_uri":"urn:r","expires_in":60}"#;
        let playback = Playback::default().and(201, pushed);
        let plain = login(json!({}), &playback).unwrap();
        let announced = json!({ "pushed_authorization_request_endpoint": "https://as/par" });
        let pushing = login(announced, &playback).unwrap();

        let url = plain.begin().await.unwrap().authorization_url().to_owned();
        assert!(url.starts_with("https://as/authorize?response_type=code&"), "{url}");
        assert_eq!(playback.count(), 0);

        pushing.begin().await.unwrap();
        assert_eq!(playback.request(0).uri(), "https://as/par");
    }

    #[tokio::test]
    async fn a_callback_must_name_the_issuer_where_that_is_announced() {
        use tokenkeeper_providers::Callback;

        let announced = json!({ "authorization_response_iss_parameter_supported": true });
        let login = login(announced, &Playback::default()).unwrap();
        let pending = login.begin().await.unwrap();
        let callback = Callback::parse(&format!("code=c&state={}", pending.state())).unwrap();

        let error = login.finish(pending, &callback).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::LoginRequired);
    }

    #[test]
    fn a_server_that_announces_no_safe_challenge_is_refused() {
        for (methods, is_fine) in
            [(json!(["plain"]), false), (json!(["plain", "S256"]), true), (json!(null), true)]
        {
            let announced = json!({ "code_challenge_methods_supported": methods });

            let outcome = login(announced, &Playback::default());

            assert_eq!(outcome.is_ok(), is_fine, "{methods}");
            if let Err(error) = outcome {
                assert!(error.to_string().contains("S256 is needed"), "{error}");
            }
        }
    }

    #[test]
    fn a_server_that_wants_pushed_requests_and_names_no_place_for_them_is_refused() {
        let error = builder(json!({ "require_pushed_authorization_requests": true })).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("no pushed authorization request endpoint"), "{error}");
    }
}
