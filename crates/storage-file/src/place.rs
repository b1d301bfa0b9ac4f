//! Which file holds what: the names of everything that belongs to a key.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokenkeeper::StorageKey;

use crate::entries::sha256;
use crate::windows_names::is_device;

/// Where a storage keeps its records.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// A file for each record, in this folder.
    Directory(PathBuf),
    /// One file for all records.
    SingleFile { folder: PathBuf, file: PathBuf },
}

/// The files of one key.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) records: Target,
    pub(crate) leases: Target,
    /// Locked for the time of a write. It is never replaced, because a lock is on a file and not on
    /// its name.
    pub(crate) lock: PathBuf,
    /// Whether the records of other keys are elsewhere.
    pub(crate) is_own: bool,
}

/// A file that is replaced as a whole, and the file beside it that becomes the next one. That has
/// one name and is made under the lock, so whoever has the lock and finds one knows that its writer
/// is dead.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) temporary: PathBuf,
}

impl Layout {
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Directory(folder) | Self::SingleFile { folder, .. } => folder,
        }
    }

    /// How many locks there are.
    pub(crate) fn stripes(&self) -> usize {
        match self {
            Self::Directory(_) => STRIPES,
            Self::SingleFile { .. } => 1,
        }
    }

    /// Which of the locks is that of the key.
    pub(crate) fn stripe(&self, key: &StorageKey) -> usize {
        match self {
            Self::Directory(_) => stripe_of(&sha256(key.as_str().as_bytes())),
            Self::SingleFile { .. } => 0,
        }
    }

    pub(crate) fn place(&self, key: &StorageKey) -> Place {
        match self {
            Self::Directory(folder) => {
                let hash = sha256(key.as_str().as_bytes());
                let stem = format!("{}-{}", slug(key), hash.get(..HASH).unwrap_or(&hash));
                Place {
                    folder: folder.clone(),
                    records: Target {
                        path: folder.join(format!("{stem}{RECORD}")),
                        temporary: folder.join(format!("{stem}{RECORD}{TEMPORARY}")),
                    },
                    leases: Target {
                        path: folder.join(format!("{stem}{LEASE}")),
                        temporary: folder.join(format!("{stem}{LEASE}{TEMPORARY}")),
                    },
                    lock: lock_path(folder, stripe_of(&hash)),
                    is_own: true,
                }
            }
            Self::SingleFile { folder, file } => Place {
                folder: folder.clone(),
                records: Target { path: file.clone(), temporary: beside(file, "tmp") },
                leases: Target {
                    path: beside(file, "lease"),
                    temporary: beside(file, "lease-tmp"),
                },
                lock: beside(file, "lock"),
                is_own: false,
            },
        }
    }

    /// What writers may have left behind that were killed, each with the lock that its writer holds
    /// if it lives.
    pub(crate) fn leftovers(&self) -> Vec<(PathBuf, PathBuf)> {
        match self {
            Self::Directory(folder) => {
                let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
                let with_lock = |name: OsString| {
                    let lock = lock_of_leftover(folder, name.to_str()?)?;
                    Some((folder.join(name), lock))
                };
                files.flatten().filter_map(|file| with_lock(file.file_name())).collect()
            }
            Self::SingleFile { file, .. } => {
                let temporaries = [beside(file, "tmp"), beside(file, "lease-tmp")];
                let there = temporaries.into_iter().filter(|path| path.exists());
                there.map(|path| (path, beside(file, "lock"))).collect()
            }
        }
    }
}

/// Whether a file of this name in a directory holds a record.
pub(crate) fn is_record(name: &str) -> bool {
    name.ends_with(RECORD)
}

/// The lock of a file of this name in a directory, if it is a temporary file of ours.
fn lock_of_leftover(folder: &Path, name: &str) -> Option<PathBuf> {
    let stem = name.strip_suffix(TEMPORARY)?;
    let stem = stem.strip_suffix(RECORD).or_else(|| stem.strip_suffix(LEASE))?;
    let (_, hash) = stem.rsplit_once('-')?;
    let is_hash = hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| lock_path(folder, stripe_of(hash)))
}

/// What a person recognises the key by. Two keys may have the same; the hash tells them apart, also
/// where letter case does not count.
fn slug(key: &StorageKey) -> String {
    let readable = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || c == '.' || c == '-' => c,
        _ => '_',
    };
    let slug: String = key.as_str().chars().take(SLUG).map(readable).collect();
    // `nul.x-….token` is a device on Windows, `nul_x-….token` is a file.
    if is_device(&slug) { slug.replacen('.', "_", 1) } else { slug }
}

fn stripe_of(hash: &str) -> usize {
    let byte = hash.get(..2).and_then(|digits| usize::from_str_radix(digits, 16).ok());
    byte.unwrap_or_default() % STRIPES
}

fn lock_path(folder: &Path, stripe: usize) -> PathBuf {
    folder.join(format!(".lock-{stripe:02x}"))
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".tokenkeeper-{what}"));
    PathBuf::from(name)
}

const RECORD: &str = ".token";
const LEASE: &str = ".lease";
const TEMPORARY: &str = ".tmp";
const SLUG: usize = 32; // characters; enough to recognise a user by
const HASH: usize = 32; // hexadecimal digits: 128 bits, so no two keys share a file by chance
const STRIPES: usize = 64; // locks of a directory: few files, and keys are seldom in each other's way

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn name(key: &str) -> String {
        let place = Layout::Directory("/t".into()).place(&StorageKey::new(key).unwrap());
        assert_eq!(place.records.path.parent(), Some(Path::new("/t")));
        place.records.path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn names_do_not_change_between_releases() {
        assert_eq!(name("svc:Alice@x"), "svc_alice_x-c3e9c2d5908165980c8cc6b13942c2d4.token");
    }

    #[test]
    fn keys_that_look_alike_have_files_of_their_own_where_case_does_not_count() {
        let keys =
            ["a", "A", "a.", "a..", "a_", "a:", "a@", "a-", "con", "CON", "a.token", "a.tmp"];
        let names: HashSet<_> = keys.iter().map(|key| name(key).to_lowercase()).collect();

        assert_eq!(names.len(), keys.len());
    }

    #[test]
    fn no_key_leads_to_a_device() {
        for key in ["nul", "nul.x", "NUL.X", "con.x", "aux.example", "com1.x", "lpt9.a.b", "prn."] {
            assert!(!is_device(&name(key)), "{}", name(key));
        }
        assert!(name("example.nul").starts_with("example.nul-"), "the others keep their names");
    }

    #[test]
    fn the_files_beside_a_single_file_are_not_those_of_a_directory() {
        let layout = Layout::SingleFile { folder: "/t".into(), file: "/t/login.json".into() };
        let place = layout.place(&StorageKey::new("a").unwrap());

        assert_eq!(place.records.path, Path::new("/t/login.json"));
        assert_eq!(place.lock, Path::new("/t/login.json.tokenkeeper-lock"));
    }

    proptest! {
        #[test]
        fn every_name_is_short_plain_and_in_the_folder(
            key in "[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}",
        ) {
            let name = name(&key);

            prop_assert!(name.len() <= 100);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
            prop_assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()));
            let layout = Layout::Directory("/t".into());
            let place = layout.place(&StorageKey::new(&key).unwrap());
            for target in [&place.records, &place.leases] {
                let name = target.temporary.file_name().unwrap().to_str().unwrap();
                prop_assert_eq!(lock_of_leftover(Path::new("/t"), name), Some(place.lock.clone()));
                let name = target.path.file_name().unwrap().to_str().unwrap();
                prop_assert_eq!(lock_of_leftover(Path::new("/t"), name), None);
            }
        }
    }
}
