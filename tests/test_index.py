"""The index: what is added is found, what is not alike is not, in any order, from any thread."""

import copy
import gc
import json
import math
import os
import pickle
import random
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
import truth
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from neardup import (
    Banding,
    DuplicateIdError,
    IncompatibleError,
    Index,
    Match,
    MinHash,
    ParameterError,
    RecallWarning,
    Shingling,
    UnknownDocumentError,
    containment,
    jaccard,
    reference,
)

SINGLE_WORDS = Shingling(size=1)
#: Few slots and long bands: many pairs are missed, and which ones is known.
SELECTIVE = {"minhash": MinHash(num_perm=32, shingling=SINGLE_WORDS), "banding": Banding(4, 8)}
#: Nearly every pair that shares a shingle is a candidate.
GENEROUS = {"minhash": MinHash(num_perm=128, shingling=SINGLE_WORDS), "banding": Banding(128, 1)}

TEXT = "The committee will meet on Monday morning at ten in the town hall to vote on the budget of the coming year."
COPY = TEXT.upper().replace(" ", " - ")
NEAR = TEXT.replace("coming", "next")
OTHER = "It rained all day on the second of May, and nobody who had come to the fair stayed until the music began."


def rows(table):
    """The rows of a table of pairs as tuples."""
    return list(zip(*table.to_pydict().values(), strict=True))


def filled(texts, **parameters):
    """An index of texts by their positions."""
    index = Index(**parameters)
    index.add_many(range(len(texts)), texts)
    return index


def everything(index):
    """What an index holds, as far as these tests' texts show it."""
    return index.ids(), len(index), rows(index.pairs()), index.query_many([TEXT, NEAR, OTHER])


# ---- ids and contents ------------------------------------------------------------------------------------------------


def test_a_new_index_is_empty():
    """Nothing is in it, and nothing is found."""
    index = Index()
    assert (len(index), index.ids(), rows(index.pairs())) == (0, [], [])
    assert "a" not in index
    assert index.query(TEXT) == []
    assert index.query_many([]) == []
    assert index.query_many([TEXT, ""]) == [[], []]


def test_ids_are_strings_and_integers():
    """Both may be mixed, "1" is not 1, and numpy's integers are integers; ids come back in order of insertion."""
    index = Index()
    index.add("1", TEXT)
    index.add(1, TEXT)
    index.add_many(np.array([5, 2], np.uint8), [TEXT, OTHER])
    index.add(np.int64(-(2**63)), TEXT)
    index.add_many(["", 2**63 - 1, "\x00é"], iter([OTHER, "a", "b"]))
    assert index.add_unless_duplicate(np.int32(9), "something that was not there before") is None
    expected = ["1", 1, 5, 2, -(2**63), "", 2**63 - 1, "\x00é", 9]
    assert index.ids() == expected
    assert [type(id) for id in index.ids()] == list(map(type, expected))
    assert all(id in index for id in expected)
    assert np.int64(5) in index
    assert "5" not in index
    assert len(index) == 9
    index.remove(np.int16(5))
    index.update(np.uint64(1), OTHER)
    assert 5 not in index
    assert [match.id for match in index.query(OTHER)] == [1, 2, ""]


CALLS = {
    "add": lambda index, given: index.add(given, TEXT),
    "add_many": lambda index, given: index.add_many(["fine", given], [TEXT, OTHER]),
    "add_signatures": lambda index, given: index.add_signatures(["fine", given], index.minhash.sign_many([TEXT, OTHER], hashes=True)),
    "add_unless_duplicate": lambda index, given: index.add_unless_duplicate(given, OTHER),
    "remove": lambda index, given: index.remove(given),
    "update": lambda index, given: index.update(given, OTHER),
    "explain": lambda index, given: index.explain(given, TEXT),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("wrong", [True, np.True_, 1.0, np.float64(1), b"1", None, ("1",)], ids=repr)
def test_other_ids_are_refused(call, wrong):
    """A bool, float, bytes, None or tuple is a TypeError that names the value and its type; nothing changes."""
    index = filled([NEAR] * 2)
    before = everything(index)
    with pytest.raises(TypeError, match=r"an id is a string or an integer, not .* of type ") as error:
        call(index, wrong)
    assert repr(wrong) in str(error.value)
    assert type(wrong).__name__ in str(error.value)
    assert everything(index) == before


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("wrong", [2**63, -(2**63) - 1, 10**100, np.uint64(2**64 - 1)])
def test_integers_of_more_than_64_bits_are_refused(call, wrong):
    """A store of any kind can hold the ids that every store can hold."""
    index = filled([NEAR])
    with pytest.raises(ParameterError, match=f"id {wrong} does not fit in 64 signed bits; give it as a string"):
        call(index, wrong)
    assert index.ids() == [0]


@pytest.fixture(params=["memory", "disk", "postgres", "redis"])
def anywhere(request, tmp_path):
    """An empty index in each place where one may live."""
    if request.param == "memory":
        place = Index()
    elif request.param == "disk":
        place = Index.open(tmp_path / "index")
    else:
        place = Index.open(request.getfixturevalue(request.param).url(), name=secrets.token_hex(8))
    with place as index:
        yield index


def test_what_is_no_id_is_not_in_an_index(anywhere):
    """Though True and 1.0 equal 1: `in` answers the same in every store, of numpy's integers too, and never fails."""
    anywhere.add_many([0, 1, -(2**63)], [TEXT] * 3)
    for id in (1, np.int64(1), np.uint8(1), np.int64(-(2**63))):
        assert id in anywhere
    for other in (True, False, None, 1.0, [], b"a", np.bool_(True), "1", np.int64(2), 2**63, 2**70, 10**5000, np.uint64(2**63)):
        assert other not in anywhere


def test_the_same_id_twice_loses_nothing():
    """An id that is there already, in whichever call and place of a batch, is refused, and nothing is added or lost."""
    index = filled([TEXT, OTHER])
    before = everything(index)
    attempts = [
        lambda: index.add(0, NEAR),
        lambda: index.add(np.int8(1), TEXT),
        lambda: index.add_many([7, 0], [NEAR, NEAR]),
        lambda: index.add_many([1, 7], [NEAR, NEAR]),
        lambda: index.add_unless_duplicate(1, "something quite different from all that is there"),
        lambda: index.add_unless_duplicate(1, TEXT),
    ]
    for attempt in attempts:
        with pytest.raises(
            DuplicateIdError, match=r"document [01] is in the index already, nothing was added; update\(\) replaces, remove\(\) first"
        ):
            attempt()
        assert everything(index) == before


@pytest.mark.parametrize("ids", [["a", "b", "a"], [1, 2, np.int64(1)], ["b", "b", "c"]])
def test_an_id_given_twice_in_a_batch_adds_nothing(ids):
    """The batch is refused whole, the repeated id named."""
    index = filled([TEXT])
    before = everything(index)
    with pytest.raises(DuplicateIdError, match=r"document ('a'|1|'b') is given twice, nothing was added; ids are unique"):
        index.add_many(ids, [NEAR, NEAR, OTHER])
    assert everything(index) == before


@pytest.mark.parametrize(("ids", "texts"), [([1], []), ([], ["a"]), ([1, 2], ["a"]), (range(3), iter(["a", "b"]))])
def test_one_id_to_each_text(ids, texts):
    """Numbers that differ are said, and nothing is added."""
    index = Index()
    with pytest.raises(ParameterError, match=r"\d ids and \d texts; give one id to each text"):
        index.add_many(ids, texts)
    assert len(index) == 0


@pytest.mark.parametrize(("wrong", "words"), [(None, "NoneType"), (7, "int"), (b"text", "bytes"), (math.nan, "float"), (["text"], "list")])
def test_what_is_not_a_text_is_refused(wrong, words):
    """Each call names the type it was given, and in a batch the place; nothing changes."""
    index = filled([TEXT])
    before = everything(index)
    for call in (
        lambda: index.add(1, wrong),
        lambda: index.add_unless_duplicate(1, wrong),
        lambda: index.update(0, wrong),
        lambda: index.query(wrong),
        lambda: index.explain(0, wrong),
    ):
        with pytest.raises(TypeError, match=f"a text is a str, not {words}"):
            call()
    for call in (lambda: index.add_many([1, 2, 3], [OTHER, NEAR, wrong]), lambda: index.query_many([OTHER, NEAR, wrong])):
        with pytest.raises(TypeError, match=f"text 2 is of type {words}; a text is a str"):
            call()
    assert everything(index) == before


def test_one_text_is_not_many():
    """A string where texts are wanted is refused, not taken apart into letters."""
    for call in (lambda index: index.add_many("abc", "abc"), lambda index: index.query_many("abc")):
        with pytest.raises(TypeError, match="texts is one str; it is an iterable of texts"):
            call(Index())


@pytest.mark.parametrize("texts", [pa.array, pa.chunked_array, tuple, iter], ids=lambda kind: kind.__name__)
def test_texts_come_as_they_are(texts):
    """A list, tuple, iterator or Arrow column of the same texts makes the same index, and asks the same."""
    given = [TEXT, "", OTHER, NEAR]
    column = texts([given] if texts is pa.chunked_array else given)
    index = Index()
    index.add_many("abcd", column)
    same = Index()
    same.add_many("abcd", given)
    assert everything(index) == everything(same)
    column = texts([given] if texts is pa.chunked_array else given)
    assert index.query_many(column) == same.query_many(given)


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, 0.0, -0.5, 1.5, math.nan, math.inf, "x", True])
def test_a_threshold_lies_above_0_and_is_at_most_1(wrong):
    """Anything else is refused with the value: a ValueError, or a TypeError where it is no number."""
    error = ParameterError if isinstance(wrong, int | float) and wrong is not True else TypeError
    with pytest.raises(error, match=f"threshold is {wrong!r}"):
        Index(wrong)


@pytest.mark.parametrize("wrong", [0, 1, 2, -1, math.nan, "x", True])
def test_a_recall_lies_between_0_and_1(wrong):
    """Anything else is refused with the value."""
    error = ParameterError if isinstance(wrong, int | float) and wrong is not True else TypeError
    with pytest.raises(error, match=f"recall is {wrong!r}"):
        Index(recall=wrong)


@pytest.mark.parametrize(
    ("wrong", "error"), [(0, ParameterError), (-1, ParameterError), (2.5, TypeError), ("x", TypeError), (True, TypeError)]
)
def test_a_bucket_limit_is_at_least_1(wrong, error):
    """Anything else is refused with the value."""
    with pytest.raises(error, match=f"bucket_limit is {wrong!r}"):
        Index(bucket_limit=wrong)


def test_parameters_that_do_not_fit_together():
    """More bands than slots, or two shinglings, are refused with both values."""
    with pytest.raises(ParameterError, match="5 bands of 4 rows need 20 slots, num_perm is 16; raise num_perm"):
        Index(minhash=MinHash(num_perm=16), banding=Banding(5, 4))
    with pytest.raises(IncompatibleError, match=r"shingling is .*size=3.*, that of minhash is .*size=5.*; give one of them"):
        Index(minhash=MinHash(), shingling=Shingling(size=3))
    assert Index(minhash=MinHash(), shingling=Shingling()).minhash == MinHash()


@pytest.mark.parametrize("name", ["minhash", "banding", "shingling"])
def test_parameters_of_another_type(name):
    """A string where a MinHash, Banding or Shingling belongs is a TypeError that says which and what."""
    with pytest.raises(TypeError, match=f"{name} is 'words'"):
        Index(**{name: "words"})


@pytest.mark.parametrize(("wrong", "error"), [(0, ParameterError), (1025, ParameterError), ("x", TypeError), (1.0, TypeError)])
def test_a_number_of_threads(wrong, error):
    """It goes from 1 to 1024; anything else is refused with the value, and nothing is added."""
    index = Index()
    for call in (
        lambda: index.add_many(["a"], [TEXT], threads=wrong),
        lambda: index.query_many([TEXT], threads=wrong),
        lambda: index.add_signatures(["a"], index.minhash.sign_many([TEXT], hashes=True), threads=wrong),
        lambda: index.query_signatures(index.minhash.sign_many([TEXT], hashes=True), threads=wrong),
        lambda: index.pairs(threads=wrong),
    ):
        with pytest.raises(error, match=f"threads is {wrong!r}"):
            call()
    assert len(index) == 0


def test_an_index_says_what_it_does():
    """Its parameters can be read, and its repr names them with the recall that it really has."""
    index = filled([TEXT, OTHER], threshold=0.7)
    assert (index.threshold, index.bucket_limit, index.banding) == (0.7, 1000, Banding.for_threshold(0.7))
    assert index.recall == index.banding.probability(0.7) >= 0.99
    assert repr(index) == f"<Index of 2 documents, threshold 0.7, recall {index.recall:.4f}, 32 bands of 4 rows>"
    assert Index(recall=0.5).recall < Index(recall=0.999).recall


def test_a_recall_out_of_reach_is_said():
    """With too few slots the index does what it can, and warns."""
    with pytest.warns(RecallWarning, match="recall 0.99 at threshold 0.01 is out of reach with num_perm=128"):
        Index(0.01)


# ---- queries ---------------------------------------------------------------------------------------------------------


def test_matches_say_how_similar_they_are():
    """A match carries what jaccard and containment say of the two texts, is exact, and lies at or above the threshold."""
    index = filled([TEXT, NEAR, OTHER, COPY], threshold=0.5)
    matches = index.query(NEAR)
    assert [match.id for match in matches] == [1, 0, 3]
    for match in matches:
        stored = [TEXT, NEAR, OTHER, COPY][match.id]
        assert match == Match(match.id, jaccard(NEAR, stored), containment(NEAR, stored), exact=True)
        assert match.similarity >= 0.5
    assert matches.truncated is False


def test_matches_are_sorted_best_first_and_ties_by_id():
    """The most similar first, then the one that contains more of the query; equal ones by id, integers before strings."""
    index = Index(0.3, **GENEROUS)
    words = [f"t{i}" for i in range(12)]
    index.add_many(["z", 10, "b", 9, "10"], [" ".join(words[:10])] * 5)
    index.add("half", " ".join(words[:6]))  # 6 of 12, all of it in the query
    index.add("wide", " ".join(words[:8] + [f"u{i}" for i in range(4)]))  # 8 of 16
    assert [(match.id, match.similarity) for match in index.query(" ".join(words))] == [
        *[(id, 10 / 12) for id in (9, 10, "10", "b", "z")],
        *[("wide", 8 / 16), ("half", 6 / 12)],
    ]


def test_containment_is_of_the_query_in_the_stored_document():
    """A short text inside a long one is contained, the long one in the short one only in part."""
    index = Index(0.4, **GENEROUS)
    index.add_many(["long", "short"], ["a b c d e f g h", "a b c d"])
    assert {match.id: match.containment for match in index.query("a b c d")} == {"long": 1.0, "short": 1.0}
    assert {match.id: match.containment for match in index.query("a b c d e f g h")} == {"long": 1.0, "short": 0.5}


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "😀", "\u200f\u200e"])
def test_a_document_without_a_word_matches_nothing(text):
    """Not even itself: it is in the index by its id and in no answer."""
    index = filled([text, text, TEXT])
    assert index.query(text) == []
    assert index.query_many([text, TEXT]) == [[], [Match(2, 1.0, 1.0)]]
    assert rows(index.pairs()) == []
    assert index.explain(2, text) == []
    assert index.explain(0, TEXT) == []
    assert index.add_unless_duplicate("another", text) is None
    index.update(2, text)
    assert index.query(TEXT) == []
    index.remove(0)
    assert index.ids() == [1, "another", 2]


@given(truth.corpora(), st.lists(truth.look_alikes(), max_size=8), st.sampled_from([1, 3]))
@settings(max_examples=50)
def test_many_are_asked_as_one_by_one(texts, queries, threads):
    """query_many gives what query gives, in order, for any number of threads."""
    index = filled(texts, threshold=0.6, **SELECTIVE)
    queries += texts[::2]
    assert index.query_many(queries, threads=threads) == [index.query(query) for query in queries]


def test_many_slices_are_asked_in_order():
    """Ten thousand queries come back in their order."""
    index = filled([f"number {i % 100} of these many small documents here" for i in range(100)], threshold=0.9)
    answers = index.query_many([f"number {i % 100} of these many small documents here" for i in range(10_000)])
    assert [match.id for (match,) in answers] == [i % 100 for i in range(10_000)]


@cache
def signed(text):
    """The verification hashes and band keys of a text, with the parameters SELECTIVE."""
    minhash, banding = SELECTIVE["minhash"], SELECTIVE["banding"]
    return truth.shingle_sets([text], minhash.shingling)[0], banding.keys(minhash.sign_many([text], threads=1).values)[0]


def candidate_similarity(a, b):
    """The similarity of two texts that share a band key, 0 of those that do not."""
    (x, x_keys), (y, y_keys) = signed(a), signed(b)
    return truth.similarity(x, y) if (x_keys == y_keys).any() else 0.0


TEXTS = st.one_of(truth.look_alikes(), truth.look_alikes(), st.sampled_from(["", "!", "w0", "W0", "w0 w1"]))
IDS = st.one_of(st.integers(0, 12), st.sampled_from(["a", "b", "c"]))


class Model(RuleBasedStateMachine):
    """Every method in any order, beside a dictionary of texts and the similarity of every two."""

    threshold = 0.6

    def __init__(self):
        super().__init__()
        self.index = Index(self.threshold, **SELECTIVE)
        self.texts = {}

    @rule(texts=st.dictionaries(IDS, TEXTS, max_size=6))
    def add_many(self, texts):
        """All are added, or none."""
        if self.texts.keys() & texts.keys():
            with pytest.raises(DuplicateIdError):
                self.index.add_many(texts.keys(), texts.values())
        else:
            self.index.add_many(texts.keys(), texts.values())
            self.texts |= texts

    @rule(id=IDS, text=TEXTS)
    def add(self, id, text):
        """A new id is added, a known one refused."""
        if id in self.texts:
            with pytest.raises(DuplicateIdError):
                self.index.add(id, text)
        else:
            self.index.add(id, text)
            self.texts[id] = text

    @rule(id=IDS, text=TEXTS)
    def add_unless_duplicate(self, id, text):
        """The best match is returned, or the document is added."""
        if id in self.texts:
            with pytest.raises(DuplicateIdError):
                self.index.add_unless_duplicate(id, text)
            return
        expected = self.index.query(text)
        assert self.index.add_unless_duplicate(id, text) == (expected[0] if expected else None)
        if not expected:
            self.texts[id] = text

    @rule(id=IDS)
    def remove(self, id):
        """A known id goes, an unknown one is said."""
        if self.texts.pop(id, None) is None:
            with pytest.raises(UnknownDocumentError):
                self.index.remove(id)
        else:
            self.index.remove(id)

    @rule(id=IDS, text=TEXTS)
    def update(self, id, text):
        """A known id has another text, an unknown one is said."""
        if id in self.texts:
            self.index.update(id, text)
            del self.texts[id]
            self.texts[id] = text
        else:
            with pytest.raises(UnknownDocumentError):
                self.index.update(id, text)

    @rule(text=TEXTS)
    def query(self, text):
        """What shares a band key and is similar enough is found with its exact numbers, copies always, and nothing else."""
        found = {match.id: match for match in self.index.query(text)}
        scores = {id: candidate_similarity(text, other) for id, other in self.texts.items()}
        assert {id: match.similarity for id, match in found.items()} == {i: score for i, score in scores.items() if score >= self.threshold}
        mine = signed(text)[0]
        assert all(match.containment == len(mine & signed(self.texts[id])[0]) / len(mine) for id, match in found.items())
        assert found.keys() >= {id for id, other in self.texts.items() if mine and signed(other)[0] == mine}

    @rule(threads=st.integers(1, 3))
    def pairs(self, threads):
        """All pairs of candidates that are similar enough, once."""
        table = self.index.pairs(threads=threads)
        scores = {(a, b): candidate_similarity(x, y) for (a, x), (b, y) in combinations(self.texts.items(), 2)}
        expected = {frozenset(map(str, pair)): score for pair, score in scores.items() if score >= self.threshold}
        assert {frozenset((str(a), str(b))): score for a, b, score in rows(table)} == expected
        assert len(table) == len(expected)

    @invariant()
    def contents(self):
        """Ids are those added and not removed, in order."""
        assert self.index.ids() == list(self.texts)
        assert len(self.index) == len(self.texts)
        assert all(id in self.index for id in self.texts)


def test_an_index_behaves_as_the_model():
    """Any sequence of calls leaves what a dictionary would hold, and finds what comparing every two says."""
    run_state_machine_as_test(Model, settings=settings(max_examples=50, stateful_step_count=50))


def test_the_model_sees_candidates_that_are_missed():
    """The banding of the model is one that misses some pairs at the threshold and finds others, or it would prove little."""
    texts = [f"w{i} " + " ".join(f"w{j}" for j in range(20, 35)) for i in range(20)]
    scores = {candidate_similarity(a, b) for a, b in combinations(texts, 2)}
    assert scores == {0.0, 15 / 17}


# ---- what a query asks for -------------------------------------------------------------------------------------------


def asked(index, text, **wanted):
    """What query, query_many and query_signatures answer to one text; they must agree. What they warn of is left aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecallWarning)
        one = index.query(text, **wanted)
        (many,) = index.query_many([text], **wanted)
        (signed,) = index.query_signatures(index.minhash.sign_many([text], hashes=True), **wanted)
    assert one == many == signed
    assert one.truncated == many.truncated == signed.truncated
    return one


MEASURES = st.sampled_from(["similarity", "containment"])


@given(
    truth.corpora(),
    st.sampled_from([SELECTIVE, GENEROUS]),
    MEASURES,
    st.sampled_from([None, 0.05, 0.3, 0.6, 0.75, 0.9, 1.0, 1]),
    st.one_of(st.none(), st.integers(1, 4)),
)
@settings(max_examples=80)
def test_a_query_finds_what_it_asks_for(texts, parameters, measure, threshold, top):
    """Of all that share a band key: those at the threshold by the measure, best first, then by the other measure, then by id."""
    ids = [i if i % 3 else str(i) for i in range(len(texts))]
    index = Index(0.6, **parameters)
    index.add_many(ids, texts)
    sets = truth.shingle_sets(texts, SINGLE_WORDS)
    keys = index.banding.keys(index.minhash.sign_many(texts).values)
    for i, text in enumerate(texts[:6]):
        expected = []
        for j, id in enumerate(ids):
            if sets[i] and sets[j] and (keys[i] == keys[j]).any():
                scores = truth.similarity(sets[i], sets[j]), len(sets[i] & sets[j]) / len(sets[i])
                first, second = scores if measure == "similarity" else scores[::-1]
                if first >= (threshold or 0.6):
                    expected.append(((-first, -second, isinstance(id, str), id), Match(id, *scores)))
        found = asked(index, text, measure=measure, threshold=threshold, top=top)
        assert found == [match for _, match in sorted(expected, key=lambda row: row[0])][:top]


@given(truth.corpora(), MEASURES, st.sampled_from([0.1, 0.5, 0.8]), st.one_of(st.none(), st.integers(1, 3)))
@settings(max_examples=40)
def test_an_estimating_index_answers_likewise(texts, measure, threshold, top):
    """By the similarities and containments that the lean signatures speak of."""
    minhash = MinHash(num_perm=66, shingling=SINGLE_WORDS)
    index = Index(0.8, verify="estimate", minhash=minhash, banding=Banding(66, 1))
    index.add_many(range(len(texts)), texts)
    signatures = minhash.sign_many(texts)
    lean = [reference.lean_signature(signature.values) for signature in signatures]
    for i, text in enumerate(texts[:6]):
        expected = []
        for j, other in enumerate(signatures):
            n, m = signatures[i].count, other.count
            if n and m and (signatures[i].values == other.values).any():
                similar = reference.estimated_similarity(int((lean[i] == lean[j]).sum()), 66, n, m)
                contained = min(similar * (n + m) / ((1 + similar) * n), m / n, 1.0)
                first, second = (similar, contained) if measure == "similarity" else (contained, similar)
                if first >= threshold:
                    expected.append((-first, -second, j))
        assert [match.id for match in asked(index, text, measure=measure, threshold=threshold, top=top)] == [
            row[-1] for row in sorted(expected)
        ][:top]


def test_a_text_inside_another_is_asked_for_by_containment():
    """The whole of it in a long one comes before three quarters of it in one of its length; by similarity it is the other way."""
    index = Index(0.6, **GENEROUS)
    index.add_many(["long", "like", "half"], ["a b c d e f g h i j", "a b c x", "a b y z"])
    assert [match.id for match in index.query("a b c d")] == ["like"]
    assert index.query("a b c d", measure="containment") == [Match("long", 4 / 10, 1.0), Match("like", 3 / 5, 3 / 4)]
    assert [match.id for match in asked(index, "a b c d", measure="containment", threshold=0.5)] == ["long", "like", "half"]
    assert [match.id for match in index.query("a b c d", measure="containment", top=1)] == ["long"]
    assert [match.id for match in index.query("a b c d", measure="containment", threshold=1)] == ["long"]
    index.remove("long")
    index.remove("like")
    assert asked(index, "a b c d", measure="containment") == [], "the only candidate, which has half of it"


def test_the_bands_hardly_see_a_short_text_inside_a_long_one():
    """As the documentation has it: though each is contained whole, of a hundred such not ten are found."""
    words = [[f"{i}t{j}" for j in range(200)] for i in range(100)]
    index = filled([" ".join(row) for row in words])
    found = index.query_many([" ".join(row[:40]) for row in words], measure="containment")
    assert sum(map(len, found)) < 10
    assert all(match == Match(i, 36 / 196, 1.0) for i, matches in enumerate(found) for match in matches)


def test_top_leaves_the_rest_out():
    """The first so many of all matches; that more were left out is no truncation, a full bucket is."""
    index = filled([TEXT, NEAR, COPY, OTHER, TEXT])
    everyone = index.query(TEXT)
    assert len(everyone) == 4
    for top in (1, 2, 3, 4, 5, 2**31):
        matches = asked(index, TEXT, top=top)
        assert matches == everyone[:top]
        assert matches.truncated is False
    for verify in ("exact", "estimate", "rarity", "noisy"):
        full = filled(boilerplate(50), bucket_limit=4, verify=verify, **SELECTIVE)
        assert asked(full, boilerplate(51)[-1], top=1).truncated


def test_a_lower_threshold_warns_once_of_its_recall():
    """The recall that the bands have there, the bands, and the remedy; once a call, at the line of the call; not at or above."""
    index = filled([TEXT, NEAR, OTHER])
    signatures = index.minhash.sign_many([TEXT] * 3, hashes=True)
    words = "documents at 0.5 are found with a probability of 0.282 {}by 21 bands of 6 rows; make an index of that threshold"
    for measure, at_most in (("similarity", ""), ("containment", "at most ")):
        for call in (
            lambda measure=measure: index.query(TEXT, threshold=0.5, measure=measure),
            lambda measure=measure: index.query_many([TEXT] * 5000, threshold=0.5, measure=measure),
            lambda measure=measure: index.query_signatures(signatures, threshold=0.5, measure=measure),
        ):
            with pytest.warns(RecallWarning) as warned:
                call()
            assert [str(warning.message) for warning in warned] == [words.format(at_most)]
            assert warned[0].filename == __file__
        for threshold in (None, 0.8, 0.9, 1.0, 1):
            assert index.query(TEXT, threshold=threshold, measure=measure)[0].id == 0


ASKING = {
    "query": lambda index, wanted: index.query(TEXT, **wanted),
    "query_many": lambda index, wanted: index.query_many([TEXT], **wanted),
    "query_signatures": lambda index, wanted: index.query_signatures(index.minhash.sign_many([TEXT], hashes=True), **wanted),
}


@pytest.mark.parametrize("call", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"top": 0}, ParameterError, "top is 0; it goes from 1 to 2147483648; without it all come"),
        ({"top": -1}, ParameterError, "top is -1; it goes from 1"),
        ({"top": 2.0}, TypeError, "top is 2.0 of type float; it is an integer from 1"),
        ({"top": True}, TypeError, "top is True of type bool; it is an integer from 1"),
        ({"threshold": 0}, ParameterError, "threshold is 0; it lies above 0 and is at most 1"),
        ({"threshold": 1.01}, ParameterError, "threshold is 1.01; it lies above 0 and is at most 1"),
        ({"threshold": math.nan}, ParameterError, "threshold is nan; it lies above 0 and is at most 1"),
        ({"threshold": "0.5"}, TypeError, "threshold is '0.5' of type str; it is a number above 0 and at most 1"),
        ({"measure": "jaccard"}, ParameterError, "measure is 'jaccard'; it is 'similarity' or 'containment'"),
        ({"measure": None}, ParameterError, "measure is None; it is 'similarity' or 'containment'"),
        ({"measure": np.array(["similarity"] * 2)}, ParameterError, "measure is array"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for(call, wanted, error, words):
    """A number, a threshold or a measure that is none is refused with its value and what it may be."""
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        call(Index(), wanted)


# ---- documents that are signed already ----------------------------------------------------------------------------


@given(truth.corpora(), st.sampled_from(["exact", "estimate"]), st.sampled_from([1, 3]), st.data())
@settings(max_examples=60)
def test_signatures_are_added_and_asked_as_their_texts(texts, verify, threads, data):
    """Whole or in consecutive slices, they make the index that the texts make, and find the same to the last bit."""
    parameters = dict(threshold=0.6, verify=verify, **SELECTIVE)
    same, index = filled(texts, **parameters), Index(**parameters)
    signatures = index.minhash.sign_many(texts, hashes=verify == "exact" or data.draw(st.booleans()))
    cut = data.draw(st.integers(0, len(texts)))
    index.add_signatures(range(cut), signatures[:cut], threads=threads)
    index.add_signatures(range(cut, len(texts)), signatures[cut:])
    assert index.ids() == same.ids()
    assert index.pairs() == same.pairs()
    expected = same.query_many(texts)
    assert index.query_signatures(signatures, threads=threads) == expected
    assert index.query_signatures(signatures[cut:]) == expected[cut:]
    assert [m.truncated for m in index.query_signatures(signatures)] == [m.truncated for m in expected]


@pytest.mark.parametrize(
    "other", [{"num_perm": 64}, {"seed": 7}, {"shingling": Shingling(size=3)}, {"shingling": Shingling(tokens="chars")}]
)
def test_signatures_made_otherwise_are_refused(other):
    """What differs is said with both values, and the remedy; nothing is added."""
    index = filled([TEXT])
    signatures = MinHash(**other).sign_many([TEXT, NEAR], hashes=True)
    (name, value), mine = next(iter(other.items())), index.minhash
    if name == "shingling":
        name = "size" if value.size == 3 else "tokens"
        value, mine = getattr(value, name), mine.shingling
    words = f"the signatures were made with another {name} {value!r}, not {getattr(mine, name)!r}"
    for call in (lambda: index.add_signatures([1, 2], signatures), lambda: index.query_signatures(signatures)):
        with pytest.raises(IncompatibleError, match=f"{words}.*; sign the documents again with the same parameters"):
            call()
    assert index.ids() == [0]


def test_an_exact_index_needs_shingle_hashes():
    """Signatures without them are refused with the remedy; an index that estimates takes them."""
    for verify in ("exact", "estimate"):
        index = filled([TEXT], verify=verify)
        signatures = index.minhash.sign_many([NEAR, OTHER])
        calls = (
            lambda index=index, s=signatures: index.query_signatures(s),
            lambda index=index, s=signatures: index.add_signatures("ab", s),
        )
        if verify == "estimate":
            assert [len(call() or []) for call in calls] == [2, 0]
            assert index.ids() == [0, "a", "b"]
        else:
            for call in calls:
                with pytest.raises(
                    IncompatibleError, match="signatures without shingle hashes cannot be verified exactly; sign with hashes=True"
                ):
                    call()
            assert index.ids() == [0]


@pytest.mark.parametrize("wrong", [[TEXT], TEXT, None, np.zeros((1, 128), np.uint32), MinHash().sign(TEXT, hashes=True)], ids=type)
def test_what_is_not_signatures_is_refused(wrong):
    """The type is said, and what makes signatures."""
    index = Index()
    for call in (lambda: index.add_signatures([1], wrong), lambda: index.query_signatures(wrong)):
        with pytest.raises(
            TypeError, match=f"signatures are of type {type(wrong).__name__}; they are neardup.Signatures, as MinHash.sign_many gives them"
        ):
            call()
    assert len(index) == 0


@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_signatures_whose_columns_lie_one_after_another_are_refused(verify):
    """They would be taken for others; of a single one it makes no difference."""
    index = filled([TEXT], verify=verify)
    signatures = index.minhash.sign_many([TEXT, NEAR], hashes=True)
    turned = replace(signatures, values=np.asfortranarray(signatures.values))
    calls = (
        (2, lambda: index.query_signatures(turned)),
        (1, lambda: index.query_signatures(turned[:1])),
        (2, lambda: index.add_signatures("ab", turned)),
    )
    for rows, call in calls:
        with pytest.raises(
            ValueError,
            match=rf"the rows of an array of {rows} by 128 do not lie one after another; numpy\.ascontiguousarray copies it so that they do",
        ):
            call()
    assert index.ids() == [0]
    alone = replace(signatures[:1], values=np.asfortranarray(signatures.values[:1]))
    assert index.query_signatures(alone) == index.query_signatures(signatures[:1])


def test_ids_of_signatures_are_ids_of_texts():
    """Twice in the batch, there already, too many, or no ids at all: refused as add_many refuses them, and nothing is added."""
    index = filled([TEXT])
    before = everything(index)
    signatures = index.minhash.sign_many([NEAR, OTHER], hashes=True)
    for ids, error, words in (
        (["a", "a"], DuplicateIdError, "document 'a' is given twice, nothing was added; ids are unique"),
        (["a", 0], DuplicateIdError, "document 0 is in the index already, nothing was added"),
        (["a"], ParameterError, "1 ids and 2 signatures; give one id to each signature"),
        (["a", "b", "c"], ParameterError, "3 ids and 2 signatures; give one id to each signature"),
        (["a", 2**63], ParameterError, "does not fit in 64 signed bits; give it as a string"),
        (["a", 1.0], TypeError, "an id is a string or an integer, not 1.0 of type float"),
    ):
        with pytest.raises(error, match=words):
            index.add_signatures(ids, signatures)
        assert everything(index) == before
    index.add_signatures(np.array([3, 4]), signatures)
    assert index.ids() == [0, 3, 4]
    index.add_signatures([], signatures[:0])
    assert index.query_signatures(signatures[:0]) == []


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy, lambda index: pickle.dumps([index], protocol=0)])
@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_an_index_is_not_pickled(copied, verify):
    """Nor copied: a TypeError says what to keep instead, and the index is as it was."""
    index = filled([TEXT, OTHER], verify=verify)
    before = everything(index)
    words = r"an index is not pickled or copied; Index\.open\(path\) keeps one on disk, and each process opens it there"
    with pytest.raises(TypeError, match=f"^{words}$"):
        copied(index)
    assert everything(index) == before


@pytest.mark.parametrize("kept", [lambda signatures: pickle.loads(pickle.dumps(signatures)), copy.deepcopy], ids=["pickle", "copy"])
@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_signatures_can_be_kept_instead(kept, verify):
    """Signatures are arrays: those that were pickled or copied make an index that finds the same."""
    texts = [TEXT, NEAR, OTHER, COPY, ""]
    signatures = MinHash().sign_many(texts, hashes=verify == "exact")
    index = Index(verify=verify)
    index.add_signatures(range(len(texts)), kept(signatures))
    assert everything(index) == everything(filled(texts, verify=verify))


# ---- verify="estimate" -----------------------------------------------------------------------------------------------


def test_an_index_may_estimate():
    """A byte a slot instead of the hashes: the copy is found, and every match says that it is an estimate."""
    index = filled([TEXT, OTHER, COPY, "", "..."], verify="estimate")
    assert index.query("Nobody has ever said a word of this to any of those who were there.") == []
    assert index.query(TEXT) == [Match(0, 1.0, 1.0, exact=False), Match(2, 1.0, 1.0, exact=False)]
    assert rows(index.pairs()) == [(0, 2, 1.0)]
    assert index.add_unless_duplicate("again", COPY) == Match(0, 1.0, 1.0, exact=False)
    assert index.query("") == []
    index.remove(0)
    index.update(1, TEXT)
    assert index.query(COPY) == [Match(1, 1.0, 1.0, exact=False), Match(2, 1.0, 1.0, exact=False)]
    assert "similarities estimated" in repr(index)
    assert "estimated" not in repr(Index())


@settings(max_examples=40)
@given(truth.corpora(), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_estimated_matches_are_those_of_the_specification(texts, threshold):
    """Among the candidates, exactly those whose lean signatures reach the threshold match, with the similarity they speak of."""
    minhash = MinHash(num_perm=66, shingling=SINGLE_WORDS)
    index = Index(threshold, verify="estimate", minhash=minhash, banding=Banding(66, 1))
    index.add_many(range(len(texts)), texts)
    signatures = minhash.sign_many(texts)
    lean = [reference.lean_signature(signature.values) for signature in signatures]
    for i, matches in enumerate(index.query_many(texts)):
        expected = {}
        for j, other in enumerate(signatures):
            n, m = signatures[i].count, other.count
            if n and m and (signatures[i].values == other.values).any():
                estimate = reference.estimated_similarity(int((lean[i] == lean[j]).sum()), 66, n, m)
                if estimate >= threshold:
                    expected[j] = estimate
        assert {match.id: match.similarity for match in matches} == expected


def test_an_estimating_index_finds_real_near_copies():
    """Of pairs at 0.9 nearly all are found at 0.8; of pairs at 0.6 hardly one."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 10**9, (300, 200))
    index = Index(0.8, verify="estimate", shingling=SINGLE_WORDS)
    index.add_many(range(300), [" ".join(map(str, row)) for row in words])
    for changed, least, most in ((10, 290, 300), (50, 0, 3)):
        queries = [" ".join(map(str, [*row[changed:], *range(changed)])) for row in words]
        found = index.query_many(queries)
        assert all(match.id == i for i, matches in enumerate(found) for match in matches)
        assert least <= sum(map(len, found)) <= most


def test_what_an_estimating_index_cannot_do():
    """It has no shingles to show."""
    index = filled([TEXT], verify="estimate")
    with pytest.raises(IncompatibleError, match="an index of verify='estimate' keeps no shingles to show; make it with verify='exact'"):
        index.explain(0, NEAR)
    with pytest.raises(UnknownDocumentError, match="no document 1"):
        index.explain(1, NEAR)


@pytest.mark.parametrize("wrong", ["both", 1, np.array(["exact", "exact"])])
def test_there_are_five_ways_to_verify(wrong):
    """Anything else is refused with the value, even what cannot be compared with a string."""
    with pytest.raises(
        ParameterError, match=f"^verify is {re.escape(repr(wrong))}; it is one of 'exact', 'estimate', 'noisy', 'rarity', 'contained'$"
    ):
        Index(verify=wrong)


# ---- pairs -----------------------------------------------------------------------------------------------------------


@given(truth.corpora(), st.randoms(use_true_random=False), st.sampled_from([0.5, 0.75, 1.0]))
@settings(max_examples=60)
def test_pairs_do_not_depend_on_the_order_of_insertion(texts, rng, threshold):
    """One by one in any order, or all at once: the same table to the last bit, that of the band keys and exact similarities."""
    together = filled(texts, threshold=threshold, **SELECTIVE)
    shuffled = Index(threshold, **SELECTIVE)
    for i in rng.sample(range(len(texts)), len(texts)):
        shuffled.add(i, texts[i])
    table = together.pairs()
    assert shuffled.pairs(threads=3) == table
    assert rows(table) == sorted((*pair, score) for pair, score in truth.pairs_found(texts, threshold, **SELECTIVE).items())


@given(truth.corpora(), st.data())
@settings(max_examples=40)
def test_pairs_do_not_depend_on_what_was_there_before(texts, data):
    """Documents that came and went, or were another text once, leave no trace."""
    fresh, used = filled(texts, threshold=0.6, **SELECTIVE), Index(0.6, **SELECTIVE)
    for i, text in enumerate(texts):
        used.add(f"gone {i}", data.draw(truth.look_alikes()))
        used.add(i, data.draw(st.sampled_from([text, TEXT, ""])))
        used.update(i, text)
    for i in range(len(texts)):
        used.remove(f"gone {i}")
    assert used.pairs() == fresh.pairs()
    assert [used.query(text) for text in texts] == [fresh.query(text) for text in texts]


@given(truth.corpora())
@settings(max_examples=60)
def test_pairs_are_what_queries_find(texts):
    """A pair is listed exactly when either document's query finds the other."""
    index = filled(texts, threshold=0.6, **SELECTIVE)
    listed = {(a, b): score for a, b, score in rows(index.pairs())}
    for a, matches in enumerate(index.query_many(texts)):
        assert {m.id: m.similarity for m in matches if m.id != a} == {i + j - a: score for (i, j), score in listed.items() if a in (i, j)}


@pytest.mark.parametrize("verify", ["exact", "estimate", "noisy", "rarity", "contained"])
def test_pairs_of_a_crowd_are_what_queries_find(verify):
    """Many texts of one template in many lengths, and of some a part: as each one's query says, by whatever measure."""
    rng = random.Random(3)
    words = [f"word{i}" for i in range(2000)]
    template = rng.choices(words, k=60)
    texts = [" ".join(template[: rng.randrange(40, 61)] + rng.choices(words, k=rng.choice([1, 4, 12]))) for _ in range(200)]
    texts += [" ".join(texts[i].split()[:-1]) for i in range(0, 200, 9)] + texts[:5]
    options = {"profile": "excerpt"} if verify == "contained" else {"verify": verify, "bucket_limit": 10_000}
    index = filled(texts, threshold=0.75, **options)
    measure = "containment" if verify == "contained" else "similarity"
    found = {}
    for a, matches in enumerate(index.query_many(texts)):
        assert not matches.truncated
        for match in matches:
            if match.id != a:
                pair = min(a, match.id), max(a, match.id)
                found[pair] = max(found.get(pair, 0), getattr(match, measure))
    listed = {(a, b): score for a, b, score in rows(index.pairs(threads=2))}
    assert listed == found
    assert len(listed) > 50
    assert any(score < 1 for score in listed.values())


def test_pairs_are_a_sorted_table():
    """Columns a, b and similarity; a before b, integers before strings, sorted by both."""
    index = Index()
    index.add_many([10, "b", 9, "a", "B"], [TEXT, COPY, NEAR, OTHER, TEXT])
    table = index.pairs()
    assert table.column_names == ["a", "b", "similarity"]
    assert table.schema.field("similarity").type == pa.float64()
    near = jaccard(TEXT, NEAR)
    assert near >= 0.8
    assert [(str(a), str(b), score) for a, b, score in rows(table)] == [
        ("9", "10", near), ("9", "B", near), ("9", "b", near), ("10", "B", 1.0), ("10", "b", 1.0), ("B", "b", 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "expected"), [([3, 1, 2], pa.int64()), (["c", "a", "b"], pa.string()), ([1, 2, "x"], pa.string()), ([1, "x", "y"], pa.string())]
)
def test_both_columns_of_ids_have_one_type(ids, expected):
    """Integers where all ids are, otherwise strings: a and b can be compared and joined with each other."""
    index = Index()
    index.add_many(ids, [TEXT] * 3)
    table = index.pairs()
    assert (table.schema.field("a").type, table.schema.field("b").type) == (expected, expected)


def test_pairs_of_ids_that_are_no_unicode():
    """The name of a file may be any bytes, in Python a lone surrogate; such a document is listed like any other."""
    index = Index()
    index.add_many(["caf\udce9.txt", "cafe.txt"], [TEXT, TEXT])
    table = index.pairs()
    assert table.num_rows == 1
    assert table["similarity"].to_pylist() == [1.0]


@pytest.mark.parametrize("copies", [True, False])
def test_more_pairs_than_wanted_are_refused(copies):
    """5 documents that all match are 10 pairs: listed when 10 may be, refused with the limit when 9 may."""
    texts = [TEXT] * 5 if copies else [TEXT + f" The year {year}." for year in range(5)]
    index = filled(texts, threshold=0.5)
    assert len(index.pairs(max_pairs=10)) == 10
    with pytest.raises(ParameterError, match=r"more than max_pairs=9 pairs; .* or raise max_pairs"):
        index.pairs(max_pairs=9)


@pytest.mark.parametrize("verify", ["exact", "estimate", "noisy"])
def test_refusing_too_many_pairs_of_a_crowd_takes_little_memory(verify):
    """Three million pairs of look-alikes are not collected to be refused."""
    code = f"""
import resource, warnings
from neardup import Index, ParameterError
warnings.simplefilter("ignore")
words = [f"w{{i}}" for i in range(120)]
index = Index(0.7, verify={verify!r})
index.add_many(range(2500), [" ".join([*words, f"x{{i}}", f"y{{i}}"]) for i in range(2500)])
Index().pairs()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    index.pairs(max_pairs=1000)
except ParameterError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    said, grown = done.stdout.splitlines()
    assert said.startswith("more than max_pairs=1000 pairs")
    assert int(grown) < (200 if verify == "estimate" else 60) << 10


def test_refusing_too_many_pairs_is_quick():
    """100,000 copies are 5 * 10**9 pairs; they are not counted one by one."""
    index = Index()
    index.add_many(range(100_000), ["one text for all of them"] * 100_000)
    start = time.process_time()
    with pytest.raises(ParameterError, match="more than max_pairs=10000000 pairs"):
        index.pairs()
    assert time.process_time() - start < 5


# ---- explain ---------------------------------------------------------------------------------------------------------


def test_explain_shows_the_passages_that_are_shared():
    """Each run of shared shingles, the longest first, as neardup saw the words."""
    index = filled([TEXT])
    assert [p.text for p in index.explain(0, NEAR)] == [
        "the committee will meet on monday morning at ten in the town hall to vote on the budget of the"
    ]
    changed = TEXT.replace("ten", "noon").replace("Hall", "hall")
    assert [p.text for p in index.explain(0, changed)] == [
        "in the town hall to vote on the budget of the coming year",
        "the committee will meet on monday morning at",
    ]
    assert [p.text for p in index.explain(0, COPY)] == [TEXT.lower().strip(".")]
    assert index.explain(0, OTHER) == []


def test_explain_follows_an_update():
    """It looks at what the document is now."""
    index = filled([TEXT])
    index.update(0, OTHER)
    assert index.explain(0, TEXT) == []
    assert len(index.explain(0, OTHER)) == 1


def test_an_unknown_document_is_said():
    """remove, update and explain name the id that is not there, and change nothing; a KeyError catches it."""
    index = filled([TEXT])
    before = everything(index)
    for call in (lambda: index.remove("0"), lambda: index.update("0", OTHER), lambda: index.explain("0", TEXT)):
        with pytest.raises(UnknownDocumentError, match=r"no document '0' in the index; `in` tells, ids\(\) lists") as error:
            call()
        assert isinstance(error.value, KeyError)
        assert str(error.value).startswith("no document"), "KeyError would show the message in quotes"
    assert everything(index) == before


# ---- update and remove -----------------------------------------------------------------------------------------------


def test_update_gives_another_text():
    """The document keeps its id, comes last, and is found by the new text only."""
    index = filled([TEXT, OTHER])
    index.update(0, OTHER)
    assert index.ids() == [1, 0]
    assert index.query(TEXT) == []
    assert [match.id for match in index.query(OTHER)] == [0, 1]
    index.update(0, OTHER)
    index.update(1, TEXT)
    assert [match.id for match in index.query(OTHER)] == [0]
    assert [match.id for match in index.query(TEXT)] == [1]


def test_removed_documents_leave_nothing():
    """All are added, removed in another order, and added again."""
    texts = [TEXT, NEAR, TEXT, OTHER, "", COPY]
    index = filled(texts)
    before = everything(index)
    for id in (4, 2, 0, 5, 3, 1):
        index.remove(id)
        assert id not in index
    assert everything(index) == ([], 0, [], [[]] * 3)
    index.add_many(range(6), texts)
    assert everything(index) == before


# ---- adding unless there is a duplicate ------------------------------------------------------------------------------


def test_add_unless_duplicate_returns_the_best_match():
    """Nothing is added and the first of the matches returned; without a match the document is added."""
    index = Index(0.5)
    assert index.add_unless_duplicate("a", TEXT) is None
    assert index.add_unless_duplicate("o", OTHER) is None
    assert index.add_unless_duplicate("b", NEAR) == index.query(NEAR)[0] == Match("a", jaccard(TEXT, NEAR), containment(NEAR, TEXT))
    assert index.add_unless_duplicate("b", COPY) == Match("a", 1.0, 1.0)
    assert index.ids() == ["a", "o"]
    index.add("0", COPY)
    index.add(7, TEXT)
    assert index.add_unless_duplicate("b", TEXT) == Match(7, 1.0, 1.0), "ties by id, integers first"
    assert index.add_unless_duplicate("b", "") is None
    assert index.add_unless_duplicate("c", "") is None
    assert index.ids() == ["a", "o", "0", 7, "b", "c"]


@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_add_unless_duplicate_returns_what_a_query_does(verify):
    """A copy is no reason to look no further: by estimates of two slots many are as similar, and one of them comes first."""
    index = Index(0.5, verify=verify, minhash=MinHash(num_perm=2, shingling=SINGLE_WORDS), banding=Banding(2, 1))
    texts = [f"{i} {j}" for i in range(20) for j in range(i)]
    index.add_many(range(len(texts)), texts)
    first = [index.query(text)[0] for text in texts]
    assert [index.add_unless_duplicate("new", text) for text in texts] == first
    assert ([match.id for match in first] == list(range(len(texts)))) == (verify == "exact"), "estimates put others first"
    assert len(index) == len(texts)
    assert index.add_unless_duplicate("new", "quite another") is None
    assert index.query("quite another")[0].id == "new"


@given(truth.corpora())
@settings(max_examples=50)
def test_feeding_an_index_keeps_what_matches_nothing_kept(texts):
    """Each text is refused by the most similar kept one that came before, as the band keys and exact similarities have it."""
    found = truth.pairs_found(texts, 0.6, **SELECTIVE)
    index, kept = Index(0.6, **SELECTIVE), []
    for place, text in enumerate(texts):
        scores = {other: found.get((other, place), 0) for other in kept}
        match = index.add_unless_duplicate(place, text)
        if max(scores.values(), default=0):
            assert match.similarity == max(scores.values())
            assert scores[match.id] == match.similarity
        else:
            assert match is None
            kept.append(place)
    assert index.ids() == kept


# ---- buckets that everyone falls into --------------------------------------------------------------------------------


def boilerplate(n):
    """Documents of 60 words that all share, and one of their own."""
    common = " ".join(f"t{i}" for i in range(60))
    return [f"{common} own{i}" for i in range(n)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_full_bucket_is_read_in_part_and_says_so(seed):
    """With bucket_limit=k each band reads the k members lowest in mix64(set hash ^ band); the answer is truncated."""
    limit, n = 4, 50
    minhash, banding = MinHash(num_perm=24, seed=seed, shingling=SINGLE_WORDS), Banding(3, 8)
    texts, query = boilerplate(n), boilerplate(n + 1)[-1]
    signatures = minhash.sign_many([*texts, query], hashes=True)
    keys = banding.keys(signatures.values)
    set_hashes = [reference.set_hash(signature.hashes, k) for signature, k in zip(signatures, keys, strict=True)]
    buckets = [[i for i in range(n) if keys[i, band] == keys[n, band]] for band in range(banding.bands)]
    assert max(map(len, buckets)) > limit
    read = {i for band, bucket in enumerate(buckets) for i in sorted(bucket, key=lambda i: reference.mix64(set_hashes[i] ^ band))[:limit]}
    for order in (range(n), reversed(range(n))):
        index = Index(0.8, minhash=minhash, banding=banding, bucket_limit=limit)
        for i in order:
            index.add(i, texts[i])
        matches = index.query(query)
        assert matches.truncated
        assert index.query_many([query])[0].truncated
        assert {match.id for match in matches} == read
        assert all(index.query(text)[0].id == i for i, text in enumerate(texts)), "copies are found all the same"
    for i in sorted(read):
        index.remove(i)
    assert not read & {match.id for match in index.query(query)}
    assert index.query(query)
    whole = Index(0.8, minhash=minhash, banding=banding, bucket_limit=n)
    whole.add_many(range(n), texts)
    assert whole.query(query).truncated is False
    assert {match.id for match in whole.query(query)} == {i for bucket in buckets for i in bucket}


def test_more_look_alikes_than_the_default_limit():
    """1,100 documents of one template are added, found and removed; a query says that it is truncated."""
    index = filled(boilerplate(1100), **SELECTIVE)
    matches = index.query(boilerplate(1101)[-1])
    assert matches.truncated
    assert len(matches) >= 1000
    for i in range(200):
        index.remove(i)
    assert index.query(boilerplate(1101)[-1]).truncated is False


# ---- threads ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def eager_threads():
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def together(*works, seconds=60):
    """Run functions in threads that start at once; what they return. The first error of any is raised, so is a deadlock."""
    barrier = threading.Barrier(len(works))
    results, errors = [None] * len(works), []

    def start(i):
        try:
            barrier.wait(seconds)
            results[i] = works[i]()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    threads = [threading.Thread(target=start, args=(i,), daemon=True) for i in range(len(works))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), f"not done after {seconds} s"
    return results


def test_a_batch_is_seen_whole_or_not_at_all(eager_threads):
    """While batches of copies and look-alikes are added, every query, listing and length shows all of a batch or none."""
    size, batches = 10, 60
    index = Index(0.5, **GENEROUS)
    variants = [" ".join([*(f"t{i}" for i in range(20)), f"own{i % 5}"]) for i in range(size)]  # five sets, two copies of each
    done = threading.Event()

    def write():
        try:
            for number in range(batches):
                index.add_many([f"{number}-{i}" for i in range(size)], variants)
        finally:
            done.set()

    def read():
        looks = 0
        while not done.is_set() or not looks:
            ids = [match.id for match in index.query(variants[looks % size])]
            for listed in (ids, index.ids()):
                assert set(Counter(id.split("-")[0] for id in listed).values()) <= {size}
            first, second = index.query_many([variants[0], variants[1]])
            assert len(first) == len(second), "one batch of queries sees one state"
            assert len(index) % size == 0
            looks += 1
        return looks

    _, *looks = together(write, read, read, read)
    assert len(index) == size * batches
    assert all(looks)


def test_an_update_is_seen_at_once(eager_threads):
    """A document that changes between two texts is always found by exactly one of them, and never missing."""
    index = filled([TEXT, "something else"])
    done = threading.Event()

    def write():
        try:
            for i in range(2000):
                index.update(0, OTHER if i % 2 == 0 else TEXT)
        finally:
            done.set()

    def read():
        seen = Counter()
        while not done.is_set():
            answers = index.query_many([TEXT, OTHER])
            found = [match.id for matches in answers for match in matches]
            assert found == [0]
            assert 0 in index
            assert len(index) == 2
            assert len(index.explain(0, TEXT)) <= 1
            seen[bool(answers[0])] += 1
        return seen

    together(write, read, read)


def test_queries_beside_adds_and_removals(eager_threads):
    """Documents that stay are found by each query while others come and go; nothing is left of those."""
    index = filled([TEXT, OTHER])
    variants = [f"{TEXT} Signed by number {i}." for i in range(8)]
    done = threading.Event()

    def churn(worker):
        def work():
            for i in range(150):
                name = f"{worker} {i}"
                index.add(name, variants[i % 8])
                assert name in [match.id for match in index.query(variants[i % 8])]
                index.add_many([f"{name} a", f"{name} b"], [TEXT, variants[0]])
                for id in (f"{name} b", name, f"{name} a"):
                    index.remove(id)
                assert name not in index

        return work

    def read():
        while not done.is_set():
            matches = index.query(TEXT)
            assert 0 in [match.id for match in matches]
            assert all(match.similarity >= 0.8 for match in matches)
            assert (0, 1) not in [row[:2] for row in rows(index.pairs())]

    def write_all():
        try:
            together(churn("a"), churn("b"), churn("c"))
        finally:
            done.set()

    together(write_all, read, read)
    assert index.ids() == [0, 1]
    assert rows(index.pairs()) == []


def test_of_many_threads_one_adds_a_text(eager_threads):
    """Eight threads add the same 60 texts unless they are there: of each exactly one is accepted, and the others name it."""
    texts = [f"document number {i} of those that everyone has at the same time, {i} of sixty" for i in range(60)]
    index, workers = Index(0.9), 8

    def work(worker):
        return lambda: [index.add_unless_duplicate(f"{worker}-{i}", text) for i, text in enumerate(texts)]

    answers = together(*(work(worker) for worker in range(workers)))
    assert len(index) == len(texts)
    for i in range(len(texts)):
        accepted = [worker for worker in range(workers) if answers[worker][i] is None]
        assert len(accepted) == 1
        assert {answers[worker][i].id for worker in range(workers) if worker != accepted[0]} == {f"{accepted[0]}-{i}"}


@pytest.mark.parametrize("method", ["add", "add_unless_duplicate", "add_many"])
def test_of_many_threads_one_adds_an_id(eager_threads, method):
    """Eight threads add the same ids with texts of their own: one gets each, the others a DuplicateIdError."""
    index, workers, n = Index(), 8, 100

    def work(worker):
        def attempt(id):
            text = f"{worker} is the worker who adds {id} as one of {n} with words {worker} that are {id} only {worker} his {id} own"
            try:
                getattr(index, method)(*(([id], [text]) if method == "add_many" else (id, text)))
            except DuplicateIdError:
                return 0
            return 1

        return lambda: [attempt(id) for id in range(n)]

    answers = together(*(work(worker) for worker in range(workers)))
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * n
    assert sorted(index.ids()) == list(range(n))
    assert len(index.pairs()) == 0
    for id in range(n):
        (winner,) = (worker for worker in range(workers) if answers[worker][id])
        assert index.explain(id, f"{winner} is the worker who adds {id} as one of")


def test_an_interrupted_batch_leaves_the_index_as_it_was():
    """Texts that stop with an error in the middle are not added, and the index is usable."""
    index = filled([TEXT])
    before = everything(index)

    def broken():
        yield OTHER
        raise OSError("the connection was lost")

    with pytest.raises(OSError, match="the connection was lost"):
        index.add_many([1, 2], broken())
    with pytest.raises(OSError, match="the connection was lost"):
        index.query_many(broken())
    assert everything(index) == before
    index.add(1, OTHER)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_ctrl_c_adds_all_or_nothing():
    """Wherever in add_many the interrupt strikes, the batch is there whole or not at all, and the index works on."""
    originals = [" ".join(f"{i}t{j}" for j in range(20)) for i in range(1500)]
    texts = [text for original in originals for text in (original, original.upper(), f"{original} more")]
    ids = range(1, len(texts) + 1)
    queries = [TEXT, *texts[::100]]

    def interrupt(_signal, _frame):
        raise KeyboardInterrupt

    old_handler = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # what hooks into it would swallow the interrupt
    try:
        index = filled([TEXT])
        start = time.monotonic()
        index.add_many(ids, texts)
        duration = time.monotonic() - start
        everything_there = index.query_many(queries), index.pairs()
        interrupted = 0
        for i in range(30):
            index = filled([TEXT])
            try:
                signal.setitimer(signal.ITIMER_REAL, duration * (i + 1) / 30)
                index.add_many(ids, texts)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert len(index) in (1, 1 + len(texts))
            if len(index) == 1:
                assert index.ids() == [0]
                assert [[match.id for match in matches] for matches in index.query_many(queries)] == [[0], *[[]] * 45]
                assert len(index.pairs()) == 0
                index.add_many(ids, texts)
            assert (index.query_many(queries), index.pairs()) == everything_there
        assert interrupted > 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler)
        gc.enable()


# ---- the same from any process ---------------------------------------------------------------------------------------


def in_a_child(work, seconds=60):
    """Run a function in a forked child; it must end in time, without an error."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pytest.fail(f"the forked child did not end within {seconds} s")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_right_after_a_fork():
    """A child whose parent has signed, added and asked on several threads can do all of it, and finds the same."""
    texts = [f"{i % 300} is the number of this story, which is told {i % 300} times, {i} or more" for i in range(900)]
    index = Index(0.5)
    index.add_many(range(len(texts)), texts, threads=4)
    expected = index.query_many(texts[:100], threads=4), index.pairs(threads=4)
    assert len(expected[1]) > 800

    def work():
        assert (index.query_many(texts[:100], threads=4), index.pairs(threads=4)) == expected
        again = Index(0.5)
        again.add_many(range(len(texts)), texts, threads=4)
        assert again.pairs(threads=4) == expected[1]
        index.add("child", TEXT)
        assert "child" in index
        together(lambda: index.query(TEXT), lambda: index.remove("child"))

    in_a_child(work)
    in_a_child(work)
    assert (index.query_many(texts[:100], threads=4), index.pairs(threads=4)) == expected
    assert "child" not in index


SCRIPT = """
import hashlib, json, random, sys
import neardup
rng = random.Random(7)
words = [f"word{i}" for i in range(400)]
base = [rng.choices(words, k=rng.randrange(8, 60)) for _ in range(60)]
texts = [" ".join(w if rng.random() > 0.03 else rng.choice(words) for w in rng.choice(base)) for _ in range(600)]
index = neardup.Index(0.6)
index.add_many([i if i % 3 else f"name {i}" for i in range(600)], texts, threads=int(sys.argv[1]))
rows = index.pairs(threads=int(sys.argv[1])).to_pylist()
answers = [list(map(repr, matches)) for matches in index.query_many(texts[:200], threads=int(sys.argv[1]))]
print(json.dumps([len(rows), hashlib.sha256(repr((rows, answers, index.ids())).encode()).hexdigest()]))
"""


def test_pairs_are_the_same_for_any_threads_and_hash_seed():
    """Fresh interpreters with other seeds of Python's own hashes, and 1 to 4 threads, list identical pairs and matches."""
    answers = set()
    for hash_seed, threads in (("0", 1), ("1", 4), ("4294967295", 2), ("random", 3)):
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        answers.add(
            subprocess.run([sys.executable, "-c", SCRIPT, str(threads)], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
    assert len(answers) == 1
    assert json.loads(answers.pop())[0] > 1000


# ---- fifty thousand copies -------------------------------------------------------------------------------------------


def seconds(work):
    """The processor time that a function takes, the least of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_identical_documents_cost_linear_time():
    """50,000 copies of one text take about ten times what 5,000 take, to add, to find and to remove."""
    text = " ".join(f"t{i}" for i in range(100))
    times = {}
    for n in (5_000, 50_000):
        index = Index()

        def add(index=index, n=n):
            index.add_many(range(n), [text] * n)
            for id in range(1, n, 2):
                index.remove(id)
            index.add_many(range(1, n, 2), [text] * len(range(1, n, 2)))
            assert len(index.query(text)) == n
            for id in range(n):
                index.remove(id)

        times[n] = seconds(add)
    assert times[50_000] < 25 * times[5_000], times
    assert times[50_000] < 10


def test_queries_among_many_copies_cost_what_they_return():
    """Looking up what is unlike 50,000 copies takes as long as in an empty index, not longer with their number."""
    text = " ".join(f"t{i}" for i in range(100))
    queries = [f"{i} another thing {i} altogether {i} than what was said" for i in range(2000)]
    empty, full = Index(), filled([text] * 50_000)
    assert seconds(lambda: full.query_many(queries, threads=1)) < 5 * seconds(lambda: empty.query_many(queries, threads=1)) + 0.05


@pytest.mark.parametrize("ids", [range(2**63 - 1, 2**63 + 1), range(-(2**63) - 1, -(2**63) + 1), range(2**63, 2**63 - 2, -1)])
def test_a_range_of_ids_that_do_not_fit(ids):
    """A range is looked at by its ends; one that leaves 64 bits is refused like any id."""
    index = Index()
    with pytest.raises(ParameterError, match="does not fit in 64 signed bits; give it as a string"):
        index.add_many(ids, ["one two three", "four five six"])
    assert len(index) == 0
    index.add_many(range(0), [])
    index.add_many(range(7, 5, -1), ["one two three", "four five six"])
    assert index.ids() == [7, 6]


@pytest.mark.parametrize("verify", ["rarity", "noisy"])
def test_who_is_asked_while_it_decides_answers(verify):
    """A signal handler that looks a document up while one is added, or while the index learns."""
    code = (
        "import faulthandler, signal, sys\n"
        "from neardup import Index\n"
        "faulthandler.dump_traceback_later(60, exit=True)\n"
        "texts = [' '.join(str(i * j % 1009) for j in range(30)) for i in range(1, 1500)]\n"
        "index = Index(verify=sys.argv[1])\n"
        "index.add_many(range(1000), texts[:1000])\n"
        "asked = []\n"
        "def ask(*_):\n"
        "    asked.append(index.query(texts[0])[0].id)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
        "signal.signal(signal.SIGALRM, ask)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
        "i = 1000\n"
        "while len(asked) < 100:\n"
        "    index.add_unless_duplicate(i, texts[i % 1499])\n"
        "    i += 1\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "assert set(asked) == {0}\n"
    )
    subprocess.run([sys.executable, "-c", code, verify], check=True)


def test_threads_after_the_last_line(tmp_path):
    """A thread that goes on when the main one has ended adds in bulk too."""
    code = (
        "import sys, threading, time\n"
        "from neardup import Index\n"
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    with Index.open(sys.argv[1]) as index:\n"
        "        index.add_many(range(5000), map(str, range(5000)), threads=2)\n"
        "threading.Thread(target=work).start()\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "index"], check=True)
    assert len(Index.load(tmp_path / "index")) == 5000


def test_what_is_merged_is_an_index():
    """Anything else is named."""
    with pytest.raises(TypeError, match=r"other is of type str; it is a neardup\.Index"):
        Index().merge("other")


@pytest.mark.parametrize("name", ["profile", "threshold", "minhash", "banding", "verify", "bucket_limit", "recall"])
def test_parameters_stay_as_they_are(name):
    """Documents are stored by them: none is set, to be half obeyed."""
    with pytest.raises(AttributeError):
        setattr(Index(), name, None)
