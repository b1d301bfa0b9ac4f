//! A provider that follows a script and speaks no HTTP.
//!
//! Most promises of a manager are about when a provider is called and what becomes of the answer,
//! not about the wire. Here both sides of that seam can be seen and held, in one process and
//! without a socket.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Error, ErrorKind, FetchContext, ProviderIdentity, TokenProvider, TokenRequestKind,
    TokenSet, async_trait,
};

use crate::step::{Outcome, ScriptedCall, Step, refused_refresh};

/// A provider that does what a test queued, and otherwise issues `access-1` and `refresh-1`,
/// `access-2` and `refresh-2`, and so on.
///
/// The imagined service rotates refresh tokens and lets each be spent once: one that comes a
/// second time counts in [`reuses`](Self::reuses) and is refused with `invalid_grant`. A refresh
/// token that it never saw is accepted once as well, as if it came from a login elsewhere.
///
/// Clones share the script, the service and the counts, so a test keeps one and gives the other to
/// a manager; several managers with clones are several processes at one service.
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use tokenkeeper::{Clock, FetchContext, ManualClock, TokenProvider};
/// use tokenkeeper_testkit::{ScriptedProvider, Step};
///
/// # pollster::block_on(async {
/// let provider = ScriptedProvider::new("billing");
/// provider.on_fetch(Step::unavailable());
///
/// let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
/// let cx = FetchContext::detached(&clock, Duration::from_secs(15));
/// assert!(provider.fetch_token(&cx).await.is_err());
/// let tokens = provider.fetch_token(&cx).await?;
/// assert_eq!(tokens.access_token().unwrap().authorization(), "Bearer access-1");
/// assert_eq!(provider.fetches(), 2);
/// # Ok::<(), tokenkeeper::Error>(()) })?;
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct ScriptedProvider {
    identity: ProviderIdentity,
    non_interactive: bool,
    refreshes: bool,
    rotates: bool,
    lifetime: Option<Duration>,
    refresh_lifetime: Option<Duration>,
    service: Arc<Mutex<Service>>,
}

#[derive(Default)]
struct Service {
    on_fetch: VecDeque<Step>,
    on_refresh: VecDeque<Step>,
    on_revoke: VecDeque<Step>,
    fetch_default: Option<Step>,
    refresh_default: Option<Step>,
    issued: usize,
    last_access_token: Option<String>,
    spent: Vec<String>,
    dead: HashSet<String>,
    alive: HashSet<String>,
    fetches: usize,
    refreshes: usize,
    revoked: Vec<String>,
    revocations: usize,
    reuses: usize,
    running: usize,
    most_at_once: usize,
}

impl ScriptedProvider {
    /// A provider of a service of that name: non-interactive, tokens that live for 15 minutes, rotating
    /// refresh tokens without a known end.
    #[must_use]
    pub fn new(service_name: &str) -> Self {
        Self {
            identity: ProviderIdentity::new(service_name),
            non_interactive: true,
            refreshes: true,
            rotates: true,
            lifetime: Some(DEFAULT_LIFETIME),
            refresh_lifetime: None,
            service: Arc::default(),
        }
    }

    /// Another identity.
    #[must_use]
    pub fn with_identity(mut self, identity: ProviderIdentity) -> Self {
        self.identity = identity;
        self
    }

    /// How long access tokens live; `None` leaves it out of the answers.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long refresh tokens live, for the answers; the imagined service does not enforce it.
    #[must_use]
    pub fn with_refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_lifetime = Some(lifetime);
        self
    }

    /// Refresh tokens stay good when they are spent, and answers to a refresh leave them out.
    #[must_use]
    pub fn without_rotation(mut self) -> Self {
        self.rotates = false;
        self
    }

    /// Issues no refresh tokens, and says so: [`TokenProvider::refreshes`] gives `false`.
    #[must_use]
    pub fn without_refresh_tokens(mut self) -> Self {
        self.refreshes = false;
        self
    }

    /// Says that a fetch needs a person: [`TokenProvider::non_interactive`] gives `false`.
    #[must_use]
    pub fn attended(mut self) -> Self {
        self.non_interactive = false;
        self
    }

    /// Queues a step for the next fetch.
    pub fn on_fetch(&self, step: Step) {
        self.service.lock().on_fetch.push_back(step);
    }

    /// Queues a step for the next refresh.
    pub fn on_refresh(&self, step: Step) {
        self.service.lock().on_refresh.push_back(step);
    }

    /// Queues a step for the next revocation; steps that issue tokens count as success.
    pub fn on_revoke(&self, step: Step) {
        self.service.lock().on_revoke.push_back(step);
    }

    /// What a fetch does where nothing is queued; at first [`Step::issue`].
    pub fn always_on_fetch(&self, step: Step) {
        self.service.lock().fetch_default = Some(step);
    }

    /// What a refresh does where nothing is queued; at first [`Step::issue`].
    pub fn always_on_refresh(&self, step: Step) {
        self.service.lock().refresh_default = Some(step);
    }

    /// Makes all refresh tokens issued so far dead, as a service does that ends a session.
    pub fn kill_refresh_tokens(&self) {
        let mut service = self.service.lock();
        let alive = std::mem::take(&mut service.alive);
        service.dead.extend(alive);
    }

    /// How often a fetch was called.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.service.lock().fetches
    }

    /// How often a refresh was called. [`TokenProvider::refreshes`], which says whether refresh
    /// tokens can exist, is another method.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.service.lock().refreshes
    }

    /// Fetches and refreshes together.
    #[must_use]
    pub fn calls(&self) -> usize {
        let service = self.service.lock();
        service.fetches + service.refreshes
    }

    /// How often a revocation was called.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.service.lock().revocations
    }

    /// The refresh tokens that were revoked, or the access tokens where there was none, in order.
    #[must_use]
    pub fn revoked(&self) -> Vec<String> {
        self.service.lock().revoked.clone()
    }

    /// The refresh tokens that were spent, in order; those that were refused are not among them.
    #[must_use]
    pub fn spent(&self) -> Vec<String> {
        self.service.lock().spent.clone()
    }

    /// How often a refresh token came that had been spent before.
    #[must_use]
    pub fn reuses(&self) -> usize {
        self.service.lock().reuses
    }

    /// How many numbered answers were issued.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.service.lock().issued
    }

    /// How many fetches and refreshes are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.service.lock().running
    }

    /// How many fetches and refreshes were under way at once, at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.service.lock().most_at_once
    }

    async fn run(
        &self,
        exchange: TokenRequestKind,
        refresh_token: Option<&tokenkeeper::Secret>,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let _running = Running::start(&self.service);
        let step = self.service.lock().next_step(exchange);
        pass(step.before_sending.as_ref()).await;
        let sent_at = cx.ready_to_send()?;
        pass(step.before_acting.as_ref()).await;
        let call = ScriptedCall { sent_at, refresh_token: refresh_token.cloned() };
        let answer = match step.outcome {
            Outcome::Fail(error) => Err(error.at_service(self.identity.service_name())),
            #[expect(clippy::panic, reason = "the test asked for it")]
            Outcome::Panic => panic!("a step of ScriptedProvider panics"),
            Outcome::Hang => std::future::pending().await,
            outcome => self.act(&call, outcome),
        };
        pass(step.before_answering.as_ref()).await;
        answer
    }

    /// What the imagined service does with a request that reached it.
    fn act(&self, call: &ScriptedCall, outcome: Outcome) -> Result<TokenSet, Error> {
        if let Some(token) = call.refresh_token() {
            self.service
                .lock()
                .spend(token.expose_secret(), self.rotates)
                .map_err(|error| error.at_service(self.identity.service_name()))?;
        }
        match outcome {
            Outcome::IssueFor(lifetime) => self.issue(call, lifetime),
            Outcome::SameAccessToken => {
                let last = self.service.lock().last_access_token.clone();
                let tokens = self.issue(call, self.lifetime)?;
                match last {
                    Some(last) => {
                        self.service.lock().last_access_token = Some(last.clone());
                        self.with_access_token(&tokens, &last, call.sent_at)
                    }
                    None => Ok(tokens),
                }
            }
            Outcome::Tokens(tokens) => Ok(*tokens),
            Outcome::Answer(make) => make(call),
            Outcome::LoseAnswer => {
                self.issue(call, self.lifetime)?;
                let what = "the answer of the scripted service was lost";
                Err(Error::new(ErrorKind::Transport, what)
                    .at_service(self.identity.service_name())
                    .with_answer_lost())
            }
            _ => self.issue(call, self.lifetime),
        }
    }

    fn issue(&self, call: &ScriptedCall, lifetime: Option<Duration>) -> Result<TokenSet, Error> {
        let (access, refresh) = {
            let mut service = self.service.lock();
            service.issued += 1;
            let number = service.issued;
            let access = format!("access-{number}");
            service.last_access_token = Some(access.clone());
            let issues_refresh = self.refreshes && (self.rotates || call.refresh_token.is_none());
            let refresh = issues_refresh.then(|| format!("refresh-{number}"));
            service.alive.extend(refresh.clone());
            (access, refresh)
        };
        let mut tokens = TokenSet::new(AccessToken::new(access, "Bearer")?, call.sent_at);
        if let Some(lifetime) = lifetime {
            tokens = tokens.with_lifetime(lifetime);
        }
        if let Some(refresh) = refresh {
            tokens = tokens.with_refresh_token(refresh);
            if let Some(lifetime) = self.refresh_lifetime {
                tokens = tokens.with_refresh_expires_at(call.sent_at + lifetime);
            }
        }
        Ok(tokens)
    }

    fn with_access_token(
        &self,
        tokens: &TokenSet,
        access_token: &str,
        sent_at: SystemTime,
    ) -> Result<TokenSet, Error> {
        let mut same = TokenSet::new(AccessToken::new(access_token, "Bearer")?, sent_at)
            .with_expires_at(tokens.expires_at());
        if let Some(refresh) = tokens.refresh_token() {
            same = same.with_refresh_token(refresh.clone());
        }
        if let Some(at) = tokens.refresh_expires_at() {
            same = same.with_refresh_expires_at(at);
        }
        Ok(same)
    }
}

#[async_trait]
impl TokenProvider for ScriptedProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.service.lock().fetches += 1;
        self.run(TokenRequestKind::Fetch, None, cx).await
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.service.lock().refreshes += 1;
        let Some(token) = current.refresh_token() else {
            let what = "refresh_token was called with a set that has no refresh token";
            return Err(Error::new(ErrorKind::Internal, what));
        };
        self.run(TokenRequestKind::Refresh, Some(token), cx).await
    }

    fn non_interactive(&self) -> bool {
        self.non_interactive
    }

    fn refreshes(&self) -> bool {
        self.refreshes
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        let step = {
            let mut service = self.service.lock();
            service.revocations += 1;
            service.on_revoke.pop_front().unwrap_or_else(Step::issue)
        };
        pass(step.before_sending.as_ref()).await;
        pass(step.before_acting.as_ref()).await;
        match step.outcome {
            Outcome::Fail(error) => return Err(error.at_service(self.identity.service_name())),
            #[expect(clippy::panic, reason = "the test asked for it")]
            Outcome::Panic => panic!("a step of ScriptedProvider panics"),
            Outcome::Hang => std::future::pending().await,
            _ => self.service.lock().revoke(tokens),
        }
        pass(step.before_answering.as_ref()).await;
        Ok(())
    }
}

/// The counts, and no token: leak tests search the `Debug` of whatever holds a provider.
impl fmt::Debug for ScriptedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service.lock();
        f.debug_struct("ScriptedProvider")
            .field("identity", &self.identity)
            .field("fetches", &service.fetches)
            .field("refreshes", &service.refreshes)
            .field("reuses", &service.reuses)
            .finish_non_exhaustive()
    }
}

impl Service {
    fn next_step(&mut self, exchange: TokenRequestKind) -> Step {
        let (queue, default) = match exchange {
            TokenRequestKind::Refresh => (&mut self.on_refresh, &self.refresh_default),
            _ => (&mut self.on_fetch, &self.fetch_default),
        };
        queue.pop_front().or_else(|| default.clone()).unwrap_or_else(Step::issue)
    }

    fn spend(&mut self, token: &str, rotates: bool) -> Result<(), Error> {
        if rotates && self.spent.iter().any(|spent| spent == token) {
            self.reuses += 1;
            return Err(refused_refresh());
        }
        if self.dead.contains(token) {
            return Err(refused_refresh());
        }
        self.spent.push(token.to_owned());
        if rotates {
            self.alive.remove(token);
        }
        Ok(())
    }

    fn revoke(&mut self, tokens: &TokenSet) {
        let refresh = tokens.refresh_token();
        let secret = refresh.or_else(|| tokens.access_token().map(|token| token.secret()));
        if let Some(secret) = secret {
            self.alive.remove(secret.expose_secret());
            self.dead.insert(secret.expose_secret().to_owned());
            self.revoked.push(secret.expose_secret().to_owned());
        }
    }
}

/// Counts a call while it lasts, also when it is dropped or panics.
struct Running<'a>(&'a Mutex<Service>);

impl<'a> Running<'a> {
    fn start(service: &'a Mutex<Service>) -> Self {
        let mut counts = service.lock();
        counts.running += 1;
        counts.most_at_once = counts.most_at_once.max(counts.running);
        Self(service)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

async fn pass(gate: Option<&crate::gate::Gate>) {
    if let Some(gate) = gate {
        gate.wait().await;
    }
}

const DEFAULT_LIFETIME: Duration = Duration::from_secs(900);
