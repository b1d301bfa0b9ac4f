//! TLS: whom to trust, and who we are.

use redis::{Client, ClientTlsConfig, ConnectionInfo, RedisResult, TlsCertificates};
use tokenkeeper::Secret;

/// Certificates as PEM. Without a root, those of the operating system are trusted.
#[derive(Default)]
pub(crate) struct Tls {
    pub(crate) root: Option<Vec<u8>>,
    pub(crate) identity: Option<(Vec<u8>, Secret)>,
}

impl Tls {
    pub(crate) fn client(&self, node: ConnectionInfo) -> RedisResult<Client> {
        if self.is_usual() {
            return Client::open(node);
        }
        Client::build_with_tls(node, self.certificates())
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn of_cluster(&self) -> Option<TlsCertificates> {
        (!self.is_usual()).then(|| self.certificates())
    }

    fn is_usual(&self) -> bool {
        self.root.is_none() && self.identity.is_none()
    }

    fn certificates(&self) -> TlsCertificates {
        let identity = self.identity.as_ref();
        TlsCertificates {
            client_tls: identity.map(|(certificate, key)| ClientTlsConfig {
                client_cert: certificate.clone(),
                client_key: key.expose_secret().as_bytes().to_vec(),
            }),
            root_cert: self.root.clone(),
        }
    }
}

/// `redis` leaves the choice to rustls, which panics where a program was built with two providers
/// of cryptography and chose neither. Ours is taken only where nobody chose.
pub(crate) fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if somebody chose in between, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}
