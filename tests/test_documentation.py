"""README and docs do what they say: snippets run, commands print what is shown, links lead somewhere.

The blocks of a page run in its order, in one folder that is empty at first. Those of ```python and ```pycon share a
namespace. In ```console blocks the commands of PROGRAMS run, on a terminal a hundred columns wide; what the page shows below
a command must be what it prints, with or without the notes for people before and after it; ``...`` stands for anything. A
block below a line ``<!-- varies: reason -->`` runs and its output is not compared; one below ``<!-- not run: reason -->`` is
left alone.
"""

import doctest
import os
import pty
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

import neardup
from neardup.cli.jobs import app
from neardup.cli.keeping import index_app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *(p for p in ROOT.glob("docs/**/*.md") if "_build" not in p.parts)])

#: Commands of the pages that are run; others are for the reader.
PROGRAMS = {"neardup", ".venv/bin/neardup", "cat", "echo", "head", "mkdir", "printf"}
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line on which that begins."""

    language: str
    text: str
    line: int
    varies: bool = False


def blocks(page, *languages, all=False):
    """The blocks of a page in these languages that are meant to run, or all of them."""
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    fence, start, above = None, 0, ""
    for number, line in enumerate(lines, 1):
        mark = re.match(r"(```+)(\S*)", line)
        if fence is None and mark:
            fence, start = mark, number
        elif fence is None:
            above = line.strip() or above
        elif mark and mark[1] == fence[1] and not mark[2]:
            if fence[2] in languages and (all or not above.startswith("<!-- not run: ")):
                varies = above.startswith("<!-- varies: ")
                found.append(Block(fence[2], "\n".join(lines[start : number - 1]) + "\n", start + 1, varies))
            fence, above = None, ""
    assert fence is None, f"{page.name}, line {start}: the block does not end"
    return found


def commands(block):
    """The commands of a console block, each with what the page shows below it; a here-document is part of its command."""
    found, end = [], None
    for line in block.text.splitlines():
        if end is not None:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
            end = None if line == end else end
        elif line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
            document = re.search(r"<<'(\w+)'$", line)
            end = document[1] if document else None
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0].removesuffix("\\") + line.strip(), [])
        elif found:
            found[-1][1].append(line)
    return [(command, "\n".join(shown)) for command, shown in found]


def terminal(command, folder):
    """Run a shell command as on a terminal: its exit code, what it printed, what it complained."""
    ours, theirs = pty.openpty()
    env = {"COLUMNS": "100", "NO_COLOR": "1", "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])}
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        printed = b""
        try:
            while piece := os.read(ours, 1 << 16):
                printed += piece
        except OSError:  # how Linux says that the terminal was closed
            pass
        complaint = process.stderr.read()
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode())
    return process.returncode, text.replace("\r\n", "\n"), complaint


def run_python(page, block, namespace):
    """Run a block of Python: it succeeds, and gives what it shows."""
    if block.language == "python":
        exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.text, namespace, page.name, str(page), block.line - 1)
    told = []
    results = doctest.DocTestRunner(optionflags=LOOSELY).run(test, out=told.append, clear_globs=False)
    namespace |= test.globs
    assert block.varies or not results.failed, "".join(told)


def run_commands(page, block, folder):
    """Run the commands of a block: they succeed, and print what it shows."""
    for command, shown in commands(block):
        ours = " && ".join(part for part in command.split(" && ") if part.split()[0] in PROGRAMS)
        if not ours:
            continue
        code, printed, complaint = terminal(ours, folder)
        assert code == 0, f"{page.name}, line {block.line}: {ours}\n{printed}{complaint}"
        if shown and not block.varies:
            notes = complaint.splitlines(keepends=True)
            seen = [printed, *("".join([*notes[:n], printed, *notes[n:]]) for n in range(len(notes) + 1))]
            same = any(doctest.OutputChecker().check_output(shown + "\n", text, LOOSELY) for text in seen)
            assert same, f"{page.name}, line {block.line}: {ours}\n{printed}{complaint}"


@pages
def test_examples_run(page, tmp_path, monkeypatch, request):
    """What a page shows is what happens: its Python and its commands, in its order; on a server, where it speaks of one."""
    monkeypatch.chdir(tmp_path)
    if "$NEWS_DATABASE" in page.read_text(encoding="utf-8"):
        monkeypatch.setenv("NEWS_DATABASE", request.getfixturevalue("postgres").url())
    (tmp_path / ".venv").symlink_to(sys.prefix)
    namespace = {"__name__": "__main__"}
    for block in blocks(page, "python", "pycon", "console"):
        if block.language == "console":
            run_commands(page, block, tmp_path)
        else:
            run_python(page, block, namespace)


def anchor(heading):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pages
def test_links_lead_somewhere(page):
    """A link to a file finds it, a link to a heading finds that, and those of the site stay on it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if page.is_relative_to(DOCS):
            assert file.resolve().is_relative_to(DOCS), f"{page.name} links to {target}, which is not on the site"
        if heading and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), f"{page.name} links to {target}"


def test_the_reference_has_every_public_name():
    """docs/reference/library.md describes every public name."""
    page = (DOCS / "reference" / "library.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"neardup\.(\w+)(?=\(\)$|$|`)", page, re.MULTILINE))
    assert set(neardup.__all__) <= shown, set(neardup.__all__) - shown


def test_the_reference_has_every_command():
    """docs/reference/command-line.md lists the commands, no more and no fewer, each below its heading."""
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    shown = re.findall(r"^## neardup (.+)\n\n```\{command-help\} \1\n```$", page, re.MULTILINE)
    own = [name.name or name.callback.__name__ for name in app.registered_commands if name.callback]
    kept = [f"index {name.name or name.callback.__name__}" for name in index_app.registered_commands if name.callback]
    assert sorted(shown) == sorted(own + kept)
    assert len(shown) == page.count("\n## ")


def test_pictures_are_drawn_the_same_again(tmp_path):
    """The script of the pictures draws all that are committed, and twice the same; each is on a page, which says what is to be seen."""
    script, folder = DOCS / "explanation" / "pictures.py", DOCS / "explanation" / "pictures"
    drawn = [tmp_path / name for name in ("once", "again")]
    for out in drawn:
        subprocess.run([sys.executable, script, out], check=True)
    names = sorted(path.name for path in folder.iterdir())
    for out in drawn:
        assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        assert (drawn[0] / name).read_bytes() == (drawn[1] / name).read_bytes()
        text = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("explanation/*.md"))
        assert re.search(rf"!\[[^\]]{{40,}}\]\(pictures/{re.escape(name)}\)", text), name


README_COMMANDS = [command for block in blocks(ROOT / "README.md", "console", all=True) for command, _ in commands(block)]


def test_the_first_command_of_the_readme_finds_something(tmp_path):
    """What a newcomer runs first prints a table of near-duplicates, whatever is installed."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    code, printed, complaint = terminal(README_COMMANDS[0].split(" && ")[-1], tmp_path)
    assert code == 0, complaint
    assert len(re.findall(r"^ +(?:0\.[89]|1\.0)\d\d  \S+", printed, re.MULTILINE)) >= 2, printed


def test_ci_runs_the_command_of_the_readme():
    """The last line of .ci/run is, letter for letter, a command that README.md shows."""
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] in README_COMMANDS


def test_contributing_names_every_verb():
    """CONTRIBUTING.md lists the verbs of the justfile, no more and no fewer."""
    verbs = re.findall(r"^([a-z][a-z-]*)(?: \*\w+)?:(?!=)", (ROOT / "justfile").read_text(encoding="utf-8"), re.MULTILINE)
    listed = re.findall(r"^\| `just ([a-z-]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(set(verbs) - {"default"})
