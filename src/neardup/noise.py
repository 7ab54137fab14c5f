"""Readings of one text that differ by misread characters: how legible a document is, and what two would share without noise.

Of a text in which one character in ten is misread, half of the shingles of six characters are wrong; so two readings of it
share a fifth of theirs, no more than two forms of one template do. The two cases are told apart by what is not shared: wrong
shingles are found nowhere else, the words of another document are. So the share of a document's shingles that the corpus
knows says how much of it was read rightly, and what two documents share is divided by that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Least Jaccard similarity of shingles that two readings of one text have; in what has less nothing can be judged.
LEAST = 0.04
#: Documents that have a known shingle, at least, and of many documents one in so many: two may be readings of one text, and in
#: many the same letters are misread in the same way.
KNOWN, KNOWN_OF = 3, 1000
#: Verification hashes that a census looks at: the first.
COUNTED = 1 << 24
#: Share of documents that are less legible than those that set the measure.
CLEAREST = 0.9
#: A corpus that knows less of its clearest documents is too small to tell noise from rare words: nothing is corrected.
TELLING = 0.25
#: No document counts as less legible than that.
ILLEGIBLE = 0.15


class Census:
    """Which shingles a corpus knows.

    Parameters
    ----------
    known
        Whether a verification hash with these first bits is known, bool[2**bits].
    clearest
        The share of their shingles that are known of the most legible tenth of its documents; 0 when that tells nothing.
    """

    __slots__ = ("clearest", "known")

    def __init__(self, known: Mask, clearest: float) -> None:
        self.known = known
        self.clearest = clearest

    @classmethod
    def of(cls, documents: Iterable[npt.NDArray[np.uint32]]) -> Census:
        """The census of documents, given their verification hashes, sorted and distinct; no more than the first are looked at.

        Examples
        --------
        >>> hashes = np.arange(0, 2**32, 2**27, dtype=np.uint32)
        >>> Census.of([hashes, hashes, hashes]).legibility(hashes)
        1.0
        """
        taken, many = [], 0
        for hashes in documents:
            if many and many + len(hashes) > COUNTED:
                break
            taken.append(hashes[:COUNTED])
            many += len(taken[-1])
        every = np.sort(np.concatenate([np.empty(0, np.uint32), *taken]))
        least = max(KNOWN, -(-len(taken) // KNOWN_OF))
        ends = every[least - 1 :]
        frequent = ends[ends == every[: len(ends)]]
        bits = min(max(10, (16 * len(frequent)).bit_length()), 26)
        known = np.zeros(1 << bits, bool)
        known[frequent >> np.uint32(32 - bits)] = True
        plain = cls(known, 1.0)
        shares = sorted(plain._share(hashes) for hashes in taken if len(hashes))
        clearest = shares[int(CLEAREST * (len(shares) - 1))] if shares else 0.0
        return cls(known, clearest if clearest >= TELLING else 0.0)

    def _share(self, hashes: npt.NDArray[np.uint32]) -> float:
        shift = np.uint32(33 - len(self.known).bit_length())
        return float(np.count_nonzero(self.known[hashes >> shift])) / len(hashes)

    def legibility(self, hashes: npt.NDArray[np.uint32]) -> float:
        """How much of a document was read rightly, of one or more verification hashes: above 0, at most 1."""
        if not self.clearest or not len(hashes):
            return 1.0
        return min(max(self._share(hashes) / self.clearest, ILLEGIBLE), 1.0)


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
    """What judges pairs of documents by what they would share without noise.

    Parameters
    ----------
    threshold
        Least corrected similarity of a match.
    sizes
        Distinct shingles of each document, uint32[n].
    legible
        How much of each was read rightly, float64[n].

    Examples
    --------
    >>> readings = Readings(0.6, np.array([10, 10], np.uint32), np.array([0.5, 1.0]))
    >>> first, second, both = (np.array([i], np.uint32) for i in (0, 1, 4))
    >>> readings.similarities(first, second, both).tolist()
    [0.8]
    """

    __slots__ = ("legible", "sizes", "threshold")

    def __init__(self, threshold: float, sizes: npt.NDArray[np.uint32], legible: FloatArray) -> None:
        self.threshold = threshold
        self.sizes = sizes
        self.legible = legible

    def similarities(self, a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], both: npt.NDArray[np.uint32]) -> FloatArray:
        """The similarities of pairs, given by number, that share so many hashes."""
        similarities: FloatArray = corrected(both, self.sizes[a], self.sizes[b], self.legible[a], self.legible[b])
        return similarities
