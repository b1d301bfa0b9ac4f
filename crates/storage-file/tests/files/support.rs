//! What the tests put into files, and how they look at those.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokenkeeper::{Order, StorageKey, TokenRecord};
use tokenkeeper_storage_file::FileStorage;

/// A folder, and a storage of either layout in it.
pub(crate) struct Fixture {
    pub(crate) scratch: TempDir,
    pub(crate) layout: LayoutKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutKind {
    Directory,
    SingleFile,
}

pub(crate) const LAYOUTS: [LayoutKind; 2] = [LayoutKind::Directory, LayoutKind::SingleFile];

impl Fixture {
    pub(crate) fn new(layout: LayoutKind) -> Self {
        Self { scratch: TempDir::new().unwrap(), layout }
    }

    /// The folder of the storage.
    pub(crate) fn folder(&self) -> PathBuf {
        self.scratch.path().join("tokens")
    }

    pub(crate) fn open(&self) -> Result<FileStorage, tokenkeeper::Error> {
        open(self.layout, &self.folder())
    }

    pub(crate) fn storage(&self) -> FileStorage {
        self.open().unwrap()
    }

    /// The one file with records.
    pub(crate) fn file(&self) -> PathBuf {
        let is_records = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name == "login" || name.ends_with(".token")
        };
        let files: Vec<_> = files(&self.folder()).into_iter().filter(is_records).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.into_iter().next().unwrap()
    }
}

pub(crate) fn open(layout: LayoutKind, folder: &Path) -> Result<FileStorage, tokenkeeper::Error> {
    match layout {
        LayoutKind::Directory => FileStorage::directory(folder),
        LayoutKind::SingleFile => FileStorage::single_file(folder.join("login")),
    }
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
}

pub(crate) fn key() -> StorageKey {
    StorageKey::new("svc:alice").unwrap()
}

pub(crate) fn other_key() -> StorageKey {
    StorageKey::new("svc:bob").unwrap()
}

pub(crate) fn record(payload: &str) -> TokenRecord {
    TokenRecord::from_parts(payload.as_bytes().to_vec(), Order::new(1, 1), None, false)
}
