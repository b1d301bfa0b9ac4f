//! One service: where its tokens come from, and where they go.

use std::fmt;
use std::sync::Arc;

use glob::Pattern;
use tokenkeeper::{Error, ErrorKind, TokenManager};

use crate::bearer::Bearer;
use crate::origin::Origin;
use crate::presenter::Presenter;
use crate::target::Target;

/// One service: where its tokens come from, and to which requests they go.
///
/// What is wrong with it is said by [`TokenRoutes::new`](crate::TokenRoutes::new).
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_http::{Route, TokenRoutes};
///
/// # fn routes(billing: TokenManager) -> Result<TokenRoutes, tokenkeeper::Error> {
/// let route = Route::new(billing)
///     .origin("https://billing.example.com")
///     .origin("https://billing.example.com:8443")
///     .exclude_path("/health")
///     .exclude_glob("/public/*");
/// let routes = TokenRoutes::new([route])?;
/// # Ok(routes)
/// # }
/// ```
#[derive(Debug)]
pub struct Route {
    manager: Option<TokenManager>,
    origins: Vec<String>,
    excluded: Vec<String>,
    globs: Vec<String>,
    presenter: Box<dyn Presenter>,
    replays: bool,
    accepts_redirects: bool,
    allow_http: bool,
}

impl Route {
    /// A route whose requests get the tokens of this manager.
    #[must_use]
    pub fn new(manager: TokenManager) -> Self {
        Self { manager: Some(manager), ..Self::per_request() }
    }

    /// A route whose requests say themselves whose token they get, with
    /// [`TokenChoice::Of`](crate::TokenChoice::Of): one client for many users. One that does not say
    /// fails.
    #[must_use]
    pub fn per_request() -> Self {
        Self {
            manager: None,
            origins: Vec::new(),
            excluded: Vec::new(),
            globs: Vec::new(),
            presenter: Box::new(Bearer::new()),
            replays: true,
            accepts_redirects: false,
            allow_http: false,
        }
    }

    /// Where the tokens may go: scheme, host and port, as [`Origin::parse`] reads it. At least one;
    /// call it again for more.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// A path whose requests get no token, such as `/health`. It is compared as the request spells
    /// it, without the query.
    #[must_use]
    pub fn exclude_path(mut self, path: impl Into<String>) -> Self {
        self.excluded.push(path.into());
        self
    }

    /// Paths whose requests get no token: `?` stands for one character, `*` for any number of them,
    /// slashes too, `[ab]` for one of a set. `/public/*` is everything below `/public/`.
    #[must_use]
    pub fn exclude_glob(mut self, pattern: impl Into<String>) -> Self {
        self.globs.push(pattern.into());
        self
    }

    /// How tokens go onto requests.
    ///
    /// # Default
    ///
    /// [`Bearer`].
    #[must_use]
    pub fn presenter(mut self, presenter: impl Presenter) -> Self {
        self.presenter = Box::new(presenter);
        self
    }

    /// Sends no request twice. After a 401 the caller gets that, and the next request another token.
    #[must_use]
    pub fn without_replay(mut self) -> Self {
        self.replays = false;
        self
    }

    /// Gives a token to a request that another route has redirected here, if its method is safe
    /// (RFC 9110 §9.2.1): the other service then chooses what is read in the name of this one's
    /// manager. See [`RedirectChain`](crate::RedirectChain).
    ///
    /// # Default
    ///
    /// Such a request gets no token.
    #[must_use]
    pub fn accept_redirects(mut self) -> Self {
        self.accepts_redirects = true;
        self
    }

    /// Lets tokens go to `http` origins that are not this machine, where everyone on the way can
    /// read them.
    #[must_use]
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// For errors.
    pub(crate) fn service_name(&self) -> Option<String> {
        self.manager.as_ref().map(|manager| manager.service_name().to_owned())
    }

    pub(crate) fn check(self) -> Result<(Vec<Origin>, Arc<CheckedRoute>), Error> {
        if self.origins.is_empty() {
            let what = "route: names no origin, so its tokens would go nowhere";
            return Err(Error::new(ErrorKind::Config, what));
        }
        let origins =
            self.origins.iter().map(|text| Origin::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if let Some(open) = origins.iter().find(|origin| !self.allow_http && !origin.is_safe()) {
            let what = format!(
                "origin: {open} must be https, because tokens are sent to it (RFC 6750 §5.2); http \
                 is for loopback hosts and danger_allow_http()"
            );
            return Err(Error::new(ErrorKind::Config, what));
        }
        for path in self.excluded.iter().chain(&self.globs) {
            if !path.starts_with(['/', '*']) {
                let what = format!("route: the excluded path `{path}` must begin with a slash");
                return Err(Error::new(ErrorKind::Config, what));
            }
        }
        let globs = self.globs.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?;
        let route = CheckedRoute {
            manager: self.manager,
            excluded: self.excluded,
            globs,
            presenter: self.presenter,
            replays: self.replays,
            accepts_redirects: self.accepts_redirects,
        };
        Ok((origins, Arc::new(route)))
    }
}

fn pattern(text: &str) -> Result<Pattern, Error> {
    Pattern::new(text).map_err(|wrong| {
        let what = format!("route: the pattern `{text}` cannot be read: {}", wrong.msg);
        Error::new(ErrorKind::Config, what)
    })
}

/// A route that is fit for use.
pub(crate) struct CheckedRoute {
    pub(crate) manager: Option<TokenManager>,
    pub(crate) presenter: Box<dyn Presenter>,
    pub(crate) replays: bool,
    pub(crate) accepts_redirects: bool,
    excluded: Vec<String>,
    globs: Vec<Pattern>,
}

impl CheckedRoute {
    pub(crate) fn excludes(&self, target: &Target<'_>) -> bool {
        self.excluded.iter().any(|path| path == target.path())
            || self.globs.iter().any(|glob| glob.matches(target.path()))
    }
}

impl fmt::Debug for CheckedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("manager", &self.manager)
            .field("presenter", &self.presenter)
            .field("replays", &self.replays)
            .field("accepts_redirects", &self.accepts_redirects)
            .field("excluded", &self.excluded)
            .field("globs", &self.globs.iter().map(Pattern::as_str).collect::<Vec<_>>())
            .finish()
    }
}
