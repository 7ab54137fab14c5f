//! A document to its signature, by the scheme `lattice-v1`: the whole path of it in cache-sized steps.

use crate::batch::Signs;
use crate::distinct::DistinctCounter;
use crate::hash::{whole, windows};
use crate::minhash::Lattice;
use crate::path::{prefetch, Instructions, Portable};
use crate::room::{NoRoom, Roomy};
use crate::tally::{Counting, Tally};
use crate::text::{Block, Reader, BLOCK};
use crate::verify::SortScratch;

/// Tokens of a ready document taken at a time.
pub(crate) const TOKENS: usize = 1 << 12;

/// What is asked of every document.
pub struct Recipe {
    pub chars: bool,
    pub size: usize,
    pub secret: u64,
    pub lattice: Lattice,
    pub product: Product,
}

/// What is made of every document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Product {
    Signature,
    /// The verification hashes too.
    SignatureAndHashes,
    /// Nothing but the stages up to one, a checksum in place of the count: the floor under signing, for benchmarks.
    Floor(Stage),
}

/// What is done to a text before it is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Boundaries,
    Tokens,
    Shingles,
}

/// One document: text, or the hashes of ready tokens or shingles.
#[derive(Clone, Copy)]
pub enum Document<'a> {
    Text(&'a [u8]),
    Tokens(&'a [u64]),
    /// The hashes of its shingles are ready. Where they ascend they are distinct, and need not be counted.
    Hashes(&'a [u64]),
}

impl Document<'_> {
    /// Ask for the beginning of a text, which is wanted soon: strings lie anywhere in memory.
    #[inline(always)]
    fn prefetch(&self) {
        if let Document::Text(text) = self {
            text.chunks(64).take(64).for_each(|line| prefetch(&line[0]));
        }
    }

    /// How its shingles are counted.
    fn counting(&self, counter: &mut DistinctCounter) -> Counting {
        match self {
            Document::Hashes(hashes) if hashes.len() <= DistinctCounter::LIMIT && ascend(hashes) => Counting::Known(hashes.len() as u64),
            Document::Text(text) => Counting::of(text.len() <= BLOCK, counter),
            Document::Tokens(hashes) | Document::Hashes(hashes) => Counting::of(hashes.len() <= TOKENS, counter),
        }
    }
}

/// Whether each hash is larger than the one before.
fn ascend(hashes: &[u64]) -> bool {
    hashes.iter().zip(hashes.iter().skip(1)).fold(true, |ascend, (a, b)| ascend & (a < b))
}

/// What a document's shingles are made in.
#[derive(Default)]
struct Scratch {
    block: Block,
    tokens: Vec<u64>,
    shingles: Vec<u64>,
}

/// What becomes of a document's shingle hashes. (A closure would be compiled without the instructions of its path.)
trait Sink {
    /// Take some more of them, in order; they may be overwritten.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    unsafe fn take<P: Instructions>(&mut self, shingles: &mut [u64]);
}

/// Hand every shingle hash of a document to `sink`, a block at a time.
///
/// # Safety
/// The processor has the instructions of path `P`.
#[inline(always)]
unsafe fn each_shingle<P: Instructions>(
    document: Document,
    chars: bool,
    size: usize,
    secret: u64,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) {
    let Scratch { block, tokens, shingles } = scratch;
    tokens.clear();
    if let Document::Hashes(hashes) = document {
        for chunk in hashes.chunks(TOKENS) {
            shingles.clear();
            shingles.extend_from_slice(chunk);
            // SAFETY: as the caller promised.
            unsafe { sink.take::<P>(shingles) };
        }
        return;
    }
    let mut any = false;
    let mut reader = Reader::new(if let Document::Text(text) = document { text } else { &[] }, chars, secret);
    let mut ready = if let Document::Tokens(ready) = document { ready.chunks(TOKENS) } else { [].chunks(TOKENS) };
    loop {
        // SAFETY: as the caller promised.
        if unsafe { reader.fill::<P>(block) } {
            block.token_hashes(secret, tokens);
        } else if let Some(chunk) = ready.next() {
            tokens.extend_from_slice(chunk);
        } else {
            break;
        }
        if tokens.len() >= size {
            any = true;
            shingles.clear();
            windows(tokens, size, shingles);
            // SAFETY: as the caller promised.
            unsafe { sink.take::<P>(shingles) };
            tokens.drain(..tokens.len() + 1 - size);
        }
    }
    if !any && !tokens.is_empty() {
        // SAFETY: as the caller promised.
        unsafe { sink.take::<P>(&mut [whole(tokens)]) };
    }
}

impl Sink for Vec<u64> {
    #[inline(always)]
    unsafe fn take<P: Instructions>(&mut self, shingles: &mut [u64]) {
        self.extend_from_slice(shingles);
    }
}

impl Sink for u64 {
    #[inline(always)]
    unsafe fn take<P: Instructions>(&mut self, shingles: &mut [u64]) {
        *self = shingles.iter().fold(*self, |a, b| a ^ b);
    }
}

/// The distinct shingle hashes of a text, sorted.
pub fn shingle_hashes(text: &[u8], chars: bool, size: usize, secret: u64) -> Vec<u64> {
    let mut out = Vec::new();
    // SAFETY: the portable path needs nothing of the processor.
    unsafe { each_shingle::<Portable>(Document::Text(text), chars, size, secret, &mut Scratch::default(), &mut out) };
    out.sort_unstable();
    out.dedup();
    out
}

/// The normalised tokens of a text: their bytes, and where each begins and ends in them.
pub fn tokens(text: &[u8], chars: bool) -> (Vec<u8>, Vec<u32>) {
    let mut block = Block::default();
    // SAFETY: the portable path needs nothing of the processor.
    unsafe { Reader::new(text, chars, 0).fill_whole::<Portable>(&mut block) };
    (block.bytes, block.edges)
}

/// A document being signed.
struct Signing<'a, const KEEP: bool> {
    recipe: &'a Recipe,
    values: &'a mut [u32],
    tally: Tally<'a, KEEP>,
}

impl<const KEEP: bool> Sink for Signing<'_, KEEP> {
    #[inline(always)]
    unsafe fn take<P: Instructions>(&mut self, shingles: &mut [u64]) {
        self.tally.note(shingles);
        // SAFETY: as the caller promised.
        unsafe { self.recipe.lattice.update::<P>(self.values, shingles) };
    }
}

/// Do the stages up to one. The number of boundaries, or the exclusive or of the hashes.
///
/// # Safety
/// The processor has the instructions of path `P`.
#[inline(always)]
unsafe fn floor<P: Instructions>(recipe: &Recipe, document: Document, stage: Stage, scratch: &mut Scratch) -> u64 {
    let mut checksum = 0;
    match document {
        Document::Text(text) if stage != Stage::Shingles => {
            let Scratch { block, tokens, .. } = scratch;
            let mut reader = Reader::new(text, recipe.chars, recipe.secret);
            // SAFETY: as the caller promised.
            while unsafe { reader.fill::<P>(block) } {
                checksum += block.edges.len() as u64;
                if stage == Stage::Tokens {
                    tokens.clear();
                    block.token_hashes(recipe.secret, tokens);
                    checksum = tokens.iter().fold(checksum, |a, b| a ^ b);
                }
            }
        }
        // SAFETY: as the caller promised.
        _ => unsafe { each_shingle::<P>(document, recipe.chars, recipe.size, recipe.secret, scratch, &mut checksum) },
    }
    checksum
}

/// Working memory, reused from document to document.
#[derive(Default)]
pub struct Signer {
    scratch: Scratch,
    counter: DistinctCounter,
    sort: SortScratch,
}

impl Recipe {
    /// Sign one document. The count of distinct shingles.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    unsafe fn sign<P: Instructions, const KEEP: bool>(
        &self,
        document: Document,
        signer: &mut Signer,
        values: &mut [u32],
        out: &mut Vec<u32>,
    ) -> Roomy<u64> {
        values.fill(u32::MAX);
        let Signer { scratch, counter, sort } = signer;
        let counting = document.counting(counter);
        let mut signing = Signing::<KEEP> { recipe: self, values, tally: Tally::new(counting, counter, out, sort) };
        // SAFETY: as the caller promised.
        unsafe { each_shingle::<P>(document, self.chars, self.size, self.secret, scratch, &mut signing) };
        signing.tally.finish()
    }
}

impl Signs<u32> for Recipe {
    type Document<'a> = Document<'a>;
    type Signer = Signer;
    type Error = NoRoom;

    fn num_perm(&self) -> usize {
        self.lattice.num_perm()
    }

    fn weight(document: &Document) -> usize {
        match document {
            Document::Text(text) => text.len(),
            Document::Tokens(hashes) | Document::Hashes(hashes) => 8 * hashes.len(),
        }
    }

    #[inline(always)]
    fn prefetch(document: &Document) {
        document.prefetch();
    }

    #[inline(always)]
    unsafe fn sign_document<P: Instructions>(
        &self,
        document: Document,
        signer: &mut Signer,
        values: &mut [u32],
        out: &mut Vec<u32>,
    ) -> Roomy<u64> {
        // SAFETY: as the caller promised.
        unsafe {
            match self.product {
                Product::Signature => self.sign::<P, false>(document, signer, values, out),
                Product::SignatureAndHashes => self.sign::<P, true>(document, signer, values, out),
                Product::Floor(stage) => Ok(floor::<P>(self, document, stage, &mut signer.scratch)),
            }
        }
    }
}
