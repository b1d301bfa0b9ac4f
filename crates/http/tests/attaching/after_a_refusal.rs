//! M14: what a refusal leads to, and how often.

use crate::setup::{API, api, attached, manager, reaction};
use http::{HeaderMap, HeaderName, StatusCode};
use tokenkeeper::{AccessToken, Error, ManualClock};
use tokenkeeper_http::{Bearer, Presenter, Reaction, Route, Target, TokenRoutes};
use tokenkeeper_testkit::{ScriptedProvider, Step};

#[tokio::test]
async fn after_a_401_the_request_goes_out_once_more_with_another_token() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(manager(&provider, &ManualClock::new()));
    let first = attached(&routes).await;

    let wanted = reaction(&first, 401, Some(r#"Bearer error="invalid_token""#));
    let again = first.renew(wanted).await.unwrap();

    assert_eq!(again.token().authorization(), "Bearer access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_replay_that_is_refused_too_is_not_followed_by_another() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(manager(&provider, &ManualClock::new()));
    let again = attached(&routes).await.renew(Reaction::ReplaceToken).await.unwrap();

    assert!(!again.may_replay());
    assert_eq!(reaction(&again, 401, None), Reaction::GiveUp);
    assert!(again.renew(Reaction::ReplaceToken).await.is_none());
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn any_number_of_requests_with_one_rejected_token_cause_one_exchange() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(manager(&provider, &ManualClock::new()));
    let first = attached(&routes).await;

    for _ in 0..100 {
        let again = first.clone().renew(Reaction::ReplaceToken).await.unwrap();
        assert_eq!(again.token().authorization(), "Bearer access-2");
    }

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn where_another_token_would_not_help_nothing_is_asked_for() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(manager(&provider, &ManualClock::new()));
    let first = attached(&routes).await;

    for (status, challenge) in [
        (200, None),
        (204, Some("Bearer")),
        (307, None),
        (400, Some(r#"Bearer error="invalid_request""#)),
        (401, Some(r#"Bearer error="insufficient_scope", scope="write""#)),
        (403, Some(r#"Bearer error="insufficient_scope""#)),
        (403, Some(r#"Bearer error="invalid_token""#)),
        (407, None),
        (429, None),
        (503, None),
    ] {
        let wanted = reaction(&first, status, challenge);
        assert_eq!(wanted, Reaction::GiveUp, "{status} {challenge:?}");
        assert!(first.clone().renew(wanted).await.is_none());
    }
    assert_eq!(attached(&routes).await.token().authorization(), "Bearer access-1");
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn without_a_replacement_the_caller_keeps_the_answer_that_is_there() {
    for step in [Step::unavailable(), Step::refuse_credentials()] {
        let provider = ScriptedProvider::new("svc").without_refresh_tokens();
        let routes = api(manager(&provider, &ManualClock::new()));
        let first = attached(&routes).await;
        provider.always_on_fetch(step);

        assert!(first.clone().renew(Reaction::ReplaceToken).await.is_none());
        assert!(first.renew(Reaction::ReplaceToken).await.is_none());
        assert_eq!(provider.calls(), 2);
    }
}

#[tokio::test]
async fn a_route_without_replays_keeps_the_answer_and_replaces_the_token_for_the_next_request() {
    let provider = ScriptedProvider::new("svc");
    let manager = manager(&provider, &ManualClock::new());
    let routes = TokenRoutes::new([Route::new(manager).origin(API).without_replay()]).unwrap();
    let first = attached(&routes).await;

    assert!(!first.may_replay());
    let wanted = reaction(&first, 401, None);
    assert!(first.renew(wanted).await.is_none());

    assert_eq!(provider.calls(), 1);
    assert_eq!(attached(&routes).await.token().authorization(), "Bearer access-2");
}

#[tokio::test]
async fn the_token_of_a_request_that_cannot_be_sent_again_is_given_up_all_the_same() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(manager(&provider, &ManualClock::new()));
    let first = attached(&routes).await;

    first.give_up(Reaction::GiveUp);
    assert_eq!(attached(&routes).await.token().authorization(), "Bearer access-1");
    first.give_up(Reaction::ReplaceToken);

    assert_eq!(attached(&routes).await.token().authorization(), "Bearer access-2");
    assert_eq!(provider.calls(), 2);
}

/// Wants its token presented anew after a 400, as proofs with a nonce do.
#[derive(Debug)]
struct Represents;

impl Presenter for Represents {
    fn header(&self) -> &HeaderName {
        const { &http::header::AUTHORIZATION }
    }

    fn present(
        &self,
        token: &AccessToken,
        target: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        Bearer::new().present(token, target, headers)
    }

    fn on_challenge(&self, _: &Target<'_>, status: StatusCode, _: &HeaderMap) -> Reaction {
        if status == 400 { Reaction::Represent } else { Reaction::GiveUp }
    }
}

#[tokio::test]
async fn a_token_that_was_presented_wrongly_is_presented_again_once_and_not_replaced() {
    let provider = ScriptedProvider::new("svc");
    let manager = manager(&provider, &ManualClock::new());
    let route = Route::new(manager).origin(API).presenter(Represents);
    let routes = TokenRoutes::new([route]).unwrap();
    let first = attached(&routes).await;

    let again = first.clone().renew(reaction(&first, 400, None)).await.unwrap();

    assert_eq!(again.token().authorization(), "Bearer access-1");
    assert_eq!(reaction(&again, 400, None), Reaction::GiveUp);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_presenter_is_asked_about_refusals_alone() {
    #[derive(Debug)]
    struct Panics;
    impl Presenter for Panics {
        fn header(&self) -> &HeaderName {
            const { &http::header::AUTHORIZATION }
        }
        fn present(&self, _: &AccessToken, _: &Target<'_>, _: &mut HeaderMap) -> Result<(), Error> {
            Ok(())
        }
        fn on_challenge(&self, _: &Target<'_>, _: StatusCode, _: &HeaderMap) -> Reaction {
            panic!("asked about an answer that is no refusal")
        }
    }
    let route = Route::new(crate::setup::some_manager("svc")).origin(API).presenter(Panics);
    let first = attached(&TokenRoutes::new([route]).unwrap()).await;

    for status in [200, 304, 500, 599] {
        assert_eq!(reaction(&first, status, None), Reaction::GiveUp);
    }
}

#[tokio::test]
async fn a_replay_may_be_made_a_first_attempt_again() {
    let routes = api(manager(&ScriptedProvider::new("svc"), &ManualClock::new()));
    let again = attached(&routes).await.renew(Reaction::ReplaceToken).await.unwrap();
    assert_eq!(reaction(&again, 401, None), Reaction::GiveUp);
    assert!(format!("{again:?}").contains("svc"));

    let again = again.into_first_attempt();

    assert!(again.may_replay());
    assert_eq!(reaction(&again, 401, None), Reaction::ReplaceToken);
}
