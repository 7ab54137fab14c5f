"""An index in a folder: a catalog, a SQLite database that says what is there, and files that never change.

Every write is one transaction of the catalog. Documents that came lately, the *tail*, are in the catalog itself; when they
are many they are folded into a file of documents and a segment of postings derived from it, which is written, synced and
named before the catalog knows of it. docs/reference/format.md describes all of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import xxhash

from neardup import _kernels
from neardup.errors import CorruptIndexError, IncompatibleError, ParameterError
from neardup.stores import Answer, Hit, Id, PairBatch, StoreBatch, duplicate, layout, unknown

Run = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8], npt.NDArray[np.uint32]]

CATALOG = "catalog.sqlite"
#: Documents of the tail, and their words of evidence, at which it is folded into files.
TAIL, TAIL_WORDS = 4096, 1 << 22
#: Batches of this many documents or more go to files of their own.
BULK = 2048
#: Segments that a look-up reads at most.
SEGMENTS = 8
#: Entries paired at a time, and documents taken out at a time.
SLICE, BATCH = 1024, 1 << 16
#: Words of evidence merged at a time.
BATCH_WORDS = 1 << 24
#: The types of a documents file's columns.
DOCUMENT_TYPES = (np.uint32, np.uint64, np.uint8, np.uint64, np.uint32, np.uint64, np.uint32, np.uint32)
#: In place of the entry of a document without shingles; the mark of a list of copies.
NONE, LIST = 2**32 - 1, 2**31

SCHEMA = """
create table parameters (text text not null, sum integer not null);
create table state (next integer not null, rows integer not null, sum integer not null);
create table tail (
    sequence integer primary key, id blob not null unique, set_hash blob not null, size integer not null,
    fingerprints blob not null, evidence blob not null, sum integer not null);
create table files (
    sequence integer primary key, number integer not null, documents integer not null, sum integer not null);
create table removals (number integer, document integer, primary key (number, document)) without rowid;
"""


def _sum(*values: Any) -> int:
    """A checksum of a row, as SQLite stores integers."""
    hasher = xxhash.xxh3_64()
    for value in values:
        data = value if isinstance(value, bytes) else struct.pack("<q", value)
        hasher.update(struct.pack("<q", len(data)) + data)
    return int(hasher.intdigest()) - 2**63


def _sound(state: Any, tail: Sequence[tuple[Any, ...]], files: Sequence[tuple[Any, ...]], removals: Sequence[tuple[Any, ...]]) -> bool:
    """Whether rows, whose last value is their checksum, and removals are what was written, all of it and nothing else.

    Numbers that are still to be given are higher than those that were: no file is ever written over another.
    """
    try:
        rows = [*tail, *files]
        sums = [row[-1] for row in rows] + [_sum(*row) for row in removals]
        if state[1:] != (len(sums), _plus(0, sums)) or any(_sum(*row[:-1]) != row[-1] for row in rows):
            return False
        return bool(state[0] > max((0, *(row[0] for row in rows), *(row[1] for row in files))))
    except (TypeError, struct.error):  # of another type than was written
        return False


def _pack(id: Id) -> bytes:
    return _kernels.pack_ids([id])[0].tobytes()


def _plus(total: int, sums: Sequence[int], sign: int = 1) -> int:
    """A sum of checksums that does not overflow."""
    return (total + sign * sum(sums) + 2**63) % 2**64 - 2**63


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Errors of the catalog in words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF or None
        text = str(error)
        if code == 13 or "full" in text:
            raise OSError(28, f"No space left on device, nothing was changed; make room ({text})", str(folder)) from error
        if code in (8, 14, 10) or "readonly" in text or "unable to open" in text:
            raise OSError(f"{folder / CATALOG}: {text}; give write access to the folder, or open with mode='r'") from error
        raise CorruptIndexError(f"{folder / CATALOG} is damaged: {text}; restore the folder from a copy") from error


class _Lock:
    """The right to write to a folder, one process at a time; what it says of its holder is for people."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "writer.lock"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self.fd, 200, 0).decode("utf-8", "replace").strip() or "another process"
            os.close(self.fd)
            raise BlockingIOError(
                f"{folder} is being written to by {holder}; wait until it closes the index, or open it with mode='r'"
            ) from None
        self.pid = os.getpid()
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"process {self.pid} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode(), 0)

    def release(self) -> None:
        os.ftruncate(self.fd, 0)
        os.close(self.fd)


class _Closed:
    """What a closed index has for a table: whatever is asked of it, it says so."""

    def __init__(self, folder: Path) -> None:
        self._words = f"the index {folder} is closed; open it again"

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError(self._words)

    def __len__(self) -> int:
        raise ValueError(self._words)


def read_parameters(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The parameters of the index in a folder; None where there is none.

    Raises
    ------
    NotADirectoryError
        If there is a file.
    CorruptIndexError
        If there is something, but no index that can be read.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; an index is a folder, name another path")
    if not (folder / CATALOG).exists():
        if folder.is_dir() and any((folder / kind).is_dir() for kind in layout.KINDS):
            raise CorruptIndexError(f"{folder} has files of an index and no {CATALOG}; restore the folder from a copy")
        return None
    with _explained(folder), _reading(folder) as catalog:
        return dict(json.loads(_parameters(folder, catalog)))


def _parameters(folder: Path, catalog: sqlite3.Connection) -> bytes:
    rows = catalog.execute("select text, sum from parameters").fetchall()
    if len(rows) != 1 or not isinstance(rows[0][0], str) or _sum(rows[0][0].encode()) != rows[0][1]:
        raise CorruptIndexError(f"{folder / CATALOG} is damaged: its parameters; restore the folder from a copy")
    return str(rows[0][0]).encode()


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, in one transaction: a snapshot."""
    uri = (folder / CATALOG).absolute().as_uri() + "?mode=ro"
    if not os.access(folder, os.W_OK) and not (folder / f"{CATALOG}-wal").exists():
        uri += "&immutable=1"  # nobody writes, and nothing can be made beside it
    catalog = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
    try:
        catalog.execute("begin")
        yield catalog
    finally:
        catalog.close()


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
        self._folder, self._shape, self._writes = Path(path), (bands, bucket_limit, slots), writes
        self._parameters = json.dumps(parameters, sort_keys=True, ensure_ascii=True).encode()
        self._seed = int(parameters.get("id_seed", 0))
        self._writing = threading.RLock()
        self._lock: _Lock | None = None
        self._catalog: sqlite3.Connection | None = None
        self._table: Any = _kernels.SegmentTable(*self._shape)
        self._numbers: list[tuple[int, int]] = []
        self._stale = self._closed = False
        if writes:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _Lock(self._folder)
        try:
            if writes:
                self._prepare()
            self.refresh()
        except BaseException:
            self.close()
            raise

    # ---- opening ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Open the catalog for writing, made when it is new; remove files that no transaction knows of."""
        new = not (self._folder / CATALOG).exists()
        for kind in layout.KINDS:
            (self._folder / kind).mkdir(exist_ok=True)
        with _explained(self._folder):
            self._catalog = sqlite3.connect(self._folder / CATALOG, isolation_level=None, check_same_thread=False, timeout=30)
            self._catalog.execute("pragma journal_mode=wal")
            self._catalog.execute("pragma synchronous=full")
            if new or not self._catalog.execute("select 1 from sqlite_master where name = 'parameters'").fetchone():
                with self._transaction() as catalog:
                    for statement in SCHEMA.split(";")[:-1]:
                        catalog.execute(statement)
                    text = self._parameters
                    catalog.execute("insert into parameters values (?, ?)", (text.decode(), _sum(text)))
                    catalog.execute("insert into state values (1, 0, 0)")
            known = {f"{number:08}" for (number,) in self._catalog.execute("select number from files")}
        layout.sync_folder(self._folder)
        for left in self._folder.glob("merging-*"):
            shutil.rmtree(left)
        for kind in layout.KINDS:
            for file in (self._folder / kind).iterdir():
                if file.name[:8].isdigit() and file.name[8:] in ("", ".part") and file.name not in known:
                    file.unlink()

    def refresh(self) -> None:
        """Look at what there is now."""
        with self._writing:
            for _ in range(10):
                missing = self._load()
                if missing is None:
                    return
            raise CorruptIndexError(f"{missing} is missing; {layout.REMEDIES[Path(str(missing)).parent.name]}")

    def _load(self) -> str | None:
        """Read the catalog, and map the files that it names. The one that is missing: lost, or merged away in between."""
        with _explained(self._folder), _reading(self._folder) as catalog:
            text = _parameters(self._folder, catalog)
            if text != self._parameters:
                raise IncompatibleError(f"{self._folder} has the parameters {text.decode()}, not {self._parameters.decode()}; open it anew")
            state = catalog.execute("select next, rows, sum from state").fetchone()
            tail = catalog.execute(
                "select sequence, id, set_hash, size, fingerprints, evidence, sum from tail order by sequence"
            ).fetchall()
            files = catalog.execute("select sequence, number, documents, sum from files order by sequence").fetchall()
            removals = catalog.execute("select number, document from removals").fetchall()
        if not _sound(state, tail, files, removals):
            raise CorruptIndexError(f"{self._folder / CATALOG} is damaged: rows are not what was written; restore the folder from a copy")
        lately: dict[int, list[int]] = {}
        for number, document in removals:
            lately.setdefault(number, []).append(document)
        table = _kernels.SegmentTable(*self._shape)
        try:
            segments = [(self._segment(number), np.array(lately.get(number, []), np.uint32)) for _, number, _, _ in files]
        except FileNotFoundError as error:
            return str(error.filename)
        with self._damage():
            table.replace(0, 0, segments, tail=True)
        if tail:
            table.add(self._unpack([row[1] for row in tail]), self._rows(tail))
        self._table, self._stale = table, False
        self._numbers = [(row[0], row[1]) for row in files]
        return None

    def _segment(self, number: int) -> _kernels.Segment:
        bands, _, slots = self._shape
        documents = layout.read(self._folder, "documents", number, self._parameters)
        try:
            segment = layout.read(self._folder, "segments", number, self._parameters)
        except (FileNotFoundError, CorruptIndexError):
            if not self._writes:
                raise
            self._derive(number, documents)
            segment = layout.read(self._folder, "segments", number, self._parameters)
        return _kernels.Segment(number, documents, segment, bands, slots, self._seed)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except _kernels.DamageError as error:
            kind, number, offset = error.args
            name = layout.file_name(self._folder, kind, number)
            raise CorruptIndexError(f"{name} is damaged in the block at byte {offset}; {layout.REMEDIES[kind]}") from None

    @staticmethod
    def _unpack(ids: Sequence[bytes]) -> list[Id]:
        ends = np.cumsum([len(id) for id in ids], dtype=np.uint64)
        return _kernels.unpack_ids(np.frombuffer(b"".join(ids), np.uint8), np.concatenate((np.zeros(1, np.uint64), ends)))

    def _rows(self, tail: Sequence[tuple[Any, ...]]) -> StoreBatch:
        """Rows of the tail as they were added."""
        evidence = [np.frombuffer(row[5], np.uint32) for row in tail]
        offsets = np.concatenate((np.zeros(1, np.uint64), np.cumsum([len(e) for e in evidence], dtype=np.uint64)))
        return StoreBatch(
            np.frombuffer(b"".join(row[4] for row in tail), np.uint32).reshape(len(tail), self._shape[0]),
            np.frombuffer(b"".join(row[2] for row in tail), np.uint64),
            np.array([row[3] for row in tail], np.uint32),
            np.concatenate(evidence) if evidence else np.zeros(0, np.uint32),
            offsets,
        )

    # ---- writing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One change of the catalog: all of it or nothing."""
        catalog = self._catalog
        assert catalog is not None  # noqa: S101  writers have one
        with _explained(self._folder):
            catalog.execute("begin immediate")
            try:
                yield catalog
                catalog.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    catalog.execute("rollback")
                raise

    @contextmanager
    def _change(self) -> Iterator[None]:
        """The right to write, with what is in memory up to date before and after."""
        with self._writing:
            if self._closed:
                raise ValueError(f"the index {self._folder} is closed; open it again")
            if self._lock is None:
                raise ParameterError(f"{self._folder} was opened with mode='r'; open it with mode='a' to write")
            if self._lock.pid != os.getpid():
                raise RuntimeError(f"{self._folder} was opened by process {self._lock.pid}; open it in this process, with mode='r' to read")
            if self._stale:
                self.refresh()
            self._stale = True
            done = False
            try:
                yield
                done = True
            finally:
                if done:
                    self._stale = False
                else:
                    with suppress(BaseException):
                        self.refresh()

    @staticmethod
    def _count(catalog: sqlite3.Connection, new: Sequence[int], gone: Sequence[int] = ()) -> None:
        """Keep the number of rows and the sum of their checksums."""
        rows, total = catalog.execute("select rows, sum from state").fetchone()
        total = _plus(_plus(total, new), gone, -1)
        catalog.execute("update state set rows = ?, sum = ?", (rows + len(new) - len(gone), total))

    @staticmethod
    def _next(catalog: sqlite3.Connection, count: int = 1) -> int:
        (next_one,) = catalog.execute("select next from state").fetchone()
        catalog.execute("update state set next = ?", (next_one + count,))
        return int(next_one)

    def _insert(self, catalog: sqlite3.Connection, ids: Sequence[Id], batch: StoreBatch) -> None:
        sequence, sums = self._next(catalog, len(ids)), []
        for i, id in enumerate(ids):
            evidence = batch.evidence[int(batch.offsets[i]) : int(batch.offsets[i + 1])].tobytes()
            row = (sequence + i, _pack(id), batch.set_hashes[i].tobytes(), int(batch.sizes[i]), batch.fingerprints[i].tobytes(), evidence)
            sums.append(_sum(*row))
            catalog.execute("insert into tail values (?, ?, ?, ?, ?, ?, ?)", (*row, sums[-1]))
        self._count(catalog, sums)

    def _delete(self, catalog: sqlite3.Connection, id: Id) -> None:
        """Remove a document that is there."""
        with self._damage():
            place, document = self._table.find(id) or (-1, -1)
        if place == len(self._numbers):
            (total,) = catalog.execute("select sum from tail where id = ?", (_pack(id),)).fetchone()
            catalog.execute("delete from tail where id = ?", (_pack(id),))
            self._count(catalog, [], [total])
        else:
            number = self._numbers[place][1]
            catalog.execute("insert into removals values (?, ?)", (number, document))
            self._count(catalog, [_sum(number, document)])

    def add(self, ids: Sequence[Id], batch: StoreBatch, threads: int = 1) -> None:
        with self._change():
            with self._damage():
                place = self._table.first_found(ids)
            if place is not None:
                raise duplicate(ids[place])
            if not ids:
                return
            if len(ids) >= BULK:
                self._fold(ids, batch, threads)
            else:
                with self._transaction() as catalog:
                    self._insert(catalog, ids, batch)
                self._table.add(ids, batch)
                self._fold_if_long(threads)

    def _fold_if_long(self, threads: int = 1) -> None:
        documents, _ = self._table.extent(len(self._numbers))
        if documents >= TAIL or self._table.tail_words() >= TAIL_WORDS:
            self._fold([], None, threads)

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        with self._change():
            if id in self:
                raise duplicate(id)
            (answer,) = self.query(batch, threshold, 1)
            if not answer.hits:
                with self._transaction() as catalog:
                    self._insert(catalog, [id], batch)
                self._table.add([id], batch)
                self._fold_if_long()
            return answer.hits

    def remove(self, id: Id) -> None:
        with self._change():
            if id not in self:
                raise unknown(id)
            with self._transaction() as catalog:
                self._delete(catalog, id)
            with self._damage():
                self._table.remove(id)

    def replace(self, id: Id, batch: StoreBatch) -> None:
        with self._change():
            if id not in self:
                raise unknown(id)
            with self._transaction() as catalog:
                self._delete(catalog, id)
                self._insert(catalog, [id], batch)
            with self._damage():
                self._table.update(id, batch)
            self._fold_if_long()

    # ---- folding and merging ---------------------------------------------------------------------------------------

    def _fold(self, ids: Sequence[Id], batch: StoreBatch | None, threads: int) -> None:
        """Write the tail, and a batch after it, to files."""
        catalog = self._catalog
        assert catalog is not None  # noqa: S101  writers have one
        with _explained(self._folder):
            rows = catalog.execute(
                "select sequence, id, set_hash, size, fingerprints, evidence, sum from tail order by sequence"
            ).fetchall()
        names = [*self._unpack([row[1] for row in rows]), *ids]
        place = len(self._numbers)
        if not names:  # all of the tail was removed
            self._table.replace(place, place, [], tail=True)
            return
        parts = ([self._rows(rows)] if rows else []) + ([batch] if batch is not None else [])
        number = self._write(names, StoreBatch.concatenate(parts), threads)
        with self._transaction() as catalog:
            sequence = self._next(catalog)
            catalog.execute("delete from tail")
            row = (sequence, number, len(names))
            catalog.execute("insert into files values (?, ?, ?, ?)", (*row, _sum(*row)))
            self._count(catalog, [_sum(*row)], [row[-1] for row in rows])
        self._table.replace(place, place, [(self._segment(number), np.zeros(0, np.uint32))], tail=True)
        self._numbers.append((sequence, number))
        self._merge_if_many(threads)

    def _write(self, ids: Sequence[Id], batch: StoreBatch, threads: int) -> int:
        """Write documents to a new file, and their segment. Its number, which no transaction knows yet."""
        with self._transaction() as catalog:
            number = self._next(catalog)
        entries, first = _entries(batch)
        one = batch.take(first)
        id_bytes, id_ends = _kernels.pack_ids(ids)
        exact = not self._shape[2]
        columns: list[npt.NDArray[Any]] = [
            entries,
            id_ends,
            id_bytes,
            one.set_hashes,
            np.zeros(0, np.uint32) if exact else one.sizes,
            one.offsets[1:] if exact else np.zeros(0, np.uint64),
            one.evidence,
            np.ascontiguousarray(one.fingerprints.T).ravel(),
        ]
        layout.write(self._folder, "documents", number, self._parameters, [layout.column(values) for values in columns])
        self._derive(number, layout.read(self._folder, "documents", number, self._parameters), threads)
        return number

    def _derive(self, number: int, documents: layout.Layout, threads: int = 1) -> None:
        """Write the segment of a file of documents."""
        bands = self._shape[0]
        (_, count), (_, entries) = documents.columns[0], documents.columns[3]
        set_hashes = layout.values(documents, 3, np.uint64)
        members, copies = _members(layout.values(documents, 0, np.uint32), entries)

        def ids() -> npt.NDArray[np.uint32]:
            ends = np.concatenate((np.zeros(1, np.uint64), layout.values(documents, 1, np.uint64)))
            return _kernels.id_fingerprints(layout.values(documents, 2, np.uint8), ends, self._seed)

        def of_band(band: int) -> Run:
            fingerprints = layout.values(documents, 7, np.uint32, band * entries, (band + 1) * entries)
            return _kernels.sorted_run(fingerprints, set_hashes, band)

        def runs() -> Iterator[npt.NDArray[Any]]:
            yield from _kernels.sorted_run((set_hashes >> np.uint64(32)).astype(np.uint32))
            yield from _kernels.sorted_run(ids())
            with ThreadPoolExecutor(threads) as pool:
                for first in range(0, bands, threads):  # no more at a time than are worked on
                    for run in pool.map(of_band, range(first, min(first + threads, bands))):
                        yield from run

        pieces = runs()
        columns = [layout.column(members), layout.column(copies)]
        for numbers in (entries, count, *[entries] * bands):
            directory = (1 << min(max((numbers // 16).bit_length() - 1, 0), 24)) + 1
            for type, length in ((np.uint32, directory), (np.uint8, numbers), (np.uint32, numbers)):
                columns.append(layout.Column(type, length, islice(pieces, 1)))
        layout.write(self._folder, "segments", number, self._parameters, columns)

    def _merge_if_many(self, threads: int) -> None:
        """Merge the latest segments when there are more than a look-up should read."""
        if len(self._numbers) <= SEGMENTS:
            return
        sizes = [self._table.extent(place)[0] for place in range(len(self._numbers))]
        first = len(sizes) - 2
        while first > 0 and sizes[first - 1] <= sum(sizes[first:]):
            first -= 1
        self._merge(first, len(sizes), threads)

    def _merge(self, first: int, last: int, threads: int) -> None:
        """Write the living documents of some segments that follow one another to one."""
        with self._transaction() as catalog:
            number = self._next(catalog)
        with tempfile.TemporaryDirectory(prefix="merging-", dir=self._folder) as scratch, self._damage():
            documents = self._gather(range(first, last), Path(scratch), number, threads)
        old = [dead for _, dead in self._numbers[first:last]]
        sequence = self._numbers[first][0]
        with self._transaction() as catalog:
            gone = []
            for dead in old:
                gone += [row[0] for row in catalog.execute("select sum from files where number = ?", (dead,))]
                gone += [_sum(*row) for row in catalog.execute("select number, document from removals where number = ?", (dead,))]
                catalog.execute("delete from files where number = ?", (dead,))
                catalog.execute("delete from removals where number = ?", (dead,))
            row = (sequence, number, documents)
            if documents:
                catalog.execute("insert into files values (?, ?, ?, ?)", (*row, _sum(*row)))
            self._count(catalog, [_sum(*row)] if documents else [], gone)
        segments = [(self._segment(number), np.zeros(0, np.uint32))] if documents else []
        self._table.replace(first, last, segments, tail=False)
        self._numbers[first:last] = [(sequence, number)] if documents else []
        for dead in old:
            for kind in layout.KINDS:
                layout.file_name(self._folder, kind, dead).unlink(missing_ok=True)

    def _gather(self, places: range, scratch: Path, number: int, threads: int) -> int:
        """Write the living documents at some places to one file, column by column, and its segment. How many they are."""
        bands, _, slots = self._shape
        spills = [_Spill(scratch / str(i), type) for i, type in enumerate([*DOCUMENT_TYPES[:-1], *[np.uint32] * bands])]
        known: dict[bytes, int] = {}
        count = id_bytes = words = 0
        for place in places:
            for ids, batch in self._taken(place):
                entries, first = _entries(batch)
                one = batch.take(first)
                names = np.empty(len(first), np.uint32)
                fresh: list[int] = []
                for i in range(len(first)):
                    evidence = one.evidence[int(one.offsets[i]) : int(one.offsets[i + 1])]
                    same = hashlib.blake2b(
                        one.set_hashes[i].tobytes() + one.sizes[i].tobytes() + evidence.tobytes(), digest_size=16
                    ).digest()
                    before = len(known)
                    names[i] = known.setdefault(same, before)
                    if len(known) > before:
                        fresh.append(i)
                new = one.take(np.array(fresh, np.int64))
                data, ends = _kernels.pack_ids(ids)
                there = entries != NONE
                entries[there] = names[entries[there]]
                columns = [entries, ends + np.uint64(id_bytes), data, new.set_hashes]
                columns += (
                    [np.zeros(0, np.uint32), new.offsets[1:] + np.uint64(words)] if not slots else [new.sizes, np.zeros(0, np.uint64)]
                )
                for spill, values in zip(spills, [*columns, new.evidence, *new.fingerprints.T], strict=True):
                    spill.add(values)
                count, id_bytes, words = count + len(ids), id_bytes + len(data), words + len(new.evidence)
        for spill in spills:
            spill.file.close()
        if count:
            fingerprints = layout.Column(np.uint32, bands * len(known), (piece for spill in spills[7:] for piece in spill.pieces()))
            columns_ = [*(layout.Column(spill.type, spill.count, spill.pieces()) for spill in spills[:7]), fingerprints]
            layout.write(self._folder, "documents", number, self._parameters, columns_)
            self._derive(number, layout.read(self._folder, "documents", number, self._parameters), threads)
        return count

    def _taken(self, place: int) -> Iterator[tuple[list[Id], StoreBatch]]:
        """The living documents at a place, so many at a time that their evidence stays small."""
        documents, _ = self._table.extent(place)
        words = layout.read(self._folder, "documents", self._numbers[place][1], self._parameters).columns[6][1]
        step = max(1, min(BATCH, BATCH_WORDS * max(documents, 1) // max(words, 1)))
        for start in range(0, documents, step):
            ids, rows = self._table.documents(place, start, start + step)
            yield ids, StoreBatch(*rows)

    def compact(self, threads: int = 1) -> None:
        """Fold the tail into files and merge all of them into one, without what was removed."""
        with self._change():
            if self._table.extent(len(self._numbers))[0]:
                self._fold([], None, threads)
            if self._numbers:
                self._merge(0, len(self._numbers), threads)

    def check(self, threads: int = 1) -> list[str]:
        """Read every byte, and make what is derived again. The segments that were not what their documents say."""
        with self._change():
            assert self._catalog is not None  # noqa: S101  writers have one
            with _explained(self._folder):
                (said,) = self._catalog.execute("pragma integrity_check(1)").fetchone()
            if said != "ok":
                raise CorruptIndexError(f"{self._folder / CATALOG} is damaged: {said}; restore the folder from a copy")
            mended = []
            for _, number in self._numbers:
                segment = layout.file_name(self._folder, "segments", number)
                before = _digest(segment)
                documents = layout.read(self._folder, "documents", number, self._parameters)
                layout.verify(documents)
                self._derive(number, documents, threads)
                if _digest(segment) != before:
                    mended.append(str(segment))
            self.refresh()
            return mended

    # ---- reading ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, id: object) -> bool:
        if isinstance(id, bool) or not isinstance(id, str | int) or (isinstance(id, int) and not -(2**63) <= id < 2**63):
            return False
        with self._damage():
            return self._table.find(id) is not None

    def ids(self) -> list[Id]:
        with self._damage():
            ids: list[Id] = self._table.ids()
            return ids

    def query(self, batch: StoreBatch, threshold: float, threads: int) -> list[Answer]:
        with self._damage():
            answers = self._table.query(batch, threshold, threads)
        return [Answer([Hit(*row) for row in found], truncated) for found, truncated in answers]

    def stored(self, id: Id) -> StoreBatch:
        with self._damage():
            rows = self._table.stored([id])
        if isinstance(rows, int):
            raise unknown(id)
        return StoreBatch(*rows)

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        row = self.stored(id)
        return row.evidence if row.sizes[0] else row.evidence[:0]

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        with self._writing:  # a merge would move the places
            table = self._table
            for place in range(table.places()):
                for start in range(0, table.extent(place)[0], BATCH):
                    with self._damage():
                        ids, rows = table.documents(place, start, start + BATCH)
                    yield ids, StoreBatch(*rows)

    def nbytes(self) -> int:
        with self._writing:
            numbers = [number for _, number in self._numbers]
            files = [self._folder / CATALOG, *(layout.file_name(self._folder, kind, n) for n in numbers for kind in layout.KINDS)]
            return sum(file.stat().st_size for file in files if file.exists())  # a reader's may be merged away

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        with self._damage():
            return list(self._table.heavy(limit))

    def pairs(self, threshold: float, threads: int) -> Iterator[PairBatch]:
        with self._writing:  # a merge would move the places
            table = self._table
            for place in range(table.places()):
                for start in range(0, table.extent(place)[1], SLICE):
                    with self._damage():
                        found = table.pairs(place, start, start + SLICE, threshold, threads)
                    yield from (PairBatch(*row) for row in found)

    def close(self) -> None:
        with self._writing:
            self._closed = True
            mine = self._lock is not None and self._lock.pid == os.getpid()
            if self._catalog is not None and mine:
                self._catalog.close()
            if self._lock is not None and mine:
                self._lock.release()
            self._catalog = self._lock = None
            self._table = _Closed(self._folder)


class _Spill:
    """A column that grows in a file of its own."""

    def __init__(self, path: Path, type: npt.DTypeLike) -> None:
        self.path, self.type, self.count = path, type, 0
        self.file = path.open("wb")

    def add(self, values: npt.NDArray[Any]) -> None:
        self.file.write(np.ascontiguousarray(values, self.type).data)
        self.count += len(values)

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        with self.path.open("rb") as file:
            while part := file.read(layout.PIECE):
                yield np.frombuffer(part, self.type)


def _digest(path: Path) -> bytes | None:
    """What tells whether a file has changed; None where there is none."""
    if not path.exists():
        return None
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            hasher.update(part)
    return hasher.digest()


def _entries(batch: StoreBatch) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The entry of each document, those of one shingle set sharing one, and the first document of each entry."""
    entries = np.full(batch.documents, NONE, np.uint32)
    first: list[int] = []
    known: dict[int, list[int]] = {}
    sizes, hashes, offsets = batch.sizes.tolist(), batch.set_hashes.tolist(), batch.offsets.tolist()
    for i, size in enumerate(sizes):
        if not size:
            continue
        same = known.setdefault(hashes[i], [])
        own = batch.evidence[offsets[i] : offsets[i + 1]]
        for entry in same:
            j = first[entry]
            if sizes[j] == size and np.array_equal(own, batch.evidence[offsets[j] : offsets[j + 1]]):
                entries[i] = entry
                break
        else:
            entries[i] = len(first)
            same.append(len(first))
            first.append(i)
    return entries, np.array(first, np.int64)


def _members(entries: npt.NDArray[np.uint32], count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """The one document of each entry, or where its list begins among the copies: their number, then they."""
    order = np.argsort(entries, kind="stable").astype(np.uint32)
    order = order[: int((entries != NONE).sum())]
    counts = np.bincount(entries[order], minlength=count).astype(np.int64)
    starts = np.cumsum(counts) - counts
    members = order[starts] if count else np.zeros(0, np.uint32)
    many = np.flatnonzero(counts > 1)
    if not len(many):
        return members, np.zeros(0, np.uint32)
    places = np.cumsum(counts[many] + 1) - (counts[many] + 1)
    copies = np.empty(int((counts[many] + 1).sum()), np.uint32)
    copies[places] = counts[many]
    for entry, place in zip(many.tolist(), places.tolist(), strict=True):
        copies[place + 1 : place + 1 + counts[entry]] = order[starts[entry] : starts[entry] + counts[entry]]
    members[many] = (places | LIST).astype(np.uint32)
    return members, copies
