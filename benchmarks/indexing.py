"""Indexes: adding and looking up beside rensa, and how neardup's grow.

python benchmarks/indexing.py growth PLACE DOCUMENTS     an index in "memory" or on "disk" of so many documents, in this process
python benchmarks/indexing.py crowds DOCUMENTS           boilerplate and a template among other documents
python benchmarks/indexing.py bound DOCUMENTS            recall in a template, with and without the bound of a look-up
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from compare import Server
from fresh import child
from peers import look_up_times, memory
from results import Json, Watch, save

import neardup

#: Shingles of a generated document, documents added at a time, look-ups timed.
SHINGLES, BATCH, LOOK_UPS = 20, 1 << 16, 4000


def beside(peers_python: str, *, small: bool) -> Json:
    """Adding signatures and looking up one document, neardup and rensa by turns; 16 bands of 8 rows."""
    documents, rounds = (20_000, 3) if small else (200_000, 9)
    measured: Json = {"documents": documents, "tasks": {}}
    for task in ("insert", "signature", "text"):
        servers = [Server(name, peers_python) for name in ("neardup", "rensa")]
        try:
            for server in servers:
                server.ask(index=task, documents=documents, num_perm=128, seconds=0)
            rows: dict[str, list[Json]] = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    rows[server.name].append(server.ask())
            measured["tasks"][task] = {s.name: {"missing": s.failure} if s.failure else {"rounds": rows[s.name]} for s in servers}
        finally:
            for server in servers:
                server.close()
    return measured


def section(peers_python: str, *, small: bool) -> None:
    """All of it; each index in a fresh process."""
    watch = Watch()
    data: Json = {"beside": beside(peers_python, small=small), "growth": {}}
    watch.beat()
    for place in ("memory", "disk"):
        for power in (4, 5) if small else (4, 5, 6, 7):
            data["growth"].setdefault(place, {})[str(10**power)] = child(sys.executable, __file__, "growth", place, str(10**power))
            watch.beat()
    data["crowds"] = child(sys.executable, __file__, "crowds", "20000" if small else "1000000")
    data["bound"] = child(sys.executable, __file__, "bound", "2000" if small else "20000")
    save("index", data, watch, small=small)


# ---- growth --------------------------------------------------------------------------------------------------------------


def batches(documents: int) -> Iterator[tuple[range, Any]]:
    """Documents of shingles drawn at random, so many at a time; the same for each number of them: uint64[n, SHINGLES]."""
    rng = np.random.default_rng(20261124)
    for start in range(0, documents, BATCH):
        n = min(BATCH, documents - start)
        yield range(start, start + n), np.sort(rng.integers(0, 2**64, (n, SHINGLES), np.uint64), axis=1)


def signed(minhash: neardup.MinHash, hashes: Any) -> neardup.Signatures:
    """The signatures of such documents."""
    return minhash.sign_hashes_many(hashes.ravel(), np.arange(len(hashes) + 1, dtype=np.uint64) * np.uint64(SHINGLES), hashes=True)


def p50(look_up: Callable[[Any], Any], asked: Sequence[Any]) -> float:
    """Median seconds of a look-up."""
    return median(look_up_times(look_up, asked))


def growth(place: str, documents: str) -> None:
    """Load an index, look up stored documents and others in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        index = neardup.Index() if place == "memory" else neardup.Index.open(path)
        some, loading = [], 0.0
        for ids, hashes in batches(int(documents)):
            signatures = signed(index.minhash, hashes)
            start = time.perf_counter()
            index.add_signatures(ids, signatures)
            loading += time.perf_counter() - start
            some.append(hashes[:: max(1, int(documents) // LOOK_UPS)].copy())
        there = signed(index.minhash, np.concatenate(some))
        stored = [there[i : i + 1] for i in range(len(there))]
        said: Json = {"documents": int(documents), "load": loading}
        if place == "disk":
            said["load_peak"] = memory("VmHWM")
            start = time.perf_counter()
            index.compact()
            said |= {"compact": time.perf_counter() - start, "compact_peak": memory("VmHWM")}
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            said["posting"] = (size - 4 * SHINGLES * int(documents)) / int(documents) / index.banding.bands
            index.close()
            start = time.perf_counter()
            index = neardup.Index.open(path)
            index.query_signatures(stored[0])
            said["open"] = time.perf_counter() - start
        else:
            said["bytes"] = index.stats().nbytes / int(documents)
        others = neardup.Index().minhash.sign_many([f"a text that is not there {i} of {i * i}" for i in range(LOOK_UPS)], hashes=True)
        fresh = [others[i : i + 1] for i in range(LOOK_UPS)]
        random.Random(1).shuffle(stored)
        for _ in range(2):  # the second time on disk it is warm
            said |= {"hit": p50(index.query_signatures, stored), "miss": p50(index.query_signatures, fresh)}
        if place == "disk":
            start = time.perf_counter()
            for i in range(1000):
                index.add(f"late {i}", f"a text that comes late {i}")
            said["adds"] = 1000 / (time.perf_counter() - start)
            index.close()
    print(json.dumps(said))


# ---- crowds --------------------------------------------------------------------------------------------------------------


def words(rng: random.Random, count: int) -> list[str]:
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(count)]


def crowds(documents: str) -> None:
    """A fifth of the documents one text, a tenth a template filled in, beside as many ordinary ones: adding, and adding unless duplicate."""
    rng, n = random.Random(7), int(documents)
    known = words(rng, 50_000)
    ordinary = [" ".join(rng.choices(known, k=40)) for _ in range(n)]
    said: Json = {"documents": n, "seconds": {}}
    corpora = {"none": ordinary, "none, and they left out": ordinary[: 7 * n // 10]}
    one, letter = " ".join(rng.choices(known, k=40)), rng.choices(known, k=40)
    for share in (20, 28, 36):
        filled = [" ".join(letter[:share] + rng.choices(known, k=40 - share)) for _ in range(n // 10)]
        corpora[f"{share} of 40 words are the template's"] = ordinary[: n - n // 5 - n // 10] + [one] * (n // 5) + filled
    for texts in corpora.values():
        rng.shuffle(texts)
    for name, texts in corpora.items():
        index = neardup.Index()
        start = time.perf_counter()
        index.add_many(range(len(texts)), texts, threads=1)
        added = time.perf_counter() - start
        index = neardup.Index()
        start = time.perf_counter()
        for id, text in enumerate(texts):
            index.add_unless_duplicate(id, text)
        said["seconds"][name] = {"add_many": added, "add_unless_duplicate": time.perf_counter() - start, "kept": len(index)}
    print(json.dumps(said))


def similar(a: Any, b: Any) -> bool:
    """Whether sets of distinct hashes are at the threshold."""
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both) >= 0.8


def bound(documents: str) -> None:
    """Of a template filled in, the pairs at the threshold that look-ups find: with the default bound, and with none that matters."""
    rng, n = random.Random(11), int(documents)
    known = words(rng, 50_000)
    letter = rng.choices(known, k=60)
    texts = []
    for _ in range(n):
        text = list(letter)
        for _ in range(rng.randint(0, 3)):
            text[rng.randrange(60)] = rng.choice(known)
        texts.append(" ".join(text))
    some = rng.sample(range(n), min(n, 100))
    said: Json = {"documents": n}
    sets = [neardup.Shingling().hashes(text) for text in texts]
    truth = {i: {j for j in range(n) if j != i and similar(sets[i], sets[j])} for i in some}
    for limit in (1000, 2**31):
        index = neardup.Index(bucket_limit=limit)
        index.add_many(range(n), texts)
        found = {i: {match.id for match in index.query(texts[i])} - {i} for i in some}
        said[str(limit)] = {
            "recall": sum(len(found[i] & truth[i]) for i in some) / sum(map(len, truth.values())),
            "matches": sum(map(len, truth.values())) / len(some),
            "any": sum(bool(found[i]) for i in some if truth[i]) / sum(bool(truth[i]) for i in some),
            "truncated": sum(index.query(texts[i]).truncated for i in some) / len(some),
            "p50": p50(index.query, [texts[i] for i in some]),
        }
    print(json.dumps(said))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    {"growth": growth, "crowds": crowds, "bound": bound}[sys.argv[1]](*sys.argv[2:])
