//! The feature `metrics`: what is counted, under which labels, and what the gauges show.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use metrics::{
    Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use support::recorder::Recorded;
use support::rig::{Rig, finishes, login_elsewhere, poll_once, seconds};
use support::waiting::started;
use tokenkeeper::{
    Clock, Error, ErrorKind, EventKind, ProviderIdentity, TokenManager, TokenManagerMap, telemetry,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault};

/// A manager that was built while a recorder of its own was installed.
struct Counted {
    rig: Rig,
    metrics: Recorded,
}

impl Counted {
    fn new(provider: &ScriptedProvider) -> Self {
        let metrics = Recorded::default();
        let rig = metrics::with_local_recorder(&metrics, || Rig::shared(provider));
        Self { rig, metrics }
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metrics.count(name, &of_service(labels))
    }

    fn gauge(&self, name: &str) -> f64 {
        self.metrics.gauge(name, &of_service(&[]))
    }

    fn times(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        self.metrics.times(name, &of_service(labels))
    }

    fn requests(&self) -> [u64; 5] {
        ["fresh", "due", "waited", "failed", "dropped"]
            .map(|result| self.count("tokenkeeper_token_calls_total", &[("result", result)]))
    }

    fn exchanges(&self, exchange: &str, outcome: &str) -> u64 {
        let labels = [("exchange", exchange), ("outcome", outcome)];
        self.count("tokenkeeper_token_requests_total", &labels)
    }

    fn now(&self) -> f64 {
        let wall = self.rig.clock.now().wall();
        wall.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
    }
}

fn of_service<'a>(labels: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("tokenkeeper_service", "svc")], labels].concat()
}

const DUE: Duration = Duration::from_secs(700);
const OVER: Duration = Duration::from_secs(1_000);

#[tokio::test]
async fn every_request_is_counted_by_how_it_was_answered() {
    let provider = ScriptedProvider::new("svc");
    let counted = Counted::new(&provider);
    let (manager, clock) = (&counted.rig.manager, &counted.rig.clock);

    counted.rig.with_token_aged(Duration::ZERO).await;
    assert_eq!(counted.requests(), [0, 0, 1, 0, 0]);
    manager.token().await.unwrap();
    manager.token_valid_for(seconds(60)).await.unwrap();
    assert_eq!(counted.requests(), [2, 0, 1, 0, 0]);

    clock.advance(DUE);
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    assert_eq!(counted.requests(), [2, 1, 1, 0, 0]);

    clock.advance(OVER);
    provider.on_refresh(Step::unavailable());
    manager.token().await.unwrap_err();
    manager.token().await.unwrap_err();
    assert_eq!(counted.requests(), [2, 1, 1, 2, 0]);

    clock.advance(OVER);
    let gate = Gate::closed();
    provider.on_refresh(Step::issue().held(&gate));
    assert!(poll_once(manager.token()).is_pending());
    gate.release();
    manager.flush().await.unwrap();
    assert_eq!(counted.requests(), [2, 1, 1, 2, 1]);
}

#[tokio::test]
async fn who_asks_for_a_token_that_is_there_is_counted_only_if_it_is() {
    let provider = ScriptedProvider::new("svc");
    let counted = Counted::new(&provider);
    let (manager, clock) = (&counted.rig.manager, &counted.rig.clock);

    assert!(manager.token_now().is_pending());
    manager.flush().await.unwrap();
    assert_eq!((provider.calls(), counted.requests()), (1, [0; 5]), "it was fetched all the same");
    assert!(matches!(manager.token_now(), Poll::Ready(Ok(_))));
    assert_eq!(counted.requests(), [1, 0, 0, 0, 0]);

    clock.advance(DUE);
    assert!(matches!(manager.token_now(), Poll::Ready(Ok(_))));
    manager.flush().await.unwrap();
    assert_eq!((provider.calls(), counted.requests()), (2, [1, 1, 0, 0, 0]), "and it is renewed");

    clock.advance(OVER);
    provider.on_refresh(Step::unavailable());
    assert!(manager.token_now().is_pending());
    manager.flush().await.unwrap();
    assert!(matches!(manager.token_now(), Poll::Ready(Err(_))), "the error is remembered");
    assert_eq!((provider.calls(), counted.requests()), (3, [1, 1, 0, 1, 0]));
}

#[tokio::test]
async fn a_wait_lasts_from_the_first_flight_to_the_answer() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held(&gate));
    let counted = Counted::new(&provider);

    let caller = started(counted.rig.manager.token()).await;
    gate.arrived(1).await;
    counted.rig.clock.advance(seconds(3));
    gate.release();
    caller.end().await.unwrap();

    assert_eq!(counted.times("tokenkeeper_token_wait_seconds", &[]), [3.0]);
    let took =
        counted.times("tokenkeeper_token_request_duration_seconds", &[("exchange", "fetch")]);
    assert_eq!(took, [3.0]);
}

#[tokio::test]
async fn exchanges_are_counted_by_call_and_outcome() {
    let provider = ScriptedProvider::new("svc");
    let counted = Counted::new(&provider);
    let (manager, clock) = (&counted.rig.manager, &counted.rig.clock);

    manager.token().await.unwrap();
    clock.advance(OVER);
    provider.on_refresh(Step::unavailable());
    manager.token().await.unwrap_err();
    clock.advance(OVER);
    provider.on_refresh(Step::refuse_refresh());
    provider.on_fetch(Step::refuse_credentials());
    manager.token().await.unwrap_err();

    assert_eq!(counted.exchanges("fetch", "success"), 1);
    assert_eq!(counted.exchanges("refresh", "unavailable"), 1);
    assert_eq!(counted.exchanges("refresh", "refresh_rejected"), 1);
    assert_eq!(counted.exchanges("fetch", "credentials_rejected"), 1);
    assert_eq!(counted.exchanges("refresh", "success"), 0);
    let dropped = [("event", "refresh_token_dropped")];
    assert_eq!(counted.count("tokenkeeper_events_total", &dropped), 1);
    let took =
        counted.times("tokenkeeper_token_request_duration_seconds", &[("exchange", "refresh")]);
    assert_eq!(took.len(), 2, "whatever came of it");
}

#[tokio::test]
async fn gauges_of_the_token_show_points_in_time_that_stay_right() {
    let counted = Counted::new(&ScriptedProvider::new("svc"));
    let token = |counted: &Counted| {
        ["issued", "expiry"]
            .map(|what| counted.gauge(&format!("tokenkeeper_token_{what}_timestamp_seconds")))
    };
    assert_eq!(token(&counted), [0.0, 0.0]);

    let issued = counted.now();
    counted.rig.with_token_aged(seconds(100)).await;
    assert_eq!(token(&counted), [issued, issued + 900.0]);

    counted.rig.manager.clear().await.unwrap();
    assert_eq!(token(&counted), [0.0, 0.0]);

    let endless = Counted::new(&ScriptedProvider::new("svc").with_lifetime(None));
    endless.rig.manager.token().await.unwrap();
    assert_eq!(token(&endless), [endless.now(), f64::INFINITY]);
}

#[tokio::test]
async fn the_gauge_of_the_pause_shows_its_end_and_falls_back_to_zero() {
    let provider = ScriptedProvider::new("svc");
    let counted = Counted::new(&provider);
    let pause_end = || counted.gauge("tokenkeeper_pause_end_timestamp_seconds");
    assert_eq!(pause_end(), 0.0);

    provider.on_fetch(Step::refuse_credentials());
    counted.rig.manager.token().await.unwrap_err();
    assert_eq!(pause_end(), counted.now() + 5.0);

    counted.rig.clock.advance(seconds(5));
    counted.rig.manager.token().await.unwrap();
    assert_eq!(pause_end(), 0.0);

    counted.rig.clock.advance(OVER);
    provider.on_refresh(Step::fail(Error::new(ErrorKind::LoginRequired, "nobody is there")));
    counted.rig.manager.token().await.unwrap_err();
    assert_eq!(pause_end(), f64::INFINITY, "until somebody acts");
}

#[tokio::test]
async fn tokens_that_are_in_memory_only_show_until_they_are_stored() {
    let counted = Counted::new(&ScriptedProvider::new("svc"));
    let rig = &counted.rig;
    rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);

    rig.manager.token().await.unwrap();
    assert_eq!(counted.gauge("tokenkeeper_unpersisted"), 1.0);
    rig.storage.heal();
    rig.manager.flush().await.unwrap();

    assert_eq!(counted.gauge("tokenkeeper_unpersisted"), 0.0);
    assert_eq!(counted.count("tokenkeeper_events_total", &[("event", "storage_failed")]), 1);
}

#[tokio::test]
async fn every_wait_for_the_lease_is_timed() {
    let counted = Counted::new(&ScriptedProvider::new("svc"));
    let rig = &counted.rig;
    let gate = rig.hold_next(tokenkeeper_testkit::StorageOperation::Lease);

    let caller = started(rig.manager.token()).await;
    gate.arrived(1).await;
    // Less than it takes until somebody who waits looks into the storage.
    rig.clock.advance(Duration::from_millis(500));
    gate.release();
    caller.end().await.unwrap();

    assert_eq!(counted.times("tokenkeeper_lease_wait_seconds", &[]), [0.5]);
    let taken = |kind: &EventKind| matches!(kind, EventKind::LeaseWaited { took, taken: true } if took.as_millis() == 500);
    assert_eq!(rig.count(taken), 1);
}

#[tokio::test]
async fn labels_are_the_service_and_words_out_of_short_lists() {
    let identity = ProviderIdentity::new("svc").with("subject", "alice");
    let provider = ScriptedProvider::new("svc").with_identity(identity);
    let counted = Counted::new(&provider);
    let rig = &counted.rig;

    rig.with_token_aged(OVER).await;
    provider.on_refresh(Step::unavailable());
    rig.manager.token().await.unwrap_err();
    rig.manager.install(login_elsewhere()).await.unwrap();
    rig.manager.clear().await.unwrap();

    let series = counted.metrics.series();
    for (name, labels) in &series {
        for (label, value) in labels {
            match &**label {
                "tokenkeeper_service" => assert_eq!(value, "svc"),
                "exchange" | "outcome" | "result" | "event" => {
                    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
                    assert!(value.chars().all(is_word), "{name} {label}: {value}");
                }
                _ => panic!("{name} has another label: {label}"),
            }
        }
    }
    assert_eq!(series.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), 10);
    assert!(series.len() < 70, "{} series for one service", series.len());
}

#[test]
fn every_metric_has_a_unit_and_a_meaning() {
    let counted = Counted::new(&ScriptedProvider::new("svc"));

    metrics::with_local_recorder(&counted.metrics, telemetry::describe_metrics);

    for (name, _) in counted.metrics.series() {
        assert!(counted.metrics.is_described(&name), "{name}");
    }
}

#[tokio::test]
async fn a_manager_that_was_built_before_the_recorder_counts_nothing_and_works() {
    let early = Rig::shared(&ScriptedProvider::new("svc"));
    let recorder = Recorded::default();

    let _installed = metrics::set_default_local_recorder(&recorder);
    early.with_token_aged(DUE).await;
    early.manager.token().await.unwrap();

    assert!(recorder.series().is_empty());
}

#[test]
fn managers_of_a_map_are_counted_together_and_have_no_gauges() {
    let recorder = Recorded::default();
    let map = TokenManagerMap::new(|user: &String| {
        let identity = ProviderIdentity::new("svc").with("subject", user);
        Ok(ScriptedProvider::new("svc").with_identity(identity))
    });
    metrics::with_local_recorder(&recorder, || {
        for user in ["alice", "bob"] {
            map.get(user).unwrap().blocking().token().unwrap();
        }
    });

    let waited = of_service(&[("result", "waited")]);
    assert_eq!(recorder.count("tokenkeeper_token_calls_total", &waited), 2);
    let names: BTreeSet<_> = recorder.series().into_iter().map(|(name, _)| name).collect();
    let is_gauge = |name: &&String| name.contains("timestamp") || name.contains("unpersisted");
    assert_eq!((names.len(), names.iter().find(is_gauge)), (6, None));
}

/// A recorder whose gauges panic.
struct Panics;

impl GaugeFn for Panics {
    fn increment(&self, _value: f64) {}

    fn decrement(&self, _value: f64) {}

    fn set(&self, _value: f64) {
        panic!("a gauge panics");
    }
}

impl Recorder for Panics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Self))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_gauge_that_panics_is_no_failure() {
    finishes(|| {
        let build = || TokenManager::new(ScriptedProvider::new("svc"));
        let manager = metrics::with_local_recorder(&Panics, build).blocking();

        manager.token().unwrap();
        manager.clear().unwrap();
        manager.token().unwrap();
        manager.flush().unwrap();
    });
}
