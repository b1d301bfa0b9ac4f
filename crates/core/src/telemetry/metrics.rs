//! Counters, gauges and histograms of one manager.
//!
//! All of them are registered when the manager is built, because a handle that is looked up later
//! would cost a lock, and because rates of a counter need to see it at zero. Labels are the service
//! and words out of short lists, never a key: a process may keep the tokens of a million users.

use std::sync::Arc;

use ::metrics::{
    Counter, Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};
use parking_lot::Mutex;

use super::Reading;
use crate::clock::{Clock, Now};
use crate::error::ErrorKind;
use crate::oauth_error::TokenRequestKind;
use crate::observer::EventKind;

/// Gives the recorder the unit and the meaning of every metric. Call it once, after installing the
/// recorder.
///
/// | metric | labels beside `tokenkeeper_service` | what |
/// |---|---|---|
/// | `tokenkeeper_token_calls_total` | `result` | calls of `token`, `token_valid_for`, and `replace_rejected` where exchanges are not paused: answered at once with a `fresh` token or one that is `due` for renewal, answered after they `waited`, `failed`, or `dropped` by a caller who gave up waiting |
/// | `tokenkeeper_token_wait_seconds` | | histogram: how long those that waited did so, in vain too |
/// | `tokenkeeper_token_requests_total` | `exchange`, `outcome` | `fetch` or `refresh`; `success`, or [`ErrorKind::as_str`] |
/// | `tokenkeeper_token_request_duration_seconds` | `exchange` | histogram: how long the provider took, whatever came of it |
/// | `tokenkeeper_lease_wait_seconds` | | histogram: how long the lease of a fleet was waited for, in vain too |
/// | `tokenkeeper_events_total` | `event` | everything that an [`Observer`](crate::Observer) is told, by [`EventKind::name`] |
/// | `tokenkeeper_token_issued_timestamp_seconds` | | gauge: when the token was asked for; 0 without one |
/// | `tokenkeeper_token_expiry_timestamp_seconds` | | gauge: when the token ends; 0 without one, infinite without a known lifetime |
/// | `tokenkeeper_pause_end_timestamp_seconds` | | gauge: until when the service is not asked again after a failure; 0 if there was none, infinite until somebody acts |
/// | `tokenkeeper_unpersisted` | | gauge: 1 while tokens are in memory only because a write failed |
///
/// Points in time are seconds since 1970, because a gauge is written when something changes, and an
/// age or a remaining life would be wrong a second later: `tokenkeeper_token_expiry_timestamp_seconds -
/// time()` is always right.
///
/// Where one process has several managers of one service, counters and histograms add up, and gauges
/// show the one that changed last. Managers of a [`TokenManagerMap`](crate::TokenManagerMap) have no
/// gauges, which could only show one of many users;
/// [`statuses`](crate::TokenManagerMap::statuses) tells of all.
///
/// A manager takes its metrics from the recorder that is installed when it is built, for good:
/// install the recorder first. One that was built earlier counts nothing.
///
/// # Examples
///
/// ```
/// // first: `PrometheusBuilder::new().install_recorder()`, or that of another exporter
/// tokenkeeper::telemetry::describe_metrics();
/// // then: build managers
/// ```
pub fn describe_metrics() {
    describe_counter!(CALLS, Unit::Count, "Calls for a token, by how they were answered.");
    describe_histogram!(WAIT, Unit::Seconds, "How long callers waited for a token.");
    describe_counter!(EXCHANGES, Unit::Count, "Exchanges, by call and outcome.");
    describe_histogram!(EXCHANGE_DURATION, Unit::Seconds, "How long exchanges took.");
    describe_histogram!(LEASE_WAIT, Unit::Seconds, "How long the lease was waited for.");
    describe_counter!(EVENTS, Unit::Count, "What happened in managers, by name.");
    describe_gauge!(ISSUED, Unit::Seconds, "Unix time at which the token was asked for, or 0.");
    describe_gauge!(EXPIRY, Unit::Seconds, "Unix time at which the token ends, or 0.");
    describe_gauge!(
        PAUSE_END,
        Unit::Seconds,
        "Unix time until which the service is not asked after a failure, or 0."
    );
    describe_gauge!(UNPERSISTED, Unit::Count, "1 while tokens are in memory only.");
}

#[derive(Debug)]
pub(super) struct Metrics {
    fresh: Counter,
    due: Counter,
    waited: Counter,
    failed: Counter,
    dropped: Counter,
    wait: Histogram,
    fetches: Exchanges,
    refreshes: Exchanges,
    lease_wait: Histogram,
    events: Vec<(&'static str, Counter)>,
    gauges: Option<Gauges>,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Exchanges {
    succeeded: Counter,
    failed: Vec<(ErrorKind, Counter)>,
    duration: Histogram,
}

#[derive(Debug)]
struct Gauges {
    issued: Gauge,
    expiry: Gauge,
    pause_end: Gauge,
    unpersisted: Gauge,
}

/// The newest reading, and how many there have been.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    reading: Reading,
    count: u64,
}

impl Metrics {
    pub(super) fn new(service_name: &Arc<str>, has_gauges: bool) -> Self {
        let service = || SharedString::from(Arc::clone(service_name));
        let requests =
            |result: &'static str| counter!(CALLS, SERVICE => service(), "result" => result);
        let exchanges = |kind: TokenRequestKind| {
            let kind = kind.as_str();
            let count = |outcome: &'static str| counter!(EXCHANGES, SERVICE => service(), "exchange" => kind, "outcome" => outcome);
            Exchanges {
                succeeded: count("success"),
                failed: ErrorKind::ALL.iter().map(|kind| (*kind, count(kind.as_str()))).collect(),
                duration: histogram!(EXCHANGE_DURATION, SERVICE => service(), "exchange" => kind),
            }
        };
        let event =
            |name: &&'static str| (*name, counter!(EVENTS, SERVICE => service(), "event" => *name));
        Self {
            fresh: requests("fresh"),
            due: requests("due"),
            waited: requests("waited"),
            failed: requests("failed"),
            dropped: requests("dropped"),
            wait: histogram!(WAIT, SERVICE => service()),
            fetches: exchanges(TokenRequestKind::Fetch),
            refreshes: exchanges(TokenRequestKind::Refresh),
            lease_wait: histogram!(LEASE_WAIT, SERVICE => service()),
            events: EventKind::NAMES.iter().map(event).collect(),
            gauges: has_gauges.then(|| Gauges {
                issued: gauge!(ISSUED, SERVICE => service()),
                expiry: gauge!(EXPIRY, SERVICE => service()),
                pause_end: gauge!(PAUSE_END, SERVICE => service()),
                unpersisted: gauge!(UNPERSISTED, SERVICE => service()),
            }),
            noted: Mutex::default(),
        }
    }

    #[inline]
    pub(super) fn served_fresh(&self) {
        self.fresh.increment(1);
    }

    pub(super) fn request<'a>(
        &'a self,
        clock: &'a dyn Clock,
        has_fresh: impl FnOnce() -> bool,
    ) -> Tally<'a> {
        let at_once = if has_fresh() { &self.fresh } else { &self.due };
        Tally { metrics: self, clock, at_once, waits_since: None, is_answered: false }
    }

    pub(super) fn event(&self, kind: &EventKind) {
        let name = kind.name();
        if let Some((_, counter)) = self.events.iter().find(|(known, _)| *known == name) {
            counter.increment(1);
        }
        match kind {
            EventKind::TokenRequestSucceeded { exchange, took, .. } => {
                let exchanges = self.exchanges(*exchange);
                exchanges.succeeded.increment(1);
                exchanges.duration.record(*took);
            }
            EventKind::TokenRequestFailed { exchange, took, error } => {
                let exchanges = self.exchanges(*exchange);
                let counter = exchanges.failed.iter().find(|(kind, _)| *kind == error.kind());
                if let Some((_, counter)) = counter {
                    counter.increment(1);
                }
                exchanges.duration.record(*took);
            }
            EventKind::LeaseWaited { took, .. } => self.lease_wait.record(*took),
            _ => {}
        }
    }

    fn exchanges(&self, kind: TokenRequestKind) -> &Exchanges {
        match kind {
            TokenRequestKind::Fetch => &self.fetches,
            TokenRequestKind::Refresh => &self.refreshes,
        }
    }

    pub(super) fn note(&self, reading: impl FnOnce() -> Reading) {
        if self.gauges.is_none() {
            return;
        }
        let reading = reading();
        let mut noted = self.noted.lock();
        *noted = Noted { reading, count: noted.count + 1 };
    }

    /// Until nobody has noted anything newer meanwhile: two who show at once may overtake each
    /// other, but the last word is that of the newest.
    pub(super) fn show(&self) {
        let Some(gauges) = &self.gauges else { return };
        loop {
            let Noted { reading, count } = *self.noted.lock();
            gauges.issued.set(reading.issued_at);
            gauges.expiry.set(reading.expires_at);
            gauges.pause_end.set(reading.paused_until);
            gauges.unpersisted.set(f64::from(u8::from(reading.is_unpersisted)));
            if self.noted.lock().count == count {
                return;
            }
        }
    }
}

/// How one request for a token fares.
pub(super) struct Tally<'a> {
    metrics: &'a Metrics,
    clock: &'a dyn Clock,
    /// Counts an answer that is given without waiting.
    at_once: &'a Counter,
    waits_since: Option<Now>,
    is_answered: bool,
}

impl Tally<'_> {
    pub(super) fn waits(&mut self) {
        self.waits_since.get_or_insert_with(|| self.clock.now());
    }

    pub(super) fn answered(mut self, is_ok: bool) {
        self.is_answered = true;
        let counter = match self.waits_since {
            _ if !is_ok => &self.metrics.failed,
            Some(_) => &self.metrics.waited,
            None => self.at_once,
        };
        counter.increment(1);
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.waits_since {
            self.metrics.wait.record(self.clock.now().since(&since));
        }
        if !self.is_answered {
            self.metrics.dropped.increment(1);
        }
    }
}

const SERVICE: &str = "tokenkeeper_service"; // Prometheus gives targets a label `service`

const CALLS: &str = "tokenkeeper_token_calls_total";
const WAIT: &str = "tokenkeeper_token_wait_seconds";
const EXCHANGES: &str = "tokenkeeper_token_requests_total";
const EXCHANGE_DURATION: &str = "tokenkeeper_token_request_duration_seconds";
const LEASE_WAIT: &str = "tokenkeeper_lease_wait_seconds";
const EVENTS: &str = "tokenkeeper_events_total";
const ISSUED: &str = "tokenkeeper_token_issued_timestamp_seconds";
const EXPIRY: &str = "tokenkeeper_token_expiry_timestamp_seconds";
const PAUSE_END: &str = "tokenkeeper_pause_end_timestamp_seconds";
const UNPERSISTED: &str = "tokenkeeper_unpersisted";

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use ::metrics::GaugeFn;

    use super::*;

    /// While it is set for the first time, somebody else notes and shows something newer.
    #[derive(Default)]
    struct Overtaken {
        value: AtomicU64,
        sets: AtomicU64,
        metrics: OnceLock<Arc<Metrics>>,
    }

    impl GaugeFn for Overtaken {
        fn increment(&self, _value: f64) {}

        fn decrement(&self, _value: f64) {}

        fn set(&self, value: f64) {
            if self.sets.fetch_add(1, Ordering::SeqCst) == 0 {
                let metrics = self.metrics.get().unwrap();
                metrics.note(|| Reading { issued_at: 2.0, ..Reading::default() });
                metrics.show();
            }
            self.value.store(value.to_bits(), Ordering::SeqCst);
        }
    }

    #[test]
    fn of_two_who_show_at_once_the_newer_has_the_last_word() {
        let gauge = Arc::new(Overtaken::default());
        let mut metrics = Metrics::new(&Arc::from("svc"), true);
        metrics.gauges.as_mut().unwrap().issued = Gauge::from_arc(Arc::clone(&gauge));
        let metrics = Arc::new(metrics);
        gauge.metrics.set(Arc::clone(&metrics)).unwrap();

        metrics.note(|| Reading { issued_at: 1.0, ..Reading::default() });
        metrics.show();

        assert_eq!(f64::from_bits(gauge.value.load(Ordering::SeqCst)), 2.0);
    }
}
