"""The kernels under libFuzzer, built by cargo alone: any bytes as texts and as arrays.

::

    python tests/attacks/fuzz_kernels.py TARGET [flags of libFuzzer]

What a target does is said in ``src/kernels/fuzz/fuzz_targets``. The compiler's own coverage is asked for by flags that it only takes
with ``RUSTC_BOOTSTRAP=1``; no nightly toolchain and no other tool is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CRATE = Path(__file__).parents[2] / "src" / "kernels" / "fuzz"
CORPUS = Path(__file__).parent / "corpus"
#: What each edge of the program counts, as libFuzzer wants it.
FLAGS = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
]
#: How long an input may be: short ones are quick, and all that a text can be is in a few characters.
LENGTHS = {"text": 64, "paths": 4096, "arrays": 512}
TEXTS = [
    "The Committee will meet on Monday at 10.30, in room_9.",
    "e\u0301\u0323 \u00e9 \u1e9b\u0323 \ufb01 \u212b \u0130",
    "\u6211\u4eec \u0e01\u0e47 \uac01 \u1100\u1161\u11a8",
    "\u0915\u094d\u0937 \u200d\u200b\ufeff\u00ad",
    "\U0001f600\U0001d400\U000e0100",
    "a" * 40,
]
SEEDS = {
    "text": [bytes([flags]) + text.encode() for flags in (8, 9) for text in TEXTS] + [b"\x08\xed\xa0\x80\xff\xe2\x82 \xf4\x90\x80\x80"],
    "paths": [bytes([flags, 4, 5, 0, cut, 0]) + text.encode() for flags in (0, 3) for cut in (0, 20, 99) for text in TEXTS[:2]],
    "arrays": [bytes([kind]) + bytes(range(1, 200)) for kind in range(2)] + [bytes([kind]) + bytes([2, 1]) * 80 for kind in range(2)],
}


def build() -> Path:
    """Build the targets, in a folder of their own; where they are."""
    host = next(line.split()[1] for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines() if line.startswith("host"))
    # With a named target the flags are not those of build scripts, which are no part of the program.
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", str(CRATE / "Cargo.toml"), "--target", host]
    environment = os.environ | {
        "RUSTC_BOOTSTRAP": "1",
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(FLAGS),
        "CARGO_TARGET_DIR": str(CRATE / "target"),
    }
    subprocess.run(command, env=environment, check=True)
    return CRATE / "target" / host / "release"


def run(target: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Fuzz a target that was built, until a flag says otherwise; what it says goes to standard error."""
    with tempfile.TemporaryDirectory(prefix="neardup-fuzz-") as folder:
        for i, seed in enumerate(SEEDS[target]):
            Path(folder, str(i)).write_bytes(seed)
        kept = CORPUS / target
        found = Path(tempfile.gettempdir()) / f"neardup-{target}-"
        options = [f"-max_len={LENGTHS[target]}", "-timeout=60", f"-artifact_prefix={found}", *flags, folder]
        return subprocess.run([build() / target, *options, *([kept] if kept.is_dir() else [])], text=True, check=False)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in LENGTHS:
        sys.exit(run(*sys.argv[1:]).returncode)
    print(f"usage: fuzz_kernels.py TARGET [flags of libFuzzer, like -runs=1000000]; a target is one of {', '.join(LENGTHS)}")
    sys.exit(2)
