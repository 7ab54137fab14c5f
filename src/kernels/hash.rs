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

/// The 32-bit finaliser of MurmurHash3.
#[inline(always)]
pub fn mix32(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x85EB_CA6B);
    x ^= x >> 13;
    x = x.wrapping_mul(0xC2B2_AE35);
    x ^ x >> 16
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

/// The hashes of the tokens whose places are `edges`, beginning and end alternately, appended to `out`. `bytes` goes on for
/// PADDING bytes behind the last token; a last beginning without an end is left.
#[inline(always)]
pub fn token_hashes(bytes: &[u8], edges: &[u32], secret: u64, out: &mut Vec<u64>) {
    let last = edges.get((edges.len() & !1).wrapping_sub(1)).map_or(0, |&end| end as usize);
    assert!(edges.is_empty() || last + PADDING <= bytes.len());
    let at = out.len();
    out.resize(at + edges.len() / 2, 0);
    for (edge, hash) in edges.chunks_exact(2).zip(&mut out[at..]) {
        let (start, end) = (edge[0] as usize, edge[1] as usize);
        let n = end.wrapping_sub(start);
        *hash = if n <= 16 && end <= last {
            // SAFETY: start <= end <= last, and PADDING more bytes can be read behind last.
            let word = |i: usize| u64::from_le(unsafe { bytes.as_ptr().add(i).cast::<u64>().read_unaligned() });
            let (low, high) = KEEP[n];
            folded_product(word(start) & low ^ A ^ n as u64 ^ secret, word(start + 8) & high ^ B)
        } else {
            long_token_hash(xxh3_64_with_seed(&bytes[start..end], secret))
        };
    }
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
    let mut bytes = [0; 16];
    bytes[..token.len()].copy_from_slice(token);
    let [low, high] = [0, 8].map(|i| u64::from_le_bytes(bytes[i..i + 8].try_into().unwrap()));
    folded_product(low ^ A ^ token.len() as u64 ^ secret, high ^ B)
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
    let n = (tokens.len() + 1).saturating_sub(size);
    let at = out.len();
    out.resize(at + n, 0);
    let out = &mut out[at..];
    if size == 5 {
        let t: [&[u64]; 5] = std::array::from_fn(|j| &tokens[if n > 0 { j } else { 0 }..][..n]);
        for (i, hash) in out.iter_mut().enumerate() {
            *hash = window(&[t[0][i], t[1][i], t[2][i], t[3][i], t[4][i]]);
        }
    } else {
        for (hash, w) in out.iter_mut().zip(tokens.windows(size)) {
            *hash = window(w);
        }
    }
}

/// The hash of a document shorter than a window: one window of all its tokens.
pub fn whole(tokens: &[u64]) -> u64 {
    window(tokens)
}
