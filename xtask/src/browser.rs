//! The step that logs a person in with a real browser.
//!
//! The tests are in `tests/tests/browser.rs`. They find oidc-provider and the script that drives
//! Chromium by environment variables; to the system, that script is the browser of the user who runs this.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};

use crate::servers::{node, oidc_provider};
use crate::tools;
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    tools::require_programs(&[("chromium", &["chromium"])])?;
    let chromium = tools::find_program("chromium").context("there is no chromium")?;
    let login = node::install(workspace, "browser", &["login.mjs"])?.join("login.mjs");
    fs::set_permissions(&login, fs::Permissions::from_mode(0o755))?;
    let oidc_provider = oidc_provider::start_with(workspace, &[])?;

    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "browser", "--test", "browser"]);
    tests.env("TOKENKEEPER_OIDC_PROVIDER_URL", oidc_provider.url());
    tests.env("BROWSER", login).env("CHROMIUM", chromium);
    run(&mut tests).inspect_err(|_| oidc_provider.print_log())
}
