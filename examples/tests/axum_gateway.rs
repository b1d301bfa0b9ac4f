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
    assert_eq!(counts, COUNTS);
}

const COUNTS: &str = r#"tokenkeeper_exchanges_total{tokenkeeper_service="billing",exchange="fetch",outcome="success"} 2
tokenkeeper_exchanges_total{tokenkeeper_service="library",exchange="fetch",outcome="success"} 1
tokenkeeper_exchanges_total{tokenkeeper_service="weather",exchange="fetch",outcome="unavailable"} 1
tokenkeeper_token_requests_total{tokenkeeper_service="billing",result="fresh"} 1
tokenkeeper_token_requests_total{tokenkeeper_service="billing",result="waited"} 2
tokenkeeper_token_requests_total{tokenkeeper_service="library",result="waited"} 1
tokenkeeper_token_requests_total{tokenkeeper_service="weather",result="failed"} 1
"#;
