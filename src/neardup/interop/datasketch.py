"""Signatures and indexes of datasketch, taken over as they are and given back: nothing is computed again, nothing unpickled.

Its formulas are the schemes ``datasketch-affine32`` and ``datasketch-affine64`` (from its version 2.0 on) and
``datasketch-legacy`` (1.1.3 and later). What was signed there and what is signed here by the same scheme agree in every bit, if
the sets are the same: its users choose what is in them, so tell ``shingling`` accordingly. Shingles made by yourself are signed by
``MinHash.sign_tokens`` with ``Shingling(size=1)``.

>>> import datasketch
>>> from neardup import Index, MinHash, Shingling
>>> old = []
>>> for text in ("one two three four five", "six seven eight nine ten"):
...     old.append(datasketch.MinHash(scheme="affine32"))
...     old[-1].update_batch(word.encode() for word in text.split())
>>> signatures = from_datasketch(old, shingling=Shingling(size=1))
>>> index = Index(minhash=signatures.minhash, verify="estimate")
>>> index.add_signatures(["a", "b"], signatures)
>>> [match.id for match in index.query("One, two, three, four, five!")]
['a']
"""

from __future__ import annotations

import hashlib
import inspect
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Literal, TypeAlias, overload

import numpy as np

from neardup.banding import Banding
from neardup.documents import is_of
from neardup.errors import IncompatibleError, InputError, MissingDependencyError, ParameterError, check_fraction, kind, one_of
from neardup.ids import Id, check_ids
from neardup.index import Index
from neardup.minhash import MinHash, Scheme, Signature, Signatures, TokenHash, ValueArray
from neardup.shingling import Shingling

#: What datasketch calls its schemes.
NAMES: dict[str, Scheme] = {"legacy": "datasketch-legacy", "affine32": "datasketch-affine32", "affine64": "datasketch-affine64"}
#: The byte that names a scheme in a serialised sketch; the old one has none.
CODES: dict[int, Scheme] = {1: "datasketch-affine32", 2: "datasketch-affine64"}
#: By what a hash function is known.
PROBES = (b"", b"neardup", "naïve, with more than a block of bytes: ".encode() * 3)
#: Keys of a MinHashLSH read at a time.
SLICE = 65536

#: ``datasketch.MinHash`` or ``LeanMinHash``, or the bytes of one.
Sketch: TypeAlias = Any
Kind = Literal["MinHash", "LeanMinHash", "bytes", "MinHashLSH"]


@overload
def from_datasketch(
    source: bytes | bytearray | memoryview,
    *,
    token_hash: TokenHash | None = None,
    shingling: Shingling | None = None,
    byteorder: str = "@",
) -> Signature: ...
@overload
def from_datasketch(
    source: Any,
    *,
    token_hash: TokenHash | None = None,
    shingling: Shingling | None = None,
    byteorder: str = "@",
    seed: int = 1,
    threshold: float | None = None,
    recall: float | None = None,
    id: Callable[[Any], Id] | None = None,
) -> Any: ...
def from_datasketch(
    source: Any,
    *,
    token_hash: TokenHash | None = None,
    shingling: Shingling | None = None,
    byteorder: str = "@",
    seed: int = 1,
    threshold: float | None = None,
    recall: float | None = None,
    id: Callable[[Any], Id] | None = None,
) -> Signature | Signatures | Index:
    """What datasketch has signed, without signing it again.

    Parameters
    ----------
    source
        A ``MinHash`` or ``LeanMinHash``, or what ``LeanMinHash.serialize`` wrote: a :class:`neardup.Signature`. An iterable of these,
        all made alike: :class:`neardup.Signatures`. A ``MinHashLSH`` that is held in memory: a :class:`neardup.Index` with all its
        documents, of ``verify="estimate"``.
    token_hash
        By what the sets were hashed, ``"sha1"``, ``"xxh32"`` or ``"xxh64"``. The function that a ``MinHash`` holds tells it; of other
        sources it is taken for ``"sha1"``, datasketch's own.
    shingling
        What the sets were made of, so that texts signed here are comparable: ``Shingling(size=1)`` where they were sets of words.
    byteorder
        That of ``LeanMinHash.serialize``, of bytes only.
    seed
        That of the sketches in a ``MinHashLSH``, which does not keep it.
    threshold, recall
        Those of the index that a ``MinHashLSH`` becomes, as for :class:`neardup.Index`.
    id
        Makes a string or an integer of each key of a ``MinHashLSH``, where they are something else.

    Raises
    ------
    IncompatibleError
        If the sketches were not made alike, with a hash function that neardup has not, or with permutations of one's own; or if a
        ``MinHashLSH`` keeps its documents elsewhere, pickled or hashed.
    InputError
        If bytes are no serialised sketch.
    TypeError
        If the source is something else, or a key neither string nor integer.

    Notes
    -----
    A sketch does not say how many elements its set had: ``count`` is estimated, with a standard error of ``1 / sqrt(num_perm)``. An
    index of these schemes and of ``verify="estimate"`` does without, and takes a containment for that of texts of equal length.
    A ``MinHashLSH`` keeps the slots that its bands need; :attr:`MinHash.drawn` says of how many they are the first.

    Examples
    --------
    >>> import datasketch
    >>> sketch = datasketch.MinHash(num_perm=64, seed=7)
    >>> sketch.update(b"one")
    >>> signature = from_datasketch(sketch)
    >>> signature.minhash.scheme, signature.minhash.seed, signature.count
    ('datasketch-affine32', 7, 1)
    >>> lsh = datasketch.MinHashLSH(threshold=0.8, num_perm=64)
    >>> lsh.insert("a", sketch)
    >>> from_datasketch(lsh, seed=7, threshold=0.8).ids()
    ['a']
    """
    if is_of(source, "datasketch", "MinHashLSH"):
        return _index(source, seed, token_hash, shingling, threshold, recall, id)
    if is_of(source, "datasketch", "MinHash") or isinstance(source, bytes | bytearray | memoryview):
        return _signatures([source], token_hash, shingling, byteorder)[0]
    if isinstance(source, str) or not isinstance(source, Iterable):
        raise TypeError(
            f"the source is of type {kind(source)}; it is a MinHash, LeanMinHash or MinHashLSH of datasketch, the bytes of a "
            "LeanMinHash, or an iterable of sketches"
        )
    return _signatures(source, token_hash, shingling, byteorder)


# ---- sketches ----------------------------------------------------------------------------------------------------------


def _signatures(sources: Iterable[Sketch], token_hash: TokenHash | None, shingling: Shingling | None, byteorder: str) -> Signatures:
    """The signatures of some sketches, all made alike."""
    made: MinHash | None = None
    known: dict[Any, TokenHash] = {}  # by hash function
    rows: list[ValueArray] = []
    permutations: Any = None
    for i, source in enumerate(sources):
        if isinstance(source, bytes | bytearray | memoryview):
            scheme, seed, values = _parsed(source, byteorder, i)
            own = token_hash or "sha1"
        elif is_of(source, "datasketch", "MinHash"):
            scheme, seed, values = NAMES[getattr(source, "scheme", "legacy")], source.seed, source.hashvalues
            function = getattr(source, "hashfunc", None)
            own = known.get(function) or known.setdefault(function, _token_hash(function, scheme, token_hash, i))
        else:
            raise TypeError(f"sketch {i} is of type {kind(source)}; it is a MinHash or LeanMinHash of datasketch, or the bytes of one")
        if made is None:
            made = MinHash(len(values), seed, shingling or Shingling(), scheme, own)
        elif (len(values), seed, scheme, own) != (made.num_perm, made.seed, made.scheme, made.token_hash):
            made.require_same(MinHash(len(values), seed, made.shingling, scheme, own), f"sketch {i} was")
        own_permutations = getattr(source, "permutations", None)
        if own_permutations is not None and own_permutations is not permutations:
            _check_permutations(own_permutations, made, i)
            permutations = own_permutations
        rows.append(_fitting(np.asarray(values), made, i))
    if made is None:
        raise ParameterError("there is no sketch; how the signatures of none were made is not known")
    every: Any = np.stack(rows)
    return _counted(every, made)


def _counted(values: ValueArray, minhash: MinHash) -> Signatures:
    """Signatures with estimated counts: the mean of the minima is that of as many uniform numbers (Cohen 1997)."""
    most = np.iinfo(minhash.dtype).max
    empty = (values == most).all(axis=1)
    means = np.maximum(values.mean(axis=1, dtype=np.float64), 1.0)
    counts = np.where(empty, 0, np.maximum(np.rint(float(most) / means - 1), 1)).astype(np.uint64)
    return Signatures(values, counts, minhash, np.zeros(len(values) + 1, np.uint64))


def _fitting(values: Any, minhash: MinHash, place: int) -> ValueArray:
    """The slots in the type of the scheme."""
    most = int(np.iinfo(minhash.dtype).max)
    if values.ndim != 1 or values.dtype.kind not in "iu" or int(values.min()) < 0 or int(values.max()) > most:
        raise InputError(
            f"sketch {place} has values of shape {values.shape} and type {values.dtype}; those of {minhash.scheme!r} are integers "
            f"from 0 to {most}, one a slot"
        )
    fitting: ValueArray = values.astype(minhash.dtype)
    return fitting


def _hashed(data: bytes, scheme: str, name: str) -> int:
    """The hash of datasketch's choice, in Python."""
    if name == "sha1":
        return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[: 8 if scheme == "datasketch-affine64" else 4], "little")
    import xxhash

    return xxhash.xxh32_intdigest(data) if name == "xxh32" else xxhash.xxh64_intdigest(data)


def _token_hash(function: Callable[[bytes], int] | None, scheme: str, named: TokenHash | None, place: int) -> TokenHash:
    """By what a function hashes, which is tried out."""
    if function is None:
        return named or "sha1"
    names: tuple[TokenHash, ...] = ("sha1", "xxh32", "xxh64")
    try:
        found = [name for name in names if all(int(function(probe)) == _hashed(probe, scheme, name) for probe in PROBES)]
    except Exception:  # noqa: BLE001  it is the caller's, and takes something else than bytes
        found = [] if named is None else [named]
    if not found or (named is not None and named not in found):
        raise IncompatibleError(
            f"the hash function of sketch {place}, {getattr(function, '__qualname__', function)}, is "
            f"{'not ' + repr(named) if named else 'neither sha1 nor xxh32 nor xxh64'}; sign the documents again"
        )
    return found[0]


def _check_permutations(permutations: Any, minhash: MinHash, place: int) -> None:
    for own, drawn in zip(permutations, minhash.recipe(hashes=False)["slots"], strict=True):
        if not np.array_equal(np.asarray(own, np.uint64), drawn):
            raise IncompatibleError(
                f"sketch {place} has permutations that do not follow from its seed {minhash.seed}; sign the documents again"
            )


def _format(scheme: str, byteorder: str) -> tuple[str, str]:
    """How struct writes what comes before the slots, and a slot."""
    slot = "Q" if scheme == "datasketch-affine64" else "I"
    return f"{byteorder}qi{'' if scheme == 'datasketch-legacy' else 'B'}0{slot}", slot


def _check_byteorder(byteorder: str) -> None:
    if not one_of(byteorder, "@", "=", "<", ">", "!"):
        raise ParameterError(f"byteorder is {byteorder!r}; it is '@', '=', '<', '>' or '!', as for LeanMinHash.serialize")


def _parsed(source: bytes | bytearray | memoryview, byteorder: str, place: int) -> tuple[Scheme, int, ValueArray]:
    """The scheme, seed and slots of a serialised LeanMinHash."""
    _check_byteorder(byteorder)
    data = bytes(source)
    start = struct.calcsize(f"{byteorder}qi")
    if len(data) <= start:
        raise InputError(f"sketch {place} has {len(data)} bytes, too few for a serialised LeanMinHash")
    seed, signed = struct.unpack_from(f"{byteorder}qi", data)
    code = None if signed >= 0 else data[start]
    if code is not None and code not in CODES:
        raise InputError(
            f"sketch {place} has the scheme code {code}, which no LeanMinHash has; is byteorder {byteorder!r} that of its bytes?"
        )
    scheme: Scheme = "datasketch-legacy" if code is None else CODES[code]
    head, slot = _format(scheme, byteorder)
    start, num_perm = struct.calcsize(head), abs(signed)
    size = start + num_perm * struct.calcsize(f"={slot}")
    if not 2 <= num_perm <= 4096 or size > len(data):
        raise InputError(
            f"sketch {place} says that it has {num_perm} slots in its {len(data)} bytes; is it a serialised LeanMinHash of 2 to 4096 slots, "
            f"and byteorder {byteorder!r} that of its bytes?"
        )
    if size < len(data):
        raise InputError(
            f"sketch {place} has {len(data)} bytes, {size} of them of one LeanMinHash; cut several apart: "
            f"(data[i : i + {size}] for i in range(0, len(data), {size}))"
        )
    order = {"@": "=", "!": ">"}.get(byteorder, byteorder)
    values: ValueArray = np.frombuffer(data, np.dtype(f"{order}u{4 if slot == 'I' else 8}"), num_perm, start)
    return scheme, seed, values


# ---- MinHashLSH --------------------------------------------------------------------------------------------------------


def _index(
    lsh: Any,
    seed: int,
    token_hash: TokenHash | None,
    shingling: Shingling | None,
    threshold: float | None,
    recall: float | None,
    id: Callable[[Any], Id] | None,
) -> Index:
    """The documents of a MinHashLSH, by the slots that its bands are made of."""
    if kind(lsh.keys) != "DictListStorage":
        raise IncompatibleError(f"the MinHashLSH keeps its documents in a {kind(lsh.keys)}; one that is held in memory is read")
    if lsh.hashfunc is not None:
        raise IncompatibleError(
            "the MinHashLSH keeps hashes of its bands, hashfunc= was given, not the slots; take the sketches themselves"
        )
    if lsh.prepickle and id is None:
        raise IncompatibleError(
            "the MinHashLSH keeps pickled keys, and neardup unpickles nothing; give id= a function that makes an id of the bytes"
        )
    keys = list(lsh.keys.keys())
    scheme = NAMES.get(getattr(lsh, "_minhash_scheme", "legacy"))
    if scheme is None and keys:
        raise IncompatibleError("the MinHashLSH has sketches of no scheme, WeightedMinHash perhaps; only those of MinHash are read")
    scheme = scheme or "datasketch-affine32"
    minhash = MinHash(lsh.b * lsh.r, seed, shingling or Shingling(), scheme, token_hash or "sha1", lsh.h)
    index = Index(threshold, recall=recall, minhash=minhash, verify="estimate")
    ids = check_ids([_named(key, id) for key in keys])
    width = 4 if scheme == "datasketch-affine32" else 8
    size = width * lsh.r
    # A band is kept as its slots, their bytes swapped.
    swapped = np.dtype(f"=u{width}").newbyteorder("S")
    every = iter(keys)
    for start in range(0, len(keys), SLICE):
        data = [part for key in islice(every, SLICE) for part in lsh.keys.get(key)]
        rows = len(keys[start : start + SLICE])
        if len(data) != rows * lsh.b or any(len(part) != size for part in data):
            raise InputError(f"the MinHashLSH has documents that are not {lsh.b} bands of {size} bytes; of which version is it?")
        values = np.frombuffer(b"".join(data), swapped).reshape(rows, -1)
        if int(values.max()) > np.iinfo(minhash.dtype).max:
            raise InputError(f"the MinHashLSH has slots of more than 32 bits, which {scheme!r} has not; of which version is it?")
        slots: ValueArray = values.astype(minhash.dtype)
        index.add_signatures(ids[start : start + rows], _counted(slots, minhash))
    return index


def _named(key: Any, id: Callable[[Any], Id] | None) -> Id:
    name = key if id is None else id(key)
    if isinstance(name, bool) or not isinstance(name, str | int | np.integer):
        raise TypeError(
            f"key {key!r} is of type {kind(name)}; an id is a string or an integer: give id= a function that makes one, such as id=str"
        )
    return name if isinstance(name, str) else int(name)


# ---- back --------------------------------------------------------------------------------------------------------------


def to_datasketch(
    signatures: Signature | Signatures,
    kind: Kind = "MinHash",
    *,
    ids: Sequence[Any] | None = None,
    banding: Banding | None = None,
    threshold: float = 0.8,
    byteorder: str = "@",
) -> Any:
    """Signatures as objects of datasketch, which go on there as if they had been made there.

    Parameters
    ----------
    signatures
        Made by one of its schemes.
    kind
        ``"MinHash"``, ``"LeanMinHash"`` or ``"bytes"``, as ``LeanMinHash.serialize`` writes them: one for a :class:`neardup.Signature`,
        a list for :class:`neardup.Signatures`. ``"MinHashLSH"``: one index of all.
    ids
        The keys in a ``MinHashLSH``, as many as signatures.
    banding, threshold
        The bands and rows of a ``MinHashLSH``; by default those that find documents at the threshold with a probability of 0.99.
    byteorder
        Of bytes.

    Raises
    ------
    IncompatibleError
        If the scheme is not one of datasketch's, or the installed version has not got it.
    MissingDependencyError
        If datasketch is not installed; bytes are written without.
    ParameterError
        If ``kind`` is none of these, or there are not as many ids as signatures.

    Examples
    --------
    >>> from neardup import MinHash, Shingling
    >>> minhash = MinHash(scheme="datasketch-affine32", seed=1, shingling=Shingling(size=1))
    >>> signatures = minhash.sign_many(["one two three", "one two four"])
    >>> a, b = to_datasketch(signatures)
    >>> a.jaccard(b) == signatures[0].estimate_jaccard(signatures[1]).similarity
    True
    >>> "a" in to_datasketch(signatures, "MinHashLSH", ids=["a", "b"]).query(a)
    True
    """
    minhash = signatures.minhash
    if not minhash.as_datasketch:
        raise IncompatibleError(
            f"the scheme is {minhash.scheme!r}, which datasketch has not; sign the documents again with scheme='datasketch-affine32'"
        )
    if not one_of(kind, "MinHash", "LeanMinHash", "bytes", "MinHashLSH"):
        raise ParameterError(f"kind is {kind!r}; it is 'MinHash', 'LeanMinHash', 'bytes' or 'MinHashLSH'")
    if kind in ("bytes", "LeanMinHash") and minhash.drawn != minhash.num_perm:
        raise ParameterError(
            f"drawn is {minhash.drawn} and num_perm {minhash.num_perm}, which a LeanMinHash and its bytes cannot say; take kind='MinHash'"
        )
    rows = [signatures.values] if isinstance(signatures, Signature) else list(signatures.values)
    if kind == "bytes":
        _check_byteorder(byteorder)
        made: list[Any] = [_serialised(row, minhash, byteorder) for row in rows]
    else:
        made = _made(rows, minhash, lean=kind == "LeanMinHash")
    if kind != "MinHashLSH":
        return made[0] if isinstance(signatures, Signature) else made
    if ids is None or len(ids) != len(made):
        raise ParameterError(f"{len(made)} signatures and {0 if ids is None else len(ids)} ids; give ids=, one to each signature")
    check_fraction("threshold", threshold, one=True)
    bands = banding or Banding.for_threshold(threshold, num_perm=minhash.num_perm)
    lsh = sys.modules["datasketch"].MinHashLSH(num_perm=minhash.num_perm, params=(bands.bands, bands.rows))
    for id, sketch in zip(ids, made, strict=True):
        lsh.insert(id, sketch)
    return lsh


def _made(rows: list[Any], minhash: MinHash, *, lean: bool) -> list[Any]:
    """Sketches of these slots."""
    try:
        import datasketch
    except ImportError:
        raise MissingDependencyError("sketches are made by datasketch, which is not installed; pip install datasketch") from None
    scheme = next(name for name, ours in NAMES.items() if ours == minhash.scheme)
    given: dict[str, Any] = {"seed": minhash.seed}
    if "scheme" in inspect.signature(datasketch.MinHash).parameters:
        given["scheme"] = scheme
    elif scheme != "legacy":
        raise IncompatibleError(f"the installed datasketch has no scheme {scheme!r}; pip install 'datasketch>=2'")
    wide = np.uint64 if scheme == "legacy" else minhash.dtype
    if lean:
        return [datasketch.LeanMinHash(hashvalues=row.astype(wide), **given) for row in rows]
    if minhash.token_hash != "sha1":
        import xxhash

        given["hashfunc"] = xxhash.xxh32_intdigest if minhash.token_hash == "xxh32" else xxhash.xxh64_intdigest
    permutations = np.array(minhash.recipe(hashes=False)["slots"]).astype(wide)
    return [datasketch.MinHash(hashvalues=row.astype(wide), permutations=permutations, **given) for row in rows]


def _serialised(row: ValueArray, minhash: MinHash, byteorder: str) -> bytes:
    """What LeanMinHash.serialize writes."""
    head, slot = _format(minhash.scheme, byteorder)
    code = [code for code, scheme in CODES.items() if scheme == minhash.scheme]
    order = {"@": "=", "!": ">"}.get(byteorder, byteorder)
    slots: bytes = row.astype(np.dtype(f"{order}u{4 if slot == 'I' else 8}")).tobytes()
    return struct.pack(head, minhash.seed, -len(row) if code else len(row), *code) + slots
