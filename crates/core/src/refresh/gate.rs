//! The last look before a request is written: the lease must last for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::provider::SendGate;
use crate::shared_storage::Lease;

/// Lets a request out only while the lease lasts for it and for the write after it.
#[derive(Debug)]
pub(super) struct LeaseGate {
    ends: Option<Now>,
    reserve: Duration,
    refused: AtomicBool,
}

impl LeaseGate {
    pub(super) fn new(lease: Option<&Lease>, reserve: Duration) -> Self {
        Self { ends: lease.map(Lease::ends), reserve, refused: AtomicBool::new(false) }
    }

    pub(super) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl SendGate for LeaseGate {
    fn check(&self, now: &Now) -> Result<(), Error> {
        match self.ends {
            Some(ends) if now.until(&ends) <= self.reserve => {
                self.refused.store(true, Ordering::Relaxed);
                let what = "the lease is nearly over, so the request was not sent";
                Err(Error::new(ErrorKind::Storage, what))
            }
            _ => Ok(()),
        }
    }
}
