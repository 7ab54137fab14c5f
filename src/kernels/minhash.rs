//! Shingle hashes to signatures (`lattice-v1`), signatures to band keys, and the count of distinct shingles.

use crate::hash::{mix32, mix64};
use crate::path::{Instructions, TILE};
use std::hash::{BuildHasher, RandomState};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const SEED: u64 = 0x9FB2_1C65_1E98_DF25;
/// Rounds before the lanes take over: repetitive text has many shingles and few distinct ones.
const ROUNDS: u32 = 4;
/// Shingles whose slots are found at once: they stay in the cache.
const CHUNK: usize = 256;
/// With no more than this many slots open after a round, each is settled by itself.
const FEW: usize = 8;

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
        let settled = (2 * shingles.len() > 3 * self.num_perm || self.stratum(values) < ROUNDS) && self.rounds(values, shingles);
        if !settled {
            // SAFETY: as the caller promised.
            unsafe { self.lanes::<P>(values, shingles) };
        }
    }

    /// Every slot for every shingle: an addition and a minimum each.
    #[inline(always)]
    unsafe fn lanes<P: Instructions>(&self, values: &mut [u32], shingles: &[u64]) {
        for (tile, chunk) in values.chunks_mut(TILE).enumerate() {
            let mut minima = [u32::MAX; TILE];
            minima[..chunk.len()].copy_from_slice(chunk);
            // SAFETY: as the caller promised.
            unsafe { P::lanes(&mut minima, (tile * TILE) as u32, shingles, 32 - self.bits) };
            chunk.copy_from_slice(&minima[..chunk.len()]);
        }
    }

    /// In round j a shingle's value lies in stratum j in exactly one slot; no later round lowers a slot that has one.
    /// Whether every slot is settled.
    #[inline(always)]
    fn rounds(&self, values: &mut [u32], shingles: &[u64]) -> bool {
        for round in 0..ROUNDS.min(1 << self.bits) {
            for chunk in shingles.chunks(CHUNK) {
                self.round(values, chunk, round);
            }
            let open = values.iter().filter(|&&v| v >> (32 - self.bits) > round).count();
            if open <= FEW {
                for (slot, value) in values.iter_mut().enumerate() {
                    if *value >> (32 - self.bits) > round {
                        *value = self.slot_minimum(*value, slot as u32, shingles);
                    }
                }
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn round(&self, values: &mut [u32], shingles: &[u64], round: u32) {
        let shift = 32 - self.bits;
        let mask = ((1u32 << self.bits) - 1) as u16;
        let (mut slots, mut lows) = ([0u16; CHUNK], [0u32; CHUNK]);
        for (&y, (slot, low)) in shingles.iter().zip(slots.iter_mut().zip(&mut lows)) {
            let (h, s) = (y as u32, (y >> 32) as u16 | 1);
            // Newton: s is its own inverse modulo 8, and each step doubles the correct bits; num_perm has at most 12.
            let inverse = s.wrapping_mul(2u16.wrapping_sub(s.wrapping_mul(s)));
            let inverse = inverse.wrapping_mul(2u16.wrapping_sub(s.wrapping_mul(inverse)));
            *slot = (round as u16).wrapping_sub((h >> shift) as u16).wrapping_mul(inverse) & mask;
            *low = h << self.bits >> self.bits | round << shift;
        }
        let found = slots.iter().zip(&lows).take(shingles.len());
        if values.len() == mask as usize + 1 {
            for (&slot, &low) in found {
                // SAFETY: a slot was masked to the length of values.
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

    /// The minimum of one slot over some shingles and the value it has.
    #[inline(always)]
    fn slot_minimum(&self, value: u32, slot: u32, shingles: &[u64]) -> u32 {
        let factor = slot << (32 - self.bits);
        shingles.iter().fold(value, |least, &y| least.min((y as u32).wrapping_add(((y >> 32) as u32 | 1).wrapping_mul(factor))))
    }

    /// The stratum of the highest slot.
    #[inline(always)]
    fn stratum(&self, values: &[u32]) -> u32 {
        values.iter().fold(0, |a, &b| a.max(b)) >> (32 - self.bits)
    }
}

/// Counts distinct shingle hashes: exactly up to 2^20, above by adaptive sampling (Flajolet 1990), in constant memory.
///
/// Two tables. In `first` a hash has one place; most are settled there without a branch. What finds its place taken goes to
/// `rest`, with linear probing. 0 is an empty place in both.
pub struct DistinctCounter {
    first: Vec<u64>,
    first_shift: u32,
    first_len: usize,
    rest: Vec<u64>,
    rest_shift: u32,
    rest_len: usize,
    /// Odd, drawn at random: nobody can choose hashes that collide here. It does not change the count.
    multiplier: u64,
    zero: bool,
    /// Only hashes that begin with this many zero bits are counted any more; then all are in `rest`.
    level: u32,
    taken: Vec<u64>,
    /// A bit for each place that a hash may fall on, for `count_once`.
    bits: Vec<u64>,
}

impl Default for DistinctCounter {
    fn default() -> Self {
        DistinctCounter {
            first: Vec::new(),
            first_shift: 0,
            first_len: 0,
            rest: vec![0; 16],
            rest_shift: 60,
            rest_len: 0,
            multiplier: RandomState::new().hash_one(0) | 1,
            zero: false,
            level: 0,
            taken: Vec::new(),
            bits: Vec::new(),
        }
    }
}

impl DistinctCounter {
    /// The most that are counted exactly.
    pub const LIMIT: usize = 1 << 20;
    /// Places of `first` at most: it stays in the cache.
    const FIRST: usize = 1 << 13;

    /// How many of these hashes, all that a document has, are distinct; None where that is better found by `insert_all`.
    ///
    /// Each hash sets a bit. Those that find theirs set are suspects: few, as there are many more bits than hashes, unless
    /// the text repeats itself. Their repetitions are counted one by one.
    #[inline(always)]
    pub fn count_once(&mut self, hashes: &[u64]) -> Option<u64> {
        const MOST: usize = 2800;
        const SUSPECTS: usize = 24;
        let n = hashes.len();
        if n > MOST {
            return None;
        }
        let width = (n * n / 8).max(512).ilog2() + 1;
        self.bits.clear();
        self.bits.resize(1 << (width - 6), 0);
        self.taken.resize(n, 0);
        let (bits, taken) = (self.bits.as_mut_slice(), self.taken.as_mut_slice());
        let mut suspects = 0;
        for &y in hashes {
            let place = y >> (64 - width);
            // SAFETY: a place has `width` bits, six of which choose the bit in a word.
            let word = unsafe { bits.get_unchecked_mut((place >> 6) as usize) };
            let old = *word;
            *word = old | 1 << (place & 63);
            // SAFETY: suspects grow by at most one a hash, and `taken` is as long as the hashes.
            *unsafe { taken.get_unchecked_mut(suspects) } = y;
            suspects += (old >> (place & 63) & 1) as usize;
        }
        if suspects > SUSPECTS {
            return None;
        }
        let suspects = &mut taken[..suspects];
        suspects.sort_unstable();
        let mut repeats = 0;
        for (i, &y) in suspects.iter().enumerate() {
            if i == 0 || suspects[i - 1] != y {
                repeats += hashes.iter().map(|&h| (h == y) as u64).sum::<u64>() - 1;
            }
        }
        Some(n as u64 - repeats)
    }

    /// Make ready for a document of about `expected` shingles.
    #[inline(always)]
    pub fn clear(&mut self, expected: usize) {
        let bits = (4 * expected).clamp(64, Self::FIRST).ilog2() + 1;
        self.first.clear();
        self.first.resize(1 << bits, 0);
        self.first_shift = 64 - bits;
        self.first_len = 0;
        if self.rest_len > 0 {
            self.rest.truncate(1 << 12);
            self.rest.fill(0);
            self.rest_shift = 64 - self.rest.len().ilog2();
            self.rest_len = 0;
        }
        self.zero = false;
        self.level = 0;
    }

    /// Count some hashes; the high halves of those that are new are appended to `out` where `KEEP`.
    #[inline(always)]
    pub fn insert_all<const KEEP: bool>(&mut self, hashes: &[u64], out: &mut Vec<u32>) {
        if self.level > 0 {
            for &y in hashes {
                if self.insert(y) && KEEP {
                    out.push((y >> 32) as u32);
                }
            }
            if self.len() > Self::LIMIT {
                self.grow();
            }
            return;
        }
        let (mut taken, mut kept) = (0, out.len());
        self.taken.resize(hashes.len(), 0);
        if KEEP {
            out.resize(kept + hashes.len(), 0);
        }
        let (first, list) = (self.first.as_mut_slice(), self.taken.as_mut_slice());
        assert!(first.len().trailing_zeros() == 64 - self.first_shift && list.len() == hashes.len());
        let (mut fresh, multiplier, shift) = (0, self.multiplier, self.first_shift);
        for &y in hashes {
            // SAFETY: the shift leaves as many bits as the length of `first` has places.
            let place = unsafe { first.get_unchecked_mut((y.wrapping_mul(multiplier) >> shift) as usize) };
            let old = *place;
            let now = if old == 0 { y } else { old };
            *place = now;
            if KEEP {
                out[kept] = (y >> 32) as u32;
                kept += (old == 0) as usize;
            }
            // SAFETY: taken grows by at most one a hash, and the list is as long as the hashes.
            *unsafe { list.get_unchecked_mut(taken) } = y;
            taken += (now != y) as usize;
            fresh += (old == 0) as usize;
        }
        if hashes.contains(&0) {
            // A 0 looks like an empty place: it was taken for new each time its place was empty.
            self.recount_first::<KEEP>(out, kept);
        } else {
            self.first_len += fresh;
            if KEEP {
                out.truncate(kept);
            }
        }
        let list = std::mem::take(&mut self.taken);
        for &y in &list[..taken] {
            if self.insert(y) && KEEP {
                out.push((y >> 32) as u32);
            }
        }
        self.taken = list;
        if self.len() > Self::LIMIT {
            self.grow();
        }
    }

    /// Set right what a hash of 0 confused. It is one of 2^64, or hostile.
    #[cold]
    fn recount_first<const KEEP: bool>(&mut self, out: &mut Vec<u32>, kept: usize) {
        if KEEP {
            // Perhaps one 0 too many: what is kept is made distinct at the end.
            out.truncate(kept);
            out.push(0);
        }
        self.first_len = self.first.iter().filter(|&&y| y != 0).count();
        self.zero = true;
    }

    /// Count a hash in `rest`; whether it was new, as far as that is known.
    #[inline]
    fn insert(&mut self, y: u64) -> bool {
        if self.level > 0 && y >> (64 - self.level) != 0 {
            return true;
        }
        if y == 0 {
            return !std::mem::replace(&mut self.zero, true);
        }
        let mask = self.rest.len() - 1;
        let mut at = (y.wrapping_mul(self.multiplier) >> self.rest_shift) as usize;
        while self.rest[at & mask] != 0 {
            if self.rest[at & mask] == y {
                return false;
            }
            at += 1;
        }
        self.rest[at & mask] = y;
        self.rest_len += 1;
        if 2 * self.rest_len > self.rest.len() || self.first_len + self.rest_len >= Self::LIMIT {
            self.grow();
        }
        true
    }

    #[cold]
    fn grow(&mut self) {
        let mut all: Vec<u64> = self.rest.iter().copied().filter(|&y| y != 0).collect();
        if self.len() > Self::LIMIT {
            all.extend(std::mem::take(&mut self.first).into_iter().filter(|&y| y != 0));
            self.first_len = 0;
            while all.len() + self.zero as usize > Self::LIMIT {
                self.level += 1;
                let level = self.level;
                all.retain(|&y| y >> (64 - level) == 0);
            }
        }
        let bits = (2 * all.len().max(8)).ilog2() + 1;
        self.rest.clear();
        self.rest.resize(1 << bits, 0);
        self.rest_shift = 64 - bits;
        self.rest_len = all.len();
        let mask = self.rest.len() - 1;
        for y in all {
            let mut at = (y.wrapping_mul(self.multiplier) >> self.rest_shift) as usize;
            while self.rest[at & mask] != 0 {
                at += 1;
            }
            self.rest[at & mask] = y;
        }
    }

    fn len(&self) -> usize {
        self.first_len + self.rest_len + self.zero as usize
    }

    /// `shingle_count` of reference.py.
    pub fn count(&self) -> u64 {
        (self.len() as u64) << self.level
    }
}

/// The slots in the frozen order in which bands take their rows.
pub fn row_order(num_perm: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..num_perm).collect();
    order.sort_by_key(|&k| (mix64(k as u64), k));
    order
}

/// One key a band: XXH3-64 of its rows' little-endian bytes, seeded with the band's number.
pub fn band_keys(values: &[u32], order: &[usize], rows: usize, keys: &mut [u64]) {
    let mut bytes = Vec::with_capacity(4 * rows);
    for (band, key) in keys.iter_mut().enumerate() {
        bytes.clear();
        bytes.extend(order[band * rows..(band + 1) * rows].iter().flat_map(|&k| values[k].to_le_bytes()));
        *key = xxh3_64_with_seed(&bytes, band as u64);
    }
}

/// `lean_signature` of reference.py, four slots a word. Shortened through a mix: all slots of one shingle share low bits.
pub fn lean_signature(values: &[u32], words: &mut [u32]) {
    words.fill(0);
    for (slot, &value) in values.iter().enumerate() {
        words[slot / 4] |= mix32(value ^ mix64(slot as u64) as u32) >> 24 << (slot % 4 * 8);
    }
}
