//! An index in memory: a bucket table, and the ids of the documents that share its entries.

use crate::ids::Ids;
use crate::lookup::{Answer, Row};
use crate::room::{NoRoom, Roomy};
use crate::table::Table;

/// Candidates whose documents are asked for before it is known whether they match.
const AHEAD: usize = 16;

pub struct Store {
    pub table: Table,
    pub ids: Ids,
}

/// Why documents are not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The id at this place is there already.
    Known(usize),
    NoRoom(NoRoom),
}

impl From<NoRoom> for Refused {
    fn from(no_room: NoRoom) -> Self {
        Refused::NoRoom(no_room)
    }
}

impl Store {
    pub fn new(table: Table) -> Self {
        Store { table, ids: Ids::default() }
    }

    /// Make room for so many more ids, which have so many bytes.
    fn reserve(&mut self, more: usize, bytes: usize) -> Roomy<()> {
        self.ids.reserve(more, bytes, self.table.len() + more)
    }

    /// Add all of these documents, or nothing.
    pub fn add(&mut self, ids: &[impl AsRef<[u8]>], rows: &[Row], threads: usize) -> Result<(), Refused> {
        let mark = self.ids.mark();
        self.reserve(ids.len(), ids.iter().map(|id| id.as_ref().len()).sum())?;
        for (i, id) in ids.iter().enumerate() {
            if self.ids.insert(id.as_ref()).is_none() {
                self.ids.undo(mark);
                return Err(Refused::Known(i));
            }
        }
        let entries = self.table.insert(rows, threads).inspect_err(|_| self.ids.undo(mark))?;
        for (i, entry) in entries.into_iter().enumerate() {
            if let Some(entry) = entry {
                self.ids.link((mark + i) as u32, entry);
            }
        }
        Ok(())
    }

    /// What a document matches.
    pub fn look_up(&self, row: Row, threshold: f64) -> Roomy<Answer> {
        self.table.query_for(row, threshold, |candidates| candidates.iter().take(AHEAD).for_each(|&entry| self.ids.prefetch(entry)))
    }

    /// Add a document, or say what it matches and add nothing; None when its id is there already.
    pub fn add_unless_match(&mut self, id: &[u8], row: Row, threshold: f64) -> Roomy<Option<Answer>> {
        if self.ids.find(id).is_some() {
            return Ok(None);
        }
        self.reserve(1, id.len())?;
        Ok(match self.table.add_unless_match(row, threshold)? {
            Err(answer) => Some(answer),
            Ok(entry) => {
                let document = self.ids.insert(id).expect("the id was not there");
                if let Some(entry) = entry {
                    self.ids.link(document, entry);
                }
                Some(Answer::default())
            }
        })
    }

    /// Remove a document. Whether it was there.
    pub fn remove(&mut self, id: &[u8]) -> bool {
        let Some(document) = self.ids.find(id) else { return false };
        if let Some(entry) = self.ids.unlink(document) {
            self.table.remove(entry);
        }
        self.ids.remove(document);
        self.ids.tidy();
        true
    }

    /// Give a document another content; in order of insertion it then comes last. Whether it was there.
    pub fn replace(&mut self, id: &[u8], row: Row) -> Roomy<bool> {
        let Some(document) = self.ids.find(id) else { return Ok(false) };
        self.reserve(1, id.len())?;
        // The new entry first: were it the old one, that would be removed and made again.
        let new = self.table.insert(&[row], 1)?[0];
        let old = self.ids.unlink(document);
        self.ids.remove(document);
        let document = self.ids.insert(id).expect("the id was removed");
        if let Some(entry) = new {
            self.ids.link(document, entry);
        }
        if let Some(entry) = old.filter(|_| old != new) {
            self.table.remove(entry);
        }
        self.ids.tidy();
        Ok(true)
    }
}
