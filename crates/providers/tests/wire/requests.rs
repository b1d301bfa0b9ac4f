//! What goes onto the wire, to the letter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::{
    Clock, Error, ErrorKind, FetchContext, ManualClock, Secret, TokenProvider, TokenSet,
    async_trait,
};
use tokenkeeper_providers::{
    AssertionSource, ClientAuth, ClientCredentialsProvider, HttpTransport, PasswordProvider,
    RefreshTokenProvider,
};

use crate::support::{
    Counting, OK, OK_WITH_REFRESH, Playback, TOKEN_URL, fetch, fetch_at, refresh,
};

fn client_credentials(
    id: &str,
    auth: ClientAuth,
    playback: &Playback,
) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client(id, auth)
        .transport(playback.clone())
        .build()
        .unwrap()
}

fn password(auth: ClientAuth, playback: &Playback) -> PasswordProvider {
    PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", auth)
        .user("al ice", "p&=%+ü:1")
        .scopes(["b", "a"])
        .transport(playback.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn client_credentials_send_the_grant_and_everything_configured_once() {
    let playback = Playback::of(&[OK]);
    let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("secret"))
        .scopes(["b", "a"])
        .audience("https://api")
        .resource("https://r2/")
        .resource("urn:r1")
        .resource("urn:r1")
        .extra_parameter("organization", "o 1")
        .tenant("not sent")
        .transport(playback.clone())
        .build()
        .unwrap();

    fetch(&provider).await.unwrap();

    let request = playback.request(0);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), TOKEN_URL);
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers().len(), 4);
    assert_eq!(playback.authorization(0).unwrap(), "Basic aWQ6c2VjcmV0");
    assert_eq!(
        playback.body(0),
        "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi&\
         resource=https%3A%2F%2Fr2%2F&resource=urn%3Ar1&organization=o+1"
    );
}

#[tokio::test]
async fn a_grant_of_the_services_own_takes_the_place_of_client_credentials_and_of_nothing_else() {
    for (auth, rest) in [
        (ClientAuth::basic("secret"), ""),
        (ClientAuth::post("s+"), "&client_id=id&client_secret=s%2B"),
    ] {
        let playback = Playback::of(&[OK, OK_WITH_REFRESH]);
        let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", auth)
            .grant_type("urn:x:a&b")
            .scopes(["a"])
            .extra_parameter("account_id", "7")
            .transport(playback.clone())
            .build()
            .unwrap();

        fetch(&provider).await.unwrap();
        let tokens = fetch(&provider).await.unwrap();

        let body = format!("grant_type=urn%3Ax%3Aa%26b&scope=a{rest}&account_id=7");
        assert_eq!([playback.body(0), playback.body(1)], [body.clone(), body]);
        assert_eq!(playback.authorization(0).is_some(), rest.is_empty());
        assert!(tokens.refresh_token().is_none() && !provider.refreshes());
    }
}

#[tokio::test]
async fn the_password_grant_sends_user_and_password_in_the_body() {
    let playback = Playback::of(&[OK]);

    fetch(&password(ClientAuth::post("s+"), &playback)).await.unwrap();

    assert_eq!(
        playback.body(0),
        "grant_type=password&username=al+ice&password=p%26%3D%25%2B%C3%BC%3A1&scope=a+b&\
         client_id=id&client_secret=s%2B"
    );
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn a_refresh_sends_the_refresh_token_without_scopes() {
    let playback = Playback::of(&[OK_WITH_REFRESH]);
    let provider = password(ClientAuth::basic("secret"), &playback);

    let tokens = refresh(&provider, &TokenSet::from_refresh_token("r/t=")).await.unwrap();

    assert_eq!(playback.body(0), "grant_type=refresh_token&refresh_token=r%2Ft%3D");
    assert_eq!(playback.authorization(0).unwrap(), "Basic aWQ6c2VjcmV0");
    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1");
    assert_eq!(tokens.scopes(), None);
}

#[tokio::test]
async fn scopes_go_with_a_refresh_where_that_is_wanted() {
    let playback = Playback::of(&[OK]);
    let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .scopes(["a"])
        .scopes_on_refresh()
        .transport(playback.clone())
        .build()
        .unwrap();

    refresh(&provider, &TokenSet::from_refresh_token("rt")).await.unwrap();

    let body = "grant_type=refresh_token&refresh_token=rt&scope=a&client_id=id";
    assert_eq!(playback.body(0), body);
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_with_percent_20_and_raw_ones_are_not() {
    let table = [
        // id, secret, `id:secret` as it is encoded in base64, the same raw
        ("id", "a:b", "aWQ6YSUzQWI=", "aWQ6YTpi"),
        ("id", "+", "aWQ6JTJC", "aWQ6Kw=="),
        ("id", "%", "aWQ6JTI1", "aWQ6JQ=="),
        ("id", "a b", "aWQ6YSUyMGI=", "aWQ6YSBi"),
        ("id", "ü", "aWQ6JUMzJUJD", "aWQ6w7w="),
        ("i d", "s", "aSUyMGQ6cw==", "aSBkOnM="),
    ];
    for (id, secret, encoded, raw) in table {
        let playback = Playback::of(&[OK, OK]);

        fetch(&client_credentials(id, ClientAuth::basic(secret), &playback)).await.unwrap();
        fetch(&client_credentials(id, ClientAuth::basic_raw(secret), &playback)).await.unwrap();

        assert_eq!(playback.authorization(0).unwrap(), format!("Basic {encoded}"), "{secret}");
        assert_eq!(playback.authorization(1).unwrap(), format!("Basic {raw}"), "{secret}");
        assert_eq!(playback.body(0), "grant_type=client_credentials");
        assert!(playback.request(0).headers()["authorization"].is_sensitive());
    }
}

#[tokio::test]
async fn credentials_in_the_body_are_encoded_as_a_form() {
    let playback = Playback::of(&[OK]);

    fetch(&client_credentials("a:b", ClientAuth::post("+ %ü&"), &playback)).await.unwrap();

    assert_eq!(
        playback.body(0),
        "grant_type=client_credentials&client_id=a%3Ab&client_secret=%2B+%25%C3%BC%26"
    );
}

#[tokio::test]
async fn a_client_without_a_secret_sends_its_id_in_the_body() {
    let playback = Playback::of(&[OK]);

    fetch(&client_credentials("id", ClientAuth::none(), &playback)).await.unwrap();

    assert_eq!(playback.body(0), "grant_type=client_credentials&client_id=id");
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn an_assertion_is_made_anew_for_every_attempt() {
    let playback = Playback::of(&[OK]).and(503, "").and(200, OK);
    let provider = client_credentials("id", ClientAuth::assertion(Counting::default()), &playback);

    let outcomes = [fetch(&provider).await, fetch(&provider).await, fetch(&provider).await];

    assert!(matches!(&outcomes[1], Err(error) if error.kind() == ErrorKind::Unavailable));
    for at in 0..3 {
        let body = playback.body(at);
        assert_eq!(
            body,
            format!(
                "grant_type=client_credentials&client_id=id&client_assertion_type=urn%3Aietf%3A\
                 params%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&\
                 client_assertion=jwt-{at}-for-https%3A%2F%2Fauth.example.org%2Ftoken"
            )
        );
        assert_eq!(playback.authorization(at), None);
    }
}

/// Brings a token of another login, which has ended, or whose answer got lost.
#[derive(Debug)]
struct OfAnotherLogin(Error);

#[async_trait]
impl AssertionSource for OfAnotherLogin {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn what_became_of_the_login_behind_an_assertion_is_no_verdict_on_the_refresh_token() {
    let refused = Error::new(ErrorKind::RefreshRejected, "the other server refused its token");
    let lost = Error::new(ErrorKind::Transport, "the other server hung up").with_answer_lost();
    for (error, kind) in [(refused, ErrorKind::CredentialsRejected), (lost, ErrorKind::Transport)] {
        let playback = Playback::default();
        let auth = ClientAuth::assertion(OfAnotherLogin(error.at_service("other")));
        let provider = password(auth, &playback);

        let error = refresh(&provider, &TokenSet::from_refresh_token("rt")).await.unwrap_err();

        assert_eq!((error.kind(), error.answer_lost()), (kind, false));
        assert_eq!(error.service_name(), Some("svc"));
        assert!(crate::support::printed(&error).contains("the other server"), "{error:?}");
        assert_eq!(playback.count(), 0);
    }
}

#[tokio::test]
async fn every_grant_of_a_client_authenticates_in_the_same_one_way() {
    for auth in [
        ClientAuth::basic("secret"),
        ClientAuth::basic_raw("secret"),
        ClientAuth::post("secret"),
        ClientAuth::none(),
        ClientAuth::assertion(Counting::default()),
    ] {
        let playback = Playback::of(&[OK, OK]);
        let provider = password(auth.clone(), &playback);

        fetch(&provider).await.unwrap();
        refresh(&provider, &TokenSet::from_refresh_token("rt")).await.unwrap();

        let methods = |at| {
            let body = playback.body(at);
            [
                playback.authorization(at).is_some(),
                body.contains("client_secret="),
                body.contains("client_assertion="),
            ]
        };
        assert_eq!(methods(0), methods(1), "{auth:?}");
        assert!(methods(0).iter().filter(|used| **used).count() <= 1, "{auth:?}");
    }
}

#[tokio::test]
async fn the_query_of_a_token_url_is_sent_as_it_is() {
    let playback = Playback::of(&[OK]);
    let provider =
        ClientCredentialsProvider::builder("svc", "https://auth.example.org/t?p=B2C_1%20x")
            .client("id", ClientAuth::none())
            .transport(playback.clone())
            .build()
            .unwrap();

    fetch(&provider).await.unwrap();

    assert_eq!(playback.request(0).uri(), "https://auth.example.org/t?p=B2C_1%20x");
}

#[tokio::test]
async fn a_lifetime_counts_from_the_moment_of_sending_however_slow_the_answer() {
    let clock = ManualClock::starting_at(UNIX_EPOCH + Duration::from_secs(1_000));
    let playback = Playback::of(&[OK]).slowly(&clock);

    let provider = client_credentials("id", ClientAuth::none(), &playback);
    let tokens = fetch_at(&provider, &clock).await.unwrap();

    assert_eq!(tokens.requested_at(), UNIX_EPOCH + Duration::from_secs(1_000));
    assert_eq!(tokens.expires_at(), Some(UNIX_EPOCH + Duration::from_secs(1_900)));
}

#[tokio::test]
async fn a_default_lifetime_is_for_answers_that_name_none() {
    for (body, seconds) in [
        (r#"{"access_token":"a"}"#, 120),
        (r#"{"access_token":"a","expires_in":0}"#, 120),
        (r#"{"access_token":"a","expires_in":18446744073709551615}"#, 120),
        (r#"{"access_token":"a","expires_in":60}"#, 60),
    ] {
        let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .default_lifetime(Duration::from_secs(120))
            .transport(Playback::of(&[body]))
            .build()
            .unwrap();

        let tokens = fetch(&provider).await.unwrap();

        assert_eq!(tokens.lifetime(), Some(Duration::from_secs(seconds)), "{body}");
    }
}

#[tokio::test]
async fn client_credentials_drop_a_refresh_token_and_keep_the_rest() {
    let body = r#"{"access_token":"a","refresh_token":"r","refresh_expires_in":9,"id_token":"i",
        "expires_in":60,"scope":"x","more":1}"#;
    let playback = Playback::of(&[body]);
    let provider = client_credentials("id", ClientAuth::none(), &playback);

    let tokens = fetch(&provider).await.unwrap();

    assert!(tokens.refresh_token().is_none() && tokens.refresh_expires_at().is_none());
    assert_eq!(tokens.lifetime(), Some(Duration::from_secs(60)));
    assert_eq!(tokens.scopes().unwrap().to_string(), "x");
    assert_eq!(tokens.id_token().unwrap().expose_secret(), "i");
    assert_eq!(tokens.extra()["more"], 1);
    assert!(!provider.refreshes());
}

#[tokio::test]
async fn the_password_is_forgotten_after_the_first_success_and_not_before() {
    let playback = Playback::default().and(503, "").and(200, OK_WITH_REFRESH).and(200, OK);
    let provider = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", "hunter2")
        .forget_password_after_login()
        .transport(playback.clone())
        .build()
        .unwrap();

    fetch(&provider).await.unwrap_err();
    assert!(provider.non_interactive());
    let tokens = fetch(&provider).await.unwrap();

    assert!(!provider.non_interactive());
    assert_eq!(fetch(&provider).await.unwrap_err().kind(), ErrorKind::LoginRequired);
    assert_eq!(playback.count(), 2);
    refresh(&provider, &tokens).await.unwrap();
    assert!(!playback.body(2).contains("hunter2"));
}

#[tokio::test]
async fn a_password_provider_keeps_its_password_unless_told_otherwise() {
    let playback = Playback::of(&[OK, OK]);
    let provider = password(ClientAuth::none(), &playback);

    fetch(&provider).await.unwrap();
    fetch(&provider).await.unwrap();

    assert!(provider.non_interactive() && provider.refreshes());
    assert_eq!(playback.body(0), playback.body(1));
}

#[tokio::test]
async fn a_refresh_token_provider_never_starts_a_login() {
    let playback = Playback::of(&[]);
    let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .transport(playback.clone())
        .build()
        .unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("no refresh token"), "{error}");
    assert!(!provider.non_interactive() && provider.refreshes());
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn the_last_check_before_sending_comes_after_the_assertion() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let cx = FetchContext::detached(&clock, Duration::from_secs(20));
    let playback = Playback::of(&[OK]);
    let failing = client_credentials("id", ClientAuth::assertion(Failing), &playback);
    let working = client_credentials("id", ClientAuth::none(), &playback);

    let error = failing.fetch_token(&cx).await.unwrap_err();
    assert_eq!(error.to_string(), "svc: no key; see the cause and report it");
    assert!(cx.sent().is_none());
    assert_eq!(playback.count(), 0);

    working.fetch_token(&cx).await.unwrap();
    assert_eq!(cx.sent(), Some(clock.now()));
}

#[derive(Debug)]
struct Failing;

#[async_trait]
impl AssertionSource for Failing {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        Err(Error::new(ErrorKind::Internal, "no key"))
    }
}

#[tokio::test]
async fn pointers_to_a_transport_are_transports() {
    let playback = Playback::of(&[OK, OK]);
    let shared: Arc<dyn HttpTransport> = Arc::new(playback.clone());
    let boxed: Box<dyn HttpTransport> = Box::new(playback.clone());

    for transport in [Arc::new(shared) as Arc<dyn HttpTransport>, Arc::new(boxed)] {
        let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .transport(transport)
            .build()
            .unwrap();
        fetch(&provider).await.unwrap();
    }

    assert_eq!(playback.count(), 2);
}
