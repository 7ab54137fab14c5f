"""Signed documents to postings, buckets and candidates; what falls into a heavy bucket is set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from neardup.engines.spark.packing import SCHEMA, Words, binary_words, mixed, packed, slices_in, slices_of, together

#: The most members of a bucket that are compared pair by pair: a pair moves two sets, a group moves each of its sets once.
MOST = 32
#: Postings that a task packs at a time; a slice of more is looked through before its end, so that giants leave it.
POSTINGS = 1 << 20
PAIR, MEMBER = 0, 1


class Posting:
    """Packs the postings of documents: a band key and the document's number, by slices of keys."""

    def __init__(self, slices: int) -> None:
        self.slices = slices

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of ``number`` and ``bands`` as batches of slices."""
        held, many = list[Words](), 0
        for batch in batches:
            keys, offsets = binary_words(batch.column("bands"), np.uint64)
            if not batch.num_rows:
                continue
            keys = keys[offsets[0] :]
            numbers = np.repeat(batch.column("number").to_numpy().view(np.uint64), np.diff(offsets))
            held.append(np.stack((keys, numbers), axis=1))
            many += len(keys)
            if many >= POSTINGS:
                yield from self._packed(held)
                held, many = [], 0
        if held:
            yield from self._packed(held)

    def _packed(self, held: list[Words]) -> Iterator[Any]:
        postings = np.concatenate(held)
        whole = packed(slices_of(postings[:, 0], self.slices), postings)
        for start in range(0, whole.num_rows, 4096):
            yield whole.slice(start, 4096)


class Bucketing:
    """Finds the candidates of a task's slices: pairs of numbers; and the members of heavy buckets, each with the band key."""

    def __init__(self, slices: int, most: int = MOST) -> None:
        self.slices = slices
        self.most = most

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of slices of postings, as batches of slices of pairs and of members."""
        pairs, members, found = list[Words](), list[Words](), 0
        for some, heavy in _bounded(slices_in(batches, 2), self.most):
            pairs.append(some)
            members.append(heavy)
            found += len(some) + len(heavy)
            if found >= POSTINGS:
                yield from self._packed(pairs, members)
                pairs, members, found = [], [], 0
        yield from self._packed(pairs, members)

    def _packed(self, pairs: list[Words], members: list[Words]) -> Iterator[Any]:
        import pyarrow as pa

        for kind, parts in ((PAIR, pairs), (MEMBER, members)):
            records = np.concatenate([np.empty((0, 2), np.uint64), *parts])
            if len(records):
                whole = packed(slices_of(mixed(records[:, 0], records[:, 1]), self.slices), records)
                kinds = pa.array(np.full(whole.num_rows, kind, np.int32))
                made = pa.RecordBatch.from_arrays([kinds, *whole.columns], ["kind", "slice", "data"])
                for start in range(0, made.num_rows, 4096):
                    yield made.slice(start, 4096)


def _bounded(parts: Iterable[tuple[int, Words]], most: int) -> Iterator[tuple[Words, Words]]:
    """Slice by slice the pairs and the members of heavy buckets; no more is held than what is in no heavy bucket."""
    current, held, size, heavy, limit = -1, list[Words](), 0, np.empty(0, np.uint64), POSTINGS
    for which, postings in parts:
        if which != current and held:
            yield _looked_through(held, heavy, most)
            held, size, heavy, limit = [], 0, np.empty(0, np.uint64), POSTINGS
        current = which
        held.append(postings)
        size += len(postings)
        if size > limit:
            rest, members, heavy = _lightened(held, heavy, most)
            yield np.empty((0, 2), np.uint64), members
            held, size = [rest], len(rest)
            limit = max(POSTINGS, 2 * size)
    if held:
        yield _looked_through(held, heavy, most)


def _lightened(held: list[Words], heavy: Words, most: int) -> tuple[Words, Words, Words]:
    """Postings without those of heavy buckets; those; and the keys of all heavy buckets so far."""
    postings = np.concatenate(held)
    keys, counts = np.unique(postings[:, 0], return_counts=True)
    heavy = np.union1d(heavy, keys[counts > most])
    is_heavy = np.isin(postings[:, 0], heavy)
    return postings[~is_heavy], postings[is_heavy], heavy


def _looked_through(held: list[Words], heavy: Words, most: int) -> tuple[Words, Words]:
    """The pairs in the buckets of a slice, and the members of its heavy buckets."""
    postings = np.concatenate(held)
    postings = postings[np.argsort(postings[:, 0], kind="stable")]
    keys = postings[:, 0]
    starts = np.append(np.flatnonzero(np.append(True, keys[1:] != keys[:-1])), len(keys))
    sizes = np.diff(starts)
    long = sizes > most
    if len(heavy):
        long |= np.isin(keys[starts[:-1]], heavy)
    shared = (sizes > 1) & ~long
    members = postings[np.repeat(long, sizes)]
    postings, sizes = postings[np.repeat(shared, sizes)], sizes[shared]
    numbers, ends = postings[:, 1], np.repeat(np.cumsum(sizes), sizes)
    partners = ends - np.arange(len(numbers)) - 1  # of each, the members after it
    first = np.repeat(np.arange(len(numbers)), partners)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    a, b = numbers[first], numbers[second]
    return np.stack((np.minimum(a, b), np.maximum(a, b)), axis=1), members


class Distinct:
    """The distinct records of a task's slices, as columns."""

    def __init__(self, names: tuple[str, str]) -> None:
        self.names = names

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of slices of records of two words, as batches of two columns."""
        import pyarrow as pa

        for _, parts in together(slices_in(batches, 2)):
            records = np.concatenate(parts)
            records = records[np.lexsort((records[:, 1], records[:, 0]))]
            new = np.append(True, (records[1:] != records[:-1]).any(axis=1))
            columns = [pa.array(np.ascontiguousarray(column).view(np.int64)) for column in records[new].T]
            made = pa.RecordBatch.from_arrays(columns, list(self.names))
            for start in range(0, made.num_rows, 1 << 16):
                yield made.slice(start, 1 << 16)


def postings(sets: Any, slices: int, partitions: int) -> Any:
    """The postings of documents with ``number`` and ``bands``: those of a slice together in one task."""
    rows = sets.select("number", "bands").mapInArrow(Posting(slices), SCHEMA)
    return rows.repartition(partitions, "slice").sortWithinPartitions("slice")


def buckets(postings: Any, slices: int, most: int = MOST) -> Any:
    """Candidates and members of heavy buckets, in slices: ``kind``, ``slice``, ``data``."""
    return postings.mapInArrow(Bucketing(slices, most), f"kind int, {SCHEMA}")


def candidates(buckets: Any, partitions: int) -> Any:
    """The distinct pairs ``a`` and ``b`` of numbers that share a bucket that is not heavy."""
    rows = buckets.where(f"kind = {PAIR}").select("slice", "data").repartition(partitions, "slice").sortWithinPartitions("slice")
    return rows.mapInArrow(Distinct(("a", "b")), "a long, b long")


def heavy_members(buckets: Any) -> Any:
    """The ``key`` of each heavy bucket with the ``number`` of each of its members."""
    rows = buckets.where(f"kind = {MEMBER}").select("slice", "data")
    return rows.mapInArrow(Distinct(("key", "number")), "key long, number long")
