"""Two texts from beginning to end: what they share in the same order, and what differs in between."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.shingling import HashArray, Shingling, Token


class Segment(NamedTuple):
    """A run of tokens that two texts share, or what stands between two such runs.

    Attributes
    ----------
    kind
        ``"shared"`` or ``"differs"``.
    a_start, a_stop
        Its tokens' places in the first text; of what differs, it may have none there.
    b_start, b_stop
        In the second.
    a, b
        The tokens as neardup saw them.
    compared
        Whether it was looked at token by token; False of a difference that would have taken too long: some tokens of it may be shared.
    """

    kind: Literal["shared", "differs"]
    a_start: int
    a_stop: int
    b_start: int
    b_stop: int
    a: str
    b: str
    compared: bool = True


#: Pairs of tokens that are compared one by one: without looking for anchors, where there are none, and in all.
FEW, PAIRED, PAIRED_IN_ALL = 1 << 12, 1 << 16, 1 << 23
#: How often anchors are sought between anchors, and how many runs of them are put in order: the longest.
DEPTH, RUNS = 8, 300_000
#: Odd, so that equal hashes of different turns differ.
TURN = np.uint64(0x9E3779B97F4A7C15)

Block = tuple[int, int, int]  # places in two texts, and how many tokens from there on are the same


def aligned(a: str, b: str, shingling: Shingling | None = None) -> list[Segment]:
    """Two texts from beginning to end: what they share in the same order, and what differs in between.

    Shingles that each text has once are the anchors, as in a patience diff; what stands between them is looked at again in the
    same way, and compared token by token where it is short. So the work grows little faster than the texts.

    Parameters
    ----------
    a, b
        The texts.
    shingling
        What tokens are, and how many make a shingle; ``Shingling()`` by default.

    Returns
    -------
    list
        A :class:`Segment` after another: together they are all tokens of both texts. Shared and differing ones take turns. A
        few tokens that agree amid longer differences count as differing, as do passages that stand in another order.

    Raises
    ------
    TypeError
        If a text is not a string.

    Examples
    --------
    >>> for segment in aligned("We meet on Monday at ten.", "We meet on Tuesday, at ten or so"):
    ...     print(segment.kind, [segment.a, segment.b])
    shared ['we meet on', 'we meet on']
    differs ['monday', 'tuesday']
    shared ['at ten', 'at ten']
    differs ['', 'or so']
    """
    shingling = shingling or Shingling()
    tokens = [shingling.tokenize(text) for text in (a, b)]
    numbers: dict[Token, int] = {}
    codes = [np.fromiter((numbers.setdefault(token, len(numbers)) for token in own), np.int64, len(own)) for own in tokens]
    hashes = [shingling.token_hashes(own) for own in tokens]
    blocks, skipped = _Alignment(codes, hashes, shingling.size).blocks()
    joint = "" if shingling.chars else " "

    def text(side: int, start: int, stop: int) -> str:
        return joint.join(map(str, tokens[side][start:stop]))

    segments = []
    for shared, i, k, j, m in _without_chance(blocks, (len(tokens[0]), len(tokens[1])), shingling.size):
        own = text(0, i, k)
        other = own if shared else text(1, j, m)
        compared = shared or bisect_left(skipped, i) == bisect_left(skipped, k)
        segments.append(Segment("shared" if shared else "differs", i, k, j, m, own, other, compared))
    return segments


Run = tuple[bool, int, int, int, int]  # shared or not, from and to in one text, from and to in the other


def _without_chance(blocks: Iterable[Block], ends: tuple[int, int], size: int) -> list[Run]:
    """The runs between blocks and of them, in order; a block shorter than a shingle, and no longer than what differs on both sides, is none."""
    runs: list[Run] = []

    def add(k: int, m: int, *, shared: bool) -> None:
        _, _, i, _, j = runs[-1] if runs else (False, 0, 0, 0, 0)
        if (k, m) == (i, j):
            return
        if runs and runs[-1][0] == shared:
            runs[-1] = (shared, runs[-1][1], k, runs[-1][3], m)
        else:
            runs.append((shared, i, k, j, m))
        while len(runs) > 2 and not runs[-1][0]:
            (_, i, before, j, before_b), (_, _, after, _, after_b), (_, _, k, _, m) = runs[-3:]
            length, least = after - before, min(max(before - i, before_b - j), max(k - after, m - after_b))
            if length >= size or length > least:
                break
            runs[-3:] = [(False, i, k, j, m)]

    for x, y, length in [*blocks, (*ends, 0)]:
        add(x, y, shared=False)
        add(x + length, y + length, shared=True)
    return runs


class _Alignment:
    """What two texts have in common in one order, given their tokens as numbers and hashes."""

    def __init__(self, codes: Sequence[npt.NDArray[np.int64]], hashes: Sequence[HashArray], size: int) -> None:
        self.codes = codes
        self.hashes = hashes
        self.windows = [_kernels.window_hashes(own, size) for own in hashes]
        self.size = size
        self.left = PAIRED_IN_ALL

    def blocks(self) -> tuple[list[Block], list[int]]:
        """The blocks in order, and where in the first text differences begin that were too long to be looked at."""
        found: list[Block] = []
        skipped: list[int] = []
        gaps = [(0, len(self.codes[0]), 0, len(self.codes[1]), 0)]  # the first of the texts is the last here
        while gaps:
            i, k, j, m, depth = gaps.pop()
            head = _common(self.codes[0][i:k], self.codes[1][j:m])
            i, j = i + head, j + head
            tail = _common(self.codes[0][i:k][::-1], self.codes[1][j:m][::-1])
            k, m = k - tail, m - tail
            found += [(i - head, j - head, head), (k, m, tail)]
            if i == k or j == m or (k - i == 1 == m - j):
                continue
            pairs = (k - i) * (m - j)
            anchors = self.anchors(i, k, j, m) if pairs > FEW and depth < DEPTH else []
            if anchors:
                inner = []
                for x, y, length in [*anchors, (k, m, 0)]:
                    inner.append((i, x, j, y, depth + 1))
                    found.append((x, y, length))
                    i, j = x + length, y + length
                gaps += inner[::-1]
            elif pairs <= min(PAIRED, self.left):
                self.left -= pairs
                matcher = difflib.SequenceMatcher(None, self.codes[0][i:k].tolist(), self.codes[1][j:m].tolist(), autojunk=False)
                found += [(i + x, j + y, length) for x, y, length in matcher.get_matching_blocks()]
            else:
                skipped.append(i)
        return sorted(block for block in found if block[2]), sorted(skipped)

    def anchors(self, i: int, k: int, j: int, m: int) -> list[Block]:
        """Blocks between these places that go well together: of shingles found once in each, or as often, or of single tokens."""
        width = self.size
        x, y = self.windows[0][i : max(k - width + 1, i)], self.windows[1][j : max(m - width + 1, j)]
        tokens = self.hashes[0][i:k], self.hashes[1][j:m]
        for one, other, length, every in ((x, y, width, False), (x, y, width, True), (*tokens, 1, False)):
            chained: list[Block] = []
            for start, there, many in _chain(one, other, every=every):
                done, done_there = (chained[-1][0] + chained[-1][2], chained[-1][1] + chained[-1][2]) if chained else (i, j)
                late = max(done - start - i, done_there - there - j, 0)  # two runs of windows may overlap
                n, x0, y0 = many + length - 1 - late, start + i + late, there + j + late
                if n > 0 and np.array_equal(self.codes[0][x0 : x0 + n], self.codes[1][y0 : y0 + n]):
                    chained.append((x0, y0, n))
            if chained:
                return chained
        return []


def _common(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> int:
    """How many tokens from the beginning are the same."""
    n = min(len(a), len(b))
    for m in (min(n, 64), n):  # mostly few
        unlike = np.flatnonzero(a[:m] != b[:m])
        if len(unlike):
            return int(unlike[0])
    return n


def _once(hashes: HashArray, *, every: bool) -> tuple[HashArray, npt.NDArray[np.intp]]:
    """The hashes that are there once, sorted, and their places; or every hash, by its turn among equal ones."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1])))
    many = np.diff(np.append(starts, len(ordered)))
    if not every:
        return ordered[starts[many == 1]], order[starts[many == 1]]
    turns = np.arange(len(ordered)) - np.repeat(starts, many)
    return ordered + turns.astype(np.uint64) * TURN, order


def _chain(a: HashArray, b: HashArray, *, every: bool) -> list[Block]:
    """Runs of equal hashes that stand in the same order in both, the most of them that there are together."""
    (one, places), (other, others) = _once(a, every=every), _once(b, every=every)
    _, left, right = np.intersect1d(one, other, return_indices=True)
    x, y = places[left], others[right]
    order = np.argsort(x)
    x, y = x[order], y[order]
    if not len(x):
        return []
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(x) != 1) | (np.diff(y) != 1))))
    lengths = np.diff(np.append(starts, len(x)))
    x, y = x[starts], y[starts]
    if (np.diff(y) > 0).all():  # as they mostly are
        return list(zip(x.tolist(), y.tolist(), lengths.tolist(), strict=True))
    if len(x) > RUNS:
        kept = np.sort(np.argsort(-lengths, kind="stable")[:RUNS])
        x, y, lengths = x[kept], y[kept], lengths[kept]
    ranks = np.argsort(np.argsort(y))
    chosen = _heaviest(ranks.tolist(), lengths.tolist())
    return list(zip(x[chosen].tolist(), y[chosen].tolist(), lengths[chosen].tolist(), strict=True))


def _heaviest(ranks: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Of a permutation the places of an increasing subsequence of the greatest weight by a tree of prefix maxima (Fenwick 1994).

    Examples
    --------
    >>> _heaviest([3, 0, 1, 2], [1, 1, 1, 1]), _heaviest([3, 0, 1, 2], [4, 1, 1, 1])
    ([1, 2, 3], [0])
    """
    n = len(ranks)
    heaviest, ending = [0] * (n + 1), [-1] * (n + 1)
    before, best, last = [-1] * n, 0, -1
    for place, (rank, weight) in enumerate(zip(ranks, weights, strict=True)):
        total, at = 0, rank
        while at:
            if heaviest[at] > total:
                total, before[place] = heaviest[at], ending[at]
            at &= at - 1
        total += weight
        if total > best:
            best, last = total, place
        at = rank + 1
        while at <= n:
            if heaviest[at] < total:
                heaviest[at], ending[at] = total, place
            at += at & -at
    chosen = []
    while last >= 0:
        chosen.append(last)
        last = before[last]
    return chosen[::-1]
