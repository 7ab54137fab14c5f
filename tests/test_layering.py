"""The rules of the house, read from the source: what may import what, what importing costs, and what is never written."""

import ast
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "neardup"

#: What each stage lets others have: the data it hands on and the checks of it. The rest is its own machinery.
DATA = {
    "documents": {"Documents", "Utf8", "as_texts", "one_by_one"},
    "shingling": {"HashArray", "Shingling", "Token", "check_text", "sealed", "sorted_distinct"},
    "minhash": {"MinHash", "Signature", "Signatures", "ValueArray"},
    "banding": {"Banding"},
    "stores": {
        "Answer",
        "Extent",
        "Hit",
        "Document",
        "Matcher",
        "Preparation",
        "Store",
        "StoreBatch",
        "Told",
        "preparation",
        "HeavyBucket",
    },
    "verify": {"Match", "similarity"},
    "census": {"COUNTED", "Census", "ValueArray", "Weights"},
    "noise": {"ILLEGIBLE", "LEAST", "Legibility", "Readings", "corrected", "least_jaccard"},
    "excerpts": {"SAMPLE", "SAMPLED", "Contained", "found_in_longer"},
    "rarity": {"SHARE", "Weighed", "rarity"},
    "profiles": {"Settings"},
    "ranking": {"Keep", "Ranking", "WORDS"},
    "joins": {"Edges", "Heavy", "Join", "Judge", "Sets"},
    "ids": {
        *("Id", "Mask", "PackedIds", "PlaceArray", "Repeats", "check_id", "check_ids", "first_repeat", "id_column", "id_order", "pack"),
    },
    "clusters": {"Decisions", "choose_witnesses", "component_witnesses", "first_kept"},
}

#: What each module may import of the project beside errors and _kernels. Data flows one way: a stage takes the data of
#: stages before it. index and dedup alone assemble stages; what people see (report, cli) stands on those two.
MAY_IMPORT = {
    "errors": set(),
    "reference": set(),  # the specification leans on nothing that it specifies
    "ids": set(),
    "threads": set(),  # any work
    "ending": set(),  # any action
    "documents": {"files", "writing", "ids"},  # when it is given a path
    "files": {"documents", "ending", "unread"},  # documents are what it makes of a file
    "unread": set(),  # numbers of lines, and why
    "writing": {"documents", "files", "ids"},
    "shingling": set(),
    "minhash": {"documents", "shingling", "threads"},  # signs texts and ready tokens
    "notebook": set(),  # rows of anything
    "banding": {"notebook", "shingling"},  # how it looks; the type of an array of hashes
    "stores": {"ids", "minhash", "banding"},  # signatures become postings
    "stores.forked": set(),  # locks of any kind
    "stores.memory": {"ids", "stores", "stores.forked"},
    "stores.layout": set(),  # flat arrays in files
    "stores.catalog": set(),  # rows of a database
    "stores.segments": {"ids", "stores", "stores.layout", "threads"},
    "stores.disk": {"ids", "stores", "stores.forked", "stores.layout", "stores.catalog", "stores.segments", "threads"},
    "stores.fetched": {"ids", "stores"},  # what comes from a server, as a batch
    "stores.postgres_schema": set(),  # statements
    "stores.postgres": {"ids", "stores", "stores.fetched", "stores.forked", "stores.postgres_schema"},
    "stores.redis": {"ids", "stores", "stores.fetched", "stores.forked"},
    "stores.sampled": {"ids", "stores", "stores.forked", "stores.memory", "stores.disk"},  # kept on disk, looked up in memory
    "stores.places": {"stores", "stores.fetched", "stores.disk", "stores.sampled", "stores.postgres", "stores.redis"},  # which a path names
    "alignment": {"shingling"},  # what two texts share, in order
    "verify": {"shingling"},  # scores two texts, shows what they share
    "census": set(),  # flat arrays of hashes, counts and weights
    "excerpts": set(),  # flat arrays of hashes
    "noise": {"census"},  # what is known says how much was misread
    "rarity": {"census"},  # how many have a shingle says what it weighs
    "profiles": {"shingling", "minhash", "banding", "noise", "rarity", "excerpts"},  # the parameters of all stages
    "judging": {"census", "noise", "rarity", "profiles", "stores", "stores.forked", "joins", "verify"},  # hits of a store become matches
    "spool": set(),  # flat arrays, in memory or in files
    "work": {"ending", "spool"},  # columns that an interrupted job goes on with
    "frequent": {"shingling"},  # shingles that many documents have
    "joins": {"ids", "spool", "work", "stores", "threads", "verify"},  # batches of a store become scored pairs
    "clusters": {"ids", "joins"},  # pairs become decisions
    "asking": {"ids", "notebook", "profiles", "verify"},  # what a query asks, and matches in order
    "pairs": {"ids", "joins", "profiles", "judging", "excerpts", "spool", "stores", "verify", "work"},  # batches of a store become rows
    "ranking": {"ids"},  # flat columns of what ranks documents
    "results": {
        "documents",
        "ids",
        "minhash",
        "banding",
        "shingling",
        "stores",
        "joins",
        "clusters",
        "profiles",
        "report",
        "notebook",
    },  # what people see
    "index": {
        *("documents", "ids", "shingling", "minhash", "banding", "stores", "stores.places", "stores.memory", "verify"),
        *("asking", "judging", "notebook", "profiles", "pairs", "threads"),
    },
    "dedup": {
        *("documents", "ids", "shingling", "minhash", "banding", "stores", "verify", "spool", "work", "joins", "clusters"),
        *("frequent", "ranking", "results", "index", "against", "judging", "excerpts", "profiles", "threads"),
    },
    "against": {  # older corpora, as indexes
        *("documents", "ids", "minhash", "banding", "stores", "stores.places", "verify", "work", "joins", "results", "index"),
    },
    "tuning": {"documents", "ids", "shingling", "minhash", "banding", "stores", "spool", "work", "joins", "threads"},  # a job of its own
    "evaluation": {"documents", "ids", "index", "notebook", "profiles"},  # what is found beside what people say
    "streaming": {"index", "minhash", "shingling"},  # a stream beside an index
    "interop": set(),
    "interop.datasketch": {
        "banding",
        "documents",
        "ids",
        "index",
        "minhash",
        "shingling",
    },  # its sketches are signatures, its index one of ours
    "interop.frames": {"dedup", "documents", "results"},  # decisions as columns
    "interop.huggingface": {"dedup"},  # decisions as a function
    "report": {"report.facts", "writing", "work"},  # how far it is
    "report.facts": {"", "documents", "excerpts", "ids", "joins", "report.marking"},  # what is shown of a result
    "report.marking": {"alignment", "shingling"},  # two texts side by side
    "cli": {"", "cli.corpus", "cli.judging", "cli.keeping", "cli.jobs", "cli.terminal"},  # the commands
    "cli.wording": set(),  # messages, with the names of options
    "cli.terminal": {"files", "ids", "cli.wording"},  # what people see
    "cli.jobs": {"", "documents", "files", "writing", "work", "cli.terminal"},  # options, and the files they name
    "cli.corpus": {"", "dedup", "report", "cli.distributed", "writing", "cli.jobs", "cli.terminal"},
    "cli.beside": {"alignment", "cli.terminal"},  # two texts on a terminal
    "cli.judging": {
        *("", "documents", "alignment", "evaluation", "notebook", "tuning", "verify", "cli.beside", "cli.jobs", "cli.terminal"),
    },
    "engines": set(),
    "engines.spark": {
        *(
            "engines.spark.bucketing",
            "engines.spark.counting",
            "engines.spark.deciding",
            "engines.spark.matching",
            "engines.spark.packing",
            "engines.spark.repeating",
        ),
        *("engines.spark.sessions", "engines.spark.signing", "engines.spark.stages"),
        *("shingling", "minhash", "banding", "profiles", "ranking", "rarity"),
    },  # the whole-corpus job, where Spark moves the data
    "engines.spark.packing": set(),  # flat arrays as rows of Spark
    "engines.spark.signing": {"engines.spark.packing", "minhash", "banding", "stores", "ranking"},  # texts become rows of a frame
    "engines.spark.repeating": {"engines.spark.packing"},
    "engines.spark.bucketing": {"engines.spark.packing"},
    "engines.spark.counting": {"engines.spark.packing", "census"},
    "engines.spark.matching": {"engines.spark.packing", "census", "rarity", "verify"},
    "engines.spark.deciding": set(),  # flat arrays of edges
    "engines.spark.stages": {"engines.spark.packing"},  # how many rows go to Python at a time
    "engines.spark.sessions": {"ending", "engines.spark.stages"},
    "cli.distributed": {"documents", "engines.spark", "engines.spark.sessions", "cli.jobs", "cli.terminal"},
    "cli.keeping": {"", "documents", "ids", "stores.places", "stores.postgres", "stores.fetched", "cli.jobs", "cli.terminal"},
    "": {  # the public names
        *("profiles", "evaluation", "tuning", "banding", "results", "dedup", "index", "minhash", "shingling", "verify", "streaming"),
    },
}

COMMANDS = {"cli", "cli.terminal", "cli.beside", "cli.jobs", "cli.corpus", "cli.distributed", "cli.judging", "cli.keeping", "cli.wording"}
OTHERS = {"streaming", "interop.datasketch", "interop.frames", "interop.huggingface"}  # stand on the assemblers
ASSEMBLERS = {
    "engines.spark",
    *OTHERS,
    "index",
    "dedup",
    "against",
    "pairs",
    "tuning",
    "evaluation",
    "report",
    "report.facts",
    "report.marking",
    *COMMANDS,
    "",
}
EVERYWHERE = {"errors", "_kernels"}
ONE_STAGE = {"documents", "files", "writing"}  # in two modules: columns, and the files they are read from


def module_name(path):
    """``stores.memory`` for ``src/neardup/stores/memory.py``; a package is named without ``__init__``."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def is_module(name):
    """Whether this is the name of a module, not of something in one."""
    return name in MODULES or name in MAY_IMPORT or name in EVERYWHERE


def imports(tree):
    """Every import from the project in a syntax tree, wherever it stands: (module, name), the name None for all of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "neardup":
                    yield alias.name.removeprefix("neardup").removeprefix("."), None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            if node.module.split(".")[0] != "neardup":
                continue
            home = node.module.removeprefix("neardup").removeprefix(".")
            for alias in node.names:
                inner = f"{home}.{alias.name}".lstrip(".")
                yield (inner, None) if is_module(inner) else (home, alias.name)


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_data(module):
    """A module imports only from the stages its row of MAY_IMPORT names, and of a stage only its data."""
    assert module in MAY_IMPORT, f"{module} is new: give it a row in MAY_IMPORT, with the reason for what it imports"
    for imported, name in imports(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if imported in EVERYWHERE:
            continue
        assert imported in MAY_IMPORT[module], f"{module} imports {imported or 'neardup'}, which it may not"
        if module not in ASSEMBLERS and not {module, imported} <= ONE_STAGE and not module.startswith(f"{imported}."):
            assert name in DATA.get(imported, {name}), f"{module} imports {name or 'all'} of {imported}: machinery, not data"


def test_the_order_has_no_cycle():
    """No module can reach itself through what it may import; the two modules of one stage may call each other."""
    below = {name: allowed - {""} - (ONE_STAGE if name in ONE_STAGE else set()) for name, allowed in MAY_IMPORT.items()}
    while below:
        free = {name for name, allowed in below.items() if not allowed & below.keys()}
        assert free, f"a cycle among {sorted(below)}"
        below = {name: allowed for name, allowed in below.items() if name not in free}


def test_what_documents_are_called_by_is_said_once():
    """The types of ids, of places and of masks are imported from their home; a second one of the same name could become another."""
    homes = [
        (target.id, module)
        for module, path in MODULES.items()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name) and target.id in {"Id", "PlaceArray", "Mask"}
    ]
    assert homes == [("Id", "ids"), ("PlaceArray", "ids"), ("Mask", "ids")]


def test_no_module_has_a_name_that_says_nothing():
    """There is no drawer for what has no place."""
    parts = {part for name in MODULES for part in name.split(".")}
    assert not parts & {"util", "utils", "helper", "helpers", "core", "manager", "common", "misc", "base"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_runs_what_it_reads(module):
    """No pickle, no eval or exec, no shell: stored data and texts stay data."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                loaded = {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=str(home)):
                loaded = {home.split(".")[0]}
            case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" as name)):
                pytest.fail(f"{module}, line {node.lineno}: {name}")
            case ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen" as name):
                pytest.fail(f"{module}, line {node.lineno}: os.{name}")
            case ast.keyword(arg="shell" | "allow_pickle", value=ast.Constant(value=True)):
                pytest.fail(f"{module}, line {node.lineno}: {node.arg}=True")
            case _:
                continue
        assert not loaded & {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}, f"{module}, line {node.lineno}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a fresh interpreter prints for some code; it finds modules compiled, as an installed package has them."""
    compiled = tmp_path_factory.mktemp("compiled")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run(code):
        command = [sys.executable, "-X", f"pycache_prefix={compiled}", "-c", code]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout.split()

    return run


#: Code that touches every public name, and code that says which heavy packages are loaded.
NAMES = "import neardup; [getattr(neardup, name) for name in neardup.__all__]; "
HEAVY = "pyarrow pandas polars datasets datasketch narwhals torch typer rich psycopg redis pyspark jinja2"
LOADED = f"import sys; print(*sorted(set({HEAVY!r}.split()) & set(sys.modules)))"


def test_importing_loads_no_heavy_package(run):
    """``import neardup``, and every public name after it, leave pyarrow, data frames and the command line unloaded."""
    assert run(NAMES + LOADED) == []


def test_an_index_in_memory_needs_no_heavy_package(run):
    """Adding and querying strings loads none of them either."""
    text = "'one two three four five six'"
    assert run(f"import neardup; i = neardup.Index(); i.add('a', {text}); assert i.query({text}); {LOADED}") == []


def test_importing_is_quick(run):
    """Beyond numpy's own import, ``import neardup`` takes less than 30 ms, and so do all its public names together.

    By the time of the thread that imports: those of a linear algebra library that numpy has started wait busily.
    """
    code = f"from time import thread_time as t; import numpy; a = t(); import neardup; b = t(); {NAMES} print(b - a, t() - a)"
    for attempt in range(30):  # a machine that others use is slow for a minute at a time
        time.sleep(min(attempt, 5))
        rounds = [tuple(map(float, run(code))) for _ in range(7)]
        alone, all_names = statistics.median(alone for alone, _ in rounds), min(names for _, names in rounds)
        if alone < 0.030 and all_names < 0.030:
            return
    pytest.fail(f"import neardup: {1000 * alone:.1f} ms, with all names: {1000 * all_names:.1f} ms")
