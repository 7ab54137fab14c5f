//! The bucket table: band keys to the documents that have them, and the evidence those are checked by.
//!
//! Documents of one shingle set share one entry, so copies never fill a bucket. What one look-up reads of a bucket is
//! bounded by its `limit` members lowest in mix64(set hash ^ band): a choice by content alone, different in every band.

use crate::band::{spread, Band, Member, Members, FEW};
use crate::bar::{Bar, Measure};
use crate::hash::mix64;
use crate::lookup::{self, found, nearest, Answer, Evidence, Found, Row, Seen, Sought};
use crate::path::prefetch;
use crate::room::{self, NoRoom, Roomy};
use crate::sketch::Sketch;
use crate::threads::on_threads;
use crate::verify::{intersection, least_read, may_share};
use crate::weigh::Weights;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// Rows whose buckets are asked for before they are needed.
const AHEAD: usize = 8;
/// As many removed entries, or documents, are left where they are, however few there are beside them.
pub(crate) const PATIENCE: usize = 64;

/// Words one after another in blocks that never move.
#[derive(Default)]
struct Pool {
    blocks: Vec<Vec<u32>>,
}

impl Pool {
    const BLOCK: usize = 1 << 18;

    /// Append some words. Where they are: the block, and the place in it.
    fn push(&mut self, words: &[u32]) -> Roomy<u64> {
        if self.blocks.last().is_none_or(|block| block.capacity() - block.len() < words.len()) {
            let (size, mut block) = (if self.blocks.len() < 8 { 1 << (8 + self.blocks.len()) } else { Self::BLOCK }, Vec::new());
            room::reserve(&mut block, size.max(words.len()))?;
            room::grow(&mut self.blocks, 1)?;
            self.blocks.push(block);
        }
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        let place = (number as u64) << 32 | block.len() as u64;
        block.extend_from_slice(words);
        Ok(place)
    }

    /// How much there is; what `undo` takes back to.
    fn mark(&self) -> (usize, usize) {
        (self.blocks.len(), self.blocks.last().map_or(0, Vec::len))
    }

    fn undo(&mut self, (blocks, words): (usize, usize)) {
        self.blocks.truncate(blocks);
        self.blocks.last_mut().into_iter().for_each(|block| block.truncate(words));
    }

    #[inline(always)]
    fn get(&self, place: u64, len: usize) -> &[u32] {
        &self.blocks[(place >> 32) as usize][place as u32 as usize..][..len]
    }

    fn nbytes(&self) -> usize {
        self.blocks.iter().map(|block| 4 * block.capacity()).sum()
    }
}

impl Evidence for Table {
    type Entry = u32;
    type Error = NoRoom;

    #[inline]
    fn read(&self, entry: u32) -> Roomy<(u32, &[u32])> {
        Ok((self.size(entry), self.entries.evidence(entry)))
    }

    #[inline]
    fn ahead(&self, candidates: &[u32], place: usize) {
        candidates.get(place + 2 * AHEAD).into_iter().for_each(|&entry| self.entries.prefetch(entry));
        candidates.get(place + AHEAD).into_iter().for_each(|&entry| self.entries.prefetch_evidence(entry));
    }

    fn number(entry: u32) -> (u32, u32) {
        (0, entry)
    }
}

/// What is known of each entry, in columns.
#[derive(Default)]
struct Entries {
    set_hashes: Vec<u64>,
    /// Distinct shingles; 0 where the entry was removed.
    sizes: Vec<u32>,
    places: Vec<u64>,
    pool: Pool,
    /// Of those that came into a crowd, as far as there was room for them; empty of others.
    sketches: Vec<Sketch>,
    /// Words of evidence each; 0 where they are as many as the shingles.
    width: usize,
}

impl Entries {
    fn lives(&self, entry: u32) -> bool {
        self.sizes.get(entry as usize).is_some_and(|&size| size > 0)
    }

    fn evidence(&self, entry: u32) -> &[u32] {
        let size = self.sizes[entry as usize] as usize;
        let width = if self.width > 0 && size > 0 { self.width } else { size };
        self.pool.get(self.places[entry as usize], width)
    }

    /// Ask for what is known of an entry, which is wanted soon.
    fn prefetch(&self, entry: u32) {
        prefetch(&self.sizes[entry as usize]);
        prefetch(&self.places[entry as usize]);
    }

    /// Ask for the evidence of an entry, once what is known of it is there.
    fn prefetch_evidence(&self, entry: u32) {
        self.evidence(entry).chunks(16).take(4).for_each(|line| prefetch(&line[0]));
    }

    /// As a member of a crowd in a band.
    fn member(&self, entry: u32, band: usize) -> Member {
        let (set_hash, size) = (self.set_hashes[entry as usize], self.sizes[entry as usize]);
        Member { priority: mix64(set_hash ^ band as u64), entry, size }
    }

    /// Make the sketches of entries that came into crowds, where they live: the number of one that does not goes to another.
    fn make_sketches(&mut self, crowded: impl Iterator<Item = u32>) -> Roomy<()> {
        for entry in crowded {
            if !self.lives(entry) {
                continue;
            }
            let at = entry as usize;
            if at >= self.sketches.len() {
                let more = self.sizes.len() - self.sketches.len();
                room::grow(&mut self.sketches, more)?;
                self.sketches.resize_with(self.sizes.len(), Sketch::default);
            }
            if self.sketches[at].is_empty() {
                self.sketches[at] = Sketch::of(self.evidence(entry))?;
            }
        }
        Ok(())
    }
}

pub struct Table {
    limit: usize,
    /// Slots of a lean signature; 0 where documents are checked by their verification hashes.
    slots: usize,
    bands: Vec<Band>,
    entries: Entries,
    /// Entries by set hash, mixed with a seed drawn at random: nobody can choose sets that collide here.
    sets: HashTable<u32>,
    seed: u64,
    /// How many entries were removed while their postings remain.
    removed: usize,
    /// As many of them as are left before their postings are dropped.
    patience: usize,
    /// Verification hashes below this are looked up by, in the one band that there is, instead of fingerprints; 0 for none.
    sample: u32,
    /// Entries that may be used again.
    free: Vec<u32>,
    /// How much of each entry was read rightly, a little less; 0 where that is not known.
    legible: Vec<f32>,
    legible_by: u64,
}

impl Table {
    pub fn new(bands: usize, limit: usize, slots: usize) -> Self {
        Table {
            limit,
            slots,
            bands: (0..bands).map(|number| Band::new(number, bands)).collect(),
            entries: Entries { width: slots.div_ceil(4), ..Entries::default() },
            sets: HashTable::new(),
            seed: RandomState::new().hash_one(0),
            removed: 0,
            patience: PATIENCE,
            sample: 0,
            free: Vec::new(),
            legible: Vec::new(),
            legible_by: 0,
        }
    }

    /// A table in which documents are found that contain another: by all their verification hashes below `sample`.
    pub fn of_samples(sample: u32, limit: usize) -> Self {
        Table { sample, ..Table::new(1, limit, 0) }
    }

    /// The verification hashes of a document that it is looked up by.
    fn sampled<'a>(&self, evidence: &'a [u32]) -> &'a [u32] {
        let sampled = if self.sample > 0 { evidence.partition_point(|&h| h < self.sample) } else { 0 };
        &evidence[..sampled]
    }

    fn bar(&self, threshold: f64) -> Bar {
        if self.sample > 0 {
            Bar::by(Measure::Contained, threshold)
        } else {
            Bar::new(threshold, self.slots)
        }
    }

    /// The live entry of exactly this size and evidence.
    pub fn same_set(&self, row: Row) -> Option<u32> {
        let entries = &self.entries;
        let same = |&e: &u32| {
            entries.set_hashes[e as usize] == row.set_hash && entries.sizes[e as usize] == row.size && entries.evidence(e) == row.evidence
        };
        self.sets.find(mix64(row.set_hash ^ self.seed), same).copied()
    }

    /// The entry of each shingle set, made when there is none. A document without shingles has none. Nothing is there of any of
    /// them where there is no room for all.
    pub fn insert(&mut self, rows: &[Row], threads: usize) -> Roomy<Vec<Option<u32>>> {
        let (mut new, mark) = (Vec::new(), self.entries.pool.mark());
        let registered = self.registered(rows, &mut new);
        let threads = if new.len() < 64 { 1 } else { threads };
        let entries = match registered.and_then(|entries| self.reserve(&new, threads).map(|()| entries)) {
            Ok(entries) => entries,
            Err(no_room) => {
                new.iter().rev().for_each(|&(entry, _)| self.unregister(entry));
                self.entries.pool.undo(mark);
                return Err(no_room);
            }
        };
        let crowded = self.post(&new, threads);
        if self.slots == 0 {
            // Where there is no room for a sketch the hashes are compared.
            let _ = self.entries.make_sketches(crowded.into_iter().flatten());
        }
        Ok(entries)
    }

    /// Insert the postings of new entries, for which there is room. Of each band who came into its crowds, as far as there was
    /// room to tell.
    fn post(&mut self, new: &[(u32, Row)], threads: usize) -> Vec<Vec<u32>> {
        let (limit, sample, known) = (self.limit, self.sample, &self.entries);
        on_threads(self.bands.iter_mut().enumerate().collect(), threads, |(number, band): (usize, &mut Band)| {
            let (mut crowded, mut room) = (Vec::new(), Ok(()));
            let mut member = |entry| {
                if crowded.last() != Some(&entry) {
                    room::push(&mut crowded, entry, &mut room);
                }
                known.member(entry, number)
            };
            for (i, &(entry, row)) in new.iter().enumerate() {
                if sample > 0 {
                    let sampled = row.evidence.iter().take_while(|&&hash| hash < sample);
                    sampled.for_each(|&hash| band.insert(spread(hash), entry, limit, &mut member));
                    continue;
                }
                if let Some((_, ahead)) = new.get(i + AHEAD) {
                    band.prefetch(ahead.fingerprints[number]);
                }
                band.insert(row.fingerprints[number], entry, limit, &mut member);
            }
            crowded
        })
    }

    /// Make room for the postings of new entries.
    fn reserve(&mut self, new: &[(u32, Row)], threads: usize) -> Roomy<()> {
        let limit = self.limit;
        if self.sample > 0 {
            let all = new.iter().map(|(_, row)| self.sampled(row.evidence).len()).sum();
            let postings = if self.bands[0].fits(all) { all } else { self.postings(new, all)? };
            return self.bands[0].reserve(postings, limit);
        }
        if threads <= 1 {
            return self.bands.iter_mut().try_for_each(|band| band.reserve(new.len(), limit));
        }
        on_threads(self.bands.iter_mut().collect(), threads, |band: &mut Band| band.reserve(new.len(), limit)).into_iter().collect()
    }

    /// How many postings new entries have at most by all of their sampled hashes: those that many share have few.
    fn postings(&self, new: &[(u32, Row)], all: usize) -> Roomy<usize> {
        let mut hashes = Vec::new();
        room::reserve(&mut hashes, all)?;
        new.iter().for_each(|(_, row)| hashes.extend_from_slice(self.sampled(row.evidence)));
        hashes.sort_unstable();
        Ok(hashes.chunk_by(|a, b| a == b).map(|same| same.len().min(FEW)).sum())
    }

    /// The entry of each shingle set, and those among them that were made, which have no postings yet.
    fn registered<'a>(&mut self, rows: &[Row<'a>], new: &mut Vec<(u32, Row<'a>)>) -> Roomy<Vec<Option<u32>>> {
        let Entries { set_hashes, sizes, places, .. } = &mut self.entries;
        let (n, seed) = (rows.len(), self.seed);
        self.sets.try_reserve(n, |&e| mix64(set_hashes[e as usize] ^ seed)).map_err(|_| NoRoom(n * size_of::<u32>()))?;
        room::grow(set_hashes, n)?;
        room::grow(sizes, n)?;
        room::grow(places, n)?;
        room::reserve(new, n)?;
        let mut entry = |&row: &Row<'a>| {
            if row.size == 0 {
                return Ok(None);
            }
            if let Some(entry) = self.same_set(row) {
                return Ok(Some(entry));
            }
            let entry = self.register(row)?;
            new.push((entry, row));
            Ok(Some(entry))
        };
        room::tried(rows.iter().map(&mut entry))
    }

    /// A new entry, for which there is room but for its evidence.
    fn register(&mut self, row: Row) -> Roomy<u32> {
        let place = self.entries.pool.push(row.evidence)?;
        let Entries { set_hashes, sizes, places, .. } = &mut self.entries;
        let entry = self.free.pop().unwrap_or(sizes.len() as u32);
        if entry as usize == sizes.len() {
            assert!(entry < 1 << 31, "at most 2^31 entries");
            set_hashes.push(0);
            sizes.push(0);
            places.push(0);
        }
        let at = entry as usize;
        (set_hashes[at], sizes[at], places[at]) = (row.set_hash, row.size, place);
        self.legible.get_mut(at).into_iter().for_each(|legible| *legible = 0.0);
        let seed = self.seed;
        self.sets.insert_unique(mix64(row.set_hash ^ seed), entry, |&e| mix64(set_hashes[e as usize] ^ seed));
        Ok(entry)
    }

    /// Take back the entry that was made last, which has no postings.
    fn unregister(&mut self, entry: u32) {
        self.forget(entry);
        let Entries { set_hashes, sizes, places, .. } = &mut self.entries;
        if entry as usize == sizes.len() - 1 {
            set_hashes.pop();
            sizes.pop();
            places.pop();
        } else {
            self.free.push(entry);
        }
    }

    /// Let an entry be found no more.
    fn forget(&mut self, entry: u32) {
        if let Ok(found) = self.sets.find_entry(mix64(self.entries.set_hashes[entry as usize] ^ self.seed), |&e| e == entry) {
            found.remove();
        }
        self.entries.sizes[entry as usize] = 0;
        self.entries.sketches.get_mut(entry as usize).into_iter().for_each(|sketch| *sketch = Sketch::default());
    }

    /// Take an entry out. False when it was not there.
    ///
    /// Its postings remain until an eighth of all belong to removed entries.
    pub fn remove(&mut self, entry: u32) -> bool {
        if !self.entries.lives(entry) {
            return false;
        }
        self.forget(entry);
        self.removed += 1;
        if self.removed > self.patience && 8 * self.removed > self.sets.len() {
            // Where there is no room for it, another time.
            self.patience = if self.compact().is_ok() { PATIENCE } else { 2 * self.removed };
        }
        true
    }

    /// Drop the postings and the evidence of removed entries.
    fn compact(&mut self) -> Roomy<()> {
        let known = &mut self.entries;
        let more = known.sizes.len() - self.sets.len() - self.free.len();
        room::grow(&mut self.free, more)?;
        for band in &mut self.bands {
            band.compact(|e| known.lives(e))?;
        }
        let (mut pool, mut places) = (Pool::default(), room::filled(0, known.places.len())?);
        for entry in 0..known.sizes.len() as u32 {
            if known.lives(entry) {
                places[entry as usize] = pool.push(known.evidence(entry))?;
            }
        }
        (known.pool, known.places) = (pool, places);
        self.free.clear();
        self.free.extend((0..known.sizes.len() as u32).rev().filter(|&entry| known.sizes[entry as usize] == 0));
        self.removed = 0;
        Ok(())
    }

    /// The evidence of an entry; none when it was removed.
    pub fn evidence(&self, entry: u32) -> &[u32] {
        if self.entries.lives(entry) {
            self.entries.evidence(entry)
        } else {
            &[]
        }
    }

    /// The distinct shingles of an entry; 0 when it was removed.
    pub fn size(&self, entry: u32) -> u32 {
        self.entries.sizes.get(entry as usize).copied().unwrap_or(0)
    }

    /// The set hash of an entry.
    pub fn set_hash(&self, entry: u32) -> u64 {
        self.entries.set_hashes[entry as usize]
    }

    /// Visit the living entries of a band that have a fingerprint, of a crowd the `most` first in order of priority.
    #[inline]
    pub fn bucket(&self, band: usize, fingerprint: u32, most: usize, visit: impl FnMut(u32)) {
        match self.bands[band].members(fingerprint, &mut [0; 16]) {
            Members::Few(members) => members.iter().copied().filter(|&e| self.entries.lives(e)).for_each(visit),
            Members::Crowd(members) => {
                members.iter().map(|member| member.entry).filter(|&e| self.entries.lives(e)).take(most).for_each(visit);
            }
        }
    }

    /// The fingerprints of a band that more than `least` entries have.
    pub fn heavy(&self, band: usize, least: usize) -> Vec<u32> {
        let mut all = Vec::new();
        self.bands[band].each(|e, fingerprint| {
            if self.entries.lives(e) {
                all.push(fingerprint);
            }
        });
        all.sort_unstable();
        all.chunk_by(|a, b| a == b).filter(|same| same.len() > least).map(|same| same[0]).collect()
    }

    /// The sketch of a document that is looked up, nothing where none is kept.
    fn sketch(&self, evidence: &[u32]) -> Sketch {
        if self.slots == 0 {
            Sketch::of(evidence).unwrap_or_default()
        } else {
            Sketch::default()
        }
    }

    /// Candidates of a document by its fingerprints, distinct, in order of entry; of crowds those that may match, as far as
    /// their sizes and sketches tell. Whether a bucket was longer than `limit`.
    fn candidates(&self, fingerprints: &[u32], (size, evidence): (u32, &[u32]), bar: Bar, limit: usize, out: &mut Vec<u32>) -> Roomy<bool> {
        let (mut truncated, mut sketch, mut known) = (false, None, (0, None));
        let mut seen = Seen::default();
        let none_removed = self.removed == 0;
        out.clear();
        let banded = if self.sample > 0 { &[] } else { fingerprints };
        let samples = self.sampled(evidence);
        let keys = self.bands.iter().zip(banded.iter().copied());
        for (band, fingerprint) in keys.chain(samples.iter().map(|&hash| (&self.bands[0], spread(hash)))) {
            if band.lacks(fingerprint) {
                continue;
            }
            match band.members(fingerprint, &mut [0; 16]) {
                Members::Few(members) => {
                    room::double(out, members.len())?;
                    out.extend(members.iter().filter(|&&e| self.entries.lives(e)));
                }
                Members::Crowd(members) => {
                    let own = sketch.get_or_insert_with(|| self.sketch(evidence));
                    seen.begin(self.entries.sizes.len());
                    room::double(out, members.len().min(limit))?;
                    let mut live = members.iter().filter(|member| none_removed || self.entries.lives(member.entry));
                    out.extend(live.by_ref().take(limit).filter_map(|member| {
                        if seen.has(member.entry) {
                            return None;
                        }
                        if member.size != known.0 {
                            known = (member.size, bar.least(size, member.size));
                        }
                        let most = size as usize + member.size as usize - 2 * known.1?;
                        let other = self.entries.sketches.get(member.entry as usize);
                        other.is_none_or(|other| own.may_differ_by(other, most)).then_some(member.entry)
                    }));
                    truncated |= live.next().is_some();
                }
            }
        }
        out.sort_unstable();
        out.dedup();
        Ok(truncated)
    }

    /// A reading, when they match: of both, one times the other, so much was read rightly.
    fn verify_reading(&self, (size, evidence): (u32, &[u32]), entry: u32, bar: Bar, read: f64, corrected: f64) -> Option<Found> {
        let (other, own) = (self.size(entry), self.entries.evidence(entry));
        let least = bar.least(size, other)?.max(least_read(size as usize, other as usize, read, corrected));
        let may = least <= size.min(other) as usize && may_share(evidence, own, least);
        let agreement = may.then(|| intersection(evidence, own, least)).flatten()? as u32;
        Some(Found { entry, agreement, size: other })
    }

    /// Learn how much of each entry was read rightly: the share of its hashes that weigh 1, over that of the clearest, at
    /// least `least`. Of an entry that comes later nothing is known. Readings of another number know it by something else.
    pub fn read_by(&mut self, known: &Weights, clearest: f64, least: f64, number: u64, threads: usize) {
        let entries: Vec<u32> = (0..self.len() as u32).collect();
        let of_one = |&entry: &u32| {
            let evidence = self.evidence(entry);
            let share = known.total(evidence) as f64 / evidence.len().max(1) as f64;
            // Never more than it is, in half the bits.
            (f64::clamp(share / clearest, least, 1.0) * (1.0 - 1e-6)) as f32
        };
        self.legible = on_threads(entries.chunks(1024).collect(), threads, |run| run.iter().map(of_one).collect::<Vec<_>>()).concat();
        self.legible_by = number;
    }

    /// Ask for the buckets of a document that is soon looked up.
    pub fn ahead(&self, fingerprints: &[u32]) {
        self.bands.iter().zip(fingerprints).for_each(|(band, &f)| band.prefetch(f));
    }

    /// The entries that match a document, in order of entry.
    pub fn query(&self, row: Row, threshold: f64) -> Roomy<Answer> {
        self.query_for(row, threshold, |_| ())
    }

    /// The same for one who is told the candidates before they are compared.
    pub fn query_for(&self, row: Row, threshold: f64, told: impl FnOnce(&[u32])) -> Roomy<Answer> {
        self.prefetch(&row);
        let (bar, mut candidates) = (self.bar(threshold), Vec::with_capacity(2 * self.bands.len()));
        let truncated = self.met(row, bar, self.limit, &mut candidates)?;
        told(&candidates);
        let sought = Sought::new(row, bar, candidates.len());
        Ok(Answer { found: found(self, &candidates, |candidate| sought.found(self, candidate))?, truncated })
    }

    /// Ask for all buckets of a document, which are wanted soon.
    fn prefetch(&self, row: &Row) {
        if self.sample > 0 {
            self.sampled(row.evidence).iter().for_each(|&hash| self.bands[0].prefetch(spread(hash)));
        } else {
            self.ahead(row.fingerprints);
        }
    }

    /// All candidates of a document. Whether there may be more.
    fn met(&self, row: Row, bar: Bar, limit: usize, candidates: &mut Vec<u32>) -> Roomy<bool> {
        candidates.clear();
        if row.size == 0 {
            return Ok(false);
        }
        let truncated = self.candidates(row.fingerprints, (row.size, row.evidence), bar, limit, candidates)?;
        // A copy is found whatever a bounded look-up, or a sample, left out.
        if truncated || self.sample > 0 {
            candidates.extend(self.same_set(row).filter(|e| candidates.binary_search(e).is_err()));
        }
        Ok(truncated)
    }

    /// Look readings up, of which so much was read rightly each: what reaches the threshold, and may reach a corrected one, as far
    /// as the table was told of its entries by the same number.
    pub fn query_readings(
        &self,
        rows: &[Row],
        threshold: f64,
        legible: &[f64],
        (corrected, number): (f64, u64),
        threads: usize,
    ) -> Roomy<Vec<Answer>> {
        let others: &[f32] = if self.legible_by == number { &self.legible } else { &[] };
        let (bar, rows) = (self.bar(threshold), room::collected(rows.iter().zip(legible))?);
        let work = |run: &[(&Row, &f64)]| {
            let mut candidates = Vec::new();
            let of_one = |&(&row, &legible): &(&Row, &f64)| {
                self.prefetch(&row);
                let document = (row.size, row.evidence);
                let truncated = self.met(row, bar, self.limit, &mut candidates)?;
                let verify = |e| {
                    let read = legible * f64::from(others.get(e as usize).copied().unwrap_or(0.0));
                    Ok(self.verify_reading(document, e, bar, read, corrected))
                };
                Ok(Answer { found: found(self, &candidates, verify)?, truncated })
            };
            room::tried(run.iter().map(of_one))
        };
        room::all(on_threads(rows.chunks(64).collect(), threads, work))
    }

    /// Look many documents up.
    pub fn query_many(&self, rows: &[Row], threshold: f64, threads: usize) -> Roomy<Vec<Answer>> {
        self.answers(rows, threshold, self.limit, threads)
    }

    /// Of all that each document matches, whatever the length of a bucket, the nearest.
    pub fn nearest(&self, rows: &[Row], threshold: f64, threads: usize) -> Roomy<Vec<Option<Found>>> {
        let answers = self.answers(rows, threshold, usize::MAX, threads)?;
        room::collected(rows.iter().zip(answers).map(|(row, answer)| nearest(row.size, answer.found)))
    }

    fn answers(&self, rows: &[Row], threshold: f64, limit: usize, threads: usize) -> Roomy<Vec<Answer>> {
        let bar = self.bar(threshold);
        let work = |run: &[Row]| {
            run.first().into_iter().for_each(|row| self.prefetch(row));
            lookup::answers(self, run, bar, |place, candidates| {
                run.get(place + 1).into_iter().for_each(|row| self.prefetch(row));
                self.met(run[place], bar, limit, candidates)
            })
        };
        room::all::<_, NoRoom>(on_threads(rows.chunks(64).collect(), threads, work))
    }

    /// In the order given, add each document that matches none before it; its entry, or what it matched.
    pub fn add_unless_match(&mut self, row: Row, threshold: f64) -> Roomy<Result<Option<u32>, Answer>> {
        if let Some(entry) = self.same_set(row).filter(|_| self.slots == 0) {
            return Ok(Err(Answer { found: vec![Found { entry, agreement: row.size, size: row.size }], truncated: false }));
        }
        let answer = self.query(row, threshold)?;
        if answer.found.is_empty() {
            Ok(Ok(self.insert(&[row], 1)?[0]))
        } else {
            Ok(Err(answer))
        }
    }

    /// The fingerprints of entries in a range, a row each: collected from all postings.
    pub fn fingerprints(&self, range: Range<u32>, threads: usize) -> Roomy<Vec<u32>> {
        let n = range.len();
        let columns = on_threads(self.bands.iter().collect(), threads, |band: &Band| {
            let mut column = room::filled(0, n)?;
            band.each(|e, fingerprint| {
                if range.contains(&e) {
                    column[(e - range.start) as usize] = fingerprint;
                }
            });
            Ok(column)
        });
        let columns = columns.into_iter().collect::<Roomy<Vec<Vec<u32>>>>()?;
        let mut rows = Vec::new();
        room::reserve(&mut rows, n * columns.len())?;
        for i in 0..n {
            rows.extend(columns.iter().map(|column| column[i]));
        }
        Ok(rows)
    }

    /// One more than the highest entry ever made.
    pub fn len(&self) -> usize {
        self.entries.sizes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Bytes of memory: postings, evidence, and all else.
    pub fn nbytes(&self) -> [usize; 3] {
        let lists = 4 * (self.free.capacity() + self.legible.capacity());
        let known = &self.entries;
        let sketches = size_of::<Sketch>() * known.sketches.capacity() + known.sketches.iter().map(Sketch::nbytes).sum::<usize>();
        let columns = 8 * known.set_hashes.capacity() + 4 * known.sizes.capacity() + 8 * known.places.capacity();
        let postings = self.bands.iter().map(Band::nbytes).sum();
        [postings, known.pool.nbytes() + sketches, columns + lists + self.sets.allocation_size()]
    }
}
