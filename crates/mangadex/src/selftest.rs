//! A check that needs no network.

use std::str::FromStr;

use tokenkeeper::{Error, ErrorKind};

use crate::credentials::Credentials;
use crate::realm::Realm;
use crate::{API_ORIGIN, SERVICE_NAME};

/// Checks without a network, a storage or real credentials that this build parses credentials, shows
/// none of their secrets, and knows its realm and API. For the `--selftest` of a program.
///
/// # Errors
///
/// [`ErrorKind::Internal`], with the name of what does not work.
///
/// # Examples
///
/// ```
/// tokenkeeper_mangadex::selftest()?;
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
pub fn selftest() -> Result<(), Error> {
    let credentials = Credentials::from_str("id:planted-one:name:planted:two")?;
    let password = credentials.password().expose_secret();
    require(password == "planted:two", "credentials are not split at their first three colons")?;
    require(Credentials::from_str("id:secret:name").is_err(), "three values pass for credentials")?;
    let shown = format!("{credentials:?}");
    require(!shown.contains("planted"), "credentials show a secret")?;
    let token_url = Realm::default().token_url();
    require(token_url.starts_with("https://"), "the realm is not asked by https")?;
    require(API_ORIGIN.starts_with("https://"), "the API is not asked by https")
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, otherwise).at_service(SERVICE_NAME))
}
