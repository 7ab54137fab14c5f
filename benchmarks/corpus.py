"""Text for benchmarks: real where there is some, otherwise generated with planted near-duplicates of known similarity."""

from __future__ import annotations

import functools
import gzip
import html
import itertools
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Real newswire beside the checkout, where there is some; it is not part of the project.
REUTERS = Path(__file__).parents[2] / "shared" / "data" / "reuters-21578" / "docs.jsonl.gz"
#: What is fetched is kept here, outside the repository.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "neardup-benchmarks"
#: The Debian package of a manual in many languages.
GUIDE = "installation-guide-amd64"

ASCII = "etaoinshrdlucmfwypvbg"
CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшю"
GREEK = "αοιετσνηυρπκμλωδγχθφβξζψ"
HANGUL = "이다는에을의로가한고하은지서스를정도어리자시기대사인"
HAN = "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还"
KANA = "のにはをたがでとしれさあいるもかなこらりうおくまきつけてよそやみせろめえびわちふ"
ACCENTED = "eaisnrtoluéàdcmpvèêqfbghôçùâî"


class Language(NamedTuple):
    """A language: its name, and the letters and the space that generated text of it has."""

    name: str
    letters: str
    space: str = " "


LANGUAGES = {
    "en": Language("English", ASCII),
    "fr": Language("French", ACCENTED),
    "de": Language("German", "enisratdhulcgmobwfkzvpüäßöj"),
    "vi": Language("Vietnamese", "nhtcigaàmáluođệếvrạợềấpơưộ"),
    "ru": Language("Russian", CYRILLIC),
    "el": Language("Greek", GREEK),
    "zh_CN": Language("Chinese", HAN, ""),
    "ja": Language("Japanese", KANA + HAN[:40], ""),
    "ko": Language("Korean", HANGUL),
}


#: How many times as long the documents are in which excerpts are planted.
LONGER = (2, 10, 100)


class Text(NamedTuple):
    """Texts, and where they are from."""

    texts: list[str]
    source: str


class Planted(NamedTuple):
    """Texts, and the pairs planted among them: (place of the original, place of the copy)."""

    texts: list[str]
    pairs: list[tuple[int, int]]


class Excerpts(NamedTuple):
    """Texts that are sought, and those that they are sought in; text i was planted in document i, LONGER[i % 3] times as long."""

    asked: list[str]
    stored: list[str]
    source: str


def generate(documents: int, words: int = 500, *, letters: str = ASCII, space: str = " ", seed: int = 0) -> list[str]:
    """Texts of about ``words`` words with Zipf frequencies; frequent words are short ones."""
    rng = np.random.default_rng(seed)
    size = 20_000
    spelled = np.array(list(letters))[rng.integers(0, len(letters), (size, 10))]
    vocabulary = ["".join(word[: 1 + rank.bit_length() // 2 + rank % 3]) for rank, word in enumerate(spelled, 1)]
    weights = 1 / np.arange(1, size + 1)
    lengths = np.maximum(5, rng.normal(words, words / 5, documents).astype(int))
    drawn = rng.choice(size, lengths.sum(), p=weights / weights.sum())
    return [space.join([vocabulary[i] for i in part]) for part in np.split(drawn, np.cumsum(lengths)[:-1])]


def edited(text: list[str], rate: float, words: list[str], rng: random.Random) -> list[str]:
    """A text of which words are replaced, left out, or have one of ``words`` after them, at a rate."""
    copy: list[str] = []
    for word in text:
        if rng.random() >= rate:
            copy.append(word)
        elif (kind := rng.randrange(3)) == 0:
            copy += [word, rng.choice(words)]
        elif kind == 1:
            copy.append(rng.choice(words))
    return copy


def plant(texts: list[str], share: float = 0.1, *, least: float = 0.5, seed: int = 0) -> Planted:
    """Shuffled texts with edited copies added, a share ``share`` of them all.

    Words are replaced, left out and inserted, at a rate that aims at word 5-shingle similarities even between ``least`` and
    1: of similarity J, 2 J / (1 + J) of the shingles survive, and a shingle survives when its five words do.
    """
    rng = random.Random(seed)
    words = [word for text in rng.sample(texts, min(len(texts), 500)) for word in text.split()]
    copies = round(len(texts) * share / (1 - share))
    originals = [rng.randrange(len(texts)) for _ in range(copies)]
    copies_of = []
    for original in originals:
        similarity = rng.uniform(least, 1)
        rate = 1 - (2 * similarity / (1 + similarity)) ** (1 / 5)
        copies_of.append(" ".join(edited(texts[original].split(), rate, words, rng)))
    everything = texts + copies_of
    places = list(range(len(everything)))
    rng.shuffle(places)
    at = {old: new for new, old in enumerate(places)}
    return Planted(
        [everything[i] for i in places], [(at[a], at[b]) for a, b in zip(originals, range(len(texts), len(everything)), strict=True)]
    )


def reuters() -> list[str] | None:
    """The 19,043 real stories, or None where they are absent."""
    if not REUTERS.exists():
        return None
    with gzip.open(REUTERS, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


@functools.cache
def stories() -> Text:
    """Short news, near-duplicates among them: real ones, or generated texts of about their length."""
    texts = reuters()
    return Text(texts, "Reuters-21578") if texts else Text(plant(generate(18_000, 130)).texts, "generated")


def mosaic(texts: list[str], documents: int, *, passage: int = 20, seed: int = 0) -> list[str]:
    """As many documents as are wanted, as long as the texts, of passages cut from them at random."""
    rng = random.Random(seed)
    words = [text.split() for text in texts]
    made = []
    for _ in range(documents):
        length, parts = len(rng.choice(words)), []
        while len(parts) < length:
            text = rng.choice(words)
            start = rng.randrange(max(1, len(text) - passage + 1))
            parts += text[start : start + passage]
        made.append(" ".join(parts))
    return made


def excerpts(documents: int, *, each: int = 100, seed: int = 0) -> Excerpts:
    """Paragraphs of 60 words and halves of stories, planted with few changes among other stories: ``each`` in every length of host.

    Words of what is planted are edited at a rate that aims at containments even between 0.8 and 1. The stories that excerpts are of
    are left out; where the others do not suffice, mosaics of them follow.
    """
    rng = random.Random(seed)
    texts, source = stories()
    words = [text for text in map(only_words, texts) if text.count(" ") >= 4]
    origins = rng.sample([text for text in words if text.count(" ") >= 119], len(LONGER) * each)
    left_out = set(origins)
    others = [text for text in words if text not in left_out]
    vocabulary = " ".join(rng.sample(others, 500)).split()
    asked, hosts = [], []
    for i, origin in enumerate(map(str.split, origins)):
        start = rng.randrange(len(origin) - 59)
        excerpt = origin[: len(origin) // 2] if i // len(LONGER) % 2 else origin[start : start + 60]
        around, length = [], (LONGER[i % len(LONGER)] - 1) * len(excerpt)
        while len(around) < length:
            around += rng.choice(others).split()
        cut = rng.randrange(length + 1)
        planted = edited(excerpt, 1 - rng.uniform(0.8, 1) ** (1 / 5), vocabulary, rng)
        asked.append(" ".join(excerpt))
        hosts.append(" ".join([*around[:cut], *planted, *around[cut:length]]))
    others = [text for text in others if not any(excerpt in text for excerpt in asked)]  # near-duplicates of their origins
    stored = hosts + rng.sample(others, min(len(others), documents - len(hosts)))
    return Excerpts(asked, stored + mosaic(others, documents - len(stored), seed=seed), source)


@functools.cache
def guide_folder() -> Path | None:
    """The Debian installation guide, fetched by the package manager into the cache; None where there is no such thing."""
    folder = CACHE / GUIDE / "usr/share/doc" / GUIDE
    if not folder.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            return None
        CACHE.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(["apt-get", "download", "-q", GUIDE], cwd=CACHE, capture_output=True, timeout=300, check=False)
        packages = sorted(CACHE.glob(f"{GUIDE}_*.deb"))
        if fetched.returncode or not packages:
            return None
        subprocess.run(["dpkg-deb", "-x", packages[-1], CACHE / GUIDE], check=True)
        packages[-1].unlink()
    return folder if folder.exists() else None


@functools.cache
def in_language(code: str) -> Text:
    """One long text in a language: the pages of the installation guide, or generated words in the letters of the language."""
    folder, language = guide_folder(), LANGUAGES[code]
    pages = sorted((folder / code).glob("*.html")) if folder else []
    if not pages:
        return Text([" ".join(generate(40, 2_000, letters=language.letters, space=language.space))], "generated")
    bodies = [page.read_text(encoding="utf-8").partition("<body")[2].partition(">")[2] for page in pages]
    plain = [" ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split()) for body in bodies]
    return Text(["\n".join(plain)], "Debian installation guide")


def of_length(texts: list[str], characters: int, documents: int) -> list[str]:
    """Documents of a given length, cut from texts joined end to end, again from the start where they do not suffice."""
    joined = "\n".join(texts)
    while len(joined) < characters * documents:
        joined += "\n" + joined
    return [joined[i * characters : (i + 1) * characters] for i in range(documents)]


def of_size(texts: list[str], size: int, documents: int) -> list[str]:
    """Documents of about ``size`` bytes of UTF-8."""
    sample = "\n".join(texts)[:1_000_000]
    return of_length(texts, max(1, round(size * len(sample) / len(sample.encode()))), documents)


def only_words(text: str) -> str:
    """The words of a text in lower case, a space between: text in which every library sees the same words."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _words(letters: str, count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randrange(2, 9))) for _ in range(count)]


def hostile(size: int) -> dict[str, str]:
    """Text of ``size`` bytes that is hard on one thing or another, by name."""
    scripts = zip(*(_words(letters, 3_000, seed) for seed, letters in enumerate((ASCII, CYRILLIC, GREEK, HAN, HANGUL, KANA))), strict=True)
    mixed = "".join(random.Random(7).choices(ASCII + CYRILLIC + GREEK, k=30_000))
    rng = random.Random(0)
    periods = {
        "one token repeated": "committee ",
        "one-character tokens": " ".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30_000)) + " ",
        "alternating scripts, by word": " ".join(itertools.chain.from_iterable(scripts)) + " ",
        "alternating scripts, by character": re.sub(r"(.{6})", r"\1 ", mixed) + " ",
    }
    texts = {name: _repeated(period, size) for name, period in periods.items()}
    texts["all-different tokens"] = " ".join(f"w{i:07x}" for i in range(size // 9 + 1))[:size]
    texts["one long token"] = _repeated("".join(rng.choices(ASCII, k=30_000)), size)
    return texts


def _repeated(period: str, size: int) -> str:
    bytes_of = len(period.encode())
    return (period * (size // bytes_of + 1))[: max(1, size * len(period) // bytes_of)]
