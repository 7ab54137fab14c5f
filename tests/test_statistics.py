"""What the estimates are worth, measured through the kernels: bias, variance, band recall, independence of seeds.

Fixed seeds, so a failure is no accident of the day. An interval of four standard errors is left by chance once in 16,000
times; binomial intervals are exact and hold the same. ``n`` is the number of distinct shingles of two documents together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import strategies as s

from neardup import _kernels
from neardup.banding import Banding
from neardup.minhash import MinHash
from neardup.shingling import Shingling

HashArray = npt.NDArray[np.uint64]
Values = npt.NDArray[np.uint32]

SEEDS = range(10)
#: The chance to lie more than four standard deviations off on one side.
TAIL = 3.2e-5
SIMILARITIES = (0.2, 0.3, 0.5, 0.7, 0.8, 0.9)


class Pairs(NamedTuple):
    """Random documents as token hashes, a row each, in pairs of one exact similarity."""

    a: HashArray
    b: HashArray
    similarity: float


def pairs(n: int, similarity: float, number: int, seed: int) -> Pairs:
    """Pairs of documents with ``n`` distinct shingles together, as near to a similarity as whole shingles allow."""
    both = min(max(round(similarity * n), 1), n - 1)
    alone = both + (n - both) // 2
    shingles = np.random.default_rng([n, both, seed]).integers(0, 2**64, (number, n), dtype=np.uint64)
    return Pairs(shingles[:, :alone], np.concatenate([shingles[:, :both], shingles[:, alone:]], axis=1), both / n)


def sign(documents: HashArray, *, num_perm: int = 128, seed: int = 0, size: int = 1) -> Values:
    """Signatures of documents of one length."""
    number, length = documents.shape
    offsets = np.arange(number + 1, dtype=np.uint64) * np.uint64(length)
    recipe = s.recipe(size=size, num_perm=num_perm, seed=seed, verification=False)
    return _kernels.sign_token_hashes(np.ascontiguousarray(documents).reshape(-1), offsets, recipe, 2)[0]


def errors(documents: Pairs, *, num_perm: int = 128, seed: int = 0) -> npt.NDArray[np.float64]:
    """Estimated minus exact similarity of each pair."""
    agree = sign(documents.a, num_perm=num_perm, seed=seed) == sign(documents.b, num_perm=num_perm, seed=seed)
    return agree.mean(axis=1) - documents.similarity


def assert_mean(values: npt.NDArray[np.float64], expected: float = 0.0, message: Any = "") -> None:
    """The mean lies within four of its standard errors of what is expected."""
    standard_error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - expected) <= 4 * standard_error, (
        f"{message}: {values.mean() - expected:+.6f}, standard error {standard_error:.6f}"
    )


def chance(hits: int, number: int, p: float, *, least: bool) -> float:
    """The binomial probability of at most ``hits`` of ``number``, or of at least as many."""
    if p in (0.0, 1.0):
        return float((hits >= number * p) if least is False else (hits <= number * p))
    k = np.arange(hits, number + 1) if least else np.arange(hits + 1)
    logs = np.cumsum(np.log(np.arange(1, number + 1)))
    factorial = np.concatenate([[0.0], logs])
    terms = factorial[number] - factorial[k] - factorial[number - k] + k * math.log(p) + (number - k) * math.log1p(-p)
    return float(min(np.exp(terms).sum(), 1.0))


def within(hits: int, number: int, p: float) -> bool:
    """Whether so many of ``number`` lie within the two-sided interval of four standard errors."""
    return min(chance(hits, number, p, least=False), chance(hits, number, p, least=True)) > TAIL


def hits(a: Values, b: Values, banding: Banding) -> int:
    """How many pairs share a bucket."""
    return int((banding.keys(a) == banding.keys(b)).any(axis=1).sum())


# ---- bias ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("n", "number"), [(10, 5000), (50, 5000), (200, 2000), (1000, 600)])
def test_estimates_are_unbiased(n: int, number: int, similarity: float) -> None:
    """The mean error is 0, for each of ten seeds and for all of them together."""
    found = [errors(pairs(n, similarity, number, seed), seed=seed) for seed in SEEDS]
    for seed in SEEDS:
        assert_mean(found[seed], message=f"seed {seed}")
    assert_mean(np.concatenate(found), message="all seeds")


@pytest.mark.parametrize(
    "num_perm", [2, 3, 16, 17, 24, 31, 33, 48, 63, 65, 100, 127, 129, 192, 200, 255, 257, 384, 500, 777, 1000, 1023, 1024]
)
def test_every_num_perm_is_unbiased(num_perm: int) -> None:
    """Any number of slots, a power of two or not, estimates without bias, in short documents and in long ones."""
    for n, number in ((5, 4000), (30, 4000), (300, 1000)):
        for similarity in (0.3, 0.8):
            found = [errors(pairs(n, similarity, number // 10, seed), num_perm=num_perm, seed=seed) for seed in SEEDS]
            assert_mean(np.concatenate(found), message=f"n={n} similarity={similarity}")


def test_every_slot_is_unbiased() -> None:
    """Each slot alone is a MinHash: it agrees as often as the similarity says, the first, the last and those between."""
    number = 40_000
    documents = pairs(40, 0.6, number, 0)
    agree = (sign(documents.a, num_perm=100) == sign(documents.b, num_perm=100)).mean(axis=0)
    standard_error = math.sqrt(0.6 * 0.4 / number)
    assert abs(agree - 0.6).max() <= 4.5 * standard_error  # the largest of 100
    assert agree.std() <= 1.5 * standard_error


# ---- variance --------------------------------------------------------------------------------------------------------


def variance_ratio(n: int, similarity: float, number: int) -> float:
    """The mean squared error over that of classic MinHash, J (1 - J) / K, in ten seeds; known to 1 % or better."""
    squares = np.concatenate([errors(pairs(n, similarity, number // 10, seed), seed=seed) ** 2 for seed in SEEDS])
    j = pairs(n, similarity, 1, 0).similarity
    return float(squares.mean() / (j * (1 - j) / 128))


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("n", "limit"), [(5, 0.65), (10, 0.65), (25, 0.65), (50, 0.65), (100, 0.70), (200, 0.75)])
def test_variance(n: int, limit: float, similarity: float, record_property: Callable[..., None]) -> None:
    """The variance is at most 0.65 of classic MinHash's to 50 shingles and 0.75 at 200, with 128 slots."""
    ratio = variance_ratio(n, similarity, 150_000 if n <= 10 else 40_000)
    record_property(f"variance of classic at n={n}, J={similarity}", f"{ratio:.3f}")
    assert 0.3 < ratio <= limit


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("n", [2, 3, 4, 500, 1000])
def test_variance_is_never_above_classic(n: int, similarity: float) -> None:
    """With two shingles or with a thousand, the estimate is no worse than classic MinHash's."""
    assert variance_ratio(n, similarity, 40_000 if n < 500 else 6_000) <= (1.02 if n < 500 else 1.06)


def test_the_standard_error_is_an_upper_bound() -> None:
    """The standard error that an estimate names is at least the spread that estimates have."""
    minhash = MinHash(num_perm=128, shingling=Shingling(size=1))
    for n, similarity in ((20, 0.5), (20, 0.9), (400, 0.3)):
        documents = pairs(n, similarity, 2000, 0)
        spread = errors(documents).std()
        a, b = (minhash.sign_tokens_many(d[:200].astype(np.int64)) for d in documents[:2])
        named = np.mean([x.estimate_jaccard(y).standard_error for x, y in zip(a, b, strict=True)])
        assert spread <= named <= 2 * spread


# ---- 8 bits a slot ---------------------------------------------------------------------------------------------------


def lean_errors(documents: Pairs, seed: int) -> npt.NDArray[np.float64]:
    """Similarity estimated from lean signatures, chance matches taken off but not cut at 0, minus the exact one."""
    a, b = (_kernels.lean_signatures(sign(side, seed=seed), 2).view(np.uint8) for side in (documents.a, documents.b))
    return ((a == b).mean(axis=1) - 1 / 256) / (1 - 1 / 256) - documents.similarity


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 50, 200])
def test_lean_signatures_are_unbiased(n: int) -> None:
    """From the shortest documents on, where all slots have the low bits of one shingle: for each seed and for all of them."""
    for similarity in (0.2, 0.5, 0.8):
        found = [lean_errors(pairs(n, similarity, 5000, seed), seed) for seed in SEEDS]
        for seed in SEEDS:
            assert_mean(found[seed], message=f"n={n} seed {seed}")
        assert_mean(np.concatenate(found), message=f"n={n}, all seeds")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_strangers_agree_by_chance_alone(n: int) -> None:
    """Unlike documents of n shingles each agree in one slot of 256, as independent bytes do: no pair looks alike."""
    shingles = np.random.default_rng(n).integers(0, 2**64, (40_000, 2 * n), dtype=np.uint64)
    a, b = (_kernels.lean_signatures(sign(side), 2).view(np.uint8) for side in (shingles[:, :n], shingles[:, n:]))
    equal = (a == b).sum(axis=1)
    assert_mean(equal.astype(np.float64), 128 / 256)
    assert abs(equal.var() / (128 / 256 * 255 / 256) - 1) <= 0.05
    assert equal.max() <= 8  # independent bytes exceed it once in 4 million pairs
    assert equal.max() >= 4


@pytest.mark.parametrize(("n", "similarity"), [(5, 0.8), (50, 0.8), (200, 0.5), (1000, 0.8)])
def test_variance_of_lean_signatures(n: int, similarity: float) -> None:
    """Not more than the standard error that the documentation gives, sqrt(J (1 - J) / K), and 5 % for chance matches."""
    found = np.concatenate([lean_errors(pairs(n, similarity, 2000, seed), seed) for seed in SEEDS])
    exact = pairs(n, similarity, 1, 0).similarity
    assert math.sqrt((found**2).mean()) <= 1.05 * math.sqrt(exact * (1 - exact) / 128)


# ---- band recall -----------------------------------------------------------------------------------------------------

#: rows at most 8, all the bands that 128 slots hold; the thresholds for which they are chosen with a recall of 0.99
RECALLING = [Banding(128 // rows, rows) for rows in range(2, 9)]


@pytest.mark.parametrize("n", [5, 6, 7, 8, 10, 20, 50, 100, 200])
def test_recall_of_the_bands(n: int, record_property: Callable[..., None]) -> None:
    """At every similarity that a banding of up to 8 rows finds with probability 0.9, no fewer pairs are found than that."""
    number = 20_000
    worst = 1.0
    for similarity in {round(j * n) / n for j in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)} - {0.0, 1.0}:
        signed = []
        for seed in SEEDS:
            documents = pairs(n, similarity, number // 10, seed)
            signed.append((sign(documents.a, seed=seed), sign(documents.b, seed=seed)))
        a, b = (np.concatenate(side) for side in zip(*signed, strict=True))
        for banding in RECALLING:
            p = banding.probability(similarity)
            if p >= 0.9:
                low = chance(hits(a, b, banding), number, p, least=False)
                worst = min(worst, low)
                assert low > TAIL, f"{banding} at {similarity}: {hits(a, b, banding) / number:.5f} of {p:.5f}"
    record_property(f"least chance at n={n}", f"{worst:.1e}")


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8])
@pytest.mark.parametrize("n", [5, 10, 20, 50, 100, 200, 500, 1000])
def test_recall_at_the_threshold(n: int, threshold: float) -> None:
    """The banding for a threshold finds at least 99 % of the pairs there, whatever their length."""
    banding = Banding.for_threshold(threshold)
    assert banding.rows <= 8
    for seed in SEEDS:
        number = 2000 if n < 500 else 500
        documents = pairs(n, math.ceil(threshold * n) / n, number, seed)
        found = hits(sign(documents.a, seed=seed), sign(documents.b, seed=seed), banding)
        assert chance(found, number, 0.99, least=False) > TAIL, f"seed {seed}: {found / number}"


@pytest.mark.parametrize(
    ("asked", "both", "n", "least"),
    [
        *((0.99, both, n, 0.99) for both, n in [(1, 2), (1, 3), (2, 3), (2, 4), (1, 5), (1, 6)]),
        (0.99, 1, 2, 0.993),
        (0.999, 1, 3, 0.995),
        (0.9999, 1, 2, 0.998),
    ],
)
def test_recall_of_very_few_shingles(asked: float, both: int, n: int, least: float) -> None:
    """Of pairs that share one or two shingles 99 % are found where that is asked for; more is not promised, and this is near what is said."""
    banding = Banding.for_threshold(both / n, asked)
    found, number = 0, 10_000
    for seed in SEEDS:
        shingles = np.random.default_rng([n, both, seed]).integers(0, 2**64, (number, n), dtype=np.uint64)
        found += hits(sign(shingles[:, :both], seed=seed), sign(shingles, seed=seed), banding)
    assert chance(found, 10 * number, least, least=False) > TAIL, found / number / 10


@pytest.mark.parametrize("n", [200, 500, 1000])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_bands_follow_the_curve(n: int, similarity: float) -> None:
    """From 200 shingles on as many pairs become candidates as the S-curve says, no fewer, no more: 200 pairs in each of ten seeds."""
    number = 200
    found, p = dict.fromkeys(RECALLING, 0), 0.0
    for seed in SEEDS:
        documents = pairs(n, similarity, number, seed)
        a, b = sign(documents.a, seed=seed), sign(documents.b, seed=seed)
        for banding in RECALLING:
            here, p = hits(a, b, banding), banding.probability(documents.similarity)
            found[banding] += here
            assert within(here, number, p), f"seed {seed}, {banding}: {here / number:.4f} of {p:.4f}"
    for banding, all_seeds in found.items():
        p = banding.probability(documents.similarity)
        assert within(all_seeds, 10 * number, p), f"{banding}: {all_seeds / 10 / number:.4f} of {p:.4f}"


@pytest.mark.parametrize(("n", "number"), [(200, 30_000), (500, 20_000), (1000, 10_000)])
def test_how_near_the_curve_is(n: int, number: int, record_property: Callable[..., None]) -> None:
    """Measured finely the curve is a little steeper than the formula: within 2 percentage points of it, for long rows too."""
    worst = 0.0
    for similarity in SIMILARITIES:
        documents = pairs(n, similarity, number, 1)
        a, b = sign(documents.a), sign(documents.b)
        for banding in [*RECALLING, Banding(12, 10), Banding(9, 13)]:
            off = hits(a, b, banding) / number - banding.probability(documents.similarity)
            worst = max(worst, abs(off))
            assert abs(off) <= 0.02, f"{banding} at {documents.similarity}: {off:+.4f}"
    record_property(f"farthest from the curve at n={n}", f"{worst:.4f}")


def test_neighbouring_slots_make_poor_bands() -> None:
    """Why rows are taken in a pseudo-random order: with neighbours, pairs of short documents would be missed."""
    number, banding = 20_000, Banding(16, 8)
    documents = pairs(5, 0.8, number, 0)
    agree = sign(documents.a) == sign(documents.b)
    neighbours = int(agree.reshape(number, 16, 8).all(axis=2).any(axis=1).sum())
    p = banding.probability(0.8)
    assert chance(neighbours, number, p, least=False) < TAIL
    assert chance(hits(sign(documents.a), sign(documents.b), banding), number, p, least=False) > TAIL


# ---- seeds -----------------------------------------------------------------------------------------------------------


def test_seeds_are_independent() -> None:
    """The errors of different seeds on the same pairs have nothing to do with each other, neighbouring seeds included."""
    documents = pairs(50, 0.6, 10_000, 0)
    found = np.array([errors(documents, seed=seed) for seed in (0, 1, 2, 3, 4, 7, 2**32, 2**63, 2**64 - 2, 2**64 - 1)])
    limit = 4.5 / math.sqrt(found.shape[1])  # the largest of 45
    for i, j in combinations(range(len(found)), 2):
        assert abs(np.corrcoef(found[i], found[j])[0, 1]) < limit, (i, j)
    ratio = found.mean(axis=0).var() / (found.var(axis=1).mean() / len(found))
    assert ratio == pytest.approx(1, abs=0.06)


def test_seeds_share_no_values() -> None:
    """Under another seed a document's values are other values, in every slot."""
    documents = pairs(50, 0.6, 2_000, 0).a
    values = [sign(documents, seed=seed) for seed in SEEDS]
    for a, b in combinations(values, 2):
        assert (a == b).mean() < 1e-4


# ---- one token more --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 250, 500])
def test_one_token_more(place: int) -> None:
    """A token put before, into or after a document of 500 changes the estimates by what the exact similarity changes."""
    number, length, size = 300, 500, 5
    with_itself, with_another = [], []
    tokens = [np.random.default_rng([place, seed]).integers(0, 2**64, (number, 2 * length), dtype=np.uint64) for seed in SEEDS]
    for seed in SEEDS:
        document = tokens[seed][:, :length]
        longer = np.concatenate([document[:, :place], tokens[seed][:, -1:], document[:, place:]], axis=1)
        another = np.concatenate([document[:, :200], tokens[seed][:, length:-200], document[:, -100:]], axis=1)
        a, b, c = (sign(d, seed=seed, size=size) for d in (document, longer, another))
        with_itself.append((a == b).mean(axis=1))
        with_another.append((b == c).mean(axis=1) - (a == c).mean(axis=1))
    x, y, z = (set(_kernels.window_hashes(d[0], size).tolist()) for d in (document, longer, another))
    exact = len(x & y) / len(x | y)
    assert 1 - exact == pytest.approx({0: 1 / 497, 250: 9 / 501, 500: 1 / 497}[place])
    assert_mean(np.concatenate(with_itself), exact, "with itself")
    assert_mean(np.concatenate(with_another), len(y & z) / len(y | z) - len(x & z) / len(x | z), "with another")


def test_one_word_before_a_text() -> None:
    """The same through texts: a word before 500 words leaves 496 of 497 shingles, and the estimates say so."""
    random = np.random.default_rng(5)
    texts = [" ".join(f"w{i}" for i in random.integers(0, 10**9, 500)) for _ in range(400)]
    found = []
    for seed in SEEDS:
        minhash = MinHash(seed=seed)
        part = texts[40 * seed : 40 * seed + 40]
        found.append(minhash.sign_many(part).estimate_jaccard(minhash.sign_many(["Prepended, " + text for text in part])))
    assert_mean(np.concatenate(found), 496 / 497)
