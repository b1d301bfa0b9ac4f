//! What redirects may take along.

use http::{HeaderMap, HeaderValue, Method, Uri};
use tokenkeeper::ErrorKind;
use tokenkeeper_http::{CustomHeader, RedirectChain, Route, Target, TokenChoice, TokenRoutes};

use crate::setup::some_manager;

const FIRST: &str = "https://first.example.com";
const SECOND: &str = "https://second.example.com";
const USERS: &str = "https://users.example.com";
const STRANGER: &str = "https://evil.example";

/// Two services, of which the second accepts redirects, and one for users, which does so too.
fn routes() -> TokenRoutes {
    let first = Route::new(some_manager("first")).origin(FIRST).origin("https://1.example.com");
    TokenRoutes::new([
        first.presenter(CustomHeader::new("x-first", "").unwrap()),
        Route::new(some_manager("second")).origin(SECOND).accept_redirects(),
        Route::per_request().origin(USERS).accept_redirects(),
    ])
    .unwrap()
}

/// The choice of the last of these requests, each of which redirects to the next: the name of a
/// user's service, `route` or `without`.
fn choice(chosen: &TokenChoice, hops: &[(&str, Method)]) -> String {
    let mut chain = RedirectChain::new(&routes(), chosen.clone());
    assert!(!chain.has_redirects());
    for pair in hops.windows(2) {
        let [(from, first), (to, second)] = pair else { panic!("two at a time") };
        let (from, to): (Uri, Uri) = (from.parse().unwrap(), to.parse().unwrap());
        chain.follow(&Target::of(first, &from).unwrap(), &Target::of(second, &to).unwrap());
        assert!(chain.has_redirects());
    }
    match chain.choice() {
        TokenChoice::OfRoute => "route".to_owned(),
        TokenChoice::Of(manager) => manager.service_name().to_owned(),
        _ => "without".to_owned(),
    }
}

fn gets(urls: &[&'static str]) -> Vec<(&'static str, Method)> {
    urls.iter().map(|url| (*url, Method::GET)).collect()
}

#[test]
fn each_request_of_a_chain_gets_what_the_rules_say() {
    let table: [(&[&str], &str, &str); 9] = [
        (&[FIRST], "route", "alice"),
        (&[FIRST, FIRST], "route", "alice"),
        (&[FIRST, "https://1.example.com"], "route", "alice"),
        (&[FIRST, SECOND], "route", "without"),
        (&[SECOND, FIRST], "without", "without"),
        (&[FIRST, SECOND, SECOND], "route", "without"),
        (&[SECOND, USERS, SECOND], "route", "alice"),
        (&[SECOND, STRANGER, SECOND], "without", "without"),
        (&[STRANGER, SECOND], "without", "without"),
    ];
    for (urls, of_route, of_alice) in table {
        let alice = TokenChoice::Of(some_manager("alice"));
        assert_eq!(choice(&TokenChoice::OfRoute, &gets(urls)), of_route, "{urls:?}");
        assert_eq!(choice(&alice, &gets(urls)), of_alice, "{urls:?}");
        assert_eq!(choice(&TokenChoice::Without, &gets(urls)), "without", "{urls:?}");
    }
}

#[test]
fn an_unsafe_method_takes_no_token_to_another_route() {
    for (method, expected) in [
        (Method::GET, "route"),
        (Method::HEAD, "route"),
        (Method::POST, "without"),
        (Method::PUT, "without"),
        (Method::PATCH, "without"),
        (Method::DELETE, "without"),
    ] {
        let across = [(FIRST, method.clone()), (SECOND, method.clone())];
        assert_eq!(choice(&TokenChoice::OfRoute, &across), expected, "{method}");
        let within = [(SECOND, method.clone()), (SECOND, method.clone())];
        assert_eq!(choice(&TokenChoice::OfRoute, &within), "route", "{method}");
    }
}

#[test]
fn credentials_stay_behind_for_good_at_the_first_redirect_to_another_origin() {
    let all = || {
        let mut customer = HeaderValue::from_static("0815");
        customer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-customer", customer);
        for name in ["authorization", "cookie", "x-api-key", "x-first", "host", "accept"] {
            headers.append(name, HeaderValue::from_static("a"));
            headers.append(name, HeaderValue::from_static("b"));
        }
        headers
    };
    let stripped = |urls: &[&str]| {
        let mut chain = RedirectChain::new(&routes(), TokenChoice::OfRoute);
        for pair in urls.windows(2) {
            let [from, to] = pair else { panic!("two at a time") };
            let (from, to): (Uri, Uri) = (from.parse().unwrap(), to.parse().unwrap());
            let from = Target::of(&Method::GET, &from).unwrap();
            chain.follow(&from, &Target::of(&Method::GET, &to).unwrap());
        }
        let mut headers = all();
        chain.strip(&mut headers);
        headers
    };

    for urls in [&[FIRST][..], &[FIRST, FIRST]] {
        assert_eq!(stripped(urls), all(), "{urls:?}");
    }
    let ports = [FIRST, "https://first.example.com:8443"];
    for urls in
        [&[FIRST, SECOND][..], &[FIRST, STRANGER, STRANGER], &[FIRST, SECOND, FIRST], &ports]
    {
        let headers = stripped(urls);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"], "{urls:?}");
        assert_eq!(headers.len(), 2);
    }
}

/// What [`TokenRoutes::check_redirect`] says of a redirect.
fn refusal(method: &Method, from: &str, location: &str, choice: &TokenChoice) -> Option<String> {
    let from: Uri = from.parse().unwrap();
    let from = Target::of(method, &from).unwrap();
    let location = HeaderValue::from_str(location).unwrap();
    let error = routes().check_redirect(&from, &location, choice).err()?;
    assert!(error.answer_lost());
    assert_eq!(error.kind(), ErrorKind::RequestRejected);
    Some(error.to_string())
}

#[test]
fn a_redirect_that_a_client_must_not_follow_with_a_token_is_an_error() {
    let alice = TokenChoice::Of(some_manager("alice"));
    let any = TokenChoice::OfRoute;
    let table: [(Method, &str, &str, &TokenChoice, bool); 13] = [
        (Method::GET, FIRST, "/moved", &any, true),
        (Method::DELETE, FIRST, "/moved", &any, true),
        (Method::DELETE, FIRST, "https://1.example.com/moved", &any, true),
        (Method::GET, FIRST, "https://evil.example/", &any, true),
        (Method::GET, FIRST, "https://[::1", &any, true),
        (Method::GET, FIRST, "mailto:a@b.c", &any, true),
        (Method::GET, FIRST, "https://second.example.com/x", &any, true),
        (Method::DELETE, FIRST, "//second.example.com/x", &any, false),
        (Method::GET, STRANGER, "https://second.example.com/x", &any, false),
        (Method::GET, SECOND, "https://first.example.com/x", &any, false),
        (Method::GET, FIRST, "/moved", &alice, false),
        (Method::GET, FIRST, "https://second.example.com/x", &alice, false),
        (Method::GET, USERS, "/moved", &alice, true),
    ];
    for (method, from, location, choice, passes) in table {
        let refused = refusal(&method, from, location, choice);
        assert_eq!(refused.is_none(), passes, "{method} {from} {location}: {refused:?}");
    }
    let refused = refusal(&Method::PUT, SECOND, "https://first.example.com/a?planted", &any);
    let refused = refused.unwrap();
    assert!(refused.starts_with("first: https://second.example.com redirected"), "{refused}");
    assert!(!refused.contains("planted"), "{refused}");
}
