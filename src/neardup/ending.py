"""What is done when something ends: by the process that made it, and by none that was forked from it."""

from __future__ import annotations

import os
from collections.abc import Callable


def of_this_process(action: Callable[..., object], *args: object) -> Callable[[], None]:
    """An action that a forked child, which ends as its parent does, leaves to the parent.

    Examples
    --------
    >>> of_this_process(print, "removed")()
    removed
    """
    process = os.getpid()

    def act() -> None:
        if os.getpid() == process:
            action(*args)

    return act
