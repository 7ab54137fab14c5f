"""Work that the system keeps short of something: memory, files, threads, disk; or whose system calls fail, or whose clock jumps.

Whatever it is, the work is done, or its error says what failed; nothing hangs or aborts. Afterwards what was acknowledged is
there and nothing is half there, and with enough of everything the same work is done as if nothing had been.
"""

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
import starved
from conftest import need
from test_kills import FORKING, contents

from neardup import Index

#: Seconds after which work hangs; it takes one.
PATIENCE = 120
KINDS = ["in_memory", "on_disk", "whole_corpus", "command"]


@pytest.fixture
def folder(tmp_path):
    """Where the work is done, by any user."""
    lines = [json.dumps({"id": i, "text": text}) for i, text in enumerate(starved.texts(0, 3000))]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:-2]:
        parent.chmod(0o755)
    return tmp_path


def anew(folder):
    """Remove what work left."""
    for name in ("index", "work"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.iterdir():
        if path.name.startswith(("kept", ".")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


class Outcome(NamedTuple):
    """What became of a process: its exit code, None if it hung; what it acknowledged; what it said of errors."""

    code: int | None
    said: list[str]
    errors: str


def judge(kind, outcome, short_of):
    """That work was done, or refused in words."""
    code, _, errors = outcome
    assert code is not None, f"{kind} short of {short_of} hangs"
    assert code >= 0, f"{kind} short of {short_of} was ended by signal {-code}: {errors[-1000:]}"
    if code == 0:
        return
    assert code == (2 if kind == "command" else starved.REFUSED), f"{kind} short of {short_of}: {errors[-3000:]}"
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if line.strip()]
    assert len(lines) == 1, errors
    assert len(lines[0].partition(": ")[2]) > 5, errors


def starve(kind, folder, **limits):
    """Do something within limits, in a process of its own."""
    pipes = [FORKING.Pipe(duplex=False) for _ in range(2)]
    process = FORKING.Process(target=starved.work, args=(kind, folder, limits, *(there for _, there in pipes)))
    process.start()
    for _, there in pipes:
        there.close()
    process.join(PATIENCE)
    hangs = process.is_alive()
    process.kill()
    process.join()
    said, errors = (all_of(here) for here, _ in pipes)
    return Outcome(None if hangs else process.exitcode, said.splitlines(), errors)


def all_of(pipe):
    """What is in a pipe that nobody writes to any more."""
    with os.fdopen(os.dup(pipe.fileno()), errors="replace") as file:
        pipe.close()
        return file.read()


def check(kind, folder, said):
    """That nothing is lost or half there, and that the same work is done now that nothing is wanting."""
    if kind == "on_disk":
        check_index(folder, said)
    elif kind == "whole_corpus":
        assert starve(kind, folder) == (0, ["1000"], "")
        assert not (folder / "work").exists()
    elif kind == "command":
        kept = folder / "kept.jsonl"
        if kept.exists():
            assert len(kept.read_text().splitlines()) == 1000
            kept.unlink()
        left = sorted(path.name for path in folder.iterdir() if path.name != "texts.jsonl")
        assert left in ([], ["kept.jsonl.work"]), left
        code, _, errors = starve(kind, folder)
        assert code == 0, errors
        assert len(kept.read_text().splitlines()) == 1000


def check_index(folder, said):
    """That an index is what it was after what was acknowledged, or after one step more."""
    steps = max(len(said) - 1, 0)
    if not (folder / "index").exists():
        assert not said
        return
    with Index.open(folder / "index", starved.THRESHOLD) as index:
        there = contents(index)
        for step in (steps, steps + 1):
            memory = Index(starved.THRESHOLD)
            memory.add_many(list(starved.content(step)), list(starved.content(step).values()))
            if contents(memory) == there:
                break
        else:
            pytest.fail(f"after {steps} steps there is {index.ids()}")
        assert index.check() == []
        assert index.pairs() == memory.pairs()
        index.add("after", "all is well")
        assert "after" in index
        files = {path.name for kind in ("documents", "segments") for path in (folder / "index" / kind).iterdir()}
        assert not any(name.endswith(".part") for name in files)


def sweep(kind, folder, wants, record_property):
    """Starve work of each of some wants."""
    codes = Counter()
    for limits in wants:
        anew(folder)
        outcome = starve(kind, folder, **limits)
        judge(kind, outcome, limits)
        codes["done" if outcome.code == 0 else "refused"] += 1
        check(kind, folder, outcome.said)
    for name, count in codes.items():
        record_property(name, count)
    return codes


# ---- memory --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_little_memory(kind, folder, record_property):
    """Address space that ends a little above what the library itself takes."""
    sweep(kind, folder, [{"AS": size << 20} for size in (0, 1, 6, 12, 128)], record_property)


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS)
def test_little_memory_at_length(kind, folder, record_property):
    """At two hundred sizes."""
    sweep(kind, folder, [{"AS": int(2 ** random.uniform(12, 27))} for _ in range(200)], record_property)


def test_what_has_no_room_is_a_memory_error():
    """The message names the array; what was there is there, and with more room the same is added."""
    code = """
import resource, starved
from neardup import Index
N = 200_000
index, texts = Index(0.8, verify="estimate"), starved.texts(0, N, 8)
index.add_many([-1], ["one text that is there before"])
for room in range(1 << 20, 256 << 20, 9 << 20):
    with open("/proc/self/statm") as file:
        resource.setrlimit(resource.RLIMIT_AS, (room + int(file.read().split()[0]) * resource.getpagesize(), -1))
    try:
        index.add_many(range(N), texts, threads=1)
    except MemoryError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    if len(index) > 1:
        break
    assert index.ids() == [-1] and index.query("one text that is there before")[0].id == -1
else:
    index.add_many(range(N), texts, threads=1)
print(len(index), index.query(texts[-3])[0].similarity)
"""
    here = Path(starved.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=PATIENCE, cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    *refusals, last = done.stdout.splitlines()
    assert last == "200001 1.0"
    words = r"no memory for an array of \d{6,} bytes; use smaller batches, or allow more memory|Unable to allocate .*|"
    assert all(re.fullmatch(words, refusal) for refusal in refusals), refusals
    assert any(refusal.startswith("no memory for") for refusal in refusals), refusals


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_answers_that_have_no_room(where, tmp_path):
    """Hundreds of thousands of matches and ids: a MemoryError, whichever object is one too many, and nothing is lost by it."""
    code = """
import os, resource, sys
from neardup import Index
N, text = 100_000, "one text that many copies are kept of"
index = Index(0.8) if sys.argv[1] == "memory" else Index.open(sys.argv[2], 0.8)
index.add_many([f"copy {i}" if i % 3 else 2**40 + i for i in range(N)], [text] * N)
asked = [
    lambda: [index.ids() for _ in range(40)][0],
    lambda: index.query_many(["another", *[text] * 8], threads=1)[1],
    lambda: [index.query(text) for _ in range(8)][0],
]

def ask_with(room, ask):
    with open("/proc/self/statm") as file:
        resource.setrlimit(resource.RLIMIT_AS, (room + int(file.read().split()[0]) * resource.getpagesize(), -1))
    try:
        found = len(ask())
    except MemoryError:
        found = None
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    assert found in (None, N) and len(ask()) == N
    return found

refused = [0] * len(asked)
for room in range(1 << 20, 140 << 20, 45 << 20):
    for number, ask in enumerate(asked):
        child = os.fork()
        if child == 0:
            os._exit(7 if ask_with(room, ask) is None else 0)
        outcome = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert outcome in (0, 7), (room, number, outcome)
        refused[number] += outcome == 7
print(refused)
"""
    command = [sys.executable, "-c", code, where, tmp_path / "index"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert min(json.loads(done.stdout)) >= 2  # of four


# ---- files, threads, disk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_few_open_files(kind, folder, record_property):
    """As many handles as some limit leaves, from hardly any."""
    sweep(kind, folder, [{"NOFILE": number} for number in (8, 12, 16, 24)], record_property)


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS)
def test_few_open_files_at_length(kind, folder, record_property):
    """At every limit."""
    sweep(kind, folder, [{"NOFILE": number} for number in range(4, 64)], record_property)


@pytest.mark.parametrize("kind", KINDS)
def test_no_threads(kind, folder, record_property):
    """A user who may have no more threads: all is done by the one that there is."""
    if os.geteuid() != 0:
        pytest.skip("another user is what root alone can become")
    codes = sweep(kind, folder, [{"NPROC": 1}], record_property)
    assert codes == {"done": 1}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_no_large_files(kind, folder, record_property):
    """A limit of the size of files, at which writing fails as on a full disk."""
    sweep(kind, folder, [{"FSIZE": size} for size in (0, 4096, 30_000, 200_000)], record_property)


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS[1:])
def test_no_large_files_at_length(kind, folder, record_property):
    """At a hundred limits."""
    sweep(kind, folder, [{"FSIZE": size} for size in range(0, 300_000, 3000)], record_property)


def test_a_full_disk(folder, record_property):
    """A disk of each of some sizes, which is full at another moment."""
    full_disks(folder, record_property, range(64, 1024, 160))


@pytest.mark.attack
def test_a_full_disk_at_length(folder, record_property):
    """At every size."""
    full_disks(folder, record_property, range(16, 1200, 8))


def full_disks(folder, record_property, sizes):
    """Work on disks of so many kibibytes, with more than that afterwards."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own is what root alone can mount")
    codes, disk = Counter(), folder / "disk"
    disk.mkdir()
    for kind in KINDS[1:]:
        for size in sizes:
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], capture_output=True, check=False)
            if mounted.returncode:
                pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
            try:
                (disk / "texts.jsonl").symlink_to(folder / "texts.jsonl")
                outcome = starve(kind, disk)
                judge(kind, outcome, f"disk: {size} KiB")
                subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
                check(kind, disk, outcome.said)
            finally:
                subprocess.run(["umount", "-l", disk], check=True)
            codes["done" if outcome.code == 0 else "refused"] += 1
    for name, count in codes.items():
        record_property(name, count)
    assert codes["refused"] > 3


# ---- system calls that fail ----------------------------------------------------------------------------------------------

#: What fails, and how.
FAILURES = [
    ("openat", "EMFILE"), ("openat", "EACCES"), ("openat", "ENOMEM"), ("write", "ENOSPC"), ("write", "EIO"), ("write", "EINTR"),
    ("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("pread64", "EIO"), ("fsync", "EIO"), ("fsync", "ENOSPC"), ("fdatasync", "EIO"),
    ("rename", "EIO"), ("rename", "ENOSPC"), ("ftruncate", "EIO"), ("mmap", "ENOMEM"), ("unlink", "EIO"), ("mkdir", "ENOSPC"),
    ("flock", "ENOLCK"), ("fcntl", "EIO"), ("newfstatat", "EIO"), ("lseek", "EIO"), ("read", "EIO"), ("read", "EINTR"),
]  # fmt: skip
WORKER = Path(starved.__file__).with_name("starved_alone.py")


def paths(folder):
    """What work touches: calls for other paths, of the interpreter and the libraries, do not fail."""
    index = folder / "index"
    yield from (folder, index, index / "writer.lock", *(index / f"catalog.sqlite{end}" for end in ("", "-wal", "-shm", "-journal")))
    for kind in ("documents", "segments"):
        yield index / kind
        yield from (index / kind / f"{number:08}{end}" for number in range(1, 60) for end in ("", ".part"))
    for work in (folder / "work", folder / "kept.jsonl.work"):
        yield from (work, work / "lock", work / "manifest.json", work / "manifest.json.part")
        yield from (work / f"{name}.column" for name in ("evidence", "set-hashes", "sizes", "ids", "id-ends", "places", "band-0", "band-1"))
    yield from (folder / "texts.jsonl", folder / "kept.jsonl")


def fail(kind, folder, call, error, first):
    """Do something in a process one of whose system calls fails, or all from some on."""
    command = ["strace", "-f", "-qq", "-o", folder.parent / "log", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={first}"]
    for path in paths(folder):
        command += ["-P", path]
    run = subprocess.Popen(
        [*command, sys.executable, WORKER, kind, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, errors = run.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        said, errors = run.communicate()
        return Outcome(None, said.splitlines(), errors), 0
    failed = (folder.parent / "log").read_text(errors="replace").count("(INJECTED)")
    return Outcome(run.returncode, said.splitlines(), errors), failed


def failing_calls(tmp_path, record_property, chosen):
    """Let each of some calls fail: kind of work, call, error, and which call of its kind, or from which on."""
    need("strace")
    folder, codes = tmp_path / "folder", Counter()
    for kind, call, error, first in chosen:
        anew(folder)
        outcome, failed = fail(kind, folder, call, error, first)
        judge(kind, outcome, f"{call} {first}: {error}")
        check(kind, folder, outcome.said)
        codes["calls that failed"] += failed
        codes["not reached" if not failed else "done in spite of it" if outcome.code == 0 else "refused"] += 1
    for name, count in codes.items():
        record_property(name, count)
    return codes


@pytest.fixture
def within(folder):
    """The same folder, in one for recordings."""
    (folder / "folder").mkdir()
    (folder / "texts.jsonl").rename(folder / "folder" / "texts.jsonl")
    return folder


def chosen(seed, many):
    """Some failures; one in four lasts."""
    rng = random.Random(seed)
    for number in range(many):
        call, error = FAILURES[7 * number % len(FAILURES)]
        lasts = "+" if rng.random() < 0.25 and error != "EINTR" else ""
        yield rng.choice(KINDS[1:]), call, error, f"{int(2 ** rng.uniform(0, 4.5))}{lasts}"


def test_system_calls_that_fail(within, record_property):
    """A dozen."""
    codes = failing_calls(within, record_property, chosen(1, 12))
    assert codes["calls that failed"] > 0


@pytest.mark.attack
def test_system_calls_that_fail_at_length(within, record_property):
    """A thousand."""
    failing_calls(within, record_property, chosen(random.randrange(2**32), 1000))


# ---- a clock that jumps --------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps(folder, monkeypatch):
    """Back and forth by years: all that is done is done as ever, at once."""
    rng = random.Random(11)
    monkeypatch.setattr(time, "time", lambda: rng.choice([0.0, -1.0, 1e9, 4e9, 2e11]))
    monkeypatch.setattr(time, "time_ns", lambda: rng.choice([0, 10**18, 2**62]))
    monkeypatch.setattr(time, "strftime", lambda *_: "0000-00-00 00:00:00")
    begun = time.monotonic()
    starved.on_disk(folder, io.StringIO())
    said = io.StringIO()
    starved.whole_corpus(folder, said)
    assert said.getvalue() == "1000\n"
    check_index(folder, ["done"] * (len(list(starved.steps())) + 1))
    assert time.monotonic() - begun < PATIENCE


#: Seconds.
YEAR = 365 * 86400


@pytest.mark.parametrize("jump", ["-3y", "+80y", "@2038-01-19 03:14:05"])
def test_a_clock_of_another_time(folder, jump):
    """As the C library and SQLite see it too."""
    need("faketime")
    other = ["faketime", "-f", jump, sys.executable]
    seen = subprocess.run([*other, "-c", "import time; print(time.time())"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert abs(float(seen.stdout) - time.time()) > YEAR
    run = subprocess.run([*other, WORKER, "on_disk", folder], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode == 0, run.stderr
    check_index(folder, run.stdout.splitlines())


# ---- control groups --------------------------------------------------------------------------------------------------------


@pytest.fixture
def control_group():
    """A control group of 400 MB, where this process may make one."""
    groups = Path("/proc/self/cgroup").read_text() if Path("/proc/self/cgroup").exists() else ""
    own = next((line.split(":", 2)[2] for line in groups.splitlines() if ":memory:" in line), "none")
    group = Path("/sys/fs/cgroup/memory", own.lstrip("/"), f"neardup-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("400000000")
    except OSError as error:
        pytest.skip(f"needs the right to make a control group: {error}")
    yield group
    group.rmdir()


@pytest.mark.attack
def test_a_job_within_a_control_group(tmp_path, control_group):
    """It takes half of what the group has, and is not ended by it: its columns alone are as large, and go to files."""
    with (tmp_path / "a.jsonl").open("w") as file:
        for i in range(0, 300_000, 2):
            text = " ".join(f"w{i * 31 + n * n}" for n in range(100))
            file.write("".join(json.dumps({"id": id, "text": text}) + "\n" for id in (i, i + 1)))
    program = "import sys, neardup; r = neardup.deduplicate(sys.argv[1]); print(len(r.kept), neardup.spool.memory_bytes(None))"
    join = f"echo $$ > {control_group}/cgroup.procs && exec {sys.executable} -c '{program}' {tmp_path / 'a.jsonl'}"
    done = subprocess.run(["sh", "-c", join], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["150000", str(400_000_000 // 4096 * 4096 // 2)]
    peak = int((control_group / "memory.max_usage_in_bytes").read_text())
    assert peak <= 400_000_000
