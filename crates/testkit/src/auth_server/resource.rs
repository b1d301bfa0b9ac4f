//! The protected resource.

use http::{StatusCode, header};
use serde_json::json;
use tokenkeeper::Now;

use super::answer::Answer;
use super::received_request::ReceivedRequest;
use super::state::Config;
use super::token_book::{Presented, TokenBook};

/// The protected resource (RFC 6750 §3): everything below the prefix asks for a live token, public
/// paths aside, and `scoped/NAME` for that scope too. Book and time are those of the issuer.
pub(super) fn resource(
    config: &Config,
    book: &TokenBook,
    now: &Now,
    request: &ReceivedRequest,
) -> Answer {
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    let (header, another) = (headers.next(), headers.next());
    if another.is_some() {
        return challenge(StatusCode::BAD_REQUEST, Some("invalid_request"), None);
    }
    if header.is_none() && config.public_paths.iter().any(|path| path == request.path()) {
        return Answer::json(StatusCode::OK, &json!({ "path": request.path() }));
    }
    let bearer = header.and_then(|value| value.to_str().ok()?.split_once(' '));
    let Some((_, token)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
    else {
        return challenge(StatusCode::UNAUTHORIZED, None, None);
    };
    let Presented::Live { family, grant, .. } = book.present(token.trim(), now) else {
        return challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"), None);
    };
    let below = request.path().strip_prefix(config.resource_prefix.as_str()).unwrap_or_default();
    match below.strip_prefix("/scoped/") {
        Some(scope) if !grant.scopes.contains(scope) => {
            challenge(StatusCode::FORBIDDEN, Some("insufficient_scope"), Some(scope))
        }
        _ => Answer::json(
            StatusCode::OK,
            &json!({
                "client_id": family.client_id,
                "username": family.username,
                "scope": grant.scopes.to_string(),
                "resource": grant.resources,
                "path": request.path(),
            }),
        ),
    }
}

/// A refusal of the resource. Without a token it names no error (RFC 6750 §3.1).
fn challenge(status: StatusCode, error: Option<&str>, scope: Option<&str>) -> Answer {
    let mut challenge = "Bearer realm=\"fake-auth-server\"".to_owned();
    if let Some(error) = error {
        challenge.push_str(&format!(", error=\"{error}\""));
    }
    if let Some(scope) = scope {
        challenge.push_str(&format!(", scope=\"{scope}\""));
    }
    Answer::json(status, &json!({ "error": error })).with(header::WWW_AUTHENTICATE, &challenge)
}
