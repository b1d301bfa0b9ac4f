//! Who may ask, and how a client proves who it is (RFC 6749 §2.3).

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use tokenkeeper::Secret;

use super::answer::Answer;
use super::form::Form;
use super::received_request::ReceivedRequest;

/// How a client must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Any way in which the secret is sent once: as a Basic header in either spelling, or in the
    /// body.
    #[default]
    Any,
    /// `client_secret_basic`: id and secret are form-encoded, then put into a Basic header
    /// (RFC 6749 §2.3.1). Both `+` and `%20` are a blank.
    Basic,
    /// A Basic header of id and secret as they are, which is all that some servers take.
    RawBasic,
    /// `client_secret_post`: id and secret are in the body.
    Post,
    /// `none`: a public client, the id is in the body. It cannot use client credentials.
    None,
    /// `private_key_jwt` and the like (RFC 7523 §2.2): a `client_assertion` in the body. Its
    /// signature is not checked, but each may be used only once.
    Assertion,
}

#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) auth: ClientAuth,
}

impl Client {
    pub(super) fn is_public(&self) -> bool {
        self.auth == ClientAuth::None
    }

    fn has_secret(&self, secret: &str) -> bool {
        self.secret.expose_secret() == secret
    }
}

#[derive(Default)]
pub(super) struct Clients {
    pub(super) registered: Vec<Client>,
    pub(super) used_assertions: HashSet<String>,
}

impl Clients {
    /// The client that the request comes from, or the answer that refuses it.
    pub(super) fn authenticate(
        &mut self,
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
        let client = match header {
            Some(header) => self.by_header(header, form)?,
            None => self.by_body(form),
        };
        client.ok_or_else(unknown_client)
    }

    fn by_header(&self, header: &str, form: &Form) -> Result<Option<Client>, Answer> {
        let Some((raw_id, raw_secret)) = raw_basic(header) else { return Ok(None) };
        let id = form_decode(&raw_id);
        let secret = form_decode(&raw_secret);
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
            (found, _) => Ok(found.cloned()),
        }
    }

    fn by_body(&mut self, form: &Form) -> Option<Client> {
        if let Some(assertion) = form.get("client_assertion") {
            return self.by_assertion(assertion, form);
        }
        let id = form.get("client_id")?;
        let client = self.registered.iter().find(|client| client.id == id)?;
        let proven = match (client.auth, form.get("client_secret")) {
            (ClientAuth::Any | ClientAuth::Post, Some(secret)) => client.has_secret(secret),
            (ClientAuth::None, None) => true,
            _ => false,
        };
        proven.then(|| client.clone())
    }

    fn by_assertion(&mut self, assertion: &str, form: &Form) -> Option<Client> {
        if form.get("client_assertion_type") != Some(JWT_BEARER) {
            return None;
        }
        let id = subject_of(assertion).or_else(|| form.get("client_id").map(str::to_owned))?;
        let client = self
            .registered
            .iter()
            .find(|client| client.id == id && client.auth == ClientAuth::Assertion)?;
        let is_new = self.used_assertions.insert(assertion.to_owned());
        is_new.then(|| client.clone())
    }
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

/// The `sub` of a JWT; nothing is verified.
fn subject_of(assertion: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("sub")?.as_str()?.to_owned())
}

fn unknown_client() -> Answer {
    Answer::oauth_error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "the client is unknown or could not be authenticated",
    )
    .with(header::WWW_AUTHENTICATE, "Basic realm=\"fake-auth-server\"")
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
