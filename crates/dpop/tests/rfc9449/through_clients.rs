//! Bound tokens on the wire, by way of the clients that users have.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use crate::support::{API, BOUND, Playback, Proof, TOKEN_URL, headers, key, nonce_for};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use httpmock::{HttpMockRequest, Method, Mock, MockServer};
use tokenkeeper::{SystemClock, TokenManager};
use tokenkeeper_dpop::DpopKey;
use tokenkeeper_http::{Route, TokenRoutes};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_reqwest::{SendWithToken, Tokens, without_redirects};
use tokenkeeper_testkit::{self as testkit, FakeAuthServer};
use tokenkeeper_tower::TokenLayer;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;

const WANTS_NONCE: &str = r#"DPoP error="use_dpop_nonce""#;

fn route(key: &DpopKey, origin: &str) -> Route {
    let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("secret"))
        .proof_of_possession(key.clone())
        .transport(Playback::default().and(200, None, BOUND))
        .build()
        .unwrap();
    Route::new(TokenManager::new(provider)).origin(origin).presenter(key.presenter())
}

fn tokens(key: &DpopKey, origin: &str) -> Tokens {
    Tokens::new(TokenRoutes::new([route(key, origin)]).unwrap())
}

fn client() -> reqwest::Client {
    without_redirects(reqwest::Client::builder().no_proxy()).build().unwrap()
}

/// Whether a request has a token and a proof for it, with this nonce.
fn is_proven(request: &HttpMockRequest, nonce: Option<&str>) -> bool {
    let headers = request.headers();
    let bearing = headers.get_all("authorization").iter().collect::<Vec<_>>() == ["DPoP at-1"];
    let has_proof = headers.contains_key("dpop");
    bearing && has_proof && Proof::of(&headers).nonce() == nonce
}

/// An answer to requests that are proven with this nonce.
async fn answering<'a>(
    server: &'a MockServer,
    nonce: Option<&'static str>,
    status: u16,
    headers: &[(&str, &str)],
) -> Mock<'a> {
    server
        .mock_async(|when, then| {
            when.is_true(move |request| is_proven(request, nonce));
            headers
                .iter()
                .fold(then.status(status), |then, (name, value)| then.header(*name, *value));
        })
        .await
}

/// Keeps the proofs of a server's requests, and answers 200.
fn keeping(server: &MockServer) -> Arc<Mutex<Vec<Proof>>> {
    let proofs = Arc::<Mutex<Vec<Proof>>>::default();
    let kept = Arc::clone(&proofs);
    server.mock(|when, then| {
        when.is_true(move |request| {
            kept.lock().unwrap().push(Proof::of(&request.headers()));
            true
        });
        then.status(200);
    });
    proofs
}

#[tokio::test]
async fn on_the_wire_of_reqwest_a_request_has_the_token_and_one_proof() {
    let server = MockServer::start_async().await;
    let proofs = keeping(&server);
    let key = key();

    let url = server.url("/events?day=1#now");
    client().post(&url).send_with_token(&tokens(&key, &server.base_url())).await.unwrap();

    let proof = proofs.lock().unwrap().pop().unwrap();
    assert_eq!(proof.claim("htm"), Some("POST"));
    assert_eq!(proof.claim("htu"), Some(server.url("/events").as_str()));
    assert!(proof.claim("ath").is_some());
}

#[tokio::test]
async fn through_reqwest_nonces_of_refusals_and_of_successes_are_used() {
    let server = MockServer::start_async().await;
    let refused = [("www-authenticate", WANTS_NONCE), ("dpop-nonce", "n-1")];
    let first = answering(&server, None, 401, &refused).await;
    let second = answering(&server, Some("n-1"), 200, &[("dpop-nonce", "n-2")]).await;
    let third = answering(&server, Some("n-2"), 200, &[("dpop-nonce", "n-3")]).await;
    let fourth = answering(&server, Some("n-3"), 404, &[]).await;
    let key = key();
    let tokens = tokens(&key, &server.base_url());

    for status in [200, 200, 404, 404] {
        let answer = client().get(server.url("/")).send_with_token(&tokens).await.unwrap();
        assert_eq!(answer.status(), status);
    }

    for (mock, calls) in [(first, 1), (second, 1), (third, 1), (fourth, 2)] {
        assert_eq!(mock.calls_async().await, calls);
    }
}

#[tokio::test]
async fn through_reqwest_an_api_that_goes_on_wanting_a_nonce_is_asked_twice_and_the_caller_told() {
    let server = MockServer::start_async().await;
    let refused = [("www-authenticate", WANTS_NONCE), ("dpop-nonce", "n-1")];
    answering(&server, None, 401, &refused).await;
    let refused = [("www-authenticate", WANTS_NONCE), ("dpop-nonce", "n-2")];
    let second = answering(&server, Some("n-1"), 401, &refused).await;
    let key = key();

    let request = client().get(server.url("/"));
    let answer = request.send_with_token(&tokens(&key, &server.base_url())).await.unwrap();

    assert_eq!((answer.status().as_u16(), second.calls_async().await), (401, 1));
    assert_eq!(nonce_for(&key, &server.base_url()).as_deref(), Some("n-2"));
}

/// A stream is gone with the first attempt; the nonce is not.
#[tokio::test]
async fn through_reqwest_a_stream_that_wants_a_nonce_is_the_callers_and_the_next_request_has_it() {
    let server = MockServer::start_async().await;
    let refused = [("www-authenticate", WANTS_NONCE), ("dpop-nonce", "n-1")];
    let first = answering(&server, None, 401, &refused).await;
    let second = answering(&server, Some("n-1"), 200, &[]).await;
    let tokens = tokens(&key(), &server.base_url());

    for status in [401, 200] {
        let stream = reqwest::Body::wrap(Full::new(Bytes::from_static(b"film")));
        let request = client().post(server.url("/")).body(stream);
        assert_eq!(request.send_with_token(&tokens).await.unwrap().status(), status);
    }

    assert_eq!((first.calls_async().await, second.calls_async().await), (1, 1));
}

/// A server that takes no old nonce refuses everybody once, and nobody twice.
#[tokio::test]
async fn through_reqwest_requests_at_once_survive_a_nonce_that_changes_with_one_more_attempt_each()
{
    let server = FakeAuthServer::builder()
        .client("id", "secret", testkit::ClientAuth::Basic)
        .dpop_required()
        .dpop_nonces()
        .start();
    let key = key().with_clock(SystemClock);
    let provider = ClientCredentialsProvider::builder("svc", &server.token_url())
        .client("id", ClientAuth::basic("secret"))
        .proof_of_possession(key.clone())
        .build()
        .unwrap();
    let route = Route::new(TokenManager::new(provider)).origin(server.url());
    let tokens = Tokens::new(TokenRoutes::new([route.presenter(key.presenter())]).unwrap());
    let send = || client().get(server.resource_url()).send_with_token(&tokens);
    assert_eq!(send().await.unwrap().status(), 200);
    server.rotate_dpop_nonces();
    server.reset_counters();

    let answers = tokio::join!(send(), send(), send(), send());

    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert!((5..=8).contains(&server.requests()), "{}", server.requests());
    assert_eq!(server.exchanges(), 0);
}

#[tokio::test]
async fn through_reqwest_a_redirect_elsewhere_takes_neither_token_nor_proof_along() {
    let (api, other) = (MockServer::start_async().await, MockServer::start_async().await);
    let to = other.url("/landing");
    api.mock(|when, then| {
        when.path("/start");
        then.status(307).header("location", &to);
    });
    let landed = other.mock(|when, then| {
        when.header_missing("authorization").header_missing("dpop");
        then.status(200).header("dpop-nonce", "planted");
    });
    let key = key();

    // The second brings a proof of its own making, for the first origin.
    for request in
        [client().get(api.url("/start")), client().get(api.url("/start")).header("dpop", "x")]
    {
        let answer = request.send_with_token(&tokens(&key, &api.base_url())).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    assert_eq!(landed.calls(), 2);
    assert_eq!(nonce_for(&key, &other.base_url()), None, "strangers say nothing about proofs");
}

#[tokio::test]
async fn through_reqwest_every_hop_has_a_proof_for_its_own_url() {
    let server = MockServer::start_async().await;
    server.mock(|when, then| {
        when.path("/start");
        then.status(303).header("location", "/end");
    });
    let proofs = keeping(&server);

    let request = client().post(server.url("/start"));
    request.send_with_token(&tokens(&key(), &server.base_url())).await.unwrap();

    let proof = proofs.lock().unwrap().pop().unwrap();
    assert_eq!(proof.claim("htu"), Some(server.url("/end").as_str()));
    assert_eq!(proof.claim("htm"), Some("GET"));
}

#[test]
fn a_client_of_reqwest_that_follows_redirects_itself_is_refused() {
    assert!(tokens(&key(), API).danger_client_follows_redirects().is_err());
}

#[tokio::test]
async fn the_bundled_transport_sends_the_proof_and_hears_of_nonces() {
    let server = MockServer::start_async().await;
    let with_nonce = |nonce: Option<&'static str>| {
        move |request: &HttpMockRequest| Proof::of(&request.headers()).nonce() == nonce
    };
    let first = server.mock(|when, then| {
        when.method(Method::POST).path("/token").is_true(with_nonce(None));
        let body = r#"{"error":"use_dpop_nonce"}"#;
        then.status(400).header("dpop-nonce", "n-1").body(body);
    });
    let second = server.mock(|when, then| {
        when.method(Method::POST).path("/token").is_true(with_nonce(Some("n-1")));
        then.status(200).body(BOUND);
    });
    let provider = ClientCredentialsProvider::builder("svc", &server.url("/token"))
        .client("id", ClientAuth::basic("secret"))
        .proof_of_possession(key())
        .build()
        .unwrap();

    let token = TokenManager::new(provider).token().await.unwrap();

    assert_eq!(token.authorization(), "DPoP at-1");
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

type Sent = Request<Full<Bytes>>;
/// Every URL that was asked, with the headers.
type Visits = Arc<Mutex<Vec<(String, HeaderMap)>>>;

fn get(url: &str) -> Sent {
    Request::get(url).body(Full::default()).unwrap()
}

/// All hosts of the world: `/start` leads elsewhere, and everything else wants the newest nonce.
fn world() -> (
    Visits,
    impl Service<Sent, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
) {
    let visits = Visits::default();
    let log = visits.clone();
    let service = tower::service_fn(move |request: Sent| {
        let mut log = log.lock().unwrap();
        log.push((request.uri().to_string(), request.headers().clone()));
        let mut answer = Response::new(Full::default());
        let newest = format!("n-{}", log.len());
        let wanted = format!("n-{}", log.len() - 1);
        if request.uri().path() == "/start" {
            *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            let to = "https://evil.example/landing".parse().unwrap();
            answer.headers_mut().insert(header::LOCATION, to);
        } else if request.headers().contains_key("dpop")
            && Proof::of(request.headers()).nonce() != Some(&wanted)
        {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
            *answer.headers_mut() = headers([("www-authenticate", WANTS_NONCE)]);
        }
        answer.headers_mut().insert("dpop-nonce", newest.parse().unwrap());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    (visits, service)
}

#[tokio::test]
async fn through_tower_nonces_of_refusals_and_of_successes_are_used() {
    let (visits, world) = world();
    let key = key();
    let layer = TokenLayer::new(TokenRoutes::new([route(&key, API)]).unwrap());
    let client = ServiceBuilder::new().layer(layer).service(world);

    for _ in 0..3 {
        let answer = client.clone().oneshot(get(&format!("{API}/a?b"))).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    let visits = visits.lock().unwrap();
    let proofs: Vec<Proof> = visits.iter().map(|(_, headers)| Proof::of(headers)).collect();
    let nonces: Vec<_> = proofs.iter().map(Proof::nonce).collect();
    assert_eq!(nonces, [None, Some("n-1"), Some("n-2"), Some("n-3")]);
    assert!(proofs.iter().all(|proof| proof.claim("htu") == Some("https://api.example.com/a")));
}

#[tokio::test]
async fn through_tower_a_redirect_elsewhere_takes_neither_token_nor_proof_along() {
    let (visits, world) = world();
    let layer = TokenLayer::new(TokenRoutes::new([route(&key(), API)]).unwrap());
    let client =
        ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer).service(world);

    client.oneshot(get(&format!("{API}/start"))).await.unwrap();

    let visits = visits.lock().unwrap();
    assert_eq!(visits.len(), 2);
    assert!(visits[0].1.contains_key("authorization") && visits[0].1.contains_key("dpop"));
    assert!(!visits[1].1.contains_key("authorization") && !visits[1].1.contains_key("dpop"));
}
