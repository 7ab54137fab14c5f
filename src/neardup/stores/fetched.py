"""What the stores on servers have in common: entries are fetched, checked, and looked up here as an index in memory is.

A server says which entries share a bucket with the documents that are asked for; their contents come in the same answer. A
table in memory of just these entries then ranks, bounds, verifies and scores them by the kernels that every store uses, so
that the answers are the same to the last bit.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from reprlib import repr as shortly
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from neardup import _kernels
from neardup.errors import CorruptIndexError, IncompatibleError, ParameterError
from neardup.ids import Id
from neardup.stores import Answer, Document, Hit, Matcher, Preparation, Readings, StoreBatch, Told, first_sets

#: Of a stored entry: its checksum, and its distinct shingles. Fingerprints and evidence follow.
HEAD = struct.Struct("<QI")
#: Documents looked up in one round trip.
TOGETHER = 1024
#: Longer than any bucket.
WHOLE = 2**31 - 1
#: Seconds waited before each further attempt at what a lost connection interrupted.
BACKOFF = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
#: What an index on a server may be called: it becomes part of keys, and people type it.
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


def check_name(name: str | None, address: str) -> str:
    """The name of an index on a server."""
    if name is None:
        raise ParameterError(f"an index on a server has a name, and {address} is given none; give one: name='news' (--name news)")
    if not NAME.fullmatch(str(name)):
        raise ParameterError(f"name is {name!r}; it is 1 to 100 of A-Z, a-z, 0-9, _, ., : and -")
    return name


class Place(NamedTuple):
    """Where an index is: the address of the server, and the index's name there."""

    address: str
    name: str

    @property
    def scheme(self) -> str:
        """What the address begins with."""
        return self.address.partition("://")[0]

    def __str__(self) -> str:
        return f"{self.name!r} at {shown(self.address)}"

    def __repr__(self) -> str:
        return f"Place({shown(self.address)!r}, {self.name!r})"


def shown(address: str) -> str:
    """An address for people: without password, and without options, which may hold one."""
    scheme, _, rest = address.partition("://")
    user, _, place = rest.rpartition("@")
    # A question mark before the last @ is in a password, or that is in an option: which of them cannot be told.
    return f"{scheme}://..." if "?" in user else f"{scheme}://{place.partition('?')[0]}"


class Fetched(NamedTuple):
    """Entries, each a shingle set that one or more documents have, in order of the first of these.

    Attributes
    ----------
    keys
        What the store knows each by; they have an order.
    batch
        Their contents.
    members
        The packed ids of the documents of each, in order of insertion.
    """

    keys: list[Any]
    batch: StoreBatch
    members: list[list[bytes]]


def unpacked(id: bytes, where: str) -> Id:
    """An id from its packed form, which is that of :func:`neardup._kernels.pack_ids`.

    Raises
    ------
    CorruptIndexError
        If it is no such form.
    """
    if id[:1] == b"\xff":
        folded = int.from_bytes(id[1:], "little")
        if len(id) <= 9 and id[-1:] != b"\0":
            return folded >> 1 ^ -(folded & 1)
    else:
        try:
            return id.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            pass
    raise damaged(where, "an id that is none")


def packed(ids: Sequence[Id]) -> list[bytes]:
    """Ids as bytes."""
    data, ends = _kernels.pack_ids(list(ids))
    raw = data.tobytes()
    return [raw[start:stop] for start, stop in itertools.pairwise([0, *ends.tolist()])]


def damaged(where: str, what: str) -> CorruptIndexError:
    """What is said of stored data that is not what was written."""
    return CorruptIndexError(f"the index {where} is damaged, or was not written by neardup: {what}; restore it from a copy")


def words(error: BaseException) -> str:
    """The first line of what a driver says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def pausing(seconds: float) -> None:
    """Wait about so long: who met another before is not to meet it again."""
    time.sleep(seconds * (0.5 + os.urandom(1)[0] / 256))


def removed(where: str) -> FileNotFoundError:
    """What is said of an index that others removed while it was open."""
    return FileNotFoundError(f"the index {where} was removed while it was open here, nothing was changed; open it anew to begin another")


def made_anew(where: str, text: str, own: str) -> IncompatibleError:
    """What is said of stored parameters that are not those an index was opened with."""
    has, had = parsed(text, where), parsed(own, where)
    different = [name for name in sorted(has.keys() | had.keys()) if has.get(name) != had.get(name)]
    said = [
        "another secret" if name == "secret" else f"{name} {shortly(has.get(name))}, not {shortly(had.get(name))}" for name in different
    ]
    return IncompatibleError(
        f"the index {where} was made anew by others meanwhile and has {', '.join(said)}; nothing was changed, open it anew"
    )


def parsed(text: str, where: str) -> dict[str, Any]:
    """Stored parameters.

    Raises
    ------
    CorruptIndexError
        If they are no JSON object.
    """
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise damaged(where, "parameters that are none")
    return parameters


def _sum(set_hash: bytes, rest: bytes) -> int:
    return int(xxhash.xxh3_64_intdigest(set_hash + rest))


def bodies(batch: StoreBatch) -> list[bytes]:
    """The entries of a batch as they are stored: checksum, size, fingerprints, evidence."""
    set_hashes, fingerprints, evidence = batch.set_hashes.tobytes(), batch.fingerprints.tobytes(), batch.evidence.tobytes()
    width, bounds, rows = 4 * batch.fingerprints.shape[1], batch.offsets.tolist(), []
    for i, size in enumerate(batch.sizes.tolist()):
        rest = b"%b%b%b" % (
            size.to_bytes(4, "little"),
            fingerprints[width * i : width * (i + 1)],
            evidence[4 * bounds[i] : 4 * bounds[i + 1]],
        )
        rows.append(_sum(set_hashes[8 * i : 8 * i + 8], rest).to_bytes(8, "little") + rest)
    return rows


def decoded(set_hashes: Sequence[bytes], rows: Sequence[bytes], bands: int, slots: int, where: str) -> StoreBatch:
    """Stored entries as a batch, each of them found to be what was written.

    Raises
    ------
    CorruptIndexError
        If one is not.
    """
    start, words = HEAD.size + 4 * bands, -(-slots // 4)
    sizes, lengths = [], []
    for set_hash, row in zip(set_hashes, rows, strict=True):
        length, left = divmod(len(row) - start, 4)
        if length < 0 or left or len(set_hash) != 8:
            raise damaged(where, f"an entry of {len(row)} bytes")
        total, size = HEAD.unpack_from(row)
        if _sum(set_hash, row[8:]) != total:
            raise damaged(where, "the checksum of an entry")
        if length != (words if slots else size):
            raise damaged(where, f"an entry of {size} shingles with {length} words")
        sizes.append(size)
        lengths.append(length)
    offsets = np.concatenate((np.zeros(1, np.uint64), np.cumsum(lengths, dtype=np.uint64)))
    evidence = np.frombuffer(b"".join([row[start:] for row in rows]), np.uint32)
    if not slots and len(evidence):
        ascending = evidence[1:] > evidence[:-1]
        ends = offsets[1:-1].astype(np.int64)
        ascending[ends[(ends > 0) & (ends < len(evidence))] - 1] = True
        if not ascending.all():
            raise damaged(where, "hashes that are not sorted")
    return StoreBatch(
        np.frombuffer(b"".join([row[HEAD.size : start] for row in rows]), np.uint32).reshape(len(rows), bands),
        np.frombuffer(b"".join(set_hashes), np.uint64),
        np.array(sizes, np.uint32),
        evidence,
        offsets,
    )


class FetchingStore(ABC):
    """The reading half of a :class:`~neardup.stores.Store` on a server, by what its subclass fetches.

    Parameters
    ----------
    place
        The server and the name.
    bands, bucket_limit, slots
        As for :class:`~neardup.stores.memory.MemoryStore`.
    writes
        Whether it may write.
    """

    def __init__(self, place: Place, bands: int, bucket_limit: int, slots: int, *, writes: bool) -> None:
        self._place, self._where, self._writes, self._closed = place, str(place), writes, False
        self._bands, self._limit, self._slots = bands, bucket_limit, slots
        self._idle: list[Any] = []  # connections that nobody uses
        self._inherited: list[Any] = []  # those of the process that forked this one, which are left alone

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError(f"the index {self._where} is closed; open it again")

    def _require_writes(self) -> None:
        if not self._writes:
            raise ParameterError(f"the index {self._where} was opened with mode='r'; open it with mode='a' to write")

    def _keep(self, connection: Any) -> None:
        """Put a connection by for the next one who asks."""
        self._idle.append(connection)
        if self._closed:
            self._disconnect()

    def _disconnect(self) -> None:
        with suppress(IndexError):  # asking first would leave another thread time to take it
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        self._closed = True
        self._disconnect()

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`: connections are the parent's, and another thread may have held a lock of theirs."""
        self._inherited.append(self._idle)
        self._idle = []

    @abstractmethod
    def _candidates(self, batch: StoreBatch, limit: int) -> Fetched:
        """The entries that share a bucket with some documents, and their own: of a longer bucket the first ``limit`` + 1."""

    @abstractmethod
    def stored(self, id: Id) -> StoreBatch: ...

    @abstractmethod
    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]: ...

    def _table(self, fetched: Fetched, limit: int, threads: int) -> _kernels.DocumentTable:
        """Entries in a table in memory, whose ids are their places."""
        table = _kernels.DocumentTable(self._bands, limit, self._slots)
        table.add(list(range(len(fetched.keys))), fetched.batch, threads)
        return table

    def _ids(self, fetched: Fetched, place: Any) -> list[Id]:
        return [unpacked(id, self._where) for id in fetched.members[place]]

    def _parts(self, batch: StoreBatch) -> Iterator[StoreBatch]:
        for start in range(0, batch.documents, TOGETHER):
            yield batch.part(start, min(start + TOGETHER, batch.documents))

    def _answers(self, fetched: Fetched, batch: StoreBatch, threshold: float, threads: int) -> list[Answer]:
        if not fetched.keys:
            return [([], False)] * batch.documents
        found = self._table(fetched, self._limit, threads).query(batch, threshold, threads)
        return [([(id, both, size) for place, both, size in hits for id in self._ids(fetched, place)], more) for hits, more in found]

    def query(self, batch: StoreBatch, threshold: float, threads: int, readings: Readings | None = None) -> list[Answer]:  # noqa: ARG002
        answers: list[Answer] = []
        for part in self._parts(batch):
            answers += self._answers(self._candidates(part, self._limit), part, threshold, threads)
        return answers

    def look_up(self, preparation: Preparation, document: Document, threshold: float, matcher: Matcher[Told]) -> Told:
        prepared = preparation.prepare(document)
        return matcher.matches(prepared.size, self.query(StoreBatch(*prepared.arrays()), threshold, 1)[0])

    def nearest(self, batch: StoreBatch, threshold: float, threads: int) -> list[Hit | None]:
        answers: list[Hit | None] = []
        for part in self._parts(batch):
            fetched = self._candidates(part, WHOLE)
            found = self._table(fetched, WHOLE, threads).nearest(part, threshold, threads)
            answers += [None if hit is None else (self._ids(fetched, hit[0])[0], *hit[1:]) for hit in found]
        return answers

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        row = self.stored(id)
        return row.evidence if row.sizes[0] else row.evidence[:0]

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        return first_sets((batch for _, batch in self.batches()), hashes)

    def read_by(self, known: _kernels.WeightTable, clearest: float, least: float, number: int) -> None:  # noqa: B027
        """What is fetched is verified by its Jaccard similarity alone."""

    def refresh(self) -> None:  # noqa: B027  there is nothing to do
        """Every call sees what is there."""
