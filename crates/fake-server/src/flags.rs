//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;

/// An OAuth2 and OpenID Connect server for tests.
///
/// Flags go before the file of `--config`. Without either, the client `client` has the secret
/// `secret`, the person `alice` the password `wonderland`, and ID tokens are signed with RS256.
/// NEVER let anything that matters trust it.
#[derive(Debug, Default, Parser)]
#[command(name = "tokenkeeper-fake-server", version)]
pub(crate) struct Flags {
    /// Settings in TOML; the README lists them
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen at [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<IpAddr>,
    /// The port to listen at; 0 is any that is free [default: 9000]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The address of the admin endpoint [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_host: Option<IpAddr>,
    /// The port of the admin endpoint, which is off without it
    #[arg(long, value_name = "PORT")]
    pub(crate) admin_port: Option<u16>,
    /// Scheme, host and port as clients see them [default: host and port]
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Speak TLS, with a certificate made at the start unless one is given
    #[arg(long)]
    pub(crate) tls: bool,
    /// The certificate chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where to put the certificate that was made, for clients to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) save_certificate: Option<PathBuf>,
    /// Let scripts of every origin read the answers
    #[arg(long)]
    pub(crate) cors: bool,
    /// Let clients register themselves at /register
    #[arg(long)]
    pub(crate) registration: bool,
    /// A client; without a secret it is public. May be given more than once
    #[arg(long = "client", value_name = "ID[:SECRET]")]
    pub(crate) clients: Vec<String>,
    /// A redirect URI of a client. May be given more than once
    #[arg(long = "redirect-uri", value_name = "ID=URI")]
    pub(crate) redirect_uris: Vec<String>,
    /// Who sits at the browser and approves devices [default: alice]
    #[arg(long, value_name = "NAME")]
    pub(crate) person: Option<String>,
    /// RS256, ES256, EdDSA, HS256 (the secret of the client) or none [default: RS256]
    #[arg(long, value_name = "ALGORITHM")]
    pub(crate) id_tokens: Option<String>,
    /// How long access tokens live [default: 900]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) token_lifetime: Option<u64>,
}
