"""Storms of threads, processes and forks on one index: nobody hangs, nothing is half seen, and in the end all is as it should be.

tests/test_index.py, test_disk.py and test_servers.py have pairs of what happens at once. Here all of it happens at once, and
the process is forked in the midst of it: a child uses what it has, or is refused in words, but never waits for a thread that
it does not have.
"""

import contextlib
import faulthandler
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial

import pytest

from neardup import DuplicateIdError, Index, UnknownDocumentError
from neardup.stores import disk
from neardup.stores.catalog import explained
from neardup.stores.forked import Lost, _tell

#: What an index in memory is verified by, and the other places where one may be.
IN_MEMORY = {"memory": "exact", "estimates": "estimate", "rarity": "rarity"}
STORES = [*IN_MEMORY, "disk", "postgres", "redis"]
THRESHOLD = 0.6
#: Seconds after which somebody hangs. All pairs of what is added in minutes take some.
PATIENCE = 60


def text(number):
    """A text, which five others are like."""
    return " ".join(f"w{number // 6 * 40 + j + 20 * (j == 3 + number % 6)}" for j in range(36))


@pytest.fixture(params=STORES)
def index(request, tmp_path, monkeypatch):
    """An index on each store; that on disk folds and merges after few documents."""
    for name, value in {"TAIL": 16, "BULK": 12, "SEGMENTS": 3}.items():
        monkeypatch.setattr(disk, name, value)
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    if request.param in IN_MEMORY:
        made = Index(THRESHOLD, verify=IN_MEMORY[request.param])
    elif request.param == "disk":
        made = Index.open(tmp_path / "index", THRESHOLD)
    else:
        made = Index.open(request.getfixturevalue(request.param).url(), THRESHOLD, name=secrets.token_hex(8))
    made.pairs()  # what is imported on the way is there before a fork: a lock of Python's own would be held for ever in a child
    with made:
        yield made
    sys.setswitchinterval(switching)


class Storm:
    """Threads that do all that can be done to an index until they are stopped; each writes ids of its own."""

    def __init__(self, index, seed, threads):
        self.index, self.done, self.errors = index, Counter(), []
        self.stopping = threading.Event()
        self.texts = [{} for _ in range(threads)]
        works = [partial(self.write, n, random.Random(seed + n)) for n in range(threads)]
        works += [partial(self.read, random.Random(seed - n - 1)) for n in range(threads)]
        self.threads = [threading.Thread(target=self.until_stopped, args=(work,), daemon=True) for work in works]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, error, *_):
        self.stopping.set()
        deadline = time.monotonic() + PATIENCE
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        hanging = [thread for thread in self.threads if thread.is_alive()]
        if hanging:
            faulthandler.dump_traceback()
        if error is None:
            assert not hanging
            if self.errors:
                raise self.errors[0]

    def until_stopped(self, work):
        """Work, and keep what goes wrong."""
        try:
            while not self.stopping.is_set():
                work()
        except Exception as error:  # noqa: BLE001  it is raised when the storm is over
            self.errors.append(error)
            self.stopping.set()

    def write(self, number, rng):
        """One change, and that it is seen at once."""
        texts, kind = self.texts[number], rng.choice(["add", "add_many", "update", "remove", "remove", "compact", "again"])
        new = max(texts, default=number * 1_000_000) + 1
        some = rng.choice(list(texts)) if texts else None
        if kind == "add" or some is None:
            self.index.add(new, text(new))
            texts[new] = text(new)
            assert new in self.index
        elif kind == "add_many":
            many = {new + i: text(new + i) for i in range(rng.randint(1, 30))}
            self.index.add_many(list(many), list(many.values()))
            texts |= many
        elif kind == "update":
            self.index.update(some, text(some + 6))
            texts[some] = text(some + 6)
        elif kind == "remove":
            self.index.remove(some)
            del texts[some]
            assert some not in self.index
            with pytest.raises(UnknownDocumentError):
                self.index.remove(some)
        elif kind == "again":
            with pytest.raises(DuplicateIdError):
                self.index.add(some, "a text")
        elif rng.random() < 0.1:
            self.index.compact()
        self.done[kind] += 1

    def read(self, rng):
        """One question, whose answer is right whatever the others do."""
        kind = rng.choice(["query", "query", "query_signatures", "query_many", "query_stored", "ids", "pairs", "stats"])
        place = rng.choice(self.texts)
        number = next(iter(list(place)), 1)
        if kind == "query":
            found = self.index.query(text(number))
            assert len({match.id for match in found}) == len(found)
            assert all(0 < match.similarity <= 1 for match in found)
        elif kind == "query_signatures":
            (found,) = self.index.query_signatures(self.index.minhash.sign_many([text(number)], threads=1, hashes=True))
            assert len({match.id for match in found}) == len(found)
        elif kind == "query_many":
            self.index.query_many([text(number), text(number + 1), "nothing of the kind"], threads=2)
        elif kind == "query_stored":
            with contextlib.suppress(UnknownDocumentError):
                assert number not in [match.id for match in self.index.query_stored(number)]
        elif kind == "ids":
            ids = self.index.ids()
            assert len(ids) == len(set(ids))
        elif rng.random() < 0.2:
            if kind == "pairs":
                assert all(row["a"] < row["b"] for row in self.index.pairs(threads=2).to_pylist())
            else:
                self.index.stats()
        self.done[kind] += 1

    def over(self, record_property):
        """That all is there that should be, found as in an index that was filled quietly."""
        texts = {id: words for place in self.texts for id, words in place.items()}
        assert sorted(self.index.ids()) == sorted(texts)
        if self.index.verify != "rarity":
            quiet = Index(THRESHOLD, verify=self.index.verify)
            quiet.add_many(list(texts), list(texts.values()))
            assert self.index.pairs() == quiet.pairs()
            some = list(texts.values())[::7]
            assert self.index.query_many(some) == quiet.query_many(some)
        assert self.index.check() == []
        for name, count in sorted(self.done.items()):
            record_property(name, count)


# ---- threads ---------------------------------------------------------------------------------------------------------------


def storm(index, record_property, seed, threads, seconds):
    """All at once, for some seconds."""
    with Storm(index, seed, threads) as storm:
        storm.stopping.wait(seconds)
    storm.over(record_property)


def test_a_storm_of_threads(index, record_property):
    """Three that write, and three that read."""
    storm(index, record_property, 1, 3, 2)


@pytest.mark.attack
def test_a_long_storm_of_threads(index, record_property):
    """Sixteen of each, for three minutes."""
    storm(index, record_property, random.randrange(2**32), 16, 180)


# ---- forks -----------------------------------------------------------------------------------------------------------------


def in_child(index, wishes):
    """What a forked child does; how often it was refused, in words."""
    refused = 0
    for wish in wishes:
        try:
            wish(index)
        except RuntimeError as error:  # noqa: PERF203  each is refused by itself
            if not any(words in str(error) for words in ("when this process was forked", "open it in this process")):
                raise
            refused += 1
    return refused


#: An id of a kind with the others, since on a server all of them see it.
OF_A_CHILD = 10**15

WISHES = {
    "query": lambda index: index.query(text(7)),
    "query_many": lambda index: index.query_many([text(n) for n in range(50)], threads=2),
    "ids": lambda index: (index.ids(), len(index), 7 in index),
    "pairs": lambda index: index.pairs(threads=2),
    "add": lambda index: (index.add(OF_A_CHILD, text(9)), index.remove(OF_A_CHILD)),
    "refresh": lambda index: (index.refresh(), index.query(text(7)), index.stats()),
    "unless": lambda index: index.add_unless_duplicate(OF_A_CHILD, text(1_000_000 * 99)) is None and index.remove(OF_A_CHILD),
    "close": lambda index: index.close(),
}


def forks(index, record_property, seed, threads, seconds):
    """Fork in the midst of a storm again and again; each child does some of what there is to do, and none hangs."""
    rng, codes = random.Random(seed), Counter()
    with Storm(index, seed, threads) as storm:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not storm.stopping.is_set():
            names = [*rng.sample(list(WISHES)[:-1], 3), "close"]
            child = os.fork()
            if not child:
                code = 9
                try:
                    faulthandler.register(signal.SIGALRM, chain=True)
                    signal.alarm(PATIENCE)
                    code = in_child(index, [WISHES[name] for name in names])
                except BaseException:  # noqa: BLE001  it is told
                    import traceback

                    traceback.print_exc()
                finally:
                    os._exit(code)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert 0 <= status <= len(names), f"a child that wished for {', '.join(names)} ended with {status}"
            codes["children"] += 1
            codes["wishes refused"] += status
            codes["wishes granted"] += len(names) - status
    storm.over(record_property)
    for name, count in codes.items():
        record_property(name, count)


def test_forks_in_a_storm(index, record_property):
    """Of few threads."""
    forks(index, record_property, 3, 2, 2)


@pytest.mark.attack
def test_forks_in_a_long_storm(index, record_property):
    """Of many, for three minutes."""
    forks(index, record_property, random.randrange(2**32), 8, 180)


FIRST_USE = """
import contextlib, os, signal, sys, threading
from neardup import MinHash
minhash, texts, begin = MinHash(), ["one and the same text", "Ünïcode", "\\ud800"], threading.Event()
tokens = MinHash(scheme="datasketch-affine32")
tokens.recipe(False)  # imports a part of numpy, which Python itself does not share with a child
def use():
    with contextlib.suppress(TypeError):
        minhash.sign_many([1])
    minhash.sign_many(texts, threads=2)
    tokens.sign_tokens_many([["a"]] * 3, threads=2)
threads = [threading.Thread(target=lambda: (begin.wait(), use())) for _ in range(3)]
for thread in threads:
    thread.start()
sys.setswitchinterval(1e-6)
begin.set()
hung = 0
for _ in range(8):
    child = os.fork()
    if not child:
        signal.alarm(10)
        use()
        os._exit(0)
    hung += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
sys.exit(hung)
"""


def test_a_fork_waits_for_sqlite(tmp_path):
    """Which holds locks of its own while it works, that a child would wait for."""
    inside, done = threading.Event(), []

    def work():
        with explained(tmp_path):
            inside.set()
            time.sleep(0.3)
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        os._exit(len(done))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    thread.join()


def first_uses(processes):
    """Processes that fork while their threads sign for the first time."""
    for _ in range(processes):
        assert subprocess.run([sys.executable, "-c", FIRST_USE], check=False, timeout=100).returncode == 0


def test_a_fork_at_the_first_use():
    """What is looked up once is looked up when the module is imported: no child waits for a thread that was about to."""
    first_uses(8)


@pytest.mark.attack
def test_forks_at_many_first_uses():
    """A thousand times, since one in eighty was enough to hang."""
    first_uses(1000)


def test_a_child_that_lost_an_index_forks_again(monkeypatch):
    """What it has in the index's place is passed over, and its other indexes are told of the fork."""
    lost, other = Index(THRESHOLD), Index(THRESHOLD)
    gone = Lost("an index", "fork before")
    monkeypatch.setattr(lost._store, "_table", gone)
    monkeypatch.setattr(lost._store, "look_up", gone)
    told = []
    monkeypatch.setattr(other._store, "forked", lambda: told.append(1), raising=False)
    _tell()
    assert told == [1]
    with pytest.raises(RuntimeError, match="another thread was at work on an index when this process was forked; fork before"):
        lost.query("a b c")
