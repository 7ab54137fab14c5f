"""The report of a large corpus: how long it takes, how large it is, how quickly a browser opens it."""

import random
import shutil
import time

import pytest

import neardup

pytestmark = pytest.mark.prove

DOCUMENTS = 1_000_000


def texts():
    """A million short texts, one in ten an edited copy of an earlier one, and a template."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnoprstu", k=rng.randint(2, 10))) for _ in range(20_000)]
    frame, made = rng.choices(words, k=40), []
    for i in range(DOCUMENTS):
        if i % 10 == 9:
            own = made[rng.randrange(len(made))].split()
            own[rng.randrange(len(own))] = rng.choice(words)
        elif i % 100 == 5:
            own = frame[:20] + rng.choices(words, k=12) + frame[20:]
        else:
            own = rng.choices(words, k=40)
        made.append(" ".join(own))
    return made


def test_a_report_of_a_million_documents(tmp_path, record_property):
    """Under five megabytes, opened by a browser in under two seconds."""
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    result = neardup.deduplicate(texts())
    start = time.perf_counter()
    result.report(path)
    record_property("seconds to write", round(time.perf_counter() - start, 1))
    record_property("megabytes", round(path.stat().st_size / 1e6, 2))
    assert path.stat().st_size < 5e6
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(path.as_uri(), wait_until="load")
        assert "documents went in" in tab.locator(".lead").inner_text()
        opened = time.perf_counter() - start
        browser.close()
    record_property("seconds to open", round(opened, 2))
    assert opened < 2
