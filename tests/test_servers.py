"""Indexes on servers, by real ones: what is shared, what is refused, what outlives a server, a connection or a client."""

import contextlib
import itertools
import json
import os
import pickle
import random
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psycopg
import pytest
import servers
import xxhash
from test_profiles import forms
from typer.testing import CliRunner

from neardup import (
    Banding,
    CorruptIndexError,
    DuplicateIdError,
    IncompatibleError,
    Index,
    MissingDependencyError,
    ParameterError,
    ServerError,
    Shingling,
    UnknownDocumentError,
    jaccard,
)
from neardup.cli import app
from neardup.stores import postgres as postgres_store
from neardup.stores import postgres_schema as sql
from neardup.stores.fetched import Place

TEXTS = [
    "the committee will meet on monday at ten in the town hall to vote on the budget",
    "the committee will meet on monday at ten in the town hall to vote on a budget",
    "rain is expected on monday and on tuesday in the whole of the north",
]
KINDS = ["postgres", "redis"]
WRITER = Path(__file__).with_name("server_writer.py")


@pytest.fixture(params=KINDS)
def server(request):
    """A server that all tests of a kind share."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def name():
    """A name that no other index has."""
    return secrets.token_hex(8)


@pytest.fixture(params=KINDS)
def own_server(request):
    """A server that a test may kill, which writes to disk what it acknowledges."""
    from conftest import running

    yield from running(servers.Postgres if request.param == "postgres" else servers.Redis)


def raw_redis(server):
    """A client without any of our code."""
    import redis

    return redis.Redis.from_url(server.url())


@contextlib.contextmanager
def raw_postgres(server):
    """A connection without any of our code."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


# ---- opening -----------------------------------------------------------------------------------------------------------


def test_an_index_is_shared(server, name):
    """What one handle wrote, another sees at once; parameters are stored, and compared where they are given."""
    with Index.open(server.url(), 0.7, name=name) as one, Index.open(server.url(), name=name) as other:
        one.add_many(["a", 7, "c"], TEXTS)
        assert [match.id for match in other.query(TEXTS[0])] == ["a", 7]
        assert (other.threshold, other.ids(), len(other), 7 in other, "7" in other) == (0.7, ["a", 7, "c"], 3, True, False)
        other.remove("a")
        assert [match.id for match in one.query(TEXTS[0])] == [7]
        with pytest.raises(IncompatibleError, match=rf"the index in '{name}' at .* has threshold 0.7, not 0.8; give that, or leave it out"):
            Index.open(server.url(), 0.8, name=name)
        with Index.open(server.url(), name=name, mode="r") as reader:
            assert [match.id for match in reader.query(TEXTS[0])] == [7]
            for attempt in (lambda: reader.add("d", "text"), lambda: reader.remove(7), lambda: reader.update(7, "text")):
                with pytest.raises(ParameterError, match="opened with mode='r'; open it with mode='a' to write"):
                    attempt()
        assert Index.load(server.url(), name=name).ids() == [7, "c"]
    with pytest.raises(ValueError, match="is closed; open it again"):
        one.query(TEXTS[0])


def test_two_names_are_two_indexes(server, name):
    """The same ids and texts in both; what happens to one does not happen to the other."""
    with Index.open(server.url(), 0.7, name=name) as one, Index.open(server.url(), 0.7, name=name + ".2") as other:
        one.add_many("abc", TEXTS)
        assert (len(other), other.ids(), other.query(TEXTS[0]), other.pairs().num_rows) == (0, [], [], 0)
        other.add_many("bcd", TEXTS)
        one.remove("b")
        assert (one.ids(), other.ids()) == (["a", "c"], ["b", "c", "d"])
        assert [match.id for match in other.query(TEXTS[0])] == ["b", "c"]
        assert (one.check(), other.check()) == ([], [])


@pytest.mark.parametrize("verify", ["exact", "estimate", "noisy"])
def test_answers_are_those_of_an_index_in_memory(server, name, verify):
    """Queries of all kinds, pairs and decisions, for each way to verify."""
    choose = random.Random(3)
    words = [f"w{i}" for i in range(40)]
    base = [choose.choices(words, k=40) for _ in range(12)]
    texts = [" ".join([*one[:cut], f"x{cut}", *one[cut + 1 :]]) for one in base for cut in (0, 3, 20)] + ["", "w1"]
    memory = Index(0.6, verify=verify)
    with Index.open(server.url(), 0.6, verify=verify, name=name) as index:
        for one in (memory, index):
            one.add_many(range(len(texts)), texts)
            one.remove(4)
            one.update(5, texts[9])
        assert index.query_many(texts) == memory.query_many(texts)
        assert index.query_many(texts, measure="containment", top=2) == memory.query_many(texts, measure="containment", top=2)
        assert [index.query_stored(i) for i in (5, 9, 30)] == [memory.query_stored(i) for i in (5, 9, 30)]
        assert index.pairs() == memory.pairs()
        assert [index.add_unless_duplicate(100 + i, text) for i, text in enumerate(texts)] == [
            memory.add_unless_duplicate(100 + i, text) for i, text in enumerate(texts)
        ]
        assert index.ids() == memory.ids()
        assert index.stats().documents == len(memory)
        assert index.stats().nbytes > 0
        index.save(server.url(), name=name + "-saved")
        assert Index.load(server.url(), name=name + "-saved").pairs() == memory.pairs()
        with pytest.raises(FileExistsError, match=rf"there is an index in '{name}' at .* already; give another name"):
            memory.save(server.url(), name=name)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_an_index_that_is_not_saved_is_told_of(server, name, monkeypatch):
    """Others may have it by now, and who writes need not be who may remove it."""
    index = Index(0.6)
    index.add_many("abc", TEXTS)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Index, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt) as error:
        index.save(server.url(), name=name)
    (note,) = error.value.__notes__
    assert note.startswith(f"the index '{name}' at ")
    assert note.endswith(" is there, without all of the documents; remove it as docs/reference/servers.md says, or give another name")
    assert server.password not in note
    with Index.open(server.url(), name=name, mode="r") as made:
        assert len(made) == 0


def test_names_that_are_none(server, tmp_path):
    """An index on a server needs a name of harmless characters, a folder has none."""
    with pytest.raises(
        ParameterError, match=r"an index on a server has a name, and .*://... is given none; give one: name='news' \(--name news\)"
    ):
        Index.open(server.url())
    for bad in ("", "a b", "x'; drop schema neardup", "{a}", "é", "a" * 101, "a\0", "*"):
        with pytest.raises(ParameterError, match="it is 1 to 100 of A-Z, a-z, 0-9"):
            Index.open(server.url(), name=bad)
    with pytest.raises(ParameterError, match="only indexes on servers have names, leave it out"):
        Index.open(tmp_path / "folder", name="news")
    with pytest.raises(ParameterError, match="an index cannot live at mysql://; it lives in a folder, at postgresql:// or at redis://"):
        Index.open("mysql://host/database", name="news")


def test_what_is_not_there(server, name):
    """A reader makes nothing; excerpts are no index on a server."""
    for mode in ("r", "r+"):
        with pytest.raises(FileNotFoundError, match=rf"no index in '{name}' at .*; give another name, or add documents to make one"):
            Index.open(server.url(), name=name, mode=mode)
    with pytest.raises(ParameterError, match=r"verify is 'contained' and .* is on a server; an index of excerpts lives in memory or in"):
        Index.open(server.url(), name=name, profile="excerpt")
    with Index.open(server.url(), name=name) as index:
        with pytest.raises(UnknownDocumentError, match="no document 'x' in the index"):
            index.remove("x")
        with pytest.raises(UnknownDocumentError, match="no document 'x' in the index"):
            index.query_stored("x")
        index.add("x", TEXTS[0])
        with pytest.raises(DuplicateIdError, match="document 'x' is in the index already, nothing was added"):
            index.add_many(["y", "x"], TEXTS[:2])
        assert index.ids() == ["x"]


@pytest.mark.parametrize(("package", "extra", "address"), [("psycopg", "postgres", "postgresql://h/d"), ("redis", "redis", "redis://h")])
def test_packages_that_are_missing(monkeypatch, package, extra, address):
    """The command that installs them is named."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"is not installed; pip install 'neardup\[{extra}\]'"):
        Index.open(address, name="news")


def test_passwords_are_never_said(server, name, monkeypatch):
    """Neither in what an index, a place or an error shows, whatever is wrong: password, address, port, or the server away."""
    secret, wrong = server.password, "pass@word:" + secrets.token_hex(6)
    with Index.open(server.url(), name=name) as index:
        assert secret not in repr(index) + repr(index._store) + repr(Place(server.url(), name)) + str(Place(server.url(), name))
    scheme, _, rest = server.url().partition("://")
    host = rest.rpartition("@")[2]
    user = "neardup" if scheme == "postgresql" else ""
    away = host.replace(str(server.port), str(servers.free_port()))
    for address in (
        f"{scheme}://{user}:{wrong.replace('@', '%40').replace(':', '%3A')}@{host}",
        f"{scheme}://{user}:{wrong}@{host}",
        f"{scheme}://{user}:{secret}@{away}",
        f"{scheme}://{user}:{secret}@127.0.0.1:port/x",
        f"{scheme}://{user}:{secret}@{host}?password={secret}&nonsense={secret}",
        f"{scheme}://{user}:{secret}@[::1/x",
        f"{scheme}://{user}:se@{secret}@{away}/x",
        f"{scheme}://{user}:{secret}?et@{away}/x",
        f"{scheme}://{user}:{secret}@{away}/x?application_name={secret}@x",
    ):
        with pytest.raises((ServerError, ParameterError)) as caught:
            Index.open(address, name=name)
        shown, error = "", caught.value
        while error is not None and not shown.count(str(error)):
            shown, error = shown + str(error), None if error.__suppress_context__ else error.__context__
        assert not any(part in shown for part in (secret, secret[:8], wrong.partition(":")[2]))
        assert not any(part in repr(Place(address, name)) + str(Place(address, name)) for part in (secret, secret[:8]))
        assert secret not in shown
        assert wrong.partition(":")[2] not in shown


def test_passwords_come_from_the_environment_too(server, name, monkeypatch):
    """As the drivers and their tools read them."""
    scheme, _, rest = server.url().partition("://")
    host = rest.rpartition("@")[2]
    monkeypatch.setenv("PGPASSWORD" if scheme == "postgresql" else "REDISCLI_AUTH", server.password)
    with Index.open(f"{scheme}://neardup@{host}" if scheme == "postgresql" else f"{scheme}://{host}", name=name) as index:
        assert len(index) == 0


def test_a_child_process_has_connections_of_its_own(server, name):
    """A forked child asks and writes; so does its parent afterwards."""
    with Index.open(server.url(), 0.7, name=name) as index:
        index.add("a", TEXTS[0])
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                index.add("b", TEXTS[1])
                code = 0 if [match.id for match in index.query(TEXTS[0])] == ["a", "b"] else 2
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert [match.id for match in index.query(TEXTS[0])] == ["a", "b"]


def test_the_command_line_takes_addresses(server, name, tmp_path):
    """Each command of an index, with --name; what it says has no password."""
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"id": f"t{i}", "text": text}) + "\n" for i, text in enumerate(TEXTS)))

    def run(command, *arguments):
        result = CliRunner().invoke(app, ["index", command, server.url(), "--name", name, *map(str, arguments)])
        assert result.exit_code == 0, result.output
        assert server.password not in result.output
        return result.output

    assert f"3 documents added, 3 in '{name}' at " in run("add", file, "--threshold", "0.7")
    assert "0 documents added, 3 in" in run("add", file, "--skip-known")
    assert [json.loads(line)["id"] for line in run("query", file, "--top", "1").splitlines() if line.startswith("{")] == ["t0", "t1", "t2"]
    assert json.loads(run("stats").splitlines()[0])["documents"] == 3
    assert "3 documents" in run("check")
    assert "1 document removed, 2 in" in run("remove", "t1")
    assert "2 documents in" in run("compact")


# ---- ids and stored values of strangers --------------------------------------------------------------------------------

HOSTILE_IDS = ["", "'; drop schema neardup cascade; --", "%s %(x)s {0}", "a\0b", "\udc80\ud800", "\r\n*3\r\n$8\r\nFLUSHALL\r\n", "KEYS[1]", "x" * 200,
    "x" * 201, "é" * 5000, "long " * 200_000, "\xff\xfe", "{neardup}", "\\x41", "null", "nan", -(2**63), 2**63 - 1, 0, "0", "-1", -1]  # fmt: skip


def test_ids_that_mean_harm(server, name):
    """Characters that SQL, Redis or Python might read otherwise, lone surrogates, a million characters: ids like others."""
    with Index.open(server.url(), 0.7, name=name) as index:
        index.add_many(HOSTILE_IDS, [TEXTS[0]] * len(HOSTILE_IDS))
        assert index.ids() == HOSTILE_IDS
        assert {match.id for match in index.query(TEXTS[0])} == set(HOSTILE_IDS)
        for id in HOSTILE_IDS:
            with pytest.raises(DuplicateIdError, match="is in the index already"):
                index.add(id, "text")
            index.update(id, TEXTS[2])
            assert id in index
        assert [match.id for match in index.query_stored(HOSTILE_IDS[1])].count("") == 1
        assert index.check() == []
        for id in HOSTILE_IDS:
            index.remove(id)
        assert index.ids() == []


class Trap:
    """What pickles as a call that leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def hostile_values(path):
    """What a stranger may have written instead of an entry."""
    trap = pickle.dumps(Trap(path))
    return [b"", b"\0", trap, trap * 20, bytes(10_000), b"\xff" * 500, b"\x80\x04cos\nsystem\n.", "text".encode("utf-16")]


@pytest.fixture
def filled(server, name):
    """An index of three documents."""
    with Index.open(server.url(), 0.7, name=name) as index:
        index.add_many("abc", TEXTS)
        yield index


def test_entries_of_a_stranger_are_refused(server, filled, name, tmp_path):
    """Whatever bytes stand for an entry, each way to read it says that the index is damaged, and nothing of it is run."""
    trace = tmp_path / "trace"
    words = r"is damaged, or was not written by neardup: .*; restore it from a copy"

    def refused():
        for attempt in (lambda: filled.query(TEXTS[0]), lambda: filled.add_unless_duplicate("d", TEXTS[0]), filled.check, filled.pairs):
            with pytest.raises(CorruptIndexError, match=words):
                attempt()
        assert not trace.exists()

    if "postgres" in server.url():
        with raw_postgres(server) as raw:
            (number,) = raw.execute("select number from neardup.indexes where name = %s", (name,)).fetchone()
            for value in hostile_values(trace):
                raw.execute("update neardup.entries set body = %s where home >> 32 = %s", (value, number))
                refused()
        return
    raw = raw_redis(server)
    key = f"neardup:{{{name}}}:e:0"
    fields = raw.hgetall(key)
    for value in hostile_values(trace):
        for field, old in fields.items():
            raw.hset(key, field, old[:4] + old[4 : 4 + int.from_bytes(old[:4], "big")] + value)
        refused()
        for field in fields:
            raw.hset(key, field, value)
        with pytest.raises((CorruptIndexError, ServerError)):
            filled.check()
        assert not trace.exists()
    raw.delete(key)
    raw.set(key, "a string")
    with pytest.raises(CorruptIndexError, match=words):
        filled.query(TEXTS[0])


def test_changed_hashes_are_refused(server, filled, name):
    """A checksum that is right for hashes that are not sorted does not help."""
    if "redis" in server.url():
        pytest.skip("the same code reads both")
    with raw_postgres(server) as raw:
        (number,) = raw.execute("select number from neardup.indexes where name = %s", (name,)).fetchone()
        for home, rest, body in raw.execute("select home, rest, body from neardup.entries where home >> 32 = %s", (number,)).fetchall():
            own = np.array([rest & 0xFFFFFFFF, home & 0xFFFFFFFF], "<u4").tobytes()
            changed = body[8:-8] + body[-4:] + body[-8:-4]
            raw.execute(
                "update neardup.entries set body = %s where home = %s and rest = %s",
                (xxhash.xxh3_64_intdigest(own + changed).to_bytes(8, "little") + changed, home, rest),
            )
    with pytest.raises(CorruptIndexError, match="hashes that are not sorted"):
        filled.query(TEXTS[0])


def test_ids_of_a_stranger_are_refused(server, filled, name, tmp_path):
    """An id that is no id."""
    for value in (b"\xff" + b"\1" * 20, b"\xff\1\0", b"\xfe", b"\x80", pickle.dumps(Trap(tmp_path / "trace"))[:40]):
        if "postgres" in server.url():
            with raw_postgres(server) as raw:
                (number,) = raw.execute("select number from neardup.indexes where name = %s", (name,)).fetchone()
                raw.execute("update neardup.documents set id = %s, long = %s where index = %s and number in (select max(number) "
                    "from neardup.documents where index = %s)", (value, value, number, number))  # fmt: skip
        else:
            raw = raw_redis(server)
            ids = raw.hgetall(f"neardup:{{{name}}}:d")
            raw.hset(f"neardup:{{{name}}}:d", value, ids[b"a"])
        with pytest.raises(CorruptIndexError, match="an id that is none"):
            filled.ids()
        if "redis" in server.url():
            raw.hdel(f"neardup:{{{name}}}:d", value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"bands": 3}', "[" * 100_000, "\0"])
@pytest.mark.parametrize("summed", [False, True])
def test_parameters_of_a_stranger_are_refused(server, filled, name, text, summed):
    """No JSON, other JSON, and what lacks a parameter."""
    if "\0" in text and "postgres" in server.url():
        pytest.skip("text in PostgreSQL has no NUL")
    if "postgres" in server.url():
        with raw_postgres(server) as raw:
            total = xxhash.xxh3_64_intdigest(text.encode()) - 2**63 if summed else 1
            raw.execute("update neardup.indexes set parameters = %s, sum = %s where name = %s", (text, total, name))
    else:
        total = xxhash.xxh3_64_hexdigest(text.encode()) if summed else "1"
        raw_redis(server).hset(f"neardup:{{{name}}}", mapping={"parameters": text, "sum": total})
    with pytest.raises((CorruptIndexError, IncompatibleError), match=r"is damaged|has no parameter"):
        Index.open(server.url(), name=name)


def test_parameters_out_of_range_are_refused(server, name):
    """Each of another type or beyond what it may be."""
    with Index.open(server.url(), 0.7, name=name) as index:
        stored = index._store._place
    for change in (
        {"bands": "x"},
        {"bands": 10**9},
        {"size": -1},
        {"threshold": [1]},
        {"num_perm": None},
        {"tokens": 7},
        {"verify": "contained"},
    ):
        text = json.dumps({**_parameters(server, stored), **change}, sort_keys=True)
        if "postgres" in server.url():
            with raw_postgres(server) as raw:
                total = xxhash.xxh3_64_intdigest(text.encode()) - 2**63
                raw.execute("update neardup.indexes set parameters = %s, sum = %s where name = %s", (text, total, name))
        else:
            raw_redis(server).hset(f"neardup:{{{name}}}", mapping={"parameters": text, "sum": xxhash.xxh3_64_hexdigest(text.encode())})
        with pytest.raises((CorruptIndexError, ParameterError)):
            Index.open(server.url(), name=name)


def _parameters(server, place):
    from neardup.stores import places

    return places.read_parameters(place)


def test_lost_postings_are_made_again(server, filled, name):
    """What is derived of the entries is mended by check."""
    if "postgres" in server.url():
        with raw_postgres(server) as raw:
            (number,) = raw.execute("select number from neardup.indexes where name = %s", (name,)).fetchone()
            raw.execute("delete from neardup.postings where key >> 44 = %s", (number,))
            raw.execute("insert into neardup.postings values (%s, 1, 1)", ((number << 44) + 5,))
    else:
        raw = raw_redis(server)
        raw.delete(*raw.keys(f"neardup:{{{name}}}:b:*"))
    assert "b" not in [match.id for match in filled.query(TEXTS[0])]
    assert filled.check()[0].endswith(" postings")
    assert [match.id for match in filled.query(TEXTS[0])] == ["a", "b"]
    assert filled.check() == []


def leftovers(server, name):
    """What is left of an index without documents."""
    if "postgres" in server.url():
        with raw_postgres(server) as raw:
            (number,) = raw.execute("select number from neardup.indexes where name = %s", (name,)).fetchone()
            tables = [("entries", "home >> 32"), ("postings", "key >> 44"), ("documents", "index")]
            return sum(
                raw.execute(f"select count(*) from neardup.{table} where {key} = %s", (number,)).fetchone()[0] for table, key in tables
            )
    return len([key for key in raw_redis(server).keys(f"neardup:{{{name}}}:*") if b":w:" not in key])


def test_nothing_is_left_of_what_was_removed(server, name):
    """Postings, entries, crowds, copies: all of them go with the last document."""
    base = [f"w{i}" for i in range(30)]
    texts = [" ".join([*base, f"x{i}"]) for i in range(150)] + [" ".join([*base, "x0"])] * 40 + ["", ""]
    with Index.open(server.url(), 0.5, name=name, bucket_limit=70) as index:
        index.add_many(range(len(texts)), texts)
        assert index.stats().heavy_buckets[0].members > 100
        assert index.query(texts[0]).truncated
        assert {match.id for match in index.query(texts[0])} >= {0, *range(150, 190)}
        for i in random.Random(1).sample(range(len(texts)), len(texts)):
            index.remove(i)
        assert (len(index), index.ids(), index.stats().heavy_buckets) == (0, [], [])
    assert leftovers(server, name) == 0


def test_counters_of_a_stranger_are_refused(redis, name):
    """What should be numbers, and is not, or is larger than memory."""
    with Index.open(redis.url(), 0.7, name=name) as index:
        index.add_many("abc", TEXTS)
        raw, key = raw_redis(redis), f"neardup:{{{name}}}"
        before = raw.hgetall(key)
        for field, attempts in {
            "entries": (index.pairs, index.check),
            "blocks": (index.stats,),
            "bands": (lambda: index.query(TEXTS[0]),),
        }.items():
            for value in ("-1", "nan", "inf", "1e400", "9" * 30, "\0", "x" * 1000):
                raw.hset(key, field, value)
                for attempt in attempts:
                    with contextlib.suppress(CorruptIndexError, ServerError):
                        attempt()
            raw.hset(key, field, before[field.encode()])
        assert [match.id for match in index.query(TEXTS[0])] == ["a", "b"]


# ---- many at a time ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def writing(what, address, name, numbers, seconds):
    """Processes that all have the index open and begin at once; none outlives the test."""
    pipe = subprocess.PIPE
    commands = [[sys.executable, WRITER, what, address, name, str(number), str(seconds)] for number in numbers]
    writers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for command in commands]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "open\n", writer.stderr.read()
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        yield writers
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def storm(server, name, processes, seconds):
    """Many processes that add the same near-duplicates unless there are any: how many were accepted; checked against all pairs."""
    with Index.open(server.url(), 0.7, name=name) as index:
        accepted = {}
        with writing("storm", server.url(), name, range(processes), seconds) as writers:
            for writer in writers:
                said, errors = writer.communicate(timeout=seconds + 120)
                assert writer.returncode == 0, errors
                accepted |= dict(line.split("\t")[1:] for line in said.splitlines())
        assert set(index.ids()) == set(accepted)
        names, texts = list(accepted), list(accepted.values())
        keys = index.banding.keys(index.minhash.sign_many(texts).values).tolist()
        buckets = defaultdict(list)
        for i, row in enumerate(keys):
            for band, key in enumerate(row):
                buckets[band, key].append(i)
        pairs = {(a, b) for bucket in buckets.values() for a in bucket for b in bucket if a < b}
        assert [(names[a], names[b]) for a, b in pairs if jaccard(texts[a], texts[b]) >= 0.7] == []
        assert index.pairs().num_rows == 0
        groups = defaultdict(int)
        for text in texts:
            groups[frozenset(text.split()[6:])] += 1
        assert index.check() == []
        assert len(groups) > 1
        return len(texts), len(groups)


def test_many_processes_decide_as_one(server, name, record_property):
    """Sixteen that add the same near-duplicates: no two accepted documents share a band key and match."""
    accepted, groups = storm(server, name, 16, 10 if "CI" in os.environ else 5)
    record_property("accepted", accepted)
    record_property("groups", groups)
    assert accepted >= groups


def test_queries_beside_removals(server, name):
    """Whoever asks while documents come and go sees a document whole or not at all, and no error."""
    with Index.open(server.url(), 0.7, name=name) as index:
        index.add_many(range(40), [f"{TEXTS[0]} {i // 4}" for i in range(40)])
        done, errors = threading.Event(), []

        def churn(own):
            try:
                while not done.is_set():
                    for i in own:
                        index.remove(i)
                        index.add(i, f"{TEXTS[0]} {i // 4}")
                        index.update(i, f"{TEXTS[0]} {i // 4 + 1}")
            except Exception as error:  # noqa: BLE001  it is raised below
                errors.append(error)

        def ask():
            try:
                while not done.is_set():
                    assert all(match.similarity >= 0.7 for match in index.query(f"{TEXTS[0]} 1"))
                    index.query_many(TEXTS)
                    index.pairs()
                    assert index.check() == []
                    assert 30 < len(Index.load(server.url(), name=name)) <= 40
            except Exception as error:  # noqa: BLE001  it is raised below
                errors.append(error)

        threads = [threading.Thread(target=churn, args=(range(i, 40, 3),)) for i in range(3)] + [threading.Thread(target=ask)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        done.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(index.ids()) == len(index)
        assert index.check() == []


class Slow:
    """A cursor that lets something else happen first, when it is told a statement or copies rows."""

    def __init__(self, cursor, before, happen):
        self.cursor, self.before, self.happen = cursor, before, happen

    def execute(self, statement, *given):
        """As the cursor does."""
        if statement is self.before:
            self.happen()
        return self.cursor.execute(statement, *given)

    def copy(self, statement):
        """As the cursor does."""
        if statement is self.before:
            self.happen()
        return self.cursor.copy(statement)


def every_posting_once(index):
    """That there is each posting of an index of one entry, and none twice."""
    store = index._store
    postings = "select count(*), count(distinct (key, priority, name)) from neardup.postings where key >= %s and key < %s"
    bounds = (store._number << 44, (store._number + 1) << 44)
    assert store._read(lambda cursor: cursor.execute(postings, bounds).fetchone()) == (store._bands, store._bands)
    assert index.check() == []


def test_a_check_beside_one_who_removes_and_adds_again(postgres, name):
    """Postings that were away for a moment, when nothing was held yet, are not made twice."""
    with Index.open(postgres.url(), 0.7, name=name) as index:
        index.add("a", TEXTS[0])
        store = index._store
        (these,) = store._slices()
        index.remove("a")
        again = partial(index.add, "a", TEXTS[0])
        assert store._change(lambda cursor: (0, 0, store._mend(Slow(cursor, sql.ENTRIES_TO_MEND, again), these))) == 0
        every_posting_once(index)


def test_two_checks_at_a_time(postgres, name):
    """The second waits until the first has made what both miss."""
    with Index.open(postgres.url(), 0.7, name=name) as index, ThreadPoolExecutor(1) as other:
        index.add("a", TEXTS[0])
        store = index._store
        (these,) = store._slices()
        with raw_postgres(postgres) as raw:
            raw.execute("delete from neardup.postings where key >> 44 = %s", (store._number,))
        checks = []

        def check():
            checks.append(other.submit(index.check))
            time.sleep(0.5)
            assert not checks[0].done()

        assert store._change(lambda cursor: (0, 0, store._mend(Slow(cursor, sql.COPY_POSTINGS, check), these))) == store._bands
        assert checks[0].result(20) == []
        every_posting_once(index)


def test_who_waits_for_whom(postgres, name, monkeypatch):
    """Two changes that each hold what the other wants: one of them is made anew, and nobody hears of it."""
    barrier, held = threading.Barrier(2), threading.local()
    release = postgres_store.PostgresStore._release

    def together(self, *given):
        if not getattr(held, "once", False):
            held.once = True
            barrier.wait(20)
        return release(self, *given)

    with Index.open(postgres.url(), 0.7, name=name) as index:
        index.add_many("ab", TEXTS[::2])
        monkeypatch.setattr(postgres_store.PostgresStore, "_release", together)
        errors = []

        def update(id, text):
            try:
                index.update(id, text)
            except Exception as error:  # noqa: BLE001  it is raised below
                errors.append(error)

        threads = [threading.Thread(target=update, args=change) for change in (("a", TEXTS[2]), ("b", TEXTS[0]))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert [index.query(text)[0].id for text in TEXTS[::2]] == ["b", "a"]
        assert index.check() == []


def test_an_example_of_a_template_is_one(postgres, name, monkeypatch):
    """However many copies a bucket has, one row comes of it."""
    with Index.open(postgres.url(), 0.5, name=name, bucket_limit=2) as index:
        index.add_many(range(60), [f"{TEXTS[0]} {i % 6}" for i in range(60)])
        heavy = index.stats().heavy_buckets
        assert heavy
        assert all(bucket.example in range(60) for bucket in heavy)
        with psycopg.connect(postgres.url()) as connection:
            home = connection.execute("select max(home) from neardup.documents where index = %s", (index._store._number,)).fetchone()
            assert len(connection.execute(postgres_store.sql.HEAVY_EXAMPLE, home).fetchall()) == 1


def test_copies_that_redis_has_lost(redis, name):
    """A look-up that decides ends, though nobody is there for an entry that matches."""
    client = raw_redis(redis)
    before = {key.rpartition(b":")[0] for key in client.scan_iter("*:m:*")}
    with Index.open(redis.url(), name=name) as index:
        index.add("a", TEXTS[0])
        index.add("b", TEXTS[0])
        (home,) = {key.rpartition(b":")[0] for key in client.scan_iter("*:m:*")} - before
        (lost,) = client.scan_iter(home + b":*")
        client.delete(lost)
        ended = threading.Event()

        def decide():
            with contextlib.suppress(CorruptIndexError, ServerError):
                index.add_unless_duplicate("c", TEXTS[0])
            ended.set()

        threading.Thread(target=decide, daemon=True).start()
        assert ended.wait(20)


def test_a_busy_redis_is_asked_again(redis, name):
    """While the script of somebody else is long."""
    with Index.open(redis.url(), name=name) as index:
        index.add("a", TEXTS[0])
        client = raw_redis(redis)
        client.config_set("busy-reply-threshold", 50)
        try:
            slow = threading.Thread(
                target=lambda: raw_redis(redis).eval("local t = redis.call('time')[1] while redis.call('time')[1] - t < 2 do end", 0)
            )
            slow.start()
            time.sleep(0.3)
            assert [match.id for match in index.query(TEXTS[0])] == ["a"]
            index.add("b", TEXTS[2])
            slow.join()
            assert "b" in index
        finally:
            client.config_set("busy-reply-threshold", 5000)


# ---- what breaks -------------------------------------------------------------------------------------------------------


def whole(index, said, number):
    """That each batch is there whole or not at all, all that were acknowledged among them, and what was removed is not."""
    there = defaultdict(set)
    for id in index.ids():
        writer, n, i = id.split("-")
        if writer == str(number):
            there[int(n)].add(int(i))
    added = {int(line.split()[1]) for line in said if line.startswith("added")}
    removed = {int(line.split()[1]) for line in said if line.startswith("removed")}
    assert added <= there.keys()
    for n, members in there.items():
        if n in removed:
            assert members == set(range(20)) - {1}
        else:
            assert members in ({*range(20)}, {*range(20)} - {1} if n % 3 == 0 else {*range(20)})
    assert len(there) - len(added) <= 1
    return len(added)


def settled(index):
    """Wait until the server is done with what a killed client sent last."""
    seen = None
    while (ids := index.ids()) != seen:
        seen = ids
        time.sleep(0.5)


def sound(index):
    """That nothing is left half: entries, documents, postings."""
    assert index.check() == []
    assert len(index.ids()) == len(index)
    ids = index.ids()
    for id in ids[:: max(17, len(ids) // 100)]:
        index.query_stored(id)


def test_a_killed_client_leaves_nothing_half(server, name):
    """Killed at any moment: each of its batches is there whole or not at all."""
    with Index.open(server.url(), 0.7, name=name) as index:
        for number in range(3):
            with writing("batches", server.url(), name, [number], 60) as (writer,):
                time.sleep(0.3 + 0.17 * number)
                writer.send_signal(signal.SIGKILL)
                said = writer.communicate()[0]
                said = said[: said.rfind("\n") + 1].splitlines()  # killed while it says something, it says it in part
            settled(index)
            whole(index, said, number)
        sound(index)


def test_a_killed_server_keeps_what_it_acknowledged(own_server):
    """Killed while clients write, and started again: they go on, and nothing that was acknowledged is lost or half there."""
    with Index.open(own_server.url(), 0.7, name="news") as index:
        with writing("batches", own_server.url(), "news", range(2), 6) as writers:
            for _ in range(2):
                time.sleep(1)
                own_server.kill()
                time.sleep(0.3)
                own_server.start()
            for number, writer in enumerate(writers):
                said, errors = writer.communicate(timeout=60)
                assert writer.returncode == 0, errors
                assert whole(index, said.splitlines(), number) >= 1
        sound(index)


#: What the server says of the number of a transaction whose connection broke when it was committed.
STATUSES = {
    "its own": sql.STATUS,
    "another's, after a crash": "select 'committed' where %s::xid8 is not null",
    "nobody's, after a crash": "select pg_xact_status((%s::xid8::text::int8 + 1000000)::text::xid8)",
}


# What was committed has its number for ever.
@pytest.mark.parametrize(("status", "committed"), [*((status, False) for status in STATUSES), ("its own", True)])
def test_a_change_whose_end_nobody_heard_of_is_made_once(postgres, name, monkeypatch, status, committed):
    """Were the number of a transaction believed that a crash gave to another, a removal would be acknowledged that was never made."""
    execute, lost = psycopg.Cursor.execute, []

    def losing(cursor, query, *arguments, **options):
        if query != "commit" or len(lost) == 1:
            return execute(cursor, query, *arguments, **options)
        lost.append(query)
        if committed:
            execute(cursor, query)
        cursor.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    with Index.open(postgres.url(), 0.7, name=name) as index:
        index.add_many(["a", "b"], TEXTS[:2])
        monkeypatch.setattr(psycopg.Cursor, "execute", losing)
        monkeypatch.setattr(sql, "STATUS", STATUSES[status])
        index.remove("a")
        assert lost
        assert index.ids() == ["b"]
        lost.clear()
        index.add("c", TEXTS[2])
        assert lost
        assert index.ids() == ["b", "c"]
        assert len(index) == 2
        assert index.check() == []
        # A process of the server whose number is as many thousands away took its place meanwhile: who can say?
        lost.clear()
        monkeypatch.setattr(sql, "STATUS", STATUSES["another's, after a crash"])
        monkeypatch.setattr(sql, "LAST_CHANGE", "select 'anything'::bytea where %s::int8 + %s::int8 is not null")
        with pytest.raises(ServerError, match=r"has another change where that left its mark; it was made wholly or not at all: look for"):
            index.remove("b")


def test_a_server_that_stays_away_is_an_error(own_server, monkeypatch):
    """After some attempts, with what was not done."""
    for module in ("postgres", "redis"):
        monkeypatch.setattr(f"neardup.stores.{module}.BACKOFF", (0.01, 0.02))
    monkeypatch.setattr("neardup.stores.postgres.WAIT", 1.0)
    with Index.open(own_server.url(), 0.7, name="news") as index:
        index.add("a", TEXTS[0])
        own_server.kill()
        with pytest.raises(ServerError, match=r"cannot be reached|broke off") as caught:
            index.query(TEXTS[0])
        with pytest.raises(ServerError, match=r"nothing was changed|wholly or not at all|cannot be reached"):
            index.add("b", TEXTS[0])
        assert own_server.password not in str(caught.value)
        own_server.start()
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(ServerError):
                assert [match.id for match in index.query(TEXTS[0])] == ["a"]
                return
            assert time.monotonic() < deadline


class Proxy(threading.Thread):
    """Between a client and a server: cuts each connection after so many bytes, in either direction."""

    def __init__(self, port, choose, delay=0.0):
        super().__init__(daemon=True)
        self.target, self.choose, self.cuts, self.enabled, self.delay = port, choose, 0, True, delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        """Accept until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        """Carry one connection's bytes."""
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            left = self.choose()
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if self.enabled and len(data) >= left:
                        (server if source is client else client).sendall(data[: int(left)])
                        self.cuts += 1
                        return
                    left -= len(data)
                    if source is server:
                        time.sleep(self.delay)
                    (server if source is client else client).sendall(data)


def test_a_cut_connection(server, name):
    """Wherever it is cut, a call does what it says, once; or its error says that it did not, or may not have."""
    choose = random.Random(5)
    proxy = Proxy(server.port, lambda: choose.randrange(3000, 60_000))
    proxy.enabled = False
    proxy.start()
    with Index.open(server.url(port=proxy.port), 0.7, name=name) as index:
        index.add("first", TEXTS[0])
        proxy.enabled, expected, doubtful = True, {"first"}, set()
        for i in range(60):
            try:
                index.add(i, f"{TEXTS[2]} {i}")
                expected.add(i)
                if i % 3 == 0:
                    index.remove(i)
                    expected.discard(i)
                if i % 5 == 0:
                    index.add_many([f"{i}-{j}" for j in range(30)], [f"{j} {TEXTS[1]}" for j in range(30)])
                    expected |= {f"{i}-{j}" for j in range(30)}
                assert "first" in {match.id for match in index.query(TEXTS[0])}
            except ServerError as error:  # noqa: PERF203
                assert "nothing was changed" in str(error) or "wholly or not at all" in str(error) or "broke off" in str(error)  # noqa: PT017
                doubtful |= {i, *(f"{i}-{j}" for j in range(30))}
        assert proxy.cuts > 3
        proxy.enabled = False
        with Index.open(server.url(), name=name) as direct:
            there = set(direct.ids())
            assert expected - doubtful <= there <= expected | doubtful
            sound(direct)
    proxy.listener.close()


def interrupt():
    """As the handler of a signal does."""
    raise KeyboardInterrupt


def steps(call, files, happen=interrupt):
    """Let something happen in the midst of a call: at each step of its way through some files in turn."""
    left = 0

    def trace(frame, event, _):
        nonlocal left
        if not frame.f_code.co_filename.endswith(files):
            return None
        left -= 1
        if left == 0:
            happen()
        return trace

    for step in itertools.count(1):
        left, before = step, sys.gettrace()
        sys.settrace(trace)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        if left > 0:  # it has no more of them
            assert step > 20
            return
        yield step


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a destructor that is interrupted
def test_an_interrupted_call_leaves_no_answer_to_the_next(redis, name):
    """Wherever commands, pipelines and scripts are interrupted, while the answer is under way too: the next call gets its own."""
    proxy = Proxy(redis.port, lambda: float("inf"), 0.001)
    proxy.start()
    files = (str(Path("redis", "client.py")), str(Path("stores", "redis.py")))
    with Index.open(redis.url(port=proxy.port), 0.7, name=name) as index:
        index.add_many("abc", TEXTS)
        store = index._store
        for call in (lambda: len(store), store.extent, lambda: index.query(TEXTS[0])):
            for _ in steps(call, files):
                assert "x" not in store
                assert store.extent()[:2] == (3, 3)
                assert [match.id for match in index.query(TEXTS[0])] == ["a", "b"]
    proxy.listener.close()


PACKING = """
import random, signal, time
from neardup.stores.redis import _packing

packer, choose, stops, end = _packing()["command_packer"], random.Random(5), 0, time.monotonic() + 2
signal.signal(signal.SIGALRM, signal.default_int_handler)
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, choose.uniform(1e-6, 3e-4))
        while True:
            packer.pack("HSCAN", "key", 0, "COUNT", 1000)
    except KeyboardInterrupt:
        stops += 1
print(stops > 1000)
"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a connection that is forgotten says so
def test_an_interrupted_call_keeps_no_connection_from_others(postgres, name, monkeypatch):
    """Wherever it is interrupted, nothing stays locked, and as many connections as before may be had at a time."""
    monkeypatch.setattr(postgres_store, "CONNECTIONS", 3)
    monkeypatch.setattr(postgres_store, "WAIT", 0.5)
    files = (str(Path("stores", "postgres.py")), "threading.py", "contextlib.py")
    with Index.open(postgres.url(), 0.7, name=name) as index:
        index.add_many("abc", TEXTS)
        store = index._store
        for _ in steps(lambda: len(store), files):
            with contextlib.ExitStack() as several:
                for _ in range(3):
                    several.enter_context(store._connection())
            assert len(store) == 3
        with contextlib.ExitStack() as several:
            for _ in range(3):
                several.enter_context(store._connection())
            with pytest.raises(ServerError, match=r"all 3 connections were busy for 0\.5 s; ask in fewer threads"):
                len(store)


def test_a_handler_of_a_signal_may_ask(server, name):
    """In the midst of a call, which goes on as if nothing had been."""
    files = (str(Path("stores", "postgres.py")), str(Path("stores", "redis.py")), "threading.py", str(Path("redis", "client.py")))
    asked = []
    with Index.open(server.url(), 0.7, name=name) as index:
        index.add_many("abc", TEXTS)
        for step in steps(lambda: asked.append(len(index)), files, lambda: asked.append(len(index.query(TEXTS[0])))):
            assert asked == [2, 3], step
            asked.clear()


def test_a_child_leaves_what_its_parent_reads(postgres, name, monkeypatch):
    """Forked while documents are read: the child has no connection of its parent, and ends nothing that it does."""
    monkeypatch.setattr(postgres_store, "BATCH", 1)
    with Index.open(postgres.url(), 0.7, name=name) as index:
        index.add_many("abc", TEXTS)
        reading = index._store.batches()
        assert next(reading)[0] == ["a"]
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                had = list(index._store._idle)
                reading.close()
                code = 0 if not had and not index._store._idle and index.ids() == ["a", "b", "c"] else 2
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        index.remove("b")
        assert [ids for ids, _ in reading] == [["b"], ["c"]]


def test_a_signal_may_raise_while_a_command_is_packed():
    """The process would crash in hiredis."""
    ended = subprocess.run([sys.executable, "-c", PACKING], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "True\n")


# ---- PostgreSQL alone --------------------------------------------------------------------------------------------------


def test_the_least_privileges(postgres, name):
    """A role with what docs/reference/servers.md lists reads or writes, and may do nothing else."""
    rights = (
        (Path(__file__).parents[1] / "docs" / "reference" / "servers.md").read_text(encoding="utf-8").split("```sql")[1].split("```")[0]
    )
    with Index.open(postgres.url(), 0.7, name=name) as index:
        index.add("a", TEXTS[0])
    with raw_postgres(postgres) as raw:
        for role in ("reader", "writer"):
            raw.execute(f"create role neardup_{role} login password 'secret'")
        raw.execute(rights)
    try:
        base = postgres.url().replace(f"neardup:{postgres.password}@", "neardup_{}:secret@")
        with Index.open(base.format("reader"), name=name, mode="r") as reader:
            assert [match.id for match in reader.query(TEXTS[0])] == ["a"]
            assert (len(reader), reader.ids(), reader.pairs().num_rows, reader.stats().documents) == (1, ["a"], 0, 1)
            with pytest.raises(ParameterError, match="opened with mode='r'; open it with mode='a' to write"):
                reader.compact()
        with Index.open(base.format("writer"), 0.5, verify="rarity", name=name + "-rare") as writer:
            writer.add_many("ab", TEXTS[:2])
            for learnt in (False, True):  # a reader may not store what it learns, and answers; it learns once
                writer.add_many([f"{learnt}{i}" for i in range(50)], [f"{TEXTS[2]} {i}" for i in range(50)])
                with Index.open(base.format("reader"), name=name + "-rare") as reader:
                    censuses, first = [], reader._store.first
                    reader._store.first = lambda hashes, first=first, censuses=censuses: censuses.append(hashes) or first(hashes)
                    answers = [reader.query(TEXTS[0]) for _ in range(3)]
                    assert (reader._store.learnt() is not None, len(censuses)) == (learnt, 1)
                    assert writer.query(TEXTS[0]) == answers[0] == answers[2]
                    assert reader.query(TEXTS[0]) == answers[0]
                    assert writer._store.learnt() is not None
        refused = pytest.raises(PermissionError, match=r"permission denied.*, nothing was changed; docs/reference/servers.md lists")
        with Index.open(base.format("reader"), name=name) as reader, refused:
            reader.add("b", TEXTS[1])
        with Index.open(base.format("writer"), 0.7, name=name + "-new") as writer:
            writer.add_many("bc", TEXTS[:2])
            assert writer.add_unless_duplicate("d", TEXTS[1]).id == "c"
            writer.update("b", TEXTS[2])
            writer.remove("b")
            assert writer.check() == []
            writer.compact()
    finally:
        with raw_postgres(postgres) as raw:
            for role in ("reader", "writer"):
                raw.execute(f"drop owned by neardup_{role}; drop role neardup_{role}")


def test_the_schema_is_made_once_and_by_name(postgres, monkeypatch):
    """Migrating again does nothing; a database without it says so to readers; one of a later version is refused."""
    with raw_postgres(postgres) as raw:
        raw.execute("create database other")
    url = postgres.url("other")
    with pytest.raises(FileNotFoundError, match="give another name, or add documents to make one"):
        Index.open(url, name="news", mode="r")
    assert postgres_store.migrate(url) == [1, 2]
    assert postgres_store.migrate(url) == []
    assert "the schema is up to date" in CliRunner().invoke(app, ["index", "migrate", url]).output
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("insert into neardup.migrations (version) values (9)")
    with pytest.raises(IncompatibleError, match="has schema version 9, this version of neardup reads 2; use a newer one"):
        Index.open(url, name="news")
    monkeypatch.setattr(postgres_store.sql, "VERSION", 10)
    with pytest.raises(IncompatibleError, match=r"has schema version 9, and 10 is needed; `neardup index migrate .*` brings it up to date"):
        Index.open(url, name="news", mode="r")


def test_an_older_schema_is_brought_up_to_date(postgres, monkeypatch):
    """When that is asked for, not before; what is in it stays."""
    with raw_postgres(postgres) as raw:
        raw.execute("create database older")
    url, every = postgres.url("older"), postgres_store.sql.MIGRATIONS
    with monkeypatch.context() as older:
        older.setattr(postgres_store.sql, "VERSION", 1)
        older.setattr(postgres_store.sql, "MIGRATIONS", every[:1])
        plain = "insert into neardup.counts select %(index)s, pg_backend_pid() %% 64, %(more)s where %(written)s >= 0"
        older.setattr(postgres_store.sql, "COUNTED", plain + " returning pg_current_xact_id()::text, shard, %(change)s")
        with Index.open(url, 0.7, name="news") as index:
            index.add_many("abc", TEXTS)
            before = index.query(TEXTS[0])
    for mode in ("a", "r"):
        with pytest.raises(
            IncompatibleError, match=r"has schema version 1, and 2 is needed; `neardup index migrate .*` brings it up to date"
        ):
            Index.open(url, name="news", mode=mode)
    assert postgres_store.migrate(url) == [2]
    with Index.open(url, name="news") as index:
        assert index.query(TEXTS[0]) == before


@pytest.mark.parametrize("verify", ["noisy", "rarity"])
def test_all_processes_judge_by_the_same(server, name, verify):
    """What one learnt of the documents the others take, though they would learn something else."""
    letters, given = forms(60, 3), {"verify": verify, "name": name}
    with (
        Index.open(server.url(), 0.5, **given) as one,
        Index.open(server.url(), 0.5, **given) as other,
        Index.open(server.url(), name=name, mode="r") as reader,
    ):
        one.add_many(range(60), letters)
        assert reader.query(letters[0])  # it stores nothing
        assert other.query(letters[0])
        other.add_many(range(100, 107), [f"{letters[0]} {i}" for i in range(7)])
        alone = Index.load(server.url(), name=name)
        alone._store._learnt = None
        answers = one.query_many(letters)
        assert answers == reader.query_many(letters) == other.query_many(letters) == Index.load(server.url(), name=name).query_many(letters)
        assert answers != alone.query_many(letters)


def test_what_was_learnt_may_be_of_another_kind(redis, name):
    """A key of a stranger where that is: the index is damaged, however many commands came together."""
    with Index.open(redis.url(), 0.5, verify="rarity", name=name) as index:
        index.add_many("ab", TEXTS[:2])
        raw_redis(redis).lpush(f"neardup:{{{name}}}:l", "a")
        with pytest.raises(CorruptIndexError, match="values of another kind than was written"):
            index.query(TEXTS[0])


def test_two_shingle_sets_of_one_name_in_a_bulk(postgres, name):
    """Banding and a batch larger than what is looked for before: an id that is there is found by writing it."""
    with Index.open(postgres.url(), 0.7, name=name, banding=Banding(2, 8)) as index:
        index.add(4500, "one that is there")
        with pytest.raises(DuplicateIdError, match="document 4500 is in the index already, nothing was added"):
            index.add_many(range(5000), [f"text number {i}" for i in range(5000)])
        assert index.ids() == [4500]
        index.remove(4500)
        index.add_many(range(5000), [f"text number {i}" for i in range(5000)])
        assert len(index) == 5000


def removal(name):
    """The statements of docs/reference/servers.md that remove an index, those of its transaction first."""
    page = (Path(__file__).parents[1] / "docs" / "reference" / "servers.md").read_text(encoding="utf-8")
    statements = page.split("An index is removed by its owner.")[1].split("```")[1].replace("'news'", f"'{name}'")
    return [statement.strip() for statement in statements.split(";") if statement.strip()]


def test_changes_of_an_index_that_others_removed_are_refused(postgres, name):
    """Whoever has it open is told; nothing is written that nobody finds, and an index made anew is another one."""
    with Index.open(postgres.url(), 0.7, name=name) as old, Index.open(postgres.url(), 0.7, name=name + "-other") as other:
        other.add_many("abc", TEXTS)
        old.add_many("abc", TEXTS)
        number = old._store._number
        with raw_postgres(postgres) as raw:
            for statement in removal(name):
                raw.execute(statement)
            attempts = (
                lambda: old.add("x", TEXTS[0]),
                lambda: old.add_many(range(5000), [f"text number {i}" for i in range(5000)]),
                lambda: old.add_unless_duplicate("x", TEXTS[2]),
                old.check,
            )
            for attempt in attempts:
                with pytest.raises(FileNotFoundError, match="was removed while it was open here, nothing was changed; open it anew to"):
                    attempt()
            with pytest.raises(UnknownDocumentError):
                old.update("a", TEXTS[2])
            with Index.open(postgres.url(), 0.7, name=name) as new:
                new.add("n", TEXTS[0])
                with pytest.raises(FileNotFoundError, match="was removed while it was open here"):
                    old.add("x", TEXTS[0])
                assert new.ids() == ["n"]
            assert (len(old), old.ids(), old.query(TEXTS[0])) == (0, [], [])
            for table, its in (("postings", "key >> 44"), ("documents", "index"), ("entries", "home >> 32"), ("counts", "index")):
                assert raw.execute(f"select count(*) from neardup.{table} where {its} = %s", (number,)).fetchone() == (0,)
        assert [match.id for match in other.query(TEXTS[0])] == ["a", "b"]
        assert other.check() == []


@pytest.mark.parametrize("before", [0, 20])
def test_a_removal_waits_for_changes_and_they_for_it(postgres, name, before):
    """Whether the server knows the statement that counts already or not: what comes after the removal sees it."""
    with Index.open(postgres.url(), 0.7, name=name) as old, raw_postgres(postgres) as raw, ThreadPoolExecutor(1) as thread:
        for i in range(before):
            old.add(i, f"{TEXTS[2]} {i}")
        for statement in itertools.takewhile(lambda statement: statement != "commit", removal(name)):
            raw.execute(statement)
        late = thread.submit(old.add, "x", TEXTS[0])
        time.sleep(0.3)
        assert not late.done()
        raw.execute("commit")
        with pytest.raises(FileNotFoundError, match="was removed while it was open here"):
            late.result(20)


# ---- Redis alone -------------------------------------------------------------------------------------------------------


def test_a_large_batch_that_fails_is_taken_back(redis, name):
    """More than one script adds: an id that another process added meanwhile leaves nothing of the batch."""
    with Index.open(redis.url(), 0.7, name=name) as index:
        ids, texts = list(range(3000)), [f"text number {i} of many" for i in range(3000)]
        store = index._store
        before, calls = store._change, []

        def change(command, *arguments):
            calls.append(command)
            if calls == ["add", "add"]:
                with Index.open(redis.url(), name=name) as other:
                    other.add(2500, "somebody else's")
            return before(command, *arguments)

        store._change = change
        with pytest.raises(DuplicateIdError, match="document 2500 is in the index already, nothing was added"):
            index.add_many(ids, texts)
        assert index.ids() == [2500]
        assert index.check() == []


def test_a_server_that_throws_away_keys_is_refused(redis, name):
    """Parts of an index would be among them."""
    raw = raw_redis(redis)
    raw.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ServerError, match="has maxmemory-policy allkeys-lru and would throw away parts of an index; set noeviction"):
            Index.open(redis.url(), name=name)
    finally:
        raw.config_set("maxmemory-policy", "noeviction")


def writes_of(index):
    """Every call that changes documents of an index that has a document 0."""
    return (
        lambda: index.add("x", TEXTS[0]),
        lambda: index.add_many(range(1000, 1000 + 3000), [f"text number {i} of many" for i in range(3000)]),
        lambda: index.add_unless_duplicate("x", TEXTS[2]),
        lambda: index.update(0, TEXTS[2]),
        lambda: index.remove(0),
        index.check,
    )


def remove_redis(server, name):
    """Remove an index as docs/reference/servers.md says."""
    raw = raw_redis(server)
    raw.delete(*raw.keys(f"neardup:{{{name}}}*"))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"threshold": 0.5, "banding": Banding(7, 6)}, "bands 7, not 21, .*threshold 0.5, not 0.7"),
        ({"threshold": 0.7, "shingling": Shingling(secret=12345)}, "another secret"),
    ],
)
def test_an_index_made_anew_by_others_is_left_alone(redis, name, other, words):
    """Whoever has the old one open neither writes to it nor looks up in it by the old parameters."""
    with Index.open(redis.url(), 0.7, banding=Banding(21, 6), name=name) as old:
        old.add_many(range(30), [f"text number {i} of words {i * 31}" for i in range(30)])
        remove_redis(redis, name)
        with Index.open(redis.url(), name=name, **({"banding": Banding(21, 6)} | other)) as new:
            new.add_many([0, "n"], TEXTS[:2])
            before = raw_redis(redis).hgetall(f"neardup:{{{name}}}")
            for attempt in (*writes_of(old), lambda: old.query(TEXTS[0])):
                with pytest.raises(
                    IncompatibleError, match=f"was made anew by others meanwhile and has {words}; nothing was changed, open it anew"
                ) as error:
                    attempt()
                assert redis.password not in str(error.value)
                assert "12345" not in str(error.value)
            assert new.ids() == [0, "n"]
            assert new.check() == []
            assert raw_redis(redis).hgetall(f"neardup:{{{name}}}") == before


def test_an_index_that_is_gone_is_not_begun_by_halves(redis, name):
    """Redis was emptied: no key appears, and the name is free."""
    with Index.open(redis.url(), 0.7, name=name) as old:
        old.add_many(range(30), [f"text number {i} of words {i * 31}" for i in range(30)])
        remove_redis(redis, name)
        for attempt in writes_of(old):
            with pytest.raises(FileNotFoundError, match="was removed while it was open here, nothing was changed; open it anew to begin"):
                attempt()
        assert raw_redis(redis).keys(f"neardup:{{{name}}}*") == []
        with Index.open(redis.url(), 0.7, name=name) as new:
            new.add("a", TEXTS[0])
            old.add("b", TEXTS[1])  # of the same parameters: it is the same index to both
            assert [match.id for match in new.query(TEXTS[0])] == ["a", "b"]


def test_a_full_server_says_so(redis, name):
    """What does not fit is not there at all."""
    raw = raw_redis(redis)
    with Index.open(redis.url(), 0.7, name=name) as index:
        index.add("a", TEXTS[0])
        raw.config_set("maxmemory", 1_000_000)
        try:
            with pytest.raises(ServerError, match=r"used memory > 'maxmemory'.*nothing was changed"):
                index.add_many(range(1000), [f"text number {i}" for i in range(1000)])
        finally:
            raw.config_set("maxmemory", 0)
        assert index.ids() == ["a"]
        assert index.check() == []


# ---- the script that starts servers ------------------------------------------------------------------------------------


def test_the_script_starts_what_it_says(postgres, redis, name):
    """It prints addresses that work; an interrupt stops the servers and removes their data."""
    script = [sys.executable, Path(servers.__file__)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        addresses = [running.stdout.readline().strip() for _ in range(2)]
        for address in addresses:
            with Index.open(address, 0.7, name=name) as index:
                index.add("a", TEXTS[0])
        running.send_signal(signal.SIGINT)
        assert "removes their data" in running.communicate(timeout=60)[1]
    for address in addresses:
        with pytest.raises(ServerError, match="lets nobody in"):
            Index.open(address, name=name)
