"""The engine on Spark as its acceptance is written: a million documents, real executors, little memory in the driver.

What is generated is kept outside the project: NEARDUP_PROOFS, or ~/.cache/neardup-proofs.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spark_corpora
import spark_driver
from proof_cache import CACHE
from test_quality_proofs import guides  # noqa: F401  a fixture

import neardup

MILLION = 1_000_000

pytestmark = pytest.mark.prove


def corpus(name, *, skewed):
    """A million documents of 1 KB, in the cache."""
    path = CACHE / name
    if not path.exists():
        part = CACHE / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        spark_corpora.write(part, MILLION, skewed=skewed)
        part.rename(path)
    return path


@pytest.fixture(scope="module")
def skewed():
    """A tenth of it is empty, a tenth one text, a twentieth a template; and what the local job removes."""
    path = corpus("spark-skewed", skewed=True)
    result = neardup.deduplicate(path, order="when", id="id", text="text", memory_limit="6GB")
    return path, {one.id: (one.witness, one.similarity) for one in result.removed}


def drive(path, result, master, partitions, *arguments, memory="512m"):
    """Run a driver with little memory: what was removed, what was measured, its log."""
    command = [sys.executable, Path(__file__).with_name("spark_driver.py"), path, result, master, partitions, "--order", "when", *arguments]
    env = os.environ | {"PYSPARK_SUBMIT_ARGS": f"--driver-memory {memory} --conf spark.driver.maxResultSize=16m pyspark-shell"}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    removed = {row["id"]: (row["witness"], row["similarity"]) for row in pq.read_table(result).to_pylist()}
    return removed, json.loads(Path(f"{result}.json").read_text()), done.stdout + done.stderr


def said(record_property, measured):
    """What a run took."""
    for name in ("documents", "removed", "postings", "candidates", "verified", "heavy_buckets", "heavy_matches"):
        record_property(name.replace("_", " "), measured[name])
    record_property("seconds", round(measured["seconds"], 1))
    record_property("seconds of processors", round(measured["cpu"], 1))
    record_property("bytes shuffled a document", round(measured["shuffled"] / measured["documents"]))


@pytest.mark.parametrize("partitions", [1, 2, 8, 200])
def test_a_million_skewed_documents(skewed, tmp_path, partitions, record_property):
    """Row by row what the local job decides, shuffled, in two executors, with 512 MB for the driver and 16 MB for what it collects."""
    path, expected = skewed
    removed, measured, _ = drive(path, tmp_path / "result", "local-cluster[2,1,2048]", partitions, "--shuffle")
    said(record_property, measured)
    assert removed == expected


def test_executors_killed_over_a_million(skewed, tmp_path, record_property):
    """One in the map stage, one in the shuffle, one while it is decided."""
    path, expected = skewed
    kills = [word for stage in spark_driver.TASKS for word in ("--kill", stage)]
    removed, measured, log = drive(path, tmp_path / "result", "local-cluster[2,1,2048]", 8, *kills)
    said(record_property, measured)
    record_property("executors killed", len(list(tmp_path.glob("result.killed-*"))))
    record_property("tasks lost", log.count("Lost task"))
    assert len(list(tmp_path.glob("result.killed-*"))) == 3
    assert log.count("exited with code 137") + log.count("Lost executor") >= 3
    assert "Lost task" in log
    assert removed == expected


def test_one_and_two_executors(tmp_path, record_property):
    """Two take at most 1.15 times the processor seconds of one, and do at least 15 % of what the local job does on the same cores."""
    path = corpus("spark-plain", skewed=False)
    one = drive(path, tmp_path / "one", "local-cluster[1,1,2048]", 8)
    two = drive(path, tmp_path / "two", "local-cluster[2,1,2048]", 8)
    start, cpu = time.perf_counter(), time.process_time()
    result = neardup.deduplicate(path, order="when", id="id", text="text", threads=2)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    expected = {one.id: (one.witness, one.similarity) for one in result.removed}
    said(record_property, two[1])
    record_property("seconds of processors, one executor", round(one[1]["cpu"], 1))
    record_property("two beside one", f"{two[1]['cpu'] / one[1]['cpu']:.2f}")
    record_property("local, seconds", round(seconds, 1))
    record_property("local, seconds of processors", round(cpu, 1))
    record_property("throughput beside local", f"{seconds / two[1]['seconds']:.2f}")
    record_property("processor time of local beside it", f"{cpu / two[1]['cpu']:.2f}")
    assert one[0] == two[0] == expected
    assert two[1]["cpu"] <= 1.15 * one[1]["cpu"]
    assert seconds / two[1]["seconds"] >= 0.15
    assert cpu / two[1]["cpu"] >= 0.15


def test_guides(guides, tmp_path, record_property):  # noqa: F811  the fixture
    """The pages of the Debian installation guides in all languages, in one corpus."""
    pages = [(f"{language}/{architecture}/{name}", text) for language, some in guides.items() for architecture, name, text in some]
    ids, texts = zip(*pages, strict=True)
    table = pa.table({"id": ids, "text": texts, "when": [hash(len(text)) for text in texts]})
    pq.write_table(table, tmp_path / "guides.parquet", row_group_size=1000)
    local = neardup.deduplicate(table, order="when", id="id", text="text")
    for partitions in (2, 8):
        removed, measured, _ = drive(tmp_path / "guides.parquet", tmp_path / f"{partitions}", "local[2]", partitions, "--shuffle")
        assert removed == {one.id: (one.witness, one.similarity) for one in local.removed}
    said(record_property, measured)
