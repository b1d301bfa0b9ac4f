//! The thread that connections live on.
//!
//! What reads a connection is a task of the runtime that opened it. Were that the runtime of the first
//! caller, the connection would die with it, and would stand still while a provider on it computes:
//! every other caller would wait for an answer that has long come. So connections have a runtime of
//! their own, which does nothing else. It is started with the first connection, and once more in a
//! child that was forked, which has the memory of its parent and none of its threads.

use parking_lot::Mutex;
use redis::{ErrorKind, RedisError};
use tokio::runtime::{Builder, Handle};

/// Runs the work there.
///
/// # Cancel safety
///
/// What was begun ends with the caller that gave it up.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, RedisError> {
    let task = handle()?.spawn(work);
    let abort = AbortOnDrop(task.abort_handle());
    let done = task.await;
    drop(abort);
    done.map_err(|_| failed("the thread of its connections ended"))
}

/// Starts the work there; nobody waits for it.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(home) = handle() {
        home.spawn(work);
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort(); // does nothing to what is done
    }
}

fn handle() -> Result<Handle, RedisError> {
    let mut home = HOME.lock();
    let process = std::process::id();
    if let Some((of, handle)) = home.as_ref()
        && *of == process
    {
        return Ok(handle.clone());
    }
    let handle = start().map_err(|_| failed("no thread could be started for its connections"))?;
    *home = Some((process, handle.clone()));
    Ok(handle)
}

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("tokenkeeper-redis".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

fn failed(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Client, what))
}

static HOME: Mutex<Option<(u32, Handle)>> = Mutex::new(None);
