"""Hypothesis strategies, and what several test modules ask of the kernels.

``HYPOTHESIS_PROFILE=storm`` runs 100,000 examples of every property that does not set its own number.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from neardup import _kernels, reference
from neardup.reference import MASK, UNSPACED, Token

HashArray = npt.NDArray[np.uint64]

settings.register_profile("storm", deadline=None, max_examples=100_000, suppress_health_check=list(HealthCheck))
if "HYPOTHESIS_PROFILE" in os.environ:
    settings.load_profile(os.environ["HYPOTHESIS_PROFILE"])

# ---- code points -----------------------------------------------------------------------------------------------------

#: Assigned after Unicode 15.0, up to 18.0: a newer Python knows them, the kernels do not.
NEWER = [
    (0x558, 0x558), (0x58B, 0x58C), (0x5C8, 0x5C9), (0x88F, 0x88F), (0x897, 0x897), (0xB53, 0xB54), (0xC5C, 0xC5C), (0xCDC, 0xCDC),
    (0x1ACF, 0x1AF0), (0x1B4E, 0x1B4F), (0x1B7F, 0x1B7F), (0x1C89, 0x1C8A), (0x208F, 0x208F), (0x209D, 0x209F), (0x20C1, 0x20C4),
    (0x2427, 0x2429), (0x2B96, 0x2B96), (0x2E60, 0x2E63), (0x2FFC, 0x2FFF), (0x31E4, 0x31E5), (0x31EF, 0x31EF), (0xA7CB, 0xA7CF),
    (0xA7D2, 0xA7D2), (0xA7D4, 0xA7D4), (0xA7DA, 0xA7DD), (0xA7E2, 0xA7E2), (0xA7F1, 0xA7F1), (0xAB6C, 0xAB6D), (0xFBC3, 0xFBD2),
    (0xFD90, 0xFD91), (0xFDC8, 0xFDCE), (0x105C0, 0x105F3), (0x107BB, 0x107BF), (0x10940, 0x10959), (0x10D40, 0x10D65),
    (0x10D69, 0x10D85), (0x10D8E, 0x10D8F), (0x10EC2, 0x10EC7), (0x10EC9, 0x10EEE), (0x10EF0, 0x10EFC), (0x11380, 0x11389),
    (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x113B7, 0x113C0), (0x113C2, 0x113C2), (0x113C5, 0x113C5),
    (0x113C7, 0x113CA), (0x113CC, 0x113D5), (0x113D7, 0x113D8), (0x113E1, 0x113E2), (0x116D0, 0x116E3), (0x11B0A, 0x11B0A),
    (0x11B60, 0x11B67), (0x11BC0, 0x11BE1), (0x11BF0, 0x11BF9), (0x11DB0, 0x11DDB), (0x11DE0, 0x11DE9), (0x11DF0, 0x11DF1),
    (0x11F5A, 0x11F5A), (0x1246F, 0x1246F), (0x12475, 0x1247F), (0x12550, 0x12686), (0x13460, 0x143FA), (0x16100, 0x16139),
    (0x16D40, 0x16D79), (0x16EA0, 0x16EB8), (0x16EBB, 0x16ED3), (0x16FF2, 0x16FF6), (0x187F8, 0x187FF), (0x18CD6, 0x18CDA),
    (0x18CFF, 0x18CFF), (0x18D09, 0x18D20), (0x18D80, 0x18DF2), (0x18E00, 0x19191), (0x191A0, 0x191D2), (0x1B123, 0x1B128),
    (0x1B168, 0x1B168), (0x1CC00, 0x1CCFC), (0x1CD00, 0x1CEB3), (0x1CEBA, 0x1CED0), (0x1CED2, 0x1CED4), (0x1CEDD, 0x1CEFD),
    (0x1D127, 0x1D128), (0x1D1EB, 0x1D1FF), (0x1D250, 0x1D281), (0x1D6A6, 0x1D6A6), (0x1DB00, 0x1DB1C), (0x1DF1F, 0x1DF24),
    (0x1DF2B, 0x1DF81), (0x1DF90, 0x1DF96), (0x1DFCD, 0x1DFFF), (0x1E5D0, 0x1E5FA), (0x1E5FF, 0x1E5FF), (0x1E6C0, 0x1E6DE),
    (0x1E6E0, 0x1E6F5), (0x1E6FE, 0x1E6FF), (0x1F1AE, 0x1F1AE), (0x1F6D8, 0x1F6D9), (0x1F777, 0x1F77A), (0x1F7DA, 0x1F7DB),
    (0x1F7F1, 0x1F7FF), (0x1F8B2, 0x1F8BB), (0x1F8C0, 0x1F8C1), (0x1F8D0, 0x1F8D8), (0x1FA54, 0x1FA57), (0x1FA89, 0x1FA8F),
    (0x1FABE, 0x1FABE), (0x1FAC6, 0x1FAC6), (0x1FAC8, 0x1FAC8), (0x1FACC, 0x1FACD), (0x1FADC, 0x1FADD), (0x1FADF, 0x1FADF),
    (0x1FAE9, 0x1FAEB), (0x1FAEF, 0x1FAEF), (0x1FAF9, 0x1FAFA), (0x1FBCB, 0x1FBEF), (0x1FBFA, 0x1FBFA), (0x2B73A, 0x2B73F),
    (0x2B81E, 0x2B81E), (0x2CEA2, 0x2CEAD), (0x2EBF0, 0x2EE5D), (0x323B0, 0x33479), (0x3D000, 0x3FC3F),
]  # fmt: skip


@cache
def known() -> list[int]:
    """The code points that both Python and Unicode 15.0 assign, surrogates, private use and the 66 noncharacters included."""
    newer = {c for first, last in NEWER for c in range(first, last + 1)}
    noncharacters = {*range(0xFDD0, 0xFDF0), *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF))}
    return [c for c in range(0x110000) if c not in newer and (unicodedata.category(chr(c)) != "Cn" or c in noncharacters)]


@cache
def marks() -> str:
    """Every combining mark."""
    return "".join(chr(c) for c in known() if unicodedata.category(chr(c))[0] == "M")


@cache
def composers() -> str:
    """Every character that composes with one before it, and every one of a combining class other than 0."""
    seconds = {parts[1] for c in known() if len(parts := unicodedata.decomposition(chr(c)).split()) == 2 and parts[0][0] != "<"}
    jamo = [chr(c) for c in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))]
    classed = [chr(c) for c in known() if unicodedata.combining(chr(c))]
    return "".join(sorted({*(chr(int(c, 16)) for c in seconds), *jamo, *classed}))


@cache
def changing() -> str:
    """Every character but Hangul syllables and Han that folding or composition changes or takes apart."""
    skip = [(0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    candidates = (chr(c) for c in known() if not reference.within(skip, c))
    return "".join(c for c in candidates if c.casefold() != c or unicodedata.normalize("NFKD", c) != c)


@cache
def unspaced() -> str:
    """A few characters of each script that is written without spaces, its marks among them."""
    return "".join(
        chr(c)
        for first, last in UNSPACED
        for c in {*range(first, min(last, first + 80) + 1), *range(first, last + 1, 997)}
        if unicodedata.category(chr(c)) != "Cn" and not reference.within(NEWER, c)
    )


LETTERS = "abcxyzABCXYZ0189_éßſıİΣςσйщאبगกかｶ가中Ꭰᏸꭰ"
SEPARATORS = " \t\n\r\x00.,!?-'’。、،।«»|/\\\u00a0\u2003\u2028"
JAMO = "ᄀ각닌가각힣ᅠㄱㅏﾡￂ\ua960\ud7b0\ud7cb"
IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u202e\u2060\u3164\ufe0f\ufeff\uffa0\U000e0020\U000e0101"
)
ODD = "\ud800\udbff\udc00\udc80\udfff\ue000\uf8ff\U000f0000\U0010fffd\ufdd0\ufffe\uffff\U0001ffff\U0010ffff\ufffd\x7f\x80\x85"
TRICKY = (
    "\u0345\u0301\u0323\u0327\u05b0\u0653\u093c\u09be\u0bbe\u102e\u1b35\u3099\u309a\uff9e\uff9f\u20dd\u0f71\u0f72\u0f74\u0344\u0340"
    "\U0001d165\U000110ba"
)
EXPANDING = "\ufdfa\ufdfb\u3300\u3316\u00bd\u2167\u33c2\ufb03\u1e9e\u0149\u0390\u1fb7\u2057\u00a8\u00b4\uff21\U0001d400\u2460\u01c4"
ASSIGNED = [(0x20, 0x2FF), (0x300, 0x6FF), (0x700, 0x1FFF), (0x2000, 0x33FF), (0xA000, 0xABFF), (0xF900, 0xFFFF), (0x10000, 0x1FFFF)]


def _one_of_pools() -> SearchStrategy[str]:
    pools = [LETTERS, SEPARATORS, JAMO, IGNORED, ODD, TRICKY, EXPANDING, composers(), marks(), changing(), unspaced()]
    blocks = [[c for c in known() if first <= c <= last] for first, last in ASSIGNED]
    strategies: list[SearchStrategy[str]] = [st.sampled_from(pool) for pool in pools]
    strategies += [st.sampled_from(block).map(chr) for block in blocks]
    return st.one_of(st.sampled_from(LETTERS), st.sampled_from(SEPARATORS + LETTERS), *strategies, st.sampled_from(known()).map(chr))


def code_points() -> SearchStrategy[str]:
    """One code point, any that both sides know; those that act on others, vanish or fall apart come often."""
    return _one_of_pools()


def pieces() -> SearchStrategy[str]:
    """A code point, a letter with marks, one character many times, or an ordinary word."""
    point = code_points()
    marked = st.builds(
        lambda base, tail: base + "".join(tail), point, st.lists(st.sampled_from(composers() + TRICKY), min_size=1, max_size=6)
    )
    repeated = st.builds(lambda c, n: c * n, point, st.sampled_from([2, 3, 15, 16, 17, 33]))
    return st.one_of(
        point, point, marked, repeated, st.sampled_from(["one", "two ", " three", "Straße ", "naïve", "北京 ", "คำ", "हिन्दी "])
    )


def texts(max_pieces: int = 24) -> SearchStrategy[str]:
    """Texts over everything that Python strings can hold, lone surrogates and NUL among it."""
    return st.lists(pieces(), max_size=max_pieces).map("".join)


def plain_texts(max_words: int = 40) -> SearchStrategy[str]:
    """Texts of few different words, so that documents share shingles."""
    return st.lists(st.sampled_from(["a", "b", "to", "be", "or", "not", "我", "é"]), max_size=max_words).map(" ".join)


def corpora(max_documents: int = 6) -> SearchStrategy[list[str]]:
    """Lists of texts: none, empty ones, equal ones, look-alikes, hostile ones."""
    document = st.one_of(texts(), plain_texts(), st.sampled_from(["", " ", "one", "one two three four five six seven"]))
    return st.lists(document, max_size=max_documents)


def damaged_utf8() -> SearchStrategy[bytes]:
    """Bytes that are nearly UTF-8: valid text, lone surrogates, truncated, overlong and random sequences."""
    valid = texts(6).map(lambda text: text.encode("utf-8", "surrogatepass"))
    cut = st.builds(lambda data, a, b: data[a : len(data) - b], valid, st.integers(0, 3), st.integers(0, 3))
    wrong = st.sampled_from(
        [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xed\xa0\x80", b"\xef\xbf",
         b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xff"]
    )  # fmt: skip
    return st.lists(st.one_of(valid, cut, wrong, st.binary(max_size=4)), max_size=10).map(b"".join)


# ---- tokens, hashes, parameters --------------------------------------------------------------------------------------


def tokens() -> SearchStrategy[Token]:
    """A ready token: any string, short and long ones around 16 bytes, any integer of 64 signed bits."""
    sized = st.builds(lambda c, n: (c * n)[:n], st.sampled_from(["a", "é", "中", "😀", "ab"]), st.integers(0, 40))
    integers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, -1, 255, 256, 2**31, 2**62, 2**63 - 1, -(2**63)]))
    return st.one_of(texts(4), sized, integers)


def token_lists(max_size: int = 40) -> SearchStrategy[list[Token]]:
    """Documents as ready tokens, strings and integers mixed."""
    return st.lists(tokens(), max_size=max_size)


#: Shingle hashes on which arithmetic could slip: the ends of the range and of its halves.
EXTREME = [0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**33 - 1, 2**63 - 1, 2**63, 2**64 - 2**32, 2**64 - 2, 2**64 - 1]


def shingle_hash() -> SearchStrategy[int]:
    """A shingle hash: random, extreme, or from few steps and few starting points, so that slots tie and stay high."""
    halves = st.sampled_from([0, 1, 2, 3, 2**25, 2**31, 2**32 - 1])
    few = st.builds(lambda high, low: high << 32 | low, halves, halves)
    return st.one_of(st.integers(0, MASK), st.sampled_from(EXTREME), few)


def shingle_hashes(max_size: int = 60) -> SearchStrategy[HashArray]:
    """Shingle hashes of one document: sorted, distinct, uint64."""
    return st.sets(shingle_hash(), max_size=max_size).map(lambda found: np.array(sorted(found), np.uint64))


def secrets() -> SearchStrategy[int]:
    """Secrets and seeds."""
    return st.one_of(st.just(0), st.sampled_from([1, 2**32, 2**63, MASK]), st.integers(0, MASK))


NUM_PERMS = [2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 64, 100, 127, 128, 129, 200, 255, 256, 257, 500, 1000]


def num_perms() -> SearchStrategy[int]:
    """Numbers of slots, powers of two and not, up to 1000."""
    return st.sampled_from(NUM_PERMS)


# ---- what tests ask of the kernels -----------------------------------------------------------------------------------


#: The SIMD paths of this processor; each gives the same bits.
PATHS: list[str] = _kernels.PATHS


def recipe(
    *,
    chars: bool = False,
    size: int = 5,
    secret: int = 0,
    num_perm: int = 128,
    seed: int = 0,
    verification: bool = True,
    path: str | None = None,
) -> dict[str, Any]:
    """The argument by which the signing kernels know the parameters."""
    return {"chars": chars, "size": size, "secret": secret, "num_perm": num_perm, "seed": seed, "verification": verification, "path": path}


def same_arrays(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two answers of a kernel are the same, shapes and types included."""
    return all(x.dtype == y.dtype and x.shape == y.shape and bool((x == y).all()) for x, y in zip(a, b, strict=True))


def on_every_path(sign: Any, recipe: dict[str, Any]) -> Any:
    """``sign(recipe)``, the same on every SIMD path."""
    answers = {path: sign({**recipe, "path": path}) for path in PATHS}
    first = answers[PATHS[0]]
    for path, answer in answers.items():
        assert same_arrays(answer, first), f"path {path} differs from {PATHS[0]}"
    return first


def kernel_tokens(text: str, *, chars: bool = False) -> list[str]:
    """The tokens that the kernels see, as strings."""
    data, edges = _kernels.tokens(text, chars)
    places = edges.tolist()
    return [data[start:end].decode("utf-8") for start, end in zip(places[::2], places[1::2], strict=True)]


def reference_tokens(text: str, *, chars: bool = False) -> list[str]:
    """The tokens of the specification."""
    return reference.chars(text) if chars else reference.words(text)


def offsets_of(parts: Sequence[Any]) -> HashArray:
    """Where each of several parts begins and ends when they stand one after another."""
    return np.cumsum([0, *map(len, parts)], dtype=np.uint64)


def flat(parts: Sequence[Any], dtype: Any) -> tuple[npt.NDArray[Any], HashArray]:
    """Parts one after another in an array, and their offsets."""
    arrays = [np.frombuffer(p, dtype) if isinstance(p, bytes) else np.asarray(p, dtype) for p in parts]
    return np.concatenate([np.empty(0, dtype), *arrays]), offsets_of(arrays)


def mix64(x: HashArray) -> HashArray:
    """`reference.mix64` of a whole array."""
    with np.errstate(over="ignore"):
        x = x ^ (x >> np.uint64(33))
        x = x * np.uint64(0xFF51AFD7ED558CCD)
        x = x ^ (x >> np.uint64(33))
        x = x * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


def tokens_for(hashes: npt.ArrayLike) -> HashArray:
    """Token hashes whose shingles of size 1 have exactly these hashes: mix64 and the length, undone."""
    x = np.array(hashes, np.uint64)
    with np.errstate(over="ignore"):
        for multiplier in (0xC4CEB9FE1A85EC53, 0xFF51AFD7ED558CCD):
            x = (x ^ (x >> np.uint64(33))) * np.uint64(pow(multiplier, -1, 2**64))
        return (x ^ (x >> np.uint64(33))) - np.uint64(reference.LENGTH)


def sign_column(data: npt.NDArray[np.uint8], offsets: HashArray, recipe: dict[str, Any], threads: int) -> Any:
    """Sign texts that stand one after another: text i is ``data[offsets[i]:offsets[i + 1]]``."""
    n = max(len(offsets) - 1, 0)
    starts, stops = (np.ascontiguousarray(side, np.uint64) for side in (offsets[:-1], offsets[1:]))
    return _kernels.sign_spans([data], np.zeros(n, np.uint32), starts, stops, recipe, threads)


def signature(hashes: HashArray, num_perm: int, seed: int) -> npt.NDArray[np.uint32]:
    """The values of one document whose shingle hashes are ready."""
    offsets = np.array([0, len(hashes)], np.uint64)
    return _kernels.sign_shingle_hashes(np.ascontiguousarray(hashes, np.uint64), offsets, recipe(num_perm=num_perm, seed=seed), 1)[0][0]
