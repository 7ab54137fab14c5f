//! How many shingle hashes of a document are distinct.

use crate::path::prefetch;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// Counts distinct shingle hashes: exactly up to 2^20, above by adaptive sampling (Flajolet 1990), in constant memory.
///
/// Most documents are counted by `count_once`. The hashes of the others gather in `pending`, and whenever those have become
/// four times as many, and at the end, they are made distinct, a part that fits into the cache at a time.
pub struct DistinctCounter {
    pending: Vec<u64>,
    /// How many pending there may be before they are made distinct.
    room: usize,
    /// Only hashes that begin with this many zero bits are counted any more.
    level: u32,
    /// Where a document repeats itself, most of what is pending already.
    known: Known,
    /// The pending by their first bits.
    parted: Vec<u64>,
    /// Words chosen by the first bits of a hash; two bits in each for its last bits.
    bits: Vec<u64>,
    /// Hashes that fell on a place where another was.
    suspects: Vec<u64>,
    /// Suspects that were seen, with linear probing; 0 is an empty place.
    seen: Vec<u64>,
    /// Odd, drawn at random: nobody can choose hashes that collide in `seen`. It does not change the count.
    multiplier: u64,
    /// Cells chosen by the first bits of a hash: the number of the last that fell there. Numbers go on from document to document,
    /// so that nothing is cleared in between: what is below `first` is of an earlier one.
    last: Vec<u16>,
    /// Of a hash that fell where another of its document was, the number of that one.
    before: Vec<u16>,
    /// The hashes that did, and the numbers of those ones.
    met: Vec<(u16, u16)>,
    first: usize,
}

impl Default for DistinctCounter {
    fn default() -> Self {
        DistinctCounter {
            pending: Vec::new(),
            room: 0,
            level: 0,
            known: Known::default(),
            parted: Vec::new(),
            bits: Vec::new(),
            suspects: Vec::new(),
            seen: Vec::new(),
            multiplier: RandomState::new().hash_one(0) | 1,
            last: Vec::new(),
            before: Vec::new(),
            met: Vec::new(),
            first: usize::MAX,
        }
    }
}

impl DistinctCounter {
    /// The most that are counted exactly.
    pub const LIMIT: usize = 1 << 20;
    /// The least room for the pending: they stay in the cache.
    const ROOM: usize = 1 << 18;
    /// Pending hashes in a part, in the mean.
    const PART: usize = 1 << 14;

    /// The most that `count_once` counts, and bits of the number of a cell.
    const ONCE: usize = 1 << 12;
    const CELL: u32 = 14;

    /// How many of these hashes, all that a document has, are distinct; None where that is better found by `insert_all`.
    ///
    /// A hash that falls into a cell where another is, seldom without being the same, is compared with all that fell there.
    #[inline(always)]
    pub fn count_once(&mut self, hashes: &[u64]) -> Option<u64> {
        let n = hashes.len();
        if n > Self::ONCE {
            return None;
        }
        if self.first.saturating_add(n) > 1 << 16 {
            self.last.clear();
            self.last.resize(1 << Self::CELL, 0);
            self.before.clear();
            self.before.resize(Self::ONCE, 0);
            self.met.resize(Self::ONCE, (0, 0));
            self.first = 1;
        }
        let (first, last, met) = (self.first, self.last.as_mut_slice(), self.met.as_mut_slice());
        self.first += n; // whatever becomes of this document, the next has other numbers
        let shift = 64 - (n.max(1).ilog2() + 5).min(Self::CELL);
        let mut many = 0;
        // Without a branch: whether a cell is taken cannot be guessed.
        for (i, &y) in hashes.iter().enumerate() {
            // SAFETY: the number of a cell has at most `CELL` bits, and there is a place for each hash.
            unsafe {
                let other = std::mem::replace(last.get_unchecked_mut((y >> shift) as usize), (first + i) as u16) as usize;
                *met.get_unchecked_mut(many) = (i as u16, other as u16);
                many += usize::from(other >= first);
            }
        }
        let (mut repeats, mut steps) = (0, 0);
        for &(i, other) in &met[..many] {
            let (i, mut other) = (i as usize, other as usize);
            self.before[i] = other as u16;
            while other >= first && hashes[other - first] != hashes[i] {
                other = self.before[other - first] as usize;
                steps += 1;
            }
            repeats += (other >= first) as u64;
            if steps > 4 * n {
                return None;
            }
        }
        Some(n as u64 - repeats)
    }

    /// Make ready for a document.
    pub fn clear(&mut self) {
        self.pending.clear();
        self.room = Self::ROOM;
        self.level = 0;
        self.known.learn(&[]);
    }

    /// Count some hashes.
    #[inline(always)]
    pub fn insert_all(&mut self, hashes: &[u64]) {
        if self.pending.len() + hashes.len() > self.room {
            let before = self.pending.len();
            self.settle();
            self.room = (4 * self.pending.len()).clamp(Self::ROOM, 2 * Self::LIMIT);
            let repeats = self.level == 0 && self.pending.len() <= Known::MOST.min(before / 2);
            self.known.learn(if repeats { &self.pending } else { &[] });
        }
        if self.known.some() {
            for (i, &y) in hashes.iter().enumerate() {
                hashes.get(i + 16).into_iter().for_each(|&ahead| prefetch(&self.known.buckets[self.known.bucket(ahead)]));
                if !self.known.has(y) {
                    self.pending.push(y);
                }
            }
        } else if self.level == 0 {
            self.pending.extend_from_slice(hashes);
        } else {
            let level = self.level;
            self.pending.extend(hashes.iter().filter(|&&y| y >> (64 - level) == 0));
        }
    }

    /// `shingle_count` of reference.py.
    #[inline(always)]
    pub fn count(&mut self) -> u64 {
        self.settle();
        (self.pending.len() as u64) << self.level
    }

    /// Make the pending hashes distinct; where too many are left, sample them.
    #[inline(always)]
    fn settle(&mut self) {
        let bits = (self.pending.len() / Self::PART).max(1).ilog2();
        let ends = self.part(bits);
        let (mut start, mut kept) = (0, 0);
        for end in ends {
            kept = self.distinct(start..end, kept, self.level + bits);
            start = end;
        }
        self.pending.truncate(kept);
        while self.pending.len() > Self::LIMIT {
            self.level += 1;
            let level = self.level;
            self.pending.retain(|&y| y >> (64 - level) == 0);
        }
    }

    /// Order the pending by the `bits` bits that follow those of the level. Where each part ends.
    #[inline(always)]
    fn part(&mut self, bits: u32) -> Vec<usize> {
        let n = self.pending.len();
        if bits == 0 {
            return vec![n];
        }
        let part_of = |y: u64| (y << self.level >> (64 - bits)) as usize;
        let mut ends = vec![0; 1 << bits];
        for &y in &self.pending {
            ends[part_of(y)] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            // At first it is where the part begins; it moves as the hashes come.
            total += std::mem::replace(end, total);
        }
        if self.parted.len() < n {
            self.parted.resize(n, 0);
        }
        for &y in &self.pending {
            let end = &mut ends[part_of(y)];
            self.parted[*end] = y;
            *end += 1;
        }
        std::mem::swap(&mut self.pending, &mut self.parted);
        ends
    }

    /// Move the distinct ones of the pending in a range, which begin with the same `skip` bits, to the place `kept` and on,
    /// which is not behind the range. Where they end.
    ///
    /// Each hash counts to two on the place on which it falls. Those that are alone on theirs are distinct, most of them.
    #[inline(always)]
    fn distinct(&mut self, range: Range<usize>, mut kept: usize, skip: u32) -> usize {
        let n = range.len();
        if n > 4 * Self::PART {
            self.pending[range.clone()].sort_unstable();
            let mut last = None;
            for i in range {
                let y = self.pending[i];
                self.pending[kept] = y;
                kept += (last.replace(y) != Some(y)) as usize;
            }
            return kept;
        }
        let width = (n / 4).max(1).ilog2() + 1;
        self.bits.clear();
        self.bits.resize(1 << width, 0);
        let bits = self.bits.as_mut_slice();
        for &y in &self.pending[range.clone()] {
            // SAFETY: a word has a number of `width` bits.
            let word = unsafe { bits.get_unchecked_mut((y << skip >> (64 - width)) as usize) };
            let bit = 1 << (y & 31);
            *word |= bit | (*word & bit) << 32;
        }
        if self.suspects.len() < n {
            self.suspects.resize(n, 0);
        }
        assert!(kept <= range.start && range.end <= self.pending.len());
        let mut suspected = 0;
        for i in range {
            // SAFETY: a word is as above, i is in the range, and each hash goes either to the suspects, which have room for
            // all of the range, or to where it came from or before.
            unsafe {
                let y = *self.pending.get_unchecked(i);
                let twice = (*bits.get_unchecked((y << skip >> (64 - width)) as usize) >> 32 >> (y & 31) & 1) as usize;
                *self.pending.get_unchecked_mut(kept) = y;
                *self.suspects.get_unchecked_mut(suspected) = y;
                kept += 1 - twice;
                suspected += twice;
            }
        }
        let size = (2 * suspected).max(8).ilog2() + 1;
        self.seen.clear();
        self.seen.resize(1 << size, 0);
        let (seen, mask) = (self.seen.as_mut_slice(), (1 << size) - 1);
        let mut zero = false;
        for &y in &self.suspects[..suspected] {
            let mut at = (y.wrapping_mul(self.multiplier) >> (64 - size)) as usize;
            while seen[at] != y && seen[at] != 0 {
                at = (at + 1) & mask;
            }
            let fresh = if y == 0 { !std::mem::replace(&mut zero, true) } else { std::mem::replace(&mut seen[at], y) != y };
            self.pending[kept] = y;
            kept += fresh as usize;
        }
        kept
    }
}

/// Hashes that are known, in buckets of one line of memory by their last bits. What a bucket has no room for is not known.
#[derive(Default)]
struct Known {
    buckets: Vec<Bucket>,
}

/// 0 is an empty place.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([u64; 8]);

impl Known {
    /// The most hashes: they stay in the cache.
    const MOST: usize = 1 << 16;

    /// Know these hashes, and no others.
    fn learn(&mut self, hashes: &[u64]) {
        self.buckets.clear();
        if hashes.is_empty() {
            return;
        }
        self.buckets.resize((hashes.len() / 4).next_power_of_two(), Bucket::default());
        for &y in hashes {
            let bucket = self.bucket(y);
            if let Some(place) = self.buckets[bucket].0.iter_mut().find(|place| **place == 0) {
                *place = y;
            }
        }
    }

    fn some(&self) -> bool {
        !self.buckets.is_empty()
    }

    #[inline(always)]
    fn bucket(&self, y: u64) -> usize {
        y as usize & (self.buckets.len() - 1)
    }

    #[inline(always)]
    fn has(&self, y: u64) -> bool {
        self.buckets[self.bucket(y)].0.iter().fold(false, |has, &known| has | (known == y)) && y != 0
    }
}
