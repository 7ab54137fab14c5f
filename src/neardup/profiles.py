"""What a job compares by: a profile for each kind of text, and what is given instead of its parts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from neardup.banding import Banding
from neardup.errors import CorruptIndexError, IncompatibleError, ParameterError, beside, check_fraction, check_integer, one_of, plain
from neardup.minhash import MinHash
from neardup.shingling import Shingling

Verify = Literal["exact", "estimate", "noisy", "rarity", "contained"]

#: The ways to check candidates.
VERIFY: tuple[Verify, ...] = get_args(Verify)

#: Bytes of texts to stop at that fit into the header of every file of an index.
STOPPED = 8192


class Profile(NamedTuple):
    """The parameters for a kind of text.

    Attributes
    ----------
    shingling
        What counts as the same words.
    threshold
        Least similarity of a match.
    verify
        How candidates are checked.
    bucket_limit
        How many members of one bucket a look-up reads.
    whole_buckets
        Whether a job on a whole corpus joins longer buckets too.

    Examples
    --------
    >>> Profile.named("ocr").shingling, Profile.named("ocr").threshold
    (Shingling(tokens='chars', size=6), 0.65)
    """

    shingling: Shingling
    threshold: float
    verify: Verify = "exact"
    bucket_limit: int = 1000
    whole_buckets: bool = True

    @staticmethod
    def named(name: str) -> Profile:
        """The profile of a name.

        Parameters
        ----------
        name
            ``"text"`` is for articles, pages, books as they are; ``"ocr"`` for scanned pages, with up to a fifth of their
            characters misread; ``"short"`` for titles, posts, chat, in which a word more or less matters little; ``"code"`` for
            identifiers and operators; ``"excerpt"`` for texts that are sought inside longer ones.

        Raises
        ------
        ParameterError
            If there is none.

        Examples
        --------
        >>> Profile.named("short").threshold
        0.55
        """
        if not one_of(name, *PROFILES):
            raise ParameterError(f"profile is {name!r}; it is one of {', '.join(map(repr, PROFILES))}")
        return PROFILES[name]


#: By name, as :meth:`Profile.named` explains them.
PROFILES: Mapping[str, Profile] = {
    "text": Profile(Shingling(), 0.8),
    "ocr": Profile(Shingling("chars", 6), 0.65, "noisy", bucket_limit=64, whole_buckets=False),
    "short": Profile(Shingling("chars", 4), 0.55),
    "code": Profile(Shingling("code", 3), 0.5),
    "excerpt": Profile(Shingling(), 0.8, "contained", whole_buckets=False),
}


class Settings(NamedTuple):
    """The parameters of a job, all of them."""

    profile: str
    threshold: float
    recall: float
    minhash: MinHash
    banding: Banding
    verify: Verify
    bucket_limit: int
    whole_buckets: bool

    @property
    def least(self) -> float:
        """The Jaccard similarity that candidates must have, for which the bands are."""
        return least_of(self.verify, self.threshold)

    @property
    def by_corpus(self) -> bool:
        """Whether similarities depend on what else is in the corpus."""
        return self.verify in ("noisy", "rarity")

    @property
    def inside(self) -> bool:
        """Whether what is inside a longer document matches it."""
        return self.verify == "contained"

    @property
    def slots(self) -> int:
        """Slots of the lean signatures that documents are verified by; 0 where they are by their verification hashes."""
        return self.minhash.num_perm if self.verify == "estimate" else 0

    @property
    def sample(self) -> int:
        """Candidates share a verification hash below this; 0 where they share a band key."""
        if not self.inside:
            return 0
        from neardup.excerpts import SAMPLE

        return SAMPLE

    @property
    def given(self) -> dict[str, Any]:
        """What makes the same settings again, beside the threshold."""
        banding = None if self.inside else self.banding
        parts = dict(profile=self.profile, recall=self.recall, minhash=self.minhash, banding=banding)
        return parts | dict(verify=self.verify, bucket_limit=self.bucket_limit)

    def recall_at(self, threshold: float) -> float:
        """The probability that a pair at a threshold becomes a candidate.

        Of noisy ones, that the least legible do; by rarity, that those of least Jaccard similarity do; of an excerpt, that one
        of forty shingles does.
        """
        if self.inside:
            from neardup.excerpts import found_in_longer

            return found_in_longer(threshold, 40)
        return float(self.banding.probability(least_of(self.verify, threshold)))


def least_of(verify: Verify, threshold: float) -> float:
    """The Jaccard similarity that candidates must have for a match at a threshold."""
    # What few need is loaded when it is needed.
    if verify == "noisy":
        from neardup.noise import LEAST

        return LEAST
    if verify == "rarity":
        from neardup.rarity import SHARE

        return SHARE * threshold
    return sys.float_info.min if verify == "contained" else threshold  # a sentence of a book


def resolve(
    profile: str | None = None,
    threshold: float | None = None,
    recall: float | None = None,
    *,
    shingling: Shingling | None = None,
    minhash: MinHash | None = None,
    banding: Banding | None = None,
    verify: Verify | None = None,
    bucket_limit: int | None = None,
) -> Settings:
    """The parameters of a job: those of a profile, but for what is given.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or there is no such profile.
    IncompatibleError
        If ``shingling`` is not that of ``minhash``.
    TypeError
        If something is of another type.

    Examples
    --------
    >>> resolve("ocr", 0.7).threshold, resolve("ocr").banding
    (0.7, Banding(bands=128, rows=1))
    """
    name = "text" if profile is None else profile
    whole = Profile.named(name)
    threshold = whole.threshold if threshold is None else threshold
    recall = 0.99 if recall is None else recall
    verify = whole.verify if verify is None else verify
    limit = whole.bucket_limit if bucket_limit is None else bucket_limit
    check_fraction("threshold", threshold, one=True)
    check_fraction("recall", recall, one=False, remedy="; no number of bands is certain, 0.999 is possible")
    for what, value, expected in (("shingling", shingling, Shingling), ("minhash", minhash, MinHash), ("banding", banding, Banding)):
        if value is not None and not isinstance(value, expected):
            raise TypeError(f"{what} is {value!r}; it is a neardup.{expected.__name__}")
    check_integer("bucket_limit", limit, 1, 2**31)
    if not one_of(verify, *VERIFY):
        raise ParameterError(f"verify is {verify!r}; it is one of {', '.join(map(repr, VERIFY))}")
    if verify == "contained" and banding is not None:
        raise ParameterError(
            f"verify is 'contained', which samples shingles instead of taking bands, and banding is {banding!r}; leave it out"
        )
    if minhash is None:  # samples need no slots
        minhash = MinHash(2 if verify == "contained" else 128, shingling=shingling or whole.shingling)
    elif shingling is not None and shingling != minhash.shingling:
        raise IncompatibleError(f"shingling is {shingling!r}, that of minhash is {beside(minhash.shingling, shingling)}; give one of them")
    if verify == "contained":
        banding = Banding(1, 1)
    elif banding is None:
        banding = Banding.for_threshold(least_of(verify, threshold), recall, minhash.num_perm)
    elif banding.bands * banding.rows > minhash.num_perm:
        slots = banding.bands * banding.rows
        raise ParameterError(
            f"{banding.bands} bands of {banding.rows} rows need {slots} slots, num_perm is {minhash.num_perm}; raise num_perm"
        )
    return Settings(name, float(threshold), recall, minhash, banding, verify, limit, whole.whole_buckets)


def restored(stored: dict[str, Any], shingling: Shingling | None, place: object) -> Settings:
    """The settings that :func:`stored` gave of an index; a callable that makes tokens is that of a shingling which is given.

    Raises
    ------
    IncompatibleError
        If another version wrote them, or the shingling given did not make them.
    CorruptIndexError
        If no index has such parameters.
    """
    try:
        if stored["shingling_scheme"] != "words-v1":
            scheme = plain(stored["shingling_scheme"])
            raise IncompatibleError(f"{place} has shingles of {scheme!r}; use the version that wrote it")
        check_integer("id_seed", stored.get("id_seed", 0), 0, 2**64 - 1)
        if stored["tokens"] == "callable":
            if shingling is None:
                raise IncompatibleError(f"the index in {place} has tokens of a callable; give shingling= with the same one")
            for name, default in (("size", 5), ("secret", 0), ("strip_diacritics", False), ("fold_digits", False), ("stop", [])):
                own, given = stored.get(name, default), getattr(shingling, name)
                if (list(given) if name == "stop" else given) != own:
                    differs = name if name == "secret" else f"{name} {own!r}, not {given!r}"
                    raise IncompatibleError(f"the index in {place} has {differs}; give the shingling that made it")
        else:
            options = {name: stored[name] for name in ("strip_diacritics", "fold_digits", "stop") if name in stored}
            shingling = Shingling(stored["tokens"], stored["size"], stored["secret"], **options)
        slots, seed, scheme = stored["num_perm"], stored["seed"], stored["scheme"]
        return resolve(
            stored.get("profile"),
            stored["threshold"],
            stored.get("recall"),
            minhash=MinHash(slots, seed, shingling, scheme, stored.get("token_hash"), stored.get("drawn")),
            banding=None if stored["verify"] == "contained" else Banding(stored["bands"], stored["rows"]),
            verify=stored["verify"],
            bucket_limit=stored["bucket_limit"],
        )
    except KeyError as error:
        raise IncompatibleError(f"the index in {place} has no parameter {error}; use the version that wrote it") from None
    except (TypeError, AttributeError, ParameterError) as error:
        raise CorruptIndexError(f"the index in {place} has parameters that none can have: {plain(error)}; restore it from a copy") from None


def stored(settings: Settings) -> dict[str, Any]:
    """Settings as an index on disk keeps them; what was added to the format later stands there when it is used."""
    shingling = settings.minhash.shingling
    size = sum(len(text.encode("ascii", "backslashreplace")) + 4 for text in shingling.stop)
    if size > STOPPED:
        raise ParameterError(f"stop has {size:,} bytes, an index on disk keeps at most {STOPPED:,}; give fewer or shorter texts")
    options = {name: getattr(shingling, name) for name in ("strip_diacritics", "fold_digits") if getattr(shingling, name)}
    options |= {"stop": list(shingling.stop)} if shingling.stop else {}
    options |= {"profile": settings.profile} if settings.profile != "text" else {}
    if settings.minhash.as_datasketch:
        options |= {"token_hash": settings.minhash.token_hash, "drawn": settings.minhash.drawn}
    return {
        "tokens": "callable" if callable(shingling.tokens) else shingling.tokens,
        "size": shingling.size,
        "secret": shingling.secret,
        "shingling_scheme": "words-v1",
        "scheme": settings.minhash.scheme,
        "num_perm": settings.minhash.num_perm,
        "seed": settings.minhash.seed,
        "bands": settings.banding.bands,
        "rows": settings.banding.rows,
        "threshold": settings.threshold,
        "verify": settings.verify,
        "bucket_limit": settings.bucket_limit,
        **options,
    }
