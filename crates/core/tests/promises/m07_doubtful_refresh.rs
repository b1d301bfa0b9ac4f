//! M7: a refresh that was refused in words that do not say that the refresh token is dead.

use http::StatusCode;
use tokenkeeper::{Error, ErrorKind, OAuthError, Recovery};
use tokenkeeper_testkit::{ScriptedProvider, Step};

use crate::one_thread::{finish, pass, rig};
use crate::support::fleet::{Fleet, OVER, secret};
use crate::support::records::tokens_of;
use crate::support::rig::{Rig, seconds};
use tokenkeeper::Clock;

fn doubtful() -> Error {
    Error::new(ErrorKind::RefreshDoubtful, "the refresh was refused")
        .with_status(StatusCode::BAD_REQUEST)
        .with_oauth(OAuthError::new("invalid_request", None))
}

/// What a gateway says.
fn anonymous(status: u16) -> Error {
    Error::new(ErrorKind::RequestRejected, "the request was refused")
        .with_status(StatusCode::from_u16(status).unwrap())
}

/// A manager whose first token is over.
async fn aged(provider: &ScriptedProvider) -> Rig {
    let rig = rig(provider, true);
    let tokens = tokens_of("person", rig.clock.now().wall());
    finish(&rig.clock, rig.manager.install(tokens)).await.unwrap();
    pass(&rig.clock, seconds(901)).await;
    rig
}

#[tokio::test]
async fn a_provider_that_needs_nobody_fetches_once_and_has_a_token() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_refresh(Step::fail(doubtful()));
    let rig = aged(&provider).await;

    let token = finish(&rig.clock, rig.manager.token()).await.unwrap();

    assert_eq!(secret(&token), "access-1");
    assert_eq!((provider.refreshes(), provider.fetches()), (1, 1));
    finish(&rig.clock, rig.manager.flush()).await.unwrap();
    assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
}

#[tokio::test]
async fn a_doubtful_refresh_token_is_kept_until_a_fetch_succeeds() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_refresh(Step::fail(doubtful()));
    provider.always_on_fetch(Step::refuse_credentials());
    let rig = aged(&provider).await;

    let error = finish(&rig.clock, rig.manager.token()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "what the fetch says counts");
    assert!(error.retry_after().unwrap() >= seconds(5));
    assert_eq!(rig.stored_refresh_token().as_deref(), Some("person-refresh"));
    provider.always_on_refresh(Step::issue());
    pass(&rig.clock, seconds(61)).await;
    finish(&rig.clock, rig.manager.token()).await.unwrap();
    assert_eq!(provider.spent().last().map(String::as_str), Some("person-refresh"));
}

#[tokio::test]
async fn one_dead_token_and_a_service_that_is_down_cost_no_storm_of_passwords() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_refresh(Step::fail(doubtful()));
    provider.always_on_fetch(Step::fail(Error::new(ErrorKind::Unavailable, "busy")));
    let rig = aged(&provider).await;

    for _ in 0..600 {
        let _ = finish(&rig.clock, rig.manager.token()).await;
        pass(&rig.clock, seconds(1)).await;
    }

    assert!(provider.fetches() <= 10, "{}", provider.fetches());
}

#[tokio::test]
async fn a_provider_that_needs_a_person_asks_for_a_login_and_tries_the_token_ever_more_rarely() {
    let provider = ScriptedProvider::new("svc").attended();
    provider.always_on_refresh(Step::fail(doubtful()));
    let rig = aged(&provider).await;

    let error = finish(&rig.clock, rig.manager.token()).await.unwrap_err();

    assert!(error.needs_login() && rig.manager.status().needs_login());
    assert_eq!(error.recovery(), Recovery::Reauthenticate);
    assert!(rig.manager.status().has_refresh_token());
    for (pause, refreshes) in [(59, 1), (2, 2), (118, 2), (3, 3)] {
        pass(&rig.clock, seconds(pause)).await;
        assert!(finish(&rig.clock, rig.manager.token()).await.unwrap_err().needs_login());
        assert_eq!(provider.refreshes(), refreshes);
    }
    provider.always_on_refresh(Step::issue());
    pass(&rig.clock, seconds(241)).await;
    finish(&rig.clock, rig.manager.token()).await.unwrap();
    assert!(!rig.manager.status().needs_login());
}

#[tokio::test]
async fn what_a_sibling_stored_meanwhile_is_taken_before_a_token_is_doubted() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::on_this_runtime(2, &provider);
    let [one, other] = &fleet.managers[..] else { unreachable!() };
    one.install(fleet.login("person")).await.unwrap();
    finish(&fleet.clock, other.token()).await.unwrap();
    fleet.flush().await;
    pass(&fleet.clock, OVER).await;
    let gate = tokenkeeper_testkit::Gate::closed();
    provider.on_refresh(Step::fail(doubtful()).held(&gate));
    let late = tokio::spawn({
        let one = one.clone();
        async move { one.token().await }
    });
    gate.arrived(1).await;
    other.install(fleet.login("sibling")).await.unwrap();
    gate.release();

    let token = finish(&fleet.clock, late).await.unwrap().unwrap();

    assert!(secret(&token).contains("sibling"), "{}", secret(&token));
    assert!(!one.status().needs_login());
}

#[tokio::test]
async fn a_gateway_that_refuses_is_transient_at_first_and_doubtful_after_three_in_a_minute() {
    let provider = ScriptedProvider::new("svc").attended();
    provider.always_on_refresh(Step::fail(anonymous(403)));
    let rig = aged(&provider).await;

    let error = finish(&rig.clock, rig.manager.token()).await.unwrap_err();
    assert!(!error.needs_login());
    assert_eq!(error.retry_after(), Some(seconds(1)));
    let mut asked = 1;
    while !finish(&rig.clock, rig.manager.token()).await.unwrap_err().needs_login() {
        pass(&rig.clock, seconds(1)).await;
        asked += 1;
        assert!(asked < 200, "it never asks for a login");
    }

    assert!(provider.refreshes() >= 3 && asked >= 60, "{asked}");
    assert!(rig.manager.status().needs_login() && rig.manager.status().has_refresh_token());
}

#[tokio::test]
async fn a_gateway_before_an_endpoint_that_has_answered_gets_the_pause_of_an_outage() {
    for (knows_it, pause) in [(true, 1), (false, 5)] {
        let provider = ScriptedProvider::new("svc").without_refresh_tokens();
        let rig = rig(&provider, true);
        if knows_it {
            finish(&rig.clock, rig.manager.token()).await.unwrap();
            pass(&rig.clock, seconds(901)).await;
        }
        provider.on_fetch(Step::fail(anonymous(404)));

        let error = finish(&rig.clock, rig.manager.token()).await.unwrap_err();

        assert_eq!(error.retry_after(), Some(seconds(pause)), "{knows_it}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_paced_and_told_to_no_other_process() {
    let provider = ScriptedProvider::new("svc");
    let refused = Error::new(ErrorKind::ProxyRejected, "the proxy refused");
    provider.always_on_refresh(Step::fail(refused));
    let rig = aged(&provider).await;

    for expected in [5, 10, 20] {
        let error = finish(&rig.clock, rig.manager.token()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::ProxyRejected, Some(seconds(expected)))
        );
        pass(&rig.clock, seconds(expected)).await;
    }

    assert_eq!(rig.stored_refresh_token().as_deref(), Some("person-refresh"));
    let payload = rig.stored().unwrap().payload().to_vec();
    assert!(!String::from_utf8(payload).unwrap().contains("rejected"));
}
