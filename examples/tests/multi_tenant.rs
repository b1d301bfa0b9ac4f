//! The example of many users says what it promises.

#[path = "../multi_tenant.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod multi_tenant;

#[tokio::test]
async fn a_thousand_users_share_a_hundred_places_and_nobody_is_logged_out() {
    let mut out = Vec::new();

    multi_tenant::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for promise in [
        "1000 users logged in, one a second: 1000 exchanges",
        "All of them came back: 1000 exchanges",
        "user-1 logged out, at the server too",
        "100 calls, 1 request",
        "All others got a new token: 1998 exchanges",
        "have a token that serves, 1 need a login",
        "user-2 logged in again, and has a token",
        "Refresh tokens sent twice: 0",
    ] {
        assert!(said.contains(promise), "{promise:?} is missing in\n{said}");
    }
}
