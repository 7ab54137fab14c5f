"""Many small records as few rows: Spark moves and sorts chunks of bytes, and what is in them is read in place.

A record is one or more 64-bit words. It belongs to a slice, a number that its hash says; records of one slice meet in one
task. A row is a slice and some of its records, one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Hashes = npt.NDArray[np.uint64]

#: What a frame of packed records is called in Spark.
SCHEMA = "slice int, data binary"
#: The most bytes of a row, and the most rows that go to Python at a time: 16 MB together.
ROW, ROWS = 16 << 10, 1024
#: The most slices, and how many a task reads one after another.
MOST, EACH = 1 << 16, 16


def number_of_slices(partitions: int) -> int:
    """How many slices there are for so many tasks: enough that each task has about as many as another.

    Examples
    --------
    >>> number_of_slices(1), number_of_slices(200)
    (64, 3200)
    """
    return min(MOST, max(64, EACH * partitions))


def slices_of(hashes: Hashes, slices: int) -> npt.NDArray[np.uint16]:
    """The slice of each hash, by its high bits.

    Examples
    --------
    >>> slices_of(np.array([0, 2**63, 2**64 - 1], np.uint64), 64).tolist()
    [0, 32, 63]
    """
    return ((hashes >> np.uint64(32)) * np.uint64(slices) >> np.uint64(32)).astype(np.uint16)


def mixed(a: Hashes, b: Hashes) -> Hashes:
    """A hash of two numbers, evenly spread.

    Examples
    --------
    >>> one = np.array([1], np.uint64)
    >>> mixed(one, one + one) == mixed(one + one, one)
    array([False])
    """
    x = a * np.uint64(0x9E3779B97F4A7C15) + b
    x ^= x >> np.uint64(32)
    x *= np.uint64(0xD6E8FEB86659FD93)
    x ^= x >> np.uint64(32)
    x *= np.uint64(0xD6E8FEB86659FD93)
    return x ^ x >> np.uint64(32)


def packed(which: npt.NDArray[np.integer[Any]], records: Words) -> Any:
    """Records, uint64[m, width], as rows of their slices: an Arrow record batch.

    Examples
    --------
    >>> packed(np.array([3, 1, 3], np.uint16), np.array([[7], [8], [9]], np.uint64)).num_rows
    2
    """
    import pyarrow as pa

    order = np.argsort(which, kind="stable")
    sorted_slices = which[order]
    records = np.ascontiguousarray(records[order])
    width = 8 * records.shape[1]
    starts = np.flatnonzero(np.diff(sorted_slices, prepend=np.int32(-1))) if len(order) else np.empty(0, np.int64)
    sizes = np.diff(np.append(starts, len(order)))
    most = ROW // width
    rows = -(-sizes // most)  # of each slice
    first = np.repeat(np.cumsum(rows) - rows, rows)
    begins = np.repeat(starts, rows) + (np.arange(int(rows.sum())) - first) * most
    offsets = np.append(begins, len(order)).astype(np.int32) * np.int32(width)
    data = pa.BinaryArray.from_buffers(pa.binary(), len(begins), [None, pa.py_buffer(offsets), pa.py_buffer(records)])
    return pa.RecordBatch.from_arrays([pa.array(sorted_slices[begins].astype(np.int32)), data], ["slice", "data"])


def binary_words(column: Any, dtype: type[np.generic]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The words of a column of bytes in place, and where those of each row begin and the last end."""
    size = np.dtype(dtype).itemsize
    _, ends, data = column.buffers()
    wide = np.int64 if column.type in _large() else np.int32
    offsets = np.frombuffer(ends, wide, len(column) + 1, column.offset * np.dtype(wide).itemsize).astype(np.int64) // size
    words = np.frombuffer(data, dtype, int(offsets[-1])) if data is not None else np.empty(0, dtype)
    return words, offsets


def _large() -> tuple[Any, ...]:
    import pyarrow as pa

    return pa.large_binary(), pa.large_string()


def slices_in(batches: Iterable[Any], width: int) -> Iterator[tuple[int, Words]]:
    """The records of each slice, some at a time, from batches in which a slice's rows are together."""
    for batch in batches:
        if not batch.num_rows:
            continue
        which = batch.column("slice").to_numpy()
        words, offsets = binary_words(batch.column("data"), np.uint64)
        starts = np.append(np.flatnonzero(np.diff(which, prepend=-1)), len(which))
        for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            yield int(which[start]), words[offsets[start] : offsets[stop]].reshape(-1, width)


def together(parts: Iterable[tuple[int, Words]]) -> Iterator[tuple[int, list[Words]]]:
    """The same with all parts of a slice in one list."""
    current, held = -1, list[Words]()
    for which, words in parts:
        if which != current and held:
            yield current, held
            held = []
        current = which
        held.append(words)
    if held:
        yield current, held


def binary_column(words: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> Any:
    """Words as an Arrow column of bytes, those of a row from one offset to the next."""
    import pyarrow as pa

    ends = (offsets.astype(np.int64) * words.dtype.itemsize).astype(np.int32)
    return pa.BinaryArray.from_buffers(pa.binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(words))])
