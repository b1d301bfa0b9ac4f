//! A storage in memory with one defect at a time: what the contract suites have to find.
//!
//! Where a defect needs two calls to meet, the first waits for the second, so that they meet on a
//! machine of any speed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokenkeeper::{
    CasOutcome, Clock, Error, ErrorKind, Lease, LeaseHandle, LeaseRequest, Now, Order,
    SharedTokenStorage, StorageKey, SystemClock, TokenRecord, TokenStorage, Version, async_trait,
};
use tokio::sync::{oneshot, watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    // Records.
    InventsRecords,
    RoundsOrders,
    RefusesOlderRecords,
    ForgetsDeletes,
    ComplainsOfMissing,
    ExistsSkipsTombstones,
    FoldsCase,
    CutsKeys,
    MergesPunctuation,
    LosesTombstoneMark,
    OverflowsFarEnds,
    FailsOnPastEnds,
    KeepsOldEnd,
    CutsLargeRecords,
    TextOnly,
    TornWrites,
    TornWhenDropped,
    // Versions.
    NotShared,
    LoadsInvented,
    LoadsAnotherVersion,
    AddsOverRecords,
    ReusesVersion,
    IgnoresExpected,
    StoresOverNothing,
    DeleteResetsVersions,
    SetKeepsVersion,
    RacyCompareAndSet,
    TornLoad,
    CasLosesTombstoneMark,
    CasKeepsOldEnd,
    // Leases.
    GrantsLate,
    GrantsToAll,
    ReleaseDoesNothing,
    WaitsForTheEnd,
    WaitsTooLong,
    NeverWaits,
    NeverEnds,
    RenewsAnything,
    ReleasesAnything,
    RenewsOnlyHere,
    DropExtends,
    OneLeaseForAll,
    DeleteEndsLease,
    LeaseBlocksRecords,
    RacyLease,
    QueuesTheGone,
}

#[derive(Clone, Debug)]
pub(crate) struct Broken {
    defect: Defect,
    shelf: Arc<Mutex<Shelf>>,
    writing: Arc<tokio::sync::Mutex<()>>,
    reads: Meeting,
    writes: Meeting,
    racers: Meeting,
}

#[derive(Debug, Default)]
struct Shelf {
    records: HashMap<String, Entry>,
    leases: HashMap<String, (u64, Now)>,
    queues: HashMap<String, VecDeque<(u64, oneshot::Sender<u64>)>>,
    last: u64,
}

/// Counts calls of one kind, and lets others wait for the next.
#[derive(Clone, Debug, Default)]
struct Meeting {
    calls: watch::Sender<u64>,
}

impl Meeting {
    /// Counts one call, and says how many there were with it.
    fn arrive(&self) -> u64 {
        let mut arrived = 0;
        self.calls.send_modify(|calls| {
            *calls += 1;
            arrived = *calls;
        });
        arrived
    }

    /// How many calls there were so far.
    fn so_far(&self) -> u64 {
        *self.calls.borrow()
    }

    /// Waits until there were more calls than `calls`. Not for ever, because many a rule makes one
    /// call only, but longer than a machine is likely to stand still.
    async fn more_than(&self, calls: u64) {
        let mut seen = self.calls.subscribe();
        tokio::select! {
            _ = seen.wait_for(|seen| *seen > calls) => {}
            () = patience() => {}
        }
    }

    /// Lets two calls through together.
    async fn meet(&self) {
        let arrived = self.arrive();
        if arrived % 2 == 1 {
            self.more_than(arrived).await;
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    version: u64,
    record: TokenRecord,
    end: Option<SystemTime>,
}

impl Broken {
    pub(crate) fn new(defect: Defect) -> Self {
        Self {
            defect,
            shelf: Arc::default(),
            writing: Arc::default(),
            reads: Meeting::default(),
            writes: Meeting::default(),
            racers: Meeting::default(),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn name(&self, key: &StorageKey) -> String {
        let name = key.as_str();
        match self.defect {
            Defect::FoldsCase => name.to_ascii_lowercase(),
            Defect::CutsKeys => name.chars().take(64).collect(),
            Defect::MergesPunctuation => name.replace([':', '@'], "_"),
            _ => name.to_owned(),
        }
    }

    fn read(&self, key: &StorageKey) -> Option<Entry> {
        let entry = self.shelf.lock().records.get(&self.name(key)).cloned()?;
        entry.end.is_none_or(|end| end > wall()).then_some(entry)
    }

    fn write(&self, key: &StorageKey, record: &TokenRecord, by_cas: bool) -> u64 {
        let name = self.name(key);
        let there = self.read(key);
        self.writes.arrive();
        let mut shelf = self.shelf.lock();
        shelf.last += 1;
        let version = match &there {
            Some(there) if by_cas && self.has(Defect::ReusesVersion) => there.version,
            Some(there) if !by_cas && self.has(Defect::SetKeepsVersion) => there.version,
            there if self.has(Defect::DeleteResetsVersions) => {
                there.as_ref().map_or(1, |there| there.version + 1)
            }
            _ => shelf.last,
        };
        let keeps_old_end =
            self.has(Defect::KeepsOldEnd) && !by_cas || self.has(Defect::CasKeepsOldEnd) && by_cas;
        let mut end = record.keep_until();
        if keeps_old_end {
            end = end.or(there.and_then(|there| there.end));
        }
        let far = wall() + Duration::from_millis(u64::from(u32::MAX));
        if self.has(Defect::OverflowsFarEnds) && end.is_some_and(|end| end > far) {
            end = Some(SystemTime::UNIX_EPOCH);
        }
        let entry = Entry { version, record: self.spoil(record, by_cas), end };
        shelf.records.insert(name, entry);
        version
    }

    /// The record as this storage keeps it.
    fn spoil(&self, record: &TokenRecord, by_cas: bool) -> TokenRecord {
        let mut payload = record.payload().to_vec();
        let mut order = record.order();
        let mut tombstone = record.is_tombstone();
        match self.defect {
            Defect::RoundsOrders => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "the defect"
                )]
                let round = |number: u64| number as f64 as u64;
                order = Order::new(round(order.epoch()), round(order.generation()));
            }
            Defect::LosesTombstoneMark => tombstone = false,
            Defect::CasLosesTombstoneMark if by_cas => tombstone = false,
            Defect::CutsLargeRecords => payload.truncate(64 * 1024),
            Defect::TextOnly => payload = String::from_utf8_lossy(&payload).into_owned().into(),
            _ => {}
        }
        TokenRecord::from_parts(payload, order, record.keep_until(), tombstone)
    }

    /// The number of the lease, if it is to be had.
    fn take(&self, name: &str, ttl: Duration) -> Option<u64> {
        let now = SystemClock.now();
        let mut shelf = self.shelf.lock();
        let held = shelf.leases.get(name).is_some_and(|(_, ends)| !now.until(ends).is_zero());
        if held && !self.has(Defect::GrantsToAll) {
            return None;
        }
        shelf.last += 1;
        let ttl = if self.has(Defect::NeverEnds) { HOUR } else { ttl };
        let id = shelf.last;
        shelf.leases.insert(name.to_owned(), (id, now.after(ttl)));
        Some(id)
    }

    fn lease_name(&self, key: &StorageKey) -> String {
        if self.has(Defect::OneLeaseForAll) { "all".to_owned() } else { key.to_string() }
    }

    async fn wait_while_leased(&self, key: &StorageKey) {
        let name = self.lease_name(key);
        while self.has(Defect::LeaseBlocksRecords) && self.shelf.lock().leases.contains_key(&name) {
            nap(5).await;
        }
    }

    fn longest_wait(&self, want: &LeaseRequest) -> Duration {
        match self.defect {
            Defect::NeverWaits => Duration::ZERO,
            Defect::WaitsTooLong if !want.longest_wait().is_zero() => want.longest_wait() + HOUR,
            _ => want.longest_wait(),
        }
    }
}

#[async_trait]
impl TokenStorage for Broken {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        let _whole = match self.defect {
            Defect::TornWhenDropped => Some(self.writing.lock().await),
            _ => None,
        };
        let found = self.read(key).map(|entry| entry.record);
        self.reads.arrive();
        if self.has(Defect::InventsRecords) {
            return Ok(Some(found.unwrap_or_else(invented)));
        }
        Ok(found)
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let _whole = match self.defect {
            Defect::TornWhenDropped => Some(self.writing.lock().await),
            _ => None,
        };
        let there = self.read(key);
        if self.has(Defect::RefusesOlderRecords)
            && there.as_ref().is_some_and(|there| there.record.order() > record.order())
        {
            return Ok(());
        }
        if self.has(Defect::FailsOnPastEnds) && record.keep_until().is_some_and(|end| end <= wall())
        {
            return Err(failure("a negative time to live"));
        }
        if let (Defect::TornWrites | Defect::TornWhenDropped, Some(there)) = (self.defect, there)
            && record.payload().len() > PAGE
        {
            let half = there.record.with_payload(record.payload().to_vec());
            let reads = self.reads.so_far();
            self.write(key, &half, false);
            match self.defect {
                Defect::TornWrites => self.reads.more_than(reads).await,
                _ => tokio::task::yield_now().await,
            }
        }
        self.write(key, record, false);
        Ok(())
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        if self.has(Defect::ForgetsDeletes) {
            return Ok(());
        }
        if self.has(Defect::DeleteEndsLease) {
            self.shelf.lock().leases.remove(&self.lease_name(key));
        }
        let there = self.shelf.lock().records.remove(&self.name(key));
        if self.has(Defect::ComplainsOfMissing) && there.is_none() {
            return Err(failure("no such record"));
        }
        Ok(())
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        let found = self.get(key).await?;
        let skip = self.has(Defect::ExistsSkipsTombstones);
        Ok(found.is_some_and(|record| !(skip && record.is_tombstone())))
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        (!self.has(Defect::NotShared)).then_some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for Broken {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let writes = self.writes.so_far();
        let mut found = self.read(key);
        if self.has(Defect::TornLoad) {
            self.writes.more_than(writes).await;
            if let (Some(found), Some(now)) = (&mut found, self.read(key)) {
                found.version = now.version;
            }
        }
        if let (Defect::LoadsAnotherVersion, Some(found)) = (self.defect, &mut found) {
            let mut shelf = self.shelf.lock();
            shelf.last += 1;
            found.version = shelf.last;
        }
        if self.has(Defect::LoadsInvented) && found.is_none() {
            return Ok(Some((version_of(0), invented())));
        }
        Ok(found.map(|entry| (version_of(entry.version), entry.record)))
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.wait_while_leased(key).await;
        let whole = self.writing.lock().await;
        let there = self.read(key);
        let holds = match (&there, expected) {
            (None, None) => true,
            (Some(_), None) => self.has(Defect::AddsOverRecords),
            (None, Some(_)) => self.has(Defect::StoresOverNothing),
            (Some(there), Some(expected)) => {
                version_of(there.version) == *expected || self.has(Defect::IgnoresExpected)
            }
        };
        if !holds {
            let there = there.map(|entry| (version_of(entry.version), entry.record));
            return Ok(CasOutcome::Conflict(there));
        }
        if self.has(Defect::RacyCompareAndSet) {
            drop(whole);
            self.racers.meet().await;
        }
        Ok(CasOutcome::Stored(version_of(self.write(key, record, true))))
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        let name = self.lease_name(key);
        let started = want.clock().now();
        loop {
            let mut asked_at = want.clock().now();
            let ends = self.shelf.lock().leases.get(&name).map(|(_, ends)| *ends);
            let is_free = ends.is_none_or(|ends| asked_at.until(&ends).is_zero());
            if self.has(Defect::RacyLease) && is_free {
                self.racers.meet().await;
                self.shelf.lock().leases.remove(&name);
            }
            if let Some(id) = self.take(&name, want.ttl()) {
                if self.has(Defect::GrantsLate) {
                    let earlier = Duration::from_secs(55);
                    asked_at = Now::new(
                        asked_at.wall() - earlier,
                        asked_at.mono().saturating_sub(earlier),
                    );
                }
                let handle = BrokenLease { storage: self.clone(), name, id };
                return Ok(want.granted(asked_at, Box::new(handle)));
            }
            let patience =
                self.longest_wait(want).saturating_sub(want.clock().now().since(&started));
            if patience.is_zero() {
                return Err(failure("the lease is held"));
            }
            if self.has(Defect::QueuesTheGone) {
                return self.queue(name, want).await;
            }
            match (self.defect, ends) {
                (Defect::WaitsForTheEnd, Some(ends)) => {
                    want.clock().sleep(asked_at.until(&ends).min(patience)).await;
                }
                _ => nap(5).await,
            }
        }
    }
}

impl Broken {
    /// Waits in a queue, and keeps the place in it for an asker that is gone.
    async fn queue(&self, name: String, want: &LeaseRequest) -> Result<Lease, Error> {
        let (granted, mut answer) = oneshot::channel();
        let place = self.racers.arrive();
        self.shelf.lock().queues.entry(name.clone()).or_default().push_back((place, granted));
        let started = want.clock().now();
        loop {
            let asked_at = want.clock().now();
            nap(5).await;
            let mut id = answer.try_recv().ok();
            if id.is_none() {
                id = self.take(&name, want.ttl()); // the holder's time is over
            }
            let late = want.clock().now().since(&started) >= want.longest_wait();
            if id.is_some() || late {
                self.leave_queue(&name, place);
                id = id.or_else(|| answer.try_recv().ok());
            }
            if let Some(id) = id {
                let handle = BrokenLease { storage: self.clone(), name, id };
                return Ok(want.granted(asked_at, Box::new(handle)));
            }
            if late {
                return Err(failure("the lease is held"));
            }
        }
    }

    fn leave_queue(&self, name: &str, place: u64) {
        if let Some(queue) = self.shelf.lock().queues.get_mut(name) {
            queue.retain(|(other, _)| *other != place);
        }
    }
}

#[derive(Debug)]
struct BrokenLease {
    storage: Broken,
    name: String,
    id: u64,
}

impl BrokenLease {
    fn end(&self) {
        let storage = &self.storage;
        let mut shelf = storage.shelf.lock();
        let ours = shelf.leases.get(&self.name).is_some_and(|(id, _)| *id == self.id);
        if storage.has(Defect::ReleaseDoesNothing) {
            return;
        }
        if ours || storage.has(Defect::ReleasesAnything) {
            shelf.leases.remove(&self.name);
        }
        if ours
            && let Some((_, next)) = shelf.queues.get_mut(&self.name).and_then(VecDeque::pop_front)
        {
            shelf.last += 1;
            let id = shelf.last;
            shelf.leases.insert(self.name.clone(), (id, SystemClock.now().after(HOUR)));
            let _ = next.send(id);
        }
    }
}

#[async_trait]
impl LeaseHandle for BrokenLease {
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error> {
        if self.storage.has(Defect::RenewsOnlyHere) {
            return Ok(());
        }
        let now = SystemClock.now();
        match self.storage.shelf.lock().leases.get_mut(&self.name) {
            Some((id, ends)) if *id == self.id => *ends = now.after(ttl),
            _ if self.storage.has(Defect::RenewsAnything) => {}
            _ => return Err(failure("the lease is lost")),
        }
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.end();
        Ok(())
    }

    fn abandon(self: Box<Self>) {
        if !self.storage.has(Defect::DropExtends) {
            return self.end();
        }
        let now = SystemClock.now();
        if let Some((id, ends)) = self.storage.shelf.lock().leases.get_mut(&self.name)
            && *id == self.id
        {
            *ends = now.after(HOUR);
        }
    }
}

fn version_of(number: u64) -> Version {
    Version::new(number.to_be_bytes())
}

fn invented() -> TokenRecord {
    TokenRecord::from_parts(Vec::new(), Order::default(), None, false)
}

fn failure(what: &'static str) -> Error {
    Error::new(ErrorKind::Storage, what)
}

fn wall() -> SystemTime {
    SystemClock.now().wall()
}

async fn patience() {
    for _ in 0..100 {
        nap(20).await; // in small steps: a machine that stands still uses up one of them
    }
}

async fn nap(millis: u64) {
    SystemClock.sleep(Duration::from_millis(millis)).await;
}

const PAGE: usize = 1_000; // what is shorter is written in one step
const HOUR: Duration = Duration::from_secs(3_600);
