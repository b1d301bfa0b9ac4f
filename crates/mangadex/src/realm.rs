//! Where tokens come from: a realm of a Keycloak server.

use tokenkeeper::{Error, ErrorKind, is_loopback_host};
use url::Url;

use crate::SERVICE_NAME;

/// The realm that issues tokens. The default is that of MangaDex; another one is for private
/// instances and tests.
///
/// # Examples
///
/// ```
/// use tokenkeeper_mangadex::Realm;
///
/// assert_eq!(
///     Realm::default().token_url(),
///     "https://auth.mangadex.org/realms/mangadex/protocol/openid-connect/token"
/// );
/// let realm = Realm::new("https://id.example.org/auth", "manga")?;
/// assert!(realm.revocation_url().starts_with("https://id.example.org/auth/realms/manga/"));
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// Without a slash at its end.
    base_url: String,
    name: String,
}

impl Realm {
    /// A realm by the base URL of its server and its name. A path in the base URL stays, for
    /// servers that keep Keycloak below one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the base URL is no https URL (plain http is for loopback hosts
    /// only), or has a query, fragment, user name or password; or if the name is empty or has
    /// other characters than letters, digits and `-_.~`. The message names the field.
    pub fn new(base_url: &str, name: &str) -> Result<Self, Error> {
        let base_url = checked_base("base URL", base_url)?;
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        let is_path = matches!(name, "." | "..");
        if name.is_empty() || is_path || !name.bytes().all(is_allowed) {
            return Err(wrong("realm: must be letters, digits and -_.~, as it stands in URLs"));
        }
        Ok(Self { base_url, name: name.to_owned() })
    }

    /// The base URL, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The name of the realm.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token endpoint (RFC 6749 §3.2), for logins and refreshes alike.
    #[must_use]
    pub fn token_url(&self) -> String {
        self.endpoint("token")
    }

    /// The revocation endpoint (RFC 7009 §2).
    #[must_use]
    pub fn revocation_url(&self) -> String {
        self.endpoint("revoke")
    }

    /// Where a browser ends its session with the realm (OpenID Connect RP-Initiated Logout).
    /// Nothing here asks it: tokens are revoked.
    #[must_use]
    pub fn logout_url(&self) -> String {
        self.endpoint("logout")
    }

    fn endpoint(&self, name: &str) -> String {
        format!("{}/realms/{}/protocol/openid-connect/{name}", self.base_url, self.name)
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self { base_url: BASE_URL.to_owned(), name: NAME.to_owned() }
    }
}

/// The URL that others are made from, without a slash at its end.
pub(crate) fn checked_base(field: &'static str, text: &str) -> Result<String, Error> {
    let wrong = |what: &str| wrong(format!("{field}: {what}"));
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        // The parser would drop them silently.
        return Err(wrong("must not have blanks or control characters"));
    }
    let url = Url::parse(text).map_err(|_| wrong("is not an absolute URL"))?;
    let is_local = url.host_str().is_some_and(is_loopback_host);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err(wrong("must be https, because passwords and tokens are sent to it"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not have a user name or password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not have a query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn wrong(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, what).at_service(SERVICE_NAME)
}

const BASE_URL: &str = "https://auth.mangadex.org";
const NAME: &str = "mangadex";
