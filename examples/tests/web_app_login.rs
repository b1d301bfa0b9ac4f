//! The example says what the readme of the examples says that it says.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../web_app_login.rs"]
#[expect(dead_code, reason = "the test does not need its main")]
mod web_app_login;

#[tokio::test]
async fn people_log_in_in_two_tabs_at_two_browsers_and_out_at_the_server_too() {
    let mut out = Vec::new();

    web_app_login::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    let section = README.split("\n## web_app_login\n").nth(1).unwrap();
    let block = section.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert!(said.contains(block.unwrap()), "{said}");
}

const README: &str = include_str!("../README.md");
