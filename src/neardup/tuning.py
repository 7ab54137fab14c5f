"""What a threshold would find in a corpus, and which bands find it at what price: learnt from a sample."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import documents
from neardup.banding import Banding
from neardup.errors import RecallWarning, check_fraction, check_integer
from neardup.ids import Id
from neardup.joins import Edges, Join, Sets, Signed
from neardup.minhash import MinHash, number_of_threads
from neardup.shingling import Shingling
from neardup.spool import memory_bytes
from neardup.stores import StoreBatch
from neardup.work import Work

#: The least similarity that is looked at, and the width of a level.
LEAST, WIDTH = 0.3, 0.05
#: The bandings that are tried.
SLOTS, RECALLS = (64, 128, 256), (0.9, 0.99, 0.999)
#: About what a slot and a comparison take, in seconds: a model, so that advice does not depend on how busy a machine is.
SLOT, COMPARISON = 5e-9, 1e-7
#: About the most pairs that are listed; of documents that are all alike fewer are sampled.
PAIRS = 20_000_000


class Example(NamedTuple):
    """Two documents, and how similar they are."""

    a: Id
    b: Id
    similarity: float
    text_a: str
    text_b: str


class Level(NamedTuple):
    """Pairs of a similarity from ``low`` on and below ``high``: in the sample, about how many in the corpus, and some of them."""

    low: float
    high: float
    pairs: int
    estimated: int
    examples: list[Example]


class Option(NamedTuple):
    """A way to cut signatures, and what it would come to.

    Attributes
    ----------
    num_perm, banding
        Slots, bands and rows.
    recall
        The probability that a pair exactly at the threshold is found.
    expected
        The share of the sample's pairs at the threshold or above that is found, on average; None when there are none.
    candidates
        About how many other documents of the corpus each is compared with.
    seconds, memory
        About what the corpus takes; bytes.
    """

    num_perm: int
    banding: Banding
    recall: float
    expected: float | None
    candidates: float
    seconds: float
    memory: int


@dataclass(frozen=True)
class Tuning:
    """What :func:`neardup.tune` learnt.

    Attributes
    ----------
    threshold
        For which bandings are compared.
    documents, sampled
        How many there are, and how many were looked at.
    copies
        Of those looked at, how many have the shingles of one before them.
    levels
        How many pairs there are by similarity, from 0.3 to 1; pairs of copies apart.
    options
        Bandings, from the fewest slots on.
    recommended
        The cheapest that reaches the recall asked for; None when none does.

    Examples
    --------
    >>> Tuning(0.8, documents=3, sampled=3, copies=0, levels=[], options=[], recommended=None)
    <Tuning: 3 of 3 documents, 0 pairs from 0.8 on, 0 copies>
    """

    threshold: float
    documents: int
    sampled: int
    copies: int
    levels: list[Level]
    options: list[Option]
    recommended: Option | None

    def __repr__(self) -> str:
        above = sum(level.pairs for level in self.levels if level.low >= self.threshold - 1e-9)
        return (
            f"<Tuning: {self.sampled:,} of {self.documents:,} documents, {above:,} pairs from {self.threshold} on, {self.copies:,} copies>"
        )


class _Sample:
    """Documents chosen evenly as they come: those to which a generator gives the lowest numbers."""

    def __init__(self, most: int, seed: int) -> None:
        self.most, self.n = most, 0
        self._random = np.random.default_rng(seed)
        self._chosen: list[tuple[float, int, Id, str]] = []
        self._bar = 1.0

    def add(self, batch: documents.Batch) -> None:
        """Take some of a batch."""
        keys = self._random.random(len(batch.ids))
        for i in np.flatnonzero(keys < self._bar).tolist():
            (text,) = documents.strings(batch.texts[i : i + 1])
            self._chosen.append((float(keys[i]), self.n + i, batch.ids[i], text))
        self.n += len(batch.ids)
        if len(self._chosen) > self.most:
            self._chosen = sorted(self._chosen)[: self.most]
            self._bar = self._chosen[-1][0]

    def first(self, most: int) -> tuple[list[Id], list[str]]:
        """At most so many of them, in order of place: ids and texts."""
        chosen = sorted(sorted(self._chosen)[:most], key=lambda one: one[1])
        return [id for _, _, id, _ in chosen], [text for _, _, _, text in chosen]


def tune(
    source: Any,
    threshold: float = 0.8,
    *,
    text: str | None = None,
    id: str | None = None,
    recall: float = 0.99,
    shingling: Shingling | None = None,
    sample: int = 20_000,
    seed: int = 0,
    threads: int | None = None,
    progress: Any = None,
) -> Tuning:
    """Learn from a sample what near-duplicates a corpus has, and by which bands they are best found.

    Parameters
    ----------
    source, text, id, shingling, threads, progress
        As in :func:`neardup.deduplicate`.
    threshold
        For which bandings are compared, above 0 and at most 1.
    recall
        What the recommended one reaches at the threshold.
    sample
        The most documents that are looked at, spread evenly over the corpus, 2 to 1,000,000. Of a sample of one in k a pair is
        seen with a chance of one in k squared: the estimates are of pairs at large, and rare kinds may be missed.
    seed
        Another sample.

    Returns
    -------
    Tuning

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    InputError
        If the source cannot be read.

    Notes
    -----
    All pairs of the sample are found, by a prefix-filter join (Xiao et al., "Efficient Similarity Joins for Near Duplicate
    Detection", WWW 2008). All but the seconds is the same in every run.

    Examples
    --------
    >>> texts = ["The committee meets on Monday at ten sharp.", "The committee meets on Monday at ten.", "It rained all day."]
    >>> tuning = tune(texts, 0.7)
    >>> tuning
    <Tuning: 3 of 3 documents, 1 pairs from 0.7 on, 0 copies>
    >>> [(round(level.low, 2), level.examples[0].a, level.examples[0].b) for level in tuning.levels if level.pairs]
    [(0.75, 0, 1)]
    """
    check_fraction("threshold", threshold, one=True)
    check_fraction("recall", recall, one=False)
    check_integer("sample", sample, 2, 1_000_000)
    check_integer("seed", seed, 0, 2**63)
    workers, tell = number_of_threads(threads), progress or (lambda _stage, _done, _total: None)
    corpus, chosen = documents.read(source, text=text, id=id), _Sample(sample, seed)
    for batch in corpus.batches():
        chosen.add(batch)
        tell("sampling", chosen.n, corpus.total)
    ids, texts = chosen.first(sample)
    shingling = shingling or Shingling()
    sets, edges = _pairs(texts[:: max(1, len(texts) // 2000)], shingling, workers)
    while texts and len(edges.later) * (len(texts) / max(1, len(sets.number))) ** 2 > PAIRS:
        ids, texts = chosen.first(len(texts) // 2)
    tell("pairing", 0, None)
    sets, edges = _pairs(texts, shingling, workers)
    scale = chosen.n / max(1, len(texts))
    tried = [_option(slots, target, threshold, texts, edges, sets, shingling, scale, workers) for slots in SLOTS for target in RECALLS]
    options = list({(option.num_perm, option.banding): option for option in reversed(tried) if option is not None}.values())[::-1]
    reaching = [option for option in options if option.recall >= recall]
    return Tuning(
        float(threshold),
        chosen.n,
        len(texts),
        int((sets.number >= 0).sum()) - len(sets),
        _levels(edges, sets, ids, texts, scale),
        options,
        min(reaching, key=lambda option: (SLOT * option.num_perm + COMPARISON * option.candidates, option.num_perm), default=None),
    )


def _signed(texts: list[str], minhash: MinHash, banding: Banding, threads: int) -> tuple[Sets, float]:
    start = perf_counter()
    signatures = minhash.sign_many(texts, threads=threads, hashes=True)
    seconds = perf_counter() - start
    signed = Signed(banding.bands, Work(memory_bytes(None)))
    signed.append(StoreBatch.of(signatures, banding, threads))
    signed.close()
    return Sets.of(signed, np.arange(len(texts), dtype=np.int64), threads), seconds


def _pairs(texts: list[str], shingling: Shingling, threads: int) -> tuple[Sets, Edges]:
    """All pairs of different shingle sets from the least similarity on."""
    sets, _ = _signed(texts, MinHash(num_perm=2, shingling=shingling), Banding(1, 1), threads)
    every = np.ones(len(sets), bool)
    return sets, Join(sets, LEAST, threads, exact=True).edges(every, every, lambda *_: None)


def _levels(edges: Edges, sets: Sets, ids: list[Id], texts: list[str], scale: float) -> list[Level]:
    steps = round((1 - LEAST) / WIDTH)
    which = np.minimum(steps - 1, np.floor((edges.similarity - LEAST) / WIDTH + 1e-9).astype(np.int64))
    levels = []
    for step in range(steps):
        own = np.flatnonzero(which == step)
        shown = own[[0, len(own) // 2]] if len(own) > 1 else own
        places = [(int(sets.place[edges.earlier[i]]), int(sets.place[edges.later[i]]), float(edges.similarity[i])) for i in shown]
        examples = [Example(ids[a], ids[b], score, texts[a][:200], texts[b][:200]) for a, b, score in places]
        low = LEAST + step * WIDTH
        levels.append(Level(round(low, 6), round(low + WIDTH, 6), len(own), round(len(own) * scale**2), examples))
    return levels


def _option(
    slots: int,
    target: float,
    threshold: float,
    texts: list[str],
    edges: Edges,
    sets: Sets,
    shingling: Shingling,
    scale: float,
    threads: int,
) -> Option | None:
    """A banding that reaches a recall with so many slots, if one does."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecallWarning)
        try:
            banding = Banding.for_threshold(threshold, target, slots)
        except RecallWarning:
            return None
    banded, seconds = _signed(texts, MinHash(num_perm=slots, shingling=shingling), banding, threads)
    compared = Join(banded, threshold, threads).comparisons(np.ones(len(banded), bool))
    n = max(1, len(texts))
    scores: npt.NDArray[np.float64] = edges.similarity[edges.similarity >= threshold]
    shingles = int(sets.sizes.sum())
    return Option(
        slots,
        banding,
        float(banding.probability(threshold)),
        float(np.mean([banding.probability(score) for score in scores.tolist()])) if len(scores) else None,
        2 * compared / n * scale,
        seconds * scale + compared * scale**2 * COMPARISON / threads,
        round((4 * banding.bands * n + 4 * shingles + 12 * n) * scale),
    )
