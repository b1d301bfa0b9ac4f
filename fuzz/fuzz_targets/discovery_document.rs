//! Any document of a server ends with a server or an error, and an https issuer with https endpoints.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper_providers::AuthorizationServer;

fuzz_target!(|document: &[u8]| {
    if let Ok(server) = AuthorizationServer::from_json("https://as", document) {
        let server = server.with_mtls_aliases();
        let urls = [
            server.authorization_url(),
            server.token_url(),
            server.revocation_url(),
            server.introspection_url(),
            server.user_info_url(),
            server.device_authorization_url(),
            server.pushed_authorization_request_url(),
            server.jwks_url(),
        ];
        let is_https = |url: &str| url.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
        assert!(urls.into_iter().flatten().all(is_https));
    }
});
