//! Random lives of managers, for as long as one likes.
//!
//! The lives and what judges them are the test binary `lives` of core. It is optimised here, because
//! what counts is how many lives there are.

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, run};

/// `cargo xtask lives [--minutes N] [--seed N]`
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (mut minutes, mut seed) = (1_u64, None::<u64>);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a number"))?;
        let number = value.parse().with_context(|| format!("{argument} {value}: not a number"))?;
        match argument.as_str() {
            "--minutes" => minutes = number,
            "--seed" => seed = Some(number),
            _ => bail!("`{argument}` is not known; there are --minutes and --seed"),
        }
    }
    live(workspace, minutes.saturating_mul(60), seed)
}

/// The step of the check: a minute of lives that were not lived before.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    live(workspace, 60, None)
}

fn live(workspace: &Workspace, seconds: u64, seed: Option<u64>) -> Result<()> {
    let mut tests = workspace.cargo(&["test", "--release", "--locked", "--package", "tokenkeeper"]);
    tests.args(["--test", "lives", "--", "--nocapture", "no_random_life_breaks_a_promise"]);
    tests.env("LIVES_SECONDS", seconds.to_string());
    let seed = seed.map_or_else(|| "random".to_owned(), |seed| seed.to_string());
    tests.env("LIVES_SEED", seed);
    run(&mut tests)
}
