"""Joins of a whole corpus against comparing every two sets."""

import signal
import time
from itertools import combinations, cycle

import numpy as np
import pytest
import truth
from hypothesis import example, given
from hypothesis import strategies as st

from neardup import Shingling, _kernels, joins
from neardup.banding import Banding
from neardup.census import Weights
from neardup.joins import Edges, Join, Sets, Signed
from neardup.minhash import MinHash
from neardup.noise import Readings
from neardup.rarity import Weighed
from neardup.stores import StoreBatch
from neardup.work import Work

SETS = st.lists(st.frozensets(st.integers(0, 2**32 - 1) | st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=24, unique=True)
THRESHOLDS = st.sampled_from([0.3, 0.5, 2 / 3, 0.8, 28 / 35, 1.0])
SILENT = lambda *_: None  # noqa: E731


def arrays(sets):
    """Sets as a kernel takes them."""
    flat = [np.array(sorted(hashes), np.uint32) for hashes in sets]
    sizes = np.array([len(hashes) for hashes in sets], np.uint32)
    return np.concatenate([*flat, np.empty(0, np.uint32)]), np.cumsum(sizes, dtype=np.uint64) - sizes, sizes


def band(fingerprints):
    """The buckets of one band."""
    column = np.array(fingerprints, np.uint32)
    return _kernels.buckets(column, np.arange(len(column)))


def listed(edges):
    """Edges as (earlier, later, hashes shared)."""
    return list(zip(*(column.tolist() for column in edges), strict=True))


def expected(sets, threshold, roles, meet=lambda _i, _j: True):
    """The edges by comparing every two."""
    return [
        (i, j, len(sets[i] & sets[j]))
        for (i, j) in sorted(truth.join_of_all(sets, threshold))
        if meet(i, j) and ((roles[i] & 1 and roles[j] & 2) or (roles[i] & 2 and roles[j] & 1))
    ]


@given(SETS, THRESHOLDS, st.data())
@example([frozenset(range(28)), frozenset(range(35))], 0.8, None)
def test_the_prefix_join_finds_every_match(sets, threshold, data):
    """All sets that match, of those with roles that meet, whatever the number of threads."""
    roles = data.draw(st.lists(st.integers(0, 3), min_size=len(sets), max_size=len(sets))) if data else [3] * len(sets)
    for threads in (1, 3):
        edges = _kernels.prefix_join(np.array(roles, np.uint8), arrays(sets), threshold, threads)
        assert listed(edges) == expected(sets, threshold, roles)


def test_the_prefix_join_by_shares():
    """More sets than one thread takes at a time, most of them alike but for a few hashes."""
    rng = np.random.default_rng(5)
    shared = rng.integers(0, 2**32, 40)
    sets = list({frozenset([*shared[rng.random(40) < 0.97].tolist(), *rng.integers(0, 300, 4).tolist()]) for _ in range(2600)})
    evidence = arrays(sets)
    found = _kernels.prefix_join(np.full(len(sets), 3, np.uint8), evidence, 0.85, 2)
    columns = {hash: i for i, hash in enumerate(sorted({hash for hashes in sets for hash in hashes}))}
    matrix = np.zeros((len(sets), len(columns)), np.float32)
    for i, hashes in enumerate(sets):
        matrix[i, [columns[hash] for hash in hashes]] = 1
    both = matrix @ matrix.T
    sizes = evidence[2].astype(np.float64)
    a, b = np.nonzero(np.triu(both / (sizes[:, None] + sizes - both) >= 0.85, 1))
    assert len(a) > 1000
    assert [(a, b) for a, b, _ in listed(found)] == list(zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.6, 0.8])
def test_passages_that_many_have_are_met_once(threshold):
    """Sets that have a passage, another, or parts of them, and more or less of their own: as comparing every two says, whatever their roles."""
    rng = np.random.default_rng(int(10 * threshold))
    first, second, own = (rng.choice(2**32, size, replace=False) for size in (60, 60, 9000))
    ends = rng.integers(0, 4, (500, 2))
    sets = [
        frozenset([*first[: 60 - 10 * a], *second[10 * b :], *own[i * 18 :][: rng.integers(0, 18)], int(own[-1])])
        if i % 3
        else frozenset([*first[rng.random(60) < 0.9], *own[i * 18 :][:9], int(own[-1])])
        for i, (a, b) in enumerate(ends)
    ]
    sets = list(dict.fromkeys(sets))
    evidence, both = arrays(sets), rng.integers(0, 4, len(sets)).astype(np.uint8)
    weights = Weights(np.sort(first).astype(np.uint32), rng.integers(1, 9, 60), 5)
    judge = Weighed(threshold, evidence, weights, weights.totals(evidence, 1))
    for roles in (both, np.full(len(sets), 3, np.uint8)):
        plain = expected(sets, threshold, roles)
        assert len(plain) > 1000
        assert listed(_kernels.prefix_join(roles, evidence, threshold, 1)) == plain
        crowd = [band([0] * len(sets))]
        pairs = _kernels.candidates(crowd, roles, evidence[2], 0.0, (0, len(sets)), (2**40, 2**63), 1)
        contained = _kernels.compare(pairs, evidence, threshold, 1, overlap=True)
        assert listed(_kernels.crowd_join(crowd, roles, evidence, 0.0, 1, threshold)) == listed(contained)
        every = _kernels.compare(pairs, evidence, 0.0, 1)
        matching = judge.similarities(*every, 1) >= threshold
        found = listed(_kernels.prefix_join(roles, evidence, 0.0, 1, judge.required(np.arange(len(sets)))))
        assert set(listed(tuple(column[matching] for column in every))) <= set(found)


@given(SETS, THRESHOLDS, st.integers(0, 6), st.sampled_from([3, 20, 2**63]), st.data())
def test_the_bucket_joins_find_every_match_that_shares_a_bucket(sets, threshold, crowd, most, data):
    """Pair by pair and crowds together, in ranges: every match of sets that share a bucket which is not too long, and whose roles meet, once each."""
    n = len(sets)
    roles = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    keys = [data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)) for _ in range(3)]
    cut = data.draw(st.integers(0, n))
    bands, marks, evidence = [band(column) for column in keys], np.array(roles, np.uint8), arrays(sets)

    def meetings(column, key):
        members = [i for i in range(n) if column[i] == key]
        meet = {(a, b) for a in range(4) for b in range(4) if (a & 1 and b & 2) or (a & 2 and b & 1)}
        return [(i, j) for i, j in combinations(members, 2) if (roles[i], roles[j]) in meet]

    joined = {pair for column in keys for key in range(5) for pair in meetings(column, key) if len(meetings(column, key)) <= most}
    shared = expected(sets, threshold, roles, lambda i, j: (i, j) in joined)

    def light(part, crowd, threads):
        pairs = _kernels.candidates(bands, marks, evidence[2], threshold, part, (crowd, most), threads)
        return listed(_kernels.compare(pairs, evidence, threshold, threads))

    assert light((0, cut), 2**40, 2) + light((cut, n), 2**40, 1) == shared
    some = light((0, n), crowd, 2)
    heavy = listed(_kernels.crowd_join(_kernels.crowds(bands, marks, (crowd, most)), marks, evidence, threshold, 2))
    assert sorted({*some, *heavy}) == shared
    assert len(set(some)) == len(some)
    assert len(set(heavy)) == len(heavy)


@pytest.mark.parametrize(("bounds", "members"), [((4, 10), 5), ((5, 10), 0), ((4, 9), 0), ((0, 2**63), 5), ((2**63, 2**63), 0)])
def test_what_a_crowd_is(bounds, members):
    """Five that are all compared are ten comparisons: a crowd of more than four, unless that is more than may be."""
    ((found, ends),) = _kernels.crowds([band([7, *[0] * 5, 8])], np.full(7, 3, np.uint8), bounds)
    assert (found.tolist(), ends.tolist()) == (list(range(1, 6))[:members], [5][:members])
    pairs = _kernels.partners([band([7, *[0] * 5, 8])], np.full(7, 3, np.uint8), bounds).sum()
    assert pairs == (10 if bounds in ((5, 10), (2**63, 2**63)) else 0)


@given(SETS, THRESHOLDS, st.data())
def test_the_join_of_a_crowd_by_what_is_contained(sets, threshold, data):
    """Of all pairs that meet those of which so much of the smaller is in the larger."""
    roles = data.draw(st.lists(st.integers(0, 3), min_size=len(sets), max_size=len(sets)))
    crowd, marks = [band([0] * len(sets))], np.array(roles, np.uint8)
    found = _kernels.crowd_join(crowd, marks, arrays(sets), 0.0, 2, threshold)
    pairs = _kernels.candidates(crowd, marks, arrays(sets)[2], 0.0, (0, len(sets)), (2**40, 2**63), 1)
    assert listed(found) == listed(_kernels.compare(pairs, arrays(sets), threshold, 1, overlap=True))
    assert [pair for pair in expected(sets, 0.0, roles) if pair[2] / min(len(sets[pair[0]]), len(sets[pair[1]])) >= threshold] == listed(
        found
    )


@given(SETS, st.sampled_from([0.0, 0.3, 0.5]), THRESHOLDS, st.data())
def test_joins_by_what_is_required_find_all_that_matches(sets, least, threshold, data):
    """By weight and by legibility: of the edges of the plain join those that match, and none that is no edge."""
    hashes = sorted({hash for one in sets for hash in one})
    weights = Weights(
        np.array(hashes, np.uint32), np.array(data.draw(st.lists(st.integers(1, 9), min_size=len(hashes), max_size=len(hashes)))), 1
    )
    legible = np.array(data.draw(st.lists(st.sampled_from([0.15, 0.5, 0.9, 1.0]), min_size=len(sets), max_size=len(sets))))
    roles, evidence, keys = (
        np.full(len(sets), 3, np.uint8),
        arrays(sets),
        data.draw(st.lists(st.integers(0, 1), min_size=len(sets), max_size=len(sets))),
    )
    for judge in (Weighed(threshold, evidence, weights, weights.totals(evidence, 1)), Readings(threshold, evidence, legible)):
        required = judge.required(np.arange(len(sets)))
        for plain, found in (
            (_kernels.prefix_join(roles, evidence, least, 1), _kernels.prefix_join(roles, evidence, least, 2, required)),
            (
                _kernels.crowd_join([band(keys)], roles, evidence, least, 1),
                _kernels.crowd_join([band(keys)], roles, evidence, least, 2, required),
            ),
        ):
            matching = judge.similarities(*plain, 1) >= threshold
            assert set(listed(tuple(column[matching] for column in plain))) <= set(listed(found)) <= set(listed(plain))


def test_nothing_that_matches_is_lost_by_what_is_required():
    """Sets of many hashes that differ in weight and in legibility, compared two by two: the least that some may share is little."""
    rng = np.random.default_rng(11)
    for threshold in (0.3, 0.5, 0.7):
        pool = rng.choice(2**32, 300, replace=False)
        share = [1.0, 0.95, 0.8, 0.5]
        sets = [
            frozenset([*pool[i % 8 * 30 :][:30][rng.random(30) < share[i % 4]], *pool[240:][rng.random(60) < 0.05]]) for i in range(240)
        ]
        evidence, roles, every = arrays(sets), np.full(240, 3, np.uint8), np.arange(240)
        weights = Weights(np.sort(pool).astype(np.uint32), rng.integers(1, 250, 300), 1)
        plain = _kernels.prefix_join(roles, evidence, 0.0, 1)
        for judge in (
            Weighed(threshold, evidence, weights, weights.totals(evidence, 1)),
            Readings(threshold, evidence, rng.choice([0.15, 0.4, 1.0], 240)),
        ):
            matching = judge.similarities(*plain, 1) >= threshold
            found = _kernels.prefix_join(roles, evidence, 0.0, 1, judge.required(every))
            assert matching.sum() > 200
            assert set(listed(tuple(column[matching] for column in plain))) <= set(listed(found))


def test_what_is_just_enough_is_found():
    """Two sets that have the rarest of what they share where it is just as much as a match requires."""
    roles, rng = np.full(2, 3, np.uint8), np.random.default_rng(7)
    for n in range(1, 30):
        for both in range(1, n + 1):
            hashes = rng.choice(2**32, 3 * n, replace=False)
            evidence = arrays([frozenset(hashes[:n].tolist()), frozenset([*hashes[:both], *hashes[n : 2 * n - both]])])
            weights = Weights(np.sort(hashes).astype(np.uint32), rng.integers(1, 99, 3 * n), 1)
            totals = weights.totals(evidence, 1)
            for judge in (Weighed(0.0, evidence, weights, totals), Readings(0.0, evidence, rng.uniform(0.2, 1.0, 2))):
                pair = [np.array([value], np.uint32) for value in (0, 1, both)]
                judge.threshold = float(judge.similarities(*pair, 1)[0])
                found = _kernels.prefix_join(roles, evidence, 0.0, 1, judge.required(np.arange(2)))
                assert listed(found) == [(0, 1, both)], (n, both, judge)


@given(
    SETS,
    st.sets(st.integers(0, 2**32 - 1) | st.integers(0, 9), max_size=30),
    st.lists(st.integers(0, 65_535), min_size=1, max_size=3),
    st.integers(0, 65_535),
)
def test_a_set_weighs_what_its_hashes_do(sets, known, weights, rest):
    """Whether few are known or many, and whether they weigh the same."""
    hashes = sorted(known)
    each = dict(zip(hashes, cycle(weights), strict=False))
    table = Weights(np.array(hashes, np.uint32), np.array(list(each.values())), rest)
    assert table.totals(arrays(sets), 1).tolist() == [sum(each.get(hash, rest) for hash in one) for one in sets]


def test_no_pair_is_lost_where_sets_weigh_more_than_is_counted():
    """Of a set that weighs more than 32 bits hold it is not known which of its hashes is the rarest, nor what is left of the others."""
    rng = np.random.default_rng(3)
    hashes = np.sort(rng.choice(2**32, 67_000, replace=False))
    weights = Weights(np.empty(0, np.uint32), np.empty(0), 65_535)
    for _ in range(4):
        sets = [frozenset(hashes[rng.permutation(67_000)[:n]].tolist()) for n in (66_800, 65_400, 33_000)]
        evidence = arrays(sets)
        judge = Weighed(0.0, evidence, weights, weights.totals(evidence, 1))
        pair = [np.array([value], np.uint32) for value in (0, 1, len(sets[0] & sets[1]))]
        judge.threshold = float(judge.similarities(*pair, 1)[0]) * (1 - 1e-7)
        found = _kernels.prefix_join(np.full(3, 3, np.uint8), evidence, 0.0, 1, judge.required(np.arange(3)))
        assert (0, 1) in [(a, b) for a, b, _ in listed(found)]


@pytest.mark.parametrize("roles", [[3], [1, 2], [1, 2, 3]])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_join_ends_where_there_is_too_much(threads, roles):
    """More matches than may be are not all collected, as many as may be are, whichever sides sets are on."""
    evidence, roles = arrays([frozenset([*range(50), 1000 + i]) for i in range(3000)]), np.resize(np.array(roles, np.uint8), 3000)
    crowd = [band([0] * 3000)]
    for found in (
        lambda most: _kernels.prefix_join(roles, evidence, 0.5, threads, None, most),
        lambda most: _kernels.crowd_join(crowd, roles, evidence, 0.5, threads, None, most),
    ):
        whole = listed(found(2**63))
        assert len(whole) > 2_000_000
        assert 1000 < len(found(1000)[0]) < 1000 + threads * 1100
        assert listed(found(len(whole))) == whole
        assert len(found(len(whole) - 1)[0]) >= len(whole) - 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_long_join_ends_where_it_is_interrupted(threads):
    """What a signal handler raises comes at once, not when all of half a minute is compared; a join after that is whole."""
    rng = np.random.default_rng(2)
    pool = rng.choice(2**32, 120, replace=False)
    evidence = arrays([frozenset(pool[np.argsort(rng.random(120))[:60]].tolist()) for _ in range(24_000)])
    roles, crowd = np.full(24_000, 3, np.uint8), [band([0] * 24_000)]

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for join in (
            lambda: _kernels.prefix_join(roles, evidence, 0.5, threads),
            lambda: _kernels.crowd_join(crowd, roles, evidence, 0.5, threads),
        ):
            start = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 1)
            with pytest.raises(KeyboardInterrupt):
                join()
            assert time.monotonic() - start < 6
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    few = arrays([frozenset(range(10)), frozenset(range(11))])
    assert listed(_kernels.prefix_join(roles[:2], few, 0.9, threads)) == [(0, 1, 10)]


def test_what_is_required_is_used():
    """Of sets that share little that weighs, none is compared; the plain join finds them all."""
    hashes = np.random.default_rng(1).choice(2**32, 600, replace=False).tolist()
    evidence = arrays([frozenset([*hashes[:20], hashes[100 + i % 50], hashes[200 + i]]) for i in range(300)])
    weights = Weights(np.sort(np.array(hashes[:20], np.uint32)), np.ones(20), 100)
    roles = np.full(300, 3, np.uint8)
    assert len(_kernels.prefix_join(roles, evidence, 0.4, 1)[0]) == 300 * 299 // 2
    for threshold, compared in ((0.8, 0), (0.5, 0), (0.3, 50 * 15)):  # the fifty share 0.375 by weight
        judge = Weighed(threshold, evidence, weights, weights.totals(evidence, 1))
        found = len(_kernels.prefix_join(roles, evidence, 0.4, 1, judge.required(np.arange(300)))[0])
        assert compared <= found < compared + 10  # rarity is counted in cells, which some share
    with pytest.raises(ValueError, match="what 2 sets require, for 300 sets"):
        _kernels.prefix_join(roles, evidence, 0.4, 1, judge.required(np.arange(2)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=20), st.integers(0, 8))
def test_partners_are_counted(members, most):
    """With how many later sets each is joined, in buckets of few enough comparisons and in those that are no crowd."""
    roles, keys = [role for role, _ in members], [key for _, key in members]
    pairs = [
        (i, j)
        for j in range(len(members))
        for i in range(j)
        if keys[i] == keys[j] and ((roles[i] & 1 and roles[j] & 2) or (roles[i] & 2 and roles[j] & 1))
    ]
    many = {key: sum(keys[i] == key for i, _ in pairs) for key in keys}
    expected = [sum(1 for i, _ in pairs if i == place and many[keys[i]] <= most) for place in range(len(members))]
    assert _kernels.partners([band(keys)], np.array(roles, np.uint8), (2**63, most)).tolist() == expected
    having = {key: sum(k == key and role > 0 for k, role in zip(keys, roles, strict=True)) for key in keys}
    expected = [
        sum(1 for i, _ in pairs if i == place and 2 * many[keys[i]] <= (most - 1) * having[keys[i]]) for place in range(len(members))
    ]
    assert _kernels.partners([band(keys)], np.array(roles, np.uint8), (most, 2**63)).tolist() == (expected if most else [0] * len(members))


@given(st.lists(st.integers(0, 5), max_size=30), st.data())
def test_who_is_preceded(keys, data):
    """A set of some shares a bucket with an earlier one of them."""
    among = data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
    expected = [mine and any(among[i] and keys[i] == keys[place] for i in range(place)) for place, mine in enumerate(among)]
    assert _kernels.preceded([band(keys)], np.array(among, bool)).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)).filter(lambda e: e[0] < e[1]), max_size=40))
def test_what_is_kept_and_what_is_connected(edges):
    """The first maximal independent set, and components, by the plainest loops."""
    a, b = (np.array([edge[side] for edge in edges], np.uint32) for side in (0, 1))
    kept: list[int] = []
    for place in range(16):
        if not any((other, place) in edges for other in kept):
            kept.append(place)
    assert np.flatnonzero(_kernels.first_independent_set(16, a, b)).tolist() == kept
    label = list(range(16))
    for _ in range(16):
        for i, j in edges:
            label[i] = label[j] = min(label[i], label[j])
    assert _kernels.components(16, a, b).tolist() == label


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 20), max_size=3000))
def test_buckets_are_sets_of_one_fingerprint(fingerprints):
    """Those of two or more, in order of fingerprint, members ascending."""
    members, ends = band(fingerprints)
    groups = {}
    for place, fingerprint in enumerate(fingerprints):
        groups.setdefault(fingerprint, []).append(place)
    assert [group.tolist() for group in np.split(members, ends[:-1])] == ([g for _, g in sorted(groups.items()) if len(g) > 1] or [[]])


WRONG = {
    "places": lambda: _kernels.buckets(np.zeros(2, np.uint32), np.array([2])),
    "negative places": lambda: _kernels.buckets(np.zeros(2, np.uint32), np.array([-1])),
    "candidates": lambda: _kernels.compare(np.array([1], np.uint64), arrays([frozenset([1])]), 0.5, 1),
    "members": lambda: _kernels.preceded([(np.array([7], np.uint32), np.array([1], np.uint32))], np.ones(2, bool)),
    "ends": lambda: _kernels.preceded([(np.array([0], np.uint32), np.array([2], np.uint32))], np.ones(2, bool)),
    "sets": lambda: _kernels.prefix_join(
        np.ones(1, np.uint8), (np.zeros(1, np.uint32), np.array([1], np.uint64), np.ones(1, np.uint32)), 0.5, 1
    ),
    "empty": lambda: _kernels.prefix_join(
        np.ones(1, np.uint8), (np.zeros(1, np.uint32), np.zeros(1, np.uint64), np.zeros(1, np.uint32)), 0.5, 1
    ),
    "roles": lambda: _kernels.prefix_join(np.ones(2, np.uint8), arrays([frozenset([1])]), 0.5, 1),
    "edges": lambda: _kernels.first_independent_set(2, np.array([1], np.uint32), np.array([1], np.uint32)),
    "components": lambda: _kernels.components(2, np.array([1], np.uint32), np.array([2], np.uint32)),
    "pairs": lambda: _kernels.intersections(arrays([frozenset([1])]), np.array([0], np.uint32), np.array([1], np.uint32), 1),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(call):
    """Arrays that do not belong together are an error, never a read beyond them."""
    with pytest.raises((IndexError, ValueError), match=r"beyond|fit|outside|empty|roles|name sets"):
        call()


# ---- what Python makes of them -----------------------------------------------------------------------------------------


def corpus(texts):
    """Signed texts of single words, in many short bands."""
    signatures = MinHash(shingling=Shingling(size=1)).sign_many(texts, hashes=True)
    return StoreBatch.of(signatures, Banding(64, 2))


def signed(batch, limit=2**40):
    """A corpus ready to be joined."""
    columns = Signed(64, Work(limit))
    half = batch.documents // 2
    for start, stop in ((0, half), (half, batch.documents)):
        columns.append(batch.part(start, stop))
        columns.work.publish("signing")
    columns.close()
    return columns


@pytest.mark.parametrize("spilled", [False, True])
def test_lean_signatures_of_one_name_are_compared(spilled):
    """Documents that estimates verify are one set when their set hashes, sizes and all words are the same."""
    words = np.array([[1, 2, 3], [1, 2, 4], [1, 2, 3], [1, 2, 3]], np.uint32)
    columns = Signed(1, Work(1 << 40), 3)
    columns.append(
        StoreBatch(
            np.zeros((4, 1), np.uint32),
            np.zeros(4, np.uint64),
            np.array([5, 5, 5, 6], np.uint32),
            words.ravel(),
            np.arange(0, 15, 3).astype(np.uint64),
        )
    )
    if spilled:
        columns._evidence.spill()
    columns.close()
    assert Sets.of(columns, np.arange(4), 1).number.tolist() == [0, 1, 0, 3 - 1]


@given(truth.corpora(), st.randoms(use_true_random=False))
def test_sets_are_numbered_by_rank(texts, rng):
    """Copies share a number; numbers follow the first of each in rank; without a shingle there is none."""
    order = rng.sample(range(len(texts)), len(texts))
    sets = Sets.of(signed(corpus(texts)), np.array(order, np.int64), 2)
    hashes = truth.shingle_sets(texts, Shingling(size=1))
    first = list(dict.fromkeys(hashes[place] for place in order if hashes[place]))
    assert sets.number.tolist() == [first.index(own) if own else -1 for own in hashes]
    assert sets.place.tolist() == [next(place for place in order if hashes[place] == own) for own in first]


def test_only_hashes_of_sets_that_are_compared_are_taken_into_memory(monkeypatch):
    """Where they are in a file: those of sets that share a bucket, and a kernel that is asked for others says so."""
    monkeypatch.setattr(joins, "AT_HAND", 0)
    sets = Sets.of(signed(corpus(["a b c", "x y z", "a b c d"])), np.arange(3), 1)
    Join(sets, 0.5, 1)
    words, _, sizes = sets.arrays
    equal = Weights(np.empty(0, np.uint32), np.empty(0), 1).table
    assert (len(words), sizes.tolist(), sets.sizes.tolist()) == (7, [3, 0, 4], [3, 3, 4])
    assert _kernels.intersections(sets.arrays, *np.array([[0], [2]], np.uint32), 1).tolist() == [3]
    for compare in (
        lambda a, b: _kernels.intersections(sets.arrays, np.array([a], np.uint32), np.array([b], np.uint32), 1),
        lambda a, b: _kernels.compare(np.array([a << 32 | b], np.uint64), sets.arrays, 0.5, 1),
        lambda a, b: _kernels.compare_readings(np.array([a << 32 | b], np.uint64), sets.arrays, np.ones(3), 0.04, 0.5, 1),
        lambda a, b: _kernels.shared_weights(sets.arrays, np.array([a], np.uint32), np.array([b], np.uint32), equal, 1),
    ):
        compare(0, 2)
        for pair in ((0, 1), (1, 2), (0, 3)):
            with pytest.raises(IndexError, match="set"):
                compare(*pair)
    with pytest.raises(IndexError, match="sets that are empty"):
        _kernels.prefix_join(np.full(3, 3, np.uint8), sets.arrays, 0.5, 1)


@pytest.mark.parametrize("at_hand", [0, 2**20])
def test_a_set_hash_that_lies_makes_no_copies(at_hand, monkeypatch):
    """Sets that are different stay so when their set hashes agree: hashes bring together, verification decides."""
    monkeypatch.setattr(joins, "AT_HAND", at_hand)
    batch = corpus(["a b c", "a b d", "a b c", "a b d"])
    batch = batch._replace(set_hashes=np.full(4, 7, np.uint64))
    sets = Sets.of(signed(batch), np.arange(4), 1)
    assert sets.number[0] == sets.number[2] == 0
    assert sets.number[1] != 0


@pytest.mark.parametrize(("limit", "at_hand"), [(1, 0), (2**40, 0), (2**40, 2**20)])
@pytest.mark.parametrize("pairs", [1, 2**20])
@pytest.mark.parametrize("heavy", [0, 3, 2**20])
@given(texts=truth.corpora())
def test_edges_do_not_depend_on_how_they_are_found(limit, at_hand, pairs, heavy, texts):
    """Many comparisons at a time or one, light buckets or heavy, hashes in memory or in files: the same edges, in order."""
    batch = corpus(texts)
    sets = Sets.of(signed(batch), np.arange(len(texts)), 1)
    every = np.ones(len(sets), bool)
    plain = Join(sets, 0.6, 1).edges(every, every, SILENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "PAIRS", pairs)
        patch.setattr(joins, "CROWD", heavy)
        patch.setattr(joins, "AT_HAND", at_hand)
        columns = signed(batch, limit)
        assert columns.spilled == bool(texts if limit == 1 else at_hand == 0 and batch.sizes.any())
        assert columns.large == (limit == 1 and batch.sizes.any())
        other = Join(Sets.of(columns, np.arange(len(texts)), 2), 0.6, 2).edges(every, every, SILENT)
    assert all(np.array_equal(a, b) for a, b in zip(plain, other, strict=True))
    assert isinstance(other, Edges)
