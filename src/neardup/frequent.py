"""The shingles that many documents have: boilerplate, which can be left out of what is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from neardup.errors import check_fraction
from neardup.shingling import HashArray, Shingling

#: Counters of the first pass. Shingles that share one are told apart in the second.
COUNTERS = 1 << 22
SHIFT = np.uint64(64 - 22)


def flat_hashes(shingling: Shingling, texts: Sequence[str]) -> tuple[HashArray, HashArray]:
    """The shingle hashes of texts one after another, and where those of each begin and end."""
    each = [shingling.hashes(text) for text in texts]
    offsets = np.cumsum([0, *map(len, each)], dtype=np.uint64)
    return np.concatenate([np.empty(0, np.uint64), *each]), offsets


def frequent_shingles(batches: Callable[[], Iterable[Sequence[str]]], shingling: Shingling, share: float) -> HashArray:
    """The hashes, sorted, of shingles that more than a share of all documents have.

    Parameters
    ----------
    batches
        Gives the texts, some at a time, each time it is called: once to count roughly, once exactly what may be frequent.
    shingling
        What they are cut by.
    share
        Above 0 and below 1.

    Examples
    --------
    >>> texts = [["read more", "read more", "read this", "read more"]]
    >>> frequent_shingles(lambda: texts, Shingling(size=2), 0.5).tolist() == Shingling(size=2).hashes("read more").tolist()
    True
    """
    check_fraction("drop_frequent", share, one=False)
    counters, n = np.zeros(COUNTERS, np.int64), 0
    for texts in batches():
        hashes, _ = flat_hashes(shingling, texts)
        np.add.at(counters, (hashes >> SHIFT).astype(np.int64), 1)
        n += len(texts)
    hot = counters > share * n
    found, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    for texts in batches():
        hashes, _ = flat_hashes(shingling, texts)
        some, many = np.unique(hashes[hot[(hashes >> SHIFT).astype(np.int64)]], return_counts=True)
        every, where = np.unique(np.concatenate((found, some)), return_inverse=True)
        counts = np.bincount(where, np.concatenate((counts, many)), len(every)).astype(np.int64)
        found = every
    return found[counts > share * n]


def without(frequent: HashArray, hashes: HashArray, offsets: HashArray) -> tuple[HashArray, HashArray]:
    """Flat hashes and their offsets without the frequent ones.

    Examples
    --------
    >>> kept, offsets = without(np.array([5], np.uint64), np.array([1, 5, 5], np.uint64), np.array([0, 2, 3], np.uint64))
    >>> kept.tolist(), offsets.tolist()
    ([1], [0, 1, 1])
    """
    rare = ~np.isin(hashes, frequent)
    before = np.concatenate((np.zeros(1, np.uint64), np.cumsum(rare, dtype=np.uint64)))
    return hashes[rare], before[offsets.astype(np.int64)]
