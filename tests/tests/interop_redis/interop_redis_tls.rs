//! Redis over TLS: the right certificate authority, and the wrong ones.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::net::TcpListener;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokenkeeper::{
    ErrorKind, Order, Secret, SharedTokenStorage, StorageKey, TokenRecord, TokenStorage,
};
use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_tests::RedisServer;

/// A Redis with a second port for TLS, and what it needs to live.
struct TlsServer {
    url: String,
    certificate: String,
    key: String,
    _server: RedisServer,
    _folder: TempDir,
}

impl TlsServer {
    fn start(client_certificates: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("certificate"), &certificate).unwrap();
        fs::write(path("key"), &key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = RedisServer::start_with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &path("certificate"),
            "--tls-key-file",
            &path("key"),
            "--tls-ca-cert-file",
            &path("certificate"),
            "--tls-auth-clients",
            client_certificates,
        ]);
        let url = format!("rediss://localhost:{port}");
        Self { url, certificate, key, _server: server, _folder: folder }
    }
}

fn key() -> StorageKey {
    StorageKey::new("alice").unwrap()
}

fn record() -> TokenRecord {
    TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, 1), None, false)
}

#[tokio::test]
async fn a_server_with_the_certificate_of_a_named_authority_is_used() {
    let server = TlsServer::start("no");
    let storage = RedisStorage::builder(&server.url)
        .root_certificates_pem(server.certificate.clone())
        .announce_changes(true)
        .build()
        .unwrap();
    let mut notices = storage.notices(&key()).unwrap();
    assert_eq!(notices.next().await.unwrap(), None);

    storage.set(&key(), &record()).await.unwrap();

    assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"payload");
    assert_eq!(notices.next().await.unwrap(), Some(Order::new(1, 1)));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_used() {
    let server = TlsServer::start("no");
    let storage = RedisStorage::new(&server.url).unwrap();

    let error = storage.set(&key(), &record()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let server = TlsServer::start("yes");
    let builder =
        || RedisStorage::builder(&server.url).root_certificates_pem(server.certificate.clone());
    let nobody = builder().build().unwrap();
    let key_pem = Secret::from(server.key.as_str());
    let somebody =
        builder().client_certificate_pem(server.certificate.clone(), key_pem).build().unwrap();

    assert!(nobody.get(&key()).await.is_err());
    assert!(somebody.get(&key()).await.unwrap().is_none());
}

#[test]
fn a_certificate_that_is_none_is_refused_at_once() {
    let built = RedisStorage::builder("rediss://localhost")
        .client_certificate_pem("no PEM", Secret::from("planted"))
        .build();

    let error = built.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:#?}").contains("planted"));
}
