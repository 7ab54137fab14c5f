"""The page of quality is what its generator makes of the committed results, and these are results that can be."""

import itertools
import json
import re
from pathlib import Path

import pytest
import quality_page

import neardup

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = json.loads((DOCS / "quality.json").read_text(encoding="utf-8"))


def corpora():
    """The results of every corpus that was evaluated."""
    for name, result in RESULTS["sets"].items():
        for part, one in result.get("parts", {"": result}).items():
            if "scores" in one:
                yield pytest.param(one, id=f"{name} {part}".strip())


def test_the_page_is_made_of_the_results(tmp_path):
    """docs/quality.md and its plots are, letter for letter, what docs/quality.json gives: `python benchmarks/quality.py --page`."""
    quality_page.write(RESULTS, tmp_path)
    assert (tmp_path / "quality.md").read_text(encoding="utf-8") == (DOCS / "quality.md").read_text(encoding="utf-8")
    plots = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "quality").iterdir()}
    assert plots == {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "quality").iterdir()}
    assert set(re.findall(r"\(quality/([^)]+)\)", (tmp_path / "quality.md").read_text(encoding="utf-8"))) == plots.keys()


def test_every_profile_is_measured():
    """Each has scores in some set, at its own threshold too, and every set says when and of what commit it is."""
    measured = {name for param in corpora() for name in param.values[0]["scores"]}
    assert measured == set(RESULTS["thresholds"]) == {"text", "short", "ocr", "code", "excerpt"}
    for result in RESULTS["sets"].values():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", result["date"])
        assert re.fullmatch(r"[0-9a-f]{7,}\+?", result["commit"])
    for name in measured:
        neardup.Profile.named(name)


@pytest.mark.parametrize("result", list(corpora()))
def test_scores_agree_with_each_other(result):
    """Precision, recall and F1 belong together, recall falls as the threshold rises, and what is wrong adds up."""
    for name, rows in result["scores"].items():
        assert [row[0] for row in rows] == sorted({row[0] for row in rows})
        assert all(one[2] >= other[2] for one, other in itertools.pairwise(rows))
        for _, precision, recall, f1, found in rows:
            assert f1 == pytest.approx(2 * precision * recall / (precision + recall) if precision + recall else 0, abs=2e-3)
            assert found >= 0
        own = quality_page.chosen(rows, RESULTS["thresholds"][name])
        duplicates = result.get("of", {}).get(name, result["duplicates"])
        if name != "excerpt" and "excerpt" not in result["scores"]:
            missed = sum(many for _, is_missed, many in result["wrong"][name] if is_missed)
            wrong = sum(many for _, is_missed, many in result["wrong"][name] if not is_missed)
            assert missed == pytest.approx(duplicates * (1 - own[2]), abs=1 + duplicates * 1e-4)
            assert wrong == pytest.approx(own[4] * (1 - own[1]), abs=1 + own[4] * 1e-4)
