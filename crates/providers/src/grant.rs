//! What is exchanged for tokens, and what it is to bring.

use tokenkeeper::{Error, Secret};

#[cfg(feature = "jwt-bearer")]
use crate::client_auth::{AssertionSource, check_text};

/// What is exchanged for tokens.
#[derive(Clone, Copy)]
pub(crate) enum Grant<'a> {
    /// By its name and with parameters of its own: client credentials (RFC 6749 §4.4) and what
    /// others have added (§4.5).
    Named { grant_type: &'a str, parameters: &'a [(&'a str, &'a str)], secrets: &'a [&'a Secret] },
    /// RFC 6749 §4.1.3, with the verifier of RFC 7636 §4.5.
    #[cfg(feature = "authorization-code")]
    Code { code: &'a Secret, redirect_uri: &'a str, verifier: &'a Secret },
    /// RFC 8628 §3.4.
    #[cfg(feature = "device")]
    DeviceCode(&'a Secret),
    /// RFC 7523 §2.1, with an assertion that is made anew for every request.
    #[cfg(feature = "jwt-bearer")]
    JwtBearer(&'a dyn AssertionSource),
    /// RFC 6749 §4.3.
    Password { username: &'a str, password: &'a Secret },
    /// RFC 6749 §6.
    Refresh(&'a Secret),
}

impl<'a> Grant<'a> {
    /// What the answer must not repeat.
    pub(crate) fn secrets(self) -> Vec<&'a Secret> {
        match self {
            Self::Named { secrets, .. } => secrets.to_vec(),
            #[cfg(feature = "authorization-code")]
            Self::Code { code, verifier, .. } => vec![code, verifier],
            #[cfg(feature = "device")]
            Self::DeviceCode(device_code) => vec![device_code],
            #[cfg(feature = "jwt-bearer")]
            Self::JwtBearer(_) => Vec::new(), // there is none yet
            Self::Password { password: secret, .. } | Self::Refresh(secret) => vec![secret],
        }
    }

    /// The assertion for one request, if it is one that is exchanged.
    pub(crate) async fn assertion(self, audience: &str) -> Result<Option<Secret>, Error> {
        #[cfg(feature = "jwt-bearer")]
        if let Self::JwtBearer(source) = self {
            let jwt = source.assertion(audience).await?;
            check_text("assertion", &jwt)?;
            return Ok(Some(jwt));
        }
        let _ = audience;
        Ok(None)
    }

    /// The grants that the `oauth2` crate does not know go out as another one with this name.
    pub(crate) fn name(self) -> Option<&'a str> {
        match self {
            Self::Named { grant_type, .. } => Some(grant_type),
            #[cfg(feature = "device")]
            Self::DeviceCode(_) => Some(DEVICE_CODE),
            #[cfg(feature = "jwt-bearer")]
            Self::JwtBearer(_) => Some(JWT_BEARER),
            _ => None,
        }
    }
}

/// What a grant is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issues {
    AccessToken,
    /// Something that is not for requests, such as an id token (RFC 8693 §2.2.1).
    #[cfg(feature = "token-exchange")]
    AnotherToken,
    /// The one or the other: some types are formats, and say nothing of the use.
    #[cfg(feature = "token-exchange")]
    Any,
}

pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";
#[cfg(feature = "device")]
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
#[cfg(feature = "jwt-bearer")]
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
