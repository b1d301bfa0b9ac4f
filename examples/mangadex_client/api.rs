//! A client of the MangaDex API, as a program would have it in a module of its own.

use http::{Method, StatusCode};
use reqwest::Response;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use thiserror::Error;
use tokenkeeper_mangadex::{Session, Unauthorized};
use tokenkeeper_reqwest::{
    Route, TokenChoice, TokenRoutes, Tokens, token_error, without_redirects,
};

use super::rate_limit::RateLimit;

/// MangaDex refuses clients that do not say who they are.
pub(crate) const USER_AGENT: &str = "night-reader/1.0";

/// Calls to the API, in the name of a session. Clones share everything.
#[derive(Clone)]
pub(crate) struct Api {
    session: Session,
    http: ClientWithMiddleware,
    origin: String,
}

impl Api {
    /// `origin` is `tokenkeeper_mangadex::API_ORIGIN`, except in tests.
    pub(crate) fn new(session: Session, origin: &str, limit: RateLimit) -> Result<Self, Failed> {
        // Whose token a request gets is said with each, because the session may end.
        let tokens = Tokens::new(TokenRoutes::new([Route::per_request().origin(origin)])?);
        let client =
            without_redirects(reqwest::Client::builder().user_agent(USER_AGENT)).build()?;
        // The limit stands behind the tokens, so that a request that is sent again after a 401
        // counts again. Token requests do not come by here: the session has a client of its own.
        let http = ClientBuilder::new(client).with(tokens).with(limit).build();
        Ok(Self { session, http, origin: origin.to_owned() })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Public: it is sent without a token, also after a login.
    pub(crate) async fn manga(&self) -> Result<Response, Failed> {
        self.call(Method::GET, "/manga", Auth::None).await
    }

    pub(crate) async fn me(&self) -> Result<Response, Failed> {
        self.call(Method::GET, "/user/me", Auth::Needed).await
    }

    pub(crate) async fn follow(&self, manga: &str) -> Result<Response, Failed> {
        self.call(Method::POST, &format!("/manga/{manga}/follow"), Auth::Needed).await
    }

    /// An image, wherever it is. Hosts other than the API's get no token.
    pub(crate) async fn image(&self, url: &str) -> Result<Response, Failed> {
        Ok(self.http.get(url).send().await?.error_for_status()?)
    }

    async fn call(&self, method: Method, path: &str, auth: Auth) -> Result<Response, Failed> {
        let choice = match auth {
            Auth::Needed => TokenChoice::Of(self.session.require_manager(method.clone(), path)?),
            Auth::None => TokenChoice::Without,
        };
        let url = format!("{}{path}", self.origin);
        let request = self.http.request(method.clone(), url).with_extension(choice);
        let answer = request.send().await.map_err(|error| match token_error(&error) {
            Some(cause) => Unauthorized::new(method.clone(), path).behind(cause.clone()).into(),
            None => Failed::from(error),
        })?;
        match (answer.status(), auth) {
            (StatusCode::UNAUTHORIZED, Auth::Needed) => {
                Err(self.session.refused(method, path).into())
            }
            _ => Ok(answer.error_for_status()?),
        }
    }
}

/// What a call wants of the session.
#[derive(Clone, Copy)]
enum Auth {
    Needed,
    None,
}

/// Why a call has no answer.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) enum Failed {
    /// There is no token for it, or none that MangaDex takes.
    Token(#[from] tokenkeeper::Error),
    Http(#[from] reqwest_middleware::Error),
}

impl Failed {
    /// The call, if it needs a login.
    pub(crate) fn unauthorized(&self) -> Option<&Unauthorized> {
        match self {
            Self::Token(error) => Unauthorized::cause_of(error),
            Self::Http(_) => None,
        }
    }
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.into())
    }
}
