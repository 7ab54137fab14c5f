"""All matches in a corpus at once: of the shingle sets that share a bucket, or of all that there are.

Documents of one shingle set are one here. A join is between two kinds of sets, or between all of them and all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.ids import Mask, PlaceArray
from neardup.stores import StoreBatch
from neardup.threads import on_threads
from neardup.verify import similarity
from neardup.work import Work

#: A bucket is crowded where its members need more comparisons each, on average, than those of a bucket of so many that is compared pair
#: by pair. Its matches are found by rare shingles.
CROWD = 64
#: Members beyond which a bucket is reported as heavy.
HEAVY = 128
#: As many of anything.
ALL = 2**64 - 1
#: About the most pairs that are collected at a time; they take 32 bytes each.
PAIRS = 1 << 23
#: Hashes that may be compared in passing, for a page that says what another threshold would do: seconds.
PASSING = 1 << 31
#: Memory that the hashes of a set may take while they are read from a mapped file: the pages around them come with them, 180 KB measured.
TOUCHED = 256 << 10
#: Bytes of verification hashes that stay in memory in any case. Most sets share no bucket with another, and theirs are not read again.
AT_HAND = 1 << 20
LEFT, RIGHT = np.uint8(1), np.uint8(2)
#: No pairs.
NONE: _kernels.Edges = (np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint32))


class Edges(NamedTuple):
    """Sets that match.

    Attributes
    ----------
    earlier, later
        Their numbers, uint32[e].
    similarity
        Their similarity, float64[e]: the Jaccard similarity, unless a judge decides.
    """

    earlier: npt.NDArray[np.uint32]
    later: npt.NDArray[np.uint32]
    similarity: npt.NDArray[np.float64]

    def where(self, taken: Mask) -> Edges:
        """Some of them."""
        return Edges(self.earlier[taken], self.later[taken], self.similarity[taken])

    def beside(self, others: Edges) -> Edges:
        """These and others."""
        return Edges(
            np.concatenate((self.earlier, others.earlier)),
            np.concatenate((self.later, others.later)),
            np.concatenate((self.similarity, others.similarity)),
        )


class Signed:
    """A signed corpus, in columns.

    Parameters
    ----------
    bands
        How many.
    work
        Where the columns are.
    words
        Of the lean signature of each, by which they are verified; 0 where they are by verification hashes.

    Attributes
    ----------
    set_hashes, sizes, evidence
        As in :class:`~neardup.stores.StoreBatch`, once all documents are there.
    starts, lengths
        Where the evidence of each begins, uint64[n], and how long it is, uint32[n].
    """

    set_hashes: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint32]
    evidence: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint32]

    def __init__(self, bands: int, work: Work, words: int = 0) -> None:
        self.work = work
        self._words = words
        self._fingerprints = [work.column(f"band-{band}", np.uint32) for band in range(bands)]
        self._evidence = work.column("evidence", np.uint32)
        self._apart = work.path is None
        self._set_hashes, self._sizes = work.column("set-hashes", np.uint64), work.column("sizes", np.uint32)

    def append(self, batch: StoreBatch) -> None:
        """Add documents."""
        for spool, column in zip(self._fingerprints, batch.fingerprints.T, strict=True):
            spool.append(column)
        self._set_hashes.append(batch.set_hashes)
        self._sizes.append(batch.sizes)
        self._put_apart(batch.evidence[int(batch.offsets[0]) : int(batch.offsets[-1])])

    def _put_apart(self, evidence: npt.NDArray[np.uint32]) -> None:
        """Add to the evidence, in a file where there is a place for it."""
        together = self._evidence.nbytes + evidence.nbytes
        try:
            if self._apart and together > AT_HAND:
                self._evidence.spill()
            self._evidence.append(evidence)
        except OSError:  # no folder for temporary files, or no room there
            if not self._apart or together > self.work.limit // 4:
                raise
            self._apart = False
            self._evidence.recall()
            self._evidence.append(evidence)

    @property
    def spilled(self) -> bool:
        """Whether the evidence is in a file."""
        return self._evidence.spilled

    @property
    def large(self) -> bool:
        """Whether the evidence is read from a file, a part at a time."""
        return self.spilled and self._evidence.nbytes > self.work.limit // 4

    def close(self) -> None:
        """No more documents come."""
        self.set_hashes, self.sizes, self.evidence = self._set_hashes.array(), self._sizes.array(), self._evidence.array()
        self.lengths = np.full(len(self.sizes), self._words, np.uint32) if self._words else self.sizes
        self.starts = np.cumsum(self.lengths, dtype=np.uint64) - self.lengths

    def leave(self) -> None:
        """Close the file of the evidence, which is read no more."""
        self.evidence = np.empty(0, np.uint32)
        self._evidence.close()

    def buckets(self, places: PlaceArray, threads: int) -> list[_kernels.Buckets]:
        """The buckets of every band, of documents that stand for their sets."""
        return on_threads(lambda band: self.bucket(band, places), range(self.bands), threads)

    @property
    def bands(self) -> int:
        """How many bands there are."""
        return len(self._fingerprints)

    def bucket(self, band: int, places: PlaceArray) -> _kernels.Buckets:
        """The buckets of one band."""
        spool = self._fingerprints[band]
        found = _kernels.buckets(spool.array(), places)
        spool.release()
        return found

    def slices(self, n: int, sets: int) -> Iterator[slice]:
        """Some of n things at a time, each of which reads so many sets: all of them from memory, few from files."""
        most = max(256, self.work.limit // 4 // TOUCHED // sets) if self.large else max(1, n)
        for start in range(0, n, most):
            yield slice(start, start + most)
            if self.spilled:
                self._evidence.release()

    def gathered(self, starts: npt.NDArray[np.uint64], lengths: npt.NDArray[np.uint32]) -> _kernels.Sets:
        """The arrays of some sets alone, one after another, in memory."""
        ends = np.cumsum(lengths, dtype=np.uint64)
        return self._evidence.ranges(starts, lengths), ends - lengths, lengths

    def same(
        self,
        sets: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]],
        a: npt.NDArray[np.uint32],
        b: npt.NDArray[np.uint32],
        threads: int,
    ) -> Mask:
        """Whether the evidence of each pair of sets is the same; of all sets, where it begins and how long it is."""
        starts, lengths = sets
        those = np.unique((a, b))
        x, y = (np.searchsorted(those, some).astype(np.uint32) for some in (a, b))
        if self._words:
            rows = self.gathered(starts[those], lengths[those])[0].reshape(-1, self._words)
            return np.asarray((rows[x] == rows[y]).all(1))
        shared = (
            _kernels.intersections(self.gathered(starts[those], lengths[those]), x, y, threads)
            if self.spilled
            else _kernels.intersections((self.evidence, starts, lengths), a, b, threads)
        )
        same: Mask = (lengths[a] == lengths[b]) & (shared == lengths[b])
        return same

    def batch(self, places: PlaceArray) -> StoreBatch:
        """Some documents as they were signed."""
        words, starts, _ = self.gathered(self.starts[places], self.lengths[places])
        columns = [spool.array()[places] for spool in self._fingerprints]
        fingerprints = np.ascontiguousarray(np.array(columns, np.uint32).reshape(len(columns), len(places)).T)
        return StoreBatch(fingerprints, self.set_hashes[places], self.sizes[places], words, np.append(starts, np.uint64(len(words))))


class Sets:
    """The distinct shingle sets of a corpus, numbered by the rank of the first document of each.

    Attributes
    ----------
    number
        The set of each document, int64[n]; -1 where it has no shingle.
    place
        The place of the first document of each set by rank, int64[m].
    sizes
        How many shingles each set has, uint32[m].
    starts, lengths
        Where the evidence of each set begins, uint64[m], and how long it is, uint32[m].
    arrays
        The verification hashes as kernels take them; once those of some were taken (:meth:`take`), theirs alone.
    signed
        The corpus.
    """

    __slots__ = ("arrays", "lengths", "number", "place", "signed", "sizes", "starts")

    def __init__(self, number: PlaceArray, place: PlaceArray, signed: Signed) -> None:
        self.number = number
        self.place = place
        self.starts, self.lengths, self.sizes = signed.starts[place], signed.lengths[place], signed.sizes[place]
        self.signed = signed
        self.arrays: _kernels.Sets = (signed.evidence, self.starts, self.lengths)

    @classmethod
    def of(cls, signed: Signed, order: PlaceArray, threads: int) -> Sets:
        """The sets of documents whose places are given in order of rank.

        The set hash brings copies together, and their verification hashes decide.
        """
        ranked = order[signed.sizes[order] > 0]
        sizes, starts, lengths = signed.sizes[ranked], signed.starts[ranked], signed.lengths[ranked]
        _, first, alike = np.unique(signed.set_hashes[ranked], return_index=True, return_inverse=True)
        first = first[alike]
        copies = np.flatnonzero(first != np.arange(len(ranked)))
        a, b = first[copies].astype(np.uint32), copies.astype(np.uint32)
        same = sizes[a] == sizes[b]
        for part in signed.slices(len(copies), 2):
            same[part] &= signed.same((starts, lengths), a[part], b[part], threads)
        first[copies[~same]] = copies[~same]
        founders = np.flatnonzero(first == np.arange(len(ranked)))
        number = np.full(len(order), -1, np.int64)
        number[ranked] = np.searchsorted(founders, first)
        return cls(number, ranked[founders], signed)

    def __len__(self) -> int:
        return len(self.place)

    def take(self, some: Mask) -> None:
        """Take the hashes of some sets into memory, where they are in a file and there is room: no others will be compared."""
        if self.signed.spilled and not self.signed.large:
            places, lengths = np.zeros_like(self.starts), np.where(some, self.lengths, np.uint32(0))
            words, places[some], _ = self.alone(np.flatnonzero(some))
            self.arrays = words, places, lengths

    def leave(self) -> None:
        """Close the file of hashes, where those that are compared were taken from it."""
        if self.arrays[0] is not self.signed.evidence:
            self.signed.leave()

    def shared(self, a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], threads: int) -> npt.NDArray[np.uint32]:
        """How many hashes the sets of each pair share."""
        both = [_kernels.intersections(self.arrays, a[part], b[part], threads) for part in self.signed.slices(len(a), 2)]
        return np.concatenate([np.empty(0, np.uint32), *both])

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """The verification hashes of the first sets, one after another, about so many, and how many each has."""
        many = int(np.searchsorted(np.cumsum(self.sizes, dtype=np.int64), hashes)) + 1
        words, _, sizes = self.alone(np.arange(min(many, len(self))))
        return words, sizes

    def measured(self, measure: Callable[[_kernels.Sets], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """What is measured of each set, of as many at a time as memory may take."""
        parts = [slice(0), *self.signed.slices(len(self), 1)]
        return np.concatenate([measure((self.signed.evidence, self.starts[part], self.lengths[part])) for part in parts])

    def those(self, numbers: PlaceArray) -> _kernels.Sets:
        """The arrays of some sets that are compared: where all are that are in memory, or from the file."""
        words, starts, lengths = self.arrays
        if self.signed.spilled and words is self.signed.evidence:
            return self.alone(numbers)
        return words, starts[numbers], lengths[numbers]

    def alone(self, numbers: PlaceArray) -> _kernels.Sets:
        """The arrays of some sets, in memory."""
        return self.signed.gathered(self.starts[numbers], self.lengths[numbers])


class Judge(Protocol):
    """What decides, instead of the Jaccard similarity, which pairs of sets match."""

    threshold: float

    def compare(self, pairs: npt.NDArray[np.uint64], threads: int) -> _kernels.Edges:
        """Those of some pairs that may match."""

    def similarities(
        self, a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], both: npt.NDArray[np.uint32], threads: int
    ) -> npt.NDArray[np.float64]:
        """The similarities of pairs that share so many hashes."""

    def required(self, numbers: PlaceArray) -> _kernels.Required | None:
        """What a match between some sets requires, for joins by rare hashes; None where only pairs can be judged."""


class Heavy(NamedTuple):
    """A bucket that many sets fall into: its band, how many they are, and the first of them."""

    band: int
    members: int
    example: int


class Join:
    """What matches in a corpus at a threshold.

    Parameters
    ----------
    sets
        Its shingle sets.
    threshold
        Least Jaccard similarity of a match.
    threads
        How many.
    exact
        Join all sets with all, not only those that share a bucket.
    limit
        Buckets of more members are left out; by default all matches in them are found too.
    sample
        Candidates share a verification hash below this, instead of a band key; with 0 a band key.

    Attributes
    ----------
    judge
        What decides which candidates match; by default their Jaccard similarity does, and the threshold.
    """

    def __init__(
        self,
        sets: Sets,
        threshold: float,
        threads: int,
        *,
        exact: bool = False,
        limit: int | None = None,
        sample: int = 0,
    ) -> None:
        self.sets = sets
        self.threshold = threshold
        self.limit = limit
        self.most = ALL if limit is None else limit * (limit - 1) // 2
        self.judge: Judge | None = None
        self.passing = False
        self.threads = threads
        self.exact = exact
        self.sample = sample
        self.bands: list[_kernels.Buckets] = []
        if sample:
            self.bands = list(self._each_band())
        elif not exact:
            self.bands = sets.signed.buckets(sets.place, threads)
            some = np.zeros(len(sets), bool)
            for members, _ in self.bands:
                some[members] = True
            sets.take(some)
        self._joins = 0

    def heavy(self) -> list[Heavy]:
        """The heavy buckets, the longest first."""
        found = []
        for band, (members, ends) in enumerate(self.bands):
            sizes, heavy = _heavy(ends, self.crowd)
            found += [Heavy(band, int(sizes[i]), int(members[ends[i] - sizes[i]])) for i in np.flatnonzero(heavy)]
        return sorted(found, key=lambda bucket: (-bucket.members, bucket.band, bucket.example))

    @property
    def bounds(self) -> _kernels.Bounds:
        """How buckets are joined: beyond which members by rare hashes, and of how many comparisons at most."""
        pairwise = self.passing or (self.judge is not None and self.judge.required(np.empty(0, np.int64)) is None)
        return ALL if pairwise else CROWD, self.most

    @property
    def crowd(self) -> int:
        """The most members of a bucket that is not reported as heavy."""
        return self.limit or HEAVY

    def close(self) -> None:
        """Let the buckets go, and the file of hashes where those that are compared were taken from it: nothing is joined after that."""
        self.bands = []
        self.sets.leave()

    def preceded(self, among: Mask) -> Mask:
        """Which of some sets share a bucket with an earlier one of them."""
        return _kernels.preceded(self.bands, among)

    def comparisons(self, among: Mask) -> int:
        """How many comparisons a join of some sets with each other would take pair by pair, counted once a bucket."""
        return int(_kernels.partners(self.bands, among * (LEFT | RIGHT), (ALL, self.most)).sum())

    def edges(self, left: Mask, right: Mask, tell: Callable[[int, int, int], None], most: int | None = None) -> Edges:
        """The matches between sets on the left and sets on the right, in order.

        ``tell`` hears how many sets are done, of how many, and how many matches there are; it does not return where they are
        more than ``most``, and hears so before they are all found. What is found is kept with the work; a join that was
        interrupted goes on, as long as the same joins are asked for in the same order.
        """
        self._joins += 1
        name, work = f"join {self._joins}", self.sets.signed.work
        columns = [work.column(f"join-{self._joins}-{column}", np.uint32) for column in ("earlier", "later", "both")]
        done, scores = work.done(name), [np.empty(0)]
        if not done.get("whole"):
            for stop, found in self._found(left * LEFT | right * RIGHT, done.get("sets", 0), most):
                matching, scored = self._matching(found)
                scores.append(scored)
                if most is not None and len(columns[0]) + len(scored) > most:
                    tell(stop, len(self.sets), len(columns[0]) + len(scored))
                for spool, column in zip(columns, matching, strict=True):
                    spool.append(column)
                tell(stop, len(self.sets), len(columns[0]))
                work.publish(name, sets=stop)
            work.publish(name, sets=len(self.sets), whole=True)
        elif most is not None and len(columns[0]) > most:
            tell(len(self.sets), len(self.sets), len(columns[0]))
        earlier, later, both = (spool.array() for spool in columns)
        similarities = np.concatenate(scores)
        if len(similarities) < len(earlier):  # some were found before an interruption
            (earlier, later, both), similarities = self._matching((earlier, later, both))
        return Edges(earlier, later, similarities)

    def _matching(self, found: _kernels.Edges) -> tuple[_kernels.Edges, npt.NDArray[np.float64]]:
        """Those of some edges that the judge takes for matches, and their similarities."""
        earlier, later, both = found
        scores = self._scores(earlier, later, both, self.judge)
        if self.judge is None:
            return found, scores
        matching = scores >= self.judge.threshold
        return (earlier[matching], later[matching], both[matching]), scores[matching]

    def near_misses(self, least: float, below: float, most: int) -> Edges:
        """Some pairs of a similarity from ``least`` on and below another: those of one band, then of others, up to so many.

        Bands are for matches: most of such pairs share none.
        """
        lower = self._at(least)
        judge, threshold = lower.judge, lower.threshold
        found = Edges(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0))
        every = np.full(len(self.sets), LEFT | RIGHT)
        for band in self._each_band():
            ends = np.cumsum(_kernels.partners([band], every, (CROWD, ALL)))
            stop = int(np.searchsorted(ends, self._at_once, "right"))  # of a crowd the first
            pairs = _kernels.candidates([band], every, self.sets.sizes, threshold, (0, stop), (CROWD, ALL), self.threads)
            a, b, both = _merged([*self._compared(pairs, judge, threshold), NONE])
            edges = Edges(a, b, self._scores(a, b, both, judge))
            edges = edges.where((edges.similarity >= least) & (edges.similarity < below))
            a, b = np.concatenate((found.earlier, edges.earlier)), np.concatenate((found.later, edges.later))
            scores = np.concatenate((found.similarity, edges.similarity))
            _, once = np.unique(a.astype(np.uint64) << np.uint64(32) | b, return_index=True)
            found = Edges(a[once], b[once], scores[once])
            if len(found.earlier) >= most:
                break
        return found

    def among(self, some: Mask, least: float) -> Edges | None:
        """The matches of some sets with each other from a similarity on; None where those are too many to compare in passing."""
        join, many = self._at(least), int(some.sum())
        join.bands = list(self._each_band())
        join.passing = True  # so few are compared pair by pair, however many share a bucket
        pairs = min(join.comparisons(some), many * (many - 1) // 2)
        hashes = 2 * pairs * int(self.sets.sizes[some].sum(dtype=np.int64)) // max(1, many)
        if pairs > 2 * self._at_once or hashes > PASSING:
            return None
        found = [edges for _, edges in join._found(some * (LEFT | RIGHT), 0)]
        earlier, later, both = (np.concatenate(columns) for columns in zip(NONE, *found, strict=True))
        edges = Edges(earlier, later, self._scores(earlier, later, both, join.judge))
        return edges.where(edges.similarity >= least)

    def _at(self, least: float) -> Join:
        """The same join with another similarity."""
        join = copy(self)
        if self.judge is None:
            join.threshold = least
        else:
            join.judge = copy(self.judge)
            join.judge.threshold = least
        return join

    @property
    def _at_once(self) -> int:
        """About the most pairs that are collected at a time."""
        return min(PAIRS, self.sets.signed.work.limit // 256)

    def _each_band(self) -> Iterator[_kernels.Buckets]:
        """The buckets of one band after another, found again."""
        if self.sample:
            yield _kernels.sampled_buckets(self.sets.arrays, self.sample)
        else:
            yield from (self.sets.signed.bucket(band, self.sets.place) for band in range(self.sets.signed.bands))

    def similarities(self, a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
        """The similarity of the sets of each pair, whether they match or not."""
        return self._scores(a, b, self.sets.shared(a, b, self.threads), self.judge)

    def _scores(
        self, a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], both: npt.NDArray[np.uint32], judge: Judge | None
    ) -> npt.NDArray[np.float64]:
        if judge is not None:
            parts = self.sets.signed.slices(len(a), 2)
            each = [judge.similarities(a[part], b[part], both[part], self.threads) for part in parts]
            return np.concatenate([np.empty(0), *each])
        sizes = self.sets.sizes
        scores: npt.NDArray[np.float64] = similarity(both.astype(np.int64), sizes[a].astype(np.int64), sizes[b].astype(np.int64))
        return scores

    def _found(self, roles: npt.NDArray[np.uint8], start: int, most: int | None = None) -> Iterator[tuple[int, _kernels.Edges]]:
        """What may match, and up to which set that was looked for; each pair once.

        Where there are more than ``most`` at a time, some of them will do.
        """
        most = ALL if most is None else most
        if self.exact:
            every = self.sets.alone(np.arange(len(self.sets)))
            yield len(self.sets), _kernels.prefix_join(roles, every, self.threshold, self.threads, None, most)
            return
        ends = np.cumsum(_kernels.partners(self.bands, roles, self.bounds))
        crowds = self._crowd_edges(roles, most)
        if len(crowds[0]) > most:
            if len(self._matching(crowds)[1]) > most:
                yield start, crowds  # some of them, which are too many
            crowds = self._crowd_edges(roles, ALL)
        while start < len(self.sets):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + self._at_once, "right")))
            sizes = self.sets.sizes
            pairs = _kernels.candidates(self.bands, roles, sizes, self.threshold, (start, stop), self.bounds, self.threads)
            found = self._compared(pairs, self.judge, self.threshold)
            yield stop, _merged([*found, tuple(column[_between(crowds[0], start, stop)] for column in crowds)])  # type: ignore[list-item]
            start = stop

    def _compared(self, pairs: npt.NDArray[np.uint64], judge: Judge | None, threshold: float) -> list[_kernels.Edges]:
        """Those of some pairs that may match, some at a time."""
        parts = (pairs[part] for part in self.sets.signed.slices(len(pairs), 2))
        if judge is not None:
            return [judge.compare(part, self.threads) for part in parts]
        return [_kernels.compare(part, self.sets.arrays, threshold, self.threads) for part in parts]

    def _crowd_edges(self, roles: npt.NDArray[np.uint8], most: int) -> _kernels.Edges:
        """The matches in crowded buckets, or more than ``most`` of them; their sets are taken into memory."""
        if len(self.sets) <= self.bounds[0]:
            return NONE
        buckets = _kernels.crowds(self.bands, roles, self.bounds)
        numbers = np.unique(np.concatenate([np.empty(0, np.uint32), *(members for members, _ in buckets)])).astype(np.int64)
        if not len(numbers):
            return NONE
        bands = [(np.searchsorted(numbers, members).astype(np.uint32), ends) for members, ends in buckets]
        some = self.sets.those(numbers)
        required = None if self.judge is None else self.judge.required(numbers)
        earlier, later, both = _kernels.crowd_join(bands, roles[numbers], some, self.threshold, self.threads, required, most)
        return numbers[earlier].astype(np.uint32), numbers[later].astype(np.uint32), both


def _heavy(ends: npt.NDArray[np.uint32], most: int) -> tuple[npt.NDArray[np.uint32], Mask]:
    """How many members each bucket of a band has, and whether they are more than that."""
    sizes = np.diff(ends, prepend=np.uint32(0))
    return sizes, sizes > most


def _between(numbers: npt.NDArray[np.uint32], start: int, stop: int) -> Mask:
    return (start <= numbers) & (numbers < stop)


def _merged(found: Sequence[_kernels.Edges]) -> _kernels.Edges:
    """Edges of several origins, each pair once."""
    earlier, later, both = (np.concatenate(columns) for columns in zip(*found, strict=True))
    if len(found) > 1 and len(found[-1][0]):  # a heavy bucket may have found what another found too
        _, once = np.unique(earlier.astype(np.uint64) << np.uint64(32) | later, return_index=True)
        earlier, later, both = earlier[once], later[once], both[once]
    return earlier, later, both
