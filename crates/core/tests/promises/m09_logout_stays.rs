//! M9, M5: a logout stays one, also when the storage refused to take it.

use tokenkeeper::{ErrorKind, TokenManager};
use tokenkeeper_testkit::{ScriptedProvider, StorageFault};

use crate::one_thread::{finish, pass, rig};
use crate::support::records::tokens_of;
use crate::support::rig::{Rig, seconds};
use crate::support::waiting::settled;
use tokenkeeper::Clock;

/// Alice is logged in, and logs out while nothing can be written.
async fn logged_out_while_nothing_can_be_written(is_shared: bool) -> Rig {
    let rig = rig(&ScriptedProvider::new("svc").attended(), is_shared);
    rig.manager.install(tokens_of("alice", rig.clock.now().wall())).await.unwrap();
    rig.clock.advance(seconds(60));
    rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
    let refused = rig.manager.clear().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Storage);
    rig
}

async fn served(rig: &Rig, manager: &TokenManager) -> Vec<String> {
    let token = finish(&rig.clock, manager.token()).await.ok();
    let kept = finish(&rig.clock, manager.tokens()).await.unwrap();
    let kept = kept.and_then(|tokens| tokens.access_token().cloned());
    let all = [token, kept, manager.peek()].into_iter().flatten();
    all.map(|token| token.secret().expose_secret().to_owned()).collect()
}

fn process_beside(rig: &Rig) -> TokenManager {
    TokenManager::builder(rig.provider.clone())
        .storage(rig.storage.clone())
        .clock(rig.clock.clone())
        .driver(tokio::runtime::Handle::current())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_logout_that_was_not_written_is_not_undone_by_a_conditional_login() {
    for is_shared in [true, false] {
        let rig = logged_out_while_nothing_can_be_written(is_shared).await;

        let bob = tokens_of("bob", rig.clock.now().wall());
        let installed = finish(&rig.clock, rig.manager.install_if_absent(bob)).await;
        rig.storage.heal();
        pass(&rig.clock, seconds(180)).await;

        let expected = if installed.is_ok_and(|installed| installed) { "bob-access" } else { "" };
        let newcomer = process_beside(&rig);
        for manager in [&rig.manager, &newcomer] {
            let served = served(&rig, manager).await;
            assert!(served.iter().all(|token| token == expected), "{is_shared}: {served:?}");
            assert_eq!(served.is_empty(), expected.is_empty(), "{is_shared}: {served:?}");
        }
    }
}

#[tokio::test]
async fn a_conditional_login_fails_while_a_logout_cannot_be_written_and_leaves_nothing_behind() {
    for is_shared in [true, false] {
        let rig = logged_out_while_nothing_can_be_written(is_shared).await;

        let bob = tokens_of("bob", rig.clock.now().wall());
        let installed = finish(&rig.clock, rig.manager.install_if_absent(bob)).await;

        assert_eq!(installed.unwrap_err().kind(), ErrorKind::Storage, "{is_shared}");
        assert!(rig.manager.peek().is_none() && !rig.manager.status().has_refresh_token());
        rig.storage.heal();
        pass(&rig.clock, seconds(180)).await;
        assert!(rig.stored().unwrap().is_tombstone(), "{is_shared}");
        assert!(rig.manager.peek().is_none() && !rig.manager.status().has_refresh_token());
    }
}

#[tokio::test]
async fn a_conditional_login_comes_after_the_logout_that_is_written_first() {
    for is_shared in [true, false] {
        let rig = logged_out_while_nothing_can_be_written(is_shared).await;
        rig.storage.heal();

        let bob = tokens_of("bob", rig.clock.now().wall());
        let installed = finish(&rig.clock, rig.manager.install_if_absent(bob)).await;

        assert!(installed.unwrap(), "{is_shared}");
        pass(&rig.clock, seconds(180)).await;
        for manager in [&rig.manager, &process_beside(&rig)] {
            let served = served(&rig, manager).await;
            assert!(served.iter().all(|token| token == "bob-access"), "{is_shared}: {served:?}");
            assert_eq!(served.len(), 3);
        }
    }
}

#[tokio::test]
async fn flush_fails_for_as_long_as_a_logout_is_not_written() {
    for is_shared in [true, false] {
        let rig = logged_out_while_nothing_can_be_written(is_shared).await;
        let bob = tokens_of("bob", rig.clock.now().wall());
        let _ = finish(&rig.clock, rig.manager.install_if_absent(bob)).await;

        assert!(finish(&rig.clock, rig.manager.flush()).await.is_err(), "{is_shared}");
        rig.storage.heal();
        finish(&rig.clock, rig.manager.flush()).await.unwrap();

        let payload = rig.stored().unwrap().payload().to_vec();
        assert!(!String::from_utf8(payload).unwrap().contains("alice"), "{is_shared}");
    }
}

#[tokio::test]
async fn a_login_that_was_not_written_is_not_undone_by_a_conditional_login() {
    for is_shared in [true, false] {
        let rig = rig(&ScriptedProvider::new("svc").attended(), is_shared);
        rig.manager.install(tokens_of("alice", rig.clock.now().wall())).await.unwrap();
        rig.clock.advance(seconds(60));
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        // Bob logs in with a refresh token that the service ends at once.
        rig.manager.install(tokens_of("bob", rig.clock.now().wall())).await.unwrap();
        let carol = tokens_of("carol", rig.clock.now().wall());
        let installed = finish(&rig.clock, rig.manager.install_if_absent(carol)).await;
        assert!(!installed.is_ok_and(|installed| installed), "bob is logged in");

        rig.storage.heal();
        pass(&rig.clock, seconds(180)).await;

        for manager in [&rig.manager, &process_beside(&rig)] {
            let served = served(&rig, manager).await;
            assert!(served.iter().all(|token| token == "bob-access"), "{is_shared}: {served:?}");
            assert_eq!(served.len(), 3);
        }
    }
}

/// The refresh token in the storage was spent; what came for it could not be written.
#[tokio::test]
async fn a_refresh_token_that_was_spent_does_not_come_back_from_the_storage_after_a_logout() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc");
        let rig = rig(&provider, is_shared);
        rig.with_token_aged(seconds(60)).await;
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        finish(&rig.clock, rig.manager.force_refresh()).await.unwrap();
        rig.manager.clear().await.unwrap_err();
        let bob = tokens_of("bob", rig.clock.now().wall());
        let _ = finish(&rig.clock, rig.manager.install_if_absent(bob)).await;

        rig.storage.heal();
        pass(&rig.clock, seconds(180)).await;
        let _ = finish(&rig.clock, rig.manager.force_refresh()).await;
        pass(&rig.clock, seconds(180)).await;

        assert_eq!(provider.reuses(), 0, "{is_shared}: {:?}", provider.spent());
    }
}

#[tokio::test]
async fn a_logout_that_was_not_written_is_written_although_a_sibling_refreshed_meanwhile() {
    let rig = rig(&ScriptedProvider::new("svc").attended(), true);
    rig.manager.install(tokens_of("alice", rig.clock.now().wall())).await.unwrap();
    let sibling = TokenManager::builder(rig.provider.clone())
        .storage(rig.shelf.clone())
        .clock(rig.clock.clone())
        .driver(tokio::runtime::Handle::current())
        .build()
        .unwrap();
    sibling.token().await.unwrap();
    rig.clock.advance(seconds(60));
    rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
    rig.manager.clear().await.unwrap_err();
    finish(&rig.clock, sibling.force_refresh()).await.unwrap();

    rig.storage.heal();
    pass(&rig.clock, seconds(180)).await;
    settled().await;

    assert!(rig.stored().unwrap().is_tombstone());
    assert!(finish(&rig.clock, rig.manager.token()).await.is_err());
}
