//! The bytes of an encrypted payload, and what they are bound to.
//!
//! | bytes | |
//! |---|---|
//! | 5 | `tkenc` |
//! | 1 | the format, 1 |
//! | 8 | the storage key, hashed |
//! | 8 | the length of the plaintext, big-endian |
//! | 1 | the length of the key id |
//! | 1 to 255 | the key id |
//! | 24 | the nonce |
//! | | the ciphertext, as long as the plaintext |
//! | 16 | the tag |
//!
//! Everything before the nonce is associated data, with the storage key and the envelope after it, so
//! that a record works in its place alone, and only with the order, the end and the mark of a
//! tombstone that it was written with. The hash of the storage key and the length say no more than
//! that does; they are there to tell a record that was moved, or cut off, from one that was altered.

use std::time::UNIX_EPOCH;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use tokenkeeper::{Error, ErrorKind, StorageKey, TokenRecord};
use zeroize::Zeroizing;

use crate::encryption_key::{EncryptionKey, is_id};
use crate::refusal::Refusal;

/// An encrypted payload, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    /// All that comes before the nonce.
    head: &'a [u8],
    key_id: &'a str,
    nonce: &'a [u8; NONCE],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Sealed<'a> {
    /// Takes apart what is stored under this storage key.
    pub(crate) fn parse(record: &'a TokenRecord, key: &StorageKey) -> Result<Self, Refusal> {
        let payload = record.payload();
        let cut_off = |whole| Refusal::CutOff { there: payload.len(), whole };
        let Some(rest) = payload.strip_prefix(MAGIC) else {
            let is_start =
                MAGIC.starts_with(payload) && !(payload.is_empty() && record.is_tombstone());
            return Err(if is_start { cut_off(None) } else { Refusal::NotEncrypted });
        };
        let (&format, rest) = rest.split_first().ok_or(cut_off(None))?;
        if format > FORMAT {
            return Err(Refusal::Newer { format });
        }
        if format != FORMAT {
            return Err(Refusal::Altered { id: None });
        }
        let (owner, rest) = rest.split_first_chunk::<OWNER>().ok_or(cut_off(None))?;
        if *owner != owner_of(key) {
            return Err(Refusal::Moved);
        }
        let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(cut_off(None))?;
        let length = u64::from_be_bytes(*length);
        let (&id_length, rest) = rest.split_first().ok_or(cut_off(None))?;
        let (id, rest) = rest.split_at_checked(id_length.into()).ok_or(cut_off(None))?;
        let head = payload.len() - rest.len();
        let whole = length.saturating_add((head + NONCE + TAG) as u64);
        let there = payload.len() as u64;
        if there < whole {
            return Err(cut_off(Some(whole)));
        }
        let key_id = std::str::from_utf8(id).ok().filter(|id| is_id(id.as_bytes()));
        let taken_apart = || {
            let head = payload.get(..head)?;
            let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
            let (ciphertext, tag) = rest.split_last_chunk::<TAG>()?;
            Some(Self { head, key_id: key_id?, nonce, ciphertext, tag })
        };
        taken_apart().ok_or_else(|| Refusal::Altered { id: key_id.map(Into::into) })
    }

    /// The key that it names.
    pub(crate) fn key_id(&self) -> &'a str {
        self.key_id
    }

    /// The plaintext, if `record` is what was encrypted with this encryption key under this storage
    /// key.
    pub(crate) fn open(
        &self,
        record: &TokenRecord,
        key: &StorageKey,
        with: &EncryptionKey,
    ) -> Result<Vec<u8>, Refusal> {
        let bound_to = associated_data(self.head, record, key);
        let mut buffer = Zeroizing::new(self.ciphertext.to_vec());
        cipher(with)
            .decrypt_inout_detached(
                self.nonce.into(),
                &bound_to,
                buffer.as_mut_slice().into(),
                &Tag::from(*self.tag),
            )
            .map_err(|_| Refusal::Altered { id: Some(self.key_id.into()) })?;
        Ok(std::mem::take(&mut *buffer))
    }
}

/// The encrypted payload of this record, for this storage key.
pub(crate) fn seal(
    record: &TokenRecord,
    key: &StorageKey,
    with: &EncryptionKey,
    nonce: [u8; NONCE],
) -> Result<Vec<u8>, Error> {
    let plaintext = record.payload();
    let id = with.id();
    let mut head = Vec::with_capacity(MAGIC.len() + 2 + OWNER + LENGTH + id.len());
    head.extend_from_slice(MAGIC);
    head.push(FORMAT);
    head.extend_from_slice(&owner_of(key));
    head.extend_from_slice(&(plaintext.len() as u64).to_be_bytes());
    head.push(u8::try_from(id.len()).map_err(|_| cannot_encrypt(key))?);
    head.extend_from_slice(id.as_bytes());

    let start = head.len() + NONCE;
    // Encrypted in place, in a buffer that never grows: no other copy of the plaintext is made.
    let mut bytes = Zeroizing::new(Vec::with_capacity(start + plaintext.len() + TAG));
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(plaintext);
    let bound_to = associated_data(&head, record, key);
    let buffer = bytes.get_mut(start..).unwrap_or_default();
    let tag = cipher(with)
        .encrypt_inout_detached(&XNonce::from(nonce), &bound_to, buffer.into())
        .map_err(|_| cannot_encrypt(key))?;
    bytes.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *bytes))
}

/// A nonce that was never used: 24 random bytes do not meet again.
pub(crate) fn fresh_nonce() -> Result<[u8; NONCE], Error> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|source| {
        Error::new(ErrorKind::Storage, "the system gave no random bytes to encrypt a record with")
            .with_advice("check the system's random number generator, then ask again")
            .with_source(source)
    })?;
    Ok(nonce)
}

fn cannot_encrypt(key: &StorageKey) -> Error {
    Error::new(ErrorKind::Internal, format!("the record {key} cannot be encrypted"))
}

fn cipher(key: &EncryptionKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// No two records have the same: whatever has no fixed length has it in front.
fn associated_data(head: &[u8], record: &TokenRecord, key: &StorageKey) -> Vec<u8> {
    let key = key.as_str().as_bytes();
    let end = record.keep_until().map(|end| {
        let since_1970 = end.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX) // storages keep no more than that
    });
    let mut data = Vec::with_capacity(head.len() + key.len() + 34);
    data.extend_from_slice(head); // tells its own length
    data.extend_from_slice(&(key.len() as u64).to_be_bytes());
    data.extend_from_slice(key);
    data.extend_from_slice(&record.order().epoch().to_be_bytes());
    data.extend_from_slice(&record.order().generation().to_be_bytes());
    data.push(end.is_some().into());
    data.extend_from_slice(&end.unwrap_or_default().to_be_bytes());
    data.push(record.is_tombstone().into());
    data
}

fn owner_of(key: &StorageKey) -> [u8; OWNER] {
    let hash = Sha256::new().chain_update(OWNER_DOMAIN).chain_update(key.as_str()).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// No JSON begins like this, so a plaintext payload is never taken for an encrypted one.
const MAGIC: &[u8] = TokenRecord::SEALED_PREFIX;
const FORMAT: u8 = 1;
const OWNER: usize = 8;
const OWNER_DOMAIN: &[u8] = b"tokenkeeper storage key v1";
const LENGTH: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
