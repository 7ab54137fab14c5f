"""tune(): the histogram is that of brute force, and what it says of bandings is what they do."""

import json
import subprocess
import sys
from itertools import combinations

import pytest
import truth
from hypothesis import given, settings
from hypothesis import strategies as st

import neardup
from neardup import Banding, MinHash, ParameterError, Shingling, tune

SINGLE = Shingling(size=1)


@given(truth.corpora(), st.sampled_from([1, 2]))
@settings(max_examples=60)
def test_levels_are_those_of_brute_force(texts, threads):
    """All pairs of different shingle sets from 0.3 on, each in its level, with examples that are there."""
    sets = list(dict.fromkeys(own for own in truth.shingle_sets(texts, SINGLE) if own))
    scores = sorted(score for a, b in combinations(sets, 2) if (score := truth.similarity(a, b)) >= 0.3)
    found = tune(texts, 0.5, shingling=SINGLE, threads=threads)
    assert (found.documents, found.sampled) == (len(texts), len(texts))
    assert found.copies == sum(map(bool, truth.shingle_sets(texts, SINGLE))) - len(sets)
    for level in found.levels:
        inside = [score for score in scores if level.low <= score + 1e-9 and (score + 1e-9 < level.high or level.high == 1)]
        assert level.pairs == level.estimated == len(inside)
        assert len(level.examples) == min(2, len(inside))
        for one in level.examples:
            assert one.similarity == neardup.jaccard(texts[one.a], texts[one.b], shingling=SINGLE)
            assert one.text_a == texts[one.a][:200]


@given(truth.corpora())
@settings(max_examples=30)
def test_options_are_what_bandings_do(texts):
    """Recall, expected recall and candidates."""
    found = tune(texts, 0.75, shingling=SINGLE)
    sets = list(dict.fromkeys(own for own in truth.shingle_sets(texts, SINGLE) if own))
    scores = [score for a, b in combinations(sets, 2) if (score := truth.similarity(a, b)) >= 0.75]
    for option in found.options:
        assert option.recall == pytest.approx(option.banding.probability(0.75))
        if scores:
            assert option.expected == pytest.approx(sum(map(option.banding.probability, scores)) / len(scores))
        else:
            assert option.expected is None
        keys = option.banding.keys(MinHash(num_perm=option.num_perm, shingling=SINGLE).sign_many(texts).values)
        first = {own: i for i, own in reversed(list(enumerate(truth.shingle_sets(texts, SINGLE)))) if own}
        shared = sum(int((keys[a] == keys[b]).sum()) for a, b in combinations(first.values(), 2))
        assert option.candidates == pytest.approx(2 * shared / max(1, len(texts)))
    if found.recommended is not None:
        assert found.recommended.recall >= 0.99


def without_seconds(found):
    """All that is the same in every run."""
    recommended = found.recommended and found.recommended._replace(seconds=0)
    return found.levels, [option._replace(seconds=0) for option in found.options], recommended, found.sampled, found.documents


def test_a_sample_is_even_and_the_same_again():
    """Of 30,000 documents 3,000: the same each time, another with another seed, pairs scaled by the square."""
    texts = [f"the story of day {i % 15_000} is told and told again {i % 15_000} {i % 15_000} times" for i in range(30_000)]
    found = tune(texts, 0.8, sample=3000)
    assert (found.documents, found.sampled) == (30_000, 3000)
    assert without_seconds(found) == without_seconds(tune(texts, 0.8, sample=3000, threads=1))
    assert found.copies != tune(texts, 0.8, sample=3000, seed=1).copies
    assert 100 < found.copies < 200  # a pair of copies is seen with a chance of one in a hundred
    assert all(level.estimated == level.pairs * 100 for level in found.levels)


def test_documents_that_are_all_alike_are_sampled_thinly(monkeypatch):
    """So that their pairs stay few."""
    monkeypatch.setattr("neardup.tuning.PAIRS", 1000)
    found = tune([f"dear member we thank you for your order number {i} and are glad to tell you" for i in range(4000)], 0.5)
    assert found.sampled < 200
    assert sum(level.pairs for level in found.levels) < 5000


@pytest.mark.parametrize("texts", [[], ["one"], ["", " . "], ["one two"] * 3])
def test_few_documents_are_no_error(texts):
    """No pairs, and options all the same."""
    found = tune(texts)
    assert sum(level.pairs for level in found.levels) == 0
    assert found.options
    assert found.recommended in found.options


def test_parameters_are_checked():
    """As everywhere."""
    for given_, words in (
        ({"threshold": 0}, "threshold is 0; it lies above 0"),
        ({"sample": 1}, "sample is 1; it goes from 2 to 1000000"),
        ({"recall": 1}, "recall is 1; it lies above 0 and below 1"),
    ):
        with pytest.raises(ParameterError, match=words):
            tune(["a"], **given_)


def test_the_command_says_it_in_lines(tmp_path):
    """A line of JSON for each level and each banding."""
    texts = [f"the story of day {i % 40} is told again and again on day {i % 40} {i}" for i in range(80)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    command = [sys.executable, "-c", "from neardup.cli import main; main()", "tune", str(tmp_path / "a.jsonl"), "-t", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = tune(tmp_path / "a.jsonl", 0.5)
    assert [line["pairs"] for line in lines if line["kind"] == "similarity"] == [level.pairs for level in found.levels]
    bandings = [line for line in lines if line["kind"] == "banding"]
    assert [Banding(**line["banding"]) for line in bandings] == [option.banding for option in found.options]
    assert sum(line["recommended"] for line in bandings) == 1
    assert done.stderr.endswith("80 documents, all looked at, 0 of them exact copies\n")
