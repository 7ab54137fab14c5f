"""A driver of Spark in a process of its own: runs the job, whose tasks kill their executors where they are told to, and leaves what was decided.

    python spark_driver.py CORPUS RESULT MASTER PARTITIONS [--shuffle] [--work FOLDER] [--order COLUMN] [--kill STAGE ...] [--conf NAME=VALUE ...]

``--kill STAGE`` lets the first task of that stage of the job, ``signing``, ``bucketing`` or ``deciding``, kill its executor
when it has made something. Lines of progress go to standard output.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

#: For what lasts a minute: Java's second compiler would take longer than the work that it makes quicker.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: What the tasks of a stage run.
TASKS = {"signing": "Signer", "bucketing": "Bucketing", "deciding": "Deciding"}


def die_once(marker):
    """Kill the executor above this process, unless one was killed for this marker."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    pid = os.getpid()
    while b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(pid, signal.SIGKILL)


def let_die(module, name, marker):
    """What the tasks of a stage run, such that the first of them takes its executor along once it has made something."""

    class Dying(getattr(module, name)):
        def __call__(self, batches):
            for batch in super().__call__(batches):
                die_once(marker)
                yield batch

    setattr(module, name, Dying)


def cpu_seconds():
    """Seconds of processors that everything below this process has taken, and itself."""
    total, parents, own = 0, {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(folder.name)], own[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    for pid, ticks in own.items():
        above = pid
        while above > 1 and above != os.getpid():
            above = parents.get(above, 0)
        total += ticks * (above == os.getpid())
    return total / os.sysconf("SC_CLK_TCK")


def main():
    """Run the job that the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("result")
    parser.add_argument("master")
    parser.add_argument("partitions", type=int)
    parser.add_argument("--work")
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--order")
    parser.add_argument("--kill", action="append", choices=TASKS, default=[])
    parser.add_argument("--conf", action="append", default=[])
    given = parser.parse_args()

    from pyspark.sql import SparkSession
    from pyspark.sql.functions import xxhash64

    from neardup.engines import spark as engine

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(given.master).config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    for whose in ("driver", "executor"):
        builder = builder.config(f"spark.{whose}.extraJavaOptions", QUICK)
    for conf in given.conf:
        builder = builder.config(*conf.split("=", 1))
    spark = builder.getOrCreate()
    for stage in given.kill:
        let_die(getattr(engine, stage), TASKS[stage], f"{given.result}.killed-{stage}")

    def progress(line):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    df = spark.read.parquet(given.corpus)
    if given.shuffle:
        df = df.repartition(7).orderBy(xxhash64("text"))  # an order that is none of ids; by texts, Spark would collect some of them
    spark.range(1000).repartition(4).mapInArrow(lambda batches: batches, "id long").count()  # start-up: workers import what they need
    start, cpu = time.monotonic(), cpu_seconds()
    job = engine.Job(df, order=given.order, partitions=given.partitions, work=given.work, progress=progress)
    job.removed.write.mode("overwrite").parquet(given.result)
    executors_after = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    written = sum(executors_after.apply(i).totalShuffleWrite() for i in range(executors_after.size()))
    measured = {"seconds": time.monotonic() - start, "cpu": cpu_seconds() - cpu, "shuffled": written}
    Path(f"{given.result}.json").write_text(json.dumps(job.summary() | measured))
    spark.stop()


if __name__ == "__main__":
    main()
