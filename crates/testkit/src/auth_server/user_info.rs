//! What the server tells about a person.

use http::StatusCode;
use serde_json::Value;

use super::answer::Answer;
use super::claims;
use super::dpop::Place;
use super::received_request::ReceivedRequest;
use super::resource::{self, Challenge};
use super::state::Shared;

/// What it tells a client about the person of a token (OpenID Connect Core §5.3).
pub(super) fn user_info(shared: &Shared, request: &ReceivedRequest) -> Answer {
    let config = &shared.config;
    let answer = resource::presented(shared, shared, request).and_then(|(family, grant)| {
        let claims = claims::of_person(&family).filter(|_| grant.scopes.contains("openid"));
        let mut claims =
            claims.ok_or_else(|| Challenge::of(config, request).refuse_scope("openid"))?;
        if !config.signs_user_info {
            return Ok(Answer::json(StatusCode::OK, &Value::Object(claims)));
        }
        claims.insert("iss".to_owned(), config.issuer().into());
        claims.insert("aud".to_owned(), family.client_id.as_str().into());
        let signed = shared.state.lock().sign(config, &family.client_id, "JWT", &claims);
        Ok(Answer::new(StatusCode::OK, "application/jwt", signed))
    });
    let answer = answer.unwrap_or_else(|refusal| refusal);
    shared.state.lock().proofs.with_nonce(config, Place::Resource, answer)
}
