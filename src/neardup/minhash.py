"""MinHash signatures: shingle hashes to ``num_perm`` minima, and what two signatures say about their documents.

Scheme `lattice-v1`: SuperMinHash (Ertl 2017) with affine instead of random permutations; slot by slot an ordinary MinHash
(Broder 1997), across slots less variance. The formula is :func:`neardup.reference.signature`. Schemes `datasketch-affine32`,
`datasketch-affine64` and `datasketch-legacy`: what the library of that name computes, for signatures that exist already. Their
formula is :func:`neardup.reference.datasketch_signature`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args, overload

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.documents import Utf8, as_texts
from neardup.errors import IncompatibleError, ParameterError, check_integer, kind, one_of
from neardup.shingling import HashArray, Shingling, Token, check_text, sorted_distinct
from neardup.threads import number_of_threads

ValueArray = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
VerificationArray = npt.NDArray[np.uint32]
FloatArray = npt.NDArray[np.float64]
Scheme = Literal["lattice-v1", "datasketch-affine32", "datasketch-affine64", "datasketch-legacy"]
TokenHash = Literal["sha1", "xxh32", "xxh64"]


class Estimate(NamedTuple):
    """An estimated Jaccard similarity and its standard error.

    The error is that of ordinary MinHash with the rule of succession, so never 0: an upper bound here, since `lattice-v1`
    has less variance (0.54 of it below 200 shingles, 0.87 at 1,000).

    Examples
    --------
    >>> estimate = MinHash().sign("one and the same text").estimate_jaccard(MinHash().sign("another text altogether"))
    >>> estimate.similarity
    0.0
    """

    similarity: float
    standard_error: float


def _flat(arrays: Sequence[HashArray]) -> tuple[HashArray, HashArray]:
    """Arrays one after another, and where each begins and ends."""
    offsets = np.zeros(len(arrays) + 1, np.uint64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return np.concatenate([np.empty(0, np.uint64), *arrays]), offsets


@lru_cache(64)
def _slots(scheme: str, drawn: int, seed: int) -> tuple[HashArray, HashArray]:
    """The factor and the summand of each slot of a scheme of datasketch, uint64; `reference.datasketch_slots` says how."""
    generator = np.random.RandomState(seed)  # its streams are frozen
    if scheme == "datasketch-legacy":
        prime = 2**61 - 1
        pairs = [(generator.randint(1, prime, dtype=np.uint64), generator.randint(0, prime, dtype=np.uint64)) for _ in range(drawn)]
        factors, summands = np.array(pairs, np.uint64).T.copy()
        return factors, summands
    width, dtype = (32, np.uint32) if scheme == "datasketch-affine32" else (64, np.uint64)
    factors = generator.randint(0, 2 ** (width - 1), drawn, dtype).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    return factors, generator.randint(0, 2**width, drawn, dtype).astype(np.uint64)


@dataclass(frozen=True, slots=True)
class MinHash:
    """How documents are signed.

    Parameters
    ----------
    num_perm
        Slots of a signature, 2 to 4096. The standard error of an estimate is at most ``sqrt(J * (1 - J) / num_perm)``.
    seed
        0 to 2**64 - 1. Signatures of different seeds are independent, and different things. Schemes of datasketch take seeds
        below 2**32; its own default is 1.
    shingling
        What counts as the same words.
    scheme
        The name of the formula; it travels with every signature. ``"lattice-v1"``, or one by which
        `datasketch <https://pypi.org/project/datasketch/>`_ signs, bit for bit: ``"datasketch-affine32"`` and
        ``"datasketch-affine64"`` are those of its versions from 2.0 on, ``"datasketch-legacy"`` that of 1.1.3 to 1.10 and the one
        of this name in 2.x. They are for signatures that there are already: :mod:`neardup.interop.datasketch`.
    token_hash
        By which the schemes of datasketch hash the bytes of a shingle, as :meth:`Shingling.shingles` shows it: ``"sha1"`` (its
        own, and the default), ``"xxh32"`` or ``"xxh64"``. None for ``lattice-v1``.
    drawn
        Of how many slots of a scheme of datasketch these are the first; ``num_perm`` by default. A ``MinHashLSH`` keeps 117 of
        128.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> MinHash(seed=1, scheme="datasketch-affine32", shingling=Shingling(size=1)).sign_tokens([b"to", b"be"]).values[:2]
    array([2279511541,  536607630], dtype=uint32)
    >>> minhash = MinHash(num_perm=64, shingling=Shingling(size=2))
    >>> a = minhash.sign("the quick brown fox jumps over the lazy dog")
    >>> b = minhash.sign("the quick brown fox jumps over the lazy cat")
    >>> a.values.dtype, a.values.shape, a.count
    (dtype('uint32'), (64,), 8)
    >>> similarity, standard_error = a.estimate_jaccard(b)
    >>> abs(similarity - 7 / 9) < 3 * standard_error
    True
    """

    num_perm: int = 128
    seed: int = 0
    shingling: Shingling = Shingling()  # noqa: RUF009 - frozen
    scheme: Scheme = "lattice-v1"
    token_hash: TokenHash | None = None
    drawn: int | None = None

    def __post_init__(self) -> None:
        check_integer("num_perm", self.num_perm, 2, 4096)
        if not isinstance(self.shingling, Shingling):
            raise TypeError(f"shingling is {self.shingling!r}; it is a neardup.Shingling")
        if not one_of(self.scheme, *SCHEMES):
            raise ParameterError(f"scheme is {self.scheme!r}; it is one of {', '.join(map(repr, SCHEMES))}")
        if self.scheme == "lattice-v1":
            check_integer("seed", self.seed, 0, 2**64 - 1)
            for name in ("token_hash", "drawn"):
                if getattr(self, name) is not None:
                    raise ParameterError(f"{name} is {getattr(self, name)!r}, which is for the schemes of datasketch; leave it out")
            return
        check_integer("seed", self.seed, 0, 2**32 - 1, ", as datasketch's")
        if self.token_hash is None:
            object.__setattr__(self, "token_hash", "sha1")
        if not one_of(self.token_hash, "sha1", "xxh32", "xxh64"):
            raise ParameterError(f"token_hash is {self.token_hash!r}; it is 'sha1', 'xxh32' or 'xxh64'")
        if self.token_hash == "xxh64" and self.scheme == "datasketch-affine32":
            raise ParameterError("token_hash is 'xxh64', and 'datasketch-affine32' takes hashes of 32 bits; take 'xxh32'")
        if self.drawn is None:
            object.__setattr__(self, "drawn", self.num_perm)
        check_integer("drawn", self.drawn, self.num_perm, 4096, ", num_perm being the least")

    @property
    def as_datasketch(self) -> bool:
        """Whether the bytes of shingles are signed, by a scheme of datasketch."""
        return self.scheme != "lattice-v1"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a slot: uint64 for ``datasketch-affine64``, otherwise uint32."""
        return np.dtype(np.uint64 if self.scheme == "datasketch-affine64" else np.uint32)

    def recipe(self, hashes: bool) -> dict[str, Any]:
        """How the kernels sign.

        Parameters
        ----------
        hashes
            Whether they keep the verification hashes.
        """
        shingling = self.shingling
        formula: dict[str, Any] = {}
        if self.as_datasketch:
            factors, summands = _slots(self.scheme, self.drawn or 0, self.seed)
            formula = {"scheme": self.scheme, "token_hash": self.token_hash}
            formula["slots"] = factors[: self.num_perm], summands[: self.num_perm]
        return {
            **formula,
            "chars": shingling.chars,
            "size": shingling.size,
            "secret": shingling.secret,
            "num_perm": self.num_perm,
            "seed": self.seed,
            "verification": hashes,
            "path": None,
        }

    def sign(self, text: str, *, hashes: bool = False) -> Signature:
        """Sign one text.

        Parameters
        ----------
        text
            A string of any length and content; working memory does not grow with it.
        hashes
            Whether to keep the verification hashes, 4 bytes a shingle, for exact similarities.

        Raises
        ------
        TypeError
            If the text is not a string.

        Examples
        --------
        >>> MinHash().sign("").count
        0
        """
        check_text(text)
        if not self.shingling.plain:
            return self.sign_many([text], threads=1, hashes=hashes)[0]
        values, counts, _, verification = _kernels.sign_texts([text], self.recipe(hashes), 1)
        return Signature(values[0], int(counts[0]), self, verification if hashes else None)

    def sign_many(self, texts: Iterable[str] | Utf8, threads: int | None = None, hashes: bool = False) -> Signatures:
        """Sign many texts, on all processors; bit for bit what :meth:`sign` gives one by one.

        Parameters
        ----------
        texts
            Any iterable of strings, an Arrow string column (read in place; a null is a document without text), a pandas or
            polars Series.
        threads
            How many; by default the processors this process may use. They live as long as the call.
        hashes
            Whether to keep the verification hashes, 4 bytes a shingle.

        Raises
        ------
        TypeError
            If an item is not a string; the message gives its place and type.

        Examples
        --------
        >>> signatures = MinHash().sign_many(["one two three", "four five six"])
        >>> signatures.values.shape, signatures.counts.tolist()
        ((2, 128), [1, 1])
        """
        workers = number_of_threads(threads)
        if isinstance(texts, str):
            raise TypeError("texts is one str; it is an iterable of texts: [text], or sign(text)")
        ready = as_texts(texts)
        if not self.shingling.plain:
            if self.as_datasketch and not (callable(self.shingling.tokens) and not self.shingling.stop):
                return self._sign_shown(ready.to_list() if isinstance(ready, Utf8) else ready, workers, hashes)
            ready = self._reworded(ready.to_list() if isinstance(ready, Utf8) else ready)
            if callable(self.shingling.tokens):
                return self.sign_tokens_many(map(self.shingling.tokens, ready), threads=workers, hashes=hashes)
            if self.shingling.stop:
                return self._sign_sets([self.shingling.set_of(text) for text in ready], workers, hashes)
        if isinstance(ready, Utf8):
            return Signatures._of(self, _kernels.sign_spans(*ready.spans, self.recipe(hashes), workers), hashes)
        return Signatures._of(self, _kernels.sign_texts(ready, self.recipe(hashes), workers), hashes)

    def sign_tokens(self, tokens: Iterable[Token | bytes], *, hashes: bool = False) -> Signature:
        """Sign one document given as ready tokens, strings or integers, taken as they are.

        Schemes of datasketch take strings and bytes instead, and with ``Shingling(size=1)`` just what was given to its
        ``MinHash.update``.

        Parameters
        ----------
        tokens
            Those of the document, in order.
        hashes
            Whether to keep the verification hashes, 4 bytes a shingle.

        Raises
        ------
        TypeError
            If a token is neither a string nor an integer; a bool is neither.

        Examples
        --------
        >>> MinHash(shingling=Shingling(size=2)).sign_tokens(["to", "be", 2]).count
        2
        """
        return self.sign_tokens_many([tokens], threads=1, hashes=hashes)[0]

    def sign_tokens_many(self, lists: Iterable[Iterable[Token | bytes]], threads: int | None = None, hashes: bool = False) -> Signatures:
        """Sign many documents given as ready tokens, as :meth:`sign_tokens` takes them.

        Parameters
        ----------
        lists
            The tokens of each document, in order.
        threads
            How many; by default the processors this process may use.
        hashes
            Whether to keep the verification hashes, 4 bytes a shingle.

        Raises
        ------
        TypeError
            If a token is neither a string nor an integer; a bool is neither.

        Examples
        --------
        >>> MinHash().sign_tokens_many([[1, 2, 3], ["a"], []]).counts.tolist()
        [1, 1, 0]
        """
        workers = number_of_threads(threads)
        if self.as_datasketch:
            return self._sign_bytes([_token_list(tokens) for tokens in lists], workers, hashes)
        token_hashes = [self.shingling.token_hashes(tokens) for tokens in lists]  # type: ignore[arg-type]  # bytes are refused there
        if self.shingling.stop:
            return self._sign_sets([self.shingling.set_of_tokens(hashed) for hashed in token_hashes], workers, hashes)
        return Signatures._of(self, _kernels.sign_token_hashes(*_flat(token_hashes), self.recipe(hashes), workers), hashes)

    def _reworded(self, texts: Sequence[str]) -> list[str]:
        _check_texts(texts)
        return [self.shingling.reworded(text) for text in texts]

    def _sign_bytes(self, lists: list[list[Any]], threads: int, hashes: bool) -> Signatures:
        """Ready tokens by a scheme of datasketch."""
        if self.shingling.stop:
            raise ParameterError(
                "stop is given, and ready tokens are signed by datasketch's scheme as they come; leave it out, or sign texts"
            )
        return Signatures._of(self, _kernels.sign_token_lists(lists, self.recipe(hashes), threads), hashes)

    def _sign_shown(self, texts: Sequence[str], threads: int, hashes: bool) -> Signatures:
        """Texts by a scheme of datasketch, by their shingles as people see them, where the kernels do not cut them."""
        _check_texts(texts)
        shingling = self.shingling
        single = replace(self, shingling=Shingling(size=1))
        shown = single._sign_bytes([shingling.shingles(text) for text in texts], threads, hashes=False)
        sets = [sorted_distinct((shingling.hashes(text) >> np.uint64(32)).astype(np.uint32)) for text in texts] if hashes else []
        offsets = np.zeros(len(texts) + 1, np.uint64)
        if hashes:
            np.cumsum([len(own) for own in sets], out=offsets[1:])
        own = np.concatenate([np.empty(0, np.uint32), *sets])
        return Signatures._of(self, (shown.values, shown.counts, offsets, own), hashes)

    def _sign_sets(self, sets: Sequence[HashArray], threads: int, hashes: bool) -> Signatures:
        return self.sign_hashes_many(*_flat(sets), threads=threads, hashes=hashes)

    def sign_hashes_many(
        self, shingle_hashes: HashArray, offsets: HashArray, threads: int | None = None, hashes: bool = False
    ) -> Signatures:
        """Sign documents whose shingle hashes are ready, in any order, as :meth:`Shingling.hashes` gives them.

        Parameters
        ----------
        shingle_hashes
            Those of all documents one after another, uint64.
        offsets
            Those of document i are ``shingle_hashes[offsets[i]:offsets[i + 1]]``, uint64[n + 1].
        threads
            How many; by default the processors this process may use.
        hashes
            Whether to keep the verification hashes, 4 bytes a shingle.

        Raises
        ------
        IndexError
            If the offsets are not ascending places among the hashes.
        IncompatibleError
            If the scheme is one of datasketch, which signs the bytes of shingles.

        Examples
        --------
        >>> ready = Shingling().hashes("a b c d e f g")
        >>> MinHash().sign_hashes_many(ready, np.array([0, 3], np.uint64))[0] == MinHash().sign("a b c d e f g")
        True
        """
        if self.as_datasketch:
            raise IncompatibleError(f"{self.scheme!r} signs the bytes of shingles, not the hashes of words-v1; sign texts or tokens")
        flat, places = np.ascontiguousarray(shingle_hashes, np.uint64), np.ascontiguousarray(offsets, np.uint64)
        return Signatures._of(self, _kernels.sign_shingle_hashes(flat, places, self.recipe(hashes), number_of_threads(threads)), hashes)

    def require_same(self, other: MinHash, what: str) -> None:
        """Refuse signatures made otherwise.

        Parameters
        ----------
        other
            How they were made.
        what
            What the message calls them, with its verb: ``"the other signature was"``.

        Raises
        ------
        IncompatibleError
            Naming every parameter that differs, with both values.
        """
        if other is self:
            return
        differences = []
        for mine, theirs, names in ((self, other, fields(MinHash)), (self.shingling, other.shingling, fields(Shingling))):
            for name in (f.name for f in names if f.name != "shingling"):
                a, b = getattr(mine, name), getattr(theirs, name)
                if a != b:
                    differences.append("secret" if name == "secret" else f"{name} {b!r}, not {a!r}")
        if differences:
            raise IncompatibleError(f"{what} made with another {', '.join(differences)}; sign the documents again with the same parameters")


SCHEMES = get_args(Scheme)


def _check_texts(texts: Sequence[Any]) -> None:
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {i} is of type {type(text).__name__}; a text is a str")


def _token_list(tokens: Iterable[Any]) -> list[Any]:
    if isinstance(tokens, str | bytes):
        raise TypeError(f"tokens is one {kind(tokens)}; it is an iterable of strings or bytes: [text], or sign(text)")
    return tokens if isinstance(tokens, list) else list(tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """One document's signature.

    Attributes
    ----------
    values
        The minima, uint32[num_perm]; uint64 for ``datasketch-affine64``.
    count
        Distinct shingles; exact up to 2**20, above within about 0.1 %. 0 means that the document matches nothing.
    minhash
        How it was made.
    hashes
        The verification hashes, uint32, sorted, where they were asked for; otherwise None.
    """

    values: ValueArray
    count: int
    minhash: MinHash
    hashes: VerificationArray | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signature):
            return NotImplemented
        return self.minhash == other.minhash and self.count == other.count and bool((self.values == other.values).all())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Signature of {self.count} shingles, {self.minhash.num_perm} slots, {self.minhash.scheme}>"

    def estimate_jaccard(self, other: Signature) -> Estimate:
        """Estimate the Jaccard similarity of two documents from the slots on which their signatures agree.

        Parameters
        ----------
        other
            The signature of the other document, made with the same parameters.

        Raises
        ------
        IncompatibleError
            If the signatures were made with different parameters.

        Examples
        --------
        >>> a = MinHash().sign("a rose is a rose is a rose")
        >>> a.estimate_jaccard(a)
        Estimate(similarity=1.0, standard_error=0.0077...)
        """
        self.minhash.require_same(other.minhash, "the other signature was")
        if not self.count or not other.count:
            return Estimate(0.0, 0.0)
        k = self.minhash.num_perm
        agree = int((self.values == other.values).sum())
        p = (agree + 1) / (k + 2)
        return Estimate(agree / k, math.sqrt(p * (1 - p) / k))

    def union(self, other: Signature) -> Signature:
        """The signature of both documents' shingles together: the element-wise minimum.

        Its count is exact when both carry hashes, otherwise estimated from the similarity.

        Parameters
        ----------
        other
            The signature of the other document, made with the same parameters.

        Raises
        ------
        IncompatibleError
            If the signatures were made with different parameters.

        Examples
        --------
        >>> minhash = MinHash(shingling=Shingling(size=1))
        >>> minhash.sign("a b").union(minhash.sign("b c")).values.tolist() == minhash.sign("a b c").values.tolist()
        True
        """
        self.minhash.require_same(other.minhash, "the other signature was")
        values = np.minimum(self.values, other.values)
        if self.hashes is not None and other.hashes is not None:
            hashes = sorted_distinct(np.concatenate((self.hashes, other.hashes)))
            return Signature(values, len(hashes), self.minhash, hashes)
        low, high = sorted((self.count, other.count))
        count = round((low + high) / (1 + self.estimate_jaccard(other).similarity))
        return Signature(values, min(max(count, high), low + high), self.minhash)


@dataclass(frozen=True, slots=True, eq=False)
class Signatures(Sequence[Signature]):
    """The signatures of many documents, in order.

    Attributes
    ----------
    values
        The minima, uint32[n, num_perm], one row a document; uint64 for ``datasketch-affine64``.
    counts
        Distinct shingles of each document, uint64[n].
    minhash
        How they were made.
    hashes, offsets
        The verification hashes of document i are ``hashes[offsets[i]:offsets[i + 1]]`` (uint32, sorted, distinct) where
        they were asked for; otherwise ``hashes`` is None.
    """

    values: ValueArray
    counts: HashArray
    minhash: MinHash
    offsets: HashArray
    hashes: VerificationArray | None = None

    @classmethod
    def _of(cls, minhash: MinHash, arrays: tuple[ValueArray, HashArray, HashArray, VerificationArray], hashes: bool) -> Signatures:
        values, counts, offsets, verification = arrays
        return cls(values, counts, minhash, offsets, verification if hashes else None)

    @property
    def sizes(self) -> npt.NDArray[np.uint32]:
        """What an index of ``verify="estimate"`` takes for the numbers of distinct shingles, uint32[n].

        Signatures of datasketch do not say how many there were. By its schemes every document is taken for one of 1 shingle, or
        of none, whether it was signed here or there: it then matches the same.

        Examples
        --------
        >>> MinHash().sign_many(["one two three four five six", ""]).sizes.tolist()
        [2, 0]
        """
        most = 1 if self.minhash.as_datasketch else 2**32 - 1
        return np.minimum(self.counts, most).astype(np.uint32)

    def require_hashes(self) -> VerificationArray:
        """The verification hashes.

        Raises
        ------
        IncompatibleError
            If they were not asked for.
        """
        if self.hashes is None:
            raise IncompatibleError("signatures without shingle hashes cannot be verified exactly; sign with hashes=True")
        return self.hashes

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, i: int) -> Signature: ...
    @overload
    def __getitem__(self, i: slice) -> Signatures: ...
    def __getitem__(self, i: int | slice) -> Signature | Signatures:
        if isinstance(i, slice):
            start, stop, step = i.indices(len(self))
            if step != 1:
                raise ParameterError(f"a slice of signatures with step {step}; take consecutive ones, step 1")
            stop = max(start, stop)
            return Signatures(self.values[start:stop], self.counts[start:stop], self.minhash, self.offsets[start : stop + 1], self.hashes)
        if not -len(self) <= i < len(self):
            raise IndexError(f"signature {i} of {len(self)}")
        i = i % len(self)
        hashes = None if self.hashes is None else self.hashes[int(self.offsets[i]) : int(self.offsets[i + 1])]
        return Signature(self.values[i], int(self.counts[i]), self.minhash, hashes)

    def __iter__(self) -> Iterator[Signature]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        kept = "" if self.hashes is None else " with verification hashes"
        return f"<Signatures of {len(self):,} documents, {self.minhash.num_perm} slots, {self.minhash.scheme}{kept}>"

    def estimate_jaccard(self, other: Signatures) -> FloatArray:
        """Estimated Jaccard similarities, row by row: float64[n].

        Parameters
        ----------
        other
            The signatures of as many other documents, made with the same parameters.

        Raises
        ------
        IncompatibleError
            If the parameters or the numbers of documents differ.

        Examples
        --------
        >>> a = MinHash().sign_many(["one two three four five six", "a b c"])
        >>> a.estimate_jaccard(a).tolist()
        [1.0, 1.0]
        """
        self.minhash.require_same(other.minhash, "the other signatures were")
        if len(self) != len(other):
            raise IncompatibleError(f"{len(self)} signatures and {len(other)}; row by row takes equally many")
        both = (self.counts > 0) & (other.counts > 0)
        agree: FloatArray = (self.values == other.values).sum(axis=1) / self.minhash.num_perm
        return np.where(both, agree, 0.0)
