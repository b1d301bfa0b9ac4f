//! The step that lets fleets of processes share a storage, and kills and stops them.
//!
//! The tests are those of `tokenkeeper-tests` in `tests/tests/fleet/`, one at a time, because
//! each of them fills the machine with processes. They start their storages and most of their
//! authorization servers themselves. What they count is shown: it is what a reader comes for.

use std::ffi::OsStr;

use anyhow::Result;

use crate::servers::{oidc_provider, redis};
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let short_lived = [("ACCESS_TOKEN_TTL", OsStr::new("2"))];
    let oidc_provider = oidc_provider::start_with(workspace, &short_lived)?;

    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "fleet", "--test", "fleet"]);
    tests.args(["--", "--nocapture", "--test-threads=1"]);
    tests.env("TOKENKEEPER_OIDC_PROVIDER_URL", oidc_provider.url());
    tests.env("TOKENKEEPER_REDIS_SERVER", redis::program()?);
    run(&mut tests).inspect_err(|_| oidc_provider.print_log())
}
