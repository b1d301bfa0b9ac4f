//! Bound tokens on requests, and what an API says about them (RFC 9449 §7).

use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use tokenkeeper::{AccessToken, Error, ErrorKind};
use tokenkeeper_http::{Presenter, Reaction, Target, challenge_errors};

use crate::dpop_key::{DpopKey, PROOF};
use crate::nonces::{Side, nonce_in};

/// `Authorization: DPoP …`, with a new proof in `DPoP` for every attempt (RFC 9449 §7.1). Made by
/// [`DpopKey::presenter`].
///
/// | answer | what happens |
/// |---|---|
/// | any with `DPoP-Nonce` | the next proof to that origin has it |
/// | 401, `use_dpop_nonce` with a nonce | once more with the same token and a new proof, which has that nonce |
/// | 401, `invalid_dpop_proof` | the caller gets it: a proof of the same key and clock would be refused again |
/// | 401 otherwise | as with bearer tokens: `invalid_token` replaces the token |
///
/// A request is sent twice at most. A token that is not bound to a key is an error, and the request
/// is not sent.
#[derive(Clone, Debug)]
pub struct Dpop {
    key: DpopKey,
}

impl Dpop {
    pub(crate) fn new(key: DpopKey) -> Self {
        Self { key }
    }

    fn put_on(
        &self,
        token: &AccessToken,
        target: &Target<'_>,
        refusal: Option<&HeaderMap>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        if !token.token_type().eq_ignore_ascii_case("DPoP") {
            return Err(not_bound(token));
        }
        let proof = self.key.proof(target, Some(token), refusal)?;
        headers.insert(AUTHORIZATION, token.authorization());
        headers.insert(&PROOF, proof);
        Ok(())
    }
}

impl Presenter for Dpop {
    fn header(&self) -> &HeaderName {
        const { &AUTHORIZATION }
    }

    fn further_headers(&self) -> &[HeaderName] {
        std::slice::from_ref(&PROOF)
    }

    fn present(
        &self,
        token: &AccessToken,
        target: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        self.put_on(token, target, None, headers)
    }

    fn present_again(
        &self,
        token: &AccessToken,
        target: &Target<'_>,
        refusal: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        self.put_on(token, target, Some(refusal), headers)
    }

    fn on_challenge(
        &self,
        _target: &Target<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Reaction {
        if status != StatusCode::UNAUTHORIZED || headers.contains_key(RETRY_AFTER) {
            return Reaction::GiveUp;
        }
        let errors: Vec<String> = challenge_errors(headers).collect();
        let says = |code| errors.iter().any(|error| error == code);
        if says("use_dpop_nonce") {
            let has_nonce = nonce_in(headers).is_some();
            return if has_nonce { Reaction::Represent } else { Reaction::GiveUp };
        }
        if says("invalid_dpop_proof") {
            return Reaction::GiveUp;
        }
        Reaction::usual(status, headers)
    }

    fn on_answer(&self, target: &Target<'_>, _status: StatusCode, headers: &HeaderMap) {
        self.key.nonces().take_notice(Side::ResourceServer, target, headers);
    }
}

/// RFC 9449 §7.1: a bearer token under `DPoP` would be refused, if the API looks.
fn not_bound(token: &AccessToken) -> Error {
    let what = format!(
        "the service issued a token of the type {}, which is not bound to a key and is not presented \
         with DPoP",
        token.token_type()
    );
    Error::new(ErrorKind::Unsupported, what).with_advice(
        "give the key to the provider with proof_of_possession(), or the route another presenter",
    )
}
