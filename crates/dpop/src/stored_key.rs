//! The key as a record of a storage, beside the tokens that are bound to it.
//!
//! The payload has the form of core's own, under a version that core will never reach. So every
//! manager, also of an older release, takes it for something newer that it must not write over.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokenkeeper::{CasOutcome, Error, ErrorKind, Order, StorageKey, TokenRecord, TokenStorage};
use tokenkeeper_jwt::{Algorithm, SigningKey};
use zeroize::Zeroizing;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    dpop_key: &'a RawValue,
}

pub(crate) async fn load_or_generate(
    storage: &(impl TokenStorage + ?Sized),
    place: &StorageKey,
    algorithm: Algorithm,
) -> Result<SigningKey, Error> {
    if let Some(record) = storage.get(place).await? {
        return of_record(&record, place);
    }
    let key = SigningKey::generate(algorithm)?;
    let record = to_record(&key)?;
    let Some(shared) = storage.shared() else {
        storage.set(place, &record).await?;
        return Ok(key);
    };
    match shared.compare_and_set(place, None, &record).await? {
        CasOutcome::Stored(_) => Ok(key),
        CasOutcome::Conflict(Some((_, record))) => of_record(&record, place), // another was quicker
        CasOutcome::Conflict(None) => {
            let what = format!("the record {place} was not written, although nothing is there");
            Err(Error::new(ErrorKind::Storage, what))
        }
    }
}

fn to_record(key: &SigningKey) -> Result<TokenRecord, Error> {
    let jwk = key.to_jwk()?;
    let jwk = jwk.expose_secret();
    // Sized in advance, because a vector that grows leaves copies of the key behind.
    let mut payload = Zeroizing::new(Vec::with_capacity(START.len() + jwk.len() + END.len()));
    for part in [START, jwk, END] {
        payload.extend_from_slice(part.as_bytes());
    }
    Ok(TokenRecord::from_parts(std::mem::take(&mut *payload), Order::default(), None, false))
}

fn of_record(record: &TokenRecord, place: &StorageKey) -> Result<SigningKey, Error> {
    let payload = serde_json::from_slice::<Payload<'_>>(record.payload());
    let key = payload.ok().map(|payload| SigningKey::from_jwk(payload.dpop_key.get()));
    match key {
        Some(Ok(key)) => Ok(key),
        Some(Err(error)) => {
            let what = format!("the DPoP key in the record {place} cannot be used");
            let advice = "put it back from a backup; if it is lost, delete the record and log in \
                          again, because tokens are bound to it";
            let kind = ErrorKind::RecordUnreadable;
            Err(Error::new(kind, what).with_advice(advice).with_source(error))
        }
        None if record.payload().starts_with(TokenRecord::SEALED_PREFIX) => {
            let what =
                format!("the record {place} is encrypted, and this process does not decrypt");
            let advice = "wrap the storage as the process does that wrote the record";
            Err(Error::new(ErrorKind::RecordUnreadable, what).with_advice(advice))
        }
        None => {
            let what = format!("the record {place} is something else than a DPoP key");
            let advice = "give the key a storage key of its own; tokens are stored under others";
            Err(Error::new(ErrorKind::RecordUnreadable, what).with_advice(advice))
        }
    }
}

const START: &str = r#"{"v":4294967295,"dpop_key":"#; // u32::MAX
const END: &str = "}";
