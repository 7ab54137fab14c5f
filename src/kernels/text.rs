//! Text to tokens (`words-v1`), a block at a time.
//!
//! A block holds normalised text and the places where tokens begin and end in it. Characters act on each other only within
//! a segment (a character and what composes or reorders with it), so text is normalised segment by segment: a segment of
//! one character by table, the rest by `normalize`. Input is UTF-8; lone surrogates in three bytes (WTF-8) and invalid
//! bytes are separators.

use crate::hash::{long_token_hash, token_hash, PADDING};
use crate::normalize::{combining_class, normalize, properties, replacement};
use crate::unicode::*;
use xxhash_rust::xxh3::Xxh3;

/// Bytes of input that one call of `fill` reads, a little more where a segment ends later.
pub const BLOCK: usize = 1 << 14;
/// An unfinished token longer than this is hashed as it comes instead of being carried to the next block.
const CARRY: usize = 1 << 12;

/// ASCII: the case-folded byte of a word character, 0 for a separator.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut c = 0;
    while c < 128 {
        let b = c as u8;
        if b.is_ascii_alphanumeric() || b == b'_' {
            table[c] = b.to_ascii_lowercase();
        }
        c += 1;
    }
    table
};

/// What one `fill` produced: normalised text and, in pairs, where its tokens begin and end.
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
        if let (Some(mut long), [start, end, rest @ ..]) = (self.long.take_if(|_| !edges.is_empty()), edges) {
            long.update(&self.bytes[*start as usize..*end as usize]);
            out.push(long_token_hash(long.digest()));
            edges = rest;
        }
        let bytes = self.bytes.as_slice();
        out.extend(edges.chunks_exact(2).map(|e| token_hash(bytes, e[0] as usize, e[1] as usize, secret)));
        self.bytes.truncate(len);
    }
}

/// One document's text on its way into blocks.
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    chars: bool,
    secret: u64,
    /// Where the unfinished token begins in the block.
    open: Option<usize>,
    /// The unfinished token is one base character of an unspaced script.
    single: bool,
    /// `chars`: a separator stood after the last character; a character came before.
    pending: bool,
    started: bool,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a [u8], chars: bool, secret: u64) -> Self {
        Reader { text, at: 0, chars, secret, open: None, single: false, pending: false, started: false }
    }

    /// Read the next block; false when the text had ended before.
    #[inline(always)]
    pub fn fill(&mut self, block: &mut Block) -> bool {
        if self.at == self.text.len() {
            return false;
        }
        self.carry(block);
        self.read(block, (self.at + BLOCK).min(self.text.len()));
        true
    }

    /// Read all that is left into one block, whatever its size.
    pub fn fill_whole(&mut self, block: &mut Block) {
        self.read(block, self.text.len());
    }

    /// Clear the block but for the unfinished token.
    fn carry(&mut self, block: &mut Block) {
        block.edges.clear();
        let Some(start) = self.open else {
            block.bytes.clear();
            return;
        };
        if block.long.is_none() && block.bytes.len() - start <= CARRY {
            block.bytes.drain(..start);
        } else {
            let secret = self.secret;
            block.long.get_or_insert_with(|| Box::new(Xxh3::with_seed(secret))).update(&block.bytes[start..]);
            block.bytes.clear();
        }
        self.open = Some(0);
    }

    #[inline(always)]
    fn read(&mut self, block: &mut Block, end: usize) {
        while self.at < end {
            if self.text[self.at] < 128 {
                self.read_ascii(block, end);
            } else {
                self.read_segment(block);
            }
        }
        if self.at == self.text.len() {
            self.close(block);
        }
    }

    /// A run of ASCII, up to `end` or to a character that may act on a character outside ASCII.
    #[inline(always)]
    fn read_ascii(&mut self, block: &mut Block, end: usize) {
        let run = &self.text[self.at..end];
        let length = run.iter().position(|&b| b >= 128).unwrap_or(run.len());
        let stop = self.at + length;
        // The last character of the run is held back when what follows it looks back.
        let held = stop < self.text.len() && self.text[stop] >= 128 && {
            let (c, _) = decode(&self.text[stop..]);
            properties(c) & (REORDERS | COMPOSES) != 0
        };
        for i in self.at..stop - held as usize {
            let folded = ASCII[self.text[i] as usize];
            if folded == 0 {
                self.separate(block);
            } else if self.chars {
                self.put_char(block, &[folded]);
            } else {
                self.put_word(block, false, &[folded]);
            }
        }
        self.at = stop - held as usize;
        if held {
            self.read_segment(block);
        }
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
                self.put(block, properties(c), &rest[..size]);
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
            Some(c) => self.put(block, properties(c as u32), c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.separate(block),
        }
    }

    /// A normalised character with its property bits.
    #[inline(always)]
    fn put(&mut self, block: &mut Block, bits: u8, utf8: &[u8]) {
        if bits & WORD == 0 {
            self.separate(block);
        } else if self.chars {
            self.put_char(block, utf8);
        } else if bits & MARK != 0 && self.open.is_some() {
            block.bytes.extend_from_slice(utf8);
        } else {
            self.put_word(block, bits & UNSPACED != 0, utf8);
        }
    }

    #[inline(always)]
    fn put_word(&mut self, block: &mut Block, unspaced: bool, utf8: &[u8]) {
        if unspaced || self.single {
            self.close(block);
        }
        if self.open.is_none() {
            self.open = Some(block.bytes.len());
        }
        self.single = unspaced;
        block.bytes.extend_from_slice(utf8);
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
        let start = block.bytes.len();
        block.bytes.extend_from_slice(utf8);
        block.edges.extend([start as u32, block.bytes.len() as u32]);
    }

    #[inline(always)]
    fn separate(&mut self, block: &mut Block) {
        self.pending = true;
        self.close(block);
    }

    #[inline(always)]
    fn close(&mut self, block: &mut Block) {
        if let Some(start) = self.open.take() {
            block.edges.extend([start as u32, block.bytes.len() as u32]);
            self.single = false;
        }
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
