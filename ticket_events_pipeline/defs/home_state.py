"""What a Dagster instance knows of an account's runs, schedules and sensors, for the command `status`."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
from dagster import DagsterRunStatus

from ticket_events_pipeline.defs.runs import days_of_tags, runs_in_progress, touches

MUST_BE_ON = ("hourly_fetch", "daily_restatement", "new_event_partitions_sensor", "dead_runs_sensor")
"""Without one of these, days stay unread, unmade or in the hands of a dead run."""

LOCATION = "ticket_events_pipeline"
"""The code location's name in the shipped workspace.yaml. Started under another name, a schedule has a state of its own."""

_RECENT_RUNS = 100


@dataclass(frozen=True)
class RunState:
    """A run over the account's assets.

    Attributes:
        job: its name.
        status: Dagster's word for it, in small letters.
        days: the first and the last day that it covers, as text; empty if it says none.
        at: when it began or, once it is over, when it ended; epoch seconds.
    """

    run_id: str
    job: str
    status: str
    days: str
    at: float


@dataclass(frozen=True)
class HomeState:
    """What the instance knows.

    Attributes:
        in_progress: runs that are queued or running.
        last_failed: the newest run that failed and wasn't followed by a success of its job; None if there is none.
        automations: schedules and sensors, each with whether it is on.
        daemon_seen_at: when dagster-daemon, which runs them, last gave a sign of life, epoch seconds; None if it never did.
    """

    in_progress: tuple[RunState, ...]
    last_failed: RunState | None
    automations: dict[str, bool]
    daemon_seen_at: float | None

    @property
    def to_turn_on(self) -> list[str]:
        """What must be on, and is off."""
        return [name for name in MUST_BE_ON if not self.automations.get(name, False)]


def home_state(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, *, timezone: str) -> HomeState:
    """The state of everything that the instance keeps of the repository's account."""
    in_progress = [run for run in runs_in_progress(instance, repository) if touches(repository, run, ())]
    recent = [
        record
        for record in instance.get_run_records(limit=_RECENT_RUNS)
        if touches(repository, record.dagster_run, ()) and record.dagster_run.is_finished
    ]
    by_id = {record.dagster_run.run_id: record for record in instance.get_run_records(limit=_RECENT_RUNS)}
    return HomeState(
        tuple(_run_state(run, by_id.get(run.run_id), timezone) for run in in_progress),
        _last_failed(recent, timezone),
        _automations(instance, repository),
        max((heartbeat.timestamp for heartbeat in instance.get_daemon_heartbeats().values()), default=None),
    )


def _last_failed(newest_first: list[dg.RunRecord], timezone: str) -> RunState | None:
    succeeded = set()
    for record in newest_first:
        run = record.dagster_run
        if run.status == DagsterRunStatus.SUCCESS:
            succeeded.add(run.job_name)
        elif run.status == DagsterRunStatus.FAILURE and run.job_name not in succeeded:
            return _run_state(run, record, timezone)
    return None


def _run_state(run: dg.DagsterRun, record: dg.RunRecord | None, timezone: str) -> RunState:
    days = days_of_tags(run.tags, timezone)
    at = 0.0 if record is None else record.end_time or record.start_time or record.create_timestamp.timestamp()
    span = "" if not days else str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return RunState(run.run_id, run.job_name, run.status.value.lower(), span, at)


def _automations(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> dict[str, bool]:
    """On, as somebody has set it, else as it is shipped."""
    kept = instance.all_instigator_state()  # of each code location that ever had it
    ours = [state for state in kept if state.origin.repository_origin.code_location_origin.location_name == LOCATION]
    states: dict[str, bool] = {}
    for state in ours or kept:
        states[state.instigator_name] = states.get(state.instigator_name, False) or state.is_running
    shipped: dict[str, bool] = {}
    for schedule in repository.schedule_defs:
        shipped[schedule.name] = schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    for sensor in repository.sensor_defs:
        shipped[sensor.name] = sensor.default_status == dg.DefaultSensorStatus.RUNNING
    return {name: states.get(name, is_on) for name, is_on in shipped.items()}
