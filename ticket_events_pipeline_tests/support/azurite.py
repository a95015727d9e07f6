"""Azurite, Microsoft's emulator of Azure Blob Storage, in its own process on 127.0.0.1, and the signatures of Azure.

`make azurite` installs it; it needs Node. All it holds is in its memory.
https://learn.microsoft.com/azure/storage/common/storage-use-azurite
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import urllib3

from ticket_events_pipeline_tests.support.checkout import CHECKOUT

ACCOUNT = "madeup"
COMMAND = CHECKOUT / ".azurite/node_modules/.bin/azurite-blob"
UNSIGNED = "x-test-unsigned"
"""A header of requests that `Forward` signs itself."""

_OPTIONS = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
_API_VERSION = "2025-11-05"
# In the order in which they are signed. https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
_SIGNED_HEADERS = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)


def why_not_here() -> str:
    """Why it can't be started here; empty if it can."""
    if COMMAND.exists():
        return ""
    return "Azurite isn't installed: install Node and npm, then run `make azurite`"


@contextmanager
def azurite(key: str) -> Iterator[str]:
    """A new one, with one account and its key (base64); yields its address."""
    command = [str(COMMAND), "--blobHost", "127.0.0.1", "--blobPort", "0", *_OPTIONS]
    env = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if found := re.search(r"successfully listens on (http://127\.0\.0\.1:\d+)", line):
                    yield found[1]
                    return
            raise AssertionError(f"Azurite didn't start: {''.join(lines)}")
        finally:
            process.kill()


class Forward:
    """A WSGI application that forwards requests to a server, byte for byte; those marked `UNSIGNED` are signed first."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._pool = urllib3.PoolManager(maxsize=32)

    def __call__(self, environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(name):
                headers[name.replace("_", "-").lower()] = environ[name]
        target = environ["REQUEST_URI"]
        if headers.pop(UNSIGNED, None):
            headers.pop("date", None)  # x-ms-date takes its place
            headers |= signed(self._key, environ["REQUEST_METHOD"], target, headers)
        body = environ["wsgi.input"].read(int(headers.get("content-length", 0)))
        answer = self._pool.request(
            environ["REQUEST_METHOD"], self._url + target, body=body, headers=headers, decode_content=False, retries=False
        )
        left_out = ("connection", "keep-alive", "transfer-encoding", "date", "server")
        start(f"{answer.status} {answer.reason}", [pair for pair in answer.headers.items() if pair[0].lower() not in left_out])
        return [answer.data]


def signed(key: str, method: str, target: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that sign a request with the account's key."""
    stamps = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": headers.get("x-ms-version", _API_VERSION)}
    names = {name.lower(): value for name, value in headers.items()} | stamps
    path, _, query = target.partition("?")
    lines = [method, *(names.get(name, "") if names.get(name) != "0" else "" for name in _SIGNED_HEADERS)]
    lines += [f"{name}:{names[name]}" for name in sorted(names) if name.startswith("x-ms-")]
    lines += [f"/{ACCOUNT}{path}", *sorted(f"{name}:{value}" for name, value in parse_qsl(query, keep_blank_values=True))]
    code = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    return {**stamps, "authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(code).decode()}"}
