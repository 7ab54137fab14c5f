//! The shingle sets of a corpus, which of them are joined with which, and pairs of them that match.

use crate::path::prefetch;
use crate::verify::intersection;

/// A set that is joined with those of role `RIGHT`, or the other way round; it may have both roles, or none.
pub const LEFT: u8 = 1;
pub const RIGHT: u8 = 2;

#[inline(always)]
pub(crate) fn joined(a: u8, b: u8) -> bool {
    (a & LEFT != 0 && b & RIGHT != 0) || (a & RIGHT != 0 && b & LEFT != 0)
}

/// The verification hashes of each set: `evidence[starts[i]..][..sizes[i]]`.
#[derive(Clone, Copy)]
pub struct Sets<'a> {
    evidence: &'a [u32],
    starts: &'a [u64],
    pub(crate) sizes: &'a [u32],
}

impl<'a> Sets<'a> {
    /// Sets, of which those that are empty are not there. None when one lies outside the evidence.
    pub fn new(evidence: &'a [u32], starts: &'a [u64], sizes: &'a [u32]) -> Option<Self> {
        let inside = |(&start, &size): (&u64, &u32)| start.checked_add(size.into()).is_some_and(|stop| stop <= evidence.len() as u64);
        (starts.len() == sizes.len() && starts.iter().zip(sizes).all(inside)).then_some(Sets { evidence, starts, sizes })
    }

    /// These, when all of them are there.
    pub fn whole(self) -> Option<Self> {
        self.sizes.iter().all(|&size| size > 0).then_some(self)
    }

    /// Whether a set is there.
    #[inline]
    pub fn has(&self, set: u32) -> bool {
        self.sizes.get(set as usize).is_some_and(|&size| size > 0)
    }

    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    #[inline(always)]
    pub fn get(&self, set: u32) -> &'a [u32] {
        &self.evidence[self.starts[set as usize] as usize..][..self.sizes[set as usize] as usize]
    }

    #[inline]
    pub(crate) fn prefetch(&self, set: u32) {
        self.get(set).chunks(16).take(4).for_each(|line| prefetch(&line[0]));
    }

    /// Two sets as a match, when they share at least so many hashes.
    #[inline]
    pub(crate) fn compare(&self, a: u32, b: u32, least: usize) -> Option<Edge> {
        let both = intersection(self.get(a), self.get(b), least)? as u32;
        Some(Edge { earlier: a.min(b), later: a.max(b), both })
    }
}

/// Two sets that match, and how many hashes they share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub earlier: u32,
    pub later: u32,
    pub both: u32,
}
