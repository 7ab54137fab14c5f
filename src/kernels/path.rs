//! Which instructions a kernel may use, chosen at run time. Every path gives the same bits.

/// A SIMD path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Portable,
    Avx2,
    Avx512,
}

impl Path {
    /// The best path of this processor.
    pub fn detect() -> Path {
        *Path::available().last().expect("the portable path is always there")
    }

    /// The paths of this processor, slowest first.
    pub fn available() -> Vec<Path> {
        [Path::Portable, Path::Avx2, Path::Avx512].into_iter().filter(|path| path.is_available()).collect()
    }

    /// Whether this processor has its instructions.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let found = match self {
            Path::Portable => true,
            Path::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
                    && is_x86_feature_detected!("popcnt")
            }
            Path::Avx512 => {
                Path::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
            }
        };
        #[cfg(not(target_arch = "x86_64"))]
        let found = self == Path::Portable;
        found
    }

    /// Do some work with the instructions of this path, which the processor has.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2<W: Work>(work: W) -> W::Output {
                // SAFETY: these are the instructions of the path.
                unsafe { work.by::<Avx2>() }
            }
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")]
            fn avx512<W: Work>(work: W) -> W::Output {
                // SAFETY: these are the instructions of the path.
                unsafe { work.by::<Avx512>() }
            }
            assert!(self.is_available(), "this processor has no {}", self.name());
            match self {
                Path::Portable => {}
                // SAFETY: the path is available.
                Path::Avx2 => return unsafe { avx2(work) },
                // SAFETY: the path is available.
                Path::Avx512 => return unsafe { avx512(work) },
            }
        }
        // SAFETY: the portable path needs nothing of the processor.
        unsafe { work.by::<Portable>() }
    }

    pub fn name(self) -> &'static str {
        match self {
            Path::Portable => "portable",
            Path::Avx2 => "avx2",
            Path::Avx512 => "avx512",
        }
    }
}

/// Ask for the cache line in which something begins, which is wanted soon.
#[inline(always)]
pub fn prefetch<T>(wanted: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is there on every processor of this architecture, and a prefetch reads nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch(std::ptr::from_ref(wanted).cast(), std::arch::x86_64::_MM_HINT_T0);
    }
}

/// Work that is compiled once for each path. (A closure would be compiled without its instructions.)
pub trait Work {
    type Output;

    /// Do it.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    unsafe fn by<P: Instructions>(self) -> Self::Output;
}

/// What the paths do differently.
pub trait Instructions {
    /// With no more than this many slots open after a round, at most 12, each is settled by itself, which is quicker than another round.
    const FEW: usize;

    /// Fold the case of the ASCII text that `text` begins with, up to the first other byte, and find where its runs of word
    /// characters begin and end.
    ///
    /// The folded text is appended to `bytes`, separators included; the edges to `edges`, alternately beginning and end.
    /// `open`: a word character came directly before. The number of bytes read.
    ///
    /// # Safety
    /// The processor has the instructions of this path.
    unsafe fn boundaries(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize;

    /// Lower the minima of the slots from `first` on to the values of these shingles: slot k of y is
    /// y + k * step, where step is the odd high half of y shifted left by `shift`, modulo 2^32.
    ///
    /// # Safety
    /// The processor has the instructions of this path.
    unsafe fn lanes(minima: &mut [u32; TILE], first: u32, shingles: &[u64], shift: u32);

    /// The slot that each shingle meets in a round, and its value there, in an order that both share.
    ///
    /// # Safety
    /// The processor has the instructions of this path.
    unsafe fn meetings(shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings);

    /// The minima of some slots, given as factors of the step, and the values they have.
    ///
    /// # Safety
    /// The processor has the instructions of this path.
    #[inline(always)]
    unsafe fn slot_minima<const N: usize>(values: [u32; N], factors: [u32; N], shingles: &[u64]) -> [u32; N] {
        slot_minima_from(0, values, factors, shingles)
    }

    /// Which values are above a limit, bit by bit.
    ///
    /// # Safety
    /// The processor has the instructions of this path.
    #[inline(always)]
    unsafe fn above(values: &[u32; 64], limit: u32) -> u64 {
        let mut is_above = [0; 64];
        for (bit, &value) in is_above.iter_mut().zip(values) {
            *bit = (value > limit) as u8;
        }
        gather_bits(&is_above)
    }
}

/// Slots worked on at once.
pub const TILE: usize = 128;
/// Shingles whose meetings are found at once: they stay in the cache.
pub const CHUNK: usize = 256;

/// Which slots some shingles meet, and with which values.
#[repr(align(64))]
pub struct Meetings {
    pub slots: [u32; CHUNK],
    pub values: [u32; CHUNK],
}

/// Of a shingle whose value in slot 0 lies in stratum `top`: the slot, in its low bits, in which its value lies in stratum `round`.
#[inline(always)]
fn slot_met(round: u32, top: u16, step: u16) -> u16 {
    // Newton: a step is its own inverse modulo 8, and each time the correct bits double; a slot has at most 12.
    let inverse = step.wrapping_mul(2u16.wrapping_sub(step.wrapping_mul(step)));
    let inverse = inverse.wrapping_mul(2u16.wrapping_sub(step.wrapping_mul(inverse)));
    (round as u16).wrapping_sub(top).wrapping_mul(inverse)
}

/// `meetings` of the shingles from a place on, one by one.
#[inline(always)]
fn meetings_from(start: usize, shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings) {
    let shift = 32 - bits;
    let places = meetings.slots.iter_mut().zip(&mut meetings.values).skip(start);
    for (&y, (slot, value)) in shingles[start..].iter().zip(places) {
        *slot = slot_met(round, (y as u32 >> shift) as u16, (y >> 32) as u16 | 1) as u32 & ((1 << bits) - 1);
        *value = (y as u32) << bits >> bits | round << shift;
    }
}

/// `slot_minima` of the shingles from a place on, one by one.
#[inline(always)]
fn slot_minima_from<const N: usize>(start: usize, mut values: [u32; N], factors: [u32; N], shingles: &[u64]) -> [u32; N] {
    for &y in &shingles[start..] {
        for (value, factor) in values.iter_mut().zip(factors) {
            *value = (*value).min((y as u32).wrapping_add(((y >> 32) as u32 | 1).wrapping_mul(factor)));
        }
    }
    values
}

/// The value of slot `first`, and the step from slot to slot.
#[inline(always)]
fn progression(y: u64, first: u32, shift: u32) -> (u32, u32) {
    let step = ((y >> 32) as u32 | 1) << shift;
    ((y as u32).wrapping_add(step.wrapping_mul(first)), step)
}

/// Any processor.
pub struct Portable;

/// ASCII: the case-folded byte of a word character, 0 for a separator.
pub const WORD_BYTE: [u8; 256] = {
    let mut table = [0; 256];
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

/// The places of the set bits of a byte, and how many they are.
const PLACES: [([u8; 8], u8); 256] = {
    let mut table = [([0; 8], 0); 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte].0[table[byte].1 as usize] = bit;
                table[byte].1 += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// Bytes that are 0 or 1, as bits.
#[inline(always)]
fn gather_bits(bytes: &[u8; 64]) -> u64 {
    // The product moves byte i of eight to bit 56 + i, and no two of its terms meet.
    let eighth = |eight: &[u8; 8]| (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8;
    let (eights, _) = bytes.as_chunks::<8>();
    u64::from_le_bytes(std::array::from_fn(|i| eighth(&eights[i])))
}

/// `boundaries` by a function that classifies 64 bytes: (word characters, bytes that are not ASCII), bit by bit.
#[inline(always)]
fn boundaries_by(
    text: &[u8],
    open: bool,
    bytes: &mut Vec<u8>,
    edges: &mut Vec<u32>,
    classify: impl Fn(&[u8; 64], &mut [u8; 64]) -> (u64, u64),
) -> usize {
    let (start, first_edge) = (bytes.len(), edges.len());
    bytes.reserve(text.len() + 64);
    edges.reserve(text.len() + 64);
    let (mut carry, mut read, mut found) = (open as u64, 0, 0);
    while read < text.len() {
        let (mut folded, mut tail) = ([0; 64], [0; 64]);
        let rest = &text[read..];
        let chunk = rest.first_chunk::<64>().unwrap_or_else(|| {
            tail[..rest.len()].copy_from_slice(rest);
            &tail
        });
        let (word, high) = classify(chunk, &mut folded);
        let n = rest.len().min(high.trailing_zeros() as usize);
        let live = if n >= 64 { u64::MAX } else { (1 << n) - 1 };
        let edge = (word ^ (word << 1 | carry)) & live;
        let base = (start + read) as u32;
        // SAFETY: 64 bytes at start + read, where read < text.len(), are within what was reserved, and so are eight places
        // from each first_edge + found on: found is at most read, and has grown by at most 8 when the base grows by 8.
        unsafe {
            bytes.as_mut_ptr().add(start + read).cast::<[u8; 64]>().write(folded);
            for (eighth, byte) in edge.to_le_bytes().into_iter().enumerate() {
                let (places, count) = &PLACES[byte as usize];
                let places = places.map(|place| base + 8 * eighth as u32 + place as u32);
                edges.as_mut_ptr().add(first_edge + found).cast::<[u32; 8]>().write_unaligned(places);
                found += *count as usize;
            }
        }
        read += n.min(64);
        if n < 64 {
            break;
        }
        carry = word >> 63;
    }
    // SAFETY: start + read bytes and first_edge + found edges have been written.
    unsafe {
        bytes.set_len(start + read);
        edges.set_len(first_edge + found);
    }
    read
}

impl Instructions for Portable {
    const FEW: usize = 2;

    #[inline(always)]
    unsafe fn boundaries(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
        boundaries_by(text, open, bytes, edges, |chunk, folded| {
            // Loops without a branch or a table: the compiler has vectors for them.
            let (mut word, mut high) = ([0; 64], [0; 64]);
            for (i, &b) in chunk.iter().enumerate() {
                let f = b + 32 * (b.wrapping_sub(b'A') < 26) as u8;
                folded[i] = f;
                word[i] = (f.wrapping_sub(b'a') < 26) as u8 | (f.wrapping_sub(b'0') < 10) as u8 | (f == b'_') as u8;
                high[i] = b >> 7;
            }
            (gather_bits(&word), gather_bits(&high))
        })
    }

    #[inline(always)]
    unsafe fn meetings(shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings) {
        // In two loops, the second of 16 bits alone: the compiler makes longer vectors of it.
        let (mut tops, mut steps) = ([0; CHUNK], [0; CHUNK]);
        for ((&y, value), (top, step)) in shingles.iter().zip(&mut meetings.values).zip(tops.iter_mut().zip(&mut steps)) {
            *top = (y as u32 >> (32 - bits)) as u16;
            *step = (y >> 32) as u16 | 1;
            *value = (y as u32) << bits >> bits | round << (32 - bits);
        }
        for (slot, (&top, &step)) in meetings.slots.iter_mut().zip(tops.iter().zip(&steps)).take(shingles.len()) {
            *slot = slot_met(round, top, step) as u32 & ((1 << bits) - 1);
        }
    }

    #[inline(always)]
    unsafe fn lanes(minima: &mut [u32; TILE], first: u32, shingles: &[u64], shift: u32) {
        for &y in shingles {
            let (start, step) = progression(y, first, shift);
            let mut values: [u32; 16] = std::array::from_fn(|k| start.wrapping_add(step.wrapping_mul(k as u32)));
            let jump = step.wrapping_mul(16);
            for chunk in minima.chunks_exact_mut(16) {
                for (m, v) in chunk.iter_mut().zip(&mut values) {
                    *m = (*m).min(*v);
                    *v = v.wrapping_add(jump);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86;
