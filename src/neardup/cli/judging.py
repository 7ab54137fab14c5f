"""The commands that help to judge: compare two texts, tune, evaluate."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import neardup
from neardup.cli.beside import show_beside
from neardup.cli.jobs import (
    FINE,
    Command,
    FailOption,
    FoldOption,
    GlobOption,
    IdOption,
    InputsArgument,
    Job,
    OnError,
    OnErrorOption,
    ProfiledThreshold,
    ProfileOption,
    Profiles,
    QuietOption,
    SizeOption,
    StopOption,
    StripOption,
    TextOption,
    ThresholdOption,
    TokensOption,
    WholeOption,
    app,
    check_place,
)
from neardup.cli.terminal import (
    PASSAGES,
    ROWS,
    count,
    emit,
    note,
    printable,
    progress,
)
from neardup.errors import InputError, ParameterError, check_fraction

if TYPE_CHECKING:
    from neardup.alignment import Segment
    from neardup.tuning import Trial
    from neardup.verify import Passage

#: Shared passages, the longest first, of which it is seen whether they stand beside each other.
TRIED_PASSAGES = 200


@app.command(cls=Command)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A text file, or - for standard input.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    threshold: ProfiledThreshold = None,
    profile: ProfileOption = Profiles.text,
    fail: FailOption = False,
    quiet: QuietOption = False,
    tokens: TokensOption = None,
    size: SizeOption = None,
    strip_diacritics: StripOption = False,
    fold_digits: FoldOption = False,
    stop: StopOption = None,
) -> None:
    """Compare two texts: how similar they are, how much of each is in the other, what they share and what differs.

    On a terminal they stand side by side, or below each other where it is narrow. Into a pipe goes a line of JSON.

    Examples:
      neardup compare draft.txt published.txt
      neardup compare old.py new.py --profile code
    """
    from neardup.alignment import aligned
    from neardup.verify import shared_passages, shared_shingles, verification_hashes

    job = Job([a, b], profile=profile, tokens=tokens, size=size, strip_diacritics=strip_diacritics, fold_digits=fold_digits, stop=stop)
    threshold = neardup.Profile.named(profile.value).threshold if threshold is None else threshold
    check_fraction("threshold", threshold, one=True)
    if a == b == "-":
        raise ParameterError("A and B are both '-'; standard input can be read once")
    shingling = job.shingling()
    left, right = (single_text(path, quiet=quiet) for path in (a, b))
    shared, segments = shared_shingles(left, right, shingling=shingling), aligned(left, right, shingling)
    row: dict[str, Any] = {
        "a": a,
        "b": b,
        "similarity": shared.similarity,
        "a_in_b": shared.a_in_b,
        "b_in_a": shared.b_in_a,
        "shingles_a": shared.a,
        "shingles_b": shared.b,
    }
    inside = neardup.Profile.named(profile.value).verify == "contained"
    row["match"] = row["a_in_b" if inside else "similarity"] >= threshold
    row["tokens_a"], row["tokens_b"] = (segments[-1].a_stop, segments[-1].b_stop) if segments else (0, 0)
    row |= {"shared_shingles": shared.both, "only_in_a": shared.a - shared.both, "only_in_b": shared.b - shared.both}
    passages = shared_passages(left, verification_hashes(shingling.hashes(right)), shingling)
    if sys.stdout.isatty():
        console = Console(highlight=False)
        verdict = (f"a match at {threshold}", "green") if row["match"] else (f"no match at {threshold}", "yellow")
        console.print(Text.assemble((f"{row['similarity']:.3f}", "bold"), " similarity: ", verdict))
        for one, other in ("ab", "ba"):
            size_of = f"{count(row[f'tokens_{one}'], 'token')}, {count(row[f'shingles_{one}'], 'shingle')}"
            console.print(Text(f"{row[f'{one}_in_{other}']:.1%} of {printable(row[one])} ({size_of}) is in {printable(row[other])}"))
        only = [f"{row[f'only_in_{side}']:,} only in {printable(row[side])}" for side in "ab"]
        console.print(Text(", ".join([f"{count(shared.both, 'shingle')} in both", *only])))
        show_beside(segments, (a, b), console, joint="" if shingling.chars else " ")
        show_elsewhere(passages, segments, console, least=shingling.size)
    else:
        differences = [difference(segment) for segment in segments if segment.kind == "differs"]
        emit([{**row, "passages": [passage.text for passage in passages], "differences": differences}])
    if long := sum(not segment.compared for segment in segments):
        note(f"{count(long, 'difference')} too long to be compared token by token: what is shared inside is not shown", quiet=quiet)
    if neardup.Profile.named(profile.value).verify == "noisy":
        note("this is the similarity as read: how much was misread shows in a whole corpus, as dedup and pairs judge it", quiet=quiet)
    for side in "ab":
        if not row[f"shingles_{side}"]:
            note(f"{row[side]} has not a single word: it matches nothing", quiet=quiet)
    if fail and row["match"]:
        raise typer.Exit(1)


def difference(segment: Segment) -> dict[str, Any]:
    """What differs between two texts, as a row."""
    kind = "only_in_b" if segment.a_start == segment.a_stop else "only_in_a" if segment.b_start == segment.b_stop else "changed"
    names = ("a", "a_start", "a_stop", "b", "b_start", "b_stop", "compared")
    return {"kind": kind, **{name: getattr(segment, name) for name in names}}


def show_elsewhere(passages: Sequence[Passage], segments: Sequence[Segment], console: Console, *, least: int) -> None:
    """The shared passages that stand in another order, so that they are not beside each other."""
    beside = [(segment.a_start, segment.a_stop) for segment in segments if segment.kind == "shared"]
    elsewhere = []
    for passage in passages[:TRIED_PASSAGES]:
        covered = sum(max(0, min(stop, passage.stop) - max(start, passage.start)) for start, stop in beside)
        if passage.stop - passage.start - covered >= least:
            elsewhere.append(passage)
    for passage in elsewhere[:PASSAGES]:
        excerpt = printable(textwrap.shorten(passage.text, 300, placeholder=" ..."))
        console.print(Text.assemble((f"in both, elsewhere, {count(passage.stop - passage.start, 'token')}: ", "dim"), excerpt))
    if len(elsewhere) > PASSAGES:
        console.print(Text(f"... and {count(len(elsewhere) - PASSAGES, 'more such passage')}", "dim"))


def single_text(path: str, *, quiet: bool) -> str:
    """The text of a file that is one document."""
    from neardup.documents import strings

    job = Job([path], quiet=quiet)
    corpus = job.read([path], lambda *_: None)
    texts = [text for batch in corpus.batches() for text in strings(batch.texts)]
    job.tell_unread()
    if len(texts) != 1:
        raise InputError(f"{path} holds {count(len(texts), 'document')}; compare takes two files of one text each, pairs takes many")
    return texts[0]


@app.command(cls=Command)
def tune(
    inputs: InputsArgument,
    threshold: ThresholdOption = 0.8,
    recall: Annotated[float, typer.Option(help="Probability, at least, that a pair exactly at the threshold is found.")] = 0.99,
    sample: Annotated[int, typer.Option(help="The most documents that are looked at, drawn evenly.")] = 20_000,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
    on_error: OnErrorOption = OnError.refuse,
    whole_files: WholeOption = False,
    quiet: QuietOption = False,
    tokens: TokensOption = None,
    size: SizeOption = None,
    threads: Annotated[int | None, typer.Option(help="By default all processors.", rich_help_panel=FINE, show_default=False)] = None,
) -> None:
    """Show how similar documents are, with examples, and what several bandings would find and take; recommend one.

    Into a pipe go lines of JSON of two kinds: "similarity", a level of it, and "banding".

    Examples:
      neardup tune news.jsonl
      neardup tune essays/ --threshold 0.5 --sample 5000
    """
    with progress(quiet=quiet) as tell:
        job = Job(inputs, text=text, id=id, glob=glob, quiet=quiet, on_error=on_error, whole_files=whole_files, tokens=tokens, size=size)
        corpus = job.read(inputs, tell)
        tuning = neardup.tune(
            corpus,
            threshold,
            recall=recall,
            shingling=job.minhash().shingling,
            sample=sample,
            threads=threads,
            progress=partial(tell, corpus=corpus),
        )
    job.tell_unread()
    if tuning.documents < 2:
        found = count(tuning.documents, "document")
        raise InputError(f"{corpus.description}: {found}, and pairs are needed to recommend anything; give two documents at least")
    if sys.stdout.isatty():
        console = Console(highlight=False)
        show_levels(tuning, console)
        show_trials(tuning, console)
    else:
        levels = (level._asdict() | {"examples": [example._asdict() for example in level.examples]} for level in tuning.levels)
        emit({"kind": "similarity", **level} for level in levels)
        emit(tuning_row(tuning, trial) for trial in tuning.trials)
    sampled = f", {tuning.sample:,} of them drawn: what is said of all is an estimate" if tuning.sample < tuning.documents else ""
    note(f"{count(tuning.documents, 'document')}{sampled}", quiet=quiet)
    if tuning.without_shingles:
        note(f"{count(tuning.without_shingles, 'document')} without a single word: they match nothing", quiet=quiet)
    best = tuning.recommended
    advice = "no banding reaches that recall" if best is None else f"recommended: --num-perm {best.minhash.num_perm} --recall {best.target}"
    note(f"at --threshold {threshold}, {advice}", quiet=quiet)


@app.command(cls=Command)
def evaluate(
    inputs: InputsArgument,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Pairs that people judged: columns a, b and, perhaps, duplicate.", show_default=False)
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Documents of one value in this column are duplicates.", show_default=False)
    ] = None,
    profile: Annotated[list[Profiles] | None, typer.Option(help="What is tried; may be repeated.", show_default=False)] = None,
    threshold: Annotated[
        list[float] | None, typer.Option("--threshold", "-t", help="What is tried; 0.3 to 1 if not given.", show_default=False)
    ] = None,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw precision, recall and F1: .svg, .png (needs matplotlib).", show_default=False)
    ] = None,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
    on_error: OnErrorOption = OnError.refuse,
    whole_files: WholeOption = False,
    quiet: QuietOption = False,
    threads: Annotated[int | None, typer.Option(help="By default all processors.", rich_help_panel=FINE, show_default=False)] = None,
) -> None:
    """Compare what profiles and thresholds find with what people say, and show what the best of them gets wrong.

    Into a pipe go lines of JSON of two kinds: "score", of a profile and threshold, and "wrong", a pair.

    Examples:
      neardup evaluate news.jsonl --labels judged.csv
      neardup evaluate pages.jsonl --group story --profile ocr --plot quality.svg
    """
    from neardup.evaluation import THRESHOLDS, TRIED, read_labels
    from neardup.notebook import check_plot

    if (labels is None) == (group is None):
        raise ParameterError("labels come from --labels FILE or from --group COLUMN; give one of them")
    if plot is not None:
        check_plot(plot)
        check_place(plot)
    with progress(quiet=quiet) as tell:
        job = Job(inputs, text=text, id=id, glob=glob, quiet=quiet, on_error=on_error, whole_files=whole_files)
        corpus = job.read(inputs, tell)
        tell("pairing")
        evaluation = neardup.evaluate(
            corpus,
            read_labels(labels) if labels is not None else str(group),
            profiles=[one.value for one in profile] if profile else TRIED,
            thresholds=threshold or THRESHOLDS,
            threads=threads,
        )
    job.tell_unread()
    if plot is not None:
        evaluation.plot(plot)
    best, wrong = evaluation.best, evaluation.wrong()
    if sys.stdout.isatty():
        show_scores(evaluation, Console(highlight=False))
    else:
        emit({"kind": "score", **score._asdict()} for score in evaluation.scores)
        emit({"kind": "wrong", **pair._asdict()} for pair in wrong)
    note(f"{count(evaluation.documents, 'document')}, {count(evaluation.duplicates, 'pair')} labelled as duplicates", quiet=quiet)
    note(f"best: --profile {best.profile} --threshold {best.threshold}, F1 {best.f1:.3f}, {count(len(wrong), 'pair')} wrong", quiet=quiet)
    tied = evaluation.tied()
    if [[best.threshold]] != tied.pop(best.profile) or tied:
        note(f"as good: {alike(evaluation)}", quiet=quiet)


def alike(evaluation: neardup.Evaluation) -> str:
    """The settings of the highest F1, in words."""
    runs = (
        (profile, f"{run[0]:g} to {run[-1]:g}" if run[1:] else f"{run[0]:g}") for profile, runs in evaluation.tied().items() for run in runs
    )
    return ", ".join(f"{profile} at {run}" for profile, run in runs)


def show_scores(evaluation: neardup.Evaluation, console: Console) -> None:
    """A row for each profile and threshold, and the pairs that the best of them gets wrong."""
    table = Table(box=None, header_style="dim")
    table.add_column("profile")
    whole = evaluation.best.ari is not None
    for name in ("threshold", "precision", "recall", "F1", *(["ARI"] if whole else []), "pairs"):
        table.add_column(name, justify="right")
    for score in evaluation.scores:
        figures = [f"{value:.3f}" for value in (score.precision, score.recall, score.f1, score.ari) if value is not None]
        style = "bold green" if score is evaluation.best else None
        table.add_row(score.profile, f"{score.threshold:g}", *figures, f"{score.found:,}", style=style)
    console.print(table)
    wrong = evaluation.wrong()
    for pair in wrong[:ROWS]:
        what = "missed" if pair.missed else "found "
        known = "     " if pair.similarity is None else f"{pair.similarity:.3f}"
        console.print(Text(f"{what} {known}  {printable(pair.a)}  {printable(pair.b)}"))
    if len(wrong) > ROWS:
        console.print(Text(f"... and {len(wrong) - ROWS:,} more; into a pipe go all, as JSON lines", "dim"))


def tuning_row(tuning: neardup.Tuning, trial: Trial) -> dict[str, Any]:
    """A banding that was tried, as a row."""
    shown = ("target", "recall", "expected_recall", "sample_candidates", "candidates", "bytes_per_document", "cost", "seconds")
    return {
        "kind": "banding",
        "recommended": trial is tuning.recommended,
        "threshold": tuning.threshold,
        "num_perm": trial.minhash.num_perm,
        "bands": trial.banding.bands,
        "rows": trial.banding.rows,
        **{name: getattr(trial, name) for name in shown},
    }


def show_levels(tuning: neardup.Tuning, console: Console) -> None:
    """The histogram of similarities, and an example of each level."""
    sampled = tuning.sample < tuning.documents
    table = Table(box=None, header_style="dim")
    for name in ("similarity", "pairs", *(["in all, about"] if sampled else [])):
        table.add_column(name, justify="right")
    table.add_column("")
    most = max(level.pairs for level in tuning.levels)
    for level in tuning.levels:
        eighths = -(-level.pairs * 240 // most) if most else 0  # a pair is never nothing
        estimate = ["" if level.estimate is None else f"{level.estimate:,}"] if sampled else []
        name = "copies" if level.low == 1 else f"{level.low:.2f} to {level.high:.2f}"
        table.add_row(name, f"{level.pairs:,}", *estimate, "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip())
    console.print(Text("Pairs by similarity" + (f", of {tuning.sample:,} documents" if sampled else ""), "bold"))
    console.print(table)
    shown = [level.examples[0] for level in tuning.levels if level.examples]
    if shown:
        console.print(Text("\nAn example of each", "bold"))
    for pair in shown:
        console.print(Text(f"{pair.similarity:.3f}  {printable(pair.a)}  {printable(pair.b)}"))
        for excerpt in (pair.text_a, pair.text_b):
            console.print(Text(f"       {printable(excerpt)}", "dim"), overflow="ellipsis", no_wrap=True)


def show_trials(tuning: neardup.Tuning, console: Console) -> None:
    """The bandings that were tried, the recommended one marked; sixty columns are enough for it."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("", "slots", "bands", "rows", "recall", "expected", "candidates", "bytes each", "time"):
        table.add_column(name, justify="right", no_wrap=name != "bytes each")
    for trial in tuning.trials:
        best = trial is tuning.recommended
        table.add_row(
            "*" if best else "",
            str(trial.minhash.num_perm),
            str(trial.banding.bands),
            str(trial.banding.rows),
            f"{trial.recall:.4f}",
            "" if trial.expected_recall is None else f"{trial.expected_recall:.4f}",
            f"{trial.candidates:,.2f}",
            f"{trial.bytes_per_document:,}",
            f"{trial.seconds:,.{0 if trial.seconds >= 10 else 2}f} s",
            style="bold green" if best else None,
        )
    console.print(Text(f"\nBandings at a threshold of {tuning.threshold}; candidates and bytes are those of a document", "bold"))
    console.print(table)
