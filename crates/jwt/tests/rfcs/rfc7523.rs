//! Assertions (RFC 7523): what is in them, and how they are sent.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{
    A3, ALGORITHMS, Endpoint, OK, TOKEN_URL, fetch, form, is_signature, pem_for, read, signed_part,
};
use http::{HeaderMap, Method, Uri};
use httpmock::MockServer;
use serde_json::{Value, json};
use tokenkeeper::{AccessToken, Clock, Error, ErrorKind, ManualClock, async_trait};
use tokenkeeper_jwt::{
    Algorithm, HmacKey, JwtAssertion, Signer, SigningKey, client_secret_jwt, private_key_jwt,
};
use tokenkeeper_providers::{
    AssertionSource, ClientAuth, ClientCredentialsBuilder, ClientCredentialsProvider,
    JwtBearerProvider, ProofOfPossession,
};
use tokenkeeper_testkit::{ClientAuth as RegisteredAuth, FakeAuthServer};

fn builder(auth: ClientAuth, endpoint: &Endpoint) -> ClientCredentialsBuilder {
    ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("billing-job", auth)
        .transport(endpoint.clone())
}

fn key() -> SigningKey {
    SigningKey::from_jwk(A3).unwrap()
}

async fn client_claims(assertion: JwtAssertion) -> (Value, Value) {
    let jwt = assertion.client_assertion("billing-job", "https://auth.example.org").await.unwrap();
    read(jwt.expose_secret())
}

/// A clock that stands at this second.
fn clock(seconds: u64) -> impl Clock {
    ManualClock::starting_at(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_client_speaks_of_itself_to_the_server_for_a_minute() {
    let assertion = JwtAssertion::for_client(key().with_key_id("2026")).clock(clock(1_000));

    let (header, mut claims) = client_claims(assertion).await;

    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "2026" }));
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(crate::support::bytes(jti.as_str().unwrap()).len(), 16);
    assert_eq!(
        claims,
        json!({
            "iss": "billing-job",
            "sub": "billing-job",
            "aud": "https://auth.example.org",
            "iat": 1_000,
            "exp": 1_060,
        })
    );
}

#[tokio::test]
async fn a_key_without_a_name_has_no_kid_in_the_header() {
    let (header, _) = client_claims(JwtAssertion::for_client(key())).await;

    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT" }));
}

#[tokio::test]
async fn every_setter_does_what_it_says() {
    let assertion = JwtAssertion::for_client(key().with_key_id("2026"))
        .audience("https://elsewhere.example.org")
        .key_id("2027")
        .header_type("client-authentication+jwt")
        .header_parameter("x5t#S256", "dGh1bWJwcmludA")
        .unwrap()
        .lifetime(Duration::from_secs(300))
        .unwrap()
        .not_before()
        .claim("software_statement", "abc")
        .unwrap()
        .clock(clock(5_000));

    let (header, claims) = client_claims(assertion).await;

    let (typ, x5t) = ("client-authentication+jwt", "dGh1bWJwcmludA");
    let expected = json!({ "alg": "ES256", "typ": typ, "kid": "2027", "x5t#S256": x5t });
    assert_eq!(header, expected);
    assert_eq!(claims["aud"], "https://elsewhere.example.org");
    assert_eq!(
        (&claims["iat"], &claims["nbf"], &claims["exp"]),
        (&json!(5_000), &json!(5_000), &json!(5_300))
    );
    assert_eq!(claims["software_statement"], "abc");
}

#[tokio::test]
async fn a_service_account_speaks_for_a_subject() {
    let assertion = JwtAssertion::for_subject("robot@example.org", "alice@example.org", key())
        .claim("scope", "calendar.read")
        .unwrap();

    let jwt = assertion.assertion(TOKEN_URL).await.unwrap();

    let (_, claims) = read(jwt.expose_secret());
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"], &claims["scope"]),
        (
            &json!("robot@example.org"),
            &json!("alice@example.org"),
            &json!(TOKEN_URL),
            &json!("calendar.read")
        )
    );
}

#[test]
fn claims_that_are_made_anew_each_time_cannot_be_given() {
    for name in ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"] {
        let error = JwtAssertion::for_client(key()).claim(name, "x").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn header_parameters_that_say_how_it_is_signed_cannot_be_given() {
    for name in ["alg", "b64", "crit", "kid", "typ"] {
        let error = JwtAssertion::for_client(key()).header_parameter(name, "x").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_lifetime_is_from_five_seconds_to_an_hour() {
    let with = |seconds| JwtAssertion::for_client(key()).lifetime(Duration::from_secs(seconds));

    assert!(with(5).is_ok() && with(3_600).is_ok());
    for wrong in [with(0), with(4), with(3_601)] {
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn an_assertion_about_somebody_else_does_not_authenticate_a_client() {
    let about = |subject| JwtAssertion::for_subject("sts", subject, key());

    let own = about("billing-job").client_assertion("billing-job", TOKEN_URL).await;
    let other = about("alice").client_assertion("billing-job", TOKEN_URL).await;
    let nobody = JwtAssertion::for_client(key()).assertion(TOKEN_URL).await;

    assert!(own.is_ok());
    for refused in [other, nobody] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn every_algorithm_makes_assertions_that_others_verify() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::from_pem(algorithm, pem_for(algorithm).as_bytes()).unwrap();
        let public = key.public_jwk().clone();

        let jwt = JwtAssertion::for_client(key).client_assertion("id", TOKEN_URL).await.unwrap();

        let (signed, signature) = signed_part(jwt.expose_secret());
        assert_eq!(read(jwt.expose_secret()).0["alg"], algorithm.as_str());
        assert!(is_signature(algorithm, &public, signed.as_bytes(), &signature), "{algorithm}");
    }
}

#[tokio::test]
async fn only_the_assertion_is_sent_and_no_secret_and_no_header() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = MockServer::start_async().await;
    let (sink, key) = (seen.clone(), key());
    let public = key.public_jwk().clone();
    server
        .mock_async(move |when, then| {
            when.method("POST").path("/token").is_true(move |request| {
                sink.lock().unwrap().push((request.headers(), request.body_vec()));
                true
            });
            then.status(200).body(OK);
        })
        .await;
    let url = server.url("/token");
    let provider = ClientCredentialsProvider::builder("svc", &url)
        .client("billing-job", private_key_jwt(key))
        .build()
        .unwrap();

    fetch(&provider).await.unwrap();

    let (headers, body) = seen.lock().unwrap().pop().unwrap();
    assert!(!headers.contains_key("authorization"));
    let names: Vec<_> = form(&body).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["grant_type", "client_id", "client_assertion_type", "client_assertion"]);
    let field = |name| form(&body).into_iter().find(|field| field.0 == name).unwrap().1;
    assert_eq!(
        field("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let jwt = field("client_assertion");
    let (signed, signature) = signed_part(&jwt);
    assert!(is_signature(Algorithm::Es256, &public, signed.as_bytes(), &signature));
    let claims = read(&jwt).1;
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("billing-job"), &json!(url)));
}

#[tokio::test]
async fn the_audience_is_the_issuer_where_that_is_known() {
    let endpoint = Endpoint::default().grants(1);
    let provider =
        builder(private_key_jwt(key()), &endpoint).issuer("https://auth.example.org").build();

    fetch(&provider.unwrap()).await.unwrap();

    let (_, claims) = read(&endpoint.field("client_assertion")[0]);
    assert_eq!(claims["aud"], "https://auth.example.org");
}

#[tokio::test]
async fn the_secret_of_a_client_signs_and_is_not_sent() {
    let secret = "a secret of a client, 32 bytes or more";
    let endpoint = Endpoint::default().grants(1);
    let provider = builder(client_secret_jwt(secret).unwrap(), &endpoint).build().unwrap();

    fetch(&provider).await.unwrap();

    let jwt = &endpoint.field("client_assertion")[0];
    let (signed, code) = signed_part(jwt);
    assert_eq!(read(jwt).0["alg"], "HS256");
    assert_eq!(HmacKey::hs256(secret.as_bytes()).unwrap().sign(signed.as_bytes()), code);
    assert!(endpoint.field("client_secret").is_empty() && !endpoint.has_authorization());
}

#[test]
fn a_client_secret_that_is_too_short_to_sign_is_refused_at_once() {
    assert_eq!(client_secret_jwt("hunter2").unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn no_two_attempts_have_the_same_jti() {
    let endpoint = Endpoint::default().grants(1).answers(503, &[], "").grants(1);
    let provider = builder(private_key_jwt(key()), &endpoint).build().unwrap();

    for _ in 0..3 {
        let _ = fetch(&provider).await;
    }

    assert_eq!(different_jtis(&endpoint), 3);
}

#[tokio::test]
async fn the_second_attempt_that_a_nonce_takes_has_a_jti_of_its_own() {
    let wants_nonce = r#"{"error":"use_dpop_nonce"}"#;
    let bound = OK.replace("Bearer", "DPoP");
    let endpoint = Endpoint::default().answers(400, &[("dpop-nonce", "n-1")], wants_nonce).answers(
        200,
        &[],
        &bound,
    );
    let provider =
        builder(private_key_jwt(key()), &endpoint).proof_of_possession(Bound).build().unwrap();

    fetch(&provider).await.unwrap();

    assert_eq!((endpoint.count(), different_jtis(&endpoint)), (2, 2));
}

#[tokio::test]
async fn a_server_that_checks_everything_takes_what_a_client_signs() {
    let key = key();
    let secret = "a secret of a client, 32 bytes or more";
    let server = FakeAuthServer::builder()
        .client("billing-job", "", RegisteredAuth::PrivateKeyJwt)
        .public_key("billing-job", &key.public_jwk().to_string())
        .client("mac", secret, RegisteredAuth::ClientSecretJwt)
        .start();

    let fetch = async |client_id, auth| {
        let builder = ClientCredentialsProvider::builder("svc", &server.token_url());
        fetch(&builder.client(client_id, auth).build().unwrap()).await
    };

    fetch("billing-job", private_key_jwt(key)).await.unwrap();
    fetch("mac", client_secret_jwt(secret).unwrap()).await.unwrap();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let error = fetch("billing-job", private_key_jwt(stranger)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
}

/// Most of them say `invalid_client` to an assertion that has expired or is not yet valid.
#[tokio::test]
async fn an_assertion_that_is_refused_makes_one_look_at_the_clock() {
    let refused = r#"{"error":"invalid_client"}"#;
    let endpoint = Endpoint::default().answers(401, &[], refused);
    let provider = builder(private_key_jwt(key()), &endpoint).build().unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(error.to_string().contains("the clock of this machine may be wrong"), "{error}");
}

#[tokio::test]
async fn a_server_that_trusts_a_service_account_gives_it_a_token() {
    let key = key();
    let server = FakeAuthServer::builder()
        .trust_issuer("robot@example.org")
        .public_key("robot@example.org", &key.public_jwk().to_string())
        .start();
    let account = |key| {
        JwtBearerProvider::builder("svc", &server.token_url())
            .assertion(JwtAssertion::for_subject("robot@example.org", "robot@example.org", key))
            .subject("robot@example.org")
            .build()
            .unwrap()
    };

    fetch(&account(key)).await.unwrap();

    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let error = fetch(&account(stranger)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    let form = server.received().pop().unwrap().form();
    assert!(form.iter().all(|(name, _)| !name.starts_with("client_")));
}

fn different_jtis(endpoint: &Endpoint) -> usize {
    let jwts = endpoint.field("client_assertion");
    let jtis = jwts.iter().map(|jwt| read(jwt).1["jti"].as_str().unwrap().to_owned());
    jtis.collect::<HashSet<_>>().len()
}

#[derive(Debug)]
struct Bound;

impl ProofOfPossession for Bound {
    fn thumbprint(&self) -> &str {
        "thumbprint"
    }

    fn prove(
        &self,
        _method: &Method,
        _uri: &Uri,
        _token: Option<&AccessToken>,
        _headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn take_notice(&self, _: &Uri, _: Option<&AccessToken>, _: &HeaderMap) {}
}

#[tokio::test]
async fn a_key_service_that_is_down_sends_nothing_and_is_named() {
    let endpoint = Endpoint::default();
    let provider = builder(private_key_jwt(KeyService::down()), &endpoint).build().unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("svc: the key service is down"), "{error}");
    assert_eq!(endpoint.count(), 0);
}

#[tokio::test]
async fn a_signature_in_der_is_not_sent() {
    let endpoint = Endpoint::default();
    let provider = builder(private_key_jwt(KeyService::with(71)), &endpoint).build().unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("not DER"), "{error}");
    assert_eq!(endpoint.count(), 0);
}

#[tokio::test]
async fn nothing_goes_out_unsigned() {
    for (algorithm, length) in
        [("none", 64), ("None", 64), ("", 64), ("PS256", 0), ("HS256", 0), ("ES256", 0)]
    {
        let signer = KeyService { algorithm, ..KeyService::with(length) };

        let refused = JwtAssertion::for_client(signer).client_assertion("id", TOKEN_URL).await;

        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config, "{algorithm}");
    }
}

#[tokio::test]
async fn pointers_to_a_signer_are_signers() {
    let service = Arc::new(KeyService::with(64));
    let shared: Arc<dyn Signer> = service.clone();
    let boxed: Box<dyn Signer> = Box::new(shared.clone());

    for signer in [Arc::new(shared) as Arc<dyn Signer>, Arc::new(boxed)] {
        let (header, _) = client_claims(JwtAssertion::for_client(signer)).await;
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &json!("in the service")));
    }
    assert_eq!(service.asked.load(Ordering::Relaxed), 2);
}

/// Signs with so many bytes, or is down.
#[derive(Debug)]
struct KeyService {
    algorithm: &'static str,
    length: Option<usize>,
    asked: AtomicU32,
}

impl KeyService {
    fn with(length: usize) -> Self {
        Self { algorithm: "ES256", length: Some(length), asked: AtomicU32::new(0) }
    }

    fn down() -> Self {
        Self { length: None, ..Self::with(0) }
    }
}

#[async_trait]
impl Signer for KeyService {
    fn algorithm(&self) -> &str {
        self.algorithm
    }

    fn key_id(&self) -> Option<&str> {
        Some("in the service")
    }

    async fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.length
            .map(|length| vec![1; length])
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the key service is down"))
    }
}
