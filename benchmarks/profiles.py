"""Profiles and options of shingling beside "text", and excerpts beside LSH Ensemble: `just bench profiles excerpts`.

Each setting has a process of its own, and rounds alternate between them, as between libraries.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import fmean

import judge
from compare import side_by_side
from corpus import excerpts as planted
from corpus import generate, plant, reuters
from peers import THRESHOLD
from results import Json, Watch, save

import neardup
from neardup.excerpts import SAMPLED
from neardup.verify import verification_hashes

#: Settings by what they are called: a profile, or "text" with an option of its shingling.
SETTINGS: dict[str, Json] = {
    **{name: {"profile": name} for name in ("text", "ocr", "short", "code", "excerpt")},
    "text, strip_diacritics": {"shingling": {"strip_diacritics": True}},
    "text, fold_digits": {"shingling": {"fold_digits": True}},
    "text, stop": {"shingling": {"stop": []}},
}
TASKS = ("add", "look up", "deduplicate")
#: What excerpts are looked up with: the library, and its settings.
INDEXES = {
    "neardup": ("neardup", ""),
    "LSH Ensemble": ("datasketch, xxhash", "50"),
    "LSH Ensemble, for recall": ("datasketch, xxhash", "90"),
}
#: What is left out beyond 10,000 documents, and why.
TOO_LARGE = {"LSH Ensemble, for recall": "some 250 keys and 75 KB a document: 100,000 take 8 GB, and minutes to build"}


def section(_: str, *, small: bool) -> None:
    """What the settings cost."""
    watch = Watch()
    data: Json = {"corpora": {}, "costs": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, (source, texts) in corpora(small=small).items():
            data["corpora"][name] = {"source": source, "documents": len(texts), "bytes": sum(len(text.encode()) for text in texts)}
            data["costs"][name] = costs(texts, Path(folder), watch, small=small)
    save("profiles", data, watch, small=small)


def excerpts(peers_python: str, *, small: bool) -> None:
    """How well and how quickly excerpts are found."""
    watch = Watch()
    data: Json = {"sizes": {}}
    with tempfile.TemporaryDirectory() as folder:
        for documents in (1_000, 2_000) if small else (10_000, 100_000):
            data["sizes"][str(documents)] = sought(documents, peers_python, Path(folder), watch, small=small)
            save("excerpts", data, watch, small=small)


def corpora(*, small: bool) -> dict[str, tuple[str, list[str]]]:
    """The same texts for all settings: real ones where there are some, and generated ones that are the same everywhere."""
    made = plant(generate(400 if small else 2_700, 130)).texts
    real = reuters()
    there = {"stories": ("Reuters-21578, the first stories", real[: 500 if small else 3_000])} if real else {}
    return there | {"generated": ("generated, a tenth of the documents edited copies", made)}


def costs(texts: list[str], folder: Path, watch: Watch, *, small: bool) -> Json:
    """Every task with every setting that has it."""
    path = folder / "texts.json"
    path.write_text(json.dumps(texts), encoding="utf-8")
    stop = [" ".join(text.split()[:12]) for text in texts[:: len(texts) // 20]]  # openings of twenty documents
    measured: Json = {}
    for task in TASKS:
        requests = {}
        for name, settings in SETTINGS.items():
            given = {"shingling": {"stop": stop}} if name == "text, stop" else settings
            if (task, name) != ("deduplicate", "excerpt"):
                requests[name] = {"library": "neardup", "task": task, "settings": given, "texts": str(path)}
        measured[task] = side_by_side(requests, "", 2 if small else 5, watch)
    return measured


def sought(documents: int, peers_python: str, folder: Path, watch: Watch, *, small: bool) -> Json:
    """Excerpts among so many documents."""
    corpus = planted(documents, each=10 if small else 100)
    number = len(corpus.asked)
    truth = judge.containments(corpus.asked, corpus.stored, THRESHOLD)
    path = folder / "excerpts.json"
    path.write_text(json.dumps([corpus.asked, corpus.stored]), encoding="utf-8")
    requests: dict[str, Json] = {
        name: {"library": library, "excerpts": str(path), "settings": settings, "found": str(folder / f"{name}.json")}
        for name, (library, settings) in INDEXES.items()
        if not (name in TOO_LARGE and documents > 10_000)
    }
    rows = side_by_side(requests, peers_python, 2 if small else 5, watch)
    for name, row in rows.items():
        if "missing" not in row:
            row.update(judged(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), truth, number))
    rows |= {name: {"missing": TOO_LARGE[name]} for name in INDEXES if name not in rows}
    return {
        "source": corpus.source,
        "documents": documents,
        "asked": number,
        "pairs": len(truth),
        "sampled": fmean(sampled(text) for text in corpus.stored[:: documents // 1_000]),
        "rows": rows,
    }


def sampled(text: str) -> int:
    """Postings of a text in an index of excerpts: its verification hashes that are in the sample."""
    return int((verification_hashes(neardup.Shingling().hashes(text)) < 2**32 // SAMPLED).sum())


def judged(found: dict[str, list[list[int]]], truth: set[judge.Pair], asked: int) -> Json:
    """How good answers are, as given and verified; of planted excerpts also by how many times as long the documents are."""
    row: Json = {}
    for kind, answers in found.items():
        pairs = {(i, j) for i, answer in enumerate(answers) for j in answer}
        quality = judge.judge_pairs(pairs, truth)
        row[kind] = {"recall": quality.recall, "precision": quality.precision, "answers": len(pairs) / asked}
        hosts = [[(i, i) for i in range(k, asked, 3) if (i, i) in truth] for k in range(3)]
        row[kind]["planted"] = [round(sum(pair in pairs for pair in some) / len(some), 4) for some in hosts]
    return row
