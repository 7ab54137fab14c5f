"""The commands on many documents: dedup, pairs, query."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

import neardup
from neardup.cli.jobs import (
    FINE,
    MAX_PAIRS_HELP,
    Clusters,
    Engines,
    Job,
    check_place,
    check_there,
    command,
    work_folder,
)
from neardup.cli.terminal import (
    ROWS,
    SCORES,
    count,
    emit,
    progress,
    show,
)
from neardup.errors import ParameterError

#: One of so many documents that are short, and another profile is worth a try.
SHORT = 10
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
ReportOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write a page that shows what was removed and why: report.html.", show_default=False)
]
ShowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--show", metavar="NAME", help="A column to show beside the ids in the report, as source. May be repeated.", show_default=False
    ),
]
ExactOption = Annotated[bool, typer.Option("--exact", help="Find all pairs, whatever --recall says: slower.", rich_help_panel=FINE)]

MemoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="As 3GB, at least 64MiB; by default half of what there is. The rest goes to files.",
        show_default=False,
        rich_help_panel=FINE,
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
EngineOption = Annotated[Engines, typer.Option(help="Where it runs: local, on this machine, or spark (pip install 'neardup\\[spark]').")]
MasterOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Of Spark: local[4], spark://HOST:7077, yarn; as it is configured.", show_default=False)
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
    report: ReportOption = None,
    beside: ShowOption = None,
    clusters: ClustersOption = Clusters.witness,
    exact: ExactOption = False,
    against: AgainstOption = None,
    append: AppendOption = False,
    drop_frequent: FrequentOption = None,
    dry_run: DryOption = False,
    memory_limit: MemoryOption = None,
    engine: EngineOption = Engines.local,
    master: MasterOption = None,
) -> None:
    """Keep one document of each group of near-duplicates; say of every other which kept one it duplicates.

    OUT gets the kept documents with all their columns; a new folder gets copies of the text files that are kept.

    A column of CSV ranks as numbers where all its cells are, otherwise as text; an empty cell comes last.

    --engine spark runs it on Apache Spark, from paths that Spark reads into a folder.

    What takes long is kept meanwhile in a folder OUT.work: after an interruption the same command goes on from there.

    Examples:
      neardup dedup news.jsonl -o clean.jsonl
      neardup dedup jan.parquet feb.parquet -o clean.parquet --keep longest
      neardup dedup news.jsonl -o marked.jsonl --annotate --evidence pairs.parquet
      neardup dedup news.jsonl -o clean.jsonl --report report.html
      neardup dedup feb.jsonl -o feb-clean.jsonl --against archive.neardup --append
      zcat pages.jsonl.gz | neardup dedup - --threshold 0.9 > removed.jsonl
    """
    from neardup import writing
    from neardup.dedup import check, estimate

    preferred = keeping(keep)
    if engine is Engines.spark:
        from neardup.cli import distributed

        local = {"--exact": exact, "--append": append, "--dry-run": dry_run}
        named = {
            "--against": against,
            "--drop-frequent": drop_frequent,
            "--memory-limit": memory_limit,
            "--evidence": evidence,
            "--report": report,
            "--show": beside,
        }
        refused = local | {name: value is not None for name, value in named.items()}
        options = {"keep": preferred, "order": order, "clusters": clusters.value}
        distributed.dedup(job, master, annotate=annotate, given=refused, options=options)
        return
    if master is not None:
        raise ParameterError(f"--master is {master!r}, and the engine is local; add --engine spark, or leave it out")
    with progress(quiet=job.quiet) as tell:
        check_outputs(job, evidence, report, annotate=annotate)
        if beside and report is None:
            raise ParameterError(f"--show is {beside[0]!r}, and there is no report to show it; add --report report.html")
        parameters = job.parameters()
        given: dict[str, Any] = dict(
            keep=preferred, order=order, clusters=clusters.value, exact=exact, append=append, drop_frequent=drop_frequent,
            against=None if against is None else against[0] if append and len(against) == 1 else against,
            memory_limit=memory_limit, threads=job.threads,
        )  # fmt: skip
        ranking = check(job.threshold, **parameters, **given).ranking
        if not append:
            check_there(against or ())
        corpus = job.read(job.inputs, tell, needed=[*ranking.columns, *(beside or ())])
        made = append and against is not None and not Path(against[0]).exists()
        for path in (evidence, report):
            if path is not None:
                writing.refuse_input(path, corpus.files)
        if dry_run:
            tell("sampling")
            foretell(estimate(corpus, job.threshold, exact=exact, memory_limit=memory_limit, threads=job.threads, **parameters))
            return
        work = work_folder(job.output) if job.output and all(file.place for file in corpus.files) else None
        result = neardup.deduplicate(
            corpus,
            job.threshold,
            **parameters,
            text=job.text,
            id=job.id,
            **given,
            work=work,
            progress=partial(tell, corpus=corpus),
        )
        tell("writing")
        if evidence is not None:
            writing.write_table(lambda: result.pairs, evidence, result.each_pair())
        if job.output is not None:
            result.write(job.output, annotate=annotate)
        if report is not None:
            result.report(report, progress=partial(tell, corpus=corpus), columns=beside or ())
        result.finish()
    job.tell_unread()
    names = ("id", "witness", "similarity") if against is None else ("id", "witness", "against", "similarity")
    rows = ({name: getattr(removed, name) for name in names} for removed in result.each_removed())
    if sys.stdout.isatty():
        first = list(islice(rows, ROWS))
        columns = {name: ["" if row[name] is None else row[name] for row in first] for name in names}
        show(columns, "Removed, each with the kept document that it duplicates", result.counters["removed"])
    else:
        emit(rows)
    said = [*account(result), *([f"report in {report}"] if report is not None else [])]
    if append and against is not None:
        added = count(result.counters["added"], "document")
        said.append(f"{added} added to {against[0]}" + (", which is a new index" if made else ""))
    job.conclude(said, found=result.counters["removed"] > 0)


def check_outputs(job: Job, evidence: str | None, report: str | None, *, annotate: bool) -> None:
    """Refuse what could not be written: before the work, not after it."""
    from neardup import writing

    if annotate and job.output is None:
        raise ParameterError("--annotate says what is written, and there is no output; name one: -o marked.jsonl")
    job.check_output(folder=not annotate)
    if report is not None:
        from neardup.report import check_report

        check_report(report)
        check_place(report)
    if evidence is not None:
        writing.check_output(evidence)
        check_place(evidence)
        if job.output is not None and Path(evidence).absolute() == Path(job.output).absolute():
            raise ParameterError(f"--evidence and the output are both {evidence}; name two files")


def foretell(estimate: Any) -> None:
    """What a job would take, as one line of JSON or in words."""
    if not sys.stdout.isatty():
        emit([estimate._asdict()])
        return
    seconds = f"{estimate.seconds:,.0f} s" if estimate.seconds >= 10 else f"{estimate.seconds:.1f} s"
    megabytes = f"{estimate.memory / 1e6:,.0f} MB of memory and {estimate.disk / 1e6:,.0f} MB of temporary files"
    print(f"{count(estimate.documents, 'document')}: about {seconds}, {megabytes}, learnt from the first {estimate.sampled:,}")  # noqa: T201


def account(result: neardup.Result) -> Iterator[str]:
    """What a deduplication came to, in words."""
    counted = result.summary()
    why = [f"{counted['against']:,} for older documents"] if counted["against"] else []
    why += [f"{counted['copies']:,} exact" + (" among these" if why else "")] if counted["copies"] else []
    removed = f"{counted['removed']:,} removed" + (f" ({', '.join(why)})" if why else "")
    yield f"{count(counted['documents'], 'document')}: {counted['kept']:,} kept, {removed}"
    if counted["without_shingles"]:
        which = some(counted["without_shingles"], result.unjudged())
        yield f"{which} without a single word: kept, since they duplicate nothing"
    if counted["heavy_buckets"]:
        what = "left out" if counted["verify"] == "noisy" else "joined by rare shingles"
        yield f"{count(counted['heavy_buckets'], 'bucket')} that everyone falls into, by boilerplate or a template: {what}"
    if counted["weakest"] is not None and counted["weakest"] < counted["threshold"]:
        yield f"the least similar of the removed resembles its kept document at {counted['weakest']:.3f}: --clusters components follows chains"
    if counted["short"]:
        which = some(counted["short"], result.unjudged(short=True))
        many = counted["short"] * SHORT >= counted["documents"] and counted["profile"] != "short"
        advice = "; try --profile short" if many else ""
        yield f"{which} of fewer than {2 * counted['size']} tokens: one edit can hide a copy{advice}"


def some(n: int, first: Sequence[Any]) -> str:
    """A number of documents, and which are the first of them."""
    return f"{count(n, 'document')} ({', '.join(map(str, first))}{' ...' if n > len(first) else ''})"


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
    """Find the near-duplicates of some documents in a corpus: of each the best first, equals in the order of CORPUS.

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
