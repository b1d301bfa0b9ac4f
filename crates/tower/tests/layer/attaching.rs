//! M14: a token goes only where it was meant to go, and a request that should have one never goes
//! out bare.

use std::time::Duration;

use crate::api::{Api, Mark, ORIGIN, get, in_time, manager, routes_of, text};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tokenkeeper::{Error, ErrorKind, TokenManager};
use tokenkeeper_testkit::{ScriptedProvider, Step};
use tokenkeeper_tower::{CustomHeader, Route, TokenChoice, TokenLayer, TokenRoutes, TokenService};
use tower::{BoxError, Layer, Service, ServiceExt};

struct Setup {
    api: Api,
    provider: ScriptedProvider,
    client: TokenService<Api>,
}

fn setup() -> Setup {
    let (api, provider) = (Api::new(), ScriptedProvider::new("svc"));
    let (manager, _) = manager(&provider);
    let client = TokenLayer::new(routes_of(&manager)).layer(api.clone());
    Setup { api, provider, client }
}

fn ours(error: &BoxError) -> &Error {
    error.downcast_ref().unwrap()
}

#[tokio::test]
async fn m14_a_request_to_a_named_origin_gets_the_token() {
    let Setup { api, client, .. } = setup();

    for path in ["/items", "/items?id=1", ""] {
        let uri = format!("{ORIGIN}{path}");
        let answer = in_time(client.clone().oneshot(get(&uri))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }

    assert_eq!(api.tokens(), vec![Some("access-1".to_owned()); 3]);
    assert!(api.arrived()[0].headers[header::AUTHORIZATION].is_sensitive());
}

#[tokio::test]
async fn m14_a_request_elsewhere_goes_out_as_it_is_and_asks_for_no_token() {
    let Setup { api, provider, client } = setup();

    for uri in [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
        "https://evil.example/?https://api.example.com",
        "https://api.example.com@evil.example/",
    ] {
        let answer = in_time(client.clone().oneshot(get(uri))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{uri}");
    }

    assert_eq!(api.tokens(), vec![None; 5]);
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn m14_a_request_that_brings_its_own_authorization_is_left_alone() {
    let Setup { api, provider, client } = setup();
    let mut request = get(ORIGIN);
    request.headers_mut().insert(header::AUTHORIZATION, "Bearer mine".parse().unwrap());
    api.revoke("mine");

    let answer = in_time(client.oneshot(request)).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "and its 401 is the caller's");
    assert_eq!(api.tokens(), [Some("mine".to_owned())]);
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn m14_a_request_that_wants_no_token_gets_none_wherever_it_goes() {
    let Setup { api, provider, client } = setup();

    for uri in [ORIGIN, "/path-alone"] {
        let mut request = get(uri);
        request.extensions_mut().insert(TokenChoice::Without);
        in_time(client.clone().oneshot(request)).await.unwrap();
    }

    assert_eq!(api.tokens(), [None, None]);
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn m14_without_a_token_the_inner_service_is_never_called() {
    let Setup { api, provider, client } = setup();
    provider.always_on_fetch(Step::refuse_credentials());

    let waited = in_time(client.clone().oneshot(get(ORIGIN))).await.unwrap_err();
    let remembered = in_time(client.clone().oneshot(get(ORIGIN))).await.unwrap_err();

    for error in [&waited, &remembered] {
        assert_eq!(ours(error).kind(), ErrorKind::CredentialsRejected);
        assert_eq!(ours(error).service_name(), Some("svc"));
    }
    assert!(api.arrived().is_empty());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn m14_a_request_without_an_origin_fails_unless_one_is_assumed() {
    let Setup { api, provider, client } = setup();
    let routes = routes_of(&manager(&provider).0);

    let error = in_time(client.oneshot(get("/items"))).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Config);
    assert!(error.to_string().contains("assume_origin"), "{error}");
    assert!(api.arrived().is_empty());

    let assuming = TokenLayer::new(routes).assume_origin(ORIGIN).unwrap();
    assuming.layer(api.clone()).oneshot(get("/items")).await.unwrap();
    assuming.layer(api.clone()).oneshot(get("https://evil.example/")).await.unwrap();
    assert_eq!(api.tokens(), [Some("access-1".to_owned()), None]);
    assert_eq!(api.arrived()[0].uri, "/items", "the URI is the inner service's to complete");
}

#[test]
fn m14_an_origin_can_be_assumed_only_if_it_is_one_that_gets_tokens() {
    let routes = routes_of(&manager(&ScriptedProvider::new("svc")).0);

    for wrong in ["https://api.example.com:8443", "http://api.example.com", "https://x/y", "api"] {
        let error = TokenLayer::new(routes.clone()).assume_origin(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
    }
    assert!(TokenLayer::new(routes).assume_origin("https://API.example.com:443").is_ok());
}

#[tokio::test]
async fn each_request_says_whose_token_it_gets() {
    let (alice, _) = manager(&ScriptedProvider::new("alice"));
    let (bob, clock) = manager(&ScriptedProvider::new("bob"));
    bob.token().await.unwrap();
    clock.advance(Duration::from_secs(60));
    bob.force_refresh().await.unwrap();
    let routes = TokenRoutes::new([Route::per_request().origin(ORIGIN)]).unwrap();
    let api = Api::new();
    let client = TokenLayer::new(routes).layer(api.clone());
    let request = |user: &TokenManager| {
        let mut request = get(ORIGIN);
        request.extensions_mut().insert(TokenChoice::Of(user.clone()));
        request
    };
    in_time(client.clone().oneshot(request(&alice))).await.unwrap();
    in_time(client.clone().oneshot(request(&bob))).await.unwrap();
    let error = in_time(client.oneshot(get(ORIGIN))).await.unwrap_err();

    assert_eq!(api.tokens(), ["access-1", "access-2"].map(|token| Some(token.to_owned())));
    assert_eq!(ours(&error).kind(), ErrorKind::Config, "nobody's token is no token");
}

#[tokio::test]
async fn a_rejected_token_of_one_user_is_replaced_by_another_of_the_same() {
    let (alice, bob) = (ScriptedProvider::new("alice"), ScriptedProvider::new("bob"));
    let routes = TokenRoutes::new([Route::new(manager(&bob).0).origin(ORIGIN)]).unwrap();
    let api = Api::new();
    api.revoke("access-1");
    let mut request = get(ORIGIN);
    request.extensions_mut().insert(TokenChoice::Of(manager(&alice).0));

    let answer = TokenLayer::new(routes).layer(api.clone()).oneshot(request).await.unwrap();

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!((alice.calls(), bob.calls()), (2, 0));
}

#[tokio::test]
async fn a_token_can_go_into_a_header_of_the_services_own() {
    let provider = ScriptedProvider::new("svc");
    let presenter = CustomHeader::new("x-api-key", "").unwrap();
    let route = Route::new(manager(&provider).0).origin(ORIGIN).presenter(presenter);
    let api = Api::new();
    let client = TokenLayer::new(TokenRoutes::new([route]).unwrap()).layer(api.clone());

    let answer = in_time(client.oneshot(get(ORIGIN))).await.unwrap();

    assert_eq!(api.arrived()[0].headers["x-api-key"], "access-1");
    assert_eq!(api.arrived()[1].headers["x-api-key"], "access-2", "this API does not know it");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.tokens(), [None, None]);
}

#[tokio::test]
async fn m11_nothing_that_can_be_printed_shows_a_secret() {
    let (api, provider) = (Api::new(), ScriptedProvider::new("svc"));
    let layer = TokenLayer::new(routes_of(&manager(&provider).0)).assume_origin(ORIGIN).unwrap();
    let mut client = layer.layer(api.clone());
    let request = Request::post(ORIGIN).header("cookie", "access-cookie").body(Full::from("x"));

    let answer = client.call(request.unwrap());
    let shown = format!("{layer:?} {layer:#?} {client:?} {client:#?} {answer:?}");
    answer.await.unwrap();
    provider.always_on_refresh(Step::refuse_credentials());
    api.refuse_everything(401, &[]);
    let answer = text(client.clone().oneshot(get(ORIGIN)).await.unwrap()).await;
    let mut lost = get("/?access_token=access-in-a-query");
    lost.extensions_mut().insert(Mark(1));
    let error = TokenLayer::new(routes_of(&manager(&provider).0))
        .layer(api.clone())
        .oneshot(lost)
        .await
        .unwrap_err();

    for shown in [shown, format!("{client:?} {error} {error:?} {error:#?} {answer}")] {
        assert!(!shown.contains("access-") && !shown.contains("refresh-"), "{shown}");
    }
}
