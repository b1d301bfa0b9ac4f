//! Which file holds what: the names of everything that belongs to a key.

use std::path::{Path, PathBuf};

use tokenkeeper::StorageKey;

use crate::entries::sha256;

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

    /// The lock that protects a file of this name in a directory, if it is what a writer of ours
    /// may have left there when it was killed.
    pub(crate) fn lock_of_leftover(folder: &Path, name: &str) -> Option<PathBuf> {
        let stem = name.strip_suffix(TEMPORARY)?;
        let stem = stem.strip_suffix(RECORD).or_else(|| stem.strip_suffix(LEASE))?;
        let (_, hash) = stem.rsplit_once('-')?;
        let is_hash = hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| lock_path(folder, stripe_of(hash)))
    }
}

/// What a person recognises the key by. Two keys may have the same; the hash tells them apart, also
/// where letter case does not count.
fn slug(key: &StorageKey) -> String {
    let readable = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || c == '.' || c == '-' => c,
        _ => '_',
    };
    key.as_str().chars().take(SLUG).map(readable).collect()
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
