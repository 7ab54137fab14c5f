"""Older corpora: what duplicates them is removed, and runs that append to an index come to what one run would."""

import json
import random
from pathlib import Path

import pytest
import truth
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup import Banding, DuplicateIdError, IncompatibleError, Index, InputError, MinHash, ParameterError, Shingling, deduplicate

SHARP = {"minhash": MinHash(num_perm=128, shingling=Shingling(size=1)), "banding": Banding(128, 1)}
THRESHOLDS = st.sampled_from([0.5, 0.6, 0.75, 0.8, 1.0])


def index_of(texts, threshold, prefix, **place):
    """An index of texts, whose ids are a prefix and the place."""
    index = Index(threshold, **SHARP) if not place else Index.open(place["path"], threshold, **SHARP)
    index.add_many([f"{prefix}{i}" for i in range(len(texts))], texts)
    return index


def expected(older, texts, threshold, keep):
    """Brute force: older documents are kept, and rank first."""
    every = [*(text for corpus in older for text in corpus), *texts]
    sets, n = truth.shingle_sets(every, SHARP["minhash"].shingling), len(every) - len(texts)
    pairs = {pair: score for pair, score in truth.join_of_all(sets, threshold).items() if pair[1] >= n}
    order = [*range(n), *(n + place for place in truth.RANKED[keep](texts))]
    names = [f"{'ab'[c]}{i}" for c, corpus in enumerate(older) for i in range(len(corpus))] + list(range(len(texts)))
    kept, removed = truth.decide(order, pairs)
    return [names[i] for i in kept if i >= n], {names[i]: (names[w], score) for i, (w, score) in removed.items()}


@given(
    truth.corpora(), truth.corpora(), truth.corpora(), THRESHOLDS, st.sampled_from(["first", "last", "longest"]), st.sampled_from([0, 64])
)
@settings(max_examples=150)
def test_decisions_against_older_corpora(first, second, texts, threshold, keep, crowded):
    """Those of brute force: what matches an older document is removed, and the most similar is named, of equals the first."""
    indexes = [index_of(corpus, threshold, prefix) for corpus, prefix in ((first, "a"), (second, "b"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neardup.dedup.CROWDED", crowded)
        result = deduplicate(texts, threshold, against=indexes, keep=keep, **SHARP)
    kept, removed = expected([first, second], texts, threshold, keep)
    assert (result.kept, {one.id: (one.witness, one.similarity) for one in result.removed}) == (kept, removed)
    for one in result.removed:
        assert one.against == (None if isinstance(one.witness, int) else repr(indexes["ab".index(one.witness[0])]))
    assert {witness for witness, _ in removed.values()} == {cluster[0] for cluster in result.clusters}
    table = {(a, b): score for a, b, score in zip(*result.pairs.to_pydict().values(), strict=True)}
    assert {(str(witness), str(id)) for id, (witness, _) in removed.items()} <= {
        (str(x), str(y)) for a, b in table for x, y in ((a, b), (b, a))
    }
    assert result.annotations()["kept"].to_pylist() == [i in set(kept) for i in range(len(texts))]
    assert result.summary()["against"] == sum(isinstance(witness, str) for witness, _ in removed.values())


@pytest.mark.parametrize("names", ["ba", "ab"])
def test_of_equal_older_documents_the_first_is_named(names, tmp_path):
    """That which was added first, in memory and on disk, where a look-up names that of the least id."""
    in_memory = Index(0.8)
    in_memory.add_many(names, [STORIES[0]] * 2)
    with Index.open(tmp_path / "old.neardup", 0.8) as index:
        index.add_many(names, [STORIES[0]] * 2)
    for against in (in_memory, tmp_path / "old.neardup"):
        assert [one.witness for one in deduplicate(STORIES[:1], 0.8, against=against).removed] == [names[0]]
    assert [match.id for match in in_memory.query(STORIES[0])] == ["a", "b"]


@given(truth.corpora(), truth.corpora())
@settings(max_examples=50)
def test_a_higher_threshold_against_older_corpora(older, texts):
    """What is decided again at a higher threshold is what a new run decides."""
    index = index_of(older, 0.5, "a")
    again = deduplicate(texts, 0.5, against=index, pairs="all", **SHARP).rethreshold(0.75)
    anew = deduplicate(texts, 0.75, against=index, pairs="all", **SHARP)
    assert (again.kept, again.removed, again.pairs.to_pylist()) == (anew.kept, anew.removed, anew.pairs.to_pylist())
    assert again.summary() == anew.summary()


FOX = "the quick brown fox jumps over a lazy dog and runs away"
STORIES = [" ".join(f"{word}{i}" for word in FOX.split(" ")) for i in range(30)]


def edited(story, words=1):
    """A story with other last words."""
    return " ".join([*story.split()[:-words], *(f"edit{i}" for i in range(words))])


def put(path, texts, prefix):
    """A file of texts with ids."""
    path.write_text("".join(json.dumps({"id": f"{prefix}{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    return path


def test_files_and_indexes_are_older_corpora(tmp_path):
    """A file, a folder of texts, an index on disk and one in memory give the same, and are named."""
    old, new = STORIES[:10], [STORIES[3], edited(STORIES[5]), STORIES[20], edited(STORIES[20])]
    put(tmp_path / "old.jsonl", old, "a")
    (tmp_path / "texts").mkdir()
    for i, text in enumerate(old):
        (tmp_path / "texts" / f"a{i}").write_text(text)
    with Index.open(tmp_path / "old.neardup", 0.5) as index:
        index.add_many([f"a{i}" for i in range(10)], old)
    in_memory = Index(0.5)
    in_memory.add_many([f"a{i}" for i in range(10)], old)
    for against in (tmp_path / "old.jsonl", str(tmp_path / "texts"), tmp_path / "old.neardup", in_memory):
        result = deduplicate(new, 0.5, against=against)
        assert result.kept == [2]
        assert [str(one.witness).rpartition("/")[2] for one in result.removed] == ["a3", "a5", "2"]
        assert [one.against for one in result.removed[:2]] == [repr(against) if against is in_memory else str(against)] * 2
        assert result.removed[2].against is None


def test_columns_are_named_for_both(tmp_path):
    """What is named for the new documents holds for older files that have columns."""
    for name in ("old", "new"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"key": name, "title": "x", "lead": STORIES[0], "rest": STORIES[1]}) + "\n")
    (tmp_path / "a.txt").write_text(STORIES[0])
    result = deduplicate(tmp_path / "new.jsonl", text="lead", id="key", against=[tmp_path / "a.txt", tmp_path / "old.jsonl"])
    assert [(one.id, one.witness) for one in result.removed] == [("new", str(tmp_path / "a.txt"))]


def test_a_file_is_not_older_than_itself(tmp_path):
    """All of it would be removed."""
    path = put(tmp_path / "a.jsonl", STORIES, "s")
    for against in (path, tmp_path):
        with pytest.raises(
            ParameterError, match=r"a.jsonl is older and new at once, and each of its documents would be removed for itself"
        ):
            deduplicate(path, against=against)


def test_a_template_costs_older_corpora_no_recall():
    """However many documents share a bucket, the one that matches is found."""
    rng = random.Random(1)
    letters = [f"{'dear member we thank you for your order of ' * 3}{' '.join(str(rng.random()) for _ in range(9))}" for _ in range(300)]
    index = Index(0.9, bucket_limit=2, **SHARP)
    index.add_many(range(300), letters)
    result = deduplicate([edited(letter) for letter in letters], 0.9, against=index, **SHARP)
    assert [(one.id, one.witness) for one in result.removed] == [(i, i) for i in range(300)]


@pytest.mark.parametrize("threads", [1, 2])
def test_months_appended_come_to_one_run_over_all(tmp_path, threads):
    """Month by month, each against what was kept before: kept documents and witnesses of one run; again does no harm."""
    rng = random.Random(2)
    stories = [edited(rng.choice(STORIES), rng.randint(1, 4)) for _ in range(240)]
    months = [put(tmp_path / f"{m}.jsonl", stories[80 * m : 80 * (m + 1)], f"{m}/") for m in range(3)]
    whole = deduplicate([*months], 0.7)
    runs = [deduplicate(month, 0.7, against=tmp_path / "kept.neardup", append=True, threads=threads) for month in months]
    assert [id for run in runs for id in run.kept] == whole.kept
    # What a later month removes can be more similar to a document of its own month or later, never of a month to come.
    assert {one.id for run in runs for one in run.removed} == {one.id for one in whole.removed}
    for run in runs[-1:]:
        last = [one for one in whole.removed if str(one.id).startswith("2/")]
        assert [(one.id, one.witness, one.similarity) for one in run.removed] == [(one.id, one.witness, one.similarity) for one in last]
    again = deduplicate(months[2], 0.7, against=tmp_path / "kept.neardup", append=True)
    assert (again.kept, again.removed) == (runs[2].kept, runs[2].removed)
    with Index.open(tmp_path / "kept.neardup", mode="r") as index:
        assert index.ids() == whole.kept


def test_an_append_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    """When some batches of kept documents are in the index already, the same run again adds the rest."""
    monkeypatch.setattr("neardup.against.APPENDED", 4)
    path = put(tmp_path / "a.jsonl", [*STORIES, *map(edited, STORIES[:5])], "s")

    def interrupted(stage, done, _):
        if stage == "adding to the index" and done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deduplicate(path, 0.5, against=tmp_path / "i", append=True, progress=interrupted)
    with Index.open(tmp_path / "i", mode="r") as index:
        assert 0 < len(index) < 30
    result = deduplicate(path, 0.5, against=tmp_path / "i", append=True)
    assert (result.kept, len(result.removed)) == ([f"s{i}" for i in range(30)], 5)
    with Index.open(tmp_path / "i", mode="r") as index:
        assert index.ids() == result.kept


def test_what_cannot_be_appended_is_refused(tmp_path):
    """What would not come to one run over all, saying why."""
    path = put(tmp_path / "a.jsonl", STORIES, "s")
    for keep, order, why in (
        ("longest", None, "keep is 'longest', but what is in the index stays there whatever comes later"),
        ("first", "id", "order is 'id', but what is in the index stays there whatever comes later"),
    ):
        with pytest.raises(ParameterError, match=why):
            deduplicate(path, against=tmp_path / "i", append=True, keep=keep, order=order)
    with pytest.raises(ParameterError, match=r"append is True and against is None; name the one index"):
        deduplicate(path, append=True)
    with pytest.raises(ParameterError, match=r"needs ids that differ from run to run, and these are positions"):
        deduplicate(STORIES, against=tmp_path / "i", append=True)
    with pytest.raises(ParameterError, match=r"clusters is 'components', and older documents are not matched with each other"):
        deduplicate(path, against=path, clusters="components")
    with pytest.raises(ParameterError, match=r"drop_frequent depends on the corpus"):
        deduplicate(path, against=path, drop_frequent=0.5)
    assert not (tmp_path / "i").exists()
    deduplicate(path, against=tmp_path / "i", append=True)
    other = put(tmp_path / "b.jsonl", [edited(story) for story in STORIES], "s")
    with pytest.raises(DuplicateIdError, match=r"document 's0' is in the index already, with another content; ids must not repeat"):
        deduplicate(other, 0.8, against=tmp_path / "i", append=True)


def test_an_index_of_a_profile_is_appended_to(tmp_path):
    """It verifies exactly, as this run does, whatever the profile would."""
    path, options = put(tmp_path / "a.jsonl", STORIES, "s"), {"profile": "ocr", "verify": "exact"}
    for _ in range(2):
        deduplicate(path, against=tmp_path / "i", append=True, **options)
    with Index.open(tmp_path / "i", mode="r") as index:
        assert (index.profile, index.verify, len(index)) == ("ocr", "exact", 30)


def test_what_is_no_older_corpus_is_refused(tmp_path, monkeypatch):
    """Other parameters, a lean index, something else."""
    with pytest.raises(IncompatibleError, match=r"the index <Index.*> has banding Banding.*, and this run Banding"):
        deduplicate(["a"], 0.8, against=Index(0.5))
    with pytest.raises(IncompatibleError, match=r"has verify 'estimate', and this run 'exact'"):
        deduplicate(["a"], 0.8, against=Index(0.8, verify="estimate"))
    with pytest.raises(TypeError, match=r"against is a int; it is a neardup.Index, the path of an index, file or folder"):
        deduplicate(["a"], against=3)
    for append in (True, False):
        with pytest.raises(ParameterError, match=r"^against is an address at postgresql://, which no job opens; give what"):
            deduplicate(put(tmp_path / "a.jsonl", STORIES, "s"), against="postgresql://me:password@here/x", append=append)
    (tmp_path / "redis").mkdir()  # a folder, whatever it is called
    put(tmp_path / "redis" / "o.jsonl", STORIES, "o")
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        for folder in ("redis", Path("redis")):
            assert deduplicate(tmp_path / "a.jsonl", against=folder).kept == []
    with pytest.raises(InputError, match=r"^memory://nowhere: no such file"):
        deduplicate(["a"], against="memory://nowhere")
    with pytest.raises(IncompatibleError, match=r"size=5\).*, and this run the same with another secret; use the same for both"):
        deduplicate(["a"], shingling=Shingling(secret=1), against=Index(shingling=Shingling(secret=2)))
