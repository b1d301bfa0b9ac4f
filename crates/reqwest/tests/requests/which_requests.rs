//! Which requests get a token, and that none goes out without one that should have it.

use std::fmt;

use crate::setup::{Way, at_resource, bearing, chain, client, manager_of, route_to, tokens};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tokenkeeper::{ErrorKind, Recovery, SystemClock, async_trait};
use tokenkeeper_reqwest::{CustomHeader, Route, SendWithToken, TokenChoice, token_error};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault, RetryAfter};

#[tokio::test]
async fn each_service_gets_the_tokens_of_its_own_manager() {
    for way in Way::BOTH {
        let (billing, stock) = (FakeAuthServer::start(), FakeAuthServer::start());
        let (tokens, client) = (tokens([route_to(&billing), route_to(&stock)]), client());

        for server in [&billing, &stock] {
            let answer = way.send(&tokens, client.get(server.resource_url())).await.unwrap();
            assert_eq!(answer.status(), 200, "{way:?}");
        }

        assert_eq!((billing.exchanges(), stock.exchanges()), (1, 1), "{way:?}");
    }
}

#[tokio::test]
async fn a_token_for_an_origin_on_no_route_is_refused_and_the_message_has_no_query() {
    let (ours, theirs) = (FakeAuthServer::start(), FakeAuthServer::start());
    let tokens = tokens([route_to(&ours)]);

    let request = client().get(theirs.resource_url() + "/path?key=planted#planted");
    let error = request.send_with_token(&tokens).await.unwrap_err();

    let inner = error.token_error().unwrap();
    assert_eq!((inner.kind(), inner.recovery()), (ErrorKind::Config, Recovery::FixRequest));
    assert_eq!(
        error.to_string(),
        format!(
            "no route has the origin {}; put it on a route, or send the request without a token",
            theirs.url()
        )
    );
    assert!(!format!("{error:?}{error:#?}").contains("planted"));
    assert_eq!((ours.requests(), theirs.requests()), (0, 0));
}

#[tokio::test]
async fn the_middleware_passes_requests_to_other_hosts_as_they_are() {
    let (ours, theirs) = (FakeAuthServer::start(), FakeAuthServer::start());
    theirs.fail_next_at(Endpoint::Resource, 1, Fault::Status(401, "theirs".to_owned()));
    let chain = chain(client(), &tokens([route_to(&ours)]));

    let answer = chain.get(theirs.resource_url()).send().await.unwrap();

    assert_eq!(answer.status(), 401);
    assert_eq!(answer.text().await.unwrap(), "theirs");
    assert_eq!((theirs.requests(), bearing(&theirs, "authorization"), ours.requests()), (1, 0, 0));
}

#[tokio::test]
async fn a_request_that_wants_no_token_gets_none() {
    for way in Way::BOTH {
        let (ours, theirs) = (FakeAuthServer::start(), FakeAuthServer::start());
        let (tokens, client) = (tokens([route_to(&ours)]), client());

        for server in [&ours, &theirs] {
            let request = client.get(server.resource_url());
            let answer = way.send_with(&tokens, request, TokenChoice::Without).await.unwrap();
            assert_eq!(answer.status(), 401);
            assert_eq!((server.requests(), bearing(server, "authorization")), (1, 0), "{way:?}");
        }
    }
}

#[tokio::test]
async fn excluded_paths_get_no_token_and_their_neighbours_do() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let route = route_to(&server).exclude_path("/api/health").exclude_glob("/api/public/*");
        let (tokens, client) = (tokens([route]), client());

        for (path, status) in
            [("/health?x=1", 401), ("/public/a/b", 401), ("/healthy", 200), ("/publicity", 200)]
        {
            let request = client.get(server.resource_url() + path);
            let answer = way.send(&tokens, request).await.unwrap();
            assert_eq!(answer.status(), status, "{way:?}: {path}");
        }
    }
}

#[tokio::test]
async fn a_header_that_is_there_is_left_alone_and_its_401_too() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([route_to(&server)]);

        let request = client().get(server.resource_url()).bearer_auth("of the caller");
        let answer = way.send(&tokens, request).await.unwrap();

        assert_eq!(answer.status(), 401);
        let last = server.last_request().unwrap();
        assert_eq!(last.header("authorization").unwrap(), "Bearer of the caller");
        assert_eq!((server.exchanges(), server.requests()), (0, 1), "{way:?}");
    }
}

#[tokio::test]
async fn a_user_name_in_the_url_is_a_header_that_is_there() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([route_to(&server)]);

        let url = server.resource_url().replace("http://", "http://user:planted@");
        way.send(&tokens, client().get(url)).await.unwrap();

        let last = server.last_request().unwrap();
        assert!(last.header("authorization").unwrap().starts_with("Basic "), "{way:?}");
    }
}

#[tokio::test]
async fn a_custom_header_takes_the_token_where_the_service_wants_it() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let route = route_to(&server).presenter(CustomHeader::new("x-api-key", "").unwrap());
        let tokens = tokens([route]);

        way.send(&tokens, client().get(server.resource_url())).await.unwrap();

        let last = server.last_request().unwrap();
        assert!(server.is_live(last.header("x-api-key").unwrap()), "{way:?}");
        assert!(last.header("authorization").is_none(), "{way:?}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_error_says_when_to_come_back() {
    for way in Way::BOTH {
        let (api, auth) = (FakeAuthServer::start(), FakeAuthServer::start());
        auth.fail_next(1, Fault::Unavailable(Some(RetryAfter::Seconds(20))));
        let route = Route::new(manager_of(&auth, SystemClock)).origin(api.url());
        let tokens = tokens([route]);

        let failed = way.send(&tokens, client().get(api.resource_url())).await.unwrap_err();

        let error = failed.token_error();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{way:?}");
        let after = error.retry_after().unwrap().as_secs();
        assert!((19..=30).contains(&after), "{way:?}: {after}");
        assert_eq!(error.service_name(), Some("billing"));
        assert_eq!(api.requests(), 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_request_that_does_not_say_whose_token_it_gets_is_not_sent() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([Route::per_request().origin(server.url())]);

        let failed = way.send(&tokens, client().get(server.resource_url())).await.unwrap_err();

        assert_eq!(failed.token_error().kind(), ErrorKind::Config);
        assert_eq!(server.requests(), 0, "{way:?}");
    }
}

#[tokio::test]
async fn an_error_of_the_chain_is_not_taken_for_one_about_the_token() {
    let server = FakeAuthServer::start();
    let tokens = tokens([route_to(&server)]);
    let manager_works = Way::Extension.send(&tokens, client().get(server.resource_url())).await;
    server.fail_next_at(Endpoint::Resource, 2, Fault::LostResponse);

    let by_chain = chain(client(), &tokens).get(server.resource_url()).send().await.unwrap_err();
    let request = client().get(server.resource_url() + "?key=planted");
    let by_extension = request.send_with_token(&tokens).await.unwrap_err();

    assert!(manager_works.is_ok());
    assert!(token_error(&by_chain).is_none() && !by_chain.is_middleware());
    assert!(!by_extension.is_token_error() && by_extension.retry_after().is_none());
    let shown = format!("{by_extension} {by_extension:?} {by_extension:#?}");
    assert!(shown.contains("/api") && !shown.contains("planted"), "{shown}");
    assert_eq!(at_resource(&server).len(), 3);
}

/// Tries once more, and says how often it did, as retrying middleware does.
struct Retrying;

#[derive(Debug)]
struct AfterRetries(reqwest_middleware::Error);

impl fmt::Display for AfterRetries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed after 1 retry")
    }
}

impl std::error::Error for AfterRetries {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[async_trait]
impl Middleware for Retrying {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, reqwest_middleware::Error> {
        let failed = next.run(request, extensions).await;
        failed.map_err(|error| reqwest_middleware::Error::middleware(AfterRetries(error)))
    }
}

#[tokio::test]
async fn an_error_about_the_token_is_found_in_that_of_an_outer_middleware() {
    let server = FakeAuthServer::start();
    let tokens = tokens([route_to(&server)]);
    let chain = ClientBuilder::new(client()).with(Retrying).with(tokens).build();
    server.fail_next(1, Fault::Unavailable(None));

    let about_token = chain.get(server.resource_url()).send().await.unwrap_err();
    server.heal();
    let about_request = chain.get("http://127.0.0.1:1/").send().await.unwrap_err();

    assert_eq!(token_error(&about_token).unwrap().kind(), ErrorKind::Unavailable);
    assert!(about_request.is_middleware() && token_error(&about_request).is_none());
}
