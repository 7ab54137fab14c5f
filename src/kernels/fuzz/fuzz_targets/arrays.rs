//! What comes from files and from callers as arrays, on any values: an answer or None or a damage, and neither a panic nor a hang.
//!
//! The first byte chooses between the files of an index on disk, whose checksums are right and whose columns hold anything, and the
//! functions on sets of verification hashes, which are compared with plain versions of themselves.

#![no_main]

use libfuzzer_sys::fuzz_target;
use neardup_kernels::join::{self, Bounds, Buckets};
use neardup_kernels::sets::Sets;
use neardup_kernels::mapped::{checksums, Checked, Mapped};
use neardup_kernels::prefix::{Enough, Required};
use neardup_kernels::segment::{directory_bits, Removed, Segment};
use neardup_kernels::segments::Segments;
use neardup_kernels::bar::{Bar, Measure};
use neardup_kernels::lookup::Row;
use neardup_kernels::verify::{equal_slots, intersection, least_intersection, may_share, similarity, sort_distinct, SortScratch};
use neardup_kernels::weigh::Weights;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

/// Values taken from the input one after another; zeros at its end.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// Mostly small, now and then of any size.
    fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=0xF9 => byte as u64 % 16,
            0xFA => u64::MAX,
            0xFB => u32::MAX as u64,
            0xFC => 1 << 31 | self.byte() as u64,
            _ => (0..8).fold(0, |number, _| number << 8 | self.byte() as u64),
        }
    }

    fn words(&mut self, length: usize) -> Vec<u32> {
        (0..length).map(|_| self.number() as u32).collect()
    }

    fn longs(&mut self, length: usize) -> Vec<u64> {
        (0..length).map(|_| self.number()).collect()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn below(&mut self, most: usize) -> usize {
        self.byte() as usize % most
    }
}

/// The data of a file, and where its columns are.
#[derive(Default)]
struct Columns {
    data: Vec<u8>,
    places: Vec<(usize, usize)>,
}

impl Columns {
    fn push(&mut self, size: usize, values: impl IntoIterator<Item = u64>) {
        let (start, mut length) = (self.data.len(), 0);
        for value in values {
            self.data.extend_from_slice(&value.to_le_bytes()[..size]);
            length += 1;
        }
        self.places.push((start, length));
        self.data.resize(self.data.len().next_multiple_of(64), 0);
    }

    fn words(&mut self, values: Vec<u32>) {
        self.push(4, values.into_iter().map(u64::from));
    }

    fn mapped(&self, name: &'static str, file: &mut File) -> Mapped {
        let data = if self.data.is_empty() { &[0; 64] } else { self.data.as_slice() };
        let sums: Vec<u8> = checksums(data).iter().flat_map(|sum| sum.to_le_bytes()).collect();
        file.rewind().unwrap();
        file.set_len(0).unwrap();
        file.write_all(data).unwrap();
        file.write_all(&sums).unwrap();
        Mapped::open((name, 1), file, data.len()).unwrap()
    }
}

fn unnamed_file() -> File {
    let folder = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let path = folder.join(format!("neardup-fuzz-{}-{:p}", std::process::id(), &folder));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

thread_local! {
    static FILES: std::cell::RefCell<[File; 2]> = std::cell::RefCell::new([unnamed_file(), unnamed_file()]);
}

/// A file of documents and its segment, read in all ways that there are.
fn files(mut of: Values) {
    let (bands, slots) = (1 + of.below(3), [0, 0, 5, 8][of.below(4)]);
    let (documents, entries, width) = (of.below(6), of.below(5), usize::div_ceil(slots, 4));
    let (ids, evidence, copies) = (of.below(20), if slots > 0 { entries * width } else { of.below(16) }, of.below(8));
    let mut truth = Columns::default();
    truth.words(of.words(documents));
    truth.push(8, of.longs(documents));
    truth.push(1, of.bytes(ids).into_iter().map(u64::from));
    truth.push(8, of.longs(entries));
    truth.words(of.words(if slots > 0 { entries } else { 0 }));
    truth.push(8, of.longs(if slots > 0 { 0 } else { entries }));
    truth.words(of.words(evidence));
    truth.words(of.words(bands * entries));
    let mut postings = Columns::default();
    postings.words(of.words(entries));
    postings.words(of.words(copies));
    for numbers in [entries, documents].into_iter().chain((0..bands).map(|_| entries)) {
        postings.words(of.words((1 << directory_bits(numbers)) + 1));
        postings.push(1, of.bytes(numbers).into_iter().map(u64::from));
        postings.words(of.words(numbers));
    }
    // Lengths and places that are not so, now and then.
    for _ in 0..of.byte().saturating_sub(0xF0) {
        let places = if of.byte() & 1 == 0 { &mut truth.places } else { &mut postings.places };
        let column = of.below(places.len());
        places[column] = (of.number() as usize, of.number() as usize);
    }
    FILES.with_borrow_mut(|[first, second]| {
        let (truth, postings) =
            ((truth.mapped("documents", first), &*truth.places), (postings.mapped("segments", second), &*postings.places));
        let Ok(segment) = Segment::open(truth, postings, bands, slots, 0) else { return };
        let _ = read(Arc::new(segment), bands, slots, &mut of);
    });
}

fn read(segment: Arc<Segment>, bands: usize, slots: usize, of: &mut Values) -> Checked<()> {
    let mut removed = Removed::default();
    for document in of.words(2) {
        if (document as usize) < segment.documents() {
            removed.insert(&segment, document)?;
        }
    }
    let mut index = Segments::new(bands, 1 + of.below(3), slots);
    index.replace(0, 0, vec![(segment, removed)], true);
    let width = if slots > 0 { usize::div_ceil(slots, 4) } else { 1 + of.below(4) };
    let mut evidence = of.words(width);
    if slots == 0 {
        evidence.sort_unstable();
        evidence.dedup();
    }
    let fingerprints = of.words(bands);
    let size = if slots > 0 { 1 + of.number() as u32 % 100 } else { evidence.len() as u32 };
    let row = Row { fingerprints: &fingerprints, set_hash: of.number(), size, evidence: &evidence };
    // What damages one answer must not keep the others from being asked for.
    let _ = index.find(&of.bytes(3)).and_then(|_| index.query(&[row], 0.5, 1));
    let _ = index.nearest(&[row], 0.5, 1);
    for band in 0..bands {
        let _ = index.heavy(band, 1);
    }
    for document in 0..index.documents(0) {
        let _ = index.id((0, document));
        if let Ok(Some(entry)) = index.entry((0, document)) {
            let _ = index.row(entry).and_then(|_| index.fingerprints(0, &[entry.1]));
        }
    }
    for entry in 0..index.entries(0) {
        let _ = index.members((0, entry), |_| ());
    }
    let _ = index.remove(&of.bytes(2));
    assert!(index.len() <= index.documents(0) as usize);
    Ok(())
}

/// Functions on sets, each against a plain one.
fn sets(mut of: Values) {
    let length = of.below(100);
    let values = of.words(length);
    let distinct: Vec<u32> = values.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut sorted = values.clone();
    let count = sort_distinct(&mut sorted, &mut SortScratch::default());
    assert!(sorted[..count] == distinct, "sort_distinct");
    let other: BTreeSet<u32> = (0..of.below(30)).map(|_| of.number() as u32).collect();
    let other: Vec<u32> = other.into_iter().collect();
    let both = distinct.iter().filter(|hash| other.contains(hash)).count();
    let least = of.below(20);
    assert!(intersection(&distinct, &other, least) == (both >= least).then_some(both), "intersection");
    let threshold = (1 + of.below(100)) as f64 / 100.0;
    let bound = least_intersection(distinct.len(), other.len(), threshold);
    assert!(bound > distinct.len().min(other.len()) || similarity(bound, distinct.len(), other.len()) >= threshold, "least_intersection");
    may_share(&distinct, &other, least);
    // Arrays that a caller made, in no order.
    intersection(&values, &other, least);
    may_share(&values, &other, least);
    equal_slots(&values[..values.len().min(4)], &other[..other.len().min(4)], 13);
    let n = of.below(6);
    let (starts, sizes) = (of.longs(n), of.words(n));
    let pairs = (of.words(4), of.words(4));
    if let Some(sets) = Sets::new(&values, &starts, &sizes) {
        let (length, most) = (of.below(10), of.below(10) as u64);
        let (members, ends) = (of.words(length), of.words(3));
        let roles: Vec<u8> = of.bytes(n);
        if let Some(buckets) = Buckets::new(&members, &ends, n) {
            let bounds = Bounds { crowd: of.below(5) as u64, most };
            let _ = join::partners(&[buckets], &roles, bounds);
            let _ = join::crowds(&[buckets], &roles, bounds);
            let _ = join::candidates(&[buckets, buckets], &roles, &sizes, threshold, 0..n as u32, bounds, 1);
            if let Some(sets) = sets.whole() {
                let legible: Vec<f64> = roles.iter().map(|&role| f64::from(role) / 255.0).collect();
                let weights = Weights::new(&[], &[], values.len() as u16).unwrap().unwrap();
                let bar = Bar::by(if most % 3 == 0 { Measure::Overlap } else { Measure::Jaccard }, threshold);
                let required = match most % 4 {
                    0 => Some(Required::readings(&legible, threshold)),
                    1 => Some(Required::Weighed { weights: &weights, totals: &starts, threshold }),
                    _ => None,
                };
                let _ = join::crowd_join(&[buckets], &roles, sets, bar, 1, required, &Enough::new(most, &|| false));
            }
            let _ = join::preceded(&[buckets], &vec![true; n]);
        }
        let _ = join::compare(&of.longs(3), sets, Bar::new(threshold, 4 * (n % 3)), 1);
    }
    let _ = join::components(n, &pairs.0, &pairs.1);
    let _ = join::first_independent_set(n, &pairs.0, &pairs.1);
    let wide = [&pairs.0, &pairs.1].map(|side| side.iter().map(|&set| set as u64).collect::<Vec<_>>());
    join::keep_first(&mut vec![0xFF; n], &wide[0], &wide[1]);
    let weights: Vec<u16> = distinct.iter().map(|&hash| hash as u16).collect();
    let length = of.below(6);
    Weights::new(&of.words(length), &weights, 1).unwrap();
    if let Some(weights) = Weights::new(&distinct, &weights, 1).unwrap() {
        weights.total(&other);
        weights.shared(&values, &other);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, rest)) = input.split_first() else { return };
    if which & 1 == 0 {
        files(Values(rest));
    } else {
        sets(Values(rest));
    }
});
