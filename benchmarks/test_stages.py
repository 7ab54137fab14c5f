"""Each stage alone, on real text where there is some: `just bench stages`, or `pytest benchmarks`.

Every figure is of one core, in CPU seconds. `extra_info` says what a round handles; the throughput computed from the median
is printed at the end.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from compare import HASHES
from corpus import LANGUAGES, Text, hostile, in_language, of_length, of_size, stories
from peers import NearDup

import neardup
from neardup import _kernels, dedup
from neardup.joins import Join, Sets, Signed
from neardup.stores import StoreBatch
from neardup.work import Work

pytestmark = pytest.mark.benchmark(timer=time.process_time, disable_gc=True)

BANDING = neardup.Banding(21, 6)
PATHS = _kernels.PATHS
Measure = Callable[..., None]


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> int:
    """Bytes that a round handles."""
    return 640_000 if request.config.getoption("--small") else 6_400_000


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    """Time some work, with what one round of it handles and how the page names it; and, before each round, what it is judged beside."""
    rounds = 3 if request.config.getoption("--small") else 11

    def run(
        work: Callable[[], Any],
        group: str,
        label: str,
        texts: list[str] | None = None,
        *,
        documents: int = 0,
        beside: Callable[[], Any] = lambda: None,
        **extra: Any,
    ) -> None:
        other = []

        def ahead() -> None:
            start = time.process_time()
            beside()
            other.append(time.process_time() - start)

        if texts is not None:
            documents, extra["bytes"] = len(texts), sum(len(text.encode()) for text in texts)
        benchmark.extra_info.update({"bytes": 0, "group": group, "label": label, "documents": documents} | extra)
        benchmark.pedantic(work, setup=ahead, rounds=rounds, warmup_rounds=1)
        benchmark.extra_info["beside"] = [round(seconds, 8) for seconds in other[-rounds:]]

    return run


@pytest.fixture(scope="session")
def text(request: pytest.FixtureRequest) -> Text:
    texts, source = stories()
    return Text(texts[:2_000] if request.config.getoption("--small") else texts, source)


@pytest.fixture(scope="session")
def pages(text: Text, size: int) -> list[str]:
    return of_length(text.texts, 3_200, size // 3_200)


@pytest.fixture(scope="session")
def batch(text: Text) -> StoreBatch:
    return StoreBatch.of(neardup.MinHash().sign_many(text.texts, hashes=True), BANDING)


def tokens_of(texts: list[str]) -> int:
    """How many tokens texts have."""
    return sum(len(_kernels.tokens(text, neardup.Shingling().chars)[1]) // 2 for text in texts)


def recipe(path: str | None = None, floor: str | None = None, *, hashes: bool = False) -> dict[str, Any]:
    """How the kernels sign; ``floor`` names the last stage that is done."""
    return {**neardup.MinHash().recipe(hashes), "path": path, "floor": floor}


def test_reading(measure: Measure, pages: list[str]) -> None:
    """The floor under everything: the bytes read, eight at a time."""
    words = np.frombuffer("".join(pages).encode(), np.uint64)
    measure(lambda: np.bitwise_xor.reduce(words), "floor", "reading the bytes", pages)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("floor", ["boundaries", "tokens", "shingles"])
def test_floor(measure: Measure, pages: list[str], floor: str, path: str) -> None:
    """What signing stands on: word boundaries; and the token hashes; and the shingle hashes."""
    some = recipe(path, floor)
    measure(lambda: _kernels.sign_texts(pages, some, 1), "floor", floor, pages, path=path)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("hashes", [False, True], ids=["signature", "signature and hashes"])
def test_sign(measure: Measure, pages: list[str], text: Text, path: str, *, hashes: bool) -> None:
    """Text to signatures, and to verification hashes too, by each SIMD path."""
    some, label = recipe(path, hashes=hashes), "signatures and verification hashes" if hashes else "signatures"
    floor, about = recipe(path, "shingles"), dict(path=path, source=text.source, tokens=tokens_of(pages))
    sign, hash_only = (lambda: _kernels.sign_texts(pages, some, 1)), (lambda: _kernels.sign_texts(pages, floor, 1))
    measure(sign, "path", label, pages, beside=hash_only, **about)


@pytest.mark.parametrize("column", ["strings", "Arrow"])
@pytest.mark.parametrize("characters", [70, 140, 350, 1_000, 3_200, 10_000, 100_000])
def test_length(measure: Measure, text: Text, size: int, characters: int, column: str) -> None:
    """Short and long documents."""
    texts = of_length(text.texts, characters, size // characters)
    source, minhash = pa.array(texts) if column == "Arrow" else texts, neardup.MinHash()
    measure(lambda: minhash.sign_many(source, threads=1), "length", column, texts, characters=characters)


@pytest.mark.parametrize("column", ["strings", "Arrow"])
def test_ten_tokens(measure: Measure, text: Text, size: int, column: str) -> None:
    """Texts of ten words."""
    words = " ".join(text.texts)[:size].split()
    texts = [" ".join(words[i : i + 10]) for i in range(0, len(words) - 9, 10)]
    source, minhash = pa.array(texts) if column == "Arrow" else texts, neardup.MinHash()
    measure(lambda: minhash.sign_many(source, threads=1), "ten tokens", column, texts)


@pytest.mark.parametrize("num_perm", [16, 64, 128, 256, 512, 1024])
def test_slots(measure: Measure, pages: list[str], num_perm: int) -> None:
    """Signatures of more and fewer slots."""
    minhash = neardup.MinHash(num_perm=num_perm)
    measure(lambda: minhash.sign_many(pages, threads=1), "slots", str(num_perm), pages, num_perm=num_perm)


@pytest.mark.parametrize("num_perm", [64, 128, 256, 1024])
@pytest.mark.parametrize("shingles", HASHES)
def test_ready_hashes(measure: Measure, size: int, shingles: int, num_perm: int) -> None:
    """Ready shingle hashes to signatures, by slots and shingles a document."""
    documents = max(10, size // 20 // shingles)
    flat = np.random.default_rng(shingles).integers(0, 2**64, shingles * documents, dtype=np.uint64)
    offsets = np.arange(documents + 1, dtype=np.uint64) * np.uint64(shingles)
    work = NearDup().hashes(flat, offsets, num_perm)
    measure(work, "ready hashes", f"{shingles} shingles", documents=documents, shingles=shingles, num_perm=num_perm)


@pytest.mark.parametrize("column", ["strings", "Arrow"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_script(measure: Measure, size: int, language: str, column: str) -> None:
    """Documents of 3,200 bytes in many languages."""
    corpus = in_language(language)
    texts = of_size(corpus.texts, 3_200, size // 3_200)
    beyond = sum(character > "\x7f" for character in corpus.texts[0]) / len(corpus.texts[0])
    source, minhash = pa.array(texts) if column == "Arrow" else texts, neardup.MinHash()
    about = {"language": LANGUAGES[language].name, "source": corpus.source, "beyond_ascii": round(beyond, 3)}
    measure(lambda: minhash.sign_many(source, threads=1), "script", column, texts, **about)


@pytest.mark.parametrize("product", ["floor", "signature"])
@pytest.mark.parametrize("shape", ["documents of 3 KB", "one document"])
@pytest.mark.parametrize("kind", hostile(1_000))
def test_hostile(measure: Measure, size: int, kind: str, shape: str, product: str) -> None:
    """Text that is hard on one thing or another, and the floor there."""
    if shape == "one document":
        texts = [hostile(8 * size if kind == "one long token" else size)[kind]]  # a token of 50 MB
    else:
        texts = of_size([hostile(size)[kind]], 3_200, size // 3_200)
    some = recipe(floor="shingles" if product == "floor" else None)
    measure(lambda: _kernels.sign_texts(texts, some, 1), "hostile", kind, texts, shape=shape, product=product, tokens=tokens_of(texts))


def test_band_keys(measure: Measure, text: Text) -> None:
    """Signatures to band keys."""
    signatures = neardup.MinHash().sign_many(text.texts)
    measure(lambda: BANDING.keys(signatures.values), "after signing", "band keys", documents=len(text.texts))


def test_insert(measure: Measure, batch: StoreBatch) -> None:
    """Signed documents into an empty table."""
    ids = list(range(batch.documents))
    work = lambda: _kernels.DocumentTable(BANDING.bands, 1000, 0).add(ids, batch, 1)  # noqa: E731
    measure(work, "after signing", "insert", documents=batch.documents)


def test_query(measure: Measure, batch: StoreBatch) -> None:
    """Signed documents looked up in a table of all of them, and verified."""
    table = _kernels.DocumentTable(BANDING.bands, 1000, 0)
    table.add(list(range(batch.documents)), batch, 1)
    measure(lambda: table.query(batch, 0.8, 1), "after signing", "query, a batch", documents=batch.documents)


def test_query_text(measure: Measure, text: Text) -> None:
    """One text after another through `Index.query`, signing included."""
    index, some = neardup.Index(), text.texts[:1_000]
    index.add_many(range(len(text.texts)), text.texts)
    measure(lambda: [index.query(one) for one in some], "after signing", "query, one text after another", documents=len(some))


def test_verify(measure: Measure, batch: StoreBatch) -> None:
    """Every document's verification hashes against the next one's, a call each."""
    bounds = batch.offsets[:2_001].tolist()
    sets = [batch.evidence[a:b] for a, b in itertools.pairwise(bounds)]
    work = lambda: [_kernels.intersection(a, b) for a, b in itertools.pairwise(sets)]  # noqa: E731
    measure(work, "after signing", "verify, a pair a call", documents=len(sets) - 1)


def joined(batch: StoreBatch, *, exact: bool) -> None:
    """All that match in a signed corpus."""
    signed = Signed(BANDING.bands, Work(2**40))
    signed.append(batch)
    signed.close()
    dedup._all_edges(Join(Sets.of(signed, np.arange(batch.documents), 1), 0.8, 1, exact=exact), lambda *_: None)


def test_join(measure: Measure, batch: StoreBatch) -> None:
    """Signed documents sorted into buckets, and all that match in one found."""
    measure(lambda: joined(batch, exact=False), "after signing", "join by buckets", documents=batch.documents)


def test_exact_join(measure: Measure, batch: StoreBatch) -> None:
    """All that match found by rare shingles."""
    measure(lambda: joined(batch, exact=True), "after signing", "exact join", documents=batch.documents)


def test_deduplicate(measure: Measure, text: Text) -> None:
    """The whole job in memory."""
    measure(lambda: neardup.deduplicate(text.texts, threads=1), "after signing", "the whole job, signing included", text.texts)
