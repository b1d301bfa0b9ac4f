//! The example says what the readme of the examples says that it says.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../login_in_browser.rs"]
#[expect(dead_code, reason = "the test does not need its main")]
mod login_in_browser;

#[tokio::test]
async fn a_person_logs_in_once_and_the_tool_remembers() {
    let mut out = Vec::new();

    login_in_browser::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    let section = README.split("\n## login_in_browser\n").nth(1).unwrap();
    let block = section.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(said, block.unwrap());
}

const README: &str = include_str!("../README.md");
