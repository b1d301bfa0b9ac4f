//! One storage, and the handle of each process to it, with the faults that were ordered.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    CasOutcome, ChangeNotices, Clock, Error, ErrorKind, Lease, LeaseHandle, LeaseRequest, Order,
    SharedTokenStorage, StorageKey, TokenRecord, TokenStorage, Version, async_trait,
};
use tokio::sync::{Notify, watch};

use crate::clock::{LifeClock, millis_of, wall_time};
use crate::model::{Model, Stored};
use crate::plan::{Fault, Operation, Planted};

pub struct Shelf {
    pub clock: LifeClock,
    pub model: Arc<Mutex<Model>>,
    inner: Mutex<Inner>,
    freed: Notify,
    written: watch::Sender<()>,
    shared: bool,
    notices: bool,
}

#[derive(Default)]
struct Inner {
    record: Option<(u64, TokenRecord)>,
    before: Option<(u64, TokenRecord)>,
    parsed: Stored,
    lease: Option<(u64, u64)>,
    last: u64,
    faults: Vec<Faults>,
    calls: usize,
    last_call: u64,
    is_storm: bool,
    /// Of plain writes: those that came before the last one do not land any more.
    last_set: u64,
}

#[derive(Default)]
struct Faults {
    next: [VecDeque<Fault>; Operation::COUNT],
    standing: [Option<Fault>; Operation::COUNT],
}

impl Shelf {
    pub fn new(clock: &LifeClock, model: &Arc<Mutex<Model>>, shared: bool, notices: bool) -> Self {
        Self {
            clock: clock.clone(),
            model: Arc::clone(model),
            inner: Mutex::default(),
            freed: Notify::new(),
            written: watch::Sender::new(()),
            shared,
            notices,
        }
    }

    pub fn add_process(&self) {
        self.inner.lock().faults.push(Faults::default());
    }

    pub fn once(&self, process: usize, operation: Operation, fault: Fault) {
        self.inner.lock().faults[process].next[operation.index()].push_back(fault);
    }

    pub fn until(&self, process: usize, operation: Operation, fault: Fault) {
        self.inner.lock().faults[process].standing[operation.index()] = Some(fault);
    }

    pub fn heal(&self) {
        let mut inner = self.inner.lock();
        for faults in &mut inner.faults {
            *faults = Faults::default();
        }
    }

    pub fn is_storm(&self) -> bool {
        self.inner.lock().is_storm
    }

    pub fn plant(&self, what: Planted) {
        let ended = wall_time(self.clock.at().wall.saturating_sub(7_200_000));
        let access = r#"{"v":1,"tokens":{"access_token":"planted","token_type":"Bearer","#;
        let millis = millis_of(ended);
        let payload = format!(r#"{access}"expires_at":{millis},"requested_at":{}}}}}"#, millis - 9);
        let there = self.inner.lock().parsed.order;
        let order = match what {
            Planted::Ended => Order::new(there.0, there.1.saturating_add(3)),
            Planted::Nonsense => Order::default(),
        };
        let payload = match what {
            Planted::Nonsense => b"nonsense".to_vec(),
            _ => payload.into_bytes(),
        };
        let mut inner = self.inner.lock();
        let mut model = self.model.lock();
        model.plant();
        for process in 0..model.processes.len() {
            model.reset(process);
        }
        drop(model);
        let record = TokenRecord::from_parts(payload, order, None, false);
        inner.parsed = parse(&record);
        inner.write(record);
    }

    fn land(&self, process: usize, record: &TokenRecord) -> u64 {
        let mut inner = self.inner.lock();
        self.land_locked(&mut inner, process, record)
    }

    fn land_locked(&self, inner: &mut Inner, process: usize, record: &TokenRecord) -> u64 {
        let parsed = parse(record);
        let at = self.clock.at();
        self.model.lock().landed(process, &inner.parsed, &parsed, at);
        inner.parsed = parsed;
        let version = inner.write(record.clone());
        self.written.send_replace(());
        version
    }

    fn compare_and_set(
        &self,
        process: usize,
        expected: Option<u64>,
        record: &TokenRecord,
    ) -> CasOutcome {
        let mut inner = self.inner.lock();
        if inner.record.as_ref().map(|(version, _)| *version) != expected {
            return CasOutcome::Conflict(inner.read());
        }
        CasOutcome::Stored(version_of(self.land_locked(&mut inner, process, record)))
    }
}

impl Inner {
    fn write(&mut self, record: TokenRecord) -> u64 {
        self.last += 1;
        self.before = self.record.replace((self.last, record));
        self.last
    }

    fn read(&self) -> Option<(Version, TokenRecord)> {
        self.record.as_ref().map(|(version, record)| (version_of(*version), record.clone()))
    }

    /// The number of the lease, or when the one ends that is in the way.
    fn take_lease(&mut self, mono: u64, ttl: u64) -> Result<u64, u64> {
        if let Some((_, ends)) = self.lease.filter(|(_, ends)| *ends > mono) {
            return Err(ends);
        }
        self.last += 1;
        self.lease = Some((self.last, mono + ttl));
        Ok(self.last)
    }

    fn due(&mut self, process: usize, operation: Operation) -> Option<Fault> {
        let faults = self.faults.get_mut(process)?;
        let next = faults.next[operation.index()].pop_front();
        next.or(faults.standing[operation.index()])
    }
}

fn version_of(number: u64) -> Version {
    Version::new(number.to_be_bytes())
}

fn number_of(version: &Version) -> u64 {
    version.as_bytes().try_into().map_or(0, u64::from_be_bytes)
}

pub fn parse(record: &TokenRecord) -> Stored {
    let payload: serde_json::Value =
        serde_json::from_slice(record.payload()).unwrap_or(serde_json::Value::Null);
    let text = |path: &str| Some(payload.pointer(path)?.as_str()?.to_owned());
    Stored {
        order: (record.order().epoch(), record.order().generation()),
        tombstone: record.is_tombstone(),
        access: text("/tokens/access_token"),
        refresh: text("/tokens/refresh_token"),
    }
}

/// The storage as one process sees it.
#[derive(Clone)]
pub struct LifeStorage {
    pub process: usize,
    pub shelf: Arc<Shelf>,
}

impl fmt::Debug for LifeStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifeStorage").field("process", &self.process).finish_non_exhaustive()
    }
}

/// Tells the model that the manager was told, or stopped waiting for, what became of a write.
struct Writing<'a>(&'a LifeStorage, Stored, bool);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut model = self.0.shelf.model.lock();
        model.write_ended(&self.1);
        if !self.2 {
            model.write_failed(self.0.process);
        }
    }
}

/// What a lease lasts for may fail to protect.
struct Leasing<'a>(&'a LifeStorage, bool);

impl Drop for Leasing<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.shelf.model.lock().lease_may_fail(self.0.process);
        }
    }
}

impl LifeStorage {
    /// Does what was ordered to go wrong before the operation; what is to go wrong afterwards
    /// comes back.
    async fn before(&self, operation: Operation) -> Result<Option<Fault>, Error> {
        let fault = {
            let mut inner = self.shelf.inner.lock();
            let mono = self.shelf.clock.at().mono;
            inner.calls = if inner.last_call == mono { inner.calls + 1 } else { 1 };
            inner.last_call = mono;
            inner.is_storm |= inner.calls >= STORM;
            inner.due(self.process, operation).filter(|_| inner.calls < STORM).or_else(|| {
                // It answers no more, lest a life never end.
                (inner.calls >= STORM).then_some(Fault::Hang)
            })
        };
        if fault.is_some() {
            self.shelf.model.lock().storage_failed(self.process);
        }
        match fault {
            Some(Fault::Fail) => Err(fault_of(operation)),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Panic) => panic!("a storage panics"),
            Some(Fault::Delay(millis)) => {
                self.sleep(millis).await;
                Ok(None)
            }
            other => Ok(other),
        }
    }

    async fn after(&self, operation: Operation, fault: Option<Fault>) -> Result<(), Error> {
        match fault {
            Some(Fault::FailAfterwards) => Err(fault_of(operation)),
            Some(Fault::DelayAnswer(millis)) => {
                self.sleep(millis).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn sleep(&self, millis: u64) {
        self.shelf.clock.sleep(Duration::from_millis(millis)).await;
    }

    async fn read(&self) -> Result<Option<(Version, TokenRecord)>, Error> {
        let fault = self.before(Operation::Read).await?;
        let found = match fault {
            Some(Fault::Stale) => {
                self.shelf.model.lock().lied = true;
                let inner = self.shelf.inner.lock();
                inner.before.as_ref().map(|(v, record)| (version_of(*v), record.clone()))
            }
            _ => self.shelf.inner.lock().read(),
        };
        self.after(Operation::Read, fault).await?;
        self.shelf.model.lock().has_read(self.process);
        Ok(found)
    }

    async fn write(
        &self,
        expected: Option<Option<&Version>>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let mut writing = Writing(self, parse(record), false);
        let fault = self.before(Operation::Write).await?;
        let expected = expected.map(|expected| expected.map(number_of));
        if let Some(Fault::LandLate(millis)) = fault {
            self.land_late(millis, expected, record);
            pending::<()>().await;
        }
        if fault == Some(Fault::Forget) {
            self.shelf.model.lock().lied = true;
            return Ok(CasOutcome::Stored(version_of(u64::MAX)));
        }
        let outcome = match expected {
            Some(expected) => self.shelf.compare_and_set(self.process, expected, record),
            None => {
                self.shelf.inner.lock().last_set += 1;
                CasOutcome::Stored(version_of(self.shelf.land(self.process, record)))
            }
        };
        self.after(Operation::Write, fault).await?;
        writing.2 = true;
        Ok(outcome)
    }

    fn land_late(&self, millis: u64, expected: Option<Option<u64>>, record: &TokenRecord) {
        let (this, record) = (self.clone(), record.clone());
        let set = {
            let mut inner = this.shelf.inner.lock();
            inner.last_set += 1;
            inner.last_set
        };
        tokio::spawn(async move {
            this.sleep(millis).await;
            match expected {
                Some(expected) => {
                    let _ = this.shelf.compare_and_set(this.process, expected, &record);
                }
                None if this.shelf.inner.lock().last_set == set => {
                    this.shelf.land(this.process, &record);
                }
                None => {}
            }
        });
    }
}

fn fault_of(operation: Operation) -> Error {
    Error::new(ErrorKind::Storage, format!("{operation:?} fails in this life"))
}

#[async_trait]
impl TokenStorage for LifeStorage {
    async fn get(&self, _key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        Ok(self.read().await?.map(|(_, record)| record))
    }

    async fn set(&self, _key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.write(None, record).await.map(|_| ())
    }

    async fn delete(&self, _key: &StorageKey) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Unsupported, "no record is ever deleted"))
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        self.shelf.shared.then_some(self as &dyn SharedTokenStorage)
    }
}

#[async_trait]
impl SharedTokenStorage for LifeStorage {
    async fn load(&self, _key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        self.read().await
    }

    async fn compare_and_set(
        &self,
        _key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.write(Some(expected), record).await
    }

    async fn lease(&self, _key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        let mut leasing = Leasing(self, false);
        let started = self.shelf.clock.at();
        let fault = self.before(Operation::Take).await?;
        let ttl = u64::try_from(want.ttl().as_millis()).unwrap_or(u64::MAX);
        loop {
            let freed = self.shelf.freed.notified();
            let asked_at = want.clock().now();
            let mono = self.shelf.clock.at().mono;
            let taken = self.shelf.inner.lock().take_lease(mono, ttl);
            let ends = match taken {
                Err(ends) => ends,
                Ok(id) => {
                    let handle = LifeLease { storage: self.clone(), id };
                    let lease = want.granted(asked_at, Box::new(handle));
                    self.after(Operation::Take, fault).await?;
                    leasing.1 = true;
                    return Ok(lease);
                }
            };
            let waited = Duration::from_millis(mono - started.mono);
            let patience = want.longest_wait().saturating_sub(waited);
            if patience.is_zero() {
                leasing.1 = true;
                return Err(Error::new(ErrorKind::Storage, "another process has the lease"));
            }
            tokio::select! {
                () = freed => {}
                () = self.shelf.clock.sleep(Duration::from_millis(ends - mono).min(patience)) => {}
            }
        }
    }

    fn notices(&self, _key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        if !self.shelf.notices {
            return None;
        }
        let written = self.shelf.written.subscribe();
        Some(Box::new(LifeNotices { shelf: Arc::clone(&self.shelf), written }))
    }
}

struct LifeNotices {
    shelf: Arc<Shelf>,
    written: watch::Receiver<()>,
}

impl fmt::Debug for LifeNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LifeNotices")
    }
}

#[async_trait]
impl ChangeNotices for LifeNotices {
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        let gone = |_| Error::new(ErrorKind::Storage, "no more notices");
        self.written.changed().await.map_err(gone)?;
        let inner = self.shelf.inner.lock();
        Ok(inner.record.as_ref().map(|(_, record)| record.order()))
    }
}

struct LifeLease {
    storage: LifeStorage,
    id: u64,
}

impl fmt::Debug for LifeLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifeLease").field("id", &self.id).finish_non_exhaustive()
    }
}

impl LifeLease {
    fn free(&self) {
        let shelf = &self.storage.shelf;
        let mut inner = shelf.inner.lock();
        if inner.lease.is_some_and(|(id, _)| id == self.id) {
            inner.lease = None;
            drop(inner);
            shelf.freed.notify_waiters();
        }
    }
}

#[async_trait]
impl LeaseHandle for LifeLease {
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error> {
        let mut leasing = Leasing(&self.storage, false);
        let fault = self.storage.before(Operation::Renew).await?;
        {
            let mono = self.storage.shelf.clock.at().mono;
            let mut inner = self.storage.shelf.inner.lock();
            match inner.lease {
                Some((id, ends)) if id == self.id && ends > mono => {
                    let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                    inner.lease = Some((id, mono + ttl));
                }
                _ => {
                    leasing.1 = true;
                    return Err(Error::new(ErrorKind::Storage, "the lease is over"));
                }
            }
        }
        self.storage.after(Operation::Renew, fault).await?;
        leasing.1 = true;
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        let fault = self.storage.before(Operation::Release).await?;
        self.free();
        self.storage.after(Operation::Release, fault).await
    }

    fn abandon(self: Box<Self>) {
        let process = self.storage.process;
        let fault = self.storage.shelf.inner.lock().due(process, Operation::Abandon);
        match fault {
            Some(Fault::Panic) => panic!("abandoning panics"),
            Some(_) => {}
            None => self.free(),
        }
    }
}

const STORM: usize = 1_000; // calls while the clock stands
