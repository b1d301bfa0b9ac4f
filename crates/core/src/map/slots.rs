//! The managers that there are, and which of them go when there are too many.
//!
//! Finding one takes a read lock and no allocation. A sweep looks at all of them under the write
//! lock, so it comes only after enough new ones: an eighth of what there is.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Now, whole_millis};
use crate::manager::TokenManager;

/// Not `Clone`: whoever is on the slots alone is held by nobody else.
pub(super) struct Slots<K> {
    kept: HashMap<K, Kept>,
    /// The next sweep is when there are more, or when this time has come.
    sweep_above: usize,
    sweep_at: u64,
}

pub(super) struct Kept {
    manager: TokenManager,
    /// Whether the provider needs nobody: asked once, where no lock is held.
    non_interactive: bool,
    /// It was removed while somebody needed it, and goes with the last who does.
    is_removed: bool,
    /// When it was last asked for: milliseconds of the monotonic clock.
    used_at: AtomicU64,
}

/// What a second look found.
pub(super) enum Found<K> {
    Manager(TokenManager),
    Nothing(Option<(K, Kept)>),
}

impl<K> Default for Slots<K> {
    fn default() -> Self {
        Self { kept: HashMap::new(), sweep_above: 0, sweep_at: 0 }
    }
}

impl<K> Slots<K> {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

impl<K: Hash + Eq + Clone> Slots<K> {
    pub(super) fn find<Q>(&self, key: &Q, now: Now) -> Option<TokenManager>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let kept = self.kept.get(key).filter(|kept| !kept.is_removed)?;
        kept.touch(now);
        Some(kept.manager.clone())
    }

    /// As [`find`](Self::find), and one that was removed does for as long as it is needed. What it
    /// takes out is to be dropped outside the lock.
    pub(super) fn find_needed(&mut self, key: &K, now: Now) -> Found<K> {
        let Some(kept) = self.kept.get_mut(key) else { return Found::Nothing(None) };
        if kept.is_removed && kept.manager.may_be_removed() {
            return Found::Nothing(self.kept.remove_entry(key));
        }
        kept.touch(now);
        Found::Manager(kept.manager.clone())
    }

    /// All managers, in no particular order.
    pub(super) fn managers(&self) -> Vec<(K, TokenManager)> {
        self.kept.iter().map(|(key, kept)| (key.clone(), kept.manager.clone())).collect()
    }

    /// Puts one in. Gives back what is to be dropped outside the lock.
    pub(super) fn put(
        &mut self,
        key: K,
        kept: Kept,
        now: Now,
        bound: usize,
        idle_after: Duration,
    ) -> Vec<(K, Kept)> {
        self.kept.insert(key, kept);
        let is_full = self.kept.len() > self.sweep_above.max(bound);
        if is_full || now.mono_millis() >= self.sweep_at {
            return self.sweep(now, bound, idle_after);
        }
        Vec::new()
    }

    /// Takes one out, or sees to it that it goes when it is not needed any longer. Gives back what
    /// is to be dropped outside the lock, and whether none is left.
    pub(super) fn remove<Q>(&mut self, key: &Q) -> (Option<(K, Kept)>, bool)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.kept.get_mut(key) {
            None => (None, true),
            Some(kept) => {
                kept.is_removed = true;
                let is_needed = !kept.manager.may_be_removed();
                (if is_needed { None } else { self.kept.remove_entry(key) }, !is_needed)
            }
        }
    }

    /// Takes out whoever may go and was idle for too long, and, above the bound, as many as it
    /// takes to be an eighth below it, those first that have been idle the longest.
    pub(super) fn sweep(&mut self, now: Now, bound: usize, idle_after: Duration) -> Vec<(K, Kept)> {
        let idle_since = now.mono_millis().checked_sub(whole_millis(idle_after));
        let is_idle = |used_at: u64| idle_since.is_some_and(|since| used_at <= since);
        let surplus = match self.kept.len() > bound {
            true => self.kept.len() - (bound - bound / SWEPT_AT_ONCE),
            false => 0,
        };
        let may_go = self.kept.values_mut().filter_map(|kept| kept.may_go(now));
        let mut may_go: Vec<u64> = may_go.collect();
        let idle = may_go.iter().filter(|used_at| is_idle(**used_at)).count();
        let count = surplus.max(idle).min(may_go.len());

        let evicted = match count.checked_sub(1) {
            None => Vec::new(),
            Some(last) => {
                let (_, &mut oldest_first, _) = may_go.select_nth_unstable(last);
                let goes = |kept: &mut Kept| kept.may_go(now).is_some_and(|at| at <= oldest_first);
                self.kept.extract_if(|_, kept| goes(kept)).take(count).collect()
            }
        };
        self.sweep_above = self.kept.len() + self.kept.len() / SWEPT_AT_ONCE;
        self.sweep_at =
            now.mono_millis().saturating_add(whole_millis(idle_after / SWEEPS_PER_IDLE_TIME));
        evicted
    }
}

impl Kept {
    pub(super) fn new(manager: TokenManager, non_interactive: bool, now: Now) -> Self {
        Self {
            manager,
            non_interactive,
            is_removed: false,
            used_at: AtomicU64::new(now.mono_millis()),
        }
    }

    /// Written only if it says something new, so that callers of one key share the cache line.
    fn touch(&self, now: Now) {
        let now = now.mono_millis();
        if self.used_at.load(Ordering::Relaxed) < now {
            self.used_at.store(now, Ordering::Relaxed);
        }
    }

    /// If nothing is lost by dropping it: since when nobody asked for it.
    fn may_go(&mut self, now: Now) -> Option<u64> {
        let may_go = match self.is_removed {
            true => self.manager.may_be_removed(),
            false => self.manager.may_be_evicted(now, self.non_interactive),
        };
        may_go.then(|| *self.used_at.get_mut())
    }
}

const SWEPT_AT_ONCE: usize = 8; // the part of all managers that a sweep is worth
const SWEEPS_PER_IDLE_TIME: u32 = 4;
