"""A folder of stages: each is written once, published by a manifest that comes last, and never done again.

A stage is written into a folder of its own, which its manifest names; what an attempt left without a manifest is not read.
A manifest also names the stage before, so that stages of different attempts do not mix. All of it goes through Hadoop's
file systems, so that a folder may be wherever Spark writes.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from neardup.engines.spark.packing import ROWS
from neardup.errors import ParameterError, ResumeWarning, listed, warn_caller

FORMAT = 1
JOB = "job.json"
#: Told a line a stage.
Tell = Callable[[str], None]


class Folder:
    """A folder of a file system that Spark knows."""

    def __init__(self, spark: Any, path: str) -> None:
        self.spark = spark
        self.path = path.rstrip("/")
        jvm = spark.sparkContext._jvm
        self._paths = jvm.org.apache.hadoop.fs.Path
        self._system = self._paths(self.path).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())

    def at(self, name: str) -> str:
        """The path of something in it."""
        return f"{self.path}/{name}"

    def exists(self, name: str = "") -> bool:
        """Whether it, or something in it, is there."""
        return bool(self._system.exists(self._paths(self.at(name) if name else self.path)))

    def matches(self) -> bool:
        """Whether its path, which may be a pattern, leads to something."""
        return bool(self._system.globStatus(self._paths(self.path)))

    def names(self) -> list[str]:
        """What is in it."""
        return [status.getPath().getName() for status in self._system.listStatus(self._paths(self.path))]

    def read(self, name: str) -> Any:
        """What a file of JSON says; None when it is not there, or damaged."""
        if not self.exists(name):
            return None
        stream = self._system.open(self._paths(self.at(name)))
        try:
            text = self.spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        finally:
            stream.close()
        try:
            return json.loads(text)
        except ValueError:
            return None

    def write(self, name: str, value: Any) -> None:
        """Write a file of JSON, aside and then in its place."""
        part = self._paths(self.at(f".{name}.{secrets.token_hex(4)}"))
        stream = self._system.create(part)
        stream.write(bytearray(json.dumps(value).encode()))
        stream.close()
        target = self._paths(self.at(name))
        self._delete(target)
        self._system.rename(part, target)

    def remove(self, name: str = "") -> None:
        """Delete something in it, or all of it."""
        self._delete(self._paths(self.at(name) if name else self.path))

    def _delete(self, path: Any) -> None:
        recursive = True
        self._system.delete(path, recursive)


@contextmanager
def settings(spark: Any, values: Mapping[str, Any]) -> Iterator[None]:
    """Some settings of a session, for as long as a stage is planned and run."""
    before = {name: spark.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            spark.conf.set(name, str(value))
        yield
    finally:
        for name, value in before.items():
            if value is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, value)


class Stages:
    """The stages of a job.

    Parameters
    ----------
    spark
        The session.
    folder
        Where they are.
    job
        What the job is, in JSON: another job does not go on with it.
    partitions
        How many tasks a shuffle has.
    tell
        Told a line a stage.

    Raises
    ------
    ParameterError
        If the folder has something else in it.
    """

    def __init__(self, spark: Any, folder: Folder, job: dict[str, Any], partitions: int, tell: Tell) -> None:
        self.spark, self.folder, self.partitions = spark, folder, partitions
        self.counters: dict[str, Any] = {}
        self._tell = tell
        self._last = ""
        self._job = json.loads(json.dumps(job))
        self._take_up()

    def _take_up(self) -> None:
        if not self.folder.exists():
            self.folder.write(JOB, self._job)
            return
        known = self.folder.read(JOB)
        names = [name for name in self.folder.names() if name != JOB and not name.startswith(f".{JOB}.")]  # those are ours, cut short
        if known is None and names:
            raise ParameterError(f"{self.folder.path} is there already, and no unfinished work; name a new folder, or move it away")
        if known is not None and known != self._job:
            changed = listed(name for name in {**known, **self._job} if known.get(name) != self._job.get(name))
            warn_caller(f"{self.folder.path}: begun anew, since {changed} changed", ResumeWarning)
            for name in names:
                self.folder.remove(name)
        elif known is not None:
            done = [name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")]
            warn_caller(f"{self.folder.path}: going on" + (f", done: {listed(sorted(done))}" if done else ""), ResumeWarning)
            return
        self.folder.write(JOB, self._job)

    def run(self, name: str, frame: Callable[[], Any], count: Callable[[Any], dict[str, Any]] | None = None, rows: int = ROWS) -> Any:
        """The frame of a stage, written now unless it was.

        Parameters
        ----------
        name
            Of the stage.
        frame
            Makes what is written.
        count
            What is counted in what was written, beside its rows.
        rows
            The most rows that go to Python at a time.
        """
        manifest = self.folder.read(f"{name}.json")
        whole = isinstance(manifest, dict) and manifest.get("format") == FORMAT and manifest.get("after") == self._last
        if not whole or not self.folder.exists(manifest["folder"]):
            manifest = self._written(name, frame, count, rows)
        self._last = manifest["folder"]
        self.counters |= manifest["counters"]
        from pyspark.sql.types import StructType

        return self.spark.read.schema(StructType.fromJson(manifest["schema"])).parquet(self.folder.at(manifest["folder"]))

    def _written(self, name: str, frame: Callable[[], Any], count: Callable[[Any], dict[str, Any]] | None, rows: int) -> dict[str, Any]:
        start, attempt = time.monotonic(), f"{name}-{secrets.token_hex(6)}"
        values = {
            "spark.sql.shuffle.partitions": self.partitions,
            "spark.sql.execution.arrow.maxRecordsPerBatch": rows,
            "spark.sql.adaptive.coalescePartitions.initialPartitionNum": self.partitions,
            "spark.sql.files.minPartitionNum": self.partitions,
        }
        with settings(self.spark, values):
            made = frame()
            # Almost all of it are hashes, which nothing makes smaller.
            made.write.option("parquet.enable.dictionary", "false").option("compression", "none").parquet(self.folder.at(attempt))
            written = self.spark.read.schema(made.schema).parquet(self.folder.at(attempt))
            counters = {} if count is None else count(written)
        manifest = {"format": FORMAT, "folder": attempt, "after": self._last, "schema": made.schema.jsonValue(), "counters": counters}
        self.folder.write(f"{name}.json", manifest)
        said = ", ".join(f"{value:,} {what.replace('_', ' ')}" for what, value in counters.items() if isinstance(value, int))
        self._tell(f"{name}: {said or 'done'} in {time.monotonic() - start:.1f} s")
        return manifest
