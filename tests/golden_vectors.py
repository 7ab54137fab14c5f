"""Writes golden/vectors.json: what `words-v1`, `lattice-v1` and the schemes of datasketch give, from the specification alone.

The file is part of the schemes. Run this only for a scheme of a new name::

    python tests/golden_vectors.py
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from neardup import reference

PATH = Path(__file__).parent / "golden" / "vectors.json"
MASK = 2**64 - 1

TEXTS = [
    "",
    " \t\n--- ...",
    "a",
    "A rose is a rose",
    "The first document, in full, of several words.",
    "The first document, in full, of several WORDS!",
    "sixteen_letters_ seventeen_letters " + "x" * 31 + " " + "yz" * 40,
    "Ünïcödé e\u0301te\u0301 STRASSE straße ﬃ Ⅻ ½ ™ İı",
    "Ἀρχιμήδης ΑΡΧΙΜΉΔΗΣ \u1fb3 α\u0345\u0301",
    "Всё течёт, всё ме\u0308няется; и\u0306 й",
    "السَّلامُ عليكم ٢٠٢٤ ﷺ",
    "שָׁלוֹם עולם \ufb2a \u05e9\u05c1\u05b8",
    "नमस्ते दुनिया। \u0958 க\u0bca க\u0bc6\u0bbe ও\u09be",
    "สวัสดีชาวโลก น้ำ ສະບາຍດີ ຄຳ ជំរាបសួរ မင်္ဂလာပါ",
    "你好，世界 ２０２４年 これはﾃﾞｽか\u3099 안녕하세요 \u1112\u1161\u11ab\uae00",
    "👩‍👩‍👧 👍🏽 ok 5\ufe0f\u20e3 🇫🇷",
    "co\u00adop ze\u200bro \ufeffx\u2060y \u202bz\u202c",
    "nul\x00nul \ud800lone\udfff \ue000 \U0010ffff end",
    "\u0301mark first \u0323\u0301",
    "Ꭰꭰ ᲐᲑა 𐐀𐐨 ǅ ĳ",
    "one two three four five six seven eight nine ten " * 5,
    " ".join(f"w{i * i}" for i in range(700)),
    "z" * 600 + " tail",
]

#: tokens, size, secret
SHINGLINGS = [("words", 5, 0), ("words", 1, 0), ("words", 2, 0x0123456789ABCDEF), ("words", 32, 0), ("chars", 5, 0), ("chars", 13, MASK)]
#: num_perm, seed
SIGNATURES = [(2, 0), (16, 0), (100, 1), (128, 0), (128, MASK), (129, 7), (1000, 0)]
#: bands, rows
BANDINGS = [(21, 6), (42, 3), (12, 10), (1, 128), (128, 1)]
TOKENS: list[list[Any]] = [
    ["a", "b", "a"],
    [0, 1, -1, 2**63 - 1, -(2**63), 255, 65],
    ["", "x" * 8, "x" * 9, "x" * 15, "x" * 16, "x" * 17, "é" * 8, "é" * 9, "中" * 100],
    ["5", 5, "\x05\x00\x00\x00\x00\x00\x00\x00", "\ud800", "\x00"],
]
HASHES = [
    [0],
    [MASK],
    [0, 1, 2**32 - 1, 2**32, 2**63, MASK],
    [k << 32 | 7 for k in range(40)],
    [k * 0x9E3779B97F4A7C15 & MASK for k in range(500)],
]
#: How many distinct shingles, beyond the exact limit too.
COUNTS = [1000, 2**20, 2**20 + 1, 2_500_000]


#: Tokens whose shingles are signed as datasketch signs them, around the block of SHA-1 among them.
SHINGLED: list[list[str]] = [
    [],
    ["a"],
    ["to", "be", "or", "not", "to", "be"],
    ["", "é" * 40, "\ud800", "中文", "x" * 53, "x" * 54, "x" * 55, "x" * 56, "x" * 200, "\x00"],
    [f"token {i}" for i in range(300)],
]
#: A scheme, and the hashes that it takes.
DATASKETCH = {
    "datasketch-affine32": ["sha1", "xxh32"],
    "datasketch-affine64": ["sha1", "xxh32", "xxh64"],
    "datasketch-legacy": ["sha1", "xxh32", "xxh64"],
}
#: num_perm, seed, drawn
DRAWS = [(16, 1, 16), (128, 1, 128), (117, 1, 128), (100, 2**32 - 1, 100)]


def pin(values: Any) -> Any:
    """A list of few integers as it is; of many the length, the first four and the XXH3-128 of all, as little-endian 64 bits."""
    array = np.asarray(values, np.uint64)
    if len(array) <= 8:
        return array.tolist()
    return {"length": len(array), "first": array[:4].tolist(), "xxh3_128": xxhash.xxh3_128_hexdigest(array.astype("<u8").tobytes())}


def document(hashes: Any) -> dict[str, Any]:
    """All that follows from a document's shingle hashes."""
    signature = reference.signature(hashes, 128)
    return {
        "hashes": pin(hashes),
        "count": reference.shingle_count(hashes),
        "verification": pin(reference.verification_hashes(hashes)),
        "signatures": [[k, seed, pin(reference.signature(hashes, k, seed))] for k, seed in SIGNATURES],
        "band_keys": [[bands, rows, pin(reference.band_keys(signature, bands, rows))] for bands, rows in BANDINGS],
        "set_hash": reference.set_hash(reference.verification_hashes(hashes), reference.band_keys(signature, *BANDINGS[0])),
    }


def text_vector(text: str) -> dict[str, Any]:
    """A text, its tokens, and for several shinglings its hashes; all that follows from the first of them."""
    tokens = {"words": reference.words(text), "chars": reference.chars(text)}
    hashes = [reference.shingle_hashes(tokens[kind], size, secret) for kind, size, secret in SHINGLINGS]
    return {
        "text": text.encode("utf-8", "surrogatepass").hex(),
        "words": tokens["words"],
        "chars": "".join(tokens["chars"]),
        "shinglings": [[*shingling, pin(h)] for shingling, h in zip(SHINGLINGS, hashes, strict=True)],
        "document": document(hashes[0]),
    }


def datasketch_vector(tokens: list[str], size: int, scheme: str, token_hash: str) -> dict[str, Any]:
    """Tokens, and the signatures of their shingles by a scheme of datasketch, and what follows from the first long one."""
    shingles = reference.shingle_bytes(tokens, size)
    signatures = [[*draw, reference.datasketch_signature(shingles, scheme, draw[0], draw[1], token_hash, draw[2])] for draw in DRAWS]
    return {
        "tokens": [token.encode("utf-8", "surrogatepass").hex() for token in tokens],
        "size": size,
        "scheme": scheme,
        "token_hash": token_hash,
        "signatures": [[*draw, pin(values)] for *draw, values in signatures],
        "band_keys": pin(reference.band_keys(signatures[1][3], 16, 8)),
        "lean": pin(reference.lean_signature(signatures[1][3])),
    }


def counted(n: int) -> Any:
    """Hashes of ``n`` distinct shingles: mix64 of 0 to n - 1."""
    x = np.arange(n, dtype=np.uint64)
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> np.uint64(33)) * np.uint64(multiplier)
    return x ^ x >> np.uint64(33)


@cache
def vectors() -> dict[str, Any]:
    """Everything that is pinned."""
    hash_sets = [np.unique(np.array(hashes, np.uint64)) for hashes in HASHES]
    return {
        "texts": [text_vector(text) for text in TEXTS],
        "tokens": [
            {"tokens": tokens, "secret": secret, "hashes": [reference.token_hash(token, secret) for token in tokens]}
            for tokens in TOKENS
            for secret in (0, 1, MASK)
        ],
        "hashes": [document(hashes) for hashes in hash_sets],
        "datasketch": [
            datasketch_vector(tokens, size, scheme, token_hash)
            for scheme, hashes in DATASKETCH.items()
            for token_hash in hashes
            for tokens, size in zip(SHINGLED, (1, 1, 2, 1, 3), strict=True)
        ],
        "row_orders": [[k, pin(reference.row_order(k))] for k in (2, 3, 16, 100, 128, 1000, 4096)],
        "counts": [[n, reference.shingle_count(counted(n))] for n in COUNTS],
        "least_intersections": [
            [n, m, threshold, reference.least_intersection(n, m, threshold)]
            for threshold in (0.5, 2 / 3, 0.7, 0.8, 28 / 35, 0.9, 1.0)
            for n, m in ((0, 0), (0, 5), (1, 1), (35, 28), (28, 35), (100, 100), (100, 79), (1000, 900), (5, 1000))
        ],
    }


def render() -> str:
    """The file: JSON, a line for each vector."""
    sections = (f'"{name}": [\n' + ",\n".join(map(json.dumps, items)) + "\n]" for name, items in vectors().items())
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="ascii")
