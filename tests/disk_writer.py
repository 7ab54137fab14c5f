"""A process that writes to an index on disk until it is killed; the operations follow from a seed, so a test can repeat them."""

import random
import sys

from neardup import Index
from neardup.stores import disk

WORDS = [f"word{i}" for i in range(20)]


def text(rng):
    """Some words, some of them everyone's."""
    return " ".join(["one common beginning of every text"] * (rng.random() < 0.3) + rng.choices(WORDS, k=rng.randint(0, 30)))


def operations(seed):
    """For ever: the name of a method, its arguments, and the texts that there are after it."""
    rng, texts, number = random.Random(seed), {}, 0
    while True:
        kind = rng.choice(["add", "add", "add_many", "remove", "update", "compact"])
        texts = dict(texts)
        if kind == "add":
            texts[number] = text(rng)
            given = (number, texts[number])
            number += 1
        elif kind == "add_many":
            new = {number + i: text(rng) for i in range(rng.randint(1, 12))}
            texts |= new
            given = (list(new), list(new.values()))
            number += len(new)
        elif kind == "compact":
            if rng.random() < 0.7:
                continue
            given = ()
        elif not texts:
            continue
        else:
            id = rng.choice(list(texts))
            del texts[id]
            if kind == "update":
                texts[id] = text(rng)
            given = (id, texts[id]) if kind == "update" else (id,)
        yield kind, given, texts


if __name__ == "__main__":
    # So small that a short run folds and merges many times.
    disk.TAIL, disk.BULK, disk.SEGMENTS = 8, 6, 3
    index = Index.open(sys.argv[1], threshold=0.5)
    for done, (kind, given, _) in enumerate(operations(int(sys.argv[2])), 1):
        getattr(index, kind)(*given)
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
