//! Real servers, started for the tests and always stopped.
//!
//! A server must not outlive the check, not even one that was killed with `kill -9`, and safe Rust
//! cannot ask the kernel for that. So every server runs under a small shell that waits for the end of
//! its own standard input, which is a pipe from here: however this process ends, the pipe closes, and
//! the shell kills the server and deletes the folder it ran in.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::steps::now;
use crate::workspace::Workspace;

pub(crate) mod client_keys;
pub(crate) mod fake_server;
pub(crate) mod glewlwyd;
mod http;
pub(crate) mod keycloak;
pub(crate) mod node;
pub(crate) mod oidc_provider;
pub(crate) mod python;
pub(crate) mod redis;
pub(crate) mod session_bus;

/// A running server that listens on a port, which ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    kept: Kept,
    port: u16,
}

/// How a server shows that it is ready.
#[derive(Clone, Copy, Debug)]
enum Ready {
    /// It answers a GET of this path with 200.
    Get(&'static str),
    /// It answers PING with PONG, as Redis does.
    Pong,
    /// It says that it has all that its primary has, as a replica of Redis does.
    Replicates,
}

impl Server {
    /// Starts `command` in `folder`, which is the server's own and goes away with it, and waits until
    /// it is ready.
    fn start(command: &Command, folder: PathBuf, port: u16, ready: Ready) -> Result<Self> {
        Self::start_within(READY_WITHIN, command, folder, port, ready)
    }

    /// The same for a server that takes its time.
    fn start_within(
        limit: Duration,
        command: &Command,
        folder: PathBuf,
        port: u16,
        ready: Ready,
    ) -> Result<Self> {
        let server = Self { kept: Kept::start(command, folder)?, port };
        server.wait_until(ready, limit).inspect_err(|_| server.print_log())?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Shows what the server wrote; for when something went wrong.
    pub(crate) fn print_log(&self) {
        self.kept.print_log();
    }

    fn wait_until(&self, ready: Ready, limit: Duration) -> Result<()> {
        let start = now();
        loop {
            match ready.look(self.port) {
                Ok(()) => return Ok(()),
                Err(last) if start.elapsed() > limit => {
                    bail!("port {} is not ready after {limit:?}: {last:#}", self.port);
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Ready {
    fn look(self, port: u16) -> Result<()> {
        match self {
            Self::Get(path) => {
                let status = http::get(port, path)?.status;
                ensure!(status == 200, "{path} gives {status}");
            }
            Self::Pong => {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
                stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                stream.write_all(b"PING\r\n")?;
                let mut answer = [0; 7];
                stream.read_exact(&mut answer)?;
                ensure!(&answer == b"+PONG\r\n", "PING gives {}", answer.escape_ascii());
            }
            Self::Replicates => {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
                stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                stream.write_all(b"INFO replication\r\nQUIT\r\n")?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                ensure!(answer.contains("master_link_status:up"), "it has no primary yet");
            }
        }
        Ok(())
    }
}

/// A program that runs in a folder of its own, and ends with this value together with the folder.
#[derive(Debug)]
struct Kept {
    keeper: Child,
    folder: PathBuf,
}

impl Kept {
    /// Starts `command` in `folder`.
    fn start(command: &Command, folder: PathBuf) -> Result<Self> {
        let log = File::create(folder.join(LOG)).context("cannot create the log of a server")?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&folder);
        keeper.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                keeper.env(name, value);
            }
        }
        keeper.current_dir(&folder).stdin(Stdio::piped());
        keeper.stdout(log.try_clone()?).stderr(log);
        // A group of its own: Ctrl-C is for us, and the keeper must live to clean up.
        let keeper = keeper.process_group(0).spawn().context("cannot start a server")?;
        Ok(Self { keeper, folder })
    }

    fn print_log(&self) {
        let mut text = Vec::new();
        if let Ok(mut log) = File::open(self.folder.join(LOG)) {
            let _ = log.read_to_end(&mut text);
        }
        println!("--- log of {}\n{}---", self.folder.display(), String::from_utf8_lossy(&text));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A folder for one run of a server. Its name holds our process id, so that two checks at a time keep
/// apart.
fn run_folder(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.ignored("run")?.join(format!("{name}-{}", process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The folder in the repository that describes a server.
fn recipe(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root().join("tests/servers").join(name)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A port that was free a moment ago. Another program may take it before the server does; then the server
/// does not get ready, and its log says so.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

const LOG: &str = "log";
const READY_WITHIN: Duration = Duration::from_secs(30); // most take under a second on an idle machine

/// `$1` is the folder, the rest the server. Killed at once: it holds nothing worth saving.
const KEEPER: &str = r#"
folder=$1; shift
"$@" & server=$!
cat > /dev/null
kill -9 "$server"; wait "$server"
cd / && rm -rf "$folder"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// The pipe closes when its owner is killed, too; that is why it is the pipe that counts.
    #[test]
    fn a_server_and_its_folder_end_with_the_pipe() {
        let folder = std::env::temp_dir().join(format!("xtask-keeper-{}", process::id()));
        fs::create_dir(&folder).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&folder).args(["sh", "-c", "exec sleep 600"]);
        let mut keeper = keeper.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();

        drop(keeper.stdin.take());
        keeper.wait().unwrap(); // for ten minutes, if the server were left alone

        assert!(!folder.exists());
    }
}
