//! Storages in a folder of their own, which goes when they do.

use tempfile::TempDir;
use tokenkeeper::{Error, SharedTokenStorage, StorageKey, TokenRecord, TokenStorage, async_trait};
use tokenkeeper_storage_file::FileStorage;

#[derive(Debug)]
pub(crate) struct Scratch {
    storage: FileStorage,
    _folder: TempDir, // dropped last
}

impl Scratch {
    pub(crate) fn directory() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            storage: FileStorage::directory(folder.path().join("tokens")).unwrap(),
            _folder: folder,
        }
    }

    pub(crate) fn single_file() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            storage: FileStorage::single_file(folder.path().join("login")).unwrap(),
            _folder: folder,
        }
    }
}

#[async_trait]
impl TokenStorage for Scratch {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.storage.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.storage.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.storage.delete(key).await
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        self.storage.exists(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        self.storage.shared()
    }
}
