"""Files of documents, in and out: every format, whole, damaged and interrupted."""

import errno
import gzip
import io
import json
import os
import re
import stat
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neardup
from neardup import documents, files
from neardup.documents import read, strings
from neardup.errors import DuplicateIdError, InputError, ParameterError
from neardup.files import FileDocuments, explained, format_of
from neardup.writing import atomic_path, write_table

TEXTS = ["plain words", 'a "quoted", comma;\ttab', "two\nlines\r\nand three", "", "naïve 北京 🦊", " spaces around "]
ROWS = [{"id": f"k{i}", "text": text, "note": str(i)} for i, text in enumerate(TEXTS)]
COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".zst": lambda data: pa.compress(data, "zstd", asbytes=True)}
LINE_FORMATS = [suffix + compression for suffix in (".jsonl", ".csv", ".tsv") for compression in COMPRESSIONS]
FORMATS = [*LINE_FORMATS, ".parquet", ".arrow"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A new folder, and the current one, so that paths are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(*paths, **options):
    """The ids and texts in files."""
    batches = list(FileDocuments(paths, **options).batches())
    return [id for batch in batches for id in batch.ids], [text for batch in batches for text in strings(batch.texts)]


def jsonl(*records):
    """Lines of JSON."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def put(name, data):
    """Write a file, and say its name."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return name


def names(path="."):
    """What is in a folder."""
    return sorted(found.name for found in Path(path).iterdir())


def keep(source, path, *kept):
    """Write some documents."""
    source.write(path, np.array(kept, bool))
    return Path(path)


# ---- formats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "A.NDJSON", "b.json-lines", "x.y.jsonl"])
def test_a_format_is_its_suffix(name):
    """In any case of letters, plain or compressed."""
    assert [format_of(name + c) for c in COMPRESSIONS] == [("jsonl", None), ("jsonl", "gzip"), ("jsonl", "zstd")]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.md", "a.json", ".jsonl", "jsonl", "a.jsonl.bak", "a.csv.gz.txt"])
def test_every_other_file_is_a_text(name):
    """Whatever its suffix."""
    assert format_of(name)[0] == "text"


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("origin", FORMATS)
def test_any_format_becomes_any_other(origin, target, folder):
    """Kept rows come out in order with all their columns, whatever their texts hold."""
    write_table(pa.Table.from_pylist(ROWS), f"in{origin}")
    source = FileDocuments([f"in{origin}"])
    out = keep(source, f"out{target}", True, True, False, True, True, True)
    chunk = next(FileDocuments([out]).chunks(lambda n: np.ones(n, bool)))
    found = chunk.to_pylist() if isinstance(chunk, pa.Table) else chunk
    rows = [json.loads(row) if isinstance(row, bytes) else row for row in found]
    assert rows == [row for i, row in enumerate(ROWS) if i != 2]
    assert contents(out) == ([row["id"] for row in rows], [row["text"] for row in rows])


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_rows(suffix, folder):
    """A file of nothing has no documents, and becomes another."""
    write_table(pa.table({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())}), f"in{suffix}")
    assert contents(f"in{suffix}") == ([], [])
    for target in FORMATS:
        assert contents(keep(FileDocuments([f"in{suffix}"]), f"out{target}")) == ([], [])


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv"])
def test_an_empty_file(name, folder):
    """Without a single byte there are no columns either; naming one is no error."""
    put(name, "")
    assert contents(name) == contents(name, text="body", id="key") == ([], [])


@given(rows=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9), min_size=1, max_size=8))
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet", ".arrow"])
def test_any_text_survives_a_file(suffix, rows, tmp_path_factory):
    """Quotes, separators, line ends of all kinds."""
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    write_table(pa.table({"n": [str(i) for i in range(len(rows))], "text": rows}), path)
    assert contents(path)[1] == rows


def test_the_table_of_a_result_is_written_by_its_name(folder):
    """One function for every format; types are kept where the format has them."""
    table = pa.table({"a": [1, 2], "b": ["x", None], "similarity": [0.5, 1.0]})
    for name in ("t.jsonl", "t.csv", "t.parquet", "t.arrow"):
        write_table(table, name)
    assert Path("t.jsonl").read_text() == '{"a": 1, "b": "x", "similarity": 0.5}\n{"a": 2, "b": null, "similarity": 1.0}\n'
    assert Path("t.csv").read_text() == '"a","b","similarity"\n1,"x",0.5\n2,,1\n'
    assert pq.read_table("t.parquet") == pa.ipc.open_file("t.arrow").read_all() == table


# ---- text files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "README", "page.html", "notes.md", "data.json", "x.rs"])
def test_a_text_file_is_one_document(name, folder):
    """Its id is its path as given."""
    put(name, "words\n")
    for given_name in (name, f"./{name}", str(folder / name)):
        assert contents(given_name) == ([given_name], ["words\n"])


def test_bytes_of_a_text_file(folder):
    """A byte order mark is dropped; what is not UTF-8 separates words."""
    put("bom.txt", b"\xef\xbb\xbfword")
    put("latin.txt", b"na\xefve")
    put("nul.txt", b"a\0b")
    assert contents("bom.txt", "latin.txt", "nul.txt")[1] == ["word", "na\udcefve", "a\0b"]


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_a_compressed_text_is_a_text(suffix, folder):
    """As in the documentation folders of distributions."""
    put(f"changelog{suffix}", COMPRESSIONS[suffix](b"words"))
    assert contents(f"changelog{suffix}") == ([f"changelog{suffix}"], ["words"])


def test_a_file_name_that_is_not_utf8(folder):
    """Files are found by their bytes."""
    for name in (b"t\xff.txt", b"t\xff.jsonl", b"t\xff.arrow"):
        path = os.fsdecode(name)
        if name.endswith(b".txt"):
            Path(path).write_text("words")
        else:
            write_table(pa.table({"text": ["words"]}), path)
        assert contents(path)[1] == ["words"]
    assert len(contents(".")[1]) == 3


def test_text_files_become_rows(folder):
    """With id and text; bytes that are not UTF-8 need JSON."""
    put("a.txt", "one")
    put("b.txt", "two")
    source = FileDocuments(["a.txt", "b.txt"])
    assert keep(source, "o.jsonl", False, True).read_bytes() == jsonl({"id": "b.txt", "text": "two"})
    assert pq.read_table(keep(source, "o.parquet", True, True)).to_pydict() == {"id": ["a.txt", "b.txt"], "text": ["one", "two"]}
    put("b.txt", b"\xff")
    assert contents(keep(source, "o.jsonl", False, True)) == (["b.txt"], ["\udcff"])
    with pytest.raises(InputError, match=r"o\.csv: its format does not fit the documents, .*; \.jsonl fits most"):
        keep(source, "o.csv", False, True)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_text_that_is_too_long(name, folder, monkeypatch):
    """Also when only its content is."""
    monkeypatch.setattr(files, "LONGEST", 1000)
    put("a.txt", b"x" * 1001)
    put("a.txt.gz", gzip.compress(b"x" * 1001))
    with pytest.raises(InputError, match=rf"{name}: longer than 1,000 bytes, the most for a document; split it"):
        contents(name)


# ---- folders -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_all_files_below(folder):
    """In the order of paths, each by its suffix; nothing hidden, nothing that a link leads out to."""
    put("outside.txt", "o")
    put("in/b.txt", "b")
    put("in/a/z.txt", "z")
    put("in/a.txt", "a")
    put("in/rows.jsonl", jsonl({"text": "row"}, {"text": "another"}))
    put("in/.hidden.txt", "h")
    put("in/.git/config", "h")
    Path("in/leaves.txt").symlink_to("../outside.txt")
    Path("in/stays.txt").symlink_to("b.txt")
    Path("in/dangling.txt").symlink_to("nowhere")
    Path("in/loop.txt").symlink_to("loop.txt")
    Path("in/up").symlink_to("..")
    os.mkfifo("in/pipe")
    expected = ["in/a/z.txt", "in/a.txt", "in/b.txt", "in/rows.jsonl:1", "in/rows.jsonl:2", "in/stays.txt"]
    for given_path in ("in", "in/", Path("in")):
        assert contents(given_path) == (expected, ["z", "a", "b", "row", "another", "b"])
    assert contents(folder / "in")[0] == [str(folder / id) for id in expected]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [("*.txt", ["d/a.txt"]), ("**/*.txt", ["d/a.txt", "d/s/b.txt"]), ("s/*", ["d/s/b.txt", "d/s/c.py"])],
)
def test_a_glob_chooses_in_folders(glob, expected, folder):
    """As pathlib has it; files that are named are read anyway."""
    for name in ("d/a.txt", "d/s/b.txt", "d/s/c.py", "d/.hidden"):
        put(name, name)
    assert contents("d", glob=glob)[0] == expected
    assert contents("d/s/c.py", glob=glob)[0] == ["d/s/c.py"]


@pytest.mark.parametrize("glob", ["*.none", "**/.*"])
def test_a_glob_that_matches_nothing(glob, folder):
    """A mistyped pattern is told, and is no empty corpus."""
    put("d/a.txt", "a")
    put("d/.hidden", "h")
    with pytest.raises(ParameterError, match=f"glob is {re.escape(repr(glob))}, and no file in d matches it; it is a pattern within"):
        contents("d", glob=glob)


def test_a_folder_with_nothing_to_read(folder):
    """Neither is a folder without files."""
    put("d/.hidden", "h")
    with pytest.raises(InputError, match="d: no file in it to read, hidden ones are not read; name another folder, or a file"):
        contents("d")


def test_an_index_is_no_folder_of_texts(folder):
    """What is in it are no texts; below another folder it is passed over like what is hidden."""
    neardup.Index.open("d/old.neardup").close()
    with pytest.raises(InputError, match=r"d/old.neardup is an index; search it with `neardup index query d/old.neardup ...`"):
        contents("d/old.neardup")
    put("d/a.txt", "a")
    put("d/documents/b.txt", "b")
    assert contents("d")[0] == ["d/a.txt", "d/documents/b.txt"]


@pytest.mark.parametrize("glob", ["/etc/*", ""])
def test_a_glob_that_is_none(glob, folder):
    """It stays within the folder."""
    with pytest.raises(
        ParameterError, match=rf"glob is '{glob}'.*; it is a pattern within the folder, like '\*\*/\*\.txt'".replace("*'.*", r"\*'.*")
    ):
        contents(".", glob=glob)


def test_a_file_that_is_named_twice_is_read_once(folder):
    """By itself and by its folder."""
    put("d/a.txt", "a")
    put("d/b.txt", "b")
    assert contents("d/b.txt", "d", "d/b.txt")[0] == ["d/b.txt", "d/a.txt"]


# ---- standard input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"some words\nand more", (["-"], ["some words\nand more"])),
        (b'\n \n{"text": "a"}\n\n{"text": "b"}\n', ([0, 1], ["a", "b"])),
        (b'\xef\xbb\xbf {"text": "a"}', ([0], ["a"])),
        (b"", (["-"], [""])),
        (b"[1]\n{}", (["-"], ["[1]\n{}"])),
    ],
)
def test_standard_input(data, expected, monkeypatch):
    """JSONL when it begins with a brace, otherwise one text; it can be read again."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    source = read("-")
    for _ in range(2):
        batches = list(source.batches())
        assert ([id for b in batches for id in b.ids], [text for b in batches for text in strings(b.texts)]) == expected


@pytest.mark.parametrize("taken", [b"", b"a line\n"])
@pytest.mark.parametrize("first", [b"", b"some "])
def test_standard_input_that_does_not_wait(taken, first, monkeypatch):
    """Whoever shares a pipe may set O_NONBLOCK on it; nothing yet is not the end, and what is in the buffer is not lost."""
    ours, theirs = os.pipe()
    os.write(theirs, taken + first)
    with os.fdopen(theirs, "wb", 0) as writer, open(ours, encoding="utf-8") as stream:  # noqa: PTH123  a descriptor
        assert stream.buffer.readline(len(taken)) == taken
        os.set_blocking(ours, False)
        monkeypatch.setattr(sys, "stdin", stream)

        def write():
            for word in (b"slow ", b"words"):
                time.sleep(0.1)
                writer.write(word)
            time.sleep(0.1)
            writer.close()

        slow = threading.Thread(target=write)
        slow.start()
        texts = contents("-")[1]
        slow.join()
    assert texts == [(first + b"slow words").decode()]


def test_standard_input_that_stops_to_wait():
    """O_NONBLOCK may come when half is read."""
    blocks = [b"some ", None, None, b"words", None, b""]
    ours, theirs = os.pipe()
    os.close(theirs)  # so that select finds it ready

    class Shared(io.FileIO):
        def read(self, _size=-1):
            return blocks.pop(0)

        def readinto(self, buffer):
            block = blocks.pop(0)
            buffer[: len(block)] = block
            return len(block)

    with io.BufferedReader(Shared(ours)) as stream:
        assert files._buffered("-", stream).path.read_bytes() == b"some words"
    assert blocks == []


@pytest.mark.parametrize("stream", [None, io.StringIO("text")], ids=["none", "text"])
def test_standard_input_that_is_none(stream, monkeypatch):
    """As in a program without a console, or where somebody put something else in its place."""
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(InputError, match=rf"^standard input is of type {type(stream).__name__}, without bytes to read; name a file$"):
        read("-")


def test_standard_input_that_is_closed(monkeypatch):
    """By the program itself."""
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(InputError, match=r"^standard input is closed; name a file$"):
        read("-")


def test_standard_input_that_may_only_be_written(folder, monkeypatch):
    """What the system says of it is said, and what helps."""
    with open(os.open("out.txt", os.O_WRONLY | os.O_CREAT), encoding="utf-8") as stream:  # noqa: PTH123  a descriptor
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(InputError, match=r"^standard input: Bad file descriptor; check the file$"):
            read("-")


def test_standard_input_among_files(folder, monkeypatch):
    """Its rows are named by it, and what is kept of it are its lines."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text":  "a"}\n\n{"text":"b"}')))
    put("c.txt", "c")
    source = FileDocuments(["-", "c.txt"])
    assert [batch.ids for batch in source.batches()] == [["-:1", "-:3"], ["c.txt"]]
    assert keep(source, "o.jsonl", True, True, False).read_bytes() == b'{"text":  "a"}\n{"text":"b"}\n'


def test_a_pipe_is_read_once_and_kept(folder):
    """As a shell gives one for a command."""
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text("words"))
    writer.start()
    source = FileDocuments(["pipe"])
    writer.join()
    assert [list(batch.ids) for _ in range(2) for batch in source.batches()] == [["pipe"], ["pipe"]]
    with pytest.raises(InputError, match=r"pipe is a stream without a name to copy it to; write to a \.jsonl file"):
        keep(source, "out/", True)


# ---- JSONL -------------------------------------------------------------------------------------------------------------

LINES = [b'{"id": 7, "text": "a\\u00e9"}\r\n', b'  {"text":"b",\t"id":"x", "more": [1, {"n": null}]}\n', b'{"id":1e3,"id": 9,"text":"c"}']


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("target", COMPRESSIONS)
def test_lines_are_kept_byte_for_byte(compression, target, folder):
    """White space, order, escapes, line ends; only a missing last line end is added. Blank lines are dropped."""
    put(f"in.jsonl{compression}", COMPRESSIONS[compression](b"\xef\xbb\xbf" + b"\n  \n".join(LINES)))
    source = FileDocuments([f"in.jsonl{compression}"])
    assert [batch.ids for batch in source.batches()] == [[7, "x", 9]]
    keep(source, f"out.ndjson{target}", True, False, True)
    raw = Path(f"out.ndjson{target}").read_bytes()
    data = gzip.decompress(raw) if target == ".gz" else pa.input_stream(f"out.ndjson{target}", "zstd").read() if target else raw
    assert data == LINES[0] + LINES[2] + b"\n"


def test_lines_with_different_fields_become_one_table(folder):
    """Columns in the order of appearance, of types that hold all values; what is missing is null."""
    records = [{"text": "a", "n": 1}, {"text": None, "n": 2.5, "z": None}, {"text": "c", "z": ["x"], "b": {"k": 1}}]
    put("in.jsonl", jsonl(*records))
    names = ("text", "n", "z", "b")
    assert pq.read_table(keep(FileDocuments(["in.jsonl"]), "o.parquet", True, True, True)).to_pylist() == [
        {name: record.get(name) for name in names} for record in records
    ]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((1, "x"), "column 'v': Could not convert 'x'.*"),
        ((2**63, 1), "column 'v': an integer is of more than 64 bits"),
        ((1, [{"a": -(2**70)}]), "column 'v': .*"),
        (([{"a": -(2**70)}], None), "column 'v': an integer is of more than 64 bits"),
        ((1.5, 2**70), "column 'v': .* too large .*"),
        (("\ud800", "x"), "column 'v': .* surrogates not allowed"),
        (([1], {"a": 1}), "column 'v': .*"),
    ],
    ids=str,
)
def test_lines_that_no_table_holds(values, why, folder):
    """The message names the column, and says where they go instead; nothing is left behind."""
    put("in.jsonl", jsonl(*({"text": "a", "v": value} for value in values)))
    for name in ("o.parquet", "o.csv"):
        with pytest.raises(InputError, match=rf"^{name}: its format does not fit the documents, {why}; \.jsonl fits most$"):
            keep(FileDocuments(["in.jsonl"]), name, True, True)
    assert names() == ["in.jsonl"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", r"line 3 is not JSON, .*: '\{\\n'; write an object a line"),
        (b'{"text": "a"} x', r"line 3 is not JSON, Extra data.*"),
        (b'{"text": "\xff"}', r"line 3 is not JSON, .*invalid start byte"),
        (b"\x1b[31mred" + b"x" * 999, r"line 3 is not JSON, .*: '\\x1b\[31mredx{52}'; write"),
        (b"[" * 100_000, r"line 3 is not JSON, .*recursion"),
        (b'{"text": ' + b"9" * 5000 + b"}", "line 3 has an integer of more than 4,300 digits; write it as a string"),
        (b"[1]", r"line 3 is a list of JSON; write an object a line"),
        (b'{"body": "a", "n": 1}', r"line 3 has no 'text'; its names are 'body', 'n'"),
        (b'{"text": 5}', r"'text' in line 3 is of type int; a text is a string"),
        (b'{"text": ["a"]}', r"'text' in line 3 is of type list; a text is a string"),
    ],
)
def test_a_bad_line(line, message, folder):
    """The message says which file and line, and shows the beginning without its control characters."""
    put("in.jsonl", b'{"text": "a"}\n\n' + line + b"\n")
    with pytest.raises(InputError, match=r"^in\.jsonl: " + message):
        contents("in.jsonl")


def test_a_line_without_text(folder):
    """Null is a document without text."""
    put("in.jsonl", jsonl({"text": "a"}, {"text": None}))
    assert contents("in.jsonl") == ([0, 1], ["a", ""])


def test_lone_surrogates_in_json(folder):
    """They are valid JSON, and stay."""
    put("in.jsonl", b'{"text": "\\ud800"}\n')
    assert contents("in.jsonl")[1] == ["\ud800"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_line_that_is_too_long(compression, folder, monkeypatch):
    """It is refused when it passes the limit, not when it is in memory."""
    monkeypatch.setattr(files, "LONGEST", 1000)
    fits, longer = (json.dumps({"text": "x" * n}).encode() for n in (950, 10_000_000))
    put(f"in.jsonl{compression}", COMPRESSIONS[compression](fits + b"\n" + longer))
    with pytest.raises(InputError, match="line 2 is longer than 1,000 bytes, the most for a document; split it"):
        contents(f"in.jsonl{compression}")


def test_ids_in_lines(folder):
    """A guessed name serves only if every line has it once; a named one is asked of every line."""
    put("in.jsonl", jsonl({"id": 1, "text": "a"}, {"text": "b"}, {"id": 1.5, "text": "c"}))
    assert contents("in.jsonl")[0] == [0, 1, 2]
    with pytest.raises(InputError, match=r"in\.jsonl: line 2 has no 'id'; its names are 'text'"):
        contents("in.jsonl", id="id")
    put("in.jsonl", jsonl({"id": 1, "text": "a"}) + b"\n" + jsonl({"id": 1.5, "text": "c"}))
    with pytest.raises(InputError, match=r"in\.jsonl: the id in line 3 is 1\.5; an id is a string or an integer"):
        contents("in.jsonl", id="id")
    with pytest.raises(InputError, match=r"in\.jsonl: no column 'key'; the columns are 'id', 'text'"):
        contents("in.jsonl", id="key")


# ---- CSV ---------------------------------------------------------------------------------------------------------------


def test_csv_is_strings(folder):
    """Quoted line ends stay, nothing is taken for a number, a date or missing; a byte order mark is dropped."""
    put("a.csv", b'\xef\xbb\xbfid,text,n\r\n007,"two\r\nlines",1\r\n,NA,\r\n2026-01-01,"say ""x""",null\r\n')
    assert contents("a.csv") == (["007", "", "2026-01-01"], ["two\r\nlines", "NA", 'say "x"'])
    assert keep(FileDocuments(["a.csv"]), "o.csv", False, True, False).read_text() == '"id","text","n"\n"","NA",""\n'


def test_tsv_is_separated_by_tabs(folder):
    """Commas mean nothing there."""
    put("a.tsv", 'id\ttext\n1\ta, b\n2\t"c\td"\n')
    assert contents("a.tsv") == (["1", "2"], ["a, b", "c\td"])
    assert keep(FileDocuments(["a.tsv"]), "o.tsv", False, True).read_text() == '"id"\t"text"\n"2"\t"c\td"\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id,text\n1,a\n\n2\n", r"line 4: 1 values, and the header has 2; mend it, or write JSONL"),
        (b"id,text\n1,a,b\n", r"line 2: 3 values, and the header has 2; mend it, or write JSONL"),
        (b'id,text\n1,"a"b\n', r"line 2: .* expected after .*; mend it, or write JSONL"),
        (b'id,text\n1,"a\n\n2,b\n', r"line 4: unexpected end of data; mend it, or write JSONL"),
        (b"id,text\n" + b"1,a\n" * 9999 + b"1,\xff\n", r"not UTF-8 \(.*\); convert it: iconv -t utf-8"),
        (b"id,t\xff\n1,a\n", r"not UTF-8 \(.*\); convert it: iconv -t utf-8"),
        (b"id,id,text\n1,2,a\n", r"two columns are named 'id'; rename one"),
        (
            b"left,right\n1,2\n",
            r"no column is obviously the text; text= \(--text\) names one of 'left', 'right'; in a folder, --glob chooses other files, --whole",
        ),
        (
            b"id;text\n1;one\n",
            r"it has one column, 'id;text'; separate columns by commas, or name it: text='id;text' \(--text 'id;text'\)$",
        ),
        (b"id\ttext\n1\tone\n", r"it has one column, 'id\\ttext'; separate columns by commas, or name it"),
        (b"\xef\xbb\xbfid;text\n", r"it has one column, 'id;text'"),
    ],
)
def test_bad_csv(data, message, folder):
    """The message says which file, and which line."""
    put("a.csv", data)
    with pytest.raises(InputError, match=r"^a\.csv: " + message):
        contents("a.csv")


def test_one_column_may_have_any_name_that_is_given(folder):
    """What looks like several columns is one where the caller says so; TSV has its own separator."""
    put("a.csv", "id;text\none two\n")
    assert contents("a.csv", text="id;text") == ([0], ["one two"])
    put("a.tsv", "id,text\n1,one\n")
    with pytest.raises(InputError, match=r"^a\.tsv: it has one column, 'id,text'; separate columns by tabs, or name it"):
        contents("a.tsv")


def test_a_field_of_csv_that_is_too_long(folder, monkeypatch):
    """Megabytes are fine; the limit is what a document may have."""
    put("a.csv", "id,text\n1," + "x" * 3_000_000 + "\n2,b\n")
    assert contents("a.csv") == (["1", "2"], ["x" * 3_000_000, "b"])
    monkeypatch.setattr(files, "LONGEST", 1000)
    with pytest.raises(InputError, match=r"^a\.csv: line 2: field larger than field limit \(1000\); mend it, or write JSONL, or leave out"):
        contents("a.csv")


def test_csv_has_no_place_for_lists(folder):
    """The message names a format that has."""
    put("a.jsonl", jsonl({"text": "a", "tags": ["x"]}))
    with pytest.raises(InputError, match=r"o\.csv: its format does not fit the documents, .*list.*; \.jsonl fits most"):
        keep(FileDocuments(["a.jsonl"]), "o.csv", True)


# ---- Parquet and Arrow -------------------------------------------------------------------------------------------------


def test_parquet_keeps_its_schema(folder):
    """Types, metadata and order of columns stay; row groups are merged."""
    schema = pa.schema(
        [("n", pa.int16()), ("text", pa.large_string()), ("at", pa.timestamp("ms")), ("tags", pa.list_(pa.string()))], {"made": "by hand"}
    )
    table = pa.table([[*range(9)], [*"abcdefghi"], [*range(9)], [["x"], None] * 4 + [[]]], schema=schema)
    pq.write_table(table, "in.parquet", row_group_size=2)
    source = FileDocuments(["in.parquet"])
    assert source.total == 9
    found = pq.read_table(keep(source, "out.parquet", *(i % 2 for i in range(9))))
    assert found == table.filter(pa.array([i % 2 == 1 for i in range(9)]))
    assert found.schema.metadata == {b"made": b"by hand"}


def test_parquet_batches_are_bounded(folder, monkeypatch):
    """Few rows are read at a time when they are long."""
    write_table(pa.table({"text": [f"{i}" * 1000 for i in range(10)]}), "in.parquet")
    monkeypatch.setattr(documents, "BATCH_BYTES", 2500)
    monkeypatch.setattr(files, "BATCH_BYTES", 2500)
    assert [len(batch.ids) for batch in FileDocuments(["in.parquet"]).batches()] == [2] * 5


def test_arrow_files_and_streams(folder):
    """Both kinds; data sets are stored as streams."""
    table = pa.table({"id": [1, 2, 3], "text": ["a", None, "c"]})
    with pa.OSFile("s.arrow", "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        for part in table.to_batches(max_chunksize=2):
            writer.write(part)
    pa.ipc.new_file("f.feather", table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")).write(table)
    with pa.ipc.new_file("f.feather", table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write(table)
    for name in ("s.arrow", "f.feather"):
        assert contents(name) == ([1, 2, 3], ["a", "", "c"])
        assert pa.ipc.open_file(keep(FileDocuments([name]), "o.ipc", False, True, True)).read_all() == table[1:]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl.gz", ".csv.gz", ".jsonl.zst", ".csv.zst"])
@pytest.mark.parametrize("damage", ["nothing", "cut", "garbage", "other"])
def test_damaged_files(suffix, damage, folder):
    """Cut short, overwritten or something else altogether: the message says which file."""
    name = f"in{suffix}"
    rng = np.random.default_rng(0)
    write_table(pa.table({"text": [rng.bytes(50).hex() for _ in range(2000)]}), name)
    whole = Path(name).read_bytes()
    half = len(whole) // 2
    put(
        name,
        {"nothing": b"", "cut": whole[:half], "garbage": whole[:half] + b"\0" * 400 + whole[half + 400 :], "other": b"what " * 99}[damage],
    )
    if damage == "nothing" and suffix not in (".parquet", ".arrow"):
        assert contents(name) == ([], [])
    elif damage == "garbage" and suffix in (".arrow", ".csv.zst"):
        pass  # these have no checksum, and what is overwritten is text that stays a text
    else:
        with pytest.raises(InputError, match=rf"^in{suffix}: .*; check the file$"):
            contents(name)


def test_damaged_offsets_of_an_arrow_file(folder):
    """They are found before they are followed."""
    column = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 2**30, 3], np.int32)), pa.py_buffer(b"abc"))
    with pa.OSFile("in.arrow", "wb") as out, pa.ipc.new_file(out, pa.schema([("text", pa.string())])) as writer:
        writer.write(pa.record_batch([column], ["text"]))
    with pytest.raises(InputError, match=r"in\.arrow: .*; check the file"):
        contents("in.arrow")


def test_a_text_column_of_bytes(folder):
    """It is not a string column; the message says so."""
    write_table(pa.table({"text": [b"a"], "other": ["b"]}), "in.parquet")
    with pytest.raises(InputError, match=r"in\.parquet: column 'text' is of type binary; texts are a string column"):
        contents("in.parquet", text="text")


# ---- several files -----------------------------------------------------------------------------------------------------


def test_rows_of_several_files_are_named_by_file(folder):
    """Path and row from 1, of JSONL the line; a text file by its path. One file alone has positions."""
    put("a.jsonl", b'\n{"text": "a"}\n\n{"text": "b"}\n')
    put("b.csv", "text\nc\nd\n")
    write_table(pa.table({"text": ["e"]}), "c.parquet")
    put("d.txt", "f")
    assert contents("a.jsonl", "b.csv", "d.txt", "c.parquet") == (
        ["a.jsonl:2", "a.jsonl:4", "b.csv:1", "b.csv:2", "d.txt", "c.parquet:1"],
        ["a", "b", "c", "d", "f", "e"],
    )
    assert contents("a.jsonl")[0] == contents("b.csv")[0] == [0, 1]


def test_ids_of_several_files(folder):
    """A guessed column serves if all have it and nothing repeats among them; a named one must."""
    put("a.jsonl", jsonl({"id": "x", "text": "a"}))
    put("b.csv", "id,text\ny,b\n")
    put("c.csv", "id,text\nx,c\n")
    put("d.csv", "text\nd\n")
    put("e.txt", "e")
    assert contents("a.jsonl", "b.csv", "e.txt")[0] == ["x", "y", "e.txt"]
    assert contents("a.jsonl", "c.csv")[0] == ["a.jsonl:1", "c.csv:1"]
    assert contents("a.jsonl", "d.csv")[0] == ["a.jsonl:1", "d.csv:1"]
    with pytest.raises(DuplicateIdError, match="id 'x' is document 0 and again document 1"):
        contents("a.jsonl", "c.csv", id="id")
    with pytest.raises(InputError, match=r"d\.csv: no column 'id'; the columns are 'text'"):
        contents("a.jsonl", "d.csv", id="id")


def test_guesses_are_said_once(folder):
    """However many files."""
    put("a.csv", "id,body\n1,a\n")
    put("b.csv", "id,body\n2,a\n")
    put("c.csv", "id,content\n3,a\n")
    assert FileDocuments(["a.csv", "b.csv", "c.csv"]).guessed == [
        "text column 'body' (guessed; --text NAME chooses another)",
        "text column 'content' (guessed; --text NAME chooses another)",
        "id column 'id' (guessed; --id NAME chooses another)",
    ]
    assert FileDocuments(["a.csv", "b.csv"], text="body", id="id").guessed == []


def test_columns_of_text_files(folder):
    """There are none to name."""
    put("a.txt", "a")
    for option in ("text", "id"):
        with pytest.raises(ParameterError, match=f"{option} is 'body', but none of the files has columns; leave it out"):
            FileDocuments(["a.txt"], **{option: "body"})


def test_several_formats_become_one(folder):
    """JSONL lines stay; in a table the columns are joined, and widened where types differ."""
    put("a.jsonl", b'{"text":"a",   "n":1}\n')
    write_table(pa.table({"text": ["b"], "n": [2.5]}), "b.parquet")
    put("c.txt", "c")
    source = FileDocuments(["a.jsonl", "b.parquet", "c.txt"])
    assert keep(source, "o.jsonl", True, True, True).read_bytes() == (
        b'{"text":"a",   "n":1}\n{"text": "b", "n": 2.5}\n{"id": "c.txt", "text": "c"}\n'
    )
    assert pq.read_table(keep(source, "o.parquet", True, True, True)).to_pydict() == {
        "text": ["a", "b", "c"],
        "n": [1.0, 2.5, None],
        "id": [None, None, "c.txt"],
    }
    write_table(pa.table({"text": ["d"], "n": ["x"]}), "d.parquet")
    with pytest.raises(InputError, match=r"o\.arrow: its format does not fit the documents, .*'?n'? .*; \.jsonl fits most"):
        keep(FileDocuments(["b.parquet", "d.parquet"]), "o.arrow", True, True)


@pytest.mark.parametrize("suffix", ["", ".txt", *FORMATS])
def test_progress_is_told_in_bytes(suffix, folder):
    """It grows to the size of the files, and begins anew."""
    for name in (f"a{suffix}", f"b{suffix}"):
        if suffix in ("", ".txt"):
            put(name, "x" * 1000)
        else:
            write_table(pa.table({"text": [f"{i} " * 50 for i in range(300)]}), name)
    source = FileDocuments([f"a{suffix}", f"b{suffix}"])
    assert source.bytes_total == sum(Path(name).stat().st_size for name in (f"a{suffix}", f"b{suffix}"))
    for _ in range(2):
        seen = [source.bytes_done for _ in source.batches(50)]
        assert seen == sorted(seen)
        assert 0 < seen[0] <= source.bytes_done == source.bytes_total


def test_a_description_for_people(folder):
    """One file is its path."""
    put("a.txt", "a")
    put("b.txt", "b")
    assert [FileDocuments(paths).description for paths in (["a.txt"], ["."], "b.txt")] == ["a.txt", "2 files", "b.txt"]


# ---- what cannot be read -----------------------------------------------------------------------------------------------


def test_a_path_that_does_not_exist(folder):
    """The message names it."""
    with pytest.raises(InputError, match=r"^gone\.txt: no such file or folder; check the path$"):
        FileDocuments(["gone.txt"])
    put("a.txt", "a")
    source = FileDocuments(["a.txt"])
    Path("a.txt").unlink()
    with pytest.raises(InputError, match=r"^a\.txt: no such file or folder; check the path$"):
        list(source.batches())


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (PermissionError(errno.EACCES, "no"), "x: permission denied; change the mode of the file or its folder"),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), "x: Is a directory; check the file"),
        (OSError("zlib inflate\nfailed"), r"x: zlib inflate\\nfailed; check the file"),
        (pa.ArrowInvalid("not \x1b this"), r"x: not \\x1b this; check the file"),
    ],
)
def test_what_the_system_refuses_is_explained(cause, message):
    """Each with its remedy, on one line."""
    with pytest.raises(InputError, match=f"^{message}$"), explained("x"):
        raise cause


def test_a_full_disk_stays_what_it_is():
    """It is no fault of the input."""
    with pytest.raises(OSError, match="No space left") as caught, explained("x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not isinstance(caught.value, InputError)


def test_a_full_disk_says_which_file(folder):
    """Arrow does not; what was there stays."""
    put("out.jsonl", "old")
    words = r"No space left on device; make room, or write elsewhere: 'out\.jsonl'$"
    with pytest.raises(OSError, match=words) as caught, atomic_path("out.jsonl"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == "out.jsonl"
    with pytest.raises(OSError, match=words), atomic_path("out.jsonl") as part:
        raise OSError(errno.ENOSPC, "No space left on device", "source.txt", None, str(part / "1.txt"))
    with pytest.raises(OSError, match=r"No space left on device: 'elsewhere'$"), atomic_path("out.jsonl"):
        raise OSError(errno.ENOSPC, "No space left on device", "elsewhere")
    assert list(Path().iterdir()) == [Path("out.jsonl")]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_permissions(folder):
    """A file and a folder that may not be read."""
    put("d/a.txt", "a")
    Path("d/a.txt").chmod(0)
    with pytest.raises(InputError, match=r"d/a\.txt: permission denied"):
        contents("d")
    Path("d").chmod(0)
    with pytest.raises(InputError, match="d: permission denied"):
        contents("d")
    Path("d").chmod(0o700)


# ---- writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_fails_in_the_middle_leaves_everything_as_it_was(failure, folder):
    """The old file stays, and nothing lies beside it."""
    put("out.jsonl", "old")

    def fail(path, *, folder):
        with atomic_path(path) as part:
            if folder:
                part.mkdir()
            (part / "a" if folder else part).write_text("half")
            raise failure

    with pytest.raises(failure):
        fail("out.jsonl", folder=False)
    with pytest.raises(failure):
        fail("new", folder=True)
    assert names() == ["out.jsonl"]
    assert Path("out.jsonl").read_text() == "old"


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_input_that_breaks_in_the_middle_leaves_the_old_output(suffix, folder):
    """Whatever was written before is removed."""
    put("in.jsonl", jsonl(*({"text": "a" * 99} for _ in range(5000))))
    source = FileDocuments(["in.jsonl"])
    with Path("in.jsonl").open("ab") as out:
        out.write(b'{"text": "one more"}\n')
    put(f"out{suffix}", "old")
    with pytest.raises(InputError, match=r"in\.jsonl: no longer the 5,000 documents that were read; leave files alone meanwhile"):
        keep(source, f"out{suffix}", *[True] * 5000)
    put("in.jsonl", jsonl({"text": "a"}))
    with pytest.raises(InputError, match="no longer the 5,000 documents that were read"):
        keep(source, f"out{suffix}", *[True] * 5000)
    assert names() == ["in.jsonl", f"out{suffix}"]
    assert Path(f"out{suffix}").read_text() == "old"


def test_a_new_file_takes_the_place_of_the_old(folder):
    """With its mode, and behind a link if it is one; a part is never at the path itself."""
    put("real/out.jsonl", "old")
    Path("real/out.jsonl").chmod(0o640)
    Path("link.jsonl").symlink_to("real/out.jsonl")
    with atomic_path("link.jsonl") as part:
        part.write_text("new")
        assert part.parent == folder / "real"
        assert Path("link.jsonl").read_text() == "old"
    assert Path("link.jsonl").is_symlink()
    assert Path("real/out.jsonl").read_text() == "new"
    assert stat.S_IMODE(Path("real/out.jsonl").stat().st_mode) == 0o640
    assert names("real") == ["out.jsonl"]


def test_a_folder_that_cannot_be_synced(folder, monkeypatch):
    """Some systems refuse to sync a folder, and one that may not be read cannot be opened; what is written there is no less done."""
    fsync = os.fsync

    def files_only(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    assert keep(read(["a"]), "out.jsonl", True).read_bytes() == jsonl({"id": 0, "text": "a"})
    keep(FileDocuments([put("a.txt", "a")]), "out", True)
    assert names() == ["a.txt", "out", "out.jsonl"]


def test_an_old_file_that_may_only_be_written(folder, monkeypatch):
    """The new one has its mode, but not before its own content is safe."""
    opened = os.open

    def as_its_owner(path, flags):
        if not stat.S_IMODE(Path(path).stat().st_mode) & stat.S_IRUSR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags)

    Path(put("out.jsonl", "old")).chmod(0o200)
    monkeypatch.setattr(os, "open", as_its_owner)
    keep(read(["a"]), "out.jsonl", True)
    assert stat.S_IMODE(Path("out.jsonl").stat().st_mode) == 0o200


@pytest.mark.parametrize("name", ["n" * 249 + ".jsonl", "北" * 83 + ".jsonl"])
def test_a_long_name_leaves_room_for_the_part(name, folder):
    """255 bytes are the most for a name."""
    assert keep(read(["a"]), name, True).read_bytes() == jsonl({"id": 0, "text": "a"})


def test_an_input_is_never_written_over(folder):
    """Not by another name for it either."""
    put("in.jsonl", jsonl({"text": "a"}))
    Path("link.jsonl").symlink_to("in.jsonl")
    put("b.txt", "b")
    for name in ("in.jsonl", "./in.jsonl", "link.jsonl"):
        with pytest.raises(ParameterError, match="is one of the inputs; write to another name"):
            keep(FileDocuments(["b.txt", "in.jsonl"]), name, True, True)
    assert Path("in.jsonl").read_bytes() == jsonl({"text": "a"})


@pytest.mark.parametrize("name", ["out.txt", "out.xlsx", "out.gz", "out.parquet.gz", "out.arrow.zst"])
def test_a_format_that_cannot_be_written(name, folder):
    """The message lists those that can."""
    with pytest.raises(
        ParameterError, match=rf"^{name}: not a format to write; end the name in \.jsonl, \.csv or \.tsv .*\.parquet or \.arrow$"
    ):
        keep(read(["a"]), name, True)
    with pytest.raises(ParameterError, match="not a format to write"):
        write_table(pa.table({"a": [1]}), name)


def test_places_that_cannot_be_written(folder):
    """A folder that does not exist, and what is not a file."""
    with pytest.raises(InputError, match=rf"^no/out\.jsonl: its folder does not exist; create it: mkdir -p {folder}/no$"):
        keep(read(["a"]), "no/out.jsonl", True)
    with pytest.raises(InputError, match=r"^s3://b/out\.jsonl is a URL; outputs are local files: write one, and copy it there$"):
        keep(read(["a"]), "s3://b/out.jsonl", True)
    os.mkfifo("pipe.jsonl")
    with pytest.raises(InputError, match=r"^pipe\.jsonl: not a regular file; name another$"):
        keep(read(["a"]), "pipe.jsonl", True)
    assert names() == ["pipe.jsonl"]


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("dir.jsonl", "dir.jsonl.jsonl"),
        ("dir.jsonl/", "dir.jsonl.jsonl"),
        ("new.csv/", "new.csv.jsonl"),
        ("new", "new.jsonl"),
        (".", "result.jsonl"),
    ],
)
def test_a_table_is_not_written_into_a_folder(name, instead, folder):
    """What is a folder, and what ends like one, whatever its suffix."""
    Path("dir.jsonl").mkdir()
    message = rf"^{re.escape(name)} names a folder, into which only text files are copied; name a file, like {re.escape(instead)}$"
    for write in (lambda: write_table(pa.table({"a": [1]}), name), lambda: keep(read(["a"]), name, True)):
        with pytest.raises(InputError, match=message):
            write()
    assert names() == ["dir.jsonl"]


@pytest.mark.parametrize("name", ["", "-"])
def test_an_output_without_a_name(name, folder):
    """It means neither the folder where one happens to be nor standard output."""
    for write in (lambda: write_table(pa.table({"a": [1]}), name), lambda: keep(FileDocuments([put("a.txt", "a")]), name, True)):
        with pytest.raises(ParameterError, match=rf"^the output is '{name}'; name a file, like result\.jsonl$"):
            write()


def test_a_name_that_is_too_long(folder):
    """256 bytes are too many, in a file to read and in one to write."""
    name = "n" * 250 + ".jsonl"
    put("a.txt", "a")
    for call in (
        lambda: FileDocuments([name]),
        lambda: keep(read(["a"]), name, True),
        lambda: keep(FileDocuments(["a.txt"]), "n" * 256, True),
    ):
        with pytest.raises(InputError, match=r"^n+[.a-z]*: File name too long; choose a shorter one$"):
            call()
    assert names() == ["a.txt"]


def test_a_name_with_a_nul(folder):
    """No system has such a name; it is shown escaped."""
    for call in (lambda: FileDocuments(["a\0.jsonl"]), lambda: read(Path("a\0.jsonl")), lambda: keep(read(["a"]), "a\0.jsonl", True)):
        with pytest.raises(InputError, match=r"^'a\\x00\.jsonl' has a NUL in it, which no path may have; check the path$"):
            call()


@pytest.mark.parametrize("kind", [Path.touch, Path.mkdir])
def test_what_another_owns_in_a_sticky_folder(kind, folder, monkeypatch):
    """As in /tmp: one may write beside it, but not put something in its place."""
    shared = Path("shared")
    shared.mkdir()
    shared.chmod(0o1777)
    kind(shared / "out.jsonl" if kind is Path.touch else shared / "out")
    source, path = FileDocuments([put("a.txt", "a")]), next(shared.iterdir())
    keep(source, path, True)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InputError, match=r"^shared/out.*: permission denied; change the mode of the file or its folder$"):
        atomic_path(path).__enter__()


def test_large_outputs_are_written_in_parts(folder, monkeypatch):
    """Tables of about the limit each, one row group a part."""
    monkeypatch.setattr(files, "BATCH_BYTES", 10_000)
    write_table(pa.table({"text": ["x" * 999] * 50}), "in.arrow")
    monkeypatch.setattr(documents, "BATCH_BYTES", 1000)
    assert pq.ParquetFile(keep(read(pa.array(["x" * 999] * 9000)), "o.parquet", *[True] * 9000)).num_row_groups == 3


# ---- folders of text files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out", "out/", "empty"])
def test_kept_text_files_are_copied_into_a_folder(target, folder):
    """With their places below the folder they came from, whatever their bytes, with their times."""
    put("in/a.txt", b"\xff a")
    put("in/s/t/b.txt", "b")
    put("in/s/c.txt", "c")
    put("single.txt", "d")
    Path("empty").mkdir()
    os.utime("in/a.txt", (1, 1))
    source = FileDocuments(["in", "single.txt"])
    keep(source, target, True, False, True, True)
    out = Path(target)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == ["a.txt", "s/t/b.txt", "single.txt"]
    assert (out / "a.txt").read_bytes() == b"\xff a"
    assert (out / "a.txt").stat().st_mtime == 1
    assert not list(folder.glob(".*"))


def test_what_no_folder_can_hold(folder):
    """Rows of data; two files in one place; anything in a folder that is not empty."""
    put("a/x.txt", "1")
    put("b/x.txt", "2")
    put("rows.jsonl", jsonl({"text": "a"}))
    with pytest.raises(InputError, match=r"^out names a folder, into which only text files are copied; name a file, like out\.jsonl$"):
        keep(read(["a"]), "out", True)
    with pytest.raises(InputError, match="into which only text files are copied"):
        keep(FileDocuments(["a", "rows.jsonl"]), "out/", True, True)
    with pytest.raises(InputError, match=r"^b/x\.txt and a/x\.txt would both be x\.txt; write to a \.jsonl file$"):
        keep(FileDocuments(["a", "b"]), "out", True, True)
    with pytest.raises(ParameterError, match=r"^a is a folder with something in it; name a new one, or a file$"):
        keep(FileDocuments(["a", "b"]), "a", True, False)
    with pytest.raises(InputError, match=r"^rows\.jsonl/ is a file, and a folder would take its place; name another$"):
        keep(FileDocuments(["a"]), "rows.jsonl/", True)
    with pytest.raises(InputError, match="its folder does not exist"):
        keep(FileDocuments(["a"]), "no/out", True)
    source = FileDocuments(["a"])
    Path("a/x.txt").unlink()
    with pytest.raises(InputError, match=r"a/x\.txt: no such file"):
        keep(source, "out", True)
    assert names() == ["a", "b", "rows.jsonl"]
    keep(FileDocuments(["b"]), "out", False)
    assert names("out") == []


# ---- small things that people meet ---------------------------------------------------------------------------------------


def test_an_empty_path_is_no_folder():
    """It does not mean the folder where one happens to be."""
    with pytest.raises(ParameterError, match="an input is ''; name a file or folder, or - for standard input"):
        FileDocuments([""])


@pytest.mark.parametrize("path", ["/", "//"])
def test_the_root_is_nothing_to_write_to(path):
    """It is refused in words."""
    with pytest.raises(InputError, match=f"{path}: not a regular file; name another"), atomic_path(path):
        pass


def test_the_remedy_may_be_pasted(tmp_path):
    """A folder's name with a space is quoted in the command that makes it."""
    with pytest.raises(InputError, match=r"create it: mkdir -p '.*/two words'$"), atomic_path(tmp_path / "two words" / "out.jsonl"):
        pass


def test_of_many_columns_some_are_named(tmp_path):
    """A message stays readable however wide a table is."""
    path = tmp_path / "wide.jsonl"
    path.write_text(json.dumps({f"c{i}": "x" for i in range(5000)}) + "\n")
    with pytest.raises(InputError, match=r"no column 'body'; the columns are 'c0', .*, 'c19' and 4,980 more$"):
        FileDocuments([path], text="body")
    with pytest.raises(InputError, match=r"names one of 'c0', .* and 4,980 more; in a folder"):
        FileDocuments([path])


def test_one_ctrl_d_ends_what_is_typed():
    """The input is read block by block; after the first empty one nothing is asked for."""
    blocks = [b"some ", b"words\n", b"", b"not asked for"]

    class Keyboard(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            block = blocks.pop(0)
            buffer[: len(block)] = block
            return len(block)

    file = files._buffered("-", io.BufferedReader(Keyboard()))
    assert file.path.read_bytes() == b"some words\n"
    assert blocks == [b"not asked for"]


def test_a_parquet_file_is_not_kept_in_memory_while_it_is_read(tmp_path):
    """Of forty row groups what was read is given back: Arrow never holds a quarter of the file."""
    path = tmp_path / "many.parquet"
    rng = np.random.default_rng(1)
    texts = [rng.bytes(500).hex() for _ in range(20_000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=500, compression="none", use_dictionary=False)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in files.FileDocuments(path).batches(500)]
    assert len(held) >= 40
    assert max(held) < path.stat().st_size / 4


@pytest.mark.parametrize(("name", "wrong"), [("a.jsonl", b"x\n"), ("a.csv", b"1,2,3\n")])
def test_very_many_lines_that_cannot_be_read(tmp_path, name, wrong):
    """They are left out and counted, each once, and of the first it is said why; memory does not grow with their number."""
    right = [b'{"id": "a", "text": "one two"}\n', b'{"id": "b", "text": "three"}\n'] if name == "a.jsonl" else [b"id,text\n", b"a,b\n"]
    path = tmp_path / name
    path.write_bytes(right[0] + wrong * 30_000 + right[1])
    result = neardup.deduplicate(path, on_error="skip")
    assert (result.summary()["skipped"], len(result.skipped)) == (30_000, 10_000)
    assert result.skipped[-1].startswith(f"{path}: line 10001")
    result.write(tmp_path / f"out-{name}")
    assert (tmp_path / f"out-{name}").read_bytes().replace(b"\r", b"").replace(b'"', b"") == b"".join(right).replace(b'"', b"")
    assert (result.summary()["skipped"], len(result.skipped)) == (30_000, 10_000)
