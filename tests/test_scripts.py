"""What `words-v1` makes of the world's scripts: golden/scripts.json, written by hand, each case with a word why."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from neardup import reference
from neardup.shingling import Shingling

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "scripts.json").read_text(encoding="utf-8"))
every_case = pytest.mark.parametrize("case", CASES, ids=[case["script"] for case in CASES])


@every_case
def test_tokens(case: dict[str, Any]) -> None:
    """The kernels cut each script into the tokens that a person expects."""
    assert Shingling().tokenize(case["text"]) == case["tokens"], case["why"]


@every_case
def test_tokens_of_the_specification(case: dict[str, Any]) -> None:
    """So does the specification."""
    assert reference.words(case["text"]) == case["tokens"], case["why"]


@every_case
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_canonical_forms_are_one_text(case: dict[str, Any], form: Any) -> None:
    """Composed or decomposed, a text has the same tokens, characters and shingle hashes."""
    other = unicodedata.normalize(form, case["text"])
    assert Shingling().tokenize(other) == case["tokens"]
    for tokens in ("words", "chars"):
        shingling = Shingling(tokens=tokens, size=2)
        assert shingling.tokenize(other) == shingling.tokenize(case["text"])
        assert shingling.hashes(other).tolist() == shingling.hashes(case["text"]).tolist()


@every_case
def test_tokens_are_their_own_tokens(case: dict[str, Any]) -> None:
    """Text made of the tokens, a space between two, has those tokens again: normalisation is closed."""
    assert Shingling().tokenize(" ".join(case["tokens"])) == case["tokens"]


@every_case
def test_characters_are_those_of_the_words(case: dict[str, Any]) -> None:
    """With ``tokens="chars"`` the same characters come, and a space only where something stood between two words."""
    characters = Shingling(tokens="chars").tokenize(case["text"])
    assert characters == reference.chars(case["text"])
    assert "".join(map(str, characters)).replace(" ", "") == "".join(case["tokens"])
    assert all(len(str(c)) == 1 for c in characters)


def test_the_cases_cover_the_world() -> None:
    """At least 40 cases of at least 22 scripts or languages, none twice, each with a reason."""
    assert len({case["script"] for case in CASES}) == len(CASES) >= 40
    assert len({case["script"].split(",")[0].split(":")[0] for case in CASES}) >= 22
    assert all(len(case["why"]) > 20 for case in CASES)


def test_upper_and_lower_case_are_one_text() -> None:
    """Capitals change nothing in scripts that have them, but for the dotless i."""
    for case in CASES:
        if not case["script"].startswith("Turkish"):
            assert Shingling().tokenize(case["text"].upper()) == case["tokens"], case["script"]


@pytest.mark.parametrize(("text", "size", "shingles"), [
    ("我们在北京", 3, ["我 们 在", "们 在 北", "在 北 京"]),
    ("To be, or not to be", 2, ["to be", "be or", "or not", "not to"]),
    ("भाषा", 5, ["भाषा"]),
    ("👍🏽 👩\u200d👧", 1, []),
])  # fmt: skip
def test_shingles_for_people(text: str, size: int, shingles: list[str]) -> None:
    """Shingles are shown in order of first appearance, each once."""
    assert Shingling(size=size).shingles(text) == shingles
    assert len(Shingling(size=size).hashes(text)) == len(shingles)


def test_character_shingles_for_people() -> None:
    """Characters are joined by nothing, separators are one space, none at the ends."""
    assert Shingling(tokens="chars", size=3).shingles("--A  b; ç!") == ["a b", " b ", "b ç"]
