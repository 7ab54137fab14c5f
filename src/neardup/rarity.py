"""Similarity in which a shingle counts for more the fewer documents have it: boilerplate for little, substance for much.

The weight is an inverse document frequency (Spaerck Jones, "A statistical interpretation of term specificity", 1972): the
logarithm of how many documents there are for each that has the shingle. The weights of what two documents share, over those
of what either has, is their weighted Jaccard similarity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.census import Census, ValueArray, Weights

FloatArray = npt.NDArray[np.float64]

#: A shingle of so many documents, or fewer, is as rare as can be: near-duplicates do not make their own substance common.
RARE = 4
#: Parts of a bit in which weights are counted, so that sums of them are exact.
PARTS = 16
#: Of the threshold, the Jaccard similarity that candidates must have.
SHARE = 0.5


def rarity(census: Census) -> Weights:
    """What shingles weigh by how many documents of a census have them.

    ``16 * log2((documents + 4) / max(having, 4))``, rounded, and at least 1.

    Examples
    --------
    >>> weights = rarity(Census(np.arange(1000, dtype=np.uint32) % 2, np.ones(1000, np.uint32)))
    >>> weights.total(np.array([0], np.uint32)), weights.total(np.array([7], np.uint32))
    (16, 128)
    """
    many = np.append(census.counts, RARE)
    weights = np.maximum(np.rint(PARTS * np.log2((census.documents + RARE) / np.maximum(many, RARE))), 1)
    return Weights(census.hashes, weights[:-1], int(weights[-1]))


class Weighed:
    """What judges pairs of sets by the weight of what they share.

    Parameters
    ----------
    threshold
        Least weighted similarity of a match.
    arrays
        All verification hashes, where those of each set begin, and how many they are.
    weights
        What hashes weigh.
    totals
        What each set weighs, uint64[n].

    Examples
    --------
    >>> arrays = np.array([1, 2, 1, 3], np.uint32), np.array([0, 2], np.uint64), np.array([2, 2], np.uint32)
    >>> weights = Weights(np.array([1], np.uint32), np.array([9]), rest=3)
    >>> weighed = Weighed(0.5, arrays, weights, weights.totals(arrays, 1))
    >>> first, second, both = (np.array([i], np.uint32) for i in (0, 1, 1))
    >>> weighed.similarities(first, second, both, 1).tolist()
    [0.6]
    """

    __slots__ = ("arrays", "threshold", "totals", "weights")

    def __init__(self, threshold: float, arrays: _kernels.Sets, weights: Weights, totals: npt.NDArray[np.uint64]) -> None:
        self.threshold = threshold
        self.arrays = arrays
        self.weights = weights
        self.totals = totals

    def compare(self, pairs: npt.NDArray[np.uint64], threads: int) -> _kernels.Edges:
        """Those of some pairs that may match."""
        return _kernels.compare(pairs, self.arrays, SHARE * self.threshold, threads)

    def similarities(self, a: ValueArray, b: ValueArray, both: ValueArray, threads: int) -> FloatArray:  # noqa: ARG002  weights decide
        """The similarities of pairs, given by number."""
        shared = self.weights.shares(self.arrays, a, b, threads)
        similarities: FloatArray = shared / (self.totals[a] + self.totals[b] - shared)
        return similarities

    def required(self, numbers: npt.NDArray[np.int64]) -> _kernels.Required:
        """What matches among some sets require: what hashes weigh, what each set does, and the threshold."""
        return self.weights.table, self.totals[numbers], self.threshold
