//! Services that need more than a document can say, or have none.

use std::borrow::Cow;

use super::authorization_server::{AuthorizationServer, Endpoints, Words};
use crate::dialect::Dialect;

impl AuthorizationServer {
    /// GitHub, for OAuth apps and the users of GitHub apps. It separates scopes by commas and
    /// refuses under a 200. Its revocation is an API of its own, so there is none here; its users
    /// are at [`user_info_url`](Self::user_info_url), with a number for an id.
    pub const GITHUB: Self = Self {
        endpoints: Endpoints {
            authorization: Some(Cow::Borrowed("https://github.com/login/oauth/authorize")),
            token: Some(Cow::Borrowed("https://github.com/login/oauth/access_token")),
            device_authorization: Some(Cow::Borrowed("https://github.com/login/device/code")),
            user_info: Some(Cow::Borrowed("https://api.github.com/user")),
            ..Endpoints::NONE
        },
        token_auth_methods: Some(Words::Written(&["client_secret_post"])),
        dialect: Dialect { comma_separated_scopes: true, ..Dialect::STANDARD },
        ..Self::UNKNOWN
    };

    /// Slack, in the second version of its API. The token of a bot is the one of the answer; a user's
    /// is inside of `authed_user`, and taken where no scope for a bot was asked for. Scopes are
    /// separated by commas, and the token types are `bot` and `user`. For people who only sign in,
    /// Slack has OpenID Connect: discover `https://slack.com`.
    pub const SLACK: Self = Self {
        endpoints: Endpoints {
            authorization: Some(Cow::Borrowed("https://slack.com/oauth/v2/authorize")),
            token: Some(Cow::Borrowed("https://slack.com/api/oauth.v2.access")),
            ..Endpoints::NONE
        },
        dialect: Dialect {
            comma_separated_scopes: true,
            nested_tokens: Some(Cow::Borrowed("authed_user")),
            bearer_names: Cow::Borrowed(&[Cow::Borrowed("bot"), Cow::Borrowed("user")]),
            ..Dialect::STANDARD
        },
        ..Self::UNKNOWN
    };
}
