//! How a storage key is called in Redis.

use tokenkeeper::{Error, ErrorKind, StorageKey};

/// The names that belong to one storage key. They share a hash tag, `{…}`, so that a cluster keeps
/// them on one node; a storage key has no braces of its own, so no two keys share a name.
pub(crate) struct Names {
    /// The record, and the start of the others.
    pub(crate) record: String,
}

impl Names {
    pub(crate) fn new(prefix: &str, key: &StorageKey) -> Self {
        Self { record: format!("{prefix}{{{key}}}") }
    }

    pub(crate) fn lease(&self) -> String {
        format!("{}:lease", self.record)
    }

    pub(crate) fn channel(&self) -> String {
        format!("{}:changes", self.record)
    }
}

/// What the names of all records match, and hardly anything else.
pub(crate) fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 3);
    for c in prefix.chars() {
        if "*?[]^\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "{*}"
}

/// The storage key of a record of this name, if it is one.
pub(crate) fn key_of(prefix: &str, name: &[u8]) -> Option<StorageKey> {
    let name = std::str::from_utf8(name).ok()?;
    let key = name.strip_prefix(prefix)?.strip_prefix('{')?.strip_suffix('}')?;
    StorageKey::new(key).ok()
}

/// Refuses what would break the hash tag, or the line of an error message.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), Error> {
    let is_allowed = |c: char| c.is_ascii_graphic() && c != '{' && c != '}';
    if prefix.len() <= LONGEST_PREFIX && prefix.chars().all(is_allowed) {
        return Ok(());
    }
    let what =
        "key prefix for Redis: must be at most 200 ASCII characters without spaces and braces";
    Err(Error::new(ErrorKind::Config, what))
}

pub(crate) const USUAL_PREFIX: &str = "tokenkeeper:";
const LONGEST_PREFIX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_key_share_a_hash_tag_and_no_two_keys_a_name() {
        let names = |key| Names::new(USUAL_PREFIX, &StorageKey::new(key).unwrap());

        let plain = names("a");
        assert_eq!(plain.record, "tokenkeeper:{a}");
        assert_eq!(plain.lease(), "tokenkeeper:{a}:lease");
        assert_eq!(plain.channel(), "tokenkeeper:{a}:changes");
        assert_ne!(names("a:lease").record, plain.lease());
    }

    #[test]
    fn the_name_of_a_record_gives_its_key_back_and_no_other_name_does() {
        let key = StorageKey::new("svc:Alice@x").unwrap();
        let names = Names::new("app[1]*:", &key);

        assert_eq!(key_of("app[1]*:", names.record.as_bytes()), Some(key));
        assert_eq!(key_of("app[1]*:", names.lease().as_bytes()), None);
        assert_eq!(key_of("other:", names.record.as_bytes()), None);
        assert_eq!(key_of("", b"{a}\xff"), None);
        assert_eq!(pattern("app[1]*:"), "app\\[1\\]\\*:{*}");
    }

    #[test]
    fn a_prefix_that_would_break_the_hash_tag_is_refused() {
        for bad in ["a{", "}", "{app}:", "two words", "line\n", "ä", &"k".repeat(201)] {
            assert_eq!(check_prefix(bad).unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
        }
        for good in ["", USUAL_PREFIX, "app/production:"] {
            assert!(check_prefix(good).is_ok(), "{good:?}");
        }
    }
}
