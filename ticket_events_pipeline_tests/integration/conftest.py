"""Fixtures of several integration tests."""

import functools
import os
import re
from contextlib import ExitStack

import pytest

from ticket_events_pipeline_tests.support.azurite import why_not_here
from ticket_events_pipeline_tests.support.object_server import KINDS, object_server, prefix_of


@pytest.fixture(scope="session")
def object_servers():
    """A server of one of `KINDS`, without faults; started when it is first asked for."""
    with ExitStack() as stack:

        @functools.cache
        def started(kind):
            if kind == "azure" and (problem := why_not_here()):
                (pytest.fail if os.environ.get("CI") else pytest.skip)(problem)
            return stack.enter_context(object_server(kind))

        def healed(kind):
            server = started(kind)
            server.heal()
            return server

        yield healed


@pytest.fixture(params=KINDS)
def bucket(request, object_servers):
    """A server of each provider, without faults; this process's environment leads to it."""
    server = object_servers(request.param)
    with server.exported():
        yield server


@pytest.fixture
def bucket_root(bucket, request):
    """A prefix in its bucket that no other test uses."""
    return bucket.root(f"tests/{prefix_of(request.node)}")


@pytest.fixture(scope="module")
def s3_process():
    with object_server() as server:
        yield server


@pytest.fixture
def s3(s3_process):
    """An S3-compatible server without faults; this process's environment leads to it."""
    s3_process.heal()
    with s3_process.exported():
        yield s3_process


@pytest.fixture
def s3_root(s3, request):
    """A prefix in its bucket that no other test uses."""
    return s3.root(f"tests/{re.sub('[^a-z_]', '_', request.node.name)}")
