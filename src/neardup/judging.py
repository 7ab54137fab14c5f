"""How an index judges candidates whose similarity depends on what else is in it: misread texts, and shingles by their rarity."""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Sequence
from threading import RLock
from typing import NamedTuple, Protocol

import numpy as np
import xxhash

from neardup.census import COUNTED, Census, ValueArray, Weights
from neardup.errors import UnknownDocumentError
from neardup.joins import Judge as JoinJudge
from neardup.joins import Sets
from neardup.noise import ILLEGIBLE, LEAST, Legibility, Readings, corrected, least_jaccard
from neardup.profiles import Settings
from neardup.rarity import SHARE, Weighed, rarity
from neardup.stores import Answer, Extent, Hit, Store, StoreBatch
from neardup.stores.forked import watch
from neardup.verify import Match

#: Verification hashes of some documents, one after another, and how many each has.
First = tuple[ValueArray, ValueArray]

#: What stored knowledge begins with.
HEAD = struct.Struct("<qqd")


class Learnt(NamedTuple):
    """What was learnt of the documents of an index. It is stored with them: whoever opens the index judges by the same.

    Attributes
    ----------
    documents, written
        The extent of the store then.
    clearest
        As of :class:`~neardup.noise.Legibility`; 0 where rarity decides.
    census
        How many of the first of them have a shingle.
    """

    documents: int
    written: int
    clearest: float
    census: Census

    def packed(self) -> bytes:
        """It as bytes, little-endian: ``documents``, ``written`` and ``clearest``, 8 each, the packed census, and a checksum, 8."""
        data = HEAD.pack(self.documents, self.written, self.clearest) + self.census.packed()
        return data + xxhash.xxh3_64_digest(data)

    @classmethod
    def unpacked(cls, data: bytes | None) -> Learnt | None:
        """What was packed; None where it is not what was written, since it can be learnt again."""
        if data is None or len(data) < HEAD.size + 8 or xxhash.xxh3_64_digest(data[:-8]) != data[-8:]:
            return None
        documents, written, clearest = HEAD.unpack_from(data)
        try:
            census = Census.unpacked(data[HEAD.size : -8])
        except ValueError:
            return None
        return cls(documents, written, clearest, census) if 0 <= clearest <= 1 else None

    def holds(self, extent: Extent) -> bool:
        """Whether no more than an eighth of the documents was written, or removed, since."""
        return max(abs(extent.documents - self.documents), abs(extent.written - self.written)) <= extent.documents // 8


def copy_learnt(source: Store, to: Store) -> None:
    """Give a store, which has the documents of another and no more, what was learnt of them."""
    learnt = Learnt.unpacked(source.learnt())
    if learnt is not None:
        since = source.extent().written - learnt.written
        to.keep_learnt(learnt._replace(written=to.extent().written - since).packed(), b"")


class View(Protocol):
    """What a judge knows at a moment: a look-up is judged by one of these from beginning to end."""

    @staticmethod
    def learn(first: First, threads: int = 1) -> tuple[float, Census]:
        """What the first documents of a corpus say: ``clearest`` and ``census`` of :class:`Learnt`."""

    @classmethod
    def of(cls, clearest: float, census: Census) -> View:
        """What judges by what was learnt."""

    def tell(self, store: Store, number: int) -> None:
        """Let a store know what it may dismiss, by a number that is another each time."""

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """What may match the documents of a batch at a threshold; None for whatever shares something."""

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """The hits of a document that match, by similarity or containment."""

    def judge(self, sets: Sets, threshold: float, threads: int) -> JoinJudge:
        """What judges pairs of sets."""


class Judge:
    """What says how similar documents of an index are, by what is known of all of them.

    It is learnt again when an eighth of the documents was written since, by whomever, and stored with them. All who look at
    the store judge by what is stored.

    Parameters
    ----------
    kind
        How it judges.

    Attributes
    ----------
    deciding
        Held while a document is looked up to be added: by a thread, which a signal handler may have look up another.
    """

    def __init__(self, kind: type[View]) -> None:
        self.deciding = RLock()
        self._kind = kind
        self._lock = RLock()
        self._views, self._seen = 0, b""
        self._taken: tuple[Learnt, View] | None = None
        watch(self)

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`."""
        self.deciding, self._lock = RLock(), RLock()

    def view(self, store: Store) -> View:
        """What is known: what is stored with the documents, as long as it holds; else it is learnt."""
        with self._lock:
            extent = store.extent()
            if self._taken is None or extent.learnt != self._seen or not self._taken[0].holds(extent):
                self._taken = self._looked(store, extent)
            return self._taken[1]

    def _looked(self, store: Store, extent: Extent) -> tuple[Learnt, View]:
        self._seen = extent.learnt
        learnt = Learnt.unpacked(store.learnt()) if extent.learnt else None
        if learnt is None or not learnt.holds(extent):
            if self._taken is not None and self._taken[0].holds(extent):  # this one may not store what it learnt
                return self._taken
            new = Learnt(extent.documents, extent.written, *self._kind.learn(store.first(COUNTED)))
            kept = store.keep_learnt(new.packed(), extent.learnt)
            learnt, self._seen = Learnt.unpacked(kept) or new, kept[-8:]  # another process may have been quicker
        self._views += 1
        view = self._kind.of(learnt.clearest, learnt.census)
        view.tell(store, self._views)
        return learnt, view


def kind_of(settings: Settings) -> type[View]:
    """How similarities are judged that depend on the corpus, as settings say."""
    return Noisy if settings.verify == "noisy" else Rare


def judge_of_sets(settings: Settings, sets: Sets, threads: int) -> JoinJudge:
    """What judges pairs of the sets of a corpus by the first of them."""
    kind = kind_of(settings)
    return kind.of(*kind.learn(sets.first(COUNTED), threads)).judge(sets, settings.threshold, threads)


class Noisy:
    """Misread texts (:mod:`neardup.noise`).

    Parameters
    ----------
    legibility
        How much of a document was read rightly.

    Attributes
    ----------
    number
        By which a store knows it.
    """

    def __init__(self, legibility: Legibility) -> None:
        self.legibility = legibility
        self.number = 0

    @staticmethod
    def learn(first: First, threads: int = 1) -> tuple[float, Census]:
        """As :class:`View` says."""
        census = Census(*first)
        return Legibility.of(census, *first, threads).clearest, census

    @classmethod
    def of(cls, clearest: float, census: Census) -> Noisy:
        """As :class:`View` says."""
        return cls(Legibility.by(census, clearest))

    def tell(self, store: Store, number: int) -> None:
        """As :class:`View` says."""
        self.number = number
        if self.legibility.clearest:
            store.read_by(self.legibility.known.table, self.legibility.clearest, ILLEGIBLE, number)

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """As :class:`View` says."""
        if threshold is None:
            return store.query(batch, LEAST, threads)
        bounds = itertools.pairwise(batch.offsets.tolist())
        legible = np.array([self.legibility.of_one(batch.evidence[start:stop]) for start, stop in bounds], np.float64)
        least = least_jaccard(threshold, float(legible.min(initial=1.0)))
        return store.query(batch, least, threads, (legible, threshold, self.number))

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """As :class:`View` says."""
        n, found = len(hashes), []
        legible = self.legibility.of_one(hashes)
        for id, both, m in hits:
            if not contained and both / max(n, m) < 0.999 * threshold * legible * ILLEGIBLE:
                continue  # no match, whatever its legibility; the bound is not exact, what follows is
            try:
                other = self.legibility.of_one(store.evidence(id))
            except UnknownDocumentError:  # another thread has removed it
                continue
            match = Match(id, float(corrected(both, n, m, legible, other)), min(both / n / (legible * other), 1.0), exact=False)
            if (match.containment if contained else match.similarity) >= threshold:
                found.append(match)
        return found

    def judge(self, sets: Sets, threshold: float, threads: int) -> Readings:
        """As :class:`View` says."""
        return Readings(threshold, sets.arrays, sets.measured(lambda some: self.legibility.of_sets(some, threads)))


class Rare:
    """Shingles by their rarity (:mod:`neardup.rarity`).

    Parameters
    ----------
    weights
        What they weigh.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    @staticmethod
    def learn(first: First, threads: int = 1) -> tuple[float, Census]:  # noqa: ARG004  it is soon done
        """As :class:`View` says."""
        return 0.0, Census(*first)

    @classmethod
    def of(cls, clearest: float, census: Census) -> Rare:  # noqa: ARG003  rarity alone decides
        """As :class:`View` says."""
        return cls(rarity(census))

    def tell(self, store: Store, number: int) -> None:
        """The store dismisses nothing by it."""

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """As :class:`View` says."""
        return store.query(batch, sys.float_info.min if threshold is None else SHARE * threshold, threads)

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """As :class:`View` says."""
        found, own = [], self.weights.total(hashes)
        for id, _, _ in hits:
            try:
                other = store.evidence(id)
            except UnknownDocumentError:  # another thread has removed it
                continue
            shared = self.weights.shared(hashes, other)
            match = Match(id, shared / (own + self.weights.total(other) - shared), shared / own, exact=False)
            if (match.containment if contained else match.similarity) >= threshold:
                found.append(match)
        return found

    def judge(self, sets: Sets, threshold: float, threads: int) -> Weighed:
        """As :class:`View` says."""
        return Weighed(threshold, sets.arrays, self.weights, sets.measured(lambda some: self.weights.totals(some, threads)))
