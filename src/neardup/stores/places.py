"""What a path or an address names: the kind of store, chosen in one place."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeAlias

from neardup.errors import ParameterError, plain
from neardup.stores import Store
from neardup.stores.fetched import Place, check_name

#: The kind of server, by what its addresses begin with.
SERVERS = {"postgresql": "postgres", "postgres": "postgres", "redis": "redis", "rediss": "redis", "unix": "redis"}


class Folder(NamedTuple):
    """A folder, as it was named."""

    path: str

    def __str__(self) -> str:
        return repr(self.path)


#: Where an index lives.
Where: TypeAlias = Folder | Place


def named(path: str | os.PathLike[str], name: str | None) -> Where:
    """The folder, or the place on a server.

    Raises
    ------
    ParameterError
        If an index on a server has no name or none that it may have, a folder has one, or nobody knows such addresses.
    """
    text = os.fspath(path)
    scheme, colon, _ = text.partition("://")
    if not colon:
        if name is not None:
            raise ParameterError(f"name is {name!r} and {text!r} is a folder; only indexes on servers have names, leave it out")
        return Folder(text)
    if scheme not in SERVERS:
        raise ParameterError(f"an index cannot live at {plain(scheme)}://; it lives in a folder, at postgresql:// or at redis://")
    return Place(text, check_name(name, f"{scheme}://..."))


def refuse_excerpts(place: Where, *, sample: int) -> None:
    """Refuse an index whose documents are found by a sample of their shingles on a server.

    Raises
    ------
    ParameterError
        If that is asked for.
    """
    if sample and not isinstance(place, Folder):
        raise ParameterError(f"verify is 'contained' and {place} is on a server; an index of excerpts lives in memory or in a folder")


def another(place: Where) -> str:
    """What a user would give instead, for messages."""
    return "name another folder" if isinstance(place, Folder) else "give another name"


def label(path: str, name: str | None) -> str:
    """What people are shown of a place: never a password."""
    return str(Place(path, str(name))) if "://" in path else path


def read_parameters(place: Where) -> dict[str, Any] | None:
    """The parameters of the index that is there; None where there is none."""
    if isinstance(place, Folder):
        from neardup.stores import disk

        return disk.read_parameters(place.path)
    if SERVERS[place.scheme] == "postgres":
        from neardup.stores import postgres

        return postgres.read_parameters(place)
    from neardup.stores import redis

    return redis.read_parameters(place)


def store(place: Where, parameters: dict[str, Any], bands: int, bucket_limit: int, slots: int, sample: int, *, writes: bool) -> Store:
    """The store that is there, made where there is none."""
    if isinstance(place, Folder):
        from neardup.stores.disk import DiskStore

        kept = DiskStore(place.path, parameters, bands, bucket_limit, slots, writes=writes)
        if not sample:
            return kept
        from neardup.stores.sampled import SampledStore

        return SampledStore(kept, bucket_limit, sample)
    refuse_excerpts(place, sample=sample)
    own = {name: value for name, value in parameters.items() if name != "id_seed"}  # what files find ids by
    if SERVERS[place.scheme] == "postgres":
        from neardup.stores.postgres import PostgresStore

        return PostgresStore(place, own, bands, bucket_limit, slots, writes=writes)
    from neardup.stores.redis import RedisStore

    return RedisStore(place, own, bands, bucket_limit, slots, writes=writes)


def filling(place: Where) -> AbstractContextManager[None]:
    """While a new index is filled: one in a folder is none before that has ended. On a server nothing tells."""
    if not isinstance(place, Folder):
        return nullcontext()
    from neardup.stores import disk

    return disk.filling(place.path)


def discard(place: Where, made: Store, error: BaseException) -> None:
    """Remove an index that was made and could not be filled; of one on a server, which others may have by now, the error tells."""
    from neardup.stores.disk import DiskStore
    from neardup.stores.sampled import SampledStore

    if isinstance(made, DiskStore | SampledStore):
        made.discard()
    elif hasattr(error, "add_note"):
        remedy = f"remove it as docs/reference/servers.md says, or {another(place)}"
        error.add_note(f"the index {place} is there, without all of the documents; {remedy}")
