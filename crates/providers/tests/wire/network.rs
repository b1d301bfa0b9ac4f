//! The bundled transport against servers that behave, and against ones that do not.

#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::net::SocketAddr;
use std::time::Duration;

use httpmock::Method::POST;
use httpmock::MockServer;
use tokenkeeper::{Error, ErrorKind, TokenSet};
use tokenkeeper_providers::{
    BundledTransport, ClientAuth, ClientCredentialsProvider, HttpTransport, TransportOptions,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{OK, fetch, printed};

fn provider_at(url: &str, options: TransportOptions) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("svc", url)
        .client("id", ClientAuth::basic("planted-secret"))
        .transport(BundledTransport::new(options).unwrap())
        .build()
        .unwrap()
}

async fn fetch_from(address: SocketAddr, options: TransportOptions) -> Result<TokenSet, Error> {
    fetch(&provider_at(&format!("http://{address}/token?key=planted"), options)).await
}

/// Reads one request to its end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    loop {
        let length = stream.read(&mut part).await.unwrap();
        seen.extend_from_slice(part.get(..length).unwrap());
        let text = String::from_utf8_lossy(&seen);
        if length == 0 || text.ends_with("grant_type=client_credentials") {
            return text.into_owned();
        }
    }
}

/// A server that answers one request with these bytes and hangs up; gives what it was sent.
async fn answering(bytes: Vec<u8>) -> (SocketAddr, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, seen) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let _ = tell.send(request);
    });
    (address, seen)
}

#[tokio::test]
async fn a_request_has_the_headers_of_a_token_request_and_no_others() {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{OK}", OK.len());
    let (address, seen) = answering(answer.into_bytes()).await;

    fetch_from(address, TransportOptions::new()).await.unwrap();

    let request = seen.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.split("\r\n").map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /token?key=planted http/1.1");
    lines.sort();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines,
        [
            "accept-encoding: identity".to_owned(),
            "accept: application/json".to_owned(),
            "authorization: basic awq6cgxhbnrlzc1zzwnyzxq=".to_owned(),
            "content-length: 29".to_owned(),
            "content-type: application/x-www-form-urlencoded".to_owned(),
            format!("host: {address}"),
            format!("user-agent: tokenkeeper/{version}"),
        ]
    );
    assert_eq!(body, "grant_type=client_credentials");
}

#[tokio::test]
async fn secrets_do_not_follow_a_redirect() {
    let thief = MockServer::start_async().await;
    let stolen = thief.mock_async(|when, then| {
        when.any_request();
        then.status(200).body(OK);
    });
    let stolen = stolen.await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start_async().await;
        let token = server
            .mock_async(|when, then| {
                when.method(POST).path("/token");
                then.status(status).header("location", thief.url("/token"));
            })
            .await;

        let provider = provider_at(&server.url("/token"), TransportOptions::new());
        let error = fetch(&provider).await.unwrap_err();

        assert_eq!(error.status().unwrap(), status);
        assert_eq!(token.calls_async().await, 1);
    }
    assert_eq!(stolen.calls_async().await, 0);
}

#[tokio::test]
async fn a_refused_connection_is_a_request_that_was_never_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    let error = fetch_from(address, TransportOptions::new()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(!error.answer_lost());
    assert!(error.to_string().starts_with("svc: could not connect to 127.0.0.1:"), "{error}");
    assert!(!printed(&error).contains("planted"), "{}", printed(&error));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_its_answer_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = TransportOptions::new().with_request_timeout(Duration::from_millis(200));

    let hang = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream // kept open
    };
    let (outcome, stream) = tokio::join!(fetch_from(address, options), hang);

    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.answer_lost());
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    assert!(!printed(&error).contains("planted"), "{}", printed(&error));
    drop(stream);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_lost_wherever_the_cut_is() {
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{OK}", OK.len());
    for end in [0, 5, 20, whole.len() - OK.len(), whole.len() - 1] {
        let (address, _seen) = answering(whole.as_bytes().get(..end).unwrap().to_vec()).await;

        let error = fetch_from(address, TransportOptions::new()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transport, "{end}");
        assert!(error.answer_lost(), "{end}");
        assert!(!printed(&error).contains("planted"), "{}", printed(&error));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_the_limit() {
    for (status, kind) in [
        ("200 OK", ErrorKind::InvalidResponse),
        ("503 Busy", ErrorKind::Unavailable),
        ("404 Not Found", ErrorKind::RequestRejected),
    ] {
        let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n").into_bytes();
        answer.resize(answer.len() + (1 << 20) + 1, b' ');
        let (address, _seen) = answering(answer).await;

        let error = fetch_from(address, TransportOptions::new()).await.unwrap_err();

        assert_eq!(error.kind(), kind, "{status}");
        assert!(printed(&error).contains("longer than 1 MiB"), "{}", printed(&error));
        assert!(error.status().is_some());
    }
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_read() {
    let body = format!("{OK}{}", " ".repeat((1 << 20) - OK.len()));
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}");
    let (address, _seen) = answering(answer.into_bytes()).await;

    assert!(fetch_from(address, TransportOptions::new()).await.is_ok());
}

#[tokio::test]
async fn two_exchanges_use_two_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let provider = provider_at(&format!("http://{address}/"), TransportOptions::new());
    let serve = async {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{OK}", OK.len());
        let mut streams = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            streams.push(stream); // kept open, so it could be used again
        }
    };
    let ask = async {
        fetch(&provider).await.unwrap();
        fetch(&provider).await.unwrap();
    };

    let both = async { tokio::join!(serve, ask) };
    tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
}

#[test]
fn one_transport_serves_one_runtime_after_another() {
    let server = MockServer::start();
    let token = server.mock(|when, then| {
        when.method(POST).path("/token");
        then.status(200).body(OK);
    });
    let provider = provider_at(&server.url("/token"), TransportOptions::new());

    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fetch(&provider)).unwrap();
    }

    token.assert_calls(3);
}

#[test]
fn outside_of_a_tokio_runtime_there_is_an_error_and_no_panic() {
    let provider = provider_at("http://127.0.0.1:9/token", TransportOptions::new());

    let error = pollster::block_on(fetch(&provider)).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("in a tokio runtime"), "{error}");
    assert!(!error.answer_lost(), "nothing was sent");
}

#[tokio::test]
async fn clear_text_to_another_host_is_refused_before_anything_is_sent() {
    let transport = BundledTransport::new(TransportOptions::new()).unwrap();
    for uri in ["http://10.255.255.1/token", "http://example.org/planted?planted"] {
        let mut request = http::Request::new(Vec::new());
        *request.uri_mut() = uri.parse().unwrap();

        let error = transport.send(request).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
}

#[test]
fn wrong_options_are_refused_by_name_and_never_shown() {
    let table = [
        (TransportOptions::new().with_request_timeout(Duration::ZERO), "request timeout"),
        (TransportOptions::new().with_connect_timeout(Duration::ZERO), "connect timeout"),
        (TransportOptions::new().with_user_agent("planted\n"), "user agent"),
        (TransportOptions::new().with_user_agent(""), "user agent"),
        (TransportOptions::new().with_proxy_url("planted planted"), "proxy URL"),
        (TransportOptions::new().with_root_certificates("planted"), "root certificates"),
    ];
    for (options, name) in table {
        let error = BundledTransport::new(options).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
}

#[test]
fn debug_does_not_show_the_credentials_of_a_proxy() {
    let options = TransportOptions::new().with_proxy_url("http://u:planted@proxy.example.org:1");

    let shown = format!("{options:?} {:?}", BundledTransport::new(options.clone()).unwrap());

    assert!(!shown.contains("planted"), "{shown}");
}

#[tokio::test]
async fn a_loopback_host_is_not_asked_for_through_the_proxy() {
    let server = MockServer::start_async().await;
    let token = server
        .mock_async(|when, then| {
            when.method(POST).path("/token");
            then.status(200).body(OK);
        })
        .await;
    let options = TransportOptions::new().with_proxy_url("http://127.0.0.1:1");

    fetch(&provider_at(&server.url("/token"), options)).await.unwrap();

    assert_eq!(token.calls_async().await, 1);
}

/// A TLS server with a certificate for `localhost` that answers once, and that certificate.
async fn answering_over_tls() -> (u16, String) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        read_request(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{OK}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    (port, issued.cert.pem())
}

#[tokio::test]
async fn a_root_certificate_of_ones_own_is_trusted() {
    let (port, certificate) = answering_over_tls().await;
    let options = TransportOptions::new().with_root_certificates(certificate);

    let provider = provider_at(&format!("https://localhost:{port}/token"), options);

    fetch(&provider).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_not_trusted_and_nothing_is_sent() {
    let (port, _) = answering_over_tls().await;
    let url = format!("https://localhost:{port}/token?key=planted");

    let error = fetch(&provider_at(&url, TransportOptions::new())).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(!error.answer_lost());
    assert!(!printed(&error).contains("planted"), "{}", printed(&error));
}

#[tokio::test]
async fn a_proxy_that_refuses_its_credentials_is_named_and_the_host_is_not_blamed() {
    for (credentials, says) in [("user:planted@", "refused the user name"), ("", "wants a user")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let refuse = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(part.get(..length).unwrap()).into_owned()
        });
        let options =
            TransportOptions::new().with_proxy_url(format!("http://{credentials}{proxy}"));

        let provider = provider_at("https://auth.example.org/token", options);
        let error = fetch(&provider).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::ProxyRejected, "{error:?}");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(407));
        assert!(!error.answer_lost());
        assert!(error.to_string().contains(&format!("the proxy {proxy} {says}")), "{error}");
        assert!(error.to_string().contains("with_proxy_url"), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
        assert!(refuse.await.unwrap().starts_with("CONNECT auth.example.org:443"));
    }
}

#[tokio::test]
async fn a_proxy_that_answers_for_a_plain_endpoint_is_named_too() {
    let head = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let (proxy, _seen) = answering(head.as_bytes().to_vec()).await;
    let options = TransportOptions::new().with_proxy_url(format!("http://{proxy}"));
    let provider = ClientCredentialsProvider::builder("svc", "http://auth.example.org/token")
        .client("id", ClientAuth::basic("planted-secret"))
        .transport(BundledTransport::new(options.danger_allow_http()).unwrap())
        .danger_allow_http()
        .build()
        .unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::ProxyRejected, "{error:?}");
    assert!(error.to_string().contains(&format!("the proxy {proxy}")), "{error}");
}

#[tokio::test]
async fn no_coding_is_asked_for_and_one_that_comes_is_named() {
    let plain: &[u8] = b"\x1f\x8b\x08\x00planted";
    for (headers, says) in [
        ("content-encoding: gzip", "is encoded as gzip"),
        ("content-type: application/json; charset=utf-16", "is in the character set utf-16"),
        ("content-type: application/json; charset=utf-8", "is neither a JSON object nor a form"),
    ] {
        let head =
            format!("HTTP/1.1 200 OK\r\n{headers}\r\ncontent-length: {}\r\n\r\n", plain.len());
        let (address, seen) = answering([head.as_bytes(), plain].concat()).await;

        let error = fetch_from(address, TransportOptions::new()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.answer_lost() && error.to_string().contains(says), "{error}");
        assert!(!printed(&error).contains("planted"));
        assert!(seen.await.unwrap().contains("accept-encoding: identity"));
    }
}
