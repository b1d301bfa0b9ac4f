//! The records of a file, read and written as a whole.

use tokenkeeper::{Error, StorageKey, TokenRecord, Version};

use crate::disk::{Disk, Survives};
use crate::entries::{Entries, Unreadable};
use crate::identifier::Identifier;
use crate::ownership::{UPDATE, unreadable};
use crate::place::Place;

/// What is under the key.
pub(crate) fn found(
    disk: &Disk,
    place: &Place,
    key: &StorageKey,
) -> Result<Option<(Version, TokenRecord)>, Error> {
    let bytes = disk.read(&place.records.path)?;
    Ok(entries(place, bytes.as_deref().map(Vec::as_slice), key)?.get(key))
}

/// The records of a file, or the error that says why it must be left alone.
pub(crate) fn entries<'a>(
    place: &Place,
    bytes: Option<&'a [u8]>,
    key: &StorageKey,
) -> Result<Entries<'a>, Error> {
    let Some(bytes) = bytes else { return Ok(Entries::default()) };
    let (why, advice) = match Entries::parse(bytes) {
        Ok(entries) if place.is_own && entries.has_others(key) => (
            "holds the tokens of another key, so it was renamed or copied".to_owned(),
            "rename it back or delete it",
        ),
        Ok(entries) => return Ok(entries),
        Err(Unreadable::Foreign) => (
            "is not a file of tokenkeeper, or was cut off".to_owned(),
            "name another path, or restore or delete it",
        ),
        Err(Unreadable::Damaged) => {
            ("was cut off or altered".to_owned(), "restore it, or delete it and log in anew")
        }
        Err(Unreadable::Newer(format)) => {
            (format!("was written by a newer version of tokenkeeper, in format {format}"), UPDATE)
        }
    };
    Err(unreadable(format!("{} {why}", place.records.path.display()), advice))
}

/// Writes the records of a file, with this one among them.
pub(crate) fn write(
    disk: &Disk,
    place: &Place,
    entries: Entries<'_>,
    key: &StorageKey,
    record: &TokenRecord,
) -> Result<Version, Error> {
    let version = Identifier::random()?;
    let record = record.to_bytes();
    let bytes = entries.with(key, version, &record).to_bytes();
    disk.replace(&place.records, &place.folder, &bytes, Survives::Machine)?;
    Ok(version.to_version())
}
