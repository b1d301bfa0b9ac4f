//! What is printed of the crate's types and errors shows no secret.

use std::error::Error;

use crate::setup::{Way, client, manager_of, route_to, tokens};
use crate::tls::{Authority, TlsServer};
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderValue};
use tokenkeeper::SystemClock;
use tokenkeeper_reqwest::{
    ClientTransport, Route, SendWithToken, TokenChoice, TokenRoutes, Tokens,
};
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
    shown += &(shown_of(&lost) + &shown_of(&foreign));

    assert!(lost.to_string().contains("/api"), "{lost}"); // where it went is shown
    assert!(!shown.contains("planted"), "{shown}");
    assert!(!shown.contains(token.secret().expose_secret()), "{shown}");
}

fn shown_of(error: &(dyn Error + 'static)) -> String {
    let cause = error.source().map(shown_of).unwrap_or_default();
    format!("{error}{error:?}{error:#?}{cause}")
}

#[tokio::test]
async fn a_password_in_a_url_that_a_redirect_led_to_is_not_shown() {
    let server = FakeAuthServer::start();
    let location = "http://planted:planted@127.0.0.1:1/there?planted";
    let headers = vec![("location".to_owned(), location.to_owned())];
    let moved = Fault::Answer { status: 302, headers, body: Vec::new() };
    server.fail_next_at(Endpoint::Resource, 1, moved);

    let request = client().get(server.resource_url());
    let lost = request.send_with_token(&tokens([route_to(&server)])).await.unwrap_err();

    let shown = shown_of(&lost);
    assert!(shown.contains("/there") && !shown.contains("planted"), "{shown}");
}

/// Its error has another one in it, with the URL that it did not want.
#[tokio::test]
async fn what_a_client_that_follows_redirects_says_of_them_is_not_shown() {
    let authority = Authority::new();
    let answer = "HTTP/1.1 302 Moved\r\nlocation: http://a:planted@b.test/?planted\r\n\
                  content-length: 0\r\n\r\n";
    let server = TlsServer::start(&authority, None, answer.to_owned()).await;
    let origin = format!("https://localhost:{}", server.port);
    let manager = manager_of(&FakeAuthServer::start(), SystemClock);
    let tokens = tokens([Route::new(manager).origin(&origin)]);
    let client = Client::builder().no_proxy().tls_certs_only([authority.certificate()]);
    let client = client.https_only(true).build().unwrap();

    let choice = TokenChoice::Without;
    let lost = client.get(origin).send_with_choice(&tokens, choice).await.unwrap_err();

    let shown = shown_of(&lost);
    assert!(shown.contains("redirect") && !shown.contains("planted"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_route_is_said_before_there_are_tokens() {
    let server = FakeAuthServer::start();
    let routes = TokenRoutes::new([route_to(&server).origin("http://api.example.com")]);

    assert!(routes.unwrap_err().to_string().contains("must be https"));
    assert!(
        format!("{:?}", Tokens::new(TokenRoutes::new([route_to(&server)]).unwrap()))
            .contains("billing")
    );
}
