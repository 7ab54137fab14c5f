"""Signed documents to those of which another has the shingle set, and those of which another may have the id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from neardup.engines.spark.packing import SCHEMA, Words, mixed, packed, slices_in, slices_of

#: Kinds of keys: a shingle set, an id.
SET, ID = 0, 1
#: Records that are packed at a time, and that are taken in before all but one of each key leave.
RECORDS = 1 << 20


class Keying:
    """Packs two keys of each document with its number: its shingle set's, where it has one, and its id's. Slices of ids come after."""

    def __init__(self, slices: int) -> None:
        self.slices = slices

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of ``hi``, ``lo``, ``size``, ``named`` and ``number`` as batches of slices of records of three words."""
        held, many = list[Words](), 0
        for batch in batches:
            hi, lo, named, number = (batch.column(name).to_numpy().view(np.uint64) for name in ("hi", "lo", "named", "number"))
            some = batch.column("size").to_numpy() > 0
            held.append(np.stack((hi[some], lo[some], number[some], np.full(some.sum(), SET, np.uint64)), axis=1))
            held.append(np.stack((named, np.zeros_like(named), number, np.full(len(named), ID, np.uint64)), axis=1))
            many += 2 * len(named)
            if many >= RECORDS:
                yield from self._packed(held)
                held, many = [], 0
        if held:
            yield from self._packed(held)

    def _packed(self, held: list[Words]) -> Iterator[Any]:
        records = np.concatenate(held)
        which = slices_of(mixed(records[:, 0], records[:, 1]), self.slices).astype(np.int32)
        whole = packed(which + self.slices * records[:, 3].astype(np.int32), records[:, :3])
        for start in range(0, whole.num_rows, 4096):
            yield whole.slice(start, 4096)


class Repeating:
    """Of a task's slices the records whose key another has; no more is held than one of each key."""

    def __init__(self, slices: int) -> None:
        self.slices = slices

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of slices of records as batches of ``kind``, ``hi``, ``lo`` and ``number``."""
        import pyarrow as pa

        for which, records in _repeated(slices_in(batches, 3)):
            kinds = pa.array(np.full(len(records), which // self.slices, np.int32))
            columns = [pa.array(np.ascontiguousarray(column).view(np.int64)) for column in records.T]
            made = pa.RecordBatch.from_arrays([kinds, *columns], ["kind", "hi", "lo", "number"])
            for start in range(0, made.num_rows, 1 << 16):
                yield made.slice(start, 1 << 16)


def _repeated(parts: Iterable[tuple[int, Words]]) -> Iterator[tuple[int, Words]]:
    """Slice by slice, some at a time."""
    current, held, many = -1, list[Words](), 0
    known, told = np.empty((0, 3), np.uint64), np.empty(0, bool)
    for which, records in parts:
        if which != current:
            if held:
                yield current, _merged(known, told, held)[0]
            current, held, many = which, [], 0
            known, told = np.empty((0, 3), np.uint64), np.empty(0, bool)
        held.append(records)
        many += len(records)
        if many >= max(RECORDS, len(known)):
            found, known, told = _merged(known, told, held)
            yield current, found
            held, many = [], 0
    if held:
        yield current, _merged(known, told, held)[0]


def _merged(known: Words, told: npt.NDArray[np.bool_], held: list[Words]) -> tuple[Words, Words, npt.NDArray[np.bool_]]:
    """The records whose key is not the only one and that were not told; one of each key, and which of these were told."""
    records = np.concatenate((known, *held))
    told = np.concatenate((told, np.zeros(len(records) - len(known), bool)))
    order = np.lexsort((records[:, 1], records[:, 0]))
    records, told = records[order], told[order]
    new = np.append(True, (records[1:, :2] != records[:-1, :2]).any(axis=1))
    sizes = np.diff(np.append(np.flatnonzero(new), len(records)))
    repeated = np.repeat(sizes > 1, sizes)
    return records[repeated & ~told], records[new], (told | repeated)[new]


def repeated(signed: Any, slices: int, partitions: int) -> Any:
    """The documents whose shingle set, or id by its hash, another has too: ``kind``, ``hi``, ``lo``, ``number``."""
    from pyspark.sql import functions as F  # noqa: N812

    rows = signed.select("hi", "lo", "size", F.xxhash64("id").alias("named"), "number").mapInArrow(Keying(slices), SCHEMA)
    rows = rows.repartition(partitions, "slice").sortWithinPartitions("slice")
    return rows.mapInArrow(Repeating(slices), "kind int, hi long, lo long, number long")


def given_twice(repeated: Any, signed: Any) -> Any:
    """An id that two documents have; None if there is none."""
    from pyspark.sql import functions as F  # noqa: N812

    numbers = [row.number for row in repeated.where(f"kind = {ID}").select("number").limit(1000).collect()]
    if not numbers:
        return None
    seen = set[Any]()
    for row in signed.where(F.col("number").isin(numbers)).select("id").collect():
        if row.id in seen:
            return row.id
        seen.add(row.id)
    return None  # hashes of different ids that met by chance


def copies(repeated: Any, ranked: Any) -> Any:
    """Documents whose shingle set an earlier one has: ``number``, ``rank``, and the ``founder``'s rank."""
    from pyspark.sql import functions as F  # noqa: N812

    members = repeated.where(f"kind = {SET}").join(ranked.select("number", "rank"), "number")
    sets = members.groupBy("hi", "lo").agg(F.min("rank").alias("founder"))
    return members.join(sets, ["hi", "lo"]).where("rank > founder").select("number", "rank", "founder")
