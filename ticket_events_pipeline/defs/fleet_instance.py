"""What can be seen of a Dagster instance that several hosts share: its storage, its run launcher, and Celery's workers.

No library of a launcher is imported: the launcher's own objects are asked. No text here holds a password.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import dagster as dg

from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.errors import TicketEventsError, UsageError
from ticket_events_pipeline.installation import pip_install

OPEN_SECONDS = 60.0
"""How long a database may take to open an instance: making all tables takes two seconds on a quiet machine."""

ANSWER_SECONDS = 8.0
"""How long a broker may take to answer."""

PING_SECONDS = 2.0
"""Workers that are up answer in milliseconds; how many there are, nobody knows, so the whole time is waited."""

_EXTRA_OF = {
    "dagster_postgres": "postgres",
    "psycopg2": "postgres",
    "dagster_celery": "celery",
    "redis": "celery",
    "dagster_docker": "docker",
    "dagster_k8s": "k8s",
    "dagster_aws": "s3-logs",
}

_REFUSAL = re.compile(r"FATAL: +(.+)")
_CONFIG_PATH = re.compile(r"\broot(?::[A-Za-z0-9_<>]+)+")
_CELERY_VERSION = re.compile(r"celery:([0-9.]+)")


class StorageFacts(NamedTuple):
    """Where an instance keeps runs and events.

    Attributes:
        kind: `SQLite`, `Postgres`, or the name of another class.
        schema: revision of its tables; empty if it keeps none.
        latest: the revision that the installed Dagster wants.
    """

    kind: str
    schema: str
    latest: str


@dataclass(frozen=True)
class CeleryWorker:
    """A worker that has answered.

    Attributes:
        name: as it was started: `fetch@host`.
        version: of Celery.
        queues: that it takes tasks from.
        result_seconds: how long the results that it stores are kept; None if for ever.
    """

    name: str
    version: str
    queues: tuple[str, ...]
    result_seconds: float | None


class ResultStore(NamedTuple):
    """Where Celery keeps the state of tasks, by which Dagster's run monitoring judges whether a run is alive.

    Attributes:
        kind: class of the backend: `RedisBackend`, `DisabledBackend` …
        server: Redis settings by name; empty if it is no Redis, or doesn't let them be read.
    """

    kind: str
    server: dict[str, str]


def open_instance(home: str, *, database: str = "its database") -> dg.DagsterInstance:
    """The instance of a DAGSTER_HOME.

    Args:
        home: the folder.
        database: where its database is, for the error.

    Raises:
        UsageError: it can't be opened; says why, without the values of its dagster.yaml.
    """
    try:
        with _quiet():
            return in_time(lambda: dg.DagsterInstance.from_config(home), seconds=OPEN_SECONDS)
    except TimeoutError:
        raise UsageError(f"DAGSTER_HOME: Dagster can't open {home}: {_silent(database)}") from None
    except Exception as error:  # of a database's driver, of YAML, or of a check of Dagster's
        raise UsageError(f"DAGSTER_HOME: Dagster can't open {home}: {_explained(error)}") from None


@contextmanager
def answered_queries(database: str = "its database") -> Iterator[None]:
    """A block that asks Dagster's database, which is at `database`.

    Raises:
        UsageError: it answers no query any more, in words that hold no password.
    """
    try:
        yield
    except TicketEventsError:
        raise
    except TimeoutError:
        raise UsageError(f"Dagster's database answers no query: {_silent(database)}") from None
    except Exception as error:  # of the database's driver
        raise UsageError(f"Dagster's database answers no query: {_explained(error)}") from None


def storage_facts(instance: dg.DagsterInstance, *, database: str = "its database") -> StorageFacts:
    """What the storage is, after a query that it has answered.

    Raises:
        UsageError: it answers no query.
    """
    with answered_queries(database):
        in_time(lambda: instance.get_run_records(limit=1), seconds=OPEN_SECONDS)
        version = in_time(instance.run_storage.alembic_version, seconds=OPEN_SECONDS)
    name = type(instance.run_storage).__name__
    kind = next((kind for kind in ("SQLite", "Postgres") if name.lower().startswith(kind.lower())), name)
    current, latest = version or (None, None)
    return StorageFacts(kind, str(current or ""), str(latest or ""))


def run_launcher(instance: dg.DagsterInstance) -> Any:
    """The instance's run launcher; its own type, as no library of a launcher is imported here.

    Raises:
        UsageError: it can't be made; says why.
    """
    try:
        return in_time(lambda: instance.run_launcher, seconds=OPEN_SECONDS)
    except Exception as error:
        raise UsageError(f"run_launcher in dagster.yaml can't be made here: {_explained(error)}") from None


def broker_problem(launcher: Any) -> str:
    """Why Celery's broker can't be reached; empty if it can."""
    try:
        connection = launcher.celery.connection_for_read()
        in_time(lambda: connection.ensure_connection(max_retries=1, timeout=3), seconds=ANSWER_SECONDS)
        return ""
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} s"
    except Exception as error:  # of Redis' or RabbitMQ's client
        reasons = [cause.strerror for cause in _chain(error) if isinstance(cause, OSError) and cause.strerror]
        return reasons[-1] if reasons else type(error.__cause__ or error).__name__


def broker_address(launcher: Any) -> str:
    """Host, port and database of the broker."""
    connection = launcher.celery.connection_for_read()
    return f"{connection.transport_cls}://{connection.hostname}:{connection.port or ''}/{connection.virtual_host or ''}"


def celery_workers(launcher: Any) -> list[CeleryWorker]:
    """The workers that answer a ping now, by name.

    Raises:
        UsageError: the broker was lost meanwhile.
    """
    control = launcher.celery.control
    try:
        answers = in_time(lambda: control.ping(timeout=PING_SECONDS), seconds=OPEN_SECONDS)
        names = sorted(name for answer in answers for name in answer)
        if not names:
            return []
        inspect = control.inspect(destination=names, timeout=PING_SECONDS, limit=len(names))
        reports, conf, queues = in_time(
            lambda: (inspect.report() or {}, inspect.conf(with_defaults=True) or {}, inspect.active_queues() or {}),
            seconds=OPEN_SECONDS,
        )
    except Exception as error:
        raise UsageError(f"Celery's workers can't be asked: {type(error).__name__}") from None
    return [
        CeleryWorker(
            name,
            version=_celery_version(reports.get(name)),
            queues=tuple(sorted(queue["name"] for queue in queues.get(name, []))),
            result_seconds=as_seconds(conf.get(name, {}).get("result_expires", dt.timedelta(days=1))),
        )
        for name in names
    ]


def result_store(launcher: Any) -> ResultStore:
    """Where task states are kept, and how safely.

    Raises:
        UsageError: it can't be reached.
    """
    backend = launcher.celery.backend
    kind = type(backend).__name__
    if kind != "RedisBackend":
        return ResultStore(kind, {})
    try:
        in_time(backend.client.ping, seconds=ANSWER_SECONDS)
    except Exception as error:
        raise UsageError(f"Celery's result backend can't be reached: {type(error).__name__}") from None
    return ResultStore(kind, dict(_redis_settings(backend.client)))


def as_seconds(expires: object) -> float | None:
    """Celery's `result_expires`, a number or a duration, in seconds; None: for ever."""
    if isinstance(expires, dt.timedelta):
        return expires.total_seconds()
    return float(expires) if isinstance(expires, int | float) and expires > 0 else None


def _redis_settings(client: Any) -> Iterator[tuple[str, str]]:
    for name in ("appendonly", "save", "maxmemory", "maxmemory-policy"):
        try:
            yield from in_time(lambda name=name: client.config_get(name), seconds=OPEN_SECONDS).items()  # type: ignore[misc]
        except Exception:  # hosted servers forbid CONFIG
            return


def _celery_version(report: object) -> str:
    text = report.get("ok", "") if isinstance(report, dict) else ""
    found = _CELERY_VERSION.search(str(text))
    return found[1] if found else ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that dagster-postgres logs for each attempt to connect: the last error says it all."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _silent(database: str) -> str:
    return f"{database} doesn't answer: nothing within {OPEN_SECONDS:g} s. Check its server and the load of this machine."


def _explained(error: BaseException) -> str:
    """Why, in words that hold no value of a configuration."""
    if isinstance(error, TimeoutError):
        return f"no answer within {OPEN_SECONDS:g} s."
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, ModuleNotFoundError):
            return _missing_module(str(cause.name).partition(".")[0])
        if isinstance(cause, dg.DagsterInvalidConfigError):
            return _config_problem(cause)
        if refusal := _REFUSAL.search(str(cause)):
            return f"{refusal[1]}."
    if type(error).__module__.startswith("kubernetes."):
        return "this process runs in no pod of the Kubernetes cluster that it needs. Try the doctor in one."
    return f"{type(chain[-1]).__name__}. `dagster instance info` says more."


def _missing_module(module: str) -> str:
    if module == "psycopg":
        return (
            "SQLAlchemy 2.1 takes postgresql:// for psycopg 3, which isn't installed, while dagster-postgres brings psycopg2. "
            "Set scheme: postgresql+psycopg2 below postgres_db in dagster.yaml."
        )
    extra = _EXTRA_OF.get(module)
    return f"{module} isn't installed. " + (f"Install it: {pip_install(extra)}" if extra else "Install it here, too.")


def _config_problem(error: dg.DagsterInvalidConfigError) -> str:
    if not error.errors:  # two settings that exclude each other: the text names them, and holds no value
        return f"{str(error).partition(chr(10))[0].strip()}. The code server starts with it, daemon and webserver don't."
    places = sorted({place for one in error.errors for place in _CONFIG_PATH.findall(one.message)})
    return f"dagster.yaml has wrong settings at {', '.join(places) or 'its top'}. `dagster instance info` says more."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
