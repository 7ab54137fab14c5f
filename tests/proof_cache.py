"""Texts of others that proofs need: fetched into a cache outside the project, NEARDUP_PROOFS or ~/.cache/neardup-proofs."""

import os
import subprocess
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("NEARDUP_PROOFS", Path.home() / ".cache" / "neardup-proofs"))


def fetched(pattern, *command):
    """A file in the cache, which a command puts there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not list(CACHE.glob(pattern)):
        done = subprocess.run(command, cwd=CACHE, capture_output=True, check=False)
        if done.returncode or not list(CACHE.glob(pattern)):
            pytest.skip(f"{pattern} cannot be fetched: {done.stderr.decode()[-200:]}")
    return next(CACHE.glob(pattern))
