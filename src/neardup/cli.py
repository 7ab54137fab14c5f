"""The command line: what the library does, on files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
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

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]})
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


Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", help="Text, JSONL (also .gz, .zst), CSV, Parquet or Arrow files, folders of them, or - for standard input.", show_default=False),
]
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
    return escape("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)))


def json_line(row: dict[str, Any]) -> str:
    """A row as one line of JSON; lone surrogates escaped."""
    line = json.dumps(row, ensure_ascii=False)
    return line if line.isascii() or not any("\ud800" <= c <= "\udfff" for c in line) else json.dumps(row)


def show(rows: Iterable[dict[str, Any]], columns: list[str], title: str) -> None:
    """Rows as a table on a terminal, as JSON lines anywhere else."""
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write(json_line(row) + "\n")
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in ("similarity", "containment") else "left", overflow="fold")
    hidden = 0
    for i, row in enumerate(rows):
        if i < ROWS:
            table.add_row(*(f"{row[name]:.3f}" if isinstance(row[name], float) else printable(row[name]) for name in columns))
        else:
            hidden += 1
    console = Console()
    console.print(table)
    if hidden:
        console.print(f"[dim]... and {hidden:,} more; -o FILE writes all, a pipe shows all[/dim]")


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


@app.command()
def dedup(
    inputs: Inputs,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT", help="Write the kept documents here, in the format of its name.", show_default=False)] = None,
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
    rows = ({"id": r.id, "witness": r.witness, "similarity": r.similarity} for r in result.removed)
    if output is None or result.removed:
        show(rows, ["similarity", "id", "witness"], f"{len(result.removed):,} removed, each with the kept document that it duplicates")
    counted = result.summary()
    note(f"{counted['documents']:,} documents: {counted['kept']:,} kept, {counted['removed']:,} removed ({counted['copies']:,} of them copies)", quiet=quiet)
    if counted["without_shingles"]:
        note(f"{counted['without_shingles']:,} without a single word: kept, they duplicate nothing", quiet=quiet)
    if counted["short"]:
        note(f"{counted['short']:,} shorter than {2 * size} tokens: one edit can hide a copy; a smaller --size sees more", quiet=quiet)
    if output is not None:
        note(f"written to {output}", quiet=quiet)
    if fail_on_duplicates and result.removed:
        raise typer.Exit(1)


@app.command()
def pairs(
    inputs: Inputs,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT", help="Write the pairs here, in the format of its name.", show_default=False)] = None,
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
    note(f"{len(index):,} documents, {table.num_rows:,} pairs at {threshold} or above", quiet=quiet)
    if output is None:
        rows = (row for part in table.to_batches(max_chunksize=4096) for row in part.to_pylist())
        show(rows, ["similarity", "a", "b"], "Near-duplicates")
    else:
        files.write_table(table, output)
        note(f"written to {output}", quiet=quiet)
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
    show(found, ["similarity", "containment", "query", "id"], f"Matches among {len(index):,} documents")
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
    row = {
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
    console = Console()
    verdict = f"[green]a match at {threshold}[/green]" if row["match"] else f"[yellow]no match at {threshold}[/yellow]"
    console.print(f"[bold]{row['similarity']:.3f}[/bold] similarity: {verdict}")
    console.print(f"{row['a_in_b']:.1%} of {printable(a)} ({row['shingles_a']:,} shingles) is in {printable(b)}")
    console.print(f"{row['b_in_a']:.1%} of {printable(b)} ({row['shingles_b']:,} shingles) is in {printable(a)}")
    for passage in passages[:10]:
        console.print(f"[dim]{passage.stop - passage.start:,} tokens:[/dim] {printable(passage.text)}", soft_wrap=False)
    if len(passages) > 10:  # noqa: PLR2004
        console.print(f"[dim]... and {len(passages) - 10:,} more shared passages[/dim]")


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
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            sys.exit(0)
        errors.print(f"[red]neardup:[/red] {printable(error)}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("neardup: interrupted; nothing was written", highlight=False)
        sys.exit(130)
