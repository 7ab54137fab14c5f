//! The hashes that some sets share: how frequent each is, and which of them the same sets have.

use crate::hash::mix32;
use crate::room::{self, Roomy};
use crate::sets::Sets;

/// The hashes of some sets that others of them may have, the frequent ones in classes.
///
/// All hashes of a class are as frequent, and but for one chance in 2^32 the same sets have them: a passage that many have is one
/// class. Who shares a hash shares its class. What one set alone has is left out, but for little.
pub struct Shared {
    counts: Counts,
    seen: Seen,
    /// The rare hashes of member i are `rare[ends[i - 1].0..ends[i].0]`, its frequent ones those at `common[ends[i - 1].1..ends[i].1]`.
    rare: Vec<u32>,
    common: Vec<u32>,
    ends: Vec<(usize, usize)>,
    frequent: Vec<Frequent>,
    /// One hash of each class, the rarest class first.
    names: Vec<u32>,
}

/// Hashes of one set that are of one class: which class, how many they are, and what they weigh.
#[derive(Clone, Copy, Default)]
pub struct Class {
    pub name: u32,
    pub hashes: usize,
    pub weight: u64,
}

/// What a set begins with.
pub struct Rarest<'a> {
    /// How many hashes it has that no other has.
    pub alone: usize,
    /// What the others weigh.
    pub weight: u64,
    /// The classes of the rarest of them.
    pub classes: &'a [Class],
}

/// Where the classes of one set are made.
#[derive(Default)]
pub struct Scratch {
    keys: Vec<u64>,
    classes: Vec<Class>,
    /// Of each class how many of its hashes the set has and what they weigh, 0 in between.
    sums: Vec<(usize, u64)>,
    met: Vec<u32>,
}

impl Shared {
    pub fn among(members: &[u32], sets: Sets) -> Roomy<Self> {
        let counts = Counts::among(members, sets)?;
        let many = counts.cells.iter().filter(|&&count| count == MANY).count();
        let frequent = room::filled(Frequent::default(), (2 * many + PROBES).next_power_of_two())?;
        let seen = Seen::new(counts.cells.len())?;
        let (rare, common, ends) = (Vec::new(), Vec::new(), room::filled((0, 0), members.len())?);
        let mut shared = Shared { counts, seen, rare, common, ends, frequent, names: Vec::new() };
        for (member, &set) in members.iter().enumerate() {
            shared.add(set, sets.get(set))?;
            shared.ends[member] = (shared.rare.len(), shared.common.len());
        }
        shared.classify()?;
        Ok(shared)
    }

    fn add(&mut self, set: u32, hashes: &[u32]) -> Roomy<()> {
        let (mut rare, mut common) = (self.rare.len(), self.common.len());
        let who = mix32(set.wrapping_add(1));
        room::grow(&mut self.rare, hashes.len())?;
        room::grow(&mut self.common, hashes.len())?;
        self.rare.resize(rare + hashes.len(), 0);
        self.common.resize(common + hashes.len(), 0);
        let (rare_start, start) = (rare, common);
        for &hash in hashes {
            let count = self.counts.of(hash);
            (self.rare[rare], self.common[common]) = (hash, hash);
            rare += usize::from(1 < count && count < MANY);
            common += usize::from(count == MANY);
        }
        self.rare.truncate(rare);
        self.rare[rare_start..].iter().for_each(|&hash| self.seen.add(hash));
        let (unplaced, last) = (start..common, self.frequent.len() - 1);
        common = start;
        for i in unplaced {
            let hash = self.common[i];
            let place = (0..PROBES).map(|probe| (hash as usize + probe) & last).find(|&place| self.frequent[place].may_be(hash));
            match place {
                Some(place) => {
                    let frequent = &mut self.frequent[place];
                    *frequent = Frequent { hash, count: frequent.count + 1, who: frequent.who ^ who, class: 0 };
                    self.common[common] = place as u32;
                    common += 1;
                }
                None => {
                    room::double(&mut self.rare, 1)?;
                    self.rare.push(hash);
                    self.seen.add(hash);
                }
            }
        }
        self.common.truncate(common);
        Ok(())
    }

    fn classify(&mut self) -> Roomy<()> {
        let mut order = room::gathered((0..self.frequent.len()).filter(|&i| self.frequent[i].count > 0))?;
        order.sort_unstable_by_key(|&i| (self.frequent[i].count, self.frequent[i].who, self.frequent[i].hash));
        let mut before = Frequent::default();
        for place in order {
            let frequent = &mut self.frequent[place];
            if (frequent.count, frequent.who) != (before.count, before.who) {
                room::double(&mut self.names, 1)?;
                self.names.push(frequent.hash);
                before = *frequent;
            }
            frequent.class = self.names.len() as u32 - 1;
        }
        Ok(())
    }

    /// What a member begins with that has so many hashes: the classes of the first of them, the rarest first.
    pub fn rarest<'a>(
        &self,
        member: usize,
        (first, of): (usize, usize),
        weight: impl Fn(u32) -> u64,
        Scratch { keys, classes, sums, met }: &'a mut Scratch,
    ) -> Roomy<Rarest<'a>> {
        let (start, end) = (if member > 0 { self.ends[member - 1] } else { (0, 0) }, self.ends[member]);
        let (rare, common) = (&self.rare[start.0..end.0], &self.common[start.1..end.1]);
        keys.clear();
        classes.clear();
        met.clear();
        room::double(keys, rare.len())?;
        keys.extend(
            rare.iter().filter(|&&hash| self.seen.again(hash)).map(|&hash| u64::from(self.counts.of(hash)) << 32 | u64::from(hash)),
        );
        let alone = of - keys.len() - common.len();
        let rare_weight: u64 = keys.iter().map(|&key| weight(key as u32)).sum();
        let common_weight: u64 = common.iter().map(|&place| weight(self.frequent[place as usize].hash)).sum();
        let first = first.saturating_sub(alone);
        if first < keys.len() {
            if first > 0 {
                keys.select_nth_unstable(first - 1);
            }
            keys.truncate(first);
        }
        keys.sort_unstable();
        room::double(classes, keys.len())?;
        classes.extend(keys.iter().map(|&key| Class { name: key as u32, hashes: 1, weight: weight(key as u32) }));
        if classes.len() < first {
            room::double(sums, self.names.len().saturating_sub(sums.len()))?;
            sums.resize(self.names.len(), (0, 0));
            for &place in common {
                let frequent = self.frequent[place as usize];
                let (hashes, sum) = &mut sums[frequent.class as usize];
                if *hashes == 0 {
                    room::double(met, 1)?;
                    met.push(frequent.class);
                }
                (*hashes, *sum) = (*hashes + 1, *sum + weight(frequent.hash));
            }
            met.sort_unstable();
            room::double(classes, met.len())?;
            let mut many = classes.len();
            for &class in met.iter() {
                let (hashes, weight) = std::mem::take(&mut sums[class as usize]);
                if many < first {
                    classes.push(Class { name: self.names[class as usize], hashes, weight });
                }
                many += hashes;
            }
        }
        Ok(Rarest { alone, weight: rare_weight + common_weight, classes })
    }
}

/// How often hashes occur that begin with the same bits, up to MANY.
struct Counts {
    cells: Vec<u8>,
    shift: u32,
}

/// Rarer hashes are soon met one by one.
const MANY: u8 = 32;

impl Counts {
    fn among(members: &[u32], sets: Sets) -> Roomy<Self> {
        let hashes: usize = members.iter().map(|&set| sets.get(set).len()).sum();
        let bits = hashes.next_power_of_two().trailing_zeros().clamp(10, 28);
        let mut counts = Counts { cells: room::filled(0, 1 << bits)?, shift: 32 - bits };
        for &hash in members.iter().flat_map(|&set| sets.get(set)) {
            let count = &mut counts.cells[(hash >> counts.shift) as usize];
            *count += u8::from(*count < MANY);
        }
        Ok(counts)
    }

    #[inline(always)]
    fn of(&self, hash: u32) -> u8 {
        self.cells[(hash >> self.shift) as usize]
    }
}

/// Which rare hashes were seen, and seen again, by their last bits.
struct Seen(Vec<[u64; 2]>);

impl Seen {
    fn new(cells: usize) -> Roomy<Self> {
        Ok(Seen(room::filled([0; 2], cells / 32)?))
    }

    #[inline(always)]
    fn cell(&self, hash: u32) -> (usize, u64) {
        ((hash >> 6) as usize & (self.0.len() - 1), 1 << (hash & 63))
    }

    #[inline(always)]
    fn add(&mut self, hash: u32) {
        let (cell, bit) = self.cell(hash);
        let [once, again] = &mut self.0[cell];
        *again |= *once & bit;
        *once |= bit;
    }

    #[inline(always)]
    fn again(&self, hash: u32) -> bool {
        let (cell, bit) = self.cell(hash);
        self.0[cell][1] & bit != 0
    }
}

/// A frequent hash: how many have it, a digest of who, and its class.
#[derive(Clone, Copy, Default)]
struct Frequent {
    hash: u32,
    count: u32,
    who: u32,
    class: u32,
}

/// Places from its own on where a frequent hash is looked for. One that finds none free counts as rare.
const PROBES: usize = 8;

impl Frequent {
    #[inline(always)]
    fn may_be(self, hash: u32) -> bool {
        self.count == 0 || self.hash == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::mix64;
    use std::collections::BTreeSet;

    /// The classes of each of some sets, all of them, and the number of hashes that each has alone.
    fn classes(sets: &[BTreeSet<u32>]) -> Vec<(usize, Vec<Class>)> {
        let sizes: Vec<u32> = sets.iter().map(|set| set.len() as u32).collect();
        let starts: Vec<u64> = sizes.iter().scan(0, |sum, &size| Some(std::mem::replace(sum, *sum + u64::from(size)))).collect();
        let evidence: Vec<u32> = sets.iter().flatten().copied().collect();
        let members: Vec<u32> = (0..sets.len() as u32).collect();
        let shared = Shared::among(&members, Sets::new(&evidence, &starts, &sizes).unwrap()).unwrap();
        let mut scratch = Scratch::default();
        let mut of = |(member, set): (usize, &BTreeSet<u32>)| {
            let rarest = shared.rarest(member, (set.len(), set.len()), u64::from, &mut scratch).unwrap();
            let weight: u64 = rarest.classes.iter().map(|class| class.weight).sum();
            let hashes: usize = rarest.classes.iter().map(|class| class.hashes).sum();
            assert_eq!((rarest.weight, rarest.alone + hashes), (weight, set.len()));
            let all: u64 = set.iter().map(|&hash| u64::from(hash)).sum();
            assert_eq!(all == weight, rarest.alone == 0);
            (rarest.alone, rarest.classes.to_vec())
        };
        sets.iter().enumerate().map(&mut of).collect()
    }

    fn hash(of: u64) -> u32 {
        mix64(of) as u32
    }

    #[test]
    fn who_shares_a_hash_shares_its_class_in_the_same_order() {
        // Passages of which each set has some, and what few have; in one corpus all hashes end with the same bits.
        for crowded in [false, true] {
            let hash = |i: u64| if crowded { hash(i) << 12 } else { hash(i) };
            let passage = |set: u64, p: u64| (mix64(set << 8 | p) & 3 > 0).then(|| (0..30).map(move |i| hash(p << 8 | i)));
            let few = |set: u64| (0..20).map(move |i| hash(1 << 20 | (set / 3) << 8 | i));
            let of = |set| (0..4).filter_map(move |p| passage(set, p)).flatten().chain(few(set)).collect();
            let sets: Vec<BTreeSet<u32>> = (0..150).map(of).collect();
            let found = classes(&sets);
            for (a, b) in (0..150).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let names = |set: usize| found[set].1.iter().map(|class| class.name);
                let (of_a, of_b) = (names(a).collect::<BTreeSet<_>>(), names(b).collect::<BTreeSet<_>>());
                assert!(sets[a].is_disjoint(&sets[b]) || !of_a.is_disjoint(&of_b));
                assert!(names(a).filter(|name| of_b.contains(name)).eq(names(b).filter(|name| of_a.contains(name))));
                assert_eq!((of_a.len(), of_b.len()), (names(a).count(), names(b).count()));
            }
        }
    }

    #[test]
    fn a_passage_that_many_have_is_one_class_and_what_nobody_else_has_is_none() {
        let own = |set: u64| (0..50).map(move |i| hash(1 << 30 | set << 8 | i));
        let sets: Vec<BTreeSet<u32>> = (0..200).map(|set| (0..100).map(hash).chain(own(set)).collect()).collect();
        let found = classes(&sets);
        assert!(found.iter().all(|(_, classes)| classes.iter().any(|class| class.hashes == 100)));
        let alone: usize = found.iter().map(|(alone, _)| alone).sum();
        assert!((9_500..=10_000).contains(&alone));
    }
}
