//! A client with a base URL, and further attempts after a 401.

use std::time::Duration;

use tokenkeeper::{ErrorKind, ManualClock, SystemClock};
use tokenkeeper_reqwest::{Client, ClientBuilder, SendError, TokenChoice, UnauthorizedRetries};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};

use crate::redirects::redirect_next;
use crate::setup::{Way, at_resource, bearing, manager_of, route_to, tokens};

/// A client for paths below `/api`.
fn client(server: &FakeAuthServer) -> Client {
    builder(server).build().unwrap()
}

fn builder(server: &FakeAuthServer) -> ClientBuilder {
    Client::builder(&server.resource_url(), manager_of(server, SystemClock))
}

fn refuse(server: &FakeAuthServer, times: usize) {
    server.fail_next_at(Endpoint::Resource, times, Fault::Status(401, String::new()));
}

#[tokio::test]
async fn requests_go_below_the_base_url_with_a_token() {
    let server = FakeAuthServer::start();
    let with_slash = Client::new(&(server.resource_url() + "/"), manager_of(&server, SystemClock));
    for client in [client(&server), with_slash.unwrap()] {
        for (path, (asked, query)) in [
            ("/users", ("/api/users", None)),
            ("users", ("/api/users", None)),
            ("//users", ("/api/users", None)),
            ("/users?page=2&to=http://b.test/", ("/api/users", Some("page=2&to=http://b.test/"))),
            ("?page=2", (client.base_url().path(), Some("page=2"))),
            ("", (client.base_url().path(), None)),
            ("users:7", ("/api/users:7", None)),
            ("/a#b", ("/api/a", None)),
        ] {
            server.reset_counters();
            let answer = client.get(path).send().await.unwrap();

            assert_eq!(answer.status(), 200, "{path}");
            let received = at_resource(&server);
            assert_eq!((received[0].path(), received[0].query()), (asked, query), "{path}");
        }
        let next = server.resource_url() + "/next?after=1";
        assert_eq!(client.get(&next).send().await.unwrap().url().as_str(), next);
    }
}

#[tokio::test]
async fn a_url_of_another_origin_is_an_error_and_nothing_is_sent() {
    let (server, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());

    let failed = client(&server).get(&stranger.resource_url()).send().await.unwrap_err();

    assert!(matches!(&failed, SendError::Token(error) if error.kind() == ErrorKind::Config));
    assert_eq!((stranger.requests(), server.requests()), (0, 0), "{failed}");
}

#[tokio::test]
async fn methods_headers_bodies_and_whose_token_it_is_are_the_requests_own() {
    let server = FakeAuthServer::start();
    let client = client(&server);
    let alice = manager_of(&server, SystemClock);

    for (request, method) in [
        (client.get("/a"), "GET"),
        (client.post("/a"), "POST"),
        (client.put("/a"), "PUT"),
        (client.patch("/a"), "PATCH"),
        (client.delete("/a"), "DELETE"),
        (client.head("/a"), "HEAD"),
    ] {
        request.header("x-mine", "1").send().await.unwrap();
        let sent = server.last_request().unwrap();
        assert_eq!((sent.method().as_str(), sent.header("x-mine")), (method, Some("1")));
    }
    client.post("/a").with(|request| request.body("text")).send().await.unwrap();
    assert_eq!(server.last_request().unwrap().body(), b"text");
    client.get("/a").token_of(alice.clone()).send().await.unwrap();
    let of_alice = format!("Bearer {}", alice.peek().unwrap().secret().expose_secret());
    assert_eq!(server.last_request().unwrap().header("authorization"), Some(of_alice.as_str()));
    assert_eq!(client.get("/a").without_token().send().await.unwrap().status(), 401);
    assert_eq!(server.last_request().unwrap().header("authorization"), None);
}

#[tokio::test]
async fn a_401_is_answered_with_another_token_and_redirects_are_followed_on_the_route() {
    let (server, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
    let client = client(&server);
    client.get("/a").send().await.unwrap();
    server.revoke_all_access_tokens();

    assert_eq!(client.post("/a").body("b").send().await.unwrap().status(), 200);
    redirect_next(&server, 302, "/api/moved");
    assert_eq!(client.get("/a").send().await.unwrap().url().path(), "/api/moved");
    redirect_next(&server, 302, &stranger.resource_url());
    assert_eq!(client.get("/a").header("x-api-key", "0815").send().await.unwrap().status(), 401);

    assert_eq!((bearing(&stranger, "authorization"), bearing(&stranger, "x-api-key")), (0, 0));
    let none = builder(&server).redirects(0).build().unwrap();
    redirect_next(&server, 302, "/api/moved");
    assert_eq!(none.get("/a").send().await.unwrap().status(), 302);
}

#[tokio::test]
async fn excluded_paths_are_below_the_base_url() {
    let server = FakeAuthServer::start();
    let client = builder(&server).exclude_path("/health").exclude_glob("/public/*");
    let client = client.exclude_glob("*.css").build().unwrap();

    for path in ["/health", "/public/a", "/x/a.css"] {
        client.get(path).send().await.unwrap();
        assert_eq!(server.last_request().unwrap().header("authorization"), None, "{path}");
    }
    for path in ["/healthy", "/v/public/a"] {
        client.get(path).send().await.unwrap();
        assert!(server.last_request().unwrap().header("authorization").is_some(), "{path}");
    }
}

#[tokio::test]
async fn tokens_may_go_into_another_header_behind_another_word() {
    let server = FakeAuthServer::start();
    let client = builder(&server).header("x-api-key", "Key").build().unwrap();

    client.get("/a").send().await.unwrap();

    let sent = server.last_request().unwrap();
    assert!(sent.header("x-api-key").unwrap().starts_with("Key "));
    assert_eq!(sent.header("authorization"), None);
}

#[test]
fn what_is_wrong_with_a_client_is_said_with_the_name_of_its_service() {
    let server = FakeAuthServer::start();
    let manager = || manager_of(&server, SystemClock);
    for url in [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "https://planted@api.example.com",
        "https://api.example.com?planted",
        "https://api.example.com/#planted",
        "https://api.example.com:99999",
        "https://api.example.com:abc",
        "https://api.example.com/\n",
        "http://api.example.com",
    ] {
        let error = Client::new(url, manager()).unwrap_err();
        assert_eq!((error.kind(), error.service_name()), (ErrorKind::Config, Some("billing")));
        assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
    }
    assert!(builder(&server).header("a b", "").build().is_err());
    assert!(builder(&server).exclude_path("health").build().is_err());
    let http = reqwest::Client::builder().user_agent("planted\n");
    assert_eq!(builder(&server).http(http).build().unwrap_err().kind(), ErrorKind::Config);
    let open = Client::builder("http://api.example.com", manager()).danger_allow_http();
    assert!(open.build().is_ok());
}

#[tokio::test]
async fn a_loopback_host_is_asked_without_a_proxy() {
    let (server, proxy) = (FakeAuthServer::start(), FakeAuthServer::start());
    let http = || reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url()).unwrap());

    let near = builder(&server).http(http()).build().unwrap();
    assert_eq!(near.get("/a").send().await.unwrap().status(), 200);
    assert_eq!(proxy.requests(), 0);

    let far = Client::builder("http://api.test/", manager_of(&server, SystemClock));
    let far = far.danger_allow_http().http(http()).build().unwrap();
    far.get("/a").send().await.unwrap();
    assert_ne!(proxy.requests(), 0);
}

/// Sends a request on a clock that stands still, and moves the clock by this much each time that the
/// request waits.
async fn status_after(waits: &[u64], way: Way, server: &FakeAuthServer, attempts: u32) -> u16 {
    let clock = ManualClock::new();
    let retries = UnauthorizedRetries::new(attempts, Duration::from_secs(1));
    let tokens = tokens([route_to(server)]);
    let tokens = tokens.with_unauthorized_retries(retries.with_clock(clock.clone()));
    let request = crate::setup::client().post(server.resource_url()).body("once");
    let sending = way.send_with(&tokens, request, TokenChoice::OfRoute);
    let moving = async {
        for wait in waits {
            while clock.next_wake().is_none_or(|left| left.is_zero()) {
                tokio::task::yield_now().await;
            }
            assert_eq!(clock.next_wake(), Some(Duration::from_secs(*wait)));
            clock.advance(Duration::from_secs(*wait));
        }
    };
    let (answer, ()) = tokio::join!(sending, moving);
    answer.unwrap().status().as_u16()
}

#[tokio::test]
async fn further_attempts_come_after_growing_delays_until_the_token_is_taken() {
    for way in Way::BOTH {
        let server = FakeAuthServer::start();
        refuse(&server, 4);
        assert_eq!(status_after(&[1, 2, 4], way, &server, 5).await, 200);
        assert_eq!(at_resource(&server).len(), 5, "{way:?}");

        let server = FakeAuthServer::start();
        refuse(&server, 20);
        assert_eq!(status_after(&[1, 2], way, &server, 2).await, 401);
        assert_eq!(at_resource(&server).len(), 4, "{way:?}");
    }
}

#[tokio::test]
async fn what_no_other_token_would_change_is_not_tried_again() {
    let insufficient = r#"Bearer error="insufficient_scope""#;
    for headers in [("www-authenticate", insufficient), ("retry-after", "30")] {
        let server = FakeAuthServer::start();
        let headers = vec![(headers.0.to_owned(), headers.1.to_owned())];
        let fault = Fault::Answer { status: 401, headers, body: Vec::new() };
        server.fail_next_at(Endpoint::Resource, 20, fault);

        assert_eq!(status_after(&[], Way::Extension, &server, 3).await, 401);
        assert_eq!(at_resource(&server).len(), 1);
    }
    let server = FakeAuthServer::start();
    refuse(&server, 20);
    let retries = UnauthorizedRetries::new(3, Duration::from_secs(1));
    let once = builder(&server).without_replay().unauthorized_retries(retries).build().unwrap();
    assert_eq!(once.get("/a").send().await.unwrap().status(), 401);
    assert_eq!(at_resource(&server).len(), 1);
}
