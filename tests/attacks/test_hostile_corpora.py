"""Documents built against the known hashes: what they cost beside ordinary text of the same size, and what a secret changes."""

import math
import os
import random
import resource
import statistics
import time
from functools import cache

import numpy as np
import pytest

import neardup
from neardup import Index, MinHash, Shingling, _kernels, deduplicate, jaccard, reference
from neardup.alignment import aligned
from neardup.banding import Banding
from neardup.report.marking import marked

SECRET = 0x1234_5678_90AB_CDEF
KEYED = Shingling(secret=SECRET)
#: Words of a document, distinct shingles nearly all.
WORDS = 800
#: What hostile text may cost, of ordinary text of the same size, and what a busy machine adds.
MOST, NOISE = 3, 1.5


def measure(work):
    """Seconds of processor that something takes in a child, and the bytes by which its memory grows."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
            work()
            taken = time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
            os.write(theirs, repr(taken).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        seconds, grown = map(float, answer.read().strip("()").split(","))
    assert os.waitpid(child, 0)[1] == 0
    return np.array([seconds, max(grown, 8 << 20)])


def ratio(work, hostile, ordinary, rounds=3):
    """What work costs on hostile text, of what it costs on ordinary text: time, and memory; the median of rounds."""
    each = [measure(lambda: work(hostile)) / measure(lambda: work(ordinary)) for _ in range(rounds)]
    return [round(float(statistics.median(column)), 2) for column in zip(*each, strict=True)]


# ---- the texts -----------------------------------------------------------------------------------------------------------


@cache
def vocabulary():
    """A thousand words, nearly."""
    syllables = ["ran", "ten", "lis", "mon", "pur", "sal", "ver", "tic", "nor", "cus"]
    return np.array([f"{a}{b}{c}" for a in ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki") for b in syllables for c in syllables])


def words(random_, n):
    """Words in any order."""
    return vocabulary()[random_.integers(0, len(vocabulary()), n)].tolist()


def ordinary(n, seed=0):
    """Texts that have nothing in common."""
    random_ = np.random.default_rng([seed, 1])
    return [" ".join(words(random_, WORDS)) for _ in range(n)]


@cache
def planted(secret=0):
    """For each slot of all bands five words whose shingle has a smaller value there than any of half a million others."""
    found = words(np.random.default_rng(2), 1 << 19)
    hashes = np.array(_kernels.window_hashes(Shingling(secret=secret).token_hashes(found), 5))
    low, step = (
        (hashes & np.uint64(0xFFFF_FFFF)).astype(np.uint32),
        (hashes >> np.uint64(32) | np.uint64(1)).astype(np.uint32) << np.uint32(25),
    )
    bands = Banding.for_threshold(0.8)
    slots = reference.row_order(128)[: bands.bands * bands.rows]
    places = [int(np.argmin(low + np.uint32(slot) * step)) for slot in slots]
    return [found[i : i + 5] for i in places]


def scattered(random_):
    """The planted shingles in any order, so that nothing else is in common."""
    return [word for i in random_.permutation(len(planted())) for word in planted()[i]]


def one_bucket(n):
    """Texts of one key in nearly every band, and hardly anything in common."""
    random_ = np.random.default_rng(3)
    return [" ".join(scattered(random_) + words(random_, WORDS - 5 * len(planted()))) for _ in range(n)]


def common_pool(n):
    """The same, and the rest is half of one pool of passages, of which every one is in many texts: none is rare."""
    random_ = np.random.default_rng(4)
    pool = [words(random_, 10) for _ in range(2 * (WORDS - 5 * len(planted())) // 10)]
    halves = (np.sort(random_.permutation(len(pool))[: len(pool) // 2]) for _ in range(n))
    return [" ".join(scattered(random_) + [word for i in half for word in pool[i]]) for half in halves]


def just_below(n, share=0.87):
    """Texts of which any two are a little less alike than the threshold: one long passage, and an end of their own."""
    random_ = np.random.default_rng(5)
    common = words(random_, int(share * WORDS))
    return [" ".join(common + words(random_, WORDS - len(common))) for _ in range(n)]


def templates(n):
    """One long passage in texts of very different lengths, ordinary ones in length."""
    random_ = np.random.default_rng(6)
    common = words(random_, WORDS // 2)
    return [" ".join(common + words(random_, int(length))) for length in random_.integers(WORDS // 8, 7 * WORDS // 8, n)]


# ---- what is done with them ----------------------------------------------------------------------------------------------


def index_of(texts, **options):
    """An index of texts."""
    index = Index(**options)
    index.add_many(range(len(texts)), texts, threads=1)
    return index


def one_by_one(index, texts):
    """Look texts up."""
    for text in texts:
        index.query(text)


def warmed():
    """Load whatever is loaded on first use, so that it is not counted."""
    few = ordinary(3, 9)
    for options in ({}, {"verify": "rarity"}, {"verify": "noisy"}, {"profile": "excerpt"}, {"exact": True}, {"drop_frequent": 0.5}):
        deduplicate(few, threads=1, **options)
    index_of(few).pairs(threads=1)


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """Nothing is imported while something is measured."""
    warmed()


JOBS = {
    "deduplicate": lambda texts, **options: deduplicate(texts, threads=1, **options),
    "by rarity": lambda texts, **options: deduplicate(texts, threads=1, verify="rarity", **options),
    "exact": lambda texts, **options: deduplicate(texts, threads=1, exact=True, **options),
    "noisy": lambda texts, **options: deduplicate(texts, threads=1, verify="noisy", **options),
    "excerpts": lambda texts, **options: deduplicate(texts, threads=1, profile="excerpt", **options),
    "drop frequent": lambda texts, **options: deduplicate(texts, threads=1, drop_frequent=0.1, **options),
    "add": index_of,
    "add and look up": lambda texts, **options: index_of(texts, **options).query_many(texts[:100], threads=1),
    "add and look up one by one": lambda texts, **options: one_by_one(index_of(texts, **options), texts[:100]),
    "add and pairs": lambda texts, **options: index_of(texts, **options).pairs(threads=1),
    "add and look up estimates": lambda texts, **options: index_of(texts, verify="estimate", **options).query_many(texts[:100], threads=1),
}
HOSTILE = {"one bucket": one_bucket, "common pool": common_pool, "just below": just_below, "templates": templates}


def costs(jobs, kinds, n, record, rounds=3, **options):
    """The ratios of jobs on hostile texts of many kinds, recorded."""
    found = {}
    for kind in kinds:
        hostile, plain = HOSTILE[kind](n), ordinary(n)
        for job in jobs:
            found[kind, job] = ratio(lambda texts, job=job: JOBS[job](texts, **options), hostile, plain, rounds)
            record(
                f"{kind}, {job}, {n:,}{', ' + ' '.join(options) if options else ''}",
                f"{found[kind, job][0]} x time, {found[kind, job][1]} x memory",
            )
    return found


# ---- words of one hash ---------------------------------------------------------------------------------------------------

LETTERS = set(b"abcdefghijklmnopqrstuvwxyz0123456789_")


def proportional(u, v, key, random_, n):
    """Pairs of eight letters whose words, xored with a key, are u and v times the same number: byte by byte, with carries."""
    key, tables, reachable = key.to_bytes(8, "little"), [], {(0, 0)}
    for i in range(7, -1, -1):
        moves = {}
        for carry in ((c, d) for c in range(u) for d in range(v)):
            for t in range(256):
                a, b = u * t + carry[0], v * t + carry[1]
                if (a >> 8, b >> 8) in reachable and (a & 255 ^ key[i]) in LETTERS and (b & 255 ^ key[i]) in LETTERS:
                    moves.setdefault(carry, []).append(t)
        tables.insert(0, moves)
        reachable = set(moves)
    found = set()
    for _ in range(n if (0, 0) in reachable else 0):
        carry, x, y = (0, 0), b"", b""
        for i in range(8):
            t = random_.choice(tables[i][carry])
            a, b = u * t + carry[0], v * t + carry[1]
            x, y, carry = x + bytes([a & 255 ^ key[i]]), y + bytes([b & 255 ^ key[i]]), (a >> 8, b >> 8)
        found.add((x.decode(), y.decode()))
    return sorted(found)


def twins(u, v, n=50):
    """Pairs of words of 16 letters of one hash: u a times v b is v a times u b, and a token's hash is such a product, folded."""
    random_ = random.Random(u * 100 + v)
    low = proportional(u, v, reference.A ^ 16, random_, n)
    high = proportional(v, u, reference.B, random_, n)
    return [(a + c, b + d) for (a, b), (c, d) in zip(low, high, strict=False)]


def assert_twins(found):
    """Who does not know the secret has two words and two texts that have nothing in common."""
    assert all(a != b and reference.token_hash(a) == reference.token_hash(b) for a, b in found)
    assert not any(reference.token_hash(a, SECRET) == reference.token_hash(b, SECRET) for a, b in found)
    one, other = (" ".join(column) for column in zip(*found, strict=True))
    assert not set(one.split()) & set(other.split())
    assert jaccard(one, other) == 1.0
    assert jaccard(one, other, shingling=KEYED) == 0.0
    assert deduplicate([one, other]).kept == [0]
    assert deduplicate([one, other], shingling=KEYED).kept == [0, 1]


def test_words_of_one_hash(record_property):
    """Words that have one hash of 64 bits are made in no time, and texts of them match without a word in common; not with a secret."""
    found = twins(2, 3)
    record_property("pairs of words of one hash", len(found))
    assert len(found) > 30
    assert_twins(found)


@pytest.mark.attack
def test_many_words_of_one_hash(record_property):
    """The same of every small ratio."""
    ratios = [(u, v) for u in range(1, 16) for v in range(1, 16) if math.gcd(u, v) == 1 and u != v]
    found = [pair for u, v in ratios for pair in twins(u, v, 1000)]
    record_property("pairs of words of one hash", len(found))
    assert len(found) > 10_000
    assert_twins(found)


# ---- buckets -------------------------------------------------------------------------------------------------------------


def shared_bands(texts, shingling):
    """In how many bands texts share a key with the first, on average, and the largest of some similarities."""
    bands = Banding.for_threshold(0.8)
    minhash = MinHash(shingling=shingling)
    keys = [reference.band_keys(minhash.sign(text).values, bands.bands, bands.rows) for text in texts[:20]]
    return float(np.mean([(key == keys[0]).sum() for key in keys[1:]])), max(jaccard(texts[0], text) for text in texts[1:20])


@pytest.mark.parametrize("kind", ["one bucket", "common pool"])
def test_a_secret_empties_the_buckets(kind):
    """Against the known hash nearly all bands are filled by texts that are not alike; against another none is."""
    bands, most = shared_bands(HOSTILE[kind](20), Shingling())
    assert bands > 15
    assert most < 0.4
    assert shared_bands(HOSTILE[kind](20), KEYED)[0] < 1


SOME = ["deduplicate", "by rarity", "add", "add and look up", "add and pairs", "add and look up estimates"]


def assert_secret_helps(n, jobs, record, rounds=3):
    """With a secret hostile texts cost what ordinary ones do; without, more."""
    kinds = ["one bucket", "common pool"]
    keyed = costs(jobs, kinds, n, record, rounds, shingling=KEYED)
    assert max(found[0] for found in keyed.values()) < MOST * NOISE
    assert max(found[1] for found in keyed.values()) < MOST * NOISE
    open_ = costs(jobs, kinds, n, record, 1)
    assert max(found[0] for found in open_.values()) > 1.5 * max(found[0] for found in keyed.values())


def test_full_buckets_cost_what_ordinary_text_does_with_a_secret(record_property):
    """Time and memory are within three times those of ordinary text, and without one more."""
    assert_secret_helps(400, ["deduplicate", "add", "add and look up"], record_property)


@pytest.mark.attack
@pytest.mark.parametrize("n", [1000, 2000, 4000])
def test_full_buckets_with_and_without_a_secret(n, record_property):
    """All jobs at growing sizes."""
    assert_secret_helps(n, [job for job in SOME if job != "by rarity"], record_property)
    costs(
        ["by rarity", "exact", "noisy", "excerpts", "drop frequent"], ["one bucket", "common pool"], n, record_property, 1, shingling=KEYED
    )


def test_texts_just_below_the_threshold_are_compared_once(record_property):
    """However many bands look-alikes share: as much as ordinary text, though each pair is in 21 buckets; in an index too."""
    found = costs(["deduplicate", "add and pairs"], ["just below", "templates"], 600, record_property)
    assert max(time_ for time_, _ in found.values()) < MOST * NOISE
    assert max(memory for _, memory in found.values()) < MOST * NOISE


def test_overlapping_crowds_are_joined_once(record_property):
    """Of 64 bands that all hold most of a crowd, the join takes no longer than that of a few of them."""
    random_ = np.random.default_rng(0)
    signatures = MinHash().sign_many(just_below(300), hashes=True)
    evidence = [signatures[i].hashes for i in range(len(signatures))]
    sizes = np.array([len(one) for one in evidence], np.uint32)
    sets = np.concatenate(evidence), np.cumsum(sizes, dtype=np.uint64) - sizes, sizes
    crowd = [np.sort(random_.permutation(300)[:250]).astype(np.uint32) for _ in range(64)]
    bands = [(members, np.array([250], np.uint32)) for members in crowd]
    roles = np.full(300, 3, np.uint8)
    taken = {many: measure(lambda many=many: _kernels.crowd_join(bands[:many], roles, sets, 0.5, 1))[0] for many in (2, 64)}
    record_property("64 overlapping buckets, of 2", round(float(taken[64] / taken[2]), 1))
    assert taken[64] < 6 * taken[2]


@pytest.mark.attack
@pytest.mark.parametrize("n", [1000, 2000, 4000])
def test_look_alikes_of_all_kinds(n, record_property):
    """What no secret changes, for it has nothing to do with hashes: a short bucket limit bounds it."""
    jobs = ["deduplicate", "by rarity", "excerpts", "drop frequent", "add", "add and look up one by one", "add and pairs", "exact"]
    found = costs(jobs, ["just below", "templates"], n, record_property, 3)
    assert max(time_ for time_, _ in found.values()) < MOST * NOISE
    costs(["noisy", "add and look up"], ["just below", "templates"], n, record_property, 3)
    limited = costs(
        ["deduplicate", "by rarity", "noisy"], ["just below", "templates", "common pool"], n, record_property, 3, bucket_limit=50
    )
    assert max(time_ for time_, _ in limited.values()) < MOST * NOISE


def test_a_look_up_is_bounded(record_property):
    """A look-up reads so many members of a bucket, however many there are: twice as many texts, no more time."""
    queries = just_below(1100)[1000:]
    few, many = (index_of(just_below(n), bucket_limit=100) for n in (500, 1000))
    each = [
        measure(lambda: many.query_many(queries, threads=1))[0] / measure(lambda: few.query_many(queries, threads=1))[0] for _ in range(3)
    ]
    record_property("a look-up in twice as many", round(float(statistics.median(each)), 2))
    assert statistics.median(each) < 1.9
    assert all(matches.truncated for matches in many.query_many(queries))


# ---- two texts -----------------------------------------------------------------------------------------------------------


def pairs_of_texts(n):
    """Two texts that are hard to align, of so many words."""
    random_ = random.Random(7)
    common = words(np.random.default_rng(8), n)
    two = [" ".join(random_.choices("ab", k=n)) for _ in range(2)]
    turned = [common[i : i + 4] for i in range(0, n, 4)]
    return {
        "two letters": two,
        "in reverse": [" ".join(common), " ".join(common[::-1])],
        "runs in any order": [" ".join(common), " ".join(word for run in random_.sample(turned, len(turned)) for word in run)],
        "every other word": [" ".join(common), " ".join(word if i % 2 else "x" for i, word in enumerate(common))],
        "one word": ["a " * n, "a " * (n // 2) + "b " + "a " * (n // 2)],
    }


def aligning(n, record):
    """What aligning takes of each pair, of what changed ordinary text takes, at n and 2 n words."""
    common = words(np.random.default_rng(9), 2 * n)
    found = {}
    for size in (n, 2 * n):
        changed = [word if i % 50 else "x" for i, word in enumerate(common[:size])]
        plain = statistics.median(measure(lambda a=common[:size], b=changed: aligned(" ".join(a), " ".join(b)))[0] for _ in range(3))
        for name, (a, b) in pairs_of_texts(size).items():
            found[name, size] = measure(lambda a=a, b=b: aligned(a, b))[0]
            record(f"aligning {name}, {size:,}", round(float(found[name, size] / plain), 1))
    return found


def test_aligning_is_not_quadratic(record_property):
    """Twice the words take about twice as long, whatever they are."""
    found = aligning(8000, record_property)
    grown = {name: found[name, 16_000] / found[name, 8000] for name, size in found if size == 8000}
    assert max(grown.values()) < 3.5, grown


@pytest.mark.attack
def test_aligning_long_texts(record_property):
    """The same of texts as long as books."""
    found = aligning(200_000, record_property)
    assert all(found[name, 400_000] < 3.5 * found[name, 200_000] for name, size in found if size == 200_000)


def test_explaining_and_marking_hostile_texts(record_property):
    """A page's pair and the passages in common of two texts take a time that does not depend on what they are."""
    plain = measure(lambda: marked(ordinary(1)[0] * 20, ordinary(1)[0] * 20))[0]
    for name, (a, b) in pairs_of_texts(16_000).items():
        index = Index(threshold=0.5)
        index.add("b", b)
        taken = measure(lambda a=a, b=b: marked(a, b))[0], measure(lambda a=a, b=b, index=index: index.explain("b", a, b))[0]
        record_property(f"{name}: marking, explaining, of marking ordinary text", [round(float(one / plain), 1) for one in taken])
        assert max(taken) < 100 * plain + 5


# ---- what learns from a corpus -------------------------------------------------------------------------------------------


def learning(n, record):
    """What tuning and evaluating take on look-alikes, of what they take on ordinary text."""
    labels = [(0, 1, True), (0, 2, False)]
    found = {}
    for kind in ("just below", "common pool"):
        found[kind, "tune"] = ratio(lambda texts: neardup.tune(texts, threads=1), HOSTILE[kind](n), ordinary(n), 1)
        found[kind, "evaluate"] = ratio(lambda texts: neardup.evaluate(texts, labels, threads=1), HOSTILE[kind](n), ordinary(n), 1)
    for (kind, job), (time_, memory) in found.items():
        record(f"{kind}, {job}, {n:,}", f"{time_} x time, {memory} x memory")
    return found


@pytest.mark.attack
def test_learning_from_look_alikes(record_property):
    """Tuning and evaluating at two sizes."""
    for n in (500, 1000):
        learning(n, record_property)
