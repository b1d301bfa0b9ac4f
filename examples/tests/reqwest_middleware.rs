//! The example says what its description says that it says.

#[path = "../reqwest_middleware.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod reqwest_middleware_example;

#[tokio::test]
async fn the_example_ends_well_and_says_what_it_shows() {
    let mut out = Vec::new();

    reqwest_middleware_example::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for promise in [
        "200 OK, 1 exchange there",
        "1 answer was 401; sent again with a new token: 200 OK",
        "A request that says so: the service saw no token",
        "it is an error: no route has the origin http://127.0.0.1:",
        "The next one is not sent: stock: ",
    ] {
        assert!(said.contains(promise), "{promise:?} is missing in\n{said}");
    }
}
