//! npm's `oidc-provider`: the server that does what the standards say.
//!
//! `tests/servers/oidc-provider` holds its configuration; packages are installed from the lock file
//! into `.servers`, and again when the lock file changes.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Ready, Server, free_port, read, recipe, run_folder, write};
use crate::tools;
use crate::workspace::{self, Workspace, output};

/// With these settings instead of the usual ones; `server.mjs` says which there are.
pub(crate) fn start_with(workspace: &Workspace, settings: &[(&str, &OsStr)]) -> Result<Server> {
    tools::require_programs(&[("node", &["nodejs"]), ("npm", &["npm"])])?;
    require_node_version()?;
    let home = workspace.ignored("oidc-provider")?;
    install(workspace, &home)?;

    let port = free_port()?;
    let mut node = Command::new("node");
    node.arg(home.join("server.mjs")).env("PORT", port.to_string());
    node.envs(settings.iter().copied());
    Server::start(
        &node,
        run_folder(workspace, &format!("oidc-provider-{port}"))?,
        port,
        Ready::Get("/_stats"),
    )
}

fn require_node_version() -> Result<()> {
    let version = output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).context("node has no version")?;
    if major < OLDEST_NODE {
        bail!("oidc-provider needs Node.js {OLDEST_NODE} or newer; here is {}", version.trim());
    }
    Ok(())
}

fn install(workspace: &Workspace, home: &Path) -> Result<()> {
    let recipe = recipe(workspace, "oidc-provider");
    for file in FILES {
        fs::copy(recipe.join(file), home.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    let lock = read(&home.join("package-lock.json"))?;
    let installed = home.join("installed-lock.json");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.current_dir(home).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    workspace::run(&mut npm)
        .context("cannot install oidc-provider; this step needs it and the network, once")?;
    write(&installed, &lock)
}

const FILES: [&str; 6] =
    [".npmrc", "package.json", "package-lock.json", "clients.mjs", "grants.mjs", "server.mjs"];
const OLDEST_NODE: u32 = 20; // 22 is what it asks for; on 20 it warns and works
