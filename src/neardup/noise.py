"""Readings of one text that differ by misread characters: how legible a document is, and what two would share without noise.

Of a text in which one character in ten is misread, half of the shingles of six characters are wrong; so two readings of it
share a fifth of theirs, no more than two forms of one template do. The two cases are told apart by what is not shared: wrong
shingles are found nowhere else, the words of another document are. So the share of a document's shingles that the corpus
knows says how much of it was read rightly, and what two documents share is divided by that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.census import Census, ValueArray, Weights

FloatArray = npt.NDArray[np.float64]

#: Least Jaccard similarity of shingles that two readings of one text have; in what has less nothing can be judged.
LEAST = 0.04
#: Documents that have a known shingle, at least, and of many documents one in so many: two may be readings of one text, and in
#: many the same letters are misread in the same way.
KNOWN, KNOWN_OF = 3, 1000
#: Share of documents that are less legible than those that set the measure.
CLEAREST = 0.9
#: A corpus that knows less of its clearest documents is too small to tell noise from rare words: nothing is corrected.
TELLING = 0.25
#: No document counts as less legible than that.
ILLEGIBLE = 0.15


class Legibility:
    """How much of documents was read rightly, as others say.

    Parameters
    ----------
    known
        Weighs the verification hashes that the others know 1, the rest 0.
    clearest
        The share of their shingles that are known of the most legible tenth of the others; 0 when that tells nothing.
    """

    __slots__ = ("clearest", "known")

    def __init__(self, known: Weights, clearest: float) -> None:
        self.known = known
        self.clearest = clearest

    @classmethod
    def by(cls, census: Census, clearest: float) -> Legibility:
        """As a census says in which the clearest documents were read as well as that."""
        frequent = census.hashes[census.counts >= max(KNOWN, -(-census.documents // KNOWN_OF))]
        return cls(Weights(frequent, np.ones(len(frequent)), 0), clearest)

    @classmethod
    def of(cls, census: Census, evidence: ValueArray, sizes: ValueArray, threads: int = 1) -> Legibility:
        """As the documents of a census say, which are given as to :class:`~neardup.census.Census`.

        Examples
        --------
        >>> hashes = np.arange(0, 2**32, 2**27, dtype=np.uint32)
        >>> documents = np.tile(hashes, 3), np.full(3, len(hashes), np.uint32)
        >>> Legibility.of(Census(*documents), *documents).of_one(hashes)
        1.0
        """
        taken = sizes[: census.documents]
        plain = cls.by(census, 1.0)
        starts = np.cumsum(taken, dtype=np.uint64) - taken
        shares = np.sort(plain.known.totals((evidence, starts, taken), threads) / taken)
        clearest = float(shares[int(CLEAREST * (len(shares) - 1))]) if len(shares) else 0.0
        return cls(plain.known, clearest if clearest >= TELLING else 0.0)

    def of_sets(self, sets: _kernels.Sets, threads: int) -> FloatArray:
        """How much of each set was read rightly: above 0, at most 1."""
        if not self.clearest:
            return np.ones(len(sets[2]))
        legible: FloatArray = np.clip(self.known.totals(sets, threads) / sets[2] / self.clearest, ILLEGIBLE, 1.0)
        return legible

    def of_one(self, hashes: ValueArray) -> float:
        """The same of one document; 1 of one that has no shingle."""
        if not self.clearest or not len(hashes):
            return 1.0
        return min(max(self.known.total(hashes) / len(hashes) / self.clearest, ILLEGIBLE), 1.0)


def corrected(both: Any, n: Any, m: Any, legible: Any, other: Any) -> Any:
    """The similarity of documents of ``n`` and ``m`` shingles that share ``both``, numbers or arrays, had they been read rightly.

    What is shared, over the geometric mean of what each has, over the legibility of both, and times the ratio of lengths: of
    what is much longer something else is in it.

    Examples
    --------
    >>> float(corrected(100, 1000, 1000, 0.4, 0.4)), float(corrected(100, 1000, 1000, 1.0, 1.0))
    (0.624..., 0.1)
    >>> float(corrected(100, 100, 100, 0.9, 0.9))
    1.0
    """
    low, high = np.minimum(n, m), np.maximum(n, m)
    return np.minimum(both / np.sqrt(low * 1.0 * high) / (legible * other) * (low / high), 1.0)


def least_jaccard(threshold: float, legible: float) -> float:
    """The Jaccard similarity below which no document matches one of this legibility, whatever its own.

    Examples
    --------
    >>> round(least_jaccard(0.65, 1.0), 3), least_jaccard(0.65, 0.2)
    (0.051, 0.04)
    """
    shared = threshold * legible * ILLEGIBLE  # of two of one size, for which the Jaccard similarity is least
    return max(LEAST, shared / (2 - shared) * (1 - 1e-9))


class Readings:
    """What judges pairs of sets by what they would share without noise.

    Parameters
    ----------
    threshold
        Least corrected similarity of a match.
    arrays
        All verification hashes, where those of each set begin, and how many they are.
    legible
        How much of each was read rightly, float64[n].

    Examples
    --------
    >>> evidence = np.arange(20, dtype=np.uint32)
    >>> arrays = evidence, np.array([0, 6], np.uint64), np.array([10, 10], np.uint32)
    >>> readings = Readings(0.6, arrays, np.array([0.5, 1.0]))
    >>> first, second, both = (np.array([i], np.uint32) for i in (0, 1, 4))
    >>> readings.similarities(first, second, both, 1).tolist()
    [0.8]
    """

    __slots__ = ("arrays", "legible", "threshold")

    def __init__(self, threshold: float, arrays: _kernels.Sets, legible: FloatArray) -> None:
        self.threshold = threshold
        self.arrays = arrays
        self.legible = legible

    def compare(self, pairs: npt.NDArray[np.uint64], threads: int) -> _kernels.Edges:
        """Those of some pairs that may match."""
        return _kernels.compare_readings(pairs, self.arrays, self.legible, LEAST, self.threshold, threads)

    def similarities(self, a: ValueArray, b: ValueArray, both: ValueArray, threads: int) -> FloatArray:  # noqa: ARG002  little work
        """The similarities of pairs, given by number, that share so many hashes."""
        sizes = self.arrays[2]
        similarities: FloatArray = corrected(both, sizes[a], sizes[b], self.legible[a], self.legible[b])
        return similarities

    def required(self, numbers: npt.NDArray[np.int64]) -> _kernels.Required:
        """What matches among some sets require: how legible each is, and the threshold."""
        return self.legible[numbers], self.threshold
