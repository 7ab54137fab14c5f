//! Allocations that fail, each in its turn: what was asked for is refused, and nothing of it is there.

use neardup_kernels::minhash::Lattice;
use neardup_kernels::path::Path;
use neardup_kernels::room::NoRoom;
use neardup_kernels::sign::{sign_many, Document, Product, Recipe};
use neardup_kernels::store::{Refused, Store};
use neardup_kernels::table::{Row, Table};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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
            let found = store.table.query(row, 0.9).found;
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
