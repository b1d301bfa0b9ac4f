//! Tokens for those requests of a chain of redirects that may have one.

use http::{Request, Uri};
use tokenkeeper_http::{RedirectChain, Target, TokenRoutes};
use tower_http::follow_redirect::policy::{Action, Attempt, Policy};

use crate::rules::{RedirectsAreJudged, choice};

/// The policy that [`FollowRedirectLayer`](tower_http::follow_redirect::FollowRedirectLayer) needs
/// around a [`TokenLayer`](crate::TokenLayer) (feature `follow-redirect`).
///
/// The layer that follows redirects forgets what a request said about its token, and gives back, at
/// the second redirect, the headers that it left behind at the first. This policy keeps the rules of
/// [`RedirectChain`](tokenkeeper_http::RedirectChain): each request has the token that the first one
/// chose, none goes to another route unless that accepts redirects, and credentials of the caller
/// do not leave their origin.
///
/// A request with a body is followed after a 303, and after a 307 or 308 if the body can be copied:
/// add [`clone_body_fn`](tower_http::follow_redirect::policy::clone_body_fn) for that, with
/// [`and`](tower_http::follow_redirect::policy::PolicyExt::and).
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_tower::{RedirectPolicy, Route, TokenLayer, TokenRoutes};
/// use tower::ServiceBuilder;
/// use tower_http::follow_redirect::FollowRedirectLayer;
///
/// # fn run<S>(http_client: S, billing: TokenManager) -> Result<(), tokenkeeper::Error> {
/// let routes = TokenRoutes::new([Route::new(billing).origin("https://billing.example.com")])?;
/// let client = ServiceBuilder::new()
///     .layer(FollowRedirectLayer::with_policy(RedirectPolicy::new(&routes)))
///     .layer(TokenLayer::new(routes));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedirectPolicy {
    routes: TokenRoutes,
    left: usize,
    chain: Option<RedirectChain>,
    from: Option<Uri>,
}

impl RedirectPolicy {
    /// The rules of these routes, and up to 10 redirects for one request.
    #[must_use]
    pub fn new(routes: &TokenRoutes) -> Self {
        Self { routes: routes.clone(), left: MOST_REDIRECTS, chain: None, from: None }
    }

    /// How many redirects are followed for one request. After so many the caller gets the 3xx.
    ///
    /// # Default
    ///
    /// 10.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.left = limit;
        self
    }
}

impl<B, E> Policy<B, E> for RedirectPolicy {
    fn redirect(&mut self, attempt: &Attempt<'_>) -> Result<Action, E> {
        if self.left == 0 {
            return Ok(Action::Stop);
        }
        self.left -= 1;
        self.from = Some(attempt.previous().clone());
        Ok(Action::Follow)
    }

    fn on_request(&mut self, request: &mut Request<B>) {
        let chain =
            self.chain.get_or_insert_with(|| RedirectChain::new(&self.routes, choice(request)));
        if let Some(from) = self.from.take() {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            if let (Ok(from), Ok(to)) = (Target::of(&method, &from), Target::of(&method, &uri)) {
                chain.follow(&from, &to);
            }
            chain.strip(request.headers_mut());
        }
        request.extensions_mut().insert(chain.choice());
        request.extensions_mut().insert(RedirectsAreJudged);
    }
}

const MOST_REDIRECTS: usize = 10; // as Limited, and as reqwest
