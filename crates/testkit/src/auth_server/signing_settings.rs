//! Signatures of the server: the part of builder and server about them.

use super::builder::FakeAuthServerBuilder;
use super::config::IdTokenSigning;
use super::endpoint::{KEYS_PATH, REGISTRATION_PATH};
use super::server::FakeAuthServer;

/// # Signatures
impl FakeAuthServerBuilder {
    /// How ID tokens are signed; with the secret of the client by default, which tests without the
    /// feature `signatures` can do too. Clients that verify, as those of other projects do, want a
    /// key pair.
    #[cfg_attr(
        feature = "signatures",
        doc = "

```
use tokenkeeper_testkit::{FakeAuthServer, IdTokenSigning};

let server = FakeAuthServer::builder().id_tokens(IdTokenSigning::Rs256).start();
server.rotate_signing_keys(); // and who has cached the keys must fetch them again
```

The first RSA key is one that everybody may know, since making one takes a second in a debug build;
all other keys are made by random."
    )]
    pub fn id_tokens(mut self, signing: IdTokenSigning) -> Self {
        self.config.id_tokens = signing;
        self
    }

    /// Signs what `UserInfo` answers, as ID tokens are signed (OpenID Connect Core §5.3.2).
    pub fn signed_user_info(mut self) -> Self {
        self.config.signs_user_info = true;
        self
    }

    /// Signs what introspection answers to those that accept
    /// `application/token-introspection+jwt` (RFC 9701), as ID tokens are signed.
    pub fn signed_introspection(mut self) -> Self {
        self.config.signs_introspection = true;
        self
    }
}

/// # Signatures
impl FakeAuthServer {
    /// The public keys of the server, as a JWK set; empty while nothing is signed with one.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        self.url() + KEYS_PATH
    }

    /// The client registration endpoint, where the builder asked for one.
    #[must_use]
    pub fn registration_url(&self) -> String {
        self.url() + REGISTRATION_PATH
    }

    /// New keys sign from now on, and no others are published: what was signed before can no longer
    /// be verified, as after a key has leaked.
    #[cfg(feature = "signatures")]
    pub fn rotate_signing_keys(&self) {
        self.shared.state.lock().keys.rotate(false);
    }

    /// New keys sign from now on, and those of before stay published, as a server does that rotates
    /// without a gap.
    #[cfg(feature = "signatures")]
    pub fn renew_signing_keys(&self) {
        self.shared.state.lock().keys.rotate(true);
    }
}
