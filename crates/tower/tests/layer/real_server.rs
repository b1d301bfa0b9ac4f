//! hyper's client with tokens, against a server that issues and checks them.

use std::collections::HashMap;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokenkeeper::TokenManager;
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::FakeAuthServer;
use tokenkeeper_tower::{Route, TokenLayer, TokenRoutes, TokenService};
use tower::{Layer, ServiceExt};

type HyperClient = Client<HttpConnector, Full<Bytes>>;

fn client(server: &FakeAuthServer) -> (TokenManager, TokenService<HyperClient>) {
    let provider = ClientCredentialsProvider::builder("fake", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()
        .unwrap();
    let manager = TokenManager::new(provider);
    let routes = TokenRoutes::new([Route::new(manager.clone()).origin(server.url())]).unwrap();
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    (manager, TokenLayer::new(routes).layer(hyper))
}

fn post(url: String) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::from("a body")).unwrap()
}

#[tokio::test]
async fn m01_five_hundred_requests_with_a_revoked_token_succeed_with_one_exchange() {
    let server = FakeAuthServer::start();
    let (manager, client) = client(&server);
    manager.token().await.unwrap();
    server.revoke_all_access_tokens();

    let calls = (0..CALLS).map(|number| {
        tokio::spawn(client.clone().oneshot(post(format!("{}/{number}", server.resource_url()))))
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }

    assert_eq!(server.exchanges(), 2, "the first token, and its replacement");
    let mut attempts = HashMap::<String, usize>::new();
    let received = server.received();
    for request in received.iter().filter(|request| request.path() != "/token") {
        assert_eq!(request.body(), b"a body");
        *attempts.entry(request.path().to_owned()).or_default() += 1;
    }
    assert_eq!(attempts.len(), CALLS);
    assert!(attempts.values().all(|attempts| (1..=2).contains(attempts)), "{attempts:?}");
}

#[tokio::test]
async fn a_cold_start_of_many_requests_makes_one_exchange() {
    let server = FakeAuthServer::start();
    let (_, client) = client(&server);

    let calls = (0..50).map(|_| tokio::spawn(client.clone().oneshot(post(server.resource_url()))));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }

    assert_eq!((server.exchanges(), server.stats().resource(200)), (1, 50));
}

#[tokio::test]
async fn m14_a_missing_scope_is_the_callers_and_costs_nothing() {
    let server = FakeAuthServer::builder().allowed_scopes("read").start();
    let (_, client) = client(&server);

    let url = format!("{}/scoped/write", server.resource_url());
    let answer = client.oneshot(post(url)).await.unwrap();

    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!((server.exchanges(), server.stats().resource(403)), (1, 1));
}

const CALLS: usize = 500;
