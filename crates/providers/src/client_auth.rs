//! How a client proves who it is at an endpoint (RFC 6749 §2.3).
//!
//! Exactly one method goes into a request (§2.3 forbids more), and it is put there by this file,
//! whatever the grant.

use std::fmt::{self, Debug};
use std::sync::Arc;

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
    Assertion(Arc<dyn AssertionSource>),
    None,
}

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
            Method::Assertion(_) | Method::None => Ok(()),
        }
    }

    /// What else to try when a server refuses the client, although id and secret are right. Only
    /// Basic has two spellings, and only some ids and secrets show a difference. An assertion says
    /// more than who the client is, and servers seldom say what of it they refuse.
    pub(crate) fn hint(&self, client_id: &str) -> Option<&'static str> {
        let changes = |text: &str| *form_encoded(text) != *text;
        match &self.0 {
            Method::Basic(secret) => {
                (changes(client_id) || changes(secret.expose_secret())).then_some(TRY_RAW)
            }
            Method::Assertion(_) => Some(CHECK_ASSERTION),
            _ => None,
        }
    }

    /// What goes into one request. An assertion is asked for anew, because its `jti` may be used
    /// only once (RFC 7523 §3).
    pub(crate) async fn proof(&self, client_id: &str, audience: &str) -> Result<Proof, Error> {
        Ok(match &self.0 {
            Method::Basic(secret) => {
                let line = Zeroizing::new(format!(
                    "{}:{}",
                    &*form_encoded(client_id),
                    &*form_encoded(secret.expose_secret())
                ));
                Proof::Header(basic_header(&line)?, secret.clone())
            }
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
const TRY_RAW: &str = "if they are right, the server may want them not encoded: try \
                       ClientAuth::basic_raw";
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
