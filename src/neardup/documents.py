"""Documents as people have them: lists, Arrow, pandas, polars, Hugging Face datasets and files as batches of ids and texts.

Arrow, pandas and the rest are imported where they are met, so that this module is light.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import DuplicateIdError, InputError, ParameterError, check_integer, kind, listed, plain
from neardup.ids import Id, Mask, Repeats, first_repeat

if TYPE_CHECKING:
    import pyarrow as pa

#: Says which of the next n documents are taken.
Take = Callable[[int], Mask]
#: Some documents with all their columns: a table, records, or lines of JSONL as they came.
Chunk: TypeAlias = "pa.Table | list[dict[str, Any]] | list[bytes]"

#: About the most text in a batch.
BATCH_BYTES = 32 << 20
#: Column names that tell the text and the id, the likeliest first.
TEXT_NAMES = ("text", "content", "body", "document", "raw_content", "article", "abstract", "description", "title")
ID_NAMES = ("id", "doc_id", "document_id", "docid", "uuid", "guid", "url")
#: Bytes of a text that an Arrow string view holds itself.
INLINE = 12
#: Kinds of columns that may hold texts. One without values has the type null; one of pandas may be mixed, an object.
TEXTUAL = ("string", "null", "object")


# ---- one column of texts -----------------------------------------------------------------------------------------------


class Utf8:
    """A column of texts read in place: text i is ``buffers[which[i]][starts[i]:stops[i]]``, UTF-8.

    Examples
    --------
    >>> column = Utf8.of(np.frombuffer("aßb".encode(), np.uint8), np.array([0, 1, 4], np.uint64))
    >>> len(column), column.to_list(), column[1:].to_list()
    (2, ['a', 'ßb'], ['ßb'])
    """

    __slots__ = ("buffers", "starts", "stops", "which")

    def __init__(
        self,
        buffers: list[npt.NDArray[np.uint8]],
        which: npt.NDArray[np.uint32],
        starts: npt.NDArray[np.uint64],
        stops: npt.NDArray[np.uint64],
    ) -> None:
        self.buffers = buffers
        self.which = which
        self.starts = starts
        self.stops = stops

    @classmethod
    def of(cls, data: npt.NDArray[np.uint8], offsets: npt.NDArray[Any]) -> Utf8:
        """Texts one after another: text i is ``data[offsets[i]:offsets[i + 1]]``."""
        ends = offsets.astype(np.uint64)
        return cls([data], np.zeros(len(ends) - 1, np.uint32), ends[:-1], ends[1:])

    @classmethod
    def joined(cls, columns: Sequence[Utf8]) -> Utf8:
        """Several columns as one."""
        if len(columns) == 1:
            return columns[0]
        before = np.cumsum([0, *(len(column.buffers) for column in columns)]).astype(np.uint32)
        return cls(
            [buffer for column in columns for buffer in column.buffers],
            np.concatenate([np.empty(0, np.uint32), *(column.which + first for column, first in zip(columns, before, strict=False))]),
            np.concatenate([np.empty(0, np.uint64), *(column.starts for column in columns)]),
            np.concatenate([np.empty(0, np.uint64), *(column.stops for column in columns)]),
        )

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, part: slice) -> Utf8:
        return Utf8(self.buffers, self.which[part], self.starts[part], self.stops[part])

    @property
    def spans(self) -> tuple[list[npt.NDArray[np.uint8]], npt.NDArray[np.uint32], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """What a kernel takes."""
        return self.buffers, self.which, self.starts, self.stops

    def to_list(self) -> list[str]:
        """The texts as strings; bytes that are not UTF-8 become lone surrogates."""
        spans = zip(self.which.tolist(), self.starts.tolist(), self.stops.tolist(), strict=True)
        return [self.buffers[b][start:stop].tobytes().decode("utf-8", "surrogateescape") for b, start, stop in spans]


def as_texts(texts: Iterable[Any] | Utf8) -> list[str] | Utf8:
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


def one_by_one(texts: Iterable[Any] | Utf8) -> Iterator[Any]:
    """The texts of a column as :func:`as_texts` has them; what is no column is read as it is asked for.

    Examples
    --------
    >>> import pyarrow as pa
    >>> list(one_by_one(pa.array(["one", None])))
    ['one', '']
    """
    if isinstance(texts, str):
        raise TypeError("texts is one str; it is an iterable of texts: [text]")
    known = is_of(texts, "pyarrow", "Array", "ChunkedArray") or is_of(texts, "pandas", "Series")
    if known or isinstance(texts, Utf8) or hasattr(texts, "__arrow_c_stream__") or hasattr(texts, "columns"):
        return iter(strings(as_texts(texts)))
    return iter(texts)


def text_lengths(texts: list[str] | Utf8) -> npt.NDArray[np.int64]:
    """The number of characters (code points) of each text.

    Examples
    --------
    >>> text_lengths(["aßb", ""]).tolist()
    [3, 0]
    """
    if isinstance(texts, list):
        return np.fromiter(map(len, texts), np.int64, len(texts))
    return _kernels.span_lengths(*texts.spans)


def is_of(value: object, module: str, *names: str) -> bool:
    """Whether a value is of one of these classes, without importing their module."""
    loaded = sys.modules.get(module)
    return isinstance(value, tuple(getattr(loaded, name) for name in names if hasattr(loaded, name)))


def is_missing(value: Any) -> bool:
    """Whether a value stands for none, in Python, numpy or pandas.

    Examples
    --------
    >>> is_missing(None), is_missing(float("nan")), is_missing("nan")
    (True, True, False)
    """
    return kind(value) in ("NoneType", "NaTType", "NAType") or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _column(texts: Iterable[Any]) -> list[Any] | pa.Array | pa.ChunkedArray:
    """A list or an Arrow column of anything that is one column."""
    if isinstance(texts, list) or is_of(texts, "pyarrow", "Array", "ChunkedArray"):
        return texts
    data: Any = texts
    if isinstance(texts, np.ndarray):
        return list(texts.tolist())
    if is_of(texts, "polars", "Series"):
        return data.to_arrow()
    if is_of(texts, "pandas", "Series"):
        return _pandas_column(texts)
    if is_of(texts, "datasets", "Column") and is_of(data.source, "datasets", "Dataset"):
        return data.source.select_columns([data.column_name]).with_format("arrow")[:][data.column_name]
    if hasattr(texts, "__arrow_c_stream__") and not hasattr(texts, "columns"):
        import pyarrow as pa

        return pa.chunked_array(texts)
    if hasattr(texts, "columns"):
        raise TypeError(f"texts is a {kind(texts)}; name one of its columns: texts['text']")
    return list(texts)


def _pandas_column(series: Any) -> list[Any] | pa.Array | pa.ChunkedArray:
    if series.dtype != object:
        import pyarrow as pa

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


def _arrow_kind(arrow_type: pa.DataType) -> str:
    """The name of a type, all kinds of strings being one."""
    value_type = arrow_type.value_type if str(arrow_type).startswith("dictionary") else arrow_type
    name = str(value_type)
    return "string" if name in ("string", "large_string", "string_view") else name


def _utf8(column: pa.Array | pa.ChunkedArray) -> Utf8:
    import pyarrow as pa

    if _arrow_kind(column.type) not in TEXTUAL:
        raise TypeError(f"a column of type {plain(column.type)}; texts are a string column")
    if pa.types.is_dictionary(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.large_string())
    return Utf8.joined([_spans(chunk) for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])])


def _spans(column: pa.Array) -> Utf8:
    """One chunk of an Arrow column of strings, whatever its layout."""
    first, stop = column.offset, column.offset + len(column)
    _, *places = (np.frombuffer(buffer or b"", np.uint8) for buffer in column.buffers())
    if str(column.type) == "string_view":
        spans = _view_spans(places[0], places[1:], first, stop)
    else:
        offsets = _words(places[0], 8 if str(column.type) == "large_string" else 4)
        spans = Utf8.of(places[1], offsets[first : stop + 1] if len(column) else np.zeros(1, np.int64))
    if column.null_count:  # what a null spans is not text
        null = column.is_null().to_numpy(zero_copy_only=False)
        spans = Utf8(spans.buffers, spans.which, np.where(null, 0, spans.starts), np.where(null, 0, spans.stops))
    return spans


def _words(buffer: npt.NDArray[np.uint8], width: int) -> npt.NDArray[Any]:
    """A buffer as integers of so many bytes, or rows of four; one may be longer than what it holds by any number of bytes."""
    whole = buffer[: len(buffer) // width * width]
    return whole.view(np.int32).reshape(-1, 4) if width == 16 else whole.view(f"i{width}")


def _view_spans(views: npt.NDArray[np.uint8], buffers: list[npt.NDArray[np.uint8]], first: int, stop: int) -> Utf8:
    """The spans of string views: up to 12 bytes stand in the view itself, longer texts in a buffer that it names."""
    fields = _words(views, 16)[first:stop]
    size = fields[:, 0].astype(np.uint64)
    inline = size <= INLINE
    starts = np.where(inline, np.arange(first, stop, dtype=np.uint64) * 16 + 4, fields[:, 3].astype(np.uint64))
    which = np.where(inline, 0, fields[:, 2] + 1).astype(np.uint32)
    return Utf8([views, *buffers], which, starts, starts + size)


# ---- documents ---------------------------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """Some documents: their ids, their texts, the characters in each text, and the columns that were asked for.

    Whether these are ``untyped``, cells that are text whatever they say, as those of CSV.
    """

    ids: list[Id]
    texts: list[str] | Utf8
    lengths: npt.NDArray[np.int64]
    columns: Sequence[Any] = ()
    untyped: bool = False

    def cut(self, start: int, stop: int) -> Batch:
        """The documents from one place to another."""
        columns = [getattr(column, "iloc", column)[start:stop] for column in self.columns]  # a Series itself goes by its labels
        return Batch(self.ids[start:stop], self.texts[start:stop], self.lengths[start:stop], columns, self.untyped)

    def parts(self, most: int, least: int = 1) -> Iterator[Batch]:
        """Itself in parts of at most so many bytes of text, or so few documents."""
        ends = self.lengths if isinstance(self.texts, list) else (self.texts.stops - self.texts.starts).astype(np.int64)
        ends = np.cumsum(ends)
        start = 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            stop = max(start + least, int(np.searchsorted(ends, before + most, "right")))
            yield self.cut(start, stop)
            start = stop


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
    schema
        The Arrow schema of all chunks, when that is known without reading.
    """

    description: str
    total: int | None = None
    guessed: Sequence[str] = ()
    bytes_total: int | None = None
    bytes_done: int = 0
    schema: pa.Schema | None = None
    #: Whether documents that cannot be read are skipped.
    skips: bool = False

    @property
    def positional(self) -> bool:
        """Whether ids are positions, and so without repeats."""
        return True

    @property
    def left_out(self) -> int:
        """How many documents were left out since they could not be read."""
        return 0

    @property
    def skipped(self) -> list[str]:
        """Why documents were left out, the first ones of each file."""
        return []

    @property
    def undecoded(self) -> list[str]:
        """The files, of those read so far, that are not UTF-8 or have NUL bytes in them."""
        return []

    def shares(self, other: Documents) -> str | None:
        """The name of a file that another corpus reads too."""
        return self.description if other is self else None

    def state(self) -> list[Any]:
        """What tells whether the documents have changed since. ParameterError where nothing does."""
        raise ParameterError(f"a {self.description} cannot be compared with that of an interrupted run; work= is for files")

    def batches(self, size: int = 4096, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """The documents in order, at most ``size`` and about 32 MB of text at a time, with the values in some columns.

        Raises
        ------
        DuplicateIdError
            If an id occurs twice; documents may have come until it is found.
        InputError
            If something cannot be read.
        """
        check_integer("size", size, 1, 2**31 - 1)
        repeats = Repeats()
        for batch in self.read(size, columns):
            if not self.positional and repeats.add(batch.ids):
                self._refuse_repeats(size)
            yield from batch.parts(BATCH_BYTES)
        if not self.positional and repeats.found():
            self._refuse_repeats(size)

    def _refuse_repeats(self, size: int) -> None:
        again = first_repeat(id for batch in self.read(size) for id in batch.ids)
        if again:
            id, first, i = again
            raise DuplicateIdError(f"id {id!r} is document {first} and again document {i}; ids do not repeat: choose another column")

    @abstractmethod
    def read(self, size: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """The documents in order, ids unchecked."""

    @abstractmethod
    def chunks(self, take: Take) -> Iterator[Chunk]:
        """The documents that ``take`` says, with all their columns."""

    def write(
        self, path: str | os.PathLike[str], kept: Mask, more: pa.Table | None = None, lines: Iterable[dict[str, Any]] | None = None
    ) -> None:
        """Write the kept documents in order, with all their columns, in the format of the path's name.

        Parameters
        ----------
        path
            ``.jsonl`` (lines that came from JSONL are kept byte for byte), ``.csv``, ``.tsv``, ``.parquet`` or ``.arrow``;
            or a new folder, into which text files are copied. An existing file stays until the new one is complete.
        kept
            Whether each document is kept.
        more
            Columns that are added, a row for each document.
        lines
            The same rows as records, which JSONL takes instead: what is of one type in a column need not be there.

        Raises
        ------
        ParameterError
            If the format is unknown, the path is one of the inputs, ``kept`` does not fit, or a column is there already.
        InputError
            If the path cannot be written, or the documents do not fit its format.
        """
        from neardup import writing

        writing.write(self, path, kept, more, lines)


def refuse_columns(columns: Sequence[str], description: str) -> None:
    """Refuse the names of columns where there are none."""
    if columns:
        raise ParameterError(
            f"column {columns[0]!r} is asked for, but a {description} has no columns; "
            "leave it out (keep='first', 'last' and 'longest' need none), or give a table or a data file"
        )


class Texts(Documents):
    """Texts without anything else: a list or an Arrow column. Ids are positions."""

    def __init__(self, texts: Iterable[Any]) -> None:
        self.column: Any = _column(texts)
        if isinstance(self.column, list):
            for i, text in enumerate(self.column):
                if not isinstance(text, str):
                    raise TypeError(f"text {i} is of type {kind(text)}; a text is a str")
        else:
            as_texts(self.column[:0])
        self.total: int = len(self.column)
        self.description = f"{kind(texts)} of {self.total:,} texts"

    def read(self, size: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """The texts in order."""
        refuse_columns(columns, self.description)
        for start in range(0, self.total, size):
            texts = as_texts(self.column[start : start + size])
            yield Batch(list(range(start, start + len(texts))), texts, text_lengths(texts))

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """Records with ``id`` and ``text``."""
        for start in range(0, self.total, 4096):
            part = self.column[start : start + 4096]
            texts = part if isinstance(part, list) else part.to_pylist()
            yield [{"id": start + i, "text": texts[i]} for i in np.flatnonzero(take(len(texts))).tolist()]


class Rows(Documents):
    """Documents whose rows have named columns, one of which is the text, and perhaps one the id.

    Parameters
    ----------
    columns
        The name and kind of each column.
    text
        The name of the text column; guessed when None.
    where
        Put before messages, to say which file.
    """

    #: What the numbers of rows count.
    unit = "row"
    #: Whether all columns are text, numbers too.
    untyped = False

    def __init__(self, columns: Iterable[tuple[str, str]], text: str | None, where: str = "") -> None:
        self.columns: dict[str, str] = {}
        for name, what in columns:
            if name in self.columns:
                raise InputError(f"{where}two columns are named {name!r}; rename one")
            self.columns[name] = what
        self.where = where
        self.id: str | None = None
        #: The name of this file among others; rows without an id column are then named by it.
        self.prefix: str | None = None
        self.text = text or ""
        if self.columns and text is None:
            self.text = self._obvious_text()
            self.guessed = [f"text column {self.text!r} (guessed; --text NAME chooses another)"]
        elif self.columns and self.column_kind(self.text) not in TEXTUAL:
            raise InputError(f"{where}column {text!r} is of type {plain(self.columns[self.text])}; texts are a string column")

    @property
    def positional(self) -> bool:
        """Whether there is no column of ids."""
        return self.id is None and self.prefix is None

    def column_kind(self, name: str) -> str:
        """What a column holds; refuse a name that is not there."""
        if name not in self.columns:
            raise InputError(f"{self.where}no column {name!r}; the columns are {listed(self.columns)}")
        return self.columns[name]

    def _obvious_text(self) -> str:
        textual = [name for name, what in self.columns.items() if what in TEXTUAL]
        known = _first(TEXT_NAMES, textual)
        if known is not None:
            return known
        others = [name for name in textual if self.columns[name] == "string" and name.lower() not in ID_NAMES]
        if len(others) != 1:
            elsewhere = "; in a folder, --glob chooses other files, --whole-files takes each for one text" if self.where else ""
            raise InputError(f"{self.where}no column is obviously the text; text= (--text) names one of {listed(self.columns)}{elsewhere}")
        return others[0]

    @abstractmethod
    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], Any]]:
        """These columns, or all, of at most ``size`` rows at a time: row numbers from 1, and what gives columns by name."""

    def ids(self, name: str) -> Iterator[list[Id]]:
        """The ids in a column, some at a time."""
        for numbers, rows in self.slices([name], 65536):
            yield self._ids(rows[name], numbers)

    def _ids(self, column: Any, numbers: Sequence[int]) -> list[Id]:
        try:
            values = column if isinstance(column, list) else column.to_pylist() if hasattr(column, "to_pylist") else column.tolist()
        except UnicodeDecodeError:
            raise
        except (OverflowError, ValueError):  # dates that Python has not
            raise InputError(f"{self.where}the ids are of type {plain(column.type)}; an id is a string or an integer") from None
        if not set(map(type, values)) <= {str, int}:
            for number, value in zip(numbers, values, strict=True):
                if type(value) not in (str, int):
                    raise InputError(f"{self.where}the id in {self.unit} {number} is {value!r}; an id is a string or an integer")
        return list(values)

    def read(self, size: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """The rows in order."""
        if self.columns:
            for name in columns:
                self.column_kind(name)
        names = list(dict.fromkeys((self.text, self.id or self.text, *columns)))
        done = 0
        for numbers, rows in self.slices(names, size):
            texts = as_texts(rows[self.text])
            ids: list[Id] = list(range(done, done + len(texts)))
            if self.id is not None:
                ids = self._ids(rows[self.id], numbers)
            elif self.prefix is not None:
                ids = [f"{self.prefix}:{number}" for number in numbers]
            yield Batch(ids, texts, text_lengths(texts), [rows[name] for name in columns], self.untyped)
            done += len(texts)

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """Tables."""
        return (_taken(rows, take(len(rows))) for _, rows in self.slices(None, 4096))


def _taken(rows: Any, mask: Mask) -> Any:
    """Some rows of a table; Arrow itself cannot choose among string views and some rarer types."""
    try:
        return rows.filter(mask)
    except NotImplementedError:
        import pyarrow as pa

        edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2).tolist()
        return pa.concat_tables([rows.slice(start, stop - start) for start, stop in edges or [[0, 0]]])


def _first(names: Iterable[str], columns: Iterable[str]) -> str | None:
    """The first of the well-known names that there is, in any case of letters."""
    present = {column.lower(): column for column in reversed(list(columns))}
    return next((present[name] for name in names if name in present), None)


def choose_ids(sources: Sequence[Rows], id: str | None) -> list[str]:
    """Choose one column of ids for sources that are read one after another; the message if it was guessed, or is none.

    A guessed column is in all of them, complete and without repeats.
    """
    sources = [source for source in sources if source.columns]
    if id is not None:
        for source in sources:
            source.column_kind(id)
            source.id = id
        return []
    name = _first(ID_NAMES, [name for name in sources[0].columns if all(name in s.columns for s in sources)] if sources else [])
    if name is None:
        return []
    if not _identifies(name, sources):
        return [f"column {name!r} has no id of its own for each document, so these are known by their places (--id NAME chooses another)"]
    for source in sources:
        source.id = name
    return [f"id column {name!r} (guessed; --id NAME chooses another)"]


def _identifies(name: str, sources: Sequence[Rows]) -> bool:
    repeats = Repeats()
    alike = False
    try:
        for ids in (ids for source in sources for ids in source.ids(name)):
            alike = repeats.add(ids)
            if alike:
                break
        every = (id for source in sources for ids in source.ids(name) for id in ids)
        return not (alike or repeats.found()) or first_repeat(every) is None
    except InputError:
        return False


def numbered(tables: Iterable[Any]) -> Iterator[tuple[range, Any]]:
    """Tables with their row numbers, from 1."""
    start = 1
    for table in tables:
        yield range(start, start + len(table)), table
        start += len(table)


class Table(Rows):
    """The rows of an Arrow table."""

    def __init__(self, table: pa.Table, text: str | None) -> None:
        super().__init__(kinds(table.schema), text)
        if not self.columns:
            raise InputError("the table has no columns; give one with a column of texts")
        self.table = table
        self.schema = table.schema

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], Any]]:
        """Rows in place."""
        table = self.table if names is None else self.table.select(names)
        return numbered(cut(table, size))


def cut(table: pa.Table, size: int) -> Iterator[pa.Table]:
    """A table in tables of at most ``size`` rows, in place."""
    return (table.from_batches([batch]) for batch in table.to_batches(max_chunksize=size))


def kinds(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    """The name and kind of each column."""
    return ((field.name, _arrow_kind(field.type)) for field in schema)


class Frame(Rows):
    """The rows of a pandas data frame."""

    def __init__(self, frame: Any, text: str | None) -> None:
        super().__init__(((name, _pandas_kind(frame.iloc[:, i])) for i, name in enumerate(frame.columns) if isinstance(name, str)), text)
        if not self.columns:
            raise InputError(
                f"the DataFrame has no column with a name that is a string, but {len(frame.columns)} others; name that of texts"
            )
        self.frame = frame

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], Any]]:
        """Rows as data frames."""
        frame = self.frame if names is None else self.frame[names]
        return numbered(frame.iloc[start : start + size] for start in range(0, len(frame), size))

    def chunks(self, take: Take) -> Iterator[Chunk]:
        """One table, so that each column has one type; an index that has a name is a column."""
        import pyarrow as pa

        frame = self.frame[take(len(self.frame))]
        try:
            table = pa.Table.from_pandas(frame, preserve_index=any(frame.index.names))
        except OverflowError:  # which does not say where
            wide = listed(name for name in frame.columns if _overflows(frame[name])) or "the index"
            raise InputError(f"an integer of more than 64 bits is in {wide}, and Arrow has none; make it a string: astype(str)") from None
        yield table


def _overflows(series: Any) -> bool:
    import pyarrow as pa

    try:
        pa.array(series)
    except OverflowError:
        return True
    except (pa.ArrowException, TypeError, ValueError):
        pass
    return False


def _pandas_kind(series: Any) -> str:
    if series.dtype == object:
        inferred: str = sys.modules["pandas"].api.types.infer_dtype(series)
        return "object" if inferred == "empty" or inferred.startswith("mixed") else inferred
    name = str(series.dtype)
    if name == "category":
        return _pandas_kind(series.cat.categories)
    return "string" if name.startswith(("str", "large_string")) else name


class Dataset(Rows):
    """The rows of a Hugging Face dataset, which need not fit into memory."""

    def __init__(self, dataset: Any, text: str | None) -> None:
        self.schema = dataset.features.arrow_schema
        super().__init__(kinds(self.schema), text)
        self.dataset = dataset.with_format("arrow")

    def slices(self, names: list[str] | None, size: int) -> Iterator[tuple[Sequence[int], Any]]:
        """Rows of the dataset's own files, in place where they are stored in order."""
        dataset = self.dataset if names is None else self.dataset.select_columns(names)
        return numbered(dataset.iter(batch_size=size))


# ---- sources -----------------------------------------------------------------------------------------------------------


def read(source: Any, *, text: str | None = None, id: str | None = None, glob: str | None = None, on_error: str = "raise") -> Documents:
    """Documents as people have them.

    Parameters
    ----------
    source
        A list or other iterable of strings; an Arrow, pandas or polars column or table, or what gives an Arrow C stream
        (``__arrow_c_stream__``); a Hugging Face dataset; or files: a path (a string or ``Path``), or a list of ``Path``. A list
        of strings is a list of texts, never of paths.
    text, id
        The columns of a table or file that hold the text and the id; guessed when obvious. Without an id column ids are
        positions.
    glob
        Which files of a folder are read.
    on_error
        ``"skip"`` leaves out lines of JSONL and rows of CSV that cannot be read.

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
    if _are_paths(source):
        from neardup.files import FileDocuments

        return FileDocuments(source if isinstance(source, list | tuple) else [source], text=text, id=id, glob=glob, on_error=on_error)
    if glob is not None:
        raise ParameterError(f"glob is {glob!r}, but a {kind(source)} has no files to choose from; leave it out")
    rows = _rows(source, text)
    if rows is not None:
        rows.guessed = [*rows.guessed, *choose_ids([rows], id)]
        rows.total = len(rows.table) if isinstance(rows, Table) else len(source)
        rows.description = f"{kind(source)} of {rows.total:,} rows"
        return rows
    for name, value in (("text", text), ("id", id)):
        if value is not None:
            raise ParameterError(f"{name} is {value!r}, but a {kind(source)} has no columns; leave it out, or give a table")
    ordered = isinstance(source, Iterable) or hasattr(source, "__arrow_c_stream__")
    if isinstance(source, bytes | bytearray | Mapping | AbstractSet) or not ordered:
        raise TypeError(
            f"the documents are a {kind(source)}; give a list or another ordered iterable of strings, an Arrow, pandas or polars "
            "column or table, a Hugging Face dataset, or the path of a file or folder"
        )
    return Texts(source)


def _are_paths(source: Any) -> bool:
    if isinstance(source, str) and source != "-" and not is_url(source) and not _exists(source):
        raise InputError(f"no file or folder {source[:80]!a}; one text goes in a list: [text]")
    return isinstance(source, str | os.PathLike) or (
        isinstance(source, list | tuple) and len(source) > 0 and all(isinstance(path, os.PathLike) for path in source)
    )


def is_url(path: str) -> bool:
    """Whether a string is the address of a remote file: no text of more than a word."""
    scheme, found, rest = path.partition("://")
    return bool(found) and scheme.replace("+", "").isalnum() and rest != "" and not any(c.isspace() for c in path)


def _exists(path: str) -> bool:
    from pathlib import Path

    try:
        return path != "" and Path(path).exists()
    except (OSError, ValueError):  # a text, too long or with a NUL
        return False


def _rows(source: Any, text: str | None) -> Rows | None:
    if is_of(source, "pandas", "DataFrame"):
        return Frame(source, text)
    if is_of(source, "datasets", "Dataset"):
        return Dataset(source, text)
    if is_of(source, "polars", "DataFrame"):
        return Table(source.to_arrow(), text)
    if is_of(source, "pyarrow", "RecordBatch"):
        return Table(sys.modules["pyarrow"].Table.from_batches([source]), text)
    if is_of(source, "pyarrow", "Table"):
        return Table(source, text)
    return None if _is_column(source) else _streamed(source, text)


def _is_column(source: Any) -> bool:
    known = ("pyarrow", "Array", "ChunkedArray"), ("polars", "Series"), ("pandas", "Series")
    return any(is_of(source, *names) for names in known) or not hasattr(source, "__arrow_c_stream__")


def _streamed(source: Any, text: str | None) -> Rows | None:
    """The rows of any other data frame: they are all read, by the Arrow C stream."""
    import pyarrow as pa

    try:
        return Table(pa.table(source), text)
    except (TypeError, pa.ArrowInvalid):  # a stream of a column
        return None
