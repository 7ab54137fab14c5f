"""``neardup dedup --engine spark``: the same job where Spark runs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

from neardup.cli.jobs import Job, OnError
from neardup.cli.terminal import count, emit, note
from neardup.documents import ID_NAMES, TEXT_NAMES
from neardup.errors import ParameterError

#: Options of the local job that Spark has no use for, or cannot answer alike.
LOCAL = {
    "--exact": "it joins all sets in the memory of one machine",
    "--against": "an index is looked up on one machine",
    "--append": "an index is on one machine",
    "--drop-frequent": "shingles are counted on one machine",
    "--memory-limit": "executors have the memory that Spark gives them",
    "--dry-run": "it samples what one machine reads",
    "--evidence": "use --annotate, which names each document's witness",
    "--report": "pairs are looked at on one machine; a sample of the documents does for that",
    "--show": "it is of the report, which is made on one machine",
    "--verify noisy": "what was misread is judged on one machine",
    "--glob": "Spark takes patterns in paths: 'news/*.parquet'",
    "--whole-files": "Spark reads rows; make a column of the texts",
    "--on-error skip": "Spark reads lines its own way",
    "--threads": "executors have the processors that Spark gives them",
}


def dedup(job: Job, master: str | None, *, annotate: bool, given: dict[str, Any], options: dict[str, Any]) -> None:
    """Run the job, and write a folder.

    Parameters
    ----------
    job
        The options that all commands have.
    master
        Of Spark, when it is not what Spark is configured for.
    annotate
        Write all documents.
    given
        Options of the local job, whether they are given.
    options
        What :class:`neardup.engines.spark.Job` takes beside.
    """
    whole = given | {
        "--glob": job.glob is not None,
        "--verify noisy": job.verify is not None and job.verify.value == "noisy",
        "--whole-files": job.whole_files,
        "--on-error skip": job.on_error is not OnError.refuse,
        "--threads": job.threads is not None,
    }
    for name, is_given in whole.items():
        if is_given:
            raise ParameterError(f"{name} is not for --engine spark: {LOCAL[name]}; leave it out")
    if job.output is None:
        raise ParameterError("--engine spark writes a folder, and no output is named; name one: -o clean.parquet")
    if "-" in job.inputs:
        raise ParameterError("--engine spark reads paths, and '-' is standard input; write it to a file first")
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # which nothing here uses
    from neardup.engines import spark as engine
    from neardup.engines.spark import sessions

    verify: Any = None if job.verify is None else job.verify.value
    spark = sessions.session(master)
    sessions.check_output(spark, job.output)
    df = sessions.read(spark, job.inputs)
    corpus = engine.Job(
        df,
        _named(job.text, TEXT_NAMES, df.columns),
        _named(job.id, ID_NAMES, df.columns),
        threshold=job.threshold,
        profile=job.profile.value,
        recall=job.recall,
        minhash=job.minhash(),
        verify=verify,
        work=f"{job.output.rstrip('/')}.work",
        progress=partial(note, quiet=job.quiet),
        **options,
    )
    sessions.write(corpus.annotated() if annotate else corpus.survivors(), job.output)
    summary = corpus.summary()
    corpus.finish()
    if not sys.stdout.isatty():
        emit([summary])
    job.conclude(account(summary), found=summary["removed"] > 0)


def _named(given: str | None, names: tuple[str, ...], columns: list[str]) -> str:
    """The column that is named, or the likeliest of those that there are."""
    return given or next((name for name in names if name in columns), names[0])


def account(counted: dict[str, Any]) -> Iterator[str]:
    """What a job came to, in words."""
    copies = f" ({counted['copies']:,} exact)" if counted["copies"] else ""
    yield f"{count(counted['documents'], 'document')}: {counted['kept']:,} kept, {counted['removed']:,} removed{copies}"
    yield f"{counted['postings']:,} postings, {counted['candidates']:,} candidates, {counted['verified']:,} verified"
    if counted["without_shingles"]:
        yield f"{count(counted['without_shingles'], 'document')} without a single word: kept, since they duplicate nothing"
    if counted["heavy_buckets"]:
        yield f"{count(counted['heavy_buckets'], 'bucket')} that everyone falls into, by boilerplate or a template: joined in groups"
