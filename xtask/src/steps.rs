//! The steps of `cargo xtask test`, in order, and how they are run.
//!
//! To add one: write `fn(&Workspace) -> Result<()>` in the file it belongs to and add a line to
//! [`STEPS`], where its cost puts it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{
    arrows, book, browser, cargo_steps, clients, fleet, interop, keycloak, keyring, lives, release,
    tools,
};

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    check: fn(&Workspace) -> Result<()>,
}

#[rustfmt::skip]
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", about: "code is formatted", check: cargo_steps::fmt },
    Step { name: "spelling", about: "words are spelled right", check: tools::spelling },
    Step { name: "arrows", about: "crates depend only on what they may", check: arrows::check },
    Step { name: "clippy", about: "no lint, all targets, all features", check: cargo_steps::clippy },
    Step { name: "features", about: "no lint with features off either, nothing on the hot path", check: cargo_steps::features },
    Step { name: "tests", about: "unit and integration tests that need no server", check: cargo_steps::tests },
    Step { name: "doctests", about: "examples in the documentation run", check: cargo_steps::doctests },
    Step { name: "docs", about: "documentation builds without a warning", check: cargo_steps::docs },
    Step { name: "book", about: "the book builds, and its links lead somewhere", check: book::check },
    Step { name: "workflows", about: "the workflow files are well-formed", check: tools::workflows },
    Step { name: "deny", about: "licences, sources and bans of dependencies", check: tools::deny },
    Step { name: "clients", about: "clients of other projects at the fake server", check: clients::check },
    Step { name: "keyring", about: "the keyring storage against a real keyring", check: keyring::check },
    Step { name: "interop", about: "tests against real servers, and what works at which", check: interop::check },
    Step { name: "keycloak", about: "MangaDex's realm and every grant at a real Keycloak", check: keycloak::check },
    Step { name: "browser", about: "a login in a real browser", check: browser::check },
    Step { name: "fleet", about: "32 processes on one storage, calm and in chaos", check: fleet::check },
];

/// Steps that run only when they are asked for by name, because they take long or need something that
/// not every network has.
#[rustfmt::skip]
pub(crate) const FURTHER_STEPS: &[Step] = &[
    Step { name: "lives", about: "a minute of random lives of managers, judged by a model", check: lives::check },
    Step { name: "advisories", about: "no dependency has a known vulnerability", check: tools::advisories },
    Step { name: "package", about: "every crate can be packaged", check: release::package },
    Step { name: "minimal-versions", about: "the oldest dependencies that are allowed compile", check: release::minimal_versions },
];

/// The steps with these names, in the order of the tables; the usual ones for no name.
pub(crate) fn chosen(names: &[&str]) -> Result<Vec<&'static Step>> {
    let known = || STEPS.iter().chain(FURTHER_STEPS);
    if let Some(unknown) = names.iter().find(|name| known().all(|step| step.name != **name)) {
        bail!("there is no step `{unknown}`; `cargo xtask test --list` shows them");
    }
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    Ok(known().filter(|step| names.contains(&step.name)).collect())
}

/// Runs the steps, stops at the first that fails, and ends with a table of all of them.
pub(crate) fn run(workspace: &Workspace, steps: &[&Step]) -> Result<()> {
    let mut done = Vec::new();
    let mut failure = None;
    for step in steps {
        println!("\n=== {}: {}", step.name, step.about);
        let start = now();
        let result = (step.check)(workspace);
        let took = start.elapsed();
        println!("--- {} took {}", step.name, seconds(took));
        done.push(took);
        if let Err(error) = result {
            failure = Some(error.context(format!("step `{}` failed", step.name)));
            break;
        }
    }

    println!("\n{:<16} {:<8} {:>8}", "step", "result", "time");
    for (index, step) in steps.iter().enumerate() {
        let (result, time) = match done.get(index) {
            None => ("not run", String::new()),
            Some(took) if failure.is_some() && index + 1 == done.len() => {
                ("FAILED", seconds(*took))
            }
            Some(took) => ("ok", seconds(*took)),
        };
        println!("{:<16} {result:<8} {time:>8}", step.name);
    }
    println!("{:<16} {:<8} {:>8}", "", "", seconds(done.iter().sum()));
    failure.map_or(Ok(()), Err)
}

#[expect(clippy::disallowed_methods, reason = "measures real time; no token is involved")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_every_step_and_names_keep_the_order_of_the_table() {
        let all = chosen(&[]).unwrap();
        let two = chosen(&["docs", "fmt"]).unwrap();

        assert_eq!(all.len(), STEPS.len());
        assert_eq!(two.iter().map(|step| step.name).collect::<Vec<_>>(), ["fmt", "docs"]);
    }

    #[test]
    fn further_steps_run_only_when_they_are_asked_for() {
        let usual = chosen(&[]).unwrap();
        let asked = chosen(&["package", "fmt"]).unwrap();

        assert!(usual.iter().all(|step| step.name != "package"));
        assert_eq!(asked.iter().map(|step| step.name).collect::<Vec<_>>(), ["fmt", "package"]);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_it() {
        let error = chosen(&["fmt", "fnt"]).unwrap_err();

        assert!(error.to_string().contains("`fnt`"));
    }
}
