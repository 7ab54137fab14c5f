"""neardup and its peers, each by its fastest idiomatic path, in processes of their own.

    python benchmarks/peers.py serve NAME        rounds on request: one JSON object a line in, one out
    python benchmarks/peers.py settings NAME     the whole jobs it has
    python benchmarks/peers.py job NAME JOB IN OUT     one whole job in a fresh process; what it cost is printed

A library that is not installed says so. Libraries that take tokens are given the word 5-shingles of `str.split`, made in
Python, since that is what their users do; making them is part of the time wherever the input is text.
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

THRESHOLD = 0.8
SEED = 42
#: What a job gives: the pairs it found, or the documents that it would remove.
Found = dict[str, list[Any]]
Job = Callable[[list[str]], Found]


def shingles(text: str) -> list[str]:
    """The word 5-shingles of a text; a shorter text is one."""
    words = text.split()
    return (
        list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False))) if len(words) >= 5 else [" ".join(words)]
    )


class Containing(NamedTuple):
    """An index of texts: an excerpt to the places of texts that contain it, so far as it says, and those that do by what is kept."""

    look_up: Callable[[str], list[int]]
    #: What keeps the shingles of the texts and gives what verifies an answer; None where answers are verified.
    keep: Callable[[], Callable[[str, list[int]], list[int]]] | None
    about: dict[str, float]


def earlier(answers: Any) -> Found:
    """Pairs from what was found for each document, in order."""
    return {"pairs": [(int(j), i) for i, found in enumerate(answers) for j in found if j < i]}


class Library:
    """A library: how it is imported, and what it can do. What it cannot do is None."""

    package = ""
    module = ""
    note = ""

    def __init__(self) -> None:
        self.lib = importlib.import_module(self.module)

    #: Ready 64-bit shingle hashes, document i having flat[offsets[i]:offsets[i + 1]], to what signs them.
    hashes: Callable[[Any, Any, int], Callable[[], Any]] | None = None

    def column(self, texts: list[str]) -> Any:
        """Texts as `sign` takes them."""
        return texts

    #: Texts to signatures of `num_perm` slots.
    sign: Callable[[Any, int], Any] | None = None

    def jobs(self) -> dict[str, Job]:
        """Whole jobs, by the name of their settings."""
        return {}

    #: Signed documents of ready hashes to what adds them all to an index of 16 bands of 8 rows.
    insertion: Callable[[Any, Any], Callable[[], Any]] | None = None
    #: Texts of an index of 16 bands of 8 rows, and texts to look up, to what looks up each one, signed ("signature") or not.
    look_up: Callable[[list[str], list[str], str], tuple[Callable[[Any], Any], list[Any]]] | None = None

    #: The name of settings to what makes an index of texts for looking up excerpts of them.
    containing: Callable[[str], Callable[[list[str]], Containing]] | None = None


class NearDup(Library):
    package = module = "neardup"
    note = "MinHash.sign_many"

    def __init__(self) -> None:
        super().__init__()
        self.lib.MinHash, self.lib.deduplicate  # noqa: B018 - imported on first use
        importlib.import_module("pyarrow")

    def sign(self, texts: Any, num_perm: int) -> Any:
        return self.lib.MinHash(num_perm=num_perm).sign_many(texts, threads=1)

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        minhash = self.lib.MinHash(num_perm=num_perm)
        return lambda: minhash.sign_hashes_many(flat, offsets, threads=1)

    def _index(self, verify: str) -> Any:
        return self.lib.Index(THRESHOLD, minhash=self.lib.MinHash(num_perm=128), banding=self.lib.Banding(16, 8), verify=verify)

    def insertion(self, flat: Any, offsets: Any) -> Callable[[], Any]:
        signatures = self._index("estimate").minhash.sign_hashes_many(flat, offsets, threads=1)
        return lambda: self._index("estimate").add_signatures(range(len(signatures)), signatures, threads=1)

    def look_up(self, stored: list[str], asked: list[str], what: str) -> tuple[Callable[[Any], Any], list[Any]]:
        index = self._index("estimate" if what == "signature" else "exact")
        index.add_many(range(len(stored)), stored)
        if what == "text":
            return index.query, asked
        signatures = index.minhash.sign_many(asked)
        return index.query_signatures, [signatures[i : i + 1] for i in range(len(asked))]

    def containing(self, _: str) -> Callable[[list[str]], Containing]:
        def build(texts: list[str]) -> Containing:
            index = self.lib.Index(THRESHOLD, profile="excerpt")
            index.add_many(range(len(texts)), texts, threads=1)
            return Containing(lambda text: [match.id for match in index.query(text)], None, {"nbytes": index.stats().nbytes / len(texts)})

        return build

    def jobs(self) -> dict[str, Job]:
        def pairs(bands: int | None = None, rows: int = 0) -> Job:
            banding = self.lib.Banding(bands, rows) if bands else None
            return lambda texts: self._pairs(self.lib.deduplicate(texts, THRESHOLD, banding=banding, pairs="all", threads=1))

        return {
            "decisions, 21 x 6 (its default)": lambda texts: {
                "removed": [r.id for r in self.lib.deduplicate(texts, THRESHOLD, threads=1).removed]
            },
            "all pairs, 21 x 6 (its default)": pairs(),
            "all pairs, 16 x 8": pairs(16, 8),
        }

    @staticmethod
    def _pairs(result: Any) -> Found:
        table = result.pairs
        return {"pairs": list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)), "star": [True]}


class NearDupArrow(NearDup):
    note = "MinHash.sign_many of an Arrow column"

    hashes = None

    def column(self, texts: list[str]) -> Any:
        return importlib.import_module("pyarrow").array(texts)

    def jobs(self) -> dict[str, Job]:
        return {}


class NearDupAnyOrder(NearDup):
    """Hashes that do not ascend may repeat: neardup counts the distinct ones."""

    sign = None

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        import numpy as np

        shuffled = np.random.default_rng(0).permuted(flat.reshape(len(offsets) - 1, -1), axis=1).ravel()
        return super().hashes(shuffled, offsets, num_perm)

    def jobs(self) -> dict[str, Job]:
        return {}


class Datasketch(Library):
    package = module = "datasketch"
    note = "MinHash.bulk, sha1"

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, Any] = {}

    def sign(self, texts: Any, num_perm: int) -> Any:
        tokens = [[shingle.encode() for shingle in shingles(text)] for text in texts]
        return self.lib.MinHash.bulk(tokens, num_perm=num_perm, **self.options)

    def jobs(self) -> dict[str, Job]:
        return {"candidates, 16 x 8": self.candidates(params=(16, 8))}

    def candidates(self, **options: Any) -> Job:
        def job(texts: list[str]) -> Found:
            index = self.lib.MinHashLSH(threshold=THRESHOLD, num_perm=128, **options)
            pairs = []
            for i, signature in enumerate(self.sign(texts, 128)):
                pairs += [(j, i) for j in index.query(signature)]
                index.insert(i, signature, check_duplication=False)
            return {"pairs": pairs}

        return job


class DatasketchXxhash(Datasketch):
    note = "MinHash.bulk, hashfunc=xxhash.xxh32_intdigest"

    def __init__(self) -> None:
        super().__init__()
        self.options = {"hashfunc": importlib.import_module("xxhash").xxh32_intdigest}

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        flat = flat & 0xFFFFFFFF
        documents = [flat[a:b].tolist() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
        return lambda: self.lib.MinHash.bulk(documents, num_perm=num_perm, hashfunc=lambda ready: ready)

    def containing(self, weights: str) -> Callable[[list[str]], Containing]:
        """LSH Ensemble (Zhu, Nargesian, Pu and Miller, VLDB 2016), 16 partitions as by default; the weight of what is missed in per cent."""
        hashed = importlib.import_module("xxhash").xxh3_64_intdigest
        missed = int(weights) / 100
        index = self.lib.MinHashLSHEnsemble(threshold=THRESHOLD, num_perm=128, weights=(1 - missed, missed))  # works out its bands, once

        def build(texts: list[str]) -> Containing:
            sizes = [len(set(shingles(text))) for text in texts]
            index.index(list(zip(range(len(texts)), self.sign(texts, 128), sizes, strict=True)))
            about = {"postings": sum(lsh.b for lsh in index.indexes[0].values())}
            return Containing(look_up, lambda: keep(texts), about)

        def look_up(text: str) -> list[int]:
            (signature,) = self.sign([text], 128)
            return list(index.query(signature, len(set(shingles(text)))))

        def hashes(text: str) -> set[int]:
            return {hashed(shingle.encode()) for shingle in shingles(text)}

        def keep(texts: list[str]) -> Callable[[str, list[int]], list[int]]:
            kept = [hashes(text) for text in texts]

            def verify(text: str, found: list[int]) -> list[int]:
                own = hashes(text)
                return [i for i in found if len(own & kept[i]) >= THRESHOLD * len(own)]

            return verify

        return build

    def jobs(self) -> dict[str, Job]:
        return {
            "candidates, 9 x 13 (its default)": self.candidates(),
            "candidates, 16 x 8": self.candidates(params=(16, 8)),
            "candidates, 21 x 6": self.candidates(params=(21, 6)),
        }


class Rensa(Library):
    package = module = "rensa"
    note = "R-MinHash of the full set, digest_matrix_from_token_sets"

    def sign(self, texts: Any, num_perm: int) -> Any:
        return self.lib.RMinHash.digest_matrix_from_token_sets([shingles(text) for text in texts], num_perm, SEED)

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        return lambda: self.lib.RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, num_perm, SEED)

    def _index(self) -> Any:
        return self.lib.RMinHashLSH(THRESHOLD, 128, 16)

    def insertion(self, flat: Any, offsets: Any) -> Callable[[], Any]:
        signatures = self.hashes(flat, offsets, 128)()
        return lambda: self._index().insert_matrix(signatures, 0)

    def look_up(self, stored: list[str], asked: list[str], what: str) -> tuple[Callable[[Any], Any], list[Any]]:
        index = self._index()
        index.insert_matrix(self.sign(stored, 128), 0)

        def signed(text: str) -> Any:
            signature = self.lib.RMinHash(128, SEED)
            signature.update(shingles(text))
            return signature

        if what == "text":
            return lambda text: index.query(signed(text)), asked
        return index.query, [signed(text) for text in asked]

    def jobs(self) -> dict[str, Job]:
        def candidates(bands: int, num_perm: int) -> Job:
            def job(texts: list[str]) -> Found:
                signatures = self.lib.RMinHash.from_token_sets([shingles(text) for text in texts], num_perm, SEED)
                index = self.lib.RMinHashLSH(THRESHOLD, num_perm, bands)
                index.insert_many(signatures)
                return earlier(index.query_all(signatures))

            return job

        def removals(texts: list[str]) -> Found:
            remover = self.lib.RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
            kept = remover.add_pairs((str(i), shingles(text)) for i, text in enumerate(texts))
            return {"removed": [i for i, keep in enumerate(kept) if not keep]}

        return {"candidates, 16 x 8": candidates(16, 128), "candidates, 21 x 6": candidates(21, 126), "RMinHashDeduplicator": removals}


class RensaRho(Rensa):
    note = "rho: a sample of the token places, not the full set; digest_matrix_from_token_sets_rho"

    def sign(self, texts: Any, num_perm: int) -> Any:
        return self.lib.RMinHash.digest_matrix_from_token_sets_rho([shingles(text) for text in texts], num_perm, SEED)

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        return lambda: self.lib.RMinHash.digest_matrix_from_flat_token_hashes_rho(flat, offsets, num_perm, SEED)

    def jobs(self) -> dict[str, Job]:
        def flags(bands: int) -> Job:
            def job(texts: list[str]) -> Found:
                index = self.lib.RMinHashLSH(THRESHOLD, 128, bands)
                flagged = index.query_duplicate_flags_matrix_one_shot(self.sign(texts, 128))
                return {"removed": [i for i, flag in enumerate(flagged) if flag]}

            return job

        return {"flags, 8 x 16 (as published)": flags(8), "flags, 16 x 8": flags(16)}


class FastSketch(Library):
    package, module = "fastsketchlsh", "FastSketchLSH"
    note = "FastSimilaritySketch.batch"

    def sketch(self, num_perm: int) -> Any:
        return self.lib.FastSimilaritySketch(size=num_perm, seed=SEED)

    def sign(self, texts: Any, num_perm: int) -> Any:
        return self.sketch(num_perm).batch([shingles(text) for text in texts], num_threads=1)

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        return lambda: self.sketch(num_perm).batch_csr(flat, offsets, prehashed=True, num_threads=1)

    def jobs(self) -> dict[str, Job]:
        def candidates(bands: int, num_perm: int) -> Job:
            def job(texts: list[str]) -> Found:
                signatures = self.sign(texts, num_perm)
                index = self.lib.LSH(num_perm=num_perm, num_bands=bands, num_threads=1)
                index.insert(signatures)
                return earlier(index.query(signatures))

            return job

        return {"candidates, 16 x 8": candidates(16, 128), "candidates, 32 x 8 of 256 slots": candidates(32, 256)}


class Gaoya(Library):
    package, module = "gaoya", "gaoya.minhash"
    note = "MinHashStringIndex(ngram_range=(5, 5), hash_size=32), bulk_hash_docs"

    def index(self, bands: int, rows: int, least: float = THRESHOLD) -> Any:
        return self.lib.MinHashStringIndex(
            hash_size=32,
            jaccard_threshold=least,
            num_bands=bands,
            band_size=rows,
            analyzer="word",
            lowercase=False,
            ngram_range=(5, 5),
            id_container="smallvec",
        )

    def sign(self, texts: Any, num_perm: int) -> Any:
        return self.index(num_perm // 8, 8).minhash_index.bulk_hash_docs(texts)

    def jobs(self) -> dict[str, Job]:
        def estimated(bands: int, rows: int, least: float) -> Job:
            def job(texts: list[str]) -> Found:
                index, pairs = self.index(bands, rows, least), []
                for i, text in enumerate(texts):
                    pairs += [(j, i) for j in index.query(text)]
                    index.insert_document(i, text)
                return {"pairs": pairs}

            return job

        return {
            "pairs of estimate 0.8 and more, 16 x 8": estimated(16, 8, 0.8),
            "pairs of estimate 0.7 and more, 16 x 8": estimated(16, 8, 0.7),
            "pairs of estimate 0.7 and more, 21 x 6": estimated(21, 6, 0.7),
        }


class Daft(Library):
    package = module = "daft"
    note = "minhash(ngram_size=5, hash_function='xxhash') of a DataFrame column; it has no index"

    def __init__(self) -> None:
        super().__init__()
        self.lib.set_runner_native(num_threads=1)

    def sign(self, texts: Any, num_perm: int) -> Any:
        frame = self.lib.from_pydict({"text": texts})
        signed = self.lib.col("text").minhash(num_hashes=num_perm, ngram_size=5, seed=1, hash_function="xxhash")
        return frame.select(signed.alias("signature")).to_arrow()


class Sourmash(Library):
    package = module = "sourmash"
    note = "MinHash(n=K) of xxh3-64 hashes: bottom K; it has no banded index"

    def __init__(self) -> None:
        super().__init__()
        self.hash = importlib.import_module("xxhash").xxh3_64_intdigest

    def sketches(self, documents: Any, num_perm: int) -> Any:
        out = []
        for hashes in documents:
            sketch = self.lib.MinHash(n=num_perm, ksize=31)
            sketch.add_many(hashes)
            out.append(sketch)
        return out

    def sign(self, texts: Any, num_perm: int) -> Any:
        return self.sketches(([self.hash(shingle.encode()) for shingle in shingles(text)] for text in texts), num_perm)

    def hashes(self, flat: Any, offsets: Any, num_perm: int) -> Callable[[], Any]:
        documents = [flat[a:b].tolist() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
        return lambda: self.sketches(documents, num_perm)


LIBRARIES: dict[str, type[Library]] = {
    "neardup": NearDup,
    "neardup, Arrow": NearDupArrow,
    "neardup, any order": NearDupAnyOrder,
    "daft": Daft,
    "gaoya": Gaoya,
    "rensa": Rensa,
    "rensa rho": RensaRho,
    "fastsketchlsh": FastSketch,
    "sourmash": Sourmash,
    "datasketch": Datasketch,
    "datasketch, xxhash": DatasketchXxhash,
}


class Clock:
    """CPU seconds of all threads of this process, and wall seconds."""

    def __enter__(self) -> Self:
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu, self.wall = time.process_time() - self.cpu, time.perf_counter() - self.wall


def memory(field: str) -> int:
    """VmRSS or VmHWM of this process in bytes; where there is no such thing, the peak."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return int(status.split(field + ":")[1].split()[0]) * 1024


def reset_peak() -> None:
    """Let the peak begin at what is used now, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak cannot be reset; it is that of the whole process", file=sys.stderr)


class WithoutPandas:
    """Keeps pandas from being imported: pyarrow does that where it is installed, and no work here needs it."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=name)


def load(name: str) -> tuple[Library | None, dict[str, Any]]:
    """A library, and what it says about itself: version and cost of importing, or that it is missing."""
    kind = LIBRARIES[name]
    sys.meta_path.insert(0, WithoutPandas())
    try:
        with Clock() as clock:
            library = kind()
        return library, {"version": version(kind.package), "import_cpu": clock.cpu, "import_wall": clock.wall, "note": kind.note}
    except (ImportError, PackageNotFoundError) as error:
        return None, {"missing": f"{type(error).__name__}: {error}"}


class Work(NamedTuple):
    """What a round does: so many documents, of so many bytes, so often; and what was seen before the first."""

    run: Callable[[], Any]
    documents: int
    bytes: int
    repeat: int = 1
    about: dict[str, float] | None = None


def look_up_times(look_up: Callable[[Any], Any], asked: Sequence[Any], clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Seconds of each look-up, wall seconds by default."""
    times = []
    for one in asked:
        start = clock()
        look_up(one)
        times.append(clock() - start)
    return times


def middle_and_worst(look_up: Callable[[Any], Any], asked: Sequence[Any]) -> dict[str, float]:
    """CPU seconds of a look-up: the median, and what one in a hundred takes at least, which is no matter of other processes."""
    times = look_up_times(look_up, asked, time.process_time)
    return {"p50": median(times), "p99": quantiles(times, n=100)[-1]}


def calibrate(work: Callable[[int], Work], documents: int, seconds: float) -> Work:
    """Work of about ``seconds`` a round: on some of the documents, or on all of them as often as that takes."""
    some = min(16, documents)
    work(some).run()
    while True:
        with Clock() as clock:
            work(some).run()
        if some == documents or clock.cpu > seconds / 4:
            break
        some = min(documents, some * 4)
    fitting = max(16, round(some * seconds / clock.cpu))
    return work(fitting) if fitting < documents else work(documents)._replace(repeat=max(1, round(fitting / documents)))


def prepare(library: Any, request: dict[str, Any]) -> Work:
    if "excerpts" in request:
        return prepare_excerpts(library, **request)
    if "task" in request:
        return prepare_settings(library, **request)
    num_perm, seconds = request["num_perm"], request["seconds"]
    if "texts" in request:
        texts = json.loads(Path(request["texts"]).read_text(encoding="utf-8"))

        def sign(documents: int) -> Work:
            some = [texts[i * len(texts) // documents] for i in range(documents)]
            column = library.column(some)
            return Work(lambda: library.sign(column, num_perm), documents, sum(len(text.encode()) for text in some))

        return calibrate(sign, len(texts), seconds)
    if "index" in request:
        return prepare_index(library, request["index"], request["documents"])
    import numpy as np

    size, most = request["hashes"], request["documents"]
    flat = np.sort(np.random.default_rng(size).integers(0, 2**64, (most, size), dtype=np.uint64)).ravel()  # sets, as they are stored
    offsets = np.arange(most + 1, dtype=np.uint64) * np.uint64(size)

    def sign_hashes(documents: int) -> Work:
        return Work(library.hashes(flat[: documents * size], offsets[: documents + 1], num_perm), documents, 8 * size * documents)

    return calibrate(sign_hashes, most, seconds)


def prepare_index(library: Any, task: str, documents: int) -> Work:
    """Adding signed documents, or looking up texts of 3 KB: half of them stored ones with a word changed, half others."""
    import random

    import numpy as np

    rng = random.Random(3)
    if task == "insert":
        flat = np.sort(np.random.default_rng(3).integers(0, 2**64, (documents, 20), dtype=np.uint64)).ravel()
        return Work(library.insertion(flat, np.arange(documents + 1, dtype=np.uint64) * np.uint64(20)), documents, 0)
    known = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(20_000)]
    stored = [" ".join(rng.choices(known, k=40)) for _ in range(documents)]
    long = [rng.choices(known, k=470) for _ in range(1000)]
    stored += map(" ".join, long)
    changed = [" ".join([*text[:200], "changed", *text[201:]]) for text in long]
    asked = [text for pair in zip(changed, (" ".join(rng.choices(known, k=470)) for _ in long), strict=True) for text in pair]
    call, asked = library.look_up(stored, asked, task)

    def run() -> dict[str, float]:
        times = look_up_times(call, asked)
        return {"p50": median(times), "p50_of_stored": median(times[::2]), "p50_of_others": median(times[1::2])}

    return Work(run, len(asked), 0)


def prepare_settings(library: Any, task: str, settings: dict[str, Any], texts: str) -> Work:
    """With some settings of neardup: texts into an index, a whole job, or look-ups, half of them of stored texts with a word changed."""
    documents: list[str] = json.loads(Path(texts).read_text(encoding="utf-8"))
    shingling = library.lib.Shingling(**settings["shingling"]) if "shingling" in settings else None
    options = {"profile": settings.get("profile", "text"), "shingling": shingling}

    def add(some: list[str]) -> Any:
        index = library.lib.Index(**options)
        index.add_many(range(len(some)), some, threads=1)
        return index

    if task == "look up":
        many = min(150, len(documents) // 4)
        step = len(documents) // many
        asked, stored = documents[::step][:many], [text for i, text in enumerate(documents) if i % step]
        for text in stored[:: len(stored) // many][:many]:
            words = text.split()
            asked.append(" ".join([*words[: len(words) // 2], "changed", *words[len(words) // 2 + 1 :]]))
        index = add(stored)
        about = {"nbytes": index.stats().nbytes / len(stored), "first": look_up_times(index.query, asked[:1], time.process_time)[0]}
        return Work(lambda: middle_and_worst(index.query, asked), len(asked), 0, about=about)
    work = add if task == "add" else lambda some: library.lib.deduplicate(some, threads=1, **options)
    work(documents[:50])
    gc.collect()
    reset_peak()
    before = memory("VmRSS")

    def run() -> dict[str, float]:
        work(documents)
        return {"working": memory("VmHWM") - before}

    return Work(run, len(documents), sum(len(text.encode()) for text in documents))


def prepare_excerpts(library: Any, excerpts: str, settings: str, found: str) -> Work:
    """An index of texts built, which is timed too, and excerpts looked up in it; what is found goes to a file."""
    asked, stored = json.loads(Path(excerpts).read_text(encoding="utf-8"))
    build = library.containing(settings)
    gc.collect()
    before = memory("VmRSS")
    with Clock() as clock:
        index = build(stored)
    gc.collect()
    grown = memory("VmRSS")
    about = index.about | {"build_cpu": clock.cpu, "build_wall": clock.wall, "grown": (grown - before) / len(stored)}
    verify = index.keep() if index.keep else None
    about["kept"] = (memory("VmRSS") - before) / len(stored)
    answers = [index.look_up(text) for text in asked]
    verified = [verify(text, answer) for text, answer in zip(asked, answers, strict=True)] if verify else answers
    Path(found).write_text(json.dumps({"own": answers, "verified": verified}), encoding="utf-8")

    def run() -> dict[str, float]:
        more = middle_and_worst(index.look_up, asked)
        if verify:
            both = middle_and_worst(lambda text: verify(text, index.look_up(text)), asked)
            more |= {f"{key}_verified": value for key, value in both.items()}
        return more

    return Work(run, len(stored), sum(len(text.encode()) for text in stored), about=about)


def serve(name: str) -> None:
    """Answer requests: {"texts": file}, {"hashes": n}, {"index": task}, {"task": task} or {"excerpts": file}, to prepare; {} for one round."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    library, hello = load(name)
    print(json.dumps(hello), file=answers, flush=True)
    work = Work(print, 0, 0)
    for line in sys.stdin:
        request = json.loads(line)
        if request:
            work = Work(print, 0, 0)  # what was prepared before is let go first
            work = prepare(library, request)
            answer: dict[str, Any] = {"documents": work.documents, "bytes": work.bytes, "repeat": work.repeat} | (work.about or {})
        else:
            with Clock() as clock:
                for _ in range(work.repeat):
                    more = work.run()
            answer = {"cpu": clock.cpu / work.repeat, "wall": clock.wall / work.repeat} | (more if isinstance(more, dict) else {})
        print(json.dumps(answer), file=answers, flush=True)


def settings(name: str) -> None:
    """The jobs that a library has."""
    library, hello = load(name)
    print(json.dumps(hello | {"jobs": list(library.jobs()) if library else []}))


def job(name: str, setting: str, source: str, target: str) -> None:
    """One whole job, texts to pairs or decisions; its answer goes to a file, its cost is printed."""
    library, cost = load(name)
    if library is not None:
        with Clock() as reading:
            texts = json.loads(Path(source).read_text(encoding="utf-8"))
        work, before = library.jobs()[setting], memory("VmRSS")
        with Clock() as clock:
            found = work(texts)
        cost |= {"read_cpu": reading.cpu, "cpu": clock.cpu, "wall": clock.wall, "rss": before, "peak_rss": memory("VmHWM")}
        Path(target).write_text(json.dumps(found), encoding="utf-8")
    print(json.dumps(cost))


if __name__ == "__main__":
    {"serve": serve, "settings": settings, "job": job}[sys.argv[1]](*sys.argv[2:])
