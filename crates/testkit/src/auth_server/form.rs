//! The parameters of a request.

use std::collections::HashMap;

use http::{Method, StatusCode, header};

use super::answer::Answer;
use super::received_request::ReceivedRequest;

/// Form fields; those without a value count as left out (RFC 6749 §3.2). Each comes at most once,
/// except for those that name where a token is to be used.
#[derive(Default)]
pub(super) struct Form(HashMap<String, Vec<String>>);

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

    /// The query of a GET, or the form of a POST (RFC 6749 §3.1).
    pub(super) fn of_login(request: &ReceivedRequest) -> Result<Self, Answer> {
        match *request.method() {
            Method::POST => Self::of_request(request),
            Method::GET => {
                let query = request.query().unwrap_or_default();
                Self::of_fields(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
            }
            _ => {
                let what = "this endpoint takes only GET and POST";
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let answer = Answer::oauth_error(status, "invalid_request", what);
                Err(answer.with(header::ALLOW, "GET, POST"))
            }
        }
    }

    fn of_fields(fields: Vec<(String, String)>) -> Result<Self, Answer> {
        let mut form: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            let may_repeat = REPEATABLE.contains(&name.as_str());
            let values = form.entry(name).or_default();
            if !values.is_empty() && !may_repeat {
                return Err(Answer::refusal("invalid_request", "a parameter is repeated"));
            }
            values.push(value);
        }
        Ok(Self(form))
    }

    /// The only value of a parameter, or the first of one that may come more than once.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, Answer> {
        self.get(name)
            .ok_or_else(|| Answer::refusal("invalid_request", &format!("{name} is missing")))
    }
}

/// RFC 8707 §2, RFC 8693 §2.1.
const REPEATABLE: [&str; 2] = ["resource", "audience"];
