//! Getting tokens into the storage before anybody sees them, and afterwards if need be.

use std::sync::Arc;

use crate::error::Error;
use crate::observer::EventKind;
use crate::record::{Order, TokenRecord};
use crate::refresh::flight::Flight;
use crate::shared::Core;
use crate::state::Unpersisted;
use crate::state::backoff::doubled;
use crate::store::payload::Contents;
use crate::store::{Expected, Rank, Write, Written};
use std::time::Duration;

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
                let is_older = write.rank == Rank::ByOrder && state.order >= write.record.order();
                is_older || !state.is_current(flight)
            };
            if is_beaten {
                return Persisted::Overtaken;
            }
            self.put(&mut write).await
        };
        match result {
            Ok(Written::Stored(order)) => {
                self.note_persisted(order);
                self.release_kept_lease(Some(flight)).await;
                Persisted::Stored(order)
            }
            Ok(Written::Overruled(there)) => {
                self.release_kept_lease(Some(flight)).await;
                Persisted::Overruled(there)
            }
            Err(failed) => {
                let (order, error) = (write.record.order(), failed.error.clone());
                self.persist_later(write, error.clone());
                self.tell(failed);
                Persisted::Later(order, error)
            }
        }
    }

    pub(crate) fn note_persisted(&self, order: Order) {
        self.change(|state| {
            if state.unpersisted.as_ref().is_some_and(|u| u.record.order() <= order) {
                state.unpersisted = None;
            }
        });
    }

    /// Keeps a record that the storage refused, and sees to it that it is written later.
    pub(crate) fn persist_later(self: &Arc<Self>, write: Write, error: Error) {
        let starts = self.change(|state| {
            let is_newest =
                state.unpersisted.as_ref().is_none_or(|u| u.record.order() <= write.record.order());
            if is_newest {
                let rank = write.rank_for_retry();
                let Write { record, spent, .. } = write;
                state.unpersisted = Some(Unpersisted { record, spent, rank, error });
            }
            !std::mem::replace(&mut state.retries_writes, true)
        });
        if !starts {
            return;
        }
        let core = Arc::clone(self);
        let started = self.driver.handle().map(|handle| handle.spawn(core.retry_writes()));
        if started.is_err() {
            self.change(|state| state.retries_writes = false);
        }
    }

    /// Holds the manager alive until what it knows is in the storage.
    async fn retry_writes(self: Arc<Self>) {
        let mut streak = 1;
        loop {
            self.clock.sleep(doubled(FIRST_RETRY, LONGEST_RETRY, streak)).await;
            let result = self.write_unpersisted().await;
            self.release_kept_lease(None).await;
            match result {
                Ok(()) => streak = 1,
                Err(_) => streak += 1,
            }
            let over = self.change(|state| {
                state.retries_writes = state.unpersisted.is_some();
                !state.retries_writes
            });
            if over {
                return;
            }
        }
    }

    /// Writes now what the storage refused before, if there is anything.
    pub(crate) async fn write_unpersisted(&self) -> Result<(), Error> {
        let writing = self.writing.lock().await;
        let write = self.state.lock().unpersisted.as_ref().map(|unpersisted| Write {
            record: unpersisted.record.clone(),
            expected: Expected::Unknown,
            spent: unpersisted.spent.clone(),
            rank: unpersisted.rank,
        });
        let Some(mut write) = write else { return Ok(()) };
        let tried = write.record.order();
        let result = self.put(&mut write).await;
        match result {
            Ok(Written::Stored(order)) => {
                self.change(|state| {
                    if state.unpersisted.as_ref().is_some_and(|u| u.record.order() <= tried) {
                        state.unpersisted = None;
                    }
                    if state.order == tried {
                        state.order = order;
                    }
                });
                drop(writing);
                self.emit(EventKind::WriteRecovered);
                Ok(())
            }
            Ok(Written::Overruled(there)) => {
                let contents = Contents::of_record(&there);
                let now = self.clock.now();
                self.change(|state| {
                    let is_tried = |u: &Unpersisted| u.record.order() == tried;
                    if state.unpersisted.as_ref().is_some_and(is_tried) {
                        state.unpersisted = None;
                    }
                    // Who yields was raised for nothing; theirs counts, whatever its order.
                    let yields = write.rank == Rank::Yields && state.order == tried;
                    let counts = yields || there.order() >= state.order;
                    if let Ok(contents) = contents
                        && counts
                        && !state.changes_session()
                    {
                        state.learn(there.order(), contents, now, &self.policy);
                    }
                });
                Ok(())
            }
            Err(failed) => {
                let error = failed.error.clone();
                self.change(|state| {
                    let same = |u: &&mut Unpersisted| u.record.order() == tried;
                    if let Some(unpersisted) = state.unpersisted.as_mut().filter(same) {
                        unpersisted.rank = write.rank_for_retry();
                        unpersisted.error = error.clone();
                        unpersisted.record = write.record.clone();
                        if state.order == tried {
                            state.order = write.record.order();
                        }
                    }
                });
                drop(writing);
                self.tell(failed);
                Err(error)
            }
        }
    }

    /// Learns from a record that beat ours. While a login or logout is on its way to the storage,
    /// what is there is what it is about to replace.
    pub(crate) fn take_over(&self, there: &TokenRecord) {
        let Ok(contents) = Contents::of_record(there) else { return };
        let now = self.clock.now();
        self.change(|state| {
            if there.order() >= state.order && !state.changes_session() {
                state.learn(there.order(), contents, now, &self.policy);
            }
        });
    }
}

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
