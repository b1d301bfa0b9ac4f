//! One process of a fleet; the tests named `fleet_*` start it.

use std::env;
use std::process::ExitCode;

use tokenkeeper_tests::fleet;

fn main() -> ExitCode {
    let Some(orders) = env::args().nth(1).and_then(|text| serde_json::from_str(&text).ok()) else {
        return ExitCode::FAILURE; // nobody but the tests can give orders
    };
    match fleet::serve(&orders) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE, // the orders were wrong, and the test finds no token
    }
}
