"""Documents as people have them: lists, Arrow, pandas, polars, Hugging Face datasets and files as batches of ids and texts.

Arrow, pandas and the rest are imported where they are met, so that this module is light.
"""

from __future__ import annotations

import json
import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup.errors import DuplicateIdError, InputError, ParameterError, check_integer, kind

if TYPE_CHECKING:
    import pyarrow as pa

Id = str | int
Mask = npt.NDArray[np.bool_]
#: Says which of the next n documents are meant.
Take = Callable[[int], Mask]

#: About the most text in a batch.
BATCH_BYTES = 32 << 20
#: Column names that hold the text, the likeliest first.
TEXT_NAMES = ("text", "content", "body", "document", "raw_content", "article", "abstract", "description", "title")
#: Column names that hold the id, the likeliest first.
ID_NAMES = ("id", "doc_id", "document_id", "docid", "uuid", "guid", "url")
#: Kinds of columns that may hold texts; an empty column is of type null, a mixed one of pandas is an object.
TEXTUAL = ("string", "null", "object")


@dataclass(frozen=True, slots=True, eq=False)
class Utf8:
    """A column of texts read in place: text i is ``data[offsets[i]:offsets[i + 1]]``, UTF-8.

    Examples
    --------
    >>> column = Utf8(np.frombuffer("aßb".encode(), np.uint8), np.array([0, 1, 4], np.uint64))
    >>> len(column), column.to_list(), column[1:].to_list()
    (2, ['a', 'ßb'], ['ßb'])
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, part: slice) -> Utf8:
        start, stop, _ = part.indices(len(self))
        return Utf8(self.data, self.offsets[start : stop + 1])

    def to_list(self) -> list[str]:
        """The texts as strings; bytes that are not UTF-8 become lone surrogates."""
        ends = (self.offsets - self.offsets[0]).tolist()
        data = self.data[self.offsets[0] : self.offsets[-1]].tobytes()
        return [data[a:b].decode("utf-8", "surrogateescape") for a, b in zip(ends, ends[1:], strict=False)]


def as_texts(texts: Iterable[Any]) -> list[str] | Utf8:
    """A list as it is; an Arrow column in place; any other iterable as a list.

    Arrow strings are not copied, unless they are views, dictionaries or in several chunks. A null is a document without
    text, and so are None and NaN in pandas. What is not a string stays in a list for the kernel to refuse.

    Raises
    ------
    TypeError
        If an Arrow column is not of strings, or a pandas column holds something else.

    Examples
    --------
    >>> import pyarrow as pa
    >>> as_texts(pa.array(["one", None, "two"])[1:]).to_list()
    ['', 'two']
    >>> as_texts(name for name in ("a", "b"))
    ['a', 'b']
    """
    if isinstance(texts, Utf8):
        return texts
    column = _column(texts)
    return column if isinstance(column, list) else _utf8(column)


def strings(texts: list[str] | Utf8) -> list[str]:
    """The texts of a batch as strings."""
    return texts.to_list() if isinstance(texts, Utf8) else texts


def text_lengths(texts: list[str] | Utf8) -> npt.NDArray[np.int64]:
    """The number of characters (code points) of each text.

    Examples
    --------
    >>> text_lengths(["aßb", ""]).tolist()
    [3, 0]
    """
    if isinstance(texts, list):
        return np.fromiter(map(len, texts), np.int64, len(texts))
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    column = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(texts.offsets), pa.py_buffer(texts.data))
    lengths: npt.NDArray[np.int64] = pc.utf8_length(column).to_numpy()
    return lengths


def _is(value: object, module: str, *names: str) -> bool:
    """Whether a value is of one of these classes, without importing their module."""
    loaded = sys.modules.get(module)
    return isinstance(value, tuple(getattr(loaded, name) for name in names if hasattr(loaded, name)))


def _column(texts: Iterable[Any]) -> list[Any] | pa.Array | pa.ChunkedArray:
    """One column of anything: a list, or Arrow."""
    if isinstance(texts, list):
        return texts
    if isinstance(texts, np.ndarray):
        return list(texts.tolist())
    if _is(texts, "pandas", "Series"):
        return _pandas_column(texts)
    if _is(texts, "datasets", "Column") and _is(getattr(texts, "source", None), "datasets", "Dataset"):
        data: Any = texts
        return data.source.select_columns([data.column_name]).with_format("arrow")[:][data.column_name]
    arrow = _arrow(texts)
    if _is(arrow, "pyarrow", "Table"):
        raise TypeError(f"texts is a {kind(texts)}; name one of its columns: texts['text']")
    return list(texts) if arrow is None else arrow


def _pandas_column(series: Any) -> list[Any] | pa.Array | pa.ChunkedArray:
    if series.dtype != object:
        import pyarrow as pa  # noqa: PLC0415

        try:
            return pa.array(series)
        except UnicodeEncodeError:  # a lone surrogate, which Arrow cannot hold
            pass
    values = series.to_numpy(object, copy=True)
    values[series.isna().to_numpy()] = ""
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(f"row {series.index[i]} is of type {kind(value)}; texts are strings")
    return list(values.tolist())


def _arrow(values: Any) -> pa.Array | pa.ChunkedArray | pa.Table | None:
    """What speaks Arrow, as Arrow."""
    if _is(values, "polars", "Series", "DataFrame"):
        return values.to_arrow()
    if not hasattr(values, "__arrow_c_stream__") and not hasattr(values, "__arrow_c_array__"):
        return None
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(values, pa.Array | pa.ChunkedArray | pa.Table):
        return values
    if isinstance(values, pa.RecordBatch):
        return pa.Table.from_batches([values])
    if not hasattr(values, "__arrow_c_stream__"):
        return pa.array(values)
    column = pa.chunked_array(values)
    if not pa.types.is_struct(column.type):
        return column
    return pa.Table.from_batches(map(pa.RecordBatch.from_struct_array, column.chunks), pa.schema(list(column.type)))


def _arrow_kind(arrow_type: pa.DataType) -> str:
    """The name of a type, all kinds of strings being one."""
    import pyarrow as pa  # noqa: PLC0415

    value_type = arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type
    return "string" if str(value_type) in ("string", "large_string", "string_view") else str(arrow_type)


def _check_strings(column: pa.Array | pa.ChunkedArray) -> None:
    if _arrow_kind(column.type) not in TEXTUAL:
        raise TypeError(f"a column of type {column.type}; texts are a string column")


def _utf8(column: pa.Array | pa.ChunkedArray) -> Utf8:
    import pyarrow as pa  # noqa: PLC0415

    _check_strings(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.cast(pa.large_string()).combine_chunks()
    if column.type not in (pa.string(), pa.large_string()):
        column = column.cast(pa.large_string())
    if not len(column):
        return Utf8(np.empty(0, np.uint8), np.zeros(1, np.uint64))
    offsets = _offsets(column)
    if column.null_count and np.diff(offsets)[column.is_null().to_numpy(zero_copy_only=False)].any():
        column = column.fill_null("")  # what a null spans is not text
        offsets = _offsets(column)
    data = column.buffers()[2]
    return Utf8(np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8), offsets.astype(np.uint64, copy=False))


def _offsets(column: pa.Array) -> npt.NDArray[Any]:
    width = np.int64 if str(column.type) == "large_string" else np.int32
    return np.frombuffer(column.buffers()[1], width)[column.offset : column.offset + len(column) + 1]


class Batch(NamedTuple):
    """Some documents: their ids, their texts, and the characters in each text."""

    ids: list[Id]
    texts: list[str] | Utf8
    lengths: npt.NDArray[np.int64]


def bounded(batch: Batch) -> Iterator[Batch]:
    """A batch in parts of about ``BATCH_BYTES`` of text, each at least one document."""
    texts = batch.texts
    ends = np.diff(texts.offsets).astype(np.int64).cumsum() if isinstance(texts, Utf8) else batch.lengths.cumsum()
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, "right")))
        yield Batch(batch.ids[start:stop], texts[start:stop], batch.lengths[start:stop])
        start = stop


def everything(n: int) -> Mask:
    """All of the next n documents."""
    return np.ones(n, bool)


def json_line(record: dict[str, Any]) -> bytes:
    """A record as a line of JSON; what JSON has no word for becomes a string, and a number that is not finite null.

    Examples
    --------
    >>> json_line({"id": 1, "text": "naïve", "score": float("nan")}).decode()
    '{"id": 1, "text": "naïve", "score": null}\\n'
    """
    try:
        line = json.dumps(record, ensure_ascii=False, default=str, allow_nan=False).encode()
    except UnicodeEncodeError:  # a lone surrogate
        line = json.dumps(record, default=str).encode()
    except ValueError:
        return json_line(_finite(record))
    return line + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


class Documents(ABC):
    """Documents that can be read again and again.

    Attributes
    ----------
    description
        For people.
    total
        How many, when that is known without reading.
    guessed
        What had to be guessed, a message each.
    bytes_total, bytes_done
        How many bytes there are to read and how many are read, for progress; of files only.
    """

    description: str
    total: int | None = None
    guessed: Sequence[str] = ()
    bytes_total: int | None = None
    bytes_done: int = 0

    @property
    def positional(self) -> bool:
        """Whether ids are positions, and so without repeats."""
        return True

    def batches(self, size: int = 4096) -> Iterator[Batch]:
        """The documents in order, at most ``size`` and about 32 MB of text at a time.

        Raises
        ------
        DuplicateIdError
            If an id occurs twice.
        InputError
            If something cannot be read.
        """
        check_integer("size", size, 1, 2**31 - 1)
        seen: set[Id] = set()
        n = 0
        for batch in self.read_batches(size):
            n += len(batch.ids)
            if not self.positional:
                seen.update(batch.ids)
                if len(seen) < n:
                    raise self._duplicate(size)
            yield from bounded(batch)

    def _duplicate(self, size: int) -> DuplicateIdError:
        first: dict[Id, int] = {}
        ids = (id for batch in self.read_batches(size) for id in batch.ids)
        for i, id in enumerate(ids):
            if first.setdefault(id, i) != i:
                break
        return DuplicateIdError(f"id {id!r} is document {first[id]} and again document {i}; ids are unique: choose another column, or none")

    @abstractmethod
    def read_batches(self, size: int) -> Iterator[Batch]:
        """The documents in order, ids unchecked."""

    @abstractmethod
    def records(self, take: Take) -> Iterator[list[dict[str, Any]]]:
        """The documents that ``take`` says as records with all their columns, some at a time."""

    def lines(self, take: Take) -> Iterator[bytes]:
        """The same as lines of JSON."""
        for records in self.records(take):
            yield from map(json_line, records)

    def tables(self, take: Take) -> Iterator[pa.Table]:
        """The same as Arrow tables."""
        import pyarrow as pa  # noqa: PLC0415

        for records in self.records(take):
            names = dict.fromkeys(name for record in records for name in record)
            yield pa.table({name: pa.array([record.get(name) for record in records]) for name in names})

    def schemas(self) -> Iterator[pa.Schema]:
        """The schemas that the tables of all documents may have."""
        return (table.schema for table in self.tables(everything))

    def write(self, path: str | os.PathLike[str], kept: Mask) -> None:
        """Write the kept documents in order, with all their columns, in the format of the path's name.

        Parameters
        ----------
        path
            ``.jsonl`` (lines that came from JSONL are kept byte for byte), ``.csv``, ``.tsv``, ``.parquet`` or ``.arrow``;
            or a new folder, into which text files are copied. An existing file stays until the new one is complete.
        kept
            Whether each document is kept.

        Raises
        ------
        ParameterError
            If the format is unknown, the path is one of the inputs, or ``kept`` does not fit.
        InputError
            If the path cannot be written, or the documents do not fit its format.
        """
        from neardup import files  # noqa: PLC0415

        files.write(self, path, kept)


class Texts(Documents):
    """Texts without anything else: a list, or an Arrow column. Ids are positions."""

    def __init__(self, texts: Iterable[Any]) -> None:
        column = _column(texts)
        if not isinstance(column, list):
            _check_strings(column)
        for i, text in enumerate(column if isinstance(column, list) else ()):
            if not isinstance(text, str):
                raise TypeError(f"text {i} is of type {kind(text)}; a text is a str")
        self.column: Any = column
        self.total: int = len(column)
        self.description = f"{kind(texts)} of {self.total:,} texts"

    def _parts(self, size: int) -> Iterator[tuple[int, Any]]:
        return ((start, self.column[start : start + size]) for start in range(0, self.total, size))

    def read_batches(self, size: int) -> Iterator[Batch]:
        """The texts in order."""
        for start, part in self._parts(size):
            texts = as_texts(part)
            yield Batch(list(range(start, start + len(part))), texts, text_lengths(texts))

    def records(self, take: Take) -> Iterator[list[dict[str, Any]]]:
        """Records with ``id`` and ``text``."""
        for start, part in self._parts(4096):
            texts = part if isinstance(part, list) else part.to_pylist()
            yield [{"id": start + i, "text": texts[i]} for i in np.flatnonzero(take(len(part))).tolist()]

    def schemas(self) -> Iterator[pa.Schema]:
        """``id`` and ``text``."""
        import pyarrow as pa  # noqa: PLC0415

        yield pa.schema([("id", pa.int64()), ("text", pa.string())])


class Columns(Documents):
    """Documents whose rows have named columns, one of which is the text, and perhaps one the id.

    Parameters
    ----------
    columns
        The kind of each column by name.
    text
        The name of the text column; guessed when None.
    where
        Put before messages, to say which file.
    """

    def __init__(self, columns: Mapping[str, str], text: str | None, where: str = "") -> None:
        self.columns = columns
        self.where = where
        #: When there are several files, the name of this one; rows without an id column are then named by it.
        self.prefix: str | None = None
        self.id: str | None = None
        self.text = text
        if not columns:
            return
        if text is None:
            self.text = self._guess_text()
            self.guessed = [f"text column {self.text!r} (guessed; --text NAME chooses another)"]
        elif columns[self.named(text)] not in TEXTUAL:
            raise InputError(f"{where}column {text!r} is of type {columns[text]}; texts are a string column")

    def named(self, name: str) -> str:
        """The name of a column that is there."""
        if self.columns and name not in self.columns:
            raise InputError(f"{self.where}no column {name!r}; the columns are {', '.join(map(repr, self.columns))}")
        return name

    def _guess_text(self) -> str:
        textual = [name for name, type_name in self.columns.items() if type_name in TEXTUAL]
        known = first_of(TEXT_NAMES, textual)
        if known is not None:
            return known
        sole = [name for name in textual if self.columns[name] == "string" and name.lower() not in ID_NAMES]
        if len(sole) == 1:
            return sole[0]
        raise InputError(f"{self.where}no column is obviously the text; name it (text=, --text): {', '.join(map(repr, self.columns))}")

    @property
    def positional(self) -> bool:
        """Whether there is no column of ids."""
        return self.id is None and self.prefix is None

    @abstractmethod
    def ids(self, name: str) -> Iterator[list[Id]]:
        """The ids in a column, some at a time."""

    def numbered(self, numbers: Sequence[int]) -> list[Id]:
        """The ids of rows without an id column, of their numbers from 1."""
        return [n - 1 for n in numbers] if self.prefix is None else [f"{self.prefix}:{n}" for n in numbers]

    def checked(self, values: list[Any], numbers: Sequence[int]) -> list[Id]:
        """Ids that are all strings or integers."""
        if not set(map(type, values)) <= {str, int}:
            for number, value in zip(numbers, values, strict=True):
                if not isinstance(value, str | int) or isinstance(value, bool):
                    raise InputError(f"{self.where}the id in row {number} is {value!r}; an id is a string or an integer")
        return values


def first_of(names: Iterable[str], columns: Iterable[str]) -> str | None:
    """The first of some well-known names that there is, in any case of letters."""
    present = {column.lower(): column for column in reversed(list(columns))}
    return next((present[name] for name in names if name in present), None)


def choose_ids(sources: Sequence[Columns], id: str | None) -> list[str]:
    """Choose the column of ids for sources that are read one after another, and say so when it was guessed.

    A guessed column must be in all of them, complete and without repeats.
    """
    sources = [source for source in sources if source.columns]
    name = id
    if id is None and sources:
        shared = [name for name in sources[0].columns if all(name in source.columns for source in sources)]
        name = first_of(ID_NAMES, shared)
        if name is None or not _identifies(name, sources):
            return []
    for source in sources:
        source.id = None if name is None else source.named(name)
    return [f"id column {name!r} (guessed; --id NAME chooses another)"] if id is None and sources else []


def _identifies(name: str, sources: Sequence[Columns]) -> bool:
    seen: set[Id] = set()
    n = 0
    try:
        for ids in (ids for source in sources for ids in source.ids(name)):
            seen.update(ids)
            n += len(ids)
            if len(seen) < n:
                return False
    except InputError:
        return False
    return True


class Rows(Columns):
    """Documents that are rows of a table."""

    @abstractmethod
    def slices(self, names: list[str] | None, size: int) -> Iterator[Any]:
        """These columns, or all, of at most ``size`` rows at a time: tables or data frames."""

    def ids(self, name: str) -> Iterator[list[Id]]:
        """The ids in a column, some at a time."""
        start = 1
        for part in self.slices([name], 65536):
            yield self._ids(part[name], range(start, start + len(part)))
            start += len(part)

    def _ids(self, column: Any, numbers: range) -> list[Id]:
        return self.checked(column.tolist() if hasattr(column, "tolist") else column.to_pylist(), numbers)

    def read_batches(self, size: int) -> Iterator[Batch]:
        """The rows in order."""
        start = 1
        names = [name for name in dict.fromkeys((self.text, self.id)) if name is not None]
        for part in self.slices(names, size):
            numbers = range(start, start + len(part))
            texts = as_texts(part[self.text])
            ids = self.numbered(numbers) if self.id is None else self._ids(part[self.id], numbers)
            yield Batch(ids, texts, text_lengths(texts))
            start += len(part)

    def tables(self, take: Take) -> Iterator[pa.Table]:
        """The rows as Arrow tables."""
        return (part.filter(take(len(part))) for part in self.slices(None, 4096))

    def records(self, take: Take) -> Iterator[list[dict[str, Any]]]:
        """The rows as records."""
        return (table.to_pylist() for table in self.tables(take))


class Table(Rows):
    """The rows of an Arrow table."""

    def __init__(self, table: pa.Table, text: str | None) -> None:
        super().__init__({field.name: _arrow_kind(field.type) for field in table.schema}, text)
        self.table = table

    def slices(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:
        """Rows in place."""
        table = self.table if names is None else self.table.select(names)
        return (table.from_batches([batch]) for batch in table.to_batches(max_chunksize=size))

    def schemas(self) -> Iterator[pa.Schema]:
        """The table's own."""
        yield self.table.schema


class Frame(Rows):
    """The rows of a pandas data frame."""

    def __init__(self, frame: Any, text: str | None) -> None:
        super().__init__({str(name): _pandas_kind(frame[name]) for name in frame.columns}, text)
        self.frame = frame

    def slices(self, names: list[str] | None, size: int) -> Iterator[Any]:
        """Rows as data frames."""
        frame = self.frame if names is None else self.frame[names]
        return (frame.iloc[start : start + size] for start in range(0, len(frame), size))

    def tables(self, take: Take) -> Iterator[pa.Table]:
        """All rows at once, so that each column has one type; an index is a column unless it merely counts."""
        import pyarrow as pa  # noqa: PLC0415

        frame = self.frame[take(len(self.frame))]
        yield pa.Table.from_pandas(frame, preserve_index=not _is(self.frame.index, "pandas", "RangeIndex"))


def _pandas_kind(series: Any) -> str:
    if series.dtype == object:
        infer: Any = sys.modules["pandas"].api.types.infer_dtype
        return "string" if infer(series) == "string" else "object"
    import pyarrow as pa  # noqa: PLC0415

    return _arrow_kind(pa.array(series[:0]).type)


class Dataset(Rows):
    """The rows of a Hugging Face dataset, which need not fit into memory."""

    def __init__(self, dataset: Any, text: str | None) -> None:
        self.schema = dataset.features.arrow_schema
        super().__init__({field.name: _arrow_kind(field.type) for field in self.schema}, text)
        self.dataset = dataset.with_format("arrow")

    def slices(self, names: list[str] | None, size: int) -> Iterator[pa.Table]:
        """Rows from the dataset's own files."""
        dataset = self.dataset if names is None else self.dataset.select_columns(names)
        return iter(dataset.iter(batch_size=size))

    def schemas(self) -> Iterator[pa.Schema]:
        """The dataset's own."""
        yield self.schema


def read(source: Any, *, text: str | None = None, id: str | None = None, glob: str | None = None) -> Documents:
    """Documents as people have them.

    Parameters
    ----------
    source
        A list or other iterable of strings; an Arrow, pandas or polars column or table; a Hugging Face dataset; or files: a
        path (a string or ``Path``), or a list of ``Path``. A list of strings is a list of texts, never of paths.
    text, id
        The columns of a table or file that hold the text and the id; guessed when obvious. Without an id column ids are
        positions.
    glob
        Which files of a folder are read.

    Raises
    ------
    InputError
        If a file or column cannot be read.
    ParameterError
        If a column or ``glob`` is named where there is none.
    TypeError
        If the source is of another type, or a text not a string.

    Examples
    --------
    >>> documents = read(["one", "two"])
    >>> documents.description, [batch.ids for batch in documents.batches()]
    ('list of 2 texts', [[0, 1]])
    >>> import pyarrow as pa
    >>> read(pa.table({"id": ["a", "b"], "body": ["one", "two"]})).guessed
    ["text column 'body' (guessed; --text NAME chooses another)", "id column 'id' (guessed; --id NAME chooses another)"]
    """
    if isinstance(source, Documents):
        return source
    if isinstance(source, str) and source != "-" and not os.path.exists(source):
        raise InputError(f"no file or folder {_excerpt(source)}; a single text goes in a list: [text]")
    if isinstance(source, str | os.PathLike) or (isinstance(source, list | tuple) and source and all(isinstance(p, os.PathLike) for p in source)):
        from neardup.files import FileDocuments  # noqa: PLC0415

        return FileDocuments(source, text=text, id=id, glob=glob)
    if glob is not None:
        raise ParameterError(f"glob is {glob!r} but the source is a {kind(source)}; it chooses among the files of a folder")
    rows = _rows(source, text)
    if rows is not None:
        rows.guessed = [*rows.guessed, *choose_ids([rows], id)]
        rows.total = len(source)
        rows.description = f"{kind(source)} of {rows.total:,} rows"
        return rows
    if text is not None or id is not None:
        raise ParameterError(f"text is {text!r} and id is {id!r}, but a {kind(source)} has no columns; leave them out, or give a table")
    if isinstance(source, bytes | bytearray | Mapping | Set) or not isinstance(source, Iterable):
        raise TypeError(
            f"the source is a {kind(source)}; it is a list or other ordered iterable of strings, an Arrow, pandas or polars column or table, "
            "a Hugging Face dataset, or the path of a file or folder"
        )
    return Texts(source)


def _excerpt(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:60] + "...")  # noqa: PLR2004


def _rows(source: Any, text: str | None) -> Rows | None:
    if _is(source, "pandas", "DataFrame"):
        return Frame(source, text)
    if _is(source, "datasets", "Dataset"):
        return Dataset(source, text)
    arrow = _arrow(source)
    return Table(arrow, text) if _is(arrow, "pyarrow", "Table") else None
