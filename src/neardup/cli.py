"""The command line: what the library does, on files."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

import neardup
from neardup import documents, files
from neardup.errors import InputError, NearDupError
from neardup.minhash import MinHash
from neardup.shingling import Shingling
from neardup.verify import shared_passages, verification_hashes

#: Rows shown on a terminal; files and pipes get all.
ROWS = 50
#: The exit code after Ctrl-C.
INTERRUPTED = 130
#: Shared passages shown on a terminal.
PASSAGES = 10

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
errors = Console(stderr=True, soft_wrap=True)


class Keep(str, Enum):
    """Which of the documents that match is kept."""

    first = "first"
    longest = "longest"
    last = "last"


class Tokens(str, Enum):
    """What shingles are made of."""

    words = "words"
    chars = "chars"


INPUTS_HELP = "Text, JSONL (also .gz, .zst), CSV, Parquet or Arrow files, folders of them, or - for standard input."
Inputs = Annotated[list[Path], typer.Argument(metavar="IN...", help=INPUTS_HELP, show_default=False)]
OUTPUT_HELP = "Write the result here, in the format of its name: .jsonl, .csv, .parquet ..."
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT", help=OUTPUT_HELP, show_default=False)]
Threshold = Annotated[float, typer.Option("--threshold", "-t", help="Least Jaccard similarity of a match, above 0, at most 1.")]
Recall = Annotated[float, typer.Option(help="Probability that a pair exactly at the threshold is found.")]
TextColumn_ = Annotated[str | None, typer.Option("--text", metavar="NAME", help="Column of the texts; guessed when obvious.", show_default=False)]
IdColumn = Annotated[str | None, typer.Option("--id", metavar="NAME", help="Column of the ids; guessed when obvious.", show_default=False)]
Glob = Annotated[str | None, typer.Option(metavar="PATTERN", help="Which files of a folder, like '**/*.txt'.", show_default=False)]
TokensOption = Annotated[Tokens, typer.Option(help="What shingles are made of.")]
Size = Annotated[int, typer.Option(help="Tokens in a shingle, 1 to 32.")]
NumPerm = Annotated[int, typer.Option(help="Slots of a signature, 2 to 4096.")]
Seed = Annotated[int, typer.Option(help="Another seed finds independently.")]
Threads = Annotated[int | None, typer.Option(help="How many; by default all processors.", show_default=False)]
FailOption = Annotated[bool, typer.Option("--fail-on-duplicates", help="Exit with 1 when any are found.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes; errors only.")]


def printable(value: object) -> str:
    """A value for a terminal: nothing in it moves the cursor or colours the rest."""
    text: str = escape("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)))
    return text


def json_line(row: dict[str, Any]) -> str:
    """A row as one line of JSON; lone surrogates escaped."""
    line = json.dumps(row, ensure_ascii=False)
    return line if line.isascii() or not any("\ud800" <= c <= "\udfff" for c in line) else json.dumps(row)


def count(n: int, noun: str) -> str:
    """A number of things."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def folder_of(ids: list[Any]) -> str:
    """The folder that all ids lie below, with its last slash; empty when there is none or they are not paths."""
    if not all(isinstance(id, str) and "/" in id for id in ids):
        return ""
    try:
        folder: str = os.path.commonpath([id.rpartition("/")[0] or "/" for id in ids]).rstrip("/") + "/"
    except ValueError:  # absolute and relative ones
        return ""
    return folder


def show(rows: list[dict[str, Any]], columns: list[str], title: str) -> None:
    """Rows as a table on a terminal, as JSON lines anywhere else."""
    if not sys.stdout.isatty():
        try:
            sys.stdout.writelines(json_line(row) + "\n" for row in rows)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    shown = rows[:ROWS]
    names = [name for name in columns if name not in ("similarity", "containment")]
    folder = folder_of([row[name] for row in shown for name in names]) if shown else ""
    title += f", below {printable(folder)}" if folder else ""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim")
    for name in columns:
        table.add_column(name, justify="left" if name in names else "right", overflow="fold")
    for row in shown:
        table.add_row(*(printable(row[name]).removeprefix(folder) if name in names else f"{row[name]:.3f}" for name in columns))
    console = Console(highlight=False)
    console.print(table)
    if len(rows) > ROWS:
        console.print(f"[dim]... and {len(rows) - ROWS:,} more: into a file by -o, or through a pipe[/dim]")


def note(message: str, *, quiet: bool) -> None:
    """Something for people, on standard error."""
    if not quiet:
        errors.print(printable(message), highlight=False)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar a stage, on standard error, where that is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} {task.fields[rate]}"), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
            task = bars.tasks[tasks[stage]]
            bars.update(tasks[stage], completed=done, total=total, rate=f"{task.speed:,.0f}/s" if task.speed else "")

        yield tell


def read(paths: list[Path], text: str | None, id: str | None, glob: str | None, *, quiet: bool) -> documents.Documents:
    """The documents of some paths; what had to be guessed is said."""
    corpus = documents.read(paths, text=text, id=id, glob=glob)
    for message in corpus.guessed:
        note(message, quiet=quiet)
    return corpus


def minhash(tokens: Tokens, size: int, num_perm: int, seed: int) -> MinHash:
    """How documents are signed, from the options."""
    return MinHash(num_perm=num_perm, seed=seed, shingling=Shingling(tokens=tokens.value, size=size))


def filled(corpus: documents.Documents, index: neardup.Index, threads: int | None, *, quiet: bool) -> neardup.Index:
    """An index with all documents of a corpus."""
    with progress(quiet=quiet) as tell:
        for batch in corpus.batches():
            index.add_many(batch.ids, batch.texts, threads=threads)
            tell("reading", len(index), corpus.total)
    return index


def account(counted: dict[str, Any]) -> Iterator[str]:
    """What a deduplication came to, in words."""
    copies = f" ({counted['copies']:,} exact)" if counted["copies"] else ""
    yield f"{count(counted['documents'], 'document')}: {counted['kept']:,} kept, {counted['removed']:,} removed{copies}"
    if counted["without_shingles"]:
        yield f"{count(counted['without_shingles'], 'document')} without a single word: kept, since they duplicate nothing"
    if counted["short"]:
        yield f"{count(counted['short'], 'document')} of fewer than {2 * counted['size']} tokens: one edit can hide a copy; try a smaller --size"


@app.command()
def dedup(
    inputs: Inputs,
    output: Output = None,
    threshold: Threshold = 0.8,
    keep: Annotated[Keep, typer.Option(help="Which of the documents that match is kept.")] = Keep.first,
    recall: Recall = 0.99,
    text: TextColumn_ = None,
    id: IdColumn = None,
    glob: Glob = None,
    tokens: TokensOption = Tokens.words,
    size: Size = 5,
    num_perm: NumPerm = 128,
    seed: Seed = 0,
    threads: Threads = None,
    fail_on_duplicates: FailOption = False,
    quiet: Quiet = False,
) -> None:
    """Keep one document of each group of near-duplicates; say of every other which kept one it duplicates.

    Examples:
      neardup dedup news.jsonl -o clean.jsonl

      neardup dedup january.parquet february.parquet -o clean.parquet --keep longest

      zcat pages.jsonl.gz | neardup dedup - --threshold 0.9 > removed.jsonl
    """
    corpus = read(inputs, text, id, glob, quiet=quiet)
    with progress(quiet=quiet) as tell:
        result = neardup.deduplicate(
            corpus, threshold, keep=keep.value, recall=recall, minhash=minhash(tokens, size, num_perm, seed), threads=threads, progress=tell
        )
    if output is not None:
        result.write(output)
    rows = [{"id": r.id, "witness": r.witness, "similarity": r.similarity} for r in result.removed]
    if rows or output is None:
        show(rows, ["similarity", "id", "witness"], "Removed, each with the kept document that it duplicates")
    for line in account(result.summary()):
        note(line, quiet=quiet)
    if output is not None:
        note(f"written to {output}", quiet=quiet)
    if fail_on_duplicates and result.removed:
        raise typer.Exit(1)


@app.command()
def pairs(
    inputs: Inputs,
    output: Output = None,
    threshold: Threshold = 0.8,
    recall: Recall = 0.99,
    text: TextColumn_ = None,
    id: IdColumn = None,
    glob: Glob = None,
    tokens: TokensOption = Tokens.words,
    size: Size = 5,
    num_perm: NumPerm = 128,
    seed: Seed = 0,
    threads: Threads = None,
    max_pairs: Annotated[int, typer.Option(help="The most that may be listed; m copies of a text make m (m - 1) / 2 pairs.")] = 10_000_000,
    fail_on_duplicates: FailOption = False,
    quiet: Quiet = False,
) -> None:
    """List all pairs of near-duplicates with their similarity, most similar first.

    Examples:
      neardup pairs *.txt

      neardup pairs thesis/ --glob '**/*.tex' --threshold 0.5 --fail-on-duplicates

      neardup pairs news.parquet --text body --id url -o pairs.parquet
    """
    index = neardup.Index(threshold, recall=recall, minhash=minhash(tokens, size, num_perm, seed))
    filled(read(inputs, text, id, glob, quiet=quiet), index, threads, quiet=quiet)
    table = index.pairs(max_pairs=max_pairs, threads=threads).sort_by([("similarity", "descending"), ("a", "ascending"), ("b", "ascending")])
    if output is None:
        rows = table.to_pylist()
        if sys.stdout.isatty():  # people know what a copy looks like: they come last
            rows.sort(key=lambda row: row["similarity"] == 1)
        show(rows, ["similarity", "a", "b"], "Near-duplicates")
    else:
        files.write_table(table, output)
        note(f"written to {output}", quiet=quiet)
    note(f"{count(len(index), 'document')}, {count(table.num_rows, 'pair')} at {threshold} or above", quiet=quiet)
    if fail_on_duplicates and table.num_rows:
        raise typer.Exit(1)


@app.command()
def query(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="The documents to look in: a file or folder.", show_default=False)],
    inputs: Inputs,
    threshold: Threshold = 0.8,
    recall: Recall = 0.99,
    text: TextColumn_ = None,
    id: IdColumn = None,
    glob: Glob = None,
    tokens: TokensOption = Tokens.words,
    size: Size = 5,
    num_perm: NumPerm = 128,
    seed: Seed = 0,
    threads: Threads = None,
    fail_on_duplicates: FailOption = False,
    quiet: Quiet = False,
) -> None:
    """Find the near-duplicates of some documents in a corpus.

    Examples:
      neardup query archive.jsonl new-story.txt

      cat draft.md | neardup query essays/ -
    """
    index = neardup.Index(threshold, recall=recall, minhash=minhash(tokens, size, num_perm, seed))
    filled(read([corpus], text, id, glob, quiet=quiet), index, threads, quiet=quiet)
    found: list[dict[str, Any]] = []
    for batch in read(inputs, None, None, glob, quiet=quiet).batches():
        for name, matches in zip(batch.ids, index.query_many(batch.texts, threads=threads), strict=True):
            found += ({"query": name, "id": m.id, "similarity": m.similarity, "containment": m.containment} for m in matches)
    show(found, ["similarity", "containment", "query", "id"], f"Matches among {count(len(index), 'document')}")
    if fail_on_duplicates and found:
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A text file, or - for standard input.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another.", show_default=False)],
    threshold: Threshold = 0.8,
    tokens: TokensOption = Tokens.words,
    size: Size = 5,
) -> None:
    """Compare two texts: how similar they are, how much of each is in the other, and which passages they share.

    Examples:
      neardup compare draft.txt published.txt
    """
    shingling = Shingling(tokens=tokens.value, size=size)
    left, right = (single_text(path) for path in (a, b))
    row: dict[str, Any] = {
        "a": str(a),
        "b": str(b),
        "similarity": neardup.jaccard(left, right, shingling=shingling),
        "a_in_b": neardup.containment(left, right, shingling=shingling),
        "b_in_a": neardup.containment(right, left, shingling=shingling),
        "shingles_a": len(shingling.hashes(left)),
        "shingles_b": len(shingling.hashes(right)),
    }
    row["match"] = row["similarity"] >= threshold
    passages = shared_passages(left, verification_hashes(shingling.hashes(right)), shingling)
    if not sys.stdout.isatty():
        sys.stdout.write(json_line({**row, "passages": [p.text for p in passages]}) + "\n")
        return
    console = Console(highlight=False)
    verdict = f"[green]a match at {threshold}[/green]" if row["match"] else f"[yellow]no match at {threshold}[/yellow]"
    console.print(f"[bold]{row['similarity']:.3f}[/bold] similarity: {verdict}")
    console.print(f"{row['a_in_b']:.1%} of {printable(a)} ({row['shingles_a']:,} shingles) is in {printable(b)}")
    console.print(f"{row['b_in_a']:.1%} of {printable(b)} ({row['shingles_b']:,} shingles) is in {printable(a)}")
    for passage in passages[:PASSAGES]:
        excerpt = printable(textwrap.shorten(passage.text, 300, placeholder=" ..."))
        console.print(f"[dim]shared, {count(passage.stop - passage.start, 'token')}:[/dim] {excerpt}")
    if len(passages) > PASSAGES:
        console.print(f"[dim]... and {count(len(passages) - PASSAGES, 'more shared passage')}[/dim]")


def single_text(path: Path) -> str:
    """The text of a file that is one document."""
    texts = [text for batch in documents.read([path]).batches() for text in documents.strings(batch.texts)]
    if len(texts) != 1:
        raise InputError(f"{path} holds {len(texts)} documents; compare takes two files of one text each, pairs takes many")
    return texts[0]


def version(show_version: bool) -> None:
    """Print the version and leave."""
    if show_version:
        sys.stdout.write(f"neardup {neardup.__version__}\n")
        raise typer.Exit


@app.callback()
def options(_version: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")] = False) -> None:
    """Near-duplicate text detection: raw text in, a verified and explained decision out.

    Start with: neardup pairs FOLDER
    """


def main() -> None:
    """Run the command line: 0 done, 1 found where asked to fail, 2 wrong use or unreadable input, 130 interrupted."""
    try:
        app()
    except (NearDupError, OSError, TypeError) as error:
        errors.print(f"[red]neardup:[/red] {printable(error)}", highlight=False)
        sys.exit(2)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            errors.print("neardup: interrupted; no output was written", highlight=False)
        raise
