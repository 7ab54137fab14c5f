"""What type checkers see of the public names; tests/test_typing.py has mypy and pyright read it, it is not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from typing_extensions import assert_type

import neardup
from neardup import (
    Banding,
    Estimate,
    Evaluation,
    Index,
    Match,
    MinHash,
    Profile,
    Removed,
    Result,
    Shingling,
    Signature,
    Signatures,
    Tuning,
)
from neardup.asking import Matches
from neardup.index import Stats
from neardup.interop import frames, huggingface
from neardup.interop.datasketch import from_datasketch, to_datasketch
from neardup.verify import Passage

TEXTS = ["one", "two"]
Values = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

assert_type(neardup.__version__, str)

# ---- shingling, signatures, bands ------------------------------------------------------------------------------------

shingling = Shingling(tokens="chars", size=4, fold_digits=True, stop=["x"])
assert_type(shingling, Shingling)
assert_type(shingling.tokenize("a"), list[str | int])
assert_type(shingling.shingles("a"), list[str])
assert_type(shingling.hashes("a"), npt.NDArray[np.uint64])
Shingling(str.split)
Shingling(tokens="word")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

minhash = MinHash(128, 1, shingling, "datasketch-affine32", "xxh32")
assert_type(minhash.sign("a"), Signature)
assert_type(minhash.sign_many(TEXTS), Signatures)
assert_type(minhash.sign_tokens(["a", b"b", 3]), Signature)
assert_type(minhash.sign_tokens_many([["a"], [b"b"]]), Signatures)
assert_type(minhash.num_perm, int)
MinHash(scheme="affine32")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
MinHash(scheme="datasketch-legacy", token_hash="md5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

signatures = minhash.sign_many(pa.array(TEXTS), threads=2, hashes=True)
assert_type(signatures[0], Signature)
assert_type(signatures[:1], Signatures)
assert_type(signatures.values, Values)
assert_type(signatures.counts, npt.NDArray[np.uint64])
assert_type(signatures.hashes, npt.NDArray[np.uint32] | None)
assert_type(signatures.estimate_jaccard(signatures), npt.NDArray[np.float64])
assert_type(signatures[0].values, Values)
assert_type(signatures[0].count, int)
assert_type(signatures[0].estimate_jaccard(signatures[1]), Estimate)
assert_type(signatures[0].estimate_jaccard(signatures[1]).similarity, float)
assert_type(signatures[0].union(signatures[1]), Signature)

banding = Banding.for_threshold(0.8, recall=0.99)
assert_type(banding, Banding)
assert_type(banding.probability(0.8), float)
assert_type(banding.keys(signatures.values), npt.NDArray[np.uint64])
assert_type(Profile.named("ocr"), Profile)

# ---- an index --------------------------------------------------------------------------------------------------------

index = Index(0.8, minhash=minhash, verify="estimate")
assert_type(Index.open(Path("a"), mode="r"), Index)
assert_type(Index.load("a"), Index)
index.add("a", "text")
index.add(1, "text")
index.add_many(range(2), TEXTS)
index.add_signatures(["x", "y"], signatures)
index.add(1.5, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(index.query("a"), Matches)
assert_type(index.query("a", top=1, measure="containment")[0], Match)
assert_type(index.query("a").truncated, bool)
assert_type(index.query_many(TEXTS), list[Matches])
assert_type(index.query_signatures(signatures), list[Matches])
assert_type(index.add_unless_duplicate("b", "text"), Match | None)
assert_type(index.explain("a", "text"), list[Passage])
assert_type(index.ids(), list[str | int])
assert_type(index.stats(), Stats)
assert_type(index.stats().documents, int)
assert_type(len(index), int)
assert_type("a" in index, bool)
with Index.open("a") as opened:
    assert_type(opened, Index)
match = index.query("a")[0]
assert_type(match.id, str | int)
assert_type(match.similarity, float)
assert_type(match.exact, bool)

# ---- whole corpora ---------------------------------------------------------------------------------------------------

result = neardup.deduplicate(TEXTS, 0.9, keep="longest", clusters="components")
assert_type(result, Result)
assert_type(result.kept, list[str | int])
assert_type(result.removed, list[Removed])
assert_type(result.removed[0].witness, str | int)
assert_type(result.clusters, list[list[str | int]])
assert_type(result.each_removed(), Iterator[Removed])
assert_type(result.rethreshold(0.95), Result)
neardup.deduplicate(TEXTS, clusters="stars")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(neardup.tune(TEXTS), Tuning)
assert_type(neardup.evaluate(TEXTS, {0: "a", 1: "a"}), Evaluation)
assert_type(neardup.jaccard("a", "b"), float)
assert_type(neardup.containment("a", "b"), float)

# ---- streams and other libraries -------------------------------------------------------------------------------------

assert_type(neardup.unique(TEXTS), Iterator[str])
assert_type(neardup.unique([{"text": "a"}], text="text"), Iterator[dict[str, str]])
assert_type(neardup.unique([1, 2], text=lambda n: str(n + 1)), Iterator[int])
neardup.unique(TEXTS, verify="noisy")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

sketch: Any = None
assert_type(from_datasketch(b""), Signature)
from_datasketch(sketch, token_hash="sha1", shingling=shingling)
to_datasketch(signatures, "MinHashLSH", ids=["a", "b"], banding=banding)
to_datasketch(signatures, "LSH")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
frames.mask(sketch, text="text", threshold=0.9)
assert_type(huggingface.Decisions.of(sketch), huggingface.Decisions)
assert_type(huggingface.Decisions.of(sketch).kept, npt.NDArray[np.bool_])
