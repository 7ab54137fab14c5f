"""Candidates to verified matches: similarities that are exact, and the passages that two documents share.

Every store, every engine and the functions here compare the same sets: the high 32 bits of the shingle hashes. The
difference from the Jaccard similarity of the shingles themselves is about n * m / 2**32 shingles, 10**-7 for ordinary
documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.shingling import HashArray, Shingling, Token, sorted_distinct

ValueArray = npt.NDArray[np.uint32]


class Match(NamedTuple):
    """A stored document that a query matches.

    Attributes
    ----------
    id
        The stored document's id.
    similarity
        Jaccard similarity of the two documents' shingles.
    containment
        The share of the query's shingles that the stored document has too.
    exact
        Whether the two numbers are exact, not estimated.

    Examples
    --------
    >>> Match("a", 0.95, 1.0)
    Match(id='a', similarity=0.95, containment=1.0, exact=True)
    """

    id: str | int
    similarity: float
    containment: float
    exact: bool = True


class Shared(NamedTuple):
    """How many shingles two texts have, and share.

    Attributes
    ----------
    both
        Those that are in both.
    a, b
        Those of each.

    Examples
    --------
    >>> Shared(28, 30, 33).similarity, Shared(28, 30, 33).a_in_b
    (0.8, 0.933...)
    """

    both: int
    a: int
    b: int

    @property
    def similarity(self) -> float:
        """Their Jaccard similarity; 0 where neither has any."""
        return float(similarity(*self)) if self.a + self.b else 0.0

    @property
    def a_in_b(self) -> float:
        """The share of the first one's that the second has too; 0 where it has none."""
        return self.both / self.a if self.a else 0.0

    @property
    def b_in_a(self) -> float:
        """The share of the second one's that the first has too."""
        return self.both / self.b if self.b else 0.0


class Passage(NamedTuple):
    """A run of tokens all of whose shingles another document has too.

    Attributes
    ----------
    start, stop
        Its tokens' places in the text: ``tokens[start:stop]``.
    text
        The tokens as neardup saw them.
    stored_start
        The place of its first token in the other text, where that was given.
    """

    start: int
    stop: int
    text: str
    stored_start: int | None = None


def verification_hashes(hashes: HashArray) -> ValueArray:
    """What is compared: the high halves of the shingle hashes, distinct and sorted: uint32[m] of uint64[n].

    Examples
    --------
    >>> verification_hashes(np.array([1 << 32, (1 << 32) + 7, 2 << 32], np.uint64)).tolist()
    [1, 2]
    """
    return sorted_distinct((hashes >> np.uint64(32)).astype(np.uint32))


def similarity(both: Any, n: Any, m: Any) -> Any:
    """Jaccard similarity of sets of ``n`` and ``m`` that share ``both``, numbers or arrays; ``n + m`` is not 0.

    Examples
    --------
    >>> similarity(28, 30, 33)
    0.8
    """
    return both / (n + m - both)


#: How often two unlike slots agree in their 8 bits.
CHANCE = 1 / 256


class Estimated:
    """What judges pairs of documents by their lean signatures.

    Parameters
    ----------
    threshold
        Least estimate of a match.
    arrays
        All lean signatures, where each begins, and how many words it has.
    sizes
        How many shingles each has, uint32[n].
    slots
        Those of a lean signature.

    Examples
    --------
    >>> arrays = np.array([0x01020304, 0x01020305], np.uint32), np.array([0, 1], np.uint64), np.ones(2, np.uint32)
    >>> estimated = Estimated(0.7, arrays, np.array([20, 20], np.uint32), slots=4)
    >>> pairs = estimated.compare(np.array([1], np.uint64), threads=1)
    >>> pairs[2].tolist(), estimated.similarities(*pairs, threads=1).round(3).tolist()
    ([3], [0.749])
    """

    __slots__ = ("arrays", "sizes", "slots", "threshold")

    def __init__(self, threshold: float, arrays: _kernels.Sets, sizes: npt.NDArray[np.uint32], slots: int) -> None:
        self.threshold = threshold
        self.arrays = arrays
        self.sizes = sizes
        self.slots = slots

    def compare(self, pairs: npt.NDArray[np.uint64], threads: int) -> _kernels.Edges:
        """Those of some pairs that may match."""
        return _kernels.compare(pairs, self.arrays, self.threshold, threads, slots=self.slots)

    def similarities(self, a: Any, b: Any, both: Any, threads: int) -> npt.NDArray[np.float64]:  # noqa: ARG002  little work
        """The estimates of pairs, given by number, that agree in so many slots."""
        n, m = self.sizes[a], self.sizes[b]
        one_size = np.maximum((both / self.slots - CHANCE) / (1 - CHANCE), 0.0)
        estimates: npt.NDArray[np.float64] = np.minimum(one_size, np.minimum(n, m) / np.maximum(n, m))
        return estimates

    def required(self, numbers: npt.NDArray[np.int64]) -> None:
        """Nothing: what has no hashes has no rare ones."""


def shared_shingles(a: str, b: str, *, shingling: Shingling | None = None) -> Shared:
    """How many shingles two texts have, and how many of them they share: what their similarity is made of.

    Parameters
    ----------
    a, b
        The texts.
    shingling
        What counts as the same words; ``Shingling()`` by default.

    Raises
    ------
    TypeError
        If a text is not a string.

    Examples
    --------
    >>> shared_shingles("a b c d", "b c d e f", shingling=Shingling(size=2))
    Shared(both=2, a=3, b=4)
    """
    shingling = shingling or Shingling()
    left, right = (verification_hashes(shingling.hashes(text)) for text in (a, b))
    return Shared(_kernels.intersection(left, right), len(left), len(right))


def jaccard(a: str, b: str, *, shingling: Shingling | None = None) -> float:
    """Jaccard similarity of two texts' shingles, exactly as matches are scored.

    Parameters
    ----------
    a, b
        The texts.
    shingling
        What counts as the same words; ``Shingling()`` by default.

    Returns
    -------
    float
        0 to 1. A text without shingles has similarity 0 with everything, itself too.

    Raises
    ------
    TypeError
        If a text is not a string.

    Examples
    --------
    >>> jaccard("The cat sat on the mat.", "the CAT sat on the mat")
    1.0
    >>> jaccard("a b c d", "b c d e", shingling=Shingling(size=2))
    0.5
    """
    return shared_shingles(a, b, shingling=shingling).similarity


def containment(a: str, b: str, *, shingling: Shingling | None = None) -> float:
    """The share of a's shingles that b has too.

    Parameters
    ----------
    a, b
        The texts.
    shingling
        What counts as the same words; ``Shingling()`` by default.

    Returns
    -------
    float
        0 to 1; 0 for a text without shingles.

    Raises
    ------
    TypeError
        If a text is not a string.

    Examples
    --------
    >>> containment("b c d", "a b c d e", shingling=Shingling(size=2))
    1.0
    """
    return shared_shingles(a, b, shingling=shingling).a_in_b


def shared_passages(text: str, hashes: ValueArray, shingling: Shingling, stored: str | None = None) -> list[Passage]:
    """The passages of a text that a document has too, longest first.

    Parameters
    ----------
    text
        The text to look through.
    hashes
        The other document's verification hashes, uint32, sorted.
    shingling
        How both were cut.
    stored
        The other document's text, if it is at hand: then each passage is in one piece there too, and says where.

    Examples
    --------
    >>> shingling = Shingling(size=2)
    >>> other = verification_hashes(shingling.hashes("the cat sat on a mat"))
    >>> [passage.text for passage in shared_passages("A dog and the cat sat on the mat", other, shingling)]
    ['the cat sat on']
    """
    tokens, windows = _windows(text, shingling)
    shared = np.concatenate(([False], np.isin(windows, hashes), [False]))
    starts, stops = np.flatnonzero(np.diff(shared.astype(np.int8)) == 1), np.flatnonzero(np.diff(shared.astype(np.int8)) == -1)
    runs: list[tuple[int, int, int | None]] = [(start, stop, None) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    if stored is not None:
        runs = list(_in_one_piece(windows.tolist(), _windows(stored, shingling)[1].tolist(), runs))
    joint = "" if shingling.chars else " "
    width = min(shingling.size, len(tokens)) - 1
    runs.sort(key=lambda run: (run[0] - run[1], run[0]))
    return [Passage(start, stop + width, joint.join(map(str, tokens[start : stop + width])), there) for start, stop, there in runs]


def _windows(text: str, shingling: Shingling) -> tuple[Sequence[Token], ValueArray]:
    """The tokens of a text and the verification hashes of its shingles, in order."""
    tokens = shingling.tokenize(text)
    return tokens, (_kernels.window_hashes(shingling.token_hashes(tokens), shingling.size) >> np.uint64(32)).astype(np.uint32)


#: Places of a shingle in a text that are tried.
PLACES = 16


def _in_one_piece(
    windows: Sequence[int], others: Sequence[int], runs: Iterable[tuple[int, int, int | None]]
) -> Iterator[tuple[int, int, int | None]]:
    """Runs of shared shingles cut where they do not go on in the other text, with where each is there: the longest, the first of such."""
    places: dict[int, list[int]] = {}
    for place, hash in enumerate(others):
        at = places.setdefault(hash, [])
        if len(at) < PLACES:
            at.append(place)
    for begin, end, _ in runs:
        start = begin
        while start < end:
            best, there = 0, -1
            for place in places[windows[start]]:
                length = 0
                while start + length < end and place + length < len(others) and windows[start + length] == others[place + length]:
                    length += 1
                if length > best:
                    best, there = length, place
            yield start, start + best, there
            start += best
