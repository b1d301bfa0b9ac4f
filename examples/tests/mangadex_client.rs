//! The example says what its description says that it says.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../mangadex_client/main.rs"]
#[expect(dead_code, reason = "the test does not need its main")]
mod mangadex_client;

#[tokio::test]
async fn the_client_does_what_the_readme_of_the_examples_says_line_by_line() {
    let mut out = Vec::new();

    mangadex_client::tour(&mut out).await.unwrap();

    let said = without_ports(&String::from_utf8(out).unwrap());
    let section = README.split("\n## mangadex_client\n").nth(1).unwrap();
    let block = section.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(said, without_ports(block.unwrap()));
}

/// The servers are on another port in each run.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |text, part| {
        text + "HOST" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

const README: &str = include_str!("../README.md");
