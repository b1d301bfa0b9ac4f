//! What the layer knows of requests: which are asked for a token, and what one that may be sent
//! again is made of.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::{HeaderCopy, Origin, SpareHeaders, Target, TokenChoice, TokenRoutes};

/// Shared by all clones of one service.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) routes: TokenRoutes,
    pub(crate) assumed_origin: Option<Uri>,
    pub(crate) spare: SpareHeaders,
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

const NO_ORIGIN: &str = "give the request an absolute URL, or the layer assume_origin(); a tonic \
                         client can be built with_origin()";
