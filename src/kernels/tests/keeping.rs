//! The end of memory, met by a process of its own: what is large is refused before what is small finds none.
#![cfg(not(feature = "python"))] // with which the library has this allocator already

use neardup_kernels::keeping::{Keeping, KEPT, LARGE};
use neardup_kernels::lookup::Row;
use neardup_kernels::table::Table;
use neardup_kernels::threads::on_threads;
use std::alloc::System;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: Keeping<System> = Keeping::new(System);

const SMALL: usize = 1 << 12;

/// Arrays of so many bytes until there is room for no more.
fn all_of(bytes: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(1 << 11);
    loop {
        let mut array = Vec::new();
        if array.try_reserve_exact(bytes).is_err() {
            return all;
        }
        all.push(array);
    }
}

/// Run one of the tests below with so little address space.
fn with_little(name: &str) {
    let limited = "ulimit -v 200000 && exec \"$0\" --ignored --exact --test-threads 1 \"$1\"";
    let done = Command::new("sh").args(["-c", limited]).arg(std::env::current_exe().unwrap()).arg(name).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn what_is_small_is_there() {
    with_little("small_things");
}

#[test]
#[ignore = "it takes all memory"]
fn small_things() {
    let mut arrays = all_of(1 << 20);
    assert!(arrays.len() > 50);
    let small: Vec<Box<[u8; SMALL]>> = (0..KEPT / 2 / SMALL).map(|_| Box::new([1; SMALL])).collect();
    assert!(all_of(LARGE).is_empty(), "nothing is kept back");
    arrays.truncate(arrays.len() - 4);
    assert!(all_of(LARGE).is_empty(), "there is room, but not to keep back what was");
    arrays[0].shrink_to(2 * LARGE);
    assert_eq!(arrays[0].capacity(), 2 * LARGE);
    drop(small);
    arrays.truncate(arrays.len() - 16);
    assert!(all_of(1 << 20).len() >= 4);
}

#[test]
fn a_look_up_among_look_alikes_is_done() {
    with_little("look_up");
}

#[test]
#[ignore = "it takes all memory"]
fn look_up() {
    let sets: Vec<Vec<u32>> = (0..200u32).map(|i| (0..800).map(|j| (j << 22) + i * u32::from(j % 10 == 0)).collect()).collect();
    let hashes = sets.iter().map(|evidence| u64::from(evidence[10]));
    let rows: Vec<Row> =
        sets.iter().zip(hashes).map(|(evidence, set_hash)| Row { fingerprints: &[7, 8], set_hash, size: 800, evidence }).collect();
    let mut table = Table::new(2, 100, 0);
    table.insert(&rows, 1).unwrap();
    let expected = table.query(rows[0], 0.9).unwrap().found.len();
    let _arrays = all_of(1 << 20);
    let _small = all_of(LARGE - 1);
    assert_eq!(table.query(rows[0], 0.9).unwrap().found.len(), expected);
}

#[test]
fn threads_begin_or_do_not() {
    with_little("threads");
}

#[test]
#[ignore = "it takes all memory"]
fn threads() {
    let mut arrays = all_of(1 << 20);
    for _ in 0..40 {
        arrays.pop();
        let sums = on_threads((0..64usize).collect(), 8, |item| (0..100).map(|i| Box::new([item + i; 100])[99]).sum::<usize>());
        assert_eq!(sums[63], 63 * 100 + 4950);
    }
}
