"""The command line: what the library does, on files."""

from __future__ import annotations

import sys

try:
    import errno
    import inspect
    import io
    import json
    import os
    import signal
    import textwrap
    import traceback
    import warnings
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import ExitStack, contextmanager, suppress
    from dataclasses import asdict, dataclass
    from enum import Enum
    from functools import partial
    from itertools import islice
    from pathlib import Path
    from typing import TYPE_CHECKING, Annotated, Any

    import typer
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table
    from rich.text import Text

    import neardup
    from neardup.errors import DuplicateIdError, InputError, NearDupError, ParameterError, check_fraction
except KeyboardInterrupt:  # Ctrl-C already; the commands load what is heavier
    sys.exit(130)

if TYPE_CHECKING:
    import pyarrow as pa

    from neardup.files import FileDocuments
    from neardup.tuning import Trial

#: Rows and shared passages shown on a terminal; files and pipes get all.
ROWS, PASSAGES = 25, 10
#: The most characters of an error: a file may have a million columns.
LONGEST = 2000
#: Columns of numbers; the others name documents.
SCORES = ("similarity", "containment")
#: Told what is done, how much of it, of how much if that is known, and for which documents.
Tell = Callable[..., None]

FINE = "Fine tuning"
INPUTS_HELP = "Text, JSONL (also .gz, .zst), CSV, Parquet or Arrow files, folders of them, or - for standard input."
OUTPUT_HELP = "Write the result here, in the format of its name: .jsonl, .csv, .parquet ..."
MAX_PAIRS_HELP = "The most that may be listed; m copies of a text make m (m - 1) / 2 pairs."

Clusters = Enum("Clusters", {"witness": "witness", "components": "components"}, type=str)
OnError = Enum("OnError", {"refuse": "raise", "skip": "skip"}, type=str)
Tokens = Enum("Tokens", {"words": "words", "chars": "chars", "code": "code"}, type=str)
Measures = Enum("Measures", {"similarity": "similarity", "containment": "containment"}, type=str)
Profiles = Enum("Profiles", {"text": "text", "ocr": "ocr", "short": "short", "code": "code", "excerpt": "excerpt"}, type=str)
ThresholdOption = Annotated[float, typer.Option("--threshold", "-t", help="Least Jaccard similarity of a match, above 0, at most 1.")]
ProfiledThreshold = Annotated[
    float | None,
    typer.Option("--threshold", "-t", help="Least similarity of a match; the profile's, 0.8 for text.", show_default=False),
]
ProfileOption = Annotated[
    Profiles,
    typer.Option(
        help="What the texts are: text, ocr (scanned, misread), short (titles, posts), code; excerpt: what is sought inside longer ones."
    ),
]
FailOption = Annotated[bool, typer.Option("--fail-on-duplicates", help="Exit with 1 when any are found.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes; errors only.")]
TokensOption = Annotated[
    Tokens | None, typer.Option(help="What shingles are made of; the profile's, words for text.", show_default=False, rich_help_panel=FINE)
]
StripOption = Annotated[bool, typer.Option("--strip-diacritics", help="Take é for e, ё for е.", rich_help_panel=FINE)]
FoldOption = Annotated[bool, typer.Option("--fold-digits", help="Take every digit for 0.", rich_help_panel=FINE)]
StopOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", metavar="TEXT", help="Boilerplate whose shingles do not count. May be repeated.", show_default=False, rich_help_panel=FINE
    ),
]
OnErrorOption = Annotated[OnError, typer.Option(help="skip leaves out lines of JSONL and CSV that cannot be read, and lists them.")]
SizeOption = Annotated[
    int | None, typer.Option(help="Tokens in a shingle, 1 to 32; the profile's, 5 for text.", show_default=False, rich_help_panel=FINE)
]

IndexArgument = Annotated[str, typer.Argument(metavar="INDEX", help="The folder of an index.")]
TextOption = Annotated[
    str | None, typer.Option("--text", metavar="NAME", help="Column of the texts; guessed when obvious.", show_default=False)
]
IdOption = Annotated[str | None, typer.Option("--id", metavar="NAME", help="Column of the ids; guessed when obvious.", show_default=False)]
GlobOption = Annotated[str | None, typer.Option("--glob", metavar="PATTERN", help="Which files of folders.", show_default=False)]
InputsArgument = Annotated[list[str], typer.Argument(metavar="IN", help=INPUTS_HELP, show_default=False)]

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]})


# ---- what people and programs see ----------------------------------------------------------------------------------------


def printable(value: object) -> str:
    """A value for a terminal: nothing in it moves the cursor or colours the rest."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def count(n: int, noun: str) -> str:
    """A number of things."""
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun.endswith('ch') else 's'}"


def note(message: object, *, quiet: bool = False, prefix: str = "") -> None:
    """Something for people, on standard error; where that takes nothing, the work goes on."""
    if not quiet:
        with suppress(OSError):
            sys.stderr.write(f"{prefix}{printable(message)}\n")  # above the bars, if there are any
            sys.stderr.flush()


def complain(error: object) -> None:
    """Why the work ends, on standard error; of a very long reason its beginning and end."""
    text = str(error) or "out of memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"{error.strerror}; make room, or write elsewhere"
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    note(text, prefix=typer.style("neardup: ", fg="red") if colour else "neardup: ")


def emit(rows: Iterable[dict[str, Any]]) -> None:
    """Rows as JSON lines: UTF-8 whatever the locale, ASCII where a terminal might act on a character."""
    with suppress(BrokenPipeError):  # whoever reads has seen enough
        for row in rows:
            line = json.dumps(row, ensure_ascii=False)
            sys.stdout.buffer.write((line if line.isprintable() else json.dumps(row)).encode() + b"\n")
        sys.stdout.buffer.flush()


def folder_of(names: list[Any]) -> str:
    """The folder that all names lie below, with its last slash; empty when there is none or they are not paths."""
    shared = os.path.commonprefix(names) if all(isinstance(name, str) for name in names) else ""  # noqa: RUF071  cut below
    return shared[: shared.rfind("/") + 1]


def records(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Rows of columns as they are."""
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def columnar(columns: dict[str, list[Any]]) -> pa.Table:
    """Columns as a table; ids are of one type in all of them."""
    import pyarrow as pa

    from neardup.ids import id_column

    n = len(columns["similarity"])
    naming = [name for name in columns if name not in SCORES]
    ids = id_column([id for name in naming for id in columns[name]])
    arrays = {name: pa.array(columns[name], pa.float64()) for name in columns if name in SCORES}
    arrays |= {name: ids[i * n : (i + 1) * n] for i, name in enumerate(naming)}
    return pa.table(arrays).select(list(columns))


def show(columns: dict[str, list[Any]], title: str, total: int | None = None) -> None:
    """Rows, or the first of a total, as a table on a terminal; as JSON lines anywhere else."""
    if not sys.stdout.isatty():
        emit(records(columns))
        return
    more = (len(columns["similarity"]) if total is None else total) - ROWS
    order = sorted(columns, key=lambda name: name not in SCORES)
    folder = folder_of([value for name in order if name not in SCORES for value in columns[name][:ROWS]])
    table = Table(box=None, header_style="dim")
    for name in order:
        table.add_column(name, justify="right" if name in SCORES else "left", overflow="fold")
    for row in zip(*(columns[name][:ROWS] for name in order), strict=True):
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else Text(printable(str(v).removeprefix(folder))) for v in row))
    console = Console(highlight=False)
    if table.row_count:
        console.print(Text(title + (f", below {printable(folder)}" if folder else ""), "bold"))
        console.print(table)
    if more > 0:
        console.print(Text(f"... and {more:,} more; into a pipe go all, as JSON lines", "dim"))


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tell]:
    """A bar a stage, on standard error, where that is a terminal; warnings become notes."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeRemainingColumn()
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    with warnings.catch_warnings(), ExitStack() as shown:
        warnings.showwarning = lambda message, *_, **__: note(message, quiet=quiet)

        def tell(stage: str, done: int = 0, total: int | None = None, corpus: FileDocuments | None = None) -> None:
            if not bars.tasks and sys.stderr.isatty() and not quiet:
                shown.enter_context(bars)
            if not bars.tasks or bars.tasks[-1].description != stage:
                for task in bars.tasks[-1:]:  # it is done
                    bars.update(task.id, total=task.completed or 1, completed=task.completed or 1)
                bars.add_task(stage, total=None, count="")
            task = bars.tasks[-1]
            elapsed = task.elapsed or 0
            counted = (f"{done:,}" if done else "") + (f" {done / elapsed:,.0f}/s" if elapsed > 0.1 and done else "")
            if corpus is not None and total is None:
                total = corpus.total
                if total is None:  # the bytes are counted
                    done, total = corpus.bytes_done, corpus.bytes_total
            bars.update(task.id, completed=done, total=total, count=counted)

        yield tell


# ---- what dedup, pairs and query have in common --------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """The options of every command that reads many documents, and what they mean."""

    inputs: Annotated[list[str], typer.Argument(metavar="IN", help=INPUTS_HELP, show_default=False)]
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="OUT", help=OUTPUT_HELP, show_default=False)] = None
    threshold: ProfiledThreshold = None
    profile: ProfileOption = Profiles.text
    text: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the texts; guessed when obvious.", show_default=False)] = None
    id: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the ids; guessed when obvious.", show_default=False)] = None
    glob: Annotated[str | None, typer.Option(metavar="PATTERN", help="Which files of folders, as '**/*.txt'.", show_default=False)] = None
    fail: FailOption = False
    quiet: QuietOption = False
    on_error: OnErrorOption = OnError.refuse
    whole_files: Annotated[bool, typer.Option("--whole-files", help="Each file is one text, even .csv or .jsonl.")] = False
    recall: Annotated[float, typer.Option(help="Probability that a pair exactly at the threshold is found.", rich_help_panel=FINE)] = 0.99
    tokens: TokensOption = None
    size: SizeOption = None
    strip_diacritics: StripOption = False
    fold_digits: FoldOption = False
    stop: StopOption = None
    num_perm: Annotated[int, typer.Option(help="Slots of a signature, 2 to 4096.", rich_help_panel=FINE)] = 128
    seed: Annotated[int, typer.Option(help="Another seed finds independently.", rich_help_panel=FINE)] = 0
    threads: Annotated[int | None, typer.Option(help="By default all processors.", rich_help_panel=FINE, show_default=False)] = None

    def check_output(self, *, folder: bool = False) -> None:
        """Refuse an output that could not be written: before the work, not after it."""
        from neardup import files, writing

        if self.output is None:
            return
        texts = folder and all(path != "-" and files.format_of(path)[0] == "text" for path in self.inputs)
        writing.check_output(self.output, texts=texts)
        with suppress(typer.Abort), writing.atomic_path(self.output) as part:
            part.touch()
            raise typer.Abort

    def read(self, inputs: list[str], tell: Tell, *, named: bool = True) -> FileDocuments:
        """The documents of some files, none of which is the output; what had to be guessed is said."""
        from neardup.files import FileDocuments
        from neardup.writing import refuse_input

        if "-" not in inputs:  # a bar would disturb someone who types
            tell("opening")
        columns = (self.text, self.id) if named else (None, None)
        corpus = FileDocuments(inputs, *columns, self.glob, self.on_error.value, whole=self.whole_files)
        if self.output:
            refuse_input(self.output, corpus.files)
        for message in corpus.guessed:
            note(f"{corpus.description}: {message}", quiet=self.quiet)
        if not corpus.files:
            why = "hidden ones are not read" if self.glob is None else f"--glob {self.glob!r} matches none"
            note(f"no files in {', '.join(inputs)}: {why}", quiet=self.quiet)
        return corpus

    def has_columns(self, inputs: list[str]) -> bool:
        """Whether some of these files have columns, as their names say."""
        from neardup import files

        def there(path: str) -> bool:
            with files.explained(path):
                return path != "-" and (Path(path).is_file() or Path(path).is_dir())

        return not self.whole_files and any(file.format != "text" for path in filter(there, inputs) for file in files.find(path, self.glob))

    def minhash(self) -> neardup.MinHash:
        """How documents are signed."""
        return neardup.MinHash(num_perm=self.num_perm, seed=self.seed, shingling=self.shingling())

    def shingling(self) -> neardup.Shingling:
        """How texts are cut: as the profile says, but for what is given."""
        own = neardup.Profile.named(self.profile.value).shingling
        return neardup.Shingling(
            tokens=own.tokens if self.tokens is None else self.tokens.value,
            size=own.size if self.size is None else self.size,
            strip_diacritics=self.strip_diacritics,
            fold_digits=self.fold_digits,
            stop=self.stop or (),
        )

    def index(self, inputs: list[str], tell: Tell, *, named: bool = True) -> tuple[neardup.Index, list[Any]]:
        """An index of all documents of some files, each by its place, and their ids."""
        index = neardup.Index(self.threshold, profile=self.profile.value, recall=self.recall, minhash=self.minhash())
        corpus = self.read(inputs, tell, named=named)
        ids: list[Any] = []
        for batch in corpus.batches():
            index.add_many(range(len(ids), len(ids) + len(batch.ids)), batch.texts, threads=self.threads)
            ids += batch.ids
            tell("reading", len(ids), corpus=corpus)
        return index, ids

    def finish(self, columns: dict[str, list[Any]], title: str, said: Iterable[str]) -> None:
        """Show the rows, or write them as a table in the format of the output's name; then say what it came to."""
        if self.output is None:
            show(columns, title)
        else:
            from neardup import files, writing

            lines = files.format_of(self.output)[0] == "jsonl"
            writing.write_table(list(records(columns)) if lines else columnar(columns), self.output)
        self.conclude(said, found=bool(columns["similarity"]))

    def conclude(self, said: Iterable[str], *, found: bool) -> None:
        """Say what it came to."""
        for line in (*said, *([f"written to {self.output}"] if self.output else [])):
            note(line, quiet=self.quiet)
        if self.fail and found:
            raise typer.Exit(1)


def command(work: Callable[..., None]) -> Callable[..., None]:
    """Make a command that has its own options and those of every job."""
    shared = inspect.signature(Job, eval_str=True).parameters

    def run(**given: Any) -> None:
        work(Job(**{name: given.pop(name) for name in shared}), **given)

    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    every = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared.values())]
    run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # where typer looks
    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return app.command()(run)


# ---- the commands --------------------------------------------------------------------------------------------------------


KEEP_HELP = "first, last or longest; COLUMN for its least value, --keep=-COLUMN for the greatest; COLUMN=A,B for the value named first."
KeepOption = Annotated[
    str,
    typer.Option(
        "--keep",
        metavar="WHICH",
        help=f"Which of the documents that match is kept: {KEEP_HELP}",
        autocompletion=lambda incomplete: [word for word in ("first", "longest", "last") if word.startswith(incomplete)],
    ),
]
OrderOption = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Which document is first, instead of its position.", show_default=False)
]
ClustersOption = Annotated[
    Clusters, typer.Option(help="components removes what chains of matches connect, though it match nothing kept.", rich_help_panel=FINE)
]
AnnotateOption = Annotated[bool, typer.Option("--annotate", help="Write all documents, with columns cluster, kept, witness, similarity.")]
EvidenceOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write the pairs that decided: a, b, similarity.", show_default=False)
]
ExactOption = Annotated[bool, typer.Option("--exact", help="Find all pairs, whatever --recall says: slower.", rich_help_panel=FINE)]

MemoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="As 3GB; by default half of what there is. The rest goes to files.", show_default=False, rich_help_panel=FINE
    ),
]


AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OLD", help="An index, file or folder: what duplicates a document there is removed. May be repeated.", show_default=False
    ),
]
AppendOption = Annotated[bool, typer.Option("--append", help="Add the kept documents to the index of --against, made if need be.")]
FrequentOption = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE", help="Leave out shingles that more than this share of documents have.", show_default=False, rich_help_panel=FINE
    ),
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what it would take, from the first 20,000 documents.")]


def keeping(keep: str) -> Any:
    """What --keep means to the library."""
    column, named, preferred = keep.partition("=")
    if named and not (column and preferred):
        raise ParameterError(f"--keep is {keep!r}; name a column and its values, the preferred first: source=Reuters,AP")
    return {column: preferred.split(",")} if named else keep


@command
def dedup(
    job: Job,
    keep: KeepOption = "first",
    order: OrderOption = None,
    annotate: AnnotateOption = False,
    evidence: EvidenceOption = None,
    clusters: ClustersOption = Clusters.witness,
    exact: ExactOption = False,
    against: AgainstOption = None,
    append: AppendOption = False,
    drop_frequent: FrequentOption = None,
    dry_run: DryOption = False,
    memory_limit: MemoryOption = None,
) -> None:
    """Keep one document of each group of near-duplicates; say of every other which kept one it duplicates.

    OUT gets the kept documents with all their columns; a new folder gets copies of the text files that are kept.

    What takes long is kept meanwhile in a folder OUT.work: after an interruption the same command goes on from there.

    Examples:
      neardup dedup news.jsonl -o clean.jsonl
      neardup dedup jan.parquet feb.parquet -o clean.parquet --keep longest
      neardup dedup news.jsonl -o marked.jsonl --annotate --evidence pairs.parquet
      neardup dedup feb.jsonl -o feb-clean.jsonl --against archive.neardup --append
      zcat pages.jsonl.gz | neardup dedup - --threshold 0.9 > removed.jsonl
    """
    from neardup import writing
    from neardup.dedup import estimate

    preferred = keeping(keep)
    if annotate and job.output is None:
        raise ParameterError("--annotate says what is written, and there is no output; name one: -o marked.jsonl")
    with progress(quiet=job.quiet) as tell:
        job.check_output(folder=not annotate)
        if evidence is not None:
            writing.check_output(evidence)
            if job.output is not None and Path(evidence).absolute() == Path(job.output).absolute():
                raise ParameterError(f"--evidence and the output are both {evidence}; name two files")
        minhash, corpus = job.minhash(), job.read(job.inputs, tell)
        if evidence is not None:
            writing.refuse_input(evidence, corpus.files)
        if dry_run:
            tell("sampling")
            given: dict[str, Any] = dict(recall=job.recall, minhash=minhash, memory_limit=memory_limit, threads=job.threads)
            foretell(estimate(corpus, job.threshold, profile=job.profile.value, **given))
            return
        work = Path(f"{job.output.rstrip('/')}.work") if job.output and all(file.place for file in corpus.files) else None
        result = neardup.deduplicate(
            corpus,
            job.threshold,
            profile=job.profile.value,
            text=job.text,
            id=job.id,
            keep=preferred,
            order=order,
            clusters=clusters.value,
            exact=exact,
            against=None if against is None else against[0] if append and len(against) == 1 else against,
            append=append,
            drop_frequent=drop_frequent,
            work=work,
            memory_limit=memory_limit,
            recall=job.recall,
            minhash=minhash,
            threads=job.threads,
            progress=partial(tell, corpus=corpus),
        )
        tell("writing")
        if evidence is not None:
            writing.write_table(result.pairs, evidence)
        if job.output is not None:
            result.write(job.output, annotate=annotate)
        result.finish()
    for why in result.skipped[:ROWS]:
        note(f"skipped: {why}", quiet=job.quiet)
    if len(result.skipped) > ROWS:
        note(f"skipped: ... and {len(result.skipped) - ROWS:,} more", quiet=job.quiet)
    names = ("id", "witness", "similarity") if against is None else ("id", "witness", "against", "similarity")
    rows = ({name: getattr(removed, name) for name in names} for removed in result.each_removed())
    if sys.stdout.isatty():
        first = list(islice(rows, ROWS))
        columns = {name: [row[name] for row in first] for name in names}
        show(columns, "Removed, each with the kept document that it duplicates", result.counters["removed"])
    else:
        emit(rows)
    job.conclude(account(result.summary()), found=result.counters["removed"] > 0)


def foretell(estimate: Any) -> None:
    """What a job would take, as one line of JSON or in words."""
    if not sys.stdout.isatty():
        emit([estimate._asdict()])
        return
    seconds = f"{estimate.seconds:,.0f} s" if estimate.seconds >= 10 else f"{estimate.seconds:.1f} s"
    megabytes = f"{estimate.memory / 1e6:,.0f} MB of memory and {estimate.disk / 1e6:,.0f} MB of temporary files"
    print(f"{count(estimate.documents, 'document')}: about {seconds}, {megabytes}, learnt from the first {estimate.sampled:,}")  # noqa: T201


def account(counted: dict[str, Any]) -> Iterator[str]:
    """What a deduplication came to, in words."""
    copies = f" ({counted['copies']:,} exact)" if counted["copies"] else ""
    yield f"{count(counted['documents'], 'document')}: {counted['kept']:,} kept, {counted['removed']:,} removed{copies}"
    if counted["against"]:
        yield f"{count(counted['against'], 'document')} removed for older ones"
    if counted["skipped"]:
        yield f"{count(counted['skipped'], 'line')} skipped, which could not be read"
    if counted["without_shingles"]:
        yield f"{count(counted['without_shingles'], 'document')} without a single word: kept, since they duplicate nothing"
    if counted["heavy_buckets"]:
        what = "left out" if counted["verify"] == "noisy" else "joined by rare shingles"
        yield f"{count(counted['heavy_buckets'], 'bucket')} that everyone falls into, by boilerplate or a template: {what}"
    if counted["weakest"] is not None and counted["weakest"] < counted["threshold"]:
        yield f"the least similar of the removed resembles its kept document at {counted['weakest']:.3f}: --clusters components follows chains"
    if counted["short"]:
        yield f"{count(counted['short'], 'document')} of fewer than {2 * counted['size']} tokens: one edit can hide a copy; try --profile short"


@command
def pairs(job: Job, max_pairs: Annotated[int, typer.Option(help=MAX_PAIRS_HELP, rich_help_panel=FINE)] = 10_000_000) -> None:
    """List all pairs of near-duplicates with their similarity, most similar first.

    On a terminal exact copies come last: people know what a copy looks like.

    Examples:
      neardup pairs *.txt
      neardup pairs thesis/ --glob '**/*.tex' --threshold 0.5 --fail-on-duplicates
      neardup pairs news.parquet --text body --id url -o pairs.parquet
    """
    with progress(quiet=job.quiet) as tell:
        job.check_output()
        index, ids = job.index(job.inputs, tell)
        tell("pairing")
        table = index.pairs(max_pairs=max_pairs, threads=job.threads)
    places = table.sort_by([("similarity", "descending"), ("a", "ascending"), ("b", "ascending")]).to_pydict()
    columns = {name: column if name in SCORES else [ids[i] for i in column] for name, column in places.items()}
    if job.output is None and sys.stdout.isatty():
        copies = columns["similarity"].count(1)
        columns = {name: column[copies:] + column[:copies] for name, column in columns.items()}
    said = f"{count(len(ids), 'document')}, {count(table.num_rows, 'pair')} at {index.threshold} or above"
    job.finish(columns, "Near-duplicates", [said])


@command
def query(job: Job, corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="The documents to look in: a file or folder.")]) -> None:
    """Find the near-duplicates of some documents in a corpus.

    --text and --id hold for whichever of CORPUS and IN have columns.

    Examples:
      neardup query archive.jsonl new-story.txt
      cat draft.md | neardup query essays/ -
    """
    if corpus == "-" and "-" in job.inputs:
        raise ParameterError("CORPUS and IN are both '-'; standard input can be read once")
    columns: dict[str, list[Any]] = {"query": [], "id": [], "similarity": [], "containment": []}
    done = truncated = 0
    with progress(quiet=job.quiet) as tell:
        job.check_output()
        named = job.has_columns(job.inputs)
        index, ids = job.index([corpus], tell, named=not named or job.has_columns([corpus]))
        queries = job.read(job.inputs, tell, named=named)
        for batch in queries.batches():
            for name, matches in zip(batch.ids, index.query_many(batch.texts, threads=job.threads), strict=True):
                truncated += matches.truncated
                for match in matches:
                    row = name, ids[int(match.id)], match.similarity, match.containment
                    for column, value in zip(columns.values(), row, strict=True):
                        column.append(value)
            done += len(batch.ids)
            tell("looking up", done, corpus=queries)
    said = [f"{count(done, 'document')} sought among {len(ids):,}: {count(len(columns['id']), 'match')} at {index.threshold} or above"]
    if truncated:
        said.append(f"{count(truncated, 'document')} of very common text: matches may be missing; neardup pairs finds all")
    job.finish(columns, "Matches", said)


@app.command()
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
    """Compare two texts: how similar they are, how much of each is in the other, and which passages they share.

    Into a pipe it says so in a line of JSON.

    Examples:
      neardup compare draft.txt published.txt
      neardup compare old.py new.py --profile code
    """
    from neardup.verify import shared_passages, verification_hashes

    job = Job([a, b], profile=profile, tokens=tokens, size=size, strip_diacritics=strip_diacritics, fold_digits=fold_digits, stop=stop)
    threshold = neardup.Profile.named(profile.value).threshold if threshold is None else threshold
    check_fraction("threshold", threshold, one=True)
    if a == b == "-":
        raise ParameterError("A and B are both '-'; standard input can be read once")
    shingling = job.shingling()
    left, right = (single_text(path, quiet=quiet) for path in (a, b))
    row: dict[str, Any] = {
        "a": a,
        "b": b,
        "similarity": neardup.jaccard(left, right, shingling=shingling),
        "a_in_b": neardup.containment(left, right, shingling=shingling),
        "b_in_a": neardup.containment(right, left, shingling=shingling),
        "shingles_a": len(shingling.hashes(left)),
        "shingles_b": len(shingling.hashes(right)),
    }
    inside = neardup.Profile.named(profile.value).verify == "contained"
    row["match"] = row["a_in_b" if inside else "similarity"] >= threshold
    passages = shared_passages(left, verification_hashes(shingling.hashes(right)), shingling)
    if sys.stdout.isatty():
        console = Console(highlight=False)
        verdict = (f"a match at {threshold}", "green") if row["match"] else (f"no match at {threshold}", "yellow")
        console.print(Text.assemble((f"{row['similarity']:.3f}", "bold"), " similarity: ", verdict))
        for one, other in ("ab", "ba"):
            part = f"{row[f'{one}_in_{other}']:.1%} of {printable(row[one])} ({count(row[f'shingles_{one}'], 'shingle')})"
            console.print(Text(f"{part} is in {printable(row[other])}"))
        for passage in passages[:PASSAGES]:
            excerpt = printable(textwrap.shorten(passage.text, 300, placeholder=" ..."))
            console.print(Text.assemble((f"shared, {count(passage.stop - passage.start, 'token')}: ", "dim"), excerpt))
        if len(passages) > PASSAGES:
            console.print(Text(f"... and {count(len(passages) - PASSAGES, 'more shared passage')}", "dim"))
    else:
        emit([{**row, "passages": [passage.text for passage in passages]}])
    if neardup.Profile.named(profile.value).verify == "noisy":
        note("this is the similarity as read: how much was misread shows in a whole corpus, as dedup and pairs judge it", quiet=quiet)
    for side in "ab":
        if not row[f"shingles_{side}"]:
            note(f"{row[side]} has not a single word: it matches nothing", quiet=quiet)
    if fail and row["match"]:
        raise typer.Exit(1)


def single_text(path: str, *, quiet: bool) -> str:
    """The text of a file that is one document."""
    from neardup.documents import strings

    corpus = Job([path], quiet=quiet).read([path], lambda *_: None)
    texts = [text for batch in corpus.batches() for text in strings(batch.texts)]
    if len(texts) != 1:
        raise InputError(f"{path} holds {count(len(texts), 'document')}; compare takes two files of one text each, pairs takes many")
    return texts[0]


@app.command()
def tune(
    inputs: InputsArgument,
    threshold: ThresholdOption = 0.8,
    recall: Annotated[float, typer.Option(help="Probability, at least, that a pair exactly at the threshold is found.")] = 0.99,
    sample: Annotated[int, typer.Option(help="The most documents that are looked at, drawn evenly.")] = 20_000,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
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
        job = Job(inputs, text=text, id=id, glob=glob, quiet=quiet, tokens=tokens, size=size)
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
    if sys.stdout.isatty():
        console = Console(highlight=False)
        show_levels(tuning, console)
        show_trials(tuning, console)
    else:
        emit({"kind": "similarity", **asdict(level)} for level in tuning.levels)
        emit(tuning_row(tuning, trial) for trial in tuning.trials)
    sampled = f", {tuning.sample:,} of them drawn: what is said of all is an estimate" if tuning.sample < tuning.documents else ""
    note(f"{count(tuning.documents, 'document')}{sampled}", quiet=quiet)
    if tuning.without_shingles:
        note(f"{count(tuning.without_shingles, 'document')} without a single word: they match nothing", quiet=quiet)
    best = tuning.recommended
    advice = "no banding reaches that recall" if best is None else f"recommended: --num-perm {best.minhash.num_perm} --recall {best.target}"
    note(f"at --threshold {threshold}, {advice}", quiet=quiet)


@app.command()
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

    if (labels is None) == (group is None):
        raise ParameterError("labels come from --labels FILE or from --group COLUMN; give one of them")
    with progress(quiet=quiet) as tell:
        corpus = Job(inputs, text=text, id=id, glob=glob, quiet=quiet).read(inputs, tell)
        tell("pairing")
        evaluation = neardup.evaluate(
            corpus,
            read_labels(labels) if labels is not None else str(group),
            profiles=[one.value for one in profile] if profile else TRIED,
            thresholds=threshold or THRESHOLDS,
            threads=threads,
        )
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


def show_scores(evaluation: neardup.Evaluation, console: Console) -> None:
    """A row for each profile and threshold, and the pairs that the best of them gets wrong."""
    table = Table(box=None, header_style="dim")
    table.add_column("profile")
    for name in ("threshold", "precision", "recall", "F1", "ARI", "pairs"):
        table.add_column(name, justify="right")
    for score in evaluation.scores:
        figures = ["" if value is None else f"{value:.3f}" for value in (score.precision, score.recall, score.f1, score.ari)]
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
    """The bandings that were tried, the recommended one marked."""
    table = Table(box=None, header_style="dim")
    for name in ("", "slots", "bands", "rows", "recall", "expected", "candidates", "bytes each", "time"):
        table.add_column(name, justify="right")
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


# ---- an index on disk ----------------------------------------------------------------------------------------------------

index_app = typer.Typer(rich_markup_mode="rich", no_args_is_help=True)
app.add_typer(index_app, name="index", help="Keep an index on disk: add documents, look others up, mend it.")


def known_id(index: neardup.Index, name: str) -> str | int:
    """An id as it was typed: the string, or the integer where there is only that."""
    if name not in index and name.removeprefix("-").isdecimal() and name.isascii():
        return int(name)
    return name


@index_app.command("add")
def index_add(
    path: IndexArgument,
    inputs: InputsArgument,
    threshold: Annotated[
        float | None, typer.Option("--threshold", "-t", help="Of a new index; the profile's, 0.8 for text.", show_default=False)
    ] = None,
    profile: Annotated[
        Profiles | None, typer.Option(help="Of a new index: what the texts are, text, ocr, short or code.", show_default=False)
    ] = None,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
    skip_known: Annotated[
        bool, typer.Option("--skip-known", help="Leave out documents whose id is there: to go on after an interruption.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Add documents to an index, which is made when it is not there. Of each batch of 65,536 all are added or none.

    Examples:
      neardup index add news.neardup january.jsonl february.jsonl
      neardup index add essays.neardup essays/ --threshold 0.5
    """
    from neardup.documents import strings

    done = known = 0
    with progress(quiet=quiet) as tell:
        corpus = Job(inputs, text=text, id=id, glob=glob, quiet=quiet).read(inputs, tell)
        with neardup.Index.open(path, threshold, profile=None if profile is None else profile.value) as index:
            try:
                for batch in corpus.batches(65_536):
                    ids, texts = batch.ids, batch.texts
                    if skip_known and any(id in index for id in ids):
                        new = [(id, text) for id, text in zip(ids, strings(texts), strict=True) if id not in index]
                        ids, texts = [id for id, _ in new], [text for _, text in new]
                    index.add_many(ids, texts)
                    done, known = done + len(ids), known + len(batch.ids) - len(ids)
                    tell("adding", done + known, corpus=corpus)
            except BaseException as error:
                note(f"{count(done, 'document')} added to {path}, and then this:", quiet=quiet)
                if isinstance(error, DuplicateIdError):
                    note("--skip-known leaves out the documents that are there", quiet=quiet)
                raise
            said = f"{count(done, 'document')} added, {len(index):,} in {path}"
            if known:
                said += f"; {count(known, 'document')} left out, being there already"
    note(said, quiet=quiet)


@index_app.command("remove")
def index_remove(path: IndexArgument, ids: Annotated[list[str], typer.Argument(metavar="ID")], quiet: QuietOption = False) -> None:
    """Remove documents from an index.

    Examples:
      neardup index remove news.neardup story-17 story-18
    """
    with neardup.Index.open(path, mode="r+") as index:
        for name in ids:
            index.remove(known_id(index, name))
        said = f"{count(len(ids), 'document')} removed, {len(index):,} in {path}"
    note(said, quiet=quiet)


@index_app.command("query")
def index_query(
    path: IndexArgument,
    inputs: InputsArgument,
    top: Annotated[int | None, typer.Option(help="The most matches of each document.", show_default=False)] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", "-t", help="Instead of the index's.", show_default=False)] = None,
    measure: Annotated[Measures, typer.Option(help="What is at the threshold, and says which match is better.")] = Measures.similarity,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
    fail: FailOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the near-duplicates of some documents in an index.

    Examples:
      neardup index query news.neardup new-story.txt
      cat draft.md | neardup index query essays.neardup - --top 1
    """
    job = Job(inputs, text=text, id=id, glob=glob, fail=fail, quiet=quiet)
    columns: dict[str, list[Any]] = {"query": [], "id": [], "similarity": [], "containment": []}
    done = truncated = 0
    with progress(quiet=quiet) as tell, neardup.Index.open(path, mode="r") as index:
        queries = job.read(inputs, tell)
        for batch in queries.batches():
            found = index.query_many(batch.texts, top=top, threshold=threshold, measure=measure.value)
            for name, matches in zip(batch.ids, found, strict=True):
                truncated += matches.truncated
                for match in matches:
                    for column, value in zip(columns.values(), (name, match.id, match.similarity, match.containment), strict=True):
                        column.append(value)
            done += len(batch.ids)
            tell("looking up", done, corpus=queries)
        said = [f"{count(done, 'document')} sought among {len(index):,}: {count(len(columns['id']), 'match')}"]
    if truncated:
        said.append(f"{count(truncated, 'document')} of very common text: matches may be missing; neardup index stats lists the templates")
    job.finish(columns, "Matches", said)


@index_app.command("stats")
def index_stats(path: IndexArgument) -> None:
    """Say what an index holds, with which parameters, and which of its buckets everyone falls into.

    Examples:
      neardup index stats news.neardup
    """
    with neardup.Index.open(path, mode="r") as index:
        stats = index.stats()
        row: dict[str, Any] = {
            "documents": stats.documents,
            "bytes": stats.nbytes,
            "threshold": index.threshold,
            "recall": index.recall,
            "bands": index.banding.bands,
            "rows": index.banding.rows,
            "verify": index.verify,
            "profile": index.profile,
            "heavy_buckets": [bucket._asdict() for bucket in stats.heavy_buckets],
        }
    if not sys.stdout.isatty():
        emit([row])
        return
    heavy = row.pop("heavy_buckets")
    console = Console(highlight=False)
    for name, value in row.items():
        console.print(Text.assemble((f"{name}  ", "dim"), f"{value:,}" if isinstance(value, int) else str(value)))
    for bucket in heavy[:ROWS]:
        console.print(Text(f"{bucket['members']:,} distinct texts agree in band {bucket['band']}, as {printable(bucket['example'])} does"))


@index_app.command("check")
def index_check(path: IndexArgument, quiet: QuietOption = False) -> None:
    """Read every byte of an index, verify checksums, and make again what is derived from its documents.

    Examples:
      neardup index check news.neardup
    """
    with neardup.Index.open(path, mode="r+") as index:
        mended = index.check()
        said = f"{count(len(index), 'document')} in {path}, all is well" + (f"; made again: {', '.join(mended)}" if mended else "")
    note(said, quiet=quiet)


@index_app.command("compact")
def index_compact(path: IndexArgument, quiet: QuietOption = False) -> None:
    """Rewrite an index as one segment, without what was removed: it is smaller then, and looking up is quickest.

    Examples:
      neardup index compact news.neardup
    """
    with neardup.Index.open(path, mode="r+") as index:
        index.compact()
        said = f"{count(len(index), 'document')} in {path}, {index.stats().nbytes:,} bytes"
    note(said, quiet=quiet)


@app.callback(invoke_without_command=True)
def options(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Near-duplicate text detection: raw text in, verified near-duplicates out.

    Start with one of these:
      neardup pairs FOLDER
      neardup dedup news.jsonl -o clean.jsonl

    COMMAND --help says the rest.
    """
    if version:
        typer.echo(f"neardup {neardup.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def stop(number: int, _frame: object) -> None:
    """Leave on a signal; what is half written is removed on the way, and a second signal does not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line: 0 done, 1 found where asked to fail, 2 wrong use or unreadable input, 130 interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  as long as the process
    streams = sys.stdout, sys.stderr
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code: Any = 2
    try:
        app()
    except SystemExit as leaving:  # whoever reads a broken pipe has seen enough
        code = 0 if isinstance(leaving.__context__, BrokenPipeError) else leaving.code
        if isinstance(code, int) and code > 128:
            note("neardup: interrupted; an output file is complete or as it was")
    except (NearDupError, OSError, MemoryError) as error:
        complain(error)
    except Exception:  # noqa: BLE001  a defect, and no duplicates: those are 1
        for line in traceback.format_exc().splitlines():
            note(line)
        complain("a defect of neardup; please report it, with the lines above")
    for stream in streams:
        try:
            stream.flush()
        except OSError:  # noqa: PERF203  what is left goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
