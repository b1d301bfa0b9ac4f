//! JWTs that say who a client is, or on whose behalf it asks (RFC 7523 §3).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use tokenkeeper::{Clock, Error, ErrorKind, Secret, SystemClock};
use tokenkeeper_providers::{AssertionSource, ClientAuth};

use crate::signing_key::{append_signature, signing_input};
use crate::{HmacKey, Signer};

/// Makes an assertion for every request: a JWT with an `iat`, an `exp` and a `jti` of its own.
///
/// # Examples
///
/// A client that authenticates with a key, and a service account that acts for a user:
///
/// ```
/// use tokenkeeper_jwt::{Algorithm, JwtAssertion, SigningKey};
/// use tokenkeeper_providers::ClientAuth;
///
/// let key = SigningKey::generate(Algorithm::Es256)?.with_key_id("2026");
/// let auth = ClientAuth::assertion(JwtAssertion::for_client(key.clone()));
///
/// let grant = JwtAssertion::for_subject("robot@example.org", "alice@example.org", key)
///     .claim("scope", "calendar.read")?;
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtAssertion {
    signer: Arc<dyn Signer>,
    speaker: Speaker,
    audience: Option<Box<str>>,
    key_id: Option<Box<str>>,
    header_type: Box<str>,
    header_parameters: Map<String, Value>,
    lifetime: Duration,
    not_before: bool,
    claims: Map<String, Value>,
    clock: Arc<dyn Clock>,
}

/// The issuer of the assertion, and its subject.
#[derive(Clone, Debug)]
enum Speaker {
    /// A client of itself. Its id comes with the request, so that the two cannot differ.
    Client,
    Issuer {
        issuer: Box<str>,
        subject: Box<str>,
    },
}

/// `private_key_jwt` in one line: the client authenticates by assertions that this key signs
/// (RFC 7523 §2.2). The id is that of the client it is given with.
///
/// # Examples
///
/// ```
/// use tokenkeeper_jwt::{Algorithm, SigningKey, private_key_jwt};
/// use tokenkeeper_providers::ClientCredentialsProvider;
///
/// let key = SigningKey::generate(Algorithm::Es256)?;
/// let builder = ClientCredentialsProvider::builder("billing", "https://auth.example.org/token")
///     .client("billing-job", private_key_jwt(key));
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[must_use]
pub fn private_key_jwt(signer: impl Signer) -> ClientAuth {
    ClientAuth::assertion(JwtAssertion::for_client(signer))
}

/// `client_secret_jwt` in one line: the secret signs with HS256 and is never sent (OpenID Connect
/// Core §9).
///
/// # Errors
///
/// [`ErrorKind::Config`]: the secret is shorter than 32 bytes (RFC 7518 §3.2).
pub fn client_secret_jwt(secret: impl Into<Secret>) -> Result<ClientAuth, Error> {
    let key = HmacKey::hs256(secret.into().expose_secret().as_bytes())?;
    Ok(ClientAuth::assertion(JwtAssertion::for_client(key)))
}

impl JwtAssertion {
    /// Says who a client is: `iss` and `sub` are the id of the client that authenticates with it
    /// (RFC 7523 §3). It goes into [`ClientAuth::assertion`].
    #[must_use]
    pub fn for_client(signer: impl Signer) -> Self {
        Self::new(signer, Speaker::Client)
    }

    /// Says on whose behalf a token is asked for, in the JWT bearer grant (RFC 7523 §2.1). For a
    /// service account that asks for itself both are its name.
    #[must_use]
    pub fn for_subject(
        issuer: impl Into<String>,
        subject: impl Into<String>,
        signer: impl Signer,
    ) -> Self {
        let (issuer, subject) = (issuer.into().into(), subject.into().into());
        Self::new(signer, Speaker::Issuer { issuer, subject })
    }

    /// What to put into `aud`, for servers that want something else there.
    ///
    /// # Default
    ///
    /// The issuer of the server if the provider knows it, else the URL of the endpoint.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into().into());
        self
    }

    /// `kid` of the header.
    ///
    /// # Default
    ///
    /// That of the signer, if it has one.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into().into());
        self
    }

    /// `typ` of the header. Servers that follow the update of RFC 7523 want
    /// `client-authentication+jwt` where a client authenticates.
    ///
    /// # Default
    ///
    /// `JWT`
    #[must_use]
    pub fn header_type(mut self, header_type: impl Into<String>) -> Self {
        self.header_type = header_type.into().into();
        self
    }

    /// Adds a parameter to the header, or replaces one that was added: `x5t#S256`, say, for servers
    /// that find the key by its certificate (RFC 7515 §4.1.8), as Microsoft Entra ID does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]: it is one that has a method of its own or changes what is signed,
    /// which are `alg`, `b64`, `crit`, `kid` and `typ`.
    pub fn header_parameter(
        mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Result<Self, Error> {
        let name = name.into();
        if RESERVED_IN_HEADER.contains(&name.as_str()) {
            return Err(assertion_error(format!("the header parameter `{name}` is not free")));
        }
        self.header_parameters.insert(name, value.into());
        Ok(self)
    }

    /// How long after it was made it may be used: `exp`, in whole seconds.
    ///
    /// # Default
    ///
    /// 60 s. Every request gets a new one, so it must only outlast the request and the difference
    /// of the clocks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], unless it is from 5 s to an hour.
    pub fn lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if !(SHORTEST..=LONGEST).contains(&lifetime) {
            return Err(assertion_error("its lifetime must be from 5 s to an hour"));
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Adds `nbf`, the same as `iat`.
    ///
    /// # Default
    ///
    /// There is none: a server whose clock is behind would refuse it.
    #[must_use]
    pub fn not_before(mut self) -> Self {
        self.not_before = true;
        self
    }

    /// Adds a claim, or replaces one that was added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]: it is one of those that are made for every assertion, which are
    /// `aud`, `exp`, `iat`, `iss`, `jti`, `nbf` and `sub`.
    pub fn claim(
        mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Result<Self, Error> {
        let name = name.into();
        if RESERVED.contains(&name.as_str()) {
            return Err(assertion_error(format!("the claim `{name}` is made anew each time")));
        }
        self.claims.insert(name, value.into());
        Ok(self)
    }

    /// Where `iat` and `exp` come from.
    ///
    /// # Default
    ///
    /// The clock of the operating system.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn new(signer: impl Signer, speaker: Speaker) -> Self {
        Self {
            signer: Arc::new(signer),
            speaker,
            audience: None,
            key_id: None,
            header_type: "JWT".into(),
            header_parameters: Map::new(),
            lifetime: LIFETIME,
            not_before: false,
            claims: Map::new(),
            clock: Arc::new(SystemClock),
        }
    }

    async fn signed(&self, issuer: &str, subject: &str, audience: &str) -> Result<Secret, Error> {
        let (header, claims) = (self.header()?, self.claims(issuer, subject, audience)?);
        let mut jwt = signing_input(&header, &claims);
        let signature = self.signer.sign(jwt.as_bytes()).await?;
        check_length(self.signer.algorithm(), &signature)?;
        append_signature(&mut jwt, &signature);
        Ok(Secret::from(jwt))
    }

    fn header(&self) -> Result<Vec<u8>, Error> {
        let alg = self.signer.algorithm();
        if alg.is_empty() || alg.eq_ignore_ascii_case("none") {
            return Err(assertion_error("the signer names no algorithm (RFC 7523 §3)"));
        }
        let kid = self.key_id.as_deref().or_else(|| self.signer.key_id());
        json(&Header { alg, typ: &self.header_type, kid, others: &self.header_parameters })
    }

    fn claims(&self, iss: &str, sub: &str, aud: &str) -> Result<Vec<u8>, Error> {
        let iat = unix_seconds(self.clock.now().wall());
        let exp = iat.saturating_add(self.lifetime.as_secs());
        let aud = self.audience.as_deref().unwrap_or(aud);
        let (nbf, jti) = (self.not_before.then_some(iat), unique()?);
        json(&Claims { iss, sub, aud, iat, exp, nbf, jti, others: &self.claims })
    }
}

#[async_trait]
impl AssertionSource for JwtAssertion {
    async fn assertion(&self, audience: &str) -> Result<Secret, Error> {
        match &self.speaker {
            Speaker::Issuer { issuer, subject } => self.signed(issuer, subject, audience).await,
            Speaker::Client => Err(assertion_error(
                "it is about a client, which does not say for whom a token is; use \
                 JwtAssertion::for_subject",
            )),
        }
    }

    async fn client_assertion(&self, client_id: &str, audience: &str) -> Result<Secret, Error> {
        match &self.speaker {
            Speaker::Client => self.signed(client_id, client_id, audience).await,
            Speaker::Issuer { issuer, subject } if **subject == *client_id => {
                self.signed(issuer, subject, audience).await
            }
            Speaker::Issuer { .. } => Err(assertion_error(
                "its subject is not the client that authenticates with it (RFC 7523 §3); use \
                 JwtAssertion::for_client",
            )),
        }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(flatten)]
    others: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    jti: String,
    #[serde(flatten)]
    others: &'a Map<String, Value>,
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|_| {
        Error::new(ErrorKind::Internal, "assertion: its header or claims cannot be written as JSON")
    })
}

/// 128 random bits.
fn unique() -> Result<String, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            "assertion: the operating system gave no random numbers for its `jti`",
        )
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Key services give ECDSA signatures in DER, which no server would take; and one that gives nothing
/// would have an unsigned assertion sent, which a careless server might.
fn check_length(algorithm: &str, signature: &[u8]) -> Result<(), Error> {
    let length = match algorithm {
        _ if signature.is_empty() => return Err(assertion_error("the signer made no signature")),
        "ES256" | "EdDSA" | "Ed25519" => 64,
        "ES384" => 96,
        "ES512" => 132,
        _ => return Ok(()),
    };
    if signature.len() == length {
        return Ok(());
    }
    Err(assertion_error(format!(
        "the signer made an {algorithm} signature that is not {length} bytes long; a JWS has r and \
         s one after the other, not DER (RFC 7518 §3.4)"
    )))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn assertion_error(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, format!("assertion: {}", what.into()))
}

const RESERVED: [&str; 7] = ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"];
const RESERVED_IN_HEADER: [&str; 5] = ["alg", "b64", "crit", "kid", "typ"];
const LIFETIME: Duration = Duration::from_secs(60); // one request, and clocks that differ
const SHORTEST: Duration = Duration::from_secs(5); // slower requests are not rare
const LONGEST: Duration = Duration::from_secs(60 * 60); // what servers take at most
