"""Where an index lives: one protocol, :class:`Store`, and a module for each kind of place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.banding import Banding
from neardup.errors import DuplicateIdError, UnknownDocumentError
from neardup.ids import Id
from neardup.minhash import MinHash, Signatures

#: What makes one document ready for a store, as :meth:`StoreBatch.of` does many.
Preparation = _kernels.Preparation
#: What tells what was found, as matches of some class.
Matcher = _kernels.Matcher
Told = TypeVar("Told", bound="list[Any]")
#: One document to be made ready: a text, or signatures of which it is the first.
Document: TypeAlias = "str | Signatures"


class StoreBatch(NamedTuple):
    """Documents as a store takes them.

    Attributes
    ----------
    fingerprints
        What the bands keep of the band keys, uint32[n, bands].
    set_hashes
        The names by which documents of one shingle set find each other, uint64[n].
    sizes
        Distinct shingles, uint32[n]. A document of 0 matches nothing.
    evidence, offsets
        What document i is verified by is ``evidence[offsets[i]:offsets[i + 1]]``, uint32: its verification hashes, or its
        lean signature, four slots a word.
    """

    fingerprints: npt.NDArray[np.uint32]
    set_hashes: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint32]
    evidence: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, signatures: Signatures, banding: Banding, threads: int = 1, *, lean: bool = False) -> StoreBatch:
        """Signatures cut into bands, with their verification hashes or as lean signatures.

        Raises
        ------
        IncompatibleError
            If the signatures carry no verification hashes and should.
        """
        if lean:
            words = _kernels.lean_signatures(signatures.values, threads)
            evidence, offsets = words.ravel(), np.arange(len(words) + 1, dtype=np.uint64) * np.uint64(words.shape[1])
            sizes = signatures.sizes
        else:
            evidence, offsets = signatures.require_hashes(), signatures.offsets
            sizes = np.diff(offsets).astype(np.uint32)
        keys = banding.keys(signatures.values, threads)
        return cls(_kernels.fingerprints(keys), _kernels.set_hashes(evidence, offsets, keys), sizes, evidence, offsets)

    @property
    def documents(self) -> int:
        """How many documents."""
        return len(self.set_hashes)

    def is_same(self, a: int, b: int) -> bool:
        """Whether two documents have the same size and evidence."""
        one, other = (self.evidence[int(self.offsets[i]) : int(self.offsets[i + 1])] for i in (a, b))
        return bool(self.sizes[a] == self.sizes[b]) and np.array_equal(one, other)

    def part(self, start: int, stop: int) -> StoreBatch:
        """The documents from one place to another, without copying them."""
        rows = slice(start, stop)
        return StoreBatch(self.fingerprints[rows], self.set_hashes[rows], self.sizes[rows], self.evidence, self.offsets[start : stop + 1])

    def take(self, places: npt.NDArray[np.int64]) -> StoreBatch:
        """The documents at these places, in this order."""
        words = np.diff(self.offsets)[places]
        offsets = np.concatenate((np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)))
        starts = self.offsets[:-1][places].astype(np.int64) - offsets[:-1].astype(np.int64)
        gather = np.repeat(starts, words.astype(np.int64)) + np.arange(int(offsets[-1]))
        return StoreBatch(self.fingerprints[places], self.set_hashes[places], self.sizes[places], self.evidence[gather], offsets)

    @classmethod
    def concatenate(cls, batches: Sequence[StoreBatch]) -> StoreBatch:
        """Several batches as one."""
        if len(batches) == 1:
            return batches[0]
        words = np.concatenate([np.diff(batch.offsets) for batch in batches])
        return cls(
            np.concatenate([batch.fingerprints for batch in batches]),
            np.concatenate([batch.set_hashes for batch in batches]),
            np.concatenate([batch.sizes for batch in batches]),
            np.concatenate([batch.evidence[int(batch.offsets[0]) : int(batch.offsets[-1])] for batch in batches]),
            np.concatenate((np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64))),
        )


#: A stored document that a look-up found and verified: its id; its agreement, the verification hashes that it shares, or the
#: slots in which its lean signature agrees; its distinct shingles. A plain tuple, as the kernels make it: look-ups are short.
Hit: TypeAlias = tuple[Id, int, int]
#: The hits of one look-up, and whether it met a bucket longer than it may read.
Answer: TypeAlias = tuple[list[Hit], bool]


def first_sets(batches: Iterable[StoreBatch], hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """The verification hashes of the first shingle sets of batches, about so many, each set once, and how many each has."""
    taken: list[StoreBatch] = []
    for batch in batches:
        taken.append(batch)
        hashes -= int(batch.offsets[-1] - batch.offsets[0])
        if hashes <= 0:
            break
    if not taken:
        return np.empty(0, np.uint32), np.empty(0, np.uint32)
    every = StoreBatch.concatenate(taken)
    _, places = np.unique(every.set_hashes, return_index=True)
    places.sort()
    some = every.take(places[every.sizes[places] > 0])
    return some.evidence, some.sizes


#: How much was read rightly of each document of a batch, float64[n], the corrected similarity of a match, and the number of
#: what knows that: of other documents a store knows it by the same number, or not at all.
Readings: TypeAlias = tuple[npt.NDArray[np.float64], float, int]


class Extent(NamedTuple):
    """What tells whether what was learnt of a store's documents still holds.

    Attributes
    ----------
    documents
        How many there are.
    written
        A number that grows with each that is written, whoever writes it.
    learnt
        The last 8 bytes of what is stored of them; none where nothing is.
    """

    documents: int
    written: int
    learnt: bytes


class HeavyBucket(NamedTuple):
    """A bucket longer than one look-up reads: ``members`` distinct texts that agree in a band, of which ``example`` has one."""

    band: int
    members: int
    example: Id


class Store(Protocol):
    """What an index asks of the place where it lives.

    Writes are atomic: another thread sees all of one or nothing of it. Ids are strings or integers.
    """

    def __len__(self) -> int: ...

    def __contains__(self, id: Id) -> bool: ...

    def ids(self) -> list[Id]:
        """All ids, in order of insertion; a document that was replaced comes last."""

    def add(self, ids: list[Id], batch: StoreBatch, threads: int = 1) -> None:
        """Add documents. DuplicateIdError, and nothing added, when an id is there already."""

    def add_unless_match(self, id: Id, batch: StoreBatch, threshold: float) -> list[Hit]:
        """Add one document, or return what it matches and add nothing."""

    def remove(self, id: Id) -> None:
        """Remove a document. UnknownDocumentError when it is not there."""

    def replace(self, id: Id, batch: StoreBatch) -> None:
        """Give a document another content. UnknownDocumentError when it is not there."""

    def look_up(self, preparation: Preparation, document: Document, threshold: float, matcher: Matcher[Told], /) -> Told:
        """What one document matches, as the matcher tells it."""

    def query(self, batch: StoreBatch, threshold: float, threads: int, readings: Readings | None = None) -> list[Answer]:
        """What each document of the batch matches; where they are readings, what cannot match by those may be left out."""

    def read_by(self, known: _kernels.WeightTable, clearest: float, least: float, number: int) -> None:
        """Learn how much of each document was read rightly, as readings of this number know it; a store need not."""

    def nearest(self, batch: StoreBatch, threshold: float, threads: int) -> list[Hit | None]:
        """Of all that each document matches the most similar, of equals the first; long buckets are read to their end."""

    def refresh(self) -> None:
        """See what another process wrote."""

    def compact(self, threads: int = 1) -> None:
        """Give back what removed documents take, and make looking up as quick as it can be."""

    def close(self) -> None:
        """Let go of files and connections; nothing else is asked of the store after that."""

    def stored(self, id: Id) -> StoreBatch:
        """A document as it was added, a batch of one. UnknownDocumentError when it is not there."""

    def batches(self) -> Iterator[tuple[list[Id], StoreBatch]]:
        """All documents, in order of insertion, some at a time."""

    def nbytes(self) -> int:
        """Bytes that it takes, of memory or of disk."""

    def heavy(self, limit: int) -> list[tuple[int, int, Id]]:
        """The buckets that more than ``limit`` shingle sets share: band, how many they are, and a document of one."""

    def check(self, threads: int = 1) -> list[str]:
        """Read all there is, and mend what can be: what was mended. CorruptIndexError when something cannot be."""

    def evidence(self, id: Id) -> npt.NDArray[np.uint32]:
        """What a document is verified by. UnknownDocumentError when it is not there."""

    def first(self, hashes: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """The verification hashes of the first shingle sets in order of insertion, about so many, and how many each has."""

    def extent(self) -> Extent:
        """What tells whether what was learnt of its documents still holds."""

    def learnt(self) -> bytes | None:
        """What was learnt of its documents, and stored with them."""

    def keep_learnt(self, new: bytes, old: bytes) -> bytes:
        """Store that in the place of what ended with these bytes, and return it; or what another process has put there meanwhile.

        Where it cannot be stored, it is returned: it is no reason not to answer.
        """


def preparation(minhash: MinHash, banding: Banding, *, lean: bool) -> Preparation:
    """What makes single documents ready, by how they are signed and cut into bands."""
    return _kernels.Preparation(minhash.recipe(hashes=not lean), banding.bands, banding.rows)


def duplicate(id: Id) -> DuplicateIdError:
    """What a store says of an id that it has."""
    return DuplicateIdError(f"document {id!r} is in the index already, nothing was added; update() replaces, remove() first")


def unknown(id: Id) -> UnknownDocumentError:
    """What a store says of an id that it has not."""
    return UnknownDocumentError(f"no document {id!r} in the index; `in` tells, ids() lists")
