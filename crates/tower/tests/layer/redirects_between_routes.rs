//! One API cannot have another act in our name, whichever policy follows redirects.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use parking_lot::Mutex;
use tokenkeeper::ErrorKind;
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tower::{Route, TokenChoice, TokenLayer, TokenRoutes};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;

use crate::api::manager;

type Sent = Request<Full<Bytes>>;
type Visits = Arc<Mutex<Vec<(String, HeaderMap)>>>;

const A: &str = "https://a.example.com";
const B: &str = "https://b.example.com";

/// All hosts of the world: each of these URLs redirects to the next with a 307, the last is an end.
fn world(
    urls: &[&str],
) -> (
    Visits,
    impl Service<Sent, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
) {
    let visits = Visits::default();
    let (log, urls) =
        (visits.clone(), urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>());
    let service = tower::service_fn(move |request: Sent| {
        let url = request.uri().to_string();
        log.lock().push((url.clone(), request.headers().clone()));
        let mut answer = Response::new(Full::default());
        let at = urls.iter().position(|one| *one == url).unwrap();
        if let Some(next) = urls.get(at + 1) {
            *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            answer.headers_mut().insert(header::LOCATION, next.parse().unwrap());
        }
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    (visits, service)
}

fn route(name: &str, origin: &str) -> Route {
    Route::new(manager(&ScriptedProvider::new(name)).0).origin(origin)
}

fn routes() -> TokenRoutes {
    TokenRoutes::new([route("a", A), route("b", B)]).unwrap()
}

fn request(method: Method, url: &str, choice: TokenChoice) -> Sent {
    let mut customer = HeaderValue::from_static("0815");
    customer.set_sensitive(true);
    let request = Request::builder().method(method).uri(url).header("x-api-key", "0815");
    let request = request.header("x-customer", customer).header("x-other", "1");
    request.extension(choice).body(Full::default()).unwrap()
}

#[cfg(feature = "follow-redirect")]
/// The value of `Authorization` at every URL that was asked for.
fn tokens(visits: &Visits) -> Vec<Option<String>> {
    let value = |headers: &HeaderMap| headers.get(header::AUTHORIZATION).cloned();
    let values = visits.lock().iter().map(|(_, headers)| value(headers)).collect::<Vec<_>>();
    let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
    values.into_iter().map(|value| value.map(text)).collect()
}

fn refused(answer: Result<Response<Full<Bytes>>, BoxError>) -> tokenkeeper::Error {
    *answer.unwrap_err().downcast::<tokenkeeper::Error>().unwrap()
}

#[tokio::test]
async fn a_policy_that_knows_no_routes_leads_into_none_from_outside() {
    for (method, urls) in [
        (Method::DELETE, &["https://a.example.com/", "https://b.example.com/x"][..]),
        (Method::GET, &["https://a.example.com/", "https://b.example.com/x"]),
        (
            Method::GET,
            &["https://a.example.com/", "https://evil.example/", "https://a.example.com/x"],
        ),
    ] {
        let (visits, world) = world(urls);
        let client = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(TokenLayer::new(routes()))
            .service(world);

        let answer = client.oneshot(request(method, urls[0], TokenChoice::OfRoute)).await;

        let error = refused(answer);
        assert_eq!(error.kind(), ErrorKind::RequestRejected);
        assert!(error.answer_lost() && error.to_string().contains("RedirectPolicy"), "{error}");
        assert_eq!(visits.lock().len(), urls.len() - 1, "{urls:?}");
    }
}

#[tokio::test]
async fn a_policy_that_forgets_whose_token_was_chosen_does_not_lead_to_that_of_the_service() {
    let (visits, world) = world(&["https://a.example.com/", "https://a.example.com/moved"]);
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(TokenLayer::new(routes()))
        .service(world);
    let alice = TokenChoice::Of(manager(&ScriptedProvider::new("alice")).0);

    let error =
        refused(client.oneshot(request(Method::GET, "https://a.example.com/", alice)).await);

    assert_eq!((error.service_name(), visits.lock().len()), (Some("a"), 1));
}

#[tokio::test]
async fn where_nothing_follows_redirects_they_are_the_callers() {
    let (_, world) = world(&["https://a.example.com/", "https://b.example.com/x"]);
    let layer = TokenLayer::new(routes()).nothing_follows_redirects();
    let client = ServiceBuilder::new().layer(layer).service(world);

    let request = request(Method::DELETE, "https://a.example.com/", TokenChoice::OfRoute);
    let answer = client.oneshot(request).await.unwrap();

    assert_eq!(answer.headers()[header::LOCATION], "https://b.example.com/x");
}

#[cfg(feature = "follow-redirect")]
mod with_the_policy {
    use tokenkeeper_tower::RedirectPolicy;

    use super::*;

    async fn followed(
        routes: &TokenRoutes,
        policy: RedirectPolicy,
        (method, choice): (Method, TokenChoice),
        urls: &[&str],
    ) -> Visits {
        let (visits, world) = world(urls);
        let client = ServiceBuilder::new()
            .layer(FollowRedirectLayer::with_policy(policy))
            .layer(TokenLayer::new(routes.clone()))
            .service(world);
        client.oneshot(request(method, urls.first().unwrap(), choice)).await.unwrap();
        visits
    }

    #[tokio::test]
    async fn the_token_stays_on_its_route_and_what_is_the_callers_on_its_origin() {
        let urls = ["https://a.example.com/", "https://a.example.com/2", "https://b.example.com/"];
        let urls = [&urls[..], &["https://b.example.com/2"]].concat();
        let routes = routes();
        let policy = RedirectPolicy::new(&routes);

        let sent = (Method::DELETE, TokenChoice::OfRoute);
        let visits = followed(&routes, policy, sent, &urls).await;

        let token = Some("Bearer access-1".to_owned());
        assert_eq!(tokens(&visits), [token.clone(), token, None, None]);
        let has = |name: &str| {
            let visits = visits.lock();
            visits.iter().map(|(_, headers)| headers.contains_key(name)).collect::<Vec<_>>()
        };
        assert_eq!(has("x-api-key"), [true, true, false, false]);
        assert_eq!(has("x-customer"), [true, true, false, false]);
        assert_eq!(has("x-other"), [true; 4]);
    }

    #[tokio::test]
    async fn a_route_that_accepts_redirects_gives_its_token_to_safe_requests() {
        for (method, has_token) in [(Method::GET, true), (Method::DELETE, false)] {
            let routes = TokenRoutes::new([route("a", A), route("b", B).accept_redirects()]);
            let routes = routes.unwrap();
            let urls = ["https://a.example.com/", "https://b.example.com/"];

            let policy = RedirectPolicy::new(&routes);
            let sent = (method, TokenChoice::OfRoute);
            let visits = followed(&routes, policy, sent, &urls).await;

            assert_eq!(tokens(&visits)[1].is_some(), has_token);
        }
    }

    #[tokio::test]
    async fn what_the_request_chose_holds_for_the_whole_chain() {
        let routes = routes();
        let urls = ["https://a.example.com/", "https://a.example.com/2", "https://a.example.com/3"];
        let alice = manager(&ScriptedProvider::new("alice")).0;
        alice.token().await.unwrap();
        let alice_token = alice.force_refresh().await.unwrap();

        let policy = || RedirectPolicy::new(&routes);
        let sent = (Method::GET, TokenChoice::Of(alice));
        let of_alice = followed(&routes, policy(), sent, &urls).await;
        let sent = (Method::GET, TokenChoice::Without);
        let of_none = followed(&routes, policy(), sent, &urls).await;

        let expected = Some(format!("Bearer {}", alice_token.secret().expose_secret()));
        assert_eq!(tokens(&of_alice), [expected.clone(), expected.clone(), expected]);
        assert_eq!(tokens(&of_none), [None, None, None]);
    }

    #[tokio::test]
    async fn after_the_limit_the_caller_gets_the_redirect() {
        let routes = routes();
        let urls: Vec<String> = (0..13).map(|at| format!("https://a.example.com/{at}")).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        for (limit, asked) in [(Some(0), 1), (Some(2), 3), (None, 11)] {
            let policy = RedirectPolicy::new(&routes);
            let policy = limit.map_or(policy.clone(), |limit| policy.with_limit(limit));

            let sent = (Method::GET, TokenChoice::OfRoute);
            let visits = followed(&routes, policy, sent, &urls).await;

            assert_eq!(visits.lock().len(), asked);
        }
    }
}
