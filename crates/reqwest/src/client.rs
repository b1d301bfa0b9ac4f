//! A client of one API: a base URL, and the tokens for it.

use http::header::{HeaderName, HeaderValue};
use reqwest::{Body, Method, Response, Url};
use tokenkeeper::{Error, ErrorKind, TokenManager, is_loopback_host};
use tokenkeeper_http::{CustomHeader, Presenter, Route, TokenChoice, TokenRoutes};

use crate::send_error::SendError;
use crate::send_with_token::SendWithToken;
use crate::tokens::{Tokens, without_redirects};
use crate::unauthorized_retries::UnauthorizedRetries;

/// A client of one API, whose requests have fresh tokens. Clones share everything.
///
/// It is a `reqwest` client with [`Tokens`] for one origin, made in one line. Redirects and the replay
/// after a 401 are those of [`Tokens`]. Requests to a loopback host are never sent through a proxy.
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_reqwest::{Client, SendError};
///
/// # async fn run(billing: TokenManager) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new("https://billing.example.com/v2", billing)?;
///
/// let users = client.get("/users").send().await?; // https://billing.example.com/v2/users
/// let made = client.post("/users").header("accept", "text/plain").body("Alice").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base_url: Url,
    tokens: Tokens,
}

impl Client {
    /// A client for paths below this URL, with the tokens of this manager.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is no URL that requests with tokens can go below: http or https,
    /// and http only for [loopback](tokenkeeper::is_loopback_host) hosts; no user name, query or
    /// fragment. Also if the HTTP client cannot be set up.
    pub fn new(base_url: &str, manager: TokenManager) -> Result<Self, Error> {
        Self::builder(base_url, manager).build()
    }

    /// [`new`](Self::new), with options.
    pub fn builder(base_url: &str, manager: TokenManager) -> ClientBuilder {
        ClientBuilder::new(base_url, manager)
    }

    /// A GET request for a path below the base URL, which may have a query: `/users?page=2`. A whole
    /// URL will do too, such as that of the next page, if it is of the same origin.
    pub fn get(&self, path: &str) -> ClientRequest {
        self.request(Method::GET, path)
    }

    /// A POST request, as [`get`](Self::get).
    pub fn post(&self, path: &str) -> ClientRequest {
        self.request(Method::POST, path)
    }

    /// A PUT request, as [`get`](Self::get).
    pub fn put(&self, path: &str) -> ClientRequest {
        self.request(Method::PUT, path)
    }

    /// A PATCH request, as [`get`](Self::get).
    pub fn patch(&self, path: &str) -> ClientRequest {
        self.request(Method::PATCH, path)
    }

    /// A DELETE request, as [`get`](Self::get).
    pub fn delete(&self, path: &str) -> ClientRequest {
        self.request(Method::DELETE, path)
    }

    /// A HEAD request, as [`get`](Self::get).
    pub fn head(&self, path: &str) -> ClientRequest {
        self.request(Method::HEAD, path)
    }

    /// A request with any method, as [`get`](Self::get).
    pub fn request(&self, method: Method, path: &str) -> ClientRequest {
        ClientRequest {
            request: self.http.request(method, self.url(path)),
            tokens: self.tokens.clone(),
            choice: TokenChoice::OfRoute,
        }
    }

    /// The URL below which paths are.
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn url(&self, path: &str) -> Url {
        if let Some(whole) = Url::parse(path).ok().filter(Url::has_host) {
            return whole; // of another origin it is refused when it is sent
        }
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let mut url = self.base_url.clone();
        if !path.is_empty() {
            url.set_path(&below(&self.base_url, path));
        }
        url.set_query(query);
        url
    }
}

/// A path below a base URL.
fn below(base_url: &Url, path: &str) -> String {
    format!("{}/{}", base_url.path().trim_end_matches('/'), path.trim_start_matches('/'))
}

/// A request of a [`Client`].
#[derive(Debug)]
#[must_use = "a request is sent by `send`"]
pub struct ClientRequest {
    request: reqwest::RequestBuilder,
    tokens: Tokens,
    choice: TokenChoice,
}

impl ClientRequest {
    /// Adds a header.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.with(|request| request.header(name, value))
    }

    /// The request's body. One that is a stream cannot be sent twice.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|request| request.body(body))
    }

    /// Whatever `reqwest` offers, in terms of its own builder:
    /// `.with(|request| request.json(&user))`, with the feature `json` of `reqwest`.
    pub fn with(
        self,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Self {
        Self { request: change(self.request), ..self }
    }

    /// A token of this manager in the place of the client's: that of a user, say.
    pub fn token_of(self, manager: TokenManager) -> Self {
        Self { choice: TokenChoice::Of(manager), ..self }
    }

    /// No token.
    pub fn without_token(self) -> Self {
        Self { choice: TokenChoice::Without, ..self }
    }

    /// Sends the request, and once more after a 401.
    ///
    /// # Errors
    ///
    /// Those of [`send_with_token`](SendWithToken::send_with_token).
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn send(self) -> Result<Response, SendError> {
        self.request.send_with_choice(&self.tokens, self.choice).await
    }
}

/// Builds a [`Client`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    service_name: String,
    base_url: Result<Url, Error>,
    route: Route,
    header: Option<Error>,
    http: reqwest::ClientBuilder,
    redirects: Option<usize>,
    retries: Option<UnauthorizedRetries>,
}

impl ClientBuilder {
    fn new(base_url: &str, manager: TokenManager) -> Self {
        Self {
            service_name: manager.service_name().to_owned(),
            base_url: parse_base_url(base_url),
            route: Route::new(manager),
            header: None,
            http: reqwest::Client::builder(),
            redirects: None,
            retries: None,
        }
    }

    /// The `reqwest` client to build: its user agent, time limits, certificates. Its redirect policy
    /// is replaced by [`without_redirects`]. Its default headers go wherever redirects lead.
    ///
    /// # Default
    ///
    /// That of `reqwest`, which has no time limit.
    pub fn http(mut self, builder: reqwest::ClientBuilder) -> Self {
        self.http = builder;
        self
    }

    /// A path below the base URL whose requests get no token, as
    /// [`Route::exclude_path`](Route::exclude_path).
    pub fn exclude_path(mut self, path: &str) -> Self {
        let path = self.below_base(path);
        self.route = self.route.exclude_path(path);
        self
    }

    /// Paths below the base URL whose requests get no token, as
    /// [`Route::exclude_glob`](Route::exclude_glob): `/public/*`.
    pub fn exclude_glob(mut self, pattern: &str) -> Self {
        let pattern =
            if pattern.starts_with('*') { pattern.to_owned() } else { self.below_base(pattern) };
        self.route = self.route.exclude_glob(pattern);
        self
    }

    /// The header that the token is put into, and the word before it, as [`CustomHeader`]:
    /// `("x-api-key", "")`, `("authorization", "Token")`.
    ///
    /// # Default
    ///
    /// `Authorization: Bearer …`.
    pub fn header(self, name: &str, prefix: &str) -> Self {
        match CustomHeader::new(name, prefix) {
            Ok(header) => self.presenter(header),
            Err(error) => Self { header: Some(error), ..self },
        }
    }

    /// How tokens go onto requests, as [`Route::presenter`](Route::presenter).
    pub fn presenter(mut self, presenter: impl Presenter) -> Self {
        self.route = self.route.presenter(presenter);
        self
    }

    /// How many redirects are followed, as [`Tokens::with_redirects`].
    ///
    /// # Default
    ///
    /// 10.
    pub fn redirects(mut self, limit: usize) -> Self {
        self.redirects = Some(limit);
        self
    }

    /// Sends no request twice, as [`Route::without_replay`](Route::without_replay).
    pub fn without_replay(mut self) -> Self {
        self.route = self.route.without_replay();
        self
    }

    /// Further attempts after a 401, with growing delays, as [`Tokens::with_unauthorized_retries`].
    ///
    /// # Default
    ///
    /// None beyond the one replay.
    pub fn unauthorized_retries(mut self, retries: UnauthorizedRetries) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sends tokens in clear text to a host that is not this machine, as
    /// [`Route::danger_allow_http`](Route::danger_allow_http).
    pub fn danger_allow_http(mut self) -> Self {
        self.route = self.route.danger_allow_http();
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// As [`Client::new`]; and if a header, a prefix or an excluded path cannot be read.
    pub fn build(self) -> Result<Client, Error> {
        let named = |error: Error| error.at_service(&self.service_name);
        let base_url = self.base_url.map_err(named)?;
        if let Some(error) = self.header {
            return Err(named(error));
        }
        let route = self.route.origin(base_url.origin().ascii_serialization());
        let mut tokens = Tokens::new(TokenRoutes::new([route])?);
        tokens = match self.redirects {
            Some(limit) => tokens.with_redirects(limit),
            None => tokens,
        };
        tokens.retries = self.retries;
        let is_loopback = base_url.host_str().is_some_and(is_loopback_host);
        let http = if is_loopback { self.http.no_proxy() } else { self.http };
        let http = without_redirects(http).build().map_err(|cause| {
            let what = "client: the HTTP client cannot be set up with these options";
            named(Error::new(ErrorKind::Config, what).with_source(cause.without_url()))
        })?;
        Ok(Client { http, base_url, tokens })
    }

    fn below_base(&self, path: &str) -> String {
        match &self.base_url {
            Ok(base_url) if path.starts_with('/') => below(base_url, path),
            _ => path.to_owned(), // `build` says what is wrong
        }
    }
}

fn parse_base_url(text: &str) -> Result<Url, Error> {
    let wrong = |what: &str| Error::new(ErrorKind::Config, format!("base URL: {what}"));
    let example = "is not a URL such as https://api.example.com/v2";
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("must not have blanks or control characters"));
    }
    let url = Url::parse(text).map_err(|_| wrong(example))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(example));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not have a user name or password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not have a query or a fragment, which belong to single requests"));
    }
    Ok(url)
}
