//! What the server does with a request, faults aside.

use http::{StatusCode, header};
use serde_json::{Value, json};
use tokenkeeper::{Now, Scopes};

use super::answer::Answer;
use super::clients::Client;
use super::form::Form;
use super::received_request::ReceivedRequest;
use super::state::{Config, State};
use super::token_book::{Family, Presented, Spending, TokenBook, contains_all};

/// The token endpoint (RFC 6749 §3.2).
pub(super) fn token(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
    same_access_token: bool,
) -> Answer {
    let exchange = Form::of_request(request).and_then(|form| {
        let client = state.clients.authenticate(request, &form)?;
        Exchange { config, state, form, client, same_access_token, now: config.clock.now() }.run()
    });
    exchange.unwrap_or_else(|refusal| refusal)
}

/// One request to the token endpoint whose client is known.
struct Exchange<'a> {
    config: &'a Config,
    state: &'a mut State,
    form: Form,
    client: Client,
    same_access_token: bool,
    now: Now,
}

impl Exchange<'_> {
    fn run(mut self) -> Result<Answer, Answer> {
        match self.form.require("grant_type")? {
            "client_credentials" => self.client_credentials(),
            "password" => self.password(),
            "refresh_token" => self.refresh_token(),
            _ => Err(Answer::refusal("unsupported_grant_type", "this grant is not offered")),
        }
    }

    /// RFC 6749 §4.4.
    fn client_credentials(&mut self) -> Result<Answer, Answer> {
        if self.client.is_public() {
            let what = "a public client has no credentials";
            return Err(Answer::refusal("unauthorized_client", what));
        }
        let scopes = self.granted_scopes()?;
        let family = self.open_family(None, scopes.clone());
        Ok(self.answer(family, scopes, self.config.refreshes_client_credentials))
    }

    /// RFC 6749 §4.3.
    fn password(&mut self) -> Result<Answer, Answer> {
        let username = self.form.require("username")?;
        let password = self.form.require("password")?;
        let known = self.state.users.get(username);
        if known.is_none_or(|known| known.expose_secret() != password) {
            return Err(Answer::refusal("invalid_grant", "user name or password is wrong"));
        }
        let username = username.to_owned();
        let scopes = self.granted_scopes()?;
        let family = self.open_family(Some(username), scopes.clone());
        Ok(self.answer(family, scopes, true))
    }

    /// RFC 6749 §6.
    fn refresh_token(&mut self) -> Result<Answer, Answer> {
        let token = self.form.require("refresh_token")?;
        let wanted = self.wanted_scopes()?;
        let State { book, terms, .. } = &mut *self.state;
        match book.spend(token, &self.client.id, wanted.as_ref(), terms, &self.now) {
            Spending::Allowed(family) => {
                let granted = self.state.book.family(family).map(|family| family.scopes.clone());
                let scopes = wanted.or(granted).unwrap_or_default();
                let rotates = self.state.terms.rotates;
                Ok(self.answer(family, scopes, rotates))
            }
            Spending::Refused => {
                Err(Answer::refusal("invalid_grant", "the refresh token is not valid"))
            }
            Spending::TooMuch => {
                Err(Answer::refusal("invalid_scope", "that was not granted in the first place"))
            }
        }
    }

    fn wanted_scopes(&self) -> Result<Option<Scopes>, Answer> {
        let parse = |text| {
            let refusal = |_| Answer::refusal("invalid_scope", "scope is malformed");
            Scopes::parse(text).map_err(refusal)
        };
        self.form.get("scope").map(parse).transpose()
    }

    /// What was asked for, or all that is allowed.
    fn granted_scopes(&self) -> Result<Scopes, Answer> {
        match (self.wanted_scopes()?, &self.config.allowed_scopes) {
            (Some(wanted), Some(allowed)) if !contains_all(allowed, &wanted) => {
                Err(Answer::refusal("invalid_scope", "a scope is not allowed"))
            }
            (Some(wanted), _) => Ok(wanted),
            (None, allowed) => Ok(allowed.clone().unwrap_or_default()),
        }
    }

    fn open_family(&mut self, username: Option<String>, scopes: Scopes) -> usize {
        let client_id = self.client.id.clone();
        self.state.book.open_family(Family { client_id, username, scopes })
    }

    /// RFC 6749 §5.1.
    fn answer(&mut self, family: usize, scopes: Scopes, with_refresh_token: bool) -> Answer {
        let State { book, terms, .. } = &mut *self.state;
        let mut body = self.config.extra.clone();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        let last = if self.same_access_token {
            book.issue_last_access_again(terms, &self.now)
        } else {
            None
        };
        if !scopes.is_empty() {
            put("scope", scopes.to_string().into());
        }
        let access = last.unwrap_or_else(|| book.issue_access(family, scopes, terms, &self.now));
        put("access_token", access.into());
        put("token_type", "Bearer".into());
        if self.config.states_lifetime {
            put("expires_in", terms.lifetime.as_secs().into());
        }
        if with_refresh_token && self.config.issues_refresh_tokens {
            put("refresh_token", book.issue_refresh(family, terms, &self.now).into());
            if let Some(lifetime) = terms.refresh_lifetime {
                put("refresh_expires_in", lifetime.as_secs().into());
            }
        }
        Answer::json(StatusCode::OK, &Value::Object(body))
    }
}

/// The revocation endpoint (RFC 7009 §2).
pub(super) fn revocation(state: &mut State, request: &ReceivedRequest) -> Answer {
    let revocation = Form::of_request(request).and_then(|form| {
        let client = state.clients.authenticate(request, &form)?;
        let token = form.require("token")?;
        if state.book.owner(token).is_some_and(|family| family.client_id != client.id) {
            let what = "the token belongs to another client";
            return Err(Answer::refusal("unauthorized_client", what));
        }
        state.book.revoke(token);
        Ok(Answer::empty(StatusCode::OK))
    });
    revocation.unwrap_or_else(|refusal| refusal)
}

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
    let Presented::Live { family, scopes } = book.present(token.trim(), now) else {
        return challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"), None);
    };
    let below = request.path().strip_prefix(config.resource_prefix.as_str()).unwrap_or_default();
    match below.strip_prefix("/scoped/") {
        Some(scope) if !scopes.contains(scope) => {
            challenge(StatusCode::FORBIDDEN, Some("insufficient_scope"), Some(scope))
        }
        _ => Answer::json(
            StatusCode::OK,
            &json!({
                "client_id": family.client_id,
                "username": family.username,
                "scope": scopes.to_string(),
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
