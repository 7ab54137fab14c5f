"""Older corpora beside a new one: what each new document matches in them, and the index that takes what is kept."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash

from neardup import documents
from neardup.banding import Banding
from neardup.errors import DuplicateIdError, IncompatibleError, ParameterError, beside, kind
from neardup.ids import Id, PackedIds, check_ids, pack
from neardup.index import Index
from neardup.joins import Sets, Signed
from neardup.minhash import MinHash
from neardup.results import Older
from neardup.stores import StoreBatch
from neardup.stores.places import SERVERS, named, read_parameters
from neardup.verify import similarity
from neardup.work import Progress, Work

#: Documents that are added to an index, or looked up, at a time.
APPENDED = 1 << 16


class Parameters(NamedTuple):
    """What documents must have in common to be compared."""

    profile: str
    threshold: float
    minhash: MinHash
    banding: Banding
    threads: int


class Against:
    """Older corpora, and what documents of the new one match in them.

    An index is looked up as it is; files are put into one that lasts as long as the job.
    """

    def __init__(
        self,
        given: Any,
        corpus: documents.Documents,
        parameters: Parameters,
        opened: ExitStack,
        *,
        append: bool,
        text: str | None = None,
        id: str | None = None,
    ) -> None:
        self.parameters = parameters
        self._append = append
        sources = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
        self._columns = text, id
        for source in sources:
            self._fit(source)
        self.names = [repr(one) if isinstance(one, Index) else os.fspath(one) for one in sources]
        self._sources = sources
        #: The files that are older, by their place.
        self._files: dict[int, documents.Documents] = {}
        self.indexes = [self._opened(place, one, corpus, opened) for place, one in enumerate(sources)]
        for name, index in zip(self.names, self.indexes, strict=True):
            self._check(name, index)

    @staticmethod
    def _fit(source: Any) -> None:
        if not isinstance(source, Index | str | os.PathLike):
            raise TypeError(f"against is a {kind(source)}; it is a neardup.Index, the path of an index, file or folder, or a list of these")
        scheme, colon = ("", "") if isinstance(source, Index) else os.fspath(source).partition("://")[:2]
        if colon and scheme in SERVERS:
            raise ParameterError(
                f"against is an address at {scheme}://, which no job opens; give what neardup.Index.open gives of it, or a folder"
            )

    def _opened(self, place: int, source: Any, new: documents.Documents, opened: ExitStack) -> Index:
        if isinstance(source, Index):
            return source
        profile, threshold, minhash, banding, _ = self.parameters
        if self._append:
            named = None if profile == "text" else profile
            return opened.enter_context(Index.open(source, threshold, profile=named, minhash=minhash, banding=banding, verify="exact"))
        if (Path(source) / "catalog.sqlite").exists():
            shingling = minhash.shingling if callable(minhash.shingling.tokens) else None
            return opened.enter_context(Index.open(source, mode="r", shingling=shingling))
        self._files[place] = self._read(source, new)
        return self._indexed(self._files[place], opened)

    def _read(self, source: Any, new: documents.Documents) -> documents.Documents:
        text, id = self._columns
        try:
            corpus = documents.read(source, text=text, id=id)
        except ParameterError:  # text files have no columns
            corpus = documents.read(source)
        twice = corpus.shares(new)
        if twice is not None:
            raise ParameterError(
                f"{twice} is older and new at once, and each of its documents would be removed for itself; name other files"
            )
        return corpus

    def _indexed(self, corpus: documents.Documents, opened: ExitStack) -> Index:
        """The documents in files, as an index."""
        import tempfile

        _, threshold, minhash, banding, threads = self.parameters
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="neardup-"))
        index = opened.enter_context(Index.open(f"{folder}/older", threshold, minhash=minhash, banding=banding))
        for batch in corpus.batches(APPENDED):
            index.add_signatures(batch.ids, minhash.sign_many(batch.texts, threads=threads, hashes=True), threads)
        return index

    def _check(self, name: str, index: Index) -> None:
        _, _, minhash, banding, _ = self.parameters
        for what, theirs, ours in (
            ("minhash", index.minhash, minhash),
            ("banding", index.banding, banding),
            ("verify", index.verify, "exact"),
        ):
            if theirs != ours:
                raise IncompatibleError(
                    f"the index {name} has {what} {theirs!r}, and this run {beside(ours, theirs)}; use the same for both"
                )

    def state(self) -> list[Any]:
        """What tells whether they have changed since, for a job that goes on; the index that this job itself adds to does."""
        return [[name, self._append or self._state(place)] for place, name in enumerate(self.names)]

    def _state(self, place: int) -> list[Any]:
        if place in self._files:
            return self._files[place].state()
        store, source = self.indexes[place]._store, self._sources[place]
        if not isinstance(source, Index):  # a folder, which says so without all of it being read
            extent = store.extent()
            return [extent.documents, extent.written, (read_parameters(named(source, None)) or {}).get("id_seed")]
        digest = xxhash.xxh3_64()
        for ids, batch in store.batches():
            digest.update(pack(ids)[0].tobytes())
            digest.update(batch.set_hashes.tobytes())
        return [len(store), digest.hexdigest()]

    def keep_in(self, work: Work) -> None:
        """Keep what is found with other columns of the job."""
        self._place, self._score = work.column("older-place", np.int64), work.column("older-similarity", np.float64)
        self._corpus = work.column("older-corpus", np.int64)
        self._bytes, self._ends = work.column("older-ids", np.uint8), work.column("older-id-ends", np.uint64)

    def look_up(self, first: int, ids: list[Id], rows: StoreBatch) -> None:
        """Find the nearest older document of each of some documents, the first of which is at a place."""
        best: dict[int, tuple[float, int, Id]] = {}
        for corpus, index in enumerate(self.indexes):
            hits = index._store.nearest(rows, self.parameters.threshold, self.parameters.threads)
            added = [self._append and self._added(index, id, rows.part(i, i + 1)) for i, id in enumerate(ids)]
            for i, hit in enumerate(hits):
                if hit is not None and not added[i]:
                    older, agreement, size = hit
                    score = float(similarity(np.int64(agreement), np.int64(rows.sizes[i]), np.int64(size)))
                    if i not in best or score > best[i][0]:
                        best[i] = score, corpus, older
        places = sorted(best)
        self._place.append(np.array(places, np.int64) + first)
        self._score.append(np.array([best[i][0] for i in places], np.float64))
        self._corpus.append(np.array([best[i][1] for i in places], np.int64))
        data, ends = pack([best[i][2] for i in places])
        self._ends.append(ends + np.uint64(self._bytes.nbytes))
        self._bytes.append(data)

    @staticmethod
    def _added(index: Index, id: Id, row: StoreBatch) -> bool:
        """Whether an interrupted run has added this document already; it would match itself."""
        if id not in index:
            return False
        if not np.array_equal(index._store.evidence(id), row.evidence[int(row.offsets[0]) : int(row.offsets[1])]):
            raise DuplicateIdError(f"document {id!r} is in the index already, with another content; ids must not repeat from run to run")
        return True

    def matches(self, sets: Sets) -> Older:
        """What each shingle set of the corpus matches: that of its first document by rank."""
        row = np.full(len(sets.number), -1, np.int64)
        place = self._place.array()
        row[place] = np.arange(len(place))
        rows = row[sets.place]
        return Older(
            rows,
            np.append(self._score.array(), 0.0)[rows],
            PackedIds(self._bytes.array(), self._ends.array()),
            self._corpus.array(),
            self.names,
        )

    def add(self, ids: PackedIds, signed: Signed, kept: Any, tell: Progress) -> int:
        """Add the kept documents to the index, a transaction at a time, but for those that an interrupted run has added; how many."""
        (index,) = self.indexes
        added = 0
        for start in range(0, len(kept), APPENDED):
            places = kept[start : start + APPENDED]
            names = check_ids(ids.take(places))
            new = [i for i, name in enumerate(names) if name not in index]
            index._store.add([names[i] for i in new], signed.batch(places[new]), self.parameters.threads)
            added += len(new)
            tell("adding to the index", start + len(places), len(kept))
        return added
