//! A storage in memory with one defect at a time: what the contract suites have to find.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::meeting::{Meeting, is_racing};
use parking_lot::Mutex;
use tokenkeeper::{
    Clock, Error, ErrorKind, Now, Order, SharedTokenStorage, StorageKey, SystemClock, TokenRecord,
    TokenStorage, async_trait,
};
use tokio::sync::oneshot;

pub(crate) mod findings;
mod leases;
mod meeting;
mod notices;
mod versions;

pub(crate) use meeting::ALONE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    // Records.
    InventsRecords,
    InventsUnknown,
    RoundsOrders,
    SignsOrders,
    RefusesOlderRecords,
    ForgetsDeletes,
    NeverForgetsDeletes,
    ComplainsOfMissing,
    ExistsSkipsTombstones,
    ExistsCountsExpired,
    FoldsCase,
    CutsKeys,
    MergesPunctuation,
    RefusesDots,
    LosesTombstoneMark,
    OverflowsFarEnds,
    FailsOnPastEnds,
    KeepsOldEnd,
    CutsLargeRecords,
    TextOnly,
    TornWrites,
    MixesConcurrentWrites,
    OneFileForAll,
    TornWhenDropped,
    LandsLate,
    // Versions.
    NotShared,
    LoadsInvented,
    LoadsInventedUnknown,
    LoadsAnotherVersion,
    LoadNamesVersionsAnew,
    LoadSkipsTombstones,
    AddsOverRecords,
    AddsOverTombstones,
    ReusesVersion,
    IgnoresExpected,
    AcceptsForeignVersions,
    SetsCannotBeReplaced,
    StoresOverNothing,
    ConflictNamesTheDeleted,
    ExpiredStandInTheWay,
    DeleteResetsVersions,
    SetKeepsVersion,
    RacyAdd,
    RacyCompareAndSet,
    CasMissesSets,
    TornLoad,
    TornCasWhenDropped,
    CasLosesTombstoneMark,
    CasKeepsOldEnd,
    // Notices.
    NeverNotices,
    NoticesNoDeletes,
    NoticesInventedOrders,
    // Leases.
    GrantsLate,
    GrantsToAll,
    RefusesAsUnsupported,
    ReleaseDoesNothing,
    ReleasesWhenAsked,
    WaitsForTheEnd,
    WaitsTooLong,
    NeverWaits,
    GivesUpEarly,
    NeverEnds,
    EndsEarly,
    RenewsAnything,
    ReleasesAnything,
    RenewsOnlyHere,
    RenewDoesNothing,
    DropExtends,
    OneLeaseForAll,
    LeasesFoldCase,
    LeasesCutKeys,
    LeaseIsARecord,
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
    /// Held from the last look to the write, so that there is no defect but the one.
    step: Arc<Mutex<()>>,
    /// Calls of `get`.
    reads: Meeting,
    /// Writes of all kinds.
    writes: Meeting,
    /// Calls of `set` and `delete`.
    plain_writes: Meeting,
    /// Writes that others are told of.
    noticed: Meeting,
    /// Calls that shall run into each other.
    racers: Meeting,
}

#[derive(Debug, Default)]
struct Shelf {
    records: HashMap<String, Entry>,
    /// Names that were written at least once.
    known: HashSet<String>,
    /// What was deleted.
    graves: HashMap<String, Entry>,
    /// What was to be written by calls that were dropped.
    late: HashMap<String, TokenRecord>,
    leases: HashMap<String, (u64, Now)>,
    queues: HashMap<String, VecDeque<(u64, oneshot::Sender<u64>)>>,
    /// Leases that were released, and whose end nobody has asked for yet.
    let_go: HashSet<String>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    version: u64,
    record: TokenRecord,
    end: Option<SystemTime>,
    by_cas: bool,
}

impl Broken {
    pub(crate) fn new(defect: Defect) -> Self {
        Self {
            defect,
            shelf: Arc::default(),
            writing: Arc::default(),
            step: Arc::default(),
            reads: Meeting::default(),
            writes: Meeting::default(),
            plain_writes: Meeting::default(),
            noticed: Meeting::default(),
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

    /// What is there, expired or not.
    fn look(&self, key: &StorageKey) -> Option<Entry> {
        self.shelf.lock().records.get(&self.name(key)).cloned()
    }

    fn read(&self, key: &StorageKey) -> Option<Entry> {
        self.look(key).filter(|entry| entry.end.is_none_or(|end| end > wall()))
    }

    fn knows(&self, key: &StorageKey) -> bool {
        self.shelf.lock().known.contains(&self.name(key))
    }

    fn write(&self, key: &StorageKey, record: &TokenRecord, by_cas: bool) -> u64 {
        let name = self.name(key);
        let there = self.read(key);
        self.writes.arrive();
        let mut shelf = self.shelf.lock();
        if self.has(Defect::NeverForgetsDeletes) && shelf.graves.contains_key(&name) {
            return 0;
        }
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
        let entry = Entry { version, record: self.spoil(record, by_cas), end, by_cas };
        shelf.known.insert(name.clone());
        shelf.records.insert(name, entry);
        drop(shelf);
        self.noticed.arrive();
        version
    }

    /// The record as this storage keeps it.
    fn spoil(&self, record: &TokenRecord, by_cas: bool) -> TokenRecord {
        let mut payload = record.payload().to_vec();
        let mut order = record.order();
        let mut tombstone = record.is_tombstone();
        let both = |change: fn(u64) -> u64| {
            Order::new(change(record.order().epoch()), change(record.order().generation()))
        };
        match self.defect {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "the defect"
            )]
            Defect::RoundsOrders => order = both(|number| number as f64 as u64),
            Defect::SignsOrders => order = both(|number| number.min(i64::MAX.unsigned_abs())),
            Defect::LosesTombstoneMark => tombstone = false,
            Defect::CasLosesTombstoneMark if by_cas => tombstone = false,
            Defect::CutsLargeRecords => payload.truncate(64 * 1024),
            Defect::TextOnly => payload = String::from_utf8_lossy(&payload).into_owned().into(),
            _ => {}
        }
        TokenRecord::from_parts(payload, order, record.keep_until(), tombstone)
    }

    /// Writes half of the record, and the rest when others had time to look.
    async fn write_in_halves(&self, key: &StorageKey, there: &Entry, record: &TokenRecord) {
        let half = there.record.with_payload(record.payload().to_vec());
        self.write(key, &half, false);
        let reads = self.reads.so_far();
        if self.has(Defect::TornWrites) && is_racing() {
            self.reads.more_than(reads).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    /// Writes all records as they were before another call wrote one of them.
    async fn write_all(&self, key: &StorageKey, record: &TokenRecord) {
        let mut all = self.shelf.lock().records.clone();
        if is_racing() {
            self.racers.meet().await;
        }
        self.write(key, record, false);
        let mut shelf = self.shelf.lock();
        if let Some(entry) = shelf.records.remove(key.as_str()) {
            all.insert(key.to_string(), entry);
        }
        shelf.records = all;
    }
}

#[async_trait]
impl TokenStorage for Broken {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        let _whole = match self.defect {
            Defect::TornWhenDropped => Some(self.writing.lock().await),
            _ => None,
        };
        self.reads.arrive();
        let found = self.read(key).map(|entry| entry.record);
        let invents = match self.defect {
            Defect::InventsRecords => true,
            Defect::InventsUnknown => !self.knows(key),
            Defect::LeaseIsARecord => self.is_name_of_a_lease(key),
            _ => false,
        };
        Ok(if invents { found.or_else(|| Some(invented())) } else { found })
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let _whole = match self.defect {
            Defect::TornWhenDropped => Some(self.writing.lock().await),
            _ => None,
        };
        self.plain_writes.arrive();
        let there = self.read(key);
        let is_long = record.payload().len() > PAGE;
        let is_older = |there: &Entry| there.record.order() > record.order();
        match (self.defect, there) {
            (Defect::RefusesOlderRecords, Some(there)) if is_older(&there) => return Ok(()),
            (Defect::RefusesDots, _) if key.as_str().contains("..") => {
                return Err(failure("a key like a path"));
            }
            (Defect::FailsOnPastEnds, _) if record.keep_until().is_some_and(is_long_past) => {
                return Err(failure("a negative time to live"));
            }
            (Defect::TornWrites | Defect::TornWhenDropped, Some(there)) if is_long => {
                self.write_in_halves(key, &there, record).await;
            }
            (Defect::MixesConcurrentWrites, _)
                if is_long && is_racing() && self.racers.meet().await =>
            {
                let mixture = invented().with_payload(record.payload().to_vec());
                self.write(key, &mixture, false);
                return Ok(());
            }
            (Defect::OneFileForAll, _) => {
                self.write_all(key, record).await;
                return Ok(());
            }
            (Defect::LandsLate, _) => return self.set_or_land_late(key, record).await,
            _ => {}
        }
        let _step = self.step.lock();
        self.write(key, record, false);
        Ok(())
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        if self.has(Defect::ForgetsDeletes) {
            return Ok(());
        }
        self.plain_writes.arrive();
        self.writes.arrive();
        let _step = self.step.lock();
        let mut shelf = self.shelf.lock();
        if self.has(Defect::DeleteEndsLease) {
            shelf.leases.remove(&self.lease_name(key));
        }
        if !self.has(Defect::NoticesNoDeletes) {
            self.noticed.arrive();
        }
        let name = self.name(key);
        match shelf.records.remove(&name) {
            None if self.has(Defect::ComplainsOfMissing) => Err(failure("no such record")),
            None => Ok(()),
            Some(entry) => {
                shelf.graves.insert(name, entry);
                Ok(())
            }
        }
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        match self.defect {
            Defect::ExistsSkipsTombstones => {
                Ok(self.read(key).is_some_and(|entry| !entry.record.is_tombstone()))
            }
            Defect::ExistsCountsExpired => Ok(self.look(key).is_some()),
            Defect::InventsUnknown => Ok(self.read(key).is_some()),
            _ => Ok(self.get(key).await?.is_some()),
        }
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        (!self.has(Defect::NotShared)).then_some(self)
    }
}

impl Broken {
    /// Writes what was dropped before after what came later.
    async fn set_or_land_late(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let mut landing = Landing { storage: self, name: self.name(key), record: Some(record) };
        tokio::task::yield_now().await;
        landing.record = None;
        self.write(key, record, false);
        let late = self.shelf.lock().late.remove(&self.name(key));
        if let Some(late) = late {
            self.write(key, &late, false);
        }
        Ok(())
    }
}

/// A write that lands when it is too late, unless it came to its end.
struct Landing<'a> {
    storage: &'a Broken,
    name: String,
    record: Option<&'a TokenRecord>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record {
            self.storage.shelf.lock().late.insert(self.name.clone(), record.clone());
        }
    }
}

fn is_long_past(end: SystemTime) -> bool {
    end < SystemTime::UNIX_EPOCH + HOUR
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

async fn nap() {
    SystemClock.sleep(Duration::from_millis(5)).await;
}

const PAGE: usize = 1_000; // what is shorter is written in one step
const HOUR: Duration = Duration::from_secs(3_600);
