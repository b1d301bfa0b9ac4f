//! Where OpenID Connect Discovery differs from RFC 8414: the place of the document.

#![cfg(feature = "discovery")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use http::{Request, Response};
use serde_json::json;
use tokenkeeper::{Error, ErrorKind, async_trait};
use tokenkeeper_providers::{Discovery, HttpTransport};

use crate::support::Playback;

const ISSUER: &str = "https://as.example.org/realms/one";
const DOCUMENT: &str = "https://as.example.org/realms/one/.well-known/openid-configuration";

fn document(issuer: &str) -> String {
    json!({ "issuer": issuer, "token_endpoint": "https://as.example.org/token" }).to_string()
}

async fn discovered(playback: &Playback, issuer: &str) -> Result<(), Error> {
    Discovery::new().with_transport(playback.clone()).server(issuer).await.map(drop)
}

#[tokio::test]
async fn the_well_known_path_goes_after_the_path_of_the_issuer() {
    for issuer in [ISSUER, "https://as.example.org/realms/one/"] {
        let playback = Playback::default().and(404, "not here").and(200, document(issuer));

        discovered(&playback, issuer).await.unwrap();

        assert_eq!(playback.request(1).uri(), DOCUMENT, "{issuer}");
    }
}

#[tokio::test]
async fn it_is_asked_for_wherever_the_other_document_is_of_no_use() {
    let other = document("https://as.example.org");
    let no_use: [(u16, &str); 8] = [
        (400, "{}"),
        (401, ""),
        (404, ""),
        (405, ""),
        (302, ""),
        (500, "a crash"),
        (200, "<html>a page for everything</html>"),
        (200, &other),
    ];
    for (status, body) in no_use {
        let playback = Playback::default().and(status, body).and(200, document(ISSUER));

        discovered(&playback, ISSUER).await.unwrap();

        assert_eq!(playback.count(), 2, "{status} {body}");
    }
}

#[tokio::test]
async fn it_is_not_asked_for_where_the_other_document_is_good_or_the_server_is_busy() {
    for (status, body) in [(200, document(ISSUER)), (429, String::new()), (503, String::new())] {
        let playback = Playback::default().and(status, body);

        let outcome = discovered(&playback, ISSUER).await;

        assert_eq!(outcome.is_ok(), status == 200);
        assert_eq!(playback.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_asked_once() {
    #[derive(Debug)]
    struct Unplugged(std::sync::Arc<std::sync::atomic::AtomicU32>);

    #[async_trait]
    impl HttpTransport for Unplugged {
        async fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Err(Error::new(ErrorKind::Transport, "the cable is out"))
        }
    }

    let count = std::sync::Arc::default();
    let discovery = Discovery::new().with_transport(Unplugged(std::sync::Arc::clone(&count)));

    let error = discovery.server(ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(!error.to_string().contains("token endpoint"), "{error}");
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn its_issuer_is_compared_as_exactly() {
    let playback =
        Playback::default().and(404, "").and(200, document("https://as.example.org/realms/{x}"));

    let error = discovered(&playback, ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("must not be used"), "{error}");
}

#[tokio::test]
async fn without_any_document_the_error_says_so() {
    let playback = Playback::default().and(404, "").and(404, "");

    let error = discovered(&playback, ISSUER).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected);
    let text = error.to_string();
    assert!(text.contains("when asked to describe itself (HTTP 404)"), "{text}");
    assert!(
        text.ends_with("check the issuer, or give the URLs of the endpoints yourself"),
        "{text}"
    );
    assert_eq!(text, format!("{error:?}"), "the cause says nothing new");
}

/// The documents of a Spring Authorization Server, and those of a server whose other one is away.
#[tokio::test]
async fn a_document_without_the_userinfo_endpoint_is_completed_by_this_one() {
    let oauth = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.example.org/authorize",
        "token_endpoint": "https://as.example.org/token",
        "jwks_uri": "https://as.example.org/jwks",
    })
    .to_string();
    let open_id = json!({
        "issuer": ISSUER,
        "token_endpoint": "https://as.example.org/another",
        "userinfo_endpoint": "https://as.example.org/userinfo",
        "end_session_endpoint": "https://as.example.org/logout",
    })
    .to_string();
    let playback = Playback::default().and(200, &oauth).and(200, &open_id);
    let discovery = Discovery::new().with_transport(playback.clone());

    let server = discovery.server(ISSUER).await.unwrap();

    assert_eq!(playback.request(1).uri(), DOCUMENT);
    assert_eq!(server.user_info_url(), Some("https://as.example.org/userinfo"));
    assert_eq!(server.token_url(), Some("https://as.example.org/token"));
    assert_eq!(server.extra("end_session_endpoint").unwrap(), "https://as.example.org/logout");

    for (status, body) in [(404, String::new()), (503, String::new()), (200, document("https://x"))]
    {
        let playback = Playback::default().and(200, &oauth).and(status, body);
        let discovery = Discovery::new().with_transport(playback.clone());
        let server = discovery.server(ISSUER).await.unwrap();
        assert_eq!(server.token_url(), Some("https://as.example.org/token"), "{status}");
        assert_eq!((server.user_info_url(), playback.count()), (None, 2));
    }
}
