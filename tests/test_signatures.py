"""Signatures: what they carry, how they compare and join, and that they come out the same however they are made."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from neardup import reference
from neardup.errors import IncompatibleError, ParameterError
from neardup.minhash import Estimate, MinHash, Signature, Signatures
from neardup.shingling import Shingling

TEXTS = [
    "the quick brown fox jumps over the lazy dog and runs away",
    "",
    "the quick brown fox jumps over the lazy cat and runs away",
    "北京是中国的首都，人口两千万。",
    "short",
    "...",
    "Größe, naïve e\u0301te\u0301 \ud800 and \x00 so on for more than five words",
]


def same(a: Any, b: Any) -> bool:
    """Whether two signatures, or two batches, agree in everything."""
    assert a.minhash == b.minhash
    assert (a.hashes is None) == (b.hashes is None)
    counts = (a.count, b.count) if isinstance(a, Signature) else (a.counts.tolist(), b.counts.tolist())
    hashes = a.hashes is None or np.array_equal(a.hashes, b.hashes)
    return counts[0] == counts[1] and np.array_equal(a.values, b.values) and bool(hashes)


# ---- what they carry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_perm", [2, 100, 128, 4096])
def test_values_and_counts(num_perm: int) -> None:
    """Values are uint32[n, num_perm], counts uint64[n], of the specification."""
    minhash = MinHash(num_perm=num_perm, seed=3, shingling=Shingling(size=3))
    signatures = minhash.sign_many(TEXTS)
    assert (signatures.values.dtype, signatures.values.shape) == (np.uint32, (len(TEXTS), num_perm))
    assert (signatures.counts.dtype, signatures.counts.shape) == (np.uint64, (len(TEXTS),))
    assert len(signatures) == len(TEXTS)
    assert signatures.minhash is minhash
    assert signatures.hashes is None
    for text, signature in zip(TEXTS, signatures, strict=True):
        hashes = reference.shingle_hashes(reference.words(text), 3)
        assert_array_equal(signature.values, reference.signature(hashes, num_perm, 3))
        assert (signature.values.dtype, signature.values.shape) == (np.uint32, (num_perm,))
        assert signature.count == len(hashes)
        assert type(signature.count) is int
        assert signature.minhash is minhash
        assert signature.hashes is None


def test_documents_without_shingles() -> None:
    """Nothing to compare: count 0, all values at the top, similarity 0 even to itself."""
    empty = MinHash().sign("?!")
    assert empty.count == 0
    assert (empty.values == 2**32 - 1).all()
    assert empty.estimate_jaccard(empty) == Estimate(0.0, 0.0)
    assert empty.estimate_jaccard(MinHash().sign("a")).similarity == 0


def test_verification_hashes_where_asked_for() -> None:
    """With ``hashes=True`` each document carries its verification hashes, and nothing else changes."""
    minhash = MinHash(shingling=Shingling(size=2))
    signatures = minhash.sign_many(TEXTS, hashes=True)
    assert_array_equal(signatures.values, minhash.sign_many(TEXTS).values)
    assert signatures.hashes is not None
    assert signatures.hashes.dtype == np.uint32
    for i, text in enumerate(TEXTS):
        expected = reference.verification_hashes(reference.shingle_hashes(reference.words(text), 2))
        assert_array_equal(signatures.hashes[int(signatures.offsets[i]) : int(signatures.offsets[i + 1])], expected)
        assert_array_equal(signatures[i].hashes, expected)
        assert_array_equal(minhash.sign(text, hashes=True).hashes, expected)
        assert_array_equal(minhash.sign_tokens(reference.words(text), hashes=True).hashes, expected)


def test_representations() -> None:
    """A signature says in a line what it is; the numbers stay out of the way."""
    minhash = MinHash(num_perm=64)
    assert repr(minhash.sign("a b c d e f")) == "<Signature of 2 shingles, 64 slots, lattice-v1>"
    assert repr(minhash.sign_many(["a"] * 1000)) == "<Signatures of 1,000 documents, 64 slots, lattice-v1>"
    assert repr(minhash.sign_many(["a"], hashes=True)) == "<Signatures of 1 documents, 64 slots, lattice-v1 with verification hashes>"


def test_equality() -> None:
    """Signatures are equal when parameters, counts and values are, and are no keys."""
    a = MinHash().sign(TEXTS[0])
    assert a == MinHash().sign(TEXTS[0].upper())
    assert a != MinHash().sign(TEXTS[2])
    assert a != MinHash(seed=1).sign(TEXTS[0])
    assert a != "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


# ---- parts of a batch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashes", [False, True])
def test_documents_of_a_batch(hashes: bool) -> None:
    """A document is found by its place, from either end, with all that belongs to it."""
    minhash = MinHash(num_perm=16, shingling=Shingling(size=2))
    signatures = minhash.sign_many(TEXTS, hashes=hashes)
    singles = [minhash.sign(text, hashes=hashes) for text in TEXTS]
    n = len(TEXTS)
    for i in range(n):
        assert same(signatures[i], singles[i]), i
        assert same(signatures[i - n], singles[i]), i - n
    assert all(same(a, b) for a, b in zip(signatures, singles, strict=True))
    assert all(same(a, b) for a, b in zip(reversed(signatures), reversed(singles), strict=True))
    for i in (n, -n - 1):
        with pytest.raises(IndexError):
            signatures[i]


@pytest.mark.parametrize("hashes", [False, True])
@pytest.mark.parametrize("part", [slice(None), slice(2, 5), slice(0, 0), slice(5, 2), slice(-3, None), slice(-100, 100), slice(None, -1)])
def test_slices(part: slice, hashes: bool) -> None:
    """A slice is a batch of its own, and so is a slice of it."""
    minhash = MinHash(num_perm=16, shingling=Shingling(size=2))
    signatures = minhash.sign_many(TEXTS, hashes=hashes)
    sliced = signatures[part]
    assert isinstance(sliced, Signatures)
    singles = [minhash.sign(text, hashes=hashes) for text in TEXTS[part]]
    assert len(sliced) == len(singles)
    assert all(same(a, b) for a, b in zip(sliced, singles, strict=True))
    assert all(same(a, b) for a, b in zip(sliced[1:], singles[1:], strict=True))
    assert len(sliced.offsets) == len(sliced) + 1
    assert sliced.estimate_jaccard(signatures[part]).tolist() == [float(single.count > 0) for single in singles]


def test_slices_with_steps() -> None:
    """Rows are taken one after another; any other step is refused."""
    with pytest.raises(ParameterError, match="a slice of signatures with step 2; take consecutive ones, step 1"):
        MinHash().sign_many(TEXTS)[::2]
    with pytest.raises(ParameterError, match="step -1"):
        MinHash().sign_many(TEXTS)[::-1]


# ---- estimates -------------------------------------------------------------------------------------------------------


@given(s.plain_texts(), s.plain_texts(), s.num_perms())
def test_estimates(a: str, b: str, num_perm: int) -> None:
    """The estimate is the share of slots that agree; its standard error is never 0 where there is something to compare."""
    minhash = MinHash(num_perm=num_perm, shingling=Shingling(size=2))
    x, y = minhash.sign(a), minhash.sign(b)
    similarity, standard_error = x.estimate_jaccard(y)
    assert y.estimate_jaccard(x) == (similarity, standard_error)
    assert isinstance(similarity, float)
    if not x.count or not y.count:
        assert (similarity, standard_error) == (0.0, 0.0)
    else:
        agree = reference.matching_slots(x.values, y.values)
        assert similarity == agree / num_perm
        p = (agree + 1) / (num_perm + 2)
        assert standard_error == pytest.approx(math.sqrt(p * (1 - p) / num_perm))
        assert 0 < standard_error <= 0.5 / math.sqrt(num_perm) + 1e-12
        assert x.estimate_jaccard(x).similarity == 1.0
    rows = minhash.sign_many([a, b]).estimate_jaccard(minhash.sign_many([b, b]))
    assert rows.dtype == np.float64
    assert rows.tolist() == [similarity, float(y.count > 0)]


def test_the_standard_error_covers() -> None:
    """The true similarity lies within two standard errors in at least 95 % of 400 pairs."""
    minhash = MinHash(shingling=Shingling(size=1))
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        a, b = random.choice(200, 100, replace=False), random.choice(200, 100, replace=False)
        similarity, standard_error = minhash.sign_tokens(a).estimate_jaccard(minhash.sign_tokens(b))
        both = len(np.intersect1d(a, b))
        inside += abs(similarity - both / (200 - both)) <= 2 * standard_error
    assert inside >= 0.95 * 400


# ---- union -----------------------------------------------------------------------------------------------------------


@given(st.lists(s.tokens(), max_size=30), st.lists(s.tokens(), max_size=30), s.num_perms(), s.secrets())
def test_union(a: list[Any], b: list[Any], num_perm: int, seed: int) -> None:
    """The element-wise minimum is the signature of the union of the shingle sets; counts add up."""
    minhash = MinHash(num_perm=num_perm, seed=seed, shingling=Shingling(size=1))
    both = minhash.sign_tokens([*a, *b], hashes=True)
    x, y = minhash.sign_tokens(a, hashes=True), minhash.sign_tokens(b, hashes=True)
    joined = x.union(y)
    assert same(joined, both)
    assert same(joined, y.union(x))
    assert joined.values.dtype == np.uint32
    assert same(x.union(x), x)
    lean = minhash.sign_tokens(a).union(minhash.sign_tokens(b))
    assert_array_equal(lean.values, both.values)
    assert lean.hashes is None
    assert max(x.count, y.count) <= lean.count <= x.count + y.count


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4))
def test_union_of_texts(texts: list[str]) -> None:
    """Joined one by one, signatures give that of all the documents' shingles."""
    minhash = MinHash(num_perm=32, shingling=Shingling(size=2))
    joined = minhash.sign("")
    for text in texts:
        joined = joined.union(minhash.sign(" ".join(text)))
    hashes = np.unique(np.concatenate([minhash.shingling.hashes(" ".join(text)) for text in texts]))
    assert_array_equal(joined.values, reference.signature(hashes, 32))


@pytest.mark.parametrize("overlap", [0, 300, 800, 1000])
def test_union_counts_without_hashes(overlap: int) -> None:
    """Without verification hashes the count of the union is estimated from the similarity, to a few per cent."""
    minhash = MinHash(num_perm=1024, shingling=Shingling(size=1))
    a, b = minhash.sign_tokens(range(1000)), minhash.sign_tokens(range(1000 - overlap, 2000 - overlap))
    assert a.union(b).count == pytest.approx(2000 - overlap, rel=0.05)
    assert type(a.union(b).count) is int


def test_union_with_nothing() -> None:
    """A document without shingles adds nothing."""
    minhash = MinHash()
    a, empty = minhash.sign(TEXTS[0]), minhash.sign("")
    assert same(a.union(empty), a)
    assert same(empty.union(a), a)
    assert same(empty.union(empty), empty)


# ---- parameters that differ ------------------------------------------------------------------------------------------


def first_letters(text: str) -> list[str]:
    """A tokenizer to tell from another."""
    return [word[0] for word in text.split()]


@pytest.mark.parametrize(("other", "words"), [
    (MinHash(num_perm=64), "num_perm 64, not 128"),
    (MinHash(seed=9), "seed 9, not 0"),
    (MinHash(shingling=Shingling(size=3)), "size 3, not 5"),
    (MinHash(shingling=Shingling(tokens="chars")), "tokens 'chars', not 'words'"),
    (MinHash(shingling=Shingling(tokens=first_letters)), "first_letters"),
    (MinHash(num_perm=64, seed=2, shingling=Shingling(size=3)), "num_perm 64, not 128, seed 2, not 0, size 3, not 5"),
])  # fmt: skip
def test_parameters_that_differ(other: MinHash, words: str) -> None:
    """Signatures made otherwise are neither compared nor joined; the message names what differs, and the remedy."""
    a, b = MinHash(), other
    for refused in (
        lambda: a.sign("x").estimate_jaccard(b.sign("x")),
        lambda: a.sign("x").union(b.sign("x")),
        lambda: a.sign_many(["x"]).estimate_jaccard(b.sign_many(["x"])),
    ):
        with pytest.raises(IncompatibleError) as caught:
            refused()
        assert words in str(caught.value)
        assert "made with another" in str(caught.value)
        assert "sign the documents again with the same parameters" in str(caught.value)
        assert isinstance(caught.value, ValueError)


def test_secrets_are_not_revealed() -> None:
    """Neither a refusal nor a representation shows a secret."""
    a, b = MinHash(shingling=Shingling(secret=123456789)), MinHash(shingling=Shingling(secret=987654321))
    with pytest.raises(IncompatibleError, match="made with another secret; sign") as caught:
        a.sign("x").estimate_jaccard(b.sign("x"))
    for text in (str(caught.value), repr(a), repr(a.shingling), repr(a.sign("x")), repr(a.sign_many(["x"]))):
        assert "123456789" not in text
        assert "987654321" not in text


def test_batches_of_different_length() -> None:
    """Row by row takes equally many rows."""
    minhash = MinHash()
    with pytest.raises(IncompatibleError, match="2 signatures and 3; row by row takes equally many"):
        minhash.sign_many(["a", "b"]).estimate_jaccard(minhash.sign_many(["a", "b", "c"]))


# ---- one way or another ----------------------------------------------------------------------------------------------


@given(s.corpora(), st.booleans(), st.integers(1, 8))
def test_one_value_or_a_batch(texts: list[str], hashes: bool, threads: int) -> None:
    """Signed one by one, in a list, by a generator, from an Arrow column or on threads: identical."""
    minhash = MinHash(num_perm=16, shingling=Shingling(size=2))
    batch = minhash.sign_many(texts, threads=threads, hashes=hashes)
    assert all(same(a, minhash.sign(text, hashes=hashes)) for a, text in zip(batch, texts, strict=True))
    assert same(batch, minhash.sign_many(iter(texts), hashes=hashes))
    assert same(batch, minhash.sign_many(tuple(texts), threads=1, hashes=hashes))
    valid = [text.encode("utf-8", "replace").decode() for text in texts]
    assert same(minhash.sign_many(valid, hashes=hashes), minhash.sign_many(pa.array(valid, pa.string()), hashes=hashes))
    assert same(minhash.sign_many(valid, hashes=hashes), minhash.sign_many(pa.array(valid, pa.large_string()), hashes=hashes))


@given(st.lists(s.texts(), max_size=5), st.sampled_from(["words", "chars"]), st.integers(1, 6), s.secrets())
def test_texts_or_their_tokens(texts: list[str], tokens: Any, size: int, secret: int) -> None:
    """A text and its tokens are one document."""
    minhash = MinHash(num_perm=16, shingling=Shingling(tokens=tokens, size=size, secret=secret))
    lists = [minhash.shingling.tokenize(text) for text in texts]
    assert same(minhash.sign_many(texts), minhash.sign_tokens_many(lists))
    assert same(minhash.sign_many(texts), minhash.sign_tokens_many((iter(tokens) for tokens in lists), threads=3))
    for text, single in zip(texts, lists, strict=True):
        assert same(minhash.sign(text), minhash.sign_tokens(single))
        ready = minhash.shingling.hashes(text)
        assert minhash.sign_hashes_many(ready[::-1], np.array([0, len(ready)], np.uint64))[0] == minhash.sign(text)


def test_empty_batches() -> None:
    """No documents, no rows."""
    for signatures in (
        MinHash().sign_many([]),
        MinHash().sign_many(iter([])),
        MinHash().sign_tokens_many([]),
        MinHash().sign_many(TEXTS)[3:3],
    ):
        assert signatures.values.shape == (0, 128)
        assert len(signatures) == 0
        assert list(signatures) == []
        assert signatures.estimate_jaccard(signatures).tolist() == []


# ---- ready tokens ----------------------------------------------------------------------------------------------------


def test_integers_and_strings_are_different_tokens() -> None:
    """1 is not "1"; an array of numbers is the numbers."""
    minhash = MinHash(shingling=Shingling(size=2))
    ints = minhash.sign_tokens([1, 2, 3])
    assert same(ints, minhash.sign_tokens(np.array([1, 2, 3])))
    assert same(ints, minhash.sign_tokens(np.array([1, 2, 3], np.uint8)))
    assert same(ints, minhash.sign_tokens(range(1, 4)))
    assert not same(ints, minhash.sign_tokens(["1", "2", "3"]))
    assert ints.estimate_jaccard(minhash.sign_tokens(["1", "2", "3"])).similarity < 0.1


def test_tokens_are_taken_as_they_are() -> None:
    """Ready tokens are neither folded nor cut; an empty string is a token."""
    minhash = MinHash(shingling=Shingling(size=1))
    assert minhash.sign_tokens(["A", "a", "a b", "", "é", "e\u0301"]).count == 6


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_integers_out_of_range(value: int) -> None:
    """An integer that does not fit is refused with its place, its value and the range."""
    with pytest.raises(ParameterError, match=rf"token 1 is {value}, which does not fit in 64 signed bits; use integers from -2\*\*63 to"):
        MinHash().sign_tokens([0, value])
    assert MinHash().sign_tokens([2**63 - 1, -(2**63)]).count == 1


@pytest.mark.parametrize(("tokens", "words"), [
    ([True], "token 0 is of type bool; a token is a string or an integer"),
    (["a", None], "token 1 is of type NoneType"),
    ([1, 2, 3.0], "token 2 is of type float"),
    ([b"a"], "token 0 is of type bytes"),
    ([["a"]], "token 0 is of type list"),
    (np.array([True, False]), "token 0 is of type bool"),
    (np.array([0.5]), "token 0 is of type float"),
    ("abc", "tokens is one str; it is an iterable of strings or integers"),
    (b"abc", "tokens is one bytes; it is an iterable of strings or integers"),
])  # fmt: skip
def test_tokens_that_are_none(tokens: Any, words: str) -> None:
    """What is no token is refused with its place and type, one string where a list belongs included."""
    with pytest.raises(TypeError, match=words):
        MinHash().sign_tokens(tokens)
    with pytest.raises(TypeError, match=words):
        MinHash().sign_tokens_many([["fine"], tokens])


def test_a_list_of_texts_is_no_list_of_token_lists() -> None:
    """Texts given where token lists belong are refused, instead of being taken for lists of letters."""
    with pytest.raises(TypeError, match="tokens is one str"):
        MinHash().sign_tokens_many(["one text", "another"])


# ---- a caller's tokenizer --------------------------------------------------------------------------------------------


def code_points(text: str) -> Iterable[int]:
    """Tokens that are integers, one by one."""
    yield from map(ord, text)


@pytest.mark.parametrize("tokenizer", [str.split, code_points, first_letters, lambda text: list(text.encode("utf-8", "replace"))])
def test_callables(tokenizer: Any) -> None:
    """A caller's tokenizer gives what its tokens give, in a batch or alone."""
    shingling = Shingling(tokens=tokenizer, size=3, secret=5)
    minhash = MinHash(num_perm=32, shingling=shingling)
    texts = ["", "a b", *TEXTS]
    expected = [list(tokenizer(text)) for text in texts]
    signatures = minhash.sign_many(iter(texts), threads=2, hashes=True)
    for text, tokens, signature in zip(texts, expected, signatures, strict=True):
        hashes = reference.shingle_hashes(tokens, 3, 5)
        assert shingling.tokenize(text) == tokens
        assert_array_equal(shingling.hashes(text), hashes)
        assert_array_equal(signature.values, reference.signature(hashes, 32))
        assert same(signature, minhash.sign(text, hashes=True))
        assert len(shingling.shingles(text)) == len(set(map(tuple, reference.shingle_windows(tokens, 3))))


@pytest.mark.parametrize(("made", "words"), [
    ([True], "token 0 is of type bool"), ([1.5], "token 0 is of type float"), ("abc", "tokens is one str"), ([None], "token 0 is of type NoneType"),
])  # fmt: skip
def test_callables_that_make_no_tokens(made: Any, words: str) -> None:
    """What a tokenizer may not return is refused wherever it is used."""
    shingling = Shingling(tokens=lambda _: made)
    for refused in (shingling.tokenize, shingling.shingles, shingling.hashes, MinHash(shingling=shingling).sign):
        with pytest.raises(TypeError, match=words):
            refused("x")


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["a"]])
def test_callables_never_see_what_is_no_text(value: Any) -> None:
    """A caller's tokenizer is given strings and nothing else."""
    seen: list[Any] = []
    minhash = MinHash(shingling=Shingling(tokens=lambda text: seen.append(text) or ["a"]))  # type: ignore[func-returns-value]
    for refused in (minhash.sign, minhash.shingling.hashes, lambda value: minhash.sign_many([value])):
        with pytest.raises(TypeError, match=type(value).__name__):
            refused(value)
    assert seen == []


# ---- processes and threads -------------------------------------------------------------------------------------------

DIGEST = """
import hashlib, sys
from neardup.minhash import MinHash
from neardup.shingling import Shingling
texts = [" ".join(f"word{i * j % 997}" for j in range(i % 400)) + " é 北京" for i in range(600)]
digest = hashlib.sha256()
for tokens in ("words", "chars", str.split):
    signatures = MinHash(shingling=Shingling(tokens=tokens, secret=7), seed=3).sign_many(texts, threads=int(sys.argv[1]), hashes=True)
    for array in (signatures.values, signatures.counts, signatures.offsets, signatures.hashes):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


def test_every_process_gives_the_same() -> None:
    """Whatever PYTHONHASHSEED and however many threads, a fresh process signs the same bits."""
    runs = [("0", "1"), ("1", "2"), ("4294967295", "5")]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120}
    digests = {
        subprocess.run([sys.executable, "-c", DIGEST, threads], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, **options).stdout
        for seed, threads in runs
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


FORK = """
import os, sys
from neardup.minhash import MinHash
texts = [f"{i} {i * i} one two three four five six seven " * 50 for i in range(400)]
expected = MinHash().sign_many(texts, threads=4, hashes=True)
for child in range(3):
    pid = os.fork()
    if pid == 0:
        again = MinHash().sign_many(texts, threads=4, hashes=True)
        same = (again.values == expected.values).all() and (again.hashes == expected.hashes).all()
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if (MinHash().sign_many(texts).values == expected.values).all() else 1)
        os._exit(0 if same and os.waitpid(grandchild, 0)[1] == 0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no os.fork")
def test_a_forked_child_signs() -> None:
    """A child of a process that had signed on threads before signs on threads too, and so does its child."""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (0, "fine\n"), run.stderr


def test_many_threads_at_once() -> None:
    """Sixteen Python threads sign at the same time with one MinHash, each on threads of its own."""
    minhash = MinHash()
    batches = [[" ".join(f"w{k * i % 1009}" for k in range(i + n)) for i in range(60)] for n in range(16)]
    expected = [minhash.sign_many(batch, threads=1, hashes=True) for batch in batches]

    def sign(n: int) -> bool:
        return all(same(minhash.sign_many(batches[n], threads=1 + n % 3, hashes=True), expected[n]) for _ in range(5))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(sign, range(16)))


def test_the_lock_is_released() -> None:
    """Other Python threads run while a long document is signed."""
    text = "some words for a while " * 3_000_000
    times: list[float] = []

    def sign() -> None:
        times.append(time.perf_counter())
        MinHash().sign(text)
        times.append(time.perf_counter())

    signing = threading.Thread(target=sign)
    signing.start()
    ticks = []
    while signing.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    signing.join()
    begin, end = times
    margin = (end - begin) / 5
    assert any(begin + margin < tick < end - margin for tick in ticks)
