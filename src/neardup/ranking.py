"""Which document is preferred: ``keep=`` and ``order=`` as an order of rank."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neardup.errors import InputError, ParameterError, kind, plain
from neardup.ids import PlaceArray

#: A word or the name of a column, a column's values in order of preference, or a function of an id and a text.
Keep: TypeAlias = str | Mapping[str, Sequence[Any]] | Callable[[Any, str], Any]

WORDS = ("first", "last", "longest")


class Ranking:
    """Collects what ranks documents, batch by batch, and puts them in order.

    Parameters
    ----------
    keep
        What :func:`neardup.deduplicate` is given.
    order
        The column that says which document comes first, instead of its position.

    Raises
    ------
    ParameterError
        If ``keep`` is of another kind.

    Examples
    --------
    >>> ranking = Ranking("longest")
    >>> ranking.add(["a", "b", "c"], lambda: ["one", "three", "three"], [])
    >>> ranking.places(["a", "b", "c"], np.array([3, 5, 5])).tolist()
    [1, 2, 0]
    """

    def __init__(self, keep: Any, order: str | None = None) -> None:
        if isinstance(keep, Mapping):
            keep = _preferring(keep)
        elif not callable(keep) and (not isinstance(keep, str) or not keep.lstrip("-")):
            raise ParameterError(f"keep is {keep!r}; it is 'first', 'last', 'longest', the name of a column, or a function of id and text")
        if order is not None and not isinstance(order, str):
            raise ParameterError(f"order is {order!r}; it is the name of a column")
        self.keep: Keep = keep
        self.order = order
        self._columns: list[list[Any]] = [[] for _ in self.columns]
        self._keys: list[Any] = []

    @property
    def columns(self) -> list[str]:
        """The columns that are needed of every document: that of ``keep``, that of ``order``."""
        named = next(iter(self.keep)) if isinstance(self.keep, Mapping) else self.keep
        key = [named.removeprefix("-")] if isinstance(named, str) and named not in WORDS else []
        return key + ([self.order] if self.order is not None else [])

    @property
    def reads(self) -> bool:
        """Whether documents must be taken in: their columns, or what a function says of them."""
        return bool(self.columns) or callable(self.keep)

    def add(self, ids: Sequence[Any], texts: Callable[[], Sequence[str]], columns: Sequence[Any], *, untyped: bool = False) -> None:
        """Take some documents in: ids, what gives their texts, and the columns that are needed, which may be cells of CSV."""
        for collected, values in zip(self._columns, columns, strict=True):
            collected.append(_Cells(values) if untyped else values)
        if callable(self.keep):
            self._keys += [self.keep(id, text) for id, text in zip(ids, texts(), strict=True)]

    def places(self, ids: Sequence[Any], lengths: PlaceArray) -> PlaceArray:
        """The places of all documents in order of rank, int64[n], given their ids and characters; what has no value ranks last.

        Raises
        ------
        InputError
            If the values of a column, or of the function, have no common order.
        """
        keep, position = self.keep, np.arange(len(ids), dtype=np.int64)
        if self.order is None and isinstance(keep, str) and keep in WORDS:
            if keep == "longest":
                return np.argsort(-lengths, kind="stable").astype(np.int64)
            return position[::-1].copy() if keep == "last" else position
        keys: list[tuple[Any, bool]] = []  # and whether the greatest comes first
        columns = dict(zip(self.columns, self._columns, strict=True))
        if callable(keep):
            keys.append((_array("the values of keep", [self._keys]), False))
        elif isinstance(keep, Mapping):
            (name, preferred), *_ = keep.items()
            keys.append((_preference(name, columns[name], preferred), False))
        elif keep == "longest":
            keys.append((lengths, True))
        elif keep not in WORDS:
            name = keep.removeprefix("-")
            keys.append((_array(f"column {name!r}", columns[name]), keep != name))
        if self.order is not None:
            keys += [
                (_array(f"column {self.order!r}", columns[self.order]), keep == "last"),
                (_array("the ids", [list(ids)]), keep == "last"),
            ]
        return _sorted([*keys, (position, keep == "last")])


def _preferring(keep: Mapping[Any, Any]) -> dict[str, list[Any]]:
    """A column and its values in order of preference, if it is that."""
    (name, values), *more = [*keep.items()] or [("", "")]
    if more or not isinstance(name, str) or isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ParameterError(f"keep is {keep!r}; name one column and its values, the preferred first: {{'source': ['a', 'b']}}")
    preferred = list(values)
    for value in _unhashable(preferred):
        raise ParameterError(f"keep prefers {value!r:.200} of type {kind(value)} in column {name!r}; prefer strings, numbers or dates")
    return {name: preferred}


def _unhashable(values: Iterable[Any]) -> Iterator[Any]:
    """Those of the values that are no key of a dictionary: lists and the like."""
    for value in values:
        try:
            hash(value)
        except TypeError:  # noqa: PERF203  a tuple may hold a list
            yield value


class _Cells(list[str]):
    """Values in a CSV file, all of them text."""


#: A number as it is written; ``inf``, ``nan`` and ``1_000``, which Python reads too, are words.
NUMBER = re.compile(r"\s*[+-]?(\d+|(\d+\.\d*|\.\d+|\d+(?=e))(e[+-]?\d+)?)\s*", re.ASCII | re.IGNORECASE)


def _arrays(parts: Sequence[Any]) -> list[Any]:
    """The parts of a column as Arrow. Cells of CSV are numbers where all of them are, otherwise text; an empty one has no value.

    That is told of all parts at once, so that no batch decides for itself. Beside text from elsewhere cells stay text.
    """
    import pyarrow as pa

    cells = [part for part in parts if isinstance(part, _Cells)]
    arrays = [part if isinstance(part, pa.Array | pa.ChunkedArray | _Cells) else pa.array(part, from_pandas=True) for part in parts]
    if not cells:
        return arrays
    values = [cell if cell.strip() else None for part in cells for cell in part]
    textual = any("string" in str(array.type) for array in arrays if not isinstance(array, _Cells))
    numbers = None if textual else _numbers(values)
    flat = pa.array(values, pa.string()) if numbers is None else numbers
    ends = iter(accumulate(map(len, cells)))
    return [flat[(stop := next(ends)) - len(array) : stop] if isinstance(array, _Cells) else array for array in arrays]


def _numbers(values: list[str | None]) -> Any:
    """Cells as an Arrow column of numbers; None where one is something else, or has no place in 64 bits beside the others.

    Examples
    --------
    >>> _numbers(["10", None, " 9"]).to_pylist(), _numbers(["1.5", "2e3"]).to_pylist()
    ([10, None, 9], [1.5, 2000.0])
    >>> [_numbers([value]) for value in ("nan", "1_000", "2024-01-01", "1" * 20, "1e999")]
    [None, None, None, None, None]
    """
    import pyarrow as pa

    numbers: list[float | None] = []
    try:
        for value in values:
            found = None if value is None else NUMBER.fullmatch(value)
            if value is not None and found is None:
                return None
            numbers.append(None if found is None or value is None else float(value) if found[2] else int(value))
        return None if math.inf in numbers or -math.inf in numbers else pa.array(numbers)
    except (pa.ArrowException, OverflowError, ValueError):  # of thousands of digits
        return None


def _array(what: str, parts: Sequence[Any]) -> Any:
    import pyarrow as pa

    try:
        flat = [chunk for array in _arrays(parts) for chunk in (array.chunks if isinstance(array, pa.ChunkedArray) else [array])]
        types = {array.type for array in flat if array.type != pa.null()}
        common = (
            pa.unify_schemas([pa.schema([("v", type)]) for type in types], promote_options="permissive").field(0).type if types else None
        )
        return pa.chunked_array([array.cast(common) for array in flat] if common else flat, common or pa.null())
    except (pa.ArrowException, OverflowError, TypeError, UnicodeError) as error:
        raise InputError(f"{what} cannot be put in order, {ascii(str(error))[1:-1][:200]}; make them all of one type") from None


def _preference(name: str, parts: Sequence[Any], preferred: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The place of each value among those preferred; what is not among them comes last."""
    places = {value: i for i, value in reversed(list(enumerate(preferred)))}
    try:
        values = [value for part in parts for value in (part.to_pylist() if hasattr(part, "to_pylist") else part)]
    except UnicodeDecodeError:
        raise
    except (OverflowError, ValueError):  # dates that Python has not
        raise InputError(
            f"what ranks the documents is of type {plain(parts[0].type)}, with values beyond all years; check the column"
        ) from None
    for value in _unhashable(values):
        raise InputError(
            f"column {name!r} has {value!r:.200} of type {kind(value)}; keep= (--keep) prefers strings, numbers or dates: name another column"
        )
    if not set(values) & places.keys() and set(map(str, values)) & places.keys():
        values = list(map(str, values))  # as they are typed on a command line
    return np.array([places.get(value, len(places)) for value in values], np.int64)


def _sorted(keys: list[tuple[Any, bool]]) -> PlaceArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.table({str(i): column for i, (column, _) in enumerate(keys)})
    sorting = [(str(i), "descending" if greatest else "ascending") for i, (_, greatest) in enumerate(keys)]
    try:
        order = pc.sort_indices(table, sort_keys=sorting)
    except pa.ArrowException as error:
        raise InputError(f"what ranks the documents is a {kind(table)} without an order, {error}; use numbers, dates or strings") from None
    places: PlaceArray = order.to_numpy().astype(np.int64)
    return places
