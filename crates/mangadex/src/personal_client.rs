//! The client that a user registered, and what any field of credentials must be.

use std::fmt;

use thiserror::Error as ThisError;
use tokenkeeper::{Error, ErrorKind, Secret};

use crate::SERVICE_NAME;

/// A personal client: its id and secret, as the settings page of MangaDex shows them.
///
/// Its shape is not checked, because nobody promised one. A new client cannot be used before
/// MangaDex has approved it; errors about the client say so. `Debug` shows the id only.
#[derive(Clone)]
pub struct PersonalClient {
    id: String,
    secret: Secret,
}

impl PersonalClient {
    /// A client by its id, such as `personal-client-…`, and its secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if one of them is empty or has control characters. The message names
    /// the field and never its value.
    pub fn new(id: impl Into<String>, secret: impl Into<Secret>) -> Result<Self, Error> {
        Ok(Self::checked(id.into(), secret.into())?)
    }

    pub(crate) fn checked(id: String, secret: Secret) -> Result<Self, Malformed> {
        check("client_id", &id)?;
        check("client_secret", secret.expose_secret())?;
        Ok(Self { id, secret })
    }

    /// The client id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The client secret.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl fmt::Debug for PersonalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonalClient")
            .field("id", &self.id)
            .field("secret", &self.secret)
            .finish()
    }
}

/// What is wrong with credentials. It names fields and never their values.
#[derive(Debug, ThisError)]
pub(crate) enum Malformed {
    #[error(
        "must be client_id:client_secret:username:password, and only {0} of the four are there"
    )]
    Parts(usize),
    #[error("{0}: must be given")]
    Missing(&'static str),
    #[error("{0}: must not be empty")]
    Empty(&'static str),
    #[error("{0}: must not have control characters (is there a line break in it?)")]
    Control(&'static str),
    #[error("must be UTF-8")]
    NotUnicode,
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        malformed.at("credentials")
    }
}

impl Malformed {
    /// The error for users, with where the credentials came from.
    pub(crate) fn at(self, place: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{place}: {self}")).at_service(SERVICE_NAME)
    }
}

pub(crate) fn check(field: &'static str, text: &str) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed::Empty(field));
    }
    if text.chars().any(char::is_control) {
        return Err(Malformed::Control(field));
    }
    Ok(())
}
