//! What redirects may take along: which of the requests that they ask for get a token, and which
//! headers those keep.
//!
//! A redirect lets one server choose what is asked of another. With a token of ours on it that other
//! server would act in our name, so tokens stay on the route that a request began on.

use std::sync::Arc;

use http::HeaderMap;

use crate::credentials::leave_behind;
use crate::origin::Origin;
use crate::route::CheckedRoute;
use crate::target::Target;
use crate::token_routes::{TokenChoice, TokenRoutes};

/// A request and the redirects that it leads to, for integrations that follow them.
///
/// # The rules
///
/// - Within one route each request gets the token that the first one chose.
/// - A request to another route gets a token only if that route
///   [accepts redirects](crate::Route::accept_redirects) and the method is safe (RFC 9110 §9.2.1).
///   It is the token of that route's manager; where the first request chose a user's, it is none.
/// - Once a redirect has led to an origin on no route, or to a route that gives it no token, no
///   further request gets one, wherever it goes.
/// - Credentials, `Host` and the headers that tokens are put into stay behind at the first redirect
///   to another origin, for good.
///
/// # Examples
///
/// ```
/// use http::{HeaderMap, Method, Uri};
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_http::{RedirectChain, Route, Target, TokenChoice, TokenRoutes};
///
/// # fn run(billing: TokenManager) -> Result<(), tokenkeeper::Error> {
/// let routes = TokenRoutes::new([Route::new(billing).origin("https://billing.example.com")])?;
/// let mut chain = RedirectChain::new(&routes, TokenChoice::OfRoute);
///
/// // The first request was answered with a redirect.
/// let from = Uri::from_static("https://billing.example.com/invoices/7");
/// let to = Uri::from_static("https://files.example.net/7.pdf");
/// chain.follow(&Target::of(&Method::GET, &from)?, &Target::of(&Method::GET, &to)?);
///
/// let mut headers = HeaderMap::from_iter([("x-api-key".parse().unwrap(), "0815".parse().unwrap())]);
/// chain.strip(&mut headers);
/// assert!(headers.is_empty() && matches!(chain.choice(), TokenChoice::Without));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedirectChain {
    routes: TokenRoutes,
    /// What the first request said.
    chosen: TokenChoice,
    /// Where the first request went, once it was redirected.
    began: Option<Option<Arc<CheckedRoute>>>,
    left_origin: bool,
    gets_none: bool,
    next: TokenChoice,
}

impl RedirectChain {
    /// A request that says this about its token, and was not redirected yet.
    #[must_use]
    pub fn new(routes: &TokenRoutes, choice: TokenChoice) -> Self {
        Self {
            routes: routes.clone(),
            chosen: choice.clone(),
            began: None,
            left_origin: false,
            gets_none: false,
            next: choice,
        }
    }

    /// Whether there was a redirect.
    #[must_use]
    pub fn has_redirects(&self) -> bool {
        self.began.is_some()
    }

    /// The request to `from` was redirected to `to`, which has the method of the next request.
    pub fn follow(&mut self, from: &Target<'_>, to: &Target<'_>) {
        let (left, entered) = (self.routes.route_of(from), self.routes.route_of(to));
        let began = self.began.get_or_insert_with(|| left.cloned());
        self.left_origin |= Origin::of(from) != Origin::of(to);
        self.gets_none |= !may_pass(left, entered, to);
        self.next = match &self.chosen {
            _ if self.gets_none => TokenChoice::Without,
            TokenChoice::Of(_) if !is_same(began.as_ref(), entered) => TokenChoice::Without,
            chosen => chosen.clone(),
        };
    }

    /// What the next request says about its token.
    #[must_use]
    pub fn choice(&self) -> TokenChoice {
        self.next.clone()
    }

    /// Takes off the next request what is meant for another origin.
    pub fn strip(&self, headers: &mut HeaderMap) {
        if self.left_origin {
            leave_behind(headers);
            self.routes.headers().for_each(|name| drop(headers.remove(name)));
        }
    }
}

/// Whether a redirect from one route into another takes the right to a token along.
fn may_pass(
    left: Option<&Arc<CheckedRoute>>,
    entered: Option<&Arc<CheckedRoute>>,
    to: &Target<'_>,
) -> bool {
    match (left, entered) {
        (Some(left), Some(entered)) => {
            Arc::ptr_eq(left, entered) || (entered.accepts_redirects && to.method().is_safe())
        }
        _ => false,
    }
}

fn is_same(one: Option<&Arc<CheckedRoute>>, other: Option<&Arc<CheckedRoute>>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if Arc::ptr_eq(one, other))
}
