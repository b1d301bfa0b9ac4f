//! The step that starts real servers and runs the tests that talk to them.
//!
//! The tests are those of `tokenkeeper-tests` whose names begin with `interop_`. They find a server by
//! an environment variable and panic without it.

use std::ffi::OsStr;

use anyhow::Result;

use crate::servers::client_keys::ClientKeys;
use crate::servers::redis::RedisServers;
use crate::servers::{glewlwyd, oidc_provider};
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let client_keys = ClientKeys::make(workspace)?;
    let keys = [("CLIENT_KEYS", client_keys.folder().as_os_str())];
    let oidc_provider = oidc_provider::start_with(workspace, &keys)?;
    let with_nonces = [keys[0], ("DPOP_NONCE", OsStr::new("1"))];
    let oidc_provider_nonces = oidc_provider::start_with(workspace, &with_nonces)?;
    let glewlwyd = glewlwyd::start(workspace, &client_keys)?;
    let redis = RedisServers::start(workspace)?;

    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "interop", "--test", "interop_*"]);
    tests.env("TOKENKEEPER_OIDC_PROVIDER_URL", oidc_provider.url());
    tests.env("TOKENKEEPER_OIDC_PROVIDER_NONCE_URL", oidc_provider_nonces.url());
    tests.env("TOKENKEEPER_GLEWLWYD_URL", glewlwyd.url());
    tests.env("TOKENKEEPER_CLIENT_KEYS", client_keys.folder());
    redis.name_to(&mut tests);
    run(&mut tests).inspect_err(|_| {
        oidc_provider.print_log();
        oidc_provider_nonces.print_log();
        glewlwyd.print_log();
        redis.print_logs();
    })
}
