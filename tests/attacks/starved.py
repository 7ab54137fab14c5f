"""Work done by a process that the system keeps short of something; for tests, which say of what.

What is done is acknowledged step by step; what goes wrong is one of the errors that a caller is told to expect, or a defect.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import struct
import sys
import traceback
import warnings
from unittest import mock

from neardup import Index, NearDupError, deduplicate
from neardup.stores import disk

THRESHOLD = 0.6
#: Exit codes: an error that is one of those that a caller expects, and a defect.
REFUSED, DEFECT = 3, 4


def texts(start, many, words=30):
    """Some texts, each third a near-duplicate of the one before."""
    return [" ".join(f"w{(i - i % 3) * 31 + j + (j == 7) * (i % 3 == 1)}" for j in range(words)) for i in range(start, start + many)]


def steps():
    """What is done to an index, step by step: method, arguments, ids afterwards. It folds, merges, removes and compacts."""
    ids = []

    def added(first, many):
        ids.extend(range(first, first + many))
        return list(range(first, first + many)), texts(first, many)

    for first in range(0, 10, 2):
        yield "add_many", added(first, 2), list(ids)
    for first in range(10, 70, 12):
        yield "add_many", added(first, 12), list(ids)
    ids.remove(5)
    yield "remove", (5,), list(ids)
    ids.remove(30)
    ids.append(30)
    yield "update", (30, "another text of a few words only"), list(ids)
    yield "compact", (), list(ids)
    ids.append("last")
    yield "add", ("last", "the last of all these texts"), list(ids)
    yield "query_many", (texts(0, 40),), list(ids)


def content(step):
    """The texts by their ids after so many steps."""
    ids = [[], *(ids for _, _, ids in steps())][step]
    found = {id: "the last of all these texts" if id == "last" else texts(id, 1)[0] for id in ids}
    if step > 11:
        found[30] = "another text of a few words only"
    return found


def on_disk(folder, said):
    """Open an index, and do the steps that have not been done."""
    with mock.patch.multiple(disk, TAIL=4, BULK=6, SEGMENTS=3), Index.open(folder / "index", THRESHOLD) as index:
        said.write("opened\n")
        for method, given, _ in steps():
            getattr(index, method)(*given)
            said.write("done\n")


def in_memory(folder, said):
    """Add and ask in batches; what was refused is not there, and what was there is."""
    index, failed = Index(THRESHOLD), None
    for first in range(0, 24_000, 6000):
        try:
            index.add_many(range(first, first + 6000), texts(first, 6000))
            index.query_many(texts(first, 1000))
            assert len(index.pairs()) >= 1000
        except (MemoryError, OSError) as error:
            failed = error
        there = index.ids()
        assert there == sorted(set(there))
        assert all(sum(id // 6000 == batch for id in there) in (0, 6000) for batch in range(4))
        said.write("done\n")
    if failed is not None:
        raise failed


def whole_corpus(folder, said):
    """Deduplicate a file, with work that an interrupted job goes on with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = deduplicate(folder / "texts.jsonl", threshold=THRESHOLD, work=folder / "work", memory_limit="64MiB")
    said.write(f"{len(result.kept)}\n")


def command(folder, said):
    """The same on the command line."""
    from neardup.cli import main

    sys.argv = ["neardup", "dedup", str(folder / "texts.jsonl"), "-o", str(folder / "kept.jsonl"), "--threshold", str(THRESHOLD), "-q"]
    main()


def become_nobody():
    """Be a user whose threads are counted, but may still read and write what root may."""
    libc = ctypes.CDLL(None, use_errno=True)
    keep_capabilities, version, of_files = 8, 0x20080522, 0b1111
    libc.prctl(keep_capabilities, 1, 0, 0, 0)
    os.setresuid(65534, 65534, 65534)
    if libc.capset(struct.pack("II", version, 0), struct.pack("6I", of_files, of_files, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")


def once(folder):
    """Deduplicate a few texts, so that what is imported on the way is there already."""
    aside = folder / ".once"
    aside.mkdir()
    lines = (folder / "texts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (aside / "texts.jsonl").write_text("".join(lines[:9]), encoding="utf-8")
    with open(os.devnull, "w", encoding="utf-8") as nobody, contextlib.suppress(SystemExit):  # noqa: PTH123
        whole_corpus(aside, nobody)
        command(aside, nobody)
    shutil.rmtree(aside)


def limit(what, value):
    """Lower a limit of this process; that of memory counts from what it has."""
    number = getattr(resource, f"RLIMIT_{what}")
    if what == "AS":
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            value += int(file.read().split()[0]) * resource.getpagesize()
    if what == "NPROC":
        become_nobody()
    if what == "FSIZE":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(number, (value, resource.getrlimit(number)[1]))


def work(name, folder, limits, acknowledged, errors):
    """Do something within limits: in a process of its own, which this ends. What is said goes to pipes, which no limit meets."""
    with os.fdopen(os.dup(acknowledged.fileno()), "w", buffering=1) as said:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(errors.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        code = 0
        if "AS" in limits and name in ("whole_corpus", "command"):
            once(folder)
        if "AS" in limits and name == "in_memory":
            Index().pairs()  # imports
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: os._exit(code))
            try:
                for what, value in limits.items():
                    limit(what, value)
                globals()[name](folder, said)
            except SystemExit as leaving:  # the command line
                code = leaving.code or 0
            except (NearDupError, OSError, MemoryError) as error:
                code = REFUSED
                note = str(error) or ("no memory" if isinstance(error, MemoryError) else "")
                os.write(2, f"{type(error).__name__}: {note}\n".encode("utf-8", "replace"))
            except BaseException:  # noqa: BLE001  it is told
                code = DEFECT
                traceback.print_exc()
