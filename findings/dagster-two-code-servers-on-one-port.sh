#!/bin/sh
# A second Dagster code server on a port that is taken starts without an error, and calls alternate between the two.
#
# Versions:  dagster 1.13.29, grpcio as pip resolves it, Linux.
# Expected:  an error, "address already in use" (Dagster, guide "Workspace file", gives each gRPC server a port of its own
#            and mentions no sharing).
# Seen:      gRPC sets SO_REUSEPORT by default and Dagster leaves it on, so the kernel hands each new connection to either.
#            Both log that they have started. Each connection is answered by one or the other: other definitions, another
#            server id, so the webserver and the daemon reload the code location again and again.
# Matters:   a server left over from the last deployment, or one port used for two code locations: the UI shows the assets
#            of one version or the other by chance, and runs start with either.
# Way out:   ask `dagster api grpc-health-check -p PORT` before the start, or use a socket.
# Prints:    what the two servers log, and which file's definitions 40 new connections were given.
set -eu
work=$(mktemp -d)
first=
second=
trap '[ -z "$first$second" ] || kill -KILL $first $second 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29

cd "$work"
for name in old new; do
    printf 'import dagster as dg\n\n\n@dg.job\ndef %s_job() -> None: ...\n' $name >$name.py
done
mkdir home && printf 'telemetry: {enabled: false}\n' >home/dagster.yaml
export DAGSTER_HOME="$work/home"
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/dagster --version
venv/bin/dagster api grpc -f old.py -h 127.0.0.1 -p "$port" >old.txt 2>&1 &
first=$!
until grep -q 'Started Dagster' old.txt; do kill -0 $first || exit 1; sleep 1; done
venv/bin/dagster api grpc -f new.py -h 127.0.0.1 -p "$port" >new.txt 2>&1 &
second=$!
until grep -q 'Started Dagster' new.txt; do kill -0 $second || exit 1; sleep 1; done
sed 's/.*INFO[^-]*- //' old.txt new.txt

venv/bin/python - "$port" <<'PY'
import collections
import sys

from dagster._grpc.client import DagsterGrpcClient

seen: collections.Counter[str] = collections.Counter()
for _ in range(40):
    listed = DagsterGrpcClient(host="127.0.0.1", port=int(sys.argv[1])).list_repositories()
    seen["old.py" if "old.py" in listed else "new.py"] += 1
print(dict(seen))
sys.exit(0 if len(seen) == 2 else "the behaviour has changed: one server answers")
PY
