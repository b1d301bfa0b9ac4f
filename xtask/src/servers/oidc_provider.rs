//! npm's `oidc-provider`: the server that does what the standards say.
//!
//! `tests/servers/oidc-provider` holds its configuration.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Result;

use super::{Ready, Server, free_port, node, run_folder};
use crate::workspace::Workspace;

/// With these settings instead of the usual ones; `server.mjs` says which there are.
pub(crate) fn start_with(workspace: &Workspace, settings: &[(&str, &OsStr)]) -> Result<Server> {
    let scripts = ["clients.mjs", "grants.mjs", "server.mjs"];
    let home = node::install(workspace, "oidc-provider", &scripts)?;
    let port = free_port()?;
    let mut node = Command::new("node");
    node.arg(home.join("server.mjs")).env("PORT", port.to_string());
    node.envs(settings.iter().copied());
    let folder = run_folder(workspace, &format!("oidc-provider-{port}"))?;
    Server::start(&node, folder, port, Ready::Get("/_stats"))
}
