"""A PostgreSQL server of one's own in a folder, that can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
"""Who runs it where we are root: PostgreSQL refuses to be root."""

USER: Final = "unichunk"
TEMPLATE: Final = "campaign_template"


class PostgresUnavailable(RuntimeError):
    """No server can be started here; says why."""


class PostgresServer:
    """In a temporary folder of its own; listens on a socket there, nowhere else.

    Raises:
        PostgresUnavailable: Where there is none, or it does not start.
    """

    def __init__(self) -> None:
        control = shutil.which("pg_ctl")
        if control is None:
            raise PostgresUnavailable("pg_ctl is not on the path: install PostgreSQL's server")
        self._programs = Path(control).resolve().parent
        # Not in a folder of the caller's: names of sockets are short, and who runs the server has to get there.
        self._folder = folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._data = folder / "data"
        self._databases = 0
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        try:
            self._make()
        except PostgresUnavailable:
            shutil.rmtree(folder)
            raise

    def _make(self) -> None:
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("max_connections = 20\nshared_buffers = 16MB\nlisten_addresses = ''\n")
            # What a killed process wrote stays in the system's memory; waiting for the disk would change nothing but
            # how long recovery takes.
            file.write("fsync = off\n")
            # In its own folder, so that killed servers leave nothing elsewhere.
            file.write("dynamic_shared_memory_type = mmap\n")
            file.write(f"unix_socket_directories = '{self._folder}'\n")
        self.start()

    def url(self, name: str) -> str:
        """Address of a database."""
        return f"postgresql://{USER}@/{name}?host={self._folder}"

    def make_database(self, *, like: str | None = None) -> str:
        """Make another database.

        Args:
            like: Name of one that it is a copy of; None: empty.

        Returns:
            Its name.
        """
        self._databases += 1
        name = f"campaign_{self._databases}"
        template = () if like is None else ("-T", like)
        self._run("createdb", "-h", str(self._folder), "-U", USER, *template, name)
        return name

    def drop_database(self, name: str) -> None:
        """Throw one away."""
        self._run("dropdb", "--force", "-h", str(self._folder), "-U", USER, name)

    def query(self, name: str, sql: str) -> str:
        """What `psql` prints for a statement."""
        return self._run("psql", "-h", str(self._folder), "-U", USER, "-d", name, "-tA", "-c", sql)

    def start(self) -> None:
        """Start it; returns when it answers."""
        log = str(self._folder / "log")
        deadline = time.monotonic() + 30
        while True:
            try:
                self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-t", "30", "start")
            except PostgresUnavailable:
                # Processes of the killed one may still be letting go of its memory.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Kill all of its processes at once, like a power failure; start() recovers."""
        server = int((self._data / "postmaster.pid").read_text().split()[0])
        for process in (server, *_children(server)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """End it; nothing of it is needed any more."""
        try:
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "-t", "10", "stop")
        except PostgresUnavailable:
            with contextlib.suppress(OSError, ValueError):
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self._programs / program), *arguments]
        user = NOBODY if os.geteuid() == 0 else None
        others: list[str | int] | None = None if user is None else []
        # `pg_ctl` hands its output on to the server: a pipe would stay open as long as that runs.
        with (self._folder / "output").open("w+b") as output:
            try:
                done = subprocess.run(  # noqa: S603
                    command,
                    stdout=output,
                    stderr=output,
                    cwd=self._folder,
                    timeout=60,
                    check=False,
                    user=user,
                    group=user,
                    extra_groups=others,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PostgresUnavailable(f"{program}: {error}") from None
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if done.returncode != 0:
            raise PostgresUnavailable(f"{program}: {' '.join(said.split())[-300:]}")
        return said


def _children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # After the command's name, which may hold anything: state, parent.
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found
