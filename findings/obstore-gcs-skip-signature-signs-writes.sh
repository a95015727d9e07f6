#!/bin/sh
# obstore's skip_signature for Google Cloud Storage holds for reads only: put and delete fetch a token and sign.
#
# Versions:  obstore 0.12.1.
# Expected:  the type of the setting says that no credentials are fetched and no request is signed (obstore, API
#            reference, GCSConfig, `skip_signature` and GOOGLE_SKIP_SIGNATURE).
# Seen:      get and head are unsigned. The first put fetches a token from the metadata server of Google's machines and
#            sends it; delete is signed with it too. Elsewhere there is no such server, so writes fail after retries.
# Matters:   an emulator, or a bucket that takes anonymous writes, can be read but not written, and the error names a server
#            that was never configured. On a Google machine its token is sent although no credentials were wanted.
# Way out:   a service account JSON with `disable_oauth: true`, or GOOGLE_BEARER_TOKEN with any text.
# Prints:    what a local server, which stands in for the store and for the metadata server, was asked per operation.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check obstore==0.12.1

cd "$work" && venv/bin/python - <<'PY'
import http.server
import json
import os
import sys
import threading

import obstore
from obstore.store import GCSStore

print(f"obstore {obstore.__version__}")
asked: list[str] = []


class Server(http.server.BaseHTTPRequestHandler):
    def answer(self) -> None:
        is_token = self.path.startswith("/computeMetadata")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed = "signed" if self.headers.get("Authorization") else "unsigned"
        asked.append("token from the metadata server" if is_token else f"{self.command} {signed}")
        body = json.dumps({"access_token": "t", "expires_in": 3600}).encode() if is_token else b""
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Sun, 01 Mar 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = answer

    def log_message(self, *_: object) -> None: ...


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_address[1]}"
os.environ["GCE_METADATA_HOST"] = os.environ["GCE_METADATA_IP"] = address
config = {"skip_signature": True, "base_url": f"http://{address}"}
store = GCSStore("bucket", config=config, client_options={"allow_http": True})
seen = {}
for name, operation in {
    "get": lambda: obstore.get(store, "key"),
    "head": lambda: obstore.head(store, "key"),
    "put": lambda: obstore.put(store, "key", b"x", use_multipart=False),
    "delete": lambda: obstore.delete(store, "key"),
}.items():
    asked.clear()
    operation()
    seen[name] = ", ".join(asked)
    print(f"{name:8}{seen[name]}")
expected = ["GET unsigned", "HEAD unsigned", "token from the metadata server, PUT signed", "DELETE signed"]
sys.exit(0 if list(seen.values()) == expected else f"the behaviour has changed; it was {expected}")
PY
