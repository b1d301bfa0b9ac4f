//! The example of a shutdown says what it promises.

#[path = "../graceful_shutdown.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod graceful_shutdown;

#[tokio::test]
async fn a_refresh_that_is_under_way_at_the_end_is_not_lost() {
    let mut out = Vec::new();

    graceful_shutdown::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for promise in [
        "a refresh is at the server: calendar: token due for renewal, 720 s old, good for 180 s, exchanging",
        "invoice 1 is done\n  invoice 2 is done\n  calendar: token fresh",
        "that token has ended, too: calendar: token fresh",
        "Had it been killed",
        "log in again",
    ] {
        assert!(said.contains(promise), "{promise:?} is missing in\n{said}");
    }
}
