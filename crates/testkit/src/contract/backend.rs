//! One backend, as many processes open it.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokenkeeper::TokenStorage;

use super::rule::random_word;

/// A storage that was opened.
pub type OpenedStorage = Arc<dyn TokenStorage>;

/// What opens a storage: a future, because a backend may have to be asked.
pub type Opening = Pin<Box<dyn Future<Output = OpenedStorage> + Send>>;

/// A backend of a test's own, which any number of handles open, here and in other processes.
///
/// [`shared_backend_contract!`](crate::shared_backend_contract) makes one for each rule. Each has a
/// folder, for those who keep something in files; it goes when this is dropped.
#[derive(Debug)]
pub struct SharedBackend {
    folder: PathBuf,
    open: fn(PathBuf) -> Opening,
    process: String,
}

impl SharedBackend {
    /// A backend in a new folder. `module` is the path of the module with a test of the name
    /// `a_process_of_the_contract`, which calls [`run_process`](super::run_process).
    ///
    /// # Panics
    ///
    /// If no folder is to be had.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its folder cannot go on")]
    pub fn new(open: fn(PathBuf) -> Opening, module: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tokenkeeper-contract-{}", random_word()));
        std::fs::create_dir(&folder).expect("a folder for the contract suite");
        // The test runner leaves out the name of the program, which is the first part.
        let module = module.split_once("::").map_or("", |(_, module)| module);
        let process = [module, PROCESS].join("::").trim_start_matches(':').to_owned();
        Self { folder, open, process }
    }

    /// A handle, as the next process would have it: nothing that is in memory may be shared.
    pub async fn open(&self) -> OpenedStorage {
        (self.open)(self.folder.clone()).await
    }

    /// The folder that the handles were given.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn process(&self) -> &str {
        &self.process
    }
}

impl Drop for SharedBackend {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const PROCESS: &str = "a_process_of_the_contract";
