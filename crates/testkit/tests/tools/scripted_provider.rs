//! What a scripted provider does with and without a script.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, Error, ErrorKind, FetchContext, ManualClock, TokenProvider, TokenSet};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

struct Bench {
    clock: Arc<dyn Clock>,
}

impl Bench {
    fn new() -> Self {
        Self { clock: Arc::new(ManualClock::new()) }
    }

    fn cx(&self) -> FetchContext<'_> {
        FetchContext::detached(&self.clock, Duration::from_secs(15))
    }

    async fn fetch(&self, provider: &ScriptedProvider) -> Result<TokenSet, Error> {
        provider.fetch_token(&self.cx()).await
    }

    async fn refresh(
        &self,
        provider: &ScriptedProvider,
        current: &TokenSet,
    ) -> Result<TokenSet, Error> {
        provider.refresh_token(current, &self.cx()).await
    }
}

fn access(tokens: &TokenSet) -> &str {
    tokens.access_token().unwrap().secret().expose_secret()
}

fn refresh(tokens: &TokenSet) -> &str {
    tokens.refresh_token().unwrap().expose_secret()
}

#[tokio::test]
async fn without_a_script_it_issues_numbered_tokens_and_rotates() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));

    let first = bench.fetch(&provider).await.unwrap();
    let second = bench.refresh(&provider, &first).await.unwrap();

    assert_eq!((access(&first), refresh(&first)), ("access-1", "refresh-1"));
    assert_eq!((access(&second), refresh(&second)), ("access-2", "refresh-2"));
    assert_eq!(first.lifetime(), Some(Duration::from_secs(900)));
    assert_eq!((provider.fetches(), provider.refreshes(), provider.calls()), (1, 1, 2));
    assert_eq!(provider.spent(), ["refresh-1"]);
}

#[tokio::test]
async fn a_refresh_token_spent_twice_is_refused_and_counted() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    let first = bench.fetch(&provider).await.unwrap();
    bench.refresh(&provider, &first).await.unwrap();

    let error = bench.refresh(&provider.clone(), &first).await.unwrap_err();

    assert_eq!((error.kind(), provider.reuses()), (ErrorKind::RefreshRejected, 1));
    assert_eq!(error.oauth().unwrap().code(), "invalid_grant");
    assert_eq!(error.service_name(), Some("svc"));
}

#[tokio::test]
async fn a_refresh_token_from_a_login_elsewhere_is_taken_once() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    let installed = TokenSet::from_refresh_token("from-elsewhere");

    assert!(bench.refresh(&provider, &installed).await.is_ok());
    assert!(bench.refresh(&provider, &installed).await.is_err());
}

#[tokio::test]
async fn without_rotation_a_refresh_token_stays_good_and_is_left_out() {
    let bench = Bench::new();
    let provider = ScriptedProvider::new("svc").without_rotation();
    let first = bench.fetch(&provider).await.unwrap();

    for _ in 0..2 {
        let next = bench.refresh(&provider, &first).await.unwrap();
        assert!(next.refresh_token().is_none());
    }
    assert_eq!(provider.reuses(), 0);
}

#[tokio::test]
async fn steps_are_taken_in_order_and_then_the_default() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc").with_lifetime(None));
    provider.on_fetch(Step::unavailable());
    provider.on_fetch(Step::issue_for(Some(Duration::from_secs(5))));
    provider.always_on_fetch(Step::refuse_credentials());
    provider.on_refresh(Step::same_access_token());
    provider.on_refresh(Step::answer(|call| {
        assert_eq!(call.refresh_token().unwrap().expose_secret(), "refresh-2");
        Err(Error::new(ErrorKind::InvalidResponse, "odd"))
    }));

    assert_eq!(bench.fetch(&provider).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let tokens = bench.fetch(&provider).await.unwrap();
    assert_eq!(tokens.lifetime(), Some(Duration::from_secs(5)));
    assert_eq!(bench.fetch(&provider).await.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    let same = bench.refresh(&provider, &tokens).await.unwrap();

    assert_eq!((access(&same), refresh(&same)), ("access-1", "refresh-2"));
    assert_eq!(same.lifetime(), None);
    let odd = bench.refresh(&provider, &same).await.unwrap_err();
    assert_eq!(odd.kind(), ErrorKind::InvalidResponse);
}

#[tokio::test]
async fn a_failure_spends_nothing_and_a_lost_answer_does() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    let first = bench.fetch(&provider).await.unwrap();
    provider.on_refresh(Step::unavailable());
    provider.on_refresh(Step::lose_answer());

    bench.refresh(&provider, &first).await.unwrap_err();
    assert!(provider.spent().is_empty());
    let lost = bench.refresh(&provider, &first).await.unwrap_err();

    assert!(lost.answer_lost());
    assert_eq!(provider.spent(), ["refresh-1"]);
}

#[tokio::test]
async fn gates_hold_a_call_before_it_is_sent_before_the_service_acts_and_after_it() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    let (sending, acting, answering) = (Gate::closed(), Gate::closed(), Gate::closed());
    provider.on_fetch(
        Step::issue().held_before_sending(&sending).held(&acting).held_before_answering(&answering),
    );
    let cx = bench.cx();
    let look = async {
        sending.arrived(1).await;
        assert!(cx.sent().is_none());
        sending.release();
        acting.arrived(1).await;
        assert!(cx.sent().is_some());
        assert_eq!((provider.issued(), provider.running()), (0, 1));
        acting.release();
        answering.arrived(1).await;
        assert_eq!(provider.issued(), 1);
        answering.release();
    };

    let (tokens, ()) = tokio::join!(provider.fetch_token(&cx), look);

    assert!(tokens.is_ok());
    assert_eq!((provider.running(), provider.most_at_once()), (0, 1));
}

#[tokio::test]
async fn dead_refresh_tokens_are_refused_but_count_as_no_reuse() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    let first = bench.fetch(&provider).await.unwrap();

    provider.kill_refresh_tokens();

    let error = bench.refresh(&provider, &first).await.unwrap_err();
    assert_eq!((error.kind(), provider.reuses()), (ErrorKind::RefreshRejected, 0));
}

#[tokio::test]
async fn revocation_is_logged_and_makes_the_refresh_token_dead() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    let first = bench.fetch(&provider).await.unwrap();
    provider.on_revoke(Step::unavailable());

    assert!(provider.revoke(&first).await.is_err());
    assert!(provider.revoke(&first).await.is_ok());

    assert_eq!((provider.revocations(), provider.revoked()), (2, vec!["refresh-1".to_owned()]));
    assert!(bench.refresh(&provider, &first).await.is_err());
}

#[tokio::test]
async fn what_kind_of_provider_it_is_can_be_said() {
    let bench = Bench::new();
    let provider = ScriptedProvider::new("svc").attended().without_refresh_tokens();

    assert!(!provider.non_interactive());
    assert!(!TokenProvider::refreshes(&provider));
    assert!(bench.fetch(&provider).await.unwrap().refresh_token().is_none());
}

#[tokio::test]
async fn a_panic_leaves_the_counts_right_and_debug_shows_no_token() {
    let (bench, provider) = (Bench::new(), ScriptedProvider::new("svc"));
    provider.on_fetch(Step::panic());

    let panicking = provider.clone();
    let panicked = tokio::spawn(async move {
        let bench = Bench::new();
        let _ = bench.fetch(&panicking).await;
    });
    assert!(panicked.await.is_err());
    let tokens = bench.fetch(&provider).await.unwrap();

    assert_eq!((provider.running(), access(&tokens)), (0, "access-1"));
    assert!(!format!("{provider:?}").contains("access-1"));
}
