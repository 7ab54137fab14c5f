"""Files, names, ids and columns that mean harm: memory stays bounded, nothing is written elsewhere, nothing acts on who looks."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from test_cli import EDITED, MONDAY, NEWS, jsonl, on_terminal, put

from neardup import Index, InputError, deduplicate, documents, files
from neardup.writing import write_table

MIB = 1 << 20


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder in a folder, so that one can see what is written outside."""
    here = tmp_path / "outside" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("TERM", "xterm-256color")
    return here


# ---- bombs ---------------------------------------------------------------------------------------------------------------

READ = """
import resource, sys
from neardup import documents
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
before, rows, size = peak(), 0, 0
try:
    for batch in documents.read(sys.argv[1]).batches():
        rows, size = rows + len(batch.ids), size + int(batch.lengths.sum())
except Exception as error:
    print(type(error).__name__, error)
else:
    print("read", rows, size)
print(peak() - before)
"""


def reading(path, megabytes=0):
    """What reading a file comes to in a process of its own, and by how many bytes it grows; perhaps within an address space."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20},) * 2)\n" if megabytes else ""
    done = subprocess.run([sys.executable, "-c", limited + READ, path], check=True, capture_output=True, text=True)
    said, grown = done.stdout.strip().rsplit("\n", 1)
    return said, int(grown)


def repeated(path, rows, size, **options):
    """A file of Parquet in which a text of so many bytes stands once, and is the text of all rows."""
    text = ("word " * (size // 5 + 1))[:size]
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))
    pq.write_table(pa.table({"text": column}), path, compression="zstd", dictionary_pagesize_limit=1 << 30, store_schema=False, **options)


def assert_bounded(path, rows, size, record):
    """All rows are read, some at a time."""
    said, grown = reading(path)
    record(f"{Path(path).stat().st_size >> 10:,} KiB that stand for {rows * size >> 20:,} MiB take, MiB", grown >> 20)
    assert said == f"read {rows} {rows * size}"
    assert grown < 400 * MIB


@pytest.mark.parametrize("column", ["text", "a.text"])
def test_parquet_that_repeats_a_long_text(column, record_property, tmp_path):
    """A text that is stored once and named very often is decoded some rows at a time."""
    path = tmp_path / "bomb.parquet"
    repeated(path, 4000, 200_000)
    if column != "text":
        table = pq.read_table(path, read_dictionary=["text"]).rename_columns([column])
        pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=1 << 30, store_schema=False)
    assert_bounded(path, 4000, 200_000, record_property)


def test_parquet_of_texts_that_repeat_the_one_before(record_property, tmp_path):
    """So is what says of each text only where it differs from the one before."""
    path, text = tmp_path / "bomb.parquet", "word " * 40_000
    with pq.ParquetWriter(
        path, pa.schema([("text", pa.string())]), compression="zstd", use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"}
    ) as writer:
        writer.write_table(pa.table({"text": [text] * 3000}))
    assert_bounded(path, 3000, 200_000, record_property)


@pytest.mark.attack
def test_parquet_that_stands_for_twenty_gigabytes(record_property, tmp_path):
    """A third of a megabyte."""
    path = tmp_path / "bomb.parquet"
    repeated(path, 20_000, 1_000_000)
    assert_bounded(path, 20_000, 1_000_000, record_property)


def bomb(path, megabytes, line=True):
    """A compressed file of one line of so many megabytes, or of so many times 100,000 empty lines."""
    with gzip.open(path, "wb", 1) as file:
        file.write(b'{"text": "' if line else b"")
        for _ in range(megabytes):
            file.write(b"a" * MIB if line else b"\n" * 100_000)
        file.write(b'"}\n' if line else json.dumps({"text": MONDAY}).encode())


def test_a_line_larger_than_memory(record_property, tmp_path):
    """Within an address space that does not hold it, a line is an error, not a crash."""
    bomb(tmp_path / "bomb.jsonl.gz", 600)
    said, grown = reading(tmp_path / "bomb.jsonl.gz", 900)
    record_property("a line of 600 MiB within 900, MiB", grown >> 20)
    assert "MemoryError" in said or "malloc" in said


@pytest.mark.attack
def test_a_line_of_gigabytes(record_property, tmp_path):
    """The message says which limit was reached, after at most twice that."""
    bomb(tmp_path / "bomb.jsonl.gz", 3000)
    said, grown = reading(tmp_path / "bomb.jsonl.gz")
    record_property("a line of 3,000 MiB, MiB", grown >> 20)
    assert re.search("InputError .*line 1 is longer than 1,073,741,824 bytes, the most for a document; split it", said)
    assert grown < 2.2 * files.LONGEST


def empty_lines(many, tmp_path, record):
    """Reading so many times 100,000 empty lines takes no memory; the seconds of processor."""
    bomb(tmp_path / "empty.jsonl.gz", many, line=False)
    before = sum(os.times()[2:4])
    said, grown = reading(tmp_path / "empty.jsonl.gz")
    seconds = sum(os.times()[2:4]) - before
    record(f"{many * 100_000:,} empty lines, seconds and MiB", (round(seconds, 1), grown >> 20))
    assert said == f"read 1 {len(MONDAY)}"
    assert grown < 64 * MIB
    return seconds


def test_millions_of_empty_lines(record_property, tmp_path):
    """Memory does not grow with them, time no faster than they."""
    few, many = (empty_lines(n, tmp_path, record_property) for n in (2, 8))
    assert many < 6 * few


@pytest.mark.attack
def test_a_billion_empty_lines(record_property, tmp_path):
    """The same."""
    empty_lines(10_000, tmp_path, record_property)


@pytest.mark.parametrize("device", ["/dev/zero", "-"])
def test_a_stream_that_never_ends(device, monkeypatch, tmp_path):
    """It is refused at the length of a document, and what was kept of it is gone."""
    monkeypatch.setattr(files, "LONGEST", 8 * MIB)
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    with Path("/dev/zero").open("rb") as zero:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(zero))
        with pytest.raises(InputError, match=r"(/dev/zero|standard input): longer than 8,388,608 bytes, the most for a document; split it"):
            documents.read(device)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_an_arrow_buffer_that_lies_about_its_length(tmp_path):
    """Whatever length a compressed buffer or an offset claims, the file is refused."""
    path = tmp_path / "a.arrow"
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    table = pa.table({"text": [MONDAY * 50] * 100})
    with pa.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table)
    data = path.read_bytes()
    honest = len((MONDAY * 50).encode() * 100).to_bytes(8, "little")
    assert honest in data
    for lie in (1 << 40, 1 << 62, 7, 2**64 - 2):
        path.write_bytes(data.replace(honest, lie.to_bytes(8, "little")))
        said, grown = reading(path, 4000)
        assert said.startswith(("InputError", "MemoryError")), said
        assert grown < 400 * MIB


# ---- places --------------------------------------------------------------------------------------------------------------


def tree(top):
    """All that is below a folder, and what is in it."""
    return {path: path.read_bytes() if path.is_file() and not path.is_symlink() else None for path in Path(top).rglob("*")}


def test_nothing_of_a_folder_leads_out_of_it(folder):
    """Links out, in circles and to devices, pipes that nobody fills, folders with names of files: what is left is read."""
    outside = put("../secret.txt", MONDAY)
    for name in ("texts/a.txt", "texts/below/b.txt"):
        put(name, MONDAY)
    put("texts/folder.jsonl/c.txt", EDITED)
    for name, target in {
        "out.txt": "../../secret.txt", "absolute.txt": Path(outside).resolve(), "round": ".", "self.txt": "self.txt", "zero.txt": "/dev/zero",
        "up": "..", "memory.txt": "/proc/self/mem", "inside.txt": "a.txt", "gone.txt": "nowhere",
    }.items():  # fmt: skip
        Path("texts", name).symlink_to(target)
    os.mkfifo("texts/pipe.txt")
    before = tree("..")
    found = {id: text for batch in documents.read("texts").batches() for id, text in zip(batch.ids, batch.texts, strict=True)}
    assert sorted(found) == ["texts/a.txt", "texts/below/b.txt", "texts/folder.jsonl/c.txt", "texts/inside.txt"]
    deduplicate("texts").write("out")
    written = {path for path in tree("..") if path not in before}
    assert all(Path("../here/out") in (path, *path.parents) for path in written)
    assert not any(path.is_symlink() for path in Path("out").rglob("*"))


def test_an_archive_that_leads_out(folder):
    """Names in a zip archive that climb out of what was asked for are not read, and not written anywhere."""
    pytest.importorskip("fsspec")
    with zipfile.ZipFile("a.zip", "w") as archive:
        for name in ("b/d.txt", "b/e/f.txt", "b/../../climbed.txt", "b/../../../climbed.txt", "/rooted.txt"):
            archive.writestr(name, f"{MONDAY} {name}")
    before = tree("../..")
    deduplicate("zip://b::a.zip", threshold=1.0).write("out")
    written = {path for path in tree("../..") if path not in before}
    out = Path("../../outside/here/out")
    assert written == {out, out / "d.txt", out / "e", out / "e" / "f.txt"}


def test_ids_that_are_paths(folder):
    """Ids name no files: a table is never copied into a folder, and what is written with them is one file."""
    ids = ["../../climbed", "/etc/passwd", "a/b", "..", "", "a\0b", "\x1b]52;c;x\x07", "-o", "CON"]
    put("ids.jsonl", jsonl(*({"id": id, "text": f"{MONDAY} {i}"} for i, id in enumerate(ids))))
    before = tree("..")
    result = deduplicate("ids.jsonl", threshold=0.5)
    with pytest.raises(InputError, match="names a folder, into which only text files are copied"):
        result.write("out/")
    result.write("out.jsonl")
    result.report("report.html")
    with Index.open("ids.neardup") as index:
        index.add_many(ids, [f"{MONDAY} {i}" for i in range(len(ids))])
        assert sorted(index.ids()) == sorted(ids)
    tops = {path.relative_to("../here").parts[0] for path in tree("..") if path not in before}
    assert tops == {"out.jsonl", "report.html", "ids.neardup"}


# ---- terminals -----------------------------------------------------------------------------------------------------------

#: What would colour, set the clipboard or the title, ring, turn the line, or end it.
ACTS = [
    "\x1b[31m",
    "\x1b]52;c;RVZJTA==\x07",
    "\x1b]0;t\x1b\\",
    "\x9b31m",
    "\x9d0;t\x9c",
    "\x90q\x9c",
    "\u202e",
    "\u2066",
    "\r",
    "\x08",
    "\x07",
    "\x85",
]
ACT = "".join(ACTS)
#: What neardup itself sends: colours, and the bars that it takes away.
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[\d*A|\r(?=\n|\x1b|$)|\n")


def assert_harmless(done):
    """Nothing on the terminal acts but what is neardup's own; and what was hostile was shown."""
    left = OWN.sub("", done.out)
    assert left.isprintable(), [c for c in left if not c.isprintable()][:9]
    assert "\x1b[31mEVIL" not in done.out
    return done


@pytest.fixture
def hostile():
    """Documents, labels and an index, in whose names, ids, columns and texts everything acts."""
    rows = [{f"{ACT}column": 1, "text": f"{row['text']} {ACT}EVIL", "id": f"{ACT}EVIL{row['id']}", "group": f"{ACT}g"} for row in NEWS]
    put("a.jsonl", jsonl(*rows))
    put("a\x1b[31mEVIL.jsonl", jsonl(*rows))
    put("labels.csv", f'a,b,duplicate\n"{rows[0]["id"]}","{rows[2]["id"]}",yes\n"{rows[0]["id"]}","{rows[1]["id"]}",no\n')
    put("bad.jsonl", jsonl(*rows) + f"{ACT}EVIL\n")
    put("one.csv", f'"{ACT}EVIL;text"\nx\n')
    pq.write_table(pa.table({f"{ACT}EVIL": ["x"], "z": [1]}), "columns.parquet")
    with Index.open("i.neardup", threshold=0.5) as index:
        index.add_many([row["id"] for row in rows], [row["text"] for row in rows])
    return rows


CALLS = [
    ["index", "add", "i.neardup", "a.jsonl"],
    ["index", "add", "new.neardup", "a\x1b[31mEVIL.jsonl"],
    ["index", "query", "i.neardup", "a.jsonl"],
    ["index", "remove", "i.neardup", f"{ACT.replace(chr(0), '')}EVIL"],
    ["index", "stats", "i.neardup"],
    ["index", "check", "i.neardup"],
    ["tune", "a.jsonl"],
    ["evaluate", "a.jsonl", "--labels", "labels.csv", "-t", "0.9"],
    ["evaluate", "a.jsonl", "--group", f"{ACT}none"],
    ["dedup", "a.jsonl", "a\x1b[31mEVIL.jsonl", "-o", "out.jsonl", "--report", "r.html", "--annotate"],
    ["dedup", "bad.jsonl", "--on-error", "skip"],
    ["pairs", "bad.jsonl"],
    ["pairs", "one.csv"],
    ["pairs", "columns.parquet", "--text", f"{ACT}none"],
    ["query", "a.jsonl", "a\x1b[31mEVIL.jsonl"],
    ["pairs", f"{ACT}EVIL"],
    ["index", "stats", f"postgresql://{ACT}EVIL@localhost:1/x", "--name", f"{ACT}"],
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call[:2]).encode("ascii", "ignore").decode().replace("\x1b", ""))
def test_no_command_lets_anything_reach_the_terminal(hostile, call):
    """With bars and notes, whatever they say."""
    done = assert_harmless(on_terminal(*call, columns=200))
    assert "Traceback" not in done.out
    assert done.code in (0, 1, 2)


# ---- spreadsheets, SQL, columns ------------------------------------------------------------------------------------------

FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "＝1"]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_formulas_are_data(suffix):
    """Ids and texts are written as they came, witnesses too: who opens them in a spreadsheet imports them as text, as the documentation says."""
    rows = [{"id": id, "text": MONDAY} for id in FORMULAS]
    put("a.jsonl", jsonl(*rows))
    result = deduplicate("a.jsonl")
    result.write(f"out.{suffix}")
    parsing = pa.csv.ParseOptions(delimiter="\t" if suffix == "tsv" else ",", newlines_in_values=True)
    read = pa.csv.read_csv(f"out.{suffix}", parse_options=parsing)
    assert read.to_pylist() == rows[:1]
    page = Path(__file__).parents[2] / "docs" / "faq.md"
    assert "spreadsheet" in page.read_text()


META = ["'; DROP TABLE documents; --", '"', "`", "a.b", "$1", "%s", "{0}", "?", "*", "a\nb", "../x", "\\", "a:b", "[x]", "NULL", ""]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "arrow"])
def test_columns_of_metacharacters(suffix, tmp_path):
    """Columns of any name are read, rank, are kept with the work, and are written again."""
    names = [name for name in META if name]
    table = pa.table(
        {"id": META, "text": [f"{MONDAY} {MONDAY}"] * len(META), **{name: [f"{i:02}" for i in range(len(META))] for name in names}}
    )
    write_table(table, f"a.{suffix}")
    for name in names[:4]:
        result = deduplicate(f"a.{suffix}", id="id", text="text", keep=f"-{name}", work="work")
        assert list(result.kept) == [META[-1]]
        result.write(f"out.{suffix}")
        result.finish()
        [batch] = documents.read(f"out.{suffix}", id="id", text="text").batches(columns=names)
        assert [[str(value) for value in column] for column in batch.columns] == [[f"{len(META) - 1:02}"]] * len(names)


def test_ids_of_metacharacters_in_a_folder():
    """An index on disk keeps, finds and removes them as any others."""
    texts = [f"{MONDAY} {i} {i} {i}" for i in range(len(META))]
    with Index.open("i.neardup", threshold=0.3) as index:
        index.add_many(META, texts)
        assert {match.id for match in index.query(texts[0])} == set(META)
        for id in META[:8]:
            index.remove(id)
    with Index.open("i.neardup") as index:
        assert sorted(index.ids()) == sorted(META[8:])
        assert index.check() == []
