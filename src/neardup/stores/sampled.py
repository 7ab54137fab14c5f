"""An index of excerpts in a folder: its documents are kept there, and the sample that finds them is made again in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import DuplicateIdError, ParameterError, UnknownDocumentError
from neardup.stores import Answer, Hit, Id, PairBatch, Prepared, Readings, Store, StoreBatch, duplicate
from neardup.stores.forked import watch
from neardup.stores.memory import MemoryStore


class SampledStore:
    """The :class:`~neardup.stores.Store` of ``Index.open(path, profile="excerpt")``.

    Parameters
    ----------
    kept
        The documents on disk, which are durable before they are looked up.
    bucket_limit, sample
        As for :class:`~neardup.stores.memory.MemoryStore`.
    """

    def __init__(self, kept: Store, bucket_limit: int, sample: int) -> None:
        self._kept, self._shape = kept, (1, bucket_limit, 0, sample)
        self._writing, self._stale = threading.RLock(), False
        try:
            self._sampled = self._made()
        except BaseException:
            kept.close()
            raise
        watch(self)

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`."""
        self._writing = threading.RLock()  # the documents do not let a child write

    def _made(self) -> MemoryStore:
        """The sample of all documents."""
        sampled = MemoryStore(*self._shape)
        for ids, batch in self._kept.batches():
            sampled.add(ids, batch)
        return sampled

    @contextmanager
    def _change(self) -> Iterator[None]:
        """The right to write the documents and then the sample, which agree before and after."""
        with self._writing:
            len(self._kept)  # a closed one says so
            if self._stale:
                self.refresh()
            self._stale = True
            done = False
            try:
                yield
                done = True
            except (DuplicateIdError, UnknownDocumentError, ParameterError):  # refused before anything was changed
                done = True
                raise
            finally:
                self._stale = not done
                if self._stale:
                    with suppress(BaseException):
                        self.refresh()

    # ---- writing ---------------------------------------------------------------------------------------------------

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:
        with self._change():
            self._kept.add(ids, batch, threads)
            self._sampled.add(ids, batch, threads)

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        with self._change():
            if id in self._kept:
                raise duplicate(id)
            ((hits, _),) = self._sampled.query(batch, threshold, 1)
            if not hits:
                self._kept.add([id], batch)
                self._sampled.add([id], batch)
            return hits

    def remove(self, id: Id) -> None:
        with self._change():
            self._kept.remove(id)
            self._sampled.remove(id)

    def replace(self, id: Id, batch: StoreBatch) -> None:
        with self._change():
            self._kept.replace(id, batch)
            self._sampled.replace(id, batch)

    # ---- the documents ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, id: object) -> bool:
        return id in self._kept

    def ids(self) -> list[Id]:
        return self._kept.ids()

    def stored(self, id: Id) -> StoreBatch:
        return self._kept.stored(id)

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        return self._kept.batches()

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        return self._kept.first(hashes)

    def nbytes(self) -> int:
        return self._kept.nbytes()

    def check(self, threads: int = 1) -> list[str]:
        return self._kept.check(threads)

    def compact(self, threads: int = 1) -> None:
        self._kept.compact(threads)

    def refresh(self) -> None:
        with self._writing:
            self._kept.refresh()
            self._sampled = self._made()
            self._stale = False

    def close(self) -> None:
        self._kept.close()
        self._sampled = MemoryStore(*self._shape)

    # ---- looking up ------------------------------------------------------------------------------------------------

    def look_up(self, document: Prepared, threshold: float) -> Answer:
        return self._table().look_up(document, threshold)

    def query(self, batch: StoreBatch, threshold: float, threads: int, readings: Readings | None = None) -> list[Answer]:
        return self._table().query(batch, threshold, threads, readings)

    def nearest(self, batch: StoreBatch, threshold: float, threads: int) -> list[Hit | None]:
        return self._table().nearest(batch, threshold, threads)

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        return self._table().evidence(id)

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        return self._table().heavy(limit)

    def pairs(self, threshold: float, threads: int, limit: int | None = None) -> Iterator[PairBatch]:
        return self._table().pairs(threshold, threads, limit)

    def read_by(self, known: _kernels.Weights, clearest: float, least: float, number: int) -> None:
        self._table().read_by(known, clearest, least, number)

    def _table(self) -> MemoryStore:
        """The sample, of an index that is open."""
        len(self._kept)  # a closed one says so
        return self._sampled
