"""Two texts side by side, their differences marked: words and lines as they were written, long passages in common folded."""

from __future__ import annotations

import re
from typing import NamedTuple

from neardup.alignment import aligned
from neardup.shingling import Shingling

#: A character of a script without spaces, a word, or a mark; and what follows it up to the next.
PIECE = re.compile(r"(?:[\u2e80-\u9fff\uf900-\ufaff\u0e00-\u0eff\U00020000-\U0003ffff]|\w+|\S)(?:[^\w\s]*\s*)")
#: The ends of lines, with what the next ones are indented by, and the space after a run.
ENDS = re.compile(r"(\s*\n\s*|\s+$)")
#: More than one empty line.
GAP = re.compile(r"\n(?:[^\S\n]*\n){2,}")
#: Words of a passage in common that are shown before and after a fold; words of a difference; characters of a text that are looked at.
AROUND, LONGEST, LOOKED_AT = 14, 120, 20_000
#: Words that make a shingle: what is aligned has so many in common.
ALIGNED = Shingling(tokens=lambda text: [piece.strip().casefold() or " " for piece in PIECE.findall(text)], size=3)


class Part(NamedTuple):
    """A run of words, and whether the other text has it too."""

    text: str
    differs: bool


class Row(NamedTuple):
    """What stands beside each other up to a fold; or a fold, with what it says."""

    a: list[Part]
    b: list[Part]
    folded: str = ""


def marked(a: str, b: str) -> list[Row]:
    """Two texts, or their beginnings, in rows between folds.

    Examples
    --------
    >>> (row,) = marked("We meet on Monday, at ten.", "We meet on Tuesday, at ten.")
    >>> [part.text for part in row.b], [part.text for part in row.b if part.differs]
    (['We meet on ', 'Tuesday,', ' ', 'at ten.'], ['Tuesday,'])
    """
    rows, open_row = [], Row([], [])
    first, second = (PIECE.findall(_lines(text[:LOOKED_AT])) for text in (a, b))
    for segment in aligned("".join(first), "".join(second), ALIGNED):
        own, other = first[segment.a_start : segment.a_stop], second[segment.b_start : segment.b_stop]
        if segment.kind == "shared" and len(own) > 3 * AROUND:
            _add(open_row.a, "".join(own[:AROUND]).rstrip(), differs=False)
            _add(open_row.b, "".join(other[:AROUND]).rstrip(), differs=False)
            rows += [open_row, Row([], [], f"{len(own) - 2 * AROUND:,} words in common")]
            open_row, own, other = Row([], []), own[-AROUND:], other[-AROUND:]
        for side, words in ((open_row.a, own), (open_row.b, other)):
            if words:
                _add(side, _long(words), differs=segment.kind == "differs")
    rows += [open_row] if open_row.a or open_row.b else []
    return rows + ([Row([], [], f"the first {LOOKED_AT:,} characters are shown")] if max(len(a), len(b)) > LOOKED_AT else [])


def _add(side: list[Part], text: str, *, differs: bool) -> None:
    """Add a run; of a difference what is between its lines and after it is not marked."""
    for number, run in enumerate(ENDS.split(text) if differs else [text]):
        if run:
            side.append(Part(run, differs and number % 2 == 0))


def _lines(text: str) -> str:
    """A text as it was written, with at most one empty line after another."""
    return GAP.sub("\n\n", text.replace("\r\n", "\n").strip())


def _long(pieces: list[str]) -> str:
    if len(pieces) <= LONGEST:
        return "".join(pieces)
    return "".join(pieces[: LONGEST // 2]) + f" … {len(pieces) - LONGEST:,} words … " + "".join(pieces[-LONGEST // 2 :])


def shortened(text: str, most: int = 300) -> str:
    """The beginning of a text.

    Examples
    --------
    >>> shortened("one two three", 8)
    'one two …'
    """
    text = _lines(text[: 10 * most])
    return text if len(text) <= most else text[:most].rstrip() + " …"
