//! The defects of versions.

use tokenkeeper::{
    CasOutcome, ChangeNotices, Error, Lease, LeaseRequest, SharedTokenStorage, StorageKey,
    TokenRecord, Version, async_trait,
};

use super::meeting::is_racing;
use super::{Broken, Defect, Entry, PAGE, invented};

#[async_trait]
impl SharedTokenStorage for Broken {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let writes = self.writes.so_far();
        let Some(mut found) = self.read(key) else {
            let invents = self.has(Defect::LoadsInvented)
                || self.has(Defect::LoadsInventedUnknown) && !self.knows(key);
            return Ok(invents.then(|| (version_of(0), invented())));
        };
        match self.defect {
            Defect::TornLoad if is_racing() => {
                self.writes.more_than(writes).await;
                found.version = self.read(key).map_or(found.version, |now| now.version);
            }
            Defect::LoadsAnotherVersion => found.version = self.another_number(),
            Defect::LoadNamesVersionsAnew => {
                let mut name = version_of(found.version).as_bytes().to_vec();
                name.extend(self.another_number().to_be_bytes());
                return Ok(Some((Version::new(name), found.record)));
            }
            Defect::LoadSkipsTombstones if found.record.is_tombstone() && !found.by_cas => {
                return Ok(None);
            }
            _ => {}
        }
        Ok(Some(given(found)))
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.wait_while_leased(key).await;
        let whole = self.writing.lock().await;
        let plain_writes = self.plain_writes.so_far();
        let there = self.look_or_read(key);
        if !self.holds(there.as_ref(), expected) {
            return Ok(self.conflict(key, there));
        }
        let goes_by_an_old_look = match (self.defect, there) {
            (Defect::RacyAdd, None) | (Defect::RacyCompareAndSet, _) if is_racing() => {
                drop(whole);
                self.racers.meet().await
            }
            // Once is enough, and most rules have no set to wait for.
            (Defect::CasMissesSets, _) if is_racing() && self.racers.arrive() == 1 => {
                self.plain_writes.more_than(plain_writes).await
            }
            (Defect::TornCasWhenDropped, Some(there)) if record.payload().len() > PAGE => {
                self.write_in_halves(key, &there, record).await;
                true
            }
            _ => false,
        };
        let _step = self.step.lock();
        let there = self.look_or_read(key);
        if !goes_by_an_old_look && !self.holds(there.as_ref(), expected) {
            return Ok(self.conflict(key, there));
        }
        Ok(CasOutcome::Stored(version_of(self.write(key, record, true))))
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.lease_of(key, want).await
    }

    fn notices(&self, _key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        self.listen()
    }
}

impl Broken {
    fn another_number(&self) -> u64 {
        let mut shelf = self.shelf.lock();
        shelf.last += 1;
        shelf.last
    }

    fn look_or_read(&self, key: &StorageKey) -> Option<Entry> {
        match self.defect {
            Defect::ExpiredStandInTheWay => self.look(key),
            _ => self.read(key),
        }
    }

    fn conflict(&self, key: &StorageKey, there: Option<Entry>) -> CasOutcome {
        let grave = match self.defect {
            Defect::ConflictNamesTheDeleted => {
                self.shelf.lock().graves.get(&self.name(key)).cloned()
            }
            _ => None,
        };
        CasOutcome::Conflict(there.or(grave).map(given))
    }

    /// Whether what is there is what was expected.
    fn holds(&self, there: Option<&Entry>, expected: Option<&Version>) -> bool {
        let Some(there) = there else {
            return expected.is_none() || self.has(Defect::StoresOverNothing);
        };
        let Some(expected) = expected else {
            let over_tombstones = self.has(Defect::AddsOverTombstones);
            return self.has(Defect::AddsOverRecords)
                || over_tombstones && there.record.is_tombstone();
        };
        let version = version_of(there.version);
        match self.defect {
            Defect::IgnoresExpected => true,
            Defect::SetsCannotBeReplaced if !there.by_cas => false,
            Defect::AcceptsForeignVersions if expected.as_bytes().len() != 8 => true,
            Defect::LoadNamesVersionsAnew => expected.as_bytes().starts_with(version.as_bytes()),
            _ => version == *expected,
        }
    }
}

fn given(entry: Entry) -> (Version, TokenRecord) {
    (version_of(entry.version), entry.record)
}

fn version_of(number: u64) -> Version {
    Version::new(number.to_be_bytes())
}
