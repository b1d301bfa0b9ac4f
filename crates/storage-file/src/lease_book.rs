//! Who holds a lease, and until when: a small file, changed only under the lock.
//!
//! ```text
//! tokenkeeper-leases 1
//! <key> <owner> <boot, or -> <end, ms since boot> <end, ms since 1970> <ttl, ms>
//! …
//! ```
//!
//! It is written like the records but not synced: a lease means nothing to a machine that has lost
//! its power since. For the same reason a file that makes no sense is an empty one. No process that
//! lives can have left it, because it is replaced as a whole.

use std::time::Duration;

use tokenkeeper::StorageKey;

use crate::host_time::{HostTime, millis};
use crate::identifier::Identifier;

/// The leases of one file.
#[derive(Debug, Default)]
pub(crate) struct LeaseBook {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    key: String,
    owner: Identifier,
    ends: HostTime,
    ttl: Duration,
}

impl LeaseBook {
    /// What the file says, or the format of a newer version that wrote it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, u64> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(Self::default()) };
        let mut lines = text.lines();
        let format = lines.next().and_then(|line| line.strip_prefix(MAGIC));
        match format.and_then(|format| format.split(' ').next()?.parse().ok()) {
            Some(FORMAT) => Ok(Self { lines: lines.filter_map(Line::parse).collect() }),
            Some(newer) if newer > FORMAT => Err(newer),
            _ => Ok(Self::default()),
        }
    }

    /// How long the lease of the key will still be held by somebody.
    pub(crate) fn held_for(&self, key: &StorageKey, now: &HostTime) -> Option<Duration> {
        let left = self.line(key).map(|line| now.until(&line.ends, line.ttl))?;
        (!left.is_zero()).then_some(left)
    }

    /// Whether the lease of the key is this owner's, and has not ended.
    pub(crate) fn is_held_by(&self, key: &StorageKey, owner: Identifier, now: &HostTime) -> bool {
        self.held_for(key, now).is_some() && self.line(key).is_some_and(|l| l.owner == owner)
    }

    /// Gives the lease to the owner, from now on. What others held and has ended is forgotten.
    pub(crate) fn grant(
        &mut self,
        key: &StorageKey,
        owner: Identifier,
        ttl: Duration,
        now: &HostTime,
    ) {
        let key = key.as_str().to_owned();
        self.lines.retain(|l| l.key != key && !now.until(&l.ends, l.ttl).is_zero());
        let ends = now.after(ttl.saturating_add(COARSE));
        self.lines.push(Line { key, owner, ends, ttl });
    }

    /// Ends the lease if it is this owner's; says whether it was.
    pub(crate) fn end(&mut self, key: &StorageKey, owner: Identifier) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| line.key != key.as_str() || line.owner != owner);
        self.lines.len() < before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{MAGIC}{FORMAT}\n");
        for Line { key, owner, ends, ttl } in &self.lines {
            let boot = ends.boot.as_deref().unwrap_or("-");
            let (since_boot, wall, ttl) = (ends.since_boot, ends.wall, millis(*ttl));
            text.push_str(&format!("{key} {owner} {boot} {since_boot} {wall} {ttl}\n"));
        }
        text.into_bytes()
    }

    fn line(&self, key: &StorageKey) -> Option<&Line> {
        self.lines.iter().find(|line| line.key == key.as_str())
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [key, owner, boot, since_boot, wall, ttl] = words.as_slice() else { return None };
        Some(Self {
            key: (*key).to_owned(),
            owner: Identifier::parse(owner)?,
            ends: HostTime {
                boot: (*boot != "-").then(|| (*boot).to_owned()),
                since_boot: since_boot.parse().ok()?,
                wall: wall.parse().ok()?,
            },
            ttl: Duration::from_millis(ttl.parse().ok()?),
        })
    }
}

const MAGIC: &str = "tokenkeeper-leases ";
const FORMAT: u64 = 1;
const COARSE: Duration = Duration::from_millis(10); // so far the clock of the holder may be behind

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn key(text: &str) -> StorageKey {
        StorageKey::new(text).unwrap()
    }

    fn owner(digit: &str) -> Identifier {
        Identifier::parse(&digit.repeat(32)).unwrap()
    }

    fn now() -> HostTime {
        HostTime { boot: Some("b-1".to_owned()), since_boot: 1_000, wall: 2_000 }
    }

    #[test]
    fn the_format_does_not_change_between_releases() {
        let mut book = LeaseBook::default();
        book.grant(&key("svc:alice"), owner("1"), TTL, &now());

        let expected = "tokenkeeper-leases 1\n\
            svc:alice 11111111111111111111111111111111 b-1 31010 32010 30000\n";

        assert_eq!(String::from_utf8(book.to_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_lease_is_read_as_it_was_written_and_ends_for_its_owner_alone() {
        let mut book = LeaseBook::default();
        book.grant(&key("a"), owner("1"), TTL, &now());
        book.grant(&key("b"), owner("2"), TTL, &now());

        let mut book = LeaseBook::parse(&book.to_bytes()).unwrap();

        assert!(book.is_held_by(&key("a"), owner("1"), &now()));
        assert!(!book.is_held_by(&key("a"), owner("2"), &now()));
        assert!(!book.end(&key("a"), owner("2")));
        assert!(book.end(&key("a"), owner("1")));
        assert_eq!(book.held_for(&key("a"), &now()), None);
        assert!(book.held_for(&key("b"), &now()).is_some());
    }

    #[test]
    fn leases_that_ended_are_forgotten_when_another_is_written() {
        let mut book = LeaseBook::default();
        book.grant(&key("a"), owner("1"), TTL, &now());

        book.grant(&key("b"), owner("2"), TTL, &now().after(2 * TTL));

        assert_eq!(book.lines.len(), 1);
    }

    #[test]
    fn a_newer_format_is_no_free_lease() {
        assert_eq!(LeaseBook::parse(b"tokenkeeper-leases 2 whatever\n").unwrap_err(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>, text in "[a-z0-9 -]{0,80}\n[a-z0-9 -]{0,80}") {
            let _ = LeaseBook::parse(&bytes);
            let _ = LeaseBook::parse(format!("tokenkeeper-leases 1\n{text}").as_bytes());
        }
    }
}
