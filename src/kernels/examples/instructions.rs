//! Work of a fixed amount over a fixed corpus, for counting instructions: `instructions JOB PATH`.
//!
//! benchmarks/instructions.py runs it under valgrind and compares the counts with those that are committed.

use neardup_kernels::band::fingerprint;
use neardup_kernels::batch::sign_many;
use neardup_kernels::hash::mix64;
use neardup_kernels::lookup::Row;
use neardup_kernels::minhash::{band_keys, row_order, Lattice};
use neardup_kernels::path::Path;
use neardup_kernels::sign::{Document, Product, Recipe};
use neardup_kernels::table::Table;
use neardup_kernels::verify::set_hash;

const BANDS: usize = 21;
const ROWS: usize = 6;

/// Documents of 20 to 800 words; a tenth of them copies of the one before, edited.
fn corpus(letters: &[char]) -> Vec<String> {
    let mut state = 0u64;
    let mut number = |n: u64| {
        state += 0x9E37_79B9_7F4A_7C15;
        mix64(state) % n
    };
    let words: Vec<String> =
        (0..5000).map(|i| (0..2 + (i % 9)).map(|_| letters[number(letters.len() as u64) as usize]).collect()).collect();
    let mut documents: Vec<Vec<u64>> = Vec::new();
    for i in 0..400 {
        let document = if i % 10 == 9 {
            let mut copy = documents[i - 1].clone();
            let place = number(copy.len() as u64) as usize;
            copy[place] = number(5000);
            copy
        } else {
            (0..20 + number(780)).map(|_| number(5000) * number(5000) / 5000).collect()
        };
        documents.push(document);
    }
    documents.iter().map(|d| d.iter().map(|&w| words[w as usize].as_str()).collect::<Vec<_>>().join(" ")).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, job, path] = arguments.as_slice() else { panic!("usage: instructions JOB PATH") };
    let path = Path::available().into_iter().find(|p| p.name() == path).expect("a path of this processor");
    let letters: Vec<char> = if job == "sign-cyrillic" { ('а'..='я').collect() } else { ('a'..='z').collect() };
    let texts = corpus(&letters);
    let documents: Vec<_> = texts.iter().map(|t| Document::Text(t.as_bytes())).collect();
    let product = if job == "query" { Product::SignatureAndHashes } else { Product::Signature };
    let recipe = Recipe { chars: false, size: 5, secret: 0, lattice: Lattice::new(128, 0), product };
    let mut values = vec![0; 128 * texts.len()];
    let signed = sign_many(&recipe, &documents, 1, path, &mut values).unwrap();
    if job != "query" {
        println!("{}", signed.counts.iter().sum::<u64>());
        return;
    }
    let order = row_order(128);
    let mut keys = vec![0; BANDS * texts.len()];
    band_keys(&values, &order, BANDS, ROWS, &mut keys);
    let fingerprints: Vec<_> = keys.iter().map(|&key| fingerprint(key)).collect();
    let rows: Vec<_> = (0..texts.len())
        .map(|i| {
            let hashes = &signed.hashes[signed.offsets[i] as usize..signed.offsets[i + 1] as usize];
            let bands = i * BANDS..(i + 1) * BANDS;
            let (keys, fingerprints) = (&keys[bands.clone()], &fingerprints[bands]);
            Row { fingerprints, set_hash: set_hash(hashes, keys), size: hashes.len() as u32, evidence: hashes }
        })
        .collect();
    let mut table = Table::new(BANDS, 1000, 0);
    table.insert(&rows, 1).unwrap();
    println!(
        "{}",
        (0..5).flat_map(|_| table.query_many(&rows, 0.8, 1).expect("there is room")).map(|answer| answer.found.len()).sum::<usize>()
    );
}
