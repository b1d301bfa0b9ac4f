//! A fresh token costs a request no allocation, nor does the copy for its replay.
//!
//! This is a test binary of its own, because counting allocations replaces the global allocator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod setup;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use http::{HeaderMap, HeaderValue, Method, Uri};
use setup::{API, some_manager};
use tokenkeeper_http::{
    CustomHeader, Reaction, Route, SpareHeaders, Target, TokenChoice, TokenRoutes,
};

const REPETITIONS: usize = 1_000;

/// A request's headers, with room for one more.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [("accept", "*/*"), ("x-trace", "1"), ("cookie", "a=b")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.append("cookie", HeaderValue::from_static("c=d"));
    headers
}

fn attach_and_look_at_the_answer(routes: &TokenRoutes, headers: &mut HeaderMap) {
    let uri = Uri::from_static("https://api.example.com/a?b=c");
    let target = Target::of(&Method::GET, &uri).unwrap();
    let mut attaching = pin!(routes.attach(&target, headers, TokenChoice::OfRoute));
    let Poll::Ready(attached) = attaching.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("a fresh token is there at the first poll")
    };
    let attached = attached.unwrap().unwrap();
    let answer = attached.reaction(&target, http::StatusCode::OK, &HeaderMap::new());
    assert_eq!(answer, Reaction::GiveUp);
}

#[test]
fn a_token_is_attached_and_an_answer_understood_without_an_allocation() {
    let route = || {
        let route = Route::new(some_manager("svc")).origin(API);
        route.exclude_path("/health").exclude_glob("/public/*")
    };
    let custom = route().presenter(CustomHeader::new("x-api-key", "Key").unwrap());
    for (route, name) in [(route(), "authorization"), (custom, "x-api-key")] {
        let routes = TokenRoutes::new([route]).unwrap();
        let mut headers = headers();
        let uri = Uri::from_static(API);
        let target = Target::of(&Method::GET, &uri).unwrap();
        routes.attach_blocking(&target, &mut headers, TokenChoice::OfRoute).unwrap().unwrap();

        let allocated = measure(|| {
            for _ in 0..REPETITIONS {
                headers.remove(name).unwrap();
                attach_and_look_at_the_answer(&routes, &mut headers);
            }
        });

        assert_eq!(allocated.count_total, 0, "{name}");
    }
}

#[test]
fn copies_for_replays_are_whole_and_allocate_nothing_once_there_is_one() {
    let (spare, headers) = (SpareHeaders::new(), headers());
    drop(spare.copy_of(&headers));

    let allocated = measure(|| {
        for _ in 0..REPETITIONS {
            drop(spare.copy_of(&headers));
        }
    });

    assert_eq!(allocated.count_total, 0);
    assert_eq!(spare.copy_of(&headers).into_headers(), headers);
    assert_eq!(spare.copy_of(&HeaderMap::new()).into_headers(), HeaderMap::new());
}

#[test]
fn what_is_kept_for_copies_is_empty_and_bounded() {
    let (spare, headers) = (SpareHeaders::new(), headers());
    let copies: Vec<_> = (0..1_000).map(|_| spare.copy_of(&headers)).collect();
    drop(copies);

    assert_eq!(format!("{spare:?}"), "SpareHeaders(64)");
    assert!(spare.copy_of(&HeaderMap::new()).into_headers().is_empty());
}

#[test]
fn one_name_may_have_more_values_than_a_map_may_have_names() {
    let mut headers = HeaderMap::new();
    for _ in 0..40_000 {
        headers.append("x-a", HeaderValue::from_static("1"));
    }

    assert_eq!(SpareHeaders::new().copy_of(&headers).into_headers(), headers);
}
