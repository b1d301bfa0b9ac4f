//! An API on another port than the realm, which asks the realm about every token that it gets.

use http::header::AUTHORIZATION;
use http::{Method, Request};
use tokenkeeper_mangadex::{Session, Unauthorized};
use tokenkeeper_providers::{BundledTransport, HttpTransport, TransportOptions};
use tokenkeeper_tests::Keycloak;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{Account, token};

/// Listens until the test is over.
async fn start(keycloak: Keycloak) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answer(&keycloak, stream).await;
        }
    });
    origin
}

async fn answer(keycloak: &Keycloak, mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let token = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.strip_prefix("Bearer "))?
    });
    let knows = match token {
        Some(token) => keycloak.introspect(token).await["active"] == true,
        None => false,
    };
    let status = if knows { "200 OK" } else { "401 Unauthorized" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// As a program asks: once more with another token after a 401.
async fn me(session: &Session, origin: &str) -> u16 {
    let token = session.require(Method::GET, "/user/me").await.unwrap();
    match get(origin, &token).await {
        401 => match session.replace_rejected(&token).await.unwrap() {
            Some(token) => get(origin, &token).await,
            None => 401,
        },
        status => status,
    }
}

async fn get(origin: &str, token: &tokenkeeper::AccessToken) -> u16 {
    let transport = BundledTransport::new(TransportOptions::new()).unwrap();
    let request = Request::get(format!("{origin}/user/me"));
    let request = request.header(AUTHORIZATION, token.authorization()).body(Vec::new()).unwrap();
    transport.send(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_api_takes_the_token_and_heals_after_its_session_was_ended() {
    let account = Account::new("api").await;
    let origin = start(account.keycloak.clone()).await;
    let session = account.session();

    let first = me(&session, &origin).await;
    account.end_sessions().await;
    account.clock.advance(std::time::Duration::from_secs(60));
    let second = me(&session, &origin).await;

    assert_eq!((first, second), (200, 200));
    let exchanges = ["password 200", "refresh_token 400", "password 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn after_a_logout_the_api_refuses_the_token_and_the_session_sends_none() {
    let account = Account::new("api-logout").await;
    let origin = start(account.keycloak.clone()).await;
    let session = account.session();
    let token = token(&session).await;

    session.logout().await.unwrap();
    let error = session.require(Method::GET, "/user/me").await.unwrap_err();

    assert_eq!(get(&origin, &token).await, 401);
    assert_eq!(Unauthorized::cause_of(&error).unwrap().path(), "/user/me");
}
