"""The command `ticket-events publish` in a process of its own, which is killed (SIGKILL) at a chosen moment.

The moment is a number of seconds, or of function calls in the pipeline and in the formats' libraries: so the steps between two
files are hit, too, however fast they are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

_COUNTED = ("ticket_events_pipeline/publish", "/pyiceberg/", "/deltalake/", "/sqlalchemy/engine/")

_context = multiprocessing.get_context("forkserver")
# Imports take longer than a publish of some days.
_context.set_forkserver_preload(
    [
        "ticket_events_pipeline.cli.main",
        "ticket_events_pipeline.cli.publish",
        "ticket_events_pipeline.publish.delta",
        "ticket_events_pipeline.publish.iceberg",
        "ticket_events_pipeline_tests.support.killed_publish",
    ]
)


def run_publish(
    arguments: Sequence[str], env: Mapping[str, str], *, seconds: float | None = None, calls: int | None = None
) -> int:
    """The command's exit code; -9 if it was killed, after that many seconds or calls."""
    began = _context.Event()
    process = _context.Process(target=_publish, args=(list(arguments), dict(env), calls, began))
    process.start()
    assert began.wait(60)
    if seconds is not None:
        time.sleep(seconds)
        process.kill()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def count_calls(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """How many calls the command makes."""
    receiver, sender = _context.Pipe(duplex=False)
    process = _context.Process(target=_counted, args=(list(arguments), dict(env), sender))
    process.start()
    number: int = receiver.recv()
    process.join(120)
    return number


class _Counter:
    """A profiler that counts the calls, and ends the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.calls, self._kill_at = 0, kill_at

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and any(part in frame.f_code.co_filename for part in _COUNTED):
            self.calls += 1
            if self.calls == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _publish(arguments: list[str], env: dict[str, str], calls: int | None, began: Any) -> None:
    from ticket_events_pipeline.cli.main import commands

    os.environ.update(env)
    began.set()
    if calls is not None:
        sys.setprofile(_Counter(calls))
    commands(["publish", *arguments])


def _counted(arguments: list[str], env: dict[str, str], sender: Any) -> None:
    from ticket_events_pipeline.cli.main import commands

    os.environ.update(env)
    counter = _Counter(None)
    sys.setprofile(counter)
    try:
        commands(["publish", *arguments])
    finally:
        sys.setprofile(None)
        sender.send(counter.calls)
