"""Where results are kept, and on what machine and how quiet a one they were measured."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LATEST = Path(__file__).parent / "results" / "latest.json"
SMALL = ROOT / ".benchmarks" / "small.json"
#: Instructions that the kernels choose by.
FLAGS = ("avx2", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512_vbmi2")

Json = dict[str, Any]


def machine() -> Json:
    """The processor, its instructions, and the versions that matter."""
    import neardup
    from neardup import _kernels

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    info = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = info.get("flags", "").split()
    return {
        "processor": info.get("model name", platform.processor() or platform.machine()),
        "family_model": f"family {info['cpu family']}, model {info['model']}" if "model" in info else "",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "paths": list(_kernels.PATHS),
        "virtual": "hypervisor" in flags,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "neardup": neardup.__version__,
    }


def commit() -> str:
    """What was measured: the commit, with + where the kernels or the library differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "src") else "")


def processor_times() -> tuple[float, float, float] | None:
    """Seconds since the start of the machine, over all cores: busy, stolen by other machines, all; None where unknown."""
    try:
        fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, idle, waiting, interrupts, soft, stolen = fields
    busy = user + nice + system + interrupts + soft
    return busy / tick, stolen / tick, (busy + stolen + idle + waiting) / tick


class Watch:
    """How quiet the machine is meanwhile: what others took of its processors, and how evenly the same work went."""

    def __init__(self) -> None:
        self.before, self.own, self.start = processor_times(), self._own(), time.perf_counter()
        self.load, self.beats = os.getloadavg()[0], []
        self.beat()

    @staticmethod
    def _own() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    def beat(self) -> None:
        """Time a fixed piece of work, of about 20 ms."""
        data = bytes(1 << 20)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(20):
            hash(bytes(data))
        self.beats.append((time.perf_counter() - wall, time.process_time() - cpu))

    def report(self) -> Json:
        self.beat()
        after, seconds = processor_times(), time.perf_counter() - self.start
        report: Json = {"seconds": round(seconds, 1), "load": [round(self.load, 2), round(os.getloadavg()[0], 2)]}
        if self.before and after:
            busy, stolen, total = (b - a for a, b in zip(self.before, after, strict=True))
            report |= {"others": round(max(0.0, busy - self._own() + self.own) / total, 3), "stolen": round(stolen / total, 3)}
        walls, cpus = zip(*self.beats, strict=True)
        report["beats"] = [round(max(walls) / min(walls), 2), round(max(cpus) / min(cpus), 2)]
        return report


def place(*, small: bool = False) -> Path:
    """The file that results are in."""
    return SMALL if small else LATEST


def read(*, small: bool = False) -> Json:
    """All results; empty where there are none."""
    path = place(small=small)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(section: str, data: Json, watch: Watch, *, small: bool) -> None:
    """Put a section into the results, with when, of what and how quietly it was measured."""
    path, results = place(small=small), read(small=small)
    results["machine"] = machine()
    now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M")
    results.setdefault("sections", {})[section] = {"commit": commit(), "date": now, "noise": watch.report()} | data
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".aside")
    pretty = json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True)
    one_line = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), pretty)  # lists of numbers
    aside.write_text(one_line + "\n", encoding="utf-8")
    aside.replace(path)
