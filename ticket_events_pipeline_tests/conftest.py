"""What holds for every test: how hypothesis draws, and that nothing of the developer's shell leaks in."""

import gc
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

# Shared machines stall for seconds: how long an example took says nothing about the code.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A landing must not hang on a lucky draw; developers' runs go on drawing new examples.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# Here and not in a fixture: the definitions read their variables when a test module imports them.
for _name in [name for name in os.environ if name.startswith(("ZENDESK_", "TICKET_EVENTS_"))]:
    del os.environ[_name]

# A shell starts background jobs with SIGINT ignored, and children inherit that: commands under test could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

MEMORY = "/dev/shm"  # noqa: S108 - pytest makes folders of its own below
MEMORY_BYTES = 2 * 10**9
"""What the files of a run may take, and more; a container's /dev/shm is often of 64 MiB."""


def pytest_configure(config):
    """Keep the files of fast tests in memory, where the machine has room for them, unless TMPDIR is set.

    The pipeline flushes each file to disk: in memory that takes no time, and a killed process leaves the same files.
    Slow tests may write more than fits.
    """
    if (
        "not slow" in config.option.markexpr
        and "TMPDIR" not in os.environ
        and os.access(MEMORY, os.W_OK)
        and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
        and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    ):
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY


def pytest_collection_finish():
    """Thousands of tests and all modules live to the end: the garbage collector need not look at them again and again."""
    gc.freeze()


@pytest.fixture(scope="module")
def servers():
    """Sandbox servers of accounts drawn at random."""
    from ticket_events_pipeline_tests.support.quality_cases import running_servers  # most tests don't need it

    with running_servers() as running:
        yield running


@pytest.fixture(scope="module")
def many_pages(tmp_path_factory):
    """A root with days of many pages."""
    from ticket_events_pipeline_tests.support.quality_cases import days_of_many_pages  # most tests don't need it

    return days_of_many_pages(tmp_path_factory.mktemp("pages"))
