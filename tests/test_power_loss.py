"""What a loss of power leaves of an index on disk: its writes are recorded, and replayed as far as they may have come.

A disk keeps what was synced before the loss, and of what was not any beginning, in order. That of a file is its bytes; that
of a folder, which is synced apart, is its names.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import disk_writer
import pytest
from conftest import need

from neardup import Index

WRITER = Path(disk_writer.__file__)
CALLS = "openat,write,pwrite64,lseek,ftruncate,rename,unlink,mkdir,fsync,fdatasync"
#: Of a line of strace, run so that threads are joined and strings written as bytes.
CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?$")
HALF, REST = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>$"), re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)$")
FD = re.compile(r"(\d+)<([^>]*)>")


class Event(NamedTuple):
    """A change of what is on disk, with the file or folder that must be synced to keep it; or a sync; or an acknowledgement."""

    what: str
    of: object = None
    name: str = ""
    inode: object = None
    place: int = 0
    data: bytes = b""


def calls(log):
    """The calls of a recording, in the order of their ends: name, arguments, result, the path that it opened."""
    begun = {}
    for line in log.read_text().splitlines():
        if half := HALF.match(line):
            begun[half[1]] = half[2]
            continue
        rest = REST.match(line)
        if found := CALL.match(f"{rest[1]} {begun.pop(rest[1])}{rest[2]}" if rest else line):
            yield found[2], found[3], int(found[4]), plain(found[5] or "").decode()


def plain(text):
    """The bytes of a string in a recording."""
    return bytes.fromhex(text.replace("\\x", ""))


def strings(arguments):
    """The strings among the arguments of a call."""
    return [plain(text) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]


class Recording:
    """What happened to a folder, as a disk sees it: paths and descriptors become files and places in them."""

    def __init__(self, log, folder):
        self.log, self.folder = log, folder
        self.names, self.places, self.made = {str(folder.parent): 0}, {}, 0

    def events(self):
        """One by one."""
        for call, arguments, result, opened in calls(self.log):
            if result < 0:
                continue
            fd, path = (int(found[1]), plain(found[2]).decode()) if (found := FD.match(arguments)) else (None, "")
            if call == "openat":
                yield from self.opened(arguments, result, opened)
            elif call == "lseek":
                self.places[fd] = result
            elif call in ("write", "pwrite64"):
                yield from self.written(call, arguments, result, fd, path)
            elif call in ("fsync", "fdatasync") and path in self.names:
                yield Event("sync", self.names[path])
            elif call == "ftruncate" and self.ours(path):
                yield Event("cut", self.names[path], place=int(arguments.rsplit(", ", 1)[1]))
            elif call in ("mkdir", "rename", "unlink"):
                yield from self.named(call, *(text.decode() for text in strings(arguments)))

    def ours(self, path):
        """Whether a path is of the index and lasts."""
        return path.startswith(str(self.folder)) and not path.endswith(("-shm", "writer.lock"))

    def new(self, what, path):
        """A file or folder."""
        self.made += 1
        self.names[path] = self.made
        return Event(what, self.names[str(Path(path).parent)], path, self.made)

    def opened(self, arguments, fd, path):
        """A file, made where there was none."""
        self.places[fd] = 0
        if self.ours(path) and "O_CREAT" in arguments and path not in self.names:
            yield self.new("make", path)
        elif self.ours(path) and "O_TRUNC" in arguments:
            yield Event("cut", self.names[path])

    def written(self, call, arguments, count, fd, path):
        """Bytes, where the descriptor stands or where the call says."""
        data = strings(arguments)[0][:count]
        if fd == 1:
            yield Event("said", data=data)
        place = self.places.get(fd, 0) if call == "write" else int(arguments.rsplit(", ", 1)[1])
        if call == "write":
            self.places[fd] = place + count
        if self.ours(path):
            yield Event("write", self.names[path], "", None, place, data)

    def named(self, call, path, new=""):
        """Names come, change and go."""
        if not self.ours(path):
            return
        if call == "mkdir":
            yield self.new("make folder", path)
        elif call == "rename":
            self.names[new] = self.names.pop(path)
            yield Event("rename", self.names[str(Path(new).parent)], f"{path}\n{new}", self.names[new])
        else:
            yield Event("unlink", self.names[str(Path(path).parent)], path, self.names.pop(path))


def disk(changes):
    """The files and folders of a disk after some changes: bytes by path, None for a folder."""
    names, inodes = {}, {}
    for change in changes:
        if change.what.startswith("make"):
            names[change.name] = change.inode
            if change.what == "make":
                inodes.setdefault(change.inode, bytearray())
        elif change.what == "rename":
            old, new = change.name.split("\n")
            names.pop(old, None)
            names[new] = change.inode
        elif change.what == "unlink":
            names.pop(change.name, None)
        else:
            data = inodes.setdefault(change.of, bytearray())
            if change.what == "cut":
                data[change.place :] = bytes(max(0, change.place - len(data)))
                continue
            data.extend(bytes(max(0, change.place - len(data))))
            data[change.place : change.place + len(change.data)] = change.data
    folders = {change.inode for change in changes if change.what == "make folder"}
    return {name: None if inode in folders else bytes(inodes.get(inode, b"")) for name, inode in names.items()}


def losses(happened):
    """All that a loss of power may leave: what is on disk, and how much had been acknowledged at least and was begun at most."""
    synced, loose, said = [], [], 0
    order = {}
    for number, event in enumerate(happened):
        if event.what == "said":
            said += event.data.count(b"\n")
            continue
        if event.what != "sync":
            order[id(event)] = number
            loose.append(event)
            continue
        for count in range(len(loose) + 1):
            kept = sorted(synced + loose[:count], key=lambda change: order[id(change)])
            yield disk(kept), said
        synced += [change for change in loose if change.of == event.of]
        loose = [change for change in loose if change.of != event.of]


def lay(there, folder, to):
    """Make files and folders anew. Whether the folder is among them."""
    shutil.rmtree(to, ignore_errors=True)
    for name in sorted(there):
        path = to / Path(name).relative_to(folder)
        if str(Path(name).parent) not in there and name != str(folder):
            continue  # the folder that it is in was lost
        if there[name] is None:
            path.mkdir()
        else:
            path.write_bytes(there[name])
    return to.exists()


def record(folder, seed, operations):
    """Run a writer until it has acknowledged so many operations, and record its calls."""
    need("strace")
    log = folder.parent / "log"
    command = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", log, sys.executable, WRITER, folder, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        said = list(islice(process.stdout, operations))
        os.killpg(process.pid, signal.SIGKILL)
        said += process.stdout.read().splitlines()
    assert len(said) >= operations
    return log


def replay(tmp_path, seed, operations):
    """Every loss of power during a recorded run: how many there were."""
    folder, copy = tmp_path / "index", tmp_path / "copy"
    happened = list(Recording(record(folder, seed, operations), folder).events())
    states = [texts for _, _, texts in islice(disk_writer.operations(seed), operations + 5)]
    states.insert(0, {})
    count, seen = 0, {}
    for there, said in losses(happened):
        count += 1
        key = hash(frozenset(there.items()))
        if key not in seen:
            seen[key] = opened(lay(there, folder, copy), copy)
        ids, pairs = seen[key]
        expected = [state for state in states[said : said + 2] if list(state) == ids]
        assert expected, f"{said} operations were acknowledged, there are {ids}"
        assert pairs in [in_memory(state) for state in expected]
    return count


def opened(there, folder):
    """The ids and pairs of what is left of an index."""
    if not there:
        return [], in_memory({})
    with Index.open(folder, threshold=0.5) as index:
        found = index.ids(), index.pairs().to_pydict()
        assert index.check() == []
    return found


def in_memory(texts):
    """The pairs of some texts."""
    index = Index(0.5)
    index.add_many(list(texts), list(texts.values()))
    return index.pairs().to_pydict()


def test_no_loss_of_power_loses_what_was_acknowledged(tmp_path):
    """Additions, removals, updates, folding and merging of thirty operations, lost at every moment."""
    assert replay(tmp_path, 1, 30) > 300


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(2, 12))
def test_no_loss_of_power_loses_what_was_acknowledged_at_length(tmp_path, seed, record_property):
    """The same of ten times a hundred operations."""
    record_property("losses", replay(tmp_path, seed, 100))
