//! The quickstart says what the README says that it says.

#[path = "../quickstart.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod quickstart;

#[tokio::test]
async fn the_quickstart_ends_well_and_says_what_it_promises() {
    let mut out = Vec::new();

    quickstart::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for promise in [
        "1,000 callers, 1 exchange",
        "9,600 callers, 96 exchanges",
        "100 late 401s, 1 exchange",
        "refresh tokens reused: 0",
    ] {
        assert!(said.contains(promise), "{promise:?} is missing in\n{said}");
    }
}
