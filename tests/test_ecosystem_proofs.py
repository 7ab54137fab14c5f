"""At home in the ecosystem, as its acceptance is written: large sets, speed beside datasketch, a large corpus taken over."""

import statistics

import pytest
from datasketch_environments import THERE, many_tokens
from test_datasketch import corpus

pytestmark = pytest.mark.prove

there = pytest.mark.parametrize(("version", "scheme", "token_hash"), THERE)


@there
@pytest.mark.parametrize("num_perm", [16, 128, 512])
def test_a_hundred_thousand_tokens(ask, version, scheme, token_hash, num_perm):
    """The signature of a set of 10^5 tokens is datasketch's, in every slot."""
    many_tokens(ask, (version, scheme, token_hash), 100_000, num_perm)


@pytest.mark.parametrize("tokens", [100, 500])
def test_speed_beside_datasketch(ask, record_property, tokens):
    """From tokens, sha1, affine32, 128 slots: times of datasketch's three ways over that of one thread and of all, medians of ratios."""
    request = {"scheme": "affine32", "token_hash": "sha1", "num_perm": 128, "seed": 1}
    taken = ask("2", "timed", tokens=tokens, documents=100_000 // tokens, runs=7, **request)
    ratios = {
        (way, threads): statistics.median(theirs / ours for theirs, ours in zip(taken[way], taken[threads], strict=True))
        for way in ("update", "update_batch", "bulk")
        for threads in ("one thread", "all threads")
    }
    for name in taken:
        record_property(f"{name}, ns a token", round(statistics.median(taken[name]) / 100_000 * 1e9))
    for (way, threads), ratio in ratios.items():
        record_property(f"{way} over {threads}", round(ratio, 1))
    assert ratios["update", "one thread"] >= 50


@pytest.mark.parametrize(("version", "scheme"), [("1.6", "legacy"), ("2", "affine32"), ("2", "affine64")])
def test_a_large_corpus_is_taken_over(ask, record_property, version, scheme):
    """Thousands of documents signed by datasketch match as those that are signed here."""
    texts = corpus(3000)
    request = {"scheme": scheme, "token_hash": "sha1", "num_perm": 128, "seed": 1, "threshold": 0.7, "texts": texts}
    answers = ask(version, "imported", **request)
    for way in ("MinHash", "LeanMinHash", "bytes", "again"):
        assert answers[way] == answers["texts"], way
    sure = {(i, j) for i, row in enumerate(answers["jaccard"][:-1]) for j, value in enumerate(row[:-1]) if i != j and value >= 0.75}
    found = {(i, match[0]) for i, matches in enumerate(answers["texts"]) for match in matches}
    record_property("documents", len(texts))
    record_property("pairs that datasketch estimates at 0.75 or more", len(sure) // 2)
    record_property("of them found", len(sure & found) // 2)
    assert len(sure - found) <= 0.01 * len(sure)
