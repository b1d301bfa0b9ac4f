//! M7: nobody hammers a service or a storage, whoever asks, and no pause outlives its reason.

use std::time::Duration;

use crate::support::rig::{Rig, login_elsewhere, seconds};
use crate::support::waiting::settled;
use tokenkeeper::{AccessToken, Clock, Error, ErrorKind, TokenSet};
use tokenkeeper_testkit::{ScriptedProvider, Step, StorageFault};
use tokio::runtime::Handle;

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

/// A manager whose exchanges and refresher run on the runtime of the test.
fn on_this_runtime(provider: &ScriptedProvider) -> Rig {
    Rig::with(provider, true, |builder| builder.driver(Handle::current()))
}

fn token(secret: &str) -> AccessToken {
    AccessToken::new(secret.to_owned(), "Bearer").unwrap()
}

/// The verdict stays in the storage then, and is about the credentials of before.
#[tokio::test]
async fn an_install_ends_a_verdict_also_if_it_cannot_be_stored() {
    for rig in Rig::both(provider) {
        rig.provider.on_fetch(Step::refuse_credentials());
        rig.manager.token().await.unwrap_err();
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);

        rig.manager.install(login_elsewhere()).await.unwrap();
        rig.manager.token().await.unwrap();

        assert_eq!((rig.provider.fetches(), rig.provider.spent().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_refresher_asks_a_storage_that_is_down_once_while_the_clock_stands() {
    let rig = on_this_runtime(&provider().attended().without_refresh_tokens());
    rig.storage.fault_everything(StorageFault::Fail);

    let _refresher = rig.manager.spawn_refresher();
    settled().await;
    let calls = rig.storage.total_calls();
    settled().await;

    assert!((1..=3).contains(&calls), "{calls} calls");
    assert_eq!(rig.storage.total_calls(), calls);
}

#[tokio::test]
async fn callers_without_a_login_do_not_hammer_the_storage() {
    let wants_person = provider();
    let error = Error::new(ErrorKind::LoginRequired, "interaction_required");
    wants_person.always_on_fetch(Step::fail(error));
    for provider in [provider().attended(), wants_person] {
        for rig in [Rig::shared(&provider), Rig::plain(&provider)] {
            rig.manager.token().await.unwrap_err(); // asks the service, if it may
            rig.manager.token().await.unwrap_err(); // looks whether somebody logged in
            rig.manager.flush().await.unwrap();
            let calls = rig.storage.total_calls();

            for _ in 0..100 {
                rig.manager.token().await.unwrap_err();
            }

            rig.manager.flush().await.unwrap();
            assert_eq!(rig.storage.total_calls(), calls);
        }
    }
}

#[tokio::test]
async fn a_refresher_does_not_log_in_again_after_clear() {
    let rig = on_this_runtime(&provider());
    rig.manager.token().await.unwrap();
    let _refresher = rig.manager.spawn_refresher();
    settled().await;

    rig.manager.clear().await.unwrap();
    for _ in 0..20 {
        settled().await;
        rig.clock.advance(seconds(60));
    }
    settled().await;

    assert_eq!(rig.provider.fetches(), 1);
    assert!(rig.stored().unwrap().is_tombstone());
}

#[tokio::test]
async fn a_refresher_renews_tokens_of_one_second_as_often_as_exchanges_may_be() {
    let rig = on_this_runtime(&provider().with_lifetime(Some(seconds(1))));
    rig.manager.token().await.unwrap();
    let _refresher = rig.manager.spawn_refresher();
    settled().await;

    for _ in 0..300 {
        rig.clock.advance(Duration::from_millis(100));
        settled().await;
    }

    assert_eq!(rig.provider.calls(), 1 + 30);
}

/// What the service has just issued is the best that can be had, also if it took its time.
#[tokio::test]
async fn token_valid_for_a_whole_life_makes_one_exchange_also_where_the_service_is_slow() {
    let rig = Rig::shared(&provider());
    let clock = rig.clock.clone();
    rig.provider.always_on_fetch(Step::answer(move |call| {
        clock.advance(seconds(6));
        let tokens = TokenSet::new(token(&format!("{:?}", clock.now())), call.sent_at());
        Ok(tokens.with_lifetime(seconds(900)))
    }));

    rig.manager.token_valid_for(seconds(900)).await.unwrap();

    assert_eq!(rig.provider.calls(), 1);
}

/// What is left of installed tokens says nothing of how long the service lets them live.
#[tokio::test]
async fn an_installed_token_with_little_left_does_not_stop_who_asks_for_more() {
    let rig = Rig::shared(&provider());
    let tokens = TokenSet::new(token("installed"), rig.clock.now().wall())
        .with_lifetime(seconds(20))
        .with_refresh_token("installed");
    rig.manager.install(tokens).await.unwrap();

    let token = rig.manager.token_valid_for(seconds(60)).await.unwrap();

    assert_eq!(token.authorization(), "Bearer access-1");
    assert_eq!(rig.provider.spent(), ["installed"]);
}
