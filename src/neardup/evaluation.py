"""How well each profile and threshold agrees with people's judgement of what duplicates what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from neardup import _kernels, documents
from neardup.errors import InputError, ParameterError, check_fraction, kind
from neardup.ids import Id, twin
from neardup.index import Index
from neardup.profiles import Profile

#: Thresholds that are tried, unless others are given.
THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(15))
#: Profiles that are tried, unless others are given.
TRIED = ("text", "short", "ocr")


class Score(NamedTuple):
    """How well one profile at one threshold agrees with the labels.

    Attributes
    ----------
    profile, threshold
        Which.
    precision
        The share of the pairs found that are labelled as duplicates; 1 where none is found.
    recall
        The share of the labelled duplicates that are found.
    f1
        Their harmonic mean.
    ari
        The adjusted Rand index (Hubert and Arabie 1985) of the groups that chains of matches make and those that are labelled:
        1 where they are the same, 0 as by chance; None where not all pairs are judged.
    found
        How many pairs were found.
    """

    profile: str
    threshold: float
    precision: float
    recall: float
    f1: float
    ari: float | None
    found: int


class Wrong(NamedTuple):
    """A pair that was judged otherwise than labelled: found, or ``missed``; and its similarity, None where it was not known."""

    a: Id
    b: Id
    similarity: float | None
    missed: bool


class Evaluation:
    """What :func:`evaluate` found.

    Attributes
    ----------
    documents, duplicates
        How many documents, and how many pairs of them are labelled as duplicates.
    scores
        Of every profile and threshold.
    """

    def __init__(
        self,
        documents: int,
        duplicates: int,
        scores: Sequence[Score],
        pairs: Mapping[str, Mapping[tuple[Id, Id], float]],
        labels: Mapping[tuple[Id, Id], bool],
        *,
        whole: bool,
    ) -> None:
        self.documents = documents
        self.duplicates = duplicates
        self.scores = scores
        self._pairs, self._labels, self._whole = pairs, labels, whole

    def __repr__(self) -> str:
        return f"<Evaluation of {self.documents:,} documents, {self.duplicates:,} pairs labelled as duplicates, best {self.best}>"

    @property
    def best(self) -> Score:
        """That of the highest F1; of equal ones the first."""
        return max(self.scores, key=lambda score: score.f1)

    def tied(self) -> dict[str, list[list[float]]]:
        """The thresholds at which each profile has the highest F1, those that follow each other together.

        Examples
        --------
        >>> evaluate(["a b c d e f g", "a b c d e f g h", "x y z"], [(0, 1)], profiles=["text"], thresholds=[0.5, 0.6, 0.9]).tied()
        {'text': [[0.5, 0.6]]}
        """
        tied: dict[str, list[list[float]]] = {}
        for (profile, best), scores in groupby(self.scores, lambda score: (score.profile, score.f1 == self.best.f1)):
            if best:
                tied.setdefault(profile, []).append([score.threshold for score in scores])
        return tied

    def wrong(self, score: Score | None = None) -> list[Wrong]:
        """The pairs that a setting, the best by default, gets wrong: those missed, then those found, the least clear first.

        Parameters
        ----------
        score
            One of ``scores``, which says the profile and the threshold; by default the best.

        Raises
        ------
        ParameterError
            If its profile was not tried.

        Examples
        --------
        >>> evaluation = evaluate(["a b c d e f g", "a b c d e f g h", "x y z"], [(0, 1), (1, 2)], profiles=["text"])
        >>> evaluation.wrong()
        [Wrong(a=1, b=2, similarity=None, missed=True)]
        """
        score = score or self.best
        pairs = self._pairs.get(score.profile)
        if pairs is None:
            raise ParameterError(
                f"the score is of profile {score.profile!r}, and {', '.join(map(repr, self._pairs))} were tried; give one of those"
            )
        missed = [
            Wrong(*pair, pairs.get(pair), missed=True)
            for pair, same in self._labels.items()
            if same and pairs.get(pair, 0.0) < score.threshold
        ]
        found = [
            Wrong(*pair, similarity, missed=False)
            for pair, similarity in pairs.items()
            if similarity >= score.threshold and not self._labels.get(pair, not self._whole)
        ]
        missed.sort(key=lambda one: -(one.similarity or 0.0))
        found.sort(key=lambda one: -(one.similarity or 0.0))
        return missed + found

    def plot(self, path: str) -> None:
        """Draw precision against recall, and F1 against the threshold, of every profile: in the format of the path's name.

        Parameters
        ----------
        path
            Where to: ``.png``, ``.svg``, ``.pdf`` and what else matplotlib draws.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        ParameterError
            If the name does not end in a format that it draws.
        """
        from neardup.notebook import axes, check_plot

        check_plot(path)
        left, right = axes(2)
        for profile in dict.fromkeys(score.profile for score in self.scores):
            own = [score for score in self.scores if score.profile == profile]
            left.plot([score.recall for score in own], [score.precision for score in own], marker="o", markersize=3, label=profile)
            right.plot([score.threshold for score in own], [score.f1 for score in own], marker="o", markersize=3, label=profile)
        left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        right.set(xlabel="threshold", ylabel="F1", ylim=(0, 1.02))
        for one in (left, right):
            one.grid(alpha=0.3)
            one.legend(frameon=False)
        left.figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)


def evaluate(
    source: Any,
    labels: Mapping[Id, Any] | Mapping[int, Any] | Mapping[str, Any] | Iterable[tuple[Any, ...]] | str,
    *,
    text: str | None = None,
    id: str | None = None,
    profiles: Sequence[str] = TRIED,
    thresholds: Sequence[float] = THRESHOLDS,
    threads: int | None = None,
) -> Evaluation:
    """Compare what is found at every threshold with what people say.

    Parameters
    ----------
    source
        The documents, as for :func:`neardup.deduplicate`.
    labels
        Which documents are duplicates: pairs of ids, of which all others are none; or pairs with a third item, whether they are
        duplicates, of which others are not judged; or a group for each id, None or NaN for one of its own; or the name of a column
        of groups. A number may be written as its text.
    text, id
        The names of the columns; guessed when obvious.
    profiles, thresholds
        What is tried. Bands are those of the lowest threshold: what bands miss at others is not seen here.
    threads
        How many; by default the processors this process may use.

    Raises
    ------
    InputError
        If a label names a document that is not there, or none is a duplicate.
    ParameterError
        If a profile or threshold is none, or they are not similarities.

    Examples
    --------
    >>> texts = ["one two three four five six", "One two three, four five six!", "one two three four five six seven", "eight nine"]
    >>> evaluate(texts, [(0, 1), (0, 2), (1, 2)], profiles=["text"]).best
    Score(profile='text', threshold=0.3, precision=1.0, recall=1.0, f1=1.0, ari=1.0, found=3)
    """
    thresholds, profiles = [float(threshold) for threshold in _several("thresholds", thresholds)], _several("profiles", profiles)
    if not thresholds or not profiles:
        raise ParameterError(f"{len(profiles)} profiles and {len(thresholds)} thresholds; name one of each at least")
    for threshold in thresholds:
        check_fraction("threshold", threshold, one=True)
    for name in profiles:
        if Profile.named(name).verify == "contained":
            raise ParameterError("profile is 'excerpt', which says what is inside what; evaluate profiles of similarity")
    ids: list[Id] = []
    groups: list[Any] = []
    indexes = [Index(min(thresholds), profile=name) for name in profiles]
    corpus = documents.read(source, text=text, id=id)
    column = [labels] if isinstance(labels, str) else []
    for batch in corpus.batches(columns=column):
        for index in indexes:
            index.add_many(range(len(ids), len(ids) + len(batch.ids)), batch.texts, threads)
        ids += batch.ids
        groups += [value for part in batch.columns for value in (part.to_pylist() if hasattr(part, "to_pylist") else part)]
    place = {id: i for i, id in enumerate(ids)}
    judged, whole = _judged(dict(zip(ids, groups, strict=True)) if isinstance(labels, str) else labels, place)
    positive = sum(judged.values())
    if not positive:
        raise InputError(f"{len(judged):,} labels, and none of them is of duplicates; label some pairs that are")
    truth = _groups(len(ids), [pair for pair, same in judged.items() if same])
    scores, found = [], {}
    for name, index in zip(profiles, indexes, strict=True):
        table = index.pairs(threads=threads)
        a, b, similarity = (table[key].to_pylist() for key in ("a", "b", "similarity"))
        pairs = {(x, y): s for x, y, s in zip(a, b, similarity, strict=True)}
        found[name] = {(ids[x], ids[y]): s for (x, y), s in pairs.items()}
        for threshold in sorted(thresholds):
            above = [pair for pair, s in pairs.items() if s >= threshold]
            counted = above if whole else [pair for pair in above if pair in judged]
            right = sum(judged.get(pair, False) for pair in counted)
            precision, recall = right / len(counted) if counted else 1.0, right / positive
            f1 = 2 * right / (len(counted) + positive)
            ari = _adjusted_rand(truth, _groups(len(ids), above)) if whole else None
            scores.append(Score(name, threshold, precision, recall, f1, ari, len(above)))
    named = {(ids[x], ids[y]): same for (x, y), same in judged.items()}
    return Evaluation(len(ids), positive, scores, found, named, whole=whole)


def _several(name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} is {values!r}; it is a list: [{values!r}]")
    return list(values)


def read_labels(path: str) -> list[tuple[Any, ...]]:
    """The labels in a JSONL, CSV or Parquet file of columns ``a``, ``b`` and, perhaps, ``duplicate``.

    Raises
    ------
    InputError
        If the file cannot be read as that.
    """
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    def read_csv(path: str) -> pa.Table:
        """Ids as they are written; ``007`` is no number."""
        return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={"a": pa.string(), "b": pa.string()}))

    reading = {"jsonl": json.read_json, "ndjson": json.read_json, "csv": read_csv, "parquet": parquet.read_table}
    reader = reading.get(path.rpartition(".")[2].lower())
    if reader is None:
        raise InputError(f"labels are in {path}; they are read from .jsonl, .csv or .parquet")
    try:
        table: pa.Table = reader(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except pa.ArrowException as error:
        raise InputError(f"{path} cannot be read, {error}; give a table of columns a, b and, perhaps, duplicate") from None
    missing = {"a", "b"} - set(table.column_names)
    if missing:
        raise InputError(f"{path} has no column {min(missing)!r}; its columns are {', '.join(table.column_names)}")
    names = ["a", "b"] + (["duplicate"] if "duplicate" in table.column_names else [])
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def _judged(labels: Any, place: Mapping[Id, int]) -> tuple[dict[tuple[int, int], bool], bool]:
    """Pairs of places and whether they are duplicates; and whether all others are not."""
    judged: dict[tuple[int, int], bool] = {}
    if isinstance(labels, Mapping):
        members: dict[Any, list[int]] = {}
        for id, group in labels.items():
            if documents.is_missing(group):
                continue
            try:
                same = members.setdefault(group, [])
            except TypeError:
                raise InputError(
                    f"the group of document {id!r:.200} is {group!r:.200} of type {kind(group)}; a group is a string or a number: make it one"
                ) from None
            same.append(_placed(id, place))
        for same in members.values():
            for i, x in enumerate(sorted(same)):
                judged |= {(x, y): True for y in sorted(same)[i + 1 :]}
        return judged, True
    whole = True
    if isinstance(labels, bytes) or not isinstance(labels, Iterable):
        raise TypeError(f"labels are of type {kind(labels)}; they are pairs of ids, a mapping of ids to groups, or the name of a column")
    for row in labels:
        if isinstance(row, str) or not isinstance(row, Sequence):
            raise InputError(f"a label is {row!r:.200}; a label is a pair of ids, and whether they are duplicates")
        if len(row) not in (2, 3):
            raise InputError(f"a label of {len(row)} items, {row!r:.200}; a label is a pair of ids, and whether they are duplicates")
        x, y = sorted((_placed(row[0], place), _placed(row[1], place)))
        if len(row) == 3 and row[2] not in (True, False):
            raise InputError(f"a label says {row[2]!r:.200} of {row[0]!r:.200} and {row[1]!r:.200}; it is true or false, 1 or 0")
        if x != y:
            judged[x, y] = bool(row[2]) if len(row) == 3 else True
        whole &= len(row) == 2
    return judged, whole


def _placed(id: Any, place: Mapping[Id, int]) -> int:
    """The place of a document; a number may be written as text in the labels, and a number among the documents, or the reverse."""
    if id not in place and isinstance(id, str | int):
        id = twin(id) if twin(id) in place else id
    if id not in place:
        raise InputError(f"a label names document {id!r:.200}, which is not among the documents; label those that are there")
    return place[id]


def _groups(n: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The first document of each document's group."""
    a, b = (np.array([pair[side] for pair in pairs], np.uint32) for side in (0, 1))
    first: list[int] = _kernels.components(n, a, b).tolist()
    return first


def _adjusted_rand(one: Sequence[int], other: Sequence[int]) -> float:
    def pairs(counts: Iterable[int]) -> int:
        return sum(n * (n - 1) // 2 for n in counts)

    both, left, right = pairs(Counter(zip(one, other, strict=True)).values()), pairs(Counter(one).values()), pairs(Counter(other).values())
    total = len(one) * (len(one) - 1) // 2
    expected = left * right / total if total else 0.0
    most = (left + right) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)
