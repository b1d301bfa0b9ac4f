//! Records in entries: one each, or a head and parts where the keyring's entries are too short.
//!
//! A record is what its head says, so writing the head is the one step that decides: before it the
//! old record is there, after it the new one. Parts are written under names of their own before,
//! and those of the old record removed after. A reader that finds parts missing looks at the head
//! again: another process may have replaced the record meanwhile.

use tokenkeeper::{Clock, StorageKey, SystemClock, TokenRecord};
use zeroize::Zeroizing;

use crate::entries::{Entries, Name};
use crate::failure::Failure;
use crate::head::{Head, Parts, Split, Written, decode};
use crate::inventory::{Inventory, LONGEST_WRITE};

/// The record under one key.
#[derive(Debug)]
pub(crate) struct Shelf<'a> {
    pub(crate) entries: &'a Entries,
    pub(crate) key: &'a StorageKey,
    /// The most that an entry may hold, in bytes.
    pub(crate) longest_entry: usize,
}

impl Shelf<'_> {
    /// The record. One whose parts are gone, and what is no record, become one that cannot be read.
    pub(crate) fn read(&self) -> Result<Option<TokenRecord>, Failure> {
        let mut before: Option<Split> = None;
        for _ in 0..MOST_LOOKS {
            let Some(text) = self.entries.get(&self.head())? else { return Ok(None) };
            let split = match Head::parse(&text) {
                Head::Whole(bytes) => return Ok(Some(TokenRecord::from_bytes(&bytes))),
                Head::Newer => return Ok(Some(TokenRecord::from_bytes(NEWER))),
                Head::Foreign => return Ok(Some(TokenRecord::from_bytes(&text))),
                Head::Split(split) => split,
            };
            if let Some(bytes) = self.join(&split)? {
                return Ok(Some(TokenRecord::from_bytes(&bytes)));
            }
            if before.as_ref() == Some(&split) {
                return Ok(Some(TokenRecord::from_bytes(&text))); // they are gone for good
            }
            before = Some(split);
        }
        let key = self.key;
        Err(Failure::new(format!("the record {key} in the keyring is replaced all the time")))
    }

    /// Whether there is a record, readable or not.
    pub(crate) fn exists(&self) -> Result<bool, Failure> {
        Ok(self.entries.get(&self.head())?.is_some())
    }

    /// Puts the record in the place of what is there.
    pub(crate) fn write(&self, record: &TokenRecord) -> Result<(), Failure> {
        let Some(new) = Written::new(&record.to_bytes(), self.longest_entry) else {
            let key = self.key;
            return Err(Failure::new(format!(
                "the record {key} is too long for a keyring: more than {} entries of {} bytes",
                u16::MAX,
                self.longest_entry
            )));
        };
        let before = self.parts_there()?;
        let mut inventory = self.inventory()?;
        let begun = SystemClock.now();
        if inventory.add(before.into_iter().chain(new.parts()), begun) {
            self.put_inventory(&inventory)?;
        }

        if let Err(failure) = self.put_parts(&new) {
            let _ = new.parts().map(|parts| self.remove_parts(parts)); // else they stay on the list
            return Err(failure);
        }
        if SystemClock.now().since(&begun) > LONGEST_WRITE {
            return Err(Failure::new("the keyring took minutes for a write".to_owned()));
        }
        // After a failure it may be there all the same, so the parts stay where they are.
        self.entries.put(&self.head(), &new.head)?;

        // The record is written. What cannot be tidied up now stays on the list.
        let garbage = inventory.take_garbage(before, new.parts(), begun);
        if !garbage.is_empty() {
            let _ = self.discard(garbage, &inventory);
        }
        Ok(())
    }

    /// Removes the record, and all parts that there may be.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        let before = self.parts_there()?;
        let mut inventory = self.inventory()?;
        if inventory.add(before, SystemClock.now()) {
            self.put_inventory(&inventory)?;
        }
        self.entries.remove(&self.head())?;
        let garbage = inventory.take_all();
        if garbage.is_empty() { Ok(()) } else { self.discard(garbage, &inventory) }
    }

    fn discard(&self, garbage: Vec<Parts>, left: &Inventory) -> Result<(), Failure> {
        for parts in garbage {
            self.remove_parts(parts)?;
        }
        self.put_inventory(left)
    }

    /// The bytes that were split, unless a part is missing or another than it was.
    fn join(&self, split: &Split) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let mut pieces = Vec::new();
        for part in 0..split.parts.count {
            let name = Name::of_part(self.key, split.parts.write, part);
            let Some(piece) = self.entries.get(&name)? else { return Ok(None) };
            pieces.push(piece);
        }
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_slice()).collect();
        let text = Zeroizing::new(pieces.concat());
        let bytes = str::from_utf8(&text).ok().and_then(decode);
        Ok(bytes.filter(|bytes| split.is_of(bytes)))
    }

    fn put_parts(&self, new: &Written) -> Result<(), Failure> {
        let Some((parts, texts)) = &new.split else { return Ok(()) };
        for (part, text) in (0..parts.count).zip(texts) {
            self.entries.put(&Name::of_part(self.key, parts.write, part), text)?;
        }
        Ok(())
    }

    fn remove_parts(&self, parts: Parts) -> Result<(), Failure> {
        (0..parts.count)
            .try_for_each(|part| self.entries.remove(&Name::of_part(self.key, parts.write, part)))
    }

    /// The parts that the head names now.
    fn parts_there(&self) -> Result<Option<Parts>, Failure> {
        let text = self.entries.get(&self.head())?;
        Ok(text.and_then(|text| Head::parse(&text).parts()))
    }

    fn inventory(&self) -> Result<Inventory, Failure> {
        let text = self.entries.get(&Name::of_inventory(self.key))?;
        Ok(text.map(|text| Inventory::parse(&text)).unwrap_or_default())
    }

    fn put_inventory(&self, inventory: &Inventory) -> Result<(), Failure> {
        let name = Name::of_inventory(self.key);
        if inventory.is_empty() {
            return self.entries.remove(&name);
        }
        self.entries.put(&name, &inventory.to_text(self.longest_entry))
    }

    fn head(&self) -> Name {
        Name::of_head(self.key)
    }
}

const MOST_LOOKS: usize = 8; // each one means that somebody else wrote the record meanwhile

/// Bytes that are a record of a newer version to any version, so that nobody writes over it.
const NEWER: &[u8] = b"{\"tokenkeeper\":4294967295}\n";
