//! What the server tells about a person.

use http::StatusCode;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::dpop::Place;
use super::received_request::ReceivedRequest;
use super::resource::{self, Challenge};
use super::state::Shared;
use super::token_book::Family;

/// What the scopes of a login let out about its person (OpenID Connect Core §5.4).
pub(super) fn claims(family: &Family) -> Option<Map<String, Value>> {
    let name = family.username.as_deref()?;
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), name.into());
    if family.scopes.contains("profile") {
        claims.insert("preferred_username".to_owned(), name.into());
    }
    if family.scopes.contains("email") {
        claims.insert("email".to_owned(), format!("{name}@example.com").into());
        claims.insert("email_verified".to_owned(), true.into());
    }
    Some(claims)
}

/// What it tells a client about the person of a token (OpenID Connect Core §5.3).
pub(super) fn user_info(shared: &Shared, request: &ReceivedRequest) -> Answer {
    let answer = resource::presented(shared, shared, request).and_then(|(family, grant)| {
        let claims = claims(&family).filter(|_| grant.scopes.contains("openid"));
        let claims =
            claims.ok_or_else(|| Challenge::of(&shared.config, request).refuse_scope("openid"))?;
        Ok(Answer::json(StatusCode::OK, &Value::Object(claims)))
    });
    let answer = answer.unwrap_or_else(|refusal| refusal);
    shared.state.lock().proofs.with_nonce(&shared.config, Place::Resource, answer)
}
