//! Proofs, assertions and documents: the part of builder and server about how parties are trusted.

use serde_json::Value;

use super::builder::FakeAuthServerBuilder;
use super::endpoint::{INTROSPECTION_PATH, USER_INFO_PATH};
use super::server::FakeAuthServer;

/// # Proofs and assertions
impl FakeAuthServerBuilder {
    /// Issues no token without a proof of possession (RFC 9449). A request that comes with one gets
    /// a token that is bound to its key in any case.
    pub fn dpop_required(mut self) -> Self {
        self.config.dpop.required = true;
        self
    }

    /// Takes only proofs with a nonce of this server, and hands one out with every answer
    /// (RFC 9449 §8, §9). Token endpoint and resource have nonces of their own. A nonce is good
    /// until [`rotate_dpop_nonces`](FakeAuthServer::rotate_dpop_nonces).
    pub fn dpop_nonces(mut self) -> Self {
        self.config.dpop.demands_nonces = true;
        self
    }

    /// Takes assertions of this issuer for the JWT bearer grant (RFC 7523 §2.1); without one that
    /// is trusted, the grant is refused.
    pub fn trust_issuer(mut self, issuer: &str) -> Self {
        self.config.trusted_issuers.push(issuer.to_owned());
        self
    }

    /// A public key, as a JWK, of a client with [`ClientAuth::PrivateKeyJwt`] or of a trusted
    /// issuer. From then on the signatures of that party are checked; it may have several keys.
    ///
    /// # Panics
    ///
    /// If it is no JSON object.
    ///
    /// [`ClientAuth::PrivateKeyJwt`]: crate::ClientAuth::PrivateKeyJwt
    #[cfg(feature = "signatures")]
    pub fn public_key(mut self, party: &str, jwk: &str) -> Self {
        #[expect(clippy::expect_used, reason = "a test with a broken key proves nothing")]
        let key: serde_json::Map<String, Value> =
            serde_json::from_str(jwk).expect("a JWK is a JSON object");
        self.config.public_keys.push((party.to_owned(), Value::Object(key)));
        self
    }
}

/// # Proofs and documents
impl FakeAuthServer {
    /// The introspection endpoint. Every client but a public one may ask about any token.
    #[must_use]
    pub fn introspection_url(&self) -> String {
        self.url() + INTROSPECTION_PATH
    }

    /// The `UserInfo` endpoint, for tokens with the scope `openid`.
    #[must_use]
    pub fn user_info_url(&self) -> String {
        self.url() + USER_INFO_PATH
    }

    /// The document about the server (RFC 8414). The one of OpenID Connect, which says the same,
    /// is at `/.well-known/openid-configuration` below the issuer.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        let [metadata, _] = self.shared.config.metadata_paths();
        self.url() + &metadata
    }

    /// The documents about the server have this member with this value from now on; null leaves
    /// the member out.
    pub fn set_metadata(&self, name: &str, value: impl Into<Value>) {
        self.shared.state.lock().metadata.insert(name.to_owned(), value.into());
    }

    /// Hands out new nonces for proofs from now on, and takes no others.
    pub fn rotate_dpop_nonces(&self) {
        self.shared.state.lock().proofs.rotate();
    }

    /// Hands out new nonces for proofs from now on, and still takes those of before, as a server
    /// does that rotates without a gap.
    pub fn renew_dpop_nonces(&self) {
        self.shared.state.lock().proofs.renew();
    }
}
