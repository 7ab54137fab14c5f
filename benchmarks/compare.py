"""neardup beside its peers: text to signatures, and ready shingle hashes to signatures.

Every library has a process of its own. Rounds alternate: one of each library, then again, so that what disturbs the machine
disturbs all of them alike; ratios are of rounds that stood beside each other. Why not pytest-benchmark, which times one
thing after the other: on a shared machine that moves ratios by tens of percent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from corpus import of_length, stories
from peers import LIBRARIES
from results import Json, Watch, save

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "RAYON", "NUMBA", "OPENBLAS", "MKL")} | {
    "POLARS_MAX_THREADS": "1",
    "DO_NOT_TRACK": "1",
    "DAFT_PROGRESS_BAR": "0",
    "DAFT_ANALYTICS_ENABLED": "0",
}
HASHES = (10, 50, 200, 1_000, 10_000)
NUM_PERM = 128


def interpreter(name: str, peers_python: str) -> str:
    """Which Python a library runs in: neardup in this one, peers possibly in another."""
    return sys.executable if name.startswith("neardup") else peers_python


class Server:
    """A library in its process."""

    def __init__(self, name: str, peers_python: str) -> None:
        self.name = name
        command = [interpreter(name, peers_python), str(Path(__file__).with_name("peers.py")), "serve", name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD
        )
        self.hello = self.read()
        self.failure = self.hello.get("missing")

    def read(self) -> Json:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        lines = self.process.stderr.read().strip().splitlines()
        return {"missing": lines[-1] if lines else f"ended with {self.process.wait()}"}

    def ask(self, **request: Any) -> Json:
        """One request; a library that fails has a failure from then on."""
        if self.failure:
            return {}
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.read()
        self.failure = answer.get("missing")
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


def side_by_side(requests: dict[str, Json], peers_python: str, rounds: int, watch: Watch) -> Json:
    """Alternating rounds of what is asked, by label; the library is that of the label, or the "library" of the request.

    Of each what it says of itself and its rounds, or why there are none.
    """
    servers = {label: Server(request.get("library", label), peers_python) for label, request in requests.items()}
    try:
        asked = {label: {key: value for key, value in request.items() if key != "library"} for label, request in requests.items()}
        prepared = {label: server.ask(**asked[label]) for label, server in servers.items()}
        measured: dict[str, list[Json]] = {label: [] for label in servers}
        for _ in range(rounds):
            watch.beat()
            for label, server in servers.items():
                measured[label].append(server.ask())
        return {
            label: server.hello
            | (
                {"missing": server.failure}
                if server.failure
                else prepared[label] | {key: [round(m[key], 7) for m in measured[label]] for key in measured[label][0]}
            )
            for label, server in servers.items()
        }
    finally:
        for server in servers.values():
            server.close()


def text(peers_python: str, *, small: bool) -> None:
    """A list of strings to signatures, at about 3 KB a document and for real stories."""
    watch = Watch()
    texts, source = stories()
    documents = 400 if small else 4_000
    corpora = {"3 KB": of_length(texts, 3_200, documents), "stories": texts[:documents] if small else texts}
    data: Json = {"corpora": {}, "libraries": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, documents in corpora.items():
            path = Path(folder) / "texts.json"
            path.write_text(json.dumps(documents), encoding="utf-8")
            characters = sum(map(len, documents))
            data["corpora"][name] = {"source": source, "documents": len(documents), "bytes_each": characters / len(documents)}
            names = [name for name, library in LIBRARIES.items() if library.sign]
            seconds, rounds = (0.05, 3) if small else (0.3, 9)
            request = {"num_perm": NUM_PERM, "texts": str(path), "seconds": seconds}
            data["libraries"][name] = side_by_side(dict.fromkeys(names, request), peers_python, rounds, watch)
    save("text", data, watch, small=small)


def hashes(peers_python: str, *, small: bool) -> None:
    """Ready 64-bit shingle hashes to signatures."""
    watch = Watch()
    names = [name for name, library in LIBRARIES.items() if library.hashes]
    seconds, rounds = (0.02, 3) if small else (0.1, 9)
    data: Json = {"libraries": {}}
    for size in HASHES:
        documents = max(20, (100_000 if small else 1_000_000) // size)
        request = {"num_perm": NUM_PERM, "hashes": size, "documents": documents, "seconds": seconds}
        data["libraries"][str(size)] = side_by_side(dict.fromkeys(names, request), peers_python, rounds, watch)
    save("hashes", data, watch, small=small)
