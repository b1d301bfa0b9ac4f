//! Programs for Node.js: their packages are installed from a lock file into `.servers`, and again when
//! the lock file changes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{read, recipe, write};
use crate::tools;
use crate::workspace::{self, Workspace, output};

/// Puts the scripts of `tests/servers/<name>` and their packages into a folder, and gives the folder.
pub(crate) fn install(workspace: &Workspace, name: &str, scripts: &[&str]) -> Result<PathBuf> {
    tools::require_programs(&[("node", &["nodejs"]), ("npm", &["npm"])])?;
    require_node_version()?;
    let home = workspace.ignored(name)?;
    let recipe = recipe(workspace, name);
    for file in [".npmrc", "package.json", LOCK].iter().chain(scripts) {
        fs::copy(recipe.join(file), home.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    let lock = read(&home.join(LOCK))?;
    let installed = home.join("installed-lock.json");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(home);
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&home).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    workspace::run(&mut npm).with_context(|| {
        format!("cannot install the packages of {name}; this step needs them and the network, once")
    })?;
    write(&installed, &lock)?;
    Ok(home)
}

fn require_node_version() -> Result<()> {
    let version = output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).context("node has no version")?;
    if major < OLDEST_NODE {
        bail!("this step needs Node.js {OLDEST_NODE} or newer; here is {}", version.trim());
    }
    Ok(())
}

const LOCK: &str = "package-lock.json";
const OLDEST_NODE: u32 = 20; // 22 is what oidc-provider asks for; on 20 it warns and works
