//! The hashes that some sets share: how frequent each is, and which of them the same sets have.

use crate::hash::mix32;
use crate::room::{self, Roomy};
use crate::sets::Sets;
use std::hash::{BuildHasher, RandomState};

/// The hashes of some sets that others of them may have, the frequent ones in classes.
///
/// All hashes of a class are as frequent, and but for one chance in 2^32 the same sets have them: a passage that many have is one
/// class. Who shares a hash shares its class. What one set alone has is left out, but for little.
pub struct Shared {
    counts: Counts,
    seen: Seen,
    /// Of each 64 hashes of a member which may be shared and are rare, and which are frequent; those of member i begin at `starts[i]`.
    kinds: Vec<[u64; 2]>,
    starts: Vec<usize>,
    frequent: FrequentTable,
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
    rare: Vec<u64>,
    common: Vec<u32>,
    unplaced: Vec<u32>,
    classes: Vec<Class>,
    /// Of each class how many of its hashes the set has and what they weigh, 0 in between.
    sums: Vec<(usize, u64)>,
    met: Vec<u32>,
}

/// The places of the bits of a word.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

impl Shared {
    pub fn among(members: &[u32], sets: Sets) -> Roomy<Self> {
        let counts = Counts::among(members, sets)?;
        let crowded = counts.cells.iter().filter(|&&count| count == MANY).count();
        let (seen, frequent) = (Seen::new(counts.cells.len())?, FrequentTable::of(crowded)?);
        let words = members.iter().map(|&set| sets.get(set).len().div_ceil(64)).sum();
        let (mut kinds, mut starts) = (Vec::new(), Vec::new());
        room::reserve(&mut kinds, words)?;
        room::reserve(&mut starts, members.len())?;
        let mut shared = Shared { counts, seen, kinds, starts, frequent, names: Vec::new() };
        for &set in members {
            shared.starts.push(shared.kinds.len());
            shared.add(mix32(set.wrapping_add(1)), sets.get(set));
        }
        shared.classify()?;
        Ok(shared)
    }

    fn add(&mut self, who: u32, hashes: &[u32]) {
        for some in hashes.chunks(64) {
            let (mut rare, mut common) = (0, 0);
            for (bit, &hash) in some.iter().enumerate() {
                let count = self.counts.of(hash);
                rare |= u64::from(1 < count && count < MANY) << bit;
                common |= u64::from(count == MANY) << bit;
            }
            bits(rare).for_each(|bit| self.seen.add(some[bit]));
            bits(common).for_each(|bit| self.frequent.add(some[bit], who));
            self.kinds.push([rare, common]);
        }
    }

    fn classify(&mut self) -> Roomy<()> {
        let places = &mut self.frequent.places;
        let mut order = room::gathered((0..places.len()).filter(|&place| places[place].count > 0))?;
        order.sort_unstable_by_key(|&place| (places[place].count, places[place].who, places[place].hash));
        let mut before = Frequent::default();
        for place in order {
            let frequent = &mut places[place];
            if (frequent.count, frequent.who) != (before.count, before.who) {
                room::double(&mut self.names, 1)?;
                self.names.push(frequent.hash);
                before = *frequent;
            }
            frequent.class = self.names.len() as u32 - 1;
        }
        Ok(())
    }

    /// What a member begins with that has these hashes: the classes of so many of them, the rarest first.
    pub fn rarest<'a>(
        &self,
        member: usize,
        hashes: &[u32],
        first: usize,
        weight: impl Fn(u32) -> u64,
        Scratch { rare, common, unplaced, classes, sums, met }: &'a mut Scratch,
    ) -> Roomy<Rarest<'a>> {
        let most = hashes.len();
        rare.clear();
        common.clear();
        unplaced.clear();
        classes.clear();
        met.clear();
        room::double(rare, most)?;
        room::double(common, most)?;
        room::double(unplaced, most)?;
        for (some, kinds) in hashes.chunks(64).zip(&self.kinds[self.starts[member]..]) {
            let again = bits(kinds[0]).map(|bit| some[bit]).filter(|&hash| self.seen.again(hash));
            rare.extend(again.map(|hash| u64::from(self.counts.of(hash)) << 32 | u64::from(hash)));
            for bit in bits(kinds[1]) {
                match self.frequent.find(some[bit]) {
                    Some(place) => common.push(place as u32),
                    None => unplaced.push(some[bit]),
                }
            }
        }
        let alone = most - rare.len() - common.len() - unplaced.len();
        let each = rare.iter().map(|&key| key as u32).chain(unplaced.iter().copied());
        let total = each.chain(common.iter().map(|&place| self.frequent.places[place as usize].hash)).map(&weight).sum();
        let first = first.saturating_sub(alone);
        if first < rare.len() {
            if first > 0 {
                rare.select_nth_unstable(first - 1);
            }
            rare.truncate(first);
        }
        rare.sort_unstable();
        room::double(classes, rare.len())?;
        let one = |hash| Class { name: hash, hashes: 1, weight: weight(hash) };
        classes.extend(rare.iter().map(|&key| one(key as u32)));
        let mut many = classes.len();
        if many < first {
            room::double(sums, self.names.len().saturating_sub(sums.len()))?;
            sums.resize(self.names.len(), (0, 0));
            room::double(met, common.len())?;
            for &place in common.iter() {
                let frequent = self.frequent.places[place as usize];
                let (hashes, sum) = &mut sums[frequent.class as usize];
                if *hashes == 0 {
                    met.push(frequent.class);
                }
                (*hashes, *sum) = (*hashes + 1, *sum + weight(frequent.hash));
            }
            met.sort_unstable();
            room::double(classes, met.len() + unplaced.len())?;
            for &class in met.iter() {
                let (hashes, weight) = std::mem::take(&mut sums[class as usize]);
                if many < first {
                    classes.push(Class { name: self.names[class as usize], hashes, weight });
                }
                many += hashes;
            }
            // Frequent as they may be, they come last.
            classes.extend(unplaced.iter().take(first.saturating_sub(many)).map(|&hash| one(hash)));
        }
        Ok(Rarest { alone, weight: total, classes })
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

/// Frequent hashes, each in one of a few places. What finds none free is left out.
struct FrequentTable {
    places: Vec<Frequent>,
    /// Odd, drawn at random: nobody can choose hashes of the same places.
    multiplier: u64,
}

/// Places in which a hash is looked for.
const PROBES: usize = 8;

impl FrequentTable {
    /// With room for the hashes of so many crowded cells, and for strangers there.
    fn of(cells: usize) -> Roomy<Self> {
        let places = room::filled(Frequent::default(), (4 * cells + PROBES).next_power_of_two())?;
        Ok(FrequentTable { places, multiplier: RandomState::new().hash_one(0) | 1 })
    }

    /// The place of a hash, or one where it may be put.
    #[inline(always)]
    fn place(&self, hash: u32) -> Option<usize> {
        let (first, last) = ((u64::from(hash).wrapping_mul(self.multiplier) >> 32) as usize, self.places.len() - 1);
        (first..first + PROBES).map(|place| place & last).find(|&place| self.places[place].count == 0 || self.places[place].hash == hash)
    }

    #[inline(always)]
    fn find(&self, hash: u32) -> Option<usize> {
        self.place(hash).filter(|&place| self.places[place].count > 0)
    }

    #[inline(always)]
    fn add(&mut self, hash: u32, who: u32) {
        if let Some(place) = self.place(hash) {
            let frequent = &mut self.places[place];
            *frequent = Frequent { hash, count: frequent.count + 1, who: frequent.who ^ who, class: 0 };
        }
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
            let hashes: Vec<u32> = set.iter().copied().collect();
            let rarest = shared.rarest(member, &hashes, set.len(), u64::from, &mut scratch).unwrap();
            let weight: u64 = rarest.classes.iter().map(|class| class.weight).sum();
            let many: usize = rarest.classes.iter().map(|class| class.hashes).sum();
            assert_eq!((rarest.weight, rarest.alone + many), (weight, set.len()));
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
        // Passages of which each set has some, and what few have; in one corpus all begin with the same bits, and few find a place.
        for crowded in [false, true] {
            let hash = |i: u64| if crowded { hash(i) >> 16 } else { hash(i) };
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
