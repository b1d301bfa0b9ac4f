//! What has to hold before a release, and takes too long for every check.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, output, run};

/// Packages every crate that is published, as a registry would get it, and compiles what it packed.
pub(crate) fn package(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["package", "--locked", "--workspace", "--allow-dirty"]))
}

/// Compiles the crates with the oldest direct dependencies that `Cargo.toml` allows, in a copy, so that
/// the lock file of the workspace stays as it is.
pub(crate) fn minimal_versions(workspace: &Workspace) -> Result<()> {
    let copy = workspace.ignored("minimal-versions")?;
    copy_tracked_files(workspace, &copy)?;
    let target = copy.join("target");
    // The flag is unstable; this variable lets a stable cargo take it.
    let cargo = |arguments: &[&str]| {
        let mut cargo = workspace.cargo(arguments);
        cargo.current_dir(&copy).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &target);
        cargo
    };
    run(&mut cargo(&["update", "-Zdirect-minimal-versions"]))?;
    run(&mut cargo(&["check", "--workspace", "--all-features", "--exclude", "xtask"]))
}

fn copy_tracked_files(workspace: &Workspace, copy: &Path) -> Result<()> {
    let git = env::var_os("GIT").unwrap_or_else(|| "git".into());
    let files = output(Command::new(git).current_dir(workspace.root()).args(["ls-files", "-z"]))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (workspace.root().join(file), copy.join(file));
        let folder = to.parent().context("a tracked file has no folder")?;
        fs::create_dir_all(folder)?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
