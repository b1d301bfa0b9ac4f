//! Everything that the handle and the server thread share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokenkeeper::Secret;

use super::client::Client;
use super::clients::Clients;
use super::codes::Logins;
use super::config::Config;
use super::devices::Devices;
use super::dpop::Proofs;
use super::endpoint::Endpoint;
use super::fault::Fault;
use super::people::People;
use super::received_request::ReceivedRequest;
use super::signing::SigningKeys;
use super::stats::Stats;
use super::token_answer::TokenAnswer;
use super::token_book::{Terms, TokenBook};
use crate::gate::Gate;

pub(super) struct Shared {
    pub(super) config: Config,
    /// Whose tokens the resource takes, if not those of this server.
    pub(super) tokens_of: Option<Arc<Self>>,
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
    pub(super) keys: SigningKeys,
    /// What tests changed about all ID tokens.
    pub(super) id_token_claims: Map<String, Value>,
    /// What tests changed about the documents.
    pub(super) metadata: Map<String, Value>,
}

impl Shared {
    pub(super) fn new(config: Config, tokens_of: Option<Arc<Self>>, state: State) -> Self {
        let (state, hung, gates) = (Mutex::new(state), Gate::closed(), Mutex::default());
        Self { config, tokens_of, state, hung, gates }
    }

    pub(super) fn gate(&self, endpoint: Endpoint) -> Gate {
        self.gates.lock().entry(endpoint).or_insert_with(Gate::open).clone()
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

    /// Signed for this client as its ID tokens are.
    pub(super) fn sign(
        &mut self,
        config: &Config,
        client_id: &str,
        typ: &str,
        claims: &Map<String, Value>,
    ) -> String {
        let client = self.clients.find(client_id);
        let signing = client.map_or(config.id_tokens, |client| client.signing(config));
        self.keys.write(typ, claims, signing, client.and_then(Client::own_secret))
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
