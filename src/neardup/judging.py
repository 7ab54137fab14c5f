"""How an index judges candidates whose similarity depends on what else is in it: misread texts, and shingles by their rarity."""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np
import xxhash

from neardup.census import COUNTED, Census, ValueArray, Weights
from neardup.errors import UnknownDocumentError
from neardup.noise import ILLEGIBLE, LEAST, Legibility, corrected, least_jaccard
from neardup.profiles import Settings
from neardup.rarity import SHARE, rarity
from neardup.stores import Answer, Hit, PairBatch, Store, StoreBatch
from neardup.stores.forked import watch
from neardup.verify import Match

#: What stored knowledge begins with.
HEAD = struct.Struct("<Qd")


class Learnt(NamedTuple):
    """What was learnt of the documents of an index. It is stored with them: whoever opens the index judges by the same.

    Attributes
    ----------
    documents
        How many there were.
    clearest
        As of :class:`~neardup.noise.Legibility`; 0 where rarity decides.
    census
        How many of the first of them have a shingle.
    """

    documents: int
    clearest: float
    census: Census

    def packed(self) -> bytes:
        """It as bytes, little-endian: ``documents``, 8, ``clearest``, 8, the packed census, and a checksum, 8."""
        data = HEAD.pack(self.documents, self.clearest) + self.census.packed()
        return data + xxhash.xxh3_64_digest(data)

    @classmethod
    def unpacked(cls, data: bytes | None) -> Learnt | None:
        """What was packed; None where it is not what was written, since it can be learnt again."""
        if data is None or len(data) < HEAD.size + 8 or xxhash.xxh3_64_digest(data[:-8]) != data[-8:]:
            return None
        documents, clearest = HEAD.unpack_from(data)
        try:
            census = Census.unpacked(data[HEAD.size : -8])
        except ValueError:
            return None
        return cls(documents, clearest, census) if 0 <= clearest <= 1 else None


class View(Protocol):
    """What a judge knows at a moment: a look-up is judged by one of these from beginning to end."""

    @staticmethod
    def learn(store: Store) -> Learnt:
        """What the first documents of a store say."""

    @classmethod
    def of(cls, learnt: Learnt, store: Store, number: int) -> View:
        """What judges a store by what was learnt of it; another number each time."""

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """What may match the documents of a batch at a threshold; None for whatever shares something."""

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """The hits of a document that match, by similarity or containment."""

    def score(self, store: Store, pair: PairBatch) -> float:
        """The similarity of the documents of a pair."""


class Judge:
    """What says how similar documents of an index are, by what is known of all of them.

    It is learnt again when an eighth of the documents was written since, and stored with them.

    Parameters
    ----------
    kind
        How it judges.

    Attributes
    ----------
    deciding
        Held while a document is looked up to be added.
    """

    def __init__(self, kind: type[View]) -> None:
        self.deciding = Lock()
        self._kind = kind
        self._lock = Lock()
        self._writes = self._views = 0
        self._taken: tuple[int, int, View] | None = None
        self._stored: bytes | None = None
        watch(self)

    def forked(self) -> None:
        """See :mod:`neardup.stores.forked`."""
        self.deciding, self._lock = Lock(), Lock()

    def wrote(self) -> None:
        """Learn that a document was written."""
        with self._lock:
            self._writes += 1

    def refresh(self) -> None:
        """Judge by what is stored by now."""
        with self._lock:
            self._taken = self._stored = None

    def view(self, store: Store) -> View:
        """What is known: what is stored with the documents, as long as they are the same but for an eighth; else learnt anew."""
        with self._lock:
            many = len(store)
            if self._taken is None or max(abs(many - self._taken[0]), self._writes - self._taken[1]) > many // 8:
                stored = store.learnt()
                learnt = Learnt.unpacked(stored)
                if learnt is None or stored == self._stored or abs(many - learnt.documents) > many // 8:
                    learnt = self._kind.learn(store)
                    stored = store.keep_learnt(learnt.packed(), stored)
                    learnt = Learnt.unpacked(stored) or learnt  # another process may have been quicker
                self._views += 1
                self._stored, self._taken = stored, (learnt.documents, self._writes, self._kind.of(learnt, store, self._views))
            return self._taken[2]


def judge_of(settings: Settings) -> Judge:
    """What judges by the corpus, as settings say."""
    return Judge(Noisy if settings.verify == "noisy" else Rare)


class Noisy:
    """Misread texts (:mod:`neardup.noise`).

    Parameters
    ----------
    legibility
        How much of a document was read rightly.
    number
        By which the store knows it.
    """

    def __init__(self, legibility: Legibility, number: int) -> None:
        self.legibility = legibility
        self.number = number

    @staticmethod
    def learn(store: Store) -> Learnt:
        """As :class:`View` says."""
        documents, first = len(store), store.first(COUNTED)
        census = Census(*first)
        return Learnt(documents, Legibility.of(census, *first).clearest, census)

    @classmethod
    def of(cls, learnt: Learnt, store: Store, number: int) -> Noisy:
        """As :class:`View` says."""
        legibility = Legibility.by(learnt.census, learnt.clearest)
        if legibility.clearest:
            store.read_by(legibility.known.arrays, legibility.clearest, ILLEGIBLE, number)
        return cls(legibility, number)

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

    def score(self, store: Store, pair: PairBatch) -> float:
        """As :class:`View` says."""
        try:
            legible = [self.legibility.of_one(store.evidence(ids[0])) for ids in (pair.a, pair.b)]
        except UnknownDocumentError:  # another thread has removed it
            return 0.0
        return float(corrected(pair.agreement, pair.n, pair.m, *legible))


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
    def learn(store: Store) -> Learnt:
        """As :class:`View` says."""
        return Learnt(len(store), 0.0, Census(*store.first(COUNTED)))

    @classmethod
    def of(cls, learnt: Learnt, store: Store, number: int) -> Rare:  # noqa: ARG003  the store need not know
        """As :class:`View` says."""
        return cls(rarity(learnt.census))

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

    def score(self, store: Store, pair: PairBatch) -> float:
        """As :class:`View` says."""
        try:
            a, b = (store.evidence(ids[0]) for ids in (pair.a, pair.b))
        except UnknownDocumentError:  # another thread has removed it
            return 0.0
        shared = self.weights.shared(a, b)
        return float(shared / (self.weights.total(a) + self.weights.total(b) - shared))
