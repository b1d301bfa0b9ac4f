//! What is sent and how answers are read, over a transport that plays back
//! answers and over the bundled one.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod clients;
mod config;
mod failure_table;
mod login_wire;
mod network;
mod one_shot;
mod one_storage;
mod requests;
mod secrets;
mod verdicts;
