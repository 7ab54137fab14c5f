"""The files of an index on disk as they are made: of documents, of the segment derived from them, and of several merged.

A segment is a function of its file of documents, so that all ways of writing one, and its repair, are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import CorruptIndexError
from neardup.ids import Id
from neardup.stores import StoreBatch, layout
from neardup.stores.layout import Column
from neardup.threads import on_threads

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Run = tuple[U32, npt.NDArray[np.uint8], U32]

#: In place of the entry of a document without shingles; the mark of a list of copies.
NONE, LIST = 2**32 - 1, 2**31
#: The columns of a file of documents.
TYPES = (np.uint32, np.uint64, np.uint8, np.uint64, np.uint32, np.uint64, np.uint32, np.uint32)
#: Values of a column of parts, ids or evidence, that are merged at a time.
PART = 1 << 22


class Home(NamedTuple):
    """An index on disk as its files know it.

    Attributes
    ----------
    folder
        Where they are.
    parameters
        What each of them repeats.
    bands, slots
        Fingerprints of a document; slots of a lean signature, 0 where there are verification hashes.
    id_seed
        What ids are hashed with.
    """

    folder: Path
    parameters: bytes
    bands: int
    slots: int
    id_seed: int


class Source(NamedTuple):
    """A file to be merged: where its columns are, its segment, and the documents that were removed from it, in order."""

    documents: layout.Layout
    segment: _kernels.Segment
    removed: U32


def write(home: Home, number: int, columns: Sequence[Column], threads: int = 1, *, proceed: Callable[[], None] = lambda: None) -> None:
    """Write a file of documents, and its segment. ``proceed`` is called now and then, and may raise to stop."""
    layout.write(home.folder, "documents", number, home.parameters, _watched(columns, proceed))
    try:
        derive(home, number, layout.read(home.folder, "documents", number, home.parameters), threads, proceed=proceed)
    except BaseException:  # nobody knows of the file; on a full disk it would stay in the way
        layout.file_name(home.folder, "documents", number).unlink(missing_ok=True)
        raise


def _watched(columns: Iterable[Column], proceed: Callable[[], None]) -> list[Column]:
    def pieces(of: Iterable[npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
        for piece in of:
            proceed()
            yield piece

    return [column._replace(pieces=pieces(column.pieces)) for column in columns]


def mapped(home: Home, number: int, *, mend: bool) -> Source:
    """A file of documents, none removed, and its segment, derived again if it is damaged and may be."""
    documents = layout.read(home.folder, "documents", number, home.parameters)

    def opened() -> _kernels.Segment:
        segment = layout.read(home.folder, "segments", number, home.parameters)
        with layout.damage(home.folder):
            return _kernels.Segment(number, documents, segment, home.bands, home.slots, home.id_seed)

    try:
        segment = opened()
    except (FileNotFoundError, CorruptIndexError):
        if not mend:
            raise
        derive(home, number, documents)
        segment = opened()
    return Source(documents, segment, np.zeros(0, np.uint32))


# ---- documents -----------------------------------------------------------------------------------------------------------


def columns_of(home: Home, ids: list[Id], batch: StoreBatch) -> list[Column]:
    """The columns of a file of documents."""
    shingled = np.flatnonzero(batch.sizes)

    def same(a: I64, b: I64) -> Bool:
        return np.array([batch.is_same(int(i), int(j)) for i, j in zip(shingled[a], shingled[b], strict=True)], np.bool_)

    own, numbers = _numbered(batch.set_hashes[shingled], same)
    entries = np.full(batch.documents, NONE, np.uint32)
    entries[shingled] = numbers
    one = batch.take(shingled[own])
    id_bytes, id_ends = _kernels.pack_ids(ids)
    columns: list[npt.NDArray[Any]] = [
        entries,
        id_ends,
        id_bytes,
        one.set_hashes,
        one.sizes if home.slots else np.zeros(0, np.uint32),
        np.zeros(0, np.uint64) if home.slots else one.offsets[1:],
        one.evidence,
        np.ascontiguousarray(one.fingerprints.T).ravel(),
    ]
    return [layout.column(values) for values in columns]


def _numbered(set_hashes: U64, same: Callable[[I64, I64], Bool]) -> tuple[Bool, U32]:
    """Which documents are the first of their shingle set, and the number of each document's set.

    Only documents of one set hash are compared, by ``same``, each with the first of them; those that differ from it among
    themselves once more.
    """
    first = np.arange(len(set_hashes))
    items = np.argsort(set_hashes, kind="stable")
    while len(items):
        ordered = set_hashes[items]
        later = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        begins = np.diff(later, prepend=-1) != 1
        heads = items[np.maximum.accumulate(np.where(begins, later - 1, 0))]
        others = items[later]
        equal = same(heads, others)
        first[others[equal]] = heads[equal]
        items = others[~equal]
    own = first == np.arange(len(first))
    return own, (np.cumsum(own, dtype=np.uint32) - np.uint32(1))[first]


# ---- several files as one ------------------------------------------------------------------------------------------------


class _Kept(NamedTuple):
    """What is kept of a file: which documents and entries, and the new number of each entry."""

    documents: Bool
    entries: Bool
    numbers: U32


def merged(home: Home, sources: Sequence[Source]) -> tuple[int, list[Column]]:
    """How many documents of some files were not removed, and the columns of a file of them; read when they are written.

    Memory: some 50 bytes a document and 30 an entry.
    """
    files = list(zip(sources, _kept(sources), strict=True))
    documents, entries = (
        sum(int(mask.sum()) for mask in masks) for masks in zip(*((k.documents, k.entries) for _, k in files), strict=True)
    )
    words = [_ends_of_evidence(home, source) for source in sources]
    ids = [layout.values(source.documents, 1, np.uint64) for source in sources]
    of_documents, of_entries = [keep.documents for _, keep in files], [keep.entries for _, keep in files]
    id_ends, word_ends = _new_ends(ids, of_documents), _new_ends(words, of_entries)

    def entry_of() -> Iterator[npt.NDArray[Any]]:
        for source, keep in files:
            yield np.append(keep.numbers, np.uint32(NONE))[_entries(source)[keep.documents]]

    def each(number: int, type: npt.DTypeLike) -> Iterator[npt.NDArray[Any]]:
        for source, keep in files:
            yield layout.values(source.documents, number, type)[keep.entries]

    def parts(number: int, type: npt.DTypeLike, ends: Sequence[U64], masks: Sequence[Bool]) -> Iterator[npt.NDArray[Any]]:
        for source, of, mask in zip(sources, ends, masks, strict=True):
            yield from _parts(source.documents, number, type, of, mask)

    def fingerprints() -> Iterator[npt.NDArray[Any]]:
        for band in range(home.bands):
            for source, keep in files:
                n = len(keep.entries)
                yield layout.values(source.documents, 7, np.uint32, band * n, (band + 1) * n)[keep.entries]

    return documents, [
        Column(np.uint32, documents, entry_of()),
        layout.column(id_ends),
        Column(np.uint8, _last(id_ends), parts(2, np.uint8, ids, of_documents)),
        Column(np.uint64, entries, each(3, np.uint64)),
        Column(np.uint32, entries, each(4, np.uint32)) if home.slots else layout.column(np.zeros(0, np.uint32)),
        layout.column(np.zeros(0, np.uint64) if home.slots else word_ends),
        Column(np.uint32, _last(word_ends), parts(6, np.uint32, words, of_entries)),
        Column(np.uint32, home.bands * entries, fingerprints()),
    ]


def _ends_of_evidence(home: Home, source: Source) -> U64:
    if home.slots:
        return np.arange(1, source.documents.columns[3][1] + 1, dtype=np.uint64) * np.uint64(-(-home.slots // 4))
    ends: U64 = layout.values(source.documents, 5, np.uint64)
    return ends


def _new_ends(ends: Sequence[U64], masks: Sequence[Bool]) -> U64:
    """Where parts end once only those of a mask are kept."""
    lengths = [np.diff(of, prepend=np.uint64(0))[mask] for of, mask in zip(ends, masks, strict=True)]
    return np.cumsum(np.concatenate(lengths), dtype=np.uint64)


def _last(ends: U64) -> int:
    return int(ends[-1]) if len(ends) else 0


def _entries(source: Source) -> U32:
    entries: U32 = layout.values(source.documents, 0, np.uint32)
    return np.minimum(entries, np.uint32(source.documents.columns[3][1]))  # of those without shingles, one after the last


def _kept(sources: Sequence[Source]) -> list[_Kept]:
    """What of some files is kept: of a shingle set that is in several, the first."""
    documents, used = [], []
    for source in sources:
        entries = _entries(source)
        there = np.ones(len(entries), np.bool_)
        there[source.removed] = False
        living = np.zeros(source.documents.columns[3][1] + 1, np.bool_)
        living[entries[there]] = True
        documents.append(there)
        used.append(living[:-1])
    hashes = np.concatenate([layout.values(source.documents, 3, np.uint64)[u] for source, u in zip(sources, used, strict=True)])
    starts = np.cumsum([0, *(u.sum() for u in used)])

    def same(a: I64, b: I64) -> Bool:
        equal = np.zeros(len(a), np.bool_)
        of_a, of_b = (np.searchsorted(starts, x, "right") - 1 for x in (a, b))
        for i, j in sorted({*zip(of_a.tolist(), of_b.tolist(), strict=True)}):
            these = (of_a == i) & (of_b == j)
            first, second = (np.flatnonzero(used[k])[x[these] - starts[k]].astype(np.uint32) for k, x in ((i, a), (j, b)))
            equal[these] = sources[i].segment.same_sets(first, sources[j].segment, second)
        return equal

    own, numbers = _numbered(hashes, same)
    kept = []
    for there, living, start, stop in zip(documents, used, starts[:-1], starts[1:], strict=True):
        first = np.zeros(len(living), np.bool_)
        first[living] = own[start:stop]
        new = np.full(len(living), NONE, np.uint32)
        new[living] = numbers[start:stop]
        kept.append(_Kept(there, first, new))
    return kept


def _parts(documents: layout.Layout, number: int, type: npt.DTypeLike, ends: U64, keep: Bool) -> Iterator[npt.NDArray[Any]]:
    """The parts of a column that are kept, where each ends as said; some at a time."""
    bounds = np.concatenate((np.zeros(1, np.int64), ends.astype(np.int64)))
    start = 0
    while start < len(keep):
        stop = max(start + 1, int(np.searchsorted(bounds, bounds[start] + PART, "right")) - 1)
        values = layout.values(documents, number, type, int(bounds[start]), int(bounds[stop]))
        these = keep[start:stop]
        yield values if these.all() else values[np.repeat(these, np.diff(bounds[start : stop + 1]))]
        start = stop


# ---- segments ------------------------------------------------------------------------------------------------------------


def derive(home: Home, number: int, documents: layout.Layout, threads: int = 1, *, proceed: Callable[[], None] = lambda: None) -> None:
    """Write the segment of a file of documents.

    Raises
    ------
    CorruptIndexError
        If the file is not one that neardup wrote, whatever its checksums say.
    """
    _check(home, documents)
    (_, count), (_, entries) = documents.columns[0], documents.columns[3]
    set_hashes = layout.values(documents, 3, np.uint64)
    members, copies = _members(layout.values(documents, 0, np.uint32), entries)

    def ids() -> U32:
        ends = np.concatenate((np.zeros(1, np.uint64), layout.values(documents, 1, np.uint64)))
        return _kernels.id_fingerprints(layout.values(documents, 2, np.uint8), ends, home.id_seed)

    def of_band(band: int) -> Run:
        fingerprints = layout.values(documents, 7, np.uint32, band * entries, (band + 1) * entries)
        return _kernels.sorted_run(fingerprints, set_hashes, band)

    def runs() -> Iterator[npt.NDArray[Any]]:
        yield from _kernels.sorted_run((set_hashes >> np.uint64(32)).astype(np.uint32))
        yield from _kernels.sorted_run(ids())
        for first in range(0, home.bands, threads):  # no more at a time than are worked on
            for run in on_threads(of_band, range(first, min(first + threads, home.bands)), threads):
                yield from run

    pieces = runs()
    columns = [layout.column(members), layout.column(copies)]
    for numbers in (entries, count, *[entries] * home.bands):
        directory = (1 << min(max((numbers // 16).bit_length() - 1, 0), 24)) + 1
        for type, length in ((np.uint32, directory), (np.uint8, numbers), (np.uint32, numbers)):
            columns.append(Column(type, length, islice(pieces, 1)))
    layout.write(home.folder, "segments", number, home.parameters, _watched(columns, proceed))


def _check(home: Home, documents: layout.Layout) -> None:
    """Refuse a file of documents whose columns do not fit together."""

    def ascend(column: int, type: npt.DTypeLike, most: int) -> bool:
        ends = layout.values(documents, column, type)
        return bool((ends[1:] >= ends[:-1]).all()) and _last(ends) == most

    def fit() -> bool:
        if len(documents.columns) != len(TYPES):
            return False
        for (offset, length), type in zip(documents.columns, TYPES, strict=True):
            size = np.dtype(type).itemsize
            if offset % size or offset + size * length > documents.data:
                return False  # of what lies within the file, no more than that is in memory
        count, id_ends, id_bytes, n, sizes, evidence_ends, evidence, fingerprints = (length for _, length in documents.columns)
        if (id_ends, fingerprints) != (count, home.bands * n) or (sizes if home.slots else evidence_ends) != n:
            return False
        entries = layout.values(documents, 0, np.uint32)
        used = entries[entries != NONE]
        if (used >= n).any() or not np.bincount(used, minlength=n).all() or not ascend(1, np.uint64, id_bytes):
            return False  # each has a document, and there are no others
        return evidence == n * -(-home.slots // 4) if home.slots else ascend(5, np.uint64, evidence)

    if not fit():
        raise CorruptIndexError(f"{documents.path} is damaged: its columns do not fit together; {layout.REMEDIES['documents']}")


def _members(entries: U32, count: int) -> tuple[U32, U32]:
    """The one document of each entry, or where its list begins among the copies: their number, then they."""
    order = np.argsort(entries, kind="stable").astype(np.uint32)
    order = order[: int((entries != NONE).sum())]
    counts = np.bincount(entries[order], minlength=count).astype(np.int64)
    starts = np.cumsum(counts) - counts
    members = order[starts] if count else np.zeros(0, np.uint32)
    many = np.flatnonzero(counts > 1)
    if not len(many):
        return members, np.zeros(0, np.uint32)
    places = np.cumsum(counts[many] + 1) - (counts[many] + 1)
    copies = np.empty(int((counts[many] + 1).sum()), np.uint32)
    copies[places] = counts[many]
    for entry, place in zip(many.tolist(), places.tolist(), strict=True):
        copies[place + 1 : place + 1 + counts[entry]] = order[starts[entry] : starts[entry] + counts[entry]]
    members[many] = (places | LIST).astype(np.uint32)
    return members, copies
