//! The table of `docs/interop.md`: which feature works at which server, as it was run.
//!
//! A row is a feature, a column a server. A cell is a test, named after the row, in the module of the
//! column (`tests/tests/table/`), or a reason why the server does not offer that. A cell that is
//! neither, a test that is no cell, and a document that says anything but what was run are errors.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

mod rows;

use rows::{COLUMNS, Column, ROWS, Row};

/// Servers that columns of the table are about.
pub(crate) trait Servers {
    /// The modules of the columns.
    fn columns(&self) -> &'static [&'static str];

    /// Tells tests where the servers are.
    fn name_to(&self, tests: &mut Command);

    /// Shows what the servers wrote.
    fn print_logs(&self);
}

/// Runs every cell of these servers, and holds the document against the table.
pub(crate) fn check(workspace: &Workspace, servers: &dyn Servers) -> Result<()> {
    run(workspace, servers)?;
    let document = document(workspace)?;
    ensure!(
        with_table(&document, &table(ROWS, COLUMNS)?)? == document,
        "{DOCUMENT} is not what was run; `cargo xtask interop --write` puts it right"
    );
    Ok(())
}

/// Runs every cell of all servers, shows the table, and writes it into the document or holds the
/// document against it.
pub(crate) fn all(workspace: &Workspace, servers: &[&dyn Servers], write: bool) -> Result<()> {
    for servers in servers {
        run(workspace, *servers)?;
    }
    let table = table(ROWS, COLUMNS)?;
    println!("{table}");
    let document = document(workspace)?;
    let updated = with_table(&document, &table)?;
    if write {
        return fs::write(workspace.root().join(DOCUMENT), updated)
            .context("cannot write the table");
    }
    ensure!(
        updated == document,
        "{DOCUMENT} is not what was run; `cargo xtask interop --write` puts it right"
    );
    Ok(())
}

/// Runs the cells of these servers, which must be those that the table has.
fn run(workspace: &Workspace, servers: &dyn Servers) -> Result<()> {
    let wanted = servers.columns();
    for column in COLUMNS.iter().filter(|column| wanted.contains(&column.module)) {
        let module = format!("{}::", column.module);
        let mut cargo = workspace.cargo(&["test", "--locked", "--package", "tokenkeeper-tests"]);
        cargo.args(["--features", "interop", "--test", "table", "--", &module]);
        servers.name_to(&mut cargo);
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot run the column {}", column.name))?;
        let report = String::from_utf8_lossy(&output.stdout);
        println!("{report}");
        if !output.status.success() {
            servers.print_logs();
            bail!("a cell of {} failed", column.name);
        }
        compare(ROWS, column, &passed(&report, &module))?;
    }
    Ok(())
}

/// The tests of this module that libtest says are ok. One that is ignored is not.
fn passed(report: &str, module: &str) -> Vec<String> {
    let tests = report.lines().filter_map(|line| line.strip_prefix("test "));
    let tests = tests.filter_map(|test| test.strip_suffix(" ... ok")?.strip_prefix(module));
    tests.map(str::to_owned).collect()
}

/// Complains about a cell that is neither a test that passed nor a reason, or is both.
fn compare(rows: &[Row], column: &Column, passed: &[String]) -> Result<()> {
    let module = column.module;
    if let Some(stray) = passed.iter().find(|test| rows.iter().all(|row| row.test != **test)) {
        bail!("the test `{stray}` of `{module}` is not a row of the table");
    }
    for row in rows {
        let was_run = passed.iter().any(|name| name == row.test);
        match (was_run, row.reason(column)) {
            (true, None) | (false, Some(_)) => {}
            (false, None) => bail!("`{module}` has no test `{}`, and nothing says why", row.test),
            (true, Some(_)) => {
                bail!("`{module}` has the test `{}` of what is not offered", row.test)
            }
        }
    }
    Ok(())
}

/// The table as it is when every cell without a reason was run.
fn table(rows: &[Row], columns: &[Column]) -> Result<String> {
    let mut text = "| feature | specification |".to_owned();
    columns.iter().for_each(|column| text.push_str(&format!(" {} |", column.name)));
    text.push_str(&format!("\n|---|---|{}", "---|".repeat(columns.len())));
    let mut notes = Vec::new();
    for row in rows {
        write!(text, "\n| {} | {} |", row.feature, row.specification)?;
        for column in columns {
            match row.reason(column) {
                None => text.push_str(" yes |"),
                Some(reason) => {
                    write!(text, " not offered by this server ({}) |", note(&mut notes, reason))?;
                }
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
    const GLEWLWYD: Column = Column { name: "glewlwyd", module: "glewlwyd" };
    const OTHER: Column = Column { name: "other", module: "other" };

    #[test]
    fn a_cell_was_run_or_has_a_reason() {
        compare(&[NOT_BY_GLEWLWYD], &GLEWLWYD, &[]).unwrap();
        compare(&[NOT_BY_GLEWLWYD], &OTHER, &names(&["tea"])).unwrap();

        let table = table(&[NOT_BY_GLEWLWYD], &[OTHER, GLEWLWYD]).unwrap();

        assert!(table.contains("| yes | not offered by this server (1) |\n\n1. It has none.\n"));
    }

    #[test]
    fn a_cell_that_is_neither_is_an_error() {
        let error = compare(&[OFFERED], &GLEWLWYD, &[]).unwrap_err();

        assert!(error.to_string().contains("no test `tea`"), "{error}");
    }

    #[test]
    fn a_cell_that_is_both_is_an_error() {
        assert!(compare(&[NOT_BY_GLEWLWYD], &GLEWLWYD, &names(&["tea"])).is_err());
    }

    #[test]
    fn a_test_without_a_row_is_an_error() {
        let error = compare(&[OFFERED], &OTHER, &names(&["tea", "coffee"])).unwrap_err();

        assert!(error.to_string().contains("`coffee`"), "{error}");
    }

    #[test]
    fn what_libtest_ignored_or_failed_or_is_of_another_server_was_not_run() {
        let report = "test pot::tea ... ok\ntest pot::water ... ignored\n\
                      test pot::milk ... FAILED\ntest cup::sugar ... ok\n";

        assert_eq!(passed(report, "pot::"), ["tea"]);
    }

    #[test]
    fn the_table_takes_the_place_of_the_last_one() {
        let first = with_table(&format!("a {BEGIN} {END} b"), "old").unwrap();

        let second = with_table(&first, "new").unwrap();

        assert!(second.contains("new") && !second.contains("old"));
        assert!(second.starts_with("a ") && second.ends_with(" b"));
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }
}
