//! A Redis that refuses: what is lost (nothing), and what the error says.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    CasOutcome, Clock, Error, ErrorKind, LeaseRequest, ListKeys, Order, Secret, SharedTokenStorage,
    StorageKey, SystemClock, TokenRecord, TokenStorage,
};
use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_tests::{RedisServer, server_url};

fn key() -> StorageKey {
    StorageKey::new("alice").unwrap()
}

fn record(payload: &[u8]) -> TokenRecord {
    TokenRecord::from_parts(payload.to_vec(), Order::new(1, 1), None, false)
}

fn want() -> LeaseRequest {
    LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, Arc::new(SystemClock))
}

#[track_caller]
fn assert_says(error: &Error, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains(what), "{error}");
}

#[tokio::test]
async fn a_server_that_is_full_says_so_and_keeps_what_it_has() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let storage = RedisStorage::new(&server.url()).unwrap();
    storage.set(&key(), &record(b"one")).await.unwrap();
    let (version, _) = storage.load(&key()).await.unwrap().unwrap();
    let lease = storage.lease(&key(), &want()).await.unwrap();

    server.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let two = record(b"two");
    let full = "out of memory (OOM)";
    assert_says(&storage.set(&key(), &two).await.unwrap_err(), full);
    assert_says(&storage.compare_and_set(&key(), Some(&version), &two).await.unwrap_err(), full);
    lease.release().await.unwrap(); // makes room, so it is allowed
    assert_says(&storage.lease(&key(), &want()).await.unwrap_err(), full);
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "0"]);

    assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"one");
    storage.compare_and_set(&key(), Some(&version), &two).await.unwrap();
}

#[tokio::test]
async fn something_else_under_the_key_is_left_alone_and_named() {
    let server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    server.run::<()>(&["LPUSH", "tokenkeeper:{alice}", "somebody's"]);
    server.run::<()>(&["LPUSH", "tokenkeeper:{alice}:lease", "somebody's"]);

    let one = record(b"one");
    let errors = [
        storage.get(&key()).await.unwrap_err(),
        storage.exists(&key()).await.unwrap_err(),
        storage.load(&key()).await.unwrap_err(),
        storage.set(&key(), &one).await.unwrap_err(),
        storage.delete(&key()).await.unwrap_err(),
        storage.compare_and_set(&key(), None, &one).await.unwrap_err(),
        storage.lease(&key(), &want()).await.unwrap_err(),
    ];

    for error in errors {
        assert_says(&error, "tokenkeeper:{alice}");
        assert_says(&error, "WRONGTYPE");
    }
    for name in ["tokenkeeper:{alice}", "tokenkeeper:{alice}:lease"] {
        assert_eq!(server.run::<usize>(&["LLEN", name]), 1);
    }
}

#[tokio::test]
async fn a_string_of_somebody_else_is_a_record_that_cannot_be_read_and_can_be_replaced() {
    let server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    for foreign in ["", "hello", "tokenkeeper 1 not quite", &"x".repeat(1_000)] {
        server.run::<()>(&["SET", "tokenkeeper:{alice}", foreign]);

        let (version, found) = storage.load(&key()).await.unwrap().unwrap();
        assert_eq!(found.payload(), foreign.as_bytes());
        let outcome = storage.compare_and_set(&key(), None, &record(b"one")).await.unwrap();
        assert!(matches!(outcome, CasOutcome::Conflict(Some(_))), "{foreign:?} was written over");
        let outcome =
            storage.compare_and_set(&key(), Some(&version), &record(b"one")).await.unwrap();

        assert!(matches!(outcome, CasOutcome::Stored(_)));
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_clear_error_that_does_not_show_it() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let at = server.url();
    let host = at.strip_prefix("redis://").unwrap();
    let with = |user_info: &str| RedisStorage::new(&format!("redis://{user_info}{host}")).unwrap();
    let no_password = with("");
    let wrong = with(":planted@");
    let unknown = with("planted:planted@");

    assert_says(&no_password.get(&key()).await.unwrap_err(), "wants a password");
    for storage in [wrong, unknown] {
        let error = storage.get(&key()).await.unwrap_err();
        assert_says(&error, "refused the user name or password");
        for shown in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
            assert!(!shown.contains("planted"), "{shown}");
        }
        assert!(!format!("{storage:?}").contains("planted"));
    }
    assert!(with(":right@").get(&key()).await.is_ok());
    let built = RedisStorage::builder(&at).password(Secret::from("right")).build().unwrap();
    assert!(built.get(&key()).await.is_ok());
}

#[tokio::test]
async fn a_password_that_is_corrected_on_the_server_is_used_by_the_next_call() {
    let server = RedisServer::start_with(&["--requirepass", "old"]);
    let url = server.url().replace("redis://", "redis://:new@");
    let storage = RedisStorage::new(&url).unwrap();
    assert!(storage.get(&key()).await.is_err());

    let client = redis::Client::open(server.url().replace("redis://", "redis://:old@")).unwrap();
    let set = ["SET", "requirepass", "new"];
    redis::cmd("CONFIG").arg(&set).exec(&mut client.get_connection().unwrap()).unwrap();

    assert!(storage.get(&key()).await.is_ok());
}

#[test]
fn a_url_that_is_none_is_refused_at_once_and_not_shown() {
    let urls = [
        "planted",
        "http://planted@localhost",
        "redis://:planted@",
        "redis://localhost:99999/planted",
        "redis://:planted@localhost/words",
        "rediss://:planted@localhost#insecure",
        "rediss://:planted@localhost#insecure\n",
        "REDISS://:planted@localhost/#insecure",
    ];
    for url in urls {
        let error = RedisStorage::new(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(!format!("{error:#?}").contains("planted"), "{error:#?}");
        let builder = RedisStorage::builder(url).password(Secret::from("planted"));
        assert!(!format!("{builder:?}").contains("planted"));
    }
}

#[tokio::test]
async fn a_replica_is_read_and_its_refusal_of_writes_names_the_cause() {
    let primary = RedisStorage::new(&server_url("TOKENKEEPER_REDIS_PRIMARY_URL")).unwrap();
    let replica = RedisStorage::new(&server_url("TOKENKEEPER_REDIS_REPLICA_URL")).unwrap();
    let fresh = StorageKey::new(&format!("replica-{}", std::process::id())).unwrap();
    let one = record(b"one");

    let errors = [
        replica.set(&fresh, &one).await.unwrap_err(),
        replica.delete(&fresh).await.unwrap_err(),
        replica.compare_and_set(&fresh, None, &one).await.unwrap_err(),
        replica.lease(&fresh, &want()).await.unwrap_err(),
    ];
    for error in errors {
        assert_says(&error, "READONLY");
        assert_says(&error, "connect to the primary");
    }
    let sure = RedisStorage::builder(&server_url("TOKENKEEPER_REDIS_PRIMARY_URL"));
    sure.wait_replicas(1).build().unwrap().set(&fresh, &one).await.unwrap();

    assert_eq!(replica.get(&fresh).await.unwrap().unwrap().payload(), b"one");
    primary.delete(&fresh).await.unwrap();
}

#[tokio::test]
async fn a_write_that_no_replica_confirms_is_an_error_that_says_what_is_known() {
    let server = RedisServer::start();
    let storage = RedisStorage::builder(&server.url())
        .wait_replicas(1)
        .replica_timeout(Duration::from_millis(50))
        .build()
        .unwrap();

    let error = storage.compare_and_set(&key(), None, &record(b"one")).await.unwrap_err();

    assert_says(&error, "only 0 of 1 replicas confirmed");
    let (version, found) = storage.load(&key()).await.unwrap().unwrap();
    assert_eq!(found.payload(), b"one", "the primary has it");
    // Where nothing is written, nothing needs to be confirmed.
    let outcome = storage.compare_and_set(&key(), None, &record(b"two")).await.unwrap();
    assert!(matches!(outcome, CasOutcome::Conflict(Some((there, _))) if there == version));
    storage.lease(&key(), &want()).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_kind_is_no_redis() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });

    let storage = RedisStorage::new(&format!("redis://127.0.0.1:{port}")).unwrap();

    assert_says(&storage.get(&key()).await.unwrap_err(), "check host and port");
}

#[tokio::test]
async fn a_user_without_permission_is_told_so() {
    let server = RedisServer::start();
    server.run::<()>(&["ACL", "SETUSER", "reader", "on", ">pw", "~*", "+get", "+ping"]);
    let storage = RedisStorage::builder(&server.url())
        .username("reader")
        .password(Secret::from("pw"))
        .build()
        .unwrap();

    assert!(storage.get(&key()).await.unwrap().is_none());
    assert_says(&storage.set(&key(), &record(b"one")).await.unwrap_err(), "NOPERM");
}

#[tokio::test]
async fn a_user_who_cannot_replace_the_record_gets_no_lease() {
    let server = RedisServer::start();
    for (user, may) in [
        ("no-scripts", &["~*", "+@all", "-eval", "-evalsha"][..]),
        ("no-set", &["~*", "+@all", "-set"]),
        ("leases-only", &["~*:lease", "+@all"]),
        ("reads-records", &["%R~tokenkeeper:{alice}", "~*:lease", "+@all"]),
    ] {
        let user_setting = ["ACL", "SETUSER", user, "on", ">pw"];
        server.run::<()>(&[&user_setting[..], may].concat());
        let storage = RedisStorage::builder(&server.url()).username(user);
        let storage = storage.password(Secret::from("pw")).build().unwrap();
        for there in [None, Some(record(b"one"))] {
            let owner = RedisStorage::new(&server.url()).unwrap();
            if let Some(there) = &there {
                owner.set(&key(), there).await.unwrap();
            }

            let error = storage.lease(&key(), &want()).await.unwrap_err();

            assert_says(&error, "NOPERM");
            let found = owner.get(&key()).await.unwrap().map(|found| found.payload().to_vec());
            assert_eq!(found, there.map(|there| there.payload().to_vec()), "{user}");
            owner.lease(&key(), &want()).await.unwrap().release().await.unwrap();
            owner.delete(&key()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_lease_leaves_the_record_its_version_and_its_end_as_they_were() {
    let server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    let end = SystemClock.now().wall() + Duration::from_secs(3_600);
    let ends = TokenRecord::from_parts(b"ends".to_vec(), Order::new(1, 1), Some(end), false);
    for (there, has_end) in [(record(b"stays"), false), (ends, true)] {
        storage.set(&key(), &there).await.unwrap();
        let (version, _) = storage.load(&key()).await.unwrap().unwrap();

        storage.lease(&key(), &want()).await.unwrap().release().await.unwrap();

        let (after, found) = storage.load(&key()).await.unwrap().unwrap();
        assert_eq!((after, found.payload()), (version, there.payload()));
        let left = server.run::<i64>(&["PTTL", "tokenkeeper:{alice}"]);
        assert_eq!(left > 0, has_end, "{left}");
    }
    storage.delete(&key()).await.unwrap();
    storage.lease(&key(), &want()).await.unwrap().release().await.unwrap();
    assert!(!storage.exists(&key()).await.unwrap(), "a lease made a record");
}

#[tokio::test]
async fn every_key_under_the_prefix_is_on_some_page_and_no_other_name_is() {
    let server = RedisServer::start();
    let open =
        |prefix: &str| RedisStorage::builder(&server.url()).key_prefix(prefix).build().unwrap();
    let (storage, other) = (open("app[1]*:"), open("app1:"));
    let record = record(b"x");
    let keys: HashSet<_> =
        (0..1_200).map(|number| StorageKey::new(&format!("svc:User.{number}")).unwrap()).collect();
    for key in &keys {
        storage.set(key, &record).await.unwrap();
    }
    let stranger = StorageKey::new("stranger").unwrap();
    other.set(&stranger, &record).await.unwrap();
    let _lease = storage.lease(&stranger, &want()).await.unwrap();

    let (mut page, mut found) = (storage.list_keys(None).await.unwrap(), HashSet::new());
    while let Some(next) = page.next() {
        found.extend(page.keys().iter().cloned());
        page = storage.list_keys(Some(next)).await.unwrap();
    }
    found.extend(page.keys().iter().cloned());

    assert_eq!(found, keys);
}
