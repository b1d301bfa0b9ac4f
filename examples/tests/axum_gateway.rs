//! The gateway does what its example says.

#[path = "../axum_gateway.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod axum_gateway;

#[tokio::test]
async fn the_gateway_serves_what_it_can_heals_what_it_can_and_says_how_it_is() {
    let mut out = Vec::new();

    axum_gateway::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for line in [
        "GET /billing/invoices: 200 OK\n",
        "GET /library/books?sort=title: 200 OK\n",
        "GET /weather/today: 503 Service Unavailable, again in ",
        "POST /billing/invoices: 200 OK\n",
        "billing has answered 2 requests, refused 1, and issued 2 tokens\n",
        "\nbilling: token fresh\nlibrary: token fresh\nweather: no token, paused for ",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
}
