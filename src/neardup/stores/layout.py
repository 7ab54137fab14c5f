"""The files of an index on disk: a header, columns, and a checksum of every block. docs/reference/format.md shows every byte."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from neardup import _kernels
from neardup.errors import CorruptIndexError, IncompatibleError

FORMAT = 1
MAGIC = b"NEARDUP\0"
#: Folders of files, and the kind that the header of each names.
KINDS = {"documents": 1, "segments": 2}
#: What to do about a damaged file of each kind.
REMEDIES = {"documents": "restore it from a copy", "segments": "`neardup index check` makes it again"}
#: magic, format, kind, number, bytes of data, checksum of the checksums, columns, bytes of parameters.
HEADER = struct.Struct("<8sIIQQQII")
COLUMN = struct.Struct("<QQ")
#: Columns begin at multiples of this, blocks at multiples of the other.
ALIGNMENT, BLOCK = 64, 1 << 14
#: Bytes read at a time, a multiple of a block.
PIECE = 1 << 22


class Layout(NamedTuple):
    """Where a file's columns are: as the kernels take it."""

    path: str
    data: int
    columns: list[tuple[int, int]]


def file_name(folder: Path, kind: str, number: int) -> Path:
    """The path of a file of an index."""
    return folder / kind / f"{number:08}"


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlive a loss of power."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _padded(length: int, to: int) -> int:
    return -length % to


@contextmanager
def damage(folder: Path) -> Iterator[None]:
    """What the kernels say of a damaged block of a file, or of an id that is none, as a CorruptIndexError."""
    try:
        yield
    except _kernels.DamageError as error:
        kind, number, offset = error.args
        raise CorruptIndexError(f"{file_name(folder, kind, number)} is damaged in the block at byte {offset}; {REMEDIES[kind]}") from None
    except UnicodeDecodeError:
        raise CorruptIndexError(f"{folder} has an id that is none; restore the folder from a copy") from None


class Column(NamedTuple):
    """Values to write: their type, how many, and they, in pieces."""

    type: npt.DTypeLike
    length: int
    pieces: Iterable[npt.NDArray[Any]]


def column(values: npt.NDArray[Any]) -> Column:
    """A column that is there as a whole."""
    return Column(values.dtype, len(values), [values])


def write(folder: Path, kind: str, number: int, parameters: bytes, columns: Sequence[Column]) -> None:
    """Write a file aside, piece by piece, sync it, and give it its name."""
    places, at = [], HEADER.size + COLUMN.size * len(columns) + len(parameters)
    for values in columns:
        at += _padded(at, ALIGNMENT)
        places.append((at, values.length))
        at += values.length * np.dtype(values.type).itemsize
    data = at + _padded(at, ALIGNMENT)
    table = b"".join(COLUMN.pack(*place) for place in places) + parameters

    def header(digest: int) -> bytes:
        return HEADER.pack(MAGIC, FORMAT, KINDS[kind], number, data, digest, len(columns), len(parameters)) + table

    name = file_name(folder, kind, number)
    aside = name.with_suffix(".part")
    try:
        with aside.open("w+b") as file:
            file.write(header(0))
            for (start, _), values in zip(places, columns, strict=True):
                file.write(bytes(start - file.tell()))
                for piece in values.pieces:
                    file.write(np.ascontiguousarray(piece, values.type).data)
            file.write(bytes(data - file.tell()))
            later = b"".join(_checksums(file, BLOCK, data))
            # The first block holds the checksum of all the others, and its own stands with them.
            file.seek(0)
            file.write(header(xxhash.xxh3_64_intdigest(later)))
            first = b"".join(_checksums(file, 0, min(BLOCK, data)))
            file.seek(data)
            file.write(first + later)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(name)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            if error.filename in (None, str(aside)):  # writing and syncing do not say which file did not fit
                error.filename = str(name)
            words = str(error.strerror)
            if error.errno in (errno.ENOSPC, errno.EDQUOT) and "; " not in words:
                error.strerror = f"{words}; make room"
        raise
    sync_folder(name.parent)


def _checksums(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """The checksums of a file's blocks from one place to another."""
    file.seek(start)
    while start < stop:
        part = file.read(min(PIECE, stop - start))
        yield _kernels.block_checksums(np.frombuffer(part, np.uint8)).tobytes()
        start += len(part)


def _blocks(layout: Layout, start: int, stop: int) -> npt.NDArray[np.uint8]:
    """Some bytes of a file, from the beginning of a block to the end of one, checked."""
    with open(layout.path, "rb") as file:  # noqa: PTH123  a path as the kernels take it
        file.seek(start)
        part = np.frombuffer(file.read(stop - start), np.uint8)
        file.seek(layout.data + 8 * (start // BLOCK))
        written = np.frombuffer(file.read(8 * -(-(stop - start) // BLOCK)), np.uint64)
    wrong = np.flatnonzero(_kernels.block_checksums(part) != written)
    if len(wrong):
        raise CorruptIndexError(f"{layout.path} is damaged in the block at byte {start + int(wrong[0]) * BLOCK}; {REMEDIES['documents']}")
    return part


def verify(layout: Layout) -> None:
    """Check every block of a file of documents.

    Raises
    ------
    CorruptIndexError
        If one of them is not what was written.
    """
    for start in range(0, layout.data, PIECE):
        _blocks(layout, start, min(start + PIECE, layout.data))


def values(layout: Layout, number: int, type: npt.DTypeLike, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
    """Values of a column of a file of documents, the blocks that hold them checked.

    Raises
    ------
    CorruptIndexError
        If one of the blocks is not what was written.
    """
    offset, count = layout.columns[number]
    size = np.dtype(type).itemsize
    first, last = offset + size * start, offset + size * (count if stop is None else stop)
    begin = first // BLOCK * BLOCK
    return _blocks(layout, begin, min(last + _padded(last, BLOCK), layout.data))[first - begin : last - begin].view(type)


def read(folder: Path, kind: str, number: int, parameters: bytes) -> Layout:
    """Where the columns of a file are, once its header is found to be what it should.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CorruptIndexError
        If it is no such file, or damaged where that is seen without reading all of it.
    IncompatibleError
        If it was written with other parameters, or by another version.
    """
    name = file_name(folder, kind, number)

    def damaged(what: str) -> CorruptIndexError:
        return CorruptIndexError(f"{name} {what}; {REMEDIES[kind]}")

    with name.open("rb") as file:
        start = file.read(BLOCK)
        size = os.fstat(file.fileno()).st_size
        if len(start) < HEADER.size:
            raise damaged(f"has {size} bytes, fewer than a header")
        magic, version, code, own, data, digest, columns, length = HEADER.unpack_from(start)
        if magic != MAGIC:
            raise damaged("is no file of neardup")
        if version != FORMAT:
            raise IncompatibleError(f"{name} has format {version}, this version of neardup reads format {FORMAT}; use another version")
        blocks = -(-data // BLOCK)
        if size != data + 8 * blocks:
            raise damaged(f"has {size} bytes, its header says {data + 8 * blocks}")
        if data < HEADER.size or data % ALIGNMENT:
            raise damaged(f"says that it has {data} bytes of data")
        file.seek(data)
        checksums = file.read(8 * blocks)
    table = HEADER.size + COLUMN.size * columns
    if (
        _kernels.block_checksums(np.frombuffer(start[:data], np.uint8)).tobytes() != checksums[:8]
        or xxhash.xxh3_64_intdigest(checksums[8:]) != digest
        or (code, own) != (KINDS[kind], number)
        or table + length > min(len(start), data)
    ):
        raise damaged("is damaged in its header or checksums")
    if start[table : table + length] != parameters:
        raise IncompatibleError(
            f"{name} was written with {start[table : table + length].decode('utf-8', 'replace')!a:.1000}, the index has "
            f"{parameters.decode()}; put back the file that belongs here"
        )
    return Layout(str(name), data, [COLUMN.unpack_from(start, HEADER.size + COLUMN.size * i) for i in range(columns)])
