//! RFC 9207: the issuer in the callback, against mix-ups.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use tokenkeeper::{Error, ErrorKind, TokenSet};
use tokenkeeper_providers::AuthorizationCodeLoginBuilder;

use crate::login::{ISSUER, assert_new_login_needed, builder, called_back_with};
use crate::support::{OK, Playback};

/// How a login ends whose callback has these parameters, and how many requests it made.
async fn finished(
    build: impl Fn(AuthorizationCodeLoginBuilder) -> AuthorizationCodeLoginBuilder,
    parameters: &str,
) -> (Result<TokenSet, Error>, usize) {
    let playback = Playback::of(&[OK]);
    let login = build(builder(&playback)).build().unwrap();
    let pending = login.begin().await.unwrap();
    let callback = called_back_with(&pending, parameters);
    (login.finish(pending, &callback).await, playback.count())
}

#[tokio::test]
async fn the_issuer_itself_is_accepted_whether_announced_or_not() {
    let own = "code=c0de&iss=https%3A%2F%2Fauth.example.org";

    finished(|builder| builder.issuer(ISSUER), own).await.0.unwrap();
    finished(|builder| builder.issuer(ISSUER).iss_parameter_required(), own).await.0.unwrap();
}

#[tokio::test]
async fn another_issuer_is_refused_also_when_not_announced_and_the_code_goes_nowhere() {
    for other in [
        "https://attacker.example",
        "https://auth.example.org/",
        "https://AUTH.example.org",
        "https://auth.example.org:443",
    ] {
        let parameters = format!("code=c0de&iss={other}");
        for required in [false, true] {
            let (outcome, requests) = finished(
                |builder| {
                    let builder = builder.issuer(ISSUER);
                    if required { builder.iss_parameter_required() } else { builder }
                },
                &parameters,
            )
            .await;

            assert_new_login_needed(outcome, "another `iss`");
            assert_eq!(requests, 0);
        }
    }
}

#[tokio::test]
async fn a_missing_issuer_is_refused_where_the_server_always_sends_it() {
    for parameters in ["code=c0de", "code=c0de&iss=", "error=access_denied"] {
        let required = |builder: AuthorizationCodeLoginBuilder| {
            builder.issuer(ISSUER).iss_parameter_required()
        };

        let (outcome, requests) = finished(required, parameters).await;

        assert_new_login_needed(outcome, "no `iss`");
        assert_eq!(requests, 0);
    }
    finished(|builder| builder.issuer(ISSUER), "code=c0de").await.0.unwrap();
}

#[tokio::test]
async fn an_error_of_another_issuer_is_not_believed() {
    let parameters = "error=access_denied&iss=https://attacker.example";

    let (outcome, _) = finished(|builder| builder.issuer(ISSUER), parameters).await;

    assert!(assert_new_login_needed(outcome, "another `iss`").oauth().is_none());
}

#[test]
fn an_announced_issuer_has_to_be_known() {
    let builder = builder(&Playback::default()).iss_parameter_required();

    let error = builder.build().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().starts_with("calendar: issuer: must be given"), "{error}");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_compared_is_refused_and_the_code_goes_nowhere() {
    for iss in ["https://auth.example.org", "https://evil.example"] {
        let (outcome, requests) =
            finished(|builder| builder, &format!("code=c0de&iss={iss}")).await;

        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("give the builder the issuer(..)"), "{error}");
        assert_eq!(requests, 0);
    }
    finished(|builder| builder, "code=c0de").await.0.unwrap();
}

#[tokio::test]
async fn an_announced_issuer_may_be_declined_and_is_compared_all_the_same() {
    let optional = |builder: AuthorizationCodeLoginBuilder| {
        builder.issuer(ISSUER).iss_parameter_required().iss_parameter_optional()
    };

    finished(optional, "code=c0de").await.0.unwrap();
    let (outcome, _) = finished(optional, "code=c0de&iss=https://evil.example").await;
    assert_new_login_needed(outcome, "another `iss`");
}
