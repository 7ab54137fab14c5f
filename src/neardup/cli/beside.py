"""Two texts on a terminal: side by side, or below each other where it is narrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from neardup.cli.terminal import count, printable

if TYPE_CHECKING:
    from neardup.alignment import Segment

#: Columns of a terminal from which on two texts stand side by side.
WIDE = 80
#: Lines of one passage that are shown, from its beginning and from its end; differences that are shown.
LINES, DIFFERENCES = 3, 200
#: Of each side: its background, and what encloses it where there are no colours.
STYLES = ("white on dark_red", "white on dark_green")
BRACKETS = (("[-", "-]"), ("{+", "+}"))
#: Which side of a line holds something of its own.
MARKS = {(False, False): " ", (True, False): "<", (False, True): ">", (True, True): "|"}


class Piece(NamedTuple):
    """What stands in a line without a break: its text, whether a space stands before it, and its style."""

    text: str
    spaced: bool
    style: str = ""


class Line(NamedTuple):
    """A line of both texts: what each shows, and whether some of it is its own; or words about both."""

    sides: tuple[Text, Text]
    own: tuple[bool, bool]
    about: str = ""


class Columns:
    """Two columns that fill with pieces: what is shared goes on in the same line of both."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.lines: list[Line] = []
        self.open: list[list[Text]] = [[], []]
        self.own: list[list[bool]] = [[], []]

    def room(self, side: int) -> int:
        """How much fits into the last line of a column; less than nothing where there is none."""
        return self.width - self.open[side][-1].cell_len if self.open[side] else -1

    def put(self, side: int, piece: Piece, *, own: bool) -> None:
        """Add a piece to a column; what fits into no line is cut."""
        needed = cell_len(piece.text)
        space = " " if piece.spaced and self.open[side] and self.open[side][-1].cell_len else ""
        if needed + len(space) > self.room(side) and needed > self.width:
            for part in chop_cells(piece.text, self.width):
                self.put(side, Piece(part, spaced=False, style=piece.style), own=own)
            return
        if needed + len(space) > self.room(side):
            self.open[side].append(Text())
            self.own[side].append(False)
            space = ""
        line = self.open[side][-1]
        joined = piece.style if own and self.own[side][-1] and line.spans and line.spans[-1].end == len(line) else ""
        line.append(space, joined)
        line.append(piece.text, piece.style)
        self.own[side][-1] |= own

    def shared(self, pieces: Sequence[Piece]) -> None:
        """Add pieces to both columns, in step."""
        self.level()
        for piece in pieces:
            if any(self.open) and min(self.room(0), self.room(1)) < cell_len(piece.text) + piece.spaced:
                self.end()
            for side in (0, 1):
                self.put(side, piece, own=False)
            self.level()

    def level(self) -> None:
        """Let both columns go on in one line."""
        most = max(map(len, self.open))
        for side in (0, 1):
            missing = most - len(self.open[side])
            self.open[side] += [Text() for _ in range(missing)]
            self.own[side] += [False] * missing

    def end(self) -> None:
        """End the line in both columns."""
        self.level()
        self.lines += [Line(sides, own) for sides, own in zip(zip(*self.open, strict=True), zip(*self.own, strict=True), strict=True)]
        self.open, self.own = [[], []], [[], []]

    def say(self, words: str) -> None:
        """Words about both, in a line of their own."""
        self.end()
        self.lines.append(Line((Text(), Text()), (False, False), words))


def pieces_of(text: str, joint: str, style: str = "") -> list[Piece]:
    """What may stand in different lines: the words of a text."""
    if text and not text.strip():  # nothing but a space, which is a character
        return [Piece("␣", spaced=False, style=style)]
    pieces = [Piece(printable(word), spaced=True, style=style) for word in text.split(" ") if word]
    if pieces and not joint and text[0] != " ":
        pieces[0] = pieces[0]._replace(spaced=False)
    if pieces and not joint and text[-1] == " ":
        pieces.append(Piece("", spaced=True, style=style))
    return pieces


def folded(pieces: Sequence[Piece], room: int, *, first: bool = False, last: bool = False) -> tuple[Sequence[Piece], int, Sequence[Piece]]:
    """The beginning and the end of what is too long, and how many pieces are left out between them."""
    ends = []
    for order, none in ((pieces, first), (pieces[::-1], last)):
        cells = taken = 0
        for piece in order:
            cells += cell_len(piece.text) + 1
            if cells > room or none:
                break
            taken += 1
        ends.append(taken)
    left = len(pieces) - sum(ends)
    if left <= max(4, len(pieces) // 10):
        return pieces, 0, []
    return pieces[: ends[0]], left, pieces[len(pieces) - ends[1] :]


def lines_of(segments: Sequence[Segment], width: int, joint: str, *, colour: bool) -> Iterator[Line]:
    """The lines of two columns of a width."""
    columns, room = Columns(width), LINES * width
    for place, segment in enumerate(segments):
        if segment.kind == "shared":
            at_ends = {"first": not place, "last": place == len(segments) - 1}
            head, left, tail = folded(pieces_of(segment.a, joint), room, **(at_ends if len(segments) > 1 else {}))
            columns.shared(head)
            if left:
                tokens = segment.a_stop - segment.a_start if joint else left
                hidden = tokens - (len(head) + len(tail) if joint else 0)
                columns.say(f"... {count(hidden, 'token' if joint else 'word')} alike ...")
                columns.shared(tail)
        else:
            columns.level()
            for side, text in enumerate((segment.a, segment.b)):
                style, (opening, closing) = (STYLES[side], ("", "")) if colour else ("", BRACKETS[side])
                head, left, tail = folded(pieces_of(text, joint, style), room)
                middle = [Piece(f"... {count(left, 'token' if joint else 'word')} ...", spaced=True, style=style)] if left else []
                shown = [*head, *middle, *tail]
                if shown and not colour:
                    shown[0] = shown[0]._replace(text=opening + shown[0].text)
                    shown[-1] = shown[-1]._replace(text=shown[-1].text + closing)
                for piece in shown:
                    columns.put(side, piece, own=True)
        yield from columns.lines
        columns.lines.clear()
    columns.end()
    yield from columns.lines


def show_beside(segments: Sequence[Segment], names: tuple[str, str], console: Console, *, joint: str) -> None:
    """Both texts from beginning to end, long passages folded: side by side, or a line of one above a line of the other."""
    colour = console.color_system is not None and not console.no_color
    wide = console.width >= WIDE
    width = max((console.width - 3) // 2 if wide else console.width - 2, 2)  # the widest character
    differing = [place for place, segment in enumerate(segments) if segment.kind == "differs"]
    more = len(differing) - DIFFERENCES
    if more > 0:
        segments = segments[: differing[DIFFERENCES]]

    def line(*parts: Text | str) -> None:
        console.print(Text.assemble(*parts), no_wrap=True, overflow="crop", crop=True)

    line("")
    titles = [Text(printable(name), "bold") for name in names]
    for title in titles:
        title.truncate(width, overflow="ellipsis")
    if wide:
        titles[0].pad_right(width - titles[0].cell_len)
        line(titles[0], "   ", titles[1])
    else:
        for mark, title in zip("<>", titles, strict=True):
            line(mark, " ", title)
    for one in lines_of(segments, width, joint, colour=colour):
        if one.about:
            line(Text(one.about.center(2 * width + 3 if wide else width).rstrip(), "dim"))
        elif wide:
            one.sides[0].pad_right(width - one.sides[0].cell_len)
            line(one.sides[0], Text(f" {MARKS[one.own]} ", "dim"), one.sides[1])
        elif not any(one.own) and one.sides[0].plain == one.sides[1].plain:
            line("  ", one.sides[0])
        else:
            for mark, side in zip("<>", one.sides, strict=True):
                if side.plain:
                    line(Text(f"{mark} ", "bold"), side)
    if more > 0:
        line(Text(f"... and {count(more, 'more difference')}; into a pipe go all, as JSON", "dim"))
