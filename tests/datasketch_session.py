"""A conversation with datasketch of some version: requests come as lines of JSON, each is answered by one.

It runs in an environment of its own, which has the version of datasketch, and neardup at the end of its path.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import datasketch
import numpy as np
import xxhash
from datasketch.hashfunc import sha1_hash32

from neardup import Banding, Index, MinHash, Shingling
from neardup.interop.datasketch import from_datasketch, to_datasketch

HASHES = {"xxh32": xxhash.xxh32_intdigest, "xxh64": xxhash.xxh64_intdigest}
NEW = hasattr(datasketch.MinHash(num_perm=2), "scheme")
WORDS = Shingling(size=1)


def given(request: dict[str, Any]) -> dict[str, Any]:
    """How datasketch is told of a scheme, a seed and a hash."""
    options: dict[str, Any] = {"num_perm": request["num_perm"], "seed": request["seed"]}
    if NEW:
        options["scheme"] = request["scheme"]
    if request["token_hash"] != "sha1":
        options["hashfunc"] = HASHES[request["token_hash"]]
    return options


def minhash_of(request: dict[str, Any]) -> MinHash:
    """How neardup is told of the same."""
    scheme: Any = f"datasketch-{request['scheme']}"
    return MinHash(request["num_perm"], request["seed"], WORDS, scheme, request["token_hash"])


def corpus(request: dict[str, Any]) -> list[Any]:
    """The sketches of some texts, of their words."""
    sketches = []
    for text in request["texts"]:
        sketch = datasketch.MinHash(**given(request))
        for word in text.split():
            sketch.update(word.encode())
        sketches.append(sketch)
    return sketches


def sign(request: dict[str, Any]) -> Any:
    """The slots of documents given as lists of tokens in hexadecimal."""
    documents = [[bytes.fromhex(token) for token in tokens] for tokens in request["documents"]]
    return [sketch.hashvalues.tolist() for sketch in datasketch.MinHash.generator(documents, **given(request))]


def matches(index: Index, texts: list[str]) -> Any:
    """What each text matches."""
    return [[[match.id, match.similarity, match.containment] for match in found] for found in index.query_many(texts)]


def imported(request: dict[str, Any]) -> Any:
    """What texts match in an index of the sketches, whichever way they came; and what an index of the texts says."""
    minhash, sketches, texts = minhash_of(request), corpus(request), request["texts"]
    hashed: dict[str, Any] = {"token_hash": request["token_hash"], "shingling": WORDS}
    lean = [datasketch.LeanMinHash(sketch) for sketch in sketches]
    stored = []
    for sketch in lean:
        buffer = bytearray(sketch.bytesize("<"))
        sketch.serialize(buffer, "<")
        stored.append(bytes(buffer))
    ways = {
        "MinHash": from_datasketch(sketches, shingling=WORDS),
        "LeanMinHash": from_datasketch(lean, **hashed),
        "bytes": from_datasketch(stored, byteorder="<", **hashed),
        "again": from_datasketch(to_datasketch(from_datasketch(sketches, shingling=WORDS)), shingling=WORDS),
    }
    answers = {}
    for way, signatures in ways.items():
        assert signatures.minhash == minhash, way
        index = Index(request["threshold"], minhash=minhash, verify="estimate")
        index.add_signatures(range(len(texts)), signatures)
        answers[way] = matches(index, texts)
    here = Index(request["threshold"], minhash=minhash, verify="estimate")
    here.add_many(range(len(texts)), texts)
    answers["texts"] = matches(here, texts)
    # What datasketch itself says of the pairs.
    values = np.array([sketch.hashvalues for sketch in sketches])
    answers["jaccard"] = [(values == row).mean(axis=1).tolist() for row in values]
    answers["bytes equal"] = to_datasketch(ways["MinHash"], "bytes", byteorder="<") == stored
    counts = [sketch.count() for sketch in sketches]
    answers["counts"] = [counts, ways["MinHash"].counts.tolist()]
    return answers


def taken_over(request: dict[str, Any]) -> Any:
    """What texts match in an index that was a MinHashLSH, and in one of the same slots of the texts."""
    minhash, sketches, texts = minhash_of(request), corpus(request), request["texts"]
    lsh = datasketch.MinHashLSH(threshold=request["threshold"], num_perm=minhash.num_perm)
    for i, sketch in enumerate(sketches):
        lsh.insert(f"text {i}", sketch)
    index = from_datasketch(
        lsh, seed=minhash.seed, token_hash=minhash.token_hash, shingling=WORDS, threshold=request["threshold"], recall=0.9
    )
    cut = MinHash(lsh.b * lsh.r, minhash.seed, WORDS, minhash.scheme, minhash.token_hash, minhash.num_perm)
    assert index.minhash == cut, (index.minhash, cut)
    here = Index(request["threshold"], recall=0.9, minhash=cut, verify="estimate")
    here.add_many([f"text {i}" for i in range(len(texts))], texts)
    back = to_datasketch(minhash.sign_many(texts), "MinHashLSH", ids=range(len(texts)), banding=Banding(lsh.b, lsh.r))
    same = all(back.keys.get(i) == lsh.keys.get(f"text {i}") for i in range(len(texts)))
    queries = [sorted(lsh.query(sketch)) for sketch in to_datasketch(minhash.sign_many(texts))]
    return {
        "slots": index.minhash.num_perm,
        "index": matches(index, texts),
        "texts": matches(here, texts),
        "same tables": same,
        "queries": queries == [sorted(lsh.query(sketch)) for sketch in sketches],
    }


def refusals(_: dict[str, Any]) -> Any:
    """What is refused, and with which words."""
    said = {}

    def refused(name: str, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  whatever it says
            said[name] = f"{type(error).__name__}: {error}"

    sketch = datasketch.MinHash(num_perm=4)
    other = datasketch.MinHash(num_perm=4, hashfunc=lambda data: sha1_hash32(data) ^ 1)
    bent = datasketch.MinHash(num_perm=4)
    bent.permutations = (bent.permutations[0] + 2, bent.permutations[1])
    refused("seed", lambda: from_datasketch([sketch, datasketch.MinHash(num_perm=4, seed=2)]))
    refused("slots", lambda: from_datasketch([sketch, datasketch.MinHash(num_perm=8)]))
    refused("hash", lambda: from_datasketch(other))
    refused("named hash", lambda: from_datasketch(sketch, token_hash="xxh32"))
    refused("permutations", lambda: from_datasketch(bent))
    refused("one slot", lambda: from_datasketch(datasketch.MinHash(num_perm=1)))
    refused("weighted", lambda: from_datasketch(datasketch.WeightedMinHashGenerator(3, 4).minhash([1, 2, 3])))
    refused("weighted ones", lambda: from_datasketch([datasketch.WeightedMinHashGenerator(3, 4).minhash([1, 2, 3])]))
    weighted = datasketch.MinHashLSH(num_perm=4, params=(2, 2))
    weighted.insert("a", datasketch.WeightedMinHashGenerator(3, 4).minhash([1, 2, 3]))
    refused("weighted index", lambda: from_datasketch(weighted))
    for name, options in (("hashed index", {"hashfunc": lambda data: data[:4]}), ("pickled index", {"prepickle": True})):
        lsh = datasketch.MinHashLSH(num_perm=4, params=(2, 2), **options)
        lsh.insert("a", sketch)
        refused(name, lambda lsh=lsh: from_datasketch(lsh))
    keys = datasketch.MinHashLSH(num_perm=4, params=(2, 2))
    keys.insert(("a", 1), sketch)
    refused("keys", lambda: from_datasketch(keys))
    said["named keys"] = from_datasketch(keys, id=lambda key: key[0]).ids()
    refused("lattice", lambda: to_datasketch(MinHash().sign("a")))
    refused("kind", lambda: to_datasketch(from_datasketch(sketch), "LeanMinhash"))
    refused("ids", lambda: to_datasketch(from_datasketch([sketch]), "MinHashLSH"))
    if not NEW:
        refused("affine", lambda: to_datasketch(MinHash(scheme="datasketch-affine32").sign("a")))
    said["empty index"] = len(from_datasketch(datasketch.MinHashLSH(num_perm=4, params=(2, 2))))
    return said


def timed(request: dict[str, Any]) -> Any:
    """Seconds that datasketch takes for documents of distinct tokens, in its three ways, and neardup, in turn, run by run."""
    from time import perf_counter

    documents = [[f"token {i} of document {d}".encode() for i in range(request["tokens"])] for d in range(request["documents"])]
    minhash = minhash_of(request)
    taken: dict[str, list[float]] = {name: [] for name in ("bulk", "update_batch", "update", "one thread", "all threads")}
    for _ in range(request["runs"]):
        start = perf_counter()
        values = [sketch.hashvalues for sketch in datasketch.MinHash.generator(documents, **given(request))]
        taken["bulk"].append(perf_counter() - start)
        start = perf_counter()
        for document in documents:
            sketch = datasketch.MinHash(**given(request))
            sketch.update_batch(document)
        taken["update_batch"].append(perf_counter() - start)
        few = documents[: max(1, len(documents) // 20)]
        start = perf_counter()
        for document in few:
            sketch = datasketch.MinHash(**given(request))
            for token in document:
                sketch.update(token)
        taken["update"].append((perf_counter() - start) * len(documents) / len(few))
        for name, threads in (("one thread", 1), ("all threads", None)):
            start = perf_counter()
            signatures = minhash.sign_tokens_many(documents, threads=threads)
            taken[name].append(perf_counter() - start)
        assert np.array_equal(np.array(values), signatures.values)
    return taken


REQUESTS = {"sign": sign, "imported": imported, "taken over": taken_over, "refusals": refusals, "timed": timed}

if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(REQUESTS[request["do"]](request)), flush=True)  # noqa: T201  the answer
