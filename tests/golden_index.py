"""Writes golden/index-1 and golden/index-1-lean: indexes of format 1, which every later version opens.

They are part of the format. Run this only for a format of another number::

    python tests/golden_index.py
"""

from __future__ import annotations

import secrets
from pathlib import Path
from unittest import mock

from neardup import Index, Shingling
from neardup.stores import disk

PATHS = {verify: Path(__file__).parent / "golden" / name for verify, name in (("exact", "index-1"), ("estimate", "index-1-lean"))}

TEXTS = [f"on day {i} the ship sailed with {i % 3} passengers and a cargo of timber bound for the northern harbour" for i in range(24)]
TEXTS += ["", "...", "κατά τὸν δαίμονα ἑαυτοῦ", "船は北の港に向かって出航した", "one word", TEXTS[5], TEXTS[5].upper()]


def make(path: Path, verify: str) -> None:
    """An index with all that a folder can hold: files, a merged one, a tail, removals from both, copies, ids of both kinds."""
    small = mock.patch.multiple(disk, TAIL=8, BULK=6, SEGMENTS=8)
    drawn = mock.patch.object(secrets, "randbits", return_value=20261124)
    with small, drawn, Index.open(path, 0.5, shingling=Shingling(secret=7), verify=verify, bucket_limit=20) as index:
        for start in (0, 6, 12):
            index.add_many(range(start, start + 6), TEXTS[start : start + 6])
        index.compact()
        index.remove(3)
        index.add_many(["a", "b", -1, 2**62, "ä", "\ud800"], TEXTS[18:24])
        for i in range(24, len(TEXTS)):
            index.add(f"late {i}", TEXTS[i])
        index.remove("b")
        index.remove("late 26")
        index.update(9, TEXTS[0])


if __name__ == "__main__":
    for verify, path in PATHS.items():
        make(path, verify)
        (path / "writer.lock").unlink()
