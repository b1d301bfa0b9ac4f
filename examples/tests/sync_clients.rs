//! The synchronous clients are served, and the revoked token is replaced once.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../sync_clients.rs"]
#[expect(dead_code, reason = "the test does not need its main")]
mod sync_clients;

#[test]
fn every_request_of_every_thread_is_answered_200_with_one_exchange_more_after_a_revocation() {
    assert_eq!(sync_clients::tour().unwrap(), (400, 2));
}
