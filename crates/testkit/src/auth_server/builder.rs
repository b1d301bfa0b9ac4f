//! How a server is set up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokenkeeper::{Clock, Scopes, Secret};

use super::client::{Client, ClientAuth};
use super::clients::Clients;
use super::codes::Logins;
use super::config::Config;
use super::devices::Devices;
use super::dpop::Proofs;
use super::listener::Listener;
use super::people::People;
use super::server::FakeAuthServer;
use super::signing::SigningKeys;
use super::state::{Shared, State};
use super::stats::Stats;
use super::token_book::{Terms, TokenBook};

/// Sets up a [`FakeAuthServer`].
///
/// # Default
///
/// One client `client` with the secret `secret` and any way to send it, one user `alice` with the
/// password `wonderland`, access tokens for 15 minutes, rotating refresh tokens without an end for
/// everything but client credentials, any scope.
#[must_use = "a builder does nothing until it is started"]
pub struct FakeAuthServerBuilder {
    clients: Vec<Client>,
    changes: Vec<(String, Change)>,
    tokens_of: Option<Arc<Shared>>,
    address: SocketAddr,
    users: HashMap<String, Secret>,
    terms: Terms,
    pub(super) config: Config,
    pub(super) person: String,
}

impl FakeAuthServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            clients: Vec::new(),
            changes: Vec::new(),
            tokens_of: None,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            users: HashMap::new(),
            terms: Terms {
                lifetime: DEFAULT_LIFETIME,
                refresh_lifetime: None,
                rotates: true,
                reuse_grace: Duration::ZERO,
            },
            config: Config::default(),
            person: "alice".to_owned(),
        }
    }

    /// Adds a client. The first one takes the place of the default client.
    pub fn client(mut self, id: &str, secret: &str, auth: ClientAuth) -> Self {
        self.clients.push(Client::new(id, secret, auth));
        self
    }

    /// Adds a user. The first one takes the place of the default user.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), password.into());
        self
    }

    /// How long access tokens live, and what `expires_in` says, in whole seconds.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.terms.lifetime = lifetime;
        self
    }

    /// Leaves `expires_in` out of the answers. The tokens end nevertheless.
    pub fn without_expires_in(mut self) -> Self {
        self.config.states_lifetime = false;
        self
    }

    /// Issues no refresh tokens.
    pub fn without_refresh_tokens(mut self) -> Self {
        self.config.issues_refresh_tokens = false;
        self
    }

    /// Issues refresh tokens for client credentials too, against RFC 6749 §4.4.3.
    pub fn with_client_credentials_refresh(mut self) -> Self {
        self.config.refreshes_client_credentials = true;
        self
    }

    /// Refresh tokens stay good when they are used, and answers to a refresh leave them out.
    pub fn without_rotation(mut self) -> Self {
        self.terms.rotates = false;
        self
    }

    /// How long refresh tokens live; stated as `refresh_expires_in`, as Keycloak does.
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.terms.refresh_lifetime = Some(lifetime);
        self
    }

    /// For so long a refresh token that was spent may come again, as many servers allow for
    /// answers that were lost. Zero, the default: never.
    pub fn reuse_grace(mut self, grace: Duration) -> Self {
        self.terms.reuse_grace = grace;
        self
    }

    /// The scopes that may be asked for, separated by blanks; all of them are granted where a
    /// request names none. Words that are no scopes are left out.
    pub fn allowed_scopes(mut self, scopes: &str) -> Self {
        self.config.allowed_scopes = Some(Scopes::from_response(scopes.split(' ')));
        self
    }

    /// The path of the token endpoint; `/token` by default.
    pub fn token_path(mut self, path: &str) -> Self {
        self.config.token_path = path.to_owned();
        self
    }

    /// The path of the revocation endpoint; `/revoke` by default.
    pub fn revocation_path(mut self, path: &str) -> Self {
        self.config.revocation_path = path.to_owned();
        self
    }

    /// Where the protected resource begins; `/api` by default.
    pub fn resource_prefix(mut self, prefix: &str) -> Self {
        self.config.resource_prefix = prefix.trim_end_matches('/').to_owned();
        self
    }

    /// A path of the resource that asks for no token. One that comes all the same is looked at.
    pub fn public_path(mut self, path: &str) -> Self {
        self.config.public_paths.push(path.to_owned());
        self
    }

    /// The resource takes the tokens that `issuer` issued, and not those of this server: an API on
    /// another origin than its authorization server.
    pub fn accept_tokens_of(mut self, issuer: &FakeAuthServer) -> Self {
        self.tokens_of = Some(Arc::clone(&issuer.shared));
        self
    }

    /// Adds a member to every token response.
    pub fn extra(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.config.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The clock by which tokens end; the system's by default. Delays are by real time always.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// Where the server listens; any free port of 127.0.0.1 by default.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Scheme, host and port as clients see them, where something stands before the server: a proxy
    /// that speaks TLS, or the name of a container. The documents, issuers and proofs go by it.
    pub fn public_url(mut self, url: &str) -> Self {
        self.config.url = url.trim_end_matches('/').to_owned();
        self
    }

    /// Lets scripts of every origin read the answers, pages aside.
    pub fn cors(mut self) -> Self {
        self.config.allows_cors = true;
        self
    }

    /// Changes a client when the server starts, so that the order of calls does not matter.
    pub(super) fn change(
        mut self,
        client_id: &str,
        change: impl FnOnce(&mut Client) + Send + 'static,
    ) -> Self {
        self.changes.push((client_id.to_owned(), Box::new(change)));
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    ///
    /// If the address is taken, no thread is to be had, or a client was changed that was not added.
    #[must_use]
    pub fn start(self) -> FakeAuthServer {
        #[expect(clippy::expect_used, reason = "a test without its server cannot go on")]
        self.try_start().expect("FakeAuthServer could not be started")
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// If the address is taken, no thread is to be had, or a client was changed that was not added.
    pub fn try_start(mut self) -> io::Result<FakeAuthServer> {
        if self.clients.is_empty() {
            self = self.client("client", "secret", ClientAuth::Any);
        }
        if self.users.is_empty() {
            self = self.user("alice", "wonderland");
        }
        for (id, change) in self.changes {
            let client = self.clients.iter_mut().find(|client| client.id == id);
            change(client.ok_or_else(|| {
                io::Error::other(format!("there is no client `{id}`; add it to the builder"))
            })?);
        }
        let mut keys = SigningKeys::default();
        let signing = self.clients.iter().map(|client| client.signing(&self.config));
        signing.for_each(|signing| keys.prepare(signing));
        let clients = Clients { registered: self.clients, ..Clients::default() };
        let state = State {
            clients,
            users: self.users,
            terms: self.terms,
            book: TokenBook::default(),
            faults: HashMap::new(),
            stats: Stats::default(),
            log: VecDeque::new(),
            token_answers: VecDeque::new(),
            people: People { at_browser: self.person, decisions: VecDeque::new() },
            logins: Logins::default(),
            devices: Devices::default(),
            proofs: Proofs::default(),
            keys,
            id_token_claims: Map::new(),
            metadata: Map::new(),
        };
        let (socket, address) = Listener::bind(self.address)?;
        if self.config.url.is_empty() {
            self.config.url = format!("http://{address}");
        }
        let shared = Arc::new(Shared::new(self.config, self.tokens_of, state));
        let listener = Listener::start(socket, address, Arc::clone(&shared))?;
        Ok(FakeAuthServer::new(shared, listener))
    }
}

impl FakeAuthServer {
    /// A server as [`FakeAuthServerBuilder`] describes its defaults.
    ///
    /// # Panics
    ///
    /// If no port of 127.0.0.1 or no thread is to be had.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Sets up a server.
    pub fn builder() -> FakeAuthServerBuilder {
        FakeAuthServerBuilder::new()
    }
}

type Change = Box<dyn FnOnce(&mut Client) + Send>;

const DEFAULT_LIFETIME: Duration = Duration::from_secs(900);

impl std::fmt::Debug for FakeAuthServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeAuthServerBuilder")
            .field("token_path", &self.config.token_path)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
