"""Generated corpora for Spark, in Parquet files: ids are strings, and a column says an order that is neither theirs nor the rows'."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = 200_000


def words():
    """Words of which few are frequent when they are drawn by a power."""
    return np.array([f"{chr(97 + i % 26)}{i:x}{'aeiou'[i % 5]}" for i in range(WORDS)], object)


def ordinary(rng, count, length):
    """Documents of so many words, one in ten a near-copy of an earlier one."""
    drawn = (WORDS ** rng.random((count, length))).astype(np.int64) - 1
    copies = np.flatnonzero(rng.random(count) < 0.1)
    copies = copies[copies > 0]
    drawn[copies] = drawn[(copies * rng.random(len(copies))).astype(np.int64)]
    drawn[copies, rng.integers(0, length, len(copies))] = rng.integers(0, WORDS, len(copies))
    return [" ".join(row) for row in words()[drawn].tolist()]


def letters(rng, count, owns):
    """Letters of one template of 104 words, of which each has some of its own at the end; one in twenty is a near-copy of one before it."""
    shared, made = [f"dear{i}" for i in range(104)], []
    for n, is_copy in zip(rng.choice(owns, count).tolist(), (rng.random(count) < 0.05).tolist(), strict=True):
        own = (
            made[rng.integers(len(made))].split()
            if is_copy and made
            else [*shared[: 104 - n], *(f"own{k}" for k in rng.integers(0, 2**40, n))]
        )
        own[-1] = f"own{rng.integers(2**40)}"
        made.append(" ".join(own))
    return made


def write(path, documents, *, skewed, length=150, seed=1, template=None, owns=(20,)):
    """Write a corpus into a folder of files of 50,000 rows.

    A tenth of a skewed one is empty, a tenth one text, a twentieth letters of a template, unless another number is told.
    """
    rng = np.random.default_rng(seed)
    texts = []
    if skewed:
        tenth = documents // 10
        texts += [""] * (tenth // 2) + [" ... "] * (tenth - tenth // 2)
        texts += ["This page cannot be found, please try again later or write to us."] * tenth
        texts += letters(rng, template or documents // 20, owns)
    while len(texts) < documents:
        texts += ordinary(rng, min(50_000, documents - len(texts)), length)
    place = rng.permutation(documents)
    order = rng.integers(0, documents, documents)
    path.mkdir(parents=True, exist_ok=True)
    for part in range(0, documents, 50_000):
        some = place[part : part + 50_000].tolist()
        table = pa.table({"id": [f"d{i}" for i in some], "text": [texts[i] for i in some], "when": order[some]})
        pq.write_table(table, path / f"{part // 50_000:04}.parquet", row_group_size=10_000)
