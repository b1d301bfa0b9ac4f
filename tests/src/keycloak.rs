//! The Keycloak that `cargo xtask test` started, and what its administrator does there.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokenkeeper_providers::{BundledTransport, HttpTransport, TransportOptions};

use crate::server_url;
use crate::wire::post_form;

/// A realm of it. A test makes clients and users of its own, so that none is in another's way.
#[derive(Clone, Debug)]
pub struct Keycloak {
    url: String,
    realm: &'static str,
    administrator: Arc<str>,
    transport: BundledTransport,
}

impl Keycloak {
    /// The realm of that name, with its administrator.
    ///
    /// # Panics
    ///
    /// When there is no such realm.
    pub async fn realm(realm: &'static str) -> Self {
        let url = server_url("TOKENKEEPER_KEYCLOAK_URL");
        let token_url = format!("{url}/realms/{realm}/protocol/openid-connect/token");
        let form = [("grant_type", "client_credentials")];
        let answer = post_form(&token_url, ADMINISTRATOR, &form).await;
        let answer = json(&answer);
        let administrator = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));
        let transport = BundledTransport::new(TransportOptions::new()).expect("a transport");
        Self { url, realm, administrator: administrator.into(), transport }
    }

    /// The base URL, below which the realms are.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.url, self.realm)
    }

    /// Registers a client, given as Keycloak represents it. Gives the path to change it by.
    pub async fn add_client(&self, client: &Value) -> String {
        self.add("/clients", client).await
    }

    /// Registers a user with a password. Gives the path to change them by.
    pub async fn add_user(&self, name: &str, password: &str) -> String {
        let user = json!({
            "username": name,
            "enabled": true,
            "email": format!("{name}@example.test"),
            "emailVerified": true,
            "firstName": "A",
            "lastName": "User",
            "credentials": [{ "type": "password", "value": password }],
        });
        self.add("/users", &user).await
    }

    /// Changes these members of what is at a path.
    pub async fn change(&self, path: &str, members: &Value) {
        self.asks(Method::PUT, path, members).await;
    }

    /// Does what a POST at a path does.
    pub async fn act(&self, path: &str, with: &Value) {
        self.asks(Method::POST, path, with).await;
    }

    /// What is at a path.
    pub async fn read(&self, path: &str) -> Value {
        json(&self.asks(Method::GET, path, &Value::Null).await)
    }

    /// What the realm says of a token (RFC 7662) to the administrator, who must be in its audience.
    pub async fn introspect(&self, token: &str) -> Value {
        let url = format!("{}/protocol/openid-connect/token/introspect", self.issuer());
        json(&post_form(&url, ADMINISTRATOR, &[("token", token)]).await)
    }

    async fn add(&self, path: &str, what: &Value) -> String {
        let answer = self.asks(Method::POST, path, what).await;
        let location = answer.headers().get(LOCATION).expect("where the new one is");
        let id = location.to_str().expect("a URL").rsplit('/').next().expect("an id");
        format!("{path}/{id}")
    }

    async fn asks(&self, method: Method, path: &str, body: &Value) -> Response<Vec<u8>> {
        let url = format!("{}/admin/realms/{}{path}", self.url, self.realm);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header(AUTHORIZATION, &*self.administrator)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = self.transport.send(request.expect("a request")).await.expect("an answer");
        let said = String::from_utf8_lossy(answer.body());
        assert!(answer.status().is_success(), "{url}: {} {said}", answer.status());
        answer
    }
}

fn json(answer: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(answer.body()).expect("an answer in JSON")
}

/// `administrator:administrator-secret`, who may do everything in its realm.
const ADMINISTRATOR: &str = "Basic YWRtaW5pc3RyYXRvcjphZG1pbmlzdHJhdG9yLXNlY3JldA==";
