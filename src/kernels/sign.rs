//! Documents to signatures: the whole path of one document in cache-sized steps, and of many over threads.

use crate::hash::{whole, windows};
use crate::minhash::{DistinctCounter, Lattice};
use crate::path::{prefetch, Instructions, Path, Portable};
#[cfg(target_arch = "x86_64")]
use crate::path::{Avx2, Avx512};
use crate::room::{self, NoRoom, Roomy};
use crate::text::{Block, Reader, BLOCK};
use crate::verify::{sort_distinct, SortScratch};
use memmap2::MmapMut;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Mutex;

/// Tokens of a ready document taken at a time.
pub(crate) const TOKENS: usize = 1 << 12;
/// A thread takes documents until they come to this many bytes (or tokens).
const SHARE: usize = 1 << 18;

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

    fn weight(&self) -> usize {
        match self {
            Document::Text(text) => text.len(),
            Document::Tokens(hashes) | Document::Hashes(hashes) => 8 * hashes.len(),
        }
    }
}

/// Working memory, reused from document to document.
#[derive(Default)]
pub struct Scratch {
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

/// The verification hashes of a document that goes on: sorted and made distinct whenever they have doubled.
struct Verification<'a> {
    out: &'a mut Vec<u32>,
    start: usize,
    tidy: usize,
}

impl<'a> Verification<'a> {
    fn new(out: &'a mut Vec<u32>) -> Self {
        let start = out.len();
        Verification { out, start, tidy: 1 << 21 }
    }

    fn is_due(&self) -> bool {
        self.out.len() - self.start > self.tidy
    }

    /// Sort them and leave each once; how many they are.
    #[inline(always)]
    fn settle(&mut self, scratch: &mut SortScratch) -> usize {
        let distinct = sort_distinct(&mut self.out[self.start..], scratch);
        self.out.truncate(self.start + distinct);
        self.tidy = (2 * distinct).max(1 << 21);
        distinct
    }
}

/// Whether each hash is larger than the one before.
fn ascend(hashes: &[u64]) -> bool {
    hashes.iter().zip(hashes.iter().skip(1)).fold(true, |ascend, (a, b)| ascend & (a < b))
}

/// What is noted of the shingle hashes of a document, whatever its signature: how many are distinct, and where `KEEP` its
/// verification hashes, appended to those of the documents before it.
pub(crate) struct Tally<'a, const KEEP: bool> {
    counter: &'a mut DistinctCounter,
    counting: Counting,
    verification: Verification<'a>,
    sort: &'a mut SortScratch,
}

impl<'a, const KEEP: bool> Tally<'a, KEEP> {
    #[inline(always)]
    pub(crate) fn new(counting: Counting, counter: &'a mut DistinctCounter, out: &'a mut Vec<u32>, sort: &'a mut SortScratch) -> Self {
        Tally { counter, counting, verification: Verification::new(out), sort }
    }

    /// Note some more hashes.
    #[inline(always)]
    pub(crate) fn note(&mut self, shingles: &[u64]) {
        if KEEP {
            let out = &mut *self.verification.out;
            match room::double(out, shingles.len()) {
                Ok(()) => out.extend(shingles.iter().map(|y| (y >> 32) as u32)),
                Err(no_room) => self.counting = Counting::Failed(no_room),
            }
        }
        if let Counting::Once = self.counting {
            // Hashes whose halves differ are distinct.
            let distinct = if KEEP { self.verification.settle(self.sort) } else { 0 };
            let count = if distinct == shingles.len() { Some(distinct as u64) } else { self.counter.count_once(shingles) };
            self.counting = match count {
                Some(count) => Counting::Counted(count),
                None => {
                    self.counter.clear();
                    Counting::Blocks
                }
            };
        } else if self.verification.is_due() {
            self.verification.settle(self.sort);
        }
        if let Counting::Blocks = self.counting {
            self.counter.insert_all(shingles);
        }
    }

    /// The count of distinct shingles.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> Roomy<u64> {
        if KEEP && !matches!(self.counting, Counting::Counted(_)) {
            self.verification.settle(self.sort);
        }
        match self.counting {
            Counting::Known(count) | Counting::Counted(count) => Ok(count),
            Counting::Once => Ok(0),
            Counting::Blocks => Ok(self.counter.count()),
            Counting::Failed(no_room) => Err(no_room),
        }
    }
}

/// A document being signed.
struct Signing<'a, const KEEP: bool> {
    recipe: &'a Recipe,
    values: &'a mut [u32],
    tally: Tally<'a, KEEP>,
}

/// How the distinct shingles of a document are counted.
pub(crate) enum Counting {
    /// They are known to be distinct.
    Known(u64),
    /// All come at once.
    Once,
    /// All came at once: so many are distinct, and the verification hashes are in order.
    Counted(u64),
    /// They come in blocks.
    Blocks,
    /// There was no room for the verification hashes.
    Failed(NoRoom),
}

impl Counting {
    fn of(document: Document, counter: &mut DistinctCounter) -> Self {
        match document {
            Document::Hashes(hashes) if hashes.len() <= DistinctCounter::LIMIT && ascend(hashes) => Counting::Known(hashes.len() as u64),
            Document::Text(text) if text.len() <= BLOCK => Counting::Once,
            Document::Tokens(hashes) | Document::Hashes(hashes) if hashes.len() <= TOKENS => Counting::Once,
            _ => {
                counter.clear();
                Counting::Blocks
            }
        }
    }
}

impl<const KEEP: bool> Sink for Signing<'_, KEEP> {
    #[inline(always)]
    unsafe fn take<P: Instructions>(&mut self, shingles: &mut [u64]) {
        self.tally.note(shingles);
        // SAFETY: as the caller promised.
        unsafe { self.recipe.lattice.update::<P>(self.values, shingles) };
    }
}

/// Sign one document. The count of distinct shingles.
///
/// # Safety
/// The processor has the instructions of path `P`.
#[inline(always)]
unsafe fn sign_document<P: Instructions, const KEEP: bool>(
    recipe: &Recipe,
    document: Document,
    signer: &mut Signer,
    values: &mut [u32],
    out: &mut Vec<u32>,
) -> Roomy<u64> {
    values.fill(u32::MAX);
    let Signer { scratch, counter, sort } = signer;
    let counting = Counting::of(document, counter);
    let mut signing = Signing::<KEEP> { recipe, values, tally: Tally::new(counting, counter, out, sort) };
    // SAFETY: as the caller promised.
    unsafe { each_shingle::<P>(document, recipe.chars, recipe.size, recipe.secret, scratch, &mut signing) };
    signing.tally.finish()
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

/// What signs documents one after another, with working memory that it keeps.
#[derive(Default)]
pub struct Signer {
    scratch: Scratch,
    counter: DistinctCounter,
    sort: SortScratch,
}

impl Signer {
    /// Sign one document into `values`. The count of distinct shingles, and the verification hashes where they are wanted.
    pub fn sign(&mut self, recipe: &Recipe, document: Document, path: Path, values: &mut [u32]) -> Roomy<(u64, Vec<u32>)> {
        assert!(values.len() == recipe.lattice.num_perm(), "a slot for each permutation");
        let (mut count, mut size) = ([0], [0]);
        let hashes = Run { documents: &[document], values, counts: &mut count, sizes: &mut size }.sign(recipe, path, self)?;
        Ok((count[0], hashes))
    }
}

/// A run of documents and where their signatures go.
struct Run<'a> {
    documents: &'a [Document<'a>],
    values: &'a mut [u32],
    counts: &'a mut [u64],
    sizes: &'a mut [u64],
}

impl Run<'_> {
    /// Sign the run with one working memory; the verification hashes of its documents one after another.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    unsafe fn sign_by<P: Instructions>(self, recipe: &Recipe, signer: &mut Signer) -> Roomy<Vec<u32>> {
        // Working memory of this function's own while it lasts: what is behind a reference is kept in registers less.
        let (mut own, mut out) = (std::mem::take(signer), Vec::new());
        let rows = self.values.chunks_exact_mut(recipe.lattice.num_perm());
        let next = self.documents.iter().skip(1).chain(self.documents.last());
        let documents = self.documents.iter().zip(next);
        for (((&document, next), row), (count, size)) in documents.zip(rows).zip(self.counts.iter_mut().zip(self.sizes)) {
            let start = out.len();
            next.prefetch();
            // SAFETY: as the caller promised.
            *count = unsafe {
                match recipe.product {
                    Product::Signature => sign_document::<P, false>(recipe, document, &mut own, row, &mut out)?,
                    Product::SignatureAndHashes => sign_document::<P, true>(recipe, document, &mut own, row, &mut out)?,
                    Product::Floor(stage) => floor::<P>(recipe, document, stage, &mut own.scratch),
                }
            };
            *size = (out.len() - start) as u64;
        }
        *signer = own;
        Ok(out)
    }

    fn sign(self, recipe: &Recipe, path: Path, signer: &mut Signer) -> Roomy<Vec<u32>> {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2(run: Run, recipe: &Recipe, signer: &mut Signer) -> Roomy<Vec<u32>> {
                // SAFETY: these are the instructions of the path.
                unsafe { run.sign_by::<Avx2>(recipe, signer) }
            }
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")]
            fn avx512(run: Run, recipe: &Recipe, signer: &mut Signer) -> Roomy<Vec<u32>> {
                // SAFETY: these are the instructions of the path.
                unsafe { run.sign_by::<Avx512>(recipe, signer) }
            }
            assert!(path.is_available(), "this processor has no {}", path.name());
            match path {
                Path::Portable => {}
                // SAFETY: the path is available.
                Path::Avx2 => return unsafe { avx2(self, recipe, signer) },
                // SAFETY: the path is available.
                Path::Avx512 => return unsafe { avx512(self, recipe, signer) },
            }
        }
        // SAFETY: the portable path needs nothing of the processor.
        unsafe { self.sign_by::<Portable>(recipe, signer) }
    }
}

/// What a batch has beside its signatures.
pub struct Signed {
    /// Distinct shingles.
    pub counts: Vec<u64>,
    /// The verification hashes of document i are `hashes[offsets[i]..offsets[i + 1]]`, when wanted.
    pub offsets: Vec<u64>,
    pub hashes: Vec<u32>,
}

impl FromIterator<Signed> for Signed {
    /// Batches one after another.
    fn from_iter<I: IntoIterator<Item = Signed>>(parts: I) -> Self {
        let mut all = Signed { counts: Vec::new(), offsets: vec![0], hashes: Vec::new() };
        for part in parts {
            let before = all.hashes.len() as u64;
            all.counts.extend(part.counts);
            all.offsets.extend(part.offsets[1..].iter().map(|&offset| before + offset));
            all.hashes.extend(part.hashes);
        }
        all
    }
}

/// Cut documents of these weights into runs of about `SHARE` each.
pub fn shares(weights: impl ExactSizeIterator<Item = usize>) -> Vec<Range<usize>> {
    let (n, mut runs, mut start, mut weight) = (weights.len(), Vec::new(), 0, 0);
    for (i, own) in weights.enumerate() {
        weight += own + 64;
        if weight >= SHARE {
            runs.push(start..i + 1);
            (start, weight) = (i + 1, 0);
        }
    }
    if start < n {
        runs.push(start..n);
    }
    runs
}

/// Bytes that must be free for a thread to be begun: its stack, and what the C library ends the process for if it is wanting.
const BEGINNING: usize = 4 << 20;

/// Do `work` on every item, on up to `threads` threads: this one, and as many more as the system lets it have; results in the items'
/// order.
pub fn on_threads<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let threads = threads.min(items.len());
    let queue = Mutex::new(items.into_iter().zip(&mut results));
    let take_part = || loop {
        let Some((item, result)) = queue.lock().unwrap().next() else { break };
        *result = Some(work(item));
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let begins = MmapMut::map_anon(BEGINNING).is_ok();
            if !begins || std::thread::Builder::new().spawn_scoped(scope, take_part).is_err() {
                break;
            }
        }
        take_part();
    });
    drop(queue);
    results.into_iter().map(|r| r.expect("every item was worked on")).collect()
}

/// From sizes to where each ends.
pub(crate) fn add_up(sizes: &mut [u64]) {
    let mut sum = 0;
    for size in sizes {
        sum += *size;
        *size = sum;
    }
}

/// Sign many documents; their signatures are written to `values`, row after row.
pub fn sign_many(recipe: &Recipe, documents: &[Document], threads: usize, path: Path, values: &mut [u32]) -> Roomy<Signed> {
    let n = documents.len();
    assert!(values.len() == n * recipe.lattice.num_perm(), "a row for each document");
    let (mut counts, mut offsets) = (room::filled(0, n)?, room::filled(0, n + 1)?);
    let mut runs = Vec::new();
    let (mut v, mut c, mut s) = (values, counts.as_mut_slice(), &mut offsets[1..]);
    // One thread does it in one run, whose hashes then lie one after another already.
    let shares = if threads > 1 { shares(documents.iter().map(Document::weight)) } else { std::iter::once(0..n).collect() };
    for (place, range) in shares.into_iter().enumerate() {
        let run;
        (run, v, c, s) = {
            let (v0, v) = v.split_at_mut(range.len() * recipe.lattice.num_perm());
            let (c0, c) = c.split_at_mut(range.len());
            let (s0, s) = s.split_at_mut(range.len());
            (Run { documents: &documents[range], values: v0, counts: c0, sizes: s0 }, v, c, s)
        };
        runs.push((place, run));
    }
    // The heaviest first: none is left to one thread at the end, while the others have nothing to do.
    runs.sort_by_key(|(_, run)| Reverse(run.documents.iter().map(Document::weight).sum::<usize>()));
    let mut parts = on_threads(runs, threads, |(place, run)| (place, run.sign(recipe, path, &mut Signer::default())));
    parts.sort_unstable_by_key(|&(place, _)| place);
    let hashes = room::joined(parts.into_iter().map(|(_, hashes)| hashes).collect::<Roomy<_>>()?)?;
    add_up(&mut offsets);
    Ok(Signed { counts, offsets, hashes })
}
