"""The command line, on a terminal and in a pipe: what it shows, what it refuses, how it ends."""

import contextlib
import errno
import fcntl
import gc
import gzip
import inspect
import io
import json
import os
import pty
import random
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import sysconfig
import tempfile
import termios
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

import neardup
from neardup import cli, writing
from neardup.alignment import aligned
from neardup.cli import beside, corpus, jobs, judging, terminal, wording

SEEDS = Path(__file__).parents[2] / "shared" / "seeds"
COMMAND = Path(sysconfig.get_path("scripts")) / "neardup"
PROGRAM = (
    [str(COMMAND)]
    if COMMAND.exists()
    else [sys.executable, "-c", "import sys; sys.argv[0] = 'neardup'; from neardup.cli import main; main()"]
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

MONDAY = "The committee will meet on Monday at ten in the town hall to vote on next year's budget."
EDITED = "The committee will meet on Monday at ten in the town hall to vote on next year's plans."
SHOUTED = "THE COMMITTEE will meet on Monday, at ten, in the town hall, to vote on next year's budget!"
RAIN = "Rain is expected for most of the week, and by Thursday the river will be over its banks again."
NEWS = [{"id": "m", "text": MONDAY}, {"id": "r", "text": RAIN}, {"id": "e", "text": EDITED}, {"id": "s", "text": SHOUTED}]
#: What a terminal could act on, or markup.
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x9b31mred",
    "\x1b]0;title\x07",
    "a\r\nb",
    "[bold]b[/bold]",
    "[/]",
    ":smile:",
    "\u202eabc",
    "\ud800",
    "end\\",
]


class Done(NamedTuple):
    """How a run ended, and what came out."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A new folder, the current one, so that paths are short; temporary files go into another, and none may stay there."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "PYTHONIOENCODING", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    yield here
    assert not [*here.rglob(".*.part"), *temporary.iterdir()], "something half written was left behind"


@pytest.fixture
def run(monkeypatch, capfdbinary):
    """Run the command in this process, into a pipe as it were: its exit code, and what it wrote."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["neardup", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        out, err = capfdbinary.readouterr()
        return Done(leaving.value.code, out.decode(), err.decode())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def start(*arguments, program=PROGRAM, **options):
    """Start the command as a process."""
    return subprocess.Popen([*program, *map(str, arguments)], **options)


def process(*arguments, **options):
    """Run the command as a process."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    with start(*arguments, **options) as running:
        out, err = running.communicate(timeout=60)
    return Done(running.returncode, (out or b"").decode(), (err or b"").decode())


def shell(line, **options):
    """Run a line of bash, which knows the command as `neardup`: its exit code with pipefail, and what came out."""
    script = f'set -o pipefail; program=("$@"); neardup() {{ "${{program[@]}}" "$@"; }}; {line}'
    done = subprocess.run(["bash", "-c", script, "bash", *PROGRAM], check=False, capture_output=True, timeout=60, **options)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(*arguments, columns=80, until=None, typed=b"", **options):
    """Run the command on a terminal, perhaps until it shows a word; ``out`` is all that reached it, colours and movements too."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with start(*arguments, **{"stdin": theirs, "stdout": theirs, "stderr": theirs} | options) as running:
        os.close(theirs)
        os.write(ours, typed)
        shown = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while part := os.read(ours, 65536) if select.select([ours], [], [], 60)[0] else running.kill():
                shown += part
                if until and until.encode() in shown:
                    running.send_signal(signal.SIGINT)
                    until = None
    os.close(ours)
    return Done(running.returncode, shown.decode(), "")


def without_colours(text):
    """What is seen of a text: no escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def screen(text):
    """The lines that stay on a terminal: no bars, which are taken away when they are done."""
    rest = re.sub(r"(?s)\x1b\[\?25l.*\x1b\[\?25h(\r?\x1b\[1A\x1b\[2K)*", "", text)
    return [line.rstrip() for line in without_colours(rest).replace("\r", "").splitlines() if line.strip()]


def jsonl(*records):
    """Lines of JSON."""
    return "".join(json.dumps(record) + "\n" for record in records)


def put(name, data):
    """Write a file, and say its name."""
    Path(os.fsdecode(name)).parent.mkdir(parents=True, exist_ok=True)
    Path(os.fsdecode(name)).write_bytes(data if isinstance(data, bytes) else data.encode())
    return name


def rows(done):
    """The rows of a run that ended well."""
    assert done.code == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture
def news():
    """A file of four short stories; the third is near the first, the fourth a copy of it."""
    return put("news.jsonl", jsonl(*NEWS))


@pytest.fixture(scope="session")
def many():
    """Lines enough for bars."""
    some = random.Random(2)
    words = [f"w{i}" for i in range(997)]
    return jsonl(*({"id": i, "text": " ".join(some.choices(words, k=60))} for i in range(12_000)))


# ---- the newcomer --------------------------------------------------------------------------------------------------------


def test_the_bare_command_welcomes(run):
    """`neardup` alone says what it is, two commands to start with, and all commands; that is no error."""
    done = run()
    assert (done.code, done.err) == (0, "")
    for words in ("raw text in, verified near-duplicates out", "  neardup pairs FOLDER", "COMMAND --help says the rest"):
        assert words in done.out
    for command in ("dedup", "pairs", "query", "compare", "tune"):
        assert re.search(rf"│ {command} +[A-Z]", done.out)


@pytest.mark.parametrize("command", ["dedup", "pairs", "query", "compare"])
def test_each_command_explains_itself_with_examples(command):
    """`neardup COMMAND -h` and `--help` give examples and every option, each explained, within 80 columns."""
    done = CliRunner().invoke(cli.app, [command, "--help"], prog_name="neardup", env={"COLUMNS": "80"})
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert f"Examples:\n   neardup {command} " in re.sub(" +\n", "\n", done.stdout)
    for option in ("--threshold", "--tokens", "--size", "--fail-on-duplicates", "--quiet"):
        assert re.search(rf"{option}\b.* [A-Z][a-z]+", done.stdout)
    assert CliRunner().invoke(cli.app, [command, "-h"], prog_name="neardup", env={"COLUMNS": "80"}).stdout == done.stdout


def commands():
    """Every command, by the words that call it."""
    group = typer.main.get_command(cli.app)
    yield from (([], group), (["index"], group.commands["index"]))
    yield from (([name], command) for name, command in group.commands.items() if name != "index")
    yield from ((["index", name], command) for name, command in group.commands["index"].commands.items())


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=lambda words: " ".join(words) if isinstance(words, list) else "")
def test_a_help_text_is_shown_as_it_is_written(words, command):
    """No word of it is markup: what stands in brackets is there; a flag takes no value, and none is shown."""
    shown = CliRunner().invoke(cli.app, [*words, "--help"], prog_name="neardup", env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).stdout
    for parameter in command.params:
        said = (parameter.help or "").replace("\\[", "[")
        assert said in re.sub(r" +", " ", shown)
    assert "<bool>" not in shown


def examples():
    """The lines of the examples in the help texts."""
    for command in (corpus.dedup, corpus.pairs, corpus.query, judging.compare, judging.tune, judging.evaluate):
        yield from (line.strip() for line in inspect.getdoc(command).partition("Examples:\n")[2].splitlines())


@pytest.mark.parametrize("example", list(examples()))
def test_every_example_runs(run, news, example):
    """The examples in the help texts are no decoration: each one runs as it stands."""
    for name in (
        "a.txt",
        "new-story.txt",
        "draft.txt",
        "draft.md",
        "published.txt",
        "old.py",
        "new.py",
        "essays/b.txt",
        "essays/d.txt",
        "thesis/chapters/c.tex",
    ):
        put(name, MONDAY)
    put("archive.jsonl", jsonl(*NEWS))
    put("judged.csv", "a,b,duplicate\nm,s,1\nm,r,0\n")
    put("pages.jsonl", jsonl(*({**story, "story": story["id"] == "r"} for story in NEWS)))
    put("feb.jsonl", jsonl(*NEWS))
    put("pages.jsonl.gz", gzip.compress(jsonl(*NEWS).encode()))
    texts = [story["text"] for story in NEWS]
    for name in ("jan", "feb", "news"):
        pq.write_table(pa.table({"url": [f"{name}/{i}" for i in range(4)], "body": texts}), f"{name}.parquet")
    if re.search("[|>]", example):
        done = shell(example)
    else:
        words = [sorted(map(str, Path().glob(word))) if word == "*.txt" else [word] for word in shlex.split(example)[1:]]
        done = run(*(word for group in words for word in group))
    assert done.code == ("--fail-on-duplicates" in example and "thesis" not in example), done


def test_an_evaluation_is_told(run, news):
    """Scores and wrong pairs as JSON lines; the best setting in words."""
    put("judged.csv", "a,b,duplicate\nm,s,1\nm,r,0\n")
    done = run("evaluate", "news.jsonl", "--labels", "judged.csv", "--profile", "text", "-t", "0.9")
    assert [row["kind"] for row in rows(done)] == ["score"]
    assert "1 pair labelled as duplicates\n" in done.err
    assert "best: --profile text --threshold 0.9, F1 1.000, 0 pairs wrong\n" in done.err


@pytest.mark.parametrize("documents", ["ids.csv", "ids.jsonl"])
@pytest.mark.parametrize("labels", ["judged.csv", "judged.jsonl"])
def test_labels_name_numbers_as_the_documents_do(run, documents, labels):
    """Ids of CSV are text and those of JSONL may be numbers: whatever the labels have, the same document is meant."""
    put("ids.csv", f'id,text\n1,"{MONDAY}"\n2,"{SHOUTED}"\n007,"{RAIN}"\n')
    put("ids.jsonl", jsonl(*({"id": id, "text": text} for id, text in ((1, MONDAY), (2, SHOUTED), ("007", RAIN)))))
    put("judged.csv", "a,b,duplicate\n1,2,1\n1,007,0\n")
    put("judged.jsonl", jsonl({"a": 1, "b": 2, "duplicate": True}))
    done = run("evaluate", documents, "--labels", labels, "--profile", "text", "-t", "0.9")
    assert done.code == 0
    assert "1 pair labelled as duplicates\n" in done.err


def test_the_best_settings_may_tie(run, news):
    """Of equal ones all are named; what has no value has no column."""
    put("judged.csv", "a,b,duplicate\nm,s,1\nm,e,1\nm,r,0\n")
    options = "evaluate", "news.jsonl", "--labels", "judged.csv", "--profile", "text"
    done = run(*options, "-t", "0.6", "-t", "0.7", "-t", "0.8", "-t", "0.9")
    assert "best: --profile text --threshold 0.6, F1 1.000, 0 pairs wrong\nas good: text at 0.6 to 0.8\n" in done.err
    assert "as good" not in run(*options, "-t", "0.8", "-t", "0.9").err
    assert "as good: text at 0.8, short at 0.8" in run(*options, "--profile", "short", "-t", "0.8").err
    shown = "\n".join(screen(on_terminal(*options, "-t", "0.8", columns=100).out))
    assert " F1  pairs" in shown
    put("whole.csv", "a,b\nm,s\n")
    assert " F1    ARI  pairs" in "\n".join(screen(on_terminal(*options[:3], "whole.csv", "-t", "0.8", columns=100).out))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "labels come from --labels FILE or from --group COLUMN; give one of them"),
        (["--labels", "nowhere.csv"], "nowhere.csv: no such file; check the path"),
        (["--labels", "labels.txt"], "labels are in labels.txt; they are read from .jsonl, .csv or .parquet"),
        (["--labels", "other.csv"], "other.csv has no column 'b'; its columns are a, c"),
        (["--labels", "odd.csv"], "a label says 'yes' of 'm' and 's'; it is true or false, 1 or 0"),
    ],
)
def test_labels_that_cannot_be_read(run, news, words, said):
    """The fact, the value, the remedy."""
    put("other.csv", "a,c\n1,2\n")
    put("odd.csv", "a,b,duplicate\nm,s,yes\n")
    done = run("evaluate", "news.jsonl", *words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("plot", "said"),
    [("plot.txt", "plot.txt: not a format to draw; end the name in ."), ("none/plot.svg", "none/plot.svg: its folder does not exist")],
)
def test_a_plot_that_cannot_be_drawn_is_refused_first(run, news, plot, said):
    """Before the labels are looked for."""
    done = run("evaluate", "news.jsonl", "--labels", "nowhere.csv", "--plot", plot)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_profiles_on_the_command_line(run, news):
    """What a profile sets is used and printed; an index keeps it; a containment is asked for."""
    assert run("pairs", "news.jsonl", "--profile", "short").code == 0
    assert run("index", "add", "short.neardup", "news.jsonl", "--profile", "short").code == 0
    (stats,) = rows(run("index", "stats", "short.neardup"))
    assert (stats["profile"], stats["threshold"]) == ("short", 0.55)
    put("part.txt", MONDAY)
    assert rows(run("index", "query", "short.neardup", "part.txt", "--measure", "containment"))
    assert run("dedup", "news.jsonl", "--profile", "excerpt", "--dry-run").code == 0
    put("whole.txt", "it began so and went on for a while " + MONDAY + " and then there was more of it than one could read")
    assert rows(run("compare", "part.txt", "whole.txt", "--profile", "excerpt"))[0]["match"]
    (removed,) = rows(run("dedup", "part.txt", "whole.txt", "--profile", "excerpt"))
    assert (Path(removed["id"]).name, Path(removed["witness"]).name) == ("part.txt", "whole.txt")
    assert (
        "--profile is 'excerpt', which keeps the longer document, and --keep is 'last'"
        in run("dedup", "news.jsonl", "--profile", "excerpt", "--keep", "last").err
    )


def test_the_version_is_said(run):
    """`neardup --version` prints the name and the version."""
    assert run("--version") == Done(0, f"neardup {neardup.__version__}\n", "")


def test_the_shell_completes_commands_and_options():
    """What typer's completion asks for is answered: commands, options, choices."""

    def complete(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_NEARDUP_COMPLETE": "complete_bash"}
        return process(env=os.environ | words).out.split()

    assert complete("neardup pa") == ["pairs"]
    assert complete("neardup dedup --ke") == ["--keep"]
    assert complete("neardup dedup --keep l") == ["longest", "last"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pears"], "No such command 'pears'. Did you mean"),
        (["pairs"], "Missing argument 'IN"),
        (["pairs", "--treshold", "1", "x"], "No such option"),
        (["dedup", "--clusters", "all", "x"], "Invalid value for '--clusters'"),
        (["pairs", "-t", "high", "x"], "Invalid value for '--threshold' / '-t': 'high' is not a number."),
        (["index", "query", "x", "y", "--top", "2.5"], "Invalid value for '--top': '2.5' is not an integer."),
        (
            ["dedup", "--profile", "txet", "x"],
            "Invalid value for '--profile': 'txet' is not one of 'text', 'ocr', 'short', 'code', 'excerpt'.",
        ),
        (["evaluate", "-t", "0.5", "-t", "high", "x"], "'high' is not a number."),
    ],
)
def test_a_wrong_call_says_what_is_wrong(run, arguments, words):
    """A wrong command, option or value is named on standard error, with the way to the help; the exit code is 2."""
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in re.sub(r"[\s│]+", " ", done.err)
    assert "-h' for help" in done.err


# ---- tables for people ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_pairs_on_a_terminal_are_a_table(columns):
    """A table with the most similar first, exact copies last, paths below their common folder, no line wider than the terminal."""
    for name, text in (("monday", MONDAY), ("edited", EDITED), ("rain", RAIN), ("shouted", SHOUTED)):
        put(f"stories/2024/{name}.txt", text)
    done = on_terminal("pairs", "stories", columns=columns)
    assert done.code == 0
    assert screen(done.out) == [
        "Near-duplicates, below stories/2024/",
        " similarity  a           b",
        "      0.875  edited.txt  monday.txt",
        "      0.875  edited.txt  shouted.txt",
        "      1.000  monday.txt  shouted.txt",
        "4 documents, 3 pairs at 0.8 or above",
    ]


def test_long_names_are_folded_not_cut():
    """A name that is wider than the terminal goes on in the next line, complete."""
    long = "x" * 150
    put("news.jsonl", jsonl({"id": long, "text": MONDAY}, {"id": "m", "text": MONDAY}))
    lines = screen(on_terminal("pairs", "news.jsonl", "-q", columns=60).out)
    assert max(map(len, lines)) <= 60
    assert "".join(lines).count("x") >= 150


def test_a_terminal_shows_the_first_and_counts_the_rest():
    """Of many rows 25 are shown, and how to get all is said."""
    put("copies.jsonl", jsonl(*({"text": MONDAY} for _ in range(9))))
    lines = screen(on_terminal("pairs", "copies.jsonl").out)
    assert len([line for line in lines if line.startswith("      1.000")]) == 25
    assert lines[-2:] == ["... and 11 more; into a pipe go all, as JSON lines", "9 documents, 36 pairs at 0.8 or above"]


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["a/b/x", "a/b/y"], "a/b/"),
        (["a/bx", "a/by"], "a/"),
        (["/a", "/b"], ""),
        (["https://a.org/1", "https://a.org/2"], "https://a.org/"),
        (["/a/x", "a/x"], ""),
        (["x", "y"], ""),
        ([1, "a/x"], ""),
        ([], ""),
    ],
)
def test_what_all_names_begin_with_is_shown_once(names, folder):
    """The folder or address that all names share goes into the title, and only that: each row with it is the name again."""
    assert terminal.folder_of(names) == folder


def test_without_a_pair_there_is_no_table():
    """An empty table would say nothing; the count does."""
    put("a.txt", MONDAY)
    put("b.txt", RAIN)
    assert screen(on_terminal("pairs", "a.txt", "b.txt").out) == ["2 documents, 0 pairs at 0.8 or above"]


def test_dedup_on_a_terminal(news):
    """What is removed, each with its kept document, then what it came to and where it is written."""
    assert screen(on_terminal("dedup", news, "-o", "clean.jsonl", "--text", "text", "--id", "id").out) == [
        "Removed, each with the kept document that it duplicates",
        " similarity  id  witness",
        "      0.875  e   m",
        "      1.000  s   m",
        "4 documents: 2 kept, 2 removed (1 exact)",
        "written to clean.jsonl",
    ]
    again = screen(on_terminal("dedup", news, "-o", "clean.jsonl", "--text", "text", "--id", "id").out)
    assert again[-1] == "written to clean.jsonl, in place of what was there"


def test_query_on_a_terminal(news):
    """What a text matches, best first."""
    put("new.txt", MONDAY)
    assert screen(on_terminal("query", news, "new.txt", "--quiet").out) == [
        "Matches",
        " similarity  containment  query    id",
        "      1.000        1.000  new.txt  m",
        "      1.000        1.000  new.txt  s",
        "      0.875        0.933  new.txt  e",
    ]


def compared(a, b, *options, columns=80, colour=False):
    """What `compare` shows of two texts below what it says of them in numbers, without colours unless they are asked for."""
    put("a.txt", a)
    put("b.txt", b)
    done = on_terminal("compare", "a.txt", "b.txt", "-q", *options, columns=columns, env=os.environ | ({} if colour else {"NO_COLOR": "1"}))
    assert done.code == 0
    return done.out if colour else screen(done.out)[4:]


def test_compare_on_a_terminal():
    """The similarity, how much of each is in the other, the shingles that decided, and both texts beside each other."""
    put("a.txt", MONDAY)
    put("b.txt", EDITED)
    assert screen(on_terminal("compare", "a.txt", "b.txt", columns=80, env=os.environ | {"NO_COLOR": "1"}).out) == [
        "0.875 similarity: a match at 0.8",
        "93.3% of a.txt (19 tokens, 15 shingles) is in b.txt",
        "93.3% of b.txt (19 tokens, 15 shingles) is in a.txt",
        "14 shingles in both, 1 only in a.txt, 1 only in b.txt",
        "a.txt                                    b.txt",
        "the committee will meet on monday at     the committee will meet on monday at",
        "ten in the town hall to vote on next     ten in the town hall to vote on next",
        "year s [-budget-]                      | year s {+plans+}",
    ]
    assert screen(on_terminal("compare", "a.txt", "b.txt", "-t", "0.9").out)[0] == "0.875 similarity: no match at 0.9"


def test_compare_on_a_narrow_terminal():
    """Where two columns have no room, a line of one text stands above a line of the other, once where they are the same."""
    assert compared(MONDAY, EDITED, columns=60) == [
        "< a.txt",
        "> b.txt",
        "  the committee will meet on monday at ten in the town hall",
        "< to vote on next year s [-budget-]",
        "> to vote on next year s {+plans+}",
    ]


def test_compare_in_colours():
    """What differs has a background, red in one and green in the other, and needs no brackets; the mark between them stays."""
    shown = compared(MONDAY, EDITED, colour=True)
    assert re.search(r"\x1b\[37;48;5;88mbudget\x1b\[0m +\x1b\[2m \| \x1b\[0myear s \x1b\[37;48;5;22mplans\x1b\[0m", shown)
    assert "[-" not in shown


def test_compare_folds_what_is_long():
    """Of long passages both ends are shown, beside the differences, and how much is between; what begins and ends alike is cut there."""
    words = [f"w{i}" for i in range(900)]
    other = [*words[:400], "x", *words[400:500], *words[501:]]
    lines = compared(" ".join(words), " ".join(other), columns=100)
    alike = [re.match(r" +\.\.\. (\d+) tokens alike \.\.\.$", line) for line in lines]
    assert [bool(match) for match in alike if match] == [True] * 3
    assert sum(int(match[1]) for match in alike if match) > 600
    (added,) = (line for line in lines if "{+x+}" in line)
    assert re.search(r" > .*w399 \{\+x\+\} w400| > .*\{\+x\+\}", added)
    assert any(re.search(r"\[-w500-\].* < ", line) for line in lines)
    lines = compared(" ".join(words), " ".join(f"v{i}" for i in range(900)), columns=100)
    assert len(lines) < 12
    assert len(re.findall(r"\.\.\. \d+ tokens \.\.\.", " ".join(lines))) == 2


@pytest.mark.parametrize("columns", [3, 8, 40, 60, 79, 80, 81, 120, 200])
@pytest.mark.parametrize("colour", ["truecolor", None])
@pytest.mark.parametrize("profile", ["text", "short", "code"])
def test_two_texts_fit_the_terminal(columns, colour, profile):
    """No line is wider, whatever stands in it: long words, Chinese, marks, nothing; what is shared stands in one line of both."""
    a = f"{MONDAY} {'x' * 150} 我们在北京大学学习中文 {RAIN} a\u0301\u0302\u0303 b"
    b = f"{RAIN[:30]} {EDITED} {'x' * 149}y 我们在上海大学学习中文 {RAIN.upper()} c d"
    shingling = neardup.Profile.named(profile).shingling
    joint = "" if shingling.chars else " "
    for one, other in ((a, b), (b, a), (a, ""), ("", a), ("", ""), (a, a)):
        console = Console(file=io.StringIO(), width=columns, color_system=colour, force_terminal=True)
        beside.show_beside(aligned(one, other, shingling), ("a" * 300, "b"), console, joint=joint)
        lines = without_colours(console.file.getvalue()).splitlines()
        assert all(cell_len(line) <= columns for line in lines)
        if columns >= 80:
            width = (columns - 3) // 2
            for line in lines[2:]:
                left = set_cell_size(line, width + 3)
                assert left[-3:] in ("   ", " < ", " > ", " | ") or " alike ..." in line
                if left.endswith("   ") and " alike ..." not in line:  # as long as it is equal
                    assert set_cell_size(line, width).split() == line[len(left) :].split()


def test_compare_shows_what_stands_elsewhere():
    """Passages in another order cannot stand beside each other; they are named below."""
    lines = compared(f"{MONDAY} {RAIN} {RAIN[:20]} once more", f"{RAIN} {MONDAY}", columns=120)
    assert any(line.startswith("in both, elsewhere, ") for line in lines)


def test_compare_ends_with_many_differences():
    """The first are shown, the others counted."""
    words = [f"w{i}" for i in range(4000)]
    lines = compared(" ".join(words), " ".join(word if i % 10 else "x" for i, word in enumerate(words)))
    assert lines[-1] == "... and 200 more differences; into a pipe go all, as JSON"


# ---- lines for programs --------------------------------------------------------------------------------------------------


def test_pairs_in_a_pipe_are_json_lines(run, news):
    """A pair a line, most similar first; the ids as they are in the file, a before b in it."""
    assert rows(run("pairs", news)) == [
        {"a": "m", "b": "s", "similarity": 1.0},
        {"a": "m", "b": "e", "similarity": 0.875},
        {"a": "e", "b": "s", "similarity": 0.875},
    ]


def test_dedup_in_a_pipe_lists_what_is_removed(run, news):
    """A removed document a line, with its kept document and their similarity."""
    assert rows(run("dedup", news)) == [
        {"id": "e", "witness": "m", "similarity": 0.875},
        {"id": "s", "witness": "m", "similarity": 1.0},
    ]
    assert [(row["id"], row["witness"]) for row in rows(run("dedup", news, "--keep", "last"))] == [("m", "s"), ("e", "s")]


def test_query_in_a_pipe(run, news):
    """A match a line, the best first for each query."""
    assert rows(run("query", news, "-", stdin=EDITED.encode())) == [
        {"query": "-", "id": "e", "similarity": 1.0, "containment": 1.0},
        {"query": "-", "id": "m", "similarity": 0.875, "containment": 14 / 15},
        {"query": "-", "id": "s", "similarity": 0.875, "containment": 14 / 15},
    ]


def test_compare_in_a_pipe(run):
    """One line, with all that a terminal shows and all passages."""
    put("a.txt", MONDAY)
    put("b.txt", EDITED)
    assert rows(run("compare", "a.txt", "b.txt")) == [
        {
            "a": "a.txt",
            "b": "b.txt",
            "similarity": 0.875,
            "a_in_b": 14 / 15,
            "b_in_a": 14 / 15,
            "shingles_a": 15,
            "shingles_b": 15,
            "match": True,
            "tokens_a": 19,
            "tokens_b": 19,
            "shared_shingles": 14,
            "only_in_a": 1,
            "only_in_b": 1,
            "passages": ["the committee will meet on monday at ten in the town hall to vote on next year s"],
            "differences": [
                {
                    "kind": "changed",
                    "a": "budget",
                    "a_start": 18,
                    "a_stop": 19,
                    "b": "plans",
                    "b_start": 18,
                    "b_stop": 19,
                    "compared": True,
                }
            ],
        }
    ]
    put("b.txt", f"Today: {MONDAY}")
    (only,) = rows(run("compare", "a.txt", "b.txt"))[0]["differences"]
    assert (only["kind"], only["a"], only["b"], only["a_start"], only["a_stop"]) == ("only_in_b", "", "today", 0, 0)
    (only,) = rows(run("compare", "b.txt", "a.txt"))[0]["differences"]
    assert (only["kind"], only["a"], only["b"], only["b_start"], only["b_stop"]) == ("only_in_a", "today", "", 0, 0)


def test_documents_are_named_by_id_place_or_file(run):
    """Ids keep their type; without ids a row has its place, and among several files the name of its file with its line."""
    put("ids.jsonl", jsonl({"id": 7, "text": MONDAY}, {"id": "x", "text": MONDAY}))
    put("none.jsonl", jsonl({"text": MONDAY}, {"text": MONDAY}))
    assert rows(run("pairs", "ids.jsonl")) == [{"a": 7, "b": "x", "similarity": 1.0}]
    assert rows(run("pairs", "none.jsonl")) == [{"a": 0, "b": 1, "similarity": 1.0}]
    put("one.txt", RAIN)
    assert rows(run("pairs", "none.jsonl", "one.txt")) == [{"a": "none.jsonl:1", "b": "none.jsonl:2", "similarity": 1.0}]


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_lines_are_utf_8_whatever_the_locale(encoding):
    """JSON is UTF-8 by definition."""
    put("日本é.txt", MONDAY)
    put("ñ.txt", MONDAY)
    done = process("pairs", "日本é.txt", "ñ.txt", "-q", env=os.environ | {"PYTHONIOENCODING": encoding})
    assert rows(done) == [{"a": "日本é.txt", "b": "ñ.txt", "similarity": 1.0}]


# ---- what goes in --------------------------------------------------------------------------------------------------------


def written(name):
    """A file of the stories in the format of its name."""
    table = pa.Table.from_pylist(NEWS)
    lines = jsonl(*NEWS).encode()
    if name.endswith((".csv", ".tsv")):
        pa.csv.write_csv(table, name, pa.csv.WriteOptions(delimiter="," if name.endswith("csv") else "\t"))
    elif name.endswith(".parquet"):
        pq.write_table(table, name)
    elif name.endswith(".arrow"):
        with pa.ipc.new_file(name, table.schema) as writer:
            writer.write_table(table)
    else:
        put(
            name,
            gzip.compress(lines) if name.endswith(".gz") else pa.compress(lines, "zstd", asbytes=True) if name.endswith(".zst") else lines,
        )
    return name


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".tsv", ".parquet", ".arrow"])
def test_every_format_goes_in_and_comes_out(run, suffix):
    """The same stories in any format have the same pairs; what is kept is written in any format, all columns in place."""
    name = written(f"news{suffix}")
    assert [(row["a"], row["b"]) for row in rows(run("pairs", name))] == [("m", "s"), ("m", "e"), ("e", "s")]
    done = run("dedup", name, "-o", f"clean{suffix}")
    assert done.err.endswith(f"4 documents: 2 kept, 2 removed (1 exact)\nwritten to clean{suffix}\n")
    assert rows(run("query", f"clean{suffix}", name, "-t", "1")) == [
        {"query": query, "id": id, "similarity": 1.0, "containment": 1.0} for query, id in ("mm", "rr", "sm")
    ]


def test_standard_input_is_lines_or_one_text(run):
    """`-` is JSONL if it begins so, otherwise one text."""
    assert rows(run("pairs", "-", stdin=jsonl(*NEWS[::3]).encode())) == [{"a": "m", "b": "s", "similarity": 1.0}]
    put("b.txt", SHOUTED)
    assert rows(run("pairs", "-", "b.txt", stdin=MONDAY.encode())) == [{"a": "-", "b": "b.txt", "similarity": 1.0}]
    assert rows(run("compare", "b.txt", "-", stdin=MONDAY.encode()))[0]["similarity"] == 1


def test_folders_are_read_to_the_bottom(run):
    """All files below a folder that are not hidden; of them those that --glob chooses."""
    for name in ("top.txt", "deep/down/below.txt", "deep/notes.md", ".hidden.txt", ".git/config"):
        put(f"folder/{name}", MONDAY)
    found = {row["id"] for row in rows(run("dedup", "folder"))} | {rows(run("dedup", "folder"))[0]["witness"]}
    assert found == {"folder/top.txt", "folder/deep/down/below.txt", "folder/deep/notes.md"}
    assert rows(run("pairs", "folder", "--glob", "**/*.txt")) == [
        {"a": "folder/deep/down/below.txt", "b": "folder/top.txt", "similarity": 1.0}
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "folder: no file in it to read, hidden ones are not read; name another folder, or a file"),
        (["--glob", "*.md"], "--glob is '*.md', and no file in folder matches it; it is a pattern within the folder, like '**/*.txt'"),
    ],
)
@pytest.mark.parametrize("command", [["pairs"], ["dedup"], ["tune"], ["query", "a.txt"], ["index", "add", "new.neardup"]])
def test_a_folder_without_text_is_an_error(run, command, options, words):
    """A mistyped pattern finds no duplicates, and must not pass for a clean corpus."""
    put("folder/.hidden.txt", MONDAY)
    put("a.txt", MONDAY)
    if command != ["query", "a.txt"]:
        command = [*command, "a.txt"]
    done = run(*command, "folder", *options)
    assert (done.code, done.out, done.err) == (2, "", f"neardup: {words}\n")
    assert not Path("new.neardup").exists()


def test_a_file_without_rows_is_a_corpus(run):
    """Nothing is an answer where a table says so."""
    put("none.csv", "id,text\n")
    put("none.jsonl", "")
    for name in ("none.csv", "none.jsonl"):
        assert run("pairs", name, "-q") == Done(0, "", "")
        assert run("dedup", name, "-q") == Done(0, "", "")


@pytest.mark.parametrize(("records", "words"), [(0, "0 documents"), (1, "1 document")])
def test_nothing_is_recommended_for_less_than_a_pair(run, records, words):
    """A setting is learnt from how documents resemble each other."""
    put("few.jsonl", jsonl(*NEWS[:records]))
    done = run("tune", "few.jsonl", "-q")
    assert done == Done(2, "", f"neardup: few.jsonl: {words}, and pairs are needed to recommend anything; give two documents at least\n")


@pytest.mark.parametrize("command", [["pairs"], ["dedup"], ["tune"], ["query", "news.jsonl"], ["index", "add", "new.neardup"]])
def test_an_index_is_no_folder_of_texts(run, news, command):
    """Its files are not read, and how it is searched is said; inside a folder it is passed over."""
    assert run("index", "add", "folder/my.neardup", news, "-q").code == 0
    done = run(*command, "folder/my.neardup")
    assert (done.code, done.out) == (2, "")
    words = (
        "neardup: folder/my.neardup is an index; search it with `neardup index query folder/my.neardup ...`, or compare a corpus with it:"
    )
    assert done.err.startswith(words)
    put("folder/a.txt", MONDAY)
    put("folder/b.txt", RAIN)
    put("folder/kept/documents/c.txt", SHOUTED)
    assert run("pairs", "folder").err == "3 documents, 1 pair at 0.8 or above\n"


def test_guessed_columns_are_said(run, news):
    """What was guessed is said with its file and the way to choose; what was named is not, and --quiet says nothing."""
    note = "news.jsonl: {} column '{}' (guessed; --{} NAME chooses another)\n"
    assert run("pairs", news).err.startswith(note.format("text", "text", "text") + note.format("id", "id", "id"))
    assert run("pairs", news, "--text", "text", "--id", "id").err == "4 documents, 3 pairs at 0.8 or above\n"
    assert run("pairs", news, "-q").err == ""


def test_the_columns_that_are_named_are_used(run):
    """--text and --id choose among several."""
    put("a.csv", f'id,key,text,body\n1,x,one,"{MONDAY}"\n2,y,two,"{MONDAY}"\n')
    assert rows(run("pairs", "a.csv", "--text", "body", "--id", "key")) == [{"a": "x", "b": "y", "similarity": 1.0}]


@pytest.mark.parametrize(("corpus", "queries"), [("rows.csv", "one.txt"), ("one.txt", "rows.csv"), ("rows.csv", "rows.csv")])
def test_columns_of_a_query_are_those_of_whichever_side_has_them(run, corpus, queries):
    """`neardup query` looks for texts in tables, for tables in texts, for tables in tables, with the same --text."""
    put("rows.csv", f'key,note,passage\nx,one,"{MONDAY}"\n')
    put("one.txt", MONDAY)
    (row,) = rows(run("query", corpus, queries, "--text", "passage", "--id", "key"))
    assert [row["query"], row["id"]] == [{"rows.csv": "x", "one.txt": "one.txt"}[name] for name in (queries, corpus)]


def test_columns_of_texts_are_refused(run):
    """--text where nothing has columns is a mistake."""
    put("a.txt", MONDAY)
    assert run("query", "a.txt", "a.txt", "--text", "x").err == "neardup: --text is 'x', but none of the files has columns; leave it out\n"


def test_a_pipe_with_a_name_is_read():
    """A FIFO is a text, as is /dev/null."""
    put("a.txt", MONDAY)
    os.mkfifo("fifo")
    done = shell("cat a.txt > fifo & neardup pairs fifo a.txt /dev/null")
    assert done == Done(0, '{"a": "fifo", "b": "a.txt", "similarity": 1.0}\n', "3 documents, 1 pair at 0.8 or above\n")


# ---- what comes out ------------------------------------------------------------------------------------------------------


def test_lines_that_are_kept_are_kept_byte_for_byte(run):
    """JSONL to JSONL: order of names, spacing, numbers and unknown columns stay."""
    lines = [
        b'{ "text":"%s", "n": 1.0e2 }\n' % MONDAY.encode(),
        b'{"text": "caf\\u00e9 %s"}\n' % RAIN.encode(),
        b'{"text": "%s"}\n' % SHOUTED.encode(),
    ]
    put("in.jsonl", b"".join(lines))
    assert run("dedup", "in.jsonl", "-o", "out.jsonl").code == 0
    assert Path("out.jsonl").read_bytes() == b"".join(lines[:2])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("command", [["pairs"], ["query", "news.jsonl"]])
def test_pairs_and_matches_into_a_file(run, news, command, suffix):
    """With -o the rows go into a file in the format of its name, and nothing to standard output."""
    expected = rows(run(*command, news))
    done = run(*command, news, "-o", f"found{suffix}")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(f" at 0.8 or above\nwritten to found{suffix}\n")
    data = Path(f"found{suffix}").read_bytes()
    readers = {
        ".jsonl": lambda: pa.Table.from_pylist(list(map(json.loads, data.splitlines()))),
        ".csv": lambda: pa.csv.read_csv(io.BytesIO(data)),
    }
    table = readers.get(suffix, lambda: pq.read_table(io.BytesIO(data)))()
    assert table.column_names == list(expected[0])
    assert table.to_pylist() == expected


def test_no_pairs_make_an_empty_table(run):
    """A table without rows has its columns nevertheless."""
    put("a.txt", MONDAY)
    assert run("pairs", "a.txt", "-o", "none.parquet").code == 0
    assert pq.read_schema("none.parquet").names == ["a", "b", "similarity"]


def test_texts_that_are_kept_are_copied_into_a_new_folder(run):
    """A folder of texts to a folder of texts."""
    put("in/a.txt", MONDAY)
    put("in/deep/b.txt", SHOUTED)
    put("in/deep/c.txt", RAIN)
    assert rows(run("dedup", "in", "-o", "out")) == [{"id": "in/deep/b.txt", "witness": "in/a.txt", "similarity": 1.0}]
    assert sorted(map(str, Path("out").rglob("*.txt"))) == ["out/a.txt", "out/deep/c.txt"]


FORMATS = "end the name in .jsonl, .csv or .tsv (also .gz and .zst), .parquet or .arrow"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("nowhere/out.jsonl", "nowhere/out.jsonl: its folder does not exist; create it: mkdir -p"),
        ("out.doc", f"out.doc: not a format to write; {FORMATS}"),
        ("out.parquet.gz", f"out.parquet.gz: not a format to write; {FORMATS}"),
        ("", "the output is ''; name a file, like result.jsonl"),
        ("-", "the output is '-'; name a file, like result.jsonl"),
        ("special.jsonl", "special.jsonl: not a regular file; name another"),
        ("/", "/: not a regular file; name another"),
        ("folder.jsonl", "folder.jsonl names a folder, into which only text files are copied; name a file, like folder.jsonl.jsonl"),
        ("new.jsonl/", "new.jsonl/ names a folder, into which only text files are copied; name a file, like new.jsonl.jsonl"),
        (f"{'n' * 250}.jsonl", f"{'n' * 250}.jsonl: File name too long; choose a shorter one"),
    ],
)
@pytest.mark.parametrize("command", [["dedup"], ["pairs"], ["query", "broken.jsonl"]])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(run, command, output, words):
    """Not even the input is opened: that it is broken is not found."""
    put("broken.jsonl", "broken\n")
    os.mkfifo("special.jsonl")
    Path("folder.jsonl").mkdir()
    done = run(*command, "broken.jsonl", "-o", output)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"neardup: {words}")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("clean", "clean names a folder, into which only text files are copied; name a file, like clean.jsonl"),
        ("/dev/full", "/dev/full: not a regular file; name another"),
    ],
)
def test_a_table_is_not_copied_into_a_folder(run, output, words):
    """The name of an output without an ending would be a folder: no place for lines, and said before the work."""
    put("broken.jsonl", "broken\n")
    assert run("dedup", "broken.jsonl", "-o", output) == Done(2, "", f"neardup: {words}\n")


def test_a_folder_with_something_in_it_is_refused(run):
    """Nothing is mixed with what is there, and nothing is read before that is said."""
    put("full/a.txt", MONDAY)
    words = "neardup: full is a folder with something in it; name a new one, or a file\n"
    assert run("dedup", "missing.txt", "-o", "full") == Done(2, "", words)


def test_no_folder_of_texts_takes_the_place_of_a_file(run):
    """Nor is a stream copied, which has no name; both are said before anything is read."""
    put("old", MONDAY)
    assert run("dedup", "missing.txt", "-o", "old") == Done(
        2, "", "neardup: old is a file, and a folder would take its place; name another\n"
    )
    assert run("dedup", "-", "-o", "new").err.startswith("neardup: new names a folder, into which only text files are copied")


@pytest.mark.parametrize("command", [["dedup"], ["pairs"], ["query", "folder"]])
@pytest.mark.parametrize("inputs", ["folder/news.jsonl", "folder"])
@pytest.mark.parametrize("output", ["folder/news.jsonl", "link.jsonl"])
def test_an_input_is_never_overwritten(run, command, inputs, output):
    """An output that is one of the inputs, by this name, another name or as part of a folder, is refused and stays as it was."""
    put("folder/news.jsonl", jsonl(*NEWS))
    Path("link.jsonl").symlink_to("folder/news.jsonl")
    assert run(*command, inputs, "-o", output) == Done(2, "", f"neardup: {output} is one of the inputs; write to another name\n")
    assert Path("folder/news.jsonl").read_text() == jsonl(*NEWS)


def test_an_old_output_stays_when_the_work_fails(run):
    """The new one takes its place only when it is complete."""
    put("in.jsonl", jsonl(*NEWS) + "broken\n")
    put("out.jsonl", "old")
    assert run("dedup", "in.jsonl", "-o", "out.jsonl").code == 2
    assert Path("out.jsonl").read_text() == "old"
    assert sorted(map(str, Path().iterdir())) == ["in.jsonl", "out.jsonl"]


# ---- how it ends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "same", "code"),
    [
        (["dedup", "a.txt", "b.txt"], True, 1),
        (["pairs", "a.txt", "b.txt"], True, 1),
        (["query", "a.txt", "b.txt"], True, 1),
        (["compare", "a.txt", "b.txt"], True, 1),
        (["dedup", "a.txt", "b.txt", "-o", "kept.jsonl"], True, 1),
        (["pairs", "a.txt", "b.txt", "-o", "found.csv"], True, 1),
        (["dedup", "a.txt", "b.txt"], False, 0),
        (["pairs", "a.txt", "b.txt"], False, 0),
        (["query", "a.txt", "b.txt"], False, 0),
        (["compare", "a.txt", "b.txt"], False, 0),
    ],
)
def test_duplicates_fail_where_that_is_asked(run, arguments, same, code):
    """--fail-on-duplicates ends with 1 when any are found and with 0 when none; without it 1 means nothing and never comes."""
    put("a.txt", MONDAY)
    put("b.txt", SHOUTED if same else RAIN)
    assert run(*arguments, "--fail-on-duplicates").code == code
    assert run(*arguments).code == 0
    if "-o" in arguments:
        assert Path(arguments[-1]).stat().st_size


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pairs", "-t", "0"], "--threshold is 0.0; it lies above 0 and is at most 1"),
        (["dedup", "-t", "1.5"], "--threshold is 1.5; it lies above 0 and is at most 1"),
        (["query", "a.txt", "-t", "nan"], "--threshold is nan; it lies above 0 and is at most 1"),
        (["compare", "a.txt", "-t", "2"], "--threshold is 2.0; it lies above 0 and is at most 1"),
        (["pairs", "--recall", "1"], "--recall is 1.0; it lies above 0 and below 1; no number of bands is certain, 0.999 is possible"),
        (["dedup", "--size", "33"], "--size is 33; it goes from 1 to 32"),
        (["compare", "a.txt", "--size", "0"], "--size is 0; it goes from 1 to 32"),
        (["pairs", "--num-perm", "1"], "--num-perm is 1; it goes from 2 to 4096"),
        (["dedup", "--seed", "-1"], "--seed is -1; it goes from 0 to 18446744073709551615"),
        (["pairs", "--threads", "0"], "--threads is 0; it goes from 1 to"),
        (["pairs", "--max-pairs", "0", "b.txt"], "more than --max-pairs 0 pairs"),
        (["pairs", "n" * 256], f"{'n' * 256}: File name too long; choose a shorter one"),
        (["query", "a.txt", "n" * 256], f"{'n' * 256}: File name too long; choose a shorter one"),
        (["pairs", "missing.txt"], "missing.txt: no such file or folder; check the path"),
        (["pairs", ""], "an input is ''; name a file or folder, or - for standard input"),
        (["pairs", "--glob", "/*", "."], "--glob is '/*':"),
        (["compare", "-", "-"], "A and B are both '-'; standard input can be read once"),
        (["query", "-", "-"], "CORPUS and IN are both '-'; standard input can be read once"),
        (["compare", "two.jsonl"], "two.jsonl holds 2 documents; compare takes two files of one text each, pairs takes many"),
        (["pairs", "two.jsonl", "--id", "id"], "id 'x' is document 0 and again document 1; ids do not repeat"),
        (["pairs", "two.jsonl", "--text", "body"], "two.jsonl: no column 'body'; the columns are 'id', 'text'"),
    ],
)
def test_wrong_use_is_told_in_one_line(run, arguments, words):
    """The fact, the value and the remedy, on standard error, with exit code 2."""
    put("a.txt", MONDAY)
    put("b.txt", MONDAY)
    put("two.jsonl", jsonl({"id": "x", "text": MONDAY}, {"id": "x", "text": RAIN}))
    done = run(*arguments, *([] if arguments[1:] == ["-", "-"] else ["a.txt"]), "-q")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"neardup: {words}")


@pytest.mark.filterwarnings("always::neardup.RecallWarning")
def test_a_recall_out_of_reach_is_a_note(run):
    """A warning of the library is told like any other note, without the place in its source; --quiet keeps it back."""
    put("a.txt", MONDAY)
    words = "recall 0.999 at threshold 0.8 is out of reach with --num-perm 4: 0.998 is the most; raise --num-perm\n"
    for command in (["pairs"], ["dedup"], ["query", "a.txt"]):
        assert words in run(*command, "a.txt", "--num-perm", "4", "--recall", "0.999").err.splitlines(keepends=True)
        assert run(*command, "a.txt", "--num-perm", "4", "--recall", "0.999", "-q").err == ""


def test_texts_without_a_word_are_said(run):
    """They match nothing, not even themselves."""
    put("a.txt", "... --- ...")
    put("b.txt", MONDAY)
    done = run("compare", "a.txt", "b.txt")
    assert (done.code, done.err) == (0, "a.txt has not a single word: it matches nothing\n")
    assert "1 document (a.txt) without a single word: kept, since they duplicate nothing\n" in run("dedup", "a.txt", "b.txt").err
    put("c.jsonl", jsonl(*({"id": i, "text": "..."} for i in range(3))))
    assert "3 documents (0, 1 ...) without a single word: kept" in run("dedup", "c.jsonl").err


def test_short_texts_are_counted(run):
    """Where one edit can hide a copy, that is said."""
    put("a.txt", "seven words are not so very many")
    words = "1 document (a.txt) of fewer than 10 tokens: one edit can hide a copy"
    assert f"{words}; try --profile short\n" in run("dedup", "a.txt").err
    put("many.jsonl", jsonl(*({"id": i, "text": f"{MONDAY} {i} and {i} and {i}"} for i in range(10))))
    assert f"{words}\n" in run("dedup", "a.txt", "many.jsonl").err
    assert "try --profile short" not in run("dedup", "a.txt", "--profile", "short", "--size", "32").err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "neardup: out of memory\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "neardup: out.jsonl: No space left on device; make room, or write elsewhere\n"),
        (OSError(errno.ENOSPC, "No space left", "a/b"), "neardup: a/b: No space left; make room, or write elsewhere\n"),
        (
            OSError(errno.ENOSPC, "No space left, nothing was changed; make room", "i"),
            "neardup: i: No space left, nothing was changed; make room\n",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "neardup: out.jsonl: Disk quota exceeded; make room, or write elsewhere\n"),
    ],
)
def test_a_machine_that_is_full_is_told(run, news, monkeypatch, error, words):
    """Neither memory nor disk is a reason for a traceback; what was at the output's place stays."""
    put("out.jsonl", "old")

    def full(*_):
        raise error

    monkeypatch.setattr(writing, "_lines", full)
    done = run("dedup", news, "-o", "out.jsonl", "--text", "text", "--id", "id")
    assert done == Done(2, "", words)
    assert Path("out.jsonl").read_text() == "old"


def test_a_defect_is_not_a_duplicate(run, news, monkeypatch):
    """What should never happen is shown with its traceback, to be reported; the exit code 1 stays reserved."""
    monkeypatch.setattr(jobs.Job, "minhash", lambda _: 1 // 0)
    done = run("pairs", news)
    assert done.code == 2
    assert "ZeroDivisionError" in done.err
    assert done.err.endswith("\nneardup: a defect of neardup; please report it, with the lines above\n")


# ---- bars ----------------------------------------------------------------------------------------------------------------


def bars(text):
    """What bars said: description, count, rate, time left, as often as they changed."""
    return re.findall(r"([a-z ]+?) +[━╸╺]+ *([\d,]*) *([\d,]+/s)? +([\d:-]+)?", without_colours(text))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bars_on_a_terminal(many, suffix):
    """A bar a stage: what is done, how much, how fast, and the time left, though nobody knows how many lines there are."""
    put(f"many.jsonl{suffix}", gzip.compress(many.encode(), 1) if suffix else many)
    done = on_terminal("dedup", f"many.jsonl{suffix}", "-o", "out.jsonl", "--num-perm", "4096", "--threads", "1", columns=100)
    shown = bars(done.out)
    assert {"opening", "signing", "pairing", "writing"} <= {stage.strip() for stage, *_ in shown}
    assert [count for stage, count, *_ in shown if stage.strip() == "signing"][-1] == "12,000"
    rates = [rate for stage, _, rate, left in shown if stage.strip() == "signing" and re.fullmatch(r"\d:\d\d:\d\d", left)]
    assert any(rates)
    assert len(screen(done.out)) < 33, "the bars are taken away"


def test_notes_stand_above_the_bars(news):
    """A note begins its own line, and ends it."""
    done = on_terminal("pairs", news, columns=100)
    assert "\r\x1b[2Knews.jsonl: text column 'text' (guessed; --text NAME chooses another)\r\n" in done.out


def test_no_bars_where_they_are_not_wanted(news):
    """None with --quiet, none when standard error is no terminal, whatever the environment says of colours."""
    assert "━" not in on_terminal("pairs", news, "--quiet").out
    done = process("pairs", news, "-t", "1", "--text", "text", "--id", "id", env=os.environ | {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"})
    assert done.err == "4 documents, 1 pair at 1.0 or above\n"


def test_no_bar_disturbs_who_types():
    """Standard input may be a keyboard: nothing is drawn before it has ended."""
    done = on_terminal("pairs", "-", typed=f"{MONDAY}\n\4\4".encode())
    assert done.code == 0
    assert done.out.startswith(f"{MONDAY}\r\n")
    assert "opening" not in done.out
    assert screen(done.out)[-1] == "1 document, 0 pairs at 0.8 or above"


# ---- interrupted ---------------------------------------------------------------------------------------------------------

INTERRUPTED = "neardup: interrupted{}\n"
#: Runs the command, and interrupts it when a module is loaded.
WHILE_LOADING = """
import os, signal, sys

module = sys.argv.pop(1)

class Finder:
    def find_spec(self, name, *rest):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from neardup.cli import main
main()
"""


@pytest.fixture
def interrupt(monkeypatch):
    """Have a signal come when a stage begins, or when a file is made durable, perhaps once more while it is removed."""

    def before(owner, name, number, *, wanted=lambda *_: True):
        function = getattr(owner, name)

        def sending(*arguments, **options):
            if wanted(*arguments):
                os.kill(os.getpid(), number)
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, sending)

    def interrupt(moment, number=signal.SIGINT):
        if moment.startswith("fsync"):
            again = lambda *_: before(Path, "unlink", number) or True  # noqa: E731
            before(os, "fsync", number, **({"wanted": again} if moment == "fsync and unlink" else {}))
        else:
            before(Progress, "add_task", number, wanted=lambda _, stage: stage == moment)

    return interrupt


@pytest.mark.parametrize(
    ("command", "moment"),
    [("dedup", moment) for moment in ("opening", "signing", "pairing", "writing", "fsync", "fsync and unlink")]
    + [("pairs", moment) for moment in ("opening", "reading", "pairing", "fsync")]
    + [("query", moment) for moment in ("reading", "looking up", "fsync")],
)
def test_ctrl_c_leaves_nothing_half_written(run, interrupt, news, command, moment):
    """In every stage: exit code 130, one line and no traceback, the old output as it was, no temporary file; twice is as once."""
    put("out.jsonl", "old")
    interrupt(moment)
    assert run(command, *[news][: command == "query"], news, "-q", "-o", "out.jsonl") == Done(
        130, "", INTERRUPTED.format("; out.jsonl is as it was")
    )
    assert Path("out.jsonl").read_text() == "old"
    assert sorted(map(str, Path().iterdir())) == ["news.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("module", "words"), [("rich.console", ""), ("numpy", INTERRUPTED.format("")), ("pyarrow", INTERRUPTED.format(""))]
)
def test_ctrl_c_while_modules_are_loaded(news, module, words):
    """The first moment of the command is part of it."""
    assert process(module, "pairs", news, program=[sys.executable, "-c", WHILE_LOADING]) == Done(130, "", words)


def test_ctrl_c_on_a_terminal(many):
    """A real one, in the middle of the work: the cursor is back, and the bars are gone."""
    put("many.jsonl", many)
    done = on_terminal("pairs", "many.jsonl", "--num-perm", "4096", "--threads", "1", columns=100, until="reading")
    assert done.code == 130
    assert screen(done.out)[-1:] == ["neardup: interrupted"]
    assert done.out.rindex("\x1b[?25h") > done.out.rindex("\x1b[?25l")


def test_an_interruption_says_what_is_done(run, interrupt, news, monkeypatch):
    """Which outputs are written, and that the same command goes on with what is kept beside them."""
    monkeypatch.setattr("neardup.work.KEPT", 0)
    monkeypatch.setattr("neardup.work.SECONDS", 0.0)
    interrupt("pairing")
    done = run("dedup", news, "-q", "-o", "out.jsonl", "--evidence", "pairs.csv")
    kept = "; out.jsonl.work is kept, and the same command goes on from there"
    assert done == Done(130, "", INTERRUPTED.format(f"; out.jsonl is not written, pairs.csv is not written{kept}"))
    assert Path("out.jsonl.work").is_dir()


def test_an_interruption_after_an_output_says_so(run, news, monkeypatch):
    """What is complete is complete."""
    monkeypatch.setattr(neardup.results.Result, "report", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    done = run("dedup", news, "-q", "-o", "out.jsonl", "--report", "report.html")
    assert done == Done(130, "", INTERRUPTED.format("; out.jsonl is written, report.html is not written"))


def test_dedup_by_a_column_annotated_with_its_evidence(run):
    """--keep by a column or a list of its values, --order, --annotate and --evidence; the rows are as they came, with more."""
    texts = [
        {"id": i, "text": "one two three" + "!" * i, "source": source, "n": n}
        for i, (source, n) in enumerate([("x", 2), ("y", 1), ("z", 3)])
    ]
    put("in.jsonl", jsonl(*texts))
    for options, kept in (
        (["--keep", "n"], 1),
        (["--keep=-n"], 2),
        (["--keep", "source=z,y"], 2),
        (["--order", "n"], 1),
        (["--keep", "last", "--order", "n"], 2),
        (["--exact"], 0),
        (["--clusters", "components"], 0),
    ):
        assert {row["witness"] for row in rows(run("dedup", "in.jsonl", *options))} == {kept}, options
    done = run("dedup", "in.jsonl", "-o", "out.jsonl", "--annotate", "--evidence", "pairs.parquet", "--keep", "n")
    assert done.code == 0
    written = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["kept"] for row in written] == [False, True, False]
    assert written[0] == {**texts[0], "cluster": 1, "kept": False, "witness": 1, "similarity": 1.0}
    assert pq.read_table("pairs.parquet").to_pylist() == [{"a": 0, "b": 1, "similarity": 1.0}, {"a": 1, "b": 2, "similarity": 1.0}]


def test_dedup_refuses_options_that_mean_nothing(run):
    """--annotate without an output, evidence over an input or in no known format, a column that is not there."""
    put("in.jsonl", jsonl({"text": "one two"}))
    for arguments, words in (
        (["--annotate"], "--annotate says what is written, and there is no output; name one: -o marked.jsonl"),
        (["--evidence", "in.jsonl"], "in.jsonl is one of the inputs; write to another name"),
        (["--evidence", "pairs.txt"], "pairs.txt: not a format to write"),
        (["--keep", "shortest"], "no column 'shortest'; the columns are 'text'"),
        (["--exact", "-t", "0.3"], "--threshold is 0.3; --exact is for 0.5 and above; leave it out below that"),
    ):
        done = run("dedup", "in.jsonl", *arguments)
        assert (done.code, done.out) == (2, "")
        assert words in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_ends_leave_nothing_either(run, interrupt, number, code):
    """A terminal that is closed, a time limit: a copy of standard input is taken away too."""
    interrupt("fsync", number)
    gc.disable()  # so that only leaving can take it away
    try:
        assert run("dedup", "-", "-q", "-o", "out.jsonl", stdin=jsonl(*NEWS).encode()) == Done(
            code, "", INTERRUPTED.format("; out.jsonl is not written")
        )
    finally:
        gc.enable()
    assert not Path("out.jsonl").exists()


def test_what_the_caller_ignores_is_ignored(run, interrupt, news):
    """Under nohup a terminal that is closed ends nothing."""
    interrupt("reading", signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run("pairs", news, "-q").code == 0


# ---- pipes and devices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "code"), [("", 0), ("--fail-on-duplicates", 1)])
def test_a_broken_pipe_is_silent(options, code):
    """`neardup pairs ... | head -1` prints one line and nothing else, and the exit code is what it would be."""
    put("copies.jsonl", jsonl(*({"text": MONDAY} for _ in range(150))))
    done = shell(f"neardup pairs copies.jsonl -q {options} | head -1")
    assert done == Done(code, '{"a": 0, "b": 1, "similarity": 1.0}\n', "")


@pytest.mark.parametrize("command", ["--help", "compare a.txt a.txt", "dedup a.txt a.csv"])
def test_nobody_reads(command):
    """Where the pipe is closed before a word is written, nothing is said and nothing failed."""
    put("a.txt", MONDAY)
    put("a.csv", f'text\n"{MONDAY}"\n')
    assert shell(f"(sleep 0.1; neardup {command}) 2>&1 | true") == Done(0, "", "")


@pytest.mark.parametrize("command", ["--help", "pairs a.txt b.txt -q"])
def test_standard_output_that_takes_nothing(command):
    """A full disk under standard output is told."""
    put("a.txt", MONDAY)
    put("b.txt", MONDAY)
    assert shell(f"neardup {command} > /dev/full") == Done(2, "", "neardup: No space left on device; make room, or write elsewhere\n")


def test_standard_error_that_takes_nothing():
    """Notes that cannot be written stop no work, and an error is its exit code."""
    put("a.csv", f'text\n"{MONDAY}"\n"{MONDAY}"\n')
    assert shell("neardup pairs a.csv 2> /dev/full") == Done(0, '{"a": 0, "b": 1, "similarity": 1.0}\n', "")
    assert shell("neardup pairs missing.csv 2> /dev/full").code == 2


def test_closed_streams():
    """Standard streams that whoever called has closed are as empty ones, and no file of ours takes their place."""
    put("a.csv", f'text\n"{MONDAY}"\n"{MONDAY}"\n')
    assert shell("neardup pairs - a.csv --text text >&- <&-") == Done(0, "", "3 documents, 1 pair at 0.8 or above\n")
    assert shell("neardup dedup a.csv -o out.csv -q >&- 2>&- <&-").code == 0
    assert Path("out.csv").read_text() == f'"text"\n"{MONDAY}"\n'


# ---- the attacker --------------------------------------------------------------------------------------------------------


@given(st.text())
def test_whatever_is_shown_is_printable(text):
    """No character reaches a terminal that it could act on."""
    assert terminal.printable(text).isprintable()
    assert terminal.printable(text) == text or not text.isprintable()


@pytest.mark.parametrize("command", [["pairs"], ["dedup"], ["query", "ids.jsonl"]])
def test_hostile_ids_reach_programs_as_they_are(run, command):
    """In JSON lines every id is itself, and no byte is a control character."""
    put("ids.jsonl", jsonl(*({"id": id, "text": MONDAY} for id in HOSTILE)))
    done = run(*command, "ids.jsonl", "-t", "1")
    assert {value for row in rows(done) for value in row.values() if isinstance(value, str)} == set(HOSTILE)
    assert done.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("command", [["pairs"], ["dedup"]])
def test_hostile_ids_reach_people_as_text(command):
    """On a terminal they neither colour nor move nor ring; markup and emoji codes stay what they are."""
    put("ids.jsonl", jsonl(*({"id": id, "text": MONDAY} for id in HOSTILE[:7])))
    done = on_terminal(*command, "ids.jsonl", "-q", columns=120)
    assert done.code == 0
    for seen in (r"\x1b[31mred\x1b[0m", r"\x9b31mred", r"\x1b]0;title\x07", r"a\r\nb", "[bold]b[/bold]", "[/]", ":smile:"):
        assert seen in done.out
    assert without_colours(done.out).replace("\r\n", "").isprintable()


@pytest.mark.parametrize("profile", ["text", "short", "code"])
def test_hostile_texts_beside_each_other(profile):
    """Whatever stands in the texts and their names, nothing of it acts on the terminal."""
    a = f"{MONDAY} " + " and ".join(HOSTILE[:8]) + " \x1b]8;;http://x\x07y\x9d0;z\x9c \u2066\u200b\u0007\b\b\x7f"
    put("a\x1b[31m.txt", a)
    put("b.txt", f"{EDITED} " + " or ".join(HOSTILE[:8][::-1]))
    for options in ({}, {"env": os.environ | {"NO_COLOR": "1"}}):
        for columns in (60, 120):
            done = on_terminal("compare", "a\x1b[31m.txt", "b.txt", "-q", "--profile", profile, columns=columns, **options)
            assert done.code == 0
            assert without_colours(done.out).replace("\r\n", "").isprintable()
            assert "[31m.txt" not in done.out.replace("\\x1b[31m.txt", "")


def test_hostile_file_names(run):
    """Names that are no Unicode, look like options or hold escapes are read, shown escaped, and copied as they are."""
    names = [b"\xff\xfe", b"\x1b[31mred", b"a\nb", b"[/]", b":smile:", b"-o"]
    for name in names:
        put(b"names/" + name, MONDAY)
    shown = on_terminal("dedup", "names", "-o", "out", "-q", columns=120).out
    assert without_colours(shown).replace("\r\n", "").isprintable()
    assert [re.split(" {2,}", line)[2] for line in screen(shown)[2:]] == ["-o", ":smile:", "[/]", r"a\nb", r"\udcff\udcfe"]
    assert [os.fsencode(path) for path in Path("out").iterdir()] == [b"out/\x1b[31mred"]
    found = {os.fsencode(row["id"]) for row in rows(run("dedup", "names"))}
    assert found == {b"names/" + name for name in names} - {b"names/\x1b[31mred"}
    assert run("compare", "names/\udcff\udcfe", "names/a\nb").code == 0
    assert run("pairs", "\x1b[31m\udcff").err == "neardup: \\x1b[31m\\udcff: no such file or folder; check the path\n"


@pytest.mark.parametrize("option", ["--\x1b[2J", "-o\x1b[2J/x.csv", "--threshold=\x1b[2J"])
def test_hostile_options(option):
    """What was typed comes back in messages, but not to the terminal's ear."""
    put("a.txt", MONDAY)
    assert "\x1b[2J" not in on_terminal("pairs", "a.txt", option, "-q").out


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", "hello\n", "a.jsonl: line 1 is not JSON"),
        ("a.jsonl", '{"text": "x"}\n\x1b[31m\n', "a.jsonl: line 2 is not JSON"),
        ("a.jsonl", "\0\0\0\n", "a.jsonl: line 1 is not JSON"),
        ("a.jsonl", "[" * 1_000_000, "a.jsonl: line 1 is not JSON"),
        ("a.jsonl", '{"text": ' + '{"a":' * 1_000_000, "a.jsonl: line 1 is not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl: line 1 is a list of JSON"),
        ("a.jsonl", b'{"text": "\xff"}\n', "a.jsonl: line 1 is not JSON"),
        ("a.jsonl", '{"text": 5, "body": "x"}\n{"text": 6}\n', "a.jsonl: line 2 has no 'body'"),
        ("a.jsonl", '{"text": "x"}\n{"text": 6}\n', "a.jsonl: 'text' in line 2 is of type int"),
        ("a.jsonl", '{"text": "x", "n": ' + "9" * 5000 + "}", "a.jsonl: line 1 has an integer of more than 4,300 digits"),
        ("a.jsonl", json.dumps({f"c{i}": "x" for i in range(100_000)}), "a.jsonl: no column is obviously the text"),
        ("a.jsonl.gz", b"nothing of the kind", "a.jsonl.gz: "),
        ("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n' * 999, mtime=0)[:-9], "a.jsonl.gz: "),
        ("a.jsonl.zst", b"nothing of the kind", "a.jsonl.zst: "),
        ("a.csv", ",".join(f"c{i}" for i in range(100_000)), "a.csv: no column is obviously the text"),
        ("a.csv", "text,text\nx,y\n", "a.csv: two columns are named 'text'"),
        ("a.csv", 'text\n"never closed', "a.csv: line 2"),
        ("a.csv", b"text\n\xe9t\xe9\n", "a.csv: not UTF-8"),
        ("a.parquet", b"PAR0 and so on, PAR0", "a.parquet: "),
        ("a.parquet", b"PAR1" + b"\xff" * 99 + b"PAR1", "a.parquet: "),
        ("a.parquet", b"", "a.parquet: "),
        ("a.arrow", b"ARROW1" + b"\xff" * 99, "a.arrow: "),
    ],
)
@pytest.mark.parametrize("command", ["pairs", "dedup"])
def test_hostile_files(run, command, name, data, words):
    """A file that is not what its name says is told in one line of bounded length, with its name; the exit code is 2."""
    put(name, data)
    done = run(command, name, "-q")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"neardup: {words}")
    assert done.err.rstrip("\n").isprintable()
    assert len(done.err) < 2100


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b"\0" * 1000 + MONDAY.encode()),
        ("a.txt", bytes(range(256)) * 100),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + os.urandom(5000)),
        ("a.csv", f'text\n"{MONDAY} {"x " * 300_000}"\n'),
        ("a.jsonl", json.dumps({"text": MONDAY, "deep": json.loads("[" * 500 + "]" * 500)})),
        ("a.jsonl", json.dumps({"text": MONDAY, "id": 10**30})),
        ("a.jsonl", "\n\n\n"),
        ("a.csv", ""),
    ],
)
def test_odd_files_are_read(run, name, data):
    """What is odd but allowed has an answer."""
    put(name, data)
    put("b.txt", RAIN)
    assert rows(run("pairs", name, "b.txt")) == []
    assert rows(run("dedup", name, "b.txt")) == []
    assert rows(run("query", "b.txt", name)) == []


def test_an_id_too_large_for_a_table(run):
    """JSON has integers of any size; tables do not, and have strings instead."""
    put("a.jsonl", jsonl({"id": 10**30, "text": MONDAY}, {"id": 1, "text": MONDAY}))
    assert rows(run("pairs", "a.jsonl")) == [{"a": 10**30, "b": 1, "similarity": 1.0}]
    assert run("pairs", "a.jsonl", "-q", "-o", "out.parquet") == Done(0, "", "")
    assert pq.read_table("out.parquet").to_pylist() == [{"a": str(10**30), "b": "1", "similarity": 1.0}]
    assert run("dedup", "a.jsonl", "-o", "out.csv", "-q").err.startswith(
        "neardup: out.csv: its format does not fit the documents, column 'id'"
    )


@pytest.mark.parametrize("command", [["pairs"], ["query", "a.jsonl"]])
def test_lines_keep_the_types_of_ids(run, command):
    """Integers beside strings, of any size, and no Unicode: JSONL in a file has what standard output has."""
    ids = [10**30, 1, "1", "\ud800"]
    put("a.jsonl", jsonl(*({"id": id, "text": MONDAY} for id in ids)))
    expected = rows(run(*command, "a.jsonl"))
    assert {id for row in expected for id in row.values() if not isinstance(id, float)} == set(ids)
    assert run(*command, "a.jsonl", "-q", "-o", "out.jsonl") == Done(0, "", "")
    assert list(map(json.loads, Path("out.jsonl").read_text().splitlines())) == expected


@pytest.mark.parametrize("source", ["jsonl", "parquet"])
def test_annotated_lines_keep_the_types_of_ids(run, source):
    """Clusters, witnesses and pairs in JSONL name documents as their lines do, whatever kind other ids are of."""
    ids = [10**30, "x", 7, "7"] if source == "jsonl" else [6, 7]
    records = [{"id": id, "text": MONDAY} for id in ids]
    put("a.jsonl", jsonl(*records))
    if source == "parquet":
        pq.write_table(pa.Table.from_pylist(records), "a.parquet")
    put("old.jsonl", jsonl({"id": "old", "text": RAIN}))
    put("b.jsonl", jsonl({"id": 8, "text": RAIN}))
    inputs = f"a.{source}", "b.jsonl", "--text", "text", "--id", "id"
    done = run("dedup", *inputs, "--against", "old.jsonl", "-o", "m.jsonl", "--annotate", "--evidence", "e.jsonl")
    found = [(row["id"], row["witness"]) for row in rows(done)]
    assert found == [*((id, ids[0]) for id in ids[1:]), (8, "old")]
    marked = [json.loads(line) for line in Path("m.jsonl").read_text().splitlines()]
    assert [(row["id"], row["witness"]) for row in marked if not row["kept"]] == found
    assert [row["cluster"] for row in marked] == [*(ids[0] for _ in ids), "old"]
    assert marked[0] == {"id": ids[0], "text": MONDAY, "cluster": ids[0], "kept": True, "witness": None, "similarity": None}
    assert {(row["b"], row["a"]) for row in map(json.loads, Path("e.jsonl").read_text().splitlines())} == set(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize(
    ("arguments", "name"), [(["pairs", "secret.txt"], "secret.txt"), (["dedup", "ok.txt", "-o", "locked/out.jsonl"], "locked/out.jsonl")]
)
def test_what_is_locked(run, arguments, name):
    """A file that may not be read, a folder that may not be written: told, with the remedy."""
    put("ok.txt", MONDAY)
    Path(put("secret.txt", MONDAY)).chmod(0)
    Path("locked").mkdir(0o555)
    assert run(*arguments) == Done(2, "", f"neardup: {name}: permission denied; change the mode of the file or its folder\n")


def test_links_that_go_round_in_circles(run):
    """A link to itself is told; inside a folder it is no text, and a linked folder is not entered."""
    Path("loop").symlink_to("loop")
    assert run("pairs", "loop").err.startswith("neardup: loop: Too many levels of symbolic links")
    put("folder/a.txt", MONDAY)
    for name, target in (("up", "../folder"), ("loop", "loop"), ("gone.txt", "nowhere")):
        Path("folder", name).symlink_to(target)
    assert run("pairs", "folder").err == "1 document, 0 pairs at 0.8 or above\n"


# ---- a real pair ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SEEDS.is_dir(), reason="needs ../shared/seeds, real texts that are not part of the project")
def test_the_seeds_on_a_terminal():
    """Of three real stories two are the same; their folder is said once."""
    title, head, row, summary = screen(on_terminal("pairs", SEEDS, columns=100 + len(str(SEEDS))).out)
    assert title == f"Near-duplicates, below {SEEDS}/"
    assert head.split() == ["similarity", "a", "b"]
    assert re.fullmatch(r" +0\.936  000_\w+\.txt  003_\w+\.txt", row)
    assert summary == "3 documents, 1 pair at 0.8 or above"


# ---- an index on disk ------------------------------------------------------------------------------------------------


def test_an_index_from_the_command_line(run, tmp_path):
    """Documents are added, looked up, counted, removed and checked."""
    corpus, query, index = tmp_path / "news.jsonl", tmp_path / "new.txt", tmp_path / "news.neardup"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in NEWS[:3]))
    query.write_text(SHOUTED)
    assert run("index", "add", index, corpus, "-t", "0.7", "--text", "text", "--id", "id") == (0, "", f"3 documents added, 3 in {index}\n")
    done = run("index", "query", index, query)
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["m", "e"]
    assert run("index", "query", index, query, "--top", "1", "--fail-on-duplicates", "-q").code == 1
    stats = json.loads(run("index", "stats", index).out)
    assert (stats["documents"], stats["threshold"], stats["heavy_buckets"]) == (3, 0.7, [])
    assert run("index", "remove", index, "m").err == f"1 document removed, 2 in {index}\n"
    assert run("index", "check", index).err == f"2 documents in {index}, all is well\n"
    assert run("index", "compact", index).code == 0
    assert [json.loads(line)["id"] for line in run("index", "query", index, query, "-q").out.splitlines()] == ["e"]
    again = run("index", "add", index, corpus)
    assert (again.code, again.out) == (2, "")
    assert "document 'e' is in the index already" in again.err or "document 'r' is in the index already" in again.err
    assert "no index in" in run("index", "query", tmp_path / "none", query).err
    for command in (["remove", "none", "m"], ["check", "none"], ["compact", "none"], ["stats", "none"]):
        assert run("index", *command).err == "neardup: no index in 'none'; name another folder, or add documents to make one\n"
    assert run("index", "add", tmp_path / "none", tmp_path / "nothing.jsonl").code == 2
    assert not (tmp_path / "none").exists()
    assert again.err.index("0 documents added to") < again.err.index(" is in the index already, nothing was added; --skip-known leaves out")
    assert again.err.endswith("; --skip-known leaves out what is there, `neardup index remove` removes it\n")
    given = ("--text", "text", "--id", "id", "--skip-known")
    again = run("index", "add", index, corpus, *given)
    assert (again.code, again.err) == (0, f"1 document added, 3 in {index}; 2 documents left out, being there already\n")
    assert run("index", "add", index, corpus, *given).err == f"0 documents added, 3 in {index}; 3 documents left out, being there already\n"
    assert "threshold 0.7, not 0.9" in run("index", "add", index, corpus, "-t", "0.9").err


def test_numbers_are_removed_as_they_are_typed(run):
    """The string of that name, or else the integer that is written so, 0 too; `007` is no integer."""
    put("a.jsonl", jsonl(*({"id": id, "text": MONDAY} for id in (0, 7, -3, "7"))))
    assert run("index", "add", "x", "a.jsonl").code == 0
    assert run("index", "remove", "x", "0", "--", "-3", "7").code == 0
    with neardup.Index.open("x", mode="r") as index:
        assert index.ids() == [7]
    assert "no document '007' in the index" in run("index", "remove", "x", "007").err


def test_all_ids_are_removed_or_none(run):
    """One that is not there is said before any is removed; one that is given twice is removed once."""
    put("a.jsonl", jsonl(*({"id": id, "text": MONDAY} for id in ("a", "b", 7))))
    assert run("index", "add", "x", "a.jsonl").code == 0
    said = "no document 'nosuch' in the index, nothing was removed; ids are as `neardup index query` shows them\n"
    assert run("index", "remove", "x", "a", "7", "nosuch") == Done(2, "", f"neardup: {said}")
    assert run("index", "remove", "x", "a", "7", "a").err == "2 documents removed, 1 in x\n"
    assert "-- before negative numbers" in re.sub(r"[│\s]+", " ", run("index", "remove", "--help").out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dedup", "news.jsonl", "--append"], "--append is given and --against is not given; name the one index to which"),
        (["dedup", "news.jsonl", "--clusters", "components", "--against", "x.csv"], "with --against use 'witness'"),
        (
            ["dedup", "n.csv", "--append", "--against", "y"],
            "--append needs ids that differ from run to run, and these are positions; name a column of ids: --id",
        ),
        (["dedup", "n.csv", "--memory-limit", "lots"], "--memory-limit is 'lots'; it is a number of bytes, or a string like '3GB'"),
        (
            ["dedup", "wide.csv"],
            "wide.csv: no column is obviously the text; --text names one of 'a', 'b'; in a folder, --glob chooses other files",
        ),
        (
            ["dedup", "lists.jsonl", "--keep", "tags=x"],
            "column 'tags' has ['x'] of type list; --keep prefers strings, numbers or dates: name another column",
        ),
        (["index", "remove", "x", "9" * 5000], "no document '9999"),
        (["index", "remove", "x", "9" * 20], f"no document '{'9' * 20}' in the index, nothing was removed; ids are as"),
        (
            ["index", "remove", "x", "zebra"],
            "no document 'zebra' in the index, nothing was removed; ids are as `neardup index query` shows them",
        ),
    ],
)
def test_messages_name_options(run, news, arguments, words):
    """What Python calls num_perm is --num-perm here, whoever says it."""
    put("n.csv", "text\none two\n")
    put("x.csv", "text\none two\n")
    put("wide.csv", "a,b\none two,three\n")
    put("lists.jsonl", jsonl({"text": "one two", "tags": ["x"]}))
    assert run("index", "add", "x", news, "-q").code == 0
    done = run(*arguments, "-q")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err


def test_every_option_of_a_message_is_one():
    """wording.OPTIONS are options, by these names."""
    group = typer.main.get_command(cli.app)
    commands = [*group.commands.values(), *group.commands["index"].commands.values()]
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    assert {"--" + name.replace("_", "-") for name in wording.OPTIONS} <= known


# ---- what is older, what is skipped, what it would take ----------------------------------------------------------------------


def test_months_are_added_to_an_archive(run):
    """Each run names the older story, and adds what it keeps; a run that cannot come to the same is refused."""
    put("jan.jsonl", jsonl(NEWS[0], NEWS[1]))
    put("feb.jsonl", jsonl({"id": "x", "text": SHOUTED}, {"id": "y", "text": RAIN + " " + MONDAY}))
    options = "--against", "kept.neardup", "--append", "-q"
    assert rows(run("dedup", "jan.jsonl", "-o", "jan-kept.jsonl", *options)) == []
    assert rows(run("dedup", "feb.jsonl", "-o", "feb-kept.jsonl", *options)) == [
        {"id": "x", "witness": "m", "against": "kept.neardup", "similarity": 1.0}
    ]
    assert [json.loads(line)["id"] for line in Path("feb-kept.jsonl").read_text().splitlines()] == ["y"]
    assert run("dedup", "feb.jsonl", *options, "--keep", "longest").err.startswith("neardup: --keep is 'longest', but what is in the index")
    assert "3 documents in" in run("index", "check", "kept.neardup").err
    said = run("dedup", "feb.jsonl", "--against", "jan.jsonl", "--against", "kept.neardup").err
    assert "2 documents: 0 kept, 2 removed (2 for older documents)\n" in said


def test_what_is_added_to_an_archive_is_said(run):
    """How many, where, and whether it is new; why others are removed stands in one line."""
    put("jan.jsonl", jsonl(NEWS[0], NEWS[1]))
    put("feb.jsonl", jsonl({"id": "x", "text": SHOUTED}, {"id": "y", "text": SHOUTED}, {"id": "z", "text": MONDAY + RAIN}))
    options = "--against", "kept.neardup", "--append", "--text", "text", "--id", "id"
    said = "2 documents: 2 kept, 0 removed\n2 documents added to kept.neardup, which is a new index\n"
    assert run("dedup", "jan.jsonl", *options).err == said
    said = "3 documents: 1 kept, 2 removed (2 for older documents, 1 exact among these)\n1 document added to kept.neardup\n"
    assert run("dedup", "feb.jsonl", *options).err == said
    assert "0 documents added to kept.neardup\n" in run("dedup", "feb.jsonl", *options).err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep", "nosuch"], "a.jsonl: no column 'nosuch'; the columns are 'id', 'text'"),
        (["--order", "nosuch"], "a.jsonl: no column 'nosuch'; the columns are 'id', 'text'"),
        (["--keep=-"], "--keep is '-'; it is 'first', 'last', 'longest', the name of a column"),
        (["--memory-limit", "lots"], "--memory-limit is 'lots'; it is a number of bytes, or a string like '3GB'"),
        (["--against", "nosuch.neardup"], "nosuch.neardup: no such file or folder; check the path"),
        (["--append"], "--append is given and --against is not given; name the one index"),
        (
            ["--append", "--against", "x", "--keep", "last"],
            "--keep is 'last', but what is in the index stays there whatever comes later; --append goes with --keep first alone",
        ),
        (["--drop-frequent", "2"], "--drop-frequent is 2.0; it lies above 0 and below 1"),
        (["--threads", "0"], "--threads is 0; it goes from 1 to"),
        (["--exact", "-t", "0.3"], "--threshold is 0.3; --exact is for 0.5 and above"),
    ],
)
def test_options_are_checked_before_anything_is_read(run, options, words):
    """All that is known from names, numbers and headers: the ids, which are read to the end, repeat, and that is not found."""
    put("a.jsonl", jsonl({"id": "x", "text": MONDAY}) + "broken\n")
    done = run("dedup", "a.jsonl", *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"neardup: {words}")


def test_lines_that_cannot_be_read_are_skipped(run):
    """With --on-error skip they are counted, listed and left out of what is written; without it the first one is an error."""
    good = [json.dumps({"id": f"g{i}", "text": f"{MONDAY} {i} {i}"}) for i in range(3)]
    put(
        "a.jsonl",
        "\n".join([good[0], "{not json", "[1]", '{"id": "n"}', '{"id": null, "text": "a b"}', '{"id": "t", "text": 3}', *good[1:]]),
    )
    assert "neardup: a.jsonl: line 2 is not JSON" in run("dedup", "a.jsonl", "--id", "id").err
    done = run("dedup", "a.jsonl", "--id", "id", "--text", "text", "-o", "out.jsonl", "--on-error", "skip", "-t", "1")
    assert done.code == 0
    assert Path("out.jsonl").read_text() == "\n".join(good) + "\n"
    assert "5 lines skipped, which could not be read" in done.err
    for words in (
        "skipped: a.jsonl: line 2 is not JSON",
        "skipped: a.jsonl: line 3 is a list of JSON",
        "skipped: a.jsonl: line 4 has no 'text'",
        "skipped: a.jsonl: the id in line 5 is None",
        "skipped: a.jsonl: 'text' in line 6 is of type int",
    ):
        assert words in done.err
    put("b.csv", 'id,text\n1,one\n2\n3,"three"\n4,"fo"ur"\n5,five\n')
    assert "line 3" in run("dedup", "b.csv").err
    done = run("dedup", "b.csv", "--on-error", "skip", "-o", "b-out.csv")
    assert "skipped: b.csv: line 3: 1 values, and the header has 2" in done.err
    assert "2 lines skipped" in done.err
    assert [row["id"] for row in pa.csv.read_csv("b-out.csv").to_pylist()] == [1, 3, 5]


@pytest.mark.parametrize(
    "command", [["pairs"], ["dedup"], ["tune"], ["query", "news.jsonl"], ["index", "add", "new.neardup"], ["index", "query", "old.neardup"]]
)
def test_every_command_lists_what_it_skips(run, news, command):
    """And names the option where it is not given."""
    put("a.jsonl", jsonl(*NEWS[:2]) + "bad\n")
    put("b.csv", 'id,text\n1,one\n2\n3,"three"\n')
    assert run("index", "add", "old.neardup", news, "-q").code == 0
    for name, line in (("a.jsonl", 3), ("b.csv", 3)):
        done = run(*command, name, "--id", "id")
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith(", or leave out such lines: --on-error skip\n")
        done = run(*command, name, "--on-error", "skip")
        assert done.code == 0
        assert f"skipped: {name}: line {line}" in done.err
        assert "\n1 line skipped, which could not be read\n" in done.err


@pytest.mark.parametrize(
    "command", [["pairs"], ["dedup"], ["tune"], ["query", "a.txt"], ["index", "add", "new.neardup"], ["compare", "a.txt"]]
)
def test_what_is_no_text_is_said(run, command):
    """Bytes that are not UTF-8, and NUL bytes: the files are counted, the first is named, the results stay as they are."""
    put("a.txt", MONDAY)
    put("in/b.txt", RAIN)
    put("in/latin.txt", "caf\xe9 au lait".encode("latin1"))
    words = (
        " not UTF-8, or not text: what cannot be decoded separates words; convert texts (iconv -f latin1 -t utf-8), "
        "leave out others (--glob '**/*.txt')\n"
    )
    done = run(*command, "in/latin.txt" if command[0] == "compare" else "in")
    assert (done.code, "in/latin.txt is" + words in done.err) == (0, True)
    put("in/a.bin", b"a\0b")
    put("in/é.txt", "é")
    if command[0] != "compare":
        command = command if "index" not in command else ["index", "add", "other.neardup"]
        assert "2 files, in/a.bin first, are" + words in run(*command, "in").err
        assert "not UTF-8" not in run(*command, "in", "-q").err


def test_numbers_and_their_texts_are_two_documents(run):
    """What came from JSONL and comes again from CSV is added, and said."""
    put("a.jsonl", jsonl({"id": 3, "text": MONDAY}, {"id": "x", "text": RAIN}))
    put("a.csv", f'id,text\n3,"{MONDAY}"\nx4,"{RAIN}"\n')
    words = "{} are two documents: ids are text from CSV, numbers from elsewhere; keep to one\n"
    assert "two documents" not in run("index", "add", "one", "a.jsonl").err
    assert words.format("'3' and 3") in run("index", "add", "one", "a.csv").err
    assert run("index", "add", "two", "a.csv").code == 0
    assert words.format("3 and '3'") in run("index", "add", "two", "a.jsonl").err


def test_an_index_of_excerpts(run):
    """In a folder like any other; its bands are none, and on a server it is refused before that is asked."""
    put("a.jsonl", jsonl(*NEWS))
    assert run("index", "add", "parts", "a.jsonl", "--profile", "excerpt").code == 0
    put("part.txt", " ".join(NEWS[0]["text"].split()[2:12]))
    assert NEWS[0]["id"] in [row["id"] for row in rows(run("index", "query", "parts", "part.txt"))]
    (stats,) = rows(run("index", "stats", "parts"))
    assert (stats["verify"], stats["documents"], "bands" in stats) == ("contained", len(NEWS), False)
    for verb in ("check", "compact"):
        assert run("index", verb, "parts").code == 0
    assert run("index", "remove", "parts", str(NEWS[0]["id"])).code == 0
    done = run("index", "add", "redis://127.0.0.1:1", "a.jsonl", "--profile", "excerpt", "--name", "parts")
    assert (done.code, "--profile is 'excerpt' and 'parts' at redis://127.0.0.1:1 is on a server" in done.err) == (2, True)


def test_many_skipped_lines_are_not_all_shown(run):
    """The first twenty-five, and how many more."""
    put("a.jsonl", jsonl(NEWS[0]) + "bad\n" * 40)
    done = run("dedup", "a.jsonl", "--on-error", "skip")
    assert done.err.count("skipped: a.jsonl: line") == 25
    assert "skipped: ... and 15 more" in done.err


def test_a_dry_run_says_what_it_would_take(run, news):
    """Documents, seconds, bytes; nothing is written."""
    (row,) = rows(run("dedup", news, "-o", "out.jsonl", "--dry-run", "-q"))
    assert row["documents"] == row["sampled"] == len(NEWS)
    assert 0 < row["seconds"] < 60
    assert row["memory"] > 0
    assert row["disk"] == 0
    assert not Path("out.jsonl").exists()
    assert "4 documents: about 0." in without_colours(on_terminal("dedup", news, "--dry-run", "-q").out)


def test_a_dry_run_learns_from_the_first_documents(run, monkeypatch):
    """The rest is as many as their bytes say."""
    monkeypatch.setattr("neardup.dedup.SAMPLED", 4000)
    rng = random.Random(1)
    put("a.jsonl", jsonl(*({"id": i, "text": " ".join(str(rng.random()) for _ in range(20))} for i in range(20_000))))
    (row,) = rows(run("dedup", "a.jsonl", "--dry-run", "-q"))
    assert row["sampled"] == 4096
    assert 15_000 < row["documents"] < 21_000


def test_one_name_for_two_outputs_is_refused(run, news):
    """The second would take the place of the first."""
    done = run("dedup", news, "-o", "out.jsonl", "--evidence", "./out.jsonl")
    assert done == Done(2, "", "neardup: --evidence and the output are both ./out.jsonl; name two files\n")


@pytest.mark.parametrize("keep", ["source=", "=a"])
def test_a_preference_without_values_is_refused(run, news, keep):
    """As it is typed."""
    done = run("dedup", news, "--keep", keep)
    assert done.err.startswith(f"neardup: --keep is '{keep}'; name a column and its values, the preferred first: source=Reuters,AP")


def test_preferred_numbers_are_numbers(run):
    """A list on the command line is of strings, and a column may be of integers."""
    put("a.jsonl", jsonl({"id": "a", "text": MONDAY, "tier": 5}, {"id": "b", "text": MONDAY, "tier": 1}))
    assert [row["id"] for row in rows(run("dedup", "a.jsonl", "--keep", "tier=1,5"))] == ["a"]


def test_an_interrupted_command_goes_on(run, monkeypatch):
    """The folder beside the output says so, and is gone in the end."""
    monkeypatch.setattr("neardup.work.KEPT", 0)
    monkeypatch.setattr("neardup.work.SECONDS", 0.0)
    put("a.jsonl", jsonl(*({"id": i, "text": f"{MONDAY} {i % 4000} {i % 4000}"} for i in range(9000))))
    with monkeypatch.context() as patch:
        patch.setattr("neardup.dedup.decide", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            neardup.deduplicate(Path("a.jsonl"), work="out.jsonl.work")
    assert Path("out.jsonl.work").is_dir()
    with pytest.warns(neardup.ResumeWarning, match="going on"):
        neardup.deduplicate(Path("a.jsonl"), work="out.jsonl.work")
    done = shell("neardup dedup a.jsonl -o out.jsonl --text text --id id")
    assert (done.code, "going on: signing is done" in done.err) == (0, True)
    assert not Path("out.jsonl.work").exists()


def test_whole_files_are_texts(run):
    """Whatever their names say: a tree of sources has tables in it."""
    for folder in ("a", "b"):
        put(f"tree/{folder}/table.csv", "x,y\n1,2\n" + MONDAY)
        put(f"tree/{folder}/lines.jsonl", RAIN)
    assert run("dedup", "tree").code == 2
    assert len(rows(run("dedup", "tree", "--whole-files", "-o", "kept"))) == 2
    assert sorted(map(str, Path("kept").rglob("*.*"))) == ["kept/a/lines.jsonl", "kept/a/table.csv"]


def test_similarity_by_rarity(run, tmp_path):
    """--verify rarity does not take forms of a template for copies; dedup, pairs and a dry run know it."""
    frame = " ".join(f"word{i}" for i in range(60))
    rows = [{"id": f"form {i}", "text": f"{frame} " + " ".join(f"own{i}x{j}" for j in range(12))} for i in range(30)]
    file = tmp_path / "forms.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for verify, kept in (("exact", 1), ("rarity", 30)):
        done = run("dedup", file, "--threshold", "0.6", "--verify", verify)
        assert f"30 documents: {kept} kept" in done.err
    assert run("pairs", file, "-t", "0.6", "--verify", "rarity").out == ""
    assert json.loads(run("dedup", file, "-t", "0.6", "--verify", "rarity", "--dry-run").out)["documents"] == 30


@pytest.mark.parametrize("option", ["--report", "--evidence"])
def test_what_cannot_be_written_is_said_before_the_work(run, news, monkeypatch, option):
    """A folder that is not there is met before anything is read, and costs no result."""
    monkeypatch.setattr(neardup, "deduplicate", lambda *_, **__: pytest.fail("the work was begun"))
    name = "nowhere/a" + {"--report": ".html", "--evidence": ".parquet"}[option]
    done = run("dedup", news, "-o", "out.jsonl", option, name)
    assert done == Done(2, "", done.err)
    assert re.search(rf"neardup: {name}: its folder does not exist; create it: mkdir -p .*/nowhere\n", done.err)


def test_a_report_shows_columns(run):
    """What --show names; a column that is not there, or none to show it in, is refused before the work."""
    rows = [{"id": i, "text": f"one two three four five six {'seven' * i}", "source": f"paper {i}"} for i in range(3)]
    Path("news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("dedup", "news.jsonl", "-t", "0.3", "-q", "--report", "report.html", "--show", "source", "--show", "id").code == 0
    html = Path("report.html").read_text()
    assert "<span>source</span> <bdi>paper 1</bdi>" in html
    assert "<span>id</span> <bdi>1</bdi>" in html
    done = run("dedup", "news.jsonl", "-o", "out.jsonl", "--report", "other.html", "--show", "sauce")
    assert done == Done(2, "", "neardup: news.jsonl: no column 'sauce'; the columns are 'id', 'text', 'source'\n")
    done = run("dedup", "news.jsonl", "-o", "out.jsonl", "--show", "source")
    assert done == Done(2, "", "neardup: --show is 'source', and there is no report to show it; add --report report.html\n")
    assert not Path("out.jsonl").exists()


def test_a_report_is_written_last(run, news, monkeypatch):
    """What goes wrong in the report costs the report alone: what is kept is written by then."""
    monkeypatch.setattr(neardup.results.Result, "report", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    done = run("dedup", news, "-o", "out.jsonl", "--report", "report.html")
    assert done.code == 2
    assert done.err.endswith("neardup: No space left; make room, or write elsewhere\n")
    assert len(Path("out.jsonl").read_text().splitlines()) == 2
