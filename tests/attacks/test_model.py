"""`Index` on every store beside a dictionary of texts and the specification: any sequence of calls, to the last bit of each answer.

tests/test_index.py does so for the index in memory, by the kernels' own signatures, and tests/test_stores.py for stores of
made-up documents. Here texts go in and matches come out, and what they should be is worked out by `neardup.reference` alone:
two documents are candidates if they share a band key, and their similarity is that of their shingles.
"""

import secrets
import shutil
from collections import Counter
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from neardup import Banding, DuplicateIdError, Index, Match, MinHash, ParameterError, UnknownDocumentError, reference
from neardup.stores import disk

STORES = ["memory", "disk", "postgres", "redis"]
#: Few slots and long bands: some pairs at the threshold are missed, and which ones is known.
THRESHOLD, SLOTS, BANDING = 0.5, 32, Banding(8, 4)

IDS = st.sampled_from(
    [0, 1, 2, -1, 2**63 - 1, -(2**63), "0", "1", "-1", "a", "A", "", " ", "\x00", "a\x00b", "\ud800", "e\u0301", "\u00e9", "{x}:1", "'; --", "%s",
     "\U0010ffff" * 70, "long " * 100]
)  # fmt: skip
BASE = "the committee will meet on monday at ten in the town hall to vote on the budget of the coming year".split()  # noqa: SIM905
ODD = ["", "!", "\x00", "\ud800", "\u200b", "one", "ONE.", "one two three", "e\u0301", "北京市", "w " * 300, "a b c d e " * 60, "\u0301"]


def changed(words, places):
    """Some words replaced by their place in another list, or left out."""
    return " ".join(word if place not in places else "" if place % 3 == 0 else f"changed{place}" for place, word in enumerate(words))


TEXTS = st.one_of(
    st.builds(changed, st.just(BASE), st.sets(st.integers(0, 19), max_size=3)),
    st.builds(changed, st.just(BASE[::-1]), st.sets(st.integers(0, 19), max_size=2)),
    st.builds(lambda start, stop: " ".join(BASE[start:stop]).upper(), st.integers(0, 8), st.integers(9, 20)),
    st.sampled_from(ODD),
)


@cache
def signed(text):
    """The shingle hashes of a text, the set that similarities are of, and its band keys, by the specification."""
    hashes = reference.shingle_hashes(reference.words(text))
    keys = reference.band_keys(reference.signature(hashes, SLOTS), BANDING.bands, BANDING.rows)
    return hashes, set(reference.verification_hashes(hashes).tolist()), keys


@cache
def compared(a, b):
    """The similarity of two texts, and how much of the first is in the second; None where they are no candidates."""
    (x, x_set, x_keys), (y, y_set, y_keys) = signed(a), signed(b)
    if not x_set or not y_set or not np.any(x_keys == y_keys):
        return None
    return reference.jaccard(x, y), len(x_set & y_set) / len(x_set)


def matches(texts, text, measure="similarity", threshold=THRESHOLD, without=None):
    """What a query finds among some texts by their ids."""
    found = []
    for id, other in texts.items():
        scores = compared(text, other) if id != without else None
        if scores is not None and scores[measure == "containment"] >= threshold:
            found.append(Match(id, *scores, True))
    by = (lambda m: (-m.containment, -m.similarity)) if measure == "containment" else (lambda m: (-m.similarity, -m.containment))
    return sorted(found, key=lambda match: (*by(match), *order(match.id)))


def shown(id):
    """An id in a column of strings."""
    return str(id).encode("utf-8", "backslashreplace").decode()


def order(id):
    """Integers before strings, each in their order."""
    return isinstance(id, str), id


def pairs(texts):
    """The rows of `Index.pairs`."""
    rows = []
    for one, other in combinations(texts, 2):
        scores = compared(texts[one], texts[other])
        if scores is not None and scores[0] >= THRESHOLD:
            rows.append((*sorted((one, other), key=order), scores[0]))
    rows.sort(key=lambda row: [order(id) for id in row[:2]])
    if all(isinstance(id, int) for row in rows for id in row[:2]):
        return rows
    return [(shown(a), shown(b), score) for a, b, score in rows]


def listed(index, threads=None):
    """The rows of an index's pairs."""
    table = index.pairs(threads=threads)
    return list(zip(*(table[name].to_pylist() for name in ("a", "b", "similarity")), strict=True))


class Place:
    """Where the indexes of one kind of store are: makes new ones, opens them again, and counts what was done to them."""

    def __init__(self, kind, folder, server):
        self.kind, self.folder, self.server, self.done = kind, folder, server, Counter()

    def new(self):
        """The arguments by which an index is opened or saved that is not there yet; None for one in memory."""
        if self.kind == "memory":
            return None
        if self.kind == "disk":
            return {"path": self.folder / secrets.token_hex(8)}
        return {"path": self.server.url(), "name": secrets.token_hex(8)}

    @staticmethod
    def open(place, **mode):
        """An index there."""
        given = {} if mode else {"threshold": THRESHOLD, "minhash": MinHash(SLOTS), "banding": BANDING}
        return Index(**given) if place is None else Index.open(**place, **given, **mode)


class Model(RuleBasedStateMachine):
    """Every method in any order."""

    def __init__(self, place):
        super().__init__()
        self.place, self.here = place, place.new()
        self.index, self.texts, self.twin = place.open(self.here), {}, place.open(None)
        self.reader = None if self.here is None else place.open(self.here, mode="r")
        self.seen = {}
        place.done["sequences"] += 1

    def teardown(self):
        """Close all; what is on disk goes."""
        for index in (self.reader, self.index):
            if index is not None:
                index.close()
        if self.place.kind == "disk":
            for folder in self.place.folder.iterdir():
                shutil.rmtree(folder)

    def both(self, method, *given, **named):
        """Call a method of the index, and of one in memory that goes the same way: they answer, or refuse, alike."""
        self.place.done["calls"] += 1
        said = []
        for index in (self.index, self.twin):
            try:
                said.append((None, getattr(index, method)(*given, **named)))
            except Exception as error:  # noqa: BLE001, PERF203  it is compared
                said.append((type(error), str(error)))
        assert said[0] == said[1], f"{method} on {self.place.kind} and in memory"
        return said[0]

    @rule(texts=st.dictionaries(IDS, TEXTS, max_size=9), threads=st.sampled_from([None, 1, 3]), batch=st.sampled_from([None, None, 2]))
    def add_many(self, texts, threads, batch):
        """All are added, or none; of batches those before the first that is refused."""
        error, _ = self.both("add_many", list(texts), list(texts.values()), threads, batch_size=batch)
        if not self.texts.keys() & texts.keys():
            assert error is None
            self.texts |= texts
            return
        assert error is DuplicateIdError
        rows = list(texts.items())
        for start in range(0, len(rows), batch or len(rows)):
            part = dict(rows[start : start + (batch or len(rows))])
            if self.texts.keys() & part.keys():
                return
            self.texts |= part

    @rule(ids=st.lists(IDS, min_size=2, max_size=5), text=TEXTS)
    def add_many_with_repeats(self, ids, text):
        """A batch that gives an id twice is refused whole."""
        error, _ = self.both("add_many", [*ids, ids[0]], [text] * (len(ids) + 1))
        assert error is DuplicateIdError

    @rule(id=IDS, text=TEXTS)
    def add(self, id, text):
        """A new id is added, a known one refused."""
        error, _ = self.both("add", id, text)
        assert error is (DuplicateIdError if id in self.texts else None)
        self.texts.setdefault(id, text)

    @rule(id=IDS, text=TEXTS)
    def add_unless_duplicate(self, id, text):
        """The best match is returned, or the document is added."""
        expected = matches(self.texts, text)
        error, said = self.both("add_unless_duplicate", id, text)
        if id in self.texts:
            assert error is DuplicateIdError
            return
        assert (error, said) == (None, expected[0] if expected else None)
        if not expected:
            self.texts[id] = text

    @rule(ids=st.lists(IDS, min_size=1, max_size=6), text=TEXTS)
    def add_signatures(self, ids, text):
        """Of a text that is signed already."""
        signatures = self.index.minhash.sign_many([text] * len(ids), hashes=True)
        error, _ = self.both("add_signatures", ids, signatures)
        if len(set(ids)) < len(ids) or self.texts.keys() & set(ids):
            assert error is DuplicateIdError
        else:
            assert error is None
            self.texts |= dict.fromkeys(ids, text)

    @rule(id=IDS)
    def remove(self, id):
        """A known id goes, an unknown one is said."""
        error, _ = self.both("remove", id)
        assert error is (None if id in self.texts else UnknownDocumentError)
        self.texts.pop(id, None)

    @rule(id=IDS, text=TEXTS)
    def update(self, id, text):
        """A known id has another text and is the last, an unknown one is said."""
        error, _ = self.both("update", id, text)
        if id in self.texts:
            assert error is None
            del self.texts[id]
            self.texts[id] = text
        else:
            assert error is UnknownDocumentError

    @rule(texts=st.dictionaries(IDS, TEXTS, max_size=4))
    def merge(self, texts):
        """All of another index comes, or nothing."""
        other = self.place.open(None)
        other.add_many(list(texts), list(texts.values()))
        error, _ = self.both("merge", other)
        if self.texts.keys() & texts.keys():
            assert error is DuplicateIdError
        else:
            assert error is None
            self.texts |= texts

    @rule(text=TEXTS, measure=st.sampled_from(["similarity", "containment"]), top=st.sampled_from([None, 1, 3]), above=st.booleans())
    def query(self, text, measure, top, above):
        """Candidates that are similar enough, with their exact numbers, best first; a document of the same shingles always."""
        threshold = 0.75 if above else None
        expected = matches(self.texts, text, measure, threshold or THRESHOLD)
        error, found = self.both("query", text, top=top, measure=measure, threshold=threshold)
        assert (error, found) == (None, expected[:top])
        assert found.truncated is False
        own = signed(text)[1]
        same = {id for id, other in self.texts.items() if own and signed(other)[1] == own}
        assert top is not None or {match.id for match in found} >= same

    @rule(texts=st.lists(TEXTS, max_size=5), threads=st.integers(1, 3))
    def query_many(self, texts, threads):
        """Each as it is found alone."""
        error, found = self.both("query_many", texts, threads)
        assert (error, found) == (None, [matches(self.texts, text) for text in texts])

    @rule(id=IDS)
    def query_stored(self, id):
        """What its text finds, without itself."""
        error, found = self.both("query_stored", id)
        if id in self.texts:
            assert (error, found) == (None, matches(self.texts, self.texts[id], without=id))
        else:
            assert error is UnknownDocumentError

    @rule(threads=st.sampled_from([None, 1, 3]))
    def list_pairs(self, threads):
        """All pairs of candidates that are similar enough, once, in order; or one less than may be listed is refused."""
        expected = pairs(self.texts)
        assert listed(self.index, threads) == listed(self.twin) == expected
        if expected:
            error, _ = self.both("pairs", max_pairs=len(expected) - 1)
            assert error is ParameterError

    @rule(id=IDS, wrong=st.sampled_from([None, b"bytes", 1.5, ["text"]]))
    def wrong(self, id, wrong):
        """What is no text or id is refused and changes nothing."""
        for given in ((id, wrong), (wrong, "text")):
            error, _ = self.both("add", *given)
            assert error is TypeError

    @rule()
    def compact(self):
        """Nothing that can be seen changes."""
        self.index.compact()

    @rule()
    def check(self):
        """There is nothing to mend."""
        assert self.index.check() == []

    @rule()
    def open_again(self):
        """It is what it was."""
        if self.here is not None:
            self.index.close()
            self.index = self.place.open(self.here, mode="r+")

    @rule()
    def refresh(self):
        """A reader sees what there is now."""
        if self.reader is not None:
            self.reader.refresh()
            self.seen = dict(self.texts)
            assert self.reader.ids() == list(self.texts)

    @rule(text=TEXTS)
    def read(self, text):
        """On disk a reader sees what there was when it looked last, on a server what there is."""
        if self.reader is not None:
            there = self.seen if self.place.kind == "disk" else self.texts
            assert self.reader.ids() == list(there)
            assert self.reader.query(text) == matches(there, text)

    @rule()
    def save_and_load(self):
        """A saved index and one loaded from there are the same; from here on it is the saved one."""
        there = self.place.new() or {"path": self.place.folder / secrets.token_hex(8)}
        self.index.save(**there)
        loaded = Index.load(**there)
        assert loaded.ids() == list(self.texts)
        assert listed(loaded) == pairs(self.texts)
        self.index.close()
        if self.here is None:
            self.index = loaded
        else:
            self.reader.close()
            self.here, self.seen = there, dict(self.texts)
            self.index, self.reader = self.place.open(there, mode="r+"), self.place.open(there, mode="r")

    @invariant()
    def contents(self):
        """Ids are those added and not removed, in order."""
        assert self.index.ids() == list(self.texts)
        assert len(self.index) == len(self.texts)
        assert all(id in self.index for id in self.texts)
        assert "nobody" not in self.index


@pytest.fixture(params=STORES)
def place(request, tmp_path, monkeypatch):
    """A kind of store; that on disk folds and merges after few documents."""
    for name, value in {"TAIL": 4, "BULK": 5, "SEGMENTS": 3}.items():
        monkeypatch.setattr(disk, name, value)
    server = request.getfixturevalue(request.param) if request.param in ("postgres", "redis") else None
    return Place(request.param, tmp_path, server)


def run(place, record_property, **wanted):
    """Try sequences of calls."""
    few = settings(database=None, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck), **wanted)
    try:
        run_state_machine_as_test(lambda: Model(place), settings=few)
    finally:
        for name, count in place.done.items():
            record_property(name, count)


def test_the_model_misses_some_candidates():
    """The banding is one that misses some pairs at the threshold and finds others, or the model would prove little."""
    texts = [changed(BASE, {place}) for place in range(20)]
    scores = [compared(a, b) for a, b in combinations(texts, 2)]
    truth = [reference.jaccard(signed(a)[0], signed(b)[0]) for a, b in combinations(texts, 2)]
    alike = [score for score, real in zip(scores, truth, strict=True) if real >= 0.3]
    assert None in alike
    assert any(alike)


def test_an_index_behaves_as_the_model(place, record_property):
    """Some sequences of thirty calls, the same each time."""
    few = {"memory": 30, "disk": 20}.get(place.kind, 8)
    run(place, record_property, derandomize=True, max_examples=few, stateful_step_count=30)


@pytest.mark.attack
def test_an_index_behaves_as_the_model_at_length(place, record_property):
    """Thousands of sequences of sixty, others each time."""
    run(place, record_property, max_examples=2000, stateful_step_count=60)
