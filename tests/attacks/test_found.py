"""What fuzzing found, each once more by itself."""

import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from neardup import CorruptIndexError, Index, InputError, ParameterError, deduplicate
from neardup.files import FileDocuments
from neardup.stores import catalog


@pytest.mark.parametrize("type", [pa.string_view(), pa.list_(pa.string_view())])
@pytest.mark.parametrize("keep", [(), (0,), (0, 2), (0, 1, 2)])
def test_string_views_are_chosen_among(tmp_path, type, keep):
    """Arrow cannot do it in all versions; polars writes such files."""
    values = ["one", None, "two"] if pa.types.is_string_view(type) else [["a"], [], ["b", "c"]]
    table = pa.table({"text": ["a", "b", "c"], "b": pa.array(values, type)})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    mask = np.isin(np.arange(3), keep)
    taken = pa.concat_tables(FileDocuments(tmp_path / "a.arrow").chunks(lambda _: mask))
    assert taken["b"].to_pylist() == [values[i] for i in keep]


@pytest.mark.parametrize("text", ["", "[1]", "[" * 100_000, "{"])
def test_parameters_that_are_no_json(tmp_path, text):
    """Their checksum may be right."""
    Index.open(tmp_path / "i", 0.5).close()
    with sqlite3.connect(tmp_path / "i" / catalog.NAME) as database:
        database.execute("update parameters set text = ?, sum = ?", (text, catalog._sum(text.encode())))
    with pytest.raises(CorruptIndexError, match=r"catalog\.sqlite is damaged: its parameters; restore the folder from a copy"):
        Index.open(tmp_path / "i", mode="r")


def test_rows_that_do_not_fit(tmp_path):
    """A document of the tail with a fingerprint too few, and a right checksum."""
    with Index.open(tmp_path / "i", 0.5) as index:
        index.add("a", "one two three four five six")
    with sqlite3.connect(tmp_path / "i" / catalog.NAME) as database:
        row = list(database.execute("select * from tail").fetchone())
        row[4] = row[4][:-4]
        database.execute("update tail set fingerprints = ?, sum = ?", (row[4], catalog._sum(*row[:-1])))
        database.execute("update state set sum = ?", (catalog._plus(0, [catalog._sum(*row[:-1])]),))
    with pytest.raises(CorruptIndexError, match="rows do not fit together; restore the folder from a copy"):
        Index.open(tmp_path / "i", mode="r")


def test_a_catalog_with_a_row_of_gigabytes(tmp_path):
    """SQLite believes what a damaged page says, and has no memory for it."""
    (tmp_path / "i").mkdir()
    shutil.copy(Path(__file__).parent / "corpus/catalog/row-of-gigabytes", tmp_path / "i" / catalog.NAME)
    for mode in "ra":
        with pytest.raises(CorruptIndexError, match=r"catalog\.sqlite is damaged, or larger than memory; restore the folder from a copy"):
            Index.open(tmp_path / "i", mode=mode)


def test_names_of_columns_that_are_not_utf8(tmp_path):
    """Arrow does not look before it is asked."""
    table = pa.table({"texx": ["a", "b"]})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    data = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(data.replace(b"texx", b"tex\xf4"))
    with pytest.raises(InputError, match=r"a\.arrow: not UTF-8"):
        FileDocuments(tmp_path / "a.arrow")


def test_long_names_of_columns_are_cut(tmp_path):
    """A header of megabytes is no message of megabytes."""
    (tmp_path / "a.tsv").write_text("\t".join(letter * 100_000 for letter in "abc") + "\n1\t2\t3\n")
    with pytest.raises(InputError, match=r"names one of 'a{75}\.\.\.', 'b{75}\.\.\.', 'c{75}\.\.\.'") as raised:
        deduplicate(tmp_path / "a.tsv")
    assert len(str(raised.value)) < 1000


def test_an_address_is_shown_on_one_line():
    """Whatever is in its scheme."""
    with pytest.raises(ParameterError, match=r"cannot live at a\\x1c\\nb://; it lives in a folder"):
        Index.open("a\x1c\nb://c", name="n")


@pytest.mark.parametrize("file", sorted((Path(__file__).parent / "corpus/parquet").iterdir()), ids=lambda file: file.name)
@pytest.mark.parametrize("text", ["", "b"])
def test_damaged_parquet(tmp_path, file, text):
    """Arrow ended the process, or had an error of its own, for some of these."""
    path = tmp_path / "a.parquet"
    shutil.copy(file, path)
    code = "import sys, neardup; neardup.deduplicate(sys.argv[1], text=sys.argv[2] or None)"
    done = subprocess.run([sys.executable, "-c", code, path, text], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or re.match(r"neardup\.errors\.(Input|Parameter)Error: ", done.stderr.splitlines()[-1]), done.stderr
