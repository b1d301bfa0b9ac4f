//! Headers that carry credentials: they are meant for one origin, and stay there.

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether a header carries credentials, by its name or because its value is marked
/// [sensitive](HeaderValue::is_sensitive).
///
/// The names are those of RFC 9110 §11 and of cookies, and all with a word for credentials in them:
/// `X-Api-Key`, `X-Auth-Token`, `Ocp-Apim-Subscription-Key`, `X-Csrf-Token`. `Idempotency-Key` is
/// none of them.
#[must_use]
pub fn carries_credentials(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || is_named_as_credentials(name.as_str())
}

/// Takes off what is meant for one origin alone: credentials, and the name of its host.
pub(crate) fn leave_behind(headers: &mut HeaderMap) {
    let private = headers.iter().filter(|(name, value)| carries_credentials(name, value));
    let private: Vec<HeaderName> = private.map(|(name, _)| name.clone()).collect();
    private.iter().chain([&HOST]).for_each(|name| drop(headers.remove(name)));
}

/// Header names are in lower case.
fn is_named_as_credentials(name: &str) -> bool {
    name != "idempotency-key"
        && name.split(['-', '_']).any(|word| {
            BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
                || ENDS.iter().any(|end| word.ends_with(end))
        })
}

const BEGINNINGS: [&str; 6] =
    ["authoriz", "authentic", "cookie", "credential", "session", "signature"];
const ENDS: [&str; 11] = [
    "auth", "token", "key", "secret", "session", "password", "passwd", "csrf", "xsrf", "jwt",
    "dpop",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_credentials_are_told_from_others_by_their_names() {
        for name in [
            "authorization",
            "proxy-authorization",
            "www-authenticate",
            "cookie",
            "cookie2",
            "x-api-key",
            "apikey",
            "x-auth-token",
            "x-access-token",
            "private-token",
            "x-auth",
            "x-csrf-token",
            "x-xsrf",
            "x-amz-security-token",
            "ocp-apim-subscription-key",
            "x-client-secret",
            "x_session_id",
            "mcp-session-id",
            "x-password",
            "x-user-passwd",
            "x-goog-iap-jwt-assertion",
            "x-credentials",
            "signature-input",
            "dpop",
        ] {
            assert!(is_named_as_credentials(name), "{name}");
        }
        for name in [
            "accept",
            "accept-encoding",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "range",
            "traceparent",
            "user-agent",
            "x-author",
            "x-keyboard",
            "x-request-id",
        ] {
            assert!(!is_named_as_credentials(name), "{name}");
        }
    }

    #[test]
    fn a_value_that_is_marked_as_sensitive_is_a_credential_whatever_its_header_is_called() {
        let mut value = HeaderValue::from_static("0815");
        let name = HeaderName::from_static("x-customer");
        assert!(!carries_credentials(&name, &value));

        value.set_sensitive(true);

        assert!(carries_credentials(&name, &value));
    }
}
