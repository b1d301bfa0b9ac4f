//! How clients show their secret, and what is said when a server does not take it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use tokenkeeper::{ErrorKind, TokenProvider, TokenSet};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsBuilder, ClientCredentialsProvider, RefreshTokenProvider,
};

use crate::support::{OK, Playback, TOKEN_URL, fetch, printed, refresh};

const REFUSED: &str = r#"{"error":"invalid_client"}"#;

fn builder(playback: &Playback, auth: ClientAuth) -> ClientCredentialsBuilder {
    ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", auth)
        .transport(playback.clone())
}

/// Where the secret was in each request.
fn places(playback: &Playback) -> Vec<&'static str> {
    let place = |at| match playback.authorization(at) {
        Some(_) => "header",
        None if playback.body(at).contains("client_secret=") => "body",
        None => "nowhere",
    };
    (0..playback.count()).map(place).collect()
}

#[tokio::test]
async fn the_place_of_a_secret_is_found_out_by_one_more_request_and_remembered() {
    let playback =
        Playback::default().and(401, REFUSED).and(200, OK).and(200, OK).and(401, REFUSED);
    let provider = builder(&playback, ClientAuth::detect("s3cret")).build().unwrap();

    fetch(&provider).await.unwrap();
    fetch(&provider).await.unwrap();
    assert_eq!(places(&playback), ["header", "body", "body"]);

    let error = fetch(&provider).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert_eq!(places(&playback), ["header", "body", "body", "body"]);
}

#[tokio::test]
async fn a_place_that_was_taken_once_is_not_left_again() {
    let playback = Playback::default().and(200, OK).and(401, REFUSED);
    let provider = builder(&playback, ClientAuth::detect("s3cret")).build().unwrap();

    fetch(&provider).await.unwrap();
    fetch(&provider).await.unwrap_err();

    assert_eq!(places(&playback), ["header", "header"]);
}

#[tokio::test]
async fn a_secret_that_is_wrong_in_both_places_is_refused() {
    let playback = Playback::default().and(401, REFUSED).and(403, "");
    let provider = builder(&playback, ClientAuth::detect("s3cret")).build().unwrap();

    fetch(&provider).await.unwrap_err();

    assert_eq!(places(&playback), ["header", "body"]);
}

#[tokio::test]
async fn a_refusal_of_something_else_is_no_reason_to_send_it_again() {
    for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"invalid_scope"}"#] {
        let playback = Playback::default().and(400, body);
        let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::detect("s3cret"))
            .transport(playback.clone())
            .build()
            .unwrap();

        refresh(&provider, &TokenSet::from_refresh_token("rt")).await.unwrap_err();

        assert_eq!(playback.count(), 1, "{body}");
    }
}

#[tokio::test]
async fn what_was_found_out_holds_for_revocation_too() {
    let playback = Playback::default().and(401, REFUSED).and(200, "").and(200, OK);
    let provider = builder(&playback, ClientAuth::detect("s3cret"))
        .revocation_url("https://auth.example.org/revoke")
        .build()
        .unwrap();

    provider.revoke(&TokenSet::from_refresh_token("rt")).await.unwrap();
    fetch(&provider).await.unwrap();

    assert_eq!(places(&playback), ["header", "body", "body"]);
}

#[cfg(feature = "discovery")]
#[tokio::test]
async fn a_document_decides_where_there_is_one() {
    use tokenkeeper_providers::AuthorizationServer;

    for (methods, place) in [
        (r#"["client_secret_post"]"#, "body"),
        (r#"["client_secret_post","client_secret_basic"]"#, "header"),
    ] {
        let document = format!(
            r#"{{"issuer":"https://auth.example.org","token_endpoint":"{TOKEN_URL}",
                "token_endpoint_auth_methods_supported":{methods}}}"#
        );
        let server =
            AuthorizationServer::from_json("https://auth.example.org", document.as_bytes())
                .unwrap();
        let playback = Playback::default().and(401, REFUSED);
        let provider = ClientCredentialsProvider::of_server("svc", &server)
            .unwrap()
            .client("id", ClientAuth::detect("s3cret"))
            .transport(playback.clone())
            .build()
            .unwrap();

        fetch(&provider).await.unwrap_err();

        assert_eq!(places(&playback), [place], "{methods}");
    }
}

#[tokio::test]
async fn a_refused_client_is_told_of_the_other_method() {
    for (auth, other) in [
        (ClientAuth::basic("s3cret"), "ClientAuth::post"),
        (ClientAuth::basic_raw("s3cret"), "ClientAuth::post"),
        (ClientAuth::post("s3cret"), "ClientAuth::basic"),
    ] {
        let playback = Playback::default().and(401, REFUSED);

        let error = fetch(&builder(&playback, auth).build().unwrap()).await.unwrap_err();

        assert!(error.to_string().contains(other), "{error}");
    }
}

#[tokio::test]
async fn values_of_parameters_are_in_no_debug_and_secret_ones_in_no_identity() {
    let playback = Playback::default().and(400, r#"{"error":"planted-key"}"#);
    let with = |key: &str| {
        builder(&playback, ClientAuth::none())
            .extra_parameter("account", "planted-account")
            .secret_parameter("api_key", key)
    };
    let provider = with("planted-key").build().unwrap();

    let shown = format!("{:?} {provider:?} {provider:#?}", with("planted-key"));
    assert!(!shown.contains("planted") && shown.contains("api_key"), "{shown}");
    let other = with("another").build().unwrap();
    assert_eq!(provider.identity().fingerprint(), other.identity().fingerprint());
    let error = fetch(&provider).await.unwrap_err();
    assert!(playback.body(0).contains("api_key=planted-key"));
    assert!(!printed(&error).contains("planted"), "{error:?}");
    for name in ["scope", "account"] {
        let error = with("k").secret_parameter(name, "v").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
    }
}
