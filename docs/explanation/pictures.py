"""Draws the pictures of the explanation, from what neardup computes: ``python docs/explanation/pictures.py [FOLDER]``.

One run writes what another does: no date, no random numbers, letters as outlines.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from neardup import Banding, MinHash, Shingling, jaccard

FOLDER = Path(__file__).parent / "pictures"
#: Two sentences that differ in one word.
A = "the market opens on saturday at eight in the morning on the square"
B = "the market opens on saturday at nine in the morning on the square"
#: Two longer ones, of similarity 0.74.
LONG_A = f"{A}, and the band of the fire brigade plays from ten until noon; parking is free behind the station for all who come by car"
LONG_B = LONG_A.replace("until noon", "till noon")
SAME, OTHER, QUIET, INK = "#2a78b5", "#d9733a", "#c9ced4", "#2b2f33"
STYLE = {"svg.hashsalt": "neardup", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without axes, a unit of which is an inch."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def box(axes: Axes, left: float, bottom: float, width: float, text: str, colour: str, *, height: float = 0.24) -> None:
    """A box with a text in it."""
    axes.add_patch(Rectangle((left, bottom), width, height, facecolor=colour, alpha=0.25, edgecolor=colour, linewidth=0.8))
    axes.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=8)


def shingles() -> Figure:
    """Two sentences, and the runs of five words of each: which they share, which not."""
    figure, axes = canvas(8, 4.4)
    cut = Shingling()
    for text, other, left, name in ((A, B, 0.2, "a"), (B, A, 4.15, "b")):
        shared = set(cut.shingles(other))
        axes.text(left, 4.1, "\n".join(textwrap.wrap(f"{name}: {text}", 48)), va="center", fontsize=8)
        for place, shingle in enumerate(cut.shingles(text)):
            box(axes, left, 3.55 - 0.32 * place, 3.65, shingle, SAME if shingle in shared else OTHER)
    both, all_ = len(set(cut.shingles(A)) & set(cut.shingles(B))), len(set(cut.shingles(A)) | set(cut.shingles(B)))
    axes.text(4, 0.3, f"{both} of {all_} different shingles are in both: similarity {both / all_:.2f}", ha="center", fontsize=10)
    return figure


def signature() -> Figure:
    """Signatures of two texts, slot by slot, and bands of them."""
    slots, rows = 24, 4
    minhash = MinHash(num_perm=slots)
    values = [minhash.sign(text).values for text in (LONG_A, LONG_B)]
    figure, axes = canvas(8, 3.1)
    equal = [bool(a == b) for a, b in zip(*values, strict=True)]
    for line, (name, row) in enumerate((("a", values[0]), ("b", values[1]))):
        axes.text(0.15, 2.52 - 0.42 * line, name, va="center", fontsize=11)
        for place, value in enumerate(row):
            box(axes, 0.4 + 0.31 * place, 2.4 - 0.42 * line, 0.29, f"{value >> 22:03d}", SAME if equal[place] else QUIET)
    axes.text(4.1, 2.87, f"{slots} slots, of which {sum(equal)} agree", ha="center", fontsize=10)
    for band in range(slots // rows):
        agree = all(equal[band * rows : (band + 1) * rows])
        left = 0.38 + 0.31 * rows * band
        axes.add_patch(
            Rectangle((left, 1.9), 0.31 * rows - 0.03, 0.82, fill=False, edgecolor=OTHER if agree else INK, linewidth=2.2 if agree else 0.7)
        )
        text = f"band {band + 1}\n" + ("one bucket:\na candidate" if agree else "two buckets")
        axes.text(left + 0.31 * rows / 2, 1.5, text, ha="center", va="center", fontsize=8)
    axes.text(4.1, 0.75, "Agreement on all rows of one band is enough to be compared.", ha="center", fontsize=10)
    axes.text(
        4.1,
        0.45,
        f"The similarity of the two is {jaccard(LONG_A, LONG_B):.2f}. Of each slot the first bits are shown.",
        ha="center",
        fontsize=8,
    )
    return figure


def curves() -> Figure:
    """The probability of being compared, for three bandings of 128 slots."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    similarity = np.linspace(0, 1, 501)
    chosen = Banding.for_threshold(0.8)
    axes.axvspan(0.8, 1, color=SAME, alpha=0.08, linewidth=0)
    for banding, colour, name in (
        (Banding(9, 13), OTHER, "9 bands of 13 rows: equal areas"),
        (chosen, SAME, f"{chosen.bands} bands of {chosen.rows} rows: recall 0.99 at 0.8"),
        (Banding(42, 3), QUIET, "42 bands of 3 rows: recall 0.99 at 0.5"),
    ):
        axes.plot(similarity, banding.probability(similarity), color=colour, linewidth=2, label=name)
        if banding.rows != 3:
            at = banding.probability(0.8)
            axes.plot([0.8], [at], "o", color=colour, markersize=5)
            axes.annotate(f"{at:.3f}", (0.8, at), xytext=(6, -11), textcoords="offset points", fontsize=8)
    axes.axvline(0.8, color=INK, linewidth=0.8, linestyle=":")
    axes.text(0.9, 0.04, "what you want", ha="center", fontsize=8)
    axes.set(xlabel="similarity of a pair", ylabel="probability of being compared", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.25)
    return figure


def estimates() -> Figure:
    """How estimates of one pair spread, over signatures of many seeds, beside the threshold."""
    words = [f"w{i}" for i in range(300)]
    pairs = []
    for changed, colour in ((8, OTHER), (5, SAME)):
        other = list(words)
        other[10 : 290 : 280 // changed] = [f"x{i}" for i in range(len(other[10 : 290 : 280 // changed]))]
        pairs.append((" ".join(words), " ".join(other), colour))
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(0.55, 1.0, 1 / 64) + 1 / 256
    for left, right, colour in pairs:
        exact = jaccard(left, right)
        found = []
        for seed in range(2000):
            a, b = MinHash(seed=seed).sign_many([left, right], threads=1)
            found.append(a.estimate_jaccard(b).similarity)
        above = np.mean(np.array(found) >= 0.8)
        axes.hist(found, edges, color=colour, alpha=0.5, label=f"a pair of {exact:.3f}: {above:.0%} of its estimates are 0.8 or more")
        axes.axvline(exact, color=colour, linewidth=1.2)
    axes.axvline(0.8, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="estimated similarity, 128 slots, 2,000 seeds", ylabel="signatures")
    axes.set_yticks([])
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def chain() -> Figure:
    """Texts each of which resembles the next, and what is kept of them in two ways."""
    texts = [" ".join(f"w{i}" for i in range(2 * start, 2 * start + 30)) for start in range(5)]
    figure, axes = canvas(8, 2.7)
    for row, (name, kept) in enumerate(
        (("chains of matches: one is kept", {0}), ("witnesses: each removed one matches a kept one", {0, 2, 4}))
    ):
        bottom = 1.75 - 1.3 * row
        axes.text(0.2, bottom + 0.62, name, fontsize=10)
        for place in range(5):
            box(axes, 0.3 + 1.55 * place, bottom, 0.95, "abcde"[place], SAME if place in kept else QUIET, height=0.36)
            if place < 4:
                score = jaccard(texts[place], texts[place + 1])
                axes.annotate(
                    "",
                    (0.3 + 1.55 * (place + 1), bottom + 0.18),
                    (1.25 + 1.55 * place, bottom + 0.18),
                    arrowprops={"arrowstyle": "-", "color": INK},
                )
                axes.text(1.55 + 1.55 * place, bottom + 0.26, f"{score:.2f}", ha="center", fontsize=8)
        ends = jaccard(texts[0], texts[4])
        said = f"e is removed for a, which it resembles at {ends:.2f}" if row == 0 else "blue is kept; threshold 0.8"
        axes.text(7.8, bottom - 0.25, said, ha="right", fontsize=8)
    return figure


PICTURES = {"shingles": shingles, "signature": signature, "curves": curves, "estimates": estimates, "chain": chain}


def draw(folder: Path) -> None:
    """Write all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, picture in PICTURES.items():
            picture().savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
