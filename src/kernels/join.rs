//! Joins of a whole corpus: the sets that share a bucket and match, and all sets that match.
//!
//! Sets are numbered by rank. Which of them are joined with which, `roles` says: a set on the left with one on the right.

use crate::band::spread;
use crate::bar::Bar;
use crate::prefix::{join_where, prefix_join, Enough, Required};
use crate::radix::sort_by_number;
use crate::room::{self, Roomy};
use crate::sets::{joined, Edge, Sets, LEFT, RIGHT};
use crate::threads::on_threads;
use crate::verify::{intersection, least_read, may_share};
use std::cmp::Ordering;
use std::ops::Range;

/// Pairs whose evidence is asked for ahead of the one that is compared.
const AHEAD: usize = 4;

/// The buckets of one band that two or more sets fall into: bucket i is `members[ends[i - 1]..ends[i]]`, ascending.
#[derive(Clone, Copy)]
pub struct Buckets<'a> {
    members: &'a [u32],
    ends: &'a [u32],
}

impl<'a> Buckets<'a> {
    /// None when they do not fit together, or name a set that there is not.
    pub fn new(members: &'a [u32], ends: &'a [u32], sets: usize) -> Option<Self> {
        let fit = ends.is_sorted() && ends.last().copied().unwrap_or(0) as usize == members.len();
        (fit && members.iter().all(|&set| (set as usize) < sets)).then_some(Buckets { members, ends })
    }

    fn each(self) -> impl Iterator<Item = &'a [u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends).map(move |(start, &end)| &self.members[start as usize..end as usize])
    }
}

/// The buckets of one band from the fingerprint of each set: their members and ends.
pub fn buckets(fingerprints: impl ExactSizeIterator<Item = u32>) -> Roomy<(Vec<u32>, Vec<u32>)> {
    grouped(room::collected(fingerprints.enumerate().map(|(set, f)| u64::from(f) << 32 | set as u64))?)
}

/// The buckets of postings, each a fingerprint and a set.
fn grouped(mut postings: Vec<u64>) -> Roomy<(Vec<u32>, Vec<u32>)> {
    sort_by_number(&mut postings, |posting| (posting >> 32) as u32, |&posting| posting as u32)?;
    let (mut members, mut ends) = (Vec::new(), Vec::new());
    for bucket in postings.chunk_by(|a, b| a >> 32 == b >> 32).filter(|bucket| bucket.len() > 1) {
        room::double(&mut members, bucket.len())?;
        room::double(&mut ends, 1)?;
        members.extend(bucket.iter().map(|&posting| posting as u32));
        ends.push(members.len() as u32);
    }
    Ok((members, ends))
}

/// The buckets of the hashes below `sample`: of each the sets that have it.
pub fn sampled_buckets(sets: Sets, sample: u32) -> Roomy<(Vec<u32>, Vec<u32>)> {
    let sampled = |set: u32| sets.get(set).iter().take_while(move |&&h| h < sample).map(move |&h| (spread(h), set));
    grouped(room::gathered((0..sets.len() as u32).flat_map(sampled).map(|(f, set)| u64::from(f) << 32 | u64::from(set)))?)
}

/// Members of a bucket that have a role.
fn active<'b>(bucket: &[u32], roles: &[u8], out: &'b mut Vec<u32>) -> Roomy<&'b [u32]> {
    out.clear();
    room::double(out, bucket.len())?;
    out.extend(bucket.iter().copied().filter(|&set| roles[set as usize] != 0));
    Ok(out)
}

/// How a bucket is joined: pair by pair, by rare hashes where it is crowded, or, of more comparisons than `most`, not at all.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// A bucket is crowded whose members have more comparisons, on average, than so many that are all joined with each other.
    pub crowd: u64,
    pub most: u64,
}

#[derive(PartialEq)]
enum Way {
    PairByPair,
    ByRareHashes,
    NotAtAll,
}

impl Bounds {
    fn way(&self, bucket: &[u32], roles: &[u8]) -> Way {
        let mut many = [0u64; 4];
        bucket.iter().for_each(|&set| many[(roles[set as usize] & (LEFT | RIGHT)) as usize] += 1);
        let [_, left, right, both] = many;
        let comparisons = left * right + both * (left + right) + both * both.saturating_sub(1) / 2;
        if comparisons > self.most {
            Way::NotAtAll
        } else if comparisons.saturating_mul(2) > self.crowd.saturating_sub(1).saturating_mul(left + right + both) {
            Way::ByRareHashes
        } else {
            Way::PairByPair
        }
    }
}

/// With how many sets of a later number each shares a bucket that is joined pair by pair, counted once a bucket.
pub fn partners(bands: &[Buckets], roles: &[u8], bounds: Bounds) -> Roomy<Vec<u64>> {
    let mut counts = room::filled(0, roles.len())?;
    let mut scratch = Vec::new();
    for bucket in bands.iter().flat_map(|band| band.each()) {
        if bounds.way(bucket, roles) != Way::PairByPair {
            continue;
        }
        let members = active(bucket, roles, &mut scratch)?;
        let (mut left, mut right, mut any) = (0, 0, 0);
        for &set in members.iter().rev() {
            let role = roles[set as usize];
            counts[set as usize] += match role {
                LEFT => right,
                RIGHT => left,
                _ => any,
            };
            left += u64::from(role & LEFT != 0);
            right += u64::from(role & RIGHT != 0);
            any += 1;
        }
    }
    Ok(counts)
}

/// The pairs of sets that share a bucket that is joined pair by pair and may match by their sizes, the earlier in `range`.
///
/// Distinct, in order: the earlier in the high half, the later in the low.
pub fn candidates(
    bands: &[Buckets],
    roles: &[u8],
    sizes: &[u32],
    threshold: f64,
    range: Range<u32>,
    bounds: Bounds,
    threads: usize,
) -> Roomy<Vec<u64>> {
    let bar = Bar::new(threshold, 0);
    let range = range.start..range.end.min(roles.len() as u32);
    let later = Later::of(bands, roles, &range, bounds)?;
    let share = range.len().div_ceil(4 * threads.max(1)).max(1 << 10) as u32;
    let shares: Vec<Range<u32>> =
        range.clone().step_by(share as usize).map(|first| first..range.end.min(first.saturating_add(share))).collect();
    let found = on_threads(shares, threads, |share| {
        let (mut seen, mut pairs) = (room::filled(0u32, roles.len())?, Vec::new()); // the last set that met each, plus one
        for a in share {
            let first = pairs.len();
            for &b in later.after((a - range.start) as usize).flatten() {
                let again = std::mem::replace(&mut seen[b as usize], a + 1) == a + 1;
                if !again && bar.least(sizes[a as usize], sizes[b as usize]).is_some() {
                    room::double(&mut pairs, 1)?;
                    pairs.push(u64::from(a) << 32 | u64::from(b));
                }
            }
            pairs[first..].sort_unstable();
        }
        Ok(pairs)
    });
    room::all(found)
}

/// Whom each set of a range is joined with: the later members of its buckets that are joined pair by pair.
struct Later {
    members: Vec<u32>,
    /// Where runs of the members begin and end: those of set i are `runs[ends[i - 1]..ends[i]]`.
    runs: Vec<(u32, u32)>,
    ends: Vec<usize>,
}

impl Later {
    fn of(bands: &[Buckets], roles: &[u8], range: &Range<u32>, bounds: Bounds) -> Roomy<Self> {
        let each = |with: &mut dyn FnMut(&[u32]) -> Roomy<()>| {
            let mut scratch = Vec::new();
            for bucket in bands.iter().flat_map(|band| band.each()) {
                if bounds.way(bucket, roles) != Way::PairByPair {
                    continue;
                }
                let bucket = active(bucket, roles, &mut scratch)?;
                if let Some(first) = bucket.iter().position(|set| range.contains(set)) {
                    with(&bucket[first..])?;
                }
            }
            Ok(())
        };
        let mut ends = room::filled(0, range.len())?;
        each(&mut |bucket| {
            let mut after = 0;
            for &set in bucket.iter().rev() {
                let role = roles[set as usize];
                if range.contains(&set) && joined(role, after) {
                    ends[(set - range.start) as usize] += 1;
                }
                after |= role;
            }
            Ok(())
        })?;
        let mut sum = 0;
        ends.iter_mut().for_each(|many| sum += std::mem::replace(many, sum));
        let (mut members, mut runs) = (Vec::new(), room::filled((0, 0), sum)?);
        each(&mut |bucket| {
            for role in [LEFT, RIGHT, LEFT | RIGHT] {
                let own = |set: &u32| range.contains(set) && roles[*set as usize] == role;
                let others = |set: &u32| joined(role, roles[*set as usize]);
                let bucket = &bucket[bucket.iter().position(own).unwrap_or(bucket.len())..];
                let mut next = members.len();
                room::double(&mut members, bucket.len())?;
                members.extend(bucket.iter().copied().filter(others));
                for set in bucket {
                    next += others(set) as usize;
                    if own(set) && next < members.len() {
                        let end = &mut ends[(set - range.start) as usize];
                        runs[*end] = (next as u32, u32::try_from(members.len()).expect("fewer members at a time"));
                        *end += 1;
                    }
                }
            }
            Ok(())
        })?;
        Ok(Later { members, runs, ends })
    }

    fn after(&self, set: usize) -> impl Iterator<Item = &[u32]> {
        let runs = &self.runs[if set > 0 { self.ends[set - 1] } else { 0 }..self.ends[set]];
        runs.iter().map(|&(start, end)| &self.members[start as usize..end as usize])
    }
}

/// Those of some pairs that match, in their order. None when a pair names a set that there is not.
pub fn compare(pairs: &[u64], sets: Sets, bar: Bar, threads: usize) -> Roomy<Option<Vec<Edge>>> {
    compared(pairs, sets, threads, |a, b| {
        let both = bar.agreement((sets.sizes[a as usize], sets.get(a)), (sets.sizes[b as usize], sets.get(b)))?;
        Some(Edge { earlier: a.min(b), later: a.max(b), both })
    })
}

/// Those of some pairs that may be readings of one text, of whose sets so much was read rightly: all that reach a least Jaccard
/// similarity, and, but for one in 30,000, a corrected one. None when a pair names a set that there is not.
pub fn compare_readings(
    pairs: &[u64],
    sets: Sets,
    legible: &[f64],
    least: f64,
    corrected: f64,
    threads: usize,
) -> Roomy<Option<Vec<Edge>>> {
    let bar = Bar::new(least, 0);
    if legible.len() != sets.len() {
        return Ok(None);
    }
    compared(pairs, sets, threads, |a, b| {
        let (x, y) = (sets.get(a), sets.get(b));
        let shared = least_read(x.len(), y.len(), legible[a as usize] * legible[b as usize], corrected);
        let shared = shared.max(bar.least(x.len() as u32, y.len() as u32)?);
        let may = shared <= x.len().min(y.len()) && may_share(x, y, shared);
        may.then(|| sets.compare(a, b, shared)).flatten()
    })
}

fn compared(pairs: &[u64], sets: Sets, threads: usize, compare: impl Fn(u32, u32) -> Option<Edge> + Sync) -> Roomy<Option<Vec<Edge>>> {
    if !pairs.iter().all(|&pair| sets.has((pair >> 32) as u32) && sets.has(pair as u32)) {
        return Ok(None);
    }
    let compare = |run: &[u64]| {
        let mut found = Vec::new();
        for (i, &pair) in run.iter().enumerate() {
            run.get(i + AHEAD).into_iter().for_each(|&ahead| sets.prefetch(ahead as u32));
            if let Some(edge) = compare((pair >> 32) as u32, pair as u32) {
                room::double(&mut found, 1)?;
                found.push(edge);
            }
        }
        Ok(found)
    };
    Ok(Some(room::all(on_threads(room::collected(pairs.chunks(4096))?, threads, compare))?))
}

/// The crowded buckets of each band: of their members those that have a role, and where each ends.
pub fn crowds(bands: &[Buckets], roles: &[u8], bounds: Bounds) -> Roomy<Vec<(Vec<u32>, Vec<u32>)>> {
    let mut scratch = Vec::new();
    let mut of_band = |band: &Buckets| {
        let (mut members, mut ends) = (Vec::new(), Vec::new());
        for bucket in band.each() {
            if bounds.way(bucket, roles) == Way::ByRareHashes {
                let bucket = active(bucket, roles, &mut scratch)?;
                room::double(&mut members, bucket.len())?;
                room::double(&mut ends, 1)?;
                members.extend_from_slice(bucket);
                ends.push(members.len() as u32);
            }
        }
        Ok((members, ends))
    };
    room::tried(bands.iter().map(&mut of_band))
}

/// The matches of sets that share a bucket; in order. Where there are more than `enough`, some of them.
///
/// Of pairs that do not share what is `required` some are left out.
///
/// Look-alikes share such buckets in many bands, with other members in each: buckets that overlap are joined as one, so that a
/// pair is compared once, however many it shares.
pub fn crowd_join(
    bands: &[Buckets],
    roles: &[u8],
    sets: Sets,
    bar: Bar,
    threads: usize,
    required: Option<Required>,
    enough: &Enough,
) -> Roomy<Vec<Edge>> {
    let mut joined = room::gathered(bands.iter().flat_map(|band| band.each()))?;
    joined.sort_unstable();
    joined.dedup(); // boilerplate fills the same bucket in many bands
    let crowds = Crowds::of(&joined, roles.len())?;
    let share = |a, b| crowds.share(a, b);
    let mut edges: Vec<Edge> = Vec::new();
    for (members, alone) in &crowds.groups {
        if enough.with(0) {
            break;
        }
        let found = match alone {
            true => prefix_join(members, roles, sets, bar, threads, required, enough),
            false => join_where(members, roles, sets, bar, threads, required, enough, share),
        }?;
        room::double(&mut edges, found.len())?;
        edges.extend_from_slice(&found);
    }
    edges.sort_unstable();
    Ok(edges)
}

/// Buckets in groups, of which no two have a set in common.
struct Crowds {
    /// The buckets of set i, in order, are `buckets[starts[i]..starts[i + 1]]`.
    starts: Vec<usize>,
    buckets: Vec<u32>,
    /// The sets of each group, and whether it is one bucket alone.
    groups: Vec<(Vec<u32>, bool)>,
}

impl Crowds {
    fn of(crowded: &[&[u32]], sets: usize) -> Roomy<Self> {
        let mut starts = room::filled(0, sets + 1)?;
        crowded.iter().copied().flatten().for_each(|&set| starts[set as usize + 1] += 1);
        (0..sets).for_each(|set| starts[set + 1] += starts[set]);
        let (mut buckets, mut next) = (room::filled(0, starts[sets])?, room::collected(starts.iter().copied())?);
        for (bucket, members) in (0..).zip(crowded) {
            for &set in *members {
                buckets[next[set as usize]] = bucket;
                next[set as usize] += 1;
            }
        }
        let mut parents = room::collected(0..crowded.len())?;
        let root = |parents: &mut [usize], mut bucket: usize| {
            while parents[bucket] != bucket {
                parents[bucket] = parents[parents[bucket]];
                bucket = parents[bucket];
            }
            bucket
        };
        let own = |set: usize| &buckets[starts[set]..starts[set + 1]];
        for pair in (0..sets).flat_map(|set| own(set).windows(2)) {
            let (a, b) = (root(&mut parents, pair[0] as usize), root(&mut parents, pair[1] as usize));
            parents[a.max(b)] = a.min(b);
        }
        let mut groups = room::filled((Vec::new(), true), crowded.len())?;
        for set in 0..sets {
            if let Some(&bucket) = own(set).first() {
                let group: &mut Vec<u32> = &mut groups[root(&mut parents, bucket as usize)].0;
                room::double(group, 1)?;
                group.push(set as u32);
            }
        }
        (0..crowded.len()).for_each(|bucket| groups[root(&mut parents, bucket)].1 &= parents[bucket] == bucket);
        groups.retain(|(members, _)| !members.is_empty());
        Ok(Crowds { starts, buckets, groups })
    }

    /// Whether two sets share a bucket.
    fn share(&self, a: u32, b: u32) -> bool {
        let [mut a, mut b] = [a, b].map(|set| self.buckets[self.starts[set as usize]..self.starts[set as usize + 1]].iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            match x.cmp(y) {
                Ordering::Less => a.next(),
                Ordering::Greater => b.next(),
                Ordering::Equal => return true,
            };
        }
        false
    }
}

/// Which of some sets share a bucket with one of a lower number among them.
pub fn preceded(bands: &[Buckets], among: &[bool]) -> Roomy<Vec<bool>> {
    let mut preceded = room::filled(false, among.len())?;
    for bucket in bands.iter().flat_map(|band| band.each()) {
        let members = bucket.iter().filter(|&&set| among[set as usize]);
        members.skip(1).for_each(|&set| preceded[set as usize] = true);
    }
    Ok(preceded)
}

/// In order of number, whether each set matches none before it that does not itself match one such: what is kept.
///
/// The lexicographically first maximal independent set of a graph. None when an edge names a set that there is not.
pub fn first_independent_set(sets: usize, earlier: &[u32], later: &[u32]) -> Roomy<Option<Vec<bool>>> {
    let mut edges = room::collected(earlier.iter().zip(later).map(|(&a, &b)| u64::from(b) << 32 | u64::from(a)))?;
    edges.sort_unstable();
    let mut kept = room::filled(true, sets)?;
    for edge in edges {
        let (a, b) = (edge as u32 as usize, (edge >> 32) as usize);
        if a >= b || b >= sets {
            return Ok(None);
        }
        if kept[a] {
            kept[b] = false;
        }
    }
    Ok(Some(kept))
}

/// Go on with the same over edges in order of their later ends, of which some come at a time: bit i of `kept` is set i.
///
/// An edge of a set with itself removes it. None when an edge names a set that there is not, or not the earlier first.
pub fn keep_first(kept: &mut [u8], earlier: &[u64], later: &[u64]) -> Option<()> {
    let sets = 8 * kept.len() as u64;
    for (&a, &b) in earlier.iter().zip(later) {
        if a > b || b >= sets {
            return None;
        }
        if kept[a as usize / 8] >> (a % 8) & 1 == 1 {
            kept[b as usize / 8] &= !(1 << (b % 8));
        }
    }
    Some(())
}

/// The lowest number in the component of each set. None when an edge names a set that there is not.
pub fn components(sets: usize, a: &[u32], b: &[u32]) -> Roomy<Option<Vec<u32>>> {
    let mut parents = room::collected(0..sets as u32)?;
    let mut root = |mut set: u32, joins: Option<u32>| {
        while parents[set as usize] != set {
            parents[set as usize] = parents[parents[set as usize] as usize];
            set = parents[set as usize];
        }
        if let Some(joins) = joins {
            parents[set as usize] = joins;
        }
        set
    };
    for (&a, &b) in a.iter().zip(b) {
        if a.max(b) as usize >= sets {
            return Ok(None);
        }
        let (a, b) = (root(a, None), root(b, None));
        root(a.max(b), Some(a.min(b)));
    }
    Ok(Some(room::collected((0..sets as u32).map(|set| root(set, None)))?))
}

/// How many hashes the sets of each pair share.
pub fn intersections(sets: Sets, a: &[u32], b: &[u32], threads: usize) -> Roomy<Vec<u32>> {
    let pairs = room::collected(a.chunks(4096).zip(b.chunks(4096)))?;
    let count = |(&a, &b): (&u32, &u32)| intersection(sets.get(a), sets.get(b), 0).unwrap_or(0) as u32;
    room::all(on_threads(pairs, threads, |(a, b)| room::collected(a.iter().zip(b).map(count))))
}
