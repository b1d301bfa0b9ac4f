//! The body of a request to the token or revocation endpoint.

use std::collections::HashMap;

use http::{Method, StatusCode, header};

use super::answer::Answer;
use super::received_request::ReceivedRequest;

/// Form fields, each at most once; those without a value count as left out (RFC 6749 §3.2).
#[derive(Default)]
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Checks that the request is a POST of a form with nothing in the query.
    pub(super) fn of_request(request: &ReceivedRequest) -> Result<Self, Answer> {
        if request.method() != Method::POST {
            let what = "this endpoint takes only POST";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(
                Answer::oauth_error(status, "invalid_request", what).with(header::ALLOW, "POST")
            );
        }
        let content_type = request.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Answer::refusal("invalid_request", "the body must be form-encoded"));
        }
        if request.query().is_some_and(|query| !query.is_empty()) {
            let what = "parameters belong into the body, not into the URL";
            return Err(Answer::refusal("invalid_request", what));
        }
        Self::of_fields(request.form())
    }

    fn of_fields(fields: Vec<(String, String)>) -> Result<Self, Answer> {
        let mut form = HashMap::new();
        for (name, value) in fields {
            if form.insert(name, value).is_some() {
                return Err(Answer::refusal("invalid_request", "a parameter is repeated"));
            }
        }
        form.retain(|_, value| !value.is_empty());
        Ok(Self(form))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, Answer> {
        self.get(name)
            .ok_or_else(|| Answer::refusal("invalid_request", &format!("{name} is missing")))
    }
}
