//! Who may ask, and how a client proves who it is (RFC 6749 §2.3).

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use tokenkeeper::Secret;

use super::answer::Answer;
use super::assertion::UsedAssertions;
use super::form::Form;
use super::jwt::Jwt;
use super::received_request::ReceivedRequest;
use super::state::Config;

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
    /// `private_key_jwt` and the like (RFC 7523 §2.2): a `client_assertion` in the body. Nothing
    /// about it is checked but that it comes only once.
    Assertion,
    /// `private_key_jwt` (RFC 7523 §2.2): a `client_assertion` whose `iss` and `sub` are the
    /// client, whose `aud` is the issuer, the token endpoint or the endpoint that is asked, with
    /// `exp` and a `jti` of its own. The signature is checked if the client has a
    #[cfg_attr(
        feature = "signatures",
        doc = "[public key](crate::FakeAuthServerBuilder::public_key)."
    )]
    #[cfg_attr(not(feature = "signatures"), doc = "public key (feature `signatures`).")]
    PrivateKeyJwt,
    /// `client_secret_jwt`: the same, signed with the secret by HS256. The signature is checked.
    ClientSecretJwt,
}

#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) auth: ClientAuth,
}

impl Client {
    /// Whoever comes without a name.
    pub(super) fn unnamed() -> Self {
        Self { id: String::new(), secret: "".into(), auth: ClientAuth::None }
    }

    pub(super) fn is_public(&self) -> bool {
        self.auth == ClientAuth::None
    }

    /// The secret, unless it has none to keep.
    pub(super) fn own_secret(&self) -> Option<&str> {
        let secret = self.secret.expose_secret();
        (!secret.is_empty() && !self.is_public()).then_some(secret)
    }

    fn has_secret(&self, secret: &str) -> bool {
        self.secret.expose_secret() == secret
    }
}

#[derive(Default)]
pub(super) struct Clients {
    pub(super) registered: Vec<Client>,
    pub(super) used_assertions: UsedAssertions,
    pub(super) used_words: HashSet<String>,
}

impl Clients {
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
        let client = match header {
            Some(header) => self.by_header(header, form)?,
            None => self.by_body(config, request, form),
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

    fn by_body(
        &mut self,
        config: &Config,
        request: &ReceivedRequest,
        form: &Form,
    ) -> Option<Client> {
        if let Some(assertion) = form.get("client_assertion") {
            return self.by_assertion(assertion, config, request, form);
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

    fn by_assertion(
        &mut self,
        assertion: &str,
        config: &Config,
        request: &ReceivedRequest,
        form: &Form,
    ) -> Option<Client> {
        if form.get("client_assertion_type") != Some(JWT_BEARER) {
            return None;
        }
        let jwt = Jwt::parse(assertion);
        let subject = jwt.as_ref().and_then(|jwt| jwt.claim("sub"));
        let id = subject.or(form.get("client_id"))?;
        let client = self.registered.iter().find(|client| client.id == id)?.clone();
        let secret = match client.auth {
            ClientAuth::Assertion => {
                let is_new = self.used_words.insert(assertion.to_owned());
                return is_new.then_some(client);
            }
            ClientAuth::PrivateKeyJwt => None,
            ClientAuth::ClientSecretJwt => Some(client.secret.expose_secret()),
            _ => return None,
        };
        subject?;
        let path = request.path();
        self.used_assertions.take(&jwt?, &client.id, secret, config, path).ok()?;
        Some(client)
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

fn unknown_client() -> Answer {
    Answer::oauth_error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "the client is unknown or could not be authenticated",
    )
    .with(header::WWW_AUTHENTICATE, "Basic realm=\"fake-auth-server\"")
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
