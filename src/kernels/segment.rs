//! A part of an index on disk: a file of documents, and the segment of postings derived from it.
//!
//! A *run* sorts numbers (entries, or documents) by their fingerprints. The first bits of a fingerprint choose a bucket of
//! the run's directory, the next eight are the tag kept beside the number, and the rest is looked up where it came from.

use crate::hash::mix64;
use crate::lookup::Row;
use crate::mapped::{Checked, Column, Mapped};
use std::collections::HashMap;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// In place of the entry of a document without shingles.
pub const NONE: u32 = u32::MAX;
/// An entry's member with this bit is the place of a list of copies: their number, then they.
const LIST: u32 = 1 << 31;
/// A directory has at most this many bits.
const MOST_BITS: u32 = 24;

/// Bits of the directory of a run of so many numbers: 16 to 32 of them a bucket.
pub fn directory_bits(numbers: usize) -> u32 {
    (numbers / 16).checked_ilog2().unwrap_or(0).min(MOST_BITS)
}

fn bucket(fingerprint: u32, bits: u32) -> usize {
    ((fingerprint as u64) << bits >> 32) as usize
}

fn tag(fingerprint: u32, bits: u32) -> u8 {
    (fingerprint << bits >> 24) as u8
}

/// What a segment stores of a run.
pub struct Sorted {
    pub directory: Vec<u32>,
    pub tags: Vec<u8>,
    pub numbers: Vec<u32>,
}

/// Sort the numbers from 0 on by their fingerprints, those of one fingerprint by priority.
pub fn sorted_run(fingerprints: &[u32], priority: impl Fn(u32) -> u64) -> Sorted {
    let bits = directory_bits(fingerprints.len());
    let mut order: Vec<u64> = fingerprints.iter().zip(0u64..).map(|(&f, number)| (f as u64) << 32 | number).collect();
    order.sort_unstable();
    for same in order.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|same| same.len() > 1) {
        same.sort_by_cached_key(|&number| priority(number as u32));
    }
    let mut directory = vec![0; (1 << bits) + 1];
    order.iter().for_each(|&o| directory[bucket((o >> 32) as u32, bits) + 1] += 1);
    for i in 1..directory.len() {
        directory[i] += directory[i - 1];
    }
    let tags = order.iter().map(|&o| tag((o >> 32) as u32, bits)).collect();
    Sorted { directory, tags, numbers: order.into_iter().map(|o| o as u32).collect() }
}

/// A run in a segment.
#[derive(Clone, Copy)]
pub struct Run {
    pub directory: Column<u32>,
    pub tags: Column<u8>,
    pub numbers: Column<u32>,
}

impl Run {
    fn bits(&self) -> u32 {
        directory_bits(self.numbers.len())
    }

    /// Where the bucket of a fingerprint lies.
    #[inline]
    fn bucket(&self, file: &Mapped, fingerprint: u32) -> Checked<Range<usize>> {
        let bucket = bucket(fingerprint, self.bits());
        let ends = file.get(self.directory, bucket..bucket + 2)?;
        Ok(ends[0] as usize..ends[1] as usize)
    }

    /// The numbers in a bucket whose tags are that of a fingerprint: those that have it, in order of priority, and a few more.
    #[inline]
    fn numbers<'a>(&self, file: &'a Mapped, bucket: Range<usize>, fingerprint: u32) -> Checked<&'a [u32]> {
        let tag = tag(fingerprint, self.bits());
        let tags = file.get(self.tags, bucket.clone())?;
        let (first, last) = if tags.len() <= 64 {
            let first = tags.iter().map(|&t| (t < tag) as usize).sum();
            (first, tags.iter().map(|&t| (t <= tag) as usize).sum())
        } else {
            (tags.partition_point(|&t| t < tag), tags.partition_point(|&t| t <= tag))
        };
        file.get(self.numbers, bucket.start + first..bucket.start + last)
    }

    fn find<'a>(&self, file: &'a Mapped, fingerprint: u32) -> Checked<&'a [u32]> {
        self.numbers(file, self.bucket(file, fingerprint)?, fingerprint)
    }
}

/// Where the columns of a documents file are.
#[derive(Clone, Copy)]
pub struct DocumentColumns {
    /// The entry of each document, `NONE` for those without shingles.
    pub entries: Column<u32>,
    /// Where the id of each document ends in `ids`.
    pub id_ends: Column<u64>,
    pub ids: Column<u8>,
    /// The set hash of each entry.
    pub set_hashes: Column<u64>,
    /// Distinct shingles of each entry, where lean signatures are kept.
    pub sizes: Column<u32>,
    /// Where the verification hashes of each entry end, where they are kept.
    pub evidence_ends: Column<u64>,
    pub evidence: Column<u32>,
    /// Band after band, of each entry.
    pub fingerprints: Column<u32>,
}

/// Where the columns of a segment are.
pub struct SegmentColumns {
    /// The one document of each entry, or where its list begins in `copies`.
    pub members: Column<u32>,
    pub copies: Column<u32>,
    /// Of entries by set hash.
    pub sets: Run,
    /// Of documents by id.
    pub ids: Run,
    /// Of entries, one a band.
    pub bands: Vec<Run>,
}

pub struct Segment {
    pub documents: Mapped,
    pub segment: Mapped,
    pub columns: DocumentColumns,
    pub runs: SegmentColumns,
    /// Keys the fingerprints of ids.
    pub id_seed: u64,
    /// Words of a lean signature; 0 where verification hashes are kept.
    pub width: usize,
}

/// By what a run finds an id.
pub fn id_fingerprint(id: &[u8], seed: u64) -> u32 {
    (xxh3_64_with_seed(id, seed) >> 32) as u32
}

/// A place and a length of each column of a file.
pub type Places = [(usize, usize)];

impl Segment {
    /// A file of documents and the segment derived from it, whose columns must have the lengths that follow from each other.
    ///
    /// # Errors
    ///
    /// Damage at the beginning of the file that has them not.
    pub fn open(
        (documents, document_places): (Mapped, &Places),
        (segment, segment_places): (Mapped, &Places),
        bands: usize,
        slots: usize,
        id_seed: u64,
    ) -> Checked<Self> {
        let &[entries, id_ends, ids, set_hashes, sizes, evidence_ends, evidence, fingerprints] = document_places else {
            return Err(documents.damage(0));
        };
        let columns = DocumentColumns {
            entries: documents.column(entries)?,
            id_ends: documents.column(id_ends)?,
            ids: documents.column(ids)?,
            set_hashes: documents.column(set_hashes)?,
            sizes: documents.column(sizes)?,
            evidence_ends: documents.column(evidence_ends)?,
            evidence: documents.column(evidence)?,
            fingerprints: documents.column(fingerprints)?,
        };
        let &[members, copies, ref runs @ ..] = segment_places else { return Err(segment.damage(0)) };
        let run = |c: &Places| Ok(Run { directory: segment.column(c[0])?, tags: segment.column(c[1])?, numbers: segment.column(c[2])? });
        let mut every = runs.chunks_exact(3).map(run).collect::<Checked<Vec<_>>>()?.into_iter();
        let (Some(sets), Some(ids), true) = (every.next(), every.next(), runs.len().is_multiple_of(3)) else {
            return Err(segment.damage(0));
        };
        let runs = SegmentColumns { members: segment.column(members)?, copies: segment.column(copies)?, sets, ids, bands: every.collect() };
        let opened = Segment { documents, segment, columns, runs, id_seed, width: slots.div_ceil(4) };
        let (n, width, columns, runs) = (opened.entries(), opened.width, &opened.columns, &opened.runs);
        let estimated = width > 0 && columns.sizes.len() == n && Some(columns.evidence.len()) == n.checked_mul(width);
        if !(columns.id_ends.len() == opened.documents()
            && (estimated || width == 0 && columns.evidence_ends.len() == n)
            && Some(columns.fingerprints.len()) == n.checked_mul(bands))
        {
            return Err(opened.documents.damage(0));
        }
        let fits = |run: &Run, numbers| {
            let directory = (1 << directory_bits(numbers)) + 1;
            [run.directory.len(), run.tags.len(), run.numbers.len()] == [directory, numbers, numbers]
        };
        if !(runs.members.len() == n
            && runs.bands.len() == bands
            && fits(&runs.ids, opened.documents())
            && runs.bands.iter().chain([&runs.sets]).all(|run| fits(run, n)))
        {
            return Err(opened.segment.damage(0));
        }
        Ok(opened)
    }

    pub fn documents(&self) -> usize {
        self.columns.entries.len()
    }

    pub fn entries(&self) -> usize {
        self.columns.set_hashes.len()
    }

    fn between<T: bytemuck::Pod>(&self, ends: Column<u64>, values: Column<T>, place: usize) -> Checked<&[T]> {
        let start = if place == 0 { 0 } else { self.documents.one(ends, place - 1)? };
        self.documents.get(values, start as usize..self.documents.one(ends, place)? as usize)
    }

    pub fn id(&self, document: u32) -> Checked<&[u8]> {
        self.between(self.columns.id_ends, self.columns.ids, document as usize)
    }

    /// The entry of a document; None when it has no shingles.
    pub fn entry(&self, document: u32) -> Checked<Option<u32>> {
        Ok(Some(self.documents.one(self.columns.entries, document as usize)?).filter(|&entry| entry != NONE))
    }

    /// The documents of this id, removed ones too: an id that was removed may have come again.
    pub fn find(&self, id: &[u8]) -> Checked<Vec<u32>> {
        let mut found = Vec::new();
        for &document in self.runs.ids.find(&self.segment, id_fingerprint(id, self.id_seed))? {
            if self.id(document)? == id {
                found.push(document);
            }
        }
        Ok(found)
    }

    /// The documents of an entry.
    pub fn members(&self, entry: u32) -> Checked<Members<'_>> {
        let member = self.segment.one(self.runs.members, entry as usize)?;
        if member & LIST == 0 {
            return Ok(Members { one: [member], list: None });
        }
        let list = (member ^ LIST) as usize;
        let count = self.segment.one(self.runs.copies, list)? as usize;
        Ok(Members { one: [0], list: Some(self.segment.get(self.runs.copies, list + 1..list + 1 + count)?) })
    }

    /// The distinct shingles and the evidence of an entry.
    pub fn sized_evidence(&self, entry: u32) -> Checked<(u32, &[u32])> {
        let evidence = self.evidence(entry)?;
        let size = if self.width > 0 { self.documents.one(self.columns.sizes, entry as usize)? } else { evidence.len() as u32 };
        Ok((size, evidence))
    }

    pub fn set_hash(&self, entry: u32) -> Checked<u64> {
        self.documents.one(self.columns.set_hashes, entry as usize)
    }

    pub fn priority(&self, entry: u32, band: usize) -> Checked<u64> {
        Ok(mix64(self.set_hash(entry)? ^ band as u64))
    }

    pub fn evidence(&self, entry: u32) -> Checked<&[u32]> {
        if self.width == 0 {
            return self.between(self.columns.evidence_ends, self.columns.evidence, entry as usize);
        }
        self.documents.get(self.columns.evidence, entry as usize * self.width..(entry as usize + 1) * self.width)
    }

    pub fn fingerprint(&self, entry: u32, band: usize) -> Checked<u32> {
        self.documents.one(self.columns.fingerprints, band * self.entries() + entry as usize)
    }

    /// The entry of exactly this size and evidence.
    pub fn same_set(&self, row: Row) -> Checked<Option<u32>> {
        for &entry in self.runs.sets.find(&self.segment, (row.set_hash >> 32) as u32)? {
            if self.set_hash(entry)? == row.set_hash && self.sized_evidence(entry)? == (row.size, row.evidence) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Visit the entries of a band that have its fingerprint and live, in order of priority, `most` of them at most.
    #[inline]
    fn visit(
        &self,
        numbers: &[u32],
        band: usize,
        fingerprint: u32,
        removed: &Removed,
        most: usize,
        mut visit: impl FnMut(u32),
    ) -> Checked<()> {
        let mut visited = 0;
        for &entry in numbers {
            if visited == most {
                break;
            }
            if self.fingerprint(entry, band)? == fingerprint && removed.lives(entry) {
                visit(entry);
                visited += 1;
            }
        }
        Ok(())
    }

    /// For each band, in turn, the living entries that have its fingerprint: `most` of them at most.
    pub fn candidates(&self, fingerprints: &[u32], removed: &Removed, most: usize, mut visit: impl FnMut(usize, u32)) -> Checked<()> {
        let mut buckets = [const { 0..0 }; 64];
        for (first, group) in (0..).step_by(64).zip(fingerprints.chunks(64)) {
            let runs = &self.runs.bands[first..first + group.len()];
            for (run, &fingerprint) in runs.iter().zip(group) {
                self.segment.prefetch(run.directory, bucket(fingerprint, run.bits()));
            }
            for ((run, &fingerprint), place) in runs.iter().zip(group).zip(&mut buckets) {
                *place = run.bucket(&self.segment, fingerprint)?;
                self.segment.prefetch(run.tags, place.start);
                self.segment.prefetch(run.numbers, place.start);
            }
            for (i, ((run, &fingerprint), place)) in runs.iter().zip(group).zip(&buckets).enumerate() {
                let numbers = run.numbers(&self.segment, place.clone(), fingerprint)?;
                self.visit(numbers, first + i, fingerprint, removed, most, |entry| visit(first + i, entry))?;
            }
        }
        Ok(())
    }

    /// Visit the living entries of a band that have its fingerprint.
    pub fn bucket(&self, band: usize, fingerprint: u32, removed: &Removed, visit: impl FnMut(u32)) -> Checked<()> {
        let numbers = self.runs.bands[band].find(&self.segment, fingerprint)?;
        self.visit(numbers, band, fingerprint, removed, usize::MAX, visit)
    }

    /// The fingerprints of a band that more than `least` entries have, removed ones too.
    pub fn heavy(&self, band: usize, least: usize) -> Checked<Vec<u32>> {
        let run = self.runs.bands[band];
        let mut heavy = Vec::new();
        let ends = self.segment.get(run.directory, 0..run.directory.len())?;
        for pair in ends.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) as usize > least) {
            let numbers = self.segment.get(run.numbers, pair[0] as usize..pair[1] as usize)?;
            let found = numbers.iter().map(|&entry| self.fingerprint(entry, band)).collect::<Checked<Vec<_>>>()?;
            heavy.extend(found.chunk_by(|a, b| a == b).filter(|same| same.len() > least).map(|same| same[0]));
        }
        Ok(heavy)
    }
}

/// The documents of an entry.
pub struct Members<'a> {
    one: [u32; 1],
    list: Option<&'a [u32]>,
}

impl Members<'_> {
    pub fn as_slice(&self) -> &[u32] {
        self.list.unwrap_or(&self.one)
    }
}

/// Which documents of a segment were removed, and with them which entries.
#[derive(Default)]
pub struct Removed {
    documents: Vec<u64>,
    entries: Vec<u64>,
    count: usize,
    /// Living documents of entries that lost some and have some.
    left: HashMap<u32, u32>,
}

fn is_set(bits: &[u64], place: u32) -> bool {
    bits.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
}

fn set(bits: &mut Vec<u64>, place: u32) {
    let word = place as usize / 64;
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    bits[word] |= 1 << (place % 64);
}

impl Removed {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn lives(&self, entry: u32) -> bool {
        !is_set(&self.entries, entry)
    }

    pub fn has(&self, document: u32) -> bool {
        is_set(&self.documents, document)
    }

    /// Remove a document of a segment.
    pub fn insert(&mut self, segment: &Segment, document: u32) -> Checked<()> {
        if self.has(document) {
            return Ok(());
        }
        if let Some(entry) = segment.entry(document)? {
            let all = segment.members(entry)?.as_slice().len() as u32;
            let left = self.left.entry(entry).or_insert(all);
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.left.remove(&entry);
                set(&mut self.entries, entry);
            }
        }
        set(&mut self.documents, document);
        self.count += 1;
        Ok(())
    }
}
