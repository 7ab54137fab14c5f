"""What a forked child has of its parent's indexes: a thread that was at work on one is not there to let go of it.

What was locked when the process was forked would never be free in the child, and may be half changed; the child is told so,
where it would wait for ever. All else it may use.
"""

from __future__ import annotations

import os
import weakref
from typing import NoReturn, Protocol


class Watched(Protocol):
    """What has locks."""

    def forked(self) -> None:
        """Make locks anew, and refuse what they were held for. Called in the child, before anything else is."""


class Lost:
    """What a child has in the place of a table, or of what a table does: whatever is asked of it, it says why not."""

    def __init__(self, what: str, remedy: str) -> None:
        self._words = f"another thread was at work on {what} when this process was forked; {remedy}"

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(self._words)

    def __call__(self, *_: object) -> NoReturn:
        raise RuntimeError(self._words)

    def __len__(self) -> int:
        raise RuntimeError(self._words)

    def __contains__(self, id: object) -> bool:
        raise RuntimeError(self._words)


_watched: weakref.WeakSet[Watched] = weakref.WeakSet()


def watch(what: Watched) -> None:
    """Tell it of a fork, for as long as it lives."""
    _watched.add(what)


def _tell() -> None:
    for what in list(_watched):
        what.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
