"""What people see on a terminal, and programs in a pipe."""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from neardup.cli.wording import worded

if TYPE_CHECKING:
    import pyarrow as pa

    from neardup.files import FileDocuments

#: Rows and shared passages shown on a terminal; files and pipes get all.
ROWS, PASSAGES = 25, 10
#: The most characters of an error: a file may have a million columns.
LONGEST = 2000
#: Columns of numbers; the others name documents.
SCORES = ("similarity", "containment")
#: Told what is done, how much of it, of how much if that is known, and for which documents.
Tell = Callable[..., None]


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
    text = worded(error) or "out of memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"{error.filename}: " if error.filename else ""
        remedy = "" if "; " in str(error.strerror) else "; make room, or write elsewhere"
        text = f"{where}{error.strerror}{remedy}"
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
    """The folder that all names lie below, with its last slash; empty when there is none but the root or they are not paths."""
    shared = os.path.commonprefix(names) if all(isinstance(name, str) for name in names) else ""  # noqa: RUF071  cut below
    folder = shared[: shared.rfind("/") + 1]
    return "" if folder == "/" else folder


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
        warnings.showwarning = lambda message, *_, **__: note(worded(message), quiet=quiet)

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
