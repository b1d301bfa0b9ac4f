//! Cells where tokens are bound to a key.

use tokenkeeper_dpop::DpopKey;
use tokenkeeper_providers::UserInfo;

use super::people::{logged_in, login_of};
use super::{InteropServer, metadata};
use crate::refresh;

/// Bound tokens for a code and for a refresh token, and they work at the userinfo endpoint.
pub async fn dpop(server: &dyn InteropServer) {
    bound_login(server, &server.issuer()).await;
}

/// The same where every proof needs a nonce of the server.
pub async fn dpop_with_nonces(server: &dyn InteropServer) {
    bound_login(server, &server.issuer_with_nonces()).await;
}

async fn bound_login(server: &dyn InteropServer, issuer: &str) {
    let key = DpopKey::generate().expect("random numbers");
    let metadata = metadata(issuer).await;
    let login = login_of(server, &metadata).proof_of_possession(key.clone());
    let login = login.build().expect("settings");
    let user_info = UserInfo::of_server("interop", &metadata).expect("an endpoint");
    let user_info = user_info.proof_of_possession(key).build().expect("settings");

    let tokens = logged_in(server, &login).await;
    let provider = login.provider("alice").expect("a provider");
    let fresh = refresh(&provider, &tokens).await.expect("tokens");

    for tokens in [tokens, fresh] {
        let token = tokens.access_token().expect("a token");
        assert_eq!(token.token_type().to_lowercase(), "dpop");
        user_info.fetch(token).await.expect("claims");
    }
}
