//! What is tried at Keycloak alone: the crate for MangaDex, whose accounts are a realm of one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod api;
mod clients;
mod people;
mod rotation;
mod sessions;
mod setup;
