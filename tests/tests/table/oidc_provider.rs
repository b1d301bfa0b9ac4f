//! A column of the table in `docs/interop.md`.

use tokenkeeper_tests::interop_cells;
use tokenkeeper_tests::interop_table::OidcProviderColumn;

interop_cells! { OidcProviderColumn:
    client_credentials,
    password,
    refresh_with_rotation,
    authorization_code_with_pkce,
    issuer_in_the_callback,
    pushed_authorization_request,
    resource_indicator,
    device_login,
    private_key_jwt,
    client_secret_jwt,
    jwt_bearer_grant,
    token_exchange,
    revocation,
    introspection,
    user_info,
    authorization_server_metadata,
    openid_discovery,
    dpop,
    dpop_with_nonces,
    checks_of_the_id_token,
    refuses_another_state,
    refuses_another_iss,
    refuses_a_replayed_code,
    refuses_a_plain_challenge,
    refuses_an_expired_device_code,
    refuses_a_declined_login,
    refuses_a_denied_device,
}
