//! Leases: a key with a random owner and a time to live.
//!
//! A lease ends by being released or by its time, never because its holder went away. A holder that
//! is killed or dropped may have a request under way, and a sibling that spends the same refresh
//! token at the same moment looks to the service like a thief.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};
use tokenkeeper::{Error, ErrorKind, Lease, LeaseHandle, LeaseRequest};

use crate::failure::Failure;
use crate::home;
use crate::keys::Names;
use crate::link::{Ask, Link};
use crate::scripts;
use crate::stored_value::random_name;

/// Asks again and again until the lease is free or the asker's patience is over.
pub(crate) async fn wait_for(
    link: &Arc<Link>,
    names: Names,
    want: &LeaseRequest,
) -> Result<Lease, Error> {
    let clock = want.clock();
    let started = clock.now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let asked_at = clock.now();
        if let Some(lease) = Attempt::new(link, &names)?.take(want.ttl()).await? {
            return Ok(want.granted(asked_at, Box::new(lease)));
        }
        let patience = want.longest_wait().saturating_sub(clock.now().since(&started));
        if patience.is_zero() {
            let what = format!(
                "cannot get the lease {}: another process holds it, and lets go of it within its \
                 lease time",
                names.lease()
            );
            return Err(Error::new(ErrorKind::Storage, what));
        }
        // Drawn anew each time, so that a fleet that started together does not ask together.
        let drawn = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        clock.sleep(drawn.min(patience)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt to take a lease, which leaves nothing behind if its asker is dropped meanwhile.
struct Attempt {
    holder: Option<RedisLease>,
    record: String,
}

impl Attempt {
    fn new(link: &Arc<Link>, names: &Names) -> Result<Self, Error> {
        let (link, name, owner) = (Arc::clone(link), names.lease(), random_name()?);
        let holder = Some(RedisLease { link, name, owner });
        Ok(Self { holder, record: names.record.clone() })
    }

    /// The lease, unless somebody else has it.
    async fn take(mut self, ttl: Duration) -> Result<Option<RedisLease>, Error> {
        let Some(holder) = &self.holder else { return Ok(None) };
        let mut take = scripts::run_on(scripts::LEASE, &[&self.record, &holder.name]);
        take.arg(&holder.owner).arg(millis(ttl));
        let is_ours = match holder.send(take).await {
            Ok(Value::Nil) => true,
            Ok(Value::BulkString(owner)) => owner == holder.owner.as_bytes(),
            Ok(_) => return Err(holder.failed(NOT_LEASED, Failure::Nonsense)),
            Err(failure) => return Err(holder.failed(NOT_LEASED, failure)),
        };
        Ok(self.holder.take().filter(|_| is_ours))
    }
}

/// If the answer was not waited for or did not come, Redis may have granted the lease to nobody, who
/// cannot have spent anything: it is given back.
impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(holder) = self.holder.take() {
            home::spawn(async move { drop(Box::new(holder).release().await) });
        }
    }
}

struct RedisLease {
    link: Arc<Link>,
    name: String,
    owner: String,
}

impl RedisLease {
    async fn send(&self, command: Cmd) -> Result<Value, Failure> {
        let ask = || Ok(Ask::new(command.clone()));
        self.link.call(ask).await
    }

    /// Whether a script that asks for the owner first found that it is us.
    async fn run(&self, script: Cmd) -> Result<bool, Failure> {
        match self.send(script).await? {
            Value::Int(done) => Ok(done == 1),
            _ => Err(Failure::Nonsense),
        }
    }

    fn failed(&self, doing: &str, failure: Failure) -> Error {
        failure.into_error(doing, &self.name, &self.link.server())
    }
}

impl fmt::Debug for RedisLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLease").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl LeaseHandle for RedisLease {
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error> {
        let mut renew = scripts::run(scripts::RENEW, &self.name);
        renew.arg(&self.owner).arg(millis(ttl));
        match self.run(renew).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let what = format!("cannot renew the lease {}: it is no longer ours", self.name);
                Err(Error::new(ErrorKind::Storage, what))
            }
            Err(failure) => Err(self.failed("cannot renew the lease", failure)),
        }
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        let mut release = scripts::run(scripts::RELEASE, &self.name);
        release.arg(&self.owner);
        let released = self.run(release).await;
        released.map(|_| ()).map_err(|failure| self.failed("cannot release the lease", failure))
    }
}

/// At least one: Redis takes no time to live of nothing.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST_TTL)
}

const NOT_LEASED: &str = "cannot get the lease";
const SHORTEST_PAUSE: Duration = Duration::from_millis(20); // an exchange takes longer than that
const LONGEST_PAUSE: Duration = Duration::from_millis(160); // 32 processes ask 270 times a second
const LONGEST_TTL: u64 = 1 << 53;
