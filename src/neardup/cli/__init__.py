"""The command line: what the library does, on files."""

from __future__ import annotations

import sys

try:
    import io
    import os
    import signal
    import traceback
    from typing import Annotated, Any

    import typer

    import neardup
    from neardup.cli import corpus, judging, keeping  # noqa: F401  they make the commands
    from neardup.cli.jobs import app
    from neardup.cli.terminal import complain, note
    from neardup.errors import NearDupError
except KeyboardInterrupt:  # Ctrl-C already; the commands load what is heavier
    sys.exit(130)


@app.callback(invoke_without_command=True)
def options(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Near-duplicate text detection: raw text in, verified near-duplicates out.

    Start with one of these:
      neardup pairs FOLDER
      neardup dedup news.jsonl -o clean.jsonl

    COMMAND --help says the rest.
    """
    if version:
        typer.echo(f"neardup {neardup.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def stop(number: int, _frame: object) -> None:
    """Leave on a signal; what is half written is removed on the way, and a second signal does not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line: 0 done, 1 found where asked to fail, 2 wrong use or unreadable input, 130 interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  as long as the process
    streams = sys.stdout, sys.stderr
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code: Any = 2
    try:
        app()
    except SystemExit as leaving:  # whoever reads a broken pipe has seen enough
        code = 0 if isinstance(leaving.__context__, BrokenPipeError) else leaving.code
        if isinstance(code, int) and code > 128:
            left = getattr(leaving, "left", "")
            note("neardup: interrupted" + (f"; {left}" if left else ""))
    except (NearDupError, OSError, MemoryError) as error:
        complain(error)
    except Exception:  # noqa: BLE001  a defect, and no duplicates: those are 1
        for line in traceback.format_exc().splitlines():
            note(line)
        complain("a defect of neardup; please report it, with the lines above")
    for stream in streams:
        try:
            stream.flush()
        except OSError:  # noqa: PERF203  what is left goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
