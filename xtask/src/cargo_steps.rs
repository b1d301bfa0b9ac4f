//! Steps that are one or two cargo commands.

use std::env;

use anyhow::Result;

use crate::workspace::{Workspace, run};

pub(crate) fn fmt(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["fmt", "--all", "--check"]))
}

pub(crate) fn clippy(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo(&["clippy", "--locked", "--workspace", "--all-targets"]);
    run(cargo.args(["--all-features", "--", "-D", "warnings"]))
}

/// What is compiled only where a feature is off, the other steps never see. The features of core
/// stand in for each other with nothing, each in a file of its own, so they are tried one by one.
pub(crate) fn features(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo(&["clippy", "--locked", "--all-targets"]);
    cargo.args(["--package", "tokenkeeper-providers", "--package", "tokenkeeper-mangadex"]);
    cargo.args(["--package", "tokenkeeper-storage-redis"]);
    cargo.args(["--package", "tokenkeeper"]);
    run(cargo.args(["--no-default-features", "--", "-D", "warnings"]))?;
    // By themselves, because what one package's tests need would be on for the others too.
    for (package, feature) in [
        ("tokenkeeper", "metrics"),
        ("tokenkeeper", "tracing"),
        ("tokenkeeper-loopback", ""),
        ("tokenkeeper-providers", "authorization-code"),
        ("tokenkeeper-providers", "device"),
        ("tokenkeeper-providers", "discovery"),
        ("tokenkeeper-providers", "introspection"),
        ("tokenkeeper-providers", "jwt-bearer"),
        ("tokenkeeper-providers", "token-exchange"),
        ("tokenkeeper-providers", "user-info"),
        ("tokenkeeper-reqwest", ""),
        ("tokenkeeper-reqwest", "middleware"),
        ("tokenkeeper-reqwest", "transport"),
        ("tokenkeeper-tower", ""),
        ("tokenkeeper-testkit", ""),
        ("tokenkeeper-testkit", "signatures"),
    ] {
        let mut cargo = workspace.cargo(&["clippy", "--locked", "--all-targets"]);
        cargo.args(["--no-default-features", "--package", package, "--features", feature]);
        run(cargo.args(["--", "-D", "warnings"]))?;
    }
    let hot_path = ["test", "--locked", "--package", "tokenkeeper", "--test", "hot_path"];
    run(&mut workspace.cargo(&hot_path)) // the step `tests` has it with all features
}

/// Features that need a server are features of `tokenkeeper-tests` alone, so that package is tested
/// with its default features here, and every other one with all of its features.
pub(crate) fn tests(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo(&["test", "--locked", "--workspace", "--all-targets"]);
    run(cargo.args(["--exclude", "tokenkeeper-tests", "--all-features"]))?;
    run(&mut workspace.cargo(&[
        "test",
        "--locked",
        "--package",
        "tokenkeeper-tests",
        "--all-targets",
    ]))
}

pub(crate) fn doctests(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["test", "--locked", "--workspace", "--doc", "--all-features"]))
}

pub(crate) fn docs(workspace: &Workspace) -> Result<()> {
    let flags = env::var("RUSTDOCFLAGS").unwrap_or_default();
    let mut cargo = workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    run(cargo.arg("--all-features").env("RUSTDOCFLAGS", format!("{flags} -D warnings")))
}
