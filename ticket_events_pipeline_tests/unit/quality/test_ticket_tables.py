"""The checks of the ticket tables: green as made, red once somebody changed a file."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.ticket_tables import (
    dimension_sums_match_summary,
    dimensions_are_known,
    dimensions_cover_every_target,
)
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata, write_partition
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION, make_breaches_by_dimension
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, make_dimensions
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support.drawn_tickets import FIRST, TRACKED, DrawnSnapshots, DrawnTickets
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

CHECKS = [dimensions_cover_every_target, dimension_sums_match_summary, dimensions_are_known]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A day of drawn tickets with all tables."""
    root, drawn = tmp_path_factory.mktemp("root"), DrawnTickets(11, 60, days=1)
    drawn.put(root, FIRST)
    store = FolderStore(root)
    make_sla_days(root, FIRST, FIRST)
    list(make_states(store, [FIRST], fields=TRACKED))
    list(make_dimensions(store, [FIRST], snapshots=DrawnSnapshots(drawn), schedules={}))
    list(make_breaches_by_dimension(store, [FIRST]))
    return store


@pytest.fixture
def changed(made):
    """Replaces the rows of a table of the day, and puts them back."""
    before = {}

    def change(asset, new_rows):
        rows, footer = before.setdefault(asset, read_partition_and_metadata(made, asset, FIRST))
        write_partition(made, asset, FIRST, new_rows(rows), footer)
        return made

    yield change
    for asset, (rows, footer) in before.items():
        write_partition(made, asset, FIRST, rows, footer)


def findings(check, store, day=FIRST):
    (checked,) = check(store, [day])
    return [str(finding) for finding in checked.findings]


def test_the_tables_as_made_pass(made):
    for check in CHECKS:
        (checked,) = check(made, [FIRST])
        assert not checked.findings
    assert next(dimension_sums_match_summary(made, [FIRST])).skipped_reason is None


def test_a_day_without_tables_is_skipped(made):
    for check in CHECKS:
        (checked,) = check(made, [FIRST.plus(5)])
        assert checked.skipped_reason.startswith("no ")


def test_a_removed_row_is_named_with_both_sums_and_what_to_do(changed):
    def without_one(rows):
        is_it = pc.and_(pc.equal(rows["dimension"], "group"), pc.greater(rows["active_eod"], 0))
        return rows.filter(np.arange(rows.num_rows) != np.flatnonzero(is_it.to_numpy())[0])

    (text,) = findings(dimension_sums_match_summary, changed(BY_DIMENSION, without_one))
    assert "The rows of `group` and `" in text
    assert "active_eod, not " in text
    assert text.endswith(f"Materialize {DIMENSIONS} and {BY_DIMENSION} of {FIRST} again.")
    assert "`assignee`" not in text


def test_tags_need_not_add_up(changed):
    store = changed(BY_DIMENSION, lambda rows: rows.filter(pc.not_equal(rows["dimension"], "tag")))
    assert not findings(dimension_sums_match_summary, store)


def test_a_missing_custom_dimension_is_found(changed):
    store = changed(BY_DIMENSION, lambda rows: rows.filter(pc.not_equal(rows["dimension"], "custom_field:77")))
    (text,) = findings(dimension_sums_match_summary, store)
    assert "`custom_field:77`" in text


def test_targets_without_dimensions_are_found(changed):
    (text,) = findings(dimensions_cover_every_target, changed(DIMENSIONS, lambda rows: rows.slice(1)))
    assert text.startswith(f"{DIMENSIONS} has ")


def test_other_targets_in_the_dimensions_are_found(changed):
    store = changed(DIMENSIONS, lambda rows: rows.set_column(0, "ticket_id", pc.add(rows["ticket_id"], 1)))
    (text,) = findings(dimensions_cover_every_target, store)
    assert text.startswith(f"The rows of {DIMENSIONS} are not of the targets in sla_targets.")


def test_many_unknown_dimensions_are_named_with_their_share(made, tmp_path):
    later = Day(FIRST.plus(10).date)
    rows, footer = read_partition_and_metadata(made, DIMENSIONS, FIRST)
    unknown = pc.if_else(pc.is_valid(rows["known_by"]), '{"group_id":null}', None)
    rows = rows.set_column(rows.schema.get_field_index("known_by"), "known_by", unknown)
    write_partition(FolderStore(tmp_path), DIMENSIONS, later, rows, footer)
    (checked,) = dimensions_are_known(FolderStore(tmp_path), [later])
    assert checked.figures["largest_unknown_share"] == 1
    assert "nothing is known of the `group` of " in str(checked.findings[0])
    assert "(100%)" in str(checked.findings[0])
