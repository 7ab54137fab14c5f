"""Format 1 is a promise: an index that was written by it is opened by every later version, which writes the same bytes."""

import shutil

import golden_index
import pytest

from neardup import Index, Shingling

IDS = [*(i for i in range(18) if i not in (3, 9)), "a", -1, 2**62, "ä", "\ud800"]
IDS += [f"late {i}" for i in (24, 25, 27, 28, 29, 30)] + [9]


@pytest.fixture(params=golden_index.PATHS)
def verify(request):
    """How the index verifies."""
    return request.param


def in_memory(verify):
    """The same documents in memory."""
    texts = dict(zip([*range(18), "a", "b", -1, 2**62, "ä", "\ud800"], golden_index.TEXTS, strict=False))
    texts |= {f"late {i}": text for i, text in enumerate(golden_index.TEXTS) if i >= 24}
    texts[9] = golden_index.TEXTS[0]
    index = Index(0.5, shingling=Shingling(secret=7), verify=verify, bucket_limit=20)
    index.add_many(IDS, [texts[id] for id in IDS])
    return index


def test_an_index_of_format_1_is_opened(tmp_path, verify):
    """It answers as ever, its checks find nothing, and it can be written to."""
    shutil.copytree(golden_index.PATHS[verify], tmp_path / "i")
    expected = in_memory(verify)
    with Index.open(tmp_path / "i", mode="r") as index:
        assert index.ids() == IDS
        assert index.pairs().to_pydict() == expected.pairs().to_pydict()
        for text in golden_index.TEXTS:
            assert index.query(text) == expected.query(text)
    with Index.open(tmp_path / "i") as index:
        assert index.check() == []
        index.add("new", golden_index.TEXTS[1])
        index.compact()
        assert index.ids() == [*IDS, "new"]


def test_format_1_is_written(tmp_path, verify):
    """The same documents, added in the same way, give the very same files."""
    golden_index.make(tmp_path / "i", verify)
    files = [file.relative_to(tmp_path / "i") for kind in ("documents", "segments") for file in (tmp_path / "i" / kind).iterdir()]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "i" / file).read_bytes() == (golden_index.PATHS[verify] / file).read_bytes(), file
