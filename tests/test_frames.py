"""Decisions on data frames: the library of the data, its index, and the columns that come back."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import neardup
from neardup.errors import InputError, ParameterError
from neardup.interop.frames import annotate, mask

TEXTS = ["one two three four", "One, two, three, four!", "other words", None, "other words", "one two three four"]
KEPT = [True, False, True, True, False, False]
WITNESS = [None, 0, None, None, 2, 0]

INDEXES = {
    "range": pd.RangeIndex(6),
    "integers": pd.Index([10, 7, 3, 99, -1, 0]),
    "strings": pd.Index(list("abcdef"), name="key"),
    "repeated": pd.Index([1, 1, 2, 2, 3, 3]),
    "dates": pd.date_range("2026-11-01", periods=6),
    "pairs": pd.MultiIndex.from_tuples([(i // 2, i % 2) for i in range(6)], names=["a", "b"]),
}


class Streamed:
    """A data frame of an unknown library: all that is known of it is its Arrow C stream."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.data.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("dtype", ["object", "string", "string[pyarrow]", "category"])
@pytest.mark.parametrize("index", INDEXES.values(), ids=list(INDEXES))
def test_pandas(index: Any, dtype: str) -> None:
    """A Series or a frame: the mask and the columns have its index, and name kept documents by its labels."""
    frame = pd.DataFrame({"n": range(6), "text": pd.Series(TEXTS, index, dtype=dtype)}, index)
    before = frame.copy()
    for data, options in ((frame, {}), (frame, {"text": "text"}), (frame["text"], {})):
        kept = mask(data, **options)
        assert isinstance(kept, pd.Series)
        assert kept.dtype == bool
        assert kept.index.equals(index)
        assert kept.tolist() == KEPT
        made = annotate(data, **options)
        assert made.index.equals(index)
        assert made.index.names == index.names
        assert made["kept"].tolist() == KEPT
        labels = index.to_flat_index()
        cluster = [labels[place if witness is None else witness] for place, witness in enumerate(WITNESS)]
        assert made["cluster"].tolist() == cluster
        assert [None if pd.isna(label) is True else label for label in made["witness"]] == [
            None if w is None else labels[w] for w in WITNESS
        ]
        assert made["similarity"].isna().tolist() == KEPT
        assert made["similarity"].dropna().tolist() == [1.0, 1.0, 1.0]
    assert list(annotate(frame).columns) == ["n", "text", "kept", "cluster", "witness", "similarity"]
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(frame[mask(frame)], before[KEPT])


@pytest.mark.parametrize("chunks", [1, 2])
def test_polars(chunks: int) -> None:
    """A Series or a frame, in one chunk or several: columns of polars, kept documents by row."""
    whole, rows = pl.DataFrame({"n": range(6), "text": TEXTS}), 6 // chunks
    frame = pl.concat([whole[start : start + rows] for start in range(0, 6, rows)], rechunk=False)
    assert frame.filter(mask(frame))["n"].to_list() == [0, 2, 3]
    assert mask(frame["text"]).to_list() == KEPT
    for data in (frame, frame["text"]):
        made = annotate(data)
        assert isinstance(made, pl.DataFrame)
        assert made["kept"].to_list() == KEPT
        assert made["cluster"].to_list() == [0, 0, 2, 3, 2, 0]
        assert made["witness"].to_list() == WITNESS
        assert made["similarity"].to_list() == [None, 1.0, None, None, 1.0, 1.0]
    assert annotate(frame).columns == ["n", "text", "kept", "cluster", "witness", "similarity"]


@pytest.mark.parametrize("make", [pa.table, lambda columns: Streamed(pa.table(columns)), lambda columns: Streamed(pl.DataFrame(columns))])
def test_other_frames(make: Any) -> None:
    """Whatever gives an Arrow C stream is read, and comes back as an Arrow table."""
    data = make({"text": TEXTS, "n": list(range(6))})
    assert mask(data).to_pylist() == KEPT
    made = annotate(data)
    assert made.column_names == ["text", "n", "kept", "cluster", "witness", "similarity"]
    assert made["witness"].to_pylist() == WITNESS
    assert neardup.deduplicate(data).kept == [0, 2, 3]


@pytest.mark.parametrize(
    "make", [pa.array, lambda texts: pa.chunked_array([texts[:2], texts[2:]]), lambda texts: Streamed(pa.chunked_array([texts]))]
)
def test_other_columns(make: Any) -> None:
    """A column of an unknown library is one of texts."""
    data = make(TEXTS)
    assert mask(data).to_pylist() == KEPT
    assert annotate(data).column_names == ["kept", "cluster", "witness", "similarity"]
    assert neardup.MinHash().sign_many(data).counts.tolist() == neardup.MinHash().sign_many([text or "" for text in TEXTS]).counts.tolist()


def test_narwhals() -> None:
    """A frame of narwhals gives a stream too."""
    import narwhals

    data = narwhals.from_native(pl.DataFrame({"text": TEXTS}), eager_only=True)
    assert mask(data).to_pylist() == KEPT


def test_ids_of_a_column() -> None:
    """Documents are named by a column where that is said, and by an older corpus where they match it."""
    frame = pd.DataFrame({"key": list("uvwxyz"), "text": TEXTS}, index=range(10, 16))
    assert annotate(frame, text="text", id="key")["cluster"].tolist() == list("uuwxwu")
    older = neardup.Index()
    older.add("old", "Other words.")
    made = annotate(frame, text="text", id="key", against=older)
    assert made["witness"].fillna("").tolist() == ["", "u", "old", "", "old", "u"]
    assert made.index.tolist() == list(range(10, 16))
    table = pl.DataFrame({"id": list("uvwxyz"), "text": TEXTS})
    assert annotate(table)["cluster"].to_list() == list("uuwxwu")


def test_names_that_are_there() -> None:
    """A column of the same name is not written over; a prefix makes others."""
    for data in (
        pd.DataFrame({"text": TEXTS, "kept": 1}),
        pl.DataFrame({"text": TEXTS, "kept": 1}),
        pa.table({"text": TEXTS, "kept": range(6)}),
    ):
        with pytest.raises(ParameterError, match="column 'kept' is there already; give prefix= for the new ones, or drop it"):
            annotate(data)
        made = annotate(data, prefix="dup_")
        names = list(getattr(made, "column_names", made.columns))
        assert names[2:] == ["dup_kept", "dup_cluster", "dup_witness", "dup_similarity"]


def test_empty_frames() -> None:
    """No rows, no decisions."""
    assert len(annotate(pd.DataFrame({"text": pd.Series([], dtype=str)}))) == 0
    assert len(mask(pl.DataFrame({"text": []}, schema={"text": pl.String}))) == 0


def test_options_are_those_of_deduplicate() -> None:
    """Threshold, profile, what is kept, and the rest."""
    frame = pd.DataFrame({"text": ["a b c d e f", "a b c d e f g"], "n": [1, 2]})
    assert mask(frame, threshold=0.9).all()
    assert mask(frame, threshold=0.5, keep="last").tolist() == [False, True]
    assert mask(frame, threshold=0.5, keep="n").sum() == 1
    with pytest.raises(ParameterError, match="threshold is 2"):
        mask(frame, threshold=2)


def test_nothing_is_loaded_that_is_not_used() -> None:
    """The module imports neither pandas nor polars, and pandas frames load no polars."""
    code = (
        "import sys, neardup.interop.frames as f; assert not {'pandas', 'polars', 'narwhals', 'datasets'} & set(sys.modules); "
        "import pandas; f.annotate(pandas.DataFrame({'text': ['a']})); assert 'polars' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_large_frames_are_read_in_place() -> None:
    """A hundred thousand rows, by every library: one answer."""
    numbers = np.random.default_rng(0).integers(0, 30_000, 100_000)
    texts = [f"text number {n} of a list that goes on and on" for n in numbers]
    expected = neardup.deduplicate(texts, threshold=0.99).decisions.kept
    for data in (pd.Series(texts), pl.Series(texts), pd.DataFrame({"text": texts}), pl.DataFrame({"text": texts})):
        assert np.array_equal(np.asarray(mask(data, threshold=0.99)), expected)


def test_a_stream_is_read_once() -> None:
    """What can be read once is annotated; a column that is there is seen before any work."""
    table = pa.table({"text": TEXTS, "n": list(range(6))})
    made = annotate(table.to_reader())
    assert made["n"].to_pylist() == list(range(6))
    assert made["kept"].to_pylist() == KEPT
    with pytest.raises(neardup.ParameterError, match="column 'kept' is there already; give prefix= for the new ones, or drop it"):
        annotate(table.append_column("kept", [KEPT]).to_reader())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame(), "the DataFrame has no column with a name that is a string, but 0 others; name that of texts"),
        (pd.DataFrame([["a b c"]]), "the DataFrame has no column with a name that is a string, but 1 others; name that of texts"),
        (pa.table({}), "the table has no columns; give one with a column of texts"),
    ],
)
def test_tables_without_columns_are_refused(table, words):
    """In words of neardup, not in those of the library that made them."""
    with pytest.raises(InputError, match=words):
        neardup.deduplicate(table)
