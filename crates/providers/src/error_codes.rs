//! Error codes by other names.
//!
//! What happens next depends on what a code means, and services have their own words for the six
//! of RFC 6749 §5.2. Here they are translated for the decision; people are shown the original.

/// The standard code that means the same, or the code itself.
pub(crate) fn class_of(code: &str) -> &str {
    let known = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(code));
    if let Some((_, class)) = known {
        return class;
    }
    let standard = STANDARD.iter().find(|name| name.eq_ignore_ascii_case(code));
    standard.map_or(code, |name| name)
}

/// Whether showing the code can tell nothing, because the service says it to everybody.
pub(crate) fn is_well_known(code: &str) -> bool {
    STANDARD.contains(&code) || ALIASES.iter().any(|(alias, _)| *alias == code)
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
];

/// RFC 6749 §4.1.2.1 and §5.2, RFC 7009 §2.2.1, RFC 8628 §3.5, RFC 8707 §2, RFC 9449 §8, OpenID
/// Connect §3.1.2.6.
const STANDARD: &[&str] = &[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
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
    fn every_alias_leads_to_a_standard_code() {
        for (alias, class) in ALIASES {
            assert!(STANDARD.contains(class), "{alias}");
            assert!(!STANDARD.contains(alias), "{alias}");
        }
    }
}
