//! One API cannot have another act in our name: a redirect takes no token from route to route, unless
//! the other route says so, and only for requests with a safe method.

use reqwest::Method;
use tokenkeeper::SystemClock;
use tokenkeeper_reqwest::{Route, TokenChoice};
use tokenkeeper_testkit::FakeAuthServer;

use crate::redirects::redirect_next;
use crate::setup::{Way, at_resource, bearing, client, manager_of, route_to, tokens};

#[tokio::test]
async fn a_request_that_another_api_redirected_here_gets_no_token() {
    for way in Way::BOTH {
        for (method, status) in [(Method::DELETE, 307), (Method::GET, 302), (Method::POST, 303)] {
            for choose_user in [false, true] {
                let (first, second) = (FakeAuthServer::start(), FakeAuthServer::start());
                let tokens = tokens([route_to(&first), route_to(&second)]);
                redirect_next(&first, status, &second.resource_url());
                let choice = match choose_user {
                    true => TokenChoice::Of(manager_of(&first, SystemClock)),
                    false => TokenChoice::OfRoute,
                };

                let request = client().request(method.clone(), first.resource_url());
                let answer = way.send_with(&tokens, request, choice).await.unwrap();

                let case = format!("{way:?}: {method}, {status}, {choose_user}");
                assert_eq!(answer.status(), 401, "{case}");
                assert_eq!((at_resource(&second).len(), second.exchanges()), (1, 0), "{case}");
                assert_eq!(bearing(&second, "authorization"), 0, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_route_that_accepts_redirects_gives_its_own_token_to_requests_with_a_safe_method() {
    let table = [
        (Method::GET, 302, true),
        (Method::HEAD, 307, true),
        (Method::POST, 303, true),
        (Method::POST, 307, false),
        (Method::PUT, 308, false),
        (Method::DELETE, 307, false),
    ];
    for way in Way::BOTH {
        for (method, status, has_token) in &table {
            let (first, second) = (FakeAuthServer::start(), FakeAuthServer::start());
            let tokens = tokens([route_to(&first), route_to(&second).accept_redirects()]);
            redirect_next(&first, *status, &second.resource_url());

            let request = client().request(method.clone(), first.resource_url());
            let answer = way.send(&tokens, request).await.unwrap();

            let case = format!("{way:?}: {method} {status}");
            assert_eq!(answer.status(), if *has_token { 200 } else { 401 }, "{case}");
            assert_eq!(second.exchanges(), usize::from(*has_token), "{case}");
            assert_eq!(bearing(&second, "authorization"), usize::from(*has_token), "{case}");
        }
    }
}

#[tokio::test]
async fn the_token_of_the_service_never_takes_the_place_of_the_users_that_was_chosen() {
    for way in Way::BOTH {
        let (first, second) = (FakeAuthServer::start(), FakeAuthServer::start());
        let tokens =
            tokens([route_to(&first).accept_redirects(), route_to(&second).accept_redirects()]);
        redirect_next(&first, 307, &second.resource_url());
        redirect_next(&second, 307, &(first.resource_url() + "/back"));

        let alice = manager_of(&first, SystemClock);
        let request = client().get(first.resource_url());
        let answer = way.send_with(&tokens, request, TokenChoice::Of(alice.clone())).await.unwrap();

        assert_eq!(answer.status(), 200, "{way:?}");
        let of_alice = format!("Bearer {}", alice.peek().unwrap().secret().expose_secret());
        let seen: Vec<_> = at_resource(&first)
            .iter()
            .map(|request| request.header("authorization").map(str::to_owned))
            .collect();
        assert_eq!(seen, [Some(of_alice.clone()), Some(of_alice)], "{way:?}");
        assert_eq!((second.exchanges(), bearing(&second, "authorization")), (0, 0), "{way:?}");
    }
}

/// B is asked without a token, and redirects: what it asks of A, or of itself, is what A chose.
#[tokio::test]
async fn behind_a_request_that_got_no_token_none_gets_one() {
    for way in Way::BOTH {
        for back in [false, true] {
            let (first, second) = (FakeAuthServer::start(), FakeAuthServer::start());
            let tokens = tokens([route_to(&first), route_to(&second)]);
            let last = if back { &first } else { &second };
            redirect_next(&first, 307, &second.resource_url());
            redirect_next(&second, 307, &(last.resource_url() + "/last"));

            let answer = way.send(&tokens, client().get(first.resource_url())).await.unwrap();

            assert_eq!(answer.status(), 401, "{way:?}: {back}");
            assert_eq!(bearing(&first, "authorization"), 1, "{way:?}: {back}");
            assert_eq!(bearing(&second, "authorization"), 0, "{way:?}: {back}");
        }
    }
}

#[tokio::test]
async fn the_origins_of_one_route_share_its_token_whatever_the_method() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let port = server.url().rsplit_once(':').unwrap().1.to_owned();
        let by_name = format!("http://localhost:{port}");
        let tokens = tokens([route_to(&server).origin(&by_name)]);
        redirect_next(&server, 307, &(by_name + "/api"));

        let answer = way.send(&tokens, client().put(server.resource_url())).await.unwrap();

        assert_eq!((answer.status().as_u16(), bearing(&server, "authorization")), (200, 2));
    }
}

#[tokio::test]
async fn a_host_header_that_names_another_server_is_refused() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([route_to(&server), Route::per_request().origin("https://b.test")]);

        let request = client().get(server.resource_url()).header("host", "b.test");
        let failed = way.send(&tokens, request).await.unwrap_err();

        assert_eq!(failed.token_error().kind(), tokenkeeper::ErrorKind::Config, "{way:?}");
        assert!(failed.to_string().contains("b.test"), "{failed}");
        assert!(at_resource(&server).is_empty(), "{way:?}");
    }
}
