//! A storage of your own, and the proof that it is one: `cargo run --example custom_storage` and
//! `cargo test --example custom_storage`
//!
//! This one keeps each record in a file, so that a login survives a restart of the program. What a
//! storage needs is the three methods below; the contract suite of the test kit checks what they have
//! to keep to. It is for one process: several need a shared storage, and the other suites.
//!
//! A power failure may bring back the record of before, and who may read the folder may read the tokens.
//! `tokenkeeper-storage-file` is the storage for production.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokenkeeper::{ErrorKind, StorageKey, TokenManager, TokenRecord, TokenStorage, async_trait};
use tokenkeeper_providers::{ClientAuth, PasswordProvider};
use tokenkeeper_testkit::FakeAuthServer;
use tokio::sync::Mutex;

/// One file for each key, in a folder that only this process uses.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    turn: Arc<Mutex<()>>,
}

impl Folder {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn: Arc::default() }
    }

    /// Works on the file of a key on a thread that may wait for the disk; the one that calls
    /// storages serves all managers. A call that is dropped goes on there and keeps its turn, so a
    /// later write cannot be overwritten by it.
    async fn with_file<T: Send + 'static>(
        &self,
        key: &StorageKey,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, tokenkeeper::Error> {
        let file = self.path.join(file_name(key));
        let turn = self.turn.clone().lock_owned().await;
        let work = move || {
            let _turn = turn;
            work(&file).map_err(|error| failed(format!("{}: {error}", file.display())))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(failed(error.to_string())))
    }
}

#[async_trait]
impl TokenStorage for Folder {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, tokenkeeper::Error> {
        let bytes = self.with_file(key, |file| none_if_missing(fs::read(file))).await?;
        Ok(bytes.map(|bytes| TokenRecord::from_bytes(&bytes)))
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), tokenkeeper::Error> {
        let (folder, bytes) = (self.path.clone(), record.to_bytes());
        self.with_file(key, move |file| {
            // Written elsewhere first: readers, also those after a crash, see the old record or
            // the new one, never half of it. On Unix no other user may read a temporary file.
            let mut new = NamedTempFile::new_in(folder)?;
            new.write_all(&bytes)?;
            new.as_file().sync_all()?;
            new.persist(file)?;
            Ok(())
        })
        .await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), tokenkeeper::Error> {
        self.with_file(key, |file| none_if_missing(fs::remove_file(file))).await?;
        Ok(())
    }
}

/// A hash of the key: file systems fold letter case, refuse colons, take `con.x` for a device, and have
/// names of at most 255 characters, while a key may have 200 of any kind.
fn file_name(key: &StorageKey) -> String {
    let hash = Sha256::digest(key.as_str().as_bytes());
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits}.token")
}

fn none_if_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn failed(what: String) -> tokenkeeper::Error {
    tokenkeeper::Error::new(ErrorKind::Storage, what)
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

    #[test]
    fn every_file_has_a_name_that_every_file_system_takes() {
        let name = |key: &str| super::file_name(&tokenkeeper::StorageKey::new(key).unwrap());
        let keys = ["a", "A", "a:b", "a_b", "con.x", "nul", "a.", &"k".repeat(200)];
        let names: std::collections::HashSet<_> = keys.iter().map(|key| name(key)).collect();

        assert_eq!(names.len(), keys.len());
        for name in names {
            let is_plain = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || c == '.';
            assert!(name.len() < 100 && name.chars().all(is_plain), "{name}");
        }
    }

    /// One for the whole run: the rules use keys that no other test uses.
    fn tests_folder() -> std::path::PathBuf {
        let name = format!("tokenkeeper-custom-storage-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}
