//! The table of `docs/interop.md`: which feature works at which server, as it was run.
//!
//! A row is a feature, a column a server. A cell is a test, named after the row, in the test file of
//! the column, or a reason why the server does not offer that. A cell that is neither, a test that is
//! no cell, and a document that says anything but what was run are errors.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::interop::AuthorizationServers;
use crate::workspace::Workspace;

mod rows;

use rows::{COLUMNS, ROWS, Row};

/// Runs every cell, shows the table, and holds the document against it.
pub(crate) fn check(workspace: &Workspace, servers: &AuthorizationServers) -> Result<()> {
    let table = run(workspace, servers)?;
    let document = document(workspace)?;
    ensure!(
        with_table(&document, &table)? == document,
        "{DOCUMENT} is not what was run; `cargo xtask interop --write` puts it right"
    );
    Ok(())
}

/// Runs every cell, shows the table, and writes it into the document.
pub(crate) fn write(workspace: &Workspace, servers: &AuthorizationServers) -> Result<()> {
    let table = run(workspace, servers)?;
    let updated = with_table(&document(workspace)?, &table)?;
    fs::write(workspace.root().join(DOCUMENT), updated).context("cannot write the table")
}

fn run(workspace: &Workspace, servers: &AuthorizationServers) -> Result<String> {
    let mut runs = Vec::new();
    for column in COLUMNS {
        let mut cargo = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
        cargo.args(["--features", "interop", "--test", column.test_file]);
        servers.name_to(&mut cargo);
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot run {}", column.test_file))?;
        let report = String::from_utf8_lossy(&output.stdout);
        println!("{report}");
        if !output.status.success() {
            servers.print_logs();
            bail!("a cell of {} failed", column.name);
        }
        runs.push(passed(&report));
    }
    let table = table(ROWS, &runs)?;
    println!("{table}");
    Ok(table)
}

/// The tests that libtest says are ok. One that is ignored is not.
fn passed(report: &str) -> Vec<String> {
    let tests = report.lines().filter_map(|line| line.strip_prefix("test "));
    tests.filter_map(|test| test.strip_suffix(" ... ok")).map(str::to_owned).collect()
}

/// Of each column, which tests passed.
fn table(rows: &[Row], runs: &[Vec<String>]) -> Result<String> {
    let columns = || COLUMNS.iter().zip(runs);
    for (column, passed) in columns() {
        if let Some(stray) = passed.iter().find(|test| rows.iter().all(|row| row.test != **test)) {
            bail!("the test `{stray}` of {} is not a row of the table", column.test_file);
        }
    }
    let mut text = "| feature | specification |".to_owned();
    columns().for_each(|(column, _)| text.push_str(&format!(" {} |", column.name)));
    text.push_str(&format!("\n|---|---|{}", "---|".repeat(COLUMNS.len())));
    let mut notes = Vec::new();
    for row in rows {
        write!(text, "\n| {} | {} |", row.feature, row.specification)?;
        for (column, passed) in columns() {
            let (test, file) = (row.test, column.test_file);
            let was_run = passed.iter().any(|name| name == test);
            let reason = row.not_offered.iter().find(|(name, _)| *name == column.name);
            match (was_run, reason) {
                (true, None) => text.push_str(" yes |"),
                (false, Some((_, reason))) => {
                    write!(text, " not offered by this server ({}) |", note(&mut notes, reason))?;
                }
                (false, None) => bail!("{file} has no test `{test}`, and nothing says why"),
                (true, Some(_)) => bail!("{file} has the test `{test}` of what is not offered"),
            }
        }
    }
    text.push_str("\n\n");
    for (index, reason) in notes.iter().enumerate() {
        writeln!(text, "{}. {reason}", index + 1)?;
    }
    Ok(text)
}

/// The number of a reason, which is the same for the same one.
fn note(notes: &mut Vec<&'static str>, reason: &'static str) -> usize {
    if let Some(index) = notes.iter().position(|note| *note == reason) {
        return index + 1;
    }
    notes.push(reason);
    notes.len()
}

fn document(workspace: &Workspace) -> Result<String> {
    fs::read_to_string(workspace.root().join(DOCUMENT)).context("cannot read the table")
}

fn with_table(document: &str, table: &str) -> Result<String> {
    let (before, rest) = document.split_once(BEGIN).context("the document has no place for it")?;
    let (_, after) = rest.split_once(END).context("the table has no end in the document")?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

const DOCUMENT: &str = "docs/interop.md";
const BEGIN: &str = "<!-- written by `cargo xtask interop --write` -->";
const END: &str = "<!-- end of what is written by `cargo xtask interop --write` -->";

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: Row =
        Row { feature: "Tea", specification: "RFC 7168", test: "tea", not_offered: &[] };
    const NOT_BY_GLEWLWYD: Row = Row { not_offered: &[("glewlwyd", "It has none.")], ..OFFERED };

    #[test]
    fn a_cell_was_run_or_has_a_reason() {
        let table = table(&[NOT_BY_GLEWLWYD], &runs([&["tea"], &[], &["tea"]])).unwrap();

        assert!(
            table.contains("| yes | not offered by this server (1) | yes |\n\n1. It has none.\n")
        );
    }

    #[test]
    fn a_cell_that_is_neither_is_an_error() {
        let error = table(&[OFFERED], &runs([&["tea"], &[], &["tea"]])).unwrap_err();

        assert!(error.to_string().contains("no test `tea`"), "{error}");
    }

    #[test]
    fn a_cell_that_is_both_is_an_error() {
        assert!(table(&[NOT_BY_GLEWLWYD], &runs([&["tea"], &["tea"], &["tea"]])).is_err());
    }

    #[test]
    fn a_test_without_a_row_is_an_error() {
        let coffee: &[&str] = &["tea", "coffee"];

        let error = table(&[OFFERED], &runs([&["tea"], coffee, &["tea"]])).unwrap_err();

        assert!(error.to_string().contains("`coffee`"), "{error}");
    }

    #[test]
    fn what_libtest_ignored_or_failed_was_not_run() {
        let report = "test tea ... ok\ntest water ... ignored\ntest milk ... FAILED\n";

        assert_eq!(passed(report), ["tea"]);
    }

    #[test]
    fn the_table_takes_the_place_of_the_last_one() {
        let first = with_table(&format!("a {BEGIN} {END} b"), "old").unwrap();

        let second = with_table(&first, "new").unwrap();

        assert!(second.contains("new") && !second.contains("old"));
        assert!(second.starts_with("a ") && second.ends_with(" b"));
    }

    fn runs(passed: [&[&str]; 3]) -> Vec<Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        passed.into_iter().map(owned).collect()
    }
}
