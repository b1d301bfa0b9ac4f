//! Spans and events, with the names that the module above has a table of.

use std::sync::Arc;
use std::time::Duration;

use ::tracing::field::Empty;
use ::tracing::instrument::WithSubscriber;
use ::tracing::{Instrument, Level, Span};
use http::Uri;

use crate::error::{Error, Recovery};
use crate::identity::{ProviderIdentity, StorageKey};
use crate::oauth_error::TokenRequestKind;
use crate::observer::EventKind;
use crate::provider::TokenProvider;

#[derive(Debug)]
pub(super) struct Traces {
    service_name: Arc<str>,
    key: Arc<StorageKey>,
    server: Option<Server>,
    non_interactive: bool,
}

/// Where the token endpoint is.
#[derive(Debug)]
struct Server {
    address: Box<str>,
    port: Option<u16>,
}

/// The span of one call of a provider or storage.
pub(crate) struct SpannedCall(Span);

macro_rules! span {
    ($traces:expr, $level:ident, $name:literal $(, parent: $parent:expr)? $(, $field:literal = $value:expr)* $(,)?) => {
        ::tracing::span!(
            target: TARGET,
            $(parent: $parent,)?
            Level::$level,
            $name,
            "tokenkeeper.service" = &*$traces.service_name,
            "tokenkeeper.key" = $traces.key.as_str(),
            $($field = $value,)*
            "error.type" = Empty,
            "http.response.status_code" = Empty,
            "tokenkeeper.oauth.error" = Empty,
            "otel.status_code" = Empty,
            "otel.status_description" = Empty,
        )
    };
}

macro_rules! event {
    ($traces:expr, $kind:expr, $level:ident, $name:literal) => {{
        let facts = Facts::of($kind);
        let error = facts.error;
        ::tracing::event!(
            name: $name,
            target: TARGET,
            Level::$level,
            {
                "tokenkeeper.service" = &*$traces.service_name,
                "tokenkeeper.key" = $traces.key.as_str(),
                "tokenkeeper.exchange.kind" = facts.exchange.map(TokenRequestKind::as_str),
                "tokenkeeper.call" = facts.call,
                "tokenkeeper.duration" = facts.took.map(|took| took.as_secs_f64()),
                "tokenkeeper.oauth.error" = error.and_then(oauth_code),
                "error.type" = error.map(|error| error.kind().as_str()),
                "http.response.status_code" = error.and_then(status_code),
            },
            "{}",
            $kind
        );
    }};
}

impl Traces {
    pub(super) fn new(
        provider: &dyn TokenProvider,
        service_name: &Arc<str>,
        key: &Arc<StorageKey>,
    ) -> Self {
        Self {
            service_name: Arc::clone(service_name),
            key: Arc::clone(key),
            server: Server::of(provider.identity()),
            non_interactive: provider.non_interactive(),
        }
    }

    #[rustfmt::skip] // a table
    pub(super) fn event(&self, kind: &EventKind) {
        use EventKind as E;
        match kind {
            E::TokenRequestStarted { .. } => event!(self, kind, DEBUG, "tokenkeeper.token_request_started"),
            E::TokenRequestSucceeded { .. } => event!(self, kind, DEBUG, "tokenkeeper.token_request_succeeded"),
            E::TokenRequestFailed { error, .. } if self.wants_somebody(error) => event!(self, kind, ERROR, "tokenkeeper.token_request_failed"),
            E::TokenRequestFailed { .. } => event!(self, kind, WARN, "tokenkeeper.token_request_failed"),
            E::AnswerLost { .. } => event!(self, kind, WARN, "tokenkeeper.answer_lost"),
            E::LeaseWaited { .. } => event!(self, kind, DEBUG, "tokenkeeper.lease_waited"),
            E::Adopted => event!(self, kind, DEBUG, "tokenkeeper.adopted"),
            E::Overtaken => event!(self, kind, DEBUG, "tokenkeeper.overtaken"),
            E::RefreshTokenDropped if self.non_interactive => event!(self, kind, WARN, "tokenkeeper.refresh_token_dropped"),
            E::RefreshTokenDropped => event!(self, kind, ERROR, "tokenkeeper.refresh_token_dropped"),
            E::RecordUnreadable { newer: false } if self.non_interactive => event!(self, kind, WARN, "tokenkeeper.record_unreadable"),
            E::RecordUnreadable { .. } => event!(self, kind, ERROR, "tokenkeeper.record_unreadable"),
            E::StorageFailed { .. } => event!(self, kind, WARN, "tokenkeeper.storage_failed"),
            E::WriteRecovered => event!(self, kind, INFO, "tokenkeeper.write_recovered"),
            E::Rejected { young: true } => event!(self, kind, WARN, "tokenkeeper.rejected"),
            E::Rejected { young: false } => event!(self, kind, DEBUG, "tokenkeeper.rejected"),
            E::RejectedTokenReissued => event!(self, kind, WARN, "tokenkeeper.rejected_token_reissued"),
            E::Installed => event!(self, kind, INFO, "tokenkeeper.installed"),
            E::Cleared => event!(self, kind, INFO, "tokenkeeper.cleared"),
            E::Panicked { .. } => event!(self, kind, ERROR, "tokenkeeper.panicked"),
        }
    }

    /// Whether a failed exchange stays failed until somebody acts. After a refused refresh token
    /// there may be a newer one, or a login; what comes of it is told by itself.
    fn wants_somebody(&self, error: &Error) -> bool {
        use crate::error::ErrorKind::{RefreshDoubtful, RefreshRejected};
        let is_refresh = matches!(error.kind(), RefreshRejected | RefreshDoubtful);
        !is_refresh && !matches!(error.recovery(), Recovery::Retry { .. })
    }

    /// A root that follows from the caller's span: as a child it would keep that open.
    pub(super) fn flight<T, F>(
        &self,
        is_handover: bool,
        work: F,
    ) -> impl Future<Output = F::Output> + Send + use<T, F>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        let span = match is_handover {
            true => span!(self, INFO, "tokenkeeper.handover", parent: None),
            false => span!(self, INFO, "tokenkeeper.renewal", parent: None),
        };
        span.follows_from(Span::current());
        let call = SpannedCall(span);
        let work = async move {
            let result = call.run(work).await;
            call.ended(result.as_ref().err());
            result
        };
        work.with_current_subscriber()
    }

    pub(super) fn task<F: Future + Send>(work: F) -> impl Future<Output = F::Output> + Send {
        work.with_current_subscriber()
    }

    pub(super) fn wait<F: Future>(&self, flight: F) -> impl Future<Output = F::Output> + use<F> {
        flight.instrument(span!(self, DEBUG, "tokenkeeper.wait"))
    }

    pub(super) fn call(&self, name: &'static str) -> SpannedCall {
        let address = self.server.as_ref().map(|server| &*server.address);
        let port = self.server.as_ref().and_then(|server| server.port);
        let exchange = |kind: TokenRequestKind| {
            span!(
                self,
                INFO,
                "tokenkeeper.exchange",
                "tokenkeeper.exchange.kind" = kind.as_str(),
                "otel.kind" = "client",
                "server.address" = address,
                "server.port" = port,
            )
        };
        SpannedCall(match name {
            "fetch_token" => exchange(TokenRequestKind::Fetch),
            "refresh_token" => exchange(TokenRequestKind::Refresh),
            "revoke" => span!(
                self,
                INFO,
                "tokenkeeper.revocation",
                "otel.kind" = "client",
                "server.address" = address,
                "server.port" = port,
            ),
            "lease" => span!(self, DEBUG, "tokenkeeper.lease"),
            _ => span!(self, DEBUG, "tokenkeeper.storage", "tokenkeeper.call" = name),
        })
    }
}

impl SpannedCall {
    pub(crate) fn run<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.instrument(self.0.clone())
    }

    /// A span that ended well has no status, as the conventions want it.
    pub(crate) fn ended(self, error: Option<&Error>) {
        let Some(error) = error.filter(|_| !self.0.is_disabled()) else { return };
        self.0.record("error.type", error.kind().as_str());
        self.0.record("http.response.status_code", status_code(error));
        self.0.record("tokenkeeper.oauth.error", oauth_code(error));
        self.0.record("otel.status_code", "ERROR");
        self.0.record("otel.status_description", ::tracing::field::display(error));
    }
}

impl Server {
    /// Host and port, and nothing else of the URL.
    fn of(identity: &ProviderIdentity) -> Option<Self> {
        let url: Uri = identity.field("token_url")?.parse().ok()?;
        let address = url.host()?.trim_matches(['[', ']']).into();
        let usual = match url.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        };
        Some(Self { address, port: url.port_u16().or(usual) })
    }
}

/// What an event has to say beside its message.
#[derive(Default)]
struct Facts<'a> {
    exchange: Option<TokenRequestKind>,
    call: Option<&'static str>,
    took: Option<Duration>,
    error: Option<&'a Error>,
}

impl<'a> Facts<'a> {
    fn of(kind: &'a EventKind) -> Self {
        let none = Self::default();
        match kind {
            EventKind::TokenRequestStarted { exchange } => {
                Self { exchange: Some(*exchange), ..none }
            }
            EventKind::TokenRequestSucceeded { exchange, took, .. } => {
                Self { exchange: Some(*exchange), took: Some(*took), ..none }
            }
            EventKind::TokenRequestFailed { exchange, took, error } => {
                Self { exchange: Some(*exchange), took: Some(*took), error: Some(error), ..none }
            }
            EventKind::AnswerLost { error } => Self { error: Some(error), ..none },
            EventKind::LeaseWaited { took, .. } => Self { took: Some(*took), ..none },
            EventKind::StorageFailed { call, error } => {
                Self { call: Some(call), error: Some(error), ..none }
            }
            EventKind::Panicked { call } => Self { call: Some(call), ..none },
            EventKind::Adopted
            | EventKind::Overtaken
            | EventKind::RefreshTokenDropped
            | EventKind::RecordUnreadable { .. }
            | EventKind::WriteRecovered
            | EventKind::Rejected { .. }
            | EventKind::RejectedTokenReissued
            | EventKind::Installed
            | EventKind::Cleared => none,
        }
    }
}

fn status_code(error: &Error) -> Option<u16> {
    error.status().map(|status| status.as_u16())
}

fn oauth_code(error: &Error) -> Option<&str> {
    error.oauth().map(|oauth| oauth.code())
}

const TARGET: &str = "tokenkeeper";
