"""What optical character recognition does to a text: a seeded generator for tests.

Confusions are of shapes: letters and groups of letters that look alike in worn type. Each letter is hit with a given
probability; then words are split and joined, specks are read as marks, and lines are lost.
"""

from __future__ import annotations

import random

#: What is read for what; groups first, as in "modern" for "rn".
GROUPS = {
    "rn": "m",
    "m": "rn",
    "cl": "d",
    "d": "cl",
    "ri": "n",
    "li": "h",
    "vv": "w",
    "w": "vv",
    "ii": "u",
    "fi": "h",
    "nn": "m",
    "tt": "lt",
}
SHAPES = {
    "a": "oeus", "b": "hl6", "c": "eo(", "d": "ao", "e": "co", "f": "tr", "g": "9q", "h": "bn", "i": "l1j", "j": "i;", "k": "lx",
    "l": "1iI", "m": "nw", "n": "uh", "o": "0ec", "p": "g", "q": "g9", "r": "tn", "s": "5ae", "t": "lf", "u": "nii", "v": "yu",
    "w": "v", "x": "z", "y": "v", "z": "2", "A": "4", "B": "8R", "C": "GO", "D": "O", "E": "FB", "F": "P", "G": "C6", "H": "NM",
    "I": "l1", "J": "T", "L": "I", "M": "N", "N": "M", "O": "0QD", "P": "F", "Q": "O", "R": "K", "S": "5", "T": "I", "U": "V",
    "V": "Y", "W": "M", "Z": "2", "0": "O", "1": "lI", "2": "Z", "3": "8", "4": "A", "5": "S", "6": "b", "7": "1", "8": "B3",
    "9": "g", ".": ",", ",": ".", "é": "e6", "è": "e", "à": "a", "ö": "o", "ü": "ii", "ä": "a", "ß": "B", "ñ": "n", "ç": "c",
}  # fmt: skip
SPECKS = ".,'-:;*^~"


def noisy(text: str, rate: float, seed: int) -> str:
    """A reading of a text in which about this share of its characters are wrong."""
    rng = random.Random(seed)
    lines = [line for line in text.split("\n") if rng.random() >= rate / 8]
    text = "\n".join(lines)
    letters = [c for c in text if c.isalpha()] or ["x"]
    out, i = [], 0
    while i < len(text):
        c = text[i]
        if rng.random() >= rate:
            out.append(c)
        elif c.isspace():
            out.append(rng.choice(("", "", " " + rng.choice(SPECKS), "  ")))
        else:
            kind = rng.random()
            if kind < 0.2 and text[i : i + 2] in GROUPS:
                out.append(GROUPS[text[i : i + 2]])
                i += 1
            elif kind < 0.2 and c in GROUPS:
                out.append(GROUPS[c])
            elif kind < 0.6 and c in SHAPES:
                out.append(rng.choice(SHAPES[c]))
            elif kind < 0.75:
                out.append(rng.choice(letters))
            elif kind < 0.87:
                pass
            elif kind < 0.94:
                out.append(c + " ")
            else:
                out.append(c + rng.choice(SPECKS))
        i += 1
    return "".join(out)
