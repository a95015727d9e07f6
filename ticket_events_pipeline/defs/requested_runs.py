"""The runs that the sensor requested: how often a state was tried, and what those runs left.

What a run left is noted on the run itself, in the first tick after its end. So a state that comes back later, or whose files
were removed or changed since, starts with no attempts, and nothing is lost with a cursor. Rejected: a cursor that remembers the
states (once lost, it would request for ever, or never); the log's records of the run (they say where it wrote, not whether the
files were ever seen); a fingerprint of the SLA files in the state (a run that fails half-way changes it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from ticket_events_pipeline.defs.jobs import SUMMARIZE
from ticket_events_pipeline.defs.run_tags import (
    ATTEMPT_TAG,
    LEFT_TAG,
    REQUESTED_TAG,
    STATE_TAG,
    count_runs,
    newest_runs,
    tag_of,
)
from ticket_events_pipeline.defs.runs import WILL_RETRY_TAG, days_of_tags, range_tags
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.sla.staleness import Comparison, StaleRange, sla_files_fingerprint

MAX_ATTEMPTS = 3
"""A state whose runs failed so often will fail the next time, too; a run is requested again when the state changes."""

MAX_SUCCESSES = 2
"""A run that succeeds makes its days fresh. If it doesn't, its files may have been removed before the next tick: it is
requested once more, and not a third time."""

MAX_RUNS_READ = 50
"""More than end between two ticks, and than one state can have: each attempt may be killed and retried ten times
(dagster.yaml)."""

FRESH = "fresh"


@dataclass(frozen=True)
class Attempts:
    """The runs for one set of inputs, counted since anything else last changed the SLA files.

    Attributes:
        count: number of runs.
        has_succeeded: whether the newest of them succeeded.
    """

    count: int
    has_succeeded: bool

    @property
    def has_failed(self) -> bool:
        """Whether the newest run failed."""
        return self.count > 0 and not self.has_succeeded

    @property
    def is_settled(self) -> bool:
        """Whether runs succeed and still leave the days stale: another one would do the same."""
        return self.has_succeeded and self.count >= MAX_SUCCESSES

    @property
    def is_given_up(self) -> bool:
        """Whether runs have failed so often that another one is pointless."""
        return self.has_failed and self.count >= MAX_ATTEMPTS


def ended_runs_without_note(instance: dg.DagsterInstance, scope: AccountScope) -> list[dg.DagsterRun]:
    """The newest requested runs that have ended, and on which is not noted yet what they left."""
    filters = dg.RunsFilter(job_name=scope.named(SUMMARIZE))
    newest = newest_runs(instance, REQUESTED_TAG, "true", filters, limit=MAX_RUNS_READ)
    return [run for run in newest if run.is_finished and _left_by(run) is None]


def note_what_runs_left(
    instance: dg.DagsterInstance, scope: AccountScope, runs: Sequence[dg.DagsterRun], found: Comparison
) -> None:
    """Note on each of the runs the state of its days; `found` must have been compared after their end."""
    for run in runs:
        days = days_of_tags(run.tags, scope.timezone)
        left = FRESH if found.stale.keys().isdisjoint(days) else sla_files_fingerprint(found.stored, days)
        # A retry inherits the tags of its parent: the run's id shows that a note is its own.
        instance.add_run_tags(run.run_id, {LEFT_TAG: f"{run.run_id} {left}"})


def attempts_of(instance: dg.DagsterInstance, scope: AccountScope, stale: StaleRange) -> Attempts:
    """How often the state of a stale range was tried since its files were last changed otherwise.

    Killed runs don't count: the state is not at fault, and Dagster retries each of them.
    """
    filters = dg.RunsFilter(tags=range_tags(stale.days[0], stale.days[-1]), job_name=scope.named(SUMMARIZE))
    newest = newest_runs(instance, REQUESTED_TAG, "true", filters, limit=MAX_RUNS_READ)
    last = next((run for run in newest if run.tags.get(WILL_RETRY_TAG) != "true"), None)
    if last is None or tag_of(last, STATE_TAG) != stale.state or _left_by(last) not in (None, stale.sla_files):
        return Attempts(0, has_succeeded=False)
    return Attempts(_attempt_number(last), has_succeeded=last.is_success)


def run_request(instance: dg.DagsterInstance, scope: AccountScope, stale: StaleRange, attempt: int) -> dg.RunRequest:
    """Request a run over the stale range; `attempt` counts from 1."""
    tags = range_tags(stale.days[0], stale.days[-1])
    tags |= {REQUESTED_TAG: "true", STATE_TAG: stale.state, ATTEMPT_TAG: str(attempt)}
    # The count is in the key: a key dedupes for ever, but a failed run, or a state that comes back, needs another run.
    before = count_runs(instance, STATE_TAG, stale.state, dg.RunsFilter(job_name=scope.named(SUMMARIZE)))
    return dg.RunRequest(run_key=f"{stale.state}:{before + 1}", tags=tags)


def _left_by(run: dg.DagsterRun) -> str | None:
    run_id, _, left = (tag_of(run, LEFT_TAG) or "").partition(" ")
    return left if run_id == run.run_id else None


def _attempt_number(run: dg.DagsterRun) -> int:
    text = tag_of(run, ATTEMPT_TAG) or "1"
    return int(text) if text.isascii() and text.isdigit() else 1
