//! Faults at a chosen step of a file operation, for the tests of this crate.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokenkeeper::{Order, StorageKey, SystemClock, TokenRecord};

use crate::disk::{Disk, Step};
use crate::ownership::Account;
use crate::place::Layout;
use crate::storage::FileStorage;

mod crashes;
mod dropped;
mod failures;

/// What happens at which step, counted from 0 over all operations.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: Option<(usize, Fault)>,
    gate: Mutex<Option<mpsc::Receiver<()>>>,
    reached: Mutex<Vec<Step>>,
}

/// What goes wrong, directly before the step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The operation fails with this number. Before a write, half of it is there.
    Fails(i32),
    /// The process dies. Before a write, half of it is there.
    Dies,
}

impl Faults {
    pub(crate) fn at(step: usize, fault: Fault) -> Self {
        Self { plan: Some((step, fault)), ..Self::default() }
    }

    /// The first step waits until the sender says that it may go on.
    pub(crate) fn gated() -> (mpsc::Sender<()>, Self) {
        let (sender, gate) = mpsc::channel();
        (sender, Self { gate: Mutex::new(Some(gate)), ..Self::default() })
    }

    /// The steps that were reached.
    pub(crate) fn reached(&self) -> Vec<Step> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reach(&self, step: Step) -> io::Result<()> {
        let count = {
            let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            reached.push(step);
            reached.len()
        };
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(gate) = gate {
            let _ = gate.recv();
        }
        match self.plan {
            Some((at, fault)) if at + 1 == count => fault.happen(),
            _ => Ok(()),
        }
    }

    /// Before a write that is going to fail: leaves half of it.
    pub(crate) fn tear(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let is_next = self.plan.is_some_and(|(at, _)| at == self.reached().len());
        if is_next { file.write_all(&bytes[..bytes.len() / 2]) } else { Ok(()) }
    }
}

impl Fault {
    fn happen(self) -> io::Result<()> {
        match self {
            Self::Fails(number) => Err(io::Error::from_raw_os_error(number)),
            Self::Dies => std::process::abort(),
        }
    }
}

/// A storage whose disk has these faults.
fn storage(layout: &Layout, faults: &Arc<Faults>) -> FileStorage {
    let disk = Disk::new(Account::current()).with_faults(Arc::clone(faults));
    FileStorage::on_disk(layout.clone(), disk, Arc::new(SystemClock)).unwrap()
}

/// Both layouts, in this folder. Theirs are there already, so that a first write is all there is.
fn layouts(folder: &std::path::Path) -> [Layout; 2] {
    let (many, one) = (folder.join("many"), folder.join("one"));
    for folder in [&many, &one] {
        std::fs::create_dir_all(folder).unwrap();
    }
    [Layout::Directory(many), Layout::SingleFile { file: one.join("login"), folder: one }]
}

fn key() -> StorageKey {
    StorageKey::new("svc:alice").unwrap()
}

fn record(payload: &str) -> TokenRecord {
    TokenRecord::from_parts(payload.as_bytes().to_vec(), Order::new(1, 1), None, false)
}

/// The files of a storage that only a writer under way has.
fn leftovers(layout: &Layout) -> Vec<std::path::PathBuf> {
    layout.leftovers().into_iter().map(|(path, _)| path).collect()
}
