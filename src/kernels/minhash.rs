//! Shingle hashes to signatures (`lattice-v1`), signatures to band keys, and the count of distinct shingles.

use crate::hash::mix64;
use std::hash::{BuildHasher, RandomState};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const SEED: u64 = 0x9FB2_1C65_1E98_DF25;
/// Slots worked on at once: eight AVX-512 registers.
const TILE: usize = 128;
/// Rounds before the lanes take over: repetitive text has many shingles and few distinct ones.
const ROUNDS: u32 = 4;

/// The parameters of `lattice-v1`, with what follows from them.
pub struct Lattice {
    num_perm: usize,
    /// ceil(log2 num_perm)
    bits: u32,
    /// What is mixed into a shingle hash; 0 takes it as it is.
    seed: u64,
    /// Inverses of the odd numbers modulo 2^bits.
    inverse: Vec<u32>,
}

impl Lattice {
    pub fn new(num_perm: usize, seed: u64) -> Self {
        let bits = (num_perm - 1).ilog2() + 1;
        let inverse = (0..1u32 << bits)
            .map(|s| {
                let s = s | 1;
                // Newton: s is its own inverse modulo 8; each step doubles the correct bits.
                let x = s.wrapping_mul(2u32.wrapping_sub(s.wrapping_mul(s)));
                x.wrapping_mul(2u32.wrapping_sub(s.wrapping_mul(x)))
            })
            .collect();
        Lattice { num_perm, bits, seed: seed.wrapping_mul(SEED), inverse }
    }

    pub fn num_perm(&self) -> usize {
        self.num_perm
    }

    /// Lower `values` to the minima over `shingles` too. The shingle hashes are overwritten.
    #[inline(always)]
    pub fn update(&self, values: &mut [u32], shingles: &mut [u64]) {
        if self.seed != 0 {
            shingles.iter_mut().for_each(|y| *y = mix64(*y ^ self.seed));
        }
        if shingles.len() <= 3 * self.num_perm && self.stratum(values) >= ROUNDS {
            self.lanes(values, shingles);
        } else {
            self.rounds(values, shingles);
        }
    }

    /// Every slot for every shingle: an addition and a minimum each.
    #[inline(always)]
    fn lanes(&self, values: &mut [u32], shingles: &[u64]) {
        for (tile, chunk) in values.chunks_mut(TILE).enumerate() {
            let mut minima = [u32::MAX; TILE];
            minima[..chunk.len()].copy_from_slice(chunk);
            for &y in shingles {
                let step = ((y >> 32) as u32 | 1) << (32 - self.bits);
                let first = (y as u32).wrapping_add(step.wrapping_mul((tile * TILE) as u32));
                for (k, m) in minima.iter_mut().enumerate() {
                    *m = (*m).min(first.wrapping_add(step.wrapping_mul(k as u32)));
                }
            }
            chunk.copy_from_slice(&minima[..chunk.len()]);
        }
    }

    /// In round j a shingle's value lies in stratum j in exactly one slot; no later round lowers a slot that has one.
    #[inline(always)]
    fn rounds(&self, values: &mut [u32], shingles: &[u64]) {
        let shift = 32 - self.bits;
        let mask = (1u32 << self.bits) - 1;
        for round in 0..ROUNDS.min(mask + 1) {
            for &y in shingles {
                let h = y as u32;
                let slot = round.wrapping_sub(h >> shift).wrapping_mul(self.inverse[((y >> 32) as u32 & mask) as usize]) & mask;
                if let Some(value) = values.get_mut(slot as usize) {
                    *value = (*value).min(h << self.bits >> self.bits | round << shift);
                }
            }
            if self.stratum(values) <= round {
                return;
            }
        }
        self.lanes(values, shingles);
    }

    /// The stratum of the highest slot.
    #[inline(always)]
    fn stratum(&self, values: &[u32]) -> u32 {
        values.iter().fold(0, |a, &b| a.max(b)) >> (32 - self.bits)
    }
}

/// Counts distinct shingle hashes: exactly up to 2^20, above by adaptive sampling (Flajolet 1990), in constant memory.
pub struct DistinctCounter {
    /// Open addressing, linear probing, at most half full; 0 is an empty place.
    table: Vec<u64>,
    /// Odd, drawn at random: nobody can choose hashes that collide here. It does not change the count.
    multiplier: u64,
    shift: u32,
    len: usize,
    zero: bool,
    level: u32,
}

impl Default for DistinctCounter {
    fn default() -> Self {
        let multiplier = RandomState::new().hash_one(0) | 1;
        let mut counter = DistinctCounter { table: Vec::new(), multiplier, shift: 0, len: 0, zero: false, level: 0 };
        counter.resize(10);
        counter
    }
}

impl DistinctCounter {
    const LIMIT: usize = 1 << 20;

    fn resize(&mut self, bits: u32) {
        self.table.clear();
        self.table.resize(1 << bits, 0);
        self.shift = 64 - bits;
        self.len = 0;
    }

    /// Make ready for a document of about `expected` shingles.
    #[inline(always)]
    pub fn clear(&mut self, expected: usize) {
        let bits = (2 * expected.clamp(32, Self::LIMIT)).ilog2() + 1;
        self.resize(bits);
        self.zero = false;
        self.level = 0;
    }

    /// Whether the hash was new among those counted.
    #[inline(always)]
    pub fn insert(&mut self, y: u64) -> bool {
        if self.level > 0 && y >> (64 - self.level) != 0 {
            return true;
        }
        if y == 0 {
            return !std::mem::replace(&mut self.zero, true);
        }
        let mask = self.table.len() - 1;
        let mut at = (y.wrapping_mul(self.multiplier) >> self.shift) as usize;
        loop {
            let found = self.table[at & mask];
            if found == y {
                return false;
            }
            if found == 0 {
                self.table[at & mask] = y;
                self.len += 1;
                if self.len > self.table.len() / 2 || self.len > Self::LIMIT {
                    self.grow();
                }
                return true;
            }
            at += 1;
        }
    }

    #[cold]
    fn grow(&mut self) {
        while self.len + self.zero as usize > Self::LIMIT {
            self.level += 1;
            let level = self.level;
            let kept: Vec<u64> = self.table.iter().copied().filter(|&y| y != 0 && y >> (64 - level) == 0).collect();
            self.refill(64 - self.shift, kept);
        }
        if self.len > self.table.len() / 2 {
            let kept = self.table.iter().copied().filter(|&y| y != 0).collect();
            self.refill(65 - self.shift, kept);
        }
    }

    fn refill(&mut self, bits: u32, kept: Vec<u64>) {
        self.resize(bits);
        let mask = self.table.len() - 1;
        for &y in &kept {
            let mut at = (y.wrapping_mul(self.multiplier) >> self.shift) as usize;
            while self.table[at & mask] != 0 {
                at += 1;
            }
            self.table[at & mask] = y;
        }
        self.len = kept.len();
    }

    /// `shingle_count` of reference.py.
    pub fn count(&self) -> u64 {
        ((self.len + self.zero as usize) as u64) << self.level
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
