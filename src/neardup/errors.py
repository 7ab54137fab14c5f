"""What can go wrong, in one tree. Every message says the fact, the value and the remedy.

::

    NearDupError
    ├── ParameterError(ValueError)             a parameter outside what it may be
    ├── IncompatibleError(ValueError)          schemes or parameters that differ
    ├── UnknownDocumentError(KeyError)         an id that the index does not hold
    ├── DuplicateIdError(ValueError)           an id that is there already
    ├── CorruptIndexError(ValueError)          stored data that is damaged or not ours
    ├── InputError(ValueError)                 a file or table that cannot be read as documents
    ├── ServerError(ConnectionError)           a server that cannot be reached, or does not do what was asked
    └── MissingDependencyError(ImportError)    an optional package that is not installed
    RecallWarning(UserWarning)                 fewer are found than the recall asked for says
    ResumeWarning(UserWarning)                 interrupted work goes on, or begins anew
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from typing import Any


class NearDupError(Exception):
    """What neardup raises on purpose, but for what Python has a name for.

    That is a TypeError for a wrong type; a ValueError for an index that is closed; a RuntimeError for one that a forked child or an
    interrupted thread may not use; and the errors of files, with the path and what to do.
    """


class ParameterError(NearDupError, ValueError):
    """A parameter outside what it may be."""


class IncompatibleError(NearDupError, ValueError):
    """Things made with different schemes or parameters meet."""


class UnknownDocumentError(NearDupError, KeyError):
    """An id that the index does not hold."""

    def __str__(self) -> str:
        """The message itself; KeyError would quote it."""
        return str(self.args[0])


class DuplicateIdError(NearDupError, ValueError):
    """An id that is there already."""


class CorruptIndexError(NearDupError, ValueError):
    """Stored data that is damaged, or was not written by neardup."""


class InputError(NearDupError, ValueError):
    """A file or table that cannot be read as documents."""


class ServerError(NearDupError, ConnectionError):
    """A server that holds an index cannot be reached, breaks off or refuses; the message says what was not done."""


class MissingDependencyError(NearDupError, ImportError):
    """An optional package that is not installed."""


class RecallWarning(UserWarning):
    """The recall asked for is out of reach with this many slots, or a query goes below the threshold that the bands are for."""


class ResumeWarning(UserWarning):
    """Work that was interrupted goes on, or begins anew since it is another job's."""


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line of whoever called neardup, however deep the cause lies in it."""
    frame, level = sys._getframe(1), 1  # from Python 3.12 on, warnings has skip_file_prefixes
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "neardup":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)


def kind(value: object) -> str:
    """The name of a value's type, for messages."""
    return type(value).__name__


def plain(cause: object) -> str:
    """What a library or a hostile file said, on one line without control characters, and no more than is read."""
    return ascii(str(cause))[1:-1][:300]


def beside(value: object, other: object) -> str:
    """A value for a message that shows another. Two that differ only by secret, which is not shown, look alike, so that is said."""
    return "the same with another secret" if repr(value) == repr(other) else repr(value)


def listed(names: Iterable[str]) -> str:
    """Names for messages: the first twenty, of each no more than is read, and how many more."""
    every = list(names)
    more = f" and {len(every) - 20:,} more" if len(every) > 20 else ""
    said = (repr(name) for name in every[:20])
    return ", ".join(name if len(name) <= 80 else f"{name[:76]}...{name[-1]}" for name in said) + more


def one_of(value: Any, *known: str) -> bool:
    """Whether a value is one of these strings; an array, which compares element by element, is none."""
    return isinstance(value, str) and value in known


def check_integer(name: str, value: Any, least: int, most: int, remedy: str = "") -> None:
    """Refuse what is not an integer from ``least`` to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r} of type {kind(value)}; it is an integer from {least} to {most}")
    if not least <= value <= most:
        raise ParameterError(f"{name} is {value}; it goes from {least} to {most}{remedy}")


def check_fraction(name: str, value: Any, *, one: bool, remedy: str = "") -> None:
    """Refuse what is not a number above 0 and below 1 (or 1 itself, where ``one``)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r} of type {kind(value)}; it is a number above 0 and {'at most' if one else 'below'} 1")
    if not (0 < value < 1 or (one and value == 1)):
        raise ParameterError(f"{name} is {value}; it lies above 0 and {'is at most' if one else 'below'} 1{remedy}")
