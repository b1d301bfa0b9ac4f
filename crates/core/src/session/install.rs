//! Putting tokens in and out: install, clear, revoke. Whatever exchange is under way loses.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::record::Order;
use crate::refresh::flight::{Flight, FlightKind, Outcome};
use crate::refresh::publish::Persisted;
use crate::shared::Core;
use crate::shared_storage::Version;
use crate::state::State;
use crate::state::lifetimes::Lifetime;
use crate::store::payload::{Contents, tombstone};
use crate::store::{Expected, Write};
use crate::token_set::TokenSet;

impl Core {
    pub(crate) async fn install(self: &Arc<Self>, tokens: TokenSet) -> Result<(), Error> {
        self.check_installable(&tokens)?;
        let flight = self.overtake(|_| {});
        self.fly_install(&flight, tokens, None);
        self.telemetry.wait(flight.done()).await.map(|_| ())
    }

    /// Whether they were installed: `false` if there were tokens already.
    pub(crate) async fn install_if_absent(
        self: &Arc<Self>,
        tokens: TokenSet,
    ) -> Result<bool, Error> {
        self.check_installable(&tokens)?;
        let core = Arc::clone(self);
        self.on_driver(async move {
            let Some(flight) = core.start_install_if_absent(tokens).await? else {
                return Ok(false);
            };
            match flight.done().await {
                Ok(_) => Ok(true),
                // Another process came between the look and the write, or somebody in this one.
                Err(error) if error.kind() == ErrorKind::Superseded => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// The flight of an install, if there are no tokens here or in the storage.
    async fn start_install_if_absent(
        self: &Arc<Self>,
        tokens: TokenSet,
    ) -> Result<Option<Arc<Flight>>, Error> {
        loop {
            self.finish_flight().await;
            let stored = self.read().await?;
            if let Some(record) = &stored.record {
                let contents = Contents::of_record(record).map_err(|why| self.unreadable(why))?;
                self.take_over(record);
                if self.is_login(record.order(), contents.tokens.as_ref()) {
                    return Ok(None);
                }
            }
            let now = self.clock.now();
            let found = self.change(|state| {
                if state.flight.is_some() {
                    return Found::Flight; // it may bring tokens
                }
                if state.has_login(now) {
                    return Found::Login;
                }
                state.order = state.order.next_epoch(now.wall_millis());
                Found::Nothing(state.begin(FlightKind::Handover))
            });
            match found {
                Found::Flight => {}
                Found::Login => return Ok(None),
                Found::Nothing(flight) => {
                    self.fly_install(&flight, tokens, Some(stored.version));
                    return Ok(Some(flight));
                }
            }
        }
    }

    /// Whether stored tokens make another login unnecessary: not if they were cleared since, and
    /// not if nothing is left of them that serves.
    fn is_login(&self, order: Order, tokens: Option<&TokenSet>) -> bool {
        let Some(tokens) = tokens else { return false };
        let now = self.clock.now().wall();
        let state = self.state.lock();
        let is_rejected = || tokens.access_token().is_some_and(|t| state.rejections.contains(t));
        let serves = || tokens.may_serve(now) && !is_rejected();
        order >= state.order && (tokens.refresh_token().is_some() || serves())
    }

    fn check_installable(&self, tokens: &TokenSet) -> Result<(), Error> {
        let wrong = |what: &str| Err(self.error(ErrorKind::Config, what));
        match tokens.refresh_token().map(|token| token.expose_secret()) {
            Some("") => wrong("refresh token: must not be empty"),
            Some(token) if token.chars().any(char::is_control) => wrong(
                "refresh token: has control characters in it (is there a line break at its end?)",
            ),
            Some(_) if tokens.access_token().is_none() && !self.provider.refreshes() => {
                wrong("tokens: there is only a refresh token, and this provider does not use any")
            }
            None if tokens.access_token().is_none() => {
                wrong("tokens: there is neither an access token nor a refresh token to install")
            }
            _ => Ok(()),
        }
    }

    /// `onto` is what the storage held when there were no tokens in it, if that matters.
    fn fly_install(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        tokens: TokenSet,
        onto: Option<Option<Version>>,
    ) {
        let (core, this) = (Arc::clone(self), Arc::clone(flight));
        self.fly(flight, async move { core.run_install(&this, tokens, onto).await });
    }

    async fn run_install(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        tokens: TokenSet,
        onto: Option<Option<Version>>,
    ) -> Outcome {
        let order = self.state.lock().order;
        let record = Contents::of_tokens(tokens.clone()).to_record(order)?;
        let write = match onto {
            Some(version) => Write::yielding(record, Expected::Version(version)),
            None => Write::overruling(record),
        };
        let order = match self.persist(flight, write).await {
            Persisted::Stored(order) | Persisted::Later(order, _) => order,
            Persisted::Overruled(there) => {
                // Ours was raised for nothing; theirs counts, whatever its order.
                if let Ok(contents) = Contents::of_record(&there) {
                    let now = self.clock.now();
                    self.change(|state| {
                        if state.is_current(flight) {
                            state.learn(there.order(), contents, now, &self.policy);
                        }
                    });
                }
                return Err(self.superseded());
            }
            Persisted::Overtaken => return Err(self.superseded()),
        };
        let now = self.clock.now();
        let times = Lifetime::of_loaded(&tokens, now, &self.policy);
        let token = tokens.access_token().cloned();
        let installed = self.change(|state| {
            state.is_current(flight).then(|| state.install(order, tokens, times, now)).is_some()
        });
        if !installed {
            return Err(self.superseded());
        }
        self.emit(EventKind::Installed);
        Ok(token)
    }

    /// Memory is empty before the first await.
    pub(crate) async fn clear(self: &Arc<Self>) -> Result<(), Error> {
        let flight = self.start_clear();
        self.telemetry.wait(flight.done()).await.map(|_| ())
    }

    fn start_clear(self: &Arc<Self>) -> Arc<Flight> {
        let flight = self.overtake(State::clear);
        let core = Arc::clone(self);
        let this = Arc::clone(&flight);
        self.fly(&flight, async move { core.run_clear(&this).await });
        flight
    }

    async fn run_clear(self: &Arc<Self>, flight: &Arc<Flight>) -> Outcome {
        self.emit(EventKind::Cleared);
        let order = self.state.lock().order;
        let keep_until = self.clock.now().after(TOMBSTONE_TTL).wall();
        match self.persist(flight, Write::overruling(tombstone(order, keep_until))).await {
            Persisted::Stored(order) => {
                self.change(|state| state.order = state.order.max(order));
                Ok(None)
            }
            Persisted::Later(order, error) => {
                self.change(|state| state.order = state.order.max(order));
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
            let state = core.state.lock();
            Ok(state.held.as_ref().map(|held| TokenSet::clone(&held.tokens)))
        })
        .await
    }

    /// Waits for what is under way, and learns from the storage if that has something newer.
    async fn catch_up(&self) -> Result<(), Error> {
        self.finish_flight().await;
        if let Some(record) = self.read().await?.record
            && record.order() > self.state.lock().order
        {
            self.take_over(&record);
        }
        Ok(())
    }

    /// An exchange under way brings the tokens that have to be revoked.
    pub(crate) async fn finish_flight(&self) {
        let flight = self.state.lock().flight.clone();
        if let Some(flight) = flight {
            let _ = flight.done().await;
        }
    }

    /// The tokens that are held, unless the service was told of them already.
    fn tokens_unlike(&self, told: Option<&Arc<TokenSet>>) -> Option<Arc<TokenSet>> {
        let state = self.state.lock();
        let tokens = state.held.as_ref().map(|held| &held.tokens)?;
        told.is_none_or(|told| !Arc::ptr_eq(told, tokens)).then(|| Arc::clone(tokens))
    }

    /// Waits for what is under way, then writes what is left to write.
    pub(crate) async fn flush(self: &Arc<Self>) -> Result<(), Error> {
        let mut changes = self.changes.subscribe();
        while self.state.lock().tasks > 0 {
            // The sender lives in `self`, so waiting cannot fail.
            let _ = changes.changed().await;
        }
        if self.state.lock().unpersisted.is_none() {
            return Ok(());
        }
        let core = Arc::clone(self);
        self.on_driver(async move {
            let result = core.write_unpersisted().await;
            core.release_kept_lease(None).await;
            result
        })
        .await
    }

    /// Raises the epoch, so that every exchange under way loses, and takes its place.
    fn overtake(self: &Arc<Self>, change: impl FnOnce(&mut State)) -> Arc<Flight> {
        let wall = self.clock.now().wall_millis();
        self.change(|state| {
            state.order = state.order.next_epoch(wall);
            change(state);
            state.begin(FlightKind::Handover)
        })
    }

    /// Runs something on the driver and waits for it; dropping the wait does not stop it.
    async fn on_driver<T: Send + 'static>(
        self: &Arc<Self>,
        task: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.spawn_counted(async move {
            let _ = answer.send(task.await);
        })?;
        answered.await.unwrap_or_else(|_| {
            Err(self.error(ErrorKind::Internal, "the task on the driver is gone"))
        })
    }
}

/// What stands in the way of an install.
enum Found {
    Flight,
    Login,
    Nothing(Arc<Flight>),
}

impl State {
    fn clear(&mut self) {
        self.held = None;
        self.unpersisted = None;
        self.requested_at = None;
        self.is_cleared = true;
        self.backoff.forget_verdict();
        self.rejections.forgive();
    }
}

const TOMBSTONE_TTL: Duration = Duration::from_secs(30 * 24 * 3_600); // longer than a process sleeps
