//! What a match needs: a measure, and how much of it.

use crate::verify::{equal_slots, intersection, least_equal_slots, least_intersection, least_share};

/// What is at the threshold or above when documents match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Jaccard,
    /// The share of the first document's shingles that the other has.
    Contained,
    /// The same of the shorter document.
    Overlap,
}

/// What a match needs: the least similarity, and the least number of equal slots that it takes in lean signatures.
#[derive(Clone, Copy)]
pub struct Bar {
    threshold: f64,
    /// The share of what both have together that documents share which are just so similar.
    share: f64,
    measure: Measure,
    /// Slots of a lean signature; 0 where documents are checked by their verification hashes.
    slots: usize,
    equal: usize,
}

impl Bar {
    pub fn new(threshold: f64, slots: usize) -> Self {
        let share = threshold / (1.0 + threshold);
        Bar { threshold, share, measure: Measure::Jaccard, slots, equal: least_equal_slots(slots, threshold) }
    }

    /// By another measure, of verification hashes.
    pub fn by(measure: Measure, threshold: f64) -> Self {
        Bar { measure, ..Bar::new(threshold, 0) }
    }

    /// Whether most who do not match share clearly fewer verification hashes than those who do.
    pub fn is_high(&self) -> bool {
        self.slots == 0 && self.threshold >= 0.4
    }

    /// The agreement of two documents, of their sizes and evidence, when they match.
    #[inline]
    pub fn agreement(&self, (size, evidence): (u32, &[u32]), (other_size, other): (u32, &[u32])) -> Option<u32> {
        let least = self.least(size, other_size)?;
        let agreement = if self.slots == 0 {
            intersection(evidence, other, least)?
        } else {
            let equal = equal_slots(evidence, other, self.slots);
            (equal >= self.equal).then_some(equal)?
        };
        Some(agreement as u32)
    }

    /// The least number of shingles that documents of these sizes share when they match; None when they cannot.
    #[inline(always)]
    pub fn least(&self, size: u32, other: u32) -> Option<usize> {
        let least = match self.measure {
            Measure::Jaccard => {
                let both = (i64::from(size) + i64::from(other)) as f64;
                let (least, margin) = (self.share * both, 1e-9 * (both + 1.0));
                let (below, beyond) = (least as i64, least - (least as i64) as f64);
                // Between whole numbers, and farther from them than rounding reaches, there is nothing to decide.
                if margin < beyond && beyond < 1.0 - margin {
                    below as usize + 1
                } else {
                    least_intersection(size as usize, other as usize, self.threshold)
                }
            }
            Measure::Contained => least_share(size as usize, self.threshold),
            Measure::Overlap => least_share(size.min(other) as usize, self.threshold),
        };
        (least <= size.min(other) as usize).then_some(least)
    }

    /// The least number of shingles that a document of that size shares with any that it matches: by its Jaccard similarity with
    /// those that have no others, in a longer one with the shortest.
    pub fn least_of_any(&self, size: u32) -> usize {
        match self.measure {
            Measure::Jaccard => least_share(size as usize, self.threshold).min(size as usize),
            Measure::Contained | Measure::Overlap => 1,
        }
    }
}
