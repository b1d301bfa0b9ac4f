//! Getting tokens into the storage before any caller sees them, and afterwards if need be.

use std::sync::Arc;

use crate::error::Error;
use crate::observer::EventKind;
use crate::policy::{FIRST_WRITE_RETRY, LONGEST_WRITE_RETRY, RENEWALS_PER_LEASE, SHORTEST_PAUSE};
use crate::record::{Order, TokenRecord};
use crate::refresh::flight::Flight;
use crate::shared::Core;
use crate::state::Adoption;
use crate::state::backoff::doubled;
use crate::store::payload::Contents;
use crate::store::{Expected, Write, WriteKind, Written};

/// What became of a write that a flight made.
#[derive(Debug)]
pub(crate) enum Persisted {
    Stored(Order),
    /// The storage failed. The record is served from memory, and written again later.
    Later(Order, Error),
    Overruled(TokenRecord),
    /// `clear` or `install` came first; nothing was written.
    Overtaken,
}

impl Core {
    /// Writes what a flight brought. A failure is noted, and the write is tried again later.
    pub(crate) async fn persist(self: &Arc<Self>, flight: &Arc<Flight>, write: Write) -> Persisted {
        let mut write = write;
        let result = {
            let _writing = self.writing.lock().await;
            let is_beaten = {
                let state = self.state.lock();
                let is_older = write.kind == WriteKind::TokenRequest
                    && !write.record.order().beats(state.order());
                is_older || !state.is_current(flight)
            };
            if is_beaten {
                return Persisted::Overtaken;
            }
            self.put(&mut write).await
        };
        match result {
            Ok(Written::Stored(order)) => {
                self.change(|state| state.stored(order));
                self.release_kept_lease(Some(flight)).await;
                Persisted::Stored(order)
            }
            Ok(Written::Overruled(there)) => {
                self.release_kept_lease(Some(flight)).await;
                Persisted::Overruled(there)
            }
            Err(failed) => {
                let (order, error) = (write.record.order(), failed.error.clone());
                self.write_later(write, error.clone());
                self.tell(failed);
                Persisted::Later(order, error)
            }
        }
    }

    /// Keeps a record that the storage refused, and sees to it that it is written later.
    fn write_later(self: &Arc<Self>, write: Write, error: Error) {
        let starts = self.change(|state| {
            state.owe(write, error);
            state.starts_retrying()
        });
        if !starts {
            return;
        }
        let core = Arc::clone(self);
        let started = self.driver.handle().map(|handle| handle.spawn(core.retry_writes()));
        if started.is_err() {
            self.change(|state| state.cannot_retry());
        }
    }

    /// Holds the manager alive until what it knows is in the storage.
    async fn retry_writes(self: Arc<Self>) {
        let mut streak = 1;
        loop {
            self.pause_before_retry(streak).await;
            let result = self.write_owed().await;
            self.release_kept_lease(None).await;
            match result {
                Ok(()) => streak = 1,
                Err(_) => streak += 1,
            }
            if !self.change(|state| state.goes_on_retrying()) {
                return;
            }
        }
    }

    /// Waits for the next attempt, and keeps the lease alive meanwhile.
    async fn pause_before_retry(&self, streak: u32) {
        let mut left = doubled(FIRST_WRITE_RETRY, LONGEST_WRITE_RETRY, streak);
        let longest = (self.policy.lease_ttl / RENEWALS_PER_LEASE).max(SHORTEST_PAUSE);
        while left > longest {
            self.clock.sleep(longest).await;
            left -= longest;
            self.renew_kept_lease().await;
        }
        self.clock.sleep(left).await;
        self.renew_kept_lease().await;
    }

    /// Writes now what the storage refused before, if there is anything.
    pub(crate) async fn write_owed(&self) -> Result<(), Error> {
        let writing = self.writing.lock().await;
        let write = self.state.lock().owed().map(|owed| owed.write.clone());
        let Some(write) = write else { return Ok(()) };
        let mut write = Write { expected: Expected::Unknown, ..write };
        let tried = write.record.order();
        match self.put(&mut write).await {
            Ok(Written::Stored(_)) => {
                self.change(|state| state.repeated(tried, write, None));
                drop(writing);
                self.emit(EventKind::WriteRecovered);
                Ok(())
            }
            Ok(Written::Overruled(there)) => {
                self.change(|state| state.owes_no_more(tried));
                self.give_way(&there);
                Ok(())
            }
            Err(failed) => {
                let error = failed.error.clone();
                self.change(|state| state.repeated(tried, write, Some(error.clone())));
                drop(writing);
                self.tell(failed);
                Err(error)
            }
        }
    }

    /// Learns from the record that a write of ours lost to: at a tie it counts, because it is there.
    pub(crate) fn give_way(&self, there: &TokenRecord) {
        let Ok(contents) = Contents::of_record(there) else { return };
        let now = self.clock.now();
        self.change(|state| match state.changes_session() {
            true => Adoption::Kept,
            false => state.give_way(there, contents, now, &self.policy),
        });
    }

    /// Learns from a record that was read, if it beats what is known. While a login or logout is
    /// on its way to the storage, what is there is what it is about to replace.
    pub(crate) fn take_over(&self, there: &TokenRecord) {
        let Ok(contents) = Contents::of_record(there) else { return };
        let now = self.clock.now();
        if !self.state.lock().would_adopt(there, &contents, now) {
            return;
        }
        self.change(|state| match state.changes_session() {
            true => Adoption::Kept,
            false => state.adopt(there, contents, now, &self.policy),
        });
    }
}
