//! M4: whoever asks for a token with a certain life left gets it wherever it can be had.

use tokenkeeper::{Clock, ErrorKind};
use tokenkeeper_testkit::{ScriptedProvider, Step};

use crate::one_thread::{finish, pass, rig};
use crate::support::fleet::Fleet;
use crate::support::records::tokens_of;
use crate::support::rig::seconds;

/// A service that answered once with a life of 20 s.
async fn after_a_short_life(provider: &ScriptedProvider) -> crate::support::rig::Rig {
    provider.on_fetch(Step::issue_for(Some(seconds(20))));
    let rig = rig(provider, true);
    rig.manager.token().await.unwrap();
    rig.manager.flush().await.unwrap();
    rig
}

#[tokio::test]
async fn a_token_that_was_installed_is_served_to_callers_who_ask_for_a_minute() {
    let provider = ScriptedProvider::new("svc");
    let rig = after_a_short_life(&provider).await;
    rig.clock.advance(seconds(1));
    rig.manager.install(tokens_of("person", rig.clock.now().wall())).await.unwrap();

    let token = rig.manager.token_valid_for(seconds(60)).await.unwrap();

    assert_eq!(token.secret().expose_secret(), "person-access");
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_token_of_a_sibling_is_served_to_callers_who_ask_for_a_minute() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::on_this_runtime(2, &provider);
    let [one, other] = &fleet.managers[..] else { unreachable!() };
    provider.on_fetch(Step::issue_for(Some(seconds(20))));
    one.token().await.unwrap();
    fleet.flush().await;
    fleet.clock.advance(seconds(19));
    other.token().await.unwrap();
    fleet.flush().await;
    one.token().await.unwrap();

    let token = one.token_valid_for(seconds(60)).await.unwrap();

    assert_eq!(token.secret().expose_secret(), "access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_token_of_a_sibling_is_looked_for_by_callers_who_ask_for_a_minute() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::on_this_runtime(2, &provider);
    let [one, other] = &fleet.managers[..] else { unreachable!() };
    provider.on_fetch(Step::issue_for(Some(seconds(20))));
    one.token().await.unwrap();
    fleet.flush().await;
    fleet.clock.advance(seconds(10));
    other.force_refresh().await.unwrap();
    fleet.flush().await;

    let token = finish(&fleet.clock, one.token_valid_for(seconds(60))).await.unwrap();

    assert_eq!(token.secret().expose_secret(), "access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_refusal_for_want_of_life_is_not_for_ever() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc");
        provider.on_fetch(Step::issue_for(Some(seconds(20))));
        let rig = rig(&provider, is_shared);
        rig.manager.token().await.unwrap();
        let error = rig.manager.token_valid_for(seconds(60)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);

        pass(&rig.clock, seconds(600)).await; // the service has been set right meanwhile

        finish(&rig.clock, rig.manager.token_valid_for(seconds(60))).await.unwrap();
        assert_eq!(provider.calls(), 2);
    }
}

#[tokio::test]
async fn a_refusal_for_want_of_life_costs_few_requests() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(20)));
    let rig = rig(&provider, true);
    rig.manager.token().await.unwrap();

    for _ in 0..100 {
        assert!(rig.manager.token_valid_for(seconds(60)).await.is_err());
    }

    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_token_of_unknown_life_is_good_for_any_time_that_is_asked_for() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc").with_lifetime(None);
        let rig = rig(&provider, is_shared);
        rig.manager.token().await.unwrap();

        for at_least in [seconds(60), seconds(u64::MAX), std::time::Duration::MAX] {
            rig.clock.advance(seconds(60));
            finish(&rig.clock, rig.manager.token_valid_for(at_least)).await.unwrap();
        }

        assert_eq!(provider.calls(), 1);
    }
}
