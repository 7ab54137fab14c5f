"""Documents inside longer ones: found by a sample of their shingles, judged by how much of the shorter is in the longer.

The sample is that of the smallest verification hashes (Broder 1997, "On the resemblance and containment of documents",
section 4): as it depends on the shingle alone, what two documents share is in the samples of both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neardup import _kernels

ValueArray = npt.NDArray[np.uint32]

#: Of the verification hashes, one in so many is looked up by: the smallest.
SAMPLED = 4
#: The first hash that is not.
SAMPLE = 2**32 // SAMPLED


def found_in_longer(containment: float, shingles: int) -> float:
    """The probability that a document which contains so much of an excerpt of so many shingles is a candidate.

    One of their common shingles must be in the sample, which is as random as the hash.

    Examples
    --------
    >>> round(found_in_longer(0.8, 10), 3), round(found_in_longer(0.8, 40), 5)
    (0.9, 0.9999)
    """
    return float(1 - (1 - 1 / SAMPLED) ** (containment * shingles))


class Contained:
    """What judges pairs of sets by how much of the smaller is in the larger.

    Parameters
    ----------
    threshold
        Least share of the smaller set, in a match.
    arrays
        All verification hashes, where those of each set begin, and how many they are.

    Examples
    --------
    >>> arrays = np.array([1, 2, 1, 2, 3], np.uint32), np.array([0, 2], np.uint64), np.array([2, 3], np.uint32)
    >>> contained = Contained(0.8, arrays)
    >>> first, second, both = (np.array([i], np.uint32) for i in (0, 1, 2))
    >>> contained.similarities(first, second, both, 1).tolist()
    [1.0]
    """

    __slots__ = ("arrays", "threshold")

    def __init__(self, threshold: float, arrays: _kernels.Sets) -> None:
        self.threshold = threshold
        self.arrays = arrays

    def compare(self, pairs: npt.NDArray[np.uint64], threads: int) -> _kernels.Edges:
        """Those of some pairs that may match."""
        return _kernels.compare(pairs, self.arrays, self.threshold, threads, overlap=True)

    def similarities(self, a: ValueArray, b: ValueArray, both: ValueArray, threads: int) -> npt.NDArray[np.float64]:  # noqa: ARG002
        """The share of the smaller set in the larger, of pairs, given by number, that share so many hashes."""
        sizes = self.arrays[2]
        shares: npt.NDArray[np.float64] = both / np.minimum(sizes[a], sizes[b])
        return shares

    def required(self, numbers: npt.NDArray[np.int64]) -> float:  # noqa: ARG002  of any
        """What matches require instead of a Jaccard similarity: how much of the smaller is in the larger."""
        return self.threshold
