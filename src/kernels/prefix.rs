//! Joins of sets by their rarest hashes, one of which any two share that match: whatever number of them there is, few pairs are compared.

use crate::bar::Bar;
use crate::radix::sort_by_number;
use crate::room::{self, Roomy};
use crate::sets::{joined, Edge, Sets, LEFT, RIGHT};
use crate::shared::{Scratch, Shared};
use crate::threads::on_threads;
use crate::verify::least_read;
use crate::weigh::Weights;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What sets that match must share beside what a similarity demands.
#[derive(Clone, Copy)]
pub enum Required<'a> {
    /// So much of each was read rightly, and of the least legible; without noise they would be so similar.
    Readings { legible: &'a [f64], faintest: f64, corrected: f64 },
    /// That share of what either weighs.
    Weighed { weights: &'a Weights, totals: &'a [u64], threshold: f64 },
}

impl<'a> Required<'a> {
    pub fn readings(legible: &'a [f64], corrected: f64) -> Self {
        Required::Readings { legible, faintest: legible.iter().copied().fold(1.0, f64::min), corrected }
    }

    #[inline]
    fn weight(&self, hash: u32) -> u64 {
        match self {
            Required::Readings { .. } => 1,
            Required::Weighed { weights, .. } => weights.of(hash).into(),
        }
    }

    /// What a set of that size shares at least with any that it matches: by weight, and rounded down.
    fn least(&self, set: u32, size: usize) -> u64 {
        let least = match *self {
            // With one that is as long and the least legible.
            Required::Readings { legible, faintest, corrected } => corrected * legible[set as usize] * faintest * size as f64,
            Required::Weighed { totals, threshold, .. } => threshold * totals[set as usize] as f64,
        };
        (least * (1.0 - 1e-9)) as u64
    }

    /// Whether two sets match, but for rounding, that share as many hashes as they must.
    #[inline]
    fn reached(&self, a: u32, b: u32, sets: Sets) -> bool {
        match *self {
            Required::Readings { .. } => true,
            Required::Weighed { weights, totals, threshold } => {
                let shared = weights.shared(sets.get(a), sets.get(b));
                let either = totals[a as usize].saturating_add(totals[b as usize]).saturating_sub(shared);
                shared as f64 >= threshold * either as f64 * (1.0 - 1e-9)
            }
        }
    }

    /// Whether so much of two sets may be enough: soon said, and no only where it is not.
    #[inline]
    fn may_be_enough(&self, left: u32, (a, size): (u32, u32), (b, other): (u32, u32)) -> bool {
        match *self {
            // As `least_read` says of sets of one size; those of others share more.
            Required::Readings { legible, corrected, .. } => {
                corrected * legible[a as usize] * legible[b as usize] * f64::from(size.max(other)) * (1.0 - 1e-6) <= f64::from(left)
            }
            Required::Weighed { .. } => true,
        }
    }

    /// What two sets share at least that match: of hashes, of which it is `least` by their sizes, and by weight.
    #[inline]
    fn between(&self, least: usize, (a, size): (u32, u32), (b, other): (u32, u32)) -> (usize, u64) {
        match *self {
            Required::Readings { legible, corrected, .. } => {
                let read = least_read(size as usize, other as usize, legible[a as usize] * legible[b as usize], corrected);
                (least.max(read), least.max(read) as u64)
            }
            Required::Weighed { totals, threshold, .. } => {
                let both = totals[a as usize].saturating_add(totals[b as usize]) as f64;
                (least, (threshold / (1.0 + threshold) * both * (1.0 - 1e-9)) as u64)
            }
        }
    }
}

/// A class of hashes of a set's prefix: which, whose, and what it and all that are less rare of that set's weigh, if that is no more
/// than 32 bits.
#[derive(Clone, Copy, Default)]
struct Posting {
    class: u32,
    member: u32,
    left: u32,
    /// Whether others are looked up by it too.
    indexed: bool,
}

impl Posting {
    /// Where it comes among others.
    fn place(&self) -> u64 {
        u64::from(self.class) << 32 | u64::from(self.member)
    }
}

/// Postings that one class of a member meets, what is left of its own from there on, and which long list they are of.
#[derive(Clone, Copy, Default)]
struct Meeting {
    member: u32,
    left: u32,
    long: Long,
    many: u32,
    first: usize,
}

impl Meeting {
    fn postings(&self) -> Range<usize> {
        self.first..self.first + self.many as usize
    }
}

/// A long list of postings: its number, and that of one that has all its members, or its own.
#[derive(Clone, Copy, Default)]
struct Long {
    list: u32,
    within: u32,
}

impl Long {
    const NOT: Long = Long { list: u32::MAX, within: u32::MAX };
    /// Shorter ones are soon read again.
    const LEAST: usize = 32;
}

/// The matches among some sets, all of them; in order.
///
/// A prefix-filter join (Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007) with the positional
/// filter of PPJoin (Xiao, Wang, Lin and Yu, "Efficient Similarity Joins for Near Duplicate Detection", WWW 2008): sets that
/// match share one of the rarest hashes of each, and from the first of those on there must be room for all that they share. Any
/// order of hashes finds all; that of rarity here is by counts that may be too high.
///
/// Of pairs that do not share what is `required` some are left out.
pub fn prefix_join(
    members: &[u32],
    roles: &[u8],
    sets: Sets,
    bar: Bar,
    threads: usize,
    required: Option<Required>,
    enough: &Enough,
) -> Roomy<Vec<Edge>> {
    join_where(members, roles, sets, bar, threads, required, enough, |_, _| true)
}

/// How many matches are too many: a join that has found more ends. It is asked now and then whether it is to end before.
pub struct Enough<'a> {
    most: u64,
    found: AtomicU64,
    ends: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Enough<'a> {
    pub fn new(most: u64, ends: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Enough { most, found: AtomicU64::new(0), ends }
    }

    /// Whether it is enough, with so many more.
    pub(crate) fn with(&self, more: usize) -> bool {
        self.found.fetch_add(more as u64, Ordering::Relaxed) + more as u64 > self.most || (self.ends)()
    }
}

/// Matches after which a member that has many asks whether they are enough.
const OFTEN: usize = 1 << 10;

/// The same of those pairs that `may` match.
#[allow(clippy::too_many_arguments)]
pub(crate) fn join_where(
    members: &[u32],
    roles: &[u8],
    sets: Sets,
    bar: Bar,
    threads: usize,
    required: Option<Required>,
    enough: &Enough,
    may: impl Fn(u32, u32) -> bool + Sync + Copy,
) -> Roomy<Vec<Edge>> {
    let mut members = room::collected(members.iter().copied())?;
    members.sort_unstable_by_key(|&set| (sets.sizes[set as usize], set));
    let (index, probes) = prefixes(&members, sets, bar, required)?;
    let index = index.as_deref().unwrap_or(&probes);
    if members.iter().all(|&set| roles[set as usize] == LEFT | RIGHT) {
        let mut edges = probed(&members, roles, sets, (bar, required), (index, &probes), threads, (enough, may))?;
        edges.sort_unstable();
        return Ok(edges);
    }
    // What is on one side alone is looked up among the other: a crowd on the right does not meet itself.
    let of = |postings: &[Posting], side: u8| {
        room::gathered(postings.iter().copied().filter(|posting| roles[members[posting.member as usize] as usize] & side != 0))
    };
    // Two that are on both sides meet in the first pass.
    let on_both = |set: u32| roles[set as usize] == LEFT | RIGHT;
    let found = |left: u8, right: u8, again: bool| {
        let may = move |a, b| !(again && on_both(a) && on_both(b)) && may(a, b);
        probed(&members, roles, sets, (bar, required), (&of(index, left)?, &of(&probes, right)?), threads, (enough, may))
    };
    let mut edges = room::all(vec![found(LEFT, RIGHT, false), found(RIGHT, LEFT, true)])?;
    edges.sort_unstable();
    Ok(edges)
}

/// The matches of probes with what is indexed.
fn probed(
    members: &[u32],
    roles: &[u8],
    sets: Sets,
    (bar, required): (Bar, Option<Required>),
    (index, probes): (&[Posting], &[Posting]),
    threads: usize,
    (enough, may): (&Enough, impl Fn(u32, u32) -> bool + Sync),
) -> Roomy<Vec<Edge>> {
    let long = long_lists(index, members.len())?;
    let (meetings, ends) = meetings(index, probes, members.len(), &long)?;
    let shares = room::collected((0..members.len()).step_by(1024).map(|first| first..(first + 1024).min(members.len())))?;
    let found = on_threads(shares, threads, |share| {
        if enough.with(0) {
            return Ok(Vec::new());
        }
        let (mut seen, mut done, mut edges) = (room::filled(u32::MAX, share.end)?, room::filled(u32::MAX, long.len())?, Vec::new());
        for i in share {
            let (own, mut before) = (members[i], edges.len());
            let begin = if i > 0 { ends[i - 1] } else { 0 };
            for meeting in &meetings[begin..ends[i]] {
                if done.get(meeting.long.within as usize).is_some_and(|&last| last == i as u32) {
                    continue; // there is nobody new
                }
                done.get_mut(meeting.long.list as usize).into_iter().for_each(|last| *last = i as u32);
                for posting in &index[meeting.postings()] {
                    let other = members[posting.member as usize];
                    let again = std::mem::replace(&mut seen[posting.member as usize], i as u32) == i as u32;
                    if again || !joined(roles[own as usize], roles[other as usize]) {
                        continue;
                    }
                    let (size, other_size) = (sets.sizes[own as usize], sets.sizes[other as usize]);
                    // Where more is left than is known, its order is not known either.
                    let unknown = meeting.left.max(posting.left) == u32::MAX;
                    let left = meeting.left.min(posting.left);
                    if !unknown && required.is_some_and(|required| !required.may_be_enough(left, (own, size), (other, other_size))) {
                        continue;
                    }
                    let Some(least) = bar.least(size, other_size) else { continue };
                    let between = |required: Required| required.between(least, (own, size), (other, other_size));
                    let (least, weight) = required.map_or((least, least as u64), between);
                    if (unknown || weight <= left.into()) && may(own, other) {
                        let edge = sets.compare(other, own, least);
                        let reached =
                            |_: &Edge| enough.most == u64::MAX || required.is_none_or(|required| required.reached(own, other, sets));
                        if let Some(edge) = edge.filter(reached) {
                            room::double(&mut edges, 1)?;
                            edges.push(edge);
                            if edges.len() - before == OFTEN {
                                before += OFTEN;
                                if enough.with(OFTEN) {
                                    return Ok(edges);
                                }
                            }
                        }
                    }
                }
            }
            if enough.with(edges.len() - before) {
                break;
            }
        }
        Ok(edges)
    });
    room::all(found)
}

/// What of the sets, in order of size, they are looked up in, unless it is all, and what by: the classes of their rarest hashes that
/// others may have.
///
/// A set is looked up among those that are no longer, so that fewer of its hashes need to be found by the longer ones. Where more
/// is required, what comes after the last that is looked up by weighs less than that.
fn prefixes(members: &[u32], sets: Sets, bar: Bar, required: Option<Required>) -> Roomy<(Option<Vec<Posting>>, Vec<Posting>)> {
    let shared = Shared::among(members, sets)?;
    let (mut probes, mut scratch) = (Vec::new(), Scratch::default());
    for (member, &set) in (0..).zip(members) {
        let (size, own) = (sets.sizes[set as usize], sets.get(set));
        let many = own.len();
        let first = many + 1 - bar.least_of_any(size);
        let first_alike = many + 1 - bar.least(size, size).unwrap_or(many);
        let weight = |hash| required.map_or(1, |required| required.weight(hash));
        let rarest = shared.rarest(member as usize, own, first, weight, &mut scratch)?;
        let (mut place, mut left) = (rarest.alone, rarest.weight);
        let least = required.map_or(0, |required| required.least(set, many));
        room::double(&mut probes, rarest.classes.len())?;
        for class in rarest.classes {
            if left < least {
                break;
            }
            probes.push(Posting { class: class.name, member, left: left.min(u32::MAX.into()) as u32, indexed: place < first_alike });
            left = left.saturating_sub(class.weight);
            place += class.hashes;
        }
    }
    if probes.iter().all(|posting| posting.indexed) {
        sort_by_number(&mut probes, |posting| posting.class, |posting| posting.member)?;
        return Ok((None, probes));
    }
    let mut looked_up = room::filled(false, probes.len().next_power_of_two())?;
    let last = looked_up.len() - 1;
    let cell = |class: u32| class as usize & last;
    probes.iter().filter(|posting| posting.indexed).for_each(|posting| looked_up[cell(posting.class)] = true);
    probes.retain(|posting| looked_up[cell(posting.class)]);
    sort_by_number(&mut probes, |posting| posting.class, |posting| posting.member)?;
    Ok((Some(room::gathered(probes.iter().copied().filter(|posting| posting.indexed))?), probes))
}

/// The long lists of postings of one class, each by its start.
///
/// Passages that many have have nearly the same members: whoever has met them need not meet them again.
fn long_lists(index: &[Posting], members: usize) -> Roomy<Vec<(usize, Long)>> {
    let mut lists: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for list in index.chunk_by(|a, b| a.class == b.class) {
        if list.len() >= Long::LEAST {
            room::double(&mut lists, 1)?;
            lists.push(start..start + list.len());
        }
        start += list.len();
    }
    lists.sort_unstable_by_key(|list| (Reverse(list.len()), list.start));
    let mut last = room::filled(usize::MAX, members)?; // the last list that each is in and that is within no other
    let mut found = Vec::new();
    room::reserve(&mut found, lists.len())?;
    for (number, list) in lists.iter().enumerate() {
        let own = &index[list.clone()];
        let longer = last[own[0].member as usize];
        let within = lists.get(longer).is_some_and(|other| other.len() <= 2 * own.len() && has_all(&index[other.clone()], own));
        if !within {
            own.iter().for_each(|posting| last[posting.member as usize] = number);
        }
        found.push((list.start, Long { list: number as u32, within: if within { longer } else { number } as u32 }));
    }
    found.sort_unstable_by_key(|&(start, _)| start);
    Ok(found)
}

/// Whether a list of postings has all members of another; both ascend.
fn has_all(list: &[Posting], other: &[Posting]) -> bool {
    let mut rest = list.iter();
    other.iter().all(|one| rest.by_ref().find(|posting| posting.member >= one.member).is_some_and(|found| found.member == one.member))
}

/// For each member, by the ends of its part, what its hashes meet of earlier members, from its rarest hash on.
fn meetings(index: &[Posting], probes: &[Posting], members: usize, long: &[(usize, Long)]) -> Roomy<(Vec<Meeting>, Vec<usize>)> {
    let mut long = long.iter().peekable();
    let (mut met, mut many) = (Vec::new(), room::filled(0, members)?);
    let (mut start, mut stop) = (0, 0);
    for probe in probes {
        while index.get(start).is_some_and(|posting| posting.class < probe.class) {
            start += 1;
        }
        stop = stop.max(start);
        while index.get(stop).is_some_and(|posting| posting.place() < probe.place()) {
            stop += 1;
        }
        while long.next_if(|(first, _)| *first < start).is_some() {}
        if start < stop {
            let long = long.peek().filter(|(first, _)| *first == start).map_or(Long::NOT, |(_, long)| *long);
            room::double(&mut met, 1)?;
            met.push(Meeting { member: probe.member, left: probe.left, long, many: (stop - start) as u32, first: start });
            many[probe.member as usize] += 1;
        }
    }
    sort_by_number(&mut met, |meeting| meeting.member, |_| 0)?;
    met.chunk_by_mut(|a, b| a.member == b.member).for_each(|own| own.sort_unstable_by_key(|meeting| Reverse(meeting.left)));
    let mut sum = 0;
    many.iter_mut().for_each(|n| {
        sum += *n;
        *n = sum;
    });
    Ok((met, many))
}
