#!/bin/sh
# A backfill fails for ever, and its runs are canceled, if the daemon looks at it while its code server is being restarted.
#
# Versions:  dagster 1.13.29, dagster-webserver 1.13.28 (with dagster 1.13.28), Linux.
# Expected:  the backfill waits. The daemon itself says so of another error of the same cause: "Backfill will resume once the
#            code server is available".
# Seen:      a look, every 30 s, loads the workspace. A location that can't be loaded has no assets, so the backfill's assets
#            "existed at storage-time, but no longer do"; that error isn't retried: the backfill becomes FAILING, its runs are
#            canceled, and it ends as FAILED although the code server is back.
# Matters:   every deployment replaces its code server while backfills run: a container of Compose or Kubernetes, a unit.
# Way out:   DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR=1 in the daemon's environment, which is documented nowhere.
# Prints:    the backfill's status before, and after the code server was away for 45 s, without and with that variable.
set -eu
work=$(mktemp -d)
servers=
trap '[ -z "$servers" ] || kill -KILL $servers 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.28 dagster-webserver==1.13.28
cd "$work"
cat >definitions.py <<'PY'
import time

import dagster as dg


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a"]))
def slow() -> None:
    time.sleep(600)
PY
cat >try.py <<'PY'
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

started: list[subprocess.Popen[bytes]] = []


def start(*command: str, **env: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=open("log", "ab"), stderr=subprocess.STDOUT)
    started.append(process)
    return process


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def ask(query: str, **variables: object) -> dict:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{web}/graphql", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["data"]


def code_server() -> subprocess.Popen[bytes]:
    server = start(f"{bin}/dagster", "api", "grpc", "-f", "definitions.py", "-h", "127.0.0.1", "-p", code)
    while subprocess.run([f"{bin}/dagster", "api", "grpc-health-check", "-p", code], capture_output=True).returncode:
        time.sleep(1)
    return server


def status(backfill: str) -> str:
    query = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
    return ask(query, id=backfill)["partitionBackfillOrError"]["status"]


bin, code, web = f"{os.getcwd()}/venv/bin", free_port(), free_port()
with open("workspace.yaml", "w") as file:
    file.write(f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {code}, location_name: it}}\n")
found = []
try:
    for variables in ({}, {"DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1"}):
        server = code_server()
        daemon = start(f"{bin}/dagster-daemon", "run", "-w", "workspace.yaml", **variables)
        if len(started) == 2:
            start(f"{bin}/dagster-webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", web)
        while True:
            try:
                ask("{ version }")
                break
            except OSError:
                time.sleep(1)
        launch = """mutation { launchPartitionBackfill(backfillParams: {assetSelection: [{path: ["slow"]}], partitionNames: ["a"]}) {
            ... on LaunchBackfillSuccess { backfillId } } }"""
        backfill = ask(launch)["launchPartitionBackfill"]["backfillId"]
        time.sleep(45)
        before = status(backfill)
        server.send_signal(signal.SIGKILL)
        time.sleep(45)
        server = code_server()
        time.sleep(45)
        found.append((before, status(backfill)))
        print(variables or "without the variable", *found[-1])
        for process in (server, daemon):
            process.kill()
            process.wait()
finally:
    for process in started:
        process.kill()
first, second = found
sys.exit(0 if first[1] != "REQUESTED" == second[1] else "the behaviour has changed")
PY
mkdir home && printf 'telemetry: {enabled: false}\n' >home/dagster.yaml
export DAGSTER_HOME="$work/home"
venv/bin/python try.py
