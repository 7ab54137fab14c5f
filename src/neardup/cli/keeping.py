"""The commands on an index on disk or on a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

import neardup
from neardup.cli.jobs import (
    Command,
    FailOption,
    GlobOption,
    Group,
    IdOption,
    IndexArgument,
    InputsArgument,
    Job,
    Measures,
    NameOption,
    OnError,
    OnErrorOption,
    Profiles,
    QuietOption,
    TextOption,
    WholeOption,
    app,
)
from neardup.cli.terminal import (
    ROWS,
    count,
    emit,
    note,
    printable,
    progress,
)

index_app = typer.Typer(cls=Group, rich_markup_mode="rich", no_args_is_help=True)
app.add_typer(index_app, name="index", help="Keep an index on disk or on a server: add documents, look others up, mend it.")


def place_of(path: str, name: str | None) -> str:
    """What people are shown of where an index is."""
    from neardup.stores.places import label

    return label(path, name)


def known_id(index: neardup.Index, name: str) -> str | int:
    """An id as it was typed: the string, or the integer where there is only that."""
    from neardup.ids import twin

    number = twin(name)
    return number if number is not None and number in index and name not in index else name


def twins(index: Any, ids: list[str | int]) -> Iterator[str | int]:
    """Those ids of which an index has the other kind, and not the same."""
    from neardup.ids import twin

    return (id for id in ids if (same := twin(id)) is not None and same in index and id not in index)


@index_app.command("add", cls=Command)
def index_add(
    path: IndexArgument,
    inputs: InputsArgument,
    threshold: Annotated[
        float | None, typer.Option("--threshold", "-t", help="Of a new index; the profile's, 0.8 for text.", show_default=False)
    ] = None,
    profile: Annotated[
        Profiles | None, typer.Option(help="Of a new index: what the texts are, text, ocr, short, code or excerpt.", show_default=False)
    ] = None,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
    on_error: OnErrorOption = OnError.refuse,
    whole_files: WholeOption = False,
    skip_known: Annotated[
        bool, typer.Option("--skip-known", help="Leave out documents whose id is there: to go on after an interruption.")
    ] = False,
    name: NameOption = None,
    quiet: QuietOption = False,
) -> None:
    """Add documents to an index, which is made when it is not there. Of each batch of 65,536 all are added or none.

    Examples:
      neardup index add news.neardup january.jsonl february.jsonl
      neardup index add essays.neardup essays/ --threshold 0.5
      neardup index add postgresql://db.example/texts --name news january.jsonl
    """
    from neardup.documents import strings
    from neardup.ids import twin

    done, known, doubled = 0, 0, None
    with progress(quiet=quiet) as tell:
        job = Job(inputs, text=text, id=id, glob=glob, on_error=on_error, whole_files=whole_files, quiet=quiet)
        corpus = job.read(inputs, tell)
        with neardup.Index.open(path, threshold, profile=None if profile is None else profile.value, name=name) as index:
            # A server would be asked for each id.
            there: Any = set(index.ids()) if skip_known and "://" in path else index
            try:
                for batch in corpus.batches(65_536):
                    ids, texts = batch.ids, batch.texts
                    doubled = doubled or next(twins(there, ids if there is not index or "://" not in path else ids[:10]), None)
                    if skip_known and any(id in there for id in ids):
                        new = [(id, text) for id, text in zip(ids, strings(texts), strict=True) if id not in there]
                        ids, texts = [id for id, _ in new], [text for _, text in new]
                    index.add_many(ids, texts)
                    if there is not index:
                        there.update(ids)
                    done, known = done + len(ids), known + len(batch.ids) - len(ids)
                    tell("adding", done + known, corpus=corpus)
            except BaseException:
                note(f"{count(done, 'document')} added to {place_of(path, name)}, and then this:", quiet=quiet)
                raise
            said = f"{count(done, 'document')} added, {len(index):,} in {place_of(path, name)}"
            if known:
                said += f"; {count(known, 'document')} left out, being there already"
    job.tell_unread()
    if doubled is not None:
        note(
            f"{doubled!r} and {twin(doubled)!r} are two documents: ids are text from CSV, numbers from elsewhere; keep to one", quiet=quiet
        )
    note(said, quiet=quiet)


@index_app.command("remove", cls=Command)
def index_remove(
    path: IndexArgument,
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="As neardup index query shows it; -- before negative numbers.")],
    name: NameOption = None,
    quiet: QuietOption = False,
) -> None:
    """Remove documents from an index: all of them, or none where one is not there.

    Examples:
      neardup index remove news.neardup story-17 story-18
      neardup index remove numbered.neardup -- -3
    """
    from neardup.errors import UnknownDocumentError

    with neardup.Index.open(path, mode="r+", name=name) as index:
        known = list(dict.fromkeys(known_id(index, id) for id in ids))
        for id in known:
            if id not in index:
                raise UnknownDocumentError(
                    f"no document {id!r} in the index, nothing was removed; ids are as `neardup index query` shows them"
                )
        for id in known:
            index.remove(id)
        said = f"{count(len(known), 'document')} removed, {len(index):,} in {place_of(path, name)}"
    note(said, quiet=quiet)


@index_app.command("query", cls=Command)
def index_query(
    path: IndexArgument,
    inputs: InputsArgument,
    top: Annotated[int | None, typer.Option(help="The most matches of each document.", show_default=False)] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", "-t", help="Instead of the index's.", show_default=False)] = None,
    measure: Annotated[Measures, typer.Option(help="What is at the threshold, and says which match is better.")] = Measures.similarity,
    text: TextOption = None,
    id: IdOption = None,
    glob: GlobOption = None,
    on_error: OnErrorOption = OnError.refuse,
    whole_files: WholeOption = False,
    name: NameOption = None,
    fail: FailOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the near-duplicates of some documents in an index: of each the best first, equals in order of id, numbers before text.

    Examples:
      neardup index query news.neardup new-story.txt
      cat draft.md | neardup index query essays.neardup - --top 1
    """
    job = Job(inputs, text=text, id=id, glob=glob, on_error=on_error, whole_files=whole_files, fail=fail, quiet=quiet)
    columns: dict[str, list[Any]] = {"query": [], "id": [], "similarity": [], "containment": []}
    done = truncated = 0
    with progress(quiet=quiet) as tell, neardup.Index.open(path, mode="r", name=name) as index:
        queries = job.read(inputs, tell)
        for batch in queries.batches():
            found = index.query_many(batch.texts, top=top, threshold=threshold, measure=measure.value)
            for query, matches in zip(batch.ids, found, strict=True):
                truncated += matches.truncated
                for match in matches:
                    for column, value in zip(columns.values(), (query, match.id, match.similarity, match.containment), strict=True):
                        column.append(value)
            done += len(batch.ids)
            tell("looking up", done, corpus=queries)
        said = [f"{count(done, 'document')} sought among {len(index):,}: {count(len(columns['id']), 'match')}"]
    if truncated:
        said.append(f"{count(truncated, 'document')} of very common text: matches may be missing; neardup index stats lists the templates")
    job.finish(columns, "Matches", said)


@index_app.command("stats", cls=Command)
def index_stats(path: IndexArgument, name: NameOption = None) -> None:
    """Say what an index holds and its parameters, and what so many texts share that it is boilerplate or a template.

    Examples:
      neardup index stats news.neardup
    """
    with neardup.Index.open(path, mode="r", name=name) as index:
        stats = index.stats()
        row: dict[str, Any] = {
            "documents": stats.documents,
            "bytes": stats.nbytes,
            "threshold": index.threshold,
            "recall": round(index.recall, 6),
            **({} if index.verify == "contained" else {"bands": index.banding.bands, "rows": index.banding.rows}),
            "verify": index.verify,
            "profile": index.profile,
            "heavy_buckets": [bucket._asdict() for bucket in stats.heavy_buckets],
        }
    if not sys.stdout.isatty():
        emit([row])
        return
    heavy = row.pop("heavy_buckets")
    console = Console(highlight=False)
    for title, value in row.items():
        console.print(Text.assemble((f"{title}  ", "dim"), f"{value:,}" if isinstance(value, int) else str(value)))
    for bucket in heavy[:ROWS]:
        console.print(Text(f"{bucket['members']:,} distinct texts agree in band {bucket['band']}, as {printable(bucket['example'])} does"))


@index_app.command("check", cls=Command)
def index_check(path: IndexArgument, name: NameOption = None, quiet: QuietOption = False) -> None:
    """Read every byte of an index, verify checksums, and make again what is derived from its documents.

    Examples:
      neardup index check news.neardup
    """
    with neardup.Index.open(path, mode="r+", name=name) as index:
        mended = index.check()
        said = f"{count(len(index), 'document')} in {place_of(path, name)}, all is well" + (
            f"; made again: {', '.join(mended)}" if mended else ""
        )
    note(said, quiet=quiet)


@index_app.command("compact", cls=Command)
def index_compact(path: IndexArgument, name: NameOption = None, quiet: QuietOption = False) -> None:
    """Rewrite an index as one segment, without what was removed: it is smaller then, and looking up is quickest.

    Examples:
      neardup index compact news.neardup
    """
    with neardup.Index.open(path, mode="r+", name=name) as index:
        index.compact()
        said = f"{count(len(index), 'document')} in {place_of(path, name)}, {index.stats().nbytes:,} bytes"
    note(said, quiet=quiet)


@index_app.command("migrate", cls=Command)
def index_migrate(address: Annotated[str, typer.Argument(metavar="ADDRESS", help="postgresql://...")], quiet: QuietOption = False) -> None:
    """Make the tables of neardup in a PostgreSQL database, or bring those of an older version up to date.

    Examples:
      neardup index migrate postgresql://owner@db.example/texts
    """
    from neardup.errors import ParameterError
    from neardup.stores import postgres

    if address.partition("://")[0] not in ("postgresql", "postgres"):
        from neardup.stores.fetched import shown

        raise ParameterError(f"{shown(address)} is no PostgreSQL database; other indexes need no migration")
    made = postgres.migrate(address)
    note(f"schema version {made[-1]} made" if made else "the schema is up to date", quiet=quiet)
