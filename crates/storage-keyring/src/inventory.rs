//! Which parts of a record there may be, so that none is left behind.
//!
//! A write that dies halfway leaves parts that no head names, and in them a token that nobody could
//! find to remove. So every write that makes parts puts them on a list first, and whoever writes
//! later removes what the list has and the head does not name. Parts that are younger than
//! [`STALE`] may be those of another process that is about to write its head: they stay.

use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::Now;

use crate::head::Parts;

/// The parts of one key that there may be, with the time at which they were begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory(Vec<(Parts, u64)>);

impl Inventory {
    /// From the entry. What cannot be read names nothing.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let text = str::from_utf8(text).unwrap_or_default();
        let items = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let write = words.next()?.parse().ok()?;
            let count = words.next()?.parse().ok()?;
            let begun = words.next()?.parse().ok()?;
            Some((Parts { write, count }, begun))
        });
        Self(items.collect())
    }

    /// For the entry; the oldest are left out if there are more than fit.
    pub(crate) fn to_text(&self, limit: usize) -> String {
        let lines = self.0.iter().map(|(Parts { write, count }, begun)| {
            format!("{write} {count} {begun}\n") // at most 16 + 5 + 20 and three more
        });
        let most = (limit / LONGEST_LINE).max(1);
        lines.skip(self.0.len().saturating_sub(most)).collect()
    }

    /// Adds what is not on it, and says whether there was any.
    pub(crate) fn add(&mut self, parts: impl IntoIterator<Item = Parts>, now: Now) -> bool {
        let before = self.0.len();
        for parts in parts {
            if self.0.iter().all(|(there, _)| there.write != parts.write) {
                self.0.push((parts, millis(now)));
            }
        }
        self.0.len() > before
    }

    /// Takes off what can be removed, once `current` is what the head names: the parts that it
    /// named `before`, and all that are stale.
    pub(crate) fn take_garbage(
        &mut self,
        before: Option<Parts>,
        current: Option<Parts>,
        now: Now,
    ) -> Vec<Parts> {
        let is_garbage = |(parts, begun): &(Parts, u64)| {
            Some(*parts) != current
                && (Some(*parts) == before || millis(now).abs_diff(*begun) > STALE_MILLIS)
        };
        let (garbage, kept) = self.0.drain(..).partition(is_garbage);
        self.0 = kept;
        let garbage: Vec<(Parts, u64)> = garbage;
        garbage.into_iter().map(|(parts, _)| parts).collect()
    }

    /// Takes off everything.
    pub(crate) fn take_all(&mut self) -> Vec<Parts> {
        self.0.drain(..).map(|(parts, _)| parts).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn millis(now: Now) -> u64 {
    let since = now.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A write that began so long ago has died, or gives up: see [`LONGEST_WRITE`].
const STALE: Duration = Duration::from_secs(600);
const STALE_MILLIS: u64 = STALE.as_millis() as u64;

/// A write that took longer does not name its parts any more: others may take them for stale.
pub(crate) const LONGEST_WRITE: Duration = Duration::from_secs(300); // a prompt may be waited for

const LONGEST_LINE: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::WriteId;

    fn parts(number: u64) -> Parts {
        Parts { write: WriteId::from_number(number), count: 3 }
    }

    fn at(seconds: u64) -> Now {
        Now::new(UNIX_EPOCH + Duration::from_secs(seconds), Duration::ZERO)
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_nonsense_is_passed_over() {
        let mut list = Inventory::default();
        list.add([parts(1)], at(10));
        list.add([parts(2)], at(20));

        let text = list.to_text(512) + "nonsense\n1 2\n";

        assert_eq!(Inventory::parse(text.as_bytes()), list);
        assert!(Inventory::parse(b"\xff").is_empty());
    }

    #[test]
    fn the_oldest_are_left_out_of_a_list_that_is_too_long() {
        let mut list = Inventory::default();
        list.add((0..100).map(parts), at(99));

        let text = list.to_text(512);

        assert!(text.len() <= 512);
        assert!(text.ends_with("0000000000000063 3 99000\n"), "{text}");
    }

    #[test]
    fn what_was_replaced_is_garbage_at_once_and_the_rest_when_it_is_stale() {
        let mut list = Inventory::default();
        let (old, dead, young, mine) = (parts(1), parts(2), parts(3), parts(4));
        list.add([old], at(5_000));
        list.add([dead], at(1_000));
        list.add([young], at(4_900));
        list.add([mine], at(0));

        let garbage = list.take_garbage(Some(old), Some(mine), at(5_000));

        assert_eq!(garbage, [old, dead]);
        assert_eq!(list.take_all(), [young, mine]);
    }

    #[test]
    fn a_time_in_the_far_future_is_stale_too() {
        let mut list = Inventory::default();
        list.add([parts(1)], at(9_000));

        assert_eq!(list.take_garbage(None, None, at(1_000)), [parts(1)]);
    }
}
