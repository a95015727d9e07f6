"""A Dagster deployment in one process: the real definitions, an instance of its own, and a server that plays the account."""

import datetime as dt
import functools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.runs import RANGE_END_TAG, RANGE_START_TAG, range_tags
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline_tests.support.fetches import Moment

SLA_ASSETS = ["ticket_events", "ticket_metric_events", "sla_clocks", "sla_targets", "daily_sla_breach_summary"]
"""Those that are tables, with the ticket tables turned off."""

TICKET_ASSETS = [
    "ticket_field_changes",
    "ticket_states",
    "sla_target_dimensions",
    "daily_sla_breaches_by_dimension",
    "sla_target_holders",
    "daily_ticket_durations",
]

ASSETS = [*SLA_ASSETS, *TICKET_ASSETS]
"""Those that are tables."""

REPORT = "sla_breach_report"
REPOSITORY = defs.get_repository_def()
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


WITHOUT_TICKET_TABLES = {"TICKET_EVENTS_TICKET_TABLES": "0"}


@functools.cache
def _repository_without_ticket_tables() -> dg.RepositoryDefinition:
    return account_definitions(account_scope()).get_repository_def()


def launched_from(location: str, job: str) -> RemoteJobOrigin:
    """The origin of a run that Dagster launched; a run of a command line has none."""
    return RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), REPOSITORY.name), job)


def sensor_context(
    instance: dg.DagsterInstance, location: str, *, cursor: str | None = None, repository: dg.RepositoryDefinition = REPOSITORY
) -> dg.SensorEvaluationContext:
    """The context that the daemon makes for a sensor of the code location `location`."""
    origin = RegisteredCodeLocationOrigin(location)
    return dg.SensorEvaluationContext(
        None, instance=instance, cursor=cursor, repository_def=repository, code_location_origin=origin
    )


class ScheduleContext(dg.ScheduleEvaluationContext):
    """The context that the daemon makes for a schedule, with an instance that may be in memory."""

    def __init__(
        self, instance: dg.DagsterInstance, at: dt.datetime, *, repository: dg.RepositoryDefinition | None = REPOSITORY
    ) -> None:
        super().__init__(None, scheduled_execution_time=at, repository_def=repository)
        self._instance = instance

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._instance


class _Logged(logging.Handler):
    """Keeps the logged messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@dataclass
class Deployment:
    root: Path
    instance: dg.DagsterInstance
    account: RecordedAccount
    server: SandboxServer
    clock: Moment
    url: str | None = None
    cursor: str | None = None
    message: str = ""
    repository: dg.RepositoryDefinition = REPOSITORY
    requests: list[dg.RunRequest] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return open_store(self.url or str(self.root))

    def run(
        self, job: str, first: str, last: str | None = None, *, assets: Sequence[dg.AssetKey] | None = None, **tags: str
    ) -> dg.ExecuteInProcessResult:
        span = range_tags(Day.parse(first), Day.parse(last or first))
        return self.repository.get_job(job).execute_in_process(
            run_config=QUIET, instance=self.instance, tags={**span, **tags}, raise_on_error=False, asset_selection=assets
        )

    def run_requested(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a run as the sensor requested it."""
        span = request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]
        assert request.job_name is not None
        return self.run(request.job_name, *span, assets=request.asset_selection, **request.tags)

    def job(self, name: str) -> dg.JobDefinition:
        """A job of the definitions."""
        return self.repository.get_job(name)

    def materialize(self, asset: str, first: str, last: str | None = None) -> dg.ExecuteInProcessResult:
        """Materialize one asset alone, as the UI does."""
        job = self.repository.get_implicit_global_asset_job_def().get_subset(asset_selection={dg.AssetKey(asset)})
        tags = range_tags(Day.parse(first), Day.parse(last or first))
        return job.execute_in_process(run_config=QUIET, instance=self.instance, tags=tags, raise_on_error=False)

    def fetch(self, first: str, last: str | None = None) -> None:
        assert self.run("fetch_ticket_events", first, last).success

    def tick(self) -> dg.SensorResult:
        """One tick of the sensor, as the daemon makes it; `message` is its reason to skip, or its log."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=self.repository)
        logged = _Logged()
        context.log.addHandler(logged)
        result = self.repository.get_sensor_def("new_event_partitions_sensor")(context)
        assert isinstance(result, dg.SensorResult)
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.message = result.skip_reason.skip_message if result.skip_reason else " ".join(logged.messages)
        return result

    def restart(self) -> None:
        """Start a new code server, without any cache."""
        self.repository = account_definitions(account_scope()).get_repository_def()

    def settle(self, *, most_ticks: int = 10) -> list[tuple[str, str]]:
        """Tick and execute the requested runs until none is requested; the ranges whose SLA tables were requested.

        All requests are in `requests`.
        """
        requested = []
        self.requests = []
        for _ in range(most_ticks):
            requests = self.tick().run_requests or []
            if not requests:
                return requested
            for request in requests:
                self.requests.append(request)
                if request.asset_selection is None:
                    requested.append((request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]))
                self.run_requested(request)
        raise AssertionError(f"the sensor never settles: {requested}")

    def table(self, asset: str, day: str) -> pa.Table:
        table = read_partition(self.store, asset, Day.parse(day))
        assert table is not None, f"{asset} of {day} has no file"
        return table

    def footer(self, asset: str, day: str) -> dict[str, str]:
        footer = read_metadata(self.store, asset, Day.parse(day))
        assert footer is not None, f"{asset} of {day} has no file"
        return footer

    def recorded(self, asset: str) -> set[str]:
        """The days that are materialized by Dagster's event log."""
        return self.instance.get_materialized_partitions(dg.AssetKey(asset))

    def files(self) -> dict[str, bytes]:
        """Every finished file of the root."""
        return {path: self._content(path) for path in self.store.paths("") if not path.startswith("_inflight")}

    def _content(self, path: str) -> bytes:
        with self.store.reader(path) as file:
            return file.read()


def _instance(home: Path | None) -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral() if home is None else dg.DagsterInstance.local_temp(str(home))


@contextmanager
def deployed(
    root: Path,
    *,
    now: float,
    home: Path | None = None,
    url: str | None = None,
    ticket_tables: bool = True,
    **world: Any,
) -> Iterator[Deployment]:
    """A deployment whose environment is set to a server of its own; both are gone afterwards.

    With a `url` its files lie there, and not in the folder `root`.

    With a `home` its instance lies in that folder; else in memory, which is faster. A summary takes half the time without
    `ticket_tables`.
    """
    account, clock = RecordedAccount(), Moment(now)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("ZENDESK_", "TICKET_EVENTS_"))}
    for name in kept:
        del os.environ[name]
    with SandboxServer(account, clock=clock, **world) as server, _instance(home) as instance:
        set_here = {
            "ZENDESK_BASE_URL": server.base_url,
            "ZENDESK_OAUTH_TOKEN": "sandbox",
            "ZENDESK_REQUESTS_PER_MINUTE": "100000",
            "TICKET_EVENTS_ROOT": url or str(root),
            **({} if ticket_tables else WITHOUT_TICKET_TABLES),
        }
        os.environ.update(set_here)
        try:
            repository = REPOSITORY if ticket_tables else _repository_without_ticket_tables()
            yield Deployment(root, instance, account, server, clock, url, repository=repository)
        finally:
            for name in set_here:
                os.environ.pop(name, None)
            os.environ.update(kept)
