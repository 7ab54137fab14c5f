"""What all tests share: how hypothesis runs, and what a test measured, in the summary."""

import os
import shutil
from pathlib import Path

import pytest
import servers
from datasketch_environments import Conversation, python_of
from hypothesis import HealthCheck, settings

# A busy machine is no defect; CI is to give one answer for one commit.
settings.register_profile("default", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.register_profile("prove", deadline=None, max_examples=100_000, suppress_health_check=list(HealthCheck))
settings.load_profile("default")


#: What type checkers read.
collect_ignore = ["typing"]


def need(command):
    """Skip a test where a command is missing that Debian has a package of; but on continuous integration it fails."""
    if shutil.which(command) is None:
        if "CI" in os.environ:
            pytest.fail(f"{command} is missing: install it, on Debian: apt-get install {command}")
        pytest.skip(f"needs {command}: on Debian: apt-get install {command}")


def running(kind, *options):
    """A server for as long as a fixture lasts; a test that has none is skipped, but on continuous integration it fails."""
    try:
        server = kind(*options)
    except (FileNotFoundError, LookupError) as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL that need not outlive a loss of power, with the schema made."""
    from neardup.stores.postgres import migrate

    for server in running(servers.Postgres, "fsync=off"):
        migrate(server.url())
        yield server


@pytest.fixture(scope="session")
def redis():
    """A Redis."""
    yield from running(servers.Redis)


@pytest.fixture(scope="session")
def ask(request):
    """``ask(version, do, **request)``: the answer of a version of datasketch, in an environment of its own."""
    folder, begun = Path(request.config.cache.mkdir("datasketch")), {}

    def ask(version, do, **request):
        if version not in begun:
            begun[version] = Conversation(python_of(version, folder))
        return begun[version].ask(do, **request)

    yield ask
    for conversation in begun.values():
        conversation.close()


def pytest_terminal_summary(terminalreporter):
    """Print what tests recorded by ``record_property``: a proof is its numbers."""
    reports = [report for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed") if report.user_properties]
    if reports:
        terminalreporter.section("measured")
    for report in reports:
        values = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        terminalreporter.line(f"{report.nodeid}: {values}")


def pytest_report_header() -> str:
    """Whether the tests on real texts run, which are not part of the project."""
    shared = Path(__file__).parents[2] / "shared"
    there = [name for name in ("seeds", "data/reuters-21578", "prototype") if (shared / name).is_dir()]
    return f"real texts in ../shared: {', '.join(there) or 'none, the tests that need them are skipped'}"
