//! What the API says of the session's token, and what is made of it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::setup::{credentials, keycloak, realm};
use http::{Request, Response};
use parking_lot::Mutex;
use tokenkeeper::{Error, ErrorKind, ManualClock, async_trait};
use tokenkeeper_mangadex::{API_ORIGIN, MangadexProvider, Session};
use tokenkeeper_providers::{BundledTransport, HttpTransport, TransportOptions};
use tokenkeeper_testkit::FakeAuthServer;

/// Answers for the API, and lets everything else through.
#[derive(Clone, Debug)]
struct Api {
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    tokens: Arc<Mutex<Vec<String>>>,
    realm: BundledTransport,
}

#[async_trait]
impl HttpTransport for Api {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        if !request.uri().to_string().starts_with(API_ORIGIN) {
            return self.realm.send(request).await;
        }
        assert_eq!(request.uri().path(), "/auth/check");
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        self.tokens.lock().push(token);
        let (status, body) = self.answers.lock().pop_front().unwrap();
        Ok(Response::builder().status(status).body(body.as_bytes().to_vec()).unwrap())
    }
}

/// A session whose token is a minute old, and an API that will answer with these.
async fn session(answers: &[(u16, &'static str)]) -> (FakeAuthServer, Session, Api) {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let api = Api {
        answers: Arc::new(Mutex::new(answers.iter().copied().collect())),
        tokens: Arc::default(),
        realm: BundledTransport::new(TransportOptions::new()).unwrap(),
    };
    let provider = MangadexProvider::builder(credentials()).realm(realm(&server));
    let provider = provider.transport(api.clone()).build().unwrap();
    let session = Session::configured(provider, |manager| manager.clock(clock.clone())).unwrap();
    session.token().await.unwrap();
    clock.advance(std::time::Duration::from_secs(60));
    (server, session, api)
}

#[tokio::test]
async fn a_token_that_the_api_takes_stays() {
    let (server, session, _) = session(&[YES]).await;

    assert!(session.is_authenticated().await.unwrap());

    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn a_token_that_the_api_does_not_take_is_replaced() {
    for no in [NO, (401, "")] {
        let (server, session, api) = session(&[no, YES]).await;

        assert!(session.is_authenticated().await.unwrap());

        assert!(!session.is_anonymous());
        assert_eq!(server.count("refresh_token", 200), 1);
        let tokens = api.tokens.lock().clone();
        assert_ne!(tokens[0], tokens[1]);
    }
}

#[tokio::test]
async fn a_session_whose_new_token_the_api_does_not_take_either_is_anonymous() {
    let (server, session, _) = session(&[NO, NO]).await;

    assert!(!session.is_authenticated().await.unwrap());

    assert!(session.is_anonymous());
    assert_eq!(server.stats().revocations(200), 0);
}

#[tokio::test]
async fn an_api_that_says_neither_changes_nothing() {
    let answers = [(503, ""), (200, "<html>"), (200, r#"{"result":"ok"}"#)];
    let (_, session, _) = session(&answers).await;

    for kind in [ErrorKind::Unavailable, ErrorKind::InvalidResponse, ErrorKind::InvalidResponse] {
        let error = session.is_authenticated().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("GET /auth/check"), "{error}");
    }
    assert!(!session.is_anonymous());
}

#[tokio::test]
async fn an_anonymous_session_asks_nothing() {
    assert!(!Session::anonymous().is_authenticated().await.unwrap());
}

#[test]
fn tokens_go_to_no_api_in_clear() {
    let provider = MangadexProvider::builder(credentials()).api_origin("http://api.example.test");

    let error = provider.build().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("API origin: must be https"), "{error}");
}

const YES: (u16, &str) = (200, r#"{"result":"ok","isAuthenticated":true,"roles":[]}"#);
const NO: (u16, &str) = (200, r#"{"result":"ok","isAuthenticated":false}"#);
