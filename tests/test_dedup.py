"""deduplicate(): the decisions are those of brute force, whatever the corpus comes as, whoever shares the work."""

import gzip
import json
import math
import mmap
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet as pq
import pytest
import truth
from hypothesis import example, given, settings
from hypothesis import strategies as st

import neardup
from neardup import (
    Banding,
    IncompatibleError,
    Index,
    InputError,
    MinHash,
    ParameterError,
    Removed,
    Shingling,
    dedup,
    deduplicate,
    jaccard,
    joins,
)

KEEP = ["first", "last", "longest"]
SINGLE_WORDS = Shingling(size=1)
#: Few slots and long bands: many pairs are missed, and which ones is known.
SELECTIVE = {"minhash": MinHash(num_perm=32, shingling=SINGLE_WORDS), "banding": Banding(4, 8)}
#: Nearly every pair that shares a shingle is a candidate.
GENEROUS = {"minhash": MinHash(num_perm=128, shingling=SINGLE_WORDS), "banding": Banding(128, 1)}

PARAMETERS = st.sampled_from([SELECTIVE, GENEROUS])
THRESHOLDS = st.sampled_from([0.5, 0.6, 0.75, 0.8, 1.0])

#: 0 ~ 1 ~ 2 ~ 3 at 18 / 22, and none of them like one further on.
CHAIN = [" ".join(f"w{i}" for i in range(start, start + 20)) for start in (0, 2, 4, 6)]
#: 0 ~ 1 ~ 2, and the second two are more alike.
UNEVEN = [" ".join(f"w{i}" for i in range(start, start + 20)) for start in (0, 2, 3)]
#: Two texts and changed copies of them, an empty one, and one that is like nothing.
CORPUS = [
    "The committee will meet on Monday morning at ten in the town hall to vote on the budget.",
    "It rained all day on the second of May, and nobody who had come stayed until the end.",
    "THE COMMITTEE will meet on Monday morning, at ten, in the town hall, to vote on the budget!",
    "",
    "Nothing else in the world is at all like this one sentence.",
    "It rained all day on the second of May, and nobody who had come stayed until the evening.",
    "It rained all day on the second of May, and nobody who had come stayed until the end...",
]


def rows(table):
    """The rows of a table as tuples."""
    return list(zip(*table.to_pydict().values(), strict=True))


def decided(result):
    """Who is kept, and the witness and similarity of each other, by id."""
    return result.kept, {removed.id: (removed.witness, removed.similarity) for removed in result.removed}


def everything(result):
    """All that a result says."""
    return result.kept, result.removed, result.clusters, rows(result.pairs), result.summary()


# ---- the decisions ---------------------------------------------------------------------------------------------------


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS, PARAMETERS)
@example(CHAIN, "first", 0.8, GENEROUS)
@settings(max_examples=150)
def test_what_is_kept_is_what_brute_force_keeps(texts, keep, threshold, parameters):
    """In order of rank, a document is kept if it matches no kept one, among the pairs that the band keys find."""
    result = deduplicate(texts, threshold, keep=keep, **parameters)
    found = truth.pairs_found(texts, threshold, **parameters)
    kept, removed = truth.decide(truth.RANKED[keep](texts), found)
    assert result.kept == kept
    assert [document.id for document in result.removed] == list(removed)


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS, PARAMETERS)
@example(UNEVEN, "first", 0.8, GENEROUS)
@settings(max_examples=150)
def test_the_witness_is_the_kept_match_of_highest_similarity(texts, keep, threshold, parameters):
    """Whether it ranks before the removed document or after; of equally similar ones that which ranks first."""
    result = deduplicate(texts, threshold, keep=keep, **parameters)
    found = truth.pairs_found(texts, threshold, **parameters)
    assert decided(result) == truth.decide(truth.RANKED[keep](texts), found)


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS, PARAMETERS)
@settings(max_examples=100)
def test_every_removed_document_has_a_kept_witness(texts, keep, threshold, parameters):
    """It matches it at the threshold or above, with the exact similarity of the two texts."""
    result = deduplicate(texts, threshold, keep=keep, **parameters)
    assert sorted([*result.kept, *(document.id for document in result.removed)]) == list(range(len(texts)))
    for removed in result.removed:
        assert removed.witness in result.kept
        assert removed.similarity == jaccard(texts[removed.id], texts[removed.witness], shingling=SINGLE_WORDS) >= threshold


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS, PARAMETERS)
@settings(max_examples=150)
def test_all_pairs_are_those_found(texts, keep, threshold, parameters):
    """pairs="all" lists each verified pair of distinct sets once and copies as a star, sorted, a before b; it changes no decision."""
    result = deduplicate(texts, threshold, keep=keep, pairs="all", **parameters)
    listed = {(a, b): score for a, b, score in rows(result.pairs)}
    assert list(listed) == sorted(listed)
    assert len(listed) == result.pairs.num_rows
    sets = truth.shingle_sets(texts, SINGLE_WORDS)
    assert truth.with_copies(listed, sets) == truth.pairs_found(texts, threshold, **parameters)
    first = {hashes: i for i, hashes in reversed(list(enumerate(sets)))}
    assert all(a == first[sets[a]] and (b == first[sets[b]] or sets[a] == sets[b]) for a, b in listed), "copies are listed as a star"
    assert not any((min(a, b), max(a, b)) in listed for a in result.kept for b in result.kept)
    assert decided(deduplicate(texts, threshold, keep=keep, **parameters)) == decided(result)


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS, PARAMETERS)
@settings(max_examples=150)
def test_pairs_are_the_edges_of_the_decisions(texts, keep, threshold, parameters):
    """By default each removed document is listed with every kept one that it matches, and nothing else."""
    result = deduplicate(texts, threshold, keep=keep, **parameters)
    found = truth.pairs_found(texts, threshold, **parameters)
    kept = set(result.kept)
    assert rows(result.pairs) == sorted((a, b, score) for (a, b), score in found.items() if (a in kept) != (b in kept))


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS, PARAMETERS)
@settings(max_examples=60)
def test_the_same_as_an_index_fed_in_order_of_rank(texts, keep, threshold, parameters):
    """Index.add_unless_duplicate accepts the kept documents, and finds nothing more similar to a removed one than its witness."""
    index = Index(threshold, **parameters)
    matches = {i: index.add_unless_duplicate(i, texts[i]) for i in truth.RANKED[keep](texts)}
    result = deduplicate(texts, threshold, keep=keep, **parameters)
    assert sorted(index.ids()) == result.kept
    for removed in result.removed:
        assert matches[removed.id].similarity <= removed.similarity


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS)
@settings(max_examples=60)
def test_clusters_are_the_kept_documents_with_those_removed_for_them(texts, keep, threshold):
    """Each group of two or more, the kept one first, then the others by place; groups by the kept one's place."""
    result = deduplicate(texts, threshold, keep=keep, **GENEROUS)
    expected = {kept: [kept] for kept in result.kept}
    for removed in result.removed:
        expected[removed.witness].append(removed.id)
    assert result.clusters == [group for group in expected.values() if len(group) > 1]


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_a_corpus_with_planted_copies(keep, threshold):
    """The default parameters on 1,500 documents: decisions as brute force on the pairs found, nearly all that there are."""
    texts = truth.planted(1500, seed=3)
    result = deduplicate(texts, threshold, keep=keep, pairs="all")
    sets = truth.shingle_sets(texts)
    every = truth.join(sets, threshold)
    found = truth.with_copies({(a, b): score for a, b, score in rows(result.pairs)}, sets)
    assert found.items() <= every.items()
    assert len(found) >= 0.98 * len(every) > 100
    kept, removed = truth.decide(truth.RANKED[keep](texts), found)
    assert result.kept == kept
    assert [document.id for document in result.removed] == list(removed)


# ---- ways to the same decisions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crowded", "heavy"), [(0, 2**30), (0, 1), (1, 8)])
@given(texts=truth.corpora(), keep=st.sampled_from(KEEP), threshold=THRESHOLDS)
@settings(max_examples=60)
def test_crowds_are_decided_alike(crowded, heavy, texts, keep, threshold):
    """Sets decided ahead of the rest, buckets joined by rare shingles: the decisions and the pairs are the same."""
    plain = deduplicate(texts, threshold, keep=keep, **GENEROUS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedup, "CROWDED", crowded)
        patch.setattr(joins, "CROWD", heavy)
        other = deduplicate(texts, threshold, keep=keep, **GENEROUS)
    assert decided(other) == decided(plain)
    assert other.pairs == plain.pairs


@given(truth.corpora(), st.sampled_from(KEEP), st.sampled_from([0.5, 0.6, 0.8, 1.0]))
@settings(max_examples=100)
def test_exact_finds_every_pair(texts, keep, threshold):
    """exact=True: the decisions of brute force over all pairs, whatever the bands would have found."""
    result = deduplicate(texts, threshold, keep=keep, exact=True, pairs="all", **SELECTIVE)
    sets = truth.shingle_sets(texts, SINGLE_WORDS)
    every = truth.with_copies(truth.join_of_all(sets, threshold), sets)
    assert truth.with_copies({(a, b): score for a, b, score in rows(result.pairs)}, sets) == every
    assert decided(result) == truth.decide(truth.RANKED[keep](texts), every)
    assert result.summary()["recall"] == 1.0


@given(texts=truth.corpora(), keep=st.sampled_from(KEEP), threshold=THRESHOLDS, components=st.booleans())
@settings(max_examples=60)
def test_files_instead_of_memory_change_nothing(texts, keep, threshold, components):
    """Hashes that are not kept at hand, and a limit that everything exceeds: the same decisions, pairs and summary."""
    clusters = "components" if components else "witness"
    plain = deduplicate(texts, threshold, keep=keep, clusters=clusters, **GENEROUS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "AT_HAND", 0)
        assert everything(deduplicate(texts, threshold, keep=keep, clusters=clusters, **GENEROUS)) == everything(plain)
        patch.setattr(dedup, "memory_bytes", lambda _limit: 4)
        assert everything(deduplicate(texts, threshold, keep=keep, clusters=clusters, **GENEROUS)) == everything(plain)


@pytest.mark.parametrize("verify", ["exact", "noisy", "rarity", "contained"])
@given(texts=truth.corpora())
@settings(max_examples=40)
def test_files_instead_of_memory_change_nothing_however_texts_are_verified(verify, texts):
    """With two that match, and one that nothing else is like, whose hashes are not taken from the file."""
    texts = [*texts, "one two three four five six", "one two three four five six seven", "quite another text than all of them"]
    plain = deduplicate(texts, 0.5, verify=verify, shingling=SINGLE_WORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "AT_HAND", 0)
        assert everything(deduplicate(texts, 0.5, verify=verify, shingling=SINGLE_WORDS)) == everything(plain)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("lots", "memory_limit is 'lots'; it is a number of bytes, or a string like '3GB'"),
        ("3 parsecs", "memory_limit is '3 parsecs'"),
        ("1 MB", "memory_limit is '1 MB'; it is at least 64 MiB"),
        (0, "memory_limit is 0"),
        (math.nan, "memory_limit is nan"),
    ],
)
def test_a_memory_limit_that_means_nothing_is_refused(limit, words):
    """What is no size, and what nothing fits into."""
    with pytest.raises(ParameterError, match=words):
        deduplicate(["a"], memory_limit=limit)


def test_exact_needs_memory(monkeypatch):
    """exact=True holds the shingle hashes, and says so when it may not."""
    monkeypatch.setattr(dedup, "memory_bytes", lambda _limit: 4)
    for job in (deduplicate, dedup.estimate):
        with pytest.raises(
            ParameterError, match=r"exact=True takes the .* bytes of all shingle hashes into memory, twice; memory_limit is 4; raise"
        ):
            job(CORPUS, exact=True)


def test_an_estimate_knows_of_temporary_files(monkeypatch):
    """Of the hashes that do not stay in memory, and of those that an exact join takes there."""
    texts = [f"{i} is a number and so are {i + 1} and {i + 2}" for i in range(100)]
    assert dedup.estimate(texts).disk == 0
    monkeypatch.setattr(joins, "AT_HAND", 100)
    monkeypatch.setattr(dedup, "AT_HAND", 100)
    plain = dedup.estimate(texts)
    assert plain.disk == sum(4 * len(set(truth.shingle_sets([text])[0])) for text in texts)
    assert dedup.estimate(texts, exact=True).memory == plain.memory + 2 * plain.disk


def test_a_corpus_in_files_is_decided_within_its_memory():
    """90,000 stories, under 64 MiB or with hashes in a file: a fresh process grows by less than the corpus, and decides as in memory."""
    script = (
        "import random, sys, neardup, neardup.joins\n"
        "rng = random.Random(3); words = [f'word{i}' for i in range(9000)]; neardup.joins.AT_HAND = int(sys.argv[2])\n"
        "def stories():\n"
        "    for i in range(90_000):\n"
        "        story = rng.choices(words, k=200); yield ' '.join(story)\n"
        "        if i % 10 == 0: story[5] = 'changed'; yield ' '.join(story)\n"
        "import pyarrow as pa\n"
        "texts = pa.array(stories())\n"
        "neardup.deduplicate(texts[:1000], threads=1)\n"
        "def kilobytes(name): return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith(name))\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"  # the peak begins anew
        "before = kilobytes('VmRSS'); result = neardup.deduplicate(texts, threads=1, memory_limit=sys.argv[1])\n"
        "print(kilobytes('VmHWM') - before, len(result.kept), hash(tuple(result.removed)))"
    )
    answers = [
        subprocess.run([sys.executable, "-c", script, *given], check=True, capture_output=True, text=True).stdout.split()
        for given in (("64MiB", "1048576"), ("8GB", "1048576"), ("8GB", "1099511627776"))
    ]
    assert answers[0][1:] == answers[1][1:] == answers[2][1:]
    assert max(int(answers[0][0]), int(answers[1][0])) < 64 << 10 < int(answers[2][0])


def test_without_a_place_for_temporary_files_hashes_stay_in_memory(tmp_path, monkeypatch):
    """No folder for them, or one that is full at once or later: what has room in memory is deduplicated there."""
    monkeypatch.setattr(joins, "AT_HAND", 100)
    monkeypatch.setattr(dedup, "SIGNED", 200)
    texts = [f"{i % 70} is a number and so are {i % 70 + 1} and {i % 70 + 2}" for i in range(100)]
    expected = everything(deduplicate(texts))
    real = tempfile.TemporaryFile
    for name, make in (
        ("none", lambda **_: (_ for _ in ()).throw(FileNotFoundError(2, "No usable temporary directory"))),
        ("full", lambda **_: Path("/dev/full").open("rb+", buffering=0)),  # noqa: SIM115  the job's
        ("full later", lambda **given: Filling(real(**given), 2000)),
    ):
        monkeypatch.setattr(tempfile, "TemporaryFile", make)
        assert everything(deduplicate(texts)) == expected, name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dedup, "memory_bytes", lambda _limit: 4)
            with pytest.raises(OSError, match=r"for temporary files in .*; set TMPDIR to a folder with room, or allow more memory"):
                deduplicate(texts)


def test_a_column_that_has_no_room_ends_the_job(monkeypatch):
    """Of hashes that were not taken nothing is missing later: memory is no disk, whose place other memory may take."""

    class Full(mmap.mmap):
        def resize(self, _size):
            raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(dedup, "SIGNED", 20_000)
    monkeypatch.setattr(mmap, "mmap", Full)
    texts = [" ".join(f"w{i}x{j}" for j in range(100)) for i in range(400)]
    with pytest.raises(MemoryError, match=r"^no memory for a column of [\d,]{6,} bytes; allow more memory, or give less at a time$"):
        deduplicate(texts)


class Filling:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        """As much as there is room for."""
        if not self.room:
            raise OSError(28, "No space left on device")
        written = self.file.write(data[: self.room])
        self.room -= written
        return written


def test_results_keep_no_file_open():
    """However many are kept: the file of hashes is closed when the job is done."""
    before, texts = len(list(Path("/proc/self/fd").iterdir())), [f"{i} " * 9 for i in range(9)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "AT_HAND", 0)
        results = [deduplicate(texts, verify=verify) for verify in ("exact", "rarity", "noisy") for _ in range(4)]
    assert len(results) == 12
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_exact_below_a_half_is_refused():
    """There prefixes are most of a document."""
    with pytest.raises(ParameterError, match=r"threshold is 0.4; exact=True is for 0.5 and above"):
        deduplicate(["a"], 0.4, exact=True)


@given(truth.corpora(), st.sampled_from(KEEP), st.sampled_from([(0.5, 0.5), (0.5, 0.75), (0.6, 1.0)]), st.booleans())
@settings(max_examples=100)
def test_rethreshold_decides_as_a_new_run_would(texts, keep, thresholds, components):
    """From all pairs at the lower threshold, the same result at the higher one, but for the banding's own recall."""
    low, high = thresholds
    clusters = "components" if components else "witness"
    again = deduplicate(texts, low, keep=keep, pairs="all", clusters=clusters, **GENEROUS).rethreshold(high)
    assert everything(again) == everything(deduplicate(texts, high, keep=keep, pairs="all", clusters=clusters, **GENEROUS))


def test_rethreshold_refuses_what_it_cannot_know():
    """Lower thresholds, and results that hold only the pairs that decided."""
    with pytest.raises(ParameterError, match=r"threshold is 0.6, and below 0.7 no pairs were looked for; deduplicate again"):
        deduplicate(CORPUS, 0.7, pairs="all").rethreshold(0.6)
    with pytest.raises(ParameterError, match=r"those that decided; deduplicate with pairs='all' to try other thresholds"):
        deduplicate(CORPUS, 0.7).rethreshold(0.8)
    with pytest.raises(ParameterError, match="threshold is 2"):
        deduplicate(CORPUS, 0.7, pairs="all").rethreshold(2)


@given(truth.corpora(), st.sampled_from(KEEP), THRESHOLDS)
@settings(max_examples=100)
def test_components_keep_one_of_all_that_matches_connect(texts, keep, threshold):
    """Of every connected group the first by rank; the similarity to it is that of the texts, even below the threshold."""
    result = deduplicate(texts, threshold, keep=keep, clusters="components", **GENEROUS)
    label = list(range(len(texts)))
    for _ in texts:
        for i, j in truth.pairs_found(texts, threshold, **GENEROUS):
            label[i] = label[j] = min(label[i], label[j])
    groups = {}
    for place in truth.RANKED[keep](texts):
        groups.setdefault(label[place], []).append(place)
    assert result.kept == sorted(group[0] for group in groups.values())
    scores = [removed.similarity for removed in result.removed]
    for removed in result.removed:
        assert removed.witness == groups[label[removed.id]][0]
        assert removed.similarity == jaccard(texts[removed.id], texts[removed.witness], shingling=SINGLE_WORDS)
    assert result.summary()["weakest"] == (min(scores) if scores else None)


def test_a_chain_is_one_component():
    """0 ~ 1 ~ 2 ~ 3: one document stays, and the summary says how unlike it the least similar of the others is."""
    result = deduplicate(CHAIN, 0.8, clusters="components", **GENEROUS)
    assert result.kept == [0]
    assert result.summary()["weakest"] == jaccard(CHAIN[0], CHAIN[3], shingling=SINGLE_WORDS) < 0.8
    assert len(rows(result.pairs)) == 3


def test_too_many_pairs_are_refused():
    """More than max_pairs is an error with the number: how many there are is not known then."""
    with pytest.raises(ParameterError, match=r"^more than max_pairs=2 pairs; raise the threshold or max_pairs$"):
        deduplicate(["a b"] * 4, pairs="all", max_pairs=2)
    assert deduplicate(["a b"] * 4, pairs="all", max_pairs=3).pairs.num_rows == 3


# ---- who is preferred ----------------------------------------------------------------------------------------------------


PREFERRED = {
    "the least in a column": ({"keep": "date"}, 2),
    "the greatest": ({"keep": "-date"}, 1),
    "a missing value is last": ({"keep": "score"}, 3),
    "and last of the greatest too": ({"keep": "-score"}, 2),
    "a list of sources": ({"keep": {"source": ["b", "a"]}}, 1),
    "what the list leaves out is last": ({"keep": {"source": ["c"]}}, 3),
    "a function of id and text": ({"keep": lambda name, text: -name if text else 0}, 3),
    "an order": ({"order": "date"}, 2),
    "the last of an order": ({"keep": "last", "order": "date"}, 1),
    "the longest, then an order": ({"keep": "longest", "order": "date"}, 2),
}


@pytest.mark.parametrize(("options", "kept"), PREFERRED.values(), ids=PREFERRED)
@pytest.mark.parametrize("table", [pa.table, pd.DataFrame, pl.DataFrame], ids=["arrow", "pandas", "polars"])
def test_a_column_or_function_says_who_is_kept(options, kept, table):
    """The least, the greatest, a list's first, a function's least, the first in an order; ties go to the first."""
    data = table(
        {
            "text": ["one two", "One, two", "one two!", "ONE two"],
            "date": ["2024-03-01", "2024-05-01", "2024-01-01", "2024-04-01"],
            "score": [None, 3.5, 4.5, -1.0],
            "source": ["a", "b", "a", "c"],
        }
    )
    assert deduplicate(data, **options).kept == [kept]


def test_a_column_of_lines_says_who_is_kept(tmp_path):
    """From JSONL too, where a number may be whole in one line and not in the next."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "one two", "rank": {rank}}}\n' for rank in ("2", "1.5", "null", "3")))
    assert deduplicate(path, keep="rank").kept == [1]
    assert deduplicate(path, keep="-rank").kept == [3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ""}, "keep is ''"),
        ({"keep": "-"}, "keep is '-'; it is 'first', 'last', 'longest', the name of a column, or a function"),
        ({"keep": 3}, "keep is 3"),
        ({"keep": {"a": "xy"}}, "name one column and its values, the preferred first"),
        ({"keep": {"a": b"xy"}}, "name one column"),
        ({"keep": {"a": 3}}, "keep is {'a': 3}; name one column and its values, the preferred first: {'source': \\['a', 'b'\\]}"),
        ({"keep": {3: ["x"]}}, "name one column"),
        ({"keep": {"a": ["x"], "b": ["y"]}}, "name one column"),
        ({"keep": {"a": ["x", ["y"]]}}, r"keep prefers \['y'\] of type list in column 'a'; prefer strings, numbers or dates"),
        ({"keep": {}}, "name one column"),
        ({"order": 3}, "order is 3; it is the name of a column"),
        ({"clusters": "x"}, "clusters is 'x'; it is one of 'witness', 'components'"),
        ({"max_pairs": 0}, "max_pairs is 0"),
    ],
)
def test_a_preference_that_means_nothing_is_refused(options, message):
    """What keep= and order= may be is said."""
    with pytest.raises(ParameterError, match=message):
        deduplicate(["a"], **options)


def test_a_preference_that_is_not_there_is_refused(tmp_path):
    """No such column; no columns at all; values without a common order."""
    with pytest.raises(InputError, match=r"no column 'date'; the columns are"):
        deduplicate(pa.table({"text": ["a"]}), keep="date")
    with pytest.raises(ParameterError, match=r"column 'date' is asked for, but a list of 1 texts has no columns"):
        deduplicate(["a"], keep="date")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ParameterError, match=r"a text file has no columns; leave it out .* or give a table or a data file"):
        deduplicate(tmp_path, order="date")
    lists = pa.table({"text": ["a", "b"], "tags": [None, ["x"]]})
    for table in (lists, lists.to_pandas()):
        with pytest.raises(
            InputError,
            match=r"column 'tags' has .*'x'.* of type .*; keep= \(--keep\) prefers strings, numbers or dates: name another column",
        ):
            deduplicate(table, keep={"tags": ["x"]})
    path = tmp_path / "b.jsonl"
    path.write_text('{"text": "a", "d": 1}\n{"text": "b", "d": "x"}\n')
    with pytest.raises(InputError, match=r"column 'd' cannot be put in order, .*; make them all of one type"):
        deduplicate(path, keep="d")
    with pytest.raises(InputError, match=r"the values of keep cannot be put in order"):
        deduplicate(["a", "b"], keep=lambda name, _: name or "x")


# ---- which is kept, by example ---------------------------------------------------------------------------------------


def test_nothing_is_lost_through_a_chain_of_resemblance():
    """0 ~ 1 ~ 2 ~ 3 without 0 ~ 2: every second one is kept, whichever end comes first."""
    assert deduplicate(CHAIN, 0.8, **GENEROUS).kept == [0, 2]
    assert deduplicate(CHAIN, 0.8, keep="last", **GENEROUS).kept == [1, 3]
    assert deduplicate([CHAIN[0], CHAIN[1] + " !", *CHAIN[2:]], 0.8, keep="longest", **GENEROUS).kept == [1, 3]


def test_equally_similar_witnesses_are_told_apart_by_rank():
    """Of two kept documents that a third resembles alike, the witness is the one that the policy prefers."""
    left, middle, right = (" ".join(f"w{i:02}" for i in range(start, start + 18)) for start in range(3))
    score = 17 / 19
    assert jaccard(left, middle, shingling=SINGLE_WORDS) == jaccard(right, middle, shingling=SINGLE_WORDS) == score
    parameters = {"threshold": 0.85, **GENEROUS}
    assert decided(deduplicate([left, right, middle], **parameters)) == ([0, 1], {2: (0, score)})
    assert decided(deduplicate([middle, left, right], keep="last", **parameters)) == ([1, 2], {0: (2, score)})
    assert decided(deduplicate([left, right + "!", middle], keep="longest", **parameters)) == ([0, 1], {2: (1, score)})
    assert decided(deduplicate([left + "!", right, middle], keep="longest", **parameters)) == ([0, 1], {2: (0, score)})


def test_the_more_similar_of_two_kept_documents_is_the_witness():
    """A removed document that matches two kept ones names the one that it resembles more, whichever ranks first."""
    left, middle, right = UNEVEN
    assert decided(deduplicate([left, right, middle], 0.8, **GENEROUS)) == ([0, 1], {2: (1, 19 / 21)})
    assert decided(deduplicate([right, left, middle], 0.8, **GENEROUS)) == ([0, 1], {2: (0, 19 / 21)})
    assert decided(deduplicate([middle, right, left], 0.8, keep="last", **GENEROUS)) == ([1, 2], {0: (1, 19 / 21)})
    assert rows(deduplicate([left, right, middle], 0.8, **GENEROUS).pairs) == [(0, 2, 18 / 22), (1, 2, 19 / 21)]


def test_a_more_similar_kept_document_of_lower_rank_is_the_witness():
    """1 is removed for 0; 2, which 0 does not match, is kept after it and resembles 1 more: it is what 1 duplicates."""
    result = deduplicate(UNEVEN, 0.8, **GENEROUS)
    assert decided(result) == ([0, 2], {1: (2, 19 / 21)})
    assert rows(result.pairs) == [(0, 1, 18 / 22), (1, 2, 19 / 21)]
    assert result.clusters == [[2, 1]]


def test_the_longest_is_by_characters():
    """Not by words or bytes, and of equally long ones the first is kept."""
    assert deduplicate(["one two", "one,, two", "one  two"], keep="longest").kept == [1]
    assert deduplicate(["eins zwei", "eins zwei", "EINS ZWEI"], keep="longest").kept == [0]
    wide, narrow = "\U0001d41a b c", "a b c."  # fewer characters in more bytes, the same words
    assert jaccard(wide, narrow) == 1.0
    assert deduplicate([wide, narrow], keep="longest").kept == [1]


def test_copies_are_listed_as_a_star():
    """All copies of a text are paired with the first of them, and the first with what resembles it."""
    texts = [CHAIN[1], CHAIN[0], CHAIN[1], CHAIN[0].upper(), CHAIN[1], ""]
    result = deduplicate(texts, 0.8, pairs="all", **GENEROUS)
    assert rows(result.pairs) == [(0, 1, 18 / 22), (0, 2, 1.0), (0, 4, 1.0), (1, 3, 1.0)]
    assert rows(deduplicate(texts, 0.8, **GENEROUS).pairs) == [(0, 1, 18 / 22), (0, 2, 1.0), (0, 3, 18 / 22), (0, 4, 1.0)]


@pytest.mark.parametrize("keep", KEEP)
def test_documents_without_shingles_are_kept(keep):
    """They duplicate nothing, not even one another; they are counted."""
    texts = ["", "", " ", "...", "\x00", "\ud800", "a", "A", "😀", "😀"]
    result = deduplicate(texts, keep=keep)
    assert result.kept == [0, 1, 2, 3, 4, 5, 7 if keep == "last" else 6, 8, 9]
    assert result.summary()["without_shingles"] == 8
    assert result.summary()["removed"] == result.summary()["copies"] == 1


def test_copies_of_short_texts_match_and_nothing_else_of_theirs():
    """A text of fewer tokens than a shingle is one shingle: itself."""
    result = deduplicate(["Page 1 of 2", "page 1 of 2.", "Page 1 of 3", "Page 1"], 0.1)
    assert result.kept == [0, 2, 3]
    assert result.summary()["short"] == 4


@pytest.mark.parametrize("size", [1, 2, 5])
def test_short_is_below_twice_the_size_of_a_shingle(size):
    """There one edit can destroy every shingle, so such documents are counted."""
    texts = [" ".join(f"{n}t{i}" for i in range(n)) for n in range(4 * size)]
    summary = deduplicate(texts, shingling=Shingling(size=size)).summary()
    assert (summary["short"], summary["without_shingles"]) == (2 * size - 1, 1)


def test_a_bucket_that_everyone_falls_into_is_read_whole():
    """1,300 documents share their buckets through boilerplate, and each copy with a word changed still finds its original."""
    boilerplate = " ".join(f"t{i}" for i in range(60))
    originals = [f"{boilerplate} {' '.join(f'own{n}x{i}' for i in range(10))}" for n in range(1300)]
    copies = [text.replace("x7", "y") for text in originals]
    minhash, banding = MinHash(num_perm=2, shingling=SINGLE_WORDS), Banding(2, 1)
    keys = [banding.keys(minhash.sign_many(texts).values) for texts in (originals, copies)]
    assert max(np.unique(keys[0][:, 0], return_counts=True)[1]) > 1000
    expected = [Removed(1300 + i, i, 69 / 71) for i in np.flatnonzero((keys[0] == keys[1]).any(axis=1)).tolist()]
    assert len(expected) > 1200
    result = deduplicate([*originals, *copies], 0.95, minhash=minhash, banding=banding)
    assert result.removed == expected
    assert deduplicate([*originals, *copies], 0.95, minhash=minhash, banding=banding, pairs="all").pairs == result.pairs


# ---- what a result says ----------------------------------------------------------------------------------------------


def test_a_result_counts_what_it_did():
    """Documents, kept, removed, copies, those without shingles, short ones and clusters, and every parameter."""
    result = deduplicate(CORPUS, 0.7, recall=0.9)
    banding = Banding.for_threshold(0.7, 0.9)
    assert result.summary() == {
        "documents": 7,
        "kept": 4,
        "removed": 3,
        "copies": 2,
        "against": 0,
        "skipped": 0,
        "without_shingles": 1,
        "short": 0,
        "clusters": 2,
        "heavy_buckets": 0,
        "weakest": jaccard(CORPUS[1], CORPUS[5]),
        "threshold": 0.7,
        "exact": False,
        "profile": "text",
        "verify": "exact",
        "recall": banding.probability(0.7),
        "bands": banding.bands,
        "rows": banding.rows,
        "num_perm": 128,
        "scheme": "lattice-v1",
        "tokens": "words",
        "size": 5,
    }
    assert json.loads(json.dumps(result.summary())) == result.summary()
    assert repr(result) == "<Result: 7 documents, 4 kept, 3 removed at threshold 0.7>"
    assert (result.threshold, result.minhash, result.banding) == (0.7, MinHash(), banding)


@given(truth.corpora(), THRESHOLDS)
@settings(max_examples=60)
def test_counts_agree_with_what_is_listed(texts, threshold):
    """The counts are those of the lists, and of the shingle sets."""
    result = deduplicate(texts, threshold, shingling=Shingling(size=3))
    summary, sets = result.summary(), truth.shingle_sets(texts, Shingling(size=3))
    assert (summary["documents"], summary["kept"], summary["removed"]) == (len(texts), len(result.kept), len(result.removed))
    assert summary["copies"] == sum(n - 1 for hashes, n in Counter(sets).items() if hashes)
    assert summary["without_shingles"] == sum(not hashes for hashes in sets)
    assert summary["short"] == sum(0 < len(hashes) <= 3 for hashes in sets)
    assert summary["clusters"] == len(result.clusters)


def test_a_result_by_example():
    """Kept ids in input order; removed documents with witness and similarity; groups; a table of pairs."""
    result = deduplicate(CORPUS, 0.7)
    near = jaccard(CORPUS[1], CORPUS[5])
    assert result.kept == [0, 1, 3, 4]
    assert result.removed == [Removed(2, 0, 1.0), Removed(5, 1, near), Removed(6, 1, 1.0)]
    assert result.clusters == [[0, 2], [1, 5, 6]]
    assert result.pairs.column_names == ["a", "b", "similarity"]
    assert result.pairs.schema.types == [pa.int64(), pa.int64(), pa.float64()]
    assert rows(result.pairs) == [(0, 2, 1.0), (1, 5, near), (1, 6, 1.0)]


@pytest.mark.parametrize("source", [[], (), pa.array([], pa.string()), iter([]), pd.Series([], dtype=str)], ids=lambda s: type(s).__name__)
def test_an_empty_corpus(source):
    """Nothing in, nothing out."""
    result = deduplicate(source, pairs="all")
    assert (result.kept, result.removed, result.clusters, result.pairs.num_rows) == ([], [], [], 0)
    assert (result.summary()["documents"], result.summary()["kept"]) == (0, 0)
    assert repr(result) == "<Result: 0 documents, 0 kept, 0 removed at threshold 0.8>"


ANNOTATED = ["cluster", "kept", "witness", "similarity"]


def test_annotations_say_what_became_of_every_document():
    """A row each, in input order: the cluster's kept document, and the witness and similarity of what was removed."""
    near = jaccard(CORPUS[1], CORPUS[5])
    table = deduplicate(CORPUS, 0.7).annotations()
    assert table.column_names == ["id", *ANNOTATED]
    assert list(zip(*table.to_pydict().values(), strict=True)) == [
        (0, 0, True, None, None),
        (1, 1, True, None, None),
        (2, 0, False, 0, 1.0),
        (3, 3, True, None, None),
        (4, 4, True, None, None),
        (5, 1, False, 1, near),
        (6, 1, False, 1, 1.0),
    ]
    assert deduplicate([]).annotations().num_rows == 0


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out.csv", "out.arrow"])
@pytest.mark.parametrize("source", ["list", "corpus.jsonl", "corpus.parquet", "corpus.csv"])
def test_all_documents_are_written_with_their_annotations(source, name, tmp_path):
    """annotate=True keeps every row and all columns, and adds four."""
    if source == "list":
        result = deduplicate(CORPUS, 0.7)
    else:
        FILES[source](tmp_path / source)
        result = deduplicate(tmp_path / source, 0.7)
    path = tmp_path / name
    result.write(path, annotate=True)
    readers = {"jsonl": pyarrow.json.read_json, "parquet": pq.read_table, "csv": pyarrow.csv.read_csv, "arrow": pa.feather.read_table}
    written = readers[name.rpartition(".")[2]](path)
    assert written.num_rows == len(CORPUS)
    assert written.column_names[-4:] == ANNOTATED
    assert written["kept"].to_pylist() == result.annotations()["kept"].to_pylist()
    assert written["witness"].to_pylist() == result.annotations()["witness"].to_pylist()


def test_ids_in_tables_are_of_one_type_for_the_whole_job(tmp_path):
    """Integers where all are, of older documents that match too; otherwise strings, whichever documents the pairs are of."""
    older = Index(0.7)
    older.add_many(["old", 5], CORPUS[1:4:2])
    for ids, texts, against, kind in (
        ([7, 8, 9], [CORPUS[0], CORPUS[2], CORPUS[4]], None, pa.int64()),
        ([7, 8, 9], [CORPUS[0], CORPUS[3], CORPUS[4]], older, pa.int64()),
        ([7, 8, 9], [CORPUS[0], CORPUS[3], CORPUS[1]], older, pa.string()),
        ([7, 8, 9], ["one", "two", "three"], None, pa.int64()),
        ([7, 8, "x"], [CORPUS[0], CORPUS[2], CORPUS[4]], None, pa.string()),
        ([7, 8, 2**63], [CORPUS[0], CORPUS[2], CORPUS[4]], None, pa.string()),
        ([7, 8, "x"], ["one", "two", "three"], None, pa.string()),
    ):
        lines = [json.dumps({"id": id, "text": text}) + "\n" for id, text in zip(ids, texts, strict=True)]
        (tmp_path / "a.jsonl").write_text("".join(lines), encoding="utf-8")
        result = deduplicate(tmp_path / "a.jsonl", 0.7, against=against)
        types = [result.pairs.schema.field(name).type for name in "ab"]
        types += [result.annotations().schema.field(name).type for name in ("id", "cluster", "witness")]
        assert set(types) == {kind}
        assert [(row["a"], row["b"]) for row in result.pairs.to_pylist()] == [
            tuple(row[name] if kind == pa.int64() else str(row[name]) for name in "ab") for row in result.each_pair()
        ]
        assert {row[name] for row in result.each_pair() for name in "ab"} <= {*ids, "old", 5}


def test_an_annotation_does_not_hide_a_column(tmp_path):
    """A column of that name that is there already is an error, and nothing is written."""
    result = deduplicate(pa.table({"text": ["a", "b"], "kept": [1, 2]}))
    with pytest.raises(
        ParameterError, match=r"the documents have a column 'kept' already; rename it, so that 'cluster', 'kept', 'witness'"
    ):
        result.write(tmp_path / "out.parquet", annotate=True)
    assert not list(tmp_path.iterdir())


def test_a_template_costs_no_recall():
    """1,500 letters of one template, two thirds alike, and changed copies of some at 0.8 to 0.95: every copy is found, no letter is lost."""
    rng = random.Random(11)
    words = [f"word{i}" for i in range(5000)]
    template = rng.choices(words, k=164)
    letters = [[*template, *rng.choices(words, k=40)] for _ in range(1500)]
    copies = [[*letter[:204]] for letter in letters[:300]]
    for copy in copies:
        for place in rng.sample(range(204), rng.choice([1, 2, 3])):
            copy[place] = "changed"
    texts = [" ".join(text) for text in (*letters, *copies)]
    assert 0.6 < jaccard(texts[0], texts[1]) < 0.72
    alike = [i for i in range(300) if jaccard(texts[i], texts[1500 + i]) >= 0.8]
    assert len(alike) > 250
    result = deduplicate(texts)
    assert result.summary()["heavy_buckets"] > 0
    assert {(removed.id, removed.witness) for removed in result.removed} == {(1500 + i, i) for i in alike}


def test_heavy_buckets_are_listed_with_an_example():
    """More than 128 different texts that agree in a band: the band, how many, and the first of them."""
    boilerplate = " ".join(f"t{i}" for i in range(60))
    texts = [f"{boilerplate} own{n}" for n in range(200)]
    result = deduplicate(["something else", *texts], 1.0, minhash=MinHash(num_perm=2, shingling=SINGLE_WORDS), banding=Banding(2, 1))
    assert result.summary()["heavy_buckets"] == len(result.heavy_buckets) >= 1
    assert result.heavy_buckets[0].members > 128
    assert result.heavy_buckets[0].example in range(1, 201)
    assert result.removed == []


# ---- what a corpus may come as ---------------------------------------------------------------------------------------

COLUMNS = {
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "numpy": np.array,
    "pandas": pd.Series,
    "pandas labels": lambda texts: pd.Series(texts, index=range(100, 100 + len(texts))),
    "polars": pl.Series,
    "arrow": pa.array,
    "arrow chunks": lambda texts: pa.chunked_array([texts[:3], [], texts[3:]], pa.string()),
    "hugging face column": lambda texts: datasets.Dataset.from_dict({"t": texts})["t"],
    "lines": list,
}
TABLES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "hugging face": datasets.Dataset.from_dict,
}


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_columns_of_every_kind_are_decided_alike(column, keep):
    """A list, generator, numpy, pandas, polars, Arrow or Hugging Face column gives the same: ids are positions."""
    assert everything(deduplicate(column(CORPUS), 0.7, keep=keep)) == everything(deduplicate(CORPUS, 0.7, keep=keep))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_of_every_kind_are_decided_alike(table):
    """The text column may be named or obvious; ids are positions without an id column, and otherwise what it says."""
    by_position = deduplicate(CORPUS, 0.7)
    numbers = list(range(len(CORPUS)))
    assert everything(deduplicate(table({"n": numbers, "text": CORPUS}), 0.7)) == everything(by_position)
    assert everything(deduplicate(table({"text": [""] * 7, "b": CORPUS}), 0.7, text="b")) == everything(by_position)
    names = [f"name {i}" for i in range(7)]
    named = deduplicate(table({"name": names, "text": CORPUS}), 0.7, id="name")
    assert named.kept == [names[i] for i in by_position.kept]
    assert named.removed == [Removed(names[r.id], names[r.witness], r.similarity) for r in by_position.removed]
    assert named.clusters == [[names[i] for i in group] for group in by_position.clusters]
    assert rows(named.pairs) == [(names[a], names[b], score) for a, b, score in rows(by_position.pairs)]
    assert named.summary() == by_position.summary()


def write_lines(path, opener=open):
    """The corpus as lines of JSON."""
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(CORPUS))


FILES = {
    "corpus.jsonl": write_lines,
    "corpus.jsonl.gz": lambda path: write_lines(path, gzip.open),
    "corpus.parquet": lambda path: pq.write_table(pa.table({"text": CORPUS, "n": range(7)}), path),
    "corpus.csv": lambda path: pyarrow.csv.write_csv(pa.table({"text": CORPUS, "n": range(7)}), path),
}


@pytest.mark.parametrize("kind", [str, lambda path: path, lambda path: [path]], ids=["str", "Path", "list of Path"])
@pytest.mark.parametrize("name", FILES)
def test_files_of_every_kind_are_decided_alike(name, kind, tmp_path):
    """A JSONL, compressed, Parquet or CSV file of the corpus gives what the list gives: rows are positions."""
    path = tmp_path / name
    FILES[name](path)
    assert everything(deduplicate(kind(path), 0.7)) == everything(deduplicate(CORPUS, 0.7))


def test_text_files_are_documents_named_by_their_files(tmp_path):
    """A folder of text files: each is a document, its rank the order of names."""
    for i, text in enumerate(CORPUS):
        (tmp_path / f"{i}.txt").write_text(text, encoding="utf-8")
    by_position = deduplicate(CORPUS, 0.7)
    result = deduplicate(tmp_path, 0.7)
    assert [len(result.kept), len(result.removed)] == [4, 3]
    assert [str(id).rsplit(os.sep, 1)[-1] for id in result.kept] == [f"{i}.txt" for i in by_position.kept]
    assert [(r.id[-5:], r.witness[-5:], r.similarity) for r in result.removed] == [
        (f"{r.id}.txt", f"{r.witness}.txt", r.similarity) for r in by_position.removed
    ]


def write_cells(path, cells):
    """The same text with each of some cells, as CSV or TSV; a row is named by its place."""
    separator = "\t" if path.suffix == ".tsv" else ","
    lines = [separator.join(("name", "text", "n")), *(separator.join((f"r{i}", CORPUS[0], cell)) for i, cell in enumerate(cells))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize(
    ("cells", "least", "greatest"),
    [
        (["9", "10"], 0, 1),
        (["10", "9"], 1, 0),
        (["9", "", "10"], 0, 2),
        (["", "2024-05-01", "2024-01-01"], 2, 1),
        (["  ", "b", "a"], 2, 1),
        (["9", "10.5", "1e3"], 0, 2),
        (["-1", "-2", "+0.5"], 1, 2),
        ([str(2**60 + 1), str(2**60)], 1, 0),
        (["9", "10", "n/a"], 1, 2),
        (["9", "10", "nan"], 1, 2),
        (["9", "10", "inf"], 1, 2),
        (["9", "1_0"], 1, 0),
        (["9", "1" * 20], 1, 0),
        (["9", "1e999"], 1, 0),
        (["", "", ""], 0, 0),
    ],
)
def test_cells_of_csv_are_numbers_where_all_of_them_are(cells, least, greatest, suffix, tmp_path):
    """The least and the greatest value, and the first by order=, are those of numbers, or of text; an empty cell has no value."""
    path = write_cells(tmp_path / f"a.{suffix}", cells)
    found = [deduplicate(path, id="name", **options).kept for options in ({"keep": "n"}, {"keep": "-n"}, {"order": "n"})]
    assert found == [[f"r{least}"], [f"r{greatest}"], [f"r{least}"]]


def test_what_cells_are_is_told_of_all_rows(tmp_path):
    """However many batches and files a column comes in, and whatever else there is beside CSV."""
    numbers = [str(n) for n in range(9500, 10500)] * 9
    assert deduplicate(write_cells(tmp_path / "a.csv", numbers), id="name", keep="-n").kept == ["r999"]
    assert deduplicate(write_cells(tmp_path / "a.csv", [*numbers, "-"]), id="name", keep="-n").kept == ["r499"]
    lines = write_cells(tmp_path / "a.csv", ["9", "", "10"])
    for values, least, greatest in (([8, 11, None], "s0", "s1"), ([8.5, 10.5], "s0", "s1"), (["8", "95"], "r2", "s1")):
        records = [{"name": f"s{i}", "text": CORPUS[0], "n": value} for i, value in enumerate(values)]
        (tmp_path / "b.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        pq.write_table(pa.Table.from_pylist(records), tmp_path / "b.parquet")
        for other in ("b.jsonl", "b.parquet"):
            for paths in ([lines, tmp_path / other], [tmp_path / other, lines]):
                assert deduplicate(paths, id="name", keep="n").kept == [least]
                assert deduplicate(paths, id="name", keep="-n").kept == [greatest]


def test_preferred_cells_are_as_they_are_written(tmp_path):
    """A list names the text of cells, an empty one too."""
    path = write_cells(tmp_path / "a.csv", ["09", "9", ""])
    assert [deduplicate(path, id="name", keep={"n": [cell]}).kept for cell in ("9", "09", "")] == [["r1"], ["r0"], ["r2"]]


# ---- writing ---------------------------------------------------------------------------------------------------------


READERS = {
    "clean.jsonl": lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()],
    "clean.parquet": lambda path: pq.read_table(path).to_pylist(),
    "clean.csv": lambda path: pd.read_csv(path, keep_default_na=False).to_dict("records"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_list_is_written_with_its_positions(name, tmp_path):
    """The kept documents in input order, as id and text; what is written has no duplicates and gives itself again."""
    path = tmp_path / name
    deduplicate(CORPUS, 0.7).write(path)
    assert READERS[name](path) == [{"id": i, "text": CORPUS[i]} for i in (0, 1, 3, 4)]
    again = deduplicate(path, 0.7)
    assert (list(map(int, again.kept)), again.removed) == ([0, 1, 3, 4], [])


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_written_with_all_its_columns(table, name, tmp_path):
    """The rows of the kept documents, in input order."""
    columns = {"text": CORPUS, "year": list(range(1990, 1997)), "source": [f"s{i}" for i in range(7)]}
    path = tmp_path / name
    deduplicate(table(columns), 0.7, keep="last").write(str(path))
    assert READERS[name](path) == [{key: values[i] for key, values in columns.items()} for i in (2, 3, 4, 6)]


def test_lines_of_json_stay_as_they_were(tmp_path):
    """From JSONL to JSONL each kept line is the original, byte for byte."""
    lines = [f'{{"text":   {json.dumps(text)}, "x": 1.50 }}\n' for text in CORPUS]
    (tmp_path / "in.jsonl").write_text("".join(lines), encoding="utf-8")
    deduplicate(tmp_path / "in.jsonl", 0.7).write(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "".join(lines[i] for i in (0, 1, 3, 4))


def test_a_format_that_is_not_known_is_refused(tmp_path):
    """So is writing over the input; nothing is written and the input stays."""
    write_lines(tmp_path / "in.jsonl")
    before = (tmp_path / "in.jsonl").read_bytes()
    result = deduplicate(tmp_path / "in.jsonl", 0.7)
    with pytest.raises(ParameterError, match="clean"):
        result.write(tmp_path / "clean.docx")
    with pytest.raises(ParameterError, match=r"in\.jsonl"):
        result.write(tmp_path / "in.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
    assert (tmp_path / "in.jsonl").read_bytes() == before


# ---- one answer, however it is computed ------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", KEEP)
def test_threads_do_not_change_the_answer(keep):
    """1, 2 or 7 threads give one result to the last bit."""
    texts = truth.planted(1200, seed=11)
    answers = [everything(deduplicate(texts, 0.6, keep=keep, threads=threads, pairs="all")) for threads in (1, 2, 7)]
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0][1]) > 100


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("pairs", ["decisions", "all"])
def test_slices_do_not_change_the_answer(monkeypatch, size, pairs):
    """Pairs compared one at a time, a few or all at once, documents read in batches of any size: one result."""
    texts = truth.planted(700, seed=12)
    expected = everything(deduplicate(texts, 0.6, keep="longest", pairs=pairs))
    monkeypatch.setattr("neardup.joins.PAIRS", size)
    monkeypatch.setattr("neardup.documents.BATCH_BYTES", 50 * size)
    assert everything(deduplicate(texts, 0.6, keep="longest", pairs=pairs)) == expected


@given(truth.corpora(), st.sampled_from([1, 2, 5]), st.sampled_from(KEEP), st.sampled_from(["decisions", "all"]))
@settings(max_examples=60)
def test_slices_of_any_corpus(texts, size, keep, pairs):
    """The same for corpora in which nearly everything resembles something."""
    expected = everything(deduplicate(texts, 0.6, keep=keep, pairs=pairs, **SELECTIVE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neardup.joins.PAIRS", size)
        assert everything(deduplicate(texts, 0.6, keep=keep, pairs=pairs, **SELECTIVE)) == expected


SCRIPT = """
import hashlib, sys
import neardup, truth
for keep in ("first", "longest"):
    result = neardup.deduplicate(truth.planted(800, seed=13), 0.6, keep=keep, threads=int(sys.argv[1]), pairs="all")
    everything = result.kept, result.removed, result.clusters, result.pairs.to_pylist(), result.summary()
    print(hashlib.sha256(repr(everything).encode()).hexdigest())
"""


def test_the_hash_seed_does_not_change_the_answer():
    """Fresh interpreters with other seeds of Python's own hashes, and other numbers of threads, give one result."""
    answers = set()
    for hash_seed, threads in (("0", 1), ("1", 2), ("random", 3)):
        env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        answers.add(
            subprocess.run([sys.executable, "-c", SCRIPT, str(threads)], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
    assert len(answers) == 1
    assert len(answers.pop().split()) == 2


def test_the_order_of_the_input_changes_ranks_only():
    """Backwards with keep="last" is forwards with keep="first"."""
    texts = truth.planted(600, seed=14)
    forwards, backwards = deduplicate(texts, 0.6), deduplicate(texts[::-1], 0.6, keep="last")
    last = len(texts) - 1
    assert backwards.kept == [last - i for i in reversed(forwards.kept)]
    assert backwards.removed == [Removed(last - r.id, last - r.witness, r.similarity) for r in reversed(forwards.removed)]


# ---- fifty thousand copies -------------------------------------------------------------------------------------------


def seconds(work):
    """The processor time that a function takes, the least of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(("keep", "pairs"), [("first", "decisions"), ("last", "decisions"), ("longest", "all")])
def test_identical_documents_cost_linear_time(keep, pairs):
    """50,000 copies of one text take about ten times what 5,000 take, and all but one are removed."""
    text = " ".join(f"t{i}" for i in range(100))

    def work(n):
        result = deduplicate([text] * n, keep=keep, pairs=pairs)
        kept = n - 1 if keep == "last" else 0
        assert result.kept == [kept]
        assert len(result.removed) == result.pairs.num_rows == n - 1
        assert len(result.clusters[0]) == n

    work(10)
    times = {n: seconds(lambda n=n: work(n)) for n in (5_000, 50_000)}
    assert times[50_000] < 25 * times[5_000], times
    assert times[50_000] < 10


def test_many_copies_of_many_look_alikes_cost_linear_time():
    """200 look-alikes, 250 copies of each, all removed but one: what is compared is the sets, not the copies."""
    common = " ".join(f"t{i}" for i in range(60))
    texts = [f"{common} own{i % 200}" for i in range(50_000)]
    start = time.process_time()
    result = deduplicate(texts, **GENEROUS)
    assert result.kept == [0]
    assert result.summary()["copies"] == 50_000 - 200
    assert time.process_time() - start < 20


# ---- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_told(monkeypatch):
    """Each stage is told in turn, what is done grows up to the whole, and an error in the callback is the caller's."""
    monkeypatch.setattr("neardup.joins.PAIRS", 20)
    monkeypatch.setattr("neardup.documents.BATCH_BYTES", 3000)
    texts = truth.planted(300, seed=15)
    told = []
    deduplicate(texts, pairs="all", progress=lambda *arguments: told.append(arguments))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["signing", "pairing"]
    assert [stage for stage, _, _ in told] == sorted((stage for stage, _, _ in told), key=stages.index)
    for stage in stages:
        done = [d for s, d, _ in told if s == stage]
        (total,) = {t for s, _, t in told if s == stage}
        assert len(done) >= 2
        assert done == sorted(set(done))
        assert done[-1] == total
    assert told[0][2] == 300

    def impatient(*_arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deduplicate(texts, progress=impatient)


# ---- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, -1, 1.5, 80, math.nan, math.inf, "x", True])
def test_a_threshold_lies_above_0_and_is_at_most_1(wrong):
    """Anything else is refused with the value, before the corpus is read."""
    error = ParameterError if isinstance(wrong, int | float) and wrong is not True else TypeError
    with pytest.raises(error, match=f"threshold is {wrong!r}"):
        deduplicate(None, wrong)


WRONG = {
    "recall 2": ({"recall": 2}, ParameterError, "recall is 2; it lies above 0 and below 1"),
    "recall 1": ({"recall": 1.0}, ParameterError, r"recall is 1\.0; it lies above 0 and below 1"),
    "recall nan": ({"recall": math.nan}, ParameterError, "recall is nan"),
    "recall x": ({"recall": "x"}, TypeError, "recall is 'x' of type str"),
    "keep best": (
        {"keep": "best"},
        ParameterError,
        r"column 'best' is asked for.* no columns; leave it out \(keep='first', .*\), or give a table",
    ),
    "keep None": ({"keep": None}, ParameterError, "keep is None; it is 'first', 'last', 'longest', the name"),
    "keep an array": ({"keep": np.array(["first", "last"])}, ParameterError, r"keep is array\(.*\); it is 'first'"),
    "pairs x": ({"pairs": "x"}, ParameterError, "pairs is 'x'; it is one of 'decisions', 'all'"),
    "threads 0": ({"threads": 0}, ParameterError, "threads is 0; it goes from 1 to 1024"),
    "threads x": ({"threads": "x"}, TypeError, "threads is 'x' of type str"),
    "too many bands": ({"banding": Banding(100, 2)}, ParameterError, "100 bands of 2 rows need 200 slots, num_perm is 128"),
    "two shinglings": ({"minhash": MinHash(), "shingling": Shingling(size=3)}, IncompatibleError, "give one of them"),
    "no columns": ({"text": "body"}, ParameterError, "body"),
}


@pytest.mark.parametrize(("parameters", "error", "words"), WRONG.values(), ids=WRONG)
def test_wrong_parameters_are_refused_with_the_value(parameters, error, words):
    """The message names the parameter, what it was given, and what it may be."""
    with pytest.raises(error, match=words):
        deduplicate(CORPUS, **parameters)


@pytest.mark.parametrize(("wrong", "kind"), [(None, "NoneType"), (7, "int"), (b"bytes", "bytes"), (1.5, "float"), (["x"], "list")])
@pytest.mark.parametrize("place", [0, 5000])
def test_what_is_not_a_text_is_refused_with_its_position(wrong, kind, place):
    """None, a number or bytes among the texts is a TypeError that names the position and the type."""
    texts = ["some text"] * 9000
    texts[place] = wrong
    for source in (texts, tuple(texts), iter(texts)):
        with pytest.raises(TypeError, match=f"text {place} is of type {kind}"):
            deduplicate(source)


@pytest.mark.parametrize("wrong", [None, 7, b"bytes", {"a": "text"}, {"a text"}], ids=repr)
def test_what_is_not_a_corpus_is_refused(wrong):
    """Something without texts in an order is a TypeError that names its type."""
    with pytest.raises(TypeError, match=type(wrong).__name__):
        deduplicate(wrong)


def test_one_text_is_not_a_corpus():
    """A string is a path; if there is no such file, the message says how to pass a text."""
    with pytest.raises(InputError, match=r"no file or folder 'one two three'.*in a list: \[text\]"):
        deduplicate("one two three")


def test_the_public_names_are_the_same():
    """What the package offers is what this module tests."""
    assert neardup.deduplicate is deduplicate
