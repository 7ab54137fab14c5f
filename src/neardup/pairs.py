"""All pairs of documents of a store that match, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neardup.errors import ParameterError
from neardup.ids import PackedIds, PlaceArray, id_column, id_order, pack
from neardup.joins import Edges, Join, Sets, Signed
from neardup.profiles import Settings
from neardup.spool import memory_bytes
from neardup.stores import Store
from neardup.verify import Estimated
from neardup.work import Work

if TYPE_CHECKING:
    import pyarrow as pa

    from neardup.judging import Judge


def pairs_of(store: Store, settings: Settings, judge: Judge | None, most: int, threads: int) -> pa.Table:
    """All matching pairs of the documents of a store, judged by their corpus where there is a judge.

    Raises
    ------
    ParameterError
        If there are more than ``most``.
    """

    def check(pairs: int) -> None:
        if pairs > most:
            raise ParameterError(f"more than max_pairs={most} pairs; deduplicating lists copies as a star, or raise max_pairs")

    ids, join = _joined(store, settings, judge, threads)
    every = np.ones(len(join.sets), bool)
    edges = join.edges(every, every, lambda _done, _total, found: check(found), most)
    check(_many_pairs(join.sets.number, edges))
    return _pairs_table(ids, join.sets.number, edges)


def _joined(store: Store, settings: Settings, judge: Judge | None, threads: int) -> tuple[PackedIds, Join]:
    """The ids of all documents, and the join of their shingle sets."""
    work = Work(memory_bytes(None))
    signed = Signed(settings.banding.bands, work, -(-settings.slots // 4))
    data, ends = work.column("ids", np.uint8), work.column("id-ends", np.uint64)
    for names, batch in store.batches():
        signed.append(batch)
        packed, stops = pack(names)
        ends.append(stops + np.uint64(data.nbytes))
        data.append(packed)
        work.publish("reading")
        del names, batch, packed  # they are in columns now
    signed.close()
    ids = PackedIds(data.array(), ends.array())
    sets = Sets.of(signed, np.arange(len(ids)), threads)
    join = Join(sets, settings.least, threads, sample=settings.sample)
    if settings.inside:
        from neardup.excerpts import Contained

        join.judge = Contained(settings.threshold, sets.arrays)
    elif judge is not None:
        join.judge = judge.view(store).judge(sets, settings.threshold, threads)
    elif settings.slots:
        join.judge = Estimated(settings.threshold, sets.arrays, sets.sizes, settings.slots)
    return ids, join


def _many_pairs(number: PlaceArray, edges: Edges) -> int:
    """How many pairs of documents match, of the shingle set of each and the matches of sets.

    Examples
    --------
    >>> edges = Edges(np.array([0], np.uint32), np.array([1], np.uint32), np.array([0.9]))
    >>> _many_pairs(np.array([0, 0, 0, 1, -1]), edges)
    6
    """
    many = np.bincount(number[number >= 0], minlength=int(number.max(initial=-1)) + 1).astype(np.int64)
    return int((many[edges.earlier] * many[edges.later]).sum() + (many * (many - 1) // 2).sum())


def _pairs_table(ids: PackedIds, number: PlaceArray, edges: Edges) -> pa.Table:
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
    >>> _pairs_table(PackedIds(*pack(["c", "b", "a"])), np.array([0, 1, 0]), edges).to_pydict()
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
