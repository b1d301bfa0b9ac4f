//! An API that refuses everything, and a token server that is away.

use std::time::Duration;

use crate::setup::{Way, at_resource, client, manager_of, tokens};
use tokenkeeper::{ManualClock, Recovery};
use tokenkeeper_reqwest::Route;
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_api_that_refuses_every_token_costs_a_handful_of_exchanges_in_an_hour() {
    for way in Way::BOTH {
        for (callers, pause) in [(1, 5), (10, 10)] {
            let clock = ManualClock::new();
            let server = FakeAuthServer::builder().clock(clock.clone()).start();
            let route = Route::new(manager_of(&server, clock.clone())).origin(server.url());
            let (tokens, client) = (tokens([route]), client());
            server.fail_next_at(Endpoint::Resource, 10_000, Fault::Status(401, String::new()));
            let pause = Duration::from_secs(pause);

            let mut asked = 0;
            for _ in 0..HOUR.as_secs() / pause.as_secs() {
                let mut requests = JoinSet::new();
                for _ in 0..callers {
                    let (tokens, request) = (tokens.clone(), client.get(server.resource_url()));
                    requests.spawn(async move { way.send(&tokens, request).await });
                }
                let answers = requests.join_all().await;
                assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 401));
                asked += callers;
                clock.advance(pause);
            }

            let (exchanges, sent) = (server.exchanges(), at_resource(&server).len());
            println!(
                "{way:?}, {callers} at once: {asked} requests, {sent} sent, {exchanges} exchanges"
            );
            assert!(exchanges < 20, "{way:?}, {callers} at once: {exchanges}");
            assert!(sent < 2 * asked, "{way:?}, {callers} at once: {sent}");
        }
    }
}

#[tokio::test]
async fn while_the_token_server_is_away_tokens_are_used_up_and_then_nothing_goes_out() {
    for way in Way::BOTH {
        let clock = ManualClock::new();
        let server = FakeAuthServer::builder().clock(clock.clone()).start();
        let manager = manager_of(&server, clock.clone());
        let tokens = tokens([Route::new(manager.clone()).origin(server.url())]);
        let client = client();
        let step = Duration::from_secs(10);
        way.send(&tokens, client.get(server.resource_url())).await.unwrap();
        clock.advance(Duration::from_secs(660)); // of 900 s, so it is time for a renewal

        server.fail_next(10_000, Fault::Unavailable(None));
        let (mut served, mut refused) = (0, 0);
        for _ in 0..60 {
            let before = at_resource(&server).len();
            match way.send(&tokens, client.get(server.resource_url())).await {
                Ok(answer) => {
                    assert_eq!((answer.status().as_u16(), refused), (200, 0), "{way:?}");
                    served += 1;
                }
                Err(failed) => {
                    let error = failed.token_error();
                    let Recovery::Retry { after: Some(after) } = error.recovery() else {
                        panic!("{way:?}: {error}");
                    };
                    assert!(after <= Duration::from_secs(60), "{way:?}: {after:?}");
                    assert_eq!(at_resource(&server).len(), before, "{way:?}");
                    refused += 1;
                }
            }
            clock.advance(step);
        }
        server.heal();
        clock.advance(Duration::from_secs(61));
        let back = way.send(&tokens, client.get(server.resource_url())).await.unwrap();

        assert_eq!((served, refused), (24, 36), "{way:?}"); // up to 900 s, and not one request longer
        assert_eq!(back.status(), 200);
        assert_eq!(server.stats().resource(401), 0, "{way:?}: {}", server.stats());
        assert!(server.exchanges() < 30, "{way:?}: {}", server.stats());
        let bare =
            at_resource(&server).into_iter().filter(|one| one.header("authorization").is_none());
        assert_eq!(bare.count(), 0, "{way:?}");
    }
}
