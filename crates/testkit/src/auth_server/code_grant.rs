//! The code of a login becomes tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).

use super::answer::Answer;
use super::codes::Code;
use super::jwt::{base64_url, sha256};
use super::token_book::{Family, Grant, SignIn, has_ended};
use super::token_endpoint::TokenRequest;

impl TokenRequest<'_> {
    pub(super) fn authorization_code(&mut self) -> Result<Answer, Answer> {
        let text = self.form.require("code")?.to_owned();
        let refuse = |what| Answer::refusal("invalid_grant", what);
        let code = self.state.logins.codes.get(&text);
        let code = code.filter(|code| code.request.client_id == self.client.id);
        let code = code.ok_or_else(|| refuse("the code was not issued to this client"))?;
        if let Some(family) = code.family {
            self.state.book.kill_family(family);
            return Err(refuse("the code was used before; its tokens are revoked"));
        }
        if has_ended(&code.ends, &self.now) {
            return Err(refuse("the code has expired"));
        }
        let named = self.form.get("redirect_uri");
        let is_same = named.is_some_and(|uri| uri == code.request.redirect_uri);
        if !is_same && (named.is_some() || code.request.names_redirect_uri) {
            return Err(refuse("redirect_uri is not the one that the code was sent to"));
        }
        if !proves(self.form.get("code_verifier"), code) {
            return Err(refuse("code_verifier does not match the code_challenge"));
        }
        if code.request.key.is_some() && code.request.key != self.key {
            return Err(refuse("the code is bound to another key"));
        }
        let scopes = code.scopes.clone();
        let login = SignIn { at: code.issued_at };
        let nonce = code.request.nonce.clone();
        let family = Family {
            client_id: self.client.id.clone(),
            username: Some(code.username.clone()),
            scopes: scopes.clone(),
            resources: code.request.resources.clone(),
            sign_in: Some(login),
            actor: None,
            key: self.key_of_family(),
        };
        let resources = self.narrowed_resources(&family.resources)?;
        let family = self.state.book.open_family(family);
        if let Some(code) = self.state.logins.codes.get_mut(&text) {
            code.family = Some(family);
        }
        self.nonce = nonce;
        let grant = Grant { scopes, resources, key: self.key.clone() };
        Ok(self.answer(family, grant, true))
    }
}

/// Whether the verifier is one, and the one that the challenge was made of. A verifier without a
/// challenge is an attack or a mistake (RFC 9700 §2.1.1).
fn proves(verifier: Option<&str>, code: &Code) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match (verifier, &code.request.challenge) {
        (None, challenge) => challenge.is_none(),
        (Some(_), None) => false,
        (Some(verifier), Some(challenge)) => {
            (43..=128).contains(&verifier.len())
                && verifier.bytes().all(allowed)
                && base64_url(sha256(verifier)) == *challenge
        }
    }
}
