//! The example `api_client`.

#[path = "../api_client.rs"]
#[allow(dead_code, reason = "the test calls the tour and not `main`")]
mod api_client_example;

#[tokio::test]
async fn the_example_ends_without_an_error() {
    let mut out = Vec::new();

    api_client_example::tour(&mut out).await.unwrap();

    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("GET /api/users: 200 OK"), "{out}");
}
