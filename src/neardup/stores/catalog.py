"""The catalog of an index on disk: a SQLite database that says what is there, each row with a checksum.

It holds the parameters, the documents that came lately (the *tail*), the list of files, and which of their documents were
removed. docs/reference/format.md shows its tables.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from neardup.errors import CorruptIndexError, IncompatibleError, plain

NAME = "catalog.sqlite"
#: Seconds for which another program may be at work on it.
WAIT = 30.0

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
#: A table that is there once something was learnt of the documents. It is derived from them, and has a checksum of its own, the
#: mark; beside it, how many documents were added in bulk since the first time.
LEARNT = "create table if not exists learnt (mark blob not null, data blob not null, bulk integer not null)"


class TailRow(NamedTuple):
    """A document of the tail: its columns are what a :class:`~neardup.stores.StoreBatch` has of it, as bytes."""

    sequence: int
    id: bytes
    set_hash: bytes
    size: int
    fingerprints: bytes
    evidence: bytes
    sum: int


class File(NamedTuple):
    """A file of documents: its place in order of insertion, the number that names it, and how many documents it has."""

    sequence: int
    number: int
    documents: int
    sum: int


class Snapshot(NamedTuple):
    """All that a catalog says at one moment.

    Attributes
    ----------
    tail, files
        Documents that came lately, and files of others.
    removals
        Of each file's number, the documents that were removed from it, in order.
    written
        A number that grows with each document that is written, once something was learnt of them.
    learnt
        The last 8 bytes of what was learnt of the documents.
    """

    tail: list[TailRow]
    files: list[File]
    removals: dict[int, list[int]]
    written: int
    learnt: bytes


def exists(folder: Path) -> bool:
    """Whether there is a catalog in a folder."""
    return (folder / NAME).exists()


def remove(folder: Path) -> None:
    """Remove the catalog of a folder, which is no index then."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        (folder / f"{NAME}{suffix}").unlink(missing_ok=True)


def read(folder: Path, parameters: bytes) -> Snapshot:
    """What the catalog of a folder says.

    Raises
    ------
    CorruptIndexError
        If it is not what was written.
    IncompatibleError
        If the index has other parameters.
    """
    with examined(folder), _reading(folder) as database:
        text = _parameters(folder, database)
        if text != parameters:
            raise IncompatibleError(f"{folder} has the parameters {plain(text.decode())}, not {parameters.decode()}; open it anew")
        state = database.execute("select next, rows, sum from state").fetchone()
        tail = database.execute("select sequence, id, set_hash, size, fingerprints, evidence, sum from tail order by sequence").fetchall()
        files = database.execute("select sequence, number, documents, sum from files order by sequence").fetchall()
        removals = database.execute("select number, document from removals order by number, document").fetchall()
        mark, bulk = _derived(database, "select mark, bulk from learnt") or (b"", 0)
    if not _sound(state, tail, files, removals):
        raise CorruptIndexError(f"{folder / NAME} is damaged: rows are not what was written; restore the folder from a copy")
    removed: dict[int, list[int]] = {}
    for number, document in removals:
        removed.setdefault(number, []).append(document)
    return Snapshot([TailRow(*row) for row in tail], [File(*row) for row in files], removed, state[0] + bulk, mark)


def read_learnt(folder: Path) -> bytes | None:
    """What was learnt of the documents of an index."""
    with examined(folder), _reading(folder) as database:
        data, _ = _derived(database, "select data, bulk from learnt") or (None, 0)
        return data


def _derived(database: sqlite3.Connection, statement: str) -> tuple[bytes, int] | None:
    """What can be learnt again, where it is there and can be read."""
    try:
        row = database.execute(statement).fetchone()
    except (sqlite3.DatabaseError, MemoryError):
        return None
    return row if row is not None and tuple(map(type, row)) == (bytes, int) else None


def read_parameters(folder: Path) -> dict[str, Any] | None:
    """The parameters of the index in a folder; None where its catalog was never finished.

    Raises
    ------
    CorruptIndexError
        If its catalog cannot be read.
    """
    with examined(folder), _reading(folder) as database:
        if not database.execute("select 1 from sqlite_master").fetchone():
            return None
        try:
            parameters = json.loads(_parameters(folder, database))
        except (ValueError, RecursionError):
            parameters = None
    if not isinstance(parameters, dict):
        raise CorruptIndexError(f"{folder / NAME} is damaged: its parameters; restore the folder from a copy")
    return parameters


#: Held while SQLite is at work, and while this process is forked: a child would wait for ever for what another thread held in it.
AT_WORK = threading.RLock()
#: SQLITE_IOERR_SHMSIZE: what readers and writers share did not fit on the disk.
NO_ROOM_TO_SHARE = 10 | 19 << 8
os.register_at_fork(before=AT_WORK.acquire, after_in_parent=AT_WORK.release, after_in_child=AT_WORK.release)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """What is done with SQLite: by one thread at a time, its errors in words."""
    try:
        with AT_WORK:
            yield
    except sqlite3.DatabaseError as error:
        extended = getattr(error, "sqlite_errorcode", 0)
        code, text = extended & 0xFF or None, plain(error)
        if code == 13 or extended == NO_ROOM_TO_SHARE or "full" in text:
            raise OSError(28, f"No space left on device, nothing was changed ({text}); make room", str(folder)) from error
        if code == 14 or "unable to open" in text:
            remedy = "give write access to the folder, or open with mode='r'; or raise the limit of open files"
            raise OSError(f"{folder / NAME}: {text}; {remedy}") from error
        if code == 10 or "disk I/O" in text:
            raise OSError(f"{folder / NAME}: {text}; look after the disk, and the limits of this process") from error
        if code == 5 or "locked" in text:
            raise BlockingIOError(
                f"{folder / NAME}: {text} by another program, nothing was changed; let it end, and do this again"
            ) from error
        if code == 8 or "readonly" in text:
            raise OSError(f"{folder / NAME}: {text}; give write access to the folder, or open with mode='r'") from error
        raise CorruptIndexError(f"{folder / NAME} is damaged: {text}; restore the folder from a copy") from error
    except UnicodeDecodeError as error:  # in what SQLite would have said
        raise CorruptIndexError(f"{folder / NAME} is damaged: {plain(error)}; restore the folder from a copy") from error


@contextmanager
def examined(folder: Path) -> Iterator[None]:
    """The same of what only reads. SQLite has no memory for a row of which a damaged page says that it has gigabytes."""
    try:
        with explained(folder):
            yield
    except MemoryError as error:
        remedy = "restore the folder from a copy, or give more memory"
        raise CorruptIndexError(f"{folder / NAME} is damaged, or larger than memory; {remedy}") from error


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, in one transaction: a snapshot."""
    mode, writable = "ro", os.access(folder, os.W_OK)
    if not writable and not (folder / f"{NAME}-wal").exists():
        mode = "ro&immutable=1"  # nobody writes, and nothing can be made beside it
    elif writable and (folder / f"{NAME}-journal").exists():
        mode = "rw"  # the power was lost while the catalog was made: what it left is taken back
    uri = f"{(folder / NAME).absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT)
    try:
        database.execute("begin")
        yield database
    finally:
        database.close()


def _parameters(folder: Path, database: sqlite3.Connection) -> bytes:
    rows = database.execute("select text, sum from parameters").fetchall()
    if len(rows) != 1 or not isinstance(rows[0][0], str) or _sum(rows[0][0].encode()) != rows[0][1]:
        raise CorruptIndexError(f"{folder / NAME} is damaged: its parameters; restore the folder from a copy")
    return str(rows[0][0]).encode()


def _sum(*values: Any) -> int:
    """A checksum of a row, as SQLite stores integers."""
    hasher = xxhash.xxh3_64()
    for value in values:
        data = value if isinstance(value, bytes) else struct.pack("<q", value)
        hasher.update(struct.pack("<q", len(data)) + data)
    return int(hasher.intdigest()) - 2**63


def _plus(total: int, sums: Iterable[int], sign: int = 1) -> int:
    """A sum of checksums that does not overflow."""
    return (total + sign * sum(sums) + 2**63) % 2**64 - 2**63


def _sound(state: Any, tail: Sequence[tuple[Any, ...]], files: Sequence[tuple[Any, ...]], removals: Sequence[tuple[Any, ...]]) -> bool:
    """Whether rows, whose last value is their checksum, and removals are what was written, all of it and nothing else.

    Numbers that are still to be given are higher than those that were: no file is ever written over another.
    """
    try:
        rows = [*tail, *files]
        sums = [row[-1] for row in rows] + [_sum(*row) for row in removals]
        if type(state[0]) is not int or state[1:] != (len(sums), _plus(0, sums)) or any(_sum(*row[:-1]) != row[-1] for row in rows):
            return False
        if any(tuple(map(type, row)) != (int, bytes, bytes, int, bytes, bytes, int) for row in tail):
            return False
        if any(type(value) is not int for row in (*files, *removals) for value in row) or len({row[1] for row in files}) != len(files):
            return False
        return bool(state[0] > max((0, *(row[0] for row in rows), *(row[1] for row in files))))
    except (TypeError, struct.error):  # of another type than was written
        return False


class Catalog:
    """A catalog that is written to, made where there is none. Changes are made within a :meth:`transaction`."""

    def __init__(self, folder: Path, parameters: bytes) -> None:
        self._folder = folder
        new = not exists(folder)
        with examined(folder):
            self._database = sqlite3.connect(folder / NAME, isolation_level=None, check_same_thread=False, timeout=WAIT)
            try:
                self._prepare(parameters, new=new)
            except BaseException:
                self._database.close()
                raise

    def _prepare(self, parameters: bytes, *, new: bool) -> None:
        """Have it write as this module promises, and make the tables where there are none."""
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=full")
        if new or not self._database.execute("select 1 from sqlite_master where name = 'parameters'").fetchone():
            with self.transaction():
                for statement in SCHEMA.split(";")[:-1]:
                    self._database.execute(statement)
                self._database.execute("insert into parameters values (?, ?)", (parameters.decode(), _sum(parameters)))
                self._database.execute("insert into state values (1, 0, 0)")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One change: all of it or nothing."""
        with explained(self._folder):
            if self._database.in_transaction:  # one that an interruption left open
                self._database.execute("rollback")
            try:
                self._database.execute("begin immediate")
                yield
                self._database.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("rollback")
                raise

    def _count(self, new: Iterable[int], gone: Iterable[int] = ()) -> None:
        """Keep the number of rows and the sum of their checksums."""
        new, gone = list(new), list(gone)
        rows, total = self._database.execute("select rows, sum from state").fetchone()
        total = _plus(_plus(total, new), gone, -1)
        self._database.execute("update state set rows = ?, sum = ?", (rows + len(new) - len(gone), total))

    def _next(self, count: int = 1) -> int:
        (first,) = self._database.execute("select next from state").fetchone()
        self._database.execute("update state set next = ?", (first + count,))
        return int(first)

    def new_number(self) -> int:
        """A number that no file had or will have."""
        with self.transaction():
            return self._next()

    def numbers(self) -> list[int]:
        """The numbers of the files."""
        with examined(self._folder):
            return [number for (number,) in self._database.execute("select number from files")]

    def tail(self) -> list[TailRow]:
        """The documents of the tail, in order of insertion."""
        with examined(self._folder):
            rows = self._database.execute("select sequence, id, set_hash, size, fingerprints, evidence, sum from tail order by sequence")
            return [TailRow(*row) for row in rows]

    def removals(self, number: int) -> list[int]:
        """The documents that were removed from a file, in order."""
        with examined(self._folder):
            rows = self._database.execute("select document from removals where number = ? order by document", (number,))
            return [document for (document,) in rows]

    def insert(self, documents: Sequence[tuple[bytes, bytes, int, bytes, bytes]]) -> None:
        """Add documents to the tail: id, set hash, size, fingerprints and evidence of each."""
        sequence, sums = self._next(len(documents)), []
        for i, document in enumerate(documents):
            sums.append(_sum(sequence + i, *document))
            self._database.execute("insert into tail values (?, ?, ?, ?, ?, ?, ?)", (sequence + i, *document, sums[-1]))
        self._count(sums)

    def delete(self, id: bytes) -> None:
        """Remove a document from the tail."""
        (total,) = self._database.execute("select sum from tail where id = ?", (id,)).fetchone()
        self._database.execute("delete from tail where id = ?", (id,))
        self._count([], [total])

    def remove(self, number: int, documents: Sequence[int]) -> None:
        """Note that documents of a file were removed."""
        self._database.executemany("insert into removals values (?, ?)", [(number, document) for document in documents])
        self._count(_sum(number, document) for document in documents)

    def fold(self, number: int, documents: int, new: int) -> File:
        """Put a file, the last in order of insertion, in the place of the tail and of so many new documents.

        These have no number of their own: where something was learnt of the documents, they are counted beside it.
        """
        gone = [total for (total,) in self._database.execute("select sum from tail")]
        self._database.execute("delete from tail")
        self._count([], gone)
        if new and self._learnt():
            self._database.execute("update learnt set bulk = bulk + ?", (new,))
        return self._insert_file(self._next(), number, documents)

    def merge(self, files: Sequence[File], number: int, documents: int) -> list[File]:
        """Put a file in the place of others that follow one another, or nothing when it has no documents."""
        for file in files:
            gone = [_sum(file.number, document) for document in self.removals(file.number)]
            self._database.execute("delete from files where number = ?", (file.number,))
            self._database.execute("delete from removals where number = ?", (file.number,))
            self._count([], [file.sum, *gone])
        return [self._insert_file(files[0].sequence, number, documents)] if documents else []

    def _insert_file(self, sequence: int, number: int, documents: int) -> File:
        file = File(sequence, number, documents, _sum(sequence, number, documents))
        self._database.execute("insert into files values (?, ?, ?, ?)", file)
        self._count([file.sum])
        return file

    def keep_learnt(self, data: bytes) -> None:
        """Note what was learnt of the documents."""
        with self.transaction():
            before = self._learnt()
            self._database.execute(LEARNT)
            self._database.execute("delete from learnt")
            self._database.execute("insert into learnt values (?, ?, ?)", (data[-8:], data, before[1] if before else 0))

    def _learnt(self) -> tuple[bytes, int] | None:
        return _derived(self._database, "select mark, bulk from learnt")

    def written(self) -> int:
        """A number that grows with each document that is written, once something was learnt of them."""
        with examined(self._folder):
            (number,) = self._database.execute("select next from state").fetchone()
            before = self._learnt()
        return int(number) + (before[1] if before else 0)

    def check(self) -> None:
        """Let SQLite look at every page.

        Raises
        ------
        CorruptIndexError
            If it finds something.
        """
        with examined(self._folder):
            (said,) = self._database.execute("pragma integrity_check(1)").fetchone()
        if said != "ok":
            raise CorruptIndexError(f"{self._folder / NAME} is damaged: {plain(said)}; restore the folder from a copy")

    def shrink(self) -> None:
        """Give back the pages of rows that are gone. What others read stays as it is."""
        with explained(self._folder):
            if self._database.execute("pragma freelist_count").fetchone()[0]:
                self._database.execute("vacuum")
                self._database.execute("pragma wal_checkpoint(truncate)")  # less, while somebody reads

    def close(self) -> None:
        """Let go of the database."""
        with AT_WORK:
            self._database.close()
