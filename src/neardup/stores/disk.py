"""An index in a folder: a catalog that says what is there, and files that never change.

Every write is one transaction of the catalog. Documents that came lately, the *tail*, are in the catalog itself; when they
are many they are folded into a file of documents and a segment of postings derived from it, which is written, synced and
named before the catalog knows of it. Files are merged in a thread beside the writer, which takes the result when it next
writes one. docs/reference/format.md describes all of it.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import xxhash

from neardup import _kernels
from neardup.errors import CorruptIndexError, NearDupError, ParameterError
from neardup.ids import Id
from neardup.stores import (
    Answer,
    Document,
    Extent,
    Hit,
    Matcher,
    Preparation,
    Readings,
    StoreBatch,
    Told,
    catalog,
    duplicate,
    first_sets,
    layout,
    segments,
    unknown,
)
from neardup.stores.forked import Lost, watch
from neardup.threads import may_begin

#: Documents of the tail, and their words of evidence, at which it is folded into files.
TAIL, TAIL_WORDS = 4096, 1 << 22
#: Batches of this many documents or more go to files of their own.
BULK = 2048
#: Segments that a look-up reads at most; they are merged when there are more than half as many.
SEGMENTS = 8
#: A file that is in the folder as long as an index is saved to it.
UNFINISHED = "unfinished.neardup"
#: Documents taken out at a time, and about how many words of evidence.
BATCH, BATCH_WORDS = 1 << 16, 1 << 24


class _Lock:
    """The right to write to a folder, one process at a time; what it says of its holder is for people.

    Nobody holds it any more when the object is gone, whatever interrupted its making.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "writer.lock"
        try:
            self._file = io.FileIO(self.path, "r+", opener=lambda path, flags: os.open(path, flags | os.O_CREAT, 0o666))
        except PermissionError as error:
            remedy = "give write access to the folder, or open with mode='r'"
            raise PermissionError(error.errno, f"{error.strerror}; {remedy}", str(self.path)) from None
        # An index that is forgotten lets go of it. One that a thread still writes to when the process ends does not.
        weakref.finalize(self, self._file.close).atexit = False
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = self.is_there()  # whoever held it may have removed it with the index
        except BlockingIOError:
            mine = False
        except BaseException as error:
            self._file.close()
            if not isinstance(error, OSError):
                raise
            remedy = "use a folder on a local disk, or open the index with mode='r'"
            raise OSError(error.errno, f"{error.strerror}: files cannot be locked there; {remedy}", str(folder)) from None
        if not mine:
            holder = os.pread(self._file.fileno(), 200, 0).decode("utf-8", "replace").strip() or "another process"
            self._file.close()
            raise BlockingIOError(f"{folder} is being written to by {holder}; wait until it closes the index, or open it with mode='r'")
        self.pid = os.getpid()
        self._file.truncate(0)
        with suppress(OSError):  # on a full disk it is held all the same, and the catalog says what does not fit
            self._file.write(f"process {self.pid} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())

    def is_there(self) -> bool:
        """Whether the folder that is where it was is still the one that is locked."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except OSError:
            return False

    def release(self) -> None:
        self._file.truncate(0)
        fcntl.flock(self._file, fcntl.LOCK_UN)  # a forked child has the file too
        self._file.close()


class Closed:
    """What a closed index has for a table: whatever is asked of it, it says so."""

    def __init__(self, folder: Path) -> None:
        self._words = f"the index {folder} is closed; open it again"

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError(self._words)

    def __len__(self) -> int:
        raise ValueError(self._words)

    def __contains__(self, id: object) -> bool:
        raise ValueError(self._words)


class _Merge(threading.Thread):
    """Files that follow one another, being written as one beside the writer: nobody knows of it until it is adopted.

    Attributes
    ----------
    files, removed
        What is merged, and the documents that were removed from each before.
    number
        The number of the new file.
    documents
        How many documents it has; None until it is written, and when it could not be.
    """

    def __init__(
        self,
        home: segments.Home,
        files: Sequence[catalog.File],
        sources: Sequence[segments.Source],
        number: int,
        threads: int,
        is_there: Callable[[], bool],
    ) -> None:
        super().__init__(name=f"neardup merges into {number}")
        self.files, self.removed, self.number = files, [source.removed for source in sources], number
        self.documents: int | None = None
        self._home, self._sources, self._threads, self._is_there = home, sources, threads, is_there
        self._stopped = threading.Event()

    def write(self) -> None:
        """Write the file and its segment."""
        with layout.damage(self._home.folder):
            documents, columns = segments.merged(self._home, self._sources)
            if documents:
                segments.write(self._home, self.number, columns, self._threads, proceed=self._proceed)
        self.documents = documents

    def run(self) -> None:
        """Do so in the background; what goes wrong is said by the writer that must have room, since it tries again."""
        with suppress(Exception):
            self.write()

    def _proceed(self) -> None:
        if self._stopped.is_set() or not threading.main_thread().is_alive() or not self._is_there():
            raise InterruptedError("the index is closed, or not there any more")

    def stop(self) -> None:
        """Give up, soon."""
        self._stopped.set()
        if self.is_alive():
            self.join()


def _real(path: str | os.PathLike[str]) -> Path:
    """Where a path leads now."""
    return Path(os.path.realpath(path))


def read_parameters(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The parameters of the index in a folder; None where there is none.

    Raises
    ------
    NotADirectoryError
        If there is a file.
    CorruptIndexError
        If there is something, but no index that can be read.
    """
    folder = _real(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; an index is a folder, name another path")
    if (folder / UNFINISHED).exists():
        raise _unfinished(folder)
    parameters = catalog.read_parameters(folder) if catalog.exists(folder) else None
    # The catalog is made before the folders of files.
    if parameters is None and folder.is_dir() and any((folder / kind).is_dir() for kind in layout.KINDS):
        raise CorruptIndexError(f"{folder} has files of an index and no {catalog.NAME} of it; restore the folder from a copy")
    return parameters


def _unfinished(folder: Path) -> CorruptIndexError:
    remedy = "wait for it, or, where nobody is at work on it, remove the folder and save the index again"
    return CorruptIndexError(f"{folder} has not all documents of an index: it is being saved, or its process ended before; {remedy}")


@contextmanager
def filling(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let nobody take a new index for a whole one before this has ended, nor where it never does.

    Raises
    ------
    FileExistsError
        If there is an index already.
    CorruptIndexError
        If one is being filled, or was and not to its end.
    """
    folder, made = _real(path), False
    mark = folder / UNFINISHED
    try:
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            made = True
        mark.touch(exist_ok=False)
    except FileExistsError:
        raise _unfinished(folder) from None
    except PermissionError as error:
        raise PermissionError(error.errno, f"{error.strerror}; give write access to the folder, or name another", str(folder)) from None
    try:
        whole = catalog.exists(folder) and catalog.read_parameters(folder) is not None
    except BaseException:
        mark.unlink()
        raise
    if whole:  # another was quicker
        mark.unlink()
        raise FileExistsError(f"there is an index in {str(path)!r} already; name another folder")
    try:
        layout.sync_folder(folder)
        yield
    except BaseException as error:
        # Where another process writes nothing was done. Else, where a catalog is left, not all was removed, and is not to be opened.
        if isinstance(error, BlockingIOError) or not catalog.exists(folder):
            with suppress(OSError):
                mark.unlink()
                if made:
                    folder.rmdir()
        raise
    mark.unlink()
    layout.sync_folder(folder)


class DiskStore:
    """The :class:`~neardup.stores.Store` of ``Index.open(path)``.

    Parameters
    ----------
    path
        The folder, made when it is not there.
    parameters
        What the index was made with, as JSON: written when the folder is new, compared otherwise.
    bands, bucket_limit, slots
        As for :class:`~neardup.stores.memory.MemoryStore`.
    writes
        Whether it may write; otherwise it reads what there was when it was opened or refreshed.

    Attributes
    ----------
    folder
        Where it is.
    seen
        What differs when it was refreshed after a change.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        parameters: dict[str, Any],
        bands: int,
        bucket_limit: int,
        slots: int = 0,
        *,
        writes: bool = True,
    ) -> None:
        # What is found there is this folder's, wherever the process or a link goes later.
        self.folder, self._shape, self._writes = _real(path), (bands, bucket_limit, slots), writes
        stored = json.dumps(parameters, sort_keys=True, ensure_ascii=True).encode()
        self._home = segments.Home(self.folder, stored, bands, slots, int(parameters.get("id_seed", 0)))
        self._writing = threading.RLock()
        self._lock: _Lock | None = None
        self._catalog: catalog.Catalog | None = None
        self._merging: _Merge | None = None
        self._table: _kernels.SegmentTable | Closed | Lost = _kernels.SegmentTable(*self._shape)
        self._files: list[catalog.File] = []
        self._sources: list[segments.Source] = []
        self._written, self._mark = 0, b""
        self._learnt: bytes | None = None
        self._stale = self._closed = self._changing = self._new = self._new_folder = False
        try:
            if writes:
                with suppress(FileExistsError):
                    self.folder.mkdir(parents=True)
                    self._new_folder = True
                self._lock = _Lock(self.folder)
                self._new = not catalog.exists(self.folder) and not any(self._numbered())
                self._prepare()
            self.refresh()
        except BaseException:
            self.discard()
            raise
        watch(self)

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`."""
        idle = self._writing.acquire(blocking=False)
        if idle:
            self._writing.release()
        else:
            self._writing = threading.RLock()
        if isinstance(self._table, _kernels.SegmentTable) and not (self._table.idle() and idle):
            self._table = Lost(f"the index {self.folder}", "open it in this process, with mode='r' to read")

    # ---- opening ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Open the catalog for writing, made when it is new; remove files that no transaction knows of."""
        self._catalog = catalog.Catalog(self.folder, self._home.parameters)
        layout.sync_folder(self.folder)
        for kind in layout.KINDS:
            (self.folder / kind).mkdir(exist_ok=True)
        layout.sync_folder(self.folder)
        layout.sync_folder(self.folder.parent)
        known = {f"{number:08}" for number in self._catalog.numbers()}
        for file in self._numbered():
            if file.name not in known:
                file.unlink()

    def _numbered(self) -> Iterator[Path]:
        """The files that are there, whether the catalog knows of them or not."""
        for kind in layout.KINDS:
            for file in (self.folder / kind).glob("*"):
                if file.name[:8].isdigit() and file.name[8:] in ("", ".part"):
                    yield file

    def refresh(self) -> None:
        """Look at what there is now."""
        with self._writing:
            if self._closed:
                raise ValueError(f"the index {self.folder} is closed; open it again")
            self._require_there()
            for _ in range(10):
                missing = self._load()
                if missing is None:
                    return
            raise CorruptIndexError(f"{missing} is missing; {layout.REMEDIES[Path(str(missing)).parent.name]}")

    def _load(self) -> str | None:
        """Take what there is. The file that is missing: lost, or merged away in between."""
        opened = self._opened()
        if isinstance(opened, str):
            return opened
        snapshot, self._table, self._sources = opened
        self._files, self._stale = snapshot.files, False
        self._written, self._mark = snapshot.written, snapshot.learnt
        self.seen = snapshot.files, snapshot.removals, [(row.sequence, row.set_hash) for row in snapshot.tail]
        return None

    def _opened(self) -> tuple[catalog.Snapshot, _kernels.SegmentTable, list[segments.Source]] | str:
        """What the catalog says, and a table of the files that it names; or the one that is missing."""
        snapshot = catalog.read(self.folder, self._home.parameters)
        tail, files, removals = snapshot.tail, snapshot.files, snapshot.removals
        table = _kernels.SegmentTable(*self._shape)
        try:
            sources = [segments.mapped(self._home, file.number, mend=self._writes) for file in files]
        except FileNotFoundError as error:
            return str(error.filename)
        if not self._fit(tail, files, sources, removals):
            raise CorruptIndexError(f"{self.folder / catalog.NAME} is damaged: rows do not fit together; restore the folder from a copy")
        removed = [np.array(removals.get(file.number, []), np.uint32) for file in files]
        with layout.damage(self.folder):
            table.replace(0, 0, [(source.segment, gone) for source, gone in zip(sources, removed, strict=True)], tail=True)
            if tail:
                table.add(_ids(tail), self._batch(tail))
        return snapshot, table, sources

    def _fit(
        self,
        tail: Sequence[catalog.TailRow],
        files: Sequence[catalog.File],
        sources: Sequence[segments.Source],
        removals: dict[int, list[int]],
    ) -> bool:
        """Whether rows that are what was written are what neardup writes."""
        bands, words = 4 * self._home.bands, -(-self._home.slots // 4)
        for row in tail:
            evidence = 4 * (words if self._home.slots else row.size)
            lengths = len(row.set_hash), len(row.fingerprints), len(row.evidence)
            if not 0 <= row.size < 2**32 or lengths != (8, bands, evidence):
                return False
        counts = {file.number: source.documents.columns[0][1] for file, source in zip(files, sources, strict=True)}
        if len({row.id for row in tail}) != len(tail) or any(file.documents != counts[file.number] for file in files):
            return False
        return all(number in counts and 0 <= min(gone) <= max(gone) < counts[number] for number, gone in removals.items())

    def _batch(self, tail: Sequence[catalog.TailRow]) -> StoreBatch:
        """Rows of the tail as they were added."""
        evidence = [np.frombuffer(row.evidence, np.uint32) for row in tail]
        offsets = np.concatenate((np.zeros(1, np.uint64), np.cumsum([len(e) for e in evidence], dtype=np.uint64)))
        return StoreBatch(
            np.frombuffer(b"".join(row.fingerprints for row in tail), np.uint32).reshape(len(tail), self._home.bands),
            np.frombuffer(b"".join(row.set_hash for row in tail), np.uint64),
            np.array([row.size for row in tail], np.uint32),
            np.concatenate(evidence) if evidence else np.zeros(0, np.uint32),
            offsets,
        )

    # ---- writing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _change(self) -> Iterator[catalog.Catalog]:
        """The right to write, with what is in memory up to date before and after."""
        with self._writing:
            if self._closed:
                raise ValueError(f"the index {self.folder} is closed; open it again")
            if self._lock is None or self._catalog is None:
                raise ParameterError(f"{self.folder} was opened with mode='r'; open it with mode='a' to write")
            if self._lock.pid != os.getpid():
                raise RuntimeError(f"{self.folder} was opened by process {self._lock.pid}; open it in this process, with mode='r' to read")
            if self._changing:
                raise RuntimeError(
                    f"{self.folder} is being changed by this thread already, which was interrupted by a signal handler or a __del__ "
                    "that changes it again; let that be done later"
                )
            self._require_there()
            done = False
            try:
                self._changing = True
                if self._stale:
                    self.refresh()
                self._stale = True
                yield self._catalog
                done = True
            finally:
                self._changing = False
                if done:
                    self._stale = False
                else:
                    with suppress(BaseException):
                        self.refresh()

    def _require_there(self) -> None:
        """Refuse what is at the path now where that is not what was opened."""
        if self._lock is not None and self._own() and not self._lock.is_there():
            said = "The index that was opened is not there any more, nothing was changed; close it, and open it where it is"
            raise FileNotFoundError(errno.ENOENT, said, str(self.folder))

    @staticmethod
    def _insert(to: catalog.Catalog, ids: list[Id], batch: StoreBatch) -> None:
        columns = (batch.set_hashes, batch.fingerprints, batch.offsets[:-1].tolist(), batch.offsets[1:].tolist(), batch.sizes.tolist())
        to.insert(
            [
                (_pack(id), set_hash.tobytes(), size, fingerprints.tobytes(), batch.evidence[start:stop].tobytes())
                for id, set_hash, fingerprints, start, stop, size in zip(ids, *columns, strict=True)
            ]
        )

    def _show(self, change: Callable[[], object]) -> None:
        """Make a change in memory that is made on disk; where there is no room for it beside the rest, all is read anew."""
        try:
            with layout.damage(self.folder):
                change()
        except MemoryError:
            self.refresh()

    def _delete(self, to: catalog.Catalog, id: Id) -> None:
        """Remove a document that is there, from the catalog; whatever damage that meets is met before anything is written."""
        with layout.damage(self.folder):
            place, document = self._table.removable(id) or (-1, -1)
        if place == len(self._files):
            to.delete(_pack(id))
        else:
            to.remove(self._files[place].number, [document])

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:
        with self._change() as to:
            with layout.damage(self.folder):
                place = self._table.first_found(ids)
            if place is not None:
                raise duplicate(ids[place])
            if len(ids) >= BULK:
                self._fold(to, ids, batch, threads)
            elif ids:
                self._fold_if_long(to, threads)
                with to.transaction():
                    self._insert(to, ids, batch)
                self._show(lambda: self._table.add(ids, batch))

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        with self._change() as to:
            if id in self:
                raise duplicate(id)
            ((hits, _),) = self.query(batch, threshold, 1)
            if not hits:
                self._fold_if_long(to)
                with to.transaction():
                    self._insert(to, [id], batch)
                self._show(lambda: self._table.add([id], batch))
            return hits

    def remove(self, id: Id) -> None:
        with self._change() as to:
            if id not in self:
                raise unknown(id)
            with to.transaction():
                self._delete(to, id)
            self._show(lambda: self._table.remove(id))

    def replace(self, id: Id, batch: StoreBatch) -> None:
        with self._change() as to:
            if id not in self:
                raise unknown(id)
            self._fold_if_long(to)
            with to.transaction():
                self._delete(to, id)
                self._insert(to, [id], batch)
            self._show(lambda: self._table.update(id, batch))

    # ---- folding and merging ---------------------------------------------------------------------------------------

    def _fold_if_long(self, to: catalog.Catalog, threads: int = 1) -> None:
        """Fold before a change, not after: what fails then has changed nothing."""
        documents = self._table.many(len(self._files))
        if documents >= TAIL or self._table.tail_words() >= TAIL_WORDS:
            self._fold(to, [], None, threads)

    def _fold(self, to: catalog.Catalog, ids: list[Id], batch: StoreBatch | None, threads: int) -> None:
        """Write the tail, and a batch after it, to files."""
        tail = to.tail()
        names = [*_ids(tail), *ids]
        if not names:  # all of the tail was removed
            self._put(len(self._files), len(self._files), [], tail=True)
            return
        self._make_room(to, threads)
        parts = ([self._batch(tail)] if tail else []) + ([batch] if batch is not None else [])
        number = to.new_number()
        segments.write(self._home, number, segments.columns_of(self._home, names, StoreBatch.concatenate(parts)), threads)
        with self._unlinked_unless_known(to, number):
            source = segments.mapped(self._home, number, mend=False)
            with to.transaction():
                file = to.fold(number, len(names), len(ids))
        self._put(len(self._files), len(self._files), [(file, source)], tail=True)
        if len(self._files) > SEGMENTS // 2 and self._merging is None:
            self._merge_beside(to, threads)

    def _merge_beside(self, to: catalog.Catalog, threads: int) -> None:
        """Begin to merge in a thread. What fails is no error of the change, which is made: who must have room tries again."""
        with suppress(Exception):
            merge = self._merge(to, self._latest(), threads)
            if may_begin():
                merge.start()
                self._merging = merge

    def _put(
        self, first: int, last: int, new: Sequence[tuple[catalog.File, segments.Source]], removed: Sequence[int] = (), *, tail: bool
    ) -> None:
        """Search some files in the place of others, and of the tail."""
        files, sources = [file for file, _ in new], [source for _, source in new]

        def put() -> None:
            self._table.replace(first, last, [(source.segment, np.array(removed, np.uint32)) for source in sources], tail=tail)
            self._files[first:last], self._sources[first:last] = files, sources

        self._show(put)

    def _make_room(self, to: catalog.Catalog, threads: int) -> None:
        """Take what was merged; when there are as many segments as a look-up should read, wait for it, or merge some."""
        self._adopt(to, wait=len(self._files) >= SEGMENTS)
        if len(self._files) >= SEGMENTS:
            self._merge_now(to, self._latest(), threads)

    def _latest(self) -> range:
        """The places of the files to merge: the last ones, as far as each has no more documents than all after it."""
        sizes = [file.documents for file in self._files]
        first = len(sizes) - 2
        while first > 0 and sizes[first - 1] <= sum(sizes[first:]):
            first -= 1
        return range(first, len(sizes))

    def _merge(self, to: catalog.Catalog, places: range, threads: int) -> _Merge:
        files = [self._files[place] for place in places]
        sources = [self._sources[place]._replace(removed=np.array(to.removals(self._files[place].number), np.uint32)) for place in places]
        assert self._lock is not None  # noqa: S101  it is being changed
        return _Merge(self._home, files, sources, to.new_number(), threads, self._lock.is_there)

    def _merge_now(self, to: catalog.Catalog, places: range, threads: int) -> None:
        self._stop_merging()
        self._merging = self._merge(to, places, threads)
        self._merging.write()
        self._adopt(to)

    def _adopt(self, to: catalog.Catalog, *, wait: bool = False) -> None:
        """Put what was merged in the place of what it was made of; what was removed meanwhile is removed from it."""
        merge = self._merging
        if merge is None or (merge.is_alive() and not wait):
            return
        if merge.is_alive():
            merge.join()
        if merge.documents is None:
            self._stop_merging()
            return
        self._merging = None
        removed: list[int] = []
        before = 0
        with self._unlinked_unless_known(to, merge.number):
            for file, gone in zip(merge.files, merge.removed, strict=True):
                since = np.setdiff1d(np.array(to.removals(file.number), np.uint32), gone, assume_unique=True).astype(np.int64)
                removed += (before + since - np.searchsorted(gone, since)).tolist()
                before += file.documents - len(gone)
            sources = [segments.mapped(self._home, merge.number, mend=False)] if merge.documents else []
            with to.transaction():
                new = to.merge(merge.files, merge.number, merge.documents)
                if removed:
                    to.remove(merge.number, removed)
        first = self._files.index(merge.files[0])
        self._put(first, first + len(merge.files), list(zip(new, sources, strict=True)), removed, tail=False)
        for file in merge.files:
            self._unlink(file.number)

    @contextmanager
    def _unlinked_unless_known(self, to: catalog.Catalog, number: int) -> Iterator[None]:
        """Remove a new file when what is done with it fails, unless the catalog has it all the same: a full disk would stay so."""
        try:
            yield
        except BaseException:
            with suppress(OSError, CorruptIndexError):
                if number not in to.numbers():
                    layout.file_name(self.folder, "segments", number).unlink(missing_ok=True)
                    to.new_number()  # a commit that could not be synced may be found after a crash, unless another takes its place
                    self._unlink(number)
            raise

    def _unlink(self, number: int) -> None:
        if self._lock is None or not self._lock.is_there():
            return  # it is another index that has such files now
        for kind in layout.KINDS:
            layout.file_name(self.folder, kind, number).unlink(missing_ok=True)

    def _stop_merging(self) -> None:
        merge, self._merging = self._merging, None
        if merge is not None:
            merge.stop()
            self._unlink(merge.number)

    def compact(self, threads: int = 1) -> None:
        """Fold the tail into files and merge all of them into one, without what was removed."""
        with self._change() as to:
            if self._table.many(len(self._files)):
                self._fold(to, [], None, threads)
            if len(self._files) > 1 or any(to.removals(file.number) for file in self._files):
                self._merge_now(to, range(len(self._files)), threads)
            to.shrink()

    def check(self, threads: int = 1) -> list[str]:
        """Read every byte, and make what is derived again. The segments that were not what their documents say."""
        with self._change() as to:
            to.check()
            self._stop_merging()
            mended = []
            for file, source in zip(self._files, self._sources, strict=True):
                segment = layout.file_name(self.folder, "segments", file.number)
                before = _digest(segment)
                layout.verify(source.documents)
                segments.derive(self._home, file.number, source.documents, threads)
                if _digest(segment) != before:
                    mended.append(str(segment))
            self.refresh()
            return mended

    # ---- reading ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, id: Id) -> bool:
        with layout.damage(self.folder):
            return self._table.find(id) is not None

    def ids(self) -> list[Id]:
        with layout.damage(self.folder):
            ids: list[Id] = self._table.ids()
            return ids

    def look_up(self, preparation: Preparation, document: Document, threshold: float, matcher: Matcher[Told]) -> Told:
        with layout.damage(self.folder):
            return self._table.look_up(preparation, document, threshold, matcher)

    def query(self, batch: StoreBatch, threshold: float, threads: int, readings: Readings | None = None) -> list[Answer]:  # noqa: ARG002
        with layout.damage(self.folder):
            return self._table.query(batch, threshold, threads)

    def read_by(self, known: _kernels.WeightTable, clearest: float, least: float, number: int) -> None:
        """What is looked up here is verified by its Jaccard similarity alone."""

    def extent(self) -> Extent:
        """As :class:`~neardup.stores.Store` says; while another thread writes, as it was before."""
        if self._own() and self._writing.acquire(blocking=False):
            try:
                if self._catalog is not None and not self._closed:
                    self._written = self._catalog.written()
            finally:
                self._writing.release()
        return Extent(len(self), self._written, self._mark)

    def _own(self) -> bool:
        """Whether this is the process that may write."""
        return self._lock is not None and self._lock.pid == os.getpid()

    def learnt(self) -> bytes | None:
        """As :class:`~neardup.stores.Store` says; read again when it is another."""
        if self._learnt is None or self._learnt[-8:] != self._mark:
            self._learnt = catalog.read_learnt(self.folder)
        return self._learnt

    def keep_learnt(self, new: bytes, old: bytes) -> bytes:  # noqa: ARG002  one process writes
        with self._writing:
            if self._own() and self._catalog is not None and not self._closed and not self._changing:
                with suppress(OSError, CorruptIndexError):
                    self._catalog.keep_learnt(new)
                    self._learnt, self._mark = new, new[-8:]
        return new

    def nearest(self, batch: StoreBatch, threshold: float, threads: int) -> list[Hit | None]:
        with layout.damage(self.folder):
            return self._table.nearest(batch, threshold, threads)

    def stored(self, id: Id) -> StoreBatch:
        with layout.damage(self.folder):
            rows = self._table.stored([id])
        if isinstance(rows, int):
            raise unknown(id)
        return StoreBatch(*rows)

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        row = self.stored(id)
        return row.evidence if row.sizes[0] else row.evidence[:0]

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        table, sources = self._as_it_is()
        for place in range(table.places()):
            step = _step(sources[place]) if place < len(sources) else BATCH
            for start in range(0, table.many(place), step):
                with layout.damage(self.folder):
                    ids, rows = table.documents(place, start, start + step)
                yield ids, StoreBatch(*rows)

    def _as_it_is(self) -> tuple[_kernels.SegmentTable | Closed | Lost, list[segments.Source]]:
        """A table that nobody changes, so that nobody waits for whoever reads it to its end."""
        with self._writing:
            if self._own() and not self._closed and self._lock is not None and self._lock.is_there():
                opened = self._opened()
                if isinstance(opened, str):
                    raise CorruptIndexError(f"{opened} is missing; {layout.REMEDIES[Path(opened).parent.name]}")
                return opened[1:]
            return self._table, self._sources  # where nobody changes them: others take the place of a reader's

    def nbytes(self) -> int:
        with self._writing:
            named = (layout.file_name(self.folder, kind, file.number) for file in self._files for kind in layout.KINDS)
            files = [self.folder / catalog.NAME, *named]
            return sum(file.stat().st_size for file in files if file.exists())  # a reader's may be merged away

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        with layout.damage(self.folder):
            return list(self._table.heavy(limit))

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        return first_sets((batch for _, batch in self.batches()), hashes)

    def close(self) -> None:
        with self._writing:
            self._closed = True
            mine = self._lock is not None and self._lock.pid == os.getpid()
            if mine:
                self._stop_merging()
            if self._catalog is not None and mine:
                self._catalog.close()
            if self._lock is not None and mine:
                self._lock.release()
            self._catalog = self._lock = None
            self._files, self._sources = [], []
            self._table = Closed(self.folder)

    def discard(self) -> None:
        """Close the index, and remove it where this store made it; whatever else is in the folder stays."""
        with self._writing:
            if self._new and self._lock is not None and self._own() and self._lock.is_there():
                with suppress(OSError, NearDupError):  # it is said why all this is done
                    self._stop_merging()
                    if self._catalog is not None:
                        self._catalog.close()
                        self._catalog = None
                    catalog.remove(self.folder)
                    for file in self._numbered():
                        file.unlink()
                    for kind in layout.KINDS:
                        with suppress(OSError):  # it was not made yet, or is not empty
                            (self.folder / kind).rmdir()
                    self._lock.path.unlink()  # and is held until then: nobody else begins to write
            self.close()
            if self._new_folder:
                with suppress(OSError):
                    self.folder.rmdir()


def _step(source: segments.Source) -> int:
    """How many documents of a file have a batch's words of evidence between them, in the mean."""
    columns = source.documents.columns
    return max(1, min(BATCH, BATCH_WORDS * columns[0][1] // max(1, columns[6][1])))


def _pack(id: Id) -> bytes:
    return _kernels.pack_ids([id])[0].tobytes()


def _ids(tail: Sequence[catalog.TailRow]) -> list[Id]:
    """The ids of rows of the tail."""
    ends = np.cumsum([len(row.id) for row in tail], dtype=np.uint64)
    return _kernels.unpack_ids(np.frombuffer(b"".join(row.id for row in tail), np.uint8), np.concatenate((np.zeros(1, np.uint64), ends)))


def _digest(path: Path) -> bytes | None:
    """What tells whether a file has changed; None where there is none."""
    if not path.exists():
        return None
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            hasher.update(part)
    return hasher.digest()
