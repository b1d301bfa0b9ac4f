//! The lease of an exchange whose tokens did not get into the storage yet.
//!
//! While the refresh token that it spent is still stored, nobody else may spend it again. This
//! process may go on, and the lease is for whichever of its flights wants one next, also for one
//! that is already waiting: to the storage they are the same process, and it would wait for itself.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::shared_storage::Lease;

#[derive(Debug, Default)]
pub(crate) struct KeptLease {
    lease: Mutex<Option<Lease>>,
    kept: Notify,
}

impl KeptLease {
    /// The lease, if there is one that lasts.
    pub(crate) fn take(&self) -> Option<Lease> {
        let lease = self.lease.lock().take()?;
        if lease.remaining().is_zero() {
            drop(lease); // outside the lock, because the backend hears of it
            return None;
        }
        Some(lease)
    }

    /// Waits for a lease to be kept, and takes it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken, and others who wait are not forgotten.
    pub(crate) async fn next(&self) -> Lease {
        loop {
            let kept = self.kept.notified();
            if let Some(lease) = self.take() {
                return lease;
            }
            kept.await;
        }
    }

    /// Keeps a lease, unless the one that is kept lasts longer. What is not kept comes back, to be
    /// dropped outside every lock, because the backend hears of it.
    pub(crate) fn keep(&self, lease: Lease) -> Option<Lease> {
        let mut kept = self.lease.lock();
        let lasts_longer = kept.as_ref().is_none_or(|k| k.ends().mono() < lease.ends().mono());
        let other = if lasts_longer { kept.replace(lease) } else { Some(lease) };
        drop(kept);
        self.kept.notify_one();
        other
    }
}
