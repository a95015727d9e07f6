#!/bin/sh
# A failed run is never retried if its code server doesn't answer at the moment of the retry.
#
# Versions:  dagster 1.13.29, Linux. Long known (Dagster's issues 14605 and 20730).
# Expected:  a new run, once the code server is back: the guide "Configuring run retries" promises one for each run that
#            fails, for any reason.
# Seen:      the daemon tries once, within seconds of the failure. It logs "Failed to retry run", changes the run's tag
#            `dagster/will_retry` to false, and never comes back to it.
# Matters:   a network or a host that fails takes runs and code server together: just the failures that retries are meant
#            for aren't retried. (A server that gets SIGTERM waits for the runs that it started itself.)
# Way out:   none in the configuration. Look for failed runs that have no retry, by a sensor or by hand.
# Prints:    two runs that fail, the second while the code server is away (killed): the tag, and the number of retries,
#            when the server has been back for 20 s.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29

cd "$work"
cat >definitions.py <<'PY'
import time
from pathlib import Path

import dagster as dg


@dg.op
def fail_at_the_sign(context: dg.OpExecutionContext) -> None:
    if context.run.parent_run_id is not None:
        return
    while not Path(context.run_id).exists():
        time.sleep(1)
    raise RuntimeError("as intended")


@dg.job(executor_def=dg.in_process_executor)
def failing() -> None:
    fail_at_the_sign()
PY
cat >try.py <<'PY'
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import dagster as dg

WORKSPACE = ["-w", "workspace.yaml"]
servers: list[subprocess.Popen[bytes]] = []


def start(log: str, *command: str) -> subprocess.Popen[bytes]:
    with open(log, "wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, process_group=0)
    servers.append(server)
    return server


def start_code_server(log: str) -> subprocess.Popen[bytes]:
    server = start(log, "dagster", "api", "grpc", "-f", "definitions.py", "-h", "127.0.0.1", "-p", port)
    wait_for(lambda: "Started Dagster" in Path(log).read_text())
    return server


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not reached() and time.monotonic() < deadline:
        time.sleep(1)


def will_retry(run_id: str) -> str | None:
    return instance.get_run_by_id(run_id).tags.get("dagster/will_retry")


def retries(run_id: str) -> int:
    return sum(run.parent_run_id == run_id for run in instance.get_runs())


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
Path("workspace.yaml").write_text(f"load_from: [grpc_server: {{host: 127.0.0.1, port: {port}}}]\n")
instance = dg.DagsterInstance.get()
runs = [str(uuid.uuid4()) for _ in range(2)]
print(f"dagster {dg.__version__}")
try:
    server = start_code_server("first.txt")
    start("daemon.txt", "dagster-daemon", "run", *WORKSPACE)
    for run in runs:
        launch = ["dagster", "job", "launch", *WORKSPACE, "-j", "failing", "--run-id", run]
        subprocess.run(launch, check=True, capture_output=True)
    wait_for(lambda: all(instance.get_run_by_id(run).status is dg.DagsterRunStatus.STARTED for run in runs))
    Path(runs[0]).touch()
    wait_for(lambda: retries(runs[0]) == 1)
    time.sleep(10)  # its retry has been launched by this server
    server.kill()  # the run goes on: it is a process of its own
    server.wait()
    Path(runs[1]).touch()
    wait_for(lambda: will_retry(runs[1]) == "false")
    start_code_server("second.txt")
    time.sleep(20)
    seen = [(will_retry(run), retries(run)) for run in runs]
    for run, when, found in zip(runs, ["runs", "was killed"], seen, strict=True):
        status = instance.get_run_by_id(run).status.value
        print(f"code server {when}: {status}, will_retry: {found[0]}, retries: {found[1]}")
    errors = [entry.message for entry in instance.all_logs(runs[1]) if "retry" in entry.message]
    print(*errors, sep="\n")
finally:
    for process in reversed(servers):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its runs too
        process.wait()
sys.exit(0 if seen == [("true", 1), ("false", 0)] else "the behaviour has changed")
PY
mkdir home
printf 'telemetry: {enabled: false}\nrun_retries: {enabled: true, max_retries: 1}\n' >home/dagster.yaml
DAGSTER_HOME="$work/home" PATH="$work/venv/bin:$PATH" python try.py
