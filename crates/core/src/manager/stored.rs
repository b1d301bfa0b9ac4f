//! Reading and writing the one record of a manager, each call with its deadline.

use std::sync::Arc;

use super::core::Core;
use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::record::{Order, TokenRecord};
use crate::record_format::{Contents, Unreadable};
use crate::secret::Secret;
use crate::shared_storage::{CasOutcome, Lease, LeaseRequest, Version};

/// What the storage holds under our key.
#[derive(Debug)]
pub(super) struct Stored {
    /// Absent where nothing is stored, and in a storage that is not shared.
    pub(super) version: Option<Version>,
    pub(super) record: Option<TokenRecord>,
}

/// What is known of the record that a write replaces.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// It was read: this version, or nothing.
    Version(Option<Version>),
    /// It could not be read; the write looks first.
    Unknown,
}

/// A record on its way into the storage.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) record: TokenRecord,
    pub(super) expected: Expected,
    /// The refresh token that was spent to get these tokens: whoever still stores it is behind.
    pub(super) spent: Option<Secret>,
    /// A login or logout: it beats what is there, whatever its order.
    pub(super) overrules: bool,
}

/// What became of a write that the storage did not fail.
#[derive(Debug)]
pub(super) enum Written {
    /// It is there, under this order.
    Stored(Order),
    /// Somebody else stored something newer, and it stays.
    Overruled(TokenRecord),
}

impl Core {
    pub(super) async fn read(&self) -> Result<Stored, Error> {
        let limit = self.policy.storage_timeout;
        let (call, result) = match self.storage.shared() {
            Some(shared) => {
                let work = shared.load(&self.key);
                ("load", self.call("load", limit, || self.late("load"), work).await)
            }
            None => {
                let work = async { Ok(self.storage.get(&self.key).await?.map(|r| (None, r))) };
                let result = self.call("get", limit, || self.late("get"), work).await;
                return self.read_result("get", result);
            }
        };
        self.read_result(call, result.map(|found| found.map(|(version, r)| (Some(version), r))))
    }

    fn read_result(
        &self,
        call: &'static str,
        result: Result<Option<(Option<Version>, TokenRecord)>, Error>,
    ) -> Result<Stored, Error> {
        let found = result.map_err(|error| self.storage_failed(call, error))?;
        self.state.lock().has_read = true;
        Ok(match found {
            Some((version, record)) => Stored { version, record: Some(record) },
            None => Stored { version: None, record: None },
        })
    }

    pub(super) async fn lease(&self) -> Result<Option<Lease>, Error> {
        let Some(shared) = self.storage.shared() else { return Ok(None) };
        let ttl = self.policy.lease_ttl;
        // Whoever holds it may be killed and hold it to its end; a little more is the way back.
        let want = LeaseRequest::new(ttl, ttl, Arc::clone(&self.clock));
        let limit = ttl.saturating_add(self.policy.storage_timeout);
        let work = shared.lease(&self.key, &want);
        let lease = self.call("lease", limit, || self.late("lease"), work).await;
        lease.map(Some).map_err(|error| self.storage_failed("lease", error))
    }

    pub(super) async fn renew_lease(&self, lease: &mut Lease) -> Result<(), Error> {
        let limit = self.policy.storage_timeout;
        let renewed = self.call("renew", limit, || self.late("renew"), lease.renew()).await;
        renewed.map_err(|error| self.storage_failed("renew", error))
    }

    pub(super) async fn release(&self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        let limit = self.policy.storage_timeout;
        let released = self.call("release", limit, || self.late("release"), lease.release()).await;
        if let Err(error) = released {
            // It ends by itself.
            let _ = self.storage_failed("release", error);
        }
    }

    /// Releases the lease that was kept, if nothing waits to be written any more.
    pub(super) async fn release_kept_lease(&self) {
        if self.state.lock().unpersisted.is_none() {
            let lease = self.kept_lease.lock().take();
            self.release(lease).await;
        }
    }

    /// Writes unless something newer is there. To be called with `writing` locked.
    pub(super) async fn put(&self, write: &Write) -> Result<Written, Error> {
        let mut record = write.record.clone();
        let mut expected = match &write.expected {
            Expected::Version(version) => version.clone(),
            Expected::Unknown => {
                let stored = self.read().await?;
                match self.weigh(&record, stored.record, write)? {
                    Weighed::Yield(there) => return Ok(Written::Overruled(there)),
                    Weighed::WriteAs(order) => record = record.with_order(order),
                }
                stored.version
            }
        };
        for _ in 0..MOST_CONFLICTS {
            let there = match self.put_once(expected.as_ref(), &record).await? {
                CasOutcome::Stored(_) => return Ok(Written::Stored(record.order())),
                CasOutcome::Conflict(there) => there,
            };
            let (version, there) = there.unzip();
            match self.weigh(&record, there, write)? {
                Weighed::Yield(there) => return Ok(Written::Overruled(there)),
                Weighed::WriteAs(order) => record = record.with_order(order),
            }
            expected = version;
        }
        let what = "other processes kept changing the record";
        Err(self.storage_failed("compare_and_set", self.error(ErrorKind::Storage, what)))
    }

    async fn put_once(
        &self,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let limit = self.policy.storage_timeout;
        let (call, result) = match self.storage.shared() {
            Some(shared) => {
                let work = shared.compare_and_set(&self.key, expected, record);
                let late = || self.late("compare_and_set");
                ("compare_and_set", self.call("compare_and_set", limit, late, work).await)
            }
            None => {
                let work = async {
                    self.storage.set(&self.key, record).await?;
                    Ok(CasOutcome::Stored(Version::new([])))
                };
                ("set", self.call("set", limit, || self.late("set"), work).await)
            }
        };
        result.map_err(|error| self.storage_failed(call, error))
    }

    /// Which of two records stays: the one on its way, or the one that is there.
    fn weigh(
        &self,
        record: &TokenRecord,
        there: Option<TokenRecord>,
        write: &Write,
    ) -> Result<Weighed, Error> {
        let Some(there) = there else { return Ok(Weighed::WriteAs(record.order())) };
        let contents = Contents::of_record(&there);
        if matches!(contents, Err(Unreadable::Newer)) {
            return Err(self.unreadable(true));
        }
        let ours = record.order();
        if there.order() < ours {
            return Ok(Weighed::WriteAs(ours));
        }
        if write.overrules {
            let wall = self.clock.now().wall_millis();
            return Ok(Weighed::WriteAs(there.order().next_epoch(wall)));
        }
        let theirs = contents.ok().and_then(|contents| contents.tokens);
        let theirs = theirs.as_ref().and_then(|tokens| tokens.refresh_token());
        if write.spent.as_ref().zip(theirs).is_some_and(|(spent, theirs)| spent.ct_eq(theirs)) {
            return Ok(Weighed::WriteAs(there.order().next_generation()));
        }
        Ok(Weighed::Yield(there))
    }

    /// The error for a record that cannot be used and must stay.
    pub(super) fn unreadable(&self, newer: bool) -> Error {
        self.emit(EventKind::RecordUnreadable { newer });
        let why = if newer { "was written by a newer version" } else { "cannot be read" };
        let what = format!("the stored record {} {why}, so it is left as it is", self.key);
        self.error(ErrorKind::RecordUnreadable, what)
    }

    fn late(&self, call: &str) -> Error {
        let what = format!("the storage did not answer to {call} in time");
        self.error(ErrorKind::Storage, what)
    }

    fn storage_failed(&self, call: &'static str, error: Error) -> Error {
        self.emit(EventKind::StorageFailed { call, error: error.clone() });
        error
    }
}

#[derive(Debug)]
enum Weighed {
    WriteAs(Order),
    Yield(TokenRecord),
}

const MOST_CONFLICTS: usize = 8; // each one means that somebody else made progress
