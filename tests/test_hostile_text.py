"""Text as nobody would write it: a defined result or a clear error, in bounded memory, never a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
import unicodedata
from typing import Any

import numpy as np
import pytest
import strategies as s
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from neardup import _kernels, reference
from neardup.minhash import MinHash, Signature
from neardup.shingling import Shingling

EXAMPLES = 100_000 if settings.get_current_profile_name() == "storm" else 400
SHINGLINGS = [Shingling(), Shingling(size=1), Shingling(tokens="chars", size=5), Shingling(size=32, secret=2**64 - 1)]


def assert_specified(text: str, shingling: Shingling) -> Signature:
    """A text is signed as the specification has it: shingles, values, count, verification hashes."""
    hashes = reference.shingle_hashes(s.reference_tokens(text, chars=shingling.chars), shingling.size, shingling.secret)
    assert_array_equal(shingling.hashes(text), hashes)
    signature = MinHash(num_perm=16, shingling=shingling).sign(text, hashes=True)
    assert_array_equal(signature.values, reference.signature(hashes, 16))
    assert signature.count == len(hashes)
    assert_array_equal(signature.hashes, reference.verification_hashes(hashes))
    return signature


# ---- nothing, or nothing to see --------------------------------------------------------------------------------------

NOTHING = ["", " ", "\n\t\r\x0b\x0c\x85\u00a0\u2028\u3000", "...", "\x00", "\x00" * 20_000, "\ud800", "\udfff\ud800", "\u200b\u00ad\ufeff", "👍🏽",
           "\u202e\u202d\u200f\u2066\u2069", "\ue000\U0010fffd", "\uffff\ufffe\ufdd0", "\u3164\u115f\uffa0", "🇫🇷", "−×÷", " " * 100_000]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING, ids=lambda text: ascii(text)[:40])
def test_no_token(text: str) -> None:
    """Without a token there is no shingle, and a text of separators, controls or invisible characters has none."""
    for shingling in SHINGLINGS:
        assert shingling.tokenize(text) == []
        assert shingling.shingles(text) == []
        assert shingling.hashes(text).shape == (0,)
        assert assert_specified(text, shingling).count == 0


def test_nul_and_surrogates_separate() -> None:
    """NUL and lone surrogates stand between words as spaces do; a pair of surrogates is not put together."""
    expected = ["one", "two", "three"]
    for text in ("one\x00two\x00\x00three\x00", "\ud800one\udfff\ud800two\udc00three\udbff", "one\ud83d\ude00two\udcffthree"):
        assert Shingling().tokenize(text) == expected
        assert Shingling(tokens="chars").tokenize(text) == list("one two three")
        assert_specified(text, SHINGLINGS[0])


@pytest.mark.parametrize("mark", ["\u202e", "\u202b", "\u200f", "\u2067", "\u061c"])
def test_right_to_left_marks(mark: str) -> None:
    """Directional marks change nothing, wherever they stand and however many."""
    plain = "left שמאל right ימין"
    marked = mark + mark.join(plain) + mark * 1000
    assert Shingling().tokenize(marked) == plain.split()
    for shingling in SHINGLINGS:
        assert_array_equal(shingling.hashes(marked), shingling.hashes(plain))
        assert_specified(marked, shingling)


# ---- too much of one thing -------------------------------------------------------------------------------------------


def one_shingle(tokens: list[str]) -> Any:
    """The hashes of a document of one shingle."""
    return reference.shingle_hashes(tokens, len(tokens))


@pytest.mark.parametrize("letter", ["x", "É", "ß", "\u0436", "\U00010400", "\u1e9e"])
def test_a_word_of_a_million_characters(letter: str) -> None:
    """One word is one token, hashed whole: a letter more or less is another document."""
    folded = letter.casefold()
    signature = MinHash().sign(letter * 1_000_000, hashes=True)
    assert signature.count == 1
    assert_array_equal(signature.hashes, reference.verification_hashes(one_shingle([folded * 1_000_000])))
    assert_array_equal(MinHash().sign(f" {letter * 1_000_000}!").values, signature.values)
    assert (MinHash().sign(letter * 999_999).values != signature.values).any()
    assert Shingling().tokenize(letter * 1_000_000) == [folded * 1_000_000]


def test_a_million_characters_one_by_one() -> None:
    """As characters the same word is a million tokens and one shingle."""
    signature = MinHash(shingling=Shingling(tokens="chars")).sign("x" * 1_000_000, hashes=True)
    assert signature.count == 1
    assert_array_equal(signature.hashes, reference.verification_hashes(one_shingle(["x"] * 5)))


@pytest.mark.parametrize("token", ["a", "word", "中", "กำ", "e\u0301", "👍🏽 a"])
def test_one_token_a_million_times(token: str) -> None:
    """Repeated, a token gives one shingle, or few."""
    text = f"{token} " * 1_000_000
    expected = reference.shingle_hashes(reference.words(f"{token} " * 20), 5)
    signature = MinHash().sign(text, hashes=True)
    assert signature.count == len(expected) <= 2
    assert_array_equal(signature.values, reference.signature(expected, 128))
    assert_array_equal(signature.hashes, reference.verification_hashes(expected))


MARKS = ["\u0301", "\u0323\u0301", "\u0301\u0323", "\u0345", "\u0f71\u0f72", "\u1161", "\u11a8", "\u3099", "\u05b0\u0301\u0327"]
BOMBS = "\ufdfa\ufdfb\u3316\u33ff\u1fb7\u0390\ufb03\u1e9e\U0001d15f\u0344\u2057\uac01"


@pytest.mark.parametrize("marks", MARKS, ids=ascii)
@pytest.mark.parametrize("base", ["a", "", "か"], ids=ascii)
def test_a_hundred_thousand_marks(base: str, marks: str) -> None:
    """A run of marks as long as a book is put in order and stays with its letter."""
    run = marks * (100_000 // len(marks))
    text = base + run + " end"
    ordered = base + "".join(sorted(run, key=unicodedata.combining)) + " end"  # the same text; Python takes long to order it
    for shingling in (SHINGLINGS[1], SHINGLINGS[2])[: 1 + (base == "a")]:
        tokens = s.reference_tokens(ordered, chars=shingling.chars)
        assert shingling.tokenize(text) == tokens
        assert_array_equal(shingling.hashes(text), reference.shingle_hashes(tokens, shingling.size))
        assert MinHash(shingling=shingling).sign(text).count == len(shingling.hashes(text))


@pytest.mark.parametrize("bomb", BOMBS, ids=ascii)
def test_decomposition_bombs(bomb: str) -> None:
    """A hundred thousand characters of which each becomes many."""
    text = bomb * 100_000
    tokens = reference.words(bomb * 1000)
    if len(tokens) == 1:
        assert Shingling().tokenize(text) == [tokens[0] * 100]
    else:
        assert "".join(map(str, Shingling().tokenize(text))) == "".join(tokens) * 100
    few = reference.shingle_hashes(reference.chars(bomb * 60), 5)
    assert_array_equal(Shingling(tokens="chars").hashes(text), few)
    assert MinHash(shingling=Shingling(tokens="chars")).sign(text).count == len(few)


@pytest.mark.parametrize("text", [
    "a\u0301" * 300_000, "\u0301" * 300_000, "\u1161" * 300_000, "ｶﾞ" * 200_000, "a" * 300_000 + "\u0301" * 300_000, "中\u0301" * 200_000,
    "\u00ad" * 500_000 + "a", ("x" * 5000 + "\u0301") * 100, "." + "\u0323\u0301" * 200_000, "é" * 500_000, "a\u0345\u0301" * 100_000,
], ids=lambda text: ascii(text[:4]))  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    """The time is that of any text of its length, whatever stands in it: half a million characters in far less than a second."""
    for shingling in (SHINGLINGS[0], SHINGLINGS[2]):
        start = time.perf_counter()
        MinHash(shingling=shingling).sign(text)
        assert time.perf_counter() - start < 2


# ---- everything ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, -1, 7919])
def test_every_code_point_in_one_text(step: int) -> None:
    """All 1,114,112 code points one after another, in three orders, assigned or not, alone and with a letter between."""
    text = "".join(chr(i * step % 0x110000) for i in range(0x110000))
    assert len(set(text)) == 0x110000
    for shingling in SHINGLINGS[:3]:
        signature = MinHash(shingling=shingling).sign(text, hashes=True)
        tokens = shingling.tokenize(text)
        again = MinHash(shingling=shingling).sign_tokens(tokens, hashes=True)
        assert signature == again
        assert_array_equal(signature.hashes, again.hashes)
        assert signature.count > 100_000
    known = "".join(chr(c) for c in s.known()[:: 40 if step == 1 else 97])
    assert s.kernel_tokens(known) == reference.words(known)


def assert_any_text(texts: list[str], shingling: Shingling) -> None:
    """Alone and in a batch, texts are signed as specified."""
    singles = [assert_specified(text, shingling) for text in texts]
    batch = MinHash(num_perm=16, shingling=shingling).sign_many(texts, threads=2)
    assert list(batch) == singles


any_texts = given(st.lists(s.texts(), max_size=3), st.sampled_from(SHINGLINGS))


@any_texts
@settings(max_examples=EXAMPLES)
def test_any_text(texts: list[str], shingling: Shingling) -> None:
    """Hundreds of texts made to break things."""
    assert_any_text(texts, shingling)


@pytest.mark.prove
@any_texts
def test_a_storm_of_texts(texts: list[str], shingling: Shingling) -> None:
    """A hundred thousand of them."""
    assert_any_text(texts, shingling)


def assert_any_bytes(columns: list[bytes], chars: bool) -> None:
    """Columns of bytes are signed as their decoded text is."""
    data, offsets = s.flat(columns, np.uint8)
    recipe = s.recipe(chars=chars, size=2, num_perm=16)
    texts = [column.decode("utf-8", "surrogateescape") for column in columns]
    assert s.same_arrays(s.sign_column(data, offsets, recipe, 1), _kernels.sign_texts(texts, recipe, 1))


any_bytes = given(st.lists(st.one_of(s.damaged_utf8(), st.binary(max_size=60)), max_size=4), st.booleans())


@any_bytes
@settings(max_examples=EXAMPLES)
def test_any_bytes(columns: list[bytes], chars: bool) -> None:
    """Hundreds of damaged columns."""
    assert_any_bytes(columns, chars)


@pytest.mark.prove
@any_bytes
def test_a_storm_of_bytes(columns: list[bytes], chars: bool) -> None:
    """A hundred thousand of them."""
    assert_any_bytes(columns, chars)


def test_random_bytes_of_every_kind() -> None:
    """Five megabytes of noise, of high bytes only, of lead bytes only: what decoding and the specification say."""
    random = np.random.default_rng(6)
    noise = [random.integers(low, 256, 500_000, dtype=np.uint8) for low in (0, 0x80, 0xC0, 0xE0, 0xF0)]
    noise += [np.where(random.random(500_000) < 0.5, bytes_, random.integers(32, 127, 500_000)).astype(np.uint8) for bytes_ in list(noise)]
    data, offsets = s.flat(noise, np.uint8)
    for chars in (False, True):
        recipe = s.recipe(chars=chars, num_perm=16)
        texts = [column.tobytes().decode("utf-8", "surrogateescape") for column in noise]
        column = s.on_every_path(lambda recipe: s.sign_column(data, offsets, recipe, 2), recipe)
        assert s.same_arrays(column, _kernels.sign_texts(texts, recipe, 1))
    short = noise[5].tobytes()[:30_000].decode("utf-8", "surrogateescape")
    assert s.kernel_tokens(short) == reference.words(short)


# ---- what is no text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "words"), [
    (None, "a text is a str, not NoneType"), (3, "a text is a str, not int"), (1.5, "not float"), (True, "not bool"), (["a"], "not list"),
    (b"a", r"a text is a str, not bytes; decode it first: text.decode\('utf-8'\)"), (bytearray(b"a"), "not bytearray; decode it first"),
    (np.str_, "not type"),
])  # fmt: skip
def test_what_is_no_text(value: Any, words: str) -> None:
    """One value that is no string is refused, and the message says what was given."""
    for refused in (MinHash().sign, Shingling().tokenize, Shingling().shingles, Shingling().hashes, Shingling(tokens=str.split).hashes):
        with pytest.raises(TypeError, match=words):
            refused(value)


@pytest.mark.parametrize("value", [3, 1.5, b"a", ["a"], {}])
@pytest.mark.parametrize("shingling", [Shingling(), Shingling(tokens="chars"), Shingling(tokens=str.split)])
def test_what_is_no_text_in_a_batch(value: Any, shingling: Shingling) -> None:
    """In a batch the message gives its place and type, and nothing is signed."""
    with pytest.raises(TypeError, match=f"text 2 is of type {type(value).__name__}; a text is a str"):
        MinHash(shingling=shingling).sign_many(["a", "b", value, "c"])
    with pytest.raises(TypeError, match=f"text 0 is of type {type(value).__name__}; a text is a str"):
        MinHash(shingling=shingling).sign_many([value])


def test_none_in_a_list() -> None:
    """A list holds texts; None is none."""
    with pytest.raises(TypeError, match="text 1 is of type NoneType; a text is a str"):
        MinHash().sign_many(["a", None])  # type: ignore[list-item]


def test_one_text_is_no_batch() -> None:
    """One string given for many is refused, instead of being taken for a list of letters."""
    with pytest.raises(TypeError, match=r"texts is one str; it is an iterable of texts: \[text\], or sign\(text\)"):
        MinHash().sign_many("one text")


@pytest.mark.parametrize("value", [None, 3])
def test_what_is_no_batch(value: Any) -> None:
    """What cannot be gone through is a TypeError too."""
    with pytest.raises(TypeError, match=type(value).__name__):
        MinHash().sign_many(value)


def test_strings_of_other_classes() -> None:
    """A subclass of str is a text."""

    class Title(str):
        __slots__ = ()

    expected = MinHash().sign("Straße und mehr")
    assert MinHash().sign(Title("Straße und mehr")) == expected
    assert MinHash().sign(np.str_("Straße und mehr")) == expected


# ---- memory ----------------------------------------------------------------------------------------------------------

MEMORY = """
import os, resource, sys
import numpy as np
from neardup.minhash import MinHash
from neardup.shingling import Shingling

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

TEXTS = {
    "different words": lambda: np.random.default_rng(0).bytes(1 << 24).hex(" ", 4) * 3,
    "one word": lambda: "x" * 100_000_000,
    "separators": lambda: "." * 100_000_000,
    "one word many times": lambda: "word " * 20_000_000,
    "accents": lambda: (chr(0xE9) * 9 + " ") * 10_000_000,
    "ideographs": lambda: chr(0x4E2D) * 33_333_334,
    "expanding": lambda: chr(0xFDFA) * 3_333_334,    # 100 MB when they have expanded
}
kind, tokens, hashes = sys.argv[1], sys.argv[2], sys.argv[3] == "hashes"
minhash = MinHash(shingling=Shingling(tokens=tokens))
minhash.sign("some words to begin with, and a few more of them", hashes=True)
text = TEXTS[kind]()
encoded = 0 if text.isascii() else len(text.encode())
if os.fork() == 0:    # a child's peak begins at what it has now: no room that was used and left before hides its growth
    before = peak()
    signature = minhash.sign(text, hashes=hashes)
    print(signature.count, peak() - before, len(text), encoded, flush=True)
    os._exit(0)
assert os.wait()[1] == 0
"""


def signing(kind: str, tokens: str, *, hashes: bool) -> tuple[int, int, int, int]:
    """In a fresh process: the count of a long text, the growth of memory in bytes, its length, and its UTF-8's if not ASCII."""
    argv = [sys.executable, "-c", MEMORY, kind, tokens, "hashes" if hashes else "lean"]
    out = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300).stdout
    count, growth, length, encoded = map(int, out.split())
    return count, growth, length, encoded


unix = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no os.fork")


@unix
@pytest.mark.parametrize("tokens", ["words", "chars"])
@pytest.mark.parametrize("kind", ["different words", "one word", "separators", "one word many times", "accents", "ideographs", "expanding"])
def test_memory_does_not_grow_with_the_text(kind: str, tokens: str, record_property: Any) -> None:
    """A document of 100 MB is signed within 64 MB beyond the text itself, and its UTF-8 where it is not ASCII."""
    count, growth, length, encoded = signing(kind, tokens, hashes=False)
    record_property(
        f"{kind} as {tokens}", f"{growth / 1e6:.0f} MB beyond {length / 1e6:.0f} M characters, {encoded / 1e6:.0f} MB of it UTF-8"
    )
    assert growth - encoded < 64e6
    if kind == "different words" and tokens == "words":
        assert abs(count - length / 27) < 0.01 * length / 27  # a third of it, three times


@unix
def test_memory_of_verification_hashes(record_property: Any) -> None:
    """With verification hashes it is that, and at most 12 bytes a shingle."""
    count, growth, _, _ = signing("different words", "words", hashes=True)
    record_property("with verification hashes", f"{growth / 1e6:.0f} MB for {count / 1e6:.1f} M shingles")
    assert 4 * count < growth < 64e6 + 12 * count


def test_nothing_stays_behind() -> None:
    """Signing a text that is not ASCII leaves no encoded copy in it: strings stay as small as they were."""
    texts = [chr(0xE9) * 100_000 + str(i) for i in range(50)]
    sizes = [sys.getsizeof(text) for text in texts]
    tracemalloc.start()
    try:
        MinHash().sign_many(texts)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [sys.getsizeof(text) for text in texts] == sizes
    assert kept < 100_000
