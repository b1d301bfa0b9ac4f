//! The step that runs the tests of the keyring storage against a real keyring.
//!
//! They are those of `tokenkeeper-tests` whose names begin with `keyring`, and have a session
//! bus of their own: the keyring of the user who runs them is never touched.

use anyhow::Result;

use crate::servers::session_bus;
use crate::workspace::{Workspace, run};

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let bus = session_bus::start(workspace)?;

    let mut tests = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
    tests.args(["--features", "keyring", "--test", "keyring*"]);
    tests.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    tests.env("TOKENKEEPER_KEYRING_FOLDER", bus.folder());
    run(&mut tests).inspect_err(|_| bus.print_log())
}
