"""What should hold, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from figures import Figures, Ratio, number


class Goal(NamedTuple):
    """A goal: its number, what it says, the figure, whether that meets it (None: not measured), what is aimed at."""

    item: str
    says: str
    figure: str
    met: bool | None
    aim: str = ""


def at_least(item: str, says: str, figure: Ratio | float | None, least: float, unit: str = " x", aim: str = "") -> Goal:
    if figure is None:
        return Goal(item, says, "not measured", None, aim)
    value = figure.middle if isinstance(figure, Ratio) else figure
    return Goal(item, says, f"{figure if isinstance(figure, Ratio) else number(figure)}{unit}", value >= least, aim)


def goals(figures: Figures) -> Iterator[Goal]:
    yield from beside_peers(figures)
    yield from speed(figures)
    yield from scripts(figures)
    for size, least in (("10", 3), ("50", 3), ("200", 3), ("1000", 1), ("10000", 1)):
        says = f"{least} x rensa's flat batch API from ready ascending hashes, {int(size):,} a document"
        yield at_least("5", says, figures.times("hashes", size, "rensa"), least)
    yield from threads_and_memory(figures)
    yield from indexes(figures)
    yield from excerpts(figures)
    for row in figures.hostile():
        says = f"at most 3 x the cost per byte of ordinary text in its scripts: {row.kind}, {row.shape}"
        english = "" if row.per_byte == row.per_byte_of_scripts else f"; {row.per_byte:.2f} x that of English text"
        yield Goal("7", says, f"{row.per_byte_of_scripts:.2f} x{english}", row.per_byte_of_scripts <= 3)


def beside_peers(figures: Figures) -> Iterator[Goal]:
    for name, least, aim in (("daft", 12, 20), ("rensa", 30, 50), ("datasketch, xxhash", 80, 150)):
        says = f"{least} x {name}, strings to signatures at 3 KB"
        yield at_least("1", says, figures.times("text", "3 KB", name), least, aim=f"{aim} x")
    yield at_least("1", "10 x daft, strings to signatures of real stories", figures.times("text", "stories", "daft"), 10)


def speed(figures: Figures) -> Iterator[Goal]:
    for path, least, aim in (("avx512", 500, "750 MB/s"), ("avx2", 300, ""), ("portable", 120, "")):
        rate = figures.rate("path", "signatures", path=path)
        yield at_least("2", f"{least} MB/s at 3 KB, path {path}", rate, least, " MB/s", aim)
        says = f"70 % of the speed of its shingle hashes alone, path {path}"
        yield at_least("2", says, figures.share_of_floor(path), 70, " %")
    for column, least in (("Arrow", 2e6), ("strings", 1e6)):
        rate = figures.rate("ten tokens", column, "documents")
        yield at_least("3", f"{least:,.0f} texts of ten tokens a second, from {column}", rate, least, "")


def scripts(figures: Figures) -> Iterator[Goal]:
    for language, least in (("Russian", 150), ("Greek", 150), ("Chinese", 120), ("Japanese", 120)):
        for column in ("strings", "Arrow"):
            rate = figures.rate("script", column, language=language)
            yield at_least("4", f"{least} MB/s of {language}, from {column}", rate, least, " MB/s")


def threads_and_memory(figures: Figures) -> Iterator[Goal]:
    for name, row in figures.section("threads").get("texts", {}).items():
        gain, best = (of(row["wall"]["1"]) / of(row["wall"]["2"]) for of in (median, min))
        yield at_least("6", f"two threads 1.8 x one, {name}", gain, 1.8, f" x; of the best rounds {best:.2f} x")
    for name, row in figures.section("memory").get("columns", {}).items():
        if "peak" not in row:
            yield Goal("6", f"64 MB beside a column in {name} and the result", f"not measured: {row['missing']}", None)
            continue
        beside = (row["peak"] - row["before"] - row["result"]) / 1e6
        says = f"at most 64 MB beside a column of {row['bytes'] / 1e9:.2g} GB in {name} and the result"
        yield Goal("6", says, f"{beside:.0f} MB", beside <= 64)


def indexes(figures: Figures) -> Iterator[Goal]:
    for task, says, least in (
        ("insert", "signatures added, 16 x 8 bands, estimates: 4 x rensa's insert_matrix", 4),
        ("signature", "a look-up from a signature, estimates, scores sorted: as quick as rensa's of ids alone, median", 1),
        ("text", "a look-up from a text of 3 KB, exact: 8 x rensa's, median", 8),
    ):
        yield at_least("8", says, figures.index_times(task), least)
    growth = figures.section("index").get("growth", {})
    for place, rows in growth.items():
        for what in ("hit", "miss"):
            most, least = (rows.get(n, {}).get(what) for n in ("10000000", "100000"))
            ratio = most / least if most and least else None
            says = f"a look-up among 10,000,000 at most 2 x one among 100,000, {place}, {'stored documents' if what == 'hit' else 'others'}"
            yield at_most("9", says, ratio, 2, " x")
    large = growth.get("disk", {}).get("10000000", {})
    for key, says, most, unit, scale in (
        ("load_peak", "10,000,000 loaded in bulk within 2 GB", 2000, " MB", 1e6),
        ("compact_peak", "and merged into one segment", 2000, " MB", 1e6),
        ("open", "opened, and the first look-up, within 50 ms", 50, " ms", 1e-3),
        ("posting", "at most 12 bytes a posting beside the verification hashes", 12, "", 1),
    ):
        yield at_most("10", says, large[key] / scale if key in large else None, most, unit)
    yield at_least("10", "1,000 durable additions a second, one by one", large.get("adds"), 1000, "")
    seconds = figures.section("index").get("crowds", {}).get("seconds", {})
    plain = seconds.get("none", {})
    for name, row in seconds.items():
        for task in ("add_many", "add_unless_duplicate") if not name.startswith("none") else ():
            yield at_most("11", f"at most 1.5 x as many ordinary documents: {task}, {name}", row[task] / plain[task], 1.5, " x")


def excerpts(figures: Figures) -> Iterator[Goal]:
    sizes = {size: rows["neardup"] for size, rows in figures.excerpts().items() if "neardup" in rows}
    small, large = sizes.get(10_000, {}), sizes.get(100_000, {})
    grown = median(large["p50"]) / median(small["p50"]) if small and large else None
    yield at_most("12", 'query cost at 100,000 documents at most 3 x that at 10,000, profile="excerpt", median', grown, 3, " x")
    for size in (10_000, 100_000):
        quality = sizes.get(size, {}).get("own", {})
        for what, says, least in (("recall", " at containment >= 0.8", 0.95), ("precision", "", 0.99)):
            yield at_least("12", f"{what} >= {least}{says} among {size:,} documents", quality.get(what), least, "")


def at_most(item: str, says: str, figure: float | None, most: float, unit: str) -> Goal:
    return Goal(item, says, "not measured" if figure is None else f"{number(figure)}{unit}", None if figure is None else figure <= most)
