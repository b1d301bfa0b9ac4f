//! The one question that is asked of the API.

use std::fmt;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{Request, Response, StatusCode};
use serde_json::Value;
use tokenkeeper::{AccessToken, Error, ErrorKind};
use tokenkeeper_providers::HttpTransport;

use crate::SERVICE_NAME;

/// Where the API is, and by what it is asked.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) origin: String,
    pub(crate) transport: Option<Arc<dyn HttpTransport>>,
}

impl Api {
    /// Whether the API takes a token, by its `GET /auth/check`.
    pub(crate) async fn takes(&self, token: &AccessToken) -> Result<bool, Error> {
        let Some(transport) = &self.transport else {
            return Err(failed(ErrorKind::Config, "there is no transport to ask the API by"));
        };
        let request = Request::get(format!("{}{PATH}", self.origin))
            .header(AUTHORIZATION, token.authorization())
            .header(ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|_| failed(ErrorKind::Config, "the API origin makes no URL"))?;
        let answer =
            transport.send(request).await.map_err(|error| error.at_service(SERVICE_NAME))?;
        verdict(&answer)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

fn verdict(answer: &Response<Vec<u8>>) -> Result<bool, Error> {
    match answer.status() {
        StatusCode::UNAUTHORIZED => Ok(false),
        StatusCode::OK => {
            let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
            let said = body.and_then(|body| body.get("isAuthenticated")?.as_bool());
            said.ok_or_else(|| {
                let what = format!("GET {PATH}: the answer has no `isAuthenticated`");
                failed(ErrorKind::InvalidResponse, what)
            })
        }
        status => {
            let what = format!("GET {PATH} was answered with {}", status.as_u16());
            Err(failed(ErrorKind::Unavailable, what).with_status(status))
        }
    }
}

fn failed(kind: ErrorKind, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(kind, what).at_service(SERVICE_NAME)
}

const PATH: &str = "/auth/check";
