"""What counts as "the same words": text to shingles and shingle hashes (scheme `words-v1`).

A shingle is a run of consecutive tokens; a document is the set of its shingles (Broder 1997, "On the resemblance and
containment of documents", section 2). What becomes a token is specified in :mod:`neardup.reference`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import ParameterError, check_integer, kind, one_of

Token = str | int
Tokenizer = Callable[[str], Iterable[Token]]
HashArray = npt.NDArray[np.uint64]


#: Marks above and below letters of the Latin, Greek and Cyrillic scripts. Vowel signs of other scripts are no ornaments.
DIACRITICS = "[\u0300-\u036f]"
#: Zeros of Unicode 15.0, to which the kernels are pinned too: nine more digits (Nd) follow each.
ZEROS = (
    *(0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0),
    *(0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620),
    *(0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0),
    *(0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50),
    *(0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E950, 0x1FBF0),
)
#: The marks of ASCII that ``tokens="code"`` makes tokens of, as syllables of Yi: each of those is a token by itself.
MARKS = {mark: 0xA000 + mark for mark in map(ord, "!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~")}
SIGNS = {sign: mark for mark, sign in MARKS.items()}


def check_text(text: object) -> None:
    """Refuse what is not a string."""
    if not isinstance(text, str):
        remedy = "; decode it first: text.decode('utf-8')" if isinstance(text, bytes | bytearray) else ""
        raise TypeError(f"a text is a str, not {kind(text)}{remedy}")


def sorted_distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct values, sorted; np.unique hashes them first, which is many times slower."""
    ordered: npt.NDArray[Any] = np.sort(values)
    distinct: npt.NDArray[Any] = ordered[np.concatenate((np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1]))]
    return distinct


@dataclass(frozen=True, slots=True, repr=False)
class Shingling:
    """How a text is cut into shingles.

    Parameters
    ----------
    tokens
        ``"words"``: runs of letters, marks, numbers and ``_``; in scripts written without spaces (Chinese, Japanese, Thai,
        ...) each character. ``"chars"``: the characters of the words, and one space where separators stood. Or a callable
        that takes a text and returns strings or integers. ``"code"``: words, and each other mark of ASCII, such as ``+`` and
        ``{``.
    size
        Tokens in a shingle, 1 to 32. A document with fewer tokens is one shingle, itself; one without tokens has none and
        matches nothing.
    secret
        Keys the token hash, 0 to 2**64 - 1, where hostile writers could otherwise choose texts that collide.
    strip_diacritics
        Take ``é`` for ``e``, ``ё`` for ``е``: letters of the Latin, Greek and Cyrillic scripts lose their marks.
    fold_digits
        Take every digit for ``0``, so that texts which differ in their numbers alone are the same.
    stop
        Texts whose shingles do not count: boilerplate that is known beforehand. They are cut as documents are.

    Raises
    ------
    ParameterError
        If ``size``, ``tokens`` or ``secret`` is out of range.
    TypeError
        If ``stop`` is not several texts.

    Notes
    -----
    ``strip_diacritics``, ``fold_digits``, ``stop`` and ``tokens="code"`` are applied before or after the kernels, text by text:
    signing takes several times as long with them.

    Examples
    --------
    >>> Shingling(size=2).shingles("To be, or not to be")
    ['to be', 'be or', 'or not', 'not to']
    >>> Shingling(size=2).shingles("我们在北京 today")
    ['我 们', '们 在', '在 北', '北 京', '京 today']
    >>> Shingling(size=2, strip_diacritics=True, fold_digits=True, stop=["read more"]).shingles("Café 41: read more")
    ['cafe 00', '00 read']
    >>> Shingling("code", size=3).shingles("i += 1")
    ['i + =', '+ = 1']
    """

    tokens: Literal["words", "chars", "code"] | Tokenizer = "words"
    size: int = 5
    secret: int = field(default=0, repr=False)
    strip_diacritics: bool = False
    fold_digits: bool = False
    stop: Iterable[str] = ()

    def __post_init__(self) -> None:
        if not (callable(self.tokens) or one_of(self.tokens, "words", "chars", "code")):
            raise ParameterError(f"tokens is {self.tokens!r}; it is 'words', 'chars', 'code' or a callable that returns tokens")
        check_integer("size", self.size, 1, 32)
        check_integer("secret", self.secret, 0, 2**64 - 1)
        for name in ("strip_diacritics", "fold_digits"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}; it is True or False")
        if isinstance(self.stop, str | bytes):
            raise TypeError(f"stop is one {kind(self.stop)}; it is an iterable of texts: [text]")
        stop = tuple(self.stop)
        for text in stop:
            check_text(text)
        object.__setattr__(self, "stop", tuple(sorted(set(stop))))

    def __repr__(self) -> str:
        options = [f"{name}={getattr(self, name)!r}" for name in ("strip_diacritics", "fold_digits", "stop") if getattr(self, name)]
        return f"Shingling({', '.join([f'tokens={self.tokens!r}', f'size={self.size!r}', *options])})"

    @property
    def plain(self) -> bool:
        """Whether the kernels do all of it."""
        return isinstance(self.tokens, str) and self.tokens != "code" and not (self.strip_diacritics or self.fold_digits or self.stop)

    def reworded(self, text: str) -> str:
        """A text as the kernels or a callable are given it.

        Examples
        --------
        >>> Shingling(strip_diacritics=True, fold_digits=True).reworded("Čapek, 1920")
        'Capek, 0000'
        """
        if self.strip_diacritics and not text.isascii():
            text = unicodedata.normalize("NFC", re.sub(DIACRITICS, "", unicodedata.normalize("NFD", text)))
        if self.fold_digits:
            # Digits hide in other characters: in ² and ½.
            text = re.sub("[0-9]", "0", text) if text.isascii() else re.sub(_digits(), "0", unicodedata.normalize("NFKC", text))
        return text.translate(MARKS) if self.tokens == "code" else text

    @property
    def chars(self) -> bool:
        """Whether tokens are characters."""
        return self.tokens == "chars"

    def tokenize(self, text: str) -> list[Token]:
        """The tokens of a text, in order.

        Raises
        ------
        TypeError
            If the text is not a string, or a callable's token is neither string nor integer.

        Examples
        --------
        >>> Shingling().tokenize("Ｆｕｌｌ-width STRASSE, straße")
        ['full', 'width', 'strasse', 'strasse']
        """
        check_text(text)
        text = self.reworded(text)
        if callable(self.tokens):
            made = self.tokens(text)
            tokens: Any = made if isinstance(made, str | bytes) else list(made)
            self.token_hashes(tokens)  # refuses what is no token
            return [token if isinstance(token, str) else int(token) for token in tokens]
        data, edges = _kernels.tokens(text, self.chars)
        places = edges.tolist()
        tokens = [data[start:end].decode("utf-8") for start, end in zip(places[::2], places[1::2], strict=True)]
        return [token.translate(SIGNS) for token in tokens] if self.tokens == "code" else tokens

    def shingles(self, text: str) -> list[str]:
        """The distinct shingles of a text, in order of first appearance: what the machine saw, for people to look at.

        Examples
        --------
        >>> Shingling(tokens="chars", size=4).shingles("Ab, c")
        ['ab c']
        >>> Shingling().shingles("Fewer than five")
        ['fewer than five']
        """
        tokens = [str(token) for token in self.tokenize(text)]
        if not tokens:
            return []
        n = min(self.size, len(tokens))
        joint = "" if self.chars else " "
        found = dict.fromkeys(joint.join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
        for one in self.stop:
            for shingle in replace(self, stop=()).shingles(one):
                found.pop(shingle, None)
        return list(found)

    def token_hashes(self, tokens: Iterable[Token]) -> HashArray:
        """The hashes of ready tokens, in order: uint64[n].

        Raises
        ------
        TypeError
            If a token is neither a string nor an integer; a bool is neither.
        ParameterError
            If an integer does not fit in 64 signed bits.

        Examples
        --------
        >>> len(Shingling().token_hashes(["a", "b", 7]))
        3
        """
        if isinstance(tokens, str | bytes):
            raise TypeError(f"tokens is one {kind(tokens)}; it is an iterable of strings or integers: [text], or sign(text)")
        ready: Any = tokens.tolist() if isinstance(tokens, np.ndarray) else tokens
        if self.tokens == "code":
            ready = [token.translate(MARKS) if isinstance(token, str) else token for token in ready]
        try:
            return _kernels.token_hashes(ready, self.secret)
        except OverflowError as error:
            raise ParameterError(str(error)) from None

    def hashes(self, text: str) -> HashArray:
        """The distinct shingle hashes of a text, sorted: uint64[n], what the machine uses.

        Raises
        ------
        TypeError
            If the text is not a string.

        Examples
        --------
        >>> Shingling().hashes("one two three four five six").dtype, len(Shingling().hashes("..."))
        (dtype('uint64'), 0)
        """
        check_text(text)
        return self.set_of(text if self.plain else self.reworded(text))

    def set_of(self, text: str) -> HashArray:
        """The same of a text that is reworded already."""
        if callable(self.tokens):
            return self.set_of_tokens(self.token_hashes(self.tokens(text)))
        return _without(self, _kernels.shingle_hashes(text, self.chars, self.size, self.secret))

    def set_of_tokens(self, token_hashes: HashArray) -> HashArray:
        """The same of a document whose token hashes are given in order, uint64."""
        return _without(self, sorted_distinct(_kernels.window_hashes(token_hashes, self.size)))


def sealed(shingling: Shingling) -> dict[str, str]:
    """What tells a secret from others, where there is one, in unfinished work, which does not hold it.

    Examples
    --------
    >>> sealed(Shingling())
    {}
    >>> sealed(Shingling(secret=1)) == sealed(Shingling(secret=2))
    False
    """
    import hashlib

    return {"secret": hashlib.sha256(b"%d" % shingling.secret).hexdigest()} if shingling.secret else {}


def _without(shingling: Shingling, hashes: HashArray) -> HashArray:
    """The hashes that count."""
    if not shingling.stop:
        return hashes
    stop = _stop_hashes(shingling)  # sorted, and more than a document has: a search for each of its hashes is quickest
    places = np.searchsorted(stop, hashes)
    return hashes[(places == len(stop)) | (stop[np.minimum(places, len(stop) - 1)] != hashes)] if len(stop) else hashes


@lru_cache(1)
def _digits() -> re.Pattern[str]:
    return re.compile("[{}]".format("".join(f"{chr(zero)}-{chr(zero + 9)}" for zero in ZEROS)))


@lru_cache(16)
def _stop_hashes(shingling: Shingling) -> HashArray:
    """The hashes, sorted, of shingles that do not count."""
    whole = replace(shingling, stop=())
    return sorted_distinct(np.concatenate([np.empty(0, np.uint64), *(whole.hashes(text) for text in shingling.stop)]))
