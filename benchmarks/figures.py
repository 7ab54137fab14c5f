"""Figures taken from the results: rates, ratios of alternating rounds, spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean, median, quantiles
from typing import Any, NamedTuple

from results import Json

#: The languages whose scripts hostile text alternates between.
MIXED = {
    "alternating scripts, by word": ("English", "Russian", "Greek", "Chinese", "Korean", "Japanese"),
    "alternating scripts, by character": ("English", "Russian", "Greek"),
}


class Ratio(NamedTuple):
    """A ratio of rounds that stood beside each other: the median, and the middle half."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.middle)} ({number(self.low)} to {number(self.high)})"


class Hostile(NamedTuple):
    """Hostile text: its costs over that of ordinary English text, over that of ordinary text in its scripts, its tokens a byte."""

    kind: str
    shape: str
    per_byte: float
    per_byte_of_scripts: float
    floor_per_byte: float
    tokens: float
    per_token: float


def number(value: float) -> str:
    """A number of three digits, as people write it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def spread(rounds: Sequence[float]) -> str:
    """The middle half over the median."""
    low, middle, high = quantiles(rounds, n=4) if len(rounds) > 1 else [rounds[0]] * 3
    return percent((high - low) / middle)


def ratio(over: Sequence[float], under: Sequence[float], scale: float = 1) -> Ratio:
    """The ratio of rounds that stood beside each other."""
    rounds = [scale * a / b for a, b in zip(over, under, strict=True)]
    low, middle, high = quantiles(rounds, n=4) if len(rounds) > 1 else rounds * 3
    return Ratio(middle, low, high)


def times_as_fast(ours: Json, theirs: Json) -> Ratio:
    """How many times as fast the first is, in bytes a CPU second."""
    return ratio(theirs["cpu"], ours["cpu"], ours["bytes"] / theirs["bytes"])


def cost(row: Json, of: str = "bytes") -> float:
    """CPU seconds for each byte, document or token."""
    return median(row["cpu"]) / row[of]


def cpu(job: Json) -> float:
    """CPU seconds of a whole job."""
    return median(r["cpu"] for r in job["rounds"])


def peak(job: Json) -> float:
    """Peak memory of a whole job in MB."""
    return median(r["peak_rss"] for r in job["rounds"]) / 1e6


class Figures:
    """The results; what was not measured is None or empty."""

    def __init__(self, results: Json) -> None:
        self.machine: Json = results["machine"]
        self.sections: Json = results["sections"]
        self.stages: list[Json] = self.section("stages").get("rows", [])
        self.best: str = self.machine["paths"][-1]

    def section(self, name: str) -> Json:
        return self.sections.get(name, {})

    def group(self, name: str, **about: Any) -> list[Json]:
        """The stages of a group that fit."""
        want = {"group": name} | about
        return [row for row in self.stages if all(row.get(key) == value for key, value in want.items())]

    def rate(self, group: str, label: str, of: str = "bytes", **about: Any) -> float | None:
        """A stage's MB/s, or documents a second."""
        rows = self.group(group, label=label, **about)
        return 1 / cost(rows[0], of) / (1e6 if of == "bytes" else 1) if rows else None

    def share_of_floor(self, path: str) -> Ratio | None:
        """The speed of signing, in per cent of that of its shingle hashes alone, of rounds that stood beside each other."""
        rows = self.group("path", label="signatures", path=path)
        if not rows or "beside" not in rows[0]:
            return None
        return ratio(rows[0]["beside"], rows[0]["cpu"], 100)

    def peers(self, section: str) -> Iterator[tuple[str, dict[str, Json]]]:
        """Libraries beside each other, by corpus or size, in its order."""
        libraries = self.section(section).get("libraries", {})
        yield from sorted(libraries.items(), key=lambda item: (len(item[0]), item[0]))

    def times(self, section: str, key: str, name: str, ours: str = "neardup") -> Ratio | None:
        """How many times as fast as this library neardup is."""
        measured = dict(self.peers(section)).get(key, {})
        both = [measured.get(ours, {}), measured.get(name, {})]
        return times_as_fast(*both) if all("cpu" in one for one in both) else None

    def index_times(self, task: str) -> Ratio | None:
        """How many times as fast as rensa's index neardup's is at a task."""
        rows = self.section("index").get("beside", {}).get("tasks", {}).get(task, {})
        if any("missing" in row for row in rows.values()) or not rows:
            return None
        key = "wall" if task == "insert" else "p50"
        ours, theirs = ([one[key] for one in rows[name]["rounds"]] for name in ("neardup", "rensa"))
        return ratio(theirs, ours)

    def settings(self) -> Iterator[tuple[str, Json]]:
        """Corpora, and by task and setting what was measured on them."""
        yield from self.section("profiles").get("costs", {}).items()

    def excerpts(self) -> dict[int, Json]:
        """By the number of documents, what excerpts were looked up with that could be measured."""
        sizes = self.section("excerpts").get("sizes", {})
        return {
            int(size): {name: row for name, row in sizes[size]["rows"].items() if "missing" not in row} for size in sorted(sizes, key=int)
        }

    def jobs(self, corpus: str) -> list[Json]:
        """The whole jobs that were measured, the quickest first."""
        return sorted((row for row in self.section("jobs")["jobs"][corpus] if row["rounds"]), key=cpu)

    def imports(self) -> list[tuple[float, str]]:
        """CPU milliseconds of importing each library."""
        libraries = self.section("jobs").get("libraries", {})
        return sorted((1e3 * row["import_cpu"], name) for name, row in libraries.items() if "import_cpu" in row)

    def ordinary(self) -> Json | None:
        """Ordinary text of 3 KB a document to signatures, on the best path."""
        return next(iter(self.group("path", label="signatures", path=self.best)), None)

    def hostile(self) -> Iterator[Hostile]:
        ordinary = self.ordinary()
        for row in self.group("hostile", product="signature") if ordinary else ():
            floor = self.group("hostile", product="floor", label=row["label"], shape=row["shape"])
            alike = [
                cost(script)
                for language in MIXED.get(row["label"], ())
                for script in self.group("script", label="strings", language=language)
            ]
            yield Hostile(
                row["label"],
                row["shape"],
                cost(row) / cost(ordinary),
                cost(row) / (mean(alike) if alike else cost(ordinary)),
                cost(floor[0]) / cost(ordinary) if floor else float("nan"),
                row["tokens"] / row["bytes"],
                cost(row, "tokens") / cost(ordinary, "tokens"),
            )
