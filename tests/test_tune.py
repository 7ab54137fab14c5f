"""What a sample says of a corpus: similarities and candidates against comparing every two documents, and the command."""

import json
import os
import pty
import random
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import truth
from hypothesis import given

import neardup
from neardup import Banding, MinHash, Shingling, tuning

TEXTS = truth.planted(400, 3)
LOWS = [twentieth / 20 for twentieth in range(6, 20)]


def level_of(similarity):
    """Where the level of a similarity begins."""
    return max(low for low in LOWS if low <= similarity)


def pairs_of_sets(texts, least=0.3):
    """The similarities of all pairs of distinct shingle sets, by the places of the first document of each; and the copies."""
    sets = truth.shingle_sets(texts)
    first = {}
    for place, hashes in enumerate(sets):
        if hashes:
            first.setdefault(hashes, place)
    found = {}
    for i, j in combinations(first.values(), 2):
        score = neardup.jaccard(texts[i], texts[j])
        if score >= least:
            found[i, j] = score
    return found, sum(map(bool, sets)) - len(first), len(first)


def histogram(found):
    """Pairs by level."""
    return [(low, found.pairs) for low, found in zip((*LOWS, 1.0), found.levels, strict=True)]


@pytest.fixture(scope="module")
def whole():
    """A corpus that is looked at as a whole."""
    return neardup.tune(TEXTS, 0.7, threads=2)


@pytest.fixture(scope="module")
def true_pairs():
    """Its pairs, copies and sets."""
    return pairs_of_sets(TEXTS)


# ---- similarities --------------------------------------------------------------------------------------------------------


def test_the_histogram_counts_every_pair(whole, true_pairs):
    """As many pairs at each level as comparing every two gives; copies apart, each once; and all of it is the corpus."""
    found, copies, _ = true_pairs
    expected = Counter(map(level_of, found.values()))
    assert histogram(whole) == [*((low, expected[low]) for low in LOWS), (1.0, copies)]
    assert sum(expected.values()) > 50
    assert copies > 10
    assert [level.estimate for level in whole.levels] == [level.pairs for level in whole.levels]
    assert (whole.documents, whole.sample) == (400, 400)
    assert whole.without_shingles == sum(not hashes for hashes in truth.shingle_sets(TEXTS)) > 0


def test_examples_are_pairs_of_their_level(whole):
    """One where there is one pair, two where there are more; similarities are exact."""
    for level in whole.levels:
        assert len(level.examples) == min(2, level.pairs)
        for pair in level.examples:
            assert pair.a < pair.b
            assert pair.similarity == neardup.jaccard(TEXTS[pair.a], TEXTS[pair.b])
            assert level.low <= pair.similarity
            assert pair.similarity < level.high or pair.similarity == level.low == 1
            assert (pair.text_a == pair.text_b) == (pair.similarity == 1)
            assert len(pair.text_a) <= 80


def test_a_level_begins_with_its_bound():
    """7 of 20 shingles is 0.35, and belongs to the level that begins there."""
    shared = [f"w{i}" for i in range(7)]
    texts = [" ".join([*shared, *(f"{side}{i}" for i in range(more))]) for side, more in (("a", 6), ("b", 7))]
    levels = neardup.tune(texts, shingling=Shingling(size=1)).levels
    assert [(level.low, level.pairs) for level in levels if level.pairs] == [(0.35, 1)]


def test_examples_show_where_texts_differ():
    """A shingle of what is the same, then the difference, in the tokens that are compared."""
    same = " ".join(f"word{i}" for i in range(50))
    (pair,) = neardup.tune([f"{same} Ends, here", f"{same}: ends there"]).levels[-2].examples
    assert pair.text_a == "word46 word47 word48 word49 ends here"
    assert pair.text_b == "word46 word47 word48 word49 ends there"
    (pair,) = neardup.tune(["我们在北京开会讨论预算", "我们在北京开会讨论计划"], shingling=Shingling("chars", 2)).levels[7].examples
    assert (pair.text_a, pair.text_b) == ("讨论预算", "讨论计划")


@given(truth.corpora(12))
def test_any_small_corpus_is_counted(texts):
    """Whatever the texts, the histogram is that of comparing every two, and a recommendation is given."""
    found, copies, _ = pairs_of_sets(texts)
    tuned = neardup.tune(texts)
    expected = Counter(map(level_of, found.values()))
    assert histogram(tuned) == [*((low, expected[low]) for low in LOWS), (1.0, copies)]
    assert tuned.recommended in tuned.trials


# ---- bandings ------------------------------------------------------------------------------------------------------------


def test_bandings_are_those_for_the_threshold(whole):
    """Of 64, 128 and 256 slots, each once; recall is what the S-curve says."""
    offered = [(trial.minhash.num_perm, trial.banding) for trial in whole.trials]
    assert len(set(offered)) == len(offered)
    every = {(k, Banding.for_threshold(0.7, recall, k)) for k in (64, 128, 256) for recall in (0.9, 0.99, 0.999)}
    assert set(offered) == every
    for trial in whole.trials:
        assert trial.banding == Banding.for_threshold(0.7, trial.target, trial.minhash.num_perm)
        assert trial.recall == trial.banding.probability(0.7) >= trial.target


def test_the_expected_recall_is_the_mean_over_the_pairs(whole, true_pairs):
    """Of those at or above the threshold, copies apart."""
    matching = [score for score in true_pairs[0].values() if score >= 0.7]
    for trial in whole.trials:
        assert trial.expected_recall == pytest.approx(np.mean([trial.banding.probability(score) for score in matching]), rel=1e-12)
    assert neardup.tune(["one two three", "four five six"]).trials[0].expected_recall is None


def sharing(texts, trial):
    """The pairs of distinct shingle sets that share a band key, and how many sets there are."""
    sets = truth.shingle_sets(texts)
    first = {hashes: place for place, hashes in reversed(list(enumerate(sets))) if hashes}
    keys = trial.banding.keys(trial.minhash.sign_many(texts).values)
    return sum(bool((keys[i] == keys[j]).any()) for i, j in combinations(first.values(), 2)), len(first)


def test_candidates_are_those_that_share_a_band_key(whole):
    """A pair is a candidate for both; counted in the sample, which is the corpus here."""
    for trial in whole.trials:
        pairs, sets = sharing(TEXTS, trial)
        assert trial.sample_candidates == trial.candidates == pytest.approx(2 * pairs / sets)


def test_of_crowds_some_sets_are_counted(monkeypatch):
    """Where all share their buckets, some of them say how many others each meets."""
    rng = random.Random(1)
    template = " ".join(f"t{i}" for i in range(60))
    texts = [f"{template} {rng.random()}" for _ in range(200)]
    counted = neardup.tune(texts).trials[0].candidates
    assert counted == pytest.approx(199, rel=0.01)
    monkeypatch.setattr(tuning, "COUNTED", 1000)
    assert neardup.tune(texts).trials[0].candidates == pytest.approx(counted, rel=0.01)


def test_memory_is_bands_and_shingles(whole):
    """4 bytes for each, and 12 for the set hash and the size."""
    shingles = np.mean([len(hashes) for hashes in truth.shingle_sets(TEXTS)])
    for trial in whole.trials:
        assert trial.bytes_per_document == pytest.approx(4 * trial.banding.bands + 4 * shingles + 12, abs=1)
        assert trial.seconds > 0


@pytest.mark.parametrize("recall", [0.9, 0.95, 0.9999])
def test_the_cheapest_that_reaches_the_recall_is_recommended(recall):
    """Also where the recall is none of those that are tried anyway."""
    tuned = neardup.tune(TEXTS, 0.7, recall=recall)
    enough = [trial for trial in tuned.trials if trial.recall >= recall]
    assert enough
    assert tuned.recommended in enough
    assert tuned.recommended.cost == min(trial.cost for trial in enough)


def test_crowds_are_worth_more_rows():
    """Where every text resembles every other below the threshold, a banding of fewer candidates is worth its slots."""
    rng = random.Random(5)
    template = [f"t{i}" for i in range(30)]
    alike = [" ".join([*template, *(str(rng.random()) for _ in range(10))]) for _ in range(300)]
    apart = [" ".join(str(rng.random()) for _ in range(20)) for _ in range(300)]
    crowded, sparse = (neardup.tune(texts).recommended for texts in (alike, apart))
    assert crowded.minhash.num_perm > sparse.minhash.num_perm == 64
    assert crowded.banding.rows > sparse.banding.rows


def test_what_is_out_of_reach_is_left_out():
    """Without a warning; with nothing to recommend where nothing reaches the recall."""
    tuned = neardup.tune(TEXTS[:20], 0.005, recall=0.99)
    assert tuned.trials == ()
    assert tuned.recommended is None
    assert repr(tuned).endswith("recommended none>")
    assert [trial.minhash.num_perm for trial in neardup.tune(TEXTS[:20], 0.01, recall=0.9).trials] == [256]


def test_the_recommendation_can_be_used(whole):
    """As it is, by a whole job and by an index."""
    best = whole.recommended
    result = neardup.deduplicate(TEXTS, 0.7, minhash=best.minhash, banding=best.banding)
    assert result.banding == best.banding
    assert neardup.Index(0.7, minhash=best.minhash, banding=best.banding).banding == best.banding


# ---- samples -------------------------------------------------------------------------------------------------------------


def test_a_sample_is_drawn_evenly_and_scaled():
    """As many documents as asked for; pairs by the square, candidates by the number; of copies too little is known."""
    tuned = neardup.tune(TEXTS, sample=100)
    assert (tuned.documents, tuned.sample) == (400, 100)
    for level in tuned.levels[:-1]:
        assert level.estimate == 16 * level.pairs
    assert tuned.levels[-1].estimate is None
    for trial in tuned.trials:
        assert trial.candidates == pytest.approx(4 * trial.sample_candidates)
    assert tuned.recommended is not None


def test_every_document_is_as_likely_to_be_drawn():
    """Over many seeds each of twenty documents is among five about as often."""
    drawn = Counter()
    for seed in range(400):
        taken, n = tuning._drawn(neardup.documents.read([str(i) for i in range(20)]), 5, seed, lambda *_: None)
        assert (n, len(taken)) == (20, 5)
        drawn.update(place for place, *_ in taken)
        assert all(id == place and text == str(place) for place, id, text in taken)
    assert all(60 < drawn[i] < 140 for i in range(20)), drawn


def test_estimates_are_near_the_truth(true_pairs):
    """The mean over samples of half the corpus is the number of pairs in all of it, but for what copies add."""
    found, *_ = true_pairs
    expected = sum(score >= 0.5 for score in found.values())
    means = []
    for seed in range(20):
        levels = neardup.tune(TEXTS, sample=200, seed=seed).levels[:-1]
        means.append(sum(level.estimate for level in levels if level.low >= 0.5))
    assert 0.8 * expected < np.mean(means) < 1.6 * expected


def test_one_answer():
    """The same for any number of threads, run and form of the corpus; another for another seed."""
    import pyarrow as pa

    first = neardup.tune(TEXTS, sample=150, threads=1)
    assert first == neardup.tune(TEXTS, sample=150, threads=3)
    assert first == neardup.tune(pa.chunked_array([TEXTS[:130], TEXTS[130:]]), sample=150)
    assert first == neardup.tune(iter(TEXTS), sample=150)
    assert first.levels != neardup.tune(TEXTS, sample=150, seed=1).levels


def test_the_sample_does_not_depend_on_batches(tmp_path):
    """A file that is read a few rows at a time gives what a list gives, with its ids."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": f"d{i}", "text": text}) + "\n" for i, text in enumerate(TEXTS)), encoding="utf-8")
    corpus = neardup.documents.read(path)
    read = corpus.batches
    corpus.batches = lambda: read(7)
    in_parts, at_once = neardup.tune(corpus, sample=90), neardup.tune(TEXTS, sample=90)
    assert in_parts.trials == at_once.trials
    named = [[(f"d{pair.a}", f"d{pair.b}", pair.similarity) for pair in level.examples] for level in at_once.levels]
    assert [[(pair.a, pair.b, pair.similarity) for pair in level.examples] for level in in_parts.levels] == named


def test_too_many_pairs_make_the_sample_smaller(monkeypatch):
    """A corpus of look-alikes is known from fewer documents; the answer says from how many."""
    template = " ".join(f"t{i}" for i in range(60))
    texts = [f"{template} x{i}" for i in range(300)]
    monkeypatch.setattr(tuning, "PROBE", 50)
    monkeypatch.setattr(tuning, "PAIRS", 5000)
    tuned = neardup.tune(texts)
    assert 100 <= tuned.sample <= 102  # 5,000 pairs of 45,000
    assert tuned.documents == 300
    assert sum(level.estimate for level in tuned.levels[:-1]) == pytest.approx(300 * 299 / 2, rel=0.02)
    monkeypatch.setattr(tuning, "PAIRS", 10**6)
    assert neardup.tune(texts).sample == 300


def test_progress_is_told():
    """Reading, comparing, and each banding."""
    told = []
    neardup.tune(TEXTS[:50], progress=lambda *what: told.append(what))
    assert told[0] == ("reading", 50, 50)
    assert [stage for stage, *_ in told[1:]] == ["comparing"] + ["trying bandings"] * 9


# ---- the ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("texts", "without"), [([], 0), (["one document"], 0), (["", " ?!", ""], 3)])
def test_corpora_without_a_pair(texts, without):
    """Nothing to count, nothing to expect; a banding is recommended all the same."""
    tuned = neardup.tune(texts)
    assert (tuned.documents, tuned.sample, tuned.without_shingles) == (len(texts), len(texts), without)
    assert {(level.pairs, level.estimate, level.examples) for level in tuned.levels} == {(0, 0, ())}
    assert {(trial.candidates, trial.expected_recall) for trial in tuned.trials} == {(0.0, None)}
    assert tuned.recommended.banding == Banding(12, 5)


def test_a_sample_of_one():
    """One document has no pair, and says nothing of the others."""
    tuned = neardup.tune(TEXTS, sample=1)
    assert (tuned.sample, sum(level.pairs for level in tuned.levels)) == (1, 0)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"threshold": 0}, neardup.ParameterError, "threshold is 0; it lies above 0 and is at most 1"),
        ({"threshold": "high"}, TypeError, "threshold is 'high' of type str"),
        ({"recall": 1}, neardup.ParameterError, "recall is 1; it lies above 0 and below 1; no number of bands is certain"),
        ({"sample": 0}, neardup.ParameterError, "sample is 0; it goes from 1 to"),
        ({"sample": 2.5}, TypeError, "sample is 2.5 of type float"),
        ({"seed": -1}, neardup.ParameterError, "seed is -1; it goes from 0 to"),
        ({"threads": 0}, neardup.ParameterError, "threads is 0; it goes from 1 to 1024"),
        ({"shingling": "words"}, TypeError, "shingling is 'words'; it is a neardup.Shingling"),
        ({"text": "body"}, neardup.ParameterError, "text is 'body', but a list has no columns"),
    ],
)
def test_parameters_are_checked(options, error, words):
    """Before anything is read."""
    with pytest.raises(error, match=words):
        neardup.tune(["a"], **options)


def test_a_text_that_is_none_is_refused():
    """As everywhere."""
    with pytest.raises(TypeError, match="text 1 is of type int"):
        neardup.tune(["a", 3])


def test_the_threshold_may_be_one():
    """One band of all slots then finds all."""
    tuned = neardup.tune(TEXTS[:50], 1)
    assert {trial.recall for trial in tuned.trials} == {1.0}
    assert tuned.recommended.banding == Banding(1, 64)


def test_other_tokens():
    """A function of one's own cuts the texts, and the examples."""
    tuned = neardup.tune(["1-2-3-4", "1-2-3-5"], shingling=Shingling(tokens=lambda text: [int(n) for n in text.split("-")], size=1))
    (pair,) = tuned.levels[6].examples
    assert (pair.similarity, pair.text_a, pair.text_b) == (0.6, "3 4", "3 5")


def test_the_name_is_that_of_the_function():
    """Whichever of the two public names is used first: the module is called otherwise."""
    assert tuning.tune is neardup.tune
    assert isinstance(neardup.tune(TEXTS[:5], shingling=Shingling(size=2)), neardup.Tuning)
    assert neardup.tune(TEXTS[:5], shingling=Shingling(size=2)).trials[0].minhash == MinHash(64, shingling=Shingling(size=2))


# ---- the command ---------------------------------------------------------------------------------------------------------


COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'neardup'; from neardup.cli import main; main()", "tune"]


@pytest.fixture
def news(tmp_path):
    """A file of some of the texts."""
    path = tmp_path / "news.jsonl"
    path.write_text("".join(json.dumps({"id": f"d{i}", "text": text}) + "\n" for i, text in enumerate(TEXTS)), encoding="utf-8")
    return path


def run(*arguments, **options):
    """The command, into a pipe: its rows, and its notes."""
    done = subprocess.run([*COMMAND, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def on_terminal(*arguments, columns):
    """What the command shows on a terminal, without colours."""
    ours, theirs = pty.openpty()
    env = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=theirs, stderr=subprocess.PIPE, env=env) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 1 << 16):
                shown += part
        except OSError:  # how Linux says that the other side is closed
            pass
        notes = process.stderr.read().decode()
    os.close(ours)
    assert process.returncode == 0, notes
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "").splitlines(), notes


def test_the_command_in_a_pipe(news, whole):
    """A line for each level and each banding, the same as in Python; what was guessed and what is recommended as notes."""
    lines, notes = run(news, "-t", "0.7")
    levels = [row for row in lines if row["kind"] == "similarity"]
    bandings = [row for row in lines if row["kind"] == "banding"]
    assert lines == levels + bandings
    assert [(row["low"], row["high"], row["pairs"], row["estimate"]) for row in levels] == [
        (level.low, level.high, level.pairs, level.estimate) for level in whole.levels
    ]
    assert levels[0]["examples"][0].keys() == {"a", "b", "similarity", "text_a", "text_b"}
    assert levels[0]["examples"][0]["a"] == f"d{whole.levels[0].examples[0].a}"
    for row, trial in zip(bandings, whole.trials, strict=True):
        assert (row["num_perm"], row["bands"], row["rows"]) == (trial.minhash.num_perm, trial.banding.bands, trial.banding.rows)
        for name in ("target", "recall", "expected_recall", "sample_candidates", "candidates", "bytes_per_document", "cost"):
            assert row[name] == getattr(trial, name)
        assert row["recommended"] == (trial == whole.recommended)
        assert (row["seconds"] > 0, row["threshold"]) == (True, 0.7)
    best = whole.recommended
    assert "text column 'text' (guessed" in notes
    assert notes.endswith(f"at --threshold 0.7, recommended: --num-perm {best.minhash.num_perm} --recall {best.target}\n")
    assert f"{whole.without_shingles} documents without a single word: they match nothing\n" in notes


def test_the_command_says_what_is_an_estimate(news):
    """Of a sample, and not with -q; options mean what they mean in Python."""
    lines, notes = run(news, "--text", "text", "--id", "id", "--sample", "100", "--size", "3", "--recall", "0.9", "--threads", "1")
    tuned = neardup.tune(TEXTS, sample=100, shingling=Shingling(size=3), recall=0.9)
    assert [row["estimate"] for row in lines if row["kind"] == "similarity"] == [level.estimate for level in tuned.levels]
    (best,) = (row for row in lines if row.get("recommended"))
    assert (best["bands"], best["cost"]) == (tuned.recommended.banding.bands, tuned.recommended.cost)
    assert notes.startswith("400 documents, 100 of them drawn: what is said of all is an estimate\n")
    assert run(news, "-q", "--tokens", "chars")[1] == ""
    assert run("-", "-q", input='{"text": "one"}\n{"text": "two"}')[0][0]["pairs"] == 0


def test_the_recommendation_holds_for_dedup(news):
    """Its two options give dedup the banding that was tried."""
    lines, _ = run(news, "-q", "-t", "0.6")
    (best,) = (row for row in lines if row.get("recommended"))
    assert Banding.for_threshold(0.6, best["target"], best["num_perm"]) == Banding(best["bands"], best["rows"])


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_command_on_a_terminal(tmp_path, columns):
    """A histogram with bars, examples that cannot act on the terminal, and the bandings, one marked; no line is too wide."""
    hostile = " ".join(["\x1b[31mred", "[bold]", *(f"word{i}" for i in range(30))])
    path = tmp_path / "a.jsonl"
    records = [{"id": "[red]\x1b[2J", "text": hostile}, {"id": "b", "text": hostile + " end"}, {"id": "c", "text": hostile}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    lines, notes = on_terminal(path, columns=columns)
    assert max(map(len, lines)) <= columns
    shown = [" ".join(line.split()) for line in lines]
    assert "0.95 to 1.00 1 " + "█" * 30 in shown
    assert "copies 1 " + "█" * 30 in shown
    assert "0.90 to 0.95 0" in shown
    assert r"0.966 [red]\x1b[2J b" in shown
    assert not any("…" in line for line in lines if not line.startswith("       "))
    assert [line.split()[0] for line in shown if "64 12 5 0.99" in line] == ["*"]
    assert notes.endswith("recommended: --num-perm 64 --recall 0.99\n")


def test_the_command_without_a_banding(tmp_path):
    """Where nothing reaches the recall that is said."""
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("one two three", encoding="utf-8")
    lines, notes = run(tmp_path, "-t", "0.001")
    assert {row["kind"] for row in lines} == {"similarity"}
    assert notes == "2 documents\nat --threshold 0.001, no banding reaches that recall\n"
