//! The bucket table: band keys to the documents that have them, and the evidence those are checked by.
//!
//! Documents of one shingle set share one entry, so copies never fill a bucket. What one look-up reads of a bucket is
//! bounded by its `limit` members lowest in mix64(set hash ^ band): a choice by content alone, different in every band.

use crate::hash::mix64;
use crate::sign::on_threads;
use crate::verify::{equal_slots, intersection, least_equal_slots, least_intersection};
use std::collections::{BTreeSet, HashMap};

/// The members of a bucket; a set in order of priority once it is longer than a look-up may read.
enum Bucket {
    Few(Vec<u32>),
    Many(BTreeSet<(u64, u32)>),
}

struct Entry {
    set_hash: u64,
    size: u32,
    evidence: Box<[u32]>,
    keys: Box<[u64]>,
}

/// A document to look up or add: borrowed rows of a batch.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub keys: &'a [u64],
    pub set_hash: u64,
    /// Its distinct shingles.
    pub size: u32,
    /// Its verification hashes, or its lean signature.
    pub evidence: &'a [u32],
}

/// What a match needs: the least similarity, and the least number of equal slots that it takes in lean signatures.
#[derive(Clone, Copy)]
struct Bar {
    threshold: f64,
    equal: usize,
}

/// One verified candidate of a look-up.
pub struct Found {
    pub entry: u32,
    /// The verification hashes that both have, or the slots in which their lean signatures agree.
    pub agreement: u32,
    pub size: u32,
}

/// What one look-up found; `truncated` when it met a bucket longer than the limit.
#[derive(Default)]
pub struct Answer {
    pub found: Vec<Found>,
    pub truncated: bool,
}

pub struct Table {
    bands: usize,
    limit: usize,
    /// Slots of a lean signature; 0 where documents are checked by their verification hashes.
    slots: usize,
    buckets: Vec<HashMap<u64, Bucket>>,
    entries: Vec<Option<Entry>>,
    sets: HashMap<u64, Vec<u32>>,
}

impl Table {
    pub fn new(bands: usize, limit: usize, slots: usize) -> Self {
        let buckets = (0..bands).map(|_| HashMap::new()).collect();
        Table { bands, limit, slots, buckets, entries: Vec::new(), sets: HashMap::new() }
    }

    /// The live entry of exactly this size and evidence.
    pub fn same_set(&self, row: Row) -> Option<u32> {
        let same = |e: u32| self.entry(e).is_some_and(|x| x.size == row.size && *x.evidence == *row.evidence);
        self.sets.get(&row.set_hash)?.iter().copied().find(|&e| same(e))
    }

    fn entry(&self, entry: u32) -> Option<&Entry> {
        self.entries.get(entry as usize)?.as_ref()
    }

    /// The entry of this shingle set, made when there is none. A document without shingles has none.
    pub fn insert(&mut self, row: Row) -> Option<u32> {
        if row.size == 0 {
            return None;
        }
        if let Some(entry) = self.same_set(row) {
            return Some(entry);
        }
        let entry = self.entries.len() as u32;
        for (band, (&key, buckets)) in row.keys.iter().zip(&mut self.buckets).enumerate() {
            let bucket = buckets.entry(key).or_insert_with(|| Bucket::Few(Vec::new()));
            match bucket {
                Bucket::Few(members) if members.len() < self.limit => members.push(entry),
                Bucket::Few(members) => {
                    let entries = &self.entries;
                    let set_hash = |e: u32| entries.get(e as usize).and_then(Option::as_ref).map_or(row.set_hash, |x| x.set_hash);
                    let all = members.iter().copied().chain([entry]);
                    *bucket = Bucket::Many(all.map(|e| (mix64(set_hash(e) ^ band as u64), e)).collect());
                }
                Bucket::Many(members) => {
                    members.insert((mix64(row.set_hash ^ band as u64), entry));
                }
            }
        }
        self.sets.entry(row.set_hash).or_default().push(entry);
        self.entries.push(Some(Entry { set_hash: row.set_hash, size: row.size, evidence: row.evidence.into(), keys: row.keys.into() }));
        Some(entry)
    }

    /// Take an entry out; its number is not used again. False when it was not there.
    pub fn remove(&mut self, entry: u32) -> bool {
        let Some(old) = self.entries.get_mut(entry as usize).and_then(Option::take) else { return false };
        for (band, (key, buckets)) in old.keys.iter().zip(&mut self.buckets).enumerate() {
            let empty = match buckets.get_mut(key) {
                Some(Bucket::Few(members)) => {
                    members.retain(|&e| e != entry);
                    members.is_empty()
                }
                Some(Bucket::Many(members)) => {
                    members.remove(&(mix64(old.set_hash ^ band as u64), entry));
                    members.is_empty()
                }
                None => false,
            };
            if empty {
                buckets.remove(key);
            }
        }
        if let Some(same) = self.sets.get_mut(&old.set_hash) {
            same.retain(|&e| e != entry);
            if same.is_empty() {
                self.sets.remove(&old.set_hash);
            }
        }
        true
    }

    /// The evidence of an entry.
    pub fn evidence(&self, entry: u32) -> Option<&[u32]> {
        Some(&self.entry(entry)?.evidence)
    }

    /// The distinct shingles of an entry.
    pub fn size(&self, entry: u32) -> Option<u32> {
        Some(self.entry(entry)?.size)
    }

    /// Candidates of some band keys, distinct, in order of entry. Whether a bucket was longer than `limit`.
    fn candidates(&self, keys: &[u64], limit: usize, out: &mut Vec<u32>) -> bool {
        let mut truncated = false;
        out.clear();
        for (key, buckets) in keys.iter().zip(&self.buckets) {
            match buckets.get(key) {
                Some(Bucket::Few(members)) => out.extend_from_slice(members),
                Some(Bucket::Many(members)) => {
                    truncated |= members.len() > limit;
                    out.extend(members.iter().take(limit).map(|&(_, e)| e));
                }
                None => {}
            }
        }
        out.sort_unstable();
        out.dedup();
        truncated
    }

    fn bar(&self, threshold: f64) -> Bar {
        Bar { threshold, equal: least_equal_slots(self.slots, threshold) }
    }

    fn verify(&self, size: u32, evidence: &[u32], entry: u32, bar: Bar) -> Option<Found> {
        let other = self.entry(entry)?;
        let least = least_intersection(size as usize, other.size as usize, bar.threshold);
        let agreement = if self.slots == 0 {
            intersection(evidence, &other.evidence, least)?
        } else if least <= size.min(other.size) as usize {
            let equal = equal_slots(evidence, &other.evidence, self.slots);
            (equal >= bar.equal).then_some(equal)?
        } else {
            return None;
        };
        Some(Found { entry, agreement: agreement as u32, size: other.size })
    }

    /// The entries that match a document, in order of entry.
    pub fn query(&self, row: Row, threshold: f64) -> Answer {
        if row.size == 0 {
            return Answer::default();
        }
        let bar = self.bar(threshold);
        let mut candidates = Vec::new();
        let truncated = self.candidates(row.keys, self.limit, &mut candidates);
        // A copy is found whatever a bounded look-up left out.
        candidates.extend(self.same_set(row).filter(|e| truncated && candidates.binary_search(e).is_err()));
        let found = candidates.iter().filter_map(|&e| self.verify(row.size, row.evidence, e, bar)).collect();
        Answer { found, truncated }
    }

    /// Look many documents up.
    pub fn query_many(&self, rows: &[Row], threshold: f64, threads: usize) -> Vec<Answer> {
        let runs = rows.chunks(64).collect();
        on_threads(runs, threads, |run: &[Row]| run.iter().map(|&r| self.query(r, threshold)).collect::<Vec<_>>())
            .into_iter()
            .flatten()
            .collect()
    }

    /// In the order given, add each document that matches none before it; its entry, or what it matched.
    pub fn add_unless_match(&mut self, row: Row, threshold: f64) -> Result<Option<u32>, Answer> {
        if let Some(entry) = self.same_set(row) {
            return Err(Answer {
                found: vec![Found { entry, agreement: self.full_agreement(row.size), size: row.size }],
                truncated: false,
            });
        }
        let answer = self.query(row, threshold);
        if answer.found.is_empty() {
            Ok(self.insert(row))
        } else {
            Err(answer)
        }
    }

    /// The agreement of a document of this size with itself.
    pub fn full_agreement(&self, size: u32) -> u32 {
        if self.slots == 0 {
            size
        } else {
            self.slots as u32
        }
    }

    /// All matching pairs of live entries in `range` with earlier ones: (entry, what it matches). Buckets are read whole.
    pub fn pairs(&self, range: std::ops::Range<u32>, threshold: f64, threads: usize) -> Vec<(u32, Vec<Found>)> {
        let end = range.end;
        let runs = range.step_by(64).map(|start| start..(start + 64).min(end)).collect();
        let bar = self.bar(threshold);
        let work = |run: std::ops::Range<u32>| {
            let mut candidates = Vec::new();
            let of_entry = |e: u32| {
                let entry = self.entries[e as usize].as_ref()?;
                self.candidates(&entry.keys, usize::MAX, &mut candidates);
                let earlier = candidates.iter().take_while(|&&c| c < e);
                Some((e, earlier.filter_map(|&c| self.verify(entry.size, &entry.evidence, c, bar)).collect()))
            };
            run.filter_map(of_entry).collect::<Vec<_>>()
        };
        on_threads(runs, threads, work).into_iter().flatten().collect()
    }

    /// Entries ever made.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn bands(&self) -> usize {
        self.bands
    }

    pub fn slots(&self) -> usize {
        self.slots
    }
}
