"""Documents as people have them, given as the real packages give them."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neardup
from neardup import MinHash, documents
from neardup.documents import Documents, Texts, Utf8, as_texts, read, strings, text_lengths
from neardup.errors import DuplicateIdError, InputError, ParameterError

TEXTS = ["one two three", "vier fünf 六", "", "🦊 seven eight"]
IDS = ["a", "b", "c", "d"]

#: Scalars, thus what Arrow can hold.
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)

COLUMNS = {
    "list": list,
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "numpy strings": np.array,
    "numpy objects": lambda texts: np.array(texts, object),
    "arrow": pa.array,
    "large arrow": lambda texts: pa.array(texts, pa.large_string()),
    "arrow views": lambda texts: pa.array(texts, pa.string_view()),
    "arrow dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "chunked arrow": lambda texts: pa.chunked_array([texts[:1], [], texts[1:]], pa.string()),
    "pandas": pd.Series,
    "pandas objects": lambda texts: pd.Series(texts, dtype=object),
    "pandas strings": lambda texts: pd.Series(texts, dtype="string"),
    "pandas categories": lambda texts: pd.Series(texts, dtype="category"),
    "pandas labels": lambda texts: pd.Series(texts, index=list("wxyz")[: len(texts)]),
    "polars": pl.Series,
    "polars categories": lambda texts: pl.Series(texts, dtype=pl.Categorical),
    "hugging face": lambda texts: datasets.Dataset.from_dict({"t": texts})["t"],
}
TABLES = {
    "arrow": pa.table,
    "arrow batch": pa.record_batch,
    "pandas": pd.DataFrame,
    "pandas objects": lambda columns: pd.DataFrame(columns, dtype=object),
    "polars": pl.DataFrame,
    "hugging face": datasets.Dataset.from_dict,
}


def contents(source: Documents, size: int = 4096) -> tuple[list[documents.Id], list[str], list[int]]:
    """All ids, texts and lengths."""
    batches = list(source.batches(size))
    return (
        [id for batch in batches for id in batch.ids],
        [text for batch in batches for text in strings(batch.texts)],
        [length for batch in batches for length in batch.lengths.tolist()],
    )


def written(source: Documents, kept: list[bool], path: Path) -> list[dict]:
    """What is written of the documents that are kept."""
    source.write(path, np.array(kept))
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# ---- one column --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.one_of(st.none(), UNICODE), max_size=12),
    st.sampled_from([pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]),
    st.lists(st.integers(0, 12), max_size=3),
    st.tuples(st.integers(0, 12), st.integers(0, 12)),
)
def test_any_arrow_column_reads_as_its_strings(texts, arrow_type, cuts, span):
    """Whatever the type, slice and chunks: the same texts as to_pylist says, a null empty, and the same lengths."""
    start, stop = sorted(span)
    array = pa.array(texts, arrow_type)
    edges = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    chunked = pa.chunked_array([array[a:b] for a, b in pairwise(edges)], arrow_type)
    for column in (array, array[start:stop], chunked, chunked[start:stop]):
        expected = [text or "" for text in column.to_pylist()]
        found = as_texts(column)
        assert isinstance(found, Utf8)
        assert found.to_list() == expected
        assert text_lengths(found).tolist() == text_lengths(expected).tolist() == [len(text) for text in expected]
        assert [found[i : i + 1].to_list() for i in range(len(found))] == [[text] for text in expected]


def test_a_list_stays_the_same_list():
    """Not a copy, whatever is in it."""
    texts = ["a", None, 3]
    assert as_texts(texts) is texts


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("more", [1, 4, 7, 63])
def test_buffers_may_be_longer_than_what_they_hold(arrow_type, more):
    """By any number of bytes, as Arrow allows."""
    texts = ["one text", "another that is longer than what a view holds", ""]
    column = pa.array(texts, arrow_type)
    valid, places, *rest = column.buffers()
    longer = pa.Array.from_buffers(arrow_type, 3, [valid, pa.py_buffer(places.to_pybytes() + bytes(more)), *rest])
    longer.validate(full=True)
    assert as_texts(longer).to_list() == texts


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_arrow_strings_are_read_in_place(arrow_type):
    """The bytes are the column's own, in a slice and in a single chunk too."""
    array = pa.array(TEXTS, arrow_type)
    address = array.buffers()[-1].address
    for column in (array, array[1:3], pa.chunked_array([array]), pa.chunked_array([array, array[2:]])):
        found = as_texts(column)
        assert {buffer.ctypes.data for buffer in found.buffers if buffer.size} <= {address, array.buffers()[1].address}
        assert found.to_list() == column.to_pylist()


def test_what_a_null_spans_is_not_text():
    """A null whose offsets span bytes is a document without text."""
    valid = pa.py_buffer(bytes([0b101]))
    column = pa.StringArray.from_buffers(3, pa.py_buffer(np.array([0, 3, 6, 9], np.int32)), pa.py_buffer(b"aaabbbccc"), valid)
    assert as_texts(column).to_list() == ["aaa", "", "ccc"]
    assert as_texts(column[1:]).to_list() == ["", "ccc"]


@pytest.mark.parametrize("form", COLUMNS)
def test_every_column_has_the_same_texts_and_signatures(form):
    """A column of any package is the list of its strings, to the kernels too."""
    make = COLUMNS[form]
    assert strings(as_texts(make(TEXTS))) == TEXTS
    signatures, expected = MinHash().sign_many(make(TEXTS)), MinHash().sign_many(TEXTS)
    assert [s.values.tolist() for s in signatures] == [s.values.tolist() for s in expected]  # noqa: PD011 - of a Signature


@pytest.mark.parametrize("form", COLUMNS)
def test_every_column_is_documents_at_their_positions(form):
    """Ids are positions; reading twice gives the same; a generator is consumed once."""
    source = read(COLUMNS[form](TEXTS))
    assert contents(source) == contents(source, 1) == ([0, 1, 2, 3], TEXTS, [13, 11, 0, 13])
    assert source.total == 4
    assert source.description.endswith(" of 4 texts")


@pytest.mark.parametrize("form", COLUMNS)
def test_every_column_is_written_with_its_positions(form, tmp_path):
    """Columns of texts alone are written as id and text."""
    source = read(COLUMNS[form](TEXTS))
    assert written(source, [False, True, False, True], tmp_path / "out.jsonl") == [{"id": 1, "text": TEXTS[1]}, {"id": 3, "text": TEXTS[3]}]
    source.write(tmp_path / "out.parquet", np.array([False, True, False, True]))
    assert pq.read_table(tmp_path / "out.parquet").to_pydict() == {"id": [1, 3], "text": [TEXTS[1], TEXTS[3]]}


@pytest.mark.parametrize("form", [form for form in COLUMNS if form not in ("numpy strings", "numpy objects")])
def test_no_documents(form):
    """A column of nothing has no documents."""
    source = read(COLUMNS[form]([]))
    assert list(source.batches()) == []
    assert source.total == 0


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None]),
        pa.nulls(2),
        pd.Series(["a", None]),
        pd.Series(["a", np.nan], dtype=object),
        pd.Series(["a", pd.NA], dtype="string"),
        pl.Series(["a", None]),
        datasets.Dataset.from_dict({"t": ["a", None]})["t"],
    ],
    ids=lambda column: type(column).__module__.partition(".")[0],
)
def test_a_missing_text_is_a_document_without_text(column):
    """Null, None, NaN and NA: the document is there, its text is empty."""
    ids, texts, _ = contents(read(column))
    assert ids == [0, 1]
    assert texts[1] == ""


def test_a_null_stays_a_null_in_what_is_written(tmp_path):
    """A kept document without text is written as it was."""
    assert written(read(pa.array(["a", None])), [True, True], tmp_path / "out.jsonl")[1] == {"id": 1, "text": None}


@pytest.mark.parametrize(
    "column", [["a\ud800"], pd.Series(["a\ud800"], dtype=object), pd.Series(["a\ud800"], dtype=pd.StringDtype("python"))]
)
def test_lone_surrogates_stay(column, tmp_path):
    """What Python can hold is read, and written as JSON; Arrow formats refuse it and name one that does not."""
    source = read(column)
    assert contents(source) == ([0], ["a\ud800"], [2])
    assert written(source, [True], tmp_path / "out.jsonl") == [{"id": 0, "text": "a\ud800"}]
    with pytest.raises(InputError, match=r"out\.parquet: its format does not fit the documents, .*surrogates.*\.jsonl fits most"):
        source.write(tmp_path / "out.parquet", np.array([True]))


def test_bytes_that_are_not_utf8_become_lone_surrogates():
    """Arrow does not check its strings; neither does reading them."""
    column = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 3], np.int32)), pa.py_buffer(b"a\xffb"))
    assert as_texts(column).to_list() == ["a", "\udcffb"]
    assert text_lengths(as_texts(column))[0] == 1


@pytest.mark.parametrize("column", [pa.array([1, 2]), pa.chunked_array([[1], [2]]), pl.Series([1, 2]), pd.Series([1, 2])])
@pytest.mark.parametrize("use", [as_texts, read])
def test_other_arrow_types_are_refused(use, column):
    """The message says what the column holds."""
    with pytest.raises(TypeError, match="a column of type int64; texts are a string column"):
        use(column)


@pytest.mark.parametrize("use", [as_texts, read])
def test_other_values_in_pandas_are_refused(use):
    """The message says where, by the index, and what."""
    with pytest.raises(TypeError, match="row 1 is of type int; texts are strings"):
        use(pd.Series(["a", 1]))
    with pytest.raises(TypeError, match="row y is of type float; texts are strings"):
        use(pd.Series(["a", 1.5], index=["x", "y"]))


@pytest.mark.parametrize("wrong", [None, 3, b"b", ["nested"], Path("p")])
def test_other_values_in_a_list_are_refused(wrong):
    """The message says where and what."""
    with pytest.raises(TypeError, match=f"text 1 is of type {type(wrong).__name__}; a text is a str"):
        read(["a", wrong])


@pytest.mark.parametrize("form", ["arrow", "pandas", "polars"])
def test_a_table_is_not_a_column(form):
    """Where one column is wanted, the message asks for it."""
    with pytest.raises(TypeError, match=r"name one of its columns: texts\['text'\]"):
        as_texts(TABLES[form]({"text": TEXTS}))


def test_only_what_is_met_is_imported():
    """Reading a list imports none of the packages that documents may come in."""
    check = "import sys; from neardup import documents; list(documents.read(['a']).batches()); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "pandas", "polars", "datasets", "neardup.files"} & set(loaded)


# ---- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", TABLES)
def test_every_table_is_read_and_written_with_all_its_columns(form, tmp_path):
    """Ids and texts come from their columns; the rows that are kept keep their order and columns, in any format."""
    columns = {"id": IDS, "text": TEXTS, "n": [1, 2, 3, 4]}
    source = read(TABLES[form](columns))
    assert contents(source) == contents(source, 1) == (IDS, TEXTS, [13, 11, 0, 13])
    assert source.total == 4
    assert source.description.endswith(" of 4 rows")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert written(source, [True, False, False, True], tmp_path / "out.jsonl") == [rows[0], rows[3]]
    for suffix in (".parquet", ".arrow"):
        source.write(tmp_path / f"out{suffix}", np.array([True, False, False, True]))
        assert contents(read(tmp_path / f"out{suffix}")) == (["a", "d"], [TEXTS[0], TEXTS[3]], [13, 13])
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [rows[0], rows[3]]


@pytest.mark.parametrize("form", TABLES)
def test_no_rows(form, tmp_path):
    """A table of nothing is read and written."""
    table = pa.table({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    forms = {"pandas": table.to_pandas, "polars": lambda: pl.from_arrow(table), "hugging face": lambda: datasets.Dataset(table)}
    source = read(forms.get(form, lambda: table)())
    assert contents(source) == ([], [], [])
    source.write(tmp_path / "out.parquet", np.empty(0, bool))
    assert pq.read_table(tmp_path / "out.parquet").to_pydict() == {"id": [], "text": []}


def test_hugging_face_rows_that_were_selected(tmp_path):
    """A shuffled or filtered dataset is read in its own order."""
    source = read(datasets.Dataset.from_dict({"id": IDS, "text": TEXTS}).select([3, 1]))
    assert contents(source)[:2] == (["d", "b"], [TEXTS[3], TEXTS[1]])
    assert written(source, [False, True], tmp_path / "out.jsonl") == [{"id": "b", "text": TEXTS[1]}]


def test_pandas_index_is_a_column_when_it_has_a_name(tmp_path):
    """Row labels alone are not data."""
    frame = pd.DataFrame({"text": ["a", "b"]}, index=[5, 7])
    assert written(read(frame), [False, True], tmp_path / "out.jsonl") == [{"text": "b"}]
    assert written(read(frame.rename_axis("key")), [False, True], tmp_path / "out.jsonl") == [{"text": "b", "key": 7}]


def test_pandas_columns_that_arrow_cannot_hold(tmp_path):
    """They do not hinder reading; writing says what does not fit."""
    frame = pd.DataFrame({"text": ["a", "b"], "mixed": [1, "x"]})
    assert contents(read(frame, text="text"))[1] == ["a", "b"]
    with pytest.raises(InputError, match=r"its format does not fit the documents, .*mixed"):
        read(frame).write(tmp_path / "out.parquet", np.array([True, True]))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_integers_of_pandas_that_arrow_cannot_hold(suffix, tmp_path):
    """The message says where they are and what helps; nothing is written."""
    frame = pd.DataFrame({"text": ["a", "b"], "small": [1, 2], "wide": [10**30, 1], "deep": [[10**30], None], "mixed": [1, "x"]})
    words = r"^an integer of more than 64 bits is in 'wide', 'deep', and Arrow has none; make it a string: astype\(str\)$"
    with pytest.raises(InputError, match=words):
        read(frame, id="small").write(tmp_path / f"out{suffix}", [True, True])
    frame = pd.DataFrame({"text": ["a"]}, index=pd.Index([10**30], name="n", dtype=object))
    with pytest.raises(InputError, match=r"^an integer of more than 64 bits is in the index, and Arrow has none; make it a string"):
        read(frame).write(tmp_path / f"out{suffix}", [True])
    assert list(tmp_path.iterdir()) == []


def test_records_become_json_whatever_they_hold(tmp_path):
    """Dates and bytes become strings; numbers that are not finite become null, also within lists."""
    day = pd.Timestamp("2026-01-02")
    table = pa.table({"text": ["a"], "day": [day.to_pydatetime()], "score": [float("nan")], "list": [[1.0, float("inf")]], "n": [2**60]})
    assert written(read(table), [True], tmp_path / "out.jsonl") == [
        {"text": "a", "day": "2026-01-02 00:00:00", "score": None, "list": [1.0, None], "n": 2**60}
    ]


# ---- which columns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": ["a"], "title": ["b"]}, "text"),
        ({"title": ["a"], "Body": ["b"]}, "Body"),
        ({"n": [1], "anything": ["a"]}, "anything"),
        ({"url": ["u"], "html": ["a"]}, "html"),
        ({"text": [1], "content": ["a"]}, "content"),
        ({"title": ["a"], "text": [None]}, "text"),
    ],
)
@pytest.mark.parametrize("form", TABLES)
def test_the_text_column_is_guessed_when_obvious(form, columns, expected):
    """By a well-known name, or because it is the only column of strings; and it is said."""
    source = read(TABLES[form](columns))
    assert f"text column {expected!r} (guessed; --text NAME chooses another)" in source.guessed
    assert contents(source)[1] == [columns[expected][0] or ""]


def test_a_text_column_that_is_not_obvious_is_asked_for():
    """The message names the columns."""
    with pytest.raises(InputError, match=r"no column is obviously the text; text= \(--text\) names one of 'left', 'right'"):
        read(pa.table({"left": ["a"], "right": ["b"]}))


@pytest.mark.parametrize("form", TABLES)
def test_columns_that_are_named(form):
    """They are taken, and nothing is said."""
    source = read(TABLES[form]({"id": [1, 1], "text": ["a", "b"], "key": [8, 9], "other": ["c", "d"]}), text="other", id="key")
    assert contents(source)[:2] == ([8, 9], ["c", "d"])
    assert list(source.guessed) == []


def test_the_id_may_be_the_text():
    """One column for both."""
    assert contents(read(pa.table({"word": ["a", "b"]}), text="word", id="word"))[:2] == (["a", "b"], ["a", "b"])


@pytest.mark.parametrize("option", ["text", "id"])
def test_a_column_that_is_missing(option):
    """The message names those that exist."""
    with pytest.raises(InputError, match="no column 'body'; the columns are 'id', 'text'"):
        read(pa.table({"id": [1], "text": ["a"]}), **{option: "body"})


def test_a_named_text_column_of_another_type():
    """The message says which."""
    with pytest.raises(InputError, match="column 'n' is of type int64; texts are a string column"):
        read(pa.table({"n": [1], "text": ["a"]}), text="n")
    with pytest.raises(InputError, match="column 'n' is of type int64; texts are a string column"):
        read(pd.DataFrame({"n": [1], "text": ["a"]}), text="n")


def test_a_mixed_column_of_pandas():
    """It is not guessed; named, its first wrong row is."""
    frame = pd.DataFrame({"x": ["a", "b", 3.5], "body": ["a", "b", "c"]})
    assert contents(read(frame))[1] == ["a", "b", "c"]
    with pytest.raises(TypeError, match="row 2 is of type float; texts are strings"):
        contents(read(frame, text="x"), 1)


def test_two_columns_of_one_name():
    """They cannot be told apart."""
    with pytest.raises(InputError, match="two columns are named 'a'; rename one"):
        read(pa.table([["x"], ["y"]], names=["a", "a"]))
    with pytest.raises(InputError, match="two columns are named 'a'; rename one"):
        read(pd.DataFrame([["x", "y"]], columns=["a", "a"]))


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("ids", [["x", "x"], [1, 1], [None, "y"], [0.5, 1.5], [True, False]], ids=str)
def test_a_guessed_id_column_must_serve(form, ids):
    """With repeats, gaps or other types it is not the id column, which is said; ids are positions then."""
    source = read(TABLES[form]({"id": ids, "text": ["a", "b"]}))
    assert contents(source)[0] == [0, 1]
    said = "column 'id' has no id of its own for each document, so these are known by their places (--id NAME chooses another)"
    assert source.guessed[1:] == [said]


@pytest.mark.parametrize("form", TABLES)
def test_a_named_id_column_must_serve(form):
    """With repeats or gaps it is refused, across batches too; the message says where."""
    source = read(TABLES[form]({"key": ["x", "y", "x"], "text": ["a", "b", "c"]}), id="key")
    for size in (1, 4096):
        with pytest.raises(DuplicateIdError, match="id 'x' is document 0 and again document 2; ids do not repeat: choose another column"):
            contents(source, size)
    with pytest.raises(InputError, match=r"the id in row 2 is (None|nan|<NA>); an id is a string or an integer"):
        contents(read(TABLES[form]({"key": ["x", None], "text": ["a", "b"]}), id="key"), 1)


def test_ids_that_are_dates_beyond_all_years():
    """Which Python cannot even show."""
    days = pa.array([2**31 - 1], pa.int32()).view(pa.date32())
    with pytest.raises(InputError, match=r"^the ids are of type date32\[day\]; an id is a string or an integer$"):
        list(read(pa.table({"text": ["a b"], "when": days}), id="when").batches())


def test_a_type_is_named_on_one_line():
    """Fields within it are called what a file says."""
    column = pa.array([{"a\x1b[2J\n": 1}])
    with pytest.raises(TypeError, match=r"^a column of type struct<a.+\[2J.*: int64>; texts are a string column$") as error:
        as_texts(column)
    assert str(error.value).isprintable()
    with pytest.raises(InputError, match=r"^column 'b' is of type struct<a.+: int64>; texts are a string column$") as refused:
        read(pa.table({"b": column}), text="b")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("values", [[0.5], [True], [b"x"]])
def test_an_id_is_a_string_or_an_integer(values):
    """Other types are refused with their value."""
    with pytest.raises(InputError, match="an id is a string or an integer"):
        contents(read(pa.table({"key": values, "text": ["a"]}), id="key"))


def test_strings_and_integers_are_different_ids():
    """1 and '1' do not repeat each other."""
    frame = pd.DataFrame({"id": pd.Series([1, "1"], dtype=object), "text": ["a", "b"]})
    assert contents(read(frame))[0] == [1, "1"]


# ---- batches -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=5), max_size=30), st.integers(1, 40), st.integers(1, 12))
def test_batches_are_bounded_and_complete(texts, size, limit):
    """At most ``size`` documents and the limit of text, unless one document alone exceeds it; everything in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "BATCH_BYTES", limit)
        batches = list(Texts(texts).batches(size))
    assert [id for batch in batches for id in batch.ids] == list(range(len(texts)))
    assert [text for batch in batches for text in batch.texts] == texts
    for batch in batches:
        assert 1 <= len(batch.ids) == len(batch.texts) == len(batch.lengths) <= size
        assert len(batch.ids) == 1 or batch.lengths.sum() <= limit


def test_batches_of_arrow_are_bounded_by_bytes(monkeypatch):
    """Of a column that is read in place, too."""
    monkeypatch.setattr(documents, "BATCH_BYTES", 10)
    batches = list(read(pa.array(["ü" * 3, "a", "b", "c" * 50, "d", "e"])).batches())
    assert [batch.texts.to_list() for batch in batches] == [["üüü", "a", "b"], ["c" * 50], ["d", "e"]]
    assert [batch.lengths.tolist() for batch in batches] == [[3, 1, 1], [50], [1, 1]]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_at_least_one(size):
    """Other sizes are refused."""
    with pytest.raises(ParameterError, match=f"size is {size}; it goes from 1 to"):
        next(read(["a"]).batches(size))


# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [None, 3, b"bytes", {"a": "b"}, {"a"}, datasets.DatasetDict(), pl.LazyFrame({"a": ["b"]}), object()])
def test_other_sources_are_refused(source):
    """The message says what was given and what is taken; what has no order is not taken."""
    with pytest.raises(TypeError, match=rf"the documents are a {type(source).__name__}; give a list or another ordered iterable"):
        read(source)


@pytest.mark.parametrize("text", ["a whole text", "", "with\0nul", "x" * 5000, "line\nline"])
def test_one_text_is_not_a_path(text):
    """The message says so without repeating a long text, and how one text is given."""
    with pytest.raises(InputError, match=r"^no file or folder '.{0,90}'; one text goes in a list: \[text\]$"):
        read(text)


def test_strings_in_a_list_are_texts(tmp_path):
    """Even when they are paths of files; Path objects are paths."""
    path = tmp_path / "a.txt"
    path.write_text("inside")
    assert contents(read([str(path)]))[1] == [str(path)]
    for source in (str(path), path, [path], (path,)):
        assert contents(read(source)) == ([str(path)], ["inside"], [6])


def test_options_that_have_no_use_are_refused():
    """A list has no columns and no files."""
    with pytest.raises(ParameterError, match="text is 'body', but a list has no columns; leave it out, or give a table"):
        read(["a"], text="body")
    with pytest.raises(ParameterError, match="id is 'key', but a Series has no columns"):
        read(pd.Series(["a"]), id="key")
    with pytest.raises(ParameterError, match=r"glob is '\*', but a list has no files to choose from; leave it out"):
        read(["a"], glob="*")


def test_documents_are_documents():
    """What read returned may be given to it again."""
    source = read(["a"])
    assert read(source) is source


def test_as_many_decisions_read(tmp_path):
    """Otherwise they are not about these documents."""
    with pytest.raises(ParameterError, match="kept has 1 values and there are 2 documents; give one for each"):
        read(["a", "b"]).write(tmp_path / "out.jsonl", np.array([True]))


def test_parts_hold_so_many_bytes_or_so_few_documents():
    """Long documents come several at a time where several threads sign; what is cut goes with its ids, lengths and columns."""
    (batch,) = read(pa.table({"id": list("abcdefg"), "text": ["x" * 10] * 5 + ["y", "z"], "n": range(7)}), id="id").batches(columns=["n"])
    assert [part.ids for part in batch.parts(5)] == [[id] for id in "abcde"] + [["f", "g"]]
    assert [part.ids for part in batch.parts(5, 3)] == [list("abc"), list("def"), ["g"]]
    assert [part.ids for part in batch.parts(25, 1)] == [list("ab"), list("cd"), list("efg")]
    part = batch.cut(4, 6)
    assert (part.ids, strings(part.texts), part.lengths.tolist(), part.columns[0].to_pylist()) == (
        ["e", "f"],
        ["x" * 10, "y"],
        [10, 1],
        [4, 5],
    )


@pytest.mark.parametrize("index", [[10.5, 20.5, 30.5], [2, 1, 0], ["c", "b", "a"]])
def test_columns_of_pandas_are_cut_by_place(index):
    """Whatever the labels of the rows: pandas 2 looks a slice up among those that are fractions."""
    frame = pd.DataFrame({"text": ["a b", "c d", "e f"], "date": [1, 2, 3]}, index=index)
    (batch,) = read(frame).batches(columns=["date"])
    assert [list(column) for column in batch.cut(1, 3).columns] == [[2, 3]]


def test_strings_that_are_none_are_no_dates():
    """What is not UTF-8 is said to be so, where it is an id too."""
    bad = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 3], np.int32)), pa.py_buffer(b"a\xffb"))
    table = pa.table({"text": ["a b", "c d"], "id": bad})
    for named in ({}, {"id": "id"}):
        with pytest.raises(UnicodeDecodeError):
            list(read(table, **named).batches())


def test_dates_beyond_all_years(tmp_path):
    """What Python has no date for is kept where Arrow writes it, and refused where lines of JSON are written or values are preferred."""
    days = pa.array([2**31 - 1, 0], pa.int32()).view(pa.date32())
    pq.write_table(pa.table({"text": ["a b", "c d"], "when": days}), tmp_path / "in.parquet")
    result = neardup.deduplicate(tmp_path / "in.parquet")
    result.write(tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["when"].combine_chunks().equals(days)
    with pytest.raises(InputError, match=r"a date or time that lines of JSON have no word for, .*; write Parquet or Arrow"):
        result.write(tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    with pytest.raises(
        InputError, match=r"what ranks the documents is of type date32\[day\], with values beyond all years; check the column"
    ):
        neardup.deduplicate(tmp_path / "in.parquet", keep={"when": ["a"]})
