//! What the browser brought back, which anybody on the web may have written.

use std::fmt;

use tokenkeeper::{Error, ErrorKind, OAuthError, Secret};
use url::{Url, form_urlencoded};

/// The answer of an authorization server, as the browser brought it (RFC 6749 §4.1.2).
///
/// Nothing of it is to be believed before
/// [`finish`](crate::AuthorizationCodeLogin::finish) has looked at it.
///
/// # Examples
///
/// ```
/// use tokenkeeper_providers::Callback;
///
/// let callback = Callback::parse("/callback?code=abc&state=xyz")?;
/// assert_eq!(callback.state(), "xyz");
/// assert!(Callback::parse("/callback?code=abc&state=x&state=y").is_err());
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct Callback {
    state: Secret,
    pub(super) outcome: Outcome,
    pub(super) iss: Option<String>,
}

#[derive(Clone)]
pub(super) enum Outcome {
    Code(Secret),
    Error(OAuthError),
}

impl Callback {
    /// Reads the URL that was called, absolute or from its path on, or the query alone, or the body
    /// of a form that was posted (`response_mode=form_post`).
    ///
    /// Parameters that nobody knows are ignored, and those without a value count as missing
    /// (RFC 6749 §3.1).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LoginRequired`] if there is no `state`, if there is neither a `code` nor an
    /// `error`, or if a parameter of the protocol is there twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let [mut state, mut code, mut iss, mut error, mut description] = [const { None }; 5];
        for (name, value) in form_urlencoded::parse(query_of(text).as_bytes()) {
            let place = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "iss" => &mut iss,
                "error" => &mut error,
                "error_description" => &mut description,
                _ => continue,
            };
            if place.replace(Secret::from(value.into_owned())).is_some() {
                let what = format!("the callback has `{name}` more than once (RFC 6749 §3.1)");
                return Err(refused(what));
            }
        }
        let [state, code, iss, error, description] = [state, code, iss, error, description]
            .map(|value| value.filter(|value| !value.is_empty()));
        let Some(state) = state else {
            return Err(refused("the callback has no `state`, so nobody knows whose login it is"));
        };
        let outcome = match (error, code) {
            (Some(error), _) => {
                let description = description.as_ref().map(Secret::expose_secret);
                Outcome::Error(OAuthError::new(error.expose_secret(), description))
            }
            (None, Some(code)) => Outcome::Code(code),
            (None, None) => {
                return Err(refused("the callback has neither `code` nor `error`"));
            }
        };
        let iss = iss.map(|iss| iss.expose_secret().to_owned());
        Ok(Self { state, outcome, iss })
    }

    /// `state`: which of the pending logins this belongs to, if it is
    /// [`PendingLogin::state`](crate::PendingLogin::state) of one.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose_secret()
    }

    pub(super) fn is_of(&self, state: &Secret) -> bool {
        self.state.ct_eq(state)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Code(_) => "code",
            Outcome::Error(_) => "error",
        };
        f.debug_struct("Callback").field("outcome", &outcome).finish_non_exhaustive()
    }
}

/// A name has an equals sign behind it and a scheme has none before its colon, so a query alone is
/// never taken for a URL.
fn query_of(text: &str) -> &str {
    let text = text.trim();
    let is_url = text.starts_with(['/', '?']) || Url::parse(text).is_ok();
    let query = if is_url { text.split_once('?').map_or("", |(_, query)| query) } else { text };
    query.split_once('#').map_or(query, |(query, _)| query)
}

fn refused(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::LoginRequired, what).with_advice("begin a new login")
}
