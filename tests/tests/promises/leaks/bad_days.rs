//! Everything that the fake server can do wrong, with secrets wherever it may put text.

use serde_json::json;
use tokenkeeper_testkit::{EchoForm, Fault, RetryAfter};

use super::plants::Plants;

/// The faults that take no time. `sent` are the secrets that requests have in them.
pub(crate) fn bad_days(plants: &Plants, sent: &[&str]) -> Vec<Fault> {
    let all = sent.join(" and ");
    let mut days = vec![
        Fault::TooManyRequests(None),
        Fault::TooManyRequests(Some(RetryAfter::Seconds(7))),
        Fault::Unavailable(Some(RetryAfter::Seconds(7))),
        Fault::HtmlWith200,
        Fault::ErrorWith200("invalid_grant".to_owned()),
        Fault::ErrorWith200(all.clone()),
        Fault::LostResponse,
        Fault::TruncatedBody,
        Fault::Redirect(plants.with_query("https://elsewhere.example.org/token")),
        Fault::Redirect(format!("/{}", plants.with_query("token"))),
    ];
    days.extend(EchoForm::ALL.map(Fault::Echo));
    let described = json!({ "error": "odd", "error_description": all }).to_string();
    let page = format!("<!DOCTYPE html><title>{all}</title>");
    for status in [400, 401, 403, 404, 407, 408, 425, 429, 500, 503] {
        days.push(Fault::Status(status, described.clone()));
        days.push(Fault::Status(status, page.clone()));
    }
    days.push(Fault::Status(400, all.clone()));
    for status in [200, 400, 503] {
        days.extend(bodies(&all).into_iter().map(|body| talkative(status, &all, body)));
    }
    days
}

/// The faults that end with a timeout, or with a mebibyte.
pub(crate) fn slow_days() -> Vec<Fault> {
    vec![Fault::Hang, Fault::HangAnswer, Fault::HugeBody(2 << 20)]
}

/// JSON and what is nearly JSON, with the text in every member that somebody may read.
fn bodies(text: &str) -> Vec<String> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("error", text)
        .append_pair("error_description", text)
        .finish();
    let mut all: Vec<String> = [
        json!({ "error": text }),
        json!({ "error": "invalid_grant", "error_description": text }),
        json!({ "error": "invalid_client", "error_uri": format!("https://example.org/?{text}") }),
        json!({ "error": { "code": text, "message": text, "debug": { "sent": text } } }),
        json!({ "error": { "type": "odd", "message": text }, "error_description": text }),
        json!({ "errors": [{ "error": text, "description": text }, text] }),
        json!({ "errcode": text, "errmsg": text }),
        json!({ "ok": false, "error": text, (text): text }),
        json!({ "access_token": "", "token_type": text, "scope": text }),
        json!({ "access_token": "b", "token_type": text }),
        json!({ "access_token": "b", "token_type": [text], "refresh_token": text }),
        json!({ "access_token": format!("{text}\n"), "token_type": "Bearer", "scope": text }),
        json!({ "access_token": text, "id_token": text, "error": "odd", "error_description": text }),
        json!({
            "access_token": text, "expires_in": text, "refresh_token": text, "id_token": text,
            "scope": text, (text): text, "deeper": { "still": [text] },
        }),
        json!(text),
        json!([text]),
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    all.extend([
        form,
        format!("{{\"error\":\"invalid_grant\",\"error_description\":\"{text}\"}}"),
        format!("{{\"error\":\"{text}"),
        text.to_owned(),
    ]);
    all
}

/// An answer that says it in its headers too.
fn talkative(status: u16, text: &str, body: String) -> Fault {
    let names = ["Retry-After", "Content-Type", "WWW-Authenticate", "Location", "X-Debug"];
    let headers = names.iter().map(|name| ((*name).to_owned(), text.to_owned())).collect();
    Fault::Answer { status, headers, body: body.into_bytes() }
}
