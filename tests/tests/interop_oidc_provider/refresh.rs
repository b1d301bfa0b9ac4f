//! Against npm's `oidc-provider`, which gives another refresh token for every one that is spent,
//! and takes whoever spends one twice for a thief: then the whole family is dead.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use std::collections::HashSet;
use std::time::UNIX_EPOCH;

use serde_json::json;
use tokenkeeper::{ErrorKind, Recovery, TokenManager, TokenProvider, TokenSet};
use tokenkeeper_providers::{ClientAuth, PasswordProvider, RefreshTokenProvider};
use tokenkeeper_tests::{Managed, OidcProvider, SPACING, at_once, fetch, refresh};

/// Logs in when it has to.
fn with_password(server: &OidcProvider) -> PasswordProvider {
    PasswordProvider::builder("library", &server.token_url())
        .client("basic", ClientAuth::basic("basic-secret"))
        .user("alice", "wonderland")
        .revocation_url(server.revocation_url())
        .build()
        .unwrap()
}

/// Cannot log in.
fn without_password(server: &OidcProvider) -> RefreshTokenProvider {
    RefreshTokenProvider::builder("library", &server.token_url())
        .client("basic", ClientAuth::basic("basic-secret"))
        .subject("alice")
        .revocation_url(server.revocation_url())
        .build()
        .unwrap()
}

/// Refreshes as often, each time when the manager is ready to, and gives the access tokens.
async fn refreshed(managed: &Managed, times: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..times {
        managed.clock.advance(SPACING);
        let token = managed.manager.force_refresh().await.unwrap();
        tokens.push(token.secret().expose_secret().to_owned());
    }
    tokens
}

async fn force(manager: TokenManager) -> Result<(), ErrorKind> {
    manager.force_refresh().await.map(|_| ()).map_err(|error| error.kind())
}

#[tokio::test]
async fn every_refresh_brings_another_refresh_token_and_ends_the_old_one() {
    let server = OidcProvider::alone().await;
    let provider = with_password(&server);

    let first = fetch(&provider).await.unwrap();
    let second = refresh(&provider, &first).await.unwrap();

    let [old, new] = [&first, &second].map(|tokens| tokens.refresh_token().unwrap());
    assert!(!old.ct_eq(new));
    assert!(server.knows(new).await);
    assert!(!server.knows(old).await);
}

#[tokio::test]
async fn a_manager_lives_on_rotated_refresh_tokens_and_sends_the_password_once() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(with_password(&server));

    managed.manager.token().await.unwrap();
    let tokens = refreshed(&managed, 6).await;

    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 6);
    let stats = server.stats().await;
    assert_eq!(stats, json!({ "basic": { "password 200": 1, "refresh_token 200": 6 } }));
}

#[tokio::test]
async fn a_login_from_elsewhere_is_kept_alive() {
    let server = OidcProvider::alone().await;
    let login = fetch(&with_password(&server)).await.unwrap();
    let from_elsewhere = login.refresh_token().unwrap().clone();
    let managed = Managed::new(without_password(&server));

    managed.manager.install(TokenSet::from_refresh_token(from_elsewhere)).await.unwrap();
    let token = managed.manager.token().await.unwrap();
    refreshed(&managed, 2).await;

    assert_eq!(server.introspect(token.secret()).await["sub"], "alice");
    let stats = server.stats().await;
    assert_eq!(stats, json!({ "basic": { "password 200": 1, "refresh_token 200": 3 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_callers_who_insist_spend_one_refresh_token() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(with_password(&server));
    managed.manager.token().await.unwrap();
    managed.clock.advance(SPACING);

    let results = at_once(100, || force(managed.manager.clone())).await;

    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let stats = server.stats().await;
    assert_eq!(stats, json!({ "basic": { "password 200": 1, "refresh_token 200": 1 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_on_one_storage_never_spend_a_refresh_token_twice() {
    let server = OidcProvider::alone().await;
    let one = Managed::new(with_password(&server));
    let other = one.sibling(with_password(&server));
    one.manager.token().await.unwrap();
    other.manager.token().await.unwrap();

    for _ in 0..5 {
        one.clock.advance(SPACING);
        let both = [one.manager.clone(), other.manager.clone()];
        let results = both.map(|manager| at_once(10, move || force(manager.clone())));
        let [of_one, of_other] = results;
        let (of_one, of_other) = tokio::join!(of_one, of_other);
        assert!(of_one.iter().chain(&of_other).all(Result::is_ok), "{of_one:?} {of_other:?}");
    }

    let stats = &server.stats().await["basic"];
    assert_eq!(stats["password 200"], 1, "{stats}");
    assert_eq!(stats["refresh_token 400"], json!(null), "{stats}");
    assert!(stats["refresh_token 200"].as_u64() >= Some(5), "{stats}");
}

#[tokio::test]
async fn a_restarted_process_goes_on_with_the_refresh_token_that_is_stored() {
    let server = OidcProvider::alone().await;
    let before = Managed::new(with_password(&server));
    before.manager.token().await.unwrap();
    let last = refreshed(&before, 2).await.pop().unwrap();
    let after = before.sibling(with_password(&server));
    drop(before.manager);

    let token = after.manager.token().await.unwrap();
    refreshed(&after, 1).await;

    assert_eq!(token.secret().expose_secret(), last);
    let stats = server.stats().await;
    assert_eq!(stats, json!({ "basic": { "password 200": 1, "refresh_token 200": 3 } }));
}

#[tokio::test]
async fn when_a_thief_has_ended_the_family_a_password_starts_another() {
    let server = OidcProvider::alone().await;
    let provider = with_password(&server);
    let stolen = fetch(&provider).await.unwrap();
    let managed = Managed::new(provider);
    managed.manager.install(stolen.clone()).await.unwrap();
    refreshed(&managed, 1).await;

    let theft = refresh(&without_password(&server), &stolen).await.unwrap_err();
    assert_eq!(theft.kind(), ErrorKind::RefreshRejected);
    managed.clock.advance(SPACING);
    let token = managed.manager.force_refresh().await.unwrap();

    assert!(server.knows(token.secret()).await);
    let stats = server.stats().await;
    let expected = json!({ "password 200": 2, "refresh_token 200": 1, "refresh_token 400": 2 });
    assert_eq!(stats["basic"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_thief_has_ended_the_family_and_there_is_no_password_somebody_must_log_in() {
    let server = OidcProvider::alone().await;
    let stolen = fetch(&with_password(&server)).await.unwrap();
    let managed = Managed::new(without_password(&server));
    managed.manager.install(stolen.clone()).await.unwrap();
    let [dead] = refreshed(&managed, 1).await.try_into().unwrap();

    refresh(&without_password(&server), &stolen).await.unwrap_err();
    managed.clock.advance(SPACING);
    let error = managed.manager.force_refresh().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RefreshRejected, "{error}");
    assert_eq!(error.recovery(), Recovery::Reauthenticate);
    assert!(error.to_string().contains("log in"), "{error}");
    // The manager cannot know that the access token went with the family; the API says so.
    let token = managed.manager.token().await.unwrap();
    assert_eq!(token.secret().expose_secret(), dead);
    assert!(!server.knows(token.secret()).await);
    for _ in 0..20 {
        managed.clock.advance(SPACING);
        let error = managed.manager.replace_rejected(&token).await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Reauthenticate, "{error}");
    }
    let stats = server.stats().await;
    assert_eq!(stats["basic"]["refresh_token 400"], 2, "the thief's and ours: {stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_refresh_token_is_sent_once_and_then_somebody_must_log_in() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(without_password(&server));
    managed.manager.install(TokenSet::from_refresh_token("planted-token")).await.unwrap();

    for _ in 0..10 {
        let errors = at_once(10, || {
            let manager = managed.manager.clone();
            async move { manager.token().await.unwrap_err() }
        })
        .await;
        for error in errors {
            assert_eq!(error.recovery(), Recovery::Reauthenticate, "{error}");
            assert!(error.to_string().contains("log in"), "{error}");
            assert!(!format!("{error} {error:?}").contains("planted"));
        }
        managed.clock.advance(SPACING);
    }

    assert_eq!(server.stats().await, json!({ "basic": { "refresh_token 400": 1 } }));
}

#[tokio::test]
async fn a_new_login_ends_the_wait_for_one() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(without_password(&server));
    managed.manager.install(TokenSet::from_refresh_token("no-such-token")).await.unwrap();
    managed.manager.token().await.unwrap_err();

    let login = fetch(&with_password(&server)).await.unwrap();
    managed.manager.install(login).await.unwrap();

    let token = managed.manager.token().await.unwrap();
    assert!(server.knows(token.secret()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_revoked_elsewhere_is_replaced_once_for_a_hundred_rejections() {
    let server = OidcProvider::alone().await;
    let manager = Managed::new(with_password(&server)).manager;
    let revoked = manager.token().await.unwrap();
    // This server ends the whole family with its access token.
    let access_alone = TokenSet::new((*revoked).clone(), UNIX_EPOCH);
    with_password(&server).revoke(&access_alone).await.unwrap();
    assert!(!server.knows(revoked.secret()).await);

    let tokens = at_once(100, || {
        let (manager, revoked) = (manager.clone(), revoked.clone());
        async move { manager.replace_rejected(&revoked).await.unwrap().unwrap() }
    })
    .await;

    assert!(tokens.iter().all(|token| token.authorization() == tokens[0].authorization()));
    assert!(server.knows(tokens[0].secret()).await);
    let stats = server.stats().await;
    assert_eq!(stats, json!({ "basic": { "password 200": 2, "refresh_token 400": 1 } }));
}

#[tokio::test]
async fn revoking_ends_both_tokens_at_the_service_and_here() {
    let server = OidcProvider::alone().await;
    let provider = without_password(&server);
    let login = fetch(&with_password(&server)).await.unwrap();
    let managed = Managed::new(provider);
    managed.manager.install(login.clone()).await.unwrap();

    managed.manager.revoke().await.unwrap();

    assert!(!server.knows(login.refresh_token().unwrap()).await);
    assert!(!server.knows(login.access_token().unwrap().secret()).await);
    let dead = refresh(&without_password(&server), &login).await.unwrap_err();
    assert_eq!(dead.kind(), ErrorKind::RefreshRejected, "{dead}");
    let error = managed.manager.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRequired, "{error}");
}

#[tokio::test]
async fn after_a_revocation_a_password_logs_in_again() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(with_password(&server));
    let first = managed.manager.token().await.unwrap();

    managed.manager.revoke().await.unwrap();
    let second = managed.manager.token().await.unwrap();

    assert!(!server.knows(first.secret()).await);
    assert!(server.knows(second.secret()).await);
    assert_eq!(server.stats().await, json!({ "basic": { "password 200": 2 } }));
}
