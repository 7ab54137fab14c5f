"""Lines of a file that cannot be read: which they are, and why, in little memory however many they are."""

from __future__ import annotations

#: Reasons that are kept of one file: whoever has more wrong lines learns nothing from the rest.
TOLD = 10_000


class Unread:
    """Lines, by number, that were left out.

    Attributes
    ----------
    count
        How many.
    why
        The reasons of the first ones.

    Examples
    --------
    >>> unread = Unread()
    >>> for number in (3, 8, 3):
    ...     unread.add(number, f"line {number} is not JSON")
    >>> unread.count, unread.why, 8 in unread, 9 in unread
    (2, ['line 3 is not JSON', 'line 8 is not JSON'], True, False)
    """

    __slots__ = ("_bits", "count", "why")

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = 0
        self.why: list[str] = []

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (number & 7) & 1)

    def add(self, number: int, why: str) -> None:
        """Leave out a line; one that is read again and left out again is the same."""
        if number in self:
            return
        place = number >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << (number & 7)
        self.count += 1
        if len(self.why) < TOLD:
            self.why.append(why)
