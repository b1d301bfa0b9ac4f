//! What all handles of one manager share, and the three things done with it: publish what callers
//! may see without a lock, call out with a deadline, and put work onto the driver.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::access_token::AccessToken;
use crate::clock::{Clock, Now};
use crate::driver::Driver;
use crate::error::{Error, ErrorKind};
use crate::identity::StorageKey;
use crate::observer::{Event, EventKind, Observer};
use crate::panics::{Panicked, catching, caught};
use crate::policy::RefreshPolicy;
use crate::provider::TokenProvider;
use crate::refresh::flight::{Flight, Outcome};
use crate::state::backoff::Pace;
use crate::state::{Abilities, State};
use crate::storage::TokenStorage;
use crate::store::lease::KeptLease;
use crate::telemetry::Telemetry;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) provider: Arc<dyn TokenProvider>,
    pub(crate) storage: Arc<dyn TokenStorage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: RefreshPolicy,
    pub(crate) service_name: Arc<str>,
    pub(crate) key: Arc<StorageKey>,
    pub(crate) driver: Driver,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) telemetry: Telemetry,
    pub(crate) published: ArcSwapOption<Published>,
    pub(crate) state: Mutex<State>,
    /// CurrentTokens over every write, so that two of them never cross.
    pub(crate) writing: tokio::sync::Mutex<()>,
    pub(crate) kept_lease: KeptLease,
    /// The process in which it did something first; zero before.
    pub(crate) used_in: AtomicU32,
    /// Counts changes, for whoever wants to look again.
    pub(crate) changes: watch::Sender<u64>,
}

/// What the hot path reads: a token, and until when it is served without a second thought.
#[derive(Debug)]
pub(crate) struct Published {
    token: Arc<AccessToken>,
    fresh_until: Now,
}

/// A call that failed, and what observers have not been told of it yet.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) events: Vec<EventKind>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, events: Vec::new() }
    }
}

impl Core {
    /// The hot path: one atomic load, one reading of the clocks, two comparisons, one clone.
    #[inline]
    pub(crate) fn fresh(&self) -> Option<Arc<AccessToken>> {
        let published = self.published.load();
        let published = published.as_ref()?;
        if self.clock.now().has_reached(&published.fresh_until) {
            return None;
        }
        Some(Arc::clone(&published.token))
    }

    /// After `fork`, the threads that a flight or a lock waits for are in the parent.
    pub(crate) fn check_process(&self) -> Result<(), Error> {
        let here = std::process::id();
        let used_in = self.used_in.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed);
        match used_in {
            Err(other) if other != here => {
                let what = format!(
                    "this manager was used in process {other} and carried by fork into {here}, \
                     which has none of its threads"
                );
                let advice = "make the manager after the fork";
                Err(self.error(ErrorKind::Config, what).with_advice(advice))
            }
            _ => Ok(()),
        }
    }

    /// What the provider says of itself. One that panics is taken for one that needs a person, so
    /// that nothing is sent on its behalf.
    pub(crate) fn abilities(&self) -> Abilities {
        let asked = caught(|| Abilities {
            non_interactive: self.provider.non_interactive(),
            refreshes: self.provider.refreshes(),
        });
        asked.unwrap_or_else(|Panicked| {
            let _ = self.tell(self.panicked("non_interactive"));
            Abilities { non_interactive: false, refreshes: true }
        })
    }

    /// Changes the state, and what the hot path sees of it, in one step.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let errors = state.errors();
        let result = change(&mut state);
        let published = state.fresh();
        let published = published.map(|(token, fresh_until)| Published { token, fresh_until });
        self.published.store(published.map(Arc::new));
        self.telemetry.note(|| state.reading());
        drop(state);
        let _ = caught(|| self.telemetry.show());
        let _ = caught(|| drop(errors)); // what the forgotten ones were made of may call back
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    /// Notes the failure of a flight: the error that answers callers until the pause is over. One
    /// of a flight that `clear` or `install` overtook is about tokens that are no longer there.
    pub(crate) fn fail_flight(&self, flight: &Arc<Flight>, error: Error) -> Error {
        let pace = Pace::of(error.kind());
        self.fail_flight_at(flight, error, pace)
    }

    pub(crate) fn fail_flight_at(&self, flight: &Arc<Flight>, error: Error, pace: Pace) -> Error {
        let now = self.clock.now();
        let error = error.at_service(&self.service_name);
        self.change(|state| match state.is_current(flight) {
            true => state.fail_at(now, error, pace, &self.policy),
            false => error,
        })
    }

    /// Notes that there was nothing to be had, and that no request can be made.
    pub(crate) fn note_empty_lookup(&self, flight: &Arc<Flight>, error: Error) -> Error {
        let (now, error) = (self.clock.now(), error.at_service(&self.service_name));
        self.change(|state| {
            if state.is_current(flight) {
                state.note_empty_lookup(now, error.clone());
            }
        });
        error
    }

    /// An error of this manager.
    pub(crate) fn error(&self, kind: ErrorKind, what: impl Into<String>) -> Error {
        Error::new(kind, what.into()).at_service(&self.service_name)
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        let _ = caught(|| self.telemetry.event(&kind));
        if self.observers.is_empty() {
            return;
        }
        let event = Event::new(Arc::clone(&self.service_name), Arc::clone(&self.key), kind);
        for observer in &self.observers {
            let _ = caught(|| observer.on_event(&event));
        }
    }

    /// Calls a provider or storage: at most for `limit`, and a panic becomes an error.
    pub(crate) async fn call<T>(
        &self,
        name: &'static str,
        limit: Duration,
        late: impl FnOnce() -> Error,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.call_quietly(name, limit, late, work).await.map_err(|failed| self.tell(failed))
    }

    /// Tells the observers of a failure. No lock may be held, `writing` neither.
    pub(crate) fn tell(&self, failed: Failed) -> Error {
        for event in failed.events {
            self.emit(event);
        }
        failed.error
    }

    pub(crate) fn panicked(&self, call: &'static str) -> Failed {
        let error = self.error(ErrorKind::Internal, format!("{call} panicked"));
        Failed { error, events: vec![EventKind::Panicked { call }] }
    }

    /// As [`call`](Self::call), and leaves it to the caller to tell the observers.
    pub(crate) async fn call_quietly<T>(
        &self,
        name: &'static str,
        limit: Duration,
        late: impl FnOnce() -> Error,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        self.call_until(name, limit, Duration::MAX, late, work).await
    }

    /// As [`call_quietly`](Self::call_quietly), for work that must not go on once `end` is over, not
    /// by a single step: a request that a stopped process has not sent yet is not sent after that.
    pub(crate) async fn call_until<T>(
        &self,
        name: &'static str,
        limit: Duration,
        end: Duration,
        late: impl FnOnce() -> Error,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failed> {
        let call = self.telemetry.call(name);
        let in_time = async {
            let mut work = pin!(catching(work));
            tokio::select! {
                biased;
                () = self.clock.sleep(end), if end > limit && end < Duration::MAX => Ok(Err(late())),
                result = &mut work => result,
                () = self.clock.sleep(limit) => match last_turns(work).await {
                    Some(result) => result,
                    None => Ok(Err(late())),
                },
            }
        };
        let result = match call.run(in_time).await {
            Ok(result) => {
                result.map_err(|error| Failed::from(error.at_service(&self.service_name)))
            }
            Err(Panicked) => Err(self.panicked(name)),
        };
        call.ended(result.as_ref().err().map(|failed| &failed.error));
        result
    }

    /// Sends a flight on its way. The state lock must not be held: a driver that was shut down
    /// drops the task at once, and its guard takes the lock.
    pub(crate) fn fly<F>(self: &Arc<Self>, flight: &Arc<Flight>, work: F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let guard = FlightGuard { core: Arc::clone(self), flight: Arc::clone(flight) };
        let handle = match self.driver.handle() {
            Ok(handle) => handle,
            Err(error) => return guard.finish(Err(self.fail_flight(flight, error))),
        };
        let (core, slow) = (Arc::clone(self), Arc::clone(flight));
        let work = self.telemetry.flight(flight.kind().changes_session(), work);
        let task = async move {
            let mut work = pin!(catching(work));
            let outcome = tokio::select! {
                biased;
                outcome = &mut work => outcome,
                () = core.clock.sleep(core.policy.longest_wait) => {
                    slow.mark_slow();
                    work.await
                }
            };
            // After a panic the guard is dropped, and says so.
            if let Ok(outcome) = outcome {
                guard.finish(outcome);
            }
        };
        handle.spawn(task);
    }

    /// Runs something on the driver that nobody waits for, but `flush` does.
    pub(crate) fn spawn_counted(
        self: &Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let handle = self.driver.handle()?;
        self.state.lock().task_started();
        let counted = TaskGuard(Arc::clone(self));
        let task = Telemetry::task(task);
        handle.spawn(async move {
            let _counted = counted;
            let _ = catching(task).await;
        });
        Ok(())
    }
}

/// Ends a flight, also when its task panics or its runtime is shut down.
struct FlightGuard {
    core: Arc<Core>,
    flight: Arc<Flight>,
}

impl FlightGuard {
    fn finish(self, outcome: Outcome) {
        self.core.change(|state| state.finish(&self.flight));
        self.flight.finish(outcome);
    }
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        if self.flight.is_done() {
            return;
        }
        let what = "the task that got the token is gone: it panicked, or its driver was shut down";
        let error = Error::new(ErrorKind::Internal, what);
        let error = self.core.fail_flight(&self.flight, error);
        self.core.change(|state| state.finish(&self.flight));
        self.flight.finish(Err(error));
    }
}

struct TaskGuard(Arc<Core>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.change(State::task_ended);
    }
}

/// Whoever was stopped, or kept waiting by a busy machine, finds at one moment that its time is up
/// and that the answer is there. It has yet to pass through the tasks of a client, which get their
/// turns here: what a refresh brought is too dear to be dropped unread.
async fn last_turns<T>(mut work: impl Future<Output = T> + Unpin) -> Option<T> {
    for _ in 0..LAST_TURNS {
        tokio::task::yield_now().await;
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut work).poll(cx))).await;
        if let Poll::Ready(result) = polled {
            return Some(result);
        }
    }
    None
}

const LAST_TURNS: usize = 16; // HTTP clients take two or three; all of them last microseconds

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use async_trait::async_trait;

    use super::*;
    use crate::identity::ProviderIdentity;
    use crate::manager::TokenManager;
    use crate::provider::FetchContext;
    use crate::token_set::TokenSet;

    #[derive(Debug)]
    struct Vending(ProviderIdentity);

    #[async_trait]
    impl TokenProvider for Vending {
        fn identity(&self) -> &ProviderIdentity {
            &self.0
        }

        async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
            let token = AccessToken::new("access", "Bearer")?;
            let lifetime = Duration::from_secs(900);
            Ok(TokenSet::new(token, cx.ready_to_send()?).with_lifetime(lifetime))
        }
    }

    #[test]
    fn a_fresh_token_is_served_while_the_locks_are_held() {
        let manager = TokenManager::new(Vending(ProviderIdentity::new("vending")));
        manager.blocking().token().unwrap();
        manager.blocking().flush().unwrap();
        let asks = manager.clone();
        let (report, reported) = mpsc::channel();

        let state = manager.core.state.lock();
        let writing = pollster::block_on(manager.core.writing.lock());
        std::thread::spawn(move || {
            let served = asks.peek().is_some()
                && pin!(asks.token()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
            let _ = report.send(served);
        });
        let served = reported.recv_timeout(Duration::from_secs(60));
        drop((state, writing));

        assert_eq!(served, Ok(true), "a fresh token waited for a lock");
    }
}
