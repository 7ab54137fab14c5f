//! The ids of documents, kept compactly: in order of insertion, found by hash, and linked to those of the same entry.

use crate::path::prefetch;
use crate::room::{self, NoRoom, Roomy};
use crate::table::PATIENCE;
use hashbrown::hash_table::Entry;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// No document, or no entry: the document has no shingles.
const NONE: u32 = u32::MAX;
/// In place of the entry of a document that was removed.
const REMOVED: u32 = NONE - 1;

/// Documents have numbers in order of insertion. Those of one entry are a ring, each linked with the next and the previous.
pub struct Ids {
    bytes: Vec<u8>,
    /// Where the id of each document ends in the bytes.
    ends: Vec<u64>,
    entries: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Of each entry, its last document.
    last: Vec<u32>,
    by_id: HashTable<u32>,
    /// Drawn at random: nobody can choose ids that collide.
    seed: u64,
    /// As many removed documents as are left before their ids are dropped.
    patience: usize,
}

impl Default for Ids {
    fn default() -> Self {
        Ids {
            bytes: Vec::new(),
            ends: Vec::new(),
            entries: Vec::new(),
            next: Vec::new(),
            previous: Vec::new(),
            last: Vec::new(),
            by_id: HashTable::new(),
            seed: RandomState::new().hash_one(0),
            patience: PATIENCE,
        }
    }
}

fn id_of<'a>(bytes: &'a [u8], ends: &[u64], document: u32) -> &'a [u8] {
    let start = if document == 0 { 0 } else { ends[document as usize - 1] };
    &bytes[start as usize..ends[document as usize] as usize]
}

impl Ids {
    /// Documents that were not removed.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The id of a document.
    pub fn id(&self, document: u32) -> &[u8] {
        id_of(&self.bytes, &self.ends, document)
    }

    /// The document of an id.
    pub fn find(&self, id: &[u8]) -> Option<u32> {
        self.by_id.find(xxh3_64_with_seed(id, self.seed), |&document| self.id(document) == id).copied()
    }

    /// The entry of a document.
    pub fn entry(&self, document: u32) -> Option<u32> {
        Some(self.entries[document as usize]).filter(|&entry| entry < REMOVED)
    }

    /// Whether a document was not removed.
    pub fn is_there(&self, document: u32) -> bool {
        self.entries[document as usize] != REMOVED
    }

    /// All documents, in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.ends.len() as u32).filter(|&document| self.is_there(document))
    }

    /// Ask for the last document of an entry, which is wanted soon.
    pub fn prefetch(&self, entry: u32) {
        self.last.get(entry as usize).into_iter().for_each(prefetch);
    }

    /// The documents of an entry, in order of insertion, but that one whose entry changed comes last.
    pub fn members(&self, entry: u32) -> impl Iterator<Item = u32> + '_ {
        let last = self.last.get(entry as usize).copied().unwrap_or(NONE);
        // Mostly it is the only one.
        self.ends.get(last as usize).into_iter().for_each(prefetch);
        let first = if last == NONE { NONE } else { self.next[last as usize] };
        std::iter::successors(Some(first).filter(|_| last != NONE), move |&document| {
            Some(self.next[document as usize]).filter(|_| document != last)
        })
    }

    /// A new document, which has no entry yet, and for which there is room. None when its id is there already.
    pub fn insert(&mut self, id: &[u8]) -> Option<u32> {
        let document = self.ends.len() as u32;
        assert!(document < REMOVED, "at most 2^32 - 2 documents");
        let Ids { by_id, bytes, ends, seed, .. } = self;
        let hash_of = |&d: &u32| xxh3_64_with_seed(id_of(bytes, ends, d), *seed);
        match by_id.entry(xxh3_64_with_seed(id, *seed), |&d| id_of(bytes, ends, d) == id, hash_of) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => place.insert(document),
        };
        self.bytes.extend_from_slice(id);
        self.ends.push(self.bytes.len() as u64);
        self.entries.push(NONE);
        self.next.push(NONE);
        self.previous.push(NONE);
        Some(document)
    }

    /// Make room for so many more, whose ids have so many bytes, where there will be so many entries at most.
    pub fn reserve(&mut self, more: usize, bytes: usize, entries: usize) -> Roomy<()> {
        room::grow(&mut self.bytes, bytes)?;
        room::grow(&mut self.ends, more)?;
        for column in [&mut self.entries, &mut self.next, &mut self.previous] {
            room::grow(column, more)?;
        }
        let Ids { by_id, bytes, ends, seed, last, .. } = self;
        room::grow(last, entries.saturating_sub(last.len()))?;
        by_id.try_reserve(more, |&d| xxh3_64_with_seed(id_of(bytes, ends, d), *seed)).map_err(|_| NoRoom(more * size_of::<u32>()))
    }

    /// How many documents ever were; what `undo` takes back to.
    pub fn mark(&self) -> usize {
        self.ends.len()
    }

    /// Take back the documents inserted since `mark`, none of which has an entry.
    pub fn undo(&mut self, mark: usize) {
        for document in mark as u32..self.ends.len() as u32 {
            let hash = xxh3_64_with_seed(self.id(document), self.seed);
            if let Ok(found) = self.by_id.find_entry(hash, |&d| d == document) {
                found.remove();
            }
        }
        self.bytes.truncate(if mark == 0 { 0 } else { self.ends[mark - 1] as usize });
        self.ends.truncate(mark);
        for column in [&mut self.entries, &mut self.next, &mut self.previous] {
            column.truncate(mark);
        }
    }

    /// Let a document that has no entry have one.
    pub fn link(&mut self, document: u32, entry: u32) {
        while self.last.len() <= entry as usize {
            self.last.push(NONE);
        }
        let last = std::mem::replace(&mut self.last[entry as usize], document);
        let (before, after) = if last == NONE { (document, document) } else { (last, self.next[last as usize]) };
        (self.previous[document as usize], self.next[document as usize]) = (before, after);
        (self.next[before as usize], self.previous[after as usize]) = (document, document);
        self.entries[document as usize] = entry;
    }

    /// Take a document's entry from it. The entry, when no other document has it.
    pub fn unlink(&mut self, document: u32) -> Option<u32> {
        let entry = self.entry(document)?;
        let (before, after) = (self.previous[document as usize], self.next[document as usize]);
        (self.next[before as usize], self.previous[after as usize]) = (after, before);
        self.entries[document as usize] = NONE;
        if before == document {
            self.last[entry as usize] = NONE;
            return Some(entry);
        }
        if self.last[entry as usize] == document {
            self.last[entry as usize] = before;
        }
        None
    }

    /// Remove a document that has no entry.
    pub fn remove(&mut self, document: u32) {
        let hash = xxh3_64_with_seed(self.id(document), self.seed);
        if let Ok(found) = self.by_id.find_entry(hash, |&d| d == document) {
            found.remove();
        }
        self.entries[document as usize] = REMOVED;
    }

    /// Drop the ids of removed documents where they are many. Documents have other numbers then.
    pub fn tidy(&mut self) {
        let removed = self.ends.len() - self.by_id.len();
        if removed > self.patience && 8 * removed > self.by_id.len() && self.compact().is_err() {
            self.patience = 2 * removed; // where there is no room for it, another time
        }
    }

    /// Drop the ids of removed documents.
    fn compact(&mut self) -> Roomy<()> {
        let mut kept = Ids { seed: self.seed, ..Ids::default() };
        kept.reserve(self.len(), self.iter().map(|document| self.id(document).len()).sum(), self.last.len())?;
        let mut numbers = room::filled(NONE, self.ends.len())?;
        for document in self.iter() {
            kept.insert(self.id(document));
        }
        for (number, document) in self.iter().enumerate() {
            numbers[document as usize] = number as u32;
        }
        for entry in 0..self.last.len() as u32 {
            for document in self.members(entry) {
                kept.link(numbers[document as usize], entry);
            }
        }
        *self = kept;
        Ok(())
    }

    /// Bytes of memory.
    pub fn nbytes(&self) -> usize {
        let columns = self.entries.capacity() + self.next.capacity() + self.previous.capacity() + self.last.capacity();
        self.bytes.capacity() + 8 * self.ends.capacity() + 4 * columns + self.by_id.allocation_size()
    }
}
