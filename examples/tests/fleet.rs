//! The fleet says what it promises. This test starts itself four times.

#[path = "../fleet.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod fleet;

use std::env;
use std::process::Command;

/// In a process that the other test has started, this is a member of the fleet.
#[test]
fn member() {
    if let Some(orders) = fleet::Orders::from_environment() {
        fleet::member(&orders).unwrap();
    }
}

#[test]
fn four_processes_make_one_exchange_per_rotation() {
    let this = env::current_exe().unwrap();
    let program = || {
        let mut command = Command::new(&this);
        command.args(["--exact", "member", "--nocapture"]);
        command
    };
    let mut out = Vec::new();

    fleet::watch(&program, 3, &mut out).unwrap();

    let said = String::from_utf8(out).unwrap();
    assert_eq!(said.matches("logged in;").count(), 1, "{said}");
    assert_eq!(said.matches("spent a refresh token;").count(), 3, "{said}");
    assert!(said.contains("Refresh tokens spent twice: 0."), "{said}");
}
