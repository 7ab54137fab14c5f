//! Shingle hashes to signatures (`lattice-v1`), signatures to band keys, and the count of distinct shingles.

use crate::hash::{mix32, mix64};
use crate::path::{prefetch, Instructions, Meetings, Path, CHUNK, TILE};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const SEED: u64 = 0x9FB2_1C65_1E98_DF25;
/// Rounds before the lanes take over: repetitive text has many shingles and few distinct ones.
const ROUNDS: u32 = 4;
/// The most slots that any path settles one by one.
const MOST: usize = 12;

/// The parameters of `lattice-v1`, with what follows from them.
pub struct Lattice {
    num_perm: usize,
    /// ceil(log2 num_perm)
    bits: u32,
    /// What is mixed into a shingle hash; 0 takes it as it is.
    seed: u64,
}

impl Lattice {
    pub fn new(num_perm: usize, seed: u64) -> Self {
        Lattice { num_perm, bits: (num_perm - 1).ilog2() + 1, seed: seed.wrapping_mul(SEED) }
    }

    pub fn num_perm(&self) -> usize {
        self.num_perm
    }

    /// Lower `values` to the minima over `shingles` too. The shingle hashes are overwritten.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    pub unsafe fn update<P: Instructions>(&self, values: &mut [u32], shingles: &mut [u64]) {
        if self.seed != 0 {
            shingles.iter_mut().for_each(|y| *y = mix64(*y ^ self.seed));
        }
        // SAFETY: as the caller promised.
        unsafe {
            // Of a document that has just begun no slot is settled.
            let worth = 4 * shingles.len() > 5 * self.num_perm || values[0] != u32::MAX && self.stratum(values) < ROUNDS;
            let shingles = self.lower(values, shingles);
            if !(worth && self.rounds::<P>(values, shingles)) {
                self.lanes::<P>(values, shingles);
            }
        }
    }

    /// The shingles that may lower a slot, moved to the front: in a long document, whose slots are all well within the first stratum, few.
    #[inline(always)]
    fn lower<'a>(&self, values: &[u32], shingles: &'a mut [u64]) -> &'a [u64] {
        let stratum = u32::MAX >> self.bits;
        if values[0] > stratum / 16 {
            return shingles; // as in any document that has just begun
        }
        let highest = values.iter().fold(0, |a, &b| a.max(b));
        if highest > stratum / 16 {
            return shingles;
        }
        let lowers = |y: u64| (y as u32 & stratum) < highest;
        let (mut few, whole) = (0, shingles.len() / 8 * 8);
        for start in (0..whole).step_by(8) {
            let Some(&some) = shingles[start..].first_chunk::<8>() else { break };
            // Seldom, and said of eight at a time.
            if some.iter().fold(false, |any, &y| any | lowers(y)) {
                for y in some {
                    shingles[few] = y;
                    few += usize::from(lowers(y));
                }
            }
        }
        for i in whole..shingles.len() {
            shingles[few] = shingles[i];
            few += 1;
        }
        &shingles[..few]
    }

    /// Every slot for every shingle: an addition and a minimum each.
    #[inline(always)]
    unsafe fn lanes<P: Instructions>(&self, values: &mut [u32], shingles: &[u64]) {
        for (tile, chunk) in values.chunks_mut(TILE).enumerate() {
            let first = (tile * TILE) as u32;
            // SAFETY: as the caller promised.
            unsafe {
                if let Some(minima) = chunk.first_chunk_mut() {
                    P::lanes(minima, first, shingles, 32 - self.bits);
                } else {
                    let mut minima = [u32::MAX; TILE];
                    minima[..chunk.len()].copy_from_slice(chunk);
                    P::lanes(&mut minima, first, shingles, 32 - self.bits);
                    chunk.copy_from_slice(&minima[..chunk.len()]);
                }
            }
        }
    }

    /// In round j a shingle's value lies in stratum j in exactly one slot; no later round lowers a slot that has one.
    /// Whether every slot is settled.
    #[inline(always)]
    unsafe fn rounds<P: Instructions>(&self, values: &mut [u32], shingles: &[u64]) -> bool {
        let mut meetings = Meetings { slots: [0; CHUNK], values: [0; CHUNK] };
        let rounds = ROUNDS.min(1 << self.bits);
        for round in 0..rounds {
            for chunk in shingles.chunks(CHUNK) {
                // SAFETY: as the caller promised.
                unsafe { P::meetings(chunk, round, self.bits, &mut meetings) };
                self.meet(values, &meetings, chunk.len());
            }
            let (mut open, last) = ([0; MOST], round + 1 == rounds);
            let (limit, few) = (round << (32 - self.bits) | u32::MAX >> self.bits, if last { MOST } else { P::FEW });
            // SAFETY: as the caller promised.
            let Some(found) = (unsafe { open_slots::<P>(values, limit, &mut open[..few]) }) else {
                continue;
            };
            for slots in open[..found].chunks(4) {
                // SAFETY: as the caller promised.
                unsafe {
                    if slots.len() > 2 {
                        self.settle::<P, 4>(values, slots, shingles);
                    } else {
                        self.settle::<P, 2>(values, slots, shingles);
                    }
                }
            }
            return true;
        }
        false
    }

    /// Lower at most `N` slots, one at least, to the minima over all shingles.
    #[inline(always)]
    unsafe fn settle<P: Instructions, const N: usize>(&self, values: &mut [u32], slots: &[usize], shingles: &[u64]) {
        let (mut each, mut minima, mut factors) = ([slots[0]; N], [0; N], [0; N]);
        each[..slots.len()].copy_from_slice(slots);
        for i in 0..N {
            (minima[i], factors[i]) = (values[each[i]], (each[i] as u32) << (32 - self.bits));
        }
        // SAFETY: as the caller promised.
        minima = unsafe { P::slot_minima(minima, factors, shingles) };
        for i in 0..N {
            values[each[i]] = minima[i];
        }
    }

    /// Lower the slots that some shingles meet.
    #[inline(always)]
    fn meet(&self, values: &mut [u32], meetings: &Meetings, n: usize) {
        let found = meetings.slots.iter().zip(&meetings.values).take(n);
        if values.len() == 1 << self.bits {
            for (&slot, &low) in found {
                // SAFETY: a slot has `bits` bits, and as many values are there as those count.
                let value = unsafe { values.get_unchecked_mut(slot as usize) };
                *value = (*value).min(low);
            }
        } else {
            for (&slot, &low) in found {
                if let Some(value) = values.get_mut(slot as usize) {
                    *value = (*value).min(low);
                }
            }
        }
    }

    /// The stratum of the highest slot.
    #[inline(always)]
    fn stratum(&self, values: &[u32]) -> u32 {
        values.iter().fold(0, |a, &b| a.max(b)) >> (32 - self.bits)
    }
}

/// Find the slots whose values are above a limit. How many they are; None where there is no room for them.
#[inline(always)]
unsafe fn open_slots<P: Instructions>(values: &[u32], limit: u32, open: &mut [usize]) -> Option<usize> {
    let mut found = 0;
    for (start, chunk) in values.chunks(64).enumerate() {
        let mut padded = [0; 64];
        let chunk = chunk.first_chunk::<64>().unwrap_or_else(|| {
            padded[..chunk.len()].copy_from_slice(chunk);
            &padded
        });
        // SAFETY: as the caller promised.
        let mut above = unsafe { P::above(chunk, limit) };
        if found + above.count_ones() as usize > open.len() {
            return None;
        }
        while above != 0 {
            open[found] = 64 * start + above.trailing_zeros() as usize;
            found += 1;
            above &= above - 1;
        }
    }
    Some(found)
}

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

/// The slots in the frozen order in which bands take their rows.
pub fn row_order(num_perm: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..num_perm).collect();
    order.sort_by_key(|&k| (mix64(k as u64), k));
    order
}

/// What a slot of a signature holds: 32 bits, or 64 where the scheme says so.
pub trait Value: Copy + bytemuck::Pod {
    const MAX: Self;
    fn to_le(self) -> Self;
    /// Eight bits of the value, mixed with those of its slot: all slots of one shingle share low bits.
    fn shortened(self, mask: u64) -> u8;
}

impl Value for u32 {
    const MAX: Self = u32::MAX;

    #[inline(always)]
    fn to_le(self) -> Self {
        self.to_le()
    }

    #[inline(always)]
    fn shortened(self, mask: u64) -> u8 {
        (mix32(self ^ mask as u32) >> 24) as u8
    }
}

impl Value for u64 {
    const MAX: Self = u64::MAX;

    #[inline(always)]
    fn to_le(self) -> Self {
        self.to_le()
    }

    #[inline(always)]
    fn shortened(self, mask: u64) -> u8 {
        (mix64(self ^ mask) >> 56) as u8
    }
}

/// One key a band of each of some signatures: XXH3-64 of its rows' little-endian bytes, seeded with the band's number.
pub fn band_keys<V: Value>(values: &[V], order: &[usize], bands: usize, rows: usize, keys: &mut [u64]) {
    let mut ordered = Vec::with_capacity(bands * rows);
    for (values, keys) in values.chunks_exact(order.len()).zip(keys.chunks_exact_mut(bands)) {
        ordered.clear();
        ordered.extend(order[..bands * rows].iter().map(|&k| values[k].to_le()));
        keys.iter_mut().zip(keys_of(&ordered, rows)).for_each(|(place, key)| *place = key);
    }
}

/// The band keys of one signature, whose slots, in order of row and little-endian, are given.
pub fn keys_of<V: Value>(ordered: &[V], rows: usize) -> impl Iterator<Item = u64> + '_ {
    ordered.chunks_exact(rows).enumerate().map(|(band, rows)| xxh3_64_with_seed(bytemuck::cast_slice(rows), band as u64))
}

/// What each slot of a lean signature is mixed with.
pub fn lean_masks(num_perm: usize) -> Vec<u64> {
    (0..num_perm).map(|slot| mix64(slot as u64)).collect()
}

/// `lean_signature` of reference.py of each of some signatures, four slots a word.
pub fn lean_signatures<V: Value>(values: &[V], masks: &[u64], words: &mut [u32], path: Path) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn avx2<V: Value>(values: &[V], masks: &[u64], words: &mut [u32]) {
            shortened(values, masks, words);
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512<V: Value>(values: &[V], masks: &[u64], words: &mut [u32]) {
            shortened(values, masks, words);
        }
        assert!(path.is_available(), "this processor has no {}", path.name());
        match path {
            Path::Portable => {}
            // SAFETY: the path is available.
            Path::Avx2 => return unsafe { avx2(values, masks, words) },
            // SAFETY: the path is available.
            Path::Avx512 => return unsafe { avx512(values, masks, words) },
        }
    }
    shortened(values, masks, words);
}

/// `lean_signatures`, compiled once a path.
#[inline(always)]
fn shortened<V: Value>(values: &[V], masks: &[u64], words: &mut [u32]) {
    let mut bytes = [0; 64];
    for (values, words) in values.chunks_exact(masks.len()).zip(words.chunks_exact_mut(masks.len().div_ceil(4))) {
        for ((values, masks), words) in values.chunks(64).zip(masks.chunks(64)).zip(words.chunks_mut(16)) {
            for ((byte, value), mask) in bytes.iter_mut().zip(values).zip(masks) {
                *byte = value.shortened(*mask);
            }
            bytes[values.len()..].fill(0);
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
                *word = u32::from_le_bytes(bytes.try_into().unwrap());
            }
        }
    }
}
