"""`dead_runs_sensor` with a timer that only moves when a test says so, and processes that mark a run and beat for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import dagster as dg

from ticket_events_pipeline.defs.scope import AccountScope, account_scope
from ticket_events_pipeline.defs.sensors.dead_runs import dead_runs_sensor
from ticket_events_pipeline.storage.beat_watch import LOOK_SECONDS, Moment
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, sensor_context

NOTHING = "No run has lost its process."


class Looks:
    """Ticks of the sensor at times of the test's choice; each sees the cursor that the one before left."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        location: str = "ticket_events_pipeline",
        *,
        scope: AccountScope | None = None,
        repository: dg.RepositoryDefinition = REPOSITORY,
    ) -> None:
        self.instance = instance
        self.boot, self.seconds = "this machine", 1000.0
        self.cursor: str | None = None
        self._location, self._repository = location, repository
        self._sensor = dead_runs_sensor(scope or account_scope(), timer=lambda: Moment(self.boot, self.seconds))

    def look(self, after: float = LOOK_SECONDS) -> str:
        """One tick so many seconds after the last one; its message."""
        self.seconds += after
        context = sensor_context(self.instance, self._location, cursor=self.cursor, repository=self._repository)
        message = self._sensor(context).skip_message
        self.cursor = context.cursor
        return message

    def looks(self, count: int, after: float = LOOK_SECONDS) -> list[str]:
        """The messages of so many ticks."""
        return [self.look(after) for _ in range(count)]

    def looks_until_ended(self, run: dg.DagsterRun, *, most: int = 20) -> int:
        """How many ticks it takes until one of them ends the run."""
        for count in range(1, most + 1):
            if run.run_id in self.look().partition(".")[0]:
                return count
        raise AssertionError(f"not ended by {most} looks")


_BEATING = """
import sys
import dagster as dg
from ticket_events_pipeline.defs.run_marks import mark_run
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.run_beats import beating
home, root, run_id, seconds = sys.argv[1:]
with dg.DagsterInstance.from_config(home) as instance, beating(open_store(root), run_id, seconds=float(seconds)) as beat:
    mark_run(instance, run_id, beat)
    print("marked", flush=True)
    sys.stdin.readline()
    print("was ended" if beat.was_ended else "was not ended", flush=True)
"""


class BeatingProcess:
    """A process of its own that marks a run and beats for it, `hidden` on another machine by a prefix of its command."""

    def __init__(
        self,
        home: str,
        root: str,
        run: dg.DagsterRun,
        *,
        seconds: float = 10.0,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        command = [*prefix, sys.executable, "-c", _BEATING, home, root, run.run_id, str(seconds)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {}), "PYTHONPATH": str(CHECKOUT)},
            start_new_session=True,
        )
        assert self._line() == "marked"

    def ends(self) -> str:
        """Let it end by itself; whether its run was ended."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said = self._line()
        self._close()
        return said

    def is_killed(self) -> None:
        """Kill it and every process that it started, as when its machine goes down."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self._close()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _close(self) -> None:
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
