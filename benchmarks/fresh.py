"""What is measured in fresh processes: whole jobs beside the peers, the memory of signing a large column, two threads.

python benchmarks/fresh.py column BYTES CHUNKS     sign an Arrow column of this size; its memory is printed
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import judge
import numpy as np
from compare import ONE_THREAD, interpreter
from corpus import generate, of_length, only_words, plant, stories
from peers import LIBRARIES, THRESHOLD, memory, reset_peak
from results import Json, Watch, save

#: A job is not repeated once it has taken so many seconds.
ENOUGH = 12.0
HERE = Path(__file__).parent


def child(python: str, *arguments: str) -> Json:
    """What a process prints as its last line; why it has failed where it has."""
    try:
        run = subprocess.run([python, *arguments], env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"missing": str(error)}
    lines = (run.stderr if run.returncode else run.stdout).strip().splitlines()
    return json.loads(lines[-1]) if lines and not run.returncode else {"missing": lines[-1] if lines else f"ended with {run.returncode}"}


def corpora(*, small: bool) -> dict[str, tuple[str, list[str]]]:
    """The corpora of whole jobs, with what they are: words alone, so that all libraries see the same ones."""
    texts, source = stories()
    words = [text for text in map(only_words, texts) if text.count(" ") >= judge.SIZE - 1]
    pages = plant([page.strip() for page in of_length(words, 3_200, 600 if small else 4_000)], 0.2).texts
    return {
        "3 KB": (f"{source}, cut to 3,200 characters, a fifth of the documents edited copies", pages),
        "stories": (source, words[:3_000] if small else words),
    }


def jobs(peers_python: str, *, small: bool) -> None:
    """Texts in, pairs or decisions out: cost, peak memory, recall and precision. Rounds alternate."""
    watch = Watch()
    peers = str(HERE / "peers.py")
    data: Json = {"threshold": THRESHOLD, "corpora": {}, "jobs": {}, "libraries": {}}
    names = [name for name in LIBRARIES if not name.startswith("neardup,")]
    for name in names:
        data["libraries"][name] = child(interpreter(name, peers_python), peers, "settings", name)
    todo = [(name, setting) for name in names for setting in data["libraries"][name].get("jobs", ())]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.json", Path(folder) / "found.json"
        for corpus, (origin, texts) in corpora(small=small).items():
            source.write_text(json.dumps(texts), encoding="utf-8")
            shingles = judge.number_shingles(texts)
            truth = judge.join(shingles, THRESHOLD)
            data["corpora"][corpus] = {"source": origin, "documents": len(texts), "bytes": sum(map(len, texts)), "pairs": len(truth)}
            rows: dict[str, Json] = {}
            for _ in range(2 if small else 3):
                watch.beat()
                for name, setting in todo:
                    row = rows.setdefault(f"{name}: {setting}", {"library": name, "setting": setting, "rounds": []})
                    if "missing" in row or sum(r["cpu"] for r in row["rounds"]) > ENOUGH:
                        continue
                    cost = child(interpreter(name, peers_python), peers, "job", name, setting, str(source), str(target))
                    if "missing" in cost:
                        row["missing"] = cost["missing"]
                        continue
                    if not row["rounds"]:
                        row |= judged(json.loads(target.read_text(encoding="utf-8")), shingles, truth)
                    keys = ("import_cpu", "import_wall", "read_cpu", "cpu", "wall", "rss", "peak_rss")
                    row["rounds"].append({key: round(cost[key], 4) for key in keys})
            data["jobs"][corpus] = list(rows.values())
    save("jobs", data, watch, small=small)


def judged(found: Json, shingles: judge.Shingles, truth: dict[judge.Pair, float]) -> Json:
    """How good an answer is."""
    if "removed" in found:
        quality = judge.judge_removed(set(found["removed"]), truth)
        kind, number = "removed", len(found["removed"])
    else:
        pairs = {(min(a, b), max(a, b)) for a, b in found["pairs"] if a != b}
        if found.get("star"):
            pairs = judge.written_out(pairs, shingles)
        quality, kind, number = judge.judge_pairs(pairs, truth), "pairs", len(pairs)
    return {"kind": kind, "found": number, "recall": round(quality.recall, 4), "precision": round(quality.precision, 4)}


def column_of(size: int, chunks: int) -> Any:
    """An Arrow column of ``size`` bytes in documents of 3,200, made without working memory."""
    import pyarrow as pa

    block = np.frombuffer("".join(of_length(generate(500, 500), 3_200, 500)).encode(), np.uint8)
    documents = size // chunks // 3_200
    parts = []
    for _ in range(chunks):
        data = np.empty(documents * 3_200, np.uint8)
        for start in range(0, len(data), len(block)):
            data[start : start + len(block)] = block[: len(data) - start]
        offsets = np.arange(documents + 1, dtype=np.int64) * 3_200
        parts.append(pa.LargeStringArray.from_buffers(documents, pa.py_buffer(offsets), pa.py_buffer(data)))
    return parts[0] if chunks == 1 else pa.chunked_array(parts)


def column(size: str, chunks: str) -> None:
    """Sign a column in this process; its memory before, at the peak, and of the result."""
    import neardup

    texts = column_of(int(size), int(chunks))
    neardup.MinHash().sign_many(["what is loaded on first use"], threads=2)
    gc.collect()
    reset_peak()
    before = memory("VmRSS")
    signatures = neardup.MinHash().sign_many(texts, threads=2)
    peak = memory("VmHWM")
    result = signatures.values.nbytes + signatures.counts.nbytes
    print(json.dumps({"bytes": texts.nbytes, "documents": len(texts), "before": before, "peak": peak, "result": result}))


def column_memory(peers_python: str, *, small: bool) -> None:  # noqa: ARG001 - neardup alone
    """The memory of signing a large Arrow column, in one piece and in chunks."""
    watch = Watch()
    size = 50_000_000 if small else 1_000_000_000
    columns = {name: child(sys.executable, __file__, "column", str(size), str(n)) for name, n in (("one piece", 1), ("16 chunks", 16))}
    save("memory", {"columns": columns}, watch, small=small)


def threads(peers_python: str, *, small: bool) -> None:  # noqa: ARG001 - neardup alone
    """One thread and two, by turns; wall seconds."""
    import pyarrow as pa

    import neardup

    watch = Watch()
    size = 3_200_000 if small else 64_000_000
    documents = of_length(stories().texts, 3_200, size // 3_200)
    share = len(documents) // 10
    uneven = [*documents[:share], "\n".join(documents[share : 3 * share]), *documents[3 * share :]]
    minhash = neardup.MinHash()
    data: Json = {"texts": {}}
    for name, texts in {"documents of 3 KB": documents, "a fifth of the text in one document": uneven}.items():
        texts_column = pa.array(texts, pa.large_string())
        walls: dict[str, list[float]] = {"1": [], "2": []}
        for _ in range(3 if small else 15):
            watch.beat()
            for number, wall in walls.items():
                start = time.perf_counter()
                minhash.sign_many(texts_column, threads=int(number))
                wall.append(round(time.perf_counter() - start, 6))
        data["texts"][name] = {"bytes": size, "wall": walls}
    save("threads", data, watch, small=small)


if __name__ == "__main__":
    column(*sys.argv[2:])
