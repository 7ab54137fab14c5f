"""Indexes on servers as their acceptance is written: a million documents, and a minute of sixteen processes.

Times are of a machine that others use too. So the processors' seconds are counted beside them: what a server and its client took.
"""

import itertools
import os
import statistics
import time
from pathlib import Path

import numpy as np
import psycopg
import pytest
import servers
from conftest import running
from test_servers import raw_redis, storm

from neardup import Index

pytestmark = pytest.mark.prove

DOCUMENTS, BATCH, WORDS = int(os.environ.get("NEARDUP_PROVE_DOCUMENTS", "1000000")), 100_000, 64
TICKS = os.sysconf("SC_CLK_TCK")


def texts(number):
    """A batch of texts of 64 words, 60 shingles; each tenth text is a near-duplicate of the one before."""
    rng = np.random.default_rng(number)
    words = np.array([f"word{i}" for i in range(50_000)], object)
    rows = words[rng.integers(0, len(words), (BATCH, WORDS))]
    rows[9::10] = rows[8::10]
    rows[9::10, 5] = "another"
    return [" ".join(row) for row in rows]


def processors(server):
    """Seconds of processors of a server and its processes, and of this one."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = path.read_text().partition(" ")
            fields = rest.rpartition(") ")[2].split()
        except OSError:
            continue
        if server.process.pid in (int(pid), int(fields[1])):
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total, time.process_time()


def timed(index, signatures, together, times):
    """Milliseconds a query, half and 99 of 100, when so many are asked together."""
    took = []
    for start in itertools.islice(itertools.cycle(range(0, len(signatures) - together, together)), times):
        part = signatures[start : start + together]
        begin = time.perf_counter()
        answers = index.query_signatures(part)
        took.append((time.perf_counter() - begin) * 1000 / together)
        assert all(answers)
    return np.percentile(took, [50, 99])


def measured(server, name, record_property):
    """Load, and ask; what it took."""
    with Index.open(server.url(), 0.8, name=name) as index:
        took, before, own, rates = 0.0, processors(server), 0.0, []
        for number in range(DOCUMENTS // BATCH):
            begin_own = time.process_time()
            signatures = index.minhash.sign_many(texts(number), hashes=True)
            own += time.process_time() - begin_own
            begin = time.perf_counter()
            index.add_signatures(range(number * BATCH, (number + 1) * BATCH), signatures)
            rates.append(BATCH / (time.perf_counter() - begin))
            took += BATCH / rates[-1]
        after = processors(server)
        record_property("load average", f"{os.getloadavg()[0]:.0f}")
        record_property("documents a second from signatures", f"{DOCUMENTS / took:,.0f} (batches {min(rates):,.0f} to {max(rates):,.0f})")
        record_property("processor us a document, server", f"{(after[0] - before[0]) / DOCUMENTS * 1e6:.1f}")
        record_property("processor us a document, client", f"{(after[1] - before[1] - own) / DOCUMENTS * 1e6:.1f}")
        asked = signatures[:5000]
        for together, times in ((1, 2000), (100, 100)):
            timed(index, asked, together, 50)
            before = processors(server)
            half, most = timed(index, asked, together, times)
            after = processors(server)
            record_property(f"ms a query, {together} together, p50", f"{half:.3f}")
            record_property(f"ms a query, {together} together, p99", f"{most:.3f}")
            record_property(f"processor ms a query, {together} together", f"{(sum(after) - sum(before)) / times / together * 1000:.3f}")
        postings = index.banding.bands * DOCUMENTS
        assert len(index) == DOCUMENTS
        took = []
        for i in range(200):
            begin = time.perf_counter()
            index.add(f"one-{i}", f"a text that is added alone, number {i}")
            index.remove(f"one-{i}")
            took.append(time.perf_counter() - begin)
        record_property("ms to add one and remove it, p50", f"{statistics.median(took) * 1000:.2f}")
        return index.stats().nbytes, postings


def test_a_million_documents_in_postgresql(record_property):
    """At most 120 bytes a posting, all included."""
    for server in running(servers.Postgres, "shared_buffers=2GB", "max_wal_size=8GB", "checkpoint_timeout=30min"):
        size, postings = measured(server, "million", record_property)
        record_property("bytes a posting, all included", f"{size / postings:.1f}")
        with psycopg.connect(server.url()) as raw:
            for table in ("postings", "entries", "documents"):
                (bytes_,) = raw.execute("select pg_total_relation_size(%s::regclass)", (f"neardup.{table}",)).fetchone()
                record_property(f"bytes a posting, {table}", f"{bytes_ / postings:.1f}")
        assert size / postings <= 120


def test_a_million_documents_in_redis(record_property):
    """At most 25 bytes a posting; beside it datasketch, as many as it takes in a reasonable time."""
    from datasketch import MinHash, MinHashLSH

    for server in running(servers.Redis, "--appendonly", "no"):
        raw = raw_redis(server)
        empty = raw.info("memory")["used_memory"]
        size, postings = measured(server, "million", record_property)
        used = raw.info("memory")["used_memory"] - empty
        blocks = sum(raw.memory_usage(key) for key in itertools.islice(raw.scan_iter("neardup:{million}:b:*", 4096), 20_000))
        share = int(raw.hget("neardup:{million}", "blocks")) * 21 / 20_000
        record_property("bytes a posting, postings alone", f"{blocks * max(share, 1) / postings:.1f}")
        record_property("bytes a posting, all included", f"{used / postings:.1f}")
        record_property("bytes a posting, as stats says", f"{size / postings:.1f}")
        assert blocks * max(share, 1) / postings <= 25
        many, before = 3000, raw.info("memory")["used_memory"]
        some = texts(0)[:many]
        signed = []
        for text in some:
            words = text.split()
            one = MinHash(128)
            one.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
            signed.append(one)
        storage = {"type": "redis", "basename": b"peer", "redis": {"host": "127.0.0.1", "port": server.port, "password": server.password}}
        peer = MinHashLSH(num_perm=128, params=(21, 6), storage_config=storage)
        begin = time.perf_counter()
        for i, one in enumerate(signed):
            peer.insert(f"doc-{i}", one)
        record_property("datasketch: documents a second", f"{many / (time.perf_counter() - begin):,.0f}")
        took = []
        for one in signed[:500]:
            begin = time.perf_counter()
            peer.query(one)
            took.append(time.perf_counter() - begin)
        record_property("datasketch: ms a query, p50", f"{statistics.median(took) * 1000:.3f}")
        peer_size = raw.info("memory")["used_memory"] - before
        record_property("datasketch: bytes a posting", f"{peer_size / many / 21:.0f}")
        with Index.open(server.url(), 0.8, name="beside") as index:
            signatures = index.minhash.sign_many(some, hashes=True)
            begin = time.perf_counter()
            index.add_signatures(range(many), signatures)
            record_property("beside it: documents a second", f"{many / (time.perf_counter() - begin):,.0f}")
            half, _ = timed(index, signatures, 1, 500)
            record_property("beside it: ms a query, p50", f"{half:.3f}")


@pytest.mark.parametrize("kind", [servers.Postgres, servers.Redis], ids=["postgresql", "redis"])
def test_a_minute_of_sixteen_processes(kind, record_property):
    """Never two accepted documents that share a band key and match."""
    for server in running(kind):
        accepted, groups = storm(server, "storm", 16, 60)
        record_property("accepted", accepted)
        record_property("groups", groups)
