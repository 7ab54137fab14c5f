"""Sessions of Spark, and the paths that it reads and writes."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from neardup.ending import of_this_process
from neardup.engines.spark.stages import Folder
from neardup.errors import InputError, MissingDependencyError, ParameterError

#: The formats that Spark reads and writes, by the ends of names; compressed lines and rows end in more.
FORMATS = {".parquet": "parquet", ".orc": "orc", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".tsv": "csv"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2"}
#: What Spark says of partitions where nobody does: far too many for one machine.
UNTOLD = 200


def require_pyspark() -> Any:
    """The module ``pyspark``.

    Raises
    ------
    MissingDependencyError
        If it, or Java, is not installed.
    """
    try:
        import pyspark
    except ImportError:
        raise MissingDependencyError("the engine 'spark' needs pyspark, which is not installed; pip install 'neardup[spark]'") from None
    home = os.environ.get("JAVA_HOME")
    if not (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is None:
        where = f"JAVA_HOME is {home}, where no bin/java is" if home else "no java is on the PATH"
        raise MissingDependencyError(
            f"the engine 'spark' needs Java 17, and {where}; install it (Debian: apt-get install openjdk-17-jre-headless), or set JAVA_HOME"
        )
    return pyspark


def session(master: str | None = None) -> Any:
    """The session that there is, or one of this master: by default what Spark is configured for, or all processors here.

    Raises
    ------
    ParameterError
        If there is no such master, or it does not answer.
    MissingDependencyError
        If pyspark or Java is not installed.
    """
    require_pyspark()
    from pyspark.sql import SparkSession

    if master is None or master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # another Python would lack neardup
    builder = SparkSession.builder.appName("neardup").config("spark.ui.showConsoleProgress", "false")
    if master is not None:
        builder = builder.master(master)
    try:
        found = builder.getOrCreate()
        found.sparkContext._jsc.sc().applicationId()
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
        raise ParameterError(
            f"Spark does not start with the master {master or 'that it is configured for'!r}: {first[:300]}; "
            "it is local[N], spark://HOST:PORT, yarn or k8s://..., and must answer"
        ) from error
    return found


def check_session(df: Any) -> Any:
    """The session of a frame.

    Raises
    ------
    TypeError
        If it is not a frame of Spark, or one of Spark Connect.
    """
    require_pyspark()
    from pyspark.sql import DataFrame

    if not isinstance(df, DataFrame) or not hasattr(df, "sparkSession"):
        raise TypeError(f"df is a {type(df).__module__}.{type(df).__name__}; it is a DataFrame of Spark: spark.read.parquet(...)")
    if not hasattr(df, "_jdf"):
        raise TypeError("df is a DataFrame of Spark Connect, which cannot write stages; use a classic session, in the driver")
    return df.sparkSession


def partitions_of(spark: Any) -> int:
    """How many tasks a shuffle has: as the session says; on a local master two a core, where it says nothing of its own."""
    told = int(spark.conf.get("spark.sql.shuffle.partitions"))
    local = spark.sparkContext.master.partition("[")[0] == "local"
    return 2 * int(spark.sparkContext.defaultParallelism) if local and told == UNTOLD else told


def work_folder(spark: Any, work: str | os.PathLike[str] | None) -> Folder:
    """Where a job's stages are: the folder that is named; a temporary one where Spark is local; or below its checkpoints.

    Raises
    ------
    ParameterError
        If Spark runs on many machines, and no folder is named that all of them reach.
    """
    if work is not None:
        return Folder(spark, os.fspath(work))
    if spark.sparkContext.master.startswith("local"):
        path = tempfile.mkdtemp(prefix="neardup-")
        atexit.register(
            of_this_process(partial(shutil.rmtree, path, ignore_errors=True))
        )  # frames are read from it as long as there are any
        return Folder(spark, f"file://{path}/stages")
    checkpoints = spark.sparkContext._jsc.sc().getCheckpointDir()
    if checkpoints.isEmpty():
        raise ParameterError(
            f"work is None and the master is {spark.sparkContext.master}; name a folder that all machines reach: "
            "work='hdfs://...' (--work), or sparkContext.setCheckpointDir"
        )
    return Folder(spark, f"{checkpoints.get()}/neardup-{os.urandom(6).hex()}")


def identity(spark: Any, df: Any) -> dict[str, Any]:
    """What changes when a frame is of other files, or does other things with them.

    Raises
    ------
    ParameterError
        If it is not read from files.
    """
    files = sorted(df.inputFiles())
    if not files:
        raise ParameterError(
            "work is for a corpus in files, which can be compared with the interrupted one; write df first, or leave work out"
        )
    jvm, configuration = spark.sparkContext._jvm, spark.sparkContext._jsc.hadoopConfiguration()
    states = hashlib.sha256()
    for name in files:
        path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI.create(name))
        status = path.getFileSystem(configuration).getFileStatus(path)
        states.update(f"{name}\0{status.getLen()}\0{status.getModificationTime()}\n".encode())
    plan = df._jdf.queryExecution().analyzed().canonicalized().toString()
    return {"inputs": states.hexdigest(), "query": hashlib.sha256(plan.encode()).hexdigest()}


def format_of(name: str) -> tuple[str, str | None, dict[str, str]]:
    r"""The format of a path by its name, its compression, and how Spark is told.

    Raises
    ------
    ParameterError
        If Spark has no such format.

    Examples
    --------
    >>> format_of("s3a://b/news.jsonl.gz"), format_of("a.tsv")[2]["sep"]
    (('json', 'gzip', {}), '\t')
    """
    path = PurePath(name.rstrip("/").lower())
    compression = COMPRESSIONS.get(path.suffix)
    suffix = path.with_suffix("").suffix if compression else path.suffix
    if suffix not in FORMATS or (compression and FORMATS[suffix] in ("parquet", "orc")):
        raise ParameterError(
            f"{name}: Spark does not know the format by the name; it ends in {', '.join(FORMATS)}, the last four also .gz, .zst"
        )
    options = {"header": "true", "multiLine": "true", "escape": '"'} if FORMATS[suffix] == "csv" else {}
    return FORMATS[suffix], compression, options | ({"sep": "\t"} if suffix == ".tsv" else {})


def read(spark: Any, paths: list[str]) -> Any:
    """The documents at some paths, files or folders of one format; a folder without an ending is looked into.

    Raises
    ------
    InputError
        If there is nothing at a path, or Spark cannot read it.
    """
    formats = {}
    for path in paths:
        folder = Folder(spark, path)
        try:
            there = folder.matches()
        except Exception as error:
            raise InputError(f"{path}: {str(error).splitlines()[0][:300]}; check the address, and the access to it") from error
        if not there:
            raise InputError(f"{path}: no such file or folder for Spark; check the path")
        name = path
        if not PurePath(path.rstrip("/")).suffix:
            inside = [name for name in folder.names() if not name.startswith(("_", "."))]
            name = next(iter(sorted(inside)), path)
        formats[path] = format_of(name)
    format, _, options = formats[paths[0]]
    for path, (other, *_) in formats.items():
        if other != format:
            raise ParameterError(f"{paths[0]} is {format} and {path} is {other}; give files of one format")
    try:
        return spark.read.format(format).options(**options).load(paths)
    except Exception as error:
        raise InputError(f"{', '.join(paths)}: {str(error).splitlines()[0][:300]}; check the files") from error


def check_output(spark: Any, path: str) -> None:
    """Refuse a path that is there already, or whose format Spark does not write."""
    format_of(path)
    if Folder(spark, path).exists():
        raise ParameterError(f"{path} is there already, and Spark writes a new folder; name another, or move it away")


def write(df: Any, path: str) -> None:
    """Write a frame into a new folder, in the format of its name."""
    format, compression, options = format_of(path)
    if compression:
        options["compression"] = compression
    options.pop("multiLine", None)
    df.write.format(format).options(**options).mode("errorifexists").save(path)
