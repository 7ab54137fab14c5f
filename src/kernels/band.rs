//! One band: its postings in cache-line buckets, 16 fingerprints and beside them the 16 entries that have them.
//!
//! A fingerprint stands for a band key. It chooses its home by its size alone, so a table of any number of buckets
//! is grown without the keys, in one pass from end to end. What finds its home full goes to the next bucket that is not.
//! A fingerprint that many entries have leaves one posting, which points to their set.

use crate::path::prefetch;
use crate::room::{self, Roomy};
use std::collections::BTreeSet;

const SLOTS: usize = 16;
/// No posting; a bucket is filled from its beginning.
const EMPTY: u32 = u32::MAX;
/// A posting that moved to a crowd.
const GONE: u32 = EMPTY - 1;
/// A posting with this bit is the number of a crowd.
const CROWD: u32 = 1 << 31;
/// Postings of one fingerprint in buckets; more are a crowd.
pub const FEW: usize = SLOTS;

#[derive(Clone)]
#[repr(align(64))]
struct Line([u32; SLOTS]);

#[derive(Clone)]
struct Bucket {
    fingerprints: Line,
    postings: Line,
}

const VACANT: Bucket = Bucket { fingerprints: Line([0; SLOTS]), postings: Line([EMPTY; SLOTS]) };

impl Bucket {
    /// Bit i: slot i has this fingerprint, or has had it.
    #[inline(always)]
    fn same(&self, fingerprint: u32) -> u32 {
        self.fingerprints.0.iter().rev().fold(0, |mask, &f| mask << 1 | (f == fingerprint) as u32)
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.postings.0[SLOTS - 1] != EMPTY
    }
}

/// An entry in a crowd: in order of priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    pub priority: u64,
    pub entry: u32,
    /// Its distinct shingles.
    pub size: u32,
}

/// Entries in their order of priority.
pub type Crowd = BTreeSet<Member>;

/// Who has a fingerprint: some entries, or a crowd.
pub enum Members<'a> {
    Few(&'a [u32]),
    Crowd(&'a Crowd),
}

pub struct Band {
    buckets: Vec<Bucket>,
    /// Slots that are not empty.
    taken: usize,
    crowds: Vec<Crowd>,
    /// How many buckets there are when they come to be 64 or more: other bands grow at other times.
    stagger: usize,
}

impl Band {
    /// The band of this number among so many.
    pub fn new(number: usize, bands: usize) -> Self {
        Band { buckets: vec![VACANT; 2], taken: 0, crowds: Vec::new(), stagger: 64 + 16 * number / bands }
    }

    #[inline(always)]
    fn home(&self, fingerprint: u32) -> usize {
        ((fingerprint as u64 * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() {
            0
        } else {
            bucket + 1
        }
    }

    /// Ask for the home of a fingerprint, which is wanted soon.
    #[inline(always)]
    pub fn prefetch(&self, fingerprint: u32) {
        let bucket = &self.buckets[self.home(fingerprint)];
        prefetch(&bucket.fingerprints);
        prefetch(&bucket.postings);
    }

    /// Whether nobody has a fingerprint, as far as a look at its home tells; mostly it does.
    #[inline(always)]
    pub fn lacks(&self, fingerprint: u32) -> bool {
        let home = &self.buckets[self.home(fingerprint)];
        home.same(fingerprint) == 0 && !home.is_full()
    }

    /// Who has a fingerprint.
    pub fn members<'a>(&'a self, fingerprint: u32, few: &'a mut [u32; FEW]) -> Members<'a> {
        let (mut at, mut found) = (self.home(fingerprint), 0);
        loop {
            let bucket = &self.buckets[at];
            let mut same = bucket.same(fingerprint);
            while same != 0 {
                let posting = bucket.postings.0[same.trailing_zeros() as usize];
                same &= same - 1;
                if posting < CROWD {
                    few[found] = posting;
                    found += 1;
                } else if posting < GONE {
                    return Members::Crowd(&self.crowds[(posting ^ CROWD) as usize]);
                }
            }
            if !bucket.is_full() {
                return Members::Few(&few[..found]);
            }
            at = self.next(at);
        }
    }

    /// Let an entry have a fingerprint; there is room for its posting. More than `few` of them are a crowd, in order of priority:
    /// `member` is asked of each that comes into one.
    #[inline]
    pub fn insert(&mut self, fingerprint: u32, entry: u32, few: usize, mut member: impl FnMut(u32) -> Member) {
        let (mut at, mut found) = (self.home(fingerprint), 0);
        loop {
            let bucket = &self.buckets[at];
            let mut same = bucket.same(fingerprint);
            while same != 0 {
                let posting = bucket.postings.0[same.trailing_zeros() as usize];
                same &= same - 1;
                if posting < CROWD {
                    found += 1;
                } else if posting < GONE {
                    self.crowds[(posting ^ CROWD) as usize].insert(member(entry));
                    return;
                }
            }
            if found >= few.min(FEW) {
                return self.crowd(fingerprint, entry, member);
            }
            if !bucket.is_full() {
                break;
            }
            at = self.next(at);
        }
        let bucket = &mut self.buckets[at];
        let slot = bucket.postings.0.iter().map(|&p| (p != EMPTY) as usize).sum::<usize>();
        bucket.fingerprints.0[slot] = fingerprint;
        bucket.postings.0[slot] = entry;
        self.taken += 1;
    }

    /// Make a crowd of all that have a fingerprint and one entry more. One posting stays, which points to it.
    #[cold]
    fn crowd(&mut self, fingerprint: u32, entry: u32, mut member: impl FnMut(u32) -> Member) {
        let mut crowd = Crowd::from([member(entry)]);
        let mut pointer = CROWD | self.crowds.len() as u32;
        let mut at = self.home(fingerprint);
        loop {
            let next = self.next(at);
            let bucket = &mut self.buckets[at];
            let same = bucket.same(fingerprint);
            for (slot, posting) in bucket.postings.0.iter_mut().enumerate() {
                if same >> slot & 1 == 1 && *posting < CROWD {
                    crowd.insert(member(*posting));
                    *posting = std::mem::replace(&mut pointer, GONE);
                }
            }
            if !bucket.is_full() {
                break;
            }
            at = next;
        }
        self.crowds.push(crowd);
    }

    /// The number of buckets after growing by a quarter.
    fn grown(&self) -> usize {
        let old = self.buckets.len();
        let more = (old + old / 4).max(old + 1);
        if old < 64 && more >= 64 {
            self.stagger
        } else {
            more
        }
    }

    /// How many buckets there are when so many more postings have come, of which four fifths of the slots are taken at most.
    fn needed(&self, more: usize) -> usize {
        (5 * (self.taken + more)).div_ceil(4 * SLOTS)
    }

    /// Whether there is room for so many more postings.
    pub fn fits(&self, more: usize) -> bool {
        self.needed(more) <= self.buckets.len()
    }

    /// Make room for so many more postings: at most four fifths of the slots are taken. More than `few` of one fingerprint are a
    /// crowd, for which there is room too.
    pub fn reserve(&mut self, more: usize, few: usize) -> Roomy<()> {
        room::grow(&mut self.crowds, more.min((self.taken + more) / few.clamp(1, FEW)))?;
        let needed = self.needed(more);
        let grown = self.grown();
        if needed > grown {
            self.rebuild(needed * self.stagger / 64, |_| true)
        } else if needed > self.buckets.len() {
            self.rebuild(grown, |_| true)
        } else {
            Ok(())
        }
    }

    /// Put what lives in so many buckets.
    #[cold]
    fn rebuild(&mut self, wanted: usize, lives: impl Fn(u32) -> bool) -> Roomy<()> {
        let (vacant, mut lengths) = (room::filled(VACANT, wanted)?, room::filled(0u8, wanted)?);
        // Lengths are read from there, not from the buckets just written to, which the processor would have to wait for.
        let buckets = std::mem::replace(&mut self.buckets, vacant);
        self.taken = 0;
        for crowd in &mut self.crowds {
            crowd.retain(|member| lives(member.entry));
        }
        for bucket in buckets {
            for (fingerprint, posting) in bucket.fingerprints.0.into_iter().zip(bucket.postings.0) {
                if posting < GONE && (posting >= CROWD || lives(posting)) {
                    let mut at = self.home(fingerprint);
                    while lengths[at] as usize == SLOTS {
                        at = self.next(at);
                    }
                    let (new, slot) = (&mut self.buckets[at], lengths[at] as usize);
                    new.fingerprints.0[slot] = fingerprint;
                    new.postings.0[slot] = posting;
                    lengths[at] += 1;
                    self.taken += 1;
                }
            }
        }
        Ok(())
    }

    /// Leave out what does not live.
    pub fn compact(&mut self, lives: impl Fn(u32) -> bool) -> Roomy<()> {
        self.rebuild(self.buckets.len(), lives)
    }

    /// Every entry with its fingerprint.
    pub fn each(&self, mut visit: impl FnMut(u32, u32)) {
        for bucket in &self.buckets {
            for (&fingerprint, &posting) in bucket.fingerprints.0.iter().zip(&bucket.postings.0) {
                if posting < CROWD {
                    visit(posting, fingerprint);
                } else if posting < GONE {
                    self.crowds[(posting ^ CROWD) as usize].iter().for_each(|member| visit(member.entry, fingerprint));
                }
            }
        }
    }

    /// Bytes of memory that postings take.
    pub fn nbytes(&self) -> usize {
        // A set keeps 11 of 16 bytes to a node, which has some more of its own; nodes are two thirds full.
        size_of_val(self.buckets.as_slice()) + self.crowds.iter().map(|crowd| 30 * crowd.len()).sum::<usize>()
    }
}

/// A sampled hash spread over all values again, of which it has the low ones.
#[inline(always)]
pub fn spread(hash: u32) -> u32 {
    hash.wrapping_mul(0x9E37_79B1)
}

/// `fingerprint` of reference.py: what a band keeps of a key, half of it, mixed, though most keys are hashes and need none.
#[inline(always)]
pub fn fingerprint(key: u64) -> u32 {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}
