//! A client of one's own at the token endpoint.

use std::time::Duration;

use crate::tls::{Authority, TlsServer, read_request};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use tokenkeeper::{Error, ErrorKind, Recovery, TokenManager};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_reqwest::ClientTransport;
use tokenkeeper_testkit::{FakeAuthServer, Fault};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n\
                  {\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":60}";

async fn token(url: &str, transport: ClientTransport) -> Result<String, Error> {
    let provider = ClientCredentialsProvider::builder("svc", url)
        .client("client", ClientAuth::post("secret"))
        .transport(transport)
        .danger_allow_http()
        .build()?;
    let token = TokenManager::new(provider).token().await?;
    Ok(token.secret().expose_secret().to_owned())
}

fn quiet() -> ClientBuilder {
    Client::builder().no_proxy()
}

#[tokio::test]
async fn a_client_that_trusts_a_private_root_gets_a_token_and_another_does_not() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, None, OK.to_owned()).await;
    let url = format!("https://localhost:{}/token?key=planted", server.port);

    let trusting = quiet().tls_certs_only([authority.certificate()]);
    let got = token(&url, ClientTransport::new(trusting).unwrap()).await;
    let refused = token(&url, ClientTransport::new(quiet()).unwrap()).await.unwrap_err();

    assert_eq!(got.unwrap(), "t");
    assert_eq!(refused.kind(), ErrorKind::Transport);
    assert!(!refused.answer_lost(), "{refused}");
    assert!(refused.to_string().starts_with("svc: could not connect to localhost:"), "{refused}");
    assert!(!format!("{refused:?}").contains("planted"), "{refused:?}");
}

#[tokio::test]
async fn a_client_with_a_certificate_of_its_own_gets_a_token_and_one_without_does_not() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority, Some(&clients), OK.to_owned()).await;
    let url = format!("https://localhost:{}/token", server.port);
    let trusting = || quiet().tls_certs_only([authority.certificate()]);

    let known = trusting().identity(clients.identity("billing"));
    let got = token(&url, ClientTransport::new(known).unwrap()).await;
    let refused = token(&url, ClientTransport::new(trusting()).unwrap()).await;

    assert_eq!(got.unwrap(), "t");
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn a_client_with_a_proxy_asks_the_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::all(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let proxy = proxy.no_proxy(NoProxy::from_string("elsewhere.test"));
    let transport = ClientTransport::new(Client::builder().proxy(proxy)).unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        request
    };

    let asked = token("http://auth.test/token", transport.danger_allow_http());
    let (got, request) = tokio::join!(asked, serve);

    assert_eq!(got.unwrap(), "t");
    assert!(request.starts_with("POST http://auth.test/token HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn clear_text_is_for_this_machine_alone() {
    let transport = ClientTransport::new(quiet()).unwrap();

    let error = token("http://auth.test/token", transport).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("plain http is refused"), "{error}");
}

/// Locations on another origin of every sort, all of them this stranger's.
fn elsewhere(stranger: &FakeAuthServer) -> [String; 4] {
    let port = stranger.url().rsplit_once(':').unwrap().1.to_owned();
    let hosts = ["127.0.0.1", "localhost", "127.0.0.1.evil.test", "evil.test"];
    hosts.map(|host| format!("http://{host}:{port}/token"))
}

fn mapped() -> ClientBuilder {
    let here = "127.0.0.1:0".parse().unwrap();
    quiet().resolve("127.0.0.1.evil.test", here).resolve("evil.test", here)
}

fn redirect(status: u16, location: &str) -> Fault {
    let headers = vec![("location".to_owned(), location.to_owned())];
    Fault::Answer { status, headers, body: Vec::new() }
}

#[tokio::test]
async fn a_redirect_of_the_token_endpoint_is_refused_and_the_secret_seen_nowhere_else() {
    for status in [301, 302, 303, 307, 308] {
        let (server, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
        let near = "/api/token".to_owned();
        for location in elsewhere(&stranger).into_iter().chain([near]) {
            server.reset_counters();
            server.fail_next(1, redirect(status, &location));

            let transport = ClientTransport::new(mapped()).unwrap();
            let error = token(&server.token_url(), transport).await.unwrap_err();

            assert_eq!(error.recovery(), Recovery::FixRequest, "{status} {location}");
            assert_eq!(error.status().unwrap(), status);
            assert_eq!((server.requests(), stranger.requests()), (1, 0), "{status} {location}");
        }
    }
}

#[tokio::test]
async fn a_secret_behind_tls_is_not_taken_into_clear_text() {
    let (authority, stranger) = (Authority::new(), FakeAuthServer::start());
    let answer = format!(
        "HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        stranger.token_url()
    );
    let server = TlsServer::start(&authority, None, answer).await;
    let trusting = quiet().tls_certs_only([authority.certificate()]);

    let url = format!("https://localhost:{}/token", server.port);
    let error = token(&url, ClientTransport::new(trusting).unwrap()).await.unwrap_err();

    assert_eq!((error.status().unwrap().as_u16(), stranger.requests()), (307, 0));
}

#[tokio::test]
async fn a_finished_client_that_followed_a_redirect_is_an_error_even_if_there_was_a_token() {
    let (server, stranger) = (FakeAuthServer::start(), FakeAuthServer::start());
    server.fail_next(1, redirect(307, &stranger.token_url()));

    let transport = ClientTransport::danger_from_client(quiet().build().unwrap());
    let error = token(&server.token_url(), transport).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected);
    assert!(error.to_string().contains("followed a redirect of 127.0.0.1:"), "{error}");
    assert!(error.answer_lost(), "{error}");
    assert_eq!(stranger.live_access_tokens(), 1, "{}", stranger.stats()); // it was good enough for somebody
}

/// The client's own error has the URL in it that it did not want, behind the one that was asked.
#[tokio::test]
async fn a_redirect_that_a_finished_client_refuses_is_an_error_without_its_url() {
    let authority = Authority::new();
    let answer = "HTTP/1.1 307 Moved\r\nlocation: http://a:planted@b.test/?planted\r\n\
                  content-length: 0\r\n\r\n";
    let server = TlsServer::start(&authority, None, answer.to_owned()).await;
    let strict = quiet().tls_certs_only([authority.certificate()]).https_only(true);
    let transport = ClientTransport::danger_from_client(strict.build().unwrap());

    let url = format!("https://localhost:{}/token", server.port);
    let error = token(&url, transport).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected);
    assert!(error.to_string().contains("followed a redirect of localhost:"), "{error}");
    assert!(!format!("{error:?}{error:#?}").contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_finished_client_without_redirects_gets_its_token() {
    let server = FakeAuthServer::start();
    let client = tokenkeeper_reqwest::without_redirects(quiet()).build().unwrap();

    let got = token(&server.token_url(), ClientTransport::danger_from_client(client)).await;

    assert!(server.is_live(&got.unwrap()));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_although_the_client_has_no_time_limit() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::Hang);
    let transport = ClientTransport::new(quiet()).unwrap();

    let transport = transport.with_request_timeout(Duration::from_millis(200));
    let error = token(&server.token_url(), transport).await.unwrap_err();
    server.release_hung();

    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.answer_lost() && error.to_string().contains("did not answer in time"), "{error}");
}

#[tokio::test]
async fn one_answer_is_read_whole_and_no_more_than_a_mebibyte_of_it() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::HugeBody(2 << 20));

    let transport = ClientTransport::new(quiet()).unwrap();
    let error = token(&server.token_url(), transport).await.unwrap_err();

    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

#[test]
fn a_client_that_cannot_be_built_is_said_at_once() {
    let builder = quiet().user_agent("planted\n");

    let error = ClientTransport::new(builder).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");
}
