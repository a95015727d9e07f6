#!/bin/sh
# Dagster tags a failed run of the command line `dagster/will_retry: true`, although it can never retry it.
#
# Versions:  dagster 1.13.29, `run_retries` enabled in dagster.yaml, daemon running.
# Expected:  the tag indicates that the daemon will launch a retry of the run (Dagster, `_core/storage/tags.py`; the guide
#            "Configuring run retries" promises one for each run that fails).
# Seen:      `dagster asset materialize` and `execute_in_process` make runs that have no remote origin. The daemon needs
#            it to start a retry, so it skips them; the tag was set when the run failed, and stays. The same asset in a run
#            of `dagster job launch` is retried.
# Matters:   an alert on final failures is never sent, and a sensor that skips what will be retried skips it for ever.
# Way out:   believe the tag only if `run.remote_job_origin` is set.
# Prints:    each run: whether it has an origin, its tag, and whether a retry of it exists.
set -eu
work=$(mktemp -d)
daemon=
stop() {
    if [ -n "$daemon" ] && kill -INT "$daemon" 2>/dev/null; then wait "$daemon" || true; fi
    rm -rf "$work"
}
trap stop EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29

cd "$work"
cat >definitions.py <<'PY'
import dagster as dg


@dg.asset
def failing() -> None:
    raise RuntimeError("as intended")


defs = dg.Definitions(assets=[failing], jobs=[dg.define_asset_job("failing_job", selection=[failing])])
PY
mkdir home
printf 'telemetry: {enabled: false}\nrun_retries: {enabled: true, max_retries: 1}\n' >home/dagster.yaml
export DAGSTER_HOME="$work/home"
venv/bin/python -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$work/venv/bin/python" venv/bin/dagster-daemon run -f definitions.py >daemon.txt 2>&1 &
daemon=$!
until grep -q 'Instance is configured' daemon.txt; do kill -0 $daemon || exit 1; sleep 1; done
sleep 10  # the daemon begins at the events that are new then
venv/bin/dagster job launch -f definitions.py -j failing_job >launch.txt 2>&1 &
venv/bin/dagster asset materialize -f definitions.py --select failing >materialize.txt 2>&1 || true

venv/bin/python - <<'PY'
import sys
import time

import dagster as dg

print(f"dagster {dg.__version__}")
with dg.DagsterInstance.get() as instance:
    deadline = time.monotonic() + 120
    while len(instance.get_runs()) < 3 and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(12)  # two more rounds of the daemon
    runs = instance.get_runs()
    retried = {run.parent_run_id for run in runs}
    seen = set()
    for run in runs:
        if run.parent_run_id is None:
            found = (run.remote_job_origin is not None, run.tags.get("dagster/will_retry"), run.run_id in retried)
            seen.add(found)
            print(f"origin: {found[0]}, will_retry: {found[1]}, retried: {found[2]}, status: {run.status.value}")
expected = {(True, "true", True), (False, "true", False)}
sys.exit(0 if seen == expected else f"the behaviour has changed; it was {expected}")
PY
