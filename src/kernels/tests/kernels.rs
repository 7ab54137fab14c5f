//! The kernels against plain versions of themselves, without Python. Parity with reference.py is tested from there.

use neardup_kernels::bar::{Bar, Measure};
use neardup_kernels::batch::sign_many;
use neardup_kernels::distinct::DistinctCounter;
use neardup_kernels::hash::mix64;
use neardup_kernels::lookup::{Answer, Row};
use neardup_kernels::minhash::{lean_masks, lean_signatures, Lattice, Value};
use neardup_kernels::path::Path;
use neardup_kernels::sign::{tokens, Document, Product, Recipe};
use neardup_kernels::sketch::Sketch;
use neardup_kernels::table::Table;
use neardup_kernels::threads::on_threads;
use neardup_kernels::verify::{
    intersection, least_intersection, least_share, set_hash, similarity, sort_distinct, Beginnings, ManyBeginnings, SortScratch, TOGETHER,
};
use std::collections::{BTreeSet, HashSet};

/// A stream of reproducible numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix64(self.0)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Texts of every kind: words, marks, unspaced scripts, invalid bytes, and lengths around the steps of the kernels.
fn texts() -> Vec<Vec<u8>> {
    let mut numbers = Numbers(1);
    let pieces: Vec<&[u8]> = vec![
        b"word ",
        b"A",
        b"_9",
        b" ",
        b".",
        "é".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{301}".as_bytes(),
        "我们".as_bytes(),
        "ก็".as_bytes(),
        "ﬁ".as_bytes(),
        "Ω".as_bytes(),
        "각".as_bytes(),
        "\u{1100}\u{1161}".as_bytes(),
        "\u{200b}".as_bytes(),
        b"\xff",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"a-rather-long-tokenwithout-any-end-in-sight",
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ];
    let mut texts: Vec<Vec<u8>> = (0..3000)
        .map(|i| {
            let few = 1 + numbers.below(pieces.len());
            (0..numbers.below([4, 40, 400][i % 3])).flat_map(|_| pieces[numbers.below(few)].to_vec()).collect()
        })
        .collect();
    for length in (0..200).chain([4095, 4096, 4097, 16383, 16384, 16385, 40000]) {
        texts.push(vec![b'x'; length]);
        texts.push((0..length).map(|i| if i % 7 == 6 { b' ' } else { b'a' + (i % 23) as u8 }).collect());
    }
    texts
}

#[test]
fn a_prefix_is_as_short_as_the_predicate_allows() {
    for threshold in [0.1, 0.5, 0.8, 28.0 / 35.0, 0.9, 1.0] {
        for n in 1..=200 {
            let least = (1..=n).filter(|&m| least_intersection(n, m, threshold) <= m).min();
            assert_eq!(Some(Bar::new(threshold, 0).least_of_any(n as u32)), least, "{n} at {threshold}");
            let least = (1..=n).map(|m| Bar::by(Measure::Overlap, threshold).least(n as u32, m as u32).unwrap()).min();
            assert_eq!(Some(Bar::by(Measure::Overlap, threshold).least_of_any(n as u32)), least, "{n} at {threshold}");
        }
    }
}

#[test]
fn a_share_is_bounded_by_its_predicate() {
    for threshold in [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0] {
        for n in 1..=200 {
            let least = (1..=n).find(|&both| both as f64 / n as f64 >= threshold).unwrap_or(n + 1);
            assert_eq!(least_share(n, threshold), least, "{n} {threshold}");
        }
    }
}

#[test]
fn a_long_document_is_searched_as_it_is_read() {
    let long: Vec<u32> = (0..20_000).map(|i| 7 * i + i % 5).collect();
    for n in [1, 2, 3, 40, 1_000] {
        for step in [1, 3, 19, 350] {
            let short: Vec<u32> = (0..n).map(|i| 5 + step * i).collect();
            let both = short.iter().filter(|h| long.binary_search(h).is_ok()).count();
            for (a, b) in [(&short, &long), (&long, &short)] {
                assert_eq!(intersection(a, b, 0), Some(both));
                assert_eq!(intersection(a, b, both), Some(both));
                assert_eq!(intersection(a, b, both + 1), None);
            }
        }
    }
}

#[test]
fn every_path_gives_the_same_bits() {
    let texts = texts();
    let documents: Vec<_> = texts.iter().map(|t| Document::Text(t)).collect();
    for (chars, size, num_perm, seed) in [(false, 5, 128, 0), (false, 1, 100, 7), (false, 3, 2, 1), (false, 32, 300, 0), (true, 5, 129, 9)]
    {
        let sign = |path, threads| {
            let lattice = Lattice::new(num_perm, seed);
            let recipe = Recipe { chars, size, secret: seed, lattice, product: Product::SignatureAndHashes };
            let mut values = vec![0; documents.len() * num_perm];
            let signed = sign_many(&recipe, &documents, threads, path, &mut values).unwrap();
            (values, signed)
        };
        let (values, portable) = sign(Path::Portable, 1);
        for path in Path::available() {
            for threads in [1, 3] {
                let (found, signed) = sign(path, threads);
                assert!(found == values && signed.counts == portable.counts, "{path:?} {num_perm}");
                assert!(signed.offsets == portable.offsets && signed.hashes == portable.hashes, "{path:?} {num_perm}");
            }
        }
    }
}

#[test]
fn a_long_document_has_the_least_of_each_slot() {
    // Of more blocks than one, so that what lowers no slot is left out.
    let mut numbers = Numbers(8);
    for (round, num_perm) in [2, 3, 60, 64, 100, 128, 128, 128, 300].into_iter().enumerate() {
        let hashes: Vec<u64> = (0..40_003 + round).map(|_| numbers.next()).collect();
        let shift = 31 - (num_perm - 1u32).ilog2();
        let value = |y: u64, slot: u32| (y as u32).wrapping_add(slot.wrapping_mul(((y >> 32) as u32 | 1) << shift));
        let plain: Vec<u32> = (0..num_perm).map(|slot| hashes.iter().map(|&y| value(y, slot)).min().unwrap()).collect();
        for path in Path::available() {
            let lattice = Lattice::new(num_perm as usize, 0);
            let recipe = Recipe { chars: false, size: 5, secret: 0, lattice, product: Product::Signature };
            let mut values = vec![0; num_perm as usize];
            sign_many(&recipe, &[Document::Hashes(&hashes)], 1, path, &mut values).unwrap();
            assert!(values == plain, "{path:?} {num_perm}");
        }
    }
}

#[test]
fn every_path_shortens_alike() {
    fn shortened<V: Value>(values: &[V], num_perm: usize, path: Path) -> Vec<u32> {
        let mut words = vec![0; values.len() / num_perm * num_perm.div_ceil(4)];
        lean_signatures(values, &lean_masks(num_perm), &mut words, path);
        words
    }
    let mut numbers = Numbers(5);
    for num_perm in [2, 3, 63, 64, 65, 128, 300] {
        let wide: Vec<u64> = (0..3 * num_perm).map(|_| numbers.next()).collect();
        let narrow: Vec<u32> = wide.iter().map(|&value| value as u32).collect();
        let plain = [shortened(&narrow, num_perm, Path::Portable), shortened(&wide, num_perm, Path::Portable)];
        for path in Path::available() {
            assert_eq!([shortened(&narrow, num_perm, path), shortened(&wide, num_perm, path)], plain, "{path:?} {num_perm}");
        }
    }
}

#[test]
fn tokens_are_words_in_place() {
    let (bytes, edges) = tokens("Ｔhe CAT, 我们_x e\u{301}".as_bytes(), false);
    let found: Vec<_> = edges.chunks(2).map(|e| std::str::from_utf8(&bytes[e[0] as usize..e[1] as usize]).unwrap()).collect();
    assert_eq!(found, ["the", "cat", "我", "们", "_x", "é"]);
}

#[test]
fn distinct_hashes_are_counted() {
    let mut numbers = Numbers(2);
    let mut counter = DistinctCounter::default();
    for round in 0..240 {
        let most = if round % 12 == 0 { 500_000 } else { 4000 };
        let shift = [0, 52, 60, 20, 46][round % 5];
        let hashes: Vec<u64> = (0..numbers.below(most)).map(|_| numbers.next() >> shift << (round % 3)).collect();
        let distinct = hashes.iter().copied().collect::<HashSet<u64>>().len() as u64;
        counter.clear();
        for part in hashes.chunks(700) {
            counter.insert_all(part);
        }
        assert_eq!(counter.count(), distinct);
        assert!(counter.count_once(&hashes).is_none_or(|count| count == distinct));
    }
    // 0 too, where it comes after many that repeat themselves.
    counter.clear();
    (0..600).for_each(|_| counter.insert_all(&(1..=1000).collect::<Vec<_>>()));
    counter.insert_all(&[0, 7]);
    assert_eq!(counter.count(), 1001);
    // Of more than are counted exactly those that begin with a zero are left, few here, and of what comes later too.
    let (few, many) = (1..=10u64, (0..2_300_000u64).map(|i| 1 << 63 | i << 20));
    counter.clear();
    for part in few.chain(many).collect::<Vec<_>>().chunks(700).cycle().take(2 * 3300) {
        counter.insert_all(part);
    }
    assert_eq!(counter.count(), 20);
    // What is given up, for all fall into one cell, leaves nothing behind.
    let crowded: Vec<u64> = (0..3000).collect();
    assert_eq!(counter.count_once(&crowded), None);
    assert_eq!(counter.count_once(&crowded[..8]), Some(8));
    assert_eq!(counter.count_once(&[5; 4000]), Some(1));
}

#[test]
fn sorting_even_and_crowded_hashes() {
    let mut numbers = Numbers(3);
    let mut scratch = SortScratch::default();
    for n in [0, 1, 2, 63, 64, 65, 500, 5000, 1 << 16, 70_000] {
        for shift in [32, 44, 60] {
            let mut hashes: Vec<u32> = (0..n).map(|_| (numbers.next() >> shift) as u32).collect();
            let expected: Vec<u32> = hashes.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            let distinct = sort_distinct(&mut hashes, &mut scratch);
            assert_eq!(hashes[..distinct], expected);
        }
    }
    // Buckets of 1 to 300, of equal hashes and of others, some of whose counts do not fit into a byte.
    for n in [100, 1000, 60_000] {
        for crowd in [2, 7, 8, 20, 31, 32, 33, 255, 256, 300] {
            for low_bits in [0, 8] {
                let firsts: Vec<u32> = (0..(n / crowd).max(1)).map(|_| numbers.next() as u32).collect();
                let mut hashes: Vec<u32> = (0..n).map(|i| firsts[i % firsts.len()] ^ numbers.below(1 << low_bits) as u32).collect();
                let expected: Vec<u32> = hashes.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
                let distinct = sort_distinct(&mut hashes, &mut scratch);
                assert_eq!(hashes[..distinct], expected, "{n} {crowd} {low_bits}");
            }
        }
    }
}

#[test]
fn intersections_are_those_of_sets() {
    let mut numbers = Numbers(4);
    for _ in 0..2000 {
        let range = 1 + numbers.below(300) as u64;
        let mut set = || -> BTreeSet<u32> { (0..numbers.below(200)).map(|_| (numbers.next() % range) as u32).collect() };
        let (a, b) = (set(), set());
        let both = a.intersection(&b).count();
        let (a, b): (Vec<_>, Vec<_>) = (a.into_iter().collect(), b.into_iter().collect());
        for least in [0, 1, both, both + 1] {
            assert_eq!(intersection(&a, &b, least), (both >= least).then_some(both));
        }
    }
    // Of what is neither sorted nor distinct it says no more than there can be.
    for _ in 0..2000 {
        let mut any = || -> Vec<u32> { (0..1 + numbers.below(100)).map(|_| (numbers.next() % 5) as u32).collect() };
        let (a, b) = (any(), any());
        assert!(intersection(&a, &b, 0).is_some_and(|both| both <= a.len().min(b.len())));
    }
}

/// Two documents that share so many hashes, and have so many others each.
fn two_documents(numbers: &mut Numbers, shared: usize, others: [usize; 2]) -> [Vec<u32>; 2] {
    let mut some = |n: usize| (0..n).map(|_| numbers.next() as u32).collect::<BTreeSet<_>>();
    let common = some(shared);
    others.map(|n| common.union(&some(n)).copied().collect())
}

#[test]
fn sketches_differ_in_no_more_than_the_hashes() {
    let mut numbers = Numbers(11);
    for _ in 0..2000 {
        let most = [3, 40, 300, 1000][numbers.below(4)];
        let (shared, others) = (numbers.below(most), [0; 2].map(|_| numbers.below(most)));
        let mut documents = two_documents(&mut numbers, shared, others);
        if numbers.below(4) == 0 {
            // Those of a hostile document fall where it wants them.
            documents
                .iter_mut()
                .for_each(|hashes| *hashes = hashes.iter().map(|h| h & 0xFF).collect::<BTreeSet<_>>().into_iter().collect());
        }
        let [a, b] = documents.each_ref().map(|hashes| hashes.iter().copied().collect::<HashSet<u32>>());
        let differ = a.symmetric_difference(&b).count();
        let [a, b] = documents.map(|hashes| Sketch::of(&hashes).unwrap());
        assert!(a.may_differ_by(&b, differ) && b.may_differ_by(&a, differ + 1) && a.may_differ_by(&a, 0));
        assert!(Sketch::default().may_differ_by(&a, 0), "of a document of which nothing is known nothing is told");
    }
}

#[test]
fn sketches_tell_look_alikes_from_matches() {
    let (mut numbers, bar) = (Numbers(12), Bar::new(0.8, 0));
    for n in [24, 100, 400, 796, 5000] {
        // Of a similarity of 0.74, and of sizes that differ by a seventh: in one word of the shorter there may be two of the longer.
        for longer in [n, n * 8 / 7] {
            let shared = (n + longer) * 74 / 174;
            let dismissed = (0..100).filter(|_| {
                let documents = two_documents(&mut numbers, shared, [n - shared, longer - shared]);
                let least = bar.least(documents[0].len() as u32, documents[1].len() as u32).unwrap();
                let most = documents[0].len() + documents[1].len() - 2 * least;
                let [a, b] = documents.map(|hashes| Sketch::of(&hashes).unwrap());
                !a.may_differ_by(&b, most)
            });
            let dismissed = dismissed.count();
            assert!(dismissed > 50, "{dismissed} of 100 pairs of {n} and {longer} hashes");
        }
    }
}

#[test]
fn nobody_who_shares_enough_is_dismissed_by_beginnings() {
    let mut numbers = Numbers(11);
    for n in [1, 63, 64, 65, 700, 9000] {
        for kept in [0, n / 2, n - n / 9, n] {
            let a: BTreeSet<u32> = (0..n).map(|_| numbers.next() as u32).collect();
            let mut b: BTreeSet<u32> = a.iter().copied().take(kept).collect();
            b.extend((kept..n).map(|_| numbers.next() as u32));
            let [a, b] = [a, b].map(|set| set.into_iter().collect::<Vec<_>>());
            let (both, beginnings) = (intersection(&a, &b, 0).unwrap(), Beginnings::of(&a).unwrap());
            let most = b.iter().filter(|hash| a.iter().any(|other| other >> 16 == *hash >> 16)).count();
            assert!(both <= most && beginnings.may_share(&b, most) && !beginnings.may_share(&b, most + 1));
        }
    }
}

/// Sets of about 300 hashes of one pool, most of which two have in common.
fn look_alikes(many: u64) -> Vec<Vec<u32>> {
    let hash = |i: u64| (mix64(i) >> 32) as u32;
    let set =
        |i: u64| (0..320).filter(move |&j| mix64(i << 32 | j) % 100 > i % 40).map(hash).chain((0..i % 50).map(move |j| hash(i << 40 | j)));
    (1..=many).map(|i| set(i).collect::<BTreeSet<u32>>().into_iter().collect()).collect()
}

#[test]
fn beginnings_of_many_are_those_of_each() {
    let sets = look_alikes(40);
    for some in sets.chunks(7) {
        let many = ManyBeginnings::of(some.iter().map(Vec::as_slice)).unwrap();
        for other in &sets {
            let mut least = [usize::MAX; TOGETHER];
            for off in [0, 1, 40] {
                some.iter().zip(&mut least).for_each(|(own, least)| *least = intersection(own, other, 0).unwrap() + off);
                let expected = some
                    .iter()
                    .zip(&least)
                    .zip(0..)
                    .map(|((own, &least), bit)| u8::from(Beginnings::of(own).unwrap().may_share(other, least)) << bit);
                assert_eq!(many.may_share(other, &least), expected.sum::<u8>());
            }
        }
    }
}

#[test]
fn many_are_looked_up_as_each_is() {
    let sets = look_alikes(130);
    let fingerprints: Vec<[u32; 3]> = (0..sets.len() as u32).map(|i| [1, i % 3, i % 40]).collect();
    let each = sets.iter().zip(&fingerprints).zip(0..);
    let rows: Vec<Row> =
        each.map(|((evidence, fingerprints), set_hash)| Row { fingerprints, set_hash, size: evidence.len() as u32, evidence }).collect();
    for limit in [30, 1000] {
        let mut table = Table::new(3, limit, 0);
        table.insert(&rows[..100], 1).unwrap();
        for threshold in [0.5, 0.8] {
            let listed = |answer: Answer| {
                (answer.found.iter().map(|one| (one.entry, one.agreement, one.size)).collect::<Vec<_>>(), answer.truncated)
            };
            let each: Vec<_> = rows.iter().map(|&row| listed(table.query(row, threshold).unwrap())).collect();
            assert!(each.iter().any(|(found, _)| found.len() > 1) && each.iter().any(|(found, _)| found.len() < 30));
            for threads in [1, 2] {
                let many: Vec<_> = table.query_many(&rows, threshold, threads).unwrap().into_iter().map(listed).collect();
                assert!(many == each, "{limit} {threshold}");
            }
            let nearest = table.nearest(&rows, threshold, 1).unwrap();
            let all = rows.iter().map(|&row| {
                let found = (0..100).filter_map(|entry| {
                    let (size, evidence) = (table.size(entry), table.evidence(entry));
                    let agreement = Bar::new(threshold, 0).agreement((row.size, row.evidence), (size, evidence))?;
                    Some((entry, agreement, size))
                });
                found.reduce(|best, one| {
                    let score = |(_, both, size): (u32, u32, u32)| similarity(both as usize, row.size as usize, size as usize);
                    if score(one) > score(best) {
                        one
                    } else {
                        best
                    }
                })
            });
            assert!(nearest.into_iter().map(|one| one.map(|one| (one.entry, one.agreement, one.size))).eq(all), "{limit} {threshold}");
        }
    }
}

/// Fingerprints that fill their homes and go to the next, those beside them, and 0, which empty slots have too.
#[test]
fn who_has_a_fingerprint_is_found_by_it() {
    const EVIDENCE: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    fn row(fingerprints: &[u32], set_hash: u64) -> Row<'_> {
        Row { fingerprints, set_hash, size: 10, evidence: EVIDENCE }
    }
    let mut numbers = Numbers(11);
    let known: Vec<u32> = (1..60).chain((0..2000).map(|_| numbers.next() as u32)).chain([0, u32::MAX]).collect();
    let others: Vec<u32> = [60, 61].into_iter().chain((0..200).map(|_| numbers.next() as u32)).collect();
    let mut table = Table::new(1, 1000, 0);
    for (entry, fingerprint) in known.iter().enumerate() {
        table.insert(&[row(std::slice::from_ref(fingerprint), entry as u64)], 1).unwrap();
        if entry % 40 != 7 && entry + 3 < known.len() {
            continue;
        }
        for (place, asked) in known.iter().chain(&others).enumerate() {
            let found = table.query(row(std::slice::from_ref(asked), u64::MAX), 0.5).unwrap().found;
            let expected = if place <= entry { vec![place as u32] } else { vec![] };
            assert_eq!(found.iter().map(|one| one.entry).collect::<Vec<_>>(), expected, "{asked}");
        }
    }
}

#[test]
fn the_least_intersection_is_where_the_predicate_turns() {
    for threshold in [1e-9, 0.1, 1.0 / 3.0, 0.5, 0.7, 0.8, 0.9, 28.0 / 35.0, 1.0] {
        for n in 1..60 {
            for m in 1..60 {
                let expected = (1..=n.min(m)).find(|&both| similarity(both, n, m) >= threshold).unwrap_or(n.min(m) + 1);
                assert_eq!(least_intersection(n, m, threshold), expected, "{n} {m} {threshold}");
            }
        }
    }
}

#[test]
fn a_bar_needs_what_the_predicate_says() {
    let large = [u32::MAX, u32::MAX - 1, 1 << 31, 1_234_567_891, 1 << 20, 65_537];
    let sizes: Vec<u32> = (1..130).chain([796, 800, 1000, 4097]).chain(large).collect();
    // Beside the usual thresholds those that some sizes just reach.
    let mut thresholds = vec![0.05, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.999, 1.0, f64::MIN_POSITIVE];
    thresholds.extend((1..40).map(|both| similarity(both, 40, 60)));
    for &threshold in &thresholds {
        let bar = Bar::new(threshold, 0);
        for &n in &sizes {
            for &m in &sizes {
                let (n, m, most) = (n as usize, m as usize, n.min(m) as usize);
                let expected = Some(least_intersection(n, m, threshold)).filter(|&least| least <= most);
                assert_eq!(bar.least(n as u32, m as u32), expected, "{n} {m} {threshold}");
            }
        }
    }
}

#[test]
fn a_table_finds_what_was_not_removed() {
    let (keys, fingerprints) = ([7u64, 8], [7, 8]);
    let sets: Vec<Vec<u32>> = (0..50).map(|i| (0..20).map(|j| if j < 18 { j } else { 100 + 2 * i + j }).collect()).collect();
    let row =
        |i: usize| Row { fingerprints: &fingerprints, set_hash: set_hash(&sets[i], &keys), size: sets[i].len() as u32, evidence: &sets[i] };
    let mut table = Table::new(2, 10, 0);
    for i in 0..50 {
        assert_eq!(table.insert(&[row(i)], 1).unwrap(), [Some(i as u32)]);
        assert_eq!(table.insert(&[row(i), row(i)], 1).unwrap(), [Some(i as u32); 2], "one entry a set");
    }
    let answer = table.query(row(3), 0.5).unwrap();
    assert!(answer.truncated && answer.found.len() <= 21 && answer.found.iter().any(|f| f.entry == 3));
    for i in 0..45 {
        assert!(table.remove(i) && !table.remove(i));
    }
    let answer = table.query(row(47), 0.8).unwrap();
    assert!(!answer.truncated);
    assert_eq!(answer.found.iter().map(|f| f.entry).collect::<Vec<_>>(), [45, 46, 47, 48, 49]);
    assert_eq!(table.fingerprints(45..47, 2).unwrap(), [fingerprints.to_vec(), fingerprints.to_vec()].concat());
    assert!(table.add_unless_match(row(0), 0.8).unwrap().is_err() && table.add_unless_match(row(0), 0.95).unwrap().is_ok());
    assert_eq!(table.insert(&[Row { size: 0, evidence: &[], ..row(0) }], 1).unwrap(), [None], "nothing has no entry");
}

#[test]
fn work_comes_back_in_order() {
    for threads in [1, 2, 7] {
        assert_eq!(on_threads((0..100).collect(), threads, |i: usize| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
    }
}

/// Messages of every length around a block, alone and side by side.
#[test]
fn sha1_side_by_side() {
    let mut numbers = Numbers(3);
    let bytes: Vec<u8> = (0..40_000).map(|_| numbers.next() as u8).collect();
    let mut start = 0;
    let mut messages: Vec<(usize, usize)> = Vec::new();
    for i in 0..300 {
        let end = start + if i < 200 { i } else { numbers.below(60) };
        messages.push((start, end));
        start = end;
    }
    let mut padded = bytes[..start].to_vec();
    padded.resize(start + neardup_kernels::sha1::BLOCK, 0xFF);
    for many in 0..messages.len() {
        let mut hashes = vec![7];
        neardup_kernels::sha1::hash_all(&padded, messages[..many].iter().copied(), &mut hashes);
        let expected: Vec<u64> = messages[..many].iter().map(|&(a, b)| neardup_kernels::sha1::sha1_64(&bytes[a..b])).collect();
        assert!(hashes[1..] == expected, "{many}");
    }
    assert_eq!(neardup_kernels::sha1::sha1_64(b"abc"), u64::from_le_bytes(*b"\xa9\x99\x3e\x36\x47\x06\x81\x6a"));
}
