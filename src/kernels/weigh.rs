//! What shingles weigh: sums over sets of verification hashes, of weights that a table gives to some of them.

use crate::room::{self, Roomy};
use crate::sets::Sets;
use crate::threads::on_threads;
use crate::verify::intersection;

/// The weights of some hashes; all others weigh `rest`.
pub struct Weights {
    hashes: Vec<u32>,
    weights: Vec<u16>,
    /// Where the hashes of each value of the first bits begin, and the end of the last.
    starts: Vec<u32>,
    shift: u32,
    rest: u16,
    /// What all of them weigh, where that is the same.
    each: Option<u16>,
}

impl Weights {
    /// Of hashes that ascend; None where they do not, or are not as many as the weights.
    pub fn new(hashes: &[u32], weights: &[u16], rest: u16) -> Roomy<Option<Self>> {
        if hashes.len() != weights.len() || u32::try_from(hashes.len()).is_err() || !hashes.is_sorted_by(|a, b| a < b) {
            return Ok(None);
        }
        let bits = hashes.len().max(1).ilog2();
        let shift = 32 - bits;
        let mut starts = room::filled(0, (1 << bits) + 1)?;
        hashes.iter().for_each(|hash| starts[hash.checked_shr(shift).unwrap_or(0) as usize + 1] += 1);
        (0..1 << bits).for_each(|cell: usize| starts[cell + 1] += starts[cell]);
        let (hashes, weights) = (room::collected(hashes.iter().copied())?, room::collected(weights.iter().copied())?);
        let each = weights.first().copied().filter(|first| weights.iter().all(|weight| weight == first));
        Ok(Some(Weights { hashes, weights, starts, shift, rest, each }))
    }

    /// The hashes, their weights, and what all others weigh.
    pub fn parts(&self) -> (&[u32], &[u16], u16) {
        (&self.hashes, &self.weights, self.rest)
    }

    #[inline(always)]
    pub fn of(&self, hash: u32) -> u16 {
        let cell = hash.checked_shr(self.shift).unwrap_or(0) as usize;
        let range = self.starts[cell] as usize..self.starts[cell + 1] as usize;
        let place = self.hashes[range.clone()].iter().position(|&h| h == hash);
        place.map_or(self.rest, |place| self.weights[range.start + place])
    }

    /// What a set weighs.
    pub fn total(&self, set: &[u32]) -> u64 {
        // Of a few that weigh the same it is enough to know how many there are.
        if let Some(each) = self.each.filter(|_| self.hashes.len() <= 4 * set.len()) {
            let both = intersection(set, &self.hashes, 0).unwrap_or(0) as u64;
            return both * u64::from(each) + (set.len() as u64 - both) * u64::from(self.rest);
        }
        set.iter().map(|&hash| u64::from(self.of(hash))).sum()
    }

    /// What the hashes weigh that two sets share.
    pub fn shared(&self, a: &[u32], b: &[u32]) -> u64 {
        let (mut i, mut j, mut sum) = (0, 0, 0);
        while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
            if x == y {
                sum += u64::from(self.of(*x));
            }
            i += (x <= y) as usize;
            j += (y <= x) as usize;
        }
        sum
    }
}

/// What each set weighs.
pub fn totals(sets: Sets, weights: &Weights, threads: usize) -> Roomy<Vec<u64>> {
    let runs = room::collected((0..sets.len()).step_by(1024).map(|start| start as u32..(start + 1024).min(sets.len()) as u32))?;
    room::all(on_threads(runs, threads, |run| room::collected(run.map(|set| weights.total(sets.get(set))))))
}

/// What the hashes weigh that the sets of each pair share.
pub fn shared(sets: Sets, a: &[u32], b: &[u32], weights: &Weights, threads: usize) -> Roomy<Vec<u64>> {
    let pairs = room::collected(a.chunks(1024).zip(b.chunks(1024)))?;
    let sum = |(&a, &b): (&u32, &u32)| weights.shared(sets.get(a), sets.get(b));
    room::all(on_threads(pairs, threads, |(a, b)| room::collected(a.iter().zip(b).map(sum))))
}
