"""An S3-compatible server (moto) in its own process on 127.0.0.1, with a bucket and injectable faults.

    with object_server() as server:
        root = server.root("prefix")   # s3://bucket/prefix
        command(env={**env, **server.env})
        with server.exported():        # the same variables in this process
            open_store(root)

It ends with the block, or with the process that started it. Objects are kept in its memory.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

BUCKET = "lake"
SECRET = "not-a-secret-9f3c"
KEY_ID = "AKIAMADEUP7"
_CONTROL = "/_control"
_PROVIDERS = ("AWS_", "GOOGLE_", "AZURE_")


@dataclass(frozen=True)
class ObjectServer:
    """A running server."""

    url: str
    pid: int

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead to it and override the machine's."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    def root(self, prefix: str = "") -> str:
        return f"s3://{BUCKET}/{prefix}".rstrip("/")

    @contextmanager
    def exported(self, **more: str) -> Iterator[None]:
        """Its variables in this process's environment, in place of all that the libraries read."""
        with exported({**self.env, **more}):
            yield

    def fail(self, match: str, status: int = 503, *, code: str = "SlowDown", times: int = 1_000_000, **how: Any) -> None:
        """Answer the next `times` requests whose line holds `match` with an error.

        `after=True` executes them nevertheless; `seconds=…` delays them; `drop=True` ignores their preconditions and answers
        normally.
        """
        fault = {"match": match, "status": status, "code": code, "times": times, **how}
        requests.post(self.url + _CONTROL, json=fault, timeout=10).raise_for_status()

    def heal(self) -> None:
        """Forget all faults, and the requests seen so far."""
        requests.delete(self.url + _CONTROL, timeout=10).raise_for_status()

    def requests(self) -> list[str]:
        """Lines like `GET /lake/key?query bytes=0-99 by AKIA…/20260302/eu-central-1/s3` of the requests seen, in order."""
        found: list[str] = requests.get(self.url + _CONTROL, timeout=10).json()
        return found

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """A block in which it accepts connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def unfinished_uploads(self) -> list[str]:
        """Keys of multipart uploads that were neither completed nor aborted."""
        return [upload["Key"] for upload in client(self).list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def client(server: ObjectServer) -> Any:
    """A boto3 client, independent of the code under test."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )


@contextmanager
def exported(variables: dict[str, str]) -> Iterator[None]:
    """`variables` in this process's environment, in place of all that object stores' libraries read."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_PROVIDERS) or name in variables}
    for name in kept:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(kept)


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """A new server with an empty bucket."""
    command = [sys.executable, "-P", __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            server = ObjectServer(process.stdout.readline().strip(), process.pid)
            place = {"LocationConstraint": "eu-central-1"}
            client(server).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
            server.heal()
            yield server
        finally:
            process.kill()


class _FaultyApp:
    """moto behind a gate that records requests and makes some fail."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self._lock = threading.Lock()
        self._seen: list[str] = []
        self._faults: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        from werkzeug.wrappers import Request, Response

        if environ["PATH_INFO"] == _CONTROL:
            return self._controlled(Request(environ), Response)(environ, start)
        line = _line(environ)
        with self._lock:
            self._seen.append(line)
            fault = next((one for one in self._faults if one["match"] in line and one["times"] > 0), {})
            fault.update({"times": fault["times"] - 1} if fault else {})
        time.sleep(fault.get("seconds", 0))
        if fault.get("drop"):
            environ = {name: value for name, value in environ.items() if name not in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")}
        if not fault or fault.get("after") or fault.get("drop"):
            with self._lock:  # moto checks a precondition and puts without a lock in between
                answer = list(self._moto(environ, start if not fault.get("after") else lambda *_: None))
            if not fault.get("after"):
                return answer
        body = (
            f"<Error><Code>{fault['code']}</Code><Message>Injected.</Message><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>"
        )
        return Response(body, status=fault["status"], content_type="application/xml")(environ, start)

    def _controlled(self, request: Any, response: Any) -> Any:
        with self._lock:
            if request.method == "POST":
                self._faults.append(request.get_json())
            elif request.method == "DELETE":
                self._faults.clear()
                self._seen.clear()
            return response(json.dumps(self._seen), content_type="application/json")


def _line(environ: dict[str, Any]) -> str:
    signed = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/aws4_request")[0]
    target = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
    return f"{target} {environ.get('HTTP_RANGE', '')} by {signed}"


def _serve() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: object) -> None:
            pass

    app = _FaultyApp(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the parent process ends


if __name__ == "__main__":
    _serve()
