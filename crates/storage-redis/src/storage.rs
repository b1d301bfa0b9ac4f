//! Records and leases as Redis keeps them.

use std::sync::Arc;

use async_trait::async_trait;
use redis::{Cmd, Value};
use tokenkeeper::{
    CasOutcome, ChangeNotices, Clock, Error, Lease, LeaseRequest, SharedTokenStorage, StorageKey,
    SystemClock, TokenRecord, TokenStorage, Version,
};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::keys::Names;
use crate::lease;
use crate::link::{Ask, Link, Replicas};
use crate::notices::{Listeners, message_of};
use crate::scripts;
use crate::stored_value::{StoredValue, time_left};

/// Keeps records in Redis 7 or Valkey, for any number of processes.
///
/// Making one connects to nothing: the first call does, and a connection that breaks is replaced by
/// the next call. Connections live on a thread of this crate, one for the process, so that no runtime
/// of the program has to last or to be idle for them. Clones share the connection. The crate's
/// documentation says what happens when the server is away, slow, full or not what it should be.
#[derive(Clone, Debug)]
pub struct RedisStorage {
    link: Arc<Link>,
    /// The same unless writes wait for replicas, which holds up all that comes after them.
    writes: Arc<Link>,
    prefix: Arc<str>,
    confirmed_by: Option<Replicas>,
    /// There if writes are announced.
    listeners: Option<Arc<Listeners>>,
}

impl RedisStorage {
    /// Asks the server for a sign of life: for a readiness probe, or for a program that would
    /// rather not start without its storage.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](tokenkeeper::ErrorKind::Storage) if it gives none.
    pub async fn ping(&self) -> Result<(), Error> {
        let ping = || Ok(Ask::new(redis::cmd("PING")));
        match self.link.call(ping).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                Err(failure.into_error("cannot use", "the storage", &self.link.server()))
            }
        }
    }

    pub(crate) fn over(
        link: Arc<Link>,
        writes: Arc<Link>,
        prefix: &str,
        confirmed_by: Option<Replicas>,
        listeners: Option<Arc<Listeners>>,
    ) -> Self {
        Self { link, writes, prefix: prefix.into(), confirmed_by, listeners }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn names(&self, key: &StorageKey) -> Names {
        Names::new(&self.prefix, key)
    }

    /// The channel on which a write is announced, or nothing.
    fn channel(&self, names: &Names) -> String {
        if self.listeners.is_some() { names.channel() } else { String::new() }
    }

    fn write(&self, names: &Names, command: Cmd) -> Ask {
        Ask::new(command).confirmed_by(self.confirmed_by, &names.record)
    }

    fn failed(&self, doing: &str, names: &Names, failure: Failure) -> Error {
        failure.into_error(doing, &names.record, &self.link.server())
    }

    async fn find(
        &self,
        names: &Names,
        deadline: Instant,
    ) -> Result<Option<(Version, TokenRecord)>, Failure> {
        let get = || {
            let mut get = redis::cmd("GET");
            get.arg(&names.record);
            Ok(Ask::new(get))
        };
        found(self.link.call_until(deadline, get).await?)
    }

    async fn try_compare_and_set(
        &self,
        names: &Names,
        expected: Option<&Version>,
        record: &TokenRecord,
        deadline: Instant,
    ) -> Result<CasOutcome, Failure> {
        let channel = self.channel(names);
        let mut tried: Vec<Version> = Vec::new();
        let answer = self.writes.call_until(deadline, || {
            let value = StoredValue::new(record).map_err(Failure::Unsent)?;
            let mut cas = scripts::run(scripts::COMPARE_AND_SET, &names.record);
            match expected {
                Some(version) => cas.arg(1).arg(version.as_bytes()),
                None => cas.arg(0).arg(""),
            };
            cas.arg(value.bytes()).arg(time_left(record, SystemClock.now().wall()));
            cas.arg(&channel).arg(message_of(record.order()));
            cas.arg(tried.last().map_or(&[][..], Version::as_bytes));
            tried.push(value.into_version());
            Ok(self.write(names, cas))
        });
        let written = match answer.await? {
            Value::Int(1) => tried.pop(),
            // The connection broke over the first attempt, which had arrived all the same.
            Value::Int(2) => tried.into_iter().rev().nth(1),
            there => return Ok(CasOutcome::Conflict(found(there)?)),
        };
        written.map(CasOutcome::Stored).ok_or(Failure::Nonsense)
    }

    /// Looks, and replaces what it saw. A command that is still on its way when its caller has
    /// given up finds something else when it arrives, and undoes nothing that came after it.
    async fn try_set(&self, names: &Names, record: &TokenRecord) -> Result<(), Failure> {
        let deadline = self.link.deadline();
        let mut there = self.find(names, deadline).await?;
        loop {
            let expected = there.as_ref().map(|(version, _)| version);
            match self.try_compare_and_set(names, expected, record, deadline).await? {
                CasOutcome::Stored(_) => return Ok(()),
                CasOutcome::Conflict(other) => there = other,
            }
        }
    }

    /// Looks, and removes what it saw, for the reason that `try_set` has.
    async fn try_delete(&self, names: &Names) -> Result<(), Failure> {
        let deadline = self.link.deadline();
        let channel = self.channel(names);
        let mut there = self.find(names, deadline).await?;
        loop {
            let expected = there.as_ref().map_or(&[][..], |(version, _)| version.as_bytes());
            let mut attempts = 0;
            let answer = self.writes.call_until(deadline, || {
                attempts += 1;
                let mut delete = scripts::run(scripts::COMPARE_AND_DELETE, &names.record);
                delete.arg(expected).arg(&channel);
                Ok(self.write(names, delete))
            });
            match answer.await? {
                Value::Int(_) => return Ok(()),
                // What was there is gone, by the first attempt perhaps: this may be a new login.
                Value::BulkString(_) if attempts > 1 => return Ok(()),
                other => there = found(other)?,
            }
        }
    }
}

/// What a `GET` found.
fn found(answer: Value) -> Result<Option<(Version, TokenRecord)>, Failure> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(StoredValue::take_apart(bytes))),
        _ => Err(Failure::Nonsense),
    }
}

#[async_trait]
impl TokenStorage for RedisStorage {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        Ok(self.load(key).await?.map(|(_, record)| record))
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let names = self.names(key);
        let answer = self.try_set(&names, record).await;
        answer.map_err(|failure| self.failed("cannot write", &names, failure))
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        let names = self.names(key);
        let answer = self.try_delete(&names).await;
        answer.map_err(|failure| self.failed("cannot remove", &names, failure))
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for RedisStorage {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let names = self.names(key);
        let found = self.find(&names, self.link.deadline()).await;
        found.map_err(|failure| self.failed("cannot load", &names, failure))
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let names = self.names(key);
        let outcome =
            self.try_compare_and_set(&names, expected, record, self.link.deadline()).await;
        outcome.map_err(|failure| self.failed("cannot write", &names, failure))
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        lease::wait_for(&self.link, self.names(key), want).await
    }

    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        let listeners = self.listeners.as_ref()?;
        Some(Box::new(listeners.listen(self.names(key).channel())))
    }
}
