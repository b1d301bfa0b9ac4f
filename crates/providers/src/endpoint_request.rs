//! Requests to the endpoints around the token endpoint: revocation, introspection and their like.
//!
//! The `oauth2` crate has some of them, but refuses plain http even on this machine and reads answers
//! in the letter of the standard; there is little else in such a request.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokenkeeper::{Clock, Error, ErrorKind, Secret, SystemClock};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::client_auth::ClientAuth;
use crate::coding::IDENTITY;
use crate::endpoint_url::EndpointUrl;
use crate::refusal::{Purpose, Refusal};
use crate::transport::HttpTransport;

/// One request, to be posted or got.
pub(crate) struct EndpointRequest<'a> {
    pub(crate) service_name: &'a str,
    pub(crate) url: &'a EndpointUrl,
    pub(crate) transport: &'a dyn HttpTransport,
    pub(crate) purpose: Purpose,
    /// What the answer must not repeat.
    pub(crate) secrets: Vec<&'a Secret>,
}

/// A client at an endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Empty if there is no client.
    pub(crate) client_id: &'a str,
    pub(crate) auth: &'a ClientAuth,
    /// For whom assertions are made.
    pub(crate) audience: &'a str,
}

impl EndpointRequest<'_> {
    /// Posts a form, with the proof of who the client is, and returns the body of a success.
    pub(crate) async fn post(
        self,
        caller: Caller<'_>,
        form: &[(&str, &str)],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (answer, again) = self.post_with(caller, caller.auth, form).await?;
        if again {
            return self.post_with(caller, &caller.auth.other(), form).await?.0;
        }
        answer
    }

    /// The answer to one request, and whether it is to be sent with another proof of who the client
    /// is.
    async fn post_with(
        &self,
        caller: Caller<'_>,
        auth: &ClientAuth,
        form: &[(&str, &str)],
    ) -> Result<(Result<Zeroizing<Vec<u8>>, Error>, bool), Error> {
        let proof = auth.proof(caller.client_id, caller.audience).await;
        let proof = proof.map_err(|error| self.located(error))?;
        let mut parameters = form.to_vec();
        let named =
            caller.client_id.is_empty() || form.iter().any(|(name, _)| *name == "client_id");
        if proof.header().is_none() && !named {
            parameters.push(("client_id", caller.client_id));
        }
        parameters.extend(proof.parameters().map(|(name, value): (&str, &str)| (name, value)));
        let body = encoded(&parameters);
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        if let Some(authorization) = proof.header() {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let own: Vec<_> = proof.secret().into_iter().collect();
        let (parts, body) = self.send(Method::POST, headers, body).await?.into_parts();
        let body = Zeroizing::new(body);
        if parts.status.is_success() && !self.purpose.is_refused_by(parts.status, &body) {
            caller.auth.learns(&proof, false);
            return Ok((Ok(body), false));
        }
        let mut refusal = Refusal::read(parts.status, parts.headers, &body);
        refusal.client_hint = caller.auth.hint(caller.client_id);
        let again = refusal.is_of_client(self.purpose) && caller.auth.learns(&proof, true);
        Ok((Err(self.refused(refusal, &own)), again))
    }

    /// Asks with GET, and returns the body of a success.
    #[cfg(feature = "discovery")]
    pub(crate) async fn get(self, headers: HeaderMap) -> Result<Zeroizing<Vec<u8>>, Error> {
        let answer = self.send(Method::GET, headers, Vec::new()).await?;
        self.body_of(answer)
    }

    /// The same, for a caller that has to see the headers of the answer, whatever its status.
    #[cfg(feature = "user-info")]
    pub(crate) async fn get_noticing(
        self,
        headers: HeaderMap,
        notice: impl FnOnce(&HeaderMap) + Send,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let answer = self.send(Method::GET, headers, Vec::new()).await?;
        notice(answer.headers());
        self.body_of(answer)
    }

    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response<Vec<u8>>, Error> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.url.normalised().parse().map_err(|_| {
            let what = format!("the URL at {} is not one that can be asked", self.url.host());
            self.located(Error::new(ErrorKind::Config, what))
        })?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(ACCEPT_ENCODING, IDENTITY);
        self.transport.send(request).await.map_err(|error| {
            let error = self.purpose.judged(error, self.url.host());
            self.located(if error.kind() == ErrorKind::Transport {
                let host = self.url.host();
                error.with_advice(format!("check that {host} can be reached, then ask again"))
            } else {
                error
            })
        })
    }

    #[cfg(any(feature = "discovery", feature = "user-info"))]
    fn body_of(&self, answer: Response<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (parts, body) = answer.into_parts();
        let body = Zeroizing::new(body);
        if parts.status.is_success() && !self.purpose.is_refused_by(parts.status, &body) {
            return Ok(body);
        }
        Err(self.refused(Refusal::read(parts.status, parts.headers, &body), &[]))
    }

    fn refused(&self, refusal: Refusal, own: &[&Secret]) -> Error {
        let mut secrets = self.secrets.clone();
        secrets.extend(own.iter().copied().chain(self.url.secrets()));
        let now = SystemClock.now().wall();
        let error = refusal.into_error(self.purpose, self.url.host(), &secrets, now);
        self.located(if error.kind() == ErrorKind::RequestRejected {
            error.with_advice("check the URL, the client, its scopes and parameters")
        } else {
            error
        })
    }

    fn located(&self, error: Error) -> Error {
        error.at_service(self.service_name)
    }
}

fn encoded(parameters: &[(&str, &str)]) -> Vec<u8> {
    // Sized in advance, because a string that grows leaves copies of the secrets behind.
    let length: usize = parameters.iter().map(|(n, v)| 3 * (n.len() + v.len()) + 2).sum();
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(length));
    form.extend_pairs(parameters).finish().into_bytes()
}
