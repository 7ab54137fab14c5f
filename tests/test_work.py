"""Work that was interrupted: the same call goes on from what was kept, and comes to what it would have come to."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup import Index, ParameterError, ResumeWarning, Shingling, dedup, deduplicate, joins, spool, work
from neardup.work import Work

SCRIPT = (
    "import sys; from neardup import joins, work; work.KEPT, work.SECONDS, joins.PAIRS = 0, 0.0, 5000\n"
    "sys.argv[0] = 'neardup'; from neardup.cli import main; main()"
)
#: Ways to decide, some of which join more than once, or read the documents again.
WAYS = [
    {},
    {"keep": "longest"},
    {"keep": "-score"},
    {"order": "score", "keep": "last"},
    {"exact": True},
    {"pairs": "all"},
    {"clusters": "components"},
    {"drop_frequent": 0.2},
    {"on_error": "skip"},
]


def write_news(path, n=9000):
    """Stories, a third of them near-copies of an earlier one, and some of them boilerplate."""
    rng = random.Random(5)
    words = [f"word{i}" for i in range(3000)]
    stories = []
    for i in range(n):
        story = list(rng.choice(stories)) if stories and rng.random() < 0.3 else rng.choices(words, k=rng.randint(20, 40))
        story[rng.randrange(len(story))] = f"edit{i}"
        stories.append(story)
    with path.open("w") as file:
        for i, story in enumerate(stories):
            text = " ".join(story) if i % 7 else "this page cannot be found " + ("again " if i % 2 else "")
            file.write(json.dumps({"id": f"n{i}", "text": text, "score": i % 13}) + "\n")
    return path


@pytest.fixture(scope="module")
def news(tmp_path_factory):
    """A file of 9,000 stories."""
    return write_news(tmp_path_factory.mktemp("work") / "news.jsonl")


@pytest.fixture
def kept_early(monkeypatch):
    """Everything is kept as soon as it is done, in small parts."""
    monkeypatch.setattr(work, "KEPT", 0)
    monkeypatch.setattr(work, "SECONDS", 0.0)
    monkeypatch.setattr(joins, "PAIRS", 5000)


def decided(result):
    """All that a result says."""
    return result.kept, result.removed, result.pairs.to_pylist(), result.summary()


def interrupting(after):
    """A progress that is interrupted at its call of this number."""
    calls = 0

    def progress(*_):
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_interrupted_job_goes_on(news, tmp_path, kept_early, way):
    """Interrupted at its every step, and begun again each time: the answer of one go."""
    expected = deduplicate(news, **way)
    folder = tmp_path / "unfinished"
    steps = 0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        while True:
            steps += 1
            try:
                result = deduplicate(news, work=folder, progress=interrupting(steps), **way)
                break
            except KeyboardInterrupt:
                continue
    assert steps > 3
    assert decided(result) == decided(expected)
    assert all(issubclass(warning.category, ResumeWarning) for warning in said)
    assert "signing is done" in str(said[-1].message)
    result.finish()
    assert not folder.exists()


def test_cells_rank_alike_after_an_interruption(news, tmp_path, kept_early):
    """Those of CSV are all read again: as numbers they rank what JSONL has as numbers, though half was signed before."""
    records = [json.loads(line) for line in news.read_text().splitlines()]
    path, folder = tmp_path / "news.csv", tmp_path / "unfinished"
    path.write_text("id,text,score\n" + "".join(f"{one['id']},{one['text']},{one['score']}\n" for one in records))
    expected = deduplicate(news, keep="-score")
    with pytest.raises(KeyboardInterrupt):
        deduplicate(path, keep="-score", work=folder, progress=interrupting(1))
    with pytest.warns(ResumeWarning, match="going on: signing"):
        assert decided(deduplicate(path, keep="-score", work=folder)) == decided(expected)


def test_an_interrupted_job_goes_on_with_other_threads(news, tmp_path, kept_early, monkeypatch):
    """Parts are larger for more threads; what is signed is not signed again, wherever it ended."""
    expected, folder, signed, of = decided(deduplicate(news)), tmp_path / "unfinished", [], dedup.StoreBatch.of

    def once(signatures, *given):
        if len(signed) % 2:
            signed.append(0)
            raise KeyboardInterrupt
        signed.append(len(signatures))
        return of(signatures, *given)

    monkeypatch.setattr(dedup, "SIGNED", 60_000)
    monkeypatch.setattr(dedup.StoreBatch, "of", once)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResumeWarning)
        for threads in (1, 3) * 50:
            try:
                result = deduplicate(news, work=folder, threads=threads)
                break
            except KeyboardInterrupt:
                continue
    assert sum(map(bool, signed)) > 3
    assert sum(signed) == len(result.ids)
    assert decided(result) == expected


def test_a_crowd_is_decided_in_kept_rounds(news, tmp_path, kept_early, monkeypatch):
    """So are the rounds in which crowds are decided."""
    monkeypatch.setattr(dedup, "CROWDED", 0)
    expected = deduplicate(news)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResumeWarning)
        for steps in range(1, 200):
            try:
                result = deduplicate(news, work=tmp_path / "unfinished", progress=interrupting(steps))
                break
            except KeyboardInterrupt:
                continue
    assert steps > 4
    assert decided(result) == decided(expected)


def test_what_is_done_is_not_done_again(news, tmp_path, kept_early, monkeypatch):
    """When signing is done, the file is read no more, and nothing is joined twice."""
    folder = tmp_path / "unfinished"
    expected = decided(deduplicate(news, work=folder))
    monkeypatch.setattr(dedup.StoreBatch, "of", None)
    monkeypatch.setattr(joins.Join, "_found", None)
    with pytest.warns(ResumeWarning, match=r"going on: signing is done; join 1 is done"):
        assert decided(deduplicate(news, work=folder)) == expected


def test_a_short_job_keeps_nothing(news, tmp_path):
    """What takes less than a second leaves no folder, interrupted or not."""
    with pytest.raises(KeyboardInterrupt):
        deduplicate(news, work=tmp_path / "unfinished", progress=interrupting(1))
    deduplicate(news, work=tmp_path / "unfinished").finish()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def unfinished(news, tmp_path, kept_early):
    """The folder of a job that was interrupted when all documents were signed, and its own file of news."""
    path = tmp_path / "news.jsonl"
    path.write_bytes(news.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        deduplicate(path, work=tmp_path / "unfinished", progress=interrupting(5))
    return path, tmp_path / "unfinished"


def test_changed_parameters_begin_anew(unfinished):
    """And it is said which."""
    path, folder = unfinished
    with pytest.warns(ResumeWarning, match=r"unfinished: begun anew, since 'banding', 'threshold' changed"):
        assert decided(deduplicate(path, 0.7, work=folder)) == decided(deduplicate(path, 0.7))


def test_changed_files_begin_anew(unfinished):
    """One more line, or the same bytes written again."""
    path, folder = unfinished
    with path.open("a") as file:
        file.write('{"id": "new", "text": "one more", "score": 0}\n')
    with pytest.warns(ResumeWarning, match=r"begun anew, since 'inputs' changed"):
        assert decided(deduplicate(path, work=folder)) == decided(deduplicate(path))


def test_another_secret_begins_anew(news, tmp_path, kept_early):
    """Though nothing shows one, the manifest neither."""
    folder = tmp_path / "unfinished"
    with pytest.raises(KeyboardInterrupt):
        deduplicate(news, work=folder, shingling=Shingling(secret=123456789), progress=interrupting(5))
    assert "123456789" not in (folder / work.MANIFEST).read_text()
    with pytest.warns(ResumeWarning, match=r"begun anew, since 'secret' changed"):
        deduplicate(news, work=folder, shingling=Shingling(secret=2)).finish()


@pytest.mark.parametrize("kind", ["file", "index", "another index", "index in memory"])
def test_changed_older_documents_begin_anew(news, tmp_path, kept_early, kind):
    """As many as before, but others."""
    stories = [json.loads(line) for line in news.read_text().splitlines()[:50]]
    older, folder = tmp_path / ("older.jsonl" if kind == "file" else "older"), tmp_path / "unfinished"

    def put(some):
        if kind == "file":
            older.write_text("".join(json.dumps({**story, "id": f"o{story['id']}"}) + "\n" for story in some))
            return
        if kind == "another index" and older.exists():
            shutil.rmtree(older)
        with Index.open(older) as index:
            for id in index.ids():
                index.remove(id)
            index.add_many([f"o{story['id']}" for story in some], [story["text"] for story in some])

    def given():
        return Index.load(older) if kind == "index in memory" else older

    put(stories[:25])
    with pytest.raises(KeyboardInterrupt):
        deduplicate(news, against=given(), work=folder, progress=interrupting(5))
    with pytest.warns(ResumeWarning, match="going on: signing is done"), pytest.raises(KeyboardInterrupt):
        deduplicate(news, against=given(), work=folder, progress=interrupting(1))
    put(stories[25:])
    with pytest.warns(ResumeWarning) as said:
        result = deduplicate(news, against=given(), work=folder)
    assert ["begun anew, since 'against' changed" in str(one.message) for one in said] == [True]
    assert result.summary()["against"] >= 25
    assert decided(result) == decided(deduplicate(news, against=given()))
    result.finish()


@pytest.mark.parametrize("column", ["evidence", "band-3", "ids", "sizes"])
def test_damaged_columns_begin_anew(unfinished, column):
    """A flipped bit in what is kept is found by its checksum."""
    path, folder = unfinished
    file = folder / f"{column}.column"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.warns(ResumeWarning, match=rf"begun anew, since {column}.column is damaged"):
        assert decided(deduplicate(path, work=folder)) == decided(deduplicate(path))


@pytest.mark.parametrize("cut", [0, 100])
def test_lost_columns_begin_anew(unfinished, cut):
    """So is what is missing."""
    path, folder = unfinished
    os.truncate(folder / "evidence.column", cut)
    (folder / "sizes.column").unlink()
    with pytest.warns(ResumeWarning, match=r"begun anew, since \S+.column is damaged"):
        assert decided(deduplicate(path, work=folder)) == decided(deduplicate(path))


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": 99}'])
def test_a_damaged_manifest_begins_anew(unfinished, text):
    """Whatever is in its place."""
    path, folder = unfinished
    (folder / "manifest.json").write_text(text)
    with pytest.warns(ResumeWarning, match=r"begun anew, since (its manifest is damaged|it is of another version)"):
        assert decided(deduplicate(path, work=folder)) == decided(deduplicate(path))


def test_what_is_written_beyond_the_manifest_is_cut_off(unfinished):
    """A kill between a column and the manifest leaves more in the column than counts."""
    path, folder = unfinished
    with (folder / "evidence.column").open("ab") as file:
        file.write(b"torn off")
    with pytest.warns(ResumeWarning, match="going on"):
        assert decided(deduplicate(path, work=folder)) == decided(deduplicate(path))


def test_a_second_process_is_refused(unfinished):
    """Two must not write one folder."""
    path, folder = unfinished
    code = "import sys; from neardup.work import Work; from pathlib import Path; held = Work(1, Path(sys.argv[1]), {}); input('held\\n')"
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ParameterError) as refused:
            deduplicate(path, work=folder)
        assert str(refused.value) == f"another job is at work in {folder}; wait for it, or write elsewhere"
        other.communicate(b"\n")


def test_a_folder_of_something_else_is_refused(news, tmp_path):
    """Nothing in it is touched."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "diary.txt").write_text("dear")
    with pytest.raises(ParameterError, match=r"precious is there already, and no unfinished work; name a new folder"):
        deduplicate(news, work=tmp_path / "precious")
    with pytest.raises(ParameterError, match="no unfinished work"):
        deduplicate(news, work=tmp_path / "precious" / "diary.txt")
    assert (tmp_path / "precious" / "diary.txt").read_text() == "dear"


def test_what_cannot_be_compared_is_refused(news, tmp_path):
    """Texts in memory and functions say nothing about whether they are those of before."""
    with pytest.raises(ParameterError, match=r"a list of 1 texts cannot be compared with that of an interrupted run; work= is for files"):
        deduplicate(["a"], work=tmp_path / "w")
    for way in ({"keep": lambda name, _: name}, {"shingling": Shingling(tokens=str.split)}):
        with pytest.raises(ParameterError, match=r"and a function cannot; leave it out"):
            deduplicate(news, work=tmp_path / "w", **way)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    """Which folder has no room."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "full.column").symlink_to("/dev/full")
    column = spool.Spool("uint8", tmp_path / "full.column")
    column._open("rb+")
    with pytest.raises(OSError, match=f"No space left on device for temporary files in {tmp_path}"):
        column.append(memoryview(bytes(1 << 20)))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9))), st.sampled_from(["memory", "file", "recalled", "spilled last"]))
def test_ranges_of_a_column(ranges, where):
    """Neighbours or not, in any order, empty or over each other; from memory as from a file, whenever it was put there."""
    column, values = spool.Spool("uint32"), np.arange(30, dtype=np.uint32)
    column.append(values)
    if where in ("file", "recalled"):
        column.spill()
    column.append(values + np.uint32(30))
    if where == "recalled":
        column.recall()
        assert not column.spilled
    column.array()
    if where == "spilled last":
        column.spill()
    starts, sizes = np.array([one[0] for one in ranges], np.uint64), np.array([one[1] for one in ranges], np.uint32)
    expected = [i for start, size in ranges for i in range(start, start + size)]
    assert column.ranges(starts, sizes).tolist() == expected


def test_nothing_of_an_empty_column():
    """Documents without a shingle have no hashes anywhere."""
    assert spool.Spool("uint32").ranges(np.zeros(3, np.uint64), np.zeros(3, np.uint32)).tolist() == []


def test_a_child_that_ends_writes_nothing_more():
    """A process is forked between two additions, and ends as Python processes do: the file is its parent's."""
    script = (
        "import os, sys; import numpy as np; from neardup.spool import Spool\n"
        "column = Spool(np.uint32); column.append(np.arange(3, dtype=np.uint32)); column.spill(); column.append(np.arange(3, dtype=np.uint32))\n"
        "if os.fork() == 0: sys.exit(0)\n"
        "os.wait(); column.append(np.array([99], np.uint32)); print(column.array().tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout == "[0, 1, 2, 0, 1, 2, 99]\n"


def test_a_file_that_became_shorter_is_said():
    """Nothing is made up."""
    column = spool.Spool("uint32")
    column.append(np.arange(9, dtype=np.uint32))
    column.spill()
    os.ftruncate(column._file.fileno(), 20)
    with pytest.raises(OSError, match="a temporary file became shorter: 16 bytes are missing; leave TMPDIR alone while a job runs"):
        column.ranges(np.array([0], np.uint64), np.array([9], np.uint32))


def test_columns_are_spilled_when_they_outgrow_memory():
    """Without a folder in files without a name; a quarter of the limit is for columns."""
    without = Work(1000)
    column = without.column("numbers", "uint8")
    column.append(memoryview(bytes(250)))
    without.publish("counting")
    assert not column.spilled
    column.append(memoryview(bytes(1)))
    without.publish("counting")
    assert column.spilled
    assert column.array().tolist() == [0] * 251


# ---- kills ---------------------------------------------------------------------------------------------------------------


def run_killed(command, kills, rng, longest):
    """Run a command that is killed at random moments, until it was killed that often or ended before; how often it was."""
    killed = 0
    while killed < kills:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
            try:
                running.wait(rng.uniform(0.1, longest))
            except subprocess.TimeoutExpired:
                running.send_signal(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT]))
                running.wait()
                killed += 1
            else:
                assert running.returncode == 0, running.stderr.read().decode()
                return killed
    return killed


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.prove)])
def test_a_killed_command_goes_on(news, tmp_path, kills):
    """Killed at random moments: no output under its name until it is whole, and then that of one go, byte for byte."""
    rng = random.Random(kills)
    command = [sys.executable, "-c", SCRIPT, "dedup", str(news), "--evidence"]
    start = time.perf_counter()
    subprocess.run([*command, f"{tmp_path}/pairs-once.jsonl", "-o", f"{tmp_path}/out-once.jsonl"], check=True, capture_output=True)
    took = time.perf_counter() - start
    again = [*command, f"{tmp_path}/pairs.jsonl", "-o", f"{tmp_path}/out.jsonl"]
    killed = 0
    while killed < kills:
        killed += run_killed(again, kills - killed, rng, took)
        for name in ("out", "pairs"):
            path = tmp_path / f"{name}.jsonl"
            if path.exists():
                assert path.read_bytes() == (tmp_path / f"{name}-once.jsonl").read_bytes()
                path.unlink()
    last = subprocess.run(again, check=True, capture_output=True, text=True)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "out-once.jsonl").read_bytes()
    assert (tmp_path / "pairs.jsonl").read_bytes() == (tmp_path / "pairs-once.jsonl").read_bytes()
    assert not (tmp_path / "out.jsonl.work").exists(), last.stderr


MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("process", "files", "allowed"),
    [
        ("0::/\n", {}, MACHINE),
        ("0::/\n", {"memory.max": "max"}, MACHINE),
        ("0::/\n", {"memory.max": "1000"}, 1000),
        ("0::/job/step\n", {"job/memory.max": "2000", "job/step/memory.max": "max"}, 2000),
        ("0::/job/step\n", {"job/memory.max": "2000", "job/step/memory.max": "1000"}, 1000),
        ("0::/job\n", {"other/memory.max": "1000"}, MACHINE),
        ("4:memory:/slurm/job\n1:cpu:/\n", {"memory/slurm/memory.limit_in_bytes": "3000", "memory/memory.limit_in_bytes": "9" * 18}, 3000),
        ("4:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "3000"}, 3000),
        ("0::/../../elsewhere\n", {"memory.max": "5000"}, 5000),
        (None, {"memory/memory.limit_in_bytes": "4000"}, 4000),
    ],
)
def test_the_memory_of_control_groups(tmp_path, process, files, allowed):
    """The least of a process's group and all above it, of both versions; none where there is no limit."""
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    if process is not None:
        (tmp_path / "cgroup").write_text(process)
    assert spool.allowed(str(tmp_path / "cgroup"), str(tmp_path / "groups")) == allowed


def test_what_was_buffered_is_its_process(tmp_path):
    """A forked child that ends as Python processes do leaves what its parent has read from a pipe."""
    code = (
        "import os, sys, threading, neardup\n"
        "fifo, out = sys.argv[1:]\n"
        "os.mkfifo(fifo)\n"
        "threading.Thread(target=lambda: open(fifo, 'w').write('{\"text\": \"one\"}\\n')).start()\n"
        "result = neardup.deduplicate(fifo)\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "result.write(out)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "fifo", tmp_path / "out.jsonl"], check=True)
    assert (tmp_path / "out.jsonl").read_text() == '{"text": "one"}\n'


def test_a_folder_of_work_is_made_in_one_that_is_there(tmp_path):
    """Otherwise it is told at once, not after a while of work."""
    with pytest.raises(ParameterError, match="nowhere is no folder, and work is made in it; make it first, or name another"):
        Work(1 << 30, tmp_path / "nowhere" / "work", {})


PARTS = ['"columns": []', '"columns": {"a": 3}', '"columns": {"a": ["<f9", 0, 0]}', '"columns": {"../a": ["<u4", 0, 0]}', '"columns": {}']


MANIFESTS = [f'{{"format": 1, "job": {{}}, "stages": {{"a": 1}}, {part}}}' for part in PARTS]


@pytest.mark.parametrize("manifest", ["{}", '{"format": 1}', "[]", "{", *MANIFESTS])
def test_a_manifest_that_lacks_something_is_damaged(tmp_path, manifest):
    """What is damaged is done anew."""
    (tmp_path / "lock").touch()
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.warns(ResumeWarning, match="begun anew, since it"):
        work = Work(1 << 30, tmp_path, {})
    assert work.done("signing") == {}


def test_a_forked_child_holds_no_folder_of_work(tmp_path):
    """Which its parent has let go of."""
    (tmp_path / "lock").touch()
    work = Work(1 << 30, tmp_path, {})
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ours, 1)
        os._exit(0)
    try:
        work.leave(KeyboardInterrupt)
        Work(1 << 30, tmp_path, {}).leave(KeyboardInterrupt)
    finally:
        os.write(theirs, b".")
        os.waitpid(child, 0)
