"""Texts of others that somebody has labelled, for proofs and for the page of quality; what must be fetched is kept by proof_cache."""

import gzip
import html
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from proof_cache import fetched

REUTERS = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578"
ARCHITECTURES = ("amd64", "arm64", "i386", "ppc64el", "s390x")


def plain(page):
    """The text of a page of HTML."""
    body = page.partition("<body")[2].partition(">")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def section(name, page):
    """What a page of a guide is about, the same where sections are numbered otherwise: its chapter, and its title without the number."""
    title = html.unescape(re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]).strip()
    return f"{name[:4]} {re.sub(r'^[^.]+([.][0-9]+)+[.]?', '', title).strip()}" if len(name) > 4 else name


def guide_pages():
    """The pages of the Debian installation guide of five architectures: for each language (architecture, section, text)."""
    pages = {}
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ARCHITECTURES:
            name = f"installation-guide-{architecture}"
            package = fetched(f"{name}_*.deb", "apt-get", "download", "-q", name)
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
            for path in sorted((Path(folder) / "usr/share/doc" / name).glob("*/*.html")):
                page = path.read_text(encoding="utf-8")
                pages.setdefault(path.parent.name, []).append((architecture, section(path.stem, page), plain(page)))
    return pages


def labelled_licences():
    """Texts of 50 words and more, and the licence that each is labelled with, of those that two or more have."""
    wheel = fetched("scancode_toolkit-32.5.0-*.whl", sys.executable, "-m", "pip", "download", "-q", "--no-deps", "scancode-toolkit==32.5.0")
    texts, labels = [], []
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if "/data/rules/" in name and name.endswith(".RULE"):
                _, head, text = archive.read(name).decode("utf-8", "replace").split("---", 2)
                label = re.search(r"^license_expression: *(.+)$", head, re.MULTILINE)
                if label and len(text.split()) >= 50 and label[1] not in ("proprietary-license", "other-permissive"):
                    texts.append(text)
                    labels.append(label[1].strip())
    many = {label for label in labels if labels.count(label) > 1}
    kept = [i for i, label in enumerate(labels) if label in many]
    return [texts[i] for i in kept], [labels[i] for i in kept]


def stories():
    """The newswire stories, each with its title, and the pairs of a word-3 similarity of 0.3 and more, which nobody has judged."""
    with gzip.open(REUTERS / "docs.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    place = {row["id"]: i for i, row in enumerate(rows)}
    with gzip.open(REUTERS / "pairs.jsonl.gz", "rt") as file:
        near = {(place[pair["a"]], place[pair["b"]]) for pair in map(json.loads, file)}
    return [row["text"] for row in rows], [row["title"] or "" for row in rows], near
