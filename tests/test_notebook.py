"""What notebooks show: all of it escaped, for every kind of index and result."""

import sys
import xml.etree.ElementTree as ET

import pytest

import neardup

TEXTS = ["one two three four five six", "One, two, three, four, five, six!", "seven"]
HOSTILE = "<script>alert(1)</script>"


def parsed(html):
    """The page as XML, which it is too."""
    return ET.fromstring(f"<div>{html}</div>")


@pytest.mark.parametrize("given", [{}, {"profile": "ocr"}, {"profile": "excerpt"}, {"verify": "estimate"}, {"verify": "rarity"}])
def test_an_index_and_its_matches(given):
    """Counts, parameters and the S-curve; each match in a row; nothing in an id is markup."""
    index = neardup.Index(**given)
    index.add_many([HOSTILE, "b"], TEXTS[:2])
    shown = parsed(index._repr_html_())
    assert ["documents", "2"] in [[cell.text for cell in row] for row in shown.iter("tr")]
    assert shown.find(".//polyline") is not None
    matches = parsed(index.query(TEXTS[0])._repr_html_())
    assert [cell.text for cell in matches.iter("td")][::3] == [HOSTILE, "b"]
    assert matches.find(".//script") is None
    assert "0 matches" in "".join(parsed(index.query("nothing of that")._repr_html_()).itertext())


@pytest.mark.parametrize("given", [{}, {"profile": "excerpt"}, {"threshold": 1.0}, {"exact": True}])
def test_a_result(given):
    """Its summary, and the first of what was removed; a plot of how similar that is."""
    for texts in (TEXTS, ["seven"], []):
        result = neardup.deduplicate(texts, **given)
        shown = parsed(result._repr_html_())
        assert ("The first that were removed" in "".join(shown.itertext())) == (len(texts) == 3)
        assert len(result.plot().axes[0].patches) == 40


def test_a_banding():
    """Its S-curve, drawn twice."""
    banding = neardup.Banding(21, 6)
    shown = parsed(banding._repr_html_())
    assert "Banding(bands=21, rows=6)" in "".join(shown.itertext())
    assert banding.plot().axes[0].lines[0].get_ydata()[-1] == 1


def test_without_matplotlib_it_is_said(monkeypatch):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        neardup.MissingDependencyError, match="plots are drawn by matplotlib, which is not installed; pip install matplotlib"
    ):
        neardup.Banding(21, 6).plot()
    evaluation = neardup.evaluate(TEXTS, [(0, 1)], profiles=["text"])
    with pytest.raises(neardup.MissingDependencyError, match="plots are drawn by matplotlib"):
        evaluation.plot("a.svg")
