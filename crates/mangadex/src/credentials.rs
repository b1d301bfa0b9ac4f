//! What a login takes: a personal client, and the user that it belongs to.

use std::fmt;
use std::str::FromStr;

use tokenkeeper::{Error, Secret};

use crate::personal_client::{Malformed, PersonalClient, check};

/// The four values of a login, checked and from then on unchangeable.
///
/// They are often kept in one text, `client_id:client_secret:username:password`, and parsed from
/// it. It is split at its first three colons, so a password may have colons; where another value
/// has one, use the [builder](Self::builder). One line end after the text, as files and shells
/// leave it there, is dropped, `\n` or `\r\n`; blanks stay, because passwords may have them.
///
/// `Debug` shows client id and user name; secret and password are redacted, and overwritten when
/// dropped. There is no `Display`.
///
/// # Examples
///
/// ```
/// use tokenkeeper_mangadex::Credentials;
///
/// let credentials: Credentials = "personal-client-1:client secret:alice:pass:word\n".parse()?;
/// assert_eq!(credentials.username(), "alice");
/// assert_eq!(credentials.password().expose_secret(), "pass:word");
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    client: PersonalClient,
    username: String,
    password: Secret,
}

impl Credentials {
    /// Starts with none of the four; all are required.
    #[must_use]
    pub fn builder() -> CredentialsBuilder {
        CredentialsBuilder::default()
    }

    /// The client id and secret.
    #[must_use]
    pub fn client(&self) -> &PersonalClient {
        &self.client
    }

    /// The user name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &Secret {
        &self.password
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = without_line_end(text).splitn(PARTS, ':');
        let mut found = 0;
        let mut next = || {
            let part = parts.next().ok_or(Malformed::Parts(found))?;
            found += 1;
            Ok(part)
        };
        let (id, secret, username, password) = (next()?, next()?, next()?, next()?);
        Self::checked(id.to_owned(), secret.into(), username.to_owned(), password.into())
    }

    fn checked(
        id: String,
        secret: Secret,
        username: String,
        password: Secret,
    ) -> Result<Self, Malformed> {
        let client = PersonalClient::checked(id, secret)?;
        check("username", &username)?;
        check("password", password.expose_secret())?;
        Ok(Self { client, username, password })
    }
}

/// Parses `client_id:client_secret:username:password`.
///
/// # Errors
///
/// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config) if one of the four is missing or empty, or
/// has control characters. The message names the field and never its value.
impl FromStr for Credentials {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(Self::parse(text)?)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client", &self.client)
            .field("username", &self.username)
            .field("password", &self.password)
            .finish()
    }
}

/// Builds [`Credentials`] out of the four values.
#[derive(Clone, Default)]
pub struct CredentialsBuilder {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
}

impl CredentialsBuilder {
    /// The client id, such as `personal-client-…`. Required.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// The client secret. Required.
    #[must_use]
    pub fn client_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// The user name. Required.
    #[must_use]
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// The password. Required.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Checks the four values, as they are: nothing is trimmed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config) if one is missing or empty, or has
    /// control characters. The message names the field and never its value.
    pub fn build(self) -> Result<Credentials, Error> {
        let id = self.client_id.ok_or(Malformed::Missing("client_id"))?;
        let secret = self.client_secret.ok_or(Malformed::Missing("client_secret"))?;
        let username = self.username.ok_or(Malformed::Missing("username"))?;
        let password = self.password.ok_or(Malformed::Missing("password"))?;
        Ok(Credentials::checked(id, secret, username, password)?)
    }
}

impl fmt::Debug for CredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsBuilder")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The text without one line end after it.
pub(crate) fn without_line_end(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    }
}

const PARTS: usize = 4;
