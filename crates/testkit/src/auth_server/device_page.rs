//! The page where a person enters the code of a device (RFC 8628 §3.3).

use http::{Method, StatusCode};

use super::answer::Answer;
use super::config::Config;
use super::form::Form;
use super::received_request::ReceivedRequest;
use super::state::State;

/// A GET shows the form, a POST is what the person sent. Whoever is at the browser decides: no
/// password is asked.
pub(super) fn page(config: &Config, state: &mut State, request: &ReceivedRequest) -> Answer {
    let form = match Form::of_login(request) {
        Ok(form) => form,
        Err(refusal) => return refusal,
    };
    let code = form.get("user_code").unwrap_or_default();
    let now = config.clock.now();
    let person = state.people.at_browser.clone();
    if *request.method() != Method::POST {
        return match state.devices.waiting(code, &now) {
            _ if code.is_empty() => show(StatusCode::OK, &person, &entry("")),
            Some(device) => {
                let what = format!(
                    "<p>The client <b>{}</b> wants access{}.</p>",
                    escaped(&device.client_id),
                    wanted(&device.scopes.to_string())
                );
                show(StatusCode::OK, &person, &(what + &entry(code)))
            }
            None => show(StatusCode::NOT_FOUND, &person, &(UNKNOWN.to_owned() + &entry(code))),
        };
    }
    let approves = form.get("decision") != Some("deny");
    if !state.devices.settle(code, approves.then_some(person.as_str()), &now) {
        return show(StatusCode::NOT_FOUND, &person, &(UNKNOWN.to_owned() + &entry(code)));
    }
    let done = if approves { "The device is approved." } else { "The device is refused." };
    show(StatusCode::OK, &person, &format!("<p>{done} You may close this page.</p>"))
}

fn wanted(scopes: &str) -> String {
    if scopes.is_empty() { String::new() } else { format!(" to <b>{}</b>", escaped(scopes)) }
}

fn entry(code: &str) -> String {
    format!(
        "<form method=\"post\"><label>Code <input name=\"user_code\" value=\"{}\" required \
         autocomplete=\"off\" autofocus></label>\
         <button name=\"decision\" value=\"approve\">Approve</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></form>",
        escaped(code)
    )
}

fn show(status: StatusCode, person: &str, main: &str) -> Answer {
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Connect a device</title><style>{STYLE}</style><main>\
         <h1>Connect a device</h1><p>You are <b>{}</b>.</p>{main}</main></html>",
        escaped(person)
    );
    Answer::new(status, "text/html; charset=utf-8", page)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

const UNKNOWN: &str = "<p role=\"alert\">No device waits for this code.</p>";
const STYLE: &str = "body{font:1.1rem system-ui;display:grid;place-items:center;min-height:90vh}\
    main{max-width:26rem}input{font:inherit;display:block;margin:.5rem 0;padding:.4rem;\
    text-transform:uppercase}button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}";
