"""Documents to signed documents, and their ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from neardup.banding import Banding
from neardup.engines.spark.packing import binary_column
from neardup.errors import InputError, ParameterError
from neardup.minhash import MinHash
from neardup.ranking import WORDS, Keep, Ranking
from neardup.stores import StoreBatch

#: Columns that a signed document has beside its id and what ranks it.
COLUMNS = "hi long, lo long, size int, bands binary, hashes binary"
#: About the most bytes of text that are signed at a time: of characters as shingles, a gigabyte of hashes.
TEXTS = 128 << 20
INTEGERS, STRING = ("tinyint", "smallint", "int", "bigint"), "string"
#: Columns that results have.
ANNOTATIONS = ("cluster", "kept", "witness", "similarity")


def documents(df: Any, text: str, id: str, ranking: Ranking) -> tuple[Any, list[tuple[str, bool]]]:
    """What is read of a corpus: ``id``, ``text``, and columns by which documents rank, each with whether the greatest comes first.

    Raises
    ------
    InputError
        If a column is not there, or is of a type that cannot be what it should.
    """
    from pyspark.sql import functions as F  # noqa: N812

    types = dict(df.dtypes)
    for name in (text, id, *ranking.columns):
        if name not in types:
            known = ", ".join(map(repr, types)) or "none"
            raise InputError(f"there is no column {name!r} among {known}; name the columns: text=, id=, order=, keep= (--text, --id ...)")
    if types[text] != STRING:
        raise InputError(f"column {text!r} is of type {types[text]}; texts are strings: name another, or cast it")
    if types[id] not in (*INTEGERS, STRING):
        raise InputError(f"column {id!r} is of type {types[id]}; ids are integers of 64 bits or strings: name another, or cast it")
    keys: list[tuple[Any, bool]] = []
    keep, last = ranking.keep, ranking.keep == "last"
    if keep == "longest":
        keys.append((F.coalesce(F.length(_column(text)), F.lit(0)), True))
    elif isinstance(keep, Mapping):
        (name, preferred), *_ = keep.items()
        keys.append((_preference(name, types[name], list(preferred)), False))
    elif keep not in WORDS:
        name = str(keep).removeprefix("-")
        keys += _sortable(name, types[name], greatest=keep != name)
    if ranking.order is not None:
        keys += _sortable(ranking.order, types[ranking.order], greatest=last)
    columns = [column.alias(f"key{i}") for i, (column, _) in enumerate(keys)]
    order = [(f"key{i}", greatest) for i, (_, greatest) in enumerate(keys)]
    return df.select(_column(id).alias("id"), _column(text).alias("text"), *columns), [*order, ("id", last)]


def _column(name: str) -> Any:
    """A column by its whole name, whatever is in it."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.col(f"`{name.replace('`', '``')}`")


def _sortable(name: str, kind: str, *, greatest: bool) -> list[tuple[Any, bool]]:
    """A column such that what has no value ranks last, and what is no number before that, as Arrow sorts."""
    from pyspark.sql import functions as F  # noqa: N812

    if kind.startswith(("array", "map", "struct", "binary", "variant", "interval")):
        raise InputError(f"column {name!r} is of type {kind}, which ranks nothing; use numbers, dates or strings")
    column = _column(name)
    if greatest and kind in ("float", "double"):  # what is no number is the greatest to Spark
        return [(F.when(column.isNull(), 2).when(F.isnan(column), 1).otherwise(0), False), (column, greatest)]
    return [(column, greatest)]


def _preference(name: str, kind: str, preferred: list[Any]) -> Any:
    """The place of a value among those preferred; what is not among them comes last."""
    from pyspark.sql import functions as F  # noqa: N812

    column = _column(name)
    if kind != STRING and all(isinstance(value, str) for value in preferred):
        column = column.cast(STRING)  # as they are typed on a command line
    place = F.lit(len(preferred))
    for i, value in reversed(list(enumerate(preferred))):
        place = F.when(column == F.lit(value), i).otherwise(place)
    return place


def ranking_of(keep: Keep, order: str | None) -> Ranking:
    """What ranks documents, where Spark can tell.

    Raises
    ------
    ParameterError
        If it is a function.
    """
    ranking = Ranking(keep, order)
    if callable(keep):
        raise ParameterError(f"keep is the function {keep!r}, whose values Spark cannot put in order; make them a column and name that")
    return ranking


class Signer:
    """Signs the batches of a task.

    Examples
    --------
    >>> import pyarrow as pa
    >>> batch = pa.RecordBatch.from_pydict({"id": [1, 2], "text": ["one two three", None]})
    >>> signed = next(Signer(MinHash(), Banding(21, 6))([batch]))
    >>> signed.schema.names, signed["size"].to_pylist(), len(signed["bands"][0].as_py())
    (['id', 'hi', 'lo', 'size', 'bands', 'hashes'], [1, 0], 168)
    """

    def __init__(self, minhash: MinHash, banding: Banding) -> None:
        self.minhash = minhash
        self.banding = banding

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Batches of ``id``, ``text`` and what ranks, as batches of signed documents."""
        for batch in batches:
            start, sizes = 0, _ends(batch.column("text"))
            while start < batch.num_rows:
                before = sizes[start - 1] if start else 0
                stop = max(start + 1, int(np.searchsorted(sizes, before + TEXTS, "right")))
                yield self._signed(batch.slice(start, stop - start))
                start = stop

    def _signed(self, batch: Any) -> Any:
        import pyarrow as pa

        signatures = self.minhash.sign_many(batch.column("text"), threads=1, hashes=True)
        rows = StoreBatch.of(signatures, self.banding)
        keys = self.banding.keys(signatures.values)
        folded = np.zeros(len(keys), np.uint64)
        for column in keys.T:  # a second name, of the signature: copies agree in both
            folded = (folded ^ column) * np.uint64(0x9E3779B97F4A7C15)
            folded ^= folded >> np.uint64(29)
        evidence = rows.evidence[int(rows.offsets[0]) : int(rows.offsets[-1])]
        columns = {
            "hi": pa.array(rows.set_hashes.view(np.int64)),
            "lo": pa.array(folded.view(np.int64)),
            "size": pa.array(rows.sizes.astype(np.int32)),
            "bands": binary_column(keys.ravel(), np.arange(len(keys) + 1, dtype=np.int64) * keys.shape[1]),
            "hashes": binary_column(evidence, rows.offsets - rows.offsets[0]),
        }
        other = [name for name in batch.schema.names if name != "text"]
        return pa.RecordBatch.from_arrays([*(batch.column(name) for name in other), *columns.values()], [*other, *columns])


def _ends(column: Any) -> Any:
    """The bytes of a column of strings up to the end of each."""
    import pyarrow as pa

    wide = np.int64 if column.type == pa.large_string() else np.int32
    offsets = np.frombuffer(column.buffers()[1], wide, len(column) + 1, column.offset * np.dtype(wide).itemsize).astype(np.int64)
    return offsets[1:] - offsets[0]


def signed(documents: Any, minhash: MinHash, banding: Banding) -> Any:
    """Signed documents, each with a ``number``; numbers last only once they are written."""
    from pyspark.sql import functions as F  # noqa: N812

    kept = ", ".join(f"{name} {kind}" for name, kind in documents.dtypes if name != "text")
    rows = documents.mapInArrow(Signer(minhash, banding), f"{kept}, {COLUMNS}")
    return rows.withColumn("number", F.monotonically_increasing_id())


def ranked(signed: Any, order: list[tuple[str, bool]]) -> Any:
    """Documents in order of rank: ``place`` grows with it, ``part`` by ``part``, once it is written."""
    from pyspark.sql import functions as F  # noqa: N812

    keys = [F.col(name).desc_nulls_last() if greatest else F.col(name).asc_nulls_last() for name, greatest in order]
    rows = signed.select("number", "id", "size", *(name for name, _ in order if name != "id")).orderBy(*keys)
    return rows.select("number", "id", "size", F.monotonically_increasing_id().alias("place"))


def with_ranks(ranked: Any) -> Any:
    """Written documents in order of rank with their ``rank``, from 0 on."""
    from pyspark.sql import functions as F  # noqa: N812

    part = F.shiftright("place", 33).cast("int")
    counts = {row.part: row.many for row in ranked.groupBy(part.alias("part")).agg(F.count("place").alias("many")).collect()}
    before = [0, *accumulate(counts.get(i, 0) for i in range(max(counts, default=0)))]
    first = F.element_at(F.from_json(F.lit(str(before)), "array<long>"), part + 1)  # a constant: a frame of it would ask for Python
    within = F.col("place").bitwiseAND((1 << 33) - 1)
    return ranked.select("number", "id", "size", (first + within).alias("rank"))
