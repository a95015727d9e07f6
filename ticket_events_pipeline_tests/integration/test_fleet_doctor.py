"""`ticket-events doctor --fleet` with the files of deploy/celery: of a healthy fleet, and of each thing that is wrong."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.code_server import fingerprint_of, write_code_server
from ticket_events_pipeline.defs import fleet_instance
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import load_settings
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline_tests.support.checkout import CHECKOUT, DAGSTER_YAML
from ticket_events_pipeline_tests.support.commands import BIN, COMMAND
from ticket_events_pipeline_tests.support.object_server import exported, object_server
from ticket_events_pipeline_tests.support.services import PASSWORD, free_port, postgres, redis

DEPLOY = CHECKOUT / "deploy" / "celery"
START_SECONDS = 90


@dataclass(frozen=True)
class Host:
    """A host of a fleet: a home with the fleet's dagster.yaml, and its variables."""

    home: Path
    variables: dict[str, str]

    def doctor(self, **more):
        """The findings by check, each as (status, text), and how many seconds they took."""
        begun_at = time.monotonic()
        with exported({**self.variables, **more}):
            ended = CliRunner().invoke(commands, ["doctor", "--fleet", "--json"])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), repr(ended.exception)
        assert PASSWORD not in ended.output
        found = {}
        for finding in json.loads(ended.stdout):
            found.setdefault(finding["check"], []).append((finding["status"], finding["text"], finding["fix"]))
        assert ended.exit_code == int(any(one[0] == "FAIL" for several in found.values() for one in several))
        return found, time.monotonic() - begun_at

    def write(self, text):
        (self.home / "dagster.yaml").write_text(text)


def failures(found):
    return {check: text for check, several in found.items() for status, text, _ in several if status == "FAIL"}


def statuses(found, *checks):
    return {check: [status for status, _, _ in found.get(check, [])] for check in checks}


@contextmanager
def fleet(folder):
    """Postgres, Redis with the shipped settings, a bucket and an account, without a worker."""
    settings = [line.split() for line in (DEPLOY / "redis.conf").read_text().splitlines() if line and not line.startswith("#")]
    options = [part for name, *values in settings for part in (f"--{name}", *values)]
    home = folder / "home"
    home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home)
    with ExitStack() as running:
        database = running.enter_context(postgres(folder))
        broker = running.enter_context(redis(folder, *options))
        bucket = running.enter_context(object_server())
        account = running.enter_context(SandboxServer(SimulatedAccount(), requests_per_minute=1000))
        yield Host(
            home,
            {
                "DAGSTER_HOME": str(home),
                **database.env,
                **bucket.env,
                "CELERY_BROKER_URL": f"{broker}/0",
                "CELERY_RESULT_BACKEND": f"{broker}/1",
                "DAGSTER_LOGS_BUCKET": "lake",
                "DAGSTER_LOGS_PREFIX": "logs",
                "DAGSTER_LOGS_FOLDER": str(folder / "logs"),
                "DAGSTER_EVENT_BATCH_SIZE": "1000",
                "ZENDESK_BASE_URL": account.base_url,
                "ZENDESK_OAUTH_TOKEN": "sandbox",
                "ZENDESK_REQUESTS_PER_MINUTE": "1000",
                "TICKET_EVENTS_ROOT": bucket.root("acme"),
                "TICKET_EVENTS_START_DATE": "2026-01-01",
            },
        )


@contextmanager
def worker(host, folder):
    """A worker as the shipped unit starts it, once it answers."""
    command = [
        BIN / "dagster-celery",
        "worker",
        "start",
        "-A",
        "dagster_celery.app",
        "-y",
        DEPLOY / "celery.yaml",
        "-n",
        "fetch",
    ]
    env = {"PATH": f"{BIN}{os.pathsep}{os.defpath}", "PYTHONPATH": str(CHECKOUT), "HOME": str(folder), **host.variables}
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [*map(str, command), "--", "--concurrency=1"], env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        begun_at = time.monotonic()
        while b" ready." not in (folder / "worker.log").read_bytes():
            assert process.poll() is None
            assert time.monotonic() - begun_at < START_SECONDS
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=START_SECONDS)


def make_tables(host):
    """As the first of Dagster's services does."""
    with exported(host.variables), dg.DagsterInstance.from_config(str(host.home)):
        pass


def announce(host):
    """As the code server's sensor does."""
    with exported(host.variables):
        settings = load_settings(os.environ)
        write_code_server(open_store(settings.root), fingerprint_of(settings), now=time.time())


@pytest.mark.slow
def test_the_doctor_of_a_fleet_says_what_works_and_what_to_fix(tmp_path):
    with fleet(tmp_path) as host:
        shipped = (host.home / "dagster.yaml").read_text()
        make_tables(host)
        lonely, _ = host.doctor()
        assert list(failures(lonely)) == ["workers"], failures(lonely)
        assert lonely["code_server"][0][0] == "note"
        announce(host)
        with worker(host, tmp_path):
            well, _ = host.doctor()
            assert failures(well) == {}
            checks = ("code_server", "clock", "store_clock", "shared_root", "storage", "broker", "workers", "result_backend")
            assert statuses(well, *checks) == {check: ["ok"] for check in checks}
            assert "fetch@" in well["workers"][0][1]
            assert statuses(well, "event_batch", "result_expires") == {"event_batch": [], "result_expires": []}
            apart, _ = host.doctor(TICKET_EVENTS_TIMEZONE="Europe/Berlin", DAGSTER_EVENT_BATCH_SIZE="")
            assert failures(apart) == {
                "code_server": "TICKET_EVENTS_TIMEZONE is Europe/Berlin here and UTC on the code server "
                f"({socket.gethostname()})"
            }
            assert statuses(apart, "event_batch") == {"event_batch": ["note"]}
        refused, _ = host.doctor(DAGSTER_PG_USERNAME="nobody")
        assert 'password authentication failed for user "nobody"' in failures(refused)["dagster_home"]
        host.write(shipped.replace("postgresql+psycopg2", "postgresql"))
        driverless, _ = host.doctor()
        assert "for psycopg 3, which isn't installed" in failures(driverless)["dagster_home"]
        assert driverless["dagster_home"][0][2] == "Set scheme: postgresql+psycopg2 below postgres_db in dagster.yaml."
        coordinator = "run_coordinator: {module: dagster.core.run_coordinator, class: QueuedRunCoordinator, config: "
        host.write(f"{shipped}\n{coordinator}{{max_concurrent_runs: 10}}}}\n")
        contradicting, _ = host.doctor()
        assert "incompatible with the `concurrency > runs` config" in failures(contradicting)["dagster_home"]
        assert "The code server starts with it" in failures(contradicting)["dagster_home"]
        host.write(shipped.replace("max_concurrent_runs: 8", "max_concurrent_runs: many"))
        wrong, _ = host.doctor()
        assert "wrong settings at root:concurrency:runs:max_concurrent_runs" in failures(wrong)["dagster_home"]


@pytest.mark.slow
def test_what_does_not_answer_is_given_up_within_seconds(tmp_path):
    """A server that accepts a connection and stays silent is the worst: nothing refuses, and nothing ends."""
    with fleet(tmp_path) as host, socket.create_server(("127.0.0.1", 0)) as silent:
        make_tables(host)
        port = silent.getsockname()[1]
        deaf, seconds = host.doctor(CELERY_BROKER_URL=f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
        assert f"broker: redis://127.0.0.1:{port}/0 can't be reached" in failures(deaf)["broker"]
        assert seconds < 45
        gone, _ = host.doctor(CELERY_BROKER_URL=f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
        assert "(Connection refused)" in failures(gone)["broker"]
        nowhere, seconds = host.doctor(DAGSTER_PG_PORT=str(free_port()))
        assert "(Connection refused)" in failures(nowhere)["dagster_home"]
        assert seconds < 45
        hung, seconds = host.doctor(DAGSTER_PG_PORT=str(port))
        assert f"Postgres doesn't answer at 127.0.0.1:{port} (timed out)" in failures(hung)["dagster_home"]
        assert seconds < 45
        assert statuses(hung, "broker", "workers", "shared_root") == {
            "broker": ["ok"],
            "workers": ["FAIL"],
            "shared_root": ["ok"],
        }


@contextmanager
def mute_postgres():
    """The port of a server that greets as Postgres does, and then says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def greet():
            with suppress(OSError):  # the block has ended
                while True:
                    connection, _ = server.accept()
                    kept.append(connection)
                    connection.recv(8)
                    connection.sendall(b"N")

        threading.Thread(target=greet, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in kept:
                connection.close()


@pytest.mark.slow
def test_a_database_that_falls_silent_is_named_and_the_broker_is_tried_nevertheless(tmp_path, monkeypatch):
    monkeypatch.setattr(fleet_instance, "OPEN_SECONDS", 10.0)
    with fleet(tmp_path) as host, mute_postgres() as port:
        found, _ = host.doctor(DAGSTER_PG_PORT=str(port))
    silent = f"Dagster can't open {host.home}: Postgres at 127.0.0.1:{port} doesn't answer: nothing within 10 s"
    assert silent in failures(found)["dagster_home"]
    assert statuses(found, "broker", "workers") == {"broker": ["ok"], "workers": ["FAIL"]}


@pytest.mark.slow
def test_the_time_for_an_answer_does_not_include_importing_libraries(tmp_path, monkeypatch):
    (tmp_path / "own_launcher.py").write_text(
        "import threading, dagster\nclass Launcher(dagster.DefaultRunLauncher): ...\nIMPORTED_IN = threading.current_thread()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("run_launcher: {module: own_launcher, class: Launcher}")
    host = Host(tmp_path, {"DAGSTER_HOME": str(tmp_path), "TICKET_EVENTS_ROOT": str(tmp_path / "root")})
    found, _ = host.doctor()
    assert found["launcher"][0][1].startswith("run launcher: Launcher")
    assert sys.modules.pop("own_launcher").IMPORTED_IN is threading.main_thread()  # what is timed runs in another one


@pytest.mark.slow
def test_all_that_needs_no_request_is_said_before_zendesk_is_asked(tmp_path):
    """While backfills use up the quota, the account's checks wait for minutes."""
    shutil.copy(DAGSTER_YAML, tmp_path)
    with SandboxServer(SimulatedAccount(), requests_per_minute=1) as account:
        host = Host(
            tmp_path,
            {
                "DAGSTER_HOME": str(tmp_path),
                "ZENDESK_BASE_URL": account.base_url,
                "ZENDESK_OAUTH_TOKEN": "sandbox",
                "TICKET_EVENTS_ROOT": str(tmp_path / "root"),
            },
        )
        env = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "HOME": str(tmp_path), **host.variables}
        program = [sys.executable, "-c", COMMAND, "doctor", "--fleet"]
        with subprocess.Popen(program, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            try:
                said = [line[6:] for line in takewhile(lambda line: "run launcher: " not in line, process.stdout)]
                assert len(account.requests) <= 1  # the second one waits for a minute
                assert process.poll() is None
            finally:
                process.kill()
    for words in ("DAGSTER_HOME: ", "root: ", "code server: ", "TICKET_EVENTS_ROOT ", "storage: "):
        assert any(line.startswith(words) for line in said), said


@pytest.mark.slow
def test_a_home_of_one_machine_is_no_fleet(tmp_path):
    shutil.copy(DAGSTER_YAML, tmp_path)
    with SandboxServer(SimulatedAccount()) as account:
        root = str(tmp_path / "root")
        token = {"ZENDESK_BASE_URL": account.base_url, "ZENDESK_OAUTH_TOKEN": "sandbox", "TICKET_EVENTS_ROOT": root}
        host = Host(tmp_path, {"DAGSTER_HOME": str(tmp_path), **token})
        found, _ = host.doctor()
        assert failures(found) == {"storage": "storage: Dagster keeps its runs in SQLite, which one machine alone can use"}
        assert "a disk of this machine" in found["shared_root"][0][1]
        assert found["launcher"][0][0] == "note"
        unset, _ = host.doctor(DAGSTER_HOME="")
        assert "DAGSTER_HOME is not set to a folder" in failures(unset)["storage"]
        host.write("storage: {postgres: {postgres_db: {hostname: {env: NOT_SET_HERE}}}}")
        missing, _ = host.doctor()
        assert "refers to variables that are not set: NOT_SET_HERE" in failures(missing)["dagster_home"]
