//! M11: the copies that we keep are overwritten when they are dropped.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::SystemTime;

use tokenkeeper::{AccessToken, Order, Secret, TokenRecord, TokenSet};
use zeroize::{Zeroize, ZeroizeOnDrop};

#[test]
fn secrets_are_overwritten_on_drop_by_their_type() {
    fn is_overwritten<T: Zeroize + ZeroizeOnDrop>() {}

    is_overwritten::<Secret>();
}

#[test]
fn bytes_of_a_record_are_handed_out_in_a_buffer_that_is_overwritten() {
    fn is_overwritten(_: &impl ZeroizeOnDrop) {}
    let record = TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, 0), None, false);

    is_overwritten(&record.to_bytes());
}

/// Linux lets a process read its own memory as a file, so that freed memory can be looked at
/// without `unsafe`.
#[cfg(target_os = "linux")]
mod memory {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use parking_lot::{Mutex, MutexGuard};

    use super::*;

    /// Another test must not put its own secret where one was just freed.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        ONE_AT_A_TIME.lock()
    }

    /// So long that the allocator's own notes in freed memory cannot cover it.
    fn planted() -> String {
        let text = "planted.".repeat(512);
        text.as_str().into()
    }

    /// Remembers where `kept` is, drops `holder`, and looks there.
    fn remains_after_drop<T>(holder: T, kept: impl FnOnce(&T) -> &[u8]) -> bool {
        let memory = File::open("/proc/self/mem").unwrap();
        let bytes = kept(&holder);
        let (at, len) = (bytes.as_ptr().addr() as u64, bytes.len());
        let mut seen = vec![0; len];
        memory.read_exact_at(&mut seen, at).unwrap();
        assert!(seen.windows(8).any(|window| window == b"planted."), "looked at the wrong place");
        seen.fill(0);

        drop(holder);

        let readable = memory.read_exact_at(&mut seen, at).is_ok();
        readable && seen.windows(8).any(|window| window == b"planted.")
    }

    #[test]
    fn the_test_would_notice_what_remains() {
        let _alone = alone();
        assert!(remains_after_drop(planted(), |text| text.as_bytes()));
    }

    #[test]
    fn nothing_remains_of_a_secret() {
        let _alone = alone();
        let secret = Secret::from(planted());
        assert!(!remains_after_drop(secret, |secret| secret.expose_secret().as_bytes()));
    }

    #[test]
    fn nothing_remains_of_the_string_that_became_a_secret() {
        let _alone = alone();
        let text = planted();
        let at = text.as_ptr().addr() as u64;
        let mut seen = vec![0; text.len()];

        let secret = Secret::from(text);

        let memory = File::open("/proc/self/mem").unwrap();
        let readable = memory.read_exact_at(&mut seen, at).is_ok();
        assert!(!(readable && seen.windows(8).any(|window| window == b"planted.")));
        assert_ne!(secret.expose_secret().as_ptr().addr() as u64, at);
    }

    #[test]
    fn nothing_remains_of_an_access_token_and_its_header() {
        let _alone = alone();
        let token = || AccessToken::new(planted(), "Bearer").unwrap();

        assert!(!remains_after_drop(token(), |token| token.secret().expose_secret().as_bytes()));
        let header = token().authorization();
        assert!(!remains_after_drop(header, |header| header.as_bytes()));
    }

    #[test]
    fn nothing_remains_of_the_tokens_in_a_set() {
        let _alone = alone();
        let token = AccessToken::new(planted(), "Bearer").unwrap();
        let set = || {
            TokenSet::new(token.clone(), SystemTime::UNIX_EPOCH)
                .with_refresh_token(planted())
                .with_id_token(planted())
        };

        assert!(!remains_after_drop(set(), |set| {
            set.refresh_token().unwrap().expose_secret().as_bytes()
        }));
        assert!(!remains_after_drop(set(), |set| {
            set.id_token().unwrap().expose_secret().as_bytes()
        }));
    }

    #[test]
    fn nothing_remains_of_a_records_payload() {
        let _alone = alone();
        let record = TokenRecord::from_parts(planted().into_bytes(), Order::new(1, 0), None, false);
        let bytes = record.to_bytes();

        assert!(!remains_after_drop(bytes, |bytes| bytes.as_slice()));
        assert!(!remains_after_drop(record, TokenRecord::payload));
    }
}
