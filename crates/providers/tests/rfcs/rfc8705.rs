//! Clients with a certificate (RFC 8705).

#![cfg(feature = "discovery")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use serde_json::json;
use tokenkeeper::TokenProvider;
use tokenkeeper_providers::{AuthorizationServer, ClientAuth, ClientCredentialsProvider};

use crate::support::{OK, Playback, TOKEN_URL, fetch};

fn server() -> AuthorizationServer {
    let document = json!({
        "issuer": "https://as",
        "token_endpoint": "https://as/token",
        "revocation_endpoint": "https://as/revoke",
        "userinfo_endpoint": "https://as/userinfo",
        "mtls_endpoint_aliases": {
            "token_endpoint": "https://mtls.as/token",
            "revocation_endpoint": "https://mtls.as/revoke",
            "userinfo_endpoint": "http://mtls.as/userinfo",
        },
    });
    AuthorizationServer::from_json("https://as", document.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_client_with_a_certificate_uses_the_aliases_and_others_do_not() {
    for (server, host) in [(server(), "as"), (server().with_mtls_aliases(), "mtls.as")] {
        let playback = Playback::default().and(200, OK).and(200, "");
        let provider = ClientCredentialsProvider::of_server("svc", &server)
            .unwrap()
            .client("id", ClientAuth::none())
            .transport(playback.clone())
            .build()
            .unwrap();

        let tokens = fetch(&provider).await.unwrap();
        provider.revoke(&tokens).await.unwrap();

        assert_eq!(playback.request(0).uri(), &*format!("https://{host}/token"));
        assert_eq!(playback.request(1).uri(), &*format!("https://{host}/revoke"));
        assert!(playback.body(0).contains("client_id=id"), "§2: the id goes into the body");
    }
}

#[test]
fn an_endpoint_without_an_alias_that_can_be_used_stays() {
    let server = server().with_mtls_aliases();

    assert_eq!(server.user_info_url(), Some("https://as/userinfo"));
    assert_eq!(server.issuer(), Some("https://as"));
}

#[test]
fn tokens_of_two_certificates_have_two_identities() {
    let identity = |thumbprint: &str| {
        let builder = ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .certificate_thumbprint(thumbprint)
            .transport(Playback::default());
        builder.build().unwrap().identity().fingerprint()
    };

    assert_eq!(identity("one"), identity("one"));
    assert_ne!(identity("one"), identity("two"));
}
