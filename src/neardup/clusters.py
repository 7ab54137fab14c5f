"""Verified matches to decisions: what is kept, what is removed, and which kept document is the witness.

In order of rank a document is kept if it matches no kept one: the lexicographically first maximal independent set of the
match graph. So every removed document names a kept one that it matches, nothing is lost through a chain of resemblance,
and the answer is the same for any threads, batches or engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PlaceArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def rank_order(keep: str, lengths: PlaceArray) -> PlaceArray:
    """The places of documents in order of preference: int64[n] of their lengths, int64[n].

    Parameters
    ----------
    keep
        ``"first"``, ``"last"``, or ``"longest"`` (of equally long ones the first).
    lengths
        Characters of each document.

    Examples
    --------
    >>> [rank_order(keep, np.array([3, 9, 9])).tolist() for keep in ("first", "last", "longest")]
    [[0, 1, 2], [2, 1, 0], [1, 2, 0]]
    """
    places = np.arange(len(lengths), dtype=np.int64)
    if keep == "longest":
        return np.argsort(-lengths, kind="stable").astype(np.int64)
    return places[::-1].copy() if keep == "last" else places


@dataclass(frozen=True, slots=True)
class Decisions:
    """What became of each document, by its place in the input.

    Attributes
    ----------
    witness
        The place of the kept document that a removed one duplicates, int64[n]; -1 for kept documents.
    similarity
        The similarity to the witness, float64[n]; 0 for kept documents.
    """

    witness: PlaceArray
    similarity: FloatArray

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each document is kept, bool[n]."""
        return self.witness < 0

    def clusters(self) -> list[list[int]]:
        """The groups of two or more: the kept document first, then those removed for it, all by place.

        Examples
        --------
        >>> Decisions(np.array([-1, 0, -1, 2, 0]), np.zeros(5)).clusters()
        [[0, 1, 4], [2, 3]]
        """
        removed = np.flatnonzero(self.witness >= 0)
        order = removed[np.argsort(self.witness[removed], kind="stable")]
        kept, starts = np.unique(self.witness[order], return_index=True)
        groups = np.split(order, starts[1:])
        return [[int(k), *map(int, group)] for k, group in zip(kept, groups, strict=True)] if len(kept) else []


def choose_witnesses(offsets: PlaceArray, kept_ranks: PlaceArray, similarities: FloatArray) -> PlaceArray:
    """Of each document's matches the one of highest similarity, ties by rank: its place among the matches, or -1.

    Parameters
    ----------
    offsets
        The matches of document i are ``[offsets[i]:offsets[i + 1]]``, int64[n + 1].
    kept_ranks
        The rank of each matched document.
    similarities
        Its similarity.

    Examples
    --------
    >>> choose_witnesses(np.array([0, 2, 2, 3]), np.array([4, 1, 0]), np.array([0.9, 0.9, 0.8])).tolist()
    [1, -1, 2]
    """
    sizes = np.diff(offsets)
    document = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((kept_ranks, -similarities, document))
    best = np.full(len(sizes), -1, np.int64)
    best[sizes > 0] = order[offsets[:-1][sizes > 0]]
    return best
