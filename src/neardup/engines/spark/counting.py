"""How many documents have a shingle: of the first, as many as are counted locally, by one task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from neardup.census import COUNTED, Census
from neardup.engines.spark.packing import binary_words

#: Ranks whose sizes are added up together, as a power of two: the driver takes a number for each so many.
TOGETHER = 16


class Counting:
    """Counts the rows of a task, which are in order of rank.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from neardup.engines.spark.packing import binary_column
    >>> hashes = binary_column(np.array([1, 2, 1, 1, 3], np.uint32), np.array([0, 2, 3, 5], np.uint64))
    >>> (counted,) = Counting()([pa.RecordBatch.from_arrays([hashes], ["hashes"])])
    >>> Census.unpacked(counted["census"][0].as_py()).counts.tolist()
    [3]
    """

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of ``hashes``, as one row: the packed ``census``."""
        import pyarrow as pa

        evidence, sizes, many = [np.empty(0, np.uint32)], [np.empty(0, np.uint32)], 0
        for batch in batches:
            if many < COUNTED:
                words, offsets = binary_words(batch.column("hashes"), np.uint32)
                evidence.append(words[int(offsets[0]) : int(offsets[-1])].copy())
                sizes.append(np.diff(offsets).astype(np.uint32))
                many += len(evidence[-1])
        census = Census(np.concatenate(evidence), np.concatenate(sizes))
        yield pa.RecordBatch.from_arrays([pa.array([census.packed()], pa.binary())], ["census"])


def first(sets: Any) -> Any:
    """Of documents with ``rank`` and ``size`` the first, so many that they have as many shingles as are counted."""
    from pyspark.sql import functions as F  # noqa: N812

    part = F.shiftright("rank", TOGETHER)
    sizes = sorted((row.part, row.many) for row in sets.groupBy(part.alias("part")).agg(F.sum("size").alias("many")).collect())
    ends = np.cumsum([many for _, many in sizes], dtype=np.int64)
    enough = int(np.searchsorted(ends, COUNTED))
    last = sizes[min(enough, len(sizes) - 1)][0] if sizes else 0
    return sets.where(part <= last)


def counted(sets: Any, signed: Any) -> Any:
    """The census of documents of different shingle sets, ``number``, ``rank`` and ``size``: one row."""
    rows = first(sets).join(signed.select("number", "hashes"), "number").select("rank", "hashes")
    return rows.repartition(1).sortWithinPartitions("rank").mapInArrow(Counting(), "census binary")


def census_of(counted: Any) -> Census:
    """What was counted, in the driver: 8 bytes for each shingle that three of the first documents have."""
    row = counted.first()
    return Census(np.empty(0, np.uint32), np.empty(0, np.uint32)) if row is None else Census.unpacked(bytes(row.census))
