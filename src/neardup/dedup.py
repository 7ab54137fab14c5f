"""A whole corpus at once: which documents to keep, which to remove, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neardup import documents
from neardup.banding import Banding
from neardup.clusters import Decisions, choose_witnesses, component_witnesses, first_kept
from neardup.errors import ParameterError, check_fraction, check_integer, one_of
from neardup.index import HeavyBucket, id_column, resolve
from neardup.joins import Edges, Heavy, Join, Sets, Signed
from neardup.minhash import MinHash, number_of_threads
from neardup.ranking import Keep, Ranking
from neardup.shingling import Shingling, sorted_distinct
from neardup.spool import memory_bytes
from neardup.stores import Id, StoreBatch

if TYPE_CHECKING:
    import pyarrow as pa

#: Told what is being done, how much of it is done, and of how much if that is known.
Progress = Callable[[str, int, "int | None"], None]

#: Comparisons a set, on average, beyond which sets that no other precedes are decided before the rest.
CROWDED = 64
#: The most pairs that ``pairs="all"`` lists unless told otherwise.
MAX_PAIRS = 10_000_000


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
    ids: Sequence[Id] = field(repr=False)
    decisions: Decisions = field(repr=False)
    counters: dict[str, int] = field(repr=False)
    _documents: documents.Documents = field(repr=False)
    _join: Join = field(repr=False)
    _edges: Edges = field(repr=False)
    _heavy: list[Heavy] = field(repr=False)
    _exact: bool = field(repr=False)
    _every: bool = field(repr=False)
    _components: bool = field(repr=False)

    def __repr__(self) -> str:
        removed = self.counters["removed"]
        return f"<Result: {len(self.ids):,} documents, {len(self.ids) - removed:,} kept, {removed:,} removed at threshold {self.threshold}>"

    @cached_property
    def kept(self) -> list[Id]:
        """The ids of the kept documents, in input order."""
        return [self.ids[i] for i in np.flatnonzero(self.decisions.kept).tolist()]

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

        a, b, scores = self._every_pair() if self._every or self._components else self._deciding_pairs()
        first, second = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((second, first))
        ids = id_column([self.ids[i] for column in (first, second) for i in column[order].tolist()])
        return pa.table({"a": ids[: len(order)], "b": ids[len(order) :], "similarity": pa.array(scores[order], pa.float64())})

    def _every_pair(self) -> tuple[Any, Any, Any]:
        number, edges = self._join.sets.number, self._edges
        shingled = np.flatnonzero(number >= 0)
        _, first = np.unique(number[shingled], return_index=True)
        place = shingled[first]  # of each set's first document in the input
        copies = np.setdiff1d(shingled, place)
        a = np.concatenate((place[edges.earlier], place[number[copies]]))
        return a, np.concatenate((place[edges.later], copies)), np.concatenate((edges.similarity, np.ones(len(copies))))

    def _deciding_pairs(self) -> tuple[Any, Any, Any]:
        number, place, edges = self._join.sets.number, self._join.sets.place, self._edges
        kept = self.decisions.kept[place]
        edges = edges.where(kept[edges.earlier] != kept[edges.later])
        keeper = np.where(kept[edges.earlier], edges.earlier, edges.later)
        removed = np.where(kept[edges.earlier], edges.later, edges.earlier)
        members = np.argsort(number, kind="stable")
        starts = np.searchsorted(number[members], np.arange(len(place) + 1))
        many = np.diff(starts)[removed]  # every document of a removed set matches what the set matches
        ends = np.cumsum(many)
        documents = members[np.repeat(starts[removed] - ends + many, many) + np.arange(int(many.sum()))]
        copies = np.flatnonzero((self.decisions.similarity == 1.0) & (self.decisions.witness >= 0))
        columns = (documents, copies), (np.repeat(place[keeper], many), self.decisions.witness[copies])
        scores = np.concatenate((np.repeat(edges.similarity, many), np.ones(len(copies))))
        return np.concatenate(columns[0]), np.concatenate(columns[1]), scores

    @cached_property
    def heavy_buckets(self) -> list[HeavyBucket]:
        """The buckets that more than 128 shingle sets fall into, the longest first: boilerplate, templates."""
        place = self._join.sets.place
        return [HeavyBucket(band, members, self.ids[int(place[example])]) for band, members, example in self._heavy]

    def annotations(self) -> pa.Table:
        """What became of every document, in input order: ``id``, ``cluster``, ``kept``, ``witness``, ``similarity``.

        The cluster is named by its kept document; kept documents have no witness.

        Examples
        --------
        >>> deduplicate(["one two", "One, two!", "three"]).annotations().to_pylist()[1]
        {'id': 1, 'cluster': 0, 'kept': False, 'witness': 0, 'similarity': 1.0}
        """
        import pyarrow as pa

        n, witness = len(self.ids), self.decisions.witness
        kept = self.decisions.kept
        ids = id_column(self.ids) if n else pa.array([], pa.int64())
        none = pa.array(kept)
        named = ids.take(pa.array(np.where(kept, np.arange(n), witness)))
        columns = ids, named, none, pa.compute.if_else(none, None, named), pa.array(self.decisions.similarity, mask=kept)
        return pa.table(dict(zip(("id", "cluster", "kept", "witness", "similarity"), columns, strict=True)))

    def rethreshold(self, threshold: float) -> Result:
        """Decide again at a higher threshold, from the pairs that were found, without reading anything.

        Raises
        ------
        ParameterError
            If the threshold is lower than that of this result, or not all pairs were asked for.

        Examples
        --------
        >>> texts = ["a b c d e f g h i j", "a b c d e f g h i k", "a b c d e f g h i k"]
        >>> result = deduplicate(texts, threshold=0.5, pairs="all")
        >>> result.kept, result.rethreshold(0.9).kept
        ([0], [0, 1])
        """
        check_fraction("threshold", threshold, one=True)
        if threshold < self.threshold:
            raise ParameterError(f"threshold is {threshold}, and below {self.threshold} no pairs were looked for; deduplicate again")
        if not self._every:
            raise ParameterError("the pairs of this result are those that decided; deduplicate with pairs='all' to try other thresholds")
        edges = self._edges.where(self._edges.similarity >= threshold)
        witnessed = _witnesses(self._join, edges, components=self._components)
        decisions = Decisions.of(self._join.sets, *witnessed)
        counters = {**self.counters, **_outcome(decisions)}
        return replace(self, threshold=float(threshold), decisions=decisions, counters=counters, _edges=edges)

    def summary(self) -> dict[str, Any]:
        """What was counted, and with which parameters.

        Examples
        --------
        >>> summary = deduplicate(["a b c d e f", "A B C D E F", ""]).summary()
        >>> summary["documents"], summary["kept"], summary["removed"], summary["copies"], summary["without_shingles"]
        (3, 2, 1, 1, 1)
        """
        shingling = self.minhash.shingling
        removed = self.decisions.similarity[self.decisions.witness >= 0]
        return {
            **self.counters,
            "weakest": float(removed.min()) if len(removed) else None,
            "threshold": self.threshold,
            "exact": self._exact,
            "recall": 1.0 if self._exact else float(self.banding.probability(self.threshold)),
            "bands": self.banding.bands,
            "rows": self.banding.rows,
            "num_perm": self.minhash.num_perm,
            "scheme": self.minhash.scheme,
            "tokens": shingling.tokens if isinstance(shingling.tokens, str) else getattr(shingling.tokens, "__qualname__", "callable"),
            "size": shingling.size,
        }

    def write(self, path: str | os.PathLike[str], *, annotate: bool = False) -> None:
        """Write the kept documents, in input order with all their columns, in the format of the path's name.

        Parameters
        ----------
        path
            Where to.
        annotate
            Write all documents, with the columns ``cluster``, ``kept``, ``witness`` and ``similarity`` of :meth:`annotations`.

        Raises
        ------
        ParameterError
            If the format is unknown, the path is one of the inputs, or a column of that name is there already.
        """
        if annotate:
            self._documents.write(path, np.ones(len(self.ids), bool), self.annotations().drop_columns(["id"]))
        else:
            self._documents.write(path, self.decisions.kept)


def deduplicate(
    source: Any,
    threshold: float = 0.8,
    *,
    text: str | None = None,
    id: str | None = None,
    keep: Keep = "first",
    order: str | None = None,
    clusters: Literal["witness", "components"] = "witness",
    exact: bool = False,
    recall: float = 0.99,
    shingling: Shingling | None = None,
    minhash: MinHash | None = None,
    banding: Banding | None = None,
    pairs: Literal["decisions", "all"] = "decisions",
    max_pairs: int = MAX_PAIRS,
    memory_limit: int | str | None = None,
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
        Which document of those that match is kept: the ``"first"``, the ``"last"``, or the ``"longest"`` in characters; that
        of the least value in a column, ``"date"``, or of the greatest, ``"-score"``; that whose value comes first in a list,
        ``{"source": ["Reuters", "AP"]}``; or that for which a function of id and text returns the least. Of equal ones the
        first, and what has no value comes last. Files rank in the order in which they are given.
    order
        A column that says which document comes first, instead of its position.
    clusters
        ``"witness"`` removes what matches a kept document; ``"components"`` keeps one document of all that chains of matches
        connect, so that a removed document may be less similar to its witness than the threshold.
    exact
        Find all pairs at or above the threshold, by a join of rare shingles instead of band keys: slower.
    recall
        The probability that a pair exactly at the threshold is found; more similar pairs are found with more.
    shingling, minhash, banding
        What counts as the same words, how documents are signed, bands and rows: as in :class:`neardup.Index`.
    pairs
        What ``result.pairs`` lists: the pairs that decided, or ``"all"`` that are verified, of which
        :meth:`Result.rethreshold` can decide again.
    max_pairs
        The most that ``"all"`` may be.
    memory_limit
        About the most memory that the job takes beside its ids and results, in bytes or as ``"3GB"``; by default half of what
        the machine or its control group allows. What does not fit goes to temporary files, below TMPDIR.
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
        If a parameter is out of range, or there are more than ``max_pairs`` pairs.
    InputError
        If the source cannot be read, or what ranks documents has no order.
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
    choices = ("clusters", clusters, ("witness", "components")), ("pairs", pairs, ("decisions", "all"))
    for name, value, known in choices:
        if not one_of(value, *known):
            raise ParameterError(f"{name} is {value!r}; it is one of {', '.join(map(repr, known))}")
    check_integer("max_pairs", max_pairs, 1, 2**62)
    if exact and threshold < 0.5:
        raise ParameterError(f"threshold is {threshold}; exact=True is for 0.5 and above, below it use bands: Banding.for_threshold")
    ranking = Ranking(keep, order)
    workers, limit = number_of_threads(threads), memory_bytes(memory_limit)
    tell = progress or (lambda _stage, _done, _total: None)
    corpus = documents.read(source, text=text, id=id)
    signed = Signed(banding.bands, limit)
    ids, counts = _sign(corpus, minhash, banding, ranking, signed, workers, tell)
    if exact and 2 * signed.evidence.nbytes > limit:
        raise ParameterError(
            f"exact=True takes the {signed.evidence.nbytes:,} bytes of all shingle hashes into memory, twice; memory_limit is {limit:,}; "
            "raise it, or find with a recall close to 1"
        )
    sets = Sets.of(signed, ranking.places(ids), workers)
    join = Join(sets, threshold, workers, exact=exact)
    every, components = pairs == "all", clusters == "components"
    edges = _all_edges(join, tell) if every or components or exact else _deciding_edges(join, tell)
    shingled = int((sets.number >= 0).sum())
    if every and len(edges.later) + shingled - len(sets) > max_pairs:
        found = len(edges.later) + shingled - len(sets)
        raise ParameterError(f"{found:,} pairs, more than max_pairs={max_pairs:,}; raise the threshold or max_pairs")
    decisions = Decisions.of(sets, *_witnesses(join, edges, components=components))
    heavy = join.heavy()
    counters = {
        "documents": len(ids),
        **_outcome(decisions),
        "copies": shingled - len(sets),
        "without_shingles": int((counts == 0).sum()),
        "short": int(((counts > 0) & (counts <= minhash.shingling.size)).sum()),
        "heavy_buckets": len(heavy),
    }
    return Result(float(threshold), minhash, banding, ids, decisions, counters, corpus, join, edges, heavy, exact, every, components)


def _outcome(decisions: Decisions) -> dict[str, int]:
    return {
        "kept": int(decisions.kept.sum()),
        "removed": int((~decisions.kept).sum()),
        "clusters": len(sorted_distinct(decisions.witness[decisions.witness >= 0])),
    }


def _sign(
    corpus: documents.Documents, minhash: MinHash, banding: Banding, ranking: Ranking, signed: Signed, threads: int, tell: Progress
) -> tuple[Sequence[Id], Any]:
    """Sign a corpus; its ids, and how many shingles each document has."""
    ids: list[Id] = []
    n = 0
    counts: list[Any] = [np.empty(0, np.uint64)]
    for batch in corpus.batches(columns=ranking.columns):
        signatures = minhash.sign_many(batch.texts, threads=threads, hashes=True)
        n += len(batch.ids)
        if not corpus.positional:
            ids += batch.ids
        ranking.add(batch.ids, lambda texts=batch.texts: documents.strings(texts), batch.lengths, batch.columns)  # type: ignore[misc]
        counts.append(signatures.counts)
        signed.append(StoreBatch.of(signatures, banding, threads))
        tell("signing", n, corpus.total)
    signed.close()
    return range(n) if corpus.positional else ids, np.concatenate(counts)


def _all_edges(join: Join, tell: Progress) -> Edges:
    every = np.ones(len(join.sets), bool)
    return join.edges(every, every, lambda done, total: tell("pairing", done, total))


def _deciding_edges(join: Join, tell: Progress) -> Edges:
    """The matches that decide: those of all sets, or where sets crowd together only those of what is kept.

    What shares no bucket with a set before it is kept; what matches such a one is not, and is compared with no more of
    the crowd. That is done again with what is left, as long as it saves comparisons.
    """
    undecided = np.ones(len(join.sets), bool)
    kept = np.zeros(len(join.sets), bool)
    comparisons = join.comparisons(undecided)
    if comparisons <= CROWDED * len(join.sets):
        return _all_edges(join, tell)
    saved = True
    while saved:
        ahead = undecided & ~join.preceded(undecided)
        kept |= ahead
        undecided &= ~ahead
        found = join.edges(ahead, undecided, lambda done, total: tell("deciding crowds", done, total))
        undecided[found.later] = False
        left = join.comparisons(undecided)
        saved = left < 0.9 * comparisons and left > CROWDED * int(undecided.sum())
        comparisons = left
    rest = join.edges(undecided, undecided, lambda done, total: tell("deciding", done, total))
    kept |= undecided & first_kept(len(join.sets), rest)
    return join.edges(kept, ~kept, lambda done, total: tell("finding witnesses", done, total))


def _witnesses(join: Join, edges: Edges, *, components: bool) -> tuple[Any, Any]:
    if components:
        return component_witnesses(join.sets, edges, join.threads)
    return choose_witnesses(first_kept(len(join.sets), edges), edges)
