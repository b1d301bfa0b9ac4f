//! The one algorithm: attach, send, understand the answer, replay once, follow redirects.

use std::mem;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method};
use reqwest::{Request, Response, Url};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::{
    Attached, Reaction, RedirectChain, Target, TokenChoice, carries_credentials,
};

use crate::kept_request::KeptRequest;
use crate::redirect::next_request;
use crate::tokens::{Redirects, Tokens};
use crate::unauthorized_retries::UnauthorizedRetries;

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

/// An answer to a request that had a token.
struct Answer {
    response: Response,
    refusal: Option<Refusal>,
}

/// The token that was refused, where the request can be sent again.
struct Refusal {
    attached: Attached,
    reaction: Reaction,
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
        let mut chain = RedirectChain::new(&self.routes, choice);
        loop {
            let mut kept = KeptRequest::of(&mut request, &self.spares);
            let sent = self.send_one(sender, request, &mut kept, chain.choice()).await;
            let response = sent.map_err(|failure| match failure {
                Failure::Token(error) if chain.has_redirects() => {
                    Failure::Token(error.with_answer_lost())
                }
                failure => failure,
            })?;
            if redirects_left == 0 || kept.time_is_up() {
                return Ok(response);
            }
            let Some(next) = next_request(&mut chain, &kept, &response) else {
                return Ok(response);
            };
            request = next;
            redirects_left -= 1;
        }
    }

    /// One request, its replay, and further attempts if there are to be any.
    async fn send_one<S: Sender>(
        &self,
        sender: &mut S,
        mut request: Request,
        kept: &mut KeptRequest,
        choice: TokenChoice,
    ) -> Result<Response, Failure<S::Error>> {
        let mut headers = mem::take(request.headers_mut());
        let attached = match target_of(request.method(), request.url()) {
            Ok(target) => self.routes.attach(&target, &mut headers, choice.clone()).await,
            Err(_) => Ok(None), // the client says what is wrong with such a URL
        };
        let attached = attached.map_err(Failure::Token)?;
        if attached.is_some() && self.redirects == Redirects::ByClient {
            check_credentials(kept.headers()).map_err(Failure::Token)?;
        }
        *request.headers_mut() = headers;
        let response = kept.timed(sender.execute(request)).await.map_err(Failure::Sender)?;

        let Some(attached) = attached else { return Ok(response) };
        let mut answer = self.judge(attached, kept, response).map_err(Failure::Token)?;
        if let Some(refusal) = answer.refusal.take() {
            answer = self.replay(sender, kept, answer.response, refusal).await?;
        }
        for attempt in 0..self.retries.as_ref().map_or(0, UnauthorizedRetries::attempts) {
            let Some(refusal) = answer.refusal.take() else { break };
            refusal.attached.give_up(refusal.reaction);
            if let Some(retries) = &self.retries {
                kept.timed(retries.wait(attempt)).await;
            }
            answer = self.retry(sender, kept, answer.response, choice.clone()).await?;
        }
        Ok(answer.response)
    }

    /// The one replay, if there is another token for it.
    async fn replay<S: Sender>(
        &self,
        sender: &mut S,
        kept: &mut KeptRequest,
        response: Response,
        refusal: Refusal,
    ) -> Result<Answer, Failure<S::Error>> {
        let renewed = refusal.attached.clone().renew(refusal.reaction).await;
        let Some(again) = renewed else { return Ok(Answer { response, refusal: Some(refusal) }) };
        let mut headers = kept.headers().clone();
        if let Some(url) = kept.url()
            && let Ok(target) = target_of(kept.method(), &url)
        {
            again.present(&target, &mut headers).map_err(Failure::Token)?;
        }
        let again = if self.retries.is_some() { again.into_first_attempt() } else { again };
        self.send_again(sender, kept, headers, (response, again)).await
    }

    /// A further attempt, with the token that there is by now. Without one, or without time, the
    /// caller gets the answer that is there.
    async fn retry<S: Sender>(
        &self,
        sender: &mut S,
        kept: &mut KeptRequest,
        response: Response,
        choice: TokenChoice,
    ) -> Result<Answer, Failure<S::Error>> {
        let mut headers = kept.headers().clone();
        let attached = match kept.url().filter(|_| !kept.time_is_up()) {
            Some(url) => match target_of(kept.method(), &url) {
                Ok(target) => self.routes.attach(&target, &mut headers, choice).await,
                Err(_) => Ok(None),
            },
            None => Ok(None),
        };
        match attached {
            Ok(Some(attached)) => {
                self.send_again(sender, kept, headers, (response, attached)).await
            }
            _ => Ok(Answer { response, refusal: None }),
        }
    }

    async fn send_again<S: Sender>(
        &self,
        sender: &mut S,
        kept: &mut KeptRequest,
        headers: HeaderMap,
        (response, attached): (Response, Attached),
    ) -> Result<Answer, Failure<S::Error>> {
        let Some(request) = kept.again(headers) else {
            return Ok(Answer { response, refusal: None });
        };
        // What has arrived of the answer is read by hyper, and the connection used again; one that
        // is still sending is closed.
        drop(response);
        let response = kept.timed(sender.execute(request)).await.map_err(Failure::Sender)?;
        self.judge(attached, kept, response).map_err(Failure::Token)
    }

    /// Whether an answer refuses the token, and the request can be sent again.
    fn judge(
        &self,
        attached: Attached,
        kept: &KeptRequest,
        response: Response,
    ) -> Result<Answer, Error> {
        self.check_source(kept, &response)?;
        if !response.status().is_client_error() || !kept.has_origin_of(&response) {
            self.take_notice(&attached, kept, &response);
            return Ok(Answer { response, refusal: None });
        }
        let Some(url) = kept.url() else { return Ok(Answer { response, refusal: None }) };
        let target = target_of(kept.method(), &url)?;
        let reaction = attached.reaction(&target, response.status(), response.headers());
        // The client may have followed a redirect, to the same URL even. Then the request was carried
        // out, and only what it was redirected to is refused.
        let is_sure = self.redirects != Redirects::ByClient || kept.method().is_safe();
        if reaction == Reaction::GiveUp
            || !is_sure
            || !attached.may_replay()
            || !kept.can_be_repeated()
        {
            attached.give_up(reaction);
            return Ok(Answer { response, refusal: None });
        }
        Ok(Answer { response, refusal: Some(Refusal { attached, reaction }) })
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

/// An error if the caller has put on credentials that a client that follows redirects takes to any
/// host.
fn check_credentials(headers: &HeaderMap) -> Result<(), Error> {
    let mut taken = headers.iter().filter(|(name, value)| {
        carries_credentials(name, value) && !LEFT_BEHIND.contains(name) && *name != "cookie2"
    });
    let Some((name, _)) = taken.next() else { return Ok(()) };
    let what = format!(
        "redirects: a client that follows them itself would take the header `{name}` of the request \
         to any host"
    );
    Err(Error::new(ErrorKind::Config, what)
        .with_advice("use a client made with tokenkeeper_reqwest::without_redirects"))
}

pub(crate) fn target_of<'a>(method: &'a Method, url: &'a Url) -> Result<Target<'a>, Error> {
    let host = url.host_str().unwrap_or_default();
    Target::new(method, url.scheme(), host, url.port(), url.path())
}

/// What `reqwest` (0.13.5) takes off a request that is redirected to another origin, and `cookie2`.
const LEFT_BEHIND: [HeaderName; 4] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE];
