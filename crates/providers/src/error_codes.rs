//! Error codes by other names.
//!
//! What happens next depends on what a code means, and services have their own words for the six
//! of RFC 6749 §5.2. Here they are translated for the decision; people are shown the original.

/// The standard code that means the same, or the code itself.
pub(crate) fn class_of(code: &str) -> &str {
    known(code).unwrap_or(code)
}

/// The standard code that a text stands for: spelled in any way, before an explanation
/// (`invalid_grant: expired`), or at the end of a name (`https://example.org/errors/invalid_grant`).
pub(crate) fn known(text: &str) -> Option<&'static str> {
    let whole = text.trim();
    if whole.len() > LONGEST_TEXT {
        return None;
    }
    let head = whole.split([':', ';', ',', ' ', '\n']).next();
    let tail = whole.rsplit(['/', '#', ':', '.', ' ']).next();
    std::iter::once(whole).chain(head).chain(tail).find_map(named)
}

/// Whether two codes are the same, but for how they are spelled.
pub(crate) fn same(one: &str, other: &str) -> bool {
    spelled(one.trim()) == spelled(other.trim())
}

/// Whether showing the code can tell nothing, because the service says it to every client.
pub(crate) fn is_well_known(code: &str) -> bool {
    STANDARD.contains(&code) || ALIASES.iter().any(|(alias, _)| *alias == code)
}

fn named(word: &str) -> Option<&'static str> {
    let word = spelled(word);
    let suffixes = ["", "_exception", "_error"];
    suffixes.iter().filter_map(|suffix| word.strip_suffix(suffix)).find_map(|word| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, class)| *class);
        alias.or_else(|| STANDARD.iter().find(|name| **name == word).copied())
    })
}

/// In small letters, with underscores between words: `invalidGrant`, `Invalid-Grant`.
fn spelled(word: &str) -> String {
    let mut spelled = String::with_capacity(word.len() + 2);
    let mut after_small = false;
    for c in word.chars() {
        if c.is_ascii_uppercase() && after_small {
            spelled.push('_');
        }
        after_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        spelled.push(if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() });
    }
    spelled
}

const ALIASES: &[(&str, &str)] = &[
    ("invalid_code", "invalid_grant"), // Zoho (refresh tokens too), Slack, Glewlwyd
    ("bad_verification_code", "invalid_grant"), // GitHub
    ("bad_refresh_token", "invalid_grant"), // GitHub
    ("invalid_refresh_token", "invalid_grant"), // Slack
    ("incorrect_client_credentials", "invalid_client"), // GitHub
    ("bad_client_secret", "invalid_client"), // Slack
    ("invalid_client_id", "invalid_client"), // Slack
    ("invalid_client_secret", "invalid_client"), // Zoho
    ("bad_redirect_uri", "invalid_request"), // Slack
    ("scope_invalid", "invalid_scope"), // Glewlwyd
    ("authorization_declined", "access_denied"), // Microsoft
    ("incorrect_device_code", "invalid_grant"), // GitHub
    ("code_expired", "expired_token"), // Microsoft
    ("invalid_client_credentials", "invalid_client"),
    ("internal_server_error", "server_error"), // Canaille
    ("service_unavailable", "temporarily_unavailable"),
    ("too_many_requests", "temporarily_unavailable"),
];

const LONGEST_TEXT: usize = 200; // bytes; a longer text is a page

/// RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 8628 §3.5, RFC 8707 §2, RFC 9449 §8, OpenID
/// Connect §3.1.2.6.
const STANDARD: &[&str] = &[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_token",
    "insufficient_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    "unsupported_token_type",
    "authorization_pending",
    "slow_down",
    "expired_token",
    "invalid_target",
    "use_dpop_nonce",
    "invalid_dpop_proof",
    "login_required",
    "interaction_required",
    "consent_required",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_by_another_name_has_the_class_of_the_standard_one() {
        assert_eq!(class_of("invalid_code"), "invalid_grant");
        assert_eq!(class_of("Bad_Client_Secret"), "invalid_client");
        assert_eq!(class_of("INVALID_GRANT"), "invalid_grant");
        assert_eq!(class_of("made_up"), "made_up");
    }

    #[test]
    fn a_known_code_is_found_in_any_spelling_and_beside_an_explanation() {
        for text in [
            "Invalid_Grant",
            " invalid_grant ",
            "invalid grant",
            "Invalid-Grant",
            "invalidGrant",
            "InvalidGrantException",
            "invalid_grant: Token has been expired or revoked.",
            "invalid_grant, expired",
            "https://auth.example.org/errors/invalid_grant",
            "urn:ietf:params:oauth:error:invalid_grant",
            "Error: invalid_grant",
            "keymanagement.service.invalid_refresh_token",
        ] {
            assert_eq!(known(text), Some("invalid_grant"), "{text}");
        }
        for text in ["", "grant", "not_invalid_grant", "The grant is invalid.", "error"] {
            assert_eq!(known(text), None, "{text}");
        }
        assert_eq!(known("server_error"), Some("server_error"));
    }

    #[test]
    fn every_alias_leads_to_a_standard_code() {
        for (alias, class) in ALIASES {
            assert!(STANDARD.contains(class), "{alias}");
            assert!(!STANDARD.contains(alias), "{alias}");
        }
    }
}
