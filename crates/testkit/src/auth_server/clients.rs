//! The clients that are registered, and how one proves that it is the one (RFC 6749 §2.3).

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};

use super::answer::Answer;
use super::assertion::{Expected, UsedAssertions};
use super::client::{Client, ClientAuth};
use super::config::Config;
use super::form::Form;
use super::jwt::Jwt;
use super::received_request::ReceivedRequest;

#[derive(Default)]
pub(super) struct Clients {
    pub(super) registered: Vec<Client>,
    pub(super) used_assertions: UsedAssertions,
    pub(super) used_words: HashSet<String>,
}

impl Clients {
    pub(super) fn find(&self, id: &str) -> Option<&Client> {
        self.registered.iter().find(|client| client.id == id)
    }

    /// The client that the request comes from, or the answer that refuses it.
    pub(super) fn authenticate(
        &mut self,
        config: &Config,
        request: &ReceivedRequest,
        form: &Form,
    ) -> Result<Client, Answer> {
        let header = request.header(header::AUTHORIZATION.as_str());
        let in_body = [form.get("client_secret"), form.get("client_assertion")];
        let ways = usize::from(header.is_some()) + in_body.iter().flatten().count();
        if ways > 1 || request.headers().get_all(header::AUTHORIZATION).iter().count() > 1 {
            let what = "the client authenticates in more than one way";
            return Err(Answer::refusal("invalid_request", what));
        }
        if let Some(header) = header {
            return self.by_header(header, form);
        }
        let client = match form.get("client_assertion") {
            Some(assertion) => self.by_assertion(assertion, config, request, form),
            None => self.by_body(form),
        };
        client.map_err(|why| invalid_client(&why))
    }

    fn by_header(&self, header: &str, form: &Form) -> Result<Client, Answer> {
        let Some((raw_id, raw_secret)) = raw_basic(header) else {
            let why = "the Authorization header is not Basic with an id and a secret";
            return Err(invalid_client(why));
        };
        let (id, secret) = (form_decode(&raw_id), form_decode(&raw_secret));
        let found = self.registered.iter().find(|client| {
            let raw = client.id == raw_id && client.has_secret(&raw_secret);
            let encoded = client.id == id && client.has_secret(&secret);
            match client.auth {
                ClientAuth::Any => raw || encoded,
                ClientAuth::Basic => encoded,
                ClientAuth::RawBasic => raw,
                _ => false,
            }
        });
        match (found, form.get("client_id")) {
            (Some(client), Some(other)) if client.id != other => {
                let what = "client_id differs from the Authorization header";
                Err(Answer::refusal("invalid_request", what))
            }
            (Some(client), _) => Ok(client.clone()),
            (None, _) => {
                let why = match self.find(&id).or_else(|| self.find(&raw_id)) {
                    None => no_client(&id),
                    Some(client) => match client.auth {
                        ClientAuth::Any | ClientAuth::Basic | ClientAuth::RawBasic => {
                            "client_secret is wrong, or encoded in another way".to_owned()
                        }
                        _ => other_method(client),
                    },
                };
                Err(invalid_client(&why))
            }
        }
    }

    fn by_body(&self, form: &Form) -> Result<Client, String> {
        let id = form.get("client_id").ok_or_else(|| {
            "there is no client authentication: no Authorization header, no client_id".to_owned()
        })?;
        let client = self.find(id).ok_or_else(|| no_client(id))?;
        match (client.auth, form.get("client_secret")) {
            (ClientAuth::Any | ClientAuth::Post, Some(secret)) if !client.has_secret(secret) => {
                Err("client_secret is wrong".to_owned())
            }
            (ClientAuth::Any | ClientAuth::Post, Some(_)) | (ClientAuth::None, None) => {
                Ok(client.clone())
            }
            _ => Err(other_method(client)),
        }
    }

    fn by_assertion(
        &mut self,
        assertion: &str,
        config: &Config,
        request: &ReceivedRequest,
        form: &Form,
    ) -> Result<Client, String> {
        let refuse = |why: &str| Err(why.to_owned());
        if form.get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(format!("client_assertion_type is not {JWT_BEARER}"));
        }
        let jwt = Jwt::parse(assertion);
        let subject = jwt.as_ref().and_then(|jwt| jwt.claim("sub"));
        let id = match (subject, form.get("client_id")) {
            (Some(subject), Some(id)) if subject != id => {
                return refuse("client_id is not the sub of the assertion");
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) if jwt.is_none() => return refuse("the client_assertion is no JWT"),
            (None, None) => return refuse("the assertion has no sub"),
        };
        let client = self.find(id).ok_or_else(|| no_client(id))?.clone();
        let secret = match client.auth {
            ClientAuth::Assertion => {
                if !self.used_words.insert(assertion.to_owned()) {
                    return refuse("the assertion was used before");
                }
                return Ok(client);
            }
            ClientAuth::PrivateKeyJwt => None,
            ClientAuth::ClientSecretJwt => Some(client.secret.expose_secret()),
            _ => {
                let methods = client.auth.methods().join(" or ");
                return Err(format!(
                    "the client `{id}` does not authenticate by assertion but by {methods}"
                ));
            }
        };
        let Some(jwt) = &jwt else { return refuse("the client_assertion is no JWT") };
        if subject.is_none() {
            return refuse("the assertion has no sub");
        }
        let keys = config.keys_of(id).chain(&client.keys).collect();
        let expected = Expected { issuer: id, secret, keys, endpoint: request.path() };
        self.used_assertions.take(jwt, &expected, config)?;
        Ok(client)
    }
}

fn no_client(id: &str) -> String {
    format!("no client `{id}` is registered")
}

fn other_method(client: &Client) -> String {
    let methods = client.auth.methods().join(" or ");
    format!("the client `{}` authenticates by `{methods}`, and this request does not", client.id)
}

/// User and password of a Basic header as they are (RFC 7617 §2).
pub(super) fn raw_basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn form_decode(text: &str) -> String {
    let blanks: Cow<'_, str> = text.replace('+', " ").into();
    percent_encoding::percent_decode_str(&blanks).decode_utf8_lossy().into_owned()
}

fn invalid_client(why: &str) -> Answer {
    Answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", why)
        .with(header::WWW_AUTHENTICATE, "Basic realm=\"fake-auth-server\"")
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
