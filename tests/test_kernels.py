"""The kernels agree with the specification, neardup.reference, bit for bit."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import strategies as s
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from neardup import _kernels, reference

BLOCK = 1 << 14
CARRY = 1 << 12
MASK = reference.MASK


def signed(
    documents: list[list[Any]], *, size: int, secret: int = 0, num_perm: int, seed: int = 0
) -> tuple[npt.NDArray[np.uint32], list[int], list[list[int]]]:
    """What the specification makes of tokenised documents: values, counts, verification hashes."""
    hashes = [reference.shingle_hashes(tokens, size, secret) for tokens in documents]
    values = np.array([reference.signature(h, num_perm, seed) for h in hashes], np.uint32).reshape(len(documents), num_perm)
    return values, [reference.shingle_count(h) for h in hashes], [reference.verification_hashes(h).tolist() for h in hashes]


def assert_signed(arrays: Any, expected: Any) -> None:
    """Kernel arrays say what the specification says, in the types that they promise."""
    values, counts, offsets, hashes = arrays
    assert [a.dtype for a in arrays] == [np.uint32, np.uint64, np.uint64, np.uint32]
    assert_array_equal(values, expected[0])
    assert values.shape == expected[0].shape
    assert counts.tolist() == expected[1]
    assert len(offsets) == len(counts) + 1
    assert offsets[0] == 0
    assert [hashes[a:b].tolist() for a, b in pairwise(offsets)] == expected[2]


def sign_one(tokens: npt.NDArray[np.uint64], **parameters: Any) -> Any:
    """What the kernels make of one document of token hashes, the same on every path."""
    offsets = np.array([0, len(tokens)], np.uint64)
    return s.on_every_path(lambda recipe: _kernels.sign_token_hashes(tokens, offsets, recipe, 1), s.recipe(**parameters))


# ---- text to tokens --------------------------------------------------------------------------------------------------


def test_the_kernels_know_unicode_15() -> None:
    """The Unicode version is part of the scheme `words-v1`."""
    assert _kernels.UNICODE_VERSION == "15.0.0"


@given(s.texts(), st.booleans())
@example("a\u00ad\u0301", False)
@example("α\u0345\u0301", False)
@example("\u0344\u0345", True)
@example("\U0001d15f\u0301", False)
@example("\ud800\u0301\udc00", True)
def test_tokens(text: str, chars: bool) -> None:
    """Words and characters are those of the specification, for every text a Python string can hold."""
    assert s.kernel_tokens(text, chars=chars) == s.reference_tokens(text, chars=chars)


@given(s.texts(8), s.texts(8))
def test_a_separator_is_a_wall(a: str, b: str) -> None:
    """What stands before a line break does not act on what stands after it."""
    assert s.kernel_tokens(f"{a}\n{b}") == s.kernel_tokens(a) + s.kernel_tokens(b)


def code_points_in_context(contexts: list[str], points: Iterable[str]) -> list[str]:
    """Code points on which kernels and specification differ in any of the contexts."""
    wrong = []
    points = list(points)
    for start in range(0, len(points), 256):
        chunk = points[start : start + 256]
        lines = [" \n".join(context.replace("X", x) for context in contexts) for x in chunk]
        text = " \n".join(lines)
        for chars in (False, True):
            if s.kernel_tokens(text, chars=chars) != s.reference_tokens(text, chars=chars):
                wrong += [x for x, line in zip(chunk, lines, strict=True) if s.kernel_tokens(line) != s.reference_tokens(line)] or chunk
    return [f"U+{ord(x):04X}" for x in wrong]


def test_every_code_point() -> None:
    """Each code point that both sides know is the same between letters, before a mark and after one."""
    points = (chr(c) for c in s.known() if unicodedata.category(chr(c)) not in ("Co", "Cs", "Lo"))
    assert code_points_in_context(["aXb", "X\u0323X"], points) == []


def test_every_other_letter_and_private_use() -> None:
    """Ideographs, syllables, letters without case, private use and lone surrogates, too."""
    points = (chr(c) for c in s.known() if unicodedata.category(chr(c)) in ("Co", "Cs", "Lo"))
    assert code_points_in_context(["aX"], (p for i, p in enumerate(points) if i % 16 == 0 or unicodedata.category(p) == "Lo")) == []


def test_every_code_point_that_acts_on_one_before() -> None:
    """Marks, conjoining jamo and composing vowel signs after letters of each kind that they could compose or reorder with."""
    bases = "aéếᾳガかᄀ가각กﬁẞ\u0345\u00ad\u0344\u0323\u0301\u212b\ud800"
    contexts = [*(base + "X" for base in bases), "aX\u0323", "a\u0301X", "X", ".X"]
    assert code_points_in_context(contexts, list(s.composers() + s.TRICKY)) == []


def test_every_changing_code_point_with_marks() -> None:
    """Characters that fold or decompose, with marks of a low, a high and no combining class, and with jamo."""
    assert code_points_in_context(["X\u0301", "X\u0327\u0301", "X\u0345\u0323", "\u0301X", "X\u1161", "X\u3099"], list(s.changing())) == []


def test_every_hangul_syllable() -> None:
    """Precomposed syllables, alone and with a trailing consonant that may join them; decomposed ones compose."""
    syllables = [chr(c) for c in range(0xAC00, 0xD7A4)]
    assert code_points_in_context(["X\u11a8"], syllables) == []
    assert s.kernel_tokens(unicodedata.normalize("NFD", " ".join(syllables))) == syllables


# ---- tokens to hashes ------------------------------------------------------------------------------------------------


@given(s.texts(), st.booleans(), st.integers(1, 32), s.secrets())
def test_shingle_hashes(text: str, chars: bool, size: int, secret: int) -> None:
    """Shingle hashes of a text: sorted, distinct, for every size and secret."""
    hashes = _kernels.shingle_hashes(text, chars, size, secret)
    assert hashes.dtype == np.uint64
    assert_array_equal(hashes, reference.shingle_hashes(s.reference_tokens(text, chars=chars), size, secret))


@given(s.token_lists(), s.secrets())
def test_token_hashes(tokens: list[Any], secret: int) -> None:
    """Ready tokens, strings and integers, hash as specified, whatever iterable they come in."""
    expected = [reference.token_hash(token, secret) for token in tokens]
    assert _kernels.token_hashes(tokens, secret).tolist() == expected
    assert _kernels.token_hashes(iter(tokens), secret).tolist() == expected


@pytest.mark.parametrize("secret", [0, 1, 2**63, MASK])
@pytest.mark.parametrize("character", ["x", "é", "中", "😀", "\ud800"])
def test_token_hash_at_every_length(character: str, secret: int) -> None:
    """Lengths 0 to 300 bytes, ready and inside a text: 16 and 17 bytes are where the formula changes."""
    width = len(character.encode("utf-8", "surrogatepass"))
    tokens = ["y" * pad + character * n for n in range(300 // width) for pad in range(width if n < 24 else 1)]
    expected = [reference.token_hash(token, secret) for token in tokens]
    assert _kernels.token_hashes(tokens, secret).tolist() == expected
    if character in "xé":
        shingles = [int(h) for token in tokens if token for h in _kernels.shingle_hashes(f" {token}.", False, 1, secret)]
        assert shingles == [reference.mix64((h + reference.LENGTH) & MASK) for token, h in zip(tokens, expected, strict=True) if token]


@pytest.mark.parametrize("secret", [0, MASK])
def test_integer_tokens(secret: int) -> None:
    """Integers over the whole signed range, told apart from the text of their digits and of their bytes."""
    integers = [v for e in range(64) for v in (2**e - 1, -(2**e), 1 - 2**e)]
    hashes = _kernels.token_hashes(integers, secret).tolist()
    assert hashes == [reference.token_hash(v, secret) for v in integers]
    assert len(set(hashes)) == len(set(integers))
    texts = [v.to_bytes(8, "little").decode("ascii") for v in (0, 1, 127)] + ["0", "1", "-1"]
    assert not set(hashes) & set(_kernels.token_hashes(texts, secret).tolist())


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_integers_that_do_not_fit(value: int) -> None:
    """An integer beyond 64 signed bits is refused with its place and value."""
    with pytest.raises(OverflowError, match=f"token 1 is {value}, which does not fit in 64 signed bits"):
        _kernels.token_hashes([1, value], 0)


@pytest.mark.parametrize(("token", "name"), [(True, "bool"), (1.5, "float"), (None, "NoneType"), (b"a", "bytes"), (["a"], "list")])
def test_tokens_of_other_types(token: Any, name: str) -> None:
    """What is neither string nor integer is refused with its place and type."""
    with pytest.raises(TypeError, match=f"token 2 is of type {name}; a token is a string or an integer"):
        _kernels.token_hashes(["a", 1, token], 0)


def windows(tokens: list[int], size: int) -> list[int]:
    """The hashes of a document's windows in order, by the specification."""
    found = reference.shingle_windows(tokens, size)
    sums = [sum(reference.rotate_left(h, 13 * j % 64) for j, h in enumerate(w)) + len(w) * reference.LENGTH for w in found]
    return [reference.mix64(total & MASK) for total in sums]


@given(st.lists(st.integers(0, MASK), max_size=50), st.integers(1, 32))
def test_window_hashes(tokens: list[int], size: int) -> None:
    """Windows come in order, repeats included; few tokens are one window."""
    assert _kernels.window_hashes(np.array(tokens, np.uint64), size).tolist() == windows(tokens, size)


@pytest.mark.parametrize("size", range(1, 33))
def test_every_size(size: int) -> None:
    """Every size of a shingle, with as many tokens, one fewer, one more and many."""
    for n in {1, size - 1, size, size + 1, 2 * size, 100} - {0}:
        text = " ".join(f"w{i}" for i in range(n))
        tokens: list[Any] = reference.words(text)
        hashes = [reference.token_hash(token, size) for token in tokens]
        assert _kernels.window_hashes(np.array(hashes, np.uint64), size).tolist() == windows(hashes, size)
        for chars in (False, True):
            assert_shingles(text, s.reference_tokens(text, chars=chars), f"{n} tokens", chars=chars, size=size, secret=size)


# ---- documents to signatures -----------------------------------------------------------------------------------------


@given(s.corpora(), st.booleans(), st.integers(1, 32), s.num_perms(), s.secrets(), s.secrets())
def test_sign_texts(texts: list[str], chars: bool, size: int, num_perm: int, seed: int, secret: int) -> None:
    """Values, counts and verification hashes of a batch of strings."""
    tokens: list[list[Any]] = [s.reference_tokens(text, chars=chars) for text in texts]
    recipe = s.recipe(chars=chars, size=size, secret=secret, num_perm=num_perm, seed=seed)
    arrays = s.on_every_path(lambda recipe: _kernels.sign_texts(texts, recipe, 1), recipe)
    assert_signed(arrays, signed(tokens, size=size, secret=secret, num_perm=num_perm, seed=seed))


@given(s.corpora(), st.booleans(), st.binary(max_size=5))
def test_sign_utf8_of_valid_text(texts: list[str], chars: bool, before: bytes) -> None:
    """A column of bytes, wherever in a buffer it begins, gives what the strings give, surrogates of three bytes included."""
    data, offsets = s.flat([before, *(text.encode("utf-8", "surrogatepass") for text in texts)], np.uint8)
    recipe = s.recipe(chars=chars, size=3, num_perm=16)
    column = s.on_every_path(lambda recipe: s.sign_column(data, offsets[1:], recipe, 1), recipe)
    assert s.same_arrays(column, _kernels.sign_texts(texts, recipe, 1))


@given(st.lists(s.damaged_utf8(), max_size=4), st.booleans())
@example([b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"a\xcc", b"\xe0\x80\xcc\x81"], False)
def test_sign_utf8_of_damaged_text(columns: list[bytes], chars: bool) -> None:
    """Each byte that is not UTF-8 separates, as bytes.decode("utf-8", "surrogateescape") and the specification have it."""
    tokens: list[list[Any]] = [s.reference_tokens(data.decode("utf-8", "surrogateescape"), chars=chars) for data in columns]
    data, offsets = s.flat(columns, np.uint8)
    arrays = s.on_every_path(lambda recipe: s.sign_column(data, offsets, recipe, 1), s.recipe(chars=chars, size=2, num_perm=16))
    assert_signed(arrays, signed(tokens, size=2, num_perm=16))


def test_every_pair_and_triple_of_special_bytes() -> None:
    """All combinations of bytes at the borders of what UTF-8 allows, between letters."""
    borders = b"\x00A\x7f\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xcc\xdf\xe0\xe1\xed\xef\xf0\xf4\xf5\xff"
    columns = [b"x" + bytes(three) + b"y" for three in product(borders, repeat=3)]
    data, offsets = s.flat(columns, np.uint8)
    _, counts, places, hashes = s.on_every_path(lambda recipe: s.sign_column(data, offsets, recipe, 1), s.recipe(size=3, num_perm=2))
    for i, column in enumerate(columns):
        expected = reference.shingle_hashes(reference.words(column.decode("utf-8", "surrogateescape")), 3)
        assert counts[i] == len(expected), column
        assert_array_equal(hashes[places[i] : places[i + 1]], reference.verification_hashes(expected), str(column))


@given(st.lists(s.token_lists(20), max_size=5), st.integers(1, 32), s.num_perms(), s.secrets(), s.secrets())
def test_sign_token_hashes(documents: list[list[Any]], size: int, num_perm: int, seed: int, secret: int) -> None:
    """Values, counts and verification hashes of ready tokens."""
    flat, offsets = s.flat([_kernels.token_hashes(tokens, secret) for tokens in documents], np.uint64)
    recipe = s.recipe(size=size, num_perm=num_perm, seed=seed, secret=MASK)  # the secret has done its work before
    arrays = s.on_every_path(lambda recipe: _kernels.sign_token_hashes(flat, offsets, recipe, 1), recipe)
    assert_signed(arrays, signed(documents, size=size, secret=secret, num_perm=num_perm, seed=seed))


@given(s.shingle_hashes(), s.num_perms(), s.secrets())
@example(np.array(s.EXTREME, np.uint64), 128, 0)
def test_signature_of_any_hashes(hashes: Any, num_perm: int, seed: int) -> None:
    """Any set of shingle hashes, the extremes and those that leave slots high included, directly and through a document."""
    expected = reference.signature(hashes, num_perm, seed)
    assert_array_equal(s.signature(hashes, num_perm, seed), expected)
    tokens = np.concatenate([s.tokens_for(hashes), s.tokens_for(hashes)[::-1]])
    values, counts, _, verification = sign_one(tokens, size=1, num_perm=num_perm, seed=seed)
    assert_array_equal(values[0], expected)
    assert counts[0] == len(hashes)
    assert_array_equal(verification, reference.verification_hashes(hashes))


@pytest.mark.parametrize("n", [1, 5, 60, 500, 5000])
def test_the_hash_zero_anywhere(n: int) -> None:
    """The shingle hash 0 is one like the others, wherever in the document it comes and however often: counted, kept, signed."""
    for seed in range(40):
        random = np.random.default_rng([n, seed])
        hashes = np.append(random.integers(2**40, 2**64, n, dtype=np.uint64), np.uint64(0))
        order = random.permutation(np.append(hashes, hashes[: seed % 3]))
        if seed % 2:
            order = np.append(order, np.zeros(seed % 5, np.uint64))
        values, counts, _, verification = sign_one(s.tokens_for(order), size=1, num_perm=2)
        assert counts[0] == n + 1
        assert_array_equal(verification, reference.verification_hashes(hashes))
        assert_array_equal(values[0], reference.signature(hashes, 2))


@given(st.lists(s.shingle_hash(), max_size=400), s.num_perms())
@settings(max_examples=100)
def test_hashes_in_any_order(hashes: list[int], num_perm: int) -> None:
    """Order and repetition of shingles change nothing: a document is a set."""
    distinct = np.array(sorted(set(hashes)), np.uint64)
    values, counts, _, verification = sign_one(s.tokens_for(hashes), size=1, num_perm=num_perm)
    assert_array_equal(values[0], s.signature(distinct, num_perm, 0))
    assert counts[0] == len(distinct)
    assert_array_equal(verification, reference.verification_hashes(distinct))


@pytest.mark.parametrize("seed", [0, 12345])
def test_every_num_perm(seed: int) -> None:
    """Every number of slots to 300, and those around each power of two up to 4096, from few hashes and from many."""
    random = np.random.default_rng(seed)
    around = {2**e + d for e in range(8, 13) for d in (-1, 0, 1)} - {4097}
    for num_perm in sorted({*range(2, 301), *around, 1000, 3000}):
        for n in (1, 7, 40) if num_perm > 40 else (1, 7, 4 * num_perm):
            hashes = random.integers(0, 2**64, n, dtype=np.uint64)
            expected = reference.signature(hashes, num_perm, seed)
            assert_array_equal(s.signature(hashes, num_perm, seed), expected, f"num_perm={num_perm}, n={n}")


@pytest.mark.parametrize("num_perm", [2, 16, 100, 128, 257])
@pytest.mark.parametrize("n", [100, 300, 385, 1000, 5000])
def test_signature_of_many_hashes(num_perm: int, n: int) -> None:
    """Long documents take another order of work and give the same bits, spread evenly or crowded at one end of the range."""
    random = np.random.default_rng(n)
    spread = random.integers(0, 2**64, n, dtype=np.uint64)
    for hashes in (spread, spread & np.uint64(2**33 - 1), spread | np.uint64(0xFFF00000), spread >> np.uint64(20)):
        expected = reference.signature(hashes, num_perm)
        assert_array_equal(s.signature(hashes, num_perm, 0), expected)
        assert_array_equal(sign_one(s.tokens_for(hashes), size=1, num_perm=num_perm)[0][0], expected)


def test_repetitive_documents() -> None:
    """Many shingles, few of them distinct: after the rounds the lanes finish the document."""
    tokens = np.tile(np.arange(7, dtype=np.uint64), 3000)
    values, counts, _, _ = sign_one(tokens, num_perm=128)
    assert counts.tolist() == [7]
    assert_array_equal(values[0], reference.signature(np.unique(_kernels.window_hashes(tokens, 5)), 128))


def test_documents_of_one_chunk_of_tokens_and_more() -> None:
    """Ready tokens are taken 4,096 at a time; windows reach over the seams, at every size."""
    random = np.random.default_rng(3)
    for n in (4095, 4096, 4097, 8191, 8192, 8193):
        tokens = random.integers(0, 2**64, n, dtype=np.uint64)
        for size in (1, 2, 5, 31, 32):
            _, counts, _, verification = sign_one(tokens, size=size, num_perm=2)
            hashes = np.unique(_kernels.window_hashes(tokens, size))
            assert counts[0] == len(hashes) == n - size + 1
            assert_array_equal(verification, reference.verification_hashes(hashes))


@pytest.mark.parametrize("chars", [False, True])
def test_no_verification_hashes_where_none_are_wanted(chars: bool) -> None:
    """Without ``verification`` nothing is kept, and nothing else changes."""
    texts = ["one two three four five six", "", "x"]
    lean = _kernels.sign_texts(texts, s.recipe(chars=chars, verification=False), 1)
    full = _kernels.sign_texts(texts, s.recipe(chars=chars), 1)
    assert_array_equal(lean[0], full[0])
    assert_array_equal(lean[1], full[1])
    assert lean[2].tolist() == [0, 0, 0, 0]
    assert len(lean[3]) == 0


@pytest.mark.parametrize(("size", "num_perm"), [(0, 128), (33, 128), (5, 1), (5, 4097)])
def test_recipes_out_of_range(size: int, num_perm: int) -> None:
    """The kernels refuse parameters that would send them out of bounds."""
    with pytest.raises(ValueError, match=f"size {size} or num_perm {num_perm} out of range"):
        _kernels.sign_texts(["a"], s.recipe(size=size, num_perm=num_perm), 1)


def test_paths_by_name() -> None:
    """There is a portable path, and one that this processor does not have is refused with those it has."""
    assert s.PATHS[0] == "portable"
    with pytest.raises(ValueError, match=f"path is 'sse9'; this processor has {', '.join(s.PATHS)}"):
        _kernels.sign_texts(["a"], s.recipe(path="sse9"), 1)


@given(st.lists(s.damaged_utf8(), min_size=1, max_size=3), st.data())
def test_spans_of_buffers(buffers: list[bytes], data: st.DataObject) -> None:
    """Texts may lie anywhere in several buffers, in any order, one within another, and are signed as if alone."""
    arrays = [np.frombuffer(buffer, np.uint8) for buffer in buffers]
    spans = []
    for _ in range(data.draw(st.integers(0, 6))):
        which = data.draw(st.integers(0, len(buffers) - 1))
        start = data.draw(st.integers(0, len(buffers[which])))
        spans.append((which, start, data.draw(st.integers(start, len(buffers[which])))))
    places = np.array(spans, np.uint64).reshape(-1, 3).T.copy()
    where = (arrays, places[0].astype(np.uint32), places[1], places[2])
    columns = [buffers[which][start:stop] for which, start, stop in spans]
    texts = [column.decode("utf-8", "surrogateescape") for column in columns]
    recipe = s.recipe(size=2, num_perm=16)
    ours = s.on_every_path(lambda recipe: _kernels.sign_spans(*where, recipe, 2), recipe)
    assert s.same_arrays(ours, _kernels.sign_texts(texts, recipe, 1))
    lengths = _kernels.span_lengths(*where).tolist()
    assert lengths == [sum(byte & 0xC0 != 0x80 for byte in column) for column in columns]


@given(s.corpora())
def test_lengths_of_spans(texts: list[str]) -> None:
    """The length of a column's text is its number of characters."""
    data, offsets = s.flat([text.encode("utf-8", "surrogatepass") for text in texts], np.uint8)
    which = np.zeros(len(texts), np.uint32)
    lengths = _kernels.span_lengths([data], which, offsets[:-1].copy(), offsets[1:].copy())
    assert lengths.dtype == np.int64
    assert lengths.tolist() == list(map(len, texts))


shingle_lists = st.lists(s.shingle_hash(), max_size=60)


@given(
    st.lists(st.one_of(shingle_lists, shingle_lists.map(sorted), shingle_lists.map(set).map(sorted)), max_size=5),
    s.num_perms(),
    s.secrets(),
)
def test_sign_shingle_hashes(documents: list[list[int]], num_perm: int, seed: int) -> None:
    """Ready shingle hashes, in any order and with repeats or ascending, are signed as sets."""
    flat, offsets = s.flat(documents, np.uint64)
    before = flat.copy()
    recipe = s.recipe(num_perm=num_perm, seed=seed)
    values, counts, places, verification = s.on_every_path(lambda recipe: _kernels.sign_shingle_hashes(flat, offsets, recipe, 2), recipe)
    sets = [np.unique(np.array(hashes, np.uint64)) for hashes in documents]
    for row, hashes in zip(values, sets, strict=True):
        assert_array_equal(row, reference.signature(hashes, num_perm, seed))
    assert counts.tolist() == list(map(len, sets))
    expected = [reference.verification_hashes(hashes).tolist() for hashes in sets]
    assert [verification[a:b].tolist() for a, b in pairwise(places)] == expected
    assert_array_equal(flat, before)


@pytest.mark.parametrize("offsets", [[0, 4], [2, 1], [5, 6], [0, 2**63], [2**64 - 1, 0]])
def test_offsets_out_of_range(offsets: list[int]) -> None:
    """Places that leave the data or go backwards are refused."""
    places = np.array(offsets, np.uint64)
    for kernel in (_kernels.sign_token_hashes, _kernels.sign_shingle_hashes):
        with pytest.raises(IndexError, match="offsets that are not ascending places in the data"):
            kernel(np.zeros(3, np.uint64), places, s.recipe(), 1)
    spans = ([np.zeros(3, np.uint8)], np.zeros(1, np.uint32), places[:1], places[1:])
    for call in (lambda: _kernels.sign_spans(*spans, s.recipe(), 1), lambda: _kernels.span_lengths(*spans)):
        with pytest.raises(IndexError, match="starts and stops that are not places in the buffers"):
            call()


def test_spans_of_no_buffer() -> None:
    """A buffer that is not there is refused, and so are columns of different length."""
    one, two = np.zeros(1, np.uint64), np.zeros(2, np.uint64)
    with pytest.raises(IndexError, match="starts and stops that are not places in the buffers"):
        _kernels.sign_spans([np.zeros(3, np.uint8)], np.array([1], np.uint32), one, one, s.recipe(), 1)
    for which, starts, stops in ((2, one, one), (1, two, one), (1, one, two)):
        with pytest.raises(ValueError, match="they are equally many"):
            _kernels.sign_spans([np.zeros(3, np.uint8)], np.zeros(which, np.uint32), starts, stops, s.recipe(), 1)


# ---- blocks ----------------------------------------------------------------------------------------------------------

PROBES = {
    "acute": "e\u0301x", "precomposed": "éx", "two marks": "e\u0323\u0302x", "many marks": "e" + "\u0301\u0323" * 30 + "x",
    "a mark alone": " \u0301x", "marks that stay": "x\u05b0\u05bc", "jamo": "ᄀ\u1161\u11a8x", "syllable and jamo": "가\u11a8x",
    "kana": "か\u3099か", "half-width": "ｶﾞｶ", "four bytes": "x𝐀𐐀x", "emoji": "x👍🏽x👩‍👩‍👧", "sharp s": "xẞx", "ligature": "xﬁx",
    "ignorable": "x\u00adx\u200bx", "ideographs": "x中文x", "thai": "กำลัง", "iota": "α\u0345\u0301x", "expanding": "x\ufdfax",
    "surrogate": "x\ud800x", "spaces": "x   x", "nothing": "...",
}  # fmt: skip


def assert_shingles(text: str, tokens: list[Any], message: str = "", *, chars: bool = False, size: int = 2, secret: int = 0) -> None:
    """Read a block at a time, on every path, a text has the shingles of these tokens."""
    expected = reference.shingle_hashes(tokens, size, secret)
    assert_array_equal(_kernels.shingle_hashes(text, chars, size, secret), expected, message)
    recipe = s.recipe(chars=chars, size=size, secret=secret, num_perm=2)
    _, counts, _, verification = s.on_every_path(lambda recipe: _kernels.sign_texts([text], recipe, 1), recipe)
    assert counts[0] == len(expected), message
    assert_array_equal(verification, reference.verification_hashes(expected), message)


@pytest.mark.parametrize("fill", ["a", "é", "中", "e."])
@pytest.mark.parametrize("chars", [False, True])
@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES.keys())
def test_everything_may_stand_at_the_end_of_a_block(probe: str, chars: bool, fill: str) -> None:
    """Slid over the place where a block of 16 KiB ends, no character, mark, token or shingle is torn, whatever stands before."""
    before = "." * ((1 + (fill == "a")) * BLOCK - 100) + " one two "
    width = len((probe + probe).encode("utf-8", "surrogatepass"))
    head = s.reference_tokens(before, chars=chars)
    for pad in range(91 - min(width, 90), 93):
        letters, rest = divmod(pad, len(fill.encode()))
        tail = "x" * rest + fill * letters + probe + probe + " three four"
        tokens = s.reference_tokens("." + tail, chars=chars)
        glue = [" "] if chars else []
        assert_shingles(before + tail, head + glue + tokens, f"{probe!a} after {pad} bytes", chars=chars, size=3)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES.keys())
def test_long_tokens_reach_over_blocks(probe: str) -> None:
    """A token that began long before, and is hashed as it comes, goes on or ends with anything at the end of a block."""
    for length in (BLOCK - CARRY - 1, BLOCK - CARRY + 1, BLOCK - 17, 2 * BLOCK - 3, 3 * BLOCK + 5):
        start = (-length) % BLOCK
        for pad in [start + d for d in range(-5, 3)] if start > 5 else [start, start + BLOCK - 1]:
            first, *others = reference.words("a" + probe + " b c")
            tokens = ["one", "a" * length + first[1:], *others]
            text = "." * (pad - 4) + "one " + "a" * length + probe + " b c" if pad >= 4 else "one " + "a" * length + probe + " b c"
            assert_shingles(text, tokens, f"{length} letters after {pad}")


def test_ascii_on_every_path() -> None:
    """Every ASCII character at every place of 64, alone, in a word and between words, and runs of every length to 200."""
    for c in map(chr, range(128)):
        text = "".join("a" * (i % 5) + c * (1 + i % 2) + ("b. " if i % 3 else "B") for i in range(80))
        assert_shingles(text, reference.words(text), repr(c))
    for n in range(200):
        text = "A" * n + "." * (200 - n) + "Bc" * n + " é" + "z" * n + "." + "é" * (n % 7) + "_0"
        assert_shingles(text, reference.words(text), str(n))


def test_marks_after_ascii_at_every_place() -> None:
    """A mark takes back the ASCII character before it, be it a letter, a separator or the start of a word, at every place of 64."""
    for n in range(140):
        for before in ("e", " e", "e ", ".", "", "中", "中e", "中.", "=", "7"):
            text = "x" * (n // 2) + "-" * (n - n // 2) + before + "\u0301" + "y\u0338 e\u0323"
            assert_shingles(text, reference.words(text), f"{before} at {n}")


@pytest.mark.parametrize("near", [CARRY, BLOCK - CARRY, BLOCK, 2 * BLOCK - CARRY, 2 * BLOCK, 4 * BLOCK])
def test_token_lengths_around_what_is_carried(near: int) -> None:
    """One token of every length around the limits of carrying and of a block, at several places of a block, with a secret."""
    for length in range(near - 4, near + 5):
        for place in (0, 1, BLOCK - CARRY, BLOCK - 1, BLOCK):
            text = "-" * place + "Z" * length + "-b"
            assert_shingles(text, ["z" * length, "b"], f"{length} letters at {place}", size=1, secret=77)


def test_two_long_tokens_one_after_another() -> None:
    """What was kept of one long token is not carried into the next, nor into the next document."""
    texts = ["a" * 20000 + " " + "b" * 40000 + " " + "c" * 10, "a" * 20000, "d", "é" * 17000 + " a", "a" * 9000 + "\u0301" * 9000 + "b"]
    tokens = [["a" * 20000, "b" * 40000, "c" * 10], ["a" * 20000], ["d"], ["é" * 17000, "a"], ["a" * 8999 + "á" + "\u0301" * 8999 + "b"]]
    arrays = s.on_every_path(lambda recipe: _kernels.sign_texts(texts, recipe, 1), s.recipe(size=1, num_perm=16))
    assert_signed(arrays, signed(tokens, size=1, num_perm=16))


@given(st.lists(s.texts(4), min_size=1, max_size=4), s.texts(6), st.integers(0, 120), st.booleans(), st.integers(1, 6))
def test_any_text_at_the_end_of_a_block(parts: list[str], before: str, pad: int, chars: bool, size: int) -> None:
    """Whatever text stands where a block ends, and before, the shingles are those of the specification."""
    room = 120 - len(before.encode("utf-8", "surrogatepass"))
    tail = "." + before + "b" * (pad % (room + 1) if room >= 0 else 0) + "".join(parts)
    assert_shingles("." * (BLOCK - 120) + tail, s.reference_tokens(tail, chars=chars), chars=chars, size=size)


@pytest.mark.parametrize("seed", range(8))
def test_long_texts_of_everything(seed: int) -> None:
    """Several blocks of random characters of every kind, in runs of one kind and well mixed, are those of the specification."""
    random = np.random.default_rng(seed)
    pools = [
        s.LETTERS,
        s.LETTERS,
        s.SEPARATORS,
        s.JAMO,
        s.IGNORED,
        s.ODD,
        s.TRICKY,
        s.EXPANDING,
        s.composers(),
        s.marks(),
        s.changing(),
        s.unspaced(),
    ]
    pieces = []
    for _ in range(3000 // (1 + 2 * (seed % 2))):
        pool = pools[random.integers(len(pools))]
        pieces += [pool[i] for i in random.integers(0, len(pool), random.integers(1, 4 if seed % 2 == 0 else 30))]
        pieces.append("".join(random.choice(["", " ", "ascii words, ", "é"], 1)))
    text = "".join(pieces)
    for chars in (False, True):
        assert_shingles(text, s.reference_tokens(text, chars=chars), chars=chars, size=3)


def test_a_run_of_marks_longer_than_a_block() -> None:
    """Marks that must be put in order over several blocks of input are one segment."""
    for chars in (False, True):
        text = "x" * (BLOCK - 5) + "a" + "\u0301\u0323\u0300\u0345" * 9000 + "b c"
        expected = s.reference_tokens(text[BLOCK - 5 :], chars=chars)
        first = ["x"] * (BLOCK - 5) + expected if chars else ["x" * (BLOCK - 5) + expected[0], *expected[1:]]
        assert_shingles(text, first, chars=chars)


def test_a_long_ordinary_document() -> None:
    """A document of several blocks in several scripts, whole: tokens, hashes, values, count."""
    words = ["x" * 40, *["Straße", "naïve", "éţé", "北京", "ภาษาไทย", "हिन्दी", "россия", "ﬁne", "3.14", "co\xadop", "👍🏽", "가각", "ok"]]
    random = np.random.default_rng(8)
    text = " ".join(words[i] + str(j % 977) for j, i in enumerate(random.integers(0, len(words), 12_000)))
    tokens = reference.words(text)
    assert len(text.encode()) > 6 * BLOCK
    assert s.kernel_tokens(text) == tokens
    arrays = s.on_every_path(lambda recipe: _kernels.sign_texts([text], recipe, 1), s.recipe(num_perm=32))
    assert_signed(arrays, signed([tokens], size=5, num_perm=32))


# ---- batches and threads ---------------------------------------------------------------------------------------------


@given(s.corpora(8), st.data())
def test_batches_equal_singles(texts: list[str], data: st.DataObject) -> None:
    """Split anywhere, a batch gives the same rows."""
    recipe = s.recipe(num_perm=16)
    whole = _kernels.sign_texts(texts, recipe, 1)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=3)))
    parts = [_kernels.sign_texts(texts[a:b], recipe, 1) for a, b in zip([0, *cuts], [*cuts, len(texts)], strict=True)]
    for i in (0, 1, 3):
        assert_array_equal(whole[i], np.concatenate([part[i] for part in parts]))
    assert_array_equal(np.diff(whole[2]), np.concatenate([np.diff(part[2]) for part in parts]))


def big_batch() -> list[str]:
    """Documents of 0 to 300,000 bytes, some 5 MB, so that threads take several shares."""
    random = np.random.default_rng(11)
    lengths = [0, 1, 300_000, 40_000, 5, 250_000, 0, *random.integers(0, 9_000, 600).tolist()]
    return [" ".join(map(str, random.integers(0, 5_000, length // 5))) + ("é" if length % 3 else "") for length in lengths]


@pytest.mark.parametrize("threads", [2, 3, 8, 64])
def test_threads_change_nothing(threads: int) -> None:
    """One thread and several give the same arrays, for strings, columns of bytes and ready tokens."""
    texts = big_batch()
    recipe = s.recipe(num_perm=64)
    data, offsets = s.flat([text.encode() for text in texts], np.uint8)
    tokens, places = s.flat([np.arange(len(text), dtype=np.uint64) % 997 for text in texts[:200]], np.uint64)
    one = _kernels.sign_texts(texts, recipe, 1)
    assert s.same_arrays(one, s.on_every_path(lambda recipe: _kernels.sign_texts(texts, recipe, threads), recipe))
    assert s.same_arrays(one, s.sign_column(data, offsets, recipe, threads))
    ready = _kernels.sign_token_hashes(tokens, places, recipe, 1)
    assert s.same_arrays(ready, _kernels.sign_token_hashes(tokens, places, recipe, threads))


def test_a_big_batch_equals_its_documents() -> None:
    """Every document of a large batch on threads is signed as alone, whatever was signed before it in the same scratch."""
    texts = big_batch()
    values, counts, offsets, hashes = _kernels.sign_texts(texts, s.recipe(num_perm=64), 2)
    for i in [*range(8), *range(8, len(texts), 29)]:
        single = _kernels.sign_texts([texts[i]], s.recipe(num_perm=64), 1)
        assert_array_equal(values[i], single[0][0])
        assert counts[i] == single[1][0]
        assert_array_equal(hashes[offsets[i] : offsets[i + 1]], single[3])


def test_an_empty_batch() -> None:
    """No document gives no row, and arrays of the right shape."""
    for arrays in (
        _kernels.sign_texts([], s.recipe(num_perm=7), 4),
        s.sign_column(np.empty(0, np.uint8), np.zeros(1, np.uint64), s.recipe(num_perm=7), 4),
        _kernels.sign_token_hashes(np.empty(0, np.uint64), np.zeros(1, np.uint64), s.recipe(num_perm=7), 4),
    ):
        assert [a.shape for a in arrays] == [(0, 7), (0,), (1,), (0,)]


# ---- bands -----------------------------------------------------------------------------------------------------------


@given(s.num_perms(), st.data())
def test_band_keys(num_perm: int, data: st.DataObject) -> None:
    """One key a band of any number of rows, in the frozen order of the slots."""
    rows = data.draw(st.integers(1, num_perm))
    bands = data.draw(st.integers(1, num_perm // rows))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = random.integers(0, 2**32, (3, num_perm), dtype=np.uint32)
    keys = _kernels.band_keys(values, bands, rows, 1)
    assert keys.shape == (3, bands)
    assert keys.dtype == np.uint64
    assert_array_equal(keys, [reference.band_keys(row, bands, rows) for row in values])


WIDE = [(4096, 4096, 1), (4096, 1, 4096), (4096, 31, 131), (1000, 8, 125), (2, 1, 2), (2, 2, 1)]


@pytest.mark.parametrize(("num_perm", "bands", "rows"), WIDE)
def test_band_keys_of_the_widest_signatures(num_perm: int, bands: int, rows: int) -> None:
    """As many bands or rows as there can be."""
    values = np.random.default_rng(num_perm).integers(0, 2**32, (1, num_perm), dtype=np.uint32)
    assert_array_equal(_kernels.band_keys(values, bands, rows, 1)[0], reference.band_keys(values[0], bands, rows))


def test_band_keys_on_threads() -> None:
    """More signatures than one thread takes at a time, on several."""
    values = np.random.default_rng(0).integers(0, 2**32, (5_000, 12), dtype=np.uint32)
    keys = _kernels.band_keys(values, 4, 3, 1)
    assert_array_equal(keys, _kernels.band_keys(values, 4, 3, 7))
    for i in (0, 1023, 1024, 4999):
        assert_array_equal(keys[i], reference.band_keys(values[i], 4, 3))
    assert _kernels.band_keys(values[:0], 4, 3, 7).shape == (0, 4)


def test_bands_that_need_more_slots_than_there_are() -> None:
    """Too many bands are refused with the numbers."""
    with pytest.raises(ValueError, match="5 bands of 3 rows need 15 slots, there are 12"):
        _kernels.band_keys(np.zeros((1, 12), np.uint32), 5, 3, 1)


# ---- verification ----------------------------------------------------------------------------------------------------

verifications = st.sets(st.one_of(st.integers(0, 40), st.sampled_from([2**31, 2**32 - 1]), st.integers(0, 2**32 - 1)), max_size=150).map(
    lambda found: np.array(sorted(found), np.uint32)
)


@given(st.integers(2, 300), st.integers(0, 5), st.integers(0, 2**32))
def test_lean_signatures(num_perm: int, number: int, seed: int) -> None:
    """Eight mixed bits a slot, four slots a little-endian word, the last word filled with 0; on any number of threads."""
    values = np.random.default_rng(seed).integers(0, 2**32, (number, num_perm), dtype=np.uint32)
    words = _kernels.lean_signatures(values, 2)
    assert words.shape == (number, -(-num_perm // 4))
    for row, value in zip(words, values, strict=True):
        lean = row.astype("<u4").view(np.uint8)
        assert_array_equal(lean[:num_perm], reference.lean_signature(value))
        assert not lean[num_perm:].any()


def test_lean_signatures_of_the_widest_and_of_many() -> None:
    """4,096 slots, and a batch that threads share."""
    wide = np.random.default_rng(0).integers(0, 2**32, (2, 4096), dtype=np.uint32)
    assert_array_equal(_kernels.lean_signatures(wide, 1)[1].astype("<u4").view(np.uint8), reference.lean_signature(wide[1]))
    many = np.random.default_rng(1).integers(0, 2**32, (5000, 16), dtype=np.uint32)
    assert_array_equal(_kernels.lean_signatures(many, 3), _kernels.lean_signatures(many, 1))


@given(st.lists(st.tuples(verifications, st.lists(st.integers(0, MASK), min_size=3, max_size=3)), max_size=4))
def test_set_hashes(documents: list[Any]) -> None:
    """The name of a shingle set, empty ones included."""
    hashes, offsets = s.flat([verification for verification, _ in documents], np.uint32)
    keys = np.array([keys for _, keys in documents], np.uint64).reshape(len(documents), 3)
    expected = [reference.set_hash(verification, row) for (verification, _), row in zip(documents, keys, strict=True)]
    assert _kernels.set_hashes(hashes, offsets, keys).tolist() == expected


@given(verifications, verifications)
def test_intersection(a: Any, b: Any) -> None:
    """How many hashes two sorted sets share."""
    both = reference.intersection(a, b)
    assert _kernels.intersection(a, b) == _kernels.intersection(b, a) == both
    assert _kernels.intersection(a, a) == len(a)


def test_intersection_of_long_sets() -> None:
    """Sets of many lengths around the stretches in which they are compared, disjoint, equal and nested."""
    random = np.random.default_rng(1)
    for n in (0, 1, 63, 64, 65, 127, 128, 129, 5000):
        for m in (0, 1, 63, 64, 65, 1000):
            for spread in (n + m + 1, 10 * (n + m + 1)):
                a = np.sort(random.choice(spread, n, replace=False)).astype(np.uint32)
                b = np.sort(random.choice(spread, m, replace=False)).astype(np.uint32)
                assert _kernels.intersection(a, b) == len(np.intersect1d(a, b))


THRESHOLDS = [0.5, 0.7, 0.8, 0.9, 1.0, 28 / 35, 1 / 3, 2 / 3, 0.1, 0.05, 1e-9, 5e-324, 0.95, 0.99, 6 / 7, 0.3, 0.6, 0.85]
AROUND = [float(np.nextafter(t, d)) for t in (0.5, 0.8, 2 / 3, 28 / 35, 1.0) for d in (0.0, 1.0)]


@pytest.mark.parametrize("threshold", [*THRESHOLDS, *AROUND])
def test_least_intersection(threshold: float) -> None:
    """For all n and m to 200 it is the first intersection at which the predicate of a match holds, in float64."""
    n, m, both = np.ogrid[0:201, 0:201, 0:201]
    possible = (both >= 1) & (both <= np.minimum(n, m))
    similarity = both / np.maximum(n + m - both, 1)
    matches = possible & (similarity >= threshold)
    first = np.where(matches.any(axis=2), matches.argmax(axis=2), np.minimum(n, m)[:, :, 0] + 1)
    ours = [[_kernels.least_intersection(i, j, threshold) for j in range(201)] for i in range(201)]
    assert_array_equal(ours, first)
    for i in range(0, 201, 7):
        assert [reference.least_intersection(i, j, threshold) for j in range(0, 201, 11)] == first[i, ::11].tolist()


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.one_of(st.sampled_from(THRESHOLDS[:10]), st.floats(1e-6, 1.0)))
def test_least_intersection_of_large_sets(n: int, m: int, threshold: float) -> None:
    """Above 200 too the predicate holds where it says and not one below."""
    least = _kernels.least_intersection(n, m, threshold)
    assert 1 <= least <= min(n, m) + 1
    if least <= min(n, m):
        assert reference.similarity(least, n, m) >= threshold
    if least > 1:
        assert reference.similarity(least - 1, n, m) < threshold


@given(s.texts(), s.texts())
@settings(max_examples=50)
def test_jaccard_of_kernel_hashes(a: str, b: str) -> None:
    """The similarity from kernel hashes and kernel intersection is the specification's, to the last bit."""
    _, _, offsets, hashes = _kernels.sign_texts([a, b], s.recipe(size=2), 1)
    x, y = hashes[: offsets[1]], hashes[offsets[1] :]
    ours = reference.similarity(_kernels.intersection(x, y), len(x), len(y))
    assert ours == reference.jaccard(*(reference.shingle_hashes(reference.words(t), 2) for t in (a, b)))
