"""Committed vectors: what the schemes give today they gave when they were named, in the specification and in the kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import golden_vectors
import numpy as np
import pytest
import strategies as s
from golden_vectors import pin
from numpy.testing import assert_array_equal

from neardup import _kernels, reference
from neardup.banding import Banding
from neardup.minhash import MinHash
from neardup.shingling import Shingling

GOLDEN: dict[str, Any] = json.loads(golden_vectors.PATH.read_text(encoding="ascii"))
PROTOTYPE = Path(__file__).parents[2] / "shared" / "prototype" / "golden.json"
LIMIT = reference.COUNT_LIMIT


def text_of(vector: dict[str, Any]) -> str:
    """The text that a vector belongs to."""
    return bytes.fromhex(vector["text"]).decode("utf-8", "surrogatepass")


def first_words(vector: dict[str, Any]) -> str:
    """A name for a vector in the test's id."""
    return ascii(text_of(vector))[1:24]


every_text = pytest.mark.parametrize("vector", GOLDEN["texts"], ids=first_words)
every_path = pytest.mark.parametrize("path", s.PATHS)


def assert_document(vector: dict[str, Any], sign: Any) -> None:
    """Kernels give a vector's document: ``sign`` is given a recipe's parameters and returns the arrays of one document."""
    for num_perm, seed, expected in vector["signatures"]:
        values, counts, _, verification = sign(num_perm=num_perm, seed=seed)
        assert pin(values[0]) == expected, f"num_perm={num_perm} seed={seed}"
        assert counts.tolist() == [vector["count"]]
        assert pin(verification) == vector["verification"]
    values, _, offsets, verification = sign(num_perm=128, seed=0)
    for bands, rows, expected in vector["band_keys"]:
        assert pin(_kernels.band_keys(values, bands, rows, 1)[0]) == expected, f"{bands} x {rows}"
    keys = _kernels.band_keys(values, *golden_vectors.BANDINGS[0], 1)
    assert _kernels.set_hashes(verification, offsets, keys).tolist() == [vector["set_hash"]]


# ---- the specification -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", GOLDEN)
def test_the_specification_gives_the_vectors(section: str) -> None:
    """Nothing in the specification has changed since the vectors were written."""
    now = json.loads(json.dumps(golden_vectors.vectors()[section]))
    assert len(now) == len(GOLDEN[section])
    for mine, theirs in zip(now, GOLDEN[section], strict=True):
        assert mine == theirs


def test_the_file_is_what_the_writer_writes() -> None:
    """Nobody has edited the file by hand."""
    assert golden_vectors.PATH.read_text(encoding="ascii") == golden_vectors.render()


# ---- the kernels -----------------------------------------------------------------------------------------------------


@every_text
def test_tokens(vector: dict[str, Any]) -> None:
    """Words and characters of each text."""
    assert s.kernel_tokens(text_of(vector)) == vector["words"]
    assert "".join(s.kernel_tokens(text_of(vector), chars=True)) == vector["chars"]


@every_text
def test_hashes(vector: dict[str, Any]) -> None:
    """Shingle hashes by every shingling, from the kernel and from what people call."""
    for tokens, size, secret, expected in vector["shinglings"]:
        assert pin(_kernels.shingle_hashes(text_of(vector), tokens == "chars", size, secret)) == expected, (tokens, size, secret)
        assert pin(Shingling(tokens=tokens, size=size, secret=secret).hashes(text_of(vector))) == expected, (tokens, size, secret)


@every_text
@every_path
def test_signatures(vector: dict[str, Any], path: str) -> None:
    """Values, counts, verification hashes, band keys and set hash of each text, on every SIMD path."""
    assert_document(vector["document"], lambda **p: _kernels.sign_texts([text_of(vector)], s.recipe(**p, path=path), 1))


@every_text
def test_public_signatures(vector: dict[str, Any]) -> None:
    """The same through MinHash and Banding."""
    for num_perm, seed, expected in vector["document"]["signatures"]:
        signature = MinHash(num_perm=num_perm, seed=seed).sign(text_of(vector))
        assert pin(signature.values) == expected
        assert signature.count == vector["document"]["count"]
    signatures = MinHash().sign_many([text_of(vector)])
    for bands, rows, expected in vector["document"]["band_keys"]:
        assert pin(Banding(bands, rows).keys(signatures.values)[0]) == expected


@pytest.mark.parametrize("vector", GOLDEN["tokens"], ids=lambda v: f"{v['tokens'][0]!a} {v['secret']}")
def test_token_hashes(vector: dict[str, Any]) -> None:
    """Ready tokens, strings and integers."""
    assert _kernels.token_hashes(vector["tokens"], vector["secret"]).tolist() == vector["hashes"]


@every_path
@pytest.mark.parametrize(("i", "vector"), list(enumerate(GOLDEN["hashes"])), ids=str)
def test_hash_sets(i: int, vector: dict[str, Any], path: str) -> None:
    """Chosen shingle hashes, the extremes among them."""
    tokens = s.tokens_for(golden_vectors.HASHES[i])
    offsets = np.array([0, len(tokens)], np.uint64)
    assert_document(vector, lambda **p: _kernels.sign_token_hashes(tokens, offsets, s.recipe(size=1, **p, path=path), 1))
    for num_perm, seed, expected in vector["signatures"]:
        hashes = np.array(golden_vectors.HASHES[i], np.uint64)
        assert pin(s.signature(hashes, num_perm, seed)) == expected


@every_path
def test_the_schemes_of_datasketch(path: str) -> None:
    """Signatures of shingles by each scheme and hash, their band keys and lean signatures, on every SIMD path."""
    for vector in GOLDEN["datasketch"]:
        tokens = [bytes.fromhex(token) for token in vector["tokens"]]
        for num_perm, seed, drawn, expected in vector["signatures"]:
            minhash = MinHash(num_perm, seed, Shingling(size=vector["size"]), vector["scheme"], vector["token_hash"], drawn)
            values = _kernels.sign_token_lists([tokens], {**minhash.recipe(hashes=False), "path": path}, 1)[0]
            assert pin(values[0]) == expected, (vector["scheme"], vector["token_hash"], tokens[:3])
            assert_array_equal(minhash.sign_tokens(tokens).values, values[0])
            if (num_perm, drawn) == (128, 128):
                assert pin(_kernels.band_keys(values, 16, 8, 1)[0]) == vector["band_keys"]
                assert pin(_kernels.lean_signatures(values, 1)[0].view(np.uint8)) == vector["lean"]


@pytest.mark.parametrize(("num_perm", "expected"), GOLDEN["row_orders"])
def test_row_orders(num_perm: int, expected: Any) -> None:
    """Bands take their rows in the frozen order: with one row a band, the keys show it."""
    values = np.arange(num_perm, dtype=np.uint32)[None]
    assert pin(reference.row_order(num_perm)) == expected
    assert_array_equal(_kernels.band_keys(values, num_perm, 1, 1)[0], reference.band_keys(values[0], num_perm, 1))


@pytest.mark.parametrize(("n", "m", "threshold", "expected"), GOLDEN["least_intersections"])
def test_least_intersections(n: int, m: int, threshold: float, expected: int) -> None:
    """The smallest intersection that is a match."""
    assert _kernels.least_intersection(n, m, threshold) == expected


# ---- the prototype ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not PROTOTYPE.exists(), reason="the prototype's vectors, ../shared/prototype/golden.json, are not here")
def test_the_vectors_of_the_prototype() -> None:
    """Tokens, hashes, values and band keys that the prototype gave, in the specification and in the kernels."""
    cases = json.loads(PROTOTYPE.read_text(encoding="utf-8"))
    assert len(cases) >= 27
    for case in cases:
        text = text_of(case)
        recipe = s.recipe(num_perm=128)
        ours = {
            "text": case["text"],
            "words": s.kernel_tokens(text),
            "chars": len(s.kernel_tokens(text, chars=True)),
            "hashes": _kernels.shingle_hashes(text, False, 2, 0).tolist(),
            "signature": _kernels.sign_texts([text], s.recipe(size=2, num_perm=16), 1)[0][0, :4].tolist(),
            "keys": _kernels.band_keys(_kernels.sign_texts([text], recipe, 1)[0], 2, 6, 1)[0].tolist(),
        }
        words = reference.words(text)
        hashes = reference.shingle_hashes(words, 2)
        specified = {
            "text": case["text"],
            "words": words,
            "chars": len(reference.chars(text)),
            "hashes": hashes.tolist(),
            "signature": reference.signature(hashes, 16)[:4].tolist(),
            "keys": reference.band_keys(reference.signature(reference.shingle_hashes(words)), 2, 6).tolist(),
        }
        assert ours == case
        assert specified == case


# ---- counts beyond the exact limit -----------------------------------------------------------------------------------


def count_of(hashes: Any) -> int:
    """`reference.shingle_count` of distinct hashes, with numpy."""
    level, kept = 0, len(hashes)
    while kept > LIMIT:
        level += 1
        kept = int((hashes >> np.uint64(64 - level) == 0).sum())
    return kept << level


def sorted_distinct(values: Any) -> Any:
    """What np.unique gives; for millions of distinct numbers it is the slower way."""
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])]


def sign_hashes(hashes: Any, repeated: Any = (), path: str | None = None) -> Any:
    """Sign the document whose shingles have these hashes, in this order; some come again at the end."""
    tokens = s.tokens_for(np.concatenate([hashes, np.array(repeated, np.uint64)]))
    return _kernels.sign_token_hashes(tokens, np.array([0, len(tokens)], np.uint64), s.recipe(size=1, num_perm=2, path=path), 1)


def distinct(n: int, *, zero: bool) -> Any:
    """``n`` distinct hashes in random order, 0 among them or not."""
    hashes = golden_vectors.counted(n) if zero else golden_vectors.counted(n + 1)[1:]
    assert (hashes == 0).any() == zero
    return np.random.default_rng(n).permutation(hashes)


@pytest.mark.parametrize(("n", "expected"), GOLDEN["counts"])
def test_counts(n: int, expected: int) -> None:
    """The count of many distinct shingles: exact to 2**20, beyond it the same estimate everywhere, within 1 %."""
    hashes = golden_vectors.counted(n)
    assert sign_hashes(hashes)[1].tolist() == [expected] == [count_of(hashes)]
    assert abs(expected - n) < (0.01 * n if n > LIMIT else 1)


@every_path
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("n", [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 2])
def test_counts_at_the_limit(n: int, zero: bool, path: str) -> None:
    """On either side of 2**20, with the hash 0 and without, and with repeats after the limit is passed."""
    hashes = distinct(n, zero=zero)
    assert sign_hashes(hashes, path=path)[1].tolist() == [count_of(hashes)]
    assert sign_hashes(hashes, hashes[::3], path=path)[1].tolist() == [count_of(hashes)]
    if n == LIMIT + 1:
        assert reference.shingle_count(hashes) == count_of(hashes)


@pytest.mark.parametrize("n", [LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
def test_counts_of_ready_hashes(n: int) -> None:
    """Ready shingle hashes count as those of a text do, ascending, all but ascending, or in any order."""
    ascending = np.sort(distinct(n, zero=True))
    swapped = ascending.copy()
    swapped[[-1, -2]] = swapped[[-2, -1]]
    for hashes in (ascending, swapped, distinct(n, zero=True), np.append(ascending, ascending[-1])):
        offsets = np.array([0, len(hashes)], np.uint64)
        _, counts, _, verification = _kernels.sign_shingle_hashes(hashes, offsets, s.recipe(num_perm=2), 1)
        assert counts.tolist() == [count_of(ascending)]
        assert_array_equal(verification, sorted_distinct(ascending >> np.uint64(32)))


@pytest.mark.parametrize("where", ["first", "last", "just before the limit"])
@pytest.mark.parametrize("n", [LIMIT, LIMIT + 1])
def test_counts_with_zero_anywhere(n: int, where: str) -> None:
    """The hash 0 counts like any other, wherever in the document it comes."""
    others = distinct(n - 1, zero=False)
    place = {"first": 0, "last": n - 1, "just before the limit": LIMIT - 1}[where]
    hashes = np.insert(others, place, np.uint64(0))
    assert sign_hashes(hashes)[1].tolist() == [count_of(hashes)]


@pytest.mark.parametrize("order", ["up", "down", "random"])
@pytest.mark.parametrize("shift", [0, 3])
def test_counts_do_not_depend_on_the_order(order: str, shift: int) -> None:
    """Three million shingles count the same in any order, also where all begin with zeros, and keep their verification hashes."""
    hashes = sorted_distinct(golden_vectors.counted(3_000_000) >> np.uint64(shift))
    ordered = {"up": hashes, "down": hashes[::-1], "random": np.random.default_rng(1).permutation(hashes)}[order]
    _, counts, _, verification = sign_hashes(ordered, hashes[::7])
    assert counts.tolist() == [count_of(hashes)]
    assert_array_equal(verification, sorted_distinct(hashes >> np.uint64(32)))
