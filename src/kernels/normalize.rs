//! Case folding and compatibility composition of one segment of text, the slow and general way.
//!
//! `text` meets most characters through the tables alone; what comes here is a segment in which characters act on each
//! other: letters with marks that compose or reorder, conjoining Hangul. See Unicode Standard Annex #15 for the algorithm.

use crate::unicode::*;

const S: u32 = 0xAC00;
const L: u32 = 0x1100;
const V: u32 = 0x1161;
const T: u32 = 0x11A7;
const SYLLABLES: u32 = 11172;

/// The property bits of a code point.
#[inline(always)]
pub fn properties(c: u32) -> u8 {
    PROPERTIES[(PROPERTY_INDEX[(c >> 7) as usize] as usize) << 7 | (c & 127) as usize]
}

/// The canonical combining class of a code point.
#[inline]
pub fn combining_class(c: u32) -> u8 {
    CLASSES[(CLASS_INDEX[(c >> 7) as usize] as usize) << 7 | (c & 127) as usize]
}

/// What a code point marked MAPPED becomes when nothing follows that acts on it.
#[inline]
pub fn replacement(c: u32) -> &'static [u32] {
    let block = REPLACEMENT_INDEX[(c >> 6) as usize] as usize;
    let place = REPLACEMENT_PLACES[block << 6 | (c & 63) as usize] as usize;
    &REPLACEMENTS[place + 1..place + 1 + REPLACEMENTS[place] as usize]
}

fn find(c: u32, keys: &[u32], ends: &[u16], text: &'static [u32]) -> Option<&'static [u32]> {
    let i = keys.binary_search(&c).ok()?;
    let start = if i == 0 { 0 } else { ends[i - 1] as usize };
    Some(&text[start..ends[i] as usize])
}

fn decompose(c: u32, out: &mut Vec<u32>) {
    if (S..S + SYLLABLES).contains(&c) {
        let i = c - S;
        out.extend([L + i / 588, V + i % 588 / 28]);
        if !i.is_multiple_of(28) {
            out.push(T + i % 28);
        }
    } else if let Some(text) = find(c, &DECOMPOSITION_KEYS, &DECOMPOSITION_ENDS, &DECOMPOSITION_TEXT) {
        out.extend_from_slice(text);
    } else {
        out.push(c);
    }
}

fn compose(a: u32, b: u32) -> Option<u32> {
    if (L..L + 19).contains(&a) && (V..V + 21).contains(&b) {
        return Some(S + ((a - L) * 21 + b - V) * 28);
    }
    if (S..S + SYLLABLES).contains(&a) && (a - S).is_multiple_of(28) && (T + 1..T + 28).contains(&b) {
        return Some(a + b - T);
    }
    PAIRS.binary_search(&((a as u64) << 32 | b as u64)).ok().map(|i| COMPOSITES[i])
}

/// NFKC of the case-folded `chars`, in place; `scratch` is any vector.
fn fold(chars: &mut Vec<u32>, scratch: &mut Vec<u32>) {
    scratch.clear();
    for &c in chars.iter() {
        match find(c, &FOLDING_KEYS, &FOLDING_ENDS, &FOLDING_TEXT) {
            Some(text) => text.iter().for_each(|&x| decompose(x, scratch)),
            None => decompose(c, scratch),
        }
    }
    for run in scratch.chunk_by_mut(|&a, &b| combining_class(a) != 0 && combining_class(b) != 0) {
        run.sort_by_key(|&c| combining_class(c)); // stable, as canonical ordering is
    }
    chars.clear();
    let mut starter = None;
    let mut last = 0;
    for &c in scratch.iter() {
        let class = combining_class(c);
        if let Some(s) = starter {
            if last < class || (last == 0 && s + 1 == chars.len()) {
                if let Some(p) = compose(chars[s], c) {
                    chars[s] = p;
                    continue;
                }
            }
        }
        if class == 0 {
            starter = Some(chars.len());
        }
        last = class;
        chars.push(c);
    }
}

/// `normalize` of reference.py for one segment.
pub fn normalize(chars: &mut Vec<u32>, scratch: &mut Vec<u32>) {
    fold(chars, scratch);
    fold(chars, scratch);
    chars.retain(|&c| properties(c) & IGNORABLE == 0);
}
