"""What a dagster.yaml of its own lacks compared with the shipped one, which grows with the versions; where its database is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ticket_events_pipeline.cli.env_file import template

_WITHOUT = {
    ("run_retries", "enabled"): "killed runs are not started again",
    ("run_monitoring", "enabled"): "runs that don't start or don't end stay in progress",
    ("concurrency", "pools"): "any number of runs may fetch at once, and a backfill can delay the hourly fetch",
    ("freshness", "enabled"): "the UI doesn't show which assets are stale",
    ("telemetry", "enabled"): "Dagster sends usage statistics to its maker",
}
"""What happens without these settings of the shipped file."""


_POSTGRES_PORT = 5432


def old_dagster_yaml(path: Path) -> list[str]:
    """Sentences on the settings of the shipped dagster.yaml that the file lacks or turns off; none if it has all of them.

    A missing file lacks them all. One that isn't YAML is named.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [f"{path}: it can't be read ({type(error).__name__})."]
    shipped = yaml.safe_load(template("dagster.yaml"))
    return [
        f"{path}: {'.'.join(keys)} is not as shipped, so {effect}."
        for keys, effect in _WITHOUT.items()
        if _lacks(_at(found, keys), _at(shipped, keys))
    ]


def unset_variables(path: Path, variables: Mapping[str, str]) -> list[str]:
    """The environment variables that the file refers to and that aren't set, sorted."""
    return sorted({name for name in _references(_read(path)) if not variables.get(name, "").strip()})


def postgres_address(path: Path, variables: Mapping[str, str]) -> tuple[str, int] | None:
    """Host and port of the Postgres that the file names; None if it names none, or one that isn't reached by a host."""
    storage = _at(_read(path), ("storage", "postgres"))
    url = _resolved(_at(storage, ("postgres_url",)), variables)
    try:
        if url:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _POSTGRES_PORT
        else:
            host = _resolved(_at(storage, ("postgres_db", "hostname")), variables)
            port = int(_resolved(_at(storage, ("postgres_db", "port")), variables) or _POSTGRES_PORT)
    except ValueError:  # Dagster says what is wrong with it
        return None
    return (host, port) if host and not host.startswith("/") else None


def modules_of(path: Path) -> list[str]:
    """The modules from which Dagster takes what the file configures, sorted."""
    found = _read(path)
    database = {f"dagster_{name}" for name in ("postgres", "mysql") if _at(found, ("storage", name)) is not None}
    return sorted(database | set(_modules(found)))


def has_launcher(path: Path) -> bool:
    """Whether the file configures where runs are executed."""
    return bool(_at(_read(path), ("run_launcher",)))


def launcher_alone(path: Path) -> str:
    """A dagster.yaml with nothing but the file's run launcher, as text: Dagster opens it without the file's database."""
    return str(yaml.safe_dump({"run_launcher": _at(_read(path), ("run_launcher",))}))


def _modules(value: Any) -> Iterator[str]:
    for section in value.values() if isinstance(value, dict) else ():
        if isinstance(section, dict) and isinstance(section.get("module"), str):
            yield section["module"]


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"env"} and isinstance(value["env"], str):
            yield value["env"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _resolved(value: Any, variables: Mapping[str, str]) -> str:
    """A value, or that of the environment variable that it refers to; empty if there is none."""
    name = value.get("env") if isinstance(value, dict) else None
    return variables.get(str(name), "") if name else "" if value is None else str(value)


def _lacks(found: Any, shipped: Any) -> bool:
    """A switch must be set as shipped; of a section, any own values count as there."""
    return not found if isinstance(shipped, dict) else found is not shipped


def _at(values: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values
