//! Against npm's `oidc-provider`, which does what the standards say.

use tokenkeeper_tests::{post_form, server_url};

#[test]
fn client_credentials_give_an_access_token() {
    let url = server_url("TOKENKEEPER_OIDC_PROVIDER_URL");
    let basic = "Basic YmFzaWM6YmFzaWMtc2VjcmV0"; // basic:basic-secret

    let answer = post_form(&url, "/token", basic, "grant_type=client_credentials");

    assert!(answer.contains(" 200 ") && answer.contains("\"access_token\""), "{answer}");
}
