"""The checks of a fleet that look at Dagster: its storage, the settings that hosts need, its run launcher, Celery's workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticket_events_pipeline.cli.dagster_yaml import has_launcher, launcher_alone, unset_variables
from ticket_events_pipeline.cli.doctor_checks import Check, Deployment, Finding, Status
from ticket_events_pipeline.cli.waits import database_name, import_libraries
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.text import duration_text, plural

if TYPE_CHECKING:
    from ticket_events_pipeline.defs.fleet_instance import CeleryWorker, ResultStore, StorageFacts

LEAST_RESULT_SECONDS = 7 * 86_400
"""A run whose Celery result has expired counts as dead for Dagster's run monitoring: longer than any run."""

BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE"


def check_instance(deployment: Deployment) -> Iterator[Finding]:
    """Dagster's storage and run launcher, as DAGSTER_HOME configures them."""
    home = deployment.home
    if deployment.home_problem:
        yield Finding.failed("storage", deployment.home_problem)
        return
    if not home or not Path(home).is_dir():
        text = "DAGSTER_HOME is not set to a folder, so neither Dagster's database nor its run launcher can be tried."
        yield Finding("storage", Status.FAILED, text, "Set it to the folder with the dagster.yaml of the fleet.")
        return
    if not os.path.isfile(Path(home) / "dagster.yaml"):
        text = (
            f"DAGSTER_HOME: {home} has no dagster.yaml, so Dagster keeps its runs in SQLite here and shares them with nobody."
        )
        yield Finding("storage", Status.FAILED, text, "Copy the fleet's dagster.yaml there.")
        return
    import_libraries(home)
    yield from _instance_findings(deployment)


def _instance_findings(deployment: Deployment) -> Iterator[Finding]:
    # Dagster, which most other checks don't need.
    from ticket_events_pipeline.defs.fleet_instance import open_instance, storage_facts

    try:
        if deployment.database_problem:
            raise UsageError(deployment.database_problem)
        database = database_name(deployment.home, deployment.variables)
        with open_instance(deployment.home, database=database) as instance:
            facts = storage_facts(instance, database=database)
            yield from storage_findings(facts, deployment.variables.get(BATCH_SIZE, ""))
            yield from _launcher_findings(instance)
    except UsageError as error:
        yield Finding.failed("storage", str(error))
        yield from _launcher_alone(deployment)


def _launcher_alone(deployment: Deployment) -> Iterator[Finding]:
    """The run launcher and what belongs to it, where Dagster's database can't be used."""
    from ticket_events_pipeline.defs.fleet_instance import open_instance

    path = Path(deployment.home) / "dagster.yaml"
    if not has_launcher(path) or unset_variables(path, deployment.variables):
        return
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "dagster.yaml").write_text(launcher_alone(path), encoding="utf-8")
        try:
            with open_instance(home) as instance:
                yield from _launcher_findings(instance)
        except UsageError:  # a wrong setting, which the line before names
            return


def storage_findings(facts: StorageFacts, batch_size: str) -> Iterator[Finding]:
    """What the storage means for several hosts."""
    if facts.kind == "SQLite":
        text = "storage: Dagster keeps its runs in SQLite, which one machine alone can use"
        yield Finding("storage", Status.FAILED, text, "Configure Postgres in dagster.yaml: storage: postgres: postgres_db: …")
        return
    if facts.schema != facts.latest:
        schema = facts.schema or "none"
        text = f"storage: the tables in {facts.kind} are of another version of Dagster ({schema}, not {facts.latest})"
        fix = "Stop webserver, daemon and code server, run `dagster instance migrate` once, and start them again."
        yield Finding("storage", Status.FAILED, text, fix)
    else:
        yield Finding("storage", Status.OK, f"storage: {facts.kind} answers, its tables are of this version of Dagster")
    if facts.kind == "Postgres" and not batch_size.strip().isdigit():
        text = f"{BATCH_SIZE} is not set: every event of a run is a transaction of its own, more than twice as many as needed"
        fix = f"Set {BATCH_SIZE}=1000 where runs are executed: code server, workers, containers."
        yield Finding("event_batch", Status.NOTE, text, fix)


def _launcher_findings(instance: Any) -> Iterator[Finding]:
    from ticket_events_pipeline.defs.fleet_instance import run_launcher

    try:
        launcher = run_launcher(instance)
    except UsageError as error:
        yield Finding.failed("launcher", str(error))
        return
    name = type(launcher).__name__
    if name == "CeleryRunLauncher":
        yield from _celery_findings(launcher)
    elif name == "DefaultRunLauncher":
        text = "run launcher: the default one, so every run is executed on the code server's host"
        yield Finding("launcher", Status.NOTE, text, "Configure run_launcher in dagster.yaml to use other hosts.")
    else:
        text = f"run launcher: {name}; what it starts isn't checked from here. Each run's log says if its variables differ"
        yield Finding("launcher", Status.OK, text)


def _celery_findings(launcher: Any) -> Iterator[Finding]:
    from ticket_events_pipeline.defs.fleet_instance import (
        broker_address,
        broker_problem,
        celery_workers,
        result_store,
    )

    address = broker_address(launcher)
    if problem := broker_problem(launcher):
        text = f"broker: {address} can't be reached ({problem})"
        fix = "Check that it runs, the firewall between here and there, and run_launcher.config.broker in dagster.yaml."
        yield Finding("broker", Status.FAILED, text, fix)
        return
    yield Finding("broker", Status.OK, f"broker: {address} answers")
    try:
        workers = celery_workers(launcher)
        yield from worker_findings(workers, launcher.default_queue)
        yield from expiry_findings(workers)
        yield from result_store_findings(result_store(launcher))
    except UsageError as error:
        yield Finding.failed("workers", str(error))


def worker_findings(workers: list[CeleryWorker], queue: str) -> Iterator[Finding]:
    """Whether somebody takes the runs from the queue."""
    if not workers:
        text = "workers: none answers, so every run waits in the queue"
        fix = "Start one on each host: dagster-celery worker start -A dagster_celery.app -y celery.yaml"
        yield Finding("workers", Status.FAILED, text, fix)
        return
    listening = [worker for worker in workers if queue in worker.queues]
    named = ", ".join(f"{worker.name} (Celery {worker.version or 'unknown'})" for worker in workers)
    if not listening:
        text = f"workers: {named}: none takes tasks from the queue {queue}, so every run waits there"
        yield Finding("workers", Status.FAILED, text, f"Start one with -q {queue}, or set default_queue of the run launcher.")
        return
    yield Finding("workers", Status.OK, f"workers: {plural(len(workers), 'worker')} answered: {named}")
    if len({worker.version for worker in workers}) > 1:
        yield Finding("workers", Status.NOTE, "workers: their versions of Celery differ", "Install the same one on every host.")


def expiry_findings(workers: list[CeleryWorker]) -> Iterator[Finding]:
    """Whether the record of a run's task, which the worker writes, lasts longer than a long run."""
    for where, seconds in ((worker.name, worker.result_seconds) for worker in workers):
        if seconds is not None and seconds < LEAST_RESULT_SECONDS:
            text = (
                f"result_expires is {duration_text(seconds)} at {where}: Dagster's run monitoring ends a healthy run that "
                "takes longer, as its task is then unknown"
            )
            setting = f"config_source: {{result_expires: {4 * LEAST_RESULT_SECONDS}}}"
            fix = f"Set {setting} in celery.yaml, and start the worker again."
            yield Finding("result_expires", Status.FAILED if seconds < 86_400 else Status.NOTE, text, fix)


def result_store_findings(store: ResultStore) -> Iterator[Finding]:
    """Whether the states of tasks survive: without them, run monitoring takes running runs for dead."""
    check = "result_backend"
    if store.kind in ("DisabledBackend", "RPCBackend"):
        kind = "none" if store.kind == "DisabledBackend" else "rpc"
        text = f"result backend: {kind}, so nobody sees whether a run's task is alive"
        yield Finding(check, Status.FAILED, text, "Set backend of the run launcher and in celery.yaml, to Redis or a database.")
        return
    if store.kind != "RedisBackend":
        yield Finding(check, Status.OK, f"result backend: {store.kind}")
        return
    if not store.server:
        text = "result backend: Redis answers, but doesn't let its settings be read (CONFIG GET)"
        yield Finding(
            check, Status.NOTE, text, "Check that it writes to disk (appendonly yes) and evicts nothing (noeviction)."
        )
        return
    problems = list(_redis_problems(store.server))
    yield from problems
    if not problems:
        yield Finding(check, Status.OK, "result backend: Redis answers, writes every change to disk and evicts nothing")


def _redis_problems(server: dict[str, str]) -> Iterator[Finding]:
    check, appends = "result_backend", server.get("appendonly") == "yes"
    if not appends and not server.get("save", ""):
        text = "result backend: Redis writes nothing to disk: after its restart, running runs are taken for dead"
        yield Finding(check, Status.FAILED, text, "Set appendonly yes in redis.conf.")
    elif not appends:
        text = f"result backend: Redis writes to disk only now and then (save {server['save']}): a crash loses the last tasks"
        yield Finding(check, Status.NOTE, text, "Set appendonly yes in redis.conf.")
    policy = server.get("maxmemory-policy", "noeviction")
    if policy != "noeviction" and server.get("maxmemory", "0") != "0":
        text = f"result backend: Redis evicts keys when it is full (maxmemory-policy {policy}): running runs are taken for dead"
        yield Finding(check, Status.FAILED, text, "Set maxmemory-policy noeviction in redis.conf.")


INSTANCE_CHECKS: tuple[Check, ...] = (check_instance,)
"""In the order of their lines."""
