"""A whole corpus at once: which documents to keep, which to remove, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np

from neardup import documents
from neardup.against import Against, Parameters
from neardup.banding import Banding
from neardup.clusters import first_kept
from neardup.errors import ParameterError, check_fraction, check_integer, one_of
from neardup.frequent import flat_hashes, frequent_shingles, without
from neardup.ids import Mask, PackedIds, pack
from neardup.joins import AT_HAND, Edges, Join, Judge, Sets, Signed
from neardup.minhash import MinHash, Signatures
from neardup.profiles import Settings, resolve
from neardup.ranking import Keep, Ranking
from neardup.results import Result, decide, outcome
from neardup.shingling import Shingling, sealed
from neardup.spool import memory_bytes
from neardup.stores import StoreBatch
from neardup.threads import number_of_threads
from neardup.work import KEPT, Progress, Work

#: Signs the texts of a batch.
Sign = Callable[[Any], Signatures]

#: Comparisons a set, on average, beyond which sets that no other precedes are decided before the rest.
CROWDED = 64
#: The most pairs that ``pairs="all"`` lists unless told otherwise.
MAX_PAIRS = 10_000_000
#: Bytes of text that a thread signs at a time: what signing needs beside its result is a few times that.
SIGNED = 1 << 20
#: Documents of which :func:`estimate` learns what the others will take.
SAMPLED = 20_000
#: What a process takes before it has read anything, and what a comparison takes: bytes, seconds.
PROCESS, COMPARISON = 150 << 20, 1e-7


def deduplicate(
    source: Any,
    threshold: float | None = None,
    *,
    profile: str | None = None,
    text: str | None = None,
    id: str | None = None,
    keep: Keep = "first",
    order: str | None = None,
    clusters: Literal["witness", "components"] = "witness",
    exact: bool = False,
    recall: float | None = None,
    shingling: Shingling | None = None,
    minhash: MinHash | None = None,
    banding: Banding | None = None,
    verify: Literal["exact", "noisy", "rarity", "contained"] | None = None,
    bucket_limit: int | None = None,
    pairs: Literal["decisions", "all"] = "decisions",
    max_pairs: int = MAX_PAIRS,
    against: Any = None,
    append: bool = False,
    drop_frequent: float | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    work: str | os.PathLike[str] | None = None,
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
        Least similarity of near-duplicates, above 0 and at most 1; by default the profile's, 0.8 for ``"text"``.
    profile
        What the texts are, from which all other parameters follow that are not given: ``"text"``, ``"ocr"``, ``"short"``,
        ``"code"`` or ``"excerpt"``, as in :meth:`neardup.Profile.named`.
    text, id
        The names of the columns; guessed when obvious.
    keep
        Which document of those that match is kept: the ``"first"``, the ``"last"``, or the ``"longest"`` in characters; that
        of the least value in a column, ``"date"``, or of the greatest, ``"-score"``; that whose value comes first in a list,
        ``{"source": ["Reuters", "AP"]}``; or that for which a function of id and text returns the least. Of equal ones the
        first, and what has no value comes last. Files rank in the order in which they are given. In CSV an empty cell has no
        value, and a column is compared as numbers where all its other cells in all files are numbers of 64 bits, otherwise as text.
    order
        A column that says which document comes first, instead of its position; compared as that of ``keep``.
    clusters
        ``"witness"`` removes what matches a kept document; ``"components"`` keeps one document of all that chains of matches
        connect, so that a removed document may be less similar to its witness than the threshold.
    exact
        Find all pairs at or above the threshold, by a join of rare shingles instead of band keys: slower.
    recall
        The probability that a pair exactly at the threshold is found, 0.99 by default; more similar pairs are found with more.
        Of those that share but one or two shingles it holds up to 0.99 (:meth:`Banding.probability`); ``exact`` finds all.
    shingling, minhash, banding
        What counts as the same words, how documents are signed, bands and rows: as in :class:`neardup.Index`.
    verify
        ``"exact"``; ``"noisy"``: by what two texts would share if every character had been read rightly
        (:mod:`neardup.noise`); or ``"rarity"``: what few documents have counts for more than boilerplate
        (:mod:`neardup.rarity`), candidates have half the threshold by Jaccard similarity. ``"contained"`` removes what is
        inside a longer document, at the threshold: similarities are containments, and the document of more shingles is kept.
    bucket_limit
        Leave out buckets of more members: what only shares shingles that so many others have is not found. By default, but for
        the profile ``"ocr"``, all matches in them are.
    pairs
        What ``result.pairs`` lists: the pairs that decided, or ``"all"`` that are verified, of which
        :meth:`Result.rethreshold` can decide again.
    max_pairs
        The most that ``"all"`` may be.
    against
        What is older: an :class:`neardup.Index`, the path of one, of a file or of a folder, or a list of such. What matches an
        older document is removed for it; of equally similar ones the first is named: of the first in the list, and of an index
        the one that was added first.
    append
        Add the kept documents to ``against``, one index on disk, which is made if it is not there. Runs over one part after
        another then keep what one run over all of them would; a witness is from no later part. The same run again, after an
        interruption, does no harm.
    drop_frequent
        Leave out the shingles that more than this share of the documents have, above 0 and below 1: boilerplate. Similarity is
        then that of the rest: documents that differ in boilerplate alone are copies, what is nothing else is kept. Reads the
        corpus three times.
    on_error
        What becomes of a line of JSONL or a row of CSV that cannot be read: ``"raise"``, or ``"skip"`` it and say why in
        ``result.skipped``.
    work
        A folder where what is done is kept, once it is more than a second's work, so that the same call goes on after an
        interruption. It is for files: when one of them or a parameter has changed, all is done anew.
        :meth:`Result.finish` deletes it.
    memory_limit
        About the most memory that the job takes beside its ids and results, in bytes or as ``"3GB"``, at least 64 MiB; by default
        half of what the machine or its control group allows. What does not fit goes to temporary files, below TMPDIR, and so do verification
        hashes beyond a megabyte, 4 bytes for each shingle.
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
    IncompatibleError
        If the index of ``against`` has other parameters.
    InputError
        If the source cannot be read, or what ranks documents has no order.
    TypeError
        If a text is not a string.

    Notes
    -----
    The answer is the same for any number of threads, any memory limit, and however often the
    work was interrupted. A document without a single word has no shingle: it is kept, and counted apart.

    Examples
    --------
    >>> texts = ["The committee meets on Monday at ten.", "the committee meets on Monday, at ten", "It rained."]
    >>> deduplicate(texts).kept
    [0, 2]
    """
    settings, ranking, workers, limit = check(
        threshold, profile=profile, keep=keep, order=order, clusters=clusters, exact=exact, recall=recall, shingling=shingling,
        minhash=minhash, banding=banding, verify=verify, bucket_limit=bucket_limit, pairs=pairs, max_pairs=max_pairs, against=against,
        append=append, drop_frequent=drop_frequent, on_error=on_error, memory_limit=memory_limit, threads=threads,
    )  # fmt: skip
    threshold, minhash, banding = settings.threshold, settings.minhash, settings.banding
    every, components = pairs == "all", clusters == "components"
    tell = progress or (lambda _stage, _done, _total: None)
    corpus = documents.read(source, text=text, id=id, on_error=on_error)
    if append and corpus.positional:
        raise ParameterError("append=True needs ids that differ from run to run, and these are positions; name a column of ids: id= (--id)")
    with ExitStack() as opened:
        older = Against(
            against, corpus, Parameters(settings.profile, threshold, minhash, banding, workers), opened, append=append, text=text, id=id
        )
        job = dict(
            version=FORMULAS, minhash=repr(minhash), banding=repr(banding), threshold=threshold, keep=repr(keep), order=order,
            clusters=clusters, exact=exact, pairs=pairs, drop_frequent=drop_frequent, **sealed(minhash.shingling),
            verify=settings.verify, bucket_limit=settings.bucket_limit, whole_buckets=settings.whole_buckets,
        )  # fmt: skip
        if ranking.columns:  # what a folder of work keeps is in order of rank, by which cells of CSV were text before
            job["cells"] = "numbers"
        signed = Signed(banding.bands, _work(limit, work, corpus, older, job, ranking, minhash.shingling.tokens))
        opened.push(signed.work.leave)
        older.keep_in(signed.work)
        sign = _signing(corpus, minhash, drop_frequent, workers, tell)
        ids, lengths = _sign(corpus, sign, banding, ranking, signed, older, workers, tell)
        if exact:
            _check_exact(signed.evidence.nbytes, limit)
        order_of_rank = np.argsort(-signed.sizes.astype(np.int64), kind="stable") if settings.inside else ranking.places(ids, lengths)
        sets = Sets.of(signed, order_of_rank, workers)
        join = _join(sets, settings, workers, exact=exact)
        matched = older.matches(sets)
        shingled = int((sets.number >= 0).sum())
        copies = shingled - len(sets)
        most = max_pairs if every else None
        barred = None if every or components or exact else matched.barred(threshold)
        edges, whole = (_all_edges(join, tell, most, copies), True) if barred is None else _deciding_edges(join, barred, tell)
        decisions = decide(join, edges, matched, threshold, components=components)
        added = {}
        if append and isinstance(ids, PackedIds):  # positions are refused
            added["added"] = older.add(ids, signed, np.flatnonzero(decisions.kept), tell)
    heavy = join.heavy()
    join.close()
    counters = {
        "documents": len(ids),
        **outcome(decisions),
        "copies": copies,
        **added,
        "without_shingles": len(ids) - shingled,
        "short": int(((signed.sizes > 0) & (signed.sizes <= minhash.shingling.size)).sum()),
        "skipped": corpus.left_out,
        "heavy_buckets": len(heavy),
    }
    return Result(
        settings=settings,
        threshold=threshold,
        ids=ids,
        decisions=decisions,
        counters=counters,
        _documents=corpus,
        _join=join,
        _edges=edges,
        _older=matched,
        _heavy=heavy,
        _exact=exact,
        _every=every,
        _whole=whole,
        _components=components,
    )


class Checked(NamedTuple):
    """Parameters that go together, what ranks the documents, how many threads, and how many bytes of memory."""

    settings: Settings
    ranking: Ranking
    threads: int
    limit: int


def check(
    threshold: float | None,
    *,
    profile: str | None = None,
    keep: Keep = "first",
    order: str | None = None,
    clusters: str = "witness",
    exact: bool = False,
    recall: float | None = None,
    shingling: Shingling | None = None,
    minhash: MinHash | None = None,
    banding: Banding | None = None,
    verify: Any = None,
    bucket_limit: int | None = None,
    pairs: str = "decisions",
    max_pairs: int = MAX_PAIRS,
    against: Any = None,
    append: bool = False,
    drop_frequent: float | None = None,
    on_error: str = "raise",
    memory_limit: int | str | None = None,
    threads: int | None = None,
) -> Checked:
    """Refuse what :func:`deduplicate` would, as far as that is known before anything is read.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or does not go with another.

    Examples
    --------
    >>> check(0.7, keep="date").ranking.columns
    ['date']
    """
    settings = resolve(
        profile, threshold, recall, shingling=shingling, minhash=minhash, banding=banding, verify=verify, bucket_limit=bucket_limit
    )
    settings = settings._replace(whole_buckets=settings.whole_buckets and bucket_limit is None)
    known = (
        ("clusters", clusters, ("witness", "components")),
        ("pairs", pairs, ("decisions", "all")),
        ("on_error", on_error, ("raise", "skip")),
        ("verify", settings.verify, ("exact", "noisy", "rarity", "contained")),
    )
    for name, value, choices in known:
        if not one_of(value, *choices):
            raise ParameterError(f"{name} is {value!r}; it is one of {', '.join(map(repr, choices))}")
    check_integer("max_pairs", max_pairs, 1, 2**62)
    if exact and settings.threshold < 0.5:
        raise ParameterError(f"threshold is {settings.threshold}; exact=True is for 0.5 and above; leave it out below that")
    components = clusters == "components"
    ranking = Ranking(keep, order)
    if settings.by_corpus and (exact or against is not None):
        given = "exact is True" if exact else f"against is {against!r}"
        raise ParameterError(
            f"verify is {settings.verify!r} and {given}; similarities then depend on all of one corpus, leave it out or verify='exact'"
        )
    if settings.inside:
        _check_inside(ranking, exact=exact, against=against, components=components)
    if drop_frequent is not None:
        check_fraction("drop_frequent", drop_frequent, one=False)
    _check_against(against, ranking, append=append, components=components, dropping=drop_frequent is not None)
    return Checked(settings, ranking, number_of_threads(threads), memory_bytes(memory_limit))


def _check_exact(hashes: int, limit: int) -> None:
    """Refuse an exact join whose hashes, of so many bytes, do not fit into memory."""
    if 2 * hashes > limit:
        raise ParameterError(
            f"exact=True takes the {hashes:,} bytes of all shingle hashes into memory, twice; memory_limit is {limit:,}; "
            "raise it, or find with a recall close to 1"
        )


#: The formulas that unfinished work depends on.
FORMULAS = "words-v1 lattice-v1 1"


def _join(sets: Sets, settings: Settings, threads: int, *, exact: bool = False) -> Join:
    """The join that settings ask for."""
    limit = None if settings.whole_buckets else settings.bucket_limit
    join = Join(sets, settings.least, threads, exact=exact, limit=limit, sample=settings.sample)
    join.judge = _judge(sets, settings, threads)  # by the hashes that are compared
    return join


def _judge(sets: Sets, settings: Settings, threads: int) -> Judge | None:
    """What decides instead of the Jaccard similarity; loaded by jobs that need it."""
    if settings.by_corpus:
        from neardup.judging import judge_of_sets

        return judge_of_sets(settings, sets, threads)
    if settings.inside:
        from neardup.excerpts import Contained

        return Contained(settings.threshold, sets.arrays)
    return None


def _check_inside(ranking: Ranking, *, exact: bool, against: Any, components: bool) -> None:
    """Refuse what means nothing where what is inside a longer document is removed for it."""
    for name, value, given in (
        ("exact", exact, exact),
        ("against", against, against is not None),
        ("clusters", "components", components),
        ("keep", ranking.keep, ranking.keep not in ("first", "longest")),
        ("order", ranking.order, ranking.order is not None),
    ):
        if given:
            raise ParameterError(f"verify is 'contained', which keeps the longer document, and {name} is {value!r}; leave it out")


def _check_against(against: Any, ranking: Ranking, *, append: bool, components: bool, dropping: bool) -> None:
    """Refuse what would not come to the answer of one run over everything."""
    if against is not None and components:
        raise ParameterError("clusters is 'components', and older documents are not matched with each other; with against= use 'witness'")
    if against is not None and dropping:
        raise ParameterError("drop_frequent depends on the corpus, and those of against= have their own; leave one of them out")
    if not append:
        return
    if against is None or isinstance(against, list | tuple):
        raise ParameterError(f"append is True and against is {against!r}; name the one index to which kept documents are added")
    if ranking.keep != "first" or ranking.order is not None:
        given = f"keep is {ranking.keep!r}" if ranking.keep != "first" else f"order is {ranking.order!r}"
        raise ParameterError(
            f"{given}, but what is in the index stays there whatever comes later; append=True goes with keep='first' alone"
        )


def _work(
    limit: int,
    path: str | os.PathLike[str] | None,
    corpus: documents.Documents,
    older: Against,
    job: dict[str, Any],
    ranking: Ranking,
    tokens: Any,
) -> Work:
    if path is None:
        return Work(limit)
    from pathlib import Path

    if callable(ranking.keep) or callable(tokens):
        raise ParameterError("work is for a job that can be compared with the interrupted one, and a function cannot; leave it out")
    return Work(limit, Path(path), {**job, "inputs": corpus.state(), "against": older.state()})


def _signing(corpus: documents.Documents, minhash: MinHash, share: float | None, threads: int, tell: Progress) -> Sign:
    """What signs a batch: all its shingles, or those that are not frequent."""
    if share is None:
        return lambda texts: minhash.sign_many(texts, threads=threads, hashes=True)

    def texts() -> Iterator[list[str]]:
        n = 0
        for batch in corpus.batches():
            yield documents.strings(batch.texts)
            n += len(batch.ids)
            tell("counting shingles", n, corpus.total)

    frequent = frequent_shingles(texts, minhash.shingling, share)

    def sign(texts: Any) -> Signatures:
        hashes, offsets = without(frequent, *flat_hashes(minhash.shingling, documents.strings(texts)))
        return minhash.sign_hashes_many(hashes, offsets, threads=threads, hashes=True)

    return sign


def _sign(
    corpus: documents.Documents,
    sign: Sign,
    banding: Banding,
    ranking: Ranking,
    signed: Signed,
    older: Against,
    threads: int,
    tell: Progress,
) -> tuple[range | PackedIds, Any]:
    """Sign what is not signed yet; the ids of all documents and, where they rank them, their lengths."""
    work = signed.work
    id_bytes, id_ends, lengths = work.column("ids", np.uint8), work.column("id-ends", np.uint64), work.column("lengths", np.int64)
    done = work.done("signing")
    n = already = done.get("documents", 0)
    if not done.get("whole") or ranking.reads or corpus.skips:
        n = 0
        for batch in corpus.batches(columns=ranking.columns):
            ranking.add(batch.ids, lambda texts=batch.texts: documents.strings(texts), batch.columns, untyped=batch.untyped)  # type: ignore[misc]
            done_before = min(max(already - n, 0), len(batch.ids))
            n += done_before
            for part in batch.cut(done_before, len(batch.ids)).parts(SIGNED * threads, threads):
                rows = StoreBatch.of(sign(part.texts), banding, threads)
                signed.append(rows)
                older.look_up(n, part.ids, rows)
                n += len(part.ids)
                if not corpus.positional:
                    data, ends = pack(part.ids)
                    id_ends.append(ends + np.uint64(id_bytes.nbytes))
                    id_bytes.append(data)
                if ranking.keep == "longest":
                    lengths.append(part.lengths)
                work.publish("signing", documents=n)
            tell("signing", n, corpus.total)
        work.publish("signing", documents=n, whole=True)
    signed.close()
    return range(n) if corpus.positional else PackedIds(id_bytes.array(), id_ends.array()), lengths.array()


def _all_edges(join: Join, tell: Progress, most: int | None = None, copies: int = 0) -> Edges:
    def told(done: int, total: int, found: int) -> None:
        found += copies
        if most is not None and found > most:
            raise ParameterError(f"more than max_pairs={most:,} pairs; raise the threshold or max_pairs")
        tell("pairing", done, total)

    every = np.ones(len(join.sets), bool)
    told(0, len(join.sets), 0)
    return join.edges(every, every, told, most)


def _deciding_edges(join: Join, barred: Mask, tell: Progress) -> tuple[Edges, bool]:
    """The matches that decide, and whether they are all: where sets crowd together they are only those of what is kept.

    What shares no bucket with a set before it is kept, if it is not barred; what matches such a one is not, and is compared
    with no more of the crowd. That is done again with what is left, as long as it saves comparisons.
    """
    comparisons = join.comparisons(np.ones(len(join.sets), bool))
    if comparisons <= CROWDED * len(join.sets):
        return _all_edges(join, tell), True
    undecided = ~barred
    kept = np.zeros(len(join.sets), bool)
    comparisons = join.comparisons(undecided)
    saved = comparisons > CROWDED * int(undecided.sum())
    while saved:
        ahead = undecided & ~join.preceded(undecided)
        kept |= ahead
        undecided &= ~ahead
        found = join.edges(ahead, undecided, lambda done, total, _: tell("deciding crowds", done, total))
        undecided[found.later] = False
        left = join.comparisons(undecided)
        saved = left < 0.9 * comparisons and left > CROWDED * int(undecided.sum())
        comparisons = left
    rest = join.edges(undecided, undecided, lambda done, total, _: tell("deciding", done, total))
    kept |= undecided & first_kept(~undecided, rest)
    return join.edges(kept, ~kept, lambda done, total, _: tell("finding witnesses", done, total)), False


# ---- before anything runs --------------------------------------------------------------------------------------------------


class Estimate(NamedTuple):
    """What a job will take: documents, seconds, bytes of memory and of temporary files; learnt from how many documents."""

    documents: int
    seconds: float
    memory: int
    disk: int
    sampled: int


def estimate(
    source: Any,
    threshold: float | None = None,
    *,
    profile: str | None = None,
    text: str | None = None,
    id: str | None = None,
    recall: float | None = None,
    minhash: MinHash | None = None,
    verify: Literal["exact", "noisy", "rarity"] | None = None,
    exact: bool = False,
    memory_limit: int | str | None = None,
    threads: int | None = None,
) -> Estimate:
    """Say what :func:`deduplicate` would take, from the first 20,000 documents.

    Signing and sorting grow with the documents, comparisons with their square. What is in the rest may differ. A join that is
    exact takes longer; it is refused here as there when its hashes do not fit into memory.

    Examples
    --------
    >>> estimate(["one two three four five six"] * 100).documents
    100
    """
    settings = resolve(profile, threshold, recall, minhash=minhash, verify=verify)
    minhash, banding = settings.minhash, settings.banding
    workers, limit = number_of_threads(threads), memory_bytes(memory_limit)
    corpus = documents.read(source, text=text, id=id)
    signed, n, ids, whole = Signed(banding.bands, Work(limit)), 0, 0, True
    start = perf_counter()
    for batch in corpus.batches():
        signed.append(StoreBatch.of(minhash.sign_many(batch.texts, threads=workers, hashes=True), banding, workers))
        n += len(batch.ids)
        ids += 0 if corpus.positional else len(pack(batch.ids)[0]) + 16
        if n >= SAMPLED:
            whole = False
            break
    signed.close()
    sets = Sets.of(signed, np.arange(n, dtype=np.int64), workers)
    join = _join(sets, settings, workers)
    _deciding_edges(join, np.zeros(len(sets), bool), lambda _stage, _done, _total: None)
    seconds = perf_counter() - start
    total = n if whole else corpus.total or max(n, n * (corpus.bytes_total or 0) // max(1, corpus.bytes_done))
    times = total / max(1, n)
    crowded = min(join.comparisons(np.ones(len(sets), bool)), CROWDED * len(sets))
    evidence = int(4 * int(signed.sizes.sum()) * times)
    if exact:
        _check_exact(evidence, limit)
    columns = evidence + int((4 * banding.bands * n + 12 * n + ids) * times)
    return Estimate(
        total,
        seconds * times + crowded * times * (times - 1) * COMPARISON / workers,
        PROCESS + (2 * evidence if exact else 0) + min(columns, limit // 4) + 60 * total,
        columns if columns > min(KEPT, limit // 4) else evidence if evidence > AT_HAND else 0,
        n,
    )
