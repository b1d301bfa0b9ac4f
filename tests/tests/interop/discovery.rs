//! What real servers say of themselves, of a token, and of a user.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use tokenkeeper::{AccessToken, Error, ErrorKind, Secret, TokenProvider, TokenSet};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, AuthorizationServer, Callback, ClientAuth, ClientCredentialsProvider,
    Discovery, Introspection, PasswordProvider, UserInfo,
};
use tokenkeeper_tests::{Glewlwyd, OidcProvider, OnlyPath, Person, fetch};

async fn through(document: &'static str, issuer: &str) -> Result<AuthorizationServer, Error> {
    let discovery = Discovery::new().with_transport(OnlyPath(document));
    discovery.server(issuer).await.map(|server| (*server).clone())
}

/// Alice's tokens, from a login at a server that was found by its name.
async fn alice(issuer: &str) -> TokenSet {
    let login = AuthorizationCodeLogin::discover("calendar", issuer)
        .await
        .unwrap()
        .client("basic", ClientAuth::basic("basic-secret"))
        .redirect_uri("https://app.example.test/callback")
        .scopes(["openid"])
        .build()
        .unwrap();
    let pending = login.begin().await.unwrap();
    let back = Person::alice().consents(pending.authorization_url()).await;
    login.finish(pending, &Callback::parse(&back).unwrap()).await.unwrap()
}

fn access_token(tokens: &TokenSet) -> AccessToken {
    (**tokens.access_token().unwrap()).clone()
}

async fn introspection(issuer: &str) -> Introspection {
    let builder = Introspection::discover("calendar", issuer).await.unwrap();
    builder.client("basic", ClientAuth::basic("basic-secret")).build().unwrap()
}

#[tokio::test]
async fn oidc_provider_has_both_documents_and_they_say_the_same() {
    let server = OidcProvider::alone().await;

    let oauth = through("oauth-authorization-server", &server.issuer()).await.unwrap();
    let open_id = through("openid-configuration", &server.issuer()).await.unwrap();

    for said in [oauth, open_id] {
        assert_eq!(said.token_url(), Some(&*server.token_url()));
        assert!(said.sends_iss_parameter());
        assert!(said.code_challenge_methods().unwrap().any(|method| method == "S256"));
        assert!(said.pushed_authorization_request_url().is_some());
        assert!(said.device_authorization_url().is_some());
        assert!(said.dpop_algorithms().any(|name| name == "ES256"));
        assert_eq!(format!("{:?}", said.client_auth("x").unwrap()), BASIC);
    }
}

#[tokio::test]
async fn a_provider_from_the_name_of_oidc_provider_fetches_and_revokes() {
    let server = OidcProvider::alone().await;
    let provider = ClientCredentialsProvider::discover("machine", &server.issuer())
        .await
        .unwrap()
        .client("basic", ClientAuth::basic("basic-secret"))
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();
    let token = tokens.access_token().unwrap().secret();
    assert!(server.knows(token).await);
    provider.revoke(&tokens).await.unwrap();

    assert!(!server.knows(token).await);
}

#[tokio::test]
async fn another_spelling_of_the_issuer_is_refused() {
    let server = OidcProvider::alone().await;
    let spelled = format!("{}/", server.issuer());

    let error = ClientCredentialsProvider::discover("machine", &spelled).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&format!("it names `{}`", server.issuer())), "{error}");
}

#[tokio::test]
async fn glewlwyd_has_the_document_of_openid_and_grants_that_it_does_not_list() {
    let server = Glewlwyd::alone().await;

    let error = through("oauth-authorization-server", &server.issuer()).await.unwrap_err();
    let said = through("openid-configuration", &server.issuer()).await.unwrap();
    assert_eq!(error.status().unwrap(), 404);
    let listed: Vec<_> = said.grant_types().collect();
    assert!(!listed.contains(&"password"), "{listed:?}");

    // ... and yet:
    let provider = PasswordProvider::of_server("library", &said)
        .unwrap()
        .client("basic", ClientAuth::basic("basic-secret"))
        .user("alice", "wonderland")
        .scopes(["read"])
        .build()
        .unwrap();
    fetch(&provider).await.unwrap();
}

#[tokio::test]
async fn oidc_provider_says_what_a_token_is_worth() {
    let server = OidcProvider::alone().await;
    let introspection = introspection(&server.issuer()).await;
    let tokens = alice(&server.issuer()).await;

    let token = introspection.introspect(access_token(&tokens).secret()).await.unwrap();
    let unknown = introspection.introspect(&Secret::from("never issued")).await.unwrap();

    assert!(token.active());
    assert_eq!(token.subject(), Some("alice"));
    assert_eq!(token.client_id(), Some("basic"));
    assert!(token.scopes().contains("openid"));
    assert!(token.expires_at() > token.issued_at());
    assert!(!unknown.active());
}

#[tokio::test]
async fn glewlwyd_says_what_a_token_is_worth() {
    let server = Glewlwyd::alone().await;
    let introspection = introspection(&server.issuer()).await;
    let tokens = alice(&server.issuer()).await;
    let secret = access_token(&tokens).secret().clone();

    let token = introspection.introspect_with_hint(&secret, "access_token").await.unwrap();
    let unknown = introspection.introspect(&Secret::from("never issued")).await.unwrap();

    assert!(token.active());
    assert_eq!(token.client_id(), Some("basic"));
    assert!(token.expires_at() > token.issued_at());
    assert!(!unknown.active());
}

#[tokio::test]
async fn oidc_provider_says_who_a_token_belongs_to() {
    let server = OidcProvider::alone().await;
    let user_info = UserInfo::discover("calendar", &server.issuer()).await.unwrap();
    let user_info = user_info.build().unwrap();
    let token = access_token(&alice(&server.issuer()).await);

    let user = user_info.fetch_of("alice", &token).await.unwrap();
    let another = user_info.fetch_of("bob", &token).await.unwrap_err();
    let spoiled = AccessToken::new("never-issued", "Bearer").unwrap();
    let refused = user_info.fetch(&spoiled).await.unwrap_err();

    assert_eq!(user.id().as_deref(), Some("alice"));
    assert_eq!(another.kind(), ErrorKind::InvalidResponse);
    assert_eq!(refused.status().unwrap(), 401);
    assert!(refused.to_string().contains("replace_rejected"), "{refused}");
}

#[tokio::test]
async fn glewlwyd_says_who_a_token_belongs_to() {
    let server = Glewlwyd::alone().await;
    let user_info = UserInfo::discover("calendar", &server.issuer()).await.unwrap();
    let token = access_token(&alice(&server.issuer()).await);

    let user = user_info.build().unwrap().fetch(&token).await.unwrap();

    assert!(user.id().is_some());
    assert_eq!(user.email(), Some("alice@example.test"));
}

const BASIC: &str = "ClientAuth(client_secret_basic)";
