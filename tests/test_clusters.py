"""Decisions from matches, and the plain-Python truth that they are judged by."""

import numpy as np
import pytest
import truth
from hypothesis import example, given
from hypothesis import strategies as st

from neardup.clusters import Decisions, choose_witnesses
from neardup.joins import Edges
from neardup.ranking import Ranking

SMALL_SETS = st.lists(st.frozensets(st.integers(0, 12), max_size=9), max_size=14)


# ---- the truth itself ------------------------------------------------------------------------------------------------


@given(SMALL_SETS, st.floats(0.01, 1))
@example([frozenset(range(28)), frozenset(range(35))], 0.8)
def test_the_join_is_the_comparison_of_every_two(sets, threshold):
    """The inverted index of the tests finds what comparing every two finds."""
    assert truth.join(sets, threshold) == truth.join_of_all(sets, threshold)


@given(SMALL_SETS, st.floats(0.01, 1))
def test_copies_written_out_are_the_join_again(sets, threshold):
    """One pair a copy and one a pair of distinct sets is enough to know all pairs."""
    full = truth.join(sets, threshold)
    first = {hashes: i for i, hashes in reversed(list(enumerate(sets)))}
    star = {(i, j): score for (i, j), score in full.items() if i == first[sets[i]] and (sets[i] == sets[j] or j == first[sets[j]])}
    assert truth.with_copies(star, sets) == full


@given(SMALL_SETS, st.floats(0.1, 0.9), st.randoms(use_true_random=False))
def test_the_decisions_of_the_truth(sets, threshold, rng):
    """Kept documents match no other kept one; each removed one names the best kept match, and one that ranks before it."""
    order = rng.sample(range(len(sets)), len(sets))
    pairs = truth.join(sets, threshold)
    kept, removed = truth.decide(order, pairs)
    assert sorted([*kept, *removed]) == list(range(len(sets)))
    assert not any((i, j) in pairs for i in kept for j in kept)
    for place, (witness, score) in removed.items():
        assert score == pairs[min(place, witness), max(place, witness)]
        rivals = [other for other in kept if score < pairs.get((min(place, other), max(place, other)), 0)]
        assert not rivals
        assert any(order.index(other) < order.index(place) for other in kept if (min(place, other), max(place, other)) in pairs)


def test_a_chain_of_resemblance_loses_nothing():
    """0 ~ 1 ~ 2 ~ 3 and no further: 0 and 2 are kept, and 1 names the more similar of the two."""
    pairs = {(0, 1): 0.8, (1, 2): 0.9, (2, 3): 0.85}
    assert truth.decide([0, 1, 2, 3], pairs) == ([0, 2], {1: (2, 0.9), 3: (2, 0.85)})
    assert truth.decide([1, 0, 2, 3], pairs) == ([1, 3], {0: (1, 0.8), 2: (1, 0.9)})


# ---- rank ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), max_size=40), st.sampled_from(["first", "last", "longest"]))
def test_rank_is_the_policy_and_then_the_place(lengths, keep):
    """Each policy orders all places: by place, backwards, or by length and then by place."""
    ranking = Ranking(keep)
    half = len(lengths) // 2
    for part in (lengths[:half], lengths[half:]):
        ranking.add(part, list, [])
    order = ranking.places(range(len(lengths)), np.array(lengths, np.int64))
    assert order.dtype == np.int64
    assert order.tolist() == truth.RANKED[keep]([" " * length for length in lengths])


# ---- witnesses -------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), st.sampled_from([0.8, 0.85, 0.9, 1.0]), max_size=30
    ),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_the_witness_is_the_most_similar_and_of_equals_the_first_in_rank(matches, kept):
    """Among kept sets, for each removed one: the highest similarity, and of those the lowest number; -1 without any."""
    a, b = (np.array([pair[side] for pair in matches], np.uint32) for side in (0, 1))
    witness, scores = choose_witnesses(np.array(kept), Edges(a, b, np.array(list(matches.values()), np.float64)))
    for place in range(12):
        rivals = [
            (-matches[min(p), max(p)], p[1]) for p in ((place, other) for other in range(12)) if (min(p), max(p)) in matches and kept[p[1]]
        ]
        best = min(rivals) if rivals and not kept[place] else (0.0, -1)
        assert (-scores[place], witness[place]) == best


# ---- groups ----------------------------------------------------------------------------------------------------------


@given(SMALL_SETS, st.floats(0.1, 0.9), st.randoms(use_true_random=False))
def test_a_cluster_is_a_kept_document_and_those_removed_for_it(sets, threshold, rng):
    """Clusters are sorted by the kept one's place, which comes first; then those it is the witness of, by place."""
    kept, removed = truth.decide(rng.sample(range(len(sets)), len(sets)), truth.join(sets, threshold))
    witness = np.array([removed.get(i, (-1,))[0] for i in range(len(sets))], np.int64)
    decisions = Decisions(witness, np.zeros(len(sets)))
    expected = {k: [k] for k in kept}
    for place in sorted(removed):
        expected[removed[place][0]].append(place)
    assert decisions.clusters() == [group for group in expected.values() if len(group) > 1]
    assert np.flatnonzero(decisions.kept).tolist() == kept


@pytest.mark.parametrize("n", [0, 1, 3])
def test_no_cluster_where_all_are_kept(n):
    """Without a removed document there is no group."""
    decisions = Decisions(np.full(n, -1, np.int64), np.zeros(n))
    assert decisions.clusters() == []
    assert decisions.kept.tolist() == [True] * n
