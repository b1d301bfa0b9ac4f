//! Redis or Valkey, whichever is here: alone, and as a primary with a replica.
//!
//! Nothing is kept on disk. The tests start more servers of their own, to kill and to fill, and are
//! told which program to use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Ready, Server, free_port, run_folder};
use crate::tools;
use crate::workspace::Workspace;

/// The servers that all tests share, and the program that they are.
#[derive(Debug)]
pub(crate) struct RedisServers {
    program: PathBuf,
    alone: Server,
    primary: Server,
    replica: Server,
}

impl RedisServers {
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let program = program()?;
        let alone = start(workspace, &program, "redis-alone", &[], Ready::Pong)?;
        // It would wait five seconds for more replicas.
        let options = ["--repl-diskless-sync-delay", "0"];
        let primary = start(workspace, &program, "redis-primary", &options, Ready::Pong)?;
        let port = primary.port.to_string();
        let options = ["--replicaof", "127.0.0.1", &port];
        let replica = start(workspace, &program, "redis-replica", &options, Ready::Replicates)?;
        Ok(Self { program, alone, primary, replica })
    }

    /// Tells the tests where they are.
    pub(crate) fn name_to(&self, tests: &mut Command) {
        tests.env("TOKENKEEPER_REDIS_SERVER", &self.program);
        let servers = [("", &self.alone), ("PRIMARY_", &self.primary), ("REPLICA_", &self.replica)];
        for (which, server) in servers {
            let url = format!("redis://127.0.0.1:{}", server.port);
            tests.env(format!("TOKENKEEPER_REDIS_{which}URL"), url);
        }
    }

    pub(crate) fn print_logs(&self) {
        [&self.alone, &self.primary, &self.replica].into_iter().for_each(Server::print_log);
    }
}

/// Where the program is; it is installed if need be.
pub(crate) fn program() -> Result<PathBuf> {
    let find = || PROGRAMS.iter().find_map(|name| tools::find_program(name));
    if let Some(program) = find() {
        return Ok(program);
    }
    tools::require_programs(&[("redis-server", &["redis-server"])])?;
    find().context("there is still no redis-server")
}

fn start(
    workspace: &Workspace,
    program: &Path,
    name: &str,
    options: &[&str],
    ready: Ready,
) -> Result<Server> {
    let folder = run_folder(workspace, name)?;
    let port = free_port()?;
    let mut redis = Command::new(program);
    redis.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    redis.args(["--save", "", "--appendonly", "no"]).args(options);
    Server::start(&redis, folder, port, ready)
}

const PROGRAMS: &[&str] = &["redis-server", "valkey-server"];
