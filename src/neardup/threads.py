"""Work on several threads, where the system lets a process have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """What pure work makes of each item, in order; made by this thread where no other can be started.

    Examples
    --------
    >>> on_threads(abs, [-1, 2], 2)
    [1, 2]
    """
    if threads > 1 and len(items) > 1:
        from concurrent.futures import ThreadPoolExecutor

        try:
            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(work, items))
        except RuntimeError:  # no thread can be started, and what else went wrong does so again
            pass
    return [work(item) for item in items]
