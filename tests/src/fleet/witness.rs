//! Somebody who looks into the storage all the time, and remembers what was ever in it.
//!
//! A refresh token that was issued and is not among what was stored was lost on its way. A record
//! stays for more than a second, because that is how far apart exchanges are, so a look every few
//! milliseconds sees all of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokenkeeper::{Clock, Order, StorageKey, SystemClock, TokenStorage};
use tokio::runtime::Builder;
use tokio::sync::watch;

use super::report::unix_millis;

/// Looks until it is asked what it saw.
#[derive(Debug)]
pub struct Witness {
    seen: Arc<Mutex<Seen>>,
    enough: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What was in the storage, the oldest first.
#[derive(Debug, Default)]
struct Seen {
    sightings: Vec<Sighting>,
    failures: usize,
}

/// A record that was seen.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When it was seen first, in milliseconds since 1970.
    pub at: u64,
    /// Its order.
    pub order: Order,
    payload: String,
}

impl Sighting {
    /// Whether it holds this secret.
    #[must_use]
    pub fn holds(&self, secret: &str) -> bool {
        self.payload.contains(secret)
    }

    /// The refresh token in it, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        let payload: Value = serde_json::from_str(&self.payload).ok()?;
        find_text(&payload, "refresh_token").map(str::to_owned)
    }
}

impl Witness {
    /// Starts looking.
    ///
    /// # Panics
    ///
    /// If there is no thread to be had.
    #[must_use]
    pub fn start(storage: Box<dyn TokenStorage>, key: StorageKey) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (enough, until) = watch::channel(false);
        let notes = Arc::clone(&seen);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    let is_last = *until.borrow();
                    look(&*storage, &key, &notes).await;
                    if is_last {
                        return;
                    }
                    SystemClock.sleep(PAUSE).await;
                }
            });
        });
        Self { seen, enough, thread: Some(thread) }
    }

    /// What it saw so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<Sighting> {
        self.seen.lock().sightings.clone()
    }

    /// How often it could not look.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.seen.lock().failures
    }

    /// Looks once more, and says all that it saw.
    #[must_use]
    pub fn testify(mut self) -> Vec<Sighting> {
        self.end();
        self.so_far()
    }

    fn end(&mut self) {
        self.enough.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end();
    }
}

async fn look(storage: &dyn TokenStorage, key: &StorageKey, seen: &Mutex<Seen>) {
    let found = storage.get(key).await;
    let at = unix_millis(SystemClock.now().wall());
    let mut seen = seen.lock();
    match found {
        Ok(Some(record)) => {
            let payload = String::from_utf8_lossy(record.payload()).into_owned();
            let order = record.order();
            let same = |last: &Sighting| last.order == order && last.payload == payload;
            if !seen.sightings.last().is_some_and(same) {
                seen.sightings.push(Sighting { at, order, payload });
            }
        }
        Ok(None) => {}
        Err(_) => seen.failures += 1,
    }
}

fn find_text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let members = value.as_object()?;
    let here = members.get(name).and_then(Value::as_str);
    here.or_else(|| members.values().find_map(|member| find_text(member, name)))
}

/// When each of these secrets was stored first.
pub(super) fn first_stored<'a>(
    sightings: &[Sighting],
    secrets: impl Iterator<Item = &'a str>,
) -> HashMap<&'a str, u64> {
    let first = |secret: &'a str| {
        let sighting = sightings.iter().find(|sighting| sighting.holds(secret))?;
        Some((secret, sighting.at))
    };
    secrets.filter_map(first).collect()
}

const PAUSE: Duration = Duration::from_millis(5);
