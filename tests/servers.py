"""Real servers for the tests, and for whoever wants to try: each on a free port of this machine alone, in a temporary folder.

Run it, or ``just servers``: it prints the addresses, and stops the servers and removes their data when it is interrupted.
PostgreSQL refuses to run as root: started by root, it runs as the user ``postgres`` of its package, or ``nobody``.
"""

import argparse
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REMEDY = "Debian: apt-get install postgresql redis-server; no server of the system is touched"


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name, *places):
    """Where a program is: the newest of a pattern, or on the path."""
    found = sorted((str(path) for place in places for path in Path("/").glob(place)), reverse=True)
    path = next(iter(found), None) or shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed. {REMEDY}")
    return path


def ordinary_user():
    """Whom to run as instead of root; None for oneself."""
    if os.getuid():
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return known[name]
    raise LookupError("neither a user postgres nor nobody; run this as an ordinary user")


def alive(process):
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Server:
    """A server of its own folder, port and password; it can be killed, and started again on what it had on disk."""

    name = ""

    def __init__(self, *options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix=f"neardup-{self.name}-"))
        self.port, self.password, self.process = free_port(), secrets.token_hex(16), None
        self.prepare()
        self.start()

    def prepare(self):
        """What is done once."""

    def start(self):
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self.as_user()
            )
        deadline = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def as_user(self):
        """Arguments of Popen: a sanitizer is for the process that tests."""
        return {"env": {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}}

    def kill(self):
        """Kill it and all its processes, without notice."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Stop it and remove its data."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """PostgreSQL as an ordinary user, with one database and one role, ``neardup``."""

    name = "postgresql"

    def as_user(self):
        """Arguments of Popen."""
        user, plain = ordinary_user(), super().as_user()
        return plain if user is None else plain | {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def prepare(self):
        """Make the data, with a password."""
        user, secret = ordinary_user(), self.folder / "secret"
        secret.write_text(self.password)
        if user is not None:
            for path in (self.folder, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        self.bin = Path(program("initdb", "usr/lib/postgresql/*/bin/initdb")).parent
        command = [
            self.bin / "initdb",
            "-D",
            self.folder / "data",
            "-U",
            "neardup",
            "--pwfile",
            secret,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "-N",
        ]
        subprocess.run([*command, "--locale=C"], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self.as_user())

    def command(self):
        """What starts it."""
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}", *self.options]
        return [self.bin / "postgres", "-D", self.folder / "data", *(word for setting in settings for word in ("-c", setting))]

    def answers(self):
        """Whether it takes connections."""
        command = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False, env=super().as_user()["env"]).returncode == 0

    def kill(self):
        """Kill it and its processes, each of which has a group of its own; its lock goes too."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split()
        super().kill()
        for child in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + 10  # while one is left, none can be started on the same data
        while any(alive(child) for child in children) and time.monotonic() < deadline:
            time.sleep(0.01)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def url(self, database="postgres", port=None):
        """The address of a database."""
        return f"postgresql://neardup:{self.password}@127.0.0.1:{port or self.port}/{database}"


class Redis(Server):
    """Redis that writes every change to disk before it acknowledges it."""

    name = "redis"

    def prepare(self):
        """Find the program."""
        self.path = program("redis-server", "usr/bin/redis-server")

    def command(self):
        """What starts it."""
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "requirepass": self.password, "appendonly": "yes"}
        settings |= {"appendfsync": "always", "save": "", "enable-debug-command": "local"}
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        return [self.path, *words, *self.options]

    def answers(self):
        """Whether it takes connections."""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
            probe.settimeout(5)
            probe.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            with probe.makefile("rb") as replies:
                return [replies.readline() for _ in range(2)][1] == b"+PONG\r\n"

    def url(self, database=0, port=None):
        """The address of a database."""
        return f"redis://:{self.password}@127.0.0.1:{port or self.port}/{database}"


def main():
    """Start the servers that were named, or both, and wait."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("server", nargs="*", choices=["postgresql", "redis", []], help="which; both by default")
    names = parser.parse_args().server or ["postgresql", "redis"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers = []
    try:
        for kind in (Postgres, Redis):
            if kind.name in names:
                servers.append(kind())
                print(servers[-1].url(), flush=True)
        print("Ctrl-C stops them and removes their data.", file=sys.stderr)
        signal.pause()
    except KeyboardInterrupt:
        pass
    except (FileNotFoundError, LookupError) as error:
        sys.exit(str(error))
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
