"""Each stage alone, on real text where there is some: `just bench`.

Every figure is of one core unless it says otherwise; `extra_info` holds the bytes or documents of a round, and the
throughput computed from the median is printed at the end.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
from corpus import generate, of_length, reuters

import neardup
from neardup import _kernels
from neardup.clusters import choose_witnesses
from neardup.stores import StoreBatch

DOCUMENTS = 2_000


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return reuters() or generate(20_000, 130).texts


@pytest.fixture(scope="session")
def pages(texts: list[str]) -> list[str]:
    return of_length(texts, 3_200, DOCUMENTS)


def measured(benchmark, work, *, documents: int, size: int = 0) -> None:  # noqa: ANN001
    """Run a benchmark, with what one round handles."""
    benchmark.extra_info.update(documents=documents, bytes=size)
    benchmark.pedantic(work, rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("path", _kernels.PATHS)
@pytest.mark.parametrize("stage", ["shingles", "signature", "signature and hashes"])
def test_sign(benchmark, pages: list[str], stage: str, path: str) -> None:  # noqa: ANN001
    """Text to shingle hashes (the floor), to signatures, and to verification hashes too, by each SIMD path."""
    recipe = {**neardup.MinHash()._recipe(stage.endswith("hashes")), "path": path, "floor": stage == "shingles"}
    measured(benchmark, lambda: _kernels.sign_texts(pages, recipe, 1), documents=len(pages), size=sum(map(len, pages)))


@pytest.mark.parametrize("characters", [70, 350, 1_000, 3_200, 20_000])
def test_sign_by_length(benchmark, texts: list[str], characters: int) -> None:  # noqa: ANN001
    """Python strings to signatures, short and long."""
    documents = of_length(texts, characters, 6_400_000 // characters)
    minhash = neardup.MinHash()
    measured(benchmark, lambda: minhash.sign_many(documents, threads=1), documents=len(documents), size=characters * len(documents))


@pytest.mark.parametrize("num_perm", [64, 128, 256, 1024])
def test_sign_by_slots(benchmark, pages: list[str], num_perm: int) -> None:  # noqa: ANN001
    """Signatures of more and fewer slots."""
    minhash = neardup.MinHash(num_perm=num_perm)
    measured(benchmark, lambda: minhash.sign_many(pages, threads=1), documents=len(pages), size=sum(map(len, pages)))


@pytest.mark.parametrize("threads", [1, 2])
def test_sign_arrow(benchmark, pages: list[str], threads: int) -> None:  # noqa: ANN001
    """An Arrow column to signatures, in place."""
    column, minhash = pa.array(pages), neardup.MinHash()
    measured(benchmark, lambda: minhash.sign_many(column, threads=threads), documents=len(pages), size=sum(map(len, pages)))


def test_band_keys(benchmark, texts: list[str]) -> None:  # noqa: ANN001
    """Signatures to band keys, 21 bands of 6 rows."""
    signatures, banding = neardup.MinHash().sign_many(texts), neardup.Banding(21, 6)
    measured(benchmark, lambda: banding.keys(signatures.values), documents=len(texts))


@pytest.fixture(scope="session")
def batch(texts: list[str]) -> StoreBatch:
    return StoreBatch.of(neardup.MinHash().sign_many(texts, hashes=True), neardup.Banding(21, 6))


def test_insert(benchmark, batch: StoreBatch) -> None:  # noqa: ANN001
    """Signed documents into an empty table."""
    measured(benchmark, lambda: _kernels.BucketTable(21, 1000).insert(batch), documents=len(batch))


def test_query(benchmark, batch: StoreBatch) -> None:  # noqa: ANN001
    """Signed documents looked up and verified."""
    table = _kernels.BucketTable(21, 1000)
    table.insert(batch)
    measured(benchmark, lambda: table.query(batch, 0.8, 1), documents=len(batch))


def test_query_text(benchmark, texts: list[str]) -> None:  # noqa: ANN001
    """One text after another through `Index.query`."""
    index, some = neardup.Index(), texts[:1_000]
    index.add_many(range(len(texts)), texts)
    measured(benchmark, lambda: [index.query(text) for text in some], documents=len(some))


def test_verify(benchmark, batch: StoreBatch) -> None:  # noqa: ANN001
    """Every document's verification hashes against the next one's."""
    bounds = batch.offsets.tolist()
    sets = [batch.hashes[a:b] for a, b in zip(bounds[:2_000], bounds[1:2_001], strict=True)]
    measured(benchmark, lambda: [_kernels.intersection(a, b) for a, b in zip(sets, sets[1:], strict=False)], documents=len(sets) - 1)


def test_decide(benchmark, batch: StoreBatch) -> None:  # noqa: ANN001
    """Signed documents scanned by rank: kept, or removed with a witness."""

    def decide() -> None:
        _, (offsets, found, both, sizes) = _kernels.BucketTable(21, 2**62).add_unless_match(batch, 0.8)
        choose_witnesses(offsets.astype("i8"), found.astype("i8"), both / sizes)

    measured(benchmark, decide, documents=len(batch))


def test_deduplicate(benchmark, texts: list[str]) -> None:  # noqa: ANN001
    """The whole job in memory, one thread."""
    measured(benchmark, lambda: neardup.deduplicate(texts, threads=1), documents=len(texts), size=sum(map(len, texts)))
