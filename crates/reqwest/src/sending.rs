//! The one algorithm: attach, send, understand the answer, replay once, follow redirects.

use std::mem;

use http::Method;
use reqwest::{Request, Response, Url};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::{Attached, Reaction, Target, TokenChoice};

use crate::kept_request::KeptRequest;
use crate::redirect::Hops;
use crate::tokens::{Redirects, Tokens};

/// Whatever sends a request: a client, or the rest of a chain of middleware.
pub(crate) trait Sender: Send {
    type Error: Send;

    fn execute(
        &mut self,
        request: Request,
    ) -> impl Future<Output = Result<Response, Self::Error>> + Send;
}

/// Why there is no answer.
pub(crate) enum Failure<E> {
    Token(Error),
    Sender(E),
}

impl Tokens {
    /// Sends the request, and those that redirects ask for.
    pub(crate) async fn send<S: Sender>(
        &self,
        sender: &mut S,
        mut request: Request,
        choice: TokenChoice,
    ) -> Result<Response, Failure<S::Error>> {
        let mut redirects_left = match self.redirects {
            Redirects::Here(limit) => limit,
            Redirects::ByClient => 0,
        };
        let mut hops = Hops::new(choice);
        loop {
            let mut kept = KeptRequest::of(&mut request, &self.spares);
            let choice = hops.choice_for(&self.routes, &request);
            let sent = self.send_one(sender, request, &mut kept, choice).await;
            let response = sent.map_err(|failure| match failure {
                Failure::Token(error) if hops.are_under_way() => {
                    Failure::Token(error.with_answer_lost())
                }
                failure => failure,
            })?;
            if redirects_left == 0 || kept.time_is_up() {
                return Ok(response);
            }
            let Some(next) = hops.follow(&self.routes, &kept, &response) else {
                return Ok(response);
            };
            request = next;
            redirects_left -= 1;
        }
    }

    /// One request, and its replay.
    async fn send_one<S: Sender>(
        &self,
        sender: &mut S,
        mut request: Request,
        kept: &mut KeptRequest,
        choice: TokenChoice,
    ) -> Result<Response, Failure<S::Error>> {
        let mut headers = mem::take(request.headers_mut());
        let attached = match target_of(request.method(), request.url()) {
            Ok(target) => self.routes.attach(&target, &mut headers, choice).await,
            Err(_) => Ok(None), // the client says what is wrong with such a URL
        };
        let attached = attached.map_err(Failure::Token)?;
        *request.headers_mut() = headers;
        let response = kept.timed(sender.execute(request)).await.map_err(Failure::Sender)?;

        let Some(attached) = attached else { return Ok(response) };
        self.check_source(kept, &response).map_err(Failure::Token)?;
        if !response.status().is_client_error() || !kept.has_origin_of(&response) {
            self.take_notice(&attached, kept, &response);
            return Ok(response);
        }
        let Some(url) = kept.url() else { return Ok(response) };
        let method = kept.method().clone();
        let Ok(target) = target_of(&method, &url) else { return Ok(response) };
        let reaction = attached.reaction(&target, response.status(), response.headers());
        // The client may have followed a redirect, to the same URL even. Then the request was carried
        // out, and only what it was redirected to is refused.
        let is_sure = self.redirects != Redirects::ByClient || method.is_safe();
        if reaction == Reaction::GiveUp || !is_sure || !kept.can_be_repeated() {
            attached.give_up(reaction);
            return Ok(response);
        }
        let Some(again) = attached.renew(reaction).await else { return Ok(response) };
        let mut headers = kept.headers().clone();
        again.present(&target, &mut headers).map_err(Failure::Token)?;
        let Some(request) = kept.again(headers) else { return Ok(response) };
        // What has arrived of the answer is read by hyper, and the connection used again; one that
        // is still sending is closed.
        drop(response);
        let response = kept.timed(sender.execute(request)).await.map_err(Failure::Sender)?;
        self.check_source(kept, &response).map_err(Failure::Token)?;
        self.take_notice(&again, kept, &response);
        Ok(response)
    }

    /// Lets the presenter hear of an answer from where the token went. The URL of the answer is that
    /// of the request, which would have to be read anew; only a middleware that answers by itself
    /// names none, and then its host is on no route.
    fn take_notice(&self, attached: &Attached, kept: &KeptRequest, response: &Response) {
        if let Ok(target) = target_of(kept.method(), response.url())
            && kept.has_url_of(response)
            && self.routes.knows(&target)
        {
            attached.take_notice(&target, response.status(), response.headers());
        }
    }

    /// An error if the client has followed a redirect of a request with a token, and was not to.
    fn check_source(&self, kept: &KeptRequest, response: &Response) -> Result<(), Error> {
        if self.redirects == Redirects::ByClient || kept.has_url_of(response) {
            return Ok(());
        }
        let host = kept.url().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let what = format!(
            "the HTTP client followed a redirect of {host} by itself, and may have taken the token \
             elsewhere"
        );
        Err(Error::new(ErrorKind::RequestRejected, what)
            .with_advice("make the client with tokenkeeper_reqwest::without_redirects")
            .with_answer_lost())
    }
}

pub(crate) fn target_of<'a>(method: &'a Method, url: &'a Url) -> Result<Target<'a>, Error> {
    let host = url.host_str().unwrap_or_default();
    Target::new(method, url.scheme(), host, url.port(), url.path())
}
