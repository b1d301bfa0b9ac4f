//! Lives that broke a promise once, shortened.

use crate::life::live;
use crate::plan::{Call::*, Fault::*, Installed::*, Life, Op::*, Operation::*, Setup, Whose::*};
use crate::silence_panics;

const SETUP: Setup = Setup {
    seed: 1,
    processes: 2,
    shared: true,
    notices: false,
    map: false,
    non_interactive: true,
    refreshes: true,
    rotates: true,
    life: Some(900_000),
    same_time: false,
    lies: false,
};

fn assert_keeps_promises(life: &Life) {
    silence_panics();
    let violations = live(life).violations;
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_conditional_login_while_nothing_can_be_written_brings_back_no_spent_refresh_token() {
    let ops = vec![
        Start(0, Install(RefreshOnly)),
        Finish,
        Until(Only(0), Write, Fail),
        Start(0, InstallIfAbsent(AccessOnly(Some(60_000)))),
        Start(0, Revoke),
        Start(0, Replace),
        Finish,
    ];
    let setup = Setup { processes: 1, non_interactive: false, notices: true, ..SETUP };

    assert_keeps_promises(&Life { setup, ops });
}

#[test]
fn a_write_outage_longer_than_a_lease_lets_nobody_spend_what_was_spent() {
    let ops = vec![
        Start(0, Token),
        Pass(7_300_000),
        Until(All, Write, Fail),
        Start(1, ValidFor(30_000)),
        Start(0, Token),
        Pass(301_000),
    ];

    assert_keeps_promises(&Life { setup: SETUP, ops });
}
