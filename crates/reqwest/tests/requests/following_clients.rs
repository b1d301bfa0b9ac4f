//! Clients that follow redirects themselves: an error by default, and what is left of safety where
//! somebody wants one.

use crate::setup::{Way, at_resource, bearing, route_to, tokens};
use reqwest::Client;
use tokenkeeper::{ErrorKind, Recovery};
use tokenkeeper_reqwest::{CustomHeader, TokenChoice, Tokens};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};

fn following() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn redirect_next(server: &FakeAuthServer, status: u16, location: &str) {
    let headers = vec![("location".to_owned(), location.to_owned())];
    let fault = Fault::Answer { status, headers, body: Vec::new() };
    server.fail_next_at(Endpoint::Resource, 1, fault);
}

fn dangerous(server: &FakeAuthServer) -> Tokens {
    tokens([route_to(server)]).danger_client_follows_redirects().unwrap()
}

#[tokio::test]
async fn a_client_that_follows_redirects_unasked_is_an_error_that_says_how_to_make_one() {
    for way in Way::BOTH {
        for header in ["authorization", "x-api-key"] {
            for elsewhere in [false, true] {
                let (api, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
                let presenter = CustomHeader::new(header, "").unwrap();
                let tokens = tokens([route_to(&api).presenter(presenter)]);
                let there = if elsewhere { stranger.resource_url() } else { "/api/".to_owned() };
                redirect_next(&api, 302, &(there + "?key=planted"));

                let request = following().get(api.resource_url() + "?key=planted");
                let failed = way.send(&tokens, request).await.unwrap_err();

                let error = failed.token_error();
                assert_eq!(error.kind(), ErrorKind::RequestRejected, "{way:?}: {header}");
                assert_eq!(error.recovery(), Recovery::FixRequest);
                let said = failed.to_string();
                assert!(said.contains("followed a redirect of 127.0.0.1 by itself"), "{said}");
                assert!(said.ends_with("tokenkeeper_reqwest::without_redirects"), "{said}");
                assert!(!format!("{failed:?}{failed}").contains("planted"), "{failed:?}");
            }
        }
    }
}

#[tokio::test]
async fn requests_without_a_token_may_be_redirected_by_the_client() {
    for way in Way::BOTH {
        let api = FakeAuthServer::start();
        let tokens = tokens([route_to(&api)]);
        redirect_next(&api, 302, "/api/moved");

        let request = following().get(api.resource_url());
        let answer = way.send_with(&tokens, request, TokenChoice::Without).await.unwrap();

        assert_eq!(answer.status(), 401, "{way:?}");
        assert_eq!(api.last_request().unwrap().path(), "/api/moved");
    }
}

#[test]
fn a_token_in_another_header_is_refused_with_a_client_that_follows_redirects() {
    let server = FakeAuthServer::start();
    let presenter = CustomHeader::new("x-api-key", "").unwrap();
    let tokens =
        tokens([route_to(&server), route_to(&FakeAuthServer::start()).presenter(presenter)]);

    let error = tokens.danger_client_follows_redirects().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`x-api-key`"), "{error}");
}

#[tokio::test]
async fn credentials_that_the_client_would_take_to_any_host_are_refused_beside_a_token() {
    for way in Way::BOTH {
        let api = FakeAuthServer::start();
        let (tokens, client) = (dangerous(&api), following());

        let request = client.get(api.resource_url()).header("x-api-key", "planted");
        let failed = way.send(&tokens, request).await.unwrap_err();
        let plain = client.get(api.resource_url()).header("cookie", "a=b").header("accept", "a/b");
        let answer = way.send(&tokens, plain).await.unwrap();

        assert_eq!(failed.token_error().kind(), ErrorKind::Config, "{way:?}");
        assert!(failed.to_string().contains("`x-api-key`"), "{failed}");
        assert!(!format!("{failed:?}{failed}").contains("planted"), "{failed:?}");
        assert_eq!((answer.status().as_u16(), at_resource(&api).len()), (200, 1), "{way:?}");
    }
}

#[tokio::test]
async fn a_401_of_another_origin_says_nothing_about_the_token() {
    for way in Way::BOTH {
        let (api, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
        let tokens = dangerous(&api);
        redirect_next(&api, 307, &stranger.resource_url());

        let answer = way.send(&tokens, following().get(api.resource_url())).await.unwrap();

        assert_eq!(answer.status(), 401, "{way:?}");
        assert_eq!((api.exchanges(), at_resource(&api).len()), (1, 1), "{way:?}");
        assert_eq!((stranger.requests(), bearing(&stranger, "authorization")), (1, 0), "{way:?}");
    }
}

#[tokio::test]
async fn a_401_behind_a_redirect_repeats_nothing_that_may_have_been_done() {
    for way in Way::BOTH {
        for (is_get, asked) in [(true, 4), (false, 2)] {
            let api = FakeAuthServer::start();
            let (tokens, client) = (dangerous(&api), following());
            way.send(&tokens, client.get(api.resource_url())).await.unwrap();
            api.revoke_all_access_tokens();
            api.reset_counters();
            redirect_next(&api, 303, "/api/receipt");
            // The replay is redirected too.
            api.fail_next_at(Endpoint::Resource, 1, Fault::Status(401, String::new()));
            redirect_next(&api, 303, "/api/receipt");

            let request = match is_get {
                true => client.get(api.resource_url()),
                false => client.post(api.resource_url()),
            };
            let answer = way.send(&tokens, request).await.unwrap();

            let status = if is_get { 200 } else { 401 };
            assert_eq!(answer.status(), status, "{way:?}");
            assert_eq!(at_resource(&api).len(), asked, "{way:?}");
            api.heal();
            let next = way.send(&tokens, client.get(api.resource_url())).await.unwrap();
            assert_eq!((next.status().as_u16(), api.exchanges()), (200, 1), "{way:?}");
        }
    }
}

/// A form that is posted, and answers with a redirect to itself: the answer looks like one to the
/// request that was asked.
#[tokio::test]
async fn a_401_behind_a_redirect_to_the_same_url_repeats_nothing_that_may_have_been_done() {
    for way in Way::BOTH {
        let api = FakeAuthServer::start();
        let (tokens, client) = (dangerous(&api), following());
        redirect_next(&api, 303, "/api");
        api.fail_next_at(Endpoint::Resource, 1, Fault::Status(401, String::new()));

        let answer = way.send(&tokens, client.post(api.resource_url())).await.unwrap();

        assert_eq!(answer.status(), 401, "{way:?}");
        let received = at_resource(&api);
        let methods: Vec<_> = received.iter().map(|one| one.method().as_str()).collect();
        assert_eq!(methods, ["POST", "GET"], "{way:?}");
        let next = way.send(&tokens, client.get(api.resource_url())).await.unwrap();
        assert_eq!((next.status().as_u16(), api.exchanges()), (200, 2), "{way:?}");
    }
}

/// Why it is called a danger. If this fails, `reqwest` has mended it: then say so in the
/// documentation of `danger_client_follows_redirects`.
#[tokio::test]
async fn reqwest_puts_the_token_back_when_a_stranger_redirects_to_itself() {
    let (api, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
    redirect_next(&api, 302, &stranger.resource_url());
    redirect_next(&stranger, 302, "/api/again");

    let request = following().get(api.resource_url());
    Way::Extension.send(&dangerous(&api), request).await.unwrap();

    let received = at_resource(&stranger);
    let bears: Vec<bool> =
        received.iter().map(|request| request.header("authorization").is_some()).collect();
    assert_eq!(bears, [false, true]);
}
