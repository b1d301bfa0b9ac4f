//! Putting tokens in that a login elsewhere brought.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::record::Order;
use crate::refresh::flight::{Flight, FlightKind, Outcome};
use crate::refresh::publish::Persisted;
use crate::shared::Core;
use crate::shared_storage::{CasOutcome, Version};
use crate::store::Write;
use crate::store::payload::Contents;
use crate::token_set::TokenSet;

impl Core {
    pub(crate) async fn install(self: &Arc<Self>, tokens: TokenSet) -> Result<(), Error> {
        self.check_process()?;
        self.check_installable(&tokens)?;
        let flight = self.overtake(FlightKind::Install);
        let (core, this) = (Arc::clone(self), Arc::clone(&flight));
        self.fly(&flight, async move { core.run_install(&this, tokens).await });
        self.telemetry.wait(flight.done()).await.map(|_| ())
    }

    async fn run_install(self: &Arc<Self>, flight: &Arc<Flight>, tokens: TokenSet) -> Outcome {
        let order = self.state.lock().order();
        let record = Contents::of_tokens(tokens.clone()).to_record(order)?;
        match self.persist(flight, Write::of_session(record)).await {
            Persisted::Stored(order) | Persisted::Later(order, _) => {
                self.hold_installed(flight, order, tokens)
            }
            Persisted::Overruled(there) => {
                self.take_over(&there);
                Err(self.superseded())
            }
            Persisted::Overtaken => Err(self.superseded()),
        }
    }

    fn hold_installed(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        order: Order,
        tokens: TokenSet,
    ) -> Outcome {
        let now = self.clock.now();
        let token = tokens.access_token().cloned();
        let installed = self.change(|state| {
            let counts = state.is_current(flight);
            counts.then(|| state.install(order, tokens, now, &self.policy)).is_some()
        });
        if !installed {
            return Err(self.superseded());
        }
        self.emit(EventKind::Installed);
        Ok(token)
    }

    /// Whether they were installed: `false` if there were tokens already. It happens or it does
    /// not: after an error nothing is in memory, and nothing will be written.
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
                // Another process came between the read and the write, or another call in this one.
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
            self.write_owed().await?; // a logout that is not written yet comes first
            let stored = self.read().await?;
            if let Some(record) = &stored.record {
                let contents = Contents::of_record(record).map_err(|why| self.unreadable(why))?;
                self.take_over(record);
                let now = self.clock.now();
                let state = self.state.lock();
                if state.is_login(record.order(), contents.tokens.as_ref(), now) {
                    return Ok(None);
                }
            }
            let now = self.clock.now();
            let found = self.change(|state| {
                if state.flight().is_some() || state.owed().is_some() {
                    return Found::Work; // it may bring tokens
                }
                if state.has_login(now) {
                    return Found::Login;
                }
                Found::Nothing(state.begin(FlightKind::Install, now))
            });
            match found {
                Found::Work => {}
                Found::Login => return Ok(None),
                Found::Nothing(flight) => {
                    let theirs = stored.record.as_ref().map(|record| record.order());
                    let (core, this) = (Arc::clone(self), Arc::clone(&flight));
                    let work = async move {
                        core.run_install_if_absent(&this, tokens, stored.version, theirs).await
                    };
                    self.fly(&flight, work);
                    return Ok(Some(flight));
                }
            }
        }
    }

    /// One compare-and-set onto what was read. It is never repeated later: by then there may be
    /// tokens that it must give way to.
    async fn run_install_if_absent(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        tokens: TokenSet,
        onto: Option<Version>,
        theirs: Option<Order>,
    ) -> Outcome {
        let ours = self.state.lock().order();
        let order = ours.max(theirs.unwrap_or_default());
        let order = order.next_epoch(self.clock.now().wall_millis());
        let record = Contents::of_tokens(tokens.clone()).to_record(order)?;
        let result = {
            let _writing = self.writing.lock().await;
            if !self.state.lock().is_current(flight) {
                return Err(self.superseded());
            }
            self.put_once(onto.as_ref(), &record).await
        };
        match result.map_err(|failed| self.tell(failed))? {
            CasOutcome::Stored(_) => {
                self.release_kept_lease(Some(flight)).await;
                self.hold_installed(flight, order, tokens)
            }
            CasOutcome::Conflict(there) => {
                if let Some((_, there)) = there {
                    self.learn_conflict(flight, &there);
                }
                Err(self.superseded())
            }
        }
    }

    /// Another process wrote between the read and the write of this flight.
    fn learn_conflict(&self, flight: &Arc<Flight>, there: &crate::record::TokenRecord) {
        let Ok(contents) = Contents::of_record(there) else { return };
        let now = self.clock.now();
        self.change(|state| {
            if state.is_current(flight) {
                state.adopt(there, contents, now, &self.policy);
            }
        });
    }

    /// Raises the epoch, so that every token request under way loses, and takes its place.
    pub(super) fn overtake(self: &Arc<Self>, kind: FlightKind) -> Arc<Flight> {
        let now = self.clock.now();
        self.change(|state| state.overtake(kind, now))
    }

    fn check_installable(&self, tokens: &TokenSet) -> Result<(), Error> {
        let wrong = |what: &str| Err(self.error(ErrorKind::Config, what));
        match tokens.refresh_token().map(|token| token.expose_secret()) {
            Some("") => wrong("refresh token: must not be empty"),
            Some(token) if token.chars().any(char::is_control) => wrong(
                "refresh token: has control characters in it (is there a line break at its end?)",
            ),
            Some(_) if tokens.access_token().is_none() && !self.abilities().refreshes => {
                wrong("tokens: there is only a refresh token, and this provider does not use any")
            }
            None if tokens.access_token().is_none() => {
                wrong("tokens: there is neither an access token nor a refresh token to install")
            }
            _ => Ok(()),
        }
    }
}

/// What stands in the way of an install.
enum Found {
    /// A flight, or a write that is owed.
    Work,
    Login,
    Nothing(Arc<Flight>),
}
