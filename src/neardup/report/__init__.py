"""The report of a deduplication: one HTML file that shows what was removed, why, and what was nearly."""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256
from typing import Any

from neardup.errors import MissingDependencyError, ParameterError
from neardup.report.facts import Subject, facts_of
from neardup.work import Progress

__all__ = ["Subject", "check_report", "write_report"]


def write_report(subject: Subject, path: str | os.PathLike[str], progress: Progress | None = None) -> None:
    """Write a report; see :meth:`neardup.Result.report`."""
    from neardup.writing import atomic_path

    check_report(path)
    page = render(facts_of(subject, progress or (lambda _stage, _done, _total: None)))
    with atomic_path(path) as part:
        part.write_bytes(page.encode("utf-8", "backslashreplace"))  # texts may hold lone surrogates


def check_report(path: str | os.PathLike[str]) -> None:
    """Refuse what is no file of HTML."""
    if not os.fspath(path).lower().endswith((".html", ".htm")):
        raise ParameterError(f"the report is {os.fspath(path)!r}; it is a file of HTML: report.html")


def render(facts: dict[str, Any]) -> str:
    """The page that shows facts: everything in it is escaped, and its policy lets nothing run or load but its own script and style."""
    try:
        import jinja2
    except ImportError:
        raise MissingDependencyError("reports are made with Jinja2, which is not installed; pip install jinja2") from None
    loader = jinja2.PackageLoader("neardup", "report")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["thousands"] = "{:,}".format
    sources = {name: environment.loader.get_source(environment, f"page.{name}")[0] for name in ("css", "js")}  # type: ignore[union-attr]
    hashes = {name: b64encode(sha256(source.encode()).digest()).decode() for name, source in sources.items()}
    return environment.get_template("page.html").render(**facts, sources=sources, hashes=hashes)
