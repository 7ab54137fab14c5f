//! The functions that use intrinsics carry the features themselves: only then does the compiler inline the intrinsics.

use super::{boundaries_by, meetings_from, progression, slot_minima_from, Instructions, Meetings, CHUNK, TILE};
use std::arch::x86_64::*;

/// AVX2 with BMI.
pub struct Avx2;

impl Instructions for Avx2 {
    const FEW: usize = 12;

    #[inline(always)]
    unsafe fn boundaries(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
        // SAFETY: the caller promises AVX2 with BMI.
        unsafe { boundaries_avx2(text, open, bytes, edges) }
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

    #[inline(always)]
    unsafe fn meetings(shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings) {
        // SAFETY: the caller promises AVX2.
        unsafe { meetings_avx2(shingles, round, bits, meetings) }
    }

    #[inline(always)]
    unsafe fn slot_minima<const N: usize>(values: [u32; N], factors: [u32; N], shingles: &[u64]) -> [u32; N] {
        // SAFETY: the caller promises AVX2.
        unsafe { slot_minima_avx2(values, factors, shingles) }
    }

    #[inline(always)]
    unsafe fn above(values: &[u32; 64], limit: u32) -> u64 {
        // SAFETY: the caller promises AVX2.
        unsafe { above_avx2(values, limit) }
    }
}

/// The low and the high halves of eight shingles, in one and the same order.
#[inline]
#[target_feature(enable = "avx2")]
fn halves_avx2(shingles: &[u64; 8]) -> (__m256i, __m256i) {
    // SAFETY: twice four of eight shingles.
    let (a, b) = unsafe { (_mm256_loadu_si256(shingles.as_ptr().cast()), _mm256_loadu_si256(shingles.as_ptr().add(4).cast())) };
    let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    (_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xDD)))
}

/// `meetings`, eight at a time. In every 32 bits the low 16 are those that count.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn meetings_avx2(shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings) {
    assert!(shingles.len() <= CHUNK);
    let (one, two) = (_mm256_set1_epi32(1), _mm256_set1_epi16(2));
    let (mask, stratum) = (_mm256_set1_epi32((1 << bits) - 1), _mm256_set1_epi32((round << (32 - bits)) as i32));
    let (low_bits, rounds) = (_mm256_set1_epi32((u32::MAX >> bits) as i32), _mm256_set1_epi32(round as i32));
    let shift = _mm_cvtsi32_si128(32 - bits as i32);
    let (chunks, _) = shingles.as_chunks::<8>();
    for (i, chunk) in chunks.iter().enumerate() {
        let (h, s) = halves_avx2(chunk);
        let s = _mm256_or_si256(s, one);
        let inverse = _mm256_mullo_epi16(s, _mm256_sub_epi16(two, _mm256_mullo_epi16(s, s)));
        let inverse = _mm256_mullo_epi16(inverse, _mm256_sub_epi16(two, _mm256_mullo_epi16(s, inverse)));
        let slot = _mm256_and_si256(_mm256_mullo_epi16(_mm256_sub_epi16(rounds, _mm256_srl_epi32(h, shift)), inverse), mask);
        let value = _mm256_or_si256(_mm256_and_si256(h, low_bits), stratum);
        // SAFETY: eight places from 8 i on, where 8 i + 8 <= shingles.len() <= CHUNK.
        unsafe {
            _mm256_storeu_si256(meetings.slots.as_mut_ptr().add(8 * i).cast(), slot);
            _mm256_storeu_si256(meetings.values.as_mut_ptr().add(8 * i).cast(), value);
        }
    }
    meetings_from(8 * chunks.len(), shingles, round, bits, meetings);
}

#[inline]
#[target_feature(enable = "avx2")]
fn slot_minima_avx2<const N: usize>(values: [u32; N], factors: [u32; N], shingles: &[u64]) -> [u32; N] {
    let one = _mm256_set1_epi32(1);
    let factor = factors.map(|f| _mm256_set1_epi32(f as i32));
    let mut least = values.map(|v| _mm256_set1_epi32(v as i32));
    let (chunks, _) = shingles.as_chunks::<8>();
    for chunk in chunks {
        let (h, s) = halves_avx2(chunk);
        let s = _mm256_or_si256(s, one);
        for (least, factor) in least.iter_mut().zip(factor) {
            *least = _mm256_min_epu32(*least, _mm256_add_epi32(h, _mm256_mullo_epi32(s, factor)));
        }
    }
    let values = least.map(|v| {
        let v = _mm_min_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        let v = _mm_min_epu32(v, _mm_shuffle_epi32(v, 0b01_00_11_10));
        _mm_cvtsi128_si32(_mm_min_epu32(v, _mm_shuffle_epi32(v, 0b10_11_00_01))) as u32
    });
    slot_minima_from(8 * chunks.len(), values, factors, shingles)
}

#[inline]
#[target_feature(enable = "avx2")]
fn above_avx2(values: &[u32; 64], limit: u32) -> u64 {
    let limit = _mm256_set1_epi32(limit as i32);
    let (mut above, (eights, _)) = (0, values.as_chunks::<8>());
    for (i, eight) in eights.iter().enumerate() {
        // SAFETY: eight of 64 values.
        let v = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
        let at_most = _mm256_cmpeq_epi32(_mm256_max_epu32(v, limit), limit);
        above |= u64::from(!_mm256_movemask_ps(_mm256_castsi256_ps(at_most)) as u8) << (8 * i);
    }
    above
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn boundaries_avx2(text: &[u8], open: bool, bytes: &mut Vec<u8>, edges: &mut Vec<u32>) -> usize {
    boundaries_by(text, open, bytes, edges, |chunk, folded| classify_avx2(chunk, folded))
}

/// Which of 64 bytes are word characters and which are not ASCII, bit by bit; their case folded.
#[inline]
#[target_feature(enable = "avx2")]
fn classify_avx2(chunk: &[u8; 64], folded: &mut [u8; 64]) -> (u64, u64) {
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
    let factors = _mm256_add_epi32(_mm256_set1_epi32(first as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    let (one, shift) = (_mm256_set1_epi32(1), _mm_cvtsi32_si128(shift as i32));
    let place = minima.as_mut_ptr().cast::<__m256i>();
    let mut m = [_mm256_setzero_si256(); 8];
    for (i, m) in m.iter_mut().enumerate() {
        // SAFETY: eight times eight slots are the half tile.
        *m = unsafe { _mm256_loadu_si256(place.add(i)) };
    }
    for y in shingles {
        // SAFETY: a shingle is two halves, the low one first on this architecture.
        let (h, s) = unsafe {
            let halves = std::ptr::from_ref(y).cast::<i32>();
            (_mm256_set1_epi32(*halves), _mm256_set1_epi32(*halves.add(1)))
        };
        let step = _mm256_sll_epi32(_mm256_or_si256(s, one), shift);
        let mut v = _mm256_add_epi32(h, _mm256_mullo_epi32(step, factors));
        let jump = _mm256_slli_epi32(step, 3);
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
    const FEW: usize = 12;

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

    #[inline(always)]
    unsafe fn meetings(shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings) {
        // SAFETY: the caller promises the instructions.
        unsafe { meetings_avx512(shingles, round, bits, meetings) }
    }

    #[inline(always)]
    unsafe fn slot_minima<const N: usize>(values: [u32; N], factors: [u32; N], shingles: &[u64]) -> [u32; N] {
        // SAFETY: the caller promises the instructions.
        unsafe { slot_minima_avx512(values, factors, shingles) }
    }

    #[inline(always)]
    unsafe fn above(values: &[u32; 64], limit: u32) -> u64 {
        // SAFETY: the caller promises the instructions.
        unsafe { above_avx512(values, limit) }
    }
}

/// The low and the high halves of sixteen shingles, in one and the same order.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves_avx512(shingles: &[u64; 16]) -> (__m512i, __m512i) {
    // SAFETY: twice eight of sixteen shingles.
    let (a, b) = unsafe { (_mm512_loadu_si512(shingles.as_ptr().cast()), _mm512_loadu_si512(shingles.as_ptr().add(8).cast())) };
    let (a, b) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
    (_mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88)), _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xDD)))
}

/// `meetings`, sixteen at a time. In every 32 bits the low 16 are those that count.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn meetings_avx512(shingles: &[u64], round: u32, bits: u32, meetings: &mut Meetings) {
    assert!(shingles.len() <= CHUNK);
    let (one, two) = (_mm512_set1_epi32(1), _mm512_set1_epi16(2));
    let (mask, stratum) = (_mm512_set1_epi32((1 << bits) - 1), _mm512_set1_epi32((round << (32 - bits)) as i32));
    let (low_bits, rounds) = (_mm512_set1_epi32((u32::MAX >> bits) as i32), _mm512_set1_epi32(round as i32));
    let shift = _mm_cvtsi32_si128(32 - bits as i32);
    let (chunks, _) = shingles.as_chunks::<16>();
    for (i, chunk) in chunks.iter().enumerate() {
        let (h, s) = halves_avx512(chunk);
        let s = _mm512_or_si512(s, one);
        let inverse = _mm512_mullo_epi16(s, _mm512_sub_epi16(two, _mm512_mullo_epi16(s, s)));
        let inverse = _mm512_mullo_epi16(inverse, _mm512_sub_epi16(two, _mm512_mullo_epi16(s, inverse)));
        let slot = _mm512_and_si512(_mm512_mullo_epi16(_mm512_sub_epi16(rounds, _mm512_srl_epi32(h, shift)), inverse), mask);
        let value = _mm512_or_si512(_mm512_and_si512(h, low_bits), stratum);
        // SAFETY: sixteen places from 16 i on, where 16 i + 16 <= shingles.len() <= CHUNK.
        unsafe {
            _mm512_storeu_si512(meetings.slots.as_mut_ptr().add(16 * i).cast(), slot);
            _mm512_storeu_si512(meetings.values.as_mut_ptr().add(16 * i).cast(), value);
        }
    }
    meetings_from(16 * chunks.len(), shingles, round, bits, meetings);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn slot_minima_avx512<const N: usize>(values: [u32; N], factors: [u32; N], shingles: &[u64]) -> [u32; N] {
    let one = _mm512_set1_epi32(1);
    let factor = factors.map(|f| _mm512_set1_epi32(f as i32));
    let mut least = values.map(|v| _mm512_set1_epi32(v as i32));
    let (chunks, _) = shingles.as_chunks::<16>();
    for chunk in chunks {
        let (h, s) = halves_avx512(chunk);
        let s = _mm512_or_si512(s, one);
        for (least, factor) in least.iter_mut().zip(factor) {
            *least = _mm512_min_epu32(*least, _mm512_add_epi32(h, _mm512_mullo_epi32(s, factor)));
        }
    }
    slot_minima_from(16 * chunks.len(), least.map(|v| _mm512_reduce_min_epu32(v)), factors, shingles)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn above_avx512(values: &[u32; 64], limit: u32) -> u64 {
    let limit = _mm512_set1_epi32(limit as i32);
    let (mut above, (sixteens, _)) = (0, values.as_chunks::<16>());
    for (i, sixteen) in sixteens.iter().enumerate() {
        // SAFETY: sixteen of 64 values.
        let v = unsafe { _mm512_loadu_si512(sixteen.as_ptr().cast()) };
        above |= u64::from(_mm512_cmpgt_epu32_mask(v, limit)) << (16 * i);
    }
    above
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
    let within = |v, low: u8, width: i8| _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(low as i8)), _mm512_set1_epi8(width));
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
