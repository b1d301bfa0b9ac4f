//! A Redis of a test's own, to be killed, stopped, filled and restarted.
//!
//! It must not outlive its test, not even one that is killed, so it runs under a small shell that
//! waits for the end of a pipe from here and then kills it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use redis::FromRedisValue;
use tempfile::TempDir;

use crate::server_setting;

/// A `redis-server` on a free port of 127.0.0.1 that keeps nothing on disk. It ends with this value.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    options: Vec<String>,
    process: Option<Process>,
    folder: TempDir,
}

#[derive(Debug)]
struct Process {
    keeper: Child,
    id: String,
}

impl RedisServer {
    /// Starts a server with its usual options.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more options, `["--maxmemory", "1mb"]` and the like.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        for _ in 0..3 {
            let folder = tempfile::tempdir().expect("a folder");
            let (port, options) = (free_port(), options.clone());
            let mut server = Self { port, options, process: None, folder };
            if server.spawn() {
                return server;
            }
        }
        panic!("redis-server does not start with {options:?}")
    }

    /// Where it is, or will be again after [`restart`](Self::restart).
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as `kill -9` does; whatever it held is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it anew on the same port, empty, and with the same options.
    ///
    /// # Panics
    ///
    /// When it does not start: somebody may have taken the port.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "redis-server does not start again on port {}", self.port);
    }

    /// Makes it stand still, with its connections open, until [`go_on`](Self::go_on).
    pub fn stand_still(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Runs a command on a connection of its own.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_run(command).expect("an answer of the right type")
    }

    fn try_run<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(5))?;
        let (name, arguments) = command.split_first().expect("a command");
        redis::cmd(name).arg(arguments).query(&mut connection)
    }

    fn spawn(&mut self) -> bool {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper", &server_setting("TOKENKEEPER_REDIS_SERVER")]);
        keeper.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        keeper.args(["--save", "", "--appendonly", "no"]).args(&self.options);
        keeper.current_dir(&self.folder); // a cluster node writes down what it knows of the others
        let mut keeper =
            keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut id = String::new();
        let output = keeper.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut id).expect("the process id");
        self.process = Some(Process { keeper, id: id.trim().to_owned() });
        self.is_ready()
    }

    /// Whether it answers: a password that it wants is an answer too.
    fn is_ready(&self) -> bool {
        for _ in 0..READY_ATTEMPTS {
            match self.try_run::<String>(&["PING"]) {
                Ok(_) => return true,
                Err(error) if error.code().is_some() => return true,
                Err(_) => pause(),
            }
        }
        false
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("a server that runs");
        let sent = Command::new("kill").args([signal, &process.id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {signal}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// One that leaves room for the second port of a cluster node, which is 10000 higher.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if port < u16::MAX - 10_000 {
            return port;
        }
    }
}

fn pause() {
    thread::sleep(Duration::from_millis(20));
}

const READY_ATTEMPTS: usize = 500; // ten seconds; it takes one attempt or two

/// `$@` is the server.
const KEEPER: &str = r#"
"$@" > /dev/null 2>&1 & server=$!
echo "$server"
cat > /dev/null
kill -9 "$server"; wait "$server" 2> /dev/null
"#;
