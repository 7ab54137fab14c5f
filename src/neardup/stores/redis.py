"""An index in Redis, or a server that speaks its protocol, which many processes share.

What it does there is in ``redis.lua``; docs/reference/format.md shows the keys, docs/adr/0012 why they are so.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

import numpy as np
import xxhash

from neardup.errors import IncompatibleError, MissingDependencyError, ParameterError, ServerError
from neardup.ids import Id
from neardup.stores import Extent, Hit, StoreBatch, duplicate, unknown
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

#: Documents, and bytes of them, that one script adds: it is the only one that runs meanwhile.
TOGETHER, TOGETHER_BYTES = 1024, 1 << 24
#: Documents read at a time, entries of a hash, bytes of a posting.
BATCH, EACH, RECORD = 4096, 512, 9
MARK = b"\xff" * 5
FORMAT = "1"


def _driver() -> Any:
    try:
        import redis
    except ImportError:
        raise MissingDependencyError("an index in Redis needs redis-py, which is not installed; pip install 'neardup[redis]'") from None
    return redis


class _Packer:
    """What makes bytes of commands. Given a number, hiredis crashes where the handler of a signal raises meanwhile: it gets text."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def pack(self, *words: Any) -> Any:
        return self._driver.pack(*[word if isinstance(word, (bytes, str)) else str(word) for word in words])


def _packing() -> dict[str, Any]:
    try:
        import hiredis
        from redis.connection import HiredisRespSerializer
    except ImportError:
        return {}  # the driver packs in Python
    return {"command_packer": _Packer(HiredisRespSerializer())} if hasattr(hiredis, "pack_command") else {}


def _client(place: Place) -> Any:
    """A client, which connects when it is first used."""
    driver = _driver()
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    given: dict[str, Any] = {"socket_timeout": 60.0, "socket_connect_timeout": 10.0, "retry": Retry(NoBackoff(), 0)} | _packing()
    try:
        client = driver.Redis.from_url(place.address, **given)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # which knows what it can be told
    except (ValueError, TypeError, driver.RedisError):  # its words repeat parts of the address
        raise ParameterError(
            f"the address {place.scheme}://... cannot be read; it is redis://user:password@host:port/number, "
            "rediss:// for TLS, with special characters as %XX"
        ) from None
    if pool.connection_kwargs.get("password") is None and "REDISCLI_AUTH" in os.environ:
        pool.connection_kwargs["password"] = os.environ["REDISCLI_AUTH"]
    return client


def _key(place: Place) -> str:
    """The key that all others of an index begin with; what is in braces puts them on one node of a cluster."""
    return f"neardup:{{{place.name}}}"


def _sum(text: str) -> str:
    return xxhash.xxh3_64_hexdigest(text.encode())


def read_parameters(place: Place) -> dict[str, Any] | None:
    """The parameters of an index; None where there is none of this name.

    Raises
    ------
    CorruptIndexError
        If they are not what was written.
    ServerError
        If the server cannot be reached.
    """
    client = _client(place)
    try:
        text = _parameters(place, client)
    finally:
        client.close()
    return None if text is None else parsed(text, str(place))


def _parameters(place: Place, client: Any) -> str | None:
    driver = _driver()
    try:
        version, raw, total = client.hmget(_key(place), "format", "parameters", "sum")
    except (driver.ConnectionError, driver.TimeoutError) as error:
        raise ServerError(f"{shown(place.address)} lets nobody in: {words(error)}; check the address, and that the server runs") from None
    except driver.RedisError as error:
        raise _refused(place, error) from None
    if version is None and raw is None and total is None:
        return None
    if version is not None and version != FORMAT.encode():
        raise IncompatibleError(f"the index {place} has format {version!r}, this version of neardup reads {FORMAT}; use another version")
    text = (raw or b"").decode("utf-8", "replace")
    if version is None or total is None or _sum(text).encode() != total:
        raise damaged(str(place), "its parameters")
    return text


def _refused(place: Place, error: BaseException, unchanged: str = "") -> Exception:
    """What a server says of a command, in words."""
    said = words(error)
    if said.startswith(("WRONGTYPE", "user_script", "ERR user_script")):  # a command, or the script itself, met what it cannot read
        return damaged(str(place), "values of another kind than was written")
    if said.startswith("NOPERM"):
        return PermissionError(f"{shown(place.address)}: {said}{unchanged}; docs/reference/servers.md lists what is needed")
    return ServerError(f"{shown(place.address)}: {said}{unchanged}")


class RedisStore(FetchingStore):
    """The :class:`~neardup.stores.Store` of ``Index.open("redis://...", name=...)``.

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
        self._home = _key(place)
        client = _client(place)
        self._script = client.register_script((files("neardup.stores") / "redis.lua").read_bytes())
        self._text = text = json.dumps(parameters, sort_keys=True, ensure_ascii=True)
        self._sum = _sum(text)
        try:
            stored = _parameters(place, client)
            if stored is None and writes:
                self._keeps_all(client)
                self._create(client, text, bands)
                stored = _parameters(place, client)
        except BaseException:
            client.close()
            raise
        if stored != text:
            client.close()
            if stored is None:
                raise FileNotFoundError(f"no index {place}; name another, or add documents to make one")
            raise made_anew(str(place), stored, text)
        self._idle.append(client)
        watch(self)

    def _keeps_all(self, client: Any) -> None:
        """Refuse a server that throws away keys when memory is short."""
        driver = _driver()
        with suppress(driver.ResponseError):
            policy = str(client.info("memory").get("maxmemory_policy", ""))
            if policy.startswith("allkeys"):
                raise ServerError(
                    f"{shown(self._place.address)} has maxmemory-policy {policy} and would throw away parts of an index; set noeviction"
                )

    def _create(self, client: Any, text: str, bands: int) -> None:
        """Make the index, unless another process is quicker."""
        driver = _driver()
        values = {"format": FORMAT, "parameters": text, "sum": _sum(text), "bands": bands, "blocks": 1}
        for pause in (*BACKOFF, None):
            with client.pipeline() as pipe:
                try:
                    pipe.watch(self._home)
                    if not pipe.exists(self._home):
                        pipe.multi()
                        pipe.hset(self._home, mapping=values)
                        pipe.execute()
                    return  # noqa: TRY300  it is tried again
                except driver.WatchError:
                    continue
                except (driver.ConnectionError, driver.TimeoutError) as error:
                    if pause is None:
                        raise ServerError(f"{shown(self._place.address)}: {words(error)}, no index was made") from None
                except driver.RedisError as error:
                    raise _refused(self._place, error, ", no index was made") from None
                pausing(pause)

    # ---- calls -----------------------------------------------------------------------------------------------------

    def _asked(self, work: Any, *, writes: bool = False) -> Any:
        """Ask something, again where a connection is lost; a write is known by its token when it comes twice."""
        self._require_open()
        driver = _driver()
        unchanged, doubt = ", nothing was changed", False
        for pause in (*BACKOFF, None):
            try:
                return self._once(work)
            except driver.exceptions.BusyLoadingError as error:
                lost: Exception = error
            except (driver.AuthenticationError, driver.exceptions.MaxConnectionsError) as error:
                raise ServerError(f"{shown(self._place.address)}: {words(error)}{unchanged if writes else ''}") from None
            except (driver.ConnectionError, driver.TimeoutError) as error:
                lost, doubt = error, True
            except driver.RedisError as error:
                if str(error).startswith("OTHERINDEX"):
                    raise self._other() from None
                if not str(error).startswith("BUSY "):  # as it is while a long script runs: nothing was done
                    raise _refused(self._place, error, unchanged if writes and not doubt else "") from None
                lost = error
            if pause is None:
                said = "; a change was made wholly or not at all: look for the document before you try again" if writes else ""
                raise ServerError(f"{shown(self._place.address)} broke off {len(BACKOFF) + 1} times: {words(lost)}{said}") from None
            pausing(pause)
        raise AssertionError

    def _once(self, work: Any) -> Any:
        """Ask by a connection that nobody else has meanwhile. One whose answer is not read to its end would give the rest to the next."""
        idle = self._idle
        try:
            client = idle.pop()
        except IndexError:
            client = _client(self._place)
        try:
            answer = work(client)
        except BaseException:
            client.connection_pool.disconnect()
            raise
        if idle is self._idle:  # otherwise forked meanwhile: it is the parent's
            self._keep(client)
        return answer

    def _other(self) -> Exception:
        """What to say where the script finds another index than was opened, or none; it does nothing then."""
        stored = self._once(lambda client: _parameters(self._place, client))
        return removed(self._where) if stored in (None, self._text) else made_anew(self._where, stored, self._text)

    def _call(self, command: str, *arguments: Any, token: str = "") -> Any:
        """A command of the script."""
        given = [command, token, self._sum, *arguments]
        return self._asked(lambda client: self._script(keys=[self._home], args=given, client=client), writes=bool(token))

    def _change(self, command: str, *arguments: Any) -> Any:
        self._require_writes()
        return self._call(command, *arguments, token=secrets.token_hex(8))

    # ---- writing ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _contents(batch: StoreBatch) -> list[bytes]:
        hashes = batch.set_hashes.tobytes()
        return [hashes[8 * i : 8 * i + 8] + body for i, body in enumerate(bodies(batch))]

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:  # noqa: ARG002  the server has one
        names = list(ids)
        keys, contents = packed(names), self._contents(batch)
        parts = list(_parts(keys, contents))
        if len(parts) > 1:  # all are looked for before any is written
            for start in range(0, len(keys), BATCH):
                there = self._asked(lambda client, start=start: client.hmget(self._home + ":d", keys[start : start + BATCH]))
                for name, value in zip(names[start : start + BATCH], there, strict=True):
                    if value is not None:
                        raise duplicate(name)
        done = 0
        try:
            for start, stop in parts:
                given = [value for pair in zip(keys[start:stop], contents[start:stop], strict=True) for value in pair]
                place = self._change("add", *given)
                if place >= 0:
                    raise duplicate(names[start + place])  # noqa: TRY301  what was added is taken back
                done = stop
        except BaseException as error:
            if done and not isinstance(error, (FileNotFoundError, IncompatibleError)):  # there it is gone already
                self._undo(keys[:done], error)
            raise

    def _undo(self, keys: list[bytes], error: BaseException) -> None:
        """Take back the parts of a batch that were added."""
        try:
            for start in range(0, len(keys), TOGETHER):
                self._change("remove", *keys[start : start + TOGETHER])
        except Exception:  # noqa: BLE001  whatever it is, what is left must be said
            raise ServerError(
                f"{shown(self._place.address)}: the first {len(keys):,} documents of a batch were added and could not be taken back, "
                f"the rest was not added: {words(error)}; remove them, or add the rest"
            ) from error

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        ((key,), (content,)) = packed([id]), self._contents(batch)
        examined = b""
        while True:
            found = self._change("unless", self._limit, examined, key, content)
            if found == 0:
                raise duplicate(id)
            if found == -1:
                return []
            fetched = self._fetched(found)
            ((hits, _),) = self._answers(fetched, batch, threshold, 1)
            if hits:
                return hits
            examined += b"".join(found[::3])  # those too that no document has: an index is damaged, and this ends

    def remove(self, id: Id) -> None:
        if not self._change("remove", *packed([id])):
            raise unknown(id)

    def replace(self, id: Id, batch: StoreBatch) -> None:
        if not self._change("replace", *packed([id]), *self._contents(batch)):
            raise unknown(id)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self._asked(lambda client: client.hlen(self._home + ":d")))

    def __contains__(self, id: Id) -> bool:
        return bool(self._asked(lambda client: client.hexists(self._home + ":d", packed([id])[0])))

    def _documents(self) -> list[tuple[bytes, bytes]]:
        """The value and the packed id of each document, in order of insertion."""
        found: dict[bytes, bytes] = {}
        cursor: Any = 0
        while True:
            cursor, part = self._asked(lambda client, cursor=cursor: client.hscan(self._home + ":d", cursor, count=BATCH))
            found.update(part)
            if not int(cursor):
                break
        if any(len(value) != 11 for value in found.values()):
            raise damaged(self._where, "a document without a number")
        return sorted((value, id) for id, value in found.items())

    def ids(self) -> list[Id]:
        return [unpacked(id, self._where) for _, id in self._documents()]

    def _fetched(self, reply: Sequence[Any]) -> Fetched:
        """Entries as a script lists them: number, content, members."""
        rows = []
        for number, content, members in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
            if not isinstance(content, bytes) or any(len(member) < 6 for member in members):
                raise damaged(self._where, "an entry of another kind")
            if members:
                rows.append((sorted(members), number, content))
        rows.sort(key=lambda row: row[0][0][:6])
        contents = [row[2] for row in rows]
        batch = decoded([row[:8] for row in contents], [row[8:] for row in contents], self._bands, self._slots, self._where)
        return Fetched([row[1] for row in rows], batch, [[member[6:] for member in row[0]] for row in rows])

    def _candidates(self, batch: StoreBatch, limit: int) -> Fetched:
        hashes, fingerprints, width = batch.set_hashes.tobytes(), batch.fingerprints.tobytes(), 4 * self._bands
        some = np.flatnonzero(batch.sizes).tolist()
        asked = dict.fromkeys(hashes[8 * i : 8 * i + 8] + fingerprints[width * i : width * (i + 1)] for i in some)
        return self._fetched(self._call("query", limit, *asked) if asked else [])

    def _chunks(self) -> range:
        return range(self._counter("entries") // EACH + 1)

    def _counter(self, name: str) -> int:
        """One of the numbers that the index keeps."""
        return self._number_in(self._asked(lambda client: client.hget(self._home, name)), name)

    def _number_in(self, value: bytes | None, name: str) -> int:
        value = value or b"0"
        if not value.isdigit() or len(value) > 13:
            raise damaged(self._where, f"the number of {name}")
        return int(value)

    def stored(self, id: Id) -> StoreBatch:
        row = self._call("stored", *packed([id]))
        if not row:
            raise unknown(id)
        return decoded([row[0][:8]], [row[0][8:]], self._bands, self._slots, self._where)

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        documents = self._documents()
        for start in range(0, len(documents), BATCH):
            part = documents[start : start + BATCH]
            there: list[tuple[bytes, bytes]] = []
            while part:
                reply = self._call("entries", *dict.fromkeys(value[6:] for value, _ in part))
                contents = dict(zip(reply[::3], reply[1::3], strict=True))
                there += [(contents[value[6:]], id) for value, id in part if value[6:] in contents]
                gone = [(value, id) for value, id in part if value[6:] not in contents]
                part = self._moved(gone) if gone else []
            rows = [row for row, _ in there]
            batch = decoded([row[:8] for row in rows], [row[8:] for row in rows], self._bands, self._slots, self._where)
            yield [unpacked(id, self._where) for _, id in there], batch

    def _moved(self, gone: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Where documents are now whose entries are not there: elsewhere, having another text by now, or nowhere."""
        values = self._asked(lambda client: client.hmget(self._home + ":d", [id for _, id in gone]))
        now = [(value, old, id) for (old, id), value in zip(gone, values, strict=True) if value is not None]
        if any(value == old for value, old, _ in now):
            raise damaged(self._where, "a document without an entry")
        return [(value, id) for value, _, id in now]

    def nbytes(self) -> int:
        """What the server says of each of its keys."""
        total, cursor = 0, 0
        while True:
            cursor, keys = self._asked(lambda client, cursor=cursor: client.scan(cursor, match=self._home + "*", count=BATCH))
            total += sum(map(int, self._piped("memory_usage", keys)))
            if not cursor:
                return total

    def _piped(self, command: str, keys: Iterable[Any]) -> list[Any]:
        """One command for many keys, in one round trip; what is not there is 0 or empty."""

        def work(client: Any) -> list[Any]:
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    getattr(pipe, command)(key)
                return [value or 0 for value in _replies(pipe)]

        return list(self._asked(work))

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        found: list[tuple[int, int, Id]] = []
        blocks = self._counter("blocks")
        for band in range(self._bands):
            for start in range(0, blocks, BATCH):
                keys = [f"{self._home}:b:{band}:{block}" for block in range(start, min(start + BATCH, blocks))]
                found += self._crowded(band, [block for block in self._piped("get", keys) if block], limit)
        return found

    def _crowded(self, band: int, blocks: list[bytes], limit: int) -> Iterator[tuple[int, int, Id]]:
        """Of some blocks of a band the buckets of more entries."""
        if any(len(block) % RECORD for block in blocks):
            raise damaged(self._where, "a block that ends within a posting")
        records = np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, RECORD)
        names, numbers = records[:, :4].copy().view("<u4").ravel(), records[:, 4:]
        fingerprints, counts = np.unique(names, return_counts=True)
        sizes = dict(zip(fingerprints[counts > limit].tolist(), counts[counts > limit].tolist(), strict=True))
        for fingerprint in names[(numbers == 0xFF).all(1)].tolist():
            crowd = f"{self._home}:c:{band}:".encode() + struct.pack("<I", fingerprint)
            sizes[fingerprint] = self._asked(lambda client, crowd=crowd: client.zcard(crowd))
        for fingerprint, size in sizes.items():
            if size <= limit:
                continue
            some = [number.tobytes() for number in numbers[names == fingerprint]]
            if MARK in some:
                crowd = f"{self._home}:c:{band}:".encode() + struct.pack("<I", fingerprint)
                some = [member[8:] for member in self._asked(lambda client, crowd=crowd: client.zrange(crowd, 0, 0))]
            fetched = self._fetched(self._call("entries", *some[:BATCH]))
            if fetched.keys:
                yield band, size, self._ids(fetched, int(np.argmin(fetched.batch.set_hashes)))[0]

    def extent(self) -> Extent:
        def work(client: Any) -> list[Any]:
            with client.pipeline(transaction=False) as pipe:
                pipe.hlen(self._home + ":d")
                pipe.hget(self._home, "order")
                pipe.getrange(self._home + ":l", -8, -1)
                return _replies(pipe)

        documents, written, learnt = self._asked(work)
        return Extent(documents, self._number_in(written, "order"), learnt)

    def learnt(self) -> bytes | None:
        data: bytes | None = self._asked(lambda client: client.get(self._home + ":l"))
        return data

    def keep_learnt(self, new: bytes, old: bytes) -> bytes:
        if self._writes:
            with suppress(PermissionError, ServerError):
                kept: bytes = self._change("learnt", new, old)
                return kept
        return new

    def check(self, threads: int = 1) -> list[str]:  # noqa: ARG002  the server has one
        """Read all entries and documents; postings that are lost are made again."""
        mended = 0
        for chunk in self._chunks():
            for members in self._fetched(self._call("slice", chunk)).members:
                for id in members:
                    unpacked(id, self._where)
            mended += self._change("mend", chunk)
        for _ in self.batches():
            pass
        return [f"{mended} postings"] if mended else []

    def compact(self, threads: int = 1) -> None:
        """The server does so itself."""


def _replies(pipe: Any) -> list[Any]:
    """What the commands of a pipeline answered; an error is as one command alone has it."""
    replies = list(pipe.execute(raise_on_error=False))
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _parts(keys: Sequence[bytes], contents: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Places from and to which documents are added together."""
    start = size = 0
    for i, (key, content) in enumerate(zip(keys, contents, strict=True)):
        size += len(key) + len(content)
        if i + 1 - start >= TOGETHER or size >= TOGETHER_BYTES:
            yield start, i + 1
            start, size = i + 1, 0
    if start < len(keys):
        yield start, len(keys)
