//! The feature `tracing`: which spans and events there are, and what is in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::captured::Captured;
use support::planted::Life;
use support::rig::{Rig, finishes, login_elsewhere, poll_once, until};
use tokenkeeper::{Error, ErrorKind, ProviderIdentity, TokenManager};
use tokenkeeper_testkit::{Gate, RecordingObserver, ScriptedProvider, Step, StorageFault};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Level, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const OVER: Duration = Duration::from_secs(1_000);

#[tokio::test]
async fn a_whole_life_is_told_without_a_secret_and_every_event_by_its_name() {
    let (captured, events) = (Captured::default(), RecordingObserver::new());
    let _installed = captured.install();

    let life = Life::new(|builder| builder.observer(events.clone()));
    life.live(|_| {}).await;

    let entries = captured.entries();
    let shown = format!("{entries:?}");
    assert!(!shown.contains("planted") && !shown.contains("key="), "{shown}");
    let told: Vec<_> = events.kinds().iter().map(|kind| kind.name()).collect();
    let of_ours = |entry: &&support::captured::Entry| entry.is_event;
    let names =
        entries.iter().filter(of_ours).map(|e| e.name.strip_prefix("tokenkeeper.").unwrap());
    assert_eq!(names.collect::<Vec<_>>(), told);
    assert!(told.iter().collect::<BTreeSet<_>>().len() > 12, "{told:?}");
    for entry in entries {
        assert_eq!(entry.target, "tokenkeeper");
        assert_eq!(entry.field("tokenkeeper.service"), Some("svc"), "{entry:?}");
        assert_eq!(entry.field("tokenkeeper.key"), Some(life.manager.key().as_str()));
        assert!(entry.is_event || entry.is_closed, "{entry:?}");
    }
}

#[tokio::test]
async fn an_exchange_is_a_client_span_with_the_address_of_the_token_endpoint() {
    let captured = Captured::default();
    let _installed = captured.install();
    let url = "https://user:planted@auth.example.org/realms/planted/token?key=planted";
    let identity = ProviderIdentity::new("svc").with("token_url", url);
    let rig = Rig::shared(&ScriptedProvider::new("svc").with_identity(identity));

    rig.manager.token().await.unwrap();

    let exchange = captured.last("tokenkeeper.exchange");
    assert_eq!((exchange.level, exchange.parent), (Level::INFO, Some("tokenkeeper.renewal")));
    assert_eq!(exchange.field("otel.kind"), Some("client"));
    assert_eq!(exchange.field("tokenkeeper.exchange.kind"), Some("fetch"));
    assert_eq!(exchange.field("server.address"), Some("auth.example.org"));
    assert_eq!(exchange.field("server.port"), Some("443"));
    for absent in ["error.type", "otel.status_code", "http.response.status_code"] {
        assert_eq!(exchange.field(absent), None, "a success has no {absent}");
    }
    assert!(!format!("{:?}", captured.entries()).contains("planted"));
}

#[tokio::test]
async fn a_failed_exchange_says_what_failed_in_the_words_of_the_conventions() {
    let captured = Captured::default();
    let _installed = captured.install();
    let provider = ScriptedProvider::new("svc");
    let rig = Rig::shared(&provider);

    provider.on_fetch(Step::refuse_credentials());
    rig.manager.token().await.unwrap_err();

    let event = captured.last("tokenkeeper.token_request_failed");
    let exchange = captured.last("tokenkeeper.exchange");
    for entry in [&exchange, &event] {
        assert_eq!(entry.field("error.type"), Some("credentials_rejected"));
        assert_eq!(entry.field("http.response.status_code"), Some("400"));
        assert_eq!(entry.field("tokenkeeper.oauth.error"), Some("invalid_grant"));
        assert_eq!(entry.field("tokenkeeper.exchange.kind"), Some("fetch"));
    }
    assert_eq!(exchange.field("otel.status_code"), Some("ERROR"));
    let description = exchange.field("otel.status_description").unwrap();
    assert!(description.starts_with("svc: the scripted service refused"), "{description}");
    assert_eq!(event.parent, Some("tokenkeeper.renewal"));
    assert_eq!(event.field("tokenkeeper.duration"), Some("0.0"));
    let message = event.field("message").unwrap();
    assert!(message.starts_with("fetch failed after 0 ms: the scripted service"), "{message}");
    assert_eq!(captured.last("tokenkeeper.renewal").field("otel.status_code"), Some("ERROR"));
}

/// The level at which a first token that cannot be had is told of.
async fn level_of_failure(provider: ScriptedProvider, error: Error) -> Level {
    let captured = Captured::default();
    let _installed = captured.install();
    provider.on_fetch(Step::fail(error));
    let rig = Rig::shared(&provider);
    rig.manager.token().await.unwrap_err();
    captured.last("tokenkeeper.token_request_failed").level
}

#[tokio::test]
async fn what_passes_by_itself_is_a_warning_and_what_wants_somebody_an_error() {
    use ErrorKind as E;
    for kind in [E::Transport, E::Unavailable, E::InvalidResponse, E::Storage] {
        let level = level_of_failure(ScriptedProvider::new("svc"), Error::new(kind, "x")).await;
        assert_eq!(level, Level::WARN, "{kind:?}");
    }
    for kind in [E::CredentialsRejected, E::LoginRequired, E::RequestRejected, E::Config] {
        let level = level_of_failure(ScriptedProvider::new("svc"), Error::new(kind, "x")).await;
        assert_eq!(level, Level::ERROR, "{kind:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_dies_is_an_error_only_where_a_person_has_to_log_in() {
    let provider = || ScriptedProvider::new("svc");
    for (provider, level) in [(provider(), Level::WARN), (provider().attended(), Level::ERROR)] {
        let captured = Captured::default();
        let _installed = captured.install();
        let rig = Rig::shared(&provider);
        rig.manager.install(login_elsewhere()).await.unwrap();
        provider.kill_refresh_tokens();
        provider.on_refresh(Step::refuse_refresh());

        let _ = rig.manager.token().await;

        assert_eq!(captured.last("tokenkeeper.refresh_token_dropped").level, level);
        assert_eq!(captured.last("tokenkeeper.token_request_failed").level, Level::WARN);
    }
}

#[tokio::test]
async fn what_is_routine_is_a_debug_event_and_a_fresh_token_none_at_all() {
    let captured = Captured::default();
    let _installed = captured.install();
    let rig = Rig::shared(&ScriptedProvider::new("svc"));

    rig.with_token_aged(OVER).await;
    rig.manager.token().await.unwrap();
    rig.manager.flush().await.unwrap();
    let before = captured.entries();
    rig.manager.token().await.unwrap();

    assert_eq!(before.iter().filter(|e| e.is_event && e.level != Level::DEBUG).count(), 0);
    assert_eq!(captured.entries().len(), before.len());
}

#[tokio::test]
async fn an_exchange_follows_from_its_callers_span_and_does_not_keep_it_open() {
    let captured = Captured::default();
    let _installed = captured.install();
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held(&gate));
    let rig = Rig::shared(&provider);

    {
        let caller = pin!(rig.manager.token().instrument(info_span!("caller")));
        assert!(poll_once(caller).is_pending());
        gate.arrived(1).await;
    }
    let while_exchanging = captured.entries();
    gate.release();
    rig.manager.flush().await.unwrap();

    let is_closed = |name: &str| while_exchanging.iter().any(|e| e.name == name && e.is_closed);
    assert!(is_closed("caller"), "the exchange keeps the span of its caller open");
    assert!(!is_closed("tokenkeeper.exchange"));
    let renewal = captured.last("tokenkeeper.renewal");
    assert_eq!((renewal.parent, &*renewal.follows), (None, &["caller"][..]));
    assert!(renewal.is_closed);
    let succeeded = captured.last("tokenkeeper.token_request_succeeded");
    assert_eq!(succeeded.parent, Some("tokenkeeper.renewal"));
}

#[tokio::test]
async fn who_waits_sees_the_wait_in_its_own_trace() {
    let captured = Captured::default();
    let _installed = captured.install();
    let rig = Rig::shared(&ScriptedProvider::new("svc"));

    let (manager, caller) = (&rig.manager, || info_span!("caller"));

    manager.token().instrument(caller()).await.unwrap();
    rig.clock.advance(Duration::from_secs(6));
    manager.force_refresh().instrument(caller()).await.unwrap();
    manager.login().instrument(caller()).await.unwrap();
    manager.clear().instrument(caller()).await.unwrap();
    manager.install(login_elsewhere()).instrument(caller()).await.unwrap();

    let entries = captured.entries();
    let waits: Vec<_> = entries.iter().filter(|e| e.name == "tokenkeeper.wait").collect();
    assert_eq!(waits.len(), 5);
    for wait in waits {
        assert_eq!((wait.level, wait.parent), (Level::DEBUG, Some("caller")));
    }
}

#[tokio::test]
async fn the_lease_and_the_calls_of_the_storage_are_spans_of_the_renewal() {
    let captured = Captured::default();
    let _installed = captured.install();
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);

    rig.manager.token().await.unwrap();
    rig.manager.flush().await.unwrap();

    let renewal = Some("tokenkeeper.renewal");
    let lease = captured.last("tokenkeeper.lease");
    assert_eq!((lease.level, lease.parent), (Level::DEBUG, renewal));
    let entries = captured.entries();
    let calls = entries.iter().filter(|e| e.name == "tokenkeeper.storage" && e.parent == renewal);
    let calls: Vec<_> = calls
        .map(|e| (e.level, e.field("tokenkeeper.call").unwrap(), e.field("error.type")))
        .collect();
    let load = (Level::DEBUG, "load", None);
    let write = (Level::DEBUG, "compare_and_set", Some("storage"));
    assert_eq!(calls, [load, load, write]);
}

#[tokio::test]
async fn logins_logouts_and_revocations_are_spans_too() {
    let captured = Captured::default();
    let _installed = captured.install();
    let rig = Rig::shared(&ScriptedProvider::new("svc"));

    let login = rig.manager.install(login_elsewhere());
    login.instrument(info_span!("person")).await.unwrap();
    assert_eq!(captured.last("tokenkeeper.handover").follows, ["person"]);
    rig.manager.revoke().await.unwrap();

    assert_eq!(captured.last("tokenkeeper.revocation").field("otel.kind"), Some("client"));
    for event in ["tokenkeeper.installed", "tokenkeeper.cleared"] {
        let event = captured.last(event);
        assert_eq!((event.level, event.parent), (Level::INFO, Some("tokenkeeper.handover")));
    }
}

/// A subscriber that panics at every event.
struct Panics;

impl<S: tracing::Subscriber> Layer<S> for Panics {
    fn on_event(&self, _event: &tracing::Event<'_>, _cx: Context<'_, S>) {
        panic!("a subscriber panics");
    }
}

#[tokio::test]
async fn a_subscriber_that_panics_at_an_event_is_no_failure() {
    let panics = tracing_subscriber::registry().with(Panics);
    let _installed = tracing::subscriber::set_default(panics);
    let manager = TokenManager::new(ScriptedProvider::new("svc"));

    let token = manager.token().await;

    assert!(token.is_ok());
}

/// A subscriber that panics once, at one of the things that happen to one of our spans.
struct PanicsAtSpans {
    hook: &'static str,
    span: &'static str,
    panicked: Arc<AtomicBool>,
}

impl PanicsAtSpans {
    fn at(&self, hook: &str, span: Option<&'static str>) {
        let is_it = self.hook == hook && span == Some(self.span);
        if is_it && !self.panicked.swap(true, Ordering::SeqCst) {
            panic!("a subscriber panics");
        }
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for PanicsAtSpans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _id: &Id, _cx: Context<'_, S>) {
        self.at("new", Some(attributes.metadata().name()));
    }

    fn on_enter(&self, id: &Id, cx: Context<'_, S>) {
        self.at("enter", cx.span(id).map(|span| span.name()));
    }

    fn on_exit(&self, id: &Id, cx: Context<'_, S>) {
        self.at("exit", cx.span(id).map(|span| span.name()));
    }
}

#[test]
fn a_subscriber_that_panics_at_a_span_leaves_the_manager_usable() {
    let spans = ["renewal", "exchange", "lease", "storage", "wait", "handover"];
    let hooks = ["new", "enter", "exit"];
    for (hook, span) in hooks.into_iter().flat_map(|hook| spans.map(|span| (hook, span))) {
        finishes(move || {
            let panicked = Arc::new(AtomicBool::new(false));
            let span = ["tokenkeeper.", span].concat().leak();
            let layer = PanicsAtSpans { hook, span, panicked: Arc::clone(&panicked) };
            let _installed =
                tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
            let rig = Rig::shared(&ScriptedProvider::new("svc"));
            let manager = rig.manager.blocking();

            let _ = catch_unwind(AssertUnwindSafe(|| manager.token()));
            let _ = catch_unwind(AssertUnwindSafe(|| manager.clear()));
            rig.clock.advance(Duration::from_secs(60));
            let _ = manager.flush();
            assert!(panicked.load(Ordering::SeqCst), "{hook} {span}");

            assert!(manager.token().is_ok(), "{hook} {span}");
        });
    }
}

#[tokio::test]
async fn what_nobody_asked_for_has_no_span_to_follow() {
    let captured = Captured::default();
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.with_token_aged(Duration::ZERO).await;
    let _installed = captured.install();

    let refresher = {
        let _caller = info_span!("caller").entered();
        rig.manager.spawn_refresher()
    };
    rig.clock.advance(OVER);
    until("a renewal by the refresher", || rig.provider.refreshes() == 1).await;
    rig.manager.flush().await.unwrap();

    drop(refresher);
    let names: Vec<_> = captured.entries().iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["caller"], "its renewals are told to the global subscriber");
}
