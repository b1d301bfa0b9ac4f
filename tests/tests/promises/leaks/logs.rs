//! What the libraries below log, at the most talkative level.
//!
//! One subscriber for the whole process, because the requests are made on the thread of the driver.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{LazyLock, Once};

use parking_lot::Mutex;
use tracing_subscriber::filter::LevelFilter;

/// Starts to listen, to `tracing` and `log` both.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(|| Lines)
            .init();
    });
}

/// All lines so far, without repetition.
pub(crate) fn lines() -> Vec<String> {
    LINES.lock().iter().cloned().collect()
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.lock().insert(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static LINES: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
