//! A provider made of two steps: a token that one service issued buys a token of another. Each step
//! has a manager, so each token is kept, renewed and replaced on its own.

use std::sync::Arc;

use crate::support::setup::{manager, seconds};
use http::StatusCode;
use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Clock, Error, ErrorKind, FetchContext, ManualClock, MemoryStorage,
    ProviderIdentity, Recovery, RefreshPolicy, TokenManager, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokio::task::JoinSet;

/// The second step. `shop` is asked with the token of the first.
#[derive(Clone, Debug)]
struct Chained {
    identity: ProviderIdentity,
    login: TokenManager,
    shop: ScriptedProvider,
    paid_with: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl TokenProvider for Chained {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let login = self.login.token().await?;
        self.paid_with.lock().push(login.secret().expose_secret().to_owned());
        let bought = self.shop.fetch_token(cx).await;
        let refused = |error: &Error| error.status() == Some(StatusCode::UNAUTHORIZED);
        if bought.as_ref().is_err_and(refused) {
            // The next attempt, which the manager decides about, brings another one.
            self.login.invalidate(&login);
        }
        bought
    }

    fn refreshes(&self) -> bool {
        false
    }
}

/// Both steps on one storage, the first with tokens of 15 minutes, the second with ones of a minute.
struct Chain {
    login: ScriptedProvider,
    chained: Chained,
    manager: TokenManager,
    clock: ManualClock,
}

impl Chain {
    fn new() -> Self {
        Self::after(ScriptedProvider::new("login"))
    }

    fn after(login: ScriptedProvider) -> Self {
        let (clock, storage) = (ManualClock::new(), MemoryStorage::new());
        let chained = Chained {
            identity: ProviderIdentity::new("shop"),
            login: manager(&login, storage.clone(), &clock),
            shop: ScriptedProvider::new("shop")
                .without_refresh_tokens()
                .with_lifetime(Some(seconds(60))),
            paid_with: Arc::default(),
        };
        let manager = TokenManager::builder(chained.clone())
            .storage(storage)
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .build()
            .unwrap();
        Self { login, chained, manager, clock }
    }
}

#[tokio::test]
async fn each_step_is_made_when_its_own_token_ends() {
    let Chain { login, chained, manager, clock } = Chain::new();

    for _ in 0..15 {
        manager.token().await.unwrap();
        chained.login.flush().await.unwrap();
        clock.advance(seconds(60));
    }
    manager.token().await.unwrap();

    let paid_with = chained.paid_with.lock().clone();
    assert_eq!(paid_with.len(), 16);
    assert_eq!(paid_with.first().unwrap(), "access-1");
    assert_eq!(paid_with.last().unwrap(), "access-2");
    assert_eq!((login.fetches(), login.spent()), (1, vec!["refresh-1".to_owned()]));
}

#[tokio::test]
async fn any_number_of_callers_cause_one_exchange_of_each_step() {
    let Chain { login, chained, manager, .. } = Chain::new();
    let gate = Gate::closed();
    login.on_fetch(Step::issue().held(&gate));

    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let manager = manager.clone();
        callers.spawn(async move { manager.token().await.unwrap() });
    }
    gate.arrived(1).await;
    gate.release();
    callers.join_all().await;

    assert_eq!((login.calls(), chained.shop.calls()), (1, 1));
}

#[tokio::test]
async fn a_first_step_that_fails_is_named_and_the_second_is_not_made() {
    let Chain { login, chained, manager, clock } = Chain::new();
    login.on_fetch(Step::unavailable());

    let error = manager.token().await.unwrap_err();

    assert_eq!((error.service_name(), error.kind()), (Some("login"), ErrorKind::Unavailable));
    let Recovery::Retry { after: Some(pause) } = error.recovery() else { panic!("{error}") };
    assert_eq!(chained.shop.calls(), 0);
    clock.advance(pause);
    manager.token().await.unwrap();
    assert_eq!((login.calls(), chained.shop.calls()), (2, 1));
}

#[tokio::test]
async fn a_first_token_that_the_second_step_refuses_is_replaced() {
    let Chain { login, chained, manager, clock } = Chain::new();
    let refusal =
        Error::new(ErrorKind::Unavailable, "refused").with_status(StatusCode::UNAUTHORIZED);
    chained.shop.on_fetch(Step::fail(refusal));

    let error = manager.token().await.unwrap_err();
    clock.advance(error.retry_after().unwrap());
    manager.token().await.unwrap();

    assert_eq!(*chained.paid_with.lock(), ["access-1", "access-2"]);
    assert_eq!(login.calls(), 2);
}

#[tokio::test]
async fn after_a_login_at_the_first_step_the_second_goes_on_once_it_is_told() {
    let Chain { chained, manager, clock, .. } =
        Chain::after(ScriptedProvider::new("login").attended());

    let error = manager.token().await.unwrap_err();
    assert_eq!((error.service_name(), error.kind()), (Some("login"), ErrorKind::LoginRequired));
    let token = AccessToken::new("of-alice", "Bearer").unwrap();
    chained.login.install(TokenSet::new(token, clock.now().wall())).await.unwrap();
    assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::LoginRequired);
    manager.credentials_changed();

    manager.token().await.unwrap();
    assert_eq!(*chained.paid_with.lock(), ["of-alice"]);
}
