"""Boilerplate that is left out: the shingles that many documents have."""

from itertools import pairwise

import numpy as np
import pytest
import truth
from hypothesis import given
from hypothesis import strategies as st

from neardup import Banding, MinHash, ParameterError, Shingling, deduplicate
from neardup.frequent import flat_hashes, frequent_shingles, without

SINGLE = Shingling(size=1)


@given(truth.corpora(), st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.integers(1, 4))
def test_frequent_shingles_are_counted(texts, share, size):
    """More than the share of all documents have them; however the documents come in batches."""
    batches = [texts[i : i + size] for i in range(0, len(texts), size)]
    found = frequent_shingles(lambda: batches, SINGLE, share)
    sets = [set(SINGLE.hashes(text).tolist()) for text in texts]
    assert found.tolist() == sorted(y for y in set().union(*sets) if sum(y in own for own in sets) > share * len(texts))
    hashes, offsets = without(found, *flat_hashes(SINGLE, texts))
    kept = [set(hashes[int(a) : int(b)].tolist()) for a, b in pairwise(offsets)]
    assert kept == [own - set(found.tolist()) for own in sets]


@given(truth.corpora(), st.sampled_from([0.2, 0.5]))
def test_decisions_without_boilerplate(texts, share):
    """Similarity is that of the shingles that are left."""
    frequent = frequent_shingles(lambda: [texts], SINGLE, share)
    sets = [frozenset(y >> 32 for y in np.setdiff1d(SINGLE.hashes(text), frequent).tolist()) for text in texts]
    kept, removed = truth.decide(range(len(texts)), truth.join_of_all(sets, 0.5))
    result = deduplicate(texts, 0.5, drop_frequent=share, minhash=MinHash(shingling=SINGLE), banding=Banding(128, 1))
    assert (result.kept, {one.id: (one.witness, one.similarity) for one in result.removed}) == (kept, removed)
    assert result.summary()["without_shingles"] == sum(not own for own in sets)


def test_a_share_is_a_share():
    """Neither nothing nor everything."""
    for share in (0, 1, 1.5):
        with pytest.raises(ParameterError, match=rf"drop_frequent is {share}; it lies above 0 and below 1"):
            deduplicate(["a"], drop_frequent=share)
