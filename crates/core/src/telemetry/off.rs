//! What stands in for a feature that is off: nothing at all.

#[cfg(not(feature = "metrics"))]
pub(super) use no_metrics::{Metrics, Tally};
#[cfg(not(feature = "tracing"))]
pub(super) use no_traces::{SpannedCall, Traces};

#[cfg(not(feature = "metrics"))]
mod no_metrics {
    use std::marker::PhantomData;
    use std::sync::Arc;

    use crate::clock::Clock;
    use crate::observer::EventKind;
    use crate::telemetry::Reading;

    #[derive(Debug)]
    pub(in crate::telemetry) struct Metrics;

    pub(in crate::telemetry) struct Tally<'a>(PhantomData<&'a ()>);

    impl Metrics {
        pub(in crate::telemetry) fn new(_service_name: &Arc<str>, _has_gauges: bool) -> Self {
            Self
        }

        #[inline]
        pub(in crate::telemetry) fn served_fresh(&self) {}

        pub(in crate::telemetry) fn request<'a>(
            &'a self,
            _clock: &'a dyn Clock,
            _has_fresh: impl FnOnce() -> bool,
        ) -> Tally<'a> {
            Tally(PhantomData)
        }

        pub(in crate::telemetry) fn event(&self, _kind: &EventKind) {}

        pub(in crate::telemetry) fn note(&self, _reading: impl FnOnce() -> Reading) {}

        pub(in crate::telemetry) fn show(&self) {}
    }

    impl Tally<'_> {
        pub(in crate::telemetry) fn waits(&mut self) {}

        pub(in crate::telemetry) fn answered(self, _is_ok: bool) {}
    }
}

#[cfg(not(feature = "tracing"))]
mod no_traces {
    use std::sync::Arc;

    use crate::error::Error;
    use crate::identity::StorageKey;
    use crate::observer::EventKind;
    use crate::provider::TokenProvider;

    #[derive(Debug)]
    pub(in crate::telemetry) struct Traces;

    pub(crate) struct SpannedCall;

    impl Traces {
        pub(in crate::telemetry) fn new(
            _provider: &dyn TokenProvider,
            _service_name: &Arc<str>,
            _key: &Arc<StorageKey>,
        ) -> Self {
            Self
        }

        pub(in crate::telemetry) fn event(&self, _kind: &EventKind) {}

        pub(in crate::telemetry) fn flight<F: Future>(&self, _is_handover: bool, work: F) -> F {
            work
        }

        pub(in crate::telemetry) fn task<F: Future>(work: F) -> F {
            work
        }

        pub(in crate::telemetry) fn wait<F: Future>(&self, flight: F) -> F {
            flight
        }

        pub(in crate::telemetry) fn call(&self, _name: &'static str) -> SpannedCall {
            SpannedCall
        }
    }

    impl SpannedCall {
        pub(crate) fn run<F: Future>(&self, work: F) -> F {
            work
        }

        pub(crate) fn ended(self, _error: Option<&Error>) {}
    }
}
