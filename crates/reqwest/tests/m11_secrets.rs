//! What is printed of the crate's types and errors shows no secret.

#![cfg(all(feature = "middleware", feature = "transport"))]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod setup;

use std::error::Error as _;

use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderValue};
use setup::{Way, client, manager_of, route_to, tokens};
use tokenkeeper::SystemClock;
use tokenkeeper_reqwest::{Attach, ClientTransport, Route, SendWithToken, TokenChoice, Tokens};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};

#[tokio::test]
async fn nothing_that_can_be_printed_holds_a_token_a_header_or_a_query() {
    let server = FakeAuthServer::start();
    let manager = manager_of(&server, SystemClock);
    let tokens = tokens([Route::new(manager.clone()).origin(server.url())]);
    let request = || {
        let request = client().get(server.resource_url() + "?key=planted#planted");
        request.header("cookie", "planted")
    };
    for way in Way::BOTH {
        way.send(&tokens, request()).await.unwrap();
    }
    let token = manager.token().await.unwrap();
    server.fail_next_at(Endpoint::Resource, 1, Fault::LostResponse);
    let lost = request().send_with_token(&tokens).await.unwrap_err();
    let foreign = client().get("http://127.0.0.1:1/?key=planted");
    let foreign = foreign.send_with_token(&tokens).await.unwrap_err();
    let headers =
        HeaderMap::from_iter([("x-key".parse().unwrap(), HeaderValue::from_static("planted"))]);
    let transport = ClientTransport::new(Client::builder().default_headers(headers)).unwrap();

    let mut shown = format!("{tokens:?}{tokens:#?}{transport:?}{:?}", TokenChoice::Of(manager));
    for error in [&lost, &foreign] {
        shown += &format!("{error}{error:?}{error:#?}");
        let mut cause = error.source();
        while let Some(next) = cause {
            shown += &format!("{next}{next:?}{next:#?}");
            cause = next.source();
        }
    }

    assert!(lost.to_string().contains("/api"), "{lost}"); // where it went is shown
    assert!(!shown.contains("planted"), "{shown}");
    assert!(!shown.contains(token.secret().expose_secret()), "{shown}");
}

#[test]
fn what_is_wrong_with_a_route_is_said_before_there_are_tokens() {
    let server = FakeAuthServer::start();
    let attach = Attach::new([route_to(&server).origin("http://api.example.com")]);

    assert!(attach.unwrap_err().to_string().contains("must be https"));
    assert!(
        format!("{:?}", Tokens::new(Attach::new([route_to(&server)]).unwrap())).contains("billing")
    );
}
