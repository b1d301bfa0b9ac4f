//! What a token exchange brings, and what the presenters of requests make of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use http::{HeaderMap, Method, Request, Response, Uri};
use serde_json::json;
use tokenkeeper::{Error, ErrorKind, Secret, TokenManager, async_trait};
use tokenkeeper_http::{Route, Target, TokenChoice, TokenRoutes};
use tokenkeeper_providers::{HttpTransport, TokenExchangeProvider, TokenTypeUri};

/// A service that issues whatever it is asked for.
#[derive(Debug)]
struct Issues(&'static str, &'static str);

#[async_trait]
impl HttpTransport for Issues {
    async fn send(&self, _request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let Self(issued, token_type) = self;
        let body = json!({
            "access_token": "planted-token",
            "issued_token_type": format!("urn:ietf:params:oauth:token-type:{issued}"),
            "token_type": token_type,
        });
        Ok(Response::new(body.to_string().into_bytes()))
    }
}

/// Asks for a token of this type, and puts it onto a request.
async fn attached(requested: TokenTypeUri, service: Issues) -> Result<HeaderMap, Error> {
    let provider = TokenExchangeProvider::builder("billing", "https://auth.example.org/token")
        .subject("alice")
        .subject_token(TokenTypeUri::ACCESS_TOKEN, Secret::from("subject"))
        .requested_token_type(requested)
        .transport(service)
        .build()
        .unwrap();
    let route = Route::new(TokenManager::new(provider)).origin("https://api.example.org");
    let (method, uri) = (Method::GET, Uri::from_static("https://api.example.org/"));
    let target = Target::of(&method, &uri).unwrap();
    let mut headers = HeaderMap::new();
    TokenRoutes::new([route]).unwrap().attach(&target, &mut headers, TokenChoice::OfRoute).await?;
    Ok(headers)
}

#[tokio::test]
async fn an_exchanged_access_token_goes_onto_requests() {
    let service = Issues("access_token", "Bearer");

    let headers = attached(TokenTypeUri::ACCESS_TOKEN, service).await.unwrap();

    assert_eq!(headers["authorization"], "Bearer planted-token");
}

#[tokio::test]
async fn a_token_that_is_no_access_token_goes_onto_no_request() {
    for (requested, issued) in [
        (TokenTypeUri::ID_TOKEN, "id_token"),
        (TokenTypeUri::SAML2, "saml2"),
        (TokenTypeUri::JWT, "jwt"),
    ] {
        let error = attached(requested, Issues(issued, "N_A")).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unsupported, "{issued}");
        assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
    }
}
