"""The runs that the sensor has asked for: how often a state was tried, and what came of it.

What a run has left behind is noted on the run itself, in the first tick after its end. So a state that comes back later, or
whose files somebody has removed or changed since, begins anew, and nothing is lost with a cursor. Rejected: a cursor that
remembers the states (lost, it would ask for ever, or never); the log's records of the run (they say where it wrote, not
whether the files were ever seen); a fingerprint of the SLA files in the state (a run that fails half-way changes it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from ticket_events_pipeline.defs.jobs import SUMMARIZE
from ticket_events_pipeline.defs.runs import WILL_RETRY_TAG, days_of_tags, range_tags
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.sla.staleness import Comparison, StaleRange, sla_files_fingerprint

ASKED_TAG = "ticket_events/asked_by_sensor"
STATE_TAG = "ticket_events/state"
ATTEMPT_TAG = "ticket_events/attempt"
LEFT_TAG = "ticket_events/left"

MOST_ATTEMPTS = 3
"""A state that could not be summarised so often will not be the next time either; it is asked for again when it changes."""

MOST_SUCCESSES = 2
"""A run that succeeds makes its days fresh. If it doesn't, its files may have been removed before the next tick: it is asked
for once more, and not a third time."""

RUNS_LOOKED_AT = 50
"""More than end between two ticks, and than one state can have: each attempt may be killed and retried ten times
(dagster.yaml)."""

FRESH = "fresh"


@dataclass(frozen=True)
class Tried:
    """What has come of a state so far, since something other than its own runs has last changed its files.

    Attributes:
        attempts: how many runs.
        has_succeeded: whether the newest of them ended well.
    """

    attempts: int
    has_succeeded: bool

    @property
    def has_failed(self) -> bool:
        """Whether the newest run has failed."""
        return self.attempts > 0 and not self.has_succeeded

    @property
    def is_settled(self) -> bool:
        """Whether runs succeed and still leave the days stale: another one would do the same."""
        return self.has_succeeded and self.attempts >= MOST_SUCCESSES

    @property
    def is_given_up(self) -> bool:
        """Whether runs have failed so often that another one is of no use."""
        return self.has_failed and self.attempts >= MOST_ATTEMPTS


def unnoted_runs(instance: dg.DagsterInstance, scope: AccountScope) -> list[dg.DagsterRun]:
    """The newest runs asked for that have ended, and on which nothing is noted yet."""
    filters = dg.RunsFilter(tags={ASKED_TAG: "true"}, job_name=scope.named(SUMMARIZE))
    newest = instance.get_runs(filters, limit=RUNS_LOOKED_AT)
    return [run for run in newest if run.is_finished and _left(run) is None]


def note(instance: dg.DagsterInstance, scope: AccountScope, runs: Sequence[dg.DagsterRun], found: Comparison) -> None:
    """Note on each of the runs what stands of its days; it must have been looked at after their end."""
    for run in runs:
        days = days_of_tags(run.tags, scope.timezone)
        left = FRESH if found.stale.keys().isdisjoint(days) else sla_files_fingerprint(found.stored, days)
        # A retry inherits the tags of its parent: the run is named, so that they aren't taken for its own.
        instance.add_run_tags(run.run_id, {LEFT_TAG: f"{run.run_id} {left}"})


def tried(instance: dg.DagsterInstance, scope: AccountScope, stretch: StaleRange) -> Tried:
    """How often the state of a stretch has been tried since its files were last changed otherwise.

    Runs that were killed don't count: the state is not at fault, and Dagster has started each again.
    """
    tags = range_tags(stretch.days[0], stretch.days[-1]) | {ASKED_TAG: "true"}
    newest = instance.get_runs(dg.RunsFilter(tags=tags, job_name=scope.named(SUMMARIZE)), limit=RUNS_LOOKED_AT)
    last = next((run for run in newest if run.tags.get(WILL_RETRY_TAG) != "true"), None)
    if last is None or last.tags.get(STATE_TAG) != stretch.state or _left(last) not in (None, stretch.stands):
        return Tried(0, has_succeeded=False)
    return Tried(_attempt(last), has_succeeded=last.is_success)


def request(instance: dg.DagsterInstance, scope: AccountScope, stretch: StaleRange, attempt: int) -> dg.RunRequest:
    """Ask for the stretch; `attempt` counts from 1."""
    tags = range_tags(stretch.days[0], stretch.days[-1])
    tags |= {ASKED_TAG: "true", STATE_TAG: stretch.state, ATTEMPT_TAG: str(attempt)}
    # The count is in the key: a key dedupes for ever, and a failed run, or a state that comes back, has to be asked for again.
    before = instance.get_runs_count(dg.RunsFilter(tags={STATE_TAG: stretch.state}, job_name=scope.named(SUMMARIZE)))
    return dg.RunRequest(run_key=f"{stretch.state}:{before + 1}", tags=tags)


def _left(run: dg.DagsterRun) -> str | None:
    run_id, _, left = run.tags.get(LEFT_TAG, "").partition(" ")
    return left if run_id == run.run_id else None


def _attempt(run: dg.DagsterRun) -> int:
    text = run.tags.get(ATTEMPT_TAG, "1")
    return int(text) if text.isascii() and text.isdigit() else 1
