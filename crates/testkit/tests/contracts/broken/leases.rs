//! The defects of leases.

use std::collections::VecDeque;
use std::time::Duration;

use tokenkeeper::{
    Clock, Error, ErrorKind, Lease, LeaseHandle, LeaseRequest, Now, StorageKey, SystemClock,
    async_trait,
};
use tokio::sync::oneshot;

use super::meeting::is_racing;
use super::{Broken, Defect, HOUR, failure, nap};

impl Broken {
    pub(super) fn lease_name(&self, key: &StorageKey) -> String {
        let name = key.as_str();
        match self.defect {
            Defect::OneLeaseForAll => "all".to_owned(),
            Defect::LeasesFoldCase => name.to_ascii_lowercase(),
            Defect::LeasesCutKeys => name.chars().take(64).collect(),
            _ => name.to_owned(),
        }
    }

    pub(super) fn is_name_of_a_lease(&self, key: &StorageKey) -> bool {
        let leased = key.as_str().strip_suffix(":lease");
        leased.is_some_and(|leased| self.shelf.lock().leases.contains_key(leased))
    }

    pub(super) async fn wait_while_leased(&self, key: &StorageKey) {
        let name = self.lease_name(key);
        while self.has(Defect::LeaseBlocksRecords) && self.shelf.lock().leases.contains_key(&name) {
            nap().await;
        }
    }

    pub(super) async fn lease_of(
        &self,
        key: &StorageKey,
        want: &LeaseRequest,
    ) -> Result<Lease, Error> {
        let name = self.lease_name(key);
        let started = want.clock().now();
        loop {
            let asked_at = want.clock().now();
            let ends = self.shelf.lock().leases.get(&name).map(|(_, ends)| *ends);
            let is_free = ends.is_none_or(|ends| asked_at.until(&ends).is_zero());
            if self.has(Defect::RacyLease) && is_free && is_racing() {
                self.racers.meet().await;
                self.shelf.lock().leases.remove(&name);
            }
            if let Some(id) = self.take(&name, want.ttl()) {
                let late = if self.has(Defect::GrantsLate) { 55 } else { 0 };
                return Ok(self.granted(want, earlier(asked_at, late), name, id));
            }
            let patience =
                self.longest_wait(want).saturating_sub(want.clock().now().since(&started));
            if patience.is_zero() {
                return Err(self.refusal());
            }
            match (self.defect, ends) {
                (Defect::QueuesTheGone, _) => return self.queue(name, want).await,
                (Defect::WaitsForTheEnd, Some(ends)) => {
                    want.clock().sleep(asked_at.until(&ends).min(patience)).await;
                }
                _ => nap().await,
            }
        }
    }

    /// The number of the lease, if it is to be had.
    fn take(&self, name: &str, ttl: Duration) -> Option<u64> {
        let now = SystemClock.now();
        let mut shelf = self.shelf.lock();
        let held = shelf.leases.get(name).is_some_and(|(_, ends)| !now.until(ends).is_zero());
        if held && !self.has(Defect::GrantsToAll) {
            if shelf.let_go.remove(name) {
                shelf.leases.remove(name); // for the next who asks
            }
            return None;
        }
        shelf.last += 1;
        let ttl = match self.defect {
            Defect::NeverEnds => HOUR,
            Defect::EndsEarly if ttl < Duration::from_secs(2) => ttl / 4,
            _ => ttl,
        };
        let id = shelf.last;
        shelf.leases.insert(name.to_owned(), (id, now.after(ttl)));
        Some(id)
    }

    fn longest_wait(&self, want: &LeaseRequest) -> Duration {
        let longest = want.longest_wait();
        match self.defect {
            Defect::NeverWaits => Duration::ZERO,
            Defect::GivesUpEarly if longest < Duration::from_secs(1) => Duration::ZERO,
            Defect::WaitsTooLong if !longest.is_zero() => longest + HOUR,
            _ => longest,
        }
    }

    fn granted(&self, want: &LeaseRequest, asked_at: Now, name: String, id: u64) -> Lease {
        want.granted(asked_at, Box::new(BrokenLease { storage: self.clone(), name, id }))
    }

    fn refusal(&self) -> Error {
        match self.defect {
            Defect::RefusesAsUnsupported => Error::new(ErrorKind::Unsupported, "held"),
            _ => failure("the lease is held"),
        }
    }

    /// Waits in a queue, and keeps the place in it for an asker that is gone.
    async fn queue(&self, name: String, want: &LeaseRequest) -> Result<Lease, Error> {
        let (granted, mut answer) = oneshot::channel();
        let place = self.racers.arrive();
        self.shelf.lock().queues.entry(name.clone()).or_default().push_back((place, granted));
        let started = want.clock().now();
        loop {
            let asked_at = want.clock().now();
            nap().await;
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
                return Ok(self.granted(want, asked_at, name, id));
            }
            if late {
                return Err(self.refusal());
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
        match storage.defect {
            Defect::ReleaseDoesNothing => return,
            Defect::ReleasesWhenAsked if ours => {
                shelf.let_go.insert(self.name.clone());
                return;
            }
            _ => {}
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
            Some((id, _)) if *id == self.id && self.storage.has(Defect::RenewDoesNothing) => {}
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

fn earlier(now: Now, seconds: u64) -> Now {
    let by = Duration::from_secs(seconds);
    Now::new(now.wall() - by, now.mono().saturating_sub(by))
}
