//! Where the work of managers runs: never in a caller's future, never on the ambient runtime.
//!
//! A caller that is dropped in the middle of a token request would take a rotated refresh token with
//! it, and so would a runtime that is shut down. One thread of our own outlives both.

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};

use crate::error::{Error, ErrorKind};

/// A runtime that token requests, storage calls and timers run on.
#[derive(Clone, Debug)]
pub(crate) enum Driver {
    /// One thread for the whole process, started when it is first needed.
    Process,
    /// A runtime that the user keeps alive.
    Given(Handle),
}

impl Driver {
    /// The runtime; starts the thread if need be.
    pub(crate) fn handle(&self) -> Result<Handle, Error> {
        match self {
            Self::Given(handle) => Ok(handle.clone()),
            Self::Process => process_handle(),
        }
    }
}

fn process_handle() -> Result<Handle, Error> {
    /// The process that the thread was started in: a child made by `fork` has no threads, and gets
    /// one of its own.
    static PROCESS: Mutex<Option<(u32, Handle)>> = Mutex::new(None);

    let mut process = PROCESS.lock();
    if let Some((id, handle)) = &*process
        && *id == std::process::id()
    {
        return Ok(handle.clone());
    }
    let cannot = |what, source| Error::new(ErrorKind::Internal, what).with_source(source);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| cannot("the runtime for token requests could not be built", source))?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("tokenkeeper".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(|source| cannot("the thread for token requests could not be started", source))?;
    // The handle of the parent is never dropped: what it would let go of belongs to its threads.
    std::mem::forget(process.replace((std::process::id(), handle.clone())));
    Ok(handle)
}
