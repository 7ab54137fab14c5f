//! Tokens to token hashes, token hashes to shingle hashes (`words-v1`).

use xxhash_rust::xxh3::xxh3_64_with_seed;

const A: u64 = 0x9E37_79B9_7F4A_7C15;
const B: u64 = 0xE703_7ED1_A0B4_28DB;
const INTEGER: u64 = 0x8EBC_6AF0_9C88_C6E3;
const LENGTH: u64 = 0xD6E8_FEB8_6659_FD93;

/// Readable bytes that must follow the last token of a buffer given to `token_hash`.
pub const PADDING: usize = 16;

/// The finaliser of MurmurHash3: a bijection with full avalanche.
#[inline(always)]
pub fn mix64(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    x ^= x >> 33;
    x = x.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    x ^ x >> 33
}

#[inline(always)]
fn folded_product(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Masks of the first n of 16 bytes, as two words.
const KEEP: [(u64, u64); 17] = {
    let mut keep = [(0, 0); 17];
    let mut n = 0;
    while n <= 16 {
        keep[n].0 = if n >= 8 { u64::MAX } else { (1 << (8 * n)) - 1 };
        keep[n].1 = if n >= 16 {
            u64::MAX
        } else if n <= 8 {
            0
        } else {
            (1 << (8 * (n - 8))) - 1
        };
        n += 1;
    }
    keep
};

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The hash of the token `bytes[start..end]`; `bytes` goes on for PADDING bytes behind it.
#[inline(always)]
pub fn token_hash(bytes: &[u8], start: usize, end: usize, secret: u64) -> u64 {
    let n = end - start;
    if n > 16 {
        return long_token_hash(xxh3_64_with_seed(&bytes[start..end], secret));
    }
    let (low, high) = KEEP[n];
    folded_product(word(bytes, start) & low ^ A ^ n as u64 ^ secret, word(bytes, start + 8) & high ^ B)
}

/// The hash of a token of more than 16 bytes, from its XXH3-64.
#[inline]
pub fn long_token_hash(xxh3: u64) -> u64 {
    mix64(xxh3)
}

/// The hash of a ready token that is text.
pub fn text_token_hash(token: &[u8], secret: u64) -> u64 {
    if token.len() > 16 {
        return long_token_hash(xxh3_64_with_seed(token, secret));
    }
    let mut bytes = [0; 2 * PADDING];
    bytes[..token.len()].copy_from_slice(token);
    token_hash(&bytes, 0, token.len(), secret)
}

/// The hash of a ready token that is an integer.
#[inline]
pub fn integer_token_hash(token: i64, secret: u64) -> u64 {
    folded_product(token as u64 ^ A ^ 8 ^ INTEGER ^ secret, B)
}

#[inline(always)]
fn window(tokens: &[u64]) -> u64 {
    let mut sum = (tokens.len() as u64).wrapping_mul(LENGTH);
    for (j, &t) in tokens.iter().enumerate() {
        sum = sum.wrapping_add(t.rotate_left((13 * j % 64) as u32));
    }
    mix64(sum)
}

/// The hashes of all windows of `size` tokens, appended in order. Fewer tokens than `size` give nothing here.
#[inline(always)]
pub fn windows(tokens: &[u64], size: usize, out: &mut Vec<u64>) {
    if size == 5 {
        out.extend(tokens.windows(5).map(|w| window(w.first_chunk::<5>().unwrap())));
    } else {
        out.extend(tokens.windows(size).map(window));
    }
}

/// The hash of a document shorter than a window: one window of all its tokens.
pub fn whole(tokens: &[u64]) -> u64 {
    window(tokens)
}
