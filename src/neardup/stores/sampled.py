"""An index of excerpts in a folder: a store on disk keeps its documents, and a table in memory, made of all of them, finds them.

Whatever is asked is answered by the table, which is one state of the index at a time; a change is on disk before it is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import NearDupError
from neardup.ids import Id
from neardup.stores import Answer, Document, Extent, Hit, Matcher, Preparation, Readings, StoreBatch, Told, duplicate
from neardup.stores.disk import Closed, DiskStore
from neardup.stores.forked import Lost, watch
from neardup.stores.memory import MemoryStore


class SampledStore:
    """The :class:`~neardup.stores.Store` of ``Index.open(path, profile="excerpt")``.

    Parameters
    ----------
    kept
        The documents on disk.
    bucket_limit, sample
        As for :class:`~neardup.stores.memory.MemoryStore`.
    """

    def __init__(self, kept: DiskStore, bucket_limit: int, sample: int) -> None:
        self._kept, self._shape = kept, (1, bucket_limit, 0, sample)
        self._lost = f"the index {kept.folder}", "open it in this process, with mode='r' to read"
        self._writing, self._stale = threading.RLock(), False
        try:
            self._table: MemoryStore | Closed | Lost = self._made()
        except BaseException:
            kept.discard()
            raise
        watch(self)

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`."""
        self._writing = threading.RLock()
        if self._stale and isinstance(self._table, MemoryStore):
            self._table = Lost(*self._lost)

    def _made(self) -> MemoryStore:
        """The table of all documents."""
        table = MemoryStore(*self._shape, lost=self._lost)
        for ids, batch in self._kept.batches():
            table.add(ids, batch)
        return table

    # ---- writing ---------------------------------------------------------------------------------------------------

    def _write(self, keep: Callable[[], None], take: Callable[[], None]) -> None:
        """Change the documents and then the table, which agree before and after."""
        with self._writing:
            if self._stale:
                self._renew()
            self._stale = True
            try:
                try:
                    keep()
                except (NearDupError, OSError, RuntimeError, ValueError):  # nothing was changed
                    self._stale = False
                    raise
                try:
                    take()
                    self._stale = False
                except MemoryError:  # it is written, and is read anew
                    self._renew()
            finally:
                if self._stale:
                    with suppress(BaseException):
                        self._renew()

    def _renew(self) -> None:
        self._kept.refresh()
        self._table = self._made()
        self._stale = False

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:
        # Nobody looks for them there by fingerprints: those of a table like this one are none.
        unbanded = batch._replace(fingerprints=np.zeros_like(batch.fingerprints))
        self._write(lambda: self._kept.add(ids, unbanded, threads), lambda: self._table.add(ids, batch, threads))

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        with self._writing:
            if id in self:
                raise duplicate(id)
            ((hits, _),) = self.query(batch, threshold, 1)
            if not hits:
                self.add([id], batch)
            return hits

    def remove(self, id: Id) -> None:
        self._write(lambda: self._kept.remove(id), lambda: self._table.remove(id))

    def replace(self, id: Id, batch: StoreBatch) -> None:
        unbanded = batch._replace(fingerprints=np.zeros_like(batch.fingerprints))
        self._write(lambda: self._kept.replace(id, unbanded), lambda: self._table.replace(id, batch))

    # ---- the files -------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        with self._writing:
            before = self._kept.seen
            self._kept.refresh()
            if self._stale or self._kept.seen != before:
                self._table = self._made()
                self._stale = False

    def check(self, threads: int = 1) -> list[str]:
        return self._kept.check(threads)

    def compact(self, threads: int = 1) -> None:
        self._kept.compact(threads)

    def nbytes(self) -> int:
        return self._kept.nbytes()

    def close(self) -> None:
        with self._writing:
            self._kept.close()
            self._table = Closed(self._kept.folder)

    def discard(self) -> None:
        """As that of the documents."""
        self._kept.discard()

    # ---- the table -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, id: Id) -> bool:
        return id in self._table

    def ids(self) -> list[Id]:
        return self._table.ids()

    def stored(self, id: Id) -> StoreBatch:
        return self._table.stored(id)

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        return self._table.batches()

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        return self._table.evidence(id)

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        return self._table.first(hashes)

    def extent(self) -> Extent:
        return self._table.extent()

    def learnt(self) -> bytes | None:
        return self._table.learnt()

    def keep_learnt(self, new: bytes, old: bytes) -> bytes:
        return self._table.keep_learnt(new, old)

    def look_up(self, preparation: Preparation, document: Document, threshold: float, matcher: Matcher[Told]) -> Told:
        told: Told = self._table.look_up(preparation, document, threshold, matcher)
        return told

    def query(self, batch: StoreBatch, threshold: float, threads: int, readings: Readings | None = None) -> list[Answer]:
        return self._table.query(batch, threshold, threads, readings)

    def nearest(self, batch: StoreBatch, threshold: float, threads: int) -> list[Hit | None]:
        return self._table.nearest(batch, threshold, threads)

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        return self._table.heavy(limit)

    def read_by(self, known: _kernels.WeightTable, clearest: float, least: float, number: int) -> None:
        self._table.read_by(known, clearest, least, number)
