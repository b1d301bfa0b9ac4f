//! Tokens for tokens: of another issuer (RFC 7523 §2.1), or of this server (RFC 8693).

use http::StatusCode;
use serde_json::Value;

use super::answer::Answer;
use super::assertion::Expected;
use super::jwt::{Jwt, unix_seconds};
use super::requested;
use super::token_book::{Family, Grant, contains_all};
use super::token_endpoint::TokenRequest;

impl TokenRequest<'_> {
    /// An assertion of an issuer that is trusted becomes an access token (RFC 7523 §2.1).
    pub(super) fn jwt_bearer(&mut self) -> Result<Answer, Answer> {
        let text = self.form.require("assertion")?;
        let refuse = |what: &str| Answer::refusal("invalid_grant", what);
        let jwt = Jwt::parse(text).ok_or_else(|| refuse("the assertion is no JWT"))?;
        let issuer = jwt.claim("iss").unwrap_or_default();
        if !self.config.trusted_issuers.iter().any(|trusted| trusted == issuer) {
            return Err(refuse("the issuer of the assertion is not trusted"));
        }
        let subject = jwt.claim("sub").ok_or_else(|| refuse("the assertion has no sub"))?;
        let keys = self.config.keys_of(issuer).collect();
        let endpoint = &self.config.token_path;
        let expected = Expected { issuer, secret: None, keys, endpoint };
        let used = &mut self.state.clients.used_assertions;
        used.take(&jwt, &expected, self.config).map_err(|why| refuse(&why))?;
        let (family, grant) = self.open_family(Some(subject.to_owned()))?;
        Ok(self.answer(family, grant, false))
    }

    /// A token of this server becomes another (RFC 8693 §2.1).
    pub(super) fn token_exchange(&mut self) -> Result<Answer, Answer> {
        let subject = self.party("subject_token")?;
        let subject = subject.ok_or_else(|| invalid("subject_token is missing"))?;
        let actor = self.party("actor_token")?.map(|actor| actor.subject().to_owned());
        let issued_type = self.form.get("requested_token_type").unwrap_or(ACCESS_TOKEN).to_owned();
        if ![ACCESS_TOKEN, REFRESH_TOKEN, ID_TOKEN].contains(&issued_type.as_str()) {
            return Err(invalid("requested_token_type is not offered"));
        }
        let wanted = requested::wanted_scopes(&self.form);
        let wanted = wanted.map_err(|what| Answer::refusal("invalid_scope", what))?;
        let scopes = wanted.unwrap_or_else(|| subject.scopes.clone());
        if !subject.scopes.is_empty() && !contains_all(&subject.scopes, &scopes) {
            let what = "the subject_token does not have that scope";
            return Err(Answer::refusal("invalid_scope", what));
        }
        let mut resources = self.narrowed_resources(&[])?;
        let known = |audience: &String| {
            self.config.allowed_resources.as_ref().is_none_or(|all| all.contains(audience))
        };
        let audiences = self.form.all("audience");
        if !audiences.iter().all(known) {
            return Err(Answer::refusal("invalid_target", "an audience is unknown"));
        }
        resources.extend_from_slice(audiences);
        let family = Family {
            client_id: self.client.id.clone(),
            username: Some(subject.subject().to_owned()),
            scopes: scopes.clone(),
            resources: resources.clone(),
            sign_in: subject.sign_in,
            actor,
            key: self.key_of_family(),
        };
        let family = self.state.book.open_family(family);
        let grant = Grant { scopes, resources, key: self.key.clone() };
        let wants_refresh_token = issued_type == REFRESH_TOKEN;
        let mut body = self.issue(family, grant, wants_refresh_token);
        if issued_type != ACCESS_TOKEN {
            let name = if wants_refresh_token { "refresh_token" } else { "id_token" };
            let token = body.remove(name).ok_or_else(|| {
                invalid("no token of the requested_token_type is to be had for this subject_token")
            })?;
            body.insert("access_token".to_owned(), token);
            body.insert("token_type".to_owned(), "N_A".into());
            body.retain(|name, _| name != "refresh_token" && name != "id_token");
        }
        body.insert("issued_token_type".to_owned(), issued_type.into());
        Ok(Answer::json(StatusCode::OK, &Value::Object(body)))
    }

    /// Whom the token in this parameter stands for.
    fn party(&self, name: &str) -> Result<Option<Family>, Answer> {
        let token_type = self.form.get(&format!("{name}_type"));
        let Some(token) = self.form.get(name) else {
            return match token_type {
                Some(_) => Err(invalid("a token type comes without its token")),
                None => Ok(None),
            };
        };
        let found = match token_type {
            Some(ACCESS_TOKEN) => self.party_of_access_token(token),
            Some(REFRESH_TOKEN) => self.party_of_refresh_token(token),
            Some(ID_TOKEN) => self.party_of_id_token(token),
            Some(_) => return Err(invalid("this kind of token is not taken")),
            None => return Err(invalid("a token comes without its type")),
        };
        found.map(Some).map_err(|why| invalid(&format!("{name} {why}")))
    }

    fn party_of_access_token(&self, token: &str) -> Result<Family, &'static str> {
        let live = self.state.book.present(token, &self.now).ok_or("is not valid")?;
        Ok(Family { scopes: live.grant.scopes, ..live.family })
    }

    /// Refresh tokens are for their client alone (RFC 6749 §10.4), and those that are bound to a
    /// key for the owner of the key alone (RFC 9449 §5).
    fn party_of_refresh_token(&self, token: &str) -> Result<Family, &'static str> {
        let family = self.state.book.live_refresh(token, &self.now).ok_or("is not valid")?;
        if family.client_id != self.client.id {
            return Err("belongs to another client");
        }
        if family.key.is_some() && family.key != self.key {
            return Err("is bound to another key");
        }
        Ok(family.clone())
    }

    fn party_of_id_token(&self, token: &str) -> Result<Family, &'static str> {
        if !self.state.book.has_issued_id_token(token) {
            return Err("was not issued by this server");
        }
        let family = self.family_of_id_token(token).ok_or("is not valid")?;
        Ok(family)
    }

    /// A test may have had claims changed, so they are looked at although the token is ours.
    fn family_of_id_token(&self, token: &str) -> Option<Family> {
        let jwt = Jwt::parse(token)?;
        let client = self.state.clients.find(jwt.claim("aud")?)?;
        let is_alive = jwt.time("exp")? as u64 > unix_seconds(self.now.wall());
        let is_ours = jwt.claim("iss") == Some(&self.config.issuer());
        (is_alive && is_ours).then_some(())?;
        Some(Family {
            client_id: client.id.clone(),
            username: Some(jwt.claim("sub")?.to_owned()),
            scopes: requested::granted_scopes(self.config, &self.client, &self.form).ok()?,
            resources: Vec::new(),
            sign_in: None,
            actor: None,
            key: None,
        })
    }
}

fn invalid(what: &str) -> Answer {
    Answer::refusal("invalid_request", what)
}

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
