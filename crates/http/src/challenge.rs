//! What a 401 says (RFC 9110 §11.6.1, RFC 6750 §3).

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use http_auth::ChallengeRef;

use crate::presenter::Reaction;

/// [`Reaction::usual`].
pub(crate) fn reaction(status: StatusCode, headers: &HeaderMap) -> Reaction {
    let hopeless = status != StatusCode::UNAUTHORIZED
        || headers.contains_key(RETRY_AFTER)
        || challenge_errors(headers).any(|error| NOT_ABOUT_THE_TOKEN.contains(&error.as_str()));
    if hopeless { Reaction::GiveUp } else { Reaction::ReplaceToken }
}

/// The `error` of every challenge in `WWW-Authenticate` (RFC 6750 §3.1, RFC 9449 §7.1), for
/// presenters of your own. What cannot be read is passed over.
pub fn challenge_errors(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| {
        let challenges = http_auth::parser::ChallengeParser::new(line).map_while(Result::ok);
        challenges.filter_map(error_of).collect::<Vec<_>>()
    })
}

fn error_of(challenge: ChallengeRef<'_>) -> Option<String> {
    let error = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case("error"));
    error.map(|(_, value)| value.to_unescaped())
}

const NOT_ABOUT_THE_TOKEN: [&str; 2] = ["insufficient_scope", "invalid_request"];

#[cfg(test)]
mod tests {
    use super::*;

    fn reaction_to(status: u16, challenges: &[&str]) -> Reaction {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge.parse().unwrap());
        }
        reaction(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_401_replaces_the_token_unless_its_challenge_says_that_another_would_not_help() {
        let table: [(&[&str], Reaction); 12] = [
            (&[], Reaction::ReplaceToken),
            (&["Bearer"], Reaction::ReplaceToken),
            (&[r#"Bearer realm="api", error="invalid_token""#], Reaction::ReplaceToken),
            (&[r#"Basic realm="x""#], Reaction::ReplaceToken),
            (&["Bearer error"], Reaction::ReplaceToken),
            (&["\u{7f}, ,,=\"".trim_start_matches('\u{7f}')], Reaction::ReplaceToken),
            (&[r#"Bearer scope="insufficient_scope""#], Reaction::ReplaceToken),
            (&[r#"Bearer error="insufficient_scope""#], Reaction::GiveUp),
            (&["Bearer error=insufficient_scope"], Reaction::GiveUp),
            (&[r#"bearer ERROR = "insufficient_scope", scope="a b""#], Reaction::GiveUp),
            (&["Basic realm=x", r#"DPoP a=b, Bearer error="invalid_request""#], Reaction::GiveUp),
            (&[r#"Bearer error="insufficient\_scope""#], Reaction::GiveUp),
        ];
        for (challenges, expected) in table {
            assert_eq!(reaction_to(401, challenges), expected, "{challenges:?}");
        }
    }

    #[test]
    fn no_other_status_is_about_the_token() {
        for status in [200, 302, 400, 402, 403, 407, 429, 500, 503] {
            let challenge = r#"Bearer error="invalid_token""#;
            assert_eq!(reaction_to(status, &[challenge]), Reaction::GiveUp, "{status}");
        }
    }

    #[test]
    fn a_401_that_says_when_to_come_back_is_about_time_and_not_about_the_token() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, "30".parse().unwrap())]);

        assert_eq!(reaction(StatusCode::UNAUTHORIZED, &headers), Reaction::GiveUp);
    }
}
