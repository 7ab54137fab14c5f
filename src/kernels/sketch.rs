//! Odd sketches: documents of one long bucket that differ by too much to match are told without a look at their hashes.
//!
//! A bit says whether an odd number of a document's hashes falls on it. Where two documents differ in a bit, one of them has a hash
//! there that the other has not: they differ in at least as many hashes as bits. (Mitzenmacher, Pagh and Pham, "Efficient estimation
//! for high similarities using odd sketches", WWW 2014, take the number for an estimate. Here it is a bound, and nothing is missed.)

use crate::room::{self, Roomy};

/// Hashes of a document to a word of its sketch, at least half as many: look-alikes differ in a third of that many, and hardly two of
/// those fall on one bit.
const HASHES: usize = 24;

/// A power of two of words; none where nothing is known of a document.
#[derive(Default)]
pub struct Sketch(Box<[u64]>);

impl Sketch {
    pub fn of(hashes: &[u32]) -> Roomy<Self> {
        let length = (hashes.len() / HASHES).next_power_of_two().ilog2();
        let mut words = room::filled(0, 1 << length)?.into_boxed_slice();
        for &hash in hashes {
            words[(u64::from(hash) << length >> 32) as usize] ^= 1u64 << (hash & 63);
        }
        Ok(Sketch(words))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether two documents may differ in no more than `most` hashes: where they do not, they may.
    #[inline]
    pub fn may_differ_by(&self, other: &Sketch, most: usize) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (&self.0, &other.0) } else { (&other.0, &self.0) };
        // Of many differences half the bits tell, however many they are.
        if most >= 32 * few.len() {
            return true;
        }
        let differ = |a: &u64, b: u64| (a ^ b).count_ones();
        let differences: u32 = if few.len() == many.len() {
            few.iter().zip(many).map(|(a, &b)| differ(a, b)).sum()
        } else {
            // The words of the longer one that a word of the shorter stands for are next to each other.
            let folded = many.chunks_exact(many.len() / few.len()).map(|words| words.iter().fold(0, |a, b| a ^ b));
            few.iter().zip(folded).map(|(a, b)| differ(a, b)).sum()
        };
        differences as usize <= most
    }

    pub fn nbytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}
