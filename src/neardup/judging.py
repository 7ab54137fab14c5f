"""How an index judges candidates whose similarity depends on what else is in it: misread texts, and shingles by their rarity."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np

from neardup.census import COUNTED, Census, ValueArray, Weights
from neardup.errors import UnknownDocumentError
from neardup.noise import ILLEGIBLE, LEAST, Legibility, corrected, least_jaccard
from neardup.profiles import Settings
from neardup.rarity import SHARE, rarity
from neardup.stores import Answer, Hit, PairBatch, Store, StoreBatch
from neardup.verify import Match

#: Documents below which every write may change what the corpus says; of more, an eighth of them must have been written.
SETTLED = 4096


class Judge(Protocol):
    """What says how similar documents of an index are."""

    deciding: Lock

    def wrote(self) -> None:
        """Learn that a document was written."""

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """What may match the documents of a batch at a threshold; None for whatever shares something."""

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """The hits of a document that match, by similarity or containment."""

    def score(self, store: Store, pair: PairBatch) -> float:
        """The similarity of the documents of a pair."""


def judge_of(settings: Settings) -> Judge:
    """What judges by the corpus, as settings say."""
    return Noisy() if settings.verify == "noisy" else Rare()


class Corpus:
    """What is known of the documents of an index: as they were when an eighth of them was last written."""

    def __init__(self) -> None:
        self.deciding = Lock()
        self._writes = 0
        self._taken: tuple[int, int, Any] | None = None

    def wrote(self) -> None:
        """Learn that a document was written."""
        self._writes += 1

    def known(self, store: Store) -> Any:
        """What is known, learnt anew if need be."""
        many, taken = len(store), self._taken
        if taken is None or max(abs(many - taken[0]), self._writes - taken[1]) > (many // 8 if many >= SETTLED else 0):
            writes = self._writes
            self._taken = taken = many, writes, self.learn(store)
        return taken[2]

    def learn(self, store: Store) -> Any:
        """What the first documents say."""
        raise NotImplementedError


class Noisy(Corpus):
    """Misread texts (:mod:`neardup.noise`)."""

    def learn(self, store: Store) -> Legibility:
        """How much of a document was read rightly."""
        legibility = Legibility.of(*store.first(COUNTED))
        if legibility.clearest:
            store.read_by(legibility.known.arrays, legibility.clearest, ILLEGIBLE)
        return legibility

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """As :class:`Judge` says."""
        legibility = self.known(store)
        if threshold is None:
            return store.query(batch, LEAST, threads)
        bounds = itertools.pairwise(batch.offsets.tolist())
        legible = np.array([legibility.of_one(batch.evidence[start:stop]) for start, stop in bounds], np.float64)
        least = least_jaccard(threshold, float(legible.min(initial=1.0)))
        return store.query(batch, least, threads, (legible, threshold))

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """As :class:`Judge` says."""
        legibility, n, found = self.known(store), len(hashes), []
        legible = legibility.of_one(hashes)
        for id, both, m in hits:
            if not contained and both / max(n, m) < 0.999 * threshold * legible * ILLEGIBLE:
                continue  # no match, whatever its legibility; the bound is not exact, what follows is
            try:
                other = legibility.of_one(store.evidence(id))
            except UnknownDocumentError:  # another thread has removed it
                continue
            match = Match(id, float(corrected(both, n, m, legible, other)), min(both / n / (legible * other), 1.0), exact=False)
            if (match.containment if contained else match.similarity) >= threshold:
                found.append(match)
        return found

    def score(self, store: Store, pair: PairBatch) -> float:
        """As :class:`Judge` says."""
        try:
            legible = [self.known(store).of_one(store.evidence(ids[0])) for ids in (pair.a, pair.b)]
        except UnknownDocumentError:  # another thread has removed it
            return 0.0
        return float(corrected(pair.agreement, pair.n, pair.m, *legible))


class Rare(Corpus):
    """Shingles by their rarity (:mod:`neardup.rarity`)."""

    def learn(self, store: Store) -> Weights:
        """What shingles weigh."""
        return rarity(Census(*store.first(COUNTED)))

    def query(self, store: Store, batch: StoreBatch, threshold: float | None, threads: int) -> list[Answer]:
        """As :class:`Judge` says."""
        return store.query(batch, sys.float_info.min if threshold is None else SHARE * threshold, threads)

    def matches(self, store: Store, hits: Sequence[Hit], hashes: ValueArray, threshold: float, *, contained: bool) -> list[Match]:
        """As :class:`Judge` says."""
        weights, found = self.known(store), []
        own = weights.total(hashes)
        for id, _, _ in hits:
            try:
                other = store.evidence(id)
            except UnknownDocumentError:  # another thread has removed it
                continue
            shared = weights.shared(hashes, other)
            match = Match(id, shared / (own + weights.total(other) - shared), shared / own, exact=False)
            if (match.containment if contained else match.similarity) >= threshold:
                found.append(match)
        return found

    def score(self, store: Store, pair: PairBatch) -> float:
        """As :class:`Judge` says."""
        try:
            a, b = (store.evidence(ids[0]) for ids in (pair.a, pair.b))
        except UnknownDocumentError:  # another thread has removed it
            return 0.0
        weights = self.known(store)
        shared = weights.shared(a, b)
        return float(shared / (weights.total(a) + weights.total(b) - shared))
