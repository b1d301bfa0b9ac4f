//! The browser of the operating system, played by a script in a process of its own, because it is
//! found by environment variables.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use tokenkeeper_loopback::{Browser, SystemBrowser};

/// In a process that another test has started, this opens the page.
#[tokio::test]
async fn program() {
    if env::var_os(IS_PROGRAM).is_some() {
        match SystemBrowser.open(URL).await {
            Ok(()) => println!("it was opened"),
            Err(error) => println!("said: {error} / {error:?}"),
        }
    }
}

fn run_program(browser: Option<&Path>, path: &Path) -> Output {
    let mut program = Command::new(env::current_exe().unwrap());
    program.args(["--exact", "program", "--nocapture"]).env(IS_PROGRAM, "1").env("PATH", path);
    match browser {
        Some(browser) => program.env("BROWSER", browser),
        None => program.env_remove("BROWSER"),
    };
    program.output().unwrap()
}

#[test]
fn the_program_in_the_variable_browser_gets_the_url_as_one_argument_and_prints_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (script, seen) = (folder.path().join("browser"), folder.path().join("seen"));
    assert!(Command::new("mkfifo").arg(&seen).status().unwrap().success());
    let text = format!(
        "#!/bin/sh\necho noise\necho noise >&2\nprintf '%s %s' $# \"$1\" > {}\n",
        seen.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();

    let output = run_program(Some(&script), folder.path());

    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(printed.contains("it was opened") && !printed.contains("noise"), "{printed}");
    assert_eq!(fs::read_to_string(&seen).unwrap(), format!("1 {URL}"));
}

#[test]
fn a_machine_without_a_browser_is_an_error_that_says_what_to_do_and_not_the_url() {
    let empty = tempfile::tempdir().unwrap();

    for browser in [None, Some(Path::new("/nonexistent/browser"))] {
        let output = run_program(browser, empty.path());

        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(
            printed.contains("said: no browser could be opened on this machine; "),
            "{printed}"
        );
        assert!(printed.contains("show_url_with"), "{printed}");
        assert!(!printed.contains("planted"), "{printed}");
    }
}

const IS_PROGRAM: &str = "TOKENKEEPER_TEST_OPENS_A_BROWSER";
const URL: &str = "https://auth.example.org/authorize?state=planted&scope=a+b&x=%20'";
