//! Shingle hashes to signatures (`lattice-v1`), and signatures to band keys and to lean signatures.

use crate::hash::{mix32, mix64};
use crate::path::{Instructions, Meetings, Path, Work, CHUNK, TILE};
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
    path.run(Shortening { values, masks, words });
}

/// Signatures, and where their lean ones go.
struct Shortening<'a, V> {
    values: &'a [V],
    masks: &'a [u64],
    words: &'a mut [u32],
}

impl<V: Value> Work for Shortening<'_, V> {
    type Output = ();

    #[inline(always)]
    unsafe fn by<P: Instructions>(self) {
        let Shortening { values, masks, words } = self;
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
}
