"""Measure: `just bench`, all sections or some of them.

    python benchmarks/run.py [--small] [--resume] [--peers PYTHON] [stages] [text] [hashes] [jobs] [memory] [threads] [index]
        [profiles] [excerpts]

--small     little text and few rounds, into .benchmarks/small.json: to see that all works
--resume    leave out sections that were measured at this commit
--peers     the Python in which the peers are installed; by default the one that runs this (pip install '.[bench]')

Sections are measured one after the other and saved one by one; one that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import compare
import fresh
import indexing
import profiles
import results


def stages(_: str, *, small: bool) -> None:
    """Every stage alone, by pytest-benchmark."""
    watch = results.Watch()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--benchmark-columns=median,min,max"]
        command += [f"--benchmark-json={report}", str(Path(__file__).with_name("test_stages.py")), *(["--small"] if small else [])]
        run = subprocess.run(command, cwd=results.ROOT, check=False)
        benchmarks: list[dict[str, Any]] = json.loads(report.read_text())["benchmarks"]
    rows = [bench["extra_info"] | {"cpu": [round(x, 8) for x in bench["stats"]["data"]]} for bench in benchmarks]
    results.save("stages", {"rows": rows}, watch, small=small)
    if run.returncode:
        raise RuntimeError("some stages failed; the others are saved")


SECTIONS = {
    "stages": stages,
    "text": compare.text,
    "hashes": compare.hashes,
    "threads": fresh.threads,
    "memory": fresh.column_memory,
    "jobs": fresh.jobs,
    "index": indexing.section,
    "profiles": profiles.section,
    "excerpts": profiles.excerpts,
}


def main() -> int:
    """Measure the sections asked for; 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], metavar="section")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    options = parser.parse_args()
    done, failed = results.read(small=options.small).get("sections", {}), []
    for name in options.sections or SECTIONS:
        if options.resume and done.get(name, {}).get("commit") == results.commit():
            print(f"{name}: measured already", flush=True)
            continue
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        try:
            SECTIONS[name](options.peers, small=options.small)
        except Exception:  # noqa: BLE001 - the other sections are worth having
            traceback.print_exc()
            failed.append(name)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else f"saved in {results.place(small=options.small).relative_to(results.ROOT)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
