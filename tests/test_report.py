"""The report: what it says, that hostile texts do nothing in it, and how it works in a real browser."""

import json
import random
import re
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import need
from hypothesis import given
from hypothesis import strategies as st

import neardup
from neardup.clusters import first_kept
from neardup.errors import InputError, ParameterError
from neardup.joins import Edges
from neardup.report.marking import AROUND, LONGEST, LOOKED_AT, marked, shortened
from neardup.results import _surely_removed

HOSTILE = [
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "</style></details><img src=x onerror=\"document.title='owned'\">",
    "{{ 7 * 7 }} {% include '/etc/passwd' %}",
    "\u202eright to left\u202c \ud800 lone \x00 null \x1b[31m",
    "javascript:document.title='owned'",
]


def words(n, seed):
    """A text of so many invented words."""
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(n))


def corpus():
    """Originals, copies, edited ones at many similarities, a few of nothing, one of a word."""
    texts = [words(60, seed) for seed in range(40)]
    for seed in range(30):
        changed = texts[seed].split()
        for place in range(0, seed // 3 * 6, 6):
            changed[place] = "other"
        texts.append(" ".join(changed))
    return [*texts, "?", "word", texts[0].upper()]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a small corpus."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    result = neardup.deduplicate(corpus(), 0.6, pairs="all")
    result.report(path)
    return path.read_text(), path, result


def test_it_says_what_happened(page):
    """The counts, the parameters, pairs on both sides of the threshold, clusters, and what is too short."""
    html, _, result = page
    assert f"{result.counters['documents']} documents went in" in html
    assert f"<strong>{result.counters['kept']} stay</strong>" in html
    assert '<th scope="row">bands and rows</th>' in html
    scores = [float(score) for score in re.findall(r'data-similarity="([^"]+)"', html)]
    assert any(score < 0.6 for score in scores)
    assert any(0.6 <= score < 0.7 for score in scores)
    assert "1 without any words" in html
    assert "1 contains no words at all, and stays: there is nothing to compare." in html
    assert "stays for 2 others" in html
    assert re.search(r"largest cluster has 3 documents, counting the one that stays\.", html)
    assert "other " in html


def test_the_same_result_makes_the_same_page(page, tmp_path):
    """There is no date in it, and nothing random."""
    again = neardup.deduplicate(corpus(), 0.6, pairs="all", threads=1)
    again.report(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page[0]


@pytest.mark.parametrize(
    "given",
    [{}, {"verify": "rarity"}, {"profile": "ocr"}, {"profile": "excerpt"}, {"exact": True}, {"clusters": "components"}, {"threshold": 1.0}],
)
def test_every_kind_of_job_has_a_report(given, tmp_path):
    """Whatever decides, and of a corpus in which nothing happens too."""
    for texts in (corpus(), ["one text"], []):
        neardup.deduplicate(texts, **given).report(tmp_path / "report.html")
        assert "</html>" in (tmp_path / "report.html").read_text()


def figures(html):
    """Of the histogram the sum, the steps of the slider, and the similarities of pairs by what they stand below."""
    histogram = html.split("Removed documents by their similarity")[1].split("</table>")[0]
    steps = json.loads(re.search(r'id="steps">(.*?)</script>', html)[1])
    kinds = dict.fromkeys(("Just above", "Just below", "Others"), "")
    for part in html.split("<h3>")[1:]:
        kinds[next(kind for kind in kinds if part.startswith(kind))] = part.split("</section>")[0]
    scores = {kind: [float(score) for score in re.findall(r'data-similarity="([^"]+)"', part)] for kind, part in kinds.items()}
    return sum(int(many) for many in re.findall(r"<span>([\d,]+)</span>", histogram)), steps, scores


def families(n, members, edits, drift):
    """Texts in families: copies of an original with some words changed, some of them twice; by drift also copies of such copies."""
    rng, texts = random.Random(7), []
    for seed in range(n):
        text = words(80, 100 + seed).split()
        for _ in range(members):
            changed = list(text)
            for _ in range(rng.randint(0, edits)):
                changed[rng.randrange(len(changed))] = f"edit{rng.randrange(3)}"
            texts += [" ".join(changed)] * rng.choice((1, 1, 2))
            if rng.random() < drift:
                text = changed
    return texts


def slider(result, tmp_path):
    """Of each threshold how many it would remove, and whether just so many."""
    result.report(tmp_path / "report.html")
    return {threshold: (removed, exact) for threshold, removed, exact in figures((tmp_path / "report.html").read_text())[1]}


@pytest.mark.parametrize(
    "given",
    [{}, {"pairs": "all"}, {"exact": True}, {"clusters": "components"}, {"verify": "rarity"}, {"profile": "excerpt"}, {"keep": "longest"}],
)
@pytest.mark.parametrize(("crowd", "shape"), [(False, (40, 6, 6, 0.5)), (True, (2, 250, 5, 0.0))])
def test_the_slider_says_what_a_run_at_that_threshold_removes(crowd, shape, given, tmp_path):
    """Of documents that were removed for a third one, those too that are copies of each other, or closer to each other."""
    texts = families(*shape)
    result = neardup.deduplicate(texts, 0.6, **given)
    assert result._whole is (not crowd or bool(given.keys() & {"pairs", "exact", "clusters"}))
    steps = slider(result, tmp_path)
    assert len(steps) == 41
    for threshold in (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0):
        many, exact = steps[threshold]
        assert exact
        again = neardup.deduplicate(texts, threshold, **{**given, "recall": 0.999})
        assert many == again.counters["removed"]
    if given.get("profile") != "excerpt":
        assert steps[1.0][0] == result.counters["copies"] > int((result.decisions.similarity == 1).sum())


def test_where_a_crowd_is_too_large_the_slider_says_at_least(tmp_path, monkeypatch, opened):
    """And it is at least so many, of which it says why."""
    texts = families(2, 250, 5, 0.0)
    result = neardup.deduplicate(texts, 0.6)
    monkeypatch.setattr("neardup.joins.PASSING", 0)
    steps = slider(result, tmp_path)
    assert steps.pop(0.6) == (result.counters["removed"], True)
    real = neardup.deduplicate(texts, 0.6, exact=True, pairs="all")
    for threshold, (many, exact) in steps.items():
        assert not exact
        assert result.counters["copies"] <= many <= real.rethreshold(threshold).counters["removed"]
    assert sum(many > result.counters["copies"] for many, _ in steps.values()) > 10
    tab = opened(tmp_path / "report.html")
    assert tab.locator("#would").text_content() == f"{result.counters['removed']} removed"
    tab.locator("#slider").fill("40")
    assert tab.locator("#would").text_content() == f"at least {result.counters['copies']} removed"
    assert "A run at that threshold says how many" in tab.locator("main").text_content()


@given(st.integers(0, 2**32), st.integers(2, 9))
def test_what_is_surely_removed_is_removed(seed, n):
    """Whatever matches among those that were not compared, and whatever older documents remove at either threshold."""
    rng = np.random.default_rng(seed)
    earlier, later = np.triu_indices(n, 1)
    every = Edges(earlier.astype(np.uint32), later.astype(np.uint32), rng.random(len(earlier)))
    older = np.where(rng.random(n) < 0.3, rng.random(n), 0)
    matches = every.where(every.similarity >= 0.5)
    kept = first_kept(older >= 0.5, matches)
    known = matches.where(kept[matches.earlier] != kept[matches.later])
    for threshold in (0.6, 0.8, 0.9):
        barred = older >= threshold
        sure = _surely_removed(kept, barred, known.where(known.similarity >= threshold))
        assert not (sure & first_kept(barred, matches.where(matches.similarity >= threshold))).any()


def test_what_older_documents_removed_is_counted(tmp_path):
    """In the histogram and at each step of the slider, as what is removed for a new one is."""
    texts = [" ".join([*words(40, seed).split(), "end"]) for seed in range(12)]
    older = neardup.Index(0.6)
    older.add_many(range(12), [text.replace("end", "other", 1) for text in texts])
    result = neardup.deduplicate([*texts, *(words(40, seed) for seed in range(50, 58))], 0.6, against=older)
    result.report(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    counted, steps, _ = figures(html)
    assert counted == result.counters["removed"] == steps[0][1] == steps[10][1] == 12
    assert steps[-1][1] == 0
    assert "Nothing but copies was removed" not in html


def test_chains_are_in_the_histogram(tmp_path):
    """What is less similar than the threshold too, of clusters that follow chains."""
    base = words(60, 1).split()
    texts = [" ".join([*[f"x{i}" for i in range(n)], *base[n:]]) for n in (0, 5, 10)]
    result = neardup.deduplicate(texts, 0.7, clusters="components")
    assert result.summary()["weakest"] < 0.7
    result.report(tmp_path / "report.html")
    assert figures((tmp_path / "report.html").read_text())[0] == 2


def test_a_result_decided_again_looks_below_its_own_threshold(tmp_path):
    """And of what just did not match shows only what stays, both of it."""
    first = neardup.deduplicate(corpus(), 0.5, pairs="all")
    for result in (first.rethreshold(0.8), neardup.deduplicate(corpus(), 0.8)):
        result.report(tmp_path / "report.html")
        html = (tmp_path / "report.html").read_text()
        below = figures(html)[2]["Just below"]
        assert below
        assert all(0.65 <= score < 0.8 for score in below)
    removed = {str(one.id) for one in result.removed}
    pairs = re.findall(r"<bdi>(\d+)</bdi> <span class=\"and\">and</span> <bdi>(\d+)</bdi>", html.split("Just below")[1].split("<h3>")[0])
    assert len(pairs) == len(below)
    assert not removed & {id for pair in pairs for id in pair}


@pytest.mark.parametrize("change", [lambda rows: rows[::-1], lambda rows: rows[:-1], lambda rows: [*rows, rows[0].replace('"0"', '"new"')]])
def test_files_that_changed_are_refused(tmp_path, change):
    """Another order, fewer documents, more: nothing is shown under a wrong name."""
    file = tmp_path / "news.jsonl"
    rows = [json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(corpus()[:50])]
    file.write_text("".join(rows))
    result = neardup.deduplicate(file, 0.6)
    file.write_text("".join(change(rows)))
    with pytest.raises(neardup.InputError, match="no longer the 50 documents that were read; leave files alone meanwhile"):
        result.report(tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_is_a_file_of_html(tmp_path):
    """Another name, a folder that is not there, and a read-only place are refused, and nothing is left behind."""
    result = neardup.deduplicate(["a", "b"])
    with pytest.raises(neardup.ParameterError, match=r"^the report is 'report.pdf'; it is a file of HTML: report.html$"):
        result.report("report.pdf")
    with pytest.raises(neardup.InputError, match=r"no such folder|does not exist|No such"):
        result.report(tmp_path / "nowhere" / "report.html")
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_is_marked_is_the_text(a, b):
    """Both sides together say all words of both, in order; what does not differ is the same on both sides but for case."""
    rows = marked(a, b)
    for side, text in (("a", a), ("b", b)):
        said = "".join(part.text for row in rows for part in getattr(row, side))
        assert re.sub(r"\s", "", said) == re.sub(r"\s", "", text)
    assert [p.differs for row in marked(a, a) for p in row.a] == [False] * sum(len(row.a) for row in marked(a, a))


def test_long_passages_are_folded():
    """What is in common is shown at both ends, what differs at both ends, of very long texts the beginning."""
    text = words(500, 1)
    first, fold, last = marked(text, text)
    assert fold.folded == f"{500 - 2 * AROUND} words in common"
    assert len(first.a[0].text.split()) == len(last.b[0].text.split()) == AROUND
    (row,) = marked(words(300, 2), words(300, 3))
    assert f" … {300 - LONGEST} words … " in row.a[0].text
    assert marked("a " * LOOKED_AT, "b")[-1].folded == f"the first {LOOKED_AT:,} characters are shown"
    assert shortened("one two\nthree", 8) == "one two …"


def test_lines_are_kept():
    """Code is read by its lines: those of both texts are kept, what they are indented by is not marked, and gaps close."""
    first = "def f(x):\r\n    if x:\n        return 1\n\n\n\n  \n    return x\n"
    (row,) = marked(first, first.replace("if x:", "while y:\n        y = g(y)\n       "))
    assert "".join(part.text for part in row.a) == "def f(x):\n    if x:\n        return 1\n\n    return x"
    assert [part.text for part in row.b if part.differs] == ["while y:", "y = g(y)"]
    assert shortened("a:\n    b\n") == "a:\n    b"


def test_it_says_which_document_was_removed(page):
    """In the line of each pair, and above each of its texts; of what does not match that both stay."""
    html, _, result = page
    removed = {str(one.id): str(one.witness) for one in result.removed}
    lines = re.findall(r"<summary>.*?</summary>", html.split('id="pairs"')[1].split('id="shape"')[0])
    pairs = [found.groups() for line in lines if (found := re.search(r"<bdi>(.*?)</bdi>.*>removed,<.*<bdi>(.*?)</bdi>.*>stays<", line))]
    assert len(pairs) > 5
    assert all(removed[one] == witness for one, witness in pairs)
    assert len(pairs) + sum("both stay" in line for line in lines) == len(lines)
    for one, witness in pairs:
        assert f"{witness} stays</th>" in html
        assert f"{one} was removed</th>" in html


@pytest.mark.parametrize("given", [lambda table: table, pa.Table.to_pandas, lambda table: table.to_pandas(types_mapper=pd.ArrowDtype)])
def test_columns_are_shown_beside_the_ids(tmp_path, given):
    """In pairs, clusters, and of documents too short to judge; a value that is missing is left out, a long one is shortened."""
    table = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "text": [words(12, 0), words(12, 0).upper(), f"{words(12, 0)} more", "?"],
            "source": ["Herald <b>", "Tribune", "x" * 1000, "Nobody"],
            "year": pa.array(["1901-02-03", None, "1903-01-01", "1904-01-01"]).cast(pa.timestamp("s")),
        }
    )
    neardup.deduplicate(given(table), 0.6).report(tmp_path / "report.html", columns=["source", "year"])
    html = (tmp_path / "report.html").read_text()
    assert html.count("<span>source</span> <bdi>Herald &lt;b&gt;</bdi>") == 2  # of the pair and the cluster that it stays for
    assert html.count("<span>year</span> <bdi>1901-02-03 00:00:00</bdi>") == 2
    assert html.count("<span>source</span> <bdi>Tribune</bdi>") == 1  # a copy, which is a member of the cluster
    assert html.count("<span>year</span>") == 2 + 1 + 1 + 1  # none of the copy, which has none
    assert f"<bdi>{'x' * 300} …</bdi>" in html
    assert "<bdi>d</bdi> " in html
    assert "<span>source</span> <bdi>Nobody</bdi>" in html


def test_columns_that_are_not_there_are_refused(tmp_path):
    """With their names, and what there is."""
    table = pa.table({"id": ["a"], "text": ["one two three four five six"]})
    with pytest.raises(InputError, match=r"no column 'source'; the columns are '?id"):
        neardup.deduplicate(table).report(tmp_path / "report.html", columns=["source"])
    with pytest.raises(ParameterError, match=r"column 'source' is asked for, but a list of 1 texts has no columns; leave it out"):
        neardup.deduplicate(["one"]).report(tmp_path / "report.html", columns=["source"])
    assert not (tmp_path / "report.html").exists()


def test_whether_there_is_boilerplate_is_said(tmp_path):
    """An example of each, or that there is none, or that it was not looked for."""
    frame = words(200, 1)
    templates = [f"{frame} {words(10, seed)}" for seed in range(2, 140)]
    said = {
        "distinct texts in a bucket": neardup.deduplicate(templates),
        "None: nowhere do more than 128 distinct texts agree in a part of their signature.": neardup.deduplicate(templates[:100]),
        "None: nowhere do more than 120 distinct": neardup.deduplicate(templates[:100], bucket_limit=120),
        "Not looked for: all pairs were compared": neardup.deduplicate(templates, exact=True),
        "agree in a shingle of the sample": neardup.deduplicate(templates[:100], profile="excerpt"),
    }
    for words_of_it, result in said.items():
        result.report(tmp_path / "report.html")
        assert words_of_it in (tmp_path / "report.html").read_text()


# ---- in a browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium."""
    need("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """What opens a page, and what it complained of."""
    complaints = []

    def opened(path, **given):
        tab = browser.new_page(**given)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: complaints.append(request.url) if not request.url.startswith("file:") else None)
        tab.goto(path.as_uri())
        return tab

    yield opened
    assert complaints == []


def test_slider_and_search_work(page, opened):
    """The slider says how many would be removed, and of each pair whether it would match; search hides what does not have it."""
    _, path, result = page
    tab = opened(path)
    assert tab.locator("#would").text_content() == f"{result.counters['removed']} removed"
    tab.locator("#slider").fill("40")
    assert tab.locator("#threshold").text_content() == "1"
    assert tab.locator("#would").text_content() == f"{result.rethreshold(1.0).counters['removed']} removed"
    assert set(tab.locator(".pair .verdict").all_text_contents()) == {"no match at 1"}
    tab.locator("#slider").fill("0")
    assert set(tab.locator(".pair .verdict").all_text_contents()) == {"a match at 0.6", "no match at 0.6"}
    tab.locator("#search").fill(corpus()[39].split()[0])
    assert tab.locator("#found").text_content() == "0 found"
    tab.locator("#search").fill("word")
    assert int(tab.locator("#found").text_content().split()[0]) >= 1
    assert tab.locator(".found:visible").count() == int(tab.locator("#found").text_content().split()[0])


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360)])
def test_it_fits_and_can_be_read(page, opened, scheme, width):
    """Nothing sticks out sideways, text stands out from its ground, all that can be used has a name; the theme can be changed."""
    tab = opened(page[1], color_scheme=scheme, viewport={"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    own, other = (tab.locator("details[open] .sides td:not([colspan])").nth(i).bounding_box() for i in (0, 1))
    assert (own["y"] + own["height"] <= other["y"] + 1) is (width < 720)  # one below the other
    label, drawing = (tab.locator(name).bounding_box() for name in (".curve text:last-child", ".curve"))
    assert label["y"] + label["height"] <= drawing["y"] + drawing["height"]
    contrast = """() => {
        const light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
            if (!c.endsWith(", 0)")) return c; } return "rgb(255, 255, 255)"; };
        return Math.min(...[...document.querySelectorAll("p,li,summary,del,ins,th,td,label,button,.note,.score,.excerpt")].map((e) => {
            const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); }));
    }"""
    assert tab.evaluate(contrast) >= 4.5
    before = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.locator("#theme").click()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert tab.evaluate("[...document.querySelectorAll('input,button')].every((e) => e.labels?.length || e.textContent)")


def test_hostile_texts_do_nothing(opened, tmp_path):
    """Markup, scripts, templates and marks of direction in texts, ids and names are shown as they are."""
    texts = [f"{text} {words(30, i)}" for i, text in enumerate(HOSTILE)]
    table = {"id": [*HOSTILE, *(f"{text} again" for text in HOSTILE)], "text": [*texts, *(f"{text} more" for text in texts)]}
    table["source"] = table["id"]
    neardup.deduplicate(pd.DataFrame(table, dtype=object)).report(tmp_path / "report.html", columns=["source"])
    html = (tmp_path / "report.html").read_text()
    assert "<script>document" not in html
    assert "<img" not in html
    assert "{{ 7 * 7 }}" in html
    tab = opened(tmp_path / "report.html")
    assert tab.title().startswith("Near-duplicates: 6 of 12")
    assert tab.locator("img").count() == 0
    assert tab.locator("script").count() == 2
