"""What the profiles find and miss, on real texts with labels: `just quality`.

python benchmarks/quality.py           measures all sets, and writes docs/quality.json, docs/quality.md and its plots
python benchmarks/quality.py SET ...   only these; of the others the earlier results stay
python benchmarks/quality.py --page    writes the page from docs/quality.json alone

Texts of others stay outside the project; what is written of them are counts. A set whose texts are not there keeps its earlier results.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import quality_page
from results import ROOT, Json, commit, machine

import neardup
from neardup.evaluation import THRESHOLDS, Evaluation, Score, _adjusted_rand, _groups

sys.path.append(str(ROOT / "tests"))

RESULTS = ROOT / "docs" / "quality.json"
#: Languages of the guide on which the slower profiles are tried too.
TRIED_IN = ("en", "ru", "ja", "zh_CN")
NOISE = (0.01, 0.05, 0.1, 0.2)
EDITS = ("changed", "added", "dropped", "swapped")
TIMES = (2, 10, 100)
#: Words of a form, and how many of them are others.
FORMS, FILLED = (10, 25, 60, 150), (1, 3, 6)

Describe = Callable[[Any, Any, bool], str]


def row(score: Score) -> list[float]:
    """A score as it is kept: threshold, precision, recall, F1, pairs found."""
    return [score.threshold, *(round(value, 4) for value in (score.precision, score.recall, score.f1)), score.found]


def default(name: str) -> float:
    return neardup.Profile.named(name).threshold


def of(evaluation: Evaluation, profile: str) -> Score:
    """That of a profile at its own threshold."""
    return next(one for one in evaluation.scores if (one.profile, one.threshold) == (profile, default(profile)))


def evaluated(texts: Sequence[str], labels: Any, profiles: Sequence[str], describe: Describe) -> Json:
    """Scores of profiles, and in words what each gets wrong as it is."""
    evaluation = neardup.evaluate(texts, labels, profiles=profiles)
    wrong = {}
    for name in profiles:
        words = Counter((pair.missed, describe(pair.a, pair.b, pair.missed)) for pair in evaluation.wrong(of(evaluation, name)))
        wrong[name] = [[said, missed, many] for (missed, said), many in sorted(words.items(), key=lambda item: (-item[1], item[0]))]
    scores = {name: [row(one) for one in evaluation.scores if one.profile == name] for name in profiles}
    return {"documents": evaluation.documents, "duplicates": evaluation.duplicates, "scores": scores, "wrong": wrong}


def pooled(parts: Sequence[Json]) -> Json:
    """Results of several corpora as of one."""
    names = dict.fromkeys(name for part in parts for name in part["scores"])
    scores, wrong, duplicates = {}, {}, {}
    for name in names:
        own = [part for part in parts if name in part["scores"]]
        duplicates[name] = sum(part["duplicates"] for part in own)
        scores[name] = []
        for rows in zip(*(part["scores"][name] for part in own), strict=True):
            right = sum(round(r[2] * part["duplicates"]) for r, part in zip(rows, own, strict=True))
            found = sum(r[4] for r in rows)
            precision, recall = right / found if found else 1.0, right / duplicates[name]
            scores[name].append(row(Score(name, rows[0][0], precision, recall, 2 * right / (found + duplicates[name]), None, found)))
        many: Counter[tuple[str, bool]] = Counter()
        for part in own:
            for said, missed, n in part["wrong"][name]:
                many[said, missed] += n
        wrong[name] = [[said, missed, n] for (said, missed), n in sorted(many.items(), key=lambda item: (-item[1], item[0]))]
    return {
        "documents": sum(part["documents"] for part in parts),
        "duplicates": sum(part["duplicates"] for part in parts),
        "of": duplicates,
        "scores": scores,
        "wrong": wrong,
    }


def lengths(a: str, b: str) -> tuple[int, int]:
    low, high = sorted((len(a.split()), len(b.split())))
    return low, high


# ---- the sets ------------------------------------------------------------------------------------------------------------


def guides() -> Json:
    """Sections of one title in the guides of five architectures are duplicates, in 19 languages."""
    from labelled_texts import guide_pages

    parts, languages = {}, {}
    for language, pages in sorted(guide_pages().items()):
        texts = [text for _, _, text in pages]

        def describe(a: int, b: int, missed: bool, pages: Any = pages, texts: Any = texts) -> str:
            low, high = lengths(texts[a], texts[b])
            if missed:
                return "one page is more than half as long again as the other" if high > 1.5 * low else "pages of like length, rewritten"
            if pages[a][0] == pages[b][0]:
                return "two sections of one guide"
            return "sections of different titles in two guides"

        profiles = ["text", "short", *(["ocr"] if language in TRIED_IN else [])]
        part = evaluated(texts, {i: name for i, (_, name, _) in enumerate(pages)}, profiles, describe)
        own = part["scores"]["text"]
        best = max(own, key=lambda one: one[3])
        languages[language] = {"documents": len(texts), "own": next(r for r in own if r[0] == default("text")), "best": best}
        parts[language] = part
    return pooled(list(parts.values())) | {"languages": languages, "tried_in": list(TRIED_IN)}


def licences() -> Json:
    """Texts that people labelled with one licence are duplicates."""
    from labelled_texts import labelled_licences

    texts, labels = labelled_licences()
    chosen = sorted(random.Random(8).sample(range(len(texts)), min(2500, len(texts))))
    texts, labels = [texts[i] for i in chosen], [labels[i] for i in chosen]

    def family(label: str) -> str:
        return re.split(r"[-\s.(]", label.strip("("))[0]

    def describe(a: int, b: int, missed: bool) -> str:
        low, high = lengths(texts[a], texts[b])
        if missed:
            return (
                "one text is at least twice as long: a licence, and a notice of it" if high >= 2 * low else "two notices in different words"
            )
        if family(labels[a]) == family(labels[b]):
            return "licences of one family, as two versions"
        return "texts of different licences with one wording, as those that name several"

    result = evaluated(texts, dict(enumerate(labels)), ["text"], describe)
    names = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    wanted = [names[label] for label in labels]
    groups: dict[str, dict[str, float]] = {}
    for threshold in (0.5, 0.8):
        rand = {}
        for name, clusters in (("components", "components"), ("witnesses", "witness")):
            removed = neardup.deduplicate(texts, threshold, clusters=clusters).removed
            rand[f"neardup, {name}"] = [(one.witness, one.id) for one in removed]
        rand |= others(texts, threshold)
        groups[f"{threshold:g}"] = {name: round(_adjusted_rand(wanted, _groups(len(texts), pairs)), 3) for name, pairs in rand.items()}
    return result | {"rand": groups}


def others(texts: Sequence[str], threshold: float) -> dict[str, list[tuple[int, int]]]:
    """The candidates of other libraries, which nobody checks, where they are installed."""
    found: dict[str, list[tuple[int, int]]] = {}
    tokens = [neardup.Shingling().shingles(text) for text in texts]
    try:
        import datasketch

        lsh, sketches = datasketch.MinHashLSH(threshold=threshold, num_perm=128), []
        for i, own in enumerate(tokens):
            sketches.append(datasketch.MinHash(num_perm=128))
            sketches[-1].update_batch([shingle.encode() for shingle in own])
            lsh.insert(i, sketches[-1])
        found["datasketch"] = [(min(i, j), max(i, j)) for i, sketch in enumerate(sketches) for j in lsh.query(sketch) if i != j]
    except ImportError:
        pass
    try:
        import rensa

        index, made = rensa.RMinHashLSH(threshold=threshold, num_perm=128, num_bands=32 if threshold < 0.8 else 16), []
        for i, own in enumerate(tokens):
            made.append(rensa.RMinHash(num_perm=128, seed=42))
            made[-1].update(sorted(own))
            index.insert(i, made[-1])
        found["rensa"] = [(min(i, j), max(i, j)) for i, sketch in enumerate(made) for j in index.query(sketch) if i != j]
    except ImportError:
        pass
    return found


def lone_stories() -> list[str]:
    """Stories of 200 characters and more that resemble no other."""
    from labelled_texts import stories

    texts, _, near = stories()
    alike = {i for pair in near for i in pair}
    return [text for i, text in enumerate(texts) if i not in alike and len(text) >= 200]


def noise() -> Json:
    """Stories, and misread copies of some, by how much is misread; and two misread copies of each."""
    from ocr_noise import noisy

    texts = random.Random(11).sample(lone_stories(), 1500)
    result: Json = {"parts": {}}
    for rate, both in [*((rate, False) for rate in NOISE), (0.1, True)]:
        corpus = [noisy(text, rate, -1 - i) if both and i < 300 else text for i, text in enumerate(texts)]
        copies = [noisy(texts[i], rate, i) for i in range(300)]

        def describe(a: int, b: int, missed: bool) -> str:
            low, _ = lengths(texts[a], texts[b] if b < len(texts) else texts[b - len(texts)])
            what = "a story and its copy" if missed else "two different stories"
            return f"{what}, of fewer than 100 words" if low < 100 else f"{what}, of 100 words and more"

        labels = [(i, len(texts) + i) for i in range(300)]
        part = evaluated(corpus + copies, labels, ["text", "short", "ocr"], describe)
        result["parts"]["10 %, both" if both else f"{rate:.0%}".replace("%", " %")] = part
    return result


def titles() -> Json:
    """Titles of 5 to 15 words, and some with one word changed, added, dropped or swapped with the next."""
    from labelled_texts import stories

    every = sorted({title for title in stories()[1] if 5 <= len(title.split()) <= 15})
    rng = random.Random(5)
    own = rng.sample(every, 2500)
    words = [word for title in own for word in title.split()]
    result: Json = {"parts": {}}
    for kind in EDITS:
        copies = []
        for title in own[:300]:
            edited = title.split()
            i = rng.randrange(len(edited) - 1)
            if kind == "swapped":
                edited[i], edited[i + 1] = edited[i + 1], edited[i]
            elif kind == "dropped":
                del edited[i]
            else:
                edited[i : i + (kind == "changed")] = [rng.choice(words)]
            copies.append(" ".join(edited))
        corpus = own + copies

        def describe(a: int, b: int, missed: bool, corpus: Any = corpus) -> str:
            _, high = lengths(corpus[a], corpus[b])
            if missed:
                return f"a title of {'fewer than 8' if high < 8 else '8 and more'} words and its edited copy"
            unlike = len(set(corpus[a].lower().split()) ^ set(corpus[b].lower().split()))
            return "two titles of one form that differ in one or two words" if unlike <= 4 else "two titles that share some words"

        labels = [(i, len(own) + i) for i in range(300)]
        result["parts"][f"one word {kind}"] = evaluated(corpus, labels, ["text", "short", "ocr"], describe)
    return result


def templates() -> Json:
    """Quarterly reports and dividends of different companies in one form, and copies of some with a word dropped and a word changed."""
    from labelled_texts import stories

    texts, names, near = stories()
    same = {i for i, j in near if names[i] == names[j]} | {j for i, j in near if names[i] == names[j]}
    forms = [
        i for i, title in enumerate(names)
        if re.search(r"\b(QTR|NET|DIVIDEND|PAYOUT)\b", title) and i not in same and 15 <= len(texts[i].split()) <= 120
    ]  # fmt: skip
    once = {}
    for i in forms:  # a company reports once
        once.setdefault(" ".join(names[i].split()[:2]), i)
    chosen = random.Random(6).sample(sorted(once.values()), min(1000, len(once)))
    own, rng, copies = [texts[i] for i in chosen], random.Random(7), []
    for text in own[:300]:
        words = text.split()
        del words[rng.randrange(len(words))]
        words[rng.randrange(len(words))] = "misprint"
        copies.append(" ".join(words))
    corpus = own + copies

    def describe(a: int, b: int, missed: bool) -> str:
        low, _ = lengths(corpus[a], corpus[b])
        what = "a report and its copy" if missed else "reports of two companies in one form"
        return f"{what}, of {'fewer than 40' if low < 40 else '40 and more'} words"

    labels = [(i, len(own) + i) for i in range(300)]
    return evaluated(corpus, labels, ["text", "short", "ocr"], describe) | {"words": sorted(len(t.split()) for t in own)[len(own) // 2]}


def forms() -> Json:
    """Texts of one form in which some words are others: how many such pairs match."""
    rng, background = random.Random(9), lone_stories()[:1000]
    words = sorted({word.lower() for text in background[:300] for word in re.findall(r"[A-Za-z]{3,}", text)})
    pairs, corpus = [], list(background)
    for length in FORMS:
        for filled in FILLED:
            for _ in range(60):
                form = rng.choices(words, k=length)
                other = list(form)
                for i in rng.sample(range(length), filled):
                    other[i] = rng.choice(words)
                pairs.append((length, filled, len(corpus)))
                corpus += [" ".join(form), " ".join(other)]
    matched: Json = {}
    for profile in ("text", "short", "ocr"):
        index = neardup.Index(profile=profile)
        index.add_many(range(len(corpus)), corpus)
        table = index.pairs()
        found = {tuple(sorted((int(a), int(b)))) for a, b in zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)}
        many = Counter((length, filled) for length, filled, i in pairs if (i, i + 1) in found)
        matched[profile] = [[length, filled, round(many[length, filled] / 60, 3)] for length in FORMS for filled in FILLED]
    return {"pairs": 60, "matched": matched}


def excerpts() -> Json:
    """Halves and passages of stories, inside texts so many times as long."""
    texts = [text for text in lone_stories() if len(text.split()) >= 120]
    result: Json = {"parts": {}}
    for times in TIMES:
        rng = random.Random(times)
        sought, hosts = [], []
        chosen = set(rng.sample(range(len(texts)), 100))
        rest = [text for i, text in enumerate(texts) if i not in chosen]  # what fills hosts is not sought
        for n, text in enumerate(texts[i] for i in sorted(chosen)):
            words = text.split()
            start = rng.randrange(len(words) - 60)
            excerpt = words[: len(words) // 2] if n % 2 else words[start : start + 60]
            filler: list[str] = []
            while len(filler) < times * len(excerpt):
                filler += rng.choice(rest).split()
            cut = rng.randrange(len(filler))
            sought.append(" ".join(excerpt))
            hosts.append(" ".join(filler[:cut] + excerpt + filler[cut : times * len(excerpt)]))
        scores: Json = {}
        for profile in ("excerpt", "text"):
            index = neardup.Index(min(THRESHOLDS), profile=profile)
            index.add_many(range(len(hosts)), hosts)
            answers = [(n, match) for n, matches in enumerate(index.query_many(sought)) for match in matches]
            scores[profile] = []
            for threshold in THRESHOLDS:
                above = [(n, m.id) for n, m in answers if (m.containment if profile == "excerpt" else m.similarity) >= threshold]
                right = sum(n == id for n, id in above)
                precision, f1 = right / len(above) if above else 1.0, 2 * right / (len(above) + len(hosts))
                scores[profile].append(row(Score(profile, threshold, precision, right / len(hosts), f1, None, len(above))))
        part = {"documents": len(hosts), "duplicates": len(hosts), "scores": scores, "wrong": {"excerpt": [], "text": []}}
        result["parts"][f"{times} times as long"] = part
    return result


def code() -> Json:
    """Functions of Python's standard library that share few tokens with any other, and some written again from their syntax trees."""
    found = []
    for path in sorted(Path(ast.__file__).parent.glob("*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
        own = [node for node in functions if 10 <= (node.end_lineno or 0) - node.lineno <= 80]
        found += [(path.stem, node, ast.get_source_segment(source, node)) for node in own]
    found = random.Random(3).sample(found, 2000)
    tokens = neardup.Index(0.6, shingling=neardup.Shingling("code", 1))
    tokens.add_many(range(len(found)), [text for _, _, text in found])
    alike = {id for end in "ab" for id in tokens.pairs()[end].to_pylist()}
    chosen = [one for i, one in enumerate(found) if i not in alike][:1500]
    texts, modules, copies = [text for _, _, text in chosen], [module for module, _, _ in chosen], []
    for _, node, _ in chosen[:400]:
        names = [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]
        written = ast.unparse(node)
        copies.append(re.sub(rf"\b{re.escape(names[0])}\b", "renamed", written) if names else written)
    corpus = texts + copies

    def describe(a: int, b: int, missed: bool) -> str:
        if missed:
            low, high = lengths(corpus[a], corpus[b])
            return (
                "comments or a docstring are half of one of them"
                if high > 1.5 * low
                else "functions of like length: a name, quotes and brackets are others"
            )
        x, y = (modules[i % len(texts) if i >= len(texts) else i] for i in (a, b))
        return f"two functions of {'one module' if x == y else 'two modules'}, almost the same"

    labels = [(i, len(texts) + i) for i in range(400)]
    return evaluated(corpus, labels, ["code", "text", "short"], describe)


SETS = {one.__name__: one for one in (guides, licences, noise, titles, templates, forms, excerpts, code)}


def measure(names: Iterable[str], results: Json) -> Json:
    """Measure these sets; of others the earlier results stay."""
    import pytest  # how a text that cannot be fetched is told

    for name in names:
        start = time.perf_counter()
        try:
            found = SETS[name]()
        except (OSError, pytest.skip.Exception) as reason:
            print(f"{name}: not measured, {reason}", flush=True)
            continue
        seconds = time.perf_counter() - start
        now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d")
        results.setdefault("sets", {})[name] = found | {"date": now, "commit": commit(), "seconds": round(seconds, 1)}
        print(f"{name}: {seconds:.0f} s", flush=True)
        write(results)
    return results


def write(results: Json) -> None:
    results["neardup"], results["python"] = machine()["neardup"], machine()["python"]
    results["thresholds"] = {name: default(name) for name in ("text", "short", "ocr", "code", "excerpt")}
    pretty = json.dumps(results, indent=1, ensure_ascii=False)
    RESULTS.write_text(re.sub(r"\[[^\[\]{}]*\]", lambda part: " ".join(part[0].split()), pretty) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, and write the page."""
    results: Json = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if "--page" not in sys.argv:
        results = measure(sys.argv[1:] or SETS, results)
    quality_page.write(results, ROOT / "docs")


if __name__ == "__main__":
    main()
