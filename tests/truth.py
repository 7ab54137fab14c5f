"""What the library must find and decide, worked out another way: plain Python over sets, no signatures, no kernels of the store.

A document here is the set of its verification hashes, which is what every match is scored by. Pairs are a dictionary from
(i, j), places with i < j, to their similarity.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from neardup import Banding, MinHash, Shingling

Pairs = Mapping[tuple[int, int], float]
Sets = Sequence[frozenset[int]]


def shingle_sets(texts: Iterable[str], shingling: Shingling | None = None) -> list[frozenset[int]]:
    """The verification hashes of each text: the high halves of its shingle hashes."""
    hashes_of = (shingling or Shingling()).hashes
    return [frozenset(y >> 32 for y in hashes_of(text).tolist()) for text in texts]


def similarity(a: frozenset[int], b: frozenset[int]) -> float:
    """Jaccard similarity; 0 when both are empty."""
    either = len(a | b)
    return len(a & b) / either if either else 0.0


def join(sets: Sets, threshold: float) -> dict[tuple[int, int], float]:
    """All pairs at or above the threshold, by an inverted index of each set's rarest hashes.

    Sets that match share at least ``threshold * n`` of the n hashes of each, so when each has its hashes in one common
    order, the rarest first, the two share one among those that remain when that many less one are left out at the end.
    """
    frequency = Counter(y for hashes in sets for y in hashes)
    holders: defaultdict[int, list[int]] = defaultdict(list)
    pairs = {}
    for i, hashes in enumerate(sets):
        rarest = sorted(hashes, key=lambda y: (frequency[y], y))[: len(hashes) - int(threshold * len(hashes)) + 1]
        for j in {j for y in rarest for j in holders[y]}:
            score = similarity(hashes, sets[j])
            if score >= threshold:
                pairs[j, i] = score
        for y in rarest:
            holders[y].append(i)
    return pairs


def join_of_all(sets: Sets, threshold: float) -> dict[tuple[int, int], float]:
    """The same by comparing every two."""
    scores = {(i, j): similarity(sets[i], sets[j]) for i, j in combinations(range(len(sets)), 2)}
    return {pair: score for pair, score in scores.items() if score >= threshold}


def pairs_found(texts: Sequence[str], threshold: float, minhash: MinHash, banding: Banding) -> dict[tuple[int, int], float]:
    """The pairs that this banding finds: all that share a band key, of those the ones at or above the threshold."""
    sets = shingle_sets(texts, minhash.shingling)
    keys = banding.keys(minhash.sign_many(texts, threads=1).values)
    return {
        (i, j): score
        for i, j in combinations(range(len(texts)), 2)
        if (keys[i] == keys[j]).any() and (score := similarity(sets[i], sets[j])) >= threshold
    }


def with_copies(pairs: Pairs, sets: Sets) -> dict[tuple[int, int], float]:
    """Pairs that list copies as a star, written out: every copy is paired with what any of them is paired with."""
    copies = defaultdict(list)
    for i, hashes in enumerate(sets):
        if hashes:
            copies[hashes].append(i)
    full = {pair: 1.0 for places in copies.values() for pair in combinations(places, 2)}
    for (i, j), score in pairs.items():
        if sets[i] != sets[j]:
            full |= {(min(a, b), max(a, b)): score for a in copies[sets[i]] for b in copies[sets[j]]}
    return full


def decide(order: Sequence[int], pairs: Pairs) -> tuple[list[int], dict[int, tuple[int, float]]]:
    """Who is kept, and the witness and similarity of each other, of documents in order of rank.

    In that order a document is kept if it matches no kept one. The witness is the kept match of highest similarity,
    whether it ranks before or after; of equal ones that which ranks first.
    """
    matches: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for (i, j), score in pairs.items():
        matches[i][j] = matches[j][i] = score
    kept: set[int] = set()
    for place in order:
        if kept.isdisjoint(matches[place]):
            kept.add(place)
    rank = {place: r for r, place in enumerate(order)}
    removed = {}
    for place in sorted(set(order) - kept):
        negated, _, witness = min((-score, rank[other], other) for other, score in matches[place].items() if other in kept)
        removed[place] = witness, -negated
    return sorted(kept), removed


#: The order of rank for each policy.
RANKED: dict[str, Callable[[Sequence[str]], list[int]]] = {
    "first": lambda texts: list(range(len(texts))),
    "last": lambda texts: list(range(len(texts)))[::-1],
    "longest": lambda texts: sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i)),
}


# ---- corpora to judge ------------------------------------------------------------------------------------------------

WORDS = [f"w{i}" for i in range(60)]


def _window(start: int, length: int, changed: Mapping[int, int], closing: str) -> str:
    tokens = [*WORDS, *WORDS][start : start + length]
    for place, other in changed.items():
        tokens[place % length] = f"x{other}"
    return " ".join(tokens) + closing


def look_alikes() -> SearchStrategy[str]:
    """A window on one long text with a few words changed: neighbours resemble each other in long chains.

    The closing punctuation changes a text's length and not its words, so there are copies of different length.
    """
    changed = st.dictionaries(st.integers(0, 19), st.integers(0, 3), max_size=2)
    return st.builds(_window, st.integers(0, 24), st.integers(16, 20), changed, st.sampled_from(["", ".", "...", "?!"]))


def corpora(max_size: int = 24) -> SearchStrategy[list[str]]:
    """Look-alikes, copies, short texts, and texts without a word."""
    short = st.sampled_from(["", " ?", "w0", "W0!", "w0 w1"])
    near = st.builds(
        _window, st.integers(0, 5), st.just(20), st.dictionaries(st.integers(0, 3), st.integers(0, 1), max_size=1), st.just("")
    )
    return st.lists(st.one_of(look_alikes(), near, near, short), max_size=max_size)


def planted(n: int, seed: int) -> list[str]:
    """A corpus of stories of 15 to 80 words with changed copies of every kind, and some texts without a word."""
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(3000)]
    texts: list[str] = []
    while len(texts) < n:
        story = rng.choices(words, k=rng.randrange(15, 80))
        texts.append(" ".join(story))
        while rng.random() < 0.6:
            changed = list(story)
            for _ in range(rng.choice([0, 1, 1, 2, 3, 8])):
                place = rng.randrange(len(changed))
                changed[place : place + rng.choice([0, 1, 1, 3])] = rng.choices(words, k=rng.choice([0, 1, 1, 2]))
            texts.append(rng.choice(["{}", "{}.", "<{}>", "{}!"]).format((" ", ", ")[rng.random() < 0.2].join(changed)))
            if rng.random() < 0.3:
                story = changed  # a copy of the copy
        if rng.random() < 0.05:
            texts.append(rng.choice(["", "...", " \n"]))
    texts = texts[:n]
    rng.shuffle(texts)
    return texts
