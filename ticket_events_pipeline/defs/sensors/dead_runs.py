"""`dead_runs_sensor`: ends the runs whose process was killed, or went down with its machine, whatever launcher started them.

Most launchers never notice those runs: they stay "started" and hold their place in the pool, and the schedules and the other
sensor wait for them. This sensor reports them as failed. Dagster's run retries (dagster.yaml) start them again, except for runs
of a command line, which can't be retried. A run is dead by one of two proofs: its process is known to be gone, on the machine
that looks; or it has given no sign of life for DEAD_AFTER_SECONDS in the root that both share (`storage.run_beats`).

It is a sensor of its own, so that the other one can be turned off without it. Dagster's run monitoring handles launched runs
that don't start in time, runs that don't end when canceled, and launchers that know their containers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import dagster as dg

from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.digest import SEND_DIGEST
from ticket_events_pipeline.defs.lost_retries import report_lost_retries
from ticket_events_pipeline.defs.run_marks import Mark, has_lost_its_process, is_executed_in_one_process, mark_of, root_word
from ticket_events_pipeline.defs.run_tags import MAX_RETRIES_TAG
from ticket_events_pipeline.defs.runs import (
    NOT_YET_STARTED,
    STARTED,
    WILL_RETRY_TAG,
    is_launched,
    is_of_another_location,
    location_label,
    may_have_died,
    repository_of,
    touches,
)
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.storage.beat_watch import DEAD_AFTER_SECONDS, LOOK_SECONDS, BeatWatch, Moment, Timer, moment_here
from ticket_events_pipeline.storage.run_beats import end, end_all, read_beats, try_beating
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural

STORE_SECONDS = 20.0
"""A tick may take a minute; a root that answers later than this counts as one that can't be read."""

GONE = "The process of this run is gone: it was killed, or the machine went down (process {pid} on {host})."
SILENT = (
    "This run has given no sign of life for {seconds:.0f} s: its process was killed or stopped, or its machine went down or "
    "lost its connection to {root} (process {pid} on {host})."
)
NEVER_BEGUN = (
    "The process of this run is gone: it was killed, or the machine went down (it had no step begun, and has given no sign of "
    "life for {seconds:.0f} s)."
)
ENDED = " Every finished day is stored. The run is ended here so that nothing waits for it; "
WILL_RESUME = "run_retries in dagster.yaml let Dagster start it again, and then it resumes where this one stopped."
FROM_COMMAND_LINE = (
    "it was started from a command line, so Dagster does not start it again: give the same command within 24 hours, and it "
    "resumes where this one stopped."
)
NOT_RETRIED = "it is not started again."
ELSEWHERE = (
    "Run {run} on {host} beats in another root than this code server's, so it is not ended if it dies: compare "
    "TICKET_EVENTS_ROOT of both."
)
WAS_CANCELED = "it was being canceled, so it is not started again."


NO_RUN = "No run has lost its process."

RETRY_LOST = "The announced retry of run {run} has not begun: its failure is reported to Dagster's daemon again."


def dead_runs_sensor(scope: AccountScope, *, timer: Timer = moment_here) -> dg.SensorDefinition:
    """The account's sensor: ends every run over its assets that no process executes any more."""

    @dg.sensor(
        name=scope.named("dead_runs_sensor"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=int(LOOK_SECONDS),
        description="On as shipped; leave it on: ends runs whose process was killed or went down with its machine, wherever it "
        "was, so that Dagster starts them again.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        instance, repository = context.instance, repository_of(context)
        runs = started_runs(
            instance,
            repository,
            location_label(context),
            key_prefix=scope.key_prefix,
            other_jobs={scope.named(SEND_DIGEST)},
        )
        gone = [run for run in runs if has_lost_its_process(repository, run)]
        ended = [run for run in gone if end_run(instance, run, _gone_proof(run))]
        look = _look(scope, instance, [run for run in runs if run not in gone], BeatWatch.parse(context.cursor), timer())
        context.update_cursor(str(look.watch))
        _note_ends(scope, ended)
        for run in (ended := [*ended, *look.ended]):
            context.log.warning(f"Run {run.run_id} had lost its process and was ended.")
        found = f"Ended: {', '.join(run.run_id for run in ended)}." if ended else NO_RUN
        return dg.SkipReason(" ".join([found, *look.notes, *_note_lost_retries(context, scope)]))

    return sensor


def started_runs(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    label: str | None = None,
    *,
    key_prefix: Sequence[str] = (),
    other_jobs: Collection[str] = (),
) -> list[dg.DagsterRun]:
    """The unfinished runs of the repository that one process should be executing by now.

    Args:
        instance: whose runs.
        repository: only runs of its jobs.
        label: `repository@location`, see `runs.location_label`.
        key_prefix: only runs over assets whose keys begin with it.
        other_jobs: the account's jobs without assets.
    """
    found = instance.get_run_records(dg.RunsFilter(statuses=[*STARTED, *NOT_YET_STARTED]))
    begun = [record for record in found if may_have_died(record.dagster_run)]
    named = {name for name in other_jobs if repository.has_job(name)}
    ours = [
        record
        for record in begun
        if record.dagster_run.job_name in named or touches(repository, record.dagster_run, key_prefix)
    ]
    here = [record for record in ours if not is_of_another_location(record.dagster_run, label)]
    alone = [record for record in here if is_executed_in_one_process(repository, record.dagster_run)]
    return [record.dagster_run for record in alone if not _is_run_monitorings(record)]


def _is_run_monitorings(record: dg.RunRecord) -> bool:
    """Whether the run is canceled before its start."""
    run = record.dagster_run
    return mark_of(run) is None and is_launched(run) and record.start_time is None


def end_run(instance: dg.DagsterInstance, seen: dg.DagsterRun, proof: str) -> bool:
    """End a dead run; False if it has ended, or marked itself after all, since it was `seen`."""
    run = instance.get_run_by_id(seen.run_id)
    if run is None or run.is_finished or mark_of(run) != mark_of(seen):
        return False
    message = proof + ENDED
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message + WAS_CANCELED)
    elif run.tags.get(MAX_RETRIES_TAG) == "0":
        instance.report_run_failed(run, message + NOT_RETRIED)
    elif is_launched(run):
        instance.report_run_failed(run, message + WILL_RESUME)
    else:
        instance.report_run_failed(run, message + FROM_COMMAND_LINE)
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})  # Dagster sets "true", but can't retry it
    return True


@dataclass(frozen=True)
class _Look:
    """A look at the beats.

    Attributes:
        watch: what is known after it.
        ended: the runs that it ended.
        notes: sentences for the tick's report.
    """

    watch: BeatWatch = field(default_factory=BeatWatch)
    ended: Sequence[dg.DagsterRun] = ()
    notes: Sequence[str] = ()


def _look(
    scope: AccountScope, instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], before: BeatWatch, now: Moment
) -> _Look:
    """Look at the beats of the runs, and end those that stood still for too long.

    A look at a root that can't be read counts nothing, and the count begins anew. So does one at a root that can't be written
    while a beat stands still: the run may be alive and unable to write it.
    """
    if not runs:
        return _Look()
    try:
        return in_time(lambda: _look_at(scope.pipeline().store, instance, runs, before, now), seconds=STORE_SECONDS)
    except TimeoutError:
        problem = f"The root did not answer within {STORE_SECONDS:.0f} s."
    except TicketEventsError as error:
        problem = str(error)
    note = f"{plural(len(runs), 'run')} in progress can't be watched now, so no missing beat counts: {problem}"
    return _Look(before.anew(), notes=[note])


def _look_at(
    store: Store, instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], before: BeatWatch, now: Moment
) -> _Look:
    beats, root = read_beats(store), root_word(store.location)
    marks = {run.run_id: mark_of(run) for run in runs}
    known = {*beats, *before.still}
    watched = [run for run in runs if run.run_id in known or _should_beat(instance, run, marks[run.run_id], root)]
    watch = before.after({run.run_id: beats.get(run.run_id) for run in watched}, now)
    if watch.has_still_beats(before):
        try_beating(store)
    ended = [run for run in watched if _is_ended(store, instance, run, watch, beats.get(run.run_id))]
    elsewhere = [mark for run in runs if run not in watched and (mark := marks[run.run_id]) and mark.root]
    return _Look(watch, ended, [ELSEWHERE.format(run=mark.run_id, host=mark.host) for mark in elsewhere])


def _is_ended(store: Store, instance: dg.DagsterInstance, run: dg.DagsterRun, watch: BeatWatch, beat: str | None) -> bool:
    """End the run if its beat has stood still for too long, and still does; whether it was ended."""
    seconds = watch.seconds_still(run.run_id)
    if seconds < DEAD_AFTER_SECONDS or not end(store, run.run_id, unless_beaten_since=beat):
        return False
    return end_run(instance, run, _silent_proof(run, seconds, store.location))


def _should_beat(instance: dg.DagsterInstance, run: dg.DagsterRun, mark: Mark | None, root: str) -> bool:
    """Whether the run has stored a beat in the root, or has had to mark itself first and is only now to begin."""
    if mark is not None:
        return mark.root == root
    # A step without a mark belongs to a resource that is none of ours, which doesn't beat.
    return not instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1).records


def _note_lost_retries(context: dg.SensorEvaluationContext, scope: AccountScope) -> list[str]:
    repository, label = repository_of(context), location_label(context)

    def is_ours(run: dg.DagsterRun) -> bool:
        return touches(repository, run, scope.key_prefix) and not is_of_another_location(run, label)

    lost = report_lost_retries(context.instance, is_ours, now=wall_clock())
    return [RETRY_LOST.format(run=run.run_id) for run in lost]


def _gone_proof(run: dg.DagsterRun) -> str:
    mark = mark_of(run)
    return "" if mark is None else GONE.format(pid=mark.process.pid, host=mark.host)


def _silent_proof(run: dg.DagsterRun, seconds: float, root: str) -> str:
    mark = mark_of(run)
    if mark is None:
        return NEVER_BEGUN.format(seconds=seconds)
    return SILENT.format(seconds=seconds, root=root, pid=mark.process.pid, host=mark.host)


def _note_ends(scope: AccountScope, ended: Sequence[dg.DagsterRun]) -> None:
    """Take the beats of runs whose process is gone out of the root, as far as it can be written."""
    if ended:
        with suppress(TicketEventsError, TimeoutError):
            in_time(lambda: end_all(scope.pipeline().store, [run.run_id for run in ended]), seconds=STORE_SECONDS)
