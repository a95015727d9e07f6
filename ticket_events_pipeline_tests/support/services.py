"""PostgreSQL and Redis of Debian's packages, each in its own process on 127.0.0.1 with files of its own.

    with postgres(folder) as server:
        variables = server.env                       # DAGSTER_PG_HOST, ..., as the files in deploy/ read them
        server.value("SELECT count(*) FROM runs")
    with redis(folder) as url: ...                   # redis://127.0.0.1:PORT

Both end with the block. PostgreSQL refuses to run as root: then it runs as the user `postgres`, which its package makes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "not-a-secret-pg"
_START_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A running server with an empty database `dagster`."""

    port: int

    @property
    def env(self) -> dict[str, str]:
        """The variables of the files in deploy/."""
        return {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(self.port),
            "DAGSTER_PG_USERNAME": "dagster",
            "DAGSTER_PG_PASSWORD": PASSWORD,
            "DAGSTER_PG_DB": "dagster",
        }

    @property
    def celery_results(self) -> str:
        """The address at which Celery keeps its results in the database."""
        return f"db+postgresql+psycopg2://dagster:{PASSWORD}@127.0.0.1:{self.port}/dagster"

    def value(self, query: str) -> str:
        """The one value that a query returns, as text."""
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "dagster", "-d", "dagster", "-tAc", query]
        env = {**os.environ, "PGPASSWORD": PASSWORD}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def transactions(self) -> int:
        """How many transactions were committed in the database so far, those that only read included."""
        time.sleep(1.1)  # a backend reports its counts once a second
        return int(self.value("SELECT xact_commit FROM pg_stat_database WHERE datname = 'dagster'"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A server that logs into `folder`; skips the test where the package isn't installed.

    Its files lie elsewhere: each pytest that starts closes the folder above all others to other users, and the server runs as
    one.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    with tempfile.TemporaryDirectory(prefix="ticket-events-postgres-") as own:
        if as_user:
            shutil.chown(own, "postgres", "postgres")
        data, port = _new_cluster(Path(own), [*as_user, str(programs[-1] / "initdb")]), free_port()
        options = [
            "-D",
            str(data),
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
        ]
        with (folder / "postgres.log").open("wb") as log:
            process = subprocess.Popen([*as_user, str(programs[-1] / "postgres"), *options], stdout=log, stderr=log, cwd="/")
            try:
                _wait_for_port(port, process)
                server = Postgres(port)
                _create_database(server)
                yield server
            finally:
                process.terminate()
                process.wait(timeout=_START_SECONDS)


def _new_cluster(own: Path, initdb: list[str]) -> Path:
    """Where the files of a new cluster lie."""
    (secret := own / "password").write_text(PASSWORD)
    secret.chmod(0o644)
    account = ["-U", "dagster", "-A", "scram-sha-256", f"--pwfile={secret}"]
    command = [*initdb, "-D", str(own / "data"), *account, "--encoding=UTF8", "--locale=C"]
    subprocess.run(command, check=True, capture_output=True, cwd="/")
    return own / "data"


@contextmanager
def redis(folder: Path, *options: str) -> Iterator[str]:
    """The URL of a server whose files lie below `folder`, without a database number; `options` as on its command line."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed (apt-get install redis-server)")
    data, port = folder / "redis", free_port()
    data.mkdir()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), *options]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for_port(port, process)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    begun_at = time.monotonic()
    while time.monotonic() - begun_at < _START_SECONDS:
        assert process.poll() is None, f"{process.args} has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"{process.args} doesn't listen on {port}")


def _create_database(server: Postgres) -> None:
    command = ["createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", "dagster", "dagster"]
    begun_at = time.monotonic()
    while True:
        ended = subprocess.run(command, env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            return
        if time.monotonic() - begun_at > _START_SECONDS or "starting up" not in ended.stderr:
            raise AssertionError(ended.stderr)
        time.sleep(0.2)
