"""Verification: similarities are exact and symmetric, thresholds mean what they say, and shared passages are shared."""

import itertools
import math
import pickle
import random
import time

import numpy as np
import pytest
import strategies as s
import truth
from hypothesis import example, given
from hypothesis import strategies as st

import neardup
from neardup import Banding, Index, MinHash, ParameterError, Shingling, _kernels, alignment, containment, jaccard, reference
from neardup.alignment import aligned
from neardup.asking import Matches
from neardup.verify import Estimated, Match, Passage, shared_passages, shared_shingles, verification_hashes

SHINGLINGS = st.builds(Shingling, st.sampled_from(["words", "chars"]), st.integers(1, 6))
PAIRS_OF_TEXTS = st.one_of(st.tuples(s.plain_texts(), s.plain_texts()), st.tuples(s.texts(), s.texts()))


def reference_hashes(text, shingling):
    """The shingle hashes of the specification."""
    return reference.shingle_hashes(s.reference_tokens(text, chars=shingling.chars), shingling.size, shingling.secret)


# ---- similarity and containment --------------------------------------------------------------------------------------


@given(PAIRS_OF_TEXTS, SHINGLINGS)
@example(("", ""), Shingling())
@example(("", "a"), Shingling())
def test_jaccard_is_that_of_the_specification(texts, shingling):
    """Two texts score what reference.py says, to the last bit, and the same either way round."""
    a, b = texts
    assert jaccard(a, b, shingling=shingling) == reference.jaccard(reference_hashes(a, shingling), reference_hashes(b, shingling))
    assert jaccard(a, b, shingling=shingling) == jaccard(b, a, shingling=shingling)


@given(PAIRS_OF_TEXTS, SHINGLINGS)
def test_containment_is_the_share_of_the_first(texts, shingling):
    """Containment is |A and B| / |A| of the verification hashes, 0 for a text without shingles."""
    a, b = truth.shingle_sets(texts, shingling)
    assert containment(*texts, shingling=shingling) == (len(a & b) / len(a) if a else 0.0)


@given(s.texts(), SHINGLINGS)
def test_a_text_equals_itself_unless_it_has_no_shingle(text, shingling):
    """J(a, a) = 1, and 0 for a text without a token; containment likewise."""
    expected = 1.0 if shingling.shingles(text) else 0.0
    assert jaccard(text, text, shingling=shingling) == expected
    assert containment(text, text, shingling=shingling) == expected


@given(st.lists(s.plain_texts(8), max_size=6), st.randoms(use_true_random=False), s.plain_texts())
def test_order_and_repetition_of_shingles_do_not_matter(parts, rng, other):
    """A document is a set of shingles: parts in any order, some twice, score the same."""
    shingling = Shingling(size=1)
    again = parts + rng.choices(parts, k=3) if parts else []
    rng.shuffle(again)
    assert jaccard(" ".join(parts), other, shingling=shingling) == jaccard(" ".join(again), other, shingling=shingling)
    assert jaccard(" ".join(parts), " ".join(again), shingling=shingling) == bool("".join(parts).strip())


@given(PAIRS_OF_TEXTS, SHINGLINGS)
def test_the_bounds_between_similarity_and_containment(texts, shingling):
    """Similarity is at most the smaller of the two containments, and all lie between 0 and 1."""
    there, back = containment(*texts, shingling=shingling), containment(*texts[::-1], shingling=shingling)
    assert 0.0 <= jaccard(*texts, shingling=shingling) <= min(there, back) <= 1.0


def test_the_default_is_words_of_five():
    """Without a shingling, two texts are compared by their 5-word shingles."""
    a, b = "one two three four five six seven", "zero two three four five six seven"
    assert jaccard(a, b) == jaccard(a, b, shingling=Shingling("words", 5)) == 2 / 4
    assert containment(a, b) == 2 / 3


def test_prepending_a_token_changes_what_it_must():
    """One token before 500 different ones adds one shingle: similarity 496 / 497, containment 1 and 496 / 497."""
    text = " ".join(f"t{i}" for i in range(500))
    assert jaccard(text, f"first {text}") == 496 / 497
    assert (containment(text, f"first {text}"), containment(f"first {text}", text)) == (1.0, 496 / 497)


@given(s.shingle_hashes())
def test_verification_hashes_are_the_high_halves(hashes):
    """What is compared is the high 32 bits, distinct and sorted."""
    found = verification_hashes(hashes)
    assert found.dtype == np.uint32
    assert found.tolist() == sorted({y >> 32 for y in hashes.tolist()}) == reference.verification_hashes(hashes).tolist()


@pytest.mark.parametrize("compare", [jaccard, containment])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [(None, "not NoneType"), (7, "not int"), (b"text", r"not bytes; decode it first: text\.decode\('utf-8'\)"), (["text"], "not list")],
)
def test_what_is_not_a_text_is_refused_with_words(compare, wrong, words):
    """None, a number, bytes or a list is a TypeError that says what was given, on either side."""
    with pytest.raises(TypeError, match=f"a text is a str, {words}"):
        compare(wrong, "text")
    with pytest.raises(TypeError, match=f"a text is a str, {words}"):
        compare("text", wrong)


# ---- the threshold ---------------------------------------------------------------------------------------------------

#: Finds every pair that shares a shingle, but for one in a great many.
ALL_PAIRS = {"minhash": MinHash(num_perm=256, shingling=Shingling(size=1)), "banding": Banding(256, 1)}


def overlapping(n, m, both):
    """Two texts of n and m words that share some."""
    return " ".join(f"t{i}" for i in range(n)), " ".join(f"t{i}" for i in range(n - both, n - both + m))


@pytest.mark.parametrize(
    ("n", "m", "both"), [(28, 35, 28), (30, 33, 28), (35, 28, 28), (31, 32, 28), (4, 5, 4), (8, 10, 8), (180, 180, 160)]
)
def test_a_similarity_of_just_the_threshold_matches(n, m, both):
    """28 / 35 is 0.8, although 0.8 * 35 is more than 28 in floating point; it matches at 0.8, and nothing less does."""
    a, b = overlapping(n, m, both)
    index = Index(0.8, **ALL_PAIRS)
    index.add("b", b)
    assert index.query(a) == [Match("b", 0.8, both / n)]
    assert neardup.deduplicate([a, b], 0.8, **ALL_PAIRS).kept == [0]
    for above in (math.nextafter(0.8, 1), 0.81):
        stricter = Index(above, **ALL_PAIRS)
        stricter.add("b", b)
        assert stricter.query(a) == []
        assert neardup.deduplicate([a, b], above, **ALL_PAIRS).kept == [0, 1]


def test_every_ratio_is_a_threshold_that_it_meets():
    """For sets of up to 40, a pair matches at its own similarity, and not at the next number above it."""
    for n in range(1, 41, 3):
        for both in range(1, n + 1, 2):
            for m in {both, both + 1, n, 40} - set(range(both)):
                a, b = overlapping(n, m, both)
                score = both / (n + m - both)
                assert jaccard(a, b, shingling=Shingling(size=1)) == score
                for threshold in (score, math.nextafter(score, 0)):
                    assert len(neardup.deduplicate([a, b], threshold, **ALL_PAIRS).kept) == 1, (n, m, both)
                if score < 1:
                    assert len(neardup.deduplicate([a, b], math.nextafter(score, 1), **ALL_PAIRS).kept) == 2, (n, m, both)


def test_a_threshold_of_one_finds_equal_sets_only():
    """At 1 copies match, and one different shingle in 10,000 does not."""
    text = " ".join(f"t{i}" for i in range(10_000))
    assert neardup.deduplicate([text, text.upper(), f"{text} more"], 1, **ALL_PAIRS).kept == [0, 2]


# ---- shared passages -------------------------------------------------------------------------------------------------


def compared_token_by_token(text, other, shingling):
    """Where shared windows begin, and the width of a window."""
    tokens = s.reference_tokens(text, chars=shingling.chars)
    theirs = {tuple(w) for w in reference.shingle_windows(s.reference_tokens(other, chars=shingling.chars), shingling.size)}
    windows = reference.shingle_windows(tokens, shingling.size)
    return tokens, [tuple(w) in theirs for w in windows], min(shingling.size, len(tokens))


@given(PAIRS_OF_TEXTS, SHINGLINGS)
def test_a_passage_is_shared_and_cannot_be_longer(texts, shingling):
    """All windows of a passage are in the other text, the windows beside it are not, and no shared window is left out."""
    text, other = texts
    tokens, shared, width = compared_token_by_token(text, other, shingling)
    covered = set()
    for passage in shared_passages(text, verification_hashes(shingling.hashes(other)), shingling):
        assert passage.text == ("" if shingling.chars else " ").join(tokens[passage.start : passage.stop])
        windows = range(passage.start, passage.stop - width + 1)
        assert windows
        assert all(shared[i] for i in windows)
        assert windows[0] == 0 or not shared[windows[0] - 1]
        assert windows[-1] == len(shared) - 1 or not shared[windows[-1] + 1]
        covered.update(windows)
    assert covered == {i for i, is_shared in enumerate(shared) if is_shared}


@given(st.tuples(s.plain_texts(), s.plain_texts()), st.integers(1, 3))
def test_the_longest_passage_comes_first(texts, size):
    """Passages are sorted by their number of tokens, and equal ones by place."""
    shingling = Shingling(size=size)
    passages = shared_passages(texts[0], verification_hashes(shingling.hashes(texts[1])), shingling)
    assert passages == sorted(passages, key=lambda p: (p.start - p.stop, p.start))


def test_passages_of_a_text_with_itself():
    """A text shares all of itself, in one passage; one without tokens nothing."""
    for text in ("one", "one two three four", "one two three four five", "a b a b a b a b a b a"):
        assert shared_passages(text, verification_hashes(Shingling().hashes(text)), Shingling()) == [Passage(0, len(text.split()), text)]
    assert shared_passages("...", verification_hashes(Shingling().hashes("...")), Shingling()) == []


def test_passages_of_ready_tokens():
    """A callable's tokens, integers too, are shown as they are."""
    shingling = Shingling(lambda text: [int(word) if word.isdigit() else word for word in text.split()], size=2)
    hashes = verification_hashes(shingling.hashes("x 1 22 y"))
    assert shared_passages("1 22 z", hashes, shingling) == [Passage(0, 2, "1 22")]


def test_passages_of_a_long_text_take_linear_time():
    """200,000 tokens, in the other document but for every hundredth, make 2,001 passages in well under a second."""
    rng = random.Random(1)
    words = [f"{rng.getrandbits(64):x}" for _ in range(200_000)]
    other = verification_hashes(Shingling().hashes(" ".join(words)))
    words[50::100] = ["changed"] * len(words[50::100])
    passages = shared_passages(" ".join(words), other, Shingling())
    assert len(passages) == 2001
    assert {p.stop - p.start for p in passages[:-2]} == {99}


@given(st.text("abc ", max_size=60), st.text("abc ", max_size=60), st.integers(1, 4), st.sampled_from(["words", "chars"]))
def test_passages_are_in_one_piece_in_both_texts(text, other, size, kind):
    """Where both are given: the same tokens stand at both places, and every shared shingle is in a passage."""
    shingling = Shingling(kind, size)
    hashes = verification_hashes(shingling.hashes(other))
    tokens, others = shingling.tokenize(text), shingling.tokenize(other)
    passages = shared_passages(text, hashes, shingling, other)
    for passage in passages:
        length = passage.stop - passage.start
        assert tokens[passage.start : passage.stop] == others[passage.stored_start : passage.stored_start + length]

    def covered(passages):
        width = min(size, len(tokens))
        return {place for passage in passages for place in range(passage.start, passage.stop - width + 1)}

    assert covered(passages) == covered(shared_passages(text, hashes, shingling))


def test_a_passage_is_cut_where_the_other_text_goes_another_way():
    """Shingles that follow each other here but not there are two passages; each is found at its longest."""
    shingling = Shingling(size=2)
    passages = shared_passages("a b c d e", verification_hashes(shingling.hashes("a b x b c d y d e")), shingling, "a b x b c d y d e")
    assert [(p.text, p.start, p.stored_start) for p in passages] == [("b c d", 1, 3), ("a b", 0, 0), ("d e", 3, 7)]


def test_the_stored_text_must_be_that_of_the_document():
    """Another one would give places in nothing."""
    index = Index()
    index.add("a", "one two three four five six")
    with pytest.raises(ParameterError, match="the text given as that of document 'a' is another one; give the text that was added"):
        index.explain("a", "one two three four five", stored="one two three four five")


# ---- two texts beside each other ---------------------------------------------------------------------------------------


def check_alignment(a, b, shingling):
    """Segments give back all tokens of both texts, shared ones are equal, and kinds take turns."""
    segments = aligned(a, b, shingling)
    tokens, others = shingling.tokenize(a), shingling.tokenize(b)
    joint = "" if shingling.chars else " "
    places = (0, 0)
    for segment in segments:
        assert (segment.a_start, segment.b_start) == places
        own, other = tokens[segment.a_start : segment.a_stop], others[segment.b_start : segment.b_stop]
        assert (segment.a, segment.b) == (joint.join(map(str, own)), joint.join(map(str, other)))
        assert own or other
        if segment.kind == "shared":
            assert own == other
            assert segment.compared
        else:
            assert own != other
        places = (segment.a_stop, segment.b_stop)
    assert places == (len(tokens), len(others))
    kinds = [segment.kind for segment in segments]
    assert set(kinds) <= {"shared", "differs"}
    assert all(one != other for one, other in itertools.pairwise(kinds))
    return segments


@given(PAIRS_OF_TEXTS, st.builds(Shingling, st.sampled_from(["words", "chars", "code"]), st.integers(1, 6)))
@example(("", ""), Shingling())
@example(("", "a"), Shingling())
def test_an_alignment_gives_back_both_texts(texts, shingling):
    """Of any two texts, hostile ones too: no token is lost, doubled or called shared without being so."""
    check_alignment(*texts, shingling)


@given(st.text("ab ", max_size=80), st.text("abc ", max_size=80), st.integers(1, 4), st.sampled_from(["words", "chars", "code"]))
def test_an_alignment_of_repetitive_texts(a, b, size, kind):
    """Where shingles come many times, the same holds; so it does when nothing is compared token by token."""
    check_alignment(a, b, Shingling(kind, size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "FEW", 0)
        check_alignment(a, b, Shingling(kind, size))
        patch.setattr(alignment, "PAIRED_IN_ALL", 0)
        check_alignment(a, b, Shingling(kind, size))
        patch.setattr(alignment, "RUNS", 2)
        check_alignment(a, b, Shingling(kind, size))
        patch.setattr(alignment, "DEPTH", 0)
        check_alignment(a, b, Shingling(kind, size))


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_an_alignment_of_ready_tokens(a, b):
    """A callable's tokens, integers too, are aligned as they are; 1 is not "1"."""
    shingling = Shingling(lambda text: [int(word) if word.islower() or not word.startswith("s") else word for word in text.split()], size=2)
    check_alignment(" ".join(map(str, a)), " ".join(map(str, b)), shingling)
    mixed = Shingling(lambda text: [1, "1"] if text == "a" else ["1", 1], size=1)
    assert [segment.kind for segment in check_alignment("a", "b", mixed)] != ["shared"]


@given(s.plain_texts(), SHINGLINGS)
def test_a_text_is_aligned_with_itself(text, shingling):
    """In one shared segment, unless it has no token."""
    assert [segment.kind for segment in aligned(text, text, shingling)] == ["shared"] * bool(shingling.tokenize(text))


@given(st.lists(st.integers(), min_size=20, max_size=300, unique=True), st.data())
def test_edits_are_what_differs(words, data):
    """Words that were put in, far enough from each other, are found where they are and nothing else is."""
    text = [f"w{word}".replace("-", "m") for word in words]
    places = sorted(data.draw(st.sets(st.integers(0, len(text) // 8)), label="places"))
    other = list(text)
    for place in reversed(places):
        other.insert(8 * place, "new")
    segments = check_alignment(" ".join(text), " ".join(other), Shingling())
    assert [(one.a_start, one.a, one.b) for one in segments if one.kind == "differs"] == [(8 * place, "", "new") for place in places]


def test_what_agrees_by_chance_is_no_passage():
    """A word amid longer differences is not shared; one between two short ones, longer than they are, is."""
    kinds = [one.kind for one in aligned("a quick fox in the old barn", "some slow hen in a big house")]
    assert kinds == ["differs"]
    segments = aligned("we met on monday at ten sharp in town", "we met on friday at ten exactly in town")
    assert [one.a for one in segments] == ["we met on", "monday", "at ten", "sharp", "in town"]


def test_what_would_take_too_long_says_so():
    """Between texts without a common shingle no more is compared than a limit allows."""
    rng = random.Random(2)
    a, b = (" ".join(rng.choices("abcdefgh", k=2000)) for _ in range(2))
    (segment,) = check_alignment(a, b, Shingling(size=32))
    assert not segment.compared


@pytest.mark.parametrize("kind", ["edited", "unrelated", "moved", "repetitive"])
def test_long_texts_are_aligned_in_bounded_time(kind):
    """200,000 tokens take seconds at most, whatever they are: counted in the processor time of this thread."""
    rng = random.Random(3)
    words = [f"{rng.randrange(2000)}" for _ in range(200_000)]
    other = list(words)
    if kind == "edited":
        other[::20] = ["changed"] * len(other[::20])
    elif kind == "unrelated":
        other = [f"{rng.randrange(2000)}" for _ in range(200_000)]
    elif kind == "moved":
        parts = [words[i : i + 50] for i in range(0, len(words), 50)]
        rng.shuffle(parts)
        other = [word for part in parts for word in part]
    else:
        words, other = ["a", "b"] * 100_000, ["b", "b", "a"] * 60_000
    start = time.thread_time()
    segments = check_alignment(" ".join(words), " ".join(other), Shingling())
    assert time.thread_time() - start < 20
    shared = sum(one.a_stop - one.a_start for one in segments if one.kind == "shared")
    if kind == "edited":
        assert shared == 190_000


def test_shared_shingles_are_what_similarity_is_made_of():
    """Counts, and the three figures from them; of texts without shingles all are 0."""
    found = shared_shingles("a b c d e f", "b c d e f g h")
    assert found == (1, 2, 3)
    assert (found.similarity, found.a_in_b, found.b_in_a) == (1 / 4, 1 / 2, 1 / 3)
    nothing = shared_shingles("", "...")
    assert (nothing.similarity, nothing.a_in_b, nothing.b_in_a) == (0, 0, 0)


# ---- estimates -------------------------------------------------------------------------------------------------------


def told(agreement, n, m, slots=0):
    """What a document of ``n`` shingles is told of another of ``m``."""
    (match,) = _kernels.Matcher(Match, Matches, slots).matches(n, ([("a", agreement, m)], False))
    return match


@given(st.integers(2, 300), st.integers(1, 200), st.integers(1, 200), st.data())
def test_estimates_are_those_of_the_specification(slots, n, m, data):
    """Equal slots become a similarity, and that a containment: between 0 and 1, and never more than the sizes allow."""
    equal = data.draw(st.integers(0, slots))
    _, estimate, containment, exact = told(equal, n, m, slots)
    assert estimate == reference.estimated_similarity(equal, slots, n, m)
    two = Estimated(0.5, (np.empty(0, np.uint32),) * 3, np.array([n, m], np.uint32), slots)
    assert two.similarities(np.array([0, 0]), np.array([1, 0]), np.array([equal, slots]), 1).tolist() == [estimate, 1.0]
    assert 0 <= estimate <= min(n, m) / max(n, m)
    assert 0 <= containment <= min(m / n, 1)
    assert told(slots, n, n, slots) == ("a", 1.0, 1.0, False)
    assert exact is False


def test_a_containment_follows_from_a_similarity():
    """60 shingles of 100 in a document of 80 are a similarity of 0.5; estimated so, the containment is 0.6."""
    equal = round((0.5 * 255 / 256 + 1 / 256) * 1024)
    assert told(equal, 100, 80, 1024).similarity == pytest.approx(0.5, abs=1e-3)
    assert told(equal, 100, 80, 1024).containment == pytest.approx(0.6, abs=1e-3)


# ---- matches ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), st.data())
def test_exact_matches_are_those_of_the_definition(n, m, data):
    """Whatever the sizes, as Python divides its integers."""
    shared = data.draw(st.integers(0, min(n, m)))
    match = told(shared, n, m)
    assert type(match) is Match
    assert match == ("a", shared / (n + m - shared), shared / n, True)


def test_matches_are_told_in_the_order_found():
    """As a list of its class, with what was truncated; nothing found is an empty one."""
    matcher = _kernels.Matcher(Match, Matches, 0)
    found = matcher.matches(4, ([("b", 4, 4), (2**63 - 1, 2, 4)], True))
    assert type(found) is Matches
    assert found == [Match("b", 1.0, 1.0), Match(2**63 - 1, 1 / 3, 0.5)]
    assert found.truncated
    nothing = matcher.matches(4, ([], False))
    assert (nothing, type(nothing), nothing.truncated) == ([], Matches, False)


def test_a_match_is_as_if_it_were_made_in_python():
    """Equal, of the same hash, and all that a named tuple can do."""
    match, same = told(2, 4, 6), Match("a", 0.25, 0.5)
    assert match == same == pickle.loads(pickle.dumps(match))
    assert hash(match) == hash(same) == hash(tuple(same))
    assert {same: 1}[match] == 1
    assert match._replace(id="b") == Match("b", 0.25, 0.5)
    assert repr(match) == repr(same)


def test_a_match_may_be_of_a_class_with_more():
    """As of any class of tuples."""
    more = type("More", (Match,), {})
    (match,) = _kernels.Matcher(more, Matches, 0).matches(4, ([("a", 2, 6)], False))
    match.note = "mine"
    assert type(match) is more
    assert (match, match.note) == (("a", 0.25, 0.5, True), "mine")


@pytest.mark.parametrize("one", [list, int, Matches])
def test_a_match_is_a_tuple(one):
    """What is made as a tuple is one."""
    with pytest.raises(TypeError, match=f"^{one.__name__} is no class of tuples$"):
        _kernels.Matcher(one, Matches, 0)


def test_matches_are_a_list():
    """Nothing else is."""
    with pytest.raises(TypeError):
        _kernels.Matcher(Match, dict, 0).matches(1, ([], False))
