//! The step that starts real servers and runs the tests that talk to them.
//!
//! The tests are those of `tokenkeeper-tests` whose names begin with `interop_`. They find a server by
//! an environment variable and panic without it.

use anyhow::Result;

use crate::servers::redis::RedisServers;
use crate::servers::{glewlwyd, oidc_provider};
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let oidc_provider = oidc_provider::start(workspace)?;
    let glewlwyd = glewlwyd::start(workspace)?;
    let redis = RedisServers::start(workspace)?;

    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "interop", "--test", "interop_*"]);
    tests.env("TOKENKEEPER_OIDC_PROVIDER_URL", oidc_provider.url());
    tests.env("TOKENKEEPER_GLEWLWYD_URL", glewlwyd.url());
    redis.name_to(&mut tests);
    run(&mut tests).inspect_err(|_| {
        oidc_provider.print_log();
        glewlwyd.print_log();
        redis.print_logs();
    })
}
