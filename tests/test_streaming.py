"""A stream without its near-duplicates: which documents are passed on, when, and in how much memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neardup
from neardup.errors import ParameterError
from neardup.shingling import Shingling

LINES = ["One two three four five six.", "seven", "one two three, four five six", "", "eight", "seven!", "..."]
PASSED = [0, 1, 3, 4, 6]


def test_texts_and_records() -> None:
    """Texts, mappings by key, anything by a function; what is passed on is the document itself."""
    assert list(neardup.unique(LINES)) == [LINES[i] for i in PASSED]
    records = [{"n": n, "text": line, "body": line} for n, line in enumerate(LINES)]
    assert [record["n"] for record in neardup.unique(records)] == PASSED
    assert list(neardup.unique(records, text="body")) == [records[i] for i in PASSED]
    assert all(a is records[i] for a, i in zip(neardup.unique(records), PASSED, strict=True))
    assert [n for n, _ in neardup.unique(enumerate(LINES), text=lambda pair: pair[1])] == PASSED
    assert list(neardup.unique([{"text": None}, {"text": None}])) == [{"text": None}] * 2


def test_jsonl() -> None:
    """Lines of JSONL as they are read, by a function that finds their text."""
    file = io.StringIO("".join(json.dumps({"text": line}) + "\n" for line in LINES))
    assert len(list(neardup.unique(file, text=lambda line: json.loads(line)["text"]))) == len(PASSED)


def test_nothing_is_read_ahead() -> None:
    """A document is passed on before the next one is asked for."""
    read = []

    def stream() -> Iterator[str]:
        for line in LINES:
            read.append(line)
            yield line

    passed = neardup.unique(stream())
    assert read == []
    assert next(passed) == LINES[0]
    assert read == LINES[:1]
    assert next(passed) == LINES[1]
    assert read == LINES[:2]
    assert next(passed) == ""
    assert read == LINES[:4]


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 8))
def test_the_oldest_are_forgotten(numbers: list[int], remember: int) -> None:
    """Of the documents that were passed on the last ones are remembered, so many, and no others."""
    texts = [f"{'abcdefghijklm'[n] * 3} word" for n in numbers]
    expected: list[str] = []
    for text in texts:
        if text not in expected[-remember:]:
            expected.append(text)
    assert list(neardup.unique(texts, remember=remember)) == expected


def test_parameters() -> None:
    """Those of an index; what a stream cannot do is refused at once, not at the first document."""
    near = ["a b c d e f", "a b c d e f g"]
    for verify in ("estimate", "exact"):
        assert len(list(neardup.unique(near, threshold=0.3, verify=verify))) == 1
        assert len(list(neardup.unique(near, threshold=0.99, verify=verify))) == 2
    assert len(list(neardup.unique(["a b", "b c"], threshold=0.3, shingling=Shingling(size=1)))) == 1
    assert len(list(neardup.unique(["shorter title", "shorter titles"], profile="short"))) == 1
    for profile in ("ocr", "excerpt"):
        with pytest.raises(ParameterError, match=f"profile is '{profile}', which judges documents by a whole corpus; a stream takes"):
            neardup.unique([], profile=profile)
    with pytest.raises(ParameterError, match="verify is 'noisy'; a stream takes 'estimate' or 'exact'"):
        neardup.unique([], verify="noisy")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="remember is 0; it goes from 1"):
        neardup.unique([], remember=0)
    with pytest.raises(TypeError, match="the stream is one str; it is an iterable of documents"):
        neardup.unique("abc")


@pytest.mark.parametrize(("documents", "text", "words"), [
    (["a", 7], None, "the text of document 1 is of type int; a text is a str: text= names its key, or a function"),
    ([{"text": "a"}, {"txt": "b", "n": 1}], None, "document 1 has no 'text', it has 'txt', 'n'; text= names the key of the text"),
    ([{"text": ["a"]}], "text", "the text of document 0 is of type list"),
    ([b"a"], None, "the text of document 0 is of type bytes"),
])  # fmt: skip
def test_documents_without_text(documents: list[Any], text: Any, words: str) -> None:
    """What has no text is refused, with its place."""
    with pytest.raises(TypeError, match=words):
        list(neardup.unique(documents, text=text))


def test_memory_is_bounded() -> None:
    """Two hundred thousand documents, of which twenty thousand are remembered, take no more memory than the first forty thousand."""
    code = """
import resource, neardup
def stream(n):
    for i in range(n):
        yield {"text": " ".join(str(i * 7919 + j * j) for j in range(12))}
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
passed, peaks = 0, []
for _ in neardup.unique(stream(200_000), remember=20_000):
    passed += 1
    if passed in (40_000, 200_000):
        peaks.append(peak())
print(passed, *peaks)
"""
    passed, early, late = map(
        int, subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    )
    assert passed == 200_000
    assert late <= early + 16


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ({"text": ["a", "b"]}, "the stream is a dict; go over documents in an order"),
        ({"a", "b"}, "the stream is a set; go over documents in an order"),
        (pd.DataFrame({"text": ["a", "b"]}), "the stream is a DataFrame, which goes over its columns; go over its rows"),
        (pl.DataFrame({"text": ["a", "b"]}), "the stream is a DataFrame, which goes over its columns; go over its rows"),
    ],
)
def test_what_is_no_stream_of_documents(stream: Any, words: str) -> None:
    """Names of columns and keys are no documents."""
    with pytest.raises(TypeError, match=words):
        neardup.unique(stream)


def test_a_key_for_texts_is_refused() -> None:
    """It would mean nothing."""
    with pytest.raises(TypeError, match="document 0 is a text, and text is 'body'; leave it out, or give dictionaries"):
        list(neardup.unique(["a"], text="body"))
