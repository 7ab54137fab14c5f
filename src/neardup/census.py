"""How many documents have a shingle, and what shingles weigh by that."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from neardup import _kernels

ValueArray = npt.NDArray[np.uint32]

#: Verification hashes that a census looks at: the first.
COUNTED = 1 << 24
#: Of hashes that fewer documents have no count is kept: most are of that kind.
KEPT = 3
#: What a packed census begins with.
HEAD = struct.Struct("<QQ")


class Census:
    """How many of some documents have a verification hash.

    Parameters
    ----------
    evidence
        The verification hashes of documents of different shingle sets, one document after another, each sorted and distinct:
        uint32[n].
    sizes
        How many each has, 1 or more: uint32[m]. Those that go beyond the first 16,777,216 hashes are not looked at.

    Attributes
    ----------
    documents
        How many were looked at.
    hashes, counts
        The hashes that three documents have, or more, sorted, uint32[k], and how many have each, int64[k].

    Examples
    --------
    >>> census = Census(np.array([1, 2, 1, 1, 3], np.uint32), np.array([2, 1, 2], np.uint32))
    >>> census.documents, census.hashes.tolist(), census.counts.tolist()
    (3, [1], [3])
    """

    __slots__ = ("counts", "documents", "hashes")

    documents: int
    hashes: ValueArray
    counts: npt.NDArray[np.int64]

    def __init__(self, evidence: ValueArray, sizes: ValueArray) -> None:
        ends = np.cumsum(sizes, dtype=np.int64)
        self.documents = max(int(np.searchsorted(ends, COUNTED, "right")), min(1, len(ends)))
        every = np.sort(evidence[: min(int(ends[self.documents - 1]), COUNTED) if self.documents else 0])
        edges = np.flatnonzero(np.concatenate((every[1:] != every[:-1], np.ones(min(1, len(every)), bool))))
        counts = np.diff(edges, prepend=-1)
        kept = counts >= KEPT
        self.hashes = every[edges[kept]]
        self.counts = counts[kept]

    def packed(self) -> bytes:
        """It as bytes, little-endian: the number of documents, 8, and of hashes, 8; the hashes, 4 each; their counts, 4 each.

        Examples
        --------
        >>> census = Census(np.array([1, 2, 1, 1, 3], np.uint32), np.array([2, 1, 2], np.uint32))
        >>> census.packed().hex()
        '030000000000000001000000000000000100000003000000'
        """
        return HEAD.pack(self.documents, len(self.hashes)) + self.hashes.astype("<u4").tobytes() + self.counts.astype("<u4").tobytes()

    @classmethod
    def unpacked(cls, data: bytes) -> Census:
        """What was packed.

        Raises
        ------
        ValueError
            If it is no census.
        """
        if len(data) < HEAD.size:
            raise ValueError(f"a census of {len(data)} bytes")
        documents, many = HEAD.unpack_from(data)
        if len(data) != HEAD.size + 8 * many or many > COUNTED:
            raise ValueError(f"a census of {many} hashes in {len(data)} bytes")
        census = cls.__new__(cls)
        census.documents = documents
        census.hashes = np.frombuffer(data, "<u4", many, HEAD.size).astype(np.uint32)
        census.counts = np.frombuffer(data, "<u4", many, HEAD.size + 4 * many).astype(np.int64)
        if (census.hashes[1:] <= census.hashes[:-1]).any() or ((census.counts < KEPT) | (census.counts > documents)).any():
            raise ValueError(f"a census of {documents} documents that cannot be")
        return census


class Weights:
    """What shingles weigh: some a weight of their own, all others the same.

    Parameters
    ----------
    hashes
        Verification hashes, sorted and distinct, uint32[k].
    weights
        What each weighs, 0 to 65535, integers[k].
    rest
        What every other weighs.

    Examples
    --------
    >>> weights = Weights(np.array([5], np.uint32), np.array([1]), rest=10)
    >>> weights.total(np.array([4, 5], np.uint32)), weights.shared(np.array([4, 5], np.uint32), np.array([5, 6], np.uint32))
    (11, 1)
    """

    __slots__ = ("table",)

    def __init__(self, hashes: ValueArray, weights: npt.NDArray[Any], rest: int) -> None:
        self.table = _kernels.WeightTable(hashes, weights.astype(np.uint16), rest)

    def totals(self, sets: _kernels.Sets, threads: int) -> npt.NDArray[np.uint64]:
        """What each of some sets weighs."""
        return _kernels.total_weights(sets, self.table, threads)

    def shares(self, sets: _kernels.Sets, a: ValueArray, b: ValueArray, threads: int) -> npt.NDArray[np.uint64]:
        """What the hashes weigh that the sets of each pair, given by number, share."""
        return _kernels.shared_weights(sets, a, b, self.table, threads)

    def total(self, hashes: ValueArray) -> int:
        """What one document weighs."""
        return self.table.total(hashes)

    def shared(self, a: ValueArray, b: ValueArray) -> int:
        """What the hashes weigh that two documents share."""
        return self.table.shared(a, b)
