//! What managers tell [`tracing`] and [`metrics`], behind the features of these names.
//!
//! Both features are off by default and then cost nothing. They add to [`Observer`](crate::Observer)
//! and take nothing away from it. Neither is ever told a secret, a body or the query of a URL.
//!
//! A subscriber and a recorder are called like storages are, some of the time while a write is
//! under way. They must not block, and must not call the manager that they hear of.
//!
//! # `tracing`
//!
//! The target is `tokenkeeper` for everything.
//!
//! | span | level | around |
//! |---|---|---|
//! | `tokenkeeper.renewal` | info | a flight: a look into the storage, the lease, the exchange, the write |
//! | `tokenkeeper.handover` | info | a login or logout on its way into the storage |
//! | `tokenkeeper.exchange` | info | one call of the provider for tokens; `otel.kind` is `client` |
//! | `tokenkeeper.revocation` | info | one call of the provider to revoke; `otel.kind` is `client` |
//! | `tokenkeeper.lease` | debug | the wait for the lease |
//! | `tokenkeeper.storage` | debug | any other call of the storage |
//! | `tokenkeeper.wait` | debug | a caller who waits for a renewal or handover, in the caller's own trace |
//!
//! An exchange belongs to no caller, may outlive whoever started it, and serves many. So
//! `tokenkeeper.renewal` and `tokenkeeper.handover` are roots, which *follow from* the span that
//! was current where the call was made: a child would keep the caller's span open until the
//! exchange is over. What happens on the way, the requests of an HTTP client too, is inside them,
//! and goes to the subscriber that was current for the caller. What nobody asked for, as the renewals
//! of a refresher or a write that is tried again, goes to the global one.
//!
//! Every [`EventKind`] becomes an event whose name is `tokenkeeper.` and
//! [`EventKind::name`], and whose message is its `Display`.
//!
//! | level | events |
//! |---|---|
//! | error | `token_request_failed` where somebody has to act: refused credentials or requests, a wanted login; `refresh_token_dropped` and `record_unreadable` where the provider cannot log in without a person; a record of a newer version; `panicked` |
//! | warn | `token_request_failed` otherwise, `answer_lost`, `storage_failed`, `rejected_token_reissued`, `rejected` within five minutes; `refresh_token_dropped` and `record_unreadable` where a login follows by itself |
//! | info | `installed`, `cleared`, `write_recovered` |
//! | debug | the others |
//!
//! | field | on | what |
//! |---|---|---|
//! | `tokenkeeper.service` | all | the name of the service; `service.name` would be that of your program |
//! | `tokenkeeper.key` | all | the key of the record, a hash unless you chose one |
//! | `tokenkeeper.exchange.kind` | exchanges | `fetch` or `refresh` |
//! | `tokenkeeper.call` | storage calls, panics | which call |
//! | `tokenkeeper.duration` | events of exchanges and leases | seconds |
//! | `tokenkeeper.oauth.error` | failures | the `error` of the answer (RFC 6749 §5.2) |
//! | `server.address`, `server.port` | exchanges, revocations | of the token endpoint, if the [identity](crate::ProviderIdentity) has a field `token_url` |
//! | `error.type` | failures | [`ErrorKind::as_str`](crate::ErrorKind::as_str) |
//! | `http.response.status_code` | failures | if there was an answer |
//! | `otel.kind`, `otel.status_code`, `otel.status_description` | spans | as `tracing-opentelemetry` reads them; the status is set for failures only |
//!
//! Names without `tokenkeeper` in front are those of the OpenTelemetry semantic conventions, which
//! have none for OAuth2.
//!
//! # `metrics`
//!
//! See `describe_metrics`, which is there with the feature.
//!
//! [`tracing`]: https://docs.rs/tracing
//! [`metrics`]: https://docs.rs/metrics

use std::sync::Arc;

use crate::clock::Clock;
use crate::error::Error;
use crate::identity::StorageKey;
use crate::observer::EventKind;
use crate::provider::TokenProvider;

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(all(feature = "metrics", feature = "tracing")))]
mod off;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
pub use self::metrics::describe_metrics;
#[cfg(feature = "metrics")]
use self::metrics::{Metrics, Tally};
#[cfg(not(feature = "metrics"))]
use self::off::{Metrics, Tally};
#[cfg(not(feature = "tracing"))]
use self::off::{SpannedCall, Traces};
#[cfg(feature = "tracing")]
use self::tracing::{SpannedCall, Traces};

/// What one manager tells; nothing without the features.
#[derive(Debug)]
pub(crate) struct Telemetry {
    traces: Traces,
    metrics: Metrics,
}

/// What the gauges show. Points in time are seconds since 1970, zero for none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) issued_at: f64,
    /// Infinite if the service gave no lifetime.
    pub(crate) expires_at: f64,
    /// Infinite if nothing is done until somebody acts.
    pub(crate) paused_until: f64,
    pub(crate) is_unpersisted: bool,
}

impl Telemetry {
    pub(crate) fn new(
        provider: &dyn TokenProvider,
        service_name: &Arc<str>,
        key: &Arc<StorageKey>,
        has_gauges: bool,
    ) -> Self {
        Self {
            traces: Traces::new(provider, service_name, key),
            metrics: Metrics::new(service_name, has_gauges),
        }
    }

    /// A fresh token was served. This is on the hot path.
    #[inline]
    pub(crate) fn served_fresh(&self) {
        self.metrics.served_fresh();
    }

    /// Somebody wants a token that is not served on the hot path. Whether there is a fresh one is
    /// asked at once: a renewal in the background may bring one any moment.
    pub(crate) fn request<'a>(
        &'a self,
        clock: &'a dyn Clock,
        has_fresh: impl FnOnce() -> bool,
    ) -> Request<'a> {
        Request { telemetry: self, tally: self.metrics.request(clock, has_fresh) }
    }

    pub(crate) fn event(&self, kind: &EventKind) {
        self.traces.event(kind);
        self.metrics.event(kind);
    }

    /// Takes down what the gauges show. To be called under the state lock, so that the last to do
    /// so is the last to have changed something; it calls nobody.
    pub(crate) fn note(&self, reading: impl FnOnce() -> Reading) {
        self.metrics.note(reading);
    }

    /// Shows what was taken down. No lock may be held.
    pub(crate) fn show(&self) {
        self.metrics.show();
    }

    /// The work of a flight, which a caller starts and which belongs to nobody.
    pub(crate) fn flight<T, F>(
        &self,
        is_handover: bool,
        work: F,
    ) -> impl Future<Output = F::Output> + Send + use<T, F>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        self.traces.flight(is_handover, work)
    }

    /// A caller who waits for a flight.
    pub(crate) fn wait<F: Future>(&self, flight: F) -> impl Future<Output = F::Output> + use<F> {
        self.traces.wait(flight)
    }

    /// Other work for the driver.
    pub(crate) fn task<F: Future + Send>(work: F) -> impl Future<Output = F::Output> + Send {
        Traces::task(work)
    }

    /// A call of a provider or storage is about to be made.
    pub(crate) fn call(&self, name: &'static str) -> SpannedCall {
        self.traces.call(name)
    }
}

/// Somebody who wants a token.
pub(crate) struct Request<'a> {
    telemetry: &'a Telemetry,
    tally: Tally<'a>,
}

impl Request<'_> {
    /// Waits for a flight.
    pub(crate) async fn wait<T>(&mut self, flight: impl Future<Output = T>) -> T {
        self.tally.waits();
        self.telemetry.wait(flight).await
    }

    /// The end of it. Who is dropped before that has given up.
    pub(crate) fn answered(self, is_ok: bool) {
        self.tally.answered(is_ok);
    }
}
