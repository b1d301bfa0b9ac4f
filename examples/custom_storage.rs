//! A storage of your own, and the proof that it is one: `cargo run --example custom_storage` and
//! `cargo test --example custom_storage`
//!
//! This one keeps each record in a file, so that a login survives a restart. What a storage needs
//! is the three methods below; the contract suite of the test kit checks what they have to keep to.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use tokenkeeper::{ErrorKind, StorageKey, TokenManager, TokenRecord, TokenStorage, async_trait};
use tokenkeeper_providers::{ClientAuth, PasswordProvider};
use tokenkeeper_testkit::FakeAuthServer;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt;

/// One file for each key, in a folder that one process uses.
///
/// File systems that fold letter case or refuse a colon would need the key encoded.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    writes: AtomicU64,
}

impl Folder {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), writes: AtomicU64::new(0) }
    }

    fn file(&self, key: &StorageKey) -> PathBuf {
        self.path.join(format!("{key}.token"))
    }

    /// Writes elsewhere first, because a reader, and a process that crashes, must see the old
    /// record or the new one, and never half of it.
    async fn replace(&self, key: &StorageKey, bytes: &[u8]) -> io::Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let new = self.path.join(format!("{key}.{number}.new"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600); // it holds a refresh token
        let mut file = options.open(&new).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        fs::rename(&new, self.file(key)).await
    }
}

#[async_trait]
impl TokenStorage for Folder {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, tokenkeeper::Error> {
        match fs::read(self.file(key)).await {
            Ok(bytes) => Ok(Some(TokenRecord::from_bytes(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("the record could not be read", error)),
        }
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), tokenkeeper::Error> {
        let written = self.replace(key, &record.to_bytes()).await;
        written.map_err(|error| failed("the record could not be written", error))
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), tokenkeeper::Error> {
        match fs::remove_file(self.file(key)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("the record could not be removed", error))
            }
            _ => Ok(()),
        }
    }
}

fn failed(what: &'static str, cause: io::Error) -> tokenkeeper::Error {
    tokenkeeper::Error::new(ErrorKind::Storage, what).with_source(cause)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = FakeAuthServer::start();
    let folder = tempfile::tempdir()?;

    for process in ["The first process", "The second process"] {
        let provider = PasswordProvider::builder("library", &server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .user("alice", "wonderland")
            .build()?;
        let manager =
            TokenManager::builder(provider).storage(Folder::new(folder.path())).build()?;

        manager.token().await?;

        println!("{process}: {}; exchanges so far: {}", manager.status(), server.exchanges());
        manager.flush().await?;
    }
    assert_eq!(server.exchanges(), 1);
    println!("The token survived the restart.");
    Ok(())
}

#[cfg(test)]
mod contract {
    // One test for each rule, so that a failure names the rule.
    tokenkeeper_testkit::storage_contract!(super::Folder::new(tests_folder()));

    /// One for the whole run: the rules use keys that nobody else does.
    fn tests_folder() -> std::path::PathBuf {
        let name = format!("tokenkeeper-custom-storage-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}
