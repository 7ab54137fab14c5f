"""A whole corpus at once: which documents to keep, which to remove, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neardup import _kernels, documents
from neardup.banding import Banding
from neardup.clusters import Decisions, choose_witnesses, rank_order
from neardup.errors import ParameterError, one_of
from neardup.index import id_column, resolve
from neardup.minhash import MinHash, number_of_threads
from neardup.shingling import Shingling, sorted_distinct
from neardup.stores import Id, StoreBatch
from neardup.verify import similarity

if TYPE_CHECKING:
    import pyarrow as pa

Keep = Literal["first", "longest", "last"]
#: Told what is being done, how much of it is done, and of how much if that is known.
Progress = Callable[[str, int, "int | None"], None]

#: Documents decided at a time.
SLICE = 4096
#: What a table is given that reads its buckets whole.
NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Removed:
    """A document that was removed.

    Attributes
    ----------
    id
        Its id.
    witness
        The id of the kept document that it duplicates.
    similarity
        Their Jaccard similarity, at or above the threshold.

    Examples
    --------
    >>> Removed("b", witness="a", similarity=0.9)
    Removed(id='b', witness='a', similarity=0.9)
    """

    id: Id
    witness: Id
    similarity: float


@dataclass(frozen=True, eq=False)
class Result:
    """What :func:`deduplicate` decided.

    Examples
    --------
    >>> result = deduplicate(["one two three four five six", "One, two, three, four, five, six!", "seven"])
    >>> result
    <Result: 3 documents, 2 kept, 1 removed at threshold 0.8>
    >>> result.kept, result.removed
    ([0, 2], [Removed(id=1, witness=0, similarity=1.0)])
    >>> result.clusters
    [[0, 1]]
    >>> result.pairs.to_pylist()
    [{'a': 0, 'b': 1, 'similarity': 1.0}]
    """

    threshold: float
    minhash: MinHash
    banding: Banding
    ids: list[Id] = field(repr=False)
    decisions: Decisions = field(repr=False)
    counters: dict[str, int] = field(repr=False)
    _documents: documents.Documents = field(repr=False)
    _edges: tuple[Any, Any, Any] = field(repr=False)

    def __repr__(self) -> str:
        removed = self.counters["removed"]
        return f"<Result: {len(self.ids):,} documents, {len(self.ids) - removed:,} kept, {removed:,} removed at threshold {self.threshold}>"

    @cached_property
    def kept(self) -> list[Id]:
        """The ids of the kept documents, in input order."""
        return [self.ids[i] for i in np.flatnonzero(self.decisions.kept)]

    @cached_property
    def removed(self) -> list[Removed]:
        """The removed documents in input order, each with its witness and their similarity."""
        witness, score = self.decisions.witness.tolist(), self.decisions.similarity.tolist()
        return [Removed(self.ids[i], self.ids[witness[i]], score[i]) for i in range(len(witness)) if witness[i] >= 0]

    @cached_property
    def clusters(self) -> list[list[Id]]:
        """The groups of two or more documents: the kept one first, then those that were removed for it."""
        return [[self.ids[i] for i in cluster] for cluster in self.decisions.clusters()]

    @cached_property
    def pairs(self) -> pa.Table:
        """Verified pairs: columns ``a`` and ``b`` (a before b in the input) and ``similarity``, sorted by place.

        The edges that decided, each removed document with every kept one that it matches; with ``pairs="all"`` every pair
        of distinct shingle sets, and each copy with the first of its set.
        """
        import pyarrow as pa

        a, b, scores = self._edges
        first, second = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((second, first))
        ids = id_column([self.ids[i] for column in (first, second) for i in column[order].tolist()])
        return pa.table({"a": ids[: len(order)], "b": ids[len(order) :], "similarity": pa.array(scores[order], pa.float64())})

    def summary(self) -> dict[str, Any]:
        """What was counted, and with which parameters.

        Examples
        --------
        >>> summary = deduplicate(["a b c d e f", "A B C D E F", ""]).summary()
        >>> summary["documents"], summary["kept"], summary["removed"], summary["copies"], summary["without_shingles"]
        (3, 2, 1, 1, 1)
        """
        shingling = self.minhash.shingling
        return {
            **self.counters,
            "threshold": self.threshold,
            "recall": float(self.banding.probability(self.threshold)),
            "bands": self.banding.bands,
            "rows": self.banding.rows,
            "num_perm": self.minhash.num_perm,
            "scheme": self.minhash.scheme,
            "tokens": shingling.tokens if isinstance(shingling.tokens, str) else getattr(shingling.tokens, "__qualname__", "callable"),
            "size": shingling.size,
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the kept documents, in input order with all their columns, in the format of the path's name.

        Raises
        ------
        ParameterError
            If the format is unknown, or the path is one of the inputs.
        """
        self._documents.write(path, self.decisions.kept)


def deduplicate(
    source: Any,
    threshold: float = 0.8,
    *,
    text: str | None = None,
    id: str | None = None,
    keep: Keep = "first",
    recall: float = 0.99,
    shingling: Shingling | None = None,
    minhash: MinHash | None = None,
    banding: Banding | None = None,
    pairs: Literal["decisions", "all"] = "decisions",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Find the near-duplicates in a corpus, and keep one document for each.

    Parameters
    ----------
    source
        A list or other iterable of texts, a pandas or polars Series or DataFrame, an Arrow column or table, a Hugging Face
        dataset, or the path of a text, JSONL, CSV, Parquet or Arrow file or of a folder of them. Ids are positions unless a
        column or file gives them.
    threshold
        Least Jaccard similarity of near-duplicates, above 0 and at most 1.
    text, id
        The names of the columns; guessed when obvious.
    keep
        Which document of those that match is kept: the ``"first"``, the ``"last"``, or the ``"longest"`` in characters.
    recall
        The probability that a pair exactly at the threshold is found; more similar pairs are found with more.
    shingling, minhash, banding
        What counts as the same words, how documents are signed, bands and rows: as in :class:`neardup.Index`.
    pairs
        What ``result.pairs`` lists: the pairs that decided, or ``"all"`` that are verified.
    threads
        How many; by default the processors this process may use.
    progress
        Called with what is being done, how much is done, and of how much.

    Returns
    -------
    Result

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
    The answer is the same for any number of threads. A document without a single word has no shingle: it is kept, and
    counted apart.

    Examples
    --------
    >>> texts = ["The committee meets on Monday at ten.", "the committee meets on Monday, at ten", "It rained."]
    >>> deduplicate(texts).kept
    [0, 2]
    """
    minhash, banding = resolve(shingling, minhash, banding, threshold, recall)
    for name, value, known in (("keep", keep, ("first", "longest", "last")), ("pairs", pairs, ("decisions", "all"))):
        if not one_of(value, *known):
            raise ParameterError(f"{name} is {value!r}; it is one of {', '.join(map(repr, known))}")
    workers = number_of_threads(threads)
    tell = progress or (lambda _stage, _done, _total: None)
    corpus = documents.read(source, text=text, id=id)
    signed = _sign(corpus, minhash, banding, workers, tell)
    order = rank_order(keep, signed.lengths)
    decisions, edges = _decide(signed.batch, order, banding, threshold, workers, tell)
    if pairs == "all":
        edges = _all_pairs(signed.batch, banding, threshold, workers, tell)
    counters = {
        "documents": len(signed.ids),
        "kept": int(decisions.kept.sum()),
        "removed": int((~decisions.kept).sum()),
        "copies": signed.copies(),
        "without_shingles": int((signed.counts == 0).sum()),
        "short": int(((signed.counts > 0) & (signed.counts <= minhash.shingling.size)).sum()),
        "clusters": len(sorted_distinct(decisions.witness[decisions.witness >= 0])),
    }
    return Result(float(threshold), minhash, banding, signed.ids, decisions, counters, corpus, edges)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A corpus ready to be decided."""

    ids: list[Id]
    lengths: Any
    counts: Any
    batch: StoreBatch

    def copies(self) -> int:
        """Documents whose shingle set an earlier one has."""
        named = self.batch.set_hashes[self.counts > 0]
        return len(named) - len(sorted_distinct(named))


def _sign(corpus: documents.Documents, minhash: MinHash, banding: Banding, threads: int, tell: Progress) -> _Signed:
    ids: list[Id] = []
    lengths: list[Any] = [np.empty(0, np.int64)]
    counts: list[Any] = [np.empty(0, np.uint64)]
    batches: list[StoreBatch] = []
    for batch in corpus.batches():
        signatures = minhash.sign_many(batch.texts, threads=threads, hashes=True)
        ids += batch.ids
        lengths.append(batch.lengths)
        counts.append(signatures.counts)
        batches.append(StoreBatch.of(signatures, banding, threads))
        tell("signing", len(ids), corpus.total)
    if not batches:
        batches.append(StoreBatch.of(minhash.sign_many([], hashes=True), banding))
    return _Signed(ids, np.concatenate(lengths), np.concatenate(counts), StoreBatch.concatenate(batches))


def _slices(n: int) -> Iterator[slice]:
    return (slice(start, min(start + SLICE, n)) for start in range(0, n, SLICE))


def _decide(
    batch: StoreBatch, order: Any, banding: Banding, threshold: float, threads: int, tell: Progress
) -> tuple[Decisions, tuple[Any, Any, Any]]:
    """Scan by rank, compare with kept documents only; then find every removed document's witness among all that are kept."""
    n = batch.documents
    table = _kernels.BucketTable(banding.bands, NO_LIMIT, 0)
    kept_at, removed_at = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part in _slices(n):
        places = order[part]
        entries, (offsets, *_) = table.add_unless_match(batch.take(places), threshold)
        kept_at.append(places[entries >= 0])
        removed_at.append(places[np.diff(offsets) > 0])
        tell("deciding", part.stop, n)
    kept = np.concatenate(kept_at)  # the place of each entry; entries are made in order of rank
    removed = np.concatenate(removed_at)
    witness, score = np.full(n, -1, np.int64), np.zeros(n)
    edges = []
    for part in _slices(len(removed)):
        places = removed[part]
        rows = batch.take(places)
        (offsets, found, both, sizes), _ = table.query(rows, threshold, threads)
        ends = offsets.astype(np.int64)
        own = np.repeat(np.diff(rows.offsets).astype(np.int64), np.diff(ends))
        scores = similarity(both.astype(np.int64), own, sizes.astype(np.int64))
        best = choose_witnesses(ends, found.astype(np.int64), scores)
        witness[places], score[places] = kept[found[best]], scores[best]
        edges.append((np.repeat(places, np.diff(ends)), kept[found], scores))
        tell("finding witnesses", part.stop, len(removed))
    return Decisions(witness, score), _joined(edges)


def _all_pairs(batch: StoreBatch, banding: Banding, threshold: float, threads: int, tell: Progress) -> tuple[Any, Any, Any]:
    """Every verified pair of distinct shingle sets, and each copy with the first of its set."""
    table = _kernels.BucketTable(banding.bands, NO_LIMIT, 0)
    entries = table.insert(batch, threads)
    shingled = np.flatnonzero(entries >= 0)
    _, first = np.unique(entries[shingled], return_index=True)
    place = shingled[first]  # of each entry's first document
    copies = np.setdiff1d(shingled, place)
    edges = [(place[entries[copies]], copies, np.ones(len(copies)))]
    fingerprints = table.fingerprints(0, len(table), threads)
    for part in _slices(len(table)):
        later, earlier, *sizes = table.pairs(part.start, fingerprints[part], threshold, threads)
        edges.append((place[earlier], place[later], similarity(*(column.astype(np.int64) for column in sizes))))
        tell("pairing", part.stop, len(table))
    return _joined(edges)


def _joined(edges: list[tuple[Any, Any, Any]]) -> tuple[Any, Any, Any]:
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    a, b, scores = zip(*(edges or [empty]), strict=True)
    return np.concatenate(a), np.concatenate(b), np.concatenate(scores)
