"""What ticks of the sensors and schedules take: many changed days against few, and years of days behind them.

    python benchmarks/sensor_ticks.py [--rounds N]     prints a Markdown table

In one process, alternately, on instances of their own (SQLite below a DAGSTER_HOME): NARROW days, all landed and summarised, of
which every second has landed again with other rows; and WIDE of them. Then the others over five years of stored days.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from measuring import ROUNDS, table

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.sensors import WATCHED
from ticket_events_pipeline.lake.partition_file import partition_path, write_partition
from ticket_events_pipeline.lake.raw_footer import RawFooter
from ticket_events_pipeline.lake.schemas import RAW_SCHEMAS, SCHEMA_VERSION
from ticket_events_pipeline.lake.store import FolderStore
from ticket_events_pipeline.summarize.inputs import RawState, day_inputs

NARROW, WIDE = 20, 2000
FIVE_YEARS = 1825
STREAMS = ("ticket_events", "ticket_metric_events")
FIRST = Day(dt.date(2020, 1, 1))
CLOCKS_HASH = "c" * 64
HEAD = ["a tick of", "over", "wall, s", "÷ first", "CPU, s", "÷ first", "to be shown"]
NEW_DAYS = "new_event_partitions_sensor"

Tick = Callable[[], object]


@dataclass(frozen=True)
class Landed:
    """An instance whose days have landed.

    Attributes:
        cursor: of the sensor, when all was summarised.
    """

    instance: dg.DagsterInstance
    cursor: str


def _moment(epoch_seconds: int) -> dg.TimestampMetadataValue:
    return dg.MetadataValue.timestamp(float(epoch_seconds))


def _state(day: Day, version: str) -> RawState:
    return RawState(content_hash=version * 64, complete=True, fetched_at=day.end + 3600, metric_rows=137)


def _raw_metadata(day: Day, version: str) -> Mapping[str, Any]:
    """As many values as the pipeline records."""
    state = _state(day, version)
    url = f"/data/ticket_metric_events/date={day}/ticket_metric_events.parquet"
    return {
        "dagster/row_count": 137,
        "dagster/uri": url,
        "file": dg.MetadataValue.path(url),
        "size_bytes": 9000,
        "window_start": _moment(day.start),
        "window_end": _moment(day.end),
        "complete": state.complete,
        "requests": 1,
        "duplicates": 0,
        "rejected": 0,
        "metric_rows": state.metric_rows,
        "fetched_at": _moment(state.fetched_at),
        "content_hash": state.content_hash,
        "oldest_event": _moment(day.start),
        "newest_event": _moment(day.end - 1),
        "duration_seconds": 0.1,
    }


def _sla_metadata(day: Day) -> Mapping[str, Any]:
    inputs = day_inputs(
        day,
        ticket_events=_state(day, "a"),
        ticket_metric_events=_state(day, "a"),
        previous_clocks=None if day == FIRST else CLOCKS_HASH,
    )
    assert inputs is not None
    made_from = {name: text for name, text in inputs.to_metadata().items() if name.startswith("made_from_")}
    return {**made_from, "complete": inputs.complete, "as_of": _moment(inputs.as_of), "content_hash": CLOCKS_HASH}


def _tell(instance: dg.DagsterInstance, asset: str, day: Day, metadata: Mapping[str, Any]) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=str(day), metadata=metadata))


def landed(home: Path, repository: dg.RepositoryDefinition, days: list[Day]) -> Landed:
    """An instance in which the days were summarised, and then every second has landed again."""
    home.mkdir()
    instance = dg.DagsterInstance.local_temp(str(home))
    for number, day in enumerate(days):
        if number % 500 == 0 and number:
            print(f"{number} of {len(days)} days told", file=sys.stderr, flush=True)
        for stream in STREAMS:
            _tell(instance, stream, day, _raw_metadata(day, "a"))
        for asset in ("sla_clocks", "daily_sla_breach_summary"):
            _tell(instance, asset, day, _sla_metadata(day))
    settled = sensor_tick(repository, NEW_DAYS, instance, None)()
    assert not settled.run_requests, "all was summarised"
    for day in days[::2]:
        _tell(instance, "ticket_metric_events", day, _raw_metadata(day, "b"))
    return Landed(instance, settled.cursor)


def sensor_tick(
    repository: dg.RepositoryDefinition, name: str, instance: dg.DagsterInstance, cursor: str | None
) -> Callable[[], dg.SensorResult]:
    """A tick of the sensor, to be called as often as wished."""
    sensor = repository.get_sensor_def(name)
    return lambda: sensor(dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository))


def schedule_tick(repository: dg.RepositoryDefinition, name: str, instance: dg.DagsterInstance) -> Tick:
    """A tick of the schedule, now."""
    schedule = repository.get_schedule_def(name)
    now = dt.datetime.fromtimestamp(wall_clock(), dt.UTC)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=now, repository_def=repository)
    return lambda: schedule(context)


def store_days(root: Path, days: list[Day]) -> None:
    """Empty raw files, complete but for the last day."""
    store = FolderStore(root)
    for stream in STREAMS:
        for day in days:
            footer = RawFooter(
                schema_version=SCHEMA_VERSION,
                account="127.0.0.1",
                timezone="UTC",
                sideload=False,
                stream=stream,
                partition=str(day),
                window_start=day.start,
                window_end=day.end,
                complete=day != days[-1],
                next_start_time=day.end,
                requests=1,
                rows=0,
                duplicates=0,
                rejected=0,
                fetched_at=int(wall_clock()),
                content_hash="a" * 64,
                pages=(),
            )
            write_partition(store, stream, day, RAW_SCHEMAS[stream].empty_table(), footer.to_metadata())
        assert (root / partition_path(stream, days[0])).exists()


@contextmanager
def environment(root: Path, first: Day) -> Iterator[None]:
    """The variables of an account whose files lie below `root`."""
    os.environ |= {
        "ZENDESK_BASE_URL": "http://127.0.0.1:9",
        "ZENDESK_OAUTH_TOKEN": "x",
        "TICKET_EVENTS_ROOT": str(root),
        "TICKET_EVENTS_START_DATE": str(first),
        "TICKET_EVENTS_ALERT_WEBHOOK": "http://127.0.0.1:9/",
    }
    yield


def measured_alternately(ticks: Mapping[str, Tick], *, rounds: int) -> dict[str, tuple[float, float]]:
    """The medians of wall and CPU seconds; each ticks once before it is measured."""
    for tick in ticks.values():
        tick()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ticks}
    for _ in range(rounds):
        for name, tick in ticks.items():
            begun, cpu_begun = time.monotonic(), time.process_time()
            tick()
            found[name].append((time.monotonic() - begun, time.process_time() - cpu_begun))
    return {
        name: (statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times))
        for name, times in found.items()
    }


def lines(ticks: Mapping[tuple[str, str], Tick], *, rounds: int) -> list[list[object]]:
    """A line of the table for each (name, what it goes over)."""
    found = measured_alternately(ticks, rounds=rounds)
    first_wall, first_cpu = next(iter(found.values()))
    shown = {f"{WIDE // 2} changed of {WIDE}": "÷ first ≤ 20"}
    return [
        [
            f"`{name}`",
            over,
            f"{wall:.3f}",
            f"{wall / first_wall:.1f}",
            f"{cpu:.3f}",
            f"{cpu / first_cpu:.1f}",
            shown.get(over, ""),
        ]
        for (name, over), (wall, cpu) in found.items()
    ]


def _figures(seconds: float, first: float) -> list[str]:
    return [f"{seconds:.3f}", f"{seconds / first:.1f}"]


def main(*, rounds: int = ROUNDS) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, environment(Path(name) / "root", FIRST):
        from ticket_events_pipeline.definitions import defs  # reads the first day as it is imported

        repository = defs.get_repository_def()
        narrow = landed(Path(name) / "narrow", repository, days_between(FIRST, FIRST.plus(NARROW - 1)))
        wide = landed(Path(name) / "wide", repository, days_between(FIRST, FIRST.plus(WIDE - 1)))
        today = Day.containing(wall_clock())
        store_days(Path(name) / "root", days_between(today.plus(1 - FIVE_YEARS), today))
        stored = f"{FIVE_YEARS} stored days"
        behind_all = json.dumps(dict.fromkeys(WATCHED, 10**9))
        ticks: dict[tuple[str, str], Tick] = {
            (NEW_DAYS, f"{NARROW // 2} changed of {NARROW}"): sensor_tick(repository, NEW_DAYS, narrow.instance, narrow.cursor),
            (NEW_DAYS, f"{WIDE // 2} changed of {WIDE}"): sensor_tick(repository, NEW_DAYS, wide.instance, wide.cursor),
            (NEW_DAYS, f"{WIDE} days, nothing new"): sensor_tick(repository, NEW_DAYS, wide.instance, behind_all),
            (NEW_DAYS, f"{WIDE} days, the cursor lost"): sensor_tick(repository, NEW_DAYS, wide.instance, None),
        }
        for sensor in ("sla_breach_alert_sensor", "dead_runs_sensor"):
            ticks[sensor, stored] = sensor_tick(repository, sensor, wide.instance, None)
        for schedule in ("hourly_fetch", "daily_restatement"):
            ticks[schedule, stored] = schedule_tick(repository, schedule, wide.instance)
        print(table(HEAD, lines(ticks, rounds=rounds)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    main(**vars(parser.parse_args()))
