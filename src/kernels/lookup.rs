//! What a look-up takes, what it compares, and what it finds.

use crate::bar::Bar;
use crate::radix::sort_by_two;
use crate::room::{self, NoRoom};
use crate::verify::{Beginnings, ManyBeginnings, TOGETHER};
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
const MANY: usize = 32;

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

    /// What one of the candidates is found by, when they match.
    #[inline]
    pub fn found<V: Evidence>(&self, kept: &V, entry: V::Entry) -> Result<Option<Found<V::Entry>>, V::Error> {
        let (size, evidence) = kept.read(entry)?;
        let Some(least) = self.bar.least(self.size, size) else { return Ok(None) };
        if self.many {
            let beginnings = self.beginnings.get_or_init(|| Beginnings::of(self.evidence));
            if beginnings.as_ref().is_some_and(|some| !some.may_share(evidence, least)) {
                return Ok(None);
            }
        }
        let agreement = self.bar.agreement((self.size, self.evidence), (size, evidence));
        Ok(agreement.map(|agreement| Found { entry, agreement, size }))
    }
}

/// What keeps the evidence of entries.
pub trait Evidence {
    type Entry: Copy + Default;
    type Error: From<NoRoom>;

    /// The distinct shingles of an entry, and its verification hashes or its lean signature.
    fn read(&self, entry: Self::Entry) -> Result<(u32, &[u32]), Self::Error>;

    /// Ask for what will soon be wanted of the candidates behind a place.
    fn ahead(&self, candidates: &[Self::Entry], place: usize);

    /// What entries are in order of, in two halves, the high one first.
    fn number(entry: Self::Entry) -> (u32, u32);
}

/// What is found of candidates.
#[inline]
pub fn found<V: Evidence>(
    kept: &V,
    candidates: &[V::Entry],
    verify: impl Fn(V::Entry) -> Result<Option<Found<V::Entry>>, V::Error>,
) -> Result<Vec<Found<V::Entry>>, V::Error> {
    let mut found = Vec::new();
    for (place, &candidate) in candidates.iter().enumerate() {
        kept.ahead(candidates, place);
        if let Some(one) = verify(candidate)? {
            room::double(&mut found, 1)?;
            found.push(one);
        }
    }
    Ok(found)
}

/// What documents match, of which `meet` tells the candidates, in order, and whether there may be more. Those of many candidates
/// wait for each other.
pub fn answers<V: Evidence>(
    kept: &V,
    rows: &[Row],
    bar: Bar,
    mut meet: impl FnMut(usize, &mut Vec<V::Entry>) -> Result<bool, V::Error>,
) -> Result<Vec<Answer<V::Entry>>, V::Error> {
    let (mut answers, mut own, mut waiting) = (Vec::new(), Vec::new(), Waiting::default());
    room::reserve(&mut answers, rows.len())?;
    for (place, &row) in rows.iter().enumerate() {
        let truncated = meet(place, &mut own)?;
        let mut of_one = Vec::new();
        if bar.is_high() && own.len() >= MANY {
            waiting.push(place, row, std::mem::take(&mut own));
        } else {
            let sought = Sought::new(row, bar, own.len());
            of_one = found(kept, &own, |candidate| sought.found(kept, candidate))?;
        }
        answers.push(Answer { found: of_one, truncated });
        if waiting.are_enough() || place + 1 == rows.len() {
            waiting.compare(kept, bar, &mut answers)?;
        }
    }
    Ok(answers)
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
struct Waiting<'a, Entry> {
    places: Vec<usize>,
    rows: Vec<Row<'a>>,
    candidates: Vec<Vec<Entry>>,
}

impl<Entry> Default for Waiting<'_, Entry> {
    fn default() -> Self {
        Waiting { places: Vec::new(), rows: Vec::new(), candidates: Vec::new() }
    }
}

impl<'a, Entry: Copy + Default> Waiting<'a, Entry> {
    /// Candidates of all that wait, with which they wait no longer.
    const MOST: usize = 1 << 18;

    fn push(&mut self, place: usize, row: Row<'a>, candidates: Vec<Entry>) {
        self.places.push(place);
        self.rows.push(row);
        self.candidates.push(candidates);
    }

    /// Whether they are compared now.
    fn are_enough(&self) -> bool {
        self.rows.len() == TOGETHER || self.candidates.iter().map(Vec::len).sum::<usize>() > Self::MOST
    }

    /// Find what they match.
    fn compare<V: Evidence<Entry = Entry>>(&mut self, kept: &V, bar: Bar, answers: &mut [Answer<Entry>]) -> Result<(), V::Error> {
        let together = self.rows.len() > 1;
        if together {
            self.dismiss(kept, bar)?;
        }
        for ((place, row), candidates) in self.places.drain(..).zip(self.rows.drain(..)).zip(self.candidates.drain(..)) {
            let sought = Sought::new(row, bar, if together { 0 } else { candidates.len() });
            answers[place].found = found(kept, &candidates, |candidate| sought.found(kept, candidate))?;
        }
        Ok(())
    }

    /// Leave those candidates which may have enough of a document's beginnings. Documents of one crowd have the same candidates
    /// mostly: each of those is read once for all.
    fn dismiss<V: Evidence<Entry = Entry>>(&mut self, kept: &V, bar: Bar) -> Result<(), V::Error> {
        let Some(beginnings) = ManyBeginnings::of(self.rows.iter().map(|row| row.evidence)) else { return Ok(()) };
        let mut all: Vec<(Entry, u32)> = Vec::new();
        room::reserve(&mut all, self.candidates.iter().map(Vec::len).sum())?;
        for (row, own) in (0..).zip(self.candidates.iter_mut()) {
            all.extend(own.drain(..).map(|entry| (entry, row)));
        }
        sort_by_two(&mut all, |&(entry, _)| V::number(entry).0, |&(entry, _)| V::number(entry).1)?;
        for same in all.chunk_by(|&(a, _), &(b, _)| V::number(a) == V::number(b)) {
            let entry = same[0].0;
            let ((size, evidence), mut least) = (kept.read(entry)?, [usize::MAX; TOGETHER]);
            for &(_, row) in same {
                least[row as usize] = bar.least(self.rows[row as usize].size, size).unwrap_or(usize::MAX);
            }
            let may = beginnings.may_share(evidence, &least);
            same.iter().filter(|&&(_, row)| may >> row & 1 == 1).for_each(|&(_, row)| self.candidates[row as usize].push(entry));
        }
        Ok(())
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
