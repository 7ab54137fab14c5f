//! An index on disk as it is searched: segments in order of insertion, and after them the tail, a store in memory.

use crate::bar::Bar;
use crate::hash::mix64;
use crate::lookup::{self, nearest, Evidence, Row};
use crate::mapped::{Checked, Unread};
use crate::path::prefetch;
use crate::radix::{sort_by_number, sort_by_two};
use crate::room;
use crate::segment::{Removed, Segment};
use crate::store::{Refused, Store};
use crate::table::Table;
use crate::threads::on_threads;
use std::sync::Arc;

/// Entries and documents are found in a segment, by its place, or in the tail, whose place is after all of theirs.
pub type Place = (u32, u32);

pub type Found = lookup::Found<Place>;
pub type Answer = lookup::Answer<Place>;

pub struct Segments {
    pub segments: Vec<(Arc<Segment>, Removed)>,
    pub tail: Store,
    limit: usize,
    slots: usize,
    bands: usize,
}

/// Working memory of look-ups: a band and a place each.
type Candidates = Vec<(u32, Place)>;

/// Candidates whose evidence is asked for before it is needed.
const AHEAD: usize = 4;

impl Evidence for Segments {
    type Entry = Place;
    type Error = Unread;

    #[inline]
    fn read(&self, (place, entry): Place) -> Checked<(u32, &[u32])> {
        if self.is_tail((place, entry)) {
            return Ok(self.tail.table.read(entry)?);
        }
        self.segments[place as usize].0.sized_evidence(entry)
    }

    #[inline]
    fn ahead(&self, candidates: &[Place], place: usize) {
        if let Some(Ok((_, evidence))) = candidates.get(place + AHEAD).map(|&entry| self.read(entry)) {
            evidence.chunks(16).take(4).for_each(|line| prefetch(&line[0]));
        }
    }

    fn number(place: Place) -> (u32, u32) {
        place
    }
}

impl Segments {
    pub fn new(bands: usize, limit: usize, slots: usize) -> Self {
        Segments { segments: Vec::new(), tail: Store::new(Table::new(bands, limit, slots)), limit, slots, bands }
    }

    /// Put segments in the place of some that follow one another, and empty the tail where they hold what was in it.
    pub fn replace(&mut self, first: usize, last: usize, segments: Vec<(Arc<Segment>, Removed)>, tail: bool) {
        self.segments.splice(first..last, segments);
        if tail {
            self.tail = Store::new(Table::new(self.bands, self.limit, self.slots));
        }
    }

    /// Whether a place is the tail's.
    pub fn is_tail(&self, place: Place) -> bool {
        place.0 as usize == self.segments.len()
    }

    /// Documents that were not removed.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|(s, removed)| s.documents() - removed.len()).sum::<usize>() + self.tail.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The document of this id.
    pub fn find(&self, id: &[u8]) -> Checked<Option<Place>> {
        if let Some(document) = self.tail.ids.find(id) {
            return Ok(Some((self.segments.len() as u32, document)));
        }
        for place in (0..self.segments.len()).rev() {
            let (segment, removed) = &self.segments[place];
            if let Some(document) = segment.find(id)?.into_iter().find(|&d| !removed.has(d)) {
                return Ok(Some((place as u32, document)));
            }
        }
        Ok(None)
    }

    /// Remove the document of this id. Whether it was there.
    pub fn remove(&mut self, id: &[u8]) -> Checked<bool> {
        let Some(place) = self.find(id)? else { return Ok(false) };
        if self.is_tail(place) {
            return Ok(self.tail.remove(id));
        }
        let (segment, removed) = &mut self.segments[place.0 as usize];
        removed.insert(segment, place.1)?;
        Ok(true)
    }

    /// The document of this id, of which all is read that is read when it is removed: none of it is damaged.
    pub fn removable(&self, id: &[u8]) -> Checked<Option<Place>> {
        let Some(place) = self.find(id)? else { return Ok(None) };
        if let (false, Some((segment, entry))) = (self.is_tail(place), self.entry(place)?) {
            self.segments[segment as usize].0.members(entry)?;
        }
        Ok(Some(place))
    }

    /// Give the document of this id another content, in the tail. Whether it was there.
    pub fn update(&mut self, id: &[u8], row: Row) -> Checked<Result<bool, Refused>> {
        let Some(place) = self.removable(id)? else { return Ok(Ok(false)) };
        if self.is_tail(place) {
            return Ok(self.tail.replace(id, row).map_err(Refused::NoRoom));
        }
        if let Err(refused) = self.tail.add(&[id], &[row], 1) {
            return Ok(Err(refused));
        }
        let (segment, removed) = &mut self.segments[place.0 as usize];
        removed.insert(segment, place.1)?;
        Ok(Ok(true))
    }

    /// The entry of a document; None when it has no shingles.
    pub fn entry(&self, (place, document): Place) -> Checked<Option<Place>> {
        let entry = if self.is_tail((place, document)) {
            self.tail.ids.entry(document)
        } else {
            self.segments[place as usize].0.entry(document)?
        };
        Ok(entry.map(|entry| (place, entry)))
    }

    fn set_hash(&self, (place, entry): Place) -> Checked<u64> {
        if self.is_tail((place, entry)) {
            return Ok(self.tail.table.set_hash(entry));
        }
        self.segments[place as usize].0.set_hash(entry)
    }

    /// Entries of a document's fingerprints, distinct, in order of place. Whether a bucket was longer than `limit`.
    fn candidates(&self, fingerprints: &[u32], limit: usize, out: &mut Candidates) -> Checked<bool> {
        out.clear();
        let (most, mut room) = (limit.saturating_add(1), Ok(()));
        for (place, (segment, removed)) in (0..).zip(&self.segments) {
            segment.candidates(fingerprints, removed, most, |band, entry| room::push(out, (band as u32, (place, entry)), &mut room))?;
        }
        let tail = self.segments.len() as u32;
        for (band, &fingerprint) in (0..).zip(fingerprints) {
            self.tail.table.bucket(band as usize, fingerprint, most, |entry| room::push(out, (band, (tail, entry)), &mut room));
        }
        room?;
        let truncated = out.len() > limit && self.bound(limit, out)?;
        // Look-alikes share many bands.
        sort_by_two(out, |&(_, (place, _))| place, |&(_, (_, entry))| entry)?;
        out.dedup_by_key(|&mut (_, place)| place);
        Ok(truncated)
    }

    /// Of each band's candidates, leave the entries of its `limit` first shingle sets in order of priority. Whether any had more.
    fn bound(&self, limit: usize, out: &mut Candidates) -> Checked<bool> {
        let mut truncated = false;
        let mut members = room::filled(0usize, self.bands)?;
        out.iter().for_each(|&(band, _)| members[band as usize] += 1);
        if members.into_iter().all(|many| many <= limit) {
            return Ok(false);
        }
        sort_by_number(out, |&(band, _)| band, |&(_, (_, entry))| entry)?;
        let mut kept = Vec::new();
        room::reserve(&mut kept, out.len())?;
        for bucket in out.chunk_by(|a, b| a.0 == b.0) {
            if bucket.len() <= limit {
                kept.extend_from_slice(bucket);
                continue;
            }
            let member = |&(band, place): &(u32, Place)| Ok((mix64(self.set_hash(place)? ^ band as u64), (band, place)));
            let mut members = room::tried::<_, Unread>(bucket.iter().map(member))?;
            members.sort_unstable_by_key(|&(priority, _)| priority);
            let sets = members.chunk_by(|a, b| a.0 == b.0);
            truncated |= sets.clone().nth(limit).is_some();
            kept.extend(sets.take(limit).flatten().map(|&(_, candidate)| candidate));
        }
        *out = kept;
        Ok(truncated)
    }

    /// All candidates of a document, in order. Whether there may be more.
    fn met(&self, row: Row, limit: usize, scratch: &mut Candidates, candidates: &mut Vec<Place>) -> Checked<bool> {
        candidates.clear();
        if row.size == 0 {
            return Ok(false);
        }
        let truncated = self.candidates(row.fingerprints, limit, scratch)?;
        room::double(candidates, scratch.len())?;
        candidates.extend(scratch.iter().map(|&(_, place)| place));
        if truncated {
            // A copy is found whatever a bounded look-up left out.
            for (place, (segment, removed)) in (0..).zip(&self.segments) {
                candidates.extend(segment.same_set(row)?.filter(|&entry| removed.lives(entry)).map(|entry| (place, entry)));
            }
            candidates.extend(self.tail.table.same_set(row).map(|entry| (self.segments.len() as u32, entry)));
            candidates.sort_unstable();
            candidates.dedup();
        }
        Ok(truncated)
    }

    /// Look many documents up.
    pub fn query(&self, rows: &[Row], threshold: f64, threads: usize) -> Checked<Vec<Answer>> {
        self.answers(rows, threshold, self.limit, threads)
    }

    /// Of all that each document matches, whatever the length of a bucket, the nearest.
    pub fn nearest(&self, rows: &[Row], threshold: f64, threads: usize) -> Checked<Vec<Option<Found>>> {
        let answers = self.answers(rows, threshold, usize::MAX, threads)?;
        Ok(room::collected(rows.iter().zip(answers).map(|(row, answer)| nearest(row.size, answer.found)))?)
    }

    fn answers(&self, rows: &[Row], threshold: f64, limit: usize, threads: usize) -> Checked<Vec<Answer>> {
        let bar = Bar::new(threshold, self.slots);
        let work = |run: &[Row]| {
            let mut scratch = Vec::new();
            lookup::answers(self, run, bar, |place, candidates| self.met(run[place], limit, &mut scratch, candidates))
        };
        room::all(on_threads(rows.chunks(64).collect(), threads, work))
    }

    /// Visit the ids of the documents that were not removed, of an entry that lives: there is one.
    pub fn members(&self, (place, entry): Place, mut visit: impl FnMut(&[u8])) -> Checked<()> {
        if self.is_tail((place, entry)) {
            self.tail.ids.members(entry).for_each(|document| visit(self.tail.ids.id(document)));
            return Ok(());
        }
        let (segment, removed) = &self.segments[place as usize];
        let mut any = false;
        for &document in segment.members(entry)?.as_slice() {
            if !removed.has(document) {
                visit(segment.id(document)?);
                any = true;
            }
        }
        any.then_some(()).ok_or(segment.segment.damage(0))
    }

    /// How many entries there are at a place, removed ones too.
    pub fn entries(&self, place: usize) -> u32 {
        self.segments.get(place).map_or(self.tail.table.len(), |(segment, _)| segment.entries()) as u32
    }

    /// The documents at a place, removed ones too.
    pub fn documents(&self, place: usize) -> u32 {
        self.segments.get(place).map_or(self.tail.ids.mark(), |(segment, _)| segment.documents()) as u32
    }

    /// Whether a document was not removed.
    pub fn is_there(&self, (place, document): Place) -> bool {
        match self.segments.get(place as usize) {
            Some((_, removed)) => !removed.has(document),
            None => self.tail.ids.is_there(document),
        }
    }

    pub fn id(&self, (place, document): Place) -> Checked<&[u8]> {
        match self.segments.get(place as usize) {
            Some((segment, _)) => segment.id(document),
            None => Ok(self.tail.ids.id(document)),
        }
    }

    /// The fingerprints of entries at a place, a row each; of the tail, all that there are.
    pub fn fingerprints(&self, place: usize, entries: &[u32]) -> Checked<Vec<u32>> {
        let mut rows = Vec::new();
        room::reserve(&mut rows, entries.len() * self.bands)?;
        if place == self.segments.len() {
            let all = self.tail.table.fingerprints(0..self.tail.table.len() as u32, 1)?;
            for &entry in entries {
                rows.extend_from_slice(&all[entry as usize * self.bands..][..self.bands]);
            }
            return Ok(rows);
        }
        for &entry in entries {
            for band in 0..self.bands {
                rows.push(self.segments[place].0.fingerprint(entry, band)?);
            }
        }
        Ok(rows)
    }

    /// The set hash, the distinct shingles and the evidence of an entry.
    pub fn row(&self, entry: Place) -> Checked<(u64, u32, &[u32])> {
        let (size, evidence) = self.read(entry)?;
        Ok((self.set_hash(entry)?, size, evidence))
    }

    /// The buckets of a band with more members than `limit`: how many, and the first of them.
    pub fn heavy(&self, band: usize, limit: usize) -> Checked<Vec<(usize, Place)>> {
        // A bucket of more than `limit` has more than its share somewhere.
        let least = limit / (self.segments.len() + 1);
        let mut fingerprints = self.tail.table.heavy(band, least);
        for (segment, _) in &self.segments {
            fingerprints.extend(segment.heavy(band, least)?);
        }
        fingerprints.sort_unstable();
        fingerprints.dedup();
        let mut heavy = Vec::new();
        for fingerprint in fingerprints {
            let (mut places, mut room): (Vec<Place>, _) = (Vec::new(), Ok(()));
            for (place, (segment, removed)) in (0..).zip(&self.segments) {
                segment.bucket(band, fingerprint, removed, |entry| room::push(&mut places, (place, entry), &mut room))?;
            }
            let tail = self.segments.len() as u32;
            self.tail.table.bucket(band, fingerprint, usize::MAX, |entry| room::push(&mut places, (tail, entry), &mut room));
            room?;
            let mut members = room::tried::<_, Unread>(places.into_iter().map(|place| Ok((self.set_hash(place)?, place))))?;
            members.sort_unstable();
            members.dedup_by_key(|&mut (set_hash, _)| set_hash);
            if members.len() > limit {
                heavy.push((members.len(), members[0].1));
            }
        }
        Ok(heavy)
    }
}
