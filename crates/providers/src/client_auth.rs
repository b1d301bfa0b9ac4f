//! How a client proves who it is at an endpoint (RFC 6749 §2.3).
//!
//! Exactly one method goes into a request (§2.3 forbids more), and it is put there by this file,
//! whatever the grant.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use tokenkeeper::{Error, Secret};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::endpoint_url::config_error;

/// The method by which a client authenticates. The same for every request of a client; only
/// revocation may have its own.
///
/// # Examples
///
/// ```
/// use tokenkeeper_providers::ClientAuth;
///
/// let auth = ClientAuth::basic("hunter2");
/// assert_eq!(format!("{auth:?}"), "ClientAuth(client_secret_basic)");
/// ```
#[derive(Clone)]
pub struct ClientAuth(Method);

#[derive(Clone)]
enum Method {
    Basic(Secret),
    BasicRaw(Secret),
    Post(Secret),
    Detect(Arc<Detect>),
    Assertion(Arc<dyn AssertionSource>),
    None,
}

/// A secret whose place is found out. Clones of a [`ClientAuth`] share what was found.
struct Detect {
    secret: Secret,
    place: AtomicU8,
}

const UNKNOWN: u8 = 0;
const HEADER: u8 = 1;
const BODY: u8 = 2;

impl ClientAuth {
    /// `client_secret_basic`: id and secret in the `Authorization` header, each form-encoded
    /// first (RFC 6749 §2.3.1). A blank becomes `%20`, because more servers read that than `+`.
    #[must_use]
    pub fn basic(secret: impl Into<Secret>) -> Self {
        Self(Method::Basic(secret.into()))
    }

    /// `client_secret_basic` without the encoding, for servers that take id and secret literally
    /// (RFC 7617). It makes a difference only if one of them has other characters than letters,
    /// digits and `*-._`.
    #[must_use]
    pub fn basic_raw(secret: impl Into<Secret>) -> Self {
        Self(Method::BasicRaw(secret.into()))
    }

    /// `client_secret_post`: id and secret in the body. RFC 6749 §2.3.1 would rather have
    /// [`basic`](Self::basic).
    #[must_use]
    pub fn post(secret: impl Into<Secret>) -> Self {
        Self(Method::Post(secret.into()))
    }

    /// [`basic`](Self::basic) or [`post`](Self::post), whichever the server takes: where it refuses
    /// the client by the first, the same request is sent once more by the other, and what was taken
    /// is remembered as long as this value or a clone of it lives. A provider that was made from what
    /// a server says about itself (`discover`, `of_server`) follows that, and tries nothing.
    ///
    /// A wrong secret is sent twice by this, which counts where a server locks clients out. Name the
    /// method where it is known.
    #[must_use]
    pub fn detect(secret: impl Into<Secret>) -> Self {
        let (secret, place) = (secret.into(), AtomicU8::new(UNKNOWN));
        Self(Method::Detect(Arc::new(Detect { secret, place })))
    }

    /// A signed assertion instead of a secret (RFC 7521 §4.2, RFC 7523 §2.2): `private_key_jwt`.
    #[must_use]
    pub fn assertion(assertion: impl AssertionSource) -> Self {
        Self(Method::Assertion(Arc::new(assertion)))
    }

    /// No secret: a public client, or one that the TLS connection identifies. The id goes into
    /// the body.
    #[must_use]
    pub fn none() -> Self {
        Self(Method::None)
    }

    pub(crate) fn check(&self, client_id: &str) -> Result<(), Error> {
        match &self.0 {
            Method::Basic(secret) | Method::Post(secret) => check_text("client secret", secret),
            Method::BasicRaw(secret) => {
                if client_id.contains(':') {
                    let what = "must not have a colon where Basic credentials are not encoded";
                    return Err(config_error("client id", what));
                }
                check_text("client secret", secret)
            }
            Method::Detect(detect) => check_text("client secret", &detect.secret),
            Method::Assertion(_) | Method::None => Ok(()),
        }
    }

    /// The same, where a server says which methods it knows, and the choice was left to it.
    pub(crate) fn among(self, methods: Option<&[String]>) -> Self {
        let (Method::Detect(detect), Some(methods)) = (&self.0, methods) else { return self };
        let knows = |name: &str| methods.iter().any(|method| method == name);
        match (knows("client_secret_basic"), knows("client_secret_post")) {
            (true, _) => Self::basic(detect.secret.clone()),
            (false, true) => Self::post(detect.secret.clone()),
            (false, false) => self,
        }
    }

    /// Takes note of an answer to a request with this proof. Whether the request is to be sent once
    /// more, because the client was refused and there is another way to show its secret.
    pub(crate) fn learns(&self, proof: &Proof, client_is_refused: bool) -> bool {
        let Method::Detect(detect) = &self.0 else { return false };
        let place = if proof.header().is_some() { HEADER } else { BODY };
        if client_is_refused {
            return place == HEADER && detect.place.load(Ordering::Relaxed) == UNKNOWN;
        }
        let _ = detect.place.compare_exchange(UNKNOWN, place, Ordering::Relaxed, Ordering::Relaxed);
        false
    }

    /// The other way to show the secret, for the second request.
    pub(crate) fn other(&self) -> Self {
        match &self.0 {
            Method::Detect(detect) => Self::post(detect.secret.clone()),
            _ => self.clone(),
        }
    }

    /// What else to try when a server refuses the client, although id and secret are right. Basic or
    /// post is the commonest mistake; Basic has two spellings besides, and only some ids and secrets
    /// show a difference. An assertion says more than who the client is, and servers seldom say what
    /// of it they refuse.
    pub(crate) fn hint(&self, client_id: &str) -> Option<&'static str> {
        let changes = |text: &str| *form_encoded(text) != *text;
        match &self.0 {
            Method::Basic(secret) if changes(client_id) || changes(secret.expose_secret()) => {
                Some(TRY_POST_OR_RAW)
            }
            Method::Basic(_) | Method::BasicRaw(_) => Some(TRY_POST),
            Method::Post(_) => Some(TRY_BASIC),
            Method::Assertion(_) => Some(CHECK_ASSERTION),
            Method::Detect(_) | Method::None => None,
        }
    }

    /// What goes into one request. An assertion is asked for anew, because its `jti` may be used
    /// only once (RFC 7523 §3).
    pub(crate) async fn proof(&self, client_id: &str, audience: &str) -> Result<Proof, Error> {
        Ok(match &self.0 {
            Method::Basic(secret) => encoded_proof(client_id, secret)?,
            Method::Detect(detect) if detect.place.load(Ordering::Relaxed) == BODY => {
                Proof::Secret(detect.secret.clone())
            }
            Method::Detect(detect) => encoded_proof(client_id, &detect.secret)?,
            Method::BasicRaw(secret) => {
                let line = Zeroizing::new(format!("{client_id}:{}", secret.expose_secret()));
                Proof::Header(basic_header(&line)?, secret.clone())
            }
            Method::Post(secret) => Proof::Secret(secret.clone()),
            Method::Assertion(assertion) => {
                let jwt = assertion.client_assertion(client_id, audience).await?;
                check_text("client assertion", &jwt)?;
                Proof::Assertion(jwt)
            }
            Method::None => Proof::None,
        })
    }
}

impl Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Method::Basic(_) => "client_secret_basic",
            Method::BasicRaw(_) => "client_secret_basic, not encoded",
            Method::Post(_) => "client_secret_post",
            Method::Detect(_) => "client_secret_basic or client_secret_post",
            Method::Assertion(_) => "assertion",
            Method::None => "none",
        };
        write!(f, "ClientAuth({name})")
    }
}

/// Makes assertions: signed JWTs that say who a client is, or on whose behalf it asks (RFC 7521,
/// RFC 7523).
///
/// # Contract
///
/// - Asked once for every request, retries included; every answer has a `jti` of its own.
/// - `audience` is the issuer of the server where that is known, else the URL of the endpoint. A
///   server that wants something else there gets what the implementation puts into the JWT; nothing
///   looks into it.
/// - A client authenticates by [`client_assertion`](Self::client_assertion); a grant is asked for by
///   [`assertion`](Self::assertion).
/// - It runs before [`ready_to_send`](tokenkeeper::FetchContext::ready_to_send) and within the time
///   of the attempt. It must not block.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, Secret, async_trait};
/// use tokenkeeper_providers::AssertionSource;
///
/// #[derive(Debug)]
/// struct Signer;
///
/// #[async_trait]
/// impl AssertionSource for Signer {
///     async fn assertion(&self, audience: &str) -> Result<Secret, Error> {
///         Ok(Secret::from(format!("header.claims for {audience}.signature")))
///     }
/// }
/// ```
#[async_trait]
pub trait AssertionSource: Debug + Send + Sync + 'static {
    /// A new assertion for this audience.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being signed. The attempt ends with that error; nothing was sent.
    async fn assertion(&self, audience: &str) -> Result<Secret, Error>;

    /// A new assertion for this audience by which the client of that id authenticates.
    ///
    /// # Default
    ///
    /// [`assertion`](Self::assertion), for those who know the id. Whoever builds the assertion from
    /// it cannot contradict the request, which has the id too.
    ///
    /// # Errors
    ///
    /// As [`assertion`](Self::assertion).
    async fn client_assertion(&self, client_id: &str, audience: &str) -> Result<Secret, Error> {
        let _ = client_id;
        self.assertion(audience).await
    }

    /// Told that the server refused an assertion of the JWT bearer grant (RFC 7523 §3.1). Returns
    /// whether the next one is another that may be accepted: the key was read anew, say, or the token
    /// that is handed on was replaced. Then the request is made once more.
    ///
    /// # Default
    ///
    /// `false`: the next assertion is made in the same way.
    ///
    /// # Errors
    ///
    /// What kept it from being replaced. The caller gets the refusal.
    async fn replace_refused(&self) -> Result<bool, Error> {
        Ok(false)
    }
}

/// The one proof in one request.
pub(crate) enum Proof {
    /// The header, and the secret in it.
    Header(HeaderValue, Secret),
    Secret(Secret),
    Assertion(Secret),
    None,
}

impl Proof {
    /// What the answer must not repeat.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Header(_, secret) | Self::Secret(secret) | Self::Assertion(secret) => {
                Some(secret)
            }
            Self::None => None,
        }
    }

    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Header(header, _) => Some(header),
            _ => None,
        }
    }

    /// What goes into the body besides `client_id`.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (first, second) = match self {
            Self::Secret(secret) => (Some(("client_secret", secret.expose_secret())), None),
            Self::Assertion(jwt) => (
                Some(("client_assertion_type", JWT_BEARER)),
                Some(("client_assertion", jwt.expose_secret())),
            ),
            Self::Header(..) | Self::None => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// Text that can be sent in a form and in a header: there is some, and no control characters.
pub(crate) fn check_text(field: &str, text: &Secret) -> Result<(), Error> {
    let text = text.expose_secret();
    if text.is_empty() {
        return Err(config_error(field, "must not be empty"));
    }
    if text.chars().any(char::is_control) {
        let what = "must not have control characters (is there a line break at its end?)";
        return Err(config_error(field, what));
    }
    Ok(())
}

fn encoded_proof(client_id: &str, secret: &Secret) -> Result<Proof, Error> {
    let encoded = form_encoded(secret.expose_secret());
    let line = Zeroizing::new(format!("{}:{}", &*form_encoded(client_id), &*encoded));
    Ok(Proof::Header(basic_header(&line)?, secret.clone()))
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * LONGEST_ESCAPE));
    for piece in form_urlencoded::byte_serialize(text.as_bytes()) {
        // A plus in the text itself has become %2B, so this one stands for a blank.
        encoded.push_str(if piece == "+" { "%20" } else { piece });
    }
    encoded
}

fn basic_header(line: &str) -> Result<HeaderValue, Error> {
    let length = BASIC.len() + line.len().div_ceil(3) * 4;
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.push_str(BASIC);
    STANDARD.encode_string(line, &mut text);
    let bytes = Zeroizing::new(std::mem::take(&mut *text).into_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))
        .map_err(|_| config_error("client secret", "does not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

const BASIC: &str = "Basic ";
const CHECK_ASSERTION: &str = "if the server knows the key, the clock of this machine may be wrong, \
                               or the audience of the assertion";
const TRY_BASIC: &str = "if they are right, the server may want them in the Authorization header: try \
                         ClientAuth::basic";
const TRY_POST: &str =
    "if they are right, the server may want them in the body: try ClientAuth::post";
const TRY_POST_OR_RAW: &str = "if they are right, the server may want them in the body: try \
                               ClientAuth::post, then ClientAuth::basic_raw, which does not \
                               encode them";
const LONGEST_ESCAPE: usize = 3; // one byte becomes %XX
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_characters_are_encoded_as_in_a_form_with_percent_20_for_a_blank() {
        assert_eq!(&*form_encoded("a:b+c%d e~*-._ü"), "a%3Ab%2Bc%25d%20e%7E*-._%C3%BC");
    }

    #[test]
    fn the_header_is_built_in_place_and_marked_sensitive() {
        let header = basic_header("id:hunter2").unwrap();

        assert_eq!(header, "Basic aWQ6aHVudGVyMg==");
        assert!(header.is_sensitive());
    }
}
