//! What is noted of the shingle hashes of a document, whatever its signature: how many are distinct, and its verification hashes.

use crate::distinct::DistinctCounter;
use crate::room::{self, NoRoom, Roomy};
use crate::verify::{sort_distinct, SortScratch};

/// How the distinct shingles of a document are counted.
pub(crate) enum Counting {
    /// They are known to be distinct.
    Known(u64),
    /// All come at once.
    Once,
    /// All came at once: so many are distinct, and the verification hashes are in order.
    Counted(u64),
    /// They come in blocks.
    Blocks,
    /// There was no room for the verification hashes.
    Failed(NoRoom),
}

impl Counting {
    pub(crate) fn of(at_once: bool, counter: &mut DistinctCounter) -> Self {
        if at_once {
            return Counting::Once;
        }
        counter.clear();
        Counting::Blocks
    }
}

/// The verification hashes of a document that goes on: sorted and made distinct whenever they have doubled.
struct Verification<'a> {
    out: &'a mut Vec<u32>,
    start: usize,
    tidy: usize,
}

impl<'a> Verification<'a> {
    fn new(out: &'a mut Vec<u32>) -> Self {
        let start = out.len();
        Verification { out, start, tidy: 1 << 21 }
    }

    fn is_due(&self) -> bool {
        self.out.len() - self.start > self.tidy
    }

    /// Sort them and leave each once; how many they are.
    #[inline(always)]
    fn settle(&mut self, scratch: &mut SortScratch) -> usize {
        let distinct = sort_distinct(&mut self.out[self.start..], scratch);
        self.out.truncate(self.start + distinct);
        self.tidy = (2 * distinct).max(1 << 21);
        distinct
    }
}

/// What is noted of the shingle hashes of a document, whatever its signature: how many are distinct, and where `KEEP` its
/// verification hashes, appended to those of the documents before it.
pub(crate) struct Tally<'a, const KEEP: bool> {
    counter: &'a mut DistinctCounter,
    counting: Counting,
    verification: Verification<'a>,
    sort: &'a mut SortScratch,
}

impl<'a, const KEEP: bool> Tally<'a, KEEP> {
    #[inline(always)]
    pub(crate) fn new(counting: Counting, counter: &'a mut DistinctCounter, out: &'a mut Vec<u32>, sort: &'a mut SortScratch) -> Self {
        Tally { counter, counting, verification: Verification::new(out), sort }
    }

    /// Note some more hashes.
    #[inline(always)]
    pub(crate) fn note(&mut self, shingles: &[u64]) {
        if KEEP {
            let out = &mut *self.verification.out;
            match room::double(out, shingles.len()) {
                Ok(()) => out.extend(shingles.iter().map(|y| (y >> 32) as u32)),
                Err(no_room) => self.counting = Counting::Failed(no_room),
            }
        }
        if let Counting::Once = self.counting {
            // Hashes whose halves differ are distinct.
            let distinct = if KEEP { self.verification.settle(self.sort) } else { 0 };
            let count = if distinct == shingles.len() { Some(distinct as u64) } else { self.counter.count_once(shingles) };
            self.counting = match count {
                Some(count) => Counting::Counted(count),
                None => {
                    self.counter.clear();
                    Counting::Blocks
                }
            };
        } else if self.verification.is_due() {
            self.verification.settle(self.sort);
        }
        if let Counting::Blocks = self.counting {
            self.counter.insert_all(shingles);
        }
    }

    /// The count of distinct shingles.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> Roomy<u64> {
        if KEEP && !matches!(self.counting, Counting::Counted(_)) {
            self.verification.settle(self.sort);
        }
        match self.counting {
            Counting::Known(count) | Counting::Counted(count) => Ok(count),
            Counting::Once => Ok(0),
            Counting::Blocks => Ok(self.counter.count()),
            Counting::Failed(no_room) => Err(no_room),
        }
    }
}
