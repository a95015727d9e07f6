#!/bin/sh
# An asset backfill fails for good, and its runs are canceled, if the daemon looks at it while the code server is away.
#
# Versions:  dagster 1.13.29, dagster-graphql 1.13.29, Linux. Long known (Dagster's issues 18640 and 28204).
# Expected:  the backfill waits. The daemon announces that for another error of the same cause: it "will resume once the code
#            server is available".
# Seen:      some 10 s without a server, and the workspace has no assets of that location. The next look, one every 30 s,
#            finds that the backfill's assets "existed at storage-time, but no longer". That error isn't retried: the
#            backfill fails and its queued runs are canceled, although the server comes back.
# Matters:   every deployment replaces its code server while backfills run, and an import of some seconds is enough.
# Way out:   DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR=1 in the daemon's environment. The documentation doesn't have it.
# Prints:    a backfill and its run before the server is stopped, and after it was away for one look: without and with that
#            variable. The run only waits in the queue, which starts nothing here.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29 dagster-graphql==1.13.29

cd "$work"
cat >definitions.py <<'PY'
import dagster as dg


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a"]))
def events() -> None: ...
PY
cat >backfill.graphql <<'GRAPHQL'
mutation {
  launchPartitionBackfill(backfillParams: {assetSelection: [{path: ["events"]}], partitionNames: ["a"]}) { __typename }
}
GRAPHQL
cat >try.py <<'PY'
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

signal.signal(signal.SIGINT, signal.default_int_handler)  # so that servers heed SIGTERM, however this was started
HOMES = {"without": {}, "with": {"DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1"}}
SOUND = "REQUESTED", ["QUEUED"]
WORKSPACE = ["-w", "workspace.yaml"]
servers: list[subprocess.Popen[bytes]] = []


def start(log: str, *command: str, **variables: str) -> subprocess.Popen[bytes]:
    with open(log, "wb") as output:
        server = subprocess.Popen(command, env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT)
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


def state(name: str) -> tuple[str, list[str]]:
    return instances[name].get_backfills()[0].status.value, [run.status.value for run in instances[name].get_runs()]


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
Path("workspace.yaml").write_text(f"load_from: [grpc_server: {{host: 127.0.0.1, port: {port}}}]\n")
for name in HOMES:
    Path(name).mkdir()
    Path(name, "dagster.yaml").write_text(
        "telemetry: {enabled: false}\nconcurrency: {runs: {max_concurrent_runs: 0}}\n"
    )
instances = {name: dg.DagsterInstance.from_config(str(Path(name).absolute())) for name in HOMES}
print(f"dagster {dg.__version__}")
try:
    server = start_code_server("first.txt")
    for name, variables in HOMES.items():
        home = {"DAGSTER_HOME": str(Path(name).absolute())}
        launch = ["dagster-graphql", *WORKSPACE, "--file", "backfill.graphql"]
        subprocess.run(launch, env=os.environ | home, check=True, stdout=subprocess.DEVNULL)
        start(f"{name}.txt", "dagster-daemon", "run", *WORKSPACE, **home, **variables)
    wait_for(lambda: all(state(name) == SOUND for name in HOMES))
    before = {name: state(name) for name in HOMES}
    server.terminate()
    server.wait()
    wait_for(lambda: all("no longer does" in Path(f"{name}.txt").read_text() for name in HOMES))
    start_code_server("second.txt")
    wait_for(lambda: state("without")[0] == "FAILED")
    after = {name: state(name) for name in HOMES}
    for name in HOMES:
        print(f"{name} the variable: {before[name]}, after the restart: {after[name]}")
    print(re.findall("Asset AssetKey.*", Path("without.txt").read_text())[-1])
    changed = before != dict.fromkeys(HOMES, SOUND) or after != {"without": ("FAILED", ["CANCELED"]), "with": SOUND}
finally:
    for process in servers:
        process.kill()
        process.wait()
sys.exit("the behaviour has changed" if changed else 0)
PY
PATH="$work/venv/bin:$PATH" python try.py
