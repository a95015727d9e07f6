"""An object store's server in its own process on 127.0.0.1, with a bucket and injectable faults.

    with object_server("s3") as server:
        root = server.root("prefix")   # s3://bucket/prefix
        command(env={**env, **server.env})
        with server.exported():        # the same variables in this process
            open_store(root)

The faults are those of a gate before the store: moto for S3, Azurite for Azure, and for Google a stand-in of the tests' own.
It ends with the block, or with the process that started it. Objects are kept in its memory.
"""

from __future__ import annotations

import base64
import html
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import requests

from ticket_events_pipeline_tests.support.azurite import ACCOUNT, UNSIGNED, Forward, azurite
from ticket_events_pipeline_tests.support.checkout import CHECKOUT

BUCKET = "lake"
SECRET = "not-a-secret-9f3c"
KEY_ID = "AKIAMADEUP7"
_CONTROL = "/_control"
_PROVIDERS = ("AWS_", "GOOGLE_", "AZURE_", "AZURITE_")
AZURE_KEY = base64.b64encode(SECRET.encode()).decode()
_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_X_GOOG_IF_GENERATION_MATCH")


class _Kind(NamedTuple):
    """What differs between the providers.

    Attributes:
        scheme: of a root.
        base: the path above a bucket's.
        endpoint_variable: which variable holds the address.
        env: the other variables.
        headers: of the tests' own requests, instead of a signature.
        listing: in the line of a request that lists files.
        part: in the line of a request that puts a part of a large file.
        listing_query: lists a bucket's files below the prefix that is appended.
        new_bucket_query: of the request that creates a bucket.
    """

    scheme: str
    base: str
    endpoint_variable: str
    env: Mapping[str, str]
    headers: Mapping[str, str]
    listing: str
    part: str
    listing_query: str
    new_bucket_query: str = ""


_KINDS = {
    "s3": _Kind(
        scheme="s3",
        base="",
        endpoint_variable="AWS_ENDPOINT_URL",
        env={
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        },
        headers={"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260302/eu-central-1/s3/aws4_request"},
        listing="list-type=2",
        part="partNumber=2",
        listing_query="list-type=2&prefix=",
    ),
    "azure": _Kind(
        scheme="az",
        base=f"/{ACCOUNT}",
        endpoint_variable="AZURE_STORAGE_ENDPOINT",
        env={"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY},
        headers={UNSIGNED: "1"},
        listing="comp=list",
        part="comp=block&",
        listing_query="restype=container&comp=list&prefix=",
        new_bucket_query="?restype=container",
    ),
    "google": _Kind(
        scheme="gs",
        base="",
        endpoint_variable="GOOGLE_BASE_URL",
        env={"GOOGLE_BEARER_TOKEN": SECRET},
        headers={"Authorization": f"Bearer {SECRET}"},
        listing="list-type=2",
        part="partNumber=2",
        listing_query="list-type=2&prefix=",
    ),
}
KINDS = tuple(_KINDS)
"""The providers: `s3`, `azure`, `google`."""


@dataclass(frozen=True)
class ObjectServer:
    """A running server of one of `KINDS`."""

    kind: str
    url: str
    pid: int

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead to it and override the machine's."""
        return {self._kind.endpoint_variable: self.url + self._kind.base, **self._kind.env, "NO_PROXY": "127.0.0.1"}

    @property
    def endpoint_variable(self) -> str:
        """The variable that leads to it."""
        return self._kind.endpoint_variable

    @property
    def listing(self) -> str:
        """In the line of each request that lists files."""
        return self._kind.listing

    @property
    def part(self) -> str:
        """In the line of a request that puts a part of a large file."""
        return self._kind.part

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.kind]

    def root(self, prefix: str = "") -> str:
        return f"{self._kind.scheme}://{BUCKET}/{prefix}".rstrip("/")

    def create_bucket(self) -> None:
        if self.kind == "s3":
            client(self).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        else:
            self._request("PUT", BUCKET + self._kind.new_bucket_query)

    def head(self, key: str) -> Mapping[str, str]:
        """The headers of an object, read without the code under test."""
        return self._request("HEAD", f"{BUCKET}/{quote(key)}").headers

    def keys(self, prefix: str = "") -> list[str]:
        """The keys below a prefix of the bucket, listed without the code under test."""
        listed = self._request("GET", f"{BUCKET}?{self._kind.listing_query}{quote(prefix)}").text
        tag = "Name" if self.kind == "azure" else "Key"
        return [html.unescape(key) for key in re.findall(f"<{tag}>([^<]+)</{tag}>", listed)]

    def _request(self, method: str, target: str) -> requests.Response:
        url = f"{self.url}{self._kind.base}/{target}"
        answer = requests.request(method, url, headers=dict(self._kind.headers), timeout=30)
        answer.raise_for_status()
        return answer

    @contextmanager
    def exported(self, **more: str) -> Iterator[None]:
        """Its variables in this process's environment, in place of all that the libraries read."""
        with exported({**self.env, **more}):
            yield

    def fail(self, match: str, status: int = 503, *, code: str = "SlowDown", times: int = 1_000_000, **how: Any) -> None:
        """Answer the next `times` requests whose line holds `match` with an error.

        `after=True` executes them nevertheless; `seconds=…` delays them; `drop=True` ignores their preconditions and answers
        normally; `body=…` and `content_type=…` are the answer instead of the error in XML. With `pace=…`, only those that come
        within so many seconds of a successful one to the same path.
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
        """Keys of multipart uploads that were neither completed nor aborted; Azure has none, it drops parts after a week."""
        if self.kind == "azure":
            return []
        return re.findall(r"<Upload>\s*<Key>([^<]+)</Key>", self._request("GET", f"{BUCKET}?uploads").text)


def client(server: ObjectServer) -> Any:
    """A boto3 client of an S3 server, independent of the code under test."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )


def prefix_of(test: Any) -> str:
    """A folder's name for a pytest item, which no other test has."""
    return re.sub("[^a-z_0-9]", "_", f"{test.module.__name__.rpartition('.')[2]}_{test.name}")


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
def object_server(kind: str = "s3") -> Iterator[ObjectServer]:
    """A new server of one of `KINDS`, with an empty bucket."""
    command = [sys.executable, "-m", __name__, kind]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=CHECKOUT, **pipes) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            address = process.stdout.readline().strip()
            assert address, f"the server of {kind} didn't start"
            server = ObjectServer(kind, address, process.pid)
            server.create_bucket()
            server.heal()
            yield server
        finally:
            process.stdin.close()  # so that it ends, and what it has started
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()


class _FaultyApp:
    """A store behind a gate that records requests and makes some fail."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: list[str] = []
        self._faults: list[dict[str, Any]] = []
        self._put_at: dict[str, float] = {}

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        from werkzeug.wrappers import Request, Response

        if environ["PATH_INFO"] == _CONTROL:
            return self._controlled(Request(environ), Response)(environ, start)
        line = _line(environ)
        with self._lock:
            self._seen.append(line)
            fault = next((one for one in self._faults if one["match"] in line and one["times"] > 0), {})
            if "pace" in fault and time.monotonic() - self._put_at.get(environ["PATH_INFO"], -math.inf) > fault["pace"]:
                fault, start = {}, self._noting(environ["PATH_INFO"], start)
            fault.update({"times": fault["times"] - 1} if fault else {})
        time.sleep(fault.get("seconds", 0))
        if fault.get("drop"):
            environ = {name: value for name, value in environ.items() if name not in _CONDITIONS}
            environ["HTTP_X_TEST_UNSIGNED"] = "1"  # Azure's signature covers the conditions
        if not fault or fault.get("after") or fault.get("drop"):
            answer = list(self._store(environ, start if not fault.get("after") else lambda *_: None))
            if not fault.get("after"):
                return answer
        body = (
            f"<Error><Code>{fault['code']}</Code><Message>Injected.</Message><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>"
        )
        content_type = fault.get("content_type", "application/xml")
        return Response(fault.get("body", body), status=fault["status"], content_type=content_type)(environ, start)

    def _noting(self, path: str, start: Any) -> Any:
        """The same `start`, which notes when a request succeeded."""

        def noting(status: str, *rest: Any) -> Any:
            if status.startswith("2"):
                self._put_at[path] = time.monotonic()
            return start(status, *rest)

        return noting

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


class _OneAtATime:
    """moto checks a precondition and puts without a lock in between."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        with self._lock:
            return list(self._moto(environ, start))


@contextmanager
def _store_of(kind: str) -> Iterator[Any]:
    if kind == "azure":
        with azurite(AZURE_KEY) as url:
            yield Forward(url, AZURE_KEY)
    elif kind == "google":
        from ticket_events_pipeline_tests.support.google_storage import GoogleStorage

        yield GoogleStorage(SECRET)
    else:
        from moto.server import DomainDispatcherApplication, create_backend_app

        yield _OneAtATime(DomainDispatcherApplication(create_backend_app))


def _serve(kind: str) -> None:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: object) -> None:
            pass

    with _store_of(kind) as store:
        server = make_server("127.0.0.1", 0, _FaultyApp(store), threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"http://127.0.0.1:{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()  # until the parent process closes it or ends


if __name__ == "__main__":
    _serve(*sys.argv[1:])
