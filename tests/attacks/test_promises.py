"""The pages that say what is promised and attacked name tests that there are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "SECURITY.md", ROOT / "docs/reference/promises.md", ROOT / "docs/attacks.md"]
NAMED = re.compile(r"`(tests/[\w/]+\.(?:py|rs))(?:::(\w+))?`")


def names_in(path):
    """The names of the tests in a file, those of classes made by a state machine included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    return functions | {
        name.id for node in tree.body if isinstance(node, ast.Assign) for name in node.targets if isinstance(name, ast.Name)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_is_there(page):
    """Its file, and its name in it."""
    for file, name in NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / file).is_file(), file
        assert not name or name in names_in(ROOT / file), f"{file}::{name}"


def test_every_promise_and_every_attack_has_a_test():
    """No row of a table is without one."""
    for page in PAGES[1:]:
        rows = [line for line in page.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?!-|promise|attack)", line)]
        assert len(rows) > 15, page.name
        assert [row for row in rows if not NAMED.search(row)] == []
