//! The example of bound tokens says what the readme of the examples says that it says.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../dpop.rs"]
#[expect(dead_code, reason = "the test does not need its main")]
mod dpop;

#[tokio::test]
async fn a_key_is_loaded_with_its_tokens_and_whoever_lacks_it_gets_nothing() {
    let mut out = Vec::new();

    dpop::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    let section = README.split("\n## dpop\n").nth(1).unwrap();
    let block = section.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(said, block.unwrap());
}

const README: &str = include_str!("../README.md");
