"""Writing documents and tables: text, JSONL, CSV, Parquet and Arrow.

Writing is aside: a temporary file takes the place of an old one only when it is complete.
"""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import compress, islice
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from neardup.documents import Chunk, Documents
from neardup.errors import InputError, ParameterError, listed, plain
from neardup.files import File, FileDocuments, StrPath, TextFiles, explained, format_of, grouped
from neardup.ids import Mask


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
    except OSError as error:
        # Arrow does not say where, and whoever copies a file names that before its copy.
        here = error.filename is None or any(str(name).startswith(str(part)) for name in (error.filename, error.filename2))
        if here and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, f"{error.strerror}; make room, or write elsewhere", os.fspath(path)) from error
        raise
    finally:
        with suppress(OSError):  # why it cannot be removed has been said
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            part.unlink(missing_ok=True)


def _target(path: StrPath) -> Path:
    """Where a path leads, if something may be put there."""
    if "://" in os.fspath(path):
        raise InputError(f"{path} is a URL; outputs are local files: write one, and copy it there")
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
    if any(file.system is None and Path(path).exists() and file.path.exists() and file.path.samefile(path) for file in files):
        raise ParameterError(f"{path} is one of the inputs; write to another name")


def _sync(path: Path) -> None:
    """Make sure of a file; of a folder as far as the system can, for what is in it is there already."""
    with suppress(OSError) if path.is_dir() else nullcontext():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_table(
    table: pa.Table | list[dict[str, Any]] | Callable[[], pa.Table], path: StrPath, lines: Iterable[dict[str, Any]] | None = None
) -> None:
    """Write a table or records in the format of the path's name; an old file stays until the new one is complete.

    Parameters
    ----------
    table
        What is written, or what makes it where it is wanted.
    path
        Where to.
    lines
        The same rows as records, which JSONL takes instead: what is of one type in a column need not be there.

    Raises
    ------
    ParameterError
        If the format is unknown.
    InputError
        If the path cannot be written, or the columns do not fit the format.
    """
    check_output(path)
    if lines is not None and _is_jsonl(path):
        rows: Chunk = []
        chunks: Iterable[Chunk] = ([line] for line in lines)
    else:
        rows = table() if callable(table) else table
        chunks = [rows]
    _write_chunks(chunks, lambda: _table(rows).schema, os.fspath(path))


def _is_jsonl(path: StrPath) -> bool:
    return format_of(os.fspath(path))[0] == "jsonl"


def write(
    documents: Documents, path: StrPath, kept: Mask, more: pa.Table | None = None, lines: Iterable[dict[str, Any]] | None = None
) -> None:
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
        added, survivors = more.filter(kept), _survivors(documents, kept)
        if lines is not None and _is_jsonl(path):
            chunks: Iterable[Chunk] = _with_lines(survivors, added, compress(lines, kept.tolist()))
        else:
            chunks = _with_columns(survivors, added)
        _write_chunks(chunks, lambda: _widened(_schema(documents), added), os.fspath(path))


def _with_lines(chunks: Iterable[Chunk], more: pa.Table, lines: Iterator[dict[str, Any]]) -> Iterator[Chunk]:
    """Chunks as records with those of some more columns."""
    for chunk in chunks:
        records = _records(chunk)
        for record in records:
            _refuse_twice(record, more)
        yield [{**record, **extra} for record, extra in zip(records, islice(lines, len(records)), strict=True)]


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
            yield from _with_lines([chunk], more, iter(rows.to_pylist()))


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
        raise InputError(f"{path}: its format does not fit the documents, {plain(error)}; .jsonl fits most") from error


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
    records = _records(chunk)
    names = dict.fromkeys(name for record in records for name in record)
    return pa.table({name: _array(name, [record.get(name) for record in records]) for name in names})


def _array(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except OverflowError:
        raise pa.ArrowInvalid(f"column {name!r}: an integer is of more than 64 bits") from None
    except (pa.ArrowException, UnicodeError) as error:
        raise pa.ArrowInvalid(f"column {name!r}: {error}") from None


def _records(chunk: Chunk) -> list[dict[str, Any]]:
    return [json.loads(item) if isinstance(item, bytes) else item for item in _items(chunk)]


def _items(chunk: Chunk) -> list[Any]:
    try:
        items: list[Any] = chunk.to_pylist() if isinstance(chunk, pa.Table) else chunk
    except UnicodeDecodeError:
        raise
    except (OverflowError, ValueError) as error:
        raise pa.ArrowInvalid(f"a date or time that lines of JSON have no word for, {error}; write Parquet or Arrow") from None
    return items


def _lines(chunk: Chunk) -> Iterator[bytes]:
    return (item if isinstance(item, bytes) else json_line(item) for item in _items(chunk))


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
                if file.system is None:
                    shutil.copyfile(file.path, copy)
                    shutil.copystat(file.path, copy)
                else:
                    file.system.get_file(file.address, str(copy))
                _sync(copy)
