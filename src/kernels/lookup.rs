//! What a look-up takes, what it compares, and what it finds.

use crate::bar::Bar;
use crate::room;
use crate::verify::{Beginnings, TOGETHER};
use std::cell::OnceCell;

/// A document to look up or add: borrowed rows of a batch.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// What the bands keep of its band keys, one each.
    pub fingerprints: &'a [u32],
    pub set_hash: u64,
    /// Its distinct shingles.
    pub size: u32,
    /// Its verification hashes, or its lean signature.
    pub evidence: &'a [u32],
}

/// Candidates from which on those are dismissed first that have too few of a document's beginnings.
pub const MANY: usize = 32;

/// A document that is compared with its candidates.
pub struct Sought<'a> {
    size: u32,
    evidence: &'a [u32],
    bar: Bar,
    many: bool,
    beginnings: OnceCell<Option<Beginnings>>,
}

impl<'a> Sought<'a> {
    pub fn new(row: Row<'a>, bar: Bar, candidates: usize) -> Self {
        let many = bar.is_high() && candidates >= MANY;
        Sought { size: row.size, evidence: row.evidence, bar, many, beginnings: OnceCell::new() }
    }

    /// What one of the candidates is found by, when they match; its evidence is read where that may be.
    #[inline]
    pub fn found<'e, Entry>(&self, entry: Entry, size: u32, evidence: impl FnOnce() -> &'e [u32]) -> Option<Found<Entry>> {
        let least = self.bar.least(self.size, size)?;
        let evidence = evidence();
        if self.many {
            let beginnings = self.beginnings.get_or_init(|| Beginnings::of(self.evidence));
            if beginnings.as_ref().is_some_and(|some| !some.may_share(evidence, least)) {
                return None;
            }
        }
        let agreement = self.bar.agreement((self.size, self.evidence), (size, evidence))?;
        Some(Found { entry, agreement, size })
    }
}

/// Members of crowds that a look-up has met: look-alikes share most of their bands.
#[derive(Default)]
pub struct Seen(Vec<u64>);

impl Seen {
    /// Entries for which it takes as long to begin as to sort what crowds have.
    const MOST: usize = 1 << 21;

    /// Where there are more, or is no room for them, none is ever seen: they are sorted later all the same.
    pub fn begin(&mut self, entries: usize) {
        if self.0.is_empty() && entries <= Self::MOST {
            self.0 = room::filled(0, entries.div_ceil(64)).unwrap_or_default();
        }
    }

    /// Whether it was seen before; from now on it is.
    pub fn has(&mut self, entry: u32) -> bool {
        let (Some(some), bit) = (self.0.get_mut(entry as usize / 64), 1 << (entry % 64)) else { return false };
        let seen = *some & bit != 0;
        *some |= bit;
        seen
    }
}

/// Documents of many candidates that wait for others, to be compared together.
#[derive(Default)]
pub struct Waiting<'a> {
    pub places: Vec<usize>,
    pub rows: Vec<Row<'a>>,
    pub candidates: Vec<Vec<u32>>,
}

impl<'a> Waiting<'a> {
    /// Candidates of all that wait, with which they wait no longer.
    const MOST: usize = 1 << 18;

    pub fn push(&mut self, place: usize, row: Row<'a>, candidates: Vec<u32>) {
        self.places.push(place);
        self.rows.push(row);
        self.candidates.push(candidates);
    }

    /// Whether they are compared now.
    pub fn are_enough(&self) -> bool {
        self.rows.len() == TOGETHER || self.candidates.iter().map(Vec::len).sum::<usize>() > Self::MOST
    }
}

/// One verified candidate of a look-up.
#[derive(Clone, Copy)]
pub struct Found<Entry = u32> {
    pub entry: Entry,
    /// The verification hashes that both have, or the slots in which their lean signatures agree.
    pub agreement: u32,
    pub size: u32,
}

/// What one look-up found; `truncated` when it met a bucket longer than the limit.
#[derive(Default)]
pub struct Answer<Entry = u32> {
    pub found: Vec<Found<Entry>>,
    pub truncated: bool,
}

/// The most similar of what a document of `size` shingles matches, of equals the first.
pub fn nearest<Entry>(size: u32, found: impl IntoIterator<Item = Found<Entry>>) -> Option<Found<Entry>> {
    let score = |one: &Found<Entry>| one.agreement as f64 / (size as u64 + one.size as u64 - one.agreement as u64) as f64;
    found.into_iter().reduce(|best, one| if score(&one) > score(&best) { one } else { best })
}
