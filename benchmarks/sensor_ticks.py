"""What ticks of the sensors and schedules take: many changed days against few, and years of days behind them.

    python benchmarks/sensor_ticks.py [--rounds N]     prints a Markdown table
    python benchmarks/sensor_ticks.py --against DIR    a line: a tick over WIDE unchanged days here and in another checkout

In one process, alternately, on roots and instances of their own (SQLite below a DAGSTER_HOME): NARROW days, all landed,
summarised and recorded, of which every second was stored again with other rows; and WIDE of them. Then the other ticks, over
five years of days.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import dagster as dg
from measuring import ROUNDS, table

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.assets.sla import sla_metadata
from ticket_events_pipeline.sla.footer_cache import CACHE
from ticket_events_pipeline.sla.inputs import RawState, day_inputs
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, write_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import SLA_STREAMS

NARROW, WIDE = 20, 2000
FIVE_YEARS = 1825
STREAMS = ("ticket_events", "ticket_metric_events")
SLA = {
    "sla_clocks": SLA_CLOCKS_TABLE.schema,
    "sla_targets": SLA_TARGETS_TABLE.schema,
    "daily_sla_breach_summary": DAILY_SLA_BREACH_SUMMARY_TABLE.schema,
}
FIRST = Day(dt.date(2020, 1, 1))
HEAD = ["a tick of", "over", "wall, s", "÷ first", "CPU, s", "÷ first", "to be shown"]
NEW_DAYS = "new_event_partitions_sensor"

Tick = Callable[[], object]


class QuickStore(FolderStore):
    """A folder whose files needn't outlast a power loss."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._folder = root

    @contextmanager
    def writer(self, path: str) -> Iterator[BinaryIO]:
        """Write the file where it belongs."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            yield file


def _moment(epoch_seconds: int) -> dg.TimestampMetadataValue:
    return dg.MetadataValue.timestamp(float(epoch_seconds))


def _hash(letter: str, day: Day) -> str:
    return letter * 54 + str(day)


def _raw_footer(stream: str, day: Day, version: str, *, is_complete: bool = True) -> RawFooter:
    return RawFooter(
        schema_version=SCHEMA_VERSION,
        account="127.0.0.1",
        timezone="UTC",
        sideload=False,
        stream=stream,
        partition=str(day),
        window_start=day.start,
        window_end=day.end,
        complete=is_complete,
        next_start_time=day.end,
        requests=1,
        rows=0,
        duplicates=0,
        rejected=0,
        fetched_at=day.end + 3600,
        content_hash=_hash(version, day),
        pages=(),
        metric_rows=0,
    )


def _raw_metadata(footer: RawFooter) -> Mapping[str, Any]:
    """As many values as the pipeline records."""
    url = f"/data/{footer.stream}/date={footer.partition}/{footer.stream}.parquet"
    return {
        "dagster/row_count": 0,
        "dagster/uri": url,
        "debug/size_bytes": 9000,
        "debug/window_start": _moment(footer.window_start),
        "debug/window_end": _moment(footer.window_end),
        "complete": footer.complete,
        "debug/requests": 1,
        "debug/duplicates": 0,
        "rejected": 0,
        "metric_rows": 0,
        "fetched_at": _moment(footer.fetched_at),
        "content_hash": footer.content_hash,
        "debug/duration_seconds": 0.1,
    }


def _provenance(day: Day) -> Provenance:
    state = RawState(_hash("a", day), complete=True, fetched_at=day.end + 3600, metric_rows=0)
    previous = None if day == FIRST else _hash("sla_clocks"[-1], day.plus(-1))
    inputs = day_inputs(day, dict.fromkeys(SLA_STREAMS, state), previous_clocks=previous)
    assert inputs is not None
    return Provenance(inputs, None, FIRST.date)


def _record(instance: dg.DagsterInstance, asset: str, day: Day, metadata: Mapping[str, Any]) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=str(day), metadata=metadata))


def store_raw(store: FolderStore, stream: str, footer: RawFooter) -> None:
    """The empty raw file of a day."""
    day = Day.parse(footer.partition)
    write_partition(store, stream, day, TABLES[stream].schema.empty_table(), footer.to_metadata())


def landed(home: Path, root: Path, days: list[Day]) -> dg.DagsterInstance:
    """An instance and a root in which the days were fetched, summarised and recorded."""
    home.mkdir()
    instance, store = dg.DagsterInstance.local_temp(str(home)), QuickStore(root)
    for number, day in enumerate(days):
        if number % 500 == 0 and number:
            print(f"{number} of {len(days)} days recorded", file=sys.stderr, flush=True)
        for stream in STREAMS:
            footer = _raw_footer(stream, day, "a")
            store_raw(store, stream, footer)
            _record(instance, stream, day, _raw_metadata(footer))
        provenance = _provenance(day)
        for asset, schema in SLA.items():
            content_hash = _hash(asset[-1], day)
            footer_keys = {"schema_version": str(SCHEMA_VERSION), "partition": str(day), "content_hash": content_hash}
            write_partition(store, asset, day, schema.empty_table(), {**provenance.to_metadata(), **footer_keys})
            url = store.url(partition_path(asset, day))
            metadata = sla_metadata(provenance, rows=0, url=url, size_bytes=9000, content_hash=content_hash)
            _record(instance, asset, day, metadata)
        _record(instance, "sla_breach_report", day, {})
    return instance


def changed(root: Path, days: list[Day]) -> None:
    """Every second day is stored again."""
    for day in days[::2]:
        store_raw(QuickStore(root), STREAMS[1], _raw_footer(STREAMS[1], day, "b"))


def sensor_tick(
    repository: dg.RepositoryDefinition, name: str, instance: dg.DagsterInstance, *, root: Path | None = None
) -> Callable[[], dg.SensorResult]:
    """A tick of the sensor, to be called as often as wished."""
    sensor, cursor = repository.get_sensor_def(name), None

    def tick() -> dg.SensorResult:
        nonlocal cursor
        if root is not None:
            os.environ["TICKET_EVENTS_ROOT"] = str(root)
        result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository))
        cursor = getattr(result, "cursor", None)
        return result

    return tick


def restarted_tick(instance: dg.DagsterInstance, root: Path, *, forgets: bool) -> Tick:
    """The first tick of a new code server; one that also `forgets` finds no cache of earlier ones in the root."""
    from ticket_events_pipeline.defs.definitions import account_definitions
    from ticket_events_pipeline.defs.scope import account_scope

    def tick() -> object:
        if forgets:
            (root / CACHE).unlink(missing_ok=True)
        return sensor_tick(account_definitions(account_scope()).get_repository_def(), NEW_DAYS, instance, root=root)()

    return tick


def schedule_tick(repository: dg.RepositoryDefinition, name: str, instance: dg.DagsterInstance) -> Tick:
    """A tick of the schedule, now."""
    schedule = repository.get_schedule_def(name)
    now = dt.datetime.fromtimestamp(wall_clock(), dt.UTC)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=now, repository_def=repository)
    return lambda: schedule(context)


def store_days(root: Path, days: list[Day]) -> None:
    """Empty raw files, complete but for the last day."""
    for stream in STREAMS:
        for day in days:
            store_raw(QuickStore(root), stream, _raw_footer(stream, day, "a", is_complete=day != days[-1]))
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


def main(*, rounds: int = ROUNDS) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, environment(Path(name) / "root", FIRST):
        from ticket_events_pipeline.definitions import defs  # reads the first day as it is imported

        repository, folder = defs.get_repository_def(), Path(name)
        narrow_days, wide_days = (days_between(FIRST, FIRST.plus(number - 1)) for number in (NARROW, WIDE))
        narrow = landed(folder / "narrow", folder / "narrow_root", narrow_days)
        wide = landed(folder / "wide", folder / "wide_root", wide_days)
        shutil.copytree(folder / "wide_root", folder / "changed_root")
        changed(folder / "narrow_root", narrow_days)
        changed(folder / "changed_root", wide_days)
        today = Day.containing(wall_clock())
        store_days(folder / "root", days_between(today.plus(1 - FIVE_YEARS), today))
        stored = f"{FIVE_YEARS} stored days"
        wide_root = folder / "wide_root"
        ticks: dict[tuple[str, str], Tick] = {
            (NEW_DAYS, f"{NARROW // 2} changed of {NARROW}"): sensor_tick(
                definitions(), NEW_DAYS, narrow, root=folder / "narrow_root"
            ),
            (NEW_DAYS, f"{WIDE // 2} changed of {WIDE}"): sensor_tick(
                definitions(), NEW_DAYS, wide, root=folder / "changed_root"
            ),
            (NEW_DAYS, f"{WIDE} days, nothing new"): sensor_tick(definitions(), NEW_DAYS, wide, root=wide_root),
            (NEW_DAYS, f"{WIDE} days, a new code server"): restarted_tick(wide, wide_root, forgets=False),
            (NEW_DAYS, f"{WIDE} days, and no footer remembered"): restarted_tick(wide, wide_root, forgets=True),
        }
        for sensor in ("sla_breach_alert_sensor", "dead_runs_sensor"):
            ticks[sensor, stored] = sensor_tick(repository, sensor, wide, root=folder / "root")
        for schedule in ("hourly_fetch", "daily_restatement"):
            ticks[schedule, stored] = schedule_tick(repository, schedule, wide)
        print(table(HEAD, lines(ticks, rounds=rounds)))


def definitions() -> dg.RepositoryDefinition:
    """The definitions, as a code server of its own loads them."""
    from ticket_events_pipeline.defs.definitions import account_definitions
    from ticket_events_pipeline.defs.scope import account_scope

    return account_definitions(account_scope()).get_repository_def()


def against(other: Path, *, rounds: int) -> None:
    """Print what a tick over WIDE unchanged days takes here and in another checkout, on the same files and instance."""
    with tempfile.TemporaryDirectory() as name, environment(Path(name) / "root", FIRST):
        landed(Path(name) / "home", Path(name) / "root", days_between(FIRST, FIRST.plus(WIDE - 1)))
        servers = {checkout: _server(checkout, Path(name) / "home") for checkout in (Path(__file__).parent.parent, other)}
        found: dict[Path, list[float]] = {checkout: [] for checkout in servers}
        for number in range(rounds + 3):  # the first ticks fill the caches
            for checkout, server in servers.items():
                assert server.stdin is not None
                assert server.stdout is not None
                print(file=server.stdin, flush=True)
                seconds = float(server.stdout.readline())
                found[checkout] += [seconds] if number >= 3 else []
        for server in servers.values():
            server.kill()
            server.wait()
        here, there = (statistics.median(times) for times in found.values())
        print(f"{WIDE} days, nothing new: {here:.3f} s here, {there:.3f} s in {other.name}, {here / there:.1f} times")


def _server(checkout: Path, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", _SERVER, str(home)]
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.Popen(command, env=env, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


_SERVER = """
import sys, time
import dagster as dg
from ticket_events_pipeline.definitions import defs
repository = defs.get_repository_def()
sensor, cursor = repository.get_sensor_def("new_event_partitions_sensor"), None
instance = dg.DagsterInstance.local_temp(sys.argv[1])
for _ in sys.stdin:
    begun = time.monotonic()
    result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository))
    print(time.monotonic() - begun, flush=True)
    assert not result.run_requests and not result.asset_events
    cursor = result.cursor
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_args()
    if arguments.against is None:
        main(rounds=arguments.rounds)
    else:
        against(arguments.against.resolve(), rounds=arguments.rounds)
