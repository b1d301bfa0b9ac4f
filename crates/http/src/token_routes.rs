//! Decides about one request, and puts the token onto it.

use std::sync::Arc;
use std::task::{Poll, ready};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokenkeeper::{Error, ErrorKind, TokenManager};
use url::Url;

use crate::attached::Attached;
use crate::origin::Origin;
use crate::route::{CheckedRoute, Route};
use crate::target::Target;

/// Which requests get which token. Clones share everything.
///
/// # Examples
///
/// Two services behind one client:
///
/// ```
/// use http::{HeaderMap, Method, Uri};
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_http::{TokenRoutes, Route, Target, TokenChoice};
///
/// # async fn run(billing: TokenManager, stock: TokenManager) -> Result<(), tokenkeeper::Error> {
/// let routes = TokenRoutes::new([
///     Route::new(billing).origin("https://billing.example.com"),
///     Route::new(stock).origin("https://stock.example.com").exclude_path("/health"),
/// ])?;
///
/// let (uri, mut headers) = (Uri::from_static("https://stock.example.com/items"), HeaderMap::new());
/// let target = Target::of(&Method::GET, &uri)?;
/// let attached = routes.attach(&target, &mut headers, TokenChoice::OfRoute).await?;
/// assert!(attached.is_some() && headers.contains_key("authorization"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenRoutes {
    routes: Arc<[(Origin, Arc<CheckedRoute>)]>,
}

/// What one request says about its token. Integrations look for it among the request's extensions.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum TokenChoice {
    /// The token of the route's manager.
    #[default]
    OfRoute,
    /// No token: the request goes out as it is.
    Without,
    /// A token of this manager, if the request goes to an origin of a route: that of a user, say.
    Of(TokenManager),
}

impl TokenRoutes {
    /// Requests to the origins of these routes get a token, and no others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] without any route or origin; if an origin is not one, is not https
    /// ([loopback](tokenkeeper::is_loopback_host) hosts may be http), or is on two routes; if an
    /// excluded path cannot be read.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Result<Self, Error> {
        let mut by_origin: Vec<(Origin, Arc<CheckedRoute>)> = Vec::new();
        for route in routes {
            let service_name = route.service_name();
            let named = |error: Error| match &service_name {
                Some(name) => error.at_service(name),
                None => error,
            };
            let (origins, route) = route.check().map_err(named)?;
            for origin in origins {
                if by_origin.iter().any(|(other, _)| *other == origin) {
                    let what = format!("origin: {origin} is named twice");
                    return Err(named(Error::new(ErrorKind::Config, what)));
                }
                by_origin.push((origin, Arc::clone(&route)));
            }
        }
        if by_origin.is_empty() {
            return Err(Error::new(ErrorKind::Config, "routes: there must be at least one"));
        }
        Ok(Self { routes: by_origin.into() })
    }

    /// Puts a token onto the request, if it is one that gets a token.
    ///
    /// `None` if it is not, and goes out as it is: it goes elsewhere, to an excluded path, brings
    /// the header along, or wants none.
    ///
    /// # Errors
    ///
    /// Those of [`TokenManager::token`]; and [`ErrorKind::Config`] if the route wants to be told
    /// whose token it is and was not, or if there is a `Host` header that names another host or port
    /// than the URL; [`ErrorKind::Unsupported`] if the token is of a type that the route's presenter
    /// does not present. The request must not be sent then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed nothing; a token request goes on for others.
    pub async fn attach(
        &self,
        target: &Target<'_>,
        headers: &mut HeaderMap,
        choice: TokenChoice,
    ) -> Result<Option<Attached>, Error> {
        let Some((route, manager)) = self.choose(target, headers, choice)? else { return Ok(None) };
        let token = manager.token().await?;
        Attached::new(route, manager, token).put_on(target, headers)
    }

    /// [`attach`](Self::attach), if the token is there: for integrations that can spare an
    /// allocation then.
    ///
    /// It is pending if `attach` would wait. The token request is under way then, and the HTTP request
    /// as it was, but no task is woken: await `attach` next.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn attach_now(
        &self,
        target: &Target<'_>,
        headers: &mut HeaderMap,
        choice: TokenChoice,
    ) -> Poll<Result<Option<Attached>, Error>> {
        let Some((route, manager)) = self.choose(target, headers, choice)? else {
            return Poll::Ready(Ok(None));
        };
        let token = ready!(manager.token_now())?;
        Poll::Ready(Attached::new(route, manager, token).put_on(target, headers))
    }

    /// [`attach`](Self::attach) for threads without a runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn attach_blocking(
        &self,
        target: &Target<'_>,
        headers: &mut HeaderMap,
        choice: TokenChoice,
    ) -> Result<Option<Attached>, Error> {
        let Some((route, manager)) = self.choose(target, headers, choice)? else { return Ok(None) };
        let token = manager.blocking().token()?;
        Attached::new(route, manager, token).put_on(target, headers)
    }

    /// Whether requests to this origin get a token, whatever their path.
    #[must_use]
    pub fn knows(&self, target: &Target<'_>) -> bool {
        self.route_of(target).is_some()
    }

    /// For integrations that see neither whether redirects are followed nor which request a redirect
    /// has asked for: an error where a client that followed this one would be given a token that the
    /// rules of [`RedirectChain`](crate::RedirectChain) deny. `from` is where the request went,
    /// `location` is the header of the answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::RequestRejected`] if the redirect leads into a route from outside of it, or takes
    /// a request with a token of [`TokenChoice::Of`] to a route whose requests get those of another
    /// manager. It says that the answer is lost.
    pub fn check_redirect(
        &self,
        from: &Target<'_>,
        location: &HeaderValue,
        choice: &TokenChoice,
    ) -> Result<(), Error> {
        let Some(to) = url_of(from, location) else { return Ok(()) };
        let host = to.host_str().unwrap_or_default();
        let to = Target::new(&Method::GET, to.scheme(), host, to.port(), to.path());
        let Some((to, entered)) = to.ok().and_then(|to| Some((to, self.route_of(&to)?))) else {
            return Ok(());
        };
        let left = self.route_of(from);
        let is_accepted = left.is_some() && entered.accepts_redirects && from.method().is_safe();
        let stays = left.is_some_and(|left| Arc::ptr_eq(left, entered));
        let is_users = matches!(choice, TokenChoice::Of(_)) && entered.manager.is_some();
        let what = match () {
            () if !stays && !is_accepted => "a route that it did not begin on",
            () if is_users => "a route with a token of its own, and chose the token of a user",
            () => return Ok(()),
        };
        let (from, to) = (Origin::of(from), Origin::of(&to));
        let what = format!("{from} redirected a request to {to}, {what}");
        let error = Error::new(ErrorKind::RequestRejected, what).with_answer_lost();
        Err(match &entered.manager {
            Some(manager) => error.at_service(manager.service_name()),
            None => error,
        })
    }

    /// The headers that tokens, and what goes with them, are put into: what an integration that
    /// follows redirects takes off on the way to another origin. One whose client follows them must
    /// refuse any but `Authorization`, and even that one is not safe with every client: `reqwest`
    /// (0.13.5) leaves it behind at a hop to another origin, and puts it back where that origin
    /// redirects to itself.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.routes.iter().flat_map(|(_, route)| {
            let presenter = &route.presenter;
            std::iter::once(presenter.header()).chain(presenter.further_headers())
        })
    }

    fn choose(
        &self,
        target: &Target<'_>,
        headers: &HeaderMap,
        choice: TokenChoice,
    ) -> Result<Option<(Arc<CheckedRoute>, TokenManager)>, Error> {
        let Some(route) = self.route_of(target) else { return Ok(None) };
        if route.excludes(target) || headers.contains_key(route.presenter.header()) {
            return Ok(None);
        }
        let manager = match choice {
            TokenChoice::Without => return Ok(None),
            TokenChoice::Of(manager) => Some(manager),
            TokenChoice::OfRoute => route.manager.clone(),
        };
        let Some(manager) = manager else {
            let what = format!("a request to {} does not say whose token it gets", target.host());
            return Err(Error::new(ErrorKind::Config, what)
                .with_advice("give it TokenChoice::Of, or TokenChoice::Without if it needs none"));
        };
        check_host(target, headers).map_err(|error| error.at_service(manager.service_name()))?;
        Ok(Some((Arc::clone(route), manager)))
    }

    pub(crate) fn route_of(&self, target: &Target<'_>) -> Option<&Arc<CheckedRoute>> {
        self.routes.iter().find(|(origin, _)| origin.is_of(target)).map(|(_, route)| route)
    }
}

/// A server that goes by the header would hand the token to another of its hosts.
fn check_host(target: &Target<'_>, headers: &HeaderMap) -> Result<(), Error> {
    let mut named = headers.get_all(HOST).iter();
    let Some(other) = named.find(|name| !name.to_str().is_ok_and(|name| target.is_named(name)))
    else {
        return Ok(());
    };
    let what = format!(
        "the Host header names {other:?}, and the URL of the request {}, where the token belongs",
        Origin::of(target)
    );
    Err(Error::new(ErrorKind::Config, what).with_advice("leave the Host header out"))
}

/// Where a `Location` leads.
fn url_of(from: &Target<'_>, location: &HeaderValue) -> Option<Url> {
    let from = Url::parse(&format!("{}{}", Origin::of(from), from.path())).ok()?;
    from.join(str::from_utf8(location.as_bytes()).ok()?).ok()
}
