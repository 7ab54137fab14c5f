"""A process that writes to an index on any store until it is killed; its operations follow from a seed and from what was there."""

import contextlib
import random

from neardup import Index, ServerError
from neardup.stores import disk

THRESHOLD = 0.5
WORDS = [f"word{i}" for i in range(40)]
#: Documents, at which there are more removals than additions.
MANY = 250


def text(rng, texts):
    """Some words, or another text with a word changed, or nothing."""
    if texts and rng.random() < 0.4:
        words = rng.choice(list(texts.values())).split()
        if words:
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        return " ".join(words)
    return " ".join(rng.choices(WORDS, k=rng.randint(0, 30)))


def operations(seed, texts):
    """For ever: the name of a method, its arguments, and the texts that there are after it."""
    rng = random.Random(seed)
    number = max(texts, default=-1) + 1
    while True:
        removals = 4 if len(texts) > MANY else 1
        kinds = ["add", "add_many", "query", "query_stored", "update", "add_unless_duplicate", *["remove"] * removals, "compact"]
        kind = rng.choice(kinds)
        texts = dict(texts)
        if kind == "add":
            given = (number, text(rng, texts))
            texts[number] = given[1]
            number += 1
        elif kind == "add_many":
            new = {number + i: text(rng, texts) for i in range(rng.randint(1, 15))}
            texts |= new
            given = (list(new), list(new.values()))
            number += len(new)
        elif kind == "add_unless_duplicate":
            copied = [words for words in texts.values() if words]
            if copied and rng.random() < 0.5:
                given = (number, rng.choice(copied).upper())
            else:
                given = (number, " ".join(f"only{number}{i}" for i in range(8)))
                texts[number] = given[1]
            number += 1
        elif kind == "compact":
            if rng.random() < 0.8:
                continue
            given = ()
        elif kind == "query":
            given = (rng.choice([*texts.values(), "word0 word1"]),)
        elif not texts:
            continue
        else:
            id = rng.choice(list(texts))
            given = (id,)
            if kind != "query_stored":
                del texts[id]
            if kind == "update":
                texts[id] = text(rng, texts)
                given = (id, texts[id])
        yield kind, given, texts


def write(place, seed, texts, said):
    """Do what the seed says and acknowledge each operation; where a server stays away, end with what was not acknowledged."""
    # So small that a short run folds and merges many times.
    disk.TAIL, disk.BULK, disk.SEGMENTS = 8, 6, 3
    with contextlib.suppress(ServerError, BrokenPipeError):
        index = Index.open(**place, threshold=THRESHOLD)
        said.send("open")
        for kind, given, there in operations(seed, texts):
            found = getattr(index, kind)(*given)
            wrong = kind == "query" and not {id for id, words in there.items() if words and words == given[0]} <= {m.id for m in found}
            said.send(f"{kind}{given} found {found}" if wrong else "done")
