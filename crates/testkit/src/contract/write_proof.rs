//! The rule about records that can be read and not be replaced.

use tokenkeeper::{ErrorKind, StorageKey};

use super::backend::SharedBackend;
use super::rule::{LONG, Rule, Wait, fresh_key, lease_request, record};

/// A lease is granted only where the record under its key can be replaced, because whoever has it
/// spends the refresh token that is stored there.
///
/// `forbid` keeps the record from being replaced, or allows it again: by permissions, an attribute, a
/// mount, an access control list, whatever an operator may get wrong. The lock and the lease stay as
/// they are.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_shows_that_the_record_can_be_replaced(
    backend: SharedBackend,
    mut forbid: impl AsyncFnMut(&StorageKey, bool),
) {
    let rule = Rule::new(
        "a_lease_shows_that_the_record_can_be_replaced",
        "before the first lease of a process, write what is there once more: in the same place, by \
         the same command, as the same user",
    );
    let key = fresh_key();
    rule.set(&backend.open().await, &key, &record(b"there")).await;
    let restarted = backend.open().await; // has written nothing yet
    let before = rule.some(rule.load(&restarted, &key).await, "load finds nothing");

    forbid(&key, true).await;
    let want = lease_request(LONG, std::time::Duration::ZERO);
    let refused = rule.shared(&restarted).lease(&key, &want).await;
    forbid(&key, false).await;

    match refused {
        Ok(_) => rule.broken("a lease was granted although the record cannot be replaced"),
        Err(error) => {
            rule.check(error.kind() == ErrorKind::Storage, "the refusal has another kind")
        }
    }
    let lease = rule.lease(&restarted, &key, LONG, Wait::Not).await;
    let after = rule.some(rule.load(&restarted, &key).await, "the record is gone");
    rule.same(&after.1, &record(b"there"), "after a lease");
    rule.check(after.0 == before.0, "a lease changed the version of the record");
    rule.ok("release", lease.release().await);
}
