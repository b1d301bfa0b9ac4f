//! Which credentials to take: given ones, then the environment, then a credential store.

use std::ffi::OsString;
use std::fmt;

use tokenkeeper::{Error, ErrorKind, Secret};

use crate::SERVICE_NAME;
use crate::credential_store::CredentialStore;
use crate::credentials::{Credentials, without_line_end};
use crate::personal_client::Malformed;

/// Finds credentials in three places, in this order:
///
/// 1. what was [given](Self::given), such as an argument of the command line,
/// 2. the environment: `MANGADEX_CREDENTIALS`, then `ANIMEDEX_MANGADEX_CREDS`,
/// 3. a [credential store](Self::store), under the key `mangadex`.
///
/// Each holds `client_id:client_secret:username:password`, as [`Credentials`] parses it. An empty
/// place counts as none, and the next one is asked. A place with something else in it is an error:
/// taking the next one would log in as somebody that nobody asked for.
///
/// # Examples
///
/// ```
/// use tokenkeeper_mangadex::{MemoryCredentialStore, Resolver};
///
/// let keyring = MemoryCredentialStore::from_iter([("mangadex", "id:secret:alice:hunter2")]);
/// let credentials = Resolver::new()
///     .environment(|_name| None) // in a test; otherwise the process's
///     .store(keyring)
///     .resolve()?;
/// assert_eq!(credentials.username(), "alice");
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
pub struct Resolver {
    given: Option<GivenCredentials>,
    variables: Vec<String>,
    environment: Box<ReadVariable>,
    store: Option<Box<dyn CredentialStore>>,
}

impl Resolver {
    /// Asks the environment of the process and nothing else.
    #[must_use]
    pub fn new() -> Self {
        Self {
            given: None,
            variables: VARIABLES.iter().copied().map(str::to_owned).collect(),
            environment: Box::new(|name| std::env::var_os(name)),
            store: None,
        }
    }

    /// Credentials that come before all others: [`Credentials`], or a text that is parsed as such.
    #[must_use]
    pub fn given(mut self, given: impl Into<GivenCredentials>) -> Self {
        self.given = Some(given.into());
        self
    }

    /// Asks these variables instead, in this order.
    #[must_use]
    pub fn variables<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.variables = names.into_iter().map(Into::into).collect();
        self
    }

    /// Reads variables by this function instead of from the process.
    #[must_use]
    pub fn environment(
        mut self,
        read: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        self.environment = Box::new(read);
        self
    }

    /// The store to ask last.
    ///
    /// # Default
    ///
    /// None.
    #[must_use]
    pub fn store(mut self, store: impl CredentialStore) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// The first credentials that are there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a place has something malformed in it, with the name of the place
    /// and never its value; or if there are none anywhere. The store's error if it cannot be asked.
    pub fn resolve(&self) -> Result<Credentials, Error> {
        let text = match &self.given {
            Some(GivenCredentials(Given::Ready(ready))) => return Ok(Credentials::clone(ready)),
            Some(GivenCredentials(Given::Text(text))) => Some(text.clone()),
            None => None,
        };
        if let Some(credentials) = parse("the given credentials", text)? {
            return Ok(credentials);
        }
        for name in &self.variables {
            let place = format!("environment variable {name}");
            let text = (self.environment)(name).map(OsString::into_string).transpose();
            let text = text.map_err(|_| Malformed::NotUnicode.at(&place))?;
            if let Some(credentials) = parse(&place, text.map(Secret::from))? {
                return Ok(credentials);
            }
        }
        if let Some(store) = &self.store {
            let text = store.get(KEY).map_err(|error| error.at_service(SERVICE_NAME))?;
            let place = format!("credential store, key `{KEY}`");
            if let Some(credentials) = parse(&place, text)? {
                return Ok(credentials);
            }
        }
        Err(self.nothing_found())
    }

    fn nothing_found(&self) -> Error {
        let variables = match self.variables.as_slice() {
            [] => "no environment variable was asked".to_owned(),
            names => format!("the environment has none in {}", names.join(" or ")),
        };
        let store = match self.store {
            Some(_) => format!("the credential store has none under `{KEY}`"),
            None => "there is no credential store".to_owned(),
        };
        let what = format!("no credentials: none were given, {variables}, and {store}");
        Error::new(ErrorKind::Config, what).at_service(SERVICE_NAME)
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("given", &self.given)
            .field("variables", &self.variables)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// What was given to a [`Resolver`]: made from [`Credentials`], or from a text.
#[derive(Clone, Debug)]
pub struct GivenCredentials(Given);

#[derive(Clone, Debug)]
enum Given {
    Ready(Box<Credentials>),
    Text(Secret),
}

impl From<Credentials> for GivenCredentials {
    fn from(credentials: Credentials) -> Self {
        Self(Given::Ready(Box::new(credentials)))
    }
}

impl From<Secret> for GivenCredentials {
    fn from(text: Secret) -> Self {
        Self(Given::Text(text))
    }
}

impl From<String> for GivenCredentials {
    fn from(text: String) -> Self {
        Secret::from(text).into()
    }
}

impl From<&str> for GivenCredentials {
    fn from(text: &str) -> Self {
        Secret::from(text).into()
    }
}

/// `None` if there is nothing at that place.
fn parse(place: &str, text: Option<Secret>) -> Result<Option<Credentials>, Error> {
    let Some(text) = text else { return Ok(None) };
    if without_line_end(text.expose_secret()).is_empty() {
        return Ok(None);
    }
    let parsed = Credentials::parse(text.expose_secret());
    parsed.map(Some).map_err(|malformed| malformed.at(place))
}

type ReadVariable = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Ours first; the second is where users of animedex have theirs.
const VARIABLES: &[&str] = &["MANGADEX_CREDENTIALS", "ANIMEDEX_MANGADEX_CREDS"];
const KEY: &str = "mangadex";
