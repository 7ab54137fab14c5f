"""Matches to decisions: what is kept, which kept document a removed one duplicates, and what matches connect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import ParameterError

#: Edges of a row when all edges stream through one task; with their similarity 24 bytes each.
EDGES = 1 << 15
#: The most edges whose components one task finds in its memory: about 2 GB.
NATIVE = 30_000_000
#: Rounds after which a graph of stars that still changes is a defect: its diameter would be beyond 2^30.
ROUNDS = 60


class Packing:
    """Edges in order of their later ends, many in a row: ``first`` and ``last`` say from which later end to which."""

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of ``earlier``, ``later`` and ``similarity`` as batches of rows of bytes."""
        import pyarrow as pa

        def row(parts: list[Any]) -> Any:
            table = pa.Table.from_batches(parts)
            words = [table.column(name).to_numpy().view(np.uint64) for name in ("earlier", "later", "similarity")]
            later = words[1].view(np.int64)
            columns = [[int(later[0])], [int(later[-1])], [np.concatenate(words).tobytes()]]
            return pa.RecordBatch.from_arrays(
                [pa.array(columns[0], pa.int64()), pa.array(columns[1], pa.int64()), pa.array(columns[2], pa.binary())],
                ["first", "last", "data"],
            )

        held, many = list[Any](), 0
        for batch in batches:
            if batch.num_rows:
                held.append(batch)
                many += batch.num_rows
            if many >= EDGES:
                yield row(held)
                held, many = [], 0
        if held:
            yield row(held)


def unpacked(data: bytes) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    """The earlier ends, later ends and similarities of a row."""
    earlier, later, scores = np.frombuffer(data, np.uint64).reshape(3, -1)
    return earlier, later, scores.view(np.float64)


class Deciding:
    """One pass over all edges in order of their later ends, with a bit for every document: whether it is kept.

    A document is kept if no edge leads to it from one that is. An edge from a document to itself says that it is removed.
    What is handed on are the edges between a removed document and a kept one.
    """

    def __init__(self, documents: int) -> None:
        self.documents = documents

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of packed edges as batches of ``removed``, ``keeper``, ``similarity``."""
        import pyarrow as pa

        kept = np.full(self.documents // 8 + 1, 255, np.uint8)
        held = tuple(np.empty(0, kind) for kind in (np.uint64, np.uint64, np.float64))  # to a document that may have more

        def is_kept(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
            bits = kept[numbers >> np.uint64(3)] >> (numbers & np.uint64(7)).astype(np.uint8)
            there: npt.NDArray[np.bool_] = (bits & 1).astype(bool)
            return there

        def decided(edges: tuple[npt.NDArray[Any], ...]) -> Any:
            earlier, later, scores = edges
            first, second = is_kept(earlier), is_kept(later)
            deciding = first != second
            keeper = np.where(first, earlier, later)[deciding].view(np.int64)
            removed = np.where(first, later, earlier)[deciding].view(np.int64)
            columns = [pa.array(removed), pa.array(keeper), pa.array(scores[deciding])]
            return pa.RecordBatch.from_arrays(columns, ["removed", "keeper", "similarity"])

        for batch in batches:
            for data in batch.column("data"):
                edges = unpacked(data.as_buffer())
                _kernels.keep_first(kept, edges[0], edges[1])
                every = tuple(np.concatenate(pair) for pair in zip(held, edges, strict=True))
                whole = int(np.searchsorted(every[1], every[1][-1]))
                yield decided(tuple(column[:whole] for column in every))
                held = tuple(column[whole:] for column in every)
        yield decided(held)


def in_order(edges: Any) -> Any:
    """Edges ``earlier``, ``later``, ``similarity`` in order of their later ends, packed: sorted by many tasks."""
    rows = edges.select("earlier", "later", "similarity").orderBy("later", "earlier")
    return rows.mapInArrow(Packing(), "first long, last long, data binary")


def deciding_edges(in_order: Any, documents: int) -> Any:
    """The edges between removed and kept documents: ``removed``, ``keeper``, ``similarity``."""
    one = in_order.repartition(1).sortWithinPartitions("first", "last")
    return one.mapInArrow(Deciding(documents), "removed long, keeper long, similarity double")


def witnesses(edges: Any) -> Any:
    """Of each removed document its most similar keeper, of equals the first: ``removed``, ``keeper``, ``similarity``."""
    from pyspark.sql import functions as F  # noqa: N812

    best = edges.groupBy("removed").agg(F.min(F.struct((-F.col("similarity")).alias("s"), F.col("keeper"))).alias("best"))
    return best.select("removed", F.col("best.keeper").alias("keeper"), (-F.col("best.s")).alias("similarity"))


# ---- crowds ----------------------------------------------------------------------------------------------------------------


def ahead(members: Any, edges: Any, decided: Any) -> tuple[Any, Any]:
    """Sets that rank first, among what is undecided, in all their heavy buckets and among all that they match elsewhere.

    Parameters
    ----------
    members
        ``key``, ``number``, ``rank`` of what is in heavy buckets.
    edges
        Other matches, ``earlier`` and ``later`` by rank.
    decided
        ``rank`` and ``kept`` of what is decided.

    Returns
    -------
    The ``rank`` of each, which are kept; and whom they meet: distinct pairs ``a`` and ``b`` of numbers with ``rank`` of b and ``lead`` of a.
    """
    from pyspark.sql import functions as F  # noqa: N812

    undecided = members.join(decided.select("rank"), "rank", "left_anti")
    first = undecided.groupBy("key").agg(F.min(F.struct("rank", "number")).alias("first"))
    met = undecided.join(first, "key").select("key", "number", "rank", F.col("first.rank").alias("lead"), F.col("first.number").alias("a"))
    removed = decided.where("not kept").select(F.col("rank").alias("earlier"))
    behind = (
        met.where("rank > lead").select("rank").unionAll(edges.join(removed, "earlier", "left_anti").select(F.col("later").alias("rank")))
    )
    leaders = undecided.select("rank").distinct().join(behind, "rank", "left_anti")
    stars = met.where("rank > lead").join(leaders.select(F.col("rank").alias("lead")), "lead", "left_semi")
    return leaders, stars.select("a", F.col("number").alias("b"), "rank", "lead").distinct()


def comparisons(members: Any) -> tuple[int, int]:
    """How many comparisons members of heavy buckets would take pair by pair, counted once a bucket; and how many they are."""
    from pyspark.sql import functions as F  # noqa: N812

    sizes = members.groupBy("key").count()
    total = sizes.agg(F.sum(F.col("count").cast("double") * (F.col("count") - 1) / 2)).first()[0]
    return int(total or 0), members.select("rank").distinct().count()


# ---- components ------------------------------------------------------------------------------------------------------------


class Connecting:
    """Components in the memory of one task."""

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of ``a`` and ``b`` as batches of ``id`` and ``cluster``, the least id that is connected with it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        every = [batch for batch in batches if batch.num_rows]
        if not every:
            return
        table = pa.Table.from_batches(every)
        ids = pc.unique(pa.chunked_array([*table.column("a").chunks, *table.column("b").chunks]))
        ids = ids.take(pc.sort_indices(ids))
        a, b = (pc.index_in(table.column(name), ids).to_numpy().astype(np.uint32) for name in "ab")
        first = pa.array(_kernels.components(len(ids), a, b))
        made = pa.RecordBatch.from_arrays([ids, ids.take(first)], ["id", "cluster"])
        for start in range(0, made.num_rows, 1 << 16):
            yield made.slice(start, 1 << 16)


def components(pairs: Any, keep: Callable[[str, Any], Any], native: int = NATIVE) -> Any:
    """The component of each end of pairs ``a`` and ``b``: ``id`` and ``cluster``, its least id.

    Few pairs are joined in one task. More are by alternating large and small stars (Kiveris, Lattanzi, Mirrokni, Rastogi and
    Vassilvitskii, "Connected Components in MapReduce and Beyond", SOCC 2014): every id comes to hang on the least that it is
    connected with.

    Parameters
    ----------
    pairs
        Of ids of one type.
    keep
        Writes a frame under a name, and gives it as it was written.
    native
        The most pairs that one task takes.
    """
    from pyspark.sql import functions as F  # noqa: N812

    kind = dict(pairs.dtypes)["a"]
    edges = keep("edges", pairs.where("a != b").select(F.greatest("a", "b").alias("u"), F.least("a", "b").alias("v")).distinct())
    if edges.count() <= native:
        few = edges.select(F.col("u").alias("a"), F.col("v").alias("b")).repartition(1)
        return keep("components", few.mapInArrow(Connecting(), f"id {kind}, cluster {kind}"))
    for turn in range(ROUNDS):
        both = edges.unionAll(edges.select(F.col("v").alias("u"), F.col("u").alias("v")))
        least = both.groupBy("u").agg(F.min("v").alias("least")).select("u", F.least("u", "least").alias("least"))
        large = both.join(least, "u").where("v > u").select(F.col("v").alias("u"), F.col("least").alias("v")).where("u != v").distinct()
        large = keep(f"large-star-{turn}", large)
        down = large.select(F.greatest("u", "v").alias("u"), F.least("u", "v").alias("v"))
        least = down.groupBy("u").agg(F.min("v").alias("least"))
        small = down.join(least, "u")
        small = small.select(F.col("v").alias("u"), F.col("least").alias("v")).unionAll(least.select("u", F.col("least").alias("v")))
        found = keep(f"small-star-{turn}", small.where("u != v").distinct())
        same = edges.exceptAll(found).isEmpty() and found.exceptAll(edges).isEmpty()
        edges = found
        if same:
            break
    else:
        raise ParameterError(f"components still change after {ROUNDS} rounds of stars; report it, with the graph")
    roots = edges.select(F.col("v").alias("id"), F.col("v").alias("cluster")).distinct()
    return keep("components", edges.select(F.col("u").alias("id"), F.col("v").alias("cluster")).unionAll(roots))
