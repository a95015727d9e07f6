"""A thousand flipped bits in the files of a root, one at a time, and everything that reads them.

What comes out is what the undamaged files give, or an error that names the file. What a damaged file only adds to a figure is
reported as unknown. `FLIPS` and `FLIPS_SEED` ask for more or others.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import partial
from shutil import copytree

import pytest

from ticket_events_pipeline.alerts.observe import reading_times, summarised_days
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.ingest.catch_up import CompleteFiles, catch_up
from ticket_events_pipeline.quality.sla_tables import counts_match_targets, open_targets_add_up
from ticket_events_pipeline.report.builder import read_day_report
from ticket_events_pipeline.report.markdown import summary_markdown
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.sources import raw_state
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.journal_file import JournalFiles, journal_file_name
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.damages import flipped
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.quality_cases import named
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

pytestmark = pytest.mark.slow

FLIPS, SEED = int(os.environ.get("FLIPS", "1000")), int(os.environ.get("FLIPS_SEED", "1"))
FIRST, LAST = Day.parse("2026-03-02"), Day.parse("2026-03-07")
DAY, NEXT = LAST.plus(-1), LAST
AUDITS, METRIC = "ticket_events", "ticket_metric_events"
NOW = LAST.end + 3600
JOURNAL_FILE = "journal file"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    root, clock = tmp_path_factory.mktemp("stored"), Moment(NOW)
    with SandboxServer(SimulatedAccount(tickets_per_day=3), clock=clock) as server:
        for stream in STREAMS:
            fetch(server, root, stream, str(FIRST), str(LAST), clock=clock)
    make_sla_days(root, FIRST, LAST)
    rows = read_partition(FolderStore(root), METRIC, DAY)
    journal_of(root).write(journal_file_name(1), rows.schema, [rows], lambda parts: str(len(parts)))
    return root


def journal_of(root):
    return JournalFiles(FolderStore(root), METRIC, "pass")


def path_of(root, what):
    return root / (f"_inflight/segments/{METRIC}/pass/000001.parquet" if what == JOURNAL_FILE else partition_path(what, DAY))


# The readers. Each returns something comparable.


def tables(root, *assets, day):
    return [read_partition(FolderStore(root), asset, day).to_pylist() for asset in assets]


def made(root, make, asset, day):
    return [(found.content_hash, found.provenance, found.table.to_pylist()) for found in make(FolderStore(root), [day])]


def sla_days(root, first, last):
    make_sla_days(root, first, last)
    return [tables(root, TARGETS, SUMMARY, day=day) for day in days_between(first, last)]


def report(root):
    report = read_day_report(FolderStore(root), DAY, account="acme", tickets_url=None)
    return report, summary_markdown(report)


def alerts(root):
    problems: list[str] = []
    found = summarised_days(FolderStore(root), DAY, problems), reading_times(FolderStore(root), DAY, problems)
    if problems:
        raise DamagedFileError(" ".join(problems))
    return found


def checks(root):
    """A check reports as a finding what a reader raises."""
    found = [*counts_match_targets(FolderStore(root), [DAY]), *open_targets_add_up(FolderStore(root), [DAY])]
    findings = [str(finding) for checked in found for finding in checked.findings]
    if findings:
        raise DamagedFileError(f"{root}: {' '.join(findings)}")
    return found


def verify(root, stream):
    findings = named(root, stream, [DAY], now=NOW)
    if findings:
        raise DamagedFileError(f"{root}: {stream} {findings}")
    return findings


def footer(root, stream):
    return read_raw_footer(FolderStore(root), stream, DAY), raw_state(FolderStore(root), stream, DAY)


def next_fetch(root, stream):
    """A damaged day is no error to the next fetch: it is fetched again."""
    found = catch_up(FolderStore(root), LAST.plus(1), CompleteFiles())
    if DAY in found.days:
        raise DamagedFileError(f"{root}: {stream} of {DAY} is fetched again")
    return found


def journal_file(root):
    folder = journal_of(root)
    (part,) = folder.write(journal_file_name(2), TABLES[METRIC].schema, [TABLES[METRIC].schema.empty_table()], lambda _: "")
    run = folder.run(type(part)(journal_file_name(1), (0,), part.rows, 1000))
    return folder.text(journal_file_name(1)), [table.to_pylist() for table in run.tables()]


RAW_READERS = [partial(sla_days, first=DAY, last=DAY), partial(sla_days, first=NEXT, last=NEXT), alerts]

READERS = {
    METRIC: [*RAW_READERS, partial(next_fetch, stream=METRIC), partial(verify, stream=METRIC), partial(footer, stream=METRIC)],
    AUDITS: [*RAW_READERS, partial(next_fetch, stream=AUDITS), partial(verify, stream=AUDITS), partial(footer, stream=AUDITS)],
    CLOCKS: [
        partial(sla_days, first=NEXT, last=NEXT),
        partial(sla_days, first=DAY, last=NEXT),
        partial(made, make=make_clocks, asset=CLOCKS, day=NEXT),
        partial(made, make=make_targets, asset=TARGETS, day=DAY),
        checks,
    ],
    TARGETS: [partial(made, make=make_summaries, asset=SUMMARY, day=DAY), report, checks],
    SUMMARY: [report, checks, alerts, partial(sla_days, first=DAY, last=DAY)],
    JOURNAL_FILE: [journal_file],
}


@pytest.mark.parametrize("what", READERS)
def test_flipped_bits_cause_no_wrong_figure_and_no_unexpected_error(stored, tmp_path, what):
    root = tmp_path / "root"
    copytree(stored, root)
    kept = {path: path.read_bytes() for path in root.rglob("*.parquet")}
    truth = [read(root) for read in READERS[what]]
    rng, path, counts = random.Random(SEED), path_of(root, what), Counter()  # noqa: S311 - the same bits every time
    for _ in range(flips := -(-FLIPS // len(READERS))):
        for place in (place for place, content in kept.items() if place.read_bytes() != content):
            place.write_bytes(kept[place])
        bit, number = rng.randrange(8 * len(kept[path])), rng.randrange(len(READERS[what]))
        path.write_bytes(flipped(kept[path], bit))
        try:
            assert READERS[what][number](root) == truth[number], f"bit {bit}"
            counts["right"] += 1
        except DamagedFileError as error:
            named = {"journal file": "_inflight/segments"}.get(what, what)
            assert {str(root) in str(error), named in str(error)} == {True}, f"bit {bit}"  # noqa: PT017 - it need not come
            counts["refused"] += 1
    assert counts.total() == flips
    assert counts["refused"]


def test_an_open_day_with_a_flipped_bit_is_fetched_again_completely(tmp_path):
    clock, rng = Moment(DAY.start + 40_000), random.Random(SEED)  # noqa: S311 - the same bits every time
    with SandboxServer(SimulatedAccount(tickets_per_day=3), clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        path = path_of(tmp_path, METRIC)
        content = path.read_bytes()
        clock.now = NOW
        (right,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        for _ in range(FLIPS // 50):
            path.write_bytes(flipped(content, rng.randrange(8 * len(content))))
            (day,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
            assert (day.footer.content_hash, day.footer.complete) == (right.footer.content_hash, True)
