//! Test tools for tokenkeeper.

mod faulty_storage;
mod gate;
mod plain_storage;
mod scripted_provider;
mod step;

pub use faulty_storage::{FaultyStorage, StorageFault, StorageOperation};
pub use gate::Gate;
pub use plain_storage::PlainStorage;
pub use scripted_provider::ScriptedProvider;
pub use step::{ScriptedCall, Step};
