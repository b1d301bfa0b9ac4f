//! Whether a file or folder is ours alone: refresh tokens are passwords.
//!
//! Nothing is mended on its own. A file that others could read may have been read, a link may lead
//! anywhere, and whoever owns a folder can put any file into it; a person has to look.

use std::borrow::Cow;
use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use tokenkeeper::{Error, ErrorKind};

/// Whose files are fine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    #[cfg(unix)]
    uid: u32,
}

impl Account {
    /// The one that this process acts for.
    #[cfg(unix)]
    pub(crate) fn current() -> Self {
        Self { uid: rustix::process::geteuid().as_raw() }
    }

    #[cfg(not(unix))]
    pub(crate) fn current() -> Self {
        Self {}
    }

    #[cfg(all(unix, test))]
    pub(crate) fn with_uid(uid: u32) -> Self {
        Self { uid }
    }

    /// Refuses a file that holds secrets and is not what we would have made.
    pub(crate) fn check_file(self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        let shown = path.display();
        if metadata.is_symlink() {
            let what = format!("{shown} is a symbolic link, which may lead anywhere");
            return Err(unreadable(what, "give the path that it leads to, or remove it"));
        }
        if !metadata.is_file() {
            return Err(unreadable(format!("{shown} is not a file"), ANOTHER_PATH));
        }
        self.check_file_mode(path, metadata)
    }

    /// Refuses a folder into which anybody can put files. Its group may: where each user has a group
    /// of their own, folders are made so.
    pub(crate) fn check_folder(self, path: &Path) -> Result<(), Error> {
        let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let shown = path.display();
                let advice = format!("run `mkdir -m 700 {shown}`");
                refused(format!("the folder {shown} is gone"), advice)
            }
            _ => cannot("look at", path, &error),
        })?;
        if !metadata.is_dir() {
            let shown = path.display();
            return Err(refused(format!("{shown} is not a folder"), ANOTHER_PATH));
        }
        self.check_folder_mode(path, &metadata)
    }

    #[cfg(unix)]
    fn check_file_mode(self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt;

        let (shown, uid, owner) = (path.display(), self.uid, metadata.uid());
        if owner != uid {
            let advice =
                format!("run `chown {uid} {shown}` if you trust its contents, or {ANOTHER_PATH}");
            return Err(unreadable(
                format!("{shown} belongs to user {owner}, and this process runs as user {uid}"),
                advice,
            ));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(unreadable(
                format!("{shown} can be opened by other users (mode {mode:04o})"),
                format!("run `chmod 600 {shown}`, and log in anew if somebody may have read it"),
            ));
        }
        Ok(())
    }

    /// Root can do everything anyway, so its folders are as good as ours.
    #[cfg(unix)]
    fn check_folder_mode(self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt;

        let (shown, uid, owner) = (path.display(), self.uid, metadata.uid());
        if owner != uid && owner != 0 {
            let what = format!(
                "the folder {shown} belongs to user {owner}, who can replace the files in it, and \
                 this process runs as user {uid}"
            );
            return Err(refused(what, format!("run `chown {uid} {shown}`, or {ANOTHER_PATH}")));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o002 != 0 {
            return Err(refused(
                format!("every user can put files into the folder {shown} (mode {mode:04o})"),
                format!("run `chmod o-w {shown}`, or name a folder in it"),
            ));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_file_mode(self, _: &Path, _: &Metadata) -> Result<(), Error> {
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_folder_mode(self, _: &Path, _: &Metadata) -> Result<(), Error> {
        Ok(())
    }
}

/// Makes what the options create ours alone, and keeps them from following a link or waiting for the
/// other end of a pipe.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;

        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        options.mode(0o600).custom_flags(flags.cast_signed());
    }
    options
}

/// Makes the folder, and those above it that are missing, ours alone. Gives the folders that have a
/// new name in them.
pub(crate) fn create_folder(path: &Path) -> Result<Vec<&Path>, Error> {
    let missing = path.ancestors().take_while(|folder| !folder.exists());
    let changed = missing.filter_map(Path::parent).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;

        builder.mode(0o700);
    }
    builder.create(path).map_err(|error| cannot("create the folder", path, &error))?;
    Ok(changed)
}

/// The error of a file operation: what failed, where, why, and what mends it, where that is known.
pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    let failed =
        Error::new(ErrorKind::Storage, format!("cannot {what} {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => failed.with_advice(
            "let the user of this process read and write the folder, or name another path",
        ),
        io::ErrorKind::ReadOnlyFilesystem => failed.with_advice(ANOTHER_PATH),
        io::ErrorKind::StorageFull => failed.with_advice("make room on that disk"),
        _ => failed,
    }
}

/// The error of what we will not do until somebody has acted.
pub(crate) fn refused(what: String, advice: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Storage, what).with_advice(advice)
}

/// The error of a file that is there, and that we neither read nor write over.
pub(crate) fn unreadable(what: String, advice: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::RecordUnreadable, what).with_advice(advice)
}

pub(crate) const ANOTHER_PATH: &str = "name another path";
pub(crate) const UPDATE: &str = "update this program";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_this_user_may_not_write_to_says_who_has_to_let_it() {
        let error =
            cannot("lock", Path::new("/tokens/.lock-1"), &io::ErrorKind::PermissionDenied.into());

        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("let the user of this process"), "{error}");
    }

    #[test]
    fn a_disk_that_is_full_or_read_only_says_what_mends_it() {
        let of =
            |kind: io::ErrorKind| cannot("write", Path::new("/tokens"), &kind.into()).to_string();

        assert!(of(io::ErrorKind::ReadOnlyFilesystem).ends_with(ANOTHER_PATH));
        assert!(of(io::ErrorKind::StorageFull).ends_with("make room on that disk"));
        assert!(of(io::ErrorKind::TimedOut).ends_with("check the storage, then ask again"));
    }
}
