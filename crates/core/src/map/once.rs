//! Managers that are being made: once, however many ask at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::error::Error;
use crate::manager::TokenManager;

/// By key, for as long as somebody is at it.
pub(super) struct Once<K>(Mutex<HashMap<K, Arc<Attempt>>>);

/// What everybody gets who waits for it.
type Attempt = OnceLock<Result<TokenManager, Error>>;

impl<K> Default for Once<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> Once<K> {
    /// Makes it, or waits for who does. `make` must look first whether it was made a moment ago.
    pub(super) fn join(
        &self,
        key: &K,
        make: impl FnOnce() -> Result<TokenManager, Error>,
    ) -> Result<TokenManager, Error> {
        let attempt = Arc::clone(self.0.lock().entry(key.clone()).or_default());
        let result = attempt.get_or_init(make).clone();
        // Who comes later finds the manager, or tries again.
        let mut attempts = self.0.lock();
        let is_ours = attempts.get(key).is_some_and(|there| Arc::ptr_eq(there, &attempt));
        let over = if is_ours { attempts.remove_entry(key) } else { None };
        drop(attempts);
        drop(over);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn whoever_waits_for_an_attempt_shares_its_error_and_the_next_one_is_new() {
        let attempts = Once::default();
        let calls = AtomicUsize::new(0);
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let fail = || {
            attempts.join(&"alice", || {
                calls.fetch_add(1, Ordering::SeqCst);
                let _ = may_go_on.lock().recv();
                Err(Error::new(ErrorKind::Config, "no such tenant"))
            })
        };

        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(fail)).collect();
            let joined =
                || attempts.0.lock().get("alice").map_or(0, |there| Arc::strong_count(there) - 1);
            while joined() < 3 {
                thread::yield_now();
            }
            go_on.send(()).unwrap();
            for thread in waiting {
                assert_eq!(thread.join().unwrap().unwrap_err().kind(), ErrorKind::Config);
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        drop(go_on);
        assert!(fail().is_err());
        assert_eq!((calls.load(Ordering::SeqCst), attempts.0.lock().len()), (2, 0));
    }
}
