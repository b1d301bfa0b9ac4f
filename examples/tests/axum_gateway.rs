//! The gateway does what its example says. It installs the recorder of this process, so there is
//! one test here.

#[path = "../axum_gateway.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod axum_gateway;

#[tokio::test]
async fn the_gateway_serves_what_it_can_heals_what_it_can_and_says_how_it_is() {
    let mut out = Vec::new();

    axum_gateway::tour(&mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for line in [
        "GET /health: 200 OK\nbilling: no token\nlibrary: no token\nweather: no token\n",
        "GET /billing/invoices: 200 OK\n",
        "GET /library/books?sort=title: 200 OK\n",
        "GET /weather/today: 503 Service Unavailable, again in ",
        "POST /billing/invoices: 200 OK\n",
        "billing has answered 2 requests, refused 1, and issued 2 tokens\n",
        "\nGET /health: 503 Service Unavailable\nbilling: token fresh, ",
        "\nlibrary: token fresh, ",
        "\nweather: no token, paused for ",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
    let (_, counts) = said.split_once("among them\n").unwrap();
    let name = "tokenkeeper_token_requests_total{";
    let requests: Vec<_> = counts.lines().filter(|line| line.starts_with(name)).collect();
    assert_eq!(requests, TOKEN_REQUESTS);
    // Whether a token came before or after a caller began to wait is a matter of luck.
    assert!(counts.contains("token_calls_total") && !counts.contains("dropped"), "{counts}");
}

const TOKEN_REQUESTS: [&str; 3] = [
    r#"tokenkeeper_token_requests_total{tokenkeeper_service="billing",exchange="fetch",outcome="success"} 2"#,
    r#"tokenkeeper_token_requests_total{tokenkeeper_service="library",exchange="fetch",outcome="success"} 1"#,
    r#"tokenkeeper_token_requests_total{tokenkeeper_service="weather",exchange="fetch",outcome="unavailable"} 1"#,
];
