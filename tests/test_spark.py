"""The engine on Spark: what it decides is what the local job decides, whatever is lost on the way; what it refuses, and how.

In CI these tests fail where pyspark or Java is missing; elsewhere they are skipped.
"""

import gzip
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spark_corpora
import spark_driver
from hypothesis import given
from hypothesis import strategies as st

import neardup
from neardup import _kernels
from neardup.census import Census
from neardup.engines import spark as engine
from neardup.engines.spark import bucketing, counting, deciding, matching, packing, repeating, sessions
from neardup.errors import DuplicateIdError, InputError, MissingDependencyError, ParameterError, ResumeWarning
from neardup.rarity import rarity

STORIES = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578" / "docs.jsonl.gz"
MISSING = [name for name, there in (("pyspark", importlib.util.find_spec("pyspark")), ("java", shutil.which("java"))) if not there]


@pytest.fixture(scope="module")
def spark():
    """A session on two processors."""
    if MISSING:
        assert "CI" not in os.environ, (
            f"the tests of Spark need {' and '.join(MISSING)}: pip install 'neardup[spark]', openjdk-17-jre-headless"
        )
        pytest.skip(f"{' and '.join(MISSING)} is not installed")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "1g")
    builder = builder.config("spark.driver.extraJavaOptions", spark_driver.QUICK).config("spark.sql.codegen.wholeStage", "false")
    session = builder.config("spark.sql.shuffle.partitions", "2").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """19,043 stories of a news agency in a file, with an order of their own."""
    if not STORIES.is_file():
        pytest.skip("the Reuters stories are not on this machine")
    with gzip.open(STORIES, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    path = tmp_path_factory.mktemp("stories") / "stories.parquet"
    when = random.Random(3).sample(range(len(texts)), len(texts))
    pq.write_table(pa.table({"id": range(len(texts)), "text": texts, "when": when}), path, row_group_size=4000)
    return path


def decided(result):
    """What the local job removed: witness and similarity by id."""
    return {one.id: (one.witness, one.similarity) for one in result.removed}


def removed(job):
    """What a job on Spark removed."""
    return {row.id: (row.witness, row.similarity) for row in job.removed.collect()}


# ---- the same decisions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [2, 8])
def test_real_stories(spark, stories, partitions, record_property):
    """Kept documents, witnesses and similarities are those of the local job, row by row, for shuffled input."""
    from pyspark.sql.functions import rand

    df = spark.read.parquet(str(stories)).repartition(3).orderBy(rand(partitions))
    lines = []
    job = engine.Job(df, order="when", partitions=partitions, progress=lines.append)
    local = neardup.deduplicate(stories, order="when")
    assert removed(job) == decided(local)
    summary, expected = job.summary(), local.summary()
    same = ("documents", "kept", "removed", "clusters", "copies", "without_shingles", "short", "weakest", "recall", "bands", "rows")
    assert {name: summary[name] for name in same} == {name: expected[name] for name in same}
    assert len(lines) == 10
    record_property("stages", "; ".join(lines))


@pytest.fixture(scope="module")
def crowds(tmp_path_factory):
    """A small corpus of everything: empty ones, boilerplate, a template, near-copies."""
    path = tmp_path_factory.mktemp("crowds") / "corpus"
    spark_corpora.write(path, 2000, skewed=True, length=30, seed=2, template=600, owns=(4, 8, 12, 20))
    return path


@pytest.mark.prove  # minutes
@pytest.mark.parametrize("given", [{"keep": "longest"}, {"clusters": "components", "keep": "-when"}], ids=["longest", "components"])
def test_crowds(spark, crowds, monkeypatch, given):
    """The same where sets crowd together, and where they are connected."""
    monkeypatch.setattr(engine, "CROWDED", 1)
    monkeypatch.setattr(engine, "ROUNDS", 2)
    monkeypatch.setattr(matching, "GROUP", 150)
    local = neardup.deduplicate(crowds, order="when", id="id", text="text", **given)
    job = engine.Job(spark.read.parquet(str(crowds)), order="when", partitions=3, **given)
    assert removed(job) == decided(local)
    assert job.summary()["heavy_buckets"] == local.summary()["heavy_buckets"] > 0


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Forms of templates, near-copies of some, copies, and empty ones; some templates have more forms than a bucket that is not heavy."""
    rng = np.random.default_rng(4)
    made = ["", "?!"]
    for count in (3, 20, 90):
        frame = [f"dear{count}x{i}" for i in range(130)]
        for _ in range(count):
            own = [f"own{k}" for k in rng.integers(0, 2**40, 25)]
            made.append(" ".join(frame[:65] + own + frame[65:]))
            if rng.random() < 0.2:
                made += [made[-1], made[-1].replace(own[3], "other")]
    path = tmp_path_factory.mktemp("forms") / "forms.parquet"
    order = rng.permutation(len(made))
    pq.write_table(pa.table({"id": order, "text": [made[i] for i in order], "when": rng.permutation(len(made))}), path)
    return path


def test_a_heavy_group_by_rarity():
    """The members of one heavy bucket, each with each: those that match, and how similar they are, whatever else they share."""
    rng = np.random.default_rng(3)
    own = [np.unique(np.append(rng.choice(40, 30, replace=False), 100 + rng.integers(0, 30, 6)) * 2654435761 % 2**32) for _ in range(60)]
    sets = [hashes.astype(np.uint32) for hashes in own]
    sizes = np.array([len(hashes) for hashes in sets], np.uint32)
    weights = rarity(Census(np.concatenate(sets), sizes))
    columns = {"key": [7] * 60, "i": [0] * 60, "j": [0] * 60, "role": [matching.BOTH] * 60, "rank": range(60)}
    arrays = [*(pa.array(list(column), pa.int64()) for column in columns.values()), pa.array([hashes.tobytes() for hashes in sets])]
    batch = pa.RecordBatch.from_arrays(arrays, [*columns, "hashes"])
    (found,) = matching.Grouping(matching.Bar(0.35, 0.175, weights))([batch])
    expected = {}
    for a in range(60):
        for b in range(a + 1, 60):
            shared = weights.shared(sets[a], sets[b])
            score = shared / (weights.total(sets[a]) + weights.total(sets[b]) - shared)
            if score >= 0.35:
                expected[a, b] = score
    assert 100 < len(expected) < 1700
    assert {(row["a"], row["b"]): row["similarity"] for row in found.to_pylist()} == expected


@pytest.mark.parametrize("clusters", ["witness", pytest.param("components", marks=pytest.mark.prove)])
def test_forms_by_rarity(spark, forms, clusters):
    """Boilerplate counts for what it counts locally: the same similarities, whether a bucket is heavy or not."""
    given = {"threshold": 0.6, "order": "when", "verify": "rarity", "clusters": clusters}
    job = engine.Job(spark.read.parquet(str(forms)), partitions=2, **given)
    local = neardup.deduplicate(forms, **given)
    assert removed(job) == decided(local)
    assert 10 < len(decided(local)) < 60
    assert len(decided(neardup.deduplicate(forms, 0.6))) > 80
    assert (job.summary()["verify"], job.summary()["weakest"]) == ("rarity", local.summary()["weakest"])
    assert job.summary()["heavy_members"] > 0
    expected = neardup.deduplicate(forms, **given, pairs="all").pairs.column("similarity").to_pylist()
    assert sorted(row.similarity for row in job.pairs().collect()) == sorted(expected)


@pytest.mark.parametrize("most", [1, 40, 79, 10**6])
def test_the_first_by_rank_are_counted(spark, monkeypatch, most):
    """As many as locally: up to the one with which there are enough hashes, and no more than a few after it come to the task."""
    monkeypatch.setattr("neardup.census.COUNTED", most)
    monkeypatch.setattr(counting, "COUNTED", most)
    monkeypatch.setattr(counting, "TOGETHER", 2)
    rng = np.random.default_rng(most)
    ranked = [np.sort(rng.choice(30, rng.integers(1, 9), replace=False)).astype(np.uint32) for _ in range(40)]
    rows = [(2 * rank, len(one), one.tobytes()) for rank, one in enumerate(ranked)]
    frame = spark.createDataFrame(random.Random(most).sample(rows, 40), "rank long, size int, hashes binary")
    taken = [row.hashes for row in counting.first(frame).orderBy("rank").collect()]
    enough = int(np.searchsorted(np.cumsum([len(one) for one in ranked]), most)) + 1
    assert min(enough, 40) <= len(taken) <= min(enough + 3, 40)
    assert [bytes(one) for one in taken] == [hashes for _, _, hashes in rows[: len(taken)]]
    batches = [pa.RecordBatch.from_pydict({"hashes": taken[start : start + 7]}) for start in range(0, len(taken), 7)]
    (row,) = counting.Counting()([batch.slice(1) for batch in batches] if most == 40 else batches)
    if most == 40:
        ranked = [one for place, one in enumerate(ranked[: len(taken)]) if place % 7]
    expected = Census(np.concatenate(ranked), np.array([len(one) for one in ranked], np.uint32))
    assert row["census"][0].as_py() == expected.packed()


@pytest.mark.parametrize(("keep", "first"), [("score", [4, 0, 2, 5, 1, 3]), ("-score", [2, 0, 4, 5, 1, 3])])
def test_what_has_no_value_ranks_last(spark, keep, first):
    """What is no number before what is nothing, whichever comes first, as locally; of equals the lower id."""
    scores = [1.5, None, 2.0, None, -1.0, float("nan")]
    df = spark.createDataFrame(list(zip(range(6), ["a b c"] * 6, scores, strict=True)), "id long, text string, score double")
    job = engine.Job(df, keep=keep, partitions=2)
    assert [row.id for row in job._ranks.orderBy("rank").collect()] == first
    table = pa.table({"id": range(6), "text": ["a b c"] * 6, "score": pa.array(scores)})
    assert neardup.deduplicate(table, keep=keep, id="id", text="text").kept == first[:1]
    left = table.take([1, 3, 5])
    assert neardup.deduplicate(left, keep=keep, id="id", text="text").kept == [5]


@pytest.mark.filterwarnings("ignore::neardup.ResumeWarning")
def test_frames_and_steps(spark, tmp_path):
    """What is kept, what is annotated, candidates, pairs and clusters are frames; pairs are all that are verified."""
    texts = ["one two three four five six", "One two three four five six!", "", "a b c d e f g h i j", "a b c d e f g h i k", "z y x"]
    table = pa.table({"key": ["f", "e", "d", "c", "b", "a"], "body": texts, "other": range(6)})
    pq.write_table(table, tmp_path / "few.parquet")
    df = spark.read.parquet(str(tmp_path / "few.parquet"))
    local = neardup.deduplicate(table, 0.5, text="body", id="key", order="key", pairs="all")
    given = {"threshold": 0.5, "work": tmp_path / "work"}  # each goes on with the stages of those before
    kept = engine.deduplicate(df, "body", "key", **given)
    assert kept.columns == ["key", "body", "other"]
    assert {row.key for row in kept.collect()} == set(local.kept)
    annotated = engine.deduplicate(df, "body", "key", annotate=True, **given).collect()
    expected = {row["id"]: row for row in local.annotations().to_pylist()}
    assert {row.key: (row.cluster, row.kept, row.witness, row.similarity) for row in annotated} == {
        id: (row["cluster"], row["kept"], row["witness"], row["similarity"]) for id, row in expected.items()
    }
    pairs = engine.pairs(df, "body", "key", **given)
    found = {(frozenset((row.a, row.b)), row.similarity) for row in pairs.collect()}
    assert found == {(frozenset((row["a"], row["b"])), row["similarity"]) for row in local.pairs.to_pylist()}
    assert {("b", "c")} <= {(row.a, row.b) for row in engine.candidates(df, "body", "key", **given).collect()}
    assert {(row.id, row.cluster) for row in engine.clusters(pairs).collect()} == {("b", "b"), ("c", "b"), ("e", "e"), ("f", "e")}


def test_stars_connect_what_one_task_connects(spark):
    """Alternating stars and one union-find come to the same components, on chains too."""
    rng = random.Random(1)
    edges = [(i, i + 1) for i in range(40)] + [(rng.randrange(100, 400), rng.randrange(100, 400)) for _ in range(200)]
    pairs = spark.createDataFrame(edges, "a long, b long")
    label = {}
    for a, b in edges:
        one, other = label.get(a, {a}), label.get(b, {b})
        label |= dict.fromkeys(one | other, one | other)
    expected = {(id, min(group)) for id, group in label.items() if len(group) > 1}
    for native in (0, 1000):
        found = {(row.id, row.cluster) for row in engine.clusters(pairs, native=native).collect()}
        assert found == expected, native


def test_clusters_of_one_call_stay_beside_another(spark, tmp_path):
    """In a folder that both are given: a frame is read when it is asked for."""
    frames = [
        engine.clusters(spark.createDataFrame([(a, a + 1)], "a long, b long"), f"file://{tmp_path}/between/", native=0) for a in (0, 10)
    ]
    assert [sorted((row.id, row.cluster) for row in frame.collect()) for frame in frames] == [[(0, 0), (1, 0)], [(10, 10), (11, 10)]]
    assert len(list((tmp_path / "between").glob("clusters-*"))) == 2


# ---- what is lost is done again --------------------------------------------------------------------------------------------


def driver(*arguments, **given):
    """A driver in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("spark_driver.py")), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **given)


def test_executors_that_are_killed(spark, stories, tmp_path, record_property):
    """One in the map stage, one in the shuffle, one while it is decided: the log says that work was lost; the result is the same."""
    kills = [word for stage in spark_driver.TASKS for word in ("--kill", stage)]
    running = driver(stories, tmp_path / "result", "local-cluster[2,1,2048]", 4, "--order", "when", *kills)
    out, log = running.communicate(timeout=900)
    assert running.returncode == 0, log[-3000:]
    assert len(list(tmp_path.glob("result.killed-*"))) == 3, out
    assert log.count("exited with code 137") + log.count("Lost executor") >= 3
    assert "Lost task" in log
    local = decided(neardup.deduplicate(stories, order="when"))
    assert {row["id"]: (row["witness"], row["similarity"]) for row in pq.read_table(tmp_path / "result").to_pylist()} == local
    record_property("tasks lost", log.count("Lost task"))


def test_a_driver_that_is_killed_goes_on(spark, crowds, tmp_path):
    """Killed between stages, the same call takes up what was published, and decides the same; another job begins anew."""
    work = tmp_path / "work"
    with driver(crowds, tmp_path / "never", "local[2]", 3, "--work", work, "--order", "when", start_new_session=True) as running:
        for line in running.stdout:
            if line.startswith("pairing"):
                break
        os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (tmp_path / "never").exists()
    df, lines = spark.read.parquet(str(crowds)), []
    with pytest.warns(ResumeWarning, match=r"going on, done: .*'pairing'.*'signing'"):
        job = engine.Job(df, order="when", partitions=3, work=work, progress=lines.append)
    assert removed(job) == decided(neardup.deduplicate(crowds, order="when", id="id", text="text"))
    assert not any(line.startswith(("signing:", "ranking:", "pairing:")) for line in lines)
    with pytest.warns(ResumeWarning, match=r"begun anew, since 'banding', 'threshold' changed"):
        engine.Job(df, order="when", threshold=0.9, work=work)
    job.finish()
    assert not work.exists()


# ---- errors ----------------------------------------------------------------------------------------------------------------


def test_what_is_refused(spark, tmp_path):
    """The fact and the remedy."""
    df = spark.createDataFrame([(1, "a b", 0.5), (2, "c d", 0.5)], "id long, text string, score double")
    for options, error, match in (
        ({"text": "body"}, InputError, r"there is no column 'body' among 'id', 'text', 'score'; name the columns: text="),
        (
            {"id": "score"},
            InputError,
            r"column 'score' is of type double; ids are integers of 64 bits or strings: name another, or cast it",
        ),
        ({"text": "id"}, InputError, r"column 'id' is of type bigint; texts are strings: name another, or cast it"),
        (
            {"profile": "ocr"},
            ParameterError,
            r"verify is 'noisy' \(profile 'ocr'\), which leaves long buckets out; .*run the others with neardup",
        ),
        ({"profile": "excerpt"}, ParameterError, r"verify is 'contained' \(profile 'excerpt'\), which says nothing of copies"),
        ({"keep": lambda _id, _text: 0}, ParameterError, r"keep is the function .* make them a column and name that"),
        ({"clusters": "x"}, ParameterError, r"clusters is 'x'; it is one of 'witness', 'components'"),
        ({"partitions": 0}, ParameterError, r"partitions is 0; it goes from 1"),
        ({"work": tmp_path / "w"}, ParameterError, r"work is for a corpus in files, .*write df first, or leave work out"),
    ):
        with pytest.raises(error, match=match):
            engine.Job(df, **options)
    with pytest.raises(TypeError, match=r"df is a builtins.list; it is a DataFrame of Spark: spark.read.parquet"):
        engine.deduplicate([])
    with pytest.raises(ParameterError, match=r"column 'kept' is there already, and would be there twice; rename it"):
        engine.deduplicate(df.withColumnRenamed("score", "kept"), annotate=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thing").touch()
    df.write.parquet(str(tmp_path / "files"))
    with pytest.raises(ParameterError, match=r"is there already, and no unfinished work; name a new folder"):
        engine.Job(spark.read.parquet(str(tmp_path / "files")), work=tmp_path / "other")


def test_ids_that_are_null_or_repeat(spark):
    """Each is counted or named."""
    df = spark.createDataFrame([(1, "a b"), (None, "c d"), (1, "e f")], "id long, text string")
    with pytest.raises(InputError, match=r"1 documents have no id in column 'id'; give each one of its own, or filter them out"):
        engine.deduplicate(df)
    with pytest.raises(DuplicateIdError, match=r"document 1 is given twice; ids are unique: number the rows, or drop repeats"):
        engine.deduplicate(df.dropna())


def test_what_is_not_installed(monkeypatch, tmp_path):
    """Without pyspark, and without Java, the message names the command."""
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingDependencyError, match=r"needs pyspark, which is not installed; pip install 'neardup\[spark\]'"):
        sessions.require_pyspark()
    monkeypatch.setitem(sys.modules, "pyspark", pa)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"needs Java 17, and no java is on the PATH; install it \(Debian: apt-get install"):
        sessions.require_pyspark()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"JAVA_HOME is .*, where no bin/java is"):
        sessions.require_pyspark()


# ---- the command line ------------------------------------------------------------------------------------------------------


def run(*arguments):
    """The command: its exit code, what it printed, what it said."""
    env = os.environ | {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": f"--conf spark.ui.enabled=false --driver-java-options '{spark_driver.QUICK}' pyspark-shell",
    }
    command = [sys.executable, "-m", "neardup", *map(str, arguments)]
    command[1:3] = ["-c", "from neardup.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_command(spark, tmp_path):
    """A folder of the format that the name says, a line a stage, and the summary as JSON; the folder of work is gone."""
    texts = ["one two three four five six", "One two three four five six!", "seven"]
    with (tmp_path / "in.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    out = tmp_path / "out.jsonl"
    code, printed, said = run("dedup", tmp_path / "in.jsonl", "-o", out, "--engine", "spark", "--master", "local[1]", "--annotate")
    assert code == 0, said
    assert "signing: 3 documents" in said
    assert "3 documents: 2 kept, 1 removed (1 exact)" in said
    summary = json.loads(printed)
    assert (summary["removed"], summary["partitions"]) == (1, 2)
    rows = [json.loads(line) for part in out.glob("part-*.json") for line in part.read_text().splitlines()]
    assert {row["id"]: row.get("witness") for row in rows} == {0: None, 1: 0, 2: None}
    assert not (tmp_path / "out.jsonl.work").exists()


def test_what_the_command_refuses(spark, tmp_path):
    """What is local alone, and a master that there is not."""
    for arguments, match in (
        (["--exact", "-o", "x.parquet"], "--exact is not for --engine spark: it joins all sets in the memory of one machine; leave it out"),
        (["--threads", "2", "-o", "x.parquet"], "--threads is not for --engine spark"),
        ([], "--engine spark writes a folder, and no output is named; name one: -o clean.parquet"),
        (["-o", tmp_path / "x.parquet", "--master", "nowhere"], "Spark does not start with the master 'nowhere'"),
    ):
        code, _, said = run("dedup", tmp_path, "--engine", "spark", *arguments)
        assert code == 2
        assert match in said
    code, _, said = run("dedup", tmp_path, "--master", "yarn")
    assert (code, "--master is 'yarn', and the engine is local; add --engine spark" in said) == (2, True)


# ---- its parts, without Spark ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 2**64 - 1)), max_size=200))
def test_records_are_packed_by_slices(records):
    """Every record comes back in its slice, and slices are in order."""
    which = np.array([slice for slice, _ in records], np.uint16)
    words = np.array([[word, slice] for slice, word in records], np.uint64).reshape(-1, 2)
    batch = packing.packed(which, words)
    found = [(slice, rows.tolist()) for slice, rows in packing.slices_in([batch], 2)]
    assert [slice for slice, _ in found] == sorted(set(which.tolist()))
    assert all(row[1] == slice for slice, rows in found for row in rows)
    assert sorted(row for _, rows in found for row in rows) == sorted(words.tolist())


@pytest.mark.parametrize("most", [2, 5, 32])
@pytest.mark.parametrize("held", [50, 1 << 20])
def test_buckets_give_pairs_or_members(monkeypatch, most, held):
    """Of short buckets all pairs, of long ones all members, however little is held at a time."""
    monkeypatch.setattr(bucketing, "POSTINGS", held)
    rng = np.random.default_rng(most)
    keys = np.unique(
        np.stack((rng.zipf(1.5, 3000).astype(np.uint64) << np.uint64(50), rng.integers(0, 700, 3000, np.uint64)), axis=1), axis=0
    )
    rng.shuffle(keys)
    slices = packing.slices_of(keys[:, 0], 64)
    whole = packing.packed(slices, keys)
    made = list(bucketing.Bucketing(64, most)([whole.slice(i, 1) for i in range(whole.num_rows)]))
    found = {bucketing.PAIR: set(), bucketing.MEMBER: set()}
    for batch in made:
        kind = batch.column("kind")[0].as_py()
        assert set(batch.column("kind").to_pylist()) == {kind}
        found[kind] |= {tuple(row) for _, rows in packing.slices_in([batch], 2) for row in rows.tolist()}
    buckets = {}
    for key, number in keys.tolist():
        buckets.setdefault(key, []).append(number)
    short = [sorted(members) for members in buckets.values() if len(members) <= most]
    assert found[bucketing.PAIR] == {(a, b) for members in short for i, a in enumerate(members) for b in members[i + 1 :]}
    assert found[bucketing.MEMBER] == {(key, number) for key, members in buckets.items() if len(members) > most for number in members}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 2)), max_size=150), st.integers(1, 40))
def test_what_repeats_is_handed_on_once(documents, held):
    """Of every set and of every id that two documents have, all documents, however little is held at a time."""
    names = ["hi", "lo", "size", "named", "number"]
    rows = [(hi, lo, size, hi % 7, number) for number, (hi, lo, size) in enumerate(documents)]
    columns = [pa.array(column, pa.int64()) for column in zip(*rows, strict=True)] or [pa.array([], pa.int64())] * 5
    batch = pa.RecordBatch.from_arrays(columns, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeating, "RECORDS", held)
        whole = list(repeating.Keying(64)(batch.slice(i, 7) for i in range(0, len(rows), 7)))
        whole = [part.slice(i, 1) for part in whole for i in range(part.num_rows)]
        whole.sort(key=lambda part: part.column("slice")[0].as_py())
        found = [row for made in repeating.Repeating(64)(whole) for row in zip(*made.to_pydict().values(), strict=True)]
    sets, ids = {}, {}
    for hi, lo, size, named, number in rows:
        ids.setdefault((repeating.ID, named, 0), []).append(number)
        if size:
            sets.setdefault((repeating.SET, hi, lo), []).append(number)
    expected = {(*key, number) for group in (sets, ids) for key, some in group.items() if len(some) > 1 for number in some}
    assert set(found) == expected
    assert len(found) == len(expected)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda edge: edge[0] != edge[1]), max_size=120), st.integers(1, 30)
)
def test_one_pass_decides_as_the_whole_graph(edges, size):
    """Streamed a few edges at a time, in order of the later end, it keeps what the kernel keeps of the whole graph."""
    edges = sorted({(min(edge), max(edge)) for edge in edges}, key=lambda edge: (edge[1], edge[0]))
    a, b = (np.array([edge[i] for edge in edges], np.int64) for i in (0, 1))
    scores = np.linspace(0.5, 1, len(edges))
    names = ["earlier", "later", "similarity"]
    batches = [
        pa.RecordBatch.from_arrays(list(map(pa.array, (a[i : i + size], b[i : i + size], scores[i : i + size]))), names)
        for i in range(0, len(a), size)
    ]
    rows = [row for batch in batches for row in deciding.Packing()([batch])]
    found = [row for batch in deciding.Deciding(41)(rows) for row in zip(*batch.to_pydict().values(), strict=True)]
    kept = _kernels.first_independent_set(41, a.astype(np.uint32), b.astype(np.uint32))
    expected = {
        ((y, x) if kept[x] else (x, y)) + (score,)
        for x, y, score in zip(a.tolist(), b.tolist(), scores.tolist(), strict=True)
        if kept[x] != kept[y]
    }
    assert set(found) == expected
    assert len(found) == len(expected)


def test_edges_that_are_no_edges_are_refused():
    """An edge to a document that there is not, or one out of order."""
    kept = np.full(2, 255, np.uint8)
    for a, b in ((3, 2), (0, 16)):
        with pytest.raises(IndexError, match=r"edges that name sets that there are not, or not the earlier first"):
            _kernels.keep_first(kept, np.array([a], np.uint64), np.array([b], np.uint64))
