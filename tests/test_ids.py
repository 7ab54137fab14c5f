"""Ids: packed and taken back as they were, and known when they repeat."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.ids import PackedIds, Repeats, first_repeat, pack

IDS = st.lists(
    st.integers() | st.text(st.characters(exclude_categories=())) | st.sampled_from([10**30, -(2**63) - 1, "\ud800", "\ud800#7", "\ud8007"])
)


@given(IDS, st.randoms(use_true_random=False))
def test_packed_ids_are_read_as_a_list(ids, rng):
    """Strings with anything in them, integers of any size; one, some or all."""
    packed = PackedIds(*pack(ids))
    assert (len(packed), list(packed), packed[:]) == (len(ids), ids, ids)
    places = [rng.randrange(len(ids)) for _ in range(5)] if ids else []
    assert packed.take(np.array(places, np.int64)) == [ids[place] for place in places]
    assert [packed[place] for place in places] == [ids[place] for place in places]
    if ids:
        assert packed[-1] == ids[-1]
    with pytest.raises(IndexError):
        packed[len(ids)]


def test_one_of_many_ids_costs_no_more_than_of_few():
    """No list of all places is made for it, nor for a few of them: who asks for each id would wait for their square."""
    packed = PackedIds(*pack([str(i) for i in range(100_000)]))
    tracemalloc.start()
    try:
        assert (packed[70_000], packed[-1], packed[9:3:-3]) == ("70000", "99999", ["9", "6"])
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


@given(st.lists(st.lists(st.integers(0, 30) | st.sampled_from("abc"), max_size=5)))
def test_repeats_are_found(batches):
    """Whenever there is one; these few never look alike without being so."""
    repeats = Repeats()
    for batch in batches:
        repeats.add(batch)
    every = [id for batch in batches for id in batch]
    again = first_repeat(every)
    assert repeats.found() == (again is not None) == (len(set(every)) < len(every))
    if again:
        id, first, place = again
        assert first < place
        assert every[first] == every[place] == id
        assert len(set(every[:place])) == place


def test_repeats_are_looked_for_on_the_way():
    """Not only at the end of ten million."""
    repeats = Repeats()
    said = [repeats.add(range(1000)) for _ in range(200)]
    assert 60 < said.index(True) < 70
