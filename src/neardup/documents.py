"""Documents as people have them: in-memory collections as batches of ids and texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Utf8:
    """A column of texts read in place: text i is ``data[offsets[i]:offsets[i + 1]]``, UTF-8."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.uint64]

    def to_list(self) -> list[str]:
        """The texts as strings."""
        data = self.data.tobytes()
        ends = self.offsets.tolist()
        return [data[a:b].decode("utf-8", "surrogateescape") for a, b in zip(ends, ends[1:], strict=False)]


def as_texts(texts: Iterable[Any]) -> list[str] | Utf8:
    """A list of strings as it is; what speaks Arrow in place; any other iterable as a list."""
    return list(texts)
