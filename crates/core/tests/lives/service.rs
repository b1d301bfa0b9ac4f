//! The service, and the provider by which a process talks to it.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Clock, Error, ErrorKind, FetchContext, ProviderIdentity, Secret, TokenProvider,
    TokenSet, async_trait,
};

use crate::clock::{At, LifeClock, wall_time};
use crate::model::{Class, Model};
use crate::plan::{Answer, Installed, Setup};

pub struct Service {
    pub clock: LifeClock,
    pub model: Arc<Mutex<Model>>,
    pub script: Mutex<Script>,
    pub setup: Setup,
}

#[derive(Debug)]
pub struct Script {
    pub next: VecDeque<Answer>,
    pub always: Answer,
}

/// What one process calls.
pub struct LifeProvider {
    pub process: usize,
    pub service: Arc<Service>,
    pub identity: ProviderIdentity,
}

impl fmt::Debug for LifeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifeProvider").field("process", &self.process).finish_non_exhaustive()
    }
}

/// Excuses a refresh token whose answer does not arrive.
struct Acted<'a> {
    model: &'a Mutex<Model>,
    refresh: Option<&'a str>,
    arrived: bool,
}

impl Drop for Acted<'_> {
    fn drop(&mut self) {
        if let Some(refresh) = self.refresh.filter(|_| !self.arrived) {
            self.model.lock().excuse(refresh);
        }
    }
}

/// Notes a failure also when the request is given up.
struct Request<'a> {
    provider: &'a LifeProvider,
    since: u64,
    ended: bool,
}

impl Request<'_> {
    fn failed(&mut self, class: Class, asked: u64) {
        self.ended = true;
        let at = self.provider.service.clock.at();
        let mut model = self.provider.service.model.lock();
        model.failed(self.provider.process, class, asked, at, self.since);
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.failed(Class::Transient, 0);
        }
    }
}

impl LifeProvider {
    async fn ask(
        &self,
        refresh: Option<&Secret>,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let since = self.service.model.lock().enters();
        let answer = self.service.script.lock().answer();
        let refresh = refresh.map(Secret::expose_secret);
        match answer {
            Answer::HangUnsent => pending().await,
            Answer::PanicUnsent => panic!("before it was sent"),
            Answer::SlowUnsent(millis) => self.sleep(millis).await,
            _ => {}
        }
        cx.ready_to_send()?;
        let (process, sent) = (self.process, self.service.clock.at());
        self.service.model.lock().sends(process, sent, refresh.is_none());
        if self.service.model.lock().is_storm(process) {
            pending::<()>().await;
        }
        let mut request = Request { provider: self, since, ended: false };
        match answer {
            Answer::SlowSent(millis) => self.sleep(millis).await,
            Answer::HangSent => pending().await,
            _ => {}
        }
        if let Some((error, class)) = refusal(answer, refresh.is_some()) {
            if class == Class::Token {
                self.service.model.lock().kill_refresh(refresh.unwrap_or_default());
            }
            let asked = error.retry_after().unwrap_or_default().as_millis();
            request.failed(class, u64::try_from(asked).unwrap_or(u64::MAX));
            return Err(error);
        }
        self.act(&mut request, answer, refresh, sent).await
    }

    async fn act(
        &self,
        request: &mut Request<'_>,
        answer: Answer,
        refresh: Option<&str>,
        sent: At,
    ) -> Result<TokenSet, Error> {
        let (model, setup) = (&self.service.model, &self.service.setup);
        let spends = setup.rotates && answer != Answer::KeepRefresh;
        if let Some(secret) = refresh
            && !model.lock().spend(self.process, secret, spends)
        {
            request.failed(Class::Token, 0);
            return Err(Error::new(ErrorKind::RefreshRejected, "it was spent, or is dead"));
        }
        if let (Some(secret), false) = (refresh, spends) {
            model.lock().give_back(secret);
        }
        let mut acted = Acted { model, refresh: refresh.filter(|_| spends), arrived: false };
        let tokens = self.issue(answer, refresh, sent, spends)?;
        match answer {
            Answer::SlowActed(millis) => self.sleep(millis).await,
            Answer::HangActed => pending().await,
            Answer::PanicActed => panic!("after it was acted upon"),
            Answer::Lose => {
                return Err(Error::new(ErrorKind::Transport, "cut off").with_answer_lost());
            }
            _ => {}
        }
        acted.arrived = true;
        request.ended = true;
        let at = self.service.clock.at();
        let access = tokens.access_token().map(|token| token.secret().expose_secret().to_owned());
        let access = access.unwrap_or_default();
        model.lock().succeeded(self.process, &access, sent, at, request.since);
        Ok(tokens)
    }

    fn issue(
        &self,
        answer: Answer,
        refresh: Option<&str>,
        sent: At,
        rotates: bool,
    ) -> Result<TokenSet, Error> {
        let setup = &self.service.setup;
        let mut model = self.service.model.lock();
        let login = match refresh {
            Some(secret) => model.login_of_refresh(secret),
            None => {
                let login = model.begin_login(false);
                model.end_login(login);
                login
            }
        };
        let life = match answer {
            Answer::Issue(life) => life,
            _ => setup.life,
        };
        let reissued = match answer {
            Answer::SameAccess => model.reissue_access(login, self.process, sent, life),
            _ => None,
        };
        let access =
            reissued.unwrap_or_else(|| model.issue_access(login, Some(self.process), sent, life));
        let brings = setup.refreshes && (refresh.is_none() || rotates);
        let refresh = brings.then(|| model.issue_refresh(login));
        drop(model);
        Ok(token_set(access, refresh, sent, life))
    }

    async fn sleep(&self, millis: u64) {
        self.service.clock.sleep(Duration::from_millis(millis)).await;
    }
}

/// The tokens of a person who logged in elsewhere.
pub fn installed(model: &mut Model, what: Installed, at: At) -> (usize, TokenSet) {
    let login = model.begin_login(true);
    let tokens = match what {
        Installed::Both(life) => {
            let access = model.issue_access(login, None, at, life);
            token_set(access, Some(model.issue_refresh(login)), at, life)
        }
        Installed::AccessOnly(life) => {
            token_set(model.issue_access(login, None, at, life), None, at, life)
        }
        Installed::RefreshOnly => TokenSet::from_refresh_token(model.issue_refresh(login)),
    };
    (login, tokens)
}

fn token_set(access: String, refresh: Option<String>, sent: At, life: Option<u64>) -> TokenSet {
    let access = AccessToken::new(access, "Bearer").expect("a token");
    let mut tokens = TokenSet::new(access, wall_time(sent.wall));
    if let Some(life) = life {
        tokens = tokens.with_lifetime(Duration::from_millis(life));
    }
    match refresh {
        Some(refresh) => tokens.with_refresh_token(refresh),
        None => tokens,
    }
}

fn refusal(answer: Answer, is_refresh: bool) -> Option<(Error, Class)> {
    let (kind, class) = match answer {
        Answer::Down | Answer::DownFor(_) => (ErrorKind::Unavailable, Class::Transient),
        Answer::NoRoute => (ErrorKind::Transport, Class::Transient),
        Answer::Garbage => (ErrorKind::InvalidResponse, Class::Transient),
        Answer::RefuseRefresh if is_refresh => (ErrorKind::RefreshRejected, Class::Token),
        Answer::Doubt if is_refresh => (ErrorKind::RefreshDoubtful, Class::Doubt),
        Answer::RefuseRefresh | Answer::Doubt | Answer::RefuseClient => {
            (ErrorKind::CredentialsRejected, Class::Verdict)
        }
        Answer::WantPerson => (ErrorKind::LoginRequired, Class::Person),
        Answer::RefuseRequest => (ErrorKind::RequestRejected, Class::Verdict),
        Answer::RefuseProxy => (ErrorKind::ProxyRejected, Class::Verdict),
        _ => return None,
    };
    let error = Error::new(kind, "the service of a random life refused");
    Some(match answer {
        Answer::DownFor(seconds) => (error.with_retry_after(Duration::from_secs(seconds)), class),
        _ => (error, class),
    })
}

impl Script {
    fn answer(&mut self) -> Answer {
        self.next.pop_front().unwrap_or(self.always)
    }
}

#[async_trait]
impl TokenProvider for LifeProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.ask(None, cx).await
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.ask(current.refresh_token(), cx).await
    }

    fn non_interactive(&self) -> bool {
        self.service.setup.non_interactive
    }

    fn refreshes(&self) -> bool {
        self.service.setup.refreshes
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        if let Some(refresh) = tokens.refresh_token() {
            self.service.model.lock().kill_refresh(refresh.expose_secret());
        }
        Ok(())
    }
}
