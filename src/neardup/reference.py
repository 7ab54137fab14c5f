"""The specification: every kernel again in plain Python, numpy and xxhash. Slow and obvious on purpose.

`words-v1` turns text into shingle hashes, `lattice-v1` turns shingle hashes into signatures, `datasketch-affine32`,
`datasketch-affine64` and `datasketch-legacy` turn shingles into those of datasketch; the kernels of ``neardup._kernels`` agree
with this module bit for bit. Read it from top to bottom: it is the order in which data flows.

The character data are Python's own (:data:`unicodedata.unidata_version`); the kernels' tables are pinned to Unicode 15.0.
The two agree on every code point that both versions assign.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

Token = str | int
HashArray = npt.NDArray[np.uint64]

MASK = 2**64 - 1


def mix64(x: int) -> int:
    """The 64-bit finaliser of MurmurHash3: a bijection with full avalanche."""
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & MASK
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


def mix32(x: int) -> int:
    """The 32-bit finaliser of MurmurHash3."""
    x ^= x >> 16
    x = x * 0x85EBCA6B & 0xFFFFFFFF
    x ^= x >> 13
    x = x * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ x >> 16


def rotate_left(x: int, r: int) -> int:
    """Rotate a 64-bit number left by ``r`` bits, 0 to 63."""
    return (x << r | x >> 64 - r) & MASK if r else x


# ---- text -> tokens (words-v1) ---------------------------------------------------------------------------------------

#: Scripts written without spaces between words: every base character is a token of its own. Hangul is spaced.
UNSPACED = [
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),  # Myanmar and its extensions
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0xAA80, 0xAADF),  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    (0x1B00, 0x1B7F), (0xA980, 0xA9DF),  # Balinese, Javanese
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x3035), (0x3038, 0x303C),  # Han: radicals, marks, numerals
    (0x3041, 0x30FF), (0x3100, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF),  # kana, bopomofo
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF), (0xF900, 0xFAFF),  # Han, Yi
    (0x1AFF0, 0x1B16F), (0x20000, 0x323AF),  # kana extensions, Han extensions
]  # fmt: skip

#: Default_Ignorable_Code_Point (Unicode 14 to 16 agree on these ranges).
IGNORABLE = [
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F),
    (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
]  # fmt: skip


def within(ranges: Iterable[tuple[int, int]], point: int) -> bool:
    """Whether a code point lies in one of the closed ranges."""
    return any(first <= point <= last for first, last in ranges)


def normalize(text: str) -> str:
    """Case folding and compatibility composition, twice, then no invisible characters.

    Once is not closed: 637 code points would keep a capital.
    """
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text.casefold())
    return "".join(c for c in text if not within(IGNORABLE, ord(c)))


def is_word(c: str) -> bool:
    """Whether a character belongs to a word: a letter, mark, number or underscore."""
    return unicodedata.category(c)[0] in "LMN" or c == "_"


def words(text: str) -> list[str]:
    """The tokens of ``tokens="words"``.

    Maximal runs of word characters; in unspaced scripts each base character with the marks that follow it. Everything
    else separates, lone surrogates included. A mark with no token before it starts one.
    """
    tokens, current, single = [], "", False
    for c in normalize(text):
        if unicodedata.category(c)[0] == "M" and current:
            current += c
        elif is_word(c):
            unspaced = within(UNSPACED, ord(c))
            if current and (unspaced or single):
                tokens.append(current)
                current = ""
            current += c
            single = unspaced
        else:
            if current:
                tokens.append(current)
            current = ""
    return [*tokens, current] if current else tokens


def chars(text: str) -> list[str]:
    """The tokens of ``tokens="chars"``: the characters of the words, and one space where separators stood between two."""
    tokens: list[str] = []
    pending = False
    for c in normalize(text):
        if is_word(c):
            if pending and tokens:
                tokens.append(" ")
            tokens.append(c)
            pending = False
        else:
            pending = True
    return tokens


# ---- tokens -> shingle hashes ----------------------------------------------------------------------------------------

A, B, INTEGER, LENGTH = 0x9E3779B97F4A7C15, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0xD6E8FEB86659FD93


def token_hash(token: Token, secret: int = 0) -> int:
    """Up to 16 bytes: one folded 64 x 64 -> 128 bit multiplication; longer: XXH3-64.

    An integer is its 8 little-endian bytes (signed), told apart from text.
    """
    if isinstance(token, int):
        data, kind = token.to_bytes(8, "little", signed=True), INTEGER
    else:
        data, kind = token.encode("utf-8", "surrogatepass"), 0
    if len(data) > 16:
        return mix64(xxhash.xxh3_64_intdigest(data, seed=secret) ^ kind)
    low, high = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    product = ((low ^ A ^ len(data) ^ kind ^ secret) & MASK) * ((high ^ B) & MASK)
    return (product & MASK) ^ (product >> 64)


def shingle_windows(tokens: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Every window of ``size`` tokens (1 to 32), in order; one of them all when there are fewer; none without tokens."""
    n = min(size, len(tokens))
    return [tokens[i : i + n] for i in range(len(tokens) - n + 1)] if n else []


def shingle_hashes(tokens: Sequence[Token], size: int = 5, secret: int = 0) -> HashArray:
    """The distinct shingle hashes, sorted.

    A window's hash is mix64 of the sum of its token hashes, the j-th rotated by 13 j, plus its length times LENGTH.
    """
    found = set()
    for window in shingle_windows([token_hash(t, secret) for t in tokens], size):
        total = sum(rotate_left(h, 13 * j % 64) for j, h in enumerate(window))
        found.add(mix64((total + len(window) * LENGTH) & MASK))
    return np.array(sorted(found), np.uint64)


COUNT_LIMIT = 2**20


def shingle_count(hashes: HashArray) -> int:
    """How many distinct shingles: exact up to 2^20, above that estimated within about 0.1 % in constant memory.

    Adaptive sampling (Flajolet 1990): the smallest level at which at most COUNT_LIMIT hashes begin with that many zero
    bits; their number, times 2 to the level.
    """
    level = 0
    while (kept := sum(int(y) >> 64 - level == 0 for y in hashes) if level else len(hashes)) > COUNT_LIMIT:
        level += 1
    return kept << level


# ---- shingle hashes -> signature (lattice-v1) ------------------------------------------------------------------------

SEED = 0x9FB21C651E98DF25


def signature(hashes: HashArray, num_perm: int = 128, seed: int = 0) -> npt.NDArray[np.uint32]:
    """The minima of ``num_perm`` (2 to 4096) slots, uint32.

    Seed 0 takes the shingle hash as it is. No shingle gives all 0xFFFFFFFF, and emptiness is read from the count.
    """
    g = (num_perm - 1).bit_length()
    out = [2**32 - 1] * num_perm
    for y in map(int, hashes):
        if seed:
            y = mix64(y ^ (seed * SEED & MASK))  # noqa: PLW2901
        h, s = y & 0xFFFFFFFF, ((y >> 32 | 1) << 32 - g) & 0xFFFFFFFF
        for k in range(num_perm):
            out[k] = min(out[k], h + k * s & 0xFFFFFFFF)
    return np.array(out, np.uint32)


# ---- shingles -> signature, as datasketch computes it ----------------------------------------------------------------

Values = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
#: The prime of `datasketch-legacy`.
PRIME = 2**61 - 1


def shingle_bytes(tokens: Sequence[str | bytes], size: int = 5, *, chars: bool = False) -> set[bytes]:
    """The distinct shingles as bytes: words are joined by one space, characters by nothing."""
    ready = [token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass") for token in tokens]
    return {(b"" if chars else b" ").join(window) for window in shingle_windows(ready, size)}


def datasketch_hash(shingle: bytes, scheme: str, token_hash: str = "sha1") -> int:
    """The hash of a shingle: the first bytes of SHA-1, little-endian, as many as the scheme has; or that of xxHash with seed 0.

    `datasketch-affine32` takes none of 64 bits.
    """
    if token_hash == "sha1":
        return int.from_bytes(hashlib.sha1(shingle).digest()[: 8 if scheme == "datasketch-affine64" else 4], "little")  # noqa: S324
    return xxhash.xxh32_intdigest(shingle) if token_hash == "xxh32" else xxhash.xxh64_intdigest(shingle)


def datasketch_slots(scheme: str, num_perm: int, seed: int) -> list[tuple[int, int]]:
    """The numbers a and b of each slot, drawn from numpy's RandomState: of affine schemes all a first, then all b."""
    generator = np.random.RandomState(seed)
    if scheme == "datasketch-legacy":
        drawn = [generator.randint(least, PRIME, dtype=np.uint64) for _ in range(num_perm) for least in (1, 0)]
        return [(int(a), int(b)) for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
    width, dtype = (32, np.uint32) if scheme == "datasketch-affine32" else (64, np.uint64)
    a = [2 * int(x) + 1 for x in generator.randint(0, 2 ** (width - 1), num_perm, dtype)]
    return list(zip(a, map(int, generator.randint(0, 2**width, num_perm, dtype)), strict=True))


def datasketch_signature(
    shingles: Iterable[bytes], scheme: str, num_perm: int = 128, seed: int = 1, token_hash: str = "sha1", drawn: int | None = None
) -> Values:
    """The minima: uint64 for `datasketch-affine64`, uint32 for the others. No shingle gives the largest value everywhere.

    These are the first ``num_perm`` of ``drawn`` slots.
    """
    width, dtype = (64, np.uint64) if scheme == "datasketch-affine64" else (32, np.uint32)
    hashes = [datasketch_hash(shingle, scheme, token_hash) for shingle in shingles]
    out = []
    for a, b in datasketch_slots(scheme, drawn or num_perm, seed)[:num_perm]:
        least = 2**width - 1
        for h in hashes:
            if scheme == "datasketch-affine32":
                value = a * mix32(h) + b & 0xFFFFFFFF
            elif scheme == "datasketch-affine64":
                value = a * mix64(h) + b & MASK
            else:
                value = (a * h + b & MASK) % PRIME & 0xFFFFFFFF
            least = min(least, value)
        out.append(least)
    values: Any = np.array(out, dtype)
    return values  # type: ignore[no-any-return]


# ---- what signatures say of each other -------------------------------------------------------------------------------


def matching_slots(a: Values, b: Values) -> int:
    """In how many slots two signatures agree; over their number it estimates the Jaccard similarity."""
    return sum(int(x) == int(y) for x, y in zip(a, b, strict=True))


CHANCE = 1 / 256


def lean_signature(values: Values) -> npt.NDArray[np.uint8]:
    """A signature at 8 bits a slot. All slots of one shingle share low bits, so each goes through a mix of its own first."""
    if values.dtype == np.uint64:
        return np.array([mix64(int(value) ^ mix64(k)) >> 56 for k, value in enumerate(values)], np.uint8)
    return np.array([mix32(int(value) ^ mix64(k) & 0xFFFFFFFF) >> 24 for k, value in enumerate(values)], np.uint8)


def estimated_similarity(equal: int, slots: int, n: int, m: int) -> float:
    """The similarity of which ``equal`` slots of two lean signatures speak; sets of ``n`` and ``m`` have at most their ratio.

    Two unlike slots agree in their 8 bits once in 256 times.
    """
    return min(max((equal / slots - CHANCE) / (1 - CHANCE), 0.0), min(n, m) / max(n, m))


# ---- signature -> band keys ------------------------------------------------------------------------------------------


def row_order(num_perm: int) -> list[int]:
    """The slots in the frozen order in which bands take their rows: by (mix64(slot), slot)."""
    return sorted(range(num_perm), key=lambda k: (mix64(k), k))


def band_keys(values: Values, bands: int, rows: int) -> HashArray:
    """One key a band: XXH3-64 of its rows' little-endian bytes, seeded with the band's number."""
    order = row_order(len(values))
    return np.array(
        [
            xxhash.xxh3_64_intdigest(values[order[b * rows : (b + 1) * rows]].astype(f"<u{values.itemsize}").tobytes(), seed=b)
            for b in range(bands)
        ],
        np.uint64,
    )


# ---- verification ----------------------------------------------------------------------------------------------------


def verification_hashes(hashes: HashArray) -> npt.NDArray[np.uint32]:
    """What every engine and store compares: the high halves of the shingle hashes, distinct and sorted."""
    return np.array(sorted({int(y) >> 32 for y in hashes}), np.uint32)


def intersection(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> int:
    """How many verification hashes two documents share."""
    return len(set(a.tolist()) & set(b.tolist()))


def similarity(both: int, n: int, m: int) -> float:
    """Jaccard similarity of sets of ``n`` and ``m`` that share ``both``; 0 when both are empty."""
    return both / (n + m - both) if n + m else 0.0


def jaccard(a: HashArray, b: HashArray) -> float:
    """Jaccard similarity of two documents' shingle hashes, exactly as matches are scored."""
    a32, b32 = verification_hashes(a), verification_hashes(b)
    return similarity(intersection(a32, b32), len(a32), len(b32))


def least_intersection(n: int, m: int, threshold: float) -> int:
    """The smallest intersection at which sets of ``n`` and ``m`` match, or min(n, m) + 1 where none does.

    Found from the predicate itself, never by rounding a product: 28 / 35 >= 0.8 although 0.8 * 35 > 28 in floating point.
    """
    return next((both for both in range(1, min(n, m) + 1) if similarity(both, n, m) >= threshold), min(n, m) + 1)


def set_hash(evidence: npt.NDArray[np.uint32], keys: HashArray) -> int:
    """The name by which documents of one shingle set find each other: XXH3-64 of what is stored, seeded by the band keys.

    Stored are the verification hashes, or the lean signature, four slots to a little-endian word, the last filled with 0.
    """
    seed = xxhash.xxh3_64_intdigest(keys.astype("<u8").tobytes())
    return xxhash.xxh3_64_intdigest(evidence.astype("<u4").tobytes(), seed=seed)


# ---- legibility ------------------------------------------------------------------------------------------------------


def legibility(hashes: npt.NDArray[np.uint32], corpus: Sequence[npt.NDArray[np.uint32]]) -> float:
    """How much of a document was read rightly: the share of its hashes that the corpus knows, over that of its clearest tenth.

    Known are the hashes that three documents of different shingle sets have, and of many documents one in 1,000.
    """
    least = max(3, -(-len(corpus) // 1000))
    counts: dict[int, int] = {}
    for one in corpus:
        for h in one.tolist():
            counts[h] = counts.get(h, 0) + 1

    def share(one: npt.NDArray[np.uint32]) -> float:
        return sum(counts.get(h, 0) >= least for h in one.tolist()) / len(one)

    shares = sorted(share(one) for one in corpus)
    clearest = shares[int(0.9 * (len(shares) - 1))]
    return min(max(share(hashes) / clearest, 0.15), 1.0) if clearest >= 0.25 else 1.0


def corrected_similarity(both: int, n: int, m: int, legible: float, other: float) -> float:
    """The similarity of documents of ``n`` and ``m`` shingles that share ``both``, had they been read rightly."""
    low, high = min(n, m), max(n, m)
    return float(min(both / np.sqrt(low * 1.0 * high) / (legible * other) * (low / high), 1.0))


# ---- rarity ----------------------------------------------------------------------------------------------------------


def rarity(documents: int, having: int) -> int:
    """What a shingle weighs, in sixteenths of a bit, that some of the documents have."""
    return max(round(16 * float(np.log2((documents + 4) / max(having, 4)))), 1)


def weighted_similarity(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], corpus: Sequence[npt.NDArray[np.uint32]]) -> float:
    """The weight of what two documents share, over that of what either has; a corpus of different shingle sets says it."""

    def weight(hashes: set[int]) -> int:
        return sum(rarity(len(corpus), sum(h in one for one in corpus)) for h in hashes)

    x, y = set(a.tolist()), set(b.tolist())
    return weight(x & y) / weight(x | y)
