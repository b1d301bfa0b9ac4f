//! What the table is about.

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) module: &'static str,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) feature: &'static str,
    pub(super) specification: &'static str,
    /// The name of its test in every column.
    pub(super) test: &'static str,
    /// The columns without such a test, with the reason.
    pub(super) not_offered: &'static [(&'static str, &'static str)],
}

pub(super) const COLUMNS: &[Column] = &[
    Column { name: OIDC_PROVIDER, module: "oidc_provider" },
    Column { name: GLEWLWYD, module: "glewlwyd" },
    Column { name: KEYCLOAK, module: "keycloak" },
    Column { name: "fake server", module: "fake_server" },
];

const OIDC_PROVIDER: &str = "oidc-provider";
const GLEWLWYD: &str = "glewlwyd";
const KEYCLOAK: &str = "Keycloak";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Client credentials", "RFC 6749 §4.4", "client_credentials"),
    row("Password", "RFC 6749 §4.3", "password"),
    row("Refresh, with rotation", "RFC 6749 §6", "refresh_with_rotation"),
    row("Authorization code with PKCE", "RFC 6749 §4.1, RFC 7636", "authorization_code_with_pkce"),
    row("Issuer in the callback", "RFC 9207", "issuer_in_the_callback"),
    row("Pushed authorization request", "RFC 9126", "pushed_authorization_request"),
    row("Resource indicator", "RFC 8707", "resource_indicator")
        .not_offered(&[(KEYCLOAK, "Its support is experimental, and a token for one API can be asked about by that API alone.")]),
    row("Device login", "RFC 8628", "device_login"),
    row("Device told to slow down", "RFC 8628 §3.5", "device_told_to_slow_down")
        .not_offered(&[(OIDC_PROVIDER, "It lets devices poll as often as they like.")]),
    row("`private_key_jwt`: ES256, RS256, PS256, EdDSA", "RFC 7523 §2.2", "private_key_jwt"),
    row("`client_secret_jwt`: HS256", "RFC 7523 §2.2", "client_secret_jwt"),
    row("JWT bearer grant", "RFC 7523 §2.1", "jwt_bearer_grant")
        .not_offered(&[(GLEWLWYD, "It has no such grant.")]),
    row("Token exchange", "RFC 8693", "token_exchange")
        .not_offered(&[(GLEWLWYD, "It has no such grant.")]),
    row("Revocation", "RFC 7009", "revocation"),
    row("Introspection", "RFC 7662", "introspection"),
    row("Userinfo, with e-mail", "OpenID Connect Core §5.3", "user_info"),
    row("Discovery by OAuth2", "RFC 8414", "authorization_server_metadata")
        .not_offered(&[(GLEWLWYD, "It has the document of OpenID Connect alone.")]),
    row("Discovery by OpenID Connect", "OpenID Connect Discovery", "openid_discovery"),
    row("DPoP", "RFC 9449", "dpop"),
    row("DPoP with nonces of the server", "RFC 9449 §8", "dpop_with_nonces")
        .not_offered(&[(KEYCLOAK, "It asks for no nonces.")]),
    row("Checks of the id token", "OpenID Connect Core §3.1.3.7", "checks_of_the_id_token"),
    row("Refuses a callback with another `state`", "RFC 6749 §10.12", "refuses_another_state"),
    row("Refuses a callback with another `iss`", "RFC 9207 §2.4", "refuses_another_iss"),
    row("Refuses a code for the second time", "RFC 6749 §4.1.2", "refuses_a_replayed_code"),
    row("Refuses a `plain` challenge", "RFC 7636 §7.2", "refuses_a_plain_challenge"),
    row("Refuses an expired device code", "RFC 8628 §3.5", "refuses_an_expired_device_code"),
    row("Refuses a declined login", "RFC 6749 §4.1.2.1", "refuses_a_declined_login")
        .not_offered(&[(GLEWLWYD, NO_WAY_TO_DECLINE)]),
    row("Refuses a device that was turned away", "RFC 8628 §3.5", "refuses_a_denied_device")
        .not_offered(&[(GLEWLWYD, NO_WAY_TO_DECLINE)]),
];

const NO_WAY_TO_DECLINE: &str =
    "Its pages have no way to say no: a person who does not want to closes them.";

const fn row(feature: &'static str, specification: &'static str, test: &'static str) -> Row {
    Row { feature, specification, test, not_offered: &[] }
}

impl Row {
    /// Why the server of this column does not offer this.
    pub(super) fn reason(&self, column: &Column) -> Option<&'static str> {
        let reasons = self.not_offered.iter();
        reasons.filter(|(name, _)| *name == column.name).map(|(_, reason)| *reason).next()
    }

    const fn not_offered(mut self, columns: &'static [(&'static str, &'static str)]) -> Self {
        self.not_offered = columns;
        self
    }
}
