//! Names that Windows gives a meaning of its own, and errors of files that are in use there.
//!
//! What decides here is plain text and numbers, so that it is tested wherever the tests run.

use std::io;

/// Why a file cannot have this name there, as the end of a sentence.
pub(crate) fn why_refused(name: &str) -> Option<&'static str> {
    if is_device(name) {
        return Some("is that of a device on Windows, whatever follows its first dot");
    }
    if name.contains(':') {
        return Some("has a colon, which on Windows leads to a stream within another file");
    }
    if name.contains(['<', '>', '"', '|', '?', '*']) || name.chars().any(|c| c < ' ') {
        return Some("has a character that Windows allows in no name");
    }
    if name.ends_with(['.', ' ']) {
        return Some("ends in a dot or a space, which Windows cuts off");
    }
    None
}

/// Whether the name is that of a device: `nul`, `nul.txt`, `NUL .x`.
pub(crate) fn is_device(name: &str) -> bool {
    let stem =
        name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_lowercase();
    if ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(&stem.as_str()) {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let mut digits = number.unwrap_or_default().chars();
    matches!(
        (digits.next(), digits.next()),
        (Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None)
    )
}

/// Whether an operation failed because another program has the file open, which passes: a reader of
/// ours, a virus scanner, an indexer. Elsewhere files can be replaced and removed all the same.
pub(crate) fn is_in_use(error: &io::Error) -> bool {
    cfg!(windows) && error.raw_os_error().is_some_and(means_in_use)
}

/// The codes of Windows: access denied (also of a file that is about to be removed), sharing
/// violation, lock violation, a file that is mapped.
fn means_in_use(code: i32) -> bool {
    matches!(code, 5 | 32 | 33 | 1224)
}

/// Makes an attempt, and more while it fails for a reason that passes, with pauses that grow. After
/// the last of them the error counts.
pub(crate) fn while_in_use<T>(
    mut attempt: impl FnMut() -> io::Result<T>,
    passes: impl Fn(&io::Error) -> bool,
    mut pause: impl FnMut(std::time::Duration),
) -> io::Result<T> {
    for millis in PAUSES {
        match attempt() {
            Err(error) if passes(&error) => pause(std::time::Duration::from_millis(millis)),
            done => return done,
        }
    }
    attempt()
}

// Together 1.3 s: a reader takes less than one of them, a virus scanner a few, and who waits for the
// lock meanwhile has 4 s.
const PAUSES: [u64; 8] = [5, 10, 20, 40, 80, 160, 320, 640];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_whatever_follows_their_names() {
        for name in ["nul", "NUL.x", "con.x", "aux.example", "com1.x", "LPT9", "nul .x", "conin$"] {
            assert!(is_device(name), "{name}");
            assert!(why_refused(name).is_some_and(|why| why.contains("device")), "{name}");
        }
        for name in ["null", "com", "com10", "comx", "x.nul", "con-1", "lpt", "console.x"] {
            assert!(!is_device(name), "{name}");
            assert_eq!(why_refused(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_is_refused_for_the_reason_that_is_true() {
        for (name, reason) in
            [("a:b", "colon"), ("a?", "no name"), ("a.", "cuts off"), ("a ", "cuts off")]
        {
            assert!(why_refused(name).is_some_and(|why| why.contains(reason)), "{name}");
        }
    }

    #[test]
    fn an_error_that_passes_is_waited_for_and_another_is_not() {
        let failing = |kinds: &mut Vec<io::ErrorKind>| match kinds.pop() {
            Some(kind) => Err(io::Error::from(kind)),
            None => Ok("done"),
        };
        let passes = |error: &io::Error| error.kind() == io::ErrorKind::ResourceBusy;
        let (busy, denied) = (io::ErrorKind::ResourceBusy, io::ErrorKind::PermissionDenied);
        let run = |mut kinds: Vec<io::ErrorKind>| {
            let mut pauses = 0;
            let done = while_in_use(|| failing(&mut kinds), passes, |_| pauses += 1);
            (done.map_err(|error| error.kind()), pauses)
        };

        assert_eq!(run(vec![]), (Ok("done"), 0));
        assert_eq!(run(vec![busy; 3]), (Ok("done"), 3));
        assert_eq!(run(vec![denied, busy]), (Err(denied), 1));
        assert_eq!(run(vec![busy; 100]), (Err(busy), PAUSES.len()));
    }

    #[test]
    fn codes_of_windows_mean_nothing_elsewhere() {
        for code in [5, 32, 33, 1224] {
            assert!(means_in_use(code));
            assert_eq!(is_in_use(&io::Error::from_raw_os_error(code)), cfg!(windows));
        }
        assert!(!means_in_use(2), "a missing file is missing");
    }
}
