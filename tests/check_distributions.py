"""Checks what would be published: ``check_distributions.py FOLDER [--suite] [--oldest]``.

The wheel: its name, size and contents, the symbols that it asks of Linux (auditwheel) and of Python (abi3audit); installed in an empty
environment outside of the repository it does its work, and imports quickly. The source distribution: unpacked elsewhere it builds, with
nothing but Rust. ``--suite`` runs the whole test suite on the installed wheel, from copies of the tests; ``--oldest`` with the oldest
numpy and pyarrow that pyproject.toml allows.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST = 3 << 20
#: What the tests read beside themselves.
BESIDE = [
    *("tests", "benchmarks", "docs", ".ci", "changelog.d"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "justfile", "pyproject.toml"),
]
#: Lowest versions, of which the binary parts matter.
OLDEST = ["numpy==1.26.*", "pyarrow==18.*"]
WORK = """
import sys, time
start = time.thread_time()
import numpy
numpy_done = time.thread_time()
import neardup
every = [getattr(neardup, name) for name in neardup.__all__]
done = time.thread_time()
assert "/site-packages/" in neardup.__file__, neardup.__file__
texts = ["one two three four five six", "One, two, three, four, five, six!", "other words"]
assert neardup.deduplicate(texts).kept == [0, 2]
index = neardup.Index()
index.add_many("abc", texts)
assert [match.id for match in index.query(texts[0])] == ["a", "b"]
print(f"{1000 * (done - numpy_done):.1f} ms to import every name beyond numpy {numpy.__version__}, Python {sys.version.split()[0]}")
"""
#: Milliseconds, as tests/test_layering.py has it.
QUICK = 30


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; the end where it fails."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-60_000:]}{done.stderr[-4000:]}")
    return done.stdout + done.stderr


def only(folder: Path, pattern: str) -> Path:
    """The one file of a pattern."""
    (found,) = folder.glob(pattern)
    return found


def check_contents(wheel: Path) -> None:
    """The name says what it runs on, and nothing is in it that does not belong."""
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 2**20:.2f} MB")
    assert size < MOST, f"{size} bytes, at most {MOST}"
    assert re.fullmatch(r"neardup-[\d.]+-cp310-abi3-(manylinux[\w.]+|macosx\w+|win\w+)\.whl", wheel.name), wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("neardup/py.typed", "neardup/_kernels.pyi", "neardup/interop/datasketch.py"):
        assert name in names, f"{name} is missing"
    assert any(name.endswith("licenses/LICENSE") for name in names)
    strange = [name for name in names if not name.startswith(("neardup/", "neardup-"))]
    assert not strange, strange


def check_symbols(wheel: Path) -> None:
    """What the binary asks of the system and of Python is what its name promises."""
    shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
    print("auditwheel:", *re.findall(r'platform tag: "([^"]+)"', " ".join(shown.split())))
    print(run(sys.executable, "-m", "abi3audit", "--strict", "--summary", wheel).strip() or "abi3audit: nothing amiss")


def environment(folder: Path, *packages: str | Path) -> Path:
    """The Python of a new environment with these packages."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", *packages)
    return python


def check_installed(wheel: Path, folder: Path) -> None:
    """The wheel alone, with what it depends on, does its work."""
    python = environment(folder / "alone", wheel)
    shown = []
    for attempt in range(60):  # the first compiles; a machine that others use is slow for a minute at a time
        time.sleep(min(attempt // 7, 5))
        shown.append(run(python, "-I", "-c", WORK, cwd=folder).strip())
        quickest = min(shown, key=lambda line: float(line.split()[0]))
        if attempt >= 6 and float(quickest.split()[0]) < QUICK:
            break
    print(f"installed alone: {quickest}")
    assert float(quickest.split()[0]) < QUICK, f"{quickest}, at most {QUICK} ms"


def check_source(sdist: Path, folder: Path) -> None:
    """The source distribution holds what it needs, and its wheel does its work."""
    print(f"{sdist.name}: {sdist.stat().st_size / 2**20:.2f} MB")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = next(path for path in folder.iterdir() if path.is_dir())
    python = environment(folder / "environment", unpacked)
    print(f"built from source: {run(python, '-I', '-c', WORK, cwd=folder).strip()}")


def check_suite(wheel: Path, folder: Path, *, oldest: bool) -> None:
    """Every test, run on the installed wheel from copies: what they import is the wheel, what they read is the copy."""
    folder.chmod(0o755)  # some tests go on as another user
    python = environment(folder / "suite", f"{wheel}[test]", *(OLDEST if oldest else []))
    home = folder / "copy"
    home.mkdir()
    if (ROOT.parent / "shared").is_dir():
        (folder / "shared").symlink_to((ROOT.parent / "shared").resolve())
    for name in BESIDE:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, home / name)
    # The sources are read by the tests of style; without the compiled module they cannot be imported by mistake.
    shutil.copytree(ROOT / "src", home / "src", ignore=shutil.ignore_patterns("target", "*.so", "__pycache__"))
    versions = "import neardup, numpy, pyarrow; assert 'site-packages' in neardup.__file__; print(numpy.__version__, pyarrow.__version__)"
    print("whole suite with numpy and pyarrow", run(python, "-I", "-c", versions, cwd=home).strip(), flush=True)
    shown = run(python, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-p", "no:benchmark", "tests", cwd=home)
    print(shown.strip().splitlines()[-1])


def main() -> None:
    """Check the wheel and the source distribution of a folder."""
    folder, options = Path(sys.argv[1]), set(sys.argv[2:])
    wheel, sdist = only(folder, "*.whl").resolve(), only(folder, "*.tar.gz").resolve()
    with tempfile.TemporaryDirectory() as outside:
        check_contents(wheel)
        check_symbols(wheel)
        check_installed(wheel, Path(outside))
        (Path(outside) / "source").mkdir()
        check_source(sdist, Path(outside) / "source")
        if "--suite" in options or "--oldest" in options:
            check_suite(wheel, Path(outside), oldest="--oldest" in options)


if __name__ == "__main__":
    main()
