//! What was discovered is kept, and asked for once however many want it.

#![cfg(feature = "discovery")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, Response};
use serde_json::json;
use tokenkeeper::{Error, ErrorKind, ManualClock, async_trait};
use tokenkeeper_providers::{Discovery, HttpTransport};
use tokio::sync::Semaphore;

use crate::support::Playback;

const ISSUER: &str = "https://as.example.org";

fn document(issuer: &str) -> String {
    json!({ "issuer": issuer, "token_endpoint": "https://as.example.org/token" }).to_string()
}

fn discovery(playback: &Playback, clock: &ManualClock) -> Discovery {
    Discovery::new().with_transport(playback.clone()).with_clock(clock.clone())
}

#[tokio::test]
async fn a_document_serves_for_its_lifetime_and_is_then_asked_for_again() {
    let clock = ManualClock::new();
    let playback = Playback::default().and(200, document(ISSUER)).and(200, document(ISSUER));
    let discovery = discovery(&playback, &clock).with_lifetime(Duration::from_secs(60));

    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(59));
    discovery.server(ISSUER).await.unwrap();
    assert_eq!(playback.count(), 1);

    clock.advance(Duration::from_secs(1));
    discovery.server(ISSUER).await.unwrap();
    assert_eq!(playback.count(), 2);
}

#[tokio::test]
async fn the_old_document_serves_for_a_day_while_the_server_cannot_be_asked() {
    let clock = ManualClock::new();
    let mut playback = Playback::default().and(200, document(ISSUER));
    for _ in 0..3 {
        playback = playback.and(503, "");
    }
    let discovery = discovery(&playback, &clock);
    discovery.server(ISSUER).await.unwrap();

    clock.advance(Duration::from_secs(60 * 60));
    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let error = discovery.server(ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(playback.count(), 4);
}

#[tokio::test]
async fn an_old_document_does_not_serve_when_the_server_names_another_issuer_now() {
    let clock = ManualClock::new();
    let evil = document("https://evil.example.net");
    let playback = Playback::default().and(200, document(ISSUER)).and(200, &evil).and(200, &evil);
    let discovery = discovery(&playback, &clock);
    discovery.server(ISSUER).await.unwrap();

    clock.advance(Duration::from_secs(60 * 60));
    let error = discovery.server(ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_failure_is_repeated_for_ten_seconds_or_as_long_as_the_server_asks() {
    let clock = ManualClock::new();
    let playback = Playback::default()
        .and(404, "")
        .and(404, "")
        .and_with(503, &[("retry-after", "30")], "")
        .and(200, document(ISSUER));
    let discovery = discovery(&playback, &clock);

    discovery.server(ISSUER).await.unwrap_err();
    discovery.server(ISSUER).await.unwrap_err();
    assert_eq!(playback.count(), 2, "both documents, once");

    clock.advance(Duration::from_secs(10));
    discovery.server(ISSUER).await.unwrap_err();
    clock.advance(Duration::from_secs(29));
    discovery.server(ISSUER).await.unwrap_err();
    assert_eq!(playback.count(), 3);

    clock.advance(Duration::from_secs(1));
    discovery.server(ISSUER).await.unwrap();
}

#[tokio::test]
async fn documents_of_two_issuers_are_kept_apart() {
    let other = "https://as.example.org/other";
    let playback = Playback::default().and(200, document(ISSUER)).and(200, document(other));
    let discovery = discovery(&playback, &ManualClock::new());

    for _ in 0..2 {
        assert_eq!(discovery.server(ISSUER).await.unwrap().issuer(), Some(ISSUER));
        assert_eq!(discovery.server(other).await.unwrap().issuer(), Some(other));
    }

    assert_eq!(playback.count(), 2);
}

#[tokio::test]
async fn no_more_than_a_thousand_servers_are_known() {
    let issuer = |number: u32| format!("https://as.example.org/{number}");
    let clock = ManualClock::new();
    let playback = (0..1_001).fold(Playback::default(), |p, n| p.and(200, document(&issuer(n))));
    let playback = playback.and(200, document(&issuer(0)));
    let discovery = discovery(&playback, &clock);
    for number in 0..1_000 {
        discovery.server(&issuer(number)).await.unwrap();
    }
    discovery.server(&issuer(0)).await.unwrap();
    assert_eq!(playback.count(), 1_000);

    discovery.server(&issuer(1_000)).await.unwrap();
    discovery.server(&issuer(0)).await.unwrap();

    assert_eq!(playback.count(), 1_002);
}

/// Answers a request when there is a permit for it.
#[derive(Clone, Debug)]
struct Gate {
    permits: Arc<Semaphore>,
    requests: Arc<AtomicU32>,
    status: u16,
}

impl Gate {
    fn closed(status: u16) -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), requests: Arc::default(), status }
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl HttpTransport for Gate {
    async fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        let answer = Response::builder().status(self.status);
        Ok(answer.body(document(ISSUER).into_bytes()).unwrap())
    }
}

#[tokio::test]
async fn any_number_of_callers_cause_one_request() {
    for status in [200, 503] {
        let gate = Gate::closed(status);
        let discovery = Discovery::new().with_transport(gate.clone());
        let discovery = Arc::new(discovery.with_clock(ManualClock::new()));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let discovery = discovery.clone();
                tokio::spawn(async move { discovery.server(ISSUER).await.is_ok() })
            })
            .collect();
        while gate.requests() == 0 {
            tokio::task::yield_now().await;
        }

        gate.permits.add_permits(1_000); // more than there can be requests, so that nothing hangs

        for caller in callers {
            assert_eq!(caller.await.unwrap(), status == 200);
        }
        assert_eq!(gate.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_others_their_document() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone());
    let mut first = Box::pin(discovery.server(ISSUER));
    let mut second = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut first).await.is_none());
    assert!(polled_once(&mut second).await.is_none());

    drop(first);
    gate.permits.add_permits(1);

    second.await.unwrap();
    assert_eq!(gate.requests(), 1, "they go on where the first one was");
}

#[tokio::test]
async fn a_caller_that_is_stuck_keeps_nobody_waiting() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone());
    let mut stuck = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut stuck).await.is_none());

    gate.permits.add_permits(1);
    let mut second = Box::pin(discovery.server(ISSUER));
    let outcome = polled_once(&mut second).await;

    assert!(outcome.expect("an answer at once").is_ok());
}

#[tokio::test]
async fn when_all_callers_have_given_up_nothing_goes_on() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone());
    let mut first = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut first).await.is_none());
    drop(first);

    gate.permits.add_permits(1);
    discovery.server(ISSUER).await.unwrap();

    assert_eq!(gate.requests(), 2, "the next one begins anew");
}

#[tokio::test]
async fn documents_that_are_not_kept_are_shared_by_those_who_wait_for_them() {
    let gate = Gate::closed(200);
    let discovery = Discovery::new().with_transport(gate.clone()).with_lifetime(Duration::ZERO);
    let mut callers = [(); 3].map(|()| Box::pin(discovery.server(ISSUER)));
    for caller in &mut callers {
        assert!(polled_once(caller).await.is_none());
    }

    gate.permits.add_permits(10);
    for caller in callers {
        caller.await.unwrap();
    }

    assert_eq!(gate.requests(), 1);
}

/// Breaks, instead of answering.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl HttpTransport for Broken {
    async fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        tokio::task::yield_now().await;
        panic!("planted")
    }
}

#[tokio::test]
async fn a_transport_that_panics_is_an_error_for_everybody_who_waits() {
    let discovery = Discovery::new().with_transport(Broken).with_clock(ManualClock::new());

    let (first, second) = tokio::join!(discovery.server(ISSUER), discovery.server(ISSUER));

    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(!crate::support::printed(&error).contains("planted"), "{error:?}");
    }
}

#[tokio::test]
async fn who_comes_during_a_refresh_gets_the_old_document_at_once() {
    let gate = Gate::closed(200);
    let clock = ManualClock::new();
    let discovery = Discovery::new().with_transport(gate.clone()).with_clock(clock.clone());
    gate.permits.add_permits(1);
    discovery.server(ISSUER).await.unwrap();
    clock.advance(Duration::from_secs(60 * 60));

    let mut refreshing = Box::pin(discovery.server(ISSUER));
    assert!(polled_once(&mut refreshing).await.is_none());
    discovery.server(ISSUER).await.unwrap();

    gate.permits.add_permits(1);
    refreshing.await.unwrap();
    assert_eq!(gate.requests(), 2);
}

async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
