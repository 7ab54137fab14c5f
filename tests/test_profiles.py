"""Profiles: noisy readings, excerpts, short texts, code; options of shingling; labels."""

import gzip
import itertools
import json
import math
import os
import random
import re
import sqlite3
import struct
import threading
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from ocr_noise import noisy

import neardup
from neardup import noise, reference
from neardup.census import Census, Weights
from neardup.excerpts import found_in_longer
from neardup.judging import Learnt
from neardup.noise import Legibility, Readings, corrected, least_jaccard
from neardup.profiles import PROFILES, resolve
from neardup.rarity import Weighed, rarity
from neardup.shingling import MARKS, ZEROS
from neardup.stores import disk
from neardup.stores.memory import MemoryStore
from neardup.verify import verification_hashes

REUTERS = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578"
needs_reuters = pytest.mark.skipif(not REUTERS.is_dir(), reason="needs ../shared/data/reuters-21578")


@pytest.fixture(scope="module")
def stories():
    """The texts, and for each those of a word-3 similarity of 0.3 and more, which nobody has judged."""
    with gzip.open(REUTERS / "docs.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    place = {row["id"]: i for i, row in enumerate(rows)}
    near = set()
    with gzip.open(REUTERS / "pairs.jsonl.gz", "rt") as file:
        for pair in map(json.loads, file):
            near |= {(place[pair["a"]], place[pair["b"]]), (place[pair["b"]], place[pair["a"]])}
    return [row["text"] for row in rows], near


def judged(found, sources, near):
    """Precision, recall, F1 of answers to copies of some documents; pairs that nobody has judged do not count."""
    right = sum(any(match.id == source for match in matches) for source, matches in zip(sources, found, strict=True))
    wrong = sum(m.id != source and (source, m.id) not in near for source, matches in zip(sources, found, strict=True) for m in matches)
    return right / max(1, right + wrong), right / len(sources), 2 * right / (right + wrong + len(sources))


# ---- the profiles ------------------------------------------------------------------------------------------------------


@needs_reuters
def test_misread_copies_are_found(stories, record_property):
    """profile="ocr" reaches F1 0.98 up to 10 % of characters misread and 0.90 at 20 %; plain word shingles are shown beside it."""
    texts, near = stories
    sources = random.Random(11).sample([i for i, text in enumerate(texts) if len(text) >= 200], 250)
    ocr, words = neardup.Index(profile="ocr"), neardup.Index(0.3, shingling=neardup.Shingling(size=3))
    for index in (ocr, words):
        index.add_many(range(len(texts)), texts)
    for rate, least in ((0.01, 0.98), (0.05, 0.98), (0.1, 0.98), (0.2, 0.90)):
        copies = [noisy(texts[i], rate, i) for i in sources]
        _, _, f1 = judged(ocr.query_many(copies), sources, near)
        _, _, plain = judged(words.query_many(copies), sources, near)
        record_property(f"F1 at {rate:.0%}", f"{f1:.3f} (words {plain:.3f})")
        assert f1 >= least, rate


@needs_reuters
def test_two_misread_copies_are_found(stories, record_property):
    """Where both readings are bad, and the whole corpus is deduplicated."""
    texts, _ = stories
    rng = random.Random(12)
    sources = rng.sample([i for i, text in enumerate(texts) if len(text) >= 200], 300)
    others = rng.sample([text for text in texts if len(text) >= 200], 2000)
    corpus = [*others, *(noisy(texts[i], 0.1, i) for i in sources), *(noisy(texts[i], 0.1, -i) for i in sources)]
    witness = {removed.id: removed.witness for removed in neardup.deduplicate(corpus, profile="ocr").removed}
    n = len(others)
    together = sum(witness.get(n + 300 + i, -1) in (n + i, witness.get(n + i, n + i)) for i in range(300))
    record_property("found", together / 300)
    assert together >= 0.95 * 300


@needs_reuters
@pytest.mark.parametrize("times", [2, 10, 100])
def test_excerpts_are_found(stories, times, record_property):
    """Paragraphs and halves, in documents so many times as long: recall at least 0.95, precision 0.99 by exact containment."""
    texts, _ = stories
    rng = random.Random(times)
    long = [i for i, text in enumerate(texts) if len(text.split()) >= 120]
    excerpts, hosts = [], []
    for n, i in enumerate(rng.sample(long, 100)):
        words = texts[i].split()
        start = rng.randrange(len(words) - 60)
        excerpt = words[: len(words) // 2] if n % 2 else words[start : start + 60]
        filler = []
        while len(filler) < times * len(excerpt):
            filler += texts[rng.choice(long)].split()
        cut = rng.randrange(len(filler))
        excerpts.append(" ".join(excerpt))
        hosts.append(" ".join(filler[:cut] + excerpt + filler[cut : times * len(excerpt)]))
    index = neardup.Index(profile="excerpt")
    corpus = [*hosts, *texts[:4000]]
    index.add_many(range(len(corpus)), corpus)
    sets = [set(verification_hashes(neardup.Shingling().hashes(text)).tolist()) for text in corpus]
    found = wanted = right = 0
    for n, matches in enumerate(index.query_many(excerpts)):
        own = set(verification_hashes(neardup.Shingling().hashes(excerpts[n])).tolist())
        real = {i for i, other in enumerate(sets) if len(own & other) / len(own) >= 0.8}
        assert n in real
        ids = {match.id for match in matches}
        found, wanted, right = found + len(ids), wanted + len(real), right + len(ids & real)
    record_property("recall, precision", f"{right / wanted:.4f}, {right / found:.4f}")
    assert right >= 0.95 * wanted
    assert right >= 0.99 * found


@needs_reuters
def test_short_texts_are_found(record_property):
    """Titles of 5 to 15 words with one changed, added, dropped or swapped: most are found, where "text" finds next to none."""
    with gzip.open(REUTERS / "docs.jsonl.gz", "rt") as file:
        titles = sorted({row["title"] for row in map(json.loads, file) if 5 <= len((row["title"] or "").split()) <= 15})
    rng = random.Random(5)
    words = [word for title in titles for word in title.split()]

    def edited(title, kind):
        own = title.split()
        i = rng.randrange(len(own) - 1)
        if kind == "swapped":
            own[i], own[i + 1] = own[i + 1], own[i]
        elif kind == "dropped":
            del own[i]
        else:
            own[i : i + (kind == "changed")] = [rng.choice(words)]
        return " ".join(own)

    sources = rng.sample(range(len(titles)), 300)
    indexes = {name: neardup.Index(profile=name) for name in ("short", "text")}
    for index in indexes.values():
        index.add_many(range(len(titles)), titles)
    for kind in ("changed", "added", "dropped", "swapped"):
        edits = [edited(titles[i], kind) for i in sources]
        scores = {name: judged(index.query_many(edits), sources, set()) for name, index in indexes.items()}
        record_property(f"F1, one word {kind}", f"{scores['short'][2]:.3f} (text {scores['text'][2]:.3f})")
        assert scores["short"][2] >= 0.88
        assert scores["short"][1] >= 0.9


def test_code_is_compared_by_its_operators():
    """Spaces and breaks of lines do not count; an operator does."""
    a = "def area(self, width):\n    return self.height * width + self.border"
    code = neardup.Index(profile="code")
    code.add("a", a)
    assert code.query(a.replace(" ", "  ").replace("\n", "\n\n"))[0].similarity == 1
    assert 0 < neardup.jaccard(a, a.replace("*", "-"), shingling=code.minhash.shingling) < 1
    assert neardup.Index().minhash.sign(a) == neardup.Index().minhash.sign(a.replace("*", "-"))


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_may_be_overridden(name):
    """Whatever it sets, what is given instead holds, and is said."""
    index = neardup.Index(0.9, profile=name, shingling=neardup.Shingling(size=2), bucket_limit=7)
    assert (index.threshold, index.profile, index.minhash.shingling.size, index.bucket_limit) == (0.9, name, 2, 7)
    assert neardup.Index(profile=name).threshold == PROFILES[name].threshold


def test_no_such_profile():
    """The name is said, and those that there are."""
    with pytest.raises(neardup.ParameterError, match=r"^profile is 'news'; it is one of 'text', 'ocr', 'short', 'code', 'excerpt'$"):
        neardup.Index(profile="news")
    with pytest.raises(neardup.ParameterError, match="profile is 3"):
        neardup.deduplicate(["a"], profile=3)


# ---- an index of a profile ---------------------------------------------------------------------------------------------

PAGE = "the committee met on monday in the town hall to vote on the budget for the coming year and adjourned at noon"


@pytest.mark.parametrize("name", ["ocr", "short", "code"])
def test_an_index_on_disk_knows_its_profile(tmp_path, name):
    """It is stored, with all that it sets; another is refused."""
    with neardup.Index.open(tmp_path / "index", profile=name) as index:
        index.add("a", PAGE)
        expected = index.query(PAGE)
    with neardup.Index.open(tmp_path / "index") as index:
        assert index.profile == name
        assert index.verify == PROFILES[name].verify
        assert index.minhash.shingling == PROFILES[name].shingling
        assert index.query(PAGE) == expected
        assert [match.id for match in index.query(PAGE)] == ["a"]
    with pytest.raises(neardup.IncompatibleError, match="has profile"):
        neardup.Index.open(tmp_path / "index", profile="text")
    saved = neardup.Index.load(tmp_path / "index")
    assert (saved.profile, saved.query(PAGE)) == (name, expected)


def test_options_of_shingling_are_stored(tmp_path):
    """Diacritics, digits and stop texts are parameters like others."""
    shingling = neardup.Shingling(size=2, strip_diacritics=True, fold_digits=True, stop=["read more"])
    with neardup.Index.open(tmp_path / "index", shingling=shingling) as index:
        index.add("a", "Café at 41 Main Street")
    with neardup.Index.open(tmp_path / "index") as index:
        assert index.minhash.shingling == shingling
        assert index.query("cafe at 77 main street")[0].similarity == 1
    with pytest.raises(neardup.IncompatibleError, match="has shingling"):
        neardup.Index.open(tmp_path / "index", shingling=neardup.Shingling(size=2))


def test_noisy_answers_are_estimates():
    """They say so; a copy is 1; memory and all ways to ask agree."""
    rng = random.Random(4)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=120)) for _ in range(150)]
    index = neardup.Index(profile="ocr")
    index.add_many(range(150), texts)
    copies = [noisy(text, 0.1, i) for i, text in enumerate(texts[:20])]
    many = index.query_many(copies)
    assert many == [index.query(copy) for copy in copies]
    assert [[match.id for match in matches] for matches in many] == [[i] for i in range(20)]
    assert not any(match.exact for matches in many for match in matches)
    assert index.query(texts[3])[0].similarity == 1
    assert index.add_unless_duplicate("copy", copies[5]).id == 5
    assert index.add_unless_duplicate("new", "something that is altogether different from all of those texts") is None
    with pytest.raises(neardup.DuplicateIdError, match="document 'new' is in the index already"):
        index.add_unless_duplicate("new", "whatever")
    index.add("copy", copies[5])
    assert {(row["a"], row["b"]) for row in index.pairs().to_pylist()} == {("5", "copy")}
    assert [match.id for match in index.query_stored(5)] == ["copy"]
    removed = neardup.deduplicate([*texts, *copies], profile="ocr").removed
    assert [(one.id, one.witness) for one in removed] == [(150 + i, i) for i in range(20)]


def test_noisy_jobs_do_not_depend_on_threads_or_memory():
    """The same decisions, whatever they are made by."""
    rng = random.Random(9)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(200)]
    texts = [" ".join(rng.choices(words, k=80)) for _ in range(200)]
    texts += [noisy(text, 0.05, i) for i, text in enumerate(texts)]
    results = [neardup.deduplicate(texts, profile="ocr", threads=n, memory_limit=limit) for n, limit in ((1, None), (3, "64MiB"))]
    assert results[0].removed == results[1].removed
    assert results[0].pairs == results[1].pairs
    assert results[0].summary()["verify"] == "noisy"


@pytest.mark.parametrize("verify", ["noisy", "rarity"])
@pytest.mark.parametrize(("given", "words"), [({"exact": True}, "exact is True"), ({"against": neardup.Index()}, "against is <Index")])
def test_what_depends_on_a_corpus_is_of_one_corpus(verify, given, words):
    """What would need another census is refused."""
    with pytest.raises(neardup.ParameterError, match=f"^verify is '{verify}' and {re.escape(words)}"):
        neardup.deduplicate(["a b"], verify=verify, **given)


def test_only_what_cannot_match_is_left_out_of_readings(monkeypatch):
    """A look-up that knows how legible documents are finds what one that verifies every candidate does, after removals too."""
    rng = random.Random(10)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=rng.randint(20, 200))) for _ in range(300)]
    index = neardup.Index(profile="ocr")
    index.add_many(range(300), [noisy(text, 0.1 * (i % 3), i) for i, text in enumerate(texts)])
    for i in range(0, 300, 7):
        index.remove(i)
    index.add_many(range(1000, 1040), [noisy(text, 0.05, i) for i, text in enumerate(texts[:40])])
    queries = [noisy(text, 0.05 * (i % 4), -i) for i, text in enumerate(texts)]
    quick = index.query_many(queries)
    store, left = index._store.query, []

    def everything(batch, least, threads, readings):
        answers = store(batch, least, threads, readings)
        every = store(batch, least, threads)
        left.append(sum(len(hits) for hits, _ in every) - sum(len(hits) for hits, _ in answers))
        return every

    monkeypatch.setattr(index._store, "query", everything)
    assert index.query_many(queries) == quick
    assert sum(map(len, quick)) > 250
    assert sum(left) > 0


def test_a_look_up_is_judged_by_one_census(monkeypatch):
    """Whatever another thread learns meanwhile: what the table knows of documents by another census leaves nothing out."""
    texts = [f"{text} {i}" for i, text in enumerate(forms(60, 5))]
    index = neardup.Index(profile="ocr")
    index.add_many(range(60), texts)
    expected = index.query(noisy(texts[3], 0.05, 1))
    assert expected[0].id == 3
    store = index._store.query

    def meanwhile(batch, least, threads, readings):
        nothing = Weights(np.array([1], np.uint32), np.array([1]), 1)  # as if all were read rightly
        index._store.read_by(nothing.table, 0.01, 1.0, readings[2] + 1)
        return store(batch, least, threads, readings)

    monkeypatch.setattr(index._store, "query", meanwhile)
    assert index.query(noisy(texts[3], 0.05, 1)) == expected


def test_an_index_learns_again_when_an_eighth_was_written(monkeypatch):
    """Not at every document, however few there are."""
    learnt = []
    first = neardup.stores.memory.MemoryStore.first
    monkeypatch.setattr(neardup.stores.memory.MemoryStore, "first", lambda self, hashes: learnt.append(len(self)) or first(self, hashes))
    index = neardup.Index(verify="rarity")
    for i in range(200):
        index.add_unless_duplicate(i, f"text number {i} of quite some of them, each its own {i * i}")
    assert 20 < len(learnt) < 50
    assert max(later - earlier for earlier, later in itertools.pairwise(learnt)) <= 26


def test_readings_must_fit_the_batch():
    """The kernel refuses a table of estimates, and as many readings as there are no documents."""
    table = neardup.Index(profile="ocr")._store._table
    batch = neardup.stores.StoreBatch.of(neardup.MinHash().sign_many(["a b"], hashes=True), neardup.Banding(128, 1), 1, lean=False)
    with pytest.raises(ValueError, match="2 readings, 1 documents and 0 slots"):
        table.query(tuple(batch), 0.5, 1, (np.ones(2), 0.5, 1))


# ---- rarity ------------------------------------------------------------------------------------------------------------


def forms(n, seed):
    """Forms of one template, of n each: its words, and a few of their own."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(2000)]
    frame = rng.choices(words, k=120)
    return [" ".join(frame[:60] + rng.choices(words, k=25) + frame[60:]) for _ in range(n)]


@pytest.mark.parametrize("opened", [False, True])
def test_boilerplate_counts_for_little(opened, tmp_path):
    """Forms of a template are no near-duplicates by rarity, and are by Jaccard similarity; a copy but for a word is by both."""
    texts = forms(60, 3)
    copy = texts[7].replace(" ".join(texts[7].split()[70:72]), "another word", 1)
    given = {"threshold": 0.6, "verify": "rarity"}
    for verify, found in (("exact", 60), ("rarity", 1)):
        given["verify"] = verify
        with neardup.Index.open(tmp_path / verify, **given) if opened else neardup.Index(**given) as index:
            index.add_many(range(60), texts)
            matches = index.query(copy)
            assert len(matches) == found
            assert matches[0].id == 7
            assert matches[0].exact == (verify == "exact")
            assert index.add_unless_duplicate("copy", copy).id == 7
            assert index.query(copy, measure="containment", top=1)[0].containment > 0.6
            if verify == "rarity":
                assert len(index.pairs()) == 0
                index.add("copy", copy)
                assert {(row["a"], row["b"]) for row in index.pairs().to_pylist()} == {("7", "copy")}
                assert "weighted by rarity" in repr(index)
    if opened:
        with neardup.Index.open(tmp_path / "rarity") as index:
            assert index.verify == "rarity"
            assert [match.id for match in index.query(copy)] == ["copy", 7]


def test_a_corpus_is_deduplicated_by_rarity():
    """The same pairs as the specification finds, whatever the threads and the memory."""
    texts = forms(15, 4)
    texts += [text.replace(" ".join(text.split()[70:72]), "another word", 1) for text in texts[:5]]
    evidence = [verification_hashes(neardup.Shingling().hashes(text)) for text in texts]
    expected = {(a, b): reference.weighted_similarity(evidence[a], evidence[b], evidence) for b in range(len(texts)) for a in range(b)}
    for threads, limit in ((1, None), (2, "64MiB")):
        result = neardup.deduplicate(texts, 0.6, verify="rarity", pairs="all", threads=threads, memory_limit=limit)
        assert {(row["a"], row["b"]): row["similarity"] for row in result.pairs.to_pylist()} == {
            pair: score for pair, score in expected.items() if score >= 0.6
        }
        assert [(one.id, one.witness) for one in result.removed] == [(15 + i, i) for i in range(5)]
        assert result.summary()["verify"] == "rarity"
    assert len(neardup.deduplicate(texts, 0.6).kept) == 1


@pytest.mark.parametrize("verify", ["noisy", "rarity"])
def test_an_index_is_judged_the_same_when_it_is_opened_again(verify, tmp_path):
    """By writers, readers and copies: though whoever learnt anew would learn something else."""
    letters = forms(60, 3)
    with neardup.Index.open(tmp_path / "letters", 0.5, verify=verify) as index:
        index.add_many(range(60), letters)
        for i in (*range(40), *range(40)):  # who copies it later counts fewer that were written
            index.update(i, letters[i])
        reader = neardup.Index.open(tmp_path / "letters", mode="r")
        reader.query(letters[0])  # it stores nothing
        index.query(letters[0])
        index.add_many(range(100, 107), [f"{letters[0]} {i}" for i in range(7)])
        expected = index.query_many(letters)
        reader.refresh()
        assert reader.query_many(letters) == expected
        reader.close()
        index.save(tmp_path / "copy")
    for copy in (neardup.Index.open(tmp_path / "letters"), neardup.Index.load(tmp_path / "letters"), neardup.Index.open(tmp_path / "copy")):
        with copy:
            assert copy.query_many(letters) == expected
    with sqlite3.connect(tmp_path / "letters" / "catalog.sqlite") as catalog:
        mark, kept, bulk = catalog.execute("select mark, data, bulk from learnt").fetchone()
        for damaged in ((mark, b""), (mark, kept[:-9] + bytes(9)), (mark, "text"), (7, kept), (b"", kept), None, "drop table learnt"):
            if isinstance(damaged, str):
                catalog.execute(damaged)
            else:
                catalog.execute("delete from learnt")
            if isinstance(damaged, tuple):
                catalog.execute("insert into learnt values (?, ?, ?)", (*damaged, bulk))
            catalog.commit()
            with neardup.Index.open(tmp_path / "letters", mode="r") as index:
                assert index.query_many(letters) != expected
                assert index.query(letters[0])[0].id == 0


@pytest.mark.parametrize("refreshed", [False, True])
def test_what_was_learnt_does_not_outlive_what_it_was_learnt_of(refreshed, tmp_path):
    """Documents that are replaced are as good a reason to learn anew as more of them, whoever replaces them."""
    texts, index = [*forms(60, 1), *forms(60, 2)], None
    with neardup.Index.open(tmp_path / "letters", 0.5, verify="rarity") as first:
        first.add_many(range(60), texts[:60])
        first.query(texts[0])
    for start in range(0, 60, 6):
        if index is None:
            index = neardup.Index.open(tmp_path / "letters")
        for i in range(start, start + 6):
            index.update(i, texts[60 + i])
        index.query(texts[60])
        if refreshed:
            index.refresh()
        else:
            index.close()
            index = None
    if index is not None:
        index.close()
    with neardup.Index.open(tmp_path / "letters") as index:
        assert [[match.id for match in matches] for matches in index.query_many(texts[60:])] == [[i] for i in range(60)]


@given(st.binary(max_size=90))
def test_whatever_is_stored_is_learnt_or_learnt_again(data):
    """Bytes with a right checksum are a census, or none; never an error."""
    learnt = Learnt.unpacked(data + xxhash.xxh3_64_digest(data))
    assert learnt is None or learnt.packed()[:-8] == data


def test_documents_that_are_added_by_the_thousand_count(tmp_path):
    """On disk too, where they go to a file of their own."""
    many = 2100
    with neardup.Index.open(tmp_path / "many", 0.9, verify="rarity") as index:
        marks = set()
        for turn in range(3):
            for id in index.ids():
                index.remove(id)
            index.add_many(range(many), [f"turn {turn} has document {i} of this kind" for i in range(many)])
            index.query("turn 0 has document 0 of this kind")
            marks.add(index._store.extent().learnt)
        assert len(marks) == 3


def test_no_census_that_cannot_be_is_believed():
    """However right its checksum: lengths, order and counts are looked at."""
    census = Census(np.array([1, 2, 1, 2, 1, 2], np.uint32), np.array([2, 2, 2], np.uint32))
    kept = Learnt(3, -1, 0.5, census).packed()
    assert kept.hex() == (
        "0300000000000000ffffffffffffffff000000000000e03f0300000000000000020000000000000001000000020000000300000003000000b7cdd91ff1b6966e"
    )
    assert Learnt.unpacked(kept).packed() == kept
    assert Learnt.unpacked(kept + b"\0") is Learnt.unpacked(kept[:-1]) is Learnt.unpacked(kept[1:]) is None
    for place, value in (
        (16, struct.pack("<d", 1.5)),
        (16, struct.pack("<d", math.nan)),
        (24, b"\2"),
        (32, b"\3"),
        (40, b"\2"),
        (48, b"\2"),
    ):
        wrong = kept[:place] + value + kept[place + len(value) : -8]
        assert Learnt.unpacked(wrong + xxhash.xxh3_64_digest(wrong)) is None


def test_excerpts_take_no_bands():
    """They are found by a sample of shingles."""
    with pytest.raises(neardup.ParameterError, match="samples shingles instead of taking bands"):
        neardup.Index(profile="excerpt", banding=neardup.Banding(3, 2))


@pytest.mark.parametrize("seed", range(3))
def test_excerpts_on_disk_are_those_in_memory(tmp_path, monkeypatch, seed):
    """The same calls give the same answers: written, opened again, read beside the writer, folded into files and merged."""
    monkeypatch.setattr(disk, "TAIL", 16)
    monkeypatch.setattr(disk, "BULK", 24)
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(300)]
    text = lambda: " ".join(rng.choices(words, k=rng.randint(6, 120)))  # noqa: E731
    memory, path = neardup.Index(profile="excerpt"), tmp_path / "index"
    kept = neardup.Index.open(path, profile="excerpt")
    reader = neardup.Index.open(path, mode="r")
    texts = {}
    for step in range(60):
        if step % 9 == 8:
            kept.close()
            kept = neardup.Index.open(path)
        one = text() if rng.random() < 0.5 or not texts else " ".join(rng.choice(list(texts.values())).split()[3:60])
        kind = rng.choice(["add", "add", "many", "unless", "remove", "update", "compact"])
        some = rng.choice(list(texts)) if texts else None
        for index in (memory, kept):
            if kind == "add":
                index.add(step, one)
            elif kind == "many":
                index.add_many([f"{step}-{i}" for i in range(30)], [f"{one} {i}" for i in range(30)])
            elif kind == "unless":
                found = index.add_unless_duplicate(step, one)
            elif kind == "remove" and some is not None:
                index.remove(some)
            elif kind == "update" and some is not None:
                index.update(some, one)
            elif kind == "compact":
                index.compact()
        if kind == "add" or (kind == "unless" and not found):
            texts[step] = one
        elif kind == "many":
            texts |= {f"{step}-{i}": f"{one} {i}" for i in range(30)}
        elif kind == "remove":
            texts.pop(some, None)
        elif kind == "update" and some is not None:
            texts[some] = one
        asked = [one, text(), *rng.sample(list(texts.values()), min(3, len(texts)))]
        asked += [" ".join(found.split()[5:30]) for found in asked]
        assert kept.query_many(asked) == memory.query_many(asked)
    reader.refresh()
    assert reader.ids() == kept.ids() == memory.ids()
    assert sorted(map(str, memory.ids())) == sorted(map(str, texts))
    assert reader.pairs() == kept.pairs() == memory.pairs()
    assert kept.stats().documents == len(texts)
    assert [kept.query_stored(id) for id in texts] == [memory.query_stored(id) for id in texts]
    kept.close()
    with pytest.raises(ValueError, match="is closed; open it again"):
        kept.query("a")
    with pytest.raises(neardup.ParameterError, match="was opened with mode='r'; open it with mode='a' to write"):
        reader.add("x", "a b")
    reader.close()


def test_excerpts_are_saved_and_loaded(tmp_path):
    """To a folder and back, with all that the index was made with; checked like any other."""
    index = neardup.Index(0.7, profile="excerpt", bucket_limit=50)
    index.add_many(["whole", "none"], [PAGE, "?"])
    quoted = " ".join(PAGE.split()[5:25])
    index.save(tmp_path / "saved")
    loaded = neardup.Index.load(tmp_path / "saved")
    assert (loaded.threshold, loaded.bucket_limit, loaded.verify) == (0.7, 50, "contained")
    assert loaded.query(quoted) == index.query(quoted) != []
    with neardup.Index.open(tmp_path / "saved") as stored:
        assert repr(stored) == repr(index)
        assert stored.check() == []
        assert stored.query(quoted) == index.query(quoted)
        with pytest.raises(neardup.DuplicateIdError, match="document 'whole' is in the index already"):
            stored.add_many(["new", "whole"], ["a b", PAGE])
        assert "new" not in stored
    with pytest.raises(neardup.IncompatibleError, match="has profile 'excerpt', not 'text'"):
        neardup.Index.open(tmp_path / "saved", profile="text")


CHANGES = {
    "add": lambda index: index.add("new", PAGE + " and more"),
    "replace": lambda index: index.update("old", "something else"),
    "remove": lambda index: index.remove("old"),
}


@pytest.mark.parametrize("broken", CHANGES)
def test_an_interrupted_change_of_excerpts(tmp_path, monkeypatch, broken):
    """What is interrupted when it is on disk is found, or not, as if it had not been."""
    quoted = " ".join(PAGE.split()[5:25])
    with neardup.Index.open(tmp_path / "index", profile="excerpt") as index:
        index.add("old", PAGE)

        def interrupted(*_):
            monkeypatch.undo()
            raise KeyboardInterrupt

        monkeypatch.setattr(MemoryStore, broken, interrupted)
        with pytest.raises(KeyboardInterrupt):
            CHANGES[broken](index)
        found = {"add": ["new", "old"], "replace": [], "remove": []}[broken]
        assert sorted(match.id for match in index.query(quoted)) == found
    with neardup.Index.open(tmp_path / "index", mode="r") as again:
        assert sorted(match.id for match in again.query(quoted)) == found


@pytest.mark.parametrize("broken", CHANGES)
def test_a_refused_change_of_excerpts(tmp_path, monkeypatch, broken):
    """A full disk changes nothing, and nothing is read again for it."""
    with neardup.Index.open(tmp_path / "index", profile="excerpt") as index:
        index.add("old", PAGE)
        table = index._store._table

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(disk.DiskStore, broken, full)
        with pytest.raises(OSError, match="No space left"):
            CHANGES[broken](index)
        assert index._store._table is table
        assert (index.ids(), [match.id for match in index.query(PAGE)]) == (["old"], ["old"])


def test_excerpts_are_whole_at_every_moment(tmp_path):
    """What another thread, or a reader that looks again, sees of a change it sees in every answer."""
    path = tmp_path / "index"
    with neardup.Index.open(path, profile="excerpt") as index, neardup.Index.open(path, mode="r") as reader:
        index.add("stays", PAGE)
        wrong, current = [], [0]

        def asks(one):
            while current[0] < 100:
                number = current[0]  # no number comes twice
                if number in one and number not in [match.id for match in one.query(PAGE)] and number in one:
                    wrong.append(number)
                if len(one) > 2:
                    wrong.append(len(one))

        threads = [threading.Thread(target=asks, args=(one,)) for one in (index, reader)]
        for thread in threads:
            thread.start()
        for number in range(101):
            current[0] = number
            index.add(number, PAGE)
            reader.refresh()
            index.remove(number)
            reader.refresh()
        for thread in threads:
            thread.join()
        assert not wrong
        before = reader._store._table
        reader.refresh()
        assert reader._store._table is before  # nothing had changed


def test_closed_excerpts_say_so(tmp_path):
    """Whatever is asked, also of what closed while it wrote."""
    index = neardup.Index.open(tmp_path / "index", profile="excerpt")
    index.add("a", PAGE)
    index.close()
    asked = [len, lambda i: i.query(PAGE), lambda i: "a" in i, lambda i: i.refresh(), lambda i: i.add("b", PAGE), lambda i: i.remove("a")]
    for _ in range(2):
        for ask in asked:
            with pytest.raises(ValueError, match="is closed; open it again"):
                ask(index)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_excerpts_in_a_forked_child(tmp_path, monkeypatch):
    """Forked while another thread was between disk and memory, the child is refused, by the folder's name; otherwise it reads."""
    with neardup.Index.open(tmp_path / "index", profile="excerpt") as index:
        index.add("a", PAGE)
        between, go = threading.Event(), threading.Event()
        add = MemoryStore.add

        def slow(*arguments):
            between.set()
            go.wait()
            return add(*arguments)

        def in_child():
            child = os.fork()
            if not child:
                try:
                    os._exit(len(index.query(PAGE)))
                except RuntimeError as error:
                    os._exit(100 + (f"at work on the index {tmp_path / 'index'} when" in str(error)))
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert in_child() == 1
        monkeypatch.setattr(MemoryStore, "add", slow)
        thread = threading.Thread(target=index.add, args=("b", PAGE))
        thread.start()
        between.wait()
        assert in_child() == 101
        go.set()
        thread.join()
        assert in_child() == 2


def test_files_of_excerpts_do_not_depend_on_the_way(tmp_path):
    """Added to a folder or saved there, they are the same: their fingerprints are none."""
    memory = neardup.Index(profile="excerpt")
    with neardup.Index.open(tmp_path / "added", profile="excerpt") as index:
        for one in (memory, index):
            one.add_many(["a", "b"], [PAGE, "hi"])
        stored = list(index._store._kept.batches())
    memory.save(tmp_path / "saved")
    with neardup.Index.open(tmp_path / "saved") as index:
        ((ids, saved),) = index._store._kept.batches()
    assert ids == stored[0][0]
    assert all((mine == theirs).all() for mine, theirs in zip(saved, stored[0][1], strict=True))
    assert not saved.fingerprints.any()


def test_a_saved_index_knows_its_recall(tmp_path):
    """Saved, loaded, opened again with it."""
    index = neardup.Index(0.7, recall=0.9)
    index.save(tmp_path / "saved")
    neardup.Index.open(tmp_path / "saved", recall=0.9).close()
    neardup.Index.load(tmp_path / "saved").save(tmp_path / "again")
    neardup.Index.open(tmp_path / "again", recall=0.9).close()
    with pytest.raises(neardup.IncompatibleError, match=r"has recall 0\.9, not 0\.99"):
        neardup.Index.open(tmp_path / "again", recall=0.99)


def test_what_is_inside_a_longer_document_is_removed_for_it():
    """As comparing all with all says: the longest first, what is in a kept one goes; whatever the threads and the memory."""
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(3000)]
    books = [rng.choices(words, k=rng.randint(300, 600)) for _ in range(12)]
    parts = [book[at : at + rng.randint(60, 200)] for book in books for at in rng.sample(range(250), 4)]
    parts += [part[: len(part) // 2] for part in parts[::3]] + [rng.choices(words, k=80) for _ in range(20)]
    texts = [" ".join(text) for text in books[:3] + parts + books[3:]]
    texts.append("?")
    sets = [set(verification_hashes(neardup.Shingling().hashes(text)).tolist()) for text in texts]
    kept, expected = [], {}
    for i in sorted(range(len(texts)), key=lambda i: (-len(sets[i]), i)):
        found = [(-len(sets[i] & sets[k]) / len(sets[i]), rank, k) for rank, k in enumerate(kept) if sets[i]]
        best = min((one for one in found if -one[0] >= 0.8), default=None)
        if best is None:
            kept.append(i)
        else:
            expected[i] = (best[2], -best[0])
    assert len(expected) > 40
    for threads, limit in ((1, None), (3, "64MiB")):
        result = neardup.deduplicate(texts, profile="excerpt", threads=threads, memory_limit=limit)
        assert {one.id: (one.witness, one.similarity) for one in result.removed} == expected
    assert result.summary()["verify"] == "contained"
    every = neardup.deduplicate(texts, profile="excerpt", pairs="all")
    assert every.removed == result.removed
    assert every.rethreshold(1.0).removed == neardup.deduplicate(texts, 1.0, profile="excerpt").removed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"exact": True}, "exact is True"),
        ({"against": neardup.Index()}, "against is <Index"),
        ({"keep": "last"}, "keep is 'last'"),
        ({"order": "date"}, "order is 'date'"),
        ({"clusters": "components"}, "clusters is 'components'"),
    ],
)
def test_a_longer_document_is_kept_and_no_other(given, words):
    """What would keep the shorter one, or remove what is in no kept document, is refused."""
    with pytest.raises(neardup.ParameterError, match=f"^verify is 'contained', which keeps the longer document, and {re.escape(words)}"):
        neardup.deduplicate(["a b"], profile="excerpt", **given)


def test_excerpts_come_and_go():
    """Added, found with what share of them is there, best first, removed, found no more; their place is explained."""
    rng = random.Random(3)
    words = [f"w{i}" for i in range(5000)]
    texts = {i: " ".join(rng.choices(words, k=400)) for i in range(50)}
    index = neardup.Index(profile="excerpt")
    for i, text in texts.items():
        index.add(i, text)
    quoted = " ".join(texts[7].split()[100:160])
    (match,) = index.query(quoted)
    assert (match.id, match.containment, match.exact) == (7, 1, True)
    assert match.similarity == neardup.jaccard(quoted, texts[7])
    (passage,) = index.explain(7, quoted, texts[7])
    assert (passage.stored_start, passage.stop) == (100, 60)
    index.add("both", texts[7] + " " + texts[8])
    assert [match.id for match in index.query(quoted)] == [7, "both"]
    assert {(row["a"], row["b"]) for row in index.pairs().to_pylist()} == {("7", "both"), ("8", "both")}
    index.remove(7)
    assert [match.id for match in index.query(quoted)] == ["both"]
    for i in range(49, 8, -1):
        index.remove(i)  # far enough for a compaction
    assert [match.id for match in index.query(quoted)] == ["both"]
    assert index.query(quoted[:200], threshold=0.1)


@given(st.floats(0.01, 1), st.integers(1, 300))
def test_the_probability_of_an_excerpt(containment, shingles):
    """It is a probability, and grows with the excerpt."""
    assert 0 < found_in_longer(containment, shingles) <= found_in_longer(containment, shingles + 1) <= 1


# ---- legibility --------------------------------------------------------------------------------------------------------


def flat(documents):
    """Sets of hashes as arrays of all of them, where each begins, and how many it has."""
    sizes = np.array([len(one) for one in documents], np.uint32)
    evidence = np.array([h for one in documents for h in sorted(one)], np.uint32)
    return evidence, np.cumsum(sizes, dtype=np.uint64) - sizes, sizes


#: Documents that share hashes all over their range.
corpora = st.lists(
    st.frozensets(st.integers(0, 40).map(lambda h: h * 104_729_001 % 2**32), min_size=1, max_size=20), min_size=1, max_size=30
)


@given(corpora)
def test_legibility_is_that_of_the_specification(documents):
    """Which shingles are known, what is clear, and how legible each document is, by itself and among many."""
    arrays = [np.array(sorted(one), np.uint32) for one in documents]
    evidence, starts, sizes = flat(documents)
    census = Census(evidence, sizes)
    legibility = Legibility.of(census, evidence, sizes)
    stored = Learnt.unpacked(Learnt(len(documents), 0, legibility.clearest, census).packed())
    assert (
        Legibility.by(stored.census, stored.clearest).of_sets((evidence, starts, sizes), 1).tolist()
        == legibility.of_sets((evidence, starts, sizes), 1).tolist()
    )
    expected = [reference.legibility(array, arrays) for array in arrays]
    assert [legibility.of_one(array) for array in arrays] == expected
    assert legibility.of_sets((evidence, starts, sizes), 2).tolist() == expected


@given(corpora, st.integers(0, 2**32))
def test_a_census_counts(documents, skipped):
    """The hashes that three documents have or more, and how many have each; weights are found for these and all others."""
    evidence, starts, sizes = flat(documents)
    census = Census(evidence, sizes)
    counts = Counter(h for one in documents for h in one)
    assert census.documents == len(documents)
    assert dict(zip(census.hashes.tolist(), census.counts.tolist(), strict=True)) == {h: n for h, n in counts.items() if n >= 3}
    weights = Weights(census.hashes, census.counts, skipped % 65536)
    weigh = {h: n if n >= 3 else skipped % 65536 for h, n in counts.items()}
    assert weights.totals((evidence, starts, sizes), 2).tolist() == [sum(weigh[h] for h in one) for one in documents]


def test_of_a_large_corpus_the_first_are_counted(monkeypatch):
    """A census looks at whole documents as long as they fit, and at the beginning of one that is larger than that."""
    monkeypatch.setattr("neardup.census.COUNTED", 5)
    evidence, _, sizes = flat([{1, 2}, {1, 3}, {1, 4}, {1}])
    assert Census(evidence, sizes).documents == 2
    assert Census(np.arange(9, dtype=np.uint32), np.array([9], np.uint32)).documents == 1


@given(corpora, st.data())
def test_rarity_is_that_of_the_specification(documents, data):
    """What shingles weigh, and how similar documents are by that: one by one, and pairs of many."""
    documents = list(dict.fromkeys(documents))
    arrays = [np.array(sorted(one), np.uint32) for one in documents]
    evidence, starts, sizes = flat(documents)
    weights = rarity(Census(evidence, sizes))
    sides = [data.draw(st.integers(0, len(documents) - 1)) for _ in range(2)]
    a, b = (np.array([side], np.uint32) for side in sides)
    expected = reference.weighted_similarity(arrays[sides[0]], arrays[sides[1]], arrays)
    weighed = Weighed(0.5, (evidence, starts, sizes), weights, weights.totals((evidence, starts, sizes), 1))
    assert weighed.similarities(a, b, a, 2).tolist() == [expected]
    shared = weights.shared(arrays[sides[0]], arrays[sides[1]])
    assert shared / (weights.total(arrays[sides[0]]) + weights.total(arrays[sides[1]]) - shared) == expected


@pytest.mark.parametrize("documents", [1, 3, 1000, 10**12])
def test_what_a_shingle_weighs(documents):
    """More the fewer have it; the same for all that four have or fewer; never nothing."""
    weights = [reference.rarity(documents, having) for having in sorted({1, 4, 5, 100, documents}) if having <= documents]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] >= 1
    assert reference.rarity(documents, 1) == reference.rarity(documents, 4)


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 1000), st.floats(0.15, 1), st.floats(0.15, 1), st.floats(0.3, 1))
def test_what_cannot_match_is_told_by_its_jaccard_similarity(n, m, both, legible, other, threshold):
    """No pair that matches lies below the bound."""
    both = min(both, n, m)
    similarity = float(corrected(both, n, m, legible, other))
    assert similarity == reference.corrected_similarity(both, n, m, legible, other)
    if similarity >= threshold and both / (n + m - both) >= noise.LEAST:
        assert both / (n + m - both) >= least_jaccard(threshold, legible)


def test_readings_are_symmetric():
    """It does not matter which comes first."""
    sizes = np.array([10, 30], np.uint32)
    readings = Readings(0.7, (np.arange(40, dtype=np.uint32), np.array([0, 10], np.uint64), sizes), np.array([0.4, 0.9]))
    a, b, both = (np.array([i], np.uint32) for i in (0, 1, 5))
    assert readings.similarities(a, b, both, 1) == readings.similarities(b, a, both, 1)


# ---- options of shingling ----------------------------------------------------------------------------------------------


def test_digits_are_those_of_unicode():
    """Every decimal digit that this Python knows and Unicode 15.0 has is folded, and nothing else."""
    digits = {chr(zero + i) for zero in ZEROS for i in range(10)}
    known = {chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Nd"}
    if unicodedata.unidata_version <= "15.0.0":
        assert known <= digits
    assert {c for c in digits if unicodedata.category(c) != "Cn"} <= known
    assert neardup.Shingling(fold_digits=True).reworded("a1٣९x") == "a000x"
    folded = neardup.Shingling(fold_digits=True)
    assert folded.tokenize("x² ½ ⑫") == folded.tokenize("x2 1/2 12") == ["x0", "0", "0", "00"]


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("Ångström café naïve", "Angstrom cafe naive"),
        ("ёлка й", "елка и"),
        ("Ελλάδα ώ", "Ελλαδα ω"),
        ("がぎ", "がぎ"),
        ("हिन्दी", "हिन्दी"),
        ("Việt", "Viet"),
    ],
)
def test_diacritics_of_three_scripts_are_stripped(text, stripped):
    """Latin, Greek, Cyrillic; what makes another letter in other scripts stays."""
    assert neardup.Shingling(strip_diacritics=True).reworded(text) == stripped


@given(st.text(), st.booleans(), st.booleans(), st.sampled_from(["words", "chars", "code"]))
def test_options_are_the_same_everywhere(text, strip, fold, tokens):
    """One text, many, ready tokens and the distinct shingles agree."""
    shingling = neardup.Shingling(tokens, 3, strip_diacritics=strip, fold_digits=fold, stop=["read more of this", text[:20]])
    minhash = neardup.MinHash(64, shingling=shingling)
    one, many = minhash.sign(text), minhash.sign_many([text, "x"])[0]
    assert one == many == minhash.sign_tokens(shingling.tokenize(text))
    hashes = shingling.hashes(text)
    assert one.count == len(hashes) == len(shingling.shingles(text))
    assert not np.isin(neardup.Shingling(tokens, 3, strip_diacritics=strip, fold_digits=fold).hashes(text[:20]), hashes).any()
    assert np.array_equal(minhash.sign_hashes_many(hashes, np.array([0, len(hashes)], np.uint64)).values[0], one.values)  # noqa: PD011  not of pandas


def test_marks_are_tokens_of_code():
    """All of ASCII but letters, digits, spaces and the underscore."""
    assert {chr(mark) for mark in MARKS} == {chr(c) for c in range(33, 127) if not (chr(c).isalnum() or c == ord("_"))}
    assert neardup.Shingling("code").tokenize("a_1+=B[c]; // é") == ["a_1", "+", "=", "b", "[", "c", "]", ";", "/", "/", "é"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stop": "read more"}, r"stop is one str; it is an iterable of texts: \[text\]"),
        ({"stop": [b"x"]}, "a text is a str, not bytes"),
        ({"fold_digits": 1}, "fold_digits is 1; it is True or False"),
        ({"strip_diacritics": None}, "strip_diacritics is None; it is True or False"),
    ],
)
def test_wrong_options(given, words):
    """The fact, the value, the remedy."""
    with pytest.raises(TypeError, match=words):
        neardup.Shingling(**given)


def test_settings_are_checked_together():
    """A shingling that contradicts a minhash, or bands beyond its slots."""
    with pytest.raises(neardup.IncompatibleError, match="shingling is"):
        resolve(shingling=neardup.Shingling(size=2), minhash=neardup.MinHash())
    with pytest.raises(neardup.ParameterError, match="need 200 slots"):
        resolve(banding=neardup.Banding(20, 10))


# ---- labels ------------------------------------------------------------------------------------------------------------

JUDGED = ["one two three four five six seven", "One two three four five six seven!", "one two three four five six eight", "nine ten"]


def test_an_evaluation_counts():
    """Precision, recall, F1, the adjusted Rand index, and what is wrong, by hand."""
    evaluation = neardup.evaluate(JUDGED, [(0, 1), (2, 3)], profiles=["text"], thresholds=[0.4, 0.9])
    low, high = evaluation.scores
    assert (low.found, low.precision, low.recall, low.f1) == (3, 1 / 3, 0.5, 0.4)
    assert (high.found, high.precision, high.recall) == (1, 1.0, 0.5)
    assert evaluation.best == high
    assert evaluation.wrong(low) == [(2, 3, None, True), (0, 2, 0.5, False), (1, 2, 0.5, False)]
    assert evaluation.wrong() == [(2, 3, None, True)]
    assert high.ari == pytest.approx((1 - 1 * 2 / 6) / (1.5 - 1 * 2 / 6))


def test_labels_in_three_forms():
    """Pairs, judged pairs of which others do not count, groups, a column of groups."""
    ids = list("abcd")
    table = {"id": ids, "text": JUDGED, "story": [1, 1, 1, None]}
    import pyarrow as pa

    groups = neardup.evaluate(pa.table(table), "story", profiles=["text"], thresholds=[0.4])
    assert (
        groups.scores
        == neardup.evaluate(pa.table(table), dict(zip(ids, table["story"], strict=True)), profiles=["text"], thresholds=[0.4]).scores
    )
    assert groups.best.f1 == groups.best.ari == 1
    some = neardup.evaluate(pa.table(table), [("a", "b", True), ("c", "d", False)], profiles=["text"], thresholds=[0.4])
    assert (some.best.precision, some.best.recall, some.best.found, some.best.ari) == (1, 1, 3, None)


@pytest.mark.parametrize("none", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_documents_without_a_group_duplicate_none(none):
    """Whatever stands for no value, in a mapping and in the columns that pandas makes of it."""
    groups = dict(enumerate(["a", "a", none, none]))
    given = {"profiles": ["text"], "thresholds": [0.4]}
    assert neardup.evaluate(JUDGED, groups, **given).duplicates == 1
    for column in (pd.Series(groups, dtype=object), pd.Series(groups)):
        assert neardup.evaluate(pd.DataFrame({"text": JUDGED, "story": column}), "story", **given).duplicates == 1


@pytest.mark.parametrize(
    ("labels", "given", "error", "words"),
    [
        ([(0, 9)], {}, neardup.InputError, "a label names document 9, which is not among the documents"),
        (
            {0: "a", 1: ["b"]},
            {},
            neardup.InputError,
            r"the group of document 1 is \['b'\] of type list; a group is a string or a number: make it one",
        ),
        ([], {}, neardup.InputError, "0 labels, and none of them is of duplicates"),
        ([(0, 1, 2, 3)], {}, neardup.InputError, "a label of 4 items"),
        ([(0, 1)], {"profiles": ["excerpt"]}, neardup.ParameterError, "evaluate profiles of similarity"),
        ([(0, 1)], {"thresholds": []}, neardup.ParameterError, "0 thresholds"),
    ],
)
def test_wrong_labels(labels, given, error, words):
    """The fact, the value, the remedy."""
    with pytest.raises(error, match=words):
        neardup.evaluate(JUDGED, labels, **given)


def test_an_evaluation_is_drawn(tmp_path):
    """As SVG, the same each time."""
    evaluation = neardup.evaluate(JUDGED, [(0, 1)], profiles=["text", "short"])
    evaluation.plot(str(tmp_path / "a.svg"))
    assert (tmp_path / "a.svg").read_text().count("</svg>") == 1
    for name in ("a.txt", "a", "a.pgf"):
        with pytest.raises(neardup.ParameterError, match=rf"{name}: not a format to draw; end the name in .*\.png, .*\.svg, "):
            evaluation.plot(name)


# ---- what once gave way ------------------------------------------------------------------------------------------------


def random_words(n, seed):
    """So many words of two to nine letters."""
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(n)]


def test_pairs_of_excerpts_do_not_depend_on_the_order():
    """A short text in a long one is a pair whichever was added first."""
    rng, words = random.Random(6), random_words(3000, 6)
    long = [rng.choices(words, k=1000) for _ in range(20)]
    short = [" ".join(text[300:360]) for text in long]
    texts = [*(" ".join(text) for text in long), *short]
    for order in (range(40), reversed(range(40))):
        index = neardup.Index(profile="excerpt")
        for i in order:
            index.add(i, texts[i])
        assert {(row["a"], row["b"]) for row in index.pairs().to_pylist()} == {(i, 20 + i) for i in range(20)}


def test_a_copy_is_found_though_no_shingle_of_it_is_sampled():
    """However short, by whichever way it is asked for."""
    for k in range(40):
        index = neardup.Index(profile="excerpt")
        index.add("a", f"hello{k}")
        assert [match.id for match in index.query(f"hello{k}")] == ["a"]
        index.add("b", f"Hello{k}!")
        assert [match.id for match in index.query_stored("a")] == ["b"]


@given(st.sampled_from([0.3, 0.5, 0.7, 0.8, 0.9, 1.0]), st.integers(1, 60), st.randoms(use_true_random=False))
def test_excerpts_are_judged_by_the_predicate(threshold, n, rng):
    """What shares so many of n shingles that their share is at the threshold is found, if a shared one is sampled; no other is."""
    index = neardup.Index(threshold, profile="excerpt", shingling=neardup.Shingling(size=1))
    own = [f"q{i}" for i in range(n)]
    hosts = {both: own[:both] + [f"f{i}" for i in range(rng.randrange(300))] for both in range(n + 1)}
    for both, words in hosts.items():
        index.add(both, " ".join(words))
    hashes = verification_hashes(index.minhash.shingling.hashes(" ".join(own)))
    sampled = {
        both
        for both in hosts
        if (verification_hashes(index.minhash.shingling.hashes(" ".join(own[:both]))) < 2**30).any() or hosts[both] == own
    }
    found = {match.id: match.containment for match in index.query(" ".join(own))}
    assert found == {both: both / len(hashes) for both in sampled if both / len(hashes) >= threshold}


def test_long_buckets_are_whole_after_reopening(tmp_path):
    """pairs() lists the same pairs of an index, once it was closed and opened again or loaded."""
    rng, words = random.Random(2), random_words(4000, 2)
    texts = [" ".join([*rng.choices(words, k=59), f"x{k}"]) for k in range(3)]
    base = rng.choices(words, k=60)
    texts += [" ".join([*base[:-1], f"x{k}"]) for k in range(40)]
    with neardup.Index.open(tmp_path / "index", banding=neardup.Banding(1, 1), bucket_limit=5) as index:
        index.add_many(range(len(texts)), texts)
        pairs = index.pairs()
    with neardup.Index.open(tmp_path / "index") as index:
        assert index.pairs() == pairs
    assert neardup.Index.load(tmp_path / "index").pairs() == pairs
    assert pairs.num_rows > 400


def test_noisy_pairs_are_listed_once():
    """A corrected similarity of 1 makes no copy."""
    rng, words = random.Random(1), random_words(3000, 1)
    texts = []
    for k in range(60):
        text = " ".join(rng.choices(words, k=150))
        texts += [text, noisy(text, 0.03, k), noisy(text, 0.1, 1000 + k)]
    result = neardup.deduplicate(texts, profile="ocr")
    pairs = [(row["a"], row["b"]) for row in result.pairs.to_pylist()]
    assert len(pairs) == len(set(pairs)) == 120
    assert result.summary()["copies"] == 0


def test_a_census_follows_what_is_in_the_index():
    """Answers do not remember documents that are gone."""
    words = random_words(3000, 3)

    def corpus(seed, rate):
        rng = random.Random(seed)
        texts = [" ".join(rng.choices(words, k=120)) for _ in range(4)]
        return [noisy(texts[k % 4], rate, 100 * seed + k) for k in range(16)], texts

    (clean, _), (misread, texts) = corpus(1, 0.0), corpus(2, 0.12)
    asked = noisy(texts[0], 0.12, 9999)
    index, other = neardup.Index(profile="ocr"), neardup.Index(profile="ocr")
    index.add_many(range(16), clean)
    index.query(asked)
    for k in range(16):
        index.update(k, misread[k])
    other.add_many(range(16), misread)
    assert index.query(asked) == other.query(asked)


def test_noisy_queries_beside_a_writer():
    """Documents come, go, and become empty while others are asked for."""
    from threading import Event, Thread

    rng, words = random.Random(7), random_words(2000, 7)
    texts = []
    for k in range(30):
        text = " ".join(rng.choices(words, k=60))
        texts += [text, noisy(text, 0.05, k)]
    index, stop = neardup.Index(profile="ocr"), Event()
    index.add_many(range(60), texts)

    def write():
        while not stop.is_set():
            for k in range(60):
                index.update(k, "")
                index.remove(k)
                index.add(k, texts[k])

    writer = Thread(target=write)
    writer.start()
    try:
        for k in range(60):
            index.pairs()
            index.query(texts[k])
    finally:
        stop.set()
        writer.join()


def test_stop_texts_fit_into_the_files_of_an_index(tmp_path):
    """More than they hold is refused before anything is written."""
    shingling = neardup.Shingling(stop=[f"{'x' * 100}{k}" for k in range(161)])
    with pytest.raises(neardup.ParameterError, match=r"stop has 17,\d+ bytes, an index on disk keeps at most 8,192; give fewer or shorter"):
        neardup.Index.open(tmp_path / "index", shingling=shingling)
    assert not (tmp_path / "index").exists()


def test_another_shingling_of_callable_tokens_is_refused(tmp_path):
    """Its size and its options are stored, though the callable is not."""
    with neardup.Index.open(tmp_path / "index", shingling=neardup.Shingling(str.split, size=2, stop=["a b c"])) as index:
        index.add(1, "x y a b c d")
    for other, words in (
        (neardup.Shingling(str.split, size=3, stop=["a b c"]), "has size 2, not 3"),
        (neardup.Shingling(str.split, 2), "has stop"),
    ):
        with pytest.raises(neardup.IncompatibleError, match=words):
            neardup.Index.open(tmp_path / "index", shingling=other)


def test_long_buckets_of_a_job_are_left_out_when_that_is_asked_for():
    """Look-alikes of one bucket of forty are found by default; with a limit below that none is, and the bucket is counted."""
    base = random_words(60, 8)
    texts = [" ".join([*base[:-1], f"x{k}"]) for k in range(40)]
    banding = neardup.Banding(1, 1)
    whole = neardup.deduplicate(texts, banding=banding)
    (largest,) = {len(group) for group in whole.clusters if len(group) > 30}
    limited = neardup.deduplicate(texts, banding=banding, bucket_limit=5)
    assert largest > 30
    assert not [group for group in limited.clusters if len(group) > 5]
    assert limited.summary()["heavy_buckets"] == 1
    assert max(bucket.members for bucket in limited.heavy_buckets) == largest


@pytest.mark.parametrize(
    ("labels", "given", "error", "words"),
    [
        (7, {}, TypeError, "labels are of type int; they are pairs of ids"),
        (["ab"], {}, neardup.InputError, "a label is 'ab'; a label is a pair of ids"),
        ([5], {}, neardup.InputError, "a label is 5; a label is a pair of ids"),
        ([(0, 1)], {"thresholds": 0.5}, TypeError, r"thresholds is 0.5; it is a list: \[0.5\]"),
        ([(0, 1)], {"profiles": "ocr"}, TypeError, r"profiles is 'ocr'; it is a list: \['ocr'\]"),
    ],
)
def test_labels_of_another_kind_are_refused(labels, given, error, words):
    """With what they should be."""
    with pytest.raises(error, match=f"^{words}"):
        neardup.evaluate(["a b", "a b"], labels, **given)


def test_thresholds_may_be_an_array():
    """As numpy makes it."""
    evaluation = neardup.evaluate(["a b", "a b"], [(0, 1)], profiles=["text"], thresholds=np.array([0.5, 0.75]))
    assert [score.threshold for score in evaluation.scores] == [0.5, 0.75]
    with pytest.raises(neardup.ParameterError, match="the score is of profile 'code', and 'text' were tried; give one of those"):
        evaluation.wrong(evaluation.best._replace(profile="code"))
