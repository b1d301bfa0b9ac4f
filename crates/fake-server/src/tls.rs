//! TLS in front of the server: it ends here, and plain HTTP goes on inside the machine.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::settings::{Settings, TlsSettings};

/// A socket that waits for clients.
pub(crate) struct Front {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

/// The socket that clients speak TLS with, if they are to.
pub(crate) async fn bind(settings: &Settings) -> Result<Option<Front>> {
    let Some(tls) = &settings.tls else { return Ok(None) };
    let (chain, key) = certificate(tls, settings)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and its key do not fit together")?;
    let (host, port) = (settings.host, settings.port);
    let listener = TcpListener::bind((host, port))
        .await
        .with_context(|| format!("cannot listen at {host}:{port}; --port chooses another port"))?;
    Ok(Some(Front { listener, acceptor: Arc::new(config).into() }))
}

impl Front {
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Hands connections on to the server at this address, from now on.
    pub(crate) fn serve(self, server: SocketAddr) {
        tokio::spawn(async move {
            loop {
                if let Ok((client, _)) = self.listener.accept().await {
                    tokio::spawn(hand_on(client, self.acceptor.clone(), server));
                }
            }
        });
    }
}

/// An error here is a client that left or trusts other certificates: it knows.
async fn hand_on(client: TcpStream, acceptor: TlsAcceptor, server: SocketAddr) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn certificate(tls: &TlsSettings, settings: &Settings) -> Result<Certificate> {
    match (&tls.certificate, &tls.key) {
        (Some(chain), Some(key)) => read(chain, key),
        (None, None) => make(tls, settings),
        _ => bail!("a certificate and its key are given together, or neither"),
    }
}

fn read(chain: &Path, key: &Path) -> Result<Certificate> {
    let unusable = |path: &Path| format!("{} holds nothing that TLS can use", path.display());
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .with_context(|| unusable(chain))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| unusable(key))?;
    Ok((certificates, key))
}

/// One for this machine, its address and the host of the public URL, signed by itself.
fn make(tls: &TlsSettings, settings: &Settings) -> Result<Certificate> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).collect();
    names.push(settings.host.to_string());
    names.extend(settings.public_host());
    names.sort();
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    if let Some(path) = &tls.save_certificate {
        fs::write(path, made.cert.pem())
            .with_context(|| format!("cannot write the certificate to {}", path.display()))?;
    }
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let key = key.map_err(|why| anyhow::anyhow!("cannot use the key that was made: {why}"))?;
    Ok((vec![made.cert.der().clone()], key))
}
