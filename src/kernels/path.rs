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
        #[allow(unused_mut)]
        let mut paths = vec![Path::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt")
            {
                paths.push(Path::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
                {
                    paths.push(Path::Avx512);
                }
            }
        }
        paths
    }

    pub fn name(self) -> &'static str {
        match self {
            Path::Portable => "portable",
            Path::Avx2 => "avx2",
            Path::Avx512 => "avx512",
        }
    }
}

/// What the paths do differently.
pub trait Instructions {
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
}

/// Slots worked on at once.
pub const TILE: usize = 128;

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

/// The places of the set bits of `mask`, from `base` on, appended.
#[inline(always)]
fn append_bits(mut mask: u64, base: u32, edges: &mut Vec<u32>) {
    while mask != 0 {
        edges.push(base + mask.trailing_zeros());
        mask &= mask - 1;
    }
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
    let mut carry = open as u64;
    let mut read = 0;
    while read < text.len() {
        let base = bytes.len() as u32;
        let mut folded = [0; 64];
        let rest = &text[read..];
        let (word, high, n) = match rest.first_chunk::<64>() {
            Some(chunk) => {
                let (word, high) = classify(chunk, &mut folded);
                (word, high, 64)
            }
            None => {
                let mut chunk = [0; 64];
                chunk[..rest.len()].copy_from_slice(rest);
                let (word, high) = classify(&chunk, &mut folded);
                (word, high, rest.len())
            }
        };
        let n = n.min(high.trailing_zeros() as usize);
        let live = if n == 64 { u64::MAX } else { (1 << n) - 1 };
        append_bits((word ^ (word << 1 | carry)) & live, base, edges);
        bytes.extend_from_slice(&folded);
        bytes.truncate(base as usize + n);
        if n > 0 {
            carry = word >> (n - 1) & 1;
        }
        read += n;
        if n < 64 {
            break;
        }
    }
    read
}

impl Instructions for Portable {
    #[inline(always)]
    unsafe fn boundaries(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
        boundaries_by(text, open, bytes, edges, |chunk, folded| {
            let (mut word, mut high) = (0, 0);
            for (i, (&b, f)) in chunk.iter().zip(folded).enumerate() {
                *f = WORD_BYTE[b as usize];
                word |= ((*f != 0) as u64) << i;
                high |= (b as u64 >> 7) << i;
            }
            (word, high)
        })
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
mod x86 {
    //! The functions that use intrinsics carry the features themselves: only then does the compiler inline the intrinsics.

    use super::{boundaries_by, progression, Instructions, TILE};
    use std::arch::x86_64::*;

    /// AVX2 with BMI.
    pub struct Avx2;

    impl Instructions for Avx2 {
        #[inline(always)]
        unsafe fn boundaries(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
            // SAFETY: the caller promises AVX2.
            boundaries_by(text, open, bytes, edges, |chunk, folded| unsafe { classify_avx2(chunk, folded) })
        }

        #[inline(always)]
        unsafe fn lanes(minima: &mut [u32; TILE], first: u32, shingles: &[u64], shift: u32) {
            let (low, high) = minima.split_at_mut(TILE / 2);
            // SAFETY: the caller promises AVX2; each half has TILE / 2 slots.
            unsafe {
                lanes_avx2(low, first, shingles, shift);
                lanes_avx2(high, first + (TILE / 2) as u32, shingles, shift);
            }
        }
    }

    /// Which of 64 bytes are word characters and which are not ASCII, bit by bit; their case folded.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn classify_avx2(chunk: &[u8; 64], folded: &mut [u8; 64]) -> (u64, u64) {
        let (mut words, mut highs) = (0, 0);
        for i in [0, 32] {
            // SAFETY: 32 of 64 bytes from 0 or 32 on.
            let v = unsafe { _mm256_loadu_si256(chunk.as_ptr().add(i).cast()) };
            // Signed comparison of bytes moved to the bottom of the signed range is unsigned comparison.
            let within = |v, low: u8, width: u8| {
                let moved = _mm256_sub_epi8(v, _mm256_set1_epi8((low ^ 0x80) as i8));
                _mm256_cmpgt_epi8(_mm256_set1_epi8((width ^ 0x80) as i8), moved)
            };
            let v = _mm256_add_epi8(v, _mm256_and_si256(within(v, b'A', 26), _mm256_set1_epi8(32)));
            let underscore = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(b'_' as i8));
            let word = _mm256_or_si256(_mm256_or_si256(within(v, b'a', 26), within(v, b'0', 10)), underscore);
            // SAFETY: 32 of 64 bytes from 0 or 32 on.
            unsafe { _mm256_storeu_si256(folded.as_mut_ptr().add(i).cast(), v) };
            words |= (_mm256_movemask_epi8(word) as u32 as u64) << i;
            highs |= (_mm256_movemask_epi8(v) as u32 as u64) << i;
        }
        (words, highs)
    }

    /// `lanes` for half a tile: eight accumulators stay in registers.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn lanes_avx2(minima: &mut [u32], first: u32, shingles: &[u64], shift: u32) {
        assert_eq!(minima.len(), TILE / 2);
        let iota = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let place = minima.as_mut_ptr().cast::<__m256i>();
        let mut m = [_mm256_setzero_si256(); 8];
        for (i, m) in m.iter_mut().enumerate() {
            // SAFETY: eight times eight slots are the half tile.
            *m = unsafe { _mm256_loadu_si256(place.add(i)) };
        }
        for &y in shingles {
            let (start, step) = progression(y, first, shift);
            let mut v = _mm256_add_epi32(_mm256_set1_epi32(start as i32), _mm256_mullo_epi32(_mm256_set1_epi32(step as i32), iota));
            let jump = _mm256_set1_epi32((step << 3) as i32);
            for m in &mut m {
                *m = _mm256_min_epu32(*m, v);
                v = _mm256_add_epi32(v, jump);
            }
        }
        for (i, m) in m.into_iter().enumerate() {
            // SAFETY: eight times eight slots are the half tile.
            unsafe { _mm256_storeu_si256(place.add(i), m) };
        }
    }

    /// AVX-512 with BW, DQ, VL, VBMI and VBMI2.
    pub struct Avx512;

    impl Instructions for Avx512 {
        #[inline(always)]
        unsafe fn boundaries(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
            // SAFETY: the caller promises the instructions.
            unsafe { boundaries_avx512(text, open, bytes, edges) }
        }

        #[inline(always)]
        unsafe fn lanes(minima: &mut [u32; TILE], first: u32, shingles: &[u64], shift: u32) {
            // SAFETY: the caller promises the instructions.
            unsafe { lanes_avx512(minima, first, shingles, shift) }
        }
    }

    const IOTA: [u8; 64] = {
        let mut iota = [0; 64];
        let mut i = 0;
        while i < 64 {
            iota[i] = i as u8;
            i += 1;
        }
        iota
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
    unsafe fn boundaries_avx512(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
        let (start, first_edge) = (bytes.len(), edges.len());
        bytes.reserve(text.len() + 64);
        edges.reserve(text.len() + 128);
        let (mut carry, mut read, mut found) = (open as u64, 0, 0);
        // SAFETY: IOTA has 64 bytes.
        let iota = unsafe { _mm512_loadu_si512(IOTA.as_ptr().cast()) };
        let within =
            |v, low: u8, width: i8| _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(low as i8)), _mm512_set1_epi8(width));
        while read < text.len() {
            let rest = text.len() - read;
            let mut n = rest.min(64);
            let mut live = u64::MAX >> (64 - n);
            // SAFETY: the load is masked to the text.
            let v = unsafe { _mm512_maskz_loadu_epi8(live, text.as_ptr().add(read).cast()) };
            let high = _mm512_movepi8_mask(v);
            let v = _mm512_mask_add_epi8(v, within(v, b'A', 26), v, _mm512_set1_epi8(32));
            let word = within(v, b'a', 26) | within(v, b'0', 10) | _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(b'_' as i8));
            if high != 0 {
                n = high.trailing_zeros() as usize;
                live = (1 << n) - 1;
            }
            let edge = (word ^ (word << 1 | carry)) & live;
            let count = edge.count_ones() as usize;
            let places = _mm512_maskz_compress_epi8(edge, iota);
            let base = _mm512_set1_epi32((start + read) as i32);
            // SAFETY: 64 bytes at start + read, where read < text.len(), and at most 64 edges at first_edge + found, where
            // found <= read, are within what was reserved.
            unsafe {
                _mm512_storeu_si512(bytes.as_mut_ptr().add(start + read).cast(), v);
                let out = edges.as_mut_ptr().add(first_edge + found).cast::<__m512i>();
                let quarter = |lanes| _mm512_add_epi32(base, _mm512_cvtepu8_epi32(lanes));
                _mm512_storeu_si512(out, quarter(_mm512_castsi512_si128(places)));
                _mm512_storeu_si512(out.add(1), quarter(_mm512_extracti32x4_epi32(places, 1)));
                if count > 32 {
                    _mm512_storeu_si512(out.add(2), quarter(_mm512_extracti32x4_epi32(places, 2)));
                    _mm512_storeu_si512(out.add(3), quarter(_mm512_extracti32x4_epi32(places, 3)));
                }
            }
            found += count;
            read += n;
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

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn lanes_avx512(minima: &mut [u32; TILE], first: u32, shingles: &[u64], shift: u32) {
        let iota = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let place = minima.as_mut_ptr().cast::<__m512i>();
        let mut m = [_mm512_setzero_si512(); 8];
        for (i, m) in m.iter_mut().enumerate() {
            // SAFETY: eight times sixteen slots are the tile.
            *m = unsafe { _mm512_loadu_si512(place.add(i)) };
        }
        for &y in shingles {
            let (start, step) = progression(y, first, shift);
            let mut v = _mm512_add_epi32(_mm512_set1_epi32(start as i32), _mm512_mullo_epi32(_mm512_set1_epi32(step as i32), iota));
            let jump = _mm512_set1_epi32((step << 4) as i32);
            for m in &mut m {
                *m = _mm512_min_epu32(*m, v);
                v = _mm512_add_epi32(v, jump);
            }
        }
        for (i, m) in m.into_iter().enumerate() {
            // SAFETY: eight times sixteen slots are the tile.
            unsafe { _mm512_storeu_si512(place.add(i), m) };
        }
    }
}
