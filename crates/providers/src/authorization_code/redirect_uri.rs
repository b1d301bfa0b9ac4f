//! Where the browser comes back to: compared by servers letter by letter, so it is kept as given.

use tokenkeeper::Error;
use url::Url;

use crate::endpoint_url::{config_error, is_loopback};

/// Checks what can be wrong with a redirect URI (RFC 6749 §3.1.2). Schemes of apps are fine (RFC 8252
/// §7.1).
pub(super) fn check_redirect_uri(text: &str, allow_http: bool) -> Result<(), Error> {
    let refused = |what: &str| Err(config_error("redirect URI", what));
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refused("must not have blanks or control characters");
    }
    let Ok(url) = Url::parse(text) else {
        return refused("must be an absolute URI (RFC 6749 §3.1.2)");
    };
    if text.contains('#') {
        return refused("must not have a fragment (RFC 6749 §3.1.2)");
    }
    if url.query_pairs().any(|(name, _)| OF_CALLBACKS.contains(&&*name)) {
        return refused(
            "must not have `code`, `state`, `iss`, `error` or `error_description` in its query: the \
             callback would have it twice (RFC 6749 §3.1)",
        );
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return refused(
            "must be https, because the code comes over it (RFC 6749 §3.1.2.1); http is for \
             loopback hosts and danger_allow_http()",
        );
    }
    Ok(())
}

/// What the server adds to the redirect URI (RFC 6749 §4.1.2, RFC 9207 §2).
const OF_CALLBACKS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];
