//! The token endpoint, and the grants that are older than logins.

use http::{StatusCode, header};
use serde_json::{Map, Value};
use tokenkeeper::Now;

use super::answer::Answer;
use super::client::Client;
use super::config::Config;
use super::dpop::Place;
use super::form::Form;
use super::id_token::IdToken;
use super::received_request::ReceivedRequest;
use super::requested;
use super::state::State;
use super::token_book::{Family, Grant, Spending};

/// The token endpoint (RFC 6749 §3.2).
pub(super) fn token(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
    same_access_token: bool,
) -> Answer {
    let answer = Form::of_request(request).and_then(|form| {
        let client = if form.get("grant_type") == Some(JWT_BEARER) && is_anonymous(request, &form) {
            Client::unnamed()
        } else {
            state.clients.authenticate(config, request, &form)?
        };
        let key = proven_key(config, state, request)?;
        let now = config.clock.now();
        TokenRequest { config, state, form, client, same_access_token, nonce: None, key, now }.run()
    });
    let answer = answer.unwrap_or_else(|refusal| refusal);
    state.proofs.with_nonce(config, Place::Server, answer)
}

/// The assertion of the JWT bearer grant may be all that a request says about who asks
/// (RFC 7523 §3.1).
fn is_anonymous(request: &ReceivedRequest, form: &Form) -> bool {
    let ways = ["client_id", "client_secret", "client_assertion"];
    !request.headers().contains_key(header::AUTHORIZATION)
        && ways.iter().all(|name| form.get(name).is_none())
}

fn proven_key(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
) -> Result<Option<String>, Answer> {
    let key = state.proofs.check(config, Place::Server, request, None);
    match key.map_err(|refusal| Answer::refusal(refusal.code, refusal.what))? {
        None if config.dpop.required => {
            Err(Answer::refusal("invalid_dpop_proof", "this server wants a proof"))
        }
        key => Ok(key),
    }
}

/// One request to the token endpoint whose client is known.
pub(super) struct TokenRequest<'a> {
    pub(super) config: &'a Config,
    pub(super) state: &'a mut State,
    pub(super) form: Form,
    pub(super) client: Client,
    same_access_token: bool,
    /// Of the login that the ID token is about.
    pub(super) nonce: Option<String>,
    /// The thumbprint of the key that the request proved.
    pub(super) key: Option<String>,
    pub(super) now: Now,
}

impl TokenRequest<'_> {
    fn run(mut self) -> Result<Answer, Answer> {
        let grant = self.form.require("grant_type")?;
        if GRANTS.contains(&grant) && !self.client.may_use(grant) {
            let what = format!("the client `{}` may not use the grant {grant}", self.client.id);
            return Err(Answer::refusal("unauthorized_client", &what));
        }
        match grant {
            "client_credentials" => self.client_credentials(),
            "password" => self.password(),
            "refresh_token" => self.refresh_token(),
            "authorization_code" => self.authorization_code(),
            DEVICE_CODE => self.device_code(),
            JWT_BEARER => self.jwt_bearer(),
            TOKEN_EXCHANGE => self.token_exchange(),
            _ => Err(Answer::refusal("unsupported_grant_type", "this grant is not offered")),
        }
    }

    /// RFC 6749 §4.4.
    fn client_credentials(&mut self) -> Result<Answer, Answer> {
        if self.client.is_public() {
            let what = "a public client has no credentials";
            return Err(Answer::refusal("unauthorized_client", what));
        }
        let (family, grant) = self.open_family(None)?;
        Ok(self.answer(family, grant, self.config.refreshes_client_credentials))
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
        let (family, grant) = self.open_family(Some(username))?;
        Ok(self.answer(family, grant, true))
    }

    /// RFC 6749 §6.
    fn refresh_token(&mut self) -> Result<Answer, Answer> {
        let token = self.form.require("refresh_token")?;
        let wanted = requested::wanted_scopes(&self.form);
        let wanted = wanted.map_err(|what| Answer::refusal("invalid_scope", what))?;
        let family = self.state.book.family_of_refresh(token);
        if family.is_some_and(|family| family.key.is_some() && family.key != self.key) {
            let what = "the refresh token is bound to another key";
            return Err(Answer::refusal("invalid_grant", what));
        }
        let granted = family.map(|family| family.resources.as_slice()).unwrap_or_default();
        let resources = self.narrowed_resources(granted)?;
        let State { book, terms, .. } = &mut *self.state;
        match book.spend(token, &self.client.id, wanted.as_ref(), terms, &self.now) {
            Spending::Allowed(family) => {
                let granted = self.state.book.family(family).map(|family| family.scopes.clone());
                let scopes = wanted.or(granted).unwrap_or_default();
                let rotates = self.state.terms.rotates;
                let grant = Grant { scopes, resources, key: self.key.clone() };
                Ok(self.answer(family, grant, rotates))
            }
            Spending::Refused => {
                Err(Answer::refusal("invalid_grant", "the refresh token is not valid"))
            }
            Spending::TooMuch => {
                Err(Answer::refusal("invalid_scope", "that was not granted in the first place"))
            }
        }
    }

    /// Refresh tokens of public clients are bound to the key that got them.
    pub(super) fn key_of_family(&self) -> Option<String> {
        self.key.clone().filter(|_| self.client.is_public())
    }

    pub(super) fn open_family(
        &mut self,
        username: Option<String>,
    ) -> Result<(usize, Grant), Answer> {
        let scopes = requested::granted_scopes(self.config, &self.client, &self.form);
        let scopes = scopes.map_err(|what| Answer::refusal("invalid_scope", what))?;
        let resources = self.narrowed_resources(&[])?;
        let client_id = self.client.id.clone();
        let key = self.key.clone();
        let grant = Grant { scopes: scopes.clone(), resources: resources.clone(), key };
        let key = self.key_of_family();
        let (sign_in, actor) = (None, None);
        let family = Family { client_id, username, scopes, resources, sign_in, actor, key };
        Ok((self.state.book.open_family(family), grant))
    }

    /// The resources that this request names, or else those that were granted; it may not name
    /// others than those (RFC 8707 §2.2).
    pub(super) fn narrowed_resources(&self, granted: &[String]) -> Result<Vec<String>, Answer> {
        let refuse = |what| Answer::refusal("invalid_target", what);
        let wanted = requested::resources(self.config, &self.form).map_err(refuse)?;
        if wanted.is_empty() {
            return Ok(granted.to_vec());
        }
        if !granted.is_empty() && !wanted.iter().all(|resource| granted.contains(resource)) {
            return Err(refuse("that resource was not granted in the first place"));
        }
        Ok(wanted)
    }

    /// RFC 6749 §5.1.
    pub(super) fn answer(
        &mut self,
        family: usize,
        grant: Grant,
        with_refresh_token: bool,
    ) -> Answer {
        let body = self.issue(family, grant, with_refresh_token);
        Answer::json(StatusCode::OK, &Value::Object(body))
    }

    /// Issues tokens, and gives the members that tell of them.
    pub(super) fn issue(
        &mut self,
        family: usize,
        grant: Grant,
        with_refresh_token: bool,
    ) -> Map<String, Value> {
        let State { book, terms, id_token_claims, keys, .. } = &mut *self.state;
        let mut body = self.config.extra.clone();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        let last = if self.same_access_token {
            book.issue_last_access_again(terms, &self.now)
        } else {
            None
        };
        if !grant.scopes.is_empty() {
            put("scope", grant.scopes.to_string().into());
        }
        let token_type = grant.token_type();
        let is_openid = grant.scopes.contains("openid");
        let access = last.unwrap_or_else(|| book.issue_access(family, grant, terms, &self.now));
        let id_token = book.family(family).filter(|_| is_openid).and_then(|family| {
            let token = IdToken {
                client: &self.client,
                family,
                access_token: &access,
                nonce: self.nonce.as_deref(),
                lifetime: terms.lifetime,
                now: self.now,
            };
            token.write(self.config, id_token_claims, keys)
        });
        if let Some(token) = id_token {
            book.remember_id_token(&token);
            put("id_token", token.into());
        }
        put("access_token", access.into());
        put("token_type", token_type.into());
        if self.config.states_lifetime {
            put("expires_in", terms.lifetime.as_secs().into());
        }
        let may_refresh = self.config.issues_refresh_tokens && self.client.may_use("refresh_token");
        if with_refresh_token && may_refresh {
            put("refresh_token", book.issue_refresh(family, terms, &self.now).into());
            if let Some(lifetime) = terms.refresh_lifetime {
                put("refresh_expires_in", lifetime.as_secs().into());
            }
        }
        body
    }
}

/// Everything that `grant_type` may say.
pub(super) const GRANTS: [&str; 7] = [
    "authorization_code",
    "client_credentials",
    "password",
    "refresh_token",
    DEVICE_CODE,
    JWT_BEARER,
    TOKEN_EXCHANGE,
];
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
