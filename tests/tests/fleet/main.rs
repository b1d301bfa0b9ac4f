//! Fleets of real processes on one storage.

mod file;
mod oidc_provider;
mod redis;
