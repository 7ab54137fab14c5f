"""Decisions on data frames where they are: columns of pandas, polars, or whatever gives an Arrow C stream, with their index.

>>> import pandas as pd
>>> news = pd.DataFrame({"text": ["One two three.", "one two three", "four"]}, index=["a", "b", "c"])
>>> news[mask(news)].index.tolist()
['a', 'c']
>>> annotate(news).loc["b"].to_dict()
{'text': 'one two three', 'kept': False, 'cluster': 'a', 'witness': 'a', 'similarity': 1.0}
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from neardup.dedup import deduplicate
from neardup.documents import is_of
from neardup.errors import ParameterError
from neardup.results import Result

#: What is said of each document.
COLUMNS = ("kept", "cluster", "witness", "similarity")


def mask(data: Any, text: str | None = None, **options: Any) -> Any:
    """Which documents are kept, as a column of the library that the data are of.

    Parameters
    ----------
    data
        A Series or DataFrame of pandas or polars, an Arrow column or table, or anything that has ``__arrow_c_stream__``.
    text
        The column that holds the text; guessed when obvious.
    **options
        As for :func:`neardup.deduplicate`.

    Returns
    -------
    Series or pyarrow.ChunkedArray
        Of booleans, with the index of the data: ``frame[mask(frame)]``, ``frame.filter(mask(frame))``.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"text": ["a b", "c", "A, B!"]})
    >>> frame.filter(mask(frame, threshold=0.9))["text"].to_list()
    ['a b', 'c']
    """
    kept = _decided(data, text, options).decisions.kept
    if is_of(data, "pandas", "Series", "DataFrame"):
        return sys.modules["pandas"].Series(kept, data.index, name="kept")
    if is_of(data, "polars", "Series", "DataFrame"):
        return sys.modules["polars"].Series("kept", kept)
    import pyarrow as pa

    return pa.chunked_array([pa.array(kept)])


def annotate(data: Any, text: str | None = None, *, id: str | None = None, prefix: str = "", **options: Any) -> Any:
    """The data with what became of each document: columns ``kept``, ``cluster``, ``witness`` and ``similarity``.

    Parameters
    ----------
    data
        As for :func:`mask`; of a Series or column only the new columns come back.
    text
        The column that holds the text; guessed when obvious.
    id
        The column by whose values clusters and witnesses are named. By default the labels of the index in pandas, elsewhere a column
        of ids when that is obvious, or the number of the row.
    prefix
        Put before the names of the new columns.
    **options
        As for :func:`neardup.deduplicate`.

    Returns
    -------
    DataFrame or pyarrow.Table
        Of the library of the data, its rows in their order, with their index. A cluster is named by its kept document, whose witness
        and similarity are missing.

    Raises
    ------
    ParameterError
        If a column of such a name is there already.

    Examples
    --------
    >>> import polars as pl
    >>> annotate(pl.Series(["a b", "A, B!"])).to_dicts()[1]
    {'kept': False, 'cluster': 0, 'witness': 0, 'similarity': 1.0}
    """
    data = _held(data)
    names = [prefix + name for name in COLUMNS]
    there = [name for name in names if name in getattr(data, "columns", ()) or name in getattr(data, "column_names", ())]
    if there:
        raise ParameterError(f"column {there[0]!r} is there already; give prefix= for the new ones, or drop it")
    result = _decided(data, text, options if id is None else {**options, "id": id})
    if is_of(data, "pandas", "Series", "DataFrame"):
        return _with_pandas(data, result, names, labels=id is None and not result.names_older)
    columns = [result.annotations()[name] for name in COLUMNS]
    if is_of(data, "polars", "Series", "DataFrame"):
        polars = sys.modules["polars"]
        new = [polars.from_arrow(column).alias(name) for column, name in zip(columns, names, strict=True)]
        return data.with_columns(new) if is_of(data, "polars", "DataFrame") else polars.DataFrame(new)
    import pyarrow as pa

    if not is_of(data, "pyarrow", "Table", "RecordBatch"):
        return pa.table(dict(zip(names, columns, strict=True)))
    table = pa.table(data)
    for name, column in zip(names, columns, strict=True):
        table = table.append_column(name, column)
    return table


def _decided(data: Any, text: str | None, options: dict[str, Any]) -> Result:
    return deduplicate(data, **options) if text is None else deduplicate(data, text=text, **options)


def _held(data: Any) -> Any:
    """Data as they are, or as Arrow where they are a stream, which may be read once."""
    known = is_of(data, "pandas", "Series", "DataFrame") or is_of(data, "polars", "Series", "DataFrame")
    if known or not hasattr(data, "__arrow_c_stream__"):
        return data
    import pyarrow as pa

    try:
        return pa.table(data)
    except (TypeError, pa.ArrowInvalid):  # a column
        return pa.chunked_array(data)


def _with_pandas(data: Any, result: Result, names: list[str], *, labels: bool) -> Any:
    """The columns beside a frame, or alone, by the labels of its index or by ids."""
    pandas = sys.modules["pandas"]
    kept, index = result.decisions.kept, data.index
    if labels:
        flat = index.to_flat_index()
        witness = np.where(kept, np.arange(len(kept)), result.decisions.witness)
        cluster = pandas.Series(flat.take(witness), index)
    else:
        cluster = pandas.Series(result.annotations()["cluster"].to_pandas().to_numpy(), index)
    if pandas.api.types.is_integer_dtype(cluster.dtype):
        cluster = cluster.astype("Int64")  # which has missing values
    similarity = pandas.Series(np.where(kept, np.nan, result.decisions.similarity), index)
    columns = dict(zip(names, (pandas.Series(kept, index), cluster, cluster.mask(kept), similarity), strict=True))
    return data.assign(**columns) if is_of(data, "pandas", "DataFrame") else pandas.DataFrame(columns, index)
