//! The authorization endpoint (RFC 6749 §3.1) and the one where requests are pushed (RFC 9126).

use http::{StatusCode, header};
use serde_json::json;
use tokenkeeper::Scopes;

use super::answer::Answer;
use super::codes::{Code, Pushed};
use super::config::Config;
use super::dpop::Place;
use super::form::Form;
use super::login_request::{LoginRefusal, LoginRequest};
use super::people::Decision;
use super::received_request::ReceivedRequest;
use super::state::State;
use super::token_book::{contains_all, has_ended, random_token};

/// The browser comes with a request, the person decides, and the browser is sent back.
pub(super) fn authorization(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
) -> Answer {
    let form = match Form::of_login(request) {
        Ok(form) => form,
        Err(refusal) => return refusal,
    };
    match requested(config, state, &form) {
        Ok(request) => decide(config, state, request),
        Err(refusal) => match &refusal.redirect_uri {
            None => refusal.answer(),
            Some(redirect_uri) => {
                let mut callback = Callback::to(redirect_uri);
                callback.add("error", refusal.code);
                callback.add("error_description", &refusal.what);
                callback.add_if("state", refusal.state.as_deref());
                callback.add("iss", &config.issuer());
                callback.answer()
            }
        },
    }
}

/// Stores a request until the browser comes with its `request_uri` (RFC 9126 §2). A proof that
/// comes with it binds the code, as `dpop_jkt` does (RFC 9449 §10.1).
pub(super) fn pushed_authorization(
    config: &Config,
    state: &mut State,
    received: &ReceivedRequest,
) -> Answer {
    let answer = Form::of_request(received).and_then(|form| {
        let client = state.clients.authenticate(config, received, &form)?;
        if form.get("request_uri").is_some() {
            let what = "a pushed request cannot point to another";
            return Err(Answer::refusal("invalid_request", what));
        }
        form.require("client_id")?;
        let mut request = LoginRequest::check(config, &client, &form).map_err(|r| r.answer())?;
        let key = state.proofs.check(config, Place::Server, received, None);
        let key = key.map_err(|refusal| Answer::refusal(refusal.code, refusal.what))?;
        if request.key.is_some() && key.is_some() && request.key != key {
            let what = "dpop_jkt is not the key of the proof";
            return Err(Answer::refusal("invalid_dpop_proof", what));
        }
        request.key = key.or(request.key);
        let ends = config.clock.now().after(config.login.code_lifetime);
        let uri = REQUEST_URI.to_owned() + &random_token("par");
        state.logins.pushed.insert(uri.clone(), Pushed { request, ends });
        let expires_in = config.login.code_lifetime.as_secs();
        let body = json!({ "request_uri": uri, "expires_in": expires_in });
        Ok(Answer::json(StatusCode::CREATED, &body))
    });
    let answer = answer.unwrap_or_else(|refusal| refusal);
    state.proofs.with_nonce(config, Place::Server, answer)
}

fn requested(
    config: &Config,
    state: &mut State,
    form: &Form,
) -> Result<LoginRequest, LoginRefusal> {
    let refuse = |what| LoginRefusal::without_redirect("invalid_request", what);
    let id = form.get("client_id").ok_or_else(|| refuse("client_id is missing"))?;
    let client = state.clients.find(id).ok_or_else(|| refuse("the client is unknown"))?;
    let pushed = form.get("request_uri").filter(|uri| uri.starts_with(REQUEST_URI));
    let Some(uri) = pushed else {
        let request = LoginRequest::check(config, client, form)?;
        if config.login.requests_must_be_pushed {
            return Err(refuse("authorization requests must be pushed"));
        }
        return Ok(request);
    };
    let pushed = state.logins.pushed.remove(uri);
    let now = config.clock.now();
    let pushed = pushed
        .filter(|pushed| pushed.request.client_id == id && !has_ended(&pushed.ends, &now))
        .map(|pushed| pushed.request);
    pushed.ok_or_else(|| {
        LoginRefusal::without_redirect(
            "invalid_request_uri",
            "this request_uri is unknown, used or expired",
        )
    })
}

fn decide(config: &Config, state: &mut State, request: LoginRequest) -> Answer {
    let decision = state.people.decide();
    let mut callback = Callback::to(&request.redirect_uri);
    match &decision {
        Decision::Decline => callback.add("error", "access_denied"),
        Decision::Refuse(code) => callback.add("error", code),
        _ => {
            let scopes = match &decision {
                Decision::ApproveOnly(scopes) => approved(&request.scopes, scopes),
                _ => request.scopes.clone(),
            };
            callback.add("code", &issue_code(config, state, &request, scopes));
        }
    }
    match decision {
        Decision::NoState => {}
        Decision::WrongState => callback.add("state", "the-state-of-another-login"),
        _ => callback.add_if("state", request.state.as_deref()),
    }
    match decision {
        Decision::NoIssuer => {}
        Decision::WrongIssuer => callback.add("iss", "https://another-server.example"),
        _ => callback.add("iss", &config.issuer()),
    }
    callback.answer()
}

fn issue_code(
    config: &Config,
    state: &mut State,
    request: &LoginRequest,
    scopes: Scopes,
) -> String {
    let code = random_token("code");
    let now = config.clock.now();
    let issued = Code {
        request: request.clone(),
        username: state.people.at_browser.clone(),
        scopes,
        issued_at: now,
        ends: now.after(config.login.code_lifetime),
        family: None,
    };
    state.logins.codes.insert(code.clone(), issued);
    code
}

fn approved(asked: &Scopes, approved: &str) -> Scopes {
    let approved = Scopes::from_response(approved.split(' '));
    if contains_all(&approved, asked) {
        return asked.clone();
    }
    Scopes::from_response(asked.iter().filter(|scope| approved.contains(scope)))
}

/// Where the browser is sent, with what.
struct Callback {
    uri: String,
    separator: char,
}

impl Callback {
    fn to(redirect_uri: &str) -> Self {
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        Self { uri: redirect_uri.to_owned(), separator }
    }

    fn add(&mut self, name: &str, value: &str) {
        self.uri.push(std::mem::replace(&mut self.separator, '&'));
        let pair =
            form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        self.uri.push_str(&pair);
    }

    fn add_if(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn answer(self) -> Answer {
        Answer::empty(StatusCode::FOUND).with(header::LOCATION, &self.uri)
    }
}

const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";
