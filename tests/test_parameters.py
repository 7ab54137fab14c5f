"""Wrong parameters are refused, with the value in the message; unwise ones warn."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup import Index, deduplicate, reference
from neardup.banding import Banding
from neardup.errors import NearDupError, ParameterError, RecallWarning
from neardup.minhash import MinHash
from neardup.shingling import Shingling


def refused(call: Callable[[], Any], *words: str) -> BaseException:
    """The error of a call that is refused; its message says all the words."""
    with pytest.raises((ParameterError, TypeError)) as caught:
        call()
    assert isinstance(caught.value, ValueError | TypeError)
    for word in words:
        assert word in str(caught.value)
    return caught.value


# ---- numbers in a range ----------------------------------------------------------------------------------------------

INTEGERS: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    "size": (lambda value: Shingling(size=value), 1, 32),
    "secret": (lambda value: Shingling(secret=value), 0, 2**64 - 1),
    "num_perm": (lambda value: MinHash(num_perm=value), 2, 4096),
    "seed": (lambda value: MinHash(seed=value), 0, 2**64 - 1),
    "threads": (lambda value: MinHash().sign_many([], threads=value), 1, 1024),
    "bucket_limit": (lambda value: Index(bucket_limit=value), 1, 2**31),
    "bands": (lambda value: Banding(value, 1), 1, 4096),
    "rows": (lambda value: Banding(1, value), 1, 4096),
}
each_integer = pytest.mark.parametrize("name", INTEGERS)


@each_integer
def test_integers_within_range(name: str) -> None:
    """The ends of the range are taken."""
    call, least, most = INTEGERS[name]
    call(least)
    call(most)


@each_integer
@pytest.mark.parametrize("off", [1, 2, 10**9, 10**30])
def test_integers_out_of_range(name: str, off: int) -> None:
    """One beyond either end is refused, with its value and the range: size 0 and 33, num_perm 1 and 4097, seed -1, secret 2**64."""
    call, least, most = INTEGERS[name]
    for value in (least - off, most + off):
        error = refused(lambda value=value: call(value), f"{name} is {value}", f"from {least} to {most}")
        assert isinstance(error, ParameterError)
        assert isinstance(error, NearDupError)
        assert isinstance(error, ValueError)


@each_integer
@pytest.mark.parametrize("value", [True, False, 5.0, "5", math.nan, b"5", [5], Fraction(5)])
def test_what_is_no_integer(name: str, value: Any) -> None:
    """A bool, a float, a string are refused with the value and its type."""
    call, least, most = INTEGERS[name]
    error = refused(lambda: call(value), f"{name} is {value!r}", type(value).__name__, f"an integer from {least} to {most}")
    assert isinstance(error, TypeError)


@pytest.mark.parametrize("name", sorted(INTEGERS.keys() - {"threads", "bucket_limit"}))
def test_none_is_no_integer(name: str) -> None:
    """None is refused where a number is asked for; for threads it means as many as there are."""
    refused(lambda: INTEGERS[name][0](None), f"{name} is None", "NoneType")
    MinHash().sign_many(["a"], threads=None)


def test_threads_of_every_batch() -> None:
    """Every function that takes threads refuses 0."""
    for call in (
        lambda: MinHash().sign_many(["a"], threads=0),
        lambda: MinHash().sign_tokens_many([["a"]], threads=0),
        lambda: MinHash(shingling=Shingling(tokens=str.split)).sign_many(["a"], threads=0),
        lambda: MinHash().sign_many(["a"], threads=-1),
        lambda: deduplicate(["a"], threads=0),
    ):
        refused(call, "threads is ", "it goes from 1 to 1024")


# ---- fractions -------------------------------------------------------------------------------------------------------

FRACTIONS: dict[str, Callable[[Any], Any]] = {
    "threshold": Banding.for_threshold,
    "threshold of an index": Index,
    "threshold of a job": lambda value: deduplicate(["a"], threshold=value),
    "recall": lambda value: Banding.for_threshold(0.8, recall=value),
    "recall of an index": lambda value: Index(recall=value),
    "recall of a job": lambda value: deduplicate(["a"], recall=value),
}


@pytest.mark.parametrize("name", FRACTIONS)
@pytest.mark.parametrize("value", [0, 0.0, -0.5, 1.5, 2, -1, math.nan, math.inf, -math.inf, 10**30, 1 + 1e-9])
def test_fractions_out_of_range(name: str, value: float) -> None:
    """0, 1.5, NaN and the like are refused with the value."""
    error = refused(lambda: FRACTIONS[name](value), f"{name.split(maxsplit=1)[0]} is {value}")
    assert isinstance(error, ParameterError)


@pytest.mark.parametrize("name", FRACTIONS)
@pytest.mark.parametrize("value", ["x", "0.8", True, False, [0.8], b"1", 1j, Decimal("0.8")])
def test_what_is_no_fraction(name: str, value: Any) -> None:
    """What is no number is refused with the value and its type."""
    error = refused(lambda: FRACTIONS[name](value), f"{name.split(maxsplit=1)[0]} is {value!r}", type(value).__name__)
    assert isinstance(error, TypeError)


def test_a_threshold_of_one() -> None:
    """Only the same: a threshold of 1 is one, a recall of 1 is not, and the message says what is possible."""
    assert Banding.for_threshold(1) == Banding.for_threshold(1.0) == Banding(1, 128)
    refused(lambda: Banding.for_threshold(0.8, recall=1), "recall is 1", "no number of bands is certain, 0.999 is possible")
    refused(lambda: Banding.for_threshold(0.8, recall=1.0), "recall is 1.0", "below 1")


def test_numbers_of_numpy() -> None:
    """Numpy's float64 is a float."""
    assert Banding.for_threshold(np.float64(0.8)) == Banding.for_threshold(0.8)


# ---- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", ["word", "WORDS", "", None, 3, ["words"], b"words", ("chars",), np.array(["words", "chars"])])
def test_tokens_of_no_kind(tokens: Any) -> None:
    """Tokens are words, characters or what a callable makes."""
    with pytest.raises(
        ParameterError, match=re.escape(f"tokens is {tokens!r}; it is 'words', 'chars', 'code' or a callable that returns tokens")
    ):
        Shingling(tokens=tokens)


@pytest.mark.parametrize("shingling", [None, "words", 5, {"size": 5}, Shingling])
def test_a_shingling_that_is_none(shingling: Any) -> None:
    """Shingling is a Shingling."""
    with pytest.raises(TypeError, match=re.escape(f"shingling is {shingling!r}; it is a neardup.Shingling")):
        MinHash(shingling=shingling)


@pytest.mark.parametrize("scheme", ["lattice-v2", "", None, "datasketch", np.array(["lattice-v1", "x"])])
def test_a_scheme_that_is_none(scheme: Any) -> None:
    """A scheme that nobody knows is refused by its name."""
    with pytest.raises((ParameterError, TypeError), match=re.escape(f"scheme is {scheme!r}")):
        MinHash(scheme=scheme)


def test_parameters_do_not_change() -> None:
    """Parameter objects are values: frozen, equal when they say the same, usable as keys."""
    for value, name in ((Shingling(), "size"), (MinHash(), "seed"), (Banding(2, 3), "rows")):
        with pytest.raises(AttributeError):
            setattr(value, name, 7)
        with pytest.raises((AttributeError, TypeError)):
            value.other = 7  # type: ignore[union-attr]
    assert MinHash(shingling=Shingling(size=3)) == MinHash(shingling=Shingling(size=3)) != MinHash()
    assert len({Shingling(), Shingling(size=5), Shingling(size=4), MinHash(), MinHash(), Banding(2, 3), Banding(2, 3)}) == 4


# ---- banding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bands", "rows"), [(4096, 2), (65, 64), (2, 4096), (4096, 4096)])
def test_bands_that_need_too_many_slots(bands: int, rows: int) -> None:
    """More slots than a signature can have are refused with the numbers."""
    with pytest.raises(ParameterError, match=f"{bands} bands of {rows} rows need {bands * rows} slots; a signature has at most 4096"):
        Banding(bands, rows)


def test_bands_that_need_more_slots_than_there_are() -> None:
    """Keys of signatures with fewer slots are refused with both numbers, and the remedy."""
    values = MinHash(num_perm=64).sign_many(["a b c"]).values
    with pytest.raises(ParameterError, match="21 bands of 6 rows need 126 slots, the signatures have 64; raise num_perm"):
        Banding(21, 6).keys(values)
    assert Banding(16, 4).keys(values).shape == (1, 16)


@pytest.mark.parametrize(
    ("threshold", "bands", "rows"), [(0.5, 42, 3), (0.7, 32, 4), (0.8, 21, 6), (0.9, 12, 10), (0.3, 64, 2), (1.0, 1, 128)]
)
def test_the_banding_for_a_threshold(threshold: float, bands: int, rows: int) -> None:
    """With 128 slots: 42 x 3, 32 x 4, 21 x 6 and 12 x 10 at 0.5, 0.7, 0.8 and 0.9."""
    assert Banding.for_threshold(threshold) == Banding(bands, rows)


@given(st.floats(0.2, 1.0), st.floats(0.01, 0.9999), st.integers(2, 512))
def test_the_most_selective_banding(threshold: float, recall: float, num_perm: int) -> None:
    """It is the largest number of rows that reaches the recall, with all the bands that fit; or it warns."""

    def reached(rows: int) -> bool:
        return 1 - (1 - threshold**rows) ** (num_perm // rows) >= recall

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        banding = Banding.for_threshold(threshold, recall, num_perm)
    assert banding.bands == num_perm // banding.rows
    assert not any(reached(rows) for rows in range(banding.rows + 1, num_perm + 1))
    assert reached(banding.rows) == (not caught)
    assert banding.rows == 1 or not caught
    assert all(issubclass(warning.category, RecallWarning) for warning in caught)


def test_a_recall_out_of_reach() -> None:
    """One row a band is the most that can be done; the warning says what it reaches, and the remedy, at the caller's line."""
    words = re.escape("recall 0.99 at threshold 0.1 is out of reach with num_perm=16: 0.815 is the most; raise num_perm")
    with pytest.warns(RecallWarning, match=words) as caught:
        assert Banding.for_threshold(0.1, num_perm=16) == Banding(16, 1)
    assert caught[0].filename == __file__
    assert issubclass(RecallWarning, UserWarning)
    for call in (lambda: Index(0.01), lambda: deduplicate([], 0.01), lambda: Banding.for_threshold(0.01)):
        with pytest.warns(RecallWarning) as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__], "it points at the caller's line"
    with pytest.warns(RecallWarning, match="threshold 0.02 is out of reach with num_perm=128"):
        Banding.for_threshold(0.02)


def test_for_threshold_takes_sound_numbers_of_slots() -> None:
    """The number of slots is that of a signature."""
    for num_perm in (0, 1, 4097, -5):
        refused(lambda num_perm=num_perm: Banding.for_threshold(0.8, num_perm=num_perm), f"num_perm is {num_perm}", "from 2 to 4096")
    refused(lambda: Banding.for_threshold(0.8, num_perm=True), "num_perm is True")
    assert Banding.for_threshold(0.8, num_perm=4096).bands * Banding.for_threshold(0.8, num_perm=4096).rows <= 4096


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 60))
def test_the_curve(similarity: float, bands: int, rows: int) -> None:
    """The probability of a candidate is 1 - (1 - s**rows)**bands, for a number and for an array."""
    banding = Banding(bands, rows)
    expected = 1 - (1 - similarity**rows) ** bands
    assert banding.probability(similarity) == expected
    assert 0 <= expected <= 1
    assert banding.probability(np.array([0.0, similarity, 1.0])) == pytest.approx([0, expected, 1])


def test_the_curve_as_text() -> None:
    """A line for each tenth, its bar as long as its probability, at any width."""
    for banding in (Banding(21, 6), Banding(1, 1), Banding(4096, 1), Banding(1, 4096)):
        for width in (1, 20, 50):
            lines = banding.curve(width).splitlines()
            assert [float(line[:3]) for line in lines] == pytest.approx([t / 10 for t in range(1, 11)])
            assert [float(line.split()[-1]) for line in lines] == pytest.approx(
                [banding.probability(t / 10) for t in range(1, 11)], abs=1e-4
            )
            assert len({len(line) for line in lines}) == 1
            assert lines[-1].count("█") == width


def test_keys() -> None:
    """Band keys of a batch are the specification's, on one thread or several."""
    signatures = MinHash().sign_many(["a b c d e f g", "b c d e f g h", "", "a b c d e f g"])
    banding = Banding.for_threshold(0.8)
    keys = banding.keys(signatures.values)
    assert keys.dtype == np.uint64
    assert keys.shape == (4, 21)
    assert keys.tolist() == [reference.band_keys(values, 21, 6).tolist() for values in signatures.values]
    assert keys.tolist() == banding.keys(signatures.values, threads=4).tolist()
    assert keys[0].tolist() == keys[3].tolist()
    assert banding.keys(signatures[1:].values).tolist() == keys[1:].tolist()
    assert banding.keys(signatures[:0].values).shape == (0, 21)
