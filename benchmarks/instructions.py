"""Instruction counts of the kernels against committed ones: `just instructions`, a gate of CI.

Counts, unlike times, are the same on a busy machine. Valgrind hides AVX-512, so the AVX2 and portable paths stand for it.

    python benchmarks/instructions.py            compare, and fail beyond 10 %
    python benchmarks/instructions.py --write    make today's counts the committed ones
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CRATE = Path(__file__).parents[1] / "src" / "kernels"
BASELINE = Path(__file__).with_name("instructions.json")
JOBS = ("sign", "sign-cyrillic", "query")
PATHS = ("portable", "avx2")
TOLERANCE = 0.10


def build() -> Path:
    """Build the program; where it is."""
    command = ["cargo", "build", "--release", "--locked", "--example", "instructions", "--message-format", "json"]
    messages = subprocess.run(command, cwd=CRATE, check=True, capture_output=True, text=True).stdout.splitlines()
    built = [
        m["executable"] for m in map(json.loads, messages) if m.get("target", {}).get("name") == "instructions" and m.get("executable")
    ]
    return Path(built[-1])


def count(program: Path, job: str, path: str) -> int:
    """The instructions of one job on one path."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), job, path]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", run.stderr)[1])


def main() -> int:
    """Count, and compare or write."""
    if shutil.which("valgrind") is None:
        print("instruction counts need valgrind; install it, on Debian: apt-get install valgrind")
        return int("CI" in os.environ)  # elsewhere the other tests are worth running without it
    program = build()
    counts = {f"{job} {path}": count(program, job, path) for job in JOBS for path in PATHS}
    if "--write" in sys.argv:
        BASELINE.write_text(json.dumps(counts, indent=4) + "\n")
        return 0
    committed = json.loads(BASELINE.read_text())
    worse = 0
    for name, now in counts.items():
        change = now / committed[name] - 1
        worse += change > TOLERANCE
        print(f"{name:24} {now:15,} instructions {change:+8.1%}{'  beyond 10 %' if change > TOLERANCE else ''}")
    if worse:
        print("slower: mend it, or accept it by `python benchmarks/instructions.py --write` and say why in the commit")
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main())
