"""What files and addresses may hold, invented by a fuzzer: an answer or an error of neardup, and nothing else, whatever the bytes.

::

    python tests/attacks/fuzz_formats.py TARGET [flags of libFuzzer]

It is guided by the coverage of neardup's own code (atheris). Files have checksums, so most of what it makes has right ones, and is read
to the end. Seeds are made anew each time; inputs that once found something are in ``corpus``.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import random
import secrets
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import atheris

with atheris.instrument_imports(include=["neardup"]):
    import neardup
    import neardup.documents
    import neardup.files
    import neardup.index
    import neardup.interop.datasketch
    import neardup.joins
    import neardup.stores.catalog
    import neardup.stores.disk
    import neardup.stores.fetched
    import neardup.stores.layout
    import neardup.stores.places
    import neardup.stores.segments

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from neardup import Banding, Index, MinHash, NearDupError, Shingling
from neardup.files import ArrowFile, FileDocuments
from neardup.interop.datasketch import from_datasketch, to_datasketch
from neardup.joins import Join, Sets, Signed
from neardup.profiles import Verify
from neardup.stores import StoreBatch, catalog, disk, layout, places, segments
from neardup.verify import Estimated
from neardup.work import Work

CORPUS = Path(__file__).parent / "corpus"
#: The longest message of an error; columns and values are shown in it, and inputs are short.
LONGEST = 2000
#: Files are written here and nowhere else: in memory where the system has a place for that.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112
TEXTS = [
    "the ship sailed with a cargo of timber",
    "the ship sailed with a cargo of timber",
    "the ship sailed with a cargo of grain",
    "",
    "nobody came",
    "κατά τὸν",
]


class Target(NamedTuple):
    """A format: what is done with bytes, the bytes to begin with, what makes others of them, how long they may be, and MB of memory."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, int, int], bytes] | None = None
    most: int = 4096
    memory: int = 1024


# ---- the promise ---------------------------------------------------------------------------------------------------------


class BrokenPromiseError(AssertionError):
    """What the fuzzer looks for."""


def kept(read: Callable[[], object], *others: type[Exception], given: str = "\0") -> bool:
    """Whether there is an answer; otherwise an error of neardup, or one of the others that are documented, in few words on one line.

    A name that was given is shown as it was.
    """
    try:
        read()
    except (NearDupError, *others) as error:
        said = str(error).replace(given, "")
        if not said or len(said) > LONGEST or not said.isprintable():
            raise BrokenPromiseError(f"a message of {len(said)} characters: {said[:300]!r}") from error
        return False
    return True


@contextmanager
def instead(module: Any, what: str, other: Any) -> Iterator[None]:
    """Something else in the place of a function. A mock takes longer to be made than an index to be read."""
    own = getattr(module, what)
    setattr(module, what, other)
    try:
        yield
    finally:
        setattr(module, what, own)


def put(path: str, data: bytes) -> None:
    """Write a file; less is done for it than Python's own files do."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


@contextmanager
def nothing_else_opened(folder: Path) -> Iterator[None]:
    """No file outside of a folder is opened, and no connection, by Python; it reads its own modules."""
    roots = (str(folder), sys.prefix, sys.base_prefix, str(Path(neardup.__file__).parent), str(CORPUS.parent), "/dev/", "/proc/", "/sys/")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith(roots):
            path = arguments[0].removeprefix("file:")
            if os.path.isabs(path) and not path.startswith(roots):  # noqa: PTH117
                raise BrokenPromiseError(f"{path!r} was opened")
        elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
            raise OSError(f"{event} is not for here")

    sys.addaudithook(hook)
    yield


# ---- files of documents --------------------------------------------------------------------------------------------------


mapped = ArrowFile._mapped


def at_once(arrow: ArrowFile) -> pa.NativeFile:
    """The same mapped bytes, for which Arrow does not ask its threads: that takes longer than all else."""
    with mapped(arrow) as content:
        return pa.BufferReader(content.read_buffer())


def reads(name: str) -> Callable[[bytes], None]:
    """Reads a file of this name in all ways that there are: its columns guessed, lines skipped, and all that there is of each row."""
    form, compression = neardup.files.format_of(name)

    def run(data: bytes) -> None:
        put(name, data)
        # What is looked up of a path is the same for all of them.
        file = neardup.files.File(name, Path(name), name, len(data), form, compression)
        with instead(neardup.files, "find", lambda *_: [file]), instead(ArrowFile, "_mapped", at_once):
            read(data)

    def read(data: bytes) -> None:
        def all_of(**options: Any) -> None:
            documents = FileDocuments(name, **options)
            for batch in documents.read(3):
                assert len(batch.ids) == len(batch.texts)
            for _ in documents.chunks(lambda n: np.ones(n, np.bool_)):
                pass

        if not kept(all_of) and form in neardup.files.LINES:
            kept(lambda: all_of(on_error="skip"))
        elif form not in neardup.files.LINES and data[-1:] > b"\xe0":
            kept(lambda: all_of(text="b"))

    return run


def lines() -> list[bytes]:
    """Seeds of JSONL."""
    records: list[dict[str, Any]] = [{"id": i, "text": text, "n": [i, None, {"a": i / 3}]} for i, text in enumerate(TEXTS)]
    every = [json.dumps(record, ensure_ascii=bool(i % 2)).encode() for i, record in enumerate(records)]
    return [
        b"\n".join(every),
        b'\xef\xbb\xbf{"content": "a\\ud800", "uuid": "x"}\r\n\r\n{"content": null}\n',
        b'[1]\n{"text": 1e999}',
        b"{" * 50,
    ]


def separated(by: str) -> Callable[[], list[bytes]]:
    """Seeds of CSV or TSV."""

    def seeds() -> list[bytes]:
        rows = [("id", "text"), *((str(i), f'"{text}"') for i, text in enumerate(TEXTS))]
        return [
            "\n".join(by.join(row) for row in rows).encode(),
            f'\ufefftext{by}id\r\n"a ""b""\n c"{by}1\r\n\r\n{by}2\r\n'.encode(),
            b"text\n\xff\n",
            b'a\n"',
        ]

    return seeds


def tables() -> Iterator[pa.Table]:
    """Small tables of the types that there are."""
    yield pa.table({"id": pa.array([1, 2, 3]), "text": pa.array(["one two", None, "three"])})
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    yield pa.table({"text": words, "b": pa.array(["x", "", "a long string, of more than twelve"], pa.string_view())})
    yield pa.table({"text": pa.array(["a", "b"], pa.large_string()), "b": pa.array([[{"c": 1}], None])})


def parquet() -> list[bytes]:
    """Seeds of Parquet."""
    seeds = []
    for i, table in enumerate(tables()):
        sink = io.BytesIO()
        options = dict(compression=["none", "snappy", "zstd"][i], write_statistics=i > 0, store_schema=i > 0)
        pq.write_table(table if i != 1 else table.select(["text"]), sink, **options)
        seeds.append(sink.getvalue())
    return seeds


def arrow() -> list[bytes]:
    """Seeds of Arrow: files and streams."""
    seeds = []
    for table in tables():
        for writer in (pa.ipc.new_file, pa.ipc.new_stream):
            sink = io.BytesIO()
            with writer(sink, table.schema) as to:
                to.write_table(table)
            seeds.append(sink.getvalue())
    return seeds


# ---- an index ------------------------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """An index in a folder: what was read of it when it was made."""

    folder: Path
    parameters: dict[str, Any]
    stored: bytes
    snapshot: catalog.Snapshot
    documents: bytes
    segment: bytes

    def put(self, kind: str, data: bytes) -> None:
        """Other bytes in its file of this kind."""
        put(f"{self.folder}/{kind}/00000001", data)


INDEXES: dict[str, Made] = {}


def indexes() -> dict[str, Made]:
    """Two small ones, exact and estimated, of a file, a tail and removals; the same each time."""
    if not INDEXES:
        for verify in ("exact", "estimate"):
            folder = Path(f"{verify}.neardup").absolute()
            options: dict[str, Any] = dict(
                shingling=Shingling(size=2), banding=Banding(2, 2), minhash=MinHash(8, shingling=Shingling(size=2))
            )
            small = mock.patch.multiple(disk, TAIL=8, BULK=6)
            with small, mock.patch.object(secrets, "randbits", return_value=7), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Index.open(folder, 0.5, verify=verify, bucket_limit=3, **options) as index:  # type: ignore[arg-type]
                    index.add_many(["a", 1, "b", "c", 2, -3], TEXTS)
                    index.add("late", TEXTS[4])
                    index.remove(2)
            parameters = catalog.read_parameters(folder)
            assert parameters is not None
            stored = json.dumps(parameters, sort_keys=True).encode()
            snapshot = catalog.read(folder, stored)
            documents, segment = (layout.file_name(folder, kind, 1).read_bytes() for kind in layout.KINDS)
            INDEXES[verify] = Made(folder, parameters, stored, snapshot, documents, segment)
    return INDEXES


def opened(made: Made) -> disk.DiskStore:
    """The store, for reading."""
    slots = made.parameters["num_perm"] if made.parameters["verify"] == "estimate" else 0
    return disk.DiskStore(made.folder, made.parameters, 2, 3, slots, writes=False)


def asked(store: disk.DiskStore) -> None:
    """All that an index is asked, one after another: what is refused by one must not hide the others."""
    rows = row("estimate" if store._home.slots else "exact")
    for ask in (
        store.ids,
        lambda: ("a" in store, 2 in store, 1 in store),
        lambda: list(store.batches()),
        lambda: store.query(rows, 0.5, 1),
        lambda: store.nearest(rows, 0.5, 1),
        lambda: joined(store),
        lambda: store.heavy(1),
    ):
        kept(ask)


def joined(store: disk.DiskStore) -> None:
    """The documents as pairs() takes them."""
    signed, n = Signed(2, Work(1 << 30), -(-store._home.slots // 4)), 0
    for ids, batch in store.batches():
        signed.append(batch)
        n += len(ids)
    signed.close()
    sets = Sets.of(signed, np.arange(n), 1)
    join, every = Join(sets, 0.5, 1), np.ones(len(sets), bool)
    if store._home.slots:
        join.judge = Estimated(0.5, sets.arrays, sets.sizes, store._home.slots)
    join.edges(every, every, lambda *_: None)


@cache
def row(verify: Verify) -> StoreBatch:
    """A document to look up, of each kind of index."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = Index(0.5, minhash=MinHash(8, shingling=Shingling(size=2)), banding=Banding(2, 2), verify=verify)
    return index._one(TEXTS[0])


def made_by(data: bytes) -> Made:
    """The index that a file says it belongs to."""
    return indexes()["estimate" if b'"estimate"' in data else "exact"]


def run_segment(data: bytes) -> None:
    """A file of postings beside right documents."""
    made = made_by(data)
    made.put("segments", data)

    def read() -> None:
        asked(opened(made))

    with instead(catalog, "read", lambda *_: made.snapshot):
        kept(read)


def run_documents(data: bytes) -> None:
    """A file of documents, the segment derived from it, and what they are merged to."""
    made = made_by(data)
    made.put("documents", data)
    made.put("segments", made.segment)

    def read() -> None:
        asked(opened(made))

    def derived() -> None:
        slots = made.parameters["num_perm"] if made.parameters["verify"] == "estimate" else 0
        home = segments.Home(made.folder, made.stored, 2, slots, 7)
        file = layout.read(made.folder, "documents", 1, home.parameters)
        layout.verify(file)
        layout.file_name(made.folder, "segments", 1).unlink()
        with layout.damage(made.folder):
            source = segments.mapped(home, 1, mend=True)
            _, columns = segments.merged(home, [source._replace(removed=np.zeros(1, np.uint32)), source])
            for column in columns:
                for piece in column.pieces:
                    assert len(piece) <= column.length
        asked(opened(made))

    with instead(catalog, "read", lambda *_: made.snapshot):
        if kept(read):
            kept(derived)


def file_of_index(data: bytes) -> bytes:
    """The same with right checksums, and a header that begins rightly."""
    body = bytearray(data)
    body.extend(bytes(max(128, -(-len(body) // layout.ALIGNMENT) * layout.ALIGNMENT) - len(body)))
    later = b"".join(sums(body[layout.BLOCK :]))
    body[:16] = layout.MAGIC + struct.pack("<II", layout.FORMAT, 1 + (body[12] == 2))
    struct.pack_into("<QQQ", body, 16, 1, len(body), xxhash.xxh3_64_intdigest(later))
    return bytes(body) + b"".join(sums(body[: layout.BLOCK])) + later


def sums(data: bytes | bytearray) -> Iterator[bytes]:
    """The checksums of blocks."""
    for start in range(0, len(data), layout.BLOCK):
        yield struct.pack("<Q", xxhash.xxh3_64_intdigest(bytes(data[start : start + layout.BLOCK])))


#: What numbers are made to be.
ODD = (0, 1, 2, 3, 7, 8, 63, 64, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 8)


def mutate_file(data: bytes, most: int, seed: int) -> bytes:
    """Another file: of eight one is mutated as it is, in the others numbers or bytes are, and the checksums are made right."""
    draw = random.Random(seed)
    if draw.random() < 1 / 8:
        return atheris.Mutate(data, len(data))
    length = struct.unpack_from("<Q", data, 24)[0] if len(data) >= 48 else 0
    body = bytearray(data[:length] if 48 <= length <= len(data) else data)
    if len(body) < 64 or draw.random() < 1 / 4:
        return file_of_index(atheris.Mutate(bytes(body), max(128, most - 256)))[:most]
    table = layout.HEADER.size + 16 * min(struct.unpack_from("<I", body, 40)[0], 64)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        size = draw.choice((1, 4, 4, 8))
        begin, end = (40, min(table, len(body))) if draw.random() < 1 / 4 else (0, len(body))
        place = draw.randrange(begin, max(begin + 1, end)) // size * size
        old = int.from_bytes(body[place : place + size], "little")
        new = draw.choice((draw.choice(ODD), draw.randrange(16), old + 1, old - 1, old ^ 1 << draw.randrange(8 * size)))
        if place + size <= len(body):
            body[place : place + size] = (new % 2 ** (8 * size)).to_bytes(size, "little")
    return file_of_index(bytes(body))[:most]


# ---- the catalog ---------------------------------------------------------------------------------------------------------


def run_catalog(data: bytes) -> None:
    """The database as bytes: read, and now and then opened by a writer, which lets SQLite check it."""
    made = indexes()["exact"]
    folder = made.folder.with_name("other.neardup")
    if [path.name for path in folder.glob("*")] != [catalog.NAME]:  # it is not there, or has what the one before left
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    put(str(folder / catalog.NAME), data)
    parameters = made.stored
    # OSError: SQLite cannot open it, says so, and how access is given.
    kept(lambda: catalog.read_parameters(folder), OSError)
    kept(lambda: catalog.read(folder, parameters), OSError)
    if data and hashlib.md5(data).digest()[0] < 32:

        def written() -> None:
            database = catalog.Catalog(folder, parameters)
            try:
                database.check()
                database.tail()
                database.numbers()
            finally:
                database.close()

        kept(written, OSError)


def databases() -> list[bytes]:
    """Seeds: the catalogs of indexes with small pages, as a reader and as a writer finds them."""
    seeds = []
    for made in indexes().values():
        small = Path("small.sqlite")
        small.unlink(missing_ok=True)
        database = sqlite3.connect(small, isolation_level=None)
        database.execute("pragma page_size=512")
        database.execute("attach ? as old", (str(made.folder / catalog.NAME),))
        for statement in catalog.SCHEMA.split(";")[:-1]:
            database.execute(statement)
        for name in ("parameters", "state", "tail", "files", "removals"):
            database.execute(f"insert into main.{name} select * from old.{name}")
        database.close()
        data = bytearray(small.read_bytes())
        seeds.append(bytes(data))
        data[18:20] = b"\2\2"  # WAL, as it is written
        seeds.append(bytes(data))
    return seeds


def run_rows(data: bytes) -> None:
    """Rows of the catalog, of any values, whose checksums are right; the files that they name are there."""
    if data[:1] == b"{":
        run_parameters(data.decode("utf-8", "replace"))
        return
    source = atheris.FuzzedDataProvider(data)
    made = indexes()["exact" if source.ConsumeBool() else "estimate"]

    def value() -> Any:
        kind = source.ConsumeIntInRange(0, 9)
        if kind < 6:
            return source.ConsumeIntInRange(0, 9)
        if kind < 7:
            return source.ConsumeInt(8)
        return (b"\1" * source.ConsumeIntInRange(0, 40), source.ConsumeUnicodeNoSurrogates(4), None)[kind - 7]

    def entry(row: catalog.TailRow) -> list[Any]:
        columns: list[Any] = list(row[:-1])
        for _ in range(source.ConsumeIntInRange(0, 2)):
            place = source.ConsumeIntInRange(0, 5)
            old = columns[place]
            columns[place] = source.ConsumeBytes(len(old)) if isinstance(old, bytes) and source.ConsumeBool() else value()
        return columns

    tail = [entry(made.snapshot.tail[0]) for _ in range(source.ConsumeIntInRange(0, 3))]
    files = [[i, 1, 6] if source.ConsumeBool() else [value(), value(), value()] for i in range(source.ConsumeIntInRange(0, 2))]
    removals = [[1, value()] if source.ConsumeBool() else [value(), value()] for _ in range(source.ConsumeIntInRange(0, 3))]
    state: list[Any] = [value() if source.ConsumeBool() else 1 << 40]
    total = 0
    for row in (*tail, *files, *removals):
        own = 0
        with suppress(TypeError, struct.error):
            own = catalog._sum(*row)
        total = catalog._plus(total, [own])
        if len(row) != 2:
            row.append(own)
    state += [len(tail) + len(files) + len(removals), total]
    text = made.stored

    def fill(database: sqlite3.Connection) -> None:
        for name, rows in (
            ("parameters", [[text.decode(), catalog._sum(text)]]),
            ("state", [state]),
            ("tail", tail),
            ("files", files),
            ("removals", removals),
        ):
            marks = ", ".join("?" * (COLUMNS[name].count(",") + 1))
            with suppress(OverflowError):
                database.executemany(f"insert into {name} values ({marks})", rows)

    with holding(tuple(f"create table {name} ({names})" for name, names in COLUMNS.items()), fill):
        kept(lambda: asked(opened(made)))


#: The tables of a catalog, which take any values.
COLUMNS = {
    "parameters": "text, sum",
    "state": "next, rows, sum",
    "tail": "sequence, id, set_hash, size, fingerprints, evidence, sum",
    "files": "sequence, number, documents, sum",
    "removals": "number, document",
}


@cache
def empty(schema: tuple[str, ...]) -> sqlite3.Connection:
    """A database in memory with these tables; it takes longer to be made than to be read."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    for statement in schema:
        database.execute(statement)
    return database


@contextmanager
def holding(schema: tuple[str, ...], fill: Callable[[sqlite3.Connection], None]) -> Iterator[None]:
    """A catalog of these tables and rows, which are taken back afterwards."""
    database = empty(schema)

    @contextmanager
    def reading(_: Path) -> Iterator[sqlite3.Connection]:
        yield database

    database.execute("begin")
    try:
        fill(database)
        with instead(catalog, "_reading", reading):
            yield
    finally:
        database.execute("rollback")


def run_parameters(text: str) -> None:
    """What parameters may say: those of an index that nobody can have are refused."""

    def fill(database: sqlite3.Connection) -> None:
        database.execute("insert into parameters values (?, ?)", (text, catalog._sum(text.encode())))
        database.execute("insert into state values (1, 0, 0)")

    with holding(tuple(catalog.SCHEMA.split(";")[:-1]), fill):
        kept(lambda: Index.open(indexes()["exact"].folder, mode="r").close())


def rows() -> list[bytes]:
    """Seeds of rows, and of parameters."""
    return [*(bytes([i]) * 40 for i in (0, 1, 3, 5, 7)), *(made.stored for made in indexes().values())]


def mutate_rows(data: bytes, most: int, seed: int) -> bytes:
    """Another input; of parameters often only one value."""
    draw = random.Random(seed)
    begin, end = data.find(b"{"), data.rfind(b"}")
    if begin < 0 or end < begin or draw.random() < 1 / 3:
        return atheris.Mutate(data, most)
    try:
        parameters = json.loads(data[begin : end + 1])
        name = draw.choice(sorted(parameters))
    except (ValueError, LookupError, TypeError, RecursionError):
        return atheris.Mutate(data, most)
    values = (
        0,
        1,
        -1,
        2**31,
        2**63,
        2**64,
        1e308,
        -0.5,
        0.5,
        None,
        True,
        "",
        "words",
        "exact",
        "estimate",
        [],
        ["a"],
        {},
        "9" * 50,
        float("nan"),
        [[]],
    )
    parameters[name] = draw.choice(values)
    if draw.random() < 1 / 8:
        del parameters[name]
    if draw.random() < 1 / 8:
        name = draw.choice(("profile", "stop", "drawn", "token_hash", "strip_diacritics", "fold_digits"))
        parameters[name] = draw.choice((*values, "news", "ocr", "excerpt", "short", "sha1"))
    return (data[:begin] + json.dumps(parameters, sort_keys=True).encode() + data[end + 1 :])[:most]


# ---- addresses and signatures --------------------------------------------------------------------------------------------


def run_address(data: bytes) -> None:
    """An address, and after a line end the name: where an index is, what is shown of it, and what a file of that address is."""
    first, _, second = data.decode("utf-8", "surrogateescape").partition("\n")
    name = second or None

    def index() -> None:
        place = places.named(first, name)
        user, at, host = first.partition("://")[2].rpartition("@")
        password = user.partition(":")[2]
        said = f"{place} {place!r} {places.label(first, name)}"
        # One that is in what may be shown too is shown there.
        secret = at and len(password) > 8 and password not in f"{host} {name}"
        if secret and not isinstance(place, places.Folder) and password in said:
            raise BrokenPromiseError(f"a password is shown: {said!r}")
        if not isinstance(place, places.Folder) and places.SERVERS[place.scheme] == "redis":
            from neardup.stores import redis

            redis._client(place)

    kept(index)
    neardup.files.format_of(first)
    if neardup.documents.is_url(first):
        kept(lambda: FileDocuments(first), ImportError, given=first)


def addresses() -> list[bytes]:
    """Seeds of addresses."""
    return [
        b"postgresql://user:a secret word@host:5432/database?sslmode=require\nnews",
        b"redis://user:another secret@[::1]:6379/0\na.b:c-d",
        b"unix:///run/redis.sock?db=1&password=very-secret\nn",
        b"rediss://h\n",
        b"memory://a/b.jsonl.gz",
        b"file:///nowhere/a.csv",
        b"folder/news.neardup",
        b"s3://bucket/*.parquet",
        b"http://[::1/x",
        b"zip://a.txt",
    ]


def run_signature(data: bytes) -> None:
    """The bytes of a sketch: what is read of them is written again as it was."""
    order = "@=<>!"[data[0] % 5] if data else "@"
    source = data[1:]
    found: list[Any] = []
    if kept(lambda: found.append(from_datasketch(source, byteorder=order))):
        written = to_datasketch(found[0], "bytes", byteorder=order)
        if written != source and order != "@":
            raise BrokenPromiseError(f"{source!r} was written again as {written!r}")
    size = len(source) // 2
    kept(lambda: from_datasketch([source[:size], source[size:]], byteorder=order))


def sketches() -> list[bytes]:
    """Seeds of sketches, of each scheme and order of bytes."""
    seeds = []
    for scheme in ("datasketch-legacy", "datasketch-affine32", "datasketch-affine64"):
        signature = MinHash(4, 1, Shingling(size=1), scheme).sign(TEXTS[0])  # type: ignore[arg-type]
        for i, order in enumerate("@=<>!"):
            data = to_datasketch(signature, "bytes", byteorder=order)
            seeds.append(bytes([i]) + data)
    return [*seeds, seeds[0] + seeds[0][1:]]


TARGETS = {
    "jsonl": Target(reads("a.jsonl"), lines, most=640),
    "csv": Target(reads("a.csv"), separated(","), most=512),
    "tsv": Target(reads("a.tsv"), separated("\t"), most=512),
    # Arrow takes the memory that a page says it needs, before it finds that the page is not there: up to 2 GB.
    "parquet": Target(reads("a.parquet"), parquet, memory=6144),
    "arrow": Target(reads("a.arrow"), arrow),
    # What compares arrays keeps them under atheris: some 400 bytes each time.
    "documents": Target(run_documents, lambda: [made.documents for made in indexes().values()], mutate_file, memory=4096),
    "segments": Target(run_segment, lambda: [made.segment for made in indexes().values()], mutate_file),
    "catalog": Target(run_catalog, databases, most=16384),
    "rows": Target(run_rows, rows, mutate_rows, most=1024),
    "addresses": Target(run_address, addresses, most=256),
    "signatures": Target(run_signature, sketches, most=256),
}


def fuzz(name: str, flags: list[str]) -> None:
    """Fuzz in the working folder, until a flag says otherwise."""
    target = TARGETS[name]
    seeds = Path("seeds").absolute()
    seeds.mkdir()
    for i, seed in enumerate(target.seeds()):
        (seeds / str(i)).write_bytes(seed)
    kept_inputs = CORPUS / name
    warnings.simplefilter("ignore")

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except Exception:
            raise
        except BaseException as error:  # a panic of the kernels, which is none of Exception
            raise BrokenPromiseError(f"{type(error).__name__}: {error}") from error

    options = [f"-max_len={target.most}", "-timeout=60", f"-rss_limit_mb={target.memory}", *flags, str(seeds)]
    if kept_inputs.is_dir():
        options.append(str(kept_inputs))
    given: dict[str, Any] = {} if target.mutate is None else {"custom_mutator": target.mutate}
    atheris.Setup([name, *options], run, **given)
    gc.freeze()  # what there is stays, and need not be looked through
    gc.set_threshold(20_000)
    with nothing_else_opened(Path.cwd()):
        atheris.Fuzz()


def main() -> int:
    """Fuzz in a process and a folder of its own, in memory; what was found stays where one is."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        print(f"usage: fuzz_formats.py TARGET [flags of libFuzzer, like -runs=100000]; a target is one of {', '.join(TARGETS)}")
        return 2
    found = Path(tempfile.gettempdir()) / f"neardup-{sys.argv[1]}-"
    with tempfile.TemporaryDirectory(prefix="neardup-fuzz-", dir=MEMORY) as folder:
        child = [sys.executable, __file__, "--here", sys.argv[1], f"-artifact_prefix={found}", *sys.argv[2:]]
        return subprocess.run(child, cwd=folder, check=False).returncode


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        fuzz(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
