"""The schemes of datasketch, beside the specification and beside the real packages, and what is taken over from them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import strategies as s
from datasketch_environments import COMBINATIONS, THERE, VERSIONS, many_tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from neardup import Index, _kernels, deduplicate, reference
from neardup.errors import IncompatibleError, InputError, ParameterError
from neardup.interop.datasketch import from_datasketch, to_datasketch
from neardup.minhash import MinHash, Signatures
from neardup.shingling import Shingling

combinations = pytest.mark.parametrize(("scheme", "token_hash"), COMBINATIONS)
there = pytest.mark.parametrize(("version", "scheme", "token_hash"), THERE)
versions = pytest.mark.parametrize("version", VERSIONS)


def seeds() -> st.SearchStrategy[int]:
    """Seeds that numpy's RandomState takes."""
    return st.one_of(st.sampled_from([0, 1, 42, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))


def byte_tokens() -> st.SearchStrategy[str | bytes]:
    """Tokens as datasketch's users have them: bytes and texts, around the blocks of 64 bytes of SHA-1 too."""
    sized = st.builds(
        lambda byte, n: bytes([byte]) * n, st.integers(0, 255), st.sampled_from([0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 128, 500])
    )
    return st.one_of(st.binary(max_size=12), sized, s.texts(4))


def as_bytes(token: str | bytes) -> bytes:
    """A token as datasketch is given it."""
    return token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")


# ---- the specification -----------------------------------------------------------------------------------------------


@combinations
@given(
    st.lists(byte_tokens(), max_size=30), st.integers(1, 6), st.sampled_from([2, 3, 8, 31, 32, 33, 100, 128]), seeds(), st.integers(0, 5)
)
@settings(max_examples=25)
def test_kernels_give_what_the_specification_says(
    scheme: Any, token_hash: Any, tokens: list[Any], size: int, num_perm: int, seed: int, more: int
) -> None:
    """Ready tokens, strings and bytes mixed: the slots, on every SIMD path; the count; the verification hashes."""
    name: Any = f"datasketch-{scheme}"
    minhash = MinHash(num_perm, seed, Shingling(size=size), name, token_hash, num_perm + more)
    shingles = reference.shingle_bytes(tokens, size)
    expected = reference.datasketch_signature(shingles, name, num_perm, seed, token_hash, num_perm + more)
    values, counts, offsets, hashes = s.on_every_path(
        lambda recipe: _kernels.sign_token_lists([tokens], recipe, 1), minhash.recipe(hashes=True)
    )
    assert values.dtype == minhash.dtype == expected.dtype
    assert_array_equal(values[0], expected)
    assert offsets.tolist() == [0, len(hashes)]
    if all(isinstance(token, str) for token in tokens):
        assert counts.tolist() == [len(reference.shingle_hashes(tokens, size))]
        assert_array_equal(hashes, reference.verification_hashes(reference.shingle_hashes(tokens, size)))
    else:  # words-v1 takes a control character behind a token for its length; no word of a text has one
        windows = reference.shingle_windows([as_bytes(token) for token in tokens], size)
        assert bool(tokens) <= int(counts[0]) <= len(set(map(tuple, windows)))


@combinations
@given(st.lists(s.texts(), max_size=4), st.sampled_from(["words", "chars"]), st.integers(1, 6), seeds(), s.secrets())
@settings(max_examples=25)
def test_texts_are_signed_by_the_shingles_that_people_see(
    scheme: Any, token_hash: Any, texts: list[str], tokens: Any, size: int, seed: int, secret: int
) -> None:
    """A text has the signature of its shingles as ``Shingling.shingles`` shows them, one by one, in a batch or from Arrow."""
    shingling = Shingling(tokens, size, secret)
    minhash = MinHash(16, seed, shingling, f"datasketch-{scheme}", token_hash)
    signatures = minhash.sign_many(texts, hashes=True)
    assert_array_equal(
        s.on_every_path(lambda recipe: _kernels.sign_texts(texts, recipe, 2), minhash.recipe(hashes=True))[0], signatures.values
    )
    plain = MinHash(shingling=shingling).sign_many(texts, hashes=True)
    assert signatures.counts.tolist() == plain.counts.tolist()
    assert_array_equal(signatures.require_hashes(), plain.require_hashes())
    for text, signature in zip(texts, signatures, strict=True):
        shown = [shingle.encode() for shingle in shingling.shingles(text)]
        assert_array_equal(signature.values, reference.datasketch_signature(shown, minhash.scheme, 16, seed, token_hash))
        assert minhash.sign(text) == signature
        assert minhash.sign_tokens(shingling.tokenize(text)) == signature
    column = pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string())
    assert_array_equal(minhash.sign_many(column, threads=3).values, minhash.sign_many(column.to_pylist()).values)


@combinations
def test_long_documents(scheme: Any, token_hash: Any) -> None:
    """Texts of many blocks, with tokens longer than one, and many at once on threads."""
    word, letters = random.Random(1), "abcdefgh"
    long = " ".join("".join(word.choices(letters, k=word.choice([1, 5, 70]))) for _ in range(20_000))
    texts = [long, "x" * 50_000 + " " + long[:5000] + "y" * 20_000, "", "é" * 9000, *long.split()[:3000]]
    for size in (1, 3):
        minhash = MinHash(32, 5, Shingling(size=size), f"datasketch-{scheme}", token_hash)
        signatures = minhash.sign_many(texts, threads=2, hashes=True)
        for place in (0, 1, 2, 3, 1500):
            shown = [shingle.encode() for shingle in minhash.shingling.shingles(texts[place])]
            assert signatures.counts[place] == len(shown)
            slots = _kernels.sign_token_lists(
                [shown], MinHash(32, 5, Shingling(size=1), minhash.scheme, token_hash).recipe(hashes=False), 1
            )[0][0]
            assert_array_equal(signatures.values[place], slots)
            assert minhash.sign(texts[place]) == signatures[place]
        assert_array_equal(signatures.values[2], np.iinfo(minhash.dtype).max)


@pytest.mark.parametrize(
    "shingling",
    [
        Shingling(size=2, strip_diacritics=True, fold_digits=True),
        Shingling("code", 2),
        Shingling(size=1, stop=["the end"]),
        Shingling(str.split, 2),
        Shingling(str.split, 1, stop=["the end"]),
        Shingling(lambda text: [word.encode() for word in text.split()], 2),
    ],
    ids=["options", "code", "stop", "callable", "callable, stop", "bytes"],
)
def test_other_shinglings(shingling: Shingling) -> None:
    """What the kernels do not cut is signed by what people see too; a callable's tokens may be bytes."""
    minhash = MinHash(16, 1, shingling, "datasketch-affine32")
    texts = ["Café 41: i += 1", "the end", "x y the end of it", ""]
    signatures = minhash.sign_many(texts, hashes=True)
    for text, signature in zip(texts, signatures, strict=True):
        if callable(shingling.tokens) and not shingling.stop:
            shown = reference.shingle_bytes(list(shingling.tokens(text)), shingling.size)  # type: ignore[arg-type]
        else:
            shown = {shingle.encode() for shingle in shingling.shingles(text)}
            assert_array_equal(signature.hashes, reference.verification_hashes(shingling.hashes(text)))
        assert_array_equal(signature.values, reference.datasketch_signature(shown, minhash.scheme, 16, 1))
        assert signature.count == len(shown)


def test_parameters_of_the_schemes() -> None:
    """What does not go together is refused, with the remedy."""
    with pytest.raises(
        ParameterError, match="scheme is 'affine32'; it is one of 'lattice-v1', 'datasketch-affine32', 'datasketch-affine64'"
    ):
        MinHash(scheme="affine32")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="token_hash is 'sha1', which is for the schemes of datasketch; leave it out"):
        MinHash(token_hash="sha1")
    with pytest.raises(ParameterError, match="drawn is 128, which is for the schemes of datasketch; leave it out"):
        MinHash(drawn=128)
    with pytest.raises(ParameterError, match="token_hash is 'md5'; it is 'sha1', 'xxh32' or 'xxh64'"):
        MinHash(scheme="datasketch-legacy", token_hash="md5")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="token_hash is 'xxh64', and 'datasketch-affine32' takes hashes of 32 bits; take 'xxh32'"):
        MinHash(scheme="datasketch-affine32", token_hash="xxh64")
    with pytest.raises(ParameterError, match=r"seed is 4294967296; it goes from 0 to 4294967295, as datasketch's"):
        MinHash(scheme="datasketch-legacy", seed=2**32)
    with pytest.raises(ParameterError, match="drawn is 64; it goes from 128 to 4096, num_perm being the least"):
        MinHash(scheme="datasketch-legacy", drawn=64)
    minhash = MinHash(scheme="datasketch-affine32", shingling=Shingling(stop=["x"]))
    with pytest.raises(ParameterError, match="stop is given, and ready tokens are signed"):
        minhash.sign_tokens(["a"])
    with pytest.raises(IncompatibleError, match="'datasketch-affine32' signs the bytes of shingles, not the hashes of words-v1"):
        minhash.sign_hashes_many(np.array([1], np.uint64), np.array([0, 1], np.uint64))
    no_tokens: tuple[tuple[Any, str], ...] = (
        ([1], "token 0 is of type int; datasketch hashes bytes"),
        (["a", None], "token 1 is of type NoneType"),
        ([b"a", bytearray(b"a")], "token 1 is of type bytearray"),
        ([np.float64(1)], "token 0 is of type float64"),
        (b"a", "one bytes"),
    )
    for tokens, words in no_tokens:
        with pytest.raises(TypeError, match=words):
            MinHash(scheme="datasketch-affine32").sign_tokens(tokens)  # type: ignore[arg-type]
    assert MinHash(scheme="datasketch-legacy") == MinHash(scheme="datasketch-legacy", token_hash="sha1", drawn=128)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("tokens", ["words", "chars"])
@given(st.lists(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0 \ud800"), max_size=30), max_size=40), st.data())
def test_tokens_are_cut_as_they_were_given(tokens: str, size: int, texts: list[str], data: st.DataObject) -> None:
    """Strings, their bytes, both mixed; whatever bytes are in them."""
    shingling = Shingling(tokens, size)  # type: ignore[arg-type]
    minhash = MinHash(16, scheme="datasketch-affine64", shingling=shingling)
    utf8 = [text.encode("utf-8", "surrogatepass") for text in texts]
    mixed = [data.draw(st.sampled_from([text, raw])) for text, raw in zip(texts, utf8, strict=True)]
    expected = minhash.sign_tokens(utf8)
    windows = [utf8[i : i + size] for i in range(max(1, len(utf8) - size + 1))] if utf8 else []
    whole = {(b" " if tokens == "words" else b"").join(window) for window in windows}
    single = MinHash(16, scheme="datasketch-affine64", shingling=Shingling(size=1))
    assert (expected.values == single.sign_tokens(sorted(whole)).values).all()
    assert list(minhash.sign_tokens_many([texts, utf8, mixed], threads=2)) == [expected] * 3


@pytest.mark.parametrize("token", ["a", "\u00e9"])
def test_strings_that_say_another_length(token: str) -> None:
    """What a class of one's own says of its length harms nobody."""

    class Long(str):
        __slots__ = ()

        def __len__(self) -> int:
            return 1 << 40

    assert MinHash(scheme="datasketch-affine32").sign_tokens([Long(token)] * 3).count == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (MinHash(scheme="datasketch-affine64"), "scheme 'datasketch-affine64', not 'datasketch-affine32'"),
        (MinHash(scheme="datasketch-affine32", token_hash="xxh32"), "token_hash 'xxh32', not 'sha1'"),
        (MinHash(scheme="datasketch-affine32", drawn=130), "drawn 130, not 128"),
        (MinHash(), "scheme 'lattice-v1', not 'datasketch-affine32', token_hash None, not 'sha1'"),
    ],
)
def test_schemes_do_not_mix(other: MinHash, words: str) -> None:
    """Signatures of different schemes, hashes or draws do not meet, in an index neither."""
    minhash = MinHash(scheme="datasketch-affine32")
    with pytest.raises(IncompatibleError, match=words):
        minhash.sign("x").estimate_jaccard(other.sign("x"))
    with pytest.raises(IncompatibleError, match=words):
        Index(minhash=minhash, verify="estimate").add_signatures(["a"], other.sign_many(["x"]))


# ---- what follows from slots of 64 bits ------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**64 - 1), min_size=24, max_size=24))
def test_band_keys_and_lean_signatures_of_wide_slots(slots: list[int]) -> None:
    """Bands and lean signatures of 64-bit slots are those of the specification."""
    values = np.array(slots, np.uint64)
    assert_array_equal(_kernels.band_keys(values[None], 4, 6, 1)[0], reference.band_keys(values, 4, 6))
    words = _kernels.lean_signatures(values[None], 1)[0]
    assert_array_equal(words.view(np.uint8), reference.lean_signature(values))


@combinations
@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_an_index_of_any_scheme(scheme: Any, token_hash: Any, verify: Any, tmp_path: Path) -> None:
    """In memory and on disk, one by one or in batches, an index of a scheme answers alike, and is opened again with its scheme."""
    minhash = MinHash(120, 7, Shingling(size=2), f"datasketch-{scheme}", token_hash, 128)
    texts = [
        "one two three four five six seven eight nine ten",
        "One two three four five six seven eight nine eleven",
        "",
        "other words here",
    ]
    index = Index(0.7, minhash=minhash, verify=verify)
    index.add_many(range(4), texts)
    single = Index(0.7, minhash=minhash, verify=verify)
    for i, text in enumerate(texts):
        single.add(i, text)
    expected = [index.query(text) for text in texts]
    assert [match.id for match in expected[0]] == [0, 1]
    assert not expected[2]
    assert single.query_many(texts) == index.query_many(texts) == expected
    assert index.query_signatures(minhash.sign_many(texts, hashes=True)) == expected
    assert [found[0].exact for found in expected if found] == [verify == "exact"] * 3
    index.save(tmp_path / "index")
    with Index.open(tmp_path / "index", mode="r") as stored:
        assert stored.minhash == minhash
        assert stored.query_many(texts) == expected
    assert Index.load(tmp_path / "index").query_many(texts) == expected
    if verify == "exact":
        assert deduplicate(texts, threshold=0.7, minhash=minhash).kept == [0, 2, 3]


def test_unions() -> None:
    """The minimum of two signatures is that of the sets together, whatever the slots."""
    minhash = MinHash(scheme="datasketch-affine64", shingling=Shingling(size=1))
    joined = minhash.sign("a b c").union(minhash.sign("c d"))
    assert_array_equal(joined.values, minhash.sign("a b c d").values)
    assert joined.values.dtype == np.uint64


# ---- the real packages -----------------------------------------------------------------------------------------------


@there
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_same_as_datasketch(ask: Any, version: str, scheme: Any, token_hash: Any, data: st.DataObject) -> None:
    """Texts and bytes, any seed, 16 to 512 slots: the signatures of the package that is installed."""
    documents = data.draw(st.lists(st.lists(byte_tokens(), max_size=40), max_size=4))
    num_perm, seed = data.draw(st.integers(16, 512)), data.draw(seeds())
    tokens = [[as_bytes(token).hex() for token in document] for document in documents]
    theirs = ask(version, "sign", documents=tokens, scheme=scheme, token_hash=token_hash, num_perm=num_perm, seed=seed)
    minhash = MinHash(num_perm, seed, Shingling(size=1), f"datasketch-{scheme}", token_hash)
    assert minhash.sign_tokens_many(documents).values.tolist() == theirs


@there
@pytest.mark.parametrize("tokens", [100, 10_000])
def test_the_same_as_datasketch_on_many_tokens(ask: Any, version: str, scheme: Any, token_hash: Any, tokens: int) -> None:
    """Ten thousand tokens; a hundred thousand are in tests/test_ecosystem_proofs.py."""
    many_tokens(ask, (version, scheme, token_hash), tokens, num_perm=128)


def corpus(n: int) -> list[str]:
    """Texts of 30 to 150 words: every third is the one before, with some words changed."""
    words = random.Random(n)
    texts: list[str] = []
    for i in range(n):
        if i % 3 == 2:
            changed = texts[-1].split()
            for place in words.sample(range(len(changed)), words.randint(0, len(changed) // 4)):
                changed[place] = f"w{words.randint(0, 3000)}"
            texts.append(" ".join(changed))
        else:
            texts.append(" ".join(f"w{words.randint(0, 3000)}" for _ in range(words.randint(30, 150))))
    return [*texts, ""]


@there
def test_a_signed_corpus_is_taken_over(ask: Any, version: str, scheme: Any, token_hash: Any) -> None:
    """From sketches, lean ones and their bytes: an index that answers as one of the texts, and finds what datasketch's estimate says."""
    texts = corpus(150)
    request = {"scheme": scheme, "token_hash": token_hash, "num_perm": 128, "seed": 1, "threshold": 0.7, "texts": texts}
    answers = ask(version, "imported", **request)
    expected = answers["texts"]
    for way in ("MinHash", "LeanMinHash", "bytes", "again"):
        assert answers[way] == expected, way
    assert answers["bytes equal"]
    found = {(i, match[0]) for i, matches in enumerate(expected) for match in matches if match[0] != i}
    # Eight bits of a slot agree by chance once in 256 times: at some distance from the threshold both estimates decide alike.
    theirs = {(i, j): value for i, row in enumerate(answers["jaccard"]) for j, value in enumerate(row) if i != j}
    assert all(theirs[pair] >= 0.65 for pair in found)
    sure = {pair for pair, value in theirs.items() if value >= 0.75 and texts[pair[0]]}
    assert len(sure) > 40
    assert sure <= found
    datasketch_counts, counts = answers["counts"]
    assert counts[-1] == 0
    assert counts[:-1] == [round(count) for count in datasketch_counts[:-1]]


@there
def test_a_minhashlsh_is_taken_over(ask: Any, version: str, scheme: Any, token_hash: Any) -> None:
    """The documents of an index in memory, by the slots that it keeps: answers as from the texts. And one is made again, table by table."""
    request = {"scheme": scheme, "token_hash": token_hash, "num_perm": 128, "seed": 3, "threshold": 0.8, "texts": corpus(60)}
    answers = ask(version, "taken over", **request)
    assert answers["slots"] == 9 * 13
    assert answers["index"] == answers["texts"]
    assert sum(len(found) for found in answers["index"]) > 70
    assert answers["same tables"]
    assert answers["queries"]


@versions
def test_what_is_not_taken_over(ask: Any, version: str) -> None:
    """What was not made alike, or not by what neardup has, or is pickled, hashed or weighted, is refused in words."""
    said = ask(version, "refusals")
    expected = {
        "seed": "IncompatibleError: sketch 1 was made with another seed 2, not 1",
        "slots": "IncompatibleError: sketch 1 was made with another num_perm 8, not 4",
        "hash": "is neither sha1 nor xxh32 nor xxh64; sign the documents again",
        "named hash": "the hash function of sketch 0, sha1_hash32, is not 'xxh32'; sign the documents again",
        "permutations": "IncompatibleError: sketch 0 has permutations that do not follow from its seed 1; sign the documents again",
        "one slot": "ParameterError: num_perm is 1; it goes from 2 to 4096",
        "weighted": "TypeError: the source is of type WeightedMinHash; it is a MinHash, LeanMinHash or MinHashLSH of datasketch",
        "weighted ones": "TypeError: sketch 0 is of type WeightedMinHash; it is a MinHash or LeanMinHash",
        "weighted index": "the MinHashLSH has ",
        "hashed index": "IncompatibleError: the MinHashLSH keeps hashes of its bands, hashfunc= was given",
        "pickled index": "IncompatibleError: the MinHashLSH keeps pickled keys, and neardup unpickles nothing; give id=",
        "keys": "TypeError: key ('a', 1) is of type tuple; an id is a string or an integer: give id= a function that makes one",
        "lattice": "IncompatibleError: the scheme is 'lattice-v1', which datasketch has not; sign the documents again with scheme=",
        "kind": "ParameterError: kind is 'LeanMinhash'; it is 'MinHash', 'LeanMinHash', 'bytes' or 'MinHashLSH'",
        "ids": "ParameterError: 1 signatures and 0 ids; give ids=, one to each signature",
    }
    if version == "1.6":
        expected["affine"] = "IncompatibleError: the installed datasketch has no scheme 'affine32'; pip install 'datasketch>=2'"
    for name, words in expected.items():
        assert words in said[name], name
    assert said["named keys"] == ["a"]
    assert said["empty index"] == 0


# ---- bytes, without datasketch ---------------------------------------------------------------------------------------


@combinations
@pytest.mark.parametrize("byteorder", ["@", "=", "<", ">", "!"])
def test_bytes_there_and_back(scheme: Any, token_hash: Any, byteorder: str) -> None:
    """Serialised sketches are read and written in every byte order; what no sketch is, is refused."""
    minhash = MinHash(20, 9, Shingling(size=1), f"datasketch-{scheme}", token_hash)
    signatures = minhash.sign_many(["one two three", "", "four"])
    stored = to_datasketch(signatures, "bytes", byteorder=byteorder)
    read: Signatures = from_datasketch(stored, token_hash=token_hash, shingling=Shingling(size=1), byteorder=byteorder)
    assert read.minhash == minhash
    assert_array_equal(read.values, signatures.values)
    assert read.values.dtype == minhash.dtype
    assert read.counts[1] == 0
    one = from_datasketch(memoryview(stored[2]), token_hash=token_hash, byteorder=byteorder)
    assert_array_equal(one.values, signatures[2].values)
    n = len(stored[0])
    for data, words in (
        (b"", "sketch 0 has 0 bytes, too few"),
        (stored[0][:-1], "sketch 0 says that it has 20 slots in its"),
        (stored[0] * 2, rf"sketch 0 has {2 * n} bytes, {n} of them of one LeanMinHash; cut several apart"),
    ):
        with pytest.raises(InputError, match=words):
            from_datasketch(data, byteorder=byteorder)
    with pytest.raises(ParameterError, match=r"byteorder is '\*'; it is '@', '=', '<', '>' or '!'"):
        from_datasketch(stored, byteorder="*")


def test_what_is_no_sketch() -> None:
    """Other things, or nothing, are refused."""
    with pytest.raises(TypeError, match="the source is of type int; it is a MinHash, LeanMinHash or MinHashLSH"):
        from_datasketch(7)
    with pytest.raises(TypeError, match="sketch 0 is of type str"):
        from_datasketch(["a"])
    with pytest.raises(ParameterError, match="there is no sketch; how the signatures of none were made is not known"):
        from_datasketch([])
    with pytest.raises(InputError, match="scheme code 9, which no LeanMinHash has"):
        from_datasketch(b"\0" * 8 + (-2 & 0xFFFFFFFF).to_bytes(4, "little") + b"\x09" + b"\0" * 8, byteorder="<")


@pytest.mark.parametrize("kind", ["bytes", "LeanMinHash"])
def test_what_a_lean_sketch_cannot_say(kind: str) -> None:
    """That its slots are the first of more: read again they would be others, similar to nothing."""
    signature = MinHash(96, 7, Shingling(size=1), "datasketch-affine32", drawn=128).sign("a b c")
    with pytest.raises(
        ParameterError, match="drawn is 128 and num_perm 96, which a LeanMinHash and its bytes cannot say; take kind='MinHash'"
    ):
        to_datasketch(signature, kind)  # type: ignore[arg-type]
