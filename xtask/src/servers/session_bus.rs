//! A session bus for the tests of the keyring, apart from that of the user who runs them.
//!
//! The keyring itself is started and stopped by the tests, because most of them are about one that
//! is locked, restarted or not there. What it keeps lies in the folder of the bus, and goes with it.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Kept, READY_WITHIN, read, recipe, write};
use crate::steps::now;
use crate::tools;
use crate::workspace::Workspace;

/// A running session bus, which ends with this value.
#[derive(Debug)]
pub(crate) struct SessionBus {
    kept: Kept,
    socket: PathBuf,
}

pub(crate) fn start(workspace: &Workspace) -> Result<SessionBus> {
    tools::require_programs(&[
        ("dbus-daemon", &["dbus"]),
        ("dbus-send", &["dbus"]),
        ("gnome-keyring-daemon", &["gnome-keyring"]),
    ])?;
    // Not in the repository: the path of a socket has 107 characters at most.
    let folder = env::temp_dir().join(format!("tokenkeeper-keyring-{}", process::id()));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let text = read(&recipe(workspace, "keyring").join("session.conf"))?;
    let config = folder.join("session.conf");
    write(&config, &text.replace("@FOLDER@", &folder.to_string_lossy()))?;

    let mut daemon = Command::new("dbus-daemon");
    daemon.args(["--nofork", "--nopidfile"]).arg(format!("--config-file={}", config.display()));
    let socket = folder.join("bus");
    let bus = SessionBus { kept: Kept::start(&daemon, folder)?, socket };
    bus.wait_until_ready().inspect_err(|_| bus.print_log())?;
    Ok(bus)
}

impl SessionBus {
    /// For `DBUS_SESSION_BUS_ADDRESS`.
    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// Where keyrings may keep what they keep.
    pub(crate) fn folder(&self) -> &Path {
        &self.kept.folder
    }

    pub(crate) fn print_log(&self) {
        self.kept.print_log();
    }

    fn wait_until_ready(&self) -> Result<()> {
        let start = now();
        while !self.socket.exists() {
            if start.elapsed() > READY_WITHIN {
                bail!("no session bus after {READY_WITHIN:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
