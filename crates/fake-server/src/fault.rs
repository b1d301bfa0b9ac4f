//! Faults and endpoints as the admin endpoint names them.

use std::time::Duration;

use serde::Deserialize;
use tokenkeeper_testkit::{EchoForm, Endpoint, Fault, RetryAfter};

/// What goes wrong with a request; `kind` says which.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FaultName {
    Delay {
        milliseconds: u64,
    },
    Hang,
    HangAnswer,
    DelayAnswer {
        milliseconds: u64,
    },
    LostResponse,
    TruncatedBody,
    SameAccessToken,
    TooManyRequests {
        retry_after: Option<u64>,
    },
    Unavailable {
        retry_after: Option<u64>,
    },
    Status {
        status: u16,
        body: Option<String>,
    },
    #[serde(rename = "html_with_200")]
    HtmlWith200,
    #[serde(rename = "error_with_200")]
    ErrorWith200 {
        error: String,
    },
    Redirect {
        location: String,
    },
    HugeBody {
        bytes: usize,
    },
    Echo,
}

impl From<FaultName> for Fault {
    fn from(name: FaultName) -> Self {
        let after = |seconds: Option<u64>| seconds.map(RetryAfter::Seconds);
        match name {
            FaultName::Delay { milliseconds } => Self::Delay(Duration::from_millis(milliseconds)),
            FaultName::Hang => Self::Hang,
            FaultName::HangAnswer => Self::HangAnswer,
            FaultName::DelayAnswer { milliseconds } => {
                Self::DelayAnswer(Duration::from_millis(milliseconds))
            }
            FaultName::LostResponse => Self::LostResponse,
            FaultName::TruncatedBody => Self::TruncatedBody,
            FaultName::SameAccessToken => Self::SameAccessToken,
            FaultName::TooManyRequests { retry_after } => Self::TooManyRequests(after(retry_after)),
            FaultName::Unavailable { retry_after } => Self::Unavailable(after(retry_after)),
            FaultName::Status { status, body } => Self::Status(status, body.unwrap_or_default()),
            FaultName::HtmlWith200 => Self::HtmlWith200,
            FaultName::ErrorWith200 { error } => Self::ErrorWith200(error),
            FaultName::Redirect { location } => Self::Redirect(location),
            FaultName::HugeBody { bytes } => Self::HugeBody(bytes),
            FaultName::Echo => Self::Echo(EchoForm::Raw),
        }
    }
}

/// A part of the server.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndpointName {
    #[default]
    Token,
    Revocation,
    Resource,
    Authorization,
    PushedAuthorization,
    DeviceAuthorization,
    DevicePage,
    Introspection,
    UserInfo,
    Registration,
    Metadata,
}

impl From<EndpointName> for Endpoint {
    fn from(name: EndpointName) -> Self {
        match name {
            EndpointName::Token => Self::Token,
            EndpointName::Revocation => Self::Revocation,
            EndpointName::Resource => Self::Resource,
            EndpointName::Authorization => Self::Authorization,
            EndpointName::PushedAuthorization => Self::PushedAuthorization,
            EndpointName::DeviceAuthorization => Self::DeviceAuthorization,
            EndpointName::DevicePage => Self::DevicePage,
            EndpointName::Introspection => Self::Introspection,
            EndpointName::UserInfo => Self::UserInfo,
            EndpointName::Registration => Self::Registration,
            EndpointName::Metadata => Self::Metadata,
        }
    }
}
