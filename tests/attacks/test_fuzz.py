"""Fuzzing, guided by coverage: kernels on any bytes and arrays, and everything that reads a file, an address or a sketch.

Short runs begin with fixed seeds; the long ones are those whose figures the documentation has.
"""

import os
import platform
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import fuzz_kernels
import pytest

FORMATS = ("jsonl", "csv", "tsv", "parquet", "arrow", "documents", "segments", "catalog", "rows", "addresses", "signatures")
#: How many executions the short runs have: some seconds each.
SHORT = {"text": 200_000, "paths": 5_000, "arrays": 100_000} | dict.fromkeys(FORMATS, 1_500) | {"addresses": 8_000, "signatures": 8_000}
DRIVER = Path(__file__).with_name("fuzz_formats.py")
DONE = re.compile(r"Done (\d+) runs in (\d+) second")
COVERAGE = re.compile(r"cov: (\d+) ft: (\d+)")


def published():
    """Whether there is an atheris for this Python, as pyproject.toml says."""
    linux = sys.platform == "linux" and platform.machine() == "x86_64" and platform.python_implementation() == "CPython"
    return linux and (3, 11) <= sys.version_info[:2] < (3, 15)


def fuzzed(command, runs, record_property):
    """Run a target so many times; what it reached."""
    command = [*map(str, command), f"-runs={runs}", "-print_final_stats=1"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    said = done.stderr
    found = DONE.search(said)
    if "parquet" in command and "terminate called after throwing" in said:
        pytest.xfail("Arrow ends the process for some damaged files of Parquet, as docs/attacks.md says")
    assert done.returncode == 0, "\n".join(said.splitlines()[-40:])
    assert found, said[-2000:]
    executions, seconds = map(int, found.groups())
    edges, features = map(int, COVERAGE.findall(said)[-1])
    assert executions >= runs
    for name, value in (("executions", executions), ("seconds", seconds), ("edges", edges), ("features", features)):
        record_property(name, value)
    return edges


@pytest.fixture(scope="session")
def built():
    """The kernels' targets; cargo lets one of several workers build them, and the others wait for it."""
    try:
        fuzz_kernels.build()
    except FileNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("there is no cargo")


@pytest.fixture
def fuzzer():
    """The fuzzer for Python."""
    if find_spec("atheris") is None:
        if os.environ.get("CI") and published():
            pytest.fail("atheris is not installed: pip install -e '.[test]'")
        pytest.skip("atheris is not installed, or not published for this Python")


@pytest.mark.parametrize("target", fuzz_kernels.LENGTHS)
def test_kernels(target, built, record_property):
    """No panic, nothing read or written out of bounds, the same on every path: whatever the bytes."""
    fuzzed([sys.executable, fuzz_kernels.__file__, target, "-seed=20261126"], SHORT[target], record_property)


@pytest.mark.parametrize("target", FORMATS)
def test_formats(target, fuzzer, record_property):
    """An answer, or an error of neardup in few words; no other exception, no hang, no gigabytes, no other file opened."""
    fuzzed([sys.executable, DRIVER, target, "-seed=20261126"], SHORT[target], record_property)


@pytest.mark.attack
@pytest.mark.parametrize("target", fuzz_kernels.LENGTHS)
def test_kernels_for_long(target, built, record_property):
    """Fifty million executions of the text kernel, ten of the rest."""
    fuzzed(
        [sys.executable, fuzz_kernels.__file__, target],
        {"text": 50_000_000, "arrays": 10_000_000, "paths": 10_000_000}[target],
        record_property,
    )


@pytest.mark.attack
@pytest.mark.parametrize("target", FORMATS)
def test_formats_for_long(target, fuzzer, record_property):
    """Five million executions of each format."""
    fuzzed([sys.executable, DRIVER, target], 5_000_000, record_property)


def test_every_format_is_fuzzed(fuzzer):
    """The driver lists what is tested here."""
    said = subprocess.run([sys.executable, DRIVER], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert f"one of {', '.join(FORMATS)}\n" in said.stdout
