//! M11: no secret shows in any Debug, Display, error chain or panic.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::planted::{Provider, Response, Shown, token, tokens};
use tokenkeeper::{
    AccessToken, Clock, Error, ErrorKind, FetchContext, LeaseRequest, ManualClock, MemoryStorage,
    Order, Scopes, Secret, SharedTokenStorage, SystemClock, TokenManager, TokenRecord, TokenSet,
};

#[test]
fn values_that_hold_a_secret_do_not_show_it() {
    let shown = Shown::default();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let set = tokens("1", SystemTime::UNIX_EPOCH);

    shown.debug(&Secret::from("planted"));
    shown.debug(&Some(Secret::from("planted".to_owned())));
    shown.debug(&token("1"));
    shown.debug(&Arc::new(token("1")));
    shown.debug(&token("1").authorization());
    shown.debug(&set);
    shown.debug(&set.with_expires_at(None));
    shown.debug(&TokenSet::from_refresh_token("planted-refresh"));
    shown.debug(&TokenRecord::from_parts(b"planted".to_vec(), Order::new(1, 0), None, false));
    shown.debug(&TokenRecord::from_bytes(b"planted"));
    shown.debug(&FetchContext::detached(&clock, Duration::from_secs(15)));
    shown.debug(&Provider::new());

    assert!(token("1").authorization().is_sensitive());
    assert_eq!(shown.count(), 24);
}

#[test]
fn errors_show_neither_their_causes_insides_nor_what_was_refused() {
    let shown = Shown::default();
    let cause = || Response { body: "planted-body".to_owned() };
    let inner = Error::new(ErrorKind::Transport, "cut off").with_source(cause());

    shown.chain(&AccessToken::new("planted\n", "Bearer").unwrap_err());
    shown.chain(&AccessToken::new("planted", "plan ted").unwrap_err());
    shown.chain(&Scopes::new(["planted\n"]).unwrap_err());
    shown.chain(&tokenkeeper::StorageKey::new("/planted").unwrap_err());
    shown.chain(&Error::new(ErrorKind::InvalidResponse, "no JSON").with_source(cause()));
    shown.chain(&Error::new(ErrorKind::Storage, "no answer").with_source(inner));

    assert!(shown.count() > 24);
}

#[tokio::test]
async fn what_storages_deal_in_shows_no_secret() {
    let (shown, storage) = (Shown::default(), MemoryStorage::new());
    let provider = Provider::new();
    let manager = TokenManager::builder(provider)
        .storage(storage.clone())
        .clock(SystemClock)
        .build()
        .unwrap();
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    let key = manager.key();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let want = LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, clock);
    shown.debug(&want);

    let lease = storage.lease(key, &want).await.unwrap();
    shown.debug(&lease);
    shown.chain(&storage.lease(key, &want).await.unwrap_err());
    let (version, record) = storage.load(key).await.unwrap().unwrap();
    assert!(record.to_bytes().windows(7).any(|bytes| bytes == b"planted"));
    shown.debug(&(&version, &record));
    shown.debug(&storage.compare_and_set(key, None, &record).await.unwrap());
    shown.debug(&storage.compare_and_set(key, Some(&version), &record).await.unwrap());
    shown.debug(&storage);
}

#[test]
fn panics_of_those_who_unwrap_show_no_secret() {
    fn set() -> Result<TokenSet, Error> {
        Ok(tokens("1", SystemTime::UNIX_EPOCH))
    }
    fn no_token() -> Result<(), Arc<AccessToken>> {
        Err(Arc::new(token("1")))
    }
    fn no_secret() -> Result<(), Secret> {
        Err(Secret::from("planted"))
    }
    fn no_answer() -> Result<(), Error> {
        let cause = Response { body: "planted-body".to_owned() };
        Err(Error::new(ErrorKind::Transport, "cut off").with_source(cause))
    }
    let panics: [fn(); 4] = [
        || drop(set().unwrap_err()),
        || no_token().unwrap(),
        || no_secret().expect("a secret"),
        || no_answer().unwrap(),
    ];
    for panic in panics {
        let payload = catch_unwind(panic).unwrap_err();
        let message = payload.downcast_ref::<String>().expect("a message");
        assert!(!message.contains("planted"), "{message}");
    }
}
