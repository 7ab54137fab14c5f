"""What a report shows of a result: counts, samples and the texts of them."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import __version__
from neardup.documents import Documents, is_missing, strings
from neardup.errors import InputError
from neardup.ids import PlaceArray
from neardup.joins import Heavy, Join
from neardup.report.marking import Row, marked, shortened

#: Pairs of each kind, clusters, their members, other documents that are shown.
PAIRS, CLUSTERS, MEMBERS, OTHERS = 20, 20, 12, 20
#: Bars of the histogram, steps of the slider.
BARS, STEPS = 20, 40
#: How far below the threshold what was nearly a match is looked for.
BELOW = 0.15


class Shown(NamedTuple):
    """A document as it is called, and the columns to show with what it has there."""

    name: str
    values: list[tuple[str, str]]


class Pair(NamedTuple):
    """Two documents side by side."""

    kind: str
    a: Shown
    b: Shown
    similarity: float
    rows: list[Row]


class Cluster(NamedTuple):
    """A kept document, and some of those that were removed for it."""

    size: int
    kept: Shown
    excerpt: str
    members: list[tuple[Shown, float]]


class Bar(NamedTuple):
    """A bar of a histogram: what it stands for, how many documents or clusters, and its height beside the highest."""

    name: str
    many: int
    share: float


class Subject(NamedTuple):
    """What a report is about.

    Attributes
    ----------
    result, documents
        A result, and the documents, which are read again.
    named
        What gives the ids of places.
    join, heavy
        The join of the documents, and its heavy buckets.
    curve
        With what probability a pair of a similarity is found, if that can be said.
    similarity, low
        How similar each removed document is to its witness, and what none is below.
    removed_at
        Says how many documents higher thresholds would remove, and whether just so many or at least so many.
    columns
        Columns of the documents that are shown beside their ids.
    """

    result: Any
    documents: Documents
    named: Callable[[PlaceArray], list[Any]]
    join: Join
    heavy: list[Heavy]
    curve: Callable[[float], float] | None
    similarity: npt.NDArray[np.float64]
    low: float
    removed_at: Callable[[Sequence[float]], list[tuple[int, bool]]]
    columns: Sequence[str]


def facts_of(subject: Subject, tell: Callable[[str, int, int | None], None]) -> dict[str, Any]:
    """What the page is made of."""
    result, join = subject.result, subject.join
    summary = result.summary()
    decisions, n = result.decisions, len(result.ids)
    inside = np.flatnonzero((decisions.witness >= 0) & (decisions.witness < n))
    similarity = decisions.similarity[inside]
    pairs = _pairs(subject, inside, similarity)
    groups = _clusters(decisions.witness[inside])
    heavy = [(bucket.members, int(join.sets.place[bucket.example])) for bucket in subject.heavy[:OTHERS]]
    sizes = join.sets.signed.sizes
    empty, short = np.flatnonzero(sizes == 0), np.flatnonzero((sizes > 0) & (sizes <= result.minhash.shingling.size))
    clusters = [(place, size, _members(decisions, inside, place)) for place, size in groups]
    places = {place for a, b, _, _ in pairs for place in (a, b)} | {place for place, _ in groups}
    places |= set(empty[:OTHERS].tolist()) | set(short[:OTHERS].tolist())
    places |= {place for _, _, members in clusters for place in members} if subject.columns else set()
    texts, values = _read(subject, places | {place for _, place in heavy}, tell)

    def name(place: int) -> str:
        return str(subject.named(np.array([place], np.int64))[0])

    def shown(place: int) -> Shown:
        return Shown(name(place), values.get(place, []))

    return {
        "version": __version__,
        "source": subject.documents.description,
        "summary": summary,
        "largest": max((size for _, size in groups), default=0) + 1,
        "parameters": _parameters(result, summary),
        "curve": [] if subject.curve is None else [(x, subject.curve(x)) for x in np.linspace(0, 1, 101).tolist()],
        "histogram": _histogram(subject.similarity, subject.low),
        "sizes": _size_bars(decisions.witness[inside]),
        "pairs": [Pair(kind, shown(a), shown(b), score, marked(texts[a], texts[b])) for a, b, score, kind in pairs],
        "clusters": [
            Cluster(
                size + 1,
                shown(place),
                shortened(texts[place]),
                [(shown(member), float(decisions.similarity[member])) for member in members],
            )
            for place, size, members in clusters
        ],
        "heavy": [(members, shortened(texts[place])) for members, place in heavy],
        "crowd": 0 if join.exact else join.crowd,
        "inside": result.settings.inside,
        "short": [(shown(place), shortened(texts[place])) for place in short[:OTHERS].tolist()],
        "empty": [shown(place) for place in empty[:OTHERS].tolist()],
        "steps": _steps(subject),
    }


def _pairs(subject: Subject, inside: PlaceArray, similarity: npt.NDArray[np.float64]) -> list[tuple[int, int, float, str]]:
    """Pairs to look at, by places: the least similar that matched, the most similar that did not, and some of all others."""
    witness, sets = subject.result.decisions.witness, subject.join.sets
    changed = np.flatnonzero(similarity < 1)
    order = changed[np.argsort(similarity[changed], kind="stable")]
    above = _different((int(witness[inside[i]]) for i in order), PAIRS)
    rest = np.delete(order, above)
    spread = rest[np.unique(np.linspace(0, len(rest) - 1, PAIRS).astype(np.int64))] if len(rest) else rest
    pairs = [(int(witness[inside[i]]), int(inside[i]), float(similarity[i]), "above") for i in order[above]]
    threshold, kept = subject.result.threshold, subject.result.decisions.kept[sets.place]
    missed = subject.join.near_misses(max(threshold - BELOW, BELOW), threshold, 100 * PAIRS)
    missed = missed.where(kept[missed.earlier] & kept[missed.later])
    a, b, scores = sets.place[missed.earlier], sets.place[missed.later], missed.similarity
    down = np.argsort(-scores, kind="stable")
    below = down[_different((int(a[i]) for i in down), PAIRS)]
    pairs += [(int(a[i]), int(b[i]), float(scores[i]), "below") for i in below]
    return pairs + [(int(witness[inside[i]]), int(inside[i]), float(similarity[i]), "among") for i in spread]


def _different(firsts: Iterable[int], most: int) -> list[int]:
    """Numbers of pairs, each of another first document."""
    seen: set[int] = set()
    found = []
    for number, first in enumerate(firsts):
        if first not in seen:
            seen.add(first)
            found.append(number)
        if len(found) == most:
            break
    return found


def _clusters(witness: PlaceArray) -> list[tuple[int, int]]:
    """The kept documents for which most were removed, and how many."""
    kept, counts = np.unique(witness, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:CLUSTERS]
    return list(zip(kept[order].tolist(), counts[order].tolist(), strict=True))


def _members(decisions: Any, inside: PlaceArray, place: int) -> list[int]:
    """The documents that were removed for one that stays, the least similar first; some of them where there are many."""
    members = inside[decisions.witness[inside] == place]
    least_first = np.argsort(decisions.similarity[members], kind="stable")
    return [int(member) for member in members[least_first[:MEMBERS]]]


def _read(
    subject: Subject, places: set[int], tell: Callable[[str, int, int | None], None]
) -> tuple[dict[int, str], dict[int, list[tuple[str, str]]]]:
    """The texts of some documents and what they have in the columns, read again; InputError where they are no longer those that were read."""
    many, wanted = len(subject.result.ids), sorted(places)
    ids = dict(zip(wanted, subject.named(np.array(wanted, np.int64)), strict=True))
    changed = InputError(f"{subject.documents.description}: no longer the {many:,} documents that were read; leave files alone meanwhile")
    texts: dict[int, str] = {}
    values: dict[int, list[tuple[str, str]]] = {}
    start = 0
    for batch in subject.documents.batches(columns=subject.columns):
        stop = start + len(batch.ids)
        here = wanted[bisect_left(wanted, start) : bisect_left(wanted, stop)]
        if any(batch.ids[place - start] != ids[place] for place in here):
            raise changed
        if here:
            own = strings(batch.texts)
            texts |= {place: own[place - start] for place in here}
            columns = [column.to_pylist() if hasattr(column, "to_pylist") else list(column) for column in batch.columns]
            values |= {place: _named(subject.columns, [column[place - start] for column in columns]) for place in here}
        start = stop
        tell("reporting", start, many)
    if start != many:
        raise changed
    return texts, values


def _named(columns: Sequence[str], row: Sequence[Any]) -> list[tuple[str, str]]:
    """What a document has in the columns to show, where it has something."""
    texts = {column: shortened(str(value)) for column, value in zip(columns, row, strict=True) if not is_missing(value)}
    return [(column, text) for column, text in texts.items() if text not in ("", "nan")]


def _histogram(similarity: npt.NDArray[np.float64], low: float) -> list[Bar]:
    """How many documents were removed at which similarity; those at 1 apart."""
    edges = np.linspace(low, 1, BARS + 1) if low < 1 else np.array([1.0])
    counts = np.histogram(similarity[similarity < 1], edges)[0].tolist() if len(edges) > 1 else []
    names = [f"{start:.3f} to {stop:.3f}" for start, stop in itertools.pairwise(edges.tolist())]
    return _bars([*names, "1"], [*counts, int((similarity >= 1).sum())])


def _size_bars(witness: PlaceArray) -> list[Bar]:
    """How many clusters have how many documents."""
    sizes = np.unique(witness, return_counts=True)[1] + 1
    bounds = [2, 3, 4, 5, 10, 20, 50, 100, 1000, 10_000, 2**62]
    names = [str(low) if high == low + 1 else f"{low:,} to {high - 1:,}" for low, high in itertools.pairwise(bounds)]
    names[-1] = "more"
    counts = np.histogram(sizes, bounds)[0].tolist()
    last = max((i for i, count in enumerate(counts) if count), default=0) + 1
    return _bars(names[:last], counts[:last])


def _bars(names: list[str], counts: list[int]) -> list[Bar]:
    most = max(counts, default=0) or 1
    return [Bar(name, many, many / most) for name, many in zip(names, counts, strict=True)]


def _steps(subject: Subject) -> list[tuple[float, int, bool]]:
    """Thresholds, how many documents each would remove, and whether just so many or at least so many."""
    result = subject.result
    thresholds = [round(float(x), 4) for x in np.linspace(result.threshold, 1, STEPS + 1)] if result.threshold < 1 else [1.0]
    higher = subject.removed_at(thresholds[1:])
    return [(thresholds[0], result.counters["removed"], True), *((x, *many) for x, many in zip(thresholds[1:], higher, strict=True))]


def _parameters(result: Any, summary: dict[str, Any]) -> list[tuple[str, str]]:
    shingling = result.minhash.shingling
    what = {"words": "words", "chars": "characters", "code": "words and marks"}.get(summary["tokens"], summary["tokens"])
    rows = [
        ("profile", summary["profile"]),
        ("threshold", f"{summary['threshold']:g}"),
        ("shingles", f"{shingling.size} {what}"),
        ("recall at the threshold", "1, all pairs were compared" if summary["exact"] else f"{summary['recall']:.4f}"),
        ("bands and rows", f"{summary['bands']} × {summary['rows']}, of {summary['num_perm']} slots"),
        ("verified by", VERIFIED[summary["verify"]]),
    ]
    if result.settings.inside:
        rows[4] = ("candidates", "share one shingle of a sample of one in four")
    elif summary["exact"]:
        del rows[4]
    options = [name for name in ("strip_diacritics", "fold_digits", "stop") if name in summary]
    return rows + ([("options", ", ".join(options))] if options else [])


#: What verification says of itself.
VERIFIED = {
    "exact": "the exact Jaccard similarity of shingles",
    "noisy": "similarity corrected for misread characters",
    "rarity": "similarity weighted by rarity",
    "contained": "the share of the smaller document in the larger",
}
