"""Which threshold, and which banding: what a sample of a corpus says about both, before a long job.

All pairs of the sample from a similarity of 0.3 on are found, exactly; each banding is tried on the same sample.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels, documents
from neardup.banding import Banding
from neardup.errors import check_fraction, check_integer
from neardup.ids import Id
from neardup.joins import LEFT, RIGHT, Edges, Join, Sets, Signed
from neardup.minhash import MinHash, Signatures
from neardup.shingling import Shingling
from neardup.spool import memory_bytes
from neardup.stores import StoreBatch
from neardup.threads import number_of_threads
from neardup.work import Progress, Work

#: Where the levels begin; the last ends below 1. The quotients are the floats that similarities like 7 / 20 are.
LEVELS = [twentieth / 20 for twentieth in range(6, 20)]
#: The bandings that are tried: of signatures of so many slots, those that reach so much recall at the threshold.
NUM_PERMS, TARGETS = (64, 128, 256), (0.9, 0.99, 0.999)
#: The most pairs of a sample, about, and the documents from which that is foreseen.
PAIRS, PROBE = 4_000_000, 2_000
#: The most meetings in buckets from which candidates are counted, about; of more those of every so manyth set.
COUNTED = 1 << 22
#: The most pairs of which it is measured what comparing them takes; the others take as long.
MEASURED = 1 << 15
#: A similarity that is below all of sets that share a shingle: no candidate is left out by its size.
ANY = 1e-9
#: What the recommendation reckons with, rounded nanoseconds of one processor: for a slot of a signature, a band key and its
#: place in a bucket, a comparison, and each shingle in one. Fixed, so that one corpus always gets one advice.
SLOT_NS, BAND_NS, COMPARISON_NS, SHINGLE_NS = 4, 35, 100, 2
#: Characters of an excerpt, and of a text in which the first difference is sought.
EXCERPT, READ = 80, 10_000


class Example(NamedTuple):
    """A pair of documents: their ids, their similarity, and the tokens of each from about where they begin to differ.

    Examples
    --------
    >>> tune(["a b c d e f g h", "a b c d e f g i"]).levels[6].examples
    (Example(a=0, b=1, similarity=0.6, text_a='c d e f g h', text_b='c d e f g i'),)
    """

    a: Id
    b: Id
    similarity: float
    text_a: str
    text_b: str


class Level(NamedTuple):
    """The pairs of distinct shingle sets at one level of similarity; at the level from 1 to 1 the copies.

    Attributes
    ----------
    low, high
        Similarities from ``low`` on and below ``high``.
    pairs
        How many pairs there are in the sample. Each copy counts once, with the first document of its shingle set.
    estimate
        How many there are about in the whole corpus: pairs grow with the square of the documents. Where texts have many
        copies that is too high. None for the copies of a sampled corpus, about which a sample says too little.
    examples
        At most two of them.

    Examples
    --------
    >>> level = tune(["a b c d e f g h", "a b c d e f g i"]).levels[6]
    >>> level.low, level.high, level.pairs, level.estimate
    (0.6, 0.65, 1, 1)
    """

    low: float
    high: float
    pairs: int
    estimate: int | None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """A banding that was tried on the sample, and what it would take for the whole corpus.

    Attributes
    ----------
    banding, minhash
        As :func:`neardup.deduplicate` and :class:`neardup.Index` take them.
    target
        The recall for which ``Banding.for_threshold`` gives this banding.
    recall
        The probability that a pair exactly at the threshold is found.
    expected_recall
        The share of the sample's pairs at or above the threshold that is expected to be found, copies apart, which are always
        found; of a threshold below 0.3 only the pairs from there on are known. None where there is no pair.
    sample_candidates
        The other shingle sets that share a bucket with a set of the sample, on average.
    candidates
        The same in the whole corpus: they grow with the documents.
    bytes_per_document
        Memory that a whole job takes for each document, beside its id: 4 bytes a band and a shingle, and 12.
    cost
        Nanoseconds of one processor for each document, by fixed prices for what differs between bandings: slots, bands and
        candidates. The cheapest is recommended.
    seconds
        About how long the whole corpus takes when it is read, as measured on the sample: signing and sorting grow with the
        documents, comparisons with their square. A job takes less where buckets are crowded, which it joins by rare shingles.
        Being measured it differs from run to run, so ``==`` leaves it out.

    Examples
    --------
    >>> trial = tune(["a b c d e f g h", "a b c d e f g i"]).trials[0]
    >>> trial.banding, trial.minhash.num_perm, round(trial.recall, 3), trial.bytes_per_document
    (Banding(bands=10, rows=6), 64, 0.952, 68)
    """

    banding: Banding
    minhash: MinHash
    target: float
    recall: float
    expected_recall: float | None
    sample_candidates: float
    candidates: float
    bytes_per_document: int
    cost: float
    seconds: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What :func:`tune` found.

    Attributes
    ----------
    documents
        How many documents the corpus has.
    sample
        How many of them were looked at.
    without_shingles
        How many of those have no shingle, and match nothing.
    threshold, recall
        What was asked for.
    levels
        The pairs of the sample by similarity, the least similar first, the copies last.
    trials
        The bandings, by number of slots and recall.
    recommended
        The cheapest of them that reaches the recall at the threshold, of equally cheap ones that of the least memory; None when
        none reaches it.

    Examples
    --------
    >>> tuning = tune(["a b c d e f g h", "a b c d e f g i", "a b c d e f g i"], threshold=0.6)
    >>> tuning
    <Tuning: 3 documents, 3 sampled, 1 pair and 1 copy from 0.6 on; recommended Banding(bands=21, rows=3) of 64 slots>
    >>> [(level.low, level.pairs) for level in tuning.levels if level.pairs]
    [(0.6, 1), (1.0, 1)]
    """

    documents: int
    sample: int
    without_shingles: int
    threshold: float
    recall: float
    levels: tuple[Level, ...] = field(repr=False)
    trials: tuple[Trial, ...] = field(repr=False)
    recommended: Trial | None
    _matches: int = field(repr=False)

    def __repr__(self) -> str:
        best, copies = self.recommended, self.levels[-1].pairs
        pairs = f"{self._matches:,} pair{'' if self._matches == 1 else 's'} and {copies:,} cop{'y' if copies == 1 else 'ies'}"
        advice = "none" if best is None else f"{best.banding} of {best.minhash.num_perm} slots"
        return f"<Tuning: {self.documents:,} documents, {self.sample:,} sampled, {pairs} from {self.threshold} on; recommended {advice}>"


def tune(
    source: Any,
    threshold: float = 0.8,
    *,
    text: str | None = None,
    id: str | None = None,
    recall: float = 0.99,
    shingling: Shingling | None = None,
    sample: int = 20_000,
    threads: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> Tuning:
    """Show how similar the documents of a corpus are, and what several bandings would find and cost; recommend one.

    Parameters
    ----------
    source
        The corpus, as :func:`neardup.deduplicate` takes it. It is read once.
    threshold
        Least Jaccard similarity of near-duplicates for which bandings are tried, above 0 and at most 1.
    text, id
        The names of the columns; guessed when obvious.
    recall
        The probability, at least, that a pair exactly at the threshold is found by the banding that is recommended.
    shingling
        What counts as the same words; word 5-shingles by default.
    sample
        The most documents that are looked at, drawn evenly from the whole corpus; their texts are held in memory. Where so
        many resemble each other that millions of pairs would be listed, fewer are.
    threads
        How many; by default the processors this process may use.
    progress
        Called with what is being done, how much is done, and of how much.
    seed
        Another seed draws another sample.

    Returns
    -------
    Tuning

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    InputError
        If the source cannot be read.
    TypeError
        If a text is not a string.

    Notes
    -----
    All but the seconds is the same for any number of threads and any run. Bandings that cannot reach their recall are left out.

    Examples
    --------
    >>> stories = [f"the {i} committee will meet on monday at ten in the town hall to vote on plan {i % 3}" for i in range(9)]
    >>> best = tune(stories, threshold=0.6).recommended
    >>> best.banding, best.minhash.num_perm, best.expected_recall > 0.99
    (Banding(bands=21, rows=3), 64, True)
    >>> from neardup import deduplicate
    >>> len(deduplicate(stories, 0.6, minhash=best.minhash, banding=best.banding).kept)
    1
    """
    check_fraction("threshold", threshold, one=True)
    check_fraction("recall", recall, one=False, remedy="; no number of bands is certain, 0.999 is possible")
    check_integer("sample", sample, 1, 2**31 - 1)
    check_integer("seed", seed, 0, 2**64 - 1)
    workers, tell = number_of_threads(threads), progress or (lambda _stage, _done, _total: None)
    schemes = [MinHash(num_perm, shingling=shingling or Shingling()) for num_perm in NUM_PERMS]
    drawn, total = _drawn(documents.read(source, text=text, id=id), sample, seed, tell)
    tell("comparing", 0, None)
    drawn = sorted(drawn[: _bearable([text for *_, text in drawn], schemes[0], workers)])
    texts = [text for *_, text in drawn]
    times = total / max(1, len(drawn))
    pairs, sets = _all_pairs(schemes[0].sign_many(texts, threads=workers, hashes=True), workers)
    matching = pairs.similarity[pairs.similarity >= threshold]
    shingles = float(sets.signed.sizes.mean()) if drawn else 0.0
    trials: list[Trial] = []
    for minhash in schemes:
        start = perf_counter()
        signatures = minhash.sign_many(texts, threads=workers, hashes=True)
        signing = perf_counter() - start
        for target, banding in _bandings(threshold, recall, minhash.num_perm):
            tell("trying bandings", len(trials), None)
            start = perf_counter()
            join = Join(_sets(signatures, banding, workers), threshold, workers)
            sorting = perf_counter() - start
            met, comparing = _candidates(join)
            trials.append(
                Trial(
                    banding,
                    minhash,
                    target,
                    banding.probability(float(threshold)),
                    float(banding.probability(matching).mean()) if len(matching) else None,
                    met,
                    met * times,
                    math.ceil(4 * banding.bands + 4 * shingles + 12),
                    minhash.num_perm * SLOT_NS
                    + banding.bands * BAND_NS
                    + met * times / 2 * (COMPARISON_NS + SHINGLE_NS * shingles),  # each pair is compared once
                    (signing + sorting) * times + comparing * times**2,
                )
            )
    enough = [trial for trial in trials if trial.recall >= recall]
    return Tuning(
        total,
        len(drawn),
        int((sets.number < 0).sum()),
        float(threshold),
        float(recall),
        tuple(_levels(pairs, sets, drawn, total, schemes[0].shingling)),
        tuple(trials),
        min(enough, key=lambda trial: (trial.cost, trial.bytes_per_document), default=None),
        len(matching),
    )


def _drawn(corpus: documents.Documents, size: int, seed: int, tell: Progress) -> tuple[list[tuple[int, Id, str]], int]:
    """Documents drawn evenly, in random order: place, id and text; and how many there are in all.

    Document i draws the i-th number of a fixed generator, and the lowest are taken: whatever the batches, the same.
    """
    numbers = np.random.PCG64(seed)
    highest_first: list[tuple[int, int, Id, str]] = []
    n = 0
    for batch in corpus.batches():
        keys = (numbers.random_raw(len(batch.ids)) >> np.uint64(1)).astype(np.int64)
        bound = -highest_first[0][0] if len(highest_first) == size else 2**63 - 1
        for i in np.flatnonzero(keys <= bound).tolist():  # of a long corpus most texts are not looked at
            document = -int(keys[i]), -(n + i), batch.ids[i], documents.strings(batch.texts[i : i + 1])[0]
            if len(highest_first) < size:
                heapq.heappush(highest_first, document)
            else:
                heapq.heappushpop(highest_first, document)
        n += len(batch.ids)
        tell("reading", n, corpus.total)
    return [(-place, id, text) for _, place, id, text in sorted(highest_first, reverse=True)], n


def _bearable(texts: Sequence[str], minhash: MinHash, threads: int) -> int:
    """How many of some documents in random order have no more pairs than can be listed, as the first of them let expect."""
    if len(texts) <= PROBE:
        return len(texts)
    pairs, _ = _all_pairs(minhash.sign_many(texts[:PROBE], threads=threads, hashes=True), threads)
    return min(len(texts), max(PROBE, math.isqrt(PAIRS * PROBE**2 // max(1, len(pairs.earlier)))))


def _sets(signatures: Signatures, banding: Banding, threads: int) -> Sets:
    """The shingle sets of signed documents, numbered in their order."""
    signed = Signed(banding.bands, Work(memory_bytes(None)))
    signed.append(StoreBatch.of(signatures, banding, threads))
    signed.close()
    return Sets.of(signed, np.arange(len(signatures)), threads)


def _all_pairs(signatures: Signatures, threads: int) -> tuple[Edges, Sets]:
    """All pairs of distinct shingle sets from the lowest level on, in order, and the sets."""
    sets = _sets(signatures, Banding(1, 1), threads)
    every = np.ones(len(sets), bool)
    return Join(sets, LEVELS[0], threads, exact=True).edges(every, every, lambda *_: None), sets


def _bandings(threshold: float, recall: float, num_perm: int) -> Iterator[tuple[float, Banding]]:
    """The bandings that are tried, each once, with the highest recall that it is for."""
    most = Banding(num_perm, 1).probability(threshold)  # no other banding of these slots finds more
    reached = {Banding.for_threshold(threshold, target, num_perm): target for target in sorted({*TARGETS, recall}) if target <= most}
    for banding, target in reached.items():
        yield target, banding


def _candidates(join: Join) -> tuple[float, float]:
    """How many others a set shares a bucket with, on average, and the seconds that finding and comparing them all takes.

    Where that is very much, as far as some of the sets let expect.
    """
    sets = join.sets
    if not len(sets):
        return 0.0, 0.0
    step = 1 + join.comparisons(np.ones(len(sets), bool)) // COUNTED
    roles = np.full(len(sets), RIGHT, np.uint8)
    roles[::step] |= LEFT

    def found(stop: int) -> tuple[npt.NDArray[np.uint64], float]:
        start = perf_counter()
        pairs = _kernels.candidates(join.bands, roles, sets.sizes, ANY, (0, stop), (2**63, 2**63), join.threads)
        return pairs, perf_counter() - start

    _, scanning = found(0)  # which grows with the documents alone
    pairs, seconds = found(len(sets))
    some = pairs[:: 1 + len(pairs) // MEASURED].copy()
    start = perf_counter()
    _kernels.compare(some, sets.arrays, join.threshold, join.threads)
    comparing = (perf_counter() - start) * len(pairs) / max(1, len(some))
    seconds = max(0.0, seconds - scanning) + comparing
    counted = roles & LEFT != 0
    met = int(counted[pairs >> np.uint64(32)].sum() + counted[pairs & np.uint64(2**32 - 1)].sum()) / int(counted.sum())
    return met, seconds * met * len(sets) / 2 / max(1, len(pairs))


def _levels(pairs: Edges, sets: Sets, drawn: Sequence[tuple[int, Id, str]], total: int, shingling: Shingling) -> Iterator[Level]:
    """The pairs by similarity, then the copies."""
    n = len(drawn)
    level = np.searchsorted(LEVELS, pairs.similarity, "right") - 1
    for i, (low, high) in enumerate(zip(LEVELS, [*LEVELS[1:], 1.0], strict=True)):
        here = np.flatnonzero(level == i)
        shown = [
            _example(drawn[sets.place[pairs.earlier[at]]], drawn[sets.place[pairs.later[at]]], float(pairs.similarity[at]), shingling)
            for at in dict.fromkeys((*here[:1].tolist(), *here[-1:].tolist()))
        ]
        yield Level(low, high, len(here), round(len(here) * total**2 / n**2) if n else 0, tuple(shown))
    shingled = np.flatnonzero(sets.number >= 0)
    first = sets.place[sets.number[shingled]]
    copies = np.flatnonzero(first != shingled)
    ends = dict.fromkeys((*copies[:1].tolist(), *copies[-1:].tolist()))
    shown = [_example(drawn[first[at]], drawn[shingled[at]], 1.0, shingling) for at in ends]
    yield Level(1.0, 1.0, len(copies), len(copies) if n == total else None, tuple(shown))


def _example(a: tuple[int, Id, str], b: tuple[int, Id, str], similarity: float, shingling: Shingling) -> Example:
    """Two documents, in short: the tokens of a shingle before the first difference, and what follows."""
    left, right = (shingling.tokenize(text[:READ]) for *_, text in (a, b))
    same = next((i for i, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), min(len(left), len(right)))
    start = max(0, same - shingling.size) if left != right else 0
    joint = "" if shingling.chars else " "
    excerpts = [joint.join(map(str, tokens[start : start + EXCERPT]))[:EXCERPT] for tokens in (left, right)]
    return Example(a[1], b[1], similarity, *excerpts)
