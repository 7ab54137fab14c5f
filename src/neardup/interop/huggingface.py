"""Hugging Face datasets: a whole dataset without near-duplicates, and a function for ``filter`` and ``map``.

>>> from datasets import Dataset
>>> dataset = Dataset.from_dict({"text": ["One two three.", "one two three", "four"]})
>>> deduplicate(dataset)["text"][:]
['One two three.', 'four']
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neardup import dedup
from neardup.errors import InputError, kind


def deduplicate(dataset: Any, text: str | None = None, **options: Any) -> Any:
    """A dataset without its near-duplicates: rows are chosen, nothing is copied.

    Parameters
    ----------
    dataset
        A ``datasets.Dataset``, which need not fit into memory.
    text
        The column that holds the text; guessed when obvious.
    **options
        As for :func:`neardup.deduplicate`.

    Raises
    ------
    TypeError
        If it is something else: several splits, or a dataset that is streamed.

    Examples
    --------
    >>> from datasets import Dataset
    >>> deduplicate(Dataset.from_dict({"text": ["a b", "A, b!", "c"], "n": [1, 2, 3]}), threshold=0.9)["n"][:]
    [1, 3]
    """
    kept = Decisions.of(dataset, text, **options).kept
    return dataset.select(np.flatnonzero(kept))


class Decisions:
    """What becomes of each row of a dataset, as a function for ``Dataset.filter`` and, :meth:`columns`, for ``Dataset.map``.

    It is made of the decisions alone, which are the same for the same rows and options. So is its fingerprint, in every process:
    ``datasets`` finds in its cache what it has filtered before. Workers (``num_proc``) may share the rows.

    Attributes
    ----------
    kept
        Whether each row is kept, bool[n].
    witness
        The number of the kept row that each removed one duplicates, int64[n]; -1 for kept rows.
    similarity
        Their similarity, float64[n]; 1 for kept rows.

    Examples
    --------
    >>> from datasets import Dataset, disable_progress_bars
    >>> disable_progress_bars()
    >>> dataset = Dataset.from_dict({"text": ["a b", "A, b!", "c"]})
    >>> decisions = Decisions.of(dataset)
    >>> dataset.filter(decisions, with_indices=True, batched=True)["text"][:]
    ['a b', 'c']
    >>> dataset.map(decisions.columns, with_indices=True, batched=True)[1]
    {'text': 'A, b!', 'kept': False, 'cluster': 0, 'witness': 0, 'similarity': 1.0}
    """

    __slots__ = ("kept", "similarity", "witness")

    def __init__(self, kept: npt.NDArray[np.bool_], witness: npt.NDArray[np.int64], similarity: npt.NDArray[np.float64]) -> None:
        self.kept = kept
        self.witness = witness
        self.similarity = similarity

    @classmethod
    def of(cls, dataset: Any, text: str | None = None, **options: Any) -> Decisions:
        """Decide on a dataset.

        Parameters
        ----------
        dataset, text, **options
            As for :func:`deduplicate`.
        """
        if kind(dataset) != "Dataset":
            remedy = {
                "DatasetDict": ": dataset['train'], and against= the others",
                "IterableDataset": "; neardup.unique(dataset) goes over one that is streamed",
            }
            raise TypeError(f"the dataset is a {kind(dataset)}; give a datasets.Dataset{remedy.get(kind(dataset), '')}")
        given = {**options, **({} if text is None else {"text": text})}
        made = dedup.deduplicate(dataset, **given).decisions
        inside = ~made.kept & (made.witness < len(dataset))
        return cls(np.ascontiguousarray(made.kept), np.where(inside, made.witness, -1), np.where(made.kept, 1.0, made.similarity))

    def _rows(self, rows: int | list[int]) -> Any:
        places = np.asarray(rows)
        if places.size and int(places.max()) >= len(self.kept):
            raise InputError(f"row {places.max()} of a dataset of {len(self.kept)} rows; decide on this dataset: Decisions.of(dataset)")
        return places

    def __call__(self, _: Any, rows: int | list[int]) -> bool | list[bool]:
        """Whether rows, told by their numbers, are kept."""
        kept: bool | list[bool] = self.kept[self._rows(rows)].tolist()
        return kept

    def columns(self, _: Any, rows: int | list[int]) -> dict[str, Any]:
        """What became of rows, told by their numbers: ``kept``, ``cluster``, ``witness`` and ``similarity``.

        Clusters and witnesses are numbers of rows; kept rows have no witness, and what older documents removed (``against=``) has
        neither.
        """
        places = self._rows(rows)
        kept, witness = self.kept[places], self.witness[places]
        cluster, outside = np.where(kept, places, witness), ~kept & (witness < 0)
        columns = {
            "kept": kept,
            "cluster": _without(cluster, outside),
            "witness": _without(witness, kept | outside),
            "similarity": _without(self.similarity[places], kept),
        }
        return {name: column.tolist() for name, column in columns.items()}


def _without(values: Any, missing: Any) -> Any:
    filled = np.array(values, object)
    filled[missing] = None
    return filled
