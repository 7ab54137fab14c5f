"""What the commands have in common: their options, the files they read, the result they leave."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import neardup
from neardup.cli.terminal import (
    ROWS,
    Tell,
    columnar,
    count,
    note,
    records,
    show,
)

if TYPE_CHECKING:
    from neardup.files import FileDocuments

FINE = "Fine tuning"
INPUTS_HELP = "Text, JSONL (also .gz, .zst), CSV, Parquet or Arrow files, folders of them, or - for standard input: JSONL or one text."
OUTPUT_HELP = "Write the result here, in the format of its name: .jsonl, .csv, .parquet ..."
MAX_PAIRS_HELP = "The most that may be listed; m copies of a text make m (m - 1) / 2 pairs."

Clusters = Enum("Clusters", {"witness": "witness", "components": "components"}, type=str)
Engines = Enum("Engines", {"local": "local", "spark": "spark"}, type=str)
OnError = Enum("OnError", {"refuse": "raise", "skip": "skip"}, type=str)
Tokens = Enum("Tokens", {"words": "words", "chars": "chars", "code": "code"}, type=str)
Measures = Enum("Measures", {"similarity": "similarity", "containment": "containment"}, type=str)
Profiles = Enum("Profiles", {"text": "text", "ocr": "ocr", "short": "short", "code": "code", "excerpt": "excerpt"}, type=str)
Verify = Enum("Verify", {"exact": "exact", "noisy": "noisy", "rarity": "rarity"}, type=str)
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
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes: results and errors only.")]
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
VerifyOption = Annotated[
    Verify | None,
    typer.Option(
        help="exact; noisy, misread characters allowed for; rarity, what few documents have counts for more. The profile's by default.",
        show_default=False,
        rich_help_panel=FINE,
    ),
]
OnErrorOption = Annotated[OnError, typer.Option(help="skip leaves out lines of JSONL and CSV that cannot be read, and lists them.")]
SizeOption = Annotated[
    int | None, typer.Option(help="Tokens in a shingle, 1 to 32; the profile's, 5 for text.", show_default=False, rich_help_panel=FINE)
]

IndexArgument = Annotated[str, typer.Argument(metavar="INDEX", help="The folder of an index, or postgresql:// or redis:// with --name.")]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="What the index is called on its server.", show_default=False)
]
TextOption = Annotated[
    str | None, typer.Option("--text", metavar="NAME", help="Column of the texts; guessed when obvious.", show_default=False)
]
IdOption = Annotated[str | None, typer.Option("--id", metavar="NAME", help="Column of the ids; guessed when obvious.", show_default=False)]
GlobOption = Annotated[str | None, typer.Option("--glob", metavar="PATTERN", help="Which files of folders.", show_default=False)]
WholeOption = Annotated[bool, typer.Option("--whole-files", help="Each file is one text, even .csv or .jsonl.")]
InputsArgument = Annotated[list[str], typer.Argument(metavar="IN", help=INPUTS_HELP, show_default=False)]

#: What a number is called, by how pydantic, which reads it, begins its word for what it was not.
NUMBERS = {"int": "an integer", "float": "a number"}


class Command(TyperCommand):
    """A command as typer has it, but that a flag shows no value in the help, and a wrong value is named."""

    def get_params(self, ctx: Any) -> Any:
        """The options, as the help shows them."""
        return without_values(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options; some versions of typer say of a wrong one what pydantic says of it."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            cause: Any = error.__cause__
            if hasattr(cause, "errors"):
                wrong = cause.errors()[0]
                number = NUMBERS.get(wrong["type"].partition("_")[0])
                given = f"{wrong['input']!r} is not {number}." if number else wrong["msg"]
                error.message = given.removeprefix("Value error, ")
            raise


class Group(TyperGroup):
    """Commands, of which the same holds."""

    def get_params(self, ctx: Any) -> Any:
        """The options, as the help shows them."""
        return without_values(super().get_params(ctx))


def without_values(parameters: Any) -> Any:
    """Parameters of which flags show no type, since they take no value."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


app = typer.Typer(
    cls=Group, pretty_exceptions_enable=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)


@dataclass
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
    whole_files: WholeOption = False
    recall: Annotated[float, typer.Option(help="Probability that a pair exactly at the threshold is found.", rich_help_panel=FINE)] = 0.99
    tokens: TokensOption = None
    size: SizeOption = None
    strip_diacritics: StripOption = False
    fold_digits: FoldOption = False
    stop: StopOption = None
    verify: VerifyOption = None
    num_perm: Annotated[int, typer.Option(help="Slots of a signature, 2 to 4096.", rich_help_panel=FINE)] = 128
    seed: Annotated[int, typer.Option(help="Another seed finds independently.", rich_help_panel=FINE)] = 0
    threads: Annotated[int | None, typer.Option(help="By default all processors.", rich_help_panel=FINE, show_default=False)] = None
    #: What was read.
    corpora: list[FileDocuments] = field(default_factory=list, init=False)
    #: Whether the output was there before.
    replaces: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        with suppress(OSError, ValueError):  # what is no path is said later
            self.replaces = self.output is not None and Path(self.output).exists()

    def check_output(self, *, folder: bool = False) -> None:
        """Refuse an output that could not be written: before the work, not after it."""
        from neardup import files, writing

        if self.output is None:
            return
        texts = folder and all(path != "-" and files.format_of(path)[0] == "text" for path in self.inputs)
        writing.check_output(self.output, texts=texts)
        check_place(self.output)

    def read(self, inputs: list[str], tell: Tell, *, named: bool = True, needed: Sequence[str] = ()) -> FileDocuments:
        """The documents of some files, none of which is the output and all of which have the columns needed; what is guessed is said."""
        from neardup.files import FileDocuments
        from neardup.writing import refuse_input

        if "-" not in inputs:  # a bar would disturb someone who types
            tell("opening")
        columns = (self.text, self.id) if named else (None, None)
        corpus = FileDocuments(inputs, *columns, self.glob, self.on_error.value, whole=self.whole_files, columns=needed)
        self.corpora.append(corpus)
        if self.output:
            refuse_input(self.output, corpus.files)
        for message in corpus.guessed:
            note(f"{corpus.description}: {message}", quiet=self.quiet)
        return corpus

    def tell_unread(self) -> None:
        """Say of what was read which lines were left out, and which files are no text."""
        skipped = sum(corpus.left_out for corpus in self.corpora)
        for why in islice((why for corpus in self.corpora for why in corpus.skipped), ROWS):
            note(f"skipped: {why}", quiet=self.quiet)
        if skipped > ROWS:
            note(f"skipped: ... and {skipped - ROWS:,} more", quiet=self.quiet)
        if skipped:
            note(f"{count(skipped, 'line')} skipped, which could not be read", quiet=self.quiet)
        undecoded = [name for corpus in self.corpora for name in corpus.undecoded]
        if undecoded:
            first = f"{undecoded[0]} is" if len(undecoded) == 1 else f"{len(undecoded):,} files, {undecoded[0]} first, are"
            note(
                f"{first} not UTF-8, or not text: what cannot be decoded separates words; convert texts (iconv -f latin1 -t utf-8), "
                "leave out others (--glob '**/*.txt')",
                quiet=self.quiet,
            )

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

    def parameters(self) -> dict[str, Any]:
        """What the library is told of them, but for the threshold."""
        verify: Any = None if self.verify is None else self.verify.value
        return dict(profile=self.profile.value, recall=self.recall, minhash=self.minhash(), verify=verify)

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
        index = neardup.Index(self.threshold, **self.parameters())
        corpus = self.read(inputs, tell, named=named)
        ids: list[Any] = []
        for batch in corpus.batches():
            index.add_many(range(len(ids), len(ids) + len(batch.ids)), batch.texts, threads=self.threads)
            ids += batch.ids
            tell("reading", len(ids), corpus=corpus)
        return index, ids

    def finish(self, columns: dict[str, list[Any]], title: str, said: Iterable[str]) -> None:
        """Show the rows, or write them as a table in the format of the output's name; then say what it came to."""
        self.tell_unread()
        if self.output is None:
            show(columns, title)
        else:
            from neardup import files, writing

            lines = files.format_of(self.output)[0] == "jsonl"
            writing.write_table(list(records(columns)) if lines else columnar(columns), self.output)
        self.conclude(said, found=bool(columns["similarity"]))

    def conclude(self, said: Iterable[str], *, found: bool) -> None:
        """Say what it came to."""
        instead = ", in place of what was there" if self.replaces else ""
        for line in (*said, *([f"written to {self.output}{instead}"] if self.output else [])):
            note(line, quiet=self.quiet)
        if self.fail and found:
            raise typer.Exit(1)


def check_there(paths: Iterable[str]) -> None:
    """Refuse paths where nothing is."""
    from neardup import documents, files

    for path in paths:
        if not documents.is_url(path):
            with files.explained(path):
                Path(path).stat()


def check_place(path: str) -> None:
    """Refuse a path where nothing can be written, by beginning to."""
    from neardup import writing

    with suppress(typer.Abort), writing.atomic_path(path) as part:
        part.touch()
        raise typer.Abort


@contextmanager
def interruptible(*outputs: str | None) -> Iterator[None]:
    """Have an interruption say which outputs are written, and whether unfinished work is kept beside the first of them."""

    def state(path: str) -> tuple[int, int] | None:
        with suppress(OSError, ValueError):
            there = Path(path).stat()
            return there.st_ino, there.st_mtime_ns
        return None

    before = {path: state(path) for path in outputs if path}
    try:
        yield
    except SystemExit as leaving:
        told = [
            f"{path} is " + ("written" if state(path) != old else "not written" if old is None else "as it was")
            for path, old in before.items()
        ]
        unfinished = [
            f"{work_folder(path)} is kept, and the same command goes on from there" for path in outputs[:1] if path and is_kept(path)
        ]
        leaving.left = "; ".join(filter(None, [", ".join(told), *unfinished]))  # type: ignore[attr-defined]
        raise


def work_folder(output: str) -> Path:
    """Where unfinished work is kept."""
    return Path(f"{output.rstrip('/')}.work")


def is_kept(output: str) -> bool:
    """Whether there is unfinished work."""
    from neardup.work import MANIFEST

    return (work_folder(output) / MANIFEST).is_file()


def command(work: Callable[..., None]) -> Callable[..., None]:
    """Make a command that has its own options and those of every job."""
    shared = inspect.signature(Job, eval_str=True).parameters

    def run(**given: Any) -> None:
        job = Job(**{name: given.pop(name) for name in shared})
        with interruptible(job.output, given.get("evidence"), given.get("report")):
            work(job, **given)

    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    every = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared.values())]
    run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # where typer looks
    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return app.command(cls=Command)(run)
