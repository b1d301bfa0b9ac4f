//! What a client asks the authorization endpoint for, checked.

use tokenkeeper::Scopes;

use super::answer::Answer;
use super::client::{Client, Pkce};
use super::config::Config;
use super::form::Form;
use super::requested;

/// An authorization request that is in order (RFC 6749 §4.1.1).
#[derive(Clone)]
pub(super) struct LoginRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    /// Whether the request said so, or left it to the registration.
    pub(super) names_redirect_uri: bool,
    pub(super) state: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) resources: Vec<String>,
    /// Absent where the client may come without one.
    pub(super) challenge: Option<String>,
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
        let redirect_uri = redirect_uri(client, form)
            .map_err(|what| LoginRefusal::without_redirect("invalid_request", what))?;
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
        refuse_what_is_not_offered(form)?;
        if !client.may_use("authorization_code") {
            let what = "this client may not use the grant authorization_code";
            return Err(("unauthorized_client", what.to_owned()));
        }
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
        let challenge = challenge(client, form).map_err(invalid)?;
        let scopes = requested::granted_scopes(config, client, form);
        let scopes = scopes.map_err(|what| ("invalid_scope", what.to_owned()))?;
        let key = form.get("dpop_jkt");
        if key.is_some_and(|key| !is_sha256(key)) {
            return Err(invalid("dpop_jkt is no thumbprint by SHA-256"));
        }
        let resources = requested::resources(config, form);
        Ok(Self {
            client_id: client.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            names_redirect_uri: form.get("redirect_uri").is_some(),
            state: form.get("state").map(str::to_owned),
            scopes,
            resources: resources.map_err(|what| ("invalid_target", what.to_owned()))?,
            challenge,
            nonce: form.get("nonce").map(str::to_owned),
            key: key.map(str::to_owned),
        })
    }
}

/// The registered one that the request names, or the only one there is (RFC 6749 §3.1.2.3).
/// OpenID Connect wants it named always (Core §3.1.2.1).
fn redirect_uri<'a>(client: &'a Client, form: &'a Form) -> Result<&'a str, &'static str> {
    let is_openid =
        form.get("scope").is_some_and(|scope| scope.split(' ').any(|scope| scope == "openid"));
    match (form.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(named), known) if known.iter().any(|known| is_same_redirect_uri(known, named)) => {
            Ok(named)
        }
        (Some(_), _) => Err("this redirect_uri is not registered for the client"),
        (None, [only]) if !is_openid => Ok(only),
        (None, [_]) => Err("redirect_uri is missing, which the scope openid asks for"),
        (None, _) => Err("redirect_uri is missing, and the client has not exactly one"),
    }
}

/// Parameters that a server has to refuse rather than ignore (OpenID Connect Core §3.1.2.1, §6, §7).
fn refuse_what_is_not_offered(form: &Form) -> Result<(), (&'static str, String)> {
    for (name, code) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ] {
        if form.get(name).is_some() {
            return Err((code, format!("the parameter {name} is not offered")));
        }
    }
    let invalid = |what: &str| Err(("invalid_request", what.to_owned()));
    let prompts: Vec<&str> = form.get("prompt").unwrap_or_default().split_whitespace().collect();
    if prompts.contains(&"none") && prompts.len() > 1 {
        return invalid("prompt is none and something else");
    }
    if !prompts.iter().all(|prompt| PROMPTS.contains(prompt)) {
        return invalid("a prompt is unknown");
    }
    if form.get("max_age").is_some_and(|age| age.parse::<u64>().is_err()) {
        return invalid("max_age is no number of seconds");
    }
    Ok(())
}

fn challenge(client: &Client, form: &Form) -> Result<Option<String>, &'static str> {
    match (form.get("code_challenge"), form.get("code_challenge_method")) {
        (None, None) if client.pkce == Pkce::Optional => Ok(None),
        (None, _) => Err("code_challenge is missing"),
        (Some(_), method) if method != Some("S256") => Err("code_challenge_method must be S256"),
        (Some(challenge), _) if !is_sha256(challenge) => Err("code_challenge is no S256 challenge"),
        (Some(challenge), _) => Ok(Some(challenge.to_owned())),
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

fn is_sha256(text: &str) -> bool {
    text.len() == SHA256_LENGTH && text.bytes().all(is_base64_url)
}

const fn is_base64_url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];
const SHA256_LENGTH: usize = 43; // 32 bytes in base64url
pub(super) const PROMPTS: [&str; 4] = ["none", "login", "consent", "select_account"];
