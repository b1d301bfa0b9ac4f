//! Clients that register themselves.

use http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};
use tokenkeeper::Scopes;

use super::answer::Answer;
use super::client::{Client, ClientAuth, Pkce};
use super::config::{Config, IdTokenSigning};
use super::jwt::unix_seconds;
use super::received_request::ReceivedRequest;
use super::state::State;
use super::token_book::{contains_all, random_token};
use super::token_endpoint::GRANTS;

/// The client registration endpoint (RFC 7591 §3).
pub(super) fn registration(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
) -> Answer {
    let answer = is_allowed(config, request).and_then(|()| {
        let asked: Map<String, Value> = serde_json::from_slice(request.body())
            .map_err(|_| metadata("the body is no JSON object"))?;
        let (client, registered) = register(config, &asked)?;
        state.keys.prepare(client.signing(config));
        state.clients.registered.push(client);
        Ok(Answer::json(StatusCode::CREATED, &Value::Object(registered)))
    });
    answer.unwrap_or_else(|refusal| refusal)
}

fn is_allowed(config: &Config, request: &ReceivedRequest) -> Result<(), Answer> {
    if request.method() != Method::POST {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let what = "this endpoint takes only POST";
        let answer = Answer::oauth_error(status, "invalid_request", what);
        return Err(answer.with(header::ALLOW, "POST"));
    }
    let wanted = config.registration.as_ref().and_then(|r| r.initial_access_token.as_deref());
    let given = request.header("authorization").and_then(|value| value.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if wanted.is_some() && wanted != given.map(|(_, token)| token.trim()) {
        let what = "the initial access token is missing or wrong";
        let answer = Answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_token", what);
        return Err(answer.with(header::WWW_AUTHENTICATE, "Bearer realm=\"fake-auth-server\""));
    }
    Ok(())
}

/// The client, and what is answered about it: its metadata with what was left out (RFC 7591 §3.2.1).
fn register(
    config: &Config,
    asked: &Map<String, Value>,
) -> Result<(Client, Map<String, Value>), Answer> {
    let method = text(asked, "token_endpoint_auth_method")?.unwrap_or("client_secret_basic");
    let auth = auth_of(method)?;
    let secret = if !matches!(auth, ClientAuth::None | ClientAuth::PrivateKeyJwt) {
        random_token("secret")
    } else {
        String::new()
    };
    let mut client = Client::new(&random_token("client"), &secret, auth);
    let grants = list(asked, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".into()]);
    if let Some(unknown) = grants.iter().find(|grant| !GRANTS.contains(&grant.as_str())) {
        return Err(metadata(&format!("the grant {unknown} is not offered")));
    }
    client.redirect_uris = redirect_uris(asked, &grants)?;
    let types = list(asked, "response_types")?;
    if types.is_some_and(|types| types.iter().any(|kind| kind != "code")) {
        return Err(metadata("the only response type is code"));
    }
    client.scopes = scopes(config, asked)?;
    client.keys = keys(asked, auth)?;
    if let Some(name) = text(asked, "id_token_signed_response_alg")? {
        let signing = IdTokenSigning::of_algorithm(name);
        client.id_tokens = Some(
            signing.ok_or_else(|| metadata("this id_token_signed_response_alg is not offered"))?,
        );
    }
    client.pkce = if client.is_public() { Pkce::Required } else { Pkce::Optional };

    let mut registered = asked.clone();
    let mut put = |name: &str, value: Value| registered.insert(name.to_owned(), value);
    put("client_id", client.id.as_str().into());
    put("client_id_issued_at", unix_seconds(config.clock.now().wall()).into());
    if !secret.is_empty() {
        put("client_secret", secret.into());
        put("client_secret_expires_at", 0.into());
    }
    put("token_endpoint_auth_method", method.into());
    put("grant_types", grants.clone().into());
    put("response_types", json!(["code"]));
    client.grants = Some(grants);
    Ok((client, registered))
}

fn auth_of(method: &str) -> Result<ClientAuth, Answer> {
    let auth = match method {
        "client_secret_basic" => ClientAuth::Basic,
        "client_secret_post" => ClientAuth::Post,
        "client_secret_jwt" => ClientAuth::ClientSecretJwt,
        "private_key_jwt" => ClientAuth::PrivateKeyJwt,
        "none" => ClientAuth::None,
        _ => return Err(metadata("this token_endpoint_auth_method is not offered")),
    };
    Ok(auth)
}

/// Exact ones, and for the code grant at least one (RFC 7591 §2).
fn redirect_uris(asked: &Map<String, Value>, grants: &[String]) -> Result<Vec<String>, Answer> {
    let uris = list(asked, "redirect_uris")?.unwrap_or_default();
    let refuse = |what| Err(Answer::refusal("invalid_redirect_uri", what));
    if uris.iter().any(|uri| !uri.contains(':') || uri.contains('#')) {
        return refuse("a redirect URI is no absolute URI without a fragment");
    }
    if uris.is_empty() && grants.iter().any(|grant| grant == "authorization_code") {
        return refuse("the grant authorization_code needs redirect_uris");
    }
    Ok(uris)
}

fn scopes(config: &Config, asked: &Map<String, Value>) -> Result<Option<Scopes>, Answer> {
    let Some(text) = text(asked, "scope")? else { return Ok(None) };
    let scopes = Scopes::parse(text).map_err(|_| metadata("scope is malformed"))?;
    let allowed = config.allowed_scopes.as_ref();
    if allowed.is_some_and(|allowed| !contains_all(allowed, &scopes)) {
        return Err(metadata("a scope is not allowed"));
    }
    Ok(Some(scopes))
}

fn keys(asked: &Map<String, Value>, auth: ClientAuth) -> Result<Vec<Value>, Answer> {
    if asked.contains_key("jwks_uri") {
        return Err(metadata("jwks_uri is not fetched here; register jwks"));
    }
    let keys = asked.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    match keys {
        Some(keys) => Ok(keys.clone()),
        None if auth == ClientAuth::PrivateKeyJwt => Err(metadata("private_key_jwt needs jwks")),
        None => Ok(Vec::new()),
    }
}

fn text<'a>(asked: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Answer> {
    match asked.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(metadata(&format!("{name} is no string"))),
    }
}

fn list(asked: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Answer> {
    let Some(value) = asked.get(name) else { return Ok(None) };
    let list: Option<Vec<String>> = value
        .as_array()
        .and_then(|values| values.iter().map(|value| value.as_str().map(str::to_owned)).collect());
    list.map(Some).ok_or_else(|| metadata(&format!("{name} is no list of strings")))
}

fn metadata(what: &str) -> Answer {
    Answer::refusal("invalid_client_metadata", what)
}
