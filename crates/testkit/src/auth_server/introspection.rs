//! The introspection endpoint.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::config::Config;
use super::form::Form;
use super::jwt::unix_seconds;
use super::received_request::ReceivedRequest;
use super::state::State;
use super::token_book::LiveToken;

/// Tells any client with credentials of its own what a token is good for (RFC 7662 §2), signed where
/// that is set up and asked for (RFC 9701).
pub(super) fn introspection(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
) -> Answer {
    let answer = Form::of_request(request).and_then(|form| {
        let client = state.clients.authenticate(config, request, &form)?;
        if client.is_public() {
            let what = "a public client may not ask about tokens";
            return Err(Answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", what));
        }
        let token = form.require("token")?;
        let members = describe(config, state, token);
        let accepts_signed = request.header("accept").is_some_and(|types| types.contains(SIGNED));
        if !(config.signs_introspection && accepts_signed) {
            return Ok(Answer::json(StatusCode::OK, &Value::Object(members)));
        }
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), config.issuer().into());
        claims.insert("aud".to_owned(), client.id.as_str().into());
        claims.insert("iat".to_owned(), unix_seconds(config.clock.now().wall()).into());
        claims.insert("token_introspection".to_owned(), members.into());
        let signed = state.sign(config, &client.id, "token-introspection+jwt", &claims);
        Ok(Answer::new(StatusCode::OK, SIGNED, signed))
    });
    answer.unwrap_or_else(|refusal| refusal)
}

/// About a dead token nothing is said but that it is dead (RFC 7662 §2.2).
fn describe(config: &Config, state: &State, token: &str) -> Map<String, Value> {
    let now = config.clock.now();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let (family, scopes) = match state.book.present(token, &now) {
        Some(LiveToken { family, grant, issued_at, ends }) => {
            put("token_type", grant.token_type().into());
            put("iat", unix_seconds(issued_at.wall()).into());
            put("exp", unix_seconds(ends.wall()).into());
            match grant.resources.as_slice() {
                [] => {}
                [one] => _ = put("aud", one.as_str().into()),
                several => _ = put("aud", several.into()),
            }
            if let Some(key) = &grant.key {
                put("cnf", json!({ "jkt": key }));
            }
            (family, grant.scopes)
        }
        None => match state.book.live_refresh(token, &now) {
            Some(family) => (family.clone(), family.scopes.clone()),
            None => {
                put("active", false.into());
                return members;
            }
        },
    };
    put("active", true.into());
    put("iss", config.issuer().into());
    put("sub", family.subject().into());
    if !scopes.is_empty() {
        put("scope", scopes.to_string().into());
    }
    if let Some(username) = family.username {
        put("username", username.into());
    }
    if let Some(actor) = family.actor {
        put("act", json!({ "sub": actor }));
    }
    put("client_id", family.client_id.into());
    members
}

const SIGNED: &str = "application/token-introspection+jwt";
