//! The contract suites: storages that keep the contract pass them, and broken ones fail.

mod broken;

mod defects;
mod imitation;
mod keepers;
mod shared_backends;
