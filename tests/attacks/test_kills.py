"""Processes killed at random, over all stores that outlive them: what was acknowledged is there, and nothing is half there.

tests/test_disk.py kills a writer once an index, tests/test_servers.py a few times. Here one index goes on through all kills, of
the writer, of its server, and of both; after each, all that it holds is compared with a dictionary, by its very bytes.
"""

import multiprocessing
import random
import secrets
import time
from collections import Counter
from itertools import islice

import kills_writer
import psycopg
import pytest
import servers
from conftest import running

from neardup import Index

STORES = ["disk", "postgres", "redis"]
#: Processes begin as copies of one that has read the library: most of the time of a writer would pass without one to kill, and a
#: limit would meet what is read and not the work (Python's parser calls want of memory an error of syntax).
FORKING = multiprocessing.get_context("forkserver")
STORES_READ = [f"neardup.stores.{store}" for store in ("places", "disk", "postgres", "redis")]
FORKING.set_forkserver_preload(["pytest", "kills_writer", "starved", "neardup.cli", "pyarrow", *STORES_READ])


class Place:
    """An index that is killed: where it is, and the server that has it, if any."""

    def __init__(self, kind, folder, server):
        self.kind, self.server = kind, server
        self.address = {"path": folder / "index"} if server is None else {"path": server.url(), "name": secrets.token_hex(8)}

    def left_alone(self):
        """Wait until a server has noticed that nobody is there any more: what was under way is done or never will be."""
        deadline = time.monotonic() + 60
        while self.others():
            assert time.monotonic() < deadline, "the server still has clients"
            time.sleep(0.01)

    def others(self):
        """How many are connected."""
        if self.kind == "postgres":
            asked = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
            with psycopg.connect(self.server.url()) as connection:
                return connection.execute(asked).fetchone()[0]
        if self.kind == "redis":
            import redis

            with redis.Redis.from_url(self.server.url()) as client:
                return len(client.client_list()) - 1
        return 0


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    """An index of no documents."""
    kinds = {"postgres": servers.Postgres, "redis": servers.Redis}
    if request.param == "disk":
        yield Place("disk", tmp_path, None)
        return
    for server in running(kinds[request.param]):
        if request.param == "postgres":
            from neardup.stores.postgres import migrate

            migrate(server.url())
        yield Place(request.param, tmp_path, server)


def contents(index):
    """Every document by its id: its shingles, and the fingerprints of its band keys where it has any."""
    found = {}
    for ids, batch in index._store.batches():
        for i, id in enumerate(ids):
            start, stop = batch.offsets[i : i + 2].tolist()
            found[id] = (
                int(batch.sizes[i]),
                batch.evidence[start:stop].tobytes(),
                batch.fingerprints[i].tobytes() if batch.sizes[i] else b"",
            )
    return found


def in_memory(texts):
    """An index of some texts."""
    index = Index(kills_writer.THRESHOLD)
    index.add_many(list(texts), list(texts.values()))
    return index


def killed(place, rng, seed, texts, seconds, done):
    """Let a writer work, and kill it; what it acknowledged, and whether it had begun."""
    ours, theirs = FORKING.Pipe(duplex=False)
    writer = FORKING.Process(target=kills_writer.write, args=(place.address, seed, texts, theirs), daemon=True)
    writer.start()
    theirs.close()
    said = []
    if rng.random() < 0.85 and ours.poll(60):  # the others are killed while they open it
        said.append(ours.recv())
    deadline = time.monotonic() + rng.uniform(0, seconds)
    of_server = time.monotonic() + rng.uniform(0, seconds) if place.server is not None and rng.random() < 0.3 else None
    try:
        while time.monotonic() < deadline:
            if of_server is not None and time.monotonic() > of_server:
                place.server.kill()
                done["kills of the server"] += 1
                of_server = None
                if rng.random() < 0.5:
                    place.server.start()
                    deadline = max(deadline, time.monotonic() + seconds)
                else:
                    break
            if ours.poll(0.01):
                said.append(ours.recv())
    except EOFError:
        done["ended by the server's"] += 1
    done["kills"] += writer.is_alive()
    writer.kill()
    writer.join()
    if place.server is not None and place.server.process.poll() is not None:
        place.server.start()
    try:
        while ours.poll(0):
            said.append(ours.recv())
    except (EOFError, OSError):
        pass
    ours.close()
    assert set(said) <= {"open", "done"}
    return max(len(said) - 1, 0)


def run(place, record_property, seed, seconds):
    """Kill writers for some seconds, and four at least."""
    rng, texts, done = random.Random(seed), {}, Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end or done["kills"] < 4:
        of_this = rng.randrange(2**32)
        acknowledged = killed(place, rng, of_this, texts, 0.5 if place.kind == "disk" else 1.0, done)
        place.left_alone()
        states = [texts, *(there for _, _, there in islice(kills_writer.operations(of_this, texts), acknowledged + 1))]
        with Index.open(**place.address, threshold=kills_writer.THRESHOLD) as index:
            there = contents(index)
            assert list(index.ids()) in [list(state) for state in states[-2:]], f"seed {of_this}, {acknowledged} acknowledged"
            for state in states[-2:]:
                memory = in_memory(state)
                if list(state) == index.ids() and there == contents(memory):
                    break
            else:
                pytest.fail(f"seed {of_this}, {acknowledged} operations acknowledged: what is there was never there")
            assert len(index) == len(state)
            assert index.pairs() == memory.pairs()
            assert index.check() == []
        done["operations"] += acknowledged
        done["changes in flight that were kept"] += state is states[-1] and contents(in_memory(states[-2])) != there
        texts = state
        done["most documents"] = max(done["most documents"], len(texts))
    for name, count in done.items():
        record_property(name, count)


def test_nothing_acknowledged_is_lost_to_kills(place, record_property):
    """For four seconds each."""
    run(place, record_property, 1, 4)


@pytest.mark.attack
def test_nothing_acknowledged_is_lost_to_kills_in_an_hour(place, record_property):
    """For twenty minutes each, an hour over all."""
    run(place, record_property, random.randrange(2**32), 20 * 60)
