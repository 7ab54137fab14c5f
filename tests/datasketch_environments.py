"""Environments of their own for versions of datasketch, made once, and conversations with what runs in them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import neardup
from neardup import MinHash, Shingling

SCHEMES = ["affine32", "affine64", "legacy"]
#: Every scheme with every hash that it takes.
COMBINATIONS = [(scheme, name) for scheme in SCHEMES for name in ("sha1", "xxh32", "xxh64") if (scheme, name) != ("affine32", "xxh64")]
#: What is installed beside datasketch in each.
VERSIONS = {"1.6": ["datasketch==1.6.5", "numpy<2"], "2": ["datasketch>=2,<3", "numpy"]}
#: Every version with the schemes that it has, and their hashes.
THERE = [(version, *pair) for version in VERSIONS for pair in COMBINATIONS if version != "1.6" or pair[0] == "legacy"]
SESSION = Path(__file__).with_name("datasketch_session.py")


def python_of(version: str, folder: Path) -> Path:
    """The Python of an environment in ``folder``, which is made by the first that asks."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / version
    with (folder / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
            pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "-q", "xxhash", *VERSIONS[version]]
            done = subprocess.run(pip, check=False, capture_output=True, text=True)
            assert done.returncode == 0, f"datasketch {version} could not be installed:\n{done.stderr}"
            (home / "ready").touch()
    return home / "bin" / "python"


class Conversation:
    """A process with datasketch that answers requests, as tests/datasketch_session.py says."""

    def __init__(self, python: Path) -> None:
        self.python = python

    @cached_property
    def process(self) -> subprocess.Popen[str]:
        """The process, begun at the first request. neardup is at the end of its path: all else is its environment's."""
        home = str(Path(neardup.__file__).parents[1])
        # The folder of the script, where other tests are, is not on the path.
        code = f"import sys, runpy; sys.path.append({home!r}); runpy.run_path({str(SESSION)!r}, run_name='__main__')"
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.Popen(
            [self.python, "-I", "-W", "error", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def ask(self, do: str, **request: Any) -> Any:
        """The answer to a request."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process with datasketch has ended; its complaint is above"
        return json.loads(answer)

    def close(self) -> None:
        """End the process, if there is one."""
        if "process" in vars(self):
            with self.process as process:
                assert process.stdin is not None
                process.stdin.close()


def many_tokens(ask: Any, combination: tuple[str, Any, Any], tokens: int, num_perm: int) -> None:
    """A document of so many tokens is signed as a version of datasketch signs it by a scheme and a hash."""
    version, scheme, token_hash = combination
    document = [f"{i * i} ünd {i}" for i in range(tokens)]
    request = {"scheme": scheme, "token_hash": token_hash, "num_perm": num_perm, "seed": tokens}
    theirs = ask(version, "sign", documents=[[token.encode().hex() for token in document]], **request)
    minhash = MinHash(num_perm, tokens, Shingling(size=1), f"datasketch-{scheme}", token_hash)
    assert minhash.sign_tokens_many([document]).values.tolist() == theirs
