//! The text kernel on any bytes, as fast as can be: the widest path of this processor against the portable one.
//!
//! The first byte chooses the parameters, the rest is a text, and one run is one document signed twice: characters to tokens, to
//! shingles, to a few slots, a count and verification hashes. Long texts, many slots and all paths are the business of `paths`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use neardup_kernels::batch::sign_one;
use neardup_kernels::minhash::Lattice;
use neardup_kernels::path::Path;
use neardup_kernels::sign::{Document, Product, Recipe, Signer};
use std::cell::RefCell;
use std::sync::LazyLock;

/// Slots: few, since they are what costs most, and their number makes no difference to the text.
const SLOTS: usize = 8;
const SIZES: [usize; 8] = [1, 2, 3, 4, 5, 7, 16, 32];

static WIDEST: LazyLock<Path> = LazyLock::new(Path::detect);

thread_local! {
    static SIGNERS: RefCell<[Signer; 2]> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let Some((&flags, text)) = input.split_first() else { return };
    let recipe = Recipe {
        chars: flags & 1 != 0,
        size: SIZES[flags as usize >> 1 & 7],
        secret: flags as u64 >> 4 & 1,
        lattice: Lattice::new(SLOTS, flags as u64 >> 5 & 1),
        product: Product::SignatureAndHashes,
    };
    SIGNERS.with_borrow_mut(|[portable, widest]| {
        let (mut values, mut found) = ([0; SLOTS], [0; SLOTS]);
        let expected = sign_one(&recipe, Document::Text(text), portable, Path::Portable, &mut values);
        let made = sign_one(&recipe, Document::Text(text), widest, *WIDEST, &mut found);
        assert!(found == values && made == expected, "{} differs from the portable path", WIDEST.name());
        let (count, hashes) = expected.unwrap();
        assert!(hashes.len() as u64 <= count, "more verification hashes than shingles");
    });
});
