"""What notebooks show of results, indexes, bandings and matches: small tables and an S-curve, everything escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

from neardup.errors import MissingDependencyError, ParameterError


def table(title: str, rows: Iterable[Sequence[Any]], header: Sequence[str] = ()) -> str:
    """A table with a title.

    Examples
    --------
    >>> table("a <b>", [("x", 0.5)])
    '<table><caption>a &lt;b&gt;</caption><tbody><tr><td>x</td><td>0.500</td></tr></tbody></table>'
    """

    def cell(value: Any) -> str:
        text = f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
        return escape(text)

    head = f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr></thead>" if header else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption>{head}<tbody>{body}</tbody></table>"


def curve(probability: Callable[[float], float], threshold: float | None = None) -> str:
    """An S-curve as SVG, with a line at the threshold.

    Examples
    --------
    >>> curve(lambda similarity: similarity).startswith('<svg role="img"')
    True
    """
    points = " ".join(f"{x},{50 - 50 * probability(x / 100):.2f}" for x in range(101))
    mark = "" if threshold is None else f'<path d="M{100 * threshold:g} 0V50" stroke="gray" stroke-dasharray="2 2"/>'
    label = "the probability that a pair is found, by its similarity from 0 to 1"
    return (
        f'<svg role="img" aria-label="{label}" viewBox="-2 -2 104 54" width="260" height="135">'
        f'<path d="M0 50H100M0 0H100" stroke="gray" stroke-width=".3"/>{mark}'
        f'<polyline points="{points}" fill="none" stroke="#0b72c4" stroke-width="1.5"/></svg>'
    )


def axes(n: int = 1) -> Any:
    """The axes of a new matplotlib figure; of several, side by side, as an array.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("plots are drawn by matplotlib, which is not installed; pip install matplotlib") from None
    return Figure(figsize=(2 + 4 * n, 4), layout="constrained").subplots(1, n)


def check_plot(path: str) -> None:
    """Refuse a file that matplotlib would not draw, by its name.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ParameterError
        If the name does not end in one of its formats.
    """
    known = sorted(axes().figure.canvas.get_supported_filetypes().keys() - {"pgf"})  # which wants LaTeX
    if PurePath(path).suffix[1:].lower() not in known:
        raise ParameterError(f"{path}: not a format to draw; end the name in .{', .'.join(known)}")
