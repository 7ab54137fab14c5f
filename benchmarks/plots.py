"""Plots as plain SVG, on a ground of their own, so that they can be read on light pages and dark ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from figures import number

WIDTH = 720
#: Of each colour its shade on light ground and on dark.
SHADES = {
    "blue": ("#0b62d6", "#58a6ff"),
    "orange": ("#b85c00", "#f0883e"),
    "green": ("#1a7f37", "#3fb950"),
    "purple": ("#8250df", "#bc8cff"),
    "red": ("#cf222e", "#ff7b72"),
    "teal": ("#0e7c86", "#39c5cf"),
    "brown": ("#7d5a3c", "#c69a72"),
    "grey": ("#6e7781", "#9198a1"),
}
COLOURS = tuple(SHADES)


def style(shade: int, ground: str, ink: str, pale: str, grid: str) -> str:
    """The colours on light ground (0) or dark (1)."""
    marks = "".join(f".{name} {{ fill: {shades[shade]}; stroke: {shades[shade]} }}\n" for name, shades in SHADES.items())
    others = f".ground {{ fill: {ground} }} text {{ fill: {ink} }} .small {{ fill: {pale} }} .grid {{ stroke: {grid} }}\n"
    return marks + others + f".line {{ fill: none; stroke-width: 2 }} .open {{ fill: {ground}; stroke-width: 2 }}\n"


FONTS = "text { font: 13px system-ui, sans-serif } .small { font-size: 12px } .title { font-size: 15px; font-weight: 600 }\n"
LIGHT = style(0, "#ffffff", "#1f2328", "#59636e", "#d8dee4")
DARK = style(1, "#151b23", "#e6edf3", "#9198a1", "#3d444d")


class Series(NamedTuple):
    """Points of one name and colour; of scattered points also what is written beside each, and which are drawn open."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()
    open: Sequence[bool] = ()


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{f" class={chr(34)}{style}{chr(34)}" if style else ""}>{escape(words)}</text>'
    )


def line(x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<path class="grid" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'


def document(title: str, height: float, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">',
            f"<style>\n{FONTS}{LIGHT}@media (prefers-color-scheme: dark) {{\n{DARK}}}\n</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height:.0f}" rx="8"/>',
            text(20, 28, title, "title"),
            *parts,
            "</svg>\n",
        ]
    )


def bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: (name, value, colour)."""
    left, top, step, right = 210, 46, 24, 90
    most = max(value for _, value, _ in rows)
    parts = []
    for i, (name, value, colour) in enumerate(rows):
        y, length = top + i * step, (WIDTH - left - right) * value / most
        parts += [
            text(left - 8, y + 14, name, anchor="end"),
            f'<rect class="mark {colour}" x="{left}" y="{y + 3}" width="{max(length, 0.5):.1f}" height="14" stroke="none"/>',
            text(left + length + 6, y + 14, number(value), "small"),
        ]
    return document(title, top + len(rows) * step + 14, parts)


def missed(recall: float) -> float:
    """Where a recall stands on an axis that spreads what is close to 1."""
    return -math.log10(1.004 - recall)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis."""
    steps = [m * 10**e for e in range(-6, 9) for m in (1, 2, 5)]
    inside = [s for s in steps if low <= s <= high]
    return inside if len(inside) <= 9 else [s for s in inside if math.log10(s) % 1 < 1e-9]


def chart(title: str, across: str, upwards: str, series: Sequence[Series], *, recall: bool = False) -> str:
    """Lines over a logarithmic axis, upwards from 0; or points, upwards a recall spread towards 1."""
    left, right, top, bottom, height = 70, WIDTH - 180, 82, 330, 380
    xs, ys = ([point[axis] for one in series for point in one.points] for axis in (0, 1))
    low, high = min(xs) / 1.15, max(xs) * 1.15
    tops = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0]
    if recall:
        tops = [0.0, *tops] if min(ys) < 0.5 else tops
    else:
        step = next(s for s in (m * 10**e for e in range(-3, 9) for m in (1, 2, 5)) if max(ys) / s <= 6)
        tops = [i * step for i in range(math.ceil(max(ys) / step) + 1)]
    up = missed if recall else float
    least, most = up(min([*ys, tops[0]])), up(tops[-1])

    def x(value: float) -> float:
        return left + (right - left) * math.log(value / low) / math.log(high / low)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (up(value) - least) / (most - least)

    parts = [text(left, 52, upwards, "small"), text((left + right) / 2, height - 12, across, "small", "middle")]
    parts += [part for t in tops for part in (line(left, y(t), right, y(t)), text(left - 8, y(t) + 4, number(t), "small", "end"))]
    parts += [text(x(t), bottom + 20, number(t), "small", "middle") for t in ticks(low, high)]
    drawn = 0
    for i, one in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        places = [(x(a), y(b)) for a, b in one.points]
        if not recall:
            parts.append(f'<path class="line {colour}" d="M{"L".join(f"{a:.1f} {b:.1f}" for a, b in places)}"/>')
        for j, (a, b) in enumerate(places):
            kind = "open" if one.open and one.open[j] else "mark"
            parts.append(f'<circle class="{kind} {colour}" cx="{a:.1f}" cy="{b:.1f}" r="{5 if recall else 4}"/>')
            if one.labels:
                parts.append(text(a, b - 9 if drawn % 2 else b + 18, one.labels[j], "small", "middle"))
                drawn += 1
        parts += [
            f'<circle class="mark {colour}" cx="{right + 24}" cy="{top + 20 * i}" r="5"/>',
            text(right + 36, top + 20 * i + 4, one.name),
        ]
    return document(title, height, parts)
