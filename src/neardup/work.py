"""What a job has done so far: columns, in memory or in files, and with a folder a manifest, so that the same job goes on later.

A manifest says what the job is, how far each stage is, and of each column how many bytes count and their checksum. It takes
the place of the one before in one step, so that what an interruption leaves beyond it is cut off; what is damaged is done anew.
"""

from __future__ import annotations

import os
import re
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from neardup.ending import of_this_process
from neardup.errors import ParameterError, ResumeWarning, listed, warn_caller
from neardup.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

#: Told what is being done, how much of it is done, and of how much if that is known.
Progress = Callable[[str, int, "int | None"], None]
FORMAT = 1
MANIFEST, LOCK, COLUMN = "manifest.json", "lock", ".column"
#: Bytes that are done again rather than kept in a folder: about a second's work.
KEPT = 64 << 20
#: Seconds between one manifest and the next.
SECONDS = 1.0


class Work:
    """The columns of a job, and how far it is.

    Parameters
    ----------
    limit
        Bytes of memory that the job may take: a quarter of them for columns.
    path
        The folder where they are kept once they are worth it; None to keep nothing.
    job
        What it is, in JSON: another job does not go on with it.

    Raises
    ------
    ParameterError
        If the folder is not one of these, that in which it would be is not there, or another process is at work in it.

    Examples
    --------
    >>> work = Work(1 << 30)
    >>> column = work.column("numbers", "uint32")
    >>> work.done("counting")
    {}
    """

    def __init__(self, limit: int, path: Path | None = None, job: dict[str, Any] | None = None) -> None:
        self.limit = limit
        self.path = path
        self._job = {} if path is None else _plain(job)
        self._columns: dict[str, Spool] = {}
        self._stages: dict[str, Any] = {}
        self._marks: dict[str, tuple[int, int]] = {}
        self._lock: weakref.finalize[..., Work] | None = None
        self._published = 0.0
        if path is not None and not path.parent.is_dir():
            raise ParameterError(f"{path.parent} is no folder, and {path.name} is made in it; make it first, or name another")
        if path is not None and path.exists():
            self._go_on(path)

    def _go_on(self, path: Path) -> None:
        if not path.is_dir() or (any(path.iterdir()) and not (path / LOCK).exists()):
            raise ParameterError(f"{path} is there already, and no unfinished work; name a new folder, or move it away")
        self._take(path)
        why = self._restore(path)
        if why:
            for file in (path / MANIFEST, *path.glob(f"*{COLUMN}")):
                file.unlink(missing_ok=True)
            self._columns, self._stages, self._marks = {}, {}, {}
        if why != "nothing":
            anew = f"begun anew, since {why}" if why else "going on: " + "; ".join(map(_said, self._stages.items()))
            warn_caller(f"{path}: {anew}", ResumeWarning)

    def _take(self, path: Path) -> None:
        """Refuse a second process, and hold the folder until this one ends."""
        import fcntl

        path.mkdir(exist_ok=True)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                raise ParameterError(f"another job is at work in {path}; wait for it, or write elsewhere") from None
            raise OSError(
                error.errno, f"{error.strerror}: files cannot be locked there; name a folder on a local disk", str(path)
            ) from None

        def let_go() -> None:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a forked child has the file too
            os.close(lock)

        self._lock = weakref.finalize(self, of_this_process(let_go))

    def _restore(self, path: Path) -> str:
        """Take up what a manifest says; why not, if it cannot be."""
        import json

        try:
            manifest = json.loads((path / MANIFEST).read_bytes())
        except FileNotFoundError:
            return "nothing"
        except ValueError:
            return "its manifest is damaged"
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            return "it is of another version"
        if not _is_whole(manifest):
            return "its manifest is damaged"
        if manifest["job"] != self._job:
            known, given = manifest["job"], self._job
            return listed([name for name in {**known, **given} if known.get(name) != given.get(name)]) + " changed"
        for name, (dtype, *mark) in manifest["columns"].items():
            self._columns[name] = Spool(dtype, path / f"{name}{COLUMN}")
            if not self._columns[name].restore(*mark):
                return f"{name}{COLUMN} is damaged"
        self._stages = manifest["stages"]
        return ""

    def column(self, name: str, dtype: npt.DTypeLike) -> Spool:
        """A column, with what was kept of it."""
        if name not in self._columns:
            self._columns[name] = Spool(dtype, None if self.path is None else self.path / f"{name}{COLUMN}")
            if self._lock is not None:
                self._columns[name].spill()
        return self._columns[name]

    def done(self, stage: str) -> dict[str, Any]:
        """How far a stage is, as it was published last."""
        return dict(self._stages.get(stage, {}))

    def publish(self, stage: str, *, whole: bool = False, **far: Any) -> None:
        """Say how far a stage is, when all that belongs to it is in columns; what outgrows memory is spilled."""
        self._stages[stage] = {**far, "whole": whole}
        if self._lock is None:
            held = sum(spool.nbytes for spool in self._columns.values() if not spool.spilled)
            if held > (self.limit // 4 if self.path is None else min(KEPT, self.limit // 4)):
                if self.path is not None:
                    self._take(self.path)
                for spool in self._columns.values():
                    spool.spill()
        if self._lock is not None and (whole or time.monotonic() - self._published > SECONDS):
            self._write()

    def _write(self) -> None:
        import json

        assert self.path is not None  # noqa: S101  it is held
        columns = {name: (spool._dtype.str, *spool.mark()) for name, spool in self._columns.items()}
        manifest = {"format": FORMAT, "job": self._job, "stages": self._stages, "columns": columns}
        part = self.path / f"{MANIFEST}.part"
        part.write_text(json.dumps(manifest), encoding="utf-8")
        part.replace(self.path / MANIFEST)
        self._published = time.monotonic()

    def remove(self) -> None:
        """Delete the folder, when what it was for is done."""
        if self.path is not None and self._lock is not None:
            for file in (self.path / MANIFEST, *self.path.glob(f"*{COLUMN}"), self.path / LOCK):
                file.unlink(missing_ok=True)
            self.path.rmdir()
            self._lock()
            self._lock = None

    def leave(self, error: type[BaseException] | None, *_: object) -> None:
        """Let another job go on with the folder, when this one ends with an error."""
        if error is not None and self._lock is not None:
            self._lock()


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Whether a manifest has the parts of one that was written; what columns hold is told by their checksums."""
    job, columns, stages = (manifest.get(part) for part in ("job", "columns", "stages"))
    if not (isinstance(job, dict) and isinstance(columns, dict) and isinstance(stages, dict)):
        return False
    if not all(isinstance(far, dict) and isinstance(far.get("whole"), bool) for far in stages.values()):
        return False
    return all("/" not in name and _is_mark(mark) for name, mark in columns.items())


def _is_mark(mark: Any) -> bool:
    if not (isinstance(mark, list) and len(mark) == 3 and isinstance(mark[0], str)):
        return False
    return re.fullmatch(r"[<>|=][biuf][1248]", mark[0]) is not None and all(type(number) is int and number >= 0 for number in mark[1:])


def _plain(job: Any) -> Any:
    """A job as its manifest will have it."""
    import json

    return json.loads(json.dumps(job))


def _said(stage: tuple[str, dict[str, Any]]) -> str:
    name, far = stage
    numbers = ", ".join(f"{value:,} {unit}" for unit, value in far.items() if unit != "whole")
    return f"{name} is done" if far["whole"] else f"{name} {numbers}"
