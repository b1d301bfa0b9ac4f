//! GNOME Keyring, started and stopped by the tests, on the session bus that `cargo xtask test`
//! started.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokenkeeper::{Clock, SystemClock};
use tokenkeeper_storage_keyring::KeyringStorage;

/// A running keyring, which ends with this value, and also with the process.
#[derive(Debug)]
pub struct KeyringDaemon {
    keeper: Child,
}

impl KeyringDaemon {
    /// Starts it with what it kept under this name before, and unlocks it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn unlocked(name: &str) -> Self {
        Self::start(name, "--unlock").await
    }

    /// Starts it with what it kept under this name before, and leaves it locked. It has nobody to
    /// ask for the password.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn locked(name: &str) -> Self {
        Self::start(name, "--foreground").await
    }

    /// Waits until no keyring is on the bus.
    ///
    /// # Panics
    ///
    /// When there still is one after a minute.
    pub async fn none() {
        until("the keyring to end", async || probe().check().await.is_err()).await;
    }

    async fn start(name: &str, how: &str) -> Self {
        Self::none().await; // that of another test may be about to end
        let folder = folder().join(name);
        for inner in ["data", "run"] {
            fs::create_dir_all(folder.join(inner)).expect("a folder for the keyring");
        }
        let password = folder.join("password");
        fs::write(&password, "correct horse").expect("a file for the password");
        let log = File::create(folder.join("log")).expect("a log of the keyring");

        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(password);
        keeper.args(["gnome-keyring-daemon", "--foreground", "--components=secrets", how]);
        keeper.env("HOME", &folder).env("XDG_DATA_HOME", folder.join("data"));
        keeper.env("XDG_RUNTIME_DIR", folder.join("run")).current_dir(&folder);
        keeper.stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log);
        let daemon = Self { keeper: keeper.spawn().expect("a shell") };
        until("the keyring to start", async || probe().check().await.is_ok()).await;
        daemon
    }
}

impl Drop for KeyringDaemon {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = SystemClock.now();
    while !is_so().await {
        assert!(SystemClock.now().since(&start) < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20)); // for another process, which tells nobody
    }
}

fn probe() -> KeyringStorage {
    KeyringStorage::new("tokenkeeper-tests-probe").expect("a name")
}

fn folder() -> PathBuf {
    let folder = env::var_os("TOKENKEEPER_KEYRING_FOLDER").unwrap_or_else(|| {
        panic!(
            "run these tests with `cargo xtask test --only keyring`: they need a bus of their own"
        )
    });
    Path::new(&folder).to_path_buf()
}

const PATIENCE: Duration = Duration::from_secs(60); // it takes a tenth of a second

/// `$1` is the password's file, the rest the keyring. It ends when the pipe does, and so with the
/// process of the test, however that ends.
const KEEPER: &str = r#"
password=$1; shift
"$@" < "$password" & keyring=$!
cat > /dev/null
kill -9 "$keyring"; wait "$keyring"
"#;
