"""Deduplication as its acceptance is written: real corpora against exact joins, sizes that outgrow memory, templates, boilerplate.

Texts of others are fetched into a cache outside the project: NEARDUP_PROOFS, or ~/.cache/neardup-proofs.
"""

import gzip
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import truth

from neardup import MinHash, deduplicate

STORIES = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578" / "docs.jsonl.gz"
CACHE = Path(os.environ.get("NEARDUP_PROOFS", Path.home() / ".cache" / "neardup-proofs"))
SEEDS = range(10)
RECALL = 0.99

pytestmark = pytest.mark.prove


def fetched(pattern, *command):
    """A file in the cache, which a command puts there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not list(CACHE.glob(pattern)):
        done = subprocess.run(command, cwd=CACHE, capture_output=True, check=False)
        if done.returncode or not list(CACHE.glob(pattern)):
            pytest.skip(f"{pattern} cannot be fetched: {done.stderr.decode()[-200:]}")
    return next(CACHE.glob(pattern))


# ---- real corpora, judged by all their pairs ---------------------------------------------------------------------------------


def stories():
    """19,043 stories of a news agency."""
    if not STORIES.is_file():
        pytest.skip("the Reuters stories are not on this machine")
    with gzip.open(STORIES, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def licences():
    """The texts of licences and notices, some 39,000 of them."""
    wheel = fetched("scancode_toolkit-32.5.0-*.whl", sys.executable, "-m", "pip", "download", "-q", "--no-deps", "scancode-toolkit==32.5.0")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/data/rules/" in name or "/data/licenses/" in name]
        texts = [archive.read(name).decode("utf-8", "replace") for name in names if name.endswith((".RULE", ".LICENSE"))]
    return [text.split("---", 2)[-1] for text in texts]


@pytest.fixture(scope="module", params=[stories, licences], ids=["stories", "licences"])
def real(request):
    """Texts, and the shingle set of each."""
    texts = request.param()
    return texts, truth.shingle_sets(texts)


def distinct_pairs(table, sets):
    """Of a table of pairs those of different sets, as a dictionary of similarities."""
    columns = table.to_pydict().values()
    return {(a, b): score for a, b, score in zip(*columns, strict=True) if sets[a] != sets[b]}


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_a_real_corpus_against_all_its_pairs(real, threshold, record_property):
    """The exact join finds what plain Python finds. The banded one finds, of ten seeds, what it promises, and decides by it."""
    texts, sets = real
    first = {}
    for i, own in enumerate(sets):
        first.setdefault(own, i)
    founders = sorted(first.values())
    every = truth.join([sets[i] for i in founders], threshold)
    every = {(founders[a], founders[b]): score for (a, b), score in every.items() if sets[founders[a]]}
    exact = deduplicate(texts, threshold, exact=True, pairs="all", max_pairs=10**8)
    assert distinct_pairs(exact.pairs, sets) == every
    recalls, promised = [], []
    for seed in SEEDS:
        result = deduplicate(texts, threshold, pairs="all", minhash=MinHash(seed=seed), max_pairs=10**8)
        found = distinct_pairs(result.pairs, sets)
        assert found.items() <= every.items()
        recalls.append(len(found) / len(every))
        promised = [result.banding.probability(score) for score in every.values()]
        groups = truth.with_copies(found, sets) if len(every) < 50_000 else None
        if groups is not None:
            kept, removed = truth.decide(range(len(texts)), groups)
            assert result.kept == kept
            assert {one.id: (one.witness, one.similarity) for one in result.removed} == removed
        deciding = deduplicate(texts, threshold, minhash=MinHash(seed=seed))
        assert (deciding.kept, deciding.removed) == (result.kept, result.removed)
    record_property("documents", len(texts))
    record_property("pairs of different sets", len(every))
    record_property("recall, mean of ten seeds", f"{statistics.mean(recalls):.5f}")
    record_property("recall, least", f"{min(recalls):.5f}")
    record_property("recall expected of these similarities", f"{statistics.mean(promised):.5f}")
    assert statistics.mean(recalls) >= RECALL
    assert statistics.mean(recalls) >= statistics.mean(promised) - 0.003


# ---- sizes ---------------------------------------------------------------------------------------------------------------


def run(*arguments):
    """Run the command in a process of its own: seconds, seconds of processors, peak bytes of memory, what it said."""
    code = "import sys; sys.argv[0] = 'neardup'; from neardup.cli import main; main()"
    start = time.perf_counter()
    with (CACHE / "said.txt").open("wb") as said:
        running = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    text = (CACHE / "said.txt").read_text()
    assert running.returncode == 0, text
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss << 10, text


def reported(record_property, documents, measured):
    """Say what a run took."""
    seconds, cpu, memory, said = measured
    record_property("documents", documents)
    record_property("seconds", f"{seconds:.1f}")
    record_property("seconds of processors", f"{cpu:.1f}")
    record_property("peak memory, MB", round(memory / 1e6))
    record_property("said", said.strip().splitlines()[0] if said.strip() else "")


def sources():
    """The sources of two releases of Linux, a folder each."""
    folder = CACHE / "linux"
    if not folder.exists():
        part = CACHE / "linux.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for version in ("6.1", "6.12"):
            package = fetched(f"linux-source-{version}_*.deb", "apt-get", "download", f"linux-source-{version}")
            subprocess.run(["dpkg-deb", "-x", package, part / version], check=True)
            subprocess.run(["tar", "-xf", *(part / version).glob("usr/src/*.tar.xz"), "-C", part / version], check=True)
            shutil.rmtree(part / version / "usr")
        part.rename(folder)
    return folder


def test_the_sources_of_two_releases_within_one_gigabyte(tmp_path, record_property):
    """165,000 files, 2.7 GB."""
    folder = sources()
    measured = run("dedup", folder, "-o", tmp_path / "kept.parquet", "--memory-limit", "1GB")
    kept = pq.ParquetFile(tmp_path / "kept.parquet").metadata.num_rows
    reported(record_property, kept, measured)
    record_property("kept", kept)
    assert measured[2] <= 10**9
    assert 70_000 < kept < 160_000


WORDS = 200_000


def write_generated(folder, documents):
    """Documents of about 1 KB in Parquet files of 100,000 rows, one in ten a near-copy of one that is up to 50,000 before it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = np.array([f"{chr(97 + i % 26)}{i:x}{'aeiou'[i % 5]}" for i in range(WORDS)], object)
    for part in range(documents // 100_000):
        path = folder / f"{part:04}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng(part)
        drawn = (WORDS ** rng.random((100_000, 150))).astype(np.int64) - 1  # few words are frequent
        copies = np.flatnonzero(rng.random(100_000) < 0.1)
        copies = copies[copies > 0]
        drawn[copies] = drawn[np.maximum(0, copies - rng.integers(1, 50_000, len(copies)))]
        drawn[copies, rng.integers(0, 150, len(copies))] = rng.integers(0, WORDS, len(copies))
        texts = pa.array([" ".join(row) for row in words[drawn].tolist()])
        first = part * 100_000
        table = pa.table({"id": pa.array(range(first, first + 100_000)), "text": texts})
        pq.write_table(table, path.with_suffix(".part"), row_group_size=20_000)
        path.with_suffix(".part").rename(path)


@pytest.mark.parametrize("documents", [1_000_000, 10_000_000])
def test_generated_documents_within_three_gigabytes(tmp_path, record_property, documents):
    """Their time each is at most half more than that of 100,000."""
    folder = CACHE / f"generated-{documents}"
    need = documents * 2500
    if not (folder / "0000.parquet").exists() and shutil.disk_usage(CACHE.parent).free < need:
        pytest.skip(f"needs {need >> 30} GB of disk")
    write_generated(folder, documents)
    few = [run("dedup", folder / "0000.parquet", "-o", tmp_path / "few.parquet", "--memory-limit", "3GB")[0] for _ in range(3)]
    measured = run("dedup", folder, "-o", tmp_path / "kept.parquet", "--id", "id", "--memory-limit", "3GB")
    reported(record_property, documents, measured)
    ratio = measured[0] / documents / (statistics.median(few) / 100_000)
    record_property("seconds of 100,000, median of three", f"{statistics.median(few):.2f}")
    record_property("time a document beside 100,000", f"{ratio:.2f}")
    removed = documents - pq.ParquetFile(tmp_path / "kept.parquet").metadata.num_rows
    assert 0.09 < removed / documents < 0.11
    assert measured[2] <= 3 * 10**9
    assert ratio <= 1.5


# ---- templates and boilerplate ---------------------------------------------------------------------------------------------


def test_a_template_costs_no_recall(record_property):
    """20,000 letters of one template, 1,000 copies of letters at 0.8 to 0.95, 200,000 other documents."""
    rng = random.Random(4)
    own = iter(range(10**9))
    shared = [f"dear{i}" for i in range(84)]
    letters = [" ".join([*shared, *(f"own{next(own)}" for _ in range(20))]) for _ in range(20_000)]
    others = [" ".join(f"other{rng.randrange(10**6)}" for _ in range(60)) for _ in range(200_000)]
    copies = []
    for letter in rng.sample(letters, 1000):
        tokens = letter.split()
        for _ in range(rng.choice([1, 2])):
            tokens[rng.randrange(90, 100)] = f"edit{next(own)}"
        copies.append((" ".join(tokens), letter))
    texts = [*others, *letters, *(copy for copy, _ in copies)]
    rng.shuffle(texts)
    sets = dict(zip((text for pair in copies for text in pair), truth.shingle_sets(text for pair in copies for text in pair), strict=True))
    true = [pair for pair in copies if truth.similarity(sets[pair[0]], sets[pair[1]]) >= 0.8]
    start = time.perf_counter()
    result = deduplicate(texts)
    seconds = time.perf_counter() - start
    removed = {frozenset((texts[one.id], texts[one.witness])) for one in result.removed}
    found = sum(frozenset(pair) in removed for pair in true)
    record_property("copies", len(true))
    record_property("found", found)
    record_property("seconds", f"{seconds:.2f}")
    record_property("heavy buckets", len(result.heavy_buckets))
    assert len(true) > 900
    assert found / len(true) >= RECALL
    assert seconds < 20


def test_empty_and_boilerplate_documents_are_bounded(record_property):
    """1 million documents, of them 100,000 empty, 100,000 of one text and 100,000 of a template that differ by a number."""
    rng = random.Random(6)
    texts = [""] * 50_000 + [" ... "] * 50_000 + ["This page cannot be found, please try again later or write to us."] * 100_000
    texts += [
        f"Your order number {i} was sent today and will be with you within three working days of this message" for i in range(100_000)
    ]
    texts += [" ".join(f"word{rng.randrange(10**5)}" for _ in range(40)) for _ in range(700_000)]
    rng.shuffle(texts)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    result = deduplicate(texts, 0.5)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    summary = result.summary()
    record_property("seconds", f"{seconds:.1f}")
    record_property("seconds of processors", f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f}")
    record_property(
        "summary", {name: summary[name] for name in ("documents", "kept", "removed", "copies", "without_shingles", "heavy_buckets")}
    )
    assert summary["documents"] == 1_000_000
    assert summary["kept"] + summary["removed"] == 1_000_000
    assert summary["without_shingles"] == 100_000
    assert summary["copies"] >= 99_999
    assert summary["removed"] > 190_000
    assert seconds < 60
