"""The contract of stores: one set of tests for every place where an index may live.

A store is given band keys, set hashes and verification hashes; here they are made by hand, so that buckets are as full as a
test wants them. To test another kind of store, add it to STORES.
"""

import secrets
import time
from collections import defaultdict
from itertools import combinations, pairwise, product

import numpy as np
import pytest
import strategies as s
import truth
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from neardup import Banding, DuplicateIdError, IncompatibleError, MinHash, UnknownDocumentError, _kernels, reference
from neardup.joins import Join, Sets, Signed
from neardup.stores import StoreBatch
from neardup.stores.disk import DiskStore
from neardup.stores.fetched import Place
from neardup.stores.memory import MemoryStore
from neardup.stores.postgres import PostgresStore
from neardup.stores.redis import RedisStore
from neardup.work import Work

BANDS = 3


class OftenFolded(DiskStore):
    """A store on disk whose documents are in segments as soon as there are two."""

    def _fold_if_long(self, to, threads=1):
        if self._table.many(len(self._files)) > 1:
            self._fold(to, [], None, threads)


#: The stores on disk, by name.
ON_DISK = {"disk": DiskStore, "disk, often folded": OftenFolded}
#: The stores on servers, by the fixture that runs one.
ON_SERVERS = {"postgres": PostgresStore, "redis": RedisStore}
#: The kinds of stores.
STORES = ["memory", *ON_DISK, *ON_SERVERS]


@pytest.fixture(params=STORES)
def new_store(request, tmp_path_factory):
    """Makes empty stores of one kind, given a bucket limit."""
    opened = []

    def build(bucket_limit=1000, place=None):
        if request.param == "memory":
            return MemoryStore(BANDS, bucket_limit)
        if request.param in ON_DISK:
            kind, place = ON_DISK[request.param], place or tmp_path_factory.mktemp("store")
        else:
            kind, server = ON_SERVERS[request.param], request.getfixturevalue(request.param)
            place = place or Place(server.url(), secrets.token_hex(8))
        opened.append(kind(place, {"bands": BANDS, "id_seed": 7}, BANDS, bucket_limit))
        opened[-1].place = place
        return opened[-1]

    build.opened = opened
    build.kind = request.param
    yield build
    for store in opened:
        store.close()


def document(hashes, keys):
    """A document by its verification hashes and its band keys."""
    return frozenset(hashes), tuple(keys)


def set_hash(doc):
    """The name by which copies find each other, as the specification has it."""
    hashes, keys = doc
    return reference.set_hash(np.array(sorted(hashes), np.uint32), np.array(keys, np.uint64))


def batch(*documents):
    """Documents as a store takes them."""
    hashes, offsets = s.flat([sorted(hashes) for hashes, _ in documents], np.uint32)
    keys = np.array([keys for _, keys in documents], np.uint64).reshape(len(documents), BANDS)
    fingerprints = _kernels.fingerprints(keys)
    sizes = np.diff(offsets).astype(np.uint32)
    return StoreBatch(fingerprints, np.array([set_hash(doc) for doc in documents], np.uint64), sizes, hashes, offsets)


def ask(store, doc, threshold=0.5):
    """The answer to one look-up: a dictionary of what each hit shares and has, and whether it was truncated."""
    (answer,) = store.query(batch(doc), threshold, 1)
    listed, truncated = answer
    hits = {id: (agreement, size) for id, agreement, size in listed}
    assert len(hits) == len(listed), "a document is a hit once"
    return hits, truncated


def found_ids(store, doc, threshold=0.5):
    """The ids of what a document matches."""
    return sorted(ask(store, doc, threshold)[0], key=str)


def listed_pairs(store, threshold=0.5, threads=1):
    """All pairs of the documents that a store gives, by their buckets, with similarities."""
    signed, ids = Signed(BANDS, Work(1 << 30)), []
    for names, rows in store.batches():
        ids += names
        signed.append(rows)
    assert len(set(ids)) == len(ids), "a document comes once"
    signed.close()
    sets = Sets.of(signed, np.arange(len(ids)), threads)
    every, groups = np.ones(len(sets), bool), defaultdict(list)
    for id, number in zip(ids, sets.number.tolist(), strict=True):
        groups[number].append(id)
    copies = {frozenset(pair): 1.0 for number, group in groups.items() if number >= 0 for pair in combinations(group, 2)}
    edges = Join(sets, threshold, threads).edges(every, every, lambda *_: None)
    found = zip(*(column.tolist() for column in edges), strict=True)
    return copies | {frozenset(pair): score for a, b, score in found for pair in product(groups[a], groups[b])}


def everything(store):
    """All that can be seen of a store with these tests' documents."""
    ids = store.ids()
    return ids, [store.evidence(id).tolist() for id in ids], listed_pairs(store)


A = document({1, 2, 3, 4}, [10, 20, 30])
B = document({1, 2, 3, 5}, [10, 21, 31])  # 3 / 5 of A, in A's first bucket
C = document({1, 2, 3, 4, 6}, [11, 22, 30])  # 4 / 5 of A, in A's third bucket
FAR = document({7, 8, 9}, [12, 23, 33])
EMPTY = document((), [99, 99, 99])


# ---- adding and asking -----------------------------------------------------------------------------------------------


def test_a_new_store_is_empty(new_store):
    """It has no documents, lists no pairs, and whatever is asked matches nothing."""
    store = new_store()
    assert (len(store), store.ids(), listed_pairs(store)) == (0, [], {})
    assert "a" not in store
    assert store.query(batch(A, EMPTY), 0.5, 1) == [([], False)] * 2
    assert store.query(batch(), 0.5, 1) == []


def test_documents_are_there_once_added(new_store):
    """Ids come back in order of insertion, strings and integers apart, and with each its verification hashes."""
    store = new_store()
    store.add(["a", 7], batch(A, B))
    store.add(["7", -1], batch(C, EMPTY))
    assert store.ids() == ["a", 7, "7", -1]
    assert len(store) == 4
    assert all(id in store for id in ["a", 7, "7", -1])
    assert not any(id in store for id in ["b", 8, "-1"])
    assert [store.evidence(id).tolist() for id in store.ids()] == [sorted(hashes) for hashes, _ in (A, B, C, EMPTY)]
    assert store.evidence("a").dtype == np.uint32


def test_nothing_can_be_added(new_store):
    """An empty batch changes nothing."""
    store = new_store()
    store.add([], batch())
    assert store.ids() == []


def test_a_look_up_meets_those_that_share_a_bucket(new_store):
    """Who shares a band key in the same band is met, and is a hit at or above the threshold, with what is shared."""
    store = new_store()
    store.add(["a", "b", "c", "far"], batch(A, B, C, FAR))
    assert ask(store, A) == ({"a": (4, 4), "b": (3, 4), "c": (4, 5)}, False)
    assert found_ids(store, B) == ["a", "b"], "c is similar enough, but in no bucket of b"
    assert truth.similarity(B[0], C[0]) == 0.5
    assert found_ids(store, A, 3 / 5) == ["a", "b", "c"]
    assert found_ids(store, A, 0.61) == ["a", "c"]
    assert found_ids(store, A, 1.0) == ["a"]


def test_a_key_means_something_in_its_own_band(new_store):
    """The same number in another band is another bucket."""
    store = new_store()
    store.add(["a"], batch(document({1, 2, 3}, [1, 2, 3])))
    assert found_ids(store, document({1, 2, 3, 4}, [2, 3, 1])) == []
    assert found_ids(store, document({1, 2, 3, 4}, [9, 2, 9])) == ["a"]


def test_a_batch_is_answered_in_order(new_store):
    """Each document of a batch has its own answer, the same for any number of threads."""
    store = new_store()
    store.add(["a", "b"], batch(A, B))
    for threads in (1, 2, 5):
        answers = store.query(batch(FAR, A, EMPTY, B, *[A] * 300), 0.7, threads)
        assert [[id for id, _, _ in hits] for hits, _ in answers] == [[], ["a"], [], ["b"], *[["a"]] * 300]


def test_a_document_without_shingles_is_kept_and_matches_nothing(new_store):
    """It has an id; neither a look-up nor a pair meets it, not even another of its kind."""
    store = new_store()
    store.add(["e", "f", "a"], batch(EMPTY, EMPTY, A))
    assert len(store) == 3
    assert found_ids(store, EMPTY) == []
    assert listed_pairs(store) == {}
    assert store.evidence("e").tolist() == []
    store.remove("e")
    assert store.ids() == ["f", "a"]
    store.replace("f", batch(A))
    assert found_ids(store, A) == ["a", "f"]
    store.replace("a", batch(EMPTY))
    assert found_ids(store, A) == ["f"]


@pytest.mark.parametrize("ids", [["new", "a"], ["a", "new"]])
def test_an_id_that_is_there_loses_nothing(new_store, ids):
    """Adding it again is refused with words, and nothing of the batch is added."""
    store = new_store()
    store.add(["a", "b"], batch(A, B))
    before = everything(store)
    with pytest.raises(
        DuplicateIdError, match=r"document 'a' is in the index already, nothing was added; update\(\) replaces, remove\(\) first"
    ):
        store.add(ids, batch(C, FAR))
    with pytest.raises(DuplicateIdError, match="document 'a' is in the index already, nothing was added"):
        store.add_unless_match("a", batch(FAR), 0.5)
    assert everything(store) == before
    assert found_ids(store, FAR) == []
    store.add(["new"], batch(C))
    assert found_ids(store, A) == ["a", "b", "new"]


def test_a_batch_needs_what_is_verified():
    """Signatures without verification hashes do not make a batch."""
    with pytest.raises(IncompatibleError, match="signatures without shingle hashes cannot be verified exactly; sign with hashes=True"):
        StoreBatch.of(MinHash().sign_many(["text"]), Banding(21, 6))


@given(st.lists(s.plain_texts(), max_size=6), st.data())
def test_batches_are_taken_apart_and_put_together(texts, data):
    """Any documents of a batch, in any order, are what signing them in that order gives; so are batches one after another."""
    minhash, banding = MinHash(num_perm=16), Banding(4, 4)

    def of(some):
        return StoreBatch.of(minhash.sign_many(some, hashes=True), banding)

    whole = of(texts)
    places = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=8)) if texts else []
    assert s.same_arrays(whole.take(np.array(places, np.int64)), of([texts[i] for i in places]))
    cut = data.draw(st.integers(0, len(texts)))
    assert s.same_arrays(StoreBatch.concatenate([of(texts[:cut]), of([]), of(texts[cut:])]), whole)
    signatures = minhash.sign_many(texts, hashes=True)
    assert s.same_arrays(
        StoreBatch.concatenate([StoreBatch.of(signatures[:cut], banding), StoreBatch.of(signatures[cut:], banding)]), whole
    )
    keys = banding.keys(signatures.values)
    for i, text in enumerate(texts):
        verification = reference.verification_hashes(reference.shingle_hashes(reference.words(text)))
        assert whole.set_hashes[i] == reference.set_hash(verification, keys[i])


# ---- removing and replacing ------------------------------------------------------------------------------------------


def test_a_removed_document_is_gone(new_store):
    """No look-up, pair or listing meets it; its id may be used again."""
    store = new_store()
    store.add(["a", "b", "c"], batch(A, B, C))
    store.remove("a")
    assert everything(store) == (["b", "c"], [sorted(B[0]), sorted(C[0])], {})
    assert found_ids(store, A) == ["b", "c"]
    assert "a" not in store
    store.add(["a"], batch(FAR))
    assert store.ids() == ["b", "c", "a"]
    assert found_ids(store, FAR) == ["a"]


def test_a_replaced_document_has_the_new_content_only(new_store):
    """It is met by what it is now, not by what it was, and comes last."""
    store = new_store()
    store.add(["a", "b"], batch(A, FAR))
    store.replace("a", batch(B))
    assert found_ids(store, B) == ["a"]
    assert found_ids(store, A, 0.9) == []
    assert store.ids() == ["b", "a"]
    store.replace("a", batch(B))
    assert (store.ids(), found_ids(store, B)) == (["b", "a"], ["a"])
    assert store.evidence("a").tolist() == sorted(B[0])


def test_what_is_not_there_is_said(new_store):
    """Removing, replacing or reading an unknown id is an UnknownDocumentError that names it, and changes nothing."""
    store = new_store()
    store.add(["a"], batch(A))
    for attempt in (lambda: store.remove("b"), lambda: store.replace("b", batch(B)), lambda: store.evidence("b")):
        with pytest.raises(UnknownDocumentError, match=r"no document 'b' in the index; `in` tells, ids\(\) lists"):
            attempt()
    assert everything(store) == (["a"], [sorted(A[0])], {})
    assert found_ids(store, B) == ["a"]


# ---- copies ----------------------------------------------------------------------------------------------------------


def test_copies_are_all_found(new_store):
    """Documents of one shingle set are all hits of each look-up that meets one, and all pairs of one another."""
    store = new_store()
    store.add(list(range(5)), batch(*[A] * 5))
    store.add(["b"], batch(B))
    store.add([5], batch(A))
    assert found_ids(store, A) == [0, 1, 2, 3, 4, 5, "b"]
    assert found_ids(store, C) == [0, 1, 2, 3, 4, 5]
    copies = {frozenset(pair): 1.0 for pair in combinations(range(6), 2)}
    assert listed_pairs(store) == copies | {frozenset((i, "b")): 3 / 5 for i in range(6)}


def test_one_of_several_copies_is_removed_alone(new_store):
    """The others stay, in any order of removal, and the last one takes the set with it."""
    store = new_store()
    store.add(["x", "y", "z"], batch(A, A, A))
    store.remove("x")
    assert found_ids(store, A) == ["y", "z"]
    store.replace("z", batch(B))
    assert ask(store, A) == ({"y": (4, 4), "z": (3, 4)}, False)
    store.remove("y")
    assert found_ids(store, A, 0.9) == []
    assert listed_pairs(store) == {}
    store.add(["x"], batch(A))
    assert found_ids(store, A) == ["x", "z"]


def test_copies_do_not_fill_a_bucket(new_store):
    """A thousand copies count once against the limit."""
    store = new_store(bucket_limit=2)
    store.add(list(range(1000)), batch(*[A] * 1000))
    store.add(["b"], batch(B))
    hits, truncated = ask(store, C, 0.1)
    assert (len(hits), truncated) == (1000, False)
    hits, truncated = ask(store, A)
    assert (len(hits), truncated) == (1001, False)


def test_a_set_hash_is_not_believed(new_store):
    """Two different sets of one set hash are compared by what is in them."""
    store = new_store()
    store.add(["a"], batch(A))
    far = batch(FAR)
    impostor = far._replace(set_hashes=batch(A).set_hashes)
    store.add(["far"], impostor)
    assert store.evidence("far").tolist() == sorted(FAR[0])
    assert found_ids(store, A) == ["a"]
    assert [[id for id, _, _ in hits] for hits, _ in store.query(impostor, 0.5, 1)] == [["far"]]
    store.remove("a")
    assert store.evidence("far").tolist() == sorted(FAR[0])
    assert [id for id, _, _ in store.add_unless_match("new", impostor, 0.5)] == ["far"]


# ---- writes that are interrupted -------------------------------------------------------------------------------------


class Interrupted(list):
    """Ids at one of which, of all that are read in whichever pass, the user presses Ctrl-C."""

    def __init__(self, ids, at):
        super().__init__(ids)
        self.left = at

    def __iter__(self):
        for id in super().__iter__():
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            yield id


@pytest.mark.parametrize("ids", [["x", "y", "z"], ["x", "a", "y"], ["x", "y", "e"]], ids=" ".join)
@pytest.mark.parametrize("at", range(1, 8))
def test_an_interrupted_batch_is_there_whole_or_not_at_all(new_store, ids, at):
    """Whenever the interrupt comes, nothing that was there is lost, and what is added is added whole and can be asked for."""
    store = new_store()
    store.add(["a", "b", "e"], batch(A, B, EMPTY))
    before = everything(store)
    new = batch(A, C, FAR)
    try:
        store.add(Interrupted(ids, at), new)
    except KeyboardInterrupt:
        pass
    except DuplicateIdError:
        assert {"a", "e"} & set(ids)
    if everything(store) != before:
        assert store.ids() == ["a", "b", "e", "x", "y", "z"]
        assert found_ids(store, A) == ["a", "b", "x", "y"]
    else:
        assert found_ids(store, A) == ["a", "b"]
        assert found_ids(store, FAR) == []
        store.add(["x", "y", "z"], new)
        assert found_ids(store, A) == ["a", "b", "x", "y"]
        assert found_ids(store, FAR) == ["z"]
    assert listed_pairs(store)[frozenset(("a", "x"))] == 1.0


def test_what_was_learnt_is_stored(new_store):
    """The last that was stored is there for whoever opens the store; who has not seen what it replaces stores nothing, and is told."""
    store = new_store()
    assert (store.learnt(), store.extent().learnt) == (None, b"")
    one, two, three = (bytes([i]) * 20 for i in (1, 2, 3))
    assert store.keep_learnt(one, b"") == one
    assert store.keep_learnt(two, one[-8:]) == two
    assert store.extent().learnt == two[-8:]
    if new_store.kind in ON_SERVERS:
        assert store.keep_learnt(three, one[-8:]) == two
        assert store.keep_learnt(three, b"") == two
    elif new_store.kind in ON_DISK:
        store.close()
    other = store if new_store.kind == "memory" else new_store(place=store.place)
    assert (other.learnt(), other.extent().learnt) == (two, two[-8:])


def test_what_is_written_is_counted(new_store):
    """Also where a document is replaced, and by whoever has the store open next."""
    store = new_store()
    docs = [document({i, i + 1}, (i, i, i)) for i in range(9)]
    store.add(list("abcd"), batch(*docs[:4]))
    before = store.extent()
    assert before.documents == 4
    store.replace("a", batch(docs[4]))
    store.replace("b", batch(docs[5]))
    assert store.extent().documents == 4
    assert store.extent().written >= before.written + 2
    assert store.add_unless_match("e", batch(docs[6]), 0.9) == []
    if new_store.kind in ON_DISK:
        store.close()
    other = store if new_store.kind == "memory" else new_store(place=store.place)
    assert other.extent().documents == 5
    assert other.extent().written >= before.written + 3


def test_an_interrupt_is_quick(new_store):
    """To give up a batch of 5,000, at whatever point, takes no longer because 100,000 documents are there (on a server 10,000)."""
    store = new_store()
    many = 10_000 if new_store.kind in ON_SERVERS else 100_000
    documents = [document([i, i + 1], [i, i, i]) for i in range(many)]
    store.add(list(range(many)), batch(*documents))
    new = batch(*(document([i], [-1 - i + 2**64] * BANDS) for i in range(5000)))
    for at in (2500, 7500, 12_500):
        start = time.process_time()
        try:
            store.add(Interrupted(range(many, many + 5000), at), new)
        except KeyboardInterrupt:
            assert len(store) == many
            assert many not in store
        else:  # the ids were read fewer times than that
            assert len(store) == many + 5000
            break
        assert time.process_time() - start < 1


# ---- adding unless there is a match ----------------------------------------------------------------------------------


def test_add_unless_match(new_store):
    """What matches is returned and nothing added; what does not match is added."""
    store = new_store()
    assert store.add_unless_match("a", batch(A), 0.6) == []
    assert store.add_unless_match("b", batch(B), 0.61) == []
    assert store.ids() == ["a", "b"]
    assert sorted(store.add_unless_match("new", batch(C), 0.5)) == [("a", 4, 4)]
    assert {id for id, _, _ in store.add_unless_match("new", batch(B), 0.5)} >= {"b"}
    assert store.ids() == ["a", "b"]
    assert store.add_unless_match("far", batch(FAR), 0.5) == []
    assert store.add_unless_match("empty", batch(EMPTY), 0.5) == []
    assert store.add_unless_match("empty too", batch(EMPTY), 0.5) == []
    assert store.ids() == ["a", "b", "far", "empty", "empty too"]


# ---- buckets that everyone falls into --------------------------------------------------------------------------------


def lookalikes(n):
    """Documents that all fall into one bucket of the second band, 9 of 11 of their hashes the same."""
    return [document([*range(9), 100 + i], [1000 + i, 7, 2000 + i]) for i in range(n)]


#: Asks for that bucket, and is none of them.
PROBE = document([*range(9), 99], [0, 7, 0])


def lowest(documents, limit, band=1):
    """The places of those a bounded look-up reads: the lowest in mix64(set hash ^ band)."""
    return sorted(sorted(range(len(documents)), key=lambda i: reference.mix64(set_hash(documents[i]) ^ band))[:limit])


@pytest.mark.parametrize("limit", [1, 2, 7, 39])
def test_a_look_up_reads_no_more_of_a_bucket_than_the_limit(new_store, limit):
    """Of 40 look-alikes the limit's number is read, those lowest in mix64(set hash ^ band), and the answer says so."""
    store = new_store(bucket_limit=limit)
    documents = lookalikes(40)
    store.add(list(range(40)), batch(*documents))
    hits, truncated = ask(store, PROBE)
    assert truncated
    assert sorted(hits) == lowest(documents, limit)


@pytest.mark.parametrize("limit", [40, 41, 1000])
def test_a_bucket_of_just_the_limit_is_read_whole(new_store, limit):
    """Then the answer is complete, and does not say otherwise."""
    store = new_store(bucket_limit=limit)
    store.add(list(range(40)), batch(*lookalikes(40)))
    hits, truncated = ask(store, PROBE)
    assert (sorted(hits), truncated) == (list(range(40)), False)


def test_the_choice_differs_by_band(new_store):
    """Documents that share two full buckets are read by each in another order, so that more of them are met."""
    store = new_store(bucket_limit=5)
    documents = [document([*range(9), 100 + i], [3, 7, 2000 + i]) for i in range(40)]
    store.add(list(range(40)), batch(*documents))
    first, second = lowest(documents, 5, band=0), lowest(documents, 5, band=1)
    assert first != second
    hits, truncated = ask(store, document([*range(9), 99], [3, 7, 0]))
    assert (set(hits), truncated) == ({*first, *second}, True)
    assert set(ask(store, document([*range(9), 99], [3, 8, 0]))[0]) == set(first)


@pytest.mark.parametrize("limit", [30, 1000])
@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_a_batch_of_look_alikes_is_answered_as_each_is(new_store, limit, threshold):
    """Those of many candidates are compared together; some are removed, some come later, and some asked have nobody."""
    rng = np.random.default_rng(9)
    pool = rng.choice(2**32, 90, replace=False)
    documents = [
        document(pool[:70][rng.random(70) < rng.choice([0.75, 0.9, 0.97])].tolist() + pool[70:][rng.random(20) < 0.4].tolist(), keys)
        for keys in ([1, i % 3, i % 40] for i in range(150))
    ]
    documents = list(dict.fromkeys(documents))
    store = new_store(bucket_limit=limit)
    cuts = [0, 60, 61, 110]
    for start, stop in pairwise(cuts):
        store.add(list(range(start, stop)), batch(*documents[start:stop]))
    for gone in range(0, 110, 9):
        store.remove(gone)
    asked = [*documents, FAR, EMPTY, *documents[:5]]
    each = [ask(store, one, threshold) for one in asked]
    expected = [
        {
            i: (len(doc[0] & one[0]), len(doc[0]))
            for i, doc in enumerate(documents[:110])
            if i % 9 and len(doc[0] & one[0]) / len(doc[0] | one[0]) >= threshold
        }
        for one in asked
    ]
    expected[len(documents)] = expected[len(documents) + 1] = {}
    if limit == 1000:
        assert each == [(hits, False) for hits in expected]
    assert any(len(hits) > 20 for hits, _ in each)
    assert any(not truncated and not hits for hits, truncated in each)
    alone = [store.query(batch(one), threshold, 1)[0] for one in asked]
    for threads in (1, 2):
        assert store.query(batch(*asked), threshold, threads) == alone  # in the same order
        assert store.nearest(batch(*asked), threshold, threads) == [store.nearest(batch(one), threshold, 1)[0] for one in asked]


@pytest.mark.parametrize("cuts", [[40], [1] * 40, [3, 30, 7], [7, 0, 33]])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_insertion_does_not_matter(new_store, cuts, seed):
    """The same are read however a bucket was filled."""
    store = new_store(bucket_limit=6)
    documents = lookalikes(40)
    order = np.random.default_rng(seed).permutation(40).tolist()
    for end, size in zip(np.cumsum(cuts).tolist(), cuts, strict=True):
        store.add(order[end - size : end], batch(*(documents[i] for i in order[end - size : end])))
    hits, truncated = ask(store, PROBE)
    assert (sorted(hits), truncated) == (lowest(documents, 6), True)


def test_removal_admits_the_next(new_store):
    """Who is removed makes room for the next lowest, until the bucket is read whole again and the answer says so."""
    store = new_store(bucket_limit=6)
    documents = lookalikes(20)
    store.add(list(range(20)), batch(*documents))
    left = list(range(20))
    for gone in np.random.default_rng(1).permutation(20).tolist():
        store.remove(gone)
        left.remove(gone)
        hits, truncated = ask(store, PROBE)
        assert sorted(hits) == sorted(left[i] for i in lowest([documents[i] for i in left], 6))
        assert truncated == (len(left) > 6)
    store.add(list(range(20)), batch(*documents))
    assert sorted(ask(store, PROBE)[0]) == lowest(documents, 6)


@pytest.mark.parametrize("limit", [7, 64, 150])
def test_a_bucket_that_grows_and_shrinks(new_store, limit):
    """200 look-alikes come in parts and go again: at each size the lowest are read, and the answer says whether that is all."""
    store, documents, left = new_store(bucket_limit=limit), lookalikes(200), []
    order = np.random.default_rng(2).permutation(200).tolist()
    for part in (order[:60], order[60:70], order[70:]):
        store.add(part, batch(*(documents[i] for i in part)))
        left += part
        hits, truncated = ask(store, PROBE)
        assert sorted(hits) == sorted(left[i] for i in lowest([documents[i] for i in left], limit))
        assert truncated == (len(left) > limit)
    assert store.heavy(limit) == [(1, 200, store.heavy(limit)[0][2])]
    assert [hit[0] for hit in store.nearest(batch(documents[3], documents[170]), 0.5, 1)] == [3, 170]
    for gone in order[:190]:
        store.remove(gone)
        left.remove(gone)
        if len(left) in (180, 149, 70, 64, 63, 20, 10):
            hits, truncated = ask(store, PROBE)
            assert sorted(hits) == sorted(left[i] for i in lowest([documents[i] for i in left], limit))
            assert truncated == (len(left) > limit)
    store.add([-1], batch(documents[0]))
    assert -1 in ask(store, documents[0])[0]
    assert store.check() == []


def test_copies_are_found_whatever_a_full_bucket_leaves_out(new_store):
    """Each of many look-alikes finds itself, and add_unless_match refuses each a second time."""
    store = new_store(bucket_limit=2)
    documents = [document([*range(9), 100 + i], [5, 6, 7]) for i in range(30)]
    store.add(list(range(30)), batch(*documents))
    for i, doc in enumerate(documents):
        hits, truncated = ask(store, doc)
        assert hits[i] == (10, 10)
        assert truncated
        assert i in {id for id, _, _ in store.add_unless_match("new", batch(doc), 0.5)}


def test_pairs_read_full_buckets_whole(new_store):
    """The limit bounds look-ups; the list of all pairs leaves none out."""
    store = new_store(bucket_limit=3)
    store.add(list(range(30)), batch(*lookalikes(30)))
    assert listed_pairs(store) == {frozenset(pair): 9 / 11 for pair in combinations(range(30), 2)}


def test_pairs_of_many_documents(new_store):
    """5,000 documents, each like the next and some of them twice: every pair is listed, once."""
    store = new_store()
    documents = [document(range(i, i + 9), [i, i // 2, (i + 1) // 2]) for i in range(5000)]
    store.add(list(range(5000)), batch(*documents))
    store.add([-1 - i for i in range(0, 5000, 50)], batch(*documents[::50]))
    for i in range(0, 5000, 7):
        store.remove(i)
    places = set(store.ids())
    expected = {frozenset((i, i + 1)): 8 / 10 for i in places if i >= 0 and i + 1 in places}
    for i in range(0, 5000, 50):
        expected |= {frozenset((-1 - i, j)): 1.0 if i == j else 8 / 10 for j in (i - 1, i, i + 1) if j in places and j >= 0}
    assert listed_pairs(store, 0.8, threads=2) == expected


# ---- all of it against a model ---------------------------------------------------------------------------------------

HASHES = st.frozensets(st.integers(0, 6), max_size=5)
KEYS = st.tuples(*[st.sampled_from([0, 1, 2, 2**64 - 1])] * BANDS)
#: Often one of a few, so that there are copies.
DOCUMENTS = st.one_of(st.sampled_from([A, B, C, FAR, EMPTY, document({1, 2, 3, 7}, [10, 20, 31])]), st.builds(document, HASHES, KEYS))
IDS = st.one_of(st.integers(0, 9), st.sampled_from(["0", "1", "a", "b"]))
THRESHOLDS = st.sampled_from([0.01, 0.4, 0.5, 2 / 3, 0.8, 1.0])


class Model(RuleBasedStateMachine):
    """Every operation in any order, beside a dictionary of documents and look-ups by comparing with all of it."""

    def __init__(self, build):
        super().__init__()
        self.build = build
        self.documents = {}
        self.limit = None

    @precondition(lambda self: self.limit is None)
    @rule(limit=st.sampled_from([1, 2, 3, 1000]))
    def create(self, limit):
        """An empty store with some bucket limit."""
        self.limit = limit
        self.store = self.build(limit)

    def expected(self, doc, threshold):
        """What a look-up must answer: hits, and whether it is truncated."""
        if not doc[0]:
            return {}, False
        met, truncated = {doc}, False
        for band in range(BANDS):
            bucket = {other for other in self.documents.values() if other[0] and other[1][band] == doc[1][band]}
            truncated |= len(bucket) > self.limit
            met.update(sorted(bucket, key=lambda other: reference.mix64(set_hash(other) ^ band))[: self.limit])
        return {
            id: (len(doc[0] & other[0]), len(other[0]))
            for id, other in self.documents.items()
            if other in met and other[0] and truth.similarity(doc[0], other[0]) >= threshold
        }, truncated

    @precondition(lambda self: self.limit)
    @rule(documents=st.dictionaries(IDS, DOCUMENTS, max_size=5))
    def add(self, documents):
        """A batch is added whole or not at all."""
        if self.documents.keys() & documents.keys():
            with pytest.raises(DuplicateIdError):
                self.store.add(list(documents), batch(*documents.values()))
        else:
            self.store.add(list(documents), batch(*documents.values()))
            self.documents |= documents

    @precondition(lambda self: self.limit)
    @rule(id=IDS, doc=DOCUMENTS, threshold=THRESHOLDS)
    def add_unless_match(self, id, doc, threshold):
        """What a look-up would find decides; the best of it is returned."""
        if id in self.documents:
            with pytest.raises(DuplicateIdError):
                self.store.add_unless_match(id, batch(doc), threshold)
            return
        expected, _ = self.expected(doc, threshold)
        hits = {id: (agreement, size) for id, agreement, size in self.store.add_unless_match(id, batch(doc), threshold)}
        assert hits.items() <= expected.items()
        best = max((both / (len(doc[0]) + size - both) for both, size in expected.values()), default=None)
        assert {id for id, (both, size) in expected.items() if both / (len(doc[0]) + size - both) == best} <= hits.keys()
        if not expected:
            self.documents[id] = doc

    @precondition(lambda self: self.limit)
    @rule(compact=st.booleans())
    def open_again(self, compact):
        """What is on disk is all there is to it."""
        if compact:
            self.store.compact()
        if self.build.kind != "memory":
            self.store.close()
            self.store = self.build(self.limit, self.store.place)

    @precondition(lambda self: self.limit)
    @rule(id=IDS)
    def remove(self, id):
        """A document that is there goes."""
        if id in self.documents:
            self.store.remove(id)
            del self.documents[id]
        else:
            with pytest.raises(UnknownDocumentError):
                self.store.remove(id)

    @precondition(lambda self: self.limit)
    @rule(id=IDS, doc=DOCUMENTS)
    def replace(self, id, doc):
        """A document that is there gets another content."""
        if id in self.documents:
            self.store.replace(id, batch(doc))
            del self.documents[id]
            self.documents[id] = doc
        else:
            with pytest.raises(UnknownDocumentError):
                self.store.replace(id, batch(doc))

    @precondition(lambda self: self.limit)
    @rule(doc=DOCUMENTS, threshold=THRESHOLDS)
    def query(self, doc, threshold):
        """A look-up answers what comparing with all documents says."""
        assert ask(self.store, doc, threshold) == self.expected(doc, threshold)

    @precondition(lambda self: self.limit)
    @rule(threshold=THRESHOLDS, threads=st.integers(1, 3))
    def pairs(self, threshold, threads):
        """Every pair that shares a bucket is listed once."""
        expected = defaultdict(float)
        for (a, x), (b, y) in combinations(((id, doc) for id, doc in self.documents.items() if doc[0]), 2):
            if any(p == q for p, q in zip(x[1], y[1], strict=True)) and (score := truth.similarity(x[0], y[0])) >= threshold:
                expected[frozenset((a, b))] = score
        assert listed_pairs(self.store, threshold, threads) == expected

    @precondition(lambda self: self.limit)
    @invariant()
    def contents(self):
        """Ids are in order, and each has its hashes."""
        assert self.store.ids() == list(self.documents)
        assert len(self.store) == len(self.documents)
        assert [self.store.evidence(id).tolist() for id in self.documents] == [sorted(doc[0]) for doc in self.documents.values()]


def test_a_store_behaves_as_the_model(new_store):
    """Any sequence of operations leaves what a dictionary would hold, and look-ups read what the specification says."""
    few = settings(
        max_examples=60 if new_store.kind == "memory" else 20 if new_store.kind in ON_DISK else 10, stateful_step_count=60, deadline=None
    )
    run_state_machine_as_test(lambda: Model(new_store), settings=few)


# ---- many documents, most of them removed ----------------------------------------------------------------------------


@pytest.mark.parametrize("bucket_limit", [3, 1000])
def test_most_of_many_documents_come_and_go(new_store, bucket_limit):
    """Whatever is removed, replaced or added again, what is left is found: alone, among copies, and in crowded buckets."""
    rng = np.random.default_rng(3)
    store, model = new_store(bucket_limit), {}
    names = [*range(-300, 300), 2**63 - 1, -(2**63), "", "0", "é", "\udc80", *(f"name-{i}" * (i % 40) + str(i) for i in range(300))]

    def some():
        """A document of one of a few hundred sets; a third of the keys are everyone's."""
        number = int(rng.integers(400))
        keys = [7 if number % 3 == band else number << 40 for band in range(BANDS)]
        return document([] if number == 0 else [number, number + 1, number + 2, number + 3], keys)

    steps = 1500 if new_store.kind in ON_SERVERS else 6000
    for step in range(steps):
        name = names[int(rng.integers(len(names)))]
        if name not in model:
            if rng.random() < (0.8 if step % (steps // 3) < steps // 6 else 0.1):
                doc = some()
                store.add([name], batch(doc))
                model[name] = doc
        elif rng.random() < 0.5:
            store.remove(name)
            del model[name]
        else:
            del model[name]
            model[name] = some()
            store.replace(name, batch(model[name]))
        if step % 100 == 0:
            doc = some()
            same = {n: (4, 4) for n, other in model.items() if other == doc and doc[0]}
            found, _ = ask(store, doc, 1.0)
            assert found == same
    assert store.ids() == list(model)
    assert len(store) == len(model)
    assert all(name in store for name in model)
    assert not any(name in store for name in names if name not in model)
    everyone = {n: doc for n, doc in model.items() if doc[0]}
    shared = defaultdict(set)
    for n, doc in everyone.items():
        shared[doc].add(n)
    assert set(listed_pairs(store, 1.0, 2)) == {frozenset(pair) for group in shared.values() for pair in combinations(group, 2)}


def test_what_a_document_costs():
    """At 21 bands, lean, ids of ten characters: at most 450 bytes, and 12.5 a posting at any size."""
    store, rng, bands, words = MemoryStore(21, 1000, 128), np.random.default_rng(5), 21, 32
    for start in range(0, 100_000, 20_000):
        n = 20_000
        keys = rng.integers(0, 2**64, (n, bands), np.uint64)
        evidence = rng.integers(0, 2**32, n * words, np.uint32)
        offsets = np.arange(n + 1, dtype=np.uint64) * np.uint64(words)
        sizes = np.full(n, 60, np.uint32)
        store.add(
            [f"doc-{i:06}" for i in range(start, start + n)],
            StoreBatch(_kernels.fingerprints(keys), keys[:, 0].copy(), sizes, evidence, offsets),
            2,
        )
        postings, *rest = store._table.nbytes()
        assert postings <= 12.5 * bands * (start + n)
    assert postings + sum(rest) <= 450 * 100_000
