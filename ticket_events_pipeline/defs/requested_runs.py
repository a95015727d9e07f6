"""The runs that the sensor requested: how often a state was tried, and what those runs left.

What a run left is noted on the run itself, in the first tick after its end. So a state that comes back later, or whose files
were removed or changed since, starts with no attempts, and nothing is lost with a cursor. Rejected: a cursor that remembers the
states (once lost, it would request for ever, or never); the log's records of the run (they say where it wrote, not whether the
files were ever seen); a fingerprint of the made files in the state (a run that fails half-way changes it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.jobs import FETCH, SUMMARIZE
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
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.footer_cache import MADE_AFTER_SUMMARY
from ticket_events_pipeline.sla.staleness import MADE, Comparison, StaleRange, files_fingerprint
from ticket_events_pipeline.tickets.changes import CHANGES
from ticket_events_pipeline.tickets.staleness import TicketComparison

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
    """The runs for one set of inputs, counted since anything else last changed the files that they make.

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
    jobs = [SUMMARIZE, FETCH] if scope.has_ticket_tables else [SUMMARIZE]
    filters = [dg.RunsFilter(job_name=scope.named(job)) for job in jobs]
    newest = [run for one in filters for run in newest_runs(instance, REQUESTED_TAG, "true", one, limit=MAX_RUNS_READ)]
    return [run for run in newest if run.is_finished and _left_by(run) is None]


def note_what_runs_left(
    instance: dg.DagsterInstance,
    scope: AccountScope,
    runs: Sequence[dg.DagsterRun],
    found: Comparison,
    tickets: TicketComparison,
) -> None:
    """Note on each of the runs the state of its days; both comparisons must have been made after their end."""
    for run in runs:
        days = days_of_tags(run.tags, scope.timezone)
        made, stale = _made_by(scope, run, found, tickets)
        left = FRESH if all(of.keys().isdisjoint(days) for of in stale) else files_fingerprint(found.stored, made, days)
        # A retry inherits the tags of its parent: the run's id shows that a note is its own.
        instance.add_run_tags(run.run_id, {LEFT_TAG: f"{run.run_id} {left}"})


def _made_by(
    scope: AccountScope, run: dg.DagsterRun, found: Comparison, tickets: TicketComparison
) -> tuple[Sequence[str], Sequence[Mapping[Day, str]]]:
    """The tables that a requested run makes, and the days on which these are stale."""
    if run.job_name == scope.named(FETCH):
        return [CHANGES], [tickets.stale_changes]
    if run.asset_selection and scope.key(SUMMARY) not in run.asset_selection:
        return MADE_AFTER_SUMMARY, [found.stale, tickets.stale]
    return MADE, [found.stale, tickets.stale]


def job_of(stale: StaleRange) -> str:
    """The job whose run makes what is stale."""
    return FETCH if stale.tables == (CHANGES,) else SUMMARIZE


def attempts_of(instance: dg.DagsterInstance, scope: AccountScope, stale: StaleRange) -> Attempts:
    """How often the state of a stale range was tried since its files were last changed otherwise.

    Killed runs don't count: the state is not at fault, and Dagster retries each of them.
    """
    filters = dg.RunsFilter(tags=range_tags(stale.days[0], stale.days[-1]), job_name=scope.named(job_of(stale)))
    newest = newest_runs(instance, REQUESTED_TAG, "true", filters, limit=MAX_RUNS_READ)
    last = next((run for run in newest if run.tags.get(WILL_RETRY_TAG) != "true"), None)
    if last is None or tag_of(last, STATE_TAG) != stale.state or _left_by(last) not in (None, stale.made_files):
        return Attempts(0, has_succeeded=False)
    return Attempts(_attempt_number(last), has_succeeded=last.is_success)


def run_request(instance: dg.DagsterInstance, scope: AccountScope, stale: StaleRange, attempt: int) -> dg.RunRequest:
    """Request a run over the stale range; `attempt` counts from 1."""
    tags = range_tags(stale.days[0], stale.days[-1])
    tags |= {REQUESTED_TAG: "true", STATE_TAG: stale.state, ATTEMPT_TAG: str(attempt)}
    # The count is in the key: a key dedupes for ever, but a failed run, or a state that comes back, needs another run.
    job = scope.named(job_of(stale))
    before = count_runs(instance, STATE_TAG, stale.state, dg.RunsFilter(job_name=job))
    return dg.RunRequest(
        run_key=f"{stale.state}:{before + 1}", tags=tags, job_name=job, asset_selection=_selection(scope, stale)
    )


def _selection(scope: AccountScope, stale: StaleRange) -> list[dg.AssetKey] | None:
    """The assets of the job's run; None for all. The report shows what all other tables say."""
    if not stale.tables:
        return None
    report = [] if stale.tables == (CHANGES,) else [REPORT]
    return [scope.key(asset) for asset in (*stale.tables, *report)]


def _left_by(run: dg.DagsterRun) -> str | None:
    run_id, _, left = (tag_of(run, LEFT_TAG) or "").partition(" ")
    return left if run_id == run.run_id else None


def _attempt_number(run: dg.DagsterRun) -> int:
    text = tag_of(run, ATTEMPT_TAG) or "1"
    return int(text) if text.isascii() and text.isdigit() else 1
