//! Documents to signatures: the whole path of one document in cache-sized steps, and of many over threads.

use crate::hash::{whole, windows};
use crate::minhash::{DistinctCounter, Lattice};
use crate::text::{Block, Reader};
use std::ops::Range;
use std::sync::Mutex;

/// Tokens of a ready document taken at a time.
const TOKENS: usize = 1 << 12;
/// A thread takes documents until they come to this many bytes (or tokens).
const SHARE: usize = 1 << 18;

/// What is asked of every document.
pub struct Recipe {
    pub chars: bool,
    pub size: usize,
    pub secret: u64,
    pub lattice: Lattice,
    /// Whether verification hashes are wanted beside the signature.
    pub verification: bool,
}

/// One document: text, or the hashes of ready tokens.
#[derive(Clone, Copy)]
pub enum Document<'a> {
    Text(&'a [u8]),
    Tokens(&'a [u64]),
}

impl Document<'_> {
    fn weight(&self) -> usize {
        match self {
            Document::Text(text) => text.len(),
            Document::Tokens(tokens) => 8 * tokens.len(),
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

/// Hand every shingle hash of a document to `sink`, in order, a block at a time.
#[inline(always)]
pub fn each_shingle(document: Document, chars: bool, size: usize, secret: u64, scratch: &mut Scratch, mut sink: impl FnMut(&mut [u64])) {
    let Scratch { block, tokens, shingles } = scratch;
    tokens.clear();
    let mut any = false;
    let mut step = |tokens: &mut Vec<u64>, shingles: &mut Vec<u64>| {
        if tokens.len() >= size {
            any = true;
            shingles.clear();
            windows(tokens, size, shingles);
            sink(shingles);
            tokens.drain(..tokens.len() + 1 - size);
        }
    };
    match document {
        Document::Text(text) => {
            let mut reader = Reader::new(text, chars, secret);
            while reader.fill(block) {
                block.token_hashes(secret, tokens);
                step(tokens, shingles);
            }
        }
        Document::Tokens(ready) => {
            for chunk in ready.chunks(TOKENS) {
                tokens.extend_from_slice(chunk);
                step(tokens, shingles);
            }
        }
    }
    if !any && !tokens.is_empty() {
        sink(&mut [whole(tokens)]);
    }
}

/// The verification hashes of a document that goes on: sorted and made distinct whenever they have doubled.
struct Verification<'a> {
    out: &'a mut Vec<u32>,
    start: usize,
    tidy: usize,
}

impl Verification<'_> {
    fn settle(&mut self) {
        self.out[self.start..].sort_unstable();
        let mut len = self.start;
        for i in self.start..self.out.len() {
            if len == self.start || self.out[len - 1] != self.out[i] {
                self.out[len] = self.out[i];
                len += 1;
            }
        }
        self.out.truncate(len);
        self.tidy = (2 * (len - self.start)).max(1 << 21);
    }
}

/// Sign one document; its verification hashes are appended to `out` when wanted. The count of distinct shingles.
#[inline(always)]
fn sign_document(
    recipe: &Recipe,
    document: Document,
    scratch: &mut Scratch,
    counter: &mut DistinctCounter,
    values: &mut [u32],
    out: &mut Vec<u32>,
) -> u64 {
    values.fill(u32::MAX);
    counter.clear(document.weight() / 8);
    let start = out.len();
    let mut verification = Verification { out, start, tidy: 1 << 21 };
    each_shingle(document, recipe.chars, recipe.size, recipe.secret, scratch, |shingles| {
        for &y in shingles.iter() {
            let new = counter.insert(y);
            if recipe.verification && new {
                verification.out.push((y >> 32) as u32);
            }
        }
        if verification.out.len() - start > verification.tidy {
            verification.settle();
        }
        recipe.lattice.update(values, shingles);
    });
    if recipe.verification {
        verification.settle();
    }
    counter.count()
}

/// Sign a run of documents with one working memory.
#[inline(always)]
fn sign_run(recipe: &Recipe, documents: &[Document], values: &mut [u32], counts: &mut [u64], sizes: &mut [u64]) -> Vec<u32> {
    let (mut scratch, mut counter, mut out) = (Scratch::default(), DistinctCounter::default(), Vec::new());
    let rows = values.chunks_exact_mut(recipe.lattice.num_perm());
    for ((&document, row), (count, size)) in documents.iter().zip(rows).zip(counts.iter_mut().zip(sizes)) {
        let start = out.len();
        *count = sign_document(recipe, document, &mut scratch, &mut counter, row, &mut out);
        *size = (out.len() - start) as u64;
    }
    out
}

/// Signatures of a batch, row after row.
pub struct Signed {
    pub values: Vec<u32>,
    pub counts: Vec<u64>,
    /// The verification hashes of document i are `hashes[offsets[i]..offsets[i + 1]]`, when wanted.
    pub offsets: Vec<u64>,
    pub hashes: Vec<u32>,
}

/// Cut documents into runs of about `SHARE` each.
pub fn shares(documents: &[Document]) -> Vec<Range<usize>> {
    let (mut runs, mut start, mut weight) = (Vec::new(), 0, 0);
    for (i, document) in documents.iter().enumerate() {
        weight += document.weight() + 64;
        if weight >= SHARE {
            runs.push(start..i + 1);
            (start, weight) = (i + 1, 0);
        }
    }
    if start < documents.len() {
        runs.push(start..documents.len());
    }
    runs
}

/// Do `work` on every item, on up to `threads` threads of this call's own; results in the items' order.
pub fn on_threads<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let threads = threads.min(items.len());
    let queue = Mutex::new(items.into_iter().zip(&mut results));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let Some((item, result)) = queue.lock().unwrap().next() else { break };
                *result = Some(work(item));
            });
        }
    });
    drop(queue);
    results.into_iter().map(|r| r.expect("every item was worked on")).collect()
}

/// Sign many documents.
pub fn sign_many(recipe: &Recipe, documents: &[Document], threads: usize) -> Signed {
    let n = documents.len();
    let mut values = vec![0; n * recipe.lattice.num_perm()];
    let (mut counts, mut sizes) = (vec![0; n], vec![0; n]);
    let mut jobs = Vec::new();
    let (mut v, mut c, mut s) = (values.as_mut_slice(), counts.as_mut_slice(), sizes.as_mut_slice());
    for run in shares(documents) {
        let (v0, c0, s0);
        (v0, v) = v.split_at_mut(run.len() * recipe.lattice.num_perm());
        (c0, c) = c.split_at_mut(run.len());
        (s0, s) = s.split_at_mut(run.len());
        jobs.push((&documents[run], v0, c0, s0));
    }
    let mut parts = on_threads(jobs, threads, |(documents, v, c, s)| sign_run(recipe, documents, v, c, s));
    let hashes = if parts.len() == 1 { parts.pop().unwrap() } else { parts.concat() };
    let offsets = std::iter::once(0)
        .chain(sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        }))
        .collect();
    Signed { values, counts, offsets, hashes }
}
