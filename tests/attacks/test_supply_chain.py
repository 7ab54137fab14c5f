"""What neardup depends on is little, pinned, from where it should be, and listed with its licence."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
CRATE = ROOT / "src/kernels"
PAGE = ROOT / "docs/reference/dependencies.md"


def crates():
    """What the crate is built of: of every package what cargo says of it."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--features=python", "--manifest-path", CRATE / "Cargo.toml"]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return [package for package in said["packages"] if package["name"] != "neardup-kernels"]


def listed(heading):
    """The names and licences in a table of the page."""
    _, _, rest = PAGE.read_text().partition(f"## {heading}\n")
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", rest.partition("\n## ")[0], re.MULTILINE))


def test_crates_come_from_one_place_with_known_licences():
    """All from the public registry, with checksums in the lock file, each with a licence that the crate allows."""
    allowed = set(tomllib.loads((CRATE / "deny.toml").read_text())["licenses"]["allow"])
    for package in crates():
        assert package["source"] == "registry+https://github.com/rust-lang/crates.io-index", package["name"]
        choices = re.split(r" OR |/", package["license"].replace("(", "").replace(")", ""))
        assert (
            any(set(choice.split(" AND ")) <= allowed for choice in choices)
            or {part for choice in choices for part in choice.split(" AND ")} <= allowed
        ), f"{package['name']}: {package['license']}"
    locked = tomllib.loads((CRATE / "Cargo.lock").read_text())["package"]
    assert [package["name"] for package in locked if "checksum" not in package] == ["neardup-kernels"]
    assert len({package["name"] for package in locked}) == len(locked)  # of each one version


def test_what_is_depended_on_is_listed_with_its_licence():
    """The page names each crate that the extension is linked from, and each package that is installed with it."""
    direct = tomllib.loads((CRATE / "Cargo.toml").read_text())["dependencies"]
    licences = {package["name"]: package["license"] for package in crates()}
    assert listed("Crates") == {name: licences[name] for name in direct}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(listed("Packages")) == {re.match(r"[\w-]+", package)[0] for package in packages}
    assert all(metadata.version(name) for name in listed("Packages"))


def test_nothing_of_others_is_kept_here():
    """No package, library or archive that somebody downloaded or built is among the files of the project, and no path of one machine."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert [name for name in files if re.search(r"\.(whl|so|a|o|pyd|dll|exe|tar|tgz|zip|jar|pyc)$", name)] == []
    results = [name for name in files if name.startswith(("docs/proofs/", "docs/attacks/", "benchmarks/results/"))]
    assert results
    home = re.compile(r"/(root|(home|Users)/\w+)/")
    assert [name for name in results if home.search((ROOT / name).read_text(encoding="utf-8"))] == []


def test_what_runs_in_the_end_is_little():
    """Six packages and seven crates; who adds one changes this number, and says why in docs/adr."""
    assert len(listed("Packages")) == 6
    assert len(listed("Crates")) == 7
    assert len(crates()) < 60
