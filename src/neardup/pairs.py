"""Matches of shingle sets as a table of pairs of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neardup.ids import PackedIds, PlaceArray, id_column, id_order
from neardup.joins import Edges

if TYPE_CHECKING:
    import pyarrow as pa


def many_pairs(number: PlaceArray, edges: Edges) -> int:
    """How many pairs of documents match, of the shingle set of each and the matches of sets.

    Examples
    --------
    >>> edges = Edges(np.array([0], np.uint32), np.array([1], np.uint32), np.array([0.9]))
    >>> many_pairs(np.array([0, 0, 0, 1, -1]), edges)
    6
    """
    many = np.bincount(number[number >= 0], minlength=int(number.max(initial=-1)) + 1).astype(np.int64)
    return int((many[edges.earlier] * many[edges.later]).sum() + (many * (many - 1) // 2).sum())


def pairs_table(ids: PackedIds, number: PlaceArray, edges: Edges) -> pa.Table:
    """All pairs of documents that match, copies among them: ``a``, ``b`` and ``similarity``, in order of their ids.

    Parameters
    ----------
    ids
        Those of the documents.
    number
        The shingle set of each, int64[n]; -1 where there is none.
    edges
        The sets that match.

    Examples
    --------
    >>> from neardup.ids import pack
    >>> edges = Edges(np.array([0], np.uint32), np.array([1], np.uint32), np.array([0.9]))
    >>> pairs_table(PackedIds(*pack(["c", "b", "a"])), np.array([0, 1, 0]), edges).to_pydict()
    {'a': ['a', 'a', 'b'], 'b': ['b', 'c', 'c'], 'similarity': [0.9, 1.0, 0.9]}
    """
    import pyarrow as pa

    documents = np.argsort(number, kind="stable")  # those of one set together
    starts = np.searchsorted(number[documents], np.arange(number.max(initial=-1) + 2))
    many = np.diff(starts)
    each = many[edges.earlier] * many[edges.later]
    nth, width = _counted(each), np.repeat(many[edges.later], each)
    matching = (np.repeat(starts[edges.earlier], each) + nth // width, np.repeat(starts[edges.later], each) + nth % width)
    own = np.arange(starts[0], len(documents))
    after = starts[number[documents[own]] + 1] - own - 1  # the copies that come after each
    copies = np.repeat(own, after), np.repeat(own + 1, after) + _counted(after)
    a, b = (documents[np.concatenate(side)] for side in zip(matching, copies, strict=True))
    scores = np.concatenate((np.repeat(edges.similarity, each), np.ones(int(after.sum()))))

    places, both = np.unique(np.concatenate((a, b)), return_inverse=True)
    names = ids.take(places)
    order = sorted(range(len(names)), key=lambda place: id_order(names[place]))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    first, second = np.sort(rank[both].reshape(2, -1), axis=0)
    sorted_pairs = np.lexsort((second, first))
    column = id_column([names[place] for place in order])
    a, b = (column.take(pa.array(side[sorted_pairs])) for side in (first, second))
    return pa.table({"a": a, "b": b, "similarity": pa.array(scores[sorted_pairs], pa.float64())})


def _counted(many: npt.NDArray[Any]) -> PlaceArray:
    """0, 1, 2 and so on for each number, so many."""
    ends = np.cumsum(many, dtype=np.int64)
    counted: PlaceArray = np.arange(int(many.sum())) - np.repeat(ends - many, many)
    return counted
