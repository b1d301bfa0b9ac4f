//! Managers on an encrypted storage: a life with restarts, a fleet, rotation, and what becomes of a
//! login whose record cannot be decrypted.

use std::time::Duration;

use crate::sealing::{PAYLOAD, key, keys, record};
use tokenkeeper::{
    ErrorKind, EventKind, ManualClock, MemoryStorage, RefreshPolicy, TokenManager, TokenRecord,
    TokenSet, TokenStorage,
};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};
use tokenkeeper_testkit::{Gate, PlainStorage, RecordingObserver, ScriptedProvider, Step};

/// One service, one storage, and as many processes as a test starts.
struct House {
    provider: ScriptedProvider,
    inner: MemoryStorage,
    clock: ManualClock,
    events: RecordingObserver,
    is_shared: bool,
}

impl House {
    fn new(provider: ScriptedProvider, is_shared: bool) -> Self {
        let (inner, clock, events) =
            (MemoryStorage::new(), ManualClock::new(), RecordingObserver::new());
        Self { provider, inner, clock, events, is_shared }
    }

    /// On a storage that can be shared and on one that cannot.
    fn both(provider: impl Fn() -> ScriptedProvider) -> [Self; 2] {
        [true, false].map(|is_shared| Self::new(provider(), is_shared))
    }

    /// What a process would wrap.
    fn storage(&self, keys: impl tokenkeeper_storage_encrypted::KeyProvider) -> EncryptedStorage {
        if self.is_shared {
            EncryptedStorage::new(self.inner.clone(), keys)
        } else {
            EncryptedStorage::new(PlainStorage::new(self.inner.clone()), keys)
        }
    }

    fn start(&self, keys: impl tokenkeeper_storage_encrypted::KeyProvider) -> TokenManager {
        TokenManager::builder(self.provider.clone())
            .storage(self.storage(keys))
            .clock(self.clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .observer(self.events.clone())
            .build()
            .unwrap()
    }

    async fn at_rest(&self, manager: &TokenManager) -> TokenRecord {
        self.inner.get(manager.key()).await.unwrap().unwrap()
    }

    async fn assert_stays(&self, manager: &TokenManager, record: &TokenRecord) {
        let there = self.at_rest(manager).await;
        assert_eq!((there.payload(), there.order()), (record.payload(), record.order()));
    }
}

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

fn login() -> TokenSet {
    TokenSet::from_refresh_token("installed")
}

async fn secret(manager: &TokenManager) -> String {
    manager.token().await.unwrap().secret().expose_secret().to_owned()
}

#[tokio::test]
async fn a_login_survives_restarts_and_no_token_is_ever_at_rest_in_clear_text() {
    for house in House::both(provider) {
        for round in 1..=20 {
            let manager = house.start(key(1));
            assert_eq!(secret(&manager).await, format!("access-{round}"));
            manager.flush().await.unwrap();
            let bytes = house.at_rest(&manager).await.to_bytes();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("access-") && !text.contains("refresh"), "{text}");

            let restarted = house.start(key(1));
            assert_eq!(secret(&restarted).await, format!("access-{round}"));
            house.clock.advance(OVER);
        }
        assert_eq!((house.provider.fetches(), house.provider.reuses()), (1, 0));
    }
}

#[tokio::test]
async fn a_logout_is_a_tombstone_that_can_be_read_after_a_restart() {
    for house in House::both(|| provider().attended()) {
        let manager = house.start(key(1));
        manager.install(login()).await.unwrap();
        manager.token().await.unwrap();

        manager.clear().await.unwrap();

        assert!(house.at_rest(&manager).await.is_tombstone());
        let error = house.start(key(1)).token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRequired);
    }
}

#[tokio::test]
async fn a_fleet_makes_one_exchange_per_rotation() {
    let house = House::new(provider(), true);
    let fleet: Vec<_> = (0..8).map(|_| house.start(key(1))).collect();
    for round in 1..=10 {
        let calls = fleet.iter().cycle().take(80).map(|manager| {
            let manager = manager.clone();
            tokio::spawn(async move { secret(&manager).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), format!("access-{round}"));
        }
        for manager in &fleet {
            manager.flush().await.unwrap();
        }
        house.clock.advance(OVER);
    }
    assert_eq!((house.provider.calls(), house.provider.reuses()), (10, 0));
}

#[tokio::test]
async fn a_fleet_goes_on_while_its_keys_are_rotated() {
    let house = House::new(provider(), true);
    // As processes are restarted one after the other, three times over.
    let stages: [&[u8]; 7] = [&[1], &[1, 2], &[1, 2], &[2, 1], &[2, 1], &[2], &[2]];
    for (round, pair) in stages.windows(2).enumerate() {
        let ahead = house.start(keys(pair[1]));
        let behind = house.start(keys(pair[0]));

        let token = secret(&ahead).await;
        assert_eq!(token, format!("access-{}", round + 1));
        ahead.flush().await.unwrap();
        assert_eq!(secret(&behind).await, token);
        house.clock.advance(OVER);
    }
    assert_eq!((house.provider.fetches(), house.provider.reuses()), (1, 0));
}

/// The writer of the exchange finds another version with the refresh token that it spent.
#[tokio::test]
async fn a_record_that_is_encrypted_anew_during_an_exchange_is_written_over() {
    let (house, gate) = (House::new(provider(), true), Gate::closed());
    let manager = house.start(keys(&[1, 2]));
    manager.token().await.unwrap();
    house.clock.advance(OVER);
    house.provider.on_refresh(Step::issue().held_before_answering(&gate));
    let caller = tokio::spawn({
        let manager = manager.clone();
        async move { secret(&manager).await }
    });
    gate.arrived(1).await;

    let rotated = house.storage(keys(&[2, 1]));
    let same = rotated.get(manager.key()).await.unwrap().unwrap();
    rotated.set(manager.key(), &same).await.unwrap();
    gate.release();

    assert_eq!(caller.await.unwrap(), "access-2");
    manager.flush().await.unwrap();
    assert!(manager.status().unpersisted().is_none());
    house.clock.advance(OVER);
    assert_eq!(secret(&house.start(key(1))).await, "access-3");
    assert_eq!(house.provider.spent(), ["refresh-1", "refresh-2"]);
    assert!(house.provider.revoked().is_empty());
}

#[tokio::test]
async fn a_process_that_lacks_a_key_destroys_nothing_whatever_it_is_asked_to_do() {
    for house in House::both(|| provider().attended()) {
        let good = house.start(key(1));
        good.install(login()).await.unwrap();
        good.token().await.unwrap();
        good.flush().await.unwrap();
        let before = house.at_rest(&good).await;
        let calls = house.provider.calls();

        let lacking = house.start(key(2));
        let errors = [
            lacking.token().await.unwrap_err(),
            lacking.force_refresh().await.unwrap_err(),
            lacking.install_if_absent(login()).await.unwrap_err(),
            lacking.revoke().await.unwrap_err(),
            lacking.clear().await.unwrap_err(),
        ];

        for error in errors {
            assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
            let text = error.to_string();
            assert!(text.contains(lacking.key().as_str()) && text.contains(key(1).id()), "{text}");
        }
        let failed = |kind: &EventKind| matches!(kind, EventKind::StorageFailed { .. });
        assert!(house.events.count(failed) > 0);
        house.assert_stays(&lacking, &before).await;
        lacking.install(TokenSet::from_refresh_token("another")).await.unwrap();
        assert_eq!(
            lacking.status().unpersisted().unwrap().kind(),
            ErrorKind::RecordUnreadable,
            "the login is served from memory, and says so"
        );
        house.assert_stays(&lacking, &before).await;
        assert_eq!(house.provider.calls(), calls);
        house.clock.advance(OVER);
        good.token().await.unwrap();
    }
}

/// Not even one that may fetch: what it cannot read, others can.
#[tokio::test]
async fn a_non_interactive_process_that_lacks_a_key_destroys_nothing() {
    for house in House::both(provider) {
        let good = house.start(key(1));
        good.token().await.unwrap();
        good.flush().await.unwrap();
        let before = house.at_rest(&good).await;

        let lacking = house.start(key(2));
        let error = lacking.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
        let _ = lacking.login().await;
        let _ = lacking.flush().await;

        house.assert_stays(&lacking, &before).await;
    }
}

/// Client credentials need no storage: the token is fetched, and kept in memory.
#[tokio::test]
async fn a_process_without_refresh_tokens_that_lacks_a_key_serves_from_memory() {
    for house in House::both(|| provider().without_refresh_tokens()) {
        let good = house.start(key(1));
        good.token().await.unwrap();
        good.flush().await.unwrap();
        let before = house.at_rest(&good).await;

        let lacking = house.start(key(2));

        assert_eq!(secret(&lacking).await, "access-2");
        let unpersisted = lacking.status().unpersisted().unwrap().kind();
        assert_eq!(unpersisted, ErrorKind::RecordUnreadable);
        house.assert_stays(&lacking, &before).await;
    }
}

#[tokio::test]
async fn a_record_in_a_newer_envelope_stays_whatever_is_asked_for() {
    let newer = TokenRecord::from_bytes(b"{\"tokenkeeper\":2}\nwhatever");
    for make in [provider as fn() -> ScriptedProvider, || provider().attended()] {
        for house in House::both(make) {
            let manager = house.start(key(1));
            house.inner.set(manager.key(), &newer).await.unwrap();

            let _ = manager.token().await;
            let _ = manager.login().await;
            manager.install(login()).await.unwrap();
            let error = manager.clear().await.unwrap_err();

            assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
            assert!(manager.flush().await.is_err());
            house.assert_stays(&manager, &newer).await;
            assert!(house.at_rest(&manager).await.is_newer());
        }
    }
}

#[tokio::test]
async fn a_manager_that_ran_dry_goes_on_once_the_refused_record_is_gone() {
    for house in House::both(|| provider().attended()) {
        let manager = house.start(key(1));
        manager.install(login()).await.unwrap();
        manager.token().await.unwrap();
        manager.flush().await.unwrap();
        let good = house.at_rest(&manager).await;
        house.inner.set(manager.key(), &record(PAYLOAD)).await.unwrap();
        for _ in 0..10 {
            house.clock.advance(OVER);
            manager.token().await.unwrap_err();
        }

        house.inner.set(manager.key(), &good).await.unwrap();

        assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::RecordUnreadable);
        manager.credentials_changed();
        assert_eq!(secret(&manager).await, "access-2");
        assert_eq!(house.provider.spent(), ["installed", "refresh-1"]);
    }
}

#[tokio::test]
async fn a_login_that_could_not_be_written_is_written_once_the_refused_record_is_deleted() {
    for house in House::both(|| provider().attended()) {
        let manager = house.start(key(1));
        house.inner.set(manager.key(), &record(b"nonsense")).await.unwrap();
        manager.install(login()).await.unwrap();
        assert!(manager.flush().await.is_err());

        house.storage(key(1)).delete(manager.key()).await.unwrap();
        manager.flush().await.unwrap();

        assert!(manager.status().unpersisted().is_none());
        assert_eq!(secret(&house.start(key(1))).await, "access-1");
        assert_eq!(house.provider.spent(), ["installed"]);
    }
}

#[tokio::test]
async fn a_token_in_memory_is_served_while_the_record_is_refused() {
    for house in House::both(provider) {
        let manager = house.start(key(1));
        let token = secret(&manager).await;
        manager.flush().await.unwrap();
        house.inner.set(manager.key(), &record(PAYLOAD)).await.unwrap();

        house.clock.advance(DUE);

        assert_eq!(secret(&manager).await, token);
        house.assert_stays(&manager, &record(PAYLOAD)).await;
    }
}

#[tokio::test]
async fn an_existing_storage_is_moved_to_encryption_without_a_login() {
    for house in House::both(provider) {
        let before = TokenManager::builder(house.provider.clone())
            .storage(house.inner.clone())
            .clock(house.clock.clone())
            .build()
            .unwrap();
        before.token().await.unwrap();
        before.flush().await.unwrap();

        let moving = house.storage(key(1)).danger_accept_plaintext();
        let moving = TokenManager::builder(house.provider.clone())
            .storage(moving)
            .clock(house.clock.clone())
            .build()
            .unwrap();
        assert_eq!(secret(&moving).await, "access-1");
        house.clock.advance(OVER);
        assert_eq!(secret(&moving).await, "access-2");
        moving.flush().await.unwrap();

        assert_eq!(secret(&house.start(key(1))).await, "access-2");
        assert_eq!((house.provider.fetches(), house.provider.reuses()), (1, 0));
    }
}

#[tokio::test]
async fn records_of_two_users_cannot_be_exchanged_for_each_other() {
    let house = House::new(provider().attended(), true);
    let of = |name: &str| {
        TokenManager::builder(house.provider.clone())
            .storage(house.storage(EncryptionKey::from_bytes([1; 32])))
            .clock(house.clock.clone())
            .key(crate::sealing::named(name))
            .build()
            .unwrap()
    };
    for name in ["alice", "bob"] {
        of(name).install(TokenSet::from_refresh_token(format!("of-{name}"))).await.unwrap();
    }

    let bobs = house.at_rest(&of("bob")).await;
    house.inner.set(&crate::sealing::named("alice"), &bobs).await.unwrap();

    let error = of("alice").token().await.unwrap_err();
    assert!(error.to_string().contains("was encrypted under another storage key"), "{error}");
    assert!(house.provider.spent().is_empty());
}

const DUE: Duration = Duration::from_secs(700); // of the 900 that a token lives
const OVER: Duration = Duration::from_secs(900);
