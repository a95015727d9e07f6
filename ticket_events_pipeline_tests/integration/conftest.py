"""Fixtures of several integration tests."""

import re

import pytest

from ticket_events_pipeline_tests.support.object_server import object_server


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
