//! What a client asks the authorization endpoint for, checked.

use tokenkeeper::Scopes;

use super::answer::Answer;
use super::clients::Client;
use super::form::Form;
use super::state::Config;
use super::token_endpoint;

/// An authorization request that is in order (RFC 6749 §4.1.1).
#[derive(Clone)]
pub(super) struct LoginRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) resources: Vec<String>,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    /// The thumbprint of the key that the code is bound to (RFC 9449 §10).
    pub(super) key: Option<String>,
}

/// Why an authorization request is refused.
pub(super) struct LoginRefusal {
    pub(super) code: &'static str,
    pub(super) what: String,
    /// Absent where the browser must not be sent anywhere (RFC 6749 §4.1.2.1).
    pub(super) redirect_uri: Option<String>,
    pub(super) state: Option<String>,
}

impl LoginRefusal {
    pub(super) fn without_redirect(code: &'static str, what: &str) -> Self {
        Self { code, what: what.to_owned(), redirect_uri: None, state: None }
    }

    /// 400, for those who are not at a browser, or must not be sent elsewhere.
    pub(super) fn answer(&self) -> Answer {
        Answer::refusal(self.code, &self.what)
    }
}

impl LoginRequest {
    pub(super) fn check(
        config: &Config,
        client: &Client,
        form: &Form,
    ) -> Result<Self, LoginRefusal> {
        let redirect_uri = form.get("redirect_uri").unwrap_or_default();
        let mut known = config.redirect_uris.iter().filter(|(id, _)| *id == client.id);
        if !known.any(|(_, known)| is_same_redirect_uri(known, redirect_uri)) {
            let what = "this redirect_uri is not registered for the client";
            return Err(LoginRefusal::without_redirect("invalid_request", what));
        }
        let checked = Self::of_parameters(config, client, form, redirect_uri);
        checked.map_err(|(code, what)| LoginRefusal {
            code,
            what,
            redirect_uri: Some(redirect_uri.to_owned()),
            state: form.get("state").map(str::to_owned),
        })
    }

    fn of_parameters(
        config: &Config,
        client: &Client,
        form: &Form,
        redirect_uri: &str,
    ) -> Result<Self, (&'static str, String)> {
        let invalid = |what: &str| ("invalid_request", what.to_owned());
        match form.get("response_type") {
            Some("code") => {}
            Some(_) => {
                let what = "only the code is offered";
                return Err(("unsupported_response_type", what.to_owned()));
            }
            None => return Err(invalid("response_type is missing")),
        }
        if form.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(invalid("only the response_mode query is offered"));
        }
        let challenge = form.get("code_challenge");
        let challenge = challenge.ok_or_else(|| invalid("code_challenge is missing"))?;
        if form.get("code_challenge_method") != Some("S256") {
            return Err(invalid("code_challenge_method must be S256"));
        }
        if challenge.len() != S256_LENGTH || !challenge.bytes().all(is_base64_url) {
            return Err(invalid("code_challenge is no S256 challenge"));
        }
        let scopes = token_endpoint::granted_scopes(config, form);
        let scopes = scopes.map_err(|what| ("invalid_scope", what.to_owned()))?;
        let resources = config.resources_of(form);
        Ok(Self {
            client_id: client.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state: form.get("state").map(str::to_owned),
            scopes,
            resources: resources.map_err(|what| ("invalid_target", what.to_owned()))?,
            challenge: challenge.to_owned(),
            nonce: form.get("nonce").map(str::to_owned),
            key: form.get("dpop_jkt").map(str::to_owned),
        })
    }
}

/// The very same, except that a loopback address may have any port (RFC 8252 §7.3).
fn is_same_redirect_uri(known: &str, given: &str) -> bool {
    let without_port = |uri: &str| {
        let host = LOOPBACK.into_iter().find(|host| uri.starts_with(host))?;
        let rest = uri.get(host.len()..)?;
        let rest = match rest.strip_prefix(':') {
            Some(port) => port.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => rest,
        };
        (rest.is_empty() || rest.starts_with(['/', '?'])).then(|| format!("{host}{rest}"))
    };
    match (without_port(known), without_port(given)) {
        (Some(known), Some(given)) => known == given,
        _ => known == given,
    }
}

const fn is_base64_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];
const S256_LENGTH: usize = 43; // 32 bytes in base64url
