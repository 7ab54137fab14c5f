"""A driver of Spark in a process of its own: runs the job, kills executors at work where it is told to, and leaves what was decided.

    python spark_driver.py CORPUS RESULT MASTER PARTITIONS [--shuffle] [--work FOLDER] [--order COLUMN] [--kill STAGE=N ...] [--conf NAME=VALUE ...]

``--kill STAGE=N`` kills an executor that runs a task of the N-th Spark stage in that stage of the job. Lines of progress go to standard output.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

#: For what lasts a minute: Java's second compiler would take longer than the work that it makes quicker.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: The stages of a job, in order, where no sets crowd together.
STAGES = ["signing", "ranking", "collapsing", "bucketing", "pairing", "verifying", "sorting", "deciding", "naming"]


def executors():
    """The executors below this process: process id by executor id."""
    found, parents = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if any("CoarseGrainedExecutorBackend" in word for word in words) and "--executor-id" in words:
                found[words[words.index("--executor-id") + 1]] = int(folder.name)

    def below(pid):
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return {id: pid for id, pid in found.items() if below(pid)}


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


def kill_one(spark, wanted, said):
    """Wait until a task of the wanted Spark stage of what comes runs, and kill the executor that runs it."""
    context = spark.sparkContext
    seen, known = [], set(context.statusTracker().getActiveStageIds())
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for stage in sorted(context.statusTracker().getActiveStageIds()):
            if stage not in known:
                known.add(stage)
                seen.append(stage)
        there = executors()
        running = context.statusTracker().getStageInfo(seen[wanted]) if len(seen) > wanted else None
        if running is not None and running.numActiveTasks:
            summaries = context._jsc.sc().statusStore().executorList(True)
            for i in range(summaries.size()):
                summary = summaries.apply(i)
                if summary.id() in there and summary.activeTasks():
                    os.kill(there[summary.id()], signal.SIGKILL)
                    said(f"killed executor {summary.id()}")
                    return
        time.sleep(0.02)
    said("killed nothing")


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
    parser.add_argument("--kill", action="append", default=[])
    parser.add_argument("--conf", action="append", default=[])
    given = parser.parse_args()

    from pyspark.sql import SparkSession

    from neardup.engines import spark as engine

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(given.master).config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    for whose in ("driver", "executor"):
        builder = builder.config(f"spark.{whose}.extraJavaOptions", QUICK)
    for conf in given.conf:
        builder = builder.config(*conf.split("=", 1))
    spark = builder.getOrCreate()
    kills = dict(kill.split("=") for kill in given.kill)
    killers = []

    def said(line):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def begin(stage):
        if stage in kills:
            killers.append(threading.Thread(target=kill_one, args=(spark, int(kills[stage]), said), daemon=True))
            killers[-1].start()

    def progress(line):
        said(line)
        name = line.split(":")[0]
        if name in STAGES[:-1]:
            begin(STAGES[STAGES.index(name) + 1])

    df = spark.read.parquet(given.corpus)
    if given.shuffle:
        df = df.repartition(7).orderBy("text")  # an order that is no order of ids
    spark.range(1000).repartition(4).mapInArrow(lambda batches: batches, "id long").count()  # start-up: workers import what they need
    start, cpu = time.monotonic(), cpu_seconds()
    begin("signing")
    job = engine.Job(df, order=given.order, partitions=given.partitions, work=given.work, progress=progress)
    job.removed.write.mode("overwrite").parquet(given.result)
    executors_after = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    written = sum(executors_after.apply(i).totalShuffleWrite() for i in range(executors_after.size()))
    measured = {"seconds": time.monotonic() - start, "cpu": cpu_seconds() - cpu, "shuffled": written}
    Path(f"{given.result}.json").write_text(json.dumps(job.summary() | measured))
    for killer in killers:
        killer.join()
    spark.stop()


if __name__ == "__main__":
    main()
