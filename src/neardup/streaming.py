"""A stream without its near-duplicates, in memory that does not grow: one document after another, as training reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeVar

from neardup.errors import ParameterError, check_integer, kind
from neardup.index import Index
from neardup.minhash import MinHash
from neardup.shingling import Shingling

Document = TypeVar("Document")


def unique(
    stream: Iterable[Document],
    text: str | Callable[[Document], str] | None = None,
    threshold: float | None = None,
    *,
    profile: str | None = None,
    recall: float | None = None,
    shingling: Shingling | None = None,
    minhash: MinHash | None = None,
    verify: Literal["estimate", "exact"] = "estimate",
    remember: int = 1_000_000,
) -> Iterator[Document]:
    """The documents of a stream that are no near-duplicates of one that came before, as they come.

    Nothing is read ahead: each document is passed on, or left out, before the next is asked for.

    Parameters
    ----------
    stream
        Texts, or mappings such as the rows of a Hugging Face dataset and the objects of JSONL, or anything else of which ``text`` says
        the text. Documents are passed on as they are.
    text
        The key of a mapping that holds the text, ``"text"`` by default, or a function that returns the text of a document.
    threshold, profile, recall, shingling, minhash
        As for :class:`neardup.Index`; ``"ocr"`` and ``"excerpt"`` are profiles of whole corpora.
    verify
        ``"estimate"`` takes the same memory for every document, and a similarity for what the signatures say, with a standard error of
        ``sqrt(J * (1 - J) / num_perm)``. ``"exact"`` keeps 4 bytes a distinct shingle.
    remember
        How many documents that were passed on are remembered. Then the oldest is forgotten for each new one, and copies of it are
        passed on again. A million take about 0.6 GB.

    Returns
    -------
    iterator
        Of documents of the stream, in its order. A document without a word is no duplicate of anything.

    Raises
    ------
    ParameterError
        If a parameter is out of range.
    TypeError
        If a document has no text; the message gives its place.

    Notes
    -----
    In a ``DataLoader`` of PyTorch with several workers each has a stream and a memory of its own. Give each its shard, and
    deduplicate across shards before, or work with ``num_workers=1``.

    Examples
    --------
    >>> lines = ["One two three four five six.", "seven", "one two three, four five six", "eight"]
    >>> list(unique(lines))
    ['One two three four five six.', 'seven', 'eight']
    >>> list(unique(({"n": n, "body": line} for n, line in enumerate(lines)), text="body"))[2]
    {'n': 3, 'body': 'eight'}
    """
    check_integer("remember", remember, 1, 2**31)
    if verify not in ("estimate", "exact"):
        raise ParameterError(f"verify is {verify!r}; a stream takes 'estimate' or 'exact'")
    if profile in ("ocr", "excerpt"):
        raise ParameterError(f"profile is {profile!r}, which judges documents by a whole corpus; a stream takes 'text', 'short' or 'code'")
    if isinstance(stream, str | bytes):
        raise TypeError(f"the stream is one {kind(stream)}; it is an iterable of documents: [text]")
    if isinstance(stream, Mapping | AbstractSet):  # names would come, or an order of chance
        raise TypeError(f"the stream is a {kind(stream)}; go over documents in an order: stream['train'], or a list")
    if hasattr(stream, "columns") and hasattr(stream, "__arrow_c_stream__"):
        rows = "frame.to_dict('records') of pandas, frame.iter_rows(named=True) of polars"
        raise TypeError(f"the stream is a {kind(stream)}, which goes over its columns; go over its rows: {rows}")
    index = Index(threshold, profile=profile, recall=recall, shingling=shingling, minhash=minhash, verify=verify)
    return _first_ones(stream, text, index, remember)


def _first_ones(
    stream: Iterable[Document], text: str | Callable[[Document], str] | None, index: Index, remember: int
) -> Iterator[Document]:
    known = 0
    for place, document in enumerate(stream):
        if index.add_unless_duplicate(known, _text_of(document, text, place)) is None:
            known += 1
            if known > remember:
                index.remove(known - remember - 1)
            yield document


def _text_of(document: Any, text: str | Callable[[Any], str] | None, place: int) -> str:
    if callable(text):
        found = text(document)
    elif isinstance(document, Mapping):
        key = "text" if text is None else text
        if key not in document:
            raise TypeError(f"document {place} has no {key!r}, it has {', '.join(map(repr, document))}; text= names the key of the text")
        found = document[key]
    elif text is not None and isinstance(document, str):
        raise TypeError(f"document {place} is a text, and text is {text!r}; leave it out, or give dictionaries")
    else:
        found = document
    if found is None:  # as a null of a column
        return ""
    if not isinstance(found, str):
        raise TypeError(f"the text of document {place} is of type {kind(found)}; a text is a str: text= names its key, or a function")
    return found
