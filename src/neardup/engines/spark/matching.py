"""Candidates to matches: pairs with the verification hashes of both, and heavy buckets in groups, joined as locally."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.census import Weights
from neardup.engines.spark.packing import binary_words
from neardup.rarity import Weighed
from neardup.verify import similarity

#: Of a heavy bucket, how many members and how many bytes of their hashes meet as many others in one task.
GROUP, GROUP_BYTES = 1 << 16, 32 << 20
LEFT, RIGHT, BOTH = 1, 2, 3


class Bar(NamedTuple):
    """What a pair must reach to match, and by which measure.

    Attributes
    ----------
    threshold
        Least similarity of a match; 0 when every pair is one.
    least
        The Jaccard similarity that a match has at least.
    weights
        What shingles weigh; None where the Jaccard similarity decides.
    """

    threshold: float
    least: float
    weights: Weights | None = None

    def every(self) -> Bar:
        """The same similarity, and every pair matches."""
        return Bar(0.0, 0.0, self.weights)

    def judge(self, sets: _kernels.Sets) -> Weighed | None:
        """What judges pairs of some sets; None where the Jaccard similarity does."""
        return None if self.weights is None else Weighed(self.threshold, sets, self.weights, self.weights.totals(sets, 1))

    def matches(
        self, sets: _kernels.Sets, edges: _kernels.Edges, judge: Weighed | None
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Any]:
        """Of pairs of sets that share so many hashes, and have the least similarity, those that match, and how similar they are."""
        a, b, both = edges
        if judge is None:
            sizes = sets[2].astype(np.int64)
            return a, b, similarity(both.astype(np.int64), sizes[a], sizes[b])
        scores = judge.similarities(a, b, both, 1)
        enough = scores >= self.threshold
        return a[enough], b[enough], scores[enough]


class Comparing:
    """Scores pairs of rows that follow each other, and hands on those that match."""

    def __init__(self, bar: Bar, names: list[str]) -> None:
        self.bar = bar
        self.names = names

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of rows with ``hashes``, two a pair, as batches of pairs with their ``similarity``."""
        import pyarrow as pa

        over: Any = None
        for batch in batches:
            rows = batch
            if over is not None:
                rows = pa.Table.from_batches([over, batch]).combine_chunks().to_batches()[0]
            even = rows.num_rows // 2 * 2
            over = rows.slice(even) if even < rows.num_rows else None
            if even:
                yield self._scored(rows.slice(0, even))

    def _scored(self, rows: Any) -> Any:
        import pyarrow as pa

        words, offsets = binary_words(rows.column("hashes"), np.uint32)
        starts, sizes = offsets[:-1].astype(np.uint64), np.diff(offsets).astype(np.uint32)
        first = np.arange(0, len(sizes), 2, dtype=np.uint32)
        sets = words, starts, sizes
        second = first + np.uint32(1)
        if self.bar.least:
            edges = _kernels.compare(first.astype(np.uint64) << np.uint64(32) | second, sets, self.bar.least, 1)
        else:
            edges = first, second, _kernels.intersections(sets, first, second, 1)
        first, _, scores = self.bar.matches(sets, edges, self.bar.judge(sets))
        taken = pa.RecordBatch.from_arrays([rows.column(name) for name in self.names], self.names).take(pa.array(first))
        return pa.RecordBatch.from_arrays([*taken.columns, pa.array(scores, pa.float64())], [*self.names, "similarity"])


def matches(pairs: Any, signed: Any, bar: Bar, partitions: int) -> Any:
    """Of pairs ``a`` and ``b`` of numbers those that match, with all their columns and their ``similarity``."""
    from pyspark.sql import functions as F  # noqa: N812

    names = pairs.columns
    ends = [pairs.select(*names, F.col(end).alias("number"), F.lit(side).alias("side")) for side, end in enumerate("ab")]
    rows = ends[0].unionAll(ends[1]).join(signed.select("number", "hashes"), "number").drop("number")
    rows = rows.repartition(partitions, "a", "b").sortWithinPartitions("a", "b", "side").drop("side")
    schema = ", ".join(f"{name} {kind}" for name, kind in pairs.dtypes)
    return rows.mapInArrow(Comparing(bar, names), f"{schema}, similarity double")


class Grouping:
    """Joins the groups of a task: the sets of one ``key``, ``i`` and ``j`` by rank, those on the left with those on the right."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of groups, as batches of ``a`` (on the left, or the earlier), ``b`` and ``similarity``, by rank."""
        import pyarrow as pa

        held, current = list[Any](), None
        for batch in batches:
            columns = [batch.column(name).to_numpy() for name in ("key", "i", "j")]
            new = np.append(True, np.any([column[1:] != column[:-1] for column in columns], axis=0))
            starts = np.append(np.flatnonzero(new), batch.num_rows).tolist()
            for start, stop in pairwise(starts):
                group = tuple(int(column[start]) for column in columns)
                if group != current and held:
                    yield self._joined(pa.Table.from_batches(held))
                    held = []
                current = group
                held.append(batch.slice(start, stop - start))
        if held:
            yield self._joined(pa.Table.from_batches(held))

    def _joined(self, group: Any) -> Any:
        import pyarrow as pa

        parts = [binary_words(chunk, np.uint32) for chunk in group.column("hashes").chunks]
        words = np.concatenate([words[offsets[0] :] for words, offsets in parts])
        sizes = np.concatenate([np.diff(offsets) for _, offsets in parts]).astype(np.uint32)
        starts = np.cumsum(sizes, dtype=np.uint64) - sizes
        roles = group.column("role").to_numpy().astype(np.uint8)
        sets = words, starts, sizes
        judge = self.bar.judge(sets)
        required = None if judge is None else judge.required(np.arange(len(sizes)))
        earlier, later, scores = self.bar.matches(sets, _kernels.prefix_join(roles, sets, self.bar.least, 1, required), judge)
        swapped = roles[earlier] == RIGHT
        ranks = group.column("rank").to_numpy()
        left, right = ranks[np.where(swapped, later, earlier)], ranks[np.where(swapped, earlier, later)]
        return pa.RecordBatch.from_arrays([pa.array(left), pa.array(right), pa.array(scores, pa.float64())], ["a", "b", "similarity"])


def group_matches(members: Any, signed: Any, bar: Bar, partitions: int) -> Any:
    """The matches between members of the same heavy bucket.

    Parameters
    ----------
    members
        ``key``, ``number``, ``rank``, ``size`` and ``role``: on which side of the join a set is, or on both; in all buckets the same.
    signed
        The documents.
    bar
        What a pair must reach.
    partitions
        How many tasks join groups.

    A long side is cut into salts, and each pair of salts is one group in one task.
    """
    from pyspark.sql import functions as F  # noqa: N812

    def salts(role: int) -> Any:
        here = F.col("role").bitwiseAND(role) != 0
        many, size = F.sum(F.when(here, 1).otherwise(0)), F.sum(F.when(here, F.col("size")).otherwise(0))
        return F.greatest(F.ceil(many / GROUP), F.ceil(4 * size / GROUP_BYTES)).cast("int")

    counts = members.groupBy("key").agg(salts(LEFT).alias("lefts"), salts(RIGHT).alias("rights")).where("lefts > 0 and rights > 0")
    salted = members.join(counts, "key")
    salt = F.xxhash64("number")
    one = salted.where(f"role = {BOTH}").withColumn("salt", F.pmod(salt, F.col("lefts")).cast("int"))
    one = one.withColumn("other", F.explode(F.sequence(F.lit(0), F.col("lefts") - 1)))
    one = one.select(
        "key", "number", "rank",
        F.least("salt", "other").alias("i"), F.greatest("salt", "other").alias("j"),
        F.when(F.col("salt") == F.col("other"), BOTH).when(F.col("salt") < F.col("other"), LEFT).otherwise(RIGHT).alias("role"),
    )  # fmt: skip
    sides = []
    for role, own, others, i, j in ((LEFT, "lefts", "rights", "salt", "other"), (RIGHT, "rights", "lefts", "other", "salt")):
        side = salted.where(f"role = {role}").withColumn("salt", F.pmod(salt, F.col(own)).cast("int"))
        side = side.withColumn("other", F.explode(F.sequence(F.lit(0), F.col(others) - 1)))
        sides.append(side.select("key", "number", "rank", F.col(i).alias("i"), F.col(j).alias("j"), F.lit(role).alias("role")))
    rows = one.unionAll(sides[0]).unionAll(sides[1]).join(signed.select("number", "hashes"), "number").drop("number")
    rows = rows.repartition(partitions, "key", "i", "j").sortWithinPartitions("key", "i", "j", "rank")
    return rows.mapInArrow(Grouping(bar), "a long, b long, similarity double")
