//! Shingles as bytes, and the signatures that datasketch computes of them: `datasketch-affine32`, `-affine64`, `-legacy`.
//!
//! The way of a document is that of `sign`, but that a shingle is hashed as the bytes of its tokens, by a hash of datasketch's
//! choice, and that every slot meets every shingle. Counts and verification hashes are those of `words-v1`.

use crate::batch::Signs;
use crate::distinct::DistinctCounter;
use crate::hash::{mix32, mix64, token_hashes, whole, windows};
use crate::minhash;
use crate::path::Instructions;
use crate::room::{NoRoom, Roomy};
use crate::sha1;
use crate::sign::TOKENS;
use crate::tally::{Counting, Tally};
use crate::text::{Block, Reader, BLOCK};
use crate::verify::SortScratch;
use xxhash_rust::{xxh32::xxh32, xxh64::xxh64};

/// Slots worked on at once.
const LANES: usize = 32;
/// Shingle hashes handed to the slots at once: they stay in the cache.
const CHUNK: usize = 512;
/// The prime of `datasketch-legacy`.
const PRIME: u64 = (1 << 61) - 1;
/// Readable bytes that must follow the last token of a buffer.
pub const PADDING: usize = sha1::BLOCK;
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

    /// The hashes that the slots take of shingles: of `size` tokens each, or of all where there are fewer. Of SHA-1 the scheme of
    /// 64 bits takes the first eight bytes of the digest, a scheme of 32 bits the first four.
    #[inline(always)]
    fn hash_all(&self, bytes: &[u8], starts: &[[u32; 2]], ends: &[[u32; 2]], hashes: &mut Vec<u64>) {
        hashes.clear();
        let places = starts.iter().zip(ends).map(|(&[start, _], &[_, end])| (start as usize, end as usize));
        match self.token_hash {
            TokenHash::Sha1 => sha1::hash_all(bytes, places, hashes),
            TokenHash::Xxh32 => hashes.extend(places.map(|(start, end)| xxh32(&bytes[start..end], 0) as u64)),
            TokenHash::Xxh64 => hashes.extend(places.map(|(start, end)| xxh64(&bytes[start..end], 0))),
        }
        match self.scheme {
            Scheme::Affine32 => hashes.iter_mut().for_each(|hash| *hash = mix32(*hash as u32) as u64),
            Scheme::Affine64 => hashes.iter_mut().for_each(|hash| *hash = mix64(*hash)),
            Scheme::Legacy if self.token_hash == TokenHash::Sha1 => hashes.iter_mut().for_each(|hash| *hash &= u32::MAX as u64),
            Scheme::Legacy => {}
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

/// One document: text, or ready tokens as shingles have them, those of words with a space between two. Token j is
/// `bytes[edges[2 j]..edges[2 j + 1]]`, and `PADDING` bytes follow the last.
#[derive(Clone, Copy)]
pub enum Document<'a> {
    Text(&'a [u8]),
    Tokens { bytes: &'a [u8], edges: &'a [u32] },
}

/// Where tokens begin and end that NUL bytes stand between, which become spaces.
pub fn cut_at_nul(bytes: &mut [u8], edges: &mut Vec<u32>) {
    const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
    edges.push(0);
    let mut start = 0;
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        let value = u64::from_le_bytes(*word);
        // The high bit of each byte that is zero (Warren, "Hacker's Delight", section 6-1).
        let mut zeros = !(((value & LOW) + LOW) | value | LOW);
        while zeros != 0 {
            let at = (zeros.trailing_zeros() / 8) as usize;
            word[at] = b' ';
            edges.extend([start + at as u32, start + at as u32 + 1]);
            zeros &= zeros - 1;
        }
        start += 8;
    }
    for byte in rest {
        if *byte == 0 {
            *byte = b' ';
            edges.extend([start, start + 1]);
        }
        start += 1;
    }
    edges.push(start);
}

/// Why documents are not signed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unsigned {
    /// The document at this place has a token of more than `LONGEST` bytes.
    TooLong(usize),
    NoRoom(NoRoom),
}

impl From<NoRoom> for Unsigned {
    fn from(no_room: NoRoom) -> Self {
        Unsigned::NoRoom(no_room)
    }
}

/// Tokens of a text one after another, as `Document::Tokens` has them but for the padding.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    edges: Vec<u32>,
}

impl Joined {
    /// Append the tokens of a block.
    #[inline(always)]
    fn extend(&mut self, block: &Block, chars: bool) {
        for edge in block.edges.as_chunks().0 {
            let [start, end] = edge.map(|edge: u32| edge as usize);
            if !chars && !self.edges.is_empty() {
                self.bytes.push(b' ');
            }
            self.edges.push(self.bytes.len() as u32);
            self.bytes.extend_from_slice(&block.bytes[start..end]);
            self.edges.push(self.bytes.len() as u32);
        }
    }

    /// Keep the last tokens only.
    #[inline(always)]
    fn keep_last(&mut self, tokens: usize) {
        self.edges.drain(..self.edges.len() - 2 * tokens);
        let Some(&first) = self.edges.first() else { return self.bytes.clear() };
        self.bytes.drain(..first as usize);
        self.edges.iter_mut().for_each(|edge| *edge -= first);
    }
}

/// Working memory, reused from document to document.
#[derive(Default)]
pub struct Signer {
    block: Block,
    tokens: Vec<u64>,
    shingles: Vec<u64>,
    joined: Joined,
    sort: SortScratch,
    counter: DistinctCounter,
}

/// A document being signed.
struct Signing<'a, V, const KEEP: bool> {
    recipe: &'a Recipe,
    values: &'a mut [V],
    tally: Tally<'a, KEEP>,
    shingles: &'a mut Vec<u64>,
    hashes: Vec<u64>,
    any: bool,
}

impl<V: Value, const KEEP: bool> Signing<'_, V, KEEP> {
    /// Take the shingles of some tokens, of which those are left that shingles to come begin with.
    #[inline(always)]
    fn take(&mut self, tokens: &mut Vec<u64>, bytes: &[u8], edges: &[[u32; 2]]) {
        let size = self.recipe.size;
        if tokens.len() < size {
            return;
        }
        self.any = true;
        self.shingles.clear();
        windows(tokens, size, self.shingles);
        self.tally.note(self.shingles);
        let n = tokens.len() + 1 - size;
        for (starts, ends) in edges[..n].chunks(CHUNK).zip(edges[size - 1..tokens.len()].chunks(CHUNK)) {
            self.recipe.hash_all(bytes, starts, ends, &mut self.hashes);
            V::lower(self.recipe, self.values, &self.hashes);
        }
        tokens.drain(..n);
    }

    /// Take all tokens as one shingle where they were fewer than shingles have. The count of distinct shingles.
    #[inline(always)]
    fn finish(mut self, tokens: &[u64], bytes: &[u8], edges: &[[u32; 2]]) -> Roomy<u64> {
        if !self.any && !tokens.is_empty() {
            self.tally.note(&[whole(tokens)]);
            self.recipe.hash_all(bytes, &edges[..1], &edges[tokens.len() - 1..], &mut self.hashes);
            V::lower(self.recipe, self.values, &self.hashes);
        }
        self.tally.finish()
    }
}

impl Recipe {
    /// Sign one document. The count of distinct shingles.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    unsafe fn sign<P: Instructions, V: Value, const KEEP: bool>(
        &self,
        document: Document,
        signer: &mut Signer,
        values: &mut [V],
        out: &mut Vec<u32>,
    ) -> Result<u64, Unsigned> {
        values.fill(V::MAX);
        let Signer { block, tokens, shingles, joined, sort, counter } = signer;
        tokens.clear();
        let at_once = match document {
            Document::Text(text) => text.len() <= BLOCK,
            Document::Tokens { edges, .. } => edges.len() <= 2 * TOKENS,
        };
        let tally = Tally::new(Counting::of(at_once, counter), counter, out, sort);
        let mut signing = Signing::<V, KEEP> { recipe: self, values, tally, shingles, hashes: Vec::new(), any: false };
        match document {
            Document::Text(text) => {
                joined.bytes.clear();
                joined.edges.clear();
                let mut reader = Reader::of_whole_tokens(text, self.chars, self.secret);
                // SAFETY: as the caller promised.
                while unsafe { reader.fill::<P>(block) } {
                    if block.bytes.len() > LONGEST {
                        return Err(Unsigned::TooLong(0));
                    }
                    block.token_hashes(self.secret, tokens);
                    joined.extend(block, self.chars);
                    let n = joined.bytes.len();
                    joined.bytes.resize(n + PADDING, 0);
                    signing.take(tokens, &joined.bytes, joined.edges.as_chunks().0);
                    joined.bytes.truncate(n);
                    joined.keep_last(tokens.len());
                }
                joined.bytes.resize(joined.bytes.len() + PADDING, 0);
                Ok(signing.finish(tokens, &joined.bytes, joined.edges.as_chunks().0)?)
            }
            Document::Tokens { bytes, edges } => {
                let mut rest = edges.as_chunks().0;
                for chunk in edges.chunks(2 * TOKENS) {
                    token_hashes(bytes, chunk, self.secret, tokens);
                    let before = tokens.len();
                    signing.take(tokens, bytes, rest);
                    rest = &rest[before - tokens.len()..];
                }
                Ok(signing.finish(tokens, bytes, rest)?)
            }
        }
    }
}

impl<V: Value> Signs<V> for Recipe {
    type Document<'a> = Document<'a>;
    type Signer = Signer;
    type Error = Unsigned;

    fn num_perm(&self) -> usize {
        self.num_perm
    }

    fn weight(document: &Document) -> usize {
        match document {
            Document::Text(text) => text.len(),
            Document::Tokens { bytes, edges } => bytes.len() + 4 * edges.len(),
        }
    }

    fn after(error: Unsigned, before: usize) -> Unsigned {
        match error {
            Unsigned::TooLong(place) => Unsigned::TooLong(before + place),
            Unsigned::NoRoom(_) => error,
        }
    }

    #[inline(always)]
    unsafe fn sign_document<P: Instructions>(
        &self,
        document: Document,
        signer: &mut Signer,
        values: &mut [V],
        out: &mut Vec<u32>,
    ) -> Result<u64, Unsigned> {
        // SAFETY: as the caller promised.
        unsafe {
            if self.verification {
                self.sign::<P, V, true>(document, signer, values, out)
            } else {
                self.sign::<P, V, false>(document, signer, values, out)
            }
        }
    }
}
