//! Puts the service around another one.

use std::sync::Arc;

use http::{Method, Uri};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::{SpareHeaders, TokenRoutes};
use tower_layer::Layer;

use crate::keep_body::Cloning;
use crate::rules::{Rules, parse_origin};
use crate::service::TokenService;

/// Puts tokens onto the requests that go through a client.
///
/// `K` is how request bodies are kept for a second attempt: [`Cloning`], or
/// [`Buffering`](crate::Buffering) where the client takes bodies of any kind.
///
/// # Examples
///
/// ```
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_tower::{TokenRoutes, Buffering, Route, TokenLayer};
/// use tower::Layer;
///
/// # fn clients(billing: TokenManager) -> Result<(), tokenkeeper::Error> {
/// let routes = TokenRoutes::new([Route::new(billing).origin("https://billing.example.com")])?;
///
/// let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
/// let client = TokenLayer::new(routes.clone()).layer(hyper);
///
/// let hyper = Client::builder(TokioExecutor::new()).build_http::<axum::body::Body>();
/// let forwarding = TokenLayer::new(routes)
///     .bodies(Buffering::new(axum::body::Body::new))
///     .layer(hyper);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenLayer<K = Cloning> {
    routes: TokenRoutes,
    assumed_origin: Option<Uri>,
    checks_redirects: bool,
    bodies: K,
}

impl TokenLayer {
    /// Tokens for the requests that these rules name.
    #[must_use]
    pub fn new(routes: TokenRoutes) -> Self {
        Self { routes, assumed_origin: None, checks_redirects: true, bodies: Cloning::new() }
    }
}

impl<K> TokenLayer<K> {
    /// How request bodies are kept for a second attempt.
    ///
    /// # Default
    ///
    /// [`Cloning`], for bodies that implement [`ReplayBody`](crate::ReplayBody).
    #[must_use]
    pub fn bodies<K2>(self, bodies: K2) -> TokenLayer<K2> {
        TokenLayer {
            routes: self.routes,
            assumed_origin: self.assumed_origin,
            checks_redirects: self.checks_redirects,
            bodies,
        }
    }

    /// Where requests go whose URI is a path alone, as those of tonic's generated clients: the
    /// origin of the channel. Without it such a request fails, because it is not known where it goes.
    ///
    /// A tonic channel sends every request to its own endpoint, whatever the request's URI says, so
    /// name here what the channel was made with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is no origin, or one that no route names: then no request would
    /// get a token.
    pub fn assume_origin(mut self, origin: &str) -> Result<Self, Error> {
        let uri = parse_origin(origin)?;
        let rules = self.rules(Some(uri.clone()));
        if !self.routes.knows(&rules.target(&Method::GET, &Uri::from_static("/"))?) {
            let what = format!("assumed origin: no route names {origin}");
            return Err(Error::new(ErrorKind::Config, what)
                .with_advice("name that of the channel in both places"));
        }
        self.assumed_origin = Some(uri);
        Ok(self)
    }

    /// For clients around which nothing follows redirects, such as those of a gateway that hands
    /// them on: answers that redirect from one route to another come as they are.
    ///
    /// # Default
    ///
    /// Such an answer is an error, unless redirects are followed by the rules of `RedirectPolicy`
    /// (feature `follow-redirect`): the request that it asks for would get the other route's token.
    #[must_use]
    pub fn nothing_follows_redirects(mut self) -> Self {
        self.checks_redirects = false;
        self
    }

    fn rules(&self, assumed_origin: Option<Uri>) -> Rules {
        Rules {
            routes: self.routes.clone(),
            assumed_origin,
            spare: SpareHeaders::new(),
            checks_redirects: self.checks_redirects,
        }
    }
}

impl<S, K: Clone> Layer<S> for TokenLayer<K> {
    type Service = TokenService<S, K>;

    fn layer(&self, inner: S) -> TokenService<S, K> {
        let rules = Arc::new(self.rules(self.assumed_origin.clone()));
        TokenService::new(inner, rules, self.bodies.clone())
    }
}
