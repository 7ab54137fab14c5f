"""A line of throughput for each benchmark, below pytest-benchmark's table."""

from __future__ import annotations

import statistics

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--small", action="store_true", help="a tenth of the text and fewer rounds: to see that all works")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Documents and megabytes a second, from the medians."""
    session = getattr(config, "_benchmarksession", None)
    for bench in session.benchmarks if session else ():
        if bench.stats is None or not bench.extra_info.get("documents"):
            continue
        data, documents, size = bench.stats.data, bench.extra_info["documents"], bench.extra_info["bytes"]
        median = statistics.median(data)
        rate = f"{size / median / 1e6:8,.0f} MB/s" if size else " " * 13
        spread = (max(data) - min(data)) / median
        terminalreporter.write_line(f"{bench.name:72} {documents / median:13,.0f} documents/s {rate}  spread {spread:.0%}")
