"""The footer key `restatements`: how often a day's figures changed after the day was complete."""

import pyarrow as pa
import pytest

from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.restatements import RESTATEMENTS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata
from ticket_events_pipeline_tests.support.damages import rewrite, truncated
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, sla_root

DAY = Clock.DAY
NEXT = DAY.plus(1)


def events(*, breaches=0):
    """A target, and others that breached."""
    clocks = [Clock(ticket_id=n, first_id=10 * n).apply(9, 60) for n in range(1, breaches + 2)]
    for clock in clocks[1:]:
        clock.add("breach", 10)
    return all_events(*clocks)


def stored_count(root, day=DAY):
    return read_metadata(FolderStore(root), SUMMARY, day)[RESTATEMENTS]


def counts(root, *deliveries, **more):
    """The counts of the footer and of the made day, after each delivery was stored and summarised."""
    counts = []
    for rows in deliveries:
        (made,) = sla_root(root, rows, DAY, DAY, **more)
        counts.append(made.restatements)
        assert stored_count(root) == str(made.restatements)
    return counts


def test_every_change_of_a_complete_day_counts_and_equal_remakes_keep_the_count(tmp_path):
    same, other = events(), events(breaches=1)
    assert counts(tmp_path, same, same, other, other, same) == [0, 0, 1, 1, 2]


def test_changes_of_an_open_day_and_its_completion_restate_nothing(tmp_path):
    noon = DAY.start + 12 * 3600
    assert counts(tmp_path, events(), events(breaches=1), now=noon) == [0, 0]
    assert counts(tmp_path, events(breaches=2), events(breaches=2), events()) == [0, 0, 1]


def test_a_day_that_changes_through_an_earlier_day_is_restated(tmp_path):
    sla_root(tmp_path, events(), DAY, NEXT)
    assert [made.restatements for made in sla_root(tmp_path, events(breaches=1), DAY, NEXT)] == [1, 1]


def test_a_backfill_that_changes_no_figure_restates_nothing(tmp_path):
    """`history_from` and `events_through` are in every row, but are no figures."""
    before = DAY.plus(-2)
    sla_root(tmp_path, events(), DAY, DAY)
    old = read_metadata(FolderStore(tmp_path), SUMMARY, DAY)
    made = sla_root(tmp_path, events(), before, DAY)[-1]
    new = read_metadata(FolderStore(tmp_path), SUMMARY, DAY)
    assert (old["history_from"], new["history_from"]) == (str(DAY), str(before))
    assert old["content_hash"] != new["content_hash"]
    assert made.restatements == 0


def test_an_empty_day_that_gains_targets_is_restated(tmp_path):
    assert counts(tmp_path, [], events(), []) == [0, 1, 2]


def test_an_unreadable_summary_is_replaced_and_its_count_restarts(tmp_path):
    assert counts(tmp_path, events(), events(breaches=1)) == [0, 1]
    truncated(tmp_path, SUMMARY, DAY)
    assert counts(tmp_path, events()) == [0]


@pytest.mark.parametrize("count", [None, "", "-1", "many", "٣", "1.5"])
def test_a_footer_without_a_readable_count_counts_from_zero(tmp_path, count):
    sla_root(tmp_path, events(), DAY, DAY)

    def edited(footer):
        rest = {name: value for name, value in footer.items() if name != RESTATEMENTS}
        return rest if count is None else {**rest, RESTATEMENTS: count}

    rewrite(tmp_path, SUMMARY, DAY, footer=edited)
    assert [made.restatements for made in make_sla_days(tmp_path, DAY, DAY)] == [0]
    rewrite(tmp_path, SUMMARY, DAY, footer=edited)
    assert counts(tmp_path, events(breaches=1)) == [1]


@pytest.mark.parametrize(
    "of_another_version",
    [
        lambda table: table.drop_columns(["overdue_max_seconds"]),
        lambda table: table.append_column("figure_of_tomorrow", pa.array([7] * table.num_rows)),
    ],
    ids=["added", "removed"],
)
def test_a_column_added_or_removed_by_another_version_restates_nothing(tmp_path, of_another_version):
    sla_root(tmp_path, events(breaches=1), DAY, DAY)
    rewrite(tmp_path, SUMMARY, DAY, rows=of_another_version)
    assert [made.restatements for made in make_sla_days(tmp_path, DAY, DAY)] == [0]


def test_only_summaries_count_restatements(tmp_path):
    sla_root(tmp_path, events(), DAY, DAY)
    for asset in (CLOCKS, TARGETS):
        assert RESTATEMENTS not in read_metadata(FolderStore(tmp_path), asset, DAY)
