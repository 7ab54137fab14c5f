"""What became of a corpus: kept documents, removed ones with their witnesses, pairs, clusters, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.banding import Banding
from neardup.clusters import Decisions, choose_witnesses, component_witnesses, first_kept
from neardup.documents import Documents
from neardup.errors import ParameterError, check_fraction
from neardup.ids import Id, Mask, PackedIds, id_column
from neardup.joins import Edges, Heavy, Join
from neardup.minhash import MinHash
from neardup.profiles import Settings
from neardup.shingling import sorted_distinct
from neardup.stores import HeavyBucket

if TYPE_CHECKING:
    import pyarrow as pa


class Older(NamedTuple):
    """What shingle sets of a corpus match in older ones: of each the most similar document, of equals the first.

    Attributes
    ----------
    row
        Its number among all such documents, int64[m]; -1 where there is none.
    similarity
        Their similarity, float64[m].
    ids, corpus
        Of each number the id, and which of the corpora it is in, int64[k].
    names
        What the corpora are called.
    """

    row: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]
    ids: PackedIds
    corpus: npt.NDArray[np.int64]
    names: Sequence[str]

    def barred(self, threshold: float) -> npt.NDArray[np.bool_]:
        """Which sets are removed for them."""
        return (self.row >= 0) & (self.similarity >= threshold)


def decide(join: Join, edges: Edges, older: Older, threshold: float, *, components: bool) -> Decisions:
    """The decisions on all documents from the matches of their shingle sets."""
    if components:
        return Decisions.of(join.sets, *component_witnesses(join, edges))
    barred = older.barred(threshold)
    witness, similarity = choose_witnesses(first_kept(barred, edges), edges)
    outside = barred & (older.similarity >= similarity)  # which ranks before what is new
    return Decisions.of(join.sets, np.where(outside, len(join.sets) + older.row, witness), np.where(outside, older.similarity, similarity))


def _surely_removed(kept: Mask, barred: Mask, edges: Edges) -> Mask:
    """Which sets a higher threshold removes whatever else matches, from the matches of kept sets alone.

    A kept set stays unless it matches one that comes before it and is not kept; what matches such a one is removed.
    """
    stays = kept.copy()
    stays[edges.later[kept[edges.later] & ~barred[edges.earlier]]] = False
    removed = np.zeros(len(kept), bool)
    removed[edges.later[stays[edges.earlier]]] = True
    removed[edges.earlier[stays[edges.later]]] = True
    return removed


def outcome(decisions: Decisions) -> dict[str, int]:
    """What decisions come to, in numbers."""
    return {
        "kept": int(decisions.kept.sum()),
        "removed": int((~decisions.kept).sum()),
        "clusters": len(sorted_distinct(decisions.witness[decisions.witness >= 0])),
        "against": int((decisions.witness >= len(decisions.witness)).sum()),
    }


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
        Their similarity as ``verify`` measures it: at or above the threshold, but for what ``clusters="components"`` removes.
    against
        The older corpus that the witness is in; None where it is in the same.

    Examples
    --------
    >>> Removed("b", witness="a", similarity=0.9)
    Removed(id='b', witness='a', similarity=0.9)
    """

    id: Id
    witness: Id
    similarity: float
    against: str | None = field(default=None, repr=False, hash=False)


@dataclass(frozen=True, eq=False)
class Result:
    """What :func:`neardup.deduplicate` decided.

    Examples
    --------
    >>> import neardup
    >>> result = neardup.deduplicate(["one two three four five six", "One, two, three, four, five, six!", "seven"])
    >>> result
    <Result: 3 documents, 2 kept, 1 removed at threshold 0.8>
    >>> result.kept, result.removed
    ([0, 2], [Removed(id=1, witness=0, similarity=1.0)])
    >>> result.clusters
    [[0, 1]]
    >>> result.pairs.to_pylist()
    [{'a': 0, 'b': 1, 'similarity': 1.0}]
    """

    settings: Settings
    threshold: float
    ids: range | PackedIds = field(repr=False)
    decisions: Decisions = field(repr=False)
    counters: dict[str, int] = field(repr=False)
    _documents: Documents = field(repr=False)
    _join: Join = field(repr=False)
    _edges: Edges = field(repr=False)
    _older: Older = field(repr=False)
    _heavy: list[Heavy] = field(repr=False)
    _exact: bool = field(repr=False)
    _every: bool = field(repr=False)
    _whole: bool = field(repr=False)
    _components: bool = field(repr=False)

    @property
    def minhash(self) -> MinHash:
        """How documents were signed."""
        return self.settings.minhash

    @property
    def banding(self) -> Banding:
        """Bands and rows."""
        return self.settings.banding

    def __repr__(self) -> str:
        removed = self.counters["removed"]
        return f"<Result: {len(self.ids):,} documents, {len(self.ids) - removed:,} kept, {removed:,} removed at threshold {self.threshold}>"

    @cached_property
    def kept(self) -> list[Id]:
        """The ids of the kept documents, in input order."""
        return self._named(np.flatnonzero(self.decisions.kept))

    @cached_property
    def removed(self) -> list[Removed]:
        """The removed documents in input order, each with its witness and their similarity."""
        return list(self.each_removed())

    def each_removed(self) -> Iterator[Removed]:
        """The same one after another, in little memory."""
        every = np.flatnonzero(~self.decisions.kept)
        for start in range(0, len(every), 4096):
            places = every[start : start + 4096]
            witnesses = self.decisions.witness[places]
            columns = self._named(places), self._named(witnesses), self.decisions.similarity[places].tolist(), self._corpora(witnesses)
            yield from map(Removed, *columns)

    def unjudged(self, *, short: bool = False, n: int = 2) -> list[Id]:
        """The first ids of documents without a single word, or of the ``short`` ones: those that the counters count.

        Parameters
        ----------
        short
            Those of so few shingles that one edit can hide a copy.
        n
            The most that are named.

        Examples
        --------
        >>> import neardup
        >>> neardup.deduplicate(["...", "one two three four five six", "!", "?"]).unjudged()
        [0, 2]
        """
        sizes = self._join.sets.signed.sizes
        places = np.flatnonzero((sizes > 0) & (sizes <= self.minhash.shingling.size) if short else self._join.sets.number < 0)
        return self._named(places[:n])

    @property
    def names_older(self) -> bool:
        """Whether older corpora were there, whose documents may be witnesses."""
        return len(self._older.names) > 0

    def _named(self, places: npt.NDArray[np.int64]) -> list[Id]:
        """The ids of documents, those of older ones too."""
        n = len(self.ids)
        new = places[places < n]
        ids: list[Any] = new.tolist() if isinstance(self.ids, range) else self.ids.take(new)
        if len(new) < len(places):
            named = np.empty(len(places), object)
            named[places < n] = ids
            named[places >= n] = self._older.ids.take(places[places >= n] - n)
            ids = named.tolist()
        return ids

    def _corpora(self, places: npt.NDArray[np.int64]) -> list[str | None]:
        """The older corpus of each document; None where it is new."""
        rows, names = places - len(self.ids), [*self._older.names, None]
        which = np.append(self._older.corpus, -1)[np.where(rows < 0, -1, rows)]
        return [names[i] for i in which.tolist()]

    @cached_property
    def clusters(self) -> list[list[Id]]:
        """The groups of two or more documents: the kept one first, which may be an older one, then those that were removed for it."""
        groups = self.decisions.clusters()
        names = iter(self._named(np.array([place for group in groups for place in group], np.int64)))
        return [list(islice(names, len(group))) for group in groups]

    @cached_property
    def _integers(self) -> bool:
        """Whether all ids are integers of 64 bits, of older documents that match too: what Arrow has a type for."""
        n, older = len(self.ids), self._older
        places = np.concatenate((np.arange(n), n + older.row[older.barred(self.threshold)]))[n if isinstance(self.ids, range) else 0 :]
        parts = (self._named(places[start : start + 4096]) for start in range(0, len(places), 4096))
        return all(isinstance(id, int) and -(2**63) <= id < 2**63 for part in parts for id in part)

    def _column(self, ids: Sequence[Id]) -> pa.Array:
        """Some ids as a column, of the type that all have."""
        import pyarrow as pa

        return pa.array(ids, pa.int64()) if self._integers else id_column(list(map(str, ids)))

    @cached_property
    def pairs(self) -> pa.Table:
        """Verified pairs: columns ``a`` and ``b`` (a before b in the input) and ``similarity``, sorted by place.

        The edges that decided, each removed document with every kept one that it matches; with ``pairs="all"`` every pair
        of distinct shingle sets, and each copy with the first of its set. Ids are integers or strings as in :meth:`annotations`.
        """
        import pyarrow as pa

        first, second, scores = self._paired()
        ids = self._column(self._named(np.concatenate((first, second))))
        return pa.table({"a": ids[: len(scores)], "b": ids[len(scores) :], "similarity": pa.array(scores, pa.float64())})

    def each_pair(self) -> Iterator[dict[str, Any]]:
        """The same one after another, in little memory, with ids as they are, numbers beside strings.

        Examples
        --------
        >>> import neardup
        >>> list(neardup.deduplicate(["one two", "One, two!", "three"]).each_pair())
        [{'a': 0, 'b': 1, 'similarity': 1.0}]
        """
        first, second, scores = self._paired()
        for start in range(0, len(scores), 4096):
            part = slice(start, start + 4096)
            columns = self._named(first[part]), self._named(second[part]), scores[part].tolist()
            yield from (dict(zip(("a", "b", "similarity"), row, strict=True)) for row in zip(*columns, strict=True))

    def _paired(self) -> tuple[Any, Any, Any]:
        """Places of the first and second documents of all pairs, and similarities."""
        a, b, scores = self._every_pair() if self._every or self._components else self._deciding_pairs()
        first, second = np.minimum(a, b), np.maximum(a, b)
        older, barred = self._older_pairs()
        order = np.lexsort((second, first))
        scores = np.concatenate((self._older.similarity[self._join.sets.number[barred]], scores[order]))
        return np.concatenate((older + len(self.ids), first[order])), np.concatenate((barred, second[order])), scores

    def _older_pairs(self) -> tuple[Any, Any]:
        """Numbers of older documents, and the documents that are removed for them, in order of these."""
        sets = self._join.sets
        barred = np.append(self._older.barred(self.threshold), False)[sets.number]
        places = np.flatnonzero(barred)
        return self._older.row[sets.number[places]], places

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
        witness = self.decisions.witness
        inside = np.flatnonzero((witness >= 0) & (witness < len(self.ids)))
        copies = inside[number[inside] == number[witness[inside]]]
        columns = (documents, copies), (np.repeat(place[keeper], many), self.decisions.witness[copies])
        scores = np.concatenate((np.repeat(edges.similarity, many), np.ones(len(copies))))
        return np.concatenate(columns[0]), np.concatenate(columns[1]), scores

    @property
    def skipped(self) -> list[str]:
        """What was left out by ``on_error="skip"``, and why: of each file the first 10,000 lines, :meth:`summary` counts them all."""
        return self._documents.skipped

    @cached_property
    def heavy_buckets(self) -> list[HeavyBucket]:
        """The buckets that more than 128 shingle sets fall into, the longest first: boilerplate, templates."""
        place = self._join.sets.place
        return [HeavyBucket(band, members, self._named(place[[example]])[0]) for band, members, example in self._heavy]

    def annotations(self) -> pa.Table:
        """What became of every document, in input order: ``id``, ``cluster``, ``kept``, ``witness``, ``similarity``.

        The cluster is named by its kept document; kept documents have no witness. A column of Arrow has one type: ids are
        integers if those of all documents are, and of all older ones that match, of 64 bits; otherwise all are strings.

        Examples
        --------
        >>> import neardup
        >>> neardup.deduplicate(["one two", "One, two!", "three"]).annotations().to_pylist()[1]
        {'id': 1, 'cluster': 0, 'kept': False, 'witness': 0, 'similarity': 1.0}
        """
        import pyarrow as pa

        n, witness = len(self.ids), self.decisions.witness
        kept = self.decisions.kept
        ids, is_kept = self._column(list(self.ids)), pa.array(kept)
        named = self._column(self._named(np.where(kept, np.arange(n), witness)))
        columns = ids, named, is_kept, pa.compute.if_else(is_kept, None, named), pa.array(self.decisions.similarity, mask=kept)
        return pa.table(dict(zip(("id", "cluster", "kept", "witness", "similarity"), columns, strict=True)))

    def _each_annotation(self) -> Iterator[dict[str, Any]]:
        """The same but for the ids of documents, one after another, what is named by ids with these as they are."""
        n, decisions = len(self.ids), self.decisions
        for start in range(0, n, 4096):
            places = np.arange(start, min(start + 4096, n))
            kept = decisions.kept[places]
            named = self._named(np.where(kept, places, decisions.witness[places]))
            for name, stays, similarity in zip(named, kept.tolist(), decisions.similarity[places].tolist(), strict=True):
                witness = (None, None) if stays else (name, similarity)
                yield dict(zip(("cluster", "kept", "witness", "similarity"), (name, stays, *witness), strict=True))

    def rethreshold(self, threshold: float) -> Result:
        """Decide again at a higher threshold, from the pairs that were found, without reading anything.

        Parameters
        ----------
        threshold
            The new one, at least that of this result and at most 1.

        Raises
        ------
        ParameterError
            If the threshold is lower than that of this result, or not all pairs were asked for.

        Examples
        --------
        >>> import neardup
        >>> texts = ["a b c d e f g h i j", "a b c d e f g h i k", "a b c d e f g h i k"]
        >>> result = neardup.deduplicate(texts, threshold=0.5, pairs="all")
        >>> result.kept, result.rethreshold(0.9).kept
        ([0], [0, 1])
        """
        check_fraction("threshold", threshold, one=True)
        if threshold < self.threshold:
            raise ParameterError(f"threshold is {threshold}, and below {self.threshold} no pairs were looked for; deduplicate again")
        if not self._every:
            raise ParameterError("the pairs of this result are those that decided; deduplicate with pairs='all' to try other thresholds")
        edges = self._edges.where(self._edges.similarity >= threshold)
        decisions = decide(self._join, edges, self._older, threshold, components=self._components)
        counters = {**self.counters, **outcome(decisions)}
        return replace(self, threshold=float(threshold), decisions=decisions, counters=counters, _edges=edges)

    def _removed_at(self, thresholds: Sequence[float]) -> list[tuple[int, bool]]:
        """How many documents each of some ascending thresholds would remove, and whether just so many or at least so many."""
        edges, whole, sets = self._edges, self._whole, self._join.sets
        kept = self.decisions.kept[sets.place]
        if not whole and thresholds:  # of a crowd, what was removed was not compared with each other
            others = self._join.among(~kept, thresholds[0])
            if others is not None:
                edges, whole = edges.beside(others), True
        shingled = int((sets.number >= 0).sum())
        found = []
        for threshold in thresholds:
            edges = edges.where(edges.similarity >= threshold)
            barred = self._older.barred(threshold)
            if self._components:
                stay = len(np.unique(_kernels.components(len(sets), edges.earlier, edges.later)))
            elif whole:
                stay = int(first_kept(barred, edges).sum())
            else:
                stay = int((~(barred | _surely_removed(kept, barred, edges))).sum())
            found.append((shingled - stay, whole))
        return found

    def summary(self) -> dict[str, Any]:
        """What was counted, and with which parameters.

        Examples
        --------
        >>> import neardup
        >>> summary = neardup.deduplicate(["a b c d e f", "A B C D E F", ""]).summary()
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
            "profile": self.settings.profile,
            "verify": self.settings.verify,
            "recall": 1.0 if self._exact else self.settings.recall_at(self.threshold),
            "bands": self.banding.bands,
            "rows": self.banding.rows,
            "num_perm": self.minhash.num_perm,
            "scheme": self.minhash.scheme,
            "tokens": shingling.tokens if isinstance(shingling.tokens, str) else getattr(shingling.tokens, "__qualname__", "callable"),
            "size": shingling.size,
            **{name: getattr(shingling, name) for name in ("strip_diacritics", "fold_digits", "stop") if getattr(shingling, name)},
        }

    def report(
        self,
        path: str | os.PathLike[str],
        progress: Callable[[str, int, int | None], None] | None = None,
        *,
        columns: Sequence[str] = (),
    ) -> None:
        """Write a page that shows what was removed and why, what nearly was, and what another threshold would do.

        One file of HTML, which needs no network and loads nothing. The texts that it shows are read again: pairs around the
        threshold, clusters, boilerplate, documents too short to judge.

        Parameters
        ----------
        path
            Where to: a file of HTML.
        progress
            Called with what is being done, how much is done, and of how much.
        columns
            Columns of the documents to show beside their ids: a source, a date.

        Raises
        ------
        ParameterError
            If the path does not end in ``.html``, or the documents have no columns.
        InputError
            If the documents cannot be read again, or have not that column.

        Examples
        --------
        >>> import tempfile, neardup
        >>> result = neardup.deduplicate(["one two three four five six", "One, two, three, four, five, six!", "seven"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.report(f"{folder}/report.html")
        """
        from neardup.report import Subject, write_report

        subject = Subject(
            self, self._documents, self._named, self._join, self._heavy, self._curve, *self._removed_similarity(), self._removed_at,
            columns,
        )  # fmt: skip
        write_report(subject, path, progress)

    @property
    def _curve(self) -> Callable[[float], float] | None:
        """With what probability a pair of a similarity is found; None where that is no matter of the similarity alone."""
        if self._exact or self.settings.verify == "noisy":
            return None
        return lambda similarity: self.settings.recall_at(similarity) if similarity else 0.0

    def _removed_similarity(self) -> tuple[npt.NDArray[np.float64], float]:
        """How similar each removed document is to its witness, and what none is below: the threshold but for chains."""
        similarity = self.decisions.similarity[self.decisions.witness >= 0]
        return similarity, min(self.threshold, float(similarity.min(initial=1.0)))

    def plot(self) -> Any:
        """How similar the removed documents are to those that stay, as a matplotlib figure.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.

        Examples
        --------
        >>> import neardup
        >>> neardup.deduplicate(["a b c d e f", "A B C D E F", ""]).plot().axes[0].get_ylabel()
        'removed documents'
        """
        from neardup.notebook import axes

        own = axes()
        similarity, low = self._removed_similarity()
        own.hist(similarity, bins=40, range=(low, 1.0 if low < 1 else 1.01))
        own.set(xlabel="similarity to the document that stays", ylabel="removed documents", title=repr(self))
        return own.figure

    def _repr_html_(self) -> str:
        from neardup.notebook import curve, table

        summary = self.summary()
        names = ("documents", "kept", "removed", "copies", "clusters", "without_shingles", "threshold", "profile", "recall")
        removed = islice(((one.id, one.witness, one.similarity) for one in self.each_removed()), 10)
        parts = [
            table(repr(self), [(name, summary[name]) for name in names]),
            "" if self._curve is None else curve(self._curve, self.threshold),
        ]
        if summary["removed"]:
            parts.append(table("The first that were removed", removed, ("id", "witness", "similarity")))
        return f"<div>{''.join(parts)}</div>"

    def finish(self) -> None:
        """Delete the folder ``work`` of the job, when all is written that should be."""
        self._join.sets.signed.work.remove()

    def write(self, path: str | os.PathLike[str], *, annotate: bool = False) -> None:
        """Write the kept documents, in input order with all their columns, in the format of the path's name.

        Parameters
        ----------
        path
            Where to.
        annotate
            Write all documents, with the columns ``cluster``, ``kept``, ``witness`` and ``similarity`` of :meth:`annotations`;
            in JSONL with ids as they are, numbers beside strings.

        Raises
        ------
        ParameterError
            If the format is unknown, the path is one of the inputs, or a column of that name is there already.

        Examples
        --------
        >>> import pathlib, tempfile, neardup
        >>> result = neardup.deduplicate(["one two", "One, two!", "three"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "clean.jsonl")
        ...     result.write(path)
        ...     print(path.read_text(), end="")
        {"id": 0, "text": "one two"}
        {"id": 2, "text": "three"}
        """
        if annotate:
            more = self.annotations().drop_columns(["id"])
            self._documents.write(path, np.ones(len(self.ids), bool), more, self._each_annotation())
        else:
            self._documents.write(path, self.decisions.kept)
