"""Deduplication as its acceptance is written: real corpora against exact joins, sizes that outgrow memory, templates, boilerplate.

Texts of others are fetched into a cache outside the project: NEARDUP_PROOFS, or ~/.cache/neardup-proofs.
"""

import gzip
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import truth
from proof_cache import CACHE, fetched

from neardup import MinHash, deduplicate

STORIES = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578" / "docs.jsonl.gz"
SEEDS = range(10)
RECALL = 0.99

pytestmark = pytest.mark.prove


# ---- real corpora, judged by all their pairs ---------------------------------------------------------------------------------


def stories():
    """19,043 stories of a news agency."""
    if not STORIES.is_file():
        pytest.skip("the Reuters stories are not on this machine")
    with gzip.open(STORIES, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def licences():
    """The texts of licences and notices, some 39,000 of them."""
    wheel = fetched("scancode_toolkit-32.5.0-*.whl", sys.executable, "-m", "pip", "download", "-q", "--no-deps", "scancode-toolkit==32.5.0")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/data/rules/" in name or "/data/licenses/" in name]
        texts = [archive.read(name).decode("utf-8", "replace") for name in names if name.endswith((".RULE", ".LICENSE"))]
    return [text.split("---", 2)[-1] for text in texts]


@pytest.fixture(scope="module", params=[stories, licences], ids=["stories", "licences"])
def real(request):
    """Texts, and the shingle set of each."""
    texts = request.param()
    return texts, truth.shingle_sets(texts)


def distinct_pairs(table, sets):
    """Of a table of pairs those of different sets, as a dictionary of similarities."""
    columns = table.to_pydict().values()
    return {(a, b): score for a, b, score in zip(*columns, strict=True) if sets[a] != sets[b]}


def decided(pairs, sets):
    """Section 8 of the design by the plainest loop: on the first documents of sets, whose copies follow them."""
    first = {}
    for i, own in enumerate(sets):
        first.setdefault(own or i, i)
    founders = sorted(first.values())
    place = {founder: i for i, founder in enumerate(founders)}
    _, removed = truth.decide(range(len(founders)), {(place[a], place[b]): score for (a, b), score in pairs.items()})
    removed = {founders[i]: (founders[witness], score) for i, (witness, score) in removed.items()}
    for i, own in enumerate(sets):
        founder = first[own or i]
        if i != founder:
            removed[i] = removed.get(founder, (founder, 1.0))
    return removed


@pytest.mark.parametrize("threshold", [0.9, 0.8, 0.7, 0.5])
def test_a_real_corpus_against_all_its_pairs(real, threshold, record_property):
    """The banded join finds, of ten seeds, what it promises of the exact join, and decides by it; plain Python agrees with the exact."""
    texts, sets = real
    every = distinct_pairs(deduplicate(texts, threshold, exact=True, pairs="all", max_pairs=10**8).pairs, sets)
    if threshold >= 0.8 or len(texts) < 20_000:  # below, plain Python takes an hour
        founders = sorted({own: i for i, own in reversed(list(enumerate(sets))) if own}.values())
        plain = truth.join([sets[i] for i in founders], threshold)
        assert every == {(founders[a], founders[b]): score for (a, b), score in plain.items()}
    recalls, promised = [], 0.0
    for seed in SEEDS:
        result = deduplicate(texts, threshold, pairs="all", minhash=MinHash(seed=seed), max_pairs=10**8)
        found = distinct_pairs(result.pairs, sets)
        assert found.items() <= every.items()
        recalls.append(len(found) / len(every))
        promised = statistics.mean(result.banding.probability(score) for score in every.values())
        removed = decided(found, sets)
        assert {one.id: (one.witness, one.similarity) for one in result.removed} == removed
        assert result.kept == sorted(set(range(len(texts))) - set(removed))
        deciding = deduplicate(texts, threshold, minhash=MinHash(seed=seed))
        assert (deciding.kept, deciding.removed) == (result.kept, result.removed)
    record_property("documents", len(texts))
    record_property("pairs of different sets", len(every))
    record_property("recall, mean of ten seeds", f"{statistics.mean(recalls):.5f}")
    record_property("recall, least", f"{min(recalls):.5f}")
    record_property("recall expected of these similarities", f"{promised:.5f}")
    assert statistics.mean(recalls) >= RECALL
    assert statistics.mean(recalls) >= promised - 0.003


# ---- sizes ---------------------------------------------------------------------------------------------------------------


def run(*arguments):
    """Run the command in a process of its own: seconds, seconds of processors, peak bytes of memory, what it said."""
    code = (
        "import atexit, sys\n"
        "peak = lambda: next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]\n"
        "atexit.register(lambda: open(sys.argv[0], 'w').write(peak()))\n"
        "from neardup.cli import main; main()"
    )
    start = time.perf_counter()
    with (CACHE / "said.txt").open("wb") as said:
        code = code.replace("sys.argv[0]", repr(str(CACHE / "peak.txt")))
        command = [sys.executable, "-c", code, *map(str, arguments)]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    text = (CACHE / "said.txt").read_text()
    assert running.returncode == 0, text
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, int((CACHE / "peak.txt").read_text()) << 10, text


def reported(record_property, documents, measured):
    """Say what a run took."""
    seconds, cpu, memory, said = measured
    record_property("documents", documents)
    record_property("seconds", f"{seconds:.1f}")
    record_property("seconds of processors", f"{cpu:.1f}")
    record_property("peak memory, MB", round(memory / 1e6))
    record_property("said", said.strip().partition("\n")[0].replace(f"{CACHE}/", ""))  # not where this machine keeps it


def sources():
    """The sources of two releases of Linux, a folder each."""
    folder = CACHE / "linux"
    if not folder.exists():
        part = CACHE / "linux.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for version in ("6.1", "6.12"):
            package = fetched(f"linux-source-{version}_*.deb", "apt-get", "download", f"linux-source-{version}")
            subprocess.run(["dpkg-deb", "-x", package, part / version], check=True)
            subprocess.run(["tar", "-xf", *(part / version).glob("usr/src/*.tar.xz"), "-C", part / version], check=True)
            shutil.rmtree(part / version / "usr")
        part.rename(folder)
    return folder


def test_the_sources_of_two_releases_within_one_gigabyte(tmp_path, record_property):
    """165,000 files, 2.7 GB."""
    folder = sources()
    names = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    measured = run("dedup", folder, "--whole-files", "-o", tmp_path / "kept.jsonl", "--memory-limit", "1GB")
    with (tmp_path / "kept.jsonl").open("rb") as lines:
        kept = sum(1 for _ in lines)
    reported(record_property, len(names), measured)
    record_property("bytes", sum(path.stat().st_size for path in names))
    record_property("kept", kept)
    assert measured[2] <= 10**9
    assert 70_000 < kept < 160_000


WORDS = 200_000


def write_generated(folder, documents):
    """Documents of about 1 KB in Parquet files of 100,000 rows, one in ten a near-copy of one that is up to 50,000 before it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = np.array([f"{chr(97 + i % 26)}{i:x}{'aeiou'[i % 5]}" for i in range(WORDS)], object)
    for part in range(documents // 100_000):
        path = folder / f"{part:04}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng(part)
        drawn = (WORDS ** rng.random((100_000, 150))).astype(np.int64) - 1  # few words are frequent
        copies = np.flatnonzero(rng.random(100_000) < 0.1)
        copies = copies[copies > 0]
        drawn[copies] = drawn[np.maximum(0, copies - rng.integers(1, 50_000, len(copies)))]
        drawn[copies, rng.integers(0, 150, len(copies))] = rng.integers(0, WORDS, len(copies))
        texts = pa.array([" ".join(row) for row in words[drawn].tolist()])
        first = part * 100_000
        table = pa.table({"id": pa.array(range(first, first + 100_000)), "text": texts})
        pq.write_table(table, path.with_suffix(".part"), row_group_size=20_000)
        path.with_suffix(".part").rename(path)


@pytest.mark.parametrize("documents", [1_000_000, 10_000_000])
def test_generated_documents_within_three_gigabytes(tmp_path, record_property, documents):
    """Their time each is at most half more than that of 100,000."""
    folder = CACHE / f"generated-{documents}"
    need = documents * 2500
    if not (folder / "0000.parquet").exists() and shutil.disk_usage(CACHE.parent).free < need:
        pytest.skip(f"needs {need >> 30} GB of disk")
    write_generated(folder, documents)
    few = [run("dedup", folder / "0000.parquet", "-o", tmp_path / "few.parquet", "--memory-limit", "3GB")[0] for _ in range(3)]
    measured = run("dedup", folder, "-o", tmp_path / "kept.parquet", "--id", "id", "--memory-limit", "3GB")
    reported(record_property, documents, measured)
    ratio = measured[0] / documents / (statistics.median(few) / 100_000)
    record_property("seconds of 100,000, median of three", f"{statistics.median(few):.2f}")
    record_property("time a document beside 100,000", f"{ratio:.2f}")
    removed = documents - pq.ParquetFile(tmp_path / "kept.parquet").metadata.num_rows
    assert 0.09 < removed / documents < 0.11
    assert measured[2] <= 3 * 10**9
    assert ratio <= 1.5


# ---- templates and boilerplate ---------------------------------------------------------------------------------------------


def test_a_template_costs_no_recall(record_property):
    """20,000 letters of one template, 1,000 copies of letters at 0.8 to 0.95, 200,000 other documents."""
    rng = random.Random(4)
    own = iter(range(10**9))
    shared = [f"dear{i}" for i in range(84)]
    letters = [" ".join([*shared, *(f"own{next(own)}" for _ in range(20))]) for _ in range(20_000)]
    others = [" ".join(f"other{rng.randrange(10**6)}" for _ in range(60)) for _ in range(200_000)]
    copies = []
    for letter in rng.sample(letters, 1000):
        tokens = letter.split()
        for _ in range(rng.choice([1, 2])):
            tokens[rng.randrange(90, 100)] = f"edit{next(own)}"
        copies.append((" ".join(tokens), letter))
    texts = [*others, *letters, *(copy for copy, _ in copies)]
    rng.shuffle(texts)
    sets = dict(zip((text for pair in copies for text in pair), truth.shingle_sets(text for pair in copies for text in pair), strict=True))
    true = [pair for pair in copies if truth.similarity(sets[pair[0]], sets[pair[1]]) >= 0.8]
    start = time.perf_counter()
    result = deduplicate(texts)
    seconds = time.perf_counter() - start
    removed = {frozenset((texts[one.id], texts[one.witness])) for one in result.removed}
    found = sum(frozenset(pair) in removed for pair in true)
    record_property("copies", len(true))
    record_property("found", found)
    record_property("seconds", f"{seconds:.2f}")
    record_property("heavy buckets", len(result.heavy_buckets))
    assert len(true) > 900
    assert found / len(true) >= RECALL
    assert seconds < 20


def test_empty_and_boilerplate_documents_are_bounded(record_property):
    """1 million documents, of them 100,000 empty, 100,000 of one text and 100,000 of a template that differ by a number."""
    rng = random.Random(6)
    texts = [""] * 50_000 + [" ... "] * 50_000 + ["This page cannot be found, please try again later or write to us."] * 100_000
    texts += [
        f"Your order number {i} was sent today and will be with you within three working days of this message" for i in range(100_000)
    ]
    texts += [" ".join(f"word{rng.randrange(10**5)}" for _ in range(40)) for _ in range(700_000)]
    rng.shuffle(texts)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    result = deduplicate(texts, 0.5)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    summary = result.summary()
    record_property("seconds", f"{seconds:.1f}")
    record_property("seconds of processors", f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f}")
    record_property(
        "summary", {name: summary[name] for name in ("documents", "kept", "removed", "copies", "without_shingles", "heavy_buckets")}
    )
    assert summary["documents"] == 1_000_000
    assert summary["kept"] + summary["removed"] == 1_000_000
    assert summary["without_shingles"] == 100_000
    assert summary["copies"] >= 99_999
    assert summary["removed"] > 190_000
    assert seconds < 60


# ---- beside other libraries --------------------------------------------------------------------------------------------------

#: Says of texts, a line of JSON each time it is asked, which it removes, the seconds of processors it took, and its peak memory.
SERVER = """
import json, sys, time
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
texts = json.load(open(sys.argv[2]))
shingles = lambda text: [" ".join(w[i:i + 5]) for w in [text.split()] for i in range(max(1, len(w) - 4))] if text.split() else []
if sys.argv[1] == "neardup":
    import neardup
    job = lambda: [one.id for one in neardup.deduplicate(texts, threads=1).removed]
elif sys.argv[1] == "rensa":
    import rensa
    def job():
        deduplicator = rensa.RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True)
        kept = deduplicator.add_pairs((str(i), shingles(text)) for i, text in enumerate(texts))
        return [i for i, keep in enumerate(kept) if not keep]
else:
    import datasketch
    def job():
        index, removed = datasketch.MinHashLSH(threshold=0.8, num_perm=128), []
        signatures = datasketch.MinHash.bulk([[s.encode() for s in shingles(text)] for text in texts], num_perm=128)
        for i, signature in enumerate(signatures):
            if index.query(signature):
                removed.append(i)
            else:
                index.insert(i, signature, check_duplication=False)
        return removed
for _ in sys.stdin:
    start = time.process_time(), time.perf_counter()
    removed = job()
    took = time.process_time() - start[0], time.perf_counter() - start[1]
    print(json.dumps([removed, *took, peak()]), flush=True)
"""


def matches_of(sets):
    """Of each document those that it matches; copies are of one set."""
    members = {}
    for i, own in enumerate(sets):
        if own:
            members.setdefault(own, []).append(i)
    groups = list(members.values())
    near = [[i] for i in range(len(groups))]
    for a, b in truth.join([sets[group[0]] for group in groups], 0.8):
        near[a].append(b)
        near[b].append(a)
    matching = {}
    for i, group in enumerate(groups):
        others = {member for j in near[i] for member in groups[j]}
        matching |= {member: others - {member} for member in group}
    return matching


def judged(removed, matching):
    """Of what a library removed: the share that matches something, and how much of what repeats a kept document it found."""
    right = sum(bool(matching.get(i)) for i in removed)
    missed = sum(any(j < i and j not in removed for j in others) for i, others in matching.items() if i not in removed)
    return right / len(removed), right / (right + missed)


def test_20_000_real_documents_beside_other_libraries(tmp_path, record_property):
    """By turns, each in its warm process: at least 8 times less of processors than rensa, 25 times less than datasketch."""
    peers = os.environ.get("NEARDUP_PEERS")
    if not peers:
        pytest.skip("NEARDUP_PEERS names no Python that has rensa and datasketch")
    texts = (stories() + licences())[:20_000]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    truths = {"neardup": truth.shingle_sets(texts)}
    plain = [text.split() for text in texts]
    sets = [frozenset(hash(" ".join(w[i : i + 5])) for i in range(max(1, len(w) - 4))) if w else frozenset() for w in plain]
    truths |= {"rensa": sets, "datasketch": sets}
    servers = {}
    for name in truths:
        command = [sys.executable if name == "neardup" else peers, "-c", SERVER, name, tmp_path / "texts.json"]
        servers[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    rounds = {name: [] for name in servers}
    for _ in range(6):
        for name, server in servers.items():
            server.stdin.write("\n")
            server.stdin.flush()
            rounds[name].append(json.loads(server.stdout.readline()))
    for server in servers.values():
        server.communicate()
    cpu, recall, precision, memory = {}, {}, {}, {}
    for name, (_, *measured) in rounds.items():  # the first round warms up
        precision[name], recall[name] = judged(set(measured[-1][0]), matches_of(truths[name]))
        cpu[name] = statistics.median(one[1] for one in measured)
        memory[name] = measured[-1][3]
        spread = f"{min(one[1] for one in measured):.3f} to {max(one[1] for one in measured):.3f}"
        said = f"{cpu[name]:.3f} s of processors ({spread}), recall {recall[name]:.4f}, precision {precision[name]:.4f}, peak {memory[name] >> 10} MB"
        record_property(name, said)
    record_property("times less than rensa", f"{cpu['rensa'] / cpu['neardup']:.1f}")
    record_property("times less than datasketch", f"{cpu['datasketch'] / cpu['neardup']:.1f}")
    with (tmp_path / "texts.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    whole = run("dedup", tmp_path / "texts.jsonl", "-o", tmp_path / "kept.jsonl", "-q")
    record_property("the whole command from JSONL", f"{whole[0]:.2f} s, {whole[1]:.2f} s of processors, peak {whole[2] >> 20} MB")
    assert precision["neardup"] == 1
    assert all(recall["neardup"] > recall[name] and memory["neardup"] < memory[name] for name in ("rensa", "datasketch"))
    assert cpu["rensa"] / cpu["neardup"] >= 8
    assert cpu["datasketch"] / cpu["neardup"] >= 25
