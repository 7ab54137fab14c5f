//! An index in memory: a bucket table, and the ids of the documents that share its entries.

use crate::ids::Ids;
use crate::table::{Answer, Row, Table};

pub struct Store {
    pub table: Table,
    pub ids: Ids,
}

impl Store {
    pub fn new(table: Table) -> Self {
        Store { table, ids: Ids::default() }
    }

    /// Add documents. The place of the first whose id is there already, and nothing is added.
    pub fn add(&mut self, ids: &[impl AsRef<[u8]>], rows: &[Row], threads: usize) -> Result<(), usize> {
        let mark = self.ids.mark();
        self.ids.reserve(ids.len());
        for (i, id) in ids.iter().enumerate() {
            if self.ids.insert(id.as_ref()).is_none() {
                self.ids.undo(mark);
                return Err(i);
            }
        }
        for (i, entry) in self.table.insert(rows, threads).into_iter().enumerate() {
            if let Some(entry) = entry {
                self.ids.link((mark + i) as u32, entry);
            }
        }
        Ok(())
    }

    /// Add a document, or say what it matches and add nothing; None when its id is there already.
    pub fn add_unless_match(&mut self, id: &[u8], row: Row, threshold: f64) -> Option<Answer> {
        if self.ids.find(id).is_some() {
            return None;
        }
        match self.table.add_unless_match(row, threshold) {
            Err(answer) => Some(answer),
            Ok(entry) => {
                let document = self.ids.insert(id)?;
                if let Some(entry) = entry {
                    self.ids.link(document, entry);
                }
                Some(Answer::default())
            }
        }
    }

    /// Remove a document. Whether it was there.
    pub fn remove(&mut self, id: &[u8]) -> bool {
        let Some(document) = self.ids.find(id) else { return false };
        if let Some(entry) = self.ids.unlink(document) {
            self.table.remove(entry);
        }
        self.ids.remove(document);
        true
    }

    /// Give a document another content; in order of insertion it then comes last. Whether it was there.
    pub fn replace(&mut self, id: &[u8], row: Row) -> bool {
        let Some(document) = self.ids.find(id) else { return false };
        // The new entry first: were it the old one, that would be removed and made again.
        let new = self.table.insert(&[row], 1)[0];
        let old = self.ids.unlink(document);
        self.ids.remove(document);
        let document = self.ids.insert(id).expect("the id was removed");
        if let Some(entry) = new {
            self.ids.link(document, entry);
        }
        if let Some(entry) = old.filter(|_| old != new) {
            self.table.remove(entry);
        }
        true
    }
}
