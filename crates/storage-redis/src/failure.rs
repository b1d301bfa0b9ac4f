//! What a failed call says: what was wanted, of which key, at which server, and what to do.
//!
//! Nothing that a server wrote is repeated except its error code: servers quote the arguments of
//! commands that they do not understand, and ours are passwords and records.

use std::time::Duration;

use redis::{ErrorKind as RedisKind, RedisError, ServerErrorKind};
use tokenkeeper::{Error, ErrorKind};
use tokio::time::Instant;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// None came in time.
    Late(Duration),
    /// This process looked so long after the time was over that it cannot tell.
    Busy { limit: Duration, late: Duration },
    /// The server refused, or the connection did not live long enough.
    Refused(RedisError),
    /// An answer that the command never gives.
    Nonsense,
    /// The primary has it, but not as many replicas as were asked for.
    Unconfirmed { wanted: usize, confirmed: usize, within: Duration },
    /// It failed before anything was sent.
    Unsent(Error),
}

impl Failure {
    /// For a call whose time, `limit`, was over at the deadline.
    ///
    /// A runtime that is kept from its work by something that computes or blocks notices that late,
    /// and whatever Redis answered meanwhile too: that is no fault of Redis.
    pub(crate) fn late(limit: Duration, deadline: Instant) -> Self {
        let late = deadline.elapsed();
        if late >= BUSY { Self::Busy { limit, late } } else { Self::Late(limit) }
    }

    /// The whole error. `doing` is "cannot load" or the like, `name` what it was in Redis.
    pub(crate) fn into_error(self, doing: &str, name: &str, server: &str) -> Error {
        let why = match self {
            Self::Unsent(error) => return error,
            Self::Late(limit) => {
                format!(
                    "no answer from Redis at {server} within {limit:?}, so a write may have happened"
                )
            }
            Self::Busy { limit, late } => format!(
                "this process was busy for {:.1} s, so what Redis at {server} answered was not read \
                 within {limit:?}, and a write may have happened; keep what computes or blocks off \
                 the runtime that asks for tokens (spawn_blocking), or give it more CPU",
                late.as_secs_f64()
            ),
            Self::Refused(error) => format!("Redis at {server} {}", complaint(&error)),
            Self::Nonsense => {
                format!(
                    "Redis at {server} gave an answer that is none; check that it is Redis 7 or Valkey"
                )
            }
            Self::Unconfirmed { wanted, confirmed, within } => format!(
                "Redis at {server} has it, but only {confirmed} of {wanted} replicas confirmed it \
                 within {within:?}, so a failover may lose it; check the replication"
            ),
        };
        // What comes behind the last semicolon is what to do.
        match why.rsplit_once("; ") {
            Some((why, advice)) => Error::new(ErrorKind::Storage, format!("{doing} {name}: {why}"))
                .with_advice(advice.to_owned()),
            None => Error::new(ErrorKind::Storage, format!("{doing} {name}: {why}")),
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Refused(error)
    }
}

/// What the server or the connection did, as the end of a sentence that begins with the server.
fn complaint(error: &RedisError) -> String {
    let text = match error.kind() {
        RedisKind::Io => return io_complaint(error),
        RedisKind::AuthenticationFailed => {
            "refused the user name or password; correct them in the URL or the builder"
        }
        RedisKind::Server(kind) => match server_complaint(kind) {
            Some(text) => text,
            None => return other_complaint(error),
        },
        RedisKind::Extension => return extension_complaint(error),
        RedisKind::Parse => "sent something that is not the protocol of Redis; check host and port",
        RedisKind::RESP3NotSupported => "knows no RESP3; take `protocol` out of the URL",
        RedisKind::ClusterConnectionNotFound => "has no node of its cluster that can be reached",
        _ => return other_complaint(error),
    };
    text.to_owned()
}

fn io_complaint(error: &RedisError) -> String {
    if error.is_connection_refusal() {
        return "cannot be reached; see that it is running, and that host and port are right"
            .to_owned();
    }
    // Texts of the operating system, of the resolver and of TLS, none of which knows what was sent.
    format!("cannot be reached, or the connection broke: {error}").replace("; ", ", ")
}

fn server_complaint(kind: ServerErrorKind) -> Option<&'static str> {
    Some(match kind {
        ServerErrorKind::BusyLoading => "is still loading its data; ask again",
        ServerErrorKind::ReadOnly => {
            "is a read-only replica (READONLY), so nothing was written; connect to the primary"
        }
        ServerErrorKind::Moved
        | ServerErrorKind::Ask
        | ServerErrorKind::CrossSlot
        | ServerErrorKind::TryAgain => {
            "is a node of a Redis Cluster; build the storage with RedisStorage::cluster (feature \
             `cluster`)"
        }
        ServerErrorKind::ClusterDown => "says that its cluster is down (CLUSTERDOWN)",
        ServerErrorKind::MasterDown => "is a replica that lost its primary (MASTERDOWN)",
        ServerErrorKind::NoPerm => NOT_ALLOWED,
        _ => return None,
    })
}

fn extension_complaint(error: &RedisError) -> String {
    let text = match error.code() {
        Some("WRONGTYPE") => {
            "has something else under this key (WRONGTYPE), which was left alone; remove it or \
             choose another key prefix"
        }
        Some("OOM") => {
            "is out of memory (OOM), so nothing was written; raise its maxmemory or make room"
        }
        Some("NOAUTH") => "wants a password; give it in the URL or to the builder",
        Some("WRONGPASS") => {
            "refused the user name or password; correct them in the URL or the builder"
        }
        Some("MISCONF") => {
            "refuses writes because it cannot save to its disk (MISCONF); see its log"
        }
        Some("NOREPLICAS") => "refuses writes because it has too few good replicas (NOREPLICAS)",
        Some("BUSY") => "is busy with a script of somebody else (BUSY)",
        Some("UNBLOCKED") => {
            "was made a replica meanwhile (UNBLOCKED), so a write may have happened"
        }
        _ => return other_complaint(error),
    };
    text.to_owned()
}

/// For what has no text of its own here: the code of the server, if it looks like one.
fn other_complaint(error: &RedisError) -> String {
    let said = error.detail().unwrap_or_default();
    if said.contains("user executing the script can't") {
        return NOT_ALLOWED.to_owned(); // what Redis 7.0 says in the place of NOPERM within a script
    }
    if let Some(known) = KNOWN_DETAILS.iter().find(|known| said.contains(**known)) {
        return format!("answered: {known}");
    }
    match error.code() {
        Some(code) if code.len() <= 20 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
            format!("answered with the error {code}; see its log")
        }
        _ => format!("could not be used ({})", error.category()),
    }
}

/// Timers are late by milliseconds; by so much only where nothing ran that could have looked.
const BUSY: Duration = Duration::from_millis(500);

const NOT_ALLOWED: &str = "does not let this user do that (NOPERM); allow the commands, keys and \
                           channels that the documentation of tokenkeeper-storage-redis lists";

/// Texts of Redis that help, and quote nothing.
const KNOWN_DETAILS: &[&str] = &[
    "max number of clients reached",
    "DB index is out of range",
    "AUTH <password> called without any password configured",
    "unknown command",
    "invalid expire time",
];

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;
    use crate::RedisStorage;

    fn text(failure: Failure) -> String {
        failure.into_error("cannot load", "tokenkeeper:{a}", "127.0.0.1:6379").to_string()
    }

    #[test]
    fn an_error_names_what_was_wanted_the_key_the_server_and_the_next_step() {
        let error = make_extension_error("OOM".to_owned(), None);

        assert_eq!(
            text(error.into()),
            "cannot load tokenkeeper:{a}: Redis at 127.0.0.1:6379 is out of memory (OOM), so \
             nothing was written; raise its maxmemory or make room"
        );
    }

    #[tokio::test]
    async fn a_process_that_was_busy_does_not_blame_redis() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", silent.local_addr().unwrap());
        let storage =
            RedisStorage::builder(&url).timeout(Duration::from_millis(50)).build().unwrap();
        let computes = async {
            tokio::task::yield_now().await;
            std::thread::sleep(BUSY * 2); // keeps the only thread of this runtime
        };

        let (answer, ()) = tokio::join!(storage.ping(), computes);

        let error = answer.unwrap_err().to_string();
        assert!(error.contains("this process was busy for"), "{error}");
        assert!(!error.contains("no answer from Redis"), "{error}");
        let idle = storage.ping().await.unwrap_err().to_string();
        assert!(idle.contains("no answer from Redis"), "{idle}");
    }

    #[test]
    fn what_a_server_quotes_is_not_repeated() {
        for code in ["ERR", "planted", "PLANTED TOO", "OOM", "WRONGTYPE", "NOAUTH"] {
            let detail = "unknown command 'AUTH', with args beginning with: 'planted'".to_owned();
            let error = make_extension_error(code.to_owned(), Some(detail));
            let shown = format!("{:?}", Failure::from(error).into_error("cannot load", "k", "s"));
            assert!(!shown.to_lowercase().contains("planted"), "{shown}");
        }
    }
}
