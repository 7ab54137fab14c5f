"""Text for benchmarks: real where there is some, otherwise generated with planted near-duplicates of known similarity."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Real newswire beside the checkout, where there is some; it is not part of the project.
REUTERS = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578" / "docs.jsonl.gz"


class Planted(NamedTuple):
    """Generated texts, and the pairs planted in them: (place of the original, place of the copy)."""

    texts: list[str]
    pairs: list[tuple[int, int]]


def generate(documents: int, words: int = 500, *, copies: float = 0.1, edits: int = 3, seed: int = 0) -> Planted:
    """Texts of about ``words`` words with Zipf frequencies; a share ``copies`` of them are edited copies of others.

    Each edit replaces one word, which destroys up to five word 5-shingles: a copy of n words with e edits has a Jaccard
    similarity of about (n - 5 e) / (n + 5 e).
    """
    rng = np.random.default_rng(seed)
    vocabulary = np.array(["".join(letters) for letters in np.array(list("etaoinshrdlucmfwypvbg"))[rng.integers(0, 21, (20_000, 6))]])
    vocabulary = np.array([word[: 2 + i % 5] + ("" if i < 200 else word[-1]) for i, word in enumerate(vocabulary)])
    weights = 1 / np.arange(1, len(vocabulary) + 1)
    weights /= weights.sum()
    texts: list[list[str]] = []
    pairs = []
    for i in range(documents):
        if i and rng.random() < copies:
            original = int(rng.integers(0, i))
            text = list(texts[original])
            for place in rng.integers(0, len(text), edits):
                text[place] = str(vocabulary[rng.integers(0, len(vocabulary))])
            pairs.append((original, i))
        else:
            size = max(5, int(rng.normal(words, words / 5)))
            text = vocabulary[rng.choice(len(vocabulary), size, p=weights)].tolist()
        texts.append(text)
    return Planted([" ".join(text) for text in texts], pairs)


def reuters() -> list[str] | None:
    """The 19,043 real stories, or None where they are absent."""
    if not REUTERS.exists():
        return None
    with gzip.open(REUTERS, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def of_length(texts: list[str], characters: int, documents: int) -> list[str]:
    """Documents of a given length, cut from texts joined end to end, again from the start where they do not suffice."""
    joined = "\n".join(texts)
    while len(joined) < characters * documents:
        joined += "\n" + joined
    return [joined[i * characters : (i + 1) * characters] for i in range(documents)]
