"""A process counts as ended only if that is certain."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.process import Process, this_process

linux_only = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="only Linux shows when a process began")

PRINT_PROCESS = "from ticket_events_pipeline.process import this_process; print(this_process())"


@linux_only
def test_a_process_is_gone_when_it_has_ended_and_not_before():
    child = subprocess.Popen(
        [sys.executable, "-c", f"{PRINT_PROCESS}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    known = Process.parse(child.stdout.readline().strip())
    assert known.pid == child.pid
    assert not known.is_gone
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert known.is_gone


@linux_only
def test_another_process_of_the_same_number_is_not_the_same_one():
    assert replace(this_process(), began="1").is_gone
    assert not this_process().is_gone


def test_a_process_of_another_machine_or_container_is_never_certainly_ended():
    here = this_process()
    for elsewhere in (
        replace(here, boot="", began="1"),
        replace(here, boot="b", began="1"),
        replace(here, space="7", began="1"),
    ):
        assert not elsewhere.is_gone


@given(st.builds(Process, st.sampled_from(["", "a-0f"]), st.sampled_from(["", "4026"]), st.integers(1, 2**22), st.just("77")))
def test_a_process_round_trips_as_text(process):
    assert Process.parse(str(process)) == process


def test_an_invalid_text_is_no_process():
    assert Process.parse("doctor") is None
