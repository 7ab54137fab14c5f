"""Hugging Face datasets: decisions for whole datasets, as functions for filter and map, and what the cache makes of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

import neardup
from neardup.errors import InputError
from neardup.interop import huggingface

TEXTS = ["one two three four", "One, two, three, four!", "other words", "", "other words", "one two three four"]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """No bars."""
    datasets.disable_progress_bars()


def stored(folder: Path, n: int = 1) -> datasets.Dataset:
    """A dataset in files, as those that are cached."""
    datasets.Dataset.from_dict({"text": TEXTS * n, "n": list(range(len(TEXTS) * n))}).save_to_disk(folder / "data")
    return datasets.load_from_disk(folder / "data")


def test_whole_datasets(tmp_path: Path) -> None:
    """Rows are chosen; all columns stay; the same rows as deduplicate keeps."""
    for dataset in (datasets.Dataset.from_dict({"text": TEXTS, "n": range(6)}), stored(tmp_path)):
        clean = huggingface.deduplicate(dataset, text="text", threshold=0.9)
        assert isinstance(clean, datasets.Dataset)
        assert clean["n"][:] == [0, 2, 3]
        assert clean.features == dataset.features
        assert clean["n"][:] == neardup.deduplicate(dataset, text="text", threshold=0.9).kept
    chosen = dataset.select([5, 4, 1])
    assert huggingface.deduplicate(chosen)["n"][:] == [5, 4]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("workers", [None, 2])
def test_filter_and_map(tmp_path: Path, batched: bool, workers: int | None) -> None:
    """Row by row or in batches, alone or with workers: filter keeps what deduplicate keeps, map says what became of each."""
    dataset = stored(tmp_path, 20)
    decisions = huggingface.Decisions.of(dataset)
    given: dict[str, Any] = {"with_indices": True, "batched": batched, "num_proc": workers, **({"batch_size": 7} if batched else {})}
    assert dataset.filter(decisions, **given)["n"][:] == huggingface.deduplicate(dataset)["n"][:] == [0, 2, *range(3, 120, 6)]
    mapped = dataset.map(decisions.columns, **given)
    annotations = neardup.deduplicate(dataset, text="text").annotations()
    for name in ("kept", "cluster", "witness", "similarity"):
        assert mapped[name][:] == annotations[name].to_pylist(), name


def test_what_older_documents_removed_names_no_row(tmp_path: Path) -> None:
    """Its witness is not among the rows, and no number says otherwise; filter leaves it out."""
    dataset = datasets.Dataset.from_dict({"text": TEXTS, "n": list(range(6))})
    older = neardup.Index(0.9)
    older.add("x", TEXTS[0])
    decisions = huggingface.Decisions.of(dataset, against=older, threshold=0.9)
    assert dataset.filter(decisions, with_indices=True)["n"][:] == [2, 3]
    mapped = dataset.map(decisions.columns, with_indices=True)
    assert mapped["cluster"][:] == [None, None, 2, 3, 2, None]
    assert mapped["witness"][:] == [None, None, None, None, 2, None]


CODE = """
import sys, datasets
from datasets.fingerprint import Hasher
from neardup.interop.huggingface import Decisions
datasets.disable_progress_bars()
dataset = datasets.load_from_disk(sys.argv[1])
decisions = Decisions.of(dataset, threshold=float(sys.argv[2]))
calls = []
class Counted(Decisions):
    pass
clean = dataset.filter(decisions, with_indices=True, batched=True)
print(Hasher.hash(decisions), clean._fingerprint, len(clean.cache_files), len(clean))
"""


def test_the_fingerprint_is_stable(tmp_path: Path) -> None:
    """In another process, with another seed of hashes and other threads, the cache is found; other decisions have another."""
    stored(tmp_path, 20)

    def run(threshold: float, seed: str) -> list[str]:
        env = {**os.environ, "PYTHONHASHSEED": seed, "HF_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", CODE, str(tmp_path / "data"), str(threshold)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout.split()

    first = run(0.8, "1")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").glob("cache-*")}
    assert files
    assert run(0.8, "2") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").glob("cache-*")} == files


def test_other_decisions_have_another_fingerprint() -> None:
    """What is decided is in the fingerprint, and nothing else."""
    hashed = datasets.fingerprint.Hasher.hash
    dataset = datasets.Dataset.from_dict({"text": ["a b c d e f", "a b c d e f g"]})
    strict, loose = huggingface.Decisions.of(dataset, threshold=0.9), huggingface.Decisions.of(dataset, threshold=0.3)
    assert hashed(strict) == hashed(huggingface.Decisions.of(dataset, threshold=0.95, threads=1))
    assert hashed(strict) != hashed(loose)
    assert hashed(loose.columns) != hashed(strict.columns)


def test_what_is_no_dataset(tmp_path: Path) -> None:
    """Several splits, streams and lists are refused, with what to give; so are rows of another dataset."""
    dataset = stored(tmp_path)
    with pytest.raises(TypeError, match=r"the dataset is a DatasetDict; give a datasets.Dataset: dataset\['train'\], and against="):
        huggingface.deduplicate(datasets.DatasetDict(train=dataset))
    with pytest.raises(TypeError, match=r"IterableDataset; give a datasets.Dataset; neardup.unique\(dataset\) goes over"):
        huggingface.deduplicate(dataset.to_iterable_dataset())
    with pytest.raises(TypeError, match="the dataset is a list"):
        huggingface.Decisions.of(["a"])
    decisions = huggingface.Decisions.of(dataset)
    with pytest.raises(InputError, match=r"row 6 of a dataset of 6 rows; decide on this dataset: Decisions.of\(dataset\)"):
        decisions(None, [5, 6])


def test_streamed_datasets(tmp_path: Path) -> None:
    """``neardup.unique`` goes over a dataset that is streamed, and makes one again."""
    streamed = stored(tmp_path, 3).to_iterable_dataset()
    assert [row["n"] for row in neardup.unique(streamed)] == [0, 2, 3, 9, 15]
    again = datasets.IterableDataset.from_generator(neardup.unique, gen_kwargs={"stream": streamed})
    for _ in range(2):
        assert [row["n"] for row in again] == [0, 2, 3, 9, 15]
