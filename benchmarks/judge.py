"""What a whole job must find, worked out exactly, and how much of it a library found.

The documents hold words of ASCII letters and digits with single spaces between (corpus.only_words), so that every library
sees the same words; a document is the set of its word 5-shingles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from peers import shingles

SIZE = 5
Places = npt.NDArray[np.int64]
Pair = tuple[int, int]


class Shingles(NamedTuple):
    """Shingles as numbers, distinct in each document and sorted: document i has ``numbers[bounds[i]:bounds[i + 1]]``."""

    numbers: Places
    bounds: Places

    def of(self, document: int) -> Places:
        return self.numbers[self.bounds[document] : self.bounds[document + 1]]


class Quality(NamedTuple):
    """The shares of what should be found that is found, and of what is reported that is right."""

    recall: float
    precision: float


def number_shingles(texts: list[str]) -> Shingles:
    """Number the shingles of texts of five words or more; equal numbers mean equal words, there is no hashing."""
    words: dict[str, int] = {}
    lists = [[words.setdefault(word, len(words)) for word in text.split()] for text in texts]
    if min(map(len, lists)) < SIZE:
        raise ValueError(f"a text of fewer than {SIZE} words; libraries differ in what they make of those")
    ends = np.cumsum([len(numbers) for numbers in lists])
    flat = np.concatenate([np.array(numbers, np.int64) for numbers in lists])
    windows = flat
    for size in range(2, SIZE + 1):  # a window is one of a word less, numbered already, and its last word
        windows = np.unique(windows[: len(flat) - size + 1] * len(words) + flat[size - 1 :], return_inverse=True)[1]
    document = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0))
    inside = document[: len(windows)] == document[SIZE - 1 :]
    distinct = np.unique(document[: len(windows)][inside] * len(flat) + windows[inside])
    return Shingles(distinct % len(flat), np.searchsorted(distinct, np.arange(len(texts) + 1) * len(flat)))


def similarity(shingles: Shingles, a: int, b: int) -> float:
    """The Jaccard similarity of two documents."""
    x, y = shingles.of(a), shingles.of(b)
    both = len(np.intersect1d(x, y, assume_unique=True))
    return both / (len(x) + len(y) - both)


def join(shingles: Shingles, threshold: float) -> dict[Pair, float]:
    """All pairs at or above the threshold.

    Documents that match share at least ``threshold * n`` of the n shingles of each. So when each has its shingles in one
    common order, the rarest first, two that match share one among those that remain when that many less one are left out.
    """
    sizes = np.diff(shingles.bounds)
    frequency = np.bincount(shingles.numbers)
    document = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((shingles.numbers, frequency[shingles.numbers], document))
    place = np.arange(len(document)) - np.repeat(shingles.bounds[:-1], sizes)
    rare = place < (sizes - np.ceil(threshold * sizes - 1e-9) + 1)[document]
    number, holder = shingles.numbers[order][rare], document[rare]
    by_number = np.argsort(number, kind="stable")
    _, starts = np.unique(number[by_number], return_index=True)
    candidates: set[Pair] = set()
    for group in np.split(holder[by_number], starts[1:]):
        if len(group) > 1:
            members = group.tolist()
            candidates.update((a, b) for i, a in enumerate(members) for b in members[i + 1 :])
    scores = {pair: similarity(shingles, *pair) for pair in sorted(candidates)}
    return {pair: score for pair, score in scores.items() if score >= threshold}


def containments(asked: list[str], stored: list[str], threshold: float) -> set[Pair]:
    """(i, j) where text j has at least so much of the shingles of excerpt i."""
    own = [set(shingles(text)) for text in asked]
    sought: dict[str, list[int]] = {}
    for i, some in enumerate(own):
        for shingle in some:
            sought.setdefault(shingle, []).append(i)
    found: set[Pair] = set()
    for j, text in enumerate(stored):
        both = Counter(i for shingle in sought.keys() & set(shingles(text)) for i in sought[shingle])
        found |= {(i, j) for i, shared in both.items() if shared >= threshold * len(own[i]) - 1e-9}
    return found


def written_out(pairs: Iterable[Pair], shingles: Shingles) -> set[Pair]:
    """Pairs in which copies of one shingle set stand for each other, as pairs of all of them."""
    copies: dict[bytes, list[int]] = {}
    for i in range(len(shingles.bounds) - 1):
        copies.setdefault(shingles.of(i).tobytes(), []).append(i)
    group = {i: members for members in copies.values() for i in members}
    full = {(a, b) for members in copies.values() for i, a in enumerate(members) for b in members[i + 1 :]}
    for a, b in pairs:
        if group[a] is not group[b]:
            full |= {(min(x, y), max(x, y)) for x in group[a] for y in group[b]}
    return full


def judge_pairs(found: set[Pair], truth: Mapping[Pair, float] | set[Pair]) -> Quality:
    """Of reported pairs."""
    right = sum(pair in truth for pair in found)
    return Quality(right / max(1, len(truth)), right / len(found) if found else 1.0)


def judge_removed(removed: set[int], truth: dict[Pair, float]) -> Quality:
    """Of removed documents: a pair is found when one of it is removed; a removal is right when the document is of a pair."""
    found = sum(a in removed or b in removed for a, b in truth)
    paired = {document for pair in truth for document in pair}
    return Quality(found / max(1, len(truth)), len(removed & paired) / len(removed) if removed else 1.0)
