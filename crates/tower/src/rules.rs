//! What the layer knows of requests: which are asked for a token, and what one that may be sent
//! again is made of.

use std::sync::Arc;

use http::header::LOCATION;
use http::{Extensions, HeaderMap, Method, Request, Response, Uri, Version};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::{HeaderCopy, Origin, SpareHeaders, Target, TokenChoice, TokenRoutes};

/// Shared by all clones of one service.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) routes: TokenRoutes,
    pub(crate) assumed_origin: Option<Uri>,
    pub(crate) spare: SpareHeaders,
    pub(crate) checks_redirects: bool,
}

/// Among a request's extensions: whatever follows its redirects keeps the rules.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "follow-redirect"), allow(dead_code, reason = "only that one sets it"))]
pub(crate) struct RedirectsAreJudged;

/// What has to be known of a request when the answer is a redirect: a layer outside may follow it.
#[derive(Debug)]
pub(crate) struct RedirectGuard {
    rules: Arc<Rules>,
    method: Method,
    uri: Uri,
    choice: TokenChoice,
}

impl RedirectGuard {
    /// `None` for a request of which no redirect is followed, or where the rules are kept.
    pub(crate) fn of<B>(
        rules: &Arc<Rules>,
        request: &Request<B>,
        choice: &TokenChoice,
    ) -> Option<Self> {
        let is_needed = rules.checks_redirects
            && request.uri().host().is_some()
            && request.extensions().get::<RedirectsAreJudged>().is_none();
        is_needed.then(|| Self {
            rules: Arc::clone(rules),
            method: request.method().clone(),
            uri: request.uri().clone(),
            choice: choice.clone(),
        })
    }

    pub(crate) fn check<R>(&self, answer: &Response<R>) -> Result<(), Error> {
        let location = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
        let (Some(location), Ok(from)) = (location, Target::of(&self.method, &self.uri)) else {
            return Ok(());
        };
        let checked = self.rules.routes.check_redirect(&from, location, &self.choice);
        checked.map_err(|error| error.with_advice(WHO_FOLLOWS))
    }
}

/// A request without its body. Headers are copied before the token is put among them.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    version: Version,
    headers: HeaderCopy,
    extensions: Extensions,
    pub(crate) is_grpc: bool,
}

impl Rules {
    /// A copy of the head, if the request goes to an origin that gets tokens.
    pub(crate) fn head_of<B>(&self, request: &Request<B>) -> Result<Option<Head>, Error> {
        if !self.routes.knows(&self.target(request.method(), request.uri())?) {
            return Ok(None);
        }
        Ok(Some(Head {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: self.spare.copy_of(request.headers()),
            extensions: request.extensions().clone(),
            is_grpc: is_grpc(request.headers()),
        }))
    }

    pub(crate) fn target<'a>(
        &'a self,
        method: &'a Method,
        uri: &'a Uri,
    ) -> Result<Target<'a>, Error> {
        match &self.assumed_origin {
            Some(origin) if uri.host().is_none() => {
                let (scheme, host) = (origin.scheme_str(), origin.host());
                let (scheme, host) = (scheme.unwrap_or_default(), host.unwrap_or_default());
                Target::new(method, scheme, host, origin.port_u16(), uri.path())
            }
            _ => Target::of(method, uri).map_err(|error| error.with_advice(NO_ORIGIN)),
        }
    }
}

impl Head {
    pub(crate) fn into_request<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers.into_headers();
        *request.extensions_mut() = self.extensions;
        request
    }
}

/// What the request says about its token.
pub(crate) fn choice<B>(request: &Request<B>) -> TokenChoice {
    request.extensions().get::<TokenChoice>().cloned().unwrap_or_default()
}

pub(crate) fn parse_origin(text: &str) -> Result<Uri, Error> {
    let origin = Origin::parse(text)?.to_string();
    origin.parse().map_err(|_| {
        let what = "origin: is not an origin such as https://api.example.com";
        Error::new(ErrorKind::Config, what)
    })
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

const WHO_FOLLOWS: &str = "give the layer that follows redirects the RedirectPolicy of these routes \
                           (feature `follow-redirect`), or tell the TokenLayer that \
                           nothing_follows_redirects()";
const NO_ORIGIN: &str = "give the request an absolute URL, or the layer assume_origin(); a tonic \
                         client can be built with_origin()";
