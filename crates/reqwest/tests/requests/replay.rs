//! After a 401 a request is sent once more, as it was, with another token; or not at all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::setup::{Way, at_resource, client, manager_of, route_to, tokens};
use bytes::Bytes;
use http::Extensions;
use http_body_util::Full;
use reqwest::{Body, Method, Request, Response, Version};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tokenkeeper::{Clock, SystemClock, async_trait};
use tokenkeeper_reqwest::{Route, TokenChoice};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};
use tokio::task::JoinSet;

fn unauthorized(headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Fault::Answer { status: 401, headers: headers.collect(), body: body.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_requests_with_a_revoked_token_all_succeed_after_one_exchange() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let (tokens, client) = (tokens([route_to(&server)]), client());
        let url = server.resource_url();
        assert_eq!(way.send(&tokens, client.get(&url)).await.unwrap().status(), 200);
        server.revoke_all_access_tokens();
        server.reset_counters();

        let mut requests = JoinSet::new();
        for _ in 0..500 {
            let (tokens, request) = (tokens.clone(), client.get(&url));
            requests.spawn(async move { way.send(&tokens, request).await.unwrap().status() });
        }
        let statuses = requests.join_all().await;

        assert!(statuses.iter().all(|status| *status == 200), "{way:?}: {statuses:?}");
        assert_eq!(server.exchanges(), 1, "{way:?}: {}", server.stats());
        let refused = server.stats().resource(401);
        assert!((1..=500).contains(&refused), "{way:?}: {}", server.stats());
        assert_eq!(at_resource(&server).len(), 500 + refused, "{way:?}: {}", server.stats());
    }
}

#[tokio::test]
async fn a_replay_differs_from_its_request_in_the_token_alone() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([route_to(&server)]);
        server.fail_next_at(Endpoint::Resource, 1, unauthorized(&[], ""));

        let request = client()
            .request(Method::PATCH, server.resource_url() + "/a%20b;c/?q=%C3%A4&q=2&empty#part")
            .header("x-first", "1")
            .header("accept-language", "de")
            .header("x-first", "2")
            .header("cookie", "a=b")
            .header("x-last", "z")
            .timeout(Duration::from_secs(60))
            .body(vec![0, 159, 146, 150]);
        let answer = way.send(&tokens, request).await.unwrap();

        assert_eq!(answer.status(), 200);
        let [first, second] = &at_resource(&server)[..] else { panic!("{}", server.stats()) };
        assert_eq!(first.method(), second.method());
        assert_eq!((first.path(), first.query()), (second.path(), second.query()));
        assert_eq!(second.query().unwrap(), "q=%C3%A4&q=2&empty");
        assert_eq!(first.body(), second.body());
        assert_eq!(second.body(), [0, 159, 146, 150]);
        let lines = |request: &tokenkeeper_testkit::ReceivedRequest| -> Vec<(String, Vec<u8>)> {
            let lines = request.headers().iter();
            lines.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
        };
        let (mut first, mut second) = (lines(first), lines(second));
        let token_in = |lines: &mut Vec<(String, Vec<u8>)>| {
            let at = lines.iter().position(|(name, _)| name == "authorization").unwrap();
            (at, lines.remove(at).1)
        };
        let ((at, token), (at_then, token_then)) = (token_in(&mut first), token_in(&mut second));
        assert_eq!(first, second, "{way:?}");
        assert_eq!(at, at_then, "{way:?}");
        assert_ne!(token, token_then, "{way:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_not_sent_twice_and_the_next_request_has_another_token() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let (tokens, client) = (tokens([route_to(&server)]), client());
        let url = server.resource_url();
        way.send(&tokens, client.get(&url)).await.unwrap();
        server.revoke_all_access_tokens();
        server.reset_counters();

        let stream = Body::wrap(Full::new(Bytes::from_static(b"once")));
        let refused = way.send(&tokens, client.post(&url).body(stream)).await.unwrap();
        let (status, exchanges, sent) =
            (refused.status(), server.exchanges(), at_resource(&server).len());
        let challenge = refused.headers().contains_key("www-authenticate");
        let body = refused.text().await.unwrap();
        let next = way.send(&tokens, client.get(&url)).await.unwrap();

        assert_eq!((status.as_u16(), exchanges, sent), (401, 0, 1), "{way:?}");
        assert!(challenge && body.contains("invalid_token"), "{way:?}: {body}");
        assert_eq!((next.status().as_u16(), server.exchanges()), (200, 1), "{way:?}");
        assert_eq!(server.stats().resource(401), 1, "{way:?}: {}", server.stats());
    }
}

#[tokio::test]
async fn an_answer_that_is_not_about_the_token_comes_back_as_it_is_and_costs_no_exchange() {
    let insufficient = r#"Bearer realm="api", error="insufficient_scope", scope="admin""#;
    let table = [
        (
            Fault::Answer {
                status: 403,
                headers: vec![("www-authenticate".to_owned(), insufficient.to_owned())],
                body: b"original".to_vec(),
            },
            403,
        ),
        (unauthorized(&[("www-authenticate", insufficient)], "original"), 401),
        (unauthorized(&[("retry-after", "30")], "original"), 401),
    ];
    for way in Way::BOTH {
        for (fault, status) in &table {
            let server = FakeAuthServer::start();
            let tokens = tokens([route_to(&server)]);
            server.fail_next_at(Endpoint::Resource, 1, fault.clone());

            let answer = way.send(&tokens, client().get(server.resource_url())).await.unwrap();

            assert_eq!(answer.status(), *status);
            assert_eq!(answer.text().await.unwrap(), "original");
            assert_eq!((server.exchanges(), at_resource(&server).len()), (1, 1), "{way:?}");
        }
    }
}

#[tokio::test]
async fn without_another_token_the_caller_gets_the_first_401_whole() {
    for way in Way::BOTH {
        for fault in [Fault::Unavailable(None), Fault::SameAccessToken] {
            let server = FakeAuthServer::start();
            let (tokens, client) = (tokens([route_to(&server)]), client());
            let url = server.resource_url();
            way.send(&tokens, client.get(&url)).await.unwrap();
            server.reset_counters();
            server.fail_next(1, fault.clone());
            let refusal = unauthorized(&[("x-trace", "17")], "original");
            server.fail_next_at(Endpoint::Resource, 1, refusal);

            let answer = way.send(&tokens, client.get(&url)).await.unwrap();

            assert_eq!(answer.status(), 401, "{way:?}, {fault:?}");
            assert_eq!(answer.headers().get("x-trace").unwrap(), "17");
            assert_eq!(answer.text().await.unwrap(), "original");
            assert_eq!((server.exchanges(), at_resource(&server).len()), (1, 1), "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_second_401_is_the_answer() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let tokens = tokens([route_to(&server)]);
        server.fail_next_at(Endpoint::Resource, 1, unauthorized(&[], "first"));
        server.fail_next_at(Endpoint::Resource, 5, unauthorized(&[], "second"));

        let answer = way.send(&tokens, client().get(server.resource_url())).await.unwrap();

        assert_eq!(answer.status(), 401);
        assert_eq!(answer.text().await.unwrap(), "second");
        assert_eq!((server.exchanges(), at_resource(&server).len()), (2, 2), "{way:?}");
    }
}

#[tokio::test]
async fn a_route_without_replay_sends_once_and_has_another_token_for_the_next_request() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let (tokens, client) = (tokens([route_to(&server).without_replay()]), client());
        server.fail_next_at(Endpoint::Resource, 1, unauthorized(&[], ""));

        let refused = way.send(&tokens, client.get(server.resource_url())).await.unwrap();
        let next = way.send(&tokens, client.get(server.resource_url())).await.unwrap();

        assert_eq!((refused.status().as_u16(), next.status().as_u16()), (401, 200));
        assert_eq!((server.exchanges(), at_resource(&server).len()), (2, 2), "{way:?}");
    }
}

#[tokio::test]
async fn the_token_that_is_replaced_is_that_of_the_requests_own_manager() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        let alice = manager_of(&server, SystemClock);
        let route = Route::per_request().origin(server.url());
        let tokens = tokens([route]);
        let before = alice.token().await.unwrap();
        server.revoke_access(before.secret().expose_secret());

        let request = client().get(server.resource_url());
        let answer = way.send_with(&tokens, request, TokenChoice::Of(alice.clone())).await.unwrap();

        assert_eq!(answer.status(), 200);
        let after = alice.token().await.unwrap();
        let last = server.last_request().unwrap();
        let sent = last.header("authorization").unwrap();
        assert_eq!(sent, format!("Bearer {}", after.secret().expose_secret()), "{way:?}");
        assert_eq!(server.exchanges(), 2, "{way:?}");
    }
}

/// Says 401 to everything, a while later, and notes how much time and which version it was given.
#[derive(Clone, Default)]
struct Slow {
    asked: Arc<Mutex<Vec<(Duration, Version)>>>,
}

#[async_trait]
impl Middleware for Slow {
    async fn handle(
        &self,
        request: Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> Result<Response, reqwest_middleware::Error> {
        self.asked.lock().unwrap().push((*request.timeout().unwrap(), request.version()));
        SystemClock.sleep(A_WHILE).await;
        let answer = http::Response::builder().status(401).body("").unwrap();
        Ok(answer.into())
    }
}

const A_WHILE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_replay_has_the_version_and_the_time_that_the_first_attempt_left() {
    let server = FakeAuthServer::start();
    let slow = Slow::default();
    let chain = ClientBuilder::new(client()).with(tokens([route_to(&server)])).with(slow.clone());
    let hour = Duration::from_secs(3600);

    let request = chain.build().get(server.resource_url()).timeout(hour);
    let request = request.version(Version::HTTP_10);
    assert_eq!(request.send().await.unwrap().status(), 401);

    let [first, (left, version)] = slow.asked.lock().unwrap()[..] else { panic!("not sent twice") };
    assert_eq!(first, (hour, Version::HTTP_10));
    assert_eq!(version, Version::HTTP_10);
    assert!(left < hour && !left.is_zero(), "{left:?}");
}

#[tokio::test]
async fn where_no_time_is_left_nothing_is_sent_again_and_the_token_is_given_up() {
    let server = FakeAuthServer::start();
    let manager = manager_of(&server, SystemClock);
    let route = Route::new(manager.clone()).origin(server.url());
    let slow = Slow::default();
    let chain = ClientBuilder::new(client()).with(tokens([route])).with(slow.clone()).build();

    let request = chain.get(server.resource_url()).timeout(Duration::from_millis(1));
    let answer = request.send().await.unwrap();

    assert_eq!(answer.status(), 401);
    assert_eq!((slow.asked.lock().unwrap().len(), server.exchanges()), (1, 1));
    assert!(manager.peek().is_none());
}
