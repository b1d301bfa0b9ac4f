//! Everything that the handle and the server thread share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokenkeeper::{Clock, Scopes, Secret};

use super::authorization::Logins;
use super::clients::Clients;
use super::device::Devices;
use super::dpop::{DpopSettings, Proofs};
use super::endpoint::Endpoint;
use super::fault::Fault;
use super::form::Form;
use super::login_settings::LoginSettings;
use super::people::People;
use super::received_request::ReceivedRequest;
use super::stats::Stats;
use super::token_answer::TokenAnswer;
use super::token_book::{Terms, TokenBook};
use crate::gate::Gate;

/// What stays as it was built.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) token_path: String,
    pub(super) revocation_path: String,
    pub(super) resource_prefix: String,
    pub(super) public_paths: Vec<String>,
    /// Whose tokens the resource takes, if not its own.
    pub(super) tokens_of: Option<Arc<Shared>>,
    /// Scheme, host and port.
    pub(super) url: String,
    pub(super) issuer_path: String,
    /// By client.
    pub(super) redirect_uris: Vec<(String, String)>,
    pub(super) login: LoginSettings,
    pub(super) allowed_resources: Option<Vec<String>>,
    pub(super) dpop: DpopSettings,
    pub(super) trusted_issuers: Vec<String>,
    /// By client or issuer.
    pub(super) public_keys: Vec<(String, Value)>,
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
    gates: Mutex<HashMap<Endpoint, Gate>>,
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
    pub(super) people: People,
    pub(super) logins: Logins,
    pub(super) devices: Devices,
    pub(super) proofs: Proofs,
    /// What tests changed about all ID tokens.
    pub(super) id_token_claims: Map<String, Value>,
    /// What tests changed about the documents.
    pub(super) metadata: Map<String, Value>,
}

impl Shared {
    pub(super) fn new(config: Config, state: State) -> Self {
        Self { config, state: Mutex::new(state), hung: Gate::closed(), gates: Mutex::default() }
    }

    pub(super) fn gate(&self, endpoint: Endpoint) -> Gate {
        self.gates.lock().entry(endpoint).or_insert_with(Gate::open).clone()
    }
}

impl Config {
    pub(super) fn issuer(&self) -> String {
        self.url.clone() + &self.issuer_path
    }

    pub(super) fn token_url(&self) -> String {
        self.url.clone() + &self.token_path
    }

    pub(super) fn keys_of(&self, party: &str) -> impl Iterator<Item = &Value> {
        self.public_keys.iter().filter(move |(owner, _)| owner == party).map(|(_, key)| key)
    }

    /// RFC 8414 §3.1 puts the path of the issuer last, OpenID Connect Discovery §4 first.
    pub(super) fn metadata_paths(&self) -> [String; 2] {
        let path = &self.issuer_path;
        [
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("{path}/.well-known/openid-configuration"),
        ]
    }

    /// The resources that a request names (RFC 8707 §2).
    pub(super) fn resources_of(&self, form: &Form) -> Result<Vec<String>, &'static str> {
        let resources = form.all("resource");
        if resources.iter().any(|uri| uri.contains('#') || !uri.contains(':')) {
            return Err("a resource is no absolute URI without a fragment");
        }
        let allowed = self.allowed_resources.as_ref();
        if allowed.is_some_and(|allowed| resources.iter().any(|uri| !allowed.contains(uri))) {
            return Err("a resource is unknown");
        }
        Ok(resources.to_vec())
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
            _ => self.stats.answers.entry((endpoint, status)).or_default(),
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
