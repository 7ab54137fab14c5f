"""Fragments of the changelog, and the promise that the schemes are what the page of versions names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from neardup.minhash import SCHEMES

ROOT = Path(__file__).parents[1]
FRAGMENTS = sorted(path for path in (ROOT / "changelog.d").glob("*") if path.name != "README.md")
KINDS = ("added", "changed", "deprecated", "removed", "fixed")


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_one_sentence_of_a_kind(path: Path) -> None:
    """Its name says the kind, and it holds one line that ends."""
    assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md", path.name), f"{path.name}: NAME.KIND.md, KIND one of {', '.join(KINDS)}"
    text = path.read_text(encoding="utf-8")
    assert text.endswith(".\n"), path.name
    assert text.count("\n") == 1, path.name


def test_fragments_become_an_entry() -> None:
    """What `just changes` shows has every fragment, under its kind."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next", "--dir", str(ROOT)]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    for path in FRAGMENTS:
        assert path.read_text(encoding="utf-8").strip() in shown, path.name
    assert shown.count("\n- ") == len(FRAGMENTS)


def test_the_page_names_every_scheme() -> None:
    """What is promised for ever is what there is."""
    page = (ROOT / "docs" / "reference" / "versions.md").read_text(encoding="utf-8")
    for scheme in (*SCHEMES, "words-v1"):
        assert f"`{scheme}`" in page
