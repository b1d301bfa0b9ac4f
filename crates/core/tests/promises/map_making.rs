//! A map makes one manager for a key, once, outside every lock, and never one that would give a
//! user somebody else's tokens.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::tenants::{Tenants, seconds, secret};
use tokenkeeper::{
    Error, ErrorKind, ProviderIdentity, RefreshPolicy, TokenManagerMap, TokenProvider,
};
use tokenkeeper_testkit::{ScriptedProvider, Step};
use tokio::runtime::Handle;

fn user(name: &str) -> ScriptedProvider {
    let identity = ProviderIdentity::new("svc").with("subject", name);
    ScriptedProvider::new("svc").with_identity(identity)
}

#[tokio::test]
async fn a_key_has_one_manager_and_every_key_its_own() {
    let tenants = Tenants::new(|builder| builder);

    let (first, second, other) = (tenants.get(1), tenants.get(1), tenants.get(2));
    first.token().await.unwrap();

    assert!(second.peek().is_some() && other.peek().is_none());
    assert_eq!((tenants.account(1).made(), tenants.account(2).made()), (1, 1));
    assert_eq!((tenants.map.len(), tenants.map.is_empty()), (2, false));
}

#[tokio::test]
async fn clones_of_a_map_share_its_managers() {
    let tenants = Tenants::new(|builder| builder);
    tenants.token(1).await;

    let manager = tenants.map.clone().get(&1).unwrap();

    assert!(manager.peek().is_some());
}

#[test]
fn a_map_of_strings_is_asked_with_a_str() {
    let map = TokenManagerMap::new(|name: &String| Ok(user(name)));

    let made = map.get("alice").unwrap();
    made.blocking().token().unwrap();

    assert!(map.get(&"alice".to_owned()).unwrap().peek().is_some());
    assert!(made.peek().is_some() && map.remove("bob"));
}

#[test]
fn many_who_ask_at_the_same_time_get_one_manager() {
    let (made, callers) = (Arc::new(AtomicUsize::new(0)), 8);
    let (counts, inside) = (Arc::clone(&made), Arc::new(Barrier::new(2)));
    let waits = Arc::clone(&inside);
    let map = TokenManagerMap::new(move |name: &String| {
        counts.fetch_add(1, Ordering::SeqCst);
        waits.wait();
        Ok(user(name))
    });

    let threads: Vec<_> = (0..callers)
        .map(|_| {
            let map = map.clone();
            thread::spawn(move || map.get("alice").unwrap().blocking().token().unwrap())
        })
        .collect();
    inside.wait();
    let tokens: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();

    assert_eq!(made.load(Ordering::SeqCst), 1);
    assert!(tokens.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])));
}

thread_local! {
    /// What happens when the next key is cloned.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = RefCell::default();
}

#[derive(PartialEq, Eq, Hash)]
struct Slow(u8);

impl Clone for Slow {
    fn clone(&self) -> Self {
        if let Some(meanwhile) = MEANWHILE.take() {
            meanwhile();
        }
        Self(self.0)
    }
}

#[test]
fn who_comes_while_another_one_made_the_manager_gets_that_one() {
    let made = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&made);
    let map = TokenManagerMap::new(move |_: &Slow| {
        counts.fetch_add(1, Ordering::SeqCst);
        Ok(user("alice"))
    });
    // A key is cloned after its manager was looked for, and before one is made.
    MEANWHILE.set(Some(Box::new({
        let map = map.clone();
        move || drop(map.get(&Slow(1)).unwrap().blocking().token().unwrap())
    })));

    let manager = map.get(&Slow(1)).unwrap();

    assert!(manager.peek().is_some());
    assert_eq!((made.load(Ordering::SeqCst), map.len()), (1, 1));
}

#[test]
fn a_failure_is_not_kept() {
    let made = AtomicUsize::new(0);
    let map =
        TokenManagerMap::new(move |name: &String| match made.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(ErrorKind::Config, "client id: must not be empty")),
            _ => Ok(user(name)),
        });

    let error = map.get("alice").unwrap_err();

    assert_eq!((error.kind(), map.len()), (ErrorKind::Config, 0));
    assert!(map.get("alice").is_ok());
}

#[test]
fn a_panic_while_a_provider_is_made_is_an_error_and_the_next_attempt_works() {
    let first = AtomicUsize::new(0);
    let map =
        TokenManagerMap::new(move |name: &String| match first.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("no such tenant"),
            _ => Ok(user(name)),
        });

    let error = map.get("alice").unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(map.get("alice").is_ok());
}

#[test]
fn two_keys_never_wait_for_each_other() {
    let (enter, entered) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let map = TokenManagerMap::new(move |name: &String| {
        if name == "slow" {
            enter.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        Ok(user(name))
    });
    let asks = map.clone();
    let slow = thread::spawn(move || asks.get("slow").is_ok());
    entered.recv().unwrap();

    let (report, reported) = mpsc::channel();
    thread::spawn(move || {
        let quick = map.get("quick").unwrap();
        quick.blocking().token().unwrap();
        let seen = (map.len(), map.statuses().len(), map.evict_idle(), map.remove("none"));
        pollster::block_on(map.flush()).unwrap();
        let _ = report.send(seen);
    });
    let seen = reported.recv_timeout(seconds(60));
    go_on.send(()).unwrap();

    assert_eq!(seen, Ok((1, 1, 0, true)));
    assert!(slow.join().unwrap());
}

#[test]
fn m13_providers_are_made_outside_every_lock_of_the_map() {
    static MAP: OnceLock<TokenManagerMap<String>> = OnceLock::new();
    let (report, reported) = mpsc::channel();
    let map = MAP.get_or_init(|| {
        TokenManagerMap::new(|name: &String| {
            if name == "parent" {
                let map = MAP.get().unwrap();
                map.get("child")?.blocking().token()?;
                map.evict_idle();
                assert_eq!((map.len(), map.statuses().len()), (1, 1));
            }
            Ok(user(name))
        })
    });

    thread::spawn(move || report.send(map.get("parent").is_ok()));

    assert_eq!(reported.recv_timeout(seconds(60)), Ok(true));
}

#[tokio::test]
async fn a_second_key_of_the_same_identity_is_refused() {
    let service = ScriptedProvider::new("svc");
    let map = TokenManagerMap::new(move |_user: &String| Ok(service.clone()));
    map.get("alice").unwrap().token().await.unwrap();

    let error = map.get("personal-name").unwrap_err();

    assert_eq!((error.kind(), error.service_name()), (ErrorKind::Config, Some("svc")));
    assert!(error.to_string().contains("identity") && !error.to_string().contains("personal"));
    assert!(map.get("alice").is_ok());
}

#[tokio::test]
async fn a_second_key_of_the_same_identity_is_refused_after_the_first_was_dropped_too() {
    let service = ScriptedProvider::new("svc");
    let map = TokenManagerMap::builder(move |_user: &String| Ok(service.clone()))
        .driver(Handle::current())
        .build()
        .unwrap();
    map.get("alice").unwrap().token().await.unwrap();
    map.flush().await.unwrap();
    assert!(map.remove("alice"));

    let refused = map.get("bob");

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    assert!(map.get("alice").is_ok());
}

#[tokio::test]
async fn a_key_may_get_a_provider_of_another_identity_later() {
    let calls = AtomicUsize::new(0);
    let map = TokenManagerMap::new(move |name: &String| {
        let version = calls.fetch_add(1, Ordering::SeqCst).to_string();
        let identity = ProviderIdentity::new("svc").with("subject", name).with("scope", &version);
        Ok(ScriptedProvider::new("svc").with_identity(identity))
    });
    let before = map.get("alice").unwrap().key().clone();
    assert!(map.remove("alice"));

    let after = map.get("alice").unwrap().key().clone();

    assert_ne!(before, after);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let builder = || TokenManagerMap::builder(|name: &String| Ok(user(name)));
    let no_time = RefreshPolicy::new().with_storage_timeout(Duration::ZERO);

    for refused in [
        builder().bound(0).build(),
        builder().idle_after(Duration::ZERO).build(),
        builder().policy(no_time).build(),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn making_a_manager_asks_nobody_and_starts_nothing() {
    let service = ScriptedProvider::new("svc");
    let made = service.clone();
    let map = TokenManagerMap::new(move |_: &u8| Ok(made.clone()));

    map.get(&1).unwrap();

    assert_eq!(service.calls(), 0);
}

#[test]
fn debug_shows_no_key() {
    let map = TokenManagerMap::new(|name: &String| Ok(user(name)));
    map.get("personal-name").unwrap();

    let shown = format!("{map:?}");

    assert!(shown.contains("managers: 1") && !shown.contains("personal"), "{shown}");
}

#[tokio::test]
async fn an_error_of_one_key_is_no_other_keys() {
    let tenants = Tenants::new(|builder| builder);
    tenants.account(1).service.on_fetch(Step::refuse_credentials());

    let refused = secret(&tenants.get(1)).await;
    let other = secret(&tenants.get(2)).await;

    assert_eq!(refused.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    assert!(other.is_ok() && !tenants.account(2).provider(2).identity().service_name().is_empty());
}

#[test]
fn a_map_is_what_tasks_share() {
    fn is_shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}

    is_shared::<TokenManagerMap<String>>();
    is_shared::<TokenManagerMap<(u64, [u8; 16])>>();
}
