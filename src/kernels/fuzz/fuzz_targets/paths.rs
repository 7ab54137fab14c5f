//! Every SIMD path against the portable one, on any bytes: `just fuzz`.
//!
//! The first bytes choose the parameters, the rest is text, taken whole, as two documents, or as ready tokens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use neardup_kernels::batch::sign_many;
use neardup_kernels::minhash::Lattice;
use neardup_kernels::path::Path;
use neardup_kernels::sign::{Document, Product, Recipe};
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|input: &[u8]| {
    let Some((head, text)) = input.split_first_chunk::<6>() else { return };
    let [flags, size, slots, seed, cut, repeat] = *head;
    let num_perm = [2, 3, 16, 64, 100, 128, 129, 200][slots as usize % 8];
    // Long enough to cross a block, now and then: of inputs that were made of one that does, too, or most would be long.
    let times = if flags & 0xFC == 4 && repeat > 200 && xxh3_64(input) % 16 == 0 { 17_000 / (1 + text.len()) } else { 1 };
    let text = text.repeat(times);
    let tokens: Vec<u64> = text.chunks(3).map(|c| c.iter().fold(0, |x, &b| x << 8 | b as u64)).collect();
    let documents = match cut {
        0..16 => vec![Document::Tokens(&tokens), Document::Hashes(&tokens)],
        16..64 => {
            let (a, b) = text.split_at(cut as usize * text.len() / 256);
            vec![Document::Text(a), Document::Text(b)]
        }
        _ => vec![Document::Text(&text)],
    };
    let sign = |path| {
        let recipe = Recipe {
            chars: flags & 1 != 0,
            size: 1 + size as usize % 32,
            secret: seed as u64,
            lattice: Lattice::new(num_perm, seed as u64),
            product: if flags & 2 != 0 { Product::SignatureAndHashes } else { Product::Signature },
        };
        let mut values = vec![0; documents.len() * num_perm];
        let signed = sign_many(&recipe, &documents, 1, path, &mut values).unwrap();
        (values, signed)
    };
    let (values, portable) = sign(Path::Portable);
    for path in Path::available().into_iter().skip(1) {
        let (found, signed) = sign(path);
        assert!(found == values && signed.counts == portable.counts, "{}", path.name());
        assert!(signed.offsets == portable.offsets && signed.hashes == portable.hashes, "{}", path.name());
    }
});
