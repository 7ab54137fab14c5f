//! Joins of sets by their rarest hashes, one of which any two share that match: whatever number of them there is, few pairs are compared.

use crate::join::{joined, Edge, Sets, LEFT, RIGHT};
use crate::sign::on_threads;
use crate::table::Bar;
use crate::verify::{least_intersection, similarity};
use std::ops::Range;

/// What sets share at least with any that they match, where that is more than their similarity alone demands: a weight.
#[derive(Clone, Copy)]
pub struct Required<'a> {
    pub least: &'a [u64],
    pub weight: &'a (dyn Fn(u32) -> u64 + Sync),
}

/// A hash of a set's prefix: which, whose, and its place among the set's hashes from the rarest on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Posting {
    hash: u32,
    member: u32,
    place: u32,
}

/// Postings that one hash of a set meets, and the place of that hash among its own.
struct Meeting {
    place: u32,
    postings: Range<usize>,
}

/// The matches among some sets, all of them; in order.
///
/// A prefix-filter join (Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", WWW 2007) with the positional
/// filter of PPJoin (Xiao, Wang, Lin and Yu, "Efficient Similarity Joins for Near Duplicate Detection", WWW 2008): sets that
/// match share one of the rarest hashes of each, and after the first of those there must be room for the rest. Any order of
/// hashes finds all; that of rarity here is by counts that may be too high.
///
/// Of pairs that do not share what is `required` some are left out.
pub fn prefix_join(members: &[u32], roles: &[u8], sets: Sets, threshold: f64, threads: usize, required: Option<Required>) -> Vec<Edge> {
    join_where(members, roles, sets, threshold, threads, required, |_, _| true)
}

/// The same of those pairs that `may` match.
pub(crate) fn join_where(
    members: &[u32],
    roles: &[u8],
    sets: Sets,
    threshold: f64,
    threads: usize,
    required: Option<Required>,
    may: impl Fn(u32, u32) -> bool + Sync + Copy,
) -> Vec<Edge> {
    let bar = Bar::new(threshold, 0);
    let mut members = members.to_vec();
    members.sort_unstable_by_key(|&set| (sets.sizes[set as usize], set));
    let (index, probes) = prefixes(&members, sets, threshold, required);
    if members.iter().all(|&set| roles[set as usize] == LEFT | RIGHT) {
        let mut edges = probed(&members, roles, sets, bar, (&index, &probes), threads, may);
        edges.sort_unstable();
        return edges;
    }
    // What is on one side alone is looked up among the other: a crowd on the right does not meet itself.
    let of = |postings: &[Posting], side: u8| -> Vec<Posting> {
        postings.iter().copied().filter(|posting| roles[members[posting.member as usize] as usize] & side != 0).collect()
    };
    let mut edges = probed(&members, roles, sets, bar, (&of(&index, LEFT), &of(&probes, RIGHT)), threads, may);
    edges.append(&mut probed(&members, roles, sets, bar, (&of(&index, RIGHT), &of(&probes, LEFT)), threads, may));
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// The matches of probes with what is indexed.
fn probed(
    members: &[u32],
    roles: &[u8],
    sets: Sets,
    bar: Bar,
    (index, probes): (&[Posting], &[Posting]),
    threads: usize,
    may: impl Fn(u32, u32) -> bool + Sync,
) -> Vec<Edge> {
    let (meetings, ends) = meetings(index, probes, members.len());
    let shares: Vec<Range<usize>> = (0..members.len()).step_by(1024).map(|first| first..(first + 1024).min(members.len())).collect();
    let found = on_threads(shares, threads, |share| {
        let (mut seen, mut edges) = (vec![u32::MAX; share.end], Vec::new());
        for i in share {
            let own = members[i];
            let begin = if i > 0 { ends[i - 1] } else { 0 };
            for Meeting { place, postings } in &meetings[begin..ends[i]] {
                for posting in &index[postings.clone()] {
                    let other = members[posting.member as usize];
                    let again = std::mem::replace(&mut seen[posting.member as usize], i as u32) == i as u32;
                    if again || !joined(roles[own as usize], roles[other as usize]) {
                        continue;
                    }
                    let (size, other_size) = (sets.sizes[own as usize], sets.sizes[other as usize]);
                    let room = (size - place).min(other_size - posting.place) as usize;
                    if bar.least(size, other_size).is_some_and(|least| least <= room) && may(own, other) {
                        edges.extend(sets.compare(other, own, bar));
                    }
                }
            }
        }
        edges
    });
    found.concat()
}

/// What of the sets, in order of size, is looked up by and what it is looked up in: their rarest hashes that others may have.
///
/// A set is looked up among those that are no longer, so that fewer of its hashes need to be found by the longer ones. Where more
/// is required, what comes after the last that is looked up by weighs less than that.
fn prefixes(members: &[u32], sets: Sets, threshold: f64, required: Option<Required>) -> (Vec<Posting>, Vec<Posting>) {
    let hashes: usize = members.iter().map(|&set| sets.get(set).len()).sum();
    let bits = hashes.next_power_of_two().trailing_zeros().clamp(10, 27);
    let mut counts = vec![0u16; 1 << bits];
    let cell = |hash: u32| (hash >> (32 - bits)) as usize;
    for &hash in members.iter().flat_map(|&set| sets.get(set)) {
        counts[cell(hash)] = counts[cell(hash)].saturating_add(1);
    }
    let (mut index, mut probes, mut ordered) = (Vec::new(), Vec::new(), Vec::new());
    for (member, &set) in (0..).zip(members) {
        let own = sets.get(set);
        ordered.clear();
        ordered.extend(own.iter().map(|&hash| u64::from(counts[cell(hash)]) << 32 | u64::from(hash)));
        let prefix = own.len() + 1 - least_shared(own.len(), threshold);
        let indexed = own.len() + 1 - least_intersection(own.len(), own.len(), threshold);
        if prefix < ordered.len() {
            ordered.select_nth_unstable(prefix - 1);
            ordered.truncate(prefix);
        }
        ordered.sort_unstable();
        if let Some(Required { least, weight }) = required {
            let mut left: u64 = own.iter().map(|&hash| weight(hash)).sum();
            let enough = ordered.iter().position(|&hash| {
                let there = left;
                left = left.saturating_sub(weight(hash as u32));
                there < least[set as usize]
            });
            ordered.truncate(enough.unwrap_or(ordered.len()));
        }
        for (place, _) in (0..).zip(&ordered).filter(|(_, &hash)| hash >> 32 > 1) {
            let posting = Posting { hash: ordered[place as usize] as u32, member, place };
            probes.push(posting);
            if (place as usize) < indexed {
                index.push(posting);
            }
        }
    }
    index.sort_unstable();
    probes.sort_unstable();
    (index, probes)
}

/// For each member, by the ends of its part, what its hashes meet of earlier members, from its rarest hash on.
fn meetings(index: &[Posting], probes: &[Posting], members: usize) -> (Vec<Meeting>, Vec<usize>) {
    let (mut met, mut many) = (Vec::new(), vec![0; members]);
    let (mut start, mut stop) = (0, 0);
    for probe in probes {
        while index.get(start).is_some_and(|posting| posting.hash < probe.hash) {
            start += 1;
        }
        stop = stop.max(start);
        while index.get(stop).is_some_and(|posting| (posting.hash, posting.member) < (probe.hash, probe.member)) {
            stop += 1;
        }
        if start < stop {
            met.push((probe.member, Meeting { place: probe.place, postings: start..stop }));
            many[probe.member as usize] += 1;
        }
    }
    met.sort_unstable_by_key(|(member, meeting)| (*member, meeting.place));
    let ends = many.iter().scan(0, |sum, n| {
        *sum += n;
        Some(*sum)
    });
    (met.into_iter().map(|(_, meeting)| meeting).collect(), ends.collect())
}

/// The fewest hashes that a set of `n` shares with any set that it matches: those of the smallest such set.
fn least_shared(n: usize, threshold: f64) -> usize {
    let mut least = ((threshold * n as f64) as usize).clamp(1, n);
    while least > 1 && similarity(least - 1, n, least - 1) >= threshold {
        least -= 1;
    }
    while least < n && similarity(least, n, least) < threshold {
        least += 1;
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_as_short_as_the_predicate_allows() {
        for threshold in [0.1, 0.5, 0.8, 28.0 / 35.0, 0.9, 1.0] {
            for n in 1..=200 {
                let least = (1..=n).filter(|&m| least_intersection(n, m, threshold) <= m).min();
                assert!(Some(least_shared(n, threshold)) == least, "{n} at {threshold}");
            }
        }
    }
}
