//! What a server says of itself (RFC 8414).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, Response};
use serde_json::{Value, json};
use support::{Counting, Playback, fetch};
use tokenkeeper::{Error, ErrorKind, ManualClock, TokenProvider, TokenSet, async_trait};
use tokenkeeper_providers::{
    AuthorizationServer, ClientAuth, ClientCredentialsProvider, Discovery, HttpTransport,
    PasswordProvider, RefreshTokenProvider,
};
use tokio::sync::Semaphore;

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
    let playback = Playback::default().and(200, support::OK).and(200, support::OK);
    let machine = ClientCredentialsProvider::of_server("svc", &server).unwrap();
    let person = RefreshTokenProvider::of_server("svc", &server).unwrap();
    let machine = machine.client("id", ClientAuth::none()).transport(playback.clone());
    let person = person.client("id", ClientAuth::none()).transport(playback.clone());

    fetch(&machine.build().unwrap()).await.unwrap();
    let tokens = TokenSet::from_refresh_token("rt");
    support::refresh(&person.build().unwrap(), &tokens).await.unwrap();

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

// Builders that start from it.

#[tokio::test]
async fn a_provider_takes_its_urls_and_its_audience_from_the_document() {
    let server = server(json!({
        "token_endpoint": "https://as/token",
        "revocation_endpoint": "https://as/revoke",
    }));
    let playback = Playback::default().and(200, support::OK).and(200, "");
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
            then.status(200).body(support::OK);
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

// Keeping it.

#[tokio::test]
async fn a_document_serves_for_its_lifetime_and_is_then_asked_for_again() {
    let clock = ManualClock::new();
    let playback = Playback::default().and(200, document(ISSUER)).and(200, document(ISSUER));
    let discovery = discovery(&playback, &clock).with_lifetime(Duration::from_secs(60));

    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(59));
    discovery.server(ISSUER).await.unwrap();
    assert_eq!(playback.count(), 1);

    clock.advance(Duration::from_secs(1));
    discovery.server(ISSUER).await.unwrap();
    assert_eq!(playback.count(), 2);
}

#[tokio::test]
async fn the_old_document_serves_for_a_day_while_the_server_cannot_be_asked() {
    let clock = ManualClock::new();
    let mut playback = Playback::default().and(200, document(ISSUER));
    for _ in 0..3 {
        playback = playback.and(503, "");
    }
    let discovery = discovery(&playback, &clock);
    discovery.server(ISSUER).await.unwrap();

    clock.advance(Duration::from_secs(60 * 60));
    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let error = discovery.server(ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(playback.count(), 4);
}

#[tokio::test]
async fn an_old_document_does_not_serve_when_the_server_names_another_issuer_now() {
    let clock = ManualClock::new();
    let evil = document("https://evil.example.net");
    let playback = Playback::default().and(200, document(ISSUER)).and(200, &evil).and(200, &evil);
    let discovery = discovery(&playback, &clock);
    discovery.server(ISSUER).await.unwrap();

    clock.advance(Duration::from_secs(60 * 60));
    let error = discovery.server(ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_failure_is_repeated_for_ten_seconds_or_as_long_as_the_server_asks() {
    let clock = ManualClock::new();
    let playback = Playback::default()
        .and(404, "")
        .and(404, "")
        .and_with(503, &[("retry-after", "30")], "")
        .and(200, document(ISSUER));
    let discovery = discovery(&playback, &clock);

    discovery.server(ISSUER).await.unwrap_err();
    discovery.server(ISSUER).await.unwrap_err();
    assert_eq!(playback.count(), 2, "both documents, once");

    clock.advance(Duration::from_secs(10));
    discovery.server(ISSUER).await.unwrap_err();
    clock.advance(Duration::from_secs(29));
    discovery.server(ISSUER).await.unwrap_err();
    assert_eq!(playback.count(), 3);

    clock.advance(Duration::from_secs(1));
    discovery.server(ISSUER).await.unwrap();
}

#[tokio::test]
async fn documents_of_two_issuers_are_kept_apart() {
    let other = "https://as.example.org/other";
    let playback = Playback::default().and(200, document(ISSUER)).and(200, document(other));
    let discovery = discovery(&playback, &ManualClock::new());

    for _ in 0..2 {
        assert_eq!(discovery.server(ISSUER).await.unwrap().issuer(), Some(ISSUER));
        assert_eq!(discovery.server(other).await.unwrap().issuer(), Some(other));
    }

    assert_eq!(playback.count(), 2);
}

/// Answers a request when there is a permit for it.
#[derive(Clone, Debug)]
struct Gate {
    permits: Arc<Semaphore>,
    requests: Arc<AtomicU32>,
    status: u16,
}

impl Gate {
    fn closed(status: u16) -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), requests: Arc::default(), status }
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl HttpTransport for Gate {
    async fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        let answer = Response::builder().status(self.status);
        Ok(answer.body(document(ISSUER).into_bytes()).unwrap())
    }
}

#[tokio::test]
async fn any_number_of_callers_cause_one_request() {
    for status in [200, 503] {
        let gate = Gate::closed(status);
        let discovery = Discovery::new().with_transport(gate.clone());
        let discovery = Arc::new(discovery.with_clock(ManualClock::new()));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let discovery = discovery.clone();
                tokio::spawn(async move { discovery.server(ISSUER).await.is_ok() })
            })
            .collect();
        while gate.requests() == 0 {
            tokio::task::yield_now().await;
        }

        gate.permits.add_permits(1_000); // more than there can be requests, so that nothing hangs

        for caller in callers {
            assert_eq!(caller.await.unwrap(), status == 200);
        }
        assert_eq!(gate.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_others_their_document() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone());
    let mut first = Box::pin(discovery.server(ISSUER));
    let mut second = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut first).await.is_none());
    assert!(polled_once(&mut second).await.is_none());

    drop(first);
    gate.permits.add_permits(1);

    second.await.unwrap();
    assert_eq!(gate.requests(), 1, "they go on where the first one was");
}

#[tokio::test]
async fn a_caller_that_is_stuck_keeps_nobody_waiting() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone());
    let mut stuck = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut stuck).await.is_none());

    gate.permits.add_permits(1);
    let mut second = Box::pin(discovery.server(ISSUER));
    let outcome = polled_once(&mut second).await;

    assert!(outcome.expect("an answer at once").is_ok());
}

#[tokio::test]
async fn when_all_callers_have_given_up_nothing_goes_on() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone());
    let mut first = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut first).await.is_none());
    drop(first);

    gate.permits.add_permits(1);
    discovery.server(ISSUER).await.unwrap();

    assert_eq!(gate.requests(), 2, "the next one begins anew");
}

#[tokio::test]
async fn documents_that_are_not_kept_are_shared_by_those_who_wait_for_them() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone()).with_lifetime(Duration::ZERO);
    let mut callers = [(); 3].map(|()| Box::pin(discovery.server(ISSUER)));
    for caller in &mut callers {
        assert!(polled_once(caller).await.is_none());
    }

    gate.permits.add_permits(10);
    for caller in callers {
        caller.await.unwrap();
    }

    assert_eq!(gate.requests(), 1);
}

/// Breaks, instead of answering.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl HttpTransport for Broken {
    async fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        tokio::task::yield_now().await;
        panic!("planted")
    }
}

#[tokio::test]
async fn a_transport_that_panics_is_an_error_for_everybody_who_waits() {
    let discovery = Discovery::new().with_transport(Broken).with_clock(ManualClock::new());

    let (first, second) = tokio::join!(discovery.server(ISSUER), discovery.server(ISSUER));

    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(!support::printed(&error).contains("planted"), "{error:?}");
    }
}

#[tokio::test]
async fn who_comes_during_a_refresh_gets_the_old_document_at_once() {
    let gate = Gate::closed(200);
    let clock = ManualClock::new();
    let discovery = Discovery::new().with_transport(gate.clone()).with_clock(clock.clone());
    gate.permits.add_permits(1);
    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(60 * 60));

    let mut refreshing = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut refreshing).await.is_none());
    discovery.server(ISSUER).await.unwrap();

    gate.permits.add_permits(1);
    refreshing.await.unwrap();
    assert_eq!(gate.requests(), 2);
}

async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
