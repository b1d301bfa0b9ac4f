//! No secret shows in an error, a `Debug`, a `Display`, an event or a log line, whatever the
//! service answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::future_not_send, reason = "they run where they are made")]

use std::time::Duration;

use crate::leaks::{
    Auth, CLIENT_ID, Call, Desk, Grant, PAUSE, Plants, Scene, Search, Shape, Shown, bad_days,
    known, logs, places, slow_days, spellings,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;
use tokenkeeper::{
    AccessToken, Clock, ErrorKind, ManualClock, MemoryStorage, Order, StorageKey, TokenManager,
    TokenRecord, TokenSet, TokenStorage,
};
use tokenkeeper_providers::{
    BundledTransport, ClientAuth, ClientCredentialsProvider, PasswordProvider, TransportOptions,
};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey, EncryptionKeys};
use tokenkeeper_testkit::{FakeAuthServer, Fault, ReceivedRequest, ScriptedProvider};

fn every_bad_day(grant: Grant) {
    let mut shown = 0;
    for (row, auth) in Auth::ALL.into_iter().enumerate() {
        for (column, shape) in Shape::ALL.into_iter().enumerate() {
            let scene = Scene::new(grant, auth, shape, TransportOptions::new());
            pollster::block_on(async {
                let days = bad_days(&scene.plants, &scene.sent());
                for (number, fault) in days.iter().enumerate() {
                    // Every fault meets every method, and each shape at one method or another.
                    let turn = (row + column + number) % Shape::ALL.len() == 0;
                    if turn || matches!(fault, Fault::Echo(_)) {
                        scene.bad_day(fault).await;
                    }
                }
                scene.good_day().await;
            });
            assert!(scene.shown.contains("[withheld"), "the server repeated a secret");
            scene.finish();
            shown += scene.shown.count();
        }
    }
    let logged = logs::lines();
    for part in ["hyper_util", "reqwest"] {
        assert!(logged.iter().any(|line| line.contains(part)), "{part} logs");
    }
    assert!(shown > 10_000, "{shown} texts were looked through");
}

#[test]
fn client_credentials_show_no_secret_on_any_bad_day() {
    every_bad_day(Grant::ClientCredentials);
}

#[test]
fn password_logins_show_no_secret_on_any_bad_day() {
    every_bad_day(Grant::Password);
}

#[test]
fn refresh_tokens_show_no_secret_on_any_bad_day() {
    every_bad_day(Grant::RefreshToken);
}

#[test]
fn slow_and_endless_answers_show_no_secret() {
    for grant in [Grant::ClientCredentials, Grant::Password, Grant::RefreshToken] {
        let options = TransportOptions::new().with_request_timeout(Duration::from_millis(100));
        let scene = Scene::new(grant, Auth::Basic, Shape::Plain, options);
        pollster::block_on(async {
            for fault in slow_days() {
                scene.bad_day(&fault).await;
                scene.server.release_hung();
            }
        });
        scene.finish();
    }
}

#[test]
fn each_secret_that_a_service_repeats_is_withheld_in_each_spelling() {
    let mut answers = 0;
    for shape in Shape::ALL {
        let (plants, shown) = (Plants::of(shape), Shown::default());
        for auth in Auth::ALL {
            let desk = Desk::new(auth, &plants);
            for (call, secret) in known(&plants, auth) {
                for spelling in spellings(secret) {
                    let text = format!("No luck with {spelling}, alas.");
                    let all = places(&text);
                    // Every place once for each spelling, at one method or another.
                    let few = all.into_iter().skip(answers % 2).step_by(2);
                    for (status, body) in few {
                        shown.going_on(format!("{auth:?}, {call:?}, {body}"));
                        shown.error(&desk.error_of(call, status, body));
                        answers += 1;
                    }
                }
            }
        }
        shown.assert_hides(&plants);
    }
}

/// One way to spell a text.
fn spelled(text: &str, way: prop::sample::Index) -> String {
    let all = spellings(text);
    way.get(&all).clone()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_in_a_random_answer_gets_into_the_error(
        secret in "([!-~äß€漢]{1,3} ?){6,20}",
        ways in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
        (before, after) in ("[ -~]{0,30}", "[ -~]{0,30}"),
        (place, call, auth) in any::<[prop::sample::Index; 3]>().prop_map(<(_, _, _)>::from),
    ) {
        let secret = secret.trim_end().to_owned();
        let auth = *auth.get(&Auth::ALL);
        let plants = Plants {
            client_secret: secret.clone(),
            password: secret.clone(),
            refresh_token: secret.clone(),
            ..Plants::of(Shape::Plain)
        };
        let text = ways.into_iter().fold(secret.clone(), |text, way| spelled(&text, way));
        let all = places(&format!("{before}{text}{after}"));
        let (status, body) = place.get(&all).clone();
        let call = *call.get(&[Call::Refresh, Call::Fetch, Call::Revoke]);

        let error = Desk::new(auth, &plants).error_of(call, status, body);

        let search = Search::new([("secret", secret.as_str())]);
        for shown in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
            prop_assert_eq!(search.find(&shown), None, "{} in {}", secret, shown);
        }
    }
}

#[test]
fn values_given_wrongly_are_named_and_not_shown() {
    for shape in Shape::ALL {
        let plants = Plants::of(shape);
        let (shown, secret) = (Shown::default(), plants.client_secret.as_str());
        let new = || ClientCredentialsProvider::builder("svc", "https://auth.example.org/token");
        let ready = || new().client(CLIENT_ID, ClientAuth::basic(secret));
        let at = |url: &str| ClientCredentialsProvider::builder("svc", url);
        let post = || ClientAuth::post(secret);
        let spoilt = format!("{secret}\n");
        let builders = [
            at(secret).client(CLIENT_ID, post()),
            at(&format!("https://u:{secret}@auth.example.org/t")).client(CLIENT_ID, post()),
            at(&format!("https://auth.example.org/t#{secret}")).client(CLIENT_ID, post()),
            at(&plants.with_query("http://auth.example.org/t")).client(CLIENT_ID, post()),
            at(&plants.with_query("ftp://auth.example.org/t")).client(CLIENT_ID, post()),
            new(),
            new().client(CLIENT_ID, ClientAuth::basic(spoilt.as_str())),
            new().client(CLIENT_ID, ClientAuth::post(spoilt.as_str())),
            new().client(spoilt.as_str(), ClientAuth::none()),
            new().client(format!("{secret}:"), ClientAuth::basic_raw(secret)),
            ready().scopes([spoilt.as_str()]),
            ready().audience(spoilt.as_str()),
            ready().resource(secret),
            ready().resource(format!("https://api.example.org/#{secret}")),
            ready().tenant(spoilt.as_str()),
            ready().extra_parameter("client_secret", secret),
            ready().extra_parameter(spoilt.as_str(), secret),
            ready().extra_parameter("key", spoilt.as_str()),
            ready().extra_parameter(secret, "1").extra_parameter(secret, "2"),
            ready().revocation_url(format!("https://u:{secret}@auth.example.org/")),
            ready().default_lifetime(Duration::ZERO),
        ];
        for (at, builder) in builders.into_iter().enumerate() {
            shown.going_on(format!("builder {at}"));
            shown.debug(&builder);
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            shown.error(&error);
        }
        let user = PasswordProvider::builder("svc", "https://auth.example.org/t")
            .user("alice", format!("{}\n", plants.password))
            .client(CLIENT_ID, ClientAuth::none());
        shown.debug(&user);
        shown.error(&user.build().unwrap_err());
        let proxy = format!("http://u:{}@[", plants.proxy_password);
        let options = [
            TransportOptions::new().with_proxy_url(proxy),
            TransportOptions::new().with_proxy_url(plants.proxy_password.as_str()),
            TransportOptions::new().with_root_certificates(secret),
            TransportOptions::new().with_user_agent(spoilt.as_str()),
        ];
        for options in options {
            if let Err(error) = BundledTransport::new(options) {
                shown.error(&error);
            }
        }
        shown.assert_hides(&plants);
    }
}

#[test]
fn the_password_of_a_proxy_shows_neither_in_errors_nor_in_logs() {
    logs::listen();
    for shape in Shape::ALL {
        let (plants, shown) = (Plants::of(shape), Shown::default());
        let server = FakeAuthServer::start();
        let password = utf8_percent_encode(&plants.proxy_password, NON_ALPHANUMERIC);
        let proxy = server.url().replace("http://", &format!("http://jane:{password}@"));
        let nobody = format!("http://jane:{password}@127.0.0.1:1");
        let told = json!({ "error": "proxy", "error_description": plants.proxy_password });
        for (proxy, url) in [
            (&proxy, "http://auth.example.org/token"),
            (&proxy, "https://auth.example.org/token"), // asks for a tunnel, which it does not get
            (&nobody, "http://auth.example.org/token"),
            (&nobody, "https://auth.example.org/token"),
        ] {
            let options = TransportOptions::new().with_proxy_url(proxy.as_str());
            let options = options.danger_allow_http();
            shown.debug(&options);
            let transport = BundledTransport::new(options).unwrap();
            let provider = ClientCredentialsProvider::builder("svc", &plants.with_query(url))
                .client(CLIENT_ID, ClientAuth::basic(plants.client_secret.as_str()))
                .transport(transport)
                .danger_allow_http()
                .build()
                .unwrap();
            let clock = ManualClock::new();
            let manager = TokenManager::builder(provider)
                .clock(clock.clone())
                .observer(shown.clone())
                .build()
                .unwrap();
            for fault in [
                Fault::Status(407, told.to_string()),
                Fault::Status(502, format!("<p>{}", plants.proxy_password)),
                Fault::LostResponse,
            ] {
                shown.going_on(format!("{url}, {fault:?}"));
                server.fail_next(1, fault);
                clock.advance(PAUSE);
                let result = pollster::block_on(manager.force_refresh());
                assert!(result.is_err());
                shown.outcome(&manager, &result);
                server.heal();
            }
        }
        let was_sent = |request: &ReceivedRequest| request.header("proxy-authorization").is_some();
        assert!(server.received().iter().any(was_sent), "the proxy was given its password");
        shown.assert_hides(&plants);
    }
}

/// What is given in the place of a key is one, as far as anybody knows.
#[test]
fn text_that_is_no_encryption_key_is_not_shown() {
    for shape in Shape::ALL {
        let (plants, shown) = (Plants::of(shape), Shown::default());
        for (_, text) in plants.all() {
            shown.error(&EncryptionKey::from_text(text).unwrap_err());
            shown.error(&EncryptionKeys::from_text(text).unwrap_err());
            let second = format!("{},{text}", "a1".repeat(32));
            shown.error(&EncryptionKeys::from_text(second).unwrap_err());
        }
        shown.assert_hides(&plants);
    }
}

fn planted(plants: &Plants) -> TokenSet {
    let token = AccessToken::new(plants.access_token.as_str(), "Bearer").unwrap();
    TokenSet::new(token, ManualClock::new().now().wall())
        .with_refresh_token(plants.refresh_token.as_str())
        .with_id_token(plants.id_token.as_str())
}

#[test]
fn an_encrypted_storage_shows_no_token_and_no_key_whatever_is_stored() {
    logs::listen();
    for shape in Shape::ALL {
        let (mut plants, shown) = (Plants::of(shape), Shown::default());
        plants.client_secret = "e4a91c07b85d2f63".repeat(4); // the key, as text
        let inner = MemoryStorage::new();
        let keys = EncryptionKeys::from_text(plants.client_secret.as_str()).unwrap();
        let storage = EncryptedStorage::new(inner.clone(), keys.clone());
        shown.debug(&keys);
        shown.debug(&storage);
        pollster::block_on(async {
            let manager = TokenManager::builder(ScriptedProvider::new("svc").attended())
                .storage(storage.clone())
                .observer(shown.clone())
                .build()
                .unwrap();
            shown.outcome(&manager, &manager.install(planted(&plants)).await);
            let at_rest = inner.get(manager.key()).await.unwrap().unwrap();
            shown.debug(&at_rest);
            shown.text(String::from_utf8_lossy(&at_rest.to_bytes()).into_owned());
            shown.debug(&storage.get(manager.key()).await);

            let other = EncryptedStorage::new(inner.clone(), EncryptionKey::from_bytes([3; 32]));
            let sealed = at_rest.payload();
            let token = plants.refresh_token.as_bytes();
            for damaged in [token, &sealed[..50], &[sealed, token].concat(), &[], b"tkenc\x09"] {
                let order = Order::new(u64::MAX, 0);
                let damaged = TokenRecord::from_parts(damaged.to_vec(), order, None, false);
                inner.set(manager.key(), &damaged).await.unwrap();
                shown.error(&storage.get(manager.key()).await.unwrap_err());
                shown.outcome(&manager, &manager.force_refresh().await);
            }
            inner.set(manager.key(), &at_rest).await.unwrap();
            shown.error(&other.get(manager.key()).await.unwrap_err());
            inner.set(&StorageKey::new("bob").unwrap(), &at_rest).await.unwrap();
            shown.error(&storage.get(&StorageKey::new("bob").unwrap()).await.unwrap_err());
        });
        assert!(shown.contains("encrypted"), "it was refused, and said so");
        shown.assert_hides(&plants);
    }
}
