"""An index in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import DuplicateIdError, UnknownDocumentError
from neardup.stores import Answer, Hit, Id, PairBatch, StoreBatch

#: Queries looked up, and entries paired, before writers get a turn.
SLICE = 1024
#: Slices of entries whose fingerprints are collected from the table at once.
SLICES = 256


class SharedLock:
    """Many readers or one writer; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._writers_waiting = 0
        self._writing = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Held together with other readers."""
        with self._changed:
            while self._writing or self._writers_waiting:
                self._changed.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Held alone."""
        with self._changed:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
                self._writing = True
            finally:
                self._writers_waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()


class MemoryStore:
    """The :class:`~neardup.stores.Store` of ``Index(...)``: a bucket table, and which ids share each of its entries."""

    def __init__(self, bands: int, bucket_limit: int, slots: int = 0) -> None:
        self._table = _kernels.BucketTable(bands, bucket_limit, slots)
        self._exact = not slots
        self._entries: dict[Id, int] = {}
        self._members: dict[int, dict[Id, None]] = {}
        self._lock = SharedLock()

    def __len__(self) -> int:
        with self._lock.shared():
            return len(self._entries)

    def __contains__(self, id: object) -> bool:
        with self._lock.shared():
            return id in self._entries

    def ids(self) -> list[Id]:
        with self._lock.shared():
            return list(self._entries)

    def _require(self, id: Id) -> int:
        try:
            return self._entries[id]
        except KeyError:
            raise UnknownDocumentError(f"no document {id!r} in the index; `in` tells, ids() lists") from None

    def _refuse(self, ids: Sequence[Id]) -> None:
        for id in ids:
            if id in self._entries:
                raise DuplicateIdError(f"document {id!r} is in the index already, nothing was added; update() replaces, remove() first")

    def _ids(self, entry: int) -> list[Id]:
        """The documents of an entry. What ``_entries`` says holds; ``_members`` may run ahead of it or behind."""
        return [id for id in self._members.get(entry, ()) if self._entries.get(id) == entry]

    def _link(self, id: Id, entry: int) -> None:
        if entry >= 0:
            self._members.setdefault(entry, {})[id] = None

    def _unlink(self, id: Id, entry: int) -> None:
        if entry >= 0:
            members = self._members.get(entry, {})
            members.pop(id, None)
            if not members:
                self._members.pop(entry, None)
                self._table.remove(entry)

    @contextmanager
    def _linking(self, ids: Sequence[Id]) -> Iterator[list[int]]:
        """Link ids to the entries that are put into the list, all at once; an interrupt before that leaves none of it."""
        before = len(self._table)
        entries: list[int] = []
        try:
            yield entries
            for id, entry in zip(ids, entries, strict=False):
                self._link(id, entry)
            self._entries.update(zip(ids, entries, strict=False))  # one step: an interrupt comes before it or after
        except BaseException:
            for id, entry in zip(ids, entries, strict=False):
                if self._entries.get(id) != entry:
                    self._unlink(id, entry)
            for entry in range(before, len(self._table)):
                if entry not in self._members:
                    self._table.remove(entry)
            raise

    def add(self, ids: Sequence[Id], batch: StoreBatch) -> None:
        ids = list(ids)
        with self._lock.exclusive():
            self._refuse(ids)
            with self._linking(ids) as entries:
                entries.extend(self._table.insert(batch, 1).tolist())

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        with self._lock.exclusive():
            self._refuse([id])
            with self._linking([id]) as entries:
                if self._exact:
                    added, (_, *found) = self._table.add_unless_match(batch, threshold)
                else:  # which stops at a copy, and by estimates others may be as similar and come first
                    (_, *found), _ = self._table.query(batch, threshold, 1)
                hits = self._hits(*found)
                if not hits:
                    entries.extend((added if self._exact else self._table.insert(batch)).tolist())
            return hits

    def remove(self, id: Id) -> None:
        with self._lock.exclusive():
            entry = self._require(id)
            del self._entries[id]
            self._unlink(id, entry)

    def replace(self, id: Id, batch: StoreBatch) -> None:
        with self._lock.exclusive():
            old = self._require(id)
            with self._linking([id]) as entries:
                entries.extend(self._table.insert(batch, 1).tolist())
            if entries[0] != old:
                self._unlink(id, old)

    def _hits(self, entries: npt.NDArray[np.uint32], agreements: npt.NDArray[np.uint32], sizes: npt.NDArray[np.uint32]) -> list[Hit]:
        rows = zip(entries.tolist(), agreements.tolist(), sizes.tolist(), strict=True)
        return [Hit(id, agreement, size) for entry, agreement, size in rows for id in self._ids(entry)]

    def query(self, batch: StoreBatch, threshold: float, threads: int) -> list[Answer]:
        answers = []
        with self._lock.shared():
            (offsets, *found), truncated = self._table.query(batch, threshold, threads)
            bounds = offsets.tolist()
            for i, cut_short in enumerate(truncated.tolist()):
                rows = slice(bounds[i], bounds[i + 1])
                answers.append(Answer(self._hits(*(column[rows] for column in found)), cut_short))
        return answers

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        with self._lock.shared():
            entry = self._require(id)
            return self._table.evidence(entry) if entry >= 0 else np.empty(0, np.uint32)

    def pairs(self, threshold: float, threads: int) -> Iterator[PairBatch]:
        for first in range(0, len(self._table), SLICES * SLICE):
            with self._lock.shared():
                fingerprints = self._table.fingerprints(first, first + SLICES * SLICE, threads)
            for place in range(0, len(fingerprints), SLICE):
                with self._lock.shared():
                    found = []
                    for entry in range(first + place, first + min(place + SLICE, len(fingerprints))):
                        members = self._ids(entry)
                        if len(members) > 1:
                            size, agreement = self._table.copies(entry)
                            found.append(PairBatch(members, members, agreement, size, size))
                    columns = self._table.pairs(first + place, fingerprints[place : place + SLICE], threshold, threads)
                    rows = zip(*(column.tolist() for column in columns), strict=True)
                    found += [PairBatch(self._ids(e), self._ids(f), agreement, n, m) for e, f, agreement, n, m in rows]
                yield from found
