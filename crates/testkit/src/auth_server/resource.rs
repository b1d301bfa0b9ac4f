//! The protected resource.

use http::{StatusCode, header};
use serde_json::json;

use super::answer::{Answer, sayable};
use super::config::Config;
use super::dpop::Place;
use super::received_request::ReceivedRequest;
use super::state::Shared;
use super::token_book::{Family, Grant, LiveToken};

/// Everything below the prefix asks for a live token (RFC 6750 §3), public paths aside, and
/// `scoped/NAME` for that scope too.
pub(super) fn resource(shared: &Shared, request: &ReceivedRequest) -> Answer {
    let config = &shared.config;
    let is_public = config.public_paths.iter().any(|path| path == request.path());
    if is_public && !request.headers().contains_key(header::AUTHORIZATION) {
        return Answer::json(StatusCode::OK, &json!({ "path": request.path() }));
    }
    let issuer = shared.tokens_of.as_deref().unwrap_or(shared);
    let answer = presented(shared, issuer, request).and_then(|(family, grant)| {
        let below = request.path().strip_prefix(config.resource_prefix.as_str());
        match below.unwrap_or_default().strip_prefix("/scoped/") {
            Some(scope) if !grant.scopes.contains(scope) => {
                Err(Challenge::of(config, request).refuse_scope(scope))
            }
            _ => Ok(Answer::json(
                StatusCode::OK,
                &json!({
                    "client_id": family.client_id,
                    "username": family.username,
                    "actor": family.actor,
                    "scope": grant.scopes.to_string(),
                    "resource": grant.resources,
                    "path": request.path(),
                }),
            )),
        }
    });
    let answer = answer.unwrap_or_else(|refusal| refusal);
    shared.state.lock().proofs.with_nonce(config, Place::Resource, answer)
}

/// What the token of a request is good for, or the answer that refuses it. Proofs are checked here,
/// tokens by the book and the time of their issuer.
pub(super) fn presented(
    shared: &Shared,
    issuer: &Shared,
    request: &ReceivedRequest,
) -> Result<(Family, Grant), Answer> {
    let config = &shared.config;
    let challenge = Challenge::of(config, request);
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    let (header, another) = (headers.next(), headers.next());
    let unauthorized =
        |code, why: &str| challenge.refuse(StatusCode::UNAUTHORIZED, Some((code, why)));
    if another.is_some() {
        let why = "there is more than one Authorization header";
        return Err(challenge.refuse(StatusCode::BAD_REQUEST, Some(("invalid_request", why))));
    }
    let credentials = header.and_then(|value| value.to_str().ok()?.split_once(' '));
    let anonymous = || challenge.refuse(StatusCode::UNAUTHORIZED, None);
    let (scheme, token) = credentials.ok_or_else(anonymous)?;
    let token = token.trim();
    let key = if scheme.eq_ignore_ascii_case("dpop") {
        let mut state = shared.state.lock();
        let key = state.proofs.check(config, Place::Resource, request, Some(token));
        let key = key.map_err(|refusal| unauthorized(refusal.code, refusal.what))?;
        Some(key.ok_or_else(|| unauthorized("invalid_dpop_proof", "there is no proof"))?)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        None
    } else {
        return Err(anonymous());
    };
    let now = issuer.config.clock.now();
    let state = issuer.state.lock();
    let why = match state.book.present(token, &now) {
        None => state.book.why_not(token),
        Some(LiveToken { family, grant, .. }) => match (&grant.key, &key) {
            (bound, proven) if bound == proven => return Ok((family, grant)),
            (Some(_), None) => "the token is bound to a key",
            (None, _) => "the token is bound to no key",
            (Some(_), Some(_)) => "the token is bound to another key",
        },
    };
    Err(unauthorized("invalid_token", why))
}

/// How a resource refuses, in the words of the scheme that it was asked with.
pub(super) struct Challenge(&'static str);

impl Challenge {
    pub(super) fn of(config: &Config, request: &ReceivedRequest) -> Self {
        let scheme =
            request.header(header::AUTHORIZATION.as_str()).and_then(|v| v.split(' ').next());
        let is_dpop = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("dpop"));
        Self(if is_dpop || config.dpop.required { "DPoP" } else { "Bearer" })
    }

    /// An error code and why; without a token there is neither (RFC 6750 §3.1).
    fn refuse(&self, status: StatusCode, error: Option<(&str, &str)>) -> Answer {
        self.answer(status, error, None)
    }

    pub(super) fn refuse_scope(&self, scope: &str) -> Answer {
        let why = format!("the token has not the scope {scope}");
        self.answer(StatusCode::FORBIDDEN, Some(("insufficient_scope", &why)), Some(scope))
    }

    fn answer(
        &self,
        status: StatusCode,
        error: Option<(&str, &str)>,
        scope: Option<&str>,
    ) -> Answer {
        let mut challenge = format!("{} realm=\"fake-auth-server\"", self.0);
        if let Some((code, why)) = error {
            let why = sayable(why);
            challenge.push_str(&format!(", error=\"{code}\", error_description=\"{why}\""));
        }
        if let Some(scope) = scope {
            challenge.push_str(&format!(", scope=\"{scope}\""));
        }
        let body = json!({ "error": error.map(|(code, _)| code) });
        Answer::json(status, &body).with(header::WWW_AUTHENTICATE, &challenge)
    }
}
