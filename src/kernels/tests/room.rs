//! Allocations that fail, each in its turn: what was asked for is refused, and nothing of it is there.
#![cfg(not(feature = "python"))] // with which the library has an allocator of its own

use neardup_kernels::bar::Bar;
use neardup_kernels::batch::sign_many;
use neardup_kernels::hash::mix64;
use neardup_kernels::join::{self, Bounds, Buckets};
use neardup_kernels::lookup::{Answer, Row};
use neardup_kernels::minhash::Lattice;
use neardup_kernels::path::Path;
use neardup_kernels::prefix::{Enough, Required};
use neardup_kernels::room::{self, NoRoom, Roomy};
use neardup_kernels::sets::{Edge, Sets};
use neardup_kernels::sign::{Document, Product, Recipe};
use neardup_kernels::store::{Refused, Store};
use neardup_kernels::table::Table;
use neardup_kernels::weigh::{self, Weights};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

thread_local! {
    /// Bytes of an allocation that may fail; what is smaller is there as long as anything is.
    static LARGE: Cell<usize> = const { Cell::new(1 << 11) };
    /// Large allocations of this thread until one fails.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Failing;

// SAFETY: everything is done by the system's allocator, or is not done.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGE.get() {
            let left = LEFT.get();
            LEFT.set(left.wrapping_sub(1).min(usize::MAX - 1));
            if left == 0 {
                return std::ptr::null_mut();
            }
        }
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Do some work on things made anew, each time with another allocation failing, until none does. What was made then, what became of
/// it, and how often it was refused.
fn until_done<M, T, E>(mut made: impl FnMut() -> M, work: impl Fn(&mut M) -> Result<T, E>, refused: impl Fn(M, E)) -> (M, T, usize) {
    for turn in 0.. {
        let mut on = made();
        LEFT.set(turn);
        let done = work(&mut on);
        LEFT.set(usize::MAX);
        match done {
            Ok(done) => return (on, done, turn),
            Err(error) => refused(on, error),
        }
    }
    unreachable!()
}

struct Documents {
    ids: Vec<Vec<u8>>,
    fingerprints: Vec<[u32; 4]>,
    evidence: Vec<Vec<u32>>,
}

impl Documents {
    /// So many of them, each third a copy of the first of three.
    fn new(start: u32, many: u32) -> Self {
        let number = |i: u32| if i % 3 == 2 { i - 2 } else { i };
        let spread = |i: u32, j: u32| (number(i) * 64 + j).wrapping_mul(0x9E37_79B1);
        let all = start..start + many;
        Documents {
            ids: all.clone().map(|i| format!("document {i}").into_bytes()).collect(),
            fingerprints: all.clone().map(|i| [0, 1, 2, 3].map(|band| spread(i, band))).collect(),
            evidence: all.map(|i| (0..40).map(|j| number(i) * 64 + j).collect()).collect(),
        }
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let rows = self.fingerprints.iter().zip(&self.evidence);
        rows.map(|(fingerprints, evidence)| Row { fingerprints, set_hash: evidence[0].into(), size: evidence.len() as u32, evidence })
            .collect()
    }
}

/// That the documents of a store are these and are found.
fn check(store: &Store, documents: &[&Documents]) {
    let ids: Vec<&[u8]> = store.ids.iter().map(|document| store.ids.id(document)).collect();
    assert_eq!(ids, documents.iter().flat_map(|some| some.ids.iter().map(Vec::as_slice)).collect::<Vec<_>>());
    for some in documents {
        for (row, id) in some.rows().into_iter().zip(&some.ids) {
            let found = store.table.query(row, 0.9).unwrap().found;
            assert_eq!(found.len(), 1);
            assert!(store.ids.members(found[0].entry).any(|document| store.ids.id(document) == id));
        }
    }
}

#[test]
fn what_has_no_room_is_not_added() {
    let (first, second, third) = (Documents::new(0, 700), Documents::new(900, 3000), Documents::new(6000, 3));
    let of_first = || {
        let mut store = Store::new(Table::new(4, 10, 0));
        store.add(&first.ids, &first.rows(), 1).unwrap();
        store
    };
    let rows = second.rows();
    let add = |store: &mut Store| store.add(&second.ids, &rows, 1);
    let (mut store, (), refused) = until_done(of_first, add, |mut store, why| {
        assert!(matches!(why, Refused::NoRoom(_)));
        check(&store, &[&first]);
        // What was taken back can be added.
        store.add(&second.ids, &rows, 1).unwrap();
        check(&store, &[&first, &second]);
    });
    assert!(refused > 15, "{refused}");
    check(&store, &[&first, &second]);
    for (row, id) in third.rows().into_iter().zip(&third.ids) {
        let answer = store.add_unless_match(id, row, 0.9).unwrap();
        assert_eq!(answer.unwrap().found.is_empty(), id != &third.ids[2], "the third is a copy of the first");
    }
}

#[test]
fn what_has_no_room_is_not_replaced() {
    let (documents, others) = (Documents::new(0, 510), Documents::new(3000, 510));
    let made = || {
        let mut store = Store::new(Table::new(4, 10, 0));
        store.add(&documents.ids, &documents.rows(), 1).unwrap();
        store
    };
    let rows = others.rows();
    let replace = |store: &mut Store| {
        let mut all = documents.ids.iter().zip(&rows).enumerate();
        all.try_for_each(|(i, (id, row))| store.replace(id, *row).map(|there| assert!(there)).map_err(|no_room| (i, no_room)))
    };
    let part = |from: &Documents, range: std::ops::Range<usize>| Documents {
        ids: documents.ids[range.clone()].to_vec(),
        fingerprints: from.fingerprints[range.clone()].to_vec(),
        evidence: from.evidence[range].to_vec(),
    };
    let (store, (), refused) = until_done(made, replace, |store, (done, _)| {
        check(&store, &[&part(&documents, done..510), &part(&others, 0..done)]);
    });
    assert!(refused > 5, "{refused}");
    check(&store, &[&part(&others, 0..510)]);
}

#[test]
fn what_is_removed_is_gone_whatever_room_there_is() {
    let documents = Documents::new(0, 3000);
    let mut store = Store::new(Table::new(4, 10, 0));
    store.add(&documents.ids, &documents.rows(), 1).unwrap();
    for (i, id) in documents.ids.iter().enumerate() {
        LEFT.set(i % 3);
        assert!(store.remove(id));
        LEFT.set(usize::MAX);
        if i % 500 == 499 {
            let left = i + 1..3000;
            let (fingerprints, evidence) = (documents.fingerprints[left.clone()].to_vec(), documents.evidence[left.clone()].to_vec());
            check(&store, &[&Documents { ids: documents.ids[left].to_vec(), fingerprints, evidence }]);
        }
    }
    assert!(store.table.is_empty() && store.ids.is_empty());
    store.add(&documents.ids, &documents.rows(), 1).unwrap();
    check(&store, &[&documents]);
}

/// A stream of reproducible numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix64(self.0) % n
    }
}

/// The documents of a family share a band, and a sampled hash: each is a crowd.
fn family(number: u64) -> ([u32; 4], Vec<u32>) {
    let spread = |value: u64| (value as u32).wrapping_mul(0x9E37_79B1);
    let own = (0..20).map(|j| if j < 4 { number as u32 / 40 * 8 + j } else { (1 << 20) + number as u32 * 32 + j });
    ([spread(number), spread(number / 40), spread(number / 5 + 77_777), spread(3 * number + 1)], own.collect())
}

/// Anything in any order, a third of it short of room, beside a map that says what is there. How often it was refused.
fn history(seed: u64, mut store: Store) -> usize {
    const FAMILIES: u64 = 900;
    let (mut numbers, mut there, mut refused) = (Numbers(seed), BTreeMap::new(), 0);
    let contents: Vec<([u32; 4], Vec<u32>)> = (0..FAMILIES).map(family).collect();
    let row = |number: u64| {
        let (fingerprints, evidence) = &contents[number as usize];
        // Some have nothing that could be found.
        let evidence = if number % 50 == 7 { &[] } else { &evidence[..] };
        Row { fingerprints, set_hash: 7 * number, size: evidence.len() as u32, evidence }
    };
    // What is smaller a crowd takes for its members.
    LARGE.set(700);
    for step in 0..4000 {
        let left = if numbers.below(3) == 0 { numbers.below(4) as usize } else { usize::MAX };
        let (id, number) = (numbers.below(FAMILIES).to_be_bytes(), numbers.below(FAMILIES));
        let many = 1 + numbers.below(if step % 40 == 0 { 500 } else { 5 });
        let batch: Vec<(u64, u64)> = (0..many).map(|i| (u64::from_be_bytes(id) + i, numbers.below(FAMILIES))).collect();
        let ids: Vec<[u8; 8]> = batch.iter().map(|(id, _)| id.to_be_bytes()).collect();
        let rows: Vec<Row> = batch.iter().map(|&(_, number)| row(number)).collect();
        let known = ids.iter().position(|id| there.contains_key(id));
        // Much is added, and then much is removed.
        let what = if step / 100 % 2 == 0 { numbers.below(4) } else { 3 };
        LEFT.set(left);
        let done = match what {
            0 | 1 => store.add(&ids, &rows, 1).map(|()| true),
            2 => store.replace(&id, row(number)).map_err(Refused::NoRoom),
            _ => Ok(ids.iter().all(|id| store.remove(id) == there.remove(id).is_some())),
        };
        LEFT.set(usize::MAX);
        match (what, done) {
            (_, Err(Refused::NoRoom(_))) => refused += 1,
            (0 | 1, Err(Refused::Known(place))) => assert_eq!(known, Some(place)),
            (0 | 1, Ok(_)) => {
                assert_eq!(known, None);
                there.extend(ids.into_iter().zip(batch.iter().map(|&(_, number)| number)));
            }
            (2, done) => {
                assert_eq!(done, Ok(there.contains_key(&id)));
                there.entry(id).and_modify(|held| *held = number);
            }
            (_, done) => assert_eq!(done, Ok(true)),
        }
        if step % 100 == 99 {
            let mut ids: Vec<&[u8]> = store.ids.iter().map(|document| store.ids.id(document)).collect();
            ids.sort_unstable();
            assert!(ids.into_iter().eq(there.keys().map(|id| &id[..])), "{seed} {step}");
            for number in 0..FAMILIES {
                let found = store.table.query(row(number), 0.9).unwrap().found;
                let mut ids: Vec<&[u8]> = found.iter().flat_map(|one| store.ids.members(one.entry)).map(|d| store.ids.id(d)).collect();
                ids.sort_unstable();
                let held = there.iter().filter(|(_, &held)| held == number && number % 50 != 7).map(|(id, _)| &id[..]);
                assert!(ids.into_iter().eq(held), "{seed} {step} {number}");
            }
        }
    }
    // Entries are used again, but for those that wait to be.
    assert!(store.table.len() < 2 * FAMILIES as usize, "{}", store.table.len());
    refused
}

#[test]
fn any_history_with_room_and_without() {
    let refused = (0..4).map(|seed| {
        let limit = [5, 100][seed as usize % 2];
        history(seed, Store::new(Table::new(4, limit, 0))) + history(seed, Store::new(Table::of_samples(1 << 20, limit)))
    });
    let refused: Vec<usize> = refused.collect();
    assert!(refused.iter().sum::<usize>() > 30, "{refused:?}");
}

#[test]
fn what_has_no_room_is_not_looked_up() {
    // Sets of 40 of which each has a hash of its own: all match and are in one crowd.
    let evidence: Vec<Vec<u32>> = (0..1500).map(|i| (0..39).map(|j| j << 20).chain([(40 << 20) + i]).collect()).collect();
    let each = evidence.iter().zip(0..);
    let rows: Vec<Row> = each.map(|(evidence, set_hash)| Row { fingerprints: &[1, 2, 3, 4], set_hash, size: 40, evidence }).collect();
    let mut table = Table::new(4, 2000, 0);
    table.insert(&rows, 1).unwrap();
    let legible = vec![1.0; rows.len()];
    type Work<'a> = &'a dyn Fn(&Table) -> Roomy<usize>;
    let counted = |answers: Roomy<Vec<Answer>>| Ok(answers?.iter().map(|answer| answer.found.len()).sum());
    let looked_up: [(Work, usize); 4] = [
        (&|table| counted(table.query(rows[7], 0.9).map(|answer| vec![answer])), 4),
        (&|table| counted(table.query_many(&rows[..8], 0.9, 1)), 30),
        (&|table| counted(table.query_readings(&rows[..8], 0.9, &legible[..8], (0.9, 0), 1)), 30),
        (&|table| Ok(table.nearest(&rows[..8], 0.9, 1)?.iter().flatten().count()), 30),
    ];
    for (work, least) in looked_up {
        let expected = work(&table).unwrap();
        assert!(expected >= 8);
        let mut refused = 0;
        for turn in 0.. {
            LEFT.set(turn);
            let found = work(&table);
            let failed = LEFT.replace(usize::MAX) > usize::MAX / 2;
            // What only makes it quicker can be missing.
            assert!(found == Ok(expected) || (failed && matches!(found, Err(NoRoom(bytes)) if bytes > 0)), "{turn} {found:?}");
            refused += usize::from(found.is_err());
            if !failed {
                break;
            }
        }
        assert!(refused >= least, "{refused}");
    }
}

#[test]
fn removing_does_not_try_to_compact_each_time() {
    let documents = Documents::new(0, 30_000);
    let mut store = Store::new(Table::new(4, 10, 0));
    store.add(&documents.ids, &documents.rows(), 1).unwrap();
    // None of these allocations is made by removing itself.
    LARGE.set(1 << 12);
    let mut failed = 0;
    for id in &documents.ids {
        LEFT.set(0);
        assert!(store.remove(id));
        failed += usize::from(LEFT.get() != 0);
        LEFT.set(usize::MAX);
    }
    assert!((4..60).contains(&failed), "{failed}");
}

#[test]
fn crowds_have_room_and_entries_that_were_taken_back_are_used_again() {
    let documents = Documents::new(0, 2000);
    // All but the first two bands are of crowds of four.
    let fingerprints: Vec<[u32; 4]> = documents.fingerprints.iter().zip(0..).map(|(f, i)| [f[0], f[1], i / 4, i / 4]).collect();
    let rows: Vec<Row> = documents.rows().into_iter().zip(&fingerprints).map(|(row, fingerprints)| Row { fingerprints, ..row }).collect();
    let made = || {
        let mut store = Store::new(Table::new(4, 2, 0));
        let others = Documents::new(5000, 600);
        store.add(&others.ids, &others.rows(), 1).unwrap();
        others.ids.iter().for_each(|id| assert!(store.remove(id)));
        store
    };
    let entries = made().table.len();
    let (_, (), refused) = until_done(
        made,
        |store| store.add(&documents.ids, &rows, 1),
        |mut store, _| {
            store.add(&documents.ids[..300], &rows[..300], 1).unwrap();
            assert_eq!(store.table.len(), entries, "entries are used again");
        },
    );
    assert!(refused > 10, "{refused}");
}

#[test]
fn signatures_without_room() {
    // What a thread works with is smaller.
    LARGE.set(1 << 18);
    let texts: Vec<String> = (0..12_000).map(|i| (0..60).map(|j| format!("w{} ", i * 40 + j)).collect()).collect();
    let documents: Vec<Document> = texts.iter().map(|text| Document::Text(text.as_bytes())).collect();
    let recipe = Recipe { chars: false, size: 5, secret: 0, lattice: Lattice::new(16, 1), product: Product::SignatureAndHashes };
    let mut values = vec![0; 16 * documents.len()];
    let whole = sign_many(&recipe, &documents, 1, Path::Portable, &mut values).unwrap();
    let sign = |values: &mut Vec<u32>| sign_many(&recipe, &documents, 1, Path::Portable, values);
    let (signed_values, signed, refused) = until_done(|| vec![0; 16 * documents.len()], sign, |_, NoRoom(bytes)| assert!(bytes > 1 << 16));
    assert!(signed_values == values);
    assert!(refused > 3);
    assert!(signed.counts == whole.counts && signed.offsets == whole.offsets && signed.hashes == whole.hashes);
}

/// Sets of which many have a passage, what each has beside it, and their buckets in three bands.
struct Corpus {
    evidence: Vec<u32>,
    starts: Vec<u64>,
    sizes: Vec<u32>,
    bands: Vec<(Vec<u32>, Vec<u32>)>,
    among: Vec<bool>,
}

impl Corpus {
    fn new(many: u32) -> Self {
        let mut corpus =
            Corpus { evidence: Vec::new(), starts: Vec::new(), sizes: Vec::new(), bands: Vec::new(), among: vec![true; many as usize] };
        for i in 0..many {
            let own = |j: u32| mix64(u64::from(if i % 5 == 4 { i - 1 } else { i }) << 32 | u64::from(j)) as u32;
            let mut hashes: Vec<u32> =
                (0..30 - i % 4).map(|j| mix64(u64::from(j + i / 5 % 2 * 100)) as u32).chain((0..12).map(own)).collect();
            hashes.sort_unstable();
            hashes.dedup();
            corpus.starts.push(corpus.evidence.len() as u64);
            corpus.sizes.push(hashes.len() as u32);
            corpus.evidence.extend(hashes);
        }
        let bucket = |band: u32, i: u32| if i % 3 < 2 { band } else { mix64(u64::from(band) << 32 | u64::from(i / 30)) as u32 };
        corpus.bands = (0..3).map(|band| join::buckets((0..many).map(|i| bucket(band, i))).unwrap()).collect();
        corpus
    }

    fn sets(&self) -> Sets<'_> {
        Sets::new(&self.evidence, &self.starts, &self.sizes).unwrap()
    }

    fn buckets(&self) -> Vec<Buckets<'_>> {
        self.bands.iter().map(|(members, ends)| Buckets::new(members, ends, self.sizes.len()).unwrap()).collect()
    }
}

/// Checksums of all that a join of a corpus does, and how many matches there are.
fn joined(corpus: &Corpus, roles: &[u8]) -> Roomy<([u64; 11], usize)> {
    let (sets, buckets, bar, bounds) = (corpus.sets(), corpus.buckets(), Bar::new(0.45, 0), Bounds { crowd: 30, most: u64::MAX });
    let n = corpus.sizes.len();
    let weights = Weights::new(&corpus.evidence[..1], &[3], 2)?.unwrap();
    let totals = weigh::totals(sets, &weights, 1)?;
    let required = Required::Weighed { weights: &weights, totals: &totals, threshold: 0.6 };
    let pairs = join::candidates(&buckets, roles, &corpus.sizes, 0.45, 0..n as u32, bounds, 1)?;
    let crowded = join::crowds(&buckets, roles, bounds)?;
    let crowds: Vec<Buckets> = crowded.iter().map(|(members, ends)| Buckets::new(members, ends, n).unwrap()).collect();
    let light = join::compare(&pairs, sets, bar, 1)?.unwrap();
    let edges = join::crowd_join(&crowds, roles, sets, bar, 1, None, &Enough::new(u64::MAX, &|| false))?;
    let weighed = join::crowd_join(&crowds, roles, sets, bar, 1, Some(required), &Enough::new(u64::MAX, &|| false))?;
    let [a, b] = [|edge: &Edge| edge.earlier, |edge: &Edge| edge.later].map(|end| room::collected(edges.iter().map(end)));
    let (a, b) = (a?, b?);
    let (sampled, whole) = (join::sampled_buckets(sets, 1 << 30)?, join::buckets(corpus.evidence.iter().copied())?);
    let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(1, |sum, value| mix64(sum ^ value));
    let of_edges =
        |edges: &[Edge]| sum(&mut edges.iter().map(|e| mix64(u64::from(e.earlier) << 32 | u64::from(e.later)) ^ u64::from(e.both)));
    let sums = [
        sum(&mut join::partners(&buckets, roles, bounds)?.into_iter()),
        sum(&mut pairs.into_iter()),
        of_edges(&light),
        of_edges(&edges),
        of_edges(&weighed),
        sum(&mut weigh::shared(sets, &a, &b, &weights, 1)?.into_iter()),
        sum(&mut join::intersections(sets, &a, &b, 1)?.into_iter().map(u64::from)),
        sum(&mut join::components(n, &a, &b)?.unwrap().into_iter().map(u64::from)),
        sum(&mut [sampled.0, sampled.1, whole.0, whole.1].iter().flatten().map(|&value| value.into())),
        sum(&mut join::first_independent_set(n, &a, &b)?.unwrap().into_iter().map(u64::from)),
        sum(&mut join::preceded(&buckets, &corpus.among)?.into_iter().map(u64::from)),
    ];
    Ok((sums, edges.len().min(weighed.len()).min(light.len())))
}

#[test]
fn joins_that_have_no_room_say_so() {
    let corpus = Corpus::new(240);
    for roles in [vec![3; 240], (0..240).map(|i| (i % 4) as u8).collect()] {
        let expected = joined(&corpus, &roles).unwrap();
        assert!(expected.1 > 5, "{} matches", expected.1);
        let (_, done, turns) = until_done(|| &corpus, |corpus| joined(corpus, &roles), |_, NoRoom(bytes)| assert!(bytes > 0));
        assert_eq!(done, expected);
        assert!(turns > 60, "{turns} allocations");
    }
}
