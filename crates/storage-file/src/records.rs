//! The records of a file, read and written as a whole.

use std::path::Path;

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
    let path = &place.records.path;
    let entries = Entries::parse(bytes).map_err(|why| refusal(path, why))?;
    if place.is_own && entries.has_others(key) {
        let what = format!(
            "{} holds the tokens of another key, so it was renamed or copied",
            path.display()
        );
        return Err(unreadable(what, "rename it back or delete it"));
    }
    Ok(entries)
}

/// The keys of all records in a file, if there is one.
pub(crate) fn keys(disk: &Disk, path: &Path) -> Result<Option<Vec<StorageKey>>, Error> {
    let Some(bytes) = disk.read(path)? else { return Ok(None) };
    let entries = Entries::parse(&bytes).map_err(|why| refusal(path, why))?;
    Ok(Some(entries.keys().collect()))
}

fn refusal(path: &Path, why: Unreadable) -> Error {
    let (why, advice) = match why {
        Unreadable::Foreign => (
            "is not a file of tokenkeeper, or was cut off".to_owned(),
            "name another path, or restore or delete it",
        ),
        Unreadable::Damaged => {
            ("was cut off or altered".to_owned(), "restore it, or delete it and log in anew")
        }
        Unreadable::Newer(format) => {
            (format!("was written by a newer version of tokenkeeper, in format {format}"), UPDATE)
        }
    };
    unreadable(format!("{} {why}", path.display()), advice)
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
