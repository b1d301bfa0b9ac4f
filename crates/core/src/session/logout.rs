//! Taking tokens out: clear, revoke, and the calls that wait for what is under way.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::policy::TOMBSTONE_TTL;
use crate::refresh::flight::{Flight, FlightKind, Outcome};
use crate::refresh::publish::Persisted;
use crate::shared::Core;
use crate::store::Write;
use crate::store::payload::tombstone;
use crate::token_set::TokenSet;

impl Core {
    /// Memory is empty before the first await.
    pub(crate) async fn clear(self: &Arc<Self>) -> Result<(), Error> {
        self.check_process()?;
        let flight = self.start_clear();
        self.telemetry.wait(flight.done()).await.map(|_| ())
    }

    fn start_clear(self: &Arc<Self>) -> Arc<Flight> {
        let flight = self.overtake(FlightKind::Logout);
        let core = Arc::clone(self);
        let this = Arc::clone(&flight);
        self.fly(&flight, async move { core.run_clear(&this).await });
        flight
    }

    async fn run_clear(self: &Arc<Self>, flight: &Arc<Flight>) -> Outcome {
        self.emit(EventKind::Cleared);
        let order = self.state.lock().order();
        let keep_until = self.clock.now().after(TOMBSTONE_TTL).wall();
        match self.persist(flight, Write::of_session(tombstone(order, keep_until))).await {
            Persisted::Stored(order) => {
                self.change(|state| state.rise_above(order));
                Ok(None)
            }
            Persisted::Later(order, error) => {
                self.change(|state| state.rise_above(order));
                Err(error)
            }
            // Somebody who logs in, or clears too, came later and has the last word.
            Persisted::Overtaken | Persisted::Overruled(_) => Ok(None),
        }
    }

    pub(crate) async fn revoke(self: &Arc<Self>) -> Result<(), Error> {
        let core = Arc::clone(self);
        self.on_driver(async move { core.run_revoke().await }).await
    }

    async fn run_revoke(self: &Arc<Self>) -> Result<(), Error> {
        self.catch_up().await?;
        let mut told = None;
        while let Some(tokens) = self.tokens_unlike(told.as_ref()) {
            let limit = self.policy.request_timeout;
            let late =
                || self.error(ErrorKind::Transport, "the revocation was not answered in time");
            self.call("revoke", limit, late, self.provider.revoke(&tokens)).await?;
            told = Some(tokens);
            self.finish_flight().await;
        }
        self.start_clear().done().await.map(|_| ())
    }

    pub(crate) async fn tokens(self: &Arc<Self>) -> Result<Option<TokenSet>, Error> {
        let core = Arc::clone(self);
        self.on_driver(async move {
            core.catch_up().await?;
            let tokens = core.state.lock().tokens();
            Ok(tokens.map(|tokens| TokenSet::clone(&tokens)))
        })
        .await
    }

    /// Waits for what is under way, and learns from the storage if that has something newer.
    async fn catch_up(&self) -> Result<(), Error> {
        self.finish_flight().await;
        if let Some(record) = self.read().await?.record {
            self.take_over(&record);
        }
        Ok(())
    }

    /// An exchange under way brings the tokens that have to be revoked.
    pub(crate) async fn finish_flight(&self) {
        let flight = self.state.lock().flight();
        if let Some(flight) = flight {
            let _ = flight.done().await;
        }
    }

    /// The tokens that are held, unless the service was told of them already.
    fn tokens_unlike(&self, told: Option<&Arc<TokenSet>>) -> Option<Arc<TokenSet>> {
        let tokens = self.state.lock().tokens()?;
        told.is_none_or(|told| !Arc::ptr_eq(told, &tokens)).then_some(tokens)
    }

    /// Waits for what is under way, then writes what is left to write.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<(), Error> {
        self.check_process()?;
        let mut changes = self.changes.subscribe();
        while self.state.lock().has_tasks() {
            // The sender lives in `self`, so waiting cannot fail.
            let _ = changes.changed().await;
        }
        if self.state.lock().owed().is_none() {
            return Ok(());
        }
        let core = Arc::clone(self);
        self.on_driver(async move {
            let result = core.write_owed().await;
            core.release_kept_lease(None).await;
            result
        })
        .await
    }

    /// Runs something on the driver and waits for it; dropping the wait does not stop it.
    pub(super) async fn on_driver<T: Send + 'static>(
        self: &Arc<Self>,
        task: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.check_process()?;
        let (answer, answered) = oneshot::channel();
        self.spawn_counted(async move {
            let _ = answer.send(task.await);
        })?;
        answered.await.unwrap_or_else(|_| {
            Err(self.error(ErrorKind::Internal, "the task on the driver is gone"))
        })
    }
}
