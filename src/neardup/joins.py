"""All matches in a corpus at once: of the shingle sets that share a bucket, or of all that there are.

Documents of one shingle set are one here. A join is between two kinds of sets, or between all of them and all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.stores import StoreBatch
from neardup.verify import similarity

PlaceArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: The most comparisons that a bucket may take, those of 128 members. Of a longer one all matches are found by rare shingles.
HEAVY = 128 * 127 // 2
#: About the most pairs that are compared at a time; they take 16 bytes each.
PAIRS = 1 << 23
LEFT, RIGHT = np.uint8(1), np.uint8(2)


class Edges(NamedTuple):
    """Sets that match.

    Attributes
    ----------
    earlier, later
        Their numbers, uint32[e].
    similarity
        Their Jaccard similarity, float64[e].
    """

    earlier: npt.NDArray[np.uint32]
    later: npt.NDArray[np.uint32]
    similarity: npt.NDArray[np.float64]

    def where(self, taken: Mask) -> Edges:
        """Some of them."""
        return Edges(self.earlier[taken], self.later[taken], self.similarity[taken])


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """The distinct shingle sets of a corpus, numbered by the rank of the first document of each.

    Attributes
    ----------
    number
        The set of each document, int64[n]; -1 where it has no shingle.
    place
        The place of the first document of each set by rank, int64[m].
    arrays
        All verification hashes, where those of each set begin, and how many they are.
    """

    number: PlaceArray
    place: PlaceArray
    arrays: _kernels.Sets

    @classmethod
    def of(cls, batch: StoreBatch, order: PlaceArray, threads: int) -> Sets:
        """The sets of documents whose places are given in order of rank.

        The set hash brings copies together, and their verification hashes decide.
        """
        ranked = order[batch.sizes[order] > 0]
        starts, sizes = batch.offsets[:-1][ranked], batch.sizes[ranked]
        _, first, alike = np.unique(batch.set_hashes[ranked], return_index=True, return_inverse=True)
        first = first[alike]
        copies = np.flatnonzero(first != np.arange(len(ranked)))
        pairs = first[copies].astype(np.uint32), copies.astype(np.uint32)
        both = _kernels.intersections((batch.evidence, starts, sizes), *pairs, threads)
        others = copies[(both != sizes[pairs[0]]) | (both != sizes[pairs[1]])]
        first[others] = others
        founders = np.flatnonzero(first == np.arange(len(ranked)))
        number = np.full(batch.documents, -1, np.int64)
        number[ranked] = np.searchsorted(founders, first)
        return cls(number, ranked[founders], (batch.evidence, starts[founders], sizes[founders]))

    def __len__(self) -> int:
        return len(self.place)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The shingles of each set."""
        return self.arrays[2].astype(np.int64)

    def similarities(self, a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], threads: int) -> npt.NDArray[np.float64]:
        """The Jaccard similarity of the sets of each pair, whether they match or not."""
        both = _kernels.intersections(self.arrays, a, b, threads).astype(np.int64)
        scores: npt.NDArray[np.float64] = similarity(both, self.sizes[a], self.sizes[b])
        return scores


class Heavy(NamedTuple):
    """A bucket that more sets fall into than are compared pair by pair: its band, how many sets, and the first of them."""

    band: int
    members: int
    example: int


class Join:
    """What matches in a corpus at a threshold.

    Parameters
    ----------
    sets
        Its shingle sets.
    batch
        Its documents, whose fingerprints say which sets share a bucket; None joins all sets with all.
    threshold
        Least Jaccard similarity of a match.
    threads
        How many.
    """

    def __init__(self, sets: Sets, batch: StoreBatch | None, threshold: float, threads: int) -> None:
        self.sets = sets
        self.threshold = threshold
        self.threads = threads
        self.bands: list[_kernels.Buckets] | None = None
        if batch is not None:
            numbers = range(batch.fingerprints.shape[1])
            with ThreadPoolExecutor(threads) as pool:
                self.bands = list(pool.map(lambda band: _kernels.buckets(batch.fingerprints, sets.place, band), numbers))

    def heavy(self) -> list[Heavy]:
        """The heavy buckets, the longest first."""
        found = []
        for band, (members, ends) in enumerate(self.bands or ()):
            sizes = np.diff(ends, prepend=np.uint32(0))
            starts = ends - sizes
            found += [
                Heavy(band, int(sizes[i]), int(members[starts[i]]))
                for i in np.flatnonzero(sizes.astype(np.int64) * (sizes - 1) // 2 > HEAVY)
            ]
        return sorted(found, key=lambda bucket: (-bucket.members, bucket.band, bucket.example))

    def preceded(self, among: Mask) -> Mask:
        """Which of some sets share a bucket with an earlier one of them."""
        return _kernels.preceded(self.bands or [], among)

    def comparisons(self, among: Mask) -> int:
        """How many comparisons a join of some sets with each other would take pair by pair, counted once a bucket."""
        return int(_kernels.partners(self.bands or [], among * (LEFT | RIGHT), 2**63).sum())

    def edges(self, left: Mask, right: Mask, tell: Callable[[int, int], None]) -> Edges:
        """The matches between sets on the left and sets on the right, in order; ``tell`` hears how many sets are done."""
        roles = left * LEFT | right * RIGHT
        if self.bands is None:
            return self._edges([_kernels.prefix_join(roles, self.sets.arrays, self.threshold, self.threads)])
        ends = np.cumsum(_kernels.partners(self.bands, roles, HEAVY))
        found, start = [], 0
        while start < len(self.sets):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS, "right")))
            part = start, stop
            found.append(_kernels.bucket_join(self.bands, roles, self.sets.arrays, self.threshold, part, HEAVY, self.threads))
            tell(stop, len(self.sets))
            start = stop
        found.append(_kernels.heavy_join(self.bands, roles, self.sets.arrays, self.threshold, HEAVY, self.threads))
        return self._edges(found)

    def _edges(self, found: Sequence[_kernels.Edges]) -> Edges:
        earlier, later, both = (np.concatenate(columns) for columns in zip(*found, strict=True))
        if len(found) > 1 and len(found[-1][0]):  # a heavy bucket may have found what another found too
            _, once = np.unique(earlier.astype(np.uint64) << np.uint64(32) | later, return_index=True)
            earlier, later, both = earlier[once], later[once], both[once]
        sizes = self.sets.sizes
        return Edges(earlier, later, similarity(both.astype(np.int64), sizes[earlier], sizes[later]))
