#!/bin/sh
# A Dagster code server started with `&` from a script can't be ended by SIGTERM.
#
# Versions:  dagster 1.13.29, Linux.
# Expected:  SIGTERM ends a server, as Dagster's deployment guides rely on (Docker, systemd and Kubernetes send it).
# Seen:      a shell without job control starts background commands with SIGINT ignored (POSIX, "Asynchronous Lists").
#            Dagster makes SIGTERM behave as SIGINT does (`setup_interrupt_handlers`), so SIGTERM is ignored too, here by
#            `dagster api grpc`, and by `dagster code-server start` as well.
# Matters:   start scripts, entry points of containers and tests that run several processes in one shell: a stop waits for
#            its time limit and ends in SIGKILL, or leaves the server behind.
# Way out:   reset SIGINT to its default before the server starts (as below), or start it in the foreground.
# Prints:    whether the server has ended ten seconds after SIGTERM: started by `&` alone, and with SIGINT reset first.
set -eu
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL $server 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29

cd "$work"
printf 'import dagster as dg\n\n\n@dg.asset\ndef events() -> None: ...\n' >definitions.py
mkdir home && printf 'telemetry: {enabled: false}\n' >home/dagster.yaml
export DAGSTER_HOME="$work/home"
venv/bin/dagster --version

ended_by_sigterm() {  # LOG of the server; sets `ended`
    until grep -q 'Started Dagster code server' "$1"; do kill -0 "$server" || exit 1; sleep 1; done
    kill -TERM "$server"
    sleep 10
    if kill -KILL "$server" 2>/dev/null; then ended=no; else ended=yes; fi
    wait "$server" 2>/dev/null || true
    server=
}

venv/bin/dagster api grpc -f definitions.py --socket "$work/plain.socket" >plain.txt 2>&1 &
server=$!
ended_by_sigterm plain.txt
plain=$ended
echo "started by &: ended by SIGTERM: $plain"
reset='import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])'
venv/bin/python -c "$reset" "$work/venv/bin/python" \
    venv/bin/dagster api grpc -f definitions.py --socket "$work/reset.socket" >reset.txt 2>&1 &
server=$!
ended_by_sigterm reset.txt
reset=$ended
echo "SIGINT reset first: ended by SIGTERM: $reset"
[ "$plain $reset" = "no yes" ] || { echo "the behaviour has changed; it was no, yes" >&2; exit 1; }
