//! The synchronous clients are served, and the revoked token is replaced once.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../sync_clients.rs"]
#[expect(dead_code, reason = "the test does not need its main")]
mod sync_clients;

use http::{Method, Request};
use tokenkeeper::TokenManager;
use tokenkeeper_http::{Route, TokenRoutes};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault, ScriptedProvider};

#[test]
fn every_request_of_every_thread_is_answered_200_with_one_exchange_more_after_a_revocation() {
    assert_eq!(sync_clients::tour().unwrap(), (400, 2));
}

#[test]
fn neither_client_follows_a_redirect_with_the_token() {
    let (api, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
    let manager = TokenManager::new(ScriptedProvider::new("inventory"));
    let routes = TokenRoutes::new([Route::new(manager).origin(api.url())]).unwrap();
    let to = |location: String| Fault::Answer {
        status: 302,
        headers: vec![("location".to_owned(), location)],
        body: Vec::new(),
    };
    api.fail_next_at(Endpoint::Resource, 2, to(stranger.resource_url()));
    stranger.fail_next_at(Endpoint::Resource, 2, to(stranger.resource_url()));

    let request = Request::get(api.resource_url()).body("").unwrap();
    let by_ureq = sync_clients::send_with_ureq(&sync_clients::agent(), &routes, request).unwrap();
    let client = sync_clients::client().unwrap();
    let request = reqwest::blocking::Request::new(Method::GET, api.resource_url().parse().unwrap());
    let by_reqwest = sync_clients::send_with_reqwest(&client, &routes, request).unwrap();

    assert_eq!((by_ureq.status().as_u16(), by_reqwest.status().as_u16()), (302, 302));
    assert_eq!((api.requests(), stranger.requests()), (2, 0));
}
