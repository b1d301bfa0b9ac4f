//! The nonces that servers want in the next proof (RFC 9449 §8).
//!
//! A nonce is good at the server that issued it and nowhere else. A token endpoint and an API may
//! be behind one origin and still be two servers, so they are told apart by whether a token is used
//! there (§9); mixed up, each would refuse what the other said, for ever.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use tokenkeeper_http::{Origin, Target};

/// To whom a proof is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// The token endpoint, and what is around it.
    AuthorizationServer,
    /// Where a token is used.
    ResourceServer,
}

/// The newest nonce of every server.
#[derive(Default)]
pub(crate) struct Nonces {
    newest: Mutex<HashMap<(Side, Origin), Arc<str>>>,
}

impl Nonces {
    /// What the next proof to this server is to have in it.
    pub(crate) fn newest(&self, side: Side, target: &Target<'_>) -> Option<Arc<str>> {
        let server = (side, Origin::of(target));
        self.newest.lock().get(&server).map(Arc::clone)
    }

    /// Keeps the nonce of an answer, if it has one (RFC 9449 §8.2).
    pub(crate) fn take_notice(&self, side: Side, target: &Target<'_>, headers: &HeaderMap) {
        let Some(nonce) = nonce_in(headers) else { return };
        let server = (side, Origin::of(target));
        self.newest.lock().insert(server, nonce.into());
    }
}

/// Nonces are no secrets, but their number is all that a reader needs.
impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nonces").field(&self.newest.lock().len()).finish()
    }
}

/// The nonce of an answer. There must be one (RFC 9449 §8); of several none is known to count.
pub(crate) fn nonce_in(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(&DPOP_NONCE).iter();
    let nonce = all.next().filter(|_| all.next().is_none())?.to_str().ok()?;
    let is_char = |b: u8| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E); // RFC 6749, appendix A
    let fits = !nonce.is_empty() && nonce.len() <= LONGEST_NONCE && nonce.bytes().all(is_char);
    fits.then_some(nonce)
}

static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const LONGEST_NONCE: usize = 4 * 1024; // bytes; it goes into a header of ours, in base64
