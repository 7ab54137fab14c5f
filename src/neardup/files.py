"""Files of documents: text, JSONL, CSV, Parquet and Arrow, in and out.

Reading streams. Writing is aside: a temporary file takes the place of an old one only when it is complete.
"""

from __future__ import annotations

import csv
import errno
import gzip
import io
import itertools
import json
import math
import os
import secrets
import select
import shlex
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa

from neardup.documents import (
    BATCH_BYTES,
    Batch,
    Chunk,
    Documents,
    Mask,
    Rows,
    Take,
    choose_ids,
    cut,
    kinds,
    numbered,
    refuse_columns,
    text_lengths,
)
from neardup.errors import InputError, ParameterError, kind, listed

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
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
        raise InputError(f"{name}: {_plain(error.strerror or error)}; {remedy}") from error
    except UnicodeError as error:
        raise InputError(f"{name}: not UTF-8 ({_plain(error)}); convert it: iconv -t utf-8") from error
    except pa.ArrowException as error:
        raise InputError(f"{name}: {_plain(error)}; check the file") from error


def _plain(cause: object) -> str:
    """What a library said, on one line without the control characters of a hostile file."""
    return ascii(str(cause))[1:-1][:300]


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
    """

    name: str
    path: Path
    place: str
    size: int
    format: str
    compression: str | None

    @contextmanager
    def open(self) -> Iterator[tuple[pa.NativeFile, pa.NativeFile]]:
        """The file, which knows how far it is read, and its content, which differs if it is compressed."""
        with explained(self.name), pa.OSFile(os.fsencode(self.path)) as raw:
            yield raw, pa.CompressedInputStream(raw, self.compression) if self.compression else raw


def find(path: str, glob: str | None) -> Iterator[File]:
    """The files that a path means: itself, or those below the folder that match."""
    if not path:
        raise ParameterError("an input is ''; name a file or folder, or - for standard input")
    if path == "-":
        yield _buffered(path, _standard_input())
        return
    with explained(path):
        where = Path(path)
        mode = where.stat().st_mode
        if stat.S_ISDIR(mode):
            for found in _below(where, glob):
                yield File(str(found), found, str(found.relative_to(where)), found.stat().st_size, *format_of(found.name))
        elif stat.S_ISREG(mode):
            yield File(path, where, where.name, where.stat().st_size, *format_of(where.name))
        else:
            with where.open("rb") as stream:
                yield _buffered(path, stream)


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


def _buffered(name: str, stream: io.BufferedReader) -> File:
    """A stream, kept so that it can be read again: JSONL if it begins with ``{``, otherwise one text."""
    descriptor, path = tempfile.mkstemp(prefix="neardup-")
    try:
        with os.fdopen(descriptor, "w+b") as copy:
            with explained("standard input" if name == "-" else name):
                copy.writelines(_blocks(stream))
            size = copy.tell()
            copy.seek(0)
            first = next((line for line in copy if line.strip()), b"")
    except BaseException:
        Path(path).unlink()
        raise
    lines = first.lstrip(BYTE_ORDER_MARK + b" \t").startswith(b"{")
    file = File(name, Path(path), "", size, "jsonl" if lines else "text", None)
    weakref.finalize(file, os.unlink, path)
    return file


def _below(folder: Path, glob: str | None) -> list[Path]:
    """The regular files below a folder in order; nothing hidden, no link that leads out."""
    try:
        chosen = None if glob is None else set(folder.glob(glob))
    except (ValueError, NotImplementedError) as error:
        raise ParameterError(f"glob is {glob!r}: {error}; it is a pattern within the folder, like '**/*.txt'") from None
    root = folder.resolve()
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
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


class TextFiles(Documents):
    """Files that are one document each; a file's id is its path as given."""

    def __init__(self, files: list[File]) -> None:
        self.files = files

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
            self.bytes_done += sum(file.size for file in files)
            yield Batch([file.name for file in files], texts, text_lengths(texts))

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """Records with ``id`` and ``text``."""
        return ([{"id": file.name, "text": self.text(file)}] for file in self.files if take(1)[0])


class JsonLines(Rows):
    """A file with a JSON object a line."""

    unit = "line"

    def __init__(self, file: File, text: str | None) -> None:
        self.file = file
        first: dict[str, Any] = next((self._record(number, line) for number, line in self._lines()), {})
        names = {str: "string", type(None): "null"}
        super().__init__(((name, names.get(type(value), kind(value))) for name, value in first.items()), text, f"{file.name}: ")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines that are not blank, and their numbers."""
        with self.file.open() as (raw, stream):
            lines = io.BufferedReader(stream, 1 << 20)
            read = iter(lambda: lines.readline(LONGEST + 1), b"")
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
            raise InputError(f"{self.file.name}: line {number} is not JSON, {_plain(error)}: {excerpt}; write an object a line") from None
        if not isinstance(record, dict):
            raise InputError(f"{self.file.name}: line {number} is a {kind(record)} of JSON; write an object a line")
        return record

    def _value(self, number: int, record: dict[str, Any], name: str) -> Any:
        if name not in record:
            raise InputError(f"{self.where}line {number} has no {name!r}; its names are {listed(record)}")
        value = record[name]
        if name == self.text and not isinstance(value, str):
            if value is not None:
                raise InputError(f"{self.where}{name!r} in line {number} is of type {kind(value)}; a text is a string")
            return ""
        return value

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], dict[str, list[Any]]]]:
        """Values by name, and their lines."""
        for group in grouped(self._lines(), size, lambda item: len(item[1])):
            records = [(number, self._record(number, line)) for number, line in group]
            yield [number for number, _ in group], {name: [self._value(*record, name) for record in records] for name in names or ()}

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """The lines as they are."""
        for group in grouped(self._lines(), 4096, lambda item: len(item[1])):
            taken = take(len(group)).tolist()
            yield [line if line.endswith(b"\n") else line + b"\n" for (_, line), keep in zip(group, taken, strict=True) if keep]


class Csv(Rows):
    """A CSV or TSV file with a header; all columns are strings."""

    def __init__(self, file: File, text: str | None) -> None:
        self.file = file
        super().__init__(((name, "string") for name in next(self._rows(), ())), text, f"{file.name}: ")
        self.schema = pa.schema([(name, pa.string()) for name in self.columns])

    def _rows(self) -> Iterator[list[str]]:
        """The header and the rows; a blank line is none."""
        csv.field_size_limit(LONGEST)  # 128 KiB otherwise, and only a whole process can have it otherwise
        with self.file.open() as (raw, content):
            stream = io.BufferedReader(content, 1 << 20)
            stream.read(len(BYTE_ORDER_MARK) if stream.peek().startswith(BYTE_ORDER_MARK) else 0)
            text = io.TextIOWrapper(stream, "utf-8", newline="")
            rows = csv.reader(text, delimiter="\t" if self.file.format == "tsv" else ",", strict=True)
            header = None
            try:
                for row in filter(None, rows):
                    header = header or row
                    if len(row) != len(header):
                        raise csv.Error(f"{len(row)} values, and the header has {len(header)}")  # noqa: TRY301
                    self.bytes_done = raw.tell()
                    yield row
            except csv.Error as error:
                raise InputError(f"{self.file.name}: line {rows.line_num}: {_plain(error)}; mend it, or write JSONL") from None

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
        super().__init__(kinds(self.schema), text, f"{file.name}: ")

    def read_schema(self) -> pa.Schema:
        """The columns."""
        raise NotImplementedError

    def tables(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:
        """These columns, or all, some rows at a time."""
        raise NotImplementedError

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], Any]]:
        """Rows as they are read."""
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
            fitting = BATCH_BYTES * parquet.metadata.num_rows // max(1, sum(groups))
            done = 0
            for batch in parquet.iter_batches(max(1, min(size, fitting)), columns=names, use_threads=False):
                done += len(batch)
                self.bytes_done = raw.size() * done // parquet.metadata.num_rows
                yield pa.Table.from_batches([batch])


class ArrowFile(Table):
    """An Arrow IPC file or stream, mapped into memory."""

    def read_schema(self) -> pa.Schema:
        """The columns."""
        with pa.memory_map(os.fsencode(self.file.path)) as content:
            return _ipc_reader(content).schema

    def tables(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:  # noqa: ARG002
        """A record batch at a time; a damaged one is found before it is used."""
        self.bytes_done = 0
        with explained(self.file.name), pa.memory_map(os.fsencode(self.file.path)) as content:
            reader = _ipc_reader(content)
            batches = map(reader.get_batch, range(reader.num_record_batches)) if hasattr(reader, "get_batch") else reader
            for batch in batches:
                batch.validate(full=True)
                self.bytes_done = min(self.file.size, self.bytes_done + batch.nbytes)
                yield pa.Table.from_batches([batch]).select(names or self.schema.names)


def _ipc_reader(content: pa.NativeFile) -> Any:
    magic = content.read(6)
    content.seek(0)
    return pa.ipc.open_file(content) if magic == b"ARROW1" else pa.ipc.open_stream(content)


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
        Which files below folders are read, by default all that are not hidden.

    Raises
    ------
    InputError
        If a file or column cannot be read.
    ParameterError
        If ``glob`` is no pattern, or a column is named and no file has columns.
    """

    def __init__(self, paths: StrPath | Iterable[StrPath], text: str | None = None, id: str | None = None, glob: str | None = None) -> None:
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        names = dict.fromkeys(os.fspath(path) for path in given)
        self.files = list({file.name: file for name in names for file in find(name, glob)}.values())
        self.parts: list[TextFiles | JsonLines | Csv | Table] = []
        for file in self.files:
            if file.format != "text":
                self.parts.append(READERS[file.format](file, text))
            elif self.parts and isinstance(self.parts[-1], TextFiles):
                self.parts[-1].files.append(file)
            else:
                self.parts.append(TextFiles([file]))
        rows = [part for part in self.parts if not isinstance(part, TextFiles)]
        for option, value in (("text", text), ("id", id)):
            if value is not None and not rows:
                raise ParameterError(f"{option} is {value!r}, but none of the files has columns; leave it out")
        for part in rows if len(self.files) > 1 else ():
            part.prefix = part.file.name
        self.guessed = [*dict.fromkeys(message for part in rows for message in part.guessed), *choose_ids(rows, id)]
        totals = [len(part.files) if isinstance(part, TextFiles) else part.total for part in self.parts]
        self.total = None if None in totals else sum(filter(None, totals))
        self.bytes_total = sum(file.size for file in self.files)
        self.description = self.files[0].name if len(self.files) == 1 else f"{len(self.files):,} files"

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


# ---- writing ---------------------------------------------------------------------------------------------------------------


@contextmanager
def atomic_path(path: StrPath) -> Iterator[Path]:
    """A temporary path in the same folder; the file or folder made there takes the place of ``path`` when the block ends well.

    Otherwise it is removed, and whatever was at ``path`` stays. An old folder must be empty.

    Raises
    ------
    InputError
        If the folder does not exist, or nothing may be written there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "a.txt") as part:
    ...         _ = part.write_text("done")
    ...     Path(folder, "a.txt").read_text()
    'done'
    """
    target = _target(path)
    part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        with explained(path):
            yield part
            _sync(part)  # before it may get a mode that forbids to read it
            if target.is_file():
                shutil.copymode(target, part)
            part.replace(target)
            _sync(target.parent)
    finally:
        with suppress(OSError):  # why it cannot be removed has been said
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            part.unlink(missing_ok=True)


def _target(path: StrPath) -> Path:
    """Where a path leads, if something may be put there."""
    with explained(path):
        target = Path(os.path.realpath(path))
        folder = target.parent
        if not folder.is_dir():
            raise InputError(f"{path}: its folder does not exist; create it: mkdir -p {shlex.quote(str(folder))}")
        try:
            old = target.stat()
        except FileNotFoundError:
            return target
        if not target.name or not (stat.S_ISREG(old.st_mode) or stat.S_ISDIR(old.st_mode)):
            raise InputError(f"{path}: not a regular file; name another")
        sticky = folder.stat()
        if sticky.st_mode & stat.S_ISVTX and os.geteuid() not in (0, sticky.st_uid, old.st_uid):
            raise PermissionError
    return target


def check_output(path: StrPath, *, texts: bool = False) -> bool:
    """Refuse a path that cannot be written to; whether it names a folder, into which ``texts`` are copied and nothing else."""
    name = os.fspath(path)
    if name in ("", "-"):
        raise ParameterError(f"the output is {name!r}; name a file, like result.jsonl")
    target = _target(name)
    if not (name.endswith(os.sep) or target.is_dir() or not PurePath(name).suffix):
        format, compression = format_of(name)
        if format == "text" or (compression and format in ("parquet", "arrow")):
            known = ".jsonl, .csv or .tsv (also .gz and .zst), .parquet or .arrow"
            raise ParameterError(f"{name}: not a format to write; end the name in {known}")
        return False
    if not texts:
        file = f"{name.rstrip('./') or 'result'}.jsonl"
        raise InputError(f"{name} names a folder, into which only text files are copied; name a file, like {file}")
    if target.is_file():
        raise InputError(f"{name} is a file, and a folder would take its place; name another")
    with explained(name):
        if target.is_dir() and any(target.iterdir()):
            raise ParameterError(f"{name} is a folder with something in it; name a new one, or a file")
    return True


def refuse_input(path: StrPath, files: Iterable[File]) -> None:
    """Refuse to write over one of the inputs, whatever its name."""
    if any(Path(path).exists() and file.path.exists() and file.path.samefile(path) for file in files):
        raise ParameterError(f"{path} is one of the inputs; write to another name")


def _sync(path: Path) -> None:
    """Make sure of a file; of a folder as far as the system can, for what is in it is there already."""
    with suppress(OSError) if path.is_dir() else nullcontext():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_table(table: pa.Table | list[dict[str, Any]], path: StrPath) -> None:
    """Write a table or records in the format of the path's name; an old file stays until the new one is complete.

    Raises
    ------
    ParameterError
        If the format is unknown.
    InputError
        If the path cannot be written, or the columns do not fit the format.
    """
    check_output(path)
    _write_chunks([table], lambda: _table(table).schema, os.fspath(path))


def write(documents: Documents, path: StrPath, kept: Mask, more: pa.Table | None = None) -> None:
    """Write the kept documents: :meth:`neardup.documents.Documents.write`."""
    kept = np.asarray(kept, bool)
    if documents.total not in (None, len(kept)):
        raise ParameterError(f"kept has {len(kept):,} values and there are {documents.total:,} documents; give one for each")
    inputs = documents.files if isinstance(documents, FileDocuments) else []
    texts = isinstance(documents, FileDocuments) and all(isinstance(part, TextFiles) for part in documents.parts)
    folder = check_output(path, texts=texts and more is None)
    refuse_input(path, inputs)
    if folder:
        _copy(inputs, path, kept)
    elif more is None:
        _write_chunks(_survivors(documents, kept), lambda: _schema(documents), os.fspath(path))
    else:
        added = more.filter(kept)
        _write_chunks(_with_columns(_survivors(documents, kept), added), lambda: _widened(_schema(documents), added), os.fspath(path))


def _with_columns(chunks: Iterable[Chunk], more: pa.Table) -> Iterator[Chunk]:
    """Chunks with the next rows of some more columns."""
    done = 0
    for chunk in chunks:
        rows = more.slice(done, len(chunk))
        done += len(chunk)
        if isinstance(chunk, pa.Table):
            _refuse_twice(chunk.column_names, more)
            for name in more.column_names:
                chunk = chunk.append_column(name, rows[name])  # noqa: PLW2901  a chunk is this one, wider
            yield chunk
        else:
            records: list[dict[str, Any]] = [json.loads(item) if isinstance(item, bytes) else item for item in chunk]
            for record in records:
                _refuse_twice(record, more)
            yield [{**record, **extra} for record, extra in zip(records, rows.to_pylist(), strict=True)]


def _widened(schema: pa.Schema, more: pa.Table) -> pa.Schema:
    _refuse_twice(schema.names, more)
    for column in more.schema:
        schema = schema.append(column)
    return schema


def _refuse_twice(names: Iterable[str], more: pa.Table) -> None:
    twice = [name for name in names if name in more.column_names]
    if twice:
        raise ParameterError(
            f"the documents have a column {twice[0]!r} already; rename it, so that {listed(more.column_names)} can be added"
        )


def _survivors(documents: Documents, kept: Mask) -> Iterator[Chunk]:
    changed = InputError(f"{documents.description}: no longer the {len(kept):,} documents that were read; leave files alone meanwhile")
    done = 0

    def take(n: int) -> Mask:
        nonlocal done
        done += n
        if done > len(kept):
            raise changed
        return kept[done - n : done]

    yield from documents.chunks(take)
    if done < len(kept):
        raise changed


def _schema(documents: Documents) -> pa.Schema:
    """The schema that holds all documents; the first source gives the metadata."""
    parts = documents.parts if isinstance(documents, FileDocuments) else [documents]
    schemas: Iterable[pa.Schema] = [part.schema for part in parts]
    if None in schemas:
        schemas = (_table(chunk).schema for chunk in documents.chunks(lambda n: np.ones(n, bool)) if len(chunk))
    union = None
    for schema in schemas:
        if union is None or not union.equals(schema):
            union = schema if union is None else pa.unify_schemas([union, schema], promote_options="permissive")
    return union or pa.schema([("id", pa.string()), ("text", pa.string())])


def _write_chunks(chunks: Iterable[Chunk], schema_of: Callable[[], pa.Schema], path: str) -> None:
    format, compression = format_of(path)
    with atomic_path(path) as part, _fitting(path), part.open("wb") as raw, _compressed(raw, compression) as out:
        if format == "jsonl":
            for chunk in chunks:
                out.write(b"".join(_lines(chunk)))
        else:
            _write_tables((_table(chunk) for chunk in chunks if len(chunk)), schema_of(), out, format)


def _compressed(raw: BinaryIO, compression: str | None) -> Any:
    if compression == "gzip":  # not Arrow's: it is at level 9, sixteen times slower for 2 % less
        return gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0)
    return pa.CompressedOutputStream(raw, compression) if compression else raw


def _write_tables(tables: Iterable[pa.Table], schema: pa.Schema, out: Any, format: str) -> None:
    with _writer(format, out, schema) as writer:
        for group in grouped(tables, 1 << 20, lambda table: int(table.nbytes)):
            writer.write_table(pa.concat_tables([schema.empty_table(), *group], promote_options="permissive").combine_chunks())


@contextmanager
def _fitting(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, UnicodeError) as error:
        raise InputError(f"{path}: its format does not fit the documents, {_plain(error)}; .jsonl fits most") from error


def _writer(format: str, out: Any, schema: pa.Schema) -> Any:
    if format == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(out, schema)
    if format == "arrow":
        return pa.ipc.new_file(out, schema)
    from pyarrow import csv as arrow_csv

    return arrow_csv.CSVWriter(out, schema, write_options=arrow_csv.WriteOptions(delimiter="\t" if format == "tsv" else ","))


def _table(chunk: Chunk) -> pa.Table:
    if isinstance(chunk, pa.Table):
        return chunk
    records: list[dict[str, Any]] = [json.loads(item) if isinstance(item, bytes) else item for item in chunk]
    names = dict.fromkeys(name for record in records for name in record)
    return pa.table({name: _array(name, [record.get(name) for record in records]) for name in names})


def _array(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except OverflowError:
        raise pa.ArrowInvalid(f"column {name!r}: an integer is of more than 64 bits") from None
    except (pa.ArrowException, UnicodeError) as error:
        raise pa.ArrowInvalid(f"column {name!r}: {error}") from None


def _lines(chunk: Chunk) -> Iterator[bytes]:
    items = chunk.to_pylist() if isinstance(chunk, pa.Table) else chunk
    return (item if isinstance(item, bytes) else json_line(item) for item in items)


def json_line(record: dict[str, Any]) -> bytes:
    r"""A record as a line of JSON; what JSON has no word for becomes a string, a number that is not finite null.

    Examples
    --------
    >>> json_line({"id": 1, "text": "naïve", "score": float("nan")}).decode()
    '{"id": 1, "text": "naïve", "score": null}\n'
    """
    try:
        return json.dumps(record, ensure_ascii=False, default=str, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(_finite(record), default=str).encode() + b"\n"
    except ValueError:
        return json_line(_finite(record))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _copy(files: list[File], path: StrPath, kept: Mask) -> None:
    """Copy the text files that are kept into a new folder."""
    places: dict[str, File] = {}
    for file in (file for file, keep in zip(files, kept.tolist(), strict=True) if keep):
        if not file.place:
            raise InputError(f"{file.name} is a stream without a name to copy it to; write to a .jsonl file")
        if places.setdefault(file.place, file) is not file:
            raise InputError(f"{file.name} and {places[file.place].name} would both be {file.place}; write to a .jsonl file")
    with atomic_path(path) as part:
        part.mkdir()
        for place, file in places.items():
            copy = part / place
            copy.parent.mkdir(parents=True, exist_ok=True)
            with explained(file.name):
                shutil.copyfile(file.path, copy)
                _sync(copy)
                shutil.copystat(file.path, copy)
