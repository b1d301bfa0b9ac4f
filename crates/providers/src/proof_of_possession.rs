//! Tokens that are worth nothing without a key: the seam between the grants and those who hold one.

use std::fmt::Debug;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use tokenkeeper::{AccessToken, Error};

/// A key that tokens are bound to, and the proofs of it (RFC 9449). `tokenkeeper-dpop` has one.
///
/// # Contract
///
/// - It must not block.
/// - Every proof is a new one (RFC 9449 §4.2: `jti`).
/// - Nonces are kept per origin, those of token endpoints apart from those of APIs (RFC 9449 §9).
/// - Neither the key nor a token shows in an error or `Debug`.
/// - A wrapper forwards every method.
pub trait ProofOfPossession: Debug + Send + Sync + 'static {
    /// The thumbprint of the public key (RFC 7638), which tells tokens apart that are bound to
    /// different keys.
    fn thumbprint(&self) -> &str;

    /// Puts a proof onto a request: to the token endpoint, or with `token` to where that is used.
    ///
    /// # Errors
    ///
    /// If it cannot be signed. The request is not sent then.
    fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        token: Option<&AccessToken>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error>;

    /// Puts a proof onto a request that was refused because the server wants another nonce (RFC 9449
    /// §8). `refusal` are the headers of that answer; the nonce in them is for this request, and the
    /// newest nonce may be that of another one by now.
    ///
    /// # Default
    ///
    /// [`prove`](Self::prove), which has the newest nonce.
    ///
    /// # Errors
    ///
    /// As [`prove`](Self::prove).
    fn prove_again(
        &self,
        method: &Method,
        uri: &Uri,
        token: Option<&AccessToken>,
        refusal: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let _ = refusal;
        self.prove(method, uri, token, headers)
    }

    /// Called with the headers of every answer, in which the next nonce may be (RFC 9449 §8.2), and
    /// with the `token` that [`prove`](Self::prove) was called with: nonces of a token endpoint and
    /// of an API differ, also where both are on one origin (RFC 9449 §9).
    fn take_notice(&self, uri: &Uri, token: Option<&AccessToken>, headers: &HeaderMap);
}

macro_rules! forward_proof_of_possession {
    ($($pointer:ident),*) => {$(
        impl<T: ProofOfPossession + ?Sized> ProofOfPossession for $pointer<T> {
            fn thumbprint(&self) -> &str {
                (**self).thumbprint()
            }

            fn prove(
                &self,
                method: &Method,
                uri: &Uri,
                token: Option<&AccessToken>,
                headers: &mut HeaderMap,
            ) -> Result<(), Error> {
                (**self).prove(method, uri, token, headers)
            }

            fn prove_again(
                &self,
                method: &Method,
                uri: &Uri,
                token: Option<&AccessToken>,
                refusal: &HeaderMap,
                headers: &mut HeaderMap,
            ) -> Result<(), Error> {
                (**self).prove_again(method, uri, token, refusal, headers)
            }

            fn take_notice(&self, uri: &Uri, token: Option<&AccessToken>, headers: &HeaderMap) {
                (**self).take_notice(uri, token, headers);
            }
        }
    )*};
}

forward_proof_of_possession!(Arc, Box);
