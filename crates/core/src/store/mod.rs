//! Reading and writing the one record of a manager, each call with its deadline.

pub(crate) mod lease;
pub(crate) mod payload;

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::record::{Order, TokenRecord};
use crate::refresh::flight::Flight;
use crate::secret::Secret;
use crate::shared::{Core, Failed, catching};
use crate::shared_storage::{CasOutcome, Lease, LeaseRequest, Version};
use crate::store::payload::{Contents, Unreadable};

/// What the storage holds under our key.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Absent where nothing is stored, and in a storage that is not shared.
    pub(crate) version: Option<Version>,
    pub(crate) record: Option<TokenRecord>,
}

/// What is known of the record that a write replaces.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It was read: this version, or nothing.
    Version(Option<Version>),
    /// It could not be read; the write looks first.
    Unknown,
}

/// A record on its way into the storage.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) record: TokenRecord,
    pub(crate) expected: Expected,
    /// The refresh token that was spent to get these tokens: whoever still stores it is behind.
    pub(crate) spent: Option<Secret>,
    pub(crate) rank: Rank,
}

/// Which records a write gives way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// To newer ones.
    ByOrder,
    /// To none: a login or logout beats what is there, whatever its order.
    Overrules,
    /// To any tokens that may still serve: it is only wanted where there are none.
    Yields,
}

impl Write {
    /// Of tokens that an exchange brought.
    pub(crate) fn of_exchange(
        record: TokenRecord,
        expected: Expected,
        spent: Option<Secret>,
    ) -> Self {
        Self { record, expected, spent, rank: Rank::ByOrder }
    }

    /// Of a login or logout.
    pub(crate) fn overruling(record: TokenRecord) -> Self {
        let expected = Expected::Unknown;
        Self { record, expected, spent: None, rank: Rank::Overrules }
    }

    /// Of tokens that are only wanted where there are none.
    pub(crate) fn yielding(record: TokenRecord, expected: Expected) -> Self {
        Self { record, expected, spent: None, rank: Rank::Yields }
    }

    /// What comes between the first attempt and the next is later than a login or logout, which
    /// therefore overrules no more.
    pub(crate) fn rank_for_retry(&self) -> Rank {
        match self.rank {
            Rank::Overrules => Rank::ByOrder,
            rank => rank,
        }
    }
}

/// What became of a write that the storage did not fail.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is there, under this order.
    Stored(Order),
    /// Somebody else stored something newer, and it stays.
    Overruled(TokenRecord),
}

impl Core {
    pub(crate) async fn read(&self) -> Result<Stored, Error> {
        self.read_quietly().await.map_err(|failed| self.tell(failed))
    }

    pub(crate) async fn read_quietly(&self) -> Result<Stored, Failed> {
        let limit = self.policy.storage_timeout;
        let (call, result) = match self.storage.shared() {
            Some(shared) => {
                let work = shared.load(&self.key);
                ("load", self.call_quietly("load", limit, || self.late("load"), work).await)
            }
            None => {
                let work = async { Ok(self.storage.get(&self.key).await?.map(|r| (None, r))) };
                let result = self.call_quietly("get", limit, || self.late("get"), work).await;
                return self.read_result("get", result);
            }
        };
        self.read_result(call, result.map(|found| found.map(|(version, r)| (Some(version), r))))
    }

    fn read_result(
        &self,
        call: &'static str,
        result: Result<Option<(Option<Version>, TokenRecord)>, Failed>,
    ) -> Result<Stored, Failed> {
        let found = result.map_err(|failed| storage_failed(call, failed))?;
        self.state.lock().has_read = true;
        Ok(match found {
            Some((version, record)) => Stored { version, record: Some(record) },
            None => Stored { version: None, record: None },
        })
    }

    pub(crate) async fn lease(&self) -> Result<Option<Lease>, Error> {
        let Some(shared) = self.storage.shared() else { return Ok(None) };
        let ttl = self.policy.lease_ttl;
        // Whoever holds it may be killed and hold it to its end, and then one of all who wait gets
        // it, and makes the exchange that is for the others too. A little more is the way back.
        let patience = ttl.saturating_add(self.policy.lease_reserve());
        let want = LeaseRequest::new(ttl, patience, Arc::clone(&self.clock));
        let limit = patience.saturating_add(self.policy.storage_timeout);
        let work = shared.lease(&self.key, &want);
        let lease = self.call_quietly("lease", limit, || self.late("lease"), work).await;
        lease.map(Some).map_err(|failed| self.tell(storage_failed("lease", failed)))
    }

    pub(crate) async fn renew_lease(&self, lease: &mut Lease) -> Result<(), Error> {
        let limit = self.policy.storage_timeout;
        let late = || self.late("renew");
        let renewed = self.call_quietly("renew", limit, late, lease.renew()).await;
        renewed.map_err(|failed| self.tell(storage_failed("renew", failed)))
    }

    pub(crate) async fn release(&self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        let limit = self.policy.storage_timeout;
        let late = || self.late("release");
        let released = self.call_quietly("release", limit, late, lease.release()).await;
        if let Err(failed) = released {
            // It ends by itself.
            let _ = self.tell(storage_failed("release", failed));
        }
    }

    /// Releases the lease that was kept, if nothing waits to be written any more; a login or logout
    /// under way does, unless it is the one that was just `written`.
    pub(crate) async fn release_kept_lease(&self, written: Option<&Arc<Flight>>) {
        // Taken first: what a lease is needed for is known before it is kept.
        let Some(lease) = self.kept_lease.take() else { return };
        let is_needed = self.state.lock().owes_write(written);
        match is_needed {
            true => drop(self.kept_lease.keep(lease)),
            false => self.release(Some(lease)).await,
        }
    }

    /// Writes unless something newer is there. To be called with `writing` locked; what observers
    /// are to be told comes back, because they are told outside every lock.
    ///
    /// A panic costs this write, wherever it comes from; the tokens must not go with it.
    /// The order of the record rises on the way where it has to, and stays risen when the write
    /// fails: then it is tried again as what it was meant to be.
    pub(crate) async fn put(&self, write: &mut Write) -> Result<Written, Failed> {
        catching(self.try_put(write)).await.unwrap_or_else(|_| Err(self.panicked("a storage")))
    }

    async fn try_put(&self, write: &mut Write) -> Result<Written, Failed> {
        let mut expected = match &write.expected {
            Expected::Version(version) => version.clone(),
            Expected::Unknown => {
                let stored = self.read_quietly().await?;
                if let Some(written) = self.weigh(write, stored.record)? {
                    return Ok(written);
                }
                stored.version
            }
        };
        for _ in 0..MOST_CONFLICTS {
            let there = match self.put_once(expected.as_ref(), &write.record).await? {
                CasOutcome::Stored(_) => return Ok(Written::Stored(write.record.order())),
                CasOutcome::Conflict(there) => there,
            };
            let (version, there) = there.unzip();
            if let Some(written) = self.weigh(write, there)? {
                return Ok(written);
            }
            expected = version;
        }
        let what = "other processes kept changing the record";
        let error = self.error(ErrorKind::Storage, what);
        Err(storage_failed("compare_and_set", error.into()))
    }

    async fn put_once(
        &self,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Failed> {
        let limit = self.policy.storage_timeout;
        let (call, result) = match self.storage.shared() {
            Some(shared) => {
                let work = shared.compare_and_set(&self.key, expected, record);
                let late = || self.late("compare_and_set");
                ("compare_and_set", self.call_quietly("compare_and_set", limit, late, work).await)
            }
            None => {
                let work = async {
                    self.storage.set(&self.key, record).await?;
                    Ok(CasOutcome::Stored(Version::new([])))
                };
                ("set", self.call_quietly("set", limit, || self.late("set"), work).await)
            }
        };
        result.map_err(|failed| storage_failed(call, failed))
    }

    /// Which of two records stays: the one on its way, whose order rises if need be (`None`), or
    /// the one that is there.
    fn weigh(
        &self,
        write: &mut Write,
        there: Option<TokenRecord>,
    ) -> Result<Option<Written>, Failed> {
        let Some(there) = there else { return Ok(None) };
        let (ours, theirs) = (write.record.order(), there.order());
        let contents = match Contents::of_record(&there) {
            Ok(contents) => contents,
            Err(why) if why.must_stay() => return Err(self.unreadable_quietly(why)),
            Err(nonsense) => {
                if write.rank != Rank::Overrules && !self.provider.non_interactive() {
                    return Err(self.unreadable_quietly(nonsense)); // it may be mended by hand
                }
                // Nobody's tokens, whatever its order says.
                write.record = write.record.with_order(ours.max(theirs.next_generation()));
                return Ok(None);
            }
        };
        let now = self.clock.now().wall();
        let has_tokens = contents.tokens.as_ref().is_some_and(|tokens| tokens.may_serve(now));
        if write.rank == Rank::Yields && has_tokens {
            return Ok(Some(Written::Overruled(there)));
        }
        if theirs < ours {
            return Ok(None);
        }
        if theirs == ours && there.payload() == write.record.payload() {
            return Ok(Some(Written::Stored(ours))); // only the answer was lost
        }
        if write.rank == Rank::Overrules {
            let wall = self.clock.now().wall_millis();
            write.record = write.record.with_order(theirs.next_epoch(wall));
            return Ok(None);
        }
        let stored = contents.tokens.as_ref().and_then(|tokens| tokens.refresh_token());
        if write.spent.as_ref().zip(stored).is_some_and(|(spent, stored)| spent.ct_eq(stored)) {
            write.record = write.record.with_order(theirs.next_generation());
            return Ok(None);
        }
        Ok(Some(Written::Overruled(there)))
    }

    /// The error for a record that cannot be used and must stay.
    pub(crate) fn unreadable(&self, why: Unreadable) -> Error {
        self.tell(self.unreadable_quietly(why))
    }

    fn unreadable_quietly(&self, why: Unreadable) -> Failed {
        let (text, advice) = match why {
            Unreadable::Nonsense => ("cannot be read", None),
            Unreadable::Newer => ("was written by a newer version", None),
            Unreadable::Sealed => {
                let advice = "wrap the storage as the process does that wrote the record";
                ("is encrypted, and this process does not decrypt", Some(advice))
            }
        };
        let what = format!("the stored record {} {text}, so it is left as it is", self.key);
        let error = self.error(ErrorKind::RecordUnreadable, what);
        let error = advice.map_or(error.clone(), |advice| error.with_advice(advice));
        let newer = why == Unreadable::Newer;
        Failed { error, events: vec![EventKind::RecordUnreadable { newer }] }
    }

    fn late(&self, call: &str) -> Error {
        let what = format!("the storage did not answer to {call} in time");
        self.error(ErrorKind::Storage, what)
    }
}

pub(crate) fn storage_failed(call: &'static str, mut failed: Failed) -> Failed {
    let error = failed.error.clone();
    failed.events.push(EventKind::StorageFailed { call, error });
    failed
}

const MOST_CONFLICTS: usize = 8; // each one means that somebody else made progress
