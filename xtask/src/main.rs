//! The checks of this repository, so that a person and a CI job run the same thing.
//!
//! `cargo xtask test` is the whole check; `cargo xtask interop` shows what works at which server;
//! `cargo xtask bench` measures. Nothing is ever skipped in silence: a tool or a server that is missing
//! is installed, and where that cannot be done the step fails and says what to do.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talks to the person who ran it")]

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::steps::{FURTHER_STEPS, STEPS};
use crate::workspace::Workspace;

mod arrows;
mod book;
mod browser;
mod cargo_steps;
mod clients;
mod fleet;
mod interop;
mod interop_table;
mod keycloak;
mod keyring;
mod lives;
mod logins;
mod release;
mod servers;
mod steps;
mod tools;
mod workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let workspace = Workspace::find()?;
    match arguments.split_first() {
        Some((command, rest)) if command == "test" => test(&workspace, rest),
        Some((command, rest)) if command == "bench" => bench(&workspace, rest),
        Some((command, rest)) if command == "lives" => lives::command(&workspace, rest),
        Some((command, [])) if command == "interop" => interop::table(&workspace, false),
        Some((command, [flag])) if command == "interop" && flag == "--write" => {
            interop::table(&workspace, true)
        }
        _ => bail!("{USAGE}"),
    }
}

fn test(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut only = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.as_slice().first()) {
            ("--list", _) => {
                for step in STEPS {
                    println!("{:<16} {}", step.name, step.about);
                }
                for step in FURTHER_STEPS {
                    println!("{:<16} {} (only with --only)", step.name, step.about);
                }
                return Ok(());
            }
            ("--only", Some(name)) => {
                only.push(name.as_str());
                arguments.next();
            }
            _ => bail!("{USAGE}"),
        }
    }
    steps::run(workspace, &steps::chosen(&only)?)
}

fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let manifest = workspace.root().join("benches/Cargo.toml");
    let mut cargo = workspace.cargo(&["run", "--release", "--locked", "--manifest-path"]);
    cargo.arg(manifest).arg("--").args(arguments);
    workspace::run(&mut cargo)
}

const USAGE: &str = "usage:
  cargo xtask test                  every check, cheap ones first; stops at the first that fails
  cargo xtask test --only STEP      that one; may be given more than once
  cargo xtask test --list           the steps
  cargo xtask interop               which feature works at which server; compares docs/interop.md
  cargo xtask interop --write       the same, and writes it into docs/interop.md
  cargo xtask lives [--minutes N] [--seed N]
                                    random lives of managers, judged by a model; a minute without it
  cargo xtask bench [ARGUMENT]...   runs the benchmarks of benches/";
