"""An index in a folder: what others see of it, and what is left of it when things go wrong."""

import contextlib
import errno
import gc
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product
from pathlib import Path

import disk_writer
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from neardup import Banding, CorruptIndexError, DuplicateIdError, IncompatibleError, Index, MinHash, ParameterError, Shingling
from neardup.documents import as_texts
from neardup.stores import disk, layout
from neardup.stores.memory import MemoryStore

WRITER = Path(disk_writer.__file__)
TEXTS = [f"the committee number {i} of {i % 7} will meet on monday at {i % 5} in the town hall to vote on the budget" for i in range(60)]


def answers(index):
    """All that can be asked of an index of these texts."""
    found = [[(match.id, match.similarity) for match in index.query(text)] for text in TEXTS[:20]]
    return index.ids(), found, index.pairs().to_pydict()


@pytest.fixture
def small(monkeypatch):
    """Files are written and merged after few documents."""
    for name, value in {"TAIL": 8, "BULK": 6, "SEGMENTS": 3}.items():
        monkeypatch.setattr(disk, name, value)


@pytest.fixture
def folder(tmp_path, small):
    """An index of all texts but a removed one, in files and in the catalog."""
    path = tmp_path / "news.neardup"
    with Index.open(path, threshold=0.6) as index:
        for start in (0, 12, 24):
            index.add_many(range(start, start + 12), TEXTS[start : start + 12])
        for i in range(36, 60):
            index.add(i, TEXTS[i])
        index.remove(3)
        index.remove(59)
    return path


def flip(file, place, bit=2):
    """Turn a bit of a file; it is another file then, since whoever has the old one mapped goes on with it."""
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    aside = file.with_suffix(".flipped")
    aside.write_bytes(data)
    aside.rename(file)


def truth():
    """The same in memory."""
    index = Index(0.6)
    index.add_many(range(60), TEXTS)
    index.remove(3)
    index.remove(59)
    return answers(index)


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_it_answers_as_one_in_memory(folder):
    """Ids, matches and pairs are the same, to the last bit; also after compacting it, and opening it again."""
    with Index.open(folder) as index:
        assert len(list((folder / "documents").iterdir())) > 1
        assert answers(index) == truth()
        index.compact()
        assert answers(index) == truth()
    assert len(list((folder / "documents").iterdir())) == 1
    with Index.open(folder, mode="r") as index:
        assert answers(index) == truth()


def test_compacting_gives_room_back(tmp_path):
    """What was in the catalog is in one file after it, and nowhere else; a reader's snapshot stays."""
    path, texts = tmp_path / "index", [" ".join(str(i * j) for j in range(200)) for i in range(1000)]

    def size():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    with Index.open(path) as index:
        index.add_many(range(1000), texts)
    before = size()
    assert (path / "catalog.sqlite").stat().st_size > 0.9 * before
    with Index.open(path) as index:
        with Index.open(path, mode="r") as reader:
            index.compact()
            assert len(reader) == 1000
            assert reader.query(texts[7])[0].id == 7
        assert index.query(texts[7])[0].id == 7
    assert (path / "catalog.sqlite").stat().st_size < 0.1 * before
    assert size() < before


def test_compacting_and_loading_take_all_processors(folder, tmp_path, monkeypatch):
    """As adding does; the files are the same, byte for byte."""
    given, written = [], []
    write, add = disk.segments.write, MemoryStore.add
    monkeypatch.setattr(disk.segments, "write", lambda *row, **more: given.append(row[3]) or write(*row, **more))
    monkeypatch.setattr(MemoryStore, "add", lambda *row: given.append(row[3]) or add(*row))
    for threads in (1, 3):
        monkeypatch.setattr("neardup.index.number_of_threads", lambda _, threads=threads: threads)
        copy = shutil.copytree(folder, tmp_path / f"{threads}")
        given.clear()
        with Index.open(copy) as index:
            index.compact()
        Index.load(copy)
        assert given == [threads] * len(given)
        assert len(given) > 2
        written.append({str(file.relative_to(copy)): file.read_bytes() for file in copy.glob("*/0*")})
    assert written[0] == written[1]


def test_lean_ones_too(tmp_path, small):
    """With estimates in place of verification hashes."""
    on_disk, in_memory = Index.open(tmp_path / "lean", 0.6, verify="estimate"), Index(0.6, verify="estimate")
    with on_disk:
        for index in (on_disk, in_memory):
            index.add_many(range(60), TEXTS)
            index.remove(5)
        assert answers(on_disk) == answers(in_memory)


def test_parameters_are_those_that_were_stored(tmp_path):
    """They apply without being given, and none that differs is accepted; both values are in the words."""
    minhash = MinHash(64, 3, Shingling("chars", 7, secret=11))
    with Index.open(tmp_path / "i", 0.7, recall=0.9, minhash=minhash, verify="estimate", bucket_limit=5) as made:
        pass
    with Index.open(tmp_path / "i", 0.7, recall=0.9, shingling=minhash.shingling, verify="estimate", bucket_limit=5) as index:
        assert (index.minhash, index.banding, index.threshold, index.verify, index.bucket_limit) == (
            minhash,
            made.banding,
            0.7,
            "estimate",
            5,
        )
    for given, words in [
        ({"threshold": 0.8}, "threshold 0.7, not 0.8"),
        ({"minhash": MinHash()}, "has minhash MinHash"),
        ({"banding": Banding(2, 3)}, r"banding Banding\(bands=\d+, rows=\d+\), not Banding\(bands=2, rows=3\)"),
        ({"verify": "exact"}, "verify 'estimate', not 'exact'"),
        ({"recall": 0.99}, "recall 0.9, not 0.99"),
        ({"shingling": Shingling()}, "has shingling Shingling"),
        ({"shingling": Shingling("chars", 7)}, r"has shingling Shingling\(.*\), not the same with another secret; give that"),
    ]:
        with pytest.raises(IncompatibleError, match=words):
            Index.open(tmp_path / "i", **given)


def test_a_callable_is_given_again(tmp_path):
    """Tokens of a callable cannot be stored."""
    shingling = Shingling(str.split)
    Index.open(tmp_path / "i", shingling=shingling).close()
    Index.open(tmp_path / "i", shingling=shingling).close()
    with pytest.raises(IncompatibleError, match="has tokens of a callable; give shingling= with the same one"):
        Index.open(tmp_path / "i")


def test_what_is_no_index_is_said(tmp_path):
    """A file, a folder without an index, and a mode that there is not."""
    (tmp_path / "file").write_text("text")
    with pytest.raises(NotADirectoryError, match="is a file; an index is a folder, name another path"):
        Index.open(tmp_path / "file")
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError, match=r"no index in .*; name another folder, or add documents to make one"):
            Index.open(tmp_path, mode=mode)
    with pytest.raises(ParameterError, match="mode is 'w'; it is 'a' to read and write, 'r\\+' where there is an index, or 'r' to read"):
        Index.open(tmp_path, mode="w")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


# ---- others ----------------------------------------------------------------------------------------------------------


def test_one_writes(folder):
    """A second writer is refused at once and told who has it; then it has its turn."""
    with Index.open(folder):
        with pytest.raises(BlockingIOError, match=rf"is being written to by process {os.getpid()} since .*open it with mode='r'"):
            Index.open(folder)
        Index.open(folder, mode="r").close()
    Index.open(folder).close()


def test_readers_see_what_there_was(folder):
    """Until they look again; whatever was folded, merged and deleted meanwhile. They write nothing."""
    with Index.open(folder) as writer, Index.open(folder, mode="r") as reader:
        before = answers(reader)
        writer.add_many(range(100, 120), TEXTS[:20])
        writer.remove(0)
        writer.compact()
        assert answers(reader) == before
        reader.refresh()
        assert answers(reader) == answers(writer)
        for write in (lambda: reader.add("x", "text"), lambda: reader.remove(1), reader.compact):
            with pytest.raises(ParameterError, match="was opened with mode='r'; open it with mode='a' to write"):
                write()


def test_a_closed_index_is_not_written_to(folder):
    """It says so."""
    index = Index.open(folder)
    index.close()
    index.close()
    for use in (lambda: index.add("x", "text"), lambda: index.query(TEXTS[0]), lambda: len(index), index.ids, lambda: 1 in index):
        with pytest.raises(ValueError, match=r"is closed; open it again"):
            use()


def test_a_forked_child_does_not_write(folder):
    """It holds neither the right nor a connection of its own."""
    with Index.open(folder) as index:
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                index.add("x", "text")
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        index.add("y", "text")
        assert "x" not in index


def test_a_refused_batch_changes_nothing(folder):
    """Large and small ones."""
    with Index.open(folder) as index:
        for n in (2, 20):
            with pytest.raises(DuplicateIdError, match="document 5 is in the index already, nothing was added"):
                index.add_many([*range(200, 200 + n), 5], TEXTS[: n + 1])
        assert answers(index) == truth()


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def kill(path, seed, rng):
    """Kill a writer at some moment: what it acknowledged is there, what was under way wholly or not at all."""
    with subprocess.Popen([sys.executable, WRITER, path, str(seed)], stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline()]
        deadline = time.monotonic() + rng.uniform(0, 0.6)
        while time.monotonic() < deadline:
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    done = len([line for line in lines if line.endswith("\n")])
    states = [texts for _, _, texts in islice(disk_writer.operations(seed), done - 1, done + 1)]
    with Index.open(path) as index:
        there = index.ids()
        assert there in [list(texts) for texts in states], f"seed {seed}, {done} operations acknowledged"
        assert index.pairs().to_pydict() in [in_memory(texts) for texts in states if list(texts) == there]
        assert index.check() == []
        index.add("after", "all is well")
        assert "after" in index


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    """At ten seeded moments."""
    rng = random.Random(20261124)
    for seed in range(10):
        kill(tmp_path / str(seed), seed, rng)


@pytest.mark.prove
def test_two_hundred_killed_writers(tmp_path):
    """At two hundred others."""
    rng = random.Random(20261125)
    for seed in range(100, 300):
        kill(tmp_path / "i", seed, rng)
        shutil.rmtree(tmp_path / "i")


def in_memory(texts):
    """The pairs of some texts."""
    index = Index(0.5)
    index.add_many(list(texts), list(texts.values()))
    return index.pairs().to_pydict()


@pytest.mark.parametrize("mode", ["a", "r"])
def test_no_flipped_bit_gives_a_wrong_answer(folder, tmp_path, mode):
    """In any file of the folder: the answers are right, or the damage is said."""
    rng, expected, said = random.Random(7), truth(), 0
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "writer.lock"]
    assert {file.parent.name for file in files} == {"documents", "segments", folder.name}
    for file in files:
        for _ in range(25):
            copy = tmp_path / "copy"
            shutil.copytree(folder, copy)
            broken = copy / file.relative_to(folder)
            flip(broken, rng.randrange(broken.stat().st_size), rng.randrange(8))
            try:
                with Index.open(copy, mode=mode) as index:
                    assert answers(index) == expected
            except (CorruptIndexError, IncompatibleError, OSError):
                said += 1
            shutil.rmtree(copy)
    assert said > len(files)


@pytest.mark.parametrize("change", ["update", "remove"])
def test_a_change_that_meets_damage_changes_nothing(tmp_path, change):
    """In a block that is read when a document is removed, not when it is looked up; the rest is used as before."""
    many, victim = 60_000, 40_000
    texts = [f"a{i} b{i} c{i}" for i in range(many)]
    with Index.open(tmp_path / "index") as index:
        index.add_many(range(many), texts)
        (source,) = index._store._sources
        (file,) = (tmp_path / "index" / "documents").iterdir()
        flip(file, source.documents.columns[0][0] + 4 * victim)
    with Index.open(tmp_path / "index") as index:
        with pytest.raises(CorruptIndexError, match="is damaged in the block at byte"):
            index.remove(victim) if change == "remove" else index.update(victim, "something else")
        assert len(index) == many
        index.add("one more", "which is no worse")
    with Index.open(tmp_path / "index") as index:
        assert len(index) == many + 1
        assert [match.id for match in index.query(texts[victim])] == [victim]
        assert index.query("something else") == []


class Roomless:
    """The table of a store, in which there is no room for a change."""

    def __init__(self, table):
        self.table = table

    def __getattr__(self, name):
        return getattr(self.table, name)

    def __len__(self):
        return len(self.table)

    def add(self, *_, **__):
        """Fail."""
        raise MemoryError("no memory for an array of 1 bytes")

    update = remove = replace = add


def test_what_is_written_is_shown_though_there_was_no_room_for_it(folder):
    """Were it an error, who tries again would be told of a duplicate; all is read anew instead."""
    with Index.open(folder) as index:
        before = set(index.ids())
        some = min(id for id in before if isinstance(id, int))
        for change in (
            lambda: index.add("new", "seven words that are in no other text"),
            lambda: index.update(some, "eight words that are in no other text now"),
            lambda: index.add_many(["x", "y", "z"], ["x x", "y y", "z z"], batch_size=2),
            lambda: index.add_unless_duplicate("unlike", "words of which none is there at all"),
            lambda: index.remove("z"),
            lambda: index.add_many(range(1000, 1050), [f"one of {i} of fifty" for i in range(50)]),
        ):
            index._store._table = Roomless(index._store._table)
            change()
        assert set(index.ids()) == before | {"new", "x", "y", "unlike", *range(1000, 1050)}
        assert [match.id for match in index.query("eight words that are in no other text now")] == [some]
        assert index.check() == []


@pytest.mark.parametrize("how", ["cut", "emptied", "deleted"])
def test_no_lost_file_gives_a_wrong_answer(folder, tmp_path, how):
    """Segments are made again; of the rest the damage is said."""
    expected = truth()
    for file in [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "writer.lock"]:
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        broken = copy / file.relative_to(folder)
        if how == "deleted":
            broken.unlink()
        else:
            os.truncate(broken, broken.stat().st_size // 2 if how == "cut" else 0)
        if file.parent.name == "segments":
            with Index.open(copy) as index:
                assert answers(index) == expected
        else:
            with pytest.raises(CorruptIndexError, match="restore"):
                Index.open(copy)
        shutil.rmtree(copy)


def test_files_of_nobody_are_removed(folder):
    """What a killed writer left goes when the next one opens the index; what is not its own stays."""
    for name in ("documents/00009999", "segments/00009999.part", "documents/notes.txt"):
        (folder / name).write_text("x")
    with Index.open(folder) as index:
        assert answers(index) == truth()
    assert not (folder / "documents/00009999").exists()
    assert not (folder / "segments/00009999.part").exists()
    assert (folder / "documents/notes.txt").exists()


def test_a_full_disk_loses_nothing(tmp_path, small):
    """The change that did not fit is said and not there; all before it is."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False).returncode:
        pytest.skip("a small disk is mounted by root only")
    try:
        with Index.open(tmp_path / "index", 0.6) as index:

            def fill():
                for start in range(0, 100_000, 20):
                    index.add_many(range(start, start + 20), [f"{text} {start}" for text in TEXTS[:20]])

            with pytest.raises(OSError, match="No space left on device"):
                fill()
            added = len(index)
            assert added > 0
            assert added % 20 == 0
            assert index.ids() == list(range(added))
            assert index.query(f"{TEXTS[0]} 0")[0].id == 0
        with Index.open(tmp_path / "index", mode="r") as index:
            assert index.ids() == list(range(added))
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_an_index_on_a_full_disk(tmp_path):
    """Without a byte left: what does not fit is said with its place, no lock stays behind, and with room all is there."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False).returncode:
        pytest.skip("a small disk is mounted by root only")
    try:
        with Index.open(tmp_path / "index", 0.6) as index:
            index.add_many("ab", TEXTS[:2])
        (tmp_path / "empty").mkdir()
        with contextlib.suppress(OSError), (tmp_path / "fill").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        words = "No space left on device" if sys.version_info >= (3, 11) else "No space left on device|disk I/O error"  # as SQLite says it
        for name in ("index", "empty", "index", "empty"):
            with pytest.raises(OSError, match=words) as raised:
                Index.open(tmp_path / name, 0.6)
            assert name in str(raised.value)
        (tmp_path / "fill").unlink()
        with Index.open(tmp_path / "index", 0.6) as index, Index.open(tmp_path / "empty", 0.6) as other:
            assert index.query(TEXTS[0])[0].id == "a"
            other.add("a", TEXTS[0])
    finally:
        subprocess.run(["umount", tmp_path], check=True)


# ---- in and out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_it_is_saved_and_loaded(tmp_path, verify):
    """From memory to disk, from disk to disk, and back: the answers are the same."""
    index = Index(0.6, verify=verify, bucket_limit=7)
    index.add_many([*range(60), "", "empty"], [*TEXTS, "", "..."])
    index.remove(3)
    index.save(tmp_path / "a")
    with Index.open(tmp_path / "a") as opened:
        opened.save(tmp_path / "b")
        assert answers(opened) == answers(index)
    loaded = Index.load(tmp_path / "b")
    assert (answers(loaded), loaded.bucket_limit, loaded.verify) == (answers(index), 7, verify)
    with pytest.raises(FileExistsError, match=r"there is an index in .* already; name another folder"):
        index.save(tmp_path / "a")


def failing(error, after=None):
    """A step that fails, at once or when it is done."""

    def step(*given, **options):
        if after is not None:
            after(*given, **options)
        raise error

    return step


@pytest.mark.parametrize(("profile", "error"), [("text", OSError(28, "No space left on device")), ("excerpt", KeyboardInterrupt())])
def test_an_index_that_is_not_saved_is_not_there(tmp_path, monkeypatch, profile, error):
    """Whatever ended it, and how far it came: what was made is removed, what was there before stays, and the next attempt is the first."""
    index = Index(0.6, profile=profile)
    index.add_many(range(60), TEXTS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    stores = [(disk.DiskStore, "_prepare"), (disk.DiskStore, "_load"), (disk.DiskStore, "add"), (disk.catalog.Catalog, "_prepare")]
    for (owner, step), late, name in product([*stores, (Index, "_take")], (False, True), ("new", "empty", "full")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, step, failing(error, getattr(owner, step) if late else None))
            with pytest.raises(type(error)):
                index.save(tmp_path / name)
        assert sorted(tmp_path.rglob("*")) == before
    for name in ("new", "empty", "full"):
        index.save(tmp_path / name)
        assert Index.load(tmp_path / name).ids() == list(range(60))


UNFINISHED = r"saved has not all documents of an index: it is being saved, or .*; wait for it, or, .*, remove the folder and save"


@pytest.mark.parametrize("profile", ["text", "excerpt"])
@pytest.mark.parametrize("step", ["_prepare", "add"])
def test_an_index_whose_process_was_killed_while_it_was_saved_is_not_opened(tmp_path, monkeypatch, profile, step):
    """It has not all documents; it is not taken for one that has."""
    index = Index(0.6, profile=profile)
    index.add_many(range(60), TEXTS)

    work = getattr(disk.DiskStore, step)

    def done_and_killed(*given, **options):
        work(*given, **options)
        os._exit(9)

    child = os.fork()
    if not child:
        try:
            monkeypatch.setattr(disk.DiskStore, step, done_and_killed)
            index.save(tmp_path / "saved")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    for opened in (Index.load, Index.open, index.save, lambda path: Index.open(path, mode="r")):
        with pytest.raises(CorruptIndexError, match=UNFINISHED):
            opened(tmp_path / "saved")
    shutil.rmtree(tmp_path / "saved")
    index.save(tmp_path / "saved")
    assert Index.load(tmp_path / "saved").ids() == list(range(60))


def test_two_do_not_save_to_one_folder(tmp_path):
    """The second is told; the first goes on."""
    index = Index(0.6)
    index.add_many(range(60), TEXTS)
    with disk.filling(tmp_path / "saved"):
        for opened in (Index.load, Index.open, index.save):
            with pytest.raises(CorruptIndexError, match=UNFINISHED):
                opened(tmp_path / "saved")
        assert [path.name for path in (tmp_path / "saved").iterdir()] == ["unfinished.neardup"]
    index.save(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["catalog.sqlite", "documents", "segments", "writer.lock"]


@pytest.mark.parametrize("step", ["discard", "close"])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_part_of_an_index_that_could_not_be_removed_is_not_opened(tmp_path, monkeypatch, step, error):
    """As where Ctrl-C is pressed again while it is being removed, or the disk fails."""
    index = Index(0.6)
    index.add_many(range(60), TEXTS)
    with monkeypatch.context() as patched:
        if step == "discard":
            patched.setattr(disk.DiskStore, "add", failing(OSError(28, "No space left on device"), disk.DiskStore.add))
        patched.setattr(disk.DiskStore, step, failing(error))
        with pytest.raises(type(error)):
            index.save(tmp_path / "saved")
    with pytest.raises(CorruptIndexError, match=UNFINISHED):
        Index.open(tmp_path / "saved")


def test_an_index_that_another_saved_a_moment_ago_stays_whole(tmp_path, monkeypatch):
    """Who comes too late with another is told so."""
    index = Index(0.6)
    index.add_many(range(60), TEXTS)
    index.save(tmp_path / "there")
    with monkeypatch.context() as patched:
        patched.setattr("neardup.stores.places.read_parameters", lambda _: None)  # as it was
        with pytest.raises(FileExistsError, match=r"there is an index in .*there' already; name another folder"):
            Index(0.6).save(tmp_path / "there")
    assert Index.load(tmp_path / "there").ids() == list(range(60))


def test_an_index_of_others_is_never_removed(tmp_path, monkeypatch):
    """One that is there, that is being written to, or that another made in the meantime."""
    index = Index(0.6)
    index.add_many(range(60), TEXTS)
    index.save(tmp_path / "there")
    with pytest.raises(FileExistsError, match=r"there is an index in .* already; name another folder"):
        index.save(tmp_path / "there")
    with Index.open(tmp_path / "there") as there, monkeypatch.context() as patched:
        patched.setattr("neardup.stores.places.read_parameters", lambda _: None)  # as it was a moment ago
        patched.setattr("neardup.stores.places.filling", lambda _: contextlib.nullcontext())
        with pytest.raises(BlockingIOError, match="is being written to by process"):
            index.save(tmp_path / "there")
        there.close()
        with pytest.raises(IncompatibleError, match="has the parameters"):
            index.save(tmp_path / "there")
    assert Index.load(tmp_path / "there").ids() == list(range(60))


def test_a_lock_that_was_removed_is_none(tmp_path, monkeypatch):
    """Who held it has removed the index with it, while somebody else was about to take it: a third may have made both anew."""
    flock = disk.fcntl.flock
    monkeypatch.setattr(disk.fcntl, "flock", lambda fd, how: (tmp_path / "writer.lock").unlink() or flock(fd, how))
    with pytest.raises(BlockingIOError, match="is being written to by another process; wait until it closes the index"):
        Index.open(tmp_path)


# ---- folders that move, and threads that are interrupted ---------------------------------------------------------------


def contents(path):
    """All files of a folder, but what readers share."""
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file() and "catalog" not in file.name}


def test_it_is_where_it_was_opened(tmp_path, monkeypatch, small):
    """Whatever the working folder is later, and wherever a link leads then: another index of that name is left alone."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with Index.open("news", threshold=0.6) as index:
            index.add_many(range(12), TEXTS[:12])
    (tmp_path / "link").symlink_to("here/news")
    other = contents(tmp_path / "there" / "news")
    for path, move in (
        ("news", lambda: monkeypatch.chdir(tmp_path / "there")),
        (tmp_path / "link", lambda: (tmp_path / "link").unlink() or (tmp_path / "link").symlink_to("there/news")),
    ):
        monkeypatch.chdir(tmp_path / "here")
        with Index.open(path) as index:
            move()
            start = len(index)
            index.add_many(range(start, start + 12), TEXTS[start : start + 12])
            index.compact()
            assert index.check() == []
    assert contents(tmp_path / "there" / "news") == other
    assert Index.load(tmp_path / "here" / "news").ids() == list(range(36))


@pytest.mark.parametrize("what", ["moved", "removed", "replaced"])
def test_a_folder_that_is_gone_is_not_written_to(folder, tmp_path, what):
    """Nothing is acknowledged that nobody finds, and another index at its place keeps its files."""
    index = Index.open(folder)
    folder.rename(tmp_path / "moved")
    if what == "removed":
        shutil.rmtree(tmp_path / "moved")
    if what == "replaced":
        shutil.copytree(tmp_path / "moved", folder)
    before = contents(folder) if folder.exists() else None
    for change in (lambda: index.add("new", TEXTS[0]), lambda: index.add_many(range(100, 112), TEXTS[:12]), index.compact, index.check):
        with pytest.raises(
            FileNotFoundError, match=r"is not there any more, nothing was changed; close it, and open it where it is: '.*news"
        ):
            change()
    assert len(index) == 58  # what was read is
    index.close()
    assert (contents(folder) if folder.exists() else None) == before
    if what != "removed":
        assert "new" not in Index.load(tmp_path / "moved")


def test_what_was_opened_is_saved_from_where_it_is_gone(folder, tmp_path):
    """All of it, and nothing of what others put at its place."""
    index = Index.open(folder)
    folder.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", folder)
    with Index.open(folder) as other:
        other.remove(0)
        other.add("other", TEXTS[0])
    with pytest.raises(FileNotFoundError, match="is not there any more"):
        index.refresh()
    index.save(tmp_path / "saved")
    assert answers(Index.load(tmp_path / "saved")) == answers(index) == truth()
    shutil.rmtree(folder)
    index.save(tmp_path / "again")
    assert Index.load(tmp_path / "again").ids() == index.ids()
    index.close()


def test_links_that_lead_to_each_other(tmp_path):
    """Are no folder."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for mode in ("a", "r"):
        with pytest.raises(OSError, match=r"Too many levels of symbolic links|no index in"):
            Index.open(tmp_path / "a", mode=mode)


def test_an_index_that_is_forgotten_lets_go(folder):
    """Of the right to write, without a warning."""
    Index.open(folder)
    gc.collect()
    Index.open(folder).close()


def test_a_name_that_looks_like_an_address(tmp_path, monkeypatch):
    """It is a folder's."""
    monkeypatch.chdir(tmp_path)
    with Index.open("file:news") as index:
        index.add(1, TEXTS[0])
    assert [path.name for path in tmp_path.iterdir()] == ["file:news"]
    assert Index.load("file:news").ids() == [1]


class Again:
    """What a document is asked for while it is written: it calls the index, as a signal handler or a __del__ would."""

    def __init__(self, monkeypatch, what):
        self.errors, insert = [], disk.catalog.Catalog.insert

        def interrupted(*row):
            monkeypatch.setattr(disk.catalog.Catalog, "insert", insert)
            try:
                what()
            except RuntimeError as error:
                self.errors.append(str(error))
            return insert(*row)

        monkeypatch.setattr(disk.catalog.Catalog, "insert", interrupted)


@pytest.mark.parametrize("again", ["add", "add_many", "remove", "update", "compact"])
def test_who_changes_it_is_not_changing_it_already(folder, monkeypatch, again):
    """An id would be there twice, or a change be told as damage."""
    with Index.open(folder) as index:
        calls = {
            "add": lambda: index.add("new", TEXTS[0]),
            "add_many": lambda: index.add_many(["new"], TEXTS[:1]),
            "remove": lambda: index.remove(5),
            "update": lambda: index.update(5, TEXTS[0]),
            "compact": index.compact,
        }
        interrupted = Again(monkeypatch, calls[again])
        index.add("new", TEXTS[1])
        (words,) = interrupted.errors
        assert "is being changed by this thread already, which was interrupted by a signal handler or a __del__" in words
        assert index.ids().count("new") == 1
        index.remove("new")
        assert answers(index) == truth()
    with Index.open(folder) as index:
        assert index.check() == []
        assert answers(index) == truth()


def test_a_transaction_that_was_left_open_is_taken_back(folder):
    """An interruption between its beginning and all else leaves nothing that refuses the next."""
    with Index.open(folder) as index:
        index._store._catalog._database.execute("begin immediate")
        index._store._catalog._database.execute("delete from tail")
        index.add("new", TEXTS[0])
        index.remove("new")
        assert answers(index) == truth()


def test_indexes_that_take_from_each_other_do_not_wait_for_ever(tmp_path, small):
    """Two threads, each of which merges what the other one's index has."""
    for round_ in range(5):
        pair = [Index.open(tmp_path / f"{round_} {i}", 0.6) for i in range(2)]
        for i, index in enumerate(pair):
            index.add_many([f"{i} {j}" for j in range(20)], TEXTS[:20])
        barrier = threading.Barrier(2)

        def merge(i, pair=pair, barrier=barrier):
            barrier.wait()
            with contextlib.suppress(DuplicateIdError):
                pair[i].merge(pair[1 - i])

        threads = [threading.Thread(target=merge, args=(i,), daemon=True) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert max(map(len, pair)) == 40
        for index in pair:
            index.close()


def test_what_is_read_to_its_end_is_as_it_was(folder):
    """Others add, remove and compact meanwhile."""
    with Index.open(folder) as index:
        batches = index._store.batches()
        ids, _ = next(batches)
        index.add_many(range(100, 112), TEXTS[:12])
        index.remove(40)
        index.compact()
        assert ids + [id for ids, _ in batches for id in ids] == [i for i in range(60) if i not in (3, 59)]
        assert len(index) == 69


def test_a_forked_child_holds_no_lock(folder):
    """Which its parent has let go of: who opens the index anew does not wait for the child to end."""
    ours, theirs = os.pipe()
    index = Index.open(folder)
    child = os.fork()
    if child == 0:
        os.read(ours, 1)
        os._exit(0)
    try:
        index.close()
        with Index.open(folder) as again:
            assert len(again) == 58
    finally:
        os.write(theirs, b".")
        os.waitpid(child, 0)


def test_where_files_cannot_be_locked(tmp_path, monkeypatch):
    """It is not somebody else who writes."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(disk.fcntl, "flock", refuse)
    with pytest.raises(
        OSError, match=r"No locks available: files cannot be locked there; use a folder on a local disk, or open .* mode='r'"
    ):
        Index.open(tmp_path / "index")


def test_a_lock_whose_making_was_interrupted_is_none(folder, monkeypatch):
    """Ctrl-C just after it was taken."""
    flock = disk.fcntl.flock

    def interrupted(file, how):
        flock(file, how)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(disk.fcntl, "flock", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Index.open(folder)
    Index.open(folder).close()


def test_another_program_at_work_on_the_catalog(folder, monkeypatch):
    """It is not damaged."""
    monkeypatch.setattr(disk.catalog, "WAIT", 0.1)
    with Index.open(folder) as index:
        database = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
        database.execute("begin immediate")
        with pytest.raises(
            BlockingIOError, match="database is locked by another program, nothing was changed; let it end, and do this again"
        ):
            index.add("new", TEXTS[0])
        database.execute("rollback")
        database.close()
        index.add("new", TEXTS[0])
        assert "new" in index


def test_a_save_beside_another_process_leaves_no_mark(folder, tmp_path, monkeypatch):
    """Which has made an index in the folder just then, and writes to it."""
    index = Index(0.6)
    index.add("x", TEXTS[0])
    opened, kept = [], disk._Lock.__init__

    def quicker(lock, path):
        if not opened:
            opened.append(None)
            disk.UNFINISHED, mark = "elsewhere", disk.UNFINISHED
            opened.append(Index.open(path, threshold=0.6))
            disk.UNFINISHED = mark
        kept(lock, path)

    monkeypatch.setattr(disk._Lock, "__init__", quicker)
    with pytest.raises(BlockingIOError, match="is being written to by process"):
        index.save(tmp_path / "new")
    opened[1].add("y", TEXTS[1])
    opened[1].close()
    assert Index.load(tmp_path / "new").ids() == ["y"]


class Odd(str):
    """A string that is equal to nothing but itself."""

    __slots__ = ()

    def __eq__(self, other):
        return self is other

    def __hash__(self):
        return id(self)


@pytest.mark.parametrize("n", [1, 10])
def test_ids_of_classes_of_their_own(folder, n):
    """Are the plain ones, whatever they are equal to: none is there twice, and what is given back is plain."""
    with Index.open(folder) as index:
        with pytest.raises(DuplicateIdError, match="document 'x' is given twice"):
            index.add_many([Odd("x"), Odd("x"), *map(str, range(n))], TEXTS[: n + 2])
        index.add_many([Odd("x"), *map(str, range(n))], TEXTS[: n + 1])
        with pytest.raises(DuplicateIdError, match="document 'x' is in the index already"):
            index.add(Odd("x"), TEXTS[0])
        (found,) = [id for id in index.ids() if id == "x"]
        assert type(found) is str
        index.remove(Odd("x"))
        assert "x" not in index


# ---- small disks ------------------------------------------------------------------------------------------------------


def test_an_index_that_does_not_fit_is_not_there(tmp_path):
    """On a small disk; with room it is saved."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False).returncode:
        pytest.skip("a small disk is mounted by root only")
    try:
        index = Index(0.6)
        index.add_many(range(6000), [f"{text} {i}" for i in range(100) for text in TEXTS])
        for _ in range(2):
            with pytest.raises(OSError, match=r"No space left on device; make room: '.*documents/00000001'"):
                index.save(tmp_path / "index")
            assert list(tmp_path.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=32m", tmp_path], check=True)
        index.save(tmp_path / "index")
        assert len(Index.load(tmp_path / "index")) == 6000
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_indexes_are_merged(tmp_path):
    """Those of equal parameters, without an id in common; or nothing changes."""
    with Index.open(tmp_path / "i", 0.6) as merged:
        for start in (0, 30):
            part = Index(0.6)
            part.add_many(range(start, start + 30), TEXTS[start : start + 30])
            merged.merge(part)
        whole = Index(0.6)
        whole.add_many(range(60), TEXTS)
        assert answers(merged) == answers(whole)
        with pytest.raises(DuplicateIdError, match="document 30 is in both, nothing was added; remove it from one of them"):
            merged.merge(part)
        with pytest.raises(IncompatibleError, match="verify is 'exact' here and 'estimate' there; only indexes of equal parameters"):
            merged.merge(Index(0.6, verify="estimate"))


def test_a_stored_document_is_looked_up(folder):
    """By its id: what its text finds, without itself; in files, in the catalog and in memory."""
    with Index.open(folder) as index:
        for id in (0, 30, 58):
            expected = [match for match in index.query(TEXTS[id]) if match.id != id]
            assert index.query_stored(id) == expected
            assert index.query_stored(id, top=1) == expected[:1]
            assert Index.load(folder).query_stored(id) == expected


def test_heavy_buckets_are_listed(tmp_path, small):
    """The same on disk and in memory, with a document that is in them."""
    texts = [f"the very same beginning of a template for all of these letters {i}" for i in range(40)]
    with Index.open(tmp_path / "i", 0.5, bucket_limit=10) as index:
        index.add_many(range(20), texts[:20])
        for i in range(20, 40):
            index.add(i, texts[i])
        in_memory = Index(0.5, bucket_limit=10)
        in_memory.add_many(range(40), texts)
        heavy = index.stats().heavy_buckets
        assert heavy == in_memory.stats().heavy_buckets
        assert heavy[0].members > 10
        assert index.query(texts[0]).truncated
        assert index.query(texts[0]) == in_memory.query(texts[0])


def test_checking_mends_what_is_derived(folder):
    """A damaged segment is written again, damaged documents are said."""
    with Index.open(folder) as index:
        assert index.check() == []
        segment, documents = min((folder / "segments").iterdir()), min((folder / "documents").iterdir())
        flip(segment, segment.stat().st_size // 2)
        assert index.check() == [str(segment)]
        assert answers(index) == truth()
        flip(documents, documents.stat().st_size // 2)
        with pytest.raises(CorruptIndexError, match=r"is damaged in .*; restore it from a copy"):
            index.check()


def test_checking_reads_every_byte(tmp_path):
    """A bit of any block of a large file of documents is found, wherever it is: nothing else reads some of them."""
    with Index.open(tmp_path / "i") as index:
        index.add_many(range(2500), [" ".join(f"word{i * j}" for j in range(60)) for i in range(2500)])
        (documents,) = (tmp_path / "i" / "documents").iterdir()
        whole = documents.read_bytes()
        assert index.check() == []
        for place in range(100, len(whole), 5 << 14):
            flip(documents, place)
            with pytest.raises(CorruptIndexError, match=r"is damaged in .*; restore it from a copy"):
                index.check()
            flip(documents, place)
        assert index.check() == []


@pytest.mark.parametrize("wrong", ["update state set next = 2", "update state set next = 1e9 + 0.5", "delete from state"])
@pytest.mark.parametrize("mode", ["a", "r"])
def test_no_number_is_given_twice(folder, mode, wrong):
    """A catalog that would write a file over another is refused, and one that knows no number."""
    with contextlib.closing(sqlite3.connect(folder / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(wrong)
    with pytest.raises(CorruptIndexError, match="rows are not what was written"):
        Index.open(folder, mode=mode)


def test_all_ids_while_segments_are_merged(tmp_path, small):
    """Listing ids beside a thread that adds and merges gives each document once, in order."""
    with Index.open(tmp_path / "i", 0.5) as index, ThreadPoolExecutor(1) as pool:
        adding = pool.submit(lambda: [index.add(i, TEXTS[i % 60]) for i in range(300)])
        while not adding.done():
            ids = index.ids()
            assert ids == list(range(len(ids)))
        adding.result()
        assert len(index.ids()) == 300


def test_what_changes_while_segments_are_merged(tmp_path, small, monkeypatch):
    """Documents that are removed, replaced and added meanwhile are so afterwards; whatever of the merged ones is left."""
    write, going = disk._Merge.write, threading.Event()
    monkeypatch.setattr(disk._Merge, "write", lambda self: going.wait() and write(self))
    with Index.open(tmp_path / "i", 0.6) as index:
        model = Index(0.6)
        for start in range(0, 18, 6):
            for each in (index, model):
                each.add_many(range(start, start + 6), TEXTS[start : start + 6])
            if start == 6:  # these two are being merged from here on
                for each in (index, model):
                    for id in (0, 1, 7, 11):
                        each.remove(id)
                    each.update(3, TEXTS[40])
        assert index._store._merging.is_alive()
        assert answers(index) == answers(model)
        going.set()
        for start in range(18, 48, 6):
            for each in (index, model):
                each.add_many(range(start, start + 6), TEXTS[start : start + 6])
            assert answers(index) == answers(model)
            assert len(list((tmp_path / "i" / "documents").glob("????????"))) <= 4
    with Index.open(tmp_path / "i") as index:
        assert answers(index) == answers(model)
        assert index.check() == []


def test_what_fails_while_segments_are_merged(tmp_path, small, monkeypatch):
    """Nothing is said until there must be room; then nothing is added, and all is well once the cause is gone."""

    def full(home, sources):
        raise OSError(28, "No space left on device", str(home.folder))

    with Index.open(tmp_path / "i", 0.6) as index:
        with monkeypatch.context() as patched:
            patched.setattr(disk.segments, "merged", full)
            for start in range(0, 18, 6):
                index.add_many(range(start, start + 6), TEXTS[start : start + 6])
            for _ in range(2):
                with pytest.raises(OSError, match="No space left on device"):
                    index.add_many(range(18, 24), TEXTS[18:24])
                assert index.ids() == list(range(18))
        index.add_many(range(18, 24), TEXTS[18:24])
        assert index.ids() == list(range(24))


def test_nothing_is_left_of_what_could_not_be_written(folder, monkeypatch):
    """Neither by a batch nor by merging: a disk that is full would be fuller each time."""

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with Index.open(folder) as index:
        before = {file.name for file in (folder / "documents").iterdir()}
        with monkeypatch.context() as patched:
            patched.setattr(disk.segments, "derive", full)
            for change in (lambda: index.add_many(range(100, 120), TEXTS[:20]), index.compact):
                with pytest.raises(OSError, match="No space left on device"):
                    change()
                assert {file.name for file in (folder / "documents").iterdir()} <= before
        assert answers(index) == truth()


#: Changes of an index of 24 documents in two files that write another, by what tells the catalog of it, and how many there are then.
TOLD = {"fold": (lambda index: index.add_many(range(24, 36), TEXTS[24:36]), 36), "merge": (lambda index: index.compact(), 24)}


@pytest.fixture
def filed(tmp_path, monkeypatch):
    """Such an index, and the names of its files."""
    monkeypatch.setattr(disk, "BULK", 6)
    with Index.open(tmp_path / "index", 0.6) as index:
        for start in (0, 12):
            index.add_many(range(start, start + 12), TEXTS[start : start + 12])
        yield index, lambda kind: {file.name for file in (tmp_path / "index" / kind).iterdir()}


def full(*_):
    """What a disk without room says."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("told", "change", "after"), [(told, *row) for told, row in TOLD.items()], ids=TOLD)
def test_nothing_is_left_of_what_the_catalog_refused(filed, monkeypatch, told, change, after):
    """However often: files that no transaction knows of would fill a full disk until the index is opened again."""
    index, names = filed
    before = names("documents"), names("segments"), answers(index)
    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(disk.catalog.Catalog, told, full)
            with pytest.raises(OSError, match="No space left on device"):
                change(index)
        assert (names("documents"), names("segments"), answers(index)) == before
    change(index)
    assert len(index) == after


@pytest.mark.parametrize(("told", "change", "after"), [(told, *row) for told, row in TOLD.items()], ids=TOLD)
def test_what_was_committed_unheard_is_kept(filed, monkeypatch, told, change, after):
    """The files of a change that is made stay, though it ends in an error."""
    index, _ = filed
    transaction, tell, heard = disk.catalog.Catalog.transaction, getattr(disk.catalog.Catalog, told), []

    @contextlib.contextmanager
    def unheard(self):
        with transaction(self):
            yield
        if heard:
            heard.clear()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(disk.catalog.Catalog, "transaction", unheard)
        patched.setattr(disk.catalog.Catalog, told, lambda *given: heard.append(1) or tell(*given))
        with pytest.raises(KeyboardInterrupt):
            change(index)
    assert index.ids() == list(range(after))
    assert [index.query(text)[0].id for text in TEXTS[:after]] == list(range(after))
    assert index.check() == []


def test_what_a_crash_may_bring_back_is_kept(filed, monkeypatch):
    """Until another commit takes the place of the one that failed; what is derived can be made again."""
    index, names = filed
    before = names("documents"), names("segments")
    monkeypatch.setattr(disk.catalog.Catalog, "fold", lambda *_: monkeypatch.setattr(disk.catalog.Catalog, "new_number", full) or full())
    with pytest.raises(OSError, match="No space left on device"):
        index.add_many(range(24, 36), TEXTS[24:36])
    assert len(names("documents") - before[0]) == 1
    assert names("segments") == before[1]


def test_an_index_that_is_not_closed_ends(tmp_path):
    """A program that ends while segments are merged does not wait for it, and loses nothing."""
    code = f"""
from neardup import Index
from neardup.stores import disk
disk.BULK, disk.SEGMENTS = 6, 3
index = Index.open({str(tmp_path / "i")!r})
watched = disk.segments._watched
def slow(columns, proceed):
    import threading, time
    def patient():
        while threading.current_thread() is not threading.main_thread():
            proceed()
            time.sleep(0.01)
    return watched(columns, patient)
disk.segments._watched = slow
for start in range(0, 12, 6):
    index.add_many(range(start, start + 6), ["some text of no importance"] * 6)
assert index._store._merging.is_alive()
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
    with Index.open(tmp_path / "i") as index:
        assert index.ids() == list(range(12))


def test_batches_say_how_far_they_came(tmp_path):
    """What was added before the batch of an error stays, and is counted."""
    with Index.open(tmp_path / "i") as index:
        with pytest.raises(TypeError) as error:
            index.add_many(iter(range(10)), iter([*TEXTS[:9], None]), batch_size=4)
        assert index.ids() == list(range(8))
        if sys.version_info >= (3, 11):
            assert error.value.__notes__ == ["8 documents were added, in batches of 4, before the one of this error"]
        with pytest.raises(TypeError, match="texts is one str; it is an iterable of texts"):
            index.add_many(range(8, 11), "abc", batch_size=2)
        index.add_many(range(8, 20), TEXTS[8:20], batch_size=5)
        assert len(index) == 20


@pytest.mark.parametrize("kind", ["array", "chunked", "view", "sliced", "pandas", "polars", "utf8", "numpy"])
def test_batches_of_a_column(kind):
    """All that is taken in one batch is in several; a null is a document without text."""
    texts = [*TEXTS[:3], None, *TEXTS[4:7]]
    column = {
        "array": lambda: pa.array(texts),
        "chunked": lambda: pa.chunked_array([texts[:2], texts[2:]]),
        "view": lambda: pa.array(texts, pa.string_view()),
        "sliced": lambda: pa.array(["x", *texts, "y"])[1:-1],
        "pandas": lambda: pd.Series(texts, index=range(10, 17)),
        "polars": lambda: pl.Series(texts),
        "utf8": lambda: as_texts(pa.array(texts)),
        "numpy": lambda: np.array([text or "" for text in texts]),
    }[kind]()
    one, several = Index(0.6), Index(0.6)
    one.add_many(range(7), column)
    several.add_many(range(7), column, batch_size=2)
    assert one.ids() == several.ids()
    assert one.query_many(TEXTS[:7]) == several.query_many(TEXTS[:7])
    assert several.query_stored(3) == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_batches_count_their_own_documents(tmp_path):
    """Not those that others add meanwhile; and by themselves: an index that is lost is asked nothing more."""
    with Index.open(tmp_path / "i") as index:

        def texts():
            yield from TEXTS[:5]
            index.add("another's", TEXTS[5])
            index.close()
            raise OSError("the texts are lost")

        with pytest.raises(OSError, match="the texts are lost") as error:
            index.add_many(iter(range(10)), texts(), batch_size=4)
    assert error.value.__notes__ == ["4 documents were added, in batches of 4, before the one of this error"]


#: A process that reads an index for some seconds, while another writes to it.
READER = """
import sys, time
from neardup import Index
end, seen = time.monotonic() + float(sys.argv[2]), 0
with Index.open(sys.argv[1], mode="r") as index:
    while time.monotonic() < end:
        index.refresh()
        ids = index.ids()
        assert len(ids) == len(set(ids)) == len(index)
        for id in ids[-3:]:
            index.query_stored(id)
        index.query("one common beginning of every text word1 word2")
        seen += 1
assert seen > 5
"""


def read_beside_a_writer(path, readers, seconds):
    """No error, and no document twice or half there."""
    Index.open(path, 0.5).close()
    with subprocess.Popen([sys.executable, WRITER, path, "99"], stdout=subprocess.DEVNULL) as writer:
        command = [sys.executable, "-c", READER, path, str(seconds)]
        processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(readers)]
        said = [process.communicate()[1] for process in processes]
        assert writer.poll() is None
        writer.kill()
    assert [process.returncode for process in processes] == [0] * readers, said


def test_readers_beside_a_writer(tmp_path):
    """Four processes read while one writes, folds and merges."""
    read_beside_a_writer(tmp_path / "i", 4, 4)


@pytest.mark.prove
def test_ten_readers_beside_a_writer_for_a_minute(tmp_path):
    """The same with ten, and longer."""
    read_beside_a_writer(tmp_path / "i", 10, 60)


@pytest.mark.parametrize("logged", [False, True])
def test_a_folder_that_only_others_may_write(folder, logged):
    """Where nothing can be made it is read, from its log too; who wants to write is told what to do."""
    code = f"""
import os, sys
from neardup import Index
from neardup.stores import disk  # another user may not be able to read all of Python
os.setuid(65534)
with Index.open({str(folder)!r}, mode="r") as index:
    print(*index.ids())
try:
    Index.open({str(folder)!r})
except PermissionError as error:
    print(error)
"""
    if os.geteuid() != 0:
        pytest.skip("another user is what root alone can become")
    with contextlib.ExitStack() as stack:
        if logged:
            writer = stack.enter_context(Index.open(folder))
            writer.add("lately", "some words of late")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for parent in folder.parents[:-2]:
            parent.chmod(0o755)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        there, said = run.stdout.splitlines()
        assert there.split() == [str(i) for i in range(60) if i not in (3, 59)] + ["lately"] * logged
        assert "give write access to the folder, or open with mode='r'" in said


def test_batches_of_long_documents_are_short(tmp_path, monkeypatch):
    """So many words of evidence at a time, whatever the documents; in order, none twice."""
    monkeypatch.setattr(disk, "BULK", 8)
    monkeypatch.setattr(disk, "BATCH_WORDS", 100)
    with Index.open(tmp_path / "index") as index:
        index.add_many(range(40), [" ".join(f"w{i}x{n}" for i in range(24)) for n in range(40)])
        index.add("last", "a b c")
        found = list(index._store.batches())
    assert [len(ids) for ids, _ in found] == [5] * 8 + [1]
    assert [id for ids, _ in found for id in ids] == [*range(40), "last"]


def test_a_file_that_cannot_be_begun_is_named(tmp_path, monkeypatch):
    """By the name that it would have had, not by the one that is there no more; what another error says stays as it is."""
    folder = tmp_path / "documents"
    folder.mkdir()

    def write(error):
        def refused(*_, **__):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", refused)
            layout.write(tmp_path, "documents", 1, b"", [])

    part = str(folder / "00000001.part")
    for error, words in (
        (OSError(errno.ENOSPC, "No space left on device", part), "No space left on device; make room: '.*documents/00000001'$"),
        (OSError(errno.EDQUOT, "Full; remove some", "there"), "Full; remove some: 'there'$"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error: '.*documents/00000001'$"),
        (InterruptedError("the index is closed"), "^the index is closed$"),
    ):
        with pytest.raises(type(error), match=words) as raised:
            write(error)
        assert raised.value is error


def test_a_file_that_does_not_fit_is_named(tmp_path, monkeypatch):
    """What is written in bulk says which file did not fit; nothing is there of it."""

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "BULK", 2)
    with Index.open(tmp_path / "index") as index:
        monkeypatch.setattr("neardup.stores.layout.os.fsync", full)
        with pytest.raises(OSError, match=r"No space left on device; make room: '.*index/documents/\d+'"):
            index.add_many(["a", "b"], ["one two", "three four"])
        monkeypatch.undo()
        assert len(index) == 0
        assert list((tmp_path / "index" / "documents").iterdir()) == []
