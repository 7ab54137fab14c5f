"""19,043 real news stories: what is found, against a join in plain Python over the same shingles.

The stories (Reuters-21578) are not part of the project.
"""

import gzip
import json
import statistics
from pathlib import Path

import pytest
import truth

from neardup import Banding, Index, MinHash, deduplicate

STORIES = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578" / "docs.jsonl.gz"
THRESHOLD = 0.8
SEEDS = range(10)

pytestmark = pytest.mark.skipif(not STORIES.is_file(), reason="the Reuters stories are not on this machine")


@pytest.fixture(scope="module")
def texts():
    """The bodies of the stories."""
    with gzip.open(STORIES, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


@pytest.fixture(scope="module")
def sets(texts):
    """Their sets of shingles."""
    return truth.shingle_sets(texts)


@pytest.fixture(scope="module")
def every_pair(sets):
    """All pairs at the threshold or above, with similarities."""
    return truth.join(sets, THRESHOLD)


def pairs_of(table):
    """A table of pairs as a dictionary of similarities."""
    a, b, similarity = table.to_pydict().values()
    return dict(zip(zip(a, b, strict=True), similarity, strict=True))


def find(texts, seed, banding=None):
    """The pairs that an index finds."""
    index = Index(THRESHOLD, minhash=MinHash(seed=seed), banding=banding)
    index.add_many(range(len(texts)), texts)
    return pairs_of(index.pairs())


@pytest.fixture(scope="module")
def found_by_seed(texts):
    """The pairs that an index finds, for each of ten seeds."""
    return {seed: find(texts, seed) for seed in SEEDS}


def test_the_corpus_is_the_one_that_is_meant(texts, every_pair, record_property):
    """19,043 stories, and several hundred pairs of near-duplicates that are not all copies."""
    assert len(texts) == 19_043
    assert len(every_pair) > 400
    assert sum(score < 1 for score in every_pair.values()) > 100
    record_property("pairs", len(every_pair))
    record_property("of them copies", sum(score == 1 for score in every_pair.values()))


def test_recall(found_by_seed, every_pair, record_property):
    """Of the pairs at 0.8 or above, at least 0.998 are found in the mean of ten seeds, and 0.995 with each of them."""
    recalls = [len(found.keys() & every_pair.keys()) / len(every_pair) for found in found_by_seed.values()]
    record_property("mean recall", f"{statistics.mean(recalls):.5f}")
    record_property("least recall", f"{min(recalls):.5f}")
    assert statistics.mean(recalls) >= 0.998
    assert min(recalls) >= 0.995


def test_precision(found_by_seed, every_pair):
    """No reported pair is below the threshold, and every reported similarity is the true one to the last bit."""
    for found in found_by_seed.values():
        assert found.items() <= every_pair.items()


def test_recall_of_a_selective_banding(texts, every_pair, record_property):
    """Bands too long for the threshold lose pairs that are no copies, as many of them as the S-curve says."""
    near = {pair: score for pair, score in every_pair.items() if score < 1}
    banding = Banding(8, 16)
    expected = sum(banding.probability(score) for score in near.values()) / len(near)
    measured = statistics.mean(len(find(texts, seed, banding).keys() & near.keys()) for seed in SEEDS) / len(near)
    record_property("expected", f"{expected:.3f}")
    record_property("measured", f"{measured:.3f}")
    assert measured == pytest.approx(expected, abs=0.05)  # four standard errors


@pytest.mark.parametrize("keep", ["first", "last", "longest"])
def test_decisions(texts, sets, found_by_seed, keep):
    """The pairs that deduplicate finds are those that the index finds, and it decides on them as brute force does."""
    result = deduplicate(texts, THRESHOLD, keep=keep, pairs="all")
    found = truth.with_copies(pairs_of(result.pairs), sets)
    assert found == found_by_seed[0]
    kept, removed = truth.decide(truth.RANKED[keep](texts), found)
    assert result.kept == kept
    assert {r.id: (r.witness, r.similarity) for r in result.removed} == removed


def test_queries(texts, found_by_seed):
    """Asking for each story finds itself and its pairs, and nothing else."""
    index = Index(THRESHOLD)
    index.add_many(range(len(texts)), texts)
    expected = {(i, i): 1.0 for i in range(len(texts))}
    for (a, b), score in found_by_seed[0].items():
        expected[a, b] = expected[b, a] = score
    answers = index.query_many(texts)
    assert {(i, match.id): match.similarity for i, matches in enumerate(answers) for match in matches} == expected
    assert not any(matches.truncated for matches in answers)
