//! Reading and writing the one record of a manager, each call with its deadline.

pub(crate) mod conflict;
pub(crate) mod lease;
pub(crate) mod payload;

use std::sync::Arc;

use self::conflict::{Claim, Holding, Winner, winner};
use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::panics::{catching, caught};
use crate::policy::MOST_CONFLICTS;
use crate::record::{Order, TokenRecord};
use crate::refresh::flight::Flight;
use crate::secret::Secret;
use crate::shared::{Core, Failed};
use crate::shared_storage::{CasOutcome, Lease, LeaseRequest, Version};
use crate::store::payload::{Contents, Unreadable};

/// What the storage holds under our key.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Absent where nothing is stored, and in a storage that is not shared.
    pub(crate) version: Option<Version>,
    pub(crate) record: Option<TokenRecord>,
}

/// What is known of the record that a write replaces.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It was read: this version, or nothing.
    Version(Option<Version>),
    /// It could not be read; the write reads first.
    Unknown,
}

/// A record on its way into the storage.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) record: TokenRecord,
    pub(crate) expected: Expected,
    /// The refresh token that was spent to get these tokens: a record that still holds it is behind.
    pub(crate) spent: Option<Secret>,
    pub(crate) kind: WriteKind,
    /// See [`conflict::Claim`].
    pub(crate) is_provisional: bool,
    /// An attempt failed. What came between that and the next is later than a login or logout,
    /// which then gives way to it as every other write does.
    pub(crate) is_repeated: bool,
}

/// Which of the two kinds of writes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// Gives way to a record that beats it.
    TokenRequest,
    /// Raises its epoch above whatever is there.
    LoginOrLogout,
}

impl Write {
    /// Of tokens that a token request brought.
    pub(crate) fn of_token_request(
        record: TokenRecord,
        expected: Expected,
        spent: Option<Secret>,
    ) -> Self {
        let kind = WriteKind::TokenRequest;
        Self { record, expected, spent, kind, is_provisional: false, is_repeated: false }
    }

    /// Of a login or logout.
    pub(crate) fn of_session(record: TokenRecord) -> Self {
        let write = Self::of_token_request(record, Expected::Unknown, None);
        Self { kind: WriteKind::LoginOrLogout, ..write }
    }

    fn raises_epoch(&self) -> bool {
        self.kind == WriteKind::LoginOrLogout && !self.is_repeated
    }

    fn claim(&self, now: Now) -> Claim {
        let contents = Contents::of_record(&self.record).map(|c| c.claim(&self.record, now));
        let nothing = |_| {
            let order = self.record.order();
            Claim { order, holding: Holding::Nothing, is_provisional: false }
        };
        Claim { is_provisional: self.is_provisional, ..contents.unwrap_or_else(nothing) }
    }
}

/// What became of a write that the storage did not fail.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is there, under this order.
    Stored(Order),
    /// A newer record was stored, and it stays.
    Overruled(TokenRecord),
}

impl Core {
    pub(crate) async fn read(&self) -> Result<Snapshot, Error> {
        self.read_quietly().await.map_err(|failed| self.tell(failed))
    }

    pub(crate) async fn read_quietly(&self) -> Result<Snapshot, Failed> {
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
    ) -> Result<Snapshot, Failed> {
        let found = result.map_err(|failed| storage_failed(call, failed))?;
        self.state.lock().storage_was_read();
        Ok(match found {
            Some((version, record)) => Snapshot { version, record: Some(record) },
            None => Snapshot { version: None, record: None },
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
            true => self.keep_lease(lease),
            false => self.release(Some(lease)).await,
        }
    }

    /// Keeps a lease for a write that is owed, or lets go of it where one is kept that lasts longer.
    pub(crate) fn keep_lease(&self, lease: Lease) {
        let other = self.kept_lease.keep(lease);
        let _ = caught(|| drop(other));
    }

    /// Makes the lease last for which a write is owed: without it another process would spend the
    /// refresh token that is stored, and was spent.
    pub(crate) async fn renew_kept_lease(&self) {
        let Some(mut lease) = self.kept_lease.take() else { return };
        let _ = self.renew_lease(&mut lease).await; // what is left of it is kept in any case
        self.keep_lease(lease);
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

    pub(crate) async fn put_once(
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
                if !write.raises_epoch() && !self.abilities().non_interactive {
                    return Err(self.unreadable_quietly(nonsense)); // it may be mended by hand
                }
                // It holds no tokens, whatever its order says.
                write.record = write.record.with_order(ours.max(theirs.next_generation()));
                return Ok(None);
            }
        };
        let is_ours = theirs == ours && there.payload() == write.record.payload();
        if is_ours && !there.is_tombstone() {
            return Ok(Some(Written::Stored(ours))); // only the answer was lost
        }
        let now = self.clock.now();
        if write.raises_epoch() {
            if theirs >= ours {
                write.record = write.record.with_order(theirs.next_epoch(now.wall_millis()));
            }
            return Ok(None);
        }
        let stored = contents.tokens.as_ref().and_then(|tokens| tokens.refresh_token());
        let is_behind =
            write.spent.as_ref().zip(stored).is_some_and(|(spent, stored)| spent.ct_eq(stored));
        if !is_behind && winner(write.claim(now), contents.claim(&there, now)) != Winner::Ours {
            return Ok(Some(Written::Overruled(there)));
        }
        if theirs >= ours {
            write.record = write.record.with_order(theirs.next_generation());
        }
        Ok(None)
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
