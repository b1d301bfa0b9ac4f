//! How tokens look on requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::setup::{API, get, manager, sent_to};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use tokenkeeper::{AccessToken, Error, ErrorKind, ManualClock};
use tokenkeeper_http::{
    Bearer, CustomHeader, Presenter, Reaction, Route, Target, TokenChoice, TokenRoutes,
};
use tokenkeeper_testkit::ScriptedProvider;

fn presented(presenter: &dyn Presenter, token: &AccessToken) -> Result<HeaderMap, Error> {
    let uri = Uri::from_static(API);
    let mut headers = HeaderMap::new();
    presenter.present(token, &Target::of(&Method::GET, &uri)?, &mut headers)?;
    Ok(headers)
}

#[test]
fn a_custom_header_has_the_name_and_prefix_that_were_given() {
    let token = AccessToken::new("abc", "Bearer").unwrap();
    for (name, prefix, expected) in [
        ("X-Api-Key", "", "abc"),
        ("authorization", "Token", "Token abc"),
        ("x-token", "a,b", "a,b abc"),
    ] {
        let headers = presented(&CustomHeader::new(name, prefix).unwrap(), &token).unwrap();
        let value = headers.get(name).unwrap();
        assert_eq!((headers.len(), value.to_str().unwrap()), (1, expected));
        assert!(value.is_sensitive());
    }
}

#[test]
fn a_name_or_prefix_that_fits_into_no_header_is_refused() {
    for (name, prefix) in [("", ""), ("a b", ""), ("x", "a\nb"), ("x", " a"), ("x", "a ")] {
        let error = CustomHeader::new(name, prefix).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name:?} {prefix:?}");
    }
}

#[test]
fn a_header_that_is_kept_is_never_that_of_another_token() {
    let presenter = CustomHeader::new("x-token", "").unwrap();
    for turn in 0..1_000 {
        let secret = format!("secret-{}", turn % 7);
        let token = AccessToken::new(secret.clone(), "Bearer").unwrap();
        let headers = presented(&presenter, &token).unwrap();
        assert_eq!(headers.get("x-token").unwrap().to_str().unwrap(), secret);
    }
}

/// RFC 6749 §7.1: not without understanding its type; RFC 9449 §7.1: not as a bearer token.
#[test]
fn a_token_of_another_type_is_not_passed_off_as_a_bearer_token() {
    let other = AccessToken::new("hunter2", "DPoP").unwrap();
    let custom = CustomHeader::new("x-token", "").unwrap();
    for presenter in [&Bearer::new() as &dyn Presenter, &custom] {
        let error = presented(presenter, &other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("DPoP"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let odd = AccessToken::new("abc", "api_key").unwrap();
    assert!(presented(&Bearer::new(), &odd).is_err());
    assert!(presented(&custom, &odd).is_ok(), "whoever names the header says that it fits");
}

#[tokio::test]
async fn a_request_is_left_alone_if_it_has_the_header_that_the_route_uses() {
    let provider = ScriptedProvider::new("svc");
    let route = Route::new(manager(&provider, &ManualClock::new()))
        .origin(API)
        .presenter(CustomHeader::new("x-api-key", "").unwrap());
    let routes = TokenRoutes::new([route]).unwrap();
    let (method, uri) = get(API);
    let target = Target::of(&method, &uri).unwrap();

    let mut own =
        HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), "own".parse().unwrap())]);
    assert!(routes.attach(&target, &mut own, TokenChoice::OfRoute).await.unwrap().is_none());
    let mut other =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, "Basic x".parse().unwrap())]);
    assert!(routes.attach(&target, &mut other, TokenChoice::OfRoute).await.unwrap().is_some());

    assert_eq!(own["x-api-key"], "own");
    assert_eq!(
        (&other["x-api-key"], &other["authorization"]),
        (&"access-1".parse().unwrap(), &"Basic x".parse().unwrap())
    );
    assert_eq!(routes.headers().collect::<Vec<_>>(), ["x-api-key"]);
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_token() {
    let provider = ScriptedProvider::new("svc");
    let route = Route::new(manager(&provider, &ManualClock::new()))
        .origin(API)
        .exclude_glob("/public/*")
        .presenter(CustomHeader::new("x-api-key", "Key").unwrap());
    let route_shown = format!("{route:?}");
    let routes = TokenRoutes::new([route]).unwrap();
    let headers = sent_to(&routes, API).await.unwrap();
    let attached = crate::setup::attached(&routes).await;

    assert_eq!(headers["x-api-key"], "Key access-1");
    let shown = format!("{route_shown} {routes:?} {attached:?} {headers:?}");
    assert!(!shown.contains("access-1"), "{shown}");
}

/// With a header beside that of the token, as proofs are, and a count of the answers heard of.
#[derive(Clone, Debug, Default)]
struct WithProof {
    heard: Arc<Mutex<Vec<u16>>>,
}

impl Presenter for WithProof {
    fn header(&self) -> &HeaderName {
        const { &http::header::AUTHORIZATION }
    }

    fn further_headers(&self) -> &[HeaderName] {
        static PROOF: HeaderName = HeaderName::from_static("x-proof");
        std::slice::from_ref(&PROOF)
    }

    fn present(
        &self,
        token: &AccessToken,
        _: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        headers.insert("x-proof", "proof".parse().unwrap());
        headers.insert("authorization", token.authorization());
        Ok(())
    }

    fn on_challenge(&self, _: &Target<'_>, _: StatusCode, _: &HeaderMap) -> Reaction {
        Reaction::Represent
    }

    fn on_answer(&self, _: &Target<'_>, status: StatusCode, _: &HeaderMap) {
        self.heard.lock().unwrap().push(status.as_u16());
    }
}

fn with_proof(presenter: &WithProof) -> TokenRoutes {
    let manager = manager(&ScriptedProvider::new("svc"), &ManualClock::new());
    TokenRoutes::new([Route::new(manager).origin(API).presenter(presenter.clone())]).unwrap()
}

#[test]
fn what_goes_with_a_token_is_among_the_headers_to_be_left_behind() {
    let routes = with_proof(&WithProof::default());

    assert_eq!(routes.headers().collect::<Vec<_>>(), ["authorization", "x-proof"]);
}

#[tokio::test]
async fn a_presenter_hears_of_every_answer_also_of_those_that_succeed() {
    let presenter = WithProof::default();
    let attached = crate::setup::attached(&with_proof(&presenter)).await;
    let uri = Uri::from_static(API);
    let target = Target::of(&Method::GET, &uri).unwrap();
    let reaction = |status| attached.reaction(&target, status, &HeaderMap::new());

    assert_eq!(reaction(StatusCode::OK), Reaction::GiveUp);
    assert_eq!(reaction(StatusCode::BAD_GATEWAY), Reaction::GiveUp);
    let reaction = reaction(StatusCode::UNAUTHORIZED);
    let again = attached.renew(reaction).await.unwrap();
    again.take_notice(&target, StatusCode::CREATED, &HeaderMap::new());

    assert_eq!(*presenter.heard.lock().unwrap(), [200, 502, 401, 201]);
}

/// A pointer to a presenter is one, with everything that it does.
#[test]
fn pointers_forward_every_method() {
    #[derive(Debug)]
    struct Probe(HeaderName, Arc<AtomicUsize>);
    #[deny(clippy::missing_trait_methods)]
    impl Presenter for Probe {
        fn header(&self) -> &HeaderName {
            &self.0
        }
        fn further_headers(&self) -> &[HeaderName] {
            std::slice::from_ref(&self.0)
        }
        fn present(
            &self,
            _: &AccessToken,
            _: &Target<'_>,
            to: &mut HeaderMap,
        ) -> Result<(), Error> {
            to.insert(self.0.clone(), "probe".parse().unwrap());
            Ok(())
        }
        fn present_again(
            &self,
            _: &AccessToken,
            _: &Target<'_>,
            _: &HeaderMap,
            to: &mut HeaderMap,
        ) -> Result<(), Error> {
            to.insert(self.0.clone(), "again".parse().unwrap());
            Ok(())
        }
        fn on_challenge(&self, _: &Target<'_>, _: StatusCode, _: &HeaderMap) -> Reaction {
            Reaction::Represent
        }
        fn on_answer(&self, _: &Target<'_>, _: StatusCode, _: &HeaderMap) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let answers = Arc::new(AtomicUsize::new(0));
    let probe = || Probe(HeaderName::from_static("x-probe"), answers.clone());
    let token = AccessToken::new("abc", "Bearer").unwrap();
    let uri = Uri::from_static(API);
    let target = Target::of(&Method::GET, &uri).unwrap();
    let pointers: [&dyn Presenter; 3] =
        [&Arc::new(probe()), &Box::new(probe()), &(Arc::new(probe()) as Arc<dyn Presenter>)];

    for pointer in pointers {
        assert_eq!(pointer.header(), "x-probe");
        assert_eq!(pointer.further_headers(), ["x-probe"]);
        assert_eq!(presented(pointer, &token).unwrap()["x-probe"], "probe");
        let mut headers = HeaderMap::new();
        pointer.present_again(&token, &target, &HeaderMap::new(), &mut headers).unwrap();
        assert_eq!(headers["x-probe"], "again");
        let reaction = pointer.on_challenge(&target, StatusCode::BAD_REQUEST, &HeaderMap::new());
        assert_eq!(reaction, Reaction::Represent);
        pointer.on_answer(&target, StatusCode::OK, &HeaderMap::new());
    }
    assert_eq!(answers.load(Ordering::SeqCst), 3);
}
