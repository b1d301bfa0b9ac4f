//! What is known of one server: the document, or why there is none.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Error, Now};

use super::authorization_server::AuthorizationServer;
use super::server_metadata::is_of_another;

pub(crate) type Outcome = Result<Arc<AuthorizationServer>, Error>;

#[derive(Default)]
pub(crate) struct KnownServer {
    /// With the time at which it was asked for.
    document: Option<(Arc<AuthorizationServer>, Now)>,
    /// With the time until which it is not tried again.
    failure: Option<(Error, Now)>,
}

impl KnownServer {
    /// What can be said without asking the server.
    pub(crate) fn now(&self, now: &Now, lifetime: Duration) -> Option<Outcome> {
        let usable = self.usable(now, lifetime);
        if let Some((server, _)) = usable.filter(|(_, age)| *age < lifetime) {
            return Some(Ok(server.clone()));
        }
        let failure = self.pause(now)?;
        Some(usable.map_or_else(|| Err(failure.clone()), |(server, _)| Ok(server.clone())))
    }

    /// A document that may be served if need be.
    pub(crate) fn old(&self, now: &Now, lifetime: Duration) -> Option<Arc<AuthorizationServer>> {
        self.usable(now, lifetime).map(|(server, _)| server.clone())
    }

    pub(crate) fn is_of_use(&self, now: &Now, lifetime: Duration) -> bool {
        self.usable(now, lifetime).is_some() || self.pause(now).is_some()
    }

    /// Keeps an answer, and says what those are told who waited for it.
    pub(crate) fn keep(
        &mut self,
        asked_at: Now,
        now: Now,
        lifetime: Duration,
        answer: Outcome,
    ) -> Outcome {
        match answer {
            Ok(server) => {
                *self = Self { document: Some((server.clone(), asked_at)), failure: None };
                Ok(server)
            }
            Err(error) => {
                if is_of_another(&error) {
                    self.document = None;
                }
                let pause = error.retry_after().unwrap_or_default().max(PAUSE);
                self.failure = Some((error.clone(), now.after(pause)));
                self.old(&now, lifetime).ok_or(error)
            }
        }
    }

    /// With its age.
    fn usable(
        &self,
        now: &Now,
        lifetime: Duration,
    ) -> Option<(&Arc<AuthorizationServer>, Duration)> {
        let (server, asked_at) = self.document.as_ref()?;
        let age = now.since(asked_at);
        (age < lifetime.saturating_add(GRACE)).then_some((server, age))
    }

    fn pause(&self, now: &Now) -> Option<&Error> {
        let (error, until) = self.failure.as_ref()?;
        (!now.until(until).is_zero()).then_some(error)
    }
}

const GRACE: Duration = Duration::from_secs(24 * 60 * 60); // the longest outage to live through
const PAUSE: Duration = Duration::from_secs(10); // a crowd of callers behind one failure
