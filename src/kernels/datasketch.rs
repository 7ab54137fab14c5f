//! Shingles as bytes, and the signatures that datasketch computes of them: `datasketch-affine32`, `-affine64`, `-legacy`.
//!
//! The way of a document is that of `sign`, but that a shingle is hashed as the bytes of its tokens, by a hash of datasketch's
//! choice, and that every slot meets every shingle. Counts and verification hashes are those of `words-v1`.

use crate::hash::{mix32, mix64, text_token_hash, whole, windows};
use crate::minhash::{self, DistinctCounter};
#[cfg(target_arch = "x86_64")]
use crate::path::{Avx2, Avx512};
use crate::path::{Instructions, Path, Portable};
use crate::sign::{on_threads, shares, Counting, Signed, Tally, TOKENS};
use crate::text::{Block, Reader, BLOCK};
use crate::verify::SortScratch;
use sha1::block_api::compress;
use std::cmp::Reverse;
use xxhash_rust::{xxh32::xxh32, xxh64::xxh64};

/// Slots worked on at once.
const LANES: usize = 32;
/// Shingle hashes handed to the slots at once: they stay in the cache.
const CHUNK: usize = 512;
/// The prime of `datasketch-legacy`.
const PRIME: u64 = (1 << 61) - 1;
/// Bytes of one token that are taken whole.
pub const LONGEST: usize = 1 << 30;

/// What becomes of a shingle's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenHash {
    Sha1,
    Xxh32,
    Xxh64,
}

impl TokenHash {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sha1" => TokenHash::Sha1,
            "xxh32" => TokenHash::Xxh32,
            "xxh64" => TokenHash::Xxh64,
            _ => return None,
        })
    }

    /// 64 bits; of SHA-1 the first eight bytes of the digest, a scheme of 32 bits takes the first four.
    #[inline(always)]
    fn of(self, bytes: &[u8]) -> u64 {
        match self {
            TokenHash::Sha1 => sha1_64(bytes),
            TokenHash::Xxh32 => xxh32(bytes, 0) as u64,
            TokenHash::Xxh64 => xxh64(bytes, 0),
        }
    }
}

/// The first eight bytes of the SHA-1 of a message, as a little-endian number. Most shingles fit into one block.
#[inline(always)]
fn sha1_64(message: &[u8]) -> u64 {
    const BLOCK: usize = 64;
    let mut state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    if !blocks.is_empty() {
        compress(&mut state, blocks);
    }
    let mut last = [[0; BLOCK]; 2];
    last.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
    last.as_flattened_mut()[rest.len()] = 0x80;
    let used = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    last[used - 1][BLOCK - 8..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    compress(&mut state, &last[..used]);
    state[0].swap_bytes() as u64 | (state[1].swap_bytes() as u64) << 32
}

/// The formula of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// a h + b modulo 2^32 of a mixed hash
    Affine32,
    /// a h + b modulo 2^64 of a mixed hash
    Affine64,
    /// a h + b modulo 2^64, then modulo 2^61 - 1, then modulo 2^32
    Legacy,
}

/// How documents are signed.
pub struct Recipe {
    pub chars: bool,
    pub size: usize,
    pub secret: u64,
    pub scheme: Scheme,
    pub token_hash: TokenHash,
    /// Of each slot a and b, filled up with slots that nobody reads.
    factors: Vec<u64>,
    summands: Vec<u64>,
    num_perm: usize,
    /// Whether the verification hashes are wanted too.
    pub verification: bool,
}

impl Recipe {
    /// `words`: what counts as a token, how many are in a shingle, and the secret of their hashes.
    pub fn new(words: (bool, usize, u64), scheme: Scheme, token_hash: TokenHash, slots: (&[u64], &[u64]), verification: bool) -> Self {
        let (chars, size, secret) = words;
        let num_perm = slots.0.len();
        assert!(num_perm == slots.1.len(), "as many summands as factors");
        let [factors, summands] = [slots.0, slots.1].map(|slots| {
            let mut slots = slots.to_vec();
            slots.resize(num_perm.next_multiple_of(LANES), 0);
            slots
        });
        Recipe { chars, size, secret, scheme, token_hash, factors, summands, num_perm, verification }
    }

    pub fn num_perm(&self) -> usize {
        self.num_perm
    }

    /// The hash that the slots take of a shingle's bytes.
    #[inline(always)]
    fn hash(&self, shingle: &[u8]) -> u64 {
        let hash = self.token_hash.of(shingle);
        match self.scheme {
            Scheme::Affine32 => mix32(hash as u32) as u64,
            Scheme::Affine64 => mix64(hash),
            Scheme::Legacy if self.token_hash == TokenHash::Sha1 => hash & u32::MAX as u64,
            Scheme::Legacy => hash,
        }
    }
}

/// What the slots of these schemes hold.
pub trait Value: minhash::Value + Ord + Send {
    /// Lower slots to the minima over `hashes` too.
    fn lower(recipe: &Recipe, values: &mut [Self], hashes: &[u64]);
}

/// Lower the slots, some at a time, by `formula` of a factor, a summand and a hash.
#[inline(always)]
fn lower_by<V: Value, W: Copy + Ord, const N: usize>(
    recipe: &Recipe,
    values: &mut [V],
    hashes: &[u64],
    (widen, narrow): (impl Fn(V) -> W, impl Fn(W) -> V),
    part: impl Fn(u64) -> W,
    formula: impl Fn(W, W, W) -> W,
) {
    let slots = recipe.factors.as_chunks::<N>().0.iter().zip(recipe.summands.as_chunks::<N>().0);
    for (values, (factors, summands)) in values.chunks_mut(N).zip(slots) {
        let (factors, summands) = (factors.map(&part), summands.map(&part));
        let mut minima = [widen(V::MAX); N];
        for (minimum, &value) in minima.iter_mut().zip(values.iter()) {
            *minimum = widen(value);
        }
        for &hash in hashes {
            let hash = part(hash);
            for lane in 0..N {
                minima[lane] = minima[lane].min(formula(factors[lane], summands[lane], hash));
            }
        }
        for (value, &minimum) in values.iter_mut().zip(&minima) {
            *value = narrow(minimum);
        }
    }
}

impl Value for u32 {
    #[inline(always)]
    fn lower(recipe: &Recipe, values: &mut [Self], hashes: &[u64]) {
        if recipe.scheme == Scheme::Affine32 {
            let affine = |a: u32, b: u32, h: u32| a.wrapping_mul(h).wrapping_add(b);
            lower_by::<_, _, LANES>(recipe, values, hashes, (|v| v, |v| v), |x| x as u32, affine);
        } else {
            let legacy = |a: u64, b: u64, h: u64| {
                let x = a.wrapping_mul(h).wrapping_add(b);
                let x = (x & PRIME) + (x >> 61);
                (if x >= PRIME { x - PRIME } else { x }) & u32::MAX as u64
            };
            lower_by::<_, _, 8>(recipe, values, hashes, (|v| v as u64, |v| v as u32), |x| x, legacy);
        }
    }
}

impl Value for u64 {
    #[inline(always)]
    fn lower(recipe: &Recipe, values: &mut [Self], hashes: &[u64]) {
        let affine = |a: u64, b: u64, h: u64| a.wrapping_mul(h).wrapping_add(b);
        lower_by::<_, _, 8>(recipe, values, hashes, (|v| v, |v| v), |x| x, affine);
    }
}

/// One document: text, or ready tokens, of which j is `bytes[edges[j]..edges[j + 1]]`.
#[derive(Clone, Copy)]
pub enum Document<'a> {
    Text(&'a [u8]),
    Tokens { bytes: &'a [u8], edges: &'a [usize] },
}

impl Document<'_> {
    fn weight(&self) -> usize {
        match self {
            Document::Text(text) => text.len(),
            Document::Tokens { bytes, edges } => bytes.len() + 8 * edges.len(),
        }
    }

    fn counting(&self, counter: &mut DistinctCounter) -> Counting {
        match self {
            Document::Text(text) if text.len() <= BLOCK => Counting::Once,
            Document::Tokens { edges, .. } if edges.len() <= TOKENS => Counting::Once,
            _ => {
                counter.clear();
                Counting::Blocks
            }
        }
    }
}

/// A document has a token of more than `LONGEST` bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// Tokens one after another, those of words with a space between two, as shingles have them.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    /// Where each token begins and ends.
    places: Vec<(usize, usize)>,
}

impl Joined {
    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    #[inline(always)]
    fn push(&mut self, token: &[u8], chars: bool) {
        if !chars && !self.places.is_empty() {
            self.bytes.push(b' ');
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(token);
        self.places.push((start, self.bytes.len()));
    }

    /// Keep the last tokens only.
    #[inline(always)]
    fn keep_last(&mut self, tokens: usize) {
        self.places.drain(..self.places.len() - tokens);
        let Some(&(first, _)) = self.places.first() else { return self.bytes.clear() };
        self.bytes.drain(..first);
        self.places.iter_mut().for_each(|(start, end)| (*start, *end) = (*start - first, *end - first));
    }
}

/// Working memory, reused from document to document.
#[derive(Default)]
struct Signer {
    block: Block,
    tokens: Vec<u64>,
    shingles: Vec<u64>,
    joined: Joined,
    hashes: Vec<u64>,
    sort: SortScratch,
    counter: DistinctCounter,
}

impl Signer {
    /// Take the next tokens of a text; false at its end.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    unsafe fn read<P: Instructions>(&mut self, recipe: &Recipe, reader: &mut Reader) -> Result<bool, TooLong> {
        // SAFETY: as the caller promised.
        if !unsafe { reader.fill::<P>(&mut self.block) } {
            return Ok(false);
        }
        if self.block.bytes.len() > LONGEST {
            return Err(TooLong);
        }
        self.block.token_hashes(recipe.secret, &mut self.tokens);
        for edge in self.block.edges.chunks_exact(2) {
            self.joined.push(&self.block.bytes[edge[0] as usize..edge[1] as usize], recipe.chars);
        }
        Ok(true)
    }

    /// Sign one document. The count of distinct shingles.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    unsafe fn sign_document<P: Instructions, V: Value, const KEEP: bool>(
        &mut self,
        recipe: &Recipe,
        document: Document,
        values: &mut [V],
        out: &mut Vec<u32>,
    ) -> Result<u64, TooLong> {
        values.fill(V::MAX);
        self.tokens.clear();
        self.joined.clear();
        let (mut counter, mut sort) = (std::mem::take(&mut self.counter), std::mem::take(&mut self.sort));
        let mut tally = Tally::<KEEP>::new(document.counting(&mut counter), &mut counter, out, &mut sort);
        let (text, mut ready, bytes) = match document {
            Document::Text(text) => (text, [].windows(2), &[][..]),
            Document::Tokens { bytes, edges } => (&[][..], edges.windows(2), bytes),
        };
        let mut reader = Reader::of_whole_tokens(text, recipe.chars, recipe.secret);
        let (size, mut any) = (recipe.size, false);
        loop {
            // SAFETY: as the caller promised.
            if !unsafe { self.read::<P>(recipe, &mut reader)? } {
                let before = self.tokens.len();
                for edge in ready.by_ref().take(TOKENS) {
                    let token = &bytes[edge[0]..edge[1]];
                    self.tokens.push(text_token_hash(token, recipe.secret));
                    self.joined.push(token, recipe.chars);
                }
                if self.tokens.len() == before {
                    break;
                }
            }
            if self.tokens.len() >= size {
                any = true;
                self.shingles.clear();
                windows(&self.tokens, size, &mut self.shingles);
                tally.note(&self.shingles);
                let Joined { bytes, places } = &self.joined;
                for shingles in places[..=places.len() - size].chunks(CHUNK).zip(places[size - 1..].chunks(CHUNK)) {
                    self.hashes.clear();
                    let ends = shingles.0.iter().zip(shingles.1);
                    self.hashes.extend(ends.map(|(&(start, _), &(_, end))| recipe.hash(&bytes[start..end])));
                    V::lower(recipe, values, &self.hashes);
                }
                self.tokens.drain(..self.tokens.len() + 1 - size);
                self.joined.keep_last(size - 1);
            }
        }
        if !any && !self.tokens.is_empty() {
            tally.note(&[whole(&self.tokens)]);
            V::lower(recipe, values, &[recipe.hash(&self.joined.bytes)]);
        }
        let count = tally.finish();
        (self.counter, self.sort) = (counter, sort);
        Ok(count)
    }
}

/// A run of documents and where their signatures go.
struct Run<'a, V> {
    documents: &'a [Document<'a>],
    values: &'a mut [V],
    counts: &'a mut [u64],
    sizes: &'a mut [u64],
}

impl<V: Value> Run<'_, V> {
    /// Sign the run with one working memory; the verification hashes of its documents one after another, or the place of the
    /// document that cannot be signed.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    unsafe fn sign_by<P: Instructions>(self, recipe: &Recipe) -> Result<Vec<u32>, usize> {
        let (mut signer, mut out) = (Signer::default(), Vec::new());
        let rows = self.values.chunks_exact_mut(recipe.num_perm).zip(self.counts.iter_mut().zip(self.sizes));
        for (place, (&document, (row, (count, size)))) in self.documents.iter().zip(rows).enumerate() {
            let start = out.len();
            // SAFETY: as the caller promised.
            let signed = unsafe {
                if recipe.verification {
                    signer.sign_document::<P, V, true>(recipe, document, row, &mut out)
                } else {
                    signer.sign_document::<P, V, false>(recipe, document, row, &mut out)
                }
            };
            *count = signed.map_err(|TooLong| place)?;
            *size = (out.len() - start) as u64;
        }
        Ok(out)
    }

    fn sign(self, recipe: &Recipe, path: Path) -> Result<Vec<u32>, usize> {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2<V: Value>(run: Run<V>, recipe: &Recipe) -> Result<Vec<u32>, usize> {
                // SAFETY: these are the instructions of the path.
                unsafe { run.sign_by::<Avx2>(recipe) }
            }
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")]
            fn avx512<V: Value>(run: Run<V>, recipe: &Recipe) -> Result<Vec<u32>, usize> {
                // SAFETY: these are the instructions of the path.
                unsafe { run.sign_by::<Avx512>(recipe) }
            }
            assert!(Path::available().contains(&path), "this processor has no {}", path.name());
            match path {
                Path::Portable => {}
                // SAFETY: the path is available.
                Path::Avx2 => return unsafe { avx2(self, recipe) },
                // SAFETY: the path is available.
                Path::Avx512 => return unsafe { avx512(self, recipe) },
            }
        }
        // SAFETY: the portable path needs nothing of the processor.
        unsafe { self.sign_by::<Portable>(recipe) }
    }
}

/// Sign many documents; their signatures are written to `values`, row after row. An error is the place of a document that has
/// a token of more than `LONGEST` bytes.
pub fn sign_many<V: Value>(recipe: &Recipe, documents: &[Document], threads: usize, path: Path, values: &mut [V]) -> Result<Signed, usize> {
    let n = documents.len();
    assert!(values.len() == n * recipe.num_perm, "a row for each document");
    let (mut counts, mut sizes) = (vec![0; n], vec![0; n]);
    let mut runs = Vec::new();
    let (mut v, mut c, mut s) = (values, counts.as_mut_slice(), sizes.as_mut_slice());
    let shares = if threads > 1 { shares(documents.iter().map(Document::weight)) } else { std::iter::once(0..n).collect() };
    for range in shares {
        let run;
        let first = range.start;
        (run, v, c, s) = {
            let (v0, v) = v.split_at_mut(range.len() * recipe.num_perm);
            let (c0, c) = c.split_at_mut(range.len());
            let (s0, s) = s.split_at_mut(range.len());
            (Run { documents: &documents[range], values: v0, counts: c0, sizes: s0 }, v, c, s)
        };
        runs.push((first, run));
    }
    // The heaviest first, as in `sign`.
    runs.sort_by_key(|(_, run)| Reverse(run.documents.iter().map(Document::weight).sum::<usize>()));
    let mut parts = on_threads(runs, threads, |(first, run)| (first, run.sign(recipe, path)));
    parts.sort_unstable_by_key(|&(first, _)| first);
    let parts = parts.into_iter().map(|(first, hashes)| hashes.map_err(|place| first + place)).collect::<Result<Vec<_>, _>>()?;
    let mut offsets = Vec::with_capacity(n + 1);
    offsets.push(0);
    for size in sizes {
        offsets.push(offsets[offsets.len() - 1] + size);
    }
    Ok(Signed { counts, offsets, hashes: parts.concat() })
}
