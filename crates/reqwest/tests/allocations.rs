//! A token costs no allocation: neither the header, nor what a replay would need.
//!
//! This is a test binary of its own, because counting allocations replaces the global allocator.

#![cfg(feature = "middleware")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod setup;

use std::pin::pin;
use std::sync::Arc;

use allocation_counter::measure;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{Extensions, HeaderName, HeaderValue};
use reqwest::{Client, Request, RequestBuilder, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use setup::{client, tokens};
use tokenkeeper::{TokenManager, async_trait};
use tokenkeeper_reqwest::{Route, SendWithToken, Tokens};
use tokenkeeper_testkit::{FakeAuthServer, ScriptedProvider};
use tokio::runtime::{Builder, Runtime};

/// Answers without a network.
struct Stub;

#[async_trait]
impl Middleware for Stub {
    async fn handle(
        &self,
        request: Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> Result<Response, reqwest_middleware::Error> {
        assert!(request.headers().get(AUTHORIZATION).unwrap().is_sensitive());
        Ok(http::Response::new("").into())
    }
}

/// Puts a header on that is there already.
struct ByHand(HeaderValue);

#[async_trait]
impl Middleware for ByHand {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, reqwest_middleware::Error> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}

/// With headers that are static: the first clone of another one allocates, here or in the client.
fn with_headers(request: RequestBuilder) -> RequestBuilder {
    let (text, one) = (HeaderValue::from_static("text/plain"), HeaderValue::from_static("1"));
    request.header(ACCEPT, text).header(HeaderName::from_static("x-a"), one)
}

/// What one request allocates, in each chain.
fn allocated(chain: &ClientWithMiddleware, make: &dyn Fn() -> Request) -> u64 {
    let send = || assert!(pollster::block_on(chain.execute(make())).unwrap().status().is_success());
    (0..3).for_each(|_| send());
    let first = measure(send).count_total;
    assert_eq!(measure(|| (0..100).for_each(|_| send())).count_total, 100 * first);
    first
}

#[test]
fn the_middleware_allocates_as_much_as_one_that_inserts_a_header() {
    let manager = TokenManager::new(ScriptedProvider::new("svc"));
    let header = manager.blocking().token().unwrap().authorization();
    let routes = tokens([Route::new(manager)
        .origin("https://api.example.com")
        .exclude_path("/health")
        .exclude_glob("/public/*")]);
    let build = |middleware: Arc<dyn Middleware>| {
        ClientBuilder::new(Client::new()).with_arc(middleware).with(Stub).build()
    };
    let ours = build(Arc::new(routes));
    let by_hand = build(Arc::new(ByHand(header)));
    let client = Client::new();
    let url = "https://api.example.com/items/17?page=2";
    let requests: [(&str, &dyn Fn() -> Request); 3] = [
        ("get", &|| with_headers(client.get(url)).build().unwrap()),
        ("post", &|| with_headers(client.post(url)).body("body").build().unwrap()),
        ("no headers", &|| client.get(url).build().unwrap()),
    ];

    for (name, make) in requests {
        let (ours, by_hand) = (allocated(&ours, make), allocated(&by_hand, make));
        println!("{name}: {ours} allocations with the middleware, {by_hand} with a header by hand");
        assert_eq!(ours, by_hand, "{name}");
    }
}

/// The fewest allocations that a request was seen to make: how often sockets are asked varies. (And
/// futures are pinned, because `block_on` puts large ones into a box.)
fn fewest(runtime: &Runtime, send: &dyn Fn(&Runtime)) -> u64 {
    (0..10).for_each(|_| send(runtime));
    (0..100).map(|_| measure(|| send(runtime)).count_total).min().unwrap()
}

#[test]
fn the_extension_allocates_as_much_as_a_header_by_hand() {
    let server = FakeAuthServer::builder().start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let manager = setup::manager_of(&server, tokenkeeper::SystemClock);
    let header = manager.blocking().token().unwrap().authorization();
    let tokens: Tokens = tokens([Route::new(manager).origin(server.url())]);
    let (client, url) = (client(), server.resource_url());
    let post = |body: Vec<u8>| client.post(&url).header("x-a", "1").header("x-b", "2").body(body);

    for length in [0, 100] {
        let ours = fewest(&runtime, &|runtime| {
            let answer = runtime.block_on(pin!(post(vec![b'x'; length]).send_with_token(&tokens)));
            assert_eq!(answer.unwrap().status(), 200);
        });
        let by_hand = fewest(&runtime, &|runtime| {
            let request = post(vec![b'x'; length]).header(AUTHORIZATION, header.clone());
            assert_eq!(runtime.block_on(pin!(request.send())).unwrap().status(), 200);
        });

        println!("{length} bytes: {ours} allocations by the extension, {by_hand} by hand");
        assert_eq!(ours, by_hand, "{length}");
    }
}

#[test]
fn the_counter_would_notice_an_allocation() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
}
