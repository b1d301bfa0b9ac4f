//! What the server says about itself.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::clients::{Client, ClientAuth};
use super::endpoint::{
    AUTHORIZATION_PATH, DEVICE_PATH, INTROSPECTION_PATH, KEYS_PATH, PAR_PATH, USER_INFO_PATH,
};
use super::state::{Config, State};
use super::token_endpoint::GRANTS;

/// The same document at both places (RFC 8414 §3.2, OpenID Connect Discovery §4.2).
pub(super) fn metadata(config: &Config, state: &State) -> Answer {
    let url = |path: &str| format!("{}{path}", config.url);
    let document = json!({
        "issuer": config.issuer(),
        "authorization_endpoint": url(AUTHORIZATION_PATH),
        "token_endpoint": url(&config.token_path),
        "revocation_endpoint": url(&config.revocation_path),
        "introspection_endpoint": url(INTROSPECTION_PATH),
        "userinfo_endpoint": url(USER_INFO_PATH),
        "device_authorization_endpoint": url(DEVICE_PATH),
        "pushed_authorization_request_endpoint": url(PAR_PATH),
        "require_pushed_authorization_requests": config.login.requests_must_be_pushed,
        "jwks_uri": url(KEYS_PATH),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANTS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256", "none"],
        "token_endpoint_auth_methods_supported": auth_methods(&state.clients.registered),
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "dpop_signing_alg_values_supported": ALGORITHMS,
    });
    let Value::Object(mut document) = document else { return Answer::empty(StatusCode::OK) };
    if let Some(scopes) = &config.allowed_scopes {
        let scopes: Vec<&str> = scopes.iter().collect();
        document.insert("scopes_supported".to_owned(), scopes.into());
    }
    change(&mut document, &state.metadata);
    Answer::json(StatusCode::OK, &Value::Object(document))
}

/// None, because nothing here is signed with a key that others may know.
pub(super) fn keys() -> Answer {
    Answer::json(StatusCode::OK, &json!({ "keys": [] }))
}

/// Puts members in, or takes those away that are null.
pub(super) fn change(members: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, value) in changes {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
}

fn auth_methods(clients: &[Client]) -> Vec<&'static str> {
    let mut methods: Vec<_> =
        clients.iter().flat_map(|client| names(client.auth)).copied().collect();
    methods.sort_unstable();
    methods.dedup();
    methods
}

const fn names(auth: ClientAuth) -> &'static [&'static str] {
    match auth {
        ClientAuth::Any => &["client_secret_basic", "client_secret_post"],
        ClientAuth::Basic | ClientAuth::RawBasic => &["client_secret_basic"],
        ClientAuth::Post => &["client_secret_post"],
        ClientAuth::None => &["none"],
        ClientAuth::Assertion | ClientAuth::PrivateKeyJwt => &["private_key_jwt"],
        ClientAuth::ClientSecretJwt => &["client_secret_jwt"],
    }
}

const ALGORITHMS: [&str; 5] = ["ES256", "ES384", "EdDSA", "PS256", "RS256"];
