"""An index in PostgreSQL, which many processes share. docs/reference/format.md shows the tables, docs/adr/0012 why they are so."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import xxhash

from neardup.errors import IncompatibleError, MissingDependencyError, ParameterError, ServerError
from neardup.ids import Id
from neardup.stores import Extent, Hit, StoreBatch, duplicate, unknown
from neardup.stores import postgres_schema as sql
from neardup.stores.fetched import (
    BACKOFF,
    Fetched,
    FetchingStore,
    Place,
    bodies,
    damaged,
    decoded,
    made_anew,
    packed,
    parsed,
    pausing,
    removed,
    shown,
    unpacked,
    words,
)
from neardup.stores.forked import watch

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
#: Seconds waited while all connections of a process are busy, and how many there are; what each is opened with.
WAIT, CONNECTIONS = 30.0, 16
OPTIONS: dict[str, Any] = {"autocommit": True, "application_name": "neardup"}
#: Stripes by which processes that decide on one bucket wait for each other; the first of their locks.
STRIPES, LOCKS = 1024, 0x6E656172 << 32
#: Ids longer than this are keyed by a digest.
LONG = 200
#: Documents read at a time; ids looked for before they are written, rather than found to be there by writing.
BATCH, FEW = 4096, 4096

COPY_START, COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
ENTRY_ROW = struct.Struct(">hiqiiihi")
DOCUMENT_ROW = struct.Struct(">hiqiqiiiiihi")
POSTING_ROW = np.dtype([("n", ">i2"), ("a", ">i4"), ("key", ">i8"), ("b", ">i4"), ("priority", ">i4"), ("c", ">i4"), ("name", ">i4")])


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        raise MissingDependencyError(
            "an index in PostgreSQL needs psycopg, which is not installed; pip install 'neardup[postgres]'"
        ) from None
    return psycopg


def _connected(place: Place) -> psycopg.Connection[Any]:
    """One connection, or why there is none."""
    driver = _driver()
    unread = ParameterError(
        f"the address {place.scheme}://... cannot be read; "
        "it is postgresql://user:password@host:port/database, with special characters as %XX"
    )
    if place.address.partition("://")[2].count("@") > 1:  # the rest of a password would be the name of a host
        raise unread
    try:
        driver.conninfo.conninfo_to_dict(place.address)
    except driver.Error:  # its words repeat parts of the address
        raise unread from None
    try:
        return driver.connect(place.address, **OPTIONS)  # type: ignore[no-any-return]
    except driver.Error as error:
        raise ServerError(f"{shown(place.address)} lets nobody in: {words(error)}; check the address, and that the server runs") from None


@contextmanager
def _explained(place: Place, unchanged: str = "") -> Iterator[None]:
    """Errors of the server in words; a lost connection stays what it is."""
    driver = _driver()
    try:
        yield
    except (driver.errors.UndefinedTable, driver.errors.InvalidSchemaName, driver.errors.UndefinedFunction):
        raise _no_schema(place) from None
    except (driver.errors.InsufficientPrivilege, driver.errors.ReadOnlySqlTransaction) as error:
        raise PermissionError(
            f"{shown(place.address)}: {words(error)}{unchanged}; docs/reference/servers.md lists what is needed"
        ) from None
    except driver.OperationalError as error:
        if error.sqlstate is None or (error.sqlstate[:2] in ("08", "40", "57") and error.sqlstate != "57014"):
            raise  # no connection, another was quicker, shutting down: what asked tries again
        raise ServerError(f"{shown(place.address)}: {words(error)}{unchanged}") from None
    except driver.DatabaseError as error:
        if isinstance(error, driver.IntegrityError):
            raise
        raise ServerError(f"{shown(place.address)}: {words(error)}{unchanged}") from None


def _no_schema(place: Place) -> FileNotFoundError:
    return FileNotFoundError(f"{shown(place.address)} has no schema of neardup; `neardup index migrate {shown(place.address)}` makes it")


def migrate(address: str) -> list[int]:
    """Make the schema in a database, or bring an older one up to date: the versions that were made.

    Raises
    ------
    IncompatibleError
        If a newer version of neardup made it.
    """
    place = Place(address, "")
    made = []
    with _connected(place) as connection, _explained(place, ", nothing was changed"), connection.transaction():
        connection.execute(sql.MIGRATING)
        have = _version(connection, place)
        for version, statements in enumerate(sql.MIGRATIONS, 1):
            if version > have:
                connection.execute(statements.encode())
                connection.execute(sql.MIGRATED, (version,))
                made.append(version)
    return made


def _version(connection: psycopg.Connection[Any], place: Place) -> int:
    """The version of the schema, 0 where there is none."""
    (there,) = _row(connection.execute(sql.EXISTS))
    if not there:
        return 0
    (version,) = _row(connection.execute(sql.VERSION_OF))
    if version > sql.VERSION:
        raise IncompatibleError(
            f"{shown(place.address)} has schema version {version}, this version of neardup reads {sql.VERSION}; use a newer one"
        )
    return int(version)


def _row(cursor: Any) -> Any:
    return cursor.fetchone()


def read_parameters(place: Place) -> dict[str, Any] | None:
    """The parameters of an index; None where there is none of this name.

    Raises
    ------
    CorruptIndexError
        If they are not what was written.
    ServerError
        If the server cannot be reached.
    """
    with _connected(place) as connection, _explained(place):
        version = _version(connection, place)
        if version == 0:
            return None
        if version < sql.VERSION:
            remedy = f"`neardup index migrate {shown(place.address)}` brings it up to date"
            raise IncompatibleError(f"{shown(place.address)} has schema version {version}, and {sql.VERSION} is needed; {remedy}")
        row = connection.execute(sql.FIND_INDEX, (place.name,)).fetchone()
    return None if row is None else parsed(_parameters(place, row)[1], str(place))


def _parameters(place: Place, row: tuple[int, str, int]) -> tuple[int, str]:
    number, text, total = row
    if _sum(text) != total:
        raise damaged(str(place), "its parameters")
    return number, text


def _sum(text: str) -> int:
    return int(xxhash.xxh3_64_intdigest(text.encode())) - 2**63


class _Right:
    """To have one of a process's connections: wherever whoever has it is interrupted, it comes back, at the latest when it is forgotten.

    A semaphore of Python may stay locked when that is interrupted.
    """

    def __init__(self, home: weakref.ref[SimpleQueue[_Right]]) -> None:
        self._home = home

    def __del__(self) -> None:
        home = self._home()
        if home is not None:
            home.put(_Right(self._home))


def _rights() -> SimpleQueue[_Right]:
    rights: SimpleQueue[_Right] = SimpleQueue()
    for _ in range(CONNECTIONS):
        rights.put(_Right(weakref.ref(rights)))
    return rights


class _Mark(NamedTuple):
    """What a change leaves behind: the number of its transaction, and in one of the rows of counts, instead of another, bytes of its own."""

    transaction: str
    shard: int
    change: bytes
    before: bytes | None


class PostgresStore(FetchingStore):
    """The :class:`~neardup.stores.Store` of ``Index.open("postgresql://...", name=...)``.

    Parameters
    ----------
    place
        The server and the name.
    parameters
        What the index was made with, as JSON: written when it is new, compared otherwise.
    bands, bucket_limit, slots
        As for :class:`~neardup.stores.memory.MemoryStore`.
    writes
        Whether it may write.
    """

    def __init__(
        self, place: Place, parameters: dict[str, Any], bands: int, bucket_limit: int, slots: int = 0, *, writes: bool = True
    ) -> None:
        super().__init__(place, bands, bucket_limit, slots, writes=writes)
        self._rights = _rights()
        text = json.dumps(parameters, sort_keys=True, ensure_ascii=True)
        with _connected(place) as connection, _explained(place, ", no index was made"):
            if writes and _version(connection, place) == 0:
                migrate(place.address)
            if writes and connection.execute(sql.FIND_INDEX, (place.name,)).fetchone() is None:
                connection.execute(sql.NEW_INDEX, (place.name, text, _sum(text)))
            row = connection.execute(sql.FIND_INDEX, (place.name,)).fetchone()
        if row is None:
            raise FileNotFoundError(f"no index {place}; name another, or add documents to make one")
        self._number, stored = _parameters(place, row)
        if stored != text:
            raise made_anew(str(place), stored, text)
        watch(self)

    # ---- connections -----------------------------------------------------------------------------------------------

    def forked(self) -> None:
        super().forked()
        self._inherited.append(self._rights)
        self._rights = _rights()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of this process, kept for the next one who asks unless it broke."""
        self._require_open()
        idle, rights = self._idle, self._rights
        try:
            right = rights.get(timeout=WAIT)
        except Empty:
            raise ServerError(
                f"{shown(self._place.address)}: all {CONNECTIONS} connections were busy for {WAIT:g} s; ask in fewer threads"
            ) from None
        try:
            try:
                connection = idle.pop()  # asking first would leave another thread time to take it
            except IndexError:
                connection = _driver().connect(self._place.address, **OPTIONS)
            whole = False  # an interrupt may leave anything behind
            try:
                yield connection
                whole = True
            except Exception:
                whole = True
                raise
            finally:
                if idle is not self._idle:  # forked meanwhile: it is the parent's
                    self._inherited.append(connection)
                else:
                    self._let_go(connection, whole)
        finally:
            rights.put(right)

    def _let_go(self, connection: psycopg.Connection[Any], whole: bool) -> None:
        """Keep a connection for the next one who asks, unless what was asked of it broke off, or it did."""
        if whole and connection.info.transaction_status:
            with suppress(Exception):
                connection.rollback()
        if not whole or connection.info.transaction_status:  # broken
            connection.close()
        else:
            self._keep(connection)

    def _read(self, work: Callable[[psycopg.Cursor[Any]], T]) -> T:
        """Ask something, again where a connection is lost."""
        driver = _driver()
        for pause in (*BACKOFF, None):
            try:
                with self._connection() as connection, _explained(self._place), connection.cursor(binary=True) as cursor:
                    return work(cursor)
            except driver.OperationalError as error:  # noqa: PERF203  it is tried again
                if pause is None:
                    raise ServerError(f"{shown(self._place.address)} broke off {len(BACKOFF) + 1} times: {words(error)}") from None
                pausing(pause)
        raise AssertionError

    def _change(self, work: Callable[[psycopg.Cursor[Any]], tuple[int, int, T]]) -> T:
        """Do something in one transaction: again where a connection is lost before it was committed, or another was quicker.

        What is done says how many documents more there are, how many were written, and what it found.
        """
        self._require_writes()
        driver = _driver()
        for pause in (*BACKOFF, None):
            mark, result = None, None
            try:
                unchanged = _explained(self._place, ", nothing was changed")
                with self._connection() as connection, unchanged, connection.cursor(binary=True) as cursor:
                    cursor.execute("begin")
                    more, written, result = work(cursor)
                    change = os.urandom(8)
                    counted = {"index": self._number, "more": more, "written": written, "change": change}
                    rows = cursor.execute(sql.COUNTED, counted).fetchall()
                    if not rows:
                        raise removed(self._where)
                    number, shard, before = min(rows, key=itemgetter(1))
                    mark = _Mark(number, shard, change, before)
                    cursor.execute("commit")
                    return result
            except (driver.errors.UniqueViolation, driver.errors.DeadlockDetected, driver.errors.SerializationFailure) as error:
                reason, why = error, "others write the same documents all the time"
            except driver.OperationalError as error:
                reason, why = error, f"the connection broke off {len(BACKOFF) + 1} times ({words(error)})"
                if mark is not None and self._committed(mark, error):
                    return result  # type: ignore[return-value]
            if pause is None:
                raise ServerError(f"{shown(self._place.address)}: {why}, nothing was changed; try again") from reason
            pausing(pause)
        raise AssertionError

    def _committed(self, mark: _Mark, lost: BaseException) -> bool:
        """Whether a transaction was committed whose end nobody heard of."""
        driver, why = _driver(), "does not answer"
        for pause in BACKOFF:
            time.sleep(pause)
            try:
                with self._connection() as connection:
                    (status,) = _row(connection.execute(sql.STATUS, (mark.transaction,)))
                    row = connection.execute(sql.LAST_CHANGE, (self._number, mark.shard)).fetchone()
            except driver.errors.InvalidParameterValue:  # after a crash, nobody has had that number
                return False
            except (driver.Error, ServerError):
                continue
            last = row and row[0]
            if status == "in progress":
                continue
            # After a crash that number may be another one's, who committed.
            if status != "committed" or last == mark.before:
                return False
            if last == mark.change:
                return True
            why = "has another change where that left its mark"
            break
        raise ServerError(
            f"{shown(self._place.address)} broke off while a change was committed ({words(lost)}), and {why}; "
            "it was made wholly or not at all: look for the document before you try again"
        ) from None

    # ---- names -----------------------------------------------------------------------------------------------------

    def _homes(self, set_hashes: npt.NDArray[np.uint64]) -> tuple[list[int], list[int]]:
        """What entries of these set hashes are known by: the index with the high half, and the low half."""
        high, low = (set_hashes >> np.uint64(32)).astype(np.int64), set_hashes.astype(np.uint32).view(np.int32)
        return (high | (self._number << 32)).tolist(), low.tolist()

    def _keys(self, fingerprints: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The bucket of each fingerprint, int64[n, bands]."""
        bands = (np.arange(self._bands, dtype=np.int64) << 32) | (self._number << 44)
        return fingerprints.astype(np.int64) | bands

    def _postings(self, batch: StoreBatch) -> npt.NDArray[Any]:
        """The postings of a batch's documents, sorted."""
        some = np.flatnonzero(batch.sizes)
        rows = np.empty(len(some) * self._bands, POSTING_ROW)
        rows["n"], rows["a"], rows["b"], rows["c"] = 3, 8, 4, 4
        keys = self._keys(batch.fingerprints[some]).ravel()
        order = np.argsort(keys, kind="stable")
        bands = np.tile(np.arange(self._bands, dtype=np.uint64), len(some))
        hashes = np.repeat(batch.set_hashes[some], self._bands)
        high = (_mixed(hashes ^ bands) >> np.uint64(32)).astype(np.uint32)
        rows["key"], rows["priority"] = keys[order], (high ^ np.uint32(1 << 31)).view(np.int32)[order]
        rows["name"] = (hashes >> np.uint64(32)).astype(np.uint32).view(np.int32)[order]
        return rows

    def _stripes(self, batch: StoreBatch) -> list[int]:
        """The stripes of a batch's buckets, in order."""
        keys = self._keys(batch.fingerprints[batch.sizes > 0]).ravel().view(np.uint64)
        return sorted(set((_mixed(keys) % np.uint64(STRIPES)).tolist()))

    # ---- writing ---------------------------------------------------------------------------------------------------

    def _entries(self, cursor: psycopg.Cursor[Any], batch: StoreBatch) -> tuple[list[tuple[int, int, int]], list[bytes], list[int]]:
        """The entry of each document, those that are there held against removal; their rows; and the places whose entries are new."""
        homes, rests = self._homes(batch.set_hashes)
        rows = bodies(batch)
        there: dict[tuple[int, int], list[bytes]] = {}
        if batch.documents <= FEW or self._any(cursor):
            asked = sorted(set(zip(homes, rests, strict=True)))
            for start in range(0, len(asked), BATCH):
                part = asked[start : start + BATCH]
                cursor.execute(sql.ENTRIES, ([home for home, _ in part], [rest for _, rest in part]))
                for home, rest, twin, body in cursor:
                    there.setdefault((home, rest), []).extend([b""] * (twin + 1 - len(there.get((home, rest), []))))
                    there[home, rest][twin] = body
        entries, new = [], []
        for i, (home, rest, row) in enumerate(zip(homes, rests, rows, strict=True)):
            twins = there.setdefault((home, rest), [])
            if row not in twins:
                twins.append(row)
                new.append(i)
            entries.append((home, rest, twins.index(row)))
        return entries, rows, new

    def _any(self, cursor: psycopg.Cursor[Any]) -> bool:
        return bool(_row(cursor.execute(sql.ANY_ENTRY, (self._number << 32, (self._number + 1) << 32)))[0])

    def _numbers(self, cursor: psycopg.Cursor[Any], count: int) -> list[int]:
        """Numbers in order of insertion, a million from each of a batch's."""
        batches = [batch for (batch,) in cursor.execute(sql.BATCHES, (-(-count >> 20),)).fetchall()]
        return [(batches[i >> 20] << 20) + (i & 0xFFFFF) for i in range(count)]

    def _insert(self, cursor: psycopg.Cursor[Any], ids: list[bytes], batch: StoreBatch) -> None:
        """Write documents whose ids are not there."""
        entries, rows, new = self._entries(cursor, batch)
        numbers = self._numbers(cursor, len(ids))
        postings = self._postings(batch if len(new) == batch.documents else batch.take(np.array(new, np.int64)))
        if len(ids) == 1:
            columns = [postings[name].tolist() for name in ("key", "priority", "name")]
            key = _key(ids[0])
            cursor.execute(
                sql.INSERT_ONE,
                (*entries[0], rows[0] if new else b"", bool(new), *columns, numbers[0], entries[0][0], self._number, *entries[0][1:], *key),
            )
        else:
            made = sorted((entries[i], rows[i]) for i in new)
            _copy(cursor, sql.COPY_ENTRIES, (ENTRY_ROW.pack(4, 8, e[0], 4, e[1], 2, e[2], len(row)) + row for e, row in made))
            _copy(cursor, sql.COPY_POSTINGS, (postings[start : start + 65536].tobytes() for start in range(0, len(postings), 65536)))
            _copy(cursor, sql.COPY_DOCUMENTS, map(self._document_row, ids, numbers, entries))

    def _document_row(self, id: bytes, number: int, entry: tuple[int, int, int]) -> bytes:
        key, long = _key(id)
        row = DOCUMENT_ROW.pack(7, 8, number, 8, entry[0], 4, self._number, 4, entry[1], 2, entry[2], len(key)) + key
        return row + (b"\xff\xff\xff\xff" if long is None else struct.pack(">i", len(long)) + long)

    def _known(self, cursor: psycopg.Cursor[Any], names: list[Id], ids: list[bytes]) -> None:
        """Refuse ids that are there."""
        keys = [_key(id)[0] for id in ids]
        for start in range(0, len(keys), BATCH):
            cursor.execute(sql.KNOWN, (self._number, keys[start : start + BATCH]))
            there = {key for (key,) in cursor.fetchall()}
            for name, key in zip(names[start : start + BATCH], keys[start : start + BATCH], strict=True):
                if key in there:
                    raise duplicate(name)

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:  # noqa: ARG002  the server has its own
        names = list(ids)
        keys = packed(names)
        tries = iter((len(names) > FEW,))

        def work(cursor: psycopg.Cursor[Any]) -> tuple[int, int, None]:
            if not next(tries, False):  # many are found to be there by writing them
                self._known(cursor, names, keys)
            self._insert(cursor, keys, batch)
            return len(names), len(names), None

        if names:
            self._change(work)

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        ids = packed([id])

        def work(cursor: psycopg.Cursor[Any]) -> tuple[int, int, list[Hit]]:
            cursor.execute(sql.LOCK, (LOCKS | (self._number << 10), self._stripes(batch)))
            self._known(cursor, [id], ids)
            ((hits, _),) = self._answers(self._fetched(cursor, batch, self._limit), batch, threshold, 1)
            if not hits:
                self._insert(cursor, ids, batch)
            return int(not hits), int(not hits), hits

        return self._change(work)

    def _release(self, cursor: psycopg.Cursor[Any], entry: tuple[int, int, int]) -> None:
        """Remove an entry that no document has any more."""
        row = cursor.execute(sql.HAVE_ENTRY, entry).fetchone()
        if row is None:
            raise damaged(self._where, "a document without an entry")
        if _row(cursor.execute(sql.IS_USED, entry))[0]:
            return
        cursor.execute(sql.DELETE_ENTRY, entry)
        postings = self._postings(decoded([_set_hash(*entry[:2])], [row[0]], self._bands, self._slots, self._where))
        if len(postings):
            cursor.execute(sql.DELETE_POSTINGS, [postings[name].tolist() for name in ("key", "priority", "name")])

    def remove(self, id: Id) -> None:
        key, _ = _key(packed([id])[0])

        def work(cursor: psycopg.Cursor[Any]) -> tuple[int, int, None]:
            entry = cursor.execute(sql.HAVE_DOCUMENT, (self._number, key)).fetchone()
            if entry is None:
                raise unknown(id)
            cursor.execute(sql.DELETE_DOCUMENT, (self._number, key))
            self._release(cursor, entry)
            return -1, 0, None

        self._change(work)

    def replace(self, id: Id, batch: StoreBatch) -> None:
        key, _ = _key(packed([id])[0])

        def work(cursor: psycopg.Cursor[Any]) -> tuple[int, int, None]:
            old = cursor.execute(sql.HAVE_DOCUMENT, (self._number, key)).fetchone()
            if old is None:
                raise unknown(id)
            (entry,), (row,), new = self._entries(cursor, batch)
            if new:
                _copy(cursor, sql.COPY_ENTRIES, [ENTRY_ROW.pack(4, 8, entry[0], 4, entry[1], 2, entry[2], len(row)) + row])
                _copy(cursor, sql.COPY_POSTINGS, [self._postings(batch).tobytes()])
            cursor.execute(sql.MOVE_DOCUMENT, (self._numbers(cursor, 1)[0], *entry, self._number, key))
            if old != entry:
                self._release(cursor, old)
            return 0, 1, None

        self._change(work)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self._read(lambda cursor: _row(cursor.execute(sql.COUNT, (self._number,)))[0]))

    def __contains__(self, id: Id) -> bool:
        key, _ = _key(packed([id])[0])
        return bool(self._read(lambda cursor: _row(cursor.execute(sql.HAS, (self._number, key)))[0]))

    def ids(self) -> list[Id]:
        """All of them at one moment: a document that is updated meanwhile comes once."""

        def work(cursor: psycopg.Cursor[Any]) -> list[Id]:
            names: list[Id] = []
            last = -1
            cursor.execute("begin isolation level repeatable read read only")
            while rows := cursor.execute(sql.IDS, (self._number, last, 16 * BATCH)).fetchall():
                names += [unpacked(id, self._where) for _, id in rows]
                last = rows[-1][0]
            cursor.execute("commit")
            return names

        return self._read(work)

    def _fetched(self, cursor: psycopg.Cursor[Any], batch: StoreBatch, limit: int) -> Fetched:
        some = batch.sizes > 0
        keys = np.unique(self._keys(batch.fingerprints[some])).tolist()
        own = sorted(set(self._homes(batch.set_hashes[some])[0]))
        rows = cursor.execute(sql.CANDIDATES, (self._number, keys, own, limit + 1)).fetchall() if keys else []
        return self._entries_of([row[:5] for row in rows])

    def _entries_of(self, rows: Sequence[Any]) -> Fetched:
        rows = [row for row in rows if row[4]]  # its last document is being removed
        batch = decoded([_set_hash(*row[:2]) for row in rows], [row[3] for row in rows], self._bands, self._slots, self._where)
        return Fetched([row[:3] for row in rows], batch, [row[4] for row in rows])

    def _candidates(self, batch: StoreBatch, limit: int) -> Fetched:
        return self._read(lambda cursor: self._fetched(cursor, batch, limit))

    def _slices(self) -> Iterator[Fetched]:
        after, end = (self._number << 32, -(2**31), -1), (self._number + 1) << 32
        while rows := self._read(lambda cursor, after=after: cursor.execute(sql.SLICE, (*after, end, 1024)).fetchall()):  # type: ignore[misc]
            yield self._entries_of(rows)
            after = rows[-1][:3]

    def stored(self, id: Id) -> StoreBatch:
        key, _ = _key(packed([id])[0])
        row = self._read(lambda cursor: cursor.execute(sql.STORED, (self._number, key)).fetchone())
        if row is None:
            raise unknown(id)
        if row[2] is None:
            raise damaged(self._where, f"document {id!r} has no entry")
        return decoded([_set_hash(*row[:2])], [row[2]], self._bands, self._slots, self._where)

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        """All documents as they are at one moment: one that changes meanwhile comes once, as it was."""
        self._read(lambda cursor: cursor.execute("select 1"))  # what comes next is not tried again
        driver = _driver()
        try:
            with self._connection() as connection, _explained(self._place), connection.cursor(binary=True) as cursor:
                cursor.execute("begin isolation level repeatable read read only")
                last = -1
                while rows := cursor.execute(sql.DOCUMENTS, (self._number, last, BATCH)).fetchall():
                    if any(row[4] is None for row in rows):
                        raise damaged(self._where, "a document without an entry")
                    hashes = [_set_hash(*row[2:4]) for row in rows]
                    batch = decoded(hashes, [row[4] for row in rows], self._bands, self._slots, self._where)
                    yield [unpacked(row[1], self._where) for row in rows], batch
                    last = rows[-1][0]
                cursor.execute("commit")
        except driver.OperationalError as error:
            raise ServerError(
                f"{shown(self._place.address)} broke off while documents were read: {words(error)}; read them again"
            ) from None

    def nbytes(self) -> int:
        """Its share of the tables, by documents."""
        size, every = self._read(lambda cursor: _row(cursor.execute(sql.SIZE)))
        return int(size * len(self) // max(every, 1))

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        def work(cursor: psycopg.Cursor[Any]) -> list[tuple[int, int, Id]]:
            found = []
            for key, members, name in cursor.execute(sql.HEAVY, (self._number << 44, (self._number + 1) << 44, limit)).fetchall():
                row = cursor.execute(sql.HEAVY_EXAMPLE, ((self._number << 32) | name,)).fetchone()
                if row is not None:
                    found.append((key >> 32 & 0xFFF, members, unpacked(row[0], self._where)))
            return found

        return self._read(work)

    def extent(self) -> Extent:
        documents, written, learnt = self._read(lambda cursor: _row(cursor.execute(sql.EXTENT, (self._number, self._number))))
        return Extent(int(documents), int(written), learnt or b"")

    def learnt(self) -> bytes | None:
        row = self._read(lambda cursor: cursor.execute(sql.LEARNT, (self._number,)).fetchone())
        return None if row is None else row[0]

    def keep_learnt(self, new: bytes, old: bytes) -> bytes:
        if self._writes:
            with suppress(PermissionError, ServerError):
                self._change(lambda cursor: (0, 0, cursor.execute(sql.KEEP_LEARNT, (self._number, new, old))))
                return self.learnt() or new
        return new

    def check(self, threads: int = 1) -> list[str]:  # noqa: ARG002  one connection reads
        """Read all entries and documents; postings that are lost are made again, and those of no entry removed."""
        mended = 0
        for these in self._slices():
            for members in these.members:
                for id in members:
                    unpacked(id, self._where)
            mended += self._change(lambda cursor, these=these: (0, 0, self._mend(cursor, these)))  # type: ignore[misc]
        for _ in self.batches():
            pass
        bounds = (self._number << 44, (self._number + 1) << 44, self._number)
        mended += self._change(lambda cursor: (0, 0, cursor.execute(sql.LONE_POSTINGS, bounds).rowcount))
        return [f"{mended} postings"] if mended else []

    def _mend(self, cursor: psycopg.Cursor[Any], these: Fetched) -> int:
        """Make lost postings of entries that are there, and stay.

        An entry may be removed, and added again with its postings, meanwhile: what is lost is looked for once more when it is held.
        """
        if not self._lost(cursor, self._postings(these.batch)):
            return 0
        homes, rests = [key[0] for key in these.keys], [key[1] for key in these.keys]
        held = {row[:3] for row in cursor.execute(sql.ENTRIES_TO_MEND, (homes, rests))}
        stay = [i for i, key in enumerate(these.keys) if key in held]
        lost = self._lost(cursor, self._postings(these.batch.take(np.array(stay, np.int64))))
        made = np.array([(3, 8, key, 4, priority, 4, name) for key, priority, name in lost], POSTING_ROW)
        _copy(cursor, sql.COPY_POSTINGS, [made.tobytes()])
        return len(made)

    @staticmethod
    def _lost(cursor: psycopg.Cursor[Any], postings: npt.NDArray[Any]) -> list[Any]:
        """Those of some postings that are not there."""
        return cursor.execute(sql.LOST_POSTINGS, [postings[name].tolist() for name in ("key", "priority", "name")]).fetchall()

    def compact(self, threads: int = 1) -> None:  # noqa: ARG002  the server has its own
        """Let the server take back what removed rows took, as it does by itself sooner or later."""
        self._require_writes()

        def work(cursor: psycopg.Cursor[Any]) -> None:
            cursor.connection.add_notice_handler(_heard)
            for statement in sql.VACUUM:
                cursor.execute(statement)
            cursor.connection.remove_notice_handler(_heard)

        self._read(work)


def _heard(_: Any) -> None:
    """Whoever may not clean a table is told so by a notice."""


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """``mix64`` of reference.py."""
    x = x ^ (x >> np.uint64(33))
    x = x * np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


def _set_hash(home: int, rest: int) -> bytes:
    return struct.pack("<II", rest & 0xFFFFFFFF, home & 0xFFFFFFFF)


def _key(id: bytes) -> tuple[bytes, bytes | None]:
    """What a document is found by, and its id where that is another: no B-tree takes long keys."""
    return (id, None) if len(id) <= LONG else (b"\xfe" + hashlib.sha256(id).digest(), id)


def _copy(cursor: psycopg.Cursor[Any], statement: str, rows: Any) -> None:
    """Send rows in binary, some at a time."""
    with cursor.copy(statement) as copy:
        part, size = [COPY_START], 0
        for row in rows:
            part.append(row)
            size += len(row)
            if size > 1 << 20:
                copy.write(b"".join(part))
                part, size = [], 0
        copy.write(b"".join([*part, COPY_END]))
