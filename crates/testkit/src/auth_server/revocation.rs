//! The revocation endpoint.

use http::StatusCode;

use super::answer::Answer;
use super::config::Config;
use super::form::Form;
use super::received_request::ReceivedRequest;
use super::state::State;

/// The revocation endpoint (RFC 7009 §2).
pub(super) fn revocation(config: &Config, state: &mut State, request: &ReceivedRequest) -> Answer {
    let revocation = Form::of_request(request).and_then(|form| {
        let client = state.clients.authenticate(config, request, &form)?;
        let token = form.require("token")?;
        if state.book.owner(token).is_some_and(|family| family.client_id != client.id) {
            let what = "the token belongs to another client";
            return Err(Answer::refusal("unauthorized_client", what));
        }
        state.book.revoke(token);
        Ok(Answer::empty(StatusCode::OK))
    });
    revocation.unwrap_or_else(|refusal| refusal)
}
