"""Ids of documents: what they may be, how many are kept in little memory, and whether any repeats."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import DuplicateIdError, ParameterError, kind

Id = str | int
#: Documents or sets of them by their places, and of all of them whether each is something.
PlaceArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def check_id(id: object) -> Id:
    """The id as a plain string or integer, whatever a class of its own makes of being equal."""
    if isinstance(id, bool) or not isinstance(id, str | int | np.integer):
        raise TypeError(f"an id is a string or an integer, not {id!r} of type {kind(id)}")
    if isinstance(id, str):
        return id if type(id) is str else str.__str__(id)
    number = int.__int__(id) if isinstance(id, int) else int(id)
    if not -(2**63) <= number < 2**63:
        raise ParameterError(f"id {number} does not fit in 64 signed bits; give it as a string")
    return number


def check_ids(ids: Iterable[Id]) -> list[Id]:
    """The ids of a batch, all different."""
    names = list(ids)
    if isinstance(ids, range) and _fit((*ids[:1], *ids[-1:])):
        return names
    types = set(map(type, names))
    if not types <= {int, str} or (int in types and not _fit(name for name in names if isinstance(name, int))):
        names = [check_id(name) for name in names]
    if len(set(names)) < len(names):
        counts = Counter(names)
        twice = next(name for name in names if counts[name] > 1)
        raise DuplicateIdError(
            f"document {twice!r} is given twice, nothing was added; ids are unique: number the documents, or drop repeats"
        )
    return names


def _fit(numbers: Iterable[int]) -> bool:
    low, high = itertools.tee(numbers)
    return min(low, default=0) >= -(2**63) and max(high, default=0) < 2**63


def id_order(id: Id) -> tuple[bool, Id]:
    """Integers before strings, each in their own order: the same for any order of insertion."""
    return isinstance(id, str), id


def twin(id: Id) -> Id | None:
    """The id that is written alike and is another: of a number its text, of such a text the number.

    Examples
    --------
    >>> twin(3), twin("3"), twin("03"), twin("x")
    ('3', 3, None, None)
    """
    if isinstance(id, int):
        return str(id)
    return int(id) if len(id) <= 20 and id.isascii() and id.removeprefix("-").isdecimal() and str(int(id)) == id else None


def id_column(ids: Sequence[Id]) -> Any:
    """Ids as an Arrow column: integers where all are, of 64 bits; otherwise strings, what is no Unicode in them escaped."""
    import pyarrow as pa

    if ids and all(isinstance(id, int) and -(2**63) <= id < 2**63 for id in ids):
        return pa.array(ids, pa.int64())
    return pa.array([str(id).encode("utf-8", "backslashreplace").decode() for id in ids], pa.string())


#: Before an id that the kernel cannot pack as it is: an integer of more than 64 bits, or a string that begins so.
ESCAPE = "\ud800"


def pack(ids: list[Id]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
    """Ids as :class:`PackedIds` takes them."""
    if any(isinstance(id, str) and id.startswith(ESCAPE) for id in ids) or not _fit(id for id in ids if isinstance(id, int)):
        ids = [f"{ESCAPE}#{id}" if isinstance(id, int) and not _fit((id,)) else _escaped(id) for id in ids]
    return _kernels.pack_ids(ids)


def _escaped(id: Id) -> Id:
    return f"{ESCAPE}{id}" if isinstance(id, str) and id.startswith(ESCAPE) else id


def _unpacked(ids: list[Id]) -> list[Id]:
    return [_unescaped(id[1:]) if isinstance(id, str) and id.startswith(ESCAPE) else id for id in ids]


def _unescaped(id: str) -> Id:
    return int(id[1:]) if id.startswith("#") else id


class PackedIds(Sequence[Id]):
    """Ids as bytes one after another, read as a list is: a tenth of the memory.

    Parameters
    ----------
    data, ends
        As the kernel packs them, uint8[b] and uint64[n].

    Examples
    --------
    >>> ids = PackedIds(*pack(["a", 7, "long"]))
    >>> len(ids), ids[1], ids.take(np.array([2, 0])), list(ids)
    (3, 7, ['long', 'a'], ['a', 7, 'long'])
    """

    def __init__(self, data: npt.NDArray[np.uint8], ends: npt.NDArray[np.uint64]) -> None:
        self._data, self._offsets = data, np.concatenate((np.zeros(1, np.uint64), ends))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, place: int) -> Id: ...
    @overload
    def __getitem__(self, place: slice) -> list[Id]: ...
    def __getitem__(self, place: int | slice) -> Id | list[Id]:
        if isinstance(place, slice):
            return self.take(np.arange(*place.indices(len(self))))
        return self.take(np.array([range(len(self))[place]]))[0]

    def __iter__(self) -> Any:
        return iter(_unpacked(_kernels.unpack_ids(self._data, self._offsets)))

    def take(self, places: PlaceArray) -> list[Id]:
        """The ids at some places."""
        starts = self._offsets[:-1][places].astype(np.int64)
        sizes = self._offsets[1:][places].astype(np.int64) - starts
        ends = np.cumsum(sizes)
        gather = np.repeat(starts - (ends - sizes), sizes) + np.arange(int(sizes.sum()))
        packed = self._data[gather], np.concatenate((np.zeros(1, np.uint64), ends.astype(np.uint64)))
        return _unpacked(_kernels.unpack_ids(*packed))


class Repeats:
    """Whether ids that come in batches may repeat, at 8 bytes each: their hashes are looked through whenever they have doubled.

    Examples
    --------
    >>> repeats = Repeats()
    >>> repeats.add(["a", "b"]), repeats.add(["a"]), repeats.found()
    (False, False, True)
    """

    def __init__(self) -> None:
        self._hashes: list[npt.NDArray[np.int64]] = []
        self._n = self._seen = 0

    def add(self, ids: Sequence[Id]) -> bool:
        """Take some in; whether it was time to look, and some may be alike."""
        self._hashes.append(np.fromiter(map(hash, ids), np.int64, len(ids)))
        self._n += len(ids)
        return self._n > 2 * self._seen + (1 << 16) and self.found()

    def found(self) -> bool:
        """Whether some of all may be alike: certainly if some are, and otherwise hardly ever."""
        every = np.concatenate([np.empty(0, np.int64), *self._hashes])
        every.sort()
        self._hashes, self._seen = [every], self._n
        return bool((every[1:] == every[:-1]).any())


def first_repeat(ids: Iterable[Id]) -> tuple[Id, int, int] | None:
    """The first id that repeats, and the places where it is.

    Examples
    --------
    >>> first_repeat(["a", "b", "a"])
    ('a', 0, 2)
    """
    first: dict[Id, int] = {}
    return next(((id, first[id], i) for i, id in enumerate(ids) if first.setdefault(id, i) != i), None)
