"""Files at an address: read by fsspec, from memory and from a real server, as local ones are."""

import functools
import gzip
import http.server
import json
import sys
import threading

import fsspec
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from neardup import InputError, MissingDependencyError, deduplicate
from neardup.files import FileDocuments

STORIES = [{"id": f"s{i % 40}", "text": f"the story number {i % 40} is told again and again {i % 40}"} for i in range(60)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a folder with the stories in many formats, on a server."""
    folder = tmp_path_factory.mktemp("served")
    lines = "".join(json.dumps({**story, "id": i}) + "\n" for i, story in enumerate(STORIES)).encode()
    (folder / "a.jsonl").write_bytes(lines)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    table = pa.table({"id": list(range(60)), "text": [story["text"] for story in STORIES]})
    pq.write_table(table, folder / "a.parquet")
    pyarrow.feather.write_feather(table, folder / "a.arrow")
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, *_):
        """Nothing."""


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet", "a.arrow"])
def test_files_on_a_server(served, tmp_path, name):
    """Each format, and the kept documents written here."""
    result = deduplicate(f"{served}/{name}")
    assert (result.kept, len(result.removed)) == (list(range(40)), 20)
    result.write(tmp_path / "kept.jsonl")
    assert [json.loads(line)["id"] for line in (tmp_path / "kept.jsonl").read_text().splitlines()] == result.kept


def test_a_folder_in_memory(tmp_path):
    """All below it that is not hidden; texts are copied into a new folder."""
    system = fsspec.filesystem("memory")
    for name, text in (("a.txt", "one two three"), ("b/c.txt", "one, two, three"), ("b/.hidden", "x"), ("d.md", "four")):
        system.pipe(f"/pages/{name}", text.encode())
    documents = FileDocuments(["memory://pages"])
    assert [file.place for file in documents.files] == ["a.txt", "b/c.txt", "d.md"]
    result = deduplicate("memory://pages")
    assert result.kept == ["memory:///pages/a.txt", "memory:///pages/d.md"]
    result.write(tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a.txt", "d.md"]
    assert [file.place for file in FileDocuments(["memory://pages"], glob="*.md").files] == ["d.md"]


def test_a_remote_file_that_changes_begins_anew():
    """Its state is not what it was."""
    system = fsspec.filesystem("memory")
    system.pipe("/changing/a.txt", b"one")
    before = FileDocuments(["memory://changing/a.txt"]).state()
    system.pipe("/changing/a.txt", b"two three")
    assert FileDocuments(["memory://changing/a.txt"]).state() != before


def test_addresses_that_lead_nowhere(served):
    """The address, and what to do."""
    with pytest.raises(InputError, match=rf"{served}/missing.jsonl: no such file or folder; check the path"):
        deduplicate(f"{served}/missing.jsonl")
    with pytest.raises(InputError, match=r"nowhere://x: .*; check the address, or install what it needs"):
        deduplicate("nowhere://x")
    with pytest.raises(InputError, match=r"one text goes in a list"):
        deduplicate("see http://example.org for more")


def test_without_fsspec_it_is_named(monkeypatch):
    """The command that installs it."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(
        MissingDependencyError, match=r"memory://x is read by fsspec, which is not installed; pip install 'neardup\[remote\]'"
    ):
        deduplicate("memory://x")
