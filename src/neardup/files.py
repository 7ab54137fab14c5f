"""Files of documents: text, JSONL, CSV, Parquet and Arrow, read as streams."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import select
import stat
import sys
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, TypeVar

import pyarrow as pa

from neardup.documents import (
    BATCH_BYTES,
    Batch,
    Chunk,
    Documents,
    Rows,
    Take,
    choose_ids,
    cut,
    is_url,
    kinds,
    numbered,
    refuse_columns,
    text_lengths,
)
from neardup.ending import of_this_process
from neardup.errors import InputError, MissingDependencyError, NearDupError, ParameterError, kind, listed, plain
from neardup.unread import Unread

T = TypeVar("T")
StrPath = str | os.PathLike[str]

#: The formats of data files. Every other file is a text.
FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json-lines": "jsonl", ".csv": "csv", ".tsv": "tsv",
    ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
#: The longest line of JSONL, field of CSV and text file.
LONGEST = 1 << 30
#: About the most bytes that rows of Parquet become at a time, whose strings are stored once and named many times.
REPEATED = 4 * BATCH_BYTES
#: So few rows at a time cost hardly more than many: a row group that fits in so many parts is not looked into.
FEW_ROWS = 64
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: What the folder of an index has in it, as docs/reference/format.md says: a file, and a folder.
CATALOG, DOCUMENTS = "catalog.sqlite", "documents"


def format_of(path: str) -> tuple[str, str | None]:
    """The format and compression that a name says.

    Examples
    --------
    >>> format_of("a.jsonl.gz"), format_of("a.CSV"), format_of("notes.md")
    (('jsonl', 'gzip'), ('csv', None), ('text', None))
    """
    name = PurePath(path.lower())
    compression = COMPRESSIONS.get(name.suffix)
    return FORMATS.get(name.with_suffix("").suffix if compression else name.suffix, "text"), compression


@contextmanager
def explained(name: StrPath) -> Iterator[None]:
    """Say of what the system or Arrow refuses which file it is, and what helps; a full disk stays an OSError."""
    if "\0" in os.fspath(name):
        raise InputError(f"{os.fspath(name)!a} has a NUL in it, which no path may have; check the path")
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name}: no such file or folder; check the path") from None
    except PermissionError:
        raise InputError(f"{name}: permission denied; change the mode of the file or its folder") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        remedy = "choose a shorter one" if error.errno == errno.ENAMETOOLONG else "check the file"
        raise InputError(f"{name}: {plain(error.strerror or error)}; {remedy}") from error
    except UnicodeError as error:
        raise InputError(f"{name}: not UTF-8 ({plain(error)}); convert it: iconv -t utf-8") from error
    except pa.ArrowException as error:
        raise InputError(f"{name}: {plain(error).rstrip('.')}; check the file") from error


# ---- where files are -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class File:
    """A file to read.

    Attributes
    ----------
    name
        The path as given: its id, and its name in messages.
    path
        Where the bytes are; of a stream, in a temporary copy.
    place
        Its path relative to the folder that was given; empty for a stream.
    system, address
        The fsspec file system of a remote file, and its path there.
    """

    name: str
    path: Path
    place: str
    size: int
    format: str
    compression: str | None
    system: Any = None
    address: str = ""

    @contextmanager
    def open(self) -> Iterator[tuple[pa.NativeFile, pa.NativeFile]]:
        """The file, which knows how far it is read, and its content, which differs if it is compressed."""
        with explained(self.name), self.raw() as raw:
            yield raw, pa.CompressedInputStream(raw, self.compression) if self.compression else raw

    def raw(self) -> pa.NativeFile:
        """Its bytes as they are stored."""
        if self.system is None:
            return pa.OSFile(os.fsencode(self.path))
        with _reached(self.name):
            return pa.PythonFile(self.system.open(self.address, "rb"), "r")

    def identity(self) -> tuple[Any, ...]:
        """What no other file has."""
        if self.system is not None:
            return self.system.protocol, self.address
        there = self.path.stat()
        return there.st_dev, there.st_ino

    def state(self) -> list[Any]:
        """What changes when its content does."""
        if self.system is not None:
            return [self.name, self.size, str(self.system.ukey(self.address))]
        if not self.place:
            raise ParameterError(f"{self.name} is a stream, which cannot be read again; work= is for files")
        return [self.name, self.size, self.path.stat().st_mtime_ns]


def find(path: str, glob: str | None) -> Iterator[File]:
    """The files that a path means: itself, or those below the folder that match."""
    if not path:
        raise ParameterError("an input is ''; name a file or folder, or - for standard input")
    if path == "-":
        yield _buffered(path, _standard_input())
        return
    if is_url(path):
        yield from _remote(path, glob)
        return
    with explained(path):
        where = Path(path)
        there = where.stat()
        if stat.S_ISDIR(there.st_mode):
            if is_index(where):
                raise InputError(
                    f"{path} is an index; search it with `neardup index query {path} ...`, or compare a corpus with it: against= (--against {path})"
                )
            for found in _some(_below(where, glob), path, glob):
                yield File(str(found), found, str(found.relative_to(where)), found.stat().st_size, *format_of(found.name))
        elif stat.S_ISREG(there.st_mode):
            yield File(path, where, where.name, there.st_size, *format_of(where.name))
        else:
            with where.open("rb") as stream:
                yield _buffered(path, stream)


@contextmanager
def _reached(name: str) -> Iterator[None]:
    """Say of a file system's own errors which address it is."""
    try:
        yield
    except (NearDupError, OSError, pa.ArrowException):
        raise
    except Exception as error:
        raise InputError(f"{name}: {plain(error)}; check the address, and the access to it") from error


def _remote(url: str, glob: str | None) -> Iterator[File]:
    """The files that an address means, by fsspec: itself, or those below it that are not hidden."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingDependencyError(f"{url} is read by fsspec, which is not installed; pip install 'neardup[remote]'") from None
    with explained(url), _reached(url):
        try:
            system, root = url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InputError(f"{url}: {plain(error)}; check the address, or install what it needs") from None
        prefix = url.partition("://")[0] + "://"
        if not system.isdir(root):
            name = PurePath(root).name
            yield File(url, Path(name), name, system.size(root) or 0, *format_of(name), system, root)
            return
        chosen = None if glob is None else set(system.glob(f"{root.rstrip('/')}/{glob}"))
        places = {path: path[len(root) :].lstrip("/") for path in sorted(system.find(root)) if chosen is None or path in chosen}
        shown = [path for path, place in places.items() if not any(part.startswith(".") for part in place.split("/"))]
        for path in _some(shown, url, glob):
            name, place = path if "://" in path else prefix + path, places[path]
            yield File(name, Path(place), place, system.size(path) or 0, *format_of(place), system, path)


def _standard_input() -> io.BufferedReader:
    stream: Any = getattr(sys.stdin, "buffer", None)
    if not hasattr(stream, "read1"):
        raise InputError(f"standard input is of type {kind(sys.stdin)}, without bytes to read; name a file")
    if stream.closed:
        raise InputError("standard input is closed; name a file")
    return stream  # type: ignore[no-any-return]


def _blocks(stream: io.BufferedReader) -> Iterator[bytes]:
    """What there is, block by block: on a keyboard one Ctrl-D is the end, but nothing yet is not the end."""
    raw: Any = getattr(stream, "raw", stream)  # which alone says the two apart, by b"" and None
    with suppress(io.UnsupportedOperation):  # it has no descriptor
        if not os.get_blocking(stream.fileno()):
            select.select([stream], [], [])
    block: bytes | None = stream.read1(1 << 20)  # first what is in the buffer
    while block != b"":
        if block is None:
            select.select([raw], [], [])
        else:
            yield block
        block = raw.read(1 << 20)


def _bounded(name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks as they are; a text that is too long for a document is refused meanwhile, for it may never end."""
    begun, total = b"", 0
    for block in blocks:
        begun = begun or block.lstrip(BYTE_ORDER_MARK + b" \t\r\n")[:1]
        total += len(block)
        if total > LONGEST and begun != b"{":
            raise InputError(f"{name}: longer than {LONGEST:,} bytes, the most for a document; split it")
        yield block


def _buffered(name: str, stream: io.BufferedReader) -> File:
    """A stream, kept so that it can be read again: JSONL if it begins with ``{``, otherwise one text."""
    descriptor, path = tempfile.mkstemp(prefix="neardup-")
    shown = "standard input" if name == "-" else name
    try:
        with os.fdopen(descriptor, "w+b") as copy:
            with explained(shown):
                copy.writelines(_bounded(shown, _blocks(stream)))
            size = copy.tell()
            copy.seek(0)
            first = next((line for line in copy if line.strip()), b"")
    except BaseException:
        Path(path).unlink()
        raise
    lines = first.lstrip(BYTE_ORDER_MARK + b" \t").startswith(b"{")
    file = File(name, Path(path), "", size, "jsonl" if lines else "text", None)
    weakref.finalize(file, of_this_process(os.unlink, path))
    return file


def is_index(folder: Path) -> bool:
    """Whether a folder is that of an index."""
    return (folder / CATALOG).is_file() and (folder / DOCUMENTS).is_dir()


def _some(found: list[T], folder: str, glob: str | None) -> list[T]:
    """What was found in a folder; that it is nothing is no answer to anybody's question."""
    if not found and glob is not None:
        raise ParameterError(f"glob is {glob!r}, and no file in {folder} matches it; it is a pattern within the folder, like '**/*.txt'")
    if not found:
        raise InputError(f"{folder}: no file in it to read, hidden ones are not read; name another folder, or a file")
    return found


def _below(folder: Path, glob: str | None) -> list[Path]:
    """The regular files below a folder in order; nothing hidden, no index, no link that leads out."""
    try:
        chosen = None if glob is None else set(folder.glob(glob))
    except (ValueError, NotImplementedError) as error:
        raise ParameterError(f"glob is {glob!r}: {error}; it is a pattern within the folder, like '**/*.txt'") from None
    root = folder.resolve()
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".") and not is_index(Path(parent, name))]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            wanted = path.is_file() and (chosen is None or path in chosen)
            if wanted and (not path.is_symlink() or path.resolve().is_relative_to(root)):
                found.append(path)
    return sorted(found)


def _raise(error: OSError) -> None:
    with explained(os.fsdecode(error.filename)):
        raise error


def grouped(items: Iterable[T], size: int, weight: Callable[[T], int]) -> Iterator[list[T]]:
    """Items in groups of at most ``size`` and about ``BATCH_BYTES``."""
    group: list[T] = []
    total = 0
    for item in items:
        if group and (len(group) == size or total + weight(item) > BATCH_BYTES):
            yield group
            group, total = [], 0
        group.append(item)
        total += weight(item)
    if group:
        yield group


# ---- what is in them -----------------------------------------------------------------------------------------------------


#: What helps where a line cannot be read.
SKIPPING = "leave out such lines: on_error='skip' (--on-error skip)"


class TextFiles(Documents):
    """Files that are one document each; a file's id is its path as given."""

    def __init__(self, files: list[File]) -> None:
        self.files = files
        self.odd: dict[str, None] = {}

    @property
    def undecoded(self) -> list[str]:
        """What text files do not have in them."""
        return list(self.odd)

    @property
    def positional(self) -> bool:
        """Ids are paths."""
        return False

    @staticmethod
    def text(file: File) -> str:
        """The text of a file; bytes that are not UTF-8 become lone surrogates, which separate words."""
        with file.open() as (_, stream):
            data = stream.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise InputError(f"{file.name}: longer than {LONGEST:,} bytes, the most for a document; split it")
        return str(data.removeprefix(BYTE_ORDER_MARK), "utf-8", "surrogateescape")

    def read(self, size: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """The files in order."""
        refuse_columns(columns, "text file")
        self.bytes_done = 0
        for files in grouped(self.files, size, lambda file: file.size):
            texts = [self.text(file) for file in files]
            self.odd |= {file.name: None for file, text in zip(files, texts, strict=True) if not _is_text(text)}
            self.bytes_done += sum(file.size for file in files)
            yield Batch([file.name for file in files], texts, text_lengths(texts))

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """Records with ``id`` and ``text``."""
        return ([{"id": file.name, "text": self.text(file)}] for file in self.files if take(1)[0])


def _is_text(text: str) -> bool:
    """Whether a text has what is in text files alone: neither NUL nor what could not be decoded."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in text


class JsonLines(Rows):
    """A file with a JSON object a line."""

    unit = "line"

    def __init__(self, file: File, text: str | None, on_error: str = "raise") -> None:
        self.file = file
        self.skips = on_error == "skip"
        self.wrong = Unread()
        first: dict[str, Any] = next((record for _, record in self._read(self._lines(), [])), {})
        names = {str: "string", type(None): "null"}
        super().__init__(((name, names.get(type(value), kind(value))) for name, value in first.items()), text, f"{file.name}: ")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines that are not blank, and their numbers."""
        with self.file.open() as (raw, stream):
            lines = io.BufferedReader(stream, 1 << 20)
            read = iter(partial(lines.readline, LONGEST + 1), b"")
            for number, line in enumerate(read, 1):
                if len(line) > LONGEST:
                    raise InputError(f"{self.file.name}: line {number} is longer than {LONGEST:,} bytes, the most for a document; split it")
                self.bytes_done = raw.tell()
                if line.strip():
                    yield number, line if number > 1 else line.removeprefix(BYTE_ORDER_MARK)

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if type(error) is ValueError:
                raise InputError(
                    f"{self.file.name}: line {number} has an integer of more than 4,300 digits; write it as a string"
                ) from None
            excerpt = ascii(line[:60].decode("utf-8", "replace"))
            raise InputError(f"{self.file.name}: line {number} is not JSON, {plain(error)}: {excerpt}; write an object a line") from None
        if not isinstance(record, dict):
            raise InputError(f"{self.file.name}: line {number} is a {kind(record)} of JSON; write an object a line")
        return record

    @property
    def left_out(self) -> int:
        """How many lines were left out."""
        return self.wrong.count

    @property
    def skipped(self) -> list[str]:
        """Why lines were left out."""
        return self.wrong.why

    def _read(self, lines: Iterable[tuple[int, bytes]], names: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Lines as objects that have these names, and the numbers of lines; what cannot be read is skipped, or refused."""
        for number, line in lines:
            try:
                record = self._record(number, line)
                yield number, {name: self._value(number, record, name) for name in names} if names else record
            except InputError as error:  # noqa: PERF203  a line is parsed at a hundred times the price
                if not self.skips:
                    raise InputError(f"{error}, or {SKIPPING}") from None
                self.wrong.add(number, str(error))

    def _value(self, number: int, record: dict[str, Any], name: str) -> Any:
        if name not in record:
            raise InputError(f"{self.where}line {number} has no {name!r}; its names are {listed(record)}")
        value = record[name]
        if name == self.text and not isinstance(value, str):
            if value is not None:
                raise InputError(f"{self.where}{name!r} in line {number} is of type {kind(value)}; a text is a string")
            return ""
        if name == self.id:
            self._ids([value], [number])
        return value

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], dict[str, list[Any]]]]:
        """Values by name, and their lines."""
        for group in grouped(self._lines(), size, lambda item: len(item[1])):
            records = list(self._read(group, names or []))
            yield [number for number, _ in records], {name: [record[name] for _, record in records] for name in names or ()}

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """The lines as they are."""
        right = (line for line in self._lines() if line[0] not in self.wrong)
        for group in grouped(right, 4096, lambda item: len(item[1])):
            taken = take(len(group)).tolist()
            yield [line if line.endswith(b"\n") else line + b"\n" for (_, line), keep in zip(group, taken, strict=True) if keep]


class Csv(Rows):
    """A CSV or TSV file with a header; all columns are strings."""

    untyped = True

    def __init__(self, file: File, text: str | None, on_error: str = "raise") -> None:
        self.file = file
        self.skips = on_error == "skip"
        self.wrong = Unread()
        header = next(self._rows(), [])
        if len(header) == 1 and header[0] != text and any(separator in header[0] for separator in ",;\t|"):
            name, separators = header[0], "tabs" if file.format == "tsv" else "commas"
            raise InputError(
                f"{file.name}: it has one column, {name!r:.200}; separate columns by {separators}, "
                f"or name it: text={name!r:.200} (--text {name!r:.200})"
            )
        super().__init__(((name, "string") for name in header), text, f"{file.name}: ")
        self.schema = pa.schema([(name, pa.string()) for name in self.columns])

    @property
    def left_out(self) -> int:
        """How many rows were left out."""
        return self.wrong.count

    @property
    def skipped(self) -> list[str]:
        """Why rows were left out."""
        return self.wrong.why

    def _rows(self) -> Iterator[list[str]]:
        """The header and the rows; a blank line is none."""
        csv.field_size_limit(LONGEST)  # 128 KiB otherwise, and only a whole process can have it otherwise
        with self.file.open() as (raw, content):
            stream = io.BufferedReader(content, 1 << 20)
            stream.read(len(BYTE_ORDER_MARK) if stream.peek().startswith(BYTE_ORDER_MARK) else 0)
            text = io.TextIOWrapper(stream, "utf-8", newline="")
            rows = csv.reader(text, delimiter="\t" if self.file.format == "tsv" else ",", strict=True)
            header: list[str] = []
            row: list[str] | None = []
            while row is not None:
                if row:
                    self.bytes_done = raw.tell()
                    yield row
                try:
                    row = next(rows, None)
                    header = header or row or []
                    if row and len(row) != len(header):
                        raise csv.Error(f"{len(row)} values, and the header has {len(header)}")  # noqa: TRY301
                except csv.Error as error:
                    row, why = [], f"{self.file.name}: line {rows.line_num}: {plain(error)}; mend it, or write JSONL"
                    if not self.skips:
                        raise InputError(f"{why}, or {SKIPPING}") from None
                    self.wrong.add(rows.line_num, why)

    def _groups(self, size: int) -> Iterator[list[list[str]]]:
        return grouped(itertools.islice(self._rows(), 1, None), size, lambda row: sum(map(len, row)))

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], dict[str, list[str]]]]:  # noqa: ARG002
        """Values by name, and their rows."""
        done = 0
        for rows in self._groups(size):
            yield range(done + 1, done + len(rows) + 1), dict(zip(self.columns, map(list, zip(*rows, strict=True)), strict=True))
            done += len(rows)

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """Records."""
        for rows in self._groups(4096):
            taken = take(len(rows)).tolist()
            yield [dict(zip(self.columns, row, strict=True)) for row, keep in zip(rows, taken, strict=True) if keep]


class Table(Rows):
    """A file that Arrow reads."""

    schema: pa.Schema

    def __init__(self, file: File, text: str | None) -> None:
        self.file = file
        with explained(file.name):
            self.schema = self.read_schema()
            columns = list(kinds(self.schema))
        super().__init__(columns, text, f"{file.name}: ")

    @abstractmethod
    def read_schema(self) -> pa.Schema:
        """The columns."""

    @abstractmethod
    def tables(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:
        """These columns, or all, some rows at a time."""

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], Any]]:
        """Rows as they are read; where there are no columns there are none, though a damaged file may count some."""
        if not self.columns:
            return iter(())
        return numbered(part for table in self.tables(names, size) for part in cut(table, size))


class Parquet(Table):
    """A Parquet file."""

    def read_schema(self) -> pa.Schema:
        """The columns; the footer also says how many rows there are."""
        import pyarrow.parquet as pq

        with self.file.open() as (_, content):
            parquet = pq.ParquetFile(content)
            self.total = parquet.metadata.num_rows
            return parquet.schema_arrow

    def tables(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:
        """Some rows of a row group at a time."""
        import pyarrow.parquet as pq

        with self.file.open() as (raw, content):
            parquet = pq.ParquetFile(content, buffer_size=1 << 20, pre_buffer=False)  # which keeps what it has read
            groups = (parquet.metadata.row_group(i).total_byte_size for i in range(parquet.num_row_groups))
            fitting = min(BATCH_BYTES * parquet.metadata.num_rows // max(1, sum(groups)), _most_rows(parquet, content, names))
            done = 0
            if not parquet.num_row_groups:  # some versions of Arrow refuse to read no rows
                return
            for batch in parquet.iter_batches(max(1, min(size, fitting)), columns=names, use_threads=False):
                if batch.num_rows < 0:  # as a damaged file may have it
                    raise InputError(f"{self.file.name}: a row group of {batch.num_rows} rows; check the file")
                unread = [name for name in names or self.columns if name not in batch.schema.names]
                if unread:  # a group of no columns, as a damaged file may have it
                    raise InputError(f"{self.file.name}: column {unread[0]!r} has no values; check the file")
                done += batch.num_rows
                self.bytes_done = raw.size() * done // max(done, parquet.metadata.num_rows)  # which a damaged file may deny
                for column in batch.columns:
                    if pa.types.is_dictionary(column.type):  # whose places a damaged file may say wrong
                        column.validate(full=True)
                yield pa.Table.from_batches([batch])


def _most_rows(parquet: Any, content: pa.NativeFile, names: list[str] | None) -> int:
    """How many rows may be decoded at a time, however often the longest string that a row group has once is repeated in it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    most, metadata = REPEATED, parquet.metadata
    large = []
    for i in range(metadata.num_row_groups):
        few = REPEATED // max(1, metadata.row_group(i).total_byte_size)  # so many may each be all that there is
        if few < FEW_ROWS:
            large.append(i)
        else:
            most = min(most, few)
    columns = map(metadata.schema.column, range(metadata.num_columns if large else 0))
    strings = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    paths = [path for path in strings if names is None or path in names or path.partition(".")[0] in names]
    if not paths:
        return most
    one = pq.ParquetFile(content, metadata=metadata, read_dictionary=paths, pre_buffer=False)
    for i in large:
        try:
            first = next(one.iter_batches(1, row_groups=[i], columns=paths, use_threads=False), None)
        except NotImplementedError:  # of an encoding without a dictionary, in which each may be nearly all of the one before
            most = min(most, FEW_ROWS)
            continue
        for column in first.columns if first else ():
            if pa.types.is_dictionary(column.type):
                longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 1
                most = min(most, max(1, REPEATED // longest))
    return most


class ArrowFile(Table):
    """An Arrow IPC file or stream, mapped into memory."""

    def read_schema(self) -> pa.Schema:
        """The columns."""
        with self._mapped() as content:
            return _ipc_reader(content).schema

    def _mapped(self) -> pa.NativeFile:
        """The file; what is remote is read."""
        return pa.memory_map(os.fsencode(self.file.path)) if self.file.system is None else self.file.raw()

    def tables(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:  # noqa: ARG002
        """A record batch at a time; a damaged one is found before it is used."""
        self.bytes_done = 0
        with explained(self.file.name), self._mapped() as content:
            reader = _ipc_reader(content)
            batches = map(reader.get_batch, range(reader.num_record_batches)) if hasattr(reader, "get_batch") else reader
            for batch in batches:
                batch.validate(full=True)
                self.bytes_done = min(self.file.size, self.bytes_done + batch.get_total_buffer_size())
                yield pa.Table.from_batches([batch]).select(names or self.schema.names)


def _ipc_reader(content: pa.NativeFile) -> Any:
    magic = content.read(6)
    content.seek(0)
    return pa.ipc.open_file(content) if magic == b"ARROW1" else pa.ipc.open_stream(content)


#: Formats of lines, of which some can be skipped.
LINES = ("jsonl", "csv", "tsv")
READERS: dict[str, type[JsonLines | Csv | Table]] = {"jsonl": JsonLines, "csv": Csv, "tsv": Csv, "parquet": Parquet, "arrow": ArrowFile}


class FileDocuments(Documents):
    """The documents in files and folders, one after another.

    A text file is one document, and its id is its path. The rows of a data file have the id column's ids; without one they
    have their positions, or ``path:row`` (of JSONL ``path:line``) from 1 when there are several files.

    Parameters
    ----------
    paths
        Files and folders; ``-`` is standard input.
    text, id
        The columns of data files that hold the text and the id; guessed when obvious.
    glob
        Which files below folders are read, by default all that are not hidden. Indexes in folders are never read.
    on_error
        ``"skip"`` leaves out lines of JSONL and rows of CSV that cannot be read.
    whole
        Every file is one text, whatever its name says.
    columns
        What will be asked for, and is refused where it is not there before anything is read to its end.

    Raises
    ------
    InputError
        If a file or column cannot be read, or a folder is an index or has nothing in it to read.
    ParameterError
        If ``glob`` is no pattern or matches nothing in a folder, or a column is named and no file has columns.
    """

    def __init__(
        self,
        paths: StrPath | Iterable[StrPath],
        text: str | None = None,
        id: str | None = None,
        glob: str | None = None,
        on_error: str = "raise",
        *,
        whole: bool = False,
        columns: Sequence[str] = (),
    ) -> None:
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        names = dict.fromkeys(os.fspath(path) for path in given)
        self.files = list({file.name: file for name in names for file in find(name, glob)}.values())
        self.parts: list[TextFiles | JsonLines | Csv | Table] = []
        if whole:  # a stream has no name that says otherwise
            self.files = [replace(file, format="text", compression=None) if file.place else file for file in self.files]
        for file in self.files:
            if file.format != "text":
                lines = {"on_error": on_error} if file.format in LINES else {}
                self.parts.append(READERS[file.format](file, text, **lines))
            elif self.parts and isinstance(self.parts[-1], TextFiles):
                self.parts[-1].files.append(file)
            else:
                self.parts.append(TextFiles([file]))
        rows = [part for part in self.parts if not isinstance(part, TextFiles)]
        for option, value in (("text", text), ("id", id)):
            if value is not None and not rows:
                raise ParameterError(f"{option} is {value!r}, but none of the files has columns; leave it out")
        for name in columns:
            for part in self.parts:
                if isinstance(part, TextFiles):
                    refuse_columns([name], "text file")
                elif part.columns:
                    part.column_kind(name)
        for part in rows if len(self.files) > 1 else ():
            part.prefix = part.file.name
        self.guessed = [*dict.fromkeys(message for part in rows for message in part.guessed), *choose_ids(rows, id)]
        totals = [len(part.files) if isinstance(part, TextFiles) else part.total for part in self.parts]
        self.total = None if None in totals else sum(filter(None, totals))
        self.bytes_total = sum(file.size for file in self.files)
        self.description = self.files[0].name if len(self.files) == 1 else f"{len(self.files):,} files"

    @property
    def skips(self) -> bool:  # type: ignore[override]
        """Whether there are files of lines, and those that cannot be read are left out."""
        return any(part.skips for part in self.parts)

    @property
    def left_out(self) -> int:
        """How many lines were left out."""
        return sum(part.left_out for part in self.parts)

    @property
    def skipped(self) -> list[str]:
        """What was left out in each file."""
        return [why for part in self.parts for why in part.skipped]

    @property
    def undecoded(self) -> list[str]:
        """The text files of which some could not be decoded."""
        return [name for part in self.parts for name in part.undecoded]

    def shares(self, other: Documents) -> str | None:
        """The name of a file that another corpus reads too."""
        theirs = {file.identity() for file in other.files} if isinstance(other, FileDocuments) else set()
        return next((file.name for file in self.files if file.identity() in theirs), None)

    def state(self) -> list[Any]:
        """Names, sizes and times, and which columns are read."""
        rows = [part for part in self.parts if not isinstance(part, TextFiles)]
        return [*(file.state() for file in self.files), *([part.text, part.id] for part in rows), self.skips]

    @property
    def positional(self) -> bool:
        """Whether this is one data file without a column of ids."""
        return len(self.parts) == 1 and self.parts[0].positional

    def read(self, size: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """The documents, file by file."""
        before = self.bytes_done = 0
        for part in self.parts:
            for batch in part.read(size, columns):
                self.bytes_done = before + part.bytes_done
                yield batch
            before += sum(file.size for file in part.files) if isinstance(part, TextFiles) else part.file.size
        self.bytes_done = before

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """Whatever each file gives."""
        for part in self.parts:
            yield from part.chunks(take)
