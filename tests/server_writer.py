"""A process that writes to an index on a server, for tests that kill it, or run many: says what was acknowledged, a line each."""

import random
import sys
import time

from neardup import Index


def texts(seed):
    """Groups of near-duplicates, the same for all processes: each word list, and variants with a word changed."""
    choose = random.Random(seed)
    while True:
        words = [choose.choice("abcdefghij") + str(choose.randrange(300)) for _ in range(60)]
        for variant in range(6):
            yield variant, [*words[:variant], f"changed{variant}", *words[variant + 1 :]]


def storm(index, number, seconds):
    """Add the same near-duplicates as all others do, in another order."""
    end, choose, made = time.monotonic() + seconds, random.Random(number), texts(7)
    n = 0
    while time.monotonic() < end:
        some = [" ".join(words) for _, words in (next(made) for _ in range(24))]
        choose.shuffle(some)
        for text in some:
            n += 1
            if index.add_unless_duplicate(f"{number}-{n}", text) is None:
                print("added", f"{number}-{n}", text, sep="\t", flush=True)


def batches(index, number, seconds):
    """Add batches, update, and remove all but the last; each is said when it is acknowledged."""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        n += 1
        index.add_many(
            [f"{number}-{n}-{i}" for i in range(20)], [f"text {number} {n // 2} {i // 2} " + "of some words " * 3 for i in range(20)]
        )
        print("added", n, flush=True)
        index.update(f"{number}-{n}-0", f"another text {n}")
        if n % 3 == 0:
            index.remove(f"{number}-{n}-1")
            print("removed", n, flush=True)


if __name__ == "__main__":
    what, address, name, number, seconds = sys.argv[1:]
    with Index.open(address, name=name) as opened:
        print("open", flush=True)
        sys.stdin.readline()
        {"storm": storm, "batches": batches}[what](opened, int(number), float(seconds))
