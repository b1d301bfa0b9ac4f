//! A request whose token is fresh costs nothing but the copying of a few pointers.
//!
//! This is a test binary of its own, because counting allocations replaces the global allocator.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod api;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use allocation_counter::measure;
use api::{ORIGIN, poll_now};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use tokenkeeper::TokenManager;
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tower::{Buffering, CustomHeader, Route, TokenLayer, TokenRoutes};
use tower::{Layer, Service};

/// Answers at once, and allocates nothing.
#[derive(Clone)]
struct Silent;

impl<B> Service<Request<B>> for Silent {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(request.headers().len() == 3);
        ready(Ok(Response::new(())))
    }
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.uri_mut() = Uri::from_static("https://api.example.com/items?id=1");
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::ACCEPT, json.clone());
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    request
}

fn form() -> Full<Bytes> {
    Full::new(Bytes::from_static(b"{}"))
}

fn warm() -> TokenManager {
    let manager = TokenManager::new(ScriptedProvider::new("svc"));
    manager.blocking().token().unwrap();
    manager
}

/// Allocations of so many requests through this client.
fn through<S, B>(client: &mut S, body: impl Fn() -> B, add: impl Fn(&mut Request<B>)) -> u64
where
    S: Service<Request<B>, Response = Response<()>>,
    S::Future: Unpin,
{
    let mut send = || {
        let mut request = request(body());
        add(&mut request);
        assert!(matches!(poll_now(&mut client.call(request)), Poll::Ready(Ok(_))));
    };
    send(); // what is kept for later requests is made once
    measure(|| (0..REPETITIONS).for_each(|_| send())).count_total
}

/// Allocations of requests that have a ready-made header put onto them by hand.
fn by_hand<B>(body: impl Fn() -> B) -> u64 {
    let token = warm().peek().unwrap().authorization();
    through(&mut Silent, body, |request| {
        request.headers_mut().insert(header::AUTHORIZATION, token.clone());
    })
}

#[test]
fn a_request_with_a_fresh_token_allocates_what_it_would_with_a_header_put_there_by_hand() {
    let routes = TokenRoutes::new([Route::new(warm()).origin(ORIGIN)]).unwrap();
    let mut client = TokenLayer::new(routes).layer(Silent);

    assert_eq!(through(&mut client, form, |_| {}), by_hand(form));
}

#[test]
fn a_header_of_the_services_own_costs_no_more() {
    let presenter = CustomHeader::new("x-api-key", "").unwrap();
    let route = Route::new(warm()).origin(ORIGIN).presenter(presenter);
    let mut client = TokenLayer::new(TokenRoutes::new([route]).unwrap()).layer(Silent);

    assert_eq!(through(&mut client, form, |_| {}), by_hand(form));
}

#[test]
fn a_buffered_body_costs_the_box_that_it_is_put_into_and_an_empty_one_nothing() {
    let routes = TokenRoutes::new([Route::new(warm()).origin(ORIGIN)]).unwrap();
    let layer = TokenLayer::new(routes).bodies(Buffering::new(Body::new));
    let filled = || Body::from(Bytes::from_static(b"{}"));

    let costs = through(&mut layer.layer(Silent), filled, |_| {}) - by_hand(filled);
    assert_eq!(costs, REPETITIONS);
    let costs = through(&mut layer.layer(Silent), Body::empty, |_| {}) - by_hand(Body::empty);
    assert_eq!(costs, 0);
}

#[test]
fn a_header_value_that_was_made_for_this_request_costs_one_allocation_to_share() {
    let routes = TokenRoutes::new([Route::new(warm()).origin(ORIGIN)]).unwrap();
    let mut client = TokenLayer::new(routes).layer(Silent);
    let add = |request: &mut Request<Full<Bytes>>| {
        let own = HeaderValue::from_str("application/x-own").unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, own);
    };
    let token = warm().peek().unwrap().authorization();
    let by_hand = through(&mut Silent, form, |request| {
        add(request);
        request.headers_mut().insert(header::AUTHORIZATION, token.clone());
    });

    assert_eq!(through(&mut client, form, add) - by_hand, REPETITIONS);
}

#[test]
fn the_counter_would_notice() {
    let boxed = through(&mut Silent, form, |request| {
        request.headers_mut().insert(header::AUTHORIZATION, "Bearer x".parse().unwrap());
    });

    assert_eq!(boxed, by_hand(form) + REPETITIONS);
}

const REPETITIONS: u64 = 1_000;
