//! The server as tests hold it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokenkeeper::Scopes;

use super::endpoint::Endpoint;
use super::fault::Fault;
use super::listener::Listener;
use super::received_request::ReceivedRequest;
use super::state::Shared;
use super::stats::Stats;
use super::token_answer::TokenAnswer;
use super::token_book::Family;
use crate::gate::Gate;

/// An authorization server and a protected resource at 127.0.0.1, on a thread of its own.
///
/// It offers client credentials, password and refresh (RFC 6749), revocation (RFC 7009) and a
/// resource for bearer tokens (RFC 6750). Refresh tokens rotate, and one that comes a second time
/// kills all tokens of its login. It needs no runtime and minds none that is paused or dropped; it
/// ends when it is dropped. Like a server elsewhere it acts on every request that it received, also
/// when the client has left.
///
/// People log in [at a browser](#a-login-without-a-person) that the server plays itself: by code
/// with PKCE (RFC 6749 §4.1, RFC 7636; S256 alone), pushed requests (RFC 9126), `iss` in the answer
/// (RFC 9207), resource indicators (RFC 8707) and ID tokens; or they approve a device (RFC 8628).
/// There are token exchange (RFC 8693), the JWT bearer grant and client assertions (RFC 7523),
/// proofs of possession (RFC 9449), introspection (RFC 7662), `UserInfo` and both discovery
/// documents. Whatever ends, ends by the clock of the server.
///
/// It is no model of a secure server. ID tokens are signed with the secret of the client (HS256),
/// or not at all (`none`) where the client is public, unless
/// [`id_tokens`](crate::FakeAuthServerBuilder::id_tokens) says otherwise: with the feature
/// `signatures`, RS256, ES256 and `EdDSA` are to be had, with keys that rotate on demand. Signatures
/// of assertions and proofs that were made with a private key are checked only with that feature
/// too; everything else about them is checked always.
///
/// It refuses what a server has to refuse, and says why: in `error_description`, and for the
/// resource in `WWW-Authenticate`.
///
/// A tokio runtime whose time is paused moves its clock on while it waits for this server: a test
/// that has timeouts in it should use a clock of its own instead.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper_testkit::{ClientAuth, FakeAuthServer, Fault};
///
/// let server = FakeAuthServer::builder()
///     .client("personal-client-1", "s3cret", ClientAuth::Post)
///     .token_path("/realms/mangadex/protocol/openid-connect/token")
///     .token_lifetime(Duration::from_secs(60))
///     .start();
/// server.fail_next(1, Fault::LostResponse);
///
/// assert!(server.token_url().ends_with("/protocol/openid-connect/token"));
/// assert_eq!(server.stats().exchanges(), 0);
/// ```
///
/// # A login without a person
///
/// ```
/// use tokenkeeper_testkit::{ClientAuth, Decision, FakeAuthServer};
///
/// let server = FakeAuthServer::builder()
///     .client("web", "hunter2", ClientAuth::Basic)
///     .redirect_uri("web", "https://app.example/callback")
///     .start();
/// server.decide_next(1, Decision::Decline); // and after that, people approve
/// // … let the code under test begin a login that goes to `server.authorization_url()` …
/// # let query = "client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&state=xyz&\
/// #     response_type=code&code_challenge_method=S256&\
/// #     code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// # let login_url = format!("{}?{query}", server.authorization_url());
/// let callback = server.browser().visit(&login_url);
/// assert!(callback.starts_with("https://app.example/callback?error=access_denied&state=xyz"));
/// // … hand the callback to the code under test, and see what it says …
/// ```
pub struct FakeAuthServer {
    pub(super) shared: Arc<Shared>,
    listener: Listener,
}

impl FakeAuthServer {
    pub(super) const fn new(shared: Arc<Shared>, listener: Listener) -> Self {
        Self { shared, listener }
    }

    /// Scheme, host and port: `http://127.0.0.1:PORT`, or what
    /// [`public_url`](crate::FakeAuthServerBuilder::public_url) said.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.config.url.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.url() + &self.shared.config.token_path
    }

    /// The revocation endpoint.
    #[must_use]
    pub fn revocation_url(&self) -> String {
        self.url() + &self.shared.config.revocation_path
    }

    /// The protected resource. Every path below it answers too, and `/scoped/NAME` below it asks
    /// for the scope NAME.
    #[must_use]
    pub fn resource_url(&self) -> String {
        self.url() + &self.shared.config.resource_prefix
    }

    /// The next `count` requests to the token endpoint meet the fault, after those that were said
    /// before.
    pub fn fail_next(&self, count: usize, fault: Fault) {
        self.fail_next_at(Endpoint::Token, count, fault);
    }

    /// The next `count` requests to this endpoint meet the fault.
    pub fn fail_next_at(&self, endpoint: Endpoint, count: usize, fault: Fault) {
        let mut state = self.shared.state.lock();
        let queue = state.faults.entry(endpoint).or_default();
        queue.extend(std::iter::repeat_n(fault, count));
    }

    /// The next request to the token endpoint gets this answer, whatever it asks.
    pub fn set_next_response(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        self.fail_next(1, Fault::Answer { status, headers, body: body.into() });
    }

    /// Ends all faults that no request has met yet.
    pub fn heal(&self) {
        self.shared.state.lock().faults.clear();
    }

    /// Lets requests go that [`Fault::Hang`] or [`Fault::HangAnswer`] holds.
    pub fn release_hung(&self) {
        self.shared.hung.let_through(usize::MAX);
    }

    /// How many requests hang.
    #[must_use]
    pub fn hung(&self) -> usize {
        self.shared.hung.waiting()
    }

    /// Holds requests to the token endpoint that come from now on, before the server acts.
    #[must_use = "dropping it lets the requests go"]
    pub fn hold(&self) -> HeldRequests {
        self.hold_at(Endpoint::Token)
    }

    /// Holds requests to this endpoint that come from now on, before the server acts.
    #[must_use = "dropping it lets the requests go"]
    pub fn hold_at(&self, endpoint: Endpoint) -> HeldRequests {
        let gate = self.shared.gate(endpoint);
        gate.hold();
        HeldRequests { gate }
    }

    /// Takes this access token too, at the resource and for introspection, until it is revoked: one
    /// of a [`ScriptedProvider`](crate::ScriptedProvider), say, so that a client can be tested
    /// without a token request. It has these scopes, separated by blanks, and stands for the person
    /// at the browser.
    ///
    /// ```
    /// use tokenkeeper_testkit::FakeAuthServer;
    ///
    /// let server = FakeAuthServer::start();
    /// server.accept_token("access-1", "read write"); // what a scripted provider issues first
    /// assert!(server.is_live("access-1"));
    /// ```
    pub fn accept_token(&self, access_token: &str, scopes: &str) {
        let now = self.shared.config.clock.now();
        let mut state = self.shared.state.lock();
        let family = Family {
            client_id: "elsewhere".to_owned(),
            username: Some(state.people.at_browser.clone()),
            scopes: Scopes::from_response(scopes.split(' ')),
            resources: Vec::new(),
            sign_in: None,
            actor: None,
            key: None,
        };
        state.book.accept(access_token, family, &now);
    }

    /// Makes an access token invalid. Gives whether it was valid before, as far as the server was
    /// told; that its time was up does not count.
    pub fn revoke_access(&self, token: &str) -> bool {
        self.shared.state.lock().book.revoke_access(token)
    }

    /// Makes all access tokens issued so far invalid.
    ///
    /// A manager replaces the first young token that is rejected at once, and the next only
    /// [after a pause](tokenkeeper#when-a-token-is-rejected). A test that does this twice moves a
    /// [`ManualClock`](tokenkeeper::ManualClock) on in between, or sees a 401.
    pub fn revoke_all_access_tokens(&self) {
        self.shared.state.lock().book.revoke_all_access();
    }

    /// Ends the life of all access tokens issued so far, as if their time were up.
    pub fn expire_access_tokens(&self) {
        self.revoke_all_access_tokens();
    }

    /// Makes all refresh tokens issued so far invalid, as the end of a session does. Access tokens
    /// stay good.
    pub fn kill_refresh_tokens(&self) {
        self.shared.state.lock().book.kill_all_refresh();
    }

    /// A refresh token of a login that happened elsewhere.
    #[must_use]
    pub fn issue_refresh_token(&self, client_id: &str, username: &str) -> String {
        let now = self.shared.config.clock.now();
        let scopes = self.shared.config.allowed_scopes.clone().unwrap_or_default();
        let client_id = client_id.to_owned();
        let username = Some(username.to_owned());
        let mut state = self.shared.state.lock();
        let terms = state.terms;
        let resources = Vec::new();
        let (sign_in, actor, key) = (None, None, None);
        let family = Family { client_id, username, scopes, resources, sign_in, actor, key };
        let family = state.book.open_family(family);
        state.book.issue_refresh(family, &terms, &now)
    }

    /// Changes or adds a user's password from now on. Tokens stay good.
    pub fn set_password(&self, username: &str, password: &str) {
        self.shared.state.lock().users.insert(username.to_owned(), password.into());
    }

    /// Changes a client's secret from now on. Tokens stay good.
    pub fn set_client_secret(&self, client_id: &str, secret: &str) {
        let mut state = self.shared.state.lock();
        let clients = state.clients.registered.iter_mut();
        clients.filter(|client| client.id == client_id).for_each(|c| c.secret = secret.into());
    }

    /// Changes how long access tokens live that are issued from now on.
    pub fn set_token_lifetime(&self, lifetime: std::time::Duration) {
        self.shared.state.lock().terms.lifetime = lifetime;
    }

    /// Whether the resource would take this access token.
    #[must_use]
    pub fn is_live(&self, access_token: &str) -> bool {
        let now = self.shared.config.clock.now();
        self.shared.state.lock().book.present(access_token, &now).is_some()
    }

    /// How many access tokens the resource would take.
    #[must_use]
    pub fn live_access_tokens(&self) -> usize {
        let now = self.shared.config.clock.now();
        self.shared.state.lock().book.live_access(&now)
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.state.lock().stats()
    }

    /// All requests so far, to whatever path.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.stats().requests()
    }

    /// Requests to the token endpoint so far, whatever became of them.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.stats().exchanges()
    }

    /// Requests to the token endpoint of this `grant_type` that came to this status.
    #[must_use]
    pub fn count(&self, grant_type: &str, status: u16) -> usize {
        self.stats().count(grant_type, status)
    }

    /// How often a refresh token came that had been spent before.
    #[must_use]
    pub fn reuses(&self) -> usize {
        self.stats().reuses()
    }

    /// Starts counting and logging anew. Tokens and faults stay.
    pub fn reset_counters(&self) {
        self.shared.state.lock().reset();
    }

    /// The requests so far, oldest first; at most the last 10 000.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.shared.state.lock().log.iter().cloned().collect()
    }

    /// What the token endpoint answered, in the order in which the server acted, before any of it
    /// was sent; at most the last 10 000. It tells which refresh token followed from which.
    #[must_use]
    pub fn token_answers(&self) -> Vec<TokenAnswer> {
        self.shared.state.lock().token_answers.iter().cloned().collect()
    }

    /// The request that came last.
    #[must_use]
    pub fn last_request(&self) -> Option<ReceivedRequest> {
        self.shared.state.lock().log.back().cloned()
    }
}

/// The address and the counts; no token.
impl fmt::Debug for FakeAuthServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAuthServer")
            .field("url", &self.url())
            .field("stats", &format_args!("{}", self.stats()))
            .finish_non_exhaustive()
    }
}

/// Requests that are held while this lives.
#[derive(Debug)]
pub struct HeldRequests {
    gate: Gate,
}

impl HeldRequests {
    /// How many are held right now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.gate.waiting()
    }

    /// Completes once at least `count` are held at the same time.
    pub async fn arrived(&self, count: usize) {
        self.gate.arrived(count).await;
    }

    /// Lets those `count` go who came first.
    pub fn let_through(&self, count: usize) {
        self.gate.let_through(count);
    }

    /// Lets all go, and those that come later too.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for HeldRequests {
    fn drop(&mut self) {
        self.gate.release();
    }
}
