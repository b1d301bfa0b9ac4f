//! The gRPC client does what its example says.

#[path = "../tonic_client.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod tonic_client;

#[tokio::test]
async fn calls_are_healed_streams_are_not_and_an_error_about_the_token_says_what_to_do() {
    let mut out = Vec::new();

    tonic_client::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for line in [
        "With a token: hello, Alice\n",
        "It was revoked: hello, Bob\n  2 tokens were issued\n",
        "A stream: Unauthenticated: this token is not good\n",
        "The next call: hello, Carol\n",
        "No token: Unavailable: greeter: ",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
}
