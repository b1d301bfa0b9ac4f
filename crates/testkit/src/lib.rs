//! Test tools for tokenkeeper.

mod auth_server;
pub mod contract;
mod faulty_storage;
mod gate;
mod plain_storage;
mod scripted_provider;
mod step;

pub use auth_server::{
    ClientAuth, EchoForm, Endpoint, FakeAuthServer, FakeAuthServerBuilder, Fault, HeldRequests,
    ReceivedRequest, RetryAfter, Stats,
};
pub use faulty_storage::{FaultyStorage, StorageFault, StorageOperation};
pub use gate::Gate;
pub use plain_storage::PlainStorage;
pub use scripted_provider::ScriptedProvider;
pub use step::{ScriptedCall, Step};
