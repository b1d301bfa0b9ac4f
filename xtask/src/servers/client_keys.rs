//! The keys by which the clients of the test servers sign (RFC 7523 §2.2).
//!
//! They are made once on each machine, into `.servers`, and never checked in: what looks like a key in
//! a repository alarms people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result};

use crate::tools;
use crate::workspace::{Workspace, output};

/// A folder with a private key per algorithm, `ES256.pem` and so on, in PKCS #8.
#[derive(Debug)]
pub(crate) struct ClientKeys {
    folder: PathBuf,
}

impl ClientKeys {
    /// Makes those that are not there yet.
    pub(crate) fn make(workspace: &Workspace) -> Result<Self> {
        tools::require_programs(&[("openssl", &["openssl"])])?;
        let keys = Self { folder: workspace.ignored("client-keys")? };
        for (algorithm, options) in ALGORITHMS {
            let path = keys.path(algorithm);
            if !path.exists() {
                // Another check may be at it too: the last one wins, and neither sees half a key.
                let half = keys.folder.join(format!("{algorithm}-{}", process::id()));
                let mut generate = Command::new("openssl");
                generate.args(["genpkey", "-quiet"]).args(*options).arg("-out").arg(&half);
                output(&mut generate)?;
                fs::rename(&half, &path).context("cannot keep a key")?;
            }
        }
        Ok(keys)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The public keys, with their algorithms.
    pub(crate) fn public_keys(&self) -> Result<Vec<(&'static str, String)>> {
        let algorithms = ALGORITHMS.iter().map(|(algorithm, _)| *algorithm);
        algorithms.map(|name| Ok((name, public_key(&self.path(name))?))).collect()
    }

    fn path(&self, algorithm: &str) -> PathBuf {
        self.folder.join(format!("{algorithm}.pem"))
    }
}

pub(super) fn public_key(private_key: &Path) -> Result<String> {
    output(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(private_key))
}

/// The key for RS256 is the one for PS256, too.
const ALGORITHMS: &[(&str, &[&str])] = &[
    ("ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("EdDSA", &["-algorithm", "ED25519"]),
];
