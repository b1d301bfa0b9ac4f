//! An imitation of a database in files, opened by handles and processes, with one flaw at a time in
//! what it takes from memory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use tokenkeeper::{
    CasOutcome, Clock, Error, ErrorKind, Lease, LeaseHandle, LeaseRequest, SharedTokenStorage,
    StorageKey, SystemClock, TokenRecord, TokenStorage, Version, async_trait,
};

/// What a handle or a process has in memory, and should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    RecordsInHandle,
    CachesReads,
    ComparesWithMemory,
    VersionsInHandle,
    VersionsInProcess,
    LocksInProcess,
    LeasesInHandle,
    LeasesInProcess,
    LeaseNamesInHandle,
    AskersWallClock,
    FreesLeasesOfTheDead,
    LeaseShowsNothing,
}

#[derive(Clone, Debug)]
pub(crate) struct Imitation {
    folder: PathBuf,
    flaw: Flaw,
    handle: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    records: Mutex<HashMap<String, Row>>,
    leases: Mutex<HashMap<String, Row>>,
    counter: AtomicU64,
}

/// A line, and bytes.
type Row = (String, Vec<u8>);

static PROCESS: Mutex<Option<HashMap<PathBuf, Row>>> = Mutex::new(None);
static COUNTER: AtomicU64 = AtomicU64::new(0);
static TURN: Mutex<()> = Mutex::new(());

impl Imitation {
    pub(crate) fn open(folder: PathBuf, flaw: Flaw) -> Self {
        Self { folder, flaw, handle: Arc::default() }
    }

    /// Keeps the record of the key from being written, as an operator would.
    pub(crate) fn forbid(folder: &Path, key: &StorageKey, is_forbidden: bool) {
        let mark = folder.join(format!("{key}.record.read-only"));
        if is_forbidden { fs::write(mark, "").unwrap() } else { fs::remove_file(mark).unwrap() }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// One step of the database: nobody else looks or writes meanwhile.
    fn step<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = TURN.lock();
        if self.has(Flaw::LocksInProcess) {
            return work();
        }
        let lock = File::create(self.folder.join("lock")).unwrap();
        lock.lock().unwrap();
        work()
    }

    fn record(&self, key: &StorageKey) -> Option<(Version, TokenRecord)> {
        let row = match self.flaw {
            Flaw::RecordsInHandle => self.handle.records.lock().get(key.as_str()).cloned(),
            _ => read(&self.folder.join(format!("{key}.record"))),
        };
        let (version, bytes) = row?;
        Some((Version::new(version.into_bytes()), TokenRecord::from_bytes(&bytes)))
    }

    fn write(&self, key: &StorageKey, record: &TokenRecord) -> Result<Version, Error> {
        let version = match self.flaw {
            Flaw::VersionsInHandle => {
                self.handle.counter.fetch_add(1, Ordering::SeqCst).to_string()
            }
            Flaw::VersionsInProcess => COUNTER.fetch_add(1, Ordering::SeqCst).to_string(),
            _ => random(),
        };
        self.put(key, (version.clone(), record.to_bytes().to_vec()))?;
        Ok(Version::new(version.into_bytes()))
    }

    fn put(&self, key: &StorageKey, row: Row) -> Result<(), Error> {
        let name = key.to_string();
        match self.flaw {
            Flaw::RecordsInHandle => drop(self.handle.records.lock().insert(name, row)),
            flaw => {
                if matches!(flaw, Flaw::CachesReads | Flaw::ComparesWithMemory) {
                    self.handle.records.lock().insert(name, row.clone());
                }
                let path = self.folder.join(format!("{key}.record"));
                if path.with_extension("record.read-only").exists() {
                    return Err(failure("the record is read-only; see who made it so"));
                }
                write(&path, &row);
            }
        }
        Ok(())
    }

    fn lease_row(&self, key: &StorageKey) -> Option<Row> {
        let path = self.folder.join(format!("{key}.lease"));
        match self.flaw {
            Flaw::LeasesInHandle => self.handle.leases.lock().get(key.as_str()).cloned(),
            Flaw::LeasesInProcess => PROCESS.lock().as_ref()?.get(&path).cloned(),
            _ => read(&path),
        }
    }

    fn put_lease(&self, key: &StorageKey, row: Row) {
        let path = self.folder.join(format!("{key}.lease"));
        match self.flaw {
            Flaw::LeasesInHandle => drop(self.handle.leases.lock().insert(key.to_string(), row)),
            Flaw::LeasesInProcess => {
                PROCESS.lock().get_or_insert_default().insert(path, row);
            }
            _ => write(&path, &row),
        }
    }

    /// The time by which leases end: that of the database.
    fn now(&self, want: &LeaseRequest) -> Duration {
        let now = match self.flaw {
            Flaw::AskersWallClock => want.clock().now(),
            _ => SystemClock.now(),
        };
        now.wall().duration_since(UNIX_EPOCH).unwrap()
    }

    /// The owner of the lease, if it is held, and when it ends.
    fn holder(&self, key: &StorageKey, now: Duration) -> Option<String> {
        let (line, end) = self.lease_row(key)?;
        let end: u64 = String::from_utf8(end).unwrap().parse().unwrap();
        let (owner, process) = line.split_once(' ').unwrap();
        let is_dead = !Path::new(&format!("/proc/{process}")).exists();
        if is_dead && self.has(Flaw::FreesLeasesOfTheDead) {
            return None;
        }
        (Duration::from_millis(end) > now).then(|| owner.to_owned())
    }

    fn grant(&self, key: &StorageKey, owner: &str, end: Duration) {
        let row = (format!("{owner} {}", std::process::id()), end.as_millis().to_string());
        self.put_lease(key, (row.0, row.1.into_bytes()));
    }

    fn try_lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Option<String>, Error> {
        self.step(|| {
            let now = self.now(want);
            if self.holder(key, now).is_some() {
                return Ok(None);
            }
            let there = read(&self.folder.join(format!("{key}.record")));
            if let (Some(row), false) = (there, self.has(Flaw::LeaseShowsNothing)) {
                self.put(key, row)?;
            }
            let owner = match self.flaw {
                Flaw::LeaseNamesInHandle => {
                    self.handle.counter.fetch_add(1, Ordering::SeqCst).to_string()
                }
                _ => random(),
            };
            self.grant(key, &owner, now + want.ttl());
            Ok(Some(owner))
        })
    }
}

#[async_trait]
impl TokenStorage for Imitation {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        Ok(self.load(key).await?.map(|(_, record)| record))
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.step(|| self.write(key, record)).map(drop)
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.step(|| {
            self.handle.records.lock().remove(key.as_str());
            let _ = fs::remove_file(self.folder.join(format!("{key}.record")));
        });
        Ok(())
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for Imitation {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        if self.has(Flaw::CachesReads)
            && let Some((version, bytes)) = self.handle.records.lock().get(key.as_str()).cloned()
        {
            return Ok(Some((Version::new(version.into_bytes()), TokenRecord::from_bytes(&bytes))));
        }
        Ok(self.step(|| self.record(key)))
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.step(|| {
            let there = self.record(key);
            let own = self.handle.records.lock().get(key.as_str()).cloned();
            let own = own.map(|(version, _)| Version::new(version.into_bytes()));
            let is_own = self.has(Flaw::ComparesWithMemory) && own.as_ref() == expected;
            if there.as_ref().map(|(version, _)| version) != expected && !(own.is_some() && is_own)
            {
                if self.has(Flaw::CachesReads) {
                    self.handle.records.lock().remove(key.as_str()); // the next read looks again
                }
                return Ok(CasOutcome::Conflict(there));
            }
            if self.has(Flaw::LocksInProcess) {
                std::thread::sleep(Duration::from_millis(20)); // as long as a busy database takes
            }
            self.write(key, record).map(CasOutcome::Stored)
        })
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        let clock = want.clock();
        let started = clock.now();
        loop {
            let asked_at = clock.now();
            if let Some(owner) = self.try_lease(key, want)? {
                let held = Held { storage: self.clone(), key: key.clone(), owner };
                return Ok(want.granted(asked_at, Box::new(held)));
            }
            if clock.now().since(&started) >= want.longest_wait() {
                return Err(failure("the lease is held; ask again"));
            }
            clock.sleep(Duration::from_millis(10)).await;
        }
    }
}

#[derive(Debug)]
struct Held {
    storage: Imitation,
    key: StorageKey,
    owner: String,
}

impl Held {
    fn is_held(&self) -> bool {
        let now = SystemClock.now().wall().duration_since(UNIX_EPOCH).unwrap();
        let holder = match self.storage.flaw {
            Flaw::AskersWallClock => self.storage.holder(&self.key, Duration::ZERO),
            _ => self.storage.holder(&self.key, now),
        };
        holder.as_deref() == Some(&self.owner)
    }

    fn end(&self, end: Duration) -> bool {
        self.storage.step(|| {
            let is_held = self.is_held();
            if is_held {
                self.storage.grant(&self.key, &self.owner, end);
            }
            is_held
        })
    }
}

#[async_trait]
impl LeaseHandle for Held {
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error> {
        let now = SystemClock.now().wall().duration_since(UNIX_EPOCH).unwrap();
        let is_ours = self.end(now + ttl);
        is_ours.then_some(()).ok_or_else(|| failure("the lease is lost; ask for another"))
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.end(Duration::ZERO);
        Ok(())
    }
}

fn read(path: &Path) -> Option<Row> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == NotFound => return None,
        read => read.unwrap(),
    };
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    Some((String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end + 1..].to_vec()))
}

fn write(path: &Path, (line, bytes): &Row) {
    let next = path.with_extension(random());
    fs::write(&next, [line.as_bytes(), b"\n", bytes].concat()).unwrap();
    fs::rename(next, path).unwrap();
}

fn random() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(16).collect()
}

fn failure(what: &'static str) -> Error {
    Error::new(ErrorKind::Storage, what)
}
