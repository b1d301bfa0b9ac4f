//! M14 on redirects: the layer that follows them is outside, so the rules are asked at every hop.

use std::convert::Infallible;
use std::sync::Arc;

use crate::api::{ORIGIN, get, manager};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use parking_lot::Mutex;
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tower::{CustomHeader, Route, TokenChoice, TokenLayer, TokenRoutes};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;

type Sent = Request<Full<Bytes>>;

const SECOND: &str = "https://second.example.com";

/// Every URL that was asked for, and the value of the header in question.
type Visits = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// All hosts of the world: `/start` leads to this location, everything else is an end.
fn world(
    location: &str,
    header: &'static str,
) -> (
    Visits,
    impl Service<Sent, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
) {
    let (visits, location) = (Visits::default(), location.to_owned());
    let log = visits.clone();
    let service = tower::service_fn(move |request: Sent| {
        let header = request.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
        log.lock().push((request.uri().to_string(), header));
        let mut answer = Response::new(Full::default());
        if request.uri().path() == "/start" {
            *answer.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
            answer.headers_mut().insert(header::LOCATION, location.parse().unwrap());
        }
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    (visits, service)
}

fn route() -> Route {
    Route::new(manager(&ScriptedProvider::new("svc")).0).origin(ORIGIN).origin(SECOND)
}

/// Where it leads, and whether the token may go there.
const HOPS: [(&str, bool); 9] = [
    ("/elsewhere", true),
    ("https://api.example.com/elsewhere", true),
    ("https://API.example.com:443/elsewhere", true),
    ("https://second.example.com/", true),
    ("https://evil.example/", false),
    ("http://api.example.com/", false),
    ("https://api.example.com:8443/", false),
    ("https://api.example.com.evil.example/", false),
    ("https://api.example.com@evil.example/", false),
];

#[tokio::test]
async fn m14_the_token_is_seen_at_named_origins_alone() {
    for (location, is_named) in HOPS {
        let (visits, world) = world(location, "authorization");
        let client = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(TokenLayer::new(TokenRoutes::new([route()]).unwrap()))
            .service(world);

        client.oneshot(get(&format!("{ORIGIN}/start"))).await.unwrap();

        let visits = visits.lock();
        assert_eq!(visits.len(), 2, "{location}");
        assert_eq!(visits[0].1.as_deref(), Some("Bearer access-1"));
        assert_eq!(visits[1].1.as_deref(), is_named.then_some("Bearer access-1"), "{location}");
    }
}

#[tokio::test]
async fn m14_a_header_of_the_services_own_is_seen_at_named_origins_alone() {
    for (location, is_named) in HOPS {
        let (visits, world) = world(location, "x-api-key");
        let route = route().presenter(CustomHeader::new("x-api-key", "").unwrap());
        let client = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(TokenLayer::new(TokenRoutes::new([route]).unwrap()))
            .service(world);

        client.oneshot(get(&format!("{ORIGIN}/start"))).await.unwrap();

        let visits = visits.lock();
        assert_eq!(visits[0].1.as_deref(), Some("access-1"));
        assert_eq!(visits[1].1.as_deref(), is_named.then_some("access-1"), "{location}");
    }
}

#[tokio::test]
async fn a_choice_holds_for_one_hop_so_a_route_without_a_manager_fails_at_the_next() {
    let (visits, world) = world("/elsewhere", "authorization");
    let routes = TokenRoutes::new([Route::per_request().origin(ORIGIN)]).unwrap();
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(TokenLayer::new(routes))
        .service(world);
    let mut request = get(&format!("{ORIGIN}/start"));
    let user = manager(&ScriptedProvider::new("user")).0;
    request.extensions_mut().insert(TokenChoice::Of(user));

    assert!(client.oneshot(request).await.is_err());

    assert_eq!(visits.lock().len(), 1);
}

#[tokio::test]
async fn without_a_layer_that_follows_them_redirects_are_the_callers() {
    let (visits, world) = world("https://evil.example/", "authorization");
    let layer = TokenLayer::new(TokenRoutes::new([route()]).unwrap());
    let client = ServiceBuilder::new().layer(layer).service(world);

    let answer = client.oneshot(get(&format!("{ORIGIN}/start"))).await.unwrap();

    assert_eq!(answer.status(), http::StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(visits.lock().len(), 1);
}
