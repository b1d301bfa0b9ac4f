//! A server behind TLS, with a certificate authority of its own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate authority that nobody knows.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, for whoever shall trust it.
    pub(crate) fn certificate(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    /// A certificate with its key, as a client presents them.
    pub(crate) fn identity(&self, name: &str) -> reqwest::Identity {
        let (certificate, key) = self.issue(name);
        reqwest::Identity::from_pem((certificate.pem() + &key.serialize_pem()).as_bytes()).unwrap()
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A server for `localhost` that gives every request the same answer, and tells what it was sent.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    pub(crate) received: mpsc::UnboundedReceiver<String>,
}

impl TlsServer {
    /// With a certificate of this authority; it asks clients for one of `clients`, if that is
    /// given.
    pub(crate) async fn start(
        authority: &Authority,
        clients: Option<&Authority>,
        answer: String,
    ) -> Self {
        let (certificate, key) = authority.issue("localhost");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = match clients {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
        };
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = tell.send(read_request(&mut stream).await);
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, received }
    }
}

/// Reads one request to its end.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    loop {
        let length = stream.read(&mut part).await.unwrap_or(0);
        seen.extend_from_slice(part.get(..length).unwrap());
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if length == 0 {
                return text.into_owned();
            }
            continue;
        };
        let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let expected = line.map_or(0, |line| line.parse().unwrap());
        if length == 0 || body.len() >= expected {
            return text.into_owned();
        }
    }
}
