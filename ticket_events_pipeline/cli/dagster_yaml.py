"""What a dagster.yaml of its own lacks compared with the shipped one, which grows with the versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def _lacks(found: Any, shipped: Any) -> bool:
    """A switch must be set as shipped; of a section, any own values count as there."""
    return not found if isinstance(shipped, dict) else found is not shipped


def _at(values: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values
