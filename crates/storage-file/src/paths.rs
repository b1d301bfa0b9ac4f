//! Paths as people write them, and what must not be taken literally.

use std::io;
use std::path::{Component, Path, PathBuf};

use tokenkeeper::{Error, ErrorKind};

use crate::windows_names::why_refused;

/// The folder that a path names.
pub(crate) fn directory(path: &Path) -> Result<PathBuf, Error> {
    check_expanded(path)?;
    std::path::absolute(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => wrong("must not be empty"),
        _ => wrong(&format!("cannot be made absolute: {error}")),
    })
}

/// The file that a path names, and its folder before it.
pub(crate) fn file(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let file = directory(path)?;
    let names_a_folder = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    // Of the path as it was given: Windows makes another one of a path that ends in a device.
    let (Some(folder), Some(name), false) =
        (file.parent().map(Path::to_path_buf), path.file_name(), names_a_folder)
    else {
        return Err(wrong("must end in the name of a file"));
    };
    if let (true, Some(why)) = (cfg!(windows), why_refused(&name.to_string_lossy())) {
        return Err(wrong(&format!("the name `{}` {why}", name.display())));
    }
    Ok((folder, file))
}

/// Refuses what a shell replaces and a program does not: it would become the name of a folder, in
/// whichever folder the program was started.
fn check_expanded(path: &Path) -> Result<(), Error> {
    let Some(Component::Normal(first)) = path.components().next() else { return Ok(()) };
    let first = first.to_string_lossy();
    let is_variable =
        first.starts_with('$') || first.len() > 2 && first.starts_with('%') && first.ends_with('%');
    if first == "~" || is_variable {
        let what = format!(
            "begins with `{first}`, which a shell replaces and a program takes for the name of a \
             folder"
        );
        let advice = "join the path to std::env::home_dir() or to the value of the variable";
        return Err(wrong(&what).with_advice(advice));
    }
    Ok(())
}

fn wrong(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("path of the file storage: {why}"))
}
