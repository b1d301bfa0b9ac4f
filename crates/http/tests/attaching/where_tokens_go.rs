//! M14: which requests get a token.

use std::task::Poll;

use crate::setup::{API, api, authorization, get, sent_to, some_manager};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use tokenkeeper::{AccessToken, ErrorKind, ManualClock, Recovery};
use tokenkeeper_http::{Origin, Route, Target, TokenChoice, TokenRoutes};
use tokenkeeper_testkit::{ScriptedProvider, Step};

#[tokio::test]
async fn a_token_goes_to_its_origin_however_that_is_spelled() {
    let routes = api(some_manager("svc"));

    for url in [
        "https://api.example.com",
        "https://api.example.com/a/b?c=d",
        "https://api.example.com:443/",
        "HTTPS://API.Example.COM/a",
        "https://user@api.example.com/a",
    ] {
        let sent = authorization(&routes, url).await;
        assert_eq!(sent.as_deref(), Some("Bearer access-1"), "{url}");
    }
}

#[tokio::test]
async fn who_cannot_wait_gets_a_token_that_is_there_and_leaves_the_request_alone_without_one() {
    let manager = some_manager("svc");
    let (routes, mut headers) = (api(manager.clone()), HeaderMap::new());
    let (uri, elsewhere) = (Uri::from_static(API), Uri::from_static("https://evil.example/"));
    let target = Target::of(&Method::GET, &uri).unwrap();

    assert!(routes.attach_now(&target, &mut headers, TokenChoice::OfRoute).is_pending());
    assert!(headers.is_empty());
    manager.token().await.unwrap();
    let attached = routes.attach_now(&target, &mut headers, TokenChoice::OfRoute);
    assert!(matches!(attached, Poll::Ready(Ok(Some(_)))));
    assert_eq!(headers[AUTHORIZATION], "Bearer access-1");

    headers.clear();
    let target = Target::of(&Method::GET, &elsewhere).unwrap();
    let attached = routes.attach_now(&target, &mut headers, TokenChoice::OfRoute);
    assert!(matches!(attached, Poll::Ready(Ok(None))) && headers.is_empty());
}

#[tokio::test]
async fn a_token_goes_nowhere_else() {
    let routes = api(some_manager("svc"));

    for url in [
        "http://api.example.com/",
        "http://api.example.com:443/",
        "https://api.example.com:444/",
        "https://example.com/",
        "https://www.api.example.com/",
        "https://api.example.com.evil.example/",
        "https://api.example.comevil.example/",
        "https://evil-api.example.com/",
        "https://api.example.com./",
        "https://api-example.com/",
        "https://api.example.com@evil.example/",
        "https://api.example.com:443@evil.example/",
        "https://evil.example/api.example.com",
        "https://evil.example/?https://api.example.com/",
        "https://xn--pi-6kc.example.com/", // a Cyrillic а in the place of the first letter
        "https://127.0.0.1/",
    ] {
        assert_eq!(authorization(&routes, url).await, None, "{url}");
    }
}

#[tokio::test]
async fn a_url_that_does_not_say_where_the_request_goes_is_an_error() {
    let routes = api(some_manager("svc"));

    for url in [
        "/path",
        "*",
        "api.example.com:443",
        "ftp://api.example.com/",
        "wss://api.example.com/",
        "https://api.example.com:99999/",
        "https://api.example.com:65979/", // 443 in 16 bits
        "https://api.example.com:abc/",
        "https://api.example.com:+443/",
        "https://user@api.example.com:99999/",
        "https://[::1]:99999/",
    ] {
        let error = sent_to(&routes, url).await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::FixRequest, "{url}");
    }
}

#[tokio::test]
async fn a_url_with_an_empty_port_goes_to_that_of_the_scheme() {
    let routes = api(some_manager("svc"));

    assert!(authorization(&routes, "https://api.example.com:/").await.is_some());
}

#[tokio::test]
async fn a_host_header_that_names_another_server_than_the_url_is_refused() {
    let route = Route::new(some_manager("svc")).origin(API).origin("https://[2001:db8::1]:8443");
    let routes = TokenRoutes::new([route.exclude_path("/open")]).unwrap();
    let sent = async |url: &str, names: &[&str]| {
        let (method, uri) = get(url);
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(HOST, HeaderValue::from_str(name).unwrap());
        }
        let target = Target::of(&method, &uri).unwrap();
        let attached = routes.attach(&target, &mut headers, TokenChoice::OfRoute).await;
        attached.map(|attached| (attached.is_some(), headers.contains_key(AUTHORIZATION)))
    };
    let ipv6 = "https://[2001:db8::1]:8443/";
    for (url, name) in [
        (API, "api.example.com"),
        (API, "API.example.COM:443"),
        (API, "api.example.com:"),
        (ipv6, "[2001:DB8::1]:8443"),
    ] {
        assert_eq!(sent(url, &[name]).await.unwrap(), (true, true), "{url} {name}");
    }
    for (url, name) in [
        (API, "evil.example"),
        (API, "api.example.com:444"),
        (API, "api.example.com:99999"),
        (API, "api.example.com:443:443"),
        (API, "user@api.example.com"),
        (API, "api.example.com@evil.example"),
        (API, "api.example.com."),
        (API, ""),
        (ipv6, "[2001:db8::1]"),
        (ipv6, "[2001:db8::2]:8443"),
    ] {
        let error = sent(url, &[name]).await.unwrap_err();
        assert_eq!((error.kind(), error.service_name()), (ErrorKind::Config, Some("svc")));
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(sent(API, &["api.example.com", "evil.example"]).await.is_err());
    assert!(!sent("https://api.example.com/open", &["evil.example"]).await.unwrap().0);
}

#[test]
fn clear_text_is_for_this_machine_unless_the_danger_is_accepted() {
    let route = |origin: &str| Route::new(some_manager("svc")).origin(origin);
    for host in ["127.0.0.1", "127.0.0.1:8080", "localhost:80", "[::1]:3000"] {
        assert!(TokenRoutes::new([route(&format!("http://{host}"))]).is_ok(), "{host}");
    }
    for host in ["api.example.com", "10.0.0.1", "127.0.0.1.example.com", "[::2]"] {
        let origin = format!("http://{host}");
        let error = TokenRoutes::new([route(&origin)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{host}");
        assert!(error.to_string().contains(&origin), "{error}");
        assert!(TokenRoutes::new([route(&origin).danger_allow_http()]).is_ok(), "{host}");
    }
}

#[test]
fn what_is_no_origin_is_refused_at_construction() {
    for text in [
        "",
        "api.example.com",
        "//api.example.com",
        "https://",
        "https://api.example.com/v1",
        "https://api.example.com?planted",
        "https://api.example.com/#planted",
        "https://planted@api.example.com",
        "https://:planted@api.example.com",
        "https://*.example.com",
        "https://api.example.com\n",
        " https://api.example.com",
        "\u{1}https://api.example.com",
        "ftp://api.example.com",
        "https://api.example.com:99999",
    ] {
        let error = Origin::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.to_string().starts_with("origin: "), "{error}");
        assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        assert!(
            TokenRoutes::new([Route::new(some_manager("svc")).origin(text)]).is_err(),
            "{text}"
        );
    }
    assert_eq!(Origin::parse("HTTPS://Api.Example.com:443/").unwrap().to_string(), API);
}

#[test]
fn what_is_wrong_with_a_route_is_said_with_the_name_of_its_service() {
    let with_path = "https://api.example.com/planted?planted";
    let error = TokenRoutes::new([
        Route::new(some_manager("billing")).origin(API),
        Route::new(some_manager("stock")).origin(with_path),
    ])
    .unwrap_err();

    assert_eq!(error.service_name(), Some("stock"));
    assert_eq!(
        error.to_string(),
        "stock: origin: must end behind host and port, as https://api.example.com does; leave out \
         the rest; Route::exclude_path and exclude_glob take paths out of it"
    );
    let twice = ["billing", "stock"].map(|name| Route::new(some_manager(name)).origin(API));
    assert_eq!(TokenRoutes::new(twice).unwrap_err().service_name(), Some("stock"));
}

#[test]
fn routes_that_contradict_each_other_or_say_nothing_are_refused() {
    let route = || Route::new(some_manager("svc"));
    let refused = [
        vec![],
        vec![route()],
        vec![route().origin(API), route().origin("https://API.example.com:443")],
        vec![route().origin(API).origin(API)],
        vec![route().origin(API).exclude_path("health")],
        vec![route().origin(API).exclude_glob("public/*")],
        vec![route().origin(API).exclude_glob("/[")],
    ];
    for routes in refused {
        let shown = format!("{routes:?}");
        assert_eq!(TokenRoutes::new(routes).unwrap_err().kind(), ErrorKind::Config, "{shown}");
    }
}

#[test]
fn routes_know_their_origins_and_say_in_debug_what_they_are() {
    let routes = api(some_manager("svc"));
    let knows = |url: &str| {
        let (method, uri) = get(url);
        routes.knows(&Target::of(&method, &uri).unwrap())
    };

    assert!(knows("https://api.example.com/a") && !knows("https://evil.example/a"));
    let route = Route::new(some_manager("svc")).origin(API).exclude_path("/health");
    let shown = format!("{:?}", TokenRoutes::new([route]).unwrap());
    assert!(shown.contains(API) && shown.contains("/health"), "{shown}");
}

#[tokio::test]
async fn each_service_gets_its_own_token() {
    let named = |name: &str| {
        let provider = ScriptedProvider::new(name);
        provider.on_fetch(Step::tokens(tokens(name)));
        crate::setup::manager(&provider, &ManualClock::new())
    };
    let routes = TokenRoutes::new([
        Route::new(named("billing"))
            .origin("https://billing.example.com")
            .origin("https://b.example.com"),
        Route::new(named("stock")).origin("https://billing.example.com:8443"),
    ])
    .unwrap();

    for (url, service) in [
        ("https://billing.example.com/", "billing"),
        ("https://b.example.com/", "billing"),
        ("https://billing.example.com:8443/", "stock"),
    ] {
        let sent = authorization(&routes, url).await;
        assert_eq!(sent, Some(format!("Bearer token of {service}")), "{url}");
    }
}

fn tokens(name: &str) -> tokenkeeper::TokenSet {
    let token = AccessToken::new(format!("token of {name}"), "Bearer").unwrap();
    let now = tokenkeeper::Clock::now(&ManualClock::new()).wall();
    tokenkeeper::TokenSet::new(token, now).with_lifetime(std::time::Duration::from_secs(900))
}

#[tokio::test]
async fn excluded_paths_get_no_token() {
    let route = Route::new(some_manager("svc"))
        .origin(API)
        .exclude_path("/health")
        .exclude_glob("/public/*")
        .exclude_glob("*.[jc]s?");
    let routes = TokenRoutes::new([route]).unwrap();

    for path in ["/health", "/health?a=/b", "/public/", "/public/a", "/public/a/b.c", "/x/a.css"] {
        assert_eq!(authorization(&routes, &format!("{API}{path}")).await, None, "{path}");
    }
    for path in ["/", "/health/", "/healthy", "/Health", "/public", "/v/public/a", "/x/a.js"] {
        assert!(authorization(&routes, &format!("{API}{path}")).await.is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_request_that_brings_its_own_header_is_left_alone() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(crate::setup::manager(&provider, &ManualClock::new()));
    let (method, uri) = get(API);
    let own = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic own"))]);

    let mut headers = own.clone();
    let target = Target::of(&method, &uri).unwrap();
    let attached = routes.attach(&target, &mut headers, TokenChoice::OfRoute).await.unwrap();

    assert!(attached.is_none());
    assert_eq!((headers, provider.calls()), (own, 0));
}

#[tokio::test]
async fn a_request_may_go_without_a_token_or_with_that_of_somebody_else() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(crate::setup::manager(&provider, &ManualClock::new()));
    let (method, uri) = get(API);
    let target = Target::of(&method, &uri).unwrap();

    let mut bare = HeaderMap::new();
    assert!(routes.attach(&target, &mut bare, TokenChoice::Without).await.unwrap().is_none());
    let mut theirs = HeaderMap::new();
    let choice = TokenChoice::Of(some_manager("somebody else"));
    let attached = routes.attach(&target, &mut theirs, choice).await.unwrap().unwrap();

    assert!(bare.is_empty());
    assert_eq!(attached.manager().service_name(), "somebody else");
    assert_eq!(theirs[AUTHORIZATION], "Bearer access-1");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_token_of_somebody_else_goes_to_the_same_origins_only() {
    let routes = api(some_manager("svc"));
    let uri = Uri::from_static("https://evil.example/");
    let target = Target::of(&Method::GET, &uri).unwrap();
    let mut headers = HeaderMap::new();

    let choice = TokenChoice::Of(some_manager("somebody else"));
    assert!(routes.attach(&target, &mut headers, choice).await.unwrap().is_none());

    assert!(headers.is_empty());
}

#[tokio::test]
async fn where_each_request_must_say_whose_token_it_gets_one_that_does_not_fails() {
    let routes = TokenRoutes::new([Route::per_request().origin(API)]).unwrap();

    let error = sent_to(&routes, API).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("TokenChoice"), "{error}");
}

#[tokio::test]
async fn without_a_token_there_is_an_error_that_says_when_to_come_back_and_no_header() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    provider.always_on_fetch(Step::unavailable());
    let routes = api(crate::setup::manager(&provider, &clock));
    let (method, uri) = get(API);
    let mut headers = HeaderMap::new();

    let target = Target::of(&method, &uri).unwrap();
    let error = routes.attach(&target, &mut headers, TokenChoice::OfRoute).await.unwrap_err();

    assert!(headers.is_empty());
    assert!(matches!(error.recovery(), Recovery::Retry { after: Some(_) }), "{error}");
    assert_eq!(error.service_name(), Some("svc"));
}

#[test]
fn threads_without_a_runtime_get_the_same() {
    let provider = ScriptedProvider::new("svc");
    let routes = api(crate::setup::manager(&provider, &ManualClock::new()));
    let (method, uri) = get(API);
    let target = Target::of(&method, &uri).unwrap();

    let mut headers = HeaderMap::new();
    let attached = routes.attach_blocking(&target, &mut headers, TokenChoice::OfRoute);
    let again = attached.unwrap().unwrap().renew_blocking(tokenkeeper_http::Reaction::ReplaceToken);
    let again = again.unwrap();
    again.present(&target, &mut headers).unwrap();

    assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer access-2"]);
    assert!(again.renew_blocking(tokenkeeper_http::Reaction::ReplaceToken).is_none());
    assert_eq!(provider.calls(), 2);
}

#[test]
fn threads_without_a_runtime_get_the_error_and_no_header_either() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(Step::unavailable());
    let routes = api(crate::setup::manager(&provider, &ManualClock::new()));
    let (method, uri) = get(API);
    let target = Target::of(&method, &uri).unwrap();
    let mut headers = HeaderMap::new();

    let attached = routes.attach_blocking(&target, &mut headers, TokenChoice::OfRoute);

    assert_eq!(attached.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(headers.is_empty());
}

#[tokio::test]
async fn a_token_that_cannot_be_presented_is_an_error_too() {
    let provider = ScriptedProvider::new("svc");
    let token = AccessToken::new("abc", "DPoP").unwrap();
    let now = tokenkeeper::Clock::now(&ManualClock::new()).wall();
    provider.always_on_fetch(Step::tokens(tokenkeeper::TokenSet::new(token, now)));
    let routes = api(crate::setup::manager(&provider, &ManualClock::new()));
    let (method, uri) = get(API);
    let target = Target::of(&method, &uri).unwrap();

    for blocking in [false, true] {
        let mut headers = HeaderMap::new();
        let attached = if blocking {
            routes.attach_blocking(&target, &mut headers, TokenChoice::OfRoute)
        } else {
            routes.attach(&target, &mut headers, TokenChoice::OfRoute).await
        };

        let error = attached.unwrap_err();
        assert_eq!((error.kind(), error.service_name()), (ErrorKind::Unsupported, Some("svc")));
        assert!(headers.is_empty());
    }
}

#[test]
fn a_target_without_a_host_is_refused() {
    let error = Target::new(&Method::GET, "https", "", None, "/").unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
}
