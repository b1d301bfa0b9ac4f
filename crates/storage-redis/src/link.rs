//! The connection: opened when it is first needed, shared by all calls, replaced when it breaks.
//!
//! `redis` has a connection manager of its own. It wants a runtime when it is made, keeps an error
//! of the handshake (a wrong password, a server that is still loading) for good, and lets one call
//! fail for every connection that broke while nobody used it. Here making a storage does nothing,
//! a broken connection is noticed and replaced within the call, and an attempt that failed leaves
//! nothing behind.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value};
use tokio::time::{Instant, sleep, timeout_at};

use crate::failure::Failure;
use crate::home;

/// How to get to the server, and the connection to it if there is one.
pub(crate) struct Link {
    target: Target,
    /// The longest that a call may take, whatever it has to do.
    limit: Duration,
    open: Mutex<Option<Open>>,
    /// Held by the call that opens a connection; the others wait for it instead of opening theirs.
    opening: tokio::sync::Mutex<u64>,
}

/// Where the connections go.
pub(crate) enum Target {
    Single(Box<Client>),
    #[cfg(feature = "cluster")]
    Cluster(std::sync::Arc<crate::cluster::Cluster>),
}

#[derive(Clone)]
struct Open {
    connection: Connection,
    /// Tells one connection from the next, so that nobody throws away its successor.
    number: u64,
    /// The process that opened it. One that was forked since has a copy that answers nobody.
    process: u32,
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

/// A command, and who has to confirm it.
pub(crate) struct Ask {
    command: Cmd,
    confirmed_by: Option<(Replicas, String)>,
}

impl Ask {
    pub(crate) fn new(command: Cmd) -> Self {
        Self { command, confirmed_by: None }
    }

    /// Asks for the word of replicas on what the command writes under the key.
    pub(crate) fn confirmed_by(self, replicas: Option<Replicas>, key: &str) -> Self {
        Self { confirmed_by: replicas.map(|replicas| (replicas, key.to_owned())), ..self }
    }
}

/// How many replicas have to confirm a write, and within which time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) wanted: usize,
    pub(crate) within: Duration,
}

impl Link {
    pub(crate) fn new(target: Target, limit: Duration) -> Self {
        Self { target, limit, open: Mutex::new(None), opening: tokio::sync::Mutex::new(0) }
    }

    /// The server as it may be shown: host and port, no more.
    pub(crate) fn server(&self) -> String {
        match &self.target {
            Target::Single(client) => client.get_connection_info().addr().to_string(),
            #[cfg(feature = "cluster")]
            Target::Cluster(cluster) => cluster.nodes(),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        !matches!(self.target, Target::Single(_))
    }

    /// When calls that begin now have to be over.
    pub(crate) fn deadline(&self) -> Instant {
        deadline_in(self.limit)
    }

    /// Sends what `ask` makes, and once more what it makes then if the connection turns out to be
    /// broken: nobody can tell whether the first command arrived, so it has to be one that may.
    pub(crate) async fn call(
        &self,
        ask: impl FnMut() -> Result<Ask, Failure> + Send,
    ) -> Result<Value, Failure> {
        self.call_until(self.deadline(), ask).await
    }

    /// The same as a part of something that takes several calls.
    pub(crate) async fn call_until(
        &self,
        deadline: Instant,
        mut ask: impl FnMut() -> Result<Ask, Failure> + Send,
    ) -> Result<Value, Failure> {
        let mut number = None;
        match timeout_at(deadline, self.call_or_repeat(&mut ask, &mut number)).await {
            Ok(answer) => answer,
            Err(_) => {
                // A connection that hangs may hang for ever, and what waits on it goes with it.
                self.discard(number);
                Err(Failure::late(self.limit, deadline))
            }
        }
    }

    async fn call_or_repeat(
        &self,
        ask: &mut (impl FnMut() -> Result<Ask, Failure> + Send),
        number: &mut Option<u64>,
    ) -> Result<Value, Failure> {
        let mut repeated = false;
        loop {
            let mut open = self.connection().await?;
            *number = Some(open.number);
            match open.connection.send(&ask()?).await {
                Err(Failure::Refused(error)) if is_broken(&error) => {
                    self.discard(*number);
                    if repeated {
                        return Err(Failure::Refused(error));
                    }
                    repeated = true;
                }
                answer => return answer,
            }
        }
    }

    async fn connection(&self) -> Result<Open, RedisError> {
        if let Some(open) = self.open_here() {
            return Ok(open);
        }
        let mut opened = self.opening.lock().await;
        if let Some(open) = self.open_here() {
            return Ok(open); // another call was here first
        }
        let connection = self.target.connect().await?;
        *opened += 1;
        let open = Open { connection, number: *opened, process: std::process::id() };
        *self.open.lock() = Some(open.clone());
        Ok(open)
    }

    fn open_here(&self) -> Option<Open> {
        self.open.lock().clone().filter(|open| open.process == std::process::id())
    }

    fn discard(&self, number: Option<u64>) {
        let mut open = self.open.lock();
        if open.as_ref().map(|open| open.number) == number {
            *open = None;
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("server", &self.server())
            .field("limit", &self.limit)
            .field("connected", &self.open.lock().is_some())
            .finish()
    }
}

impl Target {
    async fn connect(&self) -> Result<Connection, RedisError> {
        match self {
            Self::Single(client) => {
                // Time is limited by the call, which includes this.
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(None)
                    .set_response_timeout(None);
                let client = client.clone();
                let connecting = async move {
                    client.get_multiplexed_async_connection_with_config(&config).await
                };
                Ok(Connection::Single(home::run(Box::pin(connecting)).await??))
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                let cluster = std::sync::Arc::clone(cluster);
                let connecting = async move { cluster.connect().await };
                Ok(Connection::Cluster(home::run(connecting).await??))
            }
        }
    }
}

impl Connection {
    async fn send(&mut self, ask: &Ask) -> Result<Value, Failure> {
        #[cfg_attr(
            not(feature = "cluster"),
            expect(unused_variables, reason = "a cluster wants it")
        )]
        let Some((replicas, key)) = &ask.confirmed_by else {
            let answer = match self {
                Self::Single(connection) => connection.req_packed_command(&ask.command).await,
                #[cfg(feature = "cluster")]
                Self::Cluster(connection) => connection.req_packed_command(&ask.command).await,
            };
            return Ok(answer?.extract_error()?);
        };
        // Together, so that being sure costs no second round trip.
        let mut both = Pipeline::with_capacity(2);
        both.add_command(ask.command.clone()).add_command(replicas.command());
        let answers = match self {
            Self::Single(connection) => connection.req_packed_commands(&both, 0, 2).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => crate::cluster::send_both(connection, both, key).await,
        };
        let Ok([answer, count]) = <[Value; 2]>::try_from(answers?) else {
            return Err(Failure::Nonsense);
        };
        replicas.confirm(answer, count)
    }
}

impl Replicas {
    fn command(self) -> Cmd {
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.wanted)
            .arg(u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX).max(1));
        wait
    }

    /// The answer, unless it is that of a write that too few replicas have confirmed.
    fn confirm(self, answer: Value, count: Value) -> Result<Value, Failure> {
        let answer = answer.extract_error()?;
        let wrote = matches!(answer, Value::Int(_)); // now, or when it came for the first time
        match count.extract_error()? {
            Value::Int(count) if wrote => {
                let confirmed = usize::try_from(count).unwrap_or(0);
                if confirmed >= self.wanted {
                    return Ok(answer);
                }
                Err(Failure::Unconfirmed { wanted: self.wanted, confirmed, within: self.within })
            }
            Value::Int(_) => Ok(answer), // nothing was written
            _ => Err(Failure::Nonsense),
        }
    }
}

/// When what begins now and may take so long has to be over.
#[expect(clippy::disallowed_methods, reason = "it is asked for its end, and never waited for")]
pub(crate) fn deadline_in(limit: Duration) -> Instant {
    sleep(limit).deadline() // unlike a sum, not past the end of time, whatever the limit
}

/// Whether another connection may do better: this one is gone, or leads to a server that was a
/// primary when it was opened, and its name may lead to the new one by now.
fn is_broken(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};

    error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Io | ErrorKind::Server(ServerErrorKind::ReadOnly))
}
