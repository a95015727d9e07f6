#!/bin/sh
# Apprise turns an HTML message into text for services without HTML: inline <code> becomes a line of its own, and links lose
# their addresses.
#
# Versions:  apprise 2.3.0.
# Expected:  <code> is inline in HTML, as <b>, <kbd> and <samp> are: a sentence stays one line. The address of a link stays in
#            the text, or the reader can't follow it.
# Seen:      'The backup of orders took 3 min: log.' arrives as three lines, and without the address; the same sentence with <b>,
#            <kbd> or <samp> arrives as one line.
# Matters:   one HTML message for several services reads badly in text messages and in the plain part of a mail, and its links
#            are gone.
# Way out:   ask the service for its format, and send it a text of your own.
# Prints:    what a service without HTML receives.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check apprise==2.3.0

cd "$work" && venv/bin/python - <<'PY'
import http.server
import json
import sys
import threading

import apprise

received: list[str] = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        received.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["message"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
service = apprise.Apprise()
service.add(f"gotify://127.0.0.1:{server.server_port}/abcdefghijklmno")
print(f"apprise {apprise.__version__}, a service that takes text")
for tag in ("code", "b", "kbd", "samp"):
    body = f'The backup of <{tag}>orders</{tag}> took 3 min: <a href="https://example.com/runs/7">log</a>.'
    service.notify(body=body, title="Backup", body_format=apprise.NotifyFormat.HTML)
    print(f"<{tag}>: {received[-1]!r}")
one_line = "The backup of orders took 3 min: log."
seen = ["The backup of\norders\ntook 3 min: log.", one_line, one_line, one_line]
sys.exit(0 if received == seen else "the behaviour has changed")
PY
