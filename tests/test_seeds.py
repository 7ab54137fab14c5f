"""Three news stories, two of them the same: every way of asking says so. The texts are not part of the project."""

import json
import re
import subprocess
import sys
import sysconfig
from itertools import combinations
from pathlib import Path

import pytest

import neardup

SEEDS = Path(__file__).parents[2] / "shared" / "seeds"
NAMES = ["000", "003", "004"]

pytestmark = pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed stories are not on this machine")


@pytest.fixture(scope="module")
def paths():
    """The files by the numbers with which their names begin."""
    found = {path.name[:3]: path for path in sorted(SEEDS.glob("*.txt"))}
    assert list(found) == NAMES
    return found


@pytest.fixture(scope="module")
def texts(paths):
    """The stories by number."""
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


def by_regular_expression(a, b):
    """The word-5 Jaccard similarity of two English texts in three lines of standard library."""
    words = [re.findall(r"\w+", text.casefold()) for text in (a, b)]
    x, y = ({tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in words)
    return len(x & y) / len(x | y)


def test_jaccard_finds_the_copy(texts):
    """000 and 003 have similarity 0.936, 004 is like neither; and so say regular expressions and sets."""
    similarities = {pair: neardup.jaccard(*(texts[name] for name in pair)) for pair in combinations(NAMES, 2)}
    assert similarities == {pair: by_regular_expression(*(texts[name] for name in pair)) for pair in similarities}
    assert round(similarities["000", "003"], 3) == 0.936
    assert max(similarities["000", "004"], similarities["003", "004"]) < 0.1


def test_queries_find_the_copy(texts):
    """Each of the two stories finds itself and the other; 004 finds itself alone."""
    index = neardup.Index(0.8)
    index.add_many(texts.keys(), texts.values())
    found = {name: [(match.id, round(match.similarity, 3)) for match in index.query(text)] for name, text in texts.items()}
    assert found == {"000": [("000", 1.0), ("003", 0.936)], "003": [("003", 1.0), ("000", 0.936)], "004": [("004", 1.0)]}
    (pair,) = index.pairs().to_pylist()
    assert pair == {"a": "000", "b": "003", "similarity": neardup.jaccard(texts["000"], texts["003"])}


def test_adding_unless_duplicate_refuses_the_copy(texts):
    """000 and 004 are accepted, 003 is refused for 000."""
    index = neardup.Index(0.8)
    answers = {name: index.add_unless_duplicate(name, text) for name, text in texts.items()}
    assert (answers["000"], answers["004"]) == (None, None)
    assert (answers["003"].id, round(answers["003"].similarity, 3)) == ("000", 0.936)


def test_deduplicate_keeps_two(texts, paths):
    """Of the three, two are kept: the first of the two copies, or the longest."""
    result = neardup.deduplicate(list(texts.values()), 0.8)
    assert result.kept == [0, 2]
    assert [(r.id, r.witness, round(r.similarity, 3)) for r in result.removed] == [(1, 0, 0.936)]
    longest = max(NAMES[:2], key=lambda name: len(texts[name]))
    assert neardup.deduplicate(list(texts.values()), 0.8, keep="longest").kept == [NAMES.index(longest), 2]
    assert len(neardup.deduplicate(SEEDS, 0.8).kept) == 2
    assert len(neardup.deduplicate(list(paths.values()), 0.8).kept) == 2


def run(*arguments):
    """What the command prints, and its exit code."""
    command = Path(sysconfig.get_path("scripts")) / "neardup"
    program = [str(command)] if command.exists() else [sys.executable, "-c", "from neardup.cli import main; main()"]
    done = subprocess.run([*program, *map(str, arguments)], check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def named(row, *columns):
    """The beginnings of the names of the files that a row names."""
    return tuple(Path(row[column]).name[:3] for column in columns)


def test_the_command_pairs_finds_the_copy(paths):
    """`neardup pairs *.txt` into a pipe is one line of JSON that names both files and their similarity."""
    (row,), code = run("pairs", *paths.values())
    assert (named(row, "a", "b"), round(row["similarity"], 3), code) == (("000", "003"), 0.936, 0)
    assert {Path(row["a"]).name, Path(row["b"]).name} == {paths["000"].name, paths["003"].name}


def test_the_command_pairs_reads_a_folder():
    """`neardup pairs FOLDER` says the same, and with --fail-on-duplicates exits with 1."""
    (row,), code = run("pairs", SEEDS, "--fail-on-duplicates")
    assert (named(row, "a", "b"), round(row["similarity"], 3), code) == (("000", "003"), 0.936, 1)
    assert run("pairs", SEEDS, "--threshold", "0.95", "--fail-on-duplicates") == ([], 0)


def test_the_command_dedup_names_the_witness(paths):
    """`neardup dedup *.txt` into a pipe lists what is removed, and for which kept file."""
    (row,), code = run("dedup", *paths.values())
    assert (named(row, "id", "witness"), round(row["similarity"], 3), code) == (("003", "000"), 0.936, 0)


def test_the_command_compare_scores_two_files(paths):
    """`neardup compare A B` gives the similarity of two files."""
    (row,), _ = run("compare", paths["000"], paths["003"])
    assert round(row["similarity"], 3) == 0.936
    (row,), _ = run("compare", paths["000"], paths["004"])
    assert row["similarity"] < 0.1
