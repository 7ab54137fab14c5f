"""How many threads, and work on several, where the system lets a process have them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from neardup.errors import check_integer

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Bytes of address space that a thread wants to begin with, its stack above all.
BEGINNING = 16 << 20


def number_of_threads(threads: int | None) -> int:
    """``threads`` itself, or the processors this process may use.

    Raises
    ------
    ParameterError
        If it is below 1 or above 1024.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    check_integer("threads", threads, 1, 1024)
    return threads


def may_begin(threads: int = 1) -> bool:
    """Whether there is memory for so many more threads: for one that has none Python waits for ever, and C ends the process.

    Examples
    --------
    >>> may_begin()
    True
    """
    try:
        mmap.mmap(-1, threads * BEGINNING).close()
    except OSError:
        return False
    return True


def on_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """What pure work makes of each item, in order; made by this thread where no other can be started.

    Examples
    --------
    >>> on_threads(abs, [-1, 2], 2)
    [1, 2]
    """
    if threads > 1 and len(items) > 1 and may_begin(min(threads, len(items))):
        try:
            from concurrent.futures import ThreadPoolExecutor  # refuses to be loaded once the main thread has ended

            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(work, items))
        except RuntimeError:  # no thread can be started, and what else went wrong does so again
            pass
    return [work(item) for item in items]
