//! Verification: how much two documents share, compared by their verification hashes (sorted, distinct).

use crate::room;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How often two unlike slots agree in their 8 bits.
const CHANCE: f64 = 1.0 / 256.0;

/// Jaccard similarity of sets of `n` and `m` that share `both`; 0 when both are empty.
#[inline(always)]
pub fn similarity(both: usize, n: usize, m: usize) -> f64 {
    if n + m == 0 {
        return 0.0;
    }
    both as f64 / (n + m - both) as f64
}

/// The smallest intersection at which sets of `n` and `m` match, or min(n, m) + 1 where none does.
///
/// The predicate decides, monotone in `both`; the product only says where to begin.
#[inline]
pub fn least_intersection(n: usize, m: usize, threshold: f64) -> usize {
    let most = n.min(m);
    let mut both = ((threshold / (1.0 + threshold) * (n + m) as f64) as usize).clamp(1, most + 1);
    while both > 1 && similarity(both - 1, n, m) >= threshold {
        both -= 1;
    }
    while both <= most && similarity(both, n, m) < threshold {
        both += 1;
    }
    both
}

/// The smallest number of `n` shingles whose share is at the threshold or above, or `n` + 1 where none is.
#[inline]
pub fn least_share(n: usize, threshold: f64) -> usize {
    // The predicate decides; the product, rounded down, is never too high to begin with.
    let mut both = ((threshold * n as f64) as usize).clamp(1, n + 1);
    while both <= n && (both as f64 / n as f64) < threshold {
        both += 1;
    }
    both
}

/// The least number of shingles that readings of one text share, of `n` and `m`, of which so much was read rightly: a bound
/// below which `corrected_similarity` of reference.py is less than the threshold, whatever the rounding.
#[inline]
pub fn least_read(n: usize, m: usize, legible: f64, threshold: f64) -> usize {
    let (low, high) = (n.min(m) as f64, n.max(m) as f64);
    let least = threshold * legible * (low * high).sqrt() * (high / low) * (1.0 - 1e-9);
    let below = least as usize;
    below + usize::from((below as f64) < least) // no instruction rounds up on every processor
}

/// Verification hashes below this are an eighth of all.
const EIGHTH: u32 = 1 << 29;

/// Whether two documents may share `least` hashes, as the first eighth of them says: no when it has fewer in common than
/// expected by four standard deviations, which is a mistake once in 30,000 times.
#[inline]
pub fn may_share(a: &[u32], b: &[u32], least: usize) -> bool {
    let expected = least as f64 / 8.0;
    let few = expected - 4.0 * expected.sqrt();
    if few <= 0.0 {
        return true;
    }
    let (mut i, mut j, mut both) = (0, 0, 0);
    while let (Some(&x), Some(&y)) = (a.get(i), b.get(j)) {
        if x.max(y) >= EIGHTH {
            break;
        }
        both += (x == y) as usize;
        i += (x <= y) as usize;
        j += (y <= x) as usize;
    }
    both as f64 >= few
}

/// The first 16 bits of the hashes of a document that is compared with many: whether any hash has them.
///
/// Another document shares no more of its hashes than there are whose first bits are among these. To count those takes a fifth of
/// the time of a comparison, as nothing waits for what was before.
pub struct Beginnings(Box<[bool; 1 << 16]>);

impl Beginnings {
    /// None where there is no room for them.
    pub fn of(hashes: &[u32]) -> Option<Self> {
        let mut all: Box<[bool; 1 << 16]> = room::filled(false, 1 << 16).ok()?.try_into().ok()?;
        hashes.iter().for_each(|&hash| all[(hash >> 16) as usize] = true);
        Some(Beginnings(all))
    }

    /// Whether another document may share `least` hashes: where it does, it may.
    pub fn may_share(&self, hashes: &[u32], least: usize) -> bool {
        let (mut most, mut rest) = (0, hashes.len());
        for some in hashes.chunks(64) {
            most += some.iter().map(|hash| self.0[(hash >> 16) as usize] as usize).sum::<usize>();
            rest -= some.len();
            if most + rest < least {
                return false;
            }
        }
        true
    }
}

/// Documents that are compared with others at a time.
pub const TOGETHER: usize = 8;

/// The same of up to eight documents: which of them have a hash that begins so, a bit each. A hash of another is looked up once
/// for all.
pub struct ManyBeginnings(Box<[u8; 1 << 16]>);

impl ManyBeginnings {
    /// Of each byte that can be: its bits, a byte each.
    const SPREAD: [u64; 256] = {
        let mut spread = [0; 256];
        let mut bits = 0;
        while bits < 256 {
            let mut bit = 0;
            while bit < 8 {
                spread[bits] |= (bits as u64 >> bit & 1) << (8 * bit);
                bit += 1;
            }
            bits += 1;
        }
        spread
    };

    /// None where there is no room for them.
    pub fn of<'a>(documents: impl Iterator<Item = &'a [u32]>) -> Option<Self> {
        let mut all: Box<[u8; 1 << 16]> = room::filled(0, 1 << 16).ok()?.try_into().ok()?;
        for (bit, hashes) in documents.take(TOGETHER).enumerate() {
            hashes.iter().for_each(|&hash| all[(hash >> 16) as usize] |= 1 << bit);
        }
        Some(ManyBeginnings(all))
    }

    /// The documents, a bit each, with which another may share as many hashes as is the least for each.
    pub fn may_share(&self, hashes: &[u32], least: &[usize; TOGETHER]) -> u8 {
        let (mut most, mut rest, mut may) = ([0usize; TOGETHER], hashes.len(), 0);
        for some in hashes.chunks(64) {
            let counts = some.iter().map(|hash| Self::SPREAD[self.0[(hash >> 16) as usize] as usize]).sum::<u64>().to_le_bytes();
            rest -= some.len();
            may = 0;
            for (bit, ((most, count), &least)) in most.iter_mut().zip(counts).zip(least).enumerate() {
                *most += count as usize;
                may |= u8::from(*most + rest >= least) << bit;
            }
            if may == 0 {
                break;
            }
        }
        may
    }
}

/// Documents of so many times the length of another are not read through for it.
const LONGER: usize = 16;

/// The same of a short document and a long one, by a search for each hash of the short.
fn intersection_with_long(short: &[u32], long: &[u32], least: usize) -> Option<usize> {
    let (mut rest, mut both) = (long, 0);
    for (i, hash) in short.iter().enumerate() {
        if both + short.len() - i < least {
            return None;
        }
        let mut reach = 1;
        while reach < rest.len() && rest[reach] < *hash {
            reach *= 2;
        }
        rest = &rest[rest[..rest.len().min(reach)].partition_point(|h| h < hash)..];
        both += rest.first().is_some_and(|h| h == hash) as usize;
    }
    (both >= least).then_some(both)
}

/// How many hashes two documents share, or None as soon as it is clear that they are fewer than `least`.
///
/// Four hashes are compared with four at a time, all with all, and those of the smaller last one are left behind: the compiler has
/// vectors for it, and a comparison of one with one guesses wrongly half the time or waits for the one before.
#[inline]
pub fn intersection(a: &[u32], b: &[u32], least: usize) -> Option<usize> {
    let (mut i, mut j, mut both) = (0, 0, 0);
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    if short.len() < least {
        return None;
    }
    if short.len() * LONGER < long.len() {
        return intersection_with_long(short, long, least);
    }
    while i + 4 <= a.len() && j + 4 <= b.len() {
        // Copies have long runs in common.
        while let (Some(x), Some(y)) = (a.get(i..i + 8), b.get(j..j + 8)) {
            if x != y {
                break;
            }
            (i, j, both) = (i + 8, j + 8, both + 8);
        }
        // Some steps without a check: then the rest must still be able to reach `least`.
        let mut same = [0; 4];
        for _ in 0..4 {
            let (Some(x), Some(y)) = (four(a, i), four(b, j)) else { break };
            for hash in y {
                for k in 0..4 {
                    same[k] += (x[k] == *hash) as u32;
                }
            }
            i += 4 * (x[3] <= y[3]) as usize;
            j += 4 * (y[3] <= x[3]) as usize;
        }
        both += same.iter().sum::<u32>() as usize;
        if both + (a.len() - i).min(b.len() - j) < least {
            return None;
        }
    }
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        both += (x == y) as usize;
        i += (x <= y) as usize;
        j += (y <= x) as usize;
    }
    let both = both.min(short.len()); // more only where they are not distinct
    (both >= least).then_some(both)
}

/// Four hashes from a place on.
#[inline(always)]
fn four(hashes: &[u32], from: usize) -> Option<&[u32; 4]> {
    hashes.get(from..)?.first_chunk()
}

/// The least number of equal slots, of `slots`, at which the similarity estimated from lean signatures reaches the
/// threshold, or `slots` + 1 where none does.
pub fn least_equal_slots(slots: usize, threshold: f64) -> usize {
    // The predicate decides, monotone in `equal`; the product only says where to begin.
    let begin = (((threshold * (1.0 - CHANCE) + CHANCE) * slots as f64) as usize).saturating_sub(1).min(slots);
    let begin = if estimated_similarity(begin, slots) >= threshold { 0 } else { begin };
    (begin..=slots).find(|&equal| estimated_similarity(equal, slots) >= threshold).unwrap_or(slots + 1)
}

/// The similarity of which `equal` of so many 8-bit slots speak: 1 of 256 others agrees by chance.
fn estimated_similarity(equal: usize, slots: usize) -> f64 {
    (equal as f64 / slots as f64 - CHANCE) / (1.0 - CHANCE)
}

/// The similarity of a document of `n` shingles and one of `m` that has so many of them, and the containment.
pub fn scores(shared: u32, n: u32, m: u32) -> (f64, f64) {
    let (shared, n, m) = (f64::from(shared), f64::from(n), f64::from(m));
    (shared / (n + m - shared), shared / n)
}

/// The same of documents whose lean signatures agree in so many slots, as they speak of it: `estimated_similarity` of
/// reference.py, and no more contained than their sizes allow.
pub fn estimated_scores(equal: u32, slots: usize, n: u32, m: u32) -> (f64, f64) {
    let (n, m) = (f64::from(n), f64::from(m));
    let similarity = estimated_similarity(equal as usize, slots).max(0.0).min(n.min(m) / n.max(m));
    let containment = similarity * (n + m) / ((1.0 + similarity) * n);
    (similarity, containment.min(m / n).min(1.0))
}

/// In how many of the `slots` bytes two lean signatures agree. Bytes that fill the last word up are 0 in both.
pub fn equal_slots(a: &[u32], b: &[u32], slots: usize) -> usize {
    let mut equal = 0;
    for (a, b) in a.chunks(255).zip(b.chunks(255)) {
        let mut sums = 0u32; // a sum in each byte, of at most 255
        for (x, y) in a.iter().zip(b) {
            let differ = x ^ y;
            let low_bits = (differ & 0x7F7F_7F7F) + 0x7F7F_7F7F; // bit 7 of a byte: whether any of its lower bits differs
            sums += !(low_bits | differ) >> 7 & 0x0101_0101;
        }
        equal += sums.to_le_bytes().iter().map(|&sum| sum as usize).sum::<usize>();
    }
    (equal + slots).saturating_sub(4 * a.len())
}

/// Working memory of `sort_distinct`.
#[derive(Default)]
pub struct SortScratch {
    sorted: Vec<u32>,
    /// Of each bucket, how many hashes it has; then the next place in it, counted from that of the first of its eight buckets.
    places: Vec<u8>,
    /// The first place of each eight buckets.
    eights: Vec<u32>,
}

/// Sort hashes and move the distinct ones to the front; how many they are.
///
/// Hashes are spread evenly, so one pass by their first bits, of which there are some more values than hashes, puts each
/// close to its place, and exchanges of neighbours finish. Those of a hostile document need not be: then an ordinary sort does it.
#[inline(always)]
pub fn sort_distinct(hashes: &mut [u32], scratch: &mut SortScratch) -> usize {
    if !(64..1 << 16).contains(&hashes.len()) || !spread(hashes, scratch) {
        hashes.sort_unstable();
    }
    if neighbours(hashes, |a, b| a == b) == 0 {
        return hashes.len();
    }
    let mut distinct = 0;
    for i in 0..hashes.len() {
        if i == 0 || hashes[distinct - 1] != hashes[i] {
            hashes[distinct] = hashes[i];
            distinct += 1;
        }
    }
    distinct
}

/// One in each of eight bytes.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Sort hashes that are spread evenly; whether they are, otherwise they stay as they were.
#[inline(always)]
fn spread(hashes: &mut [u32], scratch: &mut SortScratch) -> bool {
    let n = hashes.len();
    let shift = 31 - n.ilog2();
    let SortScratch { sorted, places, eights } = scratch;
    places.clear();
    places.resize(2 << n.ilog2(), 0);
    eights.resize(eights.len().max(places.len() / 8), 0);
    sorted.resize(sorted.len().max(n), 0);
    for &h in hashes.iter() {
        // SAFETY: a bucket has one bit more than the logarithm of n, and as many places are there as those count.
        let place = unsafe { places.get_unchecked_mut((h >> shift) as usize) };
        *place = place.wrapping_add(1);
    }
    let (mut before, mut crowded) = (0, 0);
    for (places, eight) in places.as_chunks_mut().0.iter_mut().zip(eights.iter_mut()) {
        let counts = u64::from_le_bytes(*places);
        crowded |= counts;
        // The product has in each byte the sum of those up to it.
        let sums = counts.wrapping_mul(ONES);
        *places = (sums << 8).to_le_bytes();
        *eight = before;
        before += (sums >> 56) as u32;
    }
    // Where no bucket has 32 no sum of eight overflows; nor did a count, or some would be missing in the whole.
    if crowded & (ONES * 0xE0) != 0 || before as usize != n {
        return false;
    }
    let sorted = &mut sorted[..n];
    for &h in hashes.iter() {
        let bucket = (h >> shift) as usize;
        // SAFETY: buckets as above, one of eight for eight of them; and n hashes have n places, for they were counted.
        unsafe {
            let place = places.get_unchecked_mut(bucket);
            *sorted.get_unchecked_mut(*eights.get_unchecked(bucket / 8) as usize + *place as usize) = h;
            *place += 1;
        }
    }
    if crowded & (ONES * 0xF8) != 0 {
        return inserted(sorted, hashes);
    }
    // Of seven at most, each comes to its place in four rounds; mostly two or three are enough.
    loop {
        exchange(sorted);
        exchange(&mut sorted[1..]);
        if neighbours(sorted, |a, b| a > b) == 0 {
            hashes.copy_from_slice(sorted);
            return true;
        }
    }
}

/// Sort what is nearly in order, or has many that are equal; whether that takes few moves, otherwise the others stay as they were.
#[inline(always)]
fn inserted(nearly: &mut [u32], sorted: &mut [u32]) -> bool {
    let mut moves = 0;
    for i in 1..nearly.len() {
        let (hash, mut j) = (nearly[i], i);
        while j > 0 && nearly[j - 1] > hash {
            nearly[j] = nearly[j - 1];
            j -= 1;
        }
        nearly[j] = hash;
        moves += i - j;
        if moves > 8 * nearly.len() {
            return false;
        }
    }
    sorted.copy_from_slice(nearly);
    true
}

/// How many hashes and their next are so. A loop without a branch, for which the compiler has vectors.
#[inline(always)]
fn neighbours(hashes: &[u32], are: impl Fn(u32, u32) -> bool) -> u32 {
    hashes.iter().zip(hashes.iter().skip(1)).map(|(&a, &b)| are(a, b) as u32).sum()
}

/// Put the smaller of each two first.
#[inline(always)]
fn exchange(pairs: &mut [u32]) {
    for pair in pairs.as_chunks_mut().0 {
        let [a, b] = *pair;
        *pair = [a.min(b), a.max(b)];
    }
}

/// `set_hash` of reference.py.
pub fn set_hash(evidence: &[u32], keys: &[u64]) -> u64 {
    if cfg!(target_endian = "little") {
        return xxh3_64_with_seed(bytemuck::cast_slice(evidence), xxh3_64(bytemuck::cast_slice(keys)));
    }
    let keys: Vec<u8> = keys.iter().flat_map(|v| v.to_le_bytes()).collect();
    let evidence: Vec<u8> = evidence.iter().flat_map(|v| v.to_le_bytes()).collect();
    xxh3_64_with_seed(&evidence, xxh3_64(&keys))
}
