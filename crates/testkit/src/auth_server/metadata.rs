//! What the server says about itself.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::config::Config;
use super::endpoint::{
    AUTHORIZATION_PATH, DEVICE_PATH, INTROSPECTION_PATH, KEYS_PATH, PAR_PATH, REGISTRATION_PATH,
    USER_INFO_PATH,
};
use super::jwt;
use super::login_request::PROMPTS;
use super::state::State;
use super::token_endpoint::{GRANTS, JWT_BEARER};

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
        "grant_types_supported": grants(config, state),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        "prompt_values_supported": PROMPTS,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": signing(config, state),
        "dpop_signing_alg_values_supported": ALGORITHMS,
    });
    let Value::Object(mut document) = document else { return Answer::empty(StatusCode::OK) };
    if let Some(scopes) = &config.allowed_scopes {
        let scopes: Vec<&str> = scopes.iter().collect();
        document.insert("scopes_supported".to_owned(), scopes.into());
    }
    for endpoint in ["token", "revocation", "introspection"] {
        put_auth_methods(&mut document, endpoint, state);
    }
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    if config.registration.is_some() {
        put("registration_endpoint", url(REGISTRATION_PATH).into());
    }
    if config.signs_user_info {
        put("userinfo_signing_alg_values_supported", signing(config, state).into());
    }
    if config.signs_introspection {
        put("introspection_signing_alg_values_supported", signing(config, state).into());
    }
    jwt::change(&mut document, &state.metadata);
    Answer::json(StatusCode::OK, &Value::Object(document))
}

/// What tokens may be verified with (RFC 7517 §5); nothing where no key of the server signs any.
pub(super) fn keys(state: &State) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "keys": state.keys.published() }))
}

/// How clients authenticate at this endpoint, and with which algorithms where they sign for it.
fn put_auth_methods(document: &mut Map<String, Value>, endpoint: &str, state: &State) {
    let clients = state.clients.registered.iter();
    let methods = clients.flat_map(|client| client.auth.methods()).copied();
    // Public clients may not ask about tokens.
    let methods = sorted(methods.filter(|method| endpoint != "introspection" || *method != "none"));
    let mut algorithms = Vec::new();
    if methods.contains(&"private_key_jwt") {
        algorithms.extend(ALGORITHMS);
    }
    if methods.contains(&"client_secret_jwt") {
        algorithms.push("HS256");
    }
    let name = format!("{endpoint}_endpoint_auth_methods_supported");
    document.insert(name, methods.into());
    if !algorithms.is_empty() {
        let name = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        document.insert(name, algorithms.into());
    }
}

/// The grants that some client may use.
fn grants(config: &Config, state: &State) -> Vec<&'static str> {
    let registers = config.registration.is_some();
    let is_used =
        |grant: &str| registers || state.clients.registered.iter().any(|c| c.may_use(grant));
    let has_issuer = !config.trusted_issuers.is_empty();
    let grants = GRANTS.into_iter().filter(|grant| has_issuer || *grant != JWT_BEARER);
    grants.filter(|grant| is_used(grant)).collect()
}

/// What signs for the clients that there are, and for those that come.
fn signing(config: &Config, state: &State) -> Vec<&'static str> {
    let clients = state.clients.registered.iter();
    let used = clients.map(|c| c.signing(config).algorithm(c.own_secret().is_some()));
    let to_come = config.registration.iter().map(|_| config.id_tokens.algorithm(true));
    sorted(used.chain(to_come))
}

fn sorted(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Those of key pairs that are checked.
const ALGORITHMS: [&str; 9] =
    ["ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
