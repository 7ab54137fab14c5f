"""docs/quality.md and its plots, from docs/quality.json alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import plots
from page import table
from results import Json

PLOTS = "quality"
#: Rows of what is wrong that are told of one profile.
TOLD = 3

OPENING = """\
<!-- Written by `just quality` from docs/quality.json. -->

# Quality

What each [profile](reference/library.md#kinds-of-text-and-what-people-say) finds and misses, on real texts with labels that do not
come from neardup: titles of sections, licences that people told, copies whose source is known. `just quality` measures it again by
`neardup.evaluate` and writes this page. The texts are those of others: they stay outside the project, and what goes wrong is described,
not quoted.

Measured {dates} at commit {commits} (+: with uncommitted changes), neardup {neardup}, Python {python}.

Every match that neardup reports has the similarity that it says (`ocr` estimates what it would be without misreadings), so what is called
wrong here is a pair of texts which are that similar and yet no duplicates by their label; what is missed is a pair that by its label is
one and not that similar. Precision is the share of
the pairs found that are right, recall the share of the duplicates that is found, F1 their harmonic mean. *As it is* means at the
profile's own threshold: {thresholds}. What the search
itself misses is little: its recall is [measured apart](benchmarks.md).

## In short

The F1 of each profile as it is, and in parentheses its best with the threshold that gives it. Bold is the highest as it is.

"""

AFTER_SHORT = """\

A threshold that is best on one of these sets is no advice for other texts: the sets differ more than the profiles do. With labels of your
own, `neardup evaluate` draws the same for them.

"""

#: Of each set its heading and what it is.
SAYS = {
    "guides": (
        "Pages in 19 languages",
        (
            "The installation guides of Debian 12 for five architectures: sections of one title are labelled as duplicates, however much of them\n"
            "an architecture has rewritten. All languages are counted together, each a corpus of its own. The profile `ocr`, which is\n"
            "slower, was tried in {tried_in} alone."
        ),
    ),
    "licences": (
        "Licence texts",
        (
            "Texts and notices of 50 words and more from scancode-toolkit, each labelled with a licence by people; those of one licence are\n"
            "duplicates. That is a hard label: a licence and the notices that name it are one group, and the versions of one licence are not."
        ),
    ),
    "noise": (
        "Misread characters",
        (
            "Newswire stories (Reuters-21578) of 200 characters and more that resemble no other, and copies of 300 of them in which a share of\n"
            "the characters is misread as a recogniser of characters does; at last a corpus in which both are misread. The misreadings are made\n"
            "by a generator; pages that a real recogniser has read are part of `just prove`."
        ),
    ),
    "titles": (
        "Titles",
        (
            "Titles of 5 to 15 words (Reuters-21578), 300 of them also with one word changed, added, dropped, or swapped with the next. Other\n"
            "titles that are almost the same count as wrong, although some of them head one story that was filed twice."
        ),
    ),
    "templates": (
        "Reports of one form",
        (
            "Quarterly results and dividends (Reuters-21578), {words} words in the median, each of another company: one form, other names and\n"
            "numbers. They are no duplicates. Copies of 300 in which a word is dropped and another misprinted are."
        ),
    ),
    "excerpts": (
        "Excerpts",
        (
            "Halves of stories and passages of 60 words, each inside one of 100 texts that are so many times as long. Precision and recall are\n"
            "those of look-ups at a containment (`excerpt`) or a similarity (`text`) of the threshold."
        ),
    ),
    "code": (
        "Source code",
        (
            "Functions of 10 to 80 lines of Python's standard library of which no two have 60 % of their distinct tokens in common, and 400 of\n"
            "them written again from their syntax tree, without comments and with other breaks of lines and quotes, one name changed."
        ),
    ),
}


def chosen(rows: Sequence[Sequence[float]], threshold: float) -> Sequence[float]:
    """The row of a threshold."""
    return next(row for row in rows if row[0] == threshold)


def best(rows: Sequence[Sequence[float]]) -> Sequence[float]:
    """That of the highest F1, the first of such."""
    return max(rows, key=lambda row: row[3])


def percent(share: float) -> str:
    """A share, never rounded to all or nothing."""
    if 0 < share < 0.001 or 0.999 < share < 1:
        return f"{share:.2%}".replace("%", " %")
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


class Page:
    """The page, and the plots that it shows by their file names."""

    def __init__(self, results: Json) -> None:
        self.results, self.sets = results, results["sets"]
        self.thresholds = results["thresholds"]
        self.plots: dict[str, str] = {}

    def write(self) -> str:
        parts = [self.opening(), AFTER_SHORT, self.short_texts(), *(part for name in SAYS if name in self.sets for part in self.of(name))]
        return "".join([*parts, self.limits()])

    # ---- the whole -------------------------------------------------------------------------------------------------

    def corpora(self) -> Iterator[tuple[str, str, Json]]:
        """Every corpus: its set, what it is called, its results."""
        for name in SAYS:
            for part, result in self.sets.get(name, {}).get("parts", {"": self.sets.get(name)}).items():
                if result is not None:
                    yield name, f"{SAYS[name][0]}{f', {part}' if part else ''}", result

    def opening(self) -> str:
        names = list(self.thresholds)
        rows = []
        for _, called, result in self.corpora():
            own = {name: chosen(result["scores"][name], self.thresholds[name])[3] for name in names if name in result["scores"]}
            cells = [called]
            for name in names:
                if name in own:
                    top = best(result["scores"][name])
                    figure = f"{own[name]:.3f}"
                    cells.append(f"{f'**{figure}**' if own[name] == max(own.values()) else figure} ({top[3]:.3f} at {top[0]:g})")
                else:
                    cells.append("")
            rows.append(cells)
        about = self.sets.values()
        return OPENING.format(
            dates=" and ".join(sorted({one["date"] for one in about})),
            commits=" and ".join(sorted({one["commit"] for one in about})),
            neardup=self.results["neardup"],
            python=self.results["python"],
            thresholds=", ".join(f"`{name}` {threshold:g}" for name, threshold in self.thresholds.items()),
        ) + table(["texts", *(f"`{name}`" for name in names)], rows)

    # ---- one set ---------------------------------------------------------------------------------------------------

    def of(self, name: str) -> Iterator[str]:
        result = self.sets[name]
        heading, says = SAYS[name]
        yield f"## {heading}\n\n"
        yield says.format(words=result.get("words"), tried_in=", ".join(f"`{one}`" for one in result.get("tried_in", []))) + "\n\n"
        for part, one in result.get("parts", {"": result}).items():
            yield from self.corpus(name, part, one)
        if name == "guides":
            yield self.languages(result["languages"])
        if name == "licences":
            yield self.groups(result["rand"])

    def corpus(self, name: str, part: str, result: Json) -> Iterator[str]:
        called = f"{SAYS[name][0]}{f', {part}' if part else ''}"
        if part:
            yield f"### {called}\n\n"
        yield f"{result['documents']:,} documents, {result['duplicates']:,} pairs of duplicates.\n\n"
        rows = []
        for profile, scores in result["scores"].items():
            own, top = chosen(scores, self.thresholds[profile]), best(scores)
            rows += [
                [f"`{profile}`", f"{kind}{row[0]:g}", *(f"{value:.3f}" for value in row[1:4]), f"{row[4]:,}"]
                for kind, row in (("as it is, ", own), ("best, ", top))
            ]
        yield table(["profile", "threshold", "precision", "recall", "F1", "pairs found"], rows) + "\n"
        yield "".join(f"- {self.told(profile, result)}\n" for profile in result["scores"]) + "\n"
        slug = "-".join([name, *part.replace("%", "").replace(",", "").split()])
        drawn = curves(called, result["scores"])
        self.plots[f"{slug}.svg"] = drawn
        yield f"![{called}: precision, recall and F1 by threshold]({PLOTS}/{slug}.svg)\n\n"

    def told(self, profile: str, result: Json) -> str:
        """What a profile as it is finds, misses and gets wrong, in words."""
        own = chosen(result["scores"][profile], self.thresholds[profile])
        duplicates = result.get("of", {}).get(profile, result["duplicates"])
        right = round(own[2] * duplicates)
        said = f"`{profile}` at {own[0]:g} finds {percent(own[2])} of the duplicates"
        said += f" and misses {duplicates - right:,}" if right < duplicates else ", all of them"
        wrong = round(own[4] - right)
        judged = f"{wrong:,} {'is' if wrong == 1 else 'are'} wrong" if wrong else "all are right"
        said += f"; of {own[4]:,} pairs that it reports {judged}." if own[4] else "; it reports nothing."
        for missed, word in ((True, "Missed"), (False, "Wrong")):
            kinds = [(what, many) for what, is_missed, many in result["wrong"][profile] if is_missed == missed]
            if kinds:
                listed = "; ".join(f"{what} ({many:,})" for what, many in kinds[:TOLD])
                said += f" {word}: {listed}{' and others' if len(kinds) > TOLD else ''}."
        return said

    def languages(self, languages: Json) -> str:
        rows = [
            [code, f"{one['documents']:,}", *(f"{value:.3f}" for value in one["own"][1:4]), f"{one['best'][3]:.3f} at {one['best'][0]:g}"]
            for code, one in languages.items()
        ]
        head = ["language", "pages", "precision", "recall", "F1", "best F1"]
        return f"Each language by `text` at {self.thresholds['text']:g}:\n\n" + table(head, rows) + "\n"

    def groups(self, rand: Json) -> str:
        rows = [[threshold, library, f"{value:.3f}"] for threshold, libraries in rand.items() for library, value in libraries.items()]
        return (
            (
                "Groups that chains of pairs make, against the labels: the adjusted Rand index, 1 where they are the same, 0 as by chance. Other\n"
                "libraries report candidates that nobody has checked. All are low: chains lead from one licence to the next, and a notice is not\n"
                "like the text that it names.\n\n"
            )
            + table(["threshold", "library", "adjusted Rand index"], rows)
            + "\n"
        )

    # ---- short texts and templates ---------------------------------------------------------------------------------

    def short_texts(self) -> str:
        said = ["## Short texts and templates, said plainly\n\n"]
        said.append(
            "No profile knows what a name or a number means. Two texts of one form with other names and numbers are as similar as two\n"
            "versions of one text in which as many words were edited; what decides is how long the form is.\n\n"
        )
        if "forms" in self.sets:
            said += self.forms(self.sets["forms"])
        parts = self.sets.get("titles", {}).get("parts", {})
        if parts:
            for profile in ("text", "short", "ocr"):
                rows = [chosen(part["scores"][profile], self.thresholds[profile]) for part in parts.values()]
                low, high = min(row[2] for row in rows), max(row[2] for row in rows)
                right = min(row[1] for row in rows)
                said.append(
                    f"- Titles of 5 to 15 words with one word edited: `{profile}` finds {percent(low)} to {percent(high)} of them, by the kind of\n"
                    f"  edit; of what it reports at least {percent(right)} is right.\n"
                )
        if "templates" in self.sets:
            result = self.sets["templates"]
            for profile in ("text", "short", "ocr"):
                own = chosen(result["scores"][profile], self.thresholds[profile])
                wrong = round(own[4] - own[2] * result["duplicates"])
                said.append(
                    f"- {result['documents']:,} reports of one form, copies included: `{profile}` takes {wrong:,} pairs of different companies for\n"
                    f"  duplicates, and finds {percent(own[2])} of the damaged copies.\n"
                )
        said.append(
            "\nSo: for titles and posts take `short` and look at what it reports where many have one form; for records that differ in a name or a\n"
            "number take no profile at all, but compare the fields. `stop=` leaves a boilerplate out that is known beforehand, `drop_frequent=`\n"
            "what many documents have: then what is left to compare is what differs.\n\n"
        )
        return "".join(said)

    def forms(self, result: Json) -> Iterator[str]:
        matched = result["matched"]
        yield (
            f"The share of pairs that match as the profile is, of texts of one form in which some words, spread at random, are others\n"
            f"({result['pairs']} pairs each, among stories):\n\n"
        )
        sizes = list(dict.fromkeys((length, filled) for length, filled, _ in next(iter(matched.values()))))
        shares = {profile: {(length, filled): share for length, filled, share in rows} for profile, rows in matched.items()}
        rows = [[length, filled, *(percent(shares[name][length, filled]) for name in matched)] for length, filled in sizes]
        yield table(["words of the form", "others of them", *(f"`{name}`" for name in matched)], rows) + "\n"

    def limits(self) -> str:
        return (
            "## Limits\n\n"
            "- The sets are what could be had with labels: technical pages, licences, newswire of 1987, Python. Web pages, chat, books and forums\n"
            "  are not among them.\n"
            "- Misreadings, edited titles, damaged reports and excerpts are made by generators with fixed seeds; what people and machines do to\n"
            "  texts is more varied.\n"
            "- `ocr` judges by what the whole corpus has: on a small corpus, and on short texts, it knows little and takes too much for readings\n"
            "  of one text.\n"
            "- Paraphrase and translation are found by none of the profiles, and are not measured.\n"
            "- Thresholds are tried from 0.3 to 1 in steps of 0.05. Bands are those of the lowest, so that what the search would miss at a higher\n"
            "  one is not seen here.\n"
        )


# ---- plots ---------------------------------------------------------------------------------------------------------------

COLOURS = {"text": "blue", "short": "orange", "ocr": "green", "code": "purple", "excerpt": "teal"}


def curves(title: str, scores: Json) -> str:
    """Precision and recall, and beside them F1, by threshold."""
    top, bottom, height, wide = 100, 300, 352, 290
    parts = []
    for i, profile in enumerate(scores):
        x = 20 + 110 * i
        parts += [f'<circle class="mark {COLOURS[profile]}" cx="{x + 5}" cy="52" r="5"/>', plots.text(x + 16, 56, profile)]
    parts += [plots.text(480, 56, "solid precision, dashed recall", "small")]
    panels = ((56, "precision, recall", ((1, ""), (2, ' stroke-dasharray="5 4"'))), (408, "F1", ((3, ""),)))
    for left, words, lines in panels:
        parts.append(plots.text(left, top - 14, words, "small"))
        for value in (0, 0.25, 0.5, 0.75, 1):
            y = bottom - (bottom - top) * value
            parts += [plots.line(left, y, left + wide, y), plots.text(left - 6, y + 4, f"{value:g}", "small", "end")]
        for value in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1):
            parts.append(plots.text(left + wide * (value - 0.3) / 0.7, bottom + 20, f"{value:g}", "small", "middle"))
        parts.append(plots.text(left + wide / 2, height - 10, "threshold", "small", "middle"))
        for profile, rows in scores.items():
            for column, dashes in lines:
                places = [(left + wide * (row[0] - 0.3) / 0.7, bottom - (bottom - top) * row[column]) for row in rows]
                path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
                parts.append(f'<path class="line {COLOURS[profile]}" d="M{path}"{dashes}/>')
    return plots.document(title, height, parts)


def write(results: Json, folder: Path) -> None:
    """Write the page and its plots into a folder."""
    page = Page(results)
    written = page.write()
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for old in (folder / PLOTS).glob("*.svg"):
        old.unlink()
    for name, drawn in page.plots.items():
        (folder / PLOTS / name).write_text(drawn, encoding="utf-8")
    (folder / "quality.md").write_text(written, encoding="utf-8")
