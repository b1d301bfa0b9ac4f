//! Bound tokens from a token endpoint (RFC 9449 §5, §8); the rest of that RFC is in `proofs.rs`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use crate::support::{BOUND, Playback, Proof, TOKEN_URL, fetch, jkt_of, key, machine, refresh};
use tokenkeeper::{Error, ErrorKind, Secret, TokenManager, TokenSet, async_trait};
use tokenkeeper_http::{Route, Target, TokenChoice, TokenRoutes};
use tokenkeeper_providers::{
    AssertionSource, ClientAuth, ClientCredentialsProvider, HttpTransport, RefreshTokenProvider,
};
use tokio::sync::Notify;

const WANTS_NONCE: &str = r#"{"error":"use_dpop_nonce"}"#;

#[tokio::test]
async fn a_token_request_is_proven_and_its_answer_must_be_of_the_type_dpop() {
    let endpoint = Playback::default().and(200, None, &BOUND.replace("DPoP", "dpop"));

    let tokens = fetch(&machine(&key(), &endpoint)).await.unwrap();

    let proofs = endpoint.proofs();
    assert_eq!(proofs.len(), 1);
    assert_eq!(proofs[0].claim("htu"), Some(TOKEN_URL));
    assert_eq!(proofs[0].claim("htm"), Some("POST"));
    assert_eq!(proofs[0].claim("ath"), None);
    assert_eq!(tokens.access_token().unwrap().authorization(), "DPoP at-1");
}

#[tokio::test]
async fn a_bearer_token_for_a_request_with_a_proof_is_discarded() {
    for body in [
        r#"{"access_token":"planted-at","token_type":"Bearer","expires_in":900}"#,
        r#"{"access_token":"planted-at","expires_in":900}"#,
    ] {
        let endpoint = Playback::default().and(200, None, body);

        let error = fetch(&machine(&key(), &endpoint)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains("DPoP"), "{error}");
        assert!(!format!("{error:?}").contains("planted"));
    }
}

/// Section 8: 400. Some servers say 401.
#[tokio::test]
async fn a_token_endpoint_that_wants_a_nonce_is_asked_once_more_with_it() {
    for status in [400, 401] {
        let endpoint =
            Playback::default().and(status, Some("n-1"), WANTS_NONCE).and(200, Some("n-2"), BOUND);
        let endpoint = endpoint.and(200, None, BOUND);
        let provider = machine(&key(), &endpoint);

        fetch(&provider).await.unwrap();
        fetch(&provider).await.unwrap();

        let expected = [None, Some("n-1".to_owned()), Some("n-2".to_owned())];
        assert_eq!(endpoint.nonces(), expected, "{status}");
        let proofs = endpoint.proofs();
        assert_ne!(proofs[0].claim("jti"), proofs[1].claim("jti"));
        assert_eq!(endpoint.requests()[0].body(), endpoint.requests()[1].body());
    }
}

#[tokio::test]
async fn a_second_wish_for_a_nonce_is_granted_too() {
    let endpoint = Playback::default()
        .and(400, Some("n-1"), WANTS_NONCE)
        .and(400, Some("n-2"), WANTS_NONCE)
        .and(200, None, BOUND);

    fetch(&machine(&key(), &endpoint)).await.unwrap();

    let expected = [None, Some("n-1".to_owned()), Some("n-2".to_owned())];
    assert_eq!(endpoint.nonces(), expected);
}

#[tokio::test]
async fn a_token_endpoint_that_goes_on_wanting_a_nonce_is_asked_again_later() {
    for later in ["n-1", "n-2"] {
        let endpoint = Playback::default()
            .and(400, Some("n-1"), WANTS_NONCE)
            .and(400, Some(later), WANTS_NONCE)
            .and(400, Some(later), WANTS_NONCE);

        let error = fetch(&machine(&key(), &endpoint)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.oauth().unwrap().code(), "use_dpop_nonce");
        assert!(error.to_string().contains("each of 3 requests"), "{error}");
        assert_eq!(endpoint.requests().len(), 3);
    }
}

/// A server that takes each nonce once, and only from the request that it was made for.
#[derive(Clone, Debug, Default)]
struct SingleUse {
    issued: Arc<AtomicU32>,
    unused: Arc<Mutex<HashSet<String>>>,
    arrived: Arc<AtomicU32>,
    all_arrived: Arc<Notify>,
}

impl SingleUse {
    /// Whether the nonce of these headers is good, and headers with another one.
    fn takes(&self, headers: &HeaderMap) -> (bool, String) {
        let mut unused = self.unused.lock().unwrap();
        let is_good = Proof::of(headers).nonce().is_some_and(|nonce| unused.remove(nonce));
        let fresh = format!("n-{}", self.issued.fetch_add(1, Ordering::SeqCst));
        unused.insert(fresh.clone());
        (is_good, fresh)
    }

    /// Waits until all requests of a round have arrived, so that all nonces are given out before any
    /// is used, and all are used before the next are given out.
    async fn wait_for_all(&self) {
        let waiting = self.all_arrived.notified();
        let number = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        if number.is_multiple_of(REQUESTS) {
            self.all_arrived.notify_waiters();
        } else if number < 2 * REQUESTS {
            waiting.await;
        }
    }
}

#[async_trait]
impl HttpTransport for SingleUse {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.wait_for_all().await;
        let (is_good, fresh) = self.takes(request.headers());
        let body = if is_good { BOUND } else { WANTS_NONCE };
        let mut answer = Response::new(body.as_bytes().to_vec());
        *answer.status_mut() = if is_good { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        answer.headers_mut().insert("dpop-nonce", fresh.parse().unwrap());
        Ok(answer)
    }
}

const REQUESTS: u32 = 200;

/// Lets no request be sent again before all have been refused, and their nonces noticed.
#[derive(Debug, Default)]
struct Together {
    asked: AtomicU32,
    all_refused: Notify,
}

#[async_trait]
impl AssertionSource for Together {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        let waiting = self.all_refused.notified();
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if number == 2 * REQUESTS {
            self.all_refused.notify_waiters();
        } else if (REQUESTS + 1..2 * REQUESTS).contains(&number) {
            waiting.await;
        }
        Ok(Secret::from(format!("jwt-{number}")))
    }
}

#[tokio::test]
async fn requests_at_once_all_succeed_where_each_nonce_is_good_once() {
    let server = SingleUse::default();
    let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::assertion(Together::default()))
        .proof_of_possession(key())
        .transport(server.clone())
        .build()
        .unwrap();
    let provider = Arc::new(provider);

    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        let provider = provider.clone();
        requests.spawn(async move { fetch(&provider).await.map(drop) });
    }

    let outcomes = requests.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 200);
    assert_eq!(server.issued.load(Ordering::SeqCst), 400);
}

/// The same at an API, by way of what clients use.
#[tokio::test]
async fn requests_at_once_to_an_api_all_succeed_where_each_nonce_is_good_once() {
    let (server, key) = (SingleUse::default(), key());
    let target_uri: Uri = "https://api.example.com/x".parse().unwrap();
    let target = Target::of(&Method::GET, &target_uri).unwrap();
    let manager = TokenManager::new(machine(&key, &Playback::default().and(200, None, BOUND)));
    let route = Route::new(manager).origin("https://api.example.com").presenter(key.presenter());
    let routes = TokenRoutes::new([route]).unwrap();
    let mut refused = Vec::new();
    for _ in 0..REQUESTS {
        let mut headers = HeaderMap::new();
        let attached = routes.attach(&target, &mut headers, TokenChoice::OfRoute).await;
        let attached = attached.unwrap().unwrap();
        let (is_good, fresh) = server.takes(&headers);
        assert!(!is_good);
        let mut answer = HeaderMap::new();
        answer.insert("dpop-nonce", fresh.parse().unwrap());
        answer.insert("www-authenticate", r#"DPoP error="use_dpop_nonce""#.parse().unwrap());
        refused.push((attached, answer));
        // No notice is taken yet: the answers arrive when all requests are sent.
    }

    let reactions: Vec<_> = refused
        .into_iter()
        .map(|(attached, answer)| {
            let reaction = attached.reaction(&target, StatusCode::UNAUTHORIZED, &answer);
            (attached, reaction)
        })
        .collect();
    for (attached, reaction) in reactions {
        let again = attached.renew(reaction).await.unwrap();
        let mut headers = HeaderMap::new();
        again.present(&target, &mut headers).unwrap();
        assert!(server.takes(&headers).0);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_wants_a_nonce_and_gives_none_is_not_asked_again() {
    let endpoint = Playback::default().and(400, None, WANTS_NONCE);

    assert!(fetch(&machine(&key(), &endpoint)).await.is_err());

    assert_eq!(endpoint.requests().len(), 1);
}

/// The time is all that can be wrong with a proof of ours.
#[tokio::test]
async fn a_proof_that_a_token_endpoint_refuses_makes_one_look_at_the_clock() {
    let refused = r#"{"error":"invalid_dpop_proof"}"#;
    let endpoint = Playback::default().and(400, None, refused);

    let error = fetch(&machine(&key(), &endpoint)).await.unwrap_err();

    assert!(error.to_string().contains("the clock of this machine may be wrong"), "{error}");
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn the_second_attempt_has_a_new_assertion_of_the_client_too() {
    #[derive(Debug, Default)]
    struct Counting(AtomicU32);
    #[async_trait]
    impl AssertionSource for Counting {
        async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
            Ok(Secret::from(format!("jwt-{}", self.0.fetch_add(1, Ordering::SeqCst))))
        }
    }
    let endpoint = Playback::default().and(400, Some("n"), WANTS_NONCE).and(200, None, BOUND);
    let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::assertion(Counting::default()))
        .proof_of_possession(key())
        .transport(endpoint.clone())
        .build()
        .unwrap();

    fetch(&provider).await.unwrap();

    let requests = endpoint.requests();
    let bodies = requests.iter().map(|request| String::from_utf8_lossy(request.body()));
    let assertions: Vec<bool> = bodies
        .enumerate()
        .map(|(at, body)| body.contains(&format!("client_assertion=jwt-{at}")))
        .collect();
    assert_eq!(assertions, [true, true]);
}

/// Section 5: the refresh token of a public client works with its key alone.
#[tokio::test]
async fn a_refresh_is_proven_with_the_same_key() {
    let endpoint = Playback::default().and(200, None, BOUND);
    let key = key();
    let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .proof_of_possession(key.clone())
        .transport(endpoint.clone())
        .build()
        .unwrap();
    let current = TokenSet::from_refresh_token("rt-1");

    refresh(&provider, &current).await.unwrap();

    let jwk = endpoint.proofs()[0].header["jwk"].to_string();
    assert_eq!(jkt_of(&jwk), key.thumbprint());
}
