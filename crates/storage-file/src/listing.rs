//! Which keys there are: they stand in the files, whose names have only a hash of them.

use std::ffi::OsString;
use std::path::Path;

use tokenkeeper::{Error, ErrorKind, KeyCursor, KeyPage, ListKeys, StorageKey, async_trait};

use crate::disk::Disk;
use crate::ownership::cannot;
use crate::place::{Layout, is_record};
use crate::records::keys;
use crate::storage::FileStorage;

#[async_trait]
impl ListKeys for FileStorage {
    async fn list_keys(&self, after: Option<&KeyCursor>) -> Result<KeyPage, Error> {
        let after = after.map(|cursor| cursor.as_str().to_owned());
        self.with_all(move |disk, layout| match layout {
            Layout::Directory(folder) => page(disk, folder, after.as_deref()),
            Layout::SingleFile { file, .. } => {
                Ok(KeyPage::new(keys(disk, file)?.unwrap_or_default(), None))
            }
        })
        .await
    }
}

/// The keys of the files whose names come after that one.
fn page(disk: &Disk, folder: &Path, after: Option<&str>) -> Result<KeyPage, Error> {
    let failed = |error| cannot("list", folder, &error);
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).map_err(failed)? {
        let name = file.map_err(failed)?.file_name().into_string().unwrap_or_else(lossy);
        if is_record(&name) && after.is_none_or(|after| name.as_str() > after) {
            names.push(name);
        }
    }
    names.sort_unstable();
    let is_last = names.len() <= PAGE;
    names.truncate(PAGE);
    let (mut found, mut unreadable): (Vec<StorageKey>, Vec<Error>) = Default::default();
    for name in &names {
        match keys(disk, &folder.join(name)) {
            Ok(keys) => found.extend(keys.unwrap_or_default()), // nothing, if it went meanwhile
            Err(error) if error.kind() == ErrorKind::RecordUnreadable => unreadable.push(error),
            Err(error) => return Err(error),
        }
    }
    let next = names.last().filter(|_| !is_last).map(|last| KeyCursor::new(last.as_str()));
    Ok(KeyPage::new(found, next).with_unreadable(unreadable))
}

fn lossy(name: OsString) -> String {
    name.to_string_lossy().into_owned()
}

const PAGE: usize = 256; // files that are opened in one go
