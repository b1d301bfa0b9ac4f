//! What a client is given: which requests get which token, and who follows redirects.

use http::header::AUTHORIZATION;
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::TokenRoutes;

use crate::kept_request::Spares;
use crate::unauthorized_retries::UnauthorizedRetries;

/// Fresh tokens for the requests of a `reqwest` client. Clones share everything.
///
/// It is for a client that follows no redirects itself, as [`without_redirects`] makes it. Redirects
/// are followed here instead, so that every request that they ask for is judged anew: it gets the token
/// of the route that the chain began on, or none. An answer to a request with a token that came from another URL than the one asked
/// becomes an error, because then the client follows redirects after all.
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_reqwest::{TokenRoutes, Route, Tokens, without_redirects};
///
/// # fn set_up(billing: TokenManager) -> Result<(), Box<dyn std::error::Error>> {
/// let client = without_redirects(reqwest::Client::builder().user_agent("shop/1.0")).build()?;
/// let tokens = Tokens::new(TokenRoutes::new([Route::new(billing).origin("https://billing.example.com")])?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tokens {
    pub(crate) routes: TokenRoutes,
    pub(crate) redirects: Redirects,
    pub(crate) retries: Option<UnauthorizedRetries>,
    pub(crate) spares: Spares,
}

/// Who follows redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// This crate, so many. The client follows none.
    Here(usize),
    /// The client.
    ByClient,
}

impl Tokens {
    /// Tokens as these routes say, and up to 10 redirects.
    #[must_use]
    pub fn new(routes: TokenRoutes) -> Self {
        Self {
            routes,
            redirects: Redirects::Here(MOST_REDIRECTS),
            retries: None,
            spares: Spares::default(),
        }
    }

    /// How many redirects are followed for one request, of all requests that pass here, with or
    /// without a token. After so many the caller gets the 3xx; with 0, every one.
    ///
    /// 301 and 302 turn a POST into a GET, 303 everything but a HEAD; 307 and 308 change nothing.
    /// On the way to another origin the headers that carry credentials are left behind
    /// (`Authorization`, `Cookie`, `X-Api-Key` and the like, and those that are marked sensitive),
    /// and `Host`. Each request of the chain gets a token by the rules of [`RedirectChain`]: within
    /// the route that the chain began on that which the first request chose, on another route none,
    /// unless it [accepts redirects](crate::Route::accept_redirects) and the method is safe; and
    /// behind a request that got none, none. A body that is a stream is gone, so the caller gets the
    /// 307 or 308; and so it is with a `Location` that cannot be followed.
    ///
    /// [`RedirectChain`]: tokenkeeper_http::RedirectChain
    ///
    /// # Default
    ///
    /// 10, as in `reqwest`.
    #[must_use]
    pub fn with_redirects(mut self, limit: usize) -> Self {
        self.redirects = Redirects::Here(limit);
        self
    }

    /// Sends a request again, after growing delays, that is answered with 401 although its token was
    /// replaced.
    ///
    /// # Default
    ///
    /// The answer to the replay is the caller's.
    #[must_use]
    pub fn with_unauthorized_retries(mut self, retries: UnauthorizedRetries) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Lets the client follow redirects, for clients that are made elsewhere.
    ///
    /// `reqwest` (0.13.5) takes `Authorization` off a request that is redirected to another scheme,
    /// host or port, and **puts it back** if that host redirects to itself. So an attacker that can
    /// make an API redirect to a host of theirs gets the token. Other headers it takes to any host: a
    /// request that would get a token is refused if it has one that carries credentials, such as
    /// `X-Api-Key`.
    ///
    /// A 401 from another origin says nothing about the token. One from the origin itself may be an
    /// answer to what a request that was carried out was redirected to, so only requests with a
    /// safe method (RFC 9110 §9.2.1) are sent again; of others the caller gets the 401, and the next
    /// request has another token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a route puts its tokens, or a proof that goes with them, into another
    /// header, of which `reqwest` would take no care at all.
    pub fn danger_client_follows_redirects(mut self) -> Result<Self, Error> {
        if let Some(other) = self.routes.headers().find(|header| **header != AUTHORIZATION) {
            let what = format!(
                "redirects: a client that follows them itself would take the header `{other}` of a \
                 token to any host"
            );
            return Err(Error::new(ErrorKind::Config, what)
                .with_advice("use a client made with tokenkeeper_reqwest::without_redirects"));
        }
        self.redirects = Redirects::ByClient;
        Ok(self)
    }

    /// Which requests get which token.
    #[must_use]
    pub fn routes(&self) -> &TokenRoutes {
        &self.routes
    }
}

/// Makes the client that [`Tokens`] are for: it follows no redirects, because they do, and tells no
/// host by which URL its request came about.
///
/// Options that are set on the builder later win, so call it last. Default headers of a client go
/// to every host, also to those that a redirect leads to: put secrets on requests instead.
///
/// **What it cannot see:** the proxies of the builder, and whether it has any. They are left as they
/// are, and `reqwest` takes them from the environment too (`HTTP_PROXY`). Then a request to an `http`
/// origin on a loopback host goes to the proxy in clear text, with the token on it, unless `NO_PROXY`
/// names that host. If a route has such an origin, call `no_proxy` on the builder, or set
/// `NO_PROXY=localhost,127.0.0.1,::1`. A [`Client`](crate::Client) of this crate does without a proxy
/// there.
pub fn without_redirects(builder: ClientBuilder) -> ClientBuilder {
    builder.redirect(Policy::none()).referer(false)
}

const MOST_REDIRECTS: usize = 10; // as reqwest
