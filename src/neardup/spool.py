"""Flat arrays that may outgrow memory: collected there, and from some size on in files."""

from __future__ import annotations

import errno
import mmap
import os
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neardup.errors import ParameterError

if TYPE_CHECKING:
    from pathlib import Path

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
#: Below this nothing useful fits.
LEAST = 64 << 20


def memory_bytes(limit: int | str | None) -> int:
    """A limit in bytes: a number, a string with a unit, or by default half of what the machine or its control group allows.

    Raises
    ------
    ParameterError
        If it is no size, or too small to work with.

    Examples
    --------
    >>> memory_bytes("3GB"), memory_bytes("1.5 GiB"), memory_bytes(10**9)
    (3000000000, 1610612736, 1000000000)
    """
    if limit is None:
        return max(LEAST, allowed() // 2)
    number = str(limit).strip().rstrip("BKMGTIbkmgti")
    unit = str(limit).strip()[len(number) :].lower()
    try:
        size = int(float(number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise ParameterError(f"memory_limit is {limit!r}; it is a number of bytes, or a string like '3GB'") from None
    if size < LEAST:
        raise ParameterError(f"memory_limit is {limit!r}; it is at least {LEAST >> 20} MiB")
    return size


def allowed(process: str = "/proc/self/cgroup", groups: str = "/sys/fs/cgroup") -> int:
    """Bytes that this process may take: what the machine has, or less where a control group has less, its own or one above that."""
    from pathlib import Path

    allowed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _limits(Path(process), Path(groups)):
        with suppress(OSError, ValueError):  # no such group, or no limit
            allowed = min(allowed, int(file.read_text(encoding="ascii")))
    return allowed


def _limits(process: Path, groups: Path) -> Iterator[Path]:
    """The files that say how much memory control groups may take, of both versions; a container sees its own as the root."""
    lines = []
    with suppress(OSError):
        lines = process.read_text(encoding="utf-8").splitlines()
    for line in ("0::/", "0:memory:/", *lines):
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
            parts = [part for part in path.split("/") if part]
            yield from (root.joinpath(*parts[:depth]) / name for depth in range(len(parts), -1, -1) if ".." not in parts)


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # on a full disk, which has been said
        file.close()


def _no_memory(size: int) -> MemoryError:
    return MemoryError(f"no memory for a column of {size:,} bytes; allow more memory, or give less at a time")


class Spool:
    """One flat array that grows at its end.

    Parameters
    ----------
    dtype
        What it is of.
    path
        Its file, once it is spilled; by default one without a name, in TMPDIR.

    Examples
    --------
    >>> spool = Spool(np.uint32)
    >>> spool.append(np.array([1, 2], np.uint32))
    >>> spool.spill()
    >>> spool.append(np.array([3], np.uint32))
    >>> spool.array().tolist(), spool.nbytes
    ([1, 2, 3], 12)
    """

    def __init__(self, dtype: npt.DTypeLike, path: Path | None = None) -> None:
        self._dtype = np.dtype(dtype)
        self._path = path
        self._file: IO[bytes] | None = None
        #: Its file, or memory of its own: that is not fragmented by what is freed beside it, and grows without a second copy.
        self._map: mmap.mmap | None = None
        self._checksum: Any = None
        #: Bytes in it, wherever they are.
        self.nbytes = 0

    def __len__(self) -> int:
        return self.nbytes // self._dtype.itemsize

    def append(self, values: npt.NDArray[Any]) -> None:
        """Add values, which are copied.

        Raises
        ------
        MemoryError
            If there is no memory for them.
        OSError
            If the file in which they are is not there or full; nothing is added then.
        """
        values = np.ascontiguousarray(values, self._dtype)
        if not values.nbytes:
            return
        if self._file is None:
            end = self.nbytes + values.nbytes
            self._memory(end)[self.nbytes : end] = values.data.cast("B")
        else:
            self._write(values)
        self.nbytes += values.nbytes

    def _memory(self, size: int) -> mmap.mmap:
        """Memory for so many bytes. What is not written to takes none."""
        try:
            if self._map is None:
                self._map = mmap.mmap(-1, max(size, 1 << 16), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            elif size > len(self._map):
                self._map.resize(2 * size)
        except OSError as error:
            raise _no_memory(size) from error
        return self._map

    def _write(self, values: npt.NDArray[Any]) -> None:
        assert self._file is not None  # noqa: S101  it is spilled
        left = values.data.cast("B")
        try:
            while left.nbytes:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._no_place(error) from error
        if self._checksum is not None:
            self._checksum.update(values.data)

    def spill(self) -> None:
        """Keep what there is, and what will be added, in a file; where that fails, all stays as it is."""
        if self._file is not None:
            return
        memory, self._map = self._map, None
        try:
            self._open("wb+")
            if memory is not None:
                self._write(np.frombuffer(memory, np.uint8, self.nbytes))
        except OSError:
            self.close()
            self._map = memory
            raise

    def recall(self) -> None:
        """Take what is in the file back into memory, where there is room for no more of it."""
        if self._file is not None:
            whole = self.ranges(np.zeros(1, np.uint64), np.array([len(self)], np.uint64))
            self.close()
            self._memory(self.nbytes)[: self.nbytes] = whole.data.cast("B")

    def _open(self, mode: str) -> None:
        # Nothing waits in a buffer, which a child that is forked meanwhile would write once more when it ends.
        if self._path is None:
            import tempfile

            try:
                self._file = tempfile.TemporaryFile(buffering=0, prefix="neardup-")  # noqa: SIM115  as long as the spool
            except OSError as error:
                raise self._no_place(error) from error
        else:
            import xxhash

            self._file, self._checksum = self._path.open(mode, buffering=0), xxhash.xxh3_64()
        weakref.finalize(self, _close, self._file)

    def _no_place(self, error: OSError) -> OSError:
        """The error of a file that cannot be made, or written."""
        import tempfile

        if self._path is not None:
            return OSError(error.errno, f"{error.strerror} for temporary files in {self._path.parent}")
        where = tempfile.tempdir or "TMPDIR"
        return OSError(
            error.errno, f"{error.strerror} for temporary files in {where}; set TMPDIR to a folder with room, or allow more memory"
        )

    def close(self) -> None:
        """Let its file go, and what is in it."""
        if self._file is not None:
            _close(self._file)
            self._file = self._map = None

    def mark(self) -> tuple[int, int]:
        """How many bytes its file has, and their checksum: what :meth:`restore` needs after an interruption."""
        return self.nbytes, 0 if self._checksum is None else self._checksum.intdigest()

    def restore(self, nbytes: int, checksum: int) -> bool:
        """Go on with a file as it was when it was marked; whether that is there, undamaged."""
        assert self._path is not None  # noqa: S101  only such can be restored
        if not self._path.is_file():
            return False
        self._open("rb+")
        for block in self._blocks(nbytes):
            self._checksum.update(block)
        if self._file is None or self._file.tell() != nbytes or self._checksum.intdigest() != checksum:
            return False
        self._file.truncate()
        self.nbytes = nbytes
        return True

    def _blocks(self, nbytes: int) -> Iterator[bytes]:
        left = nbytes
        while self._file is not None and left and (block := self._file.read(min(left, 1 << 20))):
            left -= len(block)
            yield block

    def array(self) -> npt.NDArray[Any]:
        """All values; nothing can be added after that."""
        if not self.nbytes:
            return np.empty(0, self._dtype)
        if self._map is None:
            assert self._file is not None  # noqa: S101  something is in it
            try:
                self._map = mmap.mmap(self._file.fileno(), self.nbytes, access=mmap.ACCESS_READ)
            except OSError as error:
                raise _no_memory(self.nbytes) from error
        return np.frombuffer(self._map, self._dtype, len(self))

    def ranges(self, starts: npt.NDArray[np.uint64], sizes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of some ranges of values, one after another. What is in a file is read: of a mapped file each page takes its neighbours along."""
        ends = starts + sizes.astype(np.uint64)
        last = np.flatnonzero(np.append(starts[1:] != ends[:-1], True)[: len(starts)])
        first = np.append(0, last + 1)[: len(last)]
        values = np.empty(int(sizes.sum(dtype=np.int64)), self._dtype)
        to, size = values.view(np.uint8).data, np.uint64(self._dtype.itemsize)
        for some in range(0, len(first) if len(values) else 0, 1 << 16):
            begin, end = (of[some : some + (1 << 16)] * size for of in (starts[first], ends[last]))
            for start, stop in zip(begin.tolist(), end.tolist(), strict=True):
                part, to = to[: stop - start], to[stop - start :]
                if self._file is not None:
                    self._read(part, start)
                else:
                    assert self._map is not None  # noqa: S101  something is in it
                    part[:] = memoryview(self._map)[start:stop]
        return values

    def _read(self, part: memoryview, start: int) -> None:
        """Fill memory from a place of the file on."""
        assert self._file is not None  # noqa: S101  it is spilled
        while part.nbytes:
            read = os.preadv(self._file.fileno(), [part], start)
            if not read:
                missing = f"a temporary file became shorter: {part.nbytes:,} bytes are missing; leave TMPDIR alone while a job runs"
                raise OSError(errno.EIO, missing)
            part, start = part[read:], start + read

    def release(self) -> None:
        """Give back the memory in which parts of the file were read; they are read again when they are wanted."""
        if self._file is not None and self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    @property
    def spilled(self) -> bool:
        """Whether it is in a file."""
        return self._file is not None
