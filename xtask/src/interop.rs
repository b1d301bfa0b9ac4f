//! The step that starts real servers and runs the tests that talk to them.
//!
//! The tests are those of `tokenkeeper-tests` in `interop` and the folders whose names begin with
//! `interop_`, and the cells of the table of `docs/interop.md`. They find a server by an environment
//! variable and panic without it.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Result;

use crate::interop_table::{self, Servers};
use crate::keycloak::KeycloakRealms;
use crate::servers::client_keys::ClientKeys;
use crate::servers::redis::RedisServers;
use crate::servers::{Server, glewlwyd, oidc_provider};
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let servers = AuthorizationServers::start(workspace)?;
    let redis = RedisServers::start(workspace)?;

    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "interop", "--test", "interop*"]);
    servers.name_to(&mut tests);
    redis.name_to(&mut tests);
    run(&mut tests).inspect_err(|_| {
        servers.print_logs();
        redis.print_logs();
    })?;
    interop_table::check(workspace, &servers)
}

/// Runs the cells of the table alone, and shows it or writes it into its document.
pub(crate) fn table(workspace: &Workspace, write: bool) -> Result<()> {
    let servers = AuthorizationServers::start(workspace)?;
    let keycloak = KeycloakRealms::start(workspace)?;
    interop_table::all(workspace, &[&servers, &keycloak], write)
}

/// The authorization servers, with the keys of the clients that sign.
#[derive(Debug)]
pub(crate) struct AuthorizationServers {
    client_keys: ClientKeys,
    oidc_provider: Server,
    oidc_provider_with_nonces: Server,
    glewlwyd: Server,
}

impl AuthorizationServers {
    fn start(workspace: &Workspace) -> Result<Self> {
        let client_keys = ClientKeys::make(workspace)?;
        let keys = ("CLIENT_KEYS", client_keys.folder().as_os_str());
        let nonces = ("DPOP_NONCE", OsStr::new("1"));
        Ok(Self {
            oidc_provider: oidc_provider::start_with(workspace, &[keys])?,
            oidc_provider_with_nonces: oidc_provider::start_with(workspace, &[keys, nonces])?,
            glewlwyd: glewlwyd::start(workspace, &client_keys)?,
            client_keys,
        })
    }
}

impl Servers for AuthorizationServers {
    fn columns(&self) -> &'static [&'static str] {
        &["oidc_provider", "glewlwyd", "fake_server"]
    }

    fn name_to(&self, tests: &mut Command) {
        tests.env("TOKENKEEPER_OIDC_PROVIDER_URL", self.oidc_provider.url());
        tests.env("TOKENKEEPER_OIDC_PROVIDER_NONCE_URL", self.oidc_provider_with_nonces.url());
        tests.env("TOKENKEEPER_GLEWLWYD_URL", self.glewlwyd.url());
        tests.env("TOKENKEEPER_CLIENT_KEYS", self.client_keys.folder());
    }

    fn print_logs(&self) {
        for server in [&self.oidc_provider, &self.oidc_provider_with_nonces, &self.glewlwyd] {
            server.print_log();
        }
    }
}
