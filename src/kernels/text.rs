//! Text to tokens (`words-v1`), a block at a time.
//!
//! A block holds normalised text and the places where tokens begin and end in it. Characters act on each other only within
//! a segment (a character and what composes or reorders with it), so text is normalised segment by segment: a segment of
//! one character by table, the rest by `normalize`. Input is UTF-8; lone surrogates in three bytes (WTF-8) and invalid
//! bytes are separators.

use crate::hash::{long_token_hash, token_hashes, PADDING};
use crate::normalize::{combining_class, normalize, properties, replacement};
use crate::path::{Instructions, WORD_BYTE};
use crate::unicode::*;
use xxhash_rust::xxh3::Xxh3;

/// Bytes of input that one call of `fill` reads, a little more where a segment ends later.
pub const BLOCK: usize = 1 << 14;
/// The length of tokens that are carried to the next block.
const CARRY: usize = 1 << 12;

/// What one `fill` produced: normalised text, and where its tokens begin and end, alternately. A last token whose end is
/// missing goes on in the next block.
#[derive(Default)]
pub struct Block {
    pub bytes: Vec<u8>,
    pub edges: Vec<u32>,
    /// The hash so far of a token too long to be carried whole; it belongs to the first token of `edges`.
    long: Option<Box<Xxh3>>,
    chars: Vec<u32>,
    scratch: Vec<u32>,
}

impl Block {
    /// The hashes of this block's tokens, appended to `out`.
    #[inline(always)]
    pub fn token_hashes(&mut self, secret: u64, out: &mut Vec<u64>) {
        let len = self.bytes.len();
        self.bytes.resize(len + PADDING, 0);
        let mut edges = self.edges.as_slice();
        if let [start, end, rest @ ..] = edges {
            if let Some(mut long) = self.long.take() {
                long.update(&self.bytes[*start as usize..*end as usize]);
                out.push(long_token_hash(long.digest()));
                edges = rest;
            }
        }
        token_hashes(&self.bytes, edges, secret, out);
        self.bytes.truncate(len);
    }

    #[inline(always)]
    fn is_open(&self) -> bool {
        self.edges.len() % 2 == 1
    }

    /// Begin a token here, or end one.
    #[inline(always)]
    fn edge(&mut self) {
        self.edges.push(self.bytes.len() as u32);
    }

    #[inline(always)]
    fn close(&mut self) {
        if self.is_open() {
            self.edge();
        }
    }

    /// Take the last ASCII character back.
    fn retract(&mut self) {
        self.bytes.pop();
        if self.edges.last() == Some(&(self.bytes.len() as u32)) {
            self.edges.pop();
        }
    }
}

/// One document's text on its way into blocks.
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    chars: bool,
    secret: u64,
    /// The unfinished token is one base character of an unspaced script.
    single: bool,
    /// `chars`: a separator stood after the last character; a character came before.
    pending: bool,
    started: bool,
    /// An unfinished token longer than this is hashed as it comes instead of being carried to the next block.
    most: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a [u8], chars: bool, secret: u64) -> Self {
        Reader { text, at: 0, chars, secret, single: false, pending: false, started: false, most: CARRY }
    }

    /// The same; every token comes whole, however long it is.
    pub fn of_whole_tokens(text: &'a [u8], chars: bool, secret: u64) -> Self {
        Reader { most: usize::MAX, ..Reader::new(text, chars, secret) }
    }

    /// Read the next block; false when the text had ended before.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    #[inline(always)]
    pub unsafe fn fill<P: Instructions>(&mut self, block: &mut Block) -> bool {
        if self.at == 0 {
            block.bytes.clear();
            block.edges.clear();
        }
        if self.at == self.text.len() {
            return false;
        }
        self.carry(block);
        // SAFETY: as the caller promised.
        unsafe { self.read::<P>(block, (self.at + BLOCK).min(self.text.len())) };
        true
    }

    /// Read all that is left into one block, whatever its size.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    pub unsafe fn fill_whole<P: Instructions>(&mut self, block: &mut Block) {
        // SAFETY: as the caller promised.
        unsafe { self.read::<P>(block, self.text.len()) };
    }

    /// Clear the block but for the unfinished token.
    #[inline(always)]
    fn carry(&mut self, block: &mut Block) {
        let open = block.is_open().then(|| block.edges[block.edges.len() - 1] as usize);
        block.edges.clear();
        let Some(start) = open else {
            block.bytes.clear();
            return;
        };
        if block.long.is_none() && block.bytes.len() - start <= self.most {
            block.bytes.drain(..start);
        } else {
            let secret = self.secret;
            block.long.get_or_insert_with(|| Box::new(Xxh3::with_seed(secret))).update(&block.bytes[start..]);
            block.bytes.clear();
        }
        block.edges.push(0);
    }

    #[inline(always)]
    unsafe fn read<P: Instructions>(&mut self, block: &mut Block, end: usize) {
        while self.at < end {
            if self.chars {
                self.read_chars(block, end);
            } else if is_ascii_run(&self.text[self.at..]) {
                // SAFETY: as the caller promised.
                unsafe { self.read_ascii::<P>(block, end) };
            } else {
                self.read_mixed(block, end);
            }
        }
        if self.at == self.text.len() {
            block.close();
        }
    }

    /// A run of ASCII, up to `end` or to another character.
    #[inline(always)]
    unsafe fn read_ascii<P: Instructions>(&mut self, block: &mut Block, end: usize) {
        if self.single {
            self.single = false;
            if WORD_BYTE[self.text[self.at] as usize] != 0 {
                block.close();
            }
        }
        // SAFETY: as the caller promised.
        self.at += unsafe { P::boundaries(&self.text[self.at..end], block.is_open(), &mut block.bytes, &mut block.edges) };
        if self.looks_back(self.at) {
            block.retract();
            self.at -= 1;
            self.read_segment(block);
        }
    }

    /// Text character by character, up to `end` or to a run of ASCII.
    ///
    /// A simple character is written once the next one is known to be simple too, and so not to act on it; the others are
    /// read as segments.
    #[inline(always)]
    fn read_mixed(&mut self, block: &mut Block, end: usize) {
        let text = self.text;
        let (mut at, mut single) = (self.at, self.single);
        let (mut len, mut edges) = (block.bytes.len(), block.edges.len());
        block.bytes.reserve(end - at + 8);
        block.edges.reserve(2 * (end - at) + 2);
        let (out, ends) = (block.bytes.as_mut_ptr(), block.edges.as_mut_ptr());
        let mut next = simple(&text[at..]);
        let mut stuck = true;
        while let Some(character) = next {
            let after = at + character.size;
            if after < text.len() {
                next = simple(&text[after..]);
                if next.is_none() {
                    break;
                }
            }
            let word = character.bits & WORD != 0;
            let unspaced = character.bits & UNSPACED != 0;
            // SAFETY: the characters begin before `end`, so they are no more than end - at and have no more than 2 bytes
            // beyond it. Each writes as many bytes as it has, in a step of 4, and at most 2 edges: what was reserved.
            unsafe {
                if edges % 2 == 1 && (!word || unspaced || single) {
                    ends.add(edges).write(len as u32);
                    edges += 1;
                }
                if word {
                    if edges % 2 == 0 {
                        ends.add(edges).write(len as u32);
                        edges += 1;
                    }
                    out.add(len).cast::<[u8; 4]>().write(character.utf8);
                    len += character.size;
                }
            }
            single = word && unspaced;
            at = after;
            if at >= end || (text[at] < 128 && is_ascii_run(&text[at..])) {
                stuck = false;
                break;
            }
        }
        // SAFETY: so many bytes and edges were reserved and have been written.
        unsafe {
            block.bytes.set_len(len);
            block.edges.set_len(edges);
        }
        (self.at, self.single) = (at, single);
        if stuck {
            self.read_segment(block);
        }
    }

    fn read_chars(&mut self, block: &mut Block, end: usize) {
        while self.at < end {
            if self.text[self.at] >= 128 || self.looks_back(self.at + 1) {
                self.read_segment(block);
                continue;
            }
            match WORD_BYTE[self.text[self.at] as usize] {
                0 => self.pending = true,
                folded => self.put_char(block, &[folded]),
            }
            self.at += 1;
        }
    }

    /// Whether the character at `at` may act on the one before it.
    #[inline(always)]
    fn looks_back(&self, at: usize) -> bool {
        at < self.text.len() && self.text[at] >= 128 && properties(decode(&self.text[at..]).0) & (REORDERS | COMPOSES) != 0
    }

    /// One segment: a character and those after it that may act on it.
    fn read_segment(&mut self, block: &mut Block) {
        let start = self.at;
        let (c, length) = decode(&self.text[start..]);
        let bits = properties(c);
        let mut plain = bits & MAPPED == 0;
        let mut class = 0;
        let mut stop = start + length;
        if stop < self.text.len() && self.text[stop] >= 128 {
            let (mut next, mut size) = decode(&self.text[stop..]);
            let mut next_bits = properties(next);
            if next_bits & (REORDERS | COMPOSES) != 0 {
                class = combining_class(c);
            }
            while next_bits & (REORDERS | COMPOSES) != 0 {
                let next_class = combining_class(next);
                plain &= next_bits & (MAPPED | COMPOSES) == 0 && class <= next_class;
                class = next_class;
                stop += size;
                if stop == self.text.len() {
                    break;
                }
                (next, size) = decode(&self.text[stop..]);
                next_bits = properties(next);
            }
        }
        self.at = stop;
        let text = self.text;
        if plain {
            let mut rest = &text[start..stop];
            while !rest.is_empty() {
                let (c, size) = decode(rest);
                self.put(block, properties(c), rest, size);
                rest = &rest[size..];
            }
        } else if start + length == stop {
            for &c in replacement(c) {
                self.put_code_point(block, c);
            }
        } else {
            let mut chars = std::mem::take(&mut block.chars);
            chars.clear();
            let mut rest = &text[start..stop];
            while !rest.is_empty() {
                let (c, size) = decode(rest);
                chars.push(c);
                rest = &rest[size..];
            }
            normalize(&mut chars, &mut block.scratch);
            for &c in &chars {
                self.put_code_point(block, c);
            }
            block.chars = chars;
        }
    }

    fn put_code_point(&mut self, block: &mut Block, c: u32) {
        match char::from_u32(c) {
            Some(c) => {
                let mut utf8 = [0; 4];
                let size = c.encode_utf8(&mut utf8).len();
                self.put(block, properties(c as u32), &utf8, size);
            }
            None => self.separate(block),
        }
    }

    /// A normalised character with its property bits: the first `size` bytes of `utf8`.
    #[inline(always)]
    fn put(&mut self, block: &mut Block, bits: u8, utf8: &[u8], size: usize) {
        if bits & WORD == 0 {
            self.separate(block);
        } else if self.chars {
            self.put_char(block, &utf8[..size]);
        } else {
            let unspaced = bits & UNSPACED != 0;
            if bits & MARK == 0 || !block.is_open() {
                if unspaced || self.single {
                    block.close();
                }
                if !block.is_open() {
                    block.edge();
                }
                self.single = unspaced;
            }
            append_short(&mut block.bytes, utf8, size);
        }
    }

    #[inline(always)]
    fn put_char(&mut self, block: &mut Block, utf8: &[u8]) {
        if self.pending && self.started {
            self.put_token(block, b" ");
        }
        self.put_token(block, utf8);
        self.pending = false;
        self.started = true;
    }

    #[inline(always)]
    fn put_token(&mut self, block: &mut Block, utf8: &[u8]) {
        block.edge();
        block.bytes.extend_from_slice(utf8);
        block.edge();
    }

    #[inline(always)]
    fn separate(&mut self, block: &mut Block) {
        self.pending = true;
        self.single = false;
        block.close();
    }
}

/// A character that acts on no neighbour: the property bits of what it becomes, and that in as many bytes as it had.
#[derive(Clone, Copy)]
struct Simple {
    bits: u8,
    size: usize,
    utf8: [u8; 4],
}

/// The character that `text` begins with, if it is known to be simple.
#[inline(always)]
fn simple(text: &[u8]) -> Option<Simple> {
    let first = text[0];
    if first < 128 {
        let folded = WORD_BYTE[first as usize];
        return Some(Simple { bits: if folded == 0 { 0 } else { WORD }, size: 1, utf8: [folded, 0, 0, 0] });
    }
    if first < 0xE0 {
        let second = *text.get(1)?;
        let entry =
            if first >= 0xC2 && second & 0xC0 == 0x80 { SIMPLE[((first as usize & 0x1F) << 6 | second as usize & 0x3F) - 0x80] } else { 0 };
        let [a, b, bits, known] = entry.to_le_bytes();
        return (known != 0).then_some(Simple { bits, size: 2, utf8: [a, b, 0, 0] });
    }
    let (c, size) = decode(text);
    let bits = properties(c);
    (size == 3 && bits & (MAPPED | REORDERS | COMPOSES | MARK) == 0).then(|| Simple { bits, size, utf8: [first, text[1], text[2], 0] })
}

/// Whether a run of ASCII begins here that is long enough to be read 64 bytes at a time. What is left of a text may be short.
#[inline(always)]
fn is_ascii_run(text: &[u8]) -> bool {
    match text.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight) & 0x8080_8080_8080_8080 == 0,
        None => text.is_ascii(),
    }
}

/// Append the first `size` bytes of `utf8`, 1 to 4 of them.
#[inline(always)]
fn append_short(bytes: &mut Vec<u8>, utf8: &[u8], size: usize) {
    debug_assert!((1..=4).contains(&size));
    match utf8.first_chunk::<4>() {
        Some(four) => {
            bytes.reserve(4);
            let len = bytes.len();
            // SAFETY: four bytes fit in what was reserved, all are initialised, and size is at most 4.
            unsafe {
                bytes.as_mut_ptr().add(len).cast::<[u8; 4]>().write(*four);
                bytes.set_len(len + size.min(4));
            }
        }
        None => bytes.extend_from_slice(&utf8[..size]),
    }
}

/// The code point that `text` begins with and its length. An invalid byte is a noncharacter of length 1: a separator.
#[inline(always)]
pub fn decode(text: &[u8]) -> (u32, usize) {
    const INVALID: (u32, usize) = (0xFFFF, 1);
    let tail = |i: usize| text.get(i).filter(|&&b| b & 0xC0 == 0x80).map(|&b| (b & 0x3F) as u32);
    let first = text[0] as u32;
    match first {
        0..=0x7F => (first, 1),
        0xC2..=0xDF => tail(1).map_or(INVALID, |a| ((first & 0x1F) << 6 | a, 2)),
        0xE0..=0xEF => match (tail(1), tail(2)) {
            (Some(a), Some(b)) if first > 0xE0 || a >= 0x20 => ((first & 0xF) << 12 | a << 6 | b, 3),
            _ => INVALID,
        },
        0xF0..=0xF4 => match (tail(1), tail(2), tail(3)) {
            (Some(a), Some(b), Some(c)) => {
                let point = (first & 7) << 18 | a << 12 | b << 6 | c;
                if (0x10000..0x110000).contains(&point) {
                    (point, 4)
                } else {
                    INVALID
                }
            }
            _ => INVALID,
        },
        _ => INVALID,
    }
}
