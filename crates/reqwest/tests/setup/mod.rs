//! A service with an API, and both ways of asking it.

#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::fmt::{self, Debug, Display};

use http::Extensions;
use reqwest::{Client, RequestBuilder, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokenkeeper::{Clock, Error, SystemClock, TokenManager};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_reqwest::{
    Route, SendError, SendWithToken, TokenChoice, TokenRoutes, Tokens, token_error,
    without_redirects,
};
use tokenkeeper_testkit::FakeAuthServer;

pub(crate) fn manager_of(server: &FakeAuthServer, clock: impl Clock) -> TokenManager {
    let provider = ClientCredentialsProvider::builder("billing", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()
        .unwrap();
    TokenManager::builder(provider).clock(clock).build().unwrap()
}

/// A route to a service's own API.
pub(crate) fn route_to(server: &FakeAuthServer) -> Route {
    Route::new(manager_of(server, SystemClock)).origin(server.url())
}

pub(crate) fn tokens(routes: impl IntoIterator<Item = Route>) -> Tokens {
    Tokens::new(TokenRoutes::new(routes).unwrap())
}

/// A client as the crate wants it.
pub(crate) fn client() -> Client {
    without_redirects(Client::builder().no_proxy()).build().unwrap()
}

/// How a request gets its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Extension,
    Middleware,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::Extension, Self::Middleware];

    pub(crate) async fn send(
        self,
        tokens: &Tokens,
        request: RequestBuilder,
    ) -> Result<Response, Failed> {
        self.send_with(tokens, request, TokenChoice::OfRoute).await
    }

    pub(crate) async fn send_with(
        self,
        tokens: &Tokens,
        request: RequestBuilder,
        choice: TokenChoice,
    ) -> Result<Response, Failed> {
        match self {
            Self::Extension => {
                request.send_with_choice(tokens, choice).await.map_err(Failed::Extension)
            }
            Self::Middleware => {
                let (client, request) = request.build_split();
                let mut extensions = Extensions::new();
                extensions.insert(choice);
                let chain = chain(client, tokens);
                let sent = chain.execute_with_extensions(request.unwrap(), &mut extensions);
                sent.await.map_err(Failed::Middleware)
            }
        }
    }
}

pub(crate) fn chain(client: Client, tokens: &Tokens) -> ClientWithMiddleware {
    ClientBuilder::new(client).with(tokens.clone()).build()
}

/// The error of either way.
pub(crate) enum Failed {
    Extension(SendError),
    Middleware(reqwest_middleware::Error),
}

impl Failed {
    pub(crate) fn token_error(&self) -> &Error {
        match self {
            Self::Extension(error) => error.token_error(),
            Self::Middleware(error) => token_error(error),
        }
        .unwrap()
    }
}

impl Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension(error) => Debug::fmt(error, f),
            Self::Middleware(error) => Debug::fmt(error, f),
        }
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension(error) => Display::fmt(error, f),
            Self::Middleware(error) => Display::fmt(error, f),
        }
    }
}

/// Requests to the API that came with this header.
pub(crate) fn bearing(server: &FakeAuthServer, header: &str) -> usize {
    at_resource(server).iter().filter(|request| request.header(header).is_some()).count()
}

/// Requests that were not for tokens.
pub(crate) fn at_resource(server: &FakeAuthServer) -> Vec<tokenkeeper_testkit::ReceivedRequest> {
    let received = server.received().into_iter();
    received.filter(|request| !server.token_url().ends_with(request.path())).collect()
}
