//! What cannot be decrypted is refused: each reason has its error, and nothing is written over it.

use crate::sealing::{PAYLOAD, Sealing, at, key, named, record, tombstone};
use tokenkeeper::{
    CasOutcome, Error, ErrorKind, MemoryStorage, Order, Recovery, SharedTokenStorage, TokenRecord,
    TokenStorage,
};
use tokenkeeper_storage_encrypted::EncryptionKey;

/// A record of alice, encrypted.
fn sealed() -> Sealing {
    let sealing = Sealing::new();
    sealing.put("alice", &record(PAYLOAD));
    sealing
}

/// Puts `changed` where alice's record is, and checks that every way to read it says the same.
fn refused(sealing: &Sealing, changed: &TokenRecord) -> Error {
    sealing.plant("alice", changed);
    let (alice, other) = (named("alice"), record(b"other"));
    let errors = pollster::block_on(async {
        let by_get = sealing.storage.get(&alice).await.unwrap_err();
        let by_load = sealing.storage.load(&alice).await.unwrap_err();
        let write = sealing.storage.compare_and_set(&alice, None, &other);
        let by_conflict = write.await.unwrap_err();
        assert!(sealing.storage.exists(&alice).await.unwrap());
        [by_get, by_load, by_conflict]
    });
    let there = sealing.at_rest("alice");
    assert_eq!((there.payload(), there.order()), (changed.payload(), changed.order()));
    for error in &errors {
        assert_eq!(error.to_string(), errors[0].to_string());
        assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
        assert_eq!(error.recovery(), Recovery::Fatal);
        assert!(error.to_string().starts_with("the stored record alice "), "{error}");
    }
    let [error, ..] = errors;
    error
}

#[track_caller]
fn says(error: &Error, expected: &str) {
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_record_that_was_altered_is_refused() {
    let sealing = sealed();
    let mut payload = sealing.at_rest("alice").payload().to_vec();
    *payload.last_mut().unwrap() ^= 1;

    let error = refused(&sealing, &record(&payload));

    let id = key(1).id().to_owned();
    says(
        &error,
        &format!(
            "the stored record alice was altered since it was encrypted with the key `{id}`, or \
             there are two keys of that id, so it is left as it is; find out who altered it, then \
             restore it, or delete it and log in"
        ),
    );
}

#[test]
fn no_bit_of_a_record_can_be_flipped() {
    let sealing = sealed();
    let payload = sealing.at_rest("alice").payload().to_vec();
    for at in 0..payload.len() {
        for bit in 0..8 {
            let mut flipped = payload.clone();
            flipped[at] ^= 1 << bit;
            refused(&sealing, &record(&flipped));
        }
    }
}

#[test]
fn no_part_of_the_envelope_can_be_altered() {
    let sealing = sealed();
    let was = sealing.at_rest("alice");
    let end = was.keep_until();
    let later = Some(at(1_900_000_000_124));
    for (order, end, is_tombstone) in [
        (Order::new(8, 3), end, false),
        (Order::new(7, 4), end, false),
        (Order::new(3, 7), end, false),
        (was.order(), later, false),
        (was.order(), None, false),
        (was.order(), end, true),
    ] {
        let altered = TokenRecord::from_parts(was.payload().to_vec(), order, end, is_tombstone);
        assert!(refused(&sealing, &altered).to_string().contains("was altered"));
    }
}

/// No end is not the same as an end in 1970.
#[test]
fn an_end_cannot_be_added() {
    let sealing = Sealing::new();
    let endless = TokenRecord::from_parts(PAYLOAD.to_vec(), Order::new(1, 0), None, false);
    sealing.put("alice", &endless);
    let payload = sealing.at_rest("alice").payload().to_vec();

    let ended = TokenRecord::from_parts(payload, Order::new(1, 0), Some(at(0)), false);

    assert!(refused(&sealing, &ended).to_string().contains("was altered"));
}

#[test]
fn a_record_of_another_user_is_refused() {
    let sealing = sealed();
    sealing.put("bob", &record(b"the tokens of bob"));

    let error = refused(&sealing, &sealing.at_rest("bob"));

    says(
        &error,
        "the stored record alice was encrypted under another storage key, so it is left as it is; \
         find out who moved it, then delete it and log in",
    );
}

/// The note that tells a moved record is not what keeps it from being read.
#[test]
fn a_record_of_another_user_with_the_first_ones_head_is_refused() {
    let sealing = sealed();
    sealing.put("bob", &record(PAYLOAD));
    let head = 5 + 1 + 8;
    let alices = sealing.at_rest("alice").payload()[..head].to_vec();
    let bobs = sealing.at_rest("bob").payload()[head..].to_vec();

    let error = refused(&sealing, &record(&[alices, bobs].concat()));

    assert!(error.to_string().contains("was altered"), "{error}");
}

#[test]
fn a_record_that_was_cut_off_is_refused_wherever_it_was_cut() {
    let sealing = sealed();
    let payload = sealing.at_rest("alice").payload().to_vec();
    for length in 0..payload.len() {
        let error = refused(&sealing, &record(&payload[..length]));
        let cut_off = format!("is cut off ({length} ");
        assert!(error.to_string().contains(&cut_off), "{length}: {error}");
    }
    let error = refused(&sealing, &record(&payload[..100]));
    says(
        &error,
        "the stored record alice is cut off (100 of 131 bytes are there), so it is left as it is; \
         check whether the storage limits the size of records, then delete the record and log in",
    );
}

#[test]
fn a_record_with_something_behind_it_is_refused() {
    let sealing = sealed();
    let longer = [sealing.at_rest("alice").payload(), b"\n"].concat();

    assert!(refused(&sealing, &record(&longer)).to_string().contains("was altered"));
}

#[test]
fn a_record_under_a_key_that_is_not_given_is_refused() {
    let theirs = sealed();
    let ours = Sealing::over(theirs.inner.clone(), key(2));

    let error = refused(&ours, &theirs.at_rest("alice"));

    let id = key(1).id().to_owned();
    says(
        &error,
        &format!(
            "the stored record alice is encrypted with the key `{id}`, which is not among those \
             given, so it is left as it is; give that key too, after the one that encrypts; if it \
             is lost, delete the record and log in"
        ),
    );
}

/// Its id comes from whoever wrote the record, and errors go into logs.
#[test]
fn an_id_that_no_key_can_have_is_not_shown() {
    let sealing = sealed();
    let start = 5 + 1 + 8 + 8 + 1;
    for strange in [b"\n", b" ", b"\x1b", b"\0", b"\xff"] {
        let mut payload = sealing.at_rest("alice").payload().to_vec();
        payload[start..=start].copy_from_slice(strange);

        let error = refused(&Sealing::new(), &record(&payload));

        assert!(error.to_string().contains("was altered since it was encrypted, so"), "{error}");
    }
}

#[test]
fn other_bytes_under_the_same_id_do_not_open_a_record() {
    let named = |byte| EncryptionKey::from_bytes([byte; 32]).with_id("2026").unwrap();
    let inner = MemoryStorage::new();
    let theirs = Sealing::over(inner.clone(), named(1));
    theirs.put("alice", &record(PAYLOAD));

    let error = refused(&Sealing::over(inner, named(2)), &theirs.at_rest("alice"));

    assert!(error.to_string().contains("with the key `2026`, or there are two keys"), "{error}");
}

#[test]
fn a_record_that_is_not_encrypted_is_refused() {
    for plain in [record(PAYLOAD), tombstone(), record(b"nonsense"), record(b"Tkenc\x01")] {
        let error = refused(&Sealing::new(), &plain);

        says(
            &error,
            "the stored record alice is not encrypted, so it is left as it is; to move an existing \
             storage to encryption call danger_accept_plaintext(), else find out who wrote the \
             record, delete it and log in",
        );
    }
}

#[test]
fn a_record_of_a_newer_format_is_refused() {
    let sealing = sealed();
    let mut payload = sealing.at_rest("alice").payload().to_vec();
    payload[5] = 2;

    let error = refused(&sealing, &record(&payload));

    says(
        &error,
        "the stored record alice was encrypted by a newer version (format 2), so it is left as it \
         is; update tokenkeeper-storage-encrypted",
    );
}

/// The manager knows what that means, and never writes over it.
#[test]
fn a_record_whose_envelope_is_of_a_newer_version_is_handed_on_and_never_encrypted() {
    let newer = TokenRecord::from_bytes(b"{\"tokenkeeper\":2}\nwhatever");
    let sealing = Sealing::new();
    sealing.plant("alice", &newer);

    assert!(sealing.read("alice").unwrap().is_newer());

    let error = pollster::block_on(sealing.storage.set(&named("bob"), &newer)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
    assert!(error.to_string().ends_with("; update tokenkeeper"), "{error}");
    assert!(!pollster::block_on(sealing.inner.exists(&named("bob"))).unwrap());
}

#[test]
fn a_refused_record_can_be_deleted_and_written_anew() {
    let sealing = Sealing::new();
    refused(&sealing, &record(b"nonsense"));
    let alice = named("alice");

    pollster::block_on(async {
        sealing.storage.delete(&alice).await.unwrap();
        let written = sealing.storage.compare_and_set(&alice, None, &record(PAYLOAD)).await;
        assert!(matches!(written.unwrap(), CasOutcome::Stored(_)));
    });

    assert_eq!(sealing.read("alice").unwrap().payload(), PAYLOAD);
}

#[test]
fn plaintext_is_read_where_it_was_asked_for_and_encrypted_at_the_next_write() {
    for plain in [record(PAYLOAD), tombstone()] {
        let Sealing { storage, inner } = Sealing::new();
        let sealing = Sealing { storage: storage.danger_accept_plaintext(), inner };
        sealing.plant("alice", &plain);

        let read = sealing.read("alice").unwrap();

        assert_eq!((read.payload(), read.order()), (plain.payload(), plain.order()));
        sealing.put("alice", &read);
        assert!(sealing.at_rest("alice").payload().starts_with(b"tkenc"));
        assert_eq!(sealing.read("alice").unwrap().payload(), plain.payload());
    }
}

#[test]
fn accepting_plaintext_accepts_nothing_else() {
    let original = sealed();
    let payload = original.at_rest("alice").payload().to_vec();
    let storage = original.storage.danger_accept_plaintext();
    let sealing = Sealing { storage, inner: original.inner };
    // The first bytes are what tells that it is encrypted.
    for at in 5..payload.len() {
        let mut flipped = payload.clone();
        flipped[at] ^= 1;
        refused(&sealing, &record(&flipped));
    }
    for length in 0..payload.len() {
        refused(&sealing, &record(&payload[..length]));
    }
}
