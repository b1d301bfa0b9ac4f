//! Everything that the handle and the server thread share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokenkeeper::{Clock, Scopes, Secret};

use super::clients::Clients;
use super::fault::Fault;
use super::received_request::ReceivedRequest;
use super::stats::Stats;
use super::token_answer::TokenAnswer;
use super::token_book::{Terms, TokenBook};
use crate::gate::Gate;

/// A part of the server that faults and gates can be set for on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// The revocation endpoint (RFC 7009 §2).
    Revocation,
    /// The protected resource (RFC 6750).
    Resource,
}

/// What stays as it was built.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) token_path: String,
    pub(super) revocation_path: String,
    pub(super) resource_prefix: String,
    pub(super) public_paths: Vec<String>,
    /// Whose tokens the resource takes, if not its own.
    pub(super) issuer: Option<Arc<Shared>>,
    pub(super) states_lifetime: bool,
    pub(super) issues_refresh_tokens: bool,
    pub(super) refreshes_client_credentials: bool,
    pub(super) allowed_scopes: Option<Scopes>,
    pub(super) extra: Map<String, Value>,
    pub(super) clock: Arc<dyn Clock>,
}

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) state: Mutex<State>,
    pub(super) hung: Gate,
    token_gate: Gate,
    revocation_gate: Gate,
    resource_gate: Gate,
}

pub(super) struct State {
    pub(super) clients: Clients,
    pub(super) users: HashMap<String, Secret>,
    pub(super) terms: Terms,
    pub(super) book: TokenBook,
    pub(super) faults: HashMap<Endpoint, VecDeque<Fault>>,
    pub(super) stats: Stats,
    pub(super) log: VecDeque<ReceivedRequest>,
    pub(super) token_answers: VecDeque<TokenAnswer>,
}

impl Shared {
    pub(super) fn new(config: Config, state: State) -> Self {
        Self {
            config,
            state: Mutex::new(state),
            hung: Gate::closed(),
            token_gate: Gate::open(),
            revocation_gate: Gate::open(),
            resource_gate: Gate::open(),
        }
    }

    pub(super) fn gate(&self, endpoint: Endpoint) -> &Gate {
        match endpoint {
            Endpoint::Token => &self.token_gate,
            Endpoint::Revocation => &self.revocation_gate,
            Endpoint::Resource => &self.resource_gate,
        }
    }

    /// The part of the server that this path belongs to, if it belongs to one.
    pub(super) fn endpoint_of(&self, path: &str) -> Option<Endpoint> {
        let config = &self.config;
        if path == config.token_path {
            return Some(Endpoint::Token);
        }
        if path == config.revocation_path {
            return Some(Endpoint::Revocation);
        }
        let below = path.strip_prefix(config.resource_prefix.as_str())?;
        (below.is_empty() || below.starts_with('/')).then_some(Endpoint::Resource)
    }
}

impl State {
    pub(super) fn receive(&mut self, endpoint: Option<Endpoint>, request: &ReceivedRequest) {
        self.stats.requests += 1;
        if endpoint == Some(Endpoint::Token) {
            self.stats.exchanges += 1;
            self.stats.in_flight += 1;
            self.stats.max_in_flight = self.stats.max_in_flight.max(self.stats.in_flight);
        }
        if self.log.len() == LONGEST_LOG {
            self.log.pop_front();
        }
        self.log.push_back(request.clone());
    }

    pub(super) fn next_fault(&mut self, endpoint: Endpoint) -> Option<Fault> {
        self.faults.get_mut(&endpoint)?.pop_front()
    }

    pub(super) fn record(&mut self, endpoint: Endpoint, request: &ReceivedRequest, status: u16) {
        let count = match endpoint {
            Endpoint::Token => {
                let grant = request.param("grant_type").unwrap_or_else(|| "no grant".to_owned());
                self.stats.by_grant.entry((grant, status)).or_default()
            }
            Endpoint::Revocation => self.stats.revocations.entry(status).or_default(),
            Endpoint::Resource => self.stats.resource.entry(status).or_default(),
        };
        *count += 1;
    }

    pub(super) fn remember(&mut self, answer: TokenAnswer) {
        if self.token_answers.len() == LONGEST_LOG {
            self.token_answers.pop_front();
        }
        self.token_answers.push_back(answer);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { reuses: self.book.reuses(), ..self.stats.clone() }
    }

    pub(super) fn reset(&mut self) {
        let in_flight = self.stats.in_flight;
        self.stats = Stats { in_flight, max_in_flight: in_flight, ..Stats::default() };
        self.book.forget_reuses();
        self.log.clear();
        self.token_answers.clear();
    }
}

/// How many requests the log keeps; a runaway client shall not eat the memory of the test.
const LONGEST_LOG: usize = 10_000;

pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(900);
