"""An index in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.ids import Id
from neardup.stores import Answer, Document, Extent, Hit, Matcher, Preparation, Readings, StoreBatch, duplicate, unknown
from neardup.stores.forked import Lost, watch


class MemoryStore:
    """The :class:`~neardup.stores.Store` of ``Index(...)``: one table, each of whose calls is atomic, by interrupts too.

    Parameters
    ----------
    bands, bucket_limit, slots, sample
        As for :class:`neardup._kernels.DocumentTable`.
    lost
        What it is called where a forked child cannot use it, and the remedy.
    """

    def __init__(
        self,
        bands: int,
        bucket_limit: int,
        slots: int = 0,
        sample: int = 0,
        *,
        lost: tuple[str, str] = ("an index in memory", "fork while none is, or open one on disk in each process"),
    ) -> None:
        self._table: _kernels.DocumentTable | Lost = _kernels.DocumentTable(bands, bucket_limit, slots, sample)
        #: As :class:`~neardup.stores.Store` says: the table's own, since a look-up is short.
        self.look_up: Callable[[Preparation, Document, float, Matcher[Any]], Any] = self._table.look_up
        self._lost = lost
        self._learnt: bytes | None = None
        self._written = 0
        watch(self)

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`."""
        if isinstance(self._table, _kernels.DocumentTable) and not self._table.idle():
            self._table = self.look_up = Lost(*self._lost)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, id: Id) -> bool:
        return id in self._table

    def ids(self) -> list[Id]:
        return self._table.ids()

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:
        place = self._table.add(ids, batch, threads)
        if place is not None:
            raise duplicate(ids[place])
        self._written += len(ids)

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        found = self._table.add_unless_match(id, batch, threshold)
        if found is None:
            raise duplicate(id)
        self._written += not found
        return found

    def remove(self, id: Id) -> None:
        if not self._table.remove(id):
            raise unknown(id)

    def replace(self, id: Id, batch: StoreBatch) -> None:
        if not self._table.replace(id, batch):
            raise unknown(id)
        self._written += 1

    def query(self, batch: StoreBatch, threshold: float, threads: int, readings: Readings | None = None) -> list[Answer]:
        return self._table.query(batch, threshold, threads, readings)

    def read_by(self, known: _kernels.WeightTable, clearest: float, least: float, number: int) -> None:
        self._table.read_by(known, clearest, least, number, 1)

    def nearest(self, batch: StoreBatch, threshold: float, threads: int) -> list[Hit | None]:
        return self._table.nearest(batch, threshold, threads)

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        evidence = self._table.evidence(id)
        if evidence is None:
            raise unknown(id)
        return evidence

    def stored(self, id: Id) -> StoreBatch:
        rows = self._table.stored(id)
        if rows is None:
            raise unknown(id)
        return StoreBatch(*rows)

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        ids, rows = self._table.documents()
        yield ids, StoreBatch(*rows)

    def nbytes(self) -> int:
        return sum(self._table.nbytes())

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        return self._table.heavy(limit)

    def check(self, threads: int = 1) -> list[str]:  # noqa: ARG002  there is nothing to read
        return []

    def refresh(self) -> None:
        """Nobody else writes here."""

    def compact(self, threads: int = 1) -> None:
        """The table does so itself."""

    def close(self) -> None:
        """It has no files."""

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        return self._table.first(hashes)

    def extent(self) -> Extent:
        return Extent(len(self), self._written, (self._learnt or b"")[-8:])

    def learnt(self) -> bytes | None:
        return self._learnt

    def keep_learnt(self, new: bytes, old: bytes) -> bytes:  # noqa: ARG002  nobody else writes here
        self._learnt = new
        return new
