//! Whether a file or folder is ours alone: refresh tokens are passwords.
//!
//! Nothing is mended on its own. A file that others could read may have been read, a link may lead
//! anywhere, and whoever owns a folder can put any file into it; a person has to look.

use std::borrow::Cow;
use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use tokenkeeper::{Error, ErrorKind};

use crate::windows_names::is_in_use;

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

    /// Refuses a lock that others can take and keep, or that is something else.
    pub(crate) fn check_lock(self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        let shown = path.display();
        if metadata.is_symlink() {
            let what = format!("the lock {shown} is a symbolic link, which may lead anywhere");
            return Err(refused(what, format!("run `rm {shown}`")));
        }
        if !metadata.is_file() {
            return Err(refused(format!("the lock {shown} is not a file"), ANOTHER_PATH));
        }
        self.check_lock_mode(path, metadata)
    }

    /// Refuses a folder into which anybody can put files, or that another can replace. Its group may: where each user has a group
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
        self.check_folder_mode(path, &metadata)?;
        self.check_way(path)?;
        match std::fs::canonicalize(path) {
            Ok(real) if real != path => self.check_way(&real),
            Ok(_) => Ok(()),
            Err(error) => Err(cannot("look at", path, &error)),
        }
    }

    /// Refuses a path of which another user can replace a part, and with it all that is below.
    fn check_way(self, path: &Path) -> Result<(), Error> {
        for step in path.ancestors() {
            let Some(above) = step.parent() else { return Ok(()) };
            let look = |error| cannot("look at", above, &error);
            let folder = std::fs::metadata(above).map_err(look)?;
            let step_itself = std::fs::symlink_metadata(step).map_err(look)?;
            self.check_step((above, &folder), (step, &step_itself))?;
        }
        Ok(())
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
            return Err(refused(what, format!("name a folder that belongs to user {uid}")));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o002 != 0 {
            // Where it is sticky, or not ours, others use it as they should: it is not to be closed.
            let advice = if mode & STICKY != 0 || owner != uid {
                format!("name a folder in {shown}, which is then made for this user alone")
            } else {
                format!("run `chmod o-w {shown}` if nobody else needs it, or name a folder in it")
            };
            let what =
                format!("every user can put files into the folder {shown} (mode {mode:04o})");
            return Err(refused(what, advice));
        }
        Ok(())
    }

    /// Whether a folder above keeps what is in it: its owner and those who may write to it can
    /// rename it away, unless the folder is sticky, where only the owners of both can.
    #[cfg(unix)]
    fn check_step(
        self,
        (above, folder): (&Path, &Metadata),
        (step, itself): (&Path, &Metadata),
    ) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt;

        let is_trusted = |owner| owner == self.uid || owner == 0 || is_unmapped(owner);
        let (shown, owner, mode) = (above.display(), folder.uid(), folder.mode() & 0o7777);
        let replaced = |by: String, advice: String| {
            Err(refused(format!("{} can be replaced by {by}", step.display()), advice))
        };
        if !is_trusted(owner) {
            let by = format!("user {owner}, to whom the folder {shown} above it belongs");
            return replaced(
                by,
                format!("name a path below folders of user {} and root", self.uid),
            );
        }
        if mode & 0o002 == 0 {
            return Ok(());
        }
        if mode & STICKY == 0 {
            let by = format!("every user: the folder {shown} above it has the mode {mode:04o}");
            return replaced(by, format!("run `chmod +t {shown}`, or {ANOTHER_PATH}"));
        }
        if !is_trusted(itself.uid()) {
            let by = format!("user {}, to whom it belongs, in the folder {shown}", itself.uid());
            return replaced(by, ANOTHER_PATH.to_owned());
        }
        Ok(())
    }

    #[cfg(unix)]
    fn check_lock_mode(self, path: &Path, metadata: &Metadata) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt;

        let (shown, uid, owner) = (path.display(), self.uid, metadata.uid());
        if owner != uid {
            let what = format!(
                "the lock {shown} belongs to user {owner}, who can keep it, and this process runs as \
                 user {uid}"
            );
            return Err(refused(what, format!("run `rm {shown}` while no program uses it")));
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            let what =
                format!("the lock {shown} can be taken and kept by others (mode {mode:04o})");
            return Err(refused(what, format!("run `chmod 600 {shown}`")));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_lock_mode(self, _: &Path, _: &Metadata) -> Result<(), Error> {
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_step(self, _: (&Path, &Metadata), _: (&Path, &Metadata)) -> Result<(), Error> {
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
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;

        // Opens a link itself, which is refused then, and not what it leads to.
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
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
    if is_in_use(error) {
        return failed.with_advice("see which program keeps it open, a virus scanner perhaps");
    }
    match error.kind() {
        io::ErrorKind::ResourceBusy => failed.with_advice(
            "mount its folder and not the file alone (a file that is a mount cannot be replaced)",
        ),
        io::ErrorKind::PermissionDenied if error.raw_os_error() == EPERM => failed.with_advice(
            "remove the attribute that makes it immutable (`lsattr` shows it), or name another path",
        ),
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

/// Whether the owner is one from outside the user namespace of this process, as of the root folder
/// of many containers: whoever that is has set the container up.
#[cfg(unix)]
fn is_unmapped(owner: u32) -> bool {
    owner == OVERFLOW
        && std::fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| !map.split_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(unix)]
const OVERFLOW: u32 = 65_534; // what Linux calls users that a namespace has no number for
#[cfg(unix)]
const STICKY: u32 = 0o1000;
const EPERM: Option<i32> = if cfg!(unix) { Some(1) } else { None };
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
