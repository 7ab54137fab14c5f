"""Verified matches to decisions: what is kept, what is removed, and which kept document is the witness.

In order of rank a document is kept if it matches no kept one: the lexicographically first maximal independent set of the
match graph. So every removed document names a kept one that it matches, nothing is lost through a chain of resemblance,
and the answer is the same for any threads, batches or engine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.ids import Mask, PlaceArray
from neardup.joins import Edges, Join, Sets

FloatArray = npt.NDArray[np.float64]


class Decisions(NamedTuple):
    """What became of each document, by its place in the input.

    Attributes
    ----------
    witness
        The place of the kept document that a removed one duplicates, int64[n]; -1 for kept documents. From n on the places of
        documents of an older corpus.
    similarity
        The similarity to the witness, float64[n]; 0 for kept documents.
    """

    witness: PlaceArray
    similarity: FloatArray

    @classmethod
    def of(cls, sets: Sets, witness: PlaceArray, similarity: FloatArray) -> Decisions:
        """The decisions on documents from those on their m shingle sets: the other documents of a kept set are its copies.

        A witness from m on is a document of an older corpus.
        """
        n, m = len(sets.number), len(sets)
        outside = np.arange(n, n + max(0, int(witness.max(initial=0)) - m + 1))
        founders = np.concatenate((sets.place, outside, [-1]))  # the last is that of documents without shingles
        kept = np.append(witness < 0, True)[sets.number]
        removed = kept & (founders[sets.number] != np.arange(n)) & (sets.number >= 0)
        places = np.where(kept, np.where(removed, founders[sets.number], -1), founders[np.append(witness, -1)[sets.number]])
        scores = np.where(kept, removed.astype(np.float64), np.append(similarity, 0.0)[sets.number])
        return cls(places, scores)

    @property
    def kept(self) -> Mask:
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


def first_kept(barred: Mask, edges: Edges) -> Mask:
    """Which of some sets are kept, in order of number: bool[sets]; none that is barred, which bars no other.

    Examples
    --------
    >>> chain = Edges(np.array([0, 1, 2], np.uint32), np.array([1, 2, 3], np.uint32), np.array([0.8, 0.8, 0.8]))
    >>> first_kept(np.zeros(4, bool), chain).tolist(), first_kept(np.array([True, False, False, False]), chain).tolist()
    ([True, False, True, False], [False, True, False, True])
    """
    if barred.any():
        edges = edges.where(~(barred[edges.earlier] | barred[edges.later]))
    return _kernels.first_independent_set(len(barred), edges.earlier, edges.later) & ~barred


def choose_witnesses(kept: Mask, edges: Edges) -> tuple[PlaceArray, FloatArray]:
    """Of each removed set's kept matches the one of highest similarity, of equal ones the first: its number, or -1, and the similarity.

    Examples
    --------
    >>> edges = Edges(np.array([0, 1, 1], np.uint32), np.array([1, 2, 3], np.uint32), np.array([0.8, 0.9, 0.9]))
    >>> [column.tolist() for column in choose_witnesses(np.array([True, False, True, True]), edges)]
    [[-1, 2, -1, -1], [0.0, 0.9, 0.0, 0.0]]
    """
    deciding = edges.where(kept[edges.earlier] != kept[edges.later])
    kept_first = kept[deciding.earlier]
    keeper = np.where(kept_first, deciding.earlier, deciding.later)
    removed = np.where(kept_first, deciding.later, deciding.earlier)
    order = np.lexsort((keeper, -deciding.similarity, removed))
    places, first = np.unique(removed[order], return_index=True)
    witness, scores = np.full(len(kept), -1, np.int64), np.zeros(len(kept))
    witness[places], scores[places] = keeper[order][first], deciding.similarity[order][first]
    return witness, scores


def component_witnesses(join: Join, edges: Edges) -> tuple[PlaceArray, FloatArray]:
    """The first set of each component for all others of it, and their similarity, which may be below the threshold."""
    sets = join.sets
    first = _kernels.components(len(sets), edges.earlier, edges.later)
    numbers = np.arange(len(sets), dtype=np.uint32)
    members = first != numbers
    witness, scores = np.full(len(sets), -1, np.int64), np.zeros(len(sets))
    witness[members] = first[members]
    scores[members] = join.similarities(first[members], numbers[members])
    return witness, scores
