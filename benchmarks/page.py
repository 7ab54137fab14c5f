"""docs/benchmarks.md and its plots, from the results alone: `just bench-page`.

python benchmarks/page.py [--small FOLDER]      --small: from the small results, into a folder
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import plots
from corpus import LONGER
from figures import Figures, cost, cpu, number, peak, percent, ratio, spread
from goals import goals
from results import ROOT, Json, read

PLOTS = "benchmarks"
#: Whole jobs are compared where both find this much.
RECALL = 0.99

OPENING = """\
<!-- Written by `just bench-page` from benchmarks/results/latest.json. -->

# Benchmarks

Measured on {dates} at commit {commits} (+: with uncommitted changes).

- neardup {neardup}, Python {python}, {system}
- {processor}{model}, {cores} cores{kind}; instructions {flags}; paths of the kernels {paths}

`just bench` measures again what is on this page, and `just bench-page` writes it. Unless it says otherwise: one thread, CPU seconds
(user and system, of all threads of the process), medians, word 5-shingles, 128 slots. Every library runs in a process of its own, and
rounds alternate between libraries: a ratio is the median of the ratios of rounds that stood beside each other, and in parentheses
their middle half. [How quiet the machine was](#how-quiet-the-machine-was) stands at the end.
"""

HASHES = """\
## Ready shingle hashes to signatures

Flat arrays of 64-bit hashes, those of a document ascending unless it says otherwise, by hashes a document: documents a second, and how
many times as fast neardup is. rho takes a sample of a document's hashes; its recall stands below.

"""

JOBS = """\
## Whole jobs, texts to pairs or decisions

Each in a fresh process; CPU seconds without importing and reading. Recall is the share of the pairs of Jaccard similarity {threshold}
or more that is found, precision the share of what is reported that is such a pair, both against an exact join of the same word
5-shingles. Of jobs that remove documents, a pair counts as found when one of it is removed. The texts are words in lower case with
single spaces, so that all libraries see the same words. Candidates are not verified by their library. Memory is the peak of the
process, texts and libraries included. Times neardup's: CPU seconds over those of neardup's quickest job of that kind (pairs, or
removals), where both have a recall of {recall} or more.
"""

HOSTILE = """\
## Hostile text

Cost per byte over that of ordinary English text of 3 KB a document, path {path}, and over that of ordinary text in the scripts it
alternates between. The floor is what word boundaries, token hashes and shingle hashes alone cost on the same text, over the same cost of
signing ordinary English text. Text of tiny tokens has more tokens and shingles a byte than ordinary text ({tokens:.2f}): its cost per
byte is inherently higher, and the cost per token says how it fares otherwise.
"""

INDEXES = """\
## Indexes

Beside rensa, by turns, 16 bands of 8 rows, {documents:,} documents, one thread, wall time. Signatures are added to an empty index
(neardup with estimates; rensa's insert_matrix). One document is looked up at a time among short ones and 1,000 of 3 KB, half of
them stored with a word changed, half not there: from its signature (neardup by estimates, scores sorted; rensa gives ids alone, not
verified), and from its text (neardup verifies exactly; rensa's shingles are made by str.split).

"""

GROWTH = """\
The same by the number of documents: generated, {shingles} shingles each, 21 bands, exact; medians of {look_ups:,} look-ups from a
signature, of stored documents and of others; on disk in one segment, its pages in memory. Bytes in memory and bytes a posting on disk
are what the index counts; those of a posting are beside the verification hashes, ids and all else included.

"""

CROWDS = """\
{documents:,} documents of 40 words, a fifth of them one text and a tenth a template filled in, shuffled, in memory; and as many
ordinary ones. Seconds, one thread.

"""

BOUND = """\
{documents:,} letters of one template of 60 words, up to three of them replaced: what a look-up reads of a bucket is bounded by
`bucket_limit`. Recall is of the pairs at the threshold that 100 of them have.

"""

SETTINGS = """\
## Profiles and options of shingling

What each costs beside "text" in the same rounds; a ratio above 1 is dearer than "text". The options are those of `Shingling`, with all
else as in "text"; `stop` has 20 texts of 12 words. Memory is what the process had at its peak beyond texts and library. An index is
looked up one text after another, half of them not there and half stored ones with a word changed; the first look-up of a process
pays for what is prepared then. "excerpt" is no profile of `deduplicate`.
"""

EXCERPTS = """\
## Excerpts beside LSH Ensemble

{asked} paragraphs of 60 words and halves of stories ({source}), each planted with few changes in a document 2, 10 or 100 times as long,
looked up among as many documents as the table says, at a containment of 0.8: `Index(profile="excerpt")`, and LSH Ensemble (Zhu,
Nargesian, Pu and Miller, VLDB 2016; datasketch {version}, 128 slots, 16 partitions, xxhash), with its weights as they are by default
and with nine tenths on what is missed. Recall and precision are against all containments of word 5-shingles, worked out exactly.
LSH Ensemble gives candidates; here a set of shingle hashes of each document is kept to verify them, which is part of the times and bytes
so called. Look-ups and building are from the texts; building is timed once, without the bands that LSH Ensemble works out beforehand.
Bytes are the growth of the process. Documents are the stories that there are, and beyond those mosaics of passages of 20 words.
"""

NOISE = """\
## How quiet the machine was

{verdict} Unevenness is the longest over the shortest time of one and the same piece of work of a few milliseconds, repeated between
rounds. Spread, in the tables above, is the middle half of the rounds over their median.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; columns of numbers stand to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    right = [all(re.match(r"-?[\d.,]+( |%|;|$)|-?$|not ", row[i]) for row in cells) for i in range(len(head))]
    lines = [head, ["---:" if numbers else "---" for numbers in right], *cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def slug(words: str) -> str:
    return words.lower().replace(" ", "-")


def typical(measured: float | list[float]) -> float:
    """The median of rounds, or what was measured once."""
    return median(measured) if isinstance(measured, list) else measured


def plain_first(item: tuple[str, Json]) -> tuple[bool, bool, str]:
    """The order of settings: "text", other profiles, options."""
    name = item[0]
    return name != "text", name.startswith("text,"), name


def absent(rows: Iterable[tuple[str, Json]]) -> str:
    """What could not be measured, and why."""
    reasons = [f"{name} ({row['missing']})" for name, row in rows if "missing" in row]
    return f"Not measured: {'; '.join(reasons)}.\n" if reasons else ""


class Page:
    """The page, and the plots that it shows by their file names."""

    def __init__(self, results: Json) -> None:
        self.figures = Figures(results)
        self.plots: dict[str, str] = {}

    def write(self) -> str:
        parts = [self.opening(), self.goals(), self.losses(), *self.text(), self.ready_hashes(), *self.jobs(), *self.stages()]
        parts += [
            *self.indexes(),
            *self.settings(),
            *self.excerpts(),
            *self.length(),
            *self.scripts(),
            self.hostile(),
            self.threads(),
            self.memory(),
            self.noise(),
        ]
        return "\n".join(part for part in parts if part)

    def plot(self, name: str, drawn: str) -> str:
        self.plots[f"{name}.svg"] = drawn
        title = re.search(r'aria-label="([^"]*)"', drawn)[1]
        return f"![{title}]({PLOTS}/{name}.svg)\n"

    def shown(self, group: str, label: str, of: str = "bytes", **about: Any) -> str:
        rate = self.figures.rate(group, label, of, **about)
        return "not measured" if rate is None else f"{rate:,.0f}"

    def opening(self) -> str:
        machine, sections = self.figures.machine, self.figures.sections.values()
        return OPENING.format(
            **machine | {"flags": ", ".join(machine["flags"]) or "unknown", "paths": ", ".join(machine["paths"])},
            dates=" and ".join(sorted({section["date"][:10] for section in sections})),
            commits=" and ".join(sorted({section["commit"] for section in sections})),
            kind=" of a virtual machine" if machine["virtual"] else "",
            model=f" ({machine['family_model']})" if machine["family_model"] else "",
        )

    def goals(self) -> str:
        marks = {True: "yes", False: "**no**", None: "-"}
        all_goals = list(goals(self.figures))
        met = [goal.met for goal in all_goals]
        count = f"## Goals\n\n{met.count(True)} met, {met.count(False)} missed, {met.count(None)} not measured.\n\n"
        return count + table(["", "goal", "measured", "aim", "met"], [[g.item, g.says, g.figure, g.aim, marks[g.met]] for g in all_goals])

    # ---- where others are ahead ------------------------------------------------------------------------------------

    def losses(self) -> str:
        found = [*self.faster_at_signing(), *self.better_at_jobs(), *self.better_at_excerpts()]
        imports = self.figures.imports()
        ours = next((ms for ms, name in imports if name == "neardup"), 0.0)
        if lighter := [f"{name} {ms:.0f} ms" for ms, name in imports if ms < ours]:
            found.append(("import", "", ", ".join(lighter), f"neardup {ours:.0f} ms"))
        others = any("cpu" in row for _, rows in self.figures.peers("text") for name, row in rows.items() if not name.startswith("neardup"))
        nowhere = "In none of these measurements.\n" if others else "No other library was measured.\n"
        return "## Where others are ahead\n\n" + (table(["task", "at", "library", "by how much"], found) if found else nowhere)

    def faster_at_signing(self) -> Iterator[tuple[str, str, str, str]]:
        tasks = [("text", "neardup", "text to signatures"), ("hashes", "neardup", "ready hashes to signatures")]
        tasks += [("hashes", "neardup, any order", "ready hashes to signatures, in any order")]
        for section, ours, what in tasks:
            for key, libraries in self.figures.peers(section):
                for name in libraries:
                    times = self.figures.times(section, key, name, ours)
                    if times and times.middle < 1 and not name.startswith("neardup"):
                        yield what, f"{int(key):,} a document" if key.isdigit() else key, name, f"{1 / times.middle:.2f} times as fast"

    def better_at_jobs(self) -> Iterator[tuple[str, str, str, str]]:
        for corpus in self.figures.section("jobs").get("jobs", {}):
            rows = self.figures.jobs(corpus)
            ours = [row for row in rows if row["library"] == "neardup"]
            theirs = [row for row in rows if row["library"] != "neardup"]
            if not ours:
                continue
            for row in theirs:
                if (times := cpu(ours[0]) / cpu(row)) > 1:
                    name, quality = f"{row['library']}: {row['setting']}", f"recall {row['recall']:.3f}, precision {row['precision']:.3f}"
                    yield "whole job", corpus, name, f"{times:.2f} times as fast; {quality}"
            lean = min(map(peak, ours))
            least = sorted(
                (min(peak(row) for row in theirs if row["library"] == name), name) for name in {row["library"] for row in theirs}
            )
            if smaller := [f"{name} {most:.0f} MB" for most, name in least if most < lean]:
                yield "memory of a whole job", corpus, ", ".join(smaller), f"neardup {lean:.0f} MB"

    def better_at_excerpts(self) -> Iterator[tuple[str, str, str, str]]:
        for size, rows in self.figures.excerpts().items():
            ours = rows.get("neardup")
            for name, row in rows.items() if ours else ():
                at = f"{size:,} documents"
                if (recall := row["verified"]["recall"]) > ours["own"]["recall"]:
                    yield "excerpts, recall", at, name, f"{recall:.4f}, neardup {ours['own']['recall']:.4f}"
                for key, task in (("build_cpu", "building"), ("p50", "a look-up"), ("p99", "a look-up, 99 in 100"), ("grown", "memory")):
                    if (times := typical(ours[key]) / typical(row[key])) > 1 and name != "neardup":
                        yield f"excerpts, {task}", at, name, f"{times:.2f} times {'as small' if key == 'grown' else 'as fast'}"

    # ---- beside other libraries ------------------------------------------------------------------------------------

    def text(self) -> Iterator[str]:
        corpora = self.figures.section("text").get("corpora", {})
        if corpora:
            yield "## Text to signatures\n"
        for key, libraries in self.figures.peers("text"):
            about = corpora[key]
            speed = {name: 1e-6 / cost(row) for name, row in libraries.items() if "cpu" in row}
            names = sorted(speed, key=speed.__getitem__, reverse=True)
            yield f"{about['source']}, {about['documents']:,} documents of {about['bytes_each']:,.0f} characters in the mean, a list of strings.\n"
            rows = [
                [name, row["version"], f"{speed[name]:,.1f}", f"{1 / cost(row, 'documents'):,.0f}",
                 "-" if name == "neardup" else self.figures.times("text", key, name),
                 spread(row["cpu"]), f"{median(row['wall']) / median(row['cpu']):.2f}"]
                for name, row in ((name, libraries[name]) for name in names)
            ]  # fmt: skip
            yield table(["library", "version", "MB/s", "documents/s", "neardup is times as fast", "spread", "wall / CPU"], rows)
            yield absent(libraries.items())
            bars = [(name, speed[name], "blue" if name.startswith("neardup") else "grey") for name in names]
            yield self.plot(f"peers-{slug(key)}", plots.bars(f"Text to signatures, {key}, MB/s", bars))
        calls = {name: row["note"] for _, libraries in self.figures.peers("text") for name, row in libraries.items() if row.get("note")}
        if calls:
            yield "The calls:\n\n" + "".join(f"- {name}: {note}\n" for name, note in calls.items())

    def ready_hashes(self) -> str:
        peers = dict(self.figures.peers("hashes"))
        if not peers:
            return ""
        rows = []
        for name in dict.fromkeys(name for libraries in peers.values() for name in libraries):
            cells = [name]
            for size, libraries in peers.items():
                row, times = libraries[name], self.figures.times("hashes", size, name)
                speed = f"{1 / cost(row, 'documents'):,.0f}" if "cpu" in row else "not measured"
                cells.append(f"{speed}; {times}" if times and name != "neardup" else speed)
            rows.append(cells)
        return HASHES + table(["library", *(f"{int(size):,}" for size in peers)], rows) + absent(next(iter(peers.values())).items())

    def jobs(self) -> Iterator[str]:
        section = self.figures.section("jobs")
        if not section:
            return
        yield JOBS.format(threshold=section["threshold"], recall=RECALL)
        first = 1
        for corpus in section["jobs"]:
            about, rows = section["corpora"][corpus], self.figures.jobs(corpus)
            yield f"{about['source']}: {about['documents']:,} documents, {about['bytes'] / 1e6:.1f} MB, {about['pairs']:,} pairs to find.\n"
            yield from self.jobs_of(corpus, dict(enumerate(rows, first)))
            yield absent((f"{row['library']}: {row['setting']}", row) for row in section["jobs"][corpus])
            first += len(rows)
        imports = ", ".join(f"{name} {ms:.0f}" for ms, name in self.figures.imports())
        yield f"CPU milliseconds of importing, with what is loaded on first use: {imports}.\n"
        yield absent(section["libraries"].items())
        if without := [name for name, row in section["libraries"].items() if not row.get("jobs") and "missing" not in row]:
            yield f"No whole job to compare, having no index: {', '.join(without)}.\n"

    def jobs_of(self, corpus: str, rows: dict[int, Json]) -> Iterator[str]:
        ours = {row["kind"]: cpu(row) for row in [*rows.values()][::-1] if row["library"] == "neardup" and row["recall"] >= RECALL}
        cells = []
        for i, row in rows.items():
            equal = row["recall"] >= RECALL and row["kind"] in ours
            cells.append([
                i, f"{row['library']}: {row['setting']}", f"{row['recall']:.3f}", f"{row['precision']:.3f}", f"{cpu(row):.3f}",
                f"{cpu(row) / ours[row['kind']]:.1f}" if equal else "-", f"{median(r['wall'] for r in row['rounds']):.3f}",
                spread([r["cpu"] for r in row["rounds"]]), f"{peak(row):,.0f}",
            ])  # fmt: skip
        yield table(["", "library: settings", "recall", "precision", "CPU s", "times neardup's", "wall s", "spread", "MB"], cells)
        series = []
        for name in sorted({row["library"] for row in rows.values()}, key=lambda name: (name != "neardup", name)):
            of = {i: row for i, row in rows.items() if row["library"] == name}
            points = [(cpu(row), row["recall"]) for row in of.values()]
            series.append(plots.Series(name, points, [str(i) for i in of], [row["precision"] < 0.99 for row in of.values()]))
        title = f"Recall and time of a whole job, {corpus}; filled where precision is 0.99 or more"
        yield self.plot(f"recall-{slug(corpus)}", plots.chart(title, "CPU seconds", "recall at the threshold", series, recall=True))

    # ---- neardup alone ---------------------------------------------------------------------------------------------

    def stages(self) -> Iterator[str]:
        ordinary = self.figures.ordinary()
        if not ordinary:
            return
        paths = self.figures.machine["paths"]
        yield f"## Stages\n\n{ordinary['source']}, 3,200 characters a document, from strings; MB/s by path.\n"
        rows = [["reading the bytes", *[self.shown("floor", "reading the bytes")] * len(paths)]]
        names = {"boundaries": "word boundaries", "tokens": "and token hashes", "shingles": "and shingle hashes: the floor under signing"}
        rows += [[says, *(self.shown("floor", label, path=path) for path in paths)] for label, says in names.items()]
        rows += [
            [label, *(self.shown("path", label, path=path) for path in paths)]
            for label in ("signatures", "signatures and verification hashes")
        ]
        yield table(["up to", *paths], rows)
        yield "Texts of ten tokens to signatures, and what follows on signatures (21 bands of 6 rows, documents as they are):\n"
        stages = [(f"ten tokens, from {row['label']}", row) for row in self.figures.group("ten tokens")]
        stages += [(row["label"], row) for row in self.figures.group("after signing")]
        cells = [[name, f"{row['documents']:,}", f"{1 / cost(row, 'documents'):,.0f}", spread(row["cpu"])] for name, row in stages]
        yield table(["stage", "documents", "documents/s", "spread"], cells)
        ready = self.figures.group("ready hashes")
        slots, sizes = (sorted({row[key] for row in ready}) for key in ("num_perm", "shingles"))
        yield "Ready shingle hashes to signatures, documents a second by hashes a document and slots:\n"
        cells = [[f"{n:,}", *(self.shown("ready hashes", f"{n} shingles", "documents", num_perm=k) for k in slots)] for n in sizes]
        yield table(["", *(f"{k:,} slots" for k in slots)], cells)

    def indexes(self) -> Iterator[str]:
        """Beside rensa, by size, in crowds."""
        section = self.figures.section("index")
        if not section:
            return
        yield INDEXES.format(documents=section["beside"]["documents"])
        rows = []
        for task, says in (("insert", "documents added a second"), ("signature", "from a signature"), ("text", "from a text of 3 KB")):
            for key, what in (
                [("wall", "")] if task == "insert" else [("p50", ", all"), ("p50_of_stored", ", stored"), ("p50_of_others", ", others")]
            ):
                cells = []
                for library in ("neardup", "rensa"):
                    row = section["beside"]["tasks"][task][library]
                    value = median(r[key] for r in row["rounds"]) if "rounds" in row else None
                    value = value and (section["beside"]["documents"] / value if task == "insert" else 1e6 * value)
                    cells.append("not measured" if value is None else number(value))
                rows.append([says if task == "insert" else f"microseconds of a look-up {says}{what}", *cells])
        yield table(["", "neardup", "rensa"], rows)
        yield absent((f"{task}, {name}", row) for task, both in section["beside"]["tasks"].items() for name, row in both.items())
        yield from self.growth(section)
        crowds, bound = section["crowds"], section["bound"]
        if "seconds" in crowds:
            yield CROWDS.format(documents=crowds["documents"])
            cells = [
                [name, f"{row['add_many']:.2f}", f"{row['add_unless_duplicate']:.2f}", f"{row['kept']:,}"]
                for name, row in crowds["seconds"].items()
            ]
            yield table(["template", "add_many", "add_unless_duplicate", "kept"], cells)
        if "documents" in bound:
            yield BOUND.format(documents=bound["documents"])
            cells = [
                [limit if limit == "1000" else "none", f"{row['recall']:.4f}", f"{row['any']:.4f}", f"{row['matches']:,.0f}",
                 percent(row["truncated"]), f"{1e3 * row['p50']:.2f}"]
                for limit, row in bound.items() if limit != "documents"
            ]  # fmt: skip
            yield table(["bound", "recall", "any match found", "matches a document", "look-ups truncated", "median ms"], cells)

    def growth(self, section: Json) -> Iterator[str]:
        """By the number of documents."""
        yield GROWTH.format(shingles=20, look_ups=4000)
        series, cells = [], []
        for place, rows in section["growth"].items():
            there = [row for row in rows.values() if "hit" in row]
            for what, says in (("hit", "stored"), ("miss", "others")):
                series.append(plots.Series(f"{place}, {says}", [(row["documents"], 1e6 * row[what]) for row in there]))
            for row in there:
                load = f"{row['documents'] / row['load']:,.0f}"
                more = [f"{row[key] * scale:{form}}" if key in row else "-" for key, scale, form in (
                    ("bytes", 1, ",.0f"), ("posting", 1, ".2f"), ("load_peak", 1e-6, ",.0f"), ("compact", 1, ".1f"), ("compact_peak", 1e-6, ",.0f"),
                    ("open", 1e3, ".1f"), ("adds", 1, ",.0f"),
                )]  # fmt: skip
                cells.append([place, f"{row['documents']:,}", f"{1e6 * row['hit']:.1f}", f"{1e6 * row['miss']:.1f}", load, *more])
            yield absent(rows.items())
        if series and series[0].points:
            yield self.plot("growth", plots.chart("Look-ups by the size of the index", "documents", "microseconds, median", series))
        head = ["place", "documents", "stored, us", "others, us", "loaded a second", "bytes a document", "bytes a posting", "load, peak MB"]
        yield table([*head, "compact, s", "peak MB", "open, ms", "durable adds a second"], cells)

    def settings(self) -> Iterator[str]:
        """What profiles and options of shingling cost."""
        for i, (corpus, tasks) in enumerate(self.figures.settings()):
            about = self.figures.section("profiles")["corpora"][corpus]
            if not i:
                yield SETTINGS
            yield f"{about['source']}: {about['documents']:,} documents, {about['bytes'] / 1e6:.1f} MB.\n"
            plain = {task: rows["text"] for task, rows in tasks.items()}
            for task in ("add", "deduplicate"):
                cells = []
                for name, row in sorted(tasks[task].items(), key=plain_first):
                    rate = median(row["cpu"]) / row["documents"]
                    speed = [f"{1 / rate:,.0f}", f"{1e-6 / cost(row):.3g}"] if task == "add" else [f"{1e3 * rate:.3g}"]
                    memory = [number(median(row["working"]) / 1e6), number(median(row["working"]) / median(plain[task]["working"]))]
                    cells.append(
                        [name, *speed, "-" if name == "text" else ratio(row["cpu"], plain[task]["cpu"]), spread(row["cpu"]), *memory]
                    )
                measures = ["added, documents/s", "MB/s"] if task == "add" else ["deduplicate, s per 1,000"]
                yield table(["setting", *measures, "times text", "spread", "memory, MB", "times text"], cells)
            cells = []
            for name, row in sorted(tasks["look up"].items(), key=plain_first):
                times = []
                for key in ("p50", "p99"):
                    times += [number(1e6 * median(row[key])), "-" if name == "text" else ratio(row[key], plain["look up"][key])]
                size = [f"{row['nbytes']:,.0f}", number(row["nbytes"] / plain["look up"]["nbytes"])]
                cells.append([name, *times, spread(row["p50"]), f"{1e3 * row['first']:.3g}", *size])
            head = ["setting", "look-up, median us", "times text", "99 in 100 within, us", "times text", "spread", "the first, ms"]
            yield table([*head, "bytes a document", "times text"], cells)

    def excerpts(self) -> Iterator[str]:
        """Beside LSH Ensemble."""
        measured = self.figures.excerpts()
        sizes = self.figures.section("excerpts").get("sizes", {})
        if not sizes:
            return
        about = [sizes[str(size)] for size in measured]
        versions = [row["version"] for rows in measured.values() for name, row in rows.items() if name != "neardup"]
        yield EXCERPTS.format(**about[0], version=versions[0] if versions else "not installed")
        quality, costs = [], []
        for size, rows in measured.items():
            for name, row in rows.items():
                kinds = ["own"] if name == "neardup" else ["own", "verified"]
                for kind in kinds:
                    shares = [f"{row[kind][what]:.4f}" for what in ("recall", "precision")]
                    lengths = [f"{share:.2f}" for share in row[kind]["planted"]]
                    quality.append(
                        [f"{size:,}", name + ", then verified" * (kind == "verified"), *shares, *lengths, f"{row[kind]['answers']:,.1f}"]
                    )
                times = [number(1e6 * median(row[key])) if key in row else "-" for key in ("p50", "p99", "p50_verified", "p99_verified")]
                times.append(ratio(row["p50_verified"], rows["neardup"]["p50"]) if name != "neardup" and "neardup" in rows else "-")
                room = [f"{row[key]:,.0f}" for key in ("grown", "kept")]
                postings = row.get("postings", sizes[str(size)]["sampled"])
                built = f"{row['build_cpu']:.3g}"
                costs.append([f"{size:,}", name, built, *times, spread(row["p50"]), *room, f"{postings:,.0f}"])
            yield absent(sizes[str(size)]["rows"].items())
        pairs = ", ".join(f"{one['pairs']:,} among {one['documents']:,}" for one in about)
        yield f"Pairs to find: {pairs}; by how many times as long the document is, the share of the planted pairs that is found.\n"
        head = ["documents", "index", "recall", "precision", *(f"{times} x" for times in LONGER), "answers a look-up"]
        yield table(head, quality)
        head = ["documents", "index", "built, s", "look-up, median us", "99 in 100 within", "and verified, median", "99 in 100 within"]
        yield table([*head, "times neardup's", "spread", "bytes a document", "and to verify", "postings a document"], costs)
        both = [row["neardup"] for row in measured.values() if "neardup" in row]
        if len(both) == 2:
            middle, worst = (median(both[1][key]) / median(both[0][key]) for key in ("p50", "p99"))
            few, many = (f"{one['documents']:,}" for one in about)
            yield f"A look-up of neardup among {many} takes {number(middle)} x one among {few} in the median, {number(worst)} x at 99 in 100.\n"

    def length(self) -> Iterator[str]:
        """By length and by slots."""
        series = []
        for column in ("strings", "Arrow"):
            points = sorted((row["characters"], 1e-6 / cost(row)) for row in self.figures.group("length", label=column))
            series.append(plots.Series(f"from {column}", points))
        slots = sorted((row["num_perm"], 1e-6 / cost(row)) for row in self.figures.group("slots"))
        if not slots or not series[0].points:
            return
        yield "## By length and slots\n"
        yield self.plot("length", plots.chart("Text to signatures by length", "characters a document", "MB/s", series))
        rows = [
            [f"{size:,}", f"{a:,.0f}", f"{1e6 * a / size:,.0f}", f"{b:,.0f}", f"{1e6 * b / size:,.0f}"]
            for (size, a), (_, b) in zip(*(one.points for one in series), strict=True)
        ]
        yield table(["characters", "strings, MB/s", "documents/s", "Arrow, MB/s", "documents/s"], rows)
        drawn = plots.chart("Text to signatures by slots, 3 KB a document", "slots", "MB/s", [plots.Series("from strings", slots)])
        yield self.plot("slots", drawn)
        yield table(["slots", *(f"{k:,}" for k, _ in slots)], [["MB/s", *(f"{speed:,.0f}" for _, speed in slots)]])

    def scripts(self) -> Iterator[str]:
        rows = sorted(self.figures.group("script", label="strings"), key=cost)
        if not rows:
            return
        yield "## By script\n"
        bars = [(row["language"], 1e-6 / cost(row), "blue") for row in rows]
        yield self.plot("scripts", plots.bars("Text to signatures by language, 3,200 bytes a document, MB/s of UTF-8", bars))
        cells = [
            [row["language"], percent(row["beyond_ascii"]),
             *(self.shown("script", column, language=row["language"]) for column in ("strings", "Arrow")), row["source"]]
            for row in rows
        ]  # fmt: skip
        yield table(["language", "characters beyond ASCII", "strings, MB/s", "Arrow, MB/s", "text"], cells)

    def hostile(self) -> str:
        ordinary, rows = self.figures.ordinary(), list(self.figures.hostile())
        if not rows:
            return ""
        says = HOSTILE.format(path=self.figures.best, tokens=ordinary["tokens"] / ordinary["bytes"])
        cells = [
            [row.kind, row.shape, f"{row.per_byte:.2f} x", f"{row.per_byte_of_scripts:.2f} x", f"{row.floor_per_byte:.2f} x", f"{row.tokens:.3f}",
             f"{row.per_token:.2f} x" if row.tokens > 0.01 else "-"]
            for row in rows
        ]  # fmt: skip
        return (
            says
            + "\n"
            + table(["text", "shape", "cost per byte", "of its scripts", "floor per byte", "tokens a byte", "cost per token"], cells)
        )

    def threads(self) -> str:
        rows = []
        for name, row in self.figures.section("threads").get("texts", {}).items():
            one, two = row["wall"]["1"], row["wall"]["2"]
            speeds = [f"{row['bytes'] / 1e6 / median(walls):,.0f}" for walls in (one, two)]
            rows.append([name, *speeds, f"{median(one) / median(two):.2f} x", f"{min(one) / min(two):.2f} x", spread(one), spread(two)])
        head = ["text", "1 thread, MB/s", "2 threads, MB/s", "gain", "of the best rounds", "spread, 1", "spread, 2"]
        return "## Threads\n\nWall seconds, an Arrow column, one thread and two by turns.\n\n" + table(head, rows) if rows else ""

    def memory(self) -> str:
        columns = self.figures.section("memory").get("columns", {})
        rows = []
        for name, row in columns.items():
            if "peak" in row:
                sizes = [row["bytes"], row["before"], row["result"], row["peak"], row["peak"] - row["before"] - row["result"]]
                rows.append([name, *(f"{size / 1e6:,.0f}" for size in sizes)])
        says = "## Memory\n\n`sign_many` of an Arrow column, documents of 3,200 bytes, two threads; MB, of a fresh process.\n\n"
        head = ["column", "its size", "process before", "result", "peak", "working memory"]
        return says + table(head, rows) + absent(columns.items()) if columns else ""

    def noise(self) -> str:
        rows = []
        for name, section in self.figures.sections.items():
            noise = section["noise"]
            taken = [percent(noise[key]) if key in noise else "unknown" for key in ("others", "stolen")]
            beats, loads = " / ".join(f"{beat:.2f}" for beat in noise["beats"]), " to ".join(map(number, noise["load"]))
            rows.append([name, section["date"], section["commit"], f"{noise['seconds'] / 60:.1f}", *taken, loads, beats])
        busy = max((section["noise"].get("others", 0) for section in self.figures.sections.values()), default=0)
        loud = f"It was not quiet: others took up to {busy:.0%} of its processors. CPU seconds suffer less from that than wall seconds do."
        head = [
            "section",
            "UTC",
            "commit",
            "minutes",
            "taken by other processes",
            "stolen by other machines",
            "load",
            "unevenness, wall / CPU",
        ]
        return NOISE.format(verdict="It was quiet." if busy < 0.1 else loud) + "\n" + table(head, rows)


def main() -> None:
    """Write the page."""
    small = "--small" in sys.argv
    folder = Path(sys.argv[sys.argv.index("--small") + 1]) if small else ROOT / "docs"
    page = Page(read(small=small))
    written = page.write()
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for old in (folder / PLOTS).glob("*.svg"):
        old.unlink()
    for name, drawn in page.plots.items():
        (folder / PLOTS / name).write_text(drawn, encoding="utf-8")
    (folder / "benchmarks.md").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
