//! SHA-1 (FIPS 180-4), by the crate of that name, and four short messages side by side where the processor has instructions for it.
//!
//! One after another these wait for each other: four at once take a third of the time (docs/adr/0013).

use sha1::block_api::compress;

/// Bytes of a block, and readable bytes that must follow the last message of a buffer.
pub const BLOCK: usize = 64;
/// The longest message that fits into one block with what is put behind it.
const SINGLE: usize = BLOCK - 9;
const INITIAL: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
/// Messages hashed side by side.
const LANES: usize = 4;

#[inline(always)]
fn digest(first: u32, second: u32) -> u64 {
    first.swap_bytes() as u64 | (second.swap_bytes() as u64) << 32
}

/// The first eight bytes of the SHA-1 of a message, as a little-endian number.
pub fn sha1_64(message: &[u8]) -> u64 {
    let mut state = INITIAL;
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    compress(&mut state, blocks);
    let mut last = [[0; BLOCK]; 2];
    last.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
    last.as_flattened_mut()[rest.len()] = 0x80;
    let used = if rest.len() <= SINGLE { 1 } else { 2 };
    last[used - 1][BLOCK - 8..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    compress(&mut state, &last[..used]);
    digest(state[0], state[1])
}

/// `sha1_64` of the messages `bytes[start..end]`, appended to `hashes`. `BLOCK` bytes follow the last.
pub fn hash_all(bytes: &[u8], messages: impl Iterator<Item = (usize, usize)>, hashes: &mut Vec<u64>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1") {
        // SAFETY: the processor has these instructions.
        return unsafe { side_by_side(bytes, messages, hashes) };
    }
    hashes.extend(messages.map(|(start, end)| sha1_64(&bytes[start..end])));
}

/// From the place `BLOCK` - n on: what keeps n bytes of a block, and the bit behind them.
#[cfg(target_arch = "x86_64")]
static KEEP: [u8; 2 * BLOCK] = {
    let mut keep = [0; 2 * BLOCK];
    let mut i = 0;
    while i < BLOCK {
        keep[i] = 0xFF;
        i += 1;
    }
    keep
};
#[cfg(target_arch = "x86_64")]
static BIT: [u8; 2 * BLOCK] = {
    let mut bit = [0; 2 * BLOCK];
    bit[BLOCK] = 0x80;
    bit
};

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn side_by_side(bytes: &[u8], messages: impl Iterator<Item = (usize, usize)>, hashes: &mut Vec<u64>) {
    let (mut blocks, mut places, mut used) = ([[0; BLOCK]; LANES], [0; LANES], 0);
    for (start, end) in messages {
        let n = end - start;
        if n > SINGLE {
            hashes.push(sha1_64(&bytes[start..end]));
            continue;
        }
        let message: &[u8; BLOCK] = bytes[start..].first_chunk().expect("a block of padding");
        let block = &mut blocks[used];
        let ones: &[u8; BLOCK] = KEEP[BLOCK - n..].first_chunk().expect("a block");
        let bit: &[u8; BLOCK] = BIT[BLOCK - n..].first_chunk().expect("a block");
        for i in 0..BLOCK {
            block[i] = message[i] & ones[i] | bit[i];
        }
        block[BLOCK - 2..].copy_from_slice(&(8 * n as u16).to_be_bytes());
        places[used] = hashes.len();
        hashes.push(0);
        used += 1;
        if used == LANES {
            let found = four(&blocks);
            (0..LANES).for_each(|lane| hashes[places[lane]] = found[lane]);
            used = 0;
        }
    }
    let found = four(&blocks);
    (0..used).for_each(|lane| hashes[places[lane]] = found[lane]);
}

/// The beginnings of the digests of four blocks.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn four(blocks: &[[u8; BLOCK]; LANES]) -> [u64; LANES] {
    use std::arch::x86_64::*;
    let big_endian = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0A0B_0C0D_0E0F);
    let [a, b, c, d, e] = INITIAL.map(|word| word as i32);
    let start = _mm_set_epi32(a, b, c, d);
    let mut words = [[_mm_setzero_si128(); 4]; LANES];
    for (words, block) in words.iter_mut().zip(blocks) {
        for (word, sixteen) in words.iter_mut().zip(block.as_chunks::<16>().0) {
            // SAFETY: sixteen bytes are there, wherever they lie.
            *word = _mm_shuffle_epi8(unsafe { _mm_loadu_si128(sixteen.as_ptr().cast()) }, big_endian);
        }
    }
    let (mut state, mut before) = ([start; LANES], [start; LANES]);
    // Four rounds of each: i of 20, by one of four functions.
    macro_rules! rounds {
        ($function:literal: $($i:literal)*) => {$(
            for lane in 0..LANES {
                let w = &mut words[lane];
                if $i >= 4 {
                    let mixed = _mm_xor_si128(_mm_sha1msg1_epu32(w[$i % 4], w[($i + 1) % 4]), w[($i + 2) % 4]);
                    w[$i % 4] = _mm_sha1msg2_epu32(mixed, w[($i + 3) % 4]);
                }
                let sum = if $i == 0 {
                    _mm_add_epi32(_mm_set_epi32(e, 0, 0, 0), w[0])
                } else {
                    _mm_sha1nexte_epu32(before[lane], w[$i % 4])
                };
                before[lane] = state[lane];
                state[lane] = _mm_sha1rnds4_epu32::<$function>(state[lane], sum);
            }
        )*};
    }
    rounds!(0: 0 1 2 3 4);
    rounds!(1: 5 6 7 8 9);
    rounds!(2: 10 11 12 13 14);
    rounds!(3: 15 16 17 18 19);
    state.map(|state| {
        let sum = _mm_add_epi32(state, start);
        digest(_mm_extract_epi32::<3>(sum) as u32, _mm_extract_epi32::<2>(sum) as u32)
    })
}
