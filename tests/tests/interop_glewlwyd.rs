//! Against Debian's `glewlwyd`, which is right in its own way.

use tokenkeeper_tests::{post_form, server_url};

#[test]
fn client_credentials_give_an_access_token() {
    let url = server_url("TOKENKEEPER_GLEWLWYD_URL");
    let basic = "Basic YmFzaWM6YmFzaWMtc2VjcmV0"; // basic:basic-secret

    let form = "grant_type=client_credentials&scope=read";
    let answer = post_form(&url, "/api/oidc/token", basic, form);

    assert!(answer.contains(" 200 ") && answer.contains("\"access_token\""), "{answer}");
}
