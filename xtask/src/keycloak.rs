//! The step that starts Keycloak and runs the tests that talk to it.
//!
//! They are those of `tokenkeeper-tests` in `tests/tests/keycloak/`, most of which are about MangaDex,
//! and the column of Keycloak in the table of `docs/interop.md`.

use std::process::Command;

use anyhow::Result;

use crate::interop_table::{self, Servers};
use crate::servers::client_keys::ClientKeys;
use crate::servers::{Server, keycloak};
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let realms = KeycloakRealms::start(workspace)?;
    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "interop", "--test", "keycloak"]);
    realms.name_to(&mut tests);
    run(&mut tests).inspect_err(|_| realms.print_logs())?;
    interop_table::check(workspace, &realms)
}

/// Keycloak with its realms, and the keys of the clients that sign.
#[derive(Debug)]
pub(crate) struct KeycloakRealms {
    client_keys: ClientKeys,
    keycloak: Server,
}

impl KeycloakRealms {
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let client_keys = ClientKeys::make(workspace)?;
        Ok(Self { keycloak: keycloak::start(workspace)?, client_keys })
    }
}

impl Servers for KeycloakRealms {
    fn columns(&self) -> &'static [&'static str] {
        &["keycloak"]
    }

    fn name_to(&self, tests: &mut Command) {
        tests.env("TOKENKEEPER_KEYCLOAK_URL", self.keycloak.url());
        tests.env("TOKENKEEPER_CLIENT_KEYS", self.client_keys.folder());
    }

    fn print_logs(&self) {
        self.keycloak.print_log();
    }
}
