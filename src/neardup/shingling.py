"""What counts as "the same words": text to shingles and shingle hashes (scheme `words-v1`).

A shingle is a run of consecutive tokens; a document is the set of its shingles (Broder 1997, "On the resemblance and
containment of documents", section 2). What becomes a token is specified in :mod:`neardup.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neardup import _kernels
from neardup.errors import ParameterError, check_integer, kind, one_of

Token = str | int
Tokenizer = Callable[[str], Iterable[Token]]
HashArray = npt.NDArray[np.uint64]


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


@dataclass(frozen=True, slots=True)
class Shingling:
    """How a text is cut into shingles.

    Parameters
    ----------
    tokens
        ``"words"``: runs of letters, marks, numbers and ``_``; in scripts written without spaces (Chinese, Japanese, Thai,
        ...) each character. ``"chars"``: the characters of the words, and one space where separators stood. Or a callable
        that takes a text and returns strings or integers.
    size
        Tokens in a shingle, 1 to 32. A document with fewer tokens is one shingle, itself; one without tokens has none and
        matches nothing.
    secret
        Keys the token hash, 0 to 2**64 - 1, where hostile writers could otherwise choose texts that collide.

    Raises
    ------
    ParameterError
        If ``size``, ``tokens`` or ``secret`` is out of range.

    Examples
    --------
    >>> Shingling(size=2).shingles("To be, or not to be")
    ['to be', 'be or', 'or not', 'not to']
    >>> Shingling(size=2).shingles("我们在北京 today")
    ['我 们', '们 在', '在 北', '北 京', '京 today']
    """

    tokens: Literal["words", "chars"] | Tokenizer = "words"
    size: int = 5
    secret: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if not (callable(self.tokens) or one_of(self.tokens, "words", "chars")):
            raise ParameterError(f"tokens is {self.tokens!r}; it is 'words', 'chars' or a callable that returns tokens")
        check_integer("size", self.size, 1, 32)
        check_integer("secret", self.secret, 0, 2**64 - 1)

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
        if callable(self.tokens):
            made = self.tokens(text)
            tokens: Any = made if isinstance(made, str | bytes) else list(made)
            self.token_hashes(tokens)  # refuses what is no token
            return [token if isinstance(token, str) else int(token) for token in tokens]
        data, edges = _kernels.tokens(text, self.chars)
        places = edges.tolist()
        return [data[start:end].decode("utf-8") for start, end in zip(places[::2], places[1::2], strict=True)]

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
        return list(dict.fromkeys(joint.join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)))

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
        if callable(self.tokens):
            return sorted_distinct(_kernels.window_hashes(self.token_hashes(self.tokens(text)), self.size))
        return _kernels.shingle_hashes(text, self.chars, self.size, self.secret)
