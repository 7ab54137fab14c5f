"""The index: documents come one by one or in batches, for ever; a query meets only the few that it might copy."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

import numpy as np

from neardup import profiles
from neardup.asking import SIMILARITY, Asked, Matches, Measure
from neardup.banding import Banding
from neardup.documents import Utf8, one_by_one
from neardup.errors import (
    DuplicateIdError,
    IncompatibleError,
    ParameterError,
    beside,
    check_integer,
    kind,
    one_of,
)
from neardup.ids import Id, check_id, check_ids
from neardup.minhash import MinHash, Signatures
from neardup.profiles import Verify, resolve
from neardup.shingling import Shingling, check_text
from neardup.stores import Answer, Document, HeavyBucket, Matcher, Store, StoreBatch, duplicate, preparation
from neardup.stores.memory import MemoryStore
from neardup.threads import number_of_threads
from neardup.verify import Match, Passage, shared_passages, verification_hashes

if TYPE_CHECKING:
    import pyarrow as pa

    from neardup.judging import Judge, View
    from neardup.stores.places import Where

#: Texts signed and looked up at a time.
SLICE = 4096
#: What else the ways to verify say of themselves.
EXTRA = {
    "exact": "",
    "estimate": ", similarities estimated",
    "noisy": ", similarities corrected for noise",
    "rarity": ", similarities weighted by rarity",
    "contained": ", 1 shingle of 4 sampled, by containment",
}


class Stats(NamedTuple):
    """What an index holds.

    Attributes
    ----------
    documents
        How many.
    nbytes
        Bytes that it takes, of memory or of disk.
    heavy_buckets
        Longest first: templates and boilerplate, which many distinct texts share.
    """

    documents: int
    nbytes: int
    heavy_buckets: list[HeavyBucket]


class Index:
    """Near-duplicates of a text among many, in sublinear time, every match verified.

    Parameters
    ----------
    threshold
        Least similarity of a match, above 0 and at most 1; by default the profile's, 0.8 for ``"text"``.
    profile
        What the texts are, from which all other parameters follow that are not given: ``"text"``, ``"ocr"``, ``"short"``,
        ``"code"`` or ``"excerpt"``, as in :meth:`neardup.Profile.named`.
    recall
        The probability that a document exactly at the threshold is found, above 0 and below 1, 0.99 by default; more similar
        ones are found with more.
    shingling
        What counts as the same words; word 5-shingles for ``"text"``.
    minhash
        How documents are signed; 128 slots by default.
    banding
        Bands and rows, instead of those that ``recall`` asks for.
    verify
        ``"exact"`` keeps the verification hashes, 4 bytes a distinct shingle: similarities are exact. ``"estimate"`` keeps one
        byte a slot, whatever the length: similarities are estimates, and the matches say so. Their standard error is about
        ``sqrt(J * (1 - J) / num_perm)``, 0.035 at a similarity of 0.8 with 128 slots; so of the pairs near the threshold some
        are missed, and some below it are reported. ``"noisy"`` keeps the verification hashes, and judges two texts by what
        they would share if every character had been read rightly (:mod:`neardup.noise`): similarities are estimates, which
        depend on what else is in the index, as it was when an eighth of it was last written, and as it is stored with it since.
        ``"rarity"``, which depends on it too, counts the shingles that few documents have for more (:mod:`neardup.rarity`): what
        differs in boilerplate alone is alike, and forms of one template are not; candidates have half the threshold by Jaccard
        similarity. ``"contained"`` finds the documents
        that contain a text, however long they are: the threshold is that of the containment, candidates share one of a sample
        of the shingles, one in four, and ``recall``, ``banding`` and ``num_perm`` mean nothing. An excerpt of 40 shingles is
        missed once in 10,000 times, one of 10 once in 10 (:func:`neardup.excerpts.found_in_longer`). One that is kept
        in a folder is read into memory when it is opened.
    bucket_limit
        How many members of one bucket a look-up reads, 1000 for ``"text"``. Copies of a text count once. An answer that met the limit says so.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Safe to use from many threads: queries run side by side, writes are atomic. (By estimates in memory, what follows on the signing
    of one text is a microsecond's work, which threads do in turns.) Not pickled or copied: :meth:`open` keeps an index on disk,
    where other processes read it.

    Examples
    --------
    >>> index = Index(threshold=0.7)
    >>> index.add("monday", "The committee will meet on Monday morning at ten in the town hall to vote on the budget.")
    >>> index.query("The committee will meet on Monday morning at ten in the town hall to vote on a budget.")
    [Match(id='monday', similarity=0.75, containment=0.857..., exact=True)]
    >>> index.query("The weather on Monday will be fine.")
    []
    """

    def __init__(
        self,
        threshold: float | None = None,
        *,
        profile: str | None = None,
        recall: float | None = None,
        shingling: Shingling | None = None,
        minhash: MinHash | None = None,
        banding: Banding | None = None,
        verify: Verify | None = None,
        bucket_limit: int | None = None,
    ) -> None:
        self._settings = resolve(
            profile,
            threshold,
            recall,
            shingling=shingling,
            minhash=minhash,
            banding=banding,
            verify=verify,
            bucket_limit=bucket_limit,
        )
        self._judge: Judge | None = None
        if self._settings.by_corpus:
            from neardup import judging

            self._judge = judging.Judge(judging.kind_of(self._settings))
        self._matcher = Matcher(Match, Matches, self._settings.slots)
        self._asked_by_default = Asked.of(self._settings)
        self._preparation = preparation(self.minhash, self.banding, lean=self._settings.slots > 0)
        self._store: Store = MemoryStore(self.banding.bands, self.bucket_limit, self._settings.slots, self._settings.sample)

    @property
    def profile(self) -> str:
        """What the texts are. This and all other parameters stay as they are: documents are stored by them."""
        return self._settings.profile

    @property
    def threshold(self) -> float:
        """The least similarity of a match."""
        return self._settings.threshold

    @property
    def minhash(self) -> MinHash:
        """How documents are signed."""
        return self._settings.minhash

    @property
    def banding(self) -> Banding:
        """By which bands candidates are found."""
        return self._settings.banding

    @property
    def verify(self) -> Verify:
        """How candidates are verified."""
        return self._settings.verify

    @property
    def bucket_limit(self) -> int:
        """The most members of one bucket that a look-up reads."""
        return self._settings.bucket_limit

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        threshold: float | None = None,
        *,
        profile: str | None = None,
        recall: float | None = None,
        shingling: Shingling | None = None,
        minhash: MinHash | None = None,
        banding: Banding | None = None,
        verify: Verify | None = None,
        bucket_limit: int | None = None,
        mode: Literal["a", "r+", "r"] = "a",
        name: str | None = None,
    ) -> Index:
        """An index in a folder or on a server; made there when there is none.

        Every change is on disk when the call that made it returns. In a folder one process writes; any number of others read what
        there was when they opened it, or called :meth:`refresh`. On a server all processes write and see what the others wrote.
        Close it, or use it in a ``with`` statement.

        Parameters
        ----------
        path
            The folder; or the address of a server, ``postgresql://user:password@host/database`` or ``redis://host``.
        threshold, profile, recall, shingling, minhash, banding, verify, bucket_limit
            As for :class:`Index`, when the index is new. One that is there knows its own: any that is given must agree.
        mode
            ``"a"`` reads and writes, and makes an index where there is none; ``"r+"`` does not make one; ``"r"`` only reads.
        name
            What the index is called on its server.

        Raises
        ------
        IncompatibleError
            If a parameter is not that of the index.
        ServerError
            If a server cannot be reached.
        MissingDependencyError
            If the package that speaks to it is not installed: ``neardup[postgres]`` or ``neardup[redis]``.
        FileNotFoundError
            If there is no index and ``mode`` is not ``"a"``.
        BlockingIOError
            If another process, or this one, has it open for writing.
        CorruptIndexError
            If what is there is damaged.

        Notes
        -----
        The folder keeps the ``secret`` of its shingling: who may read one knows the other. Tokens of a callable are made by
        the same callable again, which is given each time. Files of an index are mapped: another program that cuts one short
        while it is open ends this one.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Index.open(f"{folder}/news.neardup", threshold=0.7) as index:
        ...         index.add("monday", "The committee will meet on Monday at ten.")
        ...     with Index.open(f"{folder}/news.neardup", mode="r") as index:
        ...         index.query("the committee will meet on monday at TEN")
        [Match(id='monday', similarity=1.0, containment=1.0, exact=True)]
        """
        from neardup.stores import places

        place = places.named(path, name)
        if not one_of(mode, "a", "r+", "r"):
            raise ParameterError(f"mode is {mode!r}; it is 'a' to read and write, 'r+' where there is an index, or 'r' to read")
        places.refuse_excerpts(place, sample=verify == "contained" or (verify is None and profile == "excerpt"))
        stored = places.read_parameters(place)
        given: dict[str, Any] = dict(
            profile=profile, recall=recall, shingling=shingling, minhash=minhash, banding=banding, verify=verify, bucket_limit=bucket_limit
        )
        named = {name: value for name, value in given.items() if value is not None}
        if stored is None:
            if mode != "a":
                raise FileNotFoundError(f"no index in {place}; {places.another(place)}, or add documents to make one")
            index = cls(threshold, **named)
        else:
            settings = profiles.restored(stored, shingling if minhash is None else minhash.shingling, place)
            index = cls(settings.threshold, **settings.given)
            wanted = {"threshold": threshold, **named, "recall": recall if banding is None else None}
            own = {"threshold": index.threshold, **{name: getattr(index, name, None) for name in named}, "recall": stored.get("recall")}
            own |= {"shingling": index.minhash.shingling}
            for option, value in wanted.items():
                has = own[option]
                if value is not None and value != has:
                    raise IncompatibleError(
                        f"the index in {place} has {option} {has!r}, not {beside(value, has)}; give that, or leave it out"
                    )
        return index._kept_in(place, stored, writes=mode != "r")

    def _kept_in(self, place: Where, parameters: dict[str, Any] | None, *, writes: bool) -> Index:
        """Itself, empty as it is, in a store that has these parameters, or in a new one."""
        from neardup.stores import places

        if parameters is None:
            import secrets

            parameters = {**profiles.stored(self._settings), "recall": self._settings.recall, "id_seed": secrets.randbits(63)}
        shape = self.banding.bands, self.bucket_limit, self._settings.slots, self._settings.sample
        self._store = places.store(place, parameters, *shape, writes=writes)
        return self

    def save(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Write all documents to a new index, on disk or on a server, which :meth:`open` and :meth:`load` read.

        In a folder it is there whole or, after an error, not at all; what is left of it where the process was killed, or interrupted
        again while it was removed, is not opened. On a server the error tells that a part of it may be there.

        Parameters
        ----------
        path
            A new folder, or the address of a server, as for :meth:`open`.
        name
            Of the index, on a server.

        Raises
        ------
        FileExistsError
            If there is an index already.
        CorruptIndexError
            If one is being saved there, or was and not to its end.

        Examples
        --------
        >>> import tempfile
        >>> index = Index(0.7)
        >>> index.add("a", "one two three four five six")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index.save(f"{folder}/saved")
        ...     Index.load(f"{folder}/saved").query("One two three four five six")
        [Match(id='a', similarity=1.0, containment=1.0, exact=True)]
        """
        from neardup.stores import places

        place = places.named(path, name)
        if places.read_parameters(place) is not None:
            raise FileExistsError(f"there is an index in {place} already; {places.another(place)}")
        with places.filling(place), Index(self.threshold, **self._settings.given)._kept_in(place, None, writes=True) as saved:
            try:
                saved._take(self)
            except BaseException as error:
                places.discard(place, saved._store, error)
                raise

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, shingling: Shingling | None = None, name: str | None = None) -> Index:
        """The index in a folder or on a server, in memory: what is done to it afterwards stays there.

        Parameters
        ----------
        path, name
            As for :meth:`open`.
        shingling
            Where its tokens are those of a callable, the same one.

        Raises
        ------
        FileNotFoundError
            If there is no index.
        CorruptIndexError
            If it is damaged.

        Examples
        --------
        See :meth:`save`.
        """
        with cls.open(path, shingling=shingling, mode="r", name=name) as stored:
            index = cls(stored.threshold, **stored._settings.given)
            index._take(stored)
            return index

    def _take(self, other: Index) -> None:
        """Become, empty as it is, a copy of another index: what it learnt of its documents comes with them."""
        self.merge(other)
        if self._judge is not None:
            from neardup.judging import copy_learnt

            copy_learnt(other._store, self._store)

    def merge(self, other: Index) -> None:
        """Add all documents of another index.

        Parameters
        ----------
        other
            Of the same ``minhash``, ``banding`` and ``verify``.

        Raises
        ------
        IncompatibleError
            If a parameter differs.
        DuplicateIdError
            If an id is in both; nothing is added.

        Examples
        --------
        >>> monday, tuesday = Index(), Index()
        >>> monday.add("a", "one text")
        >>> tuesday.add("b", "another text")
        >>> monday.merge(tuesday)
        >>> monday.ids()
        ['a', 'b']
        """
        if not isinstance(other, Index):
            raise TypeError(f"other is of type {kind(other)}; it is a neardup.Index")
        for name in ("minhash", "banding", "verify"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise IncompatibleError(
                    f"{name} is {mine!r} here and {beside(theirs, mine)} there; only indexes of equal parameters are merged"
                )
        known = set(self.ids())
        for id in other.ids():
            if id in known:
                raise DuplicateIdError(f"document {id!r} is in both, nothing was added; remove it from one of them")
        for ids, batch in other._store.batches():
            self._store.add(ids, batch, number_of_threads(None))

    def stats(self) -> Stats:
        """How many documents there are, what they take, and the buckets that everyone falls into.

        Examples
        --------
        >>> Index().stats().heavy_buckets
        []
        """
        heavy = [HeavyBucket(*row) for row in self._store.heavy(self.bucket_limit)]
        return Stats(len(self), self._store.nbytes(), sorted(heavy, key=lambda bucket: (-bucket.members, bucket.band)))

    def check(self) -> list[str]:
        """Read all of an index on disk, and make again what is derived from its documents.

        Returns
        -------
        list of str
            The files that were mended.

        Raises
        ------
        CorruptIndexError
            If something is damaged that cannot be made again.

        Examples
        --------
        >>> Index().check()
        []
        """
        return self._store.check(number_of_threads(None))

    def query_stored(self, id: Id, *, top: int | None = None, threshold: float | None = None, measure: Measure = SIMILARITY) -> Matches:
        """The other documents that a stored one matches, as :meth:`query` finds them for a text.

        In memory this reads all postings, some 20 ms for a million documents; on disk it is a look-up as any other.

        Parameters
        ----------
        id
            The stored document.
        top, threshold, measure
            As for :meth:`query`.

        Raises
        ------
        UnknownDocumentError
            If there is no document of this id.

        Examples
        --------
        >>> index = Index()
        >>> index.add_many("ab", ["one two three four five six", "One two three four five six!"])
        >>> [match.id for match in index.query_stored("a")]
        ['b']
        """
        asked, id = self._asked(top, threshold, measure), check_id(id)
        (every,) = self._found_in(self._store.stored(id), 1, replace(asked, top=None))
        matches = Matches([match for match in every if match.id != id][:top])
        matches.truncated = every.truncated
        return matches

    def refresh(self) -> None:
        """See what others wrote since an index on disk was opened with ``mode="r"``; nothing changes for any other.

        Examples
        --------
        >>> Index().refresh()
        """
        self._store.refresh()

    def compact(self) -> None:
        """Rewrite an index on disk as one segment without what was removed; nothing changes for one in memory.

        Examples
        --------
        >>> Index().compact()
        """
        self._store.compact(number_of_threads(None))

    def close(self) -> None:
        """Let go of files; an index in memory has none. Nothing else is asked of the index after that.

        Examples
        --------
        >>> Index().close()
        """
        self._store.close()

    def __enter__(self) -> Index:  # noqa: PYI034  Self is of Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def recall(self) -> float:
        """The probability that a document exactly at the threshold becomes a candidate; for ``verify="noisy"``, a barely legible one."""
        return self._settings.recall_at(self.threshold)

    def __repr__(self) -> str:
        bands = "" if self._settings.inside else f", {self.banding.bands} bands of {self.banding.rows} rows"
        extra = EXTRA[self.verify]
        return f"<Index of {len(self):,} documents, threshold {self.threshold}, recall {self.recall:.4f}{bands}{extra}>"

    def _repr_html_(self) -> str:
        from neardup.notebook import curve, table

        shingling = self.minhash.shingling
        rows = [
            ("documents", len(self)),
            ("bytes", self._store.nbytes()),
            ("threshold", self.threshold),
            ("recall", self.recall),
            ("profile", self.profile),
            ("shingles", repr(shingling)),
            ("verify", self.verify),
        ]
        return f"<div>{table(repr(self), rows)}{curve(lambda x: self._settings.recall_at(x) if x else 0.0, self.threshold)}</div>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an index is not pickled or copied; Index.open(path) keeps one on disk, and each process opens it there")

    def __len__(self) -> int:
        return len(self._store)

    def __contains__(self, id: object) -> bool:
        try:
            name = check_id(id)
        except (TypeError, ValueError):  # no document has what is no id
            return False
        return name in self._store

    def ids(self) -> list[Id]:
        """The ids of all documents, in order of insertion.

        Examples
        --------
        >>> index = Index()
        >>> index.add_many([3, "x"], ["one text", "another text"])
        >>> index.ids()
        [3, 'x']
        """
        return self._store.ids()

    def _sign(self, texts: Iterable[str] | Utf8, threads: int) -> Signatures:
        return self.minhash.sign_many(texts, threads, hashes=not self._settings.slots)

    def _checked(self, signatures: Signatures) -> Signatures:
        if not isinstance(signatures, Signatures):
            raise TypeError(f"signatures are of type {kind(signatures)}; they are neardup.Signatures, as MinHash.sign_many gives them")
        self.minhash.require_same(signatures.minhash, "the signatures were")
        return signatures

    def _batch(self, signatures: Signatures, threads: int) -> StoreBatch:
        return StoreBatch.of(signatures, self.banding, threads, lean=self._settings.slots > 0)

    def _asked(self, top: int | None, threshold: float | None, measure: Measure) -> Asked:
        if top is threshold is None and (measure is SIMILARITY or one_of(measure, SIMILARITY)):
            return self._asked_by_default
        return Asked.of(self._settings, top, threshold, measure)

    def _document(self, text: str) -> Document:
        """A text as one document, which is signed with the rest of what is asked where that can be."""
        check_text(text)
        return text if self.minhash.shingling.plain and not self.minhash.as_datasketch else self._sign([text], threads=1)

    def _one(self, text: str) -> StoreBatch:
        return StoreBatch(*self._preparation.prepare(self._document(text)).arrays())

    def add(self, id: Id, text: str) -> None:
        """Add a document.

        Raises
        ------
        DuplicateIdError
            If the id is in the index already; nothing changes.
        TypeError
            If the text is not a string or the id neither string nor integer.

        Examples
        --------
        >>> index = Index()
        >>> index.add("a", "some text")
        >>> "a" in index, len(index)
        (True, 1)
        """
        id = check_id(id)
        self._store.add([id], self._one(text))

    def add_many(
        self, ids: Iterable[Id], texts: Iterable[str] | Utf8, threads: int | None = None, *, batch_size: int | None = None
    ) -> None:
        """Add many documents, all or none of them, or batch by batch.

        Parameters
        ----------
        ids
            As many as texts, all different.
        texts
            Any iterable of strings, an Arrow string column, a pandas or polars Series.
        threads
            How many sign; by default the processors this process may use.
        batch_size
            Documents of one transaction: of each batch all are added or none, and ids and texts are read as they are needed.
            An error says how many were added before its batch. By default all documents are one batch.

        Raises
        ------
        DuplicateIdError
            If an id is in the index already or given twice; nothing of its batch is added.
        ParameterError
            If there are not as many ids as texts.

        Examples
        --------
        >>> index = Index()
        >>> index.add_many(range(3), ["a b c d e f", "A b c, d e f!", "g"])
        >>> [match.id for match in index.query("a b c d e f")]
        [0, 1]
        """
        workers = number_of_threads(threads)
        if batch_size is None:
            self._add(check_ids(ids), self._sign(texts, workers), workers, "text")
            return
        check_integer("batch_size", batch_size, 1, 2**31)
        every_id, added = iter(ids), 0
        every_text = one_by_one(texts)
        try:
            while True:
                names, batch = list(itertools.islice(every_id, batch_size)), list(itertools.islice(every_text, batch_size))
                if not names and not batch:
                    return
                self._add(check_ids(names), self._sign(batch, workers), workers, "text")
                added += len(names)
        except BaseException as error:
            if hasattr(error, "add_note"):
                error.add_note(f"{added:,} documents were added, in batches of {batch_size:,}, before the one of this error")
            raise

    def add_signatures(self, ids: Iterable[Id], signatures: Signatures, threads: int | None = None) -> None:
        """Add documents that are signed already, all or none of them: as :meth:`add_many` adds their texts.

        Parameters
        ----------
        ids
            As many as signatures, all different.
        signatures
            Made by a :class:`MinHash` equal to the index's ``minhash``; for an index of ``verify="exact"`` with ``hashes=True``.
        threads
            How many cut them into bands; by default the processors this process may use.

        Raises
        ------
        IncompatibleError
            If they were made with other parameters, or carry no shingle hashes and should.
        DuplicateIdError
            If an id is in the index already or given twice; nothing is added.
        ParameterError
            If there are not as many ids as signatures.
        TypeError
            If the signatures are something else.

        Examples
        --------
        >>> index = Index()
        >>> signatures = index.minhash.sign_many(["one two three four five", "six"], hashes=True)
        >>> index.add_signatures(["a", "b"], signatures)
        >>> index.query("six")
        [Match(id='b', similarity=1.0, containment=1.0, exact=True)]
        """
        self._add(check_ids(ids), self._checked(signatures), number_of_threads(threads), "signature")

    def _add(self, names: list[Id], signatures: Signatures, threads: int, what: str) -> None:
        if len(names) != len(signatures):
            raise ParameterError(f"{len(names)} ids and {len(signatures)} {what}s; give one id to each {what}")
        self._store.add(names, self._batch(signatures, threads), threads)

    def add_unless_duplicate(self, id: Id, text: str) -> Match | None:
        """Add a document unless it matches one that is there; atomic among threads.

        Returns
        -------
        Match or None
            The best match, and nothing was added; or None, and the document was.

        Raises
        ------
        DuplicateIdError
            If the id is in the index already; nothing changes.

        Examples
        --------
        >>> index = Index()
        >>> index.add_unless_duplicate("a", "one two three four five six")
        >>> index.add_unless_duplicate("b", "One two three, four five six.").id
        'a'
        >>> len(index)
        1
        """
        id = check_id(id)
        batch = self._one(text)
        if self._judge is not None:
            return self._add_unless_alike(self._judge, id, batch)
        hits = self._store.add_unless_match(id, batch, self.threshold)
        return self._matches(int(batch.sizes[0]), (hits, False), self._asked(1, None, "similarity"))[0] if hits else None

    def remove(self, id: Id) -> None:
        """Remove a document.

        Raises
        ------
        UnknownDocumentError
            If there is none of this id.

        Examples
        --------
        >>> index = Index()
        >>> index.add(7, "seven")
        >>> index.remove(7)
        >>> len(index)
        0
        """
        self._store.remove(check_id(id))

    def update(self, id: Id, text: str) -> None:
        """Give a document another text.

        Raises
        ------
        UnknownDocumentError
            If there is none of this id.

        Examples
        --------
        >>> index = Index()
        >>> index.add("a", "the first wording of it")
        >>> index.update("a", "quite another wording now")
        >>> index.query("the first wording of it")
        []
        """
        self._store.replace(check_id(id), self._one(text))

    def _add_unless_alike(self, judge: Judge, id: Id, batch: StoreBatch) -> Match | None:
        with judge.deciding:
            if id in self._store:
                raise duplicate(id)
            for match in self._found_in(batch, 1, self._asked_by_default)[0]:
                return match
            self._store.add([id], batch)
            return None

    def _matches(self, n: int, answer: Answer, asked: Asked, hashes: Any = None, view: View | None = None) -> Matches:
        """The hits of a document of ``n`` shingles, as people see them; its verification hashes are for a judge's view."""
        if view is None:
            return asked.of_all(self._matcher.matches(n, answer))
        hits, truncated = answer
        matches = Matches()
        if hits:
            matches += view.matches(self._store, hits, hashes, asked.threshold, contained=asked.measure != SIMILARITY)
        if truncated:
            matches.truncated = True
        return asked.of_all(matches)

    def query(self, text: str, *, top: int | None = None, threshold: float | None = None, measure: Measure = SIMILARITY) -> Matches:
        """The documents that a text matches, best first, verified; ties by id.

        Parameters
        ----------
        text
            The text to look up.
        top
            The most matches to return, 1 or more; all by default.
        threshold
            Instead of the index's, above 0 and at most 1.
        measure
            What is at the threshold or above and says which match is better. ``"similarity"``, or ``"containment"``: the
            share of the text's shingles that the stored document has. Either way the bands choose the candidates by
            similarity, which is never more than the containment: a short text inside a long one is rarely among them.

        Returns
        -------
        list of Match
            With an attribute ``truncated``: whether a bucket was longer than one look-up reads.

        Raises
        ------
        TypeError
            If the text is not a string.
        ParameterError
            If ``top``, ``threshold`` or ``measure`` is not what it may be.

        Warns
        -----
        RecallWarning
            If ``threshold`` is below the index's, for which the bands were chosen.

        Examples
        --------
        >>> index = Index()
        >>> index.add("a", "to be or not to be that is the question")
        >>> index.query("To be, or not to be: that is the question!")
        [Match(id='a', similarity=1.0, containment=1.0, exact=True)]
        >>> index.add("b", "To be, or not to be: that is the question, whether 'tis nobler in the mind")
        >>> index.query("To be, or not to be: that is the question!", measure="containment", top=1)
        [Match(id='a', similarity=1.0, containment=1.0, exact=True)]
        """
        asked = self._asked(top, threshold, measure)
        return self._look_up(self._document(text), asked)

    def _look_up(self, document: Document, asked: Asked) -> Matches:
        if self._judge is not None:
            return self._found_in(StoreBatch(*self._preparation.prepare(document).arrays()), 1, asked)[0]
        matches = self._store.look_up(self._preparation, document, asked.least, self._matcher)
        # Without a call that can be spared: a look-up is short.
        return matches if len(matches) < 2 and asked.measure == SIMILARITY else asked.of_all(matches)

    def query_many(
        self,
        texts: Iterable[str] | Utf8,
        threads: int | None = None,
        *,
        top: int | None = None,
        threshold: float | None = None,
        measure: Measure = SIMILARITY,
    ) -> list[Matches]:
        """The matches of many texts, as :meth:`query` gives them one by one; what it warns of, once.

        Parameters
        ----------
        texts
            Any iterable of strings, an Arrow string column, a pandas or polars Series.
        threads
            How many sign, look up and verify; by default the processors this process may use.
        top, threshold, measure
            As for :meth:`query`.

        Examples
        --------
        >>> index = Index()
        >>> index.add("a", "one two three four five")
        >>> [[match.id for match in matches] for matches in index.query_many(["one two three four five", "six"])]
        [['a'], []]
        """
        workers, asked = number_of_threads(threads), self._asked(top, threshold, measure)
        return self._found(self._sign(texts, workers), workers, asked)

    def query_signatures(
        self,
        signatures: Signatures,
        threads: int | None = None,
        *,
        top: int | None = None,
        threshold: float | None = None,
        measure: Measure = SIMILARITY,
    ) -> list[Matches]:
        """The matches of documents that are signed already: as :meth:`query_many` gives those of their texts.

        Parameters
        ----------
        signatures
            Made by a :class:`MinHash` equal to the index's ``minhash``; for an index of ``verify="exact"`` with ``hashes=True``.
        threads
            How many look up and verify; by default the processors this process may use.
        top, threshold, measure
            As for :meth:`query`.

        Raises
        ------
        IncompatibleError
            If they were made with other parameters, or carry no shingle hashes and should.
        TypeError
            If they are something else.

        Examples
        --------
        >>> index = Index()
        >>> index.add("a", "one two three four five")
        >>> signatures = index.minhash.sign_many(["six", "One, two, three, four, five!"], hashes=True)
        >>> [[match.id for match in matches] for matches in index.query_signatures(signatures)]
        [[], ['a']]
        """
        asked = self._asked(top, threshold, measure)
        if type(signatures) is not Signatures or signatures.minhash is not self._settings.minhash:
            self._checked(signatures)
        # Both are asked of memory before it has answered: a look-up is short.
        _, counts = signatures.values, signatures.counts
        if threads is None and len(counts) == 1:
            return [self._look_up(signatures, asked)]
        return self._found(signatures, number_of_threads(threads), asked)

    def _found(self, signatures: Signatures, threads: int, asked: Asked) -> list[Matches]:
        return self._found_in(self._batch(signatures, threads), threads, asked)

    def _found_in(self, batch: StoreBatch, threads: int, asked: Asked) -> list[Matches]:
        view = None if self._judge is None else self._judge.view(self._store)
        answers: list[Answer] = []
        for start in range(0, batch.documents, SLICE):
            part = batch.part(start, start + SLICE)
            if view is None:
                answers += self._store.query(part, asked.least, threads)
            else:
                answers += view.query(self._store, part, asked.threshold if asked.measure == SIMILARITY else None, threads)
        each = zip(batch.sizes.tolist(), answers, itertools.pairwise(batch.offsets.tolist()), strict=True)
        return [self._matches(n, answer, asked, batch.evidence[start:stop], view) for n, answer, (start, stop) in each]

    def explain(self, id: Id, text: str, stored: str | None = None) -> list[Passage]:
        """The passages of a text that a stored document has too, longest first.

        Parameters
        ----------
        id
            The stored document.
        text
            The text to look through.
        stored
            The stored document's text, which an index does not keep. With it each passage is in one piece in both texts, and its
            ``stored_start`` is its place there.

        Raises
        ------
        UnknownDocumentError
            If there is no document of this id.
        ParameterError
            If ``stored`` is not the text of that document.
        IncompatibleError
            If the index keeps no shingle hashes: ``verify="estimate"``.

        Examples
        --------
        >>> index = Index()
        >>> index.add("a", "he said that the meeting was a great success for all of us")
        >>> [passage.text for passage in index.explain("a", "They said that the meeting was a success for all")]
        ['said that the meeting was a']
        >>> index.explain("a", "Was a great success for all", stored="He said that the meeting was a great success for all of us.")
        [Passage(start=0, stop=6, text='was a great success for all', stored_start=5)]
        """
        check_text(text)
        hashes = self._store.evidence(check_id(id))
        if self._settings.slots:
            raise IncompatibleError("an index of verify='estimate' keeps no shingles to show; make it with verify='exact'")
        if stored is not None:
            check_text(stored)
            if not np.array_equal(verification_hashes(self.minhash.shingling.hashes(stored)), hashes):
                raise ParameterError(f"the text given as that of document {id!r} is another one; give the text that was added")
        return shared_passages(text, hashes, self.minhash.shingling, stored)

    def pairs(self, *, max_pairs: int = 10_000_000, threads: int | None = None) -> pa.Table:
        """All matching pairs of documents in the index, however long their buckets.

        The verification hashes of an index in memory are there twice for a moment, and what is beyond a megabyte of them goes to a
        temporary file, below TMPDIR.

        Parameters
        ----------
        max_pairs
            The most that may be listed: m copies of one text make m * (m - 1) / 2 pairs.
        threads
            How many verify; by default the processors this process may use.

        Returns
        -------
        pyarrow.Table
            Columns ``a`` and ``b``, a before b (integers before strings, each in their order), and ``similarity``, sorted by
            a and b: the same for any order of insertion.

        Raises
        ------
        ParameterError
            If there are more than ``max_pairs``.

        Examples
        --------
        >>> index = Index()
        >>> index.add_many("xyz", ["a b c d e f g", "A b c d e f g", "something else"])
        >>> index.pairs().to_pylist()
        [{'a': 'x', 'b': 'y', 'similarity': 1.0}]
        """
        from neardup.pairs import pairs_of

        check_integer("max_pairs", max_pairs, 0, 2**63 - 1)
        return pairs_of(self._store, self._settings, self._judge, max_pairs, number_of_threads(threads))
