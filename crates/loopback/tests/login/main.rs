//! A login with the browser of this machine, from the open port to the page that says how it went.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod pages;
mod person;
mod rfc8252;
mod showing_the_url;
mod strangers;
