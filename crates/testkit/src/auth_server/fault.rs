//! What can go wrong between a client and a server, one name each.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tokenkeeper::Now;

use super::answer::Answer;
use super::received_request::ReceivedRequest;

/// What goes wrong with one request.
///
/// Unless it is said otherwise, the server does not act on the request: nothing is issued, and no
/// refresh token is spent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Waits that long, by real time, and then acts and answers as usual.
    Delay(Duration),
    /// Waits until [`release_hung`](crate::FakeAuthServer::release_hung), and then acts and
    /// answers as usual.
    Hang,
    /// Acts, and then waits until [`release_hung`](crate::FakeAuthServer::release_hung) before it
    /// answers: the client runs into its timeout after the refresh token was spent.
    HangAnswer,
    /// Acts, and then waits that long, by real time, before it answers: the time in which a client
    /// that is killed loses its answer.
    DelayAnswer(Duration),
    /// Acts, and then closes the connection without an answer.
    LostResponse,
    /// Acts, announces the length of the whole answer, sends half of it, and closes the connection.
    TruncatedBody,
    /// Acts, but gives out the access token that was issued last once more.
    SameAccessToken,
    /// 429 with `invalid_grant` in the body, as gateways do that say all sorts of things.
    TooManyRequests(Option<RetryAfter>),
    /// 503 with a page of HTML.
    Unavailable(Option<RetryAfter>),
    /// This status with this body, as JSON if it begins with `{`. What is no final status (200 to
    /// 599) becomes 500.
    Status(u16, String),
    /// 200 with a page of HTML, as captive portals do.
    HtmlWith200,
    /// 200 with an error object of this code, as some services do.
    ErrorWith200(String),
    /// 307 to this location, with which a careless client sends its secrets on.
    Redirect(String),
    /// 200 with a token response that does not end before so many bytes.
    HugeBody(usize),
    /// 400 with an error description that repeats every secret of the request in this form.
    Echo(EchoForm),
    /// This answer, whatever was asked.
    Answer {
        /// The status; what is no final status (200 to 599) becomes 500.
        status: u16,
        /// Headers; what cannot be one is left out.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
}

/// A `Retry-After` header (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// So many seconds.
    Seconds(u64),
    /// An HTTP date so far from now, by the clock of the server.
    Date(Duration),
}

/// In which form a leaky server repeats a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EchoForm {
    /// As it is.
    Raw,
    /// As a member of a JSON object.
    Json,
    /// Form-encoded, with `+` for a blank.
    Form,
    /// Percent-encoded, with `%20` for a blank.
    Percent,
    /// Base64.
    Base64,
    /// The `Authorization` header, or the one that client id and secret would make.
    Basic,
}

impl EchoForm {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Raw, Self::Json, Self::Form, Self::Percent, Self::Base64, Self::Basic];

    fn write(self, name: &str, secret: &str) -> String {
        match self {
            Self::Json => json!({ name: secret }).to_string(),
            Self::Form => {
                form_urlencoded::Serializer::new(String::new()).append_pair(name, secret).finish()
            }
            Self::Percent => format!("{name}={}", utf8_percent_encode(secret, NON_ALPHANUMERIC)),
            Self::Base64 => format!("{name}={}", STANDARD.encode(secret)),
            Self::Raw | Self::Basic => format!("{name}={secret}"),
        }
    }
}

pub(super) fn too_many_requests(after: Option<RetryAfter>, now: &Now) -> Answer {
    let what = "slow down, says the gateway";
    let answer = Answer::oauth_error(StatusCode::TOO_MANY_REQUESTS, "invalid_grant", what);
    retry_after(answer, after, now)
}

pub(super) fn unavailable(after: Option<RetryAfter>, now: &Now) -> Answer {
    let answer = html(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable");
    retry_after(answer, after, now)
}

pub(super) fn html(status: StatusCode, title: &str) -> Answer {
    let page = format!("<!DOCTYPE html><title>{title}</title><h1>{title}</h1>");
    Answer::new(status, "text/html; charset=utf-8", page)
}

pub(super) fn with_status(status: u16, body: &str) -> Answer {
    let content_type = if body.starts_with('{') { "application/json" } else { "text/plain" };
    Answer::new(final_status(status), content_type, body.to_owned())
}

pub(super) fn redirect(location: &str) -> Answer {
    Answer::empty(StatusCode::TEMPORARY_REDIRECT).with(header::LOCATION, location)
}

pub(super) fn scripted(status: u16, headers: &[(String, String)], body: &[u8]) -> Answer {
    let answer = Answer::empty(final_status(status)).with_body(body);
    headers.iter().fold(answer, |answer, (name, value)| answer.with_parsed(name, value))
}

/// An error answer of a server that repeats what it was sent.
pub(super) fn echo(form: EchoForm, request: &ReceivedRequest) -> Answer {
    let authorization = request.header(header::AUTHORIZATION.as_str());
    let mut said = Vec::new();
    if form == EchoForm::Basic {
        let made = || {
            let id = request.param("client_id").unwrap_or_default();
            let secret = request.param("client_secret")?;
            Some(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
        };
        said.extend(authorization.map(str::to_owned).or_else(made));
    } else {
        let (_, basic_secret) = authorization.and_then(super::clients::raw_basic).unzip();
        said.extend(basic_secret.map(|secret| form.write("client_secret", &secret)));
        for name in SECRETS {
            said.extend(request.param(name).map(|secret| form.write(name, &secret)));
        }
    }
    let body = json!({ "error": "invalid_request", "error_description": said.join(" ") });
    Answer::json(StatusCode::BAD_REQUEST, &body)
}

fn retry_after(answer: Answer, after: Option<RetryAfter>, now: &Now) -> Answer {
    match after {
        None => answer,
        Some(RetryAfter::Seconds(seconds)) => {
            answer.with(header::RETRY_AFTER, &seconds.to_string())
        }
        Some(RetryAfter::Date(from_now)) => {
            let date = httpdate::fmt_http_date(now.after(from_now).wall());
            answer.with(header::RETRY_AFTER, &date)
        }
    }
}

/// The parameters of any grant that nobody else may see.
const SECRETS: [&str; 12] = [
    "client_secret",
    "client_assertion",
    "password",
    "refresh_token",
    "token",
    "code",
    "code_verifier",
    "device_code",
    "assertion",
    "subject_token",
    "actor_token",
    "request_uri",
];

fn final_status(status: u16) -> StatusCode {
    match StatusCode::from_u16(status) {
        Ok(status) if (200..600).contains(&status.as_u16()) => status,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
